"""The benchmark of information: fits that are done once, and tables out of them."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    names = ("information_tasks", "information_report")
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


@pytest.mark.slow
def test_draws_in_two_processes_are_those_of_one(tmp_path):
    """Started as a program: worker processes find functions by the name of their module alone."""

    def draws(jobs):
        out = tmp_path / str(jobs)
        script = str(BENCHMARKS / "information_coverage.py")
        asked = ["--tasks", "independent", "--draws", "2", "--jobs", str(jobs), "--out", str(out)]
        subprocess.run([sys.executable, script, *asked], check=True, capture_output=True)
        rows = map(json.loads, filter(None, (out / "draws.jsonl").read_text().splitlines()))
        return {row["seed"]: (row["value"], row["p_value"]) for row in rows}

    alone = draws(1)
    assert len(alone) == 2
    assert draws(2) == alone
