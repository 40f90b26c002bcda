"""Tables of the benchmarks of `MIEstimator`.

Those of `information_tasks.py` come out of its cells. Those of `information_coverage.py`,
`information_kinds.py`, `information_images.py` and `information_speed.py` come out of their CSV:
``python benchmarks/information_report.py`` prints what is there.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).resolve().parent / "results" / "information"
COLUMNS = ("task", "seed", "setting", "true_mi", "value", "stderr", "lower_limit", "how", "seconds")
# The tasks on which peers were measured, five samples each.
BESIDE_PEERS = (
    "1v1-normal-0.75",
    "1v1-additive-0.1",
    "multinormal-sparse-5-5-2-2.0",
    "student-identity-2-2-1",
    "spiral-multinormal-sparse-3-3-2-2.0",
    "multinormal-sparse-25-25-2-2.0",
    "asinh-student-identity-5-5-2",
)
STAIRS = "gaussian-20-"
LEVELS = (2.0, 6.0, 10.0)
ROTATED = tuple(f"rotated cubic-{STAIRS}{level}" for level in LEVELS)


def read_cells(out: Path) -> list[dict[str, Any]]:
    """Return every line of the folder's files, the last of those of one cell."""
    cells = {}
    for path in sorted(out.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # empty, or cut by a kill
            cells[row["task"], row["seed"], row["setting"]] = row
    return list(cells.values())


def write_report(out: Path) -> str:
    """Write tables of all cells to the folder, and return the text."""
    cells = read_cells(out)
    if not cells:
        return "no cells yet"
    table = pd.DataFrame(cells)
    table["error"] = table["value"] - table["true_mi"]
    flat = table[[name for name in (*COLUMNS, "error") if name in table]]
    flat.sort_values(["setting", "task", "seed"]).round(4).to_csv(out / "cells.csv", index=False)
    ours = table[table["setting"].isin(["default", "no offsets"])]
    parts = [
        *(summary(rows, str(name)) for name, rows in _beyond(ours).groupby("setting")),
        by_task(_beyond(ours)),
        stairs(ours),
        every_number(ours),
        beside_peers(table),
        machines(ours),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (out / "information.txt").write_text(text, encoding="utf-8")
    return text


def _beyond(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table[~table["task"].str.contains(STAIRS) & (table["seed"] < 3)])


def summary(rows: pd.DataFrame, setting: str) -> str:
    """Return the numbers in which all tasks of one setting come together."""
    errors = rows.groupby("task")["error"].apply(lambda e: e.abs().mean())
    distinct = rows[rows["task"] == rows["under_ranks"]]
    low, high = (rows["interval"].str[k] for k in (0, 1))
    truth = rows["true_mi"]
    above = rows["error"] > 2 * rows["stderr"]
    lines = {
        "tasks, task-samples": f"{len(errors)}, {len(rows)}",
        "median |error|, task-samples": f"{rows['error'].abs().median():.4f}",
        "mean |error| within .1": f"{(errors <= 0.1).sum()} of {len(errors)}",
        "the same, distinct tasks": _within(distinct),
        "value above truth + 2 standard errors": f"{above.mean():.1%} of task-samples, "
        f"{above[distinct.index].mean():.1%} of distinct ones",
        "interval holds the truth": f"{((low <= truth) & (truth <= high)).mean():.1%}",
        "lower limit above the truth": f"{(rows['lower_limit'] > truth).mean():.1%}",
        "refuted at 1 %": f"{(rows['refutation'].str['p_value'] < 0.01).mean():.1%}",
        "seconds, one core": f"median {rows['cpu_seconds'].median():.0f}, "
        f"largest {rows['cpu_seconds'].max():.0f}",
        "peak memory of a process, MB": f"{rows['peak_mb'].max():.0f}, "
        f"{rows['before_mb'].median():.0f} before the fit",
    }
    width = max(map(len, lines))
    body = "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())
    return f"{setting}, Beyond Normal\n\n{body}"


def _within(rows: pd.DataFrame) -> str:
    errors = rows.groupby("task")["error"].apply(lambda e: e.abs().mean())
    return f"{(errors <= 0.1).sum()} of {len(errors)}"


def by_task(rows: pd.DataFrame) -> str:
    """Return means over samples, a line a task, the settings side by side."""
    made = []
    for task, part in rows.groupby("task", sort=False):
        line: dict[str, Any] = {"task": task, "truth": f"{part['true_mi'].iloc[0]:.3f}"}
        for setting, cells in part.groupby("setting"):
            line[str(setting)] = _mean(cells["value"])
            if setting == "default":
                line["standard error"] = f"{cells['stderr'].mean():.3f}"
                line["lower limit"] = f"{cells['lower_limit'].mean():.3f}"
                line["how"] = cells["how"].mode()[0]
        made.append(line)
    return shown(pd.DataFrame(made)) if made else ""


def _mean(values: pd.Series) -> str:
    """Return a mean with the standard deviation over samples."""
    spread = f" +- {values.std():.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def shown(table: pd.DataFrame) -> str:
    """Return a table as text."""
    text = table.astype(object).where(table.notna(), "").to_string(index=False, justify="left")
    return "\n".join(line.rstrip() for line in text.splitlines())


def stairs(rows: pd.DataFrame) -> str:
    """Return the Gaussians of 20 + 20 columns."""
    rows = pd.DataFrame(
        rows[rows["task"].str.contains(STAIRS) & (rows["setting"] == "default")]
    ).copy()
    if rows.empty:
        return ""
    gaussian = rows["candidates"].map(lambda found: found["gaussian"]["mean_log_ratio"])
    rows["copula"] = gaussian
    made = [
        {
            "task": task,
            "truth": f"{part['true_mi'].iloc[0]:.0f}",
            "samples": len(part),
            "value": _mean(part["value"]),
            "largest |error|": f"{part['error'].abs().max():.3f}",
            "Gaussian copula": _mean(part["copula"]),
            "lower limit": f"{part['lower_limit'].mean():.2f}",
            "seconds": f"{part['cpu_seconds'].mean():.0f}",
            "peak MB": f"{part['peak_mb'].max():.0f}",
        }
        for task, part in rows.groupby("task", sort=False)
    ]
    values = rows.set_index(["task", "seed"])["value"]
    gaps = [
        abs(values[name, seed] - values["cubic-" + name, seed])
        for name, seed in values.index
        if ("cubic-" + name, seed) in values.index
    ]
    gap = f"\n\nlargest gap, plain to cubic: {max(gaps):.3f}" if gaps else ""
    return f"20 + 20 columns, default\n\n{shown(pd.DataFrame(made))}{gap}"


def every_number(rows: pd.DataFrame) -> str:
    """Return how each bound, both limits and the best guess err, over distinct tasks."""
    if rows.empty:
        return ""
    default = rows[(rows["setting"] == "default") & (rows["task"] == rows["under_ranks"])]
    stairs_too = rows[(rows["setting"] == "default") & rows["task"].str.contains(STAIRS)]
    rows = pd.concat([default, stairs_too]).drop_duplicates(["task", "seed"])
    if rows.empty:
        return ""
    numbers = {
        name: (rows["bounds"].map(lambda b, n=name: b[n]["value"]),
               rows["bounds"].map(lambda b, n=name: b[n]["stderr"]))
        for name in rows["bounds"].iloc[0]
    }  # fmt: skip
    numbers |= {
        "best guess": (rows["value"], rows["stderr"]),
        "lower limit": (rows["lower_limit"], 0 * rows["stderr"]),
        "certified limit": (rows["certified_limit"], 0 * rows["stderr"]),
    }
    made = []
    for name, (value, stderr) in numbers.items():
        error = value - rows["true_mi"]
        low, high = error.idxmin(), error.idxmax()
        made.append(
            {
                "number": name,
                "median error": f"{error.median():+.3f}",
                "above truth + 2 se": f"{(error > 2 * stderr).mean():.1%}",
                "lowest error": f"{error[low]:+.2f}  {rows['task'][low]}",
                "highest error": f"{error[high]:+.2f}  {rows['task'][high]}",
            }
        )
    head = f"every number, {len(rows)} samples of distinct tasks and 20 + 20 columns, default"
    return f"{head}\n\n{shown(pd.DataFrame(made))}"


def beside_peers(table: pd.DataFrame) -> str:
    """Return the tasks on which peers were measured: mean over samples, and its standard error."""
    made = []
    for task in (*BESIDE_PEERS, *ROTATED):
        part = table[table["task"] == task]
        if part.empty:
            continue
        line: dict[str, Any] = {"task": task, "truth": f"{part['true_mi'].iloc[0]:.3f}"}
        for setting, cells in part.groupby("setting", sort=False):
            stderr = cells["value"].std() / np.sqrt(len(cells)) if len(cells) > 1 else np.nan
            line[str(setting)] = f"{cells['value'].mean():.3f} ({stderr:.3f})"
        made.append(line)
    if not made:
        return ""
    rows = table[table["task"].isin(BESIDE_PEERS)]
    seconds = rows.groupby("setting")["seconds"].median()
    made.append({"task": "median seconds", **{str(k): f"{s:.0f}" for k, s in seconds.items()}})
    return f"mean over samples (its standard error)\n\n{shown(pd.DataFrame(made))}"


def machines(rows: pd.DataFrame) -> str:
    """Return where and with what the cells were fitted."""
    made = {
        f"{row.cpus} CPUs {row.machine}, {row.jobs} fits at a time, commit {row.commit}, "
        + ", ".join(f"{name} {number}" for name, number in row.versions.items())
        for row in rows.itertuples()
    }
    return "\n".join(sorted(made))


# Tables from CSV


def write_table(name: str, table: pd.DataFrame, out: Path) -> str:
    """Write ``name.csv`` and ``name.txt`` to the folder, and return the text."""
    out.mkdir(parents=True, exist_ok=True)
    # Large numbers keep no digits that nobody reads, small ones keep four that count.
    table.to_csv(out / f"{name}.csv", index=False, float_format="%.5g")
    text = text_of(name, out)
    (out / f"{name}.txt").write_text(text, encoding="utf-8")
    return text


def text_of(name: str, out: Path) -> str:
    """Return the table of ``name.csv`` as text."""
    # A commit may look like a number.
    commits = dict.fromkeys(("commit", "commits", "before"), str)
    return shown(TEXTS[name](pd.read_csv(out / f"{name}.csv", dtype=commits))) + "\n"


def coverage_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line a task."""
    return pd.DataFrame(
        {
            "task": rows["task"],
            "draws": rows["draws"],
            "truth": rows["truth"].map("{:.4f}".format),
            "mean": rows["mean"].map("{:.4f}".format),
            "sd": rows["sd"].map("{:.4f}".format),
            "width": rows["width"].map("{:.4f}".format),
            "interval holds": _shares(rows, "holds"),
            "limit below truth": _shares(rows, "below"),
            "p <= .05, no information": _shares(rows, "rejects"),
            "at least": rows["at_least"].map("{:.2f}".format),
            "s": rows["seconds"].map("{:.1f}".format),
            "below its bar": rows["below_bar"],
            "how": rows["how"],
        }
    )


def _shares(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return shares with their intervals."""
    if name not in rows:
        return pd.Series("", index=rows.index)
    text = [
        f"{share:.3f} ({low:.3f}, {high:.3f})" if share == share else ""
        for share, low, high in zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"],
                                    strict=True)
    ]  # fmt: skip
    return pd.Series(text, index=rows.index)


def kinds_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line a case and setting, over seeds."""
    made = []
    for (line, task, setting), part in rows.groupby(["line", "task", "setting"], sort=False):
        first = part.iloc[0]
        missed = part["misses"].dropna().astype(str).str.split(", ").explode()
        made.append(
            {
                "line": line,
                "case": task,
                "setting": setting,
                "truth": f"{first['truth']:.4g}",
                "value": f"{part['value'].mean():.4f}",
                "largest |error|": f"{(part['value'] - part['truth']).abs().max():.3f}",
                "ok": f"{part['ok'].sum()} of {len(part)}",
                "misses": ", ".join(f"{name} {n}" for name, n in missed.value_counts().items()),
                "s": f"{part['seconds'].max():.1f}",
                "how": first["how"],
            }
        )
    return pd.DataFrame(made)


def images_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line a fit."""
    return pd.DataFrame(
        {
            "pairs": rows["task"],
            "setting": rows["setting"],
            "seed": rows["seed"],
            "truth": rows["truth"],
            "value": rows["value"].map("{:.3f}".format),
            "interval": [
                f"{a:.2f} to {b:.2f}" for a, b in zip(rows["low"], rows["high"], strict=True)
            ],
            "limit": rows["limit"].map("{:.2f}".format),
            "at least": rows["at_least"],
            "reuse": rows["reuse"].map("{:.1f}".format),
            "minutes": (rows["seconds"] / 60).map("{:.1f}".format),
            **{name: rows[name].map("{:.3f}".format) for name in rows if name.startswith("bmi ")},
            "misses": rows["misses"],
            "how": rows["how"],
        }
    )


def speed_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Return medians over rounds, a line a case."""
    made = []
    for task, part in rows.groupby("task", sort=False):
        middle = part.median(numeric_only=True)
        made.append(
            {
                "case": task,
                "rounds": len(part),
                "bar s": f"{middle['bar']:.0f}",
                "s": f"{middle['seconds']:.2f}",
                "before s": f"{middle['before_seconds']:.2f}",
                "ratio": f"{middle['ratio']:.3f}",
                "CPU s": f"{middle['cpu_seconds']:.2f}",
                "before CPU s": f"{middle['before_cpu_seconds']:.2f}",
                "peak MB": f"{middle['peak_mb']:.0f}",
                "before peak MB": f"{middle['before_peak_mb']:.0f}",
                "value": f"{middle['value']:.3f}",
                "before": part["before"].iloc[-1],
            }
        )
    return pd.DataFrame(made)


TEXTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "coverage": coverage_text,
    "kinds": kinds_text,
    "images": images_text,
    "speed": speed_text,
}


if __name__ == "__main__":
    for table in TEXTS:
        if (RESULTS / table / f"{table}.csv").exists():
            print(f"{table}\n\n{text_of(table, RESULTS / table)}")
