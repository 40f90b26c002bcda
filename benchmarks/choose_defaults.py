"""The settings that the default was chosen among: digits, and the training part of MNIST.

``python benchmarks/choose_defaults.py digits`` or ``mnist`` adds to
``benchmarks/results/choose_defaults_<data>.csv``, skips what is there, and prints the means.
Digits: five folds, six draws of labels. MNIST: one split of the 60,000 training rows, 10,000 of
them to test on; the test rows of MNIST are not read.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import load_digits

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.critics import Cosine, Split
from sklearn_mi.datasets import fetch_mnist
from sklearn_mi.encoders import MLP
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.objectives import EachPart
from sklearn_mi.views import Neighbors

RESULTS = Path(__file__).parent / "results"
WIDE = MLP(hidden=(512, 512), activation="gelu")


def halves(*critics: Any, **params: Any) -> dict[str, Any]:
    """Return a code of parts, each with a critic and an InfoNCE of its own."""
    critic = Split(critics or ("cauchy", Cosine(temperature=0.5)))
    made = {"critic": critic, "objective": EachPart(), "n_components": 64, "max_steps": 1200}
    return {**made, **params}


def with_temperature(temperature: float, **params: Any) -> dict[str, Any]:
    return halves("cauchy", Cosine(temperature=temperature), **params)


FALLING = {"lr": 3e-3, "schedule": "cosine"}
CAUCHY = {"critic": "cauchy", "objective": "infonce", "n_components": 32}
DIGITS = {
    "Cauchy, 600 steps": {**CAUCHY, "max_steps": 600},
    "Cauchy, 1,200 steps": {**CAUCHY, "max_steps": 1200},
    "two halves": halves(),
    "two halves, one InfoNCE": halves(objective="infonce"),
    "two halves, 2,400 steps": halves(max_steps=2400),
    "two halves, falling rate": halves(**FALLING),
    "two halves, temperature 1": with_temperature(1.0),
    "two halves, temperature .3": with_temperature(0.3),
    "two halves, hidden 512": halves(encoder=WIDE),
    "two halves, hidden 512, temperature 1, falling rate": with_temperature(
        1.0, encoder=WIDE, **FALLING
    ),
    "two halves, 5 neighbours": halves(view=Neighbors(5)),
    "two halves, 10 neighbours": halves(view=Neighbors(10)),
    "two halves, batches of 512": halves(batch_size=512),
    "three parts": halves(
        "cauchy", Cosine(temperature=0.5), Cosine(temperature=0.2), n_components=96
    ),
    "four parts": halves(*["cauchy"] * 2, *[Cosine(temperature=0.5)] * 2, n_components=128),
}
LONG: dict[str, Any] = {**FALLING, "max_steps": 4800}
MNIST = {
    "neighbours, 1,200 steps": halves(view="neighbors", **FALLING),
    "neighbours": halves(view="neighbors", **LONG),
    "15 neighbours": halves(view=Neighbors(15), **LONG),
    "moved": halves(view="moved-neighbors", **LONG),
    "moved, temperature 1": with_temperature(1.0, view="moved-neighbors", **LONG),
    "moved, hidden 512": halves(view="moved-neighbors", encoder=WIDE, **LONG),
    "moved, hidden 512, temperature 1": with_temperature(
        1.0, view="moved-neighbors", encoder=WIDE, **LONG
    ),
}


def run(data: str, params: dict[str, Any], name: str) -> pd.DataFrame:
    learner = MIRepresentationLearner(**params, random_state=0, n_threads=1)
    start = time.perf_counter()
    if data == "digits":
        table = compare({name: learner}, *load_digits(return_X_y=True), n_draws=6, random_state=0)
    else:
        X, y, _, _ = fetch_mnist()
        # One fold of six: 50,000 rows to train on, 10,000 to test on.
        table = compare(
            {name: learner}, X, y, n_folds=6, only_folds=[0], n_draws=10, random_state=0
        )
    return summarise(table).assign(seconds=round(time.perf_counter() - start, 1))


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else "digits"
    path = RESULTS / f"choose_defaults_{data}.csv"
    known = set(pd.read_csv(path)["name"]) if path.exists() else set()
    for name, params in {"digits": DIGITS, "mnist": MNIST}[data].items():
        if name not in known:
            rows = run(data, params, name)
            rows.to_csv(path, mode="a", header=not path.exists(), index=False)
    table = pd.read_csv(path).pivot_table("mean", "name", ["probe", "labels_per_class"], sort=False)
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
