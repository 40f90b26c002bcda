"""Tables of the feature benchmark out of its cells: accuracies, ours less each rival, verdicts."""

import os
import platform
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from bench_data import DATA
from contestants import OURS
from scipy.stats import t as student_t

from sklearn_mi.evaluation import differences, summarise

CONTEST = ["name", "labels_per_class"]
# Packages that take part in several settings.
BRIEF = ("UMAP", "lightly")
INTRO = """\
Accuracy with 1, 5, 20 and all labels a class. Nothing that is fitted sees test rows; transformers
see no labels. Readout: logistic regression or nearest neighbours, on a common, a column's own or no
scaling (fitted to all training rows), chosen by cross-validation of the labelled rows, for all
alike; classifiers take part as they are. Half intervals of 95 %: Student's t over folds, widened
for their overlap (Nadeau and Bengio, 2003). p: of the paired difference, Holm over its columns.
"""


def label_name(labels: float) -> str:
    return "all" if np.isinf(labels) else f"{labels:g}"


def in_common(table: pd.DataFrame, rival: str) -> pd.DataFrame:
    """Return ours and a rival on the folds that both have, so that a killed run has a table."""
    folds = ["seed", "fold"]
    both = table[table["name"] == OURS][folds].merge(table[table["name"] == rival][folds])
    pair = table[table["name"].isin([OURS, rival])]
    return pair.merge(both.drop_duplicates(), how="inner")


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """Return ours less each rival on one data set: mean, interval, standard error, p-values."""
    found = []
    for rival in table["name"].drop_duplicates():
        pair = in_common(table, rival)
        if rival != OURS and len(pair):
            n_folds = len(pair[["seed", "fold"]].drop_duplicates())
            found.append(differences(pair, OURS).assign(n_folds=n_folds))
    if not found:
        return pd.DataFrame()
    rivals = pd.concat(found, ignore_index=True)
    turned = rivals.assign(mean=-rivals["mean"], low=-rivals["high"], high=-rivals["low"])
    quantiles = student_t.ppf(0.975, turned["n_folds"] - 1)
    return turned.assign(stderr=(turned["high"] - turned["mean"]) / quantiles)


def accuracies(table: pd.DataFrame) -> pd.DataFrame:
    """Return means, intervals and seconds of everyone on one data set."""
    settings = table.groupby("name")["settings"].first()
    cells = table.drop_duplicates(["name", "seed", "fold"]).groupby("name")
    # The first fold of UMAP compiles for a minute.
    seconds = cells[["fit_seconds", "transform_seconds"]].median()
    found = summarise(table).assign(n_folds=lambda rows: rows["name"].map(cells.size()))
    return found.assign(settings=found["name"].map(settings)).join(seconds, on="name")


def wide(found: pd.DataFrame, form: str) -> pd.DataFrame:
    """Return a line for each name and a column for each number of labels."""
    p_values = found["p_holm"] if "p_holm" in found else [None] * len(found)
    # One fold has a mean, and no interval.
    text = [
        f"{mean:{form}}"
        + ("" if np.isnan(high) else f" ±{high - mean:.3f}")
        + ("" if p is None or np.isnan(p) else f" p {p:.2g}")
        for mean, high, p in zip(found["mean"], found["high"], p_values, strict=True)
    ]
    cells = found.assign(text=text, labels=found["labels_per_class"].map(label_name))
    names, columns = cells["name"].unique(), cells["labels"].unique()
    return cells.pivot(index="name", columns="labels", values="text").loc[names, columns]


def plain(table: pd.DataFrame) -> str:
    return table.rename_axis(index=None, columns=None).to_string()


def tuned_or_usual(name: str, settings: str, chosen: Collection[str]) -> str:
    """Say what a contestant ran with and where that is from."""
    if not settings:
        return "as it is"
    return f"{'tuned' if name in chosen else 'usual, not tuned'}: {settings}"


def about(
    data: str, table: pd.DataFrame, found: pd.DataFrame, chosen: Collection[str]
) -> list[str]:
    """Say what one data set is, who ran how often, and with which settings."""
    sizes = table[["n_train", "n_test"]].iloc[0]
    lines = [
        f"== {data} ==",
        f"{DATA[data].about}. {sizes['n_train']} rows to learn from, {sizes['n_test']} to test on; "
        f"{table['draw'].nunique()} draws of labels in each fold; seeds "
        f"{', '.join(map(str, sorted(table['seed'].unique())))}.",
    ]
    first = found.drop_duplicates("name").set_index("name")
    facts = first[["n_folds", "fit_seconds", "transform_seconds"]]
    heads = {"n_folds": "folds", "fit_seconds": "fit s", "transform_seconds": "transform s"}
    facts = facts.rename(columns=heads).round(2)
    kinds = [tuned_or_usual(name, settings, chosen) for name, settings in first["settings"].items()]
    return [*lines, "", plain(facts.assign(settings=kinds))]


