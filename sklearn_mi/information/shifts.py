"""Series that are parted: what an estimate is if two series have nothing in common.

Rows of a series resemble the rows before them, so by chance two series seem to share more than
independent rows do, and an estimate that is fitted to its own rows is too high. One series is moved
along the other, by a block and more, its end joined to its start. That keeps what both series are
alone and parts partners. The mean of the estimates is the bias that is subtracted, their spread the
error that remains. (One series that runs backwards would meet each pair of rows twice, and seem to
have fewer independent rows where the series depend on each other.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.plugin import Table

__all__ = ["ChiSquare", "chi_square", "number_of_shifts", "over_shifts", "table_rows", "whitened"]

FEWEST_SHIFTS, MOST_SHIFTS, MANY_SHIFTS = 10, 60, 200
MANY_ROWS = 10_000 / 3


def number_of_shifts(n: int, most: int = MOST_SHIFTS) -> int:
    """Return how many shifts of n rows to look at: fewer of many rows, but at least 10."""
    return max(FEWEST_SHIFTS, min(most, int(most * MANY_ROWS / n)))


def over_shifts(
    estimate: Callable[[np.ndarray], np.ndarray | float],
    n: int,
    block: int,
    most: int = MOST_SHIFTS,
) -> np.ndarray:
    """Return an estimate for each of many shifts of the rows of one series.

    Parameters
    ----------
    estimate : callable
        Takes the order of the rows, and returns one number or several.
    n : int
        Number of rows.
    block : int
        Rows of a block, the least shift; at most a quarter of the rows is used.
    most : int, default=60
        Number of shifts.

    Returns
    -------
    estimates : ndarray of shape (n_shifts,) or (n_shifts, n_numbers)
    """
    least = min(block, n // 4)
    shifts = np.linspace(least, n - least, number_of_shifts(n, most)).astype(int)
    return np.array([estimate(np.roll(np.arange(n), shift)) for shift in shifts])


@dataclass(frozen=True)
class ChiSquare:
    r"""Estimates of no information: :math:`2 n' \hat I` is chi-square.

    Attributes
    ----------
    mean : float
        Of the estimates, in nats: their bias.
    freedom : float
        Degrees of freedom of the chi-square.
    """

    mean: float
    freedom: float

    @classmethod
    def of(cls, estimates: np.ndarray, most: float) -> ChiSquare:
        """Return the chi-square with the moments of the estimates.

        Parameters
        ----------
        estimates : ndarray
        most : float
            The degrees of freedom of independent rows; slow series have fewer.
        """
        mean, spread = float(estimates.mean()), float(estimates.std(ddof=1))
        freedom = float(np.clip(2 * mean**2 / max(spread**2, 1e-24), 1, max(most, 1)))
        return cls(mean, freedom)

    @property
    def rows(self) -> float:
        """The number of independent rows whose estimates have this mean."""
        return self.freedom / (2 * max(self.mean, 1e-12))

    @property
    def spread(self) -> float:
        """The standard deviation of the estimates."""
        return self.mean * math.sqrt(2 / self.freedom)


def chi_square(U: np.ndarray, V: np.ndarray, block: int) -> ChiSquare:
    """Return the chi-square of the Gaussian information of two series that are parted.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_features_x)
        Normal scores, in order of the rows.
    V : ndarray of shape (n_samples, n_features_y)
    block : int
        Rows of a block.

    Returns
    -------
    found : ChiSquare

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.datasets import autoregressive_pairs
    >>> from sklearn_mi.information.shifts import chi_square
    >>> X, Y = autoregressive_pairs(0.9, 0.6).sample(4000, random_state=0)
    >>> print(f"{len(X)} rows count as {chi_square(X, Y, 20).rows:.0f} independent ones")
    4000 rows count as 321 independent ones
    """
    A, B = whitened(U), whitened(V)

    def information(order: np.ndarray) -> float:
        r = np.linalg.svd(A.T @ B[order] / len(A), compute_uv=False)
        return float(-0.5 * np.log1p(-np.minimum(r**2, 1 - 1e-9)).sum())

    return ChiSquare.of(
        over_shifts(information, len(U), block, MANY_SHIFTS), A.shape[1] * B.shape[1]
    )


def whitened(U: np.ndarray) -> np.ndarray:
    """Return uncorrelated columns of unit variance, without the directions that are constant.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_features)

    Returns
    -------
    W : ndarray of shape (n_samples, rank)
    """
    left, s, _ = np.linalg.svd(U - U.mean(axis=0), full_matrices=False)
    return left[:, s > 1e-8 * max(s.max(initial=0.0), 1e-9)] * np.sqrt(len(U))


def table_rows(x: Coded, y: Coded, block: int) -> float:
    """Return how many independent rows have the plug-in of two series of labels that are parted.

    Parameters
    ----------
    x, y : Coded
        Tables of labels or few values, in order of the rows.
    block : int
        Rows of a block.

    Returns
    -------
    n_effective : float
        At most the number of rows.
    """
    a, b = (np.unique(side.rows, return_inverse=True)[1] for side in (x, y))
    freedom = a.max(initial=0) * b.max(initial=0)
    parted = over_shifts(lambda order: Table(a, b[order]).mean, len(a), block, MANY_SHIFTS)
    return min(max(freedom, 1) / (2 * max(float(parted.mean()), 1e-12)), float(len(a)))
