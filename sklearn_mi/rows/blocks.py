"""Rows that are stored on disk or in pieces, read in blocks of consecutive rows."""

from __future__ import annotations

import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils import assert_all_finite
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from sklearn_mi._base import MIWarning, Shape
from sklearn_mi.rows.sources import Source, in_memory

__all__ = [
    "BlockSource",
    "Storage",
    "columns_of_item",
    "columns_to_rows",
    "files_of",
    "in_order",
    "index_columns",
    "is_large",
    "is_stored",
    "named_rows",
    "names_of_numbers",
    "package_of",
    "row_of_item",
    "stored",
    "without_labels",
]

# Larger rows stay where they are stored: the size of all as the numbers that are worked on.
MOST_IN_MEMORY = 2**30
# What items of skorch and Hugging Face call labels.
LABELS = {"y", "label", "labels", "target", "targets"}
# Storage without chunks of its own is read in blocks of about so many bytes.
BLOCK_BYTES = 2**20


class Storage(ABC):
    """A container that a user passes, and what is known of it without reading rows.

    Parameters
    ----------
    container : object
        Kept as ``container``.
    shape : tuple of int
        Kept as ``shape``: number of rows, then the shape of one.
    dtype : dtype of numpy
        Kept as ``dtype``.
    """

    def __init__(self, container: Any, shape: Shape, dtype: Any) -> None:
        self.container, self.shape, self.dtype = container, tuple(shape), np.dtype(dtype)

    # Of the numbers of a row, where they have any.
    names: list[str] | None = None

    def as_passed(self, start: int, stop: int) -> Any:
        """Return consecutive rows as the user would pass them: with names of columns, if any."""
        return named_rows(self.read(start, stop), self.names)

    @property
    def edges(self) -> np.ndarray:
        """Where blocks begin, and the number of rows last; those of no chunks by default."""
        return np.append(np.arange(0, self.shape[0], self._rows_of_bytes(1)), self.shape[0])

    def _rows_of_bytes(self, chunk: int) -> int:
        """Return how many rows, in whole chunks, are about as large as a block."""
        size = chunk * math.prod(self.shape[1:]) * self.dtype.itemsize
        return chunk * max(1, BLOCK_BYTES // max(1, size))

    @abstractmethod
    def read(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive rows."""

    def pick(self, numbers: np.ndarray) -> np.ndarray:
        """Return rows of one block by their increasing numbers."""
        start, stop = int(numbers[0]), int(numbers[-1]) + 1
        block = self.read(start, stop)
        return block if stop - start == len(numbers) else block[numbers - start]

    def all(self) -> Any:
        """Return all rows in memory, as a user would pass them."""
        return self.as_passed(0, self.shape[0])

    def head(self) -> Any:
        """Return two rows at most, of the kind that `all` returns."""
        return self.as_passed(0, min(2, self.shape[0]))


class Sliced(Storage):
    """What has a shape, a type and slices: memory maps, arrays of zarr, datasets of h5py, dask."""

    def __init__(self, container: Any) -> None:
        if "h5py" in package_of(container) and not container:
            raise OSError("the file is closed")
        shape = tuple(container.shape)
        if not shape:
            raise ValueError("X holds one number; expected rows of shape (n_samples, n_features).")
        if any(size != size for size in shape):
            raise ValueError(
                "X is a Dask array of unknown length; call X.compute_chunk_sizes() first."
            )
        super().__init__(container, shape, container.dtype)

    @property
    def edges(self) -> np.ndarray:
        """Where blocks begin: whole chunks, as many as about make a block."""
        chunks = getattr(self.container, "chunks", None)
        if chunks is None:
            return super().edges
        if not isinstance(chunks[0], int):
            return np.concatenate([[0], np.cumsum(chunks[0])])
        starts = np.arange(0, self.shape[0], self._rows_of_bytes(chunks[0]))
        return np.append(starts, self.shape[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive rows; those of a Dask array are computed in this thread."""
        rows = self.container[start:stop]
        if hasattr(rows, "compute"):
            rows = rows.compute(scheduler="synchronous")
        return np.asarray(rows)

    def pick(self, numbers: np.ndarray) -> np.ndarray:
        """Return rows of one block; of a memory map only the pages that hold them are read."""
        if isinstance(self.container, np.memmap) and len(numbers) <= numbers[-1] - numbers[0]:
            return np.asarray(self.container[numbers])
        return super().pick(numbers)


class Parquet(Storage):
    """A data set of pyarrow: a folder of parquet files, whose row groups are the blocks."""

    def __init__(self, container: Any) -> None:
        # As in a data frame: what pandas wrote as an index is no column.
        named = set(index_columns(container.schema))
        self._names = [name for name in container.schema.names if name not in named]
        self._schema = container.schema
        self._groups: list[tuple[Any, int | None]] = []
        sizes: list[int] = []
        for file in container.get_fragments():
            # Of other formats a file is a block.
            lengths = [one.num_rows for one in getattr(file, "row_groups", [])]
            self._groups += [(file, k) for k in range(len(lengths))] or [(file, None)]
            sizes += lengths or [file.count_rows()]
            _let_go(file)
        self._edges = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        n = int(self._edges[-1])
        columns = self._columns(container.head(2))
        sample, self.names = columns_to_rows(columns), names_of_numbers(columns)
        super().__init__(container, (n, *sample.shape[1:]), sample.dtype)

    @property
    def edges(self) -> np.ndarray:
        """Where row groups begin."""
        return np.unique(self._edges)

    def _columns(self, table: Any) -> dict[str, Any]:
        return {name: arrow_column(table.column(name)) for name in self._names}

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive rows; each row group that they touch is read as a whole."""
        first = int(np.searchsorted(self._edges, start, side="right")) - 1
        parts = []
        while first < len(self._groups) and self._edges[first] < stop:
            begin = int(self._edges[first])
            file, group = self._groups[first]
            # A fragment would keep what its file says of every column and group.
            part = file if group is None else file.subset(row_group_ids=[group])
            table = part.to_table(schema=self._schema, columns=self._names, use_threads=False)
            _let_go(file)
            table = table.slice(max(0, start - begin), stop - max(start, begin))
            parts.append(columns_to_rows(self._columns(table)))
            first += 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def all(self) -> Any:
        """Return a data frame; one column of lists of numbers makes an array."""
        return self._as_frame(self.container.to_table())

    def head(self) -> Any:
        """Return two rows at most."""
        return self._as_frame(self.container.head(2))

    def _as_frame(self, table: Any) -> Any:
        if self.names == self._names:
            return table.to_pandas()
        return named_rows(columns_to_rows(self._columns(table)), self.names)


class HuggingFace(Storage):
    """A data set of Hugging Face that is read by number, its columns side by side."""

    def __init__(self, container: Any) -> None:
        self._numbers = container.with_format("numpy")
        kept = without_labels(self._numbers[:2], tells=True)
        columns = {name: np.asarray(values) for name, values in kept.items()}
        sample, self.names = columns_to_rows(columns), names_of_numbers(columns)
        super().__init__(container, (len(container), *sample.shape[1:]), sample.dtype)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive rows."""
        return columns_to_rows(without_labels(self._numbers[start:stop]))


class Items(Storage):
    """A map-style data set of torch, one item a row; of a tuple (x, y) the first counts."""

    def __init__(self, container: Any) -> None:
        if not len(container):
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        first = container[0]
        columns = columns_of_item(first)
        self._names = None if columns is None else list(columns)
        self.names = names_of_numbers(columns)
        sample = row_of_item(first, tells=True)
        super().__init__(container, (len(container), *sample.shape), sample.dtype)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return consecutive rows."""
        rows = [row_of_item(self.container[i], self._names) for i in range(start, stop)]
        for number, row in enumerate(rows, start):
            if row.shape != self.shape[1:]:
                raise ValueError(
                    f"X gives a row of shape {row.shape} at {number}, and of {self.shape[1:]} at "
                    "0; expected rows of one shape."
                )
        return np.stack(rows) if rows else np.empty((0, *self.shape[1:]), self.dtype)


def index_columns(schema: Any) -> list[str]:
    """Return the columns of a schema of pyarrow that pandas wrote as the index of its rows.

    Parameters
    ----------
    schema : pyarrow.Schema
    """
    written = (schema.pandas_metadata or {}).get("index_columns", [])
    # A range stands there as a dict, and has no column.
    return [name for name in written if isinstance(name, str) and name in schema.names]


def _let_go(file: Any) -> None:
    """Let a fragment of pyarrow forget what it knows of its file, as far as it can."""
    if hasattr(file, "clear_cached_metadata"):
        file.clear_cached_metadata()


def arrow_column(column: Any) -> np.ndarray:
    """Return a column of pyarrow as numbers: (n,), or (n, p) if its values are lists."""
    kind = str(column.type)
    if "list" not in kind:
        return column.to_numpy()
    from pyarrow.compute import call_function

    joined = column.combine_chunks()
    lengths = call_function("list_value_length", [joined])
    if lengths.null_count or len(lengths.unique()) > 1:
        raise ValueError(
            "X holds a column of lists of different lengths, or with gaps; expected lists of one "
            "length, which are rows of one shape."
        )
    flat = joined.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1) if len(column) else np.empty((0, 0))


def columns_to_rows(columns: Mapping[str, Any]) -> np.ndarray:
    """Return columns side by side as rows of numbers.

    Parameters
    ----------
    columns : mapping of str to array-like of shape (n,), or one of shape (n, ...)

    Returns
    -------
    rows : ndarray of shape (n, n_columns), or (n, ...) of the one column

    Raises
    ------
    ValueError
        If a column holds no numbers, or images stand beside others; the message names them.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    wrong = [name for name, array in arrays.items() if array.dtype.kind not in "biuf"]
    if wrong or not arrays:
        held = ", ".join(f"{name!r} ({arrays[name].dtype})" for name in wrong) or "no columns"
        raise ValueError(
            f"X holds {held}; expected columns of numbers in rows that are read in blocks: leave "
            "the others out, by remove_columns of a data set of Hugging Face or replace_schema of "
            "one of pyarrow."
        )
    values = list(arrays.values())
    images = [name for name, array in arrays.items() if array.ndim > 2]
    if images and len(arrays) > 1:
        others = ", ".join(repr(name) for name in arrays if name != images[0])
        shape = arrays[images[0]].shape[1:]
        raise ValueError(
            f"X holds {images[0]!r}, of shape {shape} a row, beside {others}; expected it alone or "
            "columns of numbers: leave out what is no part of the row, or stack images of one size "
            "as channels of one."
        )
    if len(values) == 1 and values[0].ndim > 1:
        return values[0]
    widths = [math.prod(array.shape[1:]) for array in values]
    flat = [array.reshape(len(array), n) for array, n in zip(values, widths, strict=True)]
    return np.column_stack(flat)


def without_labels(columns: Mapping[str, Any], *, tells: bool = False) -> dict[str, Any]:
    """Return columns of a data set of items by name, without labels, which are never rows.

    Parameters
    ----------
    columns : mapping
    tells : bool, default=False
        Whether to warn of columns that may be no labels: beside several others.

    Raises
    ------
    ValueError
        If there is nothing but labels.

    Warns
    -----
    MIWarning
    """
    kept = {name: values for name, values in columns.items() if str(name).lower() not in LABELS}
    left = [name for name in columns if name not in kept]
    if left and not kept:
        raise ValueError(
            f"X holds {', '.join(map(repr, left))}, which names labels, and no rows; rename it if "
            "it is no label."
        )
    if left and len(kept) > 1 and tells:
        warnings.warn(
            f"Rows of X are made of {', '.join(map(repr, kept))}; {', '.join(map(repr, left))} is "
            "left out, as its name is one of labels: rename it if it is none.",
            MIWarning,
            stacklevel=2,
        )
    return kept


def in_order(columns: Mapping[str, Any], names: Sequence[str] | None) -> Mapping[str, Any]:
    """Return the columns of an item or a batch in the order of the first one.

    Parameters
    ----------
    columns : mapping of str to object
    names : sequence of str or None
        Of the columns of the first one; None: as they come.

    Raises
    ------
    ValueError
        If there are others.
    """
    if names is None or list(columns) == list(names):
        return columns
    if set(columns) != set(names):
        raise ValueError(
            f"X gives an item of {list(columns)} after one of {list(names)}; expected the same "
            "names in each."
        )
    return {name: columns[name] for name in names}


def columns_of_item(item: Any) -> dict[str, np.ndarray] | None:
    """Return the columns of the one row that an item is, by name; None: it has no names.

    Parameters
    ----------
    item : object
        As of `row_of_item`.
    """
    part = _part_of_rows(item)
    if not isinstance(part, Mapping):
        return None
    return {name: np.asarray(value)[None] for name, value in without_labels(part).items()}


def names_of_numbers(columns: Mapping[str, np.ndarray] | None) -> list[str] | None:
    """Return the names of the numbers of rows that columns side by side make.

    Parameters
    ----------
    columns : mapping of str to array of shape (n,) or (n, ...), or None
        None: they have no names.

    Returns
    -------
    names : list of str or None
        Of a column of vectors ``name[0]``, ``name[1]``, ...; of one alone None.
    """
    if columns is None:
        return None
    values = list(columns.values())
    if len(values) == 1 and values[0].ndim > 1:
        return None
    return [
        name if column.ndim == 1 else f"{name}[{place}]"
        for name, column in columns.items()
        for place in range(math.prod(column.shape[1:]))
    ]


def named_rows(rows: np.ndarray, names: Sequence[str] | None) -> Any:
    """Return rows with the names of their numbers, if they have some.

    Parameters
    ----------
    rows : ndarray of shape (n, ...)
    names : sequence of str or None
    """
    if names is None or rows.ndim != 2 or len(names) != rows.shape[1]:
        return rows
    return pd.DataFrame(rows, columns=names, copy=False)  # type: ignore[arg-type]


def _part_of_rows(item: Any) -> Any:
    is_several = isinstance(item, tuple | list) and len(item) and _has_rows(item[0])
    return item[0] if is_several else item


def row_of_item(
    item: Any, names: Sequence[str] | None = None, *, tells: bool = False
) -> np.ndarray:
    """Return what an item of a data set says of rows: of (x, y) the first, of a dict its columns.

    Parameters
    ----------
    item : Tensor, array-like, tuple, or dict of numbers
        Labels of a dict are left out.
    names : sequence of str or None, default=None
        Order of the columns of a dict; None: as they come.
    tells : bool, default=False
        As of `without_labels`.
    """
    item = _part_of_rows(item)
    if isinstance(item, Mapping):
        kept = in_order(without_labels(item, tells=tells), names)
        return columns_to_rows({name: np.asarray(value)[None] for name, value in kept.items()})[0]
    try:
        return np.asarray(item.detach().cpu() if isinstance(item, Tensor) else item)
    except ValueError as error:
        kinds = ", ".join(type(part).__name__ for part in item)
        raise ValueError(
            f"X gives items of parts of different shapes ({kinds}); expected rows of numbers, or "
            "tuples of which the first part is the row."
        ) from error


def _has_rows(value: Any) -> bool:
    return len(getattr(value, "shape", ())) > 0 or isinstance(value, list | tuple | Mapping)


def package_of(X: Any) -> set[str]:
    """Return the packages that the class of an object and its bases come from, by name."""
    return {base.__module__.split(".")[0] for base in type(X).__mro__}


# Who reads what, told by the package of a class and a name of its own: nothing is imported.
READERS: dict[tuple[str, str], Callable[[Any], Storage]] = {
    ("zarr", "Array"): Sliced,
    ("h5py", "Dataset"): Sliced,
    ("dask", "Array"): Sliced,
    ("pyarrow", "Dataset"): Parquet,
    ("datasets", "Dataset"): HuggingFace,
}


def _reader_of(X: Any) -> Callable[[Any], Storage] | None:
    if isinstance(X, np.memmap):
        return Sliced
    for base in type(X).__mro__:
        found = READERS.get((base.__module__.split(".")[0], base.__name__))
        if found is not None:
            return found
    is_map = isinstance(X, Dataset) and not isinstance(X, IterableDataset)
    return Items if is_map and hasattr(X, "__len__") and "datasets" not in package_of(X) else None


def is_stored(X: Any) -> bool:
    """Return whether rows are stored in pieces that can be read by number.

    Parameters
    ----------
    X : object
        As the user passes it.
    """
    return _reader_of(X) is not None


def files_of(X: Any) -> list[str]:
    """Return the files and folders that hold rows, as far as what holds them tells.

    Parameters
    ----------
    X : object
        As the user passes it.
    """
    packages = package_of(X)
    if isinstance(X, list | tuple):
        return [file for one in X for file in files_of(one)]
    if "dask" in packages and hasattr(X, "dask"):
        return [file for task in X.dask.values() if is_stored(task) for file in files_of(task)]
    if "h5py" in packages:
        return [X.file.filename] if X else []
    if "zarr" in packages:
        root = getattr(X.store, "root", None) or getattr(X.store, "path", "")
        return [os.path.join(root, X.path)] if root else []
    if "pyarrow" in packages:
        return list(getattr(X, "files", []))
    while X is not None and not isinstance(X, np.memmap):
        # A view, or an array made of one.
        X = getattr(X, "base", None) if isinstance(X, np.ndarray) else None
    return [] if X is None or X.filename is None else [os.fspath(X.filename)]


def stored(X: Any, name: str = "X") -> Any:
    """Return rows that are stored in pieces as what is worked on; anything else unchanged.

    Parameters
    ----------
    X : object
        As the user passes it.
    name : str, default="X"
        Of the table, for messages.

    Returns
    -------
    rows : BlockSource, ndarray or data frame
        All rows in memory if they need up to 1 GiB as the numbers that are worked on.
    """
    reader = _reader_of(X)
    if reader is None:
        return X
    with _readable(name):
        storage = reader(X)
    if storage.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds values of type {storage.dtype}; expected numbers.")
    if is_large(storage.shape, storage.dtype):
        return BlockSource(storage, name)
    with _readable(name):
        return storage.all()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Say in one sentence that a file is closed or gone."""
    try:
        yield
    except (OSError, KeyError, RuntimeError, TypeError) as error:
        raise OSError(
            f"{name} cannot be read any more ({error}); keep its file open, unchanged and in its "
            "place until the call returns, and open it again if it was written anew."
        ) from error


def is_large(shape: Shape, dtype: Any) -> bool:
    """Return whether rows stay where they are stored: beyond 1 GiB as what is worked on.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype of numpy
    """
    return math.prod(shape) * _width(np.dtype(dtype)) > MOST_IN_MEMORY


def _width(dtype: np.dtype) -> int:
    """Return the bytes of a number as it is worked on."""
    return dtype.itemsize if dtype in (np.uint8, np.float32) else 8


class BlockSource(Source):
    """Rows that stay where they are stored.

    Parameters
    ----------
    storage : Storage
    name : str
        Of the table, for messages.

    Attributes
    ----------
    hashes : ndarray of uint64 of shape (n,) or None
        Of rows that a pass over them has hashed; see `sklearn_mi.rows.row_hashes`.
    as_numbers : callable or None
        Makes numbers of a block whose columns are read one by one.
    allow_nan : bool
        Whether numbers may be missing.
    """

    hashes: np.ndarray | None = None
    as_numbers: Callable[[np.ndarray], np.ndarray] | None = None
    allow_nan = False
    width: int | None = None

    def __init__(self, storage: Storage, name: str = "X") -> None:
        super().__init__(storage, by_batch=True)
        self.storage, self.name, self._edges = storage, name, storage.edges

    @property
    def shape(self) -> Shape:
        """Number of rows, then the shape of one, as numbers."""
        shape = self.storage.shape
        return shape if self.width is None else (shape[0], self.width)

    @property
    def dtype(self) -> str:
        """Name of the type of the numbers."""
        return "float64" if self.as_numbers is not None else str(self.storage.dtype)

    @property
    def edges(self) -> np.ndarray:
        """Where blocks begin, and the number of rows last."""
        return self._edges

    def __len__(self) -> int:
        return self.storage.shape[0]

    def checked(self, read: Callable[..., np.ndarray], *rows: Any) -> np.ndarray:
        """Return rows that a method of the storage reads, checked.

        Raises
        ------
        OSError
            If they cannot be read any more, such as from a file that was deleted.
        ValueError
            For infinity or NaN, where they may not be; the message names the row.
        """
        with _readable(self.name):
            block = read(*rows)
        try:
            assert_all_finite(block, allow_nan=self.allow_nan, input_name=self.name)
        except ValueError as error:
            wrong = np.isinf(block) if self.allow_nan else ~np.isfinite(block)
            place = int(wrong.reshape(len(block), -1).any(axis=1).argmax())
            numbers = rows[0] if len(rows) == 1 else np.arange(*rows)
            raise ValueError(f"{error} The first one is in row {numbers[place]}.") from error
        return block if self.as_numbers is None else self.as_numbers(block)

    def head(self) -> Any:
        """Return two rows at most, as the user would pass them, unchecked."""
        with _readable(self.name):
            return self.storage.head()

    def as_passed(self, start: int, stop: int) -> Any:
        """Return consecutive rows as the user would pass them, unchecked."""
        with _readable(self.name):
            return self.storage.as_passed(start, stop)

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            block = self.checked(self._consecutive, start, stop)
            return in_memory(block[::step] if step > 1 else block, copy=True)
        numbers, back = np.unique(np.asarray(rows), return_inverse=True)
        parts = [self._among(part) for part in self._by_block(numbers)]
        if not parts:
            return self.take(slice(0, 0))
        found = parts[0] if len(parts) == 1 else torch.cat(parts)
        return found if len(back) == len(numbers) and _increase(back) else found[back]

    def _consecutive(self, start: int, stop: int) -> np.ndarray:
        # Not every storage reads nothing.
        none = np.empty((0, *self.storage.shape[1:]), self.storage.dtype)
        return self.storage.read(start, stop) if start < stop else none

    def _by_block(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """Yield increasing row numbers, those of a block at a time."""
        places = np.unique(np.searchsorted(numbers, self._edges))
        for begin, end in zip(places[:-1], places[1:], strict=True):
            yield numbers[begin:end]

    def _among(self, numbers: np.ndarray) -> Tensor:
        """Return rows of one block by their increasing numbers."""
        return in_memory(self.checked(self.storage.pick, numbers), True)

    def blocks(self, index: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield flat rows, a block of the storage at a time; see `Source.blocks`."""
        numbers = np.arange(len(self)) if index is None else index
        for part in self._by_block(np.asarray(numbers)):
            block = self._among(part)
            yield block.reshape(len(block), -1).numpy()


def _increase(numbers: np.ndarray) -> bool:
    return bool((np.diff(numbers) > 0).all())
