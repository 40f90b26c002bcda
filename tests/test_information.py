import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy as scipy_entropy
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.feature_selection import mutual_info_regression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mi import MIEstimator
from sklearn_mi.bounds import infonce, nwj_of_ratio
from sklearn_mi.datasets import (
    beyond_normal,
    correlated_gaussian,
    discrete_continuous_pairs,
    discrete_pairs,
    gaussian_pairs,
    independent_pairs,
)
from sklearn_mi.information import (
    neighbors_mi,
)
from sklearn_mi.information.folds import blocks_of_rows, fold_of_rows
from sklearn_mi.information.inference import BOUNDS_OF_RATIO, betting_limit, standard_error

TASKS = beyond_normal()


def copula(**params):
    return MIEstimator("copula", **{"n_folds": 2, "random_state": 0, **params})


def short(**params):
    return MIEstimator(**{"n_folds": 2, "max_steps": 100, "random_state": 0, **params})


@parametrize_with_checks([MIEstimator("copula", n_folds=2, copulas=("gaussian",))])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "name",
    [
        "half_cube-multinormal-sparse-3-3-2-2.0",
        pytest.param("multinormal-sparse-25-25-2-2.0", marks=pytest.mark.slow),
        "student-identity-3-3-2",
        "asinh-student-identity-2-2-1",
        "1v1-bimodal-0.75",
    ],
)
def test_what_a_copula_describes_is_found(name):
    X, Y = TASKS[name].sample(4000, random_state=0)
    fitted = copula().fit(X, Y)
    assert fitted.mi_.value == pytest.approx(TASKS[name].true_mi, abs=0.05)
    assert fitted.guaranteed_.value < TASKS[name].true_mi + 3 * fitted.guaranteed_.stderr
    assert fitted.mi_.interval[0] < fitted.mi_.value < fitted.mi_.interval[1]


@pytest.mark.slow
def test_networks_see_what_no_copula_does():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2))
    Y = np.abs(X) + 0.3 * rng.normal(size=(1000, 2))
    fitted = short(max_steps=200, split_test=False).fit(X, Y)
    alone = fitted.candidates_.groupby("candidate")["mean_log_ratio"].mean()
    assert alone["gaussian"] < 0.05
    assert fitted.mi_.lower_limit > 0.5
    assert fitted.mi_.lower_limit < 2 * neighbors_mi(X[:, :1], Y[:, :1]).mean()


@pytest.mark.slow
def test_neighbors_stand_in_where_there_are_few_columns():
    X, Y = TASKS["1v1-additive-0.1"].sample(1500, random_state=0)
    fitted = short().fit(X, Y)
    assert "neighbours" in fitted.mi_.bound
    assert fitted.mi_.value == pytest.approx(TASKS["1v1-additive-0.1"].true_mi, abs=0.1)


def test_neighbors_against_scikit_learn():
    X, Y, _ = correlated_gaussian(1000, 1, true_mi=0.7, random_state=0)
    theirs = mutual_info_regression(X, Y[:, 0], n_neighbors=4, random_state=0)[0]
    assert neighbors_mi(X, Y, 4).mean() == pytest.approx(theirs, abs=0.02)


# What is reported, and on which rows


@pytest.mark.parametrize("method", ["copula", "network"])
def test_no_row_is_reported_on_by_a_critic_that_saw_it(method):
    X, Y, _ = correlated_gaussian(120, 2, random_state=0)
    before = short(method=method, n_folds=3, max_steps=20, split_test=False).fit(X, Y)
    for k in range(3):
        # Half of a fold changes: what is said of its other half must not, as its critic saw none.
        own = np.flatnonzero(before.folds_ == k)
        changed, kept = own[::2], own[1::2]
        X_other = X.copy()
        X_other[changed] = -2 * X[changed]
        after = clone(before).fit(X_other, Y)
        assert np.array_equal(after.pointwise_[kept], before.pointwise_[kept])
        others = before.folds_ != k
        assert (after.pointwise_[others] != before.pointwise_[others]).mean() > 0.9


def test_bounds_are_those_of_the_folds_matrices():
    X, Y, _ = correlated_gaussian(400, 2, random_state=0)
    fitted = copula().fit(X, Y)
    for name, bound in (("infonce", infonce), ("nwj", nwj_of_ratio)):
        values = [
            float(bound(fold.ratio.matrix(X[fold.rows], Y[fold.rows]))) for fold in fitted._folds
        ]
        assert fitted.bounds_.loc[name, "value"] == pytest.approx(np.mean(values))
    for fold in fitted._folds:
        own = fold.ratio.pairs(X[fold.rows], Y[fold.rows])
        assert np.array_equal(fitted.pointwise_[fold.rows], own)
    assert fitted.bounds_.loc["plug-in", "value"] == pytest.approx(fitted.pointwise_.mean())
    assert fitted.bounds_.loc["infonce", "ceiling"] == pytest.approx(np.log(200))
    assert set(fitted.bounds_["status"]) == {"lower", "neither"}


