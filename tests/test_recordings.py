"""Recordings as rows: what is read as one, padding, codes of steps, windows, grids, files."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import sklearn_mi.rows.recordings as rows_recordings
from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi._base import MIWarning
from sklearn_mi.encoders import GRU, Conv1d
from sklearn_mi.front_ends import LogMel, RecordingFeatures
from sklearn_mi.rows import Recording, as_source, kind_of, padded
from sklearn_mi.rows.recordings import WindowSource, gathered
from sklearn_mi.views import TimeLag

SEED = 0


def recordings(n=40, n_channels=3, shortest=4, longest=20, seed=SEED):
    """Draw recordings of two classes, slow and fast, of unequal lengths."""
    rng = np.random.default_rng(seed)
    X, y = [], np.arange(n) % 2
    for slow in y:
        time = np.arange(rng.integers(shortest, longest))
        phase = rng.uniform(0, 2 * np.pi, n_channels)
        wave = np.sin(time[:, None] * (0.4 if slow else 1.2) + phase)
        X.append(wave + 0.1 * rng.normal(size=wave.shape))
    return X, y


def learner(**parameters):
    return MIRepresentationLearner(8, **{"max_steps": 3, "random_state": 0, **parameters})


WAYS = {
    "blocks": {},
    "spectral": {"front_end": "spectral"},
    "conv1d": {"encoder": "conv1d"},
    "strided": {"encoder": Conv1d((8, 8), stride=2, causal=True, pool="last")},
    "gru": {"encoder": GRU(8)},
    "cpc": {"comparison": "cpc"},
    "mlp": {"encoder": "mlp", "view": "same", "objective": "js"},
}


@pytest.fixture(scope="module")
def data():
    return recordings()


@pytest.fixture(scope="module", params=WAYS)
def fitted(request, data):
    return learner(**WAYS[request.param]).fit(data[0])


def test_padding_and_order_change_no_code(fitted, data):
    X, _ = data
    Z = fitted.transform(X)
    alone = np.vstack([fitted.transform([x]) for x in X])
    np.testing.assert_allclose(alone, Z, atol=1e-5)
    wide = np.full((len(X), max(map(len, X)) + (0 if fitted.encoder == "mlp" else 7), 3), np.nan)
    for row, x in zip(wide, X, strict=True):
        row[: len(x)] = x
    np.testing.assert_allclose(fitted.transform(wide), Z, atol=1e-5)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(fitted.transform([X[i] for i in order]), Z[order], atol=1e-5)


def test_what_is_fitted_survives_files_and_pickles(fitted, data, tmp_path):
    X, _ = data
    fitted.save(tmp_path / "file")
    Z = fitted.transform(X)
    for again in (load(tmp_path / "file"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.transform(X), Z)
        assert repr(again.choices_) == repr(fitted.choices_)
        again.partial_fit(X)


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_codes(data, tmp_path):
    X, _ = data
    fitted = learner().fit(X)
    fitted.save(tmp_path / "file")
    np.save(tmp_path / "X.npy", padded(X)[..., :-1])
    code = (
        "import sys, numpy as np, sklearn_mi\n"
        "folder = sys.argv[1]\n"
        "X = [x[x.any(1)] for x in np.load(folder + '/X.npy')]\n"
        "np.save(folder + '/Z.npy', sklearn_mi.load(folder + '/file').transform(X))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "Z.npy"), fitted.transform(X), atol=1e-6)


@pytest.mark.parametrize("way", ["conv1d", "strided", "gru", "cpc"])
def test_codes_of_steps(way, data):
    X, _ = data
    fitted = learner(**WAYS[way]).fit(X)
    steps = fitted.transform_steps(X)
    assert [s.shape for s in steps] == [(len(x), 8) for x in X]
    if fitted.encoder_.pool == "mean" and fitted.encoder_.stride == 1:
        means = [s.mean(axis=0) for s in steps]
        np.testing.assert_allclose(means, fitted.transform(X), atol=1e-5)
    if fitted.encoder_.pool == "last":
        np.testing.assert_allclose([s[-1] for s in steps], fitted.transform(X), atol=1e-5)
    # Of recordings of one length it is one array.
    assert fitted.transform_steps(np.zeros((2, 9, 3))).shape == (2, 9, 8)


def test_a_causal_code_of_a_step_sees_nothing_later(data):
    X, _ = data
    fitted = learner(encoder=Conv1d((8, 8), causal=True)).fit(X)
    (whole,), (first,) = fitted.transform_steps(X[:1]), fitted.transform_steps([X[0][:3]])
    np.testing.assert_allclose(whole[:3], first, atol=1e-5)


@pytest.mark.parametrize("way", ["blocks", "mlp"])
def test_without_codes_of_steps_the_cure_is_told(way, data):
    fitted = learner(**WAYS[way]).fit(data[0])
    with pytest.raises(ValueError, match="take encoder='conv1d' or 'gru'"):
        fitted.transform_steps(data[0])


def test_a_pipeline_a_grid_and_cross_validation_take_lists(data):
    X, y = data
    pipe = make_pipeline(learner(max_steps=30), LogisticRegression())
    assert cross_val_score(pipe, X, y, cv=2).mean() > 0.75
    grid = GridSearchCV(pipe, {"mirepresentationlearner__front_end": ["blocks", "spectral"]}, cv=2)
    assert np.isfinite(grid.fit(X, y).cv_results_["mean_test_score"]).all()
    assert len(pipe.fit(X, y).predict(X)) == len(X)


def test_names_and_containers(data):
    X, _ = data
    frame = learner().set_output(transform="pandas").fit(X).transform(X)
    assert isinstance(frame, pd.DataFrame) and frame.shape[0] == len(X)
    frame = MIRepresentationLearner(max_steps=2).set_output(transform="pandas").fit(X).transform(X)
    assert list(frame.columns[[0, 64, -1]]) == [
        "mirepresentationlearner0",
        "blocks0",
        f"blocks{frame.shape[1] - 65}",
    ]


def test_the_scale_is_that_of_observed_steps(data):
    X, _ = data
    layer = learner(encoder="conv1d", validation_fraction=0.0).fit(X).net_.module_.scale
    steps = np.vstack(X)
    np.testing.assert_allclose(layer.mean, steps.mean(axis=0))
    np.testing.assert_allclose(layer.scale, steps.std(axis=0))
    made = layer(torch.as_tensor(padded(X)))
    assert (made[made[..., -1] == 0] == 0).all()


def test_lists_arrays_objects_and_frames_of_one_recording_are_equal(data):
    X, _ = data
    Z = learner(encoder="conv1d").fit(X).transform(X)
    objects = np.empty(len(X), dtype=object)
    objects[:] = X
    for form in (tuple(X), objects, [pd.DataFrame(x) for x in X], [torch.as_tensor(x) for x in X]):
        np.testing.assert_array_equal(learner(encoder="conv1d").fit(form).transform(form), Z)
    lists = [x.tolist() for x in X]
    np.testing.assert_array_equal(learner(encoder="conv1d").fit(lists).transform(lists), Z)


def test_one_channel_may_lack_its_axis():
    X = [x[:, 0] for x in recordings()[0]]
    Z = learner(encoder="gru").fit(X).transform(X)
    np.testing.assert_array_equal(
        learner(encoder="gru").fit([x[:, None] for x in X]).transform(X), Z
    )


def test_input_shape_names_recordings():
    pixels = np.random.default_rng(0).random((30, 8, 8))
    assert isinstance(kind_of(as_source(pixels), (None, 8)), Recording)
    with pytest.raises(ValueError, match=r"rows of X have shape \(8, 8\); expected .*\(time, 4\)"):
        learner(input_shape=(None, 4)).fit(pixels)
    fitted = learner(input_shape=(None, 8)).fit(pixels)
    assert fitted.choices_["view"].value == "neighbors"


BAD = {
    "empty": ([np.ones((0, 2)), np.ones((3, 2))], r"X\[0\] is empty, of shape \(0, 2\); leave"),
    "channels": ([np.ones((2, 2)), np.ones((3, 3))], r"X\[1\] has 3 channels, but X\[0\] has 2"),
    "text": ([np.ones((2, 2)), "a"], r"X\[1\] holds what is no number"),
    "objects": ([np.ones((2, 2)), [[1, None], [2, {}]]], r"X\[1\] holds what is no number"),
    "none": ([np.ones((2, 2)), None], r"X\[1\] has shape \(\); expected an array"),
    "axes": ([np.ones((2, 2)), np.ones((2, 2, 2))], r"X\[1\] has shape \(2, 2, 2\)"),
    "gap": (
        [np.ones((3, 2)), np.array([[1, 2], [np.nan, 1], [1, 1], [1, 1]])],
        r"X\[1\] is NaN at step 1 in channel 0; .*fill gaps first",
    ),
    "nothing": ([np.full((2, 2), np.nan), np.ones((3, 2))], r"X\[0\] has no observed step"),
    "complex": ([np.ones((2, 2)), np.ones((3, 2)) + 1j], r"X\[1\] .*Complex data not supported"),
    "masked": (
        [np.ma.masked_equal([[1, 2], [0, 1], [1, 1]], 0), np.ones((3, 2))],
        r"X\[0\] is NaN at step 1 in channel 0",
    ),
    "infinite": ([np.full((2, 2), np.inf), np.ones((3, 2))], "infinity"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_recording_is_told_with_its_cure(case):
    X, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        learner().fit([*X, *recordings(8, 2)[0]])


def test_other_channels_than_fitted_are_told(data):
    fitted = learner(encoder="conv1d").fit(data[0])
    with pytest.raises(ValueError, match="X has recordings of 2 channels; expected 3, as in fit"):
        fitted.transform([x[:, :2] for x in data[0]])
    with pytest.raises(ValueError, match=r"Pass \[X\] if it is one recording\."):
        fitted.transform(data[0][0])


def test_little_but_padding_is_told(monkeypatch):
    monkeypatch.setattr(rows_recordings, "MOST_PADDED", 2000)
    short = [np.zeros((10, 2)) for _ in range(39)]
    with pytest.warns(MIWarning, match=r"X\[39\] has 1000 steps, .* half of them have 10 or fewer"):
        assert gathered([*short, np.zeros((1000, 2))]).shape == (40, 1000, 2)
    # No warning: as many steps, but of one length, and fewer numbers.
    gathered([np.zeros((1000, 2)) for _ in range(40)])
    gathered([*short[:5], np.zeros((100, 2))])


def test_recordings_too_long_for_the_encoder_are_told(data):
    X, _ = data
    fitted = learner(**WAYS["mlp"]).fit(X)
    longer = [np.zeros((400, 3)) for _ in range(3)]
    for call in (fitted.transform, fitted.score):
        with pytest.raises(
            ValueError, match="of up to 400 steps, .* at most 19, as many as in fit"
        ):
            call(longer)
    assert learner(**WAYS["conv1d"]).fit(X).transform(longer).shape == (3, 8)


def test_a_list_of_recordings_may_be_the_partners(data):
    X, _ = data
    Z = np.random.default_rng(0).normal(size=(len(X), 4))
    fitted = learner().fit(Z, X_pair=X)
    assert fitted.transform_pair(X).shape == (len(X), 8)
    array = padded(X)[..., :-1]
    array[padded(X)[..., -1] == 0] = np.nan
    np.testing.assert_allclose(fitted.transform_pair(array), fitted.transform_pair(X), atol=1e-6)
    assert np.isfinite(fitted.score(Z, X_pair=X))


@pytest.mark.parametrize("way", ["blocks", "conv1d", "gru"])
def test_recordings_of_one_step_have_codes(way):
    X = [x[:1] if i % 3 else x for i, x in enumerate(recordings()[0])]
    Z = learner(**WAYS[way]).fit(X).transform(X)
    assert np.isfinite(Z).all()
    all_short = [x[:1] for x in X]
    assert np.isfinite(learner(**WAYS[way]).fit(all_short).transform(all_short)).all()


def test_frames_of_a_front_end_are_steps(tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 1)) for length in rng.integers(800, 1600, 30)]
    fitted = learner(front_end=LogMel(window=64, hop=40, n_mels=8), encoder="conv1d").fit(X)
    Z, steps = fitted.transform(X), fitted.transform_steps(X)
    assert [len(s) for s in steps] == [-(-len(x) // 40) for x in X]
    np.testing.assert_allclose([s.mean(axis=0) for s in steps], Z, atol=1e-5)
    fitted.save(tmp_path / "file")
    np.testing.assert_array_equal(load(tmp_path / "file").transform(X), Z)
    long = [np.tile(X[0], (3, 1))]
    assert fitted.transform_steps(long)[0].shape == (-(-3 * len(X[0]) // 40), 8)


def test_a_front_end_of_a_table_is_refused():
    with pytest.raises(ValueError, match=r"front_end='blocks' makes features of recordings"):
        learner(front_end="blocks").fit(np.random.default_rng(0).normal(size=(30, 4)))


# Windows of one long recording


def windows_by_loop(X, window, groups):
    made = np.zeros((len(X), window, X.shape[1] + 1))
    for i in range(len(X)):
        own = [j for j in range(i + 1) if groups[j] == groups[i]][-window:]
        made[i, window - len(own) :, :-1] = X[own]
        made[i, window - len(own) :, -1] = 1
    return made


def test_windows_equal_a_loop():
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(30, 2)), rng.integers(0, 3, 30)
    source = WindowSource(as_source(X), 4, groups)
    expected = windows_by_loop(X, 4, groups)
    np.testing.assert_array_equal(source.take(slice(None)).numpy(), expected)
    rows = np.array([5, 1, 29])
    np.testing.assert_array_equal(source.take(rows).numpy(), expected[rows])


def test_a_code_sees_the_rows_before_its_own():
    X = np.random.default_rng(0).normal(size=(80, 3)).cumsum(axis=0)
    groups = np.repeat([0, 1], 40)
    fitted = learner(view=TimeLag(1, window=4)).fit(X, groups=groups)
    Z = fitted.transform(X)
    assert Z.shape == (80, 8) and fitted.n_features_in_ == 3
    changed = X.copy()
    changed[50] += 1.0
    moved = np.flatnonzero(np.abs(fitted.transform(changed) - Z).max(axis=1) > 1e-6)
    assert moved.tolist() == [50, 51, 52, 53]
    assert np.isfinite(fitted.score(X, groups=groups))


def test_a_window_longer_than_the_recording_is_told():
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match="window=50, but the longest series has 20 rows"):
        learner(view=TimeLag(1, window=50)).fit(X)


CHANNELS = ["speed", "turn", "tilt"]


def named(X, names=CHANNELS, frame=pd.DataFrame):
    return [frame(dict(zip(names, x.T, strict=True))) for x in X]


def with_column(part, values, name="turn"):
    return [part.assign(**{name: values})]


FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_names_of_channels_are_kept_and_change_no_code(frame, data, tmp_path):
    X, y = data
    rows = named(X, frame=frame)
    made = learner(output="with-columns", front_end="spectral").fit(rows)
    assert list(made.feature_names_in_) == CHANNELS and made.n_features_in_ == 3
    plain = learner(output="with-columns", front_end="spectral").fit(X)
    np.testing.assert_array_equal(made.transform(rows), plain.transform(X))
    made.save(tmp_path / "file")
    for again in (made, load(tmp_path / "file"), pickle.loads(pickle.dumps(made))):
        assert list(again.feature_names_in_) == CHANNELS
        with pytest.raises(ValueError, match="must be in the same order"):
            again.transform([part[CHANNELS[::-1]] for part in rows])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            again.transform(X)
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        plain.transform(rows)
    pipeline = make_pipeline(learner(), LogisticRegression())
    assert len(cross_val_score(pipeline, rows, y, cv=2, error_score="raise")) == 2


def test_features_of_spectra_and_values_are_named_by_channel(data):
    X, _ = data
    made = learner(output="with-columns", front_end="spectral").fit(named(X))
    table = made.set_output(transform="pandas").transform(named(X))
    # Channels are scaled before the front end, and its features after it.
    for what, of in {"speed_mean": X[0][:, 0].mean(), "turn_quantile1": X[0][:, 1].max()}.items():
        values = [x[:, CHANNELS.index(what.split("_")[0])] for x in X]
        by_hand = np.array([v.mean() if what.endswith("mean") else v.max() for v in values])
        assert by_hand[0] == of
        assert np.corrcoef(table[what], by_hand)[0, 1] > 1 - 1e-6
    pair = [np.corrcoef(x[:, 0], x[:, 2])[0, 1] for x in X]
    assert np.corrcoef(table["speed_tilt_correlation"], pair)[0, 1] > 1 - 1e-6
    values = RecordingFeatures("values").set_output(transform="pandas").fit(named(X))
    steps = values.transform(named(X))
    assert list(steps.columns[:4]) == ["speed_0", "turn_0", "tilt_0", "speed_1"]
    tilt = [x[2, 2] for x in X]
    assert np.corrcoef(steps["tilt_2"], tilt)[0, 1] > 1 - 1e-6
    names = RecordingFeatures("spectral").fit(X).get_feature_names_out(CHANNELS)
    assert "turn_lag1" in names and len(set(names)) == len(names)
    assert RecordingFeatures().fit(named(X)).get_feature_names_out()[0] == "recordingfeatures0"


WRONG_CHANNELS = {
    "another order": (lambda part: [part[CHANNELS[::-1]]], "bring them into one order"),
    "another channel": (
        lambda part: [part.rename(columns={"tilt": "roll"})],
        r"X\[40\] has channels \['speed', 'turn', 'roll'\], but X\[0\] has \['speed', 'turn', 'ti",
    ),
    "one fewer": (lambda part: [part[["speed"]]], "drop or add columns"),
    "an array": (lambda part: [part.to_numpy()], r"X\[40\] is no data frame, but X\[0\] is one"),
    "text": (lambda part: with_column(part, "fast"), "no number in column 'turn', such as 'fast'"),
    "complex": (lambda part: [part.assign(turn=1j)], "no number in column 'turn', such as .*1j"),
    "a date": (lambda part: with_column(part, pd.Timestamp(0)), "no number in column 'turn'"),
    "a gap": (
        lambda part: with_column(part, part["turn"].where(part.index != 1)),
        r"X\[40\] is NaN at step 1 in channel 'turn'",
    ),
}


@pytest.mark.parametrize("case", WRONG_CHANNELS)
def test_what_is_wrong_with_named_channels_is_told(case, data):
    change, words = WRONG_CHANNELS[case]
    rows = named(data[0])
    for step in (learner(), RecordingFeatures()):
        with pytest.raises(ValueError, match=words):
            step.fit([*rows, *change(rows[0])])
    if case != "an array":
        return
    fitted = learner().fit(rows)
    with (
        pytest.warns(UserWarning, match="valid feature names"),
        pytest.raises(ValueError, match=r"of 1 channel; expected 3, as in fit: \['speed', 'turn'"),
    ):
        fitted.transform([x[:, :1] for x in data[0]])
    with pytest.raises(ValueError, match="unseen at fit time"):
        fitted.transform(named(data[0], ["speed", "turn", "roll"]))


def test_partners_that_are_recordings_keep_their_names(data):
    X, _ = data
    made = learner(encoder="gru").fit(named(X), X_pair=named(X, ["a", "b", "c"]))
    with pytest.raises(ValueError, match="X_pair: The feature names should match"):
        made.transform_pair(named(X))
