import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, spearmanr
from sklearn.datasets import load_wine
from sklearn.feature_selection import SelectFdr, SelectKBest, mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mi._base import MIWarning
from sklearn_mi.datasets import correlated_gaussian
from sklearn_mi.information import (
    MIEstimator,
    MutualInfoSelector,
    mutual_info_features,
    mutual_info_table,
)
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.independence import IndependenceTest, _Functions, _moments


def coded(values, nominal=False):
    values = np.asarray(values, dtype=float).reshape(len(values), -1)
    return Coded(values, np.full(values.shape[1], nominal))


# The test of independence


@pytest.mark.parametrize("kind", ["ranks", "category"])
def test_moments_are_those_of_all_permutations(kind):
    rng = np.random.default_rng(0)
    x = coded(rng.normal(size=60).round())
    y = coded(rng.normal(size=60)) if kind == "ranks" else coded(rng.geometric(0.4, 60), True)
    first, second = (_Functions.of(side, rng) for side in (x, y))
    p, q = first.up_to(4), second.up_to(4)
    U, V = first.values[:, :p], second.values[:, :q]
    orders = rng.permuted(np.tile(np.arange(60), (20_000, 1)), axis=1)
    drawn = (np.einsum("nip,iq->npq", U[orders], V) ** 2).sum(axis=(1, 2))
    sides = (p, float((U**2).sum(1) @ (U**2).sum(1))), (q, float((V**2).sum(1) @ (V**2).sum(1)))
    mean, variance = _moments(*sides, 60)
    assert drawn.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 20_000))
    assert drawn.var() == pytest.approx(variance, rel=0.06)


def column(kind, size, rng):
    draws = {
        "normal": lambda: rng.normal(size=size),
        "heavy": lambda: rng.standard_cauchy(size),
        "tied": lambda: rng.normal(size=size).round(),
        "binary": lambda: rng.random(size) < 0.3,
        "class": lambda: rng.integers(0, 5, size),
        "inflated": lambda: np.where(rng.random(size) < 0.6, 0, rng.lognormal(size=size)),
    }
    return draws[kind]()


@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize(
    ("kind", "of_y"), [("normal", "heavy"), ("tied", "class"), ("binary", "normal")]
)
def test_p_values_are_uniform_under_independence(n, kind, of_y):
    rng = np.random.default_rng(n)
    found = []
    for _ in range(4):
        test = IndependenceTest(coded(column(of_y, n, rng), of_y == "class"))
        found += [test(coded(x)).p_value for x in column(kind, (150, n), rng)]
    # Four standard errors of 600 draws.
    assert 0.014 < np.mean(np.array(found) < 0.05) < 0.086


SHAPES = {
    "line": lambda x, e: x + 2 * e,
    "parabola": lambda x, e: x**2 + 0.7 * e,
    "wave": lambda x, e: np.sin(8 * np.pi * x) + 0.5 * e,
    "fine wave": lambda x, e: np.sin(30 * np.pi * x) + 0.2 * e,
    "spread": lambda x, e: e * np.exp(x),
    "class": lambda x, e: np.abs(x) + 0.1 * e > 0.5,
    "step": lambda x, e: (x > 0.8) + 0.5 * e,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_dependence_of_any_shape_is_seen_on_both_sides(shape):
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 400)
    y = SHAPES[shape](x, rng.normal(size=400))
    for first, second in ((x, y), (y, x)):
        assert IndependenceTest(coded(second))(coded(first)).p_value < 1e-4


def test_groups_count_as_the_rows_they_are():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    y = rng.normal(size=40)[groups]
    with_groups, without = IndependenceTest(coded(y), groups), IndependenceTest(coded(y))
    noise = [coded(rng.normal(size=40)[groups]) for _ in range(60)]
    assert np.mean([with_groups(x).p_value < 0.05 for x in noise]) < 0.15
    assert np.mean([without(x).p_value < 0.05 for x in noise]) > 0.6
    assert with_groups(coded(y + rng.normal(size=400))).p_value < 1e-3


# Scores and tables


def bent(n=500, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 40))
    y = X[:, 0] + 0.7 * X[:, 1] ** 2 + 0.3 * X[:, 2] + 0.15 * X[:, 3] + rng.normal(size=n)
    return X, y


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_monotone_is_ranked(seed):
    X, y = bent(seed=seed)
    selector = SelectKBest(mutual_info_features, k=2).fit(X, y)
    assert np.flatnonzero(selector.get_support()).tolist() == [0, 1]
    found = SelectFdr(mutual_info_features, alpha=0.05).fit(X, y).get_support()
    assert found[:2].all() and found[4:].sum() <= 3


def test_weak_columns_have_the_information_of_the_closed_form():
    rng = np.random.default_rng(0)
    rho = np.sqrt(1 - np.exp(-2 * 0.02))
    y = rng.normal(size=1000)
    X = rho * y[:, None] + np.sqrt(1 - rho**2) * rng.normal(size=(1000, 25))
    table = mutual_info_table(X, y)
    assert abs(table["value"].mean() - 0.02) < 0.005
    assert ((table["low"] <= 0.02) & (table["high"] >= 0.02)).mean() > 0.85
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    assert table["lower_limit"].isna().all()


