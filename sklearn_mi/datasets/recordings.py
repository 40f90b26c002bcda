"""Recordings: out of a long data frame, windows of a long one, and simulated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_any_real_numeric_dtype, is_bool_dtype, is_string_dtype
from scipy.integrate import solve_ivp
from scipy.signal import lfilter

from sklearn_mi._base import a_number, positive_integer
from sklearn_mi._checks import check_values, readable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "Sequences",
    "Simulated",
    "Windows",
    "make_activities",
    "make_lorenz",
    "make_place_cells",
    "to_sequences",
    "windows",
]

LAP = 200  # steps from one end of the track to the other, on average
FIELD_WIDTH = 0.08
LEAST_RATE = 0.02
MEMORY = 0.95  # of the logarithm of the speed, from one step to the next
LORENZ = {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3}
# Means and deviations of the Lorenz system over a long time, rounded.
LORENZ_CENTRE, LORENZ_SCALE = np.array([0.0, 0.0, 23.5]), np.array([7.9, 9.0, 8.6])
BURN_IN = 20.0
# Mean cycles in 100 steps and amplitude of the activities.
ACTIVITIES = {"standing": (0.0, 0.0), "walking": (4.0, 1.0), "running": (7.0, 2.0)}
STROKES = "strokes"
N_CHANNELS = 6


class Sequences(NamedTuple):
    """Recordings out of a long data frame.

    Attributes
    ----------
    recordings : list of DataFrame of shape (time_i, channels)
        With the times as index.
    keys : ndarray of shape (n,)
        Which one each is.
    """

    recordings: list[pd.DataFrame]
    keys: np.ndarray


class Windows(NamedTuple):
    """Windows of one or several series.

    Attributes
    ----------
    windows : ndarray of shape (n, length, channels)
    groups : ndarray of shape (n,)
        Series of each window; zeros for one series.
    starts : ndarray of shape (n,)
        Row at which it starts.
    """

    windows: np.ndarray
    groups: np.ndarray
    starts: np.ndarray


class Simulated(NamedTuple):
    """Several recordings one after the other, and what drives them.

    Attributes
    ----------
    X : ndarray of shape (n_time, n_channels)
    y : ndarray of shape (n_time,) or (n_time, n_targets)
    groups : ndarray of shape (n_time,)
        Number of the recording of each row.
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray


def to_sequences(frame: Any, by: str, time: str, columns: Sequence[str] | None = None) -> Sequences:
    """Make recordings from a long data frame, which has a row for each step.

    Parameters
    ----------
    frame : DataFrame
        Of pandas or polars, its rows in any order.
    by : str
        Column that says to which recording a row belongs.
    time : str
        Column by which the steps of a recording are ordered: numbers or dates.
    columns : sequence of str or None, default=None
        Channels. None: all other columns.

    Returns
    -------
    sequences : Sequences
        ``recordings``, a list of data frames of pandas of shape (time_i, channels) with the times
        as index, and ``keys``, the value of ``by`` of each, in the order in which they first
        appear. A learner that is fitted to data frames knows the names of the channels.

    Raises
    ------
    TypeError
        If ``frame`` is no data frame.
    ValueError
        If it lacks a column, holds something other than finite numbers in a channel, or has two
        rows of one time in a recording; the message names the column and the cure.

    See Also
    --------
    windows : Recordings of equal length out of one long one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.datasets import to_sequences
    >>> frame = pd.DataFrame({
    ...     "subject": ["b", "a", "b", "b"], "t": [2, 0, 0, 1], "speed": [3.0, 9.0, 1.0, 2.0],
    ... })
    >>> recordings, keys = to_sequences(frame, by="subject", time="t")
    >>> list(keys), [recording["speed"].tolist() for recording in recordings]
    (['b', 'a'], [[1.0, 2.0, 3.0], [9.0]])
    """
    table = _as_pandas(frame)
    channels = _channels(table, by, time, columns)
    _check_order(table, by, time)
    _check_numbers(table, channels)
    narrow = all(table[name].dtype == np.float32 for name in channels)
    values = table[channels].to_numpy(dtype=np.float32 if narrow else np.float64)
    which, keys = pd.factorize(table[by])
    order = np.lexsort([table[time].rank(method="dense"), which])
    ordered = pd.DataFrame(
        values[order], columns=channels, index=pd.Index(table[time].iloc[order], name=time)
    )
    ends = np.cumsum(np.bincount(which, minlength=len(keys)))
    starts = [0, *ends[:-1]]
    parts = [ordered.iloc[start:end] for start, end in zip(starts, ends, strict=True)]
    return Sequences(parts, np.asarray(keys))


