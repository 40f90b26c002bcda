"""Probes of frozen codes: what a simple classifier reads from them, with labels on some rows.

Functions of arrays; scikit-learn does the work. Tables over folds and numbers of labels are made of
them in `sklearn_mi.evaluation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils import check_consistent_length

from sklearn_mi._base import resolve

__all__ = [
    "best_readout",
    "knn_probe",
    "linear_probe",
    "mlp_probe",
    "paper_probe",
    "v_information",
]

# Among these the best readout is chosen; of candidates that do equally well, the first.
CANDIDATES = ("logistic", "knn")
USUAL_SCALE = "common"
N_SPLITS = 5
FEW_LABELS = 20
N_REPEATS = 4
MOST_TO_CHOOSE_BY = 2000


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


def fitted_scaling(scale: str, reference: ArrayLike) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Return the scaling of a name, fitted to reference rows, as a function of tables."""
    scaler = resolve("scale", scale, SCALES).fit(np.asarray(reference, dtype=np.float64))
    return lambda table: scaler.transform(np.asarray(table, dtype=np.float64))


def _scaled(scale: str, reference: ArrayLike, *tables: ArrayLike) -> list[NDArray[np.float64]]:
    return list(map(fitted_scaling(scale, reference), tables))


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
    says little about what a nonlinear classifier would find, for which see :func:`knn_probe` and
    :func:`mlp_probe`.

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
    >>> from sklearn_mi.probes import linear_probe
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
    >>> from sklearn_mi.probes import knn_probe
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


def mlp_probe(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    *,
    Z_unlabelled: ArrayLike | None = None,
    scale: str = "column",
    hidden_layer_sizes: Sequence[int] = (256,),
    alpha: float = 1.0,
    random_state: int | np.random.RandomState | None = 0,
) -> float:
    """Accuracy of a perceptron with one hidden layer on frozen codes.

    What a small nonlinear readout finds. Beside :func:`linear_probe` it tells whether a class is
    absent from the codes or merely curled up in them. The weights are penalised as strongly as
    those of :func:`linear_probe`, which keeps the perceptron from being worse with one row a
    class; Adam runs until the loss of the training rows stands still.

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
    hidden_layer_sizes : sequence of int
        Width of each hidden layer.
    alpha : float
        Strength of the L2 penalty, summed over rows: 1 is the penalty of ``C=1``.
    random_state : int, RandomState or None
        Weights and batches.

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
    >>> from sklearn_mi.probes import mlp_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> 0.80 < mlp_probe(X[:100], y[:100], X[1000:], y[1000:], Z_unlabelled=X[:1000]) < 0.90
    True
    """
    reference = Z_train if Z_unlabelled is None else Z_unlabelled
    train, test = _scaled(scale, reference, Z_train, Z_test)
    model = FAMILIES["mlp"]().set_params(
        hidden_layer_sizes=tuple(hidden_layer_sizes), alpha=alpha, random_state=random_state
    )
    return float(model.fit(train, y_train).score(test, y_test))


