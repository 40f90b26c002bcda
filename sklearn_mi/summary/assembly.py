"""`report`: reads the data, computes the numbers, and puts them on a page."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from sklearn_mi._checks import check_random_state
from sklearn_mi._places import place_of, written_whole
from sklearn_mi._progress import say
from sklearn_mi._version import __version__
from sklearn_mi.evaluation import differences, summarise
from sklearn_mi.summary.code import reproduce
from sklearn_mi.summary.data import FEWEST_ROWS, Data, read_data
from sklearn_mi.summary.measures import (
    PRINCIPAL,
    RAW,
    column_information,
    compare_features,
    describe_codes,
    draw_rows,
    fit_features,
    plan_comparison,
    training_tables,
)
from sklearn_mi.summary.page import clean, document
from sklearn_mi.summary.sections import Findings, facts_of, lead_of, notes_of, sections_of
from sklearn_mi.summary.words import counted

__all__ = ["Report", "report"]

EFFORTS = ("quick", "normal", "thorough")


@dataclass(frozen=True, repr=False)
class Report:
    """A page about a data set.

    In a notebook it shows itself.

    Attributes
    ----------
    html : str
        The whole page.
    tables : dict of str to DataFrame
        The numbers behind it: ``columns``, ``diagnostics``, ``choices``, ``training``, and with
        labels ``scores``, ``differences`` and ``information``.
    title : str

    Examples
    --------
    >>> from sklearn_mi.summary import Report
    >>> page = Report("<!DOCTYPE html>...", {}, "Wine")
    >>> page
    Report('Wine', 0.0 MB; save it by .save("report.html"))
    """

    html: str
    tables: dict[str, pd.DataFrame]
    title: str

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write the page to a file, whole or not at all.

        Parameters
        ----------
        path : path-like
        overwrite : bool, default=False
            Whether to replace a file.

        Returns
        -------
        path : Path

        Raises
        ------
        FileExistsError
            If there is a file, and ``overwrite`` is False.
        FileNotFoundError
            If the folder is not there.
        """
        place = place_of(path)
        if place.exists() and not (overwrite or place.is_dir()):
            raise FileExistsError(
                f"path={str(place)!r} is there already; pass overwrite=True, or another path."
            )
        with written_whole(place) as part:
            part.write_text(self.html, encoding="utf-8")
        return place

    def _repr_html_(self) -> str:
        # In a frame of its own neither page changes the style of the other.
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(clean(self.title))}" sandbox '
            'style="width:100%;height:40em;border:1px solid #8888;border-radius:6px"></iframe>'
        )

    def __repr__(self) -> str:
        size = len(self.html.encode()) / 1e6
        return f'Report({self.title!r}, {size:.1f} MB; save it by .save("report.html"))'


def report(
    X: Any,
    y: Any = None,
    *,
    title: str | None = None,
    learner: Any = None,
    effort: str = "quick",
    max_rows: int = 5000,
    labels_per_class: Sequence[int | None] = (1, 5, 20),
    n_folds: int = 3,
    n_draws: int = 3,
    random_state: Any = None,
    verbose: bool = False,
) -> Report:
    """Report what learned features are worth on a data set, as one page of HTML.

    With labels the page compares learned features with the columns as they are and with PCA, for
    few labelled rows, and says how much each column tells about the label. With or without labels
    it shows the features in two dimensions, describes them, and gives the code that makes them.

    A label is a class, or a measurement where its numbers are not whole or have more than 30
    different values; pass ``y.astype(str)`` where such numbers name classes. Rows without a label
    are left out. Confounds cannot be passed: a page compares features with the columns as they are,
    so take them out of ``X`` first. Numbers that are missing are filled by the median; text of at
    most 20 different values becomes indicators; the page names the columns that it leaves out.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        Of pandas or polars; or images, (n, h, w) or (n, h, w, channels); or recordings, (n, time,
        channels) or a list of arrays (time, channels).
    y : array-like of shape (n_samples,) or str, default=None
        The label of each row, or the name of the column of ``X`` that has it.
    title : str or None, default=None
    learner : transformer or None, default=None
        None: ``MIRepresentationLearner(effort=effort)``.
    effort : {"quick", "normal", "thorough"}, default="quick"
        How long the default learner trains.
    max_rows : int, default=5000
        Rows that are drawn at random where there are more.
    labels_per_class : sequence of int or None, default=(1, 5, 20)
        Labelled rows of each class; None: all. Of a measurement ten times as many in all.
    n_folds, n_draws : int, default=3
        Folds of the comparison, and random choices of labelled rows in each.
    random_state : int, RandomState or None, default=None
    verbose : bool, default=False
        Whether to show on the standard error what is being computed; the logger ``"sklearn_mi"``
        has it at INFO.

    Returns
    -------
    report : Report

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If rows, labels or parameters do not fit; the message names the cure.

    See Also
    --------
    sklearn_mi.evaluation.compare : The comparison, with any contestants.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.summary import report
    >>> iris = load_iris(as_frame=True)
    >>> page = report(
    ...     iris.frame, "target", title="Iris", learner=MIRepresentationLearner(max_steps=2),
    ...     labels_per_class=(5,), random_state=0,
    ... )
    >>> page.html[:15], sorted(page.tables)[:3]
    ('<!DOCTYPE html>', ['choices', 'columns', 'diagnostics'])
    """
    _need_matplotlib()
    _check_parameters(effort, max_rows, labels_per_class, n_folds, n_draws)
    tell = partial(say, shown=verbose)
    start = time.perf_counter()
    data, seed = read_data(X, y), _seed(random_state)
    unfitted = _unfitted(learner, effort, seed)
    plan = _Settings(max_rows, labels_per_class, n_folds, n_draws)
    found = _measure(data, unfitted, plan, seed, tell)
    tell("Drawing.")
    title = title or f"Report on {counted(len(data.rows), 'row')}"
    sections = sections_of(found)
    seconds = time.perf_counter() - start
    footer = f"Made by sklearn-mi {__version__} in {seconds:.0f} s, random_state={seed}."
    html = document(title, lead_of(found), facts_of(found), notes_of(found), sections, footer)
    return Report(html, found.tables, title)


