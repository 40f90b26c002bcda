"""What codes of recordings tell of what drives them: ours beside PCA, ICA and CEBRA-Time.

``python benchmarks/decoding.py`` simulates place cells and Lorenz systems in noise (60 channels,
6,000 steps in three recordings), learns from two recordings without the target, and decodes the
third by ridge regression and nearest neighbours that are fitted to the codes of the two. It appends
a line for each fit to ``cells.jsonl`` in the folder ``--out``, and writes ``decoding.csv`` and
``decoding.txt``. A killed run goes on where it was. ``--estimate`` says what is left, ``--report``
writes the tables alone. CEBRA and ours train for the same ``--steps``, in batches of the same size.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from information_report import read_cells
from information_tasks import Cell, forget_peak, peak_mb
from recordings import installed, options, paired_p, run, shown
from sklearn.decomposition import PCA, FastICA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_lorenz, make_place_cells, windows
from sklearn_mi.views import TimeLag

RESULTS = Path(__file__).resolve().parent / "results" / "decoding"
DATA = {"place cells": make_place_cells, "Lorenz": make_lorenz}
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy", "cebra")
N_RECORDINGS = 3
N_COMPONENTS = 8
BATCH = 512
LAG = 10
WINDOW = 10
CPC_LENGTH = 100
SEEDS = (0, 1, 2, 3, 4)
N_STEPS = 1000

Recordings = list[np.ndarray]
# Codes of the steps of recordings.
Encode = Callable[[Recordings], Recordings]


# Who takes part: functions of the recordings to learn from, a seed and a number of steps


def raw(X: Recordings, seed: int, n_steps: int) -> Encode:
    return lambda parts: parts


def with_past(X: Recordings) -> Recordings:
    """Return each step with those before it; before the first one stands the first one."""
    held = [np.concatenate([np.repeat(part[:1], WINDOW - 1, axis=0), part]) for part in X]
    return [windows(part, WINDOW).windows.reshape(-1, WINDOW * part.shape[1]) for part in held]


def raw_windows(X: Recordings, seed: int, n_steps: int) -> Encode:
    return with_past


def of_rows(transformer: Any, X: Recordings) -> Encode:
    fitted = make_pipeline(StandardScaler(), transformer).fit(np.concatenate(X))
    return lambda parts: [fitted.transform(part) for part in parts]


def pca(X: Recordings, seed: int, n_steps: int) -> Encode:
    return of_rows(PCA(N_COMPONENTS), X)


def pca_windows(X: Recordings, seed: int, n_steps: int) -> Encode:
    encode = of_rows(PCA(N_COMPONENTS, random_state=seed), with_past(X))
    return lambda parts: encode(with_past(parts))


def ica(X: Recordings, seed: int, n_steps: int) -> Encode:
    return of_rows(FastICA(N_COMPONENTS, max_iter=1000, random_state=seed), X)


def cebra_time(X: Recordings, seed: int, n_steps: int, model: str) -> Encode:
    """CEBRA without labels, on the recordings one after the other; it cannot be seeded."""
    from cebra import CEBRA

    learner: Any = CEBRA(
        model_architecture=model,
        batch_size=BATCH,
        time_offsets=LAG,
        output_dimension=N_COMPONENTS,
        max_iterations=n_steps,
        device="cpu",
    )
    learner.fit(np.concatenate(X).astype(np.float32))
    return lambda parts: [np.asarray(learner.transform(part.astype(np.float32))) for part in parts]


def ours(n_steps: int, seed: int, **parameters: Any) -> MIRepresentationLearner:
    settings = {"batch_size": BATCH, "max_steps": n_steps, "random_state": seed}
    return MIRepresentationLearner(N_COMPONENTS, **settings, **parameters)


def time_lag(X: Recordings, seed: int, n_steps: int, window: int = 1) -> Encode:
    learner = ours(n_steps, seed, view=TimeLag(1, LAG, window=window))
    learner.fit(np.concatenate(X), groups=numbers(X))
    return lambda parts: [np.asarray(learner.transform(part)) for part in parts]


def cpc(X: Recordings, seed: int, n_steps: int) -> Encode:
    cut = windows(np.concatenate(X), CPC_LENGTH, CPC_LENGTH // 4, numbers(X))
    learner = ours(n_steps, seed, comparison="cpc").fit(list(cut.windows), groups=cut.groups)
    return lambda parts: [np.asarray(codes) for codes in learner.transform_steps(parts)]


def numbers(X: Recordings) -> np.ndarray:
    """Return the number of the recording of each step."""
    return np.repeat(np.arange(len(X)), [len(part) for part in X])


class Contestant(NamedTuple):
    """How one is fitted, and the package that it needs."""

    fit: Callable[..., Encode]
    needs: str | None = None


OURS = "TimeLag, windows"
CONTESTANTS = {
    "raw": Contestant(raw),
    "raw, windows": Contestant(raw_windows),
    "PCA": Contestant(pca),
    "PCA, windows": Contestant(pca_windows),
    "ICA": Contestant(ica),
    "CEBRA-Time, steps": Contestant(partial(cebra_time, model="offset1-model"), "cebra"),
    "CEBRA-Time, windows": Contestant(partial(cebra_time, model="offset10-model"), "cebra"),
    "TimeLag": Contestant(time_lag),
    OURS: Contestant(partial(time_lag, window=WINDOW)),
    "CPC": Contestant(cpc),
}


# A cell: one contestant, one simulation, one recording that is not seen


def measured(cell: Cell, n_steps: int = N_STEPS, n_time: int = 6000) -> dict[str, Any]:
    """Learn from two recordings, and decode the third; the cell's seed counts simulations by 3."""
    seed, unseen = divmod(cell.seed, N_RECORDINGS)
    X, y, groups = DATA[cell.task](n_time=n_time, n_recordings=N_RECORDINGS, random_state=seed)
    parts = [X[groups == group] for group in range(N_RECORDINGS)]
    test = [parts.pop(unseen)]
    known = groups != unseen
    before, start = forget_peak(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encode = CONTESTANTS[cell.setting].fit(parts, cell.seed, n_steps)
        fitted = time.perf_counter()
        codes = np.concatenate(encode(parts))
        of_test = np.concatenate(encode(test))
    found = {
        "fit_seconds": fitted - start,
        "transform_seconds": time.perf_counter() - fitted,
        "peak_mb": peak_mb(),
        "before_mb": before,
        **{
            name: decoder(groups[known]).fit(codes, y[known]).score(of_test, y[~known])
            for name, decoder in (("ridge", ridge), ("knn", knn))
        },
    }
    return {**cell._asdict(), "n_steps": n_steps, **{k: round(v, 5) for k, v in found.items()}}


def ridge(groups: np.ndarray) -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 5, 9)))


