import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import VIEWS, AugmentRecording, Compose, TimeLag, as_view
from sklearn_mi.views.steps import (
    add_noise,
    crop_time,
    mask_channels,
    mask_frequencies,
    mask_time,
    scale_channels,
)

LENGTHS = [12, 1, 7, 8, 3, 2]
CHANGES = [crop_time, scale_channels, add_noise, mask_time, mask_channels, mask_frequencies]
EVERYTHING = AugmentRecording((0.4, 0.9), 0.2, 0.1, 0.3, 0.3, 0.2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def recordings(lengths=LENGTHS, n_channels=2, width=12):
    """Return recordings of some lengths; no value of an observed step is zero."""
    x = torch.randn(len(lengths), width, n_channels, generator=generator())
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).float()[..., None]
    return torch.cat([(x + 5) * mask, mask], dim=2)


def equal(n, length=12, n_channels=1):
    """Return n equal recordings 1, 2, ... of each channel."""
    values = torch.arange(1.0, length + 1)[None, :, None].expand(n, length, n_channels)
    return torch.cat([values, torch.ones(n, length, 1)], dim=2)


@pytest.mark.parametrize("change", CHANGES)
def test_results_are_recordings_and_draws_the_generators_own(change):
    x, before = recordings(), torch.get_rng_state()
    holed = x.clone()
    holed[0, 3:5] = 0.0
    for given in (x, holed):
        made = change(given, generator())
        mask = made[..., -1]
        assert made.shape == x.shape and made.isfinite().all()
        assert set(mask.unique().tolist()) <= {0.0, 1.0} and (mask.sum(1) >= 1).all()
        assert not made[mask == 0].any()
        assert (mask.sum(1) <= given[..., -1].sum(1)).all()
        assert torch.equal(made, change(given, generator()))
        assert not torch.equal(made, change(given, generator(1)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", CHANGES)
def test_every_row_has_its_own_draw(change):
    x = recordings([12] * 1, n_channels=6).expand(64, 12, 7)
    assert len(change(x, generator()).unique(dim=0)) > 8


def test_a_crop_is_a_stretch_of_the_observed_steps_moved_to_the_start():
    x = recordings([12, 7, 1] * 50)
    for seed in range(3):
        for whole, crop in zip(x, crop_time(x, generator(seed), (0.3, 0.8)), strict=True):
            n, length = int(whole[:, -1].sum()), int(crop[:, -1].sum())
            assert crop[:length, -1].all() and not crop[length:].any()
            assert max(1, 0.3 * n) <= length <= np.ceil(0.8 * n)
            starts = [i for i in range(n) if torch.equal(whole[i], crop[0])]
            assert any(torch.equal(whole[i : i + length], crop[:length]) for i in starts)


def test_lengths_and_starts_of_crops_are_uniform():
    crops = crop_time(equal(4000, 100), generator(), (0.2, 0.7))
    length = crops[..., -1].sum(1)
    start = crops[:, 0, 0] - 1
    assert stats.kstest((length - 20.5) / 50, "uniform").pvalue > 0.01
    assert stats.kstest((start + 0.5) / (100 - length + 1), "uniform").pvalue > 0.01


def test_two_crops_of_a_recording_overlap():
    view = AugmentRecording(crop=(0.1, 0.3))
    first, second = view(equal(500, 40), None, None, generator())
    assert not torch.equal(first, second)
    for one, other in torch.stack([first, second], dim=1)[..., 0].tolist():
        assert set(one) & set(other) - {0}


def test_a_hole_in_a_recording_stays_in_its_crop():
    x = equal(200, 12)
    x[:, 5] = 0.0
    crops = crop_time(x, generator(), (1.0, 1.0))
    assert torch.equal(crops, x)
    for crop in crop_time(x, generator(), (0.5, 0.9)):
        first = int(crop[0, 0])
        expected = torch.where((torch.arange(12) + first == 6), 0.0, torch.arange(12.0) + first)
        length = int(crop[:, -1].nonzero().max()) + 1
        assert torch.equal(crop[:length, 0], expected[:length])


def test_factors_are_uniform_one_for_each_channel():
    x = recordings([12] * 500, n_channels=3)
    factors = scale_channels(x, generator(), 0.4)[..., :-1] / x[..., :-1]
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert stats.kstest((factors[:, 0].flatten() - 0.6) / 0.8, "uniform").pvalue > 0.01


def test_noise_is_normal_at_observed_steps():
    x = recordings([12, 5] * 200)
    noise = (add_noise(x, generator(), 0.3) - x)[..., :-1]
    seen = x[..., -1] > 0
    assert not noise[~seen].any()
    assert stats.kstest(noise[seen].flatten() / 0.3, "norm").pvalue > 0.01


def test_one_span_of_observed_steps_is_hidden():
    x = equal(300, 20)
    hidden = mask_time(x, generator(), 0.4)[..., -1] == 0
    for row in hidden:
        places = row.nonzero().flatten().tolist()
        assert 1 <= len(places) <= 8 and places == list(range(places[0], places[-1] + 1))
    assert len(hidden.sum(1).unique()) == 8 and hidden.any(0).all()


def test_channels_are_masked_at_their_rate_and_one_stays():
    x = recordings([12] * 4000, n_channels=5)
    zero = (mask_channels(x, generator(), 0.3)[..., :-1] == 0).all(1)
    assert zero.sum(1).max() < 5
    expected = 5 * 0.3 - 0.3**5  # all five at once leave one
    assert abs(zero.sum(1).float().mean() - expected) < 0.06
    assert (mask_channels(x[..., 3:], generator(), 0.9) == x[..., 3:])[..., :2].any(1).any(1).all()


def test_a_band_of_the_spectrum_is_removed_and_the_mean_stays():
    x = recordings([16] * 60, n_channels=2, width=16)
    before = np.fft.rfft(x[..., :-1].numpy(), axis=1)
    after = np.fft.rfft(mask_frequencies(x, generator(), 0.5)[..., :-1].numpy(), axis=1)
    np.testing.assert_allclose(after[:, 0], before[:, 0], rtol=1e-4)
    removed = np.abs(after) < 1e-3
    np.testing.assert_allclose(after[~removed], before[~removed], rtol=1e-2, atol=1e-3)
    numbers = set()
    for row, channel in np.ndindex(60, 2):
        bins = np.flatnonzero(removed[row, :, channel])
        assert len(bins) <= 5 and (not len(bins) or np.ptp(bins) == len(bins) - 1)
        numbers |= set(bins.tolist())
    assert numbers == set(range(1, 9))


def test_the_view_applies_its_changes_in_turn():
    x, view = recordings(), AugmentRecording(crop=(0.5, 1.0), scale=0.2, noise=0.1)
    first, second = view(x, None, None, generator())
    draws = generator()
    anchor = torch.rand(len(x), generator=draws)
    for made in (first, second):
        cropped = crop_time(x, draws, (0.5, 1.0), anchor)
        assert torch.equal(made, add_noise(scale_channels(cropped, draws, 0.2), draws, 0.1))
    assert view.inputs(x, None)[0] is x


def test_the_named_recipe():
    view = VIEWS["recording"]()
    assert repr(view) == repr(AugmentRecording(crop=(0.5, 1.0), scale=0.2, noise=0.1))
    assert repr(clone(view)) == repr(view) and view.takes == "recordings"


def test_after_a_view_that_pairs_recordings_both_are_changed():
    view = Compose("same-group", EVERYTHING)
    x, x_prime = recordings(), recordings([5] * 6)
    first, second = view((x, x_prime), None, None, generator())
    assert (first[..., -1].sum(1) <= x[..., -1].sum(1)).all()
    assert (second[..., -1].sum(1) <= 5).all() and not torch.equal(second, x_prime)
    assert view.takes == "recordings"


def test_caveats_follow_the_noise():
    for view in (AugmentRecording(noise=0.1), EVERYTHING):
        assert view.adds_own_noise and len(view.caveats(None)) == 1
    quiet = AugmentRecording(crop=(0.5, 1.0))
    assert not quiet.adds_own_noise and "infinite" in quiet.caveats(None)[1]
    assert len(quiet.caveats(None, shares_values=False)) == 1


@pytest.mark.parametrize(
    "params, message",
    [
        ({"crop": (0.0, 1.0)}, r"crop=\(0.0, 1.0\); expected two increasing numbers in \(0, 1\]"),
        ({"crop": (0.9, 0.5)}, "expected two increasing numbers"),
        ({"crop": 0.5}, "crop=0.5; expected two increasing numbers"),
        ({"crop": ("a", 1)}, "expected two increasing numbers"),
        ({"scale": 1.0}, r"scale=1.0; expected a number in \[0, 0.9\]"),
        ({"noise": -0.1}, "noise=-0.1; expected a number of at least 0"),
        ({"mask_time": 1.5}, "mask_time=1.5; expected a number in"),
        ({"mask_channels": -1}, "mask_channels=-1; expected a number in"),
        ({"mask_frequencies": 2}, "mask_frequencies=2; expected a number in"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        AugmentRecording(**params).fit(recordings())


@pytest.mark.parametrize(
    "view, shape, message",
    [
        (EVERYTHING, (12,), r"needs recordings, but a row has shape \(12,\); pass X of shape"),
        (EVERYTHING, (8, 8, 3), "needs recordings"),
        (AugmentRecording(), (12, 3), "changes nothing in recordings of 2 channels"),
        (AugmentRecording(mask_channels=0.5), (12, 2), "changes nothing in recordings of 1 chan"),
    ],
)
def test_rows_that_are_no_recordings_or_do_not_change_are_refused(view, shape, message):
    with pytest.raises(ValueError, match=message):
        view.shapes(shape, None)
    assert EVERYTHING.shapes((12, 3), None) == ((12, 3), (12, 3))


def test_a_table_is_refused_in_one_sentence():
    X = np.random.default_rng(0).normal(size=(60, 4))
    with pytest.raises(ValueError, match="takes recordings, but it gets rows of shape"):
        MIRepresentationLearner(2, view="recording", max_steps=1).fit(X)


def test_recordings_end_to_end():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(rng.integers(3, 12), 2)) for _ in range(60)]
    for encoder in ("conv1d", "gru"):
        learner = MIRepresentationLearner(
            4, view="recording", encoder=encoder, front_end=None, max_steps=5, random_state=0
        )
        Z = learner.fit(X).transform(X)
        assert Z.shape == (60, 4)
        np.testing.assert_allclose(learner.transform(X[::-1])[::-1], Z, rtol=1e-4, atol=1e-5)


def test_a_time_lag_has_a_window():
    assert TimeLag().window == 1 and as_view("same").window == 1
    assert Compose(TimeLag(window=5), "noise").window == 5
    for window, error in ((0, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match=f"window={window}; expected a positive integer"):
            TimeLag(window=window).fit(torch.zeros(5, 2))
