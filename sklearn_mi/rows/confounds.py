"""Confounds: what a linear model of them tells of each column is taken out of the tables."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from sklearn_mi._base import MIWarning
from sklearn_mi.rows.checks import CheckedRows, from_torch, read_table
from sklearn_mi.rows.columns import MOST_LEVELS, Text, is_plain, missing_of, series_of, strange
from sklearn_mi.rows.data import Data
from sklearn_mi.rows.kinds import Schema, Table
from sklearn_mi.rows.sources import ResidualSource, Source
from sklearn_mi.rows.words import told_of_values

__all__ = ["Residual", "fit_confounds", "read_confounds", "residual_rows", "without_confounds"]

# Of what is left of a column, relative to the column: rounding, which scaling would blow up.
ROUNDING = 1e-12
# Smallest share of the variance of confounds that a combination of them has for itself.
OWN_SHARE = 1e-10


class Residual(nn.Module):
    """The frozen linear part of confounds in a table: ``x - (1, (c - mean) / scale) @ weights``.

    Parameters
    ----------
    mean, scale : ndarray of shape (q,)
        Of the confounds.
    weights : ndarray of shape (1 + q, p)
    varies : ndarray of bool of shape (p,)
        False where confounds tell the whole column, of which 0 is left.
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    varies: Tensor

    def __init__(
        self, mean: np.ndarray, scale: np.ndarray, weights: np.ndarray, varies: np.ndarray
    ) -> None:
        super().__init__()
        for name, numbers in {"mean": mean, "scale": scale, "weights": weights}.items():
            self.register_buffer(name, torch.as_tensor(numbers, dtype=torch.float64))
        self.register_buffer("varies", torch.as_tensor(varies, dtype=torch.bool))

    def forward(self, x: Tensor, confounds: Tensor) -> Tensor:
        """Return what is left of rows of shape (b, p), in float64."""
        device = x.device
        c = (confounds.to(device).double() - self.mean.to(device)) / self.scale.to(device)
        explained = torch.cat([c.new_ones(len(c), 1), c], dim=1) @ self.weights.to(device)
        left = x.reshape(len(x), -1).double() - explained
        return left.masked_fill(~self.varies.to(device) & ~left.isnan(), 0.0)


def read_confounds(
    confounds: Any, known: Schema | None, n_rows: int, estimator: str, *, is_fit: bool = False
) -> CheckedRows | None:
    """Check a table of confounds, one row for each row of ``X``.

    Parameters
    ----------
    confounds : array-like or data frame of shape (n, q) or (n,), or None
    known : Schema or None
        What ``fit`` learned of it; None: ``fit`` had none.
    n_rows : int
    estimator : str
        Its name, for error messages.
    is_fit : bool, default=False
        Whether this is a new ``fit``.

    Returns
    -------
    rows : CheckedRows or None

    Raises
    ------
    ValueError
        If they are missing, unknown to ``fit``, no table, of another length, or have gaps.
    """
    if confounds is None:
        if known is not None:
            raise ValueError("fit was given confounds; pass confounds= of these rows.")
        return None
    if known is None and not is_fit:
        raise ValueError(
            f"confounds is given, but {estimator} was fitted without; fit with confounds=..., or "
            "leave it out."
        )
    table = _as_table(confounds)
    rows = read_table(table, known, "confounds", estimator)
    if not isinstance(rows.kind, Table):
        raise ValueError(
            f"confounds has rows of shape {rows.kind.source_shape}; expected a table (n, q)."
        )
    if len(rows) != n_rows:
        raise ValueError(
            f"X has {n_rows} rows, but confounds has {len(rows)}; expected one row for each."
        )
    _refuse_gaps(table)
    _check_levels(table, rows.schema, is_fit=known is None)
    return rows


def _check_levels(table: Any, schema: Schema, *, is_fit: bool) -> None:
    """Refuse a column of too many levels in ``fit``, and warn of new levels later."""
    for column, values in zip(schema.columns, series_of(table), strict=False):
        if is_fit and isinstance(column, Text):
            raise ValueError(
                f"confounds has {values.nunique()} levels in column {values.name!r}; expected at "
                f"most {MOST_LEVELS}: group them, or pass a column for each by pandas.get_dummies."
            )
        found = [] if is_fit else strange(column, values)
        if found:
            warnings.warn(
                f"confounds holds {found[0]!r} in column {values.name!r}, which fit did not see; "
                "what it tells of these rows stays in.",
                MIWarning,
                stacklevel=2,
            )


def _as_table(confounds: Any) -> Any:
    """Return one column as a table."""
    if isinstance(confounds, pd.Series):
        return confounds.to_frame(confounds.name or "confound")
    if isinstance(confounds, np.memmap | torch.Tensor | list | tuple):
        try:
            confounds = np.asarray(from_torch(confounds))
        except ValueError as error:
            raise ValueError(
                f"confounds has rows of unequal lengths, or lists in place of values ({error}); "
                "expected a table (n, q)."
            ) from error
    if issparse(confounds):
        confounds = confounds.toarray()
    return confounds[:, None] if len(np.shape(confounds)) == 1 else confounds


def _refuse_gaps(table: Any) -> None:
    if is_plain(table):
        return
    missing = {name: int(gaps.sum()) for name, gaps in missing_of(table).items()}
    counts = {name: n for name, n in missing.items() if n}
    if counts:
        raise ValueError(told_of_values("missing", counts, "confounds", len(table)))


