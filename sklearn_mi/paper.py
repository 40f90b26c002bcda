"""The experiments of Tschannen et al. (2020) as studies: what each figure trains and measures.

On Mutual Information Maximization for Representation Learning (Tschannen, Djolonga, Rubenstein,
Gelly, Lucic, 2020), https://arxiv.org/abs/1907.13625. ``python -m sklearn_mi study paper`` runs
them; ``examples/paper`` draws them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi.adversarial import AdversarialEncoder
from sklearn_mi.critics import Concat, Separable
from sklearn_mi.datasets import fetch_cifar10, fetch_mnist, toy_pairs
from sklearn_mi.diagnostics import alignment, effective_rank, log_condition, uniformity
from sklearn_mi.encoders import MLP, RealNVP
from sklearn_mi.estimators import MIRepresentationLearner
from sklearn_mi.evaluation import (
    CRITERIA,
    label_free_score,
    linear_probe,
    paper_probe,
    v_information,
)
from sklearn_mi.objectives import Matched
from sklearn_mi.study import Learner, Split, estimate_hours, read_study, run_study
from sklearn_mi.views import Compose, Function, GaussianNoise, Halves

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["FIGURES", "SCALES", "Figure", "Scale", "hours_of_figure", "read_figure", "run_figure"]

NOISE = 0.05
# A bound of .02 nats has a standard error of .002 over 12,800 pairs, of .0006 over these.
TOY_ROWS = 128_000
OBJECTIVES = ("infonce", "nwj")
LEARNER = MIRepresentationLearner(
    100,
    view=Halves(),
    output="first",
    lr=1e-4,
    schedule="constant",
    batch_size=128,
    validation_fraction=0.0,
    eval_block_size=128,
)


@dataclass(frozen=True)
class Figure:
    """What one figure trains and measures.

    Parameters
    ----------
    title : str
    learners : dict of Learner
    facts : dict of dict
        For each learner what `examples/paper/findings.py` calls it: critic, encoder, ...
    data : dict of callable
        That return a `Split`.
    probes, measures : dict of callable
        As for `sklearn_mi.study.run_study`.
    steps : int, default=20000
        The paper's.
    every : int, default=1000
        Steps between the paper's evaluations.
    short : bool, default=False
        Cheap enough for all of its steps at the scale "cpu".
    bound_rows : int, default=12800
        As for `sklearn_mi.study.run_study`; 100 batches.
    """

    title: str
    learners: Mapping[str, Learner]
    facts: dict[str, dict[str, Any]]
    data: dict[str, Callable[[], Split]]
    probes: dict[str, Any] = field(default_factory=lambda: {**PROBES})
    measures: dict[str, Any] = field(default_factory=lambda: {"geometry": _geometry})
    steps: int = 20_000
    every: int = 1_000
    short: bool = False
    bound_rows: int = 12_800

    def stops(self, scale: str) -> list[int]:
        """Return the steps at which to measure at a scale."""
        shares = SCALES[scale].shares
        if shares is None or (self.short and scale == "cpu"):
            return list(range(0, self.steps + 1, self.every))
        return [round(share * self.steps) for share in shares]


@dataclass(frozen=True)
class Scale:
    """How much of a figure to run.

    Parameters
    ----------
    shares : tuple of float or None
        Where to measure, as shares of the paper's number of steps; None: wherever it does.
    seeds : int
    rows : int or None, default=None
        Rows to learn from and to test on, each the first so many; None: all.
    """

    shares: tuple[float, ...] | None
    seeds: int
    rows: int | None = None


PROBE = partial(paper_probe, random_state=0)
OLD_PROBE = partial(paper_probe, scaler="2019", random_state=0)
CONVERGED = partial(paper_probe, converged=True)
PROBES = {"accuracy": PROBE, "accuracy_converged": CONVERGED}
SCALES = {
    "quick": Scale((0, 0.005), 1, rows=5_000),
    "cpu": Scale((0, 0.05, 0.25), 3),
    "full": Scale(None, 20),
}


def _mnist() -> Split:
    X_train, y_train, X_test, y_test = fetch_mnist()
    return Split(X_train, X_test, y_train, y_test)


def _top_halves() -> Split:
    split = _mnist()
    return Split(split.X_train[:, :14], split.X_test[:, :14], split.y_train, split.y_test)


def _cifar10() -> Split:
    X_train, y_train, X_test, y_test = fetch_cifar10()
    return Split(X_train, X_test, y_train, y_test)


def _no_rows() -> Split:
    """Return rows without content: the view of the toy draws its own."""
    return Split(*(np.zeros((TOY_ROWS, 1), np.float32) for _ in range(2)))


def _toy(iid: bool, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    return toy_pairs(len(x), iid=iid, generator=generator)


def _geometry(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return what can be said of the codes beside accuracy and bounds, on untouched rows."""
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


