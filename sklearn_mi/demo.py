"""The demo: features of digits learned without labels, beside raw pixels and PCA.

``sklearn-mi demo`` runs it. `accuracy_table` and `conclusion` put any comparison into words.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from sklearn_mi.evaluation import compare, differences, summarise

__all__ = ["OURS", "accuracy_table", "conclusion", "picture", "run"]

OURS = "learned codes"
RAW = "raw pixels"
OPENING = """\
{n:,} pictures of handwritten digits, 8 x 8 pixels, and few labels.

What is learned: a code for each picture, without labels. Pictures that look alike make a pair; a
network turns each into a code, and learns to tell from the codes which two belong together. So it
maximises a bound on the mutual information of the pair. Then a few pictures get labels, logistic
regression is fitted to their codes, and names the digits of pictures that were not used before.

How it is measured: in {folds} folds, each with {draws} random choices of pictures that get labels.
All methods meet the same folds and the same labels.
"""


def run(
    *,
    n_folds: int = 4,
    n_draws: int = 5,
    max_steps: int | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Learn codes of digits without labels, and print how accurate a classifier on them is.

    Parameters
    ----------
    n_folds, n_draws : int
        Folds of the pictures, and choices of labelled pictures in each fold.
    max_steps : int or None, default=None
        Length of each training. None: that of the learner.
    n_jobs : int or None, default=None
        Processes, of one thread each. None: one for each core, at most one for each fold.

    Returns
    -------
    table : DataFrame
        As from `sklearn_mi.evaluation.compare`.
    """
    start = time.perf_counter()
    X, y = load_digits(return_X_y=True)
    print(OPENING.format(n=len(X), folds=n_folds, draws=n_draws), flush=True)
    n_jobs = n_jobs or min(n_folds, joblib.cpu_count())
    settings = {"n_folds": n_folds, "n_draws": n_draws, "probes": ("logistic",)}
    raw = _compare_others({RAW: None}, X, y, **settings)
    print(_in_words("Raw pixels", summarise(raw)), flush=True)
    tasks = (
        delayed(_compare_ours)(X, y, max_steps, only_folds=[k], **settings) for k in range(n_folds)
    )
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        folds: Any = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
    # While the processes start.
    pca = _compare_others({"PCA": PCA(32, random_state=0)}, X, y, **settings)
    print(f"Training on {n_folds} folds, {n_jobs} at a time ...", file=sys.stderr, flush=True)
    ours = pd.concat(_counted(folds, n_folds, start)).sort_values("fold", kind="stable")
    table = pd.concat([ours, raw, pca], ignore_index=True)
    print(f"\n{accuracy_table(summarise(table))}\n\n{conclusion(table)}")
    print(f"{time.perf_counter() - start:.0f} s with {n_jobs} processes of one thread.")
    return table


def _learner(max_steps: int | None, **parameters: Any) -> Any:
    # torch takes seconds to start, and raw pixels need none.
    from sklearn_mi.learner import MIRepresentationLearner

    settings = {"input_shape": (8, 8), "max_steps": max_steps, "n_threads": 1, "random_state": 0}
    return MIRepresentationLearner(**settings, **parameters)


def _compare_others(others: Mapping[str, Any], X: Any, y: Any, **settings: Any) -> pd.DataFrame:
    # Tables as small as these lose time to more threads, most where others use the machine.
    with threadpool_limits(1):
        return compare(others, X, y, **settings)


def _compare_ours(X: Any, y: Any, max_steps: int | None, **settings: Any) -> pd.DataFrame:
    return compare({OURS: _learner(max_steps)}, X, y, **settings)


def _counted(folds: Iterable[pd.DataFrame], n_folds: int, start: float) -> Iterator[pd.DataFrame]:
    for done, fold in enumerate(folds, 1):
        seconds = time.perf_counter() - start
        print(f"  {done} of {n_folds} folds, {seconds:.0f} s", file=sys.stderr, flush=True)
        yield fold


def _in_words(name: str, summary: pd.DataFrame) -> str:
    counts = _listed([_count(labels) for labels in summary["labels_per_class"]])
    means = ", ".join(f"{mean:.3f}" for mean in summary["mean"])
    return f"{name}, accuracy with {counts} labels for each class: {means}."


def _count(labels_per_class: float) -> str:
    return "all" if np.isinf(labels_per_class) else f"{labels_per_class:g}"


