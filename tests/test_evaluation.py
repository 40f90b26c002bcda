import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.semi_supervised import LabelSpreading

from sklearn_mi.diagnostics import alpha_req, cluster_stability, effective_rank, uniformity
from sklearn_mi.evaluation import (
    CRITERIA,
    FAMILIES,
    MIN_MAX_SCALERS,
    PROBES,
    SCALES,
    knn_probe,
    label_efficiency,
    label_free_score,
    linear_probe,
    paper_probe,
    summarise,
    v_information,
)


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
        return Spy(self.log)


@pytest.fixture(scope="module")
def split(digits):
    X, y = digits
    return X[:300], y[:300], X[300:600], y[300:600]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PROBES)
def test_probe_is_its_classifier_on_scaled_columns(split, name, scale):
    X_train, y_train, X_test, y_test = split
    centre, spread = X_train.mean(axis=0), X_train.std(axis=0)
    divisor = {
        "column": np.where(spread > 0, spread, 1),
        "common": (X_train - centre).std(),
        "none": 1,
    }[scale]
    centre = 0 if scale == "none" else centre
    model = {
        "logistic": LogisticRegression(max_iter=2000),
        "knn": KNeighborsClassifier(1),
    }[name]
    model.fit((X_train - centre) / divisor, y_train)
    expected = np.mean(model.predict((X_test - centre) / divisor) == y_test)
    assert PROBES[name](*split, scale=scale) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("probe", PROBES.values())
def test_scaling_is_fitted_to_the_unlabelled_rows(split, probe):
    X_train, y_train, X_test, y_test = split
    scaler = StandardScaler().fit(X_train)
    few = slice(0, 20)
    expected = probe(
        scaler.transform(X_train)[few], y_train[few], scaler.transform(X_test), y_test, scale="none"
    )
    given = probe(X_train[few], y_train[few], X_test, y_test, Z_unlabelled=X_train)
    assert given == expected
    assert given != probe(X_train[few], y_train[few], X_test, y_test)


@pytest.mark.parametrize("scale", SCALES)
def test_constant_columns_are_harmless(scale):
    Z = np.array([[0.0, 7.0], [0.1, 7.0], [1.0, 7.0], [1.1, 7.0]])
    y = np.array([0, 0, 1, 1])
    assert linear_probe(Z, y, Z, y, scale=scale, C=100) == 1
    constant = np.full((4, 2), 7.0)
    assert knn_probe(constant, y, constant, y, scale=scale) == 0.5


@pytest.mark.parametrize(("n_a_class", "expected"), [(49, 1), (50, 5)])
def test_neighbours_follow_the_number_of_labels(n_a_class, expected, digits):
    X, y = digits
    order = np.argsort(y, kind="stable")
    rows = np.concatenate([order[y[order] == c][:n_a_class] for c in range(10)])
    rest = np.setdiff1d(order, rows)
    data = X[rows], y[rows], X[rest], y[rest]
    assert knn_probe(*data) == knn_probe(*data, n_neighbors=expected)
    assert knn_probe(*data) != knn_probe(*data, n_neighbors=6 - expected)


def test_regularisation_reaches_the_classifier(split):
    assert linear_probe(*split, C=1e-6) < linear_probe(*split)


def test_paper_probe_has_the_papers_settings(split):
    X_train, y_train, X_test, y_test = split
    model = make_pipeline(
        MinMaxScaler(), LogisticRegression(solver="saga", tol=0.1, C=10.0, random_state=3)
    )
    expected = model.fit(X_train, y_train).score(X_test, y_test)
    assert paper_probe(*split, random_state=3) == expected


@pytest.mark.parametrize(
    ("dtype", "tiny", "blown_up"),
    # Ten times the resolution: 2.2e-15 in float64, 1.2e-6 in float32.
    [
        (np.float64, 1e-15, ["2019"]),
        (np.float64, 1e-14, ["today", "2019"]),
        (np.float32, 1e-6, ["2019"]),
        (np.float32, 1e-5, ["today", "2019"]),
        (np.float64, 0.0, []),
    ],
)
@pytest.mark.parametrize("scaler", MIN_MAX_SCALERS)
def test_scalers_of_the_paper_differ_on_columns_that_are_constant_but_for_rounding(
    split, scaler, dtype, tiny, blown_up
):
    X_train, y_train, X_test, y_test = split
    noise = np.random.RandomState(0).randn(600, 5)
    # The labels stand in columns that rounding might have made: found only where blown up.
    hints = [tiny * np.eye(10)[y] for y in (y_train, y_test)]
    noise, hints = (
        [part.astype(dtype) for part in parts] for parts in ((noise[:300], noise[300:]), hints)
    )
    tables = [np.hstack(parts) for parts in zip(noise, hints, strict=True)]
    accuracy = paper_probe(tables[0], y_train, tables[1], y_test, scaler=scaler, random_state=0)
    assert (accuracy > 0.95) if scaler in blown_up else (accuracy < 0.25)


