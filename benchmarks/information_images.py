"""How near `MIEstimator` comes on pairs of images whose information is set by a noisy channel.

``SKLEARN_MI_DATA=FOLDER python benchmarks/information_images.py`` fits mosaics of MNIST and CIFAR10
(`sklearn_mi.datasets.image_pairs`) of 2, 4 and 6 nats in 10 tiles and of 8 nats in 12, with 10,000
rows and one encoder for all tiles of both sides, appends a line for each fit to ``cells.jsonl`` in
the folder ``--out``, and writes ``images.csv``, a row for each fit, and ``images.txt``. A killed
run goes on where it was. ``--tasks digits-2`` needs no download. ``--estimate`` says what is left,
``--report`` writes the tables alone.

The column ``reuse`` says how often an image stands in a sample: above 1, an estimator can learn
images by heart. ``misses`` names what a fit fails of: its error, the interval (it must reach the
truth, or the value be called "at least"), a value above the truth by 2 standard errors, a lower
limit above the truth, or 15 minutes.
"""

import os

# Set before torch is imported anywhere; a fit takes two cores.
os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from information_coverage import go_on, numbers, options, rounded
from information_report import read_cells, write_table
from information_tasks import RESULTS, Cell, forget_peak, peak_mb

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import ImagePairs, image_pairs
from sklearn_mi.encoders import Tiled

OUT = RESULTS / "images"
N_SAMPLES = 10_000
SIZES = {"digits": (8, 8), "mnist": (14, 14), "cifar10": (16, 16)}
LEVELS = {2: 10, 4: 10, 6: 10, 8: 12}
TASKS = {f"{images}-{level}": (images, level) for images in SIZES for level in LEVELS}
SEEDS = (0, 1, 2)
LR = 6e-3
MOST_SECONDS = 15 * 60
# Where the value must lie; CIFAR10's classes are not told apart by every image.
ERRORS = {"mnist": {2: 0.2, 4: 0.2, 6: 0.2, 8: 0.4}}
LEAST = {"cifar10": {2: 1.3, 6: 5.2}}


def pairs_of(task: str) -> ImagePairs:
    images, level = TASKS[task]
    return image_pairs(images, true_mi=float(level), n_tiles=LEVELS[level])


def fitted(cell: Cell, n_samples: int = N_SAMPLES, **params: Any) -> dict[str, Any]:
    """Return what one fit says."""
    pairs = pairs_of(cell.task)
    X, Y = pairs.sample(n_samples, cell.seed)
    encoder = Tiled(SIZES[TASKS[cell.task][0]])
    params = {"encoder_y": "shared", "lr": LR, "random_state": cell.seed, **params}
    estimator = MIEstimator(encoder=encoder, **params)
    forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, Y)
    found = {
        **numbers(estimator),
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "reuse": pairs.reuse(n_samples),
    }
    return {
        **cell._asdict(),
        "n_samples": n_samples,
        "n_tiles": pairs.n_tiles,
        "true_mi": pairs.true_mi,
        **{name: rounded(number) for name, number in found.items()},
        "warnings": list(estimator.mi_.warnings),
        "candidates": estimator.candidates_.groupby("candidate")["weight"].mean().to_dict(),
    }


def misses(row: dict[str, Any]) -> Iterator[str]:
    """Yield in which way a fit is wrong."""
    images, level = TASKS[row["task"]]
    truth, value = row["true_mi"], row["value"]
    if abs(value - truth) > ERRORS.get(images, {}).get(level, float("inf")):
        yield "error"
    if value < LEAST.get(images, {}).get(level, 0.0):
        yield "too low"
    if value > truth + 2 * row["stderr"]:
        yield "above"
    if not row["low"] <= truth <= row["high"]:
        yield "interval"
    if row["lower_limit"] > truth:
        yield "limit above truth"
    if row["seconds"] > MOST_SECONDS:
        yield "seconds"


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each fit."""
    names = ("task", "setting", "seed", "n_samples", "n_tiles", "reuse")
    order = list(TASKS)
    made = [
        {
            **{name: row[name] for name in names},
            "truth": row["true_mi"],
            **{name: row[name] for name in ("value", "stderr", "low", "high")},
            "limit": row["lower_limit"],
            **{name: row[name] for name in ("at_least", "p_value", "seconds", "peak_mb", "how")},
            "misses": ", ".join(misses(row)),
            "commit": row["commit"],
        }
        for row in sorted(rows, key=lambda row: (order.index(row["task"]), row["seed"]))
    ]
    return pd.DataFrame(made)


def report(out: Path) -> str:
    """Write the tables to the folder, and return the text."""
    rows = [row for row in read_cells(out) if row["task"] in TASKS]
    ours = [row for row in rows if row["setting"] == "tiled"]
    if not ours:
        return "no fits yet"
    made = table(ours)
    # On the same samples, by information_peers.py.
    for row in rows:
        if row["setting"] != "tiled":
            is_same = (made["task"] == row["task"]) & (made["seed"] == row["seed"])
            made.loc[is_same, row["setting"]] = rounded(row["value"])
    return write_table("images", made, out)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__, TASKS, OUT)
    parser.set_defaults(tasks=[name for name in TASKS if not name.startswith("digits")])
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--rows", type=int, default=N_SAMPLES)
    parser.add_argument("--steps", type=int, default=600, help="of training, at most")
    parser.add_argument("--folds", type=int, default=5)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    asked = parsed(arguments)
    cells = [Cell(name, seed, "tiled") for seed in asked.seeds for name in asked.tasks]
    work = partial(fitted, n_samples=asked.rows, max_steps=asked.steps, n_folds=asked.folds)
    go_on(asked, cells, "cells.jsonl", work, report)


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from information_images import main as run_main

    run_main()