def _as_pandas(frame: Any) -> pd.DataFrame:
    from sklearn_mi.rows import is_polars_frame, listed  # which imports torch

    if is_polars_frame(frame):  # its own way to pandas needs pyarrow
        frame = pd.DataFrame({column.name: column.to_numpy() for column in frame.get_columns()})
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"frame is of type {type(frame).__name__}; expected a data frame of pandas or polars."
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique().tolist()
        raise ValueError(f"frame has several columns of one name: {listed(twice)}; rename them.")
    if not len(frame):
        raise ValueError("frame has no rows; expected one for each step of a recording.")
    return frame


def _channels(table: pd.DataFrame, by: str, time: str, columns: Sequence[str] | None) -> list[str]:
    """Return the names of the channels, after a look at all names."""
    from sklearn_mi.rows import listed  # which imports torch

    named: dict[str, list[Any]] = {"by": [by], "time": [time]}
    if columns is not None:
        named["columns"] = [columns] if isinstance(columns, str) else list(columns)
    for parameter, names in named.items():
        for name in names:
            if isinstance(name, list | dict | set) or name not in table.columns:
                raise ValueError(
                    f"{parameter}={name!r} is no column of frame; expected one of "
                    f"{listed(list(table.columns))}."
                )
    if by == time:
        raise ValueError(f"by={by!r} and time={time!r} are one column; expected two.")
    channels = named.get("columns", [name for name in table.columns if name not in (by, time)])
    if not channels or {by, time} & set(channels) or len(set(channels)) < len(channels):
        raise ValueError(
            f"columns={channels!r}; expected channels besides by={by!r} and time={time!r}, each "
            "once."
        )
    return channels


def _check_order(table: pd.DataFrame, by: str, time: str) -> None:
    """Reject a key or a time that is missing, a time that is text, and one that stands twice."""
    for name in (by, time):
        n_missing = sum(table[name].isna())
        if n_missing:
            raise ValueError(
                f"frame has missing values in column {name!r} ({n_missing} of {len(table)} rows): "
                "fill them, or drop these rows."
            )
    if is_string_dtype(table[time]) or table[time].dtype == object:
        raise ValueError(
            f"time={time!r} holds text or objects, such as {table[time].iloc[0]!r}; expected "
            f"numbers or dates: pandas.to_numeric(frame[{time!r}]), or pandas.to_datetime."
        )
    repeats = table.duplicated([by, time])
    if repeats.any():
        key, when = table.loc[repeats, [by, time]].iloc[0]
        raise ValueError(
            f"frame has several rows with {by} = {key!s} and {time} = {when!s}; expected one for "
            f"each step: average them, as frame.groupby([{by!r}, {time!r}]).mean() does, or drop "
            "some."
        )


def _check_numbers(table: pd.DataFrame, channels: list[str]) -> None:
    from sklearn_mi.rows import listed, told_of_values  # which imports torch

    others = [name for name in channels if not _holds_numbers(table[name])]
    if others:
        value = table[others[0]].iloc[0]
        raise ValueError(
            f"frame holds no numbers in columns {listed(others)}, such as {value!r}; encode them, "
            "such as by pandas.get_dummies, or name the channels by columns=."
        )
    missing = table[channels].isna().sum()
    counts = {name: int(n) for name, n in missing.items() if n}
    if counts:
        raise ValueError(
            f"frame has missing values in columns {listed(list(counts))} "
            f"({listed(list(counts.values()), '')} of {len(table)} rows): fill them within each "
            "recording, as interpolate of pandas does, or drop these rows."
        )
    values = table[channels].to_numpy(dtype=np.float64)
    infinite = dict(zip(channels, np.isinf(values).sum(axis=0).tolist(), strict=True))
    if any(infinite.values()):
        counts = {name: n for name, n in infinite.items() if n}
        raise ValueError(told_of_values("infinite", counts, "frame", len(table)))


def _holds_numbers(column: Any) -> bool:
    return is_any_real_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype)


