"""Names of columns, labels of rows, and errors that name the columns without numbers."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from sklearn_mi._compat import (
    _check_feature_names,
    _check_feature_names_in,
    _get_feature_names,
)
from sklearn_mi.rows.kinds import Kind

__all__ = [
    "check_labels",
    "check_names",
    "check_types",
    "columns_are_told",
    "input_names",
    "names_of",
    "names_out",
]

MOST_LISTED = 5


def names_of(X: Any, name: str) -> tuple[str, ...] | None:
    """Return the names of the columns of a data frame; None if there are none.

    Raises
    ------
    ValueError
        If they have several levels, whose names scikit-learn does not keep, or if one repeats.
    """
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"{name} has several columns of one name: {_listed(twice)}; rename them.")
    if isinstance(X, pd.DataFrame) and X.columns.nlevels > 1:
        raise ValueError(
            f"{name} has columns of {X.columns.nlevels} levels (MultiIndex), whose names cannot be "
            f"kept; make one of them: {name}.columns = ['_'.join(map(str, column)) for column in "
            f"{name}.columns]."
        )
    names = _get_feature_names(X)
    return None if names is None else tuple(names)


def check_names(X: Any, known: Sequence[str] | None, name: str, estimator: str) -> None:
    """Compare the names of columns with those of ``fit``, as scikit-learn does.

    Parameters
    ----------
    X : object
        Rows as the user passes them.
    known : sequence of str or None
    name : str
        Of the table, for messages.
    estimator : str

    Raises
    ------
    ValueError
        If names are missing, unseen or in another order.
    """
    names = names_of(X, name)
    if names is not None and known is not None:
        fitted = SimpleNamespace(feature_names_in_=np.array(known, dtype=object))
        try:
            _check_feature_names(fitted, X, reset=False)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    elif names is not None:
        warnings.warn(
            f"{name} has feature names, but {estimator} was fitted without feature names",
            stacklevel=2,
        )
    elif known is not None:
        warnings.warn(
            f"{name} does not have valid feature names, but {estimator} was fitted with feature "
            "names",
            stacklevel=2,
        )


def check_labels(X: Any, X_pair: Any) -> None:
    """Reject two data frames with the same row labels in a different order.

    Rows are paired by position, as everywhere in scikit-learn, but here the labels contradict it.

    Raises
    ------
    ValueError
        If so; the message names the cure.
    """
    if not (isinstance(X, pd.DataFrame) and isinstance(X_pair, pd.DataFrame)):
        return
    first, second = X.index, X_pair.index
    if len(first) != len(second) or first.equals(second):
        return
    counts = [labels.value_counts(sort=False, dropna=False).to_dict() for labels in (first, second)]
    if counts[0] == counts[1]:
        cure = "X_pair.loc[X.index]" if first.is_unique else "tables in one order"
        raise ValueError(
            "X and X_pair hold the same row labels in another order, but rows are paired by "
            f"position; pass {cure}, or X_pair.reset_index(drop=True) if positions are right."
        )


def input_names(estimator: Any, kind: Kind, given: Any) -> Sequence[str]:
    """Return names for the numbers of a row, as scikit-learn does.

    Parameters
    ----------
    estimator : BaseEstimator
        Fitted.
    kind : Kind
        Kind of its rows. Only columns of a table have names.
    given : array-like of str or None
        The argument of ``get_feature_names_out``.

    Returns
    -------
    names : sequence of str
    """
    names: Any = _check_feature_names_in(estimator, given)
    is_flat = len(kind.source_shape) == 1
    return names if is_flat else [f"x{i}" for i in range(kind.n_inputs)]


def names_out(columns: Iterable[int | None], names: Sequence[str], prefix: str) -> np.ndarray:
    """Return names for output columns.

    Parameters
    ----------
    columns : iterable of int or None
        For each output column, the number of the equal input column; None if it is learned.
    names : sequence of str
        Names of the input columns.
    prefix : str
        Learned columns get this prefix and a number.

    Returns
    -------
    names : ndarray of str
        Unique names: if an input column appears twice, only the first keeps its name.
    """
    columns = list(columns)
    taken = {names[column] for column in columns if column is not None}
    fresh = (name for i in itertools.count() if (name := f"{prefix}{i}") not in taken)
    given = []
    for column in columns:
        name = None if column is None else names[column]
        given.append(name if name in taken else next(fresh))
        taken.discard(given[-1])
    return np.array(given, dtype=object)


def check_types(X: Any, name: str) -> None:
    """Reject sparse tensors, and values that would silently become other numbers.

    Parameters
    ----------
    X : object
        Rows as the user passes them.
    name : str
        Of the table, for messages.

    Raises
    ------
    ValueError
        For dates, and for masked values, of which numpy would use what the mask hides.
    """
    if isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any():
        raise ValueError(
            f"{name} has {np.ma.count_masked(X)} masked values; fill them, such as by "
            f"SimpleImputer on {name}.filled(numpy.nan), or drop these rows."
        )
    if isinstance(X, torch.Tensor) and X.layout != torch.strided:
        raise ValueError(f"{name} is a sparse tensor; pass {name}.to_dense(), or a scipy matrix.")
    dates = _dates(X)
    if dates or (isinstance(X, np.ndarray) and X.dtype.kind in "mM"):
        raise ValueError(
            f"{name} holds dates or times{f' in columns {_listed(dates)}' if dates else ''}; "
            "expected numbers: turn them into numbers, such as days since the first one, or drop "
            "them."
        )


def _dates(X: Any) -> list[Any]:
    """Return the columns of a data frame of pandas or polars that hold dates or times."""
    if isinstance(X, pd.DataFrame):
        return [column for column, dtype in X.dtypes.items() if dtype.kind in "mM"]
    if type(X).__module__.partition(".")[0] == "polars" and _get_feature_names(X) is not None:
        return [column for column, dtype in X.schema.items() if dtype.is_temporal()]
    return []


@contextmanager
def columns_are_told(X: Any, name: str) -> Iterator[None]:
    """Turn scikit-learn's error about a value that is not a number into one that names its column.

    Parameters
    ----------
    X : object
        Rows as the user passes them.
    name : str
        Of the table, for messages.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        told = _told(X, name, error)
        if told is None:
            raise
        raise told from error


