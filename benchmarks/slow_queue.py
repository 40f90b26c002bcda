"""What a queue of codes is worth, with and without a slow encoder.

``python benchmarks/slow_queue.py digits`` fits digits by a cosine and a Cauchy critic, and
``python benchmarks/slow_queue.py cifar10`` 2,000 images of CIFAR10 by the default of colour images;
each adds its rows to ``benchmarks/results/slow_queue.csv``: InfoNCE in nats and the accuracy of the
five nearest codes, both on rows that no fit saw.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from bench_data import package_commit, versions
from features_report import machine
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sklearn_mi import MIRepresentationLearner, MIWarning
from sklearn_mi.datasets import fetch_cifar10
from sklearn_mi.negatives import Queue

RESULTS = Path(__file__).resolve().parent / "results" / "slow_queue.csv"
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy")
NEGATIVES: dict[str, Any] = {
    "batch": "batch",
    "queue without momentum": Queue(momentum=None),
    "queue, momentum 0.9": Queue(momentum=0.9),
    "queue, momentum 0.99": Queue(),
    "queue, momentum 0.999": Queue(momentum=0.999),
}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "digits": [
        {"n_components": 32, "critic": critic, "max_steps": 400} for critic in ("cosine", "cauchy")
    ],
    "cifar10": [{"max_steps": 200}],
}


def rows_of(name: str, n_rows: int) -> list[Any]:
    """Return training and test rows, and their labels."""
    X, y = load_digits(return_X_y=True) if name == "digits" else fetch_cifar10()[:2]
    kept = min(n_rows, len(X))
    return train_test_split(X[:kept], y[:kept], test_size=0.3, random_state=0)


def measured(rows: list[Any], **params: Any) -> dict[str, float]:
    """Return bound, accuracy and seconds of one fit."""
    X, X_test, y, y_test = rows
    start = time.perf_counter()
    learner = MIRepresentationLearner(**params).fit(X)
    seconds = time.perf_counter() - start
    probe = KNeighborsClassifier(5).fit(learner.transform(X), y)
    accuracy = probe.score(learner.transform(X_test), y_test)
    return {"nats": learner.score(X_test), "accuracy": accuracy, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=sorted(SETTINGS))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore", MIWarning)
    rows, records = rows_of(wanted.data, wanted.rows), []
    facts = {"commit": package_commit(), "versions": versions(PACKAGES), "machine": machine()}
    for setting in SETTINGS[wanted.data]:
        for name, negatives in NEGATIVES.items():
            for seed in range(wanted.seeds):
                found = measured(rows, negatives=negatives, random_state=seed, **setting)
                critic = setting.get("critic", "auto")
                what = {"data": wanted.data, "critic": critic, "negatives": name, "seed": seed}
                records.append(what | found | facts)
                print(records[-1], flush=True)
    earlier = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame({"data": []})
    others = earlier[earlier["data"] != wanted.data]
    pd.concat([others, pd.DataFrame(records)]).to_csv(RESULTS, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
