"""Write what has been reproduced: ``python examples/paper/report.py [FOLDER]``.

Reads the tables ``figure_*.csv`` of a folder, by default ``docs/paper``, that ``sklearn-mi study
paper`` has written, and writes beside them what the page on the paper offers: what was run
(``coverage.txt``), ours against the digitised curves (``figures.txt``), the claims under the
paper's probe and under a converged one (``verdicts*.txt``), bounds on training batches and on
untouched rows (``gaps.txt``), what critics differ by under either probe (``probes.txt``),
``beyond.txt``, ``label_free.txt``, the claims about other systems (``verdicts_systems.csv``); and a
picture of each figure. Where the folder has a plan of new
seeds (`plan.py`), these decide about the claims that they were planned for.
"""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import label_free
import numpy as np
import pandas as pd
import systems
from curves import PICTURES, TABLES, compare, draw, read_table
from findings import k_pair_rows, to_rst, verdicts
from planned import PLAN, Planned
from scipy import stats

from sklearn_mi.datasets import toy_ceiling, toy_true_mi

FIGURES = ("1", "1c", "2", "3", "4", "4c", "8", "9")
BEYOND = (
    "accuracy",
    "accuracy_converged",
    "accuracy_1_labels",
    "accuracy_5_labels",
    "accuracy_20_labels",
    "accuracy_100_labels",
    "v_information",
    "v_information_mlp",
    "bound_train",
    "bound_test",
    "fresh_bound",
    "alignment",
    "uniformity",
    "effective_rank",
)


def half_interval(values: pd.Series) -> float:
    """Return half of a 95 % interval over seeds, by Student's t."""
    values = values.dropna()
    if len(values) < 2:
        return np.nan
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def spread(values: pd.Series, digits: int = 3) -> str:
    """Return mean and half of an interval as text."""
    half = half_interval(values)
    shown = f"{values.mean():.{digits}f}"
    return shown if np.isnan(half) else f"{shown} ±{half:.{digits}f}"


def figures(tables: dict[str, pd.DataFrame]) -> str:
    """Return ours against the digitised curves, figure by figure, and how much of it agrees."""
    parts = []
    for name in (name for name in FIGURES if name in tables and name != "4c"):
        found = compare(tables[name], import_module(f"figure_{name}").PANELS)
        # Of the percentiles of a condition number one says enough.
        judged = found["within"].dropna().astype(bool)
        head = f"Figure {name}"
        if len(judged):
            found = found[found["within"].notna() | (found["curve"] == "p40")]
            head += f": {judged.sum()} of {len(judged)} points within what is allowed"
        shown = found.assign(within=found["within"].map({True: "yes", False: "NO"}).fillna("-"))
        numbers = ["paper", "ours", "sd", "difference", "allowed"]
        parts.append(f"{head}\n\n{shown.round(dict.fromkeys(numbers, 3)).to_string(index=False)}")
    if "4c" in tables:
        parts.append(f"Figure 4c: mean over the last quarter of the steps\n\n{toy(tables['4c'])}")
    return "\n\n".join(parts) + "\n"


def toy(table: pd.DataFrame) -> str:
    """Return the bounds of the toy beside the paper's, which are one run's, smoothed."""
    late = table[table["step"] >= 0.75 * table["step"].max()]
    found = late.groupby(["objective", "iid", "seed"])["bound_train"].mean().reset_index()
    paper = {("infonce", 0): 0.190, ("nwj", 0): 0.097, ("infonce", 1): 0.020, ("nwj", 1): 0.020}
    rows = [
        {
            "objective": objective,
            "batches": "independent" if iid else "dependent",
            "true MI": round(toy_true_mi(), 4),
            "ceiling": round(toy_true_mi() if iid else toy_ceiling(128), 4),
            "paper": paper[objective, int(iid)],
            "ours": spread(cells["bound_train"], 4),
            "seeds": len(cells),
        }
        for (objective, iid), cells in found.groupby(["objective", "iid"])
    ]
    return pd.DataFrame(rows).to_string(index=False)


def coverage(tables: dict[str, pd.DataFrame]) -> str:
    """Return which steps and how many seeds stand in the tables, as a list."""
    lines = []
    for name, table in tables.items():
        ran = table[table["error"].isna() | (table["error"] == "")]
        runs = ran.groupby(["learner", "data", "seed"])["seconds"].max()
        seeds = runs.groupby(["learner", "data"]).size()
        count = " to ".join(str(n) for n in sorted({seeds.min(), seeds.max()}))
        failed = f"; {len(table) - len(ran)} failed" if len(table) > len(ran) else ""
        lines.append(
            f"* {name}: {ran['learner'].nunique()} learners to step {ran['step'].max():,}, {count} "
            f"seeds, {runs.sum() / 3600:.1f} hours of one core{failed}"
        )
    return "\n".join(lines) + "\n"


