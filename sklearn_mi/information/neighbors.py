"""Mutual information from nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree
from scipy.special import digamma, stdtrit

from sklearn_mi.information.atoms import Coded, atom_labels, break_ties, combine
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.plugin import (
    Table,
    effective_rows,
    entropy_limits,
    plug_in,
    table_guess,
)
from sklearn_mi.information.serial import block_standard_error, effective_size
from sklearn_mi.information.shifts import over_shifts, table_rows

__all__ = ["few_columns_guess", "neighbors_mi", "over_permutations"]

# Numbers of neighbours; the mean of those up to NEAR is the plain value.
KS, KS_OF_MANY, MANY = np.array([3, 4, 5, 7, 10, 16]), np.array([3, 5, 16]), 20_000
NEAR, ROWS_PER_NEIGHBOR = 5, 20
DRAWS = 4
# Rows share neighbours, so sd / sqrt(n) is too small by a quarter to a third.
WIDER = 1.35
# At high information the plain value errs by about this part of its square.
SLACK = 0.002
SHIFTS = 24
DETERMINISTIC = 0.4


def neighbors_mi(X: np.ndarray, Y: np.ndarray, n_neighbors: int = 4) -> np.ndarray:
    r"""Return one value for each row; their mean is the KSG estimate of mutual information.

    The estimate of Kraskov, Stögbauer and Grassberger is the mean of

    .. math:: \psi(k) + \psi(n) - \psi(n_x + 1) - \psi(n_y + 1),

    where :math:`n_x` and :math:`n_y` count the rows that are nearer than the k-th neighbour in the
    joint space, all by the maximum norm. A column with ties is replaced by normal scores, ties
    broken at random, which leaves its information unchanged. There is no critic and no held-out
    row: the number is in-sample. Use it for two or three columns in all; with more it falls far
    short.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features_x)
    Y : ndarray of shape (n_samples, n_features_y)
    n_neighbors : int, default=4

    Returns
    -------
    local : ndarray of shape (n_samples,)
        In nats.

    References
    ----------
    Estimating Mutual Information (Kraskov, Stögbauer & Grassberger, 2004),
    https://arxiv.org/abs/cond-mat/0305641

    Examples
    --------
    >>> from sklearn_mi.datasets import correlated_gaussian
    >>> from sklearn_mi.information import neighbors_mi
    >>> X, Y, true_mi = correlated_gaussian(2000, 1, true_mi=0.5, random_state=0)
    >>> bool(abs(neighbors_mi(X, Y).mean() - true_mi) < 0.08)
    True
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors={n_neighbors!r}; expected a positive integer.")
    rng = np.random.default_rng(0)
    sides = [np.asarray(side, dtype=float).reshape(len(side), -1) for side in (X, Y)]
    untied = [
        np.column_stack([c if _is_distinct(c) else break_ties(c, rng) for c in side.T])
        for side in sides
    ]
    return _ksg(untied[0], untied[1], np.array([n_neighbors]))[0]


def _has_ties(part: np.ndarray) -> bool:
    """Return whether half of the rows or more tie with another one in some column."""
    return any(len(np.unique(column)) <= len(column) / 2 for column in part.T)


def _is_distinct(column: np.ndarray) -> bool:
    return len(np.unique(column)) == len(column)


