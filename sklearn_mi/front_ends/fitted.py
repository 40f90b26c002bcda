"""The first layer of a learner: rows scaled and, with a front end, made into features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_mi.compression import is_wide
from sklearn_mi.front_ends.base import FrontEnd
from sklearn_mi.front_ends.names import as_front_end
from sklearn_mi.rows import (
    CheckedRows,
    Data,
    FrontLayer,
    Kind,
    Recording,
    Schema,
    Standardize,
    Table,
    Words,
    as_source,
    fit_standardize,
    weighted,
)

__all__ = ["fit_first_layers", "names_of_features"]

MOST_ROWS = 4096
# In the rows that a front end is fitted on: 1 GiB.
MOST_NUMBERS = 2**28
ROWS_AT_ONCE = 256
# What a front end takes: the kind of rows, its name, and how a user passes them.
TAKEN: dict[str, tuple[type[Kind], str, str]] = {
    "recordings": (
        Recording,
        "recordings",
        "recordings (n, time, channels), or a list of arrays of shape (time, channels)",
    ),
    "words": (
        Words,
        "texts",
        "sparse rows of CountVectorizer or TfidfVectorizer, of at least 500 columns",
    ),
    "tables": (Table, "tables", "one table of shape (n_samples, n_features), or a pair of them"),
}


def fit_first_layers(
    data: Data,
    index: np.ndarray,
    standardize: bool | str,
    front_end: Any,
    seed: int,
    column_weights: Any = None,
) -> tuple[Standardize | FrontLayer | None, ...]:
    """Return the frozen first layers of both tables, fitted on the rows of an index.

    Parameters
    ----------
    data : Data
    index : ndarray of int
        The training rows; no others are looked at.
    standardize : bool or "auto"
        See `sklearn_mi.rows.fit_standardize`.
    front_end : str, FrontEnd or None
        Of the tables whose rows it takes; another one beside them has none. One that takes tables
        leaves a narrow table as it is, if the other one is wide; see `is_wide`.
    seed : int
    column_weights : array-like, dict or None
        Of the columns of the first table; see `sklearn_mi.rows.weighted`.

    Returns
    -------
    layers : tuple of Standardize, FrontLayer or None
        None: there is no second table.

    Raises
    ------
    ValueError
        If there is a front end, but no table of rows that it takes.
    """
    made = None if front_end is None else as_front_end(front_end)
    taken = [] if made is None else _taken(made, front_end, data, len(index))
    layers: list[Any] = [
        None if side is None else fit_standardize(side, index, standardize, name)
        for side, name in zip(data.sides, ("X", "X_pair"), strict=True)
    ]
    layers[0] = weighted(layers[0], column_weights, data.first.schema)
    if made is None:
        return tuple(layers)
    sides = [side for side in data.sides if side is not None]
    index = _drawn(index, sum(sides[i].kind.n_inputs for i in taken), seed)
    tables = [_scaled(sides[i], index, layers[i]) for i in taken]
    x, *others = tables
    states = made.fit_pair(x, others[0], seed) if others else (made.fit(x, seed),)
    for i, x, state in zip(taken, tables, states, strict=True):
        features = torch.cat([made(part, state) for part in x.split(ROWS_AT_ONCE)])
        layers[i] = FrontLayer(layers[i], made, state, _last(features, made, standardize))
    return tuple(layers)


def _taken(front_end: FrontEnd, given: Any, data: Data, n_rows: int) -> list[int]:
    """Return which tables a front end takes; refuse data without any."""
    wanted, name, expected = TAKEN[front_end.takes]
    kinds = {
        i: side.kind
        for i, side in enumerate(data.sides)
        if side is not None and isinstance(side.kind, wanted) and not side.schema.parts
    }
    if not kinds:
        raise ValueError(
            f"front_end={given!r} makes features of {name}, but rows of X have shape "
            f"{data.first.kind.source_shape}; expected {expected}: leave front_end='auto'."
        )
    wide = [i for i, kind in kinds.items() if is_wide(n_rows, kind.n_inputs, 0)]
    return wide if wide and front_end.takes == "tables" else list(kinds)


def _drawn(index: np.ndarray, n_inputs: int, seed: int) -> np.ndarray:
    """Return some thousand rows of an index at most."""
    most = max(2, min(MOST_ROWS, MOST_NUMBERS // n_inputs))
    if len(index) <= most:
        return index
    return index[np.sort(np.random.default_rng(seed).choice(len(index), most, replace=False))]


def _scaled(rows: CheckedRows, index: np.ndarray, first: Standardize) -> Tensor:
    """Return rows as their first layer makes them."""
    parts = gen_batches(len(index), ROWS_AT_ONCE)
    return torch.cat([first(rows.source.take(index[part])) for part in parts])


def _last(features: Tensor, front_end: FrontEnd, standardize: bool | str) -> Standardize:
    """Return the layer that scales features as if they were the columns of a table."""
    if front_end.is_scaled:
        return Standardize(np.zeros(1), np.ones(1))
    shape = tuple(features.shape[1:])
    kind = Recording if front_end.gives_recordings else Table
    made = CheckedRows(as_source(features), Schema(kind(shape, shape)))
    return fit_standardize(made, np.arange(len(features)), standardize)


def names_of_features(layer: Standardize | FrontLayer, schema: Schema) -> Sequence[str] | None:
    """Return names for the numbers that a first layer makes of a row.

    Parameters
    ----------
    layer : Standardize or FrontLayer
    schema : Schema
        Of the table, as the front end makes it.

    Returns
    -------
    names : sequence of str or None
        None: there is no front end before them.
    """
    if not isinstance(layer, FrontLayer):
        return None
    channels, kind, made = schema.feature_names, schema.kind, None
    if channels and isinstance(kind, Recording) and len(channels) == kind.n_channels:
        made = layer.front_end.column_names(channels, layer.state)
    prefix = type(layer.front_end).__name__.lower()
    return [f"{prefix}{i}" for i in range(kind.n_inputs)] if made is None else made
