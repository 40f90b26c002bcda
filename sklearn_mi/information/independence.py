"""A fast test of independence for columns, whatever the shape of the dependence."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import gammaincc, ndtr
from scipy.stats import cauchy, rankdata

from sklearn_mi.information.atoms import Coded

__all__ = ["Dependence", "IndependenceTest"]

# Pairs of degrees, one for each side, whose functions are held against each other.
DEGREES = ((1, 1), (2, 2), (4, 4), (1, 16), (16, 1))
SMOOTH, FINEST = 4, 16
ROWS_PER_DEGREE = 8
RARE = 5  # rows of a category; those with fewer are one
LARGEST_LEVERAGE = 10
HIGHEST = 0.99


@dataclass(frozen=True)
class Dependence:
    """What an `IndependenceTest` finds.

    Attributes
    ----------
    p_value : float
    weak_mi, stderr : float
        The information in nats and its error if it is small: half of the sum of squared
        correlations, less its mean under independence, at the resolution with the smallest p-value.
    """

    p_value: float
    weak_mi: float
    stderr: float


@dataclass(frozen=True)
class _Functions:
    """Orthonormal functions of the rows of a table, each with a mean of 0.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_functions)
    degrees : ndarray of shape (n_functions,)
        In increasing order.
    order : ndarray of shape (n_samples,) or None
        The rows in the order of the column, if there is one column of many values.
    """

    values: np.ndarray
    degrees: np.ndarray
    order: np.ndarray | None

    @classmethod
    def of(cls, table: Coded, rng: np.random.Generator) -> _Functions:
        """Return cosines of the ranks of ordered columns, and indicators of categories."""
        n = len(table)
        made = [
            _indicators(column) if is_nominal else _cosines(column)
            for column, is_nominal in zip(table.values.T, table.nominal, strict=True)
        ]
        degrees = np.concatenate([degree for _, degree in made])
        by_degree = np.argsort(degrees, kind="stable")
        raw = np.hstack([values for values, _ in made])[:, by_degree]
        # With more functions than rows every column would seem to follow from them.
        room = max(n // 2 - 1, 1)
        q, r = np.linalg.qr(np.column_stack([np.ones(n), raw[:, :room]]))
        kept = np.abs(np.diag(r))[1:] > 1e-7 * math.sqrt(n)
        order = None
        if len(made) == 1 and not table.nominal[0] and degrees.max(initial=0) == FINEST:
            order = np.lexsort((rng.random(n), table.values[:, 0]))
        return cls(q[:, 1:][:, kept], degrees[by_degree][:room][kept], order)

    def __len__(self) -> int:
        return len(self.values)

    def up_to(self, degree: int) -> int:
        """Return the number of functions of at most this degree."""
        return int((self.degrees <= degree).sum())

    @property
    def squares(self) -> np.ndarray:
        """The sum over rows of the squared leverage of the first functions, for each number."""
        return (np.cumsum(self.values**2, axis=1) ** 2).sum(axis=0)


def _cosines(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines of the mean rank: as many as tell the different values apart, or fewer."""
    n = len(column)
    highest = min(FINEST, max(n // ROWS_PER_DEGREE, 1), len(np.unique(column)) - 1)
    degrees = np.arange(1, highest + 1)
    share = (rankdata(column) - 0.5) / n
    return np.cos(math.pi * share[:, None] * degrees), degrees


def _indicators(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes, found = pd.factorize(column)
    rare = np.bincount(codes, minlength=len(found)) < RARE
    codes = np.unique(np.where(rare[codes], -1, codes), return_inverse=True)[1]
    values = (codes[:, None] == np.arange(1, codes.max(initial=0) + 1)).astype(float)
    return values, np.ones(values.shape[1], dtype=int)


class IndependenceTest:
    r"""Test whether a table is independent of Y, by functions of the ranks.

    With orthonormal functions of both sides, :math:`U` of p columns and :math:`V` of q, cosines of
    the ranks or indicators of categories, the statistic is

    .. math:: \lVert U^\top V \rVert^2,

    a sum of squared correlations. Its mean and variance over all permutations of the rows are known
    exactly (Kazi-Aoual et al., 1995), and a gamma distribution has them. A low degree sees a trend,
    a higher one sees waves, a parabola or a circle. Waves that are finer than that are seen by the
    correlation of V between neighbours in the order of X, and the other way round. The p-values are
    combined by Cauchy's distribution (Liu & Xie, 2020).

    With ``groups`` the variance is that of sums over groups (Satterthwaite's approximation), and
    neighbours are left out.

    Parameters
    ----------
    y : Coded
    groups : ndarray of shape (n_samples,), default=None
        Rows of one group may depend on one another.
    seed : int, default=0
        For the order of ties.

    References
    ----------
    Refined Approximations to Permutation Tests for Multivariate Inference (Kazi-Aoual, Hitier,
    Sabatier & Lebreton, 1995), https://doi.org/10.1016/0167-9473(94)00064-2; Cauchy Combination
    Test (Liu & Xie, 2020), https://doi.org/10.1080/01621459.2018.1554485

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(300, 1))
    >>> nominal = np.array([False])
    >>> IndependenceTest(Coded(x**2, nominal))(Coded(x, nominal)).p_value < 1e-6
    True
    """

    def __init__(self, y: Coded, groups: np.ndarray | None = None, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._y = _Functions.of(y, self._rng)
        self._groups = None if groups is None else pd.factorize(groups)[0]

    def __call__(self, x: Coded) -> Dependence:
        """Return what one table shows; nothing if it, or Y, is constant."""
        first, second = _Functions.of(x, self._rng), self._y
        sizes = {(first.up_to(p), second.up_to(q)) for p, q in DEGREES}
        sizes = sorted(size for size in sizes if min(size))
        if not sizes or len(first) < 4:
            return Dependence(1.0, 0.0, 0.0)
        if self._groups is None:
            found = _by_permutations(first, second, sizes)
        else:
            found = [_by_groups(first, second, size, self._groups) for size in sizes]
        found = [of_size for of_size in found if of_size is not None]
        p_values = [of_size.p_value for of_size in found]
        if self._groups is None:
            pairs = (first, second), (second, first)
            p_values += [p for p in (_of_neighbors(*pair) for pair in pairs) if p is not None]
        if not found:
            return Dependence(1.0, 0.0, 0.0)
        return replace(min(found, key=lambda of_size: of_size.p_value), p_value=_combined(p_values))


def _by_permutations(
    x: _Functions, y: _Functions, sizes: list[tuple[int, int]]
) -> list[Dependence | None]:
    """Return what each number of functions of both sides shows."""
    statistics = ((x.values.T @ y.values) ** 2).cumsum(axis=0).cumsum(axis=1)
    squares, squares_y = x.squares, y.squares
    found = []
    for p, q in sizes:
        sides = (p, squares[p - 1]), (q, squares_y[q - 1])
        moments = _moments(*sides, len(x))
        found.append(_dependence(statistics[p - 1, q - 1], *moments, len(x)))
    return found


def _dependence(statistic: float, mean: float, variance: float, n: float) -> Dependence | None:
    """Return what a statistic shows, if a gamma distribution of this mean and variance exists."""
    if variance <= 0:
        return None
    p_value = float(gammaincc(mean**2 / variance, statistic * mean / variance))
    value = max(float(statistic) - mean, 0.0) / 2
    return Dependence(p_value, value, math.sqrt(variance + 8 * value / n) / 2)


def _moments(x: tuple[int, float], y: tuple[int, float], n: int) -> tuple[float, float]:
    """Return mean and variance of the trace of a product of two projections, one permuted."""
    plain, uneven = 1.0, 1.0
    for rank, squares in (x, y):
        plain *= (n - 1) * rank - rank**2
        uneven *= n * (n + 1) * squares - (n - 1) * (rank**2 + 2 * rank)
    variance = 2 * plain / ((n - 1) ** 2 * (n + 1) * (n - 2))
    variance += uneven / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    return x[0] * y[0] / (n - 1), variance


def _of_neighbors(x: _Functions, y: _Functions) -> float | None:
    """Return the p-value of the correlation of smooth functions of y between neighbours in x."""
    smooth = y.values[:, : y.up_to(SMOOTH)]
    n, q = smooth.shape
    if x.order is None or not q or (smooth**2).sum(axis=1).max() > LARGEST_LEVERAGE * q / n:
        return None
    ordered = smooth[x.order]
    together = float((ordered[1:] * ordered[:-1]).sum())
    return float(ndtr(-(together + q / n) * math.sqrt(n / q)))


def _by_groups(
    x: _Functions, y: _Functions, size: tuple[int, int], groups: np.ndarray
) -> Dependence | None:
    """Return what a statistic shows whose variance is that of sums over groups."""
    products = (x.values[:, : size[0], None] * y.values[:, None, : size[1]]).reshape(len(x), -1)
    statistic = float((products.sum(axis=0) ** 2).sum())
    sums = np.zeros((groups.max() + 1, products.shape[1]))
    np.add.at(sums, groups, products - products.mean(axis=0))
    spread = sums @ sums.T if len(sums) < sums.shape[1] else sums.T @ sums
    mean, square = float(np.trace(spread)), float((spread**2).sum())
    # Twice the square of the covariance is the variance, as for normal sums.
    return _dependence(statistic, mean, 2 * square, len(x))


def _combined(found: list[float]) -> float:
    # One p-value near 1 must not hide the others.
    within = np.clip(found, 1e-300, HIGHEST)
    return float(cauchy.sf(np.mean(1 / np.tan(math.pi * within))))
