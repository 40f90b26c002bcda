"""Recipes: what a learner is built from, and the defaults for each kind of data.

`ENTRIES` is the table of defaults: one entry for each kind of data, with reasons; `METHODS` says
what a comparison changes in it. A `Draft` joins an entry with what the user gave. Once the widths
of the codes are known it becomes a `Recipe`, which is frozen and kept in the model.
"""

from sklearn_mi._base import Auto
from sklearn_mi.recipe.draft import (
    FAMILIES,
    MODEL_PARAMETERS,
    Draft,
    Recipe,
    changed_parameters,
    check_unchanged,
    open_parameters,
    over_steps,
    snapshot,
    training_choices,
)
from sklearn_mi.recipe.entries import ENTRIES, OPEN_PARAMETERS, Entry
from sklearn_mi.recipe.facts import EFFORTS, Choice, Facts
from sklearn_mi.recipe.methods import METHODS, refuse_two_kinds

__all__ = [
    "EFFORTS",
    "ENTRIES",
    "FAMILIES",
    "METHODS",
    "MODEL_PARAMETERS",
    "OPEN_PARAMETERS",
    "Auto",
    "Choice",
    "Draft",
    "Entry",
    "Facts",
    "Recipe",
    "changed_parameters",
    "check_unchanged",
    "open_parameters",
    "over_steps",
    "refuse_two_kinds",
    "snapshot",
    "training_choices",
]