def accuracy_table(summary: pd.DataFrame) -> str:
    """Return accuracies as text: a line for each contestant, a column for each number of labels.

    Parameters
    ----------
    summary : DataFrame
        Of one probe, as from `sklearn_mi.evaluation.summarise`.

    Returns
    -------
    text : str

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.demo import accuracy_table
    >>> summary = pd.DataFrame({
    ...     "name": "raw", "labels_per_class": [1, float("inf")],
    ...     "mean": [0.5, 0.75], "high": [0.625, 0.875],
    ... })
    >>> print(accuracy_table(summary))
    accuracy, 95 % interval;
    labels for each class               1           all
    raw                     0.500 ± 0.125 0.750 ± 0.125
    """
    halves = summary["high"] - summary["mean"]
    cells = [
        f"{mean:.3f} ± {half:.3f}" if np.isfinite(half) else f"{mean:.3f}"
        for mean, half in zip(summary["mean"], halves, strict=True)
    ]
    lines = summary.assign(cell=cells).groupby("name", sort=False)["cell"].apply(list)
    counts = [_count(labels) for labels in summary["labels_per_class"].unique()]
    rows = {"labels for each class": counts, **lines}
    width = max(len(str(name)) for name in rows) + 3
    return "\n".join(
        [
            "accuracy, 95 % interval;",
            *(
                f"{name:<{width}}" + " ".join(f"{cell:>13}" for cell in row)
                for name, row in rows.items()
            ),
        ]
    )


def conclusion(table: pd.DataFrame, ours: str = OURS) -> str:
    """Return one sentence: with how many labels a contestant is ahead of the others, or behind.

    Ahead: the 95 % interval of the difference, paired by fold, lies above 0 for every other
    contestant. Behind: one of them lies below 0.

    Parameters
    ----------
    table : DataFrame
        Of one probe, as from `sklearn_mi.evaluation.compare`.
    ours : str, default="learned codes"
        Name of the contestant, a plural.

    Returns
    -------
    sentence : str

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.demo import conclusion
    >>> from sklearn_mi.evaluation import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> table = compare(
    ...     {"pixels": None, "two components": PCA(2)}, X, y,
    ...     labels_per_class=(5, 20), n_folds=3, n_draws=2, probes=("knn",),
    ... )
    >>> conclusion(table, "two components")
    'Two components are less accurate than pixels with 5 and 20 labels for each class.'
    """
    verdicts: dict[str, list[float]] = {}
    for labels, rivals in differences(table, ours).groupby("labels_per_class"):
        verdicts.setdefault(_verdict(rivals), []).append(cast(float, labels))
    parts = [f"{verdict} with {_labels(counts)}" for verdict, counts in verdicts.items()]
    return f"{ours[:1].upper()}{ours[1:]} are {'; '.join(parts)}."


def _verdict(rivals: pd.DataFrame) -> str:
    """Judge a contestant by how much more accurate each of its rivals is."""
    better = rivals["name"][rivals["low"] > 0]
    if len(better):
        return f"less accurate than {_listed(list(better))}"
    if bool((rivals["high"] < 0).all()):
        return f"more accurate than {_listed(list(rivals['name']))}"
    return f"not clearly different from {rivals['name'][rivals['mean'].idxmax()]}"


def _labels(counts: Sequence[float]) -> str:
    few = [_count(labels) for labels in counts if np.isfinite(labels)]
    plural = "" if few == ["1"] else "s"
    parts = [f"{_listed(few)} label{plural} for each class"] if few else []
    return _listed([*parts, *(["all labels"] if len(few) < len(counts) else [])])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def picture(table: pd.DataFrame, *, max_steps: int | None = None) -> Any:
    """Draw accuracy against labels, and a map of digits that the learner has not seen.

    Parameters
    ----------
    table : DataFrame
        From `run`.
    max_steps : int or None, default=None
        Length of the training of the map. None: that of the learner.

    Returns
    -------
    figure : Figure
        Needs matplotlib.
    """
    from sklearn_mi.plots import EmbeddingDisplay, LabelEfficiencyDisplay

    X, y = load_digits(return_X_y=True)
    train, test, _, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
    codes = _learner(max_steps, n_components=2).fit(train).transform(test)
    left = LabelEfficiencyDisplay.from_table(summarise(table))
    figure = left.figure_
    figure.set_size_inches(11, 4.6)
    grid = figure.add_gridspec(1, 2)
    left.ax_.set_subplotspec(grid[0])
    left.ax_.set_title("Digits: logistic regression with few labels", size=11)
    right = EmbeddingDisplay.from_codes(codes, y_test, ax=figure.add_subplot(grid[1]))
    right.ax_.set_title(f"{len(test)} digits that the learner has not seen", size=11)
    return figure