def test_the_scaler_of_2019_spares_exact_zeros_only():
    Z = np.array([[1.0, 7.0, 0.0], [3.0, 7.0, 1e-300], [2.0, 7.0, 5e-301]])
    expected = [[0, 0, 0], [1, 0, 1], [0.5, 0, 0.5]]
    scaled = MIN_MAX_SCALERS["2019"]().fit_transform(Z)
    np.testing.assert_allclose(scaled, expected, rtol=1e-12)
    ordinary = np.random.RandomState(0).randn(20, 3)
    np.testing.assert_allclose(
        MIN_MAX_SCALERS["2019"]().fit_transform(ordinary), MinMaxScaler().fit_transform(ordinary)
    )


def test_unknown_scaler_is_refused(split):
    with pytest.raises(ValueError, match="scaler='2018'.*Did you mean '2019'"):
        paper_probe(*split, scaler="2018")


def entropy_in_nats(frequencies):
    return -sum(p * np.log(p) for p in frequencies)


@pytest.mark.parametrize("scale", SCALES)
def test_v_information_is_the_drop_of_the_held_out_log_loss(split, scale):
    X_train, y_train, X_test, y_test = split
    X_train, y_train = X_train[:80], y_train[:80]
    scaler = SCALES[scale]().fit(X_train)
    model = LogisticRegression(max_iter=2000).fit(scaler.transform(X_train), y_train)
    predicted = model.predict_proba(scaler.transform(X_test))
    gains = [
        np.log(p[label]) - np.log(np.mean(y_train == label))
        for p, label in zip(predicted, y_test, strict=True)
    ]
    given = v_information(X_train, y_train, X_test, y_test, scale=scale)
    assert given == pytest.approx(np.mean(gains), rel=1e-9)


def test_v_information_through_a_noisy_channel_is_its_mutual_information():
    # A bit that is flipped once in ten; without a penalty logistic regression fits it exactly.
    Z = np.repeat([0.0, 1.0], 10)[:, None]
    y = np.array(["no"] * 9 + ["yes"] + ["yes"] * 9 + ["no"])
    exact = LogisticRegression(C=np.inf, tol=1e-10)
    expected = np.log(2) - entropy_in_nats([0.1, 0.9])
    assert v_information(Z, y, Z, y, probe=exact) == pytest.approx(expected, abs=1e-7)
    assert not hasattr(exact, "coef_")


@pytest.mark.parametrize("probe", FAMILIES)
def test_v_information_of_constant_codes_is_zero(probe):
    y = np.repeat([0, 1, 2], [10, 20, 30])
    Z = np.full((60, 2), 7.0)
    given = v_information(Z, y, Z, y, probe=probe)
    assert given == pytest.approx(0, abs=0.01)


def test_v_information_counts_what_the_family_can_find():
    Z = np.random.RandomState(0).choice([-1.0, 1.0], size=(400, 2))
    y = Z[:, 0] * Z[:, 1] > 0
    halves = Z[:200], y[:200], Z[200:], y[200:]
    assert v_information(*halves) < 0.02
    assert 0.9 * np.log(2) < v_information(*halves, probe="mlp") <= np.log(2)


def test_v_information_of_unrelated_codes_is_negative_by_overfitting():
    generator = np.random.RandomState(0)
    Z, y = generator.randn(400, 30), generator.randint(2, size=400)
    assert v_information(Z[:100], y[:100], Z[100:], y[100:]) < 0


def test_v_information_repeats_itself(split):
    few = [part[:60] for part in split]
    assert set(few[3]) <= set(few[1])
    given = [v_information(*few, probe="mlp", random_state=seed) for seed in (0, 0, 1)]
    assert given[0] == given[1] != given[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe": "mpl"}, "probe='mpl'.*Did you mean 'mlp'"),
        ({"scale": "colum"}, "scale='colum'.*Did you mean 'column'"),
        ({"y_test": np.array([0, 3])}, r"y_test has classes \[3\] that y_train lacks"),
    ],
)
def test_v_information_refuses(change, message):
    Z = np.eye(2)
    given = {"Z_train": Z, "y_train": [0, 1], "Z_test": Z, "y_test": [0, 1]}
    with pytest.raises(ValueError, match=message):
        v_information(**(given | change))


@pytest.mark.parametrize("probe", PROBES.values())
def test_unknown_scale_is_named_with_the_nearest(split, probe):
    with pytest.raises(ValueError, match="scale='colum'.*Did you mean 'column'"):
        probe(*split, scale="colum")


