"""Tables that some rows lack as a whole: all of their values there are missing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sklearn_mi._base import MIWarning
from sklearn_mi.rows.columns import missing_of

if TYPE_CHECKING:
    from torch import Tensor

    from sklearn_mi.rows.checks import CheckedRows
    from sklearn_mi.rows.kinds import Schema

__all__ = [
    "check_common",
    "hide_lacking",
    "lacking_of",
    "present_in",
    "tables_in",
    "tables_of",
    "usable_of",
    "warn_of_lacking",
]

# Sets of columns of a table that a row may lack as a whole; none: all columns together.
Sets = tuple[tuple[int, ...], ...]


def lacking_of(X: Any, sets: Sets | None) -> np.ndarray | None:
    """Return which values of a table are missing because a row lacks their whole set of columns.

    Parameters
    ----------
    X : object
        A table as the user passes it.
    sets : tuple of tuple of int or None
        None: a row lacks single values only.

    Returns
    -------
    lacking : ndarray of bool of shape (n, n_columns) or None
        None: there are none.
    """
    columns = [] if sets is None else list(missing_of(X).values())
    if sets is None or not columns:
        return None
    missing = np.column_stack(columns)
    if not sets:
        absent = missing.all(axis=1, keepdims=True)
        return np.repeat(absent, missing.shape[1], axis=1) if absent.any() else None
    lacking, is_inside = np.ones_like(missing), np.zeros(missing.shape[1], bool)
    for columns in map(list, sets):
        # A column of several sets is there if one of them is.
        lacking[:, columns] &= missing[:, columns].all(axis=1, keepdims=True)
        is_inside[columns] = True
    lacking &= is_inside
    return lacking if lacking.any() else None


def tables_of(rows: CheckedRows) -> list[np.ndarray] | None:
    """Return the places in a row of the numbers of each table that a row may lack.

    Parameters
    ----------
    rows : CheckedRows
        One table, several side by side, or one that a view cuts into sets of columns.

    Returns
    -------
    tables : list of ndarray of int or None
        None: no row lacks a table.
    """
    if not rows.source.may_lack or len(rows.source.shape) != 2:
        return None
    return tables_in(rows.schema, rows.source.shape[1])


def tables_in(schema: Schema, width: int) -> list[np.ndarray] | None:
    """Return the places in a row of a width of the numbers of each table that it may lack.

    Parameters
    ----------
    schema : Schema
    width : int

    Returns
    -------
    tables : list of ndarray of int or None
        None: a row lacks single values only.
    """
    if schema.parts:
        ends = np.cumsum([part.kind.n_inputs for part in schema.parts])
        return np.split(np.arange(width), ends[:-1])
    if schema.sets is None:
        return None
    if not schema.sets:
        return [np.arange(width)]
    owners = np.arange(width) if schema.owners is None else schema.owners
    return [np.flatnonzero(np.isin(owners, columns)) for columns in schema.sets]


def present_in(sides: Sequence[CheckedRows | None]) -> np.ndarray | None:
    """Return which rows have which tables.

    Parameters
    ----------
    sides : sequence of CheckedRows or None

    Returns
    -------
    present : ndarray of bool of shape (n, n_tables) or None
        None: every row has every table.
    """
    found = []
    for side in sides:
        if side is None:
            continue
        tables = tables_of(side)
        if tables is None:
            found.append(
                np.ones((len(side), len(side.schema.parts or side.schema.sets or [0])), bool)
            )
            continue
        blocks = [
            np.column_stack([~np.isnan(block[:, table]).all(axis=1) for table in tables])
            for block in side.source.blocks()
        ]
        found.append(np.concatenate(blocks))
    present = np.hstack(found)
    return None if present.all() else present


def hide_lacking(
    rows: Tensor, given: Tensor, tables: Sequence[np.ndarray] | Sequence[Tensor]
) -> Tensor:
    """Return scaled rows that are NaN in the tables that they lack.

    Parameters
    ----------
    rows : Tensor of shape (b, d)
        What the first layer makes of ``given``; all of it if a front end makes other numbers.
    given : Tensor of shape (b, p)
        Numbers of a table that a row lacks are NaN.
    tables : sequence of array of int
        See `tables_in`.

    Returns
    -------
    rows : Tensor of shape (b, d)
    """
    for table in tables:
        places = table if rows.shape[1] == given.shape[1] else slice(None)
        belongs = torch.zeros(rows.shape[1], dtype=torch.bool, device=rows.device)
        belongs[places] = True
        gone = given[:, table].isnan().all(1, keepdim=True)
        rows = rows.masked_fill(gone & belongs, torch.nan)
    return rows


def usable_of(present: np.ndarray | None) -> np.ndarray | None:
    """Return the rows that have two tables, all that there are or more, and so take part in a pair.

    Parameters
    ----------
    present : ndarray of bool of shape (n, n_tables) or None

    Returns
    -------
    rows : ndarray of int or None
        None: all.
    """
    return None if present is None else np.flatnonzero(present.sum(axis=1) >= 2)


def check_common(present: np.ndarray | None, pairs: Sequence[tuple[int, int]]) -> None:
    """Refuse pairs of tables that have fewer than two rows in common.

    Parameters
    ----------
    present : ndarray of bool of shape (n, n_tables) or None
    pairs : sequence of tuple of two int
        Numbers of the tables that are compared, from 0, the one of ``X``.

    Raises
    ------
    ValueError
        If there is one.
    """
    if present is None:
        return
    for i, j in pairs:
        n = int((present[:, i] & present[:, j]).sum())
        if n < 2:
            raise ValueError(
                f"Tables {i} and {j} are compared, but {n} of {len(present)} rows have both (table "
                "0 is X, or the first set of columns); expected at least 2: pass more such rows, "
                "or compare other pairs, such as by comparison=Multiview(core=...)."
            )


def warn_of_lacking(rows: CheckedRows, name: str = "X") -> None:
    """Warn of rows that lack the table whose codes are asked for.

    Parameters
    ----------
    rows : CheckedRows
    name : str, default="X"
        Of the table, for the message.
    """
    present = present_in([rows])
    if present is not None:
        several = "a set of columns" if name == "X" else f"a table of {name}"
        what = several if present.shape[1] > 1 else name
        warnings.warn(
            f"{(~present).any(axis=1).sum()} of {len(present)} rows have no value in {what}, so "
            "their codes of it are NaN.",
            MIWarning,
            stacklevel=3,
        )
