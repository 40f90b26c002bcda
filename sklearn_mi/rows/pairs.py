"""Rows paired with rows of a second table, or of the same one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_mi._base import Shape
from sklearn_mi.rows.indexed import Rows

__all__ = ["AnyRows", "PairedRows", "PartnerRows"]


class PairedRows(Dataset):
    """Two tables whose rows belong together; a batch is a pair of batches."""

    lacks = False

    def __init__(self, first: Rows, second: Rows) -> None:
        self.first, self.second = first, second
        self.feature_names, self.owners = first.feature_names, first.owners
        self.device = first.device
        self.groups = first.groups

    @property
    def on_device(self) -> bool:
        """Whether both tables are on the device."""
        return self.first.on_device and self.second.on_device

    @property
    def edges(self) -> np.ndarray | None:
        """Those of the first table that stays on disk."""
        return self.second.edges if self.first.edges is None else self.first.edges

    @property
    def row_bytes(self) -> int:
        """Size of what stays on disk of a pair of rows."""
        return sum(rows.row_bytes for rows in (self.first, self.second) if rows.edges is not None)

    def load(self, ranges: Any) -> Any:
        """Return rows of both tables in memory; see `Rows.load`."""
        return self.first.load(ranges), self.second.load(ranges)

    def hold(self, loaded: Any) -> None:
        """Serve both tables from what `load` returned."""
        self.first.hold([one for one, _ in loaded])
        self.second.hold([other for _, other in loaded])

    @property
    def shape(self) -> Shape:
        """The shape of the first table."""
        return self.first.shape

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batches of both tables."""
        return self.first[numbers], self.second[numbers]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.first)


class PartnerRows(Dataset):
    """Rows with partners in the same table; every batch draws the partners anew.

    Parameters
    ----------
    rows : Rows
    partners : object
        ``partners.anchors`` are the numbers of the rows that have a partner,
        ``partners.draw(numbers, generator)`` are partners of rows.
    generator : torch.Generator
        On the device of the rows.
    """

    lacks = False

    def __init__(self, rows: Rows, partners: Any, generator: torch.Generator) -> None:
        self.rows, self.partners, self.generator = rows, partners, generator
        self.feature_names, self.owners = rows.feature_names, rows.owners
        self.device = rows.device
        self.anchors: Tensor = partners.anchors
        self.groups = None if rows.groups is None else rows.groups[self.anchors]

    @property
    def on_device(self) -> bool:
        """Whether the table is on the device."""
        return self.rows.on_device

    @property
    def edges(self) -> np.ndarray | None:
        """Where blocks of rows that stay on disk begin, among those that have a partner."""
        edges, anchors = self.rows.edges, self.anchors.cpu().numpy()
        return None if edges is None else np.unique(np.searchsorted(anchors, edges))

    @property
    def row_bytes(self) -> int:
        """Size of a row as it is taken from the source."""
        return self.rows.row_bytes

    def load(self, ranges: Any) -> Any:
        """Return the rows that some ranges span; their partners are among them, or on disk."""
        anchors = self.anchors.cpu().numpy()
        return self.rows.load(
            [(int(anchors[start]), int(anchors[stop - 1]) + 1) for start, stop in ranges]
        )

    def hold(self, loaded: Any) -> None:
        """Serve rows from what `load` returned."""
        self.rows.hold(loaded)

    @property
    def shape(self) -> Shape:
        """Number of rows that have a partner, then the shape of one."""
        return (len(self), *self.rows.shape[1:])

    def __len__(self) -> int:
        return len(self.anchors)

    def __getitem__(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batches of rows and of their partners."""
        rows = self.anchors[numbers]
        return self.rows[rows], self.rows[self.partners.draw(rows, self.generator)]


AnyRows = Rows | PairedRows | PartnerRows
