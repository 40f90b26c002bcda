"""How the columns of a table as it comes become numbers: learned in ``fit``, applied ever after.

A table of numbers without gaps needs none of this. Of any other table each column is one of a few
kinds: numbers, categories, texts, or dates. A number that is missing stays NaN here; the first
layer puts the column's mean in its place.
"""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype
from sklearn.feature_extraction.text import HashingVectorizer

from sklearn_mi._base import MIWarning
from sklearn_mi.rows.words import listed, told_of_values

__all__ = [
    "Column",
    "Number",
    "column_from_json",
    "column_to_json",
    "describe",
    "expanded_names",
    "flags_of",
    "is_plain",
    "is_polars",
    "is_polars_frame",
    "missing_of",
    "numbers_of",
    "owners_of",
    "spelling",
]

MOST_LEVELS = 100
TEXT_WIDTH = 64
DAY = 86_400.0
PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}
# Of the kinds that pandas tells; "mixed" and the like are refused.
NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}
DATES = {"date", "datetime", "datetime64", "period"}
SPANS = {"timedelta", "timedelta64", "time"}
LEVELS = {"string", "bytes", "boolean", "interval", "categorical"}
# Other spellings of the levels of a column of booleans.
TRUTH = {"False", "True"}
SPELLED = {"0": "False", "false": "False", "1": "True", "true": "True"}
# Values of which none is a known level are told, from so many on and in columns of so few levels.
FEWEST_STRANGE, MOST_KNOWN = 5, 10
EXPECTED = "numbers, texts, categories or dates"
# Of texts that are dates; where day and month could be either, the month stands first.
LAYOUTS = (
    "ISO8601",
    *(
        f"{date}{time}"
        for date in ("%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y")
        for time in ("", " %H:%M", " %H:%M:%S")
    ),
)
AS_TEXT = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Column(ABC):
    """A column of the table of ``fit``.

    Attributes
    ----------
    has_gaps : bool
        Whether a value was missing in ``fit``; a number then says where one is.
    """

    has_gaps: bool

    kind: ClassVar[str]
    # What later tables may hold in it, as pandas calls it.
    takes: ClassVar[set[str]] = set()
    is_category: ClassVar[bool] = False

    @property
    @abstractmethod
    def endings(self) -> list[str]:
        """What the names of its numbers add to its own."""

    @abstractmethod
    def read(self, values: pd.Series) -> np.ndarray:
        """Return its numbers, of shape (n, width); see `numbers_of`."""

    @property
    def all_endings(self) -> list[str]:
        """Those of its numbers, and last that of the number that tells gaps."""
        return [*self.endings, *(["_missing"] if self.has_gaps else [])]

    @property
    def flags(self) -> list[bool]:
        """For each number, whether it is one of a category or tells a gap: it is not scaled."""
        return [self.is_category or tells for tells in self.gaps]

    @property
    def gaps(self) -> list[bool]:
        """For each number, whether it tells a gap."""
        return [*[False] * len(self.endings), *([True] if self.has_gaps else [])]


@dataclass(frozen=True)
class Number(Column):
    """A column of numbers."""

    kind = "number"
    takes = NUMBERS | SPANS | {"boolean", "string", "categorical"}

    @property
    def endings(self) -> list[str]:
        """None: a number keeps its name."""
        return [""]

    def read(self, values: pd.Series) -> np.ndarray:
        """Return the numbers as they are."""
        return _floats(values)[:, None]


@dataclass(frozen=True)
class Category(Column):
    """A column of few levels, each a column of 0 and 1; of two levels, the second one alone.

    A level that ``fit`` did not see is 0 in all of them, and missing in the one of two levels.

    Attributes
    ----------
    levels : tuple of str
    """

    levels: tuple[str, ...] = ()

    kind = "category"
    takes = LEVELS | NUMBERS
    is_category = True

    @property
    def _shown(self) -> tuple[str, ...]:
        is_binary = len(self.levels) == 2 and not self.has_gaps
        return self.levels[1:] if is_binary else self.levels

    @property
    def endings(self) -> list[str]:
        """A level each."""
        return [f"_{level}" for level in self._shown]

    def codes(self, values: pd.Series) -> np.ndarray:
        """Return the place of each level, -1 of those that ``fit`` did not see."""
        texts = _spelled(values)
        if set(self.levels) <= TRUTH:
            texts = texts.map(lambda text: SPELLED.get(text.lower(), text), na_action="ignore")
        return pd.Index(self.levels, dtype=object).get_indexer(texts)

    def read(self, values: pd.Series) -> np.ndarray:
        """Return 1 in the column of the level."""
        codes = self.codes(values)
        if len(self._shown) < len(self.levels):
            return np.array([0.0, 1.0, np.nan])[codes, None]
        return (codes[:, None] == np.arange(len(self.levels))).astype(np.float64)


