"""Hashes of rows, by which copies are told."""

from __future__ import annotations

import numpy as np
from sklearn.utils import gen_batches

from sklearn_mi.rows.blocks import BlockSource
from sklearn_mi.rows.sources import Source

__all__ = ["FIRST", "STEP", "hashes_of", "mixed", "row_hashes"]

# The finaliser of splitmix64 (Steele, Lea & Flood, 2014), and its step from one stream to the next.
FIRST, SECOND, STEP = (
    np.uint64(word) for word in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15)
)
WORDS_IN_CACHE = 2**16


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
    if isinstance(source, BlockSource) and source.hashes is not None:
        return source.hashes[index]
    return np.concatenate([hashes_of(block) for block in source.blocks(index)])


def hashes_of(block: np.ndarray) -> np.ndarray:
    """Return a hash for each row of a block; see `row_hashes`.

    Parameters
    ----------
    block : ndarray of shape (b, n_numbers)

    Returns
    -------
    hashes : ndarray of uint64 of shape (b,)
    """
    words = _words(block)
    streams = STEP * np.arange(1, words.shape[1] + 1, dtype=np.uint64)
    parts = gen_batches(len(words), max(1, WORDS_IN_CACHE // words.shape[1]))
    return np.concatenate(
        [mixed(words[part] + streams).sum(axis=1, dtype=np.uint64) for part in parts]
    )


def _words(block: np.ndarray) -> np.ndarray:
    """Return the bytes of each row as whole numbers of 64 bits."""
    if block.dtype.kind == "f":
        block = block + block.dtype.type(0)  # -0.0 equals 0.0, but for its bits
    missing = -(block.shape[1] * block.itemsize) % 8 // block.itemsize
    if missing:
        block = np.pad(block, ((0, 0), (0, missing)))
    return np.ascontiguousarray(block).view(np.uint64)


def mixed(words: np.ndarray) -> np.ndarray:
    """Spread every bit over all others, in place.

    Parameters
    ----------
    words : ndarray of uint64
    """
    for shift, factor in ((30, FIRST), (27, SECOND)):
        words ^= words >> np.uint64(shift)
        words *= factor
    words ^= words >> np.uint64(31)
    return words
