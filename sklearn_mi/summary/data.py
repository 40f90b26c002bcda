"""What a user passes to a report: which columns can be used, and how they become numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklearn_mi._checks import check_container, check_values, is_continuous
from sklearn_mi.rows import as_source, gathered, is_polars_frame
from sklearn_mi.rows.recordings import channel_names, refuse_gaps

__all__ = [
    "FEWEST_ROWS",
    "NUMBERS",
    "Data",
    "Preparation",
    "columns_as_numbers",
    "is_measurement",
    "numbers_of",
    "read_data",
]

FEWEST_ROWS = 16
# Text of more different values is no category, and whole numbers of more are a measurement.
MOST_LEVELS = 20
MOST_CLASSES = 30
CATEGORIES = ("string", "categorical", "boolean")
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
DATES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period")


@dataclass(frozen=True)
class Preparation:
    """The columns that become numbers, by what is done to them.

    Attributes
    ----------
    numbers, categories, gaps : list of str or int
        Medians fill the first; the second become indicators; so do the third, where pandas marks
        missing text in a way that the encoder does not read. Numbers stand for positions.
    """

    numbers: list[Any]
    categories: list[Any]
    gaps: list[Any]

    def transformer(self) -> Any:
        """Return a ColumnTransformer that has not been fitted."""
        parts: list[Any] = []
        if self.numbers:
            parts.append((SimpleImputer(strategy="median", keep_empty_features=True), self.numbers))
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        if self.categories:
            parts.append((one_hot, self.categories))
        if self.gaps:
            mark: Any = pd.NA
            fill = SimpleImputer(missing_values=mark, strategy="constant", fill_value="missing")
            parts.append((make_pipeline(fill, one_hot), self.gaps))
        return make_column_transformer(*parts)


@dataclass(frozen=True)
class Data:
    """Rows and labels, checked.

    Attributes
    ----------
    rows : ndarray or DataFrame
        Those with a label, where there are labels.
    y : ndarray of shape (n_rows,) or None
    y_name : str
        The name of the label, "" where it has none.
    is_measurement : bool
        Whether the label is a number, not a class.
    columns : DataFrame
        ``name``, ``kind``, ``missing``, ``distinct`` and ``left_out``, the reason or "".
    preparation : Preparation or None
        None where rows are numbers without gaps.
    selected : list of str or int
        Columns that ``rows`` are cut down to, where that is all that prepares them.
    n_unlabelled : int
        Rows that were left out since they have no label.
    channels : tuple of str
        Names of the channels of recordings, where they have names.
    """

    rows: Any
    y: NDArray[Any] | None
    y_name: str
    is_measurement: bool
    columns: pd.DataFrame
    preparation: Preparation | None
    selected: list[Any]
    n_unlabelled: int
    channels: tuple[str, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether rows have one axis of columns."""
        return self.rows.ndim == 2

    def used(self) -> pd.DataFrame:
        """Return the columns that are used and vary, by their names on the page."""
        flat = self.rows if self.is_table else self.rows.reshape(len(self.rows), -1)
        frame = flat if isinstance(flat, pd.DataFrame) else pd.DataFrame(flat)
        used = self.columns["left_out"] == ""
        there = self.columns[used] if self.selected else self.columns
        kept = _can_be_used(there).to_numpy()
        return frame.loc[:, kept].set_axis(there["name"][kept], axis=1)


def read_data(X: Any, y: Any = None) -> Data:
    """Check rows and labels, and decide what becomes of each column.

    Parameters
    ----------
    X : array-like, data frame of pandas or polars, images, or recordings
    y : array-like, str or None
        A string is the name of a column of ``X``.

    Returns
    -------
    data : Data

    Raises
    ------
    ValueError
        If there are too few rows, no column can be used, or the labels do not fit; the message
        names the cure.
    TypeError
        If rows are sparse.
    """
    rows = _read_rows(X)
    target = None
    if isinstance(y, str):
        target, y = y, _column(rows, y)
    elif isinstance(rows, pd.DataFrame) and _is_column(rows, y):
        target = y.name
    name = target or str(getattr(y, "name", None) or "")
    known = np.ones(len(rows), bool)
    if y is not None:
        y, known = _read_labels(y, len(rows))
        rows = rows[known]
    if len(rows) < FEWEST_ROWS:
        labelled = " with a label" if not known.all() else ""
        plural = "" if len(rows) == 1 else "s"
        raise ValueError(
            f"X has {len(rows)} row{plural}{labelled}; expected at least {FEWEST_ROWS}."
        )
    channels = channel_names(X) or ()
    columns = _describe(rows, target, channels)
    _check_use(columns)
    preparation, selected = _plan(rows, columns)
    rows = rows[selected] if selected else rows
    n_unlabelled, of_number = int((~known).sum()), is_measurement(y)
    return Data(rows, y, name, of_number, columns, preparation, selected, n_unlabelled, channels)


