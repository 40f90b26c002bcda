import copy
import re

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mi import MIRepresentationLearner, NonFiniteLossError
from sklearn_mi.encoders import MLP
from sklearn_mi.semi_supervised import (
    FineTuning,
    LabeledFold,
    SemiSupervisedClassifier,
    SemiSupervisedRegressor,
)
from sklearn_mi.views import SameClass

TEXT = np.array(["bee", "ant", "cow"])


def small_learner(n_components=3, **params):
    params = {"encoder": MLP(hidden=(8,)), "max_steps": 5, "batch_size": 32, **params}
    return MIRepresentationLearner(n_components, random_state=0, **params)


@pytest.fixture(scope="module")
def blobs():
    """Rows, classes 0 to 2, and the same with -1 in three of four rows."""
    X, y = make_blobs(120, 4, centers=3, cluster_std=2.0, random_state=3)
    return X, y, np.where(np.arange(120) % 4 == 0, y, -1)


def by_hand(X, y, few, classifier=None):
    """Return predictions of a classifier on codes of labelled rows, by PCA."""
    codes, known = PCA(2).fit_transform(X), few != -1
    return (classifier or LogisticRegression()).fit(codes[known], y[known]).predict(codes)


@parametrize_with_checks(
    [
        SemiSupervisedClassifier(small_learner()),
        SemiSupervisedClassifier(PCA(), LogisticRegression()),
        SemiSupervisedRegressor(small_learner(output="with-columns")),
    ],
    expected_failed_checks=lambda estimator: (
        {"check_classifiers_classes": "its last part has -1 for a class, which is no label here"}
        if isinstance(estimator, SemiSupervisedClassifier)
        else {}
    ),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# What counts as no label


def as_objects(few, missing):
    return np.array([missing if label == -1 else label for label in few.tolist()], dtype=object)


def as_text(few, missing):
    return np.array([missing if label == -1 else TEXT[label] for label in few], dtype=object)


MARKED = {
    "integers": lambda few: few,
    "list": lambda few: few.tolist(),
    "floats": lambda few: np.where(few == -1, np.nan, few),
    "None": lambda few: as_objects(few, None),
    "NaN": lambda few: as_objects(few, np.nan),
    "NA": lambda few: as_objects(few, pd.NA),
    "-1 among objects": lambda few: as_objects(few, -1),
    "list with None": lambda few: as_objects(few, None).tolist(),
    "Int64": lambda few: pd.Series(as_objects(few, pd.NA), dtype="Int64"),
    "polars": lambda few: pl.Series(as_objects(few, None).tolist()),
}
MARKED_TEXT = {
    "None": lambda few: as_text(few, None),
    "list": lambda few: as_text(few, None).tolist(),
    "-1": lambda few: as_text(few, -1),
    "string": lambda few: pd.Series(as_text(few, None), dtype="string"),
    "category": lambda few: pd.Series(as_text(few, None), dtype="category"),
    "polars": lambda few: pl.Series(as_text(few, None).tolist()),
}


@pytest.mark.parametrize("kind", MARKED)
def test_rows_without_a_label_are_left_out(blobs, kind):
    X, y, few = blobs
    model = SemiSupervisedClassifier(PCA(2), LogisticRegression()).fit(X, MARKED[kind](few))
    assert model.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(model.predict(X), by_hand(X, y, few))


@pytest.mark.parametrize("kind", MARKED_TEXT)
def test_text_labels_keep_their_names(blobs, kind):
    X, y, few = blobs
    model = SemiSupervisedClassifier(PCA(2), LogisticRegression()).fit(X, MARKED_TEXT[kind](few))
    assert model.classes_.tolist() == ["ant", "bee", "cow"]
    np.testing.assert_array_equal(model.predict(X), TEXT[by_hand(X, y, few)])


@pytest.mark.filterwarnings("ignore:y holds .* which counts as a class")
@pytest.mark.parametrize(
    ("y", "unlabeled", "classes"),
    [
        (["-1", "a", "b", "a"], "auto", ["-1", "a", "b"]),
        (["?", "a", "b", "a"], "?", ["a", "b"]),
        ([9, 0, -1, 0], 9, [-1, 0]),
        ([None, "a", -1, "a"], None, TypeError),
        ([-1, 0, 1, 1], np.nan, [-1, 0, 1]),
        ([-1.0, 0.0, np.nan, 1.0], "auto", [-1, 0, 1]),
        ([True, False, False, True], "auto", [False, True]),
    ],
)
def test_another_marker_and_what_is_a_label(y, unlabeled, classes):
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    model = SemiSupervisedClassifier(PCA(1), KNeighborsClassifier(1), unlabeled=unlabeled)
    if classes is TypeError:
        with pytest.raises(ValueError, match="mixes text and numbers"):
            model.fit(X, y)
    else:
        assert model.fit(X, y).classes_.tolist() == classes


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (None, "requires y to be passed"),
        ([-1] * 6, r"no label in 6 rows with unlabeled='auto'"),
        ([None] * 6, "no label in 6 rows"),
        ([-1, -1, 2, 2, 2, -1], "one class among its labelled rows, 2; expected 2 or more"),
        ([0.5, 0.1, 0.2, np.nan, 1.0, 2.0], "continuous"),
        ([0, 1, 0, 1, -1], "inconsistent numbers of samples"),
        (np.eye(6, 2), "1d array"),
    ],
)
def test_labels_that_cannot_be_used_are_told(y, said):
    with pytest.raises(ValueError, match=said):
        SemiSupervisedClassifier(PCA(1)).fit(np.arange(12.0).reshape(6, 2), y)


