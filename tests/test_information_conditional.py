"""Conditional mutual information and its test: closed forms, quadrature, loops, simulation."""

import math

import numpy as np
import pytest
from scipy.special import digamma

from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.conditional import (
    _chi_square_interval,
    _gaussian_guess,
    _neighbors_local,
    _tabular_guess,
    conditional_guess,
)
from sklearn_mi.information.conditional_test import conditional_test


def coded(values, nominal=False):
    table = np.asarray(values, float)
    table = table[:, None] if table.ndim == 1 else table
    return Coded(table, np.full(table.shape[1], nominal))


def guess(x, y, z, **options):
    return conditional_guess(x, y, z, confidence=0.95, seed=0, **options)


def p_value(x, y, z, **options):
    return conditional_test(x, y, z, seed=0, **options)[0]


def normal(n, *width, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *width))


def partial(n, rho, seed=0):
    z, e, noise = normal(n, 3, seed=seed).T
    return coded(2 * z + e), coded(z + rho * e + math.sqrt(1 - rho**2) * noise), coded(z)


def opposite_slopes(n, seed=0):
    rng = np.random.default_rng(seed)
    k = rng.integers(0, 2, n)
    x, noise = rng.normal(size=(2, n))
    y = np.where(k == 1, 0.6, -0.6) * x + 0.8 * noise + 2 * k
    return coded(x), coded(y), k


def bits(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (2, n))


def as_written(x, y, z):
    """Return the plug-in by the definition, a loop over cells."""
    total = 0.0
    for a, b, c in {*zip(x, y, z, strict=True)}:
        joint = np.mean((x == a) & (y == b) & (z == c))
        sides = np.mean((x == a) & (z == c)) * np.mean((y == b) & (z == c))
        total += joint * math.log(joint * np.mean(z == c) / sides)
    return total


# Tables


@pytest.mark.parametrize("nominal", [True, False])
def test_xor_is_one_bit(nominal):
    a, b = bits(500)
    found = guess(*(coded(side, nominal) for side in (a, a ^ b, b)))
    assert found.value == pytest.approx(math.log(2), abs=0.01)
    assert found.interval[0] < math.log(2) < found.interval[1]
    assert p_value(*(coded(side, nominal) for side in (a, a ^ b, b))) < 0.01


def test_tables_are_counted_as_the_definition_says():
    rng = np.random.default_rng(1)
    x, y, z = rng.integers(0, 3, (3, 400))
    y = np.where(rng.random(400) < 0.3, x, y)
    found = guess(*(coded(side) for side in (x, y, z)))
    # All cells occur: Miller and Madow take away 2 * 2 * 3 degrees of freedom.
    assert found.value == pytest.approx(as_written(x, y, z) - 12 / 800)


def test_codes_of_z_do_not_count_as_numbers():
    x, y, k = opposite_slopes(1500)
    codes = np.array([7, 1])[k]
    found = guess(x, y, coded(codes))
    assert found.interval[0] < -0.5 * math.log(1 - 0.36) < found.interval[1]
    assert found.value == guess(x, y, coded(codes, nominal=True)).value


def test_permutations_keep_the_level_of_tables():
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        z = rng.integers(0, 2, 100)
        x, y = (rng.random((2, 100)) < 0.2 + 0.6 * z).astype(int)
        rejected += conditional_test(*map(coded, (x, y, z)), seed=seed)[0] < 0.05
    # Binomial(200, .05) exceeds 19 with a probability of .004.
    assert rejected <= 19


# Numbers


def test_partial_correlation():
    truth = -0.5 * math.log(1 - 0.25)
    found = guess(*partial(2000, 0.5))
    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.how == "gaussian copula given Z (in-sample)"
    assert p_value(*partial(300, 0.5)) < 0.001


def test_gaussian_bias_is_exact():
    # Five and two independent columns in 40 rows: the raw value is .15 too high.
    values = [
        _gaussian_guess(*np.split(normal(40, 7, seed=seed), [5], axis=1), 39, 0.95, None).value
        for seed in range(400)
    ]
    assert np.mean(values) == pytest.approx(0, abs=4 * np.std(values) / 20)


def test_interval_is_the_normal_one_far_from_zero_and_one_sided_at_zero():
    assert _chi_square_interval(1.0, 0.01, 1e4, 1, 1.0, 0.95) == pytest.approx(
        (1 - 0.0196, 1 + 0.0196), abs=1e-4
    )
    low, high = _chi_square_interval(0.0, 0.001, 1000, 1, 0.0, 0.95)
    assert low == 0 and 0.001 < high < 0.01


def test_chain_holds_zero():
    x = normal(400, 3)
    z = x[:, 0] + x[:, 1]
    sides = coded(x[:, 0]), coded(z + x[:, 2]), coded(z)
    found = guess(*sides)
    assert found.interval[0] == 0 <= found.value < 0.02
    assert p_value(*sides) > 0.01


def test_curved_common_cause_is_no_dependence():
    z, e, noise = normal(600, 3).T
    sides = coded(z**2 + 0.5 * e), coded(np.sin(2 * z) + 0.3 * noise), coded(z)
    assert guess(*sides).interval[0] == 0
    assert p_value(*sides) > 0.01


def test_product_by_quadrature():
    x, z, noise = normal(1000, 3).T
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    truth = weights @ (0.5 * np.log(1 + nodes**2 / 0.25)) / weights.sum()
    found = guess(coded(x), coded(x * z + 0.5 * noise), coded(z))
    assert found.how == "nearest neighbours given Z (in-sample)"
    assert found.interval[0] < truth < found.interval[1]


