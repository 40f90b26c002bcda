r"""How many seeds each claim needs, from the pilots: ``python examples/paper/plan.py``.

Reads the tables of ``docs/paper`` and writes ``comparisons.csv``, ``runs.csv`` and ``plan.txt``
into ``docs/paper/plan``, once: a plan that has new seeds is not written anew. The rule, after On
the Use of a Pilot Sample for Sample Size Determination (Browne, 1995):

* A claim gets new seeds if one of its comparisons (`findings`) stands on fewer than 8 pilots. Cells
  and steps stay as they are, pilots do not count again, no comparison gets fewer than 8.
* The spread is the upper 80 % limit of the pilots' standard deviation, s sqrt((n - 1) / chi2),
  with chi2 the 20 % quantile at n - 1 degrees of freedom: 2.1 s for three seeds, 3.9 s for two.
  Where fewer than two pilots are at their target, it is the largest of the claim, or of the claim
  before it: the mean of four differences has no larger spread than they have.
* To decide: the one-sided t test has power .9 at the pilots' effect and that spread, at level
  .05 / 15, the strictest step of Holm's method. Where the pilots lie on the other side of the
  threshold it is the test of the opposite, its level divided by the number of comparisons.
* To narrow: with that spread the 95 % interval, end to end, is shorter than the paper's effect,
  its own difference at the same step. Claims 7size and 9, that differences are of a size or small,
  are held against the largest one that they speak of, the ConvNet's lead.
* The need is the smaller of both. Where seeds must be at their target (claims 7 to 9), so many are
  run that the need is met with probability .9, if (k + 1) / (n + 2) of them get there, as k of n
  pilots did. A cell takes the largest number of the comparisons that it is part of. Settings
  without pilots get 8 seeds, which may be too few.

Hours are those of one core: seeds times the mean seconds of the pilots' runs. No ConvNet has run on
CIFAR10 yet, so its seconds are those of the MLP there times the ratio of the two on MNIST. Claims
share cells; each row counts all that its claim needs.
"""

import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from curves import TABLES, read_table
from findings import CLAIMS, FEWEST_SEEDS, FIGURES, JUDGED_ON, Claim, Comparison, Runs, k_pair_rows
from planned import PLAN, read_new
from scipy import stats

from sklearn_mi.paper import FIGURES as STUDIES

NAMES = ("1", "1c", "2", "3", "4", "4c", "8", "9")
LEVEL, POWER, SURE = 0.05 / 15, 0.9, 0.8
AGAINST_THE_LARGEST = ("7size", "9")
MOST_SEEDS = 100_000
# Two cores for a day and a night; what takes longer is out of their reach.
REACH_HOURS = 48

Cells = tuple[tuple[str, str], ...]


class Watched(Runs):
    """Runs that note which cells, as (figure, learner), they are asked for."""

    def __init__(self, table: pd.DataFrame, data: str) -> None:
        super().__init__(table, data)
        self.asked: set[tuple[str, str]] = set()

    def curves(self, column: str, figure: str, **cell: object) -> pd.DataFrame:
        """Return the curves of a cell."""
        name = self.other_names.get(figure, figure)
        facts = _facts(name).items()
        self.asked |= {(name, learner) for learner, fact in facts if cell.items() <= fact.items()}
        return super().curves(column, figure, **cell)


@cache
def _facts(figure: str) -> dict[str, dict[str, object]]:
    return STUDIES[figure]().facts if figure in STUDIES else {}


def with_cells(claim: Claim, runs: Watched, bound: str) -> Iterator[tuple[Comparison, Cells]]:
    """Yield the comparisons of a claim, each with the cells that it is made of."""
    cells: set[tuple[str, str]] = set()
    for comparison in claim.compare(runs, bound):
        # Two thresholds of one difference ask for its cells once.
        cells, runs.asked = runs.asked or cells, set()
        yield comparison, tuple(sorted(cells))


def paper_rows(figure: str, steps: list[int]) -> pd.DataFrame:
    """Return the paper's means at the steps, as the rows of one seed.

    The paper has no bound on untouched rows, one scaler, and percentiles instead of a median.
    """
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for panel in import_module(f"figure_{figure}").PANELS:
        for line in panel.lines:
            curve = panel.paper(line)
            for step in steps:
                key = (*line.cell.values(), step)
                row = rows.setdefault(key, {"figure": figure, "seed": 0, "step": step, **line.cell})
                row[line.column] = curve["mean"].iloc[(curve["step"] - step).abs().argmin()]
    table = pd.DataFrame(rows.values())
    if "log_condition_p40" in table:
        around = table[["log_condition_p40", "log_condition_p60"]]
        table["log_condition"] = around.mean(axis=1)
    if "accuracy_2019" in table:
        table["accuracy"] = table["accuracy_2019"]
    if "target" in table:
        table["bound_train"] = table["target"]
    return table.assign(bound_test=table["bound_train"]) if "bound_train" in table else table