def _told(X: Any, name: str, error: Exception) -> Exception | None:
    """Return a more specific error, or None."""
    array = _as_objects(X)
    if array is None:
        return None
    if array.ndim == 1 and len({len(row) for row in array if isinstance(row, Sequence)}) > 1:
        return ValueError(f"{name} has rows of unequal lengths; expected equal ones.")
    if array.ndim != 2:
        return None
    labels = _labels(X, array.shape[1])
    no_numbers = _told_no_numbers(array, labels, name, error)
    is_of_numbers = no_numbers is None and "nfinity" not in str(error)
    return _told_missing(array, labels, name, error) if is_of_numbers else no_numbers


def _as_objects(X: Any) -> np.ndarray | None:
    """Return rows as an array of objects if their container can hold objects."""
    is_frame = isinstance(X, pd.DataFrame) or _get_feature_names(X) is not None
    if not (is_frame or isinstance(X, np.ndarray | list | tuple)):
        return None
    try:
        return np.asarray(X, dtype=object)
    except ValueError:
        return None


def _labels(X: Any, n_columns: int) -> list[Any]:
    if isinstance(X, pd.DataFrame):
        return list(X.columns)
    names = _get_feature_names(X)
    return list(range(n_columns)) if names is None else list(names)


def _told_missing(
    array: np.ndarray, labels: list[Any], name: str, error: Exception
) -> Exception | None:
    found = [label for label, column in zip(labels, array.T, strict=True) if pd.isna(column).any()]
    if not found:
        return None
    return ValueError(
        f"{error}\n{name} has missing values in columns {_listed(found)}: fill them, such as by "
        "SimpleImputer, or drop these rows."
    )


def _told_no_numbers(
    array: np.ndarray, labels: list[Any], name: str, error: Exception
) -> Exception | None:
    found = {}
    for label, column in zip(labels, array.T, strict=True):
        value = next((value for value in column if not _is_number(value)), None)
        if value is not None:
            found[label] = value
    if not found and array.dtype.kind == "O" and "bytes/strings" in str(error):
        return ValueError(f"{name} holds numbers as text; pass {name}.astype(float).")
    if not found:
        return None
    columns, value = _listed(list(found)), next(iter(found.values()))
    if isinstance(value, str | bytes):
        return ValueError(
            f"{name} holds text in columns {columns}, such as {value!r}; expected numbers: encode "
            "them, such as by OneHotEncoder in a ColumnTransformer, or drop them."
        )
    return type(error)(
        f"{error}\n{name} holds {type(value).__name__} objects in columns {columns}; expected "
        "numbers: turn them into numbers, or drop them."
    )


def _is_number(value: Any) -> bool:
    """Return whether numpy can turn a value into a float; a missing value counts."""
    if value is None or value is pd.NA:
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _listed(labels: list[Any]) -> str:
    more = f" and {len(labels) - MOST_LISTED} more" if len(labels) > MOST_LISTED else ""
    return f"{labels[:MOST_LISTED]}{more}"
