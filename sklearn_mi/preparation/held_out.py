"""Rows that training never sees: what it stops by, and what is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from sklearn_mi.building import rows_of
from sklearn_mi.callbacks import cure_of_stoppers, stoppers
from sklearn_mi.model import PairModel
from sklearn_mi.negatives import as_negatives
from sklearn_mi.objectives import as_objective
from sklearn_mi.preparation.inputs import Settings
from sklearn_mi.preparation.runs import Run
from sklearn_mi.reports import MIEstimate, describe, held_out_infonce, missing
from sklearn_mi.rows import AnyRows, Data
from sklearn_mi.runtime import choose_device

__all__ = [
    "EVALUATION_SEED",
    "MANY_REPEATS",
    "MOST_COMPARED",
    "evaluation_draws",
    "held_out_rows",
    "monitor_of",
    "report",
]

EVALUATION_SEED = 0


# Training rows that are compared with held-out ones.
MOST_COMPARED = 1024
# Places on disk where they are read.
PIECES = 64


# Share of the training rows from which copies are told.
MANY_REPEATS = 0.05


def held_out_rows(
    settings: Settings, data: Data, model: PairModel, index: np.ndarray
) -> AnyRows | None:
    """Return held-out rows as the model sees them; None if too few have a partner."""
    if not len(index):
        return None
    device = choose_device(settings["device"])
    rows = rows_of(data, index, model.view, model.scales, evaluation_draws(device))
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


def monitor_of(
    settings: Settings,
    data: Data,
    model: PairModel,
    split: tuple[np.ndarray, np.ndarray],
) -> Callable[[PairModel], float] | None:
    """Return the monitor of the held-out bound after each pass, if anything reads it."""
    stopping, report = split
    # A callback could act on what it sees, so no callback sees the reported rows.
    shown = report if settings["verbose"] and not settings["callbacks"] else report[:0]
    rows = held_out_rows(settings, data, model, stopping if len(stopping) else shown)
    if rows is None:
        return None
    block = int(settings["eval_block_size"])
    asked = stoppers(settings) if rows.lacks else []

    def bound(model: PairModel) -> float:
        value = held_out_infonce(model, rows, block, EVALUATION_SEED, found=True)[0]
        if asked and np.isnan(value):
            raise ValueError(
                f"{' and '.join(asked)} needs rows to stop by, but no two of {len(rows)} "
                f"held-out rows have the same two tables; raise validation_fraction, or "
                f"{cure_of_stoppers(settings)}."
            )
        return value

    return bound


def evaluation_draws(device: torch.device) -> torch.Generator:
    """Return a new generator of the draws of a report, always the same."""
    return torch.Generator(device).manual_seed(EVALUATION_SEED)


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
    index, model = run.held_split[1], run.net.model
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
    draws = evaluation_draws(choose_device(settings["device"]))
    rows = rows_of(run.held, index, model.view, model.scales, draws)
    if len(rows) < 2:
        return missing("InfoNCE", "fewer than 2 held-out rows have a partner among them")
    if rows.lacks and run.held.present is not None:
        caveats.append(_lacking_fact(run.held.present[index], model.pairs))
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


def _lacking_fact(present: np.ndarray, pairs: Sequence[tuple[int, int]]) -> str:
    """Return on how many of the held-out rows pairs of tables are compared."""
    n, i, j = min((int((present[:, i] & present[:, j]).sum()), i, j) for i, j in pairs)
    return (
        "rows lack tables: each pair of tables is compared on rows that have both, tables "
        f"{i} and {j} on {n} of {len(present)}"
    )


def _some_training_rows(settings: Settings, run: Run) -> AnyRows:
    """Return training rows, as many as are reported on, but some thousand at most."""
    index, model = run.split[0], run.net.model
    n = min(
        len(run.held_split[1]), len(index), max(MOST_COMPARED, int(settings["eval_block_size"]))
    )
    # Neighbours in time or in a group are partners of one another.
    together = model.view.ordered or run.data.groups is not None
    # On disk a few blocks are read, each for some neighbouring rows.
    size = -(-n // PIECES) if run.data.on_disk else 1
    starts = np.linspace(0, len(index) - size, -(-n // size)).astype(int)
    places = np.unique((starts[:, None] + np.arange(size)).ravel())[:n]
    kept = index[:n] if together else index[places]
    draws = evaluation_draws(choose_device(settings["device"]))
    return rows_of(run.data, kept, model.view, model.scales, draws, stream=True)