def test_classes_are_classes_whatever_they_are_called():
    X, y = load_wine(return_X_y=True, as_frame=True)
    table = mutual_info_table(X, y)
    named = mutual_info_table(X, y.map(lambda k: f"cultivar {k}"))
    pd.testing.assert_frame_equal(table, named)
    assert list(table.index) == list(X.columns)
    peer = mutual_info_classif(X, y, random_state=0)
    assert spearmanr(table["value"], peer).statistic > 0.9
    np.testing.assert_allclose(
        table["p_adjusted"], false_discovery_control(table["p_value"].to_numpy())
    )


def test_columns_of_every_kind():
    rng = np.random.default_rng(0)
    counts, text = rng.poisson(2, 400), rng.choice(list("uvw"), 400)
    inflated = np.where(rng.random(400) < 0.5, 0, rng.lognormal(size=400))
    X = pd.DataFrame({"counts": counts, "text": text, "inflated": inflated, "constant": 1.0})
    y = counts + 2.0 * (text == "u") + 2.0 * (inflated == 0) + rng.normal(size=400)
    table = mutual_info_table(X, y)
    assert (table["p_value"][:3] < 1e-4).all() and table["p_value"].iloc[3] == 1
    assert (table["low"][:3] > 0).all() and table["value"].iloc[3] == 0


def test_a_class_that_is_a_square_is_its_entropy():
    x = np.random.default_rng(0).normal(size=(800, 1))
    table = mutual_info_table(x, x[:, 0] ** 2 > 1)
    share = np.mean(x**2 > 1)
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert table["value"].iloc[0] == pytest.approx(entropy, abs=0.03)
    assert table["p_value"].iloc[0] < 1e-50


def test_a_wide_target_is_held_against_its_columns():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    Y = np.column_stack([X[:, 0], X[:, 1] ** 2, np.zeros(300)]) + 0.7 * noise
    Y = np.hstack([Y, rng.normal(size=(300, 3))])
    table = mutual_info_table(X, Y)
    # A parabola has no correlation; the closed form alone is near 0.
    assert table["value"].iloc[1] > 0.2 and table["high"].iloc[1] == np.inf
    assert "column 1 of Y alone" in table["warnings"].iloc[1]
    assert table["value"].iloc[0] == pytest.approx(-0.5 * np.log(1 - 1 / 1.49), abs=0.15)
    assert table["p_value"].iloc[2] > 0.001 and np.isfinite(table["lower_limit"]).all()


def test_an_estimator_of_ones_own_and_groups():
    X, Y, _ = correlated_gaussian(200, 2, true_mi=1.0, random_state=0)
    copula = MIEstimator("copula", copulas=("gaussian",), n_folds=2, random_state=0)
    table = mutual_info_table(pd.DataFrame(X, columns=["a", "b"]), Y, estimator=copula)
    fitted = copula.fit(X[:, [0]], Y)
    assert table.loc["a", "value"] == fitted.mi_.value
    assert table.loc["a", "p_value"] == fitted.test_independence().p_value
    quick = copula.set_params(split_test=False)
    assert mutual_info_table(X, Y, estimator=quick)["p_value"].max() < 1e-6
    y, groups = Y[:, 0], np.repeat(np.arange(100), 2)
    grouped = mutual_info_table(X, y, groups=groups.astype(str))
    assert (grouped["p_value"] < 1e-3).any()


def test_sparse_rows_and_ties_give_the_same_numbers():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.7, (300, 5)).astype(float)
    y = X[:, 0] + rng.normal(size=300)
    dense = SelectKBest(mutual_info_features, k=1).fit(X, y)
    sparse = SelectKBest(mutual_info_features, k=1).fit(csr_array(X), y)
    assert np.array_equal(dense.scores_, sparse.scores_)
    assert dense.get_support().tolist() == [True, False, False, False, False]
    other, _ = mutual_info_features(X, y, random_state=1)
    assert other == pytest.approx(dense.scores_, abs=0.05)


