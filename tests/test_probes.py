import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_mi.probes import (
    FAMILIES,
    MIN_MAX_SCALERS,
    PROBES,
    SCALES,
    best_readout,
    knn_probe,
    linear_probe,
    mlp_probe,
    paper_probe,
    v_information,
)


@pytest.fixture(scope="module")
def split(digits):
    X, y = digits
    return X[:300], y[:300], X[300:600], y[300:600]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PROBES)
def test_probe_is_its_classifier_on_scaled_columns(split, name, scale):
    X_train, y_train, X_test, y_test = few = [part[:60] for part in split]
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
        "mlp": MLPClassifier((256,), alpha=1.0, max_iter=2000, random_state=0),
    }[name]
    model.fit((X_train - centre) / divisor, y_train)
    expected = np.mean(model.predict((X_test - centre) / divisor) == y_test)
    assert PROBES[name](*few, scale=scale) == pytest.approx(expected, abs=1e-12)


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


def test_a_perceptron_reads_what_no_line_does():
    Z = np.random.RandomState(0).choice([-1.0, 1.0], size=(200, 2))
    y = Z[:, 0] * Z[:, 1] > 0
    halves = Z[:100], y[:100], Z[100:], y[100:]
    assert mlp_probe(*halves) == 1
    assert linear_probe(*halves) < 0.8


def test_a_perceptron_is_not_lost_with_one_row_a_class(split):
    X_train, y_train, X_test, y_test = split
    one = np.unique(y_train, return_index=True)[1]
    data = X_train[one], y_train[one], X_test, y_test
    given = [mlp_probe(*data, Z_unlabelled=X_train, random_state=seed) for seed in (0, 0, 1)]
    assert given[0] == given[1]
    assert min(given) > linear_probe(*data, Z_unlabelled=X_train) - 0.05
    small = mlp_probe(*data, Z_unlabelled=X_train, hidden_layer_sizes=[2], alpha=1e3)
    assert small < min(given)


def by_cross_validation(tables, y):
    """Return the readout with the most right answers in four times repeated stratified folds."""
    folds = RepeatedStratifiedKFold(
        n_splits=min(5, np.bincount(y).min()), n_repeats=4, random_state=0
    )
    models = {"logistic": LogisticRegression(max_iter=2000), "knn": KNeighborsClassifier(1)}
    return {
        (name, scale): cross_val_score(model, tables[scale], y, cv=folds).mean()
        for name, model in models.items()
        for scale in tables
    }


@pytest.mark.parametrize("n_a_class", [2, 5])
def test_best_readout_has_the_best_cross_validated_accuracy(digits, n_a_class):
    X, y = digits[0][:, 20:40], digits[1]
    regrets = []
    for start in range(0, 1200, 400):
        part = np.arange(start, start + 400)
        rows = np.concatenate([part[y[part] == c][:n_a_class] for c in range(10)])
        tables = {
            scale: SCALES[scale]().fit(X[part]).transform(X[rows]) for scale in ("common", "column")
        }
        accuracies = by_cross_validation(tables, y[rows])
        chosen = best_readout(X[rows], y[rows], Z_unlabelled=X[part])
        regrets.append(max(accuracies.values()) - accuracies[chosen])
    # Another shuffle of the same rows: at these sizes the two agree within a few rows.
    assert np.mean(regrets) < 0.02


def test_best_readout_of_many_rows_looks_at_some_of_each_class():
    y = np.repeat([0, 1, 2], [100, 3000, 2000])
    Z = np.c_[y, np.random.default_rng(0).normal(size=len(y))]
    read = np.arange(len(y)) % 3 == 0  # of 5,100 rows sorted by class, at most 2,000
    # In the rows that are not to be read, classes lie in stripes, so that neighbours win.
    stripes = np.c_[10 * (np.arange(len(y)) % 2) + y * (np.arange(len(y)) % 4 > 1), Z[:, 1] / 100]
    mixed = np.where(read[:, None], Z, stripes)
    expected = best_readout(Z[read], y[read], Z_unlabelled=Z)
    assert best_readout(mixed, y, Z_unlabelled=Z) == expected
    assert best_readout(mixed[~read], y[~read], Z_unlabelled=Z) != expected


def test_best_readout_sees_curled_classes_and_ruined_scales():
    generator = np.random.RandomState(0)
    y = np.repeat([0, 1], 50)
    rings = np.c_[np.cos(np.arange(100)), np.sin(np.arange(100))] * (1 + y[:, None])
    assert best_readout(rings, y)[0] == "knn"
    # The classes lie in a narrow column beside a broad one of noise.
    narrow = np.c_[y + 0.1 * generator.randn(100), 50 * generator.randn(100)]
    assert best_readout(narrow, y, scales=("common", "column"))[1] == "column"
    hidden = np.c_[5 * y + generator.randn(100), 0.01 * generator.randn(100, 30)]
    assert best_readout(hidden, y, scales=("column", "common"))[1] == "common"


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        (("column", "common"), ("logistic", "common")),
        (("column", "none"), ("logistic", "column")),
        (("none",), ("logistic", "none")),
    ],
)
def test_the_usual_readout_is_taken_where_nothing_tells(scales, expected):
    Z, y = np.array([[0.0], [0.1], [0.2], [5.0]]), np.array([0, 0, 0, 1])
    assert best_readout(Z, y, scales=scales) == expected  # one row of a class
    apart = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert best_readout(apart, [0, 0, 1, 1], scales=scales) == expected  # all readouts are right


