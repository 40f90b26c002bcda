"""The feature benchmark: who takes part, cells that are computed once, and tables out of cells."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.training import NonFiniteLossError

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
NUMBERS = {"n_labelled": 10, "n_train": 80, "n_test": 20, "fit_seconds": 2.0}
CELL = {"probe": "best", "scale": "best", "transform_seconds": 1.0, "commit": "1234567", **NUMBERS}


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    names = ("ablation", "bench_data", "contestants", "features", "features_report")
    yield SimpleNamespace(**{name: import_module(name) for name in names})
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def counted(bench, monkeypatch):
    """Replace the fits by a note of the cell."""
    log = []

    def cell_table(cell, protocol):
        log.append(cell)
        row = {"data": cell.data, "name": cell.name, "settings": cell.settings, "draw": 0, **CELL}
        row |= {"seed": cell.seed, "fold": cell.fold, "cell_seconds": 36.0}
        accuracy = 0.5 + 0.01 * len(cell.name) + 0.01 * cell.fold * (cell.name == "raw")
        labels = (1.0, np.inf)
        return pd.DataFrame([row | {"labels_per_class": n, "accuracy": accuracy} for n in labels])

    monkeypatch.setattr(bench.features, "cell_table", cell_table)
    return log


def arguments(out, *more):
    return ["--data", "wine", "--folds", "2", "--seeds", "1", "--out", str(out), *more]


def test_everyone_without_a_missing_peer_is_made_for_its_data(bench):
    for name, contestant in bench.contestants.CONTESTANTS.items():
        on = [key for key, data in bench.bench_data.DATA.items() if contestant.takes(key, data)]
        assert on, name
        for key in on if contestant.is_installed() else ():
            made = clone(contestant.make(bench.bench_data.DATA[key], 0, **contestant.usual))
            assert hasattr(made, "predict" if contestant.is_classifier else "transform"), name


def test_peers_have_no_more_settings_than_we_had(bench):
    for contestant in bench.contestants.CONTESTANTS.values():
        assert len(contestant.settings()) <= bench.contestants.GRID_BUDGET
        assert set(contestant.usual) == set(contestant.grid)


def test_no_seed_of_the_table_is_one_of_tuning(bench):
    tables = {seed for data in bench.bench_data.DATA.values() for seed in data.seeds}
    assert not tables & {*bench.features.TUNING_SEEDS, 0}  # ours were chosen with seed 0


def test_graph_that_is_kept_is_that_of_scikit_learn(bench):
    X, y = load_digits(return_X_y=True)
    known = np.where(np.arange(200) < 60, y[:200], -1)
    data = bench.bench_data.DATA["digits"]
    ours = bench.contestants.label_spreading(data, 0, n_neighbors=7, alpha=0.2)
    usual = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.2, max_iter=1000)
    for labels in (known, np.roll(known, 1)):  # the second time the graph is there
        expected = usual.fit(X[:200], labels).predict_proba(X[200:300])
        found = clone(ours).fit(X[:200], labels).predict_proba(X[200:300])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_labels_are_kept_from_transformers(bench):
    class Supervised(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            assert y is None
            return self

        def transform(self, X):
            return X

    bench.contestants.Unsupervised(Supervised()).fit_transform(np.ones((2, 1)), [0, 1])


def test_a_random_convnet_has_the_seeds_weights(bench):
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    codes = [bench.contestants.RandomNetwork(seed).fit_transform(images) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert codes[0].shape == (4, 100) and not np.allclose(codes[0], codes[2])


def test_codes_of_lightly_are_averaged_as_ours(bench, monkeypatch):
    # Of lightly an untrained network needs the names alone.
    parts = {
        "lightly.loss": {"NTXentLoss": lambda temperature: None},
        "lightly.models.modules": {"SimCLRProjectionHead": lambda *widths: nn.Identity()},
    }
    for name, names in parts.items():
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    rival = bench.contestants.LightlySimCLR(0, averaged=True, n_steps=0)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    codes = rival.fit_transform(images)
    ours = MIRepresentationLearner(encoder=rival.encoder_, output="averaged", max_steps=1, lr=1e-12)
    ours.set_params(view="simclr", validation_fraction=0.0, random_state=0)
    np.testing.assert_allclose(ours.fit_transform(images), codes, atol=1e-6)


def test_words_become_numbers_by_training_rows_alone(bench):
    table = pd.DataFrame({"size": [1.0, 3.0, 5.0], "colour": ["red", "blue", "green"]})
    encoder = bench.bench_data.columns_encoder().fit(table[:2])
    np.testing.assert_allclose(encoder.transform(table), [[-1, 0, 1], [1, 1, 0], [3, 0, 0]])


def test_sizes_are_those_of_the_data(bench):
    for name in ("digits", "wine", "breast_cancer"):
        X, y = bench.bench_data.DATA[name].load()
        assert len(X) == len(y) == bench.bench_data.DATA[name].n_rows


def test_rows_that_tuning_has_seen_are_not_tested_on(bench):
    y, unseen = np.tile(np.arange(10), 70), np.arange(700) >= 600
    folds = bench.bench_data.own_folds(y, unseen, 5, seed=0)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(600, 700))
    assert all(train.max() < 600 and len(train) == 480 for train, _ in folds)
    assert set.intersection(*(set(train) for train, _ in folds)) == set()
    assert bench.bench_data.own_folds(y, np.zeros(700, bool), 5, seed=0) is None


def test_nothing_is_computed_twice(bench, counted, tmp_path, monkeypatch, capsys):
    done = bench.features.cell_table

    def killed(cell, protocol):
        if len(counted) == 2:
            raise KeyboardInterrupt
        return done(cell, protocol)

    who = arguments(tmp_path, "--only", "raw", "PCA")
    monkeypatch.setattr(bench.features, "cell_table", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.features.main(who)
    monkeypatch.setattr(bench.features, "cell_table", done)
    bench.features.main(who)
    bench.features.main(who)
    assert len(counted) == len(set(counted)) == 4
    assert "2 cells to do: 0.02 core hours." in capsys.readouterr().out  # 36 s each


def test_a_peer_that_breaks_is_told_and_tried_anew(bench, counted, tmp_path, monkeypatch, capsys):
    def broken(cell, protocol):
        raise RuntimeError("no convergence")

    who = arguments(tmp_path, "--only", "raw")
    with monkeypatch.context() as patch:
        patch.setattr(bench.features, "cell_table", broken)
        bench.features.main(who)
    assert "FAILED: wine, raw, seed 1, fold 0" in capsys.readouterr().out
    bench.features.main(who)
    assert len(counted) == 2 and "FAILED" not in (tmp_path / "features.txt").read_text()


def test_cells_of_two_protocols_are_not_mixed(bench, counted, tmp_path):
    bench.features.main(arguments(tmp_path, "--only", "raw"))
    with pytest.raises(SystemExit, match="pass another --out"):
        bench.features.main(arguments(tmp_path, "--only", "raw", "--draws", "3"))


def test_a_missing_peer_is_named(bench, counted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench.features, "find_spec", lambda name: None)
    bench.features.main(arguments(tmp_path, "--estimate"))
    assert "UMAP 8 is left out: umap is not installed." in capsys.readouterr().out
    assert not counted


def test_what_needs_a_gpu_is_left_out_without_one(bench, counted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    bench.features.main(["--data", "cifar10-resnet18", "--out", str(tmp_path)])
    assert "cifar10-resnet18 is left out: it needs a GPU." in capsys.readouterr().out
    assert not counted


def test_ours_and_lightly_train_the_same_deep_network(bench):
    data = bench.bench_data.DATA["cifar10-resnet18"]
    ours = bench.contestants.ours(data, 0)
    rival = bench.contestants.simclr(data, 0, **bench.contestants.SIMCLR_USUAL)
    assert ours.encoder == rival.encoder == "resnet18"
    assert (ours.max_steps, ours.batch_size) == (rival.n_steps, rival.batch_size)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert bench.contestants.RandomNetwork(0, "resnet18").fit_transform(images).shape == (2, 512)


def test_tuning_keeps_the_best_setting_and_its_cells_apart(bench, counted, tmp_path, monkeypatch):
    def cell_table(cell, protocol):
        chosen = dict(cell.params) == {"variance": 0.7, "whiten": True}
        return done(cell, protocol).assign(accuracy=0.9 if chosen else 0.8)

    done = bench.features.cell_table
    monkeypatch.setattr(bench.features, "cell_table", cell_table)
    out = ["--out", str(tmp_path), "--folds", "2"]
    bench.features.main(["--tune", "--data", "digits", "--only", "PCA", *out])
    monkeypatch.setattr(bench.features, "cell_table", done)
    bench.features.main(["--data", "wine", "--seeds", "1", "--only", "PCA", *out])
    assert counted[-1].settings == "variance=0.7, whiten=True"
    assert "digits" not in (tmp_path / "features.txt").read_text(encoding="utf-8")


def test_report_is_right(bench, counted, tmp_path):
    ours = bench.contestants.OURS
    bench.features.main(arguments(tmp_path, "--only", "raw", ours))
    text = (tmp_path / "features.txt").read_text(encoding="utf-8")
    rows = pd.read_csv(tmp_path / "features.csv").query("labels_per_class == 1").set_index("name")
    # ours .73 in both folds; raw .53 and .54, with a test part of a quarter of the training part
    gains = np.array([0.20, 0.19])
    error = np.sqrt(gains.var(ddof=1) * (1 / 2 + 40 / 160))
    half = stats.t.ppf(0.975, 1) * error
    found = rows.loc["raw", ["mean", "gain_mean", "gain_low", "gain_high", "gain_stderr"]]
    expected = [0.535, 0.195, 0.195 - half, 0.195 + half, error]
    np.testing.assert_allclose(found.astype(float), expected)
    p_value = 2 * stats.t.sf(0.195 / error, 1)
    np.testing.assert_allclose(rows.loc["raw", "gain_p_holm"], 2 * p_value)  # two columns
    assert f"+0.195 ±{half:.3f} p {2 * p_value:.2g}" in text
    assert f"{ours} as of 1234567." in text
    short = (tmp_path / "features.md").read_text(encoding="utf-8").splitlines()
    assert short[0] == "| data | 1 | all |"
    assert short[2].startswith("| wine | **.730** / .535 raw |")
    assert "+0.195 on average of 2 columns; worse by more than a standard error nowhere." in text


def test_a_run_that_was_cut_is_compared_on_common_folds(bench, counted, tmp_path):
    ours = bench.contestants.OURS
    bench.features.main(arguments(tmp_path, "--only", "raw", ours))
    (tmp_path / "wine" / "raw" / "seed1-fold1.csv").unlink()
    bench.features.main(arguments(tmp_path, "--only", "PCA"))
    rows = pd.read_csv(tmp_path / "features.csv").set_index("name")
    np.testing.assert_allclose(rows.loc["raw", "gain_mean"], 0.2)
    assert set(rows.loc["raw", "n_folds"]) == {1} and set(rows.loc[ours, "n_folds"]) == {2}


def test_a_combination_that_diverges_is_told(bench, tmp_path, monkeypatch):
    def diverging(*args, **kwargs):
        raise NonFiniteLossError("nan at step 85")

    monkeypatch.setattr(bench.ablation, "compare", diverging)
    name, path = "neighbors, bilinear, nwj", tmp_path / "ablation.csv"
    kept = {"probe": "knn", "scale": "common", "labels_per_class": 1.0, "accuracy": 0.8}
    kept = pd.DataFrame([{"name": "affine, bilinear, js", "fold": 0, "n_labelled": 10, **kept}])
    pd.concat([kept, bench.ablation.run(name, 0, "digits")]).to_csv(path, index=False)
    text = bench.ablation.report(path)
    assert f"Diverged, and left out: {name}, fold 0." in text
    assert "0.8" in text


def test_the_package_needs_no_benchmark(bench):
    modules = "|".join(["benchmarks", *vars(bench)])
    for source in (ROOT / "sklearn_mi").rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        assert not re.search(rf"^\s*(from|import) ({modules})\b", text, re.MULTILINE), source
