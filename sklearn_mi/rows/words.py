"""Sentences about columns, for messages."""

from __future__ import annotations

from typing import Any

__all__ = ["listed", "told_of_values"]

MOST_LISTED = 5


def told_of_values(what: str, counts: dict[Any, int], name: str, n_rows: int) -> str:
    """Return a sentence on missing or infinite values: their columns, how many, and the cure.

    Parameters
    ----------
    what : {"missing", "infinite"}
    counts : dict
        How many, by the name of the column.
    name : str
        Of the table.
    n_rows : int

    Returns
    -------
    sentence : str
    """
    cure = "fill them, such as by SimpleImputer" if what == "missing" else "clip them"
    return (
        f"{name} has {what} values in columns {listed(list(counts))} "
        f"({listed(list(counts.values()), '')} of {n_rows} rows): {cure}, or drop these rows."
    )


def listed(values: list[Any], brackets: str = "[]") -> str:
    """Return the first five values as text, and how many more there are."""
    first = ", ".join(map(repr, values[:MOST_LISTED])).join(brackets or ("", ""))
    more = f" and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else ""
    return f"{first}{more}"
