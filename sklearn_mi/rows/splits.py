"""Split rows into those to train on, those to stop by and those to report on."""

from __future__ import annotations

import numpy as np

__all__ = ["split_rows"]


def split_rows(
    n: int,
    sizes: tuple[int, int],
    seed: int,
    *,
    groups: np.ndarray | None = None,
    ordered: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows to train on, to stop by and to report on.

    Parameters
    ----------
    n : int
    sizes : tuple of int
        How many rows to stop by, and how many to hold out in all.
    seed : int
    groups : ndarray of shape (n,) or None
        Rows of one group go to one part, so sizes are approximate.
    ordered : bool
        Rows are a time series, or one series a group: the end of each is held out.

    Returns
    -------
    kept, stopping, report : ndarray of int
        Increasing.

    Raises
    ------
    ValueError
        If all rows belong to one group.
    """
    stopping, held_out = sizes
    generator = np.random.default_rng([seed, 0])
    if ordered:
        part = _ends_of_series(np.zeros(n) if groups is None else groups, stopping, held_out)
    elif groups is None:
        rank = np.empty(n, dtype=int)
        rank[generator.permutation(n)] = np.arange(n)
        part = np.where(rank >= held_out, 0, np.where(rank < stopping, 1, 2))
    else:
        part = _whole_groups(groups, stopping, held_out, generator)
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2)


def _ends_of_series(series: np.ndarray, stopping: int, held_out: int) -> np.ndarray:
    """Return the part of each row: those to report on come last, those to stop by before them."""
    part = np.zeros(len(series), dtype=int)
    for one in np.unique(series):
        rows = np.flatnonzero(series == one)
        left = len(rows) / len(series)
        last, both = round(left * (held_out - stopping)), round(left * held_out)
        part[rows[len(rows) - both :]] = 1
        part[rows[len(rows) - last :]] = 2
    return part


def _whole_groups(
    groups: np.ndarray, stopping: int, held_out: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the part of each row: one for all rows of a group, and no part is empty."""
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = [size for size in (stopping, held_out - stopping) if size]
    if len(names) < 1 + len(wanted):
        raise ValueError(
            f"groups has {len(names)} groups; expected at least {1 + len(wanted)}, since whole "
            "groups are held out; or set validation_fraction=0 and early_stopping=False."
        )
    part_of_group = np.zeros(len(names), dtype=int)
    order = generator.permutation(len(names)).tolist()
    for number, size in enumerate(wanted):
        taken = 0
        while taken < size and len(order) > len(wanted) - number:
            group = order.pop()
            part_of_group[group] = number + 1 if stopping else 2
            taken += sizes[group]
    return part_of_group[which]
