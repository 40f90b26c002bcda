import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binomtest
from sklearn.datasets import load_iris

from sklearn_mi.information.serial import (
    autocorrelation_time,
    block_folds,
    block_length,
    block_standard_error,
    check_blocks,
    effective_size,
    serial_warning,
    shift_p_value,
    split_in_order,
)


def autoregressive(phi, n, seed, n_columns=1):
    noise = np.random.default_rng(seed).normal(size=(n + 2000, n_columns))
    return lfilter([1], [1, -phi], noise, axis=0)[2000:]


def two(phi, n, seed):
    return np.hsplit(autoregressive(phi, n, seed, 2), 2)


# How far rows depend on one another


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.9])
def test_autocorrelation_time_is_bartletts_sum(phi):
    truth = (1 + phi**2) / (1 - phi**2)
    times = [autocorrelation_time(*two(phi, 4000, seed)) for seed in range(10)]
    assert np.mean(times) == pytest.approx(truth, rel=0.12)


def test_autocorrelation_time_equals_a_sum_over_lags():
    # A short series with one decisive pair of columns: no distance from the middle in two values.
    x = np.repeat(np.random.default_rng(0).integers(0, 2, 60), 5)[:, None]
    z = (x - x.mean())[:, 0] / x.std()
    rho = [z[k:] @ z[: len(z) - k] / len(z) for k in range(1, len(z) // 2 + 1)]
    times = 1 + 2 * np.concatenate([[0], np.cumsum(np.square(rho))])
    end = np.argmax(np.arange(len(times)) >= 5 * times)
    assert autocorrelation_time(x, x) == pytest.approx(times[end])


def test_one_side_of_independent_rows_is_enough():
    x, y = autoregressive(0.99, 2000, 0), np.random.default_rng(1).normal(size=(2000, 1))
    assert autocorrelation_time(x, y) < 1.2
    assert serial_warning(x, y) is None


def test_autocorrelation_of_the_spread_counts():
    sizes = np.exp(autoregressive(0.95, 3000, 0, 2))
    signs = np.random.default_rng(1).normal(size=(3000, 2))
    x, y = np.hsplit(sizes * signs, 2)
    assert autocorrelation_time(x, y) > 2
    assert autocorrelation_time(x, signs[:, 1:]) < 1.2


def test_one_slow_column_among_many_counts():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(1000, 9)), autoregressive(0.9, 1000, 1)])
    assert autocorrelation_time(X, autoregressive(0.9, 1000, 2)) > 6


def test_images_text_and_constants_are_read():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 5, 6, 1))
    assert autocorrelation_time(images, np.array(list("abcabcab"))) >= 1
    assert autocorrelation_time(np.ones((50, 2)), rng.normal(size=(50, 1))) == 1
    assert serial_warning(np.ones((50, 2)), np.arange(50.0)[:, None]) is None


def test_effective_size_gives_fishers_z_its_variance():
    draws = [two(0.9, 500, seed) for seed in range(200)]
    z = [
        np.arctanh(np.corrcoef(x.T, y.T)[0, 1]) * np.sqrt(effective_size(x, y) - 3)
        for x, y in draws
    ]
    inside = int(np.sum(np.abs(z) < 1.96))
    assert binomtest(inside, 200, 0.95).pvalue > 1e-3


def test_effective_size_of_a_cycle_is_small():
    t = np.arange(1000)[:, None]
    assert effective_size(np.sin(t / 8), np.cos(t / 8)) < 20


# The warning


@pytest.mark.parametrize(("n", "n_columns"), [(8, 3), (60, 1), (100, 30), (1000, 2)])
def test_independent_rows_are_not_warned_of(n, n_columns):
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, n_columns))
        found += serial_warning(X, X + rng.normal(size=X.shape)) is not None
    # A probability of .5 % gives more than 4 of 100 once in 6,000.
    assert found <= 4


def test_rare_events_are_not_warned_of():
    found = 0
    for seed in range(100):
        x, y = (np.random.default_rng(seed).random((2, 1000, 1)) < 0.005).astype(float)
        found += serial_warning(x, y) is not None
    assert found <= 4


@pytest.mark.parametrize(("phi", "n"), [(0.9, 100), (0.99, 2000), (0.6, 500), (-0.9, 500)])
def test_series_are_warned_of_with_the_cure(phi, n):
    x, y = two(phi, n, 0)
    warning = serial_warning(x, y)
    assert warning.startswith(f"each row is like the rows before it on both sides: {n} rows")
    assert "blocks='auto'" in warning


def test_sorted_rows_are_told_to_be_shuffled():
    X, y = load_iris(return_X_y=True)
    assert "sorted by a column" in serial_warning(X, y)
    assert "shuffle the rows" in serial_warning(X, y)
    order = np.random.default_rng(0).permutation(150)
    assert serial_warning(X[order], y[order]) is None
    x = np.sort(np.random.default_rng(0).normal(size=(300, 1)), axis=0)
    assert "sorted by a column" in serial_warning(x, x + np.random.default_rng(1).normal(size=1))


# Blocks


