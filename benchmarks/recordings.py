"""What features of recordings are worth with few labels: ours beside raw steps, PCA and peers.

``python benchmarks/recordings.py --jobs 2`` fits what is missing on the sets that aeon ships (they
lie inside its wheel), appends a line for each fold to ``cells.jsonl`` in the folder ``--out``, and
writes ``recordings.csv`` and ``recordings.txt``. A killed run goes on where it was. ``--estimate``
says what is left, ``--report`` writes the tables alone. It runs in an environment that has the
peers of requirements-peers.txt; one that is missing is left out, and told.

In each fold whatever is fitted sees the training recordings alone, without labels. Then 1, 5 or all
recordings of each class get a label, ten draws, and one logistic regression classifies the test
recordings, the same for all. Its columns are scaled to deviation 1, but for PCA, which keeps its
proportions. Features that depend on no other recording are computed once, and kept in ``--cache``.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import json
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_data import package_commit, versions
from features_report import label_name, machine
from hierarchical import HierarchicalContrast
from information_report import read_cells
from information_tasks import Cell, attempt, forget_peak, peak_mb
from joblib import Parallel, delayed
from scipy.stats import ttest_1samp
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, differences, summarise

RESULTS = Path(__file__).resolve().parent / "results" / "recordings"
CACHE = Path(tempfile.gettempdir()) / "sklearn-mi-recordings"
DATA = (
    "BasicMotions",
    "JapaneseVowels",
    "ItalyPowerDemand",
    "GunPoint",
    "OSULeaf",
    "ACSF1",
    "PickupGestureWiimoteZ",
)
OURS = "MIRepresentationLearner"
LABELS = (1, 5, None)
N_FOLDS = 5
N_DRAWS = 10
SEED = 10
LEAST_STEPS = 9  # a kernel of MiniRocket
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy", "aeon", "tsfresh")


@lru_cache(maxsize=1)
def recordings_of(data: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return all recordings of a set, (time_i, channels) each, and their classes."""
    from aeon.datasets import load_classification

    X, y = load_classification(data)
    return [np.ascontiguousarray(np.transpose(recording)) for recording in X], np.asarray(y)


# Who takes part: transformers of lists of recordings


class Padded(TransformerMixin, BaseEstimator):
    """Recordings as rows: each channel of mean 0 and deviation 1, zero once one has ended."""

    def fit(self, X: list[np.ndarray], y: None = None) -> Any:
        steps = np.concatenate(X)
        self.length_ = max(map(len, X))
        self.mean_, self.deviation_ = steps.mean(axis=0), steps.std(axis=0)
        self.deviation_[self.deviation_ == 0] = 1.0
        return self

    def transform(self, X: list[np.ndarray]) -> np.ndarray:
        rows = np.zeros((len(X), self.length_, len(self.mean_)))
        for row, recording in zip(rows, X, strict=True):
            kept = recording[: self.length_]
            row[: len(kept)] = (kept - self.mean_) / self.deviation_
        return rows.reshape(len(X), -1)


class Rocket(TransformerMixin, BaseEstimator):
    """MiniRocket of aeon, which takes recordings of one length: shorter ones end in zeros."""

    def __init__(self, random_state: int):
        self.random_state = random_state

    def fit(self, X: list[np.ndarray], y: None = None) -> Any:
        from aeon.transformations.collection.convolution_based import MiniRocket

        self.length_ = max(LEAST_STEPS, *map(len, X))
        self.rocket_ = MiniRocket(random_state=self.random_state).fit(self._one_length(X))
        return self

    def transform(self, X: list[np.ndarray]) -> np.ndarray:
        return np.asarray(self.rocket_.transform(self._one_length(X)))

    def _one_length(self, X: list[np.ndarray]) -> np.ndarray:
        made = np.zeros((len(X), X[0].shape[1], self.length_), dtype=np.float32)
        for row, recording in zip(made, X, strict=True):
            kept = recording[: self.length_].T
            row[:, : kept.shape[1]] = kept
        return made


