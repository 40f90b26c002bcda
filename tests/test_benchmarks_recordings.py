"""The benchmarks of recordings: TS2Vec's loss, who takes part, cells, and tables out of cells."""

import json
import math
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
LENGTHS = (7, 12, 9, 15)


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    names = ("recordings", "decoding", "hierarchical")
    yield SimpleNamespace(**{name: import_module(name) for name in names})
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def recordings():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 2)) + [0, 5] for length in LENGTHS]


def info_nce(anchor, partner, others):
    """Return the loss of one anchor by hand."""
    scores = [math.exp(anchor @ other) for other in others]
    return -math.log(math.exp(anchor @ partner) / sum(scores))


def level_by_hand(first, second):
    """Return the loss of one level by loops over recordings and steps."""
    n, n_steps, _ = first.shape
    both, between, within = (first, second), [], []
    for side in range(2):
        for i in range(n):
            for t in range(n_steps):
                anchor, partner = both[side][i, t], both[1 - side][i, t]
                own = [both[s][i, u] for s in range(2) for u in range(n_steps)]
                at_t = [both[s][j, t] for s in range(2) for j in range(n)]
                mine = side * n_steps + t
                within.append(info_nce(anchor, partner, own[:mine] + own[mine + 1 :]))
                mine = side * n + i
                between.append(info_nce(anchor, partner, at_t[:mine] + at_t[mine + 1 :]))
    return (np.mean(between) + np.mean(within) * (n_steps > 1)) / 2


def test_the_hierarchical_loss_is_that_of_loops(bench):
    first, second = torch.randn(2, 3, 5, 2, generator=torch.Generator().manual_seed(0)).double()
    levels, a, b = [], first.numpy(), second.numpy()
    while True:
        levels.append(level_by_hand(a, b))
        if a.shape[1] == 1:
            break
        half = a.shape[1] // 2 * 2
        a, b = (z[:, :half].reshape(3, -1, 2, 2).max(axis=2) for z in (a, b))
    found = bench.hierarchical.hierarchical_contrast(first, second)
    assert found.item() == pytest.approx(np.mean(levels), rel=1e-9)


def test_crops_share_observed_steps(bench):
    x = torch.zeros(4, 15, 2)
    for row, length in zip(x, LENGTHS, strict=True):
        row[:length, 0], row[:length, 1] = torch.arange(1.0, length + 1), 1.0
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        first, second, shared = bench.hierarchical.crops(x, 6, generator)
        assert torch.equal(first[:, -shared:], second[:, :shared]) and 2 <= shared <= 6
        assert first.shape[1] <= 6 >= second.shape[1]
        for crop in (first, second):
            assert crop[..., 1].all() and torch.all(crop[:, 1:, 0] - crop[:, :-1, 0] == 1)


def test_codes_by_that_loss_ignore_padding(bench, recordings, monkeypatch):
    monkeypatch.setattr(bench.hierarchical, "FEW", 3)
    learner = bench.hierarchical.HierarchicalContrast(0, width=4, depth=2).fit(recordings)
    codes = learner.transform(recordings)
    assert codes.shape == (4, 4)
    alone = np.concatenate([learner.transform([recording]) for recording in recordings])
    np.testing.assert_allclose(codes, alone, atol=1e-5)


def test_padded_rows_are_scaled_by_observed_steps(bench, recordings):
    rows = bench.recordings.Padded().fit(recordings).transform(recordings).reshape(4, 15, 2)
    steps = np.concatenate([row[:length] for row, length in zip(rows, LENGTHS, strict=True)])
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(steps.std(axis=0), 1)
    assert not any(row[length:].any() for row, length in zip(rows, LENGTHS, strict=True))


def cell(name, fold, accuracy, commit="1234567"):
    facts = {"n_train": 8, "n_test": 2, "n_left_out": 2, "fit_seconds": 1.0, "peak_mb": 9.0}
    facts |= {"transform_seconds": 0.5, "before_mb": 8.0, "commit": commit, "versions": "none"}
    scores = [
        {"labels_per_class": labels, "draw": draw, "n_labelled": 2, "accuracy": accuracy + shift}
        for labels, draw, shift in (("1", 0, -0.1), ("1", 1, 0.1), ("all", 0, 0.0))
    ]
    return {"task": "GunPoint", "setting": name, "seed": fold, "scores": scores, **facts}


