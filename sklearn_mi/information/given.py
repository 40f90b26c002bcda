"""What a third table Z leaves of others: columns as scores and labels, without their mean given Z.

An invertible map of X that depends on Z leaves I(X; Y | Z) unchanged, and so does one of Y. So each
column of numbers is replaced by what Z does not predict of it, which makes the rest easier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.preprocessing import SplineTransformer

from sklearn_mi.information.atoms import Coded, break_ties, combine

__all__ = [
    "SETTLED",
    "Regression",
    "Side",
    "cells_of",
    "check_rows",
    "dense",
    "few_values",
    "innovations",
    "mean_given",
    "new_columns",
    "rows_of",
    "side_of",
    "sums_of",
    "untied_scores",
]

ALPHAS = np.logspace(-3, 5, 9)
FEW_VALUES = 10
LANDMARKS = 60
FITTED_ROWS = 10_000
MOST_INDICATORS = 50
NEAR_NORMAL = 0.99
OFTEN = 10  # rows of each cell, on average
SETTLED = "one side is constant, or all of its columns are in Z"


# Sides


@dataclass(frozen=True)
class Side:
    """A table as normal scores without ties, and one label for its columns of few values."""

    scores: np.ndarray
    labels: np.ndarray

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return int(self.labels.max()) + 1

    @property
    def is_table(self) -> bool:
        """Whether there are labels alone, each in many rows."""
        return self.scores.shape[1] == 0 and self.n_labels * OFTEN <= len(self.labels)

    @property
    def width(self) -> int:
        """Number of ``columns``."""
        return self.scores.shape[1] + min(self.n_labels - 1, MOST_INDICATORS)

    @property
    def columns(self) -> np.ndarray:
        """Scores beside an indicator for each frequent label but the first."""
        frequent = np.argsort(-np.bincount(self.labels), kind="stable")[1 : MOST_INDICATORS + 1]
        return np.hstack([self.scores, self.labels[:, None] == frequent])


def side_of(table: Coded, rng: np.random.Generator) -> Side:
    """Return a table as scores and labels; too many labels for the rows become scores."""
    few = few_values(table)
    labels = combine(table.values[:, few].T)
    if (labels.max() + 1) * OFTEN > len(labels):
        few = table.nominal
        labels = combine(table.values[:, few].T)
    return Side(untied_scores(table.values[:, ~few], rng), labels)


def few_values(table: Coded) -> np.ndarray:
    """Return which columns are categories or have few values."""
    most = min(FEW_VALUES, len(table.values) // OFTEN)
    return np.array(
        [
            is_class or len(np.unique(column)) <= max(most, 1)
            for column, is_class in zip(table.values.T, table.nominal, strict=True)
        ],
        bool,
    )


def untied_scores(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return normal scores, ties broken at random; columns near normal keep their shape.

    Ranks carry noise of their own, which counts where Z or a partner nearly determines a column.
    """
    scores = np.empty(values.shape)
    for j, column in enumerate(values.T):
        scores[:, j] = break_ties(column, rng)
        spread = column.std()
        if spread > 0 and np.corrcoef(column, scores[:, j])[0, 1] > NEAR_NORMAL:
            scores[:, j] = (column - column.mean()) / spread
    return scores


def cells_of(*labels: np.ndarray) -> np.ndarray:
    """Return one label for each combination of labels."""
    return combine(np.stack(labels))


def dense(groups: np.ndarray | None, rows: Any = slice(None)) -> np.ndarray | None:
    """Return the groups of some rows as integers without gaps."""
    return None if groups is None else np.unique(groups[rows], return_inverse=True)[1]


def new_columns(table: Coded, given: Coded) -> Coded:
    """Leave out the columns that Z holds, up to an increasing or decreasing map."""
    known, own = (
        [np.unique(column, return_inverse=True)[1] for column in side.values.T]
        for side in (given, table)
    )
    known += [ranks.max() - ranks for ranks in known]
    new = [not any(np.array_equal(column, other) for other in known) for column in own]
    return replace(table, values=table.values[:, new], nominal=table.nominal[new])


def rows_of(table: Coded, rows: np.ndarray, columns: np.ndarray | slice = slice(None)) -> Coded:
    """Return some rows and columns of a table."""
    values = table.values[rows][:, columns]
    return replace(table, values=values, nominal=table.nominal[columns])


# What Z predicts


def _is_narrow(A: np.ndarray) -> bool:
    """Return whether least squares has rows enough."""
    return 5 * A.shape[1] < len(A)


