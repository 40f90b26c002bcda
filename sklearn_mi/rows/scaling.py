"""The frozen first layer: columns centred and divided, fitted on the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor, nn

from sklearn_mi._base import Shape
from sklearn_mi.rows.blocks import BlockSource
from sklearn_mi.rows.checks import CheckedRows
from sklearn_mi.rows.hashes import hashes_of
from sklearn_mi.rows.kinds import Recording, Words
from sklearn_mi.rows.moments import Moments
from sklearn_mi.rows.sources import JoinedSource, Source

__all__ = [
    "FrontLayer",
    "Standardize",
    "StandardizeSteps",
    "are_mixed",
    "find_flags",
    "fit_standardize",
]

FEWEST_FLAGS = 0.2
# From the mean, in scaled units: the squares of single precision end at 1e38.
FARTHEST = 1e15
# What single precision holds, with room for a difference.
FARTHEST_MEAN = 1e30

WIDEST_MIXED = 256
# Rows on disk of which copies are told: 8 bytes each stay in memory.
MOST_HASHED = 2**23
# Begins the names of what a front end knows, which may be those of anything.
OF_STATE = "of_"


class Standardize(nn.Module):
    """The frozen first layer: ``(x - mean) / scale``, and 0 where a number is missing.

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
        x = x.flatten(1)
        if x.dtype == torch.uint8:
            # Bytes carry few digits: float32 is exact enough and much faster.
            # A table of very small or very large numbers may have been fitted; bytes are neither.
            mean = self.mean.clamp(-FARTHEST_MEAN, FARTHEST_MEAN).float()
            return (x.float() - mean) / self.scale.clamp_min(1 / FARTHEST).float()
        scaled = _without_gaps((x.double() - self.mean) / self.scale)
        return scaled.clamp(-FARTHEST, FARTHEST).float()

    @property
    def is_identity(self) -> bool:
        """Whether rows come out as they are."""
        return bool((self.mean == 0).all() and (self.scale == 1).all())

    def row_shape(self, source_shape: Shape, row_shape: Shape) -> Shape:
        """Return the shape of a row for the view.

        Parameters
        ----------
        source_shape : tuple of int
            That of a row as it comes.
        row_shape : tuple of int
            What the kind of rows says.
        """
        return row_shape


def _without_gaps(x: Tensor) -> Tensor:
    """Return numbers with 0, the mean, in place of missing ones."""
    return x.masked_fill(x.isnan(), 0.0)


class StandardizeSteps(Standardize):
    """The frozen first layer of recordings: ``(x - mean) / scale`` in each channel.

    Steps that were not observed stay 0, and so does the channel that says so.

    Parameters
    ----------
    mean, scale : ndarray of shape (channels,)
    """

    is_identity = False  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """Return recordings of shape (b, time, channels + 1) in float32."""
        seen = x[..., -1:].float()
        values = _without_gaps((x[..., :-1].double() - self.mean) / self.scale).float()
        return torch.cat([values * seen, seen], dim=2)

    def row_shape(self, source_shape: Shape, row_shape: Shape) -> Shape:
        """Return the shape as it comes: recordings may be longer than in ``fit``."""
        return source_shape


class FrontLayer(nn.Module):
    """The frozen first layer with a front end behind it.

    Parameters
    ----------
    first : Standardize
    front_end : callable
        ``front_end(x, state)`` for scaled rows.
    state : dict of Tensor
        What its ``fit`` returned.
    last : Standardize
        Scales the features.
    """

    is_identity = False

    def __init__(
        self, first: Standardize, front_end: Any, state: Mapping[str, Tensor], last: Standardize
    ) -> None:
        super().__init__()
        self.first, self.front_end, self.last = first, front_end, last
        for name, tensor in state.items():
            # A dot would part the name of a module from that of its tensor.
            self.register_buffer(OF_STATE + name.replace(".", "/"), tensor)

    @property
    def mean(self) -> Tensor:
        """What is subtracted from a row before the front end."""
        return self.first.mean

    @property
    def scale(self) -> Tensor:
        """What a row is then divided by."""
        return self.first.scale

    @property
    def state(self) -> dict[str, Tensor]:
        """What the front end knows of the training rows."""
        own = self.named_buffers(recurse=False)
        return {name.removeprefix(OF_STATE).replace("/", "."): tensor for name, tensor in own}

    def forward(self, x: Tensor) -> Tensor:
        """Return what the front end makes of the scaled rows."""
        return self.last(self.front_end(self.first(x), self.state))

    def row_shape(self, source_shape: Shape, row_shape: Shape) -> Shape:
        """Return the shape that the front end gives for rows of such a shape."""
        zeros = torch.zeros(1, *source_shape, device=self.mean.device)
        return tuple(self(zeros).shape[1:])


