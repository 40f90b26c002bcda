"""Bounds, intervals and tests on rows that the critics have not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

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
    donsker_varadhan,
    infonce,
    interpolated,
    nwj_of_ratio,
    smile,
)
from sklearn_mi.information.ratios import ClassRatio, Ratio
from sklearn_mi.reports import jackknife

__all__ = [
    "BOUNDS_OF_RATIO",
    "GUARANTEES",
    "BoundOfRatio",
    "Fold",
    "Independence",
    "Pairs",
    "Refutation",
    "betting_limit",
    "blocks_of_rows",
    "bounds_on",
    "bounds_table",
    "candidates_table",
    "certified_limit",
    "curves_table",
    "duplicates",
    "entropy",
    "fold_of_rows",
    "one_a_group",
    "permutation_test",
    "refute",
    "standard_error",
    "two_sided",
]

ALPHA = 0.01
BLOCK = 1024
CERTIFIED_BLOCK = 8
CERTIFIED_BOUND = 3.0
JACKKNIFE_GROUPS = 10  # of each block, and blocks are pooled
N_BINS = 64
PERMUTATIONS = 999
TAU = 5.0


@dataclass(frozen=True)
class BoundOfRatio:
    """A bound as a function of the scores of a log-ratio, which needs no baseline of its own.

    Attributes
    ----------
    value : callable
        From scores (n, n) to nats.
    kind : Bound or None
        The bound that it is; None: it is not a bound.
    """

    value: Callable[[torch.Tensor], torch.Tensor]
    kind: Bound | None

    @property
    def status(self) -> Status:
        """Return which side of the mutual information the value estimates."""
        return "neither" if self.kind is None else self.kind.status

    def ceiling(self, n: int) -> float:
        """Return the largest possible value with n candidates."""
        return math.inf if self.kind is None else self.kind.ceiling(n)


def _plug_in(scores: torch.Tensor) -> torch.Tensor:
    return scores.diagonal().mean()


def _interpolated(scores: torch.Tensor) -> torch.Tensor:
    return interpolated(scores, scores.new_zeros(len(scores)), ALPHA)


BOUNDS_OF_RATIO = {
    "infonce": BoundOfRatio(infonce, InfoNCE()),
    "interpolated": BoundOfRatio(_interpolated, Interpolated(alpha=ALPHA)),
    "nwj": BoundOfRatio(nwj_of_ratio, NWJ()),
    "donsker-varadhan": BoundOfRatio(donsker_varadhan, DonskerVaradhan()),
    "smile": BoundOfRatio(partial(smile, tau=TAU), SMILE(tau=TAU)),
    "plug-in": BoundOfRatio(_plug_in, None),
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
class Refutation:
    """Whether boosted trees can tell partners from unrelated pairs reweighted by the critic.

    If the critic is the log-ratio, unrelated pairs weighted by its exponential are distributed like
    partners, and no classifier can tell them apart.

    Attributes
    ----------
    auc : float
        Of gradient-boosted trees on new rows; 0.5 if they find no difference.
    p_value : float
        Of a one-sided test that there is no difference.
    effective_sample_size : float
        Of the weights; below 100 the test has little power.
    """

    auc: float
    p_value: float
    effective_sample_size: float


@dataclass(frozen=True)
class Pairs:
    """Checked rows of both sides, the categories if Y is one, and the groups."""

    X: np.ndarray
    Y: np.ndarray
    classes: np.ndarray | None
    groups: np.ndarray | None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return some rows of both sides."""
        return self.X[rows], self.Y[rows]


@dataclass(frozen=True)
class Fold:
    """One critic and what it reports on the rows that it has not seen."""

    ratio: Ratio | ClassRatio
    rows: np.ndarray
    pointwise: np.ndarray
    estimate: float
    bounds: dict[str, tuple[float, float]]
    guarantee: str
    block: int
    facts: dict[str, float]


