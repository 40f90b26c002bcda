"""Run the planned seeds: ``OMP_NUM_THREADS=1 python examples/paper/run_plan.py``.

Claims go from the cheapest to the dearest, seed by seed with all cells of a seed, on one thread.
A run's rows are appended to ``docs/paper/plan/figure_*.csv`` as soon as it ends, with the commit
that it ran on, and are never computed twice. A seed that fails for good is recorded as such, and
the next one runs in its place. Stop it at any time: it goes on where it was, and a run that was cut
goes on from its last evaluation, kept in ``results/paper_plan``. One that lacks data or memory is
not recorded, and ends the program. Two at a time need claims without common cells: ``--claim
mnist:1`` beside ``--claim mnist:2``.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from planned import FIRST_SEED, PLAN, Planned, finished

from sklearn_mi.paper import run_figure

ROOT = Path(__file__).parents[2]
WORK = ROOT / "results" / "paper_plan"
OF_THE_MACHINE = ("OSError", "FileNotFoundError", "MemoryError")


class Run(NamedTuple):
    """One training, of one cell with one seed."""

    data: str
    claim: str
    figure: str
    learner: str
    seed: int
    steps: tuple[int, ...]
    hours: float


def left(planned: Planned, claims: list[str], beyond_reach: bool = False) -> Iterator[Run]:
    """Yield the runs that are left, in the plan's order of claims, each once."""
    seen: set[tuple[str, str, int]] = set()
    for data, claim in planned.cells[["data", "claim"]].drop_duplicates().itertuples(index=False):
        cells = planned.of(data, claim)
        if claims and f"{data}:{claim}" not in claims:
            continue
        if not (beyond_reach or claims or (cells["reach"] == "yes").all()):
            continue
        for seed in range(FIRST_SEED, FIRST_SEED + int(cells["seeds"].max())):
            for cell in cells.itertuples():
                key = (cell.figure, cell.learner, seed)
                steps = tuple(map(int, cell.steps.split()))
                done = finished(planned.new, cell.figure, cell.learner, steps[-1])
                if seed < FIRST_SEED + cell.seeds and seed not in done and key not in seen:
                    seen.add(key)
                    yield Run(data, claim, *key, steps, cell.seconds / 3600)


def commit() -> str:
    """Return the commit of the checkout, marked if the package differs from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    same = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "sklearn_mi"]).returncode == 0
    return head.stdout.strip() + ("" if same else "-dirty")


def perform(run: Run, folder: Path, work: Path) -> pd.DataFrame:
    """Train and measure a run, append its rows, and return them."""
    at = commit()
    table = run_figure(
        run.figure,
        seeds=[run.seed],
        at=run.steps,
        folder=work,
        only=run.learner,
        retry=True,
        progress=False,
    )
    table = table[table["learner"] == run.learner].assign(commit=at)
    error = str(table["error"].iloc[-1])
    if error.startswith(OF_THE_MACHINE):
        sys.exit(f"{run.figure} {run.learner} {run.seed}: {error}")
    path = folder / f"figure_{run.figure}.csv"
    if path.exists():
        columns = pd.read_csv(path, nrows=0).columns
        table.reindex(columns=columns).to_csv(path, mode="a", header=False, index=False)
    else:
        table.to_csv(path, index=False)
    return table


def main() -> None:
    """Run what is left of the plan."""
    parser = argparse.ArgumentParser(description="Run the planned seeds, cheapest claim first.")
    parser.add_argument("--claim", action="append", default=[], help="only these, as mnist:7size")
    parser.add_argument("--runs", type=int, help="stop after so many runs")
    parser.add_argument("--hours", type=float, help="start no run after so many hours")
    parser.add_argument("--all", action="store_true", help="claims beyond reach, too")
    parser.add_argument("--list", action="store_true", help="say what is left, and run nothing")
    parser.add_argument("--folder", type=Path, default=PLAN)
    parser.add_argument("--work", type=Path, default=WORK)
    args = parser.parse_args()
    runs = list(left(Planned.read(args.folder), args.claim, args.all))
    print(f"{len(runs)} runs left, about {sum(run.hours for run in runs):.1f} hours of one core")
    if args.list:
        return
    start = time.monotonic()
    for run in runs[: args.runs]:
        hours = (time.monotonic() - start) / 3600
        if args.hours is not None and hours > args.hours:
            break
        table = perform(run, args.folder, args.work)
        error = table["error"].iloc[-1]
        error = "" if pd.isna(error) else error
        took = error or f"{table['seconds'].max():.0f} s"
        print(f"{run.data}:{run.claim} {run.figure} {run.learner} {run.seed}: {took}", flush=True)


if __name__ == "__main__":
    main()