def upper_spread(sd: float, n: int) -> float:
    """Return the upper 80 % limit of a standard deviation that n values gave."""
    return sd * math.sqrt((n - 1) / stats.chi2.ppf(1 - SURE, n - 1)) if n > 1 else math.nan


def smallest(enough: Callable[[int], bool]) -> int:
    """Return the smallest number of seeds that is enough, of 8 and more."""
    low, high = FEWEST_SEEDS - 1, FEWEST_SEEDS
    while high < MOST_SEEDS and not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return min(high, MOST_SEEDS)


def seeds_to_decide(distance: float, spread: float, level: float = LEVEL) -> int:
    """Return how many seeds a one-sided t test needs for its power at a distance."""

    def enough(n: int) -> bool:
        t = stats.t.isf(level, n - 1)
        return stats.nct.sf(t, n - 1, distance * math.sqrt(n) / spread) >= POWER

    return smallest(enough)


def seeds_to_narrow(effect: float, spread: float) -> int:
    """Return how many seeds a 95 % interval needs to be shorter than an effect."""
    return smallest(lambda n: 2 * stats.t.isf(0.025, n - 1) * spread / math.sqrt(n) < effect)


def seeds_to_run(need: int, at_target: int, pilots: int) -> int:
    """Return how many seeds to run so that probably as many as needed get to their target."""
    share = (at_target + 1) / (pilots + 2)
    return smallest(lambda n: stats.binom.sf(need - 1, n, share) >= POWER)


def needs(pilots: pd.DataFrame, paper: pd.DataFrame, data: str) -> pd.DataFrame:
    """Return a row a comparison; claims that stand on enough pilots need no seeds."""
    rows, spread = [], math.nan
    for claim in CLAIMS:
        for bound in claim.bounds if data == "mnist" or claim.cifar10 else ():
            found, spread = _needs_of(claim, bound, pilots, paper, data, spread)
            rows += found
    return pd.DataFrame(rows)


def _needs_of(
    claim: Claim, bound: str, pilots: pd.DataFrame, paper: pd.DataFrame, data: str, before: float
) -> tuple[list[dict[str, object]], float]:
    """Return the rows of a claim, and its largest spread."""
    pairs = list(with_cells(claim, Watched(pilots, data), bound))
    rows = [_row(claim, bound, data, comparison, cells) for comparison, cells in pairs]
    theirs = [part.differences.mean() for part in claim.compare(Runs(paper, data), bound)]
    largest = max((row["spread"] for row in rows if row["spread"] > 0), default=before)
    few = min(row["at_target"] for row in rows) < FEWEST_SEEDS
    most = np.abs(theirs).max()
    for row, (comparison, _), mean in zip(rows, pairs, theirs, strict=True):
        row["paper"] = mean
        row["effect"] = most if claim.number in AGAINST_THE_LARGEST else abs(mean)
        row["spread"] = row["spread"] if row["spread"] > 0 else largest
        row |= _need(row, comparison, len(pairs), claim.matched) if few else {"seeds": 0}
    return rows, largest


def _row(
    claim: Claim, bound: str, data: str, comparison: Comparison, cells: Cells
) -> dict[str, object]:
    """Return what the pilots say of a comparison."""
    found = comparison.result(0.05)
    return {
        "data": data,
        "claim": claim.number,
        "judged_on": JUDGED_ON.get(bound, ""),
        "statement": found["statement"],
        "threshold": comparison.threshold,
        "pilots": found["n_seeds"] + found["dropped"],
        "at_target": found["n_seeds"],
        **{key: found[key] for key in ("estimate", "low", "high")},
        "spread": upper_spread(comparison.differences.std(), found["n_seeds"]),
        "cells": cells,
    }


def _need(row: dict, comparison: Comparison, n_comparisons: int, matched: bool) -> dict[str, float]:
    """Return the seeds of a comparison: to decide, to narrow, and those to run."""
    if not row["at_target"]:
        return {"seeds": FEWEST_SEEDS}
    ahead = (row["estimate"] - comparison.threshold) * (-1 if comparison.below else 1)
    level = LEVEL if ahead > 0 else LEVEL / n_comparisons
    found = {
        "to_decide": seeds_to_decide(abs(ahead), row["spread"], level),
        "to_narrow": seeds_to_narrow(row["effect"], row["spread"]),
    }
    need = min(found.values())
    return found | {
        "seeds": seeds_to_run(need, row["at_target"], row["pilots"]) if matched else need
    }


