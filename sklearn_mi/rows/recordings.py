"""Recordings of any length as one tensor, whose last channel says what was observed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.types import infer_dtype
from torch import Tensor

from sklearn_mi._base import MIWarning, Shape
from sklearn_mi._checks import readable
from sklearn_mi._compat import _get_feature_names
from sklearn_mi.rows.columns import is_polars_frame, series_of
from sklearn_mi.rows.sources import Source, as_source
from sklearn_mi.rows.words import listed

__all__ = [
    "RecordingSource",
    "WindowSource",
    "channel_names",
    "gathered",
    "is_frame",
    "padded",
    "refuse_gaps",
]

# Windows of more numbers than this are cut out of their series batch by batch.
MOST_KEPT = 2**28
# More numbers than this, so many times as many as are observed: little but padding.
MOST_PADDED, PADDED_TIMES = 2**22, 10
# As pandas calls them; it would make numbers of them.
NO_NUMBERS = {"date", "datetime", "datetime64", "period", "time", "timedelta", "timedelta64"}


def gathered(X: Any, name: str = "X") -> Any:
    """Return a list of recordings as one array, and anything else unchanged.

    Parameters
    ----------
    X : object
        A list, a tuple or an array of objects is one of recordings if its first element has two
        axes, or if its elements are arrays of one axis and of unequal lengths. Recordings may be
        data frames of the same columns.
    name : str, default="X"
        For messages.

    Returns
    -------
    array : ndarray of shape (n, time, channels)
        Missing steps at the end are NaN. Recordings of one length keep their type.

    Warns
    -----
    MIWarning
        If one recording is so long that the array is little but padding.

    Raises
    ------
    ValueError, TypeError
        If a recording is empty or has other channels than the first, or if an element is no table
        of numbers.
    """
    if not _are_recordings(X):
        return X
    channel_names(X, name)
    parts = [_one(part, i, name) for i, part in enumerate(X)]
    n_channels, lengths = parts[0].shape[1], [len(part) for part in parts]
    for i, part in enumerate(parts):
        if part.shape[1] != n_channels:
            raise ValueError(
                f"{name}[{i}] has {part.shape[1]} channel{'s' * (part.shape[1] > 1)}, but "
                f"{name}[0] has {n_channels}; "
                "expected recordings of shape (time, channels) with equal channels."
            )
    if len(set(lengths)) == 1:
        return np.stack(parts)
    _warn_of_length(lengths, n_channels, name)
    narrow = all(part.dtype in (np.float32, np.float16, np.uint8) for part in parts)
    dtype = np.float32 if narrow else np.float64
    whole = np.full((len(parts), max(lengths), n_channels), np.nan, dtype)
    for row, part in zip(whole, parts, strict=True):
        row[: len(part)] = part
    return whole


def _warn_of_length(lengths: list[int], n_channels: int, name: str) -> None:
    """Warn of a recording to whose length most of the others are padded."""
    longest = max(lengths)
    padded, observed = len(lengths) * longest, sum(lengths)
    if padded * n_channels > MOST_PADDED and padded > PADDED_TIMES * observed:
        warnings.warn(
            f"{name}[{lengths.index(longest)}] has {longest} steps, to which all recordings are "
            f"padded, but half of them have {int(np.median(lengths))} or fewer; cut long ones by "
            "datasets.windows, or leave them out, as time and memory go with the longest.",
            MIWarning,
            stacklevel=2,
        )


def _are_recordings(X: Any) -> bool:
    """Whether the elements of a list have two axes, or are arrays of one axis, unequally long."""
    if not _is_list(X) or not len(X):
        return False
    shapes = [_shape(part) for part in X]
    if any(len(shape) == 2 for shape in shapes):
        return True
    are_arrays = all(hasattr(part, "shape") for part in X)
    return are_arrays and {len(shape) for shape in shapes} == {1} and len(set(shapes)) > 1


def is_frame(part: Any) -> bool:
    """Return whether something is a data frame of pandas or polars.

    Parameters
    ----------
    part : object
    """
    return isinstance(part, pd.DataFrame) or is_polars_frame(part)


def channel_names(X: Any, name: str = "X") -> tuple[str, ...] | None:
    """Return the names of the channels of a list of recordings.

    Parameters
    ----------
    X : object
        As in `gathered`.
    name : str, default="X"
        For messages.

    Returns
    -------
    names : tuple of str or None
        None if the recordings are no data frames, or their columns are numbered.

    Raises
    ------
    ValueError
        If two of the data frames have other columns, or the same in another order, or if only some
        of the recordings are data frames with names.
    """
    if not _is_list(X) or not any(map(is_frame, X)):
        return None
    names = [list(part.columns) if is_frame(part) else None for part in X]
    first = next(i for i, found in enumerate(names) if found is not None)
    known = _get_feature_names(X[first])
    if known is None:
        return None
    for i, found in enumerate(names):
        if found != names[first]:
            raise ValueError(_told_of_channels(f"{name}[{i}]", found, f"{name}[{first}]", known))
    return tuple(known)


def _told_of_channels(name: str, found: list[Any] | None, first: str, known: Any) -> str:
    known = list(known)
    if found is None:
        return (
            f"{name} is no data frame, but {first} is one; expected recordings of one kind, so "
            f"that channels can be told apart: pass data frames with columns {listed(known)}."
        )
    have = f"{name} has channels {listed(found)}, but {first} has {listed(known)}"
    cure = "drop or add columns"
    if sorted(map(str, found)) == sorted(known):
        cure = "bring them into one order, as recording[list(X[0].columns)] does"
    return f"{have}; expected the same channels in the same order: {cure}."


def _is_list(X: Any) -> bool:
    return isinstance(X, list | tuple) or (
        isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    )


def _shape(part: Any) -> Shape:
    """Return the shape of an array, or as much of a list's as its first elements tell."""
    if hasattr(part, "shape"):
        return tuple(part.shape)
    if not isinstance(part, list | tuple):
        return ()
    return (len(part), *_shape(part[0])) if part else (0,)


