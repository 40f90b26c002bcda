"""Kinds of rows: one small frozen class each, and the rule that picks the kind of given rows.

A new kind needs a class here, in `KINDS`, and an entry in `sklearn_mi.recipe.ENTRIES`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sklearn_mi._base import Shape
from sklearn_mi.rows.columns import (
    Column,
    column_from_json,
    column_to_json,
    expanded_names,
    flags_of,
    owners_of,
)
from sklearn_mi.rows.sources import Source

__all__ = ["KINDS", "Image", "Kind", "Recording", "Schema", "Table", "Volume", "Words", "kind_of"]

# Under this many pixels a side a shift would change what an image shows.
NARROWEST_MOVED = 8
# A sparse table of fewer columns may hold encoded categories.
FEWEST_WORDS = 500


@dataclass(frozen=True)
class Kind:
    """What one row is.

    Attributes
    ----------
    entry : str
        The recipe's entry for rows of this kind.
    scales_columns : bool
        What ``standardize="auto"`` means: whether columns are centred and divided.
    is_sequence : bool
        Whether the view sees steps, the last channel of which says what was observed.
    source_shape : tuple of int
        Shape of a row as the user passes it.
    row_shape : tuple of int
        Shape of a row as the view sees it.
    reason : str
        Why this kind was picked, if the shape alone does not decide.
    """

    source_shape: Shape
    row_shape: Shape
    reason: str = ""

    entry: ClassVar[str]
    scales_columns: ClassVar[bool] = False
    is_sequence: ClassVar[bool] = False

    @property
    def n_inputs(self) -> int:
        """Numbers in a row as the view sees it."""
        return math.prod(self.row_shape)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The learner's parameter that names this kind."""
        return self.row_shape

    def to_json(self) -> dict[str, Any]:
        """Return what `kind_from_json` reads."""
        name = next(name for name, kind in KINDS.items() if kind is type(self))
        shapes = {"source_shape": list(self.source_shape), "row_shape": list(self.row_shape)}
        return {"kind": name, **shapes, "reason": self.reason}


@dataclass(frozen=True)
class Table(Kind):
    """A row of a table: separate quantities as columns, flat for the view."""

    scales_columns = True
    entry = "numbers"


@dataclass(frozen=True)
class Image(Kind):
    """An image of shape (height, width) or (height, width, channels)."""

    @property
    def n_channels(self) -> int:
        """Numbers in a pixel."""
        return (*self.row_shape, 1)[2]

    @property
    def entry(self) -> str:  # type: ignore[override]
        """The entry of colour images, of grey ones, or of tiny grey ones."""
        if self.n_channels > 1:
            return "colour image"
        return "grey image" if min(self.row_shape[:2]) >= NARROWEST_MOVED else "tiny grey image"


@dataclass(frozen=True)
class Volume(Kind):
    """A row with more axes than an image, used unchanged."""

    entry = "numbers"


@dataclass(frozen=True)
class Words(Kind):
    """A text as the counts or the weights of its words: wide, sparse and never negative."""

    entry = "words"


@dataclass(frozen=True)
class Recording(Kind):
    """A recording of shape (time, channels), of any length.

    The view sees shape (time, channels + 1), whose last channel is 1 where a step was observed; or,
    behind a front end, what that makes of it. The source has one axis if recordings are windows of
    a table.
    """

    @property
    def entry(self) -> str:  # type: ignore[override]
        """The entry of windows of a table, or of recordings."""
        return "windows of a series" if len(self.source_shape) == 1 else "recording"

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The learner's parameter that names this kind."""
        return None, self.n_channels

    @property
    def n_channels(self) -> int:
        """Quantities that were recorded."""
        return self.source_shape[-1]

    @property
    def is_sequence(self) -> bool:  # type: ignore[override]
        """Whether the view sees steps, not features that a front end made of them."""
        return len(self.row_shape) == 2


KINDS: dict[str, type[Kind]] = {
    "table": Table,
    "image": Image,
    "volume": Volume,
    "recording": Recording,
    "words": Words,
}