class _Settings(NamedTuple):
    max_rows: int
    labels_per_class: Sequence[int | None]
    n_folds: int
    n_draws: int


def _measure(
    data: Data, learner: Any, settings: _Settings, seed: int, tell: Callable[[str], None]
) -> Findings:
    # Before anything is trained, so that labels that do not fit cost no time.
    rows = draw_rows(data, settings.max_rows, seed)
    plan = None if data.y is None else plan_comparison(data, rows.all, *settings[1:])
    tell(f"Training features on {counted(len(rows.train), 'row')}.")
    fitted = fit_features(data, learner, rows)
    tables = {
        "columns": data.columns,
        "diagnostics": describe_codes(data, fitted),
        **training_tables(fitted.learner),
    }
    entropy = math.nan
    if plan is not None:
        tell(f"Comparing features in {plan.n_folds} folds.")
        scores = compare_features(data, learner, plan, seed)
        gains = [differences(scores, other).assign(reference=other) for other in (RAW, PRINCIPAL)]
        tables |= {"scores": summarise(scores), "differences": pd.concat(gains, ignore_index=True)}
        tables["information"], entropy = column_information(data, rows.all)
    code = reproduce(data, learner, rows.split)
    return Findings(data, fitted, plan, tables, entropy, code)


def _need_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise ImportError(
            "A report needs matplotlib, which is not installed: pip install 'sklearn-mi[plots]'."
        )


def _check_parameters(
    effort: str, max_rows: int, labels_per_class: Any, n_folds: int, n_draws: int
) -> None:
    if effort not in EFFORTS:
        raise ValueError(f"effort={effort!r}; expected one of {list(EFFORTS)}.")
    least: dict[str, Any] = {
        "max_rows": (max_rows, FEWEST_ROWS),
        "n_folds": (n_folds, 2),
        "n_draws": (n_draws, 1),
    }
    for name, (value, lowest) in least.items():
        if not isinstance(value, Integral) or value < lowest:
            raise ValueError(f"{name}={value!r}; expected a whole number of at least {lowest}.")
    numbers: list[Any] = list(labels_per_class) if isinstance(labels_per_class, Iterable) else []
    if not numbers or not all(
        n is None or (isinstance(n, int | np.integer) and n > 0) for n in numbers
    ):
        raise ValueError(
            f"labels_per_class={labels_per_class!r}; expected positive integers, or None for all "
            "labels, such as (1, 5, 20)."
        )


def _seed(random_state: Any) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _unfitted(learner: Any, effort: str, seed: int) -> Any:
    if learner is None:
        from sklearn_mi.learner import MIRepresentationLearner  # torch takes seconds to start

        return MIRepresentationLearner(effort=effort, random_state=seed)
    if not all(hasattr(learner, name) for name in ("fit", "transform", "get_params")):
        raise TypeError(
            f"learner={learner!r}; expected a transformer, such as MIRepresentationLearner()."
        )
    ours: Any = clone(learner)
    if ours.get_params(deep=False).get("random_state", seed) is None:
        ours.set_params(random_state=seed)
    return ours
