"""Check the rows that a user passes, and return codes in the same kind of array."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn import get_config
from sklearn.utils.validation import check_array, validate_data

from sklearn_mi._base import MIWarning, Shape
from sklearn_mi._checks import check_container, without_gradient
from sklearn_mi._compat import _convert_to_numpy, device, get_namespace
from sklearn_mi.rows.blocks import BlockSource, stored
from sklearn_mi.rows.columns import Column, Number, describe, is_plain, numbers_of, owners_of
from sklearn_mi.rows.frames import (
    check_labels,
    check_names,
    check_types,
    columns_are_told,
    names_of,
    one_frame,
)
from sklearn_mi.rows.indexed import Rows
from sklearn_mi.rows.kinds import Image, Kind, Recording, Schema, Table, kind_of
from sklearn_mi.rows.lacking import lacking_of, tables_of
from sklearn_mi.rows.recordings import (
    RecordingSource,
    WindowSource,
    check_channels,
    gathered,
    refuse_gaps,
)
from sklearn_mi.rows.sources import JoinedSource, ResidualSource, Source, as_source

if TYPE_CHECKING:
    from sklearn_mi.rows.scaling import Standardize

__all__ = [
    "CheckedRows",
    "codes_like",
    "empty_like_rows",
    "from_torch",
    "is_several",
    "read_codes",
    "read_pair",
    "read_rows",
    "read_table",
    "warn_of_large_values",
    "warn_of_targets",
]


# Of images that are taken as they are; digits of 0 to 16 were measured and are fine.
LARGEST_PIXEL = 128


@dataclass(frozen=True)
class CheckedRows:
    """Checked rows of a user: where they are stored, and what they are.

    Attributes
    ----------
    source : Source
    schema : Schema
    like : array of shape (0, ...)
        An empty array of the user's kind; codes are returned in this kind.
    """

    source: Source
    schema: Schema
    like: Any = None

    @property
    def kind(self) -> Kind:
        """What a row is."""
        return self.schema.kind

    def __len__(self) -> int:
        return len(self.source)

    def rows(
        self,
        scale: Standardize,
        device: torch.device,
        index: np.ndarray | None = None,
        *,
        stream: bool = False,
        groups: np.ndarray | None = None,
    ) -> Rows:
        """Return all rows, or those of an index, as batches on a device."""
        if self.schema.confounds is not None and not isinstance(self.source, ResidualSource):
            raise ValueError(
                "fit was given confounds; pass confounds= of these rows, to a method that takes it."
            )
        return Rows(
            self.source,
            scale,
            device,
            scale.row_shape(self.source.shape[1:], self.kind.row_shape),
            index=index,
            stream=stream,
            feature_names=self.schema.feature_names,
            owners=self.schema.owners,
            groups=None if groups is None else torch.as_tensor(groups, device=device),
            tables=tables_of(self),
        )

    @property
    def may_lack(self) -> bool:
        """Whether rows may lack a table, or a set of columns, as a whole."""
        return tables_of(self) is not None

    def of_kind(self, kind: Kind) -> CheckedRows:
        """Return the same rows as another kind."""
        return dataclasses.replace(self, schema=dataclasses.replace(self.schema, kind=kind))

    def windowed(self, window: int, groups: np.ndarray | None = None) -> CheckedRows:
        """Return each row with the rows before it, as a recording of ``window`` steps.

        Parameters
        ----------
        window : int
            1: nothing changes.
        groups : ndarray of shape (n,) or None
            The series of each row.

        Raises
        ------
        ValueError
            Unless these are rows of a table, and as many in a series as in a window.
        """
        if window == 1:
            return self
        if len(self.source.shape) != 2:
            raise ValueError(
                f"window={window} needs rows of one long recording, of shape (n, channels), but "
                f"rows have shape {self.source.shape[1:]}: leave window=1."
            )
        source = WindowSource(self.source, window, groups)
        if isinstance(self.kind, Recording):
            return dataclasses.replace(self, source=source)
        if window > source.longest:
            raise ValueError(
                f"window={window}, but the longest series has {source.longest} rows; expected "
                "fewer rows in a window."
            )
        kind = Recording(self.kind.source_shape, source.shape[1:], self.kind.reason)
        return dataclasses.replace(self.of_kind(kind), source=source)


def read_rows(
    estimator: Any,
    X: Any,
    input_shape: Shape | None = None,
    *,
    known: Schema | None = None,
    min_rows: int = 1,
    sets: Callable[..., Any] | None = None,
) -> CheckedRows:
    """Check the rows of an estimator and set or check its number of features.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like, sparse matrix or Tensor of shape (n, ...), or list of recordings
    input_shape : tuple of int or None
    known : Schema or None
        What ``fit`` learned of its rows; None: this is ``fit``.
    min_rows : int, default=1
    sets : callable or None
        In ``fit``, ``sets(n_columns, names)`` gives the sets of columns that a row may lack; see
        `Schema`.

    Returns
    -------
    rows : CheckedRows

    Raises
    ------
    ValueError
        For text, missing values, another shape than in ``fit``, images with channels first.
    """
    X = stored(X)
    on_disk = X if isinstance(X, BlockSource) else None
    # What stays on disk is checked by its first rows, and block by block when it is read.
    X = X if on_disk is None else on_disk.head()
    check_container("X", X)
    given = without_gradient(X)
    # Recordings are gathered to one array, and their names stay with the first of them.
    names, frame, X = names_of(given, "X"), one_frame(given), gathered(given)
    are_named = frame is not given and names is not None
    finite, own = _finite(X, known), _own_columns(X, known, input_shape, on_disk)
    check_types(X, "X", reads_dates=own)
    checks: dict[str, Any] = {
        "accept_sparse": "csr",
        "allow_nd": True,
        # For rows of several axes scikit-learn would compare only the first.
        "ensure_2d": known is None or len(known.kind.source_shape) == 1,
        "ensure_min_samples": min_rows if on_disk is None else 1,
        "ensure_all_finite": finite,
    }
    columns: tuple[Column, ...] = ()
    is_flat = len(getattr(X, "shape", ())) == 2
    lacks = sets(X.shape[1], names) if sets is not None and is_flat else None
    if own or are_named:
        validate_data(estimator, frame, reset=known is None, skip_check_array=True)
    if own:
        columns, numbers = _columns_and_numbers(X, known, "X", lacks)
    with nullcontext() if own else columns_are_told(X, "X"):
        if own or are_named:
            table = numbers if own else X
            array: Any = check_array(table, estimator=estimator, input_name="X", **checks)
        else:
            array = validate_data(estimator, _plain(X), reset=known is None, **checks)
        source = _source_of(array, "X", on_disk, known, finite, columns)
    source.may_lack = own or on_disk is not None
    if known is None:
        shape = None if columns else input_shape
        known = Schema(kind_of(source, shape), names, columns=columns, sets=lacks)
        if isinstance(known.kind, Recording):
            estimator.n_features_in_ = known.kind.n_channels
    _check_shape(source, known, "X", type(estimator).__name__)
    return CheckedRows(_of_kind(source, known, "X", finite), known, _without_rows(array))


def _source_of(
    array: Any,
    name: str,
    on_disk: BlockSource | None,
    known: Schema | None,
    finite: Any,
    columns: tuple[Column, ...],
) -> Source:
    """Return the source of a checked array, or that of which it is the first rows."""
    if on_disk is None:
        return as_source(_as_numbers(array, name))
    on_disk.allow_nan = finite == "allow-nan"
    if columns:
        on_disk.as_numbers = lambda block: _columns_and_numbers(block, known, name, None)[1]
        on_disk.width = array.shape[1]
    return on_disk


def _finite(X: Any, known: Schema | None) -> Any:
    """Return what scikit-learn is to check.

    Numbers of a table may be missing, and recordings may lack steps at their end.
    """
    n_axes = len(getattr(X, "shape", ())) or 2
    may_lack = known is None or isinstance(known.kind, Recording)
    is_table = n_axes == 2 and not sparse.issparse(X)
    return "allow-nan" if is_table or (may_lack and n_axes == 3) else True


def _own_columns(
    X: Any, known: Schema | None, input_shape: Any = None, on_disk: BlockSource | None = None
) -> bool:
    """Return whether the columns of a table are read one by one: they are not just numbers."""
    if known is not None and known.columns:
        return True
    if on_disk is not None:
        return False
    are_flat = input_shape is None or np.ndim(input_shape) == 0 or len(input_shape) == 1
    is_table = isinstance(known.kind, Table) if known is not None else are_flat
    return is_table and not sparse.issparse(X) and not is_plain(X)


def _columns_and_numbers(
    X: Any, known: Schema | None, name: str, sets: Any
) -> tuple[tuple[Column, ...], np.ndarray]:
    """Return how columns become numbers, and these numbers; all NaN where a row lacks its set."""
    lacking = lacking_of(X, sets if known is None else known.sets)
    if known is None:
        columns = describe(X, name, lacking)
    else:
        # Of a table that had no gaps, each column is a number.
        columns = known.columns or (Number(False),) * known.kind.n_inputs
    numbers = numbers_of(X, columns, name)
    if lacking is not None:
        numbers[lacking[:, owners_of(columns)]] = np.nan
    return columns, numbers


def _of_kind(source: Source, known: Schema, name: str, finite: Any) -> Source:
    """Return a source as its kind asks: recordings with a channel that says what was observed."""
    kind = known.kind
    if isinstance(kind, Recording) and len(kind.source_shape) == 2:
        refuse_gaps(source, name, known.feature_names)
        return RecordingSource(source, kind.row_shape[0] if kind.is_sequence else 0)
    if finite is not True and not source.is_bytes and not isinstance(kind, Table):
        # Checked last, since only now it is known that these are no recordings.
        if isinstance(source, BlockSource):
            source.allow_nan = False
            return source
        for block in source.blocks():
            check_array(block, input_name=name)
    return source


def is_several(X_pair: Any, n_rows: int | None = None) -> bool:
    """Tell whether a second table is a list of tables, not a list of rows.

    Parameters
    ----------
    X_pair : object
        As the user passes it.
    n_rows : int or None
        Rows of the first table; None: any number.

    Returns
    -------
    answer : bool
        Whether every element has rows of its own, and one of them is a table; or whether one has as
        many rows as the first table, and there are fewer or more elements.
    """
    if not isinstance(X_pair, list | tuple):
        return False
    n_axes = {len(getattr(table, "shape", ())) for table in X_pair}
    if 2 in n_axes and min(n_axes) == 2:
        return True
    have_all = [getattr(table, "shape", ())[:1] == (n_rows,) for table in X_pair]
    return len(X_pair) != n_rows and 0 not in n_axes and any(have_all)


def read_pair(
    X_pair: Any, known: Schema | None, estimator: str, *, X: Any = None, n_rows: int | None = None
) -> CheckedRows:
    """Check the second table of paired rows, or several in a list, which are put side by side.

    Parameters
    ----------
    X_pair : array-like, sparse matrix or Tensor of shape (n, ...), or a list of tables
    known : Schema or None
        What ``fit`` learned of the second table; None: this is ``fit``.
    estimator : str
        Its name, for error messages.
    X : object
        The first table as the user passes it; its row labels must be in the same order.
    n_rows : int or None
        Rows of the first table; None: any number.

    Returns
    -------
    rows : CheckedRows

    Raises
    ------
    ValueError
        If the numbers of rows differ, or tables, shapes or names are not those of ``fit``.
    """
    if isinstance(X_pair, list | tuple):
        _refuse_empty(X_pair)
    several = is_several(X_pair, n_rows) and not _are_partners(X_pair, known, n_rows)
    tables = list(X_pair) if several else None
    if known is not None and len(known.parts) != (0 if tables is None else len(tables)):
        _refuse_number(tables, known, estimator)
    if tables is None:
        checked = read_table(X_pair, known, "X_pair", estimator, ())
        _check_length("X", n_rows, "X_pair", len(checked), "expected one partner a row.")
        check_labels(X, X_pair)
        return checked
    return _read_several(tables, known, estimator, X, n_rows)


def _refuse_empty(X_pair: list[Any] | tuple[Any, ...]) -> None:
    """Refuse a list without tables, or with None in the place of one."""
    if not X_pair:
        raise ValueError(
            "X_pair is an empty list; expected a table, or a list of tables, with as many rows as "
            "X; leave X_pair=None if there is no second table."
        )
    missing = [k for k, table in enumerate(X_pair) if table is None]
    if missing:
        raise ValueError(
            f"X_pair[{missing[0]}]=None; expected a table in each place of the list. Leave out a "
            "table that you do not have; rows that lack one have NaN in all of its columns."
        )


def _are_partners(X_pair: Any, known: Schema | None, n_rows: int | None) -> bool:
    """Whether a list holds a recording for each row, not tables of as many rows as there are."""
    if known is not None:
        return isinstance(known.kind, Recording) and not known.parts
    return len(X_pair) == n_rows and any(table.shape[0] != n_rows for table in X_pair)


def _read_several(
    tables: list[Any], known: Schema | None, estimator: str, X: Any, n_rows: int | None
) -> CheckedRows:
    """Check each of several tables, and return them side by side."""
    parts = []
    for k, table in enumerate(tables):
        name = f"X_pair[{k}]"
        if len(table.shape) != 2:
            raise ValueError(
                f"{name} has rows of shape {tuple(table.shape[1:])}; expected tables of shape "
                "(n, p) where X_pair is a list: flatten the rows, or pass them as X. Numbers "
                "become a table of one column by np.reshape(numbers, (-1, 1))."
            )
        part = read_table(table, None if known is None else known.parts[k], name, estimator, ())
        cure = (
            "expected one partner a row; if a grid or a cross-validation cut X, it cannot cut a "
            "list: join the tables to one, with view=Columns(first, second, third)."
        )
        _check_length("X", n_rows, name, len(part), cure)
        check_labels(X, table, name)
        parts.append(part)
        _check_length("X_pair[0]", len(parts[0]), name, len(part), "expected one partner a row.")
    schema = Schema.side_by_side([part.schema for part in parts]) if known is None else known
    return CheckedRows(JoinedSource([part.source for part in parts]), schema, parts[0].like)


def read_table(
    table: Any, known: Schema | None, name: str, estimator: str, sets: Any = None
) -> CheckedRows:
    """Check one table whose rows are partners of those of ``X``.

    Parameters
    ----------
    table : array-like
    known : Schema or None
        What ``fit`` learned of it; None: this is ``fit``.
    name : str
        Of the table, for messages.
    estimator : str
    sets : tuple of tuple of int or None
        In ``fit``, the sets of columns that a row may lack; see `Schema`.

    Returns
    -------
    rows : CheckedRows
    """
    table = stored(table, name)
    on_disk = table if isinstance(table, BlockSource) else None
    table = table if on_disk is None else on_disk.head()
    check_container(name, table)
    given = without_gradient(table)
    names, table = names_of(given, name), gathered(given, name)
    finite, own = _finite(table, known), _own_columns(table, known, on_disk=on_disk)
    if known is not None:
        check_names(given, known.feature_names, name, estimator)
    check_types(table, name, reads_dates=own)
    columns: tuple[Column, ...] = ()
    if own:
        _check_width(table, known, name, estimator)
        columns, numbers = _columns_and_numbers(table, known, name, sets)
    with nullcontext() if own else columns_are_told(table, name):
        array: Any = check_array(
            numbers if own else _plain(table),
            accept_sparse="csr",  # type: ignore[arg-type]
            allow_nd=True,
            input_name=name,
            ensure_all_finite=finite,
        )
        source = _source_of(array, name, on_disk, known, finite, columns)
    source.may_lack = own or on_disk is not None
    if known is None:
        known = Schema(kind_of(source, None, name), names, columns=columns, sets=sets)
    _check_shape(source, known, name, estimator)
    return CheckedRows(_of_kind(source, known, name, finite), known, _without_rows(array))


def _check_length(first: str, n_rows: int | None, name: str, n: int, cure: str) -> None:
    if n_rows not in (None, n):
        raise ValueError(f"{first} has {n_rows} rows, but {name} has {n}; {cure}")


def _refuse_number(tables: list[Any] | None, known: Schema, estimator: str) -> None:
    n = 0 if tables is None else len(tables)
    given = f"a list of {n} table{'s' * (n > 1)}" if n else "one table"
    wanted = f"a list of {len(known.parts)}" if known.parts else "one table"
    raise ValueError(
        f"X_pair is {given}, but {estimator} was fitted with {wanted}; expected the same tables "
        "as in fit, in their order."
    )


def _check_width(table: Any, known: Schema | None, name: str, estimator: str) -> None:
    """Refuse a table of another number of columns than in ``fit``."""
    n = np.shape(table)[1]
    if known is not None and n != known.n_columns:
        raise ValueError(
            f"{name} has {n} features, but {estimator} is expecting {known.n_columns} features as "
            "input."
        )


def _as_numbers(array: Any, name: str) -> Any:
    """Convert what scikit-learn accepts as objects, such as categories, to numbers."""
    if not (isinstance(array, np.ndarray) and array.dtype.kind == "O"):
        return array
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} holds values that are no numbers ({error}).") from error
    return check_array(numbers, allow_nd=True, input_name=name)


def warn_of_large_values(rows: CheckedRows, standardize: bool | str, name: str = "X") -> None:
    """Warn of unscaled images that are not bytes and have a value beyond 128.

    Digits of 0 to 16 need no scaling; values of 0 to 255 make the first steps far too large.

    Parameters
    ----------
    rows : CheckedRows
    standardize : bool or "auto"
        The learner's parameter; True and False are the user's decision and give no warning.
    name : str, default="X"
        Name of the table.
    """
    is_as_it_came = isinstance(rows.kind, Image) and standardize == "auto"
    if not is_as_it_came or rows.source.is_bytes:
        return
    low, high = rows.source.value_range
    if max(-low, high) > LARGEST_PIXEL:
        cure = "values near [0, 1]"
        if low >= 0 and high <= 255:
            cure = f"{name} / 255, or bytes, {name}.astype('uint8')"
        warnings.warn(
            f"{name} holds images with values from {low:.5g} to {high:.5g}, which are taken as "
            f"they are, and networks learn badly from numbers so large; pass {cure}, or set "
            "standardize=True.",
            MIWarning,
            stacklevel=2,
        )


def warn_of_targets(y: Any) -> None:
    """Warn of a ``y`` that looks like a second table: two or more columns of floats.

    Parameters
    ----------
    y : object
        As passed to ``fit``.
    """
    if y is None or sparse.issparse(y):
        return
    if isinstance(y, pd.DataFrame):
        is_floats = y.shape[1] > 1 and all(dtype.kind == "f" for dtype in y.dtypes)
    else:
        is_floats = _is_table_of_floats(_plain(y))
    if is_floats:
        warnings.warn(
            "y has several columns of floats and is ignored, as labels are; if it is a second "
            "table whose rows are partners of those of X, call fit(X, X_pair=y).",
            MIWarning,
            stacklevel=3,
        )


def _is_table_of_floats(y: Any) -> bool:
    xp, is_array_api = get_namespace(y)
    if is_array_api:
        return y.ndim == 2 and y.shape[1] > 1 and xp.isdtype(y.dtype, "real floating")
    try:
        array = np.asarray(y)
    except ValueError:  # lists of unequal lengths, such as the labels of each row
        return False
    return array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f"


def from_torch(X: Any) -> Any:
    """Return a tensor as an array of numpy, and anything else unchanged."""
    if not isinstance(X, torch.Tensor):
        return X
    plain = X.detach().cpu()
    # numpy has no such type.
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def _plain(X: Any) -> Any:
    """Return tensors as numpy unless scikit-learn dispatches to their own namespace."""
    return X if get_config()["array_api_dispatch"] else from_torch(X)


def _check_shape(source: Source, schema: Schema, name: str, estimator: str) -> None:
    shape, known = source.shape[1:], schema.kind.source_shape
    if len(shape) == 2 and isinstance(schema.kind, Recording) and len(known) == 2:
        return check_channels(shape, known[1], name, schema.feature_names)
    if shape == known:
        return None
    if len(shape) == len(known) == 1:
        raise ValueError(
            f"{name} has {shape[0]} features, but {estimator} is expecting {known[0]} features as "
            "input."
        )
    cure = ""
    if shape == known[-1:] and isinstance(schema.kind, Recording):
        cure = f" Pass [{name}] if it is one recording."
    elif shape == known[1:]:
        cure = f" Pass {name}[None] if it is one row."
    raise ValueError(
        f"{name} has rows of shape {shape}, but {estimator} is expecting rows of shape {known}."
        f"{cure}"
    )


def _without_rows(array: Any) -> Any:
    """Return the same kind of array without rows."""
    # Some namespaces want every axis named, sparse arrays want no ellipsis.
    return array[:0] if sparse.issparse(array) else array[:0, ...]


def empty_like_rows(X: Any) -> Any:
    """Return an empty array in the namespace and on the device of some rows.

    A fitted learner keeps it to detect, as scikit-learn demands, that ``transform`` gets a
    different kind of array from ``fit``.

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
    """Check codes that a user passes back; return them as an array and as a tensor.

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


def codes_like(parts: Iterator[torch.Tensor], array: Any) -> Any:
    """Gather codes into the same kind of array as the rows.

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
