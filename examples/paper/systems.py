r"""Critic and bound of Deep InfoMax, CPC and CMC: claims that were stated before anything was run.

``sklearn-mi study paper --folder docs/paper --figure systems --steps 600 --seeds 8`` trains 26
settings on 20,000 rows of CIFAR10, 600 steps of 64 rows each by Adam, seeds 0 to 7. The settings
stand in `sklearn_mi.paper.figures`. This script reads the table and says of each claim whether it
holds; rows of fewer steps, or trained on fewer rows, do not count.

The lesson of Tschannen et al. (2020) is about two views and whole codes. It asks three things that
can be asked of these systems, too: does a larger critic make worse codes, does it make a tighter
bound, and does the size of the bound tell how good the codes are?

=====  ============================================================================================
claim  holds if
=====  ============================================================================================
S1     Deep InfoMax, each objective: D(encode-and-dot, concat-and-convolve) > 0 in accuracy
S2     CMC, each objective: D(bilinear, concat) > 0 in accuracy
S3     CMC, InfoNCE: D(concat, bilinear) < .05 nats in held-out InfoNCE
S4     CPC and CMC, each: over the settings of a seed the rank correlation of held-out InfoNCE with
       accuracy has a mean < .5
=====  ============================================================================================

D(a, b) is the mean over seeds of a minus b at step 600; objectives are InfoNCE,
Jensen-Shannon and Donsker-Varadhan. Accuracy is that of ``accuracy_converged``, a logistic
regression on all labels of the training rows. Held-out InfoNCE is ``infonce_test``, over blocks of
64 rows, which the settings of a system share. Each claim is a conjunction of one-sided t tests, at
.05 over the four claims by Holm's method, and stands on 8 seeds or more. One comparison that comes
out the other way on 8 seeds, at the level divided by the number of comparisons, is enough against
it: the others need not have run. Any verdict counts.

    python examples/paper/systems.py docs/paper/figure_systems.csv
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from findings import AS_TIGHT, FEWEST_SEEDS, Comparison
from scipy.stats import spearmanr

ALPHA = 0.05
OBJECTIVES = ("infonce", "js", "donsker-varadhan")
ACCURACY, BOUND = "accuracy_converged", "infonce_test"
UNRELATED = 0.5
DATA, STEPS = "cifar10", 600
N_SETTINGS = {"cpc": 6, "cmc": 9}


def cell(table: pd.DataFrame, column: str, system: str, critic: str, objective: str) -> pd.Series:
    """Return a column of one setting, by seed."""
    named = {"system": system, "critic": critic, "objective": objective}
    rows = table[(table[list(named)] == list(named.values())).all(axis=1)]
    return rows.set_index("seed")[column]


def better(table: pd.DataFrame, system: str, small: str, large: str) -> Iterator[Comparison]:
    """Yield that the codes of the smaller critic are better, for each objective."""
    for name in OBJECTIVES:
        ahead = cell(table, ACCURACY, system, small, name) - cell(
            table, ACCURACY, system, large, name
        )
        yield Comparison(f"{system}, {name}: accuracy, {small} - {large}", ahead)


def not_tighter(table: pd.DataFrame) -> Iterator[Comparison]:
    """Yield that the larger critic of CMC is not tighter."""
    large, small = (
        cell(table, BOUND, "cmc", critic, "infonce") for critic in ("concat", "bilinear")
    )
    yield Comparison("cmc: held-out InfoNCE, concat - bilinear", large - small, AS_TIGHT, True)


def unrelated(table: pd.DataFrame) -> Iterator[Comparison]:
    """Yield that the size of the bound does not tell the accuracy, in seeds that ran whole."""
    for system, n in N_SETTINGS.items():
        by_seed = table[table["system"] == system].groupby("seed")
        whole = {seed: rows for seed, rows in by_seed if len(rows) == n}
        ranks = pd.Series(
            {
                seed: spearmanr(rows[BOUND], rows[ACCURACY]).statistic
                for seed, rows in whole.items()
            },
            dtype=float,
        )
        yield Comparison(f"{system}: rank correlation", ranks, UNRELATED, below=True)


def claims(table: pd.DataFrame) -> dict[str, list[Comparison]]:
    """Return the comparisons of each claim, among the runs that were planned."""
    is_planned = (table["step"] == STEPS) & (table["data"] == DATA)
    last = table[is_planned].dropna(subset=[ACCURACY])
    return {
        "S1": [*better(last, "dim", "encode-and-dot", "concat-and-convolve")],
        "S2": [*better(last, "cmc", "bilinear", "concat")],
        "S3": [*not_tighter(last)],
        "S4": [*unrelated(last)],
    }


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a claim: the comparison that decides, its interval, and the verdict."""
    judged = {claim: judge(comparisons) for claim, comparisons in claims(table).items()}
    p = pd.DataFrame({claim: [one["p"] for one in pair] for claim, pair in judged.items()}).T
    holds, fails = (_by_holm(p[column]) <= ALPHA for column in p)
    rows = []
    for claim, (weakest, against) in judged.items():
        verdict = "holds" if holds[claim] else "does not hold" if fails[claim] else "undecided"
        rows.append({"claim": claim, **(against if fails[claim] else weakest), "verdict": verdict})
    return pd.DataFrame(rows).drop(columns=["dropped", "p_opposite"])


def judge(comparisons: list[Comparison]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weakest comparison for a claim, and the strongest against it, with their p.

    Too few seeds for either give it no p.
    """
    results = [comparison.result(ALPHA) for comparison in comparisons]
    enough = [result for result in results if result["n_seeds"] >= FEWEST_SEEDS]
    weakest = max(results, key=lambda result: (-result["n_seeds"], result["p"]))
    if len(enough) < len(results):
        weakest = {**weakest, "p": math.nan}
    if not enough:
        return weakest, {**weakest, "p": math.nan}
    against = min(enough, key=lambda result: result["p_opposite"])
    return weakest, {**against, "p": min(1.0, against["p_opposite"] * len(results))}


def _by_holm(p: pd.Series) -> pd.Series:
    """Return the p-values, corrected for their number; one that is missing counts as 1."""
    ordered = p.fillna(1.0).sort_values()
    scaled = ordered * np.arange(len(p), 0, -1)
    return scaled.cummax().clip(upper=1.0).reindex(p.index)


if __name__ == "__main__":
    print(verdicts(pd.read_csv(sys.argv[1])).to_string(index=False))
