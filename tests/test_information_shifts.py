"""Series that are parted: loops, Bartlett's sum, and coverage by simulation."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import autoregressive_pairs
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.closed import copula_guess
from sklearn_mi.information.neighbors import few_columns_guess
from sklearn_mi.information.plugin import table_guess
from sklearn_mi.information.serial import block_length
from sklearn_mi.information.shifts import (
    ChiSquare,
    chi_square,
    number_of_shifts,
    over_shifts,
    table_rows,
    whitened,
)


def coded(values, nominal=False):
    table = np.asarray(values, float).reshape(len(values), -1)
    return Coded(table, np.full(table.shape[1], nominal))


def autoregressive(phi, n, seed, n_columns=1):
    noise = np.random.default_rng(seed).normal(size=(n + 1000, n_columns))
    return lfilter([1], [1, -phi], noise, axis=0)[1000:]


def chain(stay, n, rng, n_states=3):
    """Return a Markov chain that moves to any state with probability 1 - stay."""
    moves = rng.random(n) > stay
    moves[0] = True
    last = np.maximum.accumulate(np.where(moves, np.arange(n), 0))
    return rng.integers(0, n_states, n)[last]


# Shifts


def test_shifts_part_partners_by_a_block():
    orders = over_shifts(lambda order: order, 200, 30)
    apart = np.abs(orders - np.arange(200))
    assert orders.shape == (60, 200) and np.minimum(apart, 200 - apart).min() == 30
    assert (np.sort(orders, axis=1) == np.arange(200)).all()
    assert len(np.unique(orders[:, 0])) == 60


def test_fewer_shifts_of_many_rows():
    assert [number_of_shifts(n) for n in (100, 4000, 10**6)] == [60, 50, 10]
    assert number_of_shifts(100, 24) == 24
    # A block of half of the rows leaves shifts nevertheless.
    assert len(np.unique(over_shifts(lambda order: order[0], 40, 20))) == 21


def test_chi_square_has_the_moments_of_the_estimates():
    draws = np.random.default_rng(0).chisquare(3, 100_000) / (2 * 50)
    found = ChiSquare.of(draws, 10)
    assert found.freedom == pytest.approx(3, rel=0.02)
    assert found.rows == pytest.approx(50, rel=0.03)
    assert ChiSquare.of(draws, 2).freedom == 2


def test_chi_square_equals_a_loop():
    U, V = np.hsplit(autoregressive(0.7, 90, 0, 3), [1])
    first, second = whitened(U), whitened(V)
    assert np.allclose(second.T @ second / 90, np.eye(2))
    shifts = np.linspace(10, 80, 200).astype(int)
    values = []
    for shift in shifts:
        moved = np.concatenate([V[-shift:], V[:-shift]])
        fitted = np.linalg.lstsq(np.column_stack([np.ones(90), moved]), U, rcond=None)[1][0]
        values.append(-0.5 * math.log(fitted / ((U - U.mean()) ** 2).sum()))
    found = chi_square(U, V, 10)
    assert found.mean == pytest.approx(np.mean(values))
    assert first.shape == (90, 1)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_rows_that_count_are_bartletts(correlation):
    pairs = autoregressive_pairs(0.9, correlation)
    means = [chi_square(*pairs.sample(1000, random_state=seed), 20).mean for seed in range(40)]
    # 1,000 (1 - phi^2) / (1 + phi^2) rows, and 2 n' times the mean is 1.
    assert 1 / (2 * np.mean(means)) == pytest.approx(1000 * 0.19 / 1.81, rel=0.15)


def test_constant_series_have_no_information():
    X, Y = np.ones((50, 1)), autoregressive(0.5, 50, 0)
    assert chi_square(X, Y, 5).mean == 0
    assert table_rows(coded(X, True), coded(np.arange(50) % 2, True), 5) == 50


# What it is for


@pytest.mark.parametrize(
    ("phi", "correlation", "width", "n"),
    [(0.9, 0.0, 1, 300), (0.9, 0.6, 2, 300), (0.97, 0.0, 5, 600), (0.97, 0.6, 1, 600)],
)
def test_copulas_of_series_are_right(phi, correlation, width, n):
    pairs, values, held = autoregressive_pairs(phi, correlation), [], 0
    truth = width * pairs.true_mi
    for seed in range(40):
        draws = [pairs.sample(n, random_state=100 * seed + k) for k in range(width)]
        X, Y = (np.hstack(side) for side in zip(*draws, strict=True))
        local = np.random.default_rng(seed).normal(size=n) * 1e-3
        how = {"confidence": 0.95, "seed": 0, "block": block_length(X, Y)}
        guess = copula_guess("gaussian", X, Y, local, **how)
        values.append(guess.value)
        held += guess.interval[0] <= truth <= guess.interval[1]
    assert held >= 35
    # A value is never below 0, so independent series have a small mean above it.
    error = 3 * np.std(values) / math.sqrt(40)
    assert abs(np.mean(values) - truth) < error + (0.05 if truth == 0 else 0)


def neighbors(x, y, **how):
    return few_columns_guess(coded(x), coded(y), confidence=0.95, **how)


def test_neighbours_of_slow_series_are_parted():
    parted, plain = [], []
    for seed in range(8):
        x, y = autoregressive(0.98, 400, seed, 2).T
        guess = neighbors(x, y, block=block_length(x, y))
        parted.append(guess.value)
        plain.append(neighbors(x, y).value)
        assert guess.interval[0] == 0
    assert np.mean(plain) > 0.15 and np.mean(parted) < np.mean(plain) / 2


def test_neighbours_see_what_series_share():
    truth = autoregressive_pairs(0.9, 0.6).true_mi
    values, held = [], 0
    for seed in range(8):
        x, y = autoregressive_pairs(0.9, 0.6).sample(400, random_state=seed)
        guess = neighbors(x, y, block=20)
        values.append(guess.value)
        held += guess.interval[0] <= truth <= guess.interval[1]
    assert held >= 6
    assert np.mean(values) == pytest.approx(truth, abs=0.08)


def test_chains_count_as_bartletts_rows():
    rng, rows = np.random.default_rng(0), []
    for _ in range(20):
        a, b = (coded(chain(0.8, 2000, rng), True) for _ in range(2))
        rows.append(1 / table_rows(a, b, 20))
    # Each contrast of a chain has autocorrelations stay^k.
    assert 1 / np.mean(rows) == pytest.approx(2000 * (1 - 0.64) / (1 + 0.64), rel=0.1)


@pytest.mark.parametrize("copied", [0.0, 0.5])
def test_plug_in_of_chains_is_right(copied):
    rng, values, held = np.random.default_rng(1), [], 0
    cells = np.full((3, 3), (1 - copied) / 9) + copied * np.eye(3) / 3
    truth = float((cells * np.log(9 * cells)).sum())
    for _ in range(60):
        x = chain(0.8, 500, rng)
        other = chain(0.8, 500, rng) if copied == 0 else rng.integers(0, 3, 500)
        y = np.where(rng.random(500) < copied, x, other)
        x, y = coded(x, True), coded(y, True)
        how = {"n_effective": table_rows(x, y, 10), "block": 10}
        guess = table_guess(x, y, confidence=0.95, **how)
        values.append(guess.value)
        held += guess.interval[0] <= truth <= guess.interval[1]
    assert held >= 54
    assert np.mean(values) == pytest.approx(truth, abs=0.02)


def test_a_series_has_no_refutation_and_a_wide_one_counts_its_blocks():
    rng = np.random.default_rng(0)
    slow = lfilter([1], [1, -0.9], rng.normal(size=(300, 90)), axis=0)
    X, Y = slow[:, :60], slow[:, 60:]
    series = MIEstimator("closed-form", random_state=0).fit(X, Y, blocks="auto")
    assert np.isnan(series.refutation_.p_value) and np.isnan(series.certified_limit_)
    assert series.mi_.interval[0] == 0
    assert not any("refuted" in text for text in series.mi_.warnings)
