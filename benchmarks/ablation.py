"""View x critic x objective: what each combination is worth at 1, 5 and all labels a class.

``python benchmarks/ablation.py digits`` or ``mnist`` adds to
``benchmarks/results/ablation_<data>.csv``, skips what is there, and prints and writes the table.
Digits: three of five folds, six draws of labels. MNIST: 5,000 training rows to learn from, 5,000
others to test on, six draws; its test rows are not read. One seed; a perceptron with two hidden
layers of 256 and few steps, so that all of it is done in half an hour.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import sys
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.critics import Cosine
from sklearn_mi.datasets import fetch_mnist
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.views import Corruption, GaussianNoise

RESULTS = Path(__file__).parent / "results"
STEPS = {"digits": 600, "mnist": 1000}
VIEWS = {
    "neighbors": "neighbors",
    "moved-neighbors": "moved-neighbors",
    "affine": "affine",
    "halves": "halves",
    "noise .3": GaussianNoise(0.3),
    "corruption .4": Corruption(0.4),
}
CRITICS = {
    "cauchy": "cauchy",
    "cosine 1": Cosine(temperature=1.0),
    "bilinear": "bilinear",
    "cauchy-cosine": "cauchy-cosine",
}
OBJECTIVES = ("infonce", "js", "nwj")


class Setting(NamedTuple):
    """One combination, by its names."""

    view: str
    critic: str
    objective: str

    def learner(self, data: str) -> MIRepresentationLearner:
        return MIRepresentationLearner(
            64,
            view=VIEWS[self.view],
            critic=CRITICS[self.critic],
            objective=self.objective,
            encoder="gelu-mlp",
            max_steps=STEPS[data],
            lr=3e-3,
            schedule="cosine",
            random_state=0,
            n_threads=1,
        )


SETTINGS = [
    Setting(view, critic, objective)
    for view, critic in product(VIEWS, CRITICS)
    for objective in (("infonce", "each-part") if critic == "cauchy-cosine" else OBJECTIVES)
]


def rows_of(data: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images between 0 and 1."""
    if data == "digits":
        X, y = load_digits(return_X_y=True)
        return (X / 16).reshape(-1, 8, 8).astype(np.float32), y
    X, y, _, _ = fetch_mnist()
    return X[:10_000], y[:10_000]


def run(setting: Setting, data: str) -> pd.DataFrame:
    folds = {"digits": (5, [0, 1, 2]), "mnist": (2, [0])}[data]
    table = compare(
        {"/".join(setting): setting.learner(data)},
        *rows_of(data),
        labels_per_class=(1, 5, None),
        n_folds=folds[0],
        only_folds=folds[1],
        n_draws=6,
        scales=("common",),
    )
    return summarise(table).drop(columns="name").assign(**setting._asdict())


def report(table: pd.DataFrame) -> str:
    """Return accuracies of all combinations, and means over the others for each single choice."""
    columns = ["probe", "labels_per_class"]
    whole = table.pivot_table("mean", list(Setting._fields), columns, sort=False)
    parts = [whole.round(3).to_string()]
    for name in Setting._fields:
        means = table.pivot_table("mean", name, columns, sort=False)
        parts.append(means.round(3).to_string())
    return "\n\n".join(parts) + "\n"


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else "digits"
    path = RESULTS / f"ablation_{data}.csv"
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(Setting._fields))
    known = set(done[list(Setting._fields)].itertuples(index=False, name=None))
    for setting in SETTINGS:
        if tuple(setting) not in known:
            rows = run(setting, data)
            rows.to_csv(path, mode="a", header=not path.exists(), index=False)
    text = report(pd.read_csv(path))
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