@dataclass(frozen=True)
class Schema:
    """What ``fit`` learns of a table; later rows must match it.

    Attributes
    ----------
    kind : Kind
    feature_names : tuple of str or None
        Names of the columns, or of the channels of recordings, if they have names.
    parts : tuple of Schema
        Those of the tables that stand side by side in it; empty: it is one table.
    columns : tuple of Column
        How each column becomes numbers; empty: a row holds numbers already.
    confounds : Schema or None
        That of the table whose linear part is taken out of this one.
    sets : tuple of tuple of int or None
        Sets of columns that a row may lack as a whole, since it has others; empty: all columns
        together, since it has other tables. None: a row lacks single values only.
    """

    kind: Kind
    feature_names: tuple[str, ...] | None = None
    parts: tuple[Schema, ...] = ()
    columns: tuple[Column, ...] = ()
    confounds: Schema | None = None
    sets: tuple[tuple[int, ...], ...] | None = None

    @classmethod
    def side_by_side(cls, parts: Sequence[Schema]) -> Schema:
        """Return the schema of several tables, their columns side by side."""
        shape = (sum(part.kind.n_inputs for part in parts),)
        named = any(part.feature_names for part in parts)
        names = tuple(name for part in parts for name in part.column_names) if named else None
        return cls(Table(shape, shape), names, tuple(parts), sets=())

    @property
    def row_shapes(self) -> tuple[Shape, ...]:
        """Shapes of a row of each table that stands in it."""
        return tuple(part.kind.row_shape for part in self.parts or (self,))

    @property
    def n_columns(self) -> int:
        """Columns of the table as it comes."""
        return len(self.columns) or self.kind.n_inputs

    @property
    def column_names(self) -> Sequence[str]:
        """Names of the numbers of a row, by default x0, x1, ..."""
        # Those of channels are no names of numbers.
        known = self.feature_names if len(self.kind.source_shape) == 1 else None
        return self.names_of_numbers(known or [f"x{i}" for i in range(self.n_columns)])

    def names_of_numbers(self, names: Sequence[str]) -> Sequence[str]:
        """Return names for the numbers of a row, given those of the columns."""
        return expanded_names(self.columns, names) if self.columns else names

    @property
    def owners(self) -> np.ndarray | None:
        """For each number of a row, the place of its column; None: each is its own."""
        return owners_of(self.columns) if self.columns else None

    def part(self, numbers: Sequence[int]) -> Schema:
        """Return the schema of a table that holds some of the numbers of a row.

        Columns of the table as it came, if the numbers are all those of some columns.
        """
        shape, names = (len(numbers),), self.feature_names
        whole_rows: Any = {"sets": None if self.sets is None else ()}
        if self.owners is None:
            kept = None if names is None else tuple(names[i] for i in numbers)
            return Schema(Table(shape, shape), kept, **whole_rows)
        asked = list(dict.fromkeys(self.owners[list(numbers)].tolist()))
        whole = np.concatenate([np.flatnonzero(self.owners == column) for column in asked])
        if whole.tolist() != list(numbers):
            return Schema(Table(shape, shape), **whole_rows)
        kept = None if names is None else tuple(names[column] for column in asked)
        columns = tuple(self.columns[column] for column in asked)
        return Schema(Table(shape, shape), kept, columns=columns, **whole_rows)

    @property
    def flags(self) -> np.ndarray | None:
        """Which numbers of a row belong to categories, if the table came with categories."""
        return flags_of(self.columns)

    @property
    def gaps(self) -> np.ndarray:
        """Which numbers of a row tell that a value of the table is missing."""
        if not self.columns:
            return np.zeros(self.kind.n_inputs, bool)
        return np.array([gap for column in self.columns for gap in column.gaps], bool)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        names = None if self.feature_names is None else list(self.feature_names)
        parts = [part.to_json() for part in self.parts]
        columns = [column_to_json(column) for column in self.columns]
        of_table = {"feature_names": names, "parts": parts, "columns": columns}
        of_table["sets"] = None if self.sets is None else [list(each) for each in self.sets]
        of_table["confounds"] = self.confounds and self.confounds.to_json()
        return {"kind": self.kind.to_json(), **of_table}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Schema:
        """Return what `to_json` wrote."""
        kind, names = dict(fields["kind"]), fields["feature_names"]
        made = KINDS[kind["kind"]](
            tuple(kind["source_shape"]), tuple(kind["row_shape"]), kind["reason"]
        )
        # The first files of this format have neither.
        parts = tuple(map(cls.from_json, fields.get("parts", ())))
        columns = tuple(map(column_from_json, fields.get("columns", ())))
        names = None if names is None else tuple(names)
        confounds = (known := fields.get("confounds")) and cls.from_json(known)
        sets = fields.get("sets")
        sets = None if sets is None else tuple(map(tuple, sets))
        return cls(made, names, parts, columns, confounds, sets)


