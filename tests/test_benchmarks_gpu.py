"""The benchmark on a GPU, tried on the CPU: parts that are run once, cut, failed, and tables."""

import gc
import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
COMMIT = "1234567"
# One of each outcome; a replay is counted before it fails without a GPU.
TESTS = """
import os
import pytest
import torch

def test_steps_are_to_be_recorded():
    assert os.environ["RECORD_FROM"] == "1"
    with pytest.raises((TypeError, AttributeError)):
        torch.cuda.CUDAGraph.replay(None)

def test_of_something_else():
    pass

def test_that_fails():
    assert 1 == 2, "one is not two"

@pytest.mark.skip
def test_that_is_skipped():
    raise NotImplementedError

@pytest.mark.gpu
def test_that_needs_a_gpu():
    raise NotImplementedError
"""


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    names = ("gpu", "gpu_parts", "gpu_record", "gpu_report", "contestants", "speed_loops")
    yield SimpleNamespace(**{name: import_module(name) for name in names})
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def short_collections():
    """Leave what is there out of `gc.collect`, which the timing of loops calls often."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def commit(bench, monkeypatch):
    """Let the package be of one commit."""
    monkeypatch.setattr(bench.gpu, "package_commit", lambda: COMMIT)


@pytest.fixture
def here(bench, commit, monkeypatch):
    """Do parts in this process; return the names of those that were begun."""
    begun = []

    def supervised(command, limit, environment):
        begun.append(command[3])
        bench.gpu.main(command[2:])
        return 0

    monkeypatch.setattr(bench.gpu, "supervised", supervised)
    return begun


def replace(bench, monkeypatch, name, work, **others):
    part = bench.gpu.PARTS[name]._replace(work=work, **others)
    monkeypatch.setitem(bench.gpu.PARTS, name, part)


def read(out, name):
    return json.loads((out / f"{name}.json").read_text(encoding="utf-8"))


def small(out, *more):
    return ["--small", "--out", str(out), *more]


@pytest.mark.slow
def test_tests_are_counted_by_a_process_that_records(bench, commit, tmp_path, capfd):
    file = tmp_path / "test_few.py"
    file.write_text(TESTS, encoding="utf-8")
    told = small(tmp_path, "--only", "recorded-tests", "--tests", str(file))
    bench.gpu.main(told)
    found = read(tmp_path, "recorded-tests")
    (row,) = found["rows"]
    failure = row.pop("failures")[0]
    assert row == {"passed": 2, "failed": 1, "skipped": 1, "replayed": 1}
    assert failure["test"].endswith("test_that_fails")
    assert "one is not two" in failure["error"]
    assert found["status"] == "done"
    assert (found["card"], found["commit"], found["small"]) == ("none", COMMIT, True)
    assert f"torch {torch.__version__.split('+')[0]}" in found["versions"]
    assert "--only recorded-tests --small" in found["command"]
    bench.gpu.main(told)
    assert "recorded-tests: done before" in capfd.readouterr().out


def test_a_part_that_is_there_is_left_out(bench, here, tmp_path, monkeypatch):
    for name in bench.gpu.PARTS:
        replace(bench, monkeypatch, name, lambda record, asked: record.note(failures=[]))
    names = list(bench.gpu.PARTS)
    bench.gpu.main(small(tmp_path))
    bench.gpu.main(small(tmp_path))
    assert here == names
    bench.gpu.main(small(tmp_path, "--again", "--only", "steps"))
    assert here == [*names, "steps"]
    monkeypatch.setattr(bench.gpu, "package_commit", lambda: "7654321")
    bench.gpu.main(small(tmp_path, "--only", "steps"))
    # Files that differ from a commit are not told apart.
    for other in ("7654321+", "unknown"):
        monkeypatch.setattr(bench.gpu, "package_commit", lambda other=other: other)
        for _ in range(2):
            bench.gpu.main(small(tmp_path, "--only", "steps"))
    assert here == [*names, *6 * ["steps"]]


def test_an_error_is_written_down_and_the_next_part_goes_on(bench, here, tmp_path, monkeypatch):
    def broken(record, asked):
        record.note(net="MLP")
        raise ValueError("no such card")

    def absent(record, asked):
        raise bench.gpu_parts.AbsentError("lightly is not installed")

    replace(bench, monkeypatch, "steps", broken)
    replace(bench, monkeypatch, "cifar10-ours", absent)
    replace(bench, monkeypatch, "cifar10-lightly", lambda record, asked: None)
    told = small(tmp_path, "--only", "steps", "cifar10-ours", "cifar10-lightly")
    bench.gpu.main(told)
    steps = read(tmp_path, "steps")
    assert (steps["status"], steps["why"]) == ("failed", "ValueError: no such card")
    assert steps["rows"] == [{"net": "MLP"}]
    assert read(tmp_path, "cifar10-ours")["why"] == "lightly is not installed"
    assert read(tmp_path, "cifar10-lightly")["status"] == "done"
    bench.gpu.main(told)
    assert here[3:] == ["cifar10-ours"]  # what was missing may be there now


def test_a_process_is_ended_with_all_that_it_started(bench, tmp_path):
    note = tmp_path / "pid"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    start, limit = time.perf_counter(), 0.5
    while not (note.exists() and note.read_text()):  # a busy machine may not come so far
        assert bench.gpu.supervised([sys.executable, "-c", parent], limit, os.environ) is None
        limit *= 2
    assert time.perf_counter() - start < 55
    status = Path(f"/proc/{note.read_text()}/stat")
    deadline = time.perf_counter() + 5
    while status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.perf_counter() < deadline
    assert bench.gpu.supervised([sys.executable, "-c", "exit(3)"], 60, os.environ) == 3


def test_a_part_that_came_on_in_its_time_goes_on_and_another_has_failed(
    bench, commit, tmp_path, monkeypatch
):
    def supervised(command, limit, environment):
        record = bench.gpu_record.Record(tmp_path / f"{command[3]}.json")
        begun.append((command[3], len(record.rows), limit))
        if command[3] == "steps":
            record.note(net="MLP")
        return None

    begun = []
    monkeypatch.setattr(bench.gpu, "supervised", supervised)
    for _ in range(2):
        bench.gpu.main(small(tmp_path, "--only", "gpu-tests", "steps", "--limit", "7"))
    assert begun == [("gpu-tests", 0, 7.0), ("steps", 0, 7.0), ("steps", 1, 7.0)]
    assert read(tmp_path, "steps")["status"] == "unfinished"
    assert read(tmp_path, "gpu-tests")["status"] == "failed"
    assert read(tmp_path, "gpu-tests")["why"] == "it was ended after 7 s"


def test_no_part_is_begun_after_the_last_minute(bench, here, tmp_path, capsys):
    bench.gpu.main(small(tmp_path, "--minutes", "1e-9"))
    assert not here
    assert "steps: no time is left" in capsys.readouterr().out


def test_a_process_that_dies_has_failed(bench, commit, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.gpu, "supervised", lambda *told: -11)
    bench.gpu.main(small(tmp_path, "--only", "steps"))
    found = read(tmp_path, "steps")
    assert (found["status"], found["why"]) == ("failed", "its process ended with -11")


def test_nothing_is_run_without_a_gpu(bench, here, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    bench.gpu.main(["--out", str(tmp_path)])
    assert not here and not list(tmp_path.iterdir())
    assert "There is no GPU here: nothing is run." in capsys.readouterr().out


def test_a_trial_does_not_come_among_results(bench, capsys):
    with pytest.raises(SystemExit):
        bench.gpu.main(small(bench.gpu.RESULTS))
    assert "pass another --out" in capsys.readouterr().err


@pytest.mark.slow
def test_steps_are_measured_once(bench, here, short_collections, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    bench.gpu.main(small(tmp_path, "--only", "steps"))
    rows = read(tmp_path, "steps")["rows"]
    assert [(row["net"], row["batch"]) for row in rows] == [
        ("MLP", 4),
        ("LeNet", 4),
        ("ConvNet", 4),
        ("ResNet-18", 4),
        ("MLP", 8),
    ]
    for row in rows:
        fused = {"by hand, fused Adam"} if row["net"] != "ResNet-18" else set()
        assert [set(times) for times in row["ms"]] == [{"by hand", "ours"} | fused]
        assert row["left out"] == ["by hand, one CUDA graph"] and row["replays"] == 0
    record = bench.gpu_record.Record(tmp_path / "steps.json")
    record.rows = rows[:-1]
    bench.gpu_parts.steps(record, bench.gpu_parts.Asked(small=True))
    assert record.rows[:-1] == rows[:-1] and record.rows[-1]["net"] == "MLP"


def test_a_case_that_breaks_leaves_the_others(bench, short_collections, tmp_path, monkeypatch):
    def broken(case, asked):
        raise torch.OutOfMemoryError("out of memory\nand more")

    monkeypatch.setattr(bench.gpu_parts, "loops_of", broken)
    record = bench.gpu_record.Record(tmp_path / "steps.json")
    bench.gpu_parts.steps(record, bench.gpu_parts.Asked(small=True))
    assert {row["error"] for row in record.rows} == {"OutOfMemoryError: out of memory"}
    assert len(record.rows) == len(bench.gpu_parts.cases(small=True))


def test_a_race_that_was_cut_goes_on_as_if_it_was_not(bench, tmp_path):
    def cut():
        racer = bench.gpu_parts.ours_to_race()
        looks = []

        def read_once(X):
            looks.append(X)
            if len(looks) > 2:  # training and test rows of the first stop
                raise KeyboardInterrupt
            return racer.model.transform(X)

        return racer._replace(readings={"five crops": read_once})

    asked, make = bench.gpu_parts.Asked(small=True), bench.gpu_parts.ours_to_race
    whole = bench.gpu_record.Record(tmp_path / "whole.json")
    bench.gpu_parts.race(whole, asked, make)
    record = bench.gpu_record.Record(tmp_path / "cut.json")
    with pytest.raises(KeyboardInterrupt):
        bench.gpu_parts.race(record, asked, cut)
    assert [row["step"] for row in record.rows] == [1] and record.state.exists()
    record = bench.gpu_record.Record(tmp_path / "cut.json")
    bench.gpu_parts.race(record, asked, make)
    assert [row["step"] for row in record.rows] == [1, 2]
    assert record.rows[0]["seconds"] < record.rows[1]["seconds"]
    found, expected = ([row["accuracy"] for row in one.rows] for one in (record, whole))
    assert found == expected
    assert not record.state.exists()
    # Without the state of its last stop, a training begins anew.
    record.rows = [{"step": 1, "seconds": 1e9, "accuracy": {"five crops": 2.0}}]
    bench.gpu_parts.race(record, asked, make)
    assert [row["accuracy"] for row in record.rows] == expected


def test_deep_infomax_is_read_at_three_layers(bench):
    racer, rows = bench.gpu_parts.infomax_to_race(), bench.gpu_parts.coloured(24, 12)
    learner = racer.model.set_params(**racer.trial, max_steps=2).fit(rows.X)
    found = {name: read(rows.X) for name, read in racer.readings.items()}
    assert {name: codes.shape for name, codes in found.items()} == {
        "convolutional layer": (24, 256),
        "dense layer": (24, 1024),
        "code": (24, 64),
    }
    # The code is a linear function of the dense layer, which sees the convolutions.
    last = learner.encoder_[-1]
    with torch.no_grad():
        code = last(torch.from_numpy(found["dense layer"])).numpy()
    np.testing.assert_allclose(code, found["code"], atol=1e-5)
    assert racer.stops[0] == 781 and racer.stops[-1] == 781_000


def test_the_perceptron_finds_classes_and_nothing_else(bench):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 900)
    codes = (rng.normal(size=(900, 6)) + 4 * np.eye(6)[y]).astype(np.float32)
    before = torch.get_rng_state()
    for labels, least, most in ((y, 0.9, 1.0), (rng.permutation(y), 0.1, 0.4)):
        rows = bench.gpu_parts.Rows(codes[:600], labels[:600], codes[600:], labels[600:])
        found = bench.gpu_parts.perceptron_accuracy(codes[:600], codes[600:], rows, "cpu")
        assert least < found <= most
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def lightly(monkeypatch):
    """Stand in for lightly, which is not installed beside the tests: some loss, some head."""

    class Loss:
        def __init__(self, temperature):
            self.temperature = temperature

        def __call__(self, first, second):
            return (first - second).pow(2).mean() / self.temperature - first.std(dim=0).mean()

    names = ("lightly", "lightly.loss", "lightly.models", "lightly.models.modules")
    made = {name: ModuleType(name) for name in names}
    made["lightly.loss"].NTXentLoss = Loss
    made["lightly.models.modules"].SimCLRProjectionHead = lambda *w: nn.Linear(w[0], w[2])
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_lightly_may_be_cut_as_well(bench, lightly, tmp_path):
    images = bench.gpu_parts.coloured(12, 0).X
    settings = {"n_steps": 4, "batch_size": 5, "falls": True, "optimizer": "adam", "lr": 1e-3}
    rival = bench.contestants.LightlySimCLR(0, **settings)
    expected = rival.fit(images).transform(images)
    before = torch.get_rng_state()
    for go in range(3):  # killed while its second, its last stop is looked at
        rival = bench.contestants.LightlySimCLR(0, **settings)
        stops = []
        for stop in rival.fit_iter(images, at=(1, 2, 4), checkpoint=tmp_path / "state"):
            codes = rival.transform(images)
            stops.append(stop)
            if len(stops) == 2:
                break
        assert stops == [[1, 2], [2, 4], [4]][go]
    np.testing.assert_array_equal(codes, expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_lightly_that_is_not_installed_is_said(bench, here, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.gpu_parts, "find_spec", lambda name: None)
    bench.gpu.main(small(tmp_path, "--only", "cifar10-lightly"))
    found = read(tmp_path, "cifar10-lightly")
    assert (found["status"], found["why"]) == ("not run", "lightly is not installed")


def test_the_nearest_rows_are_those_of_scikit_learn(bench):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 1700)
    codes = (rng.normal(size=(1700, 6)) + 0.7 * np.eye(6)[y]).astype(np.float32)
    rows = bench.gpu_parts.Rows(codes[:500], y[:500], codes[500:], y[500:])
    peer = KNeighborsClassifier(20, metric="cosine").fit(codes[:500], y[:500])
    found = bench.gpu_parts.nearest_accuracy(codes[:500], codes[500:], rows, "cpu")
    assert 0.3 < found < 0.9
    assert found == pytest.approx(peer.score(codes[500:], y[500:]), abs=1e-12)


def test_tables_say_what_the_files_say(bench, tmp_path, capsys):
    def write(name, status, rows):
        record = bench.gpu_record.Record(tmp_path / f"{name}.json")
        record.begin(bench.gpu_record.Place("Card 1", COMMIT, False), "python", keep_rows=False)
        record.rows = rows
        record.end(status)

    graph = "by hand, one CUDA graph"
    times = [{"by hand": a, graph: b, "ours": c} for a, b, c in [(4, 1, 2), (6, 2, 2), (8, 2, 5)]]
    counts = {"passed": 7, "replayed": 4, "failures": []}
    write("gpu-tests", "done", [counts])
    write("recorded-tests", "unfinished", [counts])
    first = {"net": "MLP", "batch": 128, "ms": times, "replays": 9}
    second = {"net": "LeNet", "batch": 128, "ms": times, "replays": 0}
    broken = {"net": "ConvNet", "batch": 4096, "error": "OutOfMemoryError: out of memory"}
    write("steps", "done", [first, second, broken])
    curve = [(500, 10.0, 0.5, 0.55), (1000, 20.4, 0.61, 0.65), (1500, 31.0, 0.6, 0.72)]
    accuracies = [{"five crops": a, "one image": b} for _, _, a, b in curve]
    rows = [
        {"step": n, "seconds": s, "accuracy": found}
        for (n, s, _, _), found in zip(curve, accuracies, strict=True)
    ]
    write("cifar10-lightly", "done", rows)
    write("cifar10-lightly-untuned", "unfinished", rows[:2])
    write("cifar10-ours", "failed", [])
    fit = {"data": "MNIST", "seconds": 8.04, "steps": 2400, "replays": 2399, "accuracy": 0.9712}
    write("defaults", "unfinished", [fit])
    layers = {"convolutional layer": 0.7004, "dense layer": 0.69, "code": 0.6}
    passes = [{"step": 781 * n, "seconds": 2.0 * n, "accuracy": layers} for n in (1, 1000)]
    write("deep-infomax", "unfinished", passes)
    bench.gpu.main(["--report", "--out", str(tmp_path)])
    runs, steps, cifar10, defaults = (
        pd.read_csv(tmp_path / f"{name}.csv", dtype=str, keep_default_na=False).set_index(key)
        for name, key in (
            ("runs", "part"),
            ("steps", "network, batch"),
            ("cifar10", "who"),
            ("defaults", "data"),
        )
    )
    assert list(defaults.loc["MNIST"]) == ["8.0", "2400", "2399", "0.971"]
    assert set(defaults.loc["digits"]) == {"not run"}
    outcomes = ["7 passed, 0 failed, 0 skipped; 4 replayed a graph", "unfinished", "done"]
    assert list(runs["outcome"])[:3] == outcomes
    assert set(runs["card"]) == {"Card 1"}
    infomax = pd.read_csv(tmp_path / "deep_infomax.csv", dtype=str)
    assert list(infomax["who"]) == ["Hjelm et al. (2019)", "ours", "ours"]
    assert list(infomax.iloc[2])[1:] == ["1,000", "2000", "0.700", "0.690", "0.600"]
    # Ratios of rounds: 1/2, 1/3, 5/8 and 2, 1, 5/2; their medians are not ratios of medians.
    assert list(steps.loc["MLP, 128"]) == ["6.00", "2.00", "2.00", "0.50", "2.00"]
    assert steps.loc["LeNet, 128", "ours, ms"] == "2.00 (not recorded)"
    assert set(steps.loc["ConvNet, 4,096"]) == {"failed"}
    assert set(steps.loc["ResNet-18, 128"]) == {"not run"}
    tuned = cifar10.loc["lightly, tuned, five crops"]
    assert list(tuned) == ["20", "not reached", "not reached", "0.610"]
    assert list(cifar10.loc["lightly, tuned, one image"])[:2] == ["20", "31"]
    untuned = cifar10.loc["lightly, settings of its docs, one image"]
    assert list(untuned) == ["20", "not yet", "not yet", "0.650"]
    assert set(cifar10.loc["ours"]) == {"failed"}


def test_what_has_not_been_run_is_not_in_the_tables(bench, tmp_path):
    bench.gpu.main(["--report", "--out", str(tmp_path)])
    assert set(pd.read_csv(tmp_path / "deep_infomax.csv").iloc[1, 1:]) == {"not run"}
    for name, n_named in (("runs", 1), ("steps", 1), ("cifar10", 1)):
        table = pd.read_csv(tmp_path / f"{name}.csv", dtype=str).dropna(axis=1)
        assert set(table.iloc[:, n_named:].to_numpy().ravel()) == {"not run"}


def test_the_tables_of_the_page_are_those_of_the_files(bench, tmp_path):
    for path in bench.gpu.RESULTS.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
        assert not json.loads(path.read_text(encoding="utf-8"))["small"]
    bench.gpu.main(["--report", "--out", str(tmp_path)])
    for name in ("runs", "steps", "cifar10", "deep_infomax"):
        committed = bench.gpu.RESULTS / f"{name}.csv"
        assert committed.read_text("utf-8") == (tmp_path / f"{name}.csv").read_text("utf-8")
