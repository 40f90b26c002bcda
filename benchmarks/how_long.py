"""CPU seconds and peak memory of default fits, each in a process of its own.

``python benchmarks/how_long.py`` adds what is missing to ``benchmarks/results/speed/how_long.csv``,
one process after the other, one thread each; ``--again`` measures everything anew. Seconds are the
processor's, of ``fit`` alone; memory is the most that the process has held at a time, and what it
held before the fit, imports and rows included.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results" / "speed"


class Task(NamedTuple):
    """A table of so many rows and columns, or digits as images."""

    name: str
    rows: int
    columns: int


TASKS = (
    Task("numbers", 500, 20),
    Task("numbers", 2_000, 20),
    Task("numbers", 10_000, 20),
    Task("numbers", 2_000, 200),
    Task("digits as images", 1_797, 64),
)


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    kib = 1 if sys.platform != "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kib * 1024 / 1e6


def measured(path: str) -> dict[str, Any]:
    """Return seconds, steps and memory of one default fit in this process."""
    from sklearn_mi import MIRepresentationLearner

    warnings.simplefilter("ignore")
    X = np.load(path)
    MIRepresentationLearner(max_steps=2, random_state=0).fit(X[:64])
    before, start = peak_mb(), time.process_time()
    learner = MIRepresentationLearner(random_state=0, n_threads=1).fit(X)
    seconds = time.process_time() - start
    return {
        "seconds": round(seconds, 2),
        "steps": learner.n_iter_,
        "peak MB": round(peak_mb()),
        "MB before": round(before),
    }


def run(task: Task) -> dict[str, Any]:
    """Return the same from a process of its own, and where it ran."""
    # The process that is measured imports what a user imports, and no more.
    from before_after import manifold
    from bench_data import package_commit, versions
    from features_report import machine
    from sklearn.datasets import load_digits

    digits = task.name == "digits as images"
    X = load_digits().images if digits else manifold(task.rows, task.columns)
    with tempfile.TemporaryDirectory() as folder:
        np.save(path := f"{folder}/rows.npy", X)
        asked = [sys.executable, __file__, "--one", path]
        out = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return {
        **task._asdict(),
        **json.loads(out.splitlines()[-1]),
        "commit": package_commit(),
        "versions": versions(("scikit-learn", "torch")),
        "machine": machine(),
    }


def main() -> None:
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--again", action="store_true", help="measure what has been measured, too")
    parser.add_argument("--one", help="a file of rows; used by this script")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.one)))
        return
    path = RESULTS / "how_long.csv"
    known = pd.read_csv(path).to_dict("records") if path.exists() else []
    found = {(row["name"], row["rows"], row["columns"]): row for row in known}
    for task in TASKS:
        if task in found and not asked.again:
            continue
        found[task] = run(task)
        rows = [found[task] for task in TASKS if task in found]
        pd.DataFrame(rows).to_csv(path, index=False)
        print(found[task], flush=True)


if __name__ == "__main__":
    main()
