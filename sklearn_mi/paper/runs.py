"""Run the study behind a figure, read its table, estimate its cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pandas as pd

from sklearn_mi._places import place_of
from sklearn_mi.paper.figures import FIGURES, Figure
from sklearn_mi.study import Learner, Split, estimate_hours, read_study, run_study

__all__ = ["hours_of_figure", "read_figure", "run_figure"]


def run_figure(
    name: str,
    *,
    seeds: Iterable[int],
    at: Sequence[int],
    folder: str | os.PathLike,
    only: str = "",
    rows: int | None = None,
    n_jobs: int | None = None,
    retry: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the study behind a figure and return its table.

    Parameters
    ----------
    name : {"1", "1c", "2", "3", "4", "4c", "8", "9", "beyond", "label-free", "systems"}
        "1" is figures 1a and 1b, "2" also gives figure 5, "3" also 6, and "4" is 4a, 4b and 7.
        "beyond" varies one thing at a time where the paper does not, with more measures.
        "label-free" asks which number without labels predicts accuracy. "systems" varies critic and
        bound of Deep InfoMax, CPC and CMC.
    seeds : iterable of int
    at : sequence of int
        Steps at which to measure; ``FIGURES[name]().stops(scale)`` returns those of a scale.
    folder : path-like
        The study is written to its subfolder ``figure_<name>`` and resumes from there.
    only : str, default=""
        Run only learners whose name contains this, such as "bilinear".
    rows : int or None, default=None
        Use only the first rows, this many to learn from and as many to test on; None: all.
    n_jobs : int or None, default=None
    retry : bool, default=False
        Compute recorded failures again.
    progress : bool, default=True

    Returns
    -------
    table : DataFrame
        The table of `sklearn_mi.study.run_study` with ``figure``, the facts of each learner, and
        ``bound_train`` and ``bound_test``, the bound that the objective reports, in nats.
    """
    figure = FIGURES[name]()
    table = run_study(
        _chosen(figure, only),
        _first_rows(figure, rows),
        seeds=seeds,
        at=at,
        folder=place_of(folder, "folder") / f"figure_{name}",
        probes=figure.probes,
        measures=figure.measures,
        bound_rows=figure.bound_rows,
        n_jobs=n_jobs,
        retry=retry,
        progress=progress,
    )
    return _with_facts(name, figure, table)


def read_figure(name: str, folder: str | os.PathLike) -> pd.DataFrame:
    """Return the table of everything measured for a figure so far, by any number of calls.

    Parameters
    ----------
    name, folder
        As for `run_figure`.

    Returns
    -------
    table : DataFrame
        As from `run_figure`.
    """
    table = read_study(place_of(folder, "folder") / f"figure_{name}")
    return _with_facts(name, FIGURES[name](), table)


def _with_facts(name: str, figure: Figure, table: pd.DataFrame) -> pd.DataFrame:
    """Replace the parameters by the figure and the facts."""
    facts = pd.DataFrame([figure.facts[learner] for learner in table["learner"]])
    measured = table.drop(columns=list(facts), errors="ignore")
    named = {"objective_train": "bound_train", "objective_test": "bound_test"}
    table = pd.concat([facts, measured.rename(columns=named)], axis=1)
    table.insert(0, "figure", name)
    return table


def _chosen(figure: Figure, only: str) -> dict[str, Learner]:
    """Return the learners of a figure whose names contain a text."""
    chosen = {name: learner for name, learner in figure.learners.items() if only in name}
    if not chosen:
        raise ValueError(
            f"only={only!r} is in no name; expected a part of one of {list(figure.learners)}."
        )
    return chosen


def _first_rows(figure: Figure, rows: int | None) -> dict[str, Callable[[], Split]]:
    """Return the data of a figure; cut to their first rows they get another name."""
    if rows is None:
        return figure.data
    return {f"{name}, {rows} rows": partial(_cut, load, rows) for name, load in figure.data.items()}


def _cut(load: Callable[[], Split], rows: int) -> Split:
    whole = load()
    parts = (whole.X_train, whole.X_test, whole.y_train, whole.y_test)
    return Split(*(None if part is None else part[:rows] for part in parts))


def hours_of_figure(
    name: str,
    *,
    seeds: Iterable[int],
    at: Sequence[int],
    only: str = "",
    rows: int | None = None,
    n_jobs: int = 1,
) -> float:
    """Estimate how long a figure takes on this machine; see `sklearn_mi.study.estimate_hours`.

    Parameters
    ----------
    name : str
        As for `run_figure`.
    seeds : iterable of int
    at : sequence of int
    only : str, default=""
    rows : int or None, default=None
    n_jobs : int, default=1

    Returns
    -------
    hours : float
    """
    figure = FIGURES[name]()
    return estimate_hours(
        _chosen(figure, only),
        _first_rows(figure, rows),
        seeds=seeds,
        at=at,
        probes=figure.probes,
        measures=figure.measures,
        bound_rows=figure.bound_rows,
        n_jobs=n_jobs,
    )