def _distances(X: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Return the distance of each row to its k-th neighbour, of shape (n_ks, n_samples)."""
    tree: Any = KDTree(X)
    return tree.query(X, ks + 1, p=np.inf)[0].T


def _ksg(X: np.ndarray, Y: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Return KSG's value of each row for each number of neighbours, of shape (n_ks, n_samples)."""
    n = len(X)
    if n < 2:
        return np.zeros((len(ks), n))
    ks = np.minimum(ks, n - 1)
    joint = np.hstack([X, Y])
    radii = _distances(joint, ks)
    marginals = sum(digamma(_nearer(side, radii)) for side in (X, Y))
    return digamma(ks)[:, None] + digamma(n) - marginals


def _ross(X: np.ndarray, labels: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Return Ross's value of each row for each number of neighbours within its class.

    A row that is alone in its class has no neighbour there, and counts as 0.
    """
    n = len(X)
    radii, used = np.zeros((len(ks), n)), np.ones((len(ks), n))
    sizes = np.bincount(labels)
    for label in np.flatnonzero(sizes > 1):
        rows = np.flatnonzero(labels == label)
        within = np.minimum(ks, len(rows) - 1)
        radii[:, rows] = _distances(X[rows], within)
        used[:, rows] = within[:, None]
    size = sizes[labels]
    counts = np.maximum(_nearer(X, radii), used)
    values = digamma(used) + digamma(n) - digamma(size) - digamma(counts)
    return np.where(size > 1, values, 0.0)


def _nearer(X: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return how many rows, each itself among them, are nearer than each radius of each row."""
    if X.shape[1] == 1:
        return np.array([_nearer_in_column(X[:, 0], radius) for radius in radii])
    tree = KDTree(X)
    within = np.nextafter(radii, 0)
    return np.array(
        [tree.query_ball_point(X, r, p=np.inf, return_length=True) for r in within]
    ).clip(min=1)


def _nearer_in_column(x: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Count by a search in the sorted column, then by the distances at its two ends.

    The sum of a value and a radius is rounded, so the search alone may miss by one.
    """
    n, ordered = len(x), np.sort(x)
    low = np.searchsorted(ordered, x - radius)
    high = np.searchsorted(ordered, x + radius)
    low -= (low > 0) & (x - ordered[np.maximum(low - 1, 0)] < radius)
    low += x - ordered[np.minimum(low, n - 1)] >= radius
    high += (high < n) & (ordered[np.minimum(high, n - 1)] - x < radius)
    high -= (high > 0) & (ordered[np.maximum(high - 1, 0)] - x >= radius)
    return np.maximum(high - low, 1)


class _Chain:
    r"""The chain rule over atom labels, a value for each row and number of neighbours.

    .. math:: I(X; Y) = I(A; B) + I(X; B | A) + I(Y; A | B) + I(X; Y | A, B)
    """

    def __init__(self, x: Coded, y: Coded, ks: np.ndarray, rng: np.random.Generator) -> None:
        self.ks, self.rng = ks, rng
        self.sides = x.values, y.values
        (self.a, self.free_x), (self.b, self.free_y) = _labels(x, y)
        self.table = Table(self.a, self.b)
        self.both = self.free_x.any(axis=1) & self.free_y.any(axis=1)
        # Rows of continuous parts that are large enough for every number of neighbours.
        self.resolved = np.zeros(len(x), dtype=bool)

    @property
    def columns(self) -> list[np.ndarray]:
        """All columns of both sides."""
        return [column for side in self.sides for column in side.T]

    @property
    def is_table(self) -> bool:
        """Whether no column is continuous anywhere."""
        return not (self.free_x.any() or self.free_y.any())

    @property
    def n_columns(self) -> int:
        """The largest number of continuous columns that a row has."""
        return int((self.free_x.sum(axis=1) + self.free_y.sum(axis=1)).max())

    def values(self, n: float) -> np.ndarray:
        """Return values of shape (n_ks, n_samples); n is the effective number of rows."""
        total = np.zeros((len(self.ks), len(self.a)))
        total += self.table.local - self.table.bias(n)
        x, y = self.sides
        self._given(total, x, self.free_x, self.a, self.b)
        self._given(total, y, self.free_y, self.b, self.a)
        cells = combine(np.vstack([self.a, self.b]))
        for rows in _rows_of(np.where(self.both, cells, -1)):
            parts = x[rows][:, self.free_x[rows[0]]], y[rows][:, self.free_y[rows[0]]]
            total[:, rows] += _ksg(self._scores(parts[0]), self._scores(parts[1]), self.ks)
            large = len(rows) >= 3 * self.ks[-1]
            self.resolved[rows] = large and not any(map(_has_ties, parts))
        return total

    def _given(
        self,
        total: np.ndarray,
        values: np.ndarray,
        free: np.ndarray,
        own: np.ndarray,
        other: np.ndarray,
    ) -> None:
        """Add the information of a side's continuous part and the other labels, given its own."""
        for rows in _rows_of(np.where(free.any(axis=1), own, -1)):
            labels = pd.factorize(other[rows])[0]
            if labels.max() > 0:
                scores = self._scores(values[rows][:, free[rows[0]]])
                total[:, rows] += _ross(scores, labels, self.ks)

    def _scores(self, values: np.ndarray) -> np.ndarray:
        return np.column_stack([break_ties(column, self.rng) for column in values.T])

    @property
    def entropies(self) -> list[np.ndarray]:
        """Counts of the values of each side whose entropy bounds the information."""
        sides = zip(
            map(combine, (side.T for side in self.sides)), (self.free_x, self.free_y), strict=True
        )
        counts = [(np.bincount(rows), free.any()) for rows, free in sides]
        return [c for c, is_free in counts if not is_free or (c == 1).sum() <= 0.2 * c.sum()]

    @property
    def alone(self) -> float:
        """The share of rows that no other row shares its pair of labels with."""
        return self.table.alone


def _labels(x: Coded, y: Coded) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return labels of both sides; ordered columns of few values are ranks against one another."""
    labels = [atom_labels(side) for side in (x, y)]
    if any(free.any() for _, free in labels):
        return labels
    return [atom_labels(side, ordered_few=True) for side in (x, y)]


def _rows_of(labels: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each label, without those of -1."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return [rows for rows in np.split(order, starts) if len(rows) and labels[rows[0]] >= 0]


def few_columns_guess(
    x: Coded,
    y: Coded,
    *,
    confidence: float,
    seed: int = 0,
    groups: np.ndarray | None = None,
    block: int | None = None,
) -> Guess:
    """Return the information of at most three columns in all, whatever their values are.

    Tables of categories and of few values: the plug-in. Else the chain rule over atom labels; its
    continuous parts by Ross's and KSG's neighbours, on normal scores with ties broken at random.
    At sharp edges of a density neighbours see too little, by an amount that grows as their
    distance: in d columns as the d-th root of their number k. The mean over 3 to 5 neighbours is
    extrapolated in the square root of k, as far as the change stands out from its error. In three
    columns the cube root is right at edges, but goes too far where there are none, so the interval
    alone reaches there.

    Rows of a series are neighbours of the rows before them on both sides. So the mean over
    series that are parted is subtracted, see `over_shifts`; their spread widens the interval.

    Parameters
    ----------
    x, y : Coded
    confidence : float
    seed : int, default=0
        For the order of ties.
    groups : ndarray of shape (n_samples,), default=None
        Rows of one group may depend on one another.
    block : int, default=None
        Rows of a block, if rows are a series.

    Returns
    -------
    guess : Guess
        In nats.

    References
    ----------
    Mutual Information between Discrete and Continuous Data Sets (Ross, 2014),
    https://doi.org/10.1371/journal.pone.0087357
    """
    options: dict[str, Any] = {"confidence": confidence, "groups": groups}
    if block is not None:
        options |= {"n_effective": table_rows(x, y, block), "block": block}
    table = table_guess(x, y, **options)
    if table is not None:
        return table
    n, rng = len(x), np.random.default_rng(seed)
    ks = KS[max(n // ROWS_PER_NEIGHBOR, 7) >= KS] if n < MANY else KS_OF_MANY
    chain = _Chain(x, y, ks, rng)
    if chain.is_table:
        return plug_in(x.rows, y.rows, **options)
    size = None if block is None else effective_size(x.values, y.values)
    n_rows = effective_rows(chain.table, groups, size)
    draws = DRAWS if n < MANY and not all(map(_is_distinct, chain.columns)) else 1
    local = np.mean([chain.values(n_rows) for _ in range(draws)], axis=0)
    if block is None:
        return _judged(local, chain, n_rows, confidence, partial(_error_of_mean, local, groups))
    null = _parted(x, y, ks, rng, n_rows, block)
    local -= null.mean(axis=1, keepdims=True)
    error = partial(_error_of_series, local, null, block)
    return _judged(local, chain, n_rows, confidence, error)


def over_permutations(
    x: Coded, y: Coded, rng: np.random.Generator, n_permutations: int
) -> np.ndarray:
    """Return the mean over nearest neighbours of the rows as they are, and of permuted ones.

    Parameters
    ----------
    x, y : Coded
    rng : Generator
    n_permutations : int
        0 returns the one number alone.

    Returns
    -------
    means : ndarray of shape (1 + n_permutations,)
        In nats.
    """
    n, ks = len(x), np.array([NEAR])
    orders = [np.arange(n), *(rng.permutation(n) for _ in range(n_permutations))]
    pairs = ((x, Coded(y.values[order], y.nominal)) for order in orders)
    return np.array([_Chain(*pair, ks, rng).values(n).mean() for pair in pairs])


def _parted(
    x: Coded, y: Coded, ks: np.ndarray, rng: np.random.Generator, n_rows: float, block: int
) -> np.ndarray:
    """Return the means of series with nothing in common, of shape (n_ks, n_shifts)."""

    def means(order: np.ndarray) -> np.ndarray:
        moved = Coded(y.values[order], y.nominal)
        return _Chain(x, moved, ks, rng).values(n_rows).mean(axis=1)

    return over_shifts(means, len(x), block, SHIFTS).T


def _judged(
    local: np.ndarray,
    chain: _Chain,
    n_rows: float,
    confidence: float,
    error: Callable[[Callable[[np.ndarray], np.ndarray]], float],
) -> Guess:
    """Return a guess from the values for each number of neighbours, held against each other.

    ``error`` takes a combination of the numbers of neighbours, and returns that of its mean.
    """
    # Few rows tell little of their own spread.
    z = float(stdtrit(max(len(local[0]) // 4, 2), 0.5 + confidence / 2))

    def near(values: np.ndarray) -> np.ndarray:
        return values[chain.ks <= NEAR].mean(axis=0)

    def far(values: np.ndarray) -> np.ndarray:
        return _extrapolated(values, chain.ks, 1 / 2)

    def farthest(values: np.ndarray) -> np.ndarray:
        return _extrapolated(values, chain.ks, 1 / max(chain.n_columns, 2))

    plain, edge = near(local), farthest(local)
    shift, doubt = float((far(local) - plain).mean()), error(lambda v: far(v) - near(v))
    trust = max(0.0, 1 - (doubt / shift) ** 2) if shift else 0.0
    value = float(plain.mean()) + trust * shift
    second = math.sqrt(2 + abs(chain.table.freedom) / 2) / n_rows
    at = error(lambda v: near(v) + trust * (far(v) - near(v)))
    stderr, floor = math.hypot(WIDER * at, second), WIDER * error(near)
    reach = min(0.25 * math.sqrt(5000 / len(plain)), 1.0)
    low = min(value - z * stderr, float(plain.mean()) - reach * z * floor) - SLACK * value**2
    above = reach if chain.n_columns <= 2 else 1.0
    high = max(value, 0.0, float(edge.mean())) + z * max(stderr, above * WIDER * error(farthest))
    if chain.resolved.any() and _still_rises(local[:, chain.resolved], chain.ks):
        return _at_least(float(plain.mean()), floor, z)
    high += chain.alone * math.log(len(plain))
    most = beyond = math.inf
    if chain.entropies:
        limits = [entropy_limits(counts, n_rows, z) for counts in chain.entropies]
        most, beyond = np.min(limits, axis=0).tolist()
    value = min(max(value, 0.0), most)
    interval = max(min(low, value), 0.0), max(min(high, beyond), value)
    return Guess(value, stderr, interval, "nearest neighbours (in-sample)")


def _error_of_mean(
    local: np.ndarray, groups: np.ndarray | None, of: Callable[[np.ndarray], np.ndarray]
) -> float:
    values = of(local)
    n = len(values)
    plain = float(values.std()) / math.sqrt(n)
    if groups is None:
        return plain
    sums = np.bincount(pd.factorize(groups)[0], values - values.mean())
    return max(plain, math.sqrt(float(sums @ sums)) / n)


def _error_of_series(
    local: np.ndarray, null: np.ndarray, block: int, of: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Return the error of a mean over blocks, with that of series that share nothing."""
    return math.hypot(block_standard_error(of(local), block), float(of(null).std(ddof=1)))


def _extrapolated(local: np.ndarray, ks: np.ndarray, power: float) -> np.ndarray:
    """Return the values at no distance to the neighbours, by weighted least squares in k**power."""
    design = np.column_stack([np.ones(len(ks)), ks**power])
    weighted = design * ks[:, None]
    return np.linalg.solve(weighted.T @ design, weighted.T)[0] @ local


def _still_rises(local: np.ndarray, ks: np.ndarray) -> bool:
    """Return whether fewer neighbours see much more: log k more, if the relation is exact."""
    rise = float(local[0].mean() - local[-1].mean())
    return rise > DETERMINISTIC * math.log(ks[-1] / ks[0])


def _at_least(value: float, stderr: float, z: float) -> Guess:
    fact = (
        "the estimate still rises as neighbours come nearer; the relation may be deterministic and "
        "its information infinite"
    )
    low = max(value - z * stderr, 0.0)
    how = "nearest neighbours (in-sample)"
    return Guess(max(value, 0.0), stderr, (low, math.inf), how, at_least=True, warnings=(fact,))
