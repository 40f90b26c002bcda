"""What a training is: its data, rows, net and plan, and what identifies it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mi.preparation.inputs import Settings
from sklearn_mi.recipe import MODEL_PARAMETERS
from sklearn_mi.rows import AnyRows, Data
from sklearn_mi.training import MINet, Plan, as_text, hash_rows

__all__ = ["Earlier", "PICKED_OF_TRAINING", "Run", "fingerprint_of"]

PICKED_OF_TRAINING = ("lr", "weight_decay", "optimizer", "schedule", "precision", "half_size")


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
