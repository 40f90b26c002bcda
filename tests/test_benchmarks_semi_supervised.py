"""The benchmarks of few labels as one estimator and of columns of many levels, on tiny data."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.semi_supervised import SemiSupervisedClassifier

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SEED = 3


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(BENCHMARKS))
    yield SimpleNamespace(few=import_module("semi_supervised"), columns=import_module("columns"))
    sys.path.remove(str(BENCHMARKS))


def small(kind, seed):
    return MIRepresentationLearner(2, max_steps=5, random_state=seed)


@pytest.fixture
def few(modules, monkeypatch):
    """The benchmark on iris, in two folds, with a learner of five steps."""
    few = modules.few
    iris = few.Data("table", "iris", lambda: load_iris(return_X_y=True), 150)
    monkeypatch.setitem(few.DATA, "iris", iris)
    monkeypatch.setattr(few, "N_FOLDS", 2)
    monkeypatch.setitem(few.CONTESTANTS, few.OURS, few.Contestant(small))
    monkeypatch.setattr(few, "rows_of", few.rows_of.__wrapped__)
    return few


def words(tmp_path, *more):
    only = ["SemiSupervisedClassifier", "raw", "logistic regression", "PCA"]
    where = ["--out", str(tmp_path), "--cache", str(tmp_path), "--seed", str(SEED)]
    return ["--data", "iris", "--draws", "1", "--folds", "0", "1", *where, "--only", *only, *more]


def test_cells_are_computed_once_and_reported(few, tmp_path, monkeypatch, capsys):
    few.main(words(tmp_path))
    cells = few.read_cells(tmp_path)
    assert len(cells) == 8 and {cell.seed for cell in cells} == {SEED}
    for row in cells.values():
        assert [score["labels_per_class"] for score in row["scores"]] == ["1", "5", "20"]
        assert row["n_train"] == row["n_test"] == row["n_left_out"] == 75
    text = (tmp_path / "semi_supervised.txt").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out and "Tables: balanced accuracy" in text
    assert len(pd.read_csv(tmp_path / "semi_supervised.csv")) == 4 * 3 * 2
    monkeypatch.setattr(few, "measured", lambda *others: pytest.fail())
    few.main(words(tmp_path))
    few.main(words(tmp_path, "--list"))
    assert "core-minutes" in capsys.readouterr().out


def test_a_shared_fit_is_that_of_the_estimator(few, tmp_path):
    """One draw by hand: the estimator itself, fitted to all training rows with few labels."""
    X, y = load_iris(return_X_y=True)
    fold = few.folds_of(y, np.zeros(150, dtype=bool), SEED)[1]
    seen = []

    class Noting(SemiSupervisedClassifier):
        def fit(self, Z, known, **metadata):
            seen.append(known)
            return super().fit(Z, known, **metadata)

    noted = few.Contestant(small, lambda kind, seed: Noting(few.read_by().learner))
    few.CONTESTANTS[few.OURS] = noted
    row = few.measured(few.Cell("iris", SEED, 1, few.OURS, 1), tmp_path)
    for known, score in zip(seen, row["scores"], strict=True):
        whole = SemiSupervisedClassifier(small("table", SEED)).fit(X[fold[0]], known)
        found = whole.predict(X[fold[1]])
        assert score["accuracy"] == pytest.approx(np.mean(found == y[fold[1]]), abs=1e-5)
        balanced = balanced_accuracy_score(y[fold[1]], found)
        assert score["balanced_accuracy"] == pytest.approx(balanced, abs=1e-5)
        assert (known != -1).sum() == score["n_labelled"]


def test_logistic_regression_sees_labelled_rows_alone(few, tmp_path):
    X, y = load_iris(return_X_y=True)
    known = np.where(np.arange(150) % 10 == 0, y, -1)
    rows, Z = known != -1, StandardScaler().fit_transform(X)
    found = few.logistic("table", SEED).fit(Z, known).predict(Z)
    plain = LogisticRegression(max_iter=2000).fit(Z[rows], y[rows])
    np.testing.assert_array_equal(found, plain.predict(Z))


def cell(few, name, fold, values):
    scores = [
        {"labels_per_class": labels, "draw": draw, "n_labelled": 4, **dict.fromkeys(few.METRICS, v)}
        for labels, v in zip(("1", "5"), values, strict=True)
        for draw, v in enumerate((v - 0.1, v + 0.1))
    ]
    facts = {"data": "Chile", "seed": SEED, "fold": fold, "name": name, "n_draws": 2}
    sizes = {"n_train": 80, "n_test": 20, "n_left_out": 20}
    around = {"commit": "1", "versions": "none", "machine": "none"}
    return facts | sizes | dict.fromkeys(few.SECONDS, 1.0) | around | {"scores": scores}


def test_differences_are_corrected_for_folds_that_overlap(modules, tmp_path):
    few = modules.few
    rng = np.random.default_rng(0)
    ours, raw = rng.normal(0.6, 0.02, (5, 2)), rng.normal(0.7, 0.02, (5, 2))
    pca = ours - 0.1
    named = {few.OURS: ours, "raw": raw, "PCA": pca}
    cells = [
        cell(few, name, k, found[k]) for name, found in named.items() for k in range(len(found))
    ]
    rows = few.by_data(cells).set_index(["metric", "name", "labels_per_class"]).sort_index()
    less = ours - raw
    error = np.sqrt(less.var(axis=0, ddof=1) * (1 / 5 + 20 / 80))
    p_values = 2 * stats.t.sf(np.abs(less.mean(axis=0)) / error, 4)
    for metric in few.METRICS:
        found = rows.loc[metric, "raw"]
        np.testing.assert_allclose(found["gain"], less.mean(axis=0))
        np.testing.assert_allclose(found["gain_stderr"], error)
        np.testing.assert_allclose(found["gain_p"], p_values)
    text = few.write_report(cells, tmp_path)
    assert "Chile at " in text and "MIXED" not in text
    mixed = few.write_report([*cells[1:], cells[0] | {"commit": "2"}], tmp_path)
    assert "MIXED" in mixed and "; 2: Chile." in mixed


def test_a_rival_of_fewer_folds_has_no_difference(modules):
    few = modules.few
    cells = [cell(few, few.OURS, k, (0.5, 0.6)) for k in range(3)]
    cells += [cell(few, "raw", k, (0.5, 0.6)) for k in range(2)]
    assert few.gains(few.long_table(cells), "accuracy").empty


def test_fewer_rows_keep_every_label(modules):
    few = modules.few

    class Noting(LogisticRegression):
        def fit(self, X, y):
            Noting.seen = (X, y)
            return super().fit(X[y != -1], y[y != -1])

    X, y = np.arange(100.0)[:, None], np.full(100, -1)
    y[[7, 50]] = 0, 1
    few.WithFewer(Noting(), 10).fit(X, y)
    rows, labels = Noting.seen
    assert len(rows) == 12 and sorted(labels[labels != -1]) == [0, 1]
    few.WithFewer(Noting(), 1000).fit(X, y)
    np.testing.assert_array_equal(np.sort(Noting.seen[0].ravel()), X.ravel())


def test_tables_become_numbers_without_gaps(modules):
    few = modules.few
    table = pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0], "b": ["u", None, "v", "u"]})
    Z = few.columns("mixed table", SEED).fit_transform(table)
    filled = table["a"].fillna(table["a"].mean())
    np.testing.assert_allclose(Z[:, 0], (filled - filled.mean()) / filled.std(ddof=0))
    assert np.isfinite(Z).all() and Z.shape == (4, 5)
    np.testing.assert_array_equal(Z[:, 2:].sum(axis=1), 1)
    new = pd.DataFrame({"a": [2.0], "b": ["new"]})
    assert not few.columns("mixed table", SEED).fit(table).transform(new)[:, 2:].any()


def test_recordings_are_kept(modules, tmp_path, monkeypatch):
    few = modules.few
    X = [np.full((length, 2), length, dtype=float) for length in (3, 5, 4)]
    monkeypatch.setattr(few, "recordings_of", lambda data: (X, np.array(["a", "b", "a"])))
    for _ in range(2):
        found, y = few.kept_recordings("GunPoint", tmp_path)
        for one, other in zip(found, X, strict=True):
            np.testing.assert_array_equal(one, other)
        assert y.tolist() == ["a", "b", "a"]
        monkeypatch.setattr(few, "recordings_of", lambda data: pytest.fail())


def test_what_fails_is_told_and_tried_again(few, tmp_path, monkeypatch, capsys):
    def broken(kind, seed):
        raise RuntimeError("out of order")

    monkeypatch.setitem(few.CONTESTANTS, "PCA", few.Contestant(broken))
    few.main(words(tmp_path))
    assert "out of order" in capsys.readouterr().out
    assert {cell.name for cell in few.read_cells(tmp_path)} == {
        "SemiSupervisedClassifier",
        "raw",
        "logistic regression",
    }
    [file] = tmp_path.glob("*.jsonl")
    lines = file.read_text(encoding="utf-8")
    file.write_text(lines + '\n{"cut by a ki', encoding="utf-8")
    assert len(few.read_cells(tmp_path)) == 6
    assert all(json.loads(line) for line in lines.splitlines() if line)


def test_ways_give_numbers_to_a_column_of_texts(modules):
    columns = modules.columns
    texts = pd.Series([f"level {k % 45}" for k in range(200)])
    beside = np.random.default_rng(0).normal(size=(200, 3))
    widths = {"left out": 0, "one-hot": 45, "30 most frequent": 31, "letters, 64": 64, "ours": 45}
    for way, make in columns.WAYS.items():
        if not way.startswith("skrub"):
            codes = make(texts, beside)
            assert (
                codes.shape == (200, widths.get(way, codes.shape[1])) and np.isfinite(codes).all()
            )
            np.testing.assert_allclose(codes[0], codes[45])


def test_company_is_the_shrunk_mean_of_a_level(modules):
    texts, beside = pd.Series(list("aaab")), np.array([[1.0], [2.0], [3.0], [-4.0]])
    codes = modules.columns.by_company(texts, beside).ravel()
    means = np.array([2 * 3 / 8, -4 * 1 / 6])
    expected = (means - means.mean()) / means.std()
    np.testing.assert_allclose(np.abs(codes), np.abs(expected[[0, 0, 0, 1]]))


def test_columns_are_reported(modules, tmp_path, monkeypatch):
    columns = modules.columns
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    X = pd.DataFrame(
        {"number": y + rng.normal(size=300), "text": [f"t{k % 50}" for k in range(300)]}
    )

    class Tiny:
        def read(self):
            return X, y.astype(str)

    monkeypatch.setattr(columns, "TABLES", {"one": Tiny(), "two": Tiny()})
    monkeypatch.setattr(columns, "N_DRAWS", 2)
    columns.main(["--only", "ours", "left out", "one-hot", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "columns.csv")
    scores = table[table["table"] == "two"].set_index(["labels_per_class", "way"])
    scores = scores["balanced_accuracy"].unstack()
    # Fifty levels are one-hot in ours.
    np.testing.assert_allclose(scores["ours"], scores["one-hot"], atol=0.02)
    assert (scores["left out"] > 0.55).all() and len(scores) == 3
    assert "ours less it" in (tmp_path / "columns.txt").read_text(encoding="utf-8")
