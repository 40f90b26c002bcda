"""How `MIEstimator` reads a table: numbers stay as they are, categories become codes.

Which columns hold categories, which values they have and what the columns are called is learned
from the table of ``fit``; later tables are read in the same way, or refused.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from sklearn_mi._base import MIWarning
from sklearn_mi._checks import check_container, native_table
from sklearn_mi.information.atoms import Coded, has_few_values
from sklearn_mi.rows import (
    check_names,
    check_types,
    columns_are_told,
    from_torch,
    is_polars,
    listed,
    names_of,
    spelling,
    told_of_values,
)

__all__ = ["TableReader", "as_frame", "side_by_side"]

LARGEST_DENSE = 1e9  # bytes
LARGEST_EXPONENT = 100
MAX_CLASSES = 50
MOST_OF_FEW_ROWS = 10  # categories
NOMINAL = {"boolean", "bytes", "categorical", "interval", "string"}
SEEN_OFTEN = 10  # rows of one class


class TableReader:
    """Read rows of a table in the same way as ``fit`` read them.

    Parameters
    ----------
    name : {"X", "Y", "Z"}
        Name of the table in error messages.
    rows : array-like of shape (n_samples, ...)
        The table of ``fit``.
    encoder : str, Encoder, Module, callable or None
        Needed if rows are images or sequences.
    estimator : str
        Its name, for messages.

    Attributes
    ----------
    n_rows : int
    row_shape : tuple of int
    nominal : ndarray of shape (n_features,)
        Which columns hold categories: text, booleans or a categorical dtype. Numbers of whatever
        dtype do not. Of images or sequences, none.
    """

    def __init__(
        self, name: str, rows: Any, encoder: Any = None, estimator: str = "MIEstimator"
    ) -> None:
        self.name, self.encoder, self.estimator = name, encoder, estimator
        self.names = names_of(rows, name)
        table = _as_table(rows, name)
        self.n_rows, self.row_shape = len(table), table.shape[1:]
        self.nominal = np.zeros(0, dtype=bool)
        self._exponents: np.ndarray | None = None
        self._levels: dict[int, _Levels] = {}
        self._classes: _Levels | None = None
        if isinstance(table, pd.DataFrame):
            self._look_at(table)

    def _look_at(self, frame: pd.DataFrame) -> None:
        """Find the columns that hold categories, and their values."""
        _check_columns(frame, self.name)
        self.nominal = np.array(
            [
                not _is_of_numbers(dtype) and infer_dtype(frame.iloc[:, j]) in NOMINAL
                for j, dtype in enumerate(frame.dtypes)
            ]
        )
        self._numbers(frame)
        _check_categories(frame.loc[:, self.nominal], self.name)
        positions = np.flatnonzero(self.nominal).tolist()
        self._levels = {j: _Levels(frame.iloc[:, j], self.name) for j in positions}
        if frame.shape[1] == 1:
            column = frame.iloc[:, 0]
            self._n_values = column.nunique()
            self._few_recur = not self.is_category and _few_recur(column.to_numpy(np.float64))
            if self._n_values <= _most_categories(self.n_rows):
                self._classes = self._levels.get(0) or _Levels(column, self.name)

    # What the table is

    @property
    def is_category(self) -> bool:
        """Whether the table is one column of text, booleans or a categorical dtype."""
        return len(self.nominal) == 1 and bool(self.nominal[0])

    @property
    def can_be_class(self) -> bool:
        """Whether the table is one column of values that recur."""
        return self._classes is not None

    def is_class(self, wanted: bool | str) -> bool:
        """Return whether the table is read as one category.

        "auto": one column of categories, or of numbers whose few values recur (`_few_recur`).
        """
        if wanted == "auto":
            return self._classes is not None and (self.is_category or self._few_recur)
        if not wanted:
            return False
        if len(self.nominal) != 1:
            raise ValueError(
                f"discrete_target=True, but {self.name} has rows of shape {self.row_shape}; "
                "expected one column of classes: join several columns to one text, or set "
                "discrete_target='auto'."
            )
        if self._classes is None:
            raise ValueError(
                f"discrete_target=True, but {self.name} has {self._n_values} different values "
                f"in {self.n_rows} rows; expected classes that recur: bin the values, such as by "
                "pandas.qcut, or set discrete_target='auto'."
            )
        return True

    # Rows, read as in fit

    def labels(self, rows: Any) -> np.ndarray:
        """Return the class of each row, in the dtype of ``fit``.

        Raises
        ------
        ValueError
            For a class that the table of ``fit`` does not have.
        """
        codes, known = self._class_codes(rows)
        return known.values[codes]

    def columns(self, rows: Any, *, as_class: bool = False) -> Coded:
        """Return every column as numbers: categories by their code, in the order of columns.

        A category that ``fit`` did not see gets one code more than there are, with a warning. With
        ``as_class`` numbers of one column are codes, too, and it is an error.
        """
        if as_class:
            return Coded(self._class_codes(rows)[0][:, None].astype(np.float64), np.array([True]))
        frame = self._frame(rows)
        values = np.empty(frame.shape)
        values[:, ~self.nominal] = self._numbers(frame)
        for j, codes in self._codes(frame).items():
            values[:, j] = codes
        return Coded(values, self.nominal)

    def __call__(self, rows: Any) -> np.ndarray:
        """Return rows as floats, for networks: numbers first, then indicators of categories.

        A column of two categories has one indicator. A category that ``fit`` did not see has none,
        or one half, with a warning.
        """
        if not len(self.nominal):
            return self._dense(rows)
        frame = self._frame(rows)
        parts = [self._numbers(frame)]
        parts += [_indicators(codes, self._levels[j].n) for j, codes in self._codes(frame).items()]
        return np.hstack(parts)

    def _class_codes(self, rows: Any) -> tuple[np.ndarray, _Levels]:
        """Return the code of each row's class, and the classes."""
        frame, known = self._frame(rows), self._classes
        if known is None:
            raise ValueError(f"{self.name} is not one column of classes; use its columns.")
        codes, unseen = known.codes(frame.iloc[:, 0])
        if unseen:
            raise ValueError(
                f"{self.name} holds {unseen[0]!r}, which fit did not see; expected classes among "
                f"{listed(known.values.tolist())}: drop these rows, or fit with all classes."
            )
        return codes, known

    def _frame(self, rows: Any) -> pd.DataFrame:
        """Return a table whose names and width are those of ``fit``."""
        if len(np.shape(rows)) != 1:
            check_names(rows, self.names, self.name, self.estimator)
        table = _as_table(rows, self.name)
        self._check_shape(table.shape[1:])
        _check_columns(table, self.name)
        return table

    def _dense(self, rows: Any) -> np.ndarray:
        """Return images or sequences."""
        table = _as_table(rows, self.name)
        self._check_shape(table.shape[1:])
        if self.encoder is None:
            raise ValueError(
                f"{self.name} of shape {table.shape} has images or sequences as its rows; pass "
                f"{'encoder' if self.name == 'X' else 'encoder_y'}=..., or flatten them."
            )
        dtype: Any = np.float32  # as networks see them; mosaics of many images are large
        return check_array(table, dtype=dtype, allow_nd=True, input_name=self.name)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape == self.row_shape:
            return
        if len(shape) == len(self.row_shape) == 1:
            raise ValueError(
                f"{self.name} has {shape[0]} features, but {self.estimator} is expecting "
                f"{self.row_shape[0]} features as input."
            )
        raise ValueError(
            f"{self.name} has rows of shape {shape}, but {self.estimator} is expecting rows of "
            f"shape {self.row_shape}."
        )

    def _numbers(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the columns of numbers."""
        numbers, dtype = frame.loc[:, ~self.nominal], np.float64
        if not numbers.shape[1]:
            return np.empty(numbers.shape)
        # A sum of huge numbers tells scikit-learn first whether all are finite.
        with columns_are_told(numbers, self.name), np.errstate(over="ignore", invalid="ignore"):
            values = check_array(numbers, dtype=dtype, input_name=self.name)  # type: ignore[arg-type]
        return self._without_extremes(values)

    def _without_extremes(self, values: np.ndarray) -> np.ndarray:
        """Return columns whose squares neither overflow nor vanish, as multiplied by powers of 2.

        That changes no digit of them, so ties and what follows from ranks stay the same.
        """
        if self._exponents is None:
            exponents = np.frexp(np.abs(values).max(axis=0))[1]
            self._exponents = np.where(np.abs(exponents) > LARGEST_EXPONENT, exponents, 0)
        return np.ldexp(values, -self._exponents) if self._exponents.any() else values

    def _codes(self, frame: pd.DataFrame) -> dict[int, np.ndarray]:
        """Return the codes of each nominal column, by its position."""
        read = {j: levels.codes(frame.iloc[:, j]) for j, levels in self._levels.items()}
        unseen = {frame.columns[j]: values[0] for j, (_, values) in read.items() if values}
        if unseen:
            warnings.warn(
                f"{self.name} has categories that fit did not see in columns "
                f"{listed(list(unseen))}, such as {next(iter(unseen.values()))!r}; they count "
                "as none of those known.",
                MIWarning,
                stacklevel=2,
            )
        return {j: codes for j, (codes, _) in read.items()}


def _few_recur(values: np.ndarray) -> bool:
    """Return whether numbers are few and recur, by value: a dtype does not matter.

    At most 12 different values, 95 % of the rows in tens or more; or the labels 0, 1, 2, ... or 1,
    2, 3, ..., at most 50, in 10 rows or more each.
    """
    if has_few_values(values):
        return True
    found, counts = np.unique(values, return_counts=True)
    are_labels = found[0] in (0, 1) and bool((np.diff(found) == 1).all())
    return are_labels and len(found) <= MAX_CLASSES and bool(counts.min() >= SEEN_OFTEN)


class _Levels:
    """The different values of a column in ``fit``; values of another dtype are matched to them."""

    def __init__(self, column: pd.Series, name: str) -> None:
        found = list(column.unique())
        try:
            values = sorted(found)
        except TypeError:
            raise _mixed(name, [column.name]) from None
        self.values, self.n = np.array(values), len(values)
        self._exact = {value: code for code, value in enumerate(values)}
        meanings = [_meaning(value) for value in values]
        often = Counter(meanings)
        self._meant = {s: code for code, s in enumerate(meanings) if often[s] == 1}

    def codes(self, column: pd.Series) -> tuple[np.ndarray, list[Any]]:
        """Return the code of each row, ``n`` if its value is unknown, and the unknown values."""
        positions, found = pd.factorize(column)
        found = list(found)
        codes = [self._code(value) for value in found]
        unseen = [value for value, code in zip(found, codes, strict=True) if code == self.n]
        return np.array(codes, dtype=int)[positions], unseen

    def _code(self, value: Any) -> int:
        return self._exact.get(value, self._meant.get(_meaning(value), self.n))


def _meaning(value: Any) -> str:
    """Return one text for what means the same: 0, 0.0, "0" and "0.0"; True and "True"."""
    text = spelling(value)
    try:
        return repr(float(text))
    except ValueError:
        return text


def _indicators(codes: np.ndarray, n_levels: int) -> np.ndarray:
    if n_levels == 2:
        return np.array([0.0, 1.0, 0.5])[codes, None]
    return (codes[:, None] == np.arange(n_levels)).astype(np.float64)


# Tables of every kind as one


def _as_table(rows: Any, name: str) -> Any:
    """Return a table as a data frame of pandas, and images or sequences as an array."""
    if rows is None and name == "Y":
        raise ValueError(
            "This MIEstimator estimator requires y to be passed, but the target y is None."
        )
    check_types(rows, name)
    if not hasattr(rows, "__len__"):  # a lazy frame would be collected in vain
        check_container(name, rows)
    table = native_table(_as_pandas(rows))
    if table is None:
        check_container(name, rows)
        table = native_table(_as_array(rows, name))
        if table.ndim > 2:
            return table
    if table.ndim == 1:
        if name == "X":
            cure = "X.to_frame()" if isinstance(table, pd.Series) else "X.reshape(-1, 1)"
            raise ValueError(
                f"Expected 2D array, got 1D array instead. Reshape your data: {cure} if it has a "
                "single feature."
            )
        table = table.to_frame() if isinstance(table, pd.Series) else table[:, None]
    if not table.shape[1]:
        check_array(np.empty(table.shape), input_name=name)
    if isinstance(rows, pd.DataFrame):
        return table
    frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame(table).infer_objects()
    check_types(frame, name)
    return frame


def _as_pandas(rows: Any) -> pd.DataFrame | pd.Series | None:
    """Return a data frame or Series of pandas or polars as one of pandas, else None."""
    if is_polars(rows):
        rows = rows.collect() if hasattr(rows, "collect") else rows
        if not hasattr(rows, "get_columns"):
            return pd.Series(rows.to_numpy(), name=rows.name)
        return pd.DataFrame({column.name: column.to_numpy() for column in rows.get_columns()})
    if not isinstance(rows, pd.DataFrame):
        return rows if isinstance(rows, pd.Series) else None
    # scikit-learn warns of such columns.
    sparse = [isinstance(dtype, pd.SparseDtype) for dtype in rows.dtypes]
    return rows.sparse.to_dense() if sparse and all(sparse) else rows


def _as_array(rows: Any, name: str) -> np.ndarray:
    """Return rows as an array of numpy, of objects if a list mixes text and numbers."""
    if issparse(rows):
        size = 8.0 * math.prod(rows.shape)
        if size > LARGEST_DENSE:
            raise ValueError(
                f"{name} is sparse, and its {rows.shape[0]} x {rows.shape[1]} numbers take "
                f"{size / 1e9:.1f} GB as a dense table; choose columns first, such as by "
                f"VarianceThreshold, or pass {name}.toarray()."
            )
        return rows.toarray()
    with columns_are_told(rows, name):
        array = np.asarray(from_torch(rows))
    if array.dtype.kind in "SU":
        # numpy makes text of all that a list holds, and pandas knows no array of bytes
        array = np.asarray(rows, dtype=object)
    if not array.ndim:
        raise ValueError(f"Expected 2D array, got scalar array instead: {name}={rows!r}.")
    return array


def _most_categories(n_rows: int) -> int:
    return max(n_rows // 2, MOST_OF_FEW_ROWS)


def _is_of_numbers(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _check_columns(frame: pd.DataFrame, name: str) -> None:
    """Reject missing values, complex numbers, and text beside numbers."""
    missing = {column: n for column, n in frame.isna().sum().items() if n}
    if missing:
        told = told_of_values("missing", missing, name, len(frame))
        raise ValueError(f"Input {name} contains NaN.\n{told}")
    others = [c for c, dtype in frame.dtypes.items() if not _is_of_numbers(dtype)]
    kinds = {column: infer_dtype(frame[column]) for column in others}
    imaginary = [c for c, kind in kinds.items() if kind == "complex"]
    if imaginary:
        raise ValueError(
            f"Complex data not supported: {name} has complex numbers in columns "
            f"{listed(imaginary)}; pass real and imaginary part as two columns."
        )
    mixed = [c for c, kind in kinds.items() if "mixed" in kind and _has_text(frame[c])]
    if mixed:
        raise _mixed(name, mixed)


def _check_categories(frame: pd.DataFrame, name: str) -> None:
    """Reject numbers as text, and categories that hardly recur."""
    n, few = len(frame), _most_categories(len(frame))
    words = [c for c in frame if infer_dtype(frame[c]) == "string" and _is_as_text(frame[c])]
    if words:
        raise ValueError(
            f"{name} holds numbers as text in columns {listed(words)}; pass them as numbers, "
            f"{name}.astype(float), or if they name categories, {name}.astype('category')."
        )
    many = [c for c in frame if bool(frame[c].nunique() > few)]
    if many:
        raise ValueError(
            f"{name} has more than {few} categories in {n} rows in columns {listed(many)}; "
            "expected categories that recur: group them, or drop the columns."
        )


def _mixed(name: str, columns: list[Any]) -> ValueError:
    return ValueError(
        f"{name} mixes text and numbers in columns {listed(columns)}; expected one kind in "
        "each: astype(str) for categories, pandas.to_numeric for numbers."
    )


def _has_text(column: Any) -> bool:
    return any(isinstance(value, str | bytes) for value in column)


def _is_as_text(column: Any) -> bool:
    """Return whether text has many different values, all of them numbers."""
    values = pd.Series(column.unique())
    if len(values) <= min(MAX_CLASSES, _most_categories(len(column))):
        return False
    numbers: Any = pd.to_numeric(values, errors="coerce")
    return bool(numbers.notna().all())


def as_frame(rows: Any, name: str = "X") -> pd.DataFrame:
    """Return a table as a data frame, each column with a dtype of its own.

    Parameters
    ----------
    rows : array-like or sparse matrix of shape (n_samples,) or (n_samples, n_features)
    name : str, default="X"
        Of the table, for messages.

    Returns
    -------
    frame : DataFrame
    """
    names_of(rows, name)
    frame = _as_table(rows, name)
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"{name} has shape {frame.shape}; expected (n_samples, n_features).")
    return frame


def side_by_side(Y: Any, Z: Any) -> pd.DataFrame:
    """Return two tables as one, with columns named by number."""
    frames = [as_frame(side, name).reset_index(drop=True) for side, name in ((Y, "Y"), (Z, "Z"))]
    table = pd.concat(frames, axis=1)
    table.columns = [f"{i}" for i in range(table.shape[1])]
    return table