@dataclass(frozen=True)
class Text(Column):
    """A column of many levels, by their letters: levels that are spelled alike get like numbers.

    Groups of two to four letters are counted, each in a column that a hash picks. Nothing is
    learned, so a new text is read as well as a known one.
    """

    kind = "text"
    takes = LEVELS | NUMBERS
    is_category = True

    @property
    def endings(self) -> list[str]:
        """Numbered."""
        return [f"_{i}" for i in range(TEXT_WIDTH)]

    def read(self, values: pd.Series) -> np.ndarray:
        """Return rows of length 1, or of 0 for a missing text."""
        levels, found = pd.factorize(_spelled(values))
        hashed = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), n_features=TEXT_WIDTH, norm="l2"
        )
        texts: Any = hashed.transform(found) if len(found) else None
        known = np.zeros((0, TEXT_WIDTH)) if texts is None else texts.toarray()
        return np.vstack([known, np.zeros((1, TEXT_WIDTH))])[levels]


@dataclass(frozen=True)
class Date(Column):
    """A column of dates: days since the first one, and where in the year, the week and the day.

    Attributes
    ----------
    start : float
        The first date, in days since 1970.
    parts : tuple of str
        Periods within which the dates of ``fit`` differ: "year", "week", "day".
    layout : str or None
        How text is read as a date.
    """

    start: float = 0.0
    parts: tuple[str, ...] = ()
    layout: str | None = None

    kind = "date"
    takes = DATES | {"string"}

    @property
    def endings(self) -> list[str]:
        """Days keep the name; each period has a sine and a cosine."""
        return ["", *(f"_{part}_{wave}" for part in self.parts for wave in ("sin", "cos"))]

    def read(self, values: pd.Series) -> np.ndarray:
        """Return days since the first date, and positions on the circles of the periods."""
        days = _days(values, self.layout)
        if (np.isnan(days) & ~_gaps(values).astype(bool)).any():
            raise ValueError("no date in the layout of fit")
        angles = [2 * np.pi * days / PERIODS[part] for part in self.parts]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        return np.column_stack([days - self.start, *waves])


@dataclass(frozen=True)
class Empty(Column):
    """A column without a value in ``fit``, which is left out."""

    has_gaps: bool = False
    kind = "empty"

    @property
    def endings(self) -> list[str]:
        """None."""
        return []

    def read(self, values: pd.Series) -> np.ndarray:
        """Return no number."""
        return np.zeros((len(values), 0))


COLUMNS: dict[str, type[Column]] = {
    kind.kind: kind for kind in (Number, Category, Text, Date, Empty)
}


def is_plain(X: Any) -> bool:
    """Return whether a table holds numbers alone, none of them missing.

    Parameters
    ----------
    X : object
        Rows as the user passes them, of any kind; of others than tables nothing is asked.

    Returns
    -------
    is_plain : bool
    """
    if isinstance(X, pd.DataFrame):
        if len(X.columns) and all(isinstance(dtype, pd.SparseDtype) for dtype in X.dtypes):
            return True
        are_numbers = all(
            isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in X.dtypes
        )
        return are_numbers and not any(_lacks(X[name].to_numpy()) for name in X)
    if is_polars_frame(X):
        return all(dtype.is_numeric() for dtype in X.schema.values()) and not any(
            column.has_nulls() or (column.dtype.is_float() and column.is_nan().any())
            for column in X.get_columns()
        )
    if isinstance(X, list | tuple):
        X = _as_array(X)
    if isinstance(X, np.memmap) or not isinstance(X, np.ndarray) or X.ndim != 2:
        return True
    if isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any():
        return False
    return X.dtype.kind in "biuc" or (X.dtype.kind == "f" and not _lacks(X))


def is_polars(rows: Any) -> bool:
    """Return whether rows are an object of polars: a frame, a lazy one, or a Series.

    Parameters
    ----------
    rows : object
    """
    return type(rows).__module__.partition(".")[0] == "polars"


def is_polars_frame(rows: Any) -> bool:
    """Return whether rows are a data frame of polars.

    Parameters
    ----------
    rows : object
    """
    return is_polars(rows) and hasattr(rows, "get_columns")


def _as_array(rows: Any) -> np.ndarray | None:
    try:
        return np.asarray(rows)
    except ValueError:  # rows of unequal lengths
        return None


