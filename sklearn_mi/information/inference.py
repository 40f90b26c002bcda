"""Bounds, intervals and tests on rows that the critics have not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm
from sklearn.utils import gen_batches

from sklearn_mi._base import Status
from sklearn_mi.bounds import (
    NWJ,
    SMILE,
    Bound,
    DonskerVaradhan,
    InfoNCE,
    Interpolated,
    infonce,
    infonce_terms,
)
from sklearn_mi.information.folds import BLOCK, blocks_of_rows
from sklearn_mi.information.influence import ALPHA, TAU, UnrelatedPairs, with_variances
from sklearn_mi.information.pairs import Pairs
from sklearn_mi.information.scale import Calibration
from sklearn_mi.information.serial import block_standard_error, shift_p_value

__all__ = [
    "BOUNDS_OF_RATIO",
    "GUARANTEES",
    "BoundOfRatio",
    "Critic",
    "Fold",
    "Independence",
    "betting_limit",
    "bounds_on",
    "bounds_table",
    "candidates_table",
    "certified_limit",
    "curves_table",
    "duplicates",
    "entropy",
    "infonce_on",
    "permutation_test",
    "standard_error",
    "two_sided",
]

CERTIFIED_BLOCK = 8
CERTIFIED_BOUND = 3.0
GRIDS, STEPS = (0.02, 5e-4), 50  # shares that a limit is looked for at
MOST_BLOCKS = 4
MOST_REPEATS = 0.01
PERMUTATIONS = 999


class Critic(Protocol):
    """A log-ratio, fitted to some rows, that scores others."""

    weights: np.ndarray
    losses: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    is_parametric: bool
    has_regressions: bool
    calibration: Calibration

    @property
    def family(self) -> str | None:
        """Name of the copula, if it is one alone."""

    def pairs(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the log-ratio of partners, of shape (n,)."""
        ...

    def matrix(self, X: np.ndarray, Y: np.ndarray) -> torch.Tensor:
        """Return the log-ratio of every pair of rows, of shape (n, m)."""
        ...

    def each(self, X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by each candidate alone."""
        ...

    def correction(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Return the bias correction of the mean log-ratio on new rows."""
        ...


@dataclass(frozen=True)
class BoundOfRatio:
    """A bound as a function of the scores of a log-ratio, which needs no baseline of its own.

    Attributes
    ----------
    kind : Bound or None
        The bound that it is; None: it is not a bound.
    """

    kind: Bound | None

    @property
    def status(self) -> Status:
        """Return which side of the mutual information the value estimates."""
        return "neither" if self.kind is None else self.kind.status

    def ceiling(self, n: int) -> float:
        """Return the largest possible value with n candidates."""
        return math.inf if self.kind is None else self.kind.ceiling(n)


BOUNDS_OF_RATIO = {
    "infonce": BoundOfRatio(InfoNCE()),
    "interpolated": BoundOfRatio(Interpolated(alpha=ALPHA)),
    "nwj": BoundOfRatio(NWJ()),
    "donsker-varadhan": BoundOfRatio(DonskerVaradhan()),
    "smile": BoundOfRatio(SMILE(tau=TAU)),
    "plug-in": BoundOfRatio(None),
}
GUARANTEES = ("infonce", "interpolated")


@dataclass(frozen=True)
class Independence:
    """Result of a permutation test of independence.

    Attributes
    ----------
    p_value : float
        Uniform under independence, whatever the critic.
    statistic : float
        Mean log-ratio of partners minus that of all pairs, in nats.
    n_pairs : int
        Permuted rows, none of which the critic has seen.
    """

    p_value: float
    statistic: float
    n_pairs: int


@dataclass(frozen=True)
class Fold:
    """One critic and what it reports on the rows that it has not seen."""

    ratio: Critic
    rows: np.ndarray
    pointwise: np.ndarray
    estimate: float
    bounds: dict[str, tuple[float, float]]
    guarantee: str
    block: int
    facts: dict[str, float]


def bounds_on(
    ratio: Critic,
    pairs: Pairs,
    rows: np.ndarray,
    rng: np.random.Generator,
    names: Sequence[str],
) -> tuple[dict[str, tuple[float, float]], int, dict[str, float]]:
    """Return bounds with their standard errors, the smallest block, and diagnostics.

    Diagnostics are the effective sample size of the unrelated pairs ("ess") and the share of
    partners that score above every unrelated pair ("above"). At most four blocks are scored.
    """
    groups = None if pairs.groups is None else pairs.groups[rows]
    blocks = blocks_of_rows(len(rows), groups, rng)[:MOST_BLOCKS]
    share = np.array([len(block) for block in blocks]) / sum(map(len, blocks))
    values, variances = [], []
    facts: dict[str, list[float]] = {"ess": [], "above": []}
    for block in blocks:
        scores = UnrelatedPairs(ratio.matrix(*pairs.take(rows[block])))
        value, variance = with_variances(scores, names)
        values.append(value)
        variances.append(variance)
        facts["ess"].append(scores.effective_sample_size)
        facts["above"].append(scores.share_of_partners_above)
    means = {name: float(share @ np.array(each)) for name, each in facts.items()}
    stderrs = np.sqrt(share**2 @ np.array(variances) * _dependence(ratio, pairs, rows))
    bounds = zip(share @ np.array(values), stderrs, strict=True)
    return dict(zip(names, bounds, strict=True)), min(map(len, blocks)), means


def _dependence(ratio: Critic, pairs: Pairs, rows: np.ndarray) -> float:
    """Return by how much the variance of a mean grows, since rows follow each other."""
    if pairs.block is None:
        return 1.0
    values = ratio.pairs(*pairs.take(rows))
    alone = max(standard_error(values), 1e-12)
    return max(1.0, (block_standard_error(values, pairs.block) / alone) ** 2)


def infonce_on(critics: Sequence[Critic], pairs: Pairs, rows: np.ndarray) -> np.ndarray:
    """Return InfoNCE of several critics on the same rows, in one block of at most 1,024."""
    rows = rows[:BLOCK]
    return np.array([float(infonce(critic.matrix(*pairs.take(rows)))) for critic in critics])


def bounds_table(folds: list[Fold], share: np.ndarray, confidence: float) -> pd.DataFrame:
    """Return every bound over all folds, with interval, status and ceiling."""
    block = min(fold.block for fold in folds)
    rows = []
    for name, kind in BOUNDS_OF_RATIO.items():
        each = np.array([fold.bounds[name] for fold in folds])
        value, stderr = float(share @ each[:, 0]), math.sqrt(float(share**2 @ each[:, 1] ** 2))
        low, high = two_sided(value, stderr, confidence)
        rows.append(
            {
                "bound": name,
                "value": value,
                "stderr": stderr,
                "low": low,
                "high": high,
                "status": kind.status,
                "ceiling": kind.ceiling(block),
                "n_candidates": block,
            }
        )
    return pd.DataFrame(rows).set_index("bound")


def candidates_table(folds: list[Fold], pairs: Pairs) -> pd.DataFrame:
    """Return the loss, weight and mean log-ratio of each candidate in each fold."""
    rows = []
    for k, fold in enumerate(folds):
        alone = fold.ratio.each(*pairs.take(fold.rows))
        used = dict(zip(alone, fold.ratio.weights, strict=True))
        losses = dict.fromkeys(alone, math.nan) | fold.ratio.losses
        for name, loss in losses.items():
            mean = float(alone[name].mean()) if name in alone else math.nan
            row = {"fold": k, "candidate": name, "loss": loss}
            rows.append({**row, "weight": used.get(name, math.nan), "mean_log_ratio": mean})
    return pd.DataFrame(rows)


def curves_table(folds: list[Fold]) -> pd.DataFrame:
    """Return the loss of each network on its stopping rows during training."""
    rows = [
        {"fold": k, "candidate": name, "step": step, "loss": loss}
        for k, fold in enumerate(folds)
        for name, curve in fold.ratio.curves.items()
        for step, loss in curve
    ]
    return pd.DataFrame(rows, columns=["fold", "candidate", "step", "loss"])


def two_sided(value: float, stderr: float, confidence: float) -> tuple[float, float]:
    """Return the normal confidence interval of a value."""
    half = stderr * float(norm.ppf(0.5 + confidence / 2))
    return value - half, value + half


def standard_error(
    values: np.ndarray, groups: np.ndarray | None = None, block: int | None = None
) -> float:
    """Return the standard error of a mean over independent rows, independent groups, or blocks."""
    if block is not None:
        return block_standard_error(values, block)
    if groups is None:
        return float(values.std(ddof=1) / math.sqrt(len(values)))
    sums = np.bincount(groups, values - values.mean())
    return float(math.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values))


