"""A grid of learners x data x seeds, measured along training: one tidy table, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from sklearn_mi._compat import _safe_indexing
from sklearn_mi._places import place_of, replaced
from sklearn_mi._progress import progress_bar
from sklearn_mi._version import __version__
from sklearn_mi.workers import Turn, WorkerDiedError, finish, is_by_dask

__all__ = ["Learner", "Split", "estimate_hours", "expand", "read_study", "run_study"]


class Learner(Protocol):
    """An estimator that a study can train: it pauses to be measured, then continues.

    `MIRepresentationLearner` and `AdversarialEncoder` are such estimators. If a learner has a
    method ``bounds``, a study measures its bounds as well. Where a `Split` has confounds, its
    methods take ``confounds``.
    """

    n_threads: int | None

    def fit_iter(self, X: Any, y: Any, *, at: Sequence[int], checkpoint: Any) -> Iterator[int]:
        """Train, and yield at the steps that ``at`` names."""
        ...

    def transform(self, X: Any) -> Any:
        """Return the codes of rows."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        ...

    def set_params(self, **params: Any) -> Any:
        """Set parameters, ``random_state`` among them."""
        ...


Probe = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]
Measure = Callable[[Any, "Split"], float | Mapping[str, float]]


@dataclass
class Split:
    """Rows to learn from, and rows that serve only to measure.

    Parameters
    ----------
    X_train, X_test : array of shape (n, ...)
    y_train, y_test : array of shape (n,) or None, default=None
        Labels for the probes; the learner never sees them.
    confounds_train, confounds_test : array or data frame of shape (n, n_confounds), default=None
        Known quantities that must not be in a code: passed to ``fit_iter``, ``transform`` and
        ``bounds`` of the learner as ``confounds``. Both or neither.

    Raises
    ------
    ValueError
        If confounds are given of one part alone.
    """

    X_train: Any
    X_test: Any
    y_train: Any = None
    y_test: Any = None
    confounds_train: Any = None
    confounds_test: Any = None

    def __post_init__(self) -> None:
        """Refuse confounds of one part alone: each row needs its own."""
        if (self.confounds_train is None) != (self.confounds_test is None):
            missing = "train" if self.confounds_train is None else "test"
            raise ValueError(
                f"confounds_{missing} is None; expected the confounds of both parts, or of neither."
            )


@dataclass
class _Cell:
    name: str
    learner: Learner
    data_name: str
    seed: int
    stem: str = ""  # of its files

    def key(self, learner: Learner, stops: list[int], measured: list[Any]) -> str:
        """Return the name of this cell's file: cells that differ have different names.

        The readable part is cut and loses characters, so the digest holds the whole names too.
        """
        readable = re.sub(r"[^A-Za-z0-9.=]+", "-", f"{self.name}_{self.data_name}_{self.seed}")
        params = [(key, _text(value)) for key, value in sorted(learner.get_params().items())]
        length = stops[-1] if getattr(learner, "schedule", "constant") != "constant" else 0
        parts = [self.name, self.data_name, self.seed, params, length, measured]
        return f"{readable[:80]}_{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def expand(learner: Learner, grid: Mapping[str, Sequence[Any]]) -> dict[str, Learner]:
    """Return one learner for each point of a grid of parameters, by name.

    Names identify the cells of a study, also when another process resumes it. So values need
    distinct texts: two modules of one shape have the same text and raise an error.

    Parameters
    ----------
    learner : Learner
    grid : dict of sequence
        As for ``GridSearchCV``.

    Returns
    -------
    learners : dict of Learner
        Named after the values.

    Raises
    ------
    ValueError
        If two points have the same name; the cure is a dict with names of your own.

    Examples
    --------
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.study import expand
    >>> list(expand(MIRepresentationLearner(), {"critic": ["bilinear", "concat"]}))
    ['critic=bilinear', 'critic=concat']
    """
    named: dict[str, Learner] = {}
    for point in ParameterGrid(dict(grid)):
        name = ", ".join(f"{key}={_short_text(value)}" for key, value in point.items())
        if name in named:
            raise ValueError(
                f"grid has two points named {name!r}; expected a text of its own for each value, "
                "since names tell the cells of a study apart. Name the learners yourself: "
                "{'first': clone(learner).set_params(...), 'second': ...}."
            )
        named[name] = _copy(learner).set_params(**point)
    return named


