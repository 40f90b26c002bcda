"""How often the intervals and limits of `MIEstimator` hold, by simulation.

``python benchmarks/information_coverage.py --jobs 2`` draws each of four tasks 400 times (500 times
the independent one, for the p-values), with 2,000 rows, fits the light setting
``MIEstimator("copula")``, and appends a line for each draw to ``draws.jsonl`` in the folder
``--out``. A killed run goes on where it was. ``--report`` writes the table alone.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from information_report import read_cells, shown
from information_tasks import RESULTS, Cell, run
from scipy.stats import binomtest, kstest

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import beyond_normal, independent_pairs

OUT = RESULTS / "coverage"
N_SAMPLES = 2000
SETTING = "copula"
TASKS = {
    "independent": (independent_pairs(5, 5), 500),
    "2-pair 25x25": (beyond_normal()["multinormal-sparse-25-25-2-2.0"], 400),
    "Student 5x5": (beyond_normal()["student-identity-5-5-2"], 400),
    "spiral 3x3": (beyond_normal()["spiral-multinormal-sparse-3-3-2-2.0"], 400),
}


def drawn(cell: Cell) -> dict[str, Any]:
    """Return what one fit says of one draw."""
    pairs, _ = TASKS[cell.task]
    # Draws of the other benchmark have small seeds; these are others.
    X, Y = pairs.sample(N_SAMPLES, 10_000 + cell.seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = MIEstimator(SETTING, random_state=cell.seed).fit(X, Y)
    mi, own = estimator.mi_, estimator.guaranteed_
    numbers = {
        "true_mi": pairs.true_mi,
        "value": mi.value,
        "stderr": mi.stderr,
        "low": mi.interval[0],
        "high": mi.interval[1],
        "lower_limit": mi.lower_limit,
        "bound": own.value,
        "bound_stderr": own.stderr,
        "certified_limit": estimator.certified_limit_,
        "p_value": estimator.test_independence().p_value,
        "refuted_p": estimator.refutation_.p_value,
        "cpu_seconds": time.process_time() - start,
    }
    return {
        **cell._asdict(),
        "how": mi.bound,
        **{name: round(float(number), 5) for name, number in numbers.items()},
    }


def share(hits: pd.Series) -> str:
    """Return a share with its exact 95 % interval."""
    if hits.empty:
        return "-"
    low, high = binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return f"{hits.mean():.3f} ({low:.3f}, {high:.3f})"


def report(out: Path) -> str:
    """Write the table to the folder, and return it."""
    table = pd.DataFrame(read_cells(out))
    if table.empty:
        return "no draws yet"
    lines = []
    for task, rows in table.groupby("task", sort=False):
        truth = rows["true_mi"]
        lines.append(
            {
                "task": task,
                "draws": len(rows),
                "truth": f"{truth.iloc[0]:.3f}",
                "mean": f"{rows['value'].mean():.4f}",
                "sd": f"{rows['value'].std():.4f}",
                "mean stderr": f"{rows['stderr'].mean():.4f}",
                "interval holds": share((rows["low"] <= truth) & (truth <= rows["high"])),
                "limit below truth": share(rows["lower_limit"] <= truth),
                "certified below": share(rows["certified_limit"] <= truth),
                "refuted at 5 %": share(rows["refuted_p"].dropna() < 0.05),
                "largest s": f"{rows['cpu_seconds'].max():.1f}",
            }
        )
    text = f'MIEstimator("{SETTING}"), {N_SAMPLES} rows a draw\n\n{shown(pd.DataFrame(lines))}\n'
    alone = table[table["task"] == "independent"]
    if len(alone):
        p = alone["p_value"]
        off = np.quantile(alone["value"].abs(), 0.95)
        text += (
            f"\nindependent: 95 % of {len(alone)} draws within +-{off:.4f}; p-values uniform: "
            f"KS p = {kstest(p, 'uniform').pvalue:.3f}, {(p <= 0.05).mean():.3f} at or below .05\n"
        )
    (out / "coverage.txt").write_text(text, encoding="utf-8")
    return text


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--draws", type=int, help="at most so many of each task")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--report", action="store_true", help="write the table, fit nothing")
    asked = parser.parse_args(arguments)
    there = {(row["task"], row["seed"]) for row in read_cells(asked.out)}
    wanted = {name: min(asked.draws or 500, TASKS[name][1]) for name in asked.tasks}
    # Task by task in turn, so that a run that is cut has draws of all.
    cells = [
        Cell(name, seed, SETTING)
        for seed in range(max(wanted.values()))
        for name, n in wanted.items()
        if seed < n and (name, seed) not in there
    ]
    if not asked.report:
        run(cells, asked.jobs, asked.out / "draws.jsonl", drawn)
    print(report(asked.out))


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from information_coverage import main as run_main

    run_main()
