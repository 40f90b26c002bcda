"""Milliseconds of a training step beside those of earlier commits, in turns, in one run.

``git worktree add --detach ../before 1759d58`` and ``python benchmarks/step_ratio.py ../before``
train the same models here and there, one thread each, in processes of their own, round after
round, and write ``benchmarks/results/speed/step_ratio.csv``: the median over rounds of each, and of
the ratio of ours to theirs in the same round. Preparation and reports are not counted.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "speed" / "step_ratio.csv"
PACKAGES = ("torch", "scikit-learn", "numpy")
TABLE, IMAGES = (4000, 64), (1000, 16, 16)
SETTINGS: dict[str, tuple[tuple[int, ...], dict[str, Any], int]] = {
    "table, bilinear": (TABLE, {"view": "halves", "encoder": "mlp", "critic": "bilinear"}, 200),
    "table, cauchy, nwj": (
        TABLE,
        {"view": "corruption", "encoder": "mlp", "critic": "cauchy", "objective": "nwj"},
        200,
    ),
    "grey images, lenet": (IMAGES, {"view": "halves", "encoder": "lenet", "critic": "cosine"}, 40),
}


def seconds_a_step(name: str) -> float:
    """Return the seconds of a step, of the second of two equal parts of a fit."""
    from sklearn_mi import MIRepresentationLearner  # of the tree that PYTHONPATH names

    shape, parameters, steps = SETTINGS[name]
    X = np.random.default_rng(0).random(shape).astype(np.float32)
    learner = MIRepresentationLearner(
        16, random_state=0, validation_fraction=0, batch_size=256, **parameters
    )
    times = []
    for _ in learner.fit_iter(X, at=(steps, 2 * steps)):
        times.append(time.perf_counter())
    return (times[1] - times[0]) / steps


def told_by(tree: Path) -> dict[str, float]:
    """Return the seconds of each setting, measured by the package of a tree."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, __file__, "--here"]
    told = subprocess.run(command, env=env, cwd=tree, capture_output=True, text=True, check=True)
    return json.loads(told.stdout.splitlines()[-1])


def commit_of(tree: Path) -> str:
    """Return the short commit of a tree."""
    git = ["git", "-C", str(tree), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--here", action="store_true")
    wanted = parser.parse_args()
    if wanted.here:
        print(json.dumps({name: seconds_a_step(name) for name in SETTINGS}))
        return
    # These import the package of this tree, and another is measured above.
    from bench_data import package_commit, versions
    from features_report import machine

    trees = [HERE.parent, *(path.resolve() for path in wanted.before)]
    found = [
        {"tree": k, "round": i, "data": name, "ms": 1e3 * seconds}
        for i in range(wanted.rounds)
        for k, tree in enumerate(trees)
        for name, seconds in told_by(tree).items()
    ]
    wide = pd.DataFrame(found).pivot(index=["data", "round"], columns="tree", values="ms")
    rows = []
    for data, each in wide.groupby("data", sort=False):
        for k, tree in enumerate(trees[1:], 1):
            ratio = each[0] / each[k]
            rows.append(
                {
                    "data": data,
                    "ms": each[0].median(),
                    "before": commit_of(tree),
                    "ms_before": each[k].median(),
                    "ratio": ratio.median(),
                    "ratio_low": ratio.quantile(0.25),
                    "ratio_high": ratio.quantile(0.75),
                }
            )
    told = {"commit": package_commit(), "versions": versions(PACKAGES), "machine": machine()}
    table = pd.DataFrame(rows).assign(rounds=wanted.rounds, **told)
    table.to_csv(RESULTS, index=False, float_format="%.4g")
    print(table.drop(columns=["versions", "machine"]).to_string(index=False))


if __name__ == "__main__":
    main()
