import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import digamma
from scipy.stats import norm
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import beyond_normal
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.neighbors import (
    _ross,
    few_columns_guess,
    neighbors_mi,
    over_permutations,
)

TASKS = beyond_normal()


def guess(x, y, nominal=(False, False), **options):
    sides = (np.asarray(side, dtype=float).reshape(len(side), -1) for side in (x, y))
    tables = [Coded(s, np.full(s.shape[1], n)) for s, n in zip(sides, nominal, strict=True)]
    return few_columns_guess(*tables, **{"confidence": 0.95, "seed": 0} | options)


def pair(rho):
    def draw(n, rng):
        z = rng.normal(size=(2, n))
        return z[0], rho * z[0] + math.sqrt(1 - rho**2) * z[1]

    return draw


def normal_information(rho):
    return -0.5 * math.log(1 - rho**2)


def held(draw, truth, n, n_draws=24, **options):
    rng = np.random.default_rng(5)
    guesses = [guess(*draw(n, rng), **options) for _ in range(n_draws)]
    assert all(g.interval[0] <= g.value <= g.interval[1] > g.interval[0] >= 0 for g in guesses)
    return np.mean([g.interval[0] <= truth <= g.interval[1] for g in guesses])


# The formulas


def test_ksg_by_a_naive_loop():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 2)), rng.normal(size=(60, 1))
    local = neighbors_mi(X, Y, 3)
    for i in range(60):
        apart = [np.abs(side - side[i]).max(axis=1) for side in (X, Y)]
        radius = np.sort(np.maximum(*apart))[3]
        n_x, n_y = ((distance < radius).sum() - 1 for distance in apart)
        assert local[i] == pytest.approx(
            digamma(3) + digamma(60) - digamma(n_x + 1) - digamma(n_y + 1)
        )


def test_ksg_counts_right_where_sums_are_rounded():
    # On a grid of tenths, many distances equal the radius up to the last bit.
    rng = np.random.default_rng(0)
    x, y = (rng.permutation(300) * 0.1 for _ in range(2))
    local = neighbors_mi(x[:, None], y[:, None], 3)
    apart = [np.abs(side[:, None] - side) for side in (x, y)]
    radius = np.sort(np.maximum(*apart), axis=1)[:, [3]]
    n_x, n_y = ((distance < radius).sum(axis=1) for distance in apart)
    assert np.allclose(local, digamma(3) + digamma(300) - digamma(n_x) - digamma(n_y))


def test_ross_against_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    x = labels + rng.normal(size=400)
    theirs = mutual_info_classif(x[:, None], labels, n_neighbors=3, random_state=0)[0]
    # They count a row at the radius itself, the k-th neighbour, and not the row.
    ours = _ross(x[:, None], labels, np.array([3])).mean()
    assert ours == pytest.approx(theirs, abs=0.02)


def test_ties_do_not_break_ksg():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 1000, 1)).round(1)
    assert neighbors_mi(A, B).shape == (1000,)
    assert abs(neighbors_mi(A, B).mean()) < 0.06
    with pytest.raises(ValueError, match="n_neighbors=0; expected a positive integer"):
        neighbors_mi(A, B, 0)


# Any columns


def class_information():
    """Integrate: three classes, and a normal column whose mean is the class."""

    def mixture(t):
        return np.mean([norm.pdf(t - m) for m in range(3)])

    return quad(lambda t: -mixture(t) * math.log(mixture(t)), -9, 11)[0] - norm.entropy()


def in_classes(n, rng):
    labels = rng.integers(0, 3, n)
    return labels + rng.normal(size=n), labels


def half_zero(n, rng):
    zero = rng.random(n) < 0.5
    return (np.where(zero, 0, side) for side in pair(0.8)(n, rng))


def product_of_signs(n, rng):
    x = rng.normal(size=(n, 2))
    return x, np.sign(x).prod(axis=1) + 0.1 * rng.normal(size=n)


CASES = {
    "continuous": (pair(0.6), normal_information(0.6)),
    "independent": (pair(0), 0.0),
    "weak": (pair(0.2), normal_information(0.2)),
    "rounded": (lambda n, rng: [side.round(1) for side in pair(0)(n, rng)], 0.0),
    "three classes": (in_classes, class_information()),
    # The atoms tell log 2, the other half of the rows the rest.
    "half atoms": (half_zero, math.log(2) + normal_information(0.8) / 2),
    "one side half": (lambda n, rng: (next(half_zero(n, rng)), rng.normal(size=n)), 0.0),
    "additive": (
        lambda n, rng: TASKS["1v1-additive-0.1"].sample(n, random_state=int(rng.integers(9999))),
        TASKS["1v1-additive-0.1"].true_mi,
    ),
    # Edges in three columns; noise of .1 hides nothing.
    "product of signs": (product_of_signs, math.log(2)),
}


