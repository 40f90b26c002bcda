"""Whether columns of one table follow from the other table without noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.interpolate import BSpline, RBFInterpolator, make_lsq_spline
from scipy.linalg import lstsq
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler

from sklearn_mi.information.atoms import Coded, find_atoms
from sklearn_mi.information.pairs import Pairs

__all__ = ["exact_relation", "predicted_information"]

ADJACENT = 32
FALLS = 0.6
FEWEST_ROWS = 20
LARGEST_DEGREE = 3
LARGEST_ROUNDED = 1e8
LARGEST_STEP = 0.003  # of the interquartile range
MOST_CANDIDATES = 60
MOST_DECIMALS = 6
MOST_FEATURES = 250
MOST_KNOTS = 40
MOST_ROWS = 2000
MOST_SEARCHED = 3
MOST_TOGETHER = 3
NEARLY_NOTHING = 1e-4  # of the gap between neighbouring values
NEAR = 0.3
PROMISING = 0.4  # independence leaves a median residual of half the interquartile range
RESOLVED = 0.01  # Gaussian noise of 5 % leaves .025
ROWS_OF_SURFACE = 400
ROWS_A_KNOT = 20
ROWS_PER_FEATURE = 4
SPARE_ROWS = 10
SHORTEST = 1e-6
SMALL_REST = 1e-3
TINY = 1e-300
TURNS = 5


def predicted_information(pairs: Pairs) -> float:
    r"""Return how much one column of a table shares with what the other table predicts of it.

    The largest :math:`-\frac12 \log(1 - R^2)` over the columns of both tables, where polynomials
    of the other table predict half of the rows from the other half. It grows without end if a
    column follows from the other table without noise.

    Parameters
    ----------
    pairs : Pairs

    Returns
    -------
    information : float
        In nats; 0 for images and wide tables.
    """
    if pairs.x is None or pairs.y is None or pairs.is_wide or pairs.route != "ratio":
        return 0.0
    rows = np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_ROWS)).astype(int)
    X, Y = pairs.take(rows)
    unexplained = min(_unexplained(X, Y), _unexplained(Y, X))
    return -0.5 * math.log(max(unexplained, 1e-15))


def _unexplained(X: np.ndarray, Y: np.ndarray) -> float:
    """Return the least share of the variance of a column of Y that polynomials of X leave."""
    degree = LARGEST_DEGREE
    while degree and ROWS_PER_FEATURE * math.comb(X.shape[1] + degree, degree) > len(X):
        degree -= 1
    if not degree:
        return 1.0
    left = np.zeros(Y.shape[1])
    for half in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - (half.start or 0), None, 2)
        model = make_pipeline(StandardScaler(), PolynomialFeatures(degree), LinearRegression())
        model.fit(X[half], Y[half])
        left += np.square(Y[other] - model.predict(X[other]).reshape(Y[other].shape)).sum(axis=0)
    total = np.square(Y - Y.mean(axis=0)).sum(axis=0)
    return float(np.min(left[total > 0] / total[total > 0], initial=1.0))


def exact_relation(pairs: Pairs) -> str | None:
    """Return which column of a table is a function of the other table, if one is.

    A function counts as exact if it predicts at least half of the rows up to rounding, or if its
    median residual is small and falls as rows are added, as that of noise does not. Looked for are
    functions of one column, polynomials, sums of functions of single columns, smooth functions of
    two or three columns, and among many columns linear ones of a few, with either table as the
    target. Columns whose values recur have a finite entropy and are no target.

    Parameters
    ----------
    pairs : Pairs

    Returns
    -------
    fact : str or None
        Names the column by its position; None if there is none, and for images and classes.
    """
    if pairs.x is None or pairs.y is None or pairs.route != "ratio":
        return None
    rows = _unrelated(pairs)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)]
    X, Y = (_Columns.of(table) for table in pairs.take(rows))
    for name, other, side, found in (
        ("Y", "X", pairs.y, _exact_column(X, Y)),
        ("X", "Y", pairs.x, _exact_column(Y, X)),
    ):
        if found is not None:
            return (
                f"{_named(name, side, found)} is a function of {other} without noise, as far as "
                f"{len(pairs)} rows tell; its information may be infinite"
            )
    return None


def _unrelated(pairs: Pairs) -> np.ndarray:
    """Return one row of each group or block: rows that resemble others predict them."""
    if pairs.groups is not None:
        return np.sort(np.unique(pairs.groups, return_index=True)[1])
    return np.arange(0, len(pairs), pairs.block or 1)


def _named(name: str, side: Coded, column: int) -> str:
    """Return a column by its position in the table that was passed; numbers come first here."""
    positions = np.flatnonzero(~side.nominal)
    return name if len(side.nominal) == 1 else f"column {positions[column]} of {name}"


@dataclass(frozen=True)
class _Columns:
    """Columns of median 0 and interquartile range 1.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_features)
    steps : ndarray of shape (n_features,)
        What rounding, to decimals or to floating-point numbers, leaves open.
    """

    values: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> _Columns:
        """Scale a table, by its largest values first, as differences of huge numbers overflow."""
        largest = np.abs(table).max(axis=0)
        largest = np.where(largest > 0, largest, 1.0)
        values = table / largest
        ranked = np.sort(values.T, axis=1)
        low, middle, high = (ranked[:, k * (len(table) - 1) // 4] for k in (1, 2, 3))
        spread = np.where(high > low, high - low, np.maximum(ranked[:, -1] - ranked[:, 0], TINY))
        return cls((values - middle) / spread, _steps(table, largest) / spread)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: np.ndarray, columns: np.ndarray) -> _Columns:
        """Return some rows of some columns."""
        is_whole = len(rows) == len(self) and len(columns) == len(self.steps)
        return (
            self if is_whole else _Columns(self.values[np.ix_(rows, columns)], self.steps[columns])
        )

    @cached_property
    def order(self) -> np.ndarray:
        """Rows in increasing order of each column, of shape (n_features, n_samples)."""
        return np.ascontiguousarray(self.values.T).argsort(axis=1)

    @cached_property
    def gaps(self) -> np.ndarray:
        """Differences of neighbouring values, of shape (n_features, n_samples - 1)."""
        return np.diff(np.take_along_axis(self.values.T, self.order, axis=1), axis=1)

    @cached_property
    def squashed(self) -> np.ndarray:
        """Columns between -1 and 1, however heavy their tails are."""
        return np.arctan(self.values) * (2 / math.pi)

    def targets(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows and the columns that are continuous there: few values recur."""
        n = len(self)
        tied = (self.gaps == 0).sum(axis=1)
        whole = tied == 0
        for j in np.flatnonzero(tied):
            column = self.values[:, j]
            rows = np.flatnonzero(~np.isin(column, find_atoms(column)))
            if len(rows) < FEWEST_ROWS or 2 * len(np.unique(column[rows])) < len(rows):
                continue
            whole[j] = len(rows) == n
            if not whole[j]:
                yield rows, np.array([j])
        if whole.any() and n >= FEWEST_ROWS:
            yield np.arange(n), np.flatnonzero(whole)


