"""What a representation is worth: probes of frozen codes, and accuracy against number of labels.

Everything here takes arrays, or anything with ``fit`` and ``transform``; scikit-learn does the
work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    StandardScaler,
)
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state

from sklearn_mi._base import resolve
from sklearn_mi.diagnostics import alpha_req, cluster_stability, effective_rank, uniformity

__all__ = [
    "knn_probe",
    "label_efficiency",
    "label_free_score",
    "linear_probe",
    "paper_probe",
    "summarise",
    "v_information",
]

UNLABELLED = -1
NO_BOUND: dict[str, float] = dict.fromkeys(("mi", "mi_stderr", "mi_ceiling"), np.nan)


class _Draw(NamedTuple):
    number: int
    labels_per_class: float
    rows: NDArray[np.intp]

    def row(self, probe: str, scale: str, accuracy: float) -> dict[str, Any]:
        return {
            "draw": self.number,
            "labels_per_class": self.labels_per_class,
            "n_labelled": len(self.rows),
            "probe": probe,
            "scale": scale,
            "accuracy": accuracy,
        }


class _Fold(NamedTuple):
    number: int
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    draws: list[_Draw]


class _CommonScaler(StandardScaler):
    """Centre every column, then divide all of them by one standard deviation."""

    def fit(self, X: ArrayLike, y: None = None, sample_weight: None = None) -> _CommonScaler:
        super().fit(X, y, sample_weight)
        overall = float(np.sqrt(np.mean(np.asarray(self.var_))))
        self.scale_ = np.full_like(np.asarray(self.scale_), overall or 1.0)
        return self


class _MinMaxScaler2019(MinMaxScaler):
    """Bring every column to [0, 1] unless its range is exactly zero, as scikit-learn once did."""

    def fit(self, X: ArrayLike, y: None = None) -> _MinMaxScaler2019:
        super().fit(X)
        self.scale_ = 1 / np.where(self.data_range_ == 0, 1, self.data_range_)
        self.min_ = -self.data_min_ * self.scale_
        return self


def _scaled(scale: str, reference: ArrayLike, *tables: ArrayLike) -> list[NDArray[np.float64]]:
    scaler = resolve("scale", scale, SCALES).fit(np.asarray(reference, dtype=np.float64))
    return [scaler.transform(np.asarray(table, dtype=np.float64)) for table in tables]


def linear_probe(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    *,
    Z_unlabelled: ArrayLike | None = None,
    scale: str = "column",
    C: float = 1.0,
    max_iter: int = 2000,
) -> float:
    """Accuracy of a logistic regression on frozen codes.

    The usual yardstick of a representation: how much of the label a linear readout finds. It
    says little about what a nonlinear classifier would find, for which see :func:`knn_probe`.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to be classified.
    y_train, y_test : array-like of shape (n_rows,)
        Their labels; those of the test rows are used for nothing but the accuracy.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row, labelled or not; the scaling is fitted on them, since a
        scaling fitted on ten labelled rows cripples the probe. By default ``Z_train``.
    scale : {"column", "common", "none"}
        A scale of its own for each column, one standard deviation for all of them (which keeps
        their proportions), or no scaling.
    C : float
        Inverse strength of the L2 penalty.
    max_iter : int
        Most iterations of the solver.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scale`` is not a known name.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.evaluation import linear_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> accuracy = linear_probe(X[:100], y[:100], X[1000:], y[1000:], Z_unlabelled=X[:1000])
    >>> 0.80 < accuracy < 0.90
    True
    """
    reference = Z_train if Z_unlabelled is None else Z_unlabelled
    train, test = _scaled(scale, reference, Z_train, Z_test)
    model = LogisticRegression(C=C, max_iter=max_iter).fit(train, y_train)
    return float(model.score(test, y_test))


def knn_probe(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    *,
    Z_unlabelled: ArrayLike | None = None,
    scale: str = "column",
    n_neighbors: int | None = None,
) -> float:
    """Accuracy of the nearest labelled neighbours on frozen codes.

    Asks whether rows of a class lie together, however the classes are arranged. It has nothing
    to fit, so distances count as they are: the scaling matters more than for a linear probe.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to be classified.
    y_train, y_test : array-like of shape (n_rows,)
        Their labels; those of the test rows are used for nothing but the accuracy.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row; the scaling is fitted on them. By default ``Z_train``.
    scale : {"column", "common", "none"}
        As in :func:`linear_probe`.
    n_neighbors : int, optional
        Neighbours that vote. By default 5 where every class has at least 50 labelled rows, else
        1: with few labels a class, the fifth neighbour is mostly another class's.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scale`` is not a known name.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.evaluation import knn_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> knn_probe(X[:1000], y[:1000], X[1000:], y[1000:], scale="common") > 0.95
    True
    """
    if n_neighbors is None:
        smallest = np.unique(np.asarray(y_train), return_counts=True)[1].min()
        n_neighbors = 5 if smallest >= 50 else 1
    reference = Z_train if Z_unlabelled is None else Z_unlabelled
    train, test = _scaled(scale, reference, Z_train, Z_test)
    model = KNeighborsClassifier(n_neighbors=n_neighbors).fit(train, y_train)
    return float(model.score(test, y_test))


def paper_probe(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    *,
    scaler: str = "today",
    converged: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Accuracy of the probe that Tschannen et al. used, for comparing with their figures.

    Columns are brought to [0, 1] on the training rows, then follows a logistic regression by
    SAGA with ``tol=0.1`` and ``C=10``. At that tolerance the solver stops after a few passes,
    long before it has converged, so the accuracy depends on the conditioning of the codes as
    well as on how linearly separable they are. To compare representations use
    :func:`linear_probe`.

    Today's ``MinMaxScaler`` takes a column whose range is less than ten times the resolution of
    its floating-point type for a constant and leaves it alone; that of 2019 spared a range of
    exactly zero only. So pixels that are constant in the data, and differ by rounding once they
    went through an encoder near the identity, were blown up to [0, 1]. The figures were made
    with the latter: their accuracy of .862 before training, against about .85 for clean pixels,
    comes from it.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to be classified. Their type matters: float32
        codes have float32's resolution.
    y_train, y_test : array-like of shape (n_rows,)
        Their labels; those of the test rows are used for nothing but the accuracy.
    scaler : {"today", "2019"}
        Which columns count as constant; ``"2019"`` is for comparing with the figures only.
    converged : bool
        Minimise the same loss to its end, by L-BFGS. What remains of a difference is not due to
        where SAGA stopped.
    random_state : int, RandomState or None
        Order in which the solver visits the rows; unconverged, the accuracy depends on it.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scaler`` is not a known name.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen, Djolonga,
    Rubenstein, Gelly, Lucic, 2020), https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.evaluation import paper_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> paper_probe(X[:1000], y[:1000], X[1000:], y[1000:], random_state=0) > 0.85
    True
    """
    fitted = resolve("scaler", scaler, MIN_MAX_SCALERS).fit(Z_train)
    if converged:
        model = LogisticRegression(C=10.0, max_iter=5000)
    else:
        model = LogisticRegression(solver="saga", tol=0.1, C=10.0, random_state=random_state)
    model.fit(fitted.transform(Z_train), y_train)
    return float(model.score(fitted.transform(Z_test), y_test))