def test_one_label_a_class_is_enough(blobs):
    X, y, _ = blobs
    few = np.full(len(y), -1)
    for label in range(3):
        few[np.flatnonzero(y == label)[0]] = label
    model = SemiSupervisedClassifier(PCA(2)).fit(X, few)
    assert model.score(X, y) > 0.8
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_one_class_is_left_to_a_classifier_of_the_users(blobs):
    X, _, few = blobs
    model = SemiSupervisedClassifier(PCA(2), KNeighborsClassifier(1))
    assert set(model.fit(X, np.where(few == 1, 1, -1)).predict(X)) == {1}


# The default classifier


def test_default_scales_by_all_rows_and_fits_labelled_ones(blobs):
    # Classes overlap too much for self-training.
    X, y, few = blobs
    known, noisy = few != -1, np.random.default_rng(0).permutation(y)
    few = np.where(known, noisy, -1)
    model = SemiSupervisedClassifier(PCA(2)).fit(X, few)
    codes = PCA(2).fit_transform(X)
    codes /= np.sqrt(np.mean(codes.var(axis=0)))
    hand = LogisticRegression(max_iter=2000).fit(codes[known], few[known])
    np.testing.assert_allclose(model.predict_proba(X), hand.predict_proba(codes), rtol=1e-6)


def with_surely_told_rows(codes, few, threshold, rounds):
    """Return labels after some rounds of adding predictions that are sure."""
    labels = few.copy()
    for _ in range(rounds):
        known = labels != -1
        model = LogisticRegression(max_iter=2000).fit(codes[known], labels[known])
        proba = model.predict_proba(codes)
        labels = np.where(known | (proba.max(axis=1) <= threshold), labels, proba.argmax(axis=1))
    return labels


def test_default_learns_from_sure_rows_where_classes_are_told_apart():
    X, y = make_blobs(120, 4, centers=3, cluster_std=1.5, random_state=3)
    few = np.where(np.arange(120) % 8 == 0, y, -1)
    model = SemiSupervisedClassifier(PCA(2)).fit(X, few)
    codes = PCA(2).fit_transform(X)
    codes /= np.sqrt(np.mean(codes.var(axis=0)))
    labels = with_surely_told_rows(codes, few, 0.8, 5)
    assert (labels != -1).sum() > 60
    hand = LogisticRegression(max_iter=2000).fit(codes[labels != -1], labels[labels != -1])
    np.testing.assert_allclose(model.predict_proba(X), hand.predict_proba(codes), rtol=1e-5)


