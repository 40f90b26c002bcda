"""Seconds of a default fit beside those of an earlier commit and of UMAP, in one run, in turns.

``git worktree add ../before 1759d58`` and ``.venv-peers/bin/python benchmarks/before_after.py
--before ../before`` measures every task in processes of their own, one after the other, one thread
each, and writes ``benchmarks/results/speed/before_after.csv`` and ``.txt``. Seconds are the
processor's, of fit and transform, without imports. The minutes of the earlier commit on MNIST and
CIFAR10 are told from its first step and a tenth of its steps. Everyone transforms a quarter of the
rows.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import json
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_data import DATA, columns_encoder, package_commit, versions
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from skorch.callbacks import Callback

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "speed"


class Task(NamedTuple):
    """Rows, how often they are fitted, and how."""

    rounds: int
    efforts: tuple[str, ...] = ("normal",)
    umap: bool = True
    # Steps of the earlier commit, where they take minutes and a tenth of them is measured.
    steps_before: int = 0
    # Seconds until training begins, in the place of those of the fit.
    begins: bool = False


TASKS = {
    "wine, 142 x 13": Task(2),
    "breast cancer, 455 x 30": Task(2),
    "digits as images, 1,438": Task(2, ("normal", "quick")),
    "digits as a table, 1,438 x 64": Task(1),
    "numbers, 5,000 x 30": Task(1),
    "numbers, 20,000 x 100": Task(1),
    "diamonds, 16,000 x 26": Task(1),
    "insurance, 16,000 x 22": Task(1),
    "MNIST, 48,000": Task(1, ("normal", "quick"), steps_before=4800),
    "CIFAR10, 44,000": Task(1, umap=False, steps_before=880),
    "numbers begin, 200,000 x 50": Task(1, umap=False, begins=True),
}


class Began(Exception):
    """Training has begun."""


class Begins(Callback):
    """Ends a fit where training begins."""

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        raise Began


def manifold(n: int, p: int) -> np.ndarray:
    """Return rows about 100 centres in ten dimensions, bent into p columns."""
    rng = np.random.default_rng(0)
    centres, mix = 2 * rng.normal(size=(100, 10)), rng.normal(size=(10, p))
    X = np.tanh((centres[rng.integers(100, size=n)] + rng.normal(size=(n, 10))) @ mix / 4)
    return X + 0.05 * rng.normal(size=(n, p))


def rows_of(task: str) -> Any:
    name = task.split(",")[0]
    if name == "digits as images":
        return load_digits().images[:1438]
    if name == "digits as a table":
        return load_digits().data[:1438]
    if name in ("wine", "breast cancer"):
        load = load_wine if name == "wine" else load_breast_cancer
        X, _ = load(return_X_y=True)
        return X[np.random.default_rng(0).permutation(len(X))[: 4 * len(X) // 5]]
    if name.startswith("numbers"):
        return manifold(*_size(task))
    X, _ = DATA[{"MNIST": "mnist", "CIFAR10": "cifar10"}.get(name, name)].load()
    n = 44_000 if name == "CIFAR10" else 48_000 if name == "MNIST" else 16_000
    rows = X.iloc[:n] if hasattr(X, "iloc") else X[:n]
    return columns_encoder().fit_transform(rows) if hasattr(X, "iloc") else rows


def _size(task: str) -> tuple[int, int]:
    numbers = task.split(", ", 1)[1].replace(",", "")
    n, p = numbers.split(" x ")
    return int(n), int(p)


def one(task: str, who: str, effort: str) -> dict[str, Any]:
    """Return seconds of one fit and transform in this process."""
    X, how = rows_of(task), TASKS[task]
    warnings.simplefilter("ignore")
    warm_up = np.random.default_rng(1).random((64, 12))
    if who == "UMAP 8":
        from umap import UMAP

        model: Any = UMAP(n_components=8, n_neighbors=5, min_dist=0.1, random_state=0, n_jobs=1)
        flat = np.asarray(X, float).reshape(len(X), -1)
        X = flat / 255 if flat.max() > 100 else flat
        # It compiles what it needs, which is another search beyond 4,096 rows.
        UMAP(n_components=8, random_state=0, n_jobs=1).fit(X[:4500]).transform(X[:50])
    else:
        from sklearn_mi import MIRepresentationLearner

        given = {} if effort == "normal" else {"effort": effort}
        model = MIRepresentationLearner(random_state=0, n_threads=1, **given)
        MIRepresentationLearner(max_steps=2, random_state=0).fit(warm_up)
    if who == "before" and how.steps_before:
        return from_a_tenth(model, X, how.steps_before)
    if how.begins:
        model.set_params(callbacks=[Begins()])
    start = time.process_time()
    with suppress(Began):
        model.fit(X)
    fit = time.process_time() - start
    if not how.begins:
        model.transform(X[: len(X) // 4])
    return {
        "fit s": fit,
        "transform s": time.process_time() - start - fit,
        "steps": getattr(model, "n_iter_", None),
    }


def from_a_tenth(model: Any, X: Any, steps: int) -> dict[str, Any]:
    """Return the seconds of a fit of so many steps from those of one step and of a tenth."""
    seconds = []
    for n in (1, steps // 10):
        start = time.process_time()
        model.set_params(max_steps=n).fit(X)
        seconds.append(time.process_time() - start)
    each = (seconds[1] - seconds[0]) / (steps // 10 - 1)
    return {"fit s": seconds[0] + each * (steps - 1), "transform s": np.nan, "steps": steps}


def run(task: str, who: str, effort: str, before: Path) -> dict[str, Any]:
    """Return the same from a process of its own, by one of the two packages."""
    package = before if who == "before" else HERE.parent
    known = {**os.environ, "PYTHONPATH": f"{package}:{HERE}", "OMP_NUM_THREADS": "1"}
    asked = [sys.executable, __file__, "--one", task, who, effort]
    out = subprocess.run(asked, env=known, capture_output=True, text=True, check=True).stdout
    return {"task": task, "who": who, "effort": effort, **json.loads(out.splitlines()[-1])}


def commit_of(folder: Path) -> str:
    asked = ["git", "-C", str(folder), "log", "-1", "--format=%h"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def report(path: Path) -> str:
    """Write and return medians over rounds, and their ratio to the commit before."""
    # A commit may look like a number.
    found = pd.read_csv(path, dtype={"commit": str, "before": str})
    columns = ["fit s", "transform s", "steps"]
    table = found.groupby(["task", "who", "effort"], sort=False)[columns].median()
    base = table["fit s"].xs("before", level="who").droplevel("effort")
    tasks = table.index.get_level_values("task")
    table["ratio"] = table["fit s"] / base.reindex(tasks).to_numpy()
    facts = f"Before: {found['before'].iloc[-1]}; now: {', '.join(found['commit'].unique())}. "
    text = facts + versions(("torch", "scikit-learn", "umap-learn", "faiss-cpu"))
    text = f"{text}\n\n{table.round({'fit s': 2, 'transform s': 2, 'ratio': 3}).to_string()}\n"
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, help="a worktree of the earlier commit")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names of tasks")
    parser.add_argument("--one", nargs=3, help="a task, who and the effort; used by this script")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(*asked.one)))
        return
    path = RESULTS / "before_after.csv"
    for task, how in TASKS.items():
        if not any(part in task for part in asked.only):
            continue
        runners = [("before", "normal"), *(("now", effort) for effort in how.efforts)]
        if how.umap and find_spec("umap"):
            runners.append(("UMAP 8", "normal"))
        for number in range(how.rounds):
            for who, effort in runners:
                row = run(task, who, effort, asked.before.resolve())
                row |= {
                    "round": number,
                    "before": commit_of(asked.before),
                    "commit": package_commit(),
                }
                pd.DataFrame([row]).to_csv(path, mode="a", header=not path.exists(), index=False)
                print(row, flush=True)
        report(path)
    print(report(path))


if __name__ == "__main__":
    main()
