"""How near `MIEstimator` comes to information that is known: the 40 tasks of "Beyond Normal".

``python benchmarks/information_tasks.py --jobs 2`` fits what is missing, appends a line for each
fit to ``cells.jsonl`` in the folder ``--out``, and writes the tables. A killed run goes on where it
was. What matters most comes first: the distinct tasks with the default setting, then more samples,
then Gaussians of 2, 6 and 10 nats, then tasks that are others under ranks, then networks without
copulas. ``--estimate`` says what is left to do and fits nothing; ``--report`` writes the tables
alone. Every ``.jsonl`` in the folder is read, so that lines of several machines, or of peers
(`information_peers.py`), come into one table.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import json
import platform
import resource
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_data import package_commit
from information_report import BESIDE_PEERS, LEVELS, read_cells, write_report
from joblib import Parallel, delayed

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import KnownPairs, beyond_normal, gaussian_staircase

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "information"
N_SAMPLES = 5000
SEEDS = (0, 1, 2)
MORE_SEEDS = (0, 1, 2, 3, 4)
MAPS = ("identity", "cubic", "rotated cubic")
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "no offsets": {"method": "network"},
}
PACKAGES = ("sklearn-mi", "numpy", "scipy", "scikit-learn", "torch", "joblib")
GUESSED_SECONDS = 60.0


class Cell(NamedTuple):
    """One fit: what is computed, and computed once."""

    task: str
    seed: int
    setting: str


@lru_cache(maxsize=1)
def tasks() -> dict[str, KnownPairs]:
    """Return everything that is estimated, by name."""
    stairs = [step for name in MAPS for step in gaussian_staircase(LEVELS, map=name)]
    return beyond_normal() | {step.name: step for step in stairs}


def in_order() -> list[Cell]:
    """Return all cells, the most important first."""
    beyond = beyond_normal()
    distinct = [name for name, task in beyond.items() if not task.under_ranks]
    stairs = [name for name in tasks() if name not in beyond]
    parts = [
        (distinct, SEEDS[:1], "default"),
        (distinct, SEEDS[1:], "default"),
        ([*stairs, *BESIDE_PEERS], MORE_SEEDS, "default"),
        (beyond, SEEDS, "default"),
        (distinct, SEEDS, "no offsets"),
        (beyond, SEEDS, "no offsets"),
    ]
    cells = [
        Cell(name, seed, setting)
        for names, seeds, setting in parts
        for seed in seeds
        for name in sorted(names, key=_width, reverse=True)
    ]
    return list(dict.fromkeys(cells))


def _width(task: str) -> int:
    """Return the columns of both sides: wide tasks take long, and start first."""
    return sum(side.shape[1] for side in tasks()[task].sample(2, 0))


def fitted(cell: Cell) -> dict[str, Any]:
    """Return what is known after one fit."""
    pairs = tasks()[cell.task]
    X, Y = pairs.sample(N_SAMPLES, cell.seed)
    before_mb = forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = MIEstimator(random_state=cell.seed, **SETTINGS[cell.setting]).fit(X, Y)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    mi, own, found = estimator.mi_, estimator.guaranteed_, estimator.refutation_
    candidates = estimator.candidates_.groupby("candidate", sort=False)
    return {
        **cell._asdict(),
        "under_ranks": pairs.under_ranks or pairs.name,
        "n_samples": N_SAMPLES,
        "n_features": [X.shape[1], Y.shape[1]],
        "true_mi": pairs.true_mi,
        "value": mi.value,
        "stderr": mi.stderr,
        "interval": list(mi.interval),
        "how": mi.bound,
        "lower_limit": mi.lower_limit,
        "guaranteed": {"bound": own.bound, "value": own.value, "stderr": own.stderr},
        "certified_limit": estimator.certified_limit_,
        "p_value": estimator.test_independence().p_value,
        "bounds": estimator.bounds_[["value", "stderr"]].to_dict("index"),
        "candidates": candidates[["loss", "weight", "mean_log_ratio"]].mean().to_dict("index"),
        "warnings": list(mi.warnings),
        "refutation": vars(found),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb(),
        "before_mb": before_mb,
    }


def forget_peak() -> float:
    """Let the peak of this process's memory begin anew, where it can, and return where it is."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_mb()


