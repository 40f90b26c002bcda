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
from pandas.api.types import infer_dtype

from sklearn_mi._base import MIWarning
from sklearn_mi._compat import (
    _check_feature_names,
    _check_feature_names_in,
    _get_feature_names,
)
from sklearn_mi.rows.columns import is_polars_frame
from sklearn_mi.rows.kinds import Schema
from sklearn_mi.rows.recordings import channel_names, is_frame
from sklearn_mi.rows.words import listed, told_of_values

__all__ = [
    "check_labels",
    "check_names",
    "check_types",
    "columns_are_told",
    "input_names",
    "names_of",
    "names_out",
    "one_frame",
    "warn_of_labels",
]

DATES = {"date", "datetime", "datetime64", "period", "time", "timedelta", "timedelta64"}


def names_of(X: Any, name: str) -> tuple[str, ...] | None:
    """Return the names of the columns of a data frame, or of the channels of a list of them.

    Parameters
    ----------
    X : object
        Rows as the user passes them.
    name : str
        Of the table, for messages.

    Returns
    -------
    names : tuple of str or None
        None if there are none.

    Raises
    ------
    ValueError
        If they have several levels, whose names scikit-learn does not keep, or if one repeats, or
        if recordings have different ones.
    """
    if isinstance(frame := one_frame(X), pd.DataFrame):
        _check_columns(frame, name)
    names = _get_feature_names(X) if frame is X else channel_names(X, name)
    return None if names is None else tuple(names)


def one_frame(X: Any) -> Any:
    """Return the first of a list of data frames, and anything else unchanged.

    Parameters
    ----------
    X : object
        Rows as the user passes them.
    """
    of_objects = isinstance(X, np.ndarray) and X.dtype == object and X.ndim > 0
    is_list = of_objects or isinstance(X, list | tuple)
    return X[0] if is_list and len(X) and is_frame(X[0]) else X


def _check_columns(X: pd.DataFrame, name: str) -> None:
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"{name} has several columns of one name: {listed(twice)}; rename them.")
    if X.columns.nlevels > 1:
        raise ValueError(
            f"{name} has columns of {X.columns.nlevels} levels (MultiIndex), whose names cannot be "
            f"kept; make one of them: {name}.columns = ['_'.join(map(str, column)) for column in "
            f"{name}.columns]."
        )


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
            _check_feature_names(fitted, one_frame(X), reset=False)
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


def check_labels(X: Any, X_pair: Any, name: str = "X_pair") -> None:
    """Reject two data frames with the same row labels in a different order.

    Rows are paired by position, as everywhere in scikit-learn, but here the labels contradict it.

    Parameters
    ----------
    X, X_pair : object
        Both tables as the user passes them.
    name : str, default="X_pair"
        Of the second table, for messages.

    Raises
    ------
    ValueError
        If so; the message names the cure.
    """
    if isinstance(X, pd.DataFrame) and isinstance(X_pair, pd.DataFrame):
        told = _told_of_labels(X, X_pair, name)
        if told is not None:
            raise ValueError(told)


def warn_of_labels(X: Any, y: Any, name: str = "y") -> None:
    """Warn of pandas rows with the same labels in another order; a permutation test has them.

    Parameters
    ----------
    X, y : object
        Both tables as the user passes them; other than a DataFrame or Series: no warning.
    name : str, default="y"
        Of the second table, for messages.
    """
    kinds = pd.DataFrame | pd.Series
    if isinstance(X, kinds) and isinstance(y, kinds):
        told = _told_of_labels(X, y, name)
        if told is not None:
            warnings.warn(told, MIWarning, stacklevel=2)


