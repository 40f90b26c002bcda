"""Weights of columns: factors on the scaled numbers that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sklearn_mi.rows.kinds import Schema, Table, Words
from sklearn_mi.rows.scaling import Standardize
from sklearn_mi.rows.words import listed

__all__ = ["weighted"]

LARGEST = 1e6
EXPECTED = f"expected one number a column from 0 to {LARGEST:g}, one above 0, or a dict by name"


def weighted(layer: Standardize, column_weights: Any, schema: Schema) -> Standardize:
    """Return the first layer of a table whose scaled columns are multiplied by weights.

    Parameters
    ----------
    layer : Standardize
        Comes back as it is without weights.
    column_weights : array-like of shape (n_columns,), dict or None
        By position or by name; a name that a dict leaves out has 1. A column of weight 0 is left
        out: it is 0.
    schema : Schema
        Of the table.

    Returns
    -------
    layer : Standardize

    Raises
    ------
    ValueError
        If rows are no table, or names, length or values are not right.
    """
    if column_weights is None:
        return layer
    if not isinstance(schema.kind, Table | Words):
        raise ValueError(
            f"column_weights weigh the columns of a table, but rows of X have shape "
            f"{schema.kind.row_shape}; leave column_weights=None."
        )
    weights = _numbers(column_weights, schema)
    if schema.owners is not None:
        weights = weights[schema.owners]
    # Infinity makes 0 of a column.
    whole = np.broadcast_to(layer.scale.cpu().numpy(), weights.shape)
    scale = np.divide(whole, weights, out=np.full(len(weights), np.inf), where=weights > 0)
    return Standardize(np.broadcast_to(layer.mean.cpu().numpy(), weights.shape).copy(), scale)


def _numbers(given: Any, schema: Schema) -> np.ndarray:
    """Return a weight for each column of a table as it came."""
    if isinstance(given, pd.Series):
        raise ValueError("column_weights is a Series; pass column_weights.to_dict().")
    values = given.values() if isinstance(given, Mapping) else given
    try:
        weights = np.array([_number(value) for value in values], dtype=np.float64)
    except TypeError as error:
        raise ValueError(f"column_weights={given!r}; {EXPECTED}.") from error
    wrong = ~((weights <= LARGEST) & (weights >= 0))
    if wrong.any():
        raise ValueError(f"column_weights holds {weights[wrong][0]:g}; {EXPECTED}.")
    if isinstance(given, Mapping):
        return _some(_by_name(dict(zip(given, weights, strict=True)), schema), given)
    if len(weights) != schema.n_columns:
        raise ValueError(
            f"column_weights has {len(weights)} numbers, but X has {schema.n_columns} columns; "
            f"{EXPECTED}."
        )
    return _some(weights, given)


def _some(weights: np.ndarray, given: Any) -> np.ndarray:
    if not weights.any():
        raise ValueError(f"column_weights={given!r} leaves out every column; {EXPECTED}.")
    return weights


def _number(value: Any) -> float:
    if isinstance(value, str | bytes) or np.ndim(value):
        raise TypeError(f"{value!r} is no number.")
    return float(value)


def _by_name(weights: Mapping[Any, float], schema: Schema) -> np.ndarray:
    names = schema.feature_names
    if names is None:
        raise ValueError(
            "column_weights is a dict, but X has no column names; pass a data frame, or one number "
            "a column."
        )
    if unknown := [name for name in weights if name not in names]:
        raise ValueError(
            f"column_weights names columns {listed(unknown)}, which are not there; X has "
            f"{listed(list(names))}."
        )
    return np.array([weights.get(name, 1.0) for name in names])
