"""The benchmark of information: fits that are done once, and tables out of them."""

import json
import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    parts = ("tasks", "report", "coverage", "kinds", "images", "speed")
    names = [f"information_{part}" for part in parts]
    yield SimpleNamespace(**{name: import_module(name) for name in names})
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def counted(bench, monkeypatch):
    """Replace the fits by a note of the cell."""
    log = []

    def fitted(cell):
        log.append(cell)
        truth = bench.information_tasks.tasks()[cell.task].true_mi
        under_ranks = bench.information_tasks.tasks()[cell.task].under_ranks or cell.task
        value = truth + 0.02 * (1 + cell.seed)
        return {
            **cell._asdict(),
            "under_ranks": under_ranks,
            "true_mi": truth,
            "value": value,
            "stderr": 0.015,
            "interval": [value - 0.03, value + 0.03],
            "lower_limit": truth - 0.1,
            "how": "gaussian copula",
            "certified_limit": truth - 0.2,
            "bounds": {"infonce": {"value": truth - 0.05, "stderr": 0.01}},
            "candidates": {"gaussian": {"mean_log_ratio": truth}},
            "refutation": {"p_value": 0.5},
            "seconds": 6.0,
            "cpu_seconds": 6.0,
            "peak_mb": 100.0,
            "before_mb": 90.0,
        }

    monkeypatch.setattr(bench.information_tasks, "fitted", fitted)
    return log


def arguments(out, *more):
    return ["--tasks", "1v1-normal-0.75", "1v1-bimodal-0.75", "--out", str(out), *more]


def test_all_is_there_once_and_the_most_important_first(bench):
    cells = bench.information_tasks.in_order()
    assert len(cells) == len(set(cells))
    # 40 tasks of three samples in two settings, 9 Gaussians of five, two more of seven tasks
    assert len(cells) == 40 * 3 * 2 + 9 * 5 + 7 * 2
    assert {(cell.seed, cell.setting) for cell in cells[:26]} == {(0, "default")}
    assert all(not bench.information_tasks.tasks()[c.task].under_ranks for c in cells[:78])