def run_study(
    learners: Mapping[str, Learner],
    data: Mapping[str, Split | Callable[[], Split]],
    *,
    seeds: Iterable[int],
    at: Sequence[int],
    folder: str | os.PathLike,
    probes: Mapping[str, Probe] | None = None,
    measures: Mapping[str, Measure] | None = None,
    bound_rows: int = 12_800,
    n_threads: int = 1,
    n_jobs: int | None = None,
    retry: bool = False,
    keep_checkpoints: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Train every learner on every data set with every seed, and measure it along the way.

    Each row is written as soon as it is measured, together with a checkpoint. A study that was
    killed continues from there, and its table equals that of an uninterrupted one, bit for bit on
    a CPU, except for the seconds. A cell is never computed twice; a failure is recorded and does
    not stop the rest. Run again with more seeds or stops to add to a study; a finished cell with
    new stops is trained again unless its checkpoint was kept, and measured at the new stops alone.

    A cell is identified by its names, its seed and the learner's parameters, with the weights of
    modules and the numbers of arrays among them. If you change data, a probe or a function, give
    it a new name or choose another folder.

    Parameters
    ----------
    learners : dict of Learner
        By name; `expand` makes them from a grid. ``random_state`` is set to the seed, so that
        learners with the same seed see the same batches.
    data : dict of Split, or of callable that returns one
    seeds : iterable of int
    at : sequence of int
        Numbers of steps at which to measure; the last one is the length of training.
    folder : path-like
        For rows and checkpoints.
    probes : dict of callable or None, default=None
        ``probe(Z_train, y_train, Z_test, y_test)``, from `sklearn_mi.evaluation` or your own.
    measures : dict of callable or None, default=None
        ``measure(learner, split)``, for anything else: a number, or a dict of columns.
    bound_rows : int, default=12800
        Number of rows that bounds are averaged over, in blocks of the learner's
        ``eval_block_size``.
    n_threads : int, default=1
        Threads of torch in each cell, for learners with ``n_threads=None``.
    n_jobs : int or None, default=None
        Number of cells at a time, by joblib and its backends.
    retry : bool, default=False
        Compute recorded failures again.
    keep_checkpoints : bool, default=False
        Keep the last checkpoint of a finished cell, so that stops can be added later without
        training again. This works with ``schedule="constant"``, since a falling rate depends on
        the length of training. A checkpoint is about three times the size of the weights.
    progress : bool, default=True
        Show a progress bar over cells.

    Returns
    -------
    table : DataFrame
        One row for each evaluation: ``learner``, ``data``, ``seed``, ``step``, the parameters
        that differ, every bound on training rows and on test rows (``infonce_train``,
        ``infonce_test``, ..., ``objective_train``, ``objective_test``; nats), every probe and
        measure, ``seconds``, ``error`` and versions.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.evaluation import linear_probe
    >>> from sklearn_mi.study import Split, expand, run_study
    >>> X, y = load_iris(return_X_y=True)
    >>> parts = train_test_split(X, y, random_state=0)
    >>> iris = Split(*parts)
    >>> learners = expand(MIRepresentationLearner(2), {"critic": ["cauchy", "bilinear"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = run_study(learners, {"iris": iris}, seeds=(0, 1), at=(0, 20), folder=folder,
    ...                       probes={"accuracy": linear_probe}, progress=False)
    >>> table.shape[0], sorted(table["step"].unique().tolist())
    (8, [0, 20])
    """
    work = _Work(
        [int(stop) for stop in at],
        # Workers may stand in other folders.
        place_of(folder, "folder").absolute(),
        dict(probes or {}),
        dict(measures or {}),
        bound_rows,
        n_threads,
        retry,
        keep_checkpoints,
    )
    cells = [
        work.named(_Cell(name, learner, data_name, int(seed)))
        for data_name in data
        for name, learner in learners.items()
        for seed in seeds
    ]
    for name in ("cells", "turns"):
        (work.folder / name).mkdir(parents=True, exist_ok=True)
    rows = _finished(cells, data, work, n_jobs, progress)
    table = _with_parameters(pd.DataFrame([row for found in rows for row in found]), learners)
    _write(work.folder / "table.csv", table.to_csv(index=False))
    return table


def estimate_hours(
    learners: Mapping[str, Learner],
    data: Mapping[str, Split | Callable[[], Split]],
    *,
    seeds: Iterable[int],
    at: Sequence[int],
    probes: Mapping[str, Probe] | None = None,
    measures: Mapping[str, Measure] | None = None,
    bound_rows: int = 12_800,
    n_threads: int = 1,
    n_jobs: int = 1,
) -> float:
    """Estimate how long `run_study` would take on this machine, from a few steps of each learner.

    Each learner takes twenty steps on a tenth of the rows and is measured there once. An
    evaluation on all rows is assumed to take ten times as long.

    Parameters
    ----------
    learners, data, seeds, at, probes, measures, bound_rows, n_threads
        As for `run_study`.
    n_jobs : int, default=1
        Number of cells at a time, each on its own core.

    Returns
    -------
    hours : float
    """
    seconds = 0.0
    for given in data.values():
        split = _tenth(_arrays(given() if callable(given) else given))
        for learner in learners.values():
            trial = _with_seed(learner, 0, n_threads)
            # The first five steps include building, and cost more than later ones.
            run = _trained(trial, split, at=(5, 25), checkpoint=None)
            times = [time.perf_counter() for _ in run]
            _measure(trial, split, dict(probes or {}), dict(measures or {}), bound_rows // 10)
            measuring = time.perf_counter() - times[1]
            seconds += (times[1] - times[0]) / 20 * max(at) + 10 * measuring * len(at)
    return seconds * len(list(seeds)) / n_jobs / 3600


def _tenth(split: Split) -> Split:
    """Return every tenth row of a split, or about a hundred rows if that is more."""
    return _each(split, lambda rows: rows[:: max(1, min(10, rows.shape[0] // 100))])


def _each(split: Split, change: Callable[[Any], Any]) -> Split:
    """Return a split, each of its parts that is given changed."""
    parts = {part.name: getattr(split, part.name) for part in fields(split)}
    return Split(**{name: None if rows is None else change(rows) for name, rows in parts.items()})


def _confounds(confounds: Any) -> dict[str, Any]:
    """Return confounds as an argument, none where there are none: not every learner takes them."""
    return {} if confounds is None else {"confounds": confounds}


def read_study(folder: str | os.PathLike) -> pd.DataFrame:
    """Return the rows that a study, finished or not, has written so far.

    Parameters
    ----------
    folder : path-like
        The one passed to `run_study`.

    Returns
    -------
    table : DataFrame
        Without the columns of parameters.
    """
    files = sorted((place_of(folder, "folder") / "cells").glob("*.json"))
    return pd.DataFrame([row for file in files for row in json.loads(file.read_text())])


def _copy(learner: Learner) -> Learner:
    return clone(learner)  # type: ignore[return-value]


def _with_seed(learner: Learner, seed: int, n_threads: int) -> Learner:
    """Return a silent copy with a seed, and with ``n_threads`` if the learner leaves them open."""
    copied = _copy(learner)
    # One bar counts the cells.
    silent = {"verbose": 0} if "verbose" in copied.get_params(deep=False) else {}
    copied.set_params(random_state=seed, **silent)
    if copied.n_threads is None:
        copied.n_threads = n_threads
    return copied


def _with_parameters(table: pd.DataFrame, learners: Mapping[str, Learner]) -> pd.DataFrame:
    """Add a column for each parameter in which the learners differ."""
    params = {name: learner.get_params(deep=False) for name, learner in learners.items()}
    for key in next(iter(params.values()), {}):
        values = {name: _short_text(known[key]) for name, known in params.items()}
        if len(set(values.values())) > 1 and key != "random_state":
            place = list(table.columns).index("seed")
            table.insert(place, key, [values[name] for name in table["learner"]])
    return table


def _finished(
    cells: list[_Cell],
    data: Mapping[str, Split | Callable[[], Split]],
    work: _Work,
    n_jobs: int | None,
    progress: bool,
) -> list[list[dict[str, Any]]]:
    """Return the rows of each cell, computing those that are missing."""
    known = [work.known(cell) for cell in cells]
    rows = {number: found for number, found in enumerate(known) if found is not None}
    left = [number for number in range(len(cells)) if number not in rows]
    if is_by_dask() and left:
        data = {name: _on_disk(given, work.folder / "data") for name, given in data.items()}
    missing = {number: (cells[number], data[cells[number].data_name]) for number in left}
    with progress_bar(len(cells), "cell", shown=progress, initial=len(rows)) as bar:
        for number, found in finish(work, missing, n_jobs=n_jobs, turn=work.turn, bar=bar):
            is_lost = isinstance(found, WorkerDiedError)
            rows[number] = work.failed(cells[number], found) if is_lost else found
    return [rows[number] for number in range(len(cells))]


def _on_disk(data: Split | Callable[[], Split], folder: Path) -> Split | Callable[[], Split]:
    """Return a function that reads a split: one file instead of a copy with each cell."""
    if callable(data):
        return data
    file = folder / f"{joblib.hash(data)}.pkl"
    if not file.exists():
        folder.mkdir(exist_ok=True)
        with replaced(file) as part:
            joblib.dump(data, part)
    return partial(_from_disk, file)


@lru_cache(maxsize=1)
def _from_disk(file: Path) -> Split:
    return joblib.load(file)


@dataclass(frozen=True)
class _Work:
    """What is to be done with each cell, and where it is written; a worker calls it."""

    stops: list[int]
    folder: Path
    probes: dict[str, Probe]
    measures: dict[str, Measure]
    bound_rows: int
    n_threads: int
    retry: bool
    keep_checkpoints: bool

    def learner(self, cell: _Cell) -> Learner:
        return _with_seed(cell.learner, cell.seed, self.n_threads)

    def named(self, cell: _Cell) -> _Cell:
        measured = [[*self.probes], [*self.measures], self.bound_rows]
        return replace(cell, stem=cell.key(self.learner(cell), self.stops, measured))

    def file(self, cell: _Cell) -> Path:
        return self.folder / "cells" / f"{cell.stem}.json"

    def turn(self, cell: _Cell) -> Turn:
        return Turn(self.folder / "turns" / cell.stem)

    def written(self, cell: _Cell) -> list[dict[str, Any]]:
        """Return the rows so far, without a failure that is to be tried again."""
        file = self.file(cell)
        rows = json.loads(file.read_text()) if file.exists() else []
        return rows[:-1] if rows and rows[-1]["error"] and self.retry else rows

    def wanted(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row["step"] in self.stops or row["error"]]

    def missing(self, rows: list[dict[str, Any]]) -> list[int]:
        measured = {row["step"] for row in rows}
        has_failed = bool(rows and rows[-1]["error"])
        return [] if has_failed else [stop for stop in self.stops if stop not in measured]

    def known(self, cell: _Cell) -> list[dict[str, Any]] | None:
        """Return the rows of a cell if there is nothing left to compute."""
        rows = self.written(cell)
        return None if self.missing(rows) else self.wanted(rows)

    def failed(self, cell: _Cell, error: Exception) -> list[dict[str, Any]]:
        """Record that the worker died, and return the rows."""
        with self.turn(cell).taken():
            rows = self.written(cell)
            step = rows[-1]["step"] if rows else 0
            rows.append(_row(cell, step, {}, 0.0, _in_words(error)))
            _write(self.file(cell), json.dumps(rows))
        return self.wanted(rows)

    def __call__(self, cell: _Cell, data: Split | Callable[[], Split]) -> list[dict[str, Any]]:
        """Return the rows of one cell, computing those that are missing."""
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"folder={str(self.folder)!r} is not there for a worker; expected a folder on a "
                "disk that all workers share."
            )
        with self.turn(cell).taken():
            # Another process may have had its turn meanwhile.
            rows = self.written(cell)
            if self.missing(rows):
                self._compute(cell, data, rows)
            return self.wanted(rows)

    def _compute(
        self, cell: _Cell, data: Split | Callable[[], Split], rows: list[dict[str, Any]]
    ) -> None:
        """Add the missing rows, writing each as soon as it is measured."""
        learner, file, missing = self.learner(cell), self.file(cell), self.missing(rows)
        checkpoint = file.with_suffix(".pt")
        if rows and missing[0] < max(row["step"] for row in rows):
            checkpoint.unlink(missing_ok=True)  # a new stop comes before the checkpoint's step
        try:
            split = _arrays(data() if callable(data) else data)
            start = time.perf_counter()
            # An unsupervised learner ignores the labels.
            run = _trained(learner, split, at=self.stops, checkpoint=checkpoint)
            for step in run:
                if step in missing:
                    values = _measure(learner, split, self.probes, self.measures, self.bound_rows)
                    rows.append(_row(cell, step, values, time.perf_counter() - start))
                    _write(file, json.dumps(sorted(rows, key=lambda row: row["step"])))
        except Exception as error:
            rows.append(_row(cell, _steps_of(learner), {}, 0.0, _in_words(error)))
            _write(file, json.dumps(rows))
        if not self.keep_checkpoints:
            checkpoint.unlink(missing_ok=True)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _steps_of(learner: Learner) -> int:
    """Return the number of steps that a learner has taken, 0 for one that never started."""
    return getattr(learner, "n_iter_", 0)


def _text(value: Any) -> str:
    """Return a text of a value that is the same in every process, and differs with its numbers.

    Two modules of one shape have the same repr, and so have two long arrays.
    """
    text = _without_addresses(repr(value))
    arrays = _arrays_in(value)
    if not arrays:
        return text
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return f"{text} {digest.hexdigest()}"


def _arrays_in(value: Any) -> list[np.ndarray]:
    """Return the numbers that a parameter holds: a module's weights, or an array's."""
    if isinstance(value, np.ndarray):
        return [value.astype(str) if value.dtype == object else value]
    if isinstance(value, torch.nn.Module):
        tensors = [*value.parameters(), *value.buffers()]
    else:
        tensors = [value] if isinstance(value, torch.Tensor) else []
    return [
        tensor.detach().cpu().flatten().view(torch.uint8).numpy()
        for tensor in tensors
        if not torch.nn.parameter.is_lazy(tensor)
    ]


def _short_text(value: Any) -> str:
    """Return a value as it stands in names and columns: the same in every process."""
    return _without_addresses(str(value))


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _arrays(split: Split) -> Split:
    """Return a split without joblib's memory maps, from which the learner would stream batches."""
    return _each(split, lambda a: np.asarray(a) if isinstance(a, np.memmap) else a)


def _trained(learner: Any, split: Split, **how: Any) -> Iterator[int]:
    return learner.fit_iter(
        split.X_train, split.y_train, **how, **_confounds(split.confounds_train)
    )


def _measure(
    learner: Any,
    split: Split,
    probes: dict[str, Probe],
    measures: dict[str, Measure],
    bound_rows: int,
) -> dict[str, float]:
    chosen = np.sort(np.random.default_rng(0).permutation(len(split.X_train))[:bound_rows])
    values: dict[str, float] = {}
    parts = {
        "train": (chosen, split.X_train, split.y_train, split.confounds_train),
        "test": (slice(bound_rows), split.X_test, split.y_test, split.confounds_test),
    }
    for part, (which, X, y, confounds) in parts.items() if hasattr(learner, "bounds") else ():
        beside = _confounds(None if confounds is None else _safe_indexing(confounds, which))
        for name, value in learner.bounds(*_rows(which, X, y), **beside).items():
            values[f"{name.replace('-', '_')}_{part}"] = value
    if probes:
        codes = [learner.transform(X, **_confounds(c)) for _, X, _, c in parts.values()]
        for name, probe in probes.items():
            values[name] = float(probe(codes[0], split.y_train, codes[1], split.y_test))
    for name, measure in measures.items():
        found = measure(learner, split)
        columns = found if isinstance(found, Mapping) else {name: found}
        values.update({key: float(value) for key, value in columns.items()})
    return values


def _rows(which: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """Return some rows, and their labels for the one view that uses them."""
    return X[which], None if y is None else y[which]


def _row(
    cell: _Cell, step: int, values: dict[str, float], seconds: float, error: str = ""
) -> dict[str, Any]:
    return {
        "learner": cell.name,
        "data": cell.data_name,
        "seed": cell.seed,
        "step": step,
        **values,
        "seconds": round(seconds, 3),
        "error": error,
        "versions": (
            f"sklearn-mi {__version__}, torch {torch.__version__}, scikit-learn "
            f"{sklearn.__version__}, numpy {np.__version__}, Python {platform.python_version()}"
        ),
    }


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replaced(path) as part:
        part.write_text(text)