def windows(X: ArrayLike, length: int, step: int = 1, groups: ArrayLike | None = None) -> Windows:
    """Cut one long recording, or several, into windows of equal length.

    Parameters
    ----------
    X : array-like of shape (n_time, n_channels) or (n_time,)
        Rows in the order of time.
    length : int
        Steps of a window.
    step : int, default=1
        Rows from the start of a window to that of the next one; ``length`` for windows that do not
        overlap. Rows at the end that fill no window are left out.
    groups : array-like of shape (n_time,) or None, default=None
        Recording of each row. No window reaches into another one; rows of a recording need not
        stand side by side.

    Returns
    -------
    windows : Windows
        ``windows`` of shape (n, length, n_channels), ``groups`` and ``starts``: the recording of
        each window, and the row of X at which it starts.

    Raises
    ------
    ValueError, TypeError
        If X is no series, if a number is no positive integer, or if a recording has fewer rows than
        ``length``.

    See Also
    --------
    to_sequences : Recordings out of a long data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.datasets import windows
    >>> found = windows(np.arange(7), length=3, step=2)
    >>> found.windows[..., 0].tolist(), found.starts.tolist()
    ([[0, 1, 2], [2, 3, 4], [4, 5, 6]], [0, 2, 4])
    """
    length, step = positive_integer("length", length), positive_integer("step", step)
    series = _series(X)
    if series.ndim not in (1, 2) or not series.size or series.dtype.kind not in "biuf":
        raise ValueError(
            f"X has shape {series.shape} and type {series.dtype}; expected one recording of "
            "numbers, (n_time, n_channels): stand several ones on top of each other by "
            "numpy.concatenate, and tell them apart by groups."
        )
    series = series.reshape(len(series), -1)
    which = np.zeros(len(series), int)
    if groups is not None:
        from sklearn_mi.rows import warn_of_labels  # which imports torch

        warn_of_labels(X, groups, "groups")
        which = check_values("groups", groups, len(series))
    rows = np.concatenate([_window_rows(which, key, length, step) for key in pd.unique(which)])
    return Windows(series[rows], which[rows[:, 0]], rows[:, 0])


def _series(X: Any) -> np.ndarray:
    """Return one recording as numbers, whole numbers and floats as they are."""
    if isinstance(X, list | tuple) and len({np.shape(row) for row in X}) > 1:
        raise ValueError(
            "X is a list of rows of unequal lengths; expected one recording of numbers, (n_time, "
            "n_channels): of several ones, windows of each."
        )
    series = np.asarray(readable(X))
    if series.dtype != object:
        return series
    try:
        return np.where(pd.isna(series), np.nan, series).astype(np.float64)
    except (TypeError, ValueError):
        return series


def _window_rows(which: np.ndarray, key: Any, length: int, step: int) -> np.ndarray:
    """Return the numbers of the rows of each window of one series."""
    rows = np.flatnonzero(which == key)
    if len(rows) < length:
        cure = "pass a smaller length, or leave this group out"
        raise ValueError(f"length={length}, but group {key!s} of X has {len(rows)} rows; {cure}.")
    return np.lib.stride_tricks.sliding_window_view(rows, length)[::step]


