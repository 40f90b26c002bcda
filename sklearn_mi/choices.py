"""What a learner picks by itself from a look at the data, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sklearn_mi._base import Shape

__all__ = ["Choice", "Facts", "choose"]

STEPS = 600
PASSES = 100
REFERENCES_IN_GIB = 4.0


@dataclass(frozen=True)
class Facts:
    """What there is to see before anything is trained.

    Parameters
    ----------
    n_rows : int
        Rows to train on.
    row_shape : tuple of int
        As the view sees one row.
    is_paired : bool
        Whether there is a second table.
    batch_size : int
    """

    n_rows: int
    row_shape: Shape
    is_paired: bool
    batch_size: int

    @property
    def is_colour(self) -> bool:
        """Whether a row is an image with several channels."""
        return len(self.row_shape) == 3 and self.row_shape[2] > 1

    @property
    def dense_gib(self) -> float:
        """Size of all rows as single-precision numbers."""
        return 4 * self.n_rows * math.prod(self.row_shape) / 2**30


@dataclass(frozen=True)
class Choice:
    """One parameter that was left to the learner.

    Parameters
    ----------
    value : object
        A name or a number, as the parameter takes it.
    reason : str
    """

    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.value!r}: {self.reason}"


def _view(facts: Facts) -> Choice:
    if facts.is_paired:
        return Choice("paired", "X_pair is given")
    if facts.is_colour:
        return Choice(
            "simclr", f"rows are images of shape {facts.row_shape}, whose pixels say little apart"
        )
    if facts.dense_gib > REFERENCES_IN_GIB:
        return Choice(
            "corruption",
            f"neighbours would keep all rows, {facts.dense_gib:.1f} GiB as dense numbers",
        )
    kind = "a table" if len(facts.row_shape) == 1 else "small images in grey"
    return Choice("neighbors", f"{kind}: close rows tend to mean the same thing")


def _encoder(facts: Facts) -> Choice:
    if facts.is_colour and not facts.is_paired:
        return Choice("convnet", f"rows are images of shape {facts.row_shape}")
    return Choice("gelu-mlp", f"{math.prod(facts.row_shape)} numbers a row")


def _critic(facts: Facts) -> Choice:
    if facts.is_colour and not facts.is_paired:
        return Choice("cosine", "with augmentations directions serve a linear probe better")
    return Choice("cauchy", "distances between codes mean what they say, which serves few labels")


def _max_steps(facts: Facts) -> Choice:
    steps_a_pass = max(1, facts.n_rows // min(facts.batch_size, facts.n_rows))
    if PASSES * steps_a_pass < STEPS:
        return Choice(PASSES * steps_a_pass, f"{PASSES} passes over {facts.n_rows} rows")
    return Choice(STEPS, f"the default; {STEPS / steps_a_pass:.1f} passes over the rows")


def choose(facts: Facts) -> dict[str, Choice]:
    """Return what the learner would pick, parameter by parameter.

    Parameters
    ----------
    facts : Facts

    Returns
    -------
    choices : dict of Choice
        By the parameter's name.

    Examples
    --------
    >>> from sklearn_mi.choices import Facts, choose
    >>> facts = Facts(1797, (64,), is_paired=False, batch_size=256)
    >>> print(choose(facts)["view"])
    'neighbors': a table: close rows tend to mean the same thing
    """
    return {
        "view": _view(facts),
        "encoder": _encoder(facts),
        "critic": _critic(facts),
        "max_steps": _max_steps(facts),
    }
