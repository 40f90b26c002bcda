"""What normal scores lose where tables depend strongly on each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtri

from sklearn_mi.information.copulas import canonical_correlations

if TYPE_CHECKING:
    from sklearn_mi.information.copulas import Canonical

__all__ = ["RankError", "rank_error"]

LEAST_DRAWS, MOST_DRAWS = 12, 50
MOST_ROWS = 5000
NUMBERS = 500_000  # in all draws of a round
ROUNDS = 4
STEEPEST = 0.6
STRONG = 0.7
UNRESOLVED = 0.5  # nats of a direction


class RankError(NamedTuple):
    """What ranks lose of an information, in nats.

    Attributes
    ----------
    loss : float
    spread : float
        Standard deviation of the loss over draws.
    slope : float
        By how much more is lost of a nat more.
    is_resolved : bool
        Whether ranks tell most of each direction.
    """

    loss: float = 0.0
    spread: float = 0.0
    slope: float = 0.0
    is_resolved: bool = True

    def interval(self, value: float, low: float, high: float, z: float) -> tuple[float, float]:
        """Return the interval of the value with what is lost, given that of the value without."""
        below, above = (math.hypot(value - end, z * self.spread) for end in (low, high))
        centre, wider = value + self.loss, 1 / (1 - self.slope)
        return centre - wider * below, centre + wider * above if self.is_resolved else math.inf


def rank_error(U: np.ndarray, V: np.ndarray, found: Canonical, seed: int) -> RankError:
    r"""Return what ranks lose of the information of Gaussian columns.

    Ranks of n rows blur a value by about :math:`n^{-1/2}`. Where little else parts the two tables
    that is much: 500 rows of correlation .999 lose .13 nats. So Gaussian rows with the correlations
    of these rows are drawn, and their canonical correlations are compared with those of their
    ranks. The next round draws rows in which that loss is made good.

    Parameters
    ----------
    U, V : ndarray
        Normal scores.
    found : Canonical
        Their canonical correlations.
    seed : int

    Returns
    -------
    error : RankError
        In nats; 0 if no correlation is strong.
    """
    k = int((found.squared > STRONG).sum())
    if not k:
        return RankError()
    n, p = len(U), U.shape[1]
    rows = min(n, MOST_ROWS)
    draws = int(np.clip(NUMBERS // (rows * (p + V.shape[1])), LEAST_DRAWS, MOST_DRAWS))
    grid = ndtri((np.arange(rows) + 0.5) / rows)
    lost, losses, rounds = np.zeros(k), np.empty((draws, k)), [0.0]
    for _ in range(ROUNDS):
        root = _root(U, V, found, lost)
        rng = np.random.default_rng(seed)
        for loss in losses:
            drawn = rng.normal(size=(rows, len(root))) @ root.T
            ranked = grid[drawn.argsort(axis=0).argsort(axis=0)]
            loss[:] = _shared(drawn, p)[:k] - _shared(ranked, p)[:k]
        lost = np.maximum(losses.mean(axis=0), 0) * rows / n
        rounds.append(float(lost.sum()))
    first, second, *_, last = np.diff(rounds)
    spread = float(losses.sum(axis=1).std(ddof=1)) * rows / n
    return RankError(
        loss=rounds[-1],
        # A loss that still grows from round to round is known no better than by its last step.
        spread=math.hypot(spread, last),
        slope=float(np.clip(second / max(first, 1e-12), 0, STEEPEST)),
        is_resolved=bool(lost.max() < UNRESOLVED),
    )


def _shared(both: np.ndarray, p: int) -> np.ndarray:
    """Return the information of each pair of canonical directions."""
    r = canonical_correlations(both[:, :p], both[:, p:]).sample
    return -0.5 * np.log1p(-np.minimum(r**2, 1 - 1e-12))


def _root(U: np.ndarray, V: np.ndarray, found: Canonical, lost: np.ndarray) -> np.ndarray:
    """Return a root of the covariance in which the first directions share more by ``lost``."""
    squared = found.squared.copy()
    squared[: len(lost)] = 1 - (1 - squared[: len(lost)]) * np.exp(-2 * lost)
    own, other = (np.atleast_2d(np.cov(side.T, bias=True)) for side in (U, V))
    loadings = own @ found.first, other @ found.second
    across = loadings[0] * np.sqrt(squared) @ loadings[1].T
    covariance = np.block([[own, across], [across.T, other]])
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))
