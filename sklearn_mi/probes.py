"""Probes: simple models, trained on frozen codes to measure how well they tell labels.

Functions of arrays, built on scikit-learn. `sklearn_mi.evaluation` runs them over folds and numbers
of labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from sklearn_mi._base import resolve
from sklearn_mi._checks import (
    check_classes,
    check_codes,
    check_random_state,
    check_values,
    is_continuous,
)

__all__ = [
    "best_readout",
    "knn_probe",
    "linear_probe",
    "mlp_probe",
    "paper_probe",
    "v_information",
]

# The best readout is one of these, of classes or of measurements; the first wins a tie.
CANDIDATES = {False: ("logistic", "knn"), True: ("ridge", "knn")}
USUAL_SCALE = "common"
N_SPLITS = 5
FEW_LABELS = 20
N_REPEATS = 4
MOST_TO_CHOOSE_BY = 2000
RIDGES = np.logspace(-2, 4, 13)
# Whole floats of more different values than these are a measurement.
MOST_CLASSES = 100
N_NEIGHBORS, ENOUGH_FOR_NEIGHBORS = 5, 50


class _Parts(NamedTuple):
    """Checked codes and labels to train a probe on and to test it on."""

    Z_train: NDArray[Any]
    y_train: NDArray[Any]
    Z_test: NDArray[Any]
    y_test: NDArray[Any]
    Z_reference: NDArray[Any]

    def scaled(self, scale: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both tables of codes in a scaling that was fitted to the reference rows."""
        scaling = fitted_scaling(scale, self.Z_reference)
        return scaling(self.Z_train), scaling(self.Z_test)


