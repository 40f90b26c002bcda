"""A test of critics: whether trees tell partners from reweighted unrelated pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from sklearn_mi.information.pairs import Pairs

__all__ = ["Refutation", "refute"]

N_BINS = 64


@dataclass(frozen=True)
class Refutation:
    """Whether boosted trees can tell partners from unrelated pairs reweighted by the critic.

    If the critic is the log-ratio, unrelated pairs weighted by its exponential are distributed like
    partners, and no classifier can tell them apart.

    Attributes
    ----------
    auc : float
        Of gradient-boosted trees on new rows; 0.5 if they find no difference. NaN without a test,
        as are ``p_value`` and ``effective_sample_size``.
    p_value : float
        Of a one-sided test that there is no difference.
    effective_sample_size : float
        Of the weights; below 100 the test has little power.
    missing : float
        What the trees add to the mean log-ratio of partners, in nats.
    """

    auc: float
    p_value: float
    effective_sample_size: float
    missing: float = 0.0


def refute(pairs: Pairs, folds: Sequence[Any], seed: int) -> Refutation:
    """Train boosted trees to tell partners from unrelated pairs reweighted by the critic.

    There is no test of a series, whose neighbours in time stand in both halves of the rows; of
    frequencies, which model nothing; of wide tables, in which trees see little and the low-rank
    model has tests of its own; and where few groups leave no unrelated pairs.
    """
    if pairs.block is not None or pairs.route == "labels" or pairs.is_wide:
        return Refutation(math.nan, math.nan, math.nan)
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
            sample["joint"].append(_features(pairs.X[rows], pairs.Y[rows], pairs.classes))
            if apart.any():
                X, Y = pairs.X[rows[apart]], pairs.Y[other[apart]]
                sample["product"].append(_features(X, Y, pairs.classes))
                sample["log_weights"].append(fold.ratio.pairs(X, Y))
    if not all(sample["product"] for sample in samples):
        return Refutation(math.nan, math.nan, math.nan)
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
    labels = Y if classes is None else np.searchsorted(classes, Y)
    return np.hstack([side.reshape(len(side), -1) for side in (X, labels)])


def _told_apart(samples: list[dict[str, np.ndarray]], seed: int) -> Refutation:
    """Return how well trees fitted to one half tell the samples of the other apart."""
    auc, z, sizes, missing = zip(
        *(_judged(own, new, seed) for own, new in (samples, samples[::-1])), strict=True
    )
    # The two z scores share rows, so they may correlate; their mean has a variance of at most 1
    # whatever the correlation. A z score of all rows together would not.
    p_value = float(norm.sf(np.mean(z)))
    return Refutation(float(np.mean(auc)), p_value, float(sum(sizes)), float(np.mean(missing)))


def _judged(
    own: dict[str, np.ndarray], new: dict[str, np.ndarray], seed: int
) -> tuple[float, float, float, float]:
    """Return AUC, z, effective sample size and mean log-odds of partners, on new rows."""
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
    odds = np.log(score / (1 - score))[target == 1]
    return (
        float(roc_auc_score(target, score, sample_weight=weight)),
        float((means[0] - means[1]) / max(math.sqrt(sum(variances)), 1e-12)),
        float(product.sum() ** 2 / (product**2).sum()),
        float(odds.mean()),
    )


def _labelled(sample: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, 1 for partners and 0 for unrelated pairs, and weights."""
    sizes = [len(sample[name]) for name in ("joint", "product")]
    rows = np.concatenate([sample["joint"], sample["product"]])
    weights = np.concatenate([np.ones(sizes[0]), sample["weights"]])
    return rows, np.repeat([1, 0], sizes), weights