def test_bounds_have_the_status_and_ceiling_of_the_literature():
    # Poole et al. (2019), Song and Ermon (2020); interpolated: 1 + log((n - 1) / alpha).
    assert {name: bound.status for name, bound in BOUNDS_OF_RATIO.items()} == {
        "infonce": "lower",
        "interpolated": "lower",
        "nwj": "lower",
        "donsker-varadhan": "neither",
        "smile": "neither",
        "plug-in": "neither",
    }
    ceilings = {name: bound.ceiling(100) for name, bound in BOUNDS_OF_RATIO.items()}
    assert ceilings.pop("infonce") == pytest.approx(np.log(100))
    assert ceilings.pop("interpolated") == pytest.approx(1 + np.log(99 / 0.01))
    assert set(ceilings.values()) == {np.inf}


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_samples():
    pairs = gaussian_pairs("", np.array([[1, 0.7], [0.7, 1]]), 1)
    fits = [
        copula(split_test=False, copulas=("gaussian",)).fit(*pairs.sample(400, seed))
        for seed in range(40)
    ]
    for got in (
        lambda fit: (fit.mi_.value, fit.mi_.stderr),
        lambda fit: (fit.guaranteed_.value, fit.guaranteed_.stderr),
    ):
        values, errors = np.array([got(fit) for fit in fits]).T
        assert values.std() == pytest.approx(errors.mean(), rel=0.35)


@pytest.mark.slow
def test_the_interval_covers_and_the_limit_holds():
    pairs = gaussian_pairs("", np.array([[1, 0.7], [0.7, 1]]), 1)
    fits = [
        copula(split_test=False, copulas=("gaussian",)).fit(*pairs.sample(300, seed)).mi_
        for seed in range(60)
    ]
    inside = [fit.interval[0] <= pairs.true_mi <= fit.interval[1] for fit in fits]
    assert np.mean(inside) >= 0.85  # 95 % in truth; below .85 once in a thousand
    assert np.mean([fit.lower_limit <= pairs.true_mi for fit in fits]) >= 0.85


@pytest.mark.slow
def test_p_values_are_uniform_under_independence():
    pairs = independent_pairs(2, 2)
    p = [
        copula(copulas=("gaussian",)).fit(*pairs.sample(120, seed)).test_independence().p_value
        for seed in range(80)
    ]
    assert kstest(p, "uniform").pvalue > 0.001


def test_independence_is_rejected_where_there_is_none():
    X, Y, _ = correlated_gaussian(300, 2, true_mi=0.3, random_state=0)
    found = copula().fit(X, Y).test_independence()
    assert found.p_value <= 0.005 and found.n_pairs == 150
    with pytest.raises(ValueError, match="split_test=True"):
        copula(split_test=False).fit(X, Y).test_independence()


def test_betting_limits_hold():
    rng = np.random.default_rng(0)
    limits = [betting_limit(rng.beta(2, 3, size=200), 0.1) for _ in range(300)]
    assert np.mean(np.array(limits) > 0.4) <= 0.1
    assert np.mean(limits) > 0.3
    X, Y, true_mi = correlated_gaussian(2000, 2, true_mi=1.0, random_state=0)
    assert 0.2 < copula().fit(X, Y).certified_limit_ < true_mi


def test_a_wrong_critic_is_refuted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 1))
    Y = np.abs(X) + 0.2 * rng.normal(size=(1500, 1))
    wrong = copula().fit(X, Y)
    assert wrong.refutation_.p_value < 1e-6 and wrong.refutation_.auc > 0.6
    assert any("refuted" in warning for warning in wrong.mi_.warnings)
    X, Y, _ = correlated_gaussian(1500, 1, random_state=0)
    assert copula().fit(X, Y).refutation_.p_value > 0.001


# What must be equal


def test_equal_in_equal_out_whatever_the_processes():
    X, Y, _ = correlated_gaussian(200, 2, random_state=0)
    first, second = short().fit(X, Y), short(n_jobs=2).fit(X, Y)
    assert np.array_equal(first.pointwise_, second.pointwise_)
    assert first.mi_ == second.mi_
    assert clone(first).fit(X, Y).mi_ == first.mi_