def _steps(table: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return how far apart decimals or floating-point numbers are, as shares of the largest."""
    mantissa = np.frexp(table)[0]
    is_single = (mantissa == mantissa.astype(np.float32)).all(axis=0)
    precision = np.where(is_single, np.finfo(np.float32).eps, np.finfo(float).eps)
    steps, span = precision.copy(), np.ptp(table / largest, axis=0)
    for unit in 10.0 ** -np.arange(MOST_DECIMALS + 1):
        found = np.flatnonzero((steps == precision) & (largest < LARGEST_ROUNDED))
        found = found[span[found] * largest[found] >= unit]
        for rows in (slice(FEWEST_ROWS), slice(None)):
            part = table[rows, found]
            off = np.abs(part - unit * np.rint(part / unit))
            found = found[(off <= 1e-6 * unit + (precision * largest)[found]).all(axis=0)]
        steps[found] = unit / largest[found]
    return steps


@dataclass(frozen=True)
class _Fit:
    """Median residuals of each target on rows that a function was not fitted to.

    Attributes
    ----------
    left, before : ndarray of shape (n_targets,)
        From all rows of the fit, and from half of them.
    step : ndarray of shape (n_targets,) or float
        What rounding of the columns leaves open.
    """

    left: np.ndarray
    before: np.ndarray
    step: np.ndarray | float = 0.0


def _exact_column(X: _Columns, Y: _Columns) -> int | None:
    """Return a column of Y that is a function of X."""
    for rows, columns in Y.targets():
        source, target = X.take(rows, np.arange(len(X.steps))), Y.take(rows, columns)
        gap = np.median(target.gaps, axis=1)
        best, falls = np.full(len(columns), math.inf), np.zeros(len(columns), dtype=bool)
        for fit in _fits(source, target, best):
            open_ = np.minimum(np.maximum(target.steps, fit.step), LARGEST_STEP)
            is_rounding = fit.left <= np.maximum(NEARLY_NOTHING * gap, open_)
            if is_rounding.any():
                return int(columns[is_rounding.argmax()])
            falls = np.where(fit.left < best, fit.left < FALLS * fit.before, falls)
            np.minimum(best, fit.left, out=best)
        is_exact = falls & (best < RESOLVED) & ~_are_curves(source, target)
        if is_exact.any():
            return int(columns[is_exact.argmax()])
    return None


def _are_curves(X: _Columns, Y: _Columns) -> np.ndarray:
    """Return which targets are smooth in the order of rows, as any other smooth series tells them.

    Rows that a column of X sorts are no series.
    """
    steps = np.diff(X.values, axis=0)
    if ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).any():
        return np.zeros(Y.values.shape[1], dtype=bool)
    time = np.arange(len(Y), dtype=float)
    return np.array([_between_neighbors(time, y, 1) < RESOLVED for y in Y.values.T])


def _fits(X: _Columns, Y: _Columns, best: np.ndarray) -> Iterator[_Fit]:
    """Yield functions of every kind; `best` holds the least residuals so far."""
    yield _of_one_column(X, Y)
    n, p = X.values.shape
    if ROWS_PER_FEATURE * (p + 1) > n:
        yield _of_few_among_many(X, Y)
        if p + SPARE_ROWS <= n and p <= MOST_FEATURES:
            yield _linear_of_all(X, Y)
        return
    yield _polynomial(X, Y)
    yield _sum_of_splines(X, Y)
    if p > 1:
        yield from _of_one_index(X, Y, best)
        yield from _surfaces(X, Y, best)


def _of_one_column(X: _Columns, Y: _Columns) -> _Fit:
    """Interpolate each target between the neighbours of a row in one column of X."""
    n, q = Y.values.shape
    at = np.linspace(0, n - 2, min(ADJACENT, n - 1)).astype(int)
    jumps, single = np.empty((X.values.shape[1], q), np.float32), Y.values.astype(np.float32)
    for j, order in enumerate(X.order):
        steps = single[order[at + 1]] - single[order[at]]
        jumps[j] = np.minimum(np.abs(steps), 1.0).mean(axis=0)
    left, before, step = np.full((3, q), math.inf)
    near = np.argwhere(jumps < NEAR)
    for j, t in near[np.argsort(jumps[jumps < NEAR])[:MOST_CANDIDATES]]:
        x, y = X.values[X.order[j], j], Y.values[X.order[j], t]
        now, farther = (_between_neighbors(x, y, reach) for reach in (1, 2))
        if len(np.unique(np.sign(np.diff(y)))) == 1:
            now = 0.0  # the ranks are the same
        if now < left[t]:
            left[t], before[t], step[t] = now, farther, X.steps[j]
    return _Fit(left, before, step)


def _between_neighbors(x: np.ndarray, y: np.ndarray, reach: int) -> float:
    """Return the median residual of y, interpolated between rows before and after in order."""
    low, high = slice(None, -2 * reach), slice(2 * reach, None)
    width = x[high] - x[low]
    weight = np.where(width > 0, (x[reach:-reach] - x[low]) / np.where(width > 0, width, 1), 0.5)
    return float(np.median(np.abs(y[reach:-reach] - y[low] - weight * (y[high] - y[low]))))


def _of_few_among_many(X: _Columns, Y: _Columns) -> _Fit:
    """Add one column of X after the other, each the one that correlates with what is left."""
    Z, rest = (_unit(side.values).astype(np.float32) for side in (X, Y))
    basis, chosen = [], []
    for _ in range(MOST_TOGETHER):
        chosen.append(np.abs(Z.T @ rest).argmax(axis=0))
        direction = Z[:, chosen[-1]]
        for known in [*basis, *basis]:
            direction = direction - known * np.einsum("ij,ij->j", known, direction)
        basis.append(_unit(direction))
        rest = rest - basis[-1] * np.einsum("ij,ij->j", basis[-1], rest)
    left = np.full(rest.shape[1], math.inf)
    for t in np.flatnonzero(np.linalg.norm(rest, axis=0) < SMALL_REST):
        design = np.column_stack([np.ones(len(X)), X.values[:, [k[t] for k in chosen]]])
        left[t] = _residual(design, Y.values[:, t], design, Y.values[:, t])
    return _Fit(left, left)


def _unit(columns: np.ndarray) -> np.ndarray:
    """Return centred columns of length 1."""
    centred = columns - columns.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=0), SHORTEST)


def _linear_of_all(X: _Columns, Y: _Columns) -> _Fit:
    n, p = X.values.shape
    design = np.column_stack([np.ones(n), X.values])
    left = _residual(design, Y.values, design, Y.values) * math.sqrt(n / (n - p - 1))
    return _Fit(left, left)


def _residual(
    train: np.ndarray, train_y: np.ndarray, test: np.ndarray, test_y: np.ndarray
) -> np.ndarray:
    """Return the median residual of a least-squares fit on other rows."""
    return np.median(np.abs(test_y - test @ _least_squares(train, train_y)), axis=0)


def _least_squares(F: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return coefficients; columns are scaled first, so that powers of large values do no harm."""
    size = np.maximum(np.abs(F).max(axis=0), TINY)
    found: Any = lstsq(F / size, Y, lapack_driver="gelsy", check_finite=False)
    return (found[0].T / size).T


def _polynomial(X: _Columns, Y: _Columns) -> _Fit:
    """Fit a polynomial to half of the rows."""
    n, p = X.values.shape
    degree = LARGEST_DEGREE
    while ROWS_PER_FEATURE * math.comb(p + degree, degree) > min(n, MOST_FEATURES * 4):
        degree -= 1
        if degree == 1:
            break
    F = PolynomialFeatures(degree).fit_transform(X.values)
    left = _residual(F[::2], Y.values[::2], F[1::2], Y.values[1::2])
    return _Fit(left, left)


def _sum_of_splines(X: _Columns, Y: _Columns) -> _Fit:
    """Fit a sum of functions of single columns, with half of the knots to half of the rows."""
    n, p = X.values.shape
    most = min(max(min(n // 4, MOST_FEATURES) // p - 2, 4), MOST_KNOTS)
    found = []
    for step, knots in ((4, most // 2), (2, most)):
        places = np.linspace(-1, 1, knots)[:, None].repeat(p, axis=1)
        splines = SplineTransformer(knots=places).fit(X.squashed)  # type: ignore[arg-type]
        F = np.column_stack([splines.transform(X.squashed), X.values])
        found.append(_residual(F[::step], Y.values[::step], F[1::2], Y.values[1::2]))
    return _Fit(found[1], found[0])


def _of_one_index(X: _Columns, Y: _Columns, best: np.ndarray) -> Iterator[_Fit]:
    """Fit a curve in one linear combination of X to promising targets."""
    for t in _promising(best):
        left, before = np.full((2, len(best)), math.inf)
        left[t] = _curve(X.values, Y.values[:, t], 2)
        if left[t] < RESOLVED:
            before[t] = _curve(X.values, Y.values[:, t], 4)
        yield _Fit(left, before)


def _curve(X: np.ndarray, y: np.ndarray, step: int) -> float:
    """Return the median residual of a curve along a direction that Gauss-Newton steps turn."""
    train, own = X[::step], y[::step]
    direction = _least_squares(train - train.mean(axis=0), own - own.mean())
    curve = _spline(train @ direction, own)
    for _ in range(TURNS):
        index = train @ direction
        tilted = curve.derivative()(index)[:, None] * train
        direction = direction + _least_squares(tilted, own - curve(index))
        curve = _spline(train @ direction, own)
    return float(np.median(np.abs(y[1::2] - curve(X[1::2] @ direction))))


def _spline(x: np.ndarray, y: np.ndarray) -> BSpline:
    """Return the cubic least-squares spline with the same number of rows between any two knots."""
    # SciPy 1.14 takes no value twice: the mean of its rows, weighted, has the same fit.
    values, place, count = np.unique(x, return_inverse=True, return_counts=True)
    inner = np.quantile(x, np.linspace(0, 1, max(len(y) // ROWS_A_KNOT, 2) + 1)[1:-1])
    knots = np.concatenate([values[[0] * 4], inner, values[[-1] * 4]])
    return make_lsq_spline(values, np.bincount(place, y) / count, knots, w=np.sqrt(count))


def _promising(best: np.ndarray) -> Iterator[int]:
    """Yield the targets of the least residuals, if these are less than independence leaves."""
    for t in np.argsort(best)[:MOST_SEARCHED]:
        if best[t] < PROMISING:
            yield int(t)


def _surfaces(X: _Columns, Y: _Columns, best: np.ndarray) -> Iterator[_Fit]:
    """Interpolate promising targets in the two or three columns of X that matter most to each."""
    matters = _importance(X, Y)
    p, q = matters.shape
    for t in _promising(best):
        for k in range(2, min(p, MOST_TOGETHER) + 1):
            columns = np.sort(np.argsort(-matters[:, t])[:k])
            left, before = np.full((2, q), math.inf)
            left[t], before[t] = _surface(X.values[:, columns], Y.values[:, t])
            yield _Fit(left, before, float(X.steps[columns].max()))


def _importance(X: _Columns, Y: _Columns) -> np.ndarray:
    """Return how much a quadratic function of X varies with each column, for each target."""
    n, p = X.values.shape
    degree = 2 if ROWS_PER_FEATURE * math.comb(p + 2, 2) <= min(n, 4 * MOST_FEATURES) else 1
    quadratic = PolynomialFeatures(degree, include_bias=False)
    F = quadratic.fit_transform(X.squashed[::2])
    F -= F.mean(axis=0)
    found = _least_squares(F, Y.values[::2] - Y.values[::2].mean(axis=0))
    return (quadratic.powers_ > 0).T @ (np.square(found) * F.var(axis=0)[:, None])


def _surface(X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the median residuals of cubic radial functions, from all rows and from half."""
    rows, test = np.arange(0, len(X), 2)[:ROWS_OF_SURFACE], np.arange(1, len(X), 2)
    rows = rows[np.sort(np.unique(X[rows], axis=0, return_index=True)[1])]
    test = test[:ROWS_OF_SURFACE]
    found = []
    for used in (rows, rows[::2]):
        try:
            surface = RBFInterpolator(X[used], y[used], kernel="cubic")
        except (np.linalg.LinAlgError, ValueError):  # columns that are functions of each other
            return math.inf, math.inf
        found.append(float(np.median(np.abs(surface(X[test]) - y[test]))))
        if found[0] > RESOLVED:
            break
    return found[0], found[-1]