def test_tables_come_out_of_cells(bench, tmp_path):
    ours = np.array([0.5, 0.6, 0.55, 0.4, 0.5])
    raw = ours + [0.1, 0.05, 0.15, 0.1, 0.12]
    pca = ours - 0.1
    cells = [
        cell(name, fold, accuracy)
        for name, found in ((bench.recordings.OURS, ours), ("raw", raw), ("PCA", pca))
        for fold, accuracy in enumerate(found)
    ]
    lines = "".join(f"\n{json.dumps(row)}" for row in cells)
    (tmp_path / "cells.jsonl").write_text(lines + '\n{"cut by a ki', encoding="utf-8")
    rows = bench.recordings.by_set(cells).set_index(["name", "labels_per_class"])
    line = rows.loc[("raw", 1.0)]
    assert line["gain"] == pytest.approx((ours - raw).mean())
    assert line["gain_stderr"] == pytest.approx(stats.sem(ours - raw))
    assert line["train_seconds"] == 1.0 + 8 * 0.5 and line["n_folds"] == 5
    assert rows["rank"].unstack()[np.inf].to_dict() == {
        "raw": 1,
        "PCA": 3,
        bench.recordings.OURS: 2,
    }
    text = bench.recordings.write_report(tmp_path)
    assert "standard error: GunPoint at 1 (-0.104 ±" in text and "MIXED" not in text
    assert (tmp_path / "recordings.csv").exists() and (tmp_path / "recordings.txt").exists()
    more = json.dumps(cell(bench.recordings.OURS, 0, 0.5, commit="7654321"))
    (tmp_path / "more.jsonl").write_text(more, encoding="utf-8")
    assert "MIXED" in bench.recordings.write_report(tmp_path)


def test_p_values_are_those_of_scipy_by_holm(bench):
    import pandas as pd

    less = pd.DataFrame(np.random.default_rng(0).normal(0.5, 1, (7, 3)), columns=list("abc"))
    plain = less.apply(lambda values: stats.ttest_1samp(values, 0).pvalue).sort_values()
    by_hand = [min(1, max(p * (3 - k) for k, p in enumerate(plain[: j + 1]))) for j in range(3)]
    found = bench.recordings.paired_p(less.assign(one=np.nan))
    np.testing.assert_allclose(found[plain.index], by_hand)


def test_cells_are_computed_once(bench, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)) + k % 2 for k, length in enumerate([9, 12] * 20)]
    y = np.array(["no", "yes"])[np.arange(40) % 2]
    monkeypatch.setattr(bench.recordings, "recordings_of", lambda data: (X, y))
    words = ["--data", "GunPoint", "--only", "raw", "PCA", "--folds", "0", "3", "--draws", "2"]
    words += ["--out", str(tmp_path), "--cache", str(tmp_path)]
    bench.recordings.main(words)
    cells = bench.recordings.read_cells(tmp_path)
    assert {(row["setting"], row["seed"]) for row in cells} == {
        (name, fold) for name in ("raw", "PCA") for fold in (0, 3)
    }
    assert {score["labels_per_class"] for score in cells[0]["scores"]} == {"1", "5", "all"}
    monkeypatch.setattr(bench.recordings, "run", lambda left, *others: left and pytest.fail())
    bench.recordings.main(words)


def test_features_of_each_recording_are_kept(bench, tmp_path, monkeypatch):
    X, calls = [np.full((3, 1), k) for k in range(4)], []

    def first(recordings):
        calls.append(len(recordings))
        return np.array([recording[0] for recording in recordings])

    made = bench.recordings.of_each(first, "aeon")
    monkeypatch.setitem(bench.recordings.CONTESTANTS, "catch22", made)
    monkeypatch.setattr(bench.recordings, "recordings_of", lambda data: (X, None))
    for _ in range(2):
        kept = bench.recordings.kept_features("GunPoint", "catch22", tmp_path)
        np.testing.assert_array_equal(kept["features"], [[0], [1], [2], [3]])
    assert calls == [2, 4]
    assert bench.recordings.kept_features("GunPoint", "raw", tmp_path) is None


def test_steps_with_their_past_are_those_of_a_loop(bench, recordings):
    for found, part in zip(bench.decoding.with_past(recordings), recordings, strict=True):
        expected = [
            np.concatenate([part[max(t + back, 0)] for back in range(1 - bench.decoding.WINDOW, 1)])
            for t in range(len(part))
        ]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_decoding_sees_one_recording_only_at_the_end(bench, tmp_path):
    words = ["--data", "Lorenz", "--only", "raw", "PCA", "--seeds", "0", "1", "--n-time", "600"]
    bench.decoding.main([*words, "--out", str(tmp_path)])
    cells = bench.recordings.read_cells(tmp_path)
    assert sorted(row["seed"] for row in cells if row["setting"] == "PCA") == list(range(6))
    text = (tmp_path / "decoding.txt").read_text(encoding="utf-8")
    assert "Lorenz" in text and "place cells" not in text
    row = bench.decoding.measured(bench.decoding.Cell("Lorenz", 4, "raw"), n_time=600)
    (kept,) = [found for found in cells if found["seed"] == 4 and found["setting"] == "raw"]
    assert row["ridge"] == kept["ridge"] and row["knn"] == kept["knn"]
