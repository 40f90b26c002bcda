"""What a learner picks by itself from a look at the data, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sklearn_mi._base import Shape

__all__ = ["NARROWEST_SPLIT", "Choice", "Facts", "choose", "without_split"]

STEPS = 1200
MOST_STEPS = 4800
COLOUR_STEPS = 880
PASSES = 30
MOST_PASSES = 250
COMPONENTS = 64
NARROWEST_SPLIT = 8
NARROWEST_MOVED = 8
WIDEST_ADDED = 256
REFERENCES_IN_GIB = 4.0
RATES = {"constant": 1e-3, "cosine": 3e-3}


MODEL = frozenset({"encoder", "critic", "objective"})
PARAMETERS = MODEL | {"view", "output", "n_components", "max_steps", "lr", "schedule"}


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
    left_open : frozenset of str
        Names of the parameters that are to be picked: by default all.
    is_whole : bool
        Whether this is a training of its own, not a pass of many.
    is_mixed : bool
        Whether columns of 0 and 1 stand beside numbers, see `sklearn_mi.inputs.find_flags`.
    """

    n_rows: int
    row_shape: Shape
    is_paired: bool
    batch_size: int
    left_open: frozenset[str] = PARAMETERS
    is_whole: bool = True
    is_mixed: bool = False

    @property
    def is_colour(self) -> bool:
        """Whether a row is an image with several channels."""
        return len(self.row_shape) == 3 and self.row_shape[2] > 1

    @property
    def keeps_columns(self) -> bool:
        """Whether columns are to stand in the code as they are."""
        free = {"encoder", "n_components"} <= self.left_open
        return free and self.is_mixed and not self.is_paired

    @property
    def adds_columns(self) -> bool:
        """Whether ``transform`` is to give the columns beside the code."""
        free = MODEL | {"view", "output", "n_components"} <= self.left_open
        is_narrow = len(self.row_shape) == 1 and self.row_shape[0] <= WIDEST_ADDED
        return free and is_narrow and not self.is_paired and not self.keeps_columns

    @property
    def can_split(self) -> bool:
        """Whether critic and objective are free for a code of two parts."""
        is_free = {"critic", "objective"} <= self.left_open
        return is_free and not self.is_augmented and not self.keeps_columns

    @property
    def is_augmented(self) -> bool:
        """Whether pairs are made by augmenting images."""
        return self.is_colour and not self.is_paired and "view" in self.left_open

    @property
    def averages_crops(self) -> bool:
        """Whether ``transform`` is to give the mean over several crops."""
        return self.is_augmented and {"critic", "output"} <= self.left_open

    @property
    def is_grey(self) -> bool:
        """Whether a row is an image with one channel."""
        return len(self.row_shape) in (2, 3) and not self.is_colour

    @property
    def is_moved(self) -> bool:
        """Whether pairs are neighbours among images in grey, moved a little."""
        is_free = "view" in self.left_open and not self.is_paired
        is_wide = self.is_grey and min(self.row_shape[:2]) >= NARROWEST_MOVED
        return is_free and is_wide and not self.is_too_large

    @property
    def schedule(self) -> str:
        """What is known to suit: a high rate that falls was tried with the default model alone."""
        free = MODEL | {"lr", "schedule"} <= self.left_open
        return "cosine" if free and self.is_whole and self.can_split else "constant"

    @property
    def dense_gib(self) -> float:
        """Size of all rows as single-precision numbers."""
        return 4 * self.n_rows * math.prod(self.row_shape) / 2**30

    @property
    def is_too_large(self) -> bool:
        """Whether all rows would take too much memory to look for neighbours in."""
        return self.dense_gib > REFERENCES_IN_GIB


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
        colours = "" if facts.row_shape[2] == 3 else "; what needs red, green and blue is left out"
        return Choice(
            "simclr",
            f"rows are images of shape {facts.row_shape}, whose pixels say little apart{colours}",
        )
    if facts.is_too_large:
        return Choice(
            "corruption",
            f"neighbours would keep all rows, {facts.dense_gib:.1f} GiB as dense numbers",
        )
    if facts.is_moved:
        return Choice(
            "moved-neighbors",
            "images in grey: close ones tend to mean the same thing, and so do ones that are "
            "shifted or turned a little",
        )
    if facts.is_grey:
        return Choice("neighbors", "images too small to be moved by less than they mean")
    return Choice("neighbors", "a table: close rows tend to mean the same thing")