def _label_splits(
    y: NDArray[Any], groups: NDArray[Any] | None
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return splits of labelled rows to choose a readout by; none where a class has one row."""
    smallest = int(np.unique(y, return_counts=True)[1].min())
    most = smallest if groups is None else min(smallest, len(np.unique(groups)))
    if most < 2:
        return []
    kind: Callable[..., Any] = StratifiedKFold if groups is None else StratifiedGroupKFold
    splits = [
        split
        for repeat in range(N_REPEATS if smallest < FEW_LABELS else 1)
        for split in kind(min(N_SPLITS, most), shuffle=True, random_state=repeat).split(
            y, y, groups
        )
    ]
    # Groups may be so unequal that a part is empty, or has one class.
    return [(train, test) for train, test in splits if len(test) and len(np.unique(y[train])) > 1]


def best_of(
    tables: Mapping[str, NDArray[np.float64]], y: NDArray[Any], groups: NDArray[Any] | None
) -> tuple[str, str]:
    """Return the best readout of labelled codes that have been scaled, by the name of the scale."""
    usual = CANDIDATES[0], USUAL_SCALE if USUAL_SCALE in tables else next(iter(tables))
    # Every so many-th row in order of the labels: all of them but where there are very many.
    some = np.argsort(y, kind="stable")[:: math.ceil(len(y) / MOST_TO_CHOOSE_BY)]
    if len(some) < len(y):
        tables, y = {scale: Z[some] for scale, Z in tables.items()}, y[some]
        groups = None if groups is None else groups[some]
    readouts = [(probe, scale) for probe in CANDIDATES for scale in tables]
    readouts.sort(key=usual.__ne__)
    splits = _label_splits(y, groups)

    def n_right(readout: tuple[str, str]) -> int:
        probe, Z = PROBES[readout[0]], tables[readout[1]]
        accuracies = [probe(Z[a], y[a], Z[b], y[b], scale="none") for a, b in splits]
        return sum(round(p * len(b)) for p, (_, b) in zip(accuracies, splits, strict=True))

    return max(readouts, key=n_right) if splits else usual


def best_readout(
    Z: ArrayLike,
    y: ArrayLike,
    *,
    Z_unlabelled: ArrayLike | None = None,
    scales: Sequence[str] = ("common", "column"),
    groups: ArrayLike | None = None,
) -> tuple[str, str]:
    """Probe and scaling that classify best, chosen by cross-validation of the labelled rows.

    Some codes are read best by logistic regression, others by nearest neighbours, and a scaling
    may help or ruin them. Choosing by test rows flatters, all the more the fewer the rows; this
    looks at none. Each candidate classifies labelled rows in stratified folds, as many as a class
    has rows but at most 5; below 20 rows a class this is repeated four times, since with so few
    rows one partition is luck. Of more than 2,000 rows no more than that are looked at, stratified.
    Most rows right wins; of equals the usual one wins, else the first.

    With one labelled row in some class nothing can be cross-validated. Then the usual readout is
    taken, by a fixed rule: logistic regression with a common scale, or with the first of
    ``scales`` where that is not among them.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes of the labelled rows.
    y : array-like of shape (n_rows,)
        Their labels.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row; scalings are fitted on them. By default ``Z``.
    scales : sequence of {"column", "common", "none"}
        Scalings to choose among.
    groups : array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split, as in ``StratifiedGroupKFold``.

    Returns
    -------
    probe : {"logistic", "knn"}
        :func:`linear_probe` or :func:`knn_probe`.
    scale : str
        One of ``scales``.

    Raises
    ------
    ValueError
        If a scale is not a known name, there is none, or lengths differ.

    Examples
    --------
    Classes that lie in stripes: neighbours tell them apart, a line does not.

    >>> import numpy as np
    >>> from sklearn_mi.probes import best_readout
    >>> Z = np.linspace(0, 1, 80)[:, None]
    >>> y = np.repeat([0, 1, 0, 1], 20)
    >>> best_readout(Z, y)
    ('knn', 'common')
    >>> best_readout(Z[[0, 25]], y[[0, 25]])  # one row a class: the fixed rule
    ('logistic', 'common')
    """
    if not scales:
        raise ValueError("scales=(); expected at least one name.")
    check_consistent_length(Z, y, groups)
    reference = Z if Z_unlabelled is None else Z_unlabelled
    tables = {scale: fitted_scaling(scale, reference)(Z) for scale in scales}
    return best_of(tables, np.asarray(y), None if groups is None else np.asarray(groups))


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
    >>> from sklearn_mi.probes import paper_probe
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
    >>> from sklearn_mi.probes import v_information
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
    predicted = cast(Any, clone(family)).fit(train, y_train).predict_proba(test)
    frequencies = np.tile(counts / counts.sum(), (len(y_test), 1))
    blind = log_loss(y_test, frequencies, labels=classes)
    return float(blind - log_loss(y_test, predicted, labels=classes))


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
PROBES: dict[str, Callable[..., float]] = {
    "logistic": linear_probe,
    "knn": knn_probe,
    "mlp": mlp_probe,
}
