"""How much two series say about each other when one of them is moved in time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import digamma
from scipy.stats import chi2, norm
from sklearn.base import clone

from sklearn_mi._checks import check_random_state
from sklearn_mi.information.copulas import NormalScores
from sklearn_mi.information.neighbors import neighbors_mi
from sklearn_mi.information.serial import (
    block_length,
    block_standard_error,
    check_blocks,
    effective_size,
)
from sklearn_mi.information.shifts import ChiSquare, number_of_shifts, whitened

if TYPE_CHECKING:
    from sklearn_mi.information.estimator import MIEstimator

__all__ = ["mutual_info_lags"]

FEWEST_ROWS = 20
MOST_COLUMNS = 3  # of both sides, for neighbours
N_NEIGHBORS = 5
NEARLY_EXACT = 0.9
SURELY = 3.0  # standard errors


def mutual_info_lags(
    x: Any,
    y: Any,
    lags: Any,
    *,
    estimator: MIEstimator | None = None,
    blocks: int | str | None = "auto",
    confidence: float = 0.95,
    random_state: Any = None,
) -> pd.DataFrame:
    r"""Return the mutual information of two series at each lag, with a band of no dependence.

    .. math:: I(x_t; y_{t + \text{lag}})

    A positive lag pairs a row of x with a later row of y: information at positive lags means that x
    goes before y. Both series must be sampled at the same times, at even distances.

    Use it to see when one series says something about another, or a series about itself. A peak is
    no proof of a cause: each series also carries its own past.

    Parameters
    ----------
    x, y : array-like of shape (n_samples,) or (n_samples, n_features)
        Numbers, in order of time.
    lags : int or array-like of int
        Rows that y is later than x, such as ``range(-20, 21)``. At most half of the rows.
    estimator : MIEstimator, default=None
        Fitted anew for each lag. By default a Gaussian copula, or nearest neighbours where they see
        more by 3 standard errors, as for a dependence that is not monotone. With more than three
        columns in all, the copula alone. The mean over series of which one runs backwards is
        subtracted, since the rows of a series are neighbours of each other.
    blocks : int, "auto" or None, default="auto"
        Rows after which the series have about forgotten themselves; "auto" is twice their
        autocorrelation time. None: take the rows as independent of one another.
    confidence : float, default=0.95
        Confidence level of the interval and of the band.
    random_state : int, RandomState or None, default=None
        Where the first backward series begins.

    Returns
    -------
    table : DataFrame
        One row for each lag, its index: ``value``, ``stderr``, ``low``, ``high`` and ``null_high``
        in nats, ``p_value`` and ``n_pairs``. Values of independent series stay below ``null_high``
        at each lag with the given confidence. It is NaN with an ``estimator``. ``high`` is
        infinite where one series gives the other exactly.

    Raises
    ------
    ValueError
        If a lag, a block or a series is not valid; the message names the cure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.lags import mutual_info_lags
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=1000)
    >>> y = np.roll(x, 3) ** 2 + rng.normal(size=1000)
    >>> table = mutual_info_lags(x, y, range(-5, 6), random_state=0)
    >>> int(table["value"].idxmax())
    3
    """
    X, Y = _read(x, y)
    lags = _read_lags(lags, len(X))
    check_blocks(blocks, len(X))
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r}; expected a number between 0 and 1.")
    if estimator is not None:
        rows = [_fitted(estimator, *_paired(X, Y, lag), blocks) for lag in lags]
    else:
        rng = check_random_state(random_state)
        null = _Null.of(X, Y, blocks, rng)
        rows = [null.row(*_paired(null.U, null.V, lag), confidence) for lag in lags]
    table = pd.DataFrame(rows, index=pd.Index(lags, name="lag"))
    table["n_pairs"] = len(X) - np.abs(lags)
    return table


def _read(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both series as tables of numbers."""
    X, Y = _as_numbers("x", x), _as_numbers("y", y)
    if len(X) != len(Y):
        raise ValueError(
            f"x has {len(X)} rows and y has {len(Y)}; expected as many, sampled at the same times."
        )
    indices = [side.index for side in (x, y) if isinstance(side, pd.Series | pd.DataFrame)]
    if len(indices) == 2 and not indices[0].equals(indices[1]):
        raise ValueError(
            "x and y have different indices; align them with x.align(y, join='inner'), or pass "
            "x.to_numpy() and y.to_numpy()."
        )
    return X, Y