def _checked(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    Z_unlabelled: ArrayLike | None = None,
    *,
    least_classes: int = 2,
) -> _Parts:
    """Return codes and labels, or raise an error that names what is wrong."""
    train = check_codes("Z_train", Z_train, dtype=None)
    test = check_codes("Z_test", Z_test, dtype=None)
    reference = train
    if Z_unlabelled is not None:
        reference = check_codes("Z_unlabelled", Z_unlabelled, dtype=None)
    for name, Z in (("Z_test", test), ("Z_unlabelled", reference)):
        if Z.shape[1] != train.shape[1]:
            raise ValueError(
                f"{name} has {Z.shape[1]} columns, but Z_train has {train.shape[1]}; expected "
                "codes of one transformer."
            )
    known = check_classes("y_train", y_train, len(train), "Z_train", least=least_classes)
    tested = check_classes("y_test", y_test, len(test), "Z_test")
    if (known.dtype.kind == "U") != (tested.dtype.kind == "U"):
        raise ValueError(
            f"y_train holds {known.dtype.type.__name__} and y_test {tested.dtype.type.__name__}; "
            "expected text in both, or numbers in both."
        )
    return _Parts(train, known, test, tested, reference)


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
    """Return the named scaling, fitted to reference rows, as a function of tables."""
    scaler = resolve("scale", scale, SCALES).fit(np.asarray(reference, dtype=np.float64))
    return lambda table: scaler.transform(np.asarray(table, dtype=np.float64))


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

    A probe is a simple classifier of codes, and this is the usual one: it measures how well a
    linear classifier finds the label. For nonlinear classifiers, see :func:`knn_probe` and
    :func:`mlp_probe`.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to classify.
    y_train, y_test : array-like of shape (n_rows,)
        Their classes; those of the test rows serve only to measure the accuracy.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row, labelled or not, to fit the scaling to: ten labelled rows
        are too few for that. By default ``Z_train``.
    scale : {"column", "common", "none"}
        Scaling of the codes. "column": divide each column by its own standard deviation.
        "common": divide all columns by one, which keeps their proportions. Both also centre.
        "none": leave the codes as they are.
    C : float
        Inverse strength of the L2 penalty.
    max_iter : int
        Maximum number of iterations of the solver.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scale`` is not a known name, or for codes and labels that do not fit: the message
        names the argument and the cure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.probes import linear_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> accuracy = linear_probe(X[:100], y[:100], X[1000:], y[1000:], Z_unlabelled=X[:1000])
    >>> 0.80 < accuracy < 0.90
    True
    """
    parts = _checked(Z_train, y_train, Z_test, y_test, Z_unlabelled)
    train, test = parts.scaled(scale)
    model = LogisticRegression(C=C, max_iter=max_iter).fit(train, parts.y_train)
    return float(model.score(test, parts.y_test))


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

    It shows whether rows of a class lie together, however the classes are arranged. No weights are
    fitted, so distances count as they are, and the scaling matters more than for a linear probe.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to classify.
    y_train, y_test : array-like of shape (n_rows,)
        Their classes; those of the test rows serve only to measure the accuracy.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row, to fit the scaling to. By default ``Z_train``.
    scale : {"column", "common", "none"}
        As in :func:`linear_probe`.
    n_neighbors : int, optional
        Number of neighbours that vote. By default 5 if every class has at least 50 labelled rows,
        else 1: with few labels, the fifth neighbour mostly belongs to another class.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scale`` is not a known name, or for codes and labels that do not fit: the message
        names the argument and the cure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.probes import knn_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> knn_probe(X[:1000], y[:1000], X[1000:], y[1000:], scale="common") > 0.95
    True
    """
    parts = _checked(Z_train, y_train, Z_test, y_test, Z_unlabelled, least_classes=1)
    n_neighbors = _n_neighbors(parts.y_train) if n_neighbors is None else n_neighbors
    train, test = parts.scaled(scale)
    model = KNeighborsClassifier(n_neighbors=n_neighbors).fit(train, parts.y_train)
    return float(model.score(test, parts.y_test))


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

    It measures what a small nonlinear classifier finds. Together with :func:`linear_probe` it tells
    whether a class is absent from the codes or only not linearly separable. The L2 penalty is as
    strong as that of :func:`linear_probe`, so that the perceptron is not worse with one row per
    class. Adam runs until the training loss stops falling.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to classify.
    y_train, y_test : array-like of shape (n_rows,)
        Their classes; those of the test rows serve only to measure the accuracy.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row, to fit the scaling to. By default ``Z_train``.
    scale : {"column", "common", "none"}
        As in :func:`linear_probe`.
    hidden_layer_sizes : sequence of int
        Width of each hidden layer.
    alpha : float
        Strength of the L2 penalty, summed over rows: 1 is the penalty of ``C=1``.
    random_state : int, RandomState or None
        Draws weights and batches.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scale`` is not a known name, or for codes and labels that do not fit: the message
        names the argument and the cure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi.probes import mlp_probe
    >>> X, y = load_digits(return_X_y=True)
    >>> 0.80 < mlp_probe(X[:100], y[:100], X[1000:], y[1000:], Z_unlabelled=X[:1000]) < 0.90
    True
    """
    parts = _checked(Z_train, y_train, Z_test, y_test, Z_unlabelled)
    train, test = parts.scaled(scale)
    model = FAMILIES["mlp"]().set_params(
        hidden_layer_sizes=tuple(hidden_layer_sizes),
        alpha=alpha,
        random_state=check_random_state(random_state),
    )
    return float(model.fit(train, parts.y_train).score(test, parts.y_test))


def read_labels(y: Any, n_rows: int, discrete_target: bool | str) -> tuple[NDArray[Any], bool]:
    """Return labels, and whether they are a measurement: classes are numbered in their order."""
    values = check_values("y", y, n_rows)
    if discrete_target not in (True, False, "auto"):
        raise ValueError(f"discrete_target={discrete_target!r}; expected True, False or 'auto'.")
    many = values.dtype.kind == "f" and len(np.unique(values)) > MOST_CLASSES
    if is_continuous(values) or many if discrete_target == "auto" else not discrete_target:
        return _measurement(values), True
    classes = check_classes("y", values, n_rows, least=2)
    return np.unique(classes, return_inverse=True)[1], False


def _measurement(values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind not in "iuf":
        raise ValueError(f"y holds {values.dtype}; expected numbers with discrete_target=False.")
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"y has infinity in row {row}; drop this row.")
    if np.ptp(values) == 0:
        raise ValueError(f"y is {values[0]:g} in every row; expected numbers that differ.")
    return values.astype(float)


def _n_neighbors(y: NDArray[Any]) -> int:
    smallest = np.unique(y, return_counts=True)[1].min()
    return N_NEIGHBORS if smallest >= ENOUGH_FOR_NEIGHBORS else 1


def fitted_readout(probe: str, Z: NDArray[Any], y: NDArray[Any], *, is_measurement: bool) -> Any:
    """Return the named model, fitted to scaled codes of labelled rows."""
    return READOUTS[is_measurement][probe](y).fit(Z, y)


def _label_splits(
    y: NDArray[Any], groups: NDArray[Any] | None, is_measurement: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return splits of labelled rows for choosing a readout; none if there are too few rows."""
    smallest = len(y) if is_measurement else int(np.unique(y, return_counts=True)[1].min())
    most = smallest if groups is None else min(smallest, len(np.unique(groups)))
    if most < 2:
        return []
    kinds: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, False): StratifiedKFold,
        (False, True): StratifiedGroupKFold,
        (True, False): KFold,
        (True, True): GroupKFold,
    }
    kind = kinds[is_measurement, groups is not None]
    splits = [
        split
        for repeat in range(N_REPEATS if smallest < FEW_LABELS else 1)
        for split in kind(min(N_SPLITS, most), shuffle=True, random_state=repeat).split(
            y, y, groups
        )
    ]
    # Groups may be so unequal that a part is empty, or has one class.
    least = 1 if is_measurement else 2
    return [(a, b) for a, b in splits if len(b) and len(np.unique(y[a])) >= least]