@pytest.mark.parametrize("centre", [0.0, 0.1])
def test_default_leaves_flags_of_a_mixed_table_as_they_are(centre):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(5, 9, 80), rng.normal(size=80), rng.random(80) < 0.1])
    y = np.where(np.arange(80) % 2, -1, (X[:, 0] > 5) + 2 * X[:, 2].astype(int))
    X[:, 2] -= centre
    model = SemiSupervisedClassifier(FunctionTransformer()).fit(X, y)
    numbers = StandardScaler().fit_transform(X[:, :2])
    np.testing.assert_allclose(
        model.classifier_[0].transform(X), np.column_stack([numbers, X[:, 2]])
    )


def test_default_reads_codes_of_a_table_with_words_as_those_of_a_mixed_table():
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=160)
    frame = pd.DataFrame(
        {
            "size": truth + 0.1 * rng.normal(size=160),
            "age": rng.normal(40, 9, 160),
            "town": rng.choice(["Oslo", "Rome", "Ulm"], 160),
            "owns": np.where(rng.random(160) < 0.3, "yes", "no"),
        }
    )
    few = np.where(np.arange(160) % 4 == 0, truth, -1)
    model = SemiSupervisedClassifier(random_state=0).fit(frame, few)
    # No scale of a whole code and no self-training, though the classes are told apart.
    Z = MIRepresentationLearner(random_state=0).fit(frame).transform(frame)
    known, numbers = few != -1, Z[:, :2]
    codes = np.hstack([StandardScaler().fit_transform(numbers), Z[:, 2:]])
    assert Z.shape[1] == 6 and set(np.round(np.ptp(Z[:, 2:], axis=0), 6)) == {1.0}
    hand = LogisticRegression(max_iter=2000).fit(codes[known], few[known])
    np.testing.assert_allclose(model.predict_proba(frame), hand.predict_proba(codes), atol=1e-4)


def test_columns_of_two_values_that_are_no_flags_share_a_scale():
    # Rare words, weighted: each stands in a row or two.
    X = np.zeros((60, 12))
    X[np.arange(60), np.arange(60) % 10] = 0.3
    X[:, 10:] = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(np.arange(60) % 2, -1, X[:, 10] > 0)
    model = SemiSupervisedClassifier(FunctionTransformer()).fit(X, y)
    assert len(np.unique(model.classifier_[0].scale_)) == 1


def test_weights_reach_the_default_classifier_and_stop_self_training(blobs):
    X, y, few = blobs
    weights = np.where(y == 0, 5.0, 1.0)
    model = SemiSupervisedClassifier(PCA(2)).fit(X, few, sample_weight=weights)
    codes, known = PCA(2).fit_transform(X), few != -1
    codes /= np.sqrt(np.mean(codes.var(axis=0)))
    hand = LogisticRegression(max_iter=2000).fit(codes[known], y[known], weights[known])
    np.testing.assert_allclose(model.predict_proba(X), hand.predict_proba(codes), rtol=1e-6)


# The learner


class Spy(TransformerMixin, BaseEstimator):
    """Keeps what its fit got."""

    def fit(self, X, y=None, X_pair=None, groups=None):
        self.got_ = {"y": y, "X_pair": X_pair, "groups": groups}
        return self

    def transform(self, X):
        return np.asarray(X)


class SpyClassifier(LogisticRegression):
    """Keeps the weights that its fit got."""

    def fit(self, X, y, sample_weight=None):
        self.got_ = sample_weight
        return super().fit(X, y, sample_weight)