def test_table_is_tidy(digits):
    X, y = digits
    table = label_efficiency(
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


def test_all_labels_agree_with_cross_validation_by_hand(digits):
    X, y = digits[0][:400], digits[1][:400]
    table = label_efficiency(
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
    table = label_efficiency(
        {"spy": Spy(log)}, X, np.repeat([0, 1], 30), labels_per_class=(1,), n_folds=3, n_draws=1
    )
    assert [y for _, y in log] == [None] * 3
    held_out = [set(X.ravel()) - set(rows.ravel()) for rows, _ in log]
    assert [len(rows) for rows in held_out] == [20, 20, 20]
    assert set().union(*held_out) == set(X.ravel())
    assert (table[["mi", "mi_stderr", "mi_ceiling"]] == [1.5, 0.25, 4.0]).all(axis=None)


def test_bound_is_found_inside_a_pipeline():
    table = label_efficiency(
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
    table = label_efficiency(
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
    again = label_efficiency(
        {}, X, y, classifiers={"alone": Recorder(kernel="knn", n_neighbors=5)},
        labels_per_class=(2, 5), n_folds=2, n_draws=2,
    )  # fmt: skip
    assert again["accuracy"].tolist() == own["accuracy"].tolist()


def test_labels_may_be_anything_and_rows_a_frame_or_images(digits):
    X, y = digits[0][:200], digits[1][:200]
    settings = {"labels_per_class": (3,), "n_folds": 2, "n_draws": 1}
    spread = {"spread": LabelSpreading(kernel="knn", n_neighbors=5)}
    table = label_efficiency({"raw": None}, X, y, classifiers=spread, **settings)
    names = np.array([f"class {label}" for label in y])
    frame = pd.DataFrame(X).add_prefix("pixel_")
    by_name = label_efficiency({"raw": None}, frame, names, classifiers=spread, **settings)
    shifted = label_efficiency({"raw": None}, X, pd.Series(y - 1), classifiers=spread, **settings)
    images = label_efficiency({"raw": None}, X.reshape(-1, 8, 8), y, **settings)
    sparse = label_efficiency({"raw": None}, csr_array(X), y, **settings)
    pd.testing.assert_frame_equal(table, by_name)
    pd.testing.assert_frame_equal(table, shifted)
    pd.testing.assert_frame_equal(table.query("name == 'raw'"), images)
    pd.testing.assert_frame_equal(sparse, images)


def test_processes_change_nothing(digits):
    X, y = digits[0][:300], digits[1][:300]
    tables = [
        label_efficiency(
            {"raw": None}, X, y, labels_per_class=(1,), n_folds=2, n_draws=2, n_jobs=n_jobs
        )
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
        ({"X": np.ones((59, 2))}, r"inconsistent numbers of samples: \[59, 60\]"),
        ({"classifiers": {"spy": LabelSpreading()}}, r"names \['spy'\] .* rename"),
    ],
)
def test_bad_input_is_refused_before_anything_is_fitted(arguments, message):
    log = []
    with pytest.raises(ValueError, match=message):
        data = {"X": np.ones((60, 2)), "y": np.repeat([0, 1], 30)}
        label_efficiency({"spy": Spy(log)}, n_folds=2, **(data | arguments))
    assert not log


def test_summary_is_the_better_scaling_with_a_t_interval_over_folds():
    accuracy = {
        ("column", 0): [0.5, 0.7], ("column", 1): [0.7, 0.9], ("column", 2): [0.4, 0.6],
        ("common", 0): [0.9, 0.9], ("common", 1): [0.1, 0.1], ("common", 2): [0.2, 0.2],
    }  # fmt: skip
    table = pd.DataFrame(
        {"name": "a", "probe": "knn", "labels_per_class": 1.0, "n_labelled": 10,
         "scale": scale, "fold": fold, "draw": draw, "accuracy": value}
        for (scale, fold), values in accuracy.items() for draw, value in enumerate(values)
    )  # fmt: skip
    row = summarise(table).iloc[0]
    folds = np.array([0.6, 0.8, 0.5])
    low, high = stats.t.interval(0.95, 2, loc=folds.mean(), scale=stats.sem(folds))
    assert row["scale"] == "column"
    assert [row["mean"], row["low"], row["high"]] == pytest.approx([folds.mean(), low, high])


def test_summary_survives_a_csv_file(digits, tmp_path):
    X, y = digits[0][:300], digits[1][:300]
    table = label_efficiency({"raw": None}, X, y, labels_per_class=(2, None), n_folds=2, n_draws=2)
    table.to_csv(tmp_path / "table.csv", index=False)
    summary = summarise(pd.read_csv(tmp_path / "table.csv"))
    assert len(summary) == 4
    pd.testing.assert_frame_equal(summary, summarise(table))


def test_unconverged_fits_are_not_hidden(split):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        linear_probe(*split, max_iter=2)
    assert "ConvergenceWarning" in {warning.category.__name__ for warning in caught}


def test_the_papers_probe_converged_is_the_minimum_of_its_loss(split):
    X_train, y_train, X_test, y_test = split
    scaler = MinMaxScaler().fit(X_train)
    # Another solver, run to the end, on the same loss.
    model = LogisticRegression(C=10.0, solver="newton-cholesky", tol=1e-8, max_iter=500)
    model.fit(scaler.transform(X_train), y_train)
    expected = model.score(scaler.transform(X_test), y_test)
    assert paper_probe(*split, converged=True) == pytest.approx(expected, abs=1.5 / 300)  # a row
    assert paper_probe(*split, converged=True, random_state=1) == paper_probe(
        *split, converged=True, random_state=2
    )


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