def best_of(
    tables: Mapping[str, NDArray[np.float64]],
    y: NDArray[Any],
    groups: NDArray[Any] | None,
    *,
    is_measurement: bool = False,
) -> tuple[str, str]:
    """Return the best probe and scale for labelled codes, given as one table for each scale.

    The best has the most rows right; of a measurement, the least squared error.
    """
    candidates = CANDIDATES[is_measurement]
    usual = candidates[0], USUAL_SCALE if USUAL_SCALE in tables else next(iter(tables))
    # Every k-th row in the order of the labels, with k = 1 unless there are very many.
    some = np.argsort(y, kind="stable")[:: math.ceil(len(y) / MOST_TO_CHOOSE_BY)]
    if len(some) < len(y):
        tables, y = {scale: Z[some] for scale, Z in tables.items()}, y[some]
        groups = None if groups is None else groups[some]
    readouts = [(probe, scale) for probe in candidates for scale in tables]
    readouts.sort(key=usual.__ne__)
    splits = _label_splits(y, groups, is_measurement)

    def gain(readout: tuple[str, str]) -> float:
        probe, Z = readout[0], tables[readout[1]]
        found = 0.0
        for a, b in splits:
            model = fitted_readout(probe, Z[a], y[a], is_measurement=is_measurement)
            predicted = model.predict(Z[b])
            right = -((predicted - y[b]) ** 2) if is_measurement else predicted == y[b]
            found += float(np.sum(right))
        return found

    return max(readouts, key=gain) if splits else usual