def knn(groups: np.ndarray) -> Any:
    """Return nearest neighbours, whose number the two recordings choose for each other."""
    folds = list(LeaveOneGroupOut().split(groups, groups=groups))
    return GridSearchCV(KNeighborsRegressor(), {"n_neighbors": (5, 20, 80)}, cv=folds)


# Tables


def summary(cells: list[dict[str, Any]], data: str) -> pd.DataFrame:
    """Return means over whole simulations of each contestant, and ours less it."""
    rows = pd.DataFrame(cell for cell in cells if cell["task"] == data)
    rows = rows.assign(simulation=rows["seed"] // N_RECORDINGS)
    # One that lacks a recording would be compared on easier or harder ones.
    each = rows.groupby(["setting", "simulation"])["seed"]
    rows = rows[each.transform("count") == N_RECORDINGS]
    # The first fit of a package compiles or imports.
    costs = rows.groupby("setting")[["fit_seconds", "peak_mb"]].median()
    made = pd.DataFrame({"simulations": rows.groupby("setting")["simulation"].nunique()})
    for decoder in ("ridge", "knn"):
        means = rows.groupby(["simulation", "setting"])[decoder].mean().unstack()
        made[f"{decoder} R2"], made[f"{decoder} error"] = means.mean(), means.sem()
        if OURS in means:
            less = means.rsub(means[OURS], axis=0).drop(columns=OURS)
            made[f"{decoder}, ours less it"] = less.mean()
            made[f"{decoder}, p (Holm)"] = paired_p(less)
    order = [name for name in CONTESTANTS if name in made.index]
    return made.join(costs).loc[order]


def write_report(out: Path) -> str:
    """Write the tables to the folder, and return the text."""
    cells = [cell for cell in read_cells(out) if cell["setting"] in CONTESTANTS]
    if not cells:
        return "no cells yet"
    tables = {data: summary(cells, data) for data in DATA if any(c["task"] == data for c in cells)}
    facts = {
        name: "; ".join(sorted({str(cell[name]) for cell in cells}))
        for name in ("commit", "n_steps", "versions")
    }
    parts = [
        f"Commits {facts['commit']}. Steps {facts['n_steps']}. {facts['versions']}. "
        "Two cores, one thread a fit.",
        f"R2 on a recording that was not seen, means over simulations; ours is {OURS!r}.",
        *(f"{data}\n{shown(table)}" for data, table in tables.items()),
    ]
    text = "\n\n".join(parts) + "\n"
    pd.concat(tables, names=["data", "name"]).round(5).to_csv(out / "decoding.csv")
    (out / "decoding.txt").write_text(text, encoding="utf-8")
    return text


# The command


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = options(__doc__, DATA, CONTESTANTS, RESULTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--steps", type=int, default=N_STEPS, help="of training")
    parser.add_argument("--n-time", type=int, default=6000, help="steps of three recordings")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    asked = parsed(arguments)
    here = installed({name: CONTESTANTS[name].needs for name in asked.only})
    there = {(row["task"], row["seed"], row["setting"]) for row in read_cells(asked.out)}
    cells = [
        Cell(data, N_RECORDINGS * seed + unseen, name)
        for seed in asked.seeds
        for unseen in range(N_RECORDINGS)
        for data in asked.data
        for name in here
    ]
    left = [cell for cell in cells if cell not in there]
    print(f"{len(left)} fits are left", flush=True)
    if asked.estimate:
        return
    if not asked.report:
        run(left, asked, partial(measured, n_steps=asked.steps, n_time=asked.n_time), PACKAGES)
    print(write_report(asked.out))


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from decoding import main as run_main

    run_main()
