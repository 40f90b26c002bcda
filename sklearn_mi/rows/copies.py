"""Copies of rows: count them, and find the rows that are left of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_mi.rows.blocks import BlockSource
from sklearn_mi.rows.data import Data
from sklearn_mi.rows.hashes import FIRST, STEP, mixed, row_hashes
from sklearn_mi.rows.lacking import check_common
from sklearn_mi.rows.pairs import AnyRows, PartnerRows
from sklearn_mi.rows.sources import ResidualSource

__all__ = ["count_copies", "count_repeats", "row_hashes", "rows_to_draw", "shares_of"]

# Hashes of training rows that are looked up at once.
HASHES_AT_ONCE = 2**20


def count_copies(data: Data, kept: np.ndarray, report: np.ndarray, held: Data | None = None) -> int:
    """Return how many reported rows are copies of training rows.

    In paired tables a row counts if it is a copy in both.

    Parameters
    ----------
    data : Data
    kept, report : ndarray of int
        The training rows, and the reported ones.
    held : Data or None, default=None
        The data of the reported rows; None: they are rows of ``data``.

    Returns
    -------
    n_copies : int
        0 of rows that stay on disk, unless a pass over them has hashed them.
    """
    if not (len(kept) and len(report) and _is_hashed(data)):
        return 0
    reported = _of_both_tables(data if held is None else held, report)
    known = np.zeros(len(report), dtype=bool)
    for part in gen_batches(len(kept), HASHES_AT_ONCE):
        # By sorting: the table of numpy 2.0 cannot hold hashes of 64 bits.
        known |= np.isin(reported, _of_both_tables(data, kept[part]), kind="sort")
    return int(known.sum())


def _is_hashed(data: Data) -> bool:
    """Return whether hashes need no pass of their own over rows on disk."""
    sources = [side.source for side in data.sides if side is not None]
    return all(
        source.edges is None or (isinstance(source, BlockSource) and source.hashes is not None)
        for source in sources
    )


def count_repeats(data: Data, kept: np.ndarray) -> int:
    """Return how many training rows are copies of a training row before them.

    Rows of other groups, labels or confounds are no copies.

    Parameters
    ----------
    data : Data
    kept : ndarray of int
        The training rows.

    Returns
    -------
    n_repeats : int
    """
    if not (len(kept) and _is_hashed(data)):
        return 0
    hashes = _with_labels(data, kept)
    hashes.sort()
    return int((hashes[1:] == hashes[:-1]).sum())


def rows_to_draw(
    data: Data, duplicates: str, *, ordered: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows that take part in a fit, and how many copies each stands for.

    Parameters
    ----------
    data : Data
    duplicates : {"keep", "collapse"}
        "collapse": of rows that are copies of one another, the first alone. Rows that have one
        of several tables alone take no part.
    ordered : bool
        Whether rows follow one another in time.

    Returns
    -------
    rows : ndarray of int
        Increasing.
    counts : ndarray of int of shape (n,) or None
        None: each row stands for itself.

    Raises
    ------
    ValueError
        If rows are to be collapsed, and follow one another in time or are all equal. If fewer than
        two rows have both of two tables.
    """
    if data.present is not None and data.present.shape[1] == 2:
        check_common(data.present, [(0, 1)])
    rows = data.usable
    if duplicates == "keep":
        return rows, None
    if ordered:
        raise ValueError(
            "duplicates='collapse' would tear rows of a series apart; leave duplicates='keep'."
        )
    first, numbers = _distinct(data, rows)
    if len(first) < 2:
        raise ValueError(
            f"duplicates='collapse' leaves {len(first)} of {len(rows)} rows; expected at least 2 "
            "rows that differ."
        )
    counts = np.zeros(len(data), dtype=np.int64)
    counts[first] = numbers
    return first, counts


def shares_of(rows: AnyRows, kept: np.ndarray, counts: np.ndarray | None) -> Tensor | None:
    """Return the weights by which training rows are drawn; None if all are equal.

    Parameters
    ----------
    rows : Rows, PairedRows or PartnerRows
        The training rows; those that have a partner, if rows are partners of rows.
    kept : ndarray of int
        Their places in the data.
    counts : ndarray of int or None
        Of all rows of the data; see `rows_to_draw`.

    Returns
    -------
    weights : Tensor of shape (n,) or None
    """
    if counts is None:
        return None
    weights = torch.from_numpy(counts[kept]).double()
    if isinstance(rows, PartnerRows):
        weights = weights[rows.anchors.cpu()]
    return None if (weights == weights[0]).all() else weights


def _distinct(data: Data, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first of each set of copies, in the order of the rows, and their number."""
    hashes = _with_labels(data, rows)
    _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    order = np.argsort(first)
    return rows[first[order]], counts[order]


def _with_labels(data: Data, rows: np.ndarray) -> np.ndarray:
    """Return a hash for each row together with its group and its label."""
    hashes = _of_both_tables(data, rows)
    for labels in (data.groups, data.y):
        if labels is not None:
            numbers = pd.factorize(labels)[0][rows].astype(np.uint64)
            hashes = mixed(hashes + STEP) + mixed(numbers + FIRST)
    return hashes


def _of_both_tables(data: Data, rows: np.ndarray) -> np.ndarray:
    """Return a hash for each row of both tables and of its confounds together."""
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for place, side in enumerate((*data.sides, data.confounds)):
        if side is not None:
            source = side.source
            # Of a residual the last digits depend on the block.
            source = source.source if isinstance(source, ResidualSource) else source
            # Weighed by position, so two tables in swapped order do not count as copies.
            hashes += row_hashes(source, rows) * np.uint64(2 * place + 1)
    return hashes
