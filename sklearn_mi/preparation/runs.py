"""What a training is: its data, rows, net and plan, and what identifies it."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from sklearn_mi._version import __version__
from sklearn_mi.preparation.inputs import Settings
from sklearn_mi.recipe import MODEL_PARAMETERS
from sklearn_mi.rows import AnyRows, Data
from sklearn_mi.training import Keeper, MINet, Plan, as_text, every, hash_rows

__all__ = ["Earlier", "PICKED_OF_TRAINING", "Run", "fingerprint_of", "keeper_of", "said_alike"]

PICKED_OF_TRAINING = ("lr", "weight_decay", "optimizer", "schedule", "precision", "half_size")

# Rows that processes compare with one another.
COMPARED_ROWS = 256


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
    held : Data
        The rows to stop by and to report on, in memory if the others are not.
    held_split : tuple of ndarray of int
        Which of them are to stop by, and which to report on.
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
    held: Data
    held_split: tuple[np.ndarray, np.ndarray]
    earlier_steps: int
    n_copies: int = 0
    n_repeats: int = 0


# Parameters that may change when a training resumes: its length, its seed (checked separately),
# what it reports, and settings of the process.
_FREE_TO_CHANGE = (
    *("max_steps", "max_epochs", "effort", "early_stopping", "random_state", "warm_start"),
    *("eval_block_size", "validation_fraction", "callbacks", "verbose"),
    *("device", "n_threads", "compile", "distributed", "chunk_size"),
    *("checkpoint_dir", "checkpoint_every"),
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


def said_alike(settings: Settings, run: Run) -> dict[str, str]:
    """Return what several processes that train one model must have in common, as text, by name.

    Of the rows only some are read, so that a large file is not read once more.

    Parameters
    ----------
    settings : mapping
    run : Run

    Returns
    -------
    told : dict of str
    """
    rows = []
    for side in (*run.data.sides, run.data.confounds):
        if side is not None:
            some = np.linspace(0, len(side) - 1, min(len(side), COMPARED_ROWS)).astype(int)
            rows.append(f"{tuple(side.source.shape)} {hash_rows(side.source.take(some))}")
    fixed = {name: getattr(run.net.model.recipe, name) for name in MODEL_PARAMETERS}
    free = {*MODEL_PARAMETERS, *_FREE_TO_CHANGE} - {"max_steps", "max_epochs", "effort"}
    others = {name: value for name, value in settings.items() if name not in free}
    if isinstance(settings["random_state"], Integral):
        others["random_state"] = settings["random_state"]
    return {
        "rows": " ".join(rows),
        "parameters": as_text({**fixed, **others, "steps": run.plan.steps}),
        "split": hash_rows(*run.split),
    }


def keeper_of(settings: Settings, run: Run) -> Keeper | None:
    """Return what writes the checkpoints of a ``fit``; None without a folder for them.

    Parameters
    ----------
    settings : mapping
    run : Run
        Before its first step.

    Returns
    -------
    keeper : Keeper or None
    """
    folder = settings["checkpoint_dir"]
    if folder is None:
        return None
    # Nobody looks at the name of the folder: all that changes a result is part of it.
    ends = {
        "steps": run.plan.steps,
        "patience": run.plan.patience if settings["early_stopping"] else None,
        "callbacks": settings["callbacks"],
    }
    weights = run.net.changing_weights()
    fingerprint = {
        **fingerprint_of(settings, run),
        "length": as_text(ends),
        # Modules of the user's own may have learned something before.
        "weights": as_text(list(weights.values())),
        "version": __version__,
    }
    team = run.net.team
    return Keeper(folder, team.agreed(fingerprint), *every(settings["checkpoint_every"]), team)
