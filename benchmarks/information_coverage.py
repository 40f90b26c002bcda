"""How often the intervals, limits and p-values of `MIEstimator` hold, by simulation.

``python benchmarks/information_coverage.py --jobs 2`` draws every task 400 times and fits
``MIEstimator("closed-form")``, which takes the closed forms that "auto" takes; and six tasks 40
times with the default setting. It appends a line for each draw to ``draws-0.jsonl`` in the folder
``--out``, from the 50th seed on to ``draws-1.jsonl``, and so on; and writes ``coverage.csv``, a row
for each task, and ``coverage.txt``. Tasks come in turn, so that a run that is cut has draws of all;
it goes on where it was. ``--estimate`` says what is left, ``--report`` writes the tables alone.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
from bench_data import package_commit
from information_report import read_cells, write_table
from information_tasks import RESULTS, Cell, run
from scipy.integrate import quad
from scipy.special import log_ndtr
from scipy.stats import binomtest

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import (
    KnownPairs,
    autoregressive_pairs,
    beyond_normal,
    discrete_continuous_pairs,
    gaussian_pairs,
    half_atoms_pairs,
    independent_pairs,
    likert_pairs,
    zero_inflated_counts_pairs,
    zero_inflated_poisson_pairs,
)

OUT = RESULTS / "coverage"
# Shares that the intervals, by setting, and the limits must reach, and where p-values must lie.
INTERVALS = {"closed-form": 0.92, "default": 34 / 40}
LIMITS = 0.93
P_VALUES = (0.03, 0.075)
LEVEL = 0.05
SEEDS_A_FILE = 50

Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, ...]]


class Task(NamedTuple):
    """What is drawn, and how it is fitted.

    ``draw(n, rng)`` returns X and Y, and Z for a conditional information.
    """

    true_mi: float
    draw: Draw
    n: int
    setting: str = "closed-form"
    draws: int = 400
    # A p-value takes one more fit.
    test: bool = False
    fit: dict[str, Any] = {}  # noqa: RUF012, never changed


# Pairs


def of(pairs: KnownPairs, n: int, **more: Any) -> Task:
    return Task(pairs.true_mi, pairs.draw, n, **more)


def gaussian(true_mi: float, n_features: int = 1) -> KnownPairs:
    """Return Gaussian pairs of as many columns on both sides, which share the information."""
    rho = math.sqrt(-math.expm1(-2 * true_mi / n_features))
    correlation = np.kron([[1, rho], [rho, 1]], np.eye(n_features))
    return gaussian_pairs(f"gaussian-{n_features}-{true_mi}", correlation, n_features)


def of_correlation(rho: float) -> float:
    """Return the information of two normal columns."""
    return -0.5 * math.log1p(-(rho**2))


def shuffled(pairs: KnownPairs) -> KnownPairs:
    """Return both sides of the pairs without their partners."""

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return pairs.draw(n, rng)[0], pairs.draw(n, rng)[1]

    return KnownPairs(f"independent {pairs.name}", 0.0, draw)


def folded(noise: float, n_features: int) -> KnownPairs:
    r"""Return y = |x| + noise, column by column, for normal x; y is skew-normal.

    .. math:: p(y) = 2 \phi(y / s) \Phi(y / (s \sigma)) / s, \quad s^2 = 1 + \sigma^2
    """
    s = math.hypot(1, noise)

    def entropy_at(y: float) -> float:
        log_p = math.log(2 / s) - (y / s) ** 2 / 2 - math.log(2 * math.pi) / 2
        log_p += float(log_ndtr(y / (s * noise)))
        return -math.exp(log_p) * log_p

    entropy = float(quad(entropy_at, -10 * s, 10 * s, points=[0.0], limit=200)[0])
    each = entropy - 0.5 * math.log(2 * math.pi * math.e * noise**2)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, own = rng.normal(size=(2, n, n_features))
        return x, np.abs(x) + noise * own

    return KnownPairs("folded", n_features * each, draw)


def chain(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return x and y that depend on each other by z alone, which bends both."""
    z, u, v = rng.normal(size=(3, n, 1))
    return z**2 + u, np.sin(2 * z) + v, z


