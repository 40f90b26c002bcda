"""The sentences of a report, made from its numbers alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sklearn_mi.summary.measures import OURS, RAW

__all__ = ["conclusion", "counted", "information_said", "listed", "rows_said"]

SIGNIFICANT = 0.05
MOST_NAMED = 5


def counted(n: int, thing: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Parameters
    ----------
    n : int
    thing : str
    plural : str, optional
        By default with an s.

    Returns
    -------
    words : str

    Examples
    --------
    >>> from sklearn_mi.summary.words import counted
    >>> counted(1797, "row"), counted(1, "class", "classes")
    ('1,797 rows', '1 class')
    """
    return f"{n:,} {thing if n == 1 else plural or thing + 's'}"


def listed(names: Sequence[Any], most: int | None = None, last: str = "and") -> str:
    """Return names in one phrase.

    Parameters
    ----------
    names : sequence
    most : int, optional
        How many are named; the others are counted.
    last : str
        The word before the last one.

    Returns
    -------
    words : str

    Examples
    --------
    >>> from sklearn_mi.summary.words import listed
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    words = [str(name) for name in names]
    if most is not None and len(words) > most:
        words = [*words[:most], f"{len(words) - most:,} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def conclusion(
    found: pd.DataFrame,
    *,
    is_measurement: bool = False,
    ours: str = OURS,
    reference: str = RAW,
) -> str:
    """Return one sentence: where learned features are better or worse than a reference.

    Parameters
    ----------
    found : DataFrame
        As from `sklearn_mi.evaluation.differences`; only differences with ``p_holm`` below 0.05
        count.
    is_measurement : bool, default=False
        Whether means are those of :math:`R^2`, and labels are counted in all.
    ours, reference : str
        Names of the two sides.

    Returns
    -------
    sentence : str

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.summary.words import conclusion
    >>> found = pd.DataFrame({
    ...     "name": "learned features", "labels_per_class": [5.0, 20.0], "mean": [0.08, 0.01],
    ...     "p_holm": [0.02, 0.4],
    ... })
    >>> conclusion(found, reference="PCA")
    'With 5 labels a class, learned features are 8 points more accurate than PCA.'
    """
    rows = [row for row in found.to_dict("records") if row["name"] == ours]
    rows.sort(key=lambda row: row["labels_per_class"])
    sure = [row for row in rows if row["p_holm"] < SIGNIFICANT]
    largest = [
        max(group, key=lambda row: abs(row["mean"]))
        for way in (1, -1)
        if (group := [row for row in sure if way * row["mean"] > 0])
    ]
    if not largest:
        counts = [row["labels_per_class"] for row in rows]
        labels = listed([_number(n) for n in counts], last="or")
        return (
            f"With {labels} {_unit(counts[-1], is_measurement)}, no difference between {ours} and "
            f"{_the(reference)} is beyond chance."
        )
    largest.sort(key=lambda row: row["labels_per_class"])
    parts = []
    for row in largest:
        n = row["labels_per_class"]
        where = f"{_number(n)} {_unit(n, is_measurement)}"
        subject = f"{ours} are" if not parts else "they are"
        if is_measurement:
            subject = f"R² of {ours} is" if not parts else "it is"
        parts.append(f"ith {where}, {subject} {_gain(row['mean'], is_measurement)}")
    first = f"W{parts[0]} than {_that(is_measurement)}{_the(reference)}"
    return ", but w".join([first, *parts[1:]]) + "."


def _the(reference: str) -> str:
    return f"the {reference}" if reference == RAW else reference


def _that(is_measurement: bool) -> str:
    return "that of " if is_measurement else ""


def _gain(mean: float, is_measurement: bool) -> str:
    if is_measurement:
        return f"{abs(mean):.2f} {'higher' if mean > 0 else 'lower'}"
    points = f"{100 * abs(mean):.0f}" if abs(mean) >= 0.0095 else f"{100 * abs(mean):.1f}"
    return f"{points} point{'' if points == '1' else 's'} {'more' if mean > 0 else 'less'} accurate"


def _number(labels: float) -> str:
    return "all" if labels == float("inf") else f"{labels:g}"


def _unit(labels: float, is_measurement: bool) -> str:
    if labels == float("inf"):
        return "labels"
    return ("label" if labels == 1 else "labels") + ("" if is_measurement else " a class")


def rows_said(n_rows: int, n_used: int, n_unlabelled: int) -> list[str]:
    """Return what is to be said of rows that are not used.

    Parameters
    ----------
    n_rows, n_used, n_unlabelled : int
        Rows with a label, those that the report uses, and rows without a label.

    Returns
    -------
    sentences : list of str
    """
    said = []
    if n_unlabelled:
        verb = "is" if n_unlabelled == 1 else "are"
        said.append(f"{counted(n_unlabelled, 'row')} without a label {verb} left out.")
    if n_used < n_rows:
        said.append(f"All numbers are those of {n_used:,} rows, drawn at random (max_rows).")
    return said


def information_said(table: pd.DataFrame, entropy: float, label: str) -> list[str]:
    """Return what the mutual information of columns with the label says, and what it does not.

    Parameters
    ----------
    table : DataFrame
        From `sklearn_mi.summary.measures.column_information`, the largest value first.
    entropy : float
        Of the label; ``inf`` if it is a measurement.
    label : str
        Its name.

    Returns
    -------
    sentences : list of str
    """
    rows = [(str(name), row) for name, row in table.to_dict("index").items()]
    none = [name for name, row in rows if row["p_adjusted"] >= SIGNIFICANT]
    name, first = rows[0]
    if len(none) == len(table):
        return [f"No column is distinguishable from one without information about {label}."]
    most = f" of {entropy:.2f}" if math.isfinite(entropy) else ""
    said = [f"Alone, {name} tells most about {label}: {first['value']:.2f}{most} nats."]
    tied = sum(row["high"] >= first["low"] for _, row in rows)
    if tied > 1:
        said.append(
            f"The intervals of {counted(tied, 'column')} reach that of the first: which of them "
            "tells most is not certain."
        )
    if none:
        said.append(f"Not distinguishable from 0: {listed(none, MOST_NAMED)}.")
    return said