def find_flags(rows: CheckedRows, index: np.ndarray) -> np.ndarray | None:
    """Return which columns of a mixed table are flags, that is 0 or 1, such as encoded categories.

    Of a table that came with categories, the columns that were made of them.

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
    if rows.schema.flags is not None:
        return rows.schema.flags
    n_columns = rows.kind.n_inputs
    if not rows.kind.scales_columns or n_columns > WIDEST_MIXED or rows.source.is_bytes:
        return None
    flags, varies = np.ones(n_columns, bool), np.zeros(n_columns, bool)
    first = None
    for part in rows.source.blocks(index):
        first = part[0] if first is None else first
        flags &= ((part == 0) | (part == 1) | np.isnan(part)).all(axis=0)
        varies |= ((part != first) & ~np.isnan(part)).any(axis=0)
        if not flags.any():
            return None
    varies &= ~rows.schema.gaps
    flags &= varies
    return flags if are_mixed(flags, varies) else None


def are_mixed(flags: np.ndarray, varies: np.ndarray) -> bool:
    """Return whether so many columns are flags that the table is one of numbers and categories.

    Parameters
    ----------
    flags, varies : ndarray of bool of shape (n_columns,)
        Which columns hold only 0 and 1, and which vary.
    """
    return bool(FEWEST_FLAGS * varies.sum() <= flags.sum() < varies.sum())


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
        Channels of recordings are centred and divided by their standard deviation over all steps.
    name : str, default="X"
        Name of the table, for error messages.

    Returns
    -------
    scale : Standardize
    """
    if isinstance(rows.kind, Recording):
        return _fit_steps(rows, index, name, wanted=bool(standardize))
    is_bytes = rows.source.is_bytes and not isinstance(rows.kind, Words)
    wanted = rows.kind.scales_columns and not is_bytes if standardize == "auto" else standardize
    if not wanted:
        return Standardize(np.zeros(1), np.full(1, 255.0 if is_bytes else 1.0))
    found = None if rows.source.edges is None else _one_pass(rows.source, index)
    if found is not None and found.are_exact:
        low, spread = _limits(found.low, found.high - found.low, name)
        varies = spread > 0
        unit = found.above_low[varies] / spread[varies]
        moments = unit, found.variance[varies] / spread[varies] ** 2
    else:
        low, spread, moments = _two_passes(rows.source, index, name)
    flags = find_flags(rows, index) if standardize == "auto" else None
    return _range_scale(low, spread, *moments, flags)


def _limits(low: np.ndarray, spread: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the least values and ranges, 0 of columns without a value."""
    is_empty = np.isnan(spread)
    low, spread = np.where(is_empty, 0.0, low), np.where(is_empty, 0.0, spread)
    if not np.isfinite(spread).all():
        columns = np.flatnonzero(~np.isfinite(spread)).tolist()
        raise ValueError(
            f"Columns {columns} of {name} span more than a float can hold; rescale them."
        )
    return low, spread


def _one_pass(source: Source, index: np.ndarray) -> Moments:
    """Return the moments of rows on disk; hash them on the way, and note between what they lie."""
    moments, begin = Moments(), 0
    keeps = isinstance(source, BlockSource) and len(source) <= MOST_HASHED
    hashes = np.zeros(len(source), np.uint64) if keeps else None
    for part in source.blocks(index):
        moments.add(part)
        if hashes is not None:
            hashes[index[begin : begin + len(part)]] = hashes_of(part)
        begin += len(part)
    if isinstance(source, BlockSource):
        source.hashes = hashes
    # What is left of confounds is rounded otherwise in other blocks.
    if isinstance(source, BlockSource | JoinedSource):
        source.limits = moments.limits(len(index))
    return moments


def _two_passes(
    source: Source, index: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the least values and ranges, and the moments in units of the range."""
    limits, moments = MinMaxScaler(), StandardScaler()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in source.blocks(index):
            limits.partial_fit(part.astype(np.float64))
    low, spread = _limits(np.asarray(limits.data_min_), np.asarray(limits.data_range_), name)
    varies = spread > 0
    for part in source.blocks(index):
        # Within [0, 1], so squares neither overflow nor underflow in any unit.
        unit = (part.astype(np.float64) - low)[:, varies] / spread[varies]
        moments.partial_fit(unit if varies.any() else part * 0.0)
    return low, spread, (np.asarray(moments.mean_), np.asarray(moments.var_))


def _fit_steps(
    rows: CheckedRows, index: np.ndarray, name: str, *, wanted: bool
) -> StandardizeSteps:
    """Return the layer that scales each channel by its moments over all observed steps."""
    n_channels = rows.kind.row_shape[-1] - 1
    if not wanted:
        return StandardizeSteps(np.zeros(n_channels), np.ones(n_channels))
    limits, mean, deviation = _of_steps(rows, index, 0.0, 1.0)
    low, spread = _limits(np.asarray(limits.data_min_), np.asarray(limits.data_range_), name)
    # By its range: rounding may give a constant channel a deviation.
    varies = spread > 0
    if not (np.isfinite(deviation) & ((deviation > 0) | ~varies)).all():
        # Squares have left what a float can hold: once more in units of the range.
        unit = np.where(varies, spread, 1.0)
        _, mean, deviation = _of_steps(rows, index, low, unit)
    return StandardizeSteps(mean, np.where(varies, deviation, np.inf))


def _of_steps(rows: CheckedRows, index: np.ndarray, low: Any, unit: Any) -> tuple[Any, Any, Any]:
    """Return limits, means and deviations of channels over observed steps, summed in a unit."""
    moments, limits = StandardScaler(), MinMaxScaler()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in rows.source.blocks(index):
            steps = part.reshape(-1, rows.kind.row_shape[-1]).astype(np.float64)
            seen = steps[steps[:, -1] == 1, :-1]
            limits.partial_fit(seen)
            moments.partial_fit((seen - low) / unit)
        mean, variance = np.asarray(moments.mean_), np.asarray(moments.var_)
    return limits, low + unit * mean, unit * np.sqrt(variance)


def _range_scale(
    low: np.ndarray,
    spread: np.ndarray,
    unit_mean: np.ndarray,
    unit_variance: np.ndarray,
    flags: np.ndarray | None,
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
        mean[varies] += spread[varies] * unit_mean
        deviation = np.sqrt(unit_variance)
        if flags is None:
            factor = np.sqrt(np.mean(deviation**2))
        else:
            factor = np.where(flags[varies], 1.0, deviation)
        scale[varies] = spread[varies] * factor
    return Standardize(mean, scale)
