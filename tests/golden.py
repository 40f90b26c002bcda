"""Results that must last: written once, compared by tests/test_golden.py with every release.

``python tests/golden.py --write`` writes them; CONTRIBUTING.md says when that is allowed.
"""

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import sklearn
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.feature_extraction.text import TfidfVectorizer

import sklearn_mi
from sklearn_mi import MIEstimator, MIRepresentationLearner
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.critics import CRITICS
from sklearn_mi.information import neighbors_mi
from sklearn_mi.objectives import OBJECTIVES, as_objective
from sklearn_mi.runtime import own_randomness

FILE = Path(__file__).parent / "golden.json"
COMMAND = "python tests/golden.py --write"
# Of codes relative to their root mean square: a release may round sums otherwise, and training
# carries that on for a few steps; torch 2.6 and 2.14 differ by 3e-6. Formulas are in double
# precision, without training.
TOLERANCES = {"codes": 1e-4, "formulas": 1e-9, "information": 1e-6}


def rng(seed=0):
    return np.random.default_rng(seed)


WORDS = [
    "rain",
    "sun",
    "wind",
    "snow",
    "cloud",
    "storm",
    "price",
    "market",
    "share",
    "bank",
    "trade",
    "profit",
    "goal",
    "match",
    "team",
]


def texts():
    documents = [" ".join(rng(i).choice(WORDS[i % 2 * 8 :][:8], 12)) for i in range(60)]
    return TfidfVectorizer().fit_transform(documents)


def mixed():
    wine = load_wine(as_frame=True).data.iloc[:, :4]
    colour = np.where(wine["alcohol"] > 13, "red", "white")
    return wine.assign(colour=colour, malic_acid=wine["malic_acid"].where(wine["ash"] < 2.6))


def recordings():
    phase = rng(1).uniform(0, 6, size=(40, 1, 1))
    steps = np.arange(24)[:, None] * np.array([0.3, 0.5])
    return np.sin(steps + phase) + 0.3 * rng(2).normal(size=(40, 24, 2))


def colours():
    means = rng(3).uniform(size=(40, 1, 1, 3))
    return np.clip(means + 0.2 * rng(4).normal(size=(40, 12, 12, 3)), 0, 1).astype(np.float32)


def grey():
    images = load_digits().images[:120]
    # Pixels are whole numbers, and no library promises which of equally close rows it takes.
    return (images + 0.01 * rng(8).normal(size=images.shape)).astype(np.float32)


def halves():
    rows = load_digits().data[:150]
    return {"X": rows[:, :32], "X_pair": rows[:, 32:]}


# Each kind of data by its own defaults, for a few steps.
DATA = {
    "table": lambda: {"X": load_wine().data},
    "mixed table": lambda: {"X": mixed()},
    "grey images": lambda: {"X": grey()},
    "colour images": lambda: {"X": colours()},
    "pairs": halves,
    "recordings": lambda: {"X": recordings()},
    "texts": lambda: {"X": texts()},
}


def codes(name):
    """Return numbers that tell codes: of some rows along some directions, and their sizes.

    Codes are centred: to critics that compare by distances their mean is nothing, so the gradient
    of the last bias is 0 but for rounding, which Adam makes steps of.
    """
    given = DATA[name]()
    learner = MIRepresentationLearner(
        4, max_steps=5, precision="float32", device="cpu", n_threads=1, random_state=0
    ).fit(**given)
    Z = np.asarray(learner.transform(given["X"]), float)
    Z -= Z.mean(axis=0)
    size = float(np.sqrt((Z**2).mean()))
    directions = rng(5).normal(size=(Z.shape[1], 3)) / np.sqrt(Z.shape[1])
    rows = np.linspace(0, len(Z) - 1, 6).astype(int)
    return {"rms": size, "along": (Z[rows] @ directions / size).ravel().tolist()}


def some_codes():
    generator = rng(6)
    first = generator.normal(size=(12, 4))
    second = 0.6 * first + 0.8 * generator.normal(size=(12, 4))
    return torch.tensor(first), torch.tensor(second)


def formula(name):
    """Return the value of a bound or objective on fixed codes, scored by inner products."""
    x, y = some_codes()
    objective = as_objective(name)
    with own_randomness(0):
        # A trained part starts where a stream of torch's says.
        built = objective.build(4, 4) if hasattr(objective, "build") else objective
        if isinstance(built, torch.nn.Module):
            built = built.double()
        in_parts = CRITICS["cauchy-cosine"]().build(4, 4).double()
        critic = in_parts if name == "each-part" else lambda a, b: a @ b.T
        return built(Codes(x, y, critic, x=x, x_prime=y)).item()


def tables():
    generator = rng(7)
    X = generator.normal(size=(200, 2))
    return X, 0.7 * X + 0.5 * generator.normal(size=(200, 2))


def closed_form():
    X, Y = tables()
    return MIEstimator("closed-form", n_folds=3, split_test=False, random_state=0).fit(X, Y).mi_


INFORMATION = {
    "closed form": lambda: float(closed_form().value),
    "ksg": lambda: float(neighbors_mi(*tables()).mean()),
}


def versions():
    modules = {"numpy": np, "scipy": scipy, "pandas": pd, "scikit-learn": sklearn, "torch": torch}
    found = {name: module.__version__ for name, module in modules.items()}
    return {**found, "python": platform.python_version(), "sklearn-mi": sklearn_mi.__version__}


def everything():
    return {
        "command": COMMAND,
        "versions": versions(),
        "codes": {name: codes(name) for name in DATA},
        "formulas": {name: formula(name) for name in sorted({**BOUNDS, **OBJECTIVES})},
        "information": {name: make() for name, make in INFORMATION.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    FILE.write_text(json.dumps(everything(), indent=1) + "\n")
