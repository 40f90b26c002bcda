"""Partners found in two wide tables that share four latents: ours beside CCA, PLS and cca-zoo.

``python benchmarks/wide_pairs.py`` draws 700 rows of 2,000 and of 300 columns, Gaussian and counts
(`make_two_omics`), for each of ``--seeds``. Models are fitted to 500 rows, and look for the
partners of the other 200 among these 200. Ours takes the tables as they are, by default. All others
get columns of mean 0 and variance 1, of counts their logarithms, and four components, as many as
there are shared latents, or the number in their name. It writes ``wide_pairs.csv`` to
the folder ``--out``, with commit, versions and machine, and prints means over seeds.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_data import package_commit, versions
from features_report import machine
from sklearn.base import BaseEstimator, clone
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_two_omics
from sklearn_mi.evaluation import compare_pairs

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy", "cca-zoo")
SEEDS = (0, 1, 2)
N_TEST = 200
N_SHARED = 4
MEASURES = ("recall@1", "recall@10", "matching", "latent_r2", "latent_r2_pair", "n_shared")


class Prepared(BaseEstimator):
    """A model of two tables behind the usual scaling, and principal components if asked for."""

    def __init__(self, model: Any, counts: bool = False, n_components: int | None = None) -> None:
        self.model = model
        self.counts = counts
        self.n_components = n_components

    def fit(self, X: np.ndarray, Y: np.ndarray) -> "Prepared":
        logs = [FunctionTransformer(np.log1p)] if self.counts else []
        reduced = [PCA(self.n_components, random_state=0)] if self.n_components else []
        steps = make_pipeline(*logs, StandardScaler(), *reduced)
        self.steps_ = clone(steps).fit(X), clone(steps).fit(Y)
        self.model_ = clone(self.model).fit(*self._prepared(X, Y))
        return self

    def transform(self, X: np.ndarray, Y: np.ndarray) -> Any:
        return self.model_.transform(*self._prepared(X, Y))

    def _prepared(self, *tables: np.ndarray) -> list[np.ndarray]:
        return [step.transform(table) for step, table in zip(self.steps_, tables, strict=True)]


# What cca-zoo has for wide tables: its name here, the class, and parameters.
ZOO: dict[str, tuple[str, dict[str, Any]]] = {
    "ridge .5": ("RidgeCCA", {"shrinkage": 0.5}),
    "ridge .9": ("RidgeCCA", {"shrinkage": 0.9}),
    "PLS": ("PLS", {}),
    "Ledoit-Wolf": ("ECCA", {"ledoit_wolf": True}),
}


class Zoo(BaseEstimator):
    """A model of cca-zoo, which takes both tables as one argument."""

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        self.name = name
        self.parameters = parameters

    def fit(self, X: np.ndarray, Y: np.ndarray) -> "Zoo":
        from cca_zoo import linear

        self.model_ = getattr(linear, self.name)(**self.parameters).fit([X, Y])
        return self

    def transform(self, X: np.ndarray, Y: np.ndarray) -> Any:
        return self.model_.transform([X, Y])


def models(seed: int, counts: bool) -> dict[str, Any]:
    """Return who takes part."""
    made = {
        "CCA, 4": Prepared(CCA(N_SHARED, max_iter=5000), counts),
        "CCA, 4, of 20 PCA": Prepared(CCA(N_SHARED, max_iter=5000), counts, 20),
        "PLS, 4": Prepared(PLSCanonical(N_SHARED, max_iter=5000), counts),
        "PLS, 10": Prepared(PLSCanonical(10, max_iter=5000), counts),
    }
    if find_spec("cca_zoo"):
        for label, (name, own) in ZOO.items():
            model = Zoo(name, {"n_components": N_SHARED, **own})
            made[f"cca-zoo {label}, 4"] = Prepared(model, counts)
    return {"sklearn-mi": MIRepresentationLearner(random_state=seed), **made}


def measured(seed: int, counts: bool) -> pd.DataFrame:
    """Return a row for each model on one draw."""
    X, Y, shared = make_two_omics(n_shared=N_SHARED, counts=counts, random_state=seed)
    split = ShuffleSplit(1, test_size=N_TEST, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = compare_pairs(models(seed, counts), X, Y, latents=shared, cv=split)
    return table.drop(columns="fold").assign(data="counts" if counts else "Gaussian", seed=seed)


def main(arguments: list[str] | None = None) -> None:
    """Fit all, write the table, and print means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    table = pd.concat([measured(s, c) for c in (False, True) for s in asked.seeds])
    facts = {"commit": package_commit(), "versions": versions(PACKAGES), "machine": machine()}
    asked.out.mkdir(parents=True, exist_ok=True)
    table.assign(**facts).round(5).to_csv(asked.out / "wide_pairs.csv", index=False)
    means = table.groupby(["data", "name"], sort=False)[[*MEASURES, "fit_seconds"]].mean()
    print(means.round(3).to_string())


if __name__ == "__main__":
    main()
