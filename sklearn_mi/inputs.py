"""What a user may pass as rows, checked; and codes given back in kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn import get_config
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils._array_api import _convert_to_numpy, device, get_namespace
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from sklearn_mi._base import Shape
from sklearn_mi.training import Rows, Scale

__all__ = [
    "Columns",
    "Layout",
    "Table",
    "as_frame",
    "codes_like",
    "empty_like_rows",
    "find_flags",
    "make_scale",
    "read_codes",
    "read_pair",
    "read_rows",
    "read_values",
    "side_by_side",
    "split_rows",
    "to_numpy_namespace",
]

MOST_CLASSES = 50
FEWEST_FLAGS = 0.2
WIDEST_MIXED = 256


@dataclass(frozen=True)
class Layout:
    """What one row looks like.

    Attributes
    ----------
    source_shape : tuple of int
        As the user passes it.
    row_shape : tuple of int
        As the view sees it: ``input_shape`` where that was given.
    is_table : bool
        A 2-D table of numbers rather than flat images or sequences.
    """

    source_shape: Shape
    row_shape: Shape
    is_table: bool

    @property
    def n_inputs(self) -> int:
        """Numbers in a row."""
        return math.prod(self.source_shape)


@dataclass(frozen=True)
class Table:
    """Checked rows: an array, sparse matrix or tensor, and how to read it.

    Attributes
    ----------
    array : ndarray, CSR matrix or Tensor of shape (n, ...)
    layout : Layout
    stream : bool
        The data lie on disk: convert them batch by batch.
    feature_names : sequence of str or None
    """

    array: Any
    layout: Layout
    stream: bool
    feature_names: Sequence[str] | None = None

    def __len__(self) -> int:
        return self.array.shape[0]

    def rows(
        self,
        scale: Scale,
        device: torch.device,
        index: np.ndarray | None = None,
        *,
        stream: bool = False,
        groups: np.ndarray | None = None,
    ) -> Rows:
        """Return these rows, or those of an index, as batches on a device."""
        return Rows(
            self.array,
            scale,
            device,
            self.layout.row_shape,
            index=index,
            stream=stream or self.stream,
            feature_names=self.feature_names,
            groups=None if groups is None else torch.as_tensor(groups, device=device),
        )


def read_rows(
    estimator: Any, X: Any, input_shape: Shape | None, *, reset: bool, min_rows: int = 1
) -> Table:
    """Check the rows of an estimator, and set or check its number of features.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like, sparse matrix or Tensor of shape (n, ...)
    input_shape : tuple of int or None
    reset : bool
        In ``fit``: learn the layout rather than compare with it.
    min_rows : int, default=1

    Returns
    -------
    table : Table

    Raises
    ------
    ValueError
        For strings, NaN, another shape than in ``fit``, images with channels first.
    """
    stream = isinstance(X, np.memmap)
    X = _plain(X)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        allow_nd=True,
        ensure_min_samples=min_rows,
    )
    names = getattr(estimator, "feature_names_in_", None)
    layout = _layout(tuple(X.shape[1:]), input_shape)
    if not reset:
        _check_same(layout, estimator._layout, type(estimator).__name__, "X")
    return Table(X, layout, stream, names)


def read_pair(X_pair: Any, n_rows: int, known: Layout | None, name: str) -> Table:
    """Check the second table of paired rows.

    Parameters
    ----------
    X_pair : array-like, sparse matrix or Tensor of shape (n, ...)
    n_rows : int
        Rows of the first table; -1: any number.
    known : Layout or None
        Of the table that ``fit`` saw.
    name : str
        Of the estimator, for messages.

    Returns
    -------
    table : Table

    Raises
    ------
    ValueError
        If the numbers of rows differ, or the shape is not that of ``fit``.
    """
    stream = isinstance(X_pair, np.memmap)
    array: Any = check_array(
        _plain(X_pair),
        accept_sparse="csr",  # type: ignore[arg-type]
        allow_nd=True,
        input_name="X_pair",
    )
    if n_rows not in (-1, array.shape[0]):
        raise ValueError(
            f"X has {n_rows} rows, but X_pair has {array.shape[0]}; expected one partner a row."
        )
    layout = _layout(tuple(array.shape[1:]), None)
    if known is not None:
        _check_same(layout, known, name, "X_pair")
    return Table(array, layout, stream)


def read_values(name: str, values: Any, n_rows: int) -> np.ndarray:
    """Check one value a row: groups or classes.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    values : array-like of shape (n_rows,)
    n_rows : int

    Returns
    -------
    values : ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If there is not one value a row, or one is missing.
    """
    array = column_or_1d(values, input_name=name)
    if len(array) != n_rows:
        raise ValueError(f"X has {n_rows} rows, but {name} has {len(array)}; expected one a row.")
    if pd.isna(array).any():
        raise ValueError(f"{name} has missing values; drop these rows, or give them a value.")
    return array


def split_rows(
    n: int,
    sizes: tuple[int, int],
    seed: int,
    *,
    groups: np.ndarray | None = None,
    ordered: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows to train on, to stop by and to report on.

    Parameters
    ----------
    n : int
    sizes : tuple of int
        How many rows to stop by, and how many to hold out in all.
    seed : int
    groups : ndarray of shape (n,) or None
        Rows of one group come into one part, so that the sizes are met about.
    ordered : bool
        Rows are a series in time, or one series a group: the end of each is held out.

    Returns
    -------
    kept, stopping, report : ndarray of int
        Increasing.

    Raises
    ------
    ValueError
        If all rows are of one group.
    """
    stopping, held_out = sizes
    generator = np.random.default_rng([seed, 0])
    if ordered:
        part = _ends_of_series(np.zeros(n) if groups is None else groups, stopping, held_out)
    elif groups is None:
        rank = np.empty(n, dtype=int)
        rank[generator.permutation(n)] = np.arange(n)
        part = np.where(rank >= held_out, 0, np.where(rank < stopping, 1, 2))
    else:
        part = _whole_groups(groups, stopping, held_out, generator)
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2)