def _as_numbers(name: str, series: Any) -> np.ndarray:
    try:
        rows = np.asarray(series, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} holds something else than numbers; expected a series of numbers."
        ) from error
    if rows.ndim not in (1, 2) or rows.size == 0:
        raise ValueError(
            f"{name} has shape {rows.shape}; expected (n_samples,) or (n_samples, n_features)."
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} contains NaN or infinity; fill these rows, as a lag counts rows.")
    if len(rows) < FEWEST_ROWS:
        raise ValueError(f"{name} has {len(rows)} rows; expected at least {FEWEST_ROWS}.")
    return rows.reshape(len(rows), -1)


def _read_lags(lags: Any, n: int) -> np.ndarray:
    values = np.atleast_1d(np.asarray(lags))
    if values.ndim > 1 or len(values) == 0 or values.dtype.kind not in "iu":
        raise ValueError(f"lags={lags!r}; expected integers, such as range(-20, 21).")
    longest = values[np.argmax(np.abs(values))]
    if 2 * abs(longest) > n:
        raise ValueError(
            f"lags has {longest} with n_samples={n}; expected at most half of the rows, {n // 2}."
        )
    return values.astype(int)


def _paired(X: np.ndarray, Y: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows t of X and rows t + lag of Y."""
    n = len(X)
    return X[max(0, -lag) : n - max(0, lag)], Y[max(0, lag) : n - max(0, -lag)]


def _orders(n: int, is_series: bool, rng: np.random.RandomState) -> list[np.ndarray]:
    """Return orders of rows without their partners: backwards from many rows, or at random."""
    n_orders = number_of_shifts(n)
    if not is_series:
        return [rng.permutation(n) for _ in range(n_orders)]
    starts = rng.randint(n) + np.arange(n_orders) * n // n_orders
    return [np.roll(np.arange(n)[::-1], start) for start in starts]


def _fitted(estimator: MIEstimator, X: np.ndarray, Y: np.ndarray, blocks: Any) -> dict[str, float]:
    """Return the numbers of an estimator at one lag."""
    fitted: Any = clone(estimator)
    fitted.fit(X, Y, **({} if blocks is None else {"blocks": blocks}))
    mi = fitted.mi_
    p_value = fitted.test_independence().p_value if fitted.split_test else math.nan
    return _row(mi.value, mi.stderr, *mi.interval, p_value, math.nan)


def _row(*numbers: float) -> dict[str, float]:
    names = ("value", "stderr", "low", "high", "p_value", "null_high")
    return dict(zip(names, numbers, strict=True))


@dataclass(frozen=True)
class _Null:
    """What the estimates are if the series are independent, from one of them running backwards.

    Attributes
    ----------
    U, V : ndarray of shape (n_samples, n_features)
        Normal scores.
    length : int
        Rows of a block.
    time : float
        Rows that count as one.
    copula, neighbors : float
        Means of the two estimates.
    freedom : float
        Degrees of freedom of the chi-square distribution that the copula's value follows.
    spread : float
        Standard deviation of the neighbours' estimate.
    """

    U: np.ndarray
    V: np.ndarray
    length: int
    time: float
    copula: float
    freedom: float
    neighbors: float
    spread: float

    @classmethod
    def of(cls, X: np.ndarray, Y: np.ndarray, blocks: Any, rng: np.random.RandomState) -> _Null:
        n = len(X)
        length = block_length(X, Y) if blocks == "auto" else blocks or 1
        time = 1.0 if blocks is None else n / effective_size(X, Y)
        U, V = (NormalScores().fit_transform(side) for side in (X, Y))
        orders = _orders(n, blocks is not None, rng)
        each = np.array([_estimates(U, V[order]).mean(axis=1) for order in orders])
        means, spreads = each.mean(axis=0).tolist(), each.std(axis=0, ddof=1).tolist()
        return cls(
            U,
            V,
            length,
            time,
            means[0],
            ChiSquare.of(each[:, 0], U.shape[1] * V.shape[1]).freedom,
            means[1],
            spreads[1],
        )

    def row(self, U: np.ndarray, V: np.ndarray, confidence: float) -> dict[str, float]:
        """Return the row of the table for one lag."""
        z, freedom = float(norm.ppf(0.5 + confidence / 2)), self.freedom
        null = self._of_pairs(len(U))
        copula, neighbors = _estimates(U, V)
        size = null._size(len(U))
        null_high = float(chi2.ppf(confidence, freedom)) / (2 * size) - null.copula
        p_value = float(chi2.sf(2 * size * copula.mean(), freedom))
        value = float(copula.mean()) - null.copula
        stderr = math.hypot(self._error(copula), math.sqrt(freedom / 2) / size)
        ends = [(value, stderr)]
        if neighbors.any():
            other = float(neighbors.mean()) - null.neighbors
            ends.append((other, math.hypot(self._error(neighbors), null.spread)))
            doubt = math.hypot(self._error(neighbors - copula), null.spread)
            # The Gaussian copula is the least that the correlations of normal scores can mean.
            if other - value > SURELY * doubt:
                del ends[0]
                value, stderr = ends[0]
                p_value = float(norm.sf(value / null.spread))
        low = max(0.0, min(center - z * error for center, error in ends))
        high = max(max(0.0, center) + z * error for center, error in ends)
        if neighbors.mean() > NEARLY_EXACT * (digamma(len(U)) - digamma(N_NEIGHBORS)):
            high = math.inf
        return _row(value, stderr, low, high, p_value, null_high)

    def _of_pairs(self, n: int) -> _Null:
        """Return the same for the fewer pairs of a lag."""
        more = len(self.U) / n
        return replace(
            self,
            copula=more * self.copula,
            neighbors=more * self.neighbors,
            spread=math.sqrt(more) * self.spread,
        )

    def _size(self, n: int) -> float:
        """Return the rows that count: twice as many times the copula's value is chi-square."""
        if self.U.shape[1] == self.V.shape[1] == 1:
            # Bartlett's correction of a likelihood ratio.
            return max(n / self.time - 2.5, 0.5)
        # The slowest pair of columns would speak for all; the mean value is that of all.
        return self.freedom / (2 * max(self.copula, 1e-12))

    def _error(self, local: np.ndarray) -> float:
        return block_standard_error(local, self.length)


def _estimates(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the values of each row by a Gaussian copula and by neighbours, of shape (2, n)."""
    neighbors = np.zeros(len(U))
    if U.shape[1] + V.shape[1] <= MOST_COLUMNS:
        neighbors = neighbors_mi(U, V, N_NEIGHBORS)
    return np.stack([_gaussian(U, V), neighbors])


def _gaussian(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the log-ratio of each row by a Gaussian fitted to the rows."""
    first, second = whitened(U), whitened(V)
    left, r, right = np.linalg.svd(first.T @ second / len(U), full_matrices=False)
    r = np.minimum(r, 1 - 1e-9)
    a, b = first @ left, second @ right.T
    own, shared = r**2 / (2 * (1 - r**2)), r / (1 - r**2)
    return -0.5 * np.log1p(-(r**2)).sum() - (a**2 + b**2) @ own + (a * b) @ shared
