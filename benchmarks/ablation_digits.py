"""What each default of the learner is worth: accuracy on digits with one choice changed at a time.

``python benchmarks/ablation_digits.py`` adds to ``benchmarks/results/ablation_digits.csv``, skips
what is there, and prints and writes the table. Five folds, six label draws, two seeds (of folds,
draws and weights together). All of it is one data set: it says little of how the choices rank on
another.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import time
from pathlib import Path

import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.critics import Cosine
from sklearn_mi.encoders import MLP
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.views import Compose, Corruption, GaussianNoise, Halves, Neighbors

RESULTS = Path(__file__).parent / "results" / "ablation_digits.csv"
SEEDS = (0, 1)
CHANGES = {
    "default": {},
    "ReLU": {"encoder": MLP(hidden=(256, 256))},
    "width 128": {"encoder": MLP(hidden=(128, 128), activation="gelu")},
    "width 512": {"encoder": MLP(hidden=(512, 512), activation="gelu")},
    "n_components 16": {"n_components": 16},
    "n_components 64": {"n_components": 64},
    "3 neighbours": {"view": Neighbors(3)},
    "15 neighbours": {"view": Neighbors(15)},
    "halves": {"view": Halves()},
    "noise": {"view": GaussianNoise(0.3)},
    "corruption": {"view": Corruption(0.4)},
    "neighbours, then corruption": {"view": Compose(Neighbors(), Corruption(0.1))},
    "critic bilinear": {"critic": "bilinear"},
    "critic inner": {"critic": "inner"},
    "critic cosine .5": {"critic": Cosine(temperature=0.5)},
    "critic cosine .1": {"critic": Cosine(temperature=0.1)},
    "objective js": {"objective": "js"},
    "objective nwj": {"objective": "nwj"},
    "300 steps": {"max_steps": 300},
    "1200 steps": {"max_steps": 1200},
    "lr 3e-3": {"lr": 3e-3},
    "lr 3e-4": {"lr": 3e-4},
    "batch 128": {"batch_size": 128},
    "batch 512": {"batch_size": 512},
    "cosine schedule": {"schedule": "cosine"},
    "divided by standard deviations": {"standardize": False, "before": StandardScaler()},
    "divided by one number": {
        "standardize": False,
        "before": FunctionTransformer(lambda X: (X - 5) / 6),
    },
}


def learner(change: dict, seed: int):
    change = dict(change)
    before = change.pop("before", None)
    made = MIRepresentationLearner(**change, random_state=seed, n_threads=1)
    return made if before is None else make_pipeline(clone(before), made)


def run(name: str, seed: int) -> pd.DataFrame:
    X, y = load_digits(return_X_y=True)
    start = time.perf_counter()
    table = compare(
        {name: learner(CHANGES[name], seed)}, X, y, n_draws=6, random_state=seed, n_jobs=1
    )
    rows = summarise(table)
    return rows.assign(seed=seed, seconds=round(time.perf_counter() - start, 1))


def main() -> None:
    from joblib import Parallel, delayed

    RESULTS.parent.mkdir(exist_ok=True)
    done = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=["name", "seed"])
    known = set(zip(done["name"], done["seed"], strict=True))
    cells = [(n, s) for s in SEEDS for n in CHANGES if (n, s) not in known]
    jobs = Parallel(n_jobs=os.cpu_count(), return_as="generator")(delayed(run)(*c) for c in cells)
    for rows in jobs:
        rows.to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False)
    table = pd.read_csv(RESULTS)
    logistic = table[table["probe"] == "logistic"]
    means = logistic.pivot_table("mean", "name", "labels_per_class", sort=False).round(3)
    RESULTS.with_suffix(".txt").write_text(means.to_string() + "\n")
    print(means.to_string())


if __name__ == "__main__":
    main()