def seconds_a_run(tables: dict[str, pd.DataFrame]) -> pd.Series:
    """Return the mean seconds of the pilots' runs by figure and learner."""
    runs = pd.concat(tables.values()).groupby(["figure", "learner", "seed"])["seconds"].max()
    seconds = runs.groupby(level=["figure", "learner"]).mean()
    scale = seconds["9", "mlp nwj 4"] / seconds["4", "mlp nwj 4"]
    on_mnist = seconds["4"].index
    guessed = {("9", name): scale * seconds["4", name] for name in on_mnist}
    # Releases of pandas before 3 join by names alone.
    return seconds.combine_first(pd.Series(guessed).rename_axis(["figure", "learner"]))


def runs_of(found: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a row a claim and cell: how many seeds, at which steps, how many hours."""
    seconds = seconds_a_run(tables)
    cells = found[found["seeds"] > 0].explode("cells", ignore_index=True)
    cells[["figure", "learner"]] = cells["cells"].to_list()
    keys = ["data", "claim", "figure", "learner"]
    runs = cells.groupby(keys, sort=False)["seeds"].max().reset_index()
    runs["steps"] = [" ".join(map(str, stops(tables[name]))) for name in runs["figure"]]
    runs["seconds"] = [seconds[key] for key in zip(runs["figure"], runs["learner"], strict=True)]
    runs["hours"] = runs["seeds"] * runs["seconds"] / 3600
    in_all = runs.groupby(["data", "claim"])["hours"].transform("sum")
    runs["reach"] = np.where(in_all <= REACH_HOURS, "yes", "no")
    # Sums of the same cells differ in the last bits, by the order of the cells.
    order = in_all.round(6).sort_values(kind="stable").index
    return runs.loc[order].round({"seconds": 0, "hours": 2})


def stops(table: pd.DataFrame) -> list[int]:
    """Return the steps at which a figure was measured."""
    return sorted(int(step) for step in table["step"].unique())


def in_words(found: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return a row a claim: cells, seeds, hours, and the comparison that asks for most seeds."""
    rows = []
    for (data, claim), cells in runs.groupby(["data", "claim"], sort=False):
        part = found[(found["data"] == data) & (found["claim"] == claim)]
        most = part.sort_values(["seeds", "to_decide"], kind="stable", na_position="first").iloc[-1]
        few, many = cells["seeds"].min(), cells["seeds"].max()
        known = not math.isnan(most["estimate"])
        rows.append(
            {
                "data": data,
                "claim": claim,
                "cells": len(cells),
                "seeds": f"{many}" if few == many else f"{few} to {many}",
                "hours": f"{cells['hours'].sum():.1f}",
                "reach": cells["reach"].iloc[0],
                "pilots": most["at_target"],
                "effect": f"{most['estimate']:.4g}" if known else "-",
                "interval": f"[{most['low']:.4g}, {most['high']:.4g}]"
                if most["at_target"] > 1
                else "-",
                "paper": f"{most['effect']:.3g}",
                "decide": f"{most['to_decide']:.0f}" if known else "-",
                "narrow": f"{most['to_narrow']:.0f}" if known else "-",
                "asks for most seeds": most["statement"],
            }
        )
    left = runs[runs["reach"] == "yes"].groupby(["figure", "learner"])[["hours"]].max().sum().item()
    table = pd.DataFrame(rows).to_string(index=False)
    return f"{table}\n\n{left:.1f} hours of one core for all within reach, shared cells once\n"


def main(folder: Path = TABLES, out: Path = PLAN) -> None:
    """Write the plan, unless it has new seeds."""
    if not read_new(out).empty:
        sys.exit(f"{out} has new seeds; expected none, since a plan comes before its runs.")
    tables = {name: read_table(folder / f"figure_{name}.csv") for name in NAMES}
    pilots = pd.concat([*tables.values(), k_pair_rows()])
    paper = pd.concat([paper_rows(name, stops(table)) for name, table in tables.items()])
    found = pd.concat([needs(pilots, paper, data) for data in FIGURES], ignore_index=True)
    runs = runs_of(found, tables)
    out.mkdir(exist_ok=True)
    found.drop(columns="cells").round(5).to_csv(out / "comparisons.csv", index=False)
    runs.to_csv(out / "runs.csv", index=False)
    (out / "plan.txt").write_text(in_words(found, runs))
    print((out / "plan.txt").read_text())


if __name__ == "__main__":
    main()
