import re
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.diagnostics import (
    alignment,
    alpha_req,
    cluster_stability,
    effective_rank,
    intrinsic_dimension,
    uniformity,
)
from sklearn_mi.evaluation import (
    CRITERIA,
    DIAGNOSTICS,
    compare,
    contests,
    differences,
    label_free_score,
    summarise,
    tables,
    v_information,
)
from sklearn_mi.plots import LabelEfficiencyDisplay
from sklearn_mi.semi_supervised import SemiSupervisedClassifier, SemiSupervisedRegressor


class Spy(TransformerMixin, BaseEstimator):
    """Remembers what it was fitted to, and reports a bound as a learner does."""

    def __init__(self, log):
        self.log = log

    def fit(self, X, y=None):
        self.log.append((X, y))
        self.mi_ = SimpleNamespace(value=1.5, stderr=0.25, ceiling=4.0)
        return self

    def transform(self, X):
        return X

    def __sklearn_clone__(self):
        return type(self)(self.log)


def test_compare_shows_folds_and_the_time_left(capsys):
    X, y = load_iris(return_X_y=True)
    contest = {"n_folds": 2, "n_draws": 1, "labels_per_class": (5,), "probes": ("knn",)}
    silent = compare({"raw": None}, X, y, **contest)
    assert capsys.readouterr().err == ""
    shown = compare({"raw": None}, X, y, **contest, verbose=1)
    assert re.search(r"2/2 \[\d\d:\d\d<\d\d:\d\d.*fold", capsys.readouterr().err)
    assert silent.equals(shown)


def test_table_is_tidy(digits):
    X, y = digits
    table = compare(
        {"raw": None, "PCA": PCA(8)}, X, y, labels_per_class=(1, None), n_folds=3, n_draws=2
    )
    keys = ["name", "fold", "draw", "labels_per_class", "probe", "scale"]
    # 2 names, 3 folds, 2 draws of one label and 1 of all, 2 probes, 2 scales.
    assert len(table) == len(table[keys].drop_duplicates()) == 2 * 3 * (2 + 1) * 2 * 2
    assert table["accuracy"].between(0, 1).all()
    assert set(table["labels_per_class"]) == {1, np.inf}
    assert set(table.query("labels_per_class == 1")["n_labelled"]) == {10}
    assert set(table.query("labels_per_class > 1")["n_labelled"]) == {1198}
    assert table["mi"].isna().all()
    assert (table["n_train"] + table["n_test"] == 1797).all()
    assert set(table["n_test"]) == {599}
    assert (table["chosen"] == table["probe"] + ", " + table["scale"]).all()
    assert not set(DIAGNOSTICS) & set(table)


def test_all_labels_agree_with_cross_validation_by_hand(digits):
    X, y = digits[0][:400], digits[1][:400]
    table = compare(
        {"PCA": PCA(8, random_state=0)},
        X,
        y,
        labels_per_class=(None,),
        n_folds=3,
        probes=("logistic",),
        scales=("column",),
        random_state=5,
    )
    splits = StratifiedKFold(3, shuffle=True, random_state=np.random.RandomState(5)).split(X, y)
    for (train, test), accuracy in zip(splits, table["accuracy"], strict=True):
        pipe = make_pipeline(
            PCA(8, random_state=0), StandardScaler(), LogisticRegression(max_iter=2000)
        )
        assert accuracy == pytest.approx(pipe.fit(X[train], y[train]).score(X[test], y[test]))


def test_transformers_see_training_rows_without_labels(digits):
    X = np.arange(60.0).reshape(60, 1)
    log = []
    table = compare(
        {"spy": Spy(log)}, X, np.repeat([0, 1], 30), labels_per_class=(1,), n_folds=3, n_draws=1
    )
    assert [y for _, y in log] == [None] * 3
    held_out = [set(X.ravel()) - set(rows.ravel()) for rows, _ in log]
    assert [len(rows) for rows in held_out] == [20, 20, 20]
    assert set().union(*held_out) == set(X.ravel())
    assert (table[["mi", "mi_stderr", "mi_ceiling"]] == [1.5, 0.25, 4.0]).all(axis=None)


def test_bound_is_found_inside_a_pipeline():
    table = compare(
        {"pipe": make_pipeline(StandardScaler(), Spy([]), PCA(1))},
        np.random.RandomState(0).randn(40, 3),
        np.repeat([0, 1], 20),
        labels_per_class=(1,),
        n_folds=2,
        n_draws=1,
    )
    assert set(table["mi"]) == {1.5}


class Recorder(LabelSpreading):
    seen = []

    def fit(self, X, y):
        type(self).seen.append(y.copy())
        return super().fit(X, y)


