"""The checked input of a fit or a score: rows, their partners, groups and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_mi.rows.checks import CheckedRows
from sklearn_mi.rows.lacking import usable_of
from sklearn_mi.rows.scaling import FrontLayer, Standardize
from sklearn_mi.rows.sources import ResidualSource, Source, as_source
from sklearn_mi.rows.streams import Stream

__all__ = ["Data"]


@dataclass(frozen=True)
class Data:
    """Checked rows, their partners in a second table, and what is known of each row.

    Attributes
    ----------
    first : CheckedRows
        Rows of ``X``.
    pair : CheckedRows or None
        Rows of ``X_pair``.
    groups, y : ndarray of shape (n,) or None
    confounds : CheckedRows or None
        Quantities whose linear part is taken out of both tables.
    present : ndarray of bool of shape (n, n_tables) or None
        Which rows have which tables; None: every row has all.
    stream : Stream or None
        Where later rows come from; ``first`` then holds the first ones alone.
    held : Data or None
        Rows that the user passed to be reported on; None: some of these rows are held out.
    """

    first: CheckedRows
    pair: CheckedRows | None = None
    groups: np.ndarray | None = None
    y: np.ndarray | None = None
    confounds: CheckedRows | None = None
    present: np.ndarray | None = None
    stream: Stream | None = None
    held: Data | None = None

    def __len__(self) -> int:
        return len(self.first)

    @property
    def sides(self) -> tuple[CheckedRows, CheckedRows | None]:
        """Rows of both tables."""
        return self.first, self.pair

    @property
    def usable(self) -> np.ndarray:
        """Rows that have two tables, all that there are or more, and so take part in a pair."""
        usable = usable_of(self.present)
        return np.arange(len(self)) if usable is None else usable

    def lacks_tables(self, index: np.ndarray | None) -> bool:
        """Return whether rows of an index lack one of several tables."""
        if self.present is None:
            return False
        return not self.present[slice(None) if index is None else index].all()

    def behind(self, layers: Sequence[Standardize | FrontLayer | None]) -> Data:
        """Return the same data; a row is what the first layer makes of it.

        Parameters
        ----------
        layers : sequence of Standardize, FrontLayer or None
            Of both tables.
        """
        sides = [
            side
            and side.of_kind(
                dataclasses.replace(
                    side.kind, row_shape=layer.row_shape(side.source.shape[1:], side.kind.row_shape)
                )
            )
            for side, layer in zip(self.sides, layers, strict=True)
            if layer is not None
        ]
        held = None if self.held is None else self.held.behind(layers)
        changed: dict[str, Any] = dict(zip(("first", "pair"), sides, strict=False))
        return dataclasses.replace(self, **changed, held=held)

    @property
    def on_disk(self) -> bool:
        """Whether rows of a table stay on disk, or are still to come."""
        sources = [side.source for side in self.sides if side is not None]
        return self.stream is not None or any(source.edges is not None for source in sources)

    def in_memory(self, index: np.ndarray) -> Data:
        """Return some rows as data of their own, in memory.

        Parameters
        ----------
        index : ndarray of int
            Increasing.
        """
        tables = {"first": self.first, "pair": self.pair, "confounds": self.confounds}
        read: dict[str, Any] = {
            name: dataclasses.replace(side, source=_in_memory(side.source, index))
            for name, side in tables.items()
            if side is not None
        }
        named = {"groups": self.groups, "y": self.y, "present": self.present}
        known = {name: values[index] for name, values in named.items() if values is not None}
        return dataclasses.replace(self, **read, **known)

    def windowed(self, window: int) -> Data:
        """Return each row with the rows before it in its group; see `CheckedRows.windowed`."""
        first = self.first.windowed(window, self.groups)
        return self if window == 1 else dataclasses.replace(self, first=first)


def _in_memory(source: Source, index: np.ndarray) -> Source:
    """Return rows of a source in memory."""
    if isinstance(source, ResidualSource):
        kept = _in_memory(source.source, index), _in_memory(source.confounds, index)
        return ResidualSource(*kept, source.layer)
    read = as_source(source.take(index))
    read.may_lack = source.may_lack
    return read
