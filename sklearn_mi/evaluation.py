"""Compare representations by the accuracy of simple classifiers, over folds and label counts.

`compare` makes a table from anything with ``fit`` and ``transform``; `summarise` and `differences`
read it. The probes of `sklearn_mi.probes` can be imported from here, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from sklearn_mi._base import resolve
from sklearn_mi._checks import check_classes, check_codes, check_random_state, check_values
from sklearn_mi._compat import _safe_indexing
from sklearn_mi.diagnostics import (
    alignment,
    alpha_req,
    cluster_stability,
    effective_rank,
    intrinsic_dimension,
    uniformity,
)
from sklearn_mi.probes import (
    PROBES,
    SCALES,
    best_of,
    best_readout,
    fitted_scaling,
    knn_probe,
    linear_probe,
    mlp_probe,
    paper_probe,
    v_information,
)

__all__ = [
    "best_readout",
    "compare",
    "differences",
    "knn_probe",
    "label_free_score",
    "linear_probe",
    "mlp_probe",
    "paper_probe",
    "summarise",
    "v_information",
]

UNLABELLED = -1
BEST = "best"
NO_BOUND: dict[str, float] = dict.fromkeys(("mi", "mi_stderr", "mi_ceiling"), np.nan)
DIAGNOSTICS = (
    "effective_rank",
    "uniformity",
    "intrinsic_dimension",
    "alignment",
    "v_information",
    "fit_seconds",
    "transform_seconds",
)
# The time of two of the diagnostics grows with the square of the number of rows.
MOST_DIAGNOSED = 2000
CONTEST = ["name", "probe", "labels_per_class"]


class _Draw(NamedTuple):
    number: int
    labels_per_class: float
    rows: NDArray[np.intp]

    def row(self, probe: str, scale: str, chosen: str, accuracy: float) -> dict[str, Any]:
        return {
            "draw": self.number,
            "labels_per_class": self.labels_per_class,
            "n_labelled": len(self.rows),
            "probe": probe,
            "scale": scale,
            "chosen": chosen,
            "accuracy": accuracy,
        }


class _Fold(NamedTuple):
    number: int
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    groups: NDArray[np.intp] | None
    n_left_out: int
    draws: list[_Draw]

    def parts(self, table: Any) -> tuple[Any, Any]:
        return _safe_indexing(table, self.train), _safe_indexing(table, self.test)

    def sizes(self) -> dict[str, Any]:
        return {
            "n_train": len(self.train),
            "n_test": len(self.test),
            "n_left_out": self.n_left_out,
        }


class _Plan(NamedTuple):
    probes: Sequence[str]
    scales: Sequence[str]
    diagnostics: bool
    every_label: bool

    def readouts(self) -> list[tuple[str, str]]:
        # The best readout chooses its own scale.
        return [
            (probe, scale)
            for probe in self.probes
            for scale in ([BEST] if probe == BEST else self.scales)
        ]


class _Encoded(NamedTuple):
    fitted: Any
    train: NDArray[Any]
    test: NDArray[Any]
    fit_seconds: float
    transform_seconds: float


def label_free_score(
    estimator: Any,
    X: ArrayLike,
    y: Any = None,
    *,
    criterion: str = "cluster-stability",
    max_rows: int = 2000,
) -> float:
    """Score a fitted transformer without labels, so that a grid search can choose settings.

    Pass it to a grid search: ``GridSearchCV(learner, grid, scoring=label_free_score)``. Without
    ``scoring`` a grid search takes the learner's own ``score``, a held-out bound, which does not
    tell which setting gives good features and cannot compare views. None of the criteria is
    accuracy; the page "Choosing without labels" shows how well each predicts it over some hundred
    settings. If you have a few labels, score a probe on them instead.

    Parameters
    ----------
    estimator : transformer
        Anything with ``transform``, fitted.
    X : array-like of shape (n_samples, ...)
        Rows, preferably ones that the fit did not see.
    y : None
        Ignored.
    criterion : {"cluster-stability", "effective-rank", "alpha-req", "uniformity"}
        From `sklearn_mi.diagnostics`, with the sign at which more is meant to be better. For
        "uniformity" that is minus the uniformity; for "alpha-req", minus the distance of the
        exponent from 1. Codes are not scaled.
    max_rows : int
        Use at most the first ``max_rows`` rows, since uniformity and stability take time.

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If ``criterion`` is not a known name, or the codes are not a table of finite numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mi.evaluation import label_free_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> grid = GridSearchCV(PCA(), {"n_components": [2, 8]}, scoring=label_free_score, cv=2)
    >>> grid.fit(X).best_params_
    {'n_components': 8}
    """
    value = resolve("criterion", criterion, CRITERIA)
    rows = _safe_indexing(X, slice(max_rows))
    return float(value(estimator.transform(rows)))


def _label_draws(
    y: NDArray[np.intp],
    n_classes: int,
    labels_per_class: Sequence[int | None],
    n_draws: int,
    generator: np.random.RandomState,
) -> list[_Draw]:
    smallest = int(np.bincount(y, minlength=n_classes).min())
    draws = []
    for draw in range(n_draws):
        # Nested within a draw: the rows labelled at 1 per class are among those at 5 per class, so
        # that the points of a curve share most of their luck.
        order = generator.permutation(len(y))
        rank_in_class = pd.Series(y[order]).groupby(y[order]).cumcount().to_numpy()
        for labels in labels_per_class:
            if labels is None:
                if draw == 0:
                    draws.append(_Draw(draw, np.inf, np.arange(len(y))))
            elif 1 <= labels <= smallest:
                draws.append(_Draw(draw, float(labels), np.sort(order[rank_in_class < labels])))
            else:
                raise ValueError(
                    f"labels_per_class={labels}; expected 1 to {smallest}, the number of rows of "
                    "the smallest class in a training fold, or None for all."
                )
    return draws


def _splits(
    y: NDArray[np.intp],
    groups: NDArray[np.intp] | None,
    n_folds: int,
    cv: Any,
    generator: np.random.RandomState,
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    if cv is not None:
        splits: Any = check_cv(cv)
        return list(splits.split(y, y, groups))
    if n_folds < 2:
        raise ValueError(f"n_folds={n_folds}; expected at least 2.")
    most = int(np.bincount(y).max())
    if n_folds > most:
        raise ValueError(
            f"n_folds={n_folds}, but no class of y has more than {most} of {len(y)} rows; expected "
            "at most as many folds. Merge classes, or bin y if it is a measurement."
        )
    if groups is None:
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=generator).split(y, y))
    n_groups = len(np.unique(groups))
    if n_folds > n_groups:
        raise ValueError(f"n_folds={n_folds} with {n_groups} groups; expected at most {n_groups}.")
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=generator)
    return list(splitter.split(y, y, groups))


def _folds(
    y: NDArray[np.intp],
    groups: NDArray[np.intp] | None,
    splits: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
    labels_per_class: Sequence[int | None],
    n_draws: int,
    generator: np.random.RandomState,
) -> list[_Fold]:
    n_classes = int(y.max()) + 1
    n_ever = len(np.unique(np.concatenate([train for train, _ in splits])))
    folds = []
    for number, (train, test) in enumerate(splits):
        if not len(test) or len(np.unique(y[train])) < n_classes:
            raise ValueError(
                f"Fold {number} of {len(splits)} has no test row, or no training row of some "
                "class of y. Take fewer folds, or leave out classes of few rows or few groups."
            )
        draws = _label_draws(y[train], n_classes, labels_per_class, n_draws, generator)
        inner = None if groups is None else groups[train]
        folds.append(_Fold(number, train, test, inner, n_ever - len(train), draws))
    return folds


def _check_names(
    transformers: Mapping[str, Any],
    classifiers: Mapping[str, Any],
    probes: Sequence[str],
    scales: Sequence[str],
) -> None:
    # Before the first fit: a wrong name should not cost an hour of training.
    for probe in probes:
        if probe not in (*PROBES, BEST):
            raise ValueError(f"probe={probe!r}; expected one of {sorted([*PROBES, BEST])}.")
    for scale in scales:
        resolve("scale", scale, SCALES)
    twice = set(transformers) & set(classifiers)
    if twice:
        raise ValueError(f"names {sorted(twice)} are in transformers and in classifiers; rename.")


def _steps(transformer: Any) -> list[Any]:
    return [step for _, step in getattr(transformer, "steps", [("", transformer)])]


def _held_out_bound(transformer: Any) -> dict[str, float]:
    for step in [transformer, *_steps(transformer)]:
        if hasattr(step, "mi_"):
            bound = step.mi_
            return {"mi": bound.value, "mi_stderr": bound.stderr, "mi_ceiling": bound.ceiling}
    return NO_BOUND


def _alignment(transformer: Any, X: Any) -> float:
    """Return the alignment of the codes of both views, nan if the last step has one view."""
    *before, last = _steps(transformer)
    if not hasattr(last, "transform_views"):
        return math.nan
    Z, Z_prime = last.transform_views(transformer[:-1].transform(X) if before else X)
    return alignment(Z, Z_prime) if Z.shape == Z_prime.shape else math.nan


def _fitted(estimator: Any, *data: Any) -> Any:
    return cast(Any, clone(estimator)).fit(*data)


def _flat(name: str, Z: Any) -> NDArray[Any]:
    """Return codes as a table of numbers, those of images flattened."""
    table = Z if np.ndim(Z) == 2 else np.asarray(Z).reshape(len(Z), -1)
    return check_codes(name, table, dtype=None)


def _encode(name: str, transformer: Any, X_train: Any, X_test: Any) -> _Encoded:
    table = f"Z, the codes of {name!r},"
    if transformer is None:
        return _Encoded(None, _flat(table, X_train), _flat(table, X_test), 0.0, 0.0)
    start = time.perf_counter()
    fitted = _fitted(transformer, X_train)
    fit_seconds = time.perf_counter() - start
    Z_train = _flat(table, fitted.transform(X_train))
    start = time.perf_counter()
    Z_test = fitted.transform(X_test)
    seconds = time.perf_counter() - start
    return _Encoded(fitted, Z_train, _flat(table, Z_test), fit_seconds, seconds)


def _diagnose(
    codes: _Encoded, X_test: Any, y_train: NDArray[np.intp], y_test: NDArray[np.intp], plan: _Plan
) -> dict[str, float]:
    spread = np.linspace(0, len(codes.test) - 1, min(len(codes.test), MOST_DIAGNOSED))
    Z = codes.test[spread.astype(int)]
    found = [
        effective_rank(Z),
        uniformity(Z),
        intrinsic_dimension(Z),
        _alignment(codes.fitted, X_test),
        v_information(codes.train, y_train, codes.test, y_test) if plan.every_label else math.nan,
        codes.fit_seconds,
        codes.transform_seconds,
    ]
    return dict(zip(DIAGNOSTICS, found, strict=True))


def _probe_fold(
    name: str, transformer: Any, X: Any, y: NDArray[np.intp], fold: _Fold, plan: _Plan
) -> list[dict[str, Any]]:
    (X_train, X_test), (y_train, y_test) = fold.parts(X), fold.parts(y)
    codes = _encode(name, transformer, X_train, X_test)
    facts = fold.sizes() | _held_out_bound(codes.fitted)
    if plan.diagnostics:
        facts |= _diagnose(codes, X_test, y_train, y_test, plan)
    scalings = {scale: fitted_scaling(scale, codes.train) for scale in plan.scales}
    test = {scale: scaling(codes.test) for scale, scaling in scalings.items()}
    rows = []
    for draw in fold.draws:
        labels = y_train[draw.rows]
        groups = None if fold.groups is None else fold.groups[draw.rows]
        labelled = {name: scaling(codes.train[draw.rows]) for name, scaling in scalings.items()}
        for probe, scale in plan.readouts():
            chosen = best_of(labelled, labels, groups) if probe == BEST else (probe, scale)
            data = labelled[chosen[1]], labels, test[chosen[1]], y_test
            accuracy = PROBES[chosen[0]](*data, scale="none")
            rows.append(draw.row(probe, scale, ", ".join(chosen), accuracy) | facts)
    return rows


def _classify_fold(
    name: str, classifier: Any, X: Any, y: NDArray[np.intp], fold: _Fold, plan: _Plan
) -> list[dict[str, Any]]:
    (X_train, X_test), (y_train, y_test) = fold.parts(X), fold.parts(y)
    facts = fold.sizes() | NO_BOUND
    if plan.diagnostics:
        facts |= dict.fromkeys(DIAGNOSTICS, math.nan)
    rows = []
    for draw in fold.draws:
        known = np.full(len(y_train), UNLABELLED)
        known[draw.rows] = y_train[draw.rows]
        # Label propagation divides 0 by 0 for a row that no label reaches, and warns each time.
        with np.errstate(divide="ignore", invalid="ignore"):
            fitted = _fitted(classifier, X_train, known)
            accuracy = float(np.mean(fitted.predict(X_test) == y_test))
        rows.append(draw.row("own", "none", "own", accuracy) | facts)
    return rows


def compare(
    transformers: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    classifiers: Mapping[str, Any] | None = None,
    labels_per_class: Sequence[int | None] = (1, 5, 20, None),
    n_folds: int = 5,
    n_draws: int = 10,
    cv: Any = None,
    probes: Sequence[str] = ("logistic", "knn"),
    scales: Sequence[str] = ("column", "common"),
    diagnostics: bool = False,
    only_folds: Sequence[int] | None = None,
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Compare representations by accuracy against the number of labelled rows, cross-validated.

    Each stratified fold takes three steps. A clone of the transformer is fitted to the training
    rows without labels. Both parts of the fold are transformed. Some training rows, drawn at
    random, get their labels, and a probe (a simple classifier of the codes) that is trained on
    them classifies the test rows.

    Every contestant sees the same folds and the same labelled rows, so accuracies can be compared
    in pairs. The scaling of a probe is fitted to all training rows. Nothing is fitted to test
    rows, and only the diagnostics use them before they are classified.

    Parameters
    ----------
    transformers : dict of str to transformer
        The contestants, by name. Anything with ``fit(X)`` and ``transform``, such as a Pipeline;
        None stands for the rows as they are.
    X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        Rows: a table, images, or whatever every contestant takes.
    y : array-like of shape (n_samples,)
        Classes, at least two, none missing. No transformer sees them.
    groups : array-like of shape (n_samples,), optional
        Rows of one group, such as a patient, are all in the training part of a fold or all in its
        test part.
    classifiers : dict of str to classifier, optional
        Semi-supervised classifiers for the same table, such as ``LabelSpreading``. They are
        fitted to all training rows, with -1 for a withheld label.
    labels_per_class : sequence of int or None
        Number of labelled rows of each class; None: all, in a single draw.
    n_folds, n_draws : int
        Number of folds, and of draws of labelled rows in each.
    cv : int, splitter or iterable of (train, test), optional
        Your own folds instead of the stratified ones: anything that scikit-learn takes as
        ``cv``. Training parts may leave out other rows than the test rows of the fold.
    probes : sequence of {"logistic", "knn", "mlp", "best"}
        :func:`linear_probe`, :func:`knn_probe`, :func:`mlp_probe`. "best" is the better of the
        first two, with its scaling, chosen for each contestant and draw by cross-validation of
        the labelled rows (see :func:`best_readout`, also for its rule at one label per class).
        It is the fair choice if contestants need different probes: with the others, `summarise`
        keeps the scaling that did better on test rows.
    scales : sequence of {"column", "common", "none"}
        Scalings to run each probe with, and for "best" to choose from.
    diagnostics : bool
        Add diagnostics of the codes of each test fold, and the seconds of fit and transform.
    only_folds : sequence of int, optional
        Numbers of the folds to run, from 0; by default all. Tables of single folds with the same
        integer as ``random_state`` add up to the table of all folds.
    random_state : int, RandomState or None
        Draws folds and labelled rows. Transformers have a seed of their own.
    n_jobs : int, optional
        Number of joblib's processes; a task is one contestant in one fold. With several, the
        seconds are those of a busy machine.

    Returns
    -------
    table : DataFrame
        One row for each name, fold, draw, number of labels, probe and scale, with columns
        ``name``, ``fold``, ``draw``, ``labels_per_class`` (infinity: all), ``n_labelled`` (rows
        in all classes), ``probe`` (``"own"``: a classifier), ``scale``, ``chosen`` (probe and
        scaling that ran, ``"knn, common"``), ``accuracy``, ``n_train`` and ``n_test`` (rows of
        the fold's parts), ``n_left_out`` (rows that other folds train on and this one does not:
        as many as ``n_test`` in a cross-validation). If a fitted transformer has ``mi_``, its
        held-out bound in nats stands in ``mi``, ``mi_stderr`` and ``mi_ceiling``; else they are
        nan.

        With ``diagnostics``, also ``effective_rank``, ``uniformity`` and
        ``intrinsic_dimension`` of the test rows' codes without scaling (with more than 2,000
        rows, of that many, evenly spaced); ``alignment``, if the transformer, or the last step of
        a Pipeline, has ``transform_views``; ``v_information`` in nats of a linear probe on scaled
        columns, if ``labels_per_class`` has None, so that all labels are available;
        ``fit_seconds``, and ``transform_seconds`` of the test rows. What does not apply is nan.

    Raises
    ------
    ValueError
        If a probe or scale is not a known name, a name is given twice, ``y`` is continuous or has
        missing values or one class, lengths differ, a class has fewer rows than
        ``labels_per_class`` asks for, rows or groups do not suffice for the folds, ``only_folds``
        names a fold that does not exist, or a contestant's codes are not finite numbers.

    See Also
    --------
    summarise : The table in one row for each contestant.
    differences : Each contestant minus a reference, with intervals.
    sklearn_mi.plots.LabelEfficiencyDisplay : Accuracy against labels, drawn.
    sklearn_mi.plots.DiagnosticsDisplay : The diagnostics, drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.evaluation import compare, summarise
    >>> X, y = load_digits(return_X_y=True)
    >>> table = compare(
    ...     {"raw": None, "PCA": PCA(16)}, X, y,
    ...     labels_per_class=(1, 5), n_folds=3, n_draws=2, probes=("knn",),
    ... )
    >>> len(table)
    48
    >>> summarise(table)[["name", "labels_per_class", "mean"]].round(1)
      name  labels_per_class  mean
    0  raw               1.0   0.7
    1  raw               5.0   0.9
    2  PCA               1.0   0.7
    3  PCA               5.0   0.9
    """
    classifiers = classifiers or {}
    _check_names(transformers, classifiers, probes, scales)
    n_rows = X.shape[0] if issparse(X) else len(X)
    classes = np.unique(check_classes("y", y, n_rows, least=2), return_inverse=True)[1]
    if groups is not None:
        groups = np.unique(check_values("groups", groups, n_rows), return_inverse=True)[1]
    generator = check_random_state(random_state)
    splits = _splits(classes, groups, n_folds, cv, generator)
    if not set(only_folds or ()) <= set(range(len(splits))):
        raise ValueError(f"only_folds={only_folds}; expected numbers from 0 to {len(splits) - 1}.")
    folds = _folds(classes, groups, splits, labels_per_class, n_draws, generator)
    folds = folds if only_folds is None else [folds[number] for number in only_folds]
    plan = _Plan(probes, scales, diagnostics, None in labels_per_class)
    contests = [
        *product(transformers.items(), folds, [_probe_fold]),
        *product(classifiers.items(), folds, [_classify_fold]),
    ]
    tasks = [
        delayed(measure)(name, estimator, X, classes, fold, plan)
        for (name, estimator), fold, measure in contests
    ]
    results = cast(list, Parallel(n_jobs=n_jobs)(tasks))
    return pd.DataFrame(
        {"name": name, "fold": fold.number, **row}
        for ((name, _), fold, _), rows in zip(contests, results, strict=True)
        for row in rows
    )