def test_classifiers_get_minus_one_for_withheld_labels_and_the_same_draws(digits):
    X, y = digits[0][:300], digits[1][:300]
    Recorder.seen.clear()
    table = compare(
        {"raw": None},
        X,
        y,
        classifiers={"spread": Recorder(kernel="knn", n_neighbors=5)},
        labels_per_class=(2, 5),
        n_folds=2,
        n_draws=2,
    )
    assert [np.sum(known >= 0) for known in Recorder.seen] == [20, 50] * 4
    for few, more in zip(Recorder.seen[::2], Recorder.seen[1::2], strict=True):
        assert (more[few >= 0] == few[few >= 0]).all()
        assert (np.bincount(few[few >= 0]) == 2).all()
    own = table.query("name == 'spread'")
    assert set(own["probe"]) == {"own"}
    assert len(own) == 2 * 2 * 2
    again = compare(
        {}, X, y, classifiers={"alone": Recorder(kernel="knn", n_neighbors=5)},
        labels_per_class=(2, 5), n_folds=2, n_draws=2,
    )  # fmt: skip
    assert again["accuracy"].tolist() == own["accuracy"].tolist()


def test_best_is_what_the_labelled_rows_choose(digits):
    X, y = digits[0][:400], digits[1][:400]
    settings = {"labels_per_class": (1, 3), "n_folds": 2, "n_draws": 3, "random_state": 5}
    table = compare({"raw": None}, X, y, probes=("logistic", "knn", "best"), **settings)
    best = table.query("probe == 'best'")
    assert set(best["scale"]) == {"best"} and len(best) == 2 * 3 * 2
    assert set(best.query("labels_per_class == 1")["chosen"]) == {"logistic, common"}
    assert best["chosen"].nunique() > 1
    keys = ["fold", "draw", "labels_per_class", "chosen"]
    plain = table.query("probe != 'best'").set_index(keys)["accuracy"]
    assert best["accuracy"].tolist() == [plain[tuple(key)] for key in best[keys].to_numpy()]


