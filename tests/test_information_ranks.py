"""Tests of what ranks lose of strong dependence."""

import math

import numpy as np
import pytest

from sklearn_mi.information.copulas import NormalScores, canonical_correlations
from sklearn_mi.information.ranks import rank_error


def scores_of(rho, n, d, seed):
    """Return normal scores of Gaussian tables, the second one turned, and their information."""
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(2, n, d))
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(d, d)))[0]
    Y = (rho * X + math.sqrt(1 - rho**2) * noise) @ turn
    U, V = (NormalScores().fit_transform(side) for side in (X, Y))
    return U, V, -0.5 * d * math.log1p(-(rho**2))


def information(found):
    return -0.5 * float(np.log1p(-found.squared).sum())


@pytest.mark.parametrize(("rho", "n", "d"), [(0.99, 100, 1), (0.999, 500, 1), (0.99, 500, 3)])
def test_what_is_lost_is_made_good(rho, n, d):
    missing, left, spreads = [], [], []
    for seed in range(20):
        U, V, truth = scores_of(rho, n, d, seed)
        found = canonical_correlations(U, V)
        lost = rank_error(U, V, found, seed)
        missing.append(truth - information(found))
        left.append(missing[-1] - lost.loss)
        spreads.append(lost.spread)
    error = np.std(left, ddof=1) / math.sqrt(20)
    assert np.mean(missing) > 4 * error
    assert abs(np.mean(left)) < 3.5 * error
    assert 0 < np.mean(spreads) < np.std(left)


def test_weak_dependence_loses_nothing_that_counts():
    U, V, _ = scores_of(0.6, 500, 2, 0)
    assert rank_error(U, V, canonical_correlations(U, V), 0) == (0.0, 0.0, 0.0, True)


def test_a_loss_that_ranks_cannot_tell_leaves_the_interval_open():
    U, V, truth = scores_of(0.999, 100, 3, 0)
    found = canonical_correlations(U, V)
    lost = rank_error(U, V, found, 0)
    assert not lost.is_resolved
    low, high = lost.interval(information(found), 0.9 * information(found), 99.0, 1.96)
    assert low < truth and high == math.inf


def test_an_interval_moves_by_the_loss_and_grows_by_its_error():
    U, V, truth = scores_of(0.99, 200, 1, 0)
    found = canonical_correlations(U, V)
    lost = rank_error(U, V, found, 0)
    value = information(found)
    low, high = lost.interval(value, value - 0.2, value + 0.2, 1.96)
    assert low < value + lost.loss - 0.2 and high > value + lost.loss + 0.2
    assert low < truth < high
