"""How long one call of `MIEstimator` takes beside an earlier commit, in one run, in turns.

``git worktree add ../before 1759d58`` and ``python benchmarks/information_speed.py --other
../before`` fit every case in processes of their own, this version and the other one after the
other, append a line for each round to ``cells.jsonl`` in the folder ``--out``, and write
``speed.csv``, a row for each round, and ``speed.txt``, the medians. Seconds are of ``fit`` without
imports, ``cpu_seconds`` of all cores, and peak memory is that of the process. ``bar`` is the number
of seconds that a case may take on two cores. A killed run goes on where it was. ``--estimate`` says
what is left, ``--report`` writes the tables alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent


class Case(NamedTuple):
    """Tables, the seconds that a fit may take, and the method."""

    draw: Callable[[np.random.Generator], tuple[np.ndarray, ...]]
    bar: float
    method: str = "auto"


def gaussian(n: int, n_x: int, n_y: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return normal tables whose first columns have a correlation of .6."""
    X, Y = rng.normal(size=(n, n_x)), rng.normal(size=(n, n_y))
    k = min(n_x, n_y)
    Y[:, :k] = 0.6 * X[:, :k] + 0.8 * Y[:, :k]
    return X, Y


def folded(n: int, n_x: int, n_y: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return normal columns, and their sizes with noise."""
    X = rng.normal(size=(n, n_x))
    return X, np.abs(X[:, :n_y]) + 0.5 * rng.normal(size=(n, n_y))


def coins(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    x = rng.integers(2, size=(n, 1))
    return x, x ^ (rng.random((n, 1)) < 0.1)


def constant(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return np.ones((n, 1)), rng.integers(3, size=n)


def given(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    z, x, noise = rng.normal(size=(3, n, 1))
    return z + x, z + 0.5 * x + noise, z


CASES = {
    "500 x 3 columns": Case(partial(gaussian, 500, 2, 1), 4),
    "500 x 3, folded": Case(partial(folded, 500, 2, 1), 4),
    "2,000 x 2": Case(partial(gaussian, 2000, 1, 1), 6),
    "2,000 x 2, folded": Case(partial(folded, 2000, 1, 1), 6),
    "5,000, 20 + 20": Case(partial(gaussian, 5000, 20, 20), 18),
    "50,000 x 3": Case(partial(gaussian, 50_000, 2, 1), 30),
    "two binary columns, 70,000": Case(partial(coins, 70_000), 1),
    "a constant beside a class, 20,000": Case(partial(constant, 20_000), 1),
    "given Z, 1,000": Case(partial(given, 1000), 12),
    "copula, 2,000, 5 + 5": Case(partial(gaussian, 2000, 5, 5), 4, "copula"),
}


def one(path: str, method: str) -> dict[str, Any]:
    """Return the seconds and the memory of one fit in this process."""
    import resource

    import sklearn_mi

    warnings.simplefilter("ignore")
    with np.load(path) as file:
        tables = [file[name] for name in sorted(file.files)]
    rng = np.random.default_rng(1)
    # The first call imports and compiles.
    small = sklearn_mi.MIEstimator("network", n_folds=2, max_steps=2, random_state=0)
    small.fit(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)))
    estimator = sklearn_mi.MIEstimator(method, random_state=0)
    wall, cpu = time.perf_counter(), time.process_time()
    estimator.fit(*tables)
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "value": float(estimator.mi_.value),
        "package": str(Path(sklearn_mi.__file__).resolve().parent.parent),
    }


def measured(folder: Path, path: str, method: str, threads: int) -> dict[str, Any]:
    """Return the same from a process of its own, by the package of a folder."""
    known = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": str(threads)}
    asked = [sys.executable, __file__, "--one", path, method]
    done = subprocess.run(asked, env=known, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{folder}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    if Path(found.pop("package")) != folder.resolve():
        raise RuntimeError(f"{folder} is not what was imported.")
    return found


def compared(cell: Any, other: Path, threads: int) -> dict[str, Any]:
    """Return one round: both versions, one after the other; the next round turns the order."""
    case = CASES[cell.task]
    tables = case.draw(np.random.default_rng(cell.seed))
    folders = {"": HERE.parent, "before_": other}
    with tempfile.TemporaryDirectory() as place:
        path = f"{place}/tables.npz"
        np.savez(path, **{f"table_{k}": rows for k, rows in enumerate(tables)})
        turns = list(folders)[:: 1 if cell.seed % 2 else -1]
        found = {name: measured(folders[name], path, case.method, threads) for name in turns}
    row = {prefix + key: value for prefix in folders for key, value in found[prefix].items()}
    return {
        **cell._asdict(),
        "n_samples": len(tables[0]),
        "true_mi": float("nan"),
        "bar": case.bar,
        **{name: round(number, 4) for name, number in row.items()},
        "ratio": round(row["seconds"] / row["before_seconds"], 4),
        "threads": threads,
        "before": cell.setting,
    }


def commit_of(folder: Path) -> str:
    """Return the commit of a checkout, or the name of the folder."""
    asked = ["git", "-C", str(folder), "log", "-1", "--format=%h"]
    found = subprocess.run(asked, capture_output=True, text=True)
    return found.stdout.strip() or folder.name


COLUMNS = (
    *("task", "before", "seed", "n_samples", "bar", "seconds", "before_seconds", "ratio"),
    *("cpu_seconds", "before_cpu_seconds", "peak_mb", "before_peak_mb", "value", "before_value"),
    *("threads", "commit"),
)


def report(out: Path) -> str:
    """Write the tables to the folder, and return the text."""
    import pandas as pd
    from information_report import read_cells, write_table

    rows = [row for row in read_cells(out) if row["task"] in CASES]
    if not rows:
        return "no fits yet"
    order = list(CASES)
    rows.sort(key=lambda row: (order.index(row["task"]), row["seed"]))
    return write_table("speed", pd.DataFrame(rows)[list(COLUMNS)], out)


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    # Imported here: a process of the other version has this file and that version alone.
    from information_coverage import go_on, options
    from information_tasks import RESULTS, Cell

    parser = options(__doc__, CASES, RESULTS / "speed")
    parser.add_argument("--other", type=Path, help="a checkout of another commit")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    asked: argparse.Namespace = parser.parse_args(arguments)
    if asked.other is None and not asked.report:
        parser.error("--other: expected the folder of a checkout.")
    before = "" if asked.other is None else commit_of(asked.other)
    cells = [Cell(name, seed, before) for seed in range(asked.rounds) for name in asked.tasks]
    work = partial(compared, other=asked.other, threads=asked.threads)
    go_on(asked, cells, "cells.jsonl", work, report)


if __name__ == "__main__":
    if "--one" in sys.argv:
        print(json.dumps(one(*sys.argv[-2:])))
    else:
        # By its own name, so that worker processes find it.
        from information_speed import main as run_main

        run_main()
