"""Whole methods: what a comparison, asked for by name or object, changes in an entry."""

from __future__ import annotations

from typing import Any

from sklearn_mi._base import is_auto
from sklearn_mi.comparisons import Comparison, as_comparison
from sklearn_mi.encoders import Conv1d
from sklearn_mi.recipe.entries import (
    ADAM,
    FULL,
    HALVES,
    INFONCE,
    NO_DECAY,
    OF_EACH_HALF,
    OWN_WIDTH,
    WHOLE_SIZE,
    Length,
    default,
)
from sklearn_mi.recipe.facts import RECORDING, RGB, Facts

__all__ = ["METHODS"]

# Changes to an entry if the user asks for a comparison by name or object: whole methods.
_OWN_SCORES = default(
    "cosine", "the comparison scores by networks of its own; this critic is not trained"
)
_SAME = default("same", "code and map come from one image")
_MAPS = {
    "critic": _OWN_SCORES,
    "objective": INFONCE,
    "n_components": OWN_WIDTH,
    "output": None,
    "optimizer": ADAM,
    "schedule": default("cosine", "a falling rate can start higher"),
    "lr": default(1e-3, "the rate that suits Adam and a network with normalisation"),
    "weight_decay": NO_DECAY,
    "max_steps": default(Length(400, 4800), ""),
    "precision": FULL,
    "half_size": WHOLE_SIZE,
    "front_end": None,
}
METHODS: dict[str, dict[str, Any]] = {
    "each-part": {
        "critic": default("cauchy-cosine", HALVES.reason),
        "objective": INFONCE,
    },
    # For colour images alone; several tables keep the defaults of their kind.
    "cmc": {
        "view": default("lightness-color", "lightness and colours of an image show one thing"),
        "critic": default("cosine", "only directions are scored", "view", otherwise=HALVES),
        "objective": default(
            *("infonce-symmetric", "each of the two is scored against the other", "view"),
            otherwise=OF_EACH_HALF,
        ),
        "output": None,
    },
    "dim": {
        **_MAPS,
        "view": _SAME,
        "encoder": default("dim-net", "the network of Deep InfoMax, with a map of places"),
    },
    "amdim": {
        **_MAPS,
        "view": default("simclr", "two draws of an image, each scored against the other's map"),
        "encoder": default("dim-net", "a small network with three maps"),
    },
    "cpc": {
        **_MAPS,
        "view": default("same", "contexts and later steps come from one row"),
        "encoder": default(
            *(Conv1d(causal=True), "a code of every step, which sees none after it", RECORDING),
            otherwise=default("patches", "overlapping patches"),
        ),
        "lr": default(5e-3, "the rate that suits Adam and this loss"),
    },
}


def asked_for(comparison: Any) -> Comparison | None:
    """Return the comparison that the user asks for, by name or object."""
    is_open = comparison is None or is_auto(comparison)
    return None if is_open else as_comparison(comparison)


def asks_for_parts(comparison: Any) -> bool:
    """Return whether the user asks for a comparison that needs a critic with parts."""
    asked = asked_for(comparison)
    return asked is not None and asked.needs_parts


def changes_of(comparison: Any, kind: str) -> dict[str, Any]:
    """Return the changes to an entry that a comparison brings."""
    asked = asked_for(comparison)
    if asked is None or (asked.method == "cmc" and kind != "colour image"):
        return {}
    changes = METHODS.get(asked.method or ("each-part" if asked.needs_parts else ""), {})
    # Rows of a second table are partners already.
    return {name: to for name, to in changes.items() if not (name == "view" and kind == "paired")}


def refuse_one_table(comparison: Any, facts: Facts) -> None:
    """Reject CMC where nothing makes a pair of tables."""
    asked = asked_for(comparison)
    if asked is not None and asked.method == "cmc" and RGB not in facts.conditions:
        raise ValueError(
            f"comparison={comparison!r} compares several tables, or lightness and colours of RGB "
            f"images, but X is one table with rows of shape {facts.kind.row_shape}; expected "
            "X_pair=[...], or sets of its columns named by view=Columns(...)."
        )


def refuse_two_kinds(comparison: Any, y: Any, groups: Any) -> None:
    """Reject groups beside classes where either could say which rows are partners."""
    asked = asked_for(comparison)
    if asked is not None and asked.needs_kindred and y is not None and groups is not None:
        raise ValueError(
            f"comparison={comparison!r} takes the classes of y for the partners of a row, but "
            "groups are given, too; expected one of the two: leave groups out."
        )