@pytest.mark.parametrize(
    ("blocks", "groups", "message"),
    [
        (51, None, "blocks=51 with n_samples=100; expected at most half of the rows, 50."),
        (0, None, "blocks=0; expected None, 'auto' or a positive integer"),
        (2.5, None, "blocks=2.5; expected"),
        (True, None, "blocks=True; expected"),
        ("long", None, "blocks='long'; expected"),
        (10, np.zeros(100), "blocks and groups were both passed"),
        ("auto", np.zeros(100), "blocks and groups were both passed"),
    ],
)
def test_blocks_that_cannot_be(blocks, groups, message):
    with pytest.raises(ValueError, match=message):
        check_blocks(blocks, 100, groups)


def test_blocks_that_can_be():
    for blocks in (None, "auto", 1, 50, np.int64(7)):
        check_blocks(blocks, 100)
    check_blocks(None, 100, np.zeros(100))


def test_block_length_is_several_times_long_and_leaves_rows():
    lengths = [block_length(*two(0.9, 2000, seed)) for seed in range(10)]
    assert all(12 <= length <= 30 for length in lengths)  # 2 x 9.5 = 19
    assert block_length(*two(0.999, 800, 0)) == 100
    assert block_length(*two(0.0, 8, 0)) == 1


@pytest.mark.parametrize(("n", "length", "n_folds"), [(100, 5, 5), (2000, 200, 5), (80, 1, 4)])
def test_no_training_row_is_near_a_reported_row(n, length, n_folds):
    fold_of, kept = block_folds(n, length, n_folds)
    assert np.bincount(fold_of).tolist() == [n // n_folds] * n_folds
    for k, rows in enumerate(kept):
        reported = np.flatnonzero(fold_of == k)
        assert np.diff(reported).max() == 1
        distance = np.abs(rows[:, None] - reported).min()
        assert distance == length + 1
        assert len(rows) >= n - len(reported) - 2 * length


@pytest.mark.parametrize(("n", "length"), [(8, 1), (8, 4), (100, 50), (100, 30), (2000, 900)])
def test_long_blocks_leave_half_of_the_other_rows(n, length):
    fold_of, kept = block_folds(n, length, 5)
    assert fold_of.max() + 1 == max(2, min(5, n // max(length, 4)))
    for k, rows in enumerate(kept):
        assert len(rows) >= (fold_of != k).sum() / 2
        assert not np.isin(np.flatnonzero(fold_of == k), rows).any()


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_stopping_rows_are_one_run_with_a_gap(fold):
    kept = block_folds(300, 10, 3)[1][fold]
    train, stop = split_in_order(kept, 10, 0.2)
    assert len(stop) == round(0.2 * len(kept))
    assert np.diff(stop).max() == 1
    assert np.abs(train[:, None] - stop).min() == 11
    assert len(train) == len(kept) - len(stop) - 10
    assert np.isin(train, kept).all() and np.isin(stop, kept).all()


# Errors of means


@pytest.mark.parametrize(("phi", "length"), [(0.0, 2), (0.8, 20), (-0.5, 6)])
def test_block_standard_error_is_that_of_the_mean(phi, length):
    n, draws = 600, autoregressive(phi, 600, 0, 400)
    errors = np.array([block_standard_error(values, length) for values in draws.T])
    assert np.mean(errors) == pytest.approx(1 / (1 - phi) / np.sqrt(n), rel=0.2)
    assert np.mean(np.abs(draws.mean(0)) < 1.96 * errors) > 0.92


def test_block_standard_error_of_blocks_of_one_row_is_the_usual_one():
    values = np.random.default_rng(0).normal(size=400)
    usual = values.std(ddof=1) / 20
    assert block_standard_error(values, 1) == pytest.approx(usual, rel=0.01)


# The p-value


def test_shift_p_value_equals_a_loop():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(7, 7))
    centred = np.array([[s - row.mean() for s in row] for row in scores])
    centred = np.array([[s - column.mean() for s in column] for column in centred.T]).T
    circle = [*range(7), *reversed(range(7))]
    totals = [sum(centred[t, circle[(t + s) % 14]] for t in range(7)) for s in range(14)]
    p_value, statistic, n_shifts = shift_p_value(scores)
    assert p_value == np.mean(np.array(totals) >= totals[0])
    assert shift_p_value(scores + np.arange(7) - 3 * np.arange(7)[:, None])[0] == p_value
    assert statistic == pytest.approx(np.trace(scores) / 7 - scores.mean())
    assert n_shifts == 14


def rejected(make, n_draws=400, n=300):
    p_values = []
    for seed in range(n_draws):
        x, y = make(n, seed)
        p_values.append(shift_p_value(np.outer(x + 1, y - 2))[0])
    return int(np.sum(np.array(p_values) <= 0.05))


@pytest.mark.parametrize("phi", [0.0, 0.9, 0.98])
def test_shift_p_value_holds_its_level(phi):
    assert binomtest(rejected(lambda n, seed: two(phi, n, seed)), 400, 0.05).pvalue > 1e-3


def test_shift_p_value_holds_its_level_for_random_walks():
    def walks(n, seed):
        return np.random.default_rng(seed).normal(size=(2, n)).cumsum(axis=1)

    assert rejected(walks) <= 0.1 * 400


def test_shift_p_value_finds_a_dependence():
    def driven(n, seed):
        x = autoregressive(0.9, n, seed)
        return x, x + 2 * autoregressive(0.9, n, 1000 + seed)

    assert rejected(driven, n_draws=50) > 25


def test_shift_p_value_of_constant_scores_is_1():
    assert shift_p_value(np.full((20, 20), 0.3))[0] == 1.0
