"""The frozen first layer: columns centred and divided, fitted on the training rows."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor, nn

from sklearn_mi.rows.checks import CheckedRows

__all__ = ["Standardize", "find_flags", "fit_standardize"]

FEWEST_FLAGS = 0.2

WIDEST_MIXED = 256


class Standardize(nn.Module):
    """The frozen first layer: ``(x - mean) / scale``.

    Parameters
    ----------
    mean, scale : ndarray
        Numbers that broadcast against a row.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: np.ndarray, scale: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return rows of shape (b, p) in float32, scaled in float64 to keep large offsets exact."""
        x = x.reshape(len(x), -1)
        if x.dtype == torch.uint8:
            # Bytes carry few digits: float32 is exact enough and much faster.
            return (x.float() - self.mean.float()) / self.scale.float()
        return ((x.double() - self.mean) / self.scale).float()


def find_flags(rows: CheckedRows, index: np.ndarray) -> np.ndarray | None:
    """Return which columns of a mixed table are flags, that is 0 or 1, such as encoded categories.

    Parameters
    ----------
    rows : CheckedRows
    index : ndarray of int
        The training rows; no others are looked at.

    Returns
    -------
    flags : ndarray of bool of shape (n_columns,), or None
        None if the table is not mixed: fewer than a fifth of the columns that vary are flags, or
        all of them are, or there are more than 256 columns, or they are bytes.
    """
    n_columns = rows.kind.n_inputs
    if not rows.kind.scales_columns or n_columns > WIDEST_MIXED or rows.source.is_bytes:
        return None
    flags, varies = np.ones(n_columns, bool), np.zeros(n_columns, bool)
    first = None
    for part in rows.source.blocks(index):
        first = part[0] if first is None else first
        flags &= ((part == 0) | (part == 1)).all(axis=0)
        varies |= (part != first).any(axis=0)
        if not flags.any():
            return None
    flags &= varies
    is_mixed = FEWEST_FLAGS * varies.sum() <= flags.sum() < varies.sum()
    return flags if is_mixed else None


def fit_standardize(
    rows: CheckedRows, index: np.ndarray, standardize: bool | str, name: str = "X"
) -> Standardize:
    """Return the frozen first layer, fitted on the rows of an index.

    Parameters
    ----------
    rows : CheckedRows
    index : ndarray of int
        The training rows; no others are looked at.
    standardize : bool or "auto"
        "auto": scale columns of tables, not images. In mixed tables flags stay unchanged and
        numbers are divided by their standard deviation. Bytes are divided by 255 unless True.
    name : str, default="X"
        Name of the table, for error messages.

    Returns
    -------
    scale : Standardize
    """
    is_bytes = rows.source.is_bytes
    wanted = rows.kind.scales_columns and not is_bytes if standardize == "auto" else standardize
    if not wanted:
        return Standardize(np.zeros(1), np.full(1, 255.0 if is_bytes else 1.0))
    limits, moments = MinMaxScaler(), StandardScaler()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in rows.source.blocks(index):
            limits.partial_fit(part.astype(np.float64))
    low, spread = np.asarray(limits.data_min_), np.asarray(limits.data_range_)
    if not np.isfinite(spread).all():
        columns = np.flatnonzero(~np.isfinite(spread)).tolist()
        raise ValueError(
            f"Columns {columns} of {name} span more than a float can hold; rescale them."
        )
    varies = spread > 0
    for part in rows.source.blocks(index):
        # Within [0, 1], so squares neither overflow nor underflow in any unit.
        unit = (part.astype(np.float64) - low)[:, varies] / spread[varies]
        moments.partial_fit(unit if varies.any() else part * 0.0)
    flags = find_flags(rows, index) if standardize == "auto" else None
    return _range_scale(low, spread, moments, flags)


def _range_scale(
    low: np.ndarray, spread: np.ndarray, moments: StandardScaler, flags: np.ndarray | None
) -> Standardize:
    """Return the layer that divides columns by their range, and all by one factor.

    Dividing by the standard deviation would let a pixel lit in one image in a thousand decide which
    rows are neighbours. The factor makes the mean variance one. A constant column is divided by
    infinity: nothing was learned about any other value. The range of a flag is little more than its
    deviation, so beside flags numbers divided by their range would hardly count. There numbers are
    divided by their deviation.
    """
    varies = spread > 0
    mean, scale = low.copy(), np.full(len(low), np.inf)
    if varies.any():
        mean[varies] += spread[varies] * np.asarray(moments.mean_)
        deviation = np.sqrt(np.asarray(moments.var_))
        if flags is None:
            factor = np.sqrt(np.mean(deviation**2))
        else:
            factor = np.where(flags[varies], 1.0, deviation)
        scale[varies] = spread[varies] * factor
    return Standardize(mean, scale)
