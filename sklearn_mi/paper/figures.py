"""What each figure trains and measures, as a study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from sklearn_mi.comparisons import LocalGlobal, Predictive, as_comparison
from sklearn_mi.critics import Concat
from sklearn_mi.datasets import toy_pairs
from sklearn_mi.encoders import MLP, DIMNet, Patches, RealNVP
from sklearn_mi.evaluation import linear_probe
from sklearn_mi.learner import MIRepresentationLearner
from sklearn_mi.objectives import Matched
from sklearn_mi.paper.adversarial import AdversarialEncoder
from sklearn_mi.paper.data import (
    TOY_ROWS,
    cifar10,
    cifar10_part,
    digits,
    empty_rows,
    flat_part,
    mnist,
    top_halves,
)
from sklearn_mi.paper.measures import (
    NOISE,
    OLD_PROBE,
    PROBES,
    few_labels,
    fresh_bound,
    geometry,
    label_free_numbers,
    log_conditions,
    noisy_accuracy,
    nonlinear_information,
)
from sklearn_mi.paper.scales import SCALES
from sklearn_mi.study import Learner, Split
from sklearn_mi.views import Compose, Function, GaussianNoise, Halves

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["FIGURES", "Figure"]

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
        For each learner, the columns that describe it in the table: critic, encoder, ...
    data : dict of callable
        Each returns a `Split`.
    probes, measures : dict of callable
        As for `sklearn_mi.study.run_study`.
    steps : int, default=20000
        Training steps in the paper.
    every : int, default=1000
        Steps between evaluations in the paper.
    short : bool, default=False
        Whether the scale "cpu" runs all steps, since they are cheap.
    bound_rows : int, default=12800
        As for `sklearn_mi.study.run_study`; the default is 100 batches.
    """

    title: str
    learners: Mapping[str, Learner]
    facts: dict[str, dict[str, Any]]
    data: dict[str, Callable[[], Split]]
    probes: dict[str, Any] = field(default_factory=lambda: {**PROBES})
    measures: dict[str, Any] = field(default_factory=lambda: {"geometry": geometry})
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


def _toy(iid: bool, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    return toy_pairs(len(x), iid=iid, generator=generator)


def _grid(
    points: Iterable[tuple[dict[str, Any], dict[str, Any]]],
) -> tuple[dict[str, MIRepresentationLearner], dict[str, dict[str, Any]]]:
    """Return learners and facts by name, from pairs of facts and parameters."""
    learners, facts = {}, {}
    for fact, params in points:
        name = " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in fact.values())
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
        {"mnist": mnist},
        probes={**PROBES, "accuracy_2019": OLD_PROBE},
        measures={},
    )


def _figure_1c() -> Figure:
    learner = AdversarialEncoder(RealNVP(affine=True))
    return Figure(
        "an encoder trained against a classifier",
        {"realnvp adversarial": learner},
        {"realnvp adversarial": {"encoder": "realnvp"}},
        {"mnist, top halves": top_halves},
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
        "accuracy": noisy_accuracy,
        "log_condition": log_conditions,
        "geometry": geometry,
    }
    return Figure("can-be-invertible encoders", *_grid(points), {"mnist": mnist}, {}, measures)


CRITICS = {"bilinear": "bilinear", "separable": "separable", "concat": Concat(hidden=(200,))}


def _figure_3(data: Callable[[], Split] = mnist, name: str = "mnist", **params: Any) -> Figure:
    points = [
        (
            {"critic": kind, "objective": objective},
            {"encoder": MLP(hidden=(300, 300)), "critic": critic, "objective": objective, **params},
        )
        for objective in OBJECTIVES
        for kind, critic in CRITICS.items()
    ]
    return Figure("capacity of the critic", *_grid(points), {name: data})


def _figure_4(data: Callable[[], Split] = mnist, name: str = "mnist", **params: Any) -> Figure:
    encoders = {"mlp": MLP(hidden=(300, 300)), "convnet": "convnet"}
    points = [
        (
            {"encoder": kind, "objective": objective, "target": target},
            {
                "encoder": encoder,
                "critic": "bilinear",
                "objective": Matched(objective, target),
                **params,
            },
        )
        for objective in OBJECTIVES
        for kind, encoder in encoders.items()
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
        {"toy": empty_rows},
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
    plan = figure(cifar10, "cifar10", lr=1e-5)
    return Figure(plan.title, plan.learners, plan.facts, plan.data, steps=60_000, every=1_000)


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
    parts = {**CRITICS, "cosine": "cosine", "mlp": MLP(hidden=(300, 300)), "convnet": "convnet"}
    points = [
        (
            fact,
            {
                "objective": fact["objective"],
                "critic": parts[fact["critic"]],
                "encoder": parts[fact["encoder"]],
                "encoder_y": fact["sharing"],
                "batch_size": fact["batch"],
            },
        )
        for fact in facts
    ]
    measures = {
        "geometry": geometry,
        "fresh_bound": fresh_bound,
        "v_information_mlp": nonlinear_information,
        "few_labels": partial(few_labels, labels=(1, 5, 20, 100)),
    }
    return Figure("beyond the paper", *_grid(points), {"mnist": mnist}, measures=measures)


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
        "digits": digits,
        "mnist": partial(flat_part, mnist),
        "cifar10": partial(flat_part, cifar10),
    }
    measures = {"numbers": label_free_numbers, "few_labels": partial(few_labels, labels=(5,))}
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


SCORED = ("infonce", "js", "donsker-varadhan")


def _systems() -> Figure:
    """Vary critic and bound of Deep InfoMax, CPC and CMC; AMDIM and SimCLR stand beside them."""
    whole_map = LocalGlobal(weight_local=0.0, weight_global=1.0, weight_prior=1.0)
    comparisons = {
        ("dim", "encode-and-dot"): LocalGlobal(),
        ("dim", "concat-and-convolve"): LocalGlobal(scorer="concat-and-convolve"),
        ("dim-global", "encode-and-dot"): whole_map,
        ("cpc", "gru"): Predictive(),
        ("cpc", "conv"): Predictive(context="conv"),
        **{("cmc", critic): as_comparison("cmc") for critic in CRITICS},
        ("amdim", "encode-and-dot"): as_comparison("amdim"),
        ("simclr", "cosine"): "whole",
    }
    points = []
    for (system, critic), comparison in comparisons.items():
        for objective in SCORED if system not in ("amdim", "simclr") else SCORED[:1]:
            fact = {"system": system, "critic": critic, "objective": objective}
            points.append((fact, {"objective": objective, **_system(system, critic, comparison)}))
    return Figure(
        "critic and bound of Deep InfoMax, CPC and CMC",
        *_grid(points),
        {"cifar10": cifar10_part},
        measures={"few_labels": partial(few_labels, labels=(20,))},
        steps=600,
        every=300,
        short=True,
    )


def _system(system: str, critic: str, comparison: Any) -> dict[str, Any]:
    """Return the parameters of one system beside its objective."""
    views = {"cmc": "lightness-color", "amdim": "simclr", "simclr": "simclr"}
    is_cmc = system == "cmc"
    return {
        "n_components": 32 if is_cmc else 64,
        "view": views.get(system, "same"),
        "encoder": Patches() if system == "cpc" else DIMNet(),
        "critic": CRITICS[critic] if is_cmc else "cosine" if system == "simclr" else "auto",
        "comparison": comparison,
        "output": "both" if is_cmc else "first",
        "optimizer": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "precision": "float32",
        "half_size": 0.0,
        "batch_size": 64,
        "eval_block_size": 64,
        "max_steps": 600,
    }


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
    "systems": _systems,
}