def catch22(X: list[np.ndarray]) -> np.ndarray:
    """Return catch22 with mean and deviation, as the classifier of aeon takes them."""
    from aeon.transformations.collection.feature_based import Catch22

    made = Catch22(catch24=True, outlier_norm=True, replace_nans=True)
    return np.asarray(made.fit_transform([recording.T for recording in X]))


def tsfresh(X: list[np.ndarray]) -> np.ndarray:
    """Return tsfresh's efficient set; what it cannot compute is 0."""
    from tsfresh import extract_features
    from tsfresh.feature_extraction import EfficientFCParameters

    lengths = list(map(len, X))
    long = pd.DataFrame(np.concatenate(X)).rename(columns=str)
    long["recording"] = np.repeat(np.arange(len(X)), lengths)
    long["step"] = np.concatenate([np.arange(length) for length in lengths])
    found = extract_features(
        long,
        column_id="recording",
        column_sort="step",
        default_fc_parameters=EfficientFCParameters(),
        disable_progressbar=True,
        n_jobs=0,
    )
    return np.nan_to_num(found.to_numpy(dtype=np.float64), posinf=0.0, neginf=0.0)


class Contestant(NamedTuple):
    """How one is made from a seed, and how its features are scaled before the probe."""

    make: Callable[[int], Any]
    scale: str = "column"
    needs: str | None = None
    # A function of one recording: it learns nothing.
    by_row: Callable[[list[np.ndarray]], np.ndarray] | None = None


def of_each(function: Callable[[list[np.ndarray]], np.ndarray], needs: str) -> Contestant:
    return Contestant(lambda seed: FunctionTransformer(function), needs=needs, by_row=function)


CONTESTANTS = {
    OURS: Contestant(lambda seed: MIRepresentationLearner(random_state=seed)),
    "raw": Contestant(lambda seed: Padded()),
    "PCA": Contestant(
        lambda seed: make_pipeline(Padded(), PCA(0.95, svd_solver="full")), scale="common"
    ),
    "catch22": of_each(catch22, "aeon"),
    "MiniRocket": Contestant(Rocket, needs="aeon"),
    "tsfresh": of_each(tsfresh, "tsfresh"),
    "TS2Vec (in our parts)": Contestant(HierarchicalContrast),
}


# A cell: one contestant on one fold


class Numbered(BaseEstimator):
    """A transformer of the numbers of recordings, which notes its seconds and memory.

    `compare` takes rows as an array; recordings of unequal lengths are none.
    """

    notes: dict[str, float] = {}  # noqa: RUF012, filled by the fit of a cell

    def __init__(self, estimator: Any, data: str, kept: dict[str, Any] | None = None):
        self.estimator = estimator
        self.data = data
        self.kept = kept

    def fit(self, rows: np.ndarray, y: None = None) -> Any:
        if self.kept is None:
            X = self._recordings(rows)
            self.notes["before_mb"], start = forget_peak(), time.perf_counter()
            self.fitted_ = clone(self.estimator).fit(X)
            self.notes["fit_seconds"] = time.perf_counter() - start
            self.notes["peak_mb"] = peak_mb()
        else:
            self.notes.update(fit_seconds=0.0, **self.kept["notes"])
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Return features; the seconds are those of a recording."""
        if self.kept is not None:
            return self.kept["features"][rows.ravel()]
        X, start = self._recordings(rows), time.perf_counter()
        features = np.asarray(self.fitted_.transform(X))
        self.notes["transform_seconds"] = (time.perf_counter() - start) / len(X)
        return features

    def _recordings(self, rows: np.ndarray) -> list[np.ndarray]:
        X, _ = recordings_of(self.data)
        return [X[row] for row in rows.ravel()]


def kept_features(data: str, name: str, cache: Path) -> dict[str, Any] | None:
    """Return features of every recording, computed once; None if they depend on the fold."""
    by_row = CONTESTANTS[name].by_row
    if by_row is None:
        return None
    path = cache / f"{data}-{name}.npz"
    if not path.exists():
        X, _ = recordings_of(data)
        by_row(X[:2])  # what is compiled at the first call
        before, start = forget_peak(), time.perf_counter()
        features = by_row(X)
        seconds = (time.perf_counter() - start) / len(X)
        cache.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(draft, features=features, notes=[seconds, peak_mb(), before])
        draft.replace(path)
    with np.load(path) as found:
        seconds, peak, before = found["notes"].tolist()
        notes = {"transform_seconds": seconds, "peak_mb": peak, "before_mb": before}
        return {"features": found["features"], "notes": notes}


def measured(cell: Cell, cache: Path = CACHE, n_draws: int = N_DRAWS) -> dict[str, Any]:
    """Fit and probe one contestant on one fold; the cell's seed is the fold."""
    contestant, (_, y) = CONTESTANTS[cell.setting], recordings_of(cell.task)
    kept = kept_features(cell.task, cell.setting, cache)
    numbered = Numbered(contestant.make(SEED), cell.task, kept)
    Numbered.notes.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = compare(
            {cell.setting: numbered},
            np.arange(len(y))[:, None],
            y,
            labels_per_class=LABELS,
            n_folds=N_FOLDS,
            n_draws=n_draws,
            probes=("logistic",),
            scales=(contestant.scale,),
            only_folds=[cell.seed],
            random_state=SEED,
        )
    sizes = {name: int(table[name].iloc[0]) for name in ("n_train", "n_test", "n_left_out")}
    scores = table[["labels_per_class", "draw", "n_labelled", "accuracy"]]
    scores = scores.assign(labels_per_class=scores["labels_per_class"].map(label_name))
    return {
        **cell._asdict(),
        **sizes,
        **{name: round(value, 5) for name, value in Numbered.notes.items()},
        "scores": scores.to_dict("records"),
    }


