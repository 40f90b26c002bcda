"""The skorch net of a training, and the parameters that go into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from sklearn_mi._base import resolve
from sklearn_mi._places import place_of
from sklearn_mi.callbacks import Progress, check_callbacks, sets_rate, with_early_stopping
from sklearn_mi.model import PairModel, global_stream
from sklearn_mi.objectives import as_objective
from sklearn_mi.preparation.inputs import Settings
from sklearn_mi.processes import ALONE, Team
from sklearn_mi.recipe import Recipe
from sklearn_mi.rows import AnyOrder, AnyRows, Order
from sklearn_mi.runtime import choose_device, seeds_of
from sklearn_mi.training import IDLE, SCHEDULES, MINet, Plan, every, optimizer_parameters

__all__ = ["PRECISIONS", "check_settings", "make_net"]

PRECISIONS = {"float32": None, "tf32": None, "bfloat16": torch.bfloat16}


def make_net(
    settings: Settings,
    model: PairModel,
    plan: Plan | None = None,
    seeds: Mapping[str, int] | None = None,
    *,
    generator: torch.Generator | None = None,
    monitor: Callable[[PairModel], float] | None = None,
    held_out: AnyRows | None = None,
    history: Sequence[dict[str, Any]] = (),
    order: AnyOrder | None = None,
    team: Team = ALONE,
) -> MINet:
    """Return a skorch net around a model; without a plan it only holds it."""
    callbacks = [] if plan is None else _callbacks(settings, plan, model.recipe, team)
    plan = plan or IDLE
    seeds = seeds or seeds_of(0, 0)
    device = choose_device(settings["device"])
    schedule = resolve("schedule", plan.schedule, SCHEDULES)
    decay = plan.weight_decay
    net = MINet(
        model,
        **optimizer_parameters(plan.optimizer),
        lr=plan.lr,
        # Not every optimiser of torch has it.
        **({"optimizer__weight_decay": decay} if decay else {}),
        order=order or Order(plan.n_rows, plan.batch_size, seeds["batches"], model.n_extra),
        view_generator=generator or torch.Generator(device),
        randomness=global_stream(model, seeds["modules"] + team.rank, device),
        scheduler=schedule and partial(schedule, steps=plan.steps, lr=plan.lr),
        monitor=monitor,
        held_out=held_out,
        small_steps=round(plan.half_size * plan.steps),
        team=team,
        in_full=bool(settings["callbacks"]),
        callbacks=callbacks,
        device=str(device),
        verbose=0 if team.rank else int(settings["verbose"]),
    )
    model.autocast = PRECISIONS[plan.precision]
    model.team, model.chunk_size = team, settings["chunk_size"]
    net.initialize()
    net.take_history(list(history))
    if settings["compile"]:
        for part in (model.encoder, model.encoder_y, model.critic):
            part.compile()
    return net


def _callbacks(settings: Settings, plan: Plan, recipe: Recipe, team: Team) -> list[Any]:
    """Return the user's callbacks, not copies of them, and ours."""
    callbacks: list[Any] = list(settings["callbacks"] or ())
    if settings["early_stopping"]:
        callbacks = with_early_stopping(callbacks, plan.patience)
    if settings["verbose"] and not team.rank:
        name = type(as_objective(recipe.objective)).__name__
        callbacks.append(("progress", Progress(plan.steps, name)))
    return callbacks


def check_settings(settings: Settings) -> None:
    """Check parameters against each other and against the known names.

    Raises
    ------
    ValueError, TypeError
        If parameters contradict one another, or if a name is unknown.
    """
    steps, epochs = settings["max_steps"], settings["max_epochs"]
    if steps is not None and epochs is not None:
        raise ValueError(
            f"max_steps={steps} and max_epochs={epochs} are both given; leave one of them None."
        )
    given = "max_steps" if steps is not None else "max_epochs"
    if settings["effort"] != "normal" and (steps is not None or epochs is not None):
        raise ValueError(
            f"effort={settings['effort']!r} and {given}={settings[given]} both set the length of "
            f"training; leave one of them out."
        )
    every(settings["checkpoint_every"])
    if settings["checkpoint_dir"] is not None:
        place_of(settings["checkpoint_dir"], "checkpoint_dir")
    if settings["checkpoint_dir"] is not None and settings["random_state"] is None:
        raise ValueError(
            f"checkpoint_dir={str(settings['checkpoint_dir'])!r}, but random_state=None draws "
            "another seed at each fit, so no fit could go on; set random_state=0, say."
        )
    choose_device(settings["device"])
    check_callbacks(settings["callbacks"])
    if sets_rate(settings["callbacks"]) and settings["schedule"] not in ("auto", "constant"):
        raise ValueError(
            f"schedule={settings['schedule']!r} and an LRScheduler among the callbacks both set "
            "the learning rate; leave schedule='auto'."
        )
    resolve("schedule", settings["schedule"], {**SCHEDULES, "auto": SCHEDULES["constant"]})