def columns_as_numbers(X: pd.DataFrame) -> Any:
    """Return what makes numbers of the columns that can be used.

    Parameters
    ----------
    X : DataFrame

    Returns
    -------
    transformer : ColumnTransformer or None
        Not fitted. None where all columns are numbers without gaps.

    Raises
    ------
    ValueError
        If no column can be used.
    """
    columns = _describe(X, None)
    _check_use(columns)
    preparation, selected = _plan(X, columns)
    if selected:
        preparation = Preparation(selected, [], [])
    return None if preparation is None else preparation.transformer()


def _can_be_used(columns: Any) -> pd.Series:
    return (columns["left_out"] == "") & (columns["distinct"] > 1)


def _check_use(columns: Any) -> None:
    if _can_be_used(columns).any():
        return
    reasons = sorted(set(columns["left_out"]) - {"", "the label"}) or ["one value only"]
    raise ValueError(
        f"X has no column that can be used ({', '.join(reasons)}); expected numbers, or text of "
        f"at most {MOST_LEVELS} different values."
    )


def _read_rows(X: Any) -> Any:
    """Return rows as a data frame of pandas, or as an array of numbers."""
    if issparse(X):
        raise TypeError("X is sparse; expected an array or a data frame: X.toarray().")
    check_container("X", X)
    if type(X).__module__.partition(".")[0] == "pyarrow":
        X = X.to_pandas()
    if is_polars_frame(X):  # its own way to pandas needs pyarrow
        X = pd.DataFrame({column.name: column.to_list() for column in X.get_columns()})
    if isinstance(X, pd.DataFrame):
        _check_names(X)
        return X
    array = np.asarray(gathered(X))
    if array.ndim not in (2, 3, 4):
        raise ValueError(
            f"X has shape {array.shape}; expected (n_rows, n_columns), images (n, h, w) or "
            "(n, h, w, channels), or recordings (n, time, channels) or a list of them."
        )
    if array.dtype.kind in "OUSM" and array.ndim == 2:
        return pd.DataFrame(array).infer_objects()
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X is of type {array.dtype}; expected numbers.")
    if array.ndim == 3 and array.dtype.kind == "f" and np.isnan(array).any():
        refuse_gaps(as_source(array), channels=channel_names(X))
    elif array.ndim > 2 and np.isnan(array).any():
        raise ValueError("X has NaN in its images; expected numbers: fill them in.")
    if array.ndim > 2 and np.isinf(array).any():
        raise ValueError("X has infinite values; expected numbers.")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _check_names(X: pd.DataFrame) -> None:
    if X.columns.nlevels > 1:
        raise ValueError(
            "X has columns of several levels (MultiIndex); expected one: "
            "X.columns = ['_'.join(map(str, column)) for column in X.columns]."
        )
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"X has several columns of the name {twice!r}; rename them.")
    kinds = {isinstance(name, str) for name in X.columns}
    if len(kinds) > 1:
        raise ValueError(
            "X has names of columns that are text and others that are not; expected text: "
            "X.columns = X.columns.astype(str)."
        )


def _column(rows: Any, name: str) -> Any:
    if not isinstance(rows, pd.DataFrame):
        raise ValueError(
            f"y={name!r} names a column, but X is an array; expected one value for each row."
        )
    if name not in rows:
        raise ValueError(f"y={name!r}; expected a column of X, which has {list(rows)}.")
    return rows[name]


def _is_column(rows: pd.DataFrame, y: Any) -> bool:
    """Return whether the labels stand in the table, too, where they would tell themselves."""
    name = getattr(y, "name", None)
    return isinstance(name, str) and name in rows and list(rows[name]) == list(y)