def _lacks(values: np.ndarray) -> bool:
    """Return whether numbers lack some, looked through only if their sum is none."""
    if values.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        return not np.isfinite(values.sum()) and bool(np.isnan(values).any())


def series_of(X: Any) -> list[pd.Series]:
    """Return the columns of a table of any container, each with the type of its values."""
    if is_polars_frame(X):
        return [_of_polars(column) for column in X.get_columns()]
    if not isinstance(X, pd.DataFrame):
        if isinstance(X, np.ma.MaskedArray):
            X = np.where(np.ma.getmaskarray(X), cast(Any, None), X.data)
        X = pd.DataFrame(np.asarray(X, dtype=object)).infer_objects()
    return [_usual(X.iloc[:, j].reset_index(drop=True)) for j in range(X.shape[1])]


def _usual(values: pd.Series) -> pd.Series:
    """Return a column of sparse numbers, or of what pyarrow stores, as usual ones."""
    if isinstance(values.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(values), name=values.name)
    is_of_arrow = isinstance(values.dtype, pd.ArrowDtype) and not is_numeric_dtype(values.dtype)
    return values.astype(object) if is_of_arrow else values


def _of_polars(column: Any) -> pd.Series:
    is_easy = column.dtype.is_numeric() and not column.dtype.is_decimal()
    if is_easy or column.dtype.is_temporal():
        return pd.Series(column.to_numpy(), name=column.name)
    return pd.Series(column.to_list(), name=column.name, dtype=object)


def describe(X: Any, name: str, lacking: np.ndarray | None = None) -> tuple[Column, ...]:
    """Return how each column of the table of ``fit`` becomes numbers.

    Parameters
    ----------
    X : object
        A table as the user passes it.
    name : str
        Of the table, for messages.
    lacking : ndarray of bool of shape (n, n_columns) or None
        Values that are missing because a row lacks the whole table; they are no gaps.

    Returns
    -------
    columns : tuple of Column

    Raises
    ------
    ValueError
        If a column holds values of several kinds, or none that can be read, or if no column holds
        any value; the message names the column and the cure.
    """
    series = series_of(X)
    if lacking is not None:
        there = (np.flatnonzero(~gone) for gone in lacking.T)
        series = [
            v.iloc[rows].reset_index(drop=True) for v, rows in zip(series, there, strict=True)
        ]
    columns = tuple(_described(values, name) for values in series)
    if all(isinstance(column, Empty) for column in columns):
        raise ValueError(f"{name} holds no value in any column; expected a table with values.")
    return columns


def _described(values: pd.Series, name: str) -> Column:
    kind, has_gaps = _kind_of(values), bool(values.isna().any())
    if kind == "empty":
        return Empty()
    if kind in NUMBERS or kind in SPANS:
        return Number(has_gaps)
    if kind in DATES:
        return _date(values, has_gaps)
    if kind not in LEVELS:
        raise _unreadable(values, kind, name, EXPECTED)
    levels = _spelled(values).dropna()
    has_gaps = has_gaps or len(levels) < len(values)
    if not len(levels):
        return Empty()
    if kind == "string" and levels.map(_is_as_number).all():
        return Number(has_gaps)
    if kind == "string" and (layout := _layout(levels)):
        return _date(values, has_gaps, layout)
    distinct = sorted(set(levels))
    return Category(has_gaps, tuple(distinct)) if len(distinct) <= MOST_LEVELS else Text(has_gaps)