def _one(part: Any, i: int, name: str) -> np.ndarray:
    """Return one recording as an array of shape (time, channels)."""
    expected = "expected an array of numbers of shape (time, channels)"
    array: Any = readable(part)
    if is_frame(part):
        array = _numbers(part, f"{name}[{i}]")
    try:
        array = np.asarray(array)
        if array.dtype.kind == "c":
            raise TypeError("Complex data not supported: make channels of both parts")
        array = array if array.dtype.kind in "biuf" else array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}[{i}] holds what is no number ({error}); {expected}.") from error
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{name}[{i}] has shape {array.shape}; {expected}.")
    if not array.size:
        raise ValueError(f"{name}[{i}] is empty, of shape {array.shape}; leave it out.")
    return array


def _numbers(frame: Any, name: str) -> np.ndarray:
    """Return the numbers of a data frame, NaN where one is missing."""
    values = frame.to_numpy()
    if values.dtype.kind in "biuf":
        return values
    return np.column_stack([_column(column, name) for column in series_of(frame)])


def _column(values: pd.Series, name: str) -> np.ndarray:
    numbers: Any = pd.to_numeric(values, errors="coerce")
    is_number = numbers.notna() | values.isna()
    if infer_dtype(values, skipna=True) in {*NO_NUMBERS, "complex"}:
        is_number &= values.isna()
    strange: Any = values[~is_number]
    if len(strange):
        raise ValueError(
            f"{name} holds what is no number in column {values.name!r}, such as "
            f"{strange.iloc[0]!r}; expected an array of numbers of shape (time, "
            "channels): encode this column, or leave it out."
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)


