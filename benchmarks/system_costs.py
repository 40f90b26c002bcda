"""What the settings of the figure "systems" cost: ``python benchmarks/system_costs.py``.

Deep InfoMax, AMDIM, CPC, CMC and SimCLR on CIFAR10, as `sklearn_mi.paper.figures` has them, with
batches of 64. Each setting runs in a process of its own: milliseconds a step are the difference of
a longer and a shorter fit, the peak of memory is that of a fit beyond what was there. Writes
``benchmarks/results/system_costs.csv``. ``--only cpc`` keeps the other rows; ``--steps 2 --out
FILE`` tries it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # set before torch is imported anywhere

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from bench_data import package_commit
from information_tasks import forget_peak, peak_mb
from sklearn.base import clone
from speed import machine

from sklearn_mi.paper import FIGURES

RESULTS = Path(__file__).parent / "results" / "system_costs.csv"
ROWS, FIRST = 5_000, 10


def cost(name: str, steps: int) -> dict[str, float]:
    """Return what a step of a setting takes, and the memory of a fit."""
    figure = FIGURES["systems"]()
    (load,) = figure.data.values()
    X = load().X_train[:ROWS]
    learner = clone(figure.learners[name]).set_params(random_state=0)

    def seconds(n: int) -> float:
        start = time.perf_counter()
        learner.set_params(max_steps=n).fit(X)
        return time.perf_counter() - start

    before = forget_peak()
    seconds(2)
    short, long = seconds(FIRST), seconds(FIRST + steps)
    return {"ms a step": 1000 * (long - short) / steps, "peak MB": peak_mb() - before}


def main() -> None:
    """Measure each setting, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only", default="", help="only settings whose name holds this")
    parser.add_argument("--cost", help="print the cost of one setting, no more")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.cost:
        print(json.dumps(cost(asked.cost, asked.steps)))
        return
    figure, made = FIGURES["systems"](), []
    for name in (name for name in figure.learners if asked.only in name):
        command = [sys.executable, __file__, "--cost", name, "--steps", str(asked.steps)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        surroundings = {"threads": torch.get_num_threads(), "steps": asked.steps}
        surroundings |= {"commit": package_commit(), "machine": machine()}
        made.append({**figure.facts[name], **json.loads(told), **surroundings})
        print(name, told.strip(), flush=True)
    table = pd.DataFrame(made)
    if asked.out.exists() and asked.only:
        before, keys = pd.read_csv(asked.out), ["system", "critic", "objective"]
        table = pd.concat([before, table]).drop_duplicates(keys, keep="last")
    table.to_csv(asked.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
