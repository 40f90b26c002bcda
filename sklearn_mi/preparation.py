"""Prepare everything that a training needs from checked rows, by pure functions.

Nothing here changes the learner. It stores what `prepare` returns once everything is ready.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from sklearn_mi._base import is_auto, resolve
from sklearn_mi._checks import check_values
from sklearn_mi.callbacks import (
    Progress,
    check_callbacks,
    cure_of_stoppers,
    may_watch,
    sets_rate,
    stoppers,
    with_early_stopping,
)
from sklearn_mi.encoding import check_length
from sklearn_mi.front_ends import fit_first_layers
from sklearn_mi.model import (
    PairModel,
    build_model,
    check_half_size,
    global_stream,
    rows_of,
)
from sklearn_mi.negatives import as_negatives
from sklearn_mi.objectives import as_objective
from sklearn_mi.recipe import (
    MODEL_PARAMETERS,
    Choice,
    Draft,
    Facts,
    Recipe,
    over_steps,
    refuse_two_kinds,
    training_choices,
)
from sklearn_mi.reports import MIEstimate, describe, held_out_infonce, missing
from sklearn_mi.rows import (
    AnyRows,
    CheckedRows,
    Data,
    Order,
    Schema,
    check_labels,
    count_copies,
    count_repeats,
    find_flags,
    fit_confounds,
    present_in,
    read_confounds,
    read_pair,
    read_rows,
    rows_to_draw,
    shares_of,
    split_rows,
    warn_of_large_values,
    without_confounds,
)
from sklearn_mi.runtime import choose_device, has_bfloat16, seeds_of
from sklearn_mi.sides import check_lacking
from sklearn_mi.training import (
    IDLE,
    SCHEDULES,
    MINet,
    Plan,
    as_text,
    hash_rows,
    optimizer_parameters,
)
from sklearn_mi.views import View, as_view

__all__ = [
    "EVALUATION_SEED",
    "PRECISIONS",
    "Earlier",
    "Given",
    "Known",
    "Run",
    "check_settings",
    "early_view",
    "fingerprint_of",
    "make_net",
    "prepare",
    "read_data",
    "report",
]

EVALUATION_SEED = 0
PATIENCE_STEPS = 300
# Training rows that are compared with held-out ones.
MOST_COMPARED = 1024
# Share of the training rows from which copies are told.
MANY_REPEATS = 0.05
PRECISIONS = {"float32": None, "tf32": None, "bfloat16": torch.bfloat16}
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What a user passes beside ``X``, unchecked.

    Parameters
    ----------
    X_pair, groups, y, confounds : object
    """

    X_pair: Any = None
    groups: Any = None
    y: Any = None
    confounds: Any = None


@dataclass(frozen=True)
class Known:
    """What an earlier fit knows of the rows.

    Parameters
    ----------
    model : PairModel
    schemas : tuple of Schema
        Schema of the table and of the second table, or None.
    """

    model: PairModel
    schemas: tuple[Schema, Schema | None]


@dataclass(frozen=True)
class Earlier:
    """The result of an earlier training, to continue from.

    Parameters
    ----------
    net : MINet
    seed, steps : int
        Its seed, and the number of its steps.
    """

    net: MINet
    seed: int
    steps: int


PICKED_OF_TRAINING = ("lr", "weight_decay", "optimizer", "schedule", "precision", "half_size")


@dataclass(frozen=True)
class Run:
    """A prepared training.

    Parameters
    ----------
    data : Data
    rows : Rows, PairedRows or PartnerRows
        Training rows.
    split : tuple of ndarray of int
        Rows to train on, to stop by, and to report on.
    net : MINet
    plan : Plan
    seed : int
    earlier_steps : int
        Steps of earlier trainings that this one continues.
    n_copies : int
        Number of reported rows that are copies of training rows.
    n_repeats : int
        Number of training rows that are copies of training rows before them.
    """

    data: Data
    rows: AnyRows
    split: tuple[np.ndarray, np.ndarray, np.ndarray]
    net: MINet
    plan: Plan
    seed: int
    earlier_steps: int
    n_copies: int = 0
    n_repeats: int = 0


