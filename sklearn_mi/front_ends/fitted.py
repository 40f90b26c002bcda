"""The first layer of a learner: rows scaled and, with a front end, made into features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

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
)

__all__ = ["fit_first_layers"]

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
}


def fit_first_layers(
    data: Data, index: np.ndarray, standardize: bool | str, front_end: Any, seed: int
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
        Of the tables whose rows it takes; another one beside them has none.
    seed : int

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
    if made is not None:
        _refuse_others(made, front_end, [side.kind for side in data.sides if side is not None])
    layers = []
    for side, name in zip(data.sides, ("X", "X_pair"), strict=True):
        layer = None if side is None else fit_standardize(side, index, standardize, name)
        if made is not None and side is not None and layer is not None and _takes(made, side.kind):
            layers.append(_behind(side, index, layer, made, standardize, seed))
        else:
            layers.append(layer)
    return tuple(layers)


def _takes(front_end: FrontEnd, kind: Kind) -> bool:
    """Return whether a front end takes rows of a kind."""
    return isinstance(kind, TAKEN[front_end.takes][0])


def _refuse_others(front_end: FrontEnd, given: Any, kinds: Sequence[Kind]) -> None:
    """Refuse tables none of which a front end takes."""
    if not any(_takes(front_end, kind) for kind in kinds):
        _, name, expected = TAKEN[front_end.takes]
        raise ValueError(
            f"front_end={given!r} makes features of {name}, but rows of X have shape "
            f"{kinds[0].source_shape}; expected {expected}: leave front_end='auto'."
        )


def _behind(
    rows: CheckedRows,
    index: np.ndarray,
    first: Standardize,
    front_end: FrontEnd,
    standardize: bool | str,
    seed: int,
) -> FrontLayer:
    """Return the first layer with a front end, fitted on some thousand rows at most."""
    most = max(2, min(MOST_ROWS, MOST_NUMBERS // rows.kind.n_inputs))
    if len(index) > most:
        drawn = np.random.default_rng(seed).choice(len(index), most, replace=False)
        index = index[np.sort(drawn)]
    parts = list(gen_batches(len(index), ROWS_AT_ONCE))
    x = torch.cat([first(rows.source.take(index[part])) for part in parts])
    state = front_end.fit(x, seed)
    features = torch.cat([front_end(x[part], state) for part in parts])
    return FrontLayer(first, front_end, state, _last(features, front_end, standardize))


def _last(features: Tensor, front_end: FrontEnd, standardize: bool | str) -> Standardize:
    """Return the layer that scales features as if they were the columns of a table."""
    shape = tuple(features.shape[1:])
    kind = Recording if front_end.gives_recordings else Table
    made = CheckedRows(as_source(features), Schema(kind(shape, shape)))
    return fit_standardize(made, np.arange(len(features)), standardize)
