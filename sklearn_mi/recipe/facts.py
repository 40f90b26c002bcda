"""What is known about the rows before anything is trained, and what was picked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn_mi._base import is_auto
from sklearn_mi.rows import Image, Kind, Recording, Table, Words

__all__ = ["EFFORTS", "Choice", "Facts"]

# Factors on the usual number of steps of ``fit``.
EFFORTS = {"quick": 0.5, "normal": 1.0, "thorough": 3.0}

NARROWEST_SPLIT = 8
WIDEST_ADDED = 256
REFERENCES_IN_GIB = 4.0

# Conditions of a default, besides the parameters that must be left open as well.
FITS = "all rows fit into memory as references"
NARROW = "a row is one of a narrow table"
COLOUR = "a row is an image of several channels"
RGB = "a row is an image of red, green and blue"
WHOLE = "this is a training of its own"
WIDE = "codes have at least 8 components"
SEVERAL = "there are more than two tables"
IN_PARTS = "codes may be scored part by part"
MUON = "the optimiser is Muon, by name or by default"
ROOMY = "an image has 24 pixels a side or more"
RECORDING = "a row is a recording"
WORDS = "a row is counts or weights of words"
MANY_COLUMNS = "a table of a pair has too many columns for its rows"
FRONT = "a front end makes features of a row"
BFLOAT16 = "this processor multiplies bfloat16 by itself"


@dataclass(frozen=True)
class Choice:
    """What was picked for a parameter left open, and why.

    Parameters
    ----------
    value : object
        A name, a number or a description that the parameter accepts.
    reason : str
    """

    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.value!r}: {self.reason}"


@dataclass(frozen=True)
class Facts:
    """What is known about the rows before anything is trained.

    Parameters
    ----------
    n_rows : int
        Number of rows to train on.
    kind : Kind
        What a row of the first table is.
    kind_pair : Kind or None
        What a row of the second table is, if there is one.
    batch_size : int
    is_mixed : bool
        Whether the table has numbers and columns of 0 and 1; see `sklearn_mi.rows.find_flags`.
    is_whole : bool
        Whether this is a whole training (``fit``), not one pass of many (``partial_fit``).
    optimizer : object
        As the user gave it.
    effort : str
        A key of `EFFORTS`.
    has_bfloat16 : bool
        Whether training runs on a processor with instructions for bfloat16.
    has_several : bool
        Whether the second table is several tables side by side.
    on_disk : bool
        Whether rows stay on disk or come one after the other, so none can be looked up.
    """

    n_rows: int
    kind: Kind
    kind_pair: Kind | None
    batch_size: int
    is_mixed: bool = False
    is_whole: bool = True
    optimizer: Any = "auto"
    effort: str = "normal"
    has_bfloat16: bool = False
    has_several: bool = False
    on_disk: bool = False

    @property
    def is_by_muon(self) -> bool:
        """Whether the user named Muon."""
        return isinstance(self.optimizer, str) and self.optimizer == "muon"

    @property
    def dense_gib(self) -> float:
        """Size of all rows as dense float32 numbers, in GiB."""
        return 4 * self.n_rows * self.kind.n_inputs / 2**30

    @property
    def has_many_columns(self) -> bool:
        """Whether a table of a pair has fewer than two rows a column."""
        tables = [kind for kind in (self.kind, self.kind_pair) if isinstance(kind, Table)]
        is_pair = self.kind_pair is not None and not self.has_several
        return is_pair and any(2 * table.n_inputs > self.n_rows for table in tables)

    @property
    def conditions(self) -> set[str]:
        """The conditions of defaults that these rows meet."""
        kind = self.kind
        holds = {
            FITS: not self.on_disk and self.dense_gib <= REFERENCES_IN_GIB,
            NARROW: isinstance(kind, Table) and kind.n_inputs <= WIDEST_ADDED,
            COLOUR: isinstance(kind, Image) and kind.n_channels > 1,
            RGB: isinstance(kind, Image) and kind.n_channels == 3,
            RECORDING: isinstance(kind, Recording) or isinstance(self.kind_pair, Recording),
            WORDS: isinstance(kind, Words),
            MANY_COLUMNS: self.has_many_columns,
            WHOLE: self.is_whole,
            MUON: is_auto(self.optimizer) or self.is_by_muon,
            ROOMY: isinstance(kind, Image) and min(kind.row_shape[:2]) >= 24,
            BFLOAT16: self.has_bfloat16,
        }
        return {condition for condition, is_met in holds.items() if is_met}

    @property
    def shape_choice(self) -> Choice | None:
        """How rows were read, if their shape alone does not decide it."""
        kinds = [kind for kind in (self.kind, self.kind_pair) if kind is not None and kind.reason]
        if not kinds:
            return None
        return Choice(self.kind.input_shape, "; ".join(kind.reason for kind in kinds))

    @property
    def words(self) -> dict[str, Any]:
        """The facts that reasons may name in braces."""
        is_rgb = isinstance(self.kind, Image) and self.kind.n_channels == 3
        return {
            "shape": self.kind.row_shape,
            "steps": self.kind.row_shape[0],
            "numbers": self.kind.n_inputs,
            "many": "rows are read in blocks"
            if self.on_disk
            else f"they are {self.dense_gib:.1f} GiB as dense numbers",
            "channels": "" if is_rgb else "; what needs red, green and blue is left out",
        }
