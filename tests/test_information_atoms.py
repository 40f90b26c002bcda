import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm
from sklearn.metrics import mutual_info_score

from sklearn_mi.information.atoms import Coded, atom_labels, break_ties, combine, find_atoms
from sklearn_mi.information.plugin import BinnedCritic, TableCritic, plug_in, table_guess

LIKERT = 0.5867  # from its ten cells, see test_truth_of_the_likert_items


def coded(column, nominal=False):
    values = np.asarray(column, dtype=float).reshape(len(column), -1)
    return Coded(values, np.full(values.shape[1], nominal))


def likert(n, rng):
    x = rng.integers(1, 6, n)
    return x, np.clip(np.abs(x - 3) + 1 + rng.integers(0, 2, n), 1, 5)


def coin(flip):
    def draw(n, rng):
        x = rng.integers(0, 2, n)
        return x, x ^ (rng.random(n) < flip)

    return draw


def coin_information(flip):
    return math.log(2) + sum(p * math.log(p) for p in (flip, 1 - flip) if p)


# Atoms


@pytest.mark.parametrize(
    "draw, atoms",
    [
        (lambda rng: rng.normal(size=500), []),
        (lambda rng: rng.normal(size=500).round(1), []),
        (lambda rng: rng.poisson(8, 500), []),
        (lambda rng: np.maximum(rng.normal(size=500), 0), [0]),
        (lambda rng: rng.normal(size=500).clip(-0.5, 0.5), [-0.5, 0.5]),
        (lambda rng: np.where(rng.random(500) < 0.5, 0, 5 + rng.poisson(20, 500)), [0]),
        (lambda rng: rng.integers(1, 6, 500), [1, 2, 3, 4, 5]),
        (lambda rng: np.full(500, 3.0), [3]),
    ],
    ids=["continuous", "rounded", "counts", "half", "clipped", "inflated", "likert", "constant"],
)
@pytest.mark.parametrize("seed", range(3))
def test_atoms_stand_out_from_their_neighbours(draw, atoms, seed):
    assert find_atoms(np.asarray(draw(np.random.default_rng(seed)), float)).tolist() == atoms


def test_labels_combine_columns_and_say_what_is_continuous():
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=200), 0)
    group = rng.integers(0, 40, 200)
    labels, free = atom_labels(Coded(np.column_stack([x, group]), np.array([False, True])))
    expected = combine(np.array([x == 0, group]))
    assert np.array_equal(combine(np.array([labels, expected])), combine(expected[None]))
    assert np.array_equal(free, np.column_stack([x > 0, np.zeros(200, bool)]))


def test_broken_ties_keep_the_order_and_are_random_within_a_value():
    x = np.repeat([2.0, 0.0, 1.0], 300)
    scores = break_ties(x, np.random.default_rng(0))
    assert np.allclose(np.sort(scores), norm.ppf((np.arange(900) + 0.5) / 900))
    assert scores[x == 0].max() < scores[x == 1].min() < scores[x == 1].max() < scores[x == 2].min()
    assert abs(np.corrcoef(scores[:300], np.arange(300))[0, 1]) < 0.2


# The plug-in


def test_truth_of_the_likert_items():
    cells = np.zeros((5, 5))
    for x in range(1, 6):
        for more in (0, 1):
            cells[x - 1, min(abs(x - 3) + 1 + more, 5) - 1] += 0.1
    outer = np.outer(cells.sum(1), cells.sum(0))
    seen = cells > 0
    information = cells[seen] @ np.log(cells[seen] / outer[seen])
    assert information == pytest.approx(LIKERT, abs=1e-4)


def test_plug_in_is_that_of_frequencies_less_the_correction():
    x, y = likert(800, np.random.default_rng(0))
    cells = len(np.unique(np.column_stack([x, y]), axis=0))
    expected = mutual_info_score(x, y) - (cells - len(np.unique(x)) - len(np.unique(y)) + 1) / 1600
    guess = plug_in(x, y, confidence=0.95)
    assert guess.value == pytest.approx(expected)
    assert "in-sample" in guess.how
    named = plug_in(np.array([*"abcdef"])[y], x.astype(float), confidence=0.95)
    assert named.value == pytest.approx(expected)


@pytest.mark.parametrize(
    "draw, truth, n",
    [
        (likert, LIKERT, 500),
        (coin(0.5), 0.0, 200),
        (coin(0.45), coin_information(0.45), 200),
        (coin(0.2), coin_information(0.2), 200),
        (coin(0), math.log(2), 200),
        (lambda n, rng: rng.integers(1, 6, (2, n)), 0.0, 500),
        (lambda n, rng: np.floor(6 * rng.random((2, n)) ** 3), 0.0, 500),
    ],
    ids=["likert", "independent", "weak", "strong", "copy", "table", "skewed"],
)
def test_interval_of_the_plug_in_covers(draw, truth, n):
    rng = np.random.default_rng(1)
    guesses = [plug_in(*draw(n, rng), confidence=0.95) for _ in range(120)]
    held = [g.interval[0] <= truth <= g.interval[1] for g in guesses]
    assert np.mean(held) >= 0.9
    assert all(g.interval[0] <= g.value <= g.interval[1] > g.interval[0] >= 0 for g in guesses)


