"""Rows behind an index, as batches on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_mi._base import Shape
from sklearn_mi.rows.lacking import hide_lacking
from sklearn_mi.rows.sources import as_source

if TYPE_CHECKING:
    from sklearn_mi.rows.scaling import Standardize

__all__ = ["Rows"]

ROWS_AT_ONCE, NUMBERS_AT_ONCE = 8192, 2**26


class Loaded:
    """Rows of some ranges, in memory.

    Parameters
    ----------
    ranges : sequence of (start, stop)
        Numbers of the rows, increasing.
    values : Tensor of shape (n, ...)
        The rows of the ranges one after the other.
    """

    def __init__(self, ranges: Sequence[tuple[int, int]], values: Tensor) -> None:
        self._starts = np.array([start for start, _ in ranges])
        self._stops = np.array([stop for _, stop in ranges])
        self._begins = np.cumsum([0, *(self._stops - self._starts)[:-1]])
        self.values = values

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Return where rows stand among the values; -1: they are not here."""
        which = np.searchsorted(self._starts, numbers, side="right") - 1
        inside = (which >= 0) & (numbers < self._stops[which])
        return np.where(inside, self._begins[which] + numbers - self._starts[which], -1)


class Rows(Dataset):
    """Serve rows by index: ``rows[numbers]`` is a scaled float32 batch on the device.

    Data in memory are scaled and moved once. A memory map, a sparse matrix and bytes stay unchanged
    and are converted batch by batch.

    Parameters
    ----------
    source : Source, or anything of shape (n, ...) that `as_source` takes
    layer : Standardize
    device : torch.device
    row_shape : tuple of int
        Shape of a row for the view.
    index : ndarray of int or None
        Rows of the source to use, increasing; None: all.
    stream : bool
        Convert by batch although the data would fit.
    feature_names : sequence of str or None
    owners : ndarray of int or None
        For each number of a row, the place of its column; None: each is its own.
    groups : Tensor of int or None
        Groups of these rows, in their order.
    tables : list of ndarray of int or None
        Places of the numbers of each table that a row may lack: it then stays NaN.

    Attributes
    ----------
    lacks : bool
        Whether some of several tables are missing.
    """

    lacks = False

    def __init__(
        self,
        source: Any,
        layer: Standardize,
        device: torch.device,
        row_shape: Shape,
        *,
        index: np.ndarray | None = None,
        stream: bool = False,
        feature_names: Sequence[str] | None = None,
        owners: np.ndarray | None = None,
        groups: Tensor | None = None,
        tables: Sequence[np.ndarray] | None = None,
    ) -> None:
        self._layer, self.device, self._row_shape = layer, device, row_shape
        self.feature_names, self.owners, self.groups = feature_names, owners, groups
        self._tables = [torch.as_tensor(table, device=device) for table in tables or ()]
        self._source = as_source(source)
        self._index = np.arange(len(self._source)) if index is None else np.asarray(index)
        self._whole = len(self._index) == len(self._source)
        self._tensor: Tensor | None = None
        self._held: list[Loaded] = []
        self._unscaled = layer.is_identity and not self._source.may_lack
        # What a front end makes of rows is small, and takes time.
        if not stream and (self._is_narrower or not self._source.by_batch):
            self._keep_on_device()

    @property
    def _is_narrower(self) -> bool:
        """Whether a front end makes fewer numbers of a row."""
        return math.prod(self._row_shape) < math.prod(self._source.shape[1:])

    @property
    def _at_once(self) -> int:
        """Rows that are converted in one part."""
        return max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // math.prod(self._source.shape[1:])))

    def _keep_on_device(self) -> None:
        """Put all rows on the device: bytes unchanged, other numbers scaled."""
        source = self._source
        is_bytes = source.is_bytes and not self._is_narrower
        dtype = torch.uint8 if is_bytes else torch.float32
        # Filled in parts: gathering at the end would hold the rows twice.
        kept = torch.empty(self.shape, dtype=dtype, device=self.device)
        for part in gen_batches(len(self._index), self._at_once):
            batch = source.take(self._index[part])
            scaled = batch.reshape(-1, *self._row_shape) if is_bytes else self._scaled(batch)
            kept[part] = scaled
        self._tensor = kept

    def _scaled(self, batch: Tensor) -> Tensor:
        if self.device.type == "cuda" and batch.device.type == "cpu":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=self.device.type == "cuda")
        given = batch
        if not (self._unscaled and batch.dtype == torch.float32):
            batch = self._layer(batch)
        return hide_lacking(batch, given, self._tables).reshape(-1, *self._row_shape)

    @property
    def on_device(self) -> bool:
        """Whether all rows are on the device, where batches are cut out of them."""
        return self._tensor is not None

    @property
    def edges(self) -> np.ndarray | None:
        """Where blocks of rows that stay on disk begin, and their number last; else None."""
        edges = None if self.on_device else self._source.edges
        return None if edges is None else np.unique(np.searchsorted(self._index, edges))

    @property
    def row_bytes(self) -> int:
        """Size of a row as it is taken from the source."""
        width = {"uint8": 1, "float32": 4}.get(self._source.dtype, 8)
        return width * math.prod(self._source.shape[1:])

    def load(self, ranges: Sequence[tuple[int, int]]) -> Loaded | None:
        """Return rows of some ranges of numbers in memory, if they stay on disk.

        Parameters
        ----------
        ranges : sequence of (start, stop)
            Increasing.

        Raises
        ------
        ValueError
            If they cannot be those that the statistics were taken of.
        """
        if self.edges is None:
            return None
        values, begin, limits = torch.empty(0), 0, self._source.limits
        total = sum(stop - start for start, stop in ranges)
        for start, stop in ranges:
            part = self._source.take(self._index[start:stop])
            if limits is not None:
                flat = part.reshape(len(part), -1).numpy()
                limits.check(flat, self._index[start:stop], self._source.name)
            if not begin:
                values = torch.empty((total, *part.shape[1:]), dtype=part.dtype)
            values[begin : begin + len(part)] = part
            begin += len(part)
        return Loaded(ranges, values)

    def hold(self, loaded: Sequence[Loaded | None]) -> None:
        """Serve rows from what `load` returned, as far as they are there."""
        self._held = [one for one in loaded if one is not None]

    @property
    def shape(self) -> Shape:
        """Number of rows, then the shape of one."""
        return (len(self._index), *self._row_shape)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, numbers: Tensor | slice) -> Tensor:
        """Return the batch of these row numbers."""
        if self._held and not isinstance(numbers, slice):
            return self._scaled(self._from_held(numbers.cpu().numpy()))
        if self._tensor is None:
            return self._scaled(self._source.take(self._places(numbers)))
        batch = self._tensor[numbers]
        if batch.dtype == torch.uint8:
            return self._layer(batch).reshape(batch.shape)
        # A module may write into its batch.
        return batch.clone() if isinstance(numbers, slice) else batch

    def _from_held(self, numbers: np.ndarray) -> Tensor:
        """Return rows that are in memory, and from the disk those that are not."""
        first = self._held[0]
        batch = torch.empty((len(numbers), *first.values.shape[1:]), dtype=first.values.dtype)
        missing = np.ones(len(numbers), dtype=bool)
        for loaded in self._held:
            places = loaded.places(numbers)
            found = missing & (places >= 0)
            batch[torch.from_numpy(found)] = loaded.values[torch.from_numpy(places[found])]
            missing &= ~found
        if missing.any():
            batch[torch.from_numpy(missing)] = self._source.take(self._index[numbers[missing]])
        return batch

    def _places(self, numbers: Tensor | slice) -> np.ndarray | slice:
        """Return the positions of these rows in the source; consecutive rows form a slice."""
        if isinstance(numbers, slice):
            return numbers if self._whole else self._index[numbers]
        return self._index[numbers.cpu().numpy()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        parts = (self[part] for part in gen_batches(len(self), self._at_once))
        return np.concatenate([part.cpu().numpy() for part in parts])
