"""What chose the defaults, and the seconds of default fits: settings, tasks, tables out of rows."""

import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from sklearn_mi import MIRepresentationLearner

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    names = ("bench_data", "before_after", "contestants", "neighbors", "pareto", "time_to_accuracy")
    yield SimpleNamespace(**{name: import_module(name) for name in names})
    sys.path.remove(str(BENCHMARKS))


def test_every_setting_is_one_of_the_learner(bench):
    for kind, settings in bench.pareto.SETTINGS.items():
        assert kind in (*bench.pareto.ROWS, *bench.pareto.TABLES)
        for step in settings.values():
            if isinstance(step, dict):
                MIRepresentationLearner(**step)


@pytest.mark.parametrize("name", ["Muon .1, 800 steps", "Muon .1, 800 steps, momentum .95"])
def test_a_setting_is_measured(bench, monkeypatch, name):
    X, y = load_digits(return_X_y=True)
    few = bench.pareto.Rows(X[:200].reshape(-1, 8, 8), y[:200], 2, (0,), (1, None))
    monkeypatch.setitem(bench.pareto.ROWS, "digits", lambda seed: few)
    monkeypatch.setitem(bench.pareto.SETTINGS["digits"][name], "max_steps", 3)
    table = bench.pareto.cell("digits", name, 0)
    assert list(table["labels_per_class"]) == ["1", "all"] and (table["accuracy"] > 0.1).all()
    assert (table["seconds"] > 0).all() and table["name"].unique() == [name]


def test_seeds_of_development_are_none_of_the_table(bench):
    seeds = {seed for seeds in bench.pareto.SEEDS.values() for seed in seeds}
    assert not seeds & {seed for data in bench.bench_data.DATA.values() for seed in data.seeds}


def test_seconds_are_compared_with_those_of_the_same_task(bench, tmp_path):
    rows = [
        ("one", "before", 4.0, 10),
        ("one", "before", 8.0, 10),
        ("one", "now", 3.0, 5),
        ("two", "before", 10.0, 10),
        ("two", "now", 1.0, 5),
    ]
    table = pd.DataFrame(rows, columns=["task", "who", "fit s", "steps"])
    facts = {"effort": "normal", "transform s": 0.5, "before": "1759d58", "commit": "1234567"}
    table.assign(**facts).to_csv(tmp_path / "rows.csv", index=False)
    lines = bench.before_after.report(tmp_path / "rows.csv").splitlines()
    ratios = [float(line.split()[-1]) for line in lines if "normal" in line]
    assert ratios == [1.0, 0.5, 1.0, 0.1]
    assert lines[0].startswith("Before: 1759d58; now: 1234567.")


def test_tasks_say_their_sizes(bench):
    for task in bench.before_after.TASKS:
        if task.startswith("numbers"):
            n, p = bench.before_after._size(task)
            assert f"{n:,} x {p}" in task
    assert bench.before_after.manifold(30, 4).shape == (30, 4)


def test_curves_are_of_contestants(bench):
    for curve in bench.time_to_accuracy.CURVES:
        assert curve.name in bench.contestants.CONTESTANTS or "TorchDR" in curve.name
    made = bench.time_to_accuracy.made(bench.time_to_accuracy.CURVES[0], "digits", 7, 0)
    assert made.max_steps == 7


def test_searches_find_neighbours(bench):
    X = bench.before_after.manifold(300, 5).astype(np.float32)
    exact = bench.neighbors.exact(X)
    assert exact.shape == (300, bench.neighbors.K)
    assert not (exact == np.arange(300)[:, None]).any()
