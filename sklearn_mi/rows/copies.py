"""Copies of rows: count the reported rows that are also in the training part."""

from __future__ import annotations

import numpy as np
from sklearn.utils import gen_batches

from sklearn_mi.rows.data import Data
from sklearn_mi.rows.sources import Source

__all__ = ["count_copies", "row_hashes"]

# The finaliser of splitmix64 (Steele, Lea & Flood, 2014), and its step from one stream to the next.
FIRST, SECOND, STEP = (
    np.uint64(word) for word in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15)
)
WORDS_IN_CACHE = 2**16


def count_copies(data: Data, kept: np.ndarray, report: np.ndarray) -> int:
    """Return how many reported rows are copies of training rows.

    In paired tables a row counts if it is a copy in both.

    Parameters
    ----------
    data : Data
    kept, report : ndarray of int
        The training rows, and the reported ones.

    Returns
    -------
    n_copies : int
    """
    if not (len(kept) and len(report)):
        return 0
    trained, reported = (
        sum(
            # Weighed by position, so two tables in swapped order do not count as copies.
            row_hashes(side.source, rows) * np.uint64(2 * place + 1)
            for place, side in enumerate(data.sides)
            if side is not None
        )
        for rows in (kept, report)
    )
    # By sorting: the table of numpy 2.0 cannot hold hashes of 64 bits.
    return int(np.isin(reported, trained, kind="sort").sum())


def row_hashes(source: Source, index: np.ndarray) -> np.ndarray:
    """Return a hash for each row: equal for equal rows, almost never for others.

    Parameters
    ----------
    source : Source
    index : ndarray of int

    Returns
    -------
    hashes : ndarray of uint64 of shape (n,)
        64 bits: the probability that two different rows among a million collide is 3e-8.
    """
    hashes = []
    for block in source.blocks(index):
        words = _words(block)
        streams = STEP * np.arange(1, words.shape[1] + 1, dtype=np.uint64)
        for part in gen_batches(len(words), max(1, WORDS_IN_CACHE // words.shape[1])):
            hashes.append(_mixed(words[part] + streams).sum(axis=1, dtype=np.uint64))
    return np.concatenate(hashes)


def _words(block: np.ndarray) -> np.ndarray:
    """Return the bytes of each row as whole numbers of 64 bits."""
    if block.dtype.kind == "f":
        block = block + block.dtype.type(0)  # -0.0 equals 0.0, but for its bits
    missing = -(block.shape[1] * block.itemsize) % 8 // block.itemsize
    if missing:
        block = np.pad(block, ((0, 0), (0, missing)))
    return np.ascontiguousarray(block).view(np.uint64)


def _mixed(words: np.ndarray) -> np.ndarray:
    """Spread every bit over all others, in place."""
    for shift, factor in ((30, FIRST), (27, SECOND)):
        words ^= words >> np.uint64(shift)
        words *= factor
    words ^= words >> np.uint64(31)
    return words