def _resample(table: pd.DataFrame) -> list[str]:
    return [column for column in ("seed", "fold") if column in table]


def _in_better_scale(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each contest and fold: means over draws, in the better scale."""
    counted = ["n_labelled", "n_train", "n_test", "accuracy"]
    absent = [name for name in (*CONTEST, "scale", "fold", *counted) if name not in table]
    if absent:
        raise ValueError(
            f"The table has no column {absent[0]!r}; it has {list(table)}. Expected what compare "
            "returns."
        )
    # A table without this column was made with stratified folds, which leave out their test rows.
    table = table if "n_left_out" in table else table.assign(n_left_out=table["n_test"])
    counted = [*counted, "n_left_out"]
    in_scale = [*CONTEST, "scale"]
    by_fold = table.groupby([*in_scale, *_resample(table)], sort=False)[counted]
    folds = pd.DataFrame(by_fold.mean())
    means = pd.Series(folds.groupby(in_scale, sort=False)["accuracy"].mean())
    better = means.groupby(CONTEST, sort=False).idxmax()
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


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    r"""Return mean accuracy and its interval for each contestant, number of labels and probe.

    Each probe keeps the scaling with the better mean over all folds and draws. That choice uses
    test rows and overstates each contestant's accuracy a little; the probe "best" avoids this.

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

    Returns
    -------
    summary : DataFrame
        Columns ``name``, ``probe``, ``labels_per_class``, ``scale`` (the better one),
        ``n_labelled``, ``mean``, and ``low`` and ``high``, the ends of the 95 % interval.

    Raises
    ------
    ValueError
        If the table lacks a column.

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
    kept = _in_better_scale(table)
    rows = []
    for key, folds in kept.groupby([*CONTEST, "scale"], sort=False):
        found = _corrected_t(folds["accuracy"], folds)
        rows.append((*cast(tuple, key), folds["n_labelled"].mean(), *list(found.values())[:3]))
    columns = [*CONTEST, "scale", "n_labelled", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _holm(p_values: pd.Series) -> pd.Series:
    """Return Holm's adjusted p-values: the k-th smallest of m times m - k + 1, never falling."""
    ordered = p_values.sort_values()
    adjusted = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1.0)
    return adjusted.reindex(p_values.index)


def differences(
    table: pd.DataFrame, reference: str, *, families: Sequence[str] = ("name", "probe")
) -> pd.DataFrame:
    """Return the accuracy of each contestant minus that of a reference, paired by fold.

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

    Returns
    -------
    differences : DataFrame
        Columns ``name``, ``probe``, ``labels_per_class``, ``reference_probe``, ``n_labelled``,
        ``mean`` (positive: the contestant is better than the reference), ``low`` and ``high``,
        the ends of its 95 % interval, ``p_value`` (two-sided) and ``p_holm``.

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
    kept = _in_better_scale(table)
    sides = {
        cast(tuple, key): folds.set_index(_resample(kept))
        for key, folds in kept.groupby(CONTEST, sort=False)
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
                    f"labels_per_class={labels:g}; compare both in one call."
                )
            gain = folds["accuracy"] - base["accuracy"]
            key = (name, probe, labels, other, folds["n_labelled"].mean())
            rows.append((*key, *_corrected_t(gain, folds).values()))
    columns = [*CONTEST, "reference_probe", "n_labelled", "mean", "low", "high", "p_value"]
    found = pd.DataFrame(rows, columns=columns)
    grouped = found.groupby(list(families), sort=False) if families else found
    return found.assign(p_holm=grouped["p_value"].transform(_holm))


CRITERIA: dict[str, Callable[[], Callable[[NDArray[Any]], float]]] = {
    "cluster-stability": lambda: cluster_stability,
    "effective-rank": lambda: effective_rank,
    "alpha-req": lambda: lambda Z: -abs(alpha_req(Z) - 1),
    "uniformity": lambda: lambda Z: -uniformity(Z),
}