def _ends_of_series(series: np.ndarray, stopping: int, held_out: int) -> np.ndarray:
    """Return the part of each row: those to report on come last, those to stop by before them."""
    part = np.zeros(len(series), dtype=int)
    for one in np.unique(series):
        rows = np.flatnonzero(series == one)
        left = len(rows) / len(series)
        last, both = round(left * (held_out - stopping)), round(left * held_out)
        part[rows[len(rows) - both :]] = 1
        part[rows[len(rows) - last :]] = 2
    return part


def _whole_groups(
    groups: np.ndarray, stopping: int, held_out: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the part of each row, one for all rows of a group; no part is left without a group."""
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = [size for size in (stopping, held_out - stopping) if size]
    if len(names) < 1 + len(wanted):
        raise ValueError(
            f"groups has {len(names)} groups; expected at least {1 + len(wanted)}, since whole "
            "groups are held out; or set validation_fraction=0 and early_stopping=False."
        )
    part_of_group = np.zeros(len(names), dtype=int)
    order = generator.permutation(len(names)).tolist()
    for number, size in enumerate(wanted):
        taken = 0
        while taken < size and len(order) > len(wanted) - number:
            group = order.pop()
            part_of_group[group] = number + 1 if stopping else 2
            taken += sizes[group]
    return part_of_group[which]


def _plain(X: Any) -> Any:
    """Return tensors as numpy unless scikit-learn dispatches to their own namespace."""
    if isinstance(X, torch.Tensor) and not get_config()["array_api_dispatch"]:
        return X.detach().cpu().numpy()
    return X


def _is_channels_first(shape: Shape) -> bool:
    """Whether rows are grey or coloured planes, or few planes that are square."""
    if len(shape) != 3:
        return False
    first, second, last = shape
    return (first in (1, 3) and last > 4) or first < second == last


def _layout(source_shape: Shape, input_shape: Shape | None) -> Layout:
    if _is_channels_first(source_shape):
        raise ValueError(
            f"X has shape (n, {', '.join(map(str, source_shape))}), which looks like images with "
            "channels first; expected (n, height, width, channels): pass np.moveaxis(X, 1, -1)."
        )
    if input_shape is None:
        return Layout(source_shape, source_shape, is_table=len(source_shape) == 1)
    sizes = tuple(input_shape) if isinstance(input_shape, Sequence) else (input_shape,)
    if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise ValueError(
            f"input_shape={input_shape!r}; expected positive integers such as (28, 28)."
        )
    row_shape = tuple(int(size) for size in sizes)
    if math.prod(row_shape) != math.prod(source_shape):
        raise ValueError(
            f"input_shape={input_shape!r} has {math.prod(row_shape)} entries, but a row of X has "
            f"{math.prod(source_shape)}."
        )
    if _is_channels_first(row_shape):
        raise ValueError(
            f"input_shape={input_shape!r} looks like images with channels first; expected (height, "
            f"width, channels): pass np.moveaxis(X.reshape(-1, *{row_shape}), 1, -1), and no "
            "input_shape."
        )
    return Layout(source_shape, row_shape, is_table=False)


def _check_same(layout: Layout, known: Layout, name: str, table: str) -> None:
    if layout.source_shape == known.source_shape:
        return
    if len(layout.source_shape) == len(known.source_shape) == 1:
        raise ValueError(
            f"{table} has {layout.n_inputs} features, but {name} is expecting "
            f"{known.n_inputs} features as input."
        )
    raise ValueError(
        f"{table} has rows of shape {layout.source_shape}, but {name} is expecting rows of shape "
        f"{known.source_shape}."
    )


def _dense_parts(table: Table, index: np.ndarray) -> Iterator[np.ndarray]:
    for part in gen_batches(len(index), 8192):
        rows = table.array[index[part]]
        if sparse.issparse(rows):
            rows = rows.toarray()
        if isinstance(rows, torch.Tensor):
            rows = rows.cpu().numpy()
        yield np.asarray(rows).reshape(len(rows), -1)


def _is_bytes(table: Table) -> bool:
    return table.array.dtype in (np.uint8, torch.uint8)


def find_flags(table: Table, index: np.ndarray) -> np.ndarray | None:
    """Tell which columns of a mixed table are flags, that is 0 or 1, such as encoded categories.

    Parameters
    ----------
    table : Table
    index : ndarray of int
        The training rows; no others are looked at.

    Returns
    -------
    flags : ndarray of bool of shape (n_columns,), or None
        None where the table is not mixed: fewer than a fifth of the columns that vary are flags,
        or all of them are, or there are more than 256 columns, or they are bytes.
    """
    if not table.layout.is_table or table.layout.n_inputs > WIDEST_MIXED or _is_bytes(table):
        return None
    flags, varies = np.ones(table.layout.n_inputs, bool), np.zeros(table.layout.n_inputs, bool)
    first = None
    for part in _dense_parts(table, index):
        first = part[0] if first is None else first
        flags &= ((part == 0) | (part == 1)).all(axis=0)
        varies |= (part != first).any(axis=0)
        if not flags.any():
            return None
    flags &= varies
    is_mixed = FEWEST_FLAGS * varies.sum() <= flags.sum() < varies.sum()
    return flags if is_mixed else None


def make_scale(table: Table, index: np.ndarray, standardize: bool | str) -> Scale:
    """Return the frozen first layer, fitted on the rows of an index.

    Parameters
    ----------
    table : Table
    index : ndarray of int
        The training rows; no others are looked at.
    standardize : bool or "auto"
        "auto": columns of tables, not images; flags of mixed tables stay as they are, beside
        numbers divided by their standard deviation. Bytes are divided by 255 unless True.

    Returns
    -------
    scale : Scale
    """
    is_bytes = _is_bytes(table)
    wanted = table.layout.is_table and not is_bytes if standardize == "auto" else standardize
    if not wanted:
        return Scale(np.zeros(1), np.full(1, 255.0 if is_bytes else 1.0))
    limits, moments = MinMaxScaler(), StandardScaler()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in _dense_parts(table, index):
            limits.partial_fit(part.astype(np.float64))
    low, spread = np.asarray(limits.data_min_), np.asarray(limits.data_range_)
    if not np.isfinite(spread).all():
        columns = np.flatnonzero(~np.isfinite(spread)).tolist()
        raise ValueError(f"Columns {columns} of X span more than a float can hold; rescale them.")
    varies = spread > 0
    for part in _dense_parts(table, index):
        # Within [0, 1], so that no unit of a column is too large or too small to be squared.
        unit = (part.astype(np.float64) - low)[:, varies] / spread[varies]
        moments.partial_fit(unit if varies.any() else part * 0.0)
    flags = find_flags(table, index) if standardize == "auto" else None
    return _range_scale(low, spread, moments, flags)


def _range_scale(
    low: np.ndarray, spread: np.ndarray, moments: StandardScaler, flags: np.ndarray | None
) -> Scale:
    """Return the layer that divides columns by their range, and all by one factor.

    By the standard deviation a pixel that is lit in one image of a thousand would decide who is
    whose neighbour. The factor makes the mean variance one. A column without spread is divided by
    infinity: whatever it holds later, nothing was learned about it. Beside flags, whose range is
    little more than their deviation, numbers divided by their range would count for nothing.
    """
    varies = spread > 0
    mean, scale = low.copy(), np.full(len(low), np.inf)
    if varies.any():
        mean[varies] += spread[varies] * np.asarray(moments.mean_)
        deviation = np.sqrt(np.asarray(moments.var_))
        if flags is None:
            factor = np.sqrt(np.mean(deviation**2))
        else:
            factor = np.where(flags[varies], 1.0, deviation)
        scale[varies] = spread[varies] * factor
    return Scale(mean, scale)


def empty_like_rows(X: Any) -> Any:
    """Return an empty array in the namespace and on the device of some rows.

    A fitted learner keeps it to tell, as scikit-learn demands, whether ``transform`` is given
    another kind of array than ``fit``.

    Parameters
    ----------
    X : ndarray, sparse matrix or array of another namespace

    Returns
    -------
    empty : array of shape (0,)
    """
    xp, is_array_api = get_namespace(X)
    if not is_array_api or sparse.issparse(X):
        return np.empty(0, dtype=np.float32)
    return xp.empty(0, dtype=xp.float32, device=device(X))


def read_codes(X: Any) -> tuple[Any, torch.Tensor]:
    """Check codes that come back, and return them as an array and as a tensor.

    Parameters
    ----------
    X : array-like of shape (n, n_components)

    Returns
    -------
    array : ndarray or array of another namespace
    codes : Tensor of shape (n, n_components), float32
    """
    array: Any = check_array(_plain(X), input_name="X")
    if isinstance(array, torch.Tensor):
        return array, array.float()
    plain = _convert_to_numpy(array, get_namespace(array)[0])
    return array, torch.from_numpy(np.array(plain, dtype=np.float32))


def to_numpy_namespace(table: Table) -> Table:
    """Return the table with an array that `Rows` can hold: numpy, CSR or torch.

    Parameters
    ----------
    table : Table

    Returns
    -------
    table : Table
    """
    array = table.array
    if sparse.issparse(array) or isinstance(array, np.ndarray | torch.Tensor):
        return table
    xp, _ = get_namespace(array)
    return Table(_convert_to_numpy(array, xp), table.layout, table.stream, table.feature_names)


def codes_like(parts: Iterator[torch.Tensor], array: Any) -> Any:
    """Gather codes into the kind of array that the rows came in.

    Parameters
    ----------
    parts : iterator of Tensor of shape (b, width)
    array : ndarray, sparse matrix or Tensor
        The rows. float32 and bytes give float32, everything else float64.

    Returns
    -------
    codes : ndarray or Tensor of shape (n, width)
        On the device of ``array``.
    """
    small = ("uint8", "float16", "float32", "bfloat16")
    dtype = "float32" if str(array.dtype).rsplit(".", 1)[-1] in small else "float64"
    if isinstance(array, torch.Tensor):
        return torch.cat([part.to(array.device, getattr(torch, dtype)) for part in parts])
    codes = np.concatenate([part.cpu().numpy() for part in parts]).astype(dtype, copy=False)
    if sparse.issparse(array) or isinstance(array, np.ndarray):
        return codes
    xp, _ = get_namespace(array)
    return xp.asarray(codes, device=device(array))


class Columns:
    """How one table is read: numbers as they are, categories as one column each."""

    def __init__(self, name: str, rows: Any, encoder: Any) -> None:
        self.name, self.encoder = name, encoder
        self.row_shape = np.shape(rows)[1:]
        self.n_rows = len(rows) if hasattr(rows, "__len__") else 0
        frame = as_frame(rows) if np.ndim(rows) < 3 else None
        self.is_category = False
        self.one_hot: Any = None
        if frame is None:
            return
        kinds = {c: pd.api.types.infer_dtype(frame[c], skipna=True) for c in frame}
        words = [c for c, kind in kinds.items() if kind in ("string", "categorical")]
        self.is_category = list(kinds.values()) in (["string"], ["categorical"], ["boolean"])
        self.few_integers = (
            frame.shape[1] == 1
            and pd.api.types.is_integer_dtype(frame.iloc[:, 0])
            and frame.iloc[:, 0].nunique() <= MOST_CLASSES
        )
        if words:
            self.one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            self.one_hot.fit(frame[words].astype(str))
            self.words = words

    def is_class(self, asked: bool | str) -> bool:
        """Return whether the table is one category."""
        if asked == "auto":
            return self.is_category or self.few_integers
        return bool(asked)

    def labels(self, rows: Any) -> np.ndarray:
        """Return the categories of rows."""
        labels = np.asarray(as_frame(rows)).ravel()
        return read_values(self.name, labels, len(labels))

    def __call__(self, rows: Any) -> np.ndarray:
        """Return rows as numbers."""
        if np.shape(rows)[1:] != self.row_shape:
            raise ValueError(
                f"{self.name} has rows of shape {np.shape(rows)[1:]}; expected {self.row_shape}, "
                "as in fit."
            )
        if np.ndim(rows) > 2:
            if self.encoder is None:
                raise ValueError(
                    f"{self.name} of shape {np.shape(rows)} has images or sequences as its rows; "
                    f"pass {'encoder' if self.name == 'X' else 'encoder_y'}=..., or flatten them."
                )
            return _as_floats(rows, self.name)
        frame = as_frame(rows)
        if self.one_hot is None:
            return _as_floats(frame, self.name)
        words = frame[self.words]
        if words.isna().to_numpy().any():
            raise ValueError(f"Input {self.name} contains NaN; drop these rows, or fill them.")
        numbers = frame.drop(columns=self.words)
        parts = [self.one_hot.transform(words.astype(str))]
        if numbers.shape[1]:
            parts.insert(0, _as_floats(numbers, self.name))
        return np.hstack(parts)


def _as_floats(rows: Any, name: str) -> np.ndarray:
    dtype: Any = np.float64
    if rows.shape[1] == 0:
        rows = np.empty(rows.shape)
    return check_array(rows, dtype=dtype, allow_nd=True, input_name=name)


def as_frame(rows: Any) -> pd.DataFrame:
    """Return rows as a data frame with a dtype a column."""
    if isinstance(rows, pd.Series):
        return rows.toas_frame()
    if isinstance(rows, pd.DataFrame):
        return rows
    array = np.asarray(rows)
    return pd.DataFrame(array[:, None] if array.ndim == 1 else array).infer_objects()


def side_by_side(Y: Any, Z: Any) -> pd.DataFrame:
    """Return two tables as one."""
    frames = [as_frame(side).reset_index(drop=True) for side in (Y, Z)]
    both = pd.concat(frames, axis=1)
    both.columns = [f"{i}" for i in range(both.shape[1])]
    return both
