"""Regressions for mixed tables: against closed forms, a naive loop and what a density must be."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from sklearn_mi import MIEstimator
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.regressions import Layout, RegressionRatio, _Column, _Logit
from sklearn_mi.information.tables import TableReader

LETTERS = np.array(list("abcdefgh"))


def noisy_copy(rng, n, k, p):
    """Return labels, and others that are equal to them with probability p."""
    a = rng.integers(k, size=n)
    return a, np.where(rng.random(n) < p, a, (a + rng.integers(1, k, size=n)) % k)


def information_of_copy(k, p):
    return math.log(k) + p * math.log(p) + (1 - p) * math.log((1 - p) / (k - 1))


def location(rng, n, noise=0.5):
    """Return a class and a number a side, and the true log-ratio of each row."""
    a, b = noisy_copy(rng, n, 3, 0.7)
    x = rng.normal(size=n)
    m = x + noise * rng.normal(size=n)
    X = pd.DataFrame({"n": x, "c": LETTERS[a]})
    Y = pd.DataFrame({"m": m, "d": LETTERS[b]})
    true = np.where(a == b, math.log(3 * 0.7), math.log(3 * 0.15))
    true = true + norm.logpdf(m, x, noise) - norm.logpdf(m, 0, math.hypot(1, noise))
    return X, Y, true


def categories(rng, n, k=4, p=0.6, columns=4):
    sides = zip(*(noisy_copy(rng, n, k, p) for _ in range(columns)), strict=True)
    frames = (pd.DataFrame({f"{j}": LETTERS[c] for j, c in enumerate(side)}) for side in sides)
    return *frames, columns * information_of_copy(k, p)


def fitted(X, Y, target="Y", train=slice(None, None, 2)):
    """Return regressions of some rows, and what its encoders read of all of them."""
    tables = TableReader("X", X), TableReader("Y", Y)
    layouts = Layout.of(tables[0].columns(X)), Layout.of(tables[1].columns(Y))
    A, B = tables[0](X), tables[1](Y)
    ratio = RegressionRatio(target, layouts, (A[train], B[train]), (A[1::4], B[1::4]), 0)
    x, y = (encode(rows) for encode, rows in zip(ratio.encoders, (A, B), strict=True))
    return ratio, x, y


@pytest.mark.parametrize("target", ["X", "Y"])
def test_the_log_ratio_is_that_of_the_location_model(target):
    X, Y, true = location(np.random.default_rng(0), 4000)
    ratio, x, y = fitted(X, Y, target)
    found = ratio.pairs(x, y).numpy()
    assert np.corrcoef(found[1::2], true[1::2])[0, 1] > 0.98
    assert found[1::2].mean() == pytest.approx(true[1::2].mean(), abs=0.03)
    assert ratio.own_mean == pytest.approx(true[::2].mean(), abs=0.03)


@pytest.mark.parametrize("target", ["X", "Y"])
def test_cells_pairs_and_the_matrix_agree(target):
    X, Y, _ = location(np.random.default_rng(1), 200)
    ratio, x, y = fitted(X, Y, target)
    matrix = ratio(x[:30], y[:40])
    slow = torch.stack([ratio.pairs(x[i].expand(40, -1), y[:40]) for i in range(30)])
    torch.testing.assert_close(matrix, slow)
    columns = torch.arange(30)[:, None] + torch.arange(5)
    torch.testing.assert_close(ratio.cells(x[:30], y, columns), matrix.gather(1, columns))


def test_densities_of_categories_sum_to_one():
    X, Y, _ = categories(np.random.default_rng(2), 400, k=3, columns=2)
    ratio, x, _ = fitted(X, Y)
    every = np.array(
        [
            [i == k for k in range(3)] + [j == k for k in range(3)]
            for i in range(3)
            for j in range(3)
        ]
    )
    cells = ratio.encoders[1](every.astype(float))
    log_p = cells[:, -1]
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-9)
    given = (ratio(x[:50], cells) + log_p).exp().sum(1)
    np.testing.assert_allclose(given.numpy(), 1, atol=1e-9)


@pytest.mark.parametrize("make", [categories, lambda rng, n: (*location(rng, n)[:2], None)])
def test_new_and_own_means_lie_about_the_truth(make):
    means, truths = [], []
    for seed in range(6):
        X, Y, truth = make(np.random.default_rng(seed), 400)
        ratio, x, y = fitted(X, Y)
        means.append([ratio.pairs(x, y)[1::2].mean(), ratio.own_mean])
        truths.append(information_of_copy(3, 0.7) + 0.5 * math.log(5) if truth is None else truth)
    new, own = np.mean(means, axis=0)
    assert new < own
    assert (new + own) / 2 == pytest.approx(np.mean(truths), abs=0.08)


def test_independent_tables_have_a_log_ratio_near_0():
    rng = np.random.default_rng(3)
    X, Y = categories(rng, 400)[0], categories(rng, 400)[1]
    ratio, x, y = fitted(X, Y)
    assert abs(float(ratio.pairs(x, y)[1::2].mean())) < 0.02
    assert float(ratio(x[:20], y[:20]).std()) > 0


def test_coefficients_are_those_of_a_logistic_regression():
    rng = np.random.default_rng(4)
    F = np.hstack([np.ones((3000, 1)), rng.normal(size=(3000, 2))])
    p = 1 / (1 + np.exp(-(F @ [0.3, 1.0, -2.0])))
    labels = (rng.random(3000) < p).astype(int)
    statistics = np.array([[0.0], [1.0]])
    found = _Logit(F, np.array([0, 1, 2]), labels, statistics).coefficients(np.zeros(1, int))[0]
    known = LogisticRegression(C=1e8, tol=1e-10, fit_intercept=False).fit(F, labels)
    np.testing.assert_allclose(found, known.coef_[0], rtol=0.02, atol=0.01)


def test_a_number_with_a_spread_that_depends_on_a_class():
    rng = np.random.default_rng(5)
    a, b = noisy_copy(rng, 4000, 2, 0.9)
    m = np.where(a == 1, 3.0, 0.5) * rng.normal(size=4000)
    X = pd.DataFrame({"c": LETTERS[a], "u": rng.normal(size=4000)})
    Y = pd.DataFrame({"m": m, "d": LETTERS[b]})
    ratio, x, y = fitted(X, Y)
    of_b = np.stack([np.where(b == k, 0.9, 0.1) for k in (0, 1)])
    joint = of_b * norm.pdf(m, scale=[[0.5], [3.0]])
    true = np.log(joint[a, np.arange(4000)] / joint.mean(0))
    assert float(ratio.pairs(x, y)[1::2].mean()) == pytest.approx(true[1::2].mean(), abs=0.05)


def test_layout_reads_indicators_back_and_tells_unknown_categories():
    frame = pd.DataFrame({"c": list("abca"), "n": [1.5, 2.0, 0.0, 3.0], "d": list("uvuv")})
    reader = TableReader("X", frame)
    layout = Layout.of(reader.columns(frame))
    assert layout == Layout(1, (3, 1))
    new = pd.DataFrame({"c": list("zb"), "n": [1.0, 2.0], "d": ["u", "w"]})
    with pytest.warns(UserWarning, match="fit did not see"):
        columns = layout.columns(reader(new))
    assert [values.tolist() for values, _ in columns] == [[1.0, 2.0], [-1.0, 1.0], [0.0, -1.0]]
    assert layout.fits(reader(frame)) and not layout.fits(np.zeros((4, 3)))


def test_an_unknown_category_tells_nothing():
    column = _Column(np.array([0.0, 1.0, 2.0] * 20), nominal=True)
    features, _ = column.features(np.array([-1.0, 1.0]))
    assert not features[0].any() and features[1].any()


def test_few_values_are_labels_and_many_are_numbers():
    rng = np.random.default_rng(6)
    likert = _Column(rng.integers(1, 6, 300).astype(float), nominal=False)
    assert not likert.is_free and likert.labels(np.array([0.0, 2.4, 9.0])).tolist() == [0, 1, 4]
    values = rng.normal(size=300)
    inflated = _Column(np.where(values > 0, values, 0.0), nominal=False)
    assert inflated.is_free and inflated.levels.tolist() == [0.0]
    assert inflated.labels(np.array([0.0, 0.5])).tolist() == [0, 1]


def test_the_layout_of_a_table_without_categories():
    coded = Coded(np.zeros((3, 2)), np.zeros(2, dtype=bool))
    assert Layout.of(coded) == Layout(2, ())


def test_the_estimator_takes_regressions_for_categories_beside_numbers():
    X, Y, true = location(np.random.default_rng(7), 400)
    estimator = MIEstimator("closed-form", n_folds=3, split_test=False, random_state=0).fit(X, Y)
    low, high = estimator.mi_.interval
    assert low < information_of_copy(3, 0.7) + 0.5 * math.log(5) < high
    assert estimator.candidates_ is not None
    assert estimator.mi_.value == pytest.approx(true.mean(), abs=0.06)
    assert {"regressions of X", "regressions of Y"} <= set(estimator.candidates_["candidate"])
    new, other = location(np.random.default_rng(8), 300)[:2]
    assert estimator.pointwise(new, other).shape == (300,)
    assert estimator.score(new, other) > 0.7
    new.loc[0, "c"] = "unseen"
    with pytest.warns(UserWarning, match="none of those known"):
        assert np.isfinite(estimator.pointwise(new, other)).all()


def test_tables_of_numbers_have_no_regressions():
    X = np.random.default_rng(9).normal(size=(200, 2))
    Y = X + np.random.default_rng(10).normal(size=(200, 2))
    estimator = MIEstimator("closed-form", n_folds=2, split_test=False, random_state=0).fit(X, Y)
    assert estimator.candidates_ is not None
    assert not estimator.candidates_["candidate"].str.contains("regressions").any()


def test_four_groups_of_mixed_rows_have_a_number():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=12), "a": rng.choice(["u", "v"], 12)})
    Y = pd.DataFrame({"y": rng.normal(size=12), "b": rng.choice(["u", "v"], 12)})
    fitted = MIEstimator("closed-form", random_state=0).fit(X, Y, groups=np.arange(12) // 3)
    low, high = fitted.mi_.interval
    assert 0 <= low <= fitted.mi_.value <= high
