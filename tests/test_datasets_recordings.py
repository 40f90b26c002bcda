"""Data sets of recordings: out of long tables, windows, and simulated ones."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_mi import datasets
from sklearn_mi.datasets import (
    make_activities,
    make_lorenz,
    make_place_cells,
    to_sequences,
    windows,
)


def long_frame(seed=0):
    """Return a shuffled long table of three recordings of 2 to 4 steps."""
    rows = [
        {"who": who, "t": float(t), "a": 10.0 * k + t, "b": 100.0 * k - t}
        for k, (who, n) in enumerate([("x", 3), ("y", 2), ("z", 4)])
        for t in range(n)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=seed)


def by_hand(frame, columns):
    """Return recordings by a loop over rows."""
    found = {}
    for _, row in frame.iterrows():
        found.setdefault(row["who"], []).append((row["t"], [row[name] for name in columns]))
    return {who: [step for _, step in sorted(steps)] for who, steps in found.items()}


# Out of a long data frame


@pytest.mark.parametrize("columns", [None, ["b"], ["b", "a"]])
@pytest.mark.parametrize("seed", range(3))
def test_sequences_are_those_of_a_loop_over_rows(seed, columns):
    frame = long_frame(seed)
    recordings, keys = to_sequences(frame, "who", "t", columns)
    expected = by_hand(frame, columns or ["a", "b"])
    assert list(keys) == list(expected)
    for recording, steps in zip(recordings, expected.values(), strict=True):
        np.testing.assert_array_equal(recording, steps)


def test_sequences_of_polars_and_pandas_are_equal():
    frame = long_frame().reset_index(drop=True)
    narrow = frame.astype({"a": np.float32, "b": np.float32})
    for mine in (frame, narrow, narrow.assign(a=narrow["a"] > 5), frame.convert_dtypes()):
        theirs = pl.DataFrame({name: mine[name].to_numpy() for name in mine})
        for ours, others in zip(
            to_sequences(mine, "who", "t").recordings,
            to_sequences(theirs, "who", "t").recordings,
            strict=True,
        ):
            np.testing.assert_array_equal(ours, others)
    assert set(to_sequences(narrow, "who", "t").recordings[0].dtypes) == {np.dtype(np.float32)}
    assert set(to_sequences(frame, "who", "t").recordings[0].dtypes) == {np.dtype(np.float64)}


def test_sequences_keep_the_names_of_channels_and_the_times():
    frame = long_frame()
    for recording, key in zip(*to_sequences(frame, "who", "t", ["b", "a"]), strict=True):
        times = sorted(frame.loc[frame["who"] == key, "t"])
        assert list(recording.columns) == ["b", "a"]
        assert recording.index.tolist() == times and recording.index.name == "t"


def test_times_may_be_dates_and_keys_numbers():
    frame = long_frame().assign(who=lambda rows: rows["who"].map({"x": 7, "y": 3, "z": 5}))
    dated = frame.assign(t=pd.Timestamp("2020-01-31") + pd.to_timedelta(frame["t"], unit="D"))
    recordings, keys = to_sequences(dated, "who", "t")
    assert set(keys) == {3, 5, 7}
    for ours, others in zip(recordings, to_sequences(frame, "who", "t").recordings, strict=True):
        np.testing.assert_array_equal(ours, others)


def broken(**changes):
    return long_frame().reset_index(drop=True).assign(**changes)


HOLE = np.where(np.arange(9) == 4, np.nan, 1.0)
BAD_FRAMES = {
    "an array": (np.zeros((3, 3)), {}, "frame is of type ndarray; expected a data frame"),
    "no rows": (long_frame()[:0], {}, "frame has no rows"),
    "no such key": (broken(), {"by": "whom"}, r"by='whom' is no column of frame; .*'who', 't'"),
    "no such time": (broken(), {"time": "s"}, "time='s' is no column"),
    "no such channel": (broken(), {"columns": ["c"]}, "columns='c' is no column"),
    "one column twice": (broken(), {"time": "who"}, "are one column; expected two"),
    "the time as a channel": (broken(), {"columns": ["t"]}, r"columns=\['t'\]; .* besides"),
    "no channels": (broken()[["who", "t"]], {}, r"columns=\[\]; expected channels"),
    "names that repeat": (broken()[["who", "t", "a", "a"]], {}, r"one name: \['a'\]; rename"),
    "missing keys": (broken(who=HOLE), {}, r"in column 'who' \(1 of 9 rows\)"),
    "missing times": (broken(t=HOLE), {}, "in column 't'"),
    "a time twice": (broken(t=0.0), {}, r"several rows with who = \w and t = 0.0; .*mean\(\)"),
    "times as text": (broken(t=list("123456789")), {}, r"time='t' holds text .*to_datetime"),
    "text": (broken(a="up"), {}, r"no numbers in columns \['a'\], such as 'up'; encode"),
    "dates": (broken(b=pd.Timestamp("2020-01-01")), {}, r"no numbers in columns \['b'\]"),
    "complex numbers": (broken(b=1j), {}, r"no numbers in columns \['b'\]"),
    "missing values": (broken(a=HOLE, b=HOLE), {}, r"\['a', 'b'\] \(1, 1 of 9 rows\): fill"),
    "infinite values": (broken(a=HOLE).fillna(np.inf), {}, r"infinite values in columns \['a'\]"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_frame_that_does_not_fit_is_told_with_the_cure(name):
    frame, changes, said = BAD_FRAMES[name]
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        to_sequences(frame, **{"by": "who", "time": "t", **changes})
    assert len(str(caught.value).splitlines()) == 1 and str(caught.value).endswith(".")


# Windows


@pytest.mark.parametrize(("length", "step"), [(1, 1), (3, 1), (3, 2), (4, 5)])
def test_windows_are_those_of_a_loop(length, step):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(23, 2))
    groups = rng.permutation(np.repeat(["u", "v", "w"], [10, 8, 5]))
    expected = []
    for group in dict.fromkeys(groups):
        rows = [i for i in range(23) if groups[i] == group]
        for first in range(0, len(rows) - length + 1, step):
            part = rows[first : first + length]
            expected.append((group, part[0], [X[i] for i in part]))
    found = windows(X, length, step, groups)
    assert list(found.groups) == [group for group, _, _ in expected]
    assert list(found.starts) == [start for _, start, _ in expected]
    np.testing.assert_array_equal(found.windows, [window for _, _, window in expected])
    alone = windows(X[:, 0], length, step)
    assert alone.windows.shape[1:] == (length, 1) and not alone.groups.any()


BAD_WINDOWS = {
    "longer than the series": ({"length": 9}, "length=9, but group 0 of X has 8 rows; pass"),
    "longer than a group": (
        {"length": 4, "groups": [0] * 6 + [1] * 2},
        "length=4, but group 1 of X has 2 rows",
    ),
    "no length": ({"length": 0}, "length=0; expected a positive integer"),
    "no step": ({"length": 2, "step": 1.5}, "step=1.5; expected a positive integer"),
    "other groups": ({"length": 2, "groups": [0, 1]}, "groups"),
    "recordings": ({"X": np.zeros((4, 8, 2)), "length": 2}, r"\(4, 8, 2\).*numpy.concatenate"),
    "text": ({"X": list("abcd"), "length": 2}, "expected one recording of numbers"),
    "nothing": ({"X": [], "length": 2}, "expected one recording of numbers"),
}


@pytest.mark.parametrize("name", BAD_WINDOWS)
def test_windows_that_cannot_be_cut_are_told(name):
    given, said = BAD_WINDOWS[name]
    with pytest.raises((TypeError, ValueError), match=said):
        windows(**{"X": np.zeros((8, 2)), **given})


# Simulated recordings


@pytest.mark.parametrize("make", [make_place_cells, make_lorenz])
def test_recordings_stand_one_after_the_other(make):
    X, y, groups = make(100, 5, 3, random_state=0)
    assert X.shape == (100, 5) and len(y) == 100
    assert groups.tolist() == [0] * 34 + [1] * 33 + [2] * 33
    again, other = make(100, 5, 3, random_state=0), make(100, 5, 3, random_state=1)
    np.testing.assert_array_equal(again.X, X)
    assert not np.array_equal(other.X, X)


def test_counts_have_the_stated_mean_and_the_variance_of_poisson():
    X, y, _ = make_place_cells(60_000, 20, 2, peak_rate=2.0, random_state=0)
    assert y.min() >= 0 and y.max() <= 1
    # The animal spends equal time everywhere: the mean rate is .02 plus the area of the fields.
    place, moments = (y * 40).astype(int), []
    for cell in X.T:
        rates = pd.Series(cell).groupby(place).agg(["mean", "var"])
        moments.append((rates["var"] / rates["mean"]).mean())
        peak = (rates["mean"].idxmax() + 0.5) / 40
        far = np.abs(y - peak) > 0.5
        assert cell[far].mean() == pytest.approx(0.02, abs=0.005)
    # Within a bin the rate changes, too, which adds a little to the variance.
    assert np.mean(moments) == pytest.approx(1.0, abs=0.05)


def test_the_animal_moves_little_from_step_to_step_and_sees_the_whole_track():
    _, y, groups = make_place_cells(6000, random_state=0)
    steps = np.abs(np.diff(y))[np.diff(groups) == 0]
    assert steps.max() < 0.05 and 1 / np.mean(steps) == pytest.approx(200, rel=0.25)
    for group in range(3):
        assert np.ptp(y[groups == group]) > 0.95


def test_states_obey_the_equations_and_channels_mix_them():
    X, y, groups = make_lorenz(600, 8, 2, dt=0.002, noise=0.0, random_state=0)
    for group in range(2):
        u, v, w = y[groups == group].T
        rates = np.stack([10 * (v - u), u * (28 - w) - v, u * v - 8 / 3 * w])[:, 1:-1]
        # Central differences are wrong by a third derivative times dt^2 / 6.
        measured = (y[groups == group][2:] - y[groups == group][:-2]).T / 0.004
        np.testing.assert_allclose(measured, rates, atol=0.2)
    design = np.column_stack([y, np.ones(len(y))])
    _, residual, rank, _ = np.linalg.lstsq(design, X, rcond=None)
    assert rank == 4 and np.all(residual < 1e-18 * len(y))


def test_noise_has_the_stated_deviation_and_channels_variance_one():
    y, X = (make_lorenz(6000, 60, noise=noise, random_state=0) for noise in (0.0, 3.0))
    assert (X.X - y.X).std() == pytest.approx(3.0, rel=0.01)
    assert y.X.var(axis=0).mean() == pytest.approx(1.0, abs=0.25)


def test_walking_and_running_have_their_cycles():
    X, y = make_activities(80, 400, noise=0.0, random_state=0)
    power = np.abs(np.fft.rfft(X - X.mean(axis=1, keepdims=True), axis=1)) ** 2
    cycles = power.sum(axis=2).argmax(axis=1) / 4
    assert np.all(np.abs(cycles[y == "walking"] / 4 - 1) < 0.15)
    assert np.all(np.abs(cycles[y == "running"] / 7 - 1) < 0.15)
    assert not np.ptp(X[y == "standing"], axis=1).any()
    assert {name: (y == name).sum() for name in np.unique(y)} == dict.fromkeys(np.unique(y), 20)


def test_activities_of_unequal_lengths_are_those_of_equal_ones_cut_short():
    X, y = make_activities(40, 11, random_state=3)
    parts, labels = make_activities(40, 11, unequal=True, random_state=3)
    assert {len(part) for part in parts} == set(range(6, 12))
    np.testing.assert_array_equal(labels, y)
    for whole, part in zip(X, parts, strict=True):
        np.testing.assert_array_equal(whole[: len(part)], part)


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        (make_place_cells, {"n_time": 2, "n_recordings": 3}, "n_recordings=3; expected at most"),
        (make_place_cells, {"n_cells": 0}, "n_cells=0; expected a positive integer"),
        (make_place_cells, {"peak_rate": 0}, "peak_rate=0; expected a positive number"),
        (make_lorenz, {"dt": -1}, "dt=-1; expected a positive number"),
        (make_lorenz, {"noise": -1}, "noise=-1; expected a number of at least 0"),
        (make_lorenz, {"n_channels": 1.5}, "n_channels=1.5"),
        (make_activities, {"n_samples": 0}, "n_samples=0"),
        (make_activities, {"noise": "much"}, "noise='much'"),
    ],
)
def test_a_wrong_number_is_told(make, given, said):
    with pytest.raises((TypeError, ValueError), match=said):
        make(**given)


def test_names_are_public():
    made = {"to_sequences", "windows", "make_place_cells", "make_lorenz", "make_activities"}
    assert made <= set(datasets.__all__)