def entropy(labels: np.ndarray) -> float:
    """Return the entropy of the category frequencies, in nats."""
    p = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(p * np.log(p)).sum())


def duplicates(pairs: Pairs) -> Iterator[str]:
    """Yield a warning if whole pairs repeat about as often as the values of each column do.

    Rounded numbers and categories recur, too, but far more often alone than all together.
    """
    labels = pd.factorize(pairs.Y)[0] if pairs.route == "class" else pairs.Y
    sides = [side.reshape(len(pairs), -1) for side in (pairs.X, labels)]
    together = _repeats(*sides)
    if together > MOST_REPEATS and together > 0.5 * min(_repeats(c) for s in sides for c in s.T):
        yield (
            f"{100 * together:.0f} % of the pairs repeat another pair, so folds are not "
            "independent and the numbers may be too high; drop the copies, or give all copies of "
            "a pair one number in groups"
        )


def _repeats(*sides: np.ndarray) -> float:
    """Return the share of rows that are not the first of their kind."""
    rows = zip(*sides, strict=True)
    return 1 - len({hash(tuple(part.tobytes() for part in row)) for row in rows}) / len(sides[0])


def permutation_test(
    ratio: Critic, pairs: Pairs, rows: np.ndarray, rng: np.random.Generator
) -> Independence:
    """Test whether real partners have a larger mean log-ratio than permuted, or shifted, ones."""
    scores = ratio.matrix(*pairs.take(rows)).numpy()
    n = len(scores)
    if pairs.block is not None:
        p_value, statistic, _ = shift_p_value(scores)
        return Independence(p_value, statistic, n)
    own = scores.diagonal().mean()
    order = np.arange(n)
    permuted = [scores[order, rng.permutation(n)].mean() for _ in range(PERMUTATIONS)]
    return Independence(permutation_p_value(own, permuted), float(own - scores.mean()), n)