def refuse_gaps(source: Source, name: str = "X", channels: Sequence[str] | None = None) -> None:
    """Reject recordings in which something is missing, except for whole steps at the end.

    Parameters
    ----------
    source : Source
        Of rows of shape (time, channels).
    name : str, default="X"
    channels : sequence of str or None, default=None
        Their names; None: they are numbered.

    Raises
    ------
    ValueError
        It names the recording, the step, and the cure.
    """
    n_channels, start = source.shape[2], 0
    if not math.prod(source.shape[1:]):
        raise ValueError(f"{name} has rows of shape {source.shape[1:]}, which hold no numbers.")
    for block in source.blocks():
        missing = np.isnan(block.reshape(len(block), -1, n_channels))
        _refuse_inner(missing, np.arange(start, start + len(block)), name, channels)
        start += len(block)


def _refuse_inner(
    missing: np.ndarray, numbers: np.ndarray, name: str, channels: Sequence[str] | None = None
) -> None:
    """Reject recordings of these numbers, of shape (b, time, channels), by what is missing."""
    lengths = _lengths(missing)
    if not lengths.all():
        row = numbers[np.flatnonzero(lengths == 0)[0]]
        raise ValueError(f"{name}[{row}] has no observed step, only NaN; leave it out.")
    inside = missing & (np.arange(missing.shape[1]) < lengths[:, None])[..., None]
    if inside.any():
        row, step, channel = (int(place[0]) for place in np.nonzero(inside))
        which = channel if channels is None else repr(channels[channel])
        raise ValueError(
            f"{name}[{numbers[row]}] is NaN at step {step} in channel {which}; expected "
            "numbers up to the last observed step: fill gaps first, as "
            "pandas.DataFrame.interpolate does. Only whole steps at the end may be NaN."
        )


def _lengths(missing: np.ndarray) -> np.ndarray:
    """Return the number of steps up to the last one of which anything is observed."""
    seen: np.ndarray = ~np.asarray(missing.all(axis=2))
    return np.where(seen.any(axis=1), seen.shape[1] - seen[:, ::-1].argmax(axis=1), 0)


