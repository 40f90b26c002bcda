"""What a table of `compare` says: means and differences, with intervals over folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

__all__ = ["differences", "summarise"]

DEFAULT_METRIC = "accuracy"


def _resample(table: pd.DataFrame) -> list[str]:
    return [column for column in ("seed", "fold") if column in table]


def _contest(table: pd.DataFrame) -> list[str]:
    """Return the columns that make a contest; of a measurement labels are not counted by class."""
    return ["name", "probe", "n_labels" if "n_labels" in table else "labels_per_class"]


def _metric_of(table: pd.DataFrame, metric: str | None) -> str:
    """Return the column to read: that of ``compare`` unless another is asked for."""
    if metric is not None:
        return metric
    if "metric" not in table:
        return DEFAULT_METRIC
    # Tables that were joined may be partly of before there were metrics.
    known = list(table["metric"].fillna(DEFAULT_METRIC).drop_duplicates())
    if len(known) > 1:
        raise ValueError(f"The table has the metrics {known}; expected one: pass metric=.")
    return known[0] if known else DEFAULT_METRIC


def _in_better_scale(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return one row for each contest and fold: means over draws, in the better scale."""
    counted = ["n_labelled", "n_train", "n_test", metric]
    contest = _contest(table)
    absent = [name for name in (*contest, "scale", "fold", *counted) if name not in table]
    if absent:
        raise ValueError(
            f"The table has no column {absent[0]!r}; it has {list(table)}. Expected what compare "
            "returns."
        )
    # A table without this column was made with stratified folds, which leave out their test rows.
    table = table if "n_left_out" in table else table.assign(n_left_out=table["n_test"])
    counted = [*counted, "n_left_out"]
    in_scale = [*contest, "scale"]
    by_fold = table.groupby([*in_scale, *_resample(table)], sort=False)[counted]
    folds = pd.DataFrame(by_fold.mean())
    means = pd.Series(folds.groupby(in_scale, sort=False)[metric].mean())
    better = means.groupby(contest, sort=False).idxmax()
    return pd.DataFrame(list(better), columns=in_scale).merge(folds.reset_index(), how="left")


def _corrected_t(values: ArrayLike, folds: pd.DataFrame) -> dict[str, float]:
    """Return the mean over folds, its 95 % interval, and the p-value of a mean of 0."""
    values = np.asarray(values, dtype=float)
    mean, n_folds = float(values.mean()), len(values)
    if n_folds == 1:
        return {"mean": mean, "low": math.nan, "high": math.nan, "p_value": math.nan}
    overlap = folds["n_left_out"].sum() / folds["n_train"].sum()
    error = math.sqrt(values.var(ddof=1) * (1 / n_folds + overlap))
    half = float(student_t.ppf(0.975, n_folds - 1)) * error
    # Without spread over folds any mean but 0 is certain.
    t = abs(mean) / error if error else math.inf * abs(mean) if mean else 0.0
    p_value = 2 * float(student_t.sf(t, n_folds - 1))
    return {"mean": mean, "low": mean - half, "high": mean + half, "p_value": p_value}


def summarise(table: pd.DataFrame, *, metric: str | None = None) -> pd.DataFrame:
    r"""Return the mean score and its interval for each contestant, number of labels and probe.

    Each probe keeps the scaling with the better mean over all folds and draws. That choice uses
    test rows and overstates each contestant's score a little; the probe "best" avoids this.

    The interval is Student's t over folds; each fold counts once, with its mean over draws. The
    training parts of the folds overlap, so the variance is corrected as Nadeau and Bengio propose.
    With J folds, the variance of their mean is estimated by

    .. math:: \Bigl( \frac1J + \frac{n_{test}}{n_{train}} \Bigr) s^2,

    since the errors of folds that share rows are correlated, which :math:`s^2` does not show. The
    correction makes the interval of five folds half as wide again. If a fold leaves out more or
    fewer rows than it tests (``cv``), the number left out replaces :math:`n_{test}`.

    Parameters
    ----------
    table : DataFrame
        From :func:`compare`. Concatenated tables that differ in ``random_state`` need a column
        ``seed``; every fold of every seed then counts as one of the J.
    metric : str, optional
        The column of scores, larger being better. By default the one that the column ``metric``
        of the table names: the first of ``scoring``.

    Returns
    -------
    summary : DataFrame
        Columns ``name``, ``probe``, ``labels_per_class`` or ``n_labels``, ``scale`` (the better
        one), ``n_labelled``, ``metric``, ``mean``, and ``low`` and ``high``, the ends of the 95 %
        interval.

    Raises
    ------
    ValueError
        If the table lacks a column, or has several metrics and none is chosen.

    References
    ----------
    Inference for the Generalization Error (Nadeau & Bengio, 2003), Machine Learning 52.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.evaluation import summarise
    >>> table = pd.DataFrame({
    ...     "name": "raw", "probe": "knn", "scale": "none", "labels_per_class": 1.0,
    ...     "n_labelled": 10, "n_train": 100, "n_test": 50,
    ...     "fold": [0, 0, 1, 1, 2, 2], "accuracy": [0.5, 0.7, 0.7, 0.9, 0.7, 0.7],
    ... })
    >>> summarise(table)[["mean", "low", "high"]].round(2)
       mean   low  high
    0   0.7  0.31  1.09
    """
    metric, in_scale = _metric_of(table, metric), [*_contest(table), "scale"]
    rows = []
    for key, folds in _in_better_scale(table, metric).groupby(in_scale, sort=False):
        found = list(_corrected_t(folds[metric], folds).values())[:3]
        rows.append((*cast(tuple, key), folds["n_labelled"].mean(), metric, *found))
    return pd.DataFrame(rows, columns=[*in_scale, "n_labelled", "metric", "mean", "low", "high"])


