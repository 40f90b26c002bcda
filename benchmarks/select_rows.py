"""Which rows to label: accuracy with rows that were chosen, beside rows drawn at random.

``python benchmarks/select_rows.py`` adds to ``benchmarks/results/select_rows.csv``, skips what is
there, and prints and writes the table. scikit-learn's digits, five folds for each seed (of folds,
weights, k-means and draws together). Codes are learned from the training rows of a fold, or are the
pixels; of these rows some are chosen by their codes, each method with the same scaling (one
standard deviation for all columns), get their labels, and logistic regression on them classifies
the test rows. Random draws are from all training rows, since whoever labels does not know the
classes yet; their accuracy is a mean over several draws.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import differences, summarise
from sklearn_mi.probes import fitted_scaling, linear_probe
from sklearn_mi.selection import METHODS, select_rows

RESULTS = Path(__file__).parent / "results" / "select_rows.csv"
SEEDS = range(5)
N_FOLDS = 5
N_DRAWS = 20
N_LABELS = (10, 50, 200)
N_CLASSES = 10
SCALE = "common"
RANDOM = "random draws"
CODES = {
    "MIRepresentationLearner": lambda seed: MIRepresentationLearner(
        input_shape=(8, 8), random_state=seed, n_threads=1
    ),
    "raw pixels": lambda seed: None,
}


def chosen_rows(Z: np.ndarray, n: int, seed: int):
    """Yield a method, the number of a draw, and the rows: one choice a method, many at random."""
    for method in METHODS:
        yield method, 0, select_rows(Z, n, method=method, random_state=seed)
    for draw in range(N_DRAWS):
        generator = np.random.default_rng([seed, n, draw])
        yield RANDOM, draw, generator.choice(len(Z), size=n, replace=False)


def run(codes: str, seed: int, fold: int) -> pd.DataFrame:
    """Return the accuracies of one fold, in the columns that `summarise` reads."""
    X, y = load_digits(return_X_y=True)
    splits = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(X, y)
    train, test = list(splits)[fold]
    learner = CODES[codes](seed)
    encode = learner.fit(X[train]).transform if learner else np.asarray
    scaling = fitted_scaling(SCALE, encode(X[train]))
    Z, Z_test = scaling(encode(X[train])), scaling(encode(X[test]))
    cell = {"codes": codes, "seed": seed, "fold": fold, "n_train": len(train), "n_test": len(test)}
    rows = []
    for n in N_LABELS:
        for method, draw, chosen in chosen_rows(Z, n, seed):
            labels = y[train][chosen]
            rows.append(
                {
                    **cell,
                    "name": method,
                    "draw": draw,
                    "probe": "logistic",
                    "scale": SCALE,
                    "labels_per_class": n / N_CLASSES,
                    "n_labelled": n,
                    "n_classes": len(np.unique(labels)),
                    "accuracy": linear_probe(Z[chosen], labels, Z_test, y[test], scale="none"),
                }
            )
    return pd.DataFrame(rows)


def cells_of(found: pd.DataFrame) -> pd.Series:
    """Return ``0.842 ±0.021`` for each method and number of labels."""
    halves = found["high"] - found["mean"]
    text = [f"{mean:.3f} ±{half:.3f}" for mean, half in zip(found["mean"], halves, strict=True)]
    return pd.Series(text, index=pd.MultiIndex.from_frame(found[["name", "n_labelled"]]))


def report(table: pd.DataFrame) -> str:
    """Return, for each kind of codes: accuracies, what choosing gains, and classes found."""
    n_folds = len(table[["seed", "fold"]].drop_duplicates())
    parts = [
        f"Digits, {table['seed'].nunique()} seeds, {n_folds} folds in all, {N_DRAWS} random draws "
        "in each. 95 % intervals: Student's t over\nfolds, widened for their overlap (Nadeau and "
        "Bengio, 2003)."
    ]
    for codes, rows in table.groupby("codes", sort=False):
        counts = rows.pivot_table("n_classes", "name", "n_labelled", sort=False).round(1)
        gains = differences(rows, RANDOM)
        whole = gains["n_labelled"].astype(int)
        tables = {
            f"{codes}: accuracy, by number of labels": summarise(rows).astype({"n_labelled": int}),
            f"{codes}: less random draws": gains.assign(n_labelled=whole),
        }
        parts += [
            f"{head}\n{cells_of(found).unstack(sort=False).to_string()}"
            for head, found in tables.items()
        ]
        parts.append(f"{codes}: classes among the labels\n{counts.to_string()}")
    return "\n\n".join(parts) + "\n"


def main(results: Path = RESULTS) -> None:
    results.parent.mkdir(exist_ok=True)
    keys = ["codes", "seed", "fold"]
    done = pd.read_csv(results) if results.exists() else pd.DataFrame(columns=keys)
    known = set(done[keys].itertuples(index=False, name=None))
    cells = [(c, s, f) for s in SEEDS for c in CODES for f in range(N_FOLDS)]
    todo = [cell for cell in cells if cell not in known]
    jobs = Parallel(n_jobs=-1, return_as="generator")(delayed(run)(*cell) for cell in todo)
    for rows in jobs:
        rows.to_csv(results, mode="a", header=not results.exists(), index=False)
    text = report(pd.read_csv(results))
    results.with_suffix(".txt").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