def test_neighbours_count_as_a_naive_loop_does():
    rng = np.random.default_rng(2)
    U, W = rng.normal(size=(2, 60, 1))
    y = rng.integers(0, 2, 60)
    zero = np.zeros(60, int)
    found = _neighbors_local(U, np.empty((60, 0)), W, np.stack([zero, y, zero]), 3)
    far_x, far_z = np.abs(U - U.T), np.abs(W - W.T)
    joint = np.maximum(far_x, far_z)
    for i in range(60):
        own = y == y[i]
        radius = np.sort(joint[i, own])[3]
        counts = [
            (far[i, rows] < radius).sum()
            for far, rows in ((joint, slice(None)), (far_z, own), (far_z, slice(None)))
        ]
        xz, yz, alone = digamma(counts)
        assert found[i] == pytest.approx(digamma(3) + alone - xz - yz)


def test_class_given_a_number():
    x, z = normal(800, 2).T
    y = np.random.default_rng(3).random(800) < 1 / (1 + np.exp(-(1.5 * x + z)))
    sides = coded(x + z), coded(y, nominal=True), coded(z)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    p = 1 / (1 + np.exp(-(1.5 * nodes[:, None] + nodes)))

    def entropy(q):
        return -q * np.log(q) - (1 - q) * np.log(1 - q)

    truth = weights @ entropy(weights @ p) - weights @ entropy(p) @ weights
    found = guess(*sides)
    assert found.interval[0] < truth < found.interval[1]
    assert p_value(*sides) < 0.001


@pytest.mark.parametrize("way", ["square", "product", "x of y"])
def test_sees_what_is_not_monotone(way):
    x, z, noise = normal(400, 3).T
    y = {"square": x**2 + z, "product": x * z, "x of y": x}[way] + 0.5 * noise
    x = y**2 + 0.5 * normal(400, seed=9) if way == "x of y" else x
    assert p_value(coded(x), coded(y), coded(z)) < 0.01


# Limits


@pytest.mark.parametrize("known", [lambda x, y: x, lambda x, y: -x, lambda x, y: np.exp(y)])
def test_nothing_is_left_once_z_holds_a_side(known):
    x, y = normal(100, 2).T
    sides = coded(x), coded(x + y), coded(known(x, x + y))
    assert guess(*sides).value == 0 < guess(*sides).interval[1]
    assert p_value(*sides) == 1


def test_constant_z_leaves_the_unconditional_number():
    x, y = normal(1000, 2).T
    sides = coded(x), coded(x + y), coded(np.ones(1000))
    found = guess(*sides)
    assert found.interval[0] < 0.5 * math.log(2) < found.interval[1]
    assert p_value(*sides) < 0.01


@pytest.mark.parametrize("exact", [lambda x, z: x, lambda x, z: x * z, lambda x, z: x**2 + z])
def test_an_exact_relation_says_at_least(exact):
    x, z = normal(500, 2).T
    found = guess(coded(x), coded(exact(x, z)), coded(z))
    assert found.at_least and found.interval[1] == math.inf


def test_what_does_not_fit_is_left_to_others():
    x = normal(200, 8)
    many_classes = coded(np.arange(200) // 2, nominal=True)
    assert guess(many_classes, coded(x[:, 0]), coded(x[:, 1])) is None
    # Six columns, and no Gaussian copula.
    assert guess(coded(x[:, :3] ** 3), coded(np.abs(x[:, :2])), coded(x[:, 7])) is None


def test_rows_of_a_group_count_once():
    once = normal(60, 3)
    sides = [coded(np.repeat(side, 10)) for side in once.T]
    groups = np.repeat(np.arange(60), 10)
    single = guess(*map(coded, once.T))
    assert guess(*sides, groups=groups).stderr == pytest.approx(single.stderr, rel=0.5)
    assert p_value(*sides, groups=groups) > 0.01


def test_tables_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="10, 10 and 9 rows"):
        guess(coded(np.arange(10)), coded(np.arange(10)), coded(np.arange(9)))


# Coverage


def test_intervals_of_tables_with_rare_cells_hold():
    # Treatment, recovery and size of kidney stones (Simpson's paradox), 200 rows.
    good, all_of = np.array([[81, 234], [192, 55]]), np.array([[87, 270], [263, 80]])
    p = np.stack([all_of - good, good]) / 700  # y, z, x
    both = p.sum((0, 2), keepdims=True)
    truth = (p * np.log(p * both / (p.sum(0, keepdims=True) * p.sum(2, keepdims=True)))).sum()
    rng, held = np.random.default_rng(0), 0
    for _ in range(150):
        y, z, x = np.unravel_index(rng.choice(8, 200, p=p.ravel()), p.shape)
        low, high = guess(*(coded(side, True) for side in (x, y, z))).interval
        held += low <= truth <= high
    assert held >= 134


def test_rare_cells_given_z_leave_no_bias():
    rng, values = np.random.default_rng(1), []
    p, q = rng.dirichlet([2] * 4, 3), rng.dirichlet([2] * 4, 3)
    for _ in range(80):
        z = rng.integers(0, 3, 240)
        x, y = ((rng.random((240, 1)) > side[z].cumsum(1)).sum(1) for side in (p, q))
        values.append(_tabular_guess(x, y, z, 0.95, None).value)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(80)