def read_data(
    learner: BaseEstimator, settings: Settings, X: Any, given: Given, known: Known | None
) -> Data:
    """Check rows and the other inputs of a fit.

    Parameters
    ----------
    learner : BaseEstimator
        The owner of the columns; error messages give its name.
    settings : mapping
    X : array-like, sparse matrix or Tensor
    given : Given
    known : Known or None
        None: rows of a new fit.

    Returns
    -------
    data : Data
    """
    schema = None if known is None else known.schemas[0]
    is_paired = given.X_pair is not None
    view = known.model.view if known else early_view(settings["view"], is_paired=is_paired)
    shape = settings["input_shape"]
    first = read_rows(learner, X, shape, known=schema, min_rows=2, sets=view.sets)
    n = len(first)
    pair = _read_second(learner, view, X, given, known, n)
    if known is None:
        warn_of_large_values(first, settings["standardize"])
        if pair is not None:
            warn_of_large_values(pair, settings["standardize"], "X_pair")
    groups = None if given.groups is None else check_values("groups", given.groups, n)
    negatives = settings["negatives"] if known is None else known.model.recipe.negatives
    if groups is None and as_negatives(negatives).needs_groups:
        raise ValueError(f"negatives={negatives!r} needs groups: pass groups=...")
    y = None
    if "y" in view.needs and given.y is not None:
        y = check_values("y", given.y, n)
        if known is None:
            view.check_labels(y)
    refuse_two_kinds(settings["comparison"], y, groups)
    name, told = type(learner).__name__, schema and schema.confounds
    check_labels(X, given.confounds, "confounds")
    confounds = read_confounds(given.confounds, told, n, name, is_fit=known is None)
    present = present_in((first, pair))
    data = Data(first, pair, groups, y, confounds, present).windowed(view.window)
    if known is not None:
        model = known.model
        data = without_confounds(data, model.confounds)
        encoders = model.encoder, model.encoder_y
        parts = zip(data.sides, model.scales, encoders, ("X", "X_pair"), strict=True)
        for side, layer, encoder, name in parts:
            if side is not None:
                check_length(side, layer, encoder, name)
    return data


def _read_second(
    learner: BaseEstimator, view: View, X: Any, given: Given, known: Known | None, n_rows: int
) -> CheckedRows | None:
    """Check the second table against the view, or against the table of an earlier fit."""
    name = type(learner).__name__
    schema = None if known is None else known.schemas[1]
    is_wanted = view.paired if known is None else schema is not None
    if is_wanted and given.X_pair is None:
        raise ValueError(f"{name} needs the second table here: pass X_pair=...")
    if given.X_pair is None:
        return None
    if not is_wanted:
        raise ValueError(
            f"X_pair is given, but view={view!r} makes its pairs from X alone; "
            "leave view='auto', or do not pass X_pair."
        )
    return read_pair(given.X_pair, schema, name, X=X, n_rows=n_rows)


def early_view(view: Any, *, is_paired: bool) -> View:
    """Return the view as far as it is known before the rows are read.

    Parameters
    ----------
    view : str, View or callable
    is_paired : bool
        Whether there is a second table.
    """
    if is_auto(view):
        return as_view("paired" if is_paired else "neighbors")
    return copy.deepcopy(as_view(view))