def make_place_cells(
    n_time: int = 6000,
    n_cells: int = 60,
    n_recordings: int = 3,
    *,
    peak_rate: float = 0.25,
    random_state: int | None = None,
) -> Simulated:
    r"""Simulate spike counts of place cells of an animal that runs up and down a track.

    The position p is between 0 and 1, and its speed changes from step to step. Counts of cell i
    are Poisson with mean

    .. math:: r_i(p) = 0.02 + a_i \exp\Bigl(-\frac{(p - c_i)^2}{2 w^2}\Bigr), \quad w = 0.08,

    with the centre of its field :math:`c_i`, spread evenly over the track, and :math:`a_i`
    exponential with mean ``peak_rate``. All recordings have the same cells.

    Parameters
    ----------
    n_time : int, default=6000
        Steps of all recordings together.
    n_cells : int, default=60
    n_recordings : int, default=3
    peak_rate : float, default=0.25
        Mean count of a step in the middle of a field.
    random_state : int or None, default=None
        Seed; equal seeds, equal data.

    Returns
    -------
    simulated : Simulated
        ``X``: counts, (n_time, n_cells); ``y``: positions, (n_time,); ``groups``: the recording of
        each row.

    Raises
    ------
    ValueError, TypeError
        If a number is not positive, or there are fewer steps than recordings.

    References
    ----------
    The hippocampus as a spatial map: Preliminary evidence from unit activity in the freely-moving
    rat (O'Keefe & Dostrovsky, 1971), Brain Research 34.

    Examples
    --------
    >>> from sklearn_mi.datasets import make_place_cells
    >>> X, y, groups = make_place_cells(random_state=0)
    >>> X.shape, y.shape, groups[[0, -1]].tolist()
    ((6000, 60), (6000,), [0, 2])
    """
    groups = _recordings(n_time, n_recordings)
    n_cells = positive_integer("n_cells", n_cells)
    peak_rate = a_number("peak_rate", peak_rate, "a positive number", lambda rate: rate > 0)
    rng = np.random.default_rng(random_state)
    centres = (rng.permutation(n_cells) + 0.5) / n_cells
    peaks = rng.exponential(peak_rate, n_cells)
    y = np.concatenate([_run(n, rng) for n in np.bincount(groups)])
    fields = np.exp(-(((y[:, None] - centres) / FIELD_WIDTH) ** 2) / 2)
    return Simulated(rng.poisson(LEAST_RATE + peaks * fields).astype(np.float64), y, groups)