def test_limits_near_independence_agree_with_the_test_of_independence():
    rng = np.random.default_rng(2)
    for _ in range(40):
        x, y = coin(0.43)(200, rng)
        table = np.histogram2d(x, y, 2)[0]
        p_value = chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
        assert (plug_in(x, y, confidence=0.95).interval[0] > 0) == (p_value < 0.025)


def test_no_value_is_above_an_entropy():
    x = np.arange(300) % 3
    for y in (x, x % 2, -x):
        guess = plug_in(x, y, confidence=0.95)
        p = np.unique(y, return_counts=True)[1] / 300
        assert guess.value == pytest.approx(-p @ np.log(p), abs=1 / 300)
        assert guess.interval[1] > guess.interval[0]
    assert plug_in(x, np.ones(300), confidence=0.95).interval == (0, 0)


def test_repeated_rows_add_nothing():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        x, y = np.repeat(rng.integers(0, 4, (2, 100)), 10, axis=1)
        groups = np.repeat(np.arange(100), 10)
        held += plug_in(x, y, confidence=0.95, groups=groups).interval[0] == 0
    assert held >= 54
    one, ten = (
        plug_in(np.repeat(x[::10], k), np.repeat(y[::10], k), confidence=0.95, n_effective=100)
        for k in (1, 10)
    )
    assert one.interval == pytest.approx(ten.interval, abs=0.01)


@pytest.mark.parametrize("n", [8, 20, 200])
def test_names_of_rows_tell_nothing_and_say_so(n):
    guess = plug_in(np.arange(n), np.arange(n), confidence=0.95)
    assert guess.interval[0] == 0
    assert guess.interval[1] > math.log(n)
    assert "alone" in guess.warnings[0]


def test_tables_are_those_with_few_cells_seen_once():
    rng = np.random.default_rng(0)
    x, y = likert(500, rng)
    guess = table_guess(coded(x), coded(y), confidence=0.95, seed=0)
    assert guess == table_guess(coded(x, True), coded(y), confidence=0.95, seed=0)
    both = coded(np.column_stack([x, 3 * x]))
    assert table_guess(both, coded(y), confidence=0.95, seed=0) == guess
    assert table_guess(coded(rng.normal(size=500)), coded(y), confidence=0.95, seed=0) is None
    assert table_guess(coded(np.ones(500)), coded(rng.normal(size=500)), confidence=0.95).value == 0


# Critics


def test_table_critic_on_new_rows_is_the_log_ratio():
    rng = np.random.default_rng(0)
    critic = TableCritic().fit(*likert(4000, rng))
    x, y = likert(4000, rng)
    assert critic.pairs(x, y).mean() == pytest.approx(LIKERT, abs=0.03)
    p = np.bincount(y, minlength=6) / 4000
    assert critic.pairs([3], [1])[0] == pytest.approx(math.log(0.5 / p[1]), abs=0.1)
    assert critic.pairs([3], [4])[0] < -3
    assert critic.pairs([9, 3], [1, 5]).tolist() == [0, 0]
    scores = critic.matrix(x[:30], y[:20])
    assert np.array_equal(scores, [[critic.pairs([i], [j])[0] for j in y[:20]] for i in x[:30]])


def test_table_critic_of_unrelated_labels_claims_little():
    rng = np.random.default_rng(0)
    a, b, new_a, new_b = rng.integers(0, 10, (4, 500))
    assert abs(TableCritic().fit(a, b).pairs(new_a, new_b).mean()) < 0.02


def test_table_critic_normalises_over_labels():
    a, b = likert(300, np.random.default_rng(0))
    critic = TableCritic().fit(a, b)
    p_a, p_b = (np.bincount(side, minlength=6)[1:] / 300 for side in (a, b))
    labels = np.arange(1, 6)
    assert p_a @ np.exp(critic.matrix(labels, labels)) @ p_b == pytest.approx(1)


def test_binned_critic_is_below_the_truth_and_near_it():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 8000))
    x, y = np.maximum(z[0], 0), 0.8 * z[0] + 0.6 * z[1]
    critic = BinnedCritic().fit(coded(x[:4000]), coded(y[:4000]))
    value = critic.pairs(coded(x[4000:]), coded(y[4000:])).mean()
    assert 0.3 < value < -0.5 * math.log(1 - 0.64)
    scores = critic.matrix(coded(x[:5]), coded(y[:5]))
    assert np.array_equal(np.diag(scores), critic.pairs(coded(x[:5]), coded(y[:5])))
    words = BinnedCritic().fit(coded([0, 0, 1, 1] * 9, True), coded([5, 5, 6, 6] * 9, True))
    assert words.pairs(coded([7], True), coded([5], True))[0] == 0