class RecordingSource(Source):
    """Recordings with a last channel that is 1 at observed steps; all else is 0 at the others.

    Parameters
    ----------
    array : Source of shape (n, time, channels), or anything that `as_source` takes
        Whole steps at the end may be NaN.
    length : int, default=0
        Least number of steps; shorter recordings are padded.
    """

    def __init__(self, array: Any, length: int = 0) -> None:
        self._inner = as_source(array)
        super().__init__(None, by_batch=self._inner.by_batch)
        self._length = max(length, self._inner.shape[1])

    @property
    def shape(self) -> Shape:
        """Number of recordings, steps and channels, that of observed steps included."""
        n, _, n_channels = self._inner.shape
        return n, self._length, n_channels + 1

    @property
    def dtype(self) -> str:
        """Name of the type of the numbers, "float32" or "float64"."""
        return "float32" if self._inner.dtype in ("float32", "uint8") else "float64"

    @property
    def edges(self) -> np.ndarray | None:
        """Those of the recordings as they come."""
        return self._inner.edges

    def __len__(self) -> int:
        return len(self._inner)

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows; see `Source.take`."""
        values = self._inner.take(rows)
        values = values.to(getattr(torch, self.dtype))
        gone = values.isnan()
        if self.edges is not None and bool(gone.any()):
            # What stays on disk may have changed since it was checked.
            numbers = np.arange(len(self))[rows]
            _refuse_inner(gone.numpy(), numbers, self._inner.name)
        seen = ~gone[..., :1]
        made = torch.cat([values.where(~gone, 0.0), seen.to(values.dtype)], dim=2)
        missing = self._length - made.shape[1]
        return torch.nn.functional.pad(made, (0, 0, 0, missing)) if missing else made


class WindowSource(Source):
    """Each row of a table together with the rows before it, as a recording of some steps.

    Parameters
    ----------
    table : Source of shape (n, p)
        Rows in the order of time.
    window : int
        Steps of a recording; its last one is the row itself.
    groups : ndarray of shape (n,) or None
        The series of each row; a window does not reach into another one, and what it lacks counts
        as not observed.

    Attributes
    ----------
    longest : int
        Rows of the longest series.
    """

    def __init__(self, table: Source, window: int, groups: np.ndarray | None = None) -> None:
        n, n_columns = table.shape
        super().__init__(None, by_batch=n * window * n_columns > MOST_KEPT)
        self._table = table
        series = np.zeros(n, int) if groups is None else np.unique(groups, return_inverse=True)[1]
        # The rows of a series need not stand side by side.
        order = np.argsort(series, kind="stable")
        place = np.empty(n, int)
        place[order] = np.arange(n)
        begin = np.searchsorted(series[order], series)
        self._order, self._place, self._begin = order, place, begin
        self.longest = int(np.bincount(series).max())
        self._shape = (n, window, n_columns + 1)

    @property
    def shape(self) -> Shape:
        """Number of windows, steps and channels, that of observed steps included."""
        return self._shape

    @property
    def dtype(self) -> str:
        """Name of the type of the numbers of the table."""
        return self._table.dtype

    @property
    def edges(self) -> np.ndarray | None:
        """Those of the table, if each of its rows is read once or twice in a block."""
        return self._table.edges

    def __len__(self) -> int:
        return self._shape[0]

    def take(self, rows: np.ndarray | slice) -> Tensor:
        """Return some windows; see `Source.take`."""
        _, window, _ = self._shape
        places = self._place[rows][:, None] + np.arange(1 - window, 1)
        seen = places >= self._begin[rows][:, None]
        numbers, back = np.unique(self._order[places.clip(0)], return_inverse=True)
        values = self._table.take(numbers)[back.reshape(places.shape)]
        mask = torch.as_tensor(seen, dtype=values.dtype, device=values.device)[..., None]
        return torch.cat([values * mask, mask], dim=2)


def padded(
    X: Any, n_channels: int | None = None, length: int | None = None, name: str = "X"
) -> np.ndarray:
    """Return recordings with a last channel that is 1 at observed steps.

    Parameters
    ----------
    X : array-like of shape (n, time, channels), or list of arrays of shape (time, channels)
    n_channels : int or None, default=None
        The number that they must have.
    length : int or None, default=None
        Least number of steps of the result.
    name : str, default="X"

    Returns
    -------
    recordings : ndarray of shape (n, time, channels + 1)

    Raises
    ------
    ValueError
        For an empty recording, other channels, a gap; the message names the cure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.rows.recordings import padded
    >>> padded([np.ones((1, 2)), np.ones((3, 2))])[0]
    array([[1., 1., 1.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """
    array = np.asarray(gathered(X, name))
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has shape {array.shape}; expected recordings of shape (n, time, channels), or "
            "a list of arrays of shape (time, channels)."
        )
    check_channels(array.shape[1:], n_channels, name)
    source = as_source(array)
    refuse_gaps(source, name, channel_names(X, name))
    return RecordingSource(source, length or 0).take(slice(None)).numpy()


def check_channels(
    shape: Sequence[int], n_channels: int | None, name: str, channels: Sequence[str] | None = None
) -> None:
    """Reject recordings with another number of channels.

    Parameters
    ----------
    shape : sequence of int
        (time, channels).
    n_channels : int or None
        None: any number.
    name : str
    channels : sequence of str or None, default=None
        Their names in ``fit``.
    """
    if n_channels is not None and shape[1] != n_channels:
        told = f"{shape[1]} channel{'s' * (shape[1] > 1)}"
        named = "" if channels is None else f": {listed(list(channels))}"
        raise ValueError(
            f"{name} has recordings of {told}; expected {n_channels}, as in fit{named}."
        )
