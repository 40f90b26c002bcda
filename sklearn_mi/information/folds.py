"""Which rows train, stop and report, and which of them may be each other's unrelated pairs."""

from __future__ import annotations

import math

import numpy as np

from sklearn_mi.information.pairs import Pairs
from sklearn_mi.information.serial import block_folds, far_from, split_in_order
from sklearn_mi.rows import split_rows

__all__ = [
    "BLOCK",
    "blocks_of_rows",
    "cut_in_folds",
    "fold_of_rows",
    "halves",
    "one_a_group",
    "training_and_stopping",
]

BLOCK = 1024


def fold_of_rows(n: int, groups: np.ndarray | None, n_folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row; each group lies in one fold."""
    rng = np.random.default_rng(seed)
    units = n if groups is None else int(groups.max()) + 1
    if groups is not None and units < 4:
        raise ValueError(
            f"groups has {units} different values; expected at least 4, since groups stay whole in "
            "training, stopping and reporting: leave groups out, or split them."
        )
    # Each fold needs four rows, or four groups.
    fold = rng.permutation(np.arange(units) % max(2, min(n_folds, units // 4)))
    return fold if groups is None else fold[groups]


def cut_in_folds(pairs: Pairs, n_folds: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the fold of each row, and for each fold the rows that its critic may be fitted to."""
    if pairs.block is not None:
        return block_folds(len(pairs), pairs.block, n_folds)
    fold_of = fold_of_rows(len(pairs), pairs.groups, n_folds, seed)
    return fold_of, [np.flatnonzero(fold_of != k) for k in range(fold_of.max() + 1)]


def halves(pairs: Pairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows to fit a critic to and rows to test it on; the latter in order if a series."""
    if pairs.block is None:
        fold_of = fold_of_rows(len(pairs), pairs.groups, 2, seed)
        return np.flatnonzero(fold_of == 0), np.flatnonzero(fold_of == 1)
    test = np.arange(len(pairs) // 2, len(pairs))
    return far_from(test, len(pairs), pairs.block), test


def training_and_stopping(
    pairs: Pairs, kept: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into those that candidates are fitted to, and those that choose among them."""
    if pairs.block is not None:
        return split_in_order(kept, pairs.block, share)
    n_stop = max(2, round(share * len(kept)))
    groups = None if pairs.groups is None else pairs.groups[kept]
    train, stop, _ = split_rows(len(kept), (n_stop, n_stop), seed, groups=groups)
    return kept[train], kept[stop]


def one_a_group(
    rows: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Return rows in random order, one from each group."""
    rows = rng.permutation(rows)
    return rows if groups is None else rows[np.unique(groups[rows], return_index=True)[1]]


def blocks_of_rows(
    n: int, groups: np.ndarray | None, rng: np.random.Generator, size: int = BLOCK
) -> list[np.ndarray]:
    """Split rows into blocks of similar size; the rows of each block are independent."""
    left, rounds = rng.permutation(n), []
    while len(left):
        chosen = np.arange(len(left))
        if groups is not None:
            chosen = np.unique(groups[left], return_index=True)[1]
        rounds.append(rng.permutation(left[chosen]))
        left = np.delete(left, chosen)
    blocks = [
        block for rows in rounds for block in np.array_split(rows, math.ceil(len(rows) / size))
    ]
    # Large groups leave small blocks at the end, whose ceiling is too low to be useful.
    large = [block for block in blocks if len(block) >= max(2, len(blocks[0]) // 2)]
    # Rows of a single group have no unrelated pairs but each other.
    return large or [rng.permutation(n)]