def prepare(
    settings: Settings,
    data: Data,
    seed: int,
    *,
    earlier: Earlier | None = None,
    passes: int | None = None,
    steps: int | None = None,
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
    model, rows = _model_and_rows(settings, data, split[0], draft, known, scales, seeds, generator)
    model.confounds.extend(residuals)
    choices = training_choices(draft, has_own_schedule=sets_rate(settings["callbacks"]))
    plan = _plan(settings, len(rows), choices, passes, steps)
    if plan.half_size:
        check_half_size(model, data.first.kind.row_shape, plan.half_size)
    net = make_net(
        settings,
        model,
        plan,
        seeds,
        generator=generator,
        monitor=_monitor(settings, data, model, split),
        held_out=_held_out(settings, data, model, split[1]) if settings["callbacks"] else None,
        history=[] if earlier is None else list(earlier.net.history),
        weights=shares_of(rows, split[0], counts),
    )
    if earlier is not None:
        net.take_optimizer(earlier.net)
    copies = count_copies(data, split[0], split[2]), count_repeats(data, split[0])
    return Run(data, rows, split, net, plan, seed, done, *copies)


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
    rows = rows_of(data, kept, view, scales, generator)
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


def _held_out(
    settings: Settings, data: Data, model: PairModel, index: np.ndarray
) -> AnyRows | None:
    """Return held-out rows as the model sees them; None if too few have a partner."""
    if not len(index):
        return None
    device = choose_device(settings["device"])
    rows = rows_of(data, index, model.view, model.scales, _evaluation_draws(device))
    if len(rows) > 1:
        return rows
    asked = stoppers(settings)
    if asked:
        raise ValueError(
            f"{' and '.join(asked)} needs rows to stop by, but of {len(index)} held-out rows "
            f"{len(rows)} have a partner among them; raise validation_fraction, or "
            f"{cure_of_stoppers(settings)}."
        )
    return None


def _monitor(
    settings: Settings,
    data: Data,
    model: PairModel,
    split: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Callable[[PairModel], float] | None:
    """Return the monitor of the held-out bound after each pass, if anything reads it."""
    _, stopping, report = split
    # A callback could act on what it sees, so no callback sees the reported rows.
    shown = report if settings["verbose"] and not settings["callbacks"] else report[:0]
    rows = _held_out(settings, data, model, stopping if len(stopping) else shown)
    if rows is None:
        return None
    block = int(settings["eval_block_size"])
    return lambda model: held_out_infonce(model, rows, block, EVALUATION_SEED)[0]


def _evaluation_draws(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(EVALUATION_SEED)


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
    weights: torch.Tensor | None = None,
) -> MINet:
    """Return a skorch net around a model; without a plan it only holds it."""
    callbacks = [] if plan is None else _callbacks(settings, plan, model.recipe)
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
        order=Order(plan.n_rows, plan.batch_size, seeds["batches"], model.n_extra, weights),
        view_generator=generator or torch.Generator(device),
        randomness=global_stream(model, seeds["modules"], device),
        scheduler=schedule and partial(schedule, steps=plan.steps, lr=plan.lr),
        monitor=monitor,
        held_out=held_out,
        small_steps=round(plan.half_size * plan.steps),
        in_full=bool(settings["callbacks"]),
        callbacks=callbacks,
        device=str(device),
        verbose=int(settings["verbose"]),
    )
    model.autocast = PRECISIONS[plan.precision]
    net.initialize()
    net.take_history(list(history))
    if settings["compile"]:
        for part in (model.encoder, model.encoder_y, model.critic):
            part.compile()
    return net


def _callbacks(settings: Settings, plan: Plan, recipe: Recipe) -> list[Any]:
    """Return the user's callbacks, not copies of them, and ours."""
    callbacks: list[Any] = list(settings["callbacks"] or ())
    if settings["early_stopping"]:
        callbacks = with_early_stopping(callbacks, plan.patience)
    if settings["verbose"]:
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
    choose_device(settings["device"])
    check_callbacks(settings["callbacks"])
    if sets_rate(settings["callbacks"]) and settings["schedule"] not in ("auto", "constant"):
        raise ValueError(
            f"schedule={settings['schedule']!r} and an LRScheduler among the callbacks both set "
            "the learning rate; leave schedule='auto'."
        )
    resolve("schedule", settings["schedule"], {**SCHEDULES, "auto": SCHEDULES["constant"]})


def report(settings: Settings, run: Run) -> MIEstimate:
    """Return the bound on rows that neither training nor stopping used.

    Parameters
    ----------
    settings : mapping
    run : Run

    Returns
    -------
    estimate : MIEstimate
    """
    index, model = run.split[2], run.net.model
    if not run.plan.steps:
        told = "nothing was trained: the columns are the code; n_components=... learns one"
        return missing("InfoNCE", told)
    if not len(index):
        return missing("InfoNCE", "no rows were held out; raise validation_fraction")
    # A comparison that scores parts of the views asks less than what whole views share.
    shares_values = not model.comparison.owns_scores
    caveats = list(model.view.caveats(model.state.tensors(), shares_values=shares_values))
    if run.earlier_steps:
        caveats.append("rows of an earlier call that came again cannot be told from new ones")
    if run.n_copies:
        caveats.append(
            f"{run.n_copies} of {len(index)} held-out rows are copies of training rows, which the "
            "critic has seen"
        )
    if run.n_repeats >= MANY_REPEATS * len(run.split[0]):
        caveats.append(
            f"{run.n_repeats} of {len(run.split[0])} training rows are copies of other training "
            "rows; duplicates='collapse' makes one row of copies"
        )
    draws = _evaluation_draws(choose_device(settings["device"]))
    rows = rows_of(run.data, index, model.view, model.scales, draws)
    if len(rows) < 2:
        return missing("InfoNCE", "fewer than 2 held-out rows have a partner among them")
    if rows.lacks:
        caveats.append("rows lack tables: each pair of tables is compared on rows that have both")
    return describe(
        model,
        as_objective(model.recipe.objective),
        rows,
        int(settings["eval_block_size"]),
        EVALUATION_SEED,
        caveats=caveats,
        invalid=as_negatives(model.recipe.negatives).caveat,
        training=_some_training_rows(settings, run),
    )


def _some_training_rows(settings: Settings, run: Run) -> AnyRows:
    """Return training rows, as many as are reported on, but some thousand at most."""
    index, model = run.split[0], run.net.model
    n = min(len(run.split[2]), len(index), max(MOST_COMPARED, int(settings["eval_block_size"])))
    # Neighbours in time or in a group are partners of one another.
    together = model.view.ordered or run.data.groups is not None
    kept = index[:n] if together else index[np.linspace(0, len(index) - 1, n).astype(int)]
    draws = _evaluation_draws(choose_device(settings["device"]))
    return rows_of(run.data, kept, model.view, model.scales, draws, stream=True)


# Parameters that may change when a training resumes: its length, its seed (checked separately),
# what it reports, and settings of the process.
_FREE_TO_CHANGE = (
    *("max_steps", "max_epochs", "effort", "early_stopping", "random_state", "warm_start"),
    *("eval_block_size", "validation_fraction", "callbacks", "verbose"),
    *("device", "n_threads", "compile"),
)


def fingerprint_of(settings: Settings, run: Run) -> dict[str, str]:
    """Return what identifies a training, by part: recipe, parameters, seed, split and rows.

    Parameters
    ----------
    settings : mapping
    run : Run

    Returns
    -------
    fingerprint : dict of str
    """
    data, fixed = run.data, {*_FREE_TO_CHANGE, *MODEL_PARAMETERS}
    training = {name: value for name, value in settings.items() if name not in fixed}
    pair = None if data.pair is None else data.pair.source
    more = [data.confounds.source] if data.confounds else []
    return {
        "recipe": as_text({n: getattr(run.net.model.recipe, n) for n in MODEL_PARAMETERS}),
        "parameters": as_text(
            {**training, **{name: getattr(run.plan, name) for name in PICKED_OF_TRAINING}}
        ),
        "seed": str(run.seed),
        "split": hash_rows(*run.split),
        "rows": hash_rows(data.first.source, pair, data.groups, data.y, *more),
    }
