"""The information of a copula in closed form, with an interval that holds from none to much."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import chndtr
from scipy.stats import norm

from sklearn_mi.information.copulas import GaussianRatio, NormalScores, canonical_correlations
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.inference import standard_error, two_sided
from sklearn_mi.information.ranks import rank_error
from sklearn_mi.information.ratios import copula_of_all
from sklearn_mi.information.shifts import ChiSquare, chi_square
from sklearn_mi.information.sides import independent_components

__all__ = ["copula_guess", "gaussian_interval"]

FEW_ROWS = 100
NO_NOISE = 1 - 1e-7


def copula_guess(
    family: str,
    X: np.ndarray,
    Y: np.ndarray,
    pointwise: np.ndarray,
    *,
    confidence: float,
    seed: int,
    groups: np.ndarray | None = None,
    block: int | None = None,
) -> Guess:
    """Return the information of a copula that is fitted to all rows.

    Of a series, the mean over partners that are parted is subtracted: see `chi_square`.

    Parameters
    ----------
    family : {"gaussian", "unmixed", "student"}
    X, Y : ndarray
    pointwise : ndarray of shape (n_samples,)
        Log-ratios on new rows, for the standard error.
    confidence : float
    seed : int
    groups : ndarray of shape (n_samples,), default=None
    block : int, default=None
        Rows of a block, if rows are a series.

    Returns
    -------
    guess : Guess
    """
    try:
        copula, U, V = copula_of_all(family, X, Y, seed)
    except np.linalg.LinAlgError:
        # Columns follow from others, so only correlations are left.
        family = "gaussian"
        copula, U, V = copula_of_all(family, X, Y, seed)
    stderr = standard_error(pointwise, groups, block)
    found = canonical_correlations(U, V)
    # What a copula says beyond the correlations.
    beyond = copula.mi + float(0.5 * np.log1p(-found.squared).sum())
    if block is None:
        # As many independent rows as would give this standard error.
        ratio = standard_error(pointwise, None) / max(stderr, 1e-12)
        n = len(X) * (1.0 if groups is None else min(1.0, ratio**2))
        shape = X.shape[1], Y.shape[1]
        value = copula.mi
        low, high = gaussian_interval(found.sample, found.squared, n, shape, confidence)
    else:
        null = chi_square(U, V, block)
        value, low, high = _of_series(found.sample, null, len(X), confidence)
        value += beyond
        # Critics that keep little see little spread.
        own = copula.pairs(torch.as_tensor(U), torch.as_tensor(V)).numpy()
        stderr = math.hypot(max(stderr, standard_error(own, None, block)), null.spread)
    if block is not None or not isinstance(copula, GaussianRatio):
        more = max(beyond, 0.0)
        plain = two_sided(value, stderr, confidence)
        low, high = min(max(plain[0], 0), low + more), max(plain[1], high + more)
    if family == "unmixed":
        high += 2 * _unmixing_growth(X, Y, copula.mi, seed)
    lost = rank_error(U, V, found, seed)
    low, high = lost.interval(value, low, high, float(norm.ppf(0.5 + confidence / 2)))
    value, low = float(np.clip(value + lost.loss, low, high)), max(low, 0.0)
    stderr, how = math.hypot(stderr, lost.spread), f"{family} copula (in-sample)"
    if found.sample.max(initial=0.0) ** 2 >= NO_NOISE:
        fact = (
            "a column of one table follows from the other table without noise, so the information "
            "is infinite, or beyond what these rows resolve"
        )
    elif not lost.is_resolved:
        fact = f"dependence is so strong that the ranks of {len(X)} rows do not resolve it"
    else:
        return Guess(value, stderr, (low, high), how)
    return Guess(value, stderr, (low, np.inf), how, at_least=True, warnings=(fact,))


def _unmixing_growth(X: np.ndarray, Y: np.ndarray, mi: float, seed: int) -> float:
    """Return how much more information components of all rows show than those of every other row.

    About as much is left to gain with ever more rows.
    """
    scores = []
    for rows in (X, Y):
        found = independent_components(rows[::2], seed)
        scores.append(NormalScores().fit_transform(rows if found is None else rows @ found))
    return max(mi - GaussianRatio(canonical_correlations(*scores)).mi, 0.0)


def gaussian_interval(
    r: np.ndarray, squared: np.ndarray, n: float, shape: tuple[int, int], confidence: float
) -> tuple[float, float]:
    r"""Return the interval of the information of Gaussian tables.

    With p and q columns, sample correlations r and :math:`n' = n - 1 - (p + q + 1) / 2` (Bartlett),
    :math:`T = -n' \sum \log(1 - r^2)` is near :math:`2 n' (I - J) + \chi^2_{pq}(2 n' J)`, a shifted
    noncentral chi-square with :math:`J = \frac12 \sum \rho^2`. The interval inverts this test along
    the profile of the estimated correlations, so it holds near independence as well as far from it.

    Parameters
    ----------
    r : ndarray
        All sample canonical correlations.
    squared : ndarray
        Estimates of those that are not 0, squared.
    n : float
        Number of independent rows.
    shape : tuple of int
        Columns of both sides.
    confidence : float

    Returns
    -------
    low, high : float
        In nats; ``low`` is 0 if independence is not excluded.

    References
    ----------
    An Introduction to Multivariate Statistical Analysis (Anderson, 2003), chapter 9
    """
    freedom = shape[0] * shape[1]
    rows = max(n - 1 - (sum(shape) + 1) / 2, 1.0)
    statistic = -rows * float(np.log1p(-np.minimum(r**2, 1 - 1e-9)).sum())
    # Ranks of few rows err by more; the plain chi-square is wider where correlations are large.
    return _inverted(statistic, rows, freedom, squared, confidence, also_plain=n < FEW_ROWS)


def _of_series(
    r: np.ndarray, null: ChiSquare, n: int, confidence: float
) -> tuple[float, float, float]:
    """Return the Gaussian information of two series and its interval."""
    squared = np.minimum(r**2, 1 - 1e-9)
    seen, rows = -0.5 * float(np.log1p(-squared).sum()), min(null.rows, float(n))
    few = rows < FEW_ROWS
    ends = _inverted(2 * rows * seen, rows, null.freedom, squared, confidence, also_plain=few)
    return seen - null.mean, *ends


def _inverted(
    statistic: float,
    rows: float,
    freedom: float,
    squared: np.ndarray,
    confidence: float,
    *,
    also_plain: bool,
) -> tuple[float, float]:
    """Return the least and the largest information that a chi-square statistic allows."""
    profile = -np.log1p(-np.minimum(squared, 1 - 1e-9)) if squared.any() else np.ones(1)
    profile = profile / profile.sum()

    def solve(level: float, *, plain: bool) -> float:
        def excess(information: float) -> float:
            shift = 2 * rows * information
            own = shift if plain else -rows * np.expm1(-2 * information * profile).sum()
            return float(chndtr(max(statistic - shift + own, 0), freedom, own)) - level

        if excess(0) < 0:
            return 0.0
        return float(brentq(excess, 0, 2 * statistic / rows + 20 * freedom / rows))  # pyright: ignore

    tails = (1 + confidence) / 2, (1 - confidence) / 2
    low, high = (solve(level, plain=False) for level in tails)
    if also_plain:
        low, high = min(low, solve(tails[0], plain=True)), max(high, solve(tails[1], plain=True))
    return low, high