def run(
    cells: Iterable[Cell],
    asked: argparse.Namespace,
    work: Callable[[Cell], dict[str, Any]],
    packages: Iterable[str] = PACKAGES,
) -> None:
    """Do cells in order, and append each to the file as soon as it is there."""
    asked.out.mkdir(parents=True, exist_ok=True)
    around = {"commit": package_commit(), "versions": versions(packages), "jobs": asked.jobs}
    parallel = Parallel(
        n_jobs=asked.jobs, batch_size=1, pre_dispatch="2 * n_jobs", return_as="generator_unordered"
    )
    with (asked.out / "cells.jsonl").open("a", encoding="utf-8") as file:
        for row in parallel(delayed(attempt)(cell, work) for cell in cells):
            where = f"{row['task']}, {row['setting']}, {row['seed']}"
            if "failed" in row:
                print(where, row["failed"], flush=True)
                continue
            # The line break comes first: a line cut by a kill must not spoil the next one.
            file.write("\n" + json.dumps({**row, **around}))
            file.flush()
            print(f"{where}: {row['fit_seconds']:.2f} s", flush=True)


# Tables


def long_table(cells: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each draw of labels, as `compare` gives it."""
    rows = [
        {
            "data": cell["task"],
            "name": cell["setting"],
            "fold": cell["seed"],
            "probe": "logistic",
            "scale": CONTESTANTS[cell["setting"]].scale,
            **{name: cell[name] for name in ("n_train", "n_test", "n_left_out")},
            **score,
            "labels_per_class": float(score["labels_per_class"].replace("all", "inf")),
        }
        for cell in cells
        for score in cell["scores"]
    ]
    return pd.DataFrame(rows)


def costs(cells: list[dict[str, Any]]) -> pd.DataFrame:
    """Return means over folds of seconds and memory, by data and name.

    The seconds of training are those of the fit and of the features of the training recordings.
    """
    rows = pd.DataFrame(
        {
            "data": cell["task"],
            "name": cell["setting"],
            "n_folds": 1,
            "train_seconds": cell["fit_seconds"] + cell["n_train"] * cell["transform_seconds"],
            "test_ms": 1e3 * cell["transform_seconds"],
            "peak_mb": cell["peak_mb"],
            "before_mb": cell["before_mb"],
            "commit": cell["commit"],
        }
        for cell in cells
    )
    how = dict.fromkeys(("train_seconds", "test_ms", "peak_mb", "before_mb"), "mean")
    joined = {"n_folds": "sum", "commit": lambda found: " ".join(sorted(set(found)))}
    return rows.groupby(["data", "name"], sort=False).agg({**joined, **how}).reset_index()


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """Return ours less each rival on one set: mean, standard error over folds, Holm's p."""
    mine = table[table["name"] == OURS]
    whole = [
        rival
        for rival, rows in table.groupby("name")
        if rival != OURS and set(rows["fold"]) == set(mine["fold"])
    ]
    if mine.empty or not whole:
        return pd.DataFrame()
    both = table[table["name"].isin([OURS, *whole])]
    # Rivals at one number of labels are a family.
    found = differences(both, OURS, families=("labels_per_class",))
    folds = both.groupby(["name", "labels_per_class", "fold"])["accuracy"].mean().unstack("fold")
    less = folds.loc[OURS].reindex(folds.index, level="labels_per_class") - folds
    error = less.std(axis=1, ddof=1) / math.sqrt(folds.shape[1])
    keys = pd.MultiIndex.from_frame(found[["name", "labels_per_class"]])
    return pd.DataFrame(
        {
            "name": found["name"],
            "labels_per_class": found["labels_per_class"],
            "gain": -found["mean"],
            "gain_stderr": error.reindex(keys).to_numpy(),
            "gain_p_holm": found["p_holm"],
        }
    )


def by_set(cells: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each set, contestant and number of labels."""
    table, parts = long_table(cells), []
    for data, rows in table.groupby("data", sort=False):
        means = summarise(rows)[["name", "labels_per_class", "mean", "low", "high"]]
        less = gains(rows)
        if len(less):
            means = means.merge(less, how="left", on=["name", "labels_per_class"])
        parts.append(means.assign(data=data))
    made = pd.concat(parts, ignore_index=True).merge(costs(cells), on=["data", "name"])
    # Ranks only where all stand on the same folds.
    ranked = made[made["n_folds"] == made.groupby("data")["n_folds"].transform("max")]
    ranks = ranked.groupby(["data", "labels_per_class"])["mean"].rank(ascending=False)
    return made.assign(rank=ranks)


def paired_p(less: pd.DataFrame) -> pd.Series:
    """Return p-values of t of each column's mean, by Holm over the columns."""
    several = {name: less[name].dropna() for name in less if less[name].count() > 1}
    p_values = pd.Series({name: ttest_1samp(values, 0.0)[1] for name, values in several.items()})
    ordered = p_values.astype(float).sort_values()
    return (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1.0)


def over_sets(rows: pd.DataFrame, labels: float) -> pd.DataFrame:
    """Return mean accuracy, rank and difference to ours over sets, at one number of labels."""
    here = rows[rows["labels_per_class"] == labels]
    means = here.pivot(index="data", columns="name", values="mean")
    ranks = here.pivot(index="data", columns="name", values="rank").mean()
    made = pd.DataFrame({"sets": means.count(), "mean": means.mean(), "rank": ranks})
    if OURS in means:
        less = means.rsub(means[OURS], axis=0).drop(columns=OURS)
        made["ours less it"], made["standard error"] = less.mean(), less.sem()
        made["p (Holm)"] = paired_p(less)
    return made.sort_values("rank").rename_axis(None)


def behind_raw(rows: pd.DataFrame) -> str:
    """Say where ours is behind raw steps by more than a standard error."""
    raw = rows[rows["name"] == "raw"]
    if "gain" not in raw:
        return "No set has ours and raw."
    behind = raw[raw["gain"] < -raw["gain_stderr"]]
    where = [
        f"{data} at {label_name(labels)} ({gain:+.3f} ± {error:.3f})"
        for data, labels, gain, error in behind[
            ["data", "labels_per_class", "gain", "gain_stderr"]
        ].itertuples(index=False)
    ]
    return f"Behind raw by more than a standard error: {', '.join(where) or 'nowhere'}."


def write_report(out: Path) -> str:
    """Write the tables to the folder, and return the text."""
    cells = [cell for cell in read_cells(out) if cell["setting"] in CONTESTANTS]
    if not cells:
        return "no cells yet"
    rows = by_set(cells)
    order = {name: k for k, name in enumerate([*DATA, *CONTESTANTS])}
    keys = ["data", "labels_per_class", "name"]
    rows = rows.sort_values(keys, key=lambda column: column.map(lambda one: order.get(one, one)))
    commits = sorted({cell["commit"] for cell in cells if cell["setting"] == OURS})
    draws = max(score["draw"] for cell in cells for score in cell["scores"]) + 1
    parts = [
        f"{OURS} as of {', '.join(commits) or 'no commit'}. {cells[-1]['versions']}. {machine()}.",
        f"{N_FOLDS} folds, {draws} draws of labels. Differences over sets: t over sets, Holm over "
        "rivals.",
        behind_raw(rows),
    ]
    if len(commits) > 1:
        parts.append(f"MIXED: cells of {OURS} are of several commits; remove the older ones.")
    for labels in sorted(rows["labels_per_class"].unique()):
        parts.append(
            f"{label_name(labels)} labels a class, over sets\n" + shown(over_sets(rows, labels))
        )
        here = rows[rows["labels_per_class"] == labels]
        parts.append("accuracy\n" + shown(here.pivot(index="name", columns="data", values="mean")))
    for what in ("train_seconds", "peak_mb"):
        first = rows.drop_duplicates(["data", "name"])
        parts.append(f"{what}\n" + shown(first.pivot(index="name", columns="data", values=what), 2))
    text = "\n\n".join(parts) + "\n"
    rows.round(5).to_csv(out / "recordings.csv", index=False)
    (out / "recordings.txt").write_text(text, encoding="utf-8")
    return text


def shown(table: pd.DataFrame, digits: int = 3) -> str:
    return table.rename_axis(index=None, columns=None).round(digits).to_string()


# The command


def options(
    doc: str | None, data: Iterable[str], names: Iterable[str], out: Path
) -> argparse.ArgumentParser:
    """Return a parser of what decoding.py takes, too."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=[*data], default=[*data])
    parser.add_argument("--only", nargs="+", choices=[*names], default=[*names], metavar="NAME")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--estimate", action="store_true", help="say what is left, fit nothing")
    parser.add_argument("--report", action="store_true", help="write the tables, fit nothing")
    return parser


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__, DATA, CONTESTANTS, RESULTS)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--draws", type=int, default=N_DRAWS, help="of labels in each fold")
    parser.add_argument("--cache", type=Path, default=CACHE, help="of features of each recording")
    return parser.parse_args(arguments)


def estimate(left: list[Cell], done: list[dict[str, Any]]) -> str:
    """Say what is left, and how long it takes by the cells of the same set and contestant."""
    known = pd.DataFrame(done)
    hours = 0.0
    if len(known):
        seconds = (
            known["fit_seconds"] + (known["n_train"] + known["n_test"]) * known["transform_seconds"]
        )
        means = seconds.groupby([known["task"], known["setting"]]).mean()
        hours = sum(means.get((cell.task, cell.setting), 0.0) for cell in left) / 3600
    return f"{len(left)} cells are left, {hours:.2f} core hours of fits of those that are known"


def installed(needs: dict[str, str | None]) -> list[str]:
    """Return those whose package is there, and tell of the others."""
    missing = {name: need for name, need in needs.items() if need and not find_spec(need)}
    for name, need in missing.items():
        print(f"{name} is left out: {need} is not installed.")
    return [name for name in needs if name not in missing]


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    asked = parsed(arguments)
    here = [
        name for name in asked.only if (need := CONTESTANTS[name].needs) is None or find_spec(need)
    ]
    for name in asked.only:
        if name not in here:
            print(f"{name} is left out: {CONTESTANTS[name].needs} is not installed.")
    done = read_cells(asked.out)
    there = {(row["task"], row["seed"], row["setting"]) for row in done}
    cells = [Cell(data, fold, name) for data in asked.data for name in here for fold in asked.folds]
    left = [cell for cell in cells if cell not in there]
    print(estimate(left, done), flush=True)
    if asked.estimate:
        return
    if not asked.report:
        run(left, asked, partial(measured, cache=asked.cache, n_draws=asked.draws))
    print(write_report(asked.out))


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from recordings import main as run_main

    run_main()