def _kind_of(values: pd.Series) -> str:
    """Return what pandas calls the values of a column that are there."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "categorical" if values.notna().any() else "empty"
    if is_bool_dtype(dtype):
        return "boolean" if values.notna().any() else "empty"
    if is_numeric_dtype(dtype):
        return "complex" if dtype.kind == "c" else "floating" if values.notna().any() else "empty"
    there = values.dropna()
    return infer_dtype(there, skipna=True) if len(there) else "empty"


def _unreadable(values: pd.Series, kind: str, name: str, expected: str) -> ValueError:
    label = repr(values.name)
    if kind == "complex":
        return ValueError(
            f"Complex data not supported: {name} has complex numbers in column {label}; pass real "
            "and imaginary part as two columns."
        )
    found = sorted({type(value).__name__ for value in values.dropna()})
    return ValueError(
        f"{name} holds {' and '.join(found)} objects in column {label}; expected {expected}: turn "
        "them into one kind, such as by pandas.to_numeric or astype(str), or drop the column."
    )


def _date(values: pd.Series, has_gaps: bool, layout: str | None = None) -> Date:
    days = _days(values, layout)
    days = days[~np.isnan(days)]
    span = np.ptp(days)
    differs = {
        "year": span >= 28,
        "week": len(np.unique(np.floor(days) % 7)) > 1,
        "day": bool((days % 1 != 0).any()),
    }
    parts = tuple(part for part, is_there in differs.items() if is_there)
    return Date(has_gaps, float(days.min()), parts, layout)


def _days(values: pd.Series, layout: str | None) -> np.ndarray:
    """Return dates as days since 1970, NaN if missing; those of a zone in its time."""
    if isinstance(values.dtype, pd.PeriodDtype) or infer_dtype(values, skipna=True) == "period":
        values = values.map(lambda period: period.to_timestamp(), na_action="ignore")
    if layout is not None:
        values = _spelled(values)
    is_utc = layout is not None or _has_zones(values)
    try:
        times = pd.to_datetime(values, errors="coerce", format=layout, utc=is_utc)
        lost = times.isna() & values.notna()
        if infer_dtype(values[lost]) in ("date", "datetime"):
            # Older releases of pandas call them missing.
            raise OverflowError
        times = times.dt.tz_localize(None) if times.dt.tz is not None else times
        return ((times - pd.Timestamp(0)) / pd.Timedelta(1, "D")).to_numpy(np.float64)
    except (pd.errors.OutOfBoundsDatetime, OverflowError) as error:
        raise ValueError(
            f"column {values.name!r} holds dates before 1678 or after 2261, which pandas cannot "
            'count in; make marks such as "no end" missing values.'
        ) from error


def _has_zones(values: pd.Series) -> bool:
    """Whether objects hold times of zones, which pandas reads only as of one."""
    there = values.dropna()
    return values.dtype == object and any(getattr(time, "tzinfo", None) for time in there)


def _layout(levels: pd.Series) -> str | None:
    """Return the layout in which all texts are dates, or None."""
    if not re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", levels.iloc[0]):
        return None
    for layout in LAYOUTS:
        if pd.to_datetime(levels, errors="coerce", format=layout, utc=True).notna().all():
            return layout
    return None


def _is_as_number(text: str) -> bool:
    """Return whether a text is a number; one with a leading zero names something."""
    return bool(AS_TEXT.fullmatch(text)) and any(map(str.isdigit, text))


def _spelled(values: pd.Series) -> pd.Series:
    """Return values as texts, so that 1, 1.0 and "1" are one level; an empty text is missing."""
    codes, found = pd.factorize(values)
    texts = [spelling(value) for value in found]
    kept = np.array([*(text or None for text in texts), None], dtype=object)
    return pd.Series(kept[codes], dtype=object)


def spelling(value: Any) -> str:
    """Return a level as text: 1 and 1.0 are "1", and spaces around it do not count.

    Parameters
    ----------
    value : object
    """
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


def _floats(values: pd.Series) -> np.ndarray:
    """Return numbers, spans of time in days, and texts of numbers as floats, NaN if missing."""
    if values.dtype.kind == "m" or infer_dtype(values, skipna=True) in SPANS:
        return _spans(values)
    if is_numeric_dtype(values.dtype):
        return values.to_numpy(np.float64, na_value=np.nan)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    numbers = values.map(lambda value: value.strip() or None if isinstance(value, str) else value)
    converted: Any = pd.to_numeric(numbers)
    return converted.to_numpy(np.float64, na_value=np.nan)


def _spans(values: pd.Series) -> np.ndarray:
    if infer_dtype(values, skipna=True) == "time":
        values = pd.to_timedelta(values.map(str, na_action="ignore"))
    return (pd.to_timedelta(values) / pd.Timedelta(1, "D")).to_numpy(np.float64)


def numbers_of(X: Any, columns: Sequence[Column], name: str) -> np.ndarray:
    """Return the numbers of a table.

    Parameters
    ----------
    X : object
        A table as the user passes it, with the columns of ``fit``.
    columns : sequence of Column
        From `describe`.
    name : str
        Of the table, for messages.

    Returns
    -------
    numbers : ndarray of shape (n, p)
        Missing numbers are NaN. Levels that ``fit`` did not see are 0.

    Raises
    ------
    ValueError
        If a column holds another kind of values than in ``fit``, or infinity.
    """
    parts, infinite = [], {}
    for column, values in zip(columns, series_of(X), strict=True):
        parts.append(_read(column, values, name))
        _warn_of_strange(column, values, name)
        if n_infinite := int(np.isinf(parts[-1]).any(axis=1).sum()):
            infinite[values.name] = n_infinite
        if column.has_gaps:
            parts.append(_gaps(values)[:, None])
    if infinite:
        told = told_of_values("infinite", infinite, name, len(parts[0]))
        raise ValueError(f"Input {name} contains infinity.\n{told}")
    return np.hstack(parts)


def _read(column: Column, values: pd.Series, name: str) -> np.ndarray:
    kind = _kind_of(values)
    expected = f"a {column.kind}, as in fit"
    if kind == "empty" or isinstance(column, Empty):
        return np.full((len(values), len(column.endings)), 0.0 if column.is_category else np.nan)
    if kind not in column.takes:
        raise _unreadable(values, kind, name, expected)
    try:
        return column.read(values)
    except (TypeError, ValueError) as error:
        some = next(value for value in values.dropna() if not _is_readable(column, value))
        raise ValueError(
            f"{name} holds {some!r} in column {values.name!r}; expected {expected}: replace it, or "
            "fit again with such values."
        ) from error


def strange(column: Column, values: pd.Series) -> list[Any]:
    """Return the values of a column of categories that are no level of ``fit``.

    Parameters
    ----------
    column : Column
    values : Series

    Returns
    -------
    values : list
    """
    if not isinstance(column, Category):
        return []
    unknown = (column.codes(values) < 0) & ~_gaps(values).astype(bool)
    return values[unknown].tolist()


def _warn_of_strange(column: Column, values: pd.Series, name: str) -> None:
    """Warn of many values in a column of categories none of which ``fit`` saw."""
    levels = list(getattr(column, "levels", ()))
    there = values.dropna()
    first = there.iloc[:FEWEST_STRANGE]
    # A look at the first few spares most columns another pass.
    if len(levels) > MOST_KNOWN or len(strange(column, first)) < FEWEST_STRANGE:
        return
    found = strange(column, there)
    if len(found) == len(there):
        warnings.warn(
            f"{name} holds {found[0]!r} and others in column {values.name!r}, none of which fit "
            f"saw; it knows {listed(levels)}, and the rest counts as missing.",
            MIWarning,
            stacklevel=2,
        )


def _is_readable(column: Column, value: Any) -> bool:
    try:
        column.read(pd.Series([value]))
    except (TypeError, ValueError):
        return False
    return True


def _gaps(values: pd.Series) -> np.ndarray:
    """Return 1 where a value is missing; an empty text is."""
    is_text = values.dtype == object or isinstance(values.dtype, pd.StringDtype)
    return (_spelled(values) if is_text else values).isna().to_numpy(np.float64)


def missing_of(X: Any) -> dict[Any, np.ndarray]:
    """Return where values of a table are missing.

    Parameters
    ----------
    X : object
        A table as the user passes it.

    Returns
    -------
    missing : dict of ndarray of bool of shape (n,)
        By the names of the columns.
    """
    # Of what cannot be read, nobody asks for empty texts.
    return {
        values.name: (
            _gaps(values) == 1 if _kind_of(values) == "string" else values.isna().to_numpy()
        )
        for values in series_of(X)
    }


def expanded_names(columns: Sequence[Column], names: Sequence[str]) -> list[str]:
    """Return a name for each number of a table, each of them once.

    Parameters
    ----------
    columns : sequence of Column
    names : sequence of str
        Names of the columns.

    Returns
    -------
    names : list of str
    """
    made: dict[str, None] = {}
    for column, name in zip(columns, names, strict=True):
        for ending in column.all_endings:
            whole = f"{name}{ending}"
            while whole in made:
                whole += "_"
            made[whole] = None
    return list(made)


def owners_of(columns: Sequence[Column]) -> np.ndarray:
    """Return, for each number of a table, the place of its column.

    Parameters
    ----------
    columns : sequence of Column

    Returns
    -------
    owners : ndarray of int of shape (p,)
    """
    return np.repeat(np.arange(len(columns)), [len(column.all_endings) for column in columns])


def flags_of(columns: Sequence[Column]) -> np.ndarray | None:
    """Return which numbers of a table belong to categories or tell gaps; None without categories.

    Parameters
    ----------
    columns : sequence of Column

    Returns
    -------
    flags : ndarray of bool of shape (p,), or None
    """
    if not any(column.is_category for column in columns):
        return None
    return np.array([flag for column in columns for flag in column.flags], bool)


def column_to_json(column: Column) -> dict[str, Any]:
    """Return what `column_from_json` reads.

    Parameters
    ----------
    column : Column

    Returns
    -------
    fields : dict
    """
    return {"kind": column.kind, **asdict(column)}


def column_from_json(fields: Mapping[str, Any]) -> Column:
    """Return what `column_to_json` wrote.

    Parameters
    ----------
    fields : mapping

    Returns
    -------
    column : Column
    """
    own: Any = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return COLUMNS[own.pop("kind")](**own)
