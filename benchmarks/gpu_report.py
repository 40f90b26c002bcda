"""Tables out of the files of the benchmark on a GPU. A cell of what has not been run says so."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from gpu_record import DONE, FAILED, NOT_RUN, Record

Parts = Mapping[str, str]  # name and what it is


def write_tables(
    folder: Path,
    parts: Parts,
    cases: Iterable[tuple[str, int]],
    racers: Parts,
    levels: Iterable[float],
    steps_a_pass: int,
) -> list[pd.DataFrame]:
    """Write the tables, one a kind of part, beside the files, and return them."""
    records = {name: Record(folder / f"{name}.json") for name in parts}
    tables = {
        "runs": runs(records, parts),
        "steps": step_times(records["steps"], cases),
        "defaults": default_fits(records["defaults"]),
        "cifar10": times_to_accuracy(records, racers, tuple(levels)),
        "deep_infomax": by_passes(records["deep-infomax"], steps_a_pass),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return list(tables.values())


def runs(records: Mapping[str, Record], parts: Parts) -> pd.DataFrame:
    """Return what came out of each part, on which card."""
    rows = []
    for name, about in parts.items():
        record = records[name]
        has_run = record.status != NOT_RUN
        card, date = (record.head[key] if has_run else "" for key in ("card", "date"))
        rows.append((about, outcome(record), card, date[:10]))
    return pd.DataFrame(rows, columns=["part", "outcome", "card", "date"])


def outcome(record: Record) -> str:
    """Return the counts of tests, or else how a part ended."""
    if record.status == DONE and record.rows and "failures" in record.rows[0]:
        counts = record.rows[0]
        words = [f"{counts.get(word, 0)} {word}" for word in ("passed", "failed", "skipped")]
        return f"{', '.join(words)}; {counts.get('replayed', 0)} replayed a graph"
    return record.status


def step_times(record: Record, cases: Iterable[tuple[str, int]]) -> pd.DataFrame:
    """Return medians over rounds; a ratio is that of two loops in the same round."""
    found = {(row["net"], row["batch"]): row for row in record.rows}
    loops = {"by hand": "by hand", "graph": "by hand, one CUDA graph", "ours": "ours"}
    rows = []
    for net, batch in cases:
        row = {"network, batch": f"{net}, {batch:,}"}
        measured = found.get((net, batch))
        times = pd.DataFrame([] if measured is None else measured.get("ms", []))
        otherwise = NOT_RUN if measured is None else FAILED if times.empty else "none"
        for short, loop in loops.items():
            row[f"{short}, ms"] = median(times.get(loop), otherwise)
        if measured is not None and not measured.get("replays", 1):
            row["ours, ms"] += " (not recorded)"
        for short in ("by hand", "graph"):
            other = times.get(loops[short])
            ratio = None if other is None else times["ours"] / other
            row[f"ours / {short}"] = median(ratio, otherwise)
        rows.append(row)
    return pd.DataFrame(rows)


def median(values: Any, otherwise: str) -> str:
    return otherwise if values is None else f"{values.median():.2f}"


def default_fits(record: Record) -> pd.DataFrame:
    """Return seconds, steps and the accuracy by 20 nearest neighbours of each default fit."""
    found, rows = {row["data"]: row for row in record.rows}, []
    for data in ("digits", "MNIST", "CIFAR10"):
        row = found.get(data)
        word = FAILED if record.status == FAILED else NOT_RUN
        cells = dict.fromkeys(("seconds", "steps", "replayed", "accuracy"), word)
        if row is not None:
            numbers = (
                f"{row['seconds']:.1f}",
                row["steps"],
                row["replays"],
                f"{row['accuracy']:.3f}",
            )
            cells = dict(zip(cells, map(str, numbers), strict=True))
        rows.append({"data": data, **cells})
    return pd.DataFrame(rows)


def times_to_accuracy(
    records: Mapping[str, Record], racers: Parts, levels: tuple[float, ...]
) -> pd.DataFrame:
    """Return seconds of training until each accuracy was first found, and the best one."""
    rows = []
    for name, who in racers.items():
        record = records[name]
        readings = list(record.rows[0]["accuracy"]) if record.rows else [""]
        for reading in readings:
            name = f"{who}, {reading}" if reading else who
            rows.append({"who": name, **race(record, reading, levels)})
    return pd.DataFrame(rows)


def race(record: Record, reading: str, levels: tuple[float, ...]) -> dict[str, str]:
    if not record.rows:
        word = record.status if record.status == FAILED else NOT_RUN
        return dict.fromkeys([*(f"s to {level:.2f}" for level in levels), "best"], word)
    curve = [(row["seconds"], row["accuracy"][reading]) for row in record.rows]
    row = {}
    for level in levels:
        reached = [seconds for seconds, accuracy in curve if accuracy >= level]
        not_reached = "not reached" if record.status == DONE else "not yet"
        row[f"s to {level:.2f}"] = f"{reached[0]:.0f}" if reached else not_reached
    return {**row, "best": f"{max(accuracy for _, accuracy in curve):.3f}"}


HJELM = {"convolutional layer": "0.752", "dense layer": "0.756", "code": "0.691"}


def by_passes(record: Record, steps_a_pass: int) -> pd.DataFrame:
    """Return the accuracy of each layer after each number of passes, and that of the paper."""
    rows = [{"who": "Hjelm et al. (2019)", "passes": "1,000", "seconds": "", **HJELM}]
    for row in record.rows:
        facts = {"passes": f"{row['step'] / steps_a_pass:,.0f}", "seconds": f"{row['seconds']:.0f}"}
        found = {layer: f"{accuracy:.3f}" for layer, accuracy in row["accuracy"].items()}
        rows.append({"who": "ours", **facts, **found})
    if not record.rows:
        word = FAILED if record.status == FAILED else NOT_RUN
        rows.append(dict.fromkeys(rows[0], word) | {"who": "ours"})
    return pd.DataFrame(rows)