def test_learner_gets_all_rows_and_no_labels(blobs):
    X, _, few = blobs
    model = SemiSupervisedClassifier(make_pipeline(StandardScaler(), Spy())).fit(X, few)
    assert model.learner_[1].got_["y"] is None
    np.testing.assert_allclose(model.learner_[0].mean_, X.mean(axis=0))


def test_learner_whose_view_needs_labels_gets_them_with_minus_1(blobs):
    X, _, few = blobs
    learner = small_learner(view=SameClass())
    alphabetic = np.where(few == -1, -1, np.argsort(np.argsort(TEXT))[few])
    expected = clone(learner).fit(X, alphabetic).transform(X)
    model = SemiSupervisedClassifier(make_pipeline(learner)).fit(X, as_text(few, None))
    np.testing.assert_array_equal(model.learner_.transform(X), expected)


def test_learner_with_a_marker_of_its_own_gets_labels_as_they_are(blobs):
    X, _, few = blobs
    learner = small_learner(view=SameClass(unlabelled=9))
    marked = np.where(few == -1, 9, few)
    expected = clone(learner).fit(X, marked).transform(X)
    model = SemiSupervisedClassifier(learner, unlabeled=9).fit(X, marked)
    np.testing.assert_array_equal(model.learner_.transform(X), expected)


@pytest.mark.parametrize("routing", [False, True])
def test_metadata_go_to_the_part_that_takes_them(blobs, routing):
    X, _, few = blobs
    pair, groups, weights = X[:, :1], np.arange(120) // 2, np.arange(1.0, 121.0)
    with sklearn.config_context(enable_metadata_routing=routing):
        learner, classifier = Spy(), SpyClassifier()
        if routing:
            learner.set_fit_request(X_pair=True, groups=True)
            classifier.set_fit_request(sample_weight=True)
        model = SemiSupervisedClassifier(learner, classifier)
        model.fit(X, few, X_pair=pair, groups=groups, sample_weight=weights)
    assert model.learner_.got_["X_pair"] is pair
    assert model.learner_.got_["groups"] is groups
    np.testing.assert_array_equal(model.classifier_.got_, weights[few != -1])


@pytest.mark.parametrize("routing", [False, True])
def test_default_parts_request_their_metadata(blobs, routing):
    X, _, few = blobs
    with sklearn.config_context(enable_metadata_routing=routing):
        model = SemiSupervisedClassifier(random_state=0)
        if not routing:
            model.set_params(learner=small_learner())
        else:
            model.set_params(learner=small_learner().set_fit_request(X_pair=True, groups=True))
            theirs = SemiSupervisedClassifier().get_metadata_routing()
            assert set(theirs.consumes("fit", ["X_pair", "groups", "sample_weight", "other"])) == {
                *("X_pair", "groups", "sample_weight")
            }
        model.fit(X, few, X_pair=X[:, :2], groups=np.arange(120), sample_weight=np.ones(120))
    assert model.learner_.transform_pair(X[:, :2]).shape == (120, 3)


def test_frozen_learner_is_used_as_it_is(blobs):
    X, _, few = blobs
    learner = small_learner().fit(X)
    before = learner.transform(X)
    model = SemiSupervisedClassifier(FrozenEstimator(learner)).fit(X[:40], few[:40])
    np.testing.assert_array_equal(model.learner_.transform(X), before)


def test_default_learner_gets_the_seed(blobs):
    X, _, few = blobs
    learner = SemiSupervisedClassifier(random_state=7).fit(X[:12], few[:12]).learner_
    assert isinstance(learner, MIRepresentationLearner)
    assert learner.random_state == 7


def test_names_of_columns_and_containers(blobs):
    X, _, few = blobs
    frame = pd.DataFrame(X, columns=list("abcd"))
    learner = PCA(2).set_output(transform="pandas")
    model = SemiSupervisedClassifier(learner).fit(frame, few)
    assert model.n_features_in_ == 4
    assert model.feature_names_in_.tolist() == list("abcd")
    plain = SemiSupervisedClassifier(PCA(2)).fit(X, few)
    np.testing.assert_allclose(model.predict_proba(frame), plain.predict_proba(X))
    own = SemiSupervisedClassifier(learner, LogisticRegression()).fit(frame, few)
    assert own.classifier_.feature_names_in_.tolist() == ["pca0", "pca1"]


