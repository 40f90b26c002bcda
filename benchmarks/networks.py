"""Where a network of the steps of recordings passes fixed features: by rows, length and noise.

``python benchmarks/networks.py`` learns from simulated activities
(`sklearn_mi.datasets.make_activities`) without labels, and reads 500 others by logistic regression
with 1 and 5 labels a class, ten draws. The default (`sklearn_mi.front_ends.Blocks`, then a
perceptron) stands beside ``encoder="conv1d"``, ``encoder="gru"`` and ``comparison="cpc"``. Each fit
appends a row to ``networks.csv`` in the folder ``--out``; a killed run goes on where it was.
``networks.txt`` has the means over seeds.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_data import package_commit
from features_report import machine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_activities
from sklearn_mi.front_ends import RecordingFeatures

RESULTS = Path(__file__).resolve().parent / "results" / "networks"
# Recordings to learn from, their steps, and the noise.
DATA = ((200, 100, 2.0), (1000, 100, 2.0), (4000, 100, 2.0), (1000, 400, 2.0), (1000, 100, 4.0))
WAYS: dict[str, Any] = {
    "default": lambda seed: MIRepresentationLearner(random_state=seed),
    "front end alone": lambda seed: RecordingFeatures(random_state=seed),
    "conv1d": lambda seed: MIRepresentationLearner(encoder="conv1d", random_state=seed),
    "gru": lambda seed: MIRepresentationLearner(encoder="gru", random_state=seed),
    "cpc": lambda seed: MIRepresentationLearner(comparison="cpc", random_state=seed),
}
N_TEST, N_DRAWS, LABELS = 500, 10, (1, 5)
KEYS = ["n", "n_steps", "noise", "way", "seed"]


def measured(n: int, n_steps: int, noise: float, way: str, seed: int) -> dict[str, Any]:
    """Return the accuracies of one fit, and its seconds."""
    X, y = make_activities(n + N_TEST, n_steps, noise=noise, random_state=seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = WAYS[way](seed).fit(X[:n])
        seconds = time.perf_counter() - start
        Z = fitted.transform(X)
    Z = StandardScaler().fit(Z[:n]).transform(Z)
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for labels, _ in product(LABELS, range(N_DRAWS)):
        few = np.concatenate([rng.permutation(np.flatnonzero(y[:n] == c))[:labels] for c in set(y)])
        probe = LogisticRegression(max_iter=1000).fit(Z[few], y[few])
        found.setdefault(f"accuracy_{labels}", []).append(probe.score(Z[n:], y[n:]))
    means = {name: round(float(np.mean(values)), 4) for name, values in found.items()}
    key = dict(zip(KEYS, (n, n_steps, noise, way, seed), strict=True))
    return {**key, **means, "fit_seconds": round(seconds, 2), "commit": package_commit()}


def report(table: pd.DataFrame) -> str:
    """Return means over seeds as text."""
    groups = table.groupby(KEYS[:-1], sort=False)
    means = groups[["accuracy_1", "accuracy_5", "fit_seconds"]].mean().round(3)
    shown = means.assign(seeds=groups.size()).to_string()
    return f"{machine()}; means of {N_DRAWS} draws of labels\n\n{shown}\n"


def main(arguments: list[str] | None = None) -> None:
    """Compute what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "networks.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEYS)
    for seed, data, way in product(asked.seeds, DATA, asked.only):
        key = (*data, way, seed)
        if key not in set(table[KEYS].itertuples(index=False, name=None)):
            row = pd.DataFrame([measured(*data, way, seed)])
            table = row if table.empty else pd.concat([table, row], ignore_index=True)
            table.to_csv(path, index=False)
            (asked.out / "networks.txt").write_text(report(table), encoding="utf-8")
            print(row.to_string(index=False, header=False), flush=True)


if __name__ == "__main__":
    main()