class Regression:
    """Least squares, and a ridge regression of the rest on curves and a surface."""

    def __init__(self, n_scores: int, seed: int) -> None:
        self.n_scores, self.seed = n_scores, seed

    def fit(self, A: np.ndarray, T: np.ndarray) -> Regression:
        """Fit columns T to columns A, of which the first are scores."""
        step = max(1, len(A) // FITTED_ROWS)
        A, T = A[::step], T[::step]
        n, width = A.shape
        self.linear = (LinearRegression() if _is_narrow(A) else RidgeCV(ALPHAS)).fit(A, T)
        self.surface = Nystroem(
            gamma=1 / width, n_components=min(LANDMARKS, n), random_state=self.seed
        ).fit(A)
        self.curves = SplineTransformer(6, include_bias=False)
        if self.n_scores:
            self.curves.fit(A[:, : self.n_scores])
        self.rest = RidgeCV(ALPHAS, alpha_per_target=True)
        self.rest.fit(self._features(A), T - self.linear.predict(A).reshape(T.shape))
        return self

    def _features(self, A: np.ndarray) -> np.ndarray:
        surface = self.surface.transform(A)
        if not self.n_scores:
            return surface
        return np.hstack([surface, self.curves.transform(A[:, : self.n_scores])])

    def predict(self, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the linear prediction and the whole one."""
        linear = self.linear.predict(A).reshape(len(A), -1)
        return linear, linear + self.rest.predict(self._features(A)).reshape(linear.shape)


def _held_out(T: np.ndarray, Z: Side, fold_of: np.ndarray, seed: int) -> tuple[Any, Any]:
    """Return the linear and the smooth prediction of each column from the other folds."""
    linear, smooth = np.empty(T.shape), np.empty(T.shape)
    for k in range(fold_of.max() + 1):
        out = fold_of == k
        fitted = Regression(Z.scores.shape[1], seed).fit(Z.columns[~out], T[~out])
        linear[out], smooth[out] = fitted.predict(Z.columns[out])
    return linear, smooth


def _is_nearer(T: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return for which columns ``first`` is nearer to T by more than the standard error."""
    gain = (T - second) ** 2 - (T - first) ** 2
    return gain.mean(0) > gain.std(0) / math.sqrt(len(T))


def mean_given(
    T: np.ndarray, Z: Side, fold_of: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column given Z, and which columns of it are linear.

    A linear mean is fitted to all rows, as for partial correlations; a smooth one is held out.
    """
    A = Z.columns
    if A.shape[1] == 0:
        return np.broadcast_to(T.mean(0), T.shape), np.ones(T.shape[1], bool)
    linear, smooth = _held_out(T, Z, fold_of, seed)
    curved = _is_nearer(T, smooth, linear)
    if _is_narrow(A):
        linear = LinearRegression().fit(A, T).predict(A)
    return np.where(curved, smooth, linear), ~curved


def _log_scale_given(T: np.ndarray, Z: Side, fold_of: np.ndarray, seed: int) -> np.ndarray:
    """Return the logarithm of the spread of each column given Z, 0 if it does not depend on Z."""
    if Z.width == 0:
        return np.zeros(T.shape)
    squares = T**2
    logs = np.log(squares + 1e-4 * squares.mean(0) + 1e-300)
    smooth = _held_out(logs, Z, fold_of, seed)[1]
    constant = np.broadcast_to(logs.mean(0), T.shape)
    return np.where(_is_nearer(logs, smooth, constant), smooth / 2, 0.0)


def innovations(
    side: Side, Z: Side, fold_of: np.ndarray, seed: int, rng: np.random.Generator
) -> tuple[np.ndarray, bool]:
    """Return normal scores of what Z predicts neither in location nor in scale, and if linear."""
    if side.scores.shape[1] == 0:
        return side.scores, False
    mean, linear = mean_given(side.scores, Z, fold_of, seed)
    rest = side.scores - mean
    rest = rest * np.exp(-_log_scale_given(rest, Z, fold_of, seed))
    return untied_scores(rest, rng), bool(linear.any())


def check_rows(x: Coded, y: Coded, z: Coded) -> None:
    """Raise a ValueError if the tables have different numbers of rows."""
    if not len(x) == len(y) == len(z):
        raise ValueError(
            f"X, Y and Z have {len(x)}, {len(y)} and {len(z)} rows; expected the same number."
        )


def sums_of(products: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the sum over the rows of each group."""
    if groups is None:
        return products
    sums = np.zeros((groups.max() + 1, *products.shape[1:]))
    np.add.at(sums, groups, products)
    return sums
