"""`Pairs`: the rows of both tables as critics see them, and which kind of critic they call for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from sklearn_mi.compression import is_wide
from sklearn_mi.information.atoms import Coded, find_atoms
from sklearn_mi.information.plugin import table_guess

__all__ = [
    "FEWEST_ROWS_WIDE",
    "FEW_COLUMNS",
    "Pairs",
    "Route",
    "RowLabels",
    "is_wide_pair",
    "route_of",
]

FEW_COLUMNS = 3
FEWEST_ROWS_WIDE = 30
MANY_VALUES = 0.3
SOME_COLUMNS = 10
TIED = 0.02
Route = Literal["labels", "class", "ratio"]


@dataclass(frozen=True)
class Pairs:
    """Checked rows of both sides.

    Attributes
    ----------
    X, Y : ndarray of shape (n_samples, ...)
        As the critics see them: floats; labels if the route is "labels"; Y a column of classes if
        it is "class".
    route : {"labels", "class", "ratio"}
    classes : ndarray or None
        The classes of Y.
    x, y : Coded or None
        Both tables with categories as codes, as closed forms see them; None for images.
    groups : ndarray of int or None
    block : int or None
        Rows of a block, if rows are a series.
    is_wide : bool
        Whether there are so many columns that they are compressed first.
    """

    X: np.ndarray
    Y: np.ndarray
    route: Route = "ratio"
    classes: np.ndarray | None = None
    x: Coded | None = None
    y: Coded | None = None
    groups: np.ndarray | None = None
    block: int | None = None
    is_wide: bool = False

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return some rows of both sides."""
        return self.X[rows], self.Y[rows]

    @property
    def clusters(self) -> np.ndarray | None:
        """Groups of rows that may depend on one another: those given, or the blocks of a series."""
        if self.block is None:
            return self.groups
        return np.arange(len(self)) // self.block

    @property
    def n_columns(self) -> int | None:
        """Columns of both tables in all; None for images."""
        if self.x is None or self.y is None:
            return None
        return self.x.values.shape[1] + self.y.values.shape[1]

    @property
    def has_few_columns(self) -> bool:
        """Whether nearest neighbours can be trusted: at most three columns in all."""
        return self.n_columns is not None and self.n_columns <= FEW_COLUMNS

    @property
    def tells_nothing(self) -> bool:
        """Whether there are too few rows for so many columns."""
        return self.is_wide and len(self) < FEWEST_ROWS_WIDE

    @property
    def is_continuous(self) -> bool:
        """Whether no column has categories, values of positive probability, or many ties."""
        return not (self.has_atoms or self.has_ties)

    @cached_property
    def has_atoms(self) -> bool:
        """Whether a column of either table has categories, or values of positive probability."""
        return any(
            side is not None
            and (side.nominal.any() or any(len(find_atoms(column)) for column in side.values.T))
            for side in (self.x, self.y)
        )

    @cached_property
    def has_ties(self) -> bool:
        """Whether a value of a column recurs so often that ranks say too little of it."""
        least = max(TIED * len(self), 3)
        return any(
            side is not None
            and any(np.unique(c, return_counts=True)[1].max() >= least for c in side.values.T)
            for side in (self.x, self.y)
        )


class RowLabels:
    """One integer for each different row of a table; -1 for a row that ``fit`` did not see."""

    def __init__(self, values: np.ndarray) -> None:
        self._index = self._of(np.unique(values, axis=0))

    @staticmethod
    def _of(values: np.ndarray) -> Any:
        if values.shape[1] == 1:
            return pd.Index(values[:, 0])
        return pd.MultiIndex.from_arrays(list(values.T))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the label of each row."""
        return self._index.get_indexer(self._of(values))


def route_of(x: Coded, y: Coded, method: str, is_class: tuple[bool, bool]) -> Route:
    """Return which kind of critic the tables call for.

    Parameters
    ----------
    x, y : Coded
    method : str
        As of `MIEstimator`.
    is_class : tuple of bool
        Whether each table is one column of classes.

    Returns
    -------
    route : {"labels", "class", "ratio"}
        "labels": frequencies of pairs of rows say all; "class": one side is a class.
    """
    if method == "classifier":
        return "class"
    if method not in ("auto", "closed-form"):
        return "ratio"
    if _is_table(x, y):
        return "labels"
    return "class" if any(is_class) else "ratio"


def _is_table(x: Coded, y: Coded) -> bool:
    """Return whether pairs of rows recur, or one side is constant."""
    n = len(x)
    many = [
        max(len(np.unique(column)) for column in side.values.T) > MANY_VALUES * n for side in (x, y)
    ]
    if all(many):
        return False
    labels = [None if is_many else side.rows for is_many, side in zip(many, (x, y), strict=True)]
    if any(side is not None and side.max() == 0 for side in labels):
        return True
    if any(many):
        return False
    return table_guess(x, y, confidence=0.95) is not None


def is_wide_pair(x: Coded, y: Coded) -> bool:
    """Return whether two tables have so many columns that they are compressed first.

    More than a column for every five rows, and for few columns in all, more than for every two.
    """
    n, p, q = len(x), x.values.shape[1], y.values.shape[1]
    return is_wide(n, p, q) and (p + q > SOME_COLUMNS or 2 * (p + q) > n)