def test_increasing_maps_change_nothing():
    X, Y, _ = correlated_gaussian(600, 2, random_state=0)
    plain, mapped = copula(copulas=("gaussian",)), copula(copulas=("gaussian",))
    assert mapped.fit(np.exp(X), Y**3).mi_.value == pytest.approx(
        plain.fit(X, Y).mi_.value, abs=0.01
    )


def test_sides_can_be_exchanged():
    X, Y, _ = correlated_gaussian(800, 2, random_state=0)
    assert copula().fit(X, Y).mi_.value == pytest.approx(copula().fit(Y, X).mi_.value, abs=1e-6)


@pytest.mark.slow
def test_independent_pairs_add_up_and_processing_loses():
    X, Y, _ = correlated_gaussian(2000, 2, true_mi=0.6, random_state=0)
    U, V, _ = correlated_gaussian(2000, 2, true_mi=0.4, random_state=1)
    both = copula().fit(np.hstack([X, U]), np.hstack([Y, V])).mi_.value
    parts = copula().fit(X, Y).mi_.value + copula().fit(U, V).mi_.value
    assert both == pytest.approx(parts, abs=0.05)
    assert copula().fit(X[:, :1], Y).mi_.value < copula().fit(X, Y).mi_.value
    noisy = X + np.random.default_rng(7).normal(size=X.shape)
    assert copula().fit(noisy, Y).mi_.value < copula().fit(X, Y).mi_.value


# Kinds of rows


@pytest.mark.parametrize("swap", [False, True])
def test_a_category_and_a_number(swap):
    pairs = discrete_continuous_pairs(3)
    X, Y = pairs.sample(2000, random_state=0)
    sides = (Y, X.astype(str)) if swap else (X.astype(str), Y)
    fitted = short().fit(*sides)
    assert fitted.mi_.value == pytest.approx(pairs.true_mi, abs=0.1)
    assert fitted.mi_.ceiling == pytest.approx(np.log(3), abs=0.01)
    assert fitted.pointwise(*sides).mean() == pytest.approx(fitted.mi_.value, abs=0.05)


def test_two_categories():
    pairs = discrete_pairs([[0.3, 0.1], [0.1, 0.5]])
    X, Y = pairs.sample(2000, random_state=0)
    fitted = short().fit(X.astype(str), Y.ravel())
    assert fitted.mi_.value == pytest.approx(pairs.true_mi, abs=0.05)
    # X is a category, too, so that its entropy is the ceiling; numbers have none.
    as_number = short(discrete_target=False).fit(X.astype(str), Y)
    assert as_number.mi_.ceiling == pytest.approx(
        min(scipy_entropy(np.unique(A, return_counts=True)[1]) for A in (X, Y))
    )
    assert copula(discrete_target=False).fit(X, Y).mi_.ceiling == np.inf


def test_mixed_columns():
    X, Y, _ = correlated_gaussian(800, 2, true_mi=1.0, random_state=0)
    frame = pd.DataFrame({"number": X[:, 0], "word": np.where(X[:, 1] > 0, "up", "down")})
    part, whole = copula().fit(frame[["number"]], Y), copula().fit(frame, Y)
    assert whole.mi_.value > part.mi_.value + 0.05
    assert whole.score(frame, Y) > part.score(frame[["number"]], Y) + 0.05


def test_groups_are_held_out_whole_and_no_negatives_of_each_other():
    groups = np.repeat(np.arange(60), 5)
    folds = fold_of_rows(300, groups, 3, 0)
    assert all(len(set(folds[groups == g])) == 1 for g in range(60))
    for block in blocks_of_rows(300, groups, np.random.default_rng(0)):
        assert len(set(groups[block])) == len(block)
    # Five copies of each row are as good as one.
    X, Y, _ = correlated_gaussian(400, 2, true_mi=0.5, random_state=0)
    once = copula().fit(X, Y)
    again = np.repeat(np.arange(400), 5)
    copies = copula().fit(X[again], Y[again], groups=again)
    assert copies.mi_.stderr == pytest.approx(once.mi_.stderr, rel=0.3)
    assert copies.test_independence().n_pairs == 200


def test_standard_error_of_groups_is_that_of_their_means():
    rng = np.random.default_rng(0)
    means = rng.normal(size=50)
    of_groups = standard_error(np.repeat(means, 4), np.repeat(np.arange(50), 4))
    assert of_groups == pytest.approx(means.std(ddof=1) / np.sqrt(50))