def permutation_p_value(own: float, permuted: Sequence[float]) -> float:
    """Return the share of real and permuted means that are at least the real one."""
    # Under independence real and permuted means have one distribution, so ties count as larger.
    larger = int(np.sum(np.array(permuted) >= own - 1e-12))
    return (1 + larger) / (1 + len(permuted))


def certified_limit(ratio: Critic, pairs: Pairs, rows: np.ndarray, error: float) -> float:
    """Return a lower confidence limit of InfoNCE, valid for any distribution, by betting."""
    k = CERTIFIED_BLOCK
    blocks = [rows[i : i + k] for i in range(0, len(rows) - k + 1, k)]
    if not blocks:
        return math.nan
    values: list[float] = []
    for some in gen_batches(len(blocks), BLOCK // (4 * k)):
        scores = ratio.matrix(*pairs.take(np.concatenate(blocks[some])))
        scores = CERTIFIED_BOUND * torch.tanh(scores / CERTIFIED_BOUND)
        block = torch.arange(len(scores)) // k
        terms = infonce_terms(scores, negatives=block[:, None] == block)
        values += terms.view(-1, k).mean(1).tolist()
    low, high = -2 * CERTIFIED_BOUND, math.log(k)
    shares = (np.array(values) - low) / (high - low)
    return low + (high - low) * betting_limit(shares, error)


def betting_limit(values: np.ndarray, error: float) -> float:
    r"""Return a lower confidence limit for the mean of independent values in [0, 1].

    A gambler bets that each value exceeds m, with a stake that depends on earlier values only. If
    the mean is at most m, the wealth reaches 1 / error with at most that error probability. The
    limit is the largest m at which the wealth reaches it.

    Parameters
    ----------
    values : ndarray of shape (n,)
    error : float
        Largest probability that the limit exceeds the mean.

    Returns
    -------
    limit : float

    References
    ----------
    Estimating Means of Bounded Random Variables by Betting (Waudby-Smith & Ramdas, 2024),
    https://arxiv.org/abs/2010.09686

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.inference import betting_limit
    >>> values = np.random.default_rng(0).uniform(size=500)
    >>> print(f"{values.mean():.2f} {betting_limit(values, 0.05):.2f}")
    0.53 0.50
    """
    n = len(values)
    t = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(values)) / (t + 1)
    variance = (0.25 + np.cumsum((values - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    stake = np.sqrt(2 * math.log(1 / error) / (n * before))
    limit = 0.0
    for step in GRIDS:
        grid = limit + step * np.arange(1, 1 + round(min(1 - limit, STEPS * step) / step))
        bets = np.minimum(stake[:, None], 0.5 / grid)
        wealth = np.log1p(bets * (values[:, None] - grid)).cumsum(0).max(0)
        limit = float(grid[wealth >= math.log(1 / error)].max(initial=limit))
    return limit