def _told_of_labels(
    X: pd.DataFrame | pd.Series, pair: pd.DataFrame | pd.Series, name: str
) -> str | None:
    """Return a sentence if both hold the same row labels in another order, else None."""
    first, second = X.index, pair.index
    if len(first) != len(second) or first.equals(second):
        return None
    counts = [labels.value_counts(sort=False, dropna=False).to_dict() for labels in (first, second)]
    if counts[0] != counts[1]:
        return None
    cure = f"{name}.loc[X.index]" if first.is_unique else "tables in one order"
    return (
        f"X and {name} hold the same row labels in another order, but rows are paired by "
        f"position; pass {cure}, or {name}.reset_index(drop=True) if positions are right."
    )


def input_names(estimator: Any, schema: Schema, given: Any) -> Sequence[str]:
    """Return names for the numbers of a row, as scikit-learn does.

    Parameters
    ----------
    estimator : BaseEstimator
        Fitted.
    schema : Schema
        Of its rows. Only columns of a table have names.
    given : array-like of str or None
        The argument of ``get_feature_names_out``.

    Returns
    -------
    names : sequence of str
    """
    names: Any = _check_feature_names_in(estimator, given)
    is_flat = len(schema.kind.source_shape) == 1
    return schema.names_of_numbers(names) if is_flat else schema.column_names


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


def check_types(X: Any, name: str, *, reads_dates: bool = False) -> None:
    """Reject sparse tensors, and values that would silently become other numbers.

    Parameters
    ----------
    X : object
        Rows as the user passes them.
    name : str
        Of the table, for messages.
    reads_dates : bool, default=False
        Whether its columns are read one by one, so that dates and masks do no harm.

    Raises
    ------
    ValueError
        For dates, and for masked values, of which numpy would use what the mask hides.
    """
    if reads_dates:
        return
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
            f"{name} holds dates or times{f' in columns {listed(dates)}' if dates else ''}; "
            "expected numbers: turn them into numbers, such as days since the first one, or drop "
            "them."
        )


def _dates(X: Any) -> list[Any]:
    """Return the columns of a data frame of pandas or polars that hold dates or times."""
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if isinstance(X, pd.DataFrame):
        return [column for column, dtype in X.dtypes.items() if _is_date(X, column, dtype)]
    if is_polars_frame(X):
        return [column for column, dtype in X.schema.items() if dtype.is_temporal()]
    return []


def _is_date(X: pd.DataFrame, column: Any, dtype: Any) -> bool:
    """Return whether a column holds dates or times; only objects are looked through."""
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return infer_dtype(X[column]) in DATES
    return dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype)


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
    if array.ndim == 1 and any(isinstance(row, str) for row in array):
        return ValueError(
            f"{name} holds texts; expected numbers: put TfidfVectorizer() before the learner in a "
            "Pipeline."
        )
    if array.ndim == 1 and len({len(row) for row in array if isinstance(row, Sequence)}) > 1:
        return ValueError(f"{name} has rows of unequal lengths; expected equal ones.")
    if array.ndim != 2:
        return None
    labels = _labels(X, array.shape[1])
    return _told_no_numbers(array, labels, name, error) or _told_missing(array, labels, name, error)


def _as_objects(X: Any) -> np.ndarray | None:
    """Return rows as an array of objects if their container can hold objects."""
    is_frame = isinstance(X, pd.DataFrame) or _get_feature_names(X) is not None
    if not (is_frame or isinstance(X, np.ndarray | list | tuple | pd.Series)):
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
    is_of_infinity = "infinity" in str(error)
    what, is_bad = ("infinite", _is_infinite) if is_of_infinity else ("missing", pd.isna)
    numbers = (int(is_bad(column).sum()) for column in array.T)
    counts = {label: n for label, n in zip(labels, numbers, strict=True) if n}
    if not counts:
        return None
    return ValueError(f"{error}\n{told_of_values(what, counts, name, len(array))}")


def _is_infinite(column: np.ndarray) -> np.ndarray:
    numbers: Any = pd.to_numeric(pd.Series(column), errors="coerce")
    return np.isinf(numbers.to_numpy(np.float64))


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
    columns, value = listed(list(found)), next(iter(found.values()))
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