def gaps(table: pd.DataFrame) -> str:
    """Return by how much bounds on training batches exceed those on untouched rows."""
    last = table[table["step"] == table["step"].max()]
    rows = []
    for (objective, critic), cells in last.groupby(["objective", "critic"], sort=False):
        pair = cells[["bound_train", "bound_test"]].dropna()
        rows.append(
            {
                "objective": objective,
                "critic": critic,
                "step": int(cells["step"].iloc[0]),
                "seeds": len(pair),
                "training": spread(pair["bound_train"]),
                "untouched": spread(pair["bound_test"]),
                "difference": spread(pair["bound_train"] - pair["bound_test"]),
            }
        )
    return pd.DataFrame(rows).to_string(index=False) + "\n"


def probes(table: pd.DataFrame) -> str:
    """Return what the bilinear critic is ahead of each other one by, under either probe."""
    last = table[table["step"] == table["step"].max()]
    rows = []
    for objective, cells in last.groupby("objective", sort=False):
        for rival in ("separable", "concat"):
            row = {"objective": objective, "bilinear less": rival}
            for probe in ("accuracy", "accuracy_converged"):
                wide = cells.pivot(index="seed", columns="critic", values=probe)
                ahead = (wide["bilinear"] - wide[rival]).dropna()
                row |= {"seeds": len(ahead), probe: spread(ahead, 4)}
            rows.append(row)
    return pd.DataFrame(rows).to_string(index=False) + "\n"


def beyond(table: pd.DataFrame) -> str:
    """Return a column a setting, a row a measure."""
    last = table[table["step"] == table["step"].max()]
    facts = ["objective", "critic", "encoder", "sharing", "batch"]
    base = last[facts].mode().iloc[0]
    columns = {}
    for _, cells in last.groupby(facts, sort=False):
        changed = [str(cells[f].iloc[0]) for f in facts if cells[f].iloc[0] != base[f]]
        columns[" ".join(changed) or "base"] = [spread(cells[name]) for name in BEYOND]
    return pd.DataFrame(columns, index=list(BEYOND)).T.to_string() + "\n"


def without_labels(table: pd.DataFrame) -> str:
    """Return the summary of criteria without labels, and the regret of chance."""
    n_settings = len(table[table["step"] > 0].drop_duplicates(["learner", "data", "step"]))
    head = f"{n_settings} settings, {table['seed'].nunique()} seeds\n\n"
    found = label_free.summary(table).round(3).to_string(index=False)
    chance = label_free.of_chance(table).round(3).to_string()
    return f"{head}{found}\n\nregret of a setting drawn at random\n\n{chance}\n"


def by_converged_probe(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the accuracies of the converged probe."""
    return table.assign(accuracy=table["accuracy_converged"]) if len(table) else table


def main() -> None:
    """Write every part that there is a table for."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else TABLES
    pictures = PICTURES if folder == TABLES else folder
    tables = {
        path.stem.removeprefix("figure_"): read_table(path)
        for path in sorted(folder.glob("figure_*.csv"))
    }
    drawn = [name for name in FIGURES if name in tables]
    parts = {
        "coverage": coverage(tables),
        "figures": figures(tables),
    }
    judged = pd.concat([*(tables[name] for name in drawn), k_pair_rows()])
    plan = folder / PLAN.name
    planned = Planned.read(plan) if plan.exists() else None
    found = verdicts(judged, planned=planned)
    parts["verdicts"] = to_rst(found)
    if "accuracy_converged" in judged:
        again = planned and replace(planned, new=by_converged_probe(planned.new))
        parts["verdicts_converged"] = to_rst(verdicts(by_converged_probe(judged), planned=again))
    if {"8", "9"} & set(tables):
        parts["verdicts_cifar10"] = to_rst(verdicts(judged, data="cifar10", planned=planned))
    if "3" in tables:
        parts["gaps"] = gaps(tables["3"])
        if "accuracy_converged" in tables["3"]:
            parts["probes"] = probes(tables["3"])
    if "beyond" in tables:
        parts["beyond"] = beyond(tables["beyond"])
    if "label-free" in tables:
        parts["label_free"] = without_labels(tables["label-free"])
    if "systems" in tables:
        judged = systems.verdicts(tables["systems"])
        judged.to_csv(folder / "verdicts_systems.csv", index=False, float_format="%.6g")
    for name, text in parts.items():
        (folder / f"{name}.txt").write_text(text)
    for name in drawn:
        panels = import_module(f"figure_{name}").PANELS
        draw(tables[name], panels, pictures / f"figure_{name}.png")
    print(parts["figures"])
    shown = ["claim", "judged_on", "statement", "estimate", "low", "high", "p", "verdict"]
    print(found[shown].to_string(index=False))


if __name__ == "__main__":
    main()