def test_a_killed_run_goes_on(bench, counted, tmp_path, monkeypatch, capsys):
    done = bench.information_tasks.fitted

    def killed(cell):
        if len(counted) == 2:
            raise KeyboardInterrupt
        return done(cell)

    who = arguments(tmp_path, "--seeds", "0", "1")
    monkeypatch.setattr(bench.information_tasks, "fitted", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.information_tasks.main(who)
    with (tmp_path / "cells.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"task": "1v1-no')  # a line that a kill has cut
    monkeypatch.setattr(bench.information_tasks, "fitted", done)
    bench.information_tasks.main(who)
    bench.information_tasks.main(who)
    assert len(counted) == len(set(counted)) == 8
    assert "6 fits are left, about 4 core-minutes" in capsys.readouterr().out
    assert len(bench.information_report.read_cells(tmp_path)) == 8


def test_a_fit_that_breaks_is_told_and_tried_anew(bench, counted, tmp_path, monkeypatch, capsys):
    def broken(cell):
        raise RuntimeError("no convergence")

    who = arguments(tmp_path, "--seeds", "0", "--settings", "default")
    with monkeypatch.context() as patch:
        patch.setattr(bench.information_tasks, "fitted", broken)
        bench.information_tasks.main(who)
    assert "no convergence" in capsys.readouterr().out
    bench.information_tasks.main(who)
    assert len(counted) == 2


def test_report_is_right(bench, counted, tmp_path):
    bench.information_tasks.main(arguments(tmp_path, "--settings", "default"))
    text = " ".join((tmp_path / "information.txt").read_text(encoding="utf-8").split())
    # errors of .02, .04 and .06 with standard errors of .015 and intervals of +- .03
    assert "median |error|, task-samples 0.0400" in text
    assert "mean |error| within .1 2 of 2" in text
    assert "the same, distinct tasks 1 of 1" in text
    assert "66.7% of task-samples" in text
    assert "interval holds the truth 33.3%" in text
    assert "lower limit above the truth 0.0%" in text
    assert "0.453 +- 0.020" in text  # .4133 and .04
    assert "infonce -0.050 0.0%" in text
    assert "best guess +0.060 80.0%" in text  # of five samples


def test_lines_of_peers_come_into_the_table(bench, counted, tmp_path):
    who = ["--tasks", "1v1-normal-0.75", "--out", str(tmp_path), "--settings", "default"]
    line = {"task": "1v1-normal-0.75", "setting": "KSG", "true_mi": 0.4133}
    rows = [{**line, "seed": seed, "value": 0.40 + 0.02 * seed} for seed in (0, 1)]
    path = tmp_path / "peers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    bench.information_tasks.main(who)
    text = (tmp_path / "information.txt").read_text(encoding="utf-8")
    assert "0.410 (0.010)" in text and "KSG" in text


def test_a_gaussian_is_beside_its_cube(bench, counted, tmp_path):
    stairs = ["gaussian-20-2.0", "cubic-gaussian-20-2.0"]
    bench.information_tasks.main(["--tasks", *stairs, "--out", str(tmp_path)])
    text = (tmp_path / "information.txt").read_text(encoding="utf-8")
    assert "largest gap, plain to cubic: 0.000" in text
    assert "0.100" in text  # the largest error, of seed 4


# Coverage


def line(task, seed, **numbers):
    numbers = {"true_mi": 0.5, "value": 0.5, "low": 0.4, "high": 0.6, "lower_limit": 0.3} | numbers
    more = {"p_value": math.nan, "at_least": False, "how": "copula", "n": 200, "cpu_seconds": 1.0}
    return {"task": task, "seed": seed, "setting": "closed-form", "commit": "1234567"} | (
        more | numbers
    )


def written(out, name, rows):
    (out / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_coverage_counts_what_holds(bench, tmp_path):
    rows = [
        # 8 of 10 intervals, 9 of 10 limits
        *(line("rho .6, n = 20", k, low=0.4 if k < 8 else 0.55) for k in range(9)),
        line("rho .6, n = 20", 9, low=0.55, lower_limit=0.52),
        # 1 of 4 p-values; no truth above 0 counts
        *(
            line("independent", k, true_mi=0.0, low=0.0, lower_limit=0.0, p_value=p)
            for k, p in enumerate((0.04, 0.5, 0.06, 0.9))
        ),
        line("Student 5x5", 0, high=math.inf, at_least=True, p_value=0.001),
    ]
    written(tmp_path, "draws.jsonl", rows)
    bench.information_coverage.main(["--report", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "coverage.csv").set_index("task")
    few = table.loc["rho .6, n = 20"]
    assert (few["draws"], few["holds"], few["below"]) == (10, 0.8, 0.9)
    assert few["below_bar"] == "interval, limit"
    # Clopper and Pearson's, from tables
    assert few[["holds_low", "holds_high"]].tolist() == pytest.approx([0.4439, 0.9748], abs=1e-4)
    assert table.loc["independent", "rejects"] == 0.25
    assert table.loc["independent", "below_bar"] == "p-value"
    assert np.isnan(table.loc["Student 5x5", "rejects"]) and table.loc["Student 5x5", "holds"] == 1
    assert "0.800 (0.444, 0.975)" in (tmp_path / "coverage.txt").read_text(encoding="utf-8")


def test_a_draw_of_coverage(bench, tmp_path, capsys):
    names = ["Likert independent, n = 200", "rho .6, n = 20"]
    asked = ["--tasks", *names, "--draws", "1", "--out", str(tmp_path)]
    bench.information_coverage.main([*asked, "--estimate"])
    assert not list(tmp_path.glob("draws*.jsonl"))
    bench.information_coverage.main(asked)
    bench.information_coverage.main(asked)
    out = capsys.readouterr().out
    assert "2 fits are left" in out and "0 fits are left" in out
    table = pd.read_csv(tmp_path / "coverage.csv").set_index("task")
    assert table["draws"].tolist() == [1, 1]
    assert table.loc["rho .6, n = 20", "truth"] == pytest.approx(-math.log(0.8), abs=1e-4)
    assert np.isnan(table.loc["rho .6, n = 20", "rejects"])


def test_truths_of_pairs_made_here(bench):
    """Against sums over fine grids, and entropies by hand."""
    coverage, kinds = bench.information_coverage, bench.information_kinds
    x, y = np.linspace(-8, 8, 1601)[:, None], np.linspace(-6, 10, 1601)
    step = (x[1, 0] - x[0, 0]) * (y[1] - y[0])
    given = np.exp(-2 * (y - np.abs(x)) ** 2) * math.sqrt(2 / math.pi)
    joint = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * given
    each = (joint * np.log(np.maximum(given, 1e-300) / (joint.sum(0) * 0.01))).sum() * step
    assert coverage.folded(0.5, 2).true_mi == pytest.approx(2 * each, abs=1e-3)
    # Fine rounding loses nothing, and a rounded copy has the entropy of a grid.
    assert kinds.rounded_pairs(0.6, 0.02).true_mi == pytest.approx(-math.log(0.8), abs=1e-3)
    copy = kinds.rounded_pairs(1 - 1e-12, 0.25, both=False).true_mi
    cells = np.diff(norm.cdf((np.arange(-40, 42) - 0.5) / 4))
    assert copy == pytest.approx(-(cells * np.log(np.maximum(cells, 1e-300))).sum(), abs=1e-4)
    # Two signs are a coin: seen without noise, log 2; with much of it, half of its power.
    assert kinds.signs(0.05).true_mi == pytest.approx(math.log(2), abs=1e-6)
    assert kinds.signs(10.0).true_mi == pytest.approx(0.005, rel=0.02)
    assert kinds.of_two_normals(0.5, 20.0) == pytest.approx(math.log(2), abs=1e-6)


# Kinds


def test_kinds_say_what_is_wrong(bench):
    kinds = bench.information_kinds
    case = kinds.Case("A1", 0.5, demands={"error": 0.1, "warning": "blocks", "seconds": 2})
    right = {"value": 0.5, "low": 0.4, "high": 0.6, "lower_limit": 0.3, "p_value": 0.001}
    right |= {
        "at_least": False,
        "how": "",
        "warnings": ["take blocks"],
        "cpu_seconds": 1,
        "peak_mb": 9,
    }
    assert list(kinds.misses(case, right)) == []
    wrong = {"value": 0.2, "high": 0.45, "p_value": math.nan, "warnings": [], "cpu_seconds": 3}
    found = list(kinds.misses(case, right | wrong))
    assert found == ["interval", "value below limit", "p-value", "error", "warning", "seconds"]
    infinite = kinds.Case("A4", math.inf, demands={"at_least": True})
    assert list(kinds.misses(infinite, right)) == ["interval", "at least"]
    assert list(kinds.misses(infinite, right | {"high": math.inf, "at_least": True})) == []


def test_a_fit_of_each_sort_of_kind(bench, tmp_path):
    names = ["Likert, strings", "a Generator", "given Z: xor of coins"]
    asked = ["--tasks", *names, "--seeds", "1", "--settings", "closed-form", ""]
    bench.information_kinds.main([*asked, "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "kinds.csv").set_index("task")
    assert sorted(table.index) == sorted(names)
    assert table.loc["Likert, strings", "ok"] and table.loc["a Generator", "ok"]
    assert table.loc["given Z: xor of coins", "truth"] == pytest.approx(math.log(2), abs=1e-4)


# Images


def test_a_fit_of_images(bench, tmp_path):
    asked = ["--tasks", "digits-2", "--seeds", "0", "--rows", "60", "--steps", "2", "--folds", "2"]
    bench.information_images.main([*asked, "--out", str(tmp_path)])
    (row,) = pd.read_csv(tmp_path / "images.csv").to_dict("records")
    assert (row["truth"], row["n_tiles"]) == (2.0, 10)
    # 2 sides of 60 rows of 10 tiles, of the 360 zeros and ones of the digits
    assert row["reuse"] == pytest.approx(1200 / 360, abs=1e-3)
    peer = {"task": "digits-2", "seed": 0, "setting": "bmi InfoNCE", "true_mi": 2.0, "value": 0.25}
    written(tmp_path, "peers.jsonl", [peer])
    bench.information_images.main([*asked, "--report", "--out", str(tmp_path)])
    assert pd.read_csv(tmp_path / "images.csv")["bmi InfoNCE"].tolist() == [0.25]


def test_images_say_what_is_wrong(bench):
    row = {"task": "mnist-2", "true_mi": 2.0, "value": 2.25, "stderr": 0.1, "low": 2.1, "high": 2.4}
    row |= {"lower_limit": 2.05, "seconds": 1000.0}
    found = list(bench.information_images.misses(row))
    assert found == ["error", "above", "interval", "limit above truth", "seconds"]
    assert list(bench.information_images.misses(row | {"task": "cifar10-6"}))[:1] == ["too low"]


# Speed


def test_speed_beside_another_folder(bench, tmp_path, monkeypatch):
    """The other folder holds this package, by a link."""
    other = tmp_path / "other"
    other.mkdir()
    package = BENCHMARKS.parent / "sklearn_mi"
    (other / "sklearn_mi").symlink_to(package, target_is_directory=True)
    speed = bench.information_speed
    seen = []

    def measured(folder, path, method, threads):
        with np.load(path) as file:
            seen.append((folder, [file[name].shape for name in file.files], method, threads))
        return {
            "seconds": 1.0 + (folder == other),
            "cpu_seconds": 3.0,
            "peak_mb": 5.0,
            "value": 0.5,
        }

    monkeypatch.setattr(speed, "measured", measured)
    asked = ["--tasks", "given Z, 1,000", "--rounds", "2", "--threads", "1"]
    speed.main([*asked, "--other", str(other), "--out", str(tmp_path)])
    assert [folder == other for folder, *_ in seen] == [True, False, False, True]
    assert seen[0][1:] == ([(1000, 1)] * 3, "auto", 1)
    table = pd.read_csv(tmp_path / "speed.csv")
    assert table["ratio"].tolist() == [0.5, 0.5] and table["bar"].tolist() == [12, 12]


@pytest.mark.slow
def test_speed_of_a_folder_is_that_of_its_own_package(bench, tmp_path):
    rows = np.random.default_rng(0).normal(size=(2, 100, 1))
    np.savez(tmp_path / "tables.npz", table_0=rows[0], table_1=rows[1])
    measured, root = bench.information_speed.measured, BENCHMARKS.parent
    found = measured(root, str(tmp_path / "tables.npz"), "copula", 1)
    assert found["seconds"] > 0 and found["peak_mb"] > 50
    with pytest.raises(RuntimeError, match="not what was imported"):
        measured(tmp_path, str(tmp_path / "tables.npz"), "copula", 1)


@pytest.mark.slow
def test_draws_in_two_processes_are_those_of_one(tmp_path):
    """Started as a program: worker processes find functions by the name of their module alone."""

    def draws(jobs):
        out = tmp_path / str(jobs)
        script = str(BENCHMARKS / "information_coverage.py")
        asked = ["--tasks", "independent", "--draws", "2", "--jobs", str(jobs), "--out", str(out)]
        subprocess.run([sys.executable, script, *asked], check=True, capture_output=True)
        rows = map(json.loads, filter(None, (out / "draws-0.jsonl").read_text().splitlines()))
        return {row["seed"]: (row["value"], row["p_value"]) for row in rows}

    alone = draws(1)
    assert len(alone) == 2
    assert draws(2) == alone
