"""What the figures measure on a trained learner: probes of its codes, and other numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from sklearn_mi.critics import Separable
from sklearn_mi.diagnostics import alignment, effective_rank, log_condition, uniformity
from sklearn_mi.evaluation import (
    CRITERIA,
    label_free_score,
    linear_probe,
    paper_probe,
    v_information,
)
from sklearn_mi.learner import MIRepresentationLearner
from sklearn_mi.study import Split

__all__ = [
    "NOISE",
    "OLD_PROBE",
    "PROBES",
    "few_labels",
    "fresh_bound",
    "geometry",
    "label_free_numbers",
    "log_conditions",
    "noisy_accuracy",
    "nonlinear_information",
]

NOISE = 0.05
PROBE = partial(paper_probe, random_state=0)
OLD_PROBE = partial(paper_probe, scaler="2019", random_state=0)
CONVERGED = partial(paper_probe, converged=True)
PROBES = {"accuracy": PROBE, "accuracy_converged": CONVERGED}


def geometry(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return numbers about the codes of test rows, other than accuracy and bounds."""
    train, test = slice(5_000), slice(2_500)
    Z, Z_prime = learner.transform_views(split.X_test[test])
    return {
        "alignment": alignment(Z, Z_prime) if Z.shape == Z_prime.shape else math.nan,
        "uniformity": uniformity(Z),
        "effective_rank": effective_rank(Z - Z.mean(axis=0)),
        "v_information": v_information(
            learner.transform(split.X_train[train]),
            split.y_train[train],
            learner.transform(split.X_test[test]),
            split.y_test[test],
        ),
    }


def noisy_accuracy(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return the accuracies of the paper's probe on top halves with fresh noise."""
    rng = np.random.default_rng(0)
    # The learner was fitted on bytes, so it divides any input by 255.
    codes = [
        learner.transform((X + 255 * rng.normal(0, NOISE, X.shape)).astype(np.float32))
        for X in (split.X_train, split.X_test)
    ]
    arrays = codes[0], split.y_train, codes[1], split.y_test
    return {name: probe(*arrays) for name, probe in PROBES.items()}


def log_conditions(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return percentiles of the encoder's log condition number at noisy training rows."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(split.X_train))[: learner.batch_size]
    top = split.X_train[chosen, : split.X_train.shape[1] // 2].reshape(len(chosen), -1) / 255
    top = (top + rng.normal(0, NOISE, top.shape)).astype(np.float32)
    numbers = log_condition(learner.encoder_, top)
    percentiles = {
        f"log_condition_p{p}": float(np.percentile(numbers, p)) for p in range(0, 101, 20)
    }
    return {"log_condition": float(np.median(numbers)), **percentiles}


def fresh_bound(learner: MIRepresentationLearner, split: Split) -> float:
    """Return InfoNCE on test rows of a new, larger critic trained on frozen codes."""
    critic = MIRepresentationLearner(
        view="paired",
        encoder="identity",
        encoder_y="separate",
        critic=Separable(hidden=(512, 512), width=256),
        output="first",
        batch_size=512,
        max_steps=1_000,
        early_stopping=True,
        eval_block_size=1_024,
        n_threads=learner.n_threads,
        random_state=0,
    )
    Z, Z_prime = learner.transform_views(split.X_train[:20_000])
    Z_new, Z_prime_new = learner.transform_views(split.X_test)
    return critic.fit(Z, X_pair=Z_prime).score(Z_new, X_pair=Z_prime_new)


def few_labels(
    learner: MIRepresentationLearner, split: Split, labels: Sequence[int]
) -> dict[str, float]:
    """Return accuracies with few labels in each class, averaged over five draws."""
    Z, Z_new = learner.transform(split.X_train), learner.transform(split.X_test)
    accuracies = {f"accuracy_{number}_labels": 0.0 for number in labels}
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(Z))
        in_class = pd.Series(split.y_train[order]).groupby(split.y_train[order]).cumcount()
        for number in labels:
            rows = order[in_class < number]
            accuracies[f"accuracy_{number}_labels"] += (
                linear_probe(Z[rows], split.y_train[rows], Z_new, split.y_test, Z_unlabelled=Z) / 5
            )
    return accuracies


def nonlinear_information(learner: MIRepresentationLearner, split: Split) -> float:
    """Return the V-information about the labels for an MLP, in nats, on the rows of `geometry`."""
    train, test = slice(5_000), slice(2_500)
    return v_information(
        learner.transform(split.X_train[train]),
        split.y_train[train],
        learner.transform(split.X_test[test]),
        split.y_test[test],
        probe="mlp",
    )


def label_free_numbers(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return every criterion that needs no labels on test rows; larger is better."""
    numbers = {
        name.replace("-", "_"): label_free_score(learner, split.X_test, criterion=name)
        for name in CRITERIA
    }
    return {**numbers, "alignment": -alignment(*learner.transform_views(split.X_test))}
