"""What other packages say of the tasks of `information_tasks.py` that have known information.

``PYTHONPATH=. python benchmarks/information_peers.py`` in an environment
of their own (``requirements-information.txt``) takes the peers that are installed, with their
default settings and on the very same samples, and appends a line for each to ``peers.jsonl``; the
report of `information_tasks.py` puts them beside ours. What was killed goes on. ``--tasks mnist-2
--only "bmi InfoNCE" --out benchmarks/results/information/images`` takes the pairs of images of
`information_images.py`, flat, by 10,000 rows. There a network of bmi multiplies its first weights
with each row once, not once for each pair: the same function, in minutes and not in hours.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import json
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from information_report import BESIDE_PEERS, LEVELS, ROTATED, read_cells

from sklearn_mi.datasets import (
    ImagePairs,
    KnownPairs,
    beyond_normal,
    gaussian_staircase,
    image_pairs,
)

OUT = Path(__file__).resolve().parent / "results" / "information"
N_SAMPLES, N_IMAGES = 5000, 10_000
IMAGES = {
    f"{images}-{level}": (images, level, n_tiles)
    for images in ("mnist", "cifar10")
    for level, n_tiles in ((2, 10), (4, 10), (6, 10), (8, 12))
}
SEEDS = (0, 1, 2, 3, 4)
WIDE = 1000

Estimate = Callable[[np.ndarray, np.ndarray, int], float]


@lru_cache(maxsize=1)
def tasks() -> dict[str, KnownPairs]:
    """Return what is estimated, by name."""
    stairs = {step.name: step for step in gaussian_staircase(LEVELS, map="rotated cubic")}
    every = beyond_normal() | stairs
    return {name: every[name] for name in (*BESIDE_PEERS, *ROTATED)}


def sample(task: str, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a sample, images as flat rows, and its information."""
    pairs: KnownPairs | ImagePairs
    if task not in IMAGES:
        pairs = tasks()[task]
        return *pairs.sample(N_SAMPLES, seed), pairs.true_mi
    images, level, n_tiles = IMAGES[task]
    pairs = image_pairs(images, true_mi=float(level), n_tiles=n_tiles)
    X, Y = (side.reshape(N_IMAGES, -1) for side in pairs.sample(N_IMAGES, seed))
    return X, Y, pairs.true_mi


def bmi_peers() -> dict[str, Estimate]:
    """Return the estimators of the benchmark's own package, of which its paper says how good."""
    import bmi
    import jax

    def neural(name: str) -> Estimate:
        def estimate(X: np.ndarray, Y: np.ndarray, seed: int) -> float:
            made = getattr(bmi.estimators, name)(seed=seed, verbose=False)
            if X.shape[1] >= WIDE and hasattr(made, "_critic_factory"):
                made._critic_factory = by_sides(made.parameters().critic_params.hidden_layers)
            value = made.estimate(X, Y)
            jax.clear_caches()  # or memory grows with every fit
            return float(value)

        return estimate

    def plain(name: str, **params: object) -> Estimate:
        make = getattr(bmi.estimators, name)
        return lambda X, Y, seed: float(make(**params).estimate(X, Y))

    return {
        "bmi CCA": plain("CCAMutualInformationEstimator"),
        "bmi KSG": plain("KSGEnsembleFirstEstimator", neighborhoods=(10,)),
        "bmi InfoNCE": neural("InfoNCEEstimator"),
        "bmi NWJ": neural("NWJEstimator"),
        "bmi DV": neural("DonskerVaradhanEstimator"),
        "bmi MINE": neural("MINEEstimator"),
    }


def by_sides(hidden_layers: list[int]) -> Callable[[Any, int, int], Any]:
    """Return a maker of bmi's network whose first layer takes the two rows apart."""
    import jax
    from bmi.estimators.neural._critics import MLP

    class BySides(MLP):
        def __call__(self, x: Any, y: Any) -> Any:
            first, *others = self.layers
            z = first.weight[:, : len(x)] @ x + first.weight[:, len(x) :] @ y + first.bias
            for layer in others:
                z = layer(jax.nn.relu(z))
            return z[..., 0]

    return lambda key, d_x, d_y: BySides(key, d_x, d_y, hidden_layers)


def mist_peers() -> dict[str, Estimate]:
    """Return the estimators of torch-mist by its one call; its default reports training rows."""
    import torch
    from torch_mist.utils import estimate_mi

    def of(name: str) -> Estimate:
        def estimate(X: np.ndarray, Y: np.ndarray, seed: int) -> float:
            torch.manual_seed(seed)
            data = {"x": X.astype(np.float32), "y": Y.astype(np.float32)}
            value, _ = estimate_mi(data, estimator=name, hidden_dims=[128], verbose=False)
            return float(value)

        return estimate

    return {f"torch-mist {name}": of(name) for name in ("infonce", "smile")}


PEERS = {"bmi": ("benchmark-mi", bmi_peers), "torch_mist": ("torch-mist", mist_peers)}


def main() -> None:
    """Estimate what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", help="names of estimators")
    every = {"choices": [*tasks(), *IMAGES], "default": [*tasks()], "metavar": "TASK"}
    parser.add_argument("--tasks", nargs="+", **every)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    there = {(row["task"], row["seed"], row["setting"]) for row in read_cells(asked.out)}
    for module, (package, make) in PEERS.items():
        if find_spec(module) is None:
            print(f"{package} is left out: it is not installed.")
            continue
        for name, estimate in make().items():
            for seed in asked.seeds:
                for task in asked.tasks:
                    asked_for = asked.only is None or name in asked.only
                    if asked_for and (task, seed, name) not in there:
                        append(asked.out / "peers.jsonl", task, seed, name, estimate, package)


def append(path: Path, task: str, seed: int, name: str, estimate: Estimate, package: str) -> None:
    """Estimate one task, and append it to the file."""
    X, Y, true_mi = sample(task, seed)
    start = time.perf_counter()
    try:
        value = estimate(X, Y, seed)
    except Exception:
        print(task, seed, name, traceback.format_exc(), flush=True)
        return
    seconds = time.perf_counter() - start
    cell = {"task": task, "seed": seed, "setting": name, "true_mi": true_mi}
    found = {"value": value, "seconds": seconds, "versions": {package: version(package)}}
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps({**cell, **found}))
    print(f"{task} {seed} {name}: {value:.3f} of {true_mi:.3f}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
