"""Values that many rows share: which they are, labels by them, and ranks without ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

__all__ = ["Coded", "atom_labels", "break_ties", "find_atoms"]

FEW_VALUES = 12
SHARE = 0.05
STANDS_OUT = 4


@dataclass(frozen=True)
class Coded:
    """A table of numbers, in which nominal columns hold codes of categories without an order.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_features), float64
    nominal : ndarray of shape (n_features,), bool
    """

    values: np.ndarray
    nominal: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def rows(self) -> np.ndarray:
        """Return one integer for each row, equal where rows are equal."""
        return combine(self.values.T)


def combine(columns: np.ndarray) -> np.ndarray:
    """Return integers from 0 that are equal where all columns are; columns come first."""
    labels = np.zeros(columns.shape[1], dtype=np.int64)
    for column in columns:
        codes, found = pd.factorize(column, use_na_sentinel=False)
        labels = pd.factorize(labels * len(found) + codes)[0]
    return labels


def has_few_values(column: np.ndarray) -> bool:
    """Return whether at most 12 values hold a column, 95 % of the rows in tens or more."""
    counts = np.unique(column, return_counts=True)[1]
    many = counts[counts >= 10].sum()
    return len(counts) <= FEW_VALUES and many >= (1 - SHARE) * len(column)


def find_atoms(column: np.ndarray) -> np.ndarray:
    """Return the values of an ordered column that are points of positive probability.

    A value is an atom if it holds 5 % of the rows and four times as many as its neighbours do (the
    median of the three values on either side). So the zero of an inflated column is one, and the
    values of counts or of rounded numbers are not: they are ranks that tie. Where few values hold
    the whole column, each of them is an atom.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)

    Returns
    -------
    atoms : ndarray of shape (n_atoms,)
        In increasing order.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=200)
    >>> find_atoms(np.where(x > 0, x, 0)), find_atoms(x.round(1)), find_atoms(x > 0)
    (array([0.]), array([], dtype=float64), array([False,  True]))
    """
    values, counts = np.unique(column, return_counts=True)
    if has_few_values(column):
        return values
    near = np.pad(counts.astype(float), 3, constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(near, 7)[:, [0, 1, 2, 4, 5, 6]]
    wide = counts >= max(SHARE * len(column), 5)
    if len(values) == 1 or not wide.any():
        return values[wide & (len(values) == 1)]
    wide[wide] = counts[wide] >= STANDS_OUT * np.nanmedian(near[wide], axis=1)
    return values[wide]


def atom_labels(coded: Coded, ordered_few: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return a label for each row, and which of its columns are continuous there.

    Columns combine: a label stands for one value of each column, "continuous" among the values.

    Parameters
    ----------
    coded : Coded
    ordered_few : bool, default=False
        Whether ordered columns of few values are ranks that tie, not atoms.

    Returns
    -------
    labels : ndarray of shape (n_samples,), int
    free : ndarray of shape (n_samples, n_features), bool
        The same for all rows of a label.
    """
    free = np.zeros(coded.values.shape, dtype=bool)
    for j, column in enumerate(coded.values.T):
        if not coded.nominal[j]:
            few = ordered_few and has_few_values(column)
            free[:, j] = few | ~np.isin(column, find_atoms(column))
    # No value may stand for "continuous", so a column tells it apart.
    columns = np.vstack([np.where(free, 0.0, coded.values).T, free.T])
    return combine(columns), free


def break_ties(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return normal scores of a column, ties broken at random within each rank.

    The information stays the same exactly: the ranks tell the value, and what orders equal values
    is drawn independently of all else.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
    rng : Generator

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        All of them distinct.
    """
    n = len(values)
    order = np.lexsort((rng.random(n), values))
    scores = np.empty(n)
    scores[order] = ndtri((np.arange(n) + 0.5) / n)
    return scores