def test_best_looks_at_labelled_training_rows_alone(monkeypatch):
    X = np.arange(60.0)[:, None]
    y, groups = np.repeat([0, 1], 30), np.arange(60) // 3
    log, seen = [], []

    def spy(tables, labels, of, *, is_measurement):
        seen.append((tables["none"].ravel().astype(int), labels, of))
        return "logistic", "none"

    monkeypatch.setattr(contests, "best_of", spy)
    settings = {"groups": groups, "probes": ("best",), "scales": ("none",), "n_draws": 2}
    compare({"spy": Spy(log)}, X, y, labels_per_class=(4,), n_folds=3, **settings)
    assert len(seen) == 3 * 2
    for k, (rows, labels, of) in enumerate(seen):
        assert len(rows) == 8 and set(rows) <= set(log[k // 2][0].ravel().astype(int))
        assert (labels == y[rows]).all() and (of == groups[rows]).all()


def test_groups_are_never_on_both_sides():
    generator = np.random.RandomState(0)
    X, y = np.arange(90.0)[:, None], generator.permutation(np.repeat([0, 1, 2], 30))
    names = np.array([f"patient {k}" for k in generator.permutation(np.arange(90) // 5)])
    log = []
    table = compare(
        {"spy": Spy(log)}, X, y, groups=names, labels_per_class=(2, None), n_folds=3, n_draws=2
    )
    splits = StratifiedGroupKFold(3, shuffle=True, random_state=np.random.RandomState(0))
    for (seen, _), (train, test) in zip(log, splits.split(X, y, names), strict=True):
        assert seen.ravel().astype(int).tolist() == train.tolist()
        assert not set(names[train]) & set(names[test])
    assert table.groupby("fold")["n_test"].first().sum() == 90


class TwoViews(Spy):
    """Its second view is the first one turned by a right angle."""

    def transform_views(self, X):
        return X, X[:, ::-1] * [1, -1]


def test_diagnostics_are_those_of_the_test_fold(digits):
    X, y = digits[0][:300], digits[1][:300]
    table = compare(
        {"PCA": PCA(6, random_state=0), "raw": None},
        X,
        y,
        classifiers={"spread": LabelSpreading(kernel="knn", n_neighbors=5)},
        labels_per_class=(2, None),
        n_folds=2,
        n_draws=2,
        probes=("knn",),
        diagnostics=True,
    )
    facts = table.groupby(["name", "fold"])[list(DIAGNOSTICS)]
    assert (facts.nunique() <= 1).all(axis=None)
    splits = StratifiedKFold(2, shuffle=True, random_state=np.random.RandomState(0)).split(X, y)
    for fold, (train, test) in enumerate(splits):
        pca = PCA(6, random_state=0).fit(X[train])
        Z_train, Z = pca.transform(X[train]), pca.transform(X[test])
        found = facts.first().loc[("PCA", fold)]
        assert found["effective_rank"] == pytest.approx(effective_rank(Z))
        assert found["uniformity"] == pytest.approx(uniformity(Z))
        assert found["intrinsic_dimension"] == pytest.approx(intrinsic_dimension(Z))
        information = v_information(Z_train, y[train], Z, y[test])
        assert found["v_information"] == pytest.approx(information)
        assert np.isnan(found["alignment"])
        assert found["fit_seconds"] > 0 and found["transform_seconds"] > 0
    raw = table.query("name == 'raw'")
    assert set(raw["fit_seconds"]) == set(raw["transform_seconds"]) == {0}
    assert table.query("name == 'spread'")[list(DIAGNOSTICS)].isna().all(axis=None)


def test_diagnostics_of_views_of_few_labels_and_of_many_rows(monkeypatch):
    X, y = np.random.RandomState(0).randn(60, 2), np.repeat([0, 1], 30)
    monkeypatch.setattr(contests, "MOST_DIAGNOSED", 7)
    table = compare(
        {
            "views": TwoViews([]),
            "pipe": make_pipeline(StandardScaler(), TwoViews([])),
            "no views": make_pipeline(TwoViews([]), PCA(2)),
        },
        X,
        y,
        labels_per_class=(1,),
        n_folds=2,
        n_draws=1,
        diagnostics=True,
    )
    facts = table.groupby("name")[["alignment", "v_information", "uniformity"]].first()
    # Unit codes at a right angle are at distance sqrt 2.
    assert facts["alignment"].to_dict() == pytest.approx(
        {"views": 2, "pipe": 2, "no views": np.nan}, nan_ok=True
    )
    assert facts["v_information"].isna().all()
    splits = StratifiedKFold(2, shuffle=True, random_state=np.random.RandomState(0)).split(X, y)
    test = next(iter(splits))[1]
    seven = X[test][[0, 4, 9, 14, 19, 24, 29]]  # of 30, evenly, both ends among them
    assert facts.loc["views", "uniformity"] == pytest.approx(uniformity(seven))


def test_a_learner_beside_others(digits):
    X, y = digits[0][:200], digits[1][:200]
    learner = MIRepresentationLearner(3, max_steps=2, random_state=0, n_threads=1)
    settings = {"labels_per_class": (2,), "n_folds": 2, "n_draws": 1, "diagnostics": True}
    table = compare({"ours": learner, "pipe": make_pipeline(PCA(5), learner)}, X, y, **settings)
    train, test = next(
        StratifiedKFold(2, shuffle=True, random_state=np.random.RandomState(0)).split(X, y)
    )
    pipe = make_pipeline(PCA(5), clone(learner)).fit(X[train])
    pairs = {
        "ours": learner.fit(X[train]).transform_views(X[test]),
        "pipe": pipe[-1].transform_views(pipe[0].transform(X[test])),
    }
    for name, fitted in (("ours", learner), ("pipe", pipe[-1])):
        row = table[(table["name"] == name) & (table["fold"] == 0)].iloc[0]
        assert row["alignment"] == pytest.approx(alignment(*pairs[name]))
        assert row["mi"] == fitted.mi_.value and row["mi_ceiling"] == fitted.mi_.ceiling


def test_labels_may_be_anything_and_rows_a_frame_or_images(digits):
    X, y = digits[0][:200], digits[1][:200]
    settings = {"labels_per_class": (3,), "n_folds": 2, "n_draws": 1}
    spread = {"spread": LabelSpreading(kernel="knn", n_neighbors=5)}
    table = compare({"raw": None}, X, y, classifiers=spread, **settings)
    names = np.array([f"class {label}" for label in y])
    frame = pd.DataFrame(X).add_prefix("pixel_")
    by_name = compare({"raw": None}, frame, names, classifiers=spread, **settings)
    shifted = compare({"raw": None}, X, pd.Series(y - 1), classifiers=spread, **settings)
    images = compare({"raw": None}, X.reshape(-1, 8, 8), y, **settings)
    sparse = compare({"raw": None}, csr_array(X), y, **settings)
    pd.testing.assert_frame_equal(table, by_name)
    pd.testing.assert_frame_equal(table, shifted)
    pd.testing.assert_frame_equal(table.query("name == 'raw'"), images)
    pd.testing.assert_frame_equal(sparse, images)


def test_folds_run_one_by_one_are_those_of_the_whole(digits):
    X, y = digits[0][:300], digits[1][:300]
    whole, *parts = (
        compare({"raw": None}, X, y, labels_per_class=(1,), n_folds=3, n_draws=2, only_folds=only)
        for only in (None, [0], [1], [2])
    )
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True))


def test_folds_of_your_own_may_leave_out_rows_that_are_not_tested(digits):
    X, y = digits[0][:400], digits[1][:400]
    # A third of the first 300 rows is left out of each fold, and a third of the others tested.
    thirds = zip(np.split(np.arange(300), 3), np.split(np.arange(300, 399), 3), strict=True)
    cv = [(np.setdiff1d(np.arange(300), left_out), test) for left_out, test in thirds]
    table = compare({"raw": None}, X, y, labels_per_class=(None,), cv=cv, probes=("knn",))
    assert set(table["n_train"]) == {200} and set(table["n_test"]) == {33}
    assert set(table["n_left_out"]) == {100}
    for number, (train, test) in enumerate(cv):
        expected = KNeighborsClassifier(1).fit(X[train], y[train]).score(X[test], y[test])
        found = table[(table["fold"] == number) & (table["scale"] == "common")]
        assert found["accuracy"].item() == pytest.approx(expected)
    whole = compare({"raw": None}, X, y, labels_per_class=(1,), n_folds=4, n_draws=1)
    assert (whole["n_left_out"] == whole["n_test"]).all()


def test_processes_change_nothing(digits):
    X, y = digits[0][:300], digits[1][:300]
    tables = [
        compare({"raw": None}, X, y, labels_per_class=(1,), n_folds=2, n_draws=2, n_jobs=n_jobs)
        for n_jobs in (1, 2)
    ]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probes": ("svm",)}, "probe='svm'; expected one of"),
        ({"scales": ("columns",)}, "scale='columns'.*Did you mean 'column'"),
        ({"labels_per_class": (40,)}, "labels_per_class=40; expected 1 to 15"),
        ({"labels_per_class": (0,)}, "labels_per_class=0; expected 1 to 15"),
        ({"X": np.ones((59, 2))}, "y has 60 values, but X has 59 rows; expected one value for"),
        ({"classifiers": {"spy": LabelSpreading()}}, r"names \['spy'\] .* rename"),
        ({"only_folds": (0, 2)}, r"only_folds=\(0, 2\); expected numbers from 0 to 1"),
        ({"groups": np.arange(59)}, "groups has 59 values, but X has 60 rows"),
        ({"groups": [None, *range(59)]}, "groups has 1 missing values, the first in row 0"),
        (
            {"y": np.linspace(0.5, 1, 60), "discrete_target": True},
            r"y is continuous: 60 .*pandas.qcut\(y, 5",
        ),
        ({"y": np.arange(60)}, "no class of y has more than 1 .*discrete_target=False"),
        ({"y": np.repeat(["a", "b"], 30), "discrete_target": False}, "y holds <U1; expected num"),
        ({"y": np.ones(60), "discrete_target": False}, "y is 1 in every row; expected numbers"),
        ({"y": [np.inf] * 60, "discrete_target": False}, "y has infinity in row 0; drop this row"),
        ({"discrete_target": "no"}, "discrete_target='no'; expected True, False or 'auto'"),
        ({"n_labels": (5,)}, r"n_labels=\(5,\), but y holds classes; expected labels_per_class"),
        (
            {"y": np.linspace(0.5, 1, 60), "labels_per_class": (1,)},
            r"labels_per_class=\(1,\), but y holds a measurement; expected n_labels",
        ),
        ({"y": np.linspace(0.5, 1, 60), "n_labels": (31,)}, "n_labels=31; expected 2 to 30"),
        ({"y": np.linspace(0.5, 1, 60), "n_labels": (1,)}, "n_labels=1; expected 2 to 30"),
        ({"y": np.linspace(0.5, 1, 60), "n_folds": 31}, "n_folds=31 with 60 rows; expected at mo"),
        ({"y": np.linspace(0.5, 1, 60), "probes": ("mlp",)}, "'mlp'; expected .* a measurement"),
        ({"probes": ("ridge",)}, "probe='ridge'; expected one of .* for classes"),
        ({"scoring": "acc"}, "'acc'"),
        ({"scoring": {"probe": "accuracy"}}, "scoring has the name 'probe'.*rename"),
        ({"y": [None, *"ab" * 29, "a"]}, "y has 1 missing values, the first in row 0"),
        ({"y": ["a", np.nan] * 30}, "y has 30 missing values, the first in row 1"),
        ({"y": None}, "y=None; expected one value for each row of X"),
        ({"y": np.ones(60)}, "y has 1 class, 1.0; expected 2 or more"),
        ({"y": np.eye(60)}, r"y has shape \(60, 60\).*y.argmax\(axis=1\)"),
        ({"n_folds": 1}, "n_folds=1; expected at least 2"),
        ({"groups": np.zeros(60)}, "n_folds=2 with 1 groups; expected at most 1"),
        ({"groups": np.repeat([0, 1], 30)}, "Fold 0 of 2 has no test row, or no training row of"),
    ],
)
def test_bad_input_is_refused_before_anything_is_fitted(arguments, message):
    log = []
    with pytest.raises(ValueError, match=message):
        data = {"X": np.ones((60, 2)), "y": np.repeat([0, 1], 30)}
        compare({"spy": Spy(log)}, **({"n_folds": 2} | data | arguments))
    assert not log


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def test_a_measurement_is_predicted_by_ridge_and_neighbours_as_by_hand(diabetes):
    X, y = diabetes
    table = compare({"PCA": PCA(4)}, X, y, n_labels=(12, None), n_folds=3, n_draws=2)
    assert set(table["n_labels"]) == {12, np.inf} and "labels_per_class" not in table
    assert set(table.query("n_labels == 12")["n_labelled"]) == {12}
    assert set(table["metric"]) == {"r2"}
    models = {"ridge": RidgeCV(np.logspace(-2, 4, 13)), "knn": KNeighborsRegressor(5)}
    splits = list(KFold(3, shuffle=True, random_state=np.random.RandomState(0)).split(X))
    found = table[np.isinf(table["n_labels"]) & (table["scale"] == "column")]
    for fold, probe, r2 in found[["fold", "probe", "r2"]].itertuples(index=False):
        train, test = splits[fold]
        pipe = make_pipeline(PCA(4), StandardScaler(), models[probe]).fit(X[train], y[train])
        residual = np.sum((y[test] - pipe.predict(X[test])) ** 2)
        expected = 1 - residual / np.sum((y[test] - y[test].mean()) ** 2)
        assert r2 == pytest.approx(expected, abs=1e-9)


def test_a_table_of_a_measurement_is_summarised_and_compared(diabetes):
    settings = {"n_labels": (20, 100), "n_folds": 3, "n_draws": 2, "probes": ("ridge",)}
    table = compare({"raw": None, "first": PCA(1)}, *diabetes, **settings)
    summary = summarise(table)
    assert set(summary["metric"]) == {"r2"} and set(summary["n_labels"]) == {20, 100}
    means = table.groupby(["name", "n_labels", "scale"])["r2"].mean().groupby(level=[0, 1]).max()
    for name, n_labels, mean in summary[["name", "n_labels", "mean"]].itertuples(index=False):
        assert mean == pytest.approx(means[name, n_labels])
    gains = differences(table, "raw").set_index("n_labels")["mean"]
    for n_labels, gain in gains.items():
        assert gain == pytest.approx(means["first", n_labels] - means["raw", n_labels])


def test_a_measurement_is_drawn_against_labels_in_all(diabetes):
    settings = {"n_labels": (20, None), "n_folds": 2, "n_draws": 1, "probes": ("ridge",)}
    summary = summarise(compare({"raw": None, "first": PCA(1)}, *diabetes, **settings))
    display = LabelEfficiencyDisplay.from_table(summary)
    plt.close(display.figure_)
    assert display.ax_.get_xlabel() == "labelled rows"
    assert display.ax_.get_ylabel() == "R² (ridge probe)"
    means = summary.query("name == 'first'").sort_values("n_labelled")["mean"].tolist()
    assert display.lines_["first"].get_ydata().tolist() == means
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["20", "all"]
    assert display.alt_text_.startswith("R² of 2 contestants against labelled rows, ridge probe")


def test_whole_numbers_are_a_measurement_when_said_so_or_many_floats(diabetes):
    X, y = diabetes
    settings = {"n_labels": (10,), "n_folds": 2, "n_draws": 1, "probes": ("ridge",)}
    said = compare({"raw": None}, X, y.astype(int), discrete_target=False, **settings)
    pd.testing.assert_frame_equal(said, compare({"raw": None}, X, y, **settings))


def test_groups_of_a_measurement_are_never_on_both_sides():
    rng = np.random.default_rng(0)
    X, groups, log = np.arange(60.0)[:, None], np.repeat(np.arange(12), 5), []
    y = rng.normal(size=60)
    settings = {"groups": groups, "n_labels": (8,), "n_folds": 3, "n_draws": 1}
    compare({"spy": Spy(log)}, X, y, probes=("best",), **settings)
    trained = [set(groups[rows.ravel().astype(int)]) for rows, _ in log]
    held_out = [set(groups) - of for of in trained]
    assert sorted(g for of in held_out for g in of) == list(range(12))


def test_the_best_readout_of_a_measurement_is_chosen_by_squared_error():
    X = np.linspace(0, 1, 120)[:, None]
    settings = {"n_folds": 2, "n_labels": (40,), "n_draws": 1, "probes": ("best",)}
    waves = compare({"raw": None}, X, np.sin(25 * X[:, 0]), **settings)
    assert waves["chosen"].str.startswith("knn").all()
    line = compare({"raw": None}, X, 2 * X[:, 0] + 0.25, **settings)
    assert line["chosen"].str.startswith("ridge").all()


class Filled(RidgeCV):
    seen = []

    def fit(self, X, y):
        known = ~np.isnan(y)
        type(self).seen.append(int(known.sum()))
        return super().fit(X[known], y[known])


def test_regressors_that_predict_by_themselves_get_nan_for_withheld_numbers(diabetes):
    X, y = diabetes
    Filled.seen.clear()
    settings = {"n_labels": (10, 50), "n_folds": 2, "n_draws": 2}
    table = compare({}, X, y, classifiers={"own": Filled()}, **settings)
    assert Filled.seen == [10, 50] * 4
    assert (table["r2"] < 1).all() and set(table["probe"]) == {"own"}


def test_learners_with_a_model_behind_them_stand_beside_transformers(digits, diabetes):
    learner = MIRepresentationLearner(4, max_steps=3, random_state=0)
    X, y = digits[0][:200], digits[1][:200]
    settings = {"n_folds": 2, "n_draws": 1}
    own = {"own": SemiSupervisedClassifier(learner)}
    table = compare({"raw": None}, X, y, classifiers=own, labels_per_class=(2, None), **settings)
    assert table.query("name == 'own'")["accuracy"].between(0.2, 1).all()
    own = {"own": SemiSupervisedRegressor(learner)}
    table = compare({"raw": None}, *diabetes, classifiers=own, n_labels=(50,), **settings)
    assert (table.query("name == 'own'")["r2"] < 1).all() and len(differences(table, "raw")) == 1


def n_right(estimator, X, y):
    return float(np.sum(estimator.predict(X) == y))


def test_scores_are_those_of_scikit_learn(digits):
    X, y = digits[0][:300], digits[1][:300] == 3
    settings = {"labels_per_class": (None,), "n_folds": 2, "probes": ("logistic",)}
    settings |= {"scales": ("column",)}
    several = {"balanced": "balanced_accuracy", "auc": "roc_auc", "right": n_right}
    table = compare({"raw": None}, X, y, scoring=several, **settings)
    random = np.random.RandomState(0)
    splits = StratifiedKFold(2, shuffle=True, random_state=random).split(X, y)
    for (train, test), row in zip(splits, table.to_dict("records"), strict=True):
        pipe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        pipe.fit(X[train], y[train])
        predicted = pipe.predict(X[test])
        assert row["metric"] == "balanced" and "accuracy" not in row
        assert row["balanced"] == pytest.approx(balanced_accuracy_score(y[test], predicted))
        assert row["auc"] == pytest.approx(
            roc_auc_score(y[test], pipe.predict_proba(X[test])[:, 1])
        )
        assert row["right"] == np.sum(predicted == y[test])
    assert summarise(table)["mean"].item() == pytest.approx(table["balanced"].mean())
    assert summarise(table, metric="auc")["mean"].item() == pytest.approx(table["auc"].mean())
    alone = compare({"raw": None}, X, y, scoring=n_right, **settings)
    assert alone["score"].tolist() == table["right"].tolist()
    listed = compare({"raw": None}, X, y, scoring=["roc_auc"], **settings)
    assert listed["roc_auc"].tolist() == table["auc"].tolist()


def test_tables_of_several_metrics_need_a_choice():
    both = pd.concat([results(COLUMN, metric="accuracy"), results(COLUMN, metric="f1")])
    with pytest.raises(ValueError, match=r"metrics \['accuracy', 'f1'\]; expected one"):
        summarise(both)
    assert len(summarise(both, metric="accuracy")) == 1


class Broken(Spy):
    def transform(self, X):
        return np.where(np.equal(X, X.max()), np.nan, X)


def test_a_contestant_whose_codes_are_not_numbers_is_named():
    X, y = np.random.RandomState(0).randn(40, 2), np.repeat([0, 1], 20)
    settings = {"labels_per_class": (1,), "n_folds": 2, "n_draws": 1}
    with pytest.raises(
        ValueError, match="Z, the codes of 'broken', has NaN or infinity in 1 of 20"
    ):
        compare({"raw": None, "broken": Broken([])}, X, y, **settings)
    frame = pd.DataFrame({"size": X[:, 0], "city": "Rome"})
    with pytest.raises(ValueError, match="the codes of 'raw', holds Rome in column 'city'"):
        compare({"raw": None}, frame, y, **settings)
    # A contestant may fill in what is missing in the rows.
    gaps = np.where(X > 1, np.nan, X)
    table = compare({"filled": SimpleImputer()}, gaps, y, **settings)
    assert table["accuracy"].between(0, 1).all()


def results(accuracy, **columns):
    """Return a table as `compare` makes it from accuracies of shape (n_folds, n_draws)."""
    shared = {"name": "a", "probe": "knn", "scale": "none", "labels_per_class": 1.0}
    shared |= {"n_labelled": 10, "n_train": 400, "n_test": 100} | columns
    return pd.DataFrame(
        {**shared, "fold": fold, "draw": draw, "accuracy": value}
        for fold, values in enumerate(np.atleast_2d(accuracy))
        for draw, value in enumerate(values)
    )


COLUMN, COMMON = [[0.5, 0.7], [0.7, 0.9], [0.4, 0.6]], [[0.9, 0.9], [0.1, 0.1], [0.2, 0.2]]


def test_summary_is_the_better_scaling_with_a_t_interval_over_folds():
    table = pd.concat([results(COLUMN, scale="column"), results(COMMON, scale="common")])
    row = summarise(table).iloc[0]
    folds = np.array([0.6, 0.8, 0.5])
    # Nadeau and Bengio (2003): 1 / J becomes 1 / J + n_test / n_train.
    error = stats.sem(folds) * np.sqrt((1 / 3 + 1 / 4) / (1 / 3))
    low, high = stats.t.interval(0.95, 2, loc=folds.mean(), scale=error)
    assert row["scale"] == "column"
    assert [row["mean"], row["low"], row["high"]] == pytest.approx([folds.mean(), low, high])


def test_what_folds_leave_out_widens_the_interval_not_what_they_are_tested_on():
    # Training parts of 400 of 500 rows overlap as much whatever else they are tested on.
    usual, apart = results(COLUMN), results(COLUMN, n_test=7, n_left_out=100)
    pd.testing.assert_frame_equal(summarise(usual), summarise(apart))


def test_every_fold_of_every_seed_counts():
    both = pd.concat([results(COLUMN, seed=0), results(COMMON, seed=1)])
    flat = results([[0.6], [0.8], [0.5], [0.9], [0.1], [0.2]])
    numbers = ["mean", "low", "high"]
    pd.testing.assert_frame_equal(summarise(both)[numbers], summarise(flat)[numbers])
    gains = differences(pd.concat([both, both.assign(name="b", accuracy=0.5)]), "b")
    flats = differences(pd.concat([flat, flat.assign(name="b", accuracy=0.5)]), "b")
    pd.testing.assert_frame_equal(gains, flats)


def test_one_fold_has_no_interval():
    row = summarise(results([[0.5, 0.7]])).iloc[0]
    assert row["mean"] == 0.6 and np.isnan([row["low"], row["high"]]).all()


@pytest.mark.parametrize("n_test", [0, 100])
def test_differences_are_a_paired_t_test_with_a_wider_error(n_test):
    generator = np.random.RandomState(0)
    ours, rival = generator.uniform(0.6, 0.7, (2, 5, 3))
    sizes = {"n_train": 400, "n_test": n_test}
    table = pd.concat([results(ours, name="ours", **sizes), results(rival, name="rival", **sizes)])
    found = differences(table, "rival").iloc[0]
    plain = stats.ttest_rel(ours.mean(axis=1), rival.mean(axis=1))
    # Without an overlap it is scipy's test; with it, t is divided by this.
    wider = np.sqrt((1 / 5 + n_test / 400) / (1 / 5))
    low, high = plain.confidence_interval()
    mean = (ours - rival).mean()
    half = (high - low) / 2 * wider
    assert found["name"] == "ours" and found["n_labelled"] == 10
    expected = [mean, mean - half, mean + half]
    assert found[["mean", "low", "high"]].tolist() == pytest.approx(expected)
    p_value = 2 * stats.t.sf(abs(plain.statistic) / wider, 4)
    assert found["p_value"] == pytest.approx(p_value)
    assert found["p_holm"] == found["p_value"]
    turned = differences(table, "ours").iloc[0]
    assert turned["mean"] == pytest.approx(-mean) and turned["low"] == pytest.approx(-mean - half)


def test_differences_take_each_side_in_its_better_scale_and_probe():
    table = pd.concat([
        results(COLUMN, scale="column"), results(COMMON, scale="common"),
        results(COMMON, scale="column", name="b"), results(COLUMN, scale="common", name="b"),
        results(COMMON, name="a", probe="logistic"), results(COLUMN, name="own", probe="own"),
        results(COMMON, name="late", probe="logistic"),
    ])  # fmt: skip
    found = differences(table, "a").set_index("name")
    assert found["reference_probe"].to_dict() == {"b": "knn", "own": "knn", "late": "logistic"}
    assert found["mean"].tolist() == pytest.approx([0, 0, 0])
    assert found["p_value"].tolist() == [1, 1, 1]
    # A classifier as the reference meets everybody.
    against = differences(table, "own").set_index(["name", "probe"])
    assert set(against["reference_probe"]) == {"own"} and len(against) == 4
    gap = np.mean(COMMON) - np.mean(COLUMN)
    assert against.loc[("late", "logistic"), "mean"] == pytest.approx(gap)


def test_a_difference_that_is_the_same_in_all_folds_is_certain():
    # In binary fractions, so that every difference has the same bits.
    base = np.array([[0.5], [0.25], [0.75]])
    table = pd.concat([results(base), results(base + 0.125, name="b")])
    row = differences(table, "a").iloc[0]
    assert row[["mean", "low", "high", "p_value"]].tolist() == [0.125, 0.125, 0.125, 0]


def test_holm_is_applied_to_each_family():
    generator = np.random.RandomState(1)
    parts = [
        results(0.5 + shift + 0.02 * generator.randn(5, 2), name=name, labels_per_class=labels)
        for name, gain in (("a", 0), ("b", 0.03), ("c", 0.05))
        for labels, shift in ((1.0, gain), (5.0, gain / 2), (np.inf, gain / 3))
    ]
    table = pd.concat(parts)

    def by_loop(p_values):
        adjusted, highest = {}, 0.0
        for k, p in enumerate(sorted(p_values)):
            highest = max(highest, min(1.0, (len(p_values) - k) * p))
            adjusted[p] = highest
        return [adjusted[p] for p in p_values]

    found = differences(table, "a")
    for _, rows in found.groupby("name"):
        assert len(rows) == 3
        assert rows["p_holm"].tolist() == pytest.approx(by_loop(rows["p_value"].tolist()))
    whole = differences(table, "a", families=())
    assert whole["p_holm"].tolist() == pytest.approx(by_loop(whole["p_value"].tolist()))
    by_labels = differences(table, "a", families=["labels_per_class"])
    for _, rows in by_labels.groupby("labels_per_class"):
        assert rows["p_holm"].tolist() == pytest.approx(by_loop(rows["p_value"].tolist()))


def test_holm_as_in_the_textbook():
    p_values = pd.Series([0.01, 0.04, 0.03, 0.005], index=[7, 3, 5, 1])
    expected = pd.Series([0.03, 0.06, 0.06, 0.02], index=[7, 3, 5, 1])
    pd.testing.assert_series_equal(tables._holm(p_values), expected)


def many(accuracies, n_train, n_test):
    """Return a table of many contestants from accuracies of shape (n_contestants, n_folds)."""
    n, n_folds = accuracies.shape
    table = results(np.zeros((n_folds, 1)), n_train=n_train, n_test=n_test)
    repeated = pd.concat([table] * n, ignore_index=True)
    return repeated.assign(name=np.repeat(np.arange(n), n_folds), accuracy=accuracies.ravel())


def test_intervals_cover_what_they_should_where_folds_err_together():
    # The authors' model: any two folds correlate by n_test / (n_test + n_train). Under it the
    # corrected t is exact.
    generator = np.random.RandomState(0)
    shared = np.sqrt(0.2) * generator.randn(1000, 1)
    folds = 0.8 + 0.05 * (shared + np.sqrt(0.8) * generator.randn(1000, 5))
    found = summarise(many(folds, 400, 100))
    covered = np.mean((found["low"] < 0.8) & (found["high"] > 0.8))
    assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 1000))
    naive = summarise(many(folds, 400, 0))
    assert np.mean((naive["low"] < 0.8) & (naive["high"] > 0.8)) < 0.88


