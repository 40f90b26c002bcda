"""Accuracy against CPU seconds: how long a training of ours and of the peers must last.

``.venv-peers/bin/python benchmarks/time_to_accuracy.py --jobs 2`` trains everyone for several
lengths on folds of digits and of MNIST, adds what is missing to ``time_to_accuracy.csv`` under
``benchmarks/results/speed``, and draws ``time_to_accuracy.png``. Where no lengths have been run, as
of CIFAR10, it shows the points of `features.py`. Seconds are the processor's, of fit and transform
of the test rows, one thread; accuracy is the mean over 1, 5 and 20 labels a class, readout and
folds as in `features.py`.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_data import DATA, SCALES, own_folds, package_commit
from contestants import CONTESTANTS, OURS, Unsupervised, prepared
from features import RESULTS as FEATURES
from features import Timed, chosen_settings, rows_of
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator

from sklearn_mi.evaluation import compare

RESULTS = Path(__file__).resolve().parent / "results" / "speed"
LABELS = (1, 5, 20)
FOLDS = {"digits": (0, 1, 2), "mnist": (0,)}


class OfTorchDR(BaseEstimator):
    """UMAP of TorchDR, which wants the rows that it was fitted on beside the new ones."""

    def __init__(self, max_iter: int, random_state: int):
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: None = None) -> Any:
        from torchdr import UMAP

        self.umap_ = UMAP(
            n_neighbors=15,
            n_components=8,
            max_iter=self.max_iter,
            random_state=self.random_state,
            device="cpu",
        )
        self.known_ = np.ascontiguousarray(X, np.float32)
        self.umap_.fit(self.known_)
        return self

    def transform(self, X: Any) -> np.ndarray:
        new = np.ascontiguousarray(X, np.float32)
        return np.asarray(self.umap_.transform(new, X_train=self.known_))


class Curve(NamedTuple):
    """A contestant, the parameter that says how long it trains, and its values by data."""

    name: str
    parameter: str | None
    lengths: dict[str, Sequence[Any]]


CURVES = (
    Curve(
        OURS,
        "max_steps",
        {"digits": (50, 100, 200, 400, 800, 1600), "mnist": (150, 300, 600, 1200, 2400)},
    ),
    Curve("UMAP 8", "n_epochs", {"digits": (20, 100, 500), "mnist": (20, 100, 200)}),
    Curve("UMAP of TorchDR", "max_iter", {"digits": (50, 200, 500)}),
    Curve("CEBRA", "max_iterations", {"digits": (300, 1000, 3000)}),
    Curve("LabelSpreading", None, {"digits": (None,), "mnist": (None,)}),
    Curve("PCA", None, {"digits": (None,), "mnist": (None,)}),
)


def torchdr(data: Any, seed: int, max_iter: int) -> Any:
    return prepared(data, Unsupervised(OfTorchDR(max_iter, seed)))


def made(curve: Curve, data: str, length: Any, seed: int) -> Any:
    if curve.name == "UMAP of TorchDR":
        return torchdr(DATA[data], seed, length)
    contestant = CONTESTANTS[curve.name]
    settings = chosen_settings(FEATURES).get(curve.name, contestant.usual)
    estimator = contestant.make(DATA[data], seed, **settings)
    if curve.parameter is None:
        return estimator
    names = [n for n in estimator.get_params() if n.split("__")[-1] == curve.parameter]
    return estimator.set_params(**dict.fromkeys(names, length))


def cell(curve: Curve, data: str, length: Any, fold: int) -> dict[str, Any]:
    """Return accuracy and seconds of one training."""
    X, y, unseen = rows_of(data, None)
    timed = {curve.name: Timed(made(curve, data, length, 0))}
    is_classifier = curve.name in CONTESTANTS and CONTESTANTS[curve.name].is_classifier
    n_folds = DATA[data].n_folds
    Timed.seconds.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = compare(
            {} if is_classifier else timed,
            X,
            y,
            classifiers=timed if is_classifier else {},
            labels_per_class=LABELS,
            n_folds=n_folds,
            n_draws=5,
            cv=own_folds(y, unseen, n_folds, 0),
            probes=("best",),
            scales=SCALES,
            only_folds=[fold],
            random_state=0,
        )
    by_labels = table.groupby("labels_per_class")["accuracy"].mean()
    return {
        "data": data,
        "name": curve.name,
        "length": length,
        "fold": fold,
        "seconds": np.mean(Timed.seconds["fit"]) + Timed.seconds["transform"][-1],
        **{f"at {n:g}": value for n, value in by_labels.items()},
        "accuracy": by_labels.mean(),
        "commit": package_commit(),
    }


def of_features(data: str) -> pd.DataFrame:
    """Return points of a data set that stand in the table of `features.py`."""
    found = pd.read_csv(FEATURES / "features.csv")
    found = found[(found["data"] == data) & found["labels_per_class"].isin(LABELS)]
    found = found.groupby("name", sort=False)
    seconds = found["fit_seconds"].first() + found["transform_seconds"].first()
    return pd.DataFrame({"seconds": seconds, "accuracy": found["mean"].mean()}).reset_index()


def draw(found: pd.DataFrame, path: Path) -> None:
    """Draw a panel for each data set, seconds on a logarithmic axis."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), constrained_layout=True)
    colours = ["#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#009E73", "#666666"]
    for ax, data, title in zip(
        axes, ("digits", "mnist", "cifar10"), ("digits", "MNIST", "CIFAR10"), strict=True
    ):
        ax.set(xscale="log", xlabel="CPU seconds of fit and transform", title=title)
        # What has no lengths of its own yet shows the points of `features.py`.
        if data not in set(found["data"]):
            _draw_points(ax, of_features(data), colours)
            continue
        means = found[found["data"] == data].groupby(["name", "length"], dropna=False, sort=False)
        points = means[["seconds", "accuracy"]].mean().reset_index()
        for curve, colour in zip(CURVES, colours, strict=True):
            mine = points[points["name"] == curve.name].sort_values("seconds")
            if len(mine):
                is_ours = curve.name == OURS
                label = "ours" if is_ours else curve.name
                ax.plot(mine["seconds"], mine["accuracy"], "o-", color=colour, label=label,
                        lw=2.5 if is_ours else 1.2, ms=4)  # fmt: skip
        ax.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel("accuracy, mean over\n1, 5 and 20 labels a class")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_points(ax: Any, points: pd.DataFrame, colours: list[str]) -> None:
    points = points.assign(name=points["name"].replace(f"{OURS}, 1759d58", "ours at 1759d58"))
    ours = points[points["name"].str.startswith(OURS)].sort_values("seconds")
    ax.plot(ours["seconds"], ours["accuracy"], "o-", color=colours[0], lw=2.5, ms=4, label="ours")
    others = points[~points["name"].isin(ours["name"]) & (points["seconds"] > 1)]
    for colour, row in zip(colours[1:], others.itertuples(), strict=False):
        ax.plot(row.seconds, row.accuracy, "o", color=colour, ms=5, label=row.name)
    ax.legend(frameon=False, fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", nargs="+", default=list(FOLDS), choices=list(FOLDS))
    asked = parser.parse_args()
    path = RESULTS / "time_to_accuracy.csv"
    keys = ["data", "name", "length", "fold"]
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=keys)
    done = {tuple(map(str, row)) for row in known[keys].itertuples(index=False)}
    calls: list[Callable[[], dict[str, Any]]] = [
        delayed(cell)(curve, data, length, fold)
        for data in asked.data
        for curve in CURVES
        for length in curve.lengths.get(data, ())
        for fold in FOLDS[data]
        if not {(data, curve.name, text, str(fold)) for text in _texts(length)} & done
    ]
    for row in Parallel(asked.jobs, return_as="generator_unordered", batch_size=1)(calls):
        pd.DataFrame([row]).to_csv(path, mode="a", header=not path.exists(), index=False)
        print(row, flush=True)
    draw(pd.read_csv(path), path.with_suffix(".png"))


def _texts(length: Any) -> set[str]:
    """Return how pandas may write a length."""
    return {"nan", "None"} if length is None else {str(length), str(float(length))}


if __name__ == "__main__":
    main()
