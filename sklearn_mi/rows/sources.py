"""Read rows from where they are stored: in memory, on disk, a sparse matrix or a tensor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import gen_batches
from torch import Tensor

from sklearn_mi._base import Shape
from sklearn_mi._compat import _convert_to_numpy, get_namespace
from sklearn_mi.rows.moments import Limits

__all__ = [
    "ArraySource",
    "JoinedSource",
    "ResidualSource",
    "Source",
    "SparseSource",
    "TensorSource",
    "as_source",
    "in_memory",
]

BLOCK = 8192


class Source(ABC):
    """Rows where they are stored, read in parts.

    Parameters
    ----------
    array : object of shape (n, ...)
    by_batch : bool
        Whether rows are converted batch by batch, because all of them as dense numbers might not
        fit into memory.

    Attributes
    ----------
    may_lack : bool
        Whether numbers may be missing (NaN).
    name : str
        Of the table, for messages.
    limits : Limits or None
        Between what all training rows lay that a first pass has read.
    """

    may_lack, name = False, "X"
    limits: Limits | None = None

    def __init__(self, array: Any, *, by_batch: bool = False) -> None:
        self._array, self.by_batch = array, by_batch

    @property
    def shape(self) -> Shape:
        """Number of rows, then the shape of one."""
        return tuple(self._array.shape)

    @property
    def dtype(self) -> str:
        """Name of the type of the numbers, such as "float32"."""
        return str(self._array.dtype).rsplit(".", 1)[-1]

    @property
    def is_sparse(self) -> bool:
        """Whether most numbers are 0 and not stored."""
        return False

    @property
    def is_bytes(self) -> bool:
        """Whether the numbers are unsigned bytes."""
        return self.dtype == "uint8"

    @property
    def edges(self) -> np.ndarray | None:
        """Where the blocks of rows that stay on disk begin, and their number last.

        None: rows are in memory, or as good as that, and are read in any order.
        """
        return None

    def __len__(self) -> int:
        return self._array.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `take`."""
        return self.take(rows)

    @abstractmethod
    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows as dense numbers, in their own memory.

        Parameters
        ----------
        rows : ndarray of int or slice

        Returns
        -------
        batch : Tensor of shape (b, ...)
            Bytes and float32 unchanged, other numbers of numpy as float64.
        """

    def blocks(self, index: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield flat rows, some thousand at a time.

        Parameters
        ----------
        index : ndarray of int or None
            Rows to yield; None: all.

        Yields
        ------
        block : ndarray of shape (b, n_numbers)
        """
        for part in gen_batches(len(self) if index is None else len(index), BLOCK):
            block = self.take(part if index is None else index[part]).cpu()
            # numpy knows fewer types than torch.
            known = block.dtype in (torch.uint8, torch.float32, torch.float64)
            yield (block if known else block.double()).reshape(len(block), -1).numpy()

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """The smallest and the largest number, or NaN, from one pass at the first access."""
        low, high = np.inf, -np.inf
        for block in self.blocks():
            # Unlike Python's own, these keep what is not a number.
            low, high = np.minimum(low, block.min()), np.maximum(high, block.max())
        return float(low), float(high)


class ArraySource(Source):
    """An array of numpy."""

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        return in_memory(self._array[rows], copy=True if isinstance(rows, slice) else None)


class SparseSource(Source):
    """A sparse matrix in CSR format, made dense batch by batch."""

    @property
    def is_sparse(self) -> bool:
        """Whether most numbers are 0 and not stored."""
        return True

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """The smallest and the largest number, 0 included."""
        data = self._array.data
        return (min(0.0, float(data.min())), max(0.0, float(data.max()))) if len(data) else (0, 0)

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        return in_memory(self._array[rows].toarray())


class TensorSource(Source):
    """A tensor, whose batches stay on its device."""

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        return self._array[rows].clone() if isinstance(rows, slice) else self._array[rows]


class JoinedSource(Source):
    """Several tables of equally many rows, their columns side by side.

    Parameters
    ----------
    parts : sequence of Source
    """

    def __init__(self, parts: Sequence[Source]) -> None:
        super().__init__(None, by_batch=any(part.by_batch for part in parts))
        self.parts, self.may_lack = parts, any(part.may_lack for part in parts)

    @property
    def shape(self) -> Shape:
        """Number of rows, then that of all columns."""
        return len(self), sum(part.shape[1] for part in self.parts)

    @property
    def dtype(self) -> str:
        """Name of the type that holds the numbers of all tables."""
        return str(self.take(slice(0, 0)).dtype).rsplit(".", 1)[-1]

    @property
    def edges(self) -> np.ndarray | None:
        """Those of the first table that stays on disk."""
        return next((part.edges for part in self.parts if part.edges is not None), None)

    def __len__(self) -> int:
        return len(self.parts[0])

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        return torch.cat([part.take(rows) for part in self.parts], dim=1)


class ResidualSource(Source):
    """A table without the linear part of its confounds.

    Parameters
    ----------
    source, confounds : Source
        Rows of shape (p,) and of shape (q,).
    layer : callable
        ``layer(x, c)`` is what is left of rows; see `sklearn_mi.rows.confounds.Residual`.
    """

    def __init__(self, source: Source, confounds: Source, layer: Any) -> None:
        super().__init__(None, by_batch=source.by_batch)
        self.source, self.confounds, self.layer = source, confounds, layer
        self.may_lack = source.may_lack

    @property
    def shape(self) -> Shape:
        """Number of rows, then the number of columns."""
        return self.source.shape

    @property
    def dtype(self) -> str:
        """Always "float64"."""
        return "float64"

    @property
    def edges(self) -> np.ndarray | None:
        """Those of the table."""
        return self.source.edges

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        return self.layer(self.source.take(rows), self.confounds.take(rows))


def in_memory(batch: np.ndarray, copy: bool | None = None) -> Tensor:
    """Return a batch in a type that torch knows.

    Parameters
    ----------
    batch : ndarray
    copy : bool or None, default=None
        None: only where the type changes.
    """
    dtype = batch.dtype if batch.dtype in (np.uint8, np.float32) else np.float64
    return torch.from_numpy(np.array(batch, dtype=dtype, copy=copy))


def as_source(array: Any) -> Source:
    """Return the source of checked rows.

    Parameters
    ----------
    array : Source, ndarray, sparse matrix, Tensor or array of another namespace

    Returns
    -------
    source : Source
    """
    if isinstance(array, Source):
        return array
    if sparse.issparse(array):
        return SparseSource(array, by_batch=True)
    if isinstance(array, Tensor):
        return TensorSource(array)
    if not isinstance(array, np.ndarray):
        array = _convert_to_numpy(array, get_namespace(array)[0])
    return ArraySource(array)