def test_given_a_third_table():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(3000, 1))
    X, Y = (Z + rng.normal(size=(3000, 1)) for _ in range(2))
    fitted = copula().fit(X, Y, Z)
    assert abs(fitted.mi_.value) < 0.03 < copula().fit(X, Y).mi_.value
    assert fitted.mi_.status == "neither" and fitted.mi_.lower_limit is None
    assert fitted.test_independence().p_value > 0.01
    with pytest.raises(ValueError, match="third table"):
        fitted.score(X, Y)


def test_images_with_an_encoder():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(300, 4, 4))
    y = images.mean((1, 2))[:, None] * 4 + 0.1 * rng.normal(size=(300, 1))
    fitted = short(encoder="mlp", max_steps=300).fit(images, y)
    assert fitted.mi_.value > 0.3
    partners, others = fitted.pointwise(images, y), fitted.pointwise(images, y[::-1])
    assert partners.shape == (300,) and partners.mean() > 0.3 > 0 > others.mean()


def test_images_as_the_second_table():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(300, 4, 4))
    x = images.mean((1, 2))[:, None] * 4 + 0.1 * rng.normal(size=(300, 1))
    fitted = short(encoder_y="mlp", max_steps=200, split_test=False).fit(x, images)
    assert fitted.mi_.value > 0.3


@pytest.mark.parametrize("dtype", [float, int])
def test_a_series_is_a_table_of_one_column(dtype):
    X, Y, _ = correlated_gaussian(200, 1, random_state=0)
    Z = np.random.default_rng(0).normal(size=200)
    y = np.round(Y[:, 0]).astype(dtype) if dtype is not float else Y[:, 0]
    params = {"method": "copula" if dtype is float else "classifier", "split_test": False}
    series = [pd.Series(values, index=range(1, 201)) for values in (y, Z)]
    plain, same = (short(**params).fit(X, y_) for y_ in (y, series[0]))
    assert same.mi_ == plain.mi_
    assert np.array_equal(same.pointwise(X, series[0]), plain.pointwise(X, y))
    if dtype is float:
        assert short(**params).fit(X, *series).mi_ == short(**params).fit(X, y, Z).mi_


@pytest.mark.slow
def test_a_grid_by_the_held_out_bound():
    X, Y, _ = correlated_gaussian(400, 2, random_state=0)
    grid = GridSearchCV(copula(), {"marginals": ["ranks", "standard"], "max_steps": [20]}, cv=2)
    assert grid.fit(X, Y).best_score_ > 0.3


def test_a_deterministic_relation_is_told():
    X, _, _ = correlated_gaussian(400, 2, random_state=0)
    warnings = " ".join(copula().fit(X, X).mi_.warnings)
    assert "ceiling" in warnings and "deterministic" in warnings and "effective" in warnings


def test_repeated_rows_are_told():
    X, Y, _ = correlated_gaussian(200, 2, random_state=0)
    warnings = copula().fit(np.repeat(X, 2, axis=0), np.repeat(Y, 2, axis=0)).mi_.warnings
    assert any("repeat another" in warning for warning in warnings)


BAD = {
    "missing": (lambda X, Y: (np.where(X > 1, np.nan, X), Y), {}, "Input X contains NaN"),
    "missing Y": (lambda X, Y: (X, np.where(Y > 1, np.nan, Y)), {}, "Input Y contains NaN"),
    "one row": (lambda X, Y: (X[:1], Y[:1]), {}, "n_samples=1"),
    "lengths": (lambda X, Y: (X, Y[:50]), {}, "inconsistent numbers of samples"),
    "few rows": (lambda X, Y: (X[:7], Y[:7]), {"n_folds": 5}, "n_samples=7"),
    "images": (lambda X, Y: (X[:, :, None] * np.ones((1, 1, 3)), Y), {}, "pass encoder="),
    "no category": (lambda X, Y: (X, Y), {"method": "classifier"}, "needs a category"),
    "unknown": (lambda X, Y: (X, Y), {"method": "knn"}, "'method' parameter"),
    "copula": (lambda X, Y: (X, Y), {"copulas": ("clayton",)}, "clayton"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_mistakes_are_explained(case):
    change, params, message = BAD[case]
    X, Y, _ = correlated_gaussian(100, 2, random_state=0)
    with pytest.raises(ValueError, match=message):
        copula(**params).fit(*change(X, Y)) if "method" not in params else MIEstimator(
            **params
        ).fit(*change(X, Y))