def fit_confounds(data: Data, index: np.ndarray) -> list[Residual]:
    """Return the linear part of the confounds in each table, by least squares.

    Parameters
    ----------
    data : Data
    index : ndarray of int
        The training rows; no others are looked at.

    Returns
    -------
    layers : list of Residual
        One for each table; none without confounds.

    Raises
    ------
    ValueError
        For rows that are no tables or sparse, or for as many confounds as rows.
    """
    if data.confounds is None:
        return []
    confounds = data.confounds.source
    n_numbers = confounds.shape[1]
    if len(index) <= n_numbers + 1:
        raise ValueError(
            f"confounds makes {n_numbers} numbers of a row, and there are {len(index)} training "
            "rows, which they would tell completely; pass fewer columns or more rows."
        )
    for side, name in zip(data.sides, ("X", "X_pair"), strict=True):
        if side is not None:
            _check_side(side, name)
    moments = StandardScaler()
    with np.errstate(over="ignore", invalid="ignore"):
        for block in confounds.blocks(index):
            moments.partial_fit(block.astype(np.float64))
    scaling = np.asarray(moments.mean_), np.asarray(moments.scale_)
    if not (np.isfinite(scaling[0]) & np.isfinite(scaling[1])).all():
        columns = np.flatnonzero(~(np.isfinite(scaling[0]) & np.isfinite(scaling[1]))).tolist()
        raise ValueError(
            f"Columns {columns} of confounds span more than a float can hold; rescale them."
        )
    return [_fitted(side.source, confounds, index, *scaling) for side in data.sides if side]


def _check_side(side: CheckedRows, name: str) -> None:
    """Refuse rows that no column-wise model can take."""
    if side.source.is_sparse:
        raise ValueError(
            f"confounds would make the sparse {name} dense; pass {name}.toarray() if it fits into "
            "memory, or leave confounds=None."
        )
    if not isinstance(side.kind, Table):
        raise ValueError(
            f"confounds are taken out of columns of tables, but rows of {name} have shape "
            f"{side.kind.row_shape}; take them out of features of these rows, or leave "
            "confounds=None."
        )


def _fitted(
    source: Source, confounds: Source, index: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> Residual:
    """Return the least-squares fit of each column, on the rows where it is not missing."""
    p, q = source.shape[1], 1 + len(mean)
    gram, right, square = np.zeros((p, q * q)), np.zeros((p, q)), np.zeros(p)
    begin = 0
    for block in source.blocks(index):
        # Blocks of what is on disk are its own.
        c = confounds.take(index[begin : begin + len(block)]).numpy()
        begin += len(block)
        design = np.column_stack([np.ones(len(c)), (c - mean) / scale])
        x = np.nan_to_num(block.astype(np.float64))
        products = (design[:, :, None] * design[:, None]).reshape(len(c), -1)
        gram += (~np.isnan(block)).T.astype(np.float64) @ products
        right += x.T @ design
        with np.errstate(over="ignore"):
            square += (x**2).sum(axis=0)
    if not np.isfinite(square).all():
        columns = np.flatnonzero(~np.isfinite(square)).tolist()
        raise ValueError(f"Columns {columns} of a table are too large for confounds; rescale them.")
    # Columns without gaps share one matrix.
    distinct, which = np.unique(gram, axis=0, return_inverse=True)
    inverse = np.linalg.pinv(distinct.reshape(-1, q, q), rcond=OWN_SHARE, hermitian=True)
    weights = (inverse[which.reshape(-1)] @ right[:, :, None])[..., 0].T
    layer = Residual(mean, scale, weights, np.ones(p, bool))
    left = np.zeros(p)
    for block in ResidualSource(source, confounds, layer).blocks(index):
        left += np.nan_to_num(block**2).sum(axis=0)
    digits = np.finfo(np.float32).eps if source.dtype in ("float32", "float16") else 0.0
    varies = left > (ROUNDING + 4 * digits) ** 2 * square
    return Residual(mean, scale, weights, varies)


def without_confounds(data: Data, layers: Iterable[nn.Module]) -> Data:
    """Return tables without the linear part of their confounds.

    Parameters
    ----------
    data : Data
    layers : iterable of Residual
        One for each table; none: the tables come back as they are.

    Returns
    -------
    data : Data
    """
    each = list(layers)
    if data.confounds is None or not each:
        return data
    sides = [
        side and _residual(side, data.confounds, layer)
        for side, layer in zip(data.sides, [*each, None][:2], strict=True)
    ]
    return dataclasses.replace(data, first=sides[0], pair=sides[1])


def residual_rows(
    rows: CheckedRows, confounds: Any, layers: Iterable[nn.Module], place: int, estimator: str
) -> CheckedRows:
    """Return new rows of one table without the linear part of their confounds.

    Parameters
    ----------
    rows : CheckedRows
    confounds : array-like or None
        As the user passes them.
    layers : iterable of Residual
    place : int
        Which table it is.
    estimator : str
        Its name, for error messages.

    Returns
    -------
    rows : CheckedRows

    Raises
    ------
    ValueError
        As of `read_confounds`.
    """
    checked = read_confounds(confounds, rows.schema.confounds, len(rows), estimator)
    return rows if checked is None else _residual(rows, checked, list(layers)[place])


def _residual(rows: CheckedRows, confounds: CheckedRows, layer: Any) -> CheckedRows:
    source = ResidualSource(rows.source, confounds.source, layer)
    schema = dataclasses.replace(rows.schema, confounds=confounds.schema)
    return dataclasses.replace(rows, source=source, schema=schema)
