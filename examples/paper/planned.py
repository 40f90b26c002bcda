"""New seeds for the claims that the pilots leave open: what is planned, and what has run of it.

`plan.py` writes the plan, `run_plan.py` runs it, `findings.verdicts` judges by it. In the folder
``docs/paper/plan``: ``comparisons.csv`` (why so many seeds), ``runs.csv`` (a row a claim and cell),
``plan.txt`` (a row a claim), and ``figure_*.csv``, the rows of the new seeds with their commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

PLAN = Path(__file__).parents[2] / "docs" / "paper" / "plan"
# Pilots have seeds from 0 to 19, so new ones are never among them.
FIRST_SEED = 100


def failed_for_good(new: pd.DataFrame, figure: str, learner: str) -> set[int]:
    """Return the seeds of a cell that failed for good."""
    if new.empty:
        return set()
    here = (new["figure"] == figure) & (new["learner"] == learner)
    return {
        int(seed) for seed in new.loc[here & new["error"].notna() & (new["error"] != ""), "seed"]
    }


def finished(new: pd.DataFrame, figure: str, learner: str, last_step: int) -> set[int]:
    """Return the seeds of a cell that have run to the end, or failed for good."""
    if new.empty:
        return set()
    here = (new["figure"] == figure) & (new["learner"] == learner)
    ended = {int(seed) for seed in new.loc[here & (new["step"] == last_step), "seed"]}
    return ended | failed_for_good(new, figure, learner)


def _with_more(n: int, failed: set[int]) -> int:
    """Return how many seeds from the first it takes so that n of them did not fail."""
    wanted, seed = n, FIRST_SEED
    while wanted:
        wanted -= seed not in failed
        seed += 1
    return seed - FIRST_SEED


def read_new(folder: Path = PLAN) -> pd.DataFrame:
    """Return the rows of all new seeds so far."""
    tables = [
        pd.read_csv(path, dtype={"figure": str, "commit": str})
        for path in sorted(Path(folder).glob("figure_*.csv"))
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


@dataclass
class Planned:
    """A plan and its new seeds.

    Parameters
    ----------
    cells : DataFrame
        ``runs.csv``: ``data``, ``claim``, ``figure``, ``learner``, ``seeds`` and ``steps``.
    compared : DataFrame
        ``comparisons.csv``: ``data``, ``claim``, ``statement`` and ``effect``, the paper's.
    new : DataFrame
        The rows of new seeds.
    """

    cells: pd.DataFrame
    compared: pd.DataFrame
    new: pd.DataFrame

    @classmethod
    def read(cls, folder: Path = PLAN) -> Planned:
        """Read a plan's folder."""
        as_text = {"figure": str, "claim": str, "steps": str}
        cells = pd.read_csv(folder / "runs.csv", dtype=as_text)
        return cls(cells, pd.read_csv(folder / "comparisons.csv", dtype=as_text), read_new(folder))

    def of(self, data: str, claim: str) -> pd.DataFrame:
        """Return the cells of a claim; none if no new seeds are planned for it.

        A seed in which a cell failed for good, such as by weights that became NaN, is told and
        replaced by the next one: ``seeds`` grows by their number.
        """
        cells = self.cells[(self.cells["data"] == data) & (self.cells["claim"] == claim)]
        failed: set[int] = set()
        for cell in cells.itertuples():
            failed |= failed_for_good(self.new, cell.figure, cell.learner)
        return cells.assign(seeds=[_with_more(int(n), failed) for n in cells["seeds"]])

    def progress(self, data: str, claim: str) -> tuple[int, int]:
        """Return for how many seeds all planned cells have run, and how many seeds there are."""
        cells = self.of(data, claim)
        wanted = int(cells["seeds"].max()) if len(cells) else 0
        lacking: set[int] = set()
        for cell in cells.itertuples():
            planned = {FIRST_SEED + k for k in range(cell.seeds)}
            last = int(cell.steps.split()[-1])
            lacking |= planned - finished(self.new, cell.figure, cell.learner, last)
        return wanted - len(lacking), wanted

    def complete(self, data: str, claim: str) -> bool:
        """Return whether a claim has new seeds, and all of them have run."""
        ran, wanted = self.progress(data, claim)
        return ran == wanted > 0

    def waits(self, data: str, claim: str) -> str:
        """Return what has run of a claim's new seeds, in words; nothing if it waits for none."""
        ran, wanted = self.progress(data, claim)
        return f"pilots; {ran} of {wanted} new seeds have run" if ran < wanted else ""

    def rows(self, data: str, claim: str) -> pd.DataFrame:
        """Return the rows of a claim's new seeds, no more than were planned."""
        parts = []
        for cell in self.of(data, claim).itertuples():
            here = (self.new["figure"] == cell.figure) & (self.new["learner"] == cell.learner)
            planned = self.new["seed"].between(FIRST_SEED, FIRST_SEED + cell.seeds - 1)
            parts.append(self.new[here & planned])
        return pd.concat(parts, ignore_index=True)

    def narrow(self, data: str, claim: str, part: pd.DataFrame) -> bool:
        """Return whether all intervals of a claim's new seeds are shorter than the paper's effect.

        ``part`` are the rows of `findings.comparisons` on one claim.
        """
        if not self.complete(data, claim):
            return False
        here = (self.compared["data"] == data) & (self.compared["claim"] == claim)
        known = self.compared[here].drop_duplicates("statement").set_index("statement")["effect"]
        lengths = (part["high"] - part["low"]).to_numpy()
        return bool((lengths < known.reindex(part["statement"]).to_numpy()).all())