def v_information(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    *,
    probe: str | Any = "linear",
    scale: str = "column",
    random_state: int | np.random.RandomState | None = 0,
) -> float:
    r"""Information about the labels that a family of probes can use, in nats.

    .. math:: I_V(Z \to Y) = H_V(Y) - H_V(Y \mid Z)

    Each entropy is the log loss on test rows of the best predictor of a family V: H_V(Y) of one
    that sees no code, so predicts the frequencies of the training labels; H_V(Y|Z) of the probe
    trained on the codes. Unlike mutual information it counts only what the family finds, grows
    when an encoder makes the label easier to read, and can be estimated. It is at most the
    labels' entropy, log 10 = 2.303 nats for ten equal classes, and falls below zero where the
    probe overfits or is surer than it should be.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows on which losses are measured.
    y_train, y_test : array-like of shape (n_rows,)
        Their labels.
    probe : {"linear", "mlp"} or classifier
        The family: logistic regression; a perceptron with one hidden layer of 256, its weights
        penalised as strongly; or a classifier of your own with ``predict_proba``, which is cloned.
        The perceptron takes half a minute for 10 000 rows of 392 columns.
    scale : {"column", "common", "none"}
        As in :func:`linear_probe`; fitted on the training rows.
    random_state : int, RandomState or None
        Weights and batches of the perceptron; a classifier of your own brings its own.

    Returns
    -------
    information : float
        In nats.

    Raises
    ------
    ValueError
        If a name is not known, or the training rows lack a class of the test rows.

    References
    ----------
    A Theory of Usable Information under Computational Constraints (Xu, Zhao, Song, Stewart &
    Ermon, 2020). https://arxiv.org/abs/2002.10689

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.evaluation import v_information
    >>> X, y = load_digits(return_X_y=True)
    >>> 1.8 < v_information(X[:1000], y[:1000], X[1000:], y[1000:]) < 2.303
    True
    """
    y_train, y_test = np.asarray(y_train), np.asarray(y_test)
    classes, counts = np.unique(y_train, return_counts=True)
    unseen = np.setdiff1d(y_test, classes)
    if len(unseen):
        raise ValueError(f"y_test has classes {unseen.tolist()} that y_train lacks.")
    train, test = _scaled(scale, Z_train, Z_train, Z_test)
    family = resolve("probe", probe, FAMILIES)
    if isinstance(probe, str):
        family.set_params(random_state=random_state)
    predicted = _fitted(family, train, y_train).predict_proba(test)
    frequencies = np.tile(counts / counts.sum(), (len(y_test), 1))
    blind = log_loss(y_test, frequencies, labels=classes)
    return float(blind - log_loss(y_test, predicted, labels=classes))