def section(data: str, table: pd.DataFrame, chosen: Collection[str]) -> tuple[str, pd.DataFrame]:
    """Return the text on one data set, and its rows for the machine."""
    found = accuracies(table)
    parts = [
        *about(data, table, found, chosen),
        "",
        "accuracy, by labels a class",
        plain(wide(found, ".3f")),
    ]
    rows = found.assign(data=data)
    if OURS in set(table["name"]) and len(less := gains(table)):
        parts += ["", f"{OURS} less ...", plain(wide(less, "+.3f"))]
        columns = ["mean", "low", "high", "stderr", "p_value", "p_holm"]
        named = less.rename(columns={column: f"gain_{column}" for column in columns})
        mine = [*CONTEST, *(f"gain_{column}" for column in columns)]
        rows = rows.merge(named[mine], how="left", on=CONTEST)
    return "\n".join(parts), rows


def verdict_on_tables(rows: pd.DataFrame) -> str:
    """Say whether ours is ever worse than raw columns of a table, and better on average."""
    kinds = rows["data"].map(lambda name: DATA[name].kind)
    if "gain_mean" not in rows:
        return ""
    raw = rows[kinds.isin(["table", "mixed table"]) & (rows["name"] == "raw")].dropna(
        subset="gain_mean"
    )
    if raw.empty:
        return ""
    worse = raw[raw["gain_mean"] < -raw["gain_stderr"].fillna(0)]
    cases = [
        f"{d}, {label_name(n)}"
        for d, n in zip(worse["data"], worse["labels_per_class"], strict=True)
    ]
    listed = "; ".join(cases) if cases else "nowhere"
    return (
        f"Tables, ours less raw columns: {raw['gain_mean'].mean():+.3f} on average of {len(raw)} "
        f"columns; worse by more than a standard error {'at ' if cases else ''}{listed}.\n"
    )


def in_short(rows: pd.DataFrame) -> str:
    """Return a table in Markdown: ours / the best of the others at each number of labels."""
    labels = [label_name(n) for n in sorted(rows["labels_per_class"].unique())]
    lines = [f"| data | {' | '.join(labels)} |", "|---" * (1 + len(labels)) + "|"]
    for data, found in rows.groupby("data", sort=False):
        mine = found[found["name"] == OURS]
        # A rival that failed in some folds was not measured on the same rows.
        others = found[~found["name"].str.startswith(OURS) & found["n_folds"].isin(mine["n_folds"])]
        if others.empty:
            continue
        best = others.loc[others.groupby("labels_per_class")["mean"].idxmax()]
        numbers = zip(mine["mean"], best["mean"], best["name"], strict=True)
        cells = [duel(*each) for each in numbers]
        lines.append(f"| {str(data).replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def duel(mine: float, other: float, name: str) -> str:
    """Return both accuracies, the larger one in bold, and the name of the other."""
    texts = [f"{value:.3f}".removeprefix("0") for value in (mine, other)]
    bold = [f"**{text}**" if text == max(texts) else text for text in texts]
    package = next((brief for brief in BRIEF if brief in name), name)
    return f"{bold[0]} / {bold[1]} {package}"


def machine() -> str:
    """Return processor, cores and Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{model}, {os.cpu_count()} cores, one thread a fit; Python {platform.python_version()}"


def write_report(
    table: pd.DataFrame, notes: list[str], versions: str, chosen: Collection[str], out: Path
) -> str:
    """Write features.txt, .csv and, for the README, .md beside the cells, and return the text.

    `chosen` names those whose settings were tuned.
    """
    sections, commits = [], {}
    if len(table):
        by_data = table.groupby("data", sort=False)
        sections = [section(data, rows, chosen) for data, rows in by_data]
        ours = table[table["name"] == OURS]
        commits = {data: list(rows["commit"].unique()) for data, rows in ours.groupby("data")}
    rows = pd.concat([rows for _, rows in sections]) if sections else pd.DataFrame()
    mixed = [data for data, several in commits.items() if len(several) > 1]
    if mixed:
        what = f"folds of {OURS} on {', '.join(mixed)} are of several commits"
        notes = [*notes, f"MIXED: {what}; remove the older ones."]
    every = dict.fromkeys(commit for several in commits.values() for commit in several)
    facts = f"{OURS} as of {', '.join(every) or 'no commit'}. {versions}. {machine()}.\n"
    verdict = verdict_on_tables(rows) if sections else ""
    parts = [INTRO, facts, "".join(f"{note}\n" for note in notes), verdict]
    text = "\n".join([*filter(None, parts), *(f"{text}\n" for text, _ in sections)])
    out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(out / "features.csv", index=False)
    (out / "features.txt").write_text(text, encoding="utf-8")
    (out / "features.md").write_text(in_short(rows) if sections else "", encoding="utf-8")
    return text