def test_best_readout_keeps_groups_together():
    generator = np.random.RandomState(0)
    y = np.repeat(generator.permutation(np.repeat([0, 1], 20)), 2)
    groups = np.repeat(np.arange(40), 2)
    # Twins: a row's nearest neighbour is of its group; beyond it a weak line is all there is.
    Z = np.repeat(generator.randn(40, 6), 2, axis=0) + 1e-3 * generator.randn(80, 6)
    Z[:, 0] += 1.5 * y
    assert best_readout(Z, y)[0] == "knn"
    assert best_readout(Z, y, groups=groups)[0] == "logistic"
    alone = np.zeros(80)
    assert best_readout(Z, y, groups=alone) == ("logistic", "common")
    # Each class is a group: no part without it can be learned from.
    assert best_readout(Z, y, groups=y) == ("logistic", "common")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": ()}, r"scales=\(\); expected at least one name"),
        ({"scales": ("colum",)}, "scale='colum'.*Did you mean 'column'"),
        ({"y": [0, 1, 1]}, "y has 3 values, but Z has 4 rows; expected one value for each row"),
        ({"groups": [0, 1, 1]}, "groups has 3 values, but Z has 4 rows"),
        ({"groups": ["a", None, "b", "c"]}, "groups has 1 missing values, the first in row 1"),
        ({"y": [0.1, 0.2, 0.3, 0.4]}, r"y is continuous: 4 different values.*pandas.qcut\(y"),
        ({"y": [2, 2, 2, 2]}, "y has 1 class, 2; expected 2 or more"),
        ({"Z": np.ones(4)}, r"Z has shape \(4,\); expected \(n_rows, n_components\)"),
        ({"Z_unlabelled": [[np.nan] * 4]}, "Z_unlabelled has NaN or infinity in 1 of 1 rows"),
    ],
)
def test_best_readout_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        best_readout(**({"Z": np.eye(4), "y": [0, 0, 1, 1]} | change))


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
    # A bit that is flipped once in ten; with next to no penalty logistic regression fits it.
    Z = np.repeat([0.0, 1.0], 10)[:, None]
    y = np.array(["no"] * 9 + ["yes"] + ["yes"] * 9 + ["no"])
    # C=np.inf warns in scikit-learn 1.8.0.
    exact = LogisticRegression(C=1e12, tol=1e-10)
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


NEED_CLASSES = [linear_probe, mlp_probe, paper_probe, v_information]


@pytest.mark.parametrize("probe", [knn_probe, *NEED_CLASSES])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": [0.5, 1.5, 2.5, 3.5]}, r"y_train is continuous: 4 .*y_train.astype\(str\)"),
        ({"y_test": [0.5, 0.25]}, "y_test is continuous: 2 different values, such as 0.5"),
        ({"y_train": [0, np.nan, 1, 1]}, "y_train has 1 missing values, the first in row 1"),
        ({"y_train": ["a", "b", np.nan, None]}, "y_train has 2 missing values, the first in row 2"),
        ({"y_test": None}, "y_test=None; expected one value for each row of Z_test"),
        ({"y_train": [0, 1, 1]}, "y_train has 3 values, but Z_train has 4 rows"),
        ({"y_test": [[0, 1], [1, 0]]}, r"y_test has shape \(2, 2\).*y_test.argmax\(axis=1\)"),
        ({"y_test": ["a", "b"]}, "y_train holds int64 and y_test str_; expected text"),
        ({"y_train": [0, "b", 1, 0]}, "y_train mixes text and numbers"),
        ({"Z_train": np.ones(4)}, r"Z_train has shape \(4,\).*Z_train.reshape\(-1, 1\)"),
        ({"Z_test": [[0, np.inf], [1, 1]]}, "Z_test has NaN or infinity in 1 of 2 rows"),
        ({"Z_test": np.eye(2, 3)}, "Z_test has 3 columns, but Z_train has 2"),
        ({"Z_train": [["u", 1]] * 4}, "Z_train holds u in column 0; expected numbers"),
        ({"Z_test": np.ones((0, 2)), "y_test": []}, "Z_test has 0 rows; expected at least 1"),
    ],
)
def test_codes_and_labels_that_do_not_fit_are_named(probe, change, message):
    given = {
        "Z_train": np.eye(4, 2),
        "y_train": [0, 1, 1, 0],
        "Z_test": np.eye(2),
        "y_test": [0, 1],
    }
    with pytest.raises(ValueError, match=message):
        probe(**(given | change))


@pytest.mark.parametrize("probe", NEED_CLASSES)
def test_one_class_cannot_be_told_from_another(probe):
    with pytest.raises(ValueError, match="y_train has 1 class, a; expected 2 or more"):
        probe(np.eye(3), ["a"] * 3, np.eye(3), ["a"] * 3)


@pytest.mark.parametrize("probe", [knn_probe, *NEED_CLASSES])
def test_codes_and_labels_may_come_in_many_kinds(probe, split):
    few = [part[:100] for part in split]
    arguments = {"random_state": 0} if probe is paper_probe else {}
    expected = probe(*few, **arguments)
    lists = [part.tolist() for part in few]
    frames = [pd.DataFrame(few[0]), pd.Series(few[1], dtype="category"), pd.DataFrame(few[2])]
    text = [few[0], few[1].astype(str), few[2], list(map(str, few[3]))]
    objects = [few[0].astype(object), few[1].astype(object), csr_array(few[2]), few[3][:, None]]
    for kinds in (lists, [*frames, pd.Series(few[3])], text, objects):
        # A data frame stores columns one by one, which changes the last bits of a sum.
        assert probe(*kinds, **arguments) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("probe", PROBES.values())
def test_unknown_scale_is_named_with_the_nearest(split, probe):
    with pytest.raises(ValueError, match="scale='colum'.*Did you mean 'column'"):
        probe(*split, scale="colum")


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
