"""View x critic x objective: what each combination is worth at 1, 5 and all labels a class.

``python benchmarks/ablation.py digits`` or ``mnist`` adds to
``benchmarks/results/ablation_<data>.csv``, a fold of everything before the next one, skips what is
there, and prints and writes the table. Digits: five folds. MNIST: 10,000 training rows in two
folds; its test rows are not read. Six draws of labels, one seed; a perceptron with two hidden
layers of 256 and few steps, so that it is done in an hour or two.
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
from sklearn_mi.training import NonFiniteLossError
from sklearn_mi.views import Corruption, GaussianNoise

KEYS = ["name", "fold", "probe", "scale", "labels_per_class"]
NUMBERS = ["n_labelled", "n_train", "n_test", "accuracy"]
COLUMNS = [*KEYS, *NUMBERS]
RESULTS = Path(__file__).parent / "results"
STEPS = {"digits": 600, "mnist": 1000}
FOLDS = {"digits": 5, "mnist": 2}
MNIST_ROWS = 10_000
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


SETTINGS = {
    f"{view}, {critic}, {objective}": Setting(view, critic, objective)
    for view, critic in product(VIEWS, CRITICS)
    for objective in (("infonce", "each-part") if critic == "cauchy-cosine" else OBJECTIVES)
}


def rows_of(data: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images between 0 and 1."""
    if data == "digits":
        X, y = load_digits(return_X_y=True)
        return (X / 16).reshape(-1, 8, 8).astype(np.float32), y
    X, y, _, _ = fetch_mnist()
    return X[:MNIST_ROWS], y[:MNIST_ROWS]


def run(name: str, fold: int, data: str) -> pd.DataFrame:
    """Return accuracies of one fold, means over draws of labels; a line without, if it diverged."""
    try:
        table = compare(
            {name: SETTINGS[name].learner(data)},
            *rows_of(data),
            labels_per_class=(1, 5, None),
            n_folds=FOLDS[data],
            only_folds=[fold],
            n_draws=6,
            scales=("common",),
        )
    except NonFiniteLossError:
        return pd.DataFrame(columns=COLUMNS, data=[{"name": name, "fold": fold}])
    return pd.DataFrame(table.groupby(KEYS, sort=False)[NUMBERS].mean()).reset_index()


def report(path: Path) -> str:
    """Write and return accuracies of all combinations, and means of each single choice."""
    every = pd.read_csv(path)
    table = every.dropna(subset="accuracy")
    found = summarise(table)
    names = pd.DataFrame([SETTINGS[name]._asdict() for name in found["name"]])
    found = pd.concat([found, names], axis=1)
    n_folds = table["fold"].nunique()
    head = f"Accuracy, folds done: {n_folds}."
    if n_folds > 1:
        half = (found["high"] - found["mean"]).groupby(found["labels_per_class"]).median()
        widths = ", ".join(f"{value:.3f}" for value in half)
        head += f" Median half interval of 95 % at 1, 5 and all labels: {widths}."
    diverged = every[every["accuracy"].isna()]
    for name, fold in zip(diverged["name"], diverged["fold"], strict=True):
        head += f"\nDiverged, and left out: {name}, fold {fold}."
    parts = [head]
    columns = ["probe", "labels_per_class"]
    for index in (list(Setting._fields), *Setting._fields):
        means = found.pivot_table("mean", index, columns, sort=False)
        parts.append(means.round(3).to_string())
    text = "\n\n".join(parts) + "\n"
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return text


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else "digits"
    path = RESULTS / f"ablation_{data}.csv"
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["name", "fold"])
    known = set(done[["name", "fold"]].itertuples(index=False, name=None))
    for fold, name in product(range(FOLDS[data]), SETTINGS):
        if (name, fold) not in known:
            rows = run(name, fold, data)
            rows.to_csv(path, mode="a", header=not path.exists(), index=False)
            report(path)
    print(report(path))


if __name__ == "__main__":
    main()