def partial(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return x and y with a correlation of .5 given z."""
    z, u, v = rng.normal(size=(3, n, 1))
    return z + u, z + 0.5 * u + math.sqrt(0.75) * v, z


def bits(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return a bit, its sum with another one modulo 2, and the other one."""
    a, b = rng.integers(2, size=(2, n, 1))
    return a, a ^ b, b


def tasks() -> dict[str, Task]:
    """Return what is drawn, by name."""
    beyond, test, series = beyond_normal(), {"test": True}, {"fit": {"blocks": "auto"}}
    likert, counts = likert_pairs(), zero_inflated_counts_pairs()
    made = {
        "independent": of(independent_pairs(5, 5), 2000, **test),
        "2-pair 25x25": of(beyond["multinormal-sparse-25-25-2-2.0"], 2000),
        "Student 5x5": of(beyond["student-identity-5-5-2"], 2000),
        "spiral 3x3": of(beyond["spiral-multinormal-sparse-3-3-2-2.0"], 2000),
        **{
            f"{d} + {d} columns, {truth} nats, n = {n}": of(gaussian(truth, d), n)
            for d in (1, 2)
            for truth in (0.005, 0.02, 0.05)
            for n in (200, 500)
        },
        "independent 1 + 1, n = 200": of(independent_pairs(1, 1), 200, **test),
        **{f"rho .6, n = {n}": of(gaussian(of_correlation(0.6)), n) for n in (20, 30, 60)},
    }
    for n in (200, 1000):
        made |= {
            f"Likert, n = {n}": of(likert, n),
            f"Likert independent, n = {n}": of(shuffled(likert), n, **test),
            f"zero-inflated Poisson, n = {n}": of(zero_inflated_poisson_pairs(), n),
            f"zero-inflated counts, n = {n}": of(counts, n),
            f"zero-inflated counts independent, n = {n}": of(shuffled(counts), n, **test),
            f"half atoms, n = {n}": of(half_atoms_pairs(), n),
            f"class and number, n = {n}": of(discrete_continuous_pairs(), n),
            f"class and number independent, n = {n}": of(
                shuffled(discrete_continuous_pairs()), n, **test
            ),
        }
    for phi in (0.9, 0.99):
        made |= {
            f"AR {phi} independent": of(autoregressive_pairs(phi, 0.0), 2000, **test, **series),
            f"AR {phi}, rho .6": of(autoregressive_pairs(phi, 0.6), 2000, **series),
        }
    return made | {
        "given Z: chain": Task(0.0, chain, 500, **test),
        "given Z: partial .5": Task(of_correlation(0.5), partial, 500),
        "given Z: xor": Task(math.log(2), bits, 500),
        **{f"default: {name}": task for name, task in of_default().items()},
    }


def of_default() -> dict[str, Task]:
    """Return the tasks of the default setting."""
    pairs = {
        "independent 5 + 5": (independent_pairs(5, 5), 1000),
        "rho .6, n = 500": (gaussian(of_correlation(0.6)), 500),
        "2-pair 5x5, half cubed": (beyond_normal()["half_cube-multinormal-sparse-5-5-2-2.0"], 1000),
        "Student 3x3": (beyond_normal()["student-identity-3-3-2"], 1000),
        "folded 2 + 2": (folded(0.5, 2), 1000),
        "half atoms": (half_atoms_pairs(), 1000),
    }
    return {
        name: of(known, n, setting="default", draws=40, test=known.true_mi == 0)
        for name, (known, n) in pairs.items()
    }


TASKS = tasks()


# One draw


def drawn(cell: Cell) -> dict[str, Any]:
    """Return what one fit says of one draw."""
    task = TASKS[cell.task]
    # Draws of one seed are independent over tasks, and of those of the other benchmarks.
    rng = np.random.default_rng([10_000 + cell.seed, crc32(cell.task.encode())])
    tables = task.draw(task.n, rng)
    method = "auto" if cell.setting == "default" else cell.setting
    estimator = MIEstimator(method, split_test=task.test, random_state=cell.seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(*tables, **task.fit)
    found = {**numbers(estimator), "cpu_seconds": time.process_time() - start}
    return {
        **cell._asdict(),
        "n": task.n,
        "true_mi": round(task.true_mi, 6),
        **{name: rounded(number) for name, number in found.items()},
    }


def numbers(estimator: MIEstimator) -> dict[str, Any]:
    """Return what a fitted estimator says; a number that it does not have is NaN."""
    mi = estimator.mi_
    try:
        p_value = estimator.test_independence().p_value
    except ValueError:
        p_value = math.nan
    return {
        "value": mi.value,
        "stderr": mi.stderr,
        "low": mi.interval[0],
        "high": mi.interval[1],
        "lower_limit": math.nan if mi.lower_limit is None else mi.lower_limit,
        "at_least": bool(mi.at_least),
        "p_value": p_value,
        "how": mi.bound,
    }


def rounded(number: Any) -> Any:
    """Return a number that takes little room in a file."""
    return number if isinstance(number, str | bool) else round(float(number), 5)


# Tables


def share(name: str, hits: pd.Series) -> dict[str, float]:
    """Return a share with its exact 95 % interval."""
    if hits.empty:
        return {}
    low, high = binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return {name: hits.mean(), f"{name}_low": low, f"{name}_high": high}


def line(setting: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Return the row of a task."""
    truth, limit, p = (rows[name] for name in ("true_mi", "lower_limit", "p_value"))
    has_limit, is_null = limit.notna(), p.notna() & (truth == 0)
    shares = {
        **share("holds", (rows["low"] <= truth) & (truth <= rows["high"])),
        **share("below", (limit <= truth)[has_limit]),
        **share("rejects", (p <= LEVEL)[is_null]),
    }
    misses = [
        name
        for name, is_missed in (
            ("interval", shares["holds"] < INTERVALS[setting] - 1e-9),
            ("limit", shares.get("below", 1.0) < LIMITS),
            ("p-value", not P_VALUES[0] <= shares.get("rejects", LEVEL) <= P_VALUES[1]),
        )
        if is_missed
    ]
    return {
        "setting": setting,
        "n": rows["n"].iloc[0],
        "draws": len(rows),
        "truth": truth.iloc[0],
        "mean": rows["value"].mean(),
        "sd": rows["value"].std(),
        "width": (rows["high"] - rows["low"]).median(),
        **shares,
        "at_least": rows["at_least"].mean(),
        "seconds": rows["cpu_seconds"].mean(),
        "how": rows["how"].mode()[0],
        "commits": " ".join(sorted(rows["commit"].unique())),
        "below_bar": ", ".join(misses),
    }


def report(out: Path) -> str:
    """Write the tables to the folder, and return the text."""
    rows = [row for row in read_cells(out) if row["task"] in TASKS]
    # Lines of an earlier setting are left out.
    rows = [row for row in rows if row["setting"] == TASKS[row["task"]].setting]
    if not rows:
        return "no draws yet"
    groups = pd.DataFrame(rows).groupby("task")
    made = [
        {"task": name, **line(task.setting, groups.get_group(name))}
        for name, task in TASKS.items()
        if name in groups.groups
    ]
    return write_table("coverage", pd.DataFrame(made), out)


# The command, which the other scripts share


def options(doc: str | None, names: Iterable[str], out: Path) -> argparse.ArgumentParser:
    """Return a parser of what every script takes."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=[*names], default=[*names], metavar="TASK")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--estimate", action="store_true", help="say what is left, fit nothing")
    parser.add_argument("--report", action="store_true", help="write the tables, fit nothing")
    return parser


def core_minutes(cells: list[Cell], done: list[dict[str, Any]]) -> str:
    """Return what fits will cost, by those of the same task and setting; nothing if none is."""
    known: dict[tuple[str, str], list[float]] = {}
    for row in done:
        if "cpu_seconds" in row:  # those of peers have none
            known.setdefault((row["task"], row["setting"]), []).append(row["cpu_seconds"])
    costs = [np.mean(known[key]) for key in ((c.task, c.setting) for c in cells) if key in known]
    return f", about {np.mean(costs) * len(cells) / 60:.0f} core-minutes" if costs else ""


def go_on(
    asked: argparse.Namespace,
    cells: Iterable[Cell],
    name: str,
    work: Callable[[Cell], dict[str, Any]],
    report: Callable[[Path], str],
    seeds_a_file: int | None = None,
) -> None:
    """Do what is missing, and write the tables."""
    done = read_cells(asked.out)
    there = {(row["task"], row["seed"], row["setting"]) for row in done}
    left = [cell for cell in cells if cell not in there]
    print(f"{len(left)} fits are left{core_minutes(left, done)}", flush=True)
    if asked.estimate:
        return
    if not asked.report:
        around = {"commit": package_commit()}
        run(left, asked.jobs, asked.out / name, work, around, seeds_a_file)
    print(report(asked.out))


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    parser = options(__doc__, TASKS, OUT)
    parser.add_argument("--draws", type=int, help="at most so many of each task")
    asked = parser.parse_args(arguments)
    wanted = {name: min(asked.draws or 400, TASKS[name].draws) for name in asked.tasks}
    cells = [
        Cell(name, seed, TASKS[name].setting)
        for seed in range(max(wanted.values()))
        for name, n in wanted.items()
        if seed < n
    ]
    go_on(asked, cells, "draws.jsonl", drawn, report, SEEDS_A_FILE)


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from information_coverage import main as run_main

    run_main()