def _read_labels(y: Any, n_rows: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the labels that are known, and which rows have one."""
    array = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if array.shape not in ((n_rows,), (n_rows, 1)):
        check_values("y", np.zeros(array.shape), n_rows)
    array = array.reshape(-1)
    if array.dtype.kind in "mM":
        raise ValueError("y holds dates or times; expected classes or numbers.")
    known = ~np.asarray(pd.isna(array))
    if not known.any():
        raise ValueError("y has missing values only; leave it out for a report without labels.")
    labels = check_values("y", array[known], int(known.sum()))
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y has infinite values; expected numbers: drop these rows.")
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"y has one value only, {labels[0]!s}; expected two or more, or no y for a report "
            "without labels."
        )
    return labels, known


def is_measurement(y: NDArray[Any] | None) -> bool:
    """Return whether labels are numbers, not classes: not whole, or of many different values.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or None

    Returns
    -------
    is_measurement : bool
    """
    if y is None or y.dtype.kind not in "iuf":
        return False
    return is_continuous(y) or len(np.unique(y)) > MOST_CLASSES


def _describe(rows: Any, target: str | None, channels: Sequence[str] = ()) -> pd.DataFrame:
    """Return what each column holds, and why it is left out, if it is."""
    if isinstance(rows, pd.DataFrame):
        table = [_describe_column(rows[name], name == target) for name in rows]
        names = [str(name) for name in rows]
    elif rows.ndim == 2:
        table = [_describe_column(pd.Series(column), False) for column in rows.T]
        names = [f"column {k}" for k in range(rows.shape[1])]
    else:
        flat = rows.reshape(len(rows), -1)
        # Recordings may have ended; of each place one at least goes on.
        varies = np.nanmin(flat, axis=0) < np.nanmax(flat, axis=0)
        table = [("number", 0, 2 if varied else 1, "") for varied in varies]
        places = np.ndindex(rows.shape[1:])
        names = [f"{channels[p[1]]} at {p[0]}" if channels else f"value {p}" for p in places]
    kinds = pd.DataFrame(table, columns=["kind", "missing", "distinct", "left_out"])
    kinds.insert(0, "name", names)
    return kinds


def _describe_column(values: Any, is_target: bool) -> tuple[str, int, int, str]:
    kind = pd.api.types.infer_dtype(values, skipna=True)
    missing = int(values.isna().sum())
    if kind in NUMBERS:
        name, distinct, left_out = "number", values.nunique(), _infinite(values)
    elif kind in CATEGORIES:
        name, distinct = "category", values.nunique()
        few = distinct <= min(MOST_LEVELS, (len(values) - missing) / 2)
        name = name if few else "text"
        left_out = "" if few else f"text of {distinct} different values"
    else:
        name = "date or time" if kind in DATES else "other"
        distinct = values.nunique() if kind in DATES else -1
        left_out = "dates or times" if kind in DATES else f"values of kind {kind}"
    if missing == len(values):
        name, distinct, left_out = "empty", 0, "all values are missing"
    return name, missing, int(distinct), "the label" if is_target else left_out


def _infinite(values: pd.Series) -> str:
    return "infinite values" if np.isinf(numbers_of(values)).any() else ""


def numbers_of(values: pd.Series) -> NDArray[np.float64]:
    """Return a column as floating-point numbers.

    Parameters
    ----------
    values : Series
        Of numbers, in whichever way pandas keeps them.

    Returns
    -------
    numbers : ndarray of shape (n_rows,)
        nan where one is missing.
    """
    return values.to_numpy(float, na_value=np.nan)


def _plan(rows: Any, columns: pd.DataFrame) -> tuple[Preparation | None, list[Any]]:
    """Return what makes numbers of the columns, or which are selected where that is all."""
    used = (columns["left_out"] == "").to_numpy()
    number = (columns["kind"] == "number").to_numpy()
    whole = number & (columns["missing"] == 0).to_numpy()
    if used.all() and whole.all():
        return None, []
    if isinstance(rows, pd.DataFrame) and whole[used].all():
        return None, list(rows.columns[used])
    names, gap = _selectors(rows), _gaps(rows)
    groups = (used & number, used & ~number & ~gap, used & ~number & gap)
    return Preparation(*([names[k] for k in np.flatnonzero(group)] for group in groups)), []


def _selectors(rows: Any) -> list[Any]:
    """Return how a ColumnTransformer names each column: names where all are text."""
    is_named = isinstance(rows, pd.DataFrame) and all(isinstance(name, str) for name in rows)
    return [str(name) for name in rows] if is_named else list(range(rows.shape[1]))


def _gaps(rows: Any) -> NDArray[np.bool_]:
    if not isinstance(rows, pd.DataFrame):
        return np.zeros(rows.shape[1], bool)
    marks = [isinstance(t, pd.StringDtype) and t.na_value is pd.NA for t in rows.dtypes]
    return np.array(marks) & rows.isna().any().to_numpy()