def _noisy_accuracy(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return the accuracies of the paper's probe on top halves with noise of their own."""
    rng = np.random.default_rng(0)
    # The learner was fitted on bytes, so it divides by 255 whatever it is given.
    codes = [
        learner.transform((X + 255 * rng.normal(0, NOISE, X.shape)).astype(np.float32))
        for X in (split.X_train, split.X_test)
    ]
    arrays = codes[0], split.y_train, codes[1], split.y_test
    return {name: probe(*arrays) for name, probe in PROBES.items()}


def _log_condition(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return percentiles of the encoder's log condition number at noisy training rows."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(split.X_train))[: learner.batch_size]
    top = split.X_train[chosen, : split.X_train.shape[1] // 2].reshape(len(chosen), -1) / 255
    top = (top + rng.normal(0, NOISE, top.shape)).astype(np.float32)
    found = log_condition(learner.encoder_, top)
    percentiles = {f"log_condition_p{p}": np.percentile(found, p) for p in range(0, 101, 20)}
    return {"log_condition": float(np.median(found)), **percentiles}


def _grid(
    points: Iterable[tuple[dict[str, Any], dict[str, Any]]],
) -> tuple[dict[str, MIRepresentationLearner], dict[str, dict[str, Any]]]:
    """Return learners and facts by name, from pairs of facts and parameters."""
    learners, facts = {}, {}
    for fact, params in points:
        name = " ".join(f"{value:g}" if isinstance(value, float) else str(value)
                        for value in fact.values())  # fmt: skip
        learners[name] = MIRepresentationLearner(**{**LEARNER.get_params(deep=False), **params})
        facts[name] = fact
    return learners, facts


def _figure_1() -> Figure:
    points = [
        (
            {"encoder": "realnvp", "objective": objective},
            {
                "encoder": RealNVP(),
                "n_components": None,
                "critic": "bilinear",
                "objective": objective,
            },
        )
        for objective in OBJECTIVES
    ]
    return Figure(
        "bijective encoders",
        *_grid(points),
        {"mnist": _mnist},
        probes={**PROBES, "accuracy_2019": OLD_PROBE},
        measures={},
    )


def _figure_1c() -> Figure:
    learner = AdversarialEncoder(RealNVP(affine=True))
    return Figure(
        "an encoder trained against a classifier",
        {"realnvp adversarial": learner},
        {"realnvp adversarial": {"encoder": "realnvp"}},
        {"mnist, top halves": _top_halves},
        probes={**PROBES, "accuracy_2019": OLD_PROBE},
        measures={},
        steps=4_000,
        every=400,
    )


def _figure_2() -> Figure:
    view = Compose(Halves(), GaussianNoise(NOISE, shared=True))
    points = [
        (
            {"encoder": "skip-mlp", "objective": objective},
            {
                "encoder": "skip-mlp",
                "n_components": None,
                "critic": "bilinear",
                "objective": objective,
                "view": view,
            },
        )
        for objective in OBJECTIVES
    ]
    measures = {
        "accuracy": _noisy_accuracy,
        "log_condition": _log_condition,
        "geometry": _geometry,
    }
    return Figure("can-be-invertible encoders", *_grid(points), {"mnist": _mnist}, {}, measures)


CRITICS = {"bilinear": "bilinear", "separable": "separable", "concat": Concat(hidden=(200,))}


def _figure_3(data: Callable[[], Split] = _mnist, name: str = "mnist", **params: Any) -> Figure:
    points = [
        (
            {"critic": critic, "objective": objective},
            {"encoder": MLP(hidden=(300, 300)), "critic": made, "objective": objective, **params},
        )
        for objective in OBJECTIVES
        for critic, made in CRITICS.items()
    ]
    return Figure("capacity of the critic", *_grid(points), {name: data})


def _figure_4(data: Callable[[], Split] = _mnist, name: str = "mnist", **params: Any) -> Figure:
    encoders = {"mlp": MLP(hidden=(300, 300)), "convnet": "convnet"}
    points = [
        (
            {"encoder": encoder, "objective": objective, "target": target},
            {
                "encoder": made,
                "critic": "bilinear",
                "objective": Matched(objective, target),
                **params,
            },
        )
        for objective in OBJECTIVES
        for encoder, made in encoders.items()
        for target in (2.0, 4.0)
    ]
    return Figure("matched bounds", *_grid(points), {name: data})


def _figure_4c() -> Figure:
    points = [
        (
            {"objective": objective, "iid": iid},
            {
                "encoder": "identity",
                "encoder_y": "separate",
                "n_components": None,
                "critic": Concat(hidden=(10,) * 5),
                "objective": objective,
                "view": Function(partial(_toy, iid)),
                "standardize": False,
            },
        )
        for objective in OBJECTIVES
        for iid in (True, False)
    ]
    return Figure(
        "dependent batches",
        *_grid(points),
        {"toy": _no_rows},
        {},
        {},
        short=True,
        bound_rows=TOY_ROWS,
    )


def _figure_8() -> Figure:
    return _on_cifar10(_figure_3)


def _figure_9() -> Figure:
    return _on_cifar10(_figure_4)


def _on_cifar10(figure: Callable[..., Figure]) -> Figure:
    made = figure(_cifar10, "cifar10", lr=1e-5)
    return Figure(made.title, made.learners, made.facts, made.data, steps=60_000, every=1_000)


def _fresh_bound(learner: MIRepresentationLearner, split: Split) -> float:
    """Return InfoNCE on untouched rows of a new, larger critic, trained on frozen codes."""
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


def _few_labels(
    learner: MIRepresentationLearner, split: Split, labels: Sequence[int]
) -> dict[str, float]:
    """Return accuracies with so many labelled rows a class, each the mean over five draws."""
    Z, Z_new = learner.transform(split.X_train), learner.transform(split.X_test)
    found = {f"accuracy_{number}_labels": 0.0 for number in labels}
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(Z))
        in_class = pd.Series(split.y_train[order]).groupby(split.y_train[order]).cumcount()
        for number in labels:
            rows = order[in_class < number]
            found[f"accuracy_{number}_labels"] += (
                linear_probe(Z[rows], split.y_train[rows], Z_new, split.y_test, Z_unlabelled=Z) / 5
            )
    return found


def _nonlinear_information(learner: MIRepresentationLearner, split: Split) -> float:
    """Return what an MLP reads from the codes, in nats, from the rows of `_geometry`."""
    train, test = slice(5_000), slice(2_500)
    return v_information(
        learner.transform(split.X_train[train]),
        split.y_train[train],
        learner.transform(split.X_test[test]),
        split.y_test[test],
        probe="mlp",
    )


def _beyond() -> Figure:
    base: dict[str, Any] = {
        "objective": "infonce",
        "critic": "bilinear",
        "encoder": "mlp",
        "sharing": "separate",
        "batch": 128,
    }
    changes = [
        {},
        *({"objective": name} for name in ("nwj", "js", "smile")),
        *({"critic": name} for name in ("separable", "concat", "cosine")),
        {"encoder": "convnet"},
        {"sharing": "shared"},
        *({"batch": size} for size in (32, 512, 2_048)),
    ]
    facts = [{**base, **change} for change in changes]
    made = {**CRITICS, "cosine": "cosine", "mlp": MLP(hidden=(300, 300)), "convnet": "convnet"}
    points = [
        (
            fact,
            {
                "objective": fact["objective"],
                "critic": made[fact["critic"]],
                "encoder": made[fact["encoder"]],
                "encoder_y": fact["sharing"],
                "batch_size": fact["batch"],
            },
        )
        for fact in facts
    ]
    measures = {
        "geometry": _geometry,
        "fresh_bound": _fresh_bound,
        "v_information_mlp": _nonlinear_information,
        "few_labels": partial(_few_labels, labels=(1, 5, 20, 100)),
    }
    return Figure("beyond the paper", *_grid(points), {"mnist": _mnist}, measures=measures)


def _digits() -> Split:
    X_train, X_test, y_train, y_test = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
    return Split(X_train, X_test, y_train, y_test)


def _part(data: Callable[[], Split]) -> Split:
    """Return 5,000 rows to learn from and 2,000 to test on, flat."""
    whole = data()
    X_train, X_test = (X.reshape(len(X), -1) for X in (whole.X_train[:5_000], whole.X_test[:2_000]))
    return Split(X_train, X_test, whole.y_train[:5_000], whole.y_test[:2_000])


def _label_free_numbers(learner: MIRepresentationLearner, split: Split) -> dict[str, float]:
    """Return every criterion that needs no label, more being better, on untouched rows."""
    numbers = {
        name.replace("-", "_"): label_free_score(learner, split.X_test, criterion=name)
        for name in CRITERIA
    }
    return {**numbers, "alignment": -alignment(*learner.transform_views(split.X_test))}


def _label_free() -> Figure:
    views = ("neighbors", "halves", "corruption", "noise")
    points = [
        (
            {"view": view, "critic": critic, "encoder": encoder},
            {
                "n_components": 32,
                "view": view,
                "critic": critic,
                "encoder": encoder,
                "output": None,
                "lr": 1e-3,
                "batch_size": 256,
                "eval_block_size": 256,
            },
        )
        for view, critic, encoder in product(
            views, ("cauchy", "bilinear", "separable"), ("gelu-mlp", "linear")
        )
    ]
    data = {
        "digits": _digits,
        "mnist": partial(_part, _mnist),
        "cifar10": partial(_part, _cifar10),
    }
    measures = {"numbers": _label_free_numbers, "few_labels": partial(_few_labels, labels=(5,))}
    probes = {"accuracy": linear_probe}
    return Figure(
        "which number without labels predicts accuracy",
        *_grid(points),
        data,
        probes,
        measures,
        steps=600,
        every=200,
        short=True,
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "1": _figure_1,
    "1c": _figure_1c,
    "2": _figure_2,
    "3": _figure_3,
    "4": _figure_4,
    "4c": _figure_4c,
    "8": _figure_8,
    "9": _figure_9,
    "beyond": _beyond,
    "label-free": _label_free,
}


def run_figure(
    name: str,
    *,
    seeds: Iterable[int],
    at: Sequence[int],
    folder: str | os.PathLike,
    only: str = "",
    rows: int | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the study behind a figure and return its table.

    Parameters
    ----------
    name : {"1", "1c", "2", "3", "4", "4c", "8", "9", "beyond", "label-free"}
        1 is 1a and 1b, 2 also gives 5, 3 also 6, 4 is 4a and 4b and also gives 7. "beyond" varies
        one thing at a time where the paper does not, with more measures; "label-free" asks which
        number without labels predicts accuracy.
    seeds : iterable of int
    at : sequence of int
        Where to measure; ``FIGURES[name]().stops(scale)`` has those of a scale.
    folder : path-like
        The study goes into its subfolder ``figure_<name>``, and resumes there.
    only : str, default=""
        Run the learners alone that have this in their name, such as "bilinear".
    rows : int or None, default=None
        Learn from the first so many rows alone, and test on as many.
    n_jobs : int or None, default=None
    progress : bool, default=True

    Returns
    -------
    table : DataFrame
        That of `sklearn_mi.study.run_study`, with ``figure``, the facts of each learner, and
        ``bound_train`` and ``bound_test``: what the objective reports, in nats.
    """
    figure = FIGURES[name]()
    table = run_study(
        _chosen(figure, only),
        _first_rows(figure, rows),
        seeds=seeds,
        at=at,
        folder=os.path.join(folder, f"figure_{name}"),
        probes=figure.probes,
        measures=figure.measures,
        bound_rows=figure.bound_rows,
        n_jobs=n_jobs,
        progress=progress,
    )
    return _with_facts(name, figure, table)


def read_figure(name: str, folder: str | os.PathLike) -> pd.DataFrame:
    """Return the table of all that has been measured for a figure so far, by whatever calls.

    Parameters
    ----------
    name, folder
        As for `run_figure`.

    Returns
    -------
    table : DataFrame
        That of `run_figure`.
    """
    return _with_facts(name, FIGURES[name](), read_study(os.path.join(folder, f"figure_{name}")))


def _with_facts(name: str, figure: Figure, table: pd.DataFrame) -> pd.DataFrame:
    """Put figure and facts in the place of the parameters."""
    facts = pd.DataFrame([figure.facts[learner] for learner in table["learner"]])
    measured = table.drop(columns=list(facts), errors="ignore")
    named = {"objective_train": "bound_train", "objective_test": "bound_test"}
    table = pd.concat([facts, measured.rename(columns=named)], axis=1)
    table.insert(0, "figure", name)
    return table


def _chosen(figure: Figure, only: str) -> dict[str, Learner]:
    """Return the learners of a figure that have a text in their names."""
    chosen = {name: learner for name, learner in figure.learners.items() if only in name}
    if not chosen:
        raise ValueError(
            f"only={only!r} is in no name; expected a part of {list(figure.learners)}."
        )
    return chosen


def _first_rows(figure: Figure, rows: int | None) -> dict[str, Callable[[], Split]]:
    """Return the data of a figure, or the first rows of them, which are data of another name."""
    if rows is None:
        return figure.data
    return {f"{name}, {rows} rows": partial(_cut, load, rows) for name, load in figure.data.items()}


def _cut(load: Callable[[], Split], rows: int) -> Split:
    whole = load()
    parts = (whole.X_train, whole.X_test, whole.y_train, whole.y_test)
    return Split(*(None if part is None else part[:rows] for part in parts))


def hours_of_figure(
    name: str,
    *,
    seeds: Iterable[int],
    at: Sequence[int],
    only: str = "",
    rows: int | None = None,
    n_jobs: int = 1,
) -> float:
    """Return about how long a figure takes here; see `sklearn_mi.study.estimate_hours`.

    Parameters
    ----------
    name : str
        As for `run_figure`.
    seeds : iterable of int
    at : sequence of int
    only : str, default=""
    rows : int or None, default=None
    n_jobs : int, default=1

    Returns
    -------
    hours : float
    """
    figure = FIGURES[name]()
    return estimate_hours(
        _chosen(figure, only),
        _first_rows(figure, rows),
        seeds=seeds,
        at=at,
        probes=figure.probes,
        measures=figure.measures,
        bound_rows=figure.bound_rows,
        n_jobs=n_jobs,
    )