def fold_of_rows(n: int, groups: np.ndarray | None, n_folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row; each group lies in one fold."""
    rng = np.random.default_rng(seed)
    if groups is None:
        if n < 4 * n_folds:
            raise ValueError(
                f"n_folds={n_folds} with n_samples={n}; expected at least 4 rows in each fold, so "
                "use fewer folds or more rows."
            )
        return rng.permutation(np.arange(n) % n_folds)
    n_groups = groups.max() + 1
    if n_groups < 4 * n_folds:
        raise ValueError(
            f"n_folds={n_folds} with {n_groups} groups; expected at least 4 groups in each fold, "
            "so use fewer folds or more groups."
        )
    return rng.permutation(np.arange(n_groups) % n_folds)[groups]


def one_a_group(
    rows: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Return rows in random order, one from each group."""
    rows = rng.permutation(rows)
    return rows if groups is None else rows[np.unique(groups[rows], return_index=True)[1]]


def blocks_of_rows(
    n: int, groups: np.ndarray | None, rng: np.random.Generator, size: int = BLOCK
) -> list[np.ndarray]:
    """Split rows into blocks of similar size; the rows of each block are independent."""
    left, rounds = rng.permutation(n), []
    while len(left):
        chosen = np.arange(len(left))
        if groups is not None:
            chosen = np.unique(groups[left], return_index=True)[1]
        rounds.append(rng.permutation(left[chosen]))
        left = np.delete(left, chosen)
    blocks = [
        block for rows in rounds for block in np.array_split(rows, math.ceil(len(rows) / size))
    ]
    # Large groups leave small blocks at the end, whose ceiling is too low to be useful.
    return [block for block in blocks if len(block) >= max(2, len(blocks[0]) // 2)]


def _each_bound(scores: torch.Tensor, names: Sequence[str]) -> list[float]:
    return [float(BOUNDS_OF_RATIO[name].value(scores)) for name in names]


def _variances(scores: torch.Tensor, names: Sequence[str]) -> np.ndarray:
    def without(kept: torch.Tensor) -> list[float]:
        return _each_bound(scores[kept][:, kept], names)

    return jackknife(without, len(scores), JACKKNIFE_GROUPS)


def bounds_on(
    ratio: Ratio | ClassRatio,
    pairs: Pairs,
    rows: np.ndarray,
    rng: np.random.Generator,
    names: Sequence[str],
) -> tuple[dict[str, tuple[float, float]], int, dict[str, float]]:
    """Return bounds with their standard errors, the smallest block, and diagnostics.

    Diagnostics are the effective sample size of the unrelated pairs ("ess") and the share of
    partners that score above every unrelated pair ("above").
    """
    groups = None if pairs.groups is None else pairs.groups[rows]
    blocks = blocks_of_rows(len(rows), groups, rng)
    share = np.array([len(block) for block in blocks]) / sum(map(len, blocks))
    values, variances = [], []
    facts: dict[str, list[float]] = {"ess": [], "above": []}
    for block in blocks:
        scores = ratio.matrix(*pairs.take(rows[block]))
        values.append(_each_bound(scores, names))
        variances.append(_variances(scores, names))
        unrelated = scores.clone().fill_diagonal_(-math.inf).flatten()
        weights = (2 * unrelated.logsumexp(0) - (2 * unrelated).logsumexp(0)).exp()
        facts["ess"].append(float(weights))
        facts["above"].append(float((scores.diagonal() > unrelated.max()).double().mean()))
    means = {name: float(share @ np.array(each)) for name, each in facts.items()}
    bounds = zip(share @ np.array(values), np.sqrt(share**2 @ np.array(variances)), strict=True)
    return dict(zip(names, bounds, strict=True)), min(map(len, blocks)), means


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
        for name, loss in fold.ratio.losses.items():
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


def standard_error(values: np.ndarray, groups: np.ndarray | None) -> float:
    """Return the standard error of a mean over independent rows, or independent groups."""
    if groups is None:
        return float(values.std(ddof=1) / math.sqrt(len(values)))
    sums = np.bincount(groups, values - values.mean())
    return float(math.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values))


def entropy(labels: np.ndarray) -> float:
    """Return the entropy of the category frequencies, in nats."""
    p = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(p * np.log(p)).sum())


def duplicates(pairs: Pairs) -> Iterator[str]:
    """Yield a warning for each side with repeated rows."""
    sides = {"X": pairs.X} if pairs.classes is not None else {"X": pairs.X, "Y": pairs.Y}
    for name, rows in sides.items():
        repeated = 1 - len(np.unique(rows.reshape(len(rows), -1), axis=0)) / len(rows)
        if repeated > 0.01:
            yield (
                f"{100 * repeated:.0f} % of the rows of {name} repeat another row; if whole pairs "
                "repeat, folds are not independent and the numbers are too high"
            )


def permutation_test(
    ratio: Ratio | ClassRatio, pairs: Pairs, rows: np.ndarray, rng: np.random.Generator
) -> Independence:
    """Test whether real partners have a larger mean log-ratio than permuted ones."""
    scores = ratio.matrix(*pairs.take(rows)).numpy()
    n = len(scores)
    own = scores.diagonal().mean()
    order = np.arange(n)
    permuted = [scores[order, rng.permutation(n)].mean() for _ in range(PERMUTATIONS)]
    # Under independence real and permuted means have one distribution, so ties count as larger.
    larger = int(np.sum(np.array(permuted) >= own - 1e-12))
    return Independence((1 + larger) / (1 + PERMUTATIONS), float(own - scores.mean()), n)


def certified_limit(
    ratio: Ratio | ClassRatio, pairs: Pairs, rows: np.ndarray, error: float
) -> float:
    """Return a lower confidence limit of InfoNCE, valid for any distribution, by betting."""
    k = CERTIFIED_BLOCK
    blocks = [rows[i : i + k] for i in range(0, len(rows) - k + 1, k)]
    if not blocks:
        return math.nan
    values = []
    for some in gen_batches(len(blocks), BLOCK // (4 * k)):
        scores = ratio.matrix(*pairs.take(np.concatenate(blocks[some])))
        scores = CERTIFIED_BOUND * torch.tanh(scores / CERTIFIED_BOUND)
        values += [float(infonce(scores[i : i + k, i : i + k])) for i in range(0, len(scores), k)]
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
    grid = np.linspace(0, 1, 2001)[1:-1]
    bets = np.minimum(stake[:, None], 0.5 / grid)
    wealth = np.log1p(bets * (values[:, None] - grid)).cumsum(0).max(0)
    won = grid[wealth >= math.log(1 / error)]
    return float(won.max()) if len(won) else 0.0


def refute(pairs: Pairs, folds: list[Fold], seed: int) -> Refutation:
    """Train boosted trees to tell partners from unrelated pairs reweighted by the critic."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(2):
        samples.append({"joint": [], "product": [], "log_weights": []})
    for fold in folds:
        # The trees learn on one half of the rows and are tested on the other.
        for sample, rows in zip(
            samples, np.array_split(rng.permutation(fold.rows), 2), strict=True
        ):
            other = np.roll(rows, 1)
            apart = np.ones(len(rows), bool)
            if pairs.groups is not None:
                apart = pairs.groups[rows] != pairs.groups[other]
            X, Y = pairs.X[rows[apart]], pairs.Y[other[apart]]
            sample["joint"].append(_features(pairs.X[rows], pairs.Y[rows], pairs.classes))
            sample["product"].append(_features(X, Y, pairs.classes))
            sample["log_weights"].append(fold.ratio.pairs(X, Y))
    halves = [{name: np.concatenate(part) for name, part in sample.items()} for sample in samples]
    # Trees use bins only, and weighted binning in each fit would take longer than growing them.
    edges = _edges(halves[0]["joint"])
    for sample in halves:
        for name in ("joint", "product"):
            sample[name] = _in_bins(sample[name], edges)
        logs = sample.pop("log_weights")
        weights = np.exp(logs - logs.max())
        sample["weights"] = weights * len(sample["joint"]) / weights.sum()
    return _told_apart(halves, seed)


def _edges(rows: np.ndarray) -> list[np.ndarray]:
    shares = np.arange(1, N_BINS) / N_BINS
    return [np.unique(np.quantile(column, shares, method="lower")) for column in rows.T]


def _in_bins(rows: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    columns = zip(edges, rows.T, strict=True)
    return np.stack([np.searchsorted(edge, column) for edge, column in columns], axis=1)


def _features(X: np.ndarray, Y: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    second = Y.reshape(len(Y), -1) if classes is None else np.searchsorted(classes, Y)[:, None]
    return np.hstack([X.reshape(len(X), -1), second])


def _told_apart(samples: list[dict[str, np.ndarray]], seed: int) -> Refutation:
    """Return how well trees fitted to one half tell the samples of the other apart."""
    auc, z, sizes = zip(
        *(_judged(own, new, seed) for own, new in (samples, samples[::-1])), strict=True
    )
    # The two z scores share rows, so they may correlate; their mean has a variance of at most 1
    # whatever the correlation. A z score of all rows together would not.
    return Refutation(float(np.mean(auc)), float(norm.sf(np.mean(z))), float(sum(sizes)))


def _judged(
    own: dict[str, np.ndarray], new: dict[str, np.ndarray], seed: int
) -> tuple[float, float, float]:
    """Return AUC, z and effective sample size of trees on rows they have not seen."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    trees = HistGradientBoostingClassifier(
        learning_rate=0.05, max_leaf_nodes=16, max_iter=100, random_state=seed
    )
    rows, target, weight = _labelled(own)
    trees.fit(rows, target, sample_weight=weight)
    rows, target, weight = _labelled(new)
    score = trees.predict_proba(rows)[:, 1]
    means, variances = [], []
    for label in (1, 0):
        s, w = score[target == label], weight[target == label] / weight[target == label].sum()
        means.append(w @ s)
        variances.append(np.sum((w * (s - w @ s)) ** 2))
    product = weight[target == 0]
    return (
        float(roc_auc_score(target, score, sample_weight=weight)),
        float((means[0] - means[1]) / max(math.sqrt(sum(variances)), 1e-12)),
        float(product.sum() ** 2 / (product**2).sum()),
    )


def _labelled(sample: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, 1 for partners and 0 for unrelated pairs, and weights."""
    sizes = [len(sample[name]) for name in ("joint", "product")]
    rows = np.concatenate([sample["joint"], sample["product"]])
    weights = np.concatenate([np.ones(sizes[0]), sample["weights"]])
    return rows, np.repeat([1, 0], sizes), weights