def peak_mb() -> float:
    """Return the peak of this process's memory: since `forget_peak`, or else since its start."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def surroundings(jobs: int) -> dict[str, Any]:
    """Return what a number may depend on besides the cell."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    machine = {"cpus": os.cpu_count(), "jobs": jobs, "machine": platform.machine()}
    return {"versions": versions, "commit": package_commit(), **machine}


def attempt(cell: Cell, work: Callable[[Cell], dict[str, Any]]) -> dict[str, Any]:
    """Do a cell; what fails is told, and tried anew next time."""
    try:
        return work(cell)
    except Exception:
        # One fit that breaks must not end a run of hours.
        return {**cell._asdict(), "failed": traceback.format_exc()}


def run(
    cells: Iterable[Cell],
    jobs: int,
    path: Path,
    work: Callable[[Cell], dict[str, Any]],
    around: dict[str, Any] | None = None,
    seeds_a_file: int | None = None,
) -> None:
    """Do cells in order, and append each to the file, or that of its seeds, once it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parallel = Parallel(
        n_jobs=jobs, batch_size=1, pre_dispatch="2 * n_jobs", return_as="generator_unordered"
    )
    finished: Iterator[dict[str, Any]] = parallel(delayed(attempt)(cell, work) for cell in cells)
    for row in finished:
        if "failed" in row:
            print(row["task"], row["seed"], row["setting"], row["failed"], flush=True)
            continue
        part = f"-{row['seed'] // seeds_a_file}" if seeds_a_file else ""
        with path.with_stem(path.stem + part).open("a", encoding="utf-8") as file:
            # The line break comes first: a line cut by a kill must not spoil the next one.
            file.write("\n" + json.dumps({**row, **(around or {})}))
        print(
            f"{row['task']} {row['seed']} {row['setting']}: {row['value']:.3f} of "
            f"{row['true_mi']:.3f}, {row['cpu_seconds']:.0f} s",
            flush=True,
        )


def core_minutes(cells: list[Cell], done: list[dict[str, Any]]) -> float:
    """Return what fits will cost, by those of the same task, or setting, that are there."""

    def mean(rows: list[dict[str, Any]], otherwise: float) -> float:
        return float(np.mean([row["cpu_seconds"] for row in rows])) if rows else otherwise

    seconds = []
    for cell in cells:
        alike = [row for row in done if row["setting"] == cell.setting]
        same = [row for row in alike if row["task"] == cell.task]
        seconds.append(mean(same, mean(alike, GUESSED_SECONDS)))
    return sum(seconds) / 60


def chosen(asked: argparse.Namespace) -> list[Cell]:
    """Return the cells that were asked for, in order."""
    return [
        cell
        for cell in in_order()
        if (asked.tasks is None or cell.task in asked.tasks)
        and (asked.seeds is None or cell.seed in asked.seeds)
        and cell.setting in asked.settings
    ]


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=list(tasks()), metavar="TASK")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--estimate", action="store_true", help="say what is left, fit nothing")
    parser.add_argument("--report", action="store_true", help="write the tables, fit nothing")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    asked = parsed(arguments)
    done = read_cells(asked.out)
    there = {(row["task"], row["seed"], row["setting"]) for row in done}
    left = [cell for cell in chosen(asked) if cell not in there]
    ours = [row for row in done if row["setting"] in SETTINGS]
    print(
        f"{len(left)} fits are left, about {core_minutes(left, ours):.0f} core-minutes", flush=True
    )
    if asked.estimate:
        return
    if not asked.report:
        run(left, asked.jobs, asked.out / "cells.jsonl", fitted, surroundings(asked.jobs))
    print(write_report(asked.out))


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from information_tasks import main as run_main

    run_main()