# Parameters and files


def test_grid_varies_both_parts(blobs):
    X, y, few = blobs
    grid = {
        "learner__n_components": [1, 2],
        "classifier__C": [0.1, 1.0],
        "classifier__class_weight": [None, "balanced"],
    }
    model = SemiSupervisedClassifier(small_learner(), LogisticRegression())
    search = GridSearchCV(model, grid, cv=LabeledFold(2), error_score="raise").fit(X, few)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 8 and np.isfinite(scores).all()
    assert search.predict(X).shape == y.shape


def test_balanced_classes_find_the_rare_one():
    rng = np.random.default_rng(0)
    y = (np.arange(300) < 12).astype(int)
    X = rng.normal(size=(300, 2)) + 1.2 * y[:, None]
    few = np.where(np.arange(300) % 2, y, -1)
    found = [
        SemiSupervisedClassifier(PCA(2), LogisticRegression(class_weight=weight))
        .fit(X, few)
        .predict(X)[y == 1]
        .sum()
        for weight in (None, "balanced")
    ]
    assert found[0] < 3 < 9 <= found[1]


@pytest.mark.parametrize("key", ["learner__n_components", "classifier__C"])
def test_parameters_of_a_part_that_is_not_given_are_told(key):
    name = key.split("__")[0]
    with pytest.raises(ValueError, match=f"{key}: {name}=None has no parameter .* pass {name}="):
        SemiSupervisedClassifier().set_params(**{key: 2})


@pytest.mark.parametrize("params", [{"learner": 3}, {"classifier": "svm"}, {"fine_tune": 2}])
def test_wrong_parameters_are_named(blobs, params):
    X, _, few = blobs
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        SemiSupervisedClassifier(**{"learner": PCA(2), **params}).fit(X, few)


def test_methods_are_those_of_the_classifier(blobs):
    X, _, few = blobs
    with_margins = SemiSupervisedClassifier(PCA(2), LinearSVC())
    assert not hasattr(with_margins, "predict_proba")
    assert with_margins.fit(X, few).decision_function(X).shape == (120, 3)
    assert not hasattr(SemiSupervisedClassifier(), "decision_function")


def test_file_and_clone(blobs, tmp_path):
    X, _, few = blobs
    model = SemiSupervisedClassifier(small_learner()).fit(X, few)
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    twin = clone(model).fit(X, few)
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


# Regression


