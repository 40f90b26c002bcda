import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi.front_ends import (
    FRONT_ENDS,
    Blocks,
    Convolved,
    LogMel,
    RecordingFeatures,
    Spectral,
    Values,
    as_front_end,
)

LENGTHS = (40, 1, 23, 2, 9, 40, 31, 17, 12, 5)
MADE = {name: make() for name, make in FRONT_ENDS.items()}
ALL = {name: made for name, made in MADE.items() if made.takes == "recordings"} | {
    "log-mel": LogMel(sample_rate=100, n_mels=5, window=16, hop=5)
}
OF_FEATURES = [name for name, made in ALL.items() if not made.gives_recordings]


def recordings(lengths=LENGTHS, n_channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return [np.cumsum(rng.normal(size=(n, n_channels)), axis=0) / 3 for n in lengths]


def batch(rows, width=0):
    """Pad by hand: values, then a channel of ones, then zeros."""
    width = max([width, *map(len, rows)])
    parts = [np.pad(np.c_[row, np.ones(len(row))], ((0, width - len(row)), (0, 0))) for row in rows]
    return torch.as_tensor(np.stack(parts), dtype=torch.float32)


@pytest.fixture(scope="module")
def states():
    return {name: made.fit(batch(recordings()), seed=0) for name, made in ALL.items()}


@pytest.mark.parametrize("name", ALL)
def test_a_padded_recording_equals_the_recording_alone(name, states):
    # Longer ones than in fit, too.
    rows = recordings((*LENGTHS, 64, 150), seed=1)
    together = ALL[name](batch(rows, width=200), states[name])
    assert together.dtype == torch.float32
    for row, found in zip(rows, together, strict=True):
        alone = ALL[name](batch([row]), states[name])[0]
        if ALL[name].gives_recordings:
            assert found[len(alone) :].eq(0).all()
            found = found[: len(alone)]
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_what_fit_learns_does_not_depend_on_the_width_of_padding(name, states):
    again = ALL[name].fit(batch(recordings(), width=77), seed=0)
    assert again.keys() == states[name].keys()
    for key, tensor in again.items():
        torch.testing.assert_close(tensor, states[name][key], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_what_stands_at_unobserved_steps_does_not_count(name, states):
    x = batch(recordings())
    # A view may hide steps in the middle.
    x[:, 6:9] = 0.0
    dirty = x.clone()
    dirty[..., :-1] += 9.0 * (1 - x[..., -1:])
    assert torch.equal(ALL[name](dirty, states[name]), ALL[name](x, states[name]))


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_recordings_changes_nothing(name, states):
    x = batch(recordings(seed=2))
    order = torch.tensor([3, 9, 0, 1, 7, 5, 2, 8, 6, 4])
    found = ALL[name](x[order], states[name])
    torch.testing.assert_close(found, ALL[name](x, states[name])[order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_the_state_is_all_that_a_new_object_needs(name, states):
    saved = safetensors.torch.save(
        {key: tensor.contiguous() for key, tensor in states[name].items()}
    )
    x = batch(recordings(seed=3))
    again = clone(ALL[name])(x, safetensors.torch.load(saved))
    assert torch.equal(again, ALL[name](x, states[name]))


@pytest.mark.parametrize("name", ALL)
def test_a_seed_decides_what_is_drawn(name):
    x = batch(recordings(n_channels=12))
    first, second = (ALL[name](x, ALL[name].fit(x, seed=5)) for _ in range(2))
    assert torch.equal(first, second)
    if name in ("convolved", "blocks"):
        assert not torch.equal(first, ALL[name](x, ALL[name].fit(x, seed=6)))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "rows",
    [
        recordings((1,)),
        recordings((1, 1, 2)),
        recordings((30,)),
        [np.full((n, 2), 0.1) for n in (20, 20, 20)],
        [np.c_[row[:, :1], np.full(len(row), -3.3)] for row in recordings((20, 11, 25))],
        [np.full((20, 1), 1e6) + recordings((20,), 1, seed)[0] for seed in range(4)],
    ],
    ids=["one step", "two steps", "one recording", "constant", "constant channel", "offset"],
)
def test_numbers_are_finite(name, rows):
    x = batch(rows)
    state = ALL[name].fit(x, seed=0)
    n_channels = x.shape[2] - 1
    for other in (x, batch(recordings((1, 2, 50), n_channels))):
        assert torch.isfinite(ALL[name](other, state)).all()
    assert len(ALL[name](x[:0], state)) == 0


def test_constant_recordings_of_any_level_have_no_correlation():
    x = batch([np.full((n, 2), 0.1) for n in (20, 13, 7)])
    features = Spectral()(x, Spectral().fit(x, seed=0))
    lags, correlation = features[:, 48:72], features[:, -2]
    assert lags.eq(0).all()
    assert correlation.eq(0).all()


def naive_share(row, weights, channels, dilation, threshold):
    above = 0
    for t in range(len(row)):
        total = 0.0
        for j, weight in enumerate(weights):
            place = t + (j - 4) * dilation
            if 0 <= place < len(row):
                total += weight * row[place, channels].sum()
        above += total > threshold
    return above / len(row)


@pytest.mark.parametrize("n_channels", [1, 3, 14])
def test_convolved_counts_as_loops_over_steps_do(n_channels):
    # Multiples of 2**-20 add up exactly in any order.
    x = (batch(recordings((40, 7, 25), n_channels)) * 2**20).round() / 2**20
    state = Convolved().fit(x, seed=1)
    features = Convolved()(x, state)
    n_stages, n_kernels, n_levels = state["thresholds"].shape
    assert features.shape == (3, n_stages * n_kernels * n_levels)
    kernels = [
        np.where(np.isin(np.arange(9), heavy), 2.0, -1.0)
        for heavy in itertools.combinations(range(9), 3)
    ]
    rng = np.random.default_rng(0)
    for _ in range(20):
        stage, k, level = (int(rng.integers(n)) for n in (n_stages, n_kernels, n_levels))
        first = stage * n_kernels % len(kernels)
        channels = state["channels"][stage][state["mixes"][stage, k] > 0].numpy()
        assert len(channels)
        column = (stage * n_levels + level) * n_kernels + k
        for row, found in zip(x, features, strict=True):
            expected = naive_share(
                row[row[:, -1] > 0].double().numpy(),
                kernels[first + k],
                channels,
                int(state["dilations"][stage]),
                float(state["thresholds"][stage, k, level]) * 2**-30,
            )
            assert float(found[column]) == pytest.approx(expected, abs=1e-6)


def test_thresholds_are_spread_evenly_over_the_training_rows():
    x = batch(recordings((60,) * 40, 2))
    shares = Convolved()(x, Convolved().fit(x, seed=0)).mean(0).numpy()
    deciles = np.histogram(shares, np.linspace(0, 1, 11))[0] / len(shares)
    np.testing.assert_allclose(deciles, 0.1, atol=0.02)


def test_dilations_reach_over_the_longest_recording():
    def dilations(longest, **parameters):
        x = batch(recordings((longest, 9), 1))
        return Convolved(**parameters).fit(x, seed=0)["dilations"].tolist()

    assert dilations(9) == [1]
    assert dilations(33) == [1, 2, 3, 4]
    assert dilations(257) == [1, 2, 4, 8, 16, 32]
    assert dilations(257, n_dilations=2) == [1, 32]


def test_a_tie_with_a_threshold_depends_on_no_order_of_addition():
    # Sums of these in another order differ in their last bits.
    rng, units = np.random.default_rng(0), 10.0 ** -np.arange(9)
    rows = [rng.integers(-1, 2, (n, 9)) * units / 3 for n in rng.integers(5, 60, 30)]
    rows += rows[::2]
    state = Convolved().fit(batch(rows), seed=0)
    together = Convolved()(batch(rows, width=130), state)
    alone = torch.cat([Convolved()(batch([row]), state) for row in rows])
    assert torch.equal(together, alone)
    backwards = {"channels": state["channels"].flip(1), "mixes": state["mixes"].flip(2)}
    assert torch.equal(together, Convolved()(batch(rows), {**state, **backwards}))


def naive_power(row, edges):
    """The log of the mean power in each band by a sum over steps at each frequency."""
    centred, n_bins = row - row.mean(0), edges[-1]
    steps = np.arange(len(row))
    waves = np.exp(-1j * np.pi * np.outer(np.arange(n_bins + 1) / n_bins, steps))
    power = np.abs(waves @ centred) ** 2 / len(row)
    return [np.log(power[a:b].mean(0) + 1e-6) for a, b in itertools.pairwise(edges)]


def naive_autocorrelation(column, lag):
    centred = column - column.mean()
    return sum(centred[t] * centred[t + lag] for t in range(len(column) - lag)) / sum(centred**2)


@pytest.mark.parametrize("n_fit", [40, 12])
def test_spectra_and_statistics_are_those_of_numpy(n_fit):
    rows = recordings((40, 23, 31))
    state = Spectral().fit(batch(recordings((n_fit, 5))), seed=0)
    features = Spectral()(batch(rows), state).numpy()
    edges, lags = state["edges"].tolist(), state["lags"].tolist()
    assert len(edges) == 25 and np.all(np.diff(edges) > 0)
    assert len(lags) == 12 and lags[0] == 1 and np.all(np.diff(lags) > 0)
    for row, found in zip(rows, features, strict=True):
        steps, rank = np.diff(row, axis=0), 4 * np.arange(len(row)) // len(row)
        expected = [
            *naive_power(row, edges),
            *([naive_autocorrelation(column, lag) for column in row.T] for lag in lags),
            *np.quantile(row, [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0], axis=0),
            *(row.mean(0), row.std(0), steps.mean(0), steps.std(0)),
            *(row[rank == quarter].mean(0) for quarter in range(4)),
            np.corrcoef(row.T)[np.triu_indices(3, 1)],
            [np.log(len(row))],
        ]
        np.testing.assert_allclose(found, np.concatenate(expected), atol=2e-5)


def test_many_channels_have_some_of_their_correlations():
    x = batch(recordings((20, 30), 40))
    state = Spectral().fit(x, seed=0)
    pairs = state["pairs"].numpy()
    assert len(pairs) == 512 == len(np.unique(pairs, axis=0))
    expected = np.corrcoef(x[0, :20, :-1].double().numpy().T)[pairs[:, 0], pairs[:, 1]]
    np.testing.assert_allclose(Spectral()(x, state)[0, -513:-1], expected, atol=1e-5)


def test_values_are_those_of_the_recording_cut_or_padded():
    state = Values().fit(batch(recordings((12, 20)), width=30), seed=0)
    short, long = recordings((7, 33), seed=1)
    found = Values()(batch([short, long]), state).numpy()
    np.testing.assert_allclose(found[0], np.r_[short.ravel(), np.zeros(39)], rtol=1e-6)
    np.testing.assert_allclose(found[1], long[:20].ravel(), rtol=1e-6)


def test_many_steps_are_averaged_over_those_that_were_observed():
    rows = recordings((22, 9), 2)
    made = Values(most_columns=10)
    state = made.fit(batch(rows), seed=0)
    found = made(batch(rows, width=40), state).numpy()
    assert found.shape == (2, 10)
    for row, own in zip(rows, found.reshape(2, 5, 2), strict=True):
        for i in range(5):
            part = row[5 * i : 5 * i + 5]
            expected = part.mean(0) if len(part) else np.zeros(2)
            np.testing.assert_allclose(own[i], expected, rtol=1e-5, atol=1e-7)


def test_blocks_are_principal_components_of_weighted_size():
    parts, weights, k = (Values(), Spectral()), (0.5, 2.0), 4
    blocks = Blocks(parts, weights, n_components=k)
    rng = np.random.default_rng(0)
    x, new = (batch(recordings(rng.integers(8, 30, 25), 2, seed)) for seed in (1, 2))
    state = blocks.fit(x, seed=0)
    found, expected = blocks(new, state).double(), []
    for i, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        start = f"part{i}_state_"
        own = {key[len(start) :]: state[key] for key in state if key.startswith(start)}
        train, test = (part(rows, own).double().numpy() for rows in (x, new))
        scaler, pca = StandardScaler().fit(train), PCA(k, svd_solver="full")
        size = np.square(pca.fit_transform(scaler.transform(train))).sum(1).mean() ** 0.5
        expected.append(pca.transform(scaler.transform(test)) * weight / size)
    assert found.shape == (25, 2 * k)
    expected = torch.as_tensor(np.hstack(expected))
    torch.testing.assert_close(found @ found.T, expected @ expected.T, atol=1e-4, rtol=1e-4)
    own = blocks(x, state)
    torch.testing.assert_close(own.square().sum(1).mean(), torch.tensor(0.5**2 + 2.0**2))
    # The rotation leaves no column to one part.
    spread = own.var(0)
    assert spread.max() < 10 * spread.min()


def test_few_training_rows_give_no_components_of_rounding():
    x = batch(recordings((20,) * 6, 2))
    assert Blocks().fit(x, seed=0)["part0_axes"].shape == (40, 15)


def test_the_spectrogram_is_that_of_numpy():
    front_end = LogMel(sample_rate=100, n_mels=5, window=20, hop=8)
    rows = recordings((50, 33), 2)
    x = batch(rows)
    state = front_end.fit(x, seed=0)
    found = front_end(x, state)
    assert found.shape == (2, 7, 11)
    assert found[..., -1].sum(1).tolist() == [7, 5]
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 50 / 700), 7) / 2595) - 1)
    frequencies = np.arange(17) * 100 / 32
    filters = [np.interp(frequencies, edges[m : m + 3], [0, 1, 0]) for m in range(5)]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(20) / 20)
    for row, spectrogram in zip(rows, found.numpy(), strict=True):
        for frame in range(-(-len(row) // 8)):
            piece = np.zeros((20, 2))
            cut = row[8 * frame : 8 * frame + 20]
            piece[: len(cut)] = cut
            spectrum = np.fft.rfft(piece * window[:, None], 32, axis=0)
            power = np.abs(spectrum) ** 2 / (window**2).sum()
            mels = np.log([[f @ power[:, c] + 1e-6 for f in filters] for c in range(2)]).ravel()
            scaled = (mels - state["mean"].numpy()) / state["scale"].numpy()
            np.testing.assert_allclose(spectrogram[frame, :-1], scaled, atol=1e-4)
    observed = found[found[..., -1] > 0][:, :-1]
    torch.testing.assert_close(observed.mean(0), torch.zeros(10), atol=1e-4, rtol=0)
    torch.testing.assert_close(observed.std(0, correction=0), torch.ones(10), atol=1e-4, rtol=0)


def test_names_and_objects():
    assert isinstance(as_front_end("blocks"), Blocks)
    made = Convolved(n_dilations=2)
    assert as_front_end(made) is made
    with pytest.raises(ValueError, match="Did you mean 'convolved'"):
        as_front_end("convolvd")
    with pytest.raises(TypeError, match="front_end=3; expected one of"):
        as_front_end(3)


@pytest.mark.parametrize(
    "made, message",
    [
        (Convolved(n_dilations=0), "n_dilations=0; expected a positive integer"),
        (Convolved(n_thresholds=0), "n_thresholds=0; expected a positive integer"),
        (Spectral(n_bands=0), "n_bands=0; expected a positive integer"),
        (Spectral(n_lags=0), "n_lags=0; expected a positive integer"),
        (Values(most_columns=0), "most_columns=0; expected a positive integer"),
        (Blocks(n_components=0), "n_components=0; expected a positive integer"),
        (Blocks(parts=()), "expected a tuple such as"),
        (Blocks(parts="values"), "expected a tuple such as"),
        (Blocks(weights=(1.0,)), "for 3 parts; expected one each"),
        (Blocks(weights=(1.0, 0.0, 1.0)), "each of weights=0.0; expected a positive number"),
        (Blocks(parts=(LogMel(),), weights=(1.0,)), "gives recordings, not features"),
        (Blocks(parts=("spectrl",), weights=(1.0,)), "Did you mean 'spectral'"),
        (LogMel(hop=0), "hop=0; expected a positive integer"),
        (LogMel(sample_rate=0), "sample_rate=0; expected a positive number"),
        (LogMel(n_mels=200), "n_mels=200 is too many for a window of up to 512 steps"),
    ],
    ids=str,
)
def test_errors_name_the_parameter_and_the_cure(made, message):
    with pytest.raises(ValueError, match=message):
        made.fit(batch(recordings((20, 20))), seed=0)


@pytest.mark.parametrize("name", ALL)
def test_rows_that_are_no_recordings_are_refused(name, states):
    with pytest.raises(ValueError, match="a front end needs recordings"):
        ALL[name].fit(torch.ones(5, 8), seed=0)
    with pytest.raises(ValueError, match="a front end needs recordings"):
        ALL[name](torch.ones(5, 8, 8, 3), states[name])


@pytest.mark.parametrize("name", OF_FEATURES)
def test_the_transformer_scales_then_computes_features(name):
    rows = [10 + 5 * row for row in recordings()]
    made = RecordingFeatures(name, random_state=3).fit(rows)
    steps = np.concatenate(rows)
    scaled = [(row - steps.mean(0)) / steps.std(0) for row in rows]
    expected = made.front_end_(batch(scaled), made.state_)
    np.testing.assert_allclose(made.transform(rows), expected, atol=1e-4)
    again = RecordingFeatures(as_front_end(name), random_state=3).fit_transform(rows)
    np.testing.assert_array_equal(again, made.transform(rows))


def test_the_transformer_takes_lists_and_arrays_and_keeps_scikit_learns_habits():
    X = np.random.default_rng(0).normal(size=(30, 25, 2))
    y = np.arange(30) % 2
    X[y == 1] = np.cumsum(X[y == 1], axis=1) / 5
    made = RecordingFeatures("spectral", random_state=0).fit(X)
    np.testing.assert_array_equal(made.transform(list(X)), made.transform(X))
    padded = np.pad(X, ((0, 0), (0, 6), (0, 0)), constant_values=np.nan)
    np.testing.assert_allclose(made.transform(padded), made.transform(X), atol=1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).transform(X), made.transform(X))
    frame = clone(made).set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(made.get_feature_names_out())
    assert frame.columns[0] == "recordingfeatures0"
    pipeline = make_pipeline(RecordingFeatures(random_state=0), LogisticRegression(max_iter=500))
    assert pipeline.fit(X[:20], y[:20]).score(X[20:], y[20:]) > 0.8


def test_the_transformer_names_what_is_wrong():
    with pytest.raises(ValueError, match="'log-mel' gives recordings, not a table"):
        RecordingFeatures("log-mel").fit(recordings())
    made = RecordingFeatures("values").fit(recordings())
    with pytest.raises(ValueError, match="recordings of 2 channels; expected 3"):
        made.transform(recordings(n_channels=2))
    with pytest.raises(ValueError, match=r"expected recordings of shape \(n, time, channels\)"):
        made.fit(np.ones((4, 5)))
    endless = recordings()
    endless[2][4, 1] = np.inf
    with pytest.raises(ValueError, match=r"X\[2\] has infinite values"):
        made.transform(endless)