BAD = {
    "few rows": ({"X": np.ones((3, 2)), "Y": np.ones(3)}, "n_samples=3; expected at least 8"),
    "no target": ({"Y": None}, "Y=None; expected a target"),
    "lengths": ({"Y": np.ones(5)}, "inconsistent numbers of samples"),
    "images": ({"Y": np.ones((20, 8, 8))}, r"rows of shape \(8, 8\).*encoder_y="),
    "confidence": ({"confidence": 95}, "confidence=95; expected a number between 0 and 1"),
    "estimator": ({"estimator": LogisticRegression()}, "expected an MIEstimator or None"),
    "generator": ({"random_state": np.random.default_rng(0)}, "random_state=Generator"),
    "groups": ({"groups": [1, 2]}, "groups has 2 values, but X has 20 rows"),
    "missing": ({"X": np.full((20, 1), np.nan)}, "Input X contains NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_told(case):
    given, message = BAD[case]
    rng = np.random.default_rng(0)
    rows = {"X": rng.normal(size=(20, 2)), "Y": rng.normal(size=20)}
    with pytest.raises(ValueError, match=message):
        mutual_info_table(**{**rows, **given})


# The selector


@parametrize_with_checks([MutualInfoSelector(), MutualInfoSelector(criterion="jmi", fdr=0.9)])
def test_scikit_learn_takes_the_selector(estimator, check):
    check(estimator)


SEEING = ["mrmr", "jmi", "cmim"]


@pytest.mark.parametrize("criterion", [*SEEING, "relevance"])
def test_copies_are_passed_over_where_redundancy_counts(criterion):
    a, b, *noise = np.random.default_rng(0).normal(size=(8, 500))
    X = np.column_stack([a, a, np.exp(a), b, *noise])
    selector = MutualInfoSelector(2, criterion=criterion).fit(X, a + 0.6 * b)
    taken = np.flatnonzero(selector.get_support()).tolist()
    assert taken == ([0, 1] if criterion == "relevance" else [0, 3])
    # Of columns that tie the first one is taken.
    assert selector.ranking_[0] == 1


@pytest.mark.parametrize("criterion", [*SEEING, "relevance"])
def test_an_exclusive_or_is_seen_by_pairs_alone(criterion):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 1000))
    y = np.where(rng.random(1000) < 0.4, a, a ^ b)
    hint = np.where(rng.random(1000) < 0.15, y, rng.integers(0, 2, 1000))
    X = np.column_stack([*rng.normal(size=(3, 1000)), a, hint, *rng.normal(size=(2, 1000)), b])
    selector = MutualInfoSelector(2, criterion=criterion).fit(X, y)
    second = 7 if criterion in ("jmi", "cmim") else 4
    assert selector.ranking_[[3, second]].tolist() == [1, 2]


def naive(a, b, given):
    """Sum over cells, with the correction of each entropy."""

    def entropy(*labels):
        _, counts = np.unique(np.column_stack(labels), axis=0, return_counts=True)
        p = counts / counts.sum()
        return -np.sum(p * np.log(p)) + (len(p) - 1) / (2 * counts.sum())

    if given is None:
        return entropy(a) + entropy(b) - entropy(a, b)
    return entropy(a, given) + entropy(given, b) - entropy(given) - entropy(a, given, b)


def test_scores_are_the_formulas():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (200, 4))
    y = np.where(rng.random(200) < 0.3, rng.integers(0, 3, 200), (X[:, 0] + X[:, 1] * X[:, 2]) % 3)
    for criterion in SEEING:
        selector = MutualInfoSelector(3, criterion=criterion).fit(X, y)
        first, second, _ = np.argsort(selector.ranking_)[:3]
        last = int(np.argmax(selector.ranking_))
        relevance = [naive(X[:, j], y, None) for j in range(4)]
        assert selector.relevance_ == pytest.approx(relevance)
        given = [naive(X[:, last], y, X[:, s]) for s in (first, second)]
        expected = {
            "mrmr": relevance[last]
            - np.mean([naive(X[:, last], X[:, s], None) for s in (first, second)]),
            "jmi": np.mean([relevance[first] + given[0], relevance[second] + given[1]]),
            "cmim": min(given),
        }
        assert selector.scores_[last] == pytest.approx(expected[criterion])


def test_columns_stop_where_they_are_no_longer_significant():
    X, y = bent()
    X = pd.DataFrame(X, columns=[f"x{j}" for j in range(40)]).assign(x9=np.tile(["u", "v"], 250))
    selector = MutualInfoSelector(fdr=0.05).set_output(transform="pandas").fit(X, y)
    assert set(selector.get_feature_names_out()[:3]) == {"x0", "x1", "x2"}
    assert selector.n_features_ <= 6 and selector.pvalues_[0] < 1e-9
    assert list(selector.transform(X)) == list(selector.get_feature_names_out())
    assert MutualInfoSelector(0.1).fit(X, y).n_features_ == 4
    with pytest.warns(MIWarning, match="n_features_to_select=50, but X has 40 columns"):
        assert MutualInfoSelector(50).fit(X, y).n_features_ == 40
    assert MutualInfoSelector(30, fdr=0.05).fit(X, y).n_features_ == selector.n_features_


def test_the_selector_stands_in_a_pipeline():
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(MutualInfoSelector(4), LogisticRegression(max_iter=5000)).fit(X, y)
    assert model.score(X, y) > 0.9
    names = MutualInfoSelector(4).fit(X, y.astype(str)).get_support()
    assert np.array_equal(names, model[0].get_support())
    sparse = MutualInfoSelector(4).fit(csr_array(X), y)
    assert sparse.transform(csr_array(X)).shape == (178, 4)


def test_a_target_of_two_columns_is_refused():
    with pytest.raises(ValueError, match=r"y has rows of shape \(2,\); expected one number or"):
        MutualInfoSelector().fit(np.ones((20, 2)), np.ones((20, 2)))