def _holm(p_values: pd.Series) -> pd.Series:
    """Return Holm's adjusted p-values: the k-th smallest of m times m - k + 1, never falling."""
    ordered = p_values.sort_values()
    adjusted = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1.0)
    return adjusted.reindex(p_values.index)


def differences(
    table: pd.DataFrame,
    reference: str,
    *,
    families: Sequence[str] = ("name", "probe"),
    metric: str | None = None,
) -> pd.DataFrame:
    """Return the score of each contestant minus that of a reference, paired by fold.

    Contestants of one call of :func:`compare` see the same folds and labels, so an easy fold helps
    both sides alike and drops out of the difference. Both sides use the same probe, each in its
    better scaling, as in :func:`summarise`. Interval and p-value are Student's t with the
    correction of Nadeau and Bengio (2003) for folds that overlap. A classifier has no probe; it
    is compared with the reference's first one.

    With many differences, some are large by chance. Holm's adjusted p-values limit the probability
    of any false claim within a family of tests, even if the tests depend on each other. Intervals
    are not adjusted.

    Parameters
    ----------
    table : DataFrame
        As for :func:`summarise`.
    reference : str
        Name of the contestant that is subtracted.
    families : sequence of str
        Rows that are equal in these columns are one family of tests. By default a family is one
        contestant with one probe at all numbers of labels; ``()`` makes all rows one family.
    metric : str, optional
        As for :func:`summarise`.

    Returns
    -------
    differences : DataFrame
        Columns ``name``, ``probe``, ``labels_per_class`` or ``n_labels``, ``reference_probe``,
        ``n_labelled``, ``mean`` (positive: the contestant is better than the reference), ``low``
        and ``high``, the ends of its 95 % interval, ``p_value`` (two-sided) and ``p_holm``.

    Raises
    ------
    ValueError
        If the table lacks a column or the reference, or if a contestant was not measured on the
        folds of the reference.

    References
    ----------
    Inference for the Generalization Error (Nadeau & Bengio, 2003), Machine Learning 52.

    A Simple Sequentially Rejective Multiple Test Procedure (Holm, 1979), Scandinavian Journal of
    Statistics 6.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.evaluation import compare, differences
    >>> X, y = load_digits(return_X_y=True)
    >>> table = compare(
    ...     {"raw": None, "PCA, 2": PCA(2)}, X, y,
    ...     labels_per_class=(5, 20), n_folds=3, n_draws=2, probes=("knn",),
    ... )
    >>> found = differences(table, "raw")
    >>> found[["name", "labels_per_class", "mean"]].round(1)
         name  labels_per_class  mean
    0  PCA, 2               5.0  -0.3
    1  PCA, 2              20.0  -0.4
    >>> bool((found["p_holm"] < 0.05).all())
    True
    """
    names = list(table["name"].drop_duplicates()) if "name" in table else []
    if reference not in names:
        raise ValueError(f"reference={reference!r}; expected one of {names}.")
    metric, contest = _metric_of(table, metric), _contest(table)
    kept = _in_better_scale(table, metric)
    sides = {
        cast(tuple, key): folds.set_index(_resample(kept))
        for key, folds in kept.groupby(contest, sort=False)
    }
    probes = [probe for name, probe, _ in sides if name == reference]
    rows = []
    for (name, probe, labels), folds in sides.items():
        if name != reference:
            other = probe if probe in probes else probes[0]
            base = sides.get((reference, other, labels))
            if base is None or set(base.index) != set(folds.index):
                raise ValueError(
                    f"{name!r} was not measured on the folds of {reference!r} at "
                    f"{contest[-1]}={labels:g}; compare both in one call."
                )
            gain = folds[metric] - base[metric]
            key = (name, probe, labels, other, folds["n_labelled"].mean())
            rows.append((*key, *_corrected_t(gain, folds).values()))
    columns = [*contest, "reference_probe", "n_labelled", "mean", "low", "high", "p_value"]
    found = pd.DataFrame(rows, columns=columns)
    grouped = found.groupby(list(families), sort=False) if families else found
    return found.assign(p_holm=grouped["p_value"].transform(_holm))
