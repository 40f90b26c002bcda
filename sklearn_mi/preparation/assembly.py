"""Build everything that a training needs from checked rows."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_mi._base import MIWarning, is_auto
from sklearn_mi.building import agrees_in, build_model, check_half_size, rows_of
from sklearn_mi.callbacks import cure_of_stoppers, may_watch, sets_rate, stoppers
from sklearn_mi.front_ends import fit_first_layers
from sklearn_mi.model import PairModel
from sklearn_mi.preparation.held_out import held_out_rows, monitor_of
from sklearn_mi.preparation.inputs import Settings, early_view
from sklearn_mi.preparation.nets import PRECISIONS, make_net
from sklearn_mi.preparation.runs import PICKED_OF_TRAINING, Earlier, Run
from sklearn_mi.processes import ALONE, Team
from sklearn_mi.recipe import MODEL_PARAMETERS, Choice, Draft, Facts, over_steps, training_choices
from sklearn_mi.rows import (
    AnyOrder,
    AnyRows,
    Data,
    Order,
    StreamOrder,
    count_copies,
    count_repeats,
    find_flags,
    fit_confounds,
    present_in,
    read_table,
    rows_to_draw,
    shares_of,
    split_rows,
    usable_of,
    window_order,
    without_confounds,
)
from sklearn_mi.runtime import choose_device, has_bfloat16, seeds_of
from sklearn_mi.sides import check_lacking
from sklearn_mi.training import Plan
from sklearn_mi.views import as_view

__all__ = ["PATIENCE_STEPS", "prepare"]

PATIENCE_STEPS = 300
# Rows that are held out of those on disk; so many give a bound to a few thousandths of a nat.
MOST_HELD_OUT = 2**16


def prepare(
    settings: Settings,
    data: Data,
    seed: int,
    *,
    earlier: Earlier | None = None,
    passes: int | None = None,
    steps: int | None = None,
    team: Team = ALONE,
) -> Run:
    """Split and scale the rows, and build everything that trains on them.

    Parameters
    ----------
    settings : mapping
        Every parameter of the learner by name.
    data : Data
    seed : int
    earlier : Earlier or None
        None: a new model is built.
    passes, steps : int or None
        Length of training; overrides the learner's parameters.
    team : Team, default=ALONE
        The processes that train together.

    Returns
    -------
    run : Run
    """
    done = 0 if earlier is None else earlier.steps
    seeds = seeds_of(seed, done)
    known = None if earlier is None else _continued(earlier.net.model)
    is_paired = data.pair is not None
    view = early_view(settings["view"], is_paired=is_paired) if known is None else known.view
    taken, counts = rows_to_draw(data, settings["duplicates"], ordered=view.ordered)
    split = _split(settings, data, taken, seed, ordered=view.ordered)
    residuals = fit_confounds(data, split[0]) if known is None else []
    data = without_confounds(data, residuals)
    draft = _draft(settings, data, split[0], is_new=known is None, is_whole=passes is None)
    generator = torch.Generator(choose_device(settings["device"])).manual_seed(seeds["views"])
    data, scales = _scaled(settings, data, split[0], draft, known, seeds["weights"])
    held, held_split = _held(data, split)
    model, rows = _model_and_rows(settings, data, split[0], draft, known, scales, seeds, generator)
    model.confounds.extend(residuals)
    choices = training_choices(draft, has_own_schedule=sets_rate(settings["callbacks"]))
    plan = _plan(settings, len(rows), choices, passes, steps)
    if plan.half_size:
        check_half_size(model, data.first.kind.row_shape, plan.half_size)
    plan = _in_sound_precision(plan, model, settings["device"])
    _check_parts(settings, model, plan, team)
    weights = shares_of(rows, split[0], counts)
    order = _order(data, rows, plan, seeds["batches"], model, weights, team)
    net = make_net(
        settings,
        model,
        plan,
        seeds,
        generator=generator,
        monitor=monitor_of(settings, held, model, held_split),
        held_out=held_out_rows(settings, held, model, held_split[0])
        if settings["callbacks"]
        else None,
        history=[] if earlier is None else list(earlier.net.history),
        order=order,
        team=team,
    )
    model.common = team.own_draws(generator, seeds["views"])
    if earlier is not None:
        net.take_optimizer(earlier.net)
    copies = count_copies(data, split[0], held_split[1], held), count_repeats(data, split[0])
    return Run(data, rows, split, net, plan, seed, held, held_split, done, *copies)


def _held(
    data: Data, split: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[Data, tuple[np.ndarray, np.ndarray]]:
    """Return the data of held-out rows, and which of them are to stop by and to report on."""
    _, stopping, report = split
    if data.held is not None:
        return data.held, (stopping, report)
    if not data.on_disk:
        return data, (stopping, report)
    taken = np.union1d(stopping, report)
    places = np.searchsorted(taken, stopping), np.searchsorted(taken, report)
    return (data.in_memory(taken) if len(taken) else data), places


def _order(
    data: Data, rows: AnyRows, plan: Plan, seed: int, model: PairModel, weights: Any, team: Team
) -> AnyOrder:
    """Return the order of training rows: of all, of blocks on disk, or as they come."""
    if data.stream is None:
        on_disk = window_order(rows, plan.batch_size, seed, model.n_extra, weights)
        return on_disk or Order(plan.n_rows, plan.batch_size, seed, model.n_extra, weights)
    schema, scale, device = data.first.schema, model.scale, rows.device

    def served(block: Any) -> Any:
        checked = read_table(block, schema, "X", "MIRepresentationLearner")
        return checked.rows(scale, device, usable_of(present_in([checked])), stream=True)

    own = team.count(plan.batch_size), team.count(model.n_extra)
    how = model.n_extra, own if data.stream.is_split else None
    return StreamOrder(data.stream, served, plan.n_rows, plan.batch_size, seed, *how)


def _check_parts(settings: Settings, model: PairModel, plan: Plan, team: Team) -> None:
    """Refuse a batch that is cut where the parts would not do what the whole does."""
    if plan.batch_size < team.size:
        raise ValueError(
            f"batch_size={plan.batch_size}, but {team.size} processes share each batch; expected "
            f"at least {team.size}."
        )
    chunk = settings["chunk_size"]
    parts = (model.encoder, model.encoder_y, model.first_head, model.second_head)
    modules = (module for part in parts if part is not None for module in part.modules())
    names = [type(module).__name__ for module in modules if isinstance(module, _BatchNorm)]
    if chunk is not None and names:
        raise ValueError(
            f"chunk_size={chunk}, but {names[0]} normalises over the batch, which must then be "
            "whole: set chunk_size=None, or take an encoder with LayerNorm."
        )
    if not team.is_alone and set(names) - {"SyncBatchNorm"}:
        warnings.warn(
            f"{names[0]} normalises over the rows of each process alone, so the codes depend on "
            "the number of processes; take LayerNorm, or on GPUs SyncBatchNorm.",
            MIWarning,
            stacklevel=2,
        )


def _in_sound_precision(plan: Plan, model: PairModel, device: str) -> Plan:
    """Return the plan in float32 if this CPU computes the encoders wrongly in bfloat16."""
    dtype = PRECISIONS[plan.precision]
    if dtype is None or choose_device(device).type != "cpu":
        return plan
    if agrees_in(model, dtype, small=bool(plan.half_size)):
        return plan
    told = f"this processor computes {plan.precision} wrongly for images of {model.shapes[0]}"
    if "precision" not in plan.choices:
        raise ValueError(f"precision={plan.precision!r}, but {told}; expected 'float32'.")
    choices = {**plan.choices, "precision": Choice("float32", told)}
    return dataclasses.replace(plan, precision="float32", choices=choices)


def _continued(model: PairModel) -> PairModel:
    """Return a copy to train on, so an error leaves the model unchanged.

    The rows that a view keeps are not copied: the copy gets new ones.
    """
    return copy.deepcopy(model, {id(model.state): model.state})


def _split(
    settings: Settings, data: Data, rows: np.ndarray, seed: int, *, ordered: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows to train on, to stop by and to report on; always the same for one ``n``."""
    n, fraction, asked = len(rows), settings["validation_fraction"], stoppers(settings)
    watched = bool(asked) or may_watch(settings["callbacks"])
    if data.held is not None:
        m = len(data.held)
        return rows, *split_rows(m, (m // 2 if watched else 0, m), seed)[1:]
    if data.on_disk:
        # They are kept in memory.
        fraction = min(fraction, MOST_HELD_OUT / n)
    held_out = max(4 if watched else 2, round(n * fraction)) if fraction else 0
    if n - held_out < 2:
        held_out = 0
    if asked and not held_out:
        raise ValueError(
            f"{' and '.join(asked)} needs rows to stop by, but validation_fraction={fraction} of "
            f"{n} rows leaves none; raise validation_fraction, or {cure_of_stoppers(settings)}."
        )
    sizes = held_out // 2 if watched else 0, held_out
    groups = None if data.groups is None else data.groups[rows]
    training, stopping, report = split_rows(n, sizes, seed, groups=groups, ordered=ordered)
    return rows[training], rows[stopping], rows[report]


def _draft(
    settings: Settings, data: Data, kept: np.ndarray, *, is_new: bool, is_whole: bool
) -> Draft:
    """Return the choices for these rows; a built model gets no new ones."""
    given = {name: settings[name] for name in MODEL_PARAMETERS}
    if not is_new:
        given = {name: None if is_auto(value) else value for name, value in given.items()}
        given.update(n_components=0, output="")
    open_now = {name for name in PICKED_OF_TRAINING if is_auto(settings[name])}
    if settings["max_steps"] is None and settings["max_epochs"] is None:
        open_now.add("max_steps")
    # It reads every row, and only an encoder of free width depends on it.
    may_be_mixed = is_auto(given["encoder"]) and given["n_components"] is None
    facts = Facts(
        n_rows=len(kept),
        kind=data.first.kind,
        kind_pair=None if data.pair is None else data.pair.kind,
        batch_size=int(settings["batch_size"]),
        is_mixed=may_be_mixed and find_flags(data.first, kept) is not None,
        is_whole=is_whole,
        optimizer=settings["optimizer"],
        effort=settings["effort"],
        has_bfloat16=choose_device(settings["device"]).type == "cpu" and has_bfloat16(),
        has_several=data.pair is not None and bool(data.pair.schema.parts),
        on_disk=data.on_disk,
    )
    return Draft.of(given, facts, frozenset(open_now))


def _scaled(
    settings: Settings,
    data: Data,
    kept: np.ndarray,
    draft: Draft,
    known: PairModel | None,
    seed: int,
) -> tuple[Data, Any]:
    """Return the data as their first layers make them, and these layers."""
    if known is not None:
        return data, known.scales
    how = settings["standardize"], draft.front_end, seed, settings["column_weights"]
    layers = fit_first_layers(data, kept, *how)
    return data.behind(layers), layers


def _model_and_rows(
    settings: Settings,
    data: Data,
    kept: np.ndarray,
    draft: Draft,
    known: PairModel | None,
    scales: Any,
    seeds: Mapping[str, int],
    generator: torch.Generator,
) -> tuple[PairModel, AnyRows]:
    """Return the model, new or continued, and the training rows as it sees them."""
    view = copy.deepcopy(as_view(draft.view)) if known is None else known.view
    if data.stream is not None and (view.pairs_rows or view.transient):
        raise ValueError(
            f"view={view!r} looks up other rows, but X is a {type(data.stream.items).__name__}, "
            "whose rows come one after the other and have no neighbours: leave view='auto', or "
            "take another view, such as 'corruption'."
        )
    rows = rows_of(data, kept, view, scales, generator, stream=data.stream is not None)
    if len(rows) < 2:
        raise ValueError(
            f"view={settings['view']!r} finds a partner for {len(rows)} of {len(kept)} training "
            "rows; expected at least 2: larger groups, longer series or a smaller lag."
        )
    state = view.fit(rows)  # type: ignore[arg-type]
    if known is not None:
        known.set_state(state)
        model = known
    else:
        schemas: Any = tuple(None if side is None else side.schema for side in data.sides)
        model = build_model(draft, view, state, schemas, scales, seeds["weights"])
    check_lacking(model, data, kept)
    model.lacks = rows.lacks
    return model, rows


def _plan(
    settings: Settings,
    n: int,
    choices: Mapping[str, Choice],
    passes: int | None,
    steps: int | None,
) -> Plan:
    """Return the length and the learning rate of a training on ``n`` rows."""
    batch_size = min(int(settings["batch_size"]), n)
    steps_a_pass = n // batch_size
    passes = passes or settings["max_epochs"]
    if steps is None and passes is not None:
        steps = int(passes) * steps_a_pass
    total: Any = steps or settings["max_steps"] or choices["max_steps"].value
    choices = over_steps(choices, int(total))
    picked = {name: choice.value for name, choice in choices.items()}
    how = {name: picked.get(name, settings[name]) for name in PICKED_OF_TRAINING}
    wanted: Any = settings["early_stopping"]
    patience = PATIENCE_STEPS if isinstance(wanted, bool | np.bool_) else int(wanted)
    return Plan(
        n_rows=n,
        batch_size=batch_size,
        steps=int(total),
        patience=math.ceil(patience / steps_a_pass),
        choices=choices,
        **how,
    )
