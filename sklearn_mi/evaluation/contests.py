"""Contestants on the same folds and the same labelled rows: `compare`."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from sklearn_mi._base import positive_integer, resolve
from sklearn_mi._checks import (
    check_codes,
    check_container,
    check_names,
    check_own_folds,
    check_random_state,
    check_values,
    native_table,
    without_gradient,
)
from sklearn_mi._compat import _num_samples, _safe_indexing
from sklearn_mi._progress import progress_bar
from sklearn_mi.diagnostics import alignment, effective_rank, intrinsic_dimension, uniformity
from sklearn_mi.probes import (
    READOUTS,
    SCALES,
    best_of,
    fitted_readout,
    fitted_scaling,
    read_labels,
    v_information,
)
from sklearn_mi.workers import in_parallel

__all__ = ["compare"]

# A withheld label: of classes, and of a measurement.
UNLABELLED = {False: -1, True: math.nan}
BEST = "best"
PROBES = {False: ("logistic", "knn"), True: ("ridge", "knn")}
# How many labels: of each class, or of a measurement in all.
COUNTED = {False: "labels_per_class", True: "n_labels"}
COUNTS: dict[str, Sequence[int | None]] = {
    "labels_per_class": (1, 5, 20, None),
    "n_labels": (10, 50, 200, None),
}
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
TAKEN = {
    *("name", "fold", "draw", "seed", "labels_per_class", "n_labels", "n_labelled", "probe"),
    *("scale", "chosen", "metric", "n_train", "n_test", "n_left_out", *NO_BOUND, *DIAGNOSTICS),
}
# The time of two of the diagnostics grows with the square of the number of rows.
MOST_DIAGNOSED = 2000


class _Draw(NamedTuple):
    number: int
    n_labels: float
    rows: NDArray[np.intp]


class _Target(NamedTuple):
    """Classes, numbered from 0 in their order, or a measurement; and how many are labelled."""

    y: NDArray[Any]
    is_measurement: bool
    n_labels: Sequence[int | None]

    @property
    def counted(self) -> str:
        return COUNTED[self.is_measurement]


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
    target: _Target
    scorer: Any
    metrics: list[str]
    probes: Sequence[str]
    scales: Sequence[str]
    diagnostics: bool

    def readouts(self) -> list[tuple[str, str]]:
        # The best readout chooses its own scale.
        return [
            (probe, scale)
            for probe in self.probes
            for scale in ([BEST] if probe == BEST else self.scales)
        ]

    def reads_all(self) -> bool:
        """Whether all classes are known, as v-information needs."""
        return None in self.target.n_labels and not self.target.is_measurement

    def row(self, draw: _Draw, probe: str, scale: str, chosen: str, scores: Any) -> dict[str, Any]:
        return {
            "draw": draw.number,
            self.target.counted: draw.n_labels,
            "n_labelled": len(draw.rows),
            "probe": probe,
            "scale": scale,
            "chosen": chosen,
            "metric": self.metrics[0],
            **{metric: float(scores[metric]) for metric in self.metrics},
        }


class _Encoded(NamedTuple):
    fitted: Any
    train: NDArray[Any]
    test: NDArray[Any]
    fit_seconds: float
    transform_seconds: float


def _check_given(
    X: Any, y: Any, groups: Any, transformers: Any, classifiers: Any, n_draws: int
) -> None:
    """Refuse contestants that are no dict, and no rows; warn of row labels in another order."""
    from sklearn_mi.rows import warn_of_labels  # which imports torch

    check_names("transformers", transformers)
    check_names("classifiers", classifiers)
    positive_integer("n_draws", n_draws)
    check_container("X", X)
    warn_of_labels(X, y)
    warn_of_labels(X, groups, "groups")


def _read_target(
    y: Any,
    n_rows: int,
    discrete_target: bool | str,
    labels_per_class: Sequence[int | None] | None,
    n_labels: Sequence[int | None] | None,
) -> _Target:
    """Return what is to be predicted, and the numbers of labels that go with it."""
    labels, is_measurement = read_labels(y, n_rows, discrete_target)
    given = {"labels_per_class": labels_per_class, "n_labels": n_labels}
    counted, other = COUNTED[is_measurement], COUNTED[not is_measurement]
    if given[other] is not None:
        kind = "a measurement" if is_measurement else "classes"
        raise ValueError(f"{other}={given[other]!r}, but y holds {kind}; expected {counted}.")
    counts: Any = COUNTS[counted] if given[counted] is None else given[counted]
    if isinstance(counts, str) or not isinstance(counts, Iterable):
        raise ValueError(f"{counted}={counts!r}; expected a list of numbers, or None for all.")
    counts = list(counts)
    for count in counts:
        if count is not None and not isinstance(count, Integral):
            raise ValueError(f"{counted}={count!r}; expected whole numbers, or None for all.")
    return _Target(labels, is_measurement, counts)


def _label_draws(
    target: _Target, train: NDArray[np.intp], n_draws: int, generator: np.random.RandomState
) -> list[_Draw]:
    y = target.y[train]
    # A measurement is one class.
    stratum = np.zeros(len(y), int) if target.is_measurement else y
    n_strata = 1 if target.is_measurement else int(target.y.max()) + 1
    least, most = 1 + target.is_measurement, int(np.bincount(stratum, minlength=n_strata).min())
    draws = []
    for draw in range(n_draws):
        # Nested within a draw: the rows labelled at 1 per class are among those at 5 per class, so
        # that the points of a curve share most of their luck.
        order = generator.permutation(len(y))
        rank_in_class = pd.Series(y[order]).groupby(stratum[order]).cumcount().to_numpy()
        for labels in target.n_labels:
            if labels is None:
                if draw == 0:
                    draws.append(_Draw(draw, np.inf, np.arange(len(y))))
            elif least <= labels <= most:
                draws.append(_Draw(draw, float(labels), np.sort(order[rank_in_class < labels])))
            else:
                of = "" if target.is_measurement else "the smallest class in "
                raise ValueError(
                    f"{target.counted}={labels}; expected {least} to {most}, the number of rows "
                    f"of {of}a training fold, or None for all."
                )
    return draws


def _splits(
    target: _Target,
    groups: NDArray[np.intp] | None,
    n_folds: int,
    cv: Any,
    generator: np.random.RandomState,
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    y = target.y
    if cv is not None:
        return check_own_folds(cv, len(y), y, groups)
    if n_folds < 2:
        raise ValueError(f"n_folds={n_folds}; expected at least 2.")
    _check_folds(target, n_folds)
    if groups is None:
        kind: Any = KFold if target.is_measurement else StratifiedKFold
    else:
        kind = GroupKFold if target.is_measurement else StratifiedGroupKFold
        n_groups = len(np.unique(groups))
        if n_folds > n_groups:
            raise ValueError(
                f"n_folds={n_folds} with {n_groups} groups; expected at most {n_groups}."
            )
    return list(kind(n_folds, shuffle=True, random_state=generator).split(y, y, groups))


def _check_folds(target: _Target, n_folds: int) -> None:
    y = target.y
    if target.is_measurement:
        # R2 needs two rows.
        if n_folds > len(y) // 2:
            raise ValueError(
                f"n_folds={n_folds} with {len(y)} rows; expected at most {len(y) // 2}, for two "
                "test rows in each."
            )
        return
    most = int(np.bincount(y).max())
    if n_folds > most:
        raise ValueError(
            f"n_folds={n_folds}, but no class of y has more than {most} of {len(y)} rows; expected "
            "at most as many folds. Merge classes, or pass discrete_target=False if y is a "
            "measurement."
        )


def _folds(
    target: _Target,
    groups: NDArray[np.intp] | None,
    splits: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
    n_draws: int,
    generator: np.random.RandomState,
) -> list[_Fold]:
    n_classes = 1 if target.is_measurement else int(target.y.max()) + 1
    n_ever = len(np.unique(np.concatenate([train for train, _ in splits])))
    folds = []
    for number, (train, test) in enumerate(splits):
        if not len(test) or len(np.unique(target.y[train])) < n_classes:
            raise ValueError(
                f"Fold {number} of {len(splits)} has no test row, or no training row of some "
                "class of y. Take fewer folds, or leave out classes of few rows or few groups."
            )
        draws = _label_draws(target, train, n_draws, generator)
        inner = None if groups is None else groups[train]
        folds.append(_Fold(number, train, test, inner, n_ever - len(train), draws))
    return folds


def _scorer(scoring: Any, is_measurement: bool) -> tuple[Any, list[str]]:
    """Return one scorer that gives every metric, and their names."""
    if scoring is None:
        scoring = "r2" if is_measurement else "accuracy"
    if isinstance(scoring, str):
        scoring = [scoring]
    elif callable(scoring):
        scoring = {"score": scoring}
    names = list(scoring)
    taken = [name for name in names if name in TAKEN]
    if taken:
        raise ValueError(f"scoring has the name {taken[0]!r}, which is a column already; rename.")
    return check_scoring(None, scoring=scoring), names


def _check_scoring(scoring: Any, scorer: Any, target: _Target) -> None:
    """Refuse a metric of another kind of target, before hours of training."""
    names = [scoring] if isinstance(scoring, str) else scoring
    # A scorer of the user's own may ask more of an estimator than a dummy has.
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return
    dummy: Any = DummyRegressor() if target.is_measurement else DummyClassifier()
    rows = np.zeros((len(target.y), 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scorer(dummy.fit(rows, target.y), rows, target.y)
    except (ValueError, TypeError, AttributeError) as error:
        kind = "a measurement" if target.is_measurement else "classes"
        raise ValueError(
            f"scoring={scoring!r} cannot score {kind}, which y holds ({error}); expected a metric "
            f"such as {'r2' if target.is_measurement else 'accuracy'!r}, or pass discrete_target."
        ) from error


def _check_names(
    transformers: Mapping[str, Any],
    classifiers: Mapping[str, Any],
    probes: Sequence[str],
    scales: Sequence[str],
    is_measurement: bool,
) -> None:
    # Before the first fit: a wrong name should not cost an hour of training.
    known = [*READOUTS[is_measurement], BEST]
    for probe in probes:
        if probe not in known:
            kind = "a measurement" if is_measurement else "classes"
            raise ValueError(f"probe={probe!r}; expected one of {sorted(known)} for {kind}.")
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
    codes: _Encoded, X_test: Any, y_train: NDArray[Any], y_test: NDArray[Any], plan: _Plan
) -> dict[str, float]:
    spread = np.linspace(0, len(codes.test) - 1, min(len(codes.test), MOST_DIAGNOSED))
    Z = codes.test[spread.astype(int)]
    found = [
        effective_rank(Z),
        uniformity(Z),
        intrinsic_dimension(Z),
        _alignment(codes.fitted, X_test),
        v_information(codes.train, y_train, codes.test, y_test) if plan.reads_all() else math.nan,
        codes.fit_seconds,
        codes.transform_seconds,
    ]
    return dict(zip(DIAGNOSTICS, found, strict=True))


def _probe_fold(
    name: str, transformer: Any, X: Any, fold: _Fold, plan: _Plan
) -> list[dict[str, Any]]:
    (X_train, X_test), (y_train, y_test) = fold.parts(X), fold.parts(plan.target.y)
    kind = {"is_measurement": plan.target.is_measurement}
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
            is_best = probe == BEST
            chosen = best_of(labelled, labels, groups, **kind) if is_best else (probe, scale)
            model = fitted_readout(chosen[0], labelled[chosen[1]], labels, **kind)
            scores = plan.scorer(model, test[chosen[1]], y_test)
            rows.append(plan.row(draw, probe, scale, ", ".join(chosen), scores) | facts)
    return rows


def _predict_fold(
    name: str, estimator: Any, X: Any, fold: _Fold, plan: _Plan
) -> list[dict[str, Any]]:
    (X_train, X_test), (y_train, y_test) = fold.parts(X), fold.parts(plan.target.y)
    facts = fold.sizes() | NO_BOUND
    if plan.diagnostics:
        facts |= dict.fromkeys(DIAGNOSTICS, math.nan)
    rows = []
    for draw in fold.draws:
        known = np.full(len(y_train), UNLABELLED[plan.target.is_measurement])
        known[draw.rows] = y_train[draw.rows]
        # Label propagation divides 0 by 0 for a row that no label reaches, and warns each time.
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = plan.scorer(_fitted(estimator, X_train, known), X_test, y_test)
        rows.append(plan.row(draw, "own", "none", "own", scores) | facts)
    return rows


def compare(
    transformers: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    classifiers: Mapping[str, Any] | None = None,
    labels_per_class: Sequence[int | None] | None = None,
    n_labels: Sequence[int | None] | None = None,
    discrete_target: bool | str = "auto",
    scoring: Any = None,
    n_folds: int = 5,
    n_draws: int = 10,
    cv: Any = None,
    probes: Sequence[str] | None = None,
    scales: Sequence[str] = ("column", "common"),
    diagnostics: bool = False,
    only_folds: Sequence[int] | None = None,
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Compare representations by scores against the number of labelled rows, cross-validated.

    Each fold takes three steps. A clone of the transformer is fitted to the training rows without
    labels. Both parts of the fold are transformed. Some training rows, drawn at random, get their
    labels, and a probe (a simple model of the codes) that is trained on them predicts the labels
    of the test rows. Folds of classes are stratified.

    Every contestant sees the same folds and the same labelled rows, so scores can be compared in
    pairs. The scaling of a probe is fitted to all training rows. Nothing is fitted to test rows,
    and only the diagnostics use them before their labels are predicted.

    Parameters
    ----------
    transformers : dict of str to transformer
        The contestants, by name. Anything with ``fit(X)`` and ``transform``, such as a Pipeline;
        None stands for the rows as they are.
    X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        Rows: a table, images, or whatever every contestant takes.
    y : array-like of shape (n_samples,)
        Classes, at least two, or a measurement; none missing. No transformer sees them.
    groups : array-like of shape (n_samples,), optional
        Rows of one group, such as a patient, are all in the training part of a fold or all in its
        test part. Labelled rows are drawn one by one, whatever their group.
    classifiers : dict of str to classifier or regressor, optional
        Semi-supervised estimators that predict from the same rows by themselves, such as
        ``LabelSpreading``. They are fitted to all training rows, with -1 for a withheld class
        and nan for a withheld number.
    labels_per_class : sequence of int or None, optional
        Number of labelled rows of each class; None among them: all, in a single draw. By default
        ``(1, 5, 20, None)``.
    n_labels : sequence of int or None, optional
        Of a measurement, the number of labelled rows in all. By default ``(10, 50, 200, None)``.
    discrete_target : bool or "auto"
        Whether ``y`` holds classes. "auto": it does unless its numbers are not whole, or are
        floats of more than 100 different values.
    scoring : str, callable, list of str or dict, optional
        What scikit-learn takes as ``scoring``: names of scorers, functions
        ``scorer(estimator, X, y)``, or several by name. Classes have their number in sorted
        order. By default "accuracy", or "r2" of a measurement.
    n_folds, n_draws : int
        Number of folds, and of draws of labelled rows in each.
    cv : int, splitter or iterable of (train, test), optional
        Your own folds: anything that scikit-learn takes as ``cv``. Training parts may leave out
        other rows than the test rows of the fold.
    probes : sequence of {"logistic", "knn", "mlp", "ridge", "best"}, optional
        Of classes :func:`linear_probe`, :func:`knn_probe`, :func:`mlp_probe`; of a measurement
        ridge regression, its penalty chosen by cross-validation, and the mean of the five nearest
        labelled rows. By default all but "mlp". "best" is the better of logistic or ridge
        regression and neighbours, with its scaling, chosen for each contestant and draw by
        cross-validation of the labelled rows, by accuracy or squared error (see
        :func:`best_readout`, also for its rule at one label per class).
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
    verbose : int
        1 or more shows a progress bar over the folds of all contestants, with the
        time left.

    Returns
    -------
    table : DataFrame
        One row for each name, fold, draw, number of labels, probe and scale, with columns
        ``name``, ``fold``, ``draw``, ``labels_per_class`` or ``n_labels`` (infinity: all),
        ``n_labelled`` (labelled rows in all), ``probe`` (``"own"``: it predicts by itself),
        ``scale``, ``chosen`` (probe and scaling that ran, ``"knn, common"``), ``metric`` (the
        column that `summarise` and `differences` read), a column for each metric (``accuracy``;
        ``score`` if ``scoring`` is a function), ``n_train`` and ``n_test`` (rows of the fold's
        parts), ``n_left_out`` (rows that other folds train on and this one does not: as many as
        ``n_test`` in a cross-validation). If a fitted transformer has ``mi_``, its held-out
        bound in nats stands in ``mi``, ``mi_stderr`` and ``mi_ceiling``; else they are nan.

        With ``diagnostics``, also ``effective_rank``, ``uniformity`` and
        ``intrinsic_dimension`` of the test rows' codes without scaling (with more than 2,000
        rows, of that many, evenly spaced); ``alignment``, if the transformer, or the last step of
        a Pipeline, has ``transform_views``; ``v_information`` in nats of a linear probe on scaled
        columns, if ``labels_per_class`` has None, so that all classes are available;
        ``fit_seconds``, and ``transform_seconds`` of the test rows. What does not apply is nan.

    Raises
    ------
    ValueError
        If a probe, scale or scorer is not a known name, a name is given twice, ``y`` has missing
        values, one class or one value, lengths differ, there are fewer rows than
        ``labels_per_class`` or ``n_labels`` asks for or the other of the two is given, rows or
        groups do not suffice for the folds, ``only_folds`` names a fold that does not exist, or a
        contestant's codes are not finite numbers.

    See Also
    --------
    summarise : The table in one row for each contestant.
    differences : Each contestant minus a reference, with intervals.
    sklearn_mi.plots.LabelEfficiencyDisplay : Scores against labels, drawn.
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
    _check_given(X, y, groups, transformers, classifiers, n_draws)
    X = native_table(without_gradient(X))
    n_rows = _num_samples(X)
    if issparse(X):
        X = X.tocsr()  # others cannot be cut into folds
    target = _read_target(y, n_rows, discrete_target, labels_per_class, n_labels)
    probes = PROBES[target.is_measurement] if probes is None else probes
    _check_names(transformers, classifiers, probes, scales, target.is_measurement)
    scorer, metrics = _scorer(scoring, target.is_measurement)
    _check_scoring(scoring, scorer, target)
    if groups is not None:
        groups = np.unique(check_values("groups", groups, n_rows), return_inverse=True)[1]
    generator = check_random_state(random_state)
    splits = _splits(target, groups, n_folds, cv, generator)
    if not set(only_folds or ()) <= set(range(len(splits))):
        raise ValueError(f"only_folds={only_folds}; expected numbers from 0 to {len(splits) - 1}.")
    if "r2" in metrics and (fewest := min(len(test) for _, test in splits)) < 2:
        raise ValueError(
            f"A fold has {fewest} test rows, and scoring='r2' needs two; take fewer folds, or "
            "another metric such as scoring='neg_mean_absolute_error'."
        )
    folds = _folds(target, groups, splits, n_draws, generator)
    folds = folds if only_folds is None else [folds[number] for number in only_folds]
    plan = _Plan(target, scorer, metrics, probes, scales, diagnostics)
    contests = [
        *product(transformers.items(), folds, [_probe_fold]),
        *product(classifiers.items(), folds, [_predict_fold]),
    ]
    tasks = [
        delayed(measure)(name, estimator, X, fold, plan)
        for (name, estimator), fold, measure in contests
    ]
    with progress_bar(len(tasks), "fold", shown=verbose) as bar:
        results = list(in_parallel(tasks, n_jobs, bar))
    return pd.DataFrame(
        {"name": name, "fold": fold.number, **row}
        for ((name, _), fold, _), rows in zip(contests, results, strict=True)
        for row in rows
    )