def label_free_score(
    estimator: Any,
    X: ArrayLike,
    y: Any = None,
    *,
    criterion: str = "cluster-stability",
    max_rows: int = 2000,
) -> float:
    """Score a fitted transformer without labels, for a grid that chooses between settings.

    ``GridSearchCV(learner, grid, scoring=label_free_score)``. The held-out bound, which is the
    learner's own ``score``, does not say which setting gives good features, and does not compare
    views; none of these numbers is accuracy either. What each of them was worth over some hundred
    settings stands in the docs, "Choosing without labels"; where a few labels are at hand, a probe
    on them is better.

    Parameters
    ----------
    estimator : transformer
        Fitted; anything with ``transform``.
    X : array-like of shape (n_samples, ...)
        Rows, best such as the fit did not see.
    y : None
        Ignored.
    criterion : {"cluster-stability", "effective-rank", "alpha-req", "uniformity"}
        From `sklearn_mi.diagnostics`, turned so that more is meant to be better: minus the
        uniformity, and minus the distance of the spectrum's exponent from 1. Codes are taken as
        they are.
    max_rows : int
        Only so many of the first rows are looked at: uniformity and stability cost time.

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If ``criterion`` is not a known name.

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
    return float(value(np.asarray(estimator.transform(rows))))


def _label_draws(
    y: NDArray[np.intp],
    labels_per_class: Sequence[int | None],
    n_draws: int,
    generator: np.random.RandomState,
) -> list[_Draw]:
    smallest = int(np.bincount(y).min())
    draws = []
    for draw in range(n_draws):
        # Nested within a draw: the labelled rows of 1 a class are among those of 5, so that the
        # points of a curve share most of their luck.
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
                    f"labels_per_class={labels}; expected 1 to {smallest}, the rows of the "
                    "smallest class in a training fold, or None for all."
                )
    return draws


def _folds(
    y: NDArray[np.intp],
    labels_per_class: Sequence[int | None],
    n_folds: int,
    n_draws: int,
    random_state: int | np.random.RandomState | None,
) -> list[_Fold]:
    generator = check_random_state(random_state)
    splits = StratifiedKFold(n_folds, shuffle=True, random_state=generator).split(y, y)
    return [
        _Fold(number, train, test, _label_draws(y[train], labels_per_class, n_draws, generator))
        for number, (train, test) in enumerate(splits)
    ]


def _check_names(
    transformers: Mapping[str, Any],
    classifiers: Mapping[str, Any],
    probes: Sequence[str],
    scales: Sequence[str],
) -> None:
    # Before the first fit: a name that is wrong should not cost an hour of training.
    for probe in probes:
        if probe not in PROBES:
            raise ValueError(f"probe={probe!r}; expected one of {sorted(PROBES)}.")
    for scale in scales:
        resolve("scale", scale, SCALES)
    twice = set(transformers) & set(classifiers)
    if twice:
        raise ValueError(f"names {sorted(twice)} are in transformers and in classifiers; rename.")


def _held_out_bound(transformer: Any) -> dict[str, float]:
    steps = [step for _, step in transformer.steps] if hasattr(transformer, "steps") else []
    for step in [transformer, *steps]:
        if hasattr(step, "mi_"):
            bound = step.mi_
            return {"mi": bound.value, "mi_stderr": bound.stderr, "mi_ceiling": bound.ceiling}
    return NO_BOUND


def _fitted(estimator: Any, *data: Any) -> Any:
    return cast(Any, clone(estimator)).fit(*data)


def _dense(Z: Any) -> NDArray[Any]:
    Z = np.asarray(Z.toarray() if issparse(Z) else Z)
    return Z.reshape(len(Z), -1)


def _codes(
    transformer: Any, X_train: Any, X_test: Any
) -> tuple[NDArray[Any], NDArray[Any], dict[str, float]]:
    if transformer is None:
        return _dense(X_train), _dense(X_test), NO_BOUND
    fitted = _fitted(transformer, X_train)
    Z_train, Z_test = (_dense(fitted.transform(X)) for X in (X_train, X_test))
    return Z_train, Z_test, _held_out_bound(fitted)


def _probe_fold(
    transformer: Any,
    X: Any,
    y: NDArray[np.intp],
    fold: _Fold,
    probes: Sequence[str],
    scales: Sequence[str],
) -> list[dict[str, Any]]:
    X_train, X_test = _safe_indexing(X, fold.train), _safe_indexing(X, fold.test)
    Z_train, Z_test, bound = _codes(transformer, X_train, X_test)
    rows = []
    for draw, probe, scale in product(fold.draws, probes, scales):
        accuracy = PROBES[probe](
            Z_train[draw.rows],
            y[fold.train][draw.rows],
            Z_test,
            y[fold.test],
            Z_unlabelled=Z_train,
            scale=scale,
        )
        rows.append(draw.row(probe, scale, accuracy) | bound)
    return rows


def _classify_fold(
    classifier: Any, X: Any, y: NDArray[np.intp], fold: _Fold
) -> list[dict[str, Any]]:
    X_train, X_test = _safe_indexing(X, fold.train), _safe_indexing(X, fold.test)
    rows = []
    for draw in fold.draws:
        known = np.full(len(fold.train), UNLABELLED)
        known[draw.rows] = y[fold.train][draw.rows]
        # Label propagation divides 0 by 0 for a row that no label reaches, and says so each time.
        with np.errstate(divide="ignore", invalid="ignore"):
            fitted = _fitted(classifier, X_train, known)
            accuracy = float(np.mean(fitted.predict(X_test) == y[fold.test]))
        rows.append(draw.row("own", "none", accuracy) | NO_BOUND)
    return rows


def label_efficiency(
    transformers: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    classifiers: Mapping[str, Any] | None = None,
    labels_per_class: Sequence[int | None] = (1, 5, 20, None),
    n_folds: int = 5,
    n_draws: int = 10,
    probes: Sequence[str] = ("logistic", "knn"),
    scales: Sequence[str] = ("column", "common"),
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Accuracy of representations against the number of labelled rows, cross-validated.

    In each stratified fold a transformer is cloned and fitted to the training rows without
    labels; both parts are transformed; then some training rows are labelled at random and a
    probe trained on them classifies the test rows. The scaling of a probe is fitted to all
    training rows. Every contestant sees the same folds and the same labelled rows, so that
    their accuracies can be compared in pairs.

    Parameters
    ----------
    transformers : dict of str to transformer
        What is compared, by name. Anything with ``fit(X)`` and ``transform``, a Pipeline among
        them; None stands for the rows as they are.
    X : array-like of shape (n_samples, ...)
        Rows.
    y : array-like of shape (n_samples,)
        Classes. No transformer sees them.
    classifiers : dict of str to classifier, optional
        Semi-supervised classifiers for the same table, fitted to all training rows with -1
        where the label is withheld, such as ``LabelSpreading``.
    labels_per_class : sequence of int or None
        How many rows of each class are labelled; None: all, in a single draw.
    n_folds, n_draws : int
        Number of folds, and of draws of labelled rows in each.
    probes : sequence of {"logistic", "knn"}
        :func:`linear_probe` and :func:`knn_probe`.
    scales : sequence of {"column", "common", "none"}
        Scalings that each probe is run with.
    random_state : int, RandomState or None
        Decides folds and draws. Transformers bring their own.
    n_jobs : int, optional
        Processes, by joblib; a task is one contestant in one fold.

    Returns
    -------
    table : DataFrame
        One row for each name, fold, draw, number of labels, probe and scale, with columns
        ``name``, ``fold``, ``draw``, ``labels_per_class`` (infinity: all), ``n_labelled`` (rows
        in all classes), ``probe`` (``"own"``: a classifier), ``scale``, ``accuracy``, and,
        where a fitted transformer has ``mi_``, its held-out bound in nats: ``mi``,
        ``mi_stderr``, ``mi_ceiling``.

    Raises
    ------
    ValueError
        If a probe or scale is not a known name, a name is given twice, ``X`` and ``y`` differ in
        length, or a class has fewer rows than ``labels_per_class`` asks for.

    See Also
    --------
    summarise : The table in one line a contestant.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.evaluation import label_efficiency, summarise
    >>> X, y = load_digits(return_X_y=True)
    >>> table = label_efficiency(
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
    check_consistent_length(X, y)
    classes = np.unique(np.asarray(y), return_inverse=True)[1]
    folds = _folds(classes, labels_per_class, n_folds, n_draws, random_state)
    probing = {
        (name, fold.number): delayed(_probe_fold)(transformer, X, classes, fold, probes, scales)
        for name, transformer in transformers.items()
        for fold in folds
    }
    classifying = {
        (name, fold.number): delayed(_classify_fold)(classifier, X, classes, fold)
        for name, classifier in classifiers.items()
        for fold in folds
    }
    tasks = probing | classifying
    results = cast(list, Parallel(n_jobs=n_jobs)(tasks.values()))
    return pd.DataFrame(
        {"name": name, "fold": fold, **row}
        for (name, fold), rows in zip(tasks, results, strict=True)
        for row in rows
    )


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy and its interval for each contestant, number of labels and probe.

    Of the scalings the one with the better mean over all folds and draws is kept. That choice
    looks at test rows, for every contestant alike, and flatters each a little. The interval is
    Student's t over folds, the mean over draws counting as one number a fold; since the
    training parts of folds overlap, it is approximate, and tends to be too narrow.

    Parameters
    ----------
    table : DataFrame
        From :func:`label_efficiency`, or several such tables below one another.

    Returns
    -------
    summary : DataFrame
        Columns ``name``, ``probe``, ``labels_per_class``, ``scale`` (the better one),
        ``n_labelled``, ``mean``, and ``low`` and ``high``, the ends of the 95 % interval.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.evaluation import summarise
    >>> table = pd.DataFrame({
    ...     "name": "raw", "probe": "knn", "scale": "none", "labels_per_class": 1.0,
    ...     "n_labelled": 10, "fold": [0, 0, 1, 1], "accuracy": [0.5, 0.7, 0.7, 0.9],
    ... })
    >>> summarise(table)[["mean", "low", "high"]].round(2)
       mean   low  high
    0   0.7 -0.57  1.97
    """
    keys = ["name", "probe", "labels_per_class"]
    columns = ["n_labelled", "accuracy"]
    folds = pd.DataFrame(table.groupby([*keys, "scale", "fold"], sort=False)[columns].mean())
    over_folds = folds.groupby([*keys, "scale"], sort=False)
    accuracy = over_folds["accuracy"]
    half = student_t.ppf(0.975, accuracy.count() - 1) * accuracy.sem()
    summary = pd.DataFrame(
        {
            "n_labelled": over_folds["n_labelled"].mean(),
            "mean": accuracy.mean(),
            "low": accuracy.mean() - half,
            "high": accuracy.mean() + half,
        }
    )
    best = summary.groupby(keys, sort=False)["mean"].idxmax()
    return summary.loc[list(best)].reset_index()


SCALES: dict[str, Callable[[], Any]] = {
    "column": StandardScaler,
    "common": _CommonScaler,
    "none": FunctionTransformer,
}
MIN_MAX_SCALERS: dict[str, Callable[[], Any]] = {
    "today": MinMaxScaler,
    "2019": _MinMaxScaler2019,
}
FAMILIES: dict[str, Callable[[], Any]] = {
    "linear": partial(LogisticRegression, max_iter=2000),
    # Per row, alpha=1 is the penalty of C=1. Stopping early by a tenth of the rows instead lost
    # .1 to .4 nats on digits, and cannot be done with one row a class.
    "mlp": partial(MLPClassifier, hidden_layer_sizes=(256,), alpha=1.0, max_iter=2000),
}
CRITERIA: dict[str, Callable[[], Callable[[NDArray[Any]], float]]] = {
    "cluster-stability": lambda: cluster_stability,
    "effective-rank": lambda: effective_rank,
    "alpha-req": lambda: lambda Z: -abs(alpha_req(Z) - 1),
    "uniformity": lambda: lambda Z: -uniformity(Z),
}
PROBES: dict[str, Callable[..., float]] = {"logistic": linear_probe, "knn": knn_probe}