def kind_of(source: Source, input_shape: Any, name: str = "X") -> Kind:
    """Return the kind of the rows of a source.

    ``input_shape`` decides if it is given; (None, channels) stands for recordings. Otherwise flat
    rows belong to a table, or are words if they are sparse, wide and never negative. Rows of three
    axes are images, and rows of more axes are volumes. Rows of two axes are grey images if they are
    bytes, or square with all values in [0, 1] or in [0, 255]. Any others are recordings of shape
    (time, channels), which must not be turned or zoomed.

    Parameters
    ----------
    source : Source
    input_shape : tuple of int or None
    name : str
        Of the table, for messages.

    Returns
    -------
    kind : Kind

    Raises
    ------
    ValueError
        For rows without numbers, images with channels first, a shape that rows do not fit.
    """
    shape = source.shape[1:]
    if not math.prod(shape):
        raise ValueError(f"{name} has rows of shape {shape}, which hold no numbers.")
    if _is_channels_first(shape):
        raise ValueError(
            f"{name} has shape (n, {', '.join(map(str, shape))}), which looks like images with "
            f"channels first; expected (n, height, width, channels): np.moveaxis({name}, 1, -1)."
        )
    if input_shape is None and _are_words(source):
        cure = f"input_shape={shape} makes it a table"
        return Words(shape, shape, f"{name} is sparse, wide and never negative, as texts; {cure}")
    if input_shape is None:
        return _grey_or_recording(source, name) if len(shape) == 2 else _of_shape(shape, shape)
    if isinstance(input_shape, Sequence) and len(input_shape) == 2 and input_shape[0] is None:
        return _recording(shape, f"input_shape={tuple(input_shape)}", input_shape[1], name)
    return _of_shape(shape, _checked(input_shape, shape, name))


def _recording(shape: Shape, why: str, n_channels: int | None = None, name: str = "X") -> Recording:
    """Return the kind of recordings of shape (time, channels)."""
    if len(shape) != 2 or n_channels not in (None, shape[1]):
        raise ValueError(
            f"{why}, but rows of {name} have shape {shape}; expected recordings of shape "
            f"(time, {n_channels}): pass {name}.reshape(len({name}), -1, {n_channels})."
        )
    told = f"{name} holds recordings of {shape[1]} channel{'s' * (shape[1] > 1)}: {why}"
    return Recording(shape, (shape[0], shape[1] + 1), told)


def _of_shape(source_shape: Shape, row_shape: Shape) -> Kind:
    """Return the kind of rows whose number of axes decides."""
    n_axes = len(row_shape)
    return (Table if n_axes == 1 else Image if n_axes < 4 else Volume)(source_shape, row_shape)


def _grey_or_recording(source: Source, name: str) -> Kind:
    """Return the kind of rows of two axes, grey images or recordings, and why."""
    shape: Shape = source.shape[1:]
    flat = (math.prod(shape),)
    is_image, why = _looks_grey(source, shape)
    if is_image:
        cure = f"input_shape={flat}" if name == "X" else f"{name}.reshape(-1, {flat[0]})"
        of_time = f", input_shape=(None, {shape[1]}) recordings" if name == "X" else ""
        return Image(shape, shape, f"{name} holds images: {why}; {cure} makes it a table{of_time}")
    cure = f"input_shape={shape}" if name == "X" else f"{name}[..., None]"
    return _recording(shape, f"{why}; {cure} makes it images", name=name)


def _are_words(source: Source) -> bool:
    """Return whether rows are counts or weights of words, by their storage and sign."""
    return source.is_sparse and source.shape[1] >= FEWEST_WORDS and source.value_range[0] >= 0


def _looks_grey(source: Source, shape: Shape) -> tuple[bool, str]:
    if source.is_bytes:
        return True, "rows of two axes are bytes"
    if shape[0] != shape[1]:
        return False, f"rows of shape {shape} are neither square nor bytes"
    low, high = source.value_range
    if not low <= high:
        return False, "steps at the end are missing"
    if low < 0 or high > 255:
        return False, f"rows are square, but values from {low:.3g} to {high:.3g} are no pixels"
    return True, f"rows are square, with all values in {'[0, 1]' if high <= 1 else '[0, 255]'}"


def _is_channels_first(shape: Shape) -> bool:
    """Whether rows are planes of grey or of colours, or few planes that are square."""
    if len(shape) != 3:
        return False
    first, second, last = shape
    return (first in (1, 3) and last > 4) or first < second == last


def _checked(input_shape: Any, source_shape: Shape, name: str) -> Shape:
    """Return ``input_shape`` as a tuple of integers that a row fits."""
    sizes = tuple(input_shape) if isinstance(input_shape, Sequence) else (input_shape,)
    if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise ValueError(
            f"input_shape={input_shape!r}; expected positive integers such as (28, 28)."
        )
    row_shape = tuple(int(size) for size in sizes)
    if math.prod(row_shape) != math.prod(source_shape):
        raise ValueError(
            f"input_shape={input_shape!r} has {math.prod(row_shape)} entries, but a row of {name} "
            f"has {math.prod(source_shape)}."
        )
    if _is_channels_first(row_shape):
        raise ValueError(
            f"input_shape={input_shape!r} looks like images with channels first; expected (height, "
            f"width, channels): pass np.moveaxis(X.reshape(-1, *{row_shape}), 1, -1), and no "
            "input_shape."
        )
    return row_shape