def _encoder(facts: Facts) -> Choice:
    if facts.is_colour and not facts.is_paired:
        return Choice("convnet", f"rows are images of shape {facts.row_shape}")
    if facts.keeps_columns:
        return Choice(
            "passthrough",
            "a table of numbers and categories, whose columns say things that no other one does: "
            "they stay in the code",
        )
    if facts.is_moved:
        return Choice("lenet", "images in grey, in which the place of a stroke means something")
    return Choice("wide-mlp", f"{math.prod(facts.row_shape)} numbers a row")


def _critic(facts: Facts) -> Choice:
    if facts.is_augmented:
        return Choice("cosine", "with augmentations directions serve a linear probe better")
    if facts.keeps_columns:
        return Choice("bilinear", "it weighs the columns of the code by itself")
    if facts.can_split:
        return Choice(
            "cauchy-cosine",
            "half of the code by distances, which serve few labels, half by directions, which "
            "serve many",
        )
    return Choice("cauchy", "distances between codes mean what they say, which serves few labels")


def _objective(facts: Facts) -> Choice:
    if facts.can_split:
        return Choice("each-part", "InfoNCE of each half, so that none leans on the other")
    return Choice("infonce", "the bound of least variance")


def _n_components(facts: Facts) -> Choice:
    if facts.can_split and "encoder" in facts.left_open:
        return Choice(COMPONENTS, "half of them for each part of the code")
    return Choice(None, "the encoder's own")


def _output(facts: Facts) -> Choice | None:
    if facts.adds_columns:
        return Choice("with-columns", "the code serves few labels, the columns many")
    if facts.averages_crops:
        return Choice(
            "averaged",
            "the encoder was trained on crops, and five say more than the image as it is",
        )
    return None


def _max_steps(facts: Facts) -> Choice:
    steps_a_pass = max(1, facts.n_rows // min(facts.batch_size, facts.n_rows))
    least, most, passes = STEPS, MOST_STEPS, MOST_PASSES
    if facts.is_colour:
        least = most = COLOUR_STEPS
    elif facts.is_moved:
        # Pairs are drawn anew each time, so that few rows last longer.
        least, passes = 2 * least, 2 * passes
    steps = min(max(least, PASSES * steps_a_pass), most, passes * steps_a_pass)
    return Choice(steps, f"{steps / steps_a_pass:.1f} passes over {facts.n_rows} rows")


def _schedule(facts: Facts) -> Choice:
    if facts.schedule == "cosine":
        return Choice("cosine", "a rate that falls may begin high")
    return Choice("constant", "what suits any model, and training that goes on later")


def _lr(facts: Facts) -> Choice:
    reason = {"cosine": "it falls to 0 by a cosine", "constant": "it stays"}[facts.schedule]
    return Choice(RATES[facts.schedule], reason)


def without_split(choices: dict[str, Choice]) -> dict[str, Choice]:
    """Return choices for a code of few components: a cosine needs several to say anything.

    Parameters
    ----------
    choices : dict of Choice

    Returns
    -------
    choices : dict of Choice
    """
    if "objective" not in choices or choices["objective"].value != "each-part":
        return choices
    reason = f"a code of fewer than {NARROWEST_SPLIT} components is not cut in two"
    return {**choices, "critic": Choice("cauchy", reason), "objective": Choice("infonce", reason)}


def choose(facts: Facts) -> dict[str, Choice]:
    """Return what the learner picks for each parameter that is left open.

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
    pick = {
        "view": _view,
        "encoder": _encoder,
        "critic": _critic,
        "objective": _objective,
        "n_components": _n_components,
        "output": _output,
        "max_steps": _max_steps,
        "schedule": _schedule,
        "lr": _lr,
    }
    made = {name: make(facts) for name, make in pick.items() if name in facts.left_open}
    return {name: choice for name, choice in made.items() if choice is not None}
