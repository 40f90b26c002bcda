"""Rows a second of one model trained by 1 and 2 processes, and what a plan for many is made of.

``python benchmarks/distributed.py`` starts itself by torchrun with each number of processes in
turn, one thread each, and writes ``benchmarks/results/distributed.csv``. Every run trains the same
model on the same batches of random rows. Beside the seconds of a step stands what is sent in it:
codes to all processes, their gradients back, and the gradients of the weights.
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
from bench_data import package_commit, versions
from features_report import machine

from sklearn_mi import MIRepresentationLearner

RESULTS = Path(__file__).resolve().parent / "results" / "distributed.csv"
PACKAGES = ("sklearn-mi", "torch", "numpy")
SETTINGS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "table, perceptron": ((8192, 64), {"view": "halves", "encoder": "mlp"}),
    "table, wide perceptron": ((8192, 512), {"view": "halves", "encoder": "mlp"}),
    "images, convolutions": ((1024, 32, 32, 3), {}),
}


def measured(name: str, rounds: int, steps: int) -> dict[str, Any]:
    """Return the seconds of a step, the median of some rounds, and what is sent in one."""
    shape, parameters = SETTINGS[name]
    rows = np.random.default_rng(0).random(shape).astype(np.float32)
    learner = MIRepresentationLearner(
        batch_size=256, validation_fraction=0, precision="float32", half_size=0, random_state=0,
        **parameters,
    )  # fmt: skip
    if rows.ndim == 2:
        learner.set_params(n_components=64)
    at = [steps * number for number in range(rounds + 2)]
    begun, seconds = time.perf_counter(), []
    for _ in learner.fit_iter(rows, at=at):
        seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
    trained = [w.numel() for w in learner.net_.module_.parameters() if w.requires_grad]
    return {
        "data": name,
        "seconds_a_step": float(np.median(seconds[2:])) / steps,
        "weights_mb": sum(trained) * 4 / 1e6,
        # Both codes of all rows arrive, and their gradients leave.
        "codes_mb": 2 * 256 * sum(learner.net_.module_.widths) * 4 / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    wanted = parser.parse_args()
    if "RANK" in os.environ:
        for name in SETTINGS:
            row = measured(name, wanted.rounds, wanted.steps)
            if os.environ["RANK"] == "0":
                print(json.dumps(row), flush=True)
        return
    rows = []
    for number in wanted.processes:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(number)]
        counts = ["--rounds", str(wanted.rounds), "--steps", str(wanted.steps)]
        told = subprocess.run([*command, __file__, *counts], capture_output=True, text=True)
        if told.returncode:
            sys.exit(told.stderr)
        lines = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
        rows += [{"processes": number, **line} for line in lines]
    table = pd.DataFrame(rows)
    alone = table[table["processes"] == wanted.processes[0]].set_index("data")["seconds_a_step"]
    table["speed"] = table["data"].map(alone) / table["seconds_a_step"]
    table = table.assign(commit=package_commit(), versions=versions(PACKAGES), machine=machine())
    table.to_csv(wanted.out, index=False, float_format="%.5g")
    print(table.drop(columns=["commit", "versions", "machine"]).to_string(index=False))


if __name__ == "__main__":
    main()