@pytest.mark.parametrize("n", [60, 300])
@pytest.mark.parametrize("case", CASES)
def test_intervals_cover(case, n):
    assert held(*CASES[case], n) >= 0.875


@pytest.mark.parametrize("name", ["1v1-additive-0.1", "1v1-additive-0.75", "1v1-bimodal-0.75"])
def test_tasks_of_beyond_normal(name):
    truth = TASKS[name].true_mi
    found = [guess(*TASKS[name].sample(5000, random_state=seed)) for seed in range(10)]
    assert np.mean([g.value for g in found]) == pytest.approx(truth, abs=0.02)
    assert sum(g.interval[0] <= truth <= g.interval[1] for g in found) >= 8
    assert np.median([g.interval[1] - g.interval[0] for g in found]) < 0.085


def test_likert_items_get_the_plug_in():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 6, 1000).astype(float)
    y = np.clip(np.abs(x - 3) + 1 + rng.integers(0, 2, 1000), 1, 5).astype(float)
    found = guess(x, y)
    assert found.how == "plug-in (in-sample)"
    # Ten cells, five and four labels occur: (10 - 5 - 4 + 1) / 2n is taken off.
    assert found.value == pytest.approx(mutual_info_score(x, y) - 2 / 2000)


@pytest.mark.parametrize("n", [60, 500])
def test_integers_and_floats_either_way_round_agree(n):
    rng = np.random.default_rng(0)
    y = rng.normal(size=n)
    x, y = np.round(8 * y), y + rng.normal(size=n)
    found = [guess(x, y), guess(y, x), guess(x.astype(int), y)]
    assert found[0].value == found[2].value
    assert found[0].value == pytest.approx(found[1].value, abs=found[0].stderr)


@pytest.mark.parametrize("n", [40, 200, 2000])
@pytest.mark.parametrize("relation", [np.array, np.square, np.exp])
def test_an_exact_relation_is_at_least(relation, n):
    x = np.random.default_rng(0).normal(size=n)
    found = guess(x, relation(x))
    assert found.at_least
    assert found.interval[1] == math.inf
    assert found.interval[0] > 0.5
    assert "deterministic" in found.warnings[0]


def test_no_noisy_relation_is_at_least():
    rng = np.random.default_rng(0)
    for rho in (0, 0.9, 0.99):
        assert not any(guess(*pair(rho)(300, rng)).at_least for _ in range(10))


@pytest.mark.parametrize("n", [8, 20])
def test_few_rows_and_rare_labels_are_wide(n):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    for labels in (np.arange(n), np.arange(n) // 2, np.r_[0, np.ones(n - 1)]):
        found = guess(labels, x, (True, False))
        assert np.isfinite(found.interval).all()
        assert found.interval[0] <= found.value <= found.interval[1]
        assert found.interval[1] - found.interval[0] > 0.1
    assert guess(np.ones(n), x).interval == (0, 0)


def test_a_class_and_two_columns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 800)
    X = np.column_stack([labels + rng.normal(size=800), rng.normal(size=800)])
    one, two = guess(X[:, 0], labels, (False, True)), guess(X, labels, (False, True))
    assert two.value == pytest.approx(one.value, abs=2 * one.stderr)
    assert two.interval[1] < math.log(2)


def test_groups_widen():
    x, y = pair(0.5)(200, np.random.default_rng(0))
    x, y = (np.repeat(side, 4) + 1e-6 * np.arange(800) for side in (x, y))
    plain, grouped = guess(x, y), guess(x, y, groups=np.repeat(np.arange(200), 4))
    assert grouped.stderr > 1.4 * plain.stderr


# The test of independence


def test_the_test_sees_what_no_copula_does():
    X, y = product_of_signs(400, np.random.default_rng(0))
    fitted = MIEstimator("closed-form", random_state=0).fit(X, y)
    assert fitted.test_independence().p_value < 0.01
    low, high = fitted.mi_.interval
    assert 0.2 < low < math.log(2) < high


def test_permuted_means_are_as_those_of_independent_rows():
    rng = np.random.default_rng(1)
    below = []
    for _ in range(60):
        x, y = (Coded(rng.normal(size=(80, d)), np.zeros(d, bool)) for d in (2, 1))
        own, *permuted = over_permutations(x, y, rng, 19)
        below.append(np.mean(np.array(permuted) >= own))
    assert 0.4 < np.mean(below) < 0.6
    assert len(over_permutations(x, y, rng, 0)) == 1
