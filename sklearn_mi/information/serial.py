r"""Rows in order of time: how far they depend on one another, and what holds nevertheless.

Rows of a series resemble the rows before them, so n rows say less than n independent ones. If X and
Y are independent of each other, the variance of a mean of products :math:`f(x_t) g(y_t)` grows by

.. math:: \tau = 1 + 2 \sum_{k \ge 1} \rho_f(k) \rho_g(k),

where :math:`\rho` are autocorrelations (Bartlett, 1935). It takes both sides: :math:`\tau = 1` if
the rows of one side are independent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.fft import next_fast_len
from scipy.stats import norm, rankdata
from scipy.stats import t as student_t

__all__ = [
    "autocorrelation_time",
    "block_folds",
    "block_length",
    "block_standard_error",
    "check_blocks",
    "effective_size",
    "far_from",
    "serial_warning",
    "shift_p_value",
    "split_in_order",
]

LARGEST_TIME_UNSAID = 1.2  # At 1.2, a test at 5 % rejects 7 % of independent series.
LENGTH_IN_TIMES = 2
LONGEST_LAG = 10_000
MOST_COLUMNS = 16
MOST_VALUES = 500_000
N_PERMUTATIONS = 199
PERMUTED_VALUES = 20_000
SHORT_LAGS = 5
SLOWEST = 4
WINDOW = 5  # Of autocorrelation times (Sokal, 1997).


def autocorrelation_time(X: np.ndarray, Y: np.ndarray) -> float:
    r"""Return how many rows count as one, :math:`\tau` of the slowest pair of columns.

    Autocorrelations are those of ranks, and of their distance from the middle, which shows changing
    spread. The sum over lags ends at the first lag beyond :math:`5 \tau` (Sokal, 1997).

    Parameters
    ----------
    X, Y : ndarray of shape (n_samples, ...)
        Rows in order. Of many columns, some are looked at.

    Returns
    -------
    time : float
        At least 1, its value for independent rows.

    References
    ----------
    Monte Carlo Methods in Statistical Mechanics: Foundations and New Algorithms (Sokal, 1997).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.signal import lfilter
    >>> from sklearn_mi.information.serial import autocorrelation_time
    >>> noise = np.random.default_rng(0).normal(size=(5000, 2))
    >>> series = lfilter([1], [1, -0.8], noise, axis=0)
    >>> print(f"{autocorrelation_time(series[:, :1], series[:, 1:]):.1f}, 4.6 for many rows")
    4.8, 4.6 for many rows
    """
    first, second = (_slowest(_autocorrelations(_ranks(A))) for A in (X, Y))
    products = first[:, None] * second[None]
    return float(max(1.0, _times(products).max(initial=1.0)))


def effective_size(X: np.ndarray, Y: np.ndarray) -> float:
    """Return how many independent rows say as much about the dependence of X and Y as these do.

    Parameters
    ----------
    X, Y : ndarray of shape (n_samples, ...)
        Rows in order.

    Returns
    -------
    n_effective : float
        ``n_samples`` divided by `autocorrelation_time`, and at least 4.
    """
    return max(4.0, len(X) / autocorrelation_time(X, Y))


def _ranks(A: np.ndarray) -> np.ndarray:
    """Return standardised ranks of some columns and their distances from the middle, as rows."""
    n = len(A)
    columns = np.asarray(A).reshape(n, -1)
    n_columns = max(1, min(MOST_COLUMNS, MOST_VALUES // n, columns.shape[1]))
    some = columns[:, np.linspace(0, columns.shape[1] - 1, n_columns).round().astype(int)].T
    codes = [c if c.dtype.kind in "biuf" else np.unique(c, return_inverse=True)[1] for c in some]
    ranks = np.stack([rankdata(column) for column in codes]) - (n + 1) / 2
    both = np.concatenate([ranks, np.abs(ranks)])
    both -= both.mean(axis=1, keepdims=True)
    spread = both.std(axis=1, keepdims=True)
    return (both / np.maximum(spread, 1e-9))[spread[:, 0] > 1e-9]


def _autocorrelations(series: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of each standardised series at lags 0, 1, ..."""
    n = series.shape[1]
    size = next_fast_len(2 * n, real=True)
    power = np.abs(np.fft.rfft(series, size, axis=1)) ** 2
    return np.fft.irfft(power, size, axis=1)[:, : min(n // 2, LONGEST_LAG) + 1] / n


def _slowest(rho: np.ndarray) -> np.ndarray:
    return rho[np.argsort(-_times(rho**2), kind="stable")[:SLOWEST]]


def _times(rho: np.ndarray) -> np.ndarray:
    """Return the integrated time of autocorrelations, from lag 0 on the last axis."""
    times = 2 * np.cumsum(rho, axis=-1) - 1
    ends = np.arange(times.shape[-1]) >= WINDOW * times
    ends[..., -1] = True
    return np.take_along_axis(times, ends.argmax(-1)[..., None], -1)[..., 0]


def serial_warning(X: np.ndarray, Y: np.ndarray) -> str | None:
    """Return a sentence with the cure if rows of both sides depend on the rows before them.

    Parameters
    ----------
    X, Y : ndarray of shape (n_samples, ...)
        Rows in order.

    Returns
    -------
    warning : str or None
        None if the number of rows that count falls by less than a sixth, or if no dependence shows
        on one of the sides. On independent rows a sentence has a probability of at most 0.5 %.
    """
    time = autocorrelation_time(X, Y)
    if time < LARGEST_TIME_UNSAID or not all(_depends_on_order(_ranks(A)) for A in (X, Y)):
        return None
    if _is_sorted(X) or _is_sorted(Y):
        return (
            "the rows are sorted by a column, so neighbours are alike on both sides; if the order "
            "is one of time or space, pass blocks='auto', else shuffle the rows to be rid of this "
            "warning"
        )
    return (
        f"each row is like the rows before it on both sides: {len(X)} rows count as about "
        f"{len(X) / time:.0f} independent ones, so p-values and intervals claim too much; pass "
        "blocks='auto', or shuffle the rows if their order means nothing"
    )


def _depends_on_order(series: np.ndarray) -> bool:
    """Return whether autocorrelation exceeds that of every one of 199 permutations."""
    rng = np.random.default_rng(0)
    series = _runs(series)
    own = _short(series)
    return all(
        _short(series[:, rng.permutation(series.shape[1])]) < own for _ in range(N_PERMUTATIONS)
    )


def _runs(series: np.ndarray) -> np.ndarray:
    """Return at most ``PERMUTED_VALUES`` values, in 20 runs from start to end."""
    n, longest = series.shape[1], PERMUTED_VALUES // (20 * max(1, len(series)))
    if n <= 20 * longest:
        return series
    starts = np.linspace(0, n - longest, 20).astype(int)
    return series[:, (starts[:, None] + np.arange(longest)).ravel()]


def _short(series: np.ndarray) -> float:
    """Return the sum of squared autocorrelations at short lags, of the largest series."""
    lags = range(1, min(SHORT_LAGS, series.shape[1] // 2) + 1)
    sums = [np.einsum("ct,ct->c", series[:, k:], series[:, :-k]) ** 2 for k in lags]
    return float(np.sum(sums, axis=0).max(initial=0.0))


def _is_sorted(A: np.ndarray) -> bool:
    """Return whether equal values of a column are together: it increases, or classes are in order.

    Also true of a time stamp.
    """
    columns = np.asarray(A).reshape(len(A), -1)[:, :MOST_COLUMNS].T
    for column in columns:
        n_values = len(np.unique(column))
        changes = (column[1:] != column[:-1]).sum()
        is_monotone = n_values > 1 and changes == n_values - 1
        if is_monotone and (n_values <= math.sqrt(len(A)) or _increases(column)):
            return True
    return False


def _increases(column: np.ndarray) -> bool:
    return bool(np.all(column[1:] >= column[:-1]) or np.all(column[1:] <= column[:-1]))


def check_blocks(blocks: Any, n: int, groups: Any = None) -> None:
    """Raise a ValueError if ``blocks`` is neither None, "auto" nor a length that n rows allow.

    Parameters
    ----------
    blocks : int, "auto" or None
        Rows of a block.
    n : int
        Number of rows.
    groups : array-like of shape (n,), default=None
        Cannot be passed beside blocks.
    """
    if blocks is None:
        return
    if groups is not None:
        raise ValueError(
            "blocks and groups were both passed; blocks are for rows in order of time, groups for "
            "rows that belong together, so pass one of them."
        )
    if isinstance(blocks, str) and blocks == "auto":
        return
    if not isinstance(blocks, int | np.integer) or isinstance(blocks, bool) or blocks < 1:
        raise ValueError(
            f"blocks={blocks!r}; expected None, 'auto' or a positive integer, the rows of a block."
        )
    if 2 * blocks > n:
        raise ValueError(
            f"blocks={blocks} with n_samples={n}; expected at most half of the rows, {n // 2}."
        )


def block_length(X: np.ndarray, Y: np.ndarray) -> int:
    """Return the length of blocks that are about independent: twice the autocorrelation time.

    Parameters
    ----------
    X, Y : ndarray of shape (n_samples, ...)
        Rows in order.

    Returns
    -------
    length : int
        At most an eighth of the rows, so that training rows are left between gaps.
    """
    length = math.ceil(LENGTH_IN_TIMES * autocorrelation_time(X, Y))
    return max(1, min(length, len(X) // 8))


def block_folds(n: int, length: int, n_folds: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return contiguous folds, and for each the rows that are far from it.

    Parameters
    ----------
    n : int
        Number of rows.
    length : int
        Rows of a block; at most half of the rows.
    n_folds : int
        Fewer are made if a fold would be shorter than a block or than 4 rows.

    Returns
    -------
    fold_of : ndarray of shape (n,)
    kept : list of ndarray
        Rows to train on for each fold: none is within a block of a row of the fold. If blocks are
        so long that this leaves less than half of the other rows, the gap is shorter.
    """
    n_folds = max(2, min(n_folds, n // max(length, 4)))
    fold_of = np.arange(n) * n_folds // n
    return fold_of, [far_from(np.flatnonzero(fold_of == k), n, length) for k in range(n_folds)]


def far_from(rows: np.ndarray, n: int, length: int) -> np.ndarray:
    """Return the rows of n that are more than a block away from a run of rows.

    Parameters
    ----------
    rows : ndarray of int
        A run of rows, such as a fold.
    n : int
        Number of rows.
    length : int
        Rows of a block. The gap is at most a quarter of the other rows.

    Returns
    -------
    kept : ndarray of int
    """
    gap = min(length, (n - len(rows)) // 4)
    every = np.arange(n)
    return every[(every < rows[0] - gap) | (every > rows[-1] + gap)]


def split_in_order(kept: np.ndarray, length: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into training rows and a run of stopping rows, with a gap between.

    Parameters
    ----------
    kept : ndarray of int
        Rows in order, in one run or two, as `far_from` returns them.
    length : int
        Rows of a block. The gap is at most a quarter of the rows that are left.
    share : float
        Share of the rows that becomes stopping rows.

    Returns
    -------
    train, stop : ndarray of int
        The stopping rows are at an end of the longest run, so there is one gap.
    """
    n_stop = max(2, round(share * len(kept)))
    runs = np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    longest = max(runs, key=len)
    stop = longest[-n_stop:] if longest is runs[-1] else longest[:n_stop]
    left = np.setdiff1d(kept, stop)
    gap = min(length, len(left) // 4)
    return left[(left < stop[0] - gap) | (left > stop[-1] + gap)], stop


def block_standard_error(values: np.ndarray, length: int) -> float:
    r"""Return the standard error of the mean of values that depend on the values before them.

    With :math:`s_b^2` the long-run variance from overlapping blocks of b values, it is
    :math:`\max(s_b^2, 2 s_b^2 - s_{b/2}^2)`, without the bias of first order that blocks have when
    the dependence reaches beyond them. Few blocks tell a variance badly: the error is wider by the
    ratio of the quantiles of Student's t, with one degree of freedom for each block, to the normal
    one.

    Parameters
    ----------
    values : ndarray of shape (n,)
        In order of the rows.
    length : int
        Rows of a block.

    Returns
    -------
    stderr : float

    References
    ----------
    Lugsail Lag Windows for Estimating Time-Average Covariance Matrices (Vats & Flegal, 2022),
    https://arxiv.org/abs/1809.04541

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.serial import block_standard_error
    >>> values = np.repeat(np.random.default_rng(0).normal(size=200), 10)
    >>> print(f"{values.std() / 2000**0.5:.3f} {block_standard_error(values, 40):.3f}")
    0.021 0.079
    """
    n = len(values)
    length = max(1, min(length, n // 2))
    variance = _long_run_variance(values, length)
    if length > 1:
        variance = max(variance, 2 * variance - _long_run_variance(values, length // 2))
    few = student_t.ppf(0.975, max(1.0, n / length - 1)) / norm.ppf(0.975)
    return float(few * math.sqrt(variance / n))


def _long_run_variance(values: np.ndarray, length: int) -> float:
    """Return n times the variance of the mean, from the means of overlapping blocks."""
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values - values.mean())])
    means = (sums[length:] - sums[:-length]) / length
    return float(n * length / (n - length) * np.mean(means**2))


def shift_p_value(scores: np.ndarray) -> tuple[float, float, int]:
    r"""Return the p-value of independence by shifts of one side along the other.

    The statistic is the mean score of partners minus that of all pairs. Shifts keep the order of
    the rows of each side and part partners. Row t meets row t + s of a circle, the series followed
    by its mirror image, which has no seam:

    .. math:: p = \frac{1}{2n} \#\left\{s : \sum_t f(x_t, y_{t + s}) \ge \sum_t f(x_t, y_t)\right\},

    with f without the means of its rows and columns.

    Small shifts count as well. With a share of the shifts only, those far from 0, a series of few
    independent stretches would be rejected far too often.

    Parameters
    ----------
    scores : ndarray of shape (n, n)
        Of a critic that was not fitted to these rows, which follow each other: ``scores[i, j]``
        belongs to ``x[i]`` and ``y[j]``.

    Returns
    -------
    p_value : float
    statistic : float
        In nats, if the scores are log-ratios.
    n_shifts : int
        2n; neighbouring ones are alike, so `effective_size` says how much they can tell.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.serial import shift_p_value
    >>> walks = np.random.default_rng(0).normal(size=(2, 500)).cumsum(axis=1)
    >>> p_value, statistic, n_shifts = shift_p_value(np.outer(*walks))
    >>> p_value > 0.05, n_shifts
    (True, 1000)
    """
    n = len(scores)
    # Part of the circle has means of its own, which are no dependence.
    centred = scores - scores.mean(axis=0) - scores.mean(axis=1, keepdims=True) + scores.mean()
    circle = np.hstack([centred, centred[:, ::-1]])
    shifts = (np.arange(2 * n) - np.arange(n)[:, None]) % (2 * n)
    totals = np.bincount(shifts.ravel(), circle.ravel())
    slack = 1e-9 * max(np.abs(totals).max(), np.abs(scores).max())
    return float(np.mean(totals >= totals[0] - slack)), float(totals[0] / n), 2 * n