def best_readout(
    Z: ArrayLike,
    y: ArrayLike,
    *,
    Z_unlabelled: ArrayLike | None = None,
    scales: Sequence[str] = ("common", "column"),
    groups: ArrayLike | None = None,
) -> tuple[str, str]:
    """Choose the probe and scaling that classify best, by cross-validation of the labelled rows.

    Logistic regression suits some codes, nearest neighbours others, and a scaling can help or
    hurt. Choosing by test rows overstates the accuracy, most of all with few rows. This function
    sees labelled training rows only.

    Each candidate, a probe with a scaling, classifies the labelled rows in stratified folds. There
    are 5 folds, or fewer if the smallest class has fewer rows. With less than 20 rows per class
    this is repeated four times, since a single partition of so few rows is noisy. At most 2,000
    rows are used, stratified. The candidate with the most rows right wins. In a tie the usual one
    wins, logistic regression with a common scale, else the first.

    If some class has only one labelled row, nothing can be cross-validated. Then the usual
    candidate is returned, with the first of ``scales`` if "common" is not among them.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes of the labelled rows.
    y : array-like of shape (n_rows,)
        Their labels.
    Z_unlabelled : array-like of shape (n_unlabelled, n_components), optional
        Codes of every training row, to fit the scalings to. By default ``Z``.
    scales : sequence of {"column", "common", "none"}
        Scalings to choose from.
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
        If a scale is not a known name or none is given, or for codes, labels and groups that do
        not fit: the message names the argument and the cure.

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
    codes = check_codes("Z", Z)
    classes = check_classes("y", y, len(codes), "Z", least=2)
    if groups is not None:
        groups = check_values("groups", groups, len(codes), "Z")
    reference = codes if Z_unlabelled is None else check_codes("Z_unlabelled", Z_unlabelled)
    tables = {scale: fitted_scaling(scale, reference)(codes) for scale in scales}
    return best_of(tables, classes, groups)


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
    """Accuracy of the probe that Tschannen et al. used, to compare with their figures.

    To compare representations, use :func:`linear_probe`. Here columns are scaled to [0, 1] on the
    training rows, then logistic regression is fitted by SAGA with ``tol=0.1`` and ``C=10``. At
    that tolerance the solver stops after a few passes, long before it has converged. So the
    accuracy depends on the conditioning of the codes as well as on how linearly separable they are.

    The paper's figures need the ``MinMaxScaler`` of 2019. It treats a column as constant only if
    its range is exactly zero, so it scales rounding errors up to [0, 1]: those of pixels that are
    constant in the data and went through an encoder near the identity. Today's scaler also treats
    ranges below ten times the floating-point resolution as constant. The difference explains the
    figures' accuracy of 0.862 before training; clean pixels give about 0.85.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows to classify. Their type matters: float32
        codes have float32's resolution.
    y_train, y_test : array-like of shape (n_rows,)
        Their classes; those of the test rows serve only to measure the accuracy.
    scaler : {"today", "2019"}
        Which columns count as constant; ``"2019"`` is for comparing with the figures only.
    converged : bool
        Whether to minimise the same loss until convergence, by L-BFGS. A difference that remains
        is not due to the step at which SAGA stopped.
    random_state : int, RandomState or None
        Order in which SAGA visits the rows; without convergence the accuracy depends on it.

    Returns
    -------
    accuracy : float
        Share of the test rows that are classified correctly.

    Raises
    ------
    ValueError
        If ``scaler`` is not a known name, or for codes and labels that do not fit: the message
        names the argument and the cure.

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
    parts = _checked(Z_train, y_train, Z_test, y_test)
    fitted = resolve("scaler", scaler, MIN_MAX_SCALERS).fit(parts.Z_train)
    if converged:
        model = LogisticRegression(C=10.0, max_iter=5000)
    else:
        generator = check_random_state(random_state)
        model = LogisticRegression(solver="saga", tol=0.1, C=10.0, random_state=generator)
    model.fit(fitted.transform(parts.Z_train), parts.y_train)
    return float(model.score(fitted.transform(parts.Z_test), parts.y_test))


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
    r"""Return the information about the labels that a family of probes can use, in nats.

    .. math:: I_V(Z \to Y) = H_V(Y) - H_V(Y \mid Z)

    Each entropy is the log loss, on test rows, of the best predictor in a family V. For H_V(Y) the
    predictor sees no code and predicts the frequencies of the training labels. For H_V(Y|Z) it is
    the probe trained on the codes. Unlike mutual information, V-information counts only what the
    family finds, grows when an encoder makes the label easier to read, and can be estimated. It is
    at most the entropy of the labels: log 10 = 2.303 nats for ten equal classes. It is negative if
    the probe overfits or is overconfident.

    Parameters
    ----------
    Z_train, Z_test : array-like of shape (n_rows, n_components)
        Codes of the labelled rows, and of the rows on which losses are measured.
    y_train, y_test : array-like of shape (n_rows,)
        Their labels.
    probe : {"linear", "mlp"} or classifier
        The family. "linear": logistic regression. "mlp": a perceptron with one hidden layer of 256
        and the same L2 penalty, which takes half a minute for 10,000 rows of 392 columns. Or a
        classifier of your own with ``predict_proba``, which is cloned.
    scale : {"column", "common", "none"}
        As in :func:`linear_probe`; fitted on the training rows.
    random_state : int, RandomState or None
        Draws weights and batches of the perceptron. A classifier of your own has its own seed.

    Returns
    -------
    information : float
        In nats.

    Raises
    ------
    ValueError
        If a name is not known, the training rows lack a class of the test rows, or for codes and
        labels that do not fit: the message names the argument and the cure.

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
    parts = _checked(Z_train, y_train, Z_test, y_test)
    classes, counts = np.unique(parts.y_train, return_counts=True)
    unseen = np.setdiff1d(parts.y_test, classes)
    if len(unseen):
        raise ValueError(
            f"y_test has classes {unseen.tolist()} that y_train lacks; stratify the split."
        )
    train, test = parts.scaled(scale)
    family = resolve("probe", probe, FAMILIES)
    if isinstance(probe, str):
        family.set_params(random_state=check_random_state(random_state))
    predicted = cast(Any, clone(family)).fit(train, parts.y_train).predict_proba(test)
    frequencies = np.tile(counts / counts.sum(), (len(test), 1))
    without_codes = log_loss(parts.y_test, frequencies, labels=classes)
    return float(without_codes - log_loss(parts.y_test, predicted, labels=classes))


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
    # alpha=1 is the penalty of C=1. Early stopping on a tenth of the rows would cost 0.1 to 0.4
    # nats on digits, and is impossible with one row per class.
    "mlp": partial(MLPClassifier, hidden_layer_sizes=(256,), alpha=1.0, max_iter=2000),
}
PROBES: dict[str, Callable[..., float]] = {
    "logistic": linear_probe,
    "knn": knn_probe,
    "mlp": mlp_probe,
}
# By whether the label is a measurement; each makes a model for the labels that it will see.
READOUTS: dict[bool, dict[str, Callable[[NDArray[Any]], Any]]] = {
    False: {
        "logistic": lambda y: FAMILIES["linear"](),
        "knn": lambda y: KNeighborsClassifier(_n_neighbors(y)),
        "mlp": lambda y: FAMILIES["mlp"]().set_params(random_state=0),
    },
    True: {
        "ridge": lambda y: RidgeCV(RIDGES),
        "knn": lambda y: KNeighborsRegressor(min(N_NEIGHBORS, len(y))),
    },
}