def test_intervals_cover_the_accuracy_of_a_classifier_in_cross_validation():
    # Two classes N(-1, 1) and N(1, 1), told apart at the middle of their means over 4 rows each,
    # which is N(0, 1/8): the accuracy over draws of everything is Phi(1 / sqrt(1 + 1/8)).
    truth = stats.norm.cdf(1 / np.sqrt(1 + 1 / 8))
    rows = np.random.RandomState(0).randn(1000, 2, 5) + np.array([[-1.0], [1.0]])
    folds = []
    for k in range(5):
        middle = np.delete(rows, k, axis=2).mean(axis=(1, 2))
        folds.append(((rows[:, 0, k] < middle) * 1.0 + (rows[:, 1, k] > middle)) / 2)
    found = summarise(many(np.transpose(folds), 8, 2))
    # Accuracies of five pairs are coarse, and where all agree there is no interval to speak of.
    varies = found["high"] > found["low"]
    covered = (found["low"] <= truth) & (truth <= found["high"])
    assert np.mean(covered[varies]) > 0.95


@pytest.mark.parametrize(
    ("table", "reference", "message"),
    [
        (results(COLUMN), "b", r"reference='b'; expected one of \['a'\]"),
        (results(COLUMN).drop(columns="n_test"), "a", "no column 'n_test'"),
        (pd.DataFrame({"fold": [0]}), "a", r"reference='a'; expected one of \[\]"),
        (
            pd.concat([results(COLUMN), results(COLUMN[:2], name="b")]),
            "a",
            "'b' was not measured on the folds of 'a' at labels_per_class=1; compare both",
        ),
        (
            pd.concat([results(COLUMN), results(COLUMN, name="b", labels_per_class=np.inf)]),
            "a",
            "'b' was not measured on the folds of 'a' at labels_per_class=inf",
        ),
    ],
)
def test_differences_refuse(table, reference, message):
    with pytest.raises(ValueError, match=message):
        differences(table, reference)