def _run(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return positions of an animal that turns round at both ends."""
    noise = np.sqrt(1 - MEMORY**2) * rng.normal(size=n)
    logarithm: Any = lfilter([1.0], [1.0, -MEMORY], noise)
    speed = np.exp(0.5 * logarithm) / LAP
    way = rng.uniform(0, 2) + np.cumsum(speed)
    return np.abs((way + 1) % 2 - 1)


def _recordings(n_time: int, n_recordings: int) -> np.ndarray:
    """Return the recording of each row; their lengths differ by one step at most."""
    n_time = positive_integer("n_time", n_time)
    if positive_integer("n_recordings", n_recordings) > n_time:
        raise ValueError(f"n_recordings={n_recordings}; expected at most n_time={n_time}.")
    parts = np.array_split(np.arange(n_time), n_recordings)
    return np.repeat(np.arange(n_recordings), [len(part) for part in parts])


def make_lorenz(
    n_time: int = 6000,
    n_channels: int = 60,
    n_recordings: int = 3,
    *,
    dt: float = 0.02,
    noise: float = 3.0,
    random_state: int | None = None,
) -> Simulated:
    r"""Simulate noisy channels that mix the three states of the Lorenz system.

    .. math:: \dot u = 10 (v - u), \quad \dot v = u (28 - w) - v, \quad \dot w = u v - \tfrac83 w

    The states, brought to mean 0 and deviation 1, are mixed by one matrix of Gaussian numbers, so
    that each channel has variance 1 on average; Gaussian noise is added to every step. All
    recordings have the same mixture, and begin at states of their own.

    Parameters
    ----------
    n_time : int, default=6000
        Steps of all recordings together.
    n_channels : int, default=60
    n_recordings : int, default=3
    dt : float, default=0.02
        Time between steps.
    noise : float, default=3.0
        Standard deviation of the noise of a channel.
    random_state : int or None, default=None
        Seed; equal seeds, equal data.

    Returns
    -------
    simulated : Simulated
        ``X``: channels, (n_time, n_channels); ``y``: states u, v and w, (n_time, 3); ``groups``:
        the recording of each row.

    Raises
    ------
    ValueError, TypeError
        If a number is not positive (``noise`` may be 0), or there are fewer steps than recordings.

    References
    ----------
    Deterministic Nonperiodic Flow (Lorenz, 1963), Journal of the Atmospheric Sciences 20.

    Examples
    --------
    >>> from sklearn_mi.datasets import make_lorenz
    >>> X, y, groups = make_lorenz(300, random_state=0)
    >>> X.shape, y.shape, groups[[0, -1]].tolist()
    ((300, 60), (300, 3), [0, 2])
    """
    groups = _recordings(n_time, n_recordings)
    n_channels = positive_integer("n_channels", n_channels)
    dt = a_number("dt", dt, "a positive number", lambda step: step > 0)
    noise = a_number("noise", noise, "a number of at least 0", lambda deviation: deviation >= 0)
    rng = np.random.default_rng(random_state)
    mixture = rng.normal(size=(3, n_channels)) / np.sqrt(3)
    y = np.concatenate([_lorenz(n, dt, rng) for n in np.bincount(groups)])
    X = (y - LORENZ_CENTRE) / LORENZ_SCALE @ mixture
    return Simulated(X + noise * rng.normal(size=X.shape), y, groups)


def _lorenz(n: int, dt: float, rng: np.random.Generator) -> np.ndarray:
    """Return states at so many times, once the system has come to its attractor."""

    def flow(_: float, state: np.ndarray) -> list[float]:
        u, v, w = state
        turn = u * (LORENZ["rho"] - w) - v
        return [LORENZ["sigma"] * (v - u), turn, u * v - LORENZ["beta"] * w]

    times = BURN_IN + dt * np.arange(n)
    start = LORENZ_CENTRE + LORENZ_SCALE * rng.normal(size=3)
    solved = solve_ivp(flow, (0.0, times[-1]), start, t_eval=times, rtol=1e-6, atol=1e-8)
    return solved.y.T


def make_activities(
    n_samples: int = 200,
    n_steps: int = 100,
    *,
    unequal: bool = False,
    noise: float = 0.5,
    random_state: int | None = None,
) -> tuple[Any, np.ndarray]:
    """Simulate four activities in six channels, as sensors of motion record them.

    Standing is a constant posture; walking and running are about 4 and 7 cycles in 100 steps with
    an overtone, the latter twice as large; strokes are single bumps at random times. Phase, pace,
    strength and posture are drawn anew for each recording, so that no step has a meaning of its
    own. The mixture of the channels is one for each activity.

    Parameters
    ----------
    n_samples : int, default=200
        Recordings; activities come in turn.
    n_steps : int, default=100
        Steps of a recording.
    unequal : bool, default=False
        Whether recordings have unequal lengths, from half of ``n_steps`` (rounded up) to all.
    noise : float, default=0.5
        Standard deviation of the noise of a channel.
    random_state : int or None, default=None
        Seed; equal seeds, equal data.

    Returns
    -------
    X : ndarray of shape (n_samples, n_steps, 6), or list of arrays of shape (time_i, 6)
        A list if ``unequal``.
    y : ndarray of shape (n_samples,)
        Names of the activities.

    Raises
    ------
    ValueError, TypeError
        If a number is not positive; ``noise`` may be 0.

    Examples
    --------
    >>> from sklearn_mi.datasets import make_activities
    >>> X, y = make_activities(8, random_state=0)
    >>> X.shape, y[:4].tolist()
    ((8, 100, 6), ['standing', 'walking', 'running', 'strokes'])
    >>> [len(recording) for recording in make_activities(4, unequal=True, random_state=0)[0]]
    [51, 98, 80, 82]
    """
    n_samples, n_steps = (
        positive_integer("n_samples", n_samples),
        positive_integer("n_steps", n_steps),
    )
    noise = a_number("noise", noise, "a number of at least 0", lambda deviation: deviation >= 0)
    rng = np.random.default_rng(random_state)
    names = [*ACTIVITIES, STROKES]
    mixtures = rng.normal(size=(len(names), 2, N_CHANNELS))
    which = np.arange(n_samples) % len(names)
    X = [_activity(names[k], n_steps, rng) @ mixtures[k] for k in which]
    X = [x + rng.normal(0, 0.3, N_CHANNELS) + noise * rng.normal(size=x.shape) for x in X]
    if not unequal:
        return np.stack(X), np.array(names)[which]
    lengths = rng.integers(-(-n_steps // 2), n_steps + 1, size=n_samples)
    return [x[:length] for x, length in zip(X, lengths, strict=True)], np.array(names)[which]


def _activity(name: str, n_steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return two waves, of shape (n_steps, 2), that all channels mix."""
    at, strength, pace = np.arange(n_steps), rng.uniform(0.7, 1.3), rng.uniform(0.9, 1.1)
    if name == STROKES:
        centres = rng.uniform(0, n_steps, size=(max(1, n_steps // 25), 2))
        return 2 * strength * np.exp(-(((at[:, None, None] - centres) / 2) ** 2) / 2).sum(axis=1)
    cycles, size = ACTIVITIES[name]
    phase = 2 * np.pi * (cycles * pace * at / 100 + rng.uniform())
    return size * strength * np.stack([np.sin(phase), np.sin(2 * phase + 1) / 2], axis=1)