@pytest.fixture(scope="module")
def line():
    """Rows, targets, and the same with NaN in three of four rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    y = X @ [2.0, -1.0, 0.5] + 10 + 0.1 * rng.normal(size=80)
    return X, y, np.where(np.arange(80) % 4 == 0, y, np.nan)


@pytest.mark.parametrize("kind", ["floats", "objects", "list"])
def test_regressor_fits_rows_with_a_target(line, kind):
    X, y, few = line
    given = {"floats": few, "objects": as_objects(np.nan_to_num(few, nan=-1), None)}
    given["list"] = given["objects"].tolist()
    model = SemiSupervisedRegressor(PCA(2), Ridge()).fit(X, given[kind])
    codes, known = PCA(2).fit_transform(X), ~np.isnan(few)
    hand = Ridge().fit(codes[known], y[known])
    np.testing.assert_allclose(model.predict(X), hand.predict(codes))


def test_default_regressor_finds_the_line(line):
    X, y, few = line
    model = SemiSupervisedRegressor(PCA()).fit(X, few)
    assert model.score(X, y) > 0.99
    weighted = SemiSupervisedRegressor(PCA()).fit(X, few, sample_weight=np.linspace(0.1, 1, 80))
    assert weighted.score(X, y) > 0.99
    assert not np.allclose(weighted.predict(X), model.predict(X))


def test_regressor_takes_minus_1_for_a_target(line):
    X, y, _ = line
    whole = np.round(y - y.mean()).astype(int)
    assert (whole == -1).any()
    model = SemiSupervisedRegressor(PCA(), Ridge(1e-6)).fit(X, whole)
    hand = make_pipeline(PCA(), Ridge(1e-6)).fit(X, whole)
    np.testing.assert_allclose(model.predict(X), hand.predict(X))


def test_one_target_is_predicted(line):
    X, y, _ = line
    few = np.full(80, np.nan)
    few[3] = y[3]
    np.testing.assert_allclose(SemiSupervisedRegressor(PCA()).fit(X, few).predict(X), y[3])


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([np.nan] * 4, "no label in 4 rows"),
        ([1.0, np.inf, 2.0, np.nan], "infinite targets"),
        (["a", "b", None, "a"], "y holds a; expected numbers: use SemiSupervisedClassifier"),
    ],
)
def test_targets_that_cannot_be_used_are_told(y, said):
    with pytest.raises(ValueError, match=said):
        SemiSupervisedRegressor(PCA(1)).fit(np.arange(8.0).reshape(4, 2), y)


# Cross-validation


def test_folds_test_every_labelled_row_once_and_train_on_all_others(blobs):
    X, _, few = blobs
    labelled = np.flatnonzero(few != -1)
    expected = StratifiedKFold(3).split(labelled, few[labelled])
    for (train, test), (_, part) in zip(LabeledFold(3).split(X, few), expected, strict=True):
        assert test.tolist() == labelled[part].tolist()
        assert sorted([*train, *test]) == list(range(120))


@pytest.mark.parametrize("cv", [GroupKFold(3), LeaveOneGroupOut()])
@pytest.mark.parametrize("routing", [False, True])
def test_folds_hand_groups_on(blobs, cv, routing):
    X, _, few = blobs
    groups = np.repeat(list("abcd"), 30)
    folds = LabeledFold(cv)
    for train, test in folds.split(X, few, groups):
        known = train[few[train] != -1]
        assert not set(groups[known]) & set(groups[test])
    assert folds.get_n_splits(X, few, groups) == (3 if isinstance(cv, GroupKFold) else 4)
    model = SemiSupervisedClassifier(PCA(2))
    with sklearn.config_context(enable_metadata_routing=routing):
        given = {"params": {"groups": groups}} if routing else {"groups": groups}
        if not routing:
            with pytest.raises(ValueError, match="groups"):
                cross_val_score(model, X, few, cv=folds, error_score="raise")
        model = SemiSupervisedClassifier(Spy().set_fit_request(groups=False) if routing else Spy())
        scores = cross_val_score(model, X, few, cv=folds, error_score="raise", **given)
    assert len(scores) == folds.get_n_splits(X, few, groups)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([0.0, 1.0, np.nan, 0.0, 1.0, np.nan], StratifiedKFold),
        ([0.3, 1.0, np.nan, 2.5, 1.7, np.nan], KFold),
        ([3.0, 1.0, np.nan, 2.0, 1.0, np.nan], KFold),
        (["b", "a", None, "a", "b", None], StratifiedKFold),
    ],
)
def test_folds_are_stratified_for_classes(y, kind):
    rows = np.array([0, 1, 3, 4])
    labels = [y[row] for row in rows]
    expected = [rows[test].tolist() for _, test in kind(2).split(rows, labels)]
    assert [test.tolist() for _, test in LabeledFold(2).split(y, y)] == expected


def test_folds_take_splitters_and_another_marker():
    y = [-1, 9, 3, 4, 9, 5]
    folds = LabeledFold(KFold(2), unlabeled=9)
    assert [test.tolist() for _, test in folds.split(y, y)] == [[0, 2], [3, 5]]
    assert folds.get_n_splits() == 2
    assert repr(LabeledFold(3)) == "LabeledFold(cv=3, unlabeled='auto')"


def test_folds_that_cannot_be_made_are_told():
    with pytest.raises(ValueError, match="no label in 3 rows"):
        list(LabeledFold().split([-1] * 3, [-1] * 3))
    with pytest.raises(ValueError, match="cv='many'; expected a number of folds or a splitter"):
        list(LabeledFold("many").split([0, 1], [0, 1]))


def test_scoring_rows_without_a_label_names_the_folds(blobs, line):
    X, _, few = blobs
    said = re.escape("pass cv=LabeledFold(5)")
    model = SemiSupervisedClassifier(PCA(2))
    with pytest.raises(ValueError, match=f"90 of 120 rows without a label.*{said}"):
        model.fit(X, few).score(X, few)
    with pytest.raises(ValueError, match=said):
        cross_val_score(model, X, few, cv=3, error_score="raise")
    with pytest.raises(ValueError, match=said):
        cross_val_score(SemiSupervisedRegressor(PCA()), *line[::2], cv=3, error_score="raise")


def test_cross_validation_of_few_targets(line):
    X, _, few = line
    scores = cross_val_score(SemiSupervisedRegressor(PCA()), X, few, cv=LabeledFold(4))
    assert scores.shape == (4,) and scores.min() > 0.9


# Fine-tuning


QUICK = FineTuning(max_steps=10, head_steps=20, lr=0.01)


@pytest.fixture(scope="module")
def fitted(blobs):
    return small_learner().fit(blobs[0])


def global_state():
    return torch.get_rng_state().tolist(), str(np.random.get_state())


def tuned(blobs, fitted, how=QUICK, few=None, **metadata):
    X, _, known = blobs
    model = SemiSupervisedClassifier(FrozenEstimator(fitted), LogisticRegression(), fine_tune=how)
    return model.fit(X, known if few is None else few, **metadata)


def test_fine_tuning_changes_a_copy(blobs, fitted):
    X, _, _ = blobs
    before, steps, state = fitted.transform(X), fitted.n_iter_, global_state()
    model = tuned(blobs, fitted)
    assert global_state() == state
    np.testing.assert_array_equal(fitted.transform(X), before)
    assert fitted.n_iter_ == steps
    assert model.learner_.n_iter_ == steps + 10
    assert not np.allclose(model.learner_.transform(X), before)
    assert model.learner_.mi_.value != fitted.mi_.value
    again = tuned(blobs, fitted)
    np.testing.assert_array_equal(again.learner_.transform(X), model.learner_.transform(X))


def test_fine_tuning_lets_codes_tell_the_labels(blobs, fitted):
    X, y, few = blobs
    known = few != -1

    def loss(learner):
        codes = StandardScaler().fit_transform(learner.transform(X))
        model = LogisticRegression().fit(codes[known], y[known])
        return log_loss(y[known], model.predict_proba(codes[known]))

    how = FineTuning(max_steps=40, head_steps=50, lr=0.01, objective_weight=0)
    assert loss(tuned(blobs, fitted, how).learner_) < 0.8 * loss(fitted)


def test_weight_keeps_the_objective_up(blobs, fitted):
    X, _, _ = blobs
    bounds = [
        tuned(blobs, fitted, FineTuning(max_steps=40, lr=0.01, objective_weight=w)).learner_
        for w in (0, 10)
    ]
    assert bounds[0].bounds(X)["maximised"] < bounds[1].bounds(X)["maximised"]


def test_classes_that_are_floats_are_no_targets(blobs, fitted):
    few = blobs[2]
    floats = tuned(blobs, fitted, few=np.where(few == -1, np.nan, few + 1.0))
    whole = tuned(blobs, fitted)
    np.testing.assert_array_equal(
        floats.learner_.transform(blobs[0]), whole.learner_.transform(blobs[0])
    )


def test_encoder_is_frozen_while_the_head_learns(blobs, fitted):
    X, _, _ = blobs
    how = FineTuning(max_steps=1, head_steps=50, lr=1e-12)
    codes = tuned(blobs, fitted, how).learner_.transform(X)
    np.testing.assert_allclose(codes, fitted.transform(X), atol=1e-6)


def test_fine_tuning_ignores_labels_of_weight_0(blobs, fitted):
    X, _, few = blobs
    wrong, weights = few.copy(), np.ones(120)
    rows = np.flatnonzero(few != -1)[:6]
    weights[rows] = 0
    wrong[rows] = (few[rows] + 1) % 3
    how = FineTuning(max_steps=5, head_steps=5, batch_size=200)
    codes = [
        tuned(blobs, fitted, how, labels, sample_weight=weights).learner_.transform(X)
        for labels in (few, wrong)
    ]
    np.testing.assert_allclose(codes[0], codes[1], rtol=1e-5, atol=1e-6)


def test_fine_tuning_of_a_regressor_and_of_pairs(line):
    X, y, few = line
    model = SemiSupervisedRegressor(small_learner(), fine_tune=QUICK)
    plain = SemiSupervisedRegressor(small_learner())
    assert model.fit(X, few).score(X, y) > plain.fit(X, few).score(X, y)
    model.fit(X, few, X_pair=X[:, :2], groups=np.arange(80) // 2)
    assert model.learner_.transform_pair(X[:, :2]).shape == (80, 3)


def test_grid_varies_fine_tuning(blobs):
    X, _, few = blobs
    model = SemiSupervisedClassifier(small_learner(), fine_tune=QUICK)
    search = GridSearchCV(model, {"fine_tune__lr": [1e-3, 1e-2]}, cv=LabeledFold(2))
    assert np.isfinite(search.fit(X, few).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        (FineTuning(max_steps=0), ValueError, "max_steps=0; expected a positive integer"),
        (FineTuning(lr=0.0), ValueError, "lr=0.0; expected a number above 0 and up to 1"),
        (FineTuning(objective_weight=-1), ValueError, "objective_weight=-1"),
        (FineTuning(objective_weight=1e39), NonFiniteLossError, "lower them, as by"),
    ],
)
def test_fine_tuning_that_cannot_be_is_told(blobs, fitted, how, error, said):
    with pytest.raises(error, match=said):
        tuned(blobs, fitted, how)


def test_fine_tuning_needs_a_learner_of_ours(blobs):
    X, _, few = blobs
    for learner in (PCA(2), make_pipeline(SelectKBest(), small_learner())):
        with pytest.raises(ValueError, match="fine_tune=True goes on training an MIRep.* class "):
            SemiSupervisedClassifier(copy.deepcopy(learner), fine_tune=True).fit(X, few)


@pytest.mark.slow
def test_few_labels_of_digits_are_cross_validated(digits):
    X, y = digits
    few = np.where(np.random.default_rng(0).random(len(y)) < 0.1, y, -1)
    model = SemiSupervisedClassifier(random_state=0)
    right = cross_val_score(model, X, few, cv=LabeledFold(3)).mean()
    wrong = cross_val_score(model, X, few, cv=StratifiedKFold(3), scoring="accuracy").mean()
    assert right > 0.9 > 0.2 > wrong


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (-np.ones(40), "sample_weight is -1 in row 0"),
        (np.full(40, np.nan), "sample_weight has 40 missing values"),
        (np.ones(39), "sample_weight has 39 values, but X has 40 rows"),
    ],
)
def test_weights_of_fit_and_of_score_are_checked(weights, words):
    X = np.random.default_rng(0).normal(size=(40, 3))
    for model, y in (
        (SemiSupervisedClassifier(PCA(2)), np.arange(40) % 2),
        (SemiSupervisedRegressor(PCA(2)), X[:, 0]),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(X, y, sample_weight=weights)
        model.fit(X, y)
        with pytest.raises(ValueError, match=words):
            model.score(X, y, sample_weight=weights)