def test_summary_survives_a_csv_file(digits, tmp_path):
    X, y = digits[0][:300], digits[1][:300]
    table = compare({"raw": None}, X, y, labels_per_class=(2, None), n_folds=2, n_draws=2)
    table.to_csv(tmp_path / "table.csv", index=False)
    summary = summarise(pd.read_csv(tmp_path / "table.csv"))
    assert len(summary) == 4
    pd.testing.assert_frame_equal(summary, summarise(table))


def test_scores_without_labels_are_the_diagnostics(digits):
    X, _ = digits
    pca = PCA(8).fit(X)
    Z = pca.transform(X[:500])
    score = {name: label_free_score(pca, X, criterion=name, max_rows=500) for name in CRITERIA}
    assert score["cluster-stability"] == cluster_stability(Z)
    assert score["effective-rank"] == effective_rank(Z)
    assert score["uniformity"] == -uniformity(Z)
    assert np.isnan(score["alpha-req"])  # too narrow for the ranks that it looks at
    wide = label_free_score(PCA(40).fit(X), X, criterion="alpha-req", max_rows=500)
    assert wide == -abs(alpha_req(PCA(40).fit(X).transform(X[:500])) - 1)
    sparse = label_free_score(FunctionTransformer(csr_array), X, criterion="effective-rank")
    assert sparse == effective_rank(X)
    with pytest.raises(ValueError, match="criterion='bound'"):
        label_free_score(pca, X, criterion="bound")


def test_a_grid_chooses_without_labels(digits):
    X, _ = digits
    grid = GridSearchCV(
        make_pipeline(StandardScaler(), PCA()),
        {"pca__n_components": [1, 16]},
        scoring=partial(label_free_score, criterion="effective-rank"),
        cv=2,
    ).fit(pd.DataFrame(X[:400]))
    assert grid.best_params_ == {"pca__n_components": 16}
