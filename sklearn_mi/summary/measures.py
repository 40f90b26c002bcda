"""The numbers of a report: features beside the columns, and each column beside the label."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_mi.diagnostics import (
    cluster_stability,
    effective_rank,
    intrinsic_dimension,
    uniformity,
)
from sklearn_mi.evaluation import compare
from sklearn_mi.information import mutual_info_table
from sklearn_mi.summary.code import Split
from sklearn_mi.summary.data import NUMBERS, Data, numbers_of

__all__ = [
    "OURS",
    "PRINCIPAL",
    "RAW",
    "Fitted",
    "Plan",
    "Rows",
    "column_information",
    "compare_features",
    "describe_codes",
    "draw_rows",
    "fit_features",
    "plan_comparison",
    "training_tables",
]

RAW = "columns as they are"
PRINCIPAL = "PCA"
OURS = "learned features"
VARIANCE = 0.9  # that PCA keeps
HELD_OUT = 0.25
MOST_DIAGNOSED = 2000  # the time of two of the diagnostics grows with the square of the rows
CLUSTERS = 10
LABELS_PER_CLASS_TO_LABELS = 10  # a measurement has no classes


class Rows(NamedTuple):
    """Positions of the rows of a report: some are trained on, the others held out."""

    train: NDArray[np.intp]
    held_out: NDArray[np.intp]
    seed: int

    @property
    def all(self) -> NDArray[np.intp]:
        """Both, in the order of the data."""
        return np.sort(np.concatenate([self.train, self.held_out]))

    @property
    def split(self) -> Split:
        """What draws them again."""
        return Split(len(self.train), len(self.held_out), self.seed)


class Fitted(NamedTuple):
    """A learner trained on some rows, and what it makes of the others."""

    features: Any
    codes: NDArray[Any]
    columns: NDArray[Any]
    rows: Rows
    seconds: float

    @property
    def learner(self) -> Any:
        """The learner without what prepares its rows."""
        return self.features[-1] if hasattr(self.features, "steps") else self.features


class Plan(NamedTuple):
    """How features are compared: on which rows, with how many labels."""

    rows: NDArray[np.intp]
    labels: tuple[int | None, ...]
    n_folds: int
    n_draws: int
    left_out: list[str]
    dropped: list[int]


def draw_rows(data: Data, max_rows: int, seed: int) -> Rows:
    """Draw the rows of a report, and hold out a quarter of them.

    Parameters
    ----------
    data : Data
    max_rows : int
        Rows that are drawn where there are more.
    seed : int

    Returns
    -------
    rows : Rows
    """
    n_rows = min(len(data.rows), max_rows)
    n_held_out = round(HELD_OUT * n_rows)
    parts: Any = train_test_split(
        np.arange(len(data.rows)),
        train_size=n_rows - n_held_out,
        test_size=n_held_out,
        random_state=seed,
    )
    return Rows(parts[0], parts[1], seed)


def fit_features(data: Data, learner: Any, rows: Rows) -> Fitted:
    """Train a learner on the rows for training, and encode those that are held out.

    Parameters
    ----------
    data : Data
    learner : transformer
    rows : Rows

    Returns
    -------
    fitted : Fitted
    """
    train, held_out = (_take(data.rows, part) for part in (rows.train, rows.held_out))
    features = _behind(data, clone(learner))
    start = time.perf_counter()
    features.fit(train)
    seconds = time.perf_counter() - start
    columns = _behind(data, *_flat(), *_scaled(data)).fit(train)
    codes = _flatten(features.transform(held_out))
    return Fitted(features, codes, columns.transform(held_out), rows, seconds)


def training_tables(learner: Any) -> dict[str, pd.DataFrame]:
    """Return what a learner picked and how it trained, where it tells.

    Parameters
    ----------
    learner : transformer
        Fitted.

    Returns
    -------
    tables : dict of str to DataFrame
    """
    tables = {}
    if hasattr(learner, "choices_"):
        rows = [(k, repr(choice.value), choice.reason) for k, choice in learner.choices_.items()]
        tables["choices"] = pd.DataFrame(rows, columns=["parameter", "picked", "reason"])
    if hasattr(learner, "history_"):
        steps = np.cumsum([row["steps"] for row in learner.history_])
        bounds = [row["train_bound"] for row in learner.history_]
        tables["training"] = pd.DataFrame({"step": steps, "train_bound": bounds})
    return tables


def _labels(data: Data) -> NDArray[Any]:
    if data.y is None:
        raise ValueError("y=None; expected labels.")
    return data.y


def _take(rows: Any, numbers: NDArray[np.intp]) -> Any:
    return rows.iloc[numbers] if isinstance(rows, pd.DataFrame) else rows[numbers]


def _behind(data: Data, *steps: Any) -> Any:
    """Return steps behind those that make numbers of the columns."""
    first = [] if data.preparation is None else [data.preparation.transformer()]
    return make_pipeline(*first, *steps) if len(first) + len(steps) != 1 else [*first, *steps][0]


def _flatten(rows: Any) -> NDArray[Any]:
    flat = np.asarray(rows, dtype=float).reshape(len(rows), -1)
    # 0 where a recording has ended.
    return np.where(np.isnan(flat), 0.0, flat)


def _flat() -> list[Any]:
    return [FunctionTransformer(_flatten)]


def _scaled(data: Data) -> list[Any]:
    return [StandardScaler()] if data.is_table else []


def plan_comparison(
    data: Data,
    rows: NDArray[np.intp],
    labels_per_class: Sequence[int | None],
    n_folds: int,
    n_draws: int,
) -> Plan:
    """Choose rows and numbers of labels that each fold can serve.

    Parameters
    ----------
    data : Data
        With labels.
    rows : ndarray of shape (n_rows,)
        Rows of the report.
    labels_per_class : sequence of int or None
        Of a measurement there are ten times as many labels in all.
    n_folds, n_draws : int

    Returns
    -------
    plan : Plan
        Rows of classes with fewer rows than folds are left out, and numbers of labels that a
        training part does not have.

    Raises
    ------
    ValueError
        If fewer than two classes are left.
    """
    y, names = _labels(data)[rows], []
    if data.is_measurement:
        most = len(y) - math.ceil(len(y) / n_folds)
        wanted = [n and LABELS_PER_CLASS_TO_LABELS * n for n in labels_per_class]
    else:
        classes, counts = np.unique(y, return_counts=True)
        enough = counts >= n_folds
        if enough.sum() < 2:
            raise ValueError(
                f"y has fewer than two classes of at least {n_folds} rows; expected one row a "
                f"class in each of n_folds={n_folds} folds: merge classes, or take fewer folds."
            )
        names = [str(name) for name in classes[~enough]]
        rows = rows[np.isin(y, classes[enough])]
        smallest = int(counts[enough].min())
        most, wanted = smallest - math.ceil(smallest / n_folds), list(labels_per_class)
    kept = [n for n in wanted if n is None or n <= most] or [most]
    dropped = [n for n in wanted if n not in kept and n is not None]
    return Plan(rows, tuple(kept), n_folds, n_draws, names, dropped)


def compare_features(data: Data, learner: Any, plan: Plan, seed: int) -> pd.DataFrame:
    """Return how well a linear model predicts the label from few labelled rows.

    Parameters
    ----------
    data : Data
        With labels.
    learner : transformer
    plan : Plan
    seed : int

    Returns
    -------
    table : DataFrame
        As `sklearn_mi.evaluation.compare` returns it; of a measurement, ``labels_per_class`` is
        the number of labels in all.
    """
    contestants = {
        RAW: _behind(data, *([] if data.preparation else _flat())),
        PRINCIPAL: _behind(data, *_flat(), *_scaled(data), PCA(VARIANCE, svd_solver="full")),
        OURS: _behind(data, learner),
    }
    X, y = _take(data.rows, plan.rows), _labels(data)[plan.rows]
    settings: dict[str, Any] = {"probes": ("logistic",), "labels_per_class": plan.labels}
    if data.is_measurement:
        settings = {"probes": ("ridge",), "n_labels": plan.labels, "scales": ("column",)}
    table = compare(
        contestants,
        X,
        y,
        discrete_target=not data.is_measurement,
        n_folds=plan.n_folds,
        n_draws=plan.n_draws,
        random_state=seed,
        **settings,
    )
    return table.rename(columns={"n_labels": "labels_per_class"})


def describe_codes(data: Data, fitted: Fitted) -> pd.DataFrame:
    """Return diagnostics of the held-out rows: of their columns, scaled, and of their codes.

    Parameters
    ----------
    data : Data
        Of its labels only the number of classes is used.
    fitted : Fitted

    Returns
    -------
    table : DataFrame
        A row for each diagnostic, nan where it cannot be computed.
    """
    has_classes = data.y is not None and not data.is_measurement
    n_clusters = len(np.unique(_labels(data))) if has_classes else CLUSTERS
    sides = {RAW: fitted.columns[:MOST_DIAGNOSED], OURS: fitted.codes[:MOST_DIAGNOSED]}
    diagnostics: dict[str, Callable[[Any], float]] = {
        "numbers a row": lambda Z: float(Z.shape[1]),
        "effective rank": effective_rank,
        "intrinsic dimension": intrinsic_dimension,
        "uniformity": uniformity,
        f"cluster stability, {n_clusters} clusters": lambda Z: (
            cluster_stability(Z, n_clusters=n_clusters)
            if len(np.unique(Z, axis=0)) >= 4 * n_clusters
            else math.nan
        ),
    }
    found = {
        side: [measure(Z - Z.mean(axis=0)) for measure in diagnostics.values()]
        for side, Z in sides.items()
    }
    return pd.DataFrame(found, index=list(diagnostics))


def column_information(data: Data, rows: NDArray[np.intp]) -> tuple[pd.DataFrame, float]:
    """Return the mutual information of each column with the label.

    As of `sklearn_mi.information.mutual_info_table`; missing values are a value of their own.

    Parameters
    ----------
    data : Data
        With labels.
    rows : ndarray of shape (n_rows,)
        Rows of the report.

    Returns
    -------
    table : DataFrame
        The largest value first.
    entropy : float
        Of classes, in nats: what no column can exceed; ``inf`` if the label is a measurement.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_mi.summary.data import read_data
    >>> from sklearn_mi.summary.measures import column_information
    >>> y = np.tile([0, 1], 200)
    >>> data = read_data(pd.DataFrame({"copy": y, "other": np.repeat([0, 1], 200)}), y)
    >>> table, entropy = column_information(data, np.arange(400))
    >>> bool(abs(table.loc["copy", "value"] - np.log(2)) < 0.01), round(entropy, 3)
    (True, 0.693)
    """
    y = _labels(data)[rows]
    columns = data.used().iloc[rows].reset_index(drop=True).apply(_whole)
    table = mutual_info_table(columns, y, discrete_target=not data.is_measurement)
    entropy = math.inf
    if not data.is_measurement:
        share = np.unique(y, return_counts=True)[1] / len(y)
        entropy = float(-share @ np.log(share))
    return table.sort_values("value", ascending=False, kind="stable"), entropy


def _whole(values: pd.Series) -> pd.Series:
    """Return a column without holes: numbers below all others, or a text, stand there."""
    if pd.api.types.infer_dtype(values, skipna=True) in NUMBERS:
        numbers = numbers_of(values)
        lowest = np.nanmin(numbers, initial=0.0) - 1.0
        return pd.Series(np.where(np.isnan(numbers), lowest, numbers))
    return values.astype(object).where(values.notna(), "(missing)").astype(str)
