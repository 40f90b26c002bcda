"""Few labels as one estimator: a learner on all rows, a classifier or regressor on labelled ones.

`LabeledFold` cross-validates them: it tests on labelled rows only.
"""

from __future__ import annotations

import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import (
    BaseCrossValidator,
    KFold,
    PredefinedSplit,
    StratifiedKFold,
    check_cv,
    cross_val_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_mi._base import DocLinkMixin, is_auto
from sklearn_mi._checks import (
    check_classes,
    check_codes,
    check_container,
    check_values,
    check_weights,
    without_gradient,
)
from sklearn_mi._compat import HasMethods, _safe_indexing
from sklearn_mi.labelled import rows_of_labels, unlabelled, values_of, warn_of_markers
from sklearn_mi.learner import MIRepresentationLearner
from sklearn_mi.preparation import Given, Run, early_view
from sklearn_mi.probes import SCALES
from sklearn_mi.processes import ALONE
from sklearn_mi.rows import are_mixed, warn_of_labels
from sklearn_mi.runtime import choose_device, seeds_of, threads
from sklearn_mi.training.fine_tuning import FineTuning, fine_tune
from sklearn_mi.views import View

__all__ = ["FineTuning", "LabeledFold", "SemiSupervisedClassifier", "SemiSupervisedRegressor"]

# Self-training takes rows whose class is at least so probable, of at most so many, in so many
# rounds. It goes astray unless so large a share of the labelled rows is told right.
SURE, MOST_UNLABELLED, N_ROUNDS = 0.8, 5000, 5
RELIABLE, N_SPLITS = 0.9, 5
LARGEST_TARGET = 1e150
ALPHAS = np.logspace(-3, 3, 13)


def _view_of_labels(learner: Any) -> View | None:
    """Return the view that pairs rows by labels, of a learner or of one in a Pipeline, if any."""
    params = learner.get_params(deep=True) if hasattr(learner, "get_params") else {}
    learners = [p for p in (learner, *params.values()) if isinstance(p, MIRepresentationLearner)]
    views = [early_view(part.view, is_paired=False) for part in learners]
    return next((view for view in views if "y" in view.needs), None)


def _part_has(method: str) -> Callable[[Any], bool]:
    """Return whether the classifier, as given or fitted, has a method."""

    def check(estimator: Any) -> bool:
        if estimator.classifier is None:
            return method == "predict_proba"
        getattr(getattr(estimator, "classifier_", estimator.classifier), method)
        return True

    return check


def _flags(Z: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which columns are flags if they make a mixed table, else None.

    Flags are 0 or 1, or two such values moved to their mean, as a learner returns them.
    """
    low, span = Z.min(axis=0), np.ptp(Z, axis=0)
    varies, moved = span > 0, Z - low
    flags = ((moved == 0) | (moved == span)).all(axis=0) & np.isclose(span, 1, rtol=0, atol=1e-6)
    return flags if are_mixed(flags, varies) else None


def _scaler(Z: NDArray[Any], flags: NDArray[np.bool_] | None) -> StandardScaler:
    """Return a fitted scaler: one scale for a whole code, one for each number beside flags."""
    if flags is None:
        return SCALES["common"]().fit(Z)
    scaler: Any = StandardScaler().fit(Z)
    scaler.mean_[flags], scaler.scale_[flags] = 0.0, 1.0
    return scaler


def _on_scaled(
    scaler: StandardScaler, readout: Any, Z: NDArray[Any], y: NDArray[Any], weights: Any
) -> Pipeline:
    """Fit a readout to scaled codes; return scaler and readout as one."""
    readout.fit(scaler.transform(Z), y, sample_weight=weights)
    return Pipeline([("scale", scaler), ("readout", readout)])


def _is_reliable(readout: Any, Z: NDArray[Any], y: NDArray[Any]) -> bool:
    """Return whether a classifier tells labelled rows right in cross-validation."""
    fewest = int(np.unique(y, return_counts=True)[1].min())
    if fewest < 2:
        return False
    folds = StratifiedKFold(min(N_SPLITS, fewest), shuffle=True, random_state=0)
    scores = cross_val_score(readout, Z, y, cv=folds, scoring="balanced_accuracy")
    return bool(scores.mean() >= RELIABLE)


def _with_sure_rows(
    readout: Any, Z: NDArray[Any], y: NDArray[Any], rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return the labelled rows and those whose class self-training is sure of, with classes."""
    others = np.setdiff1d(np.arange(len(Z)), rows)
    others = others[:: max(1, -(-len(others) // MOST_UNLABELLED))]
    if not len(others) or not _is_reliable(readout, Z[rows], y):
        return rows, y
    classes, codes = np.unique(y, return_inverse=True)
    both = np.concatenate([rows, others])
    trained = SelfTrainingClassifier(readout, threshold=SURE, max_iter=N_ROUNDS)
    trained.fit(Z[both], np.concatenate([codes, np.full(len(others), -1)]))
    known: Any = trained.transduction_
    sure = known != -1
    return both[sure], classes[known[sure]]


class _SemiSupervised(DocLinkMixin, BaseEstimator):
    """What classifier and regressor share; a subclass names its second part and its default."""

    _readout: ClassVar[str]
    _default: ClassVar[type[BaseEstimator]]
    learner: Any
    unlabeled: Any
    fine_tune: Any
    random_state: Any

    def fit(self, X: Any, y: Any, **metadata: Any) -> Any:
        """Fit the learner to all rows, then the other part to codes of the labelled ones.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, ...)
            Any rows that the learner takes.
        y : array-like of shape (n_samples,)
            Targets; rows without one are marked as ``unlabeled`` says. The learner does not see
            them, unless its view pairs rows by class.
        **metadata : dict
            ``sample_weight``, one for each row of ``X``, goes to the classifier or regressor, that
            of labelled rows. All else, such as ``X_pair`` and ``groups``, goes to the learner. If
            scikit-learn's metadata routing is enabled, each part gets what it requests; the
            default parts request these.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If no row has a label, labels are not what is expected, or rows or parameters are not
            valid; the message names the cure.
        """
        self._validate_params()
        if "confounds" in metadata:
            raise ValueError(
                f"{type(self).__name__} cannot pass confounds to predict; take them out before "
                "it, or fit a learner with confounds and a classifier to its codes."
            )
        check_container("X", X)
        warn_of_labels(X, y)
        warn_of_labels(X, metadata.get("sample_weight"), "sample_weight")
        values, rows = rows_of_labels(y, self._marker)
        check_consistent_length(X, values)
        targets = self._read_targets(values[rows])
        to_learner, to_readout = self._routed(metadata, rows, len(values))
        self._fit_learner(X, y, targets, rows, to_learner, to_readout.get("sample_weight"))
        self._fit_readout(self._codes(X), targets, rows, to_readout)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, ...)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        return self._read(X, "predict")

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also of the parts, as ``learner__n_components=8``.

        Parameters
        ----------
        **params

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a part is None, or ``fine_tune`` is False, so that it has no parameters.
        """
        super().set_params(**{key: value for key, value in params.items() if "__" not in key})
        nested = {key: value for key, value in params.items() if "__" in key}
        for key in nested:
            name, _, inner = key.partition("__")
            if name in ("learner", self._readout) and getattr(self, name) is None:
                raise ValueError(
                    f"{key}: {name}=None has no parameter {inner!r} to set; pass {name}=... to "
                    "vary its parameters."
                )
            if name == "fine_tune" and not isinstance(self.fine_tune, FineTuning):
                if self.fine_tune is not True:
                    raise ValueError(
                        f"{key}: fine_tune={self.fine_tune!r} has no parameter {inner!r} to set; "
                        "pass fine_tune=FineTuning() to vary its parameters."
                    )
                self.fine_tune = FineTuning()
        return super().set_params(**nested)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata go to which part, for scikit-learn's metadata routing.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self)
        for name in ("learner", self._readout):
            router.add(method_mapping=mapping, **{name: self._requesting(name)})
        return router

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the learner was fitted to."""
        return self.learner_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns that the learner was fitted to."""
        return self.learner_.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._learner()).input_tags
        tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, f"{self._readout}_")

    @property
    def _marker(self) -> Any:
        return self.unlabeled

    def _learner(self) -> Any:
        if self.learner is not None:
            return self.learner
        return MIRepresentationLearner(random_state=self.random_state)

    def _read_targets(self, values: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

    def _to_learn(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Return targets as fine-tuning takes them."""
        raise NotImplementedError

    def _fit_default(
        self, Z: NDArray[Any], y: NDArray[Any], rows: NDArray[np.intp], weights: Any
    ) -> Any:
        raise NotImplementedError

    def _requesting(self, name: str) -> Any:
        """Return a part; a default one requests the metadata that it takes."""
        part: Any = getattr(self, name)
        if part is not None:
            return part
        default: Any = self._learner() if name == "learner" else self._default()
        names = ("X_pair", "groups") if name == "learner" else ("sample_weight",)
        return default.set_fit_request(**dict.fromkeys(names, True))

    def _routed(
        self, metadata: Mapping[str, Any], rows: NDArray[np.intp], n: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what goes to the learner, and what of labelled rows goes to the other part."""
        given = {name: value for name, value in metadata.items() if value is not None}
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **given)
            to_learner, theirs = routed["learner"]["fit"], routed[self._readout]["fit"]
        else:
            to_learner = {k: v for k, v in given.items() if k != "sample_weight"}
            theirs = {k: v for k, v in given.items() if k == "sample_weight"}
            _check_takes(self._learner(), to_learner, type(self).__name__)
        if "sample_weight" in theirs:
            theirs["sample_weight"] = check_weights("sample_weight", theirs["sample_weight"], n)
            check_weights(
                "sample_weight of the labelled rows", theirs["sample_weight"][rows], len(rows)
            )
        is_of_rows = {k: hasattr(v, "__len__") and len(v) == n for k, v in theirs.items()}
        cut = {k: _safe_indexing(v, rows) if is_of_rows[k] else v for k, v in theirs.items()}
        return dict(to_learner), cut

    def _fit_learner(
        self,
        X: Any,
        y: Any,
        targets: NDArray[Any],
        rows: NDArray[np.intp],
        metadata: dict[str, Any],
        weights: Any,
    ) -> None:
        learner: Any = clone(self._learner())
        X = without_gradient(X)
        how = _how_to_fine_tune(self.fine_tune, learner)
        for_learner = self._labels_for(learner, y, targets, rows)
        learner.fit(X, for_learner, **metadata)
        if how is not None:
            given = Given(metadata.get("X_pair"), metadata.get("groups"), for_learner)
            own = learner.estimator if isinstance(learner, FrozenEstimator) else learner
            learner = _fine_tuned(own, X, given, (rows, self._to_learn(targets), weights), how)
        self.learner_ = learner

    def _labels_for(self, learner: Any, y: Any, targets: NDArray[Any], rows: Any) -> Any:
        """Return what the learner gets as ``y``: classes and -1 if its view pairs rows by class."""
        view = _view_of_labels(learner)
        if view is None:
            return None
        values = values_of(y)
        if getattr(view, "unlabelled", None) is not None:
            return values
        codes = np.full(len(values), -1)
        codes[rows] = np.unique(targets, return_inverse=True)[1]
        return codes

    def _fit_readout(
        self, Z: Any, y: NDArray[Any], rows: NDArray[np.intp], metadata: dict[str, Any]
    ) -> None:
        given: Any = getattr(self, self._readout)
        if given is None:
            fitted = self._fit_default(Z, y, rows, metadata.get("sample_weight"))
        else:
            mine: Any = clone(given)
            fitted = mine.fit(_safe_indexing(Z, rows), y, **metadata)
        setattr(self, f"{self._readout}_", fitted)

    def _codes(self, X: Any) -> Any:
        """Return codes: numbers for the default part, else as the learner gives them."""
        Z = self.learner_.transform(without_gradient(X))
        return check_codes("codes", Z) if getattr(self, self._readout) is None else Z

    def _read(self, X: Any, method: str) -> NDArray[Any]:
        check_is_fitted(self)
        return getattr(getattr(self, f"{self._readout}_"), method)(self._codes(X))

    def _check_scored(self, y: Any) -> None:
        """Refuse to score rows without a label."""
        values = values_of(y)
        n = int(unlabelled(values, self._marker).sum())
        if n:
            raise ValueError(
                f"y has {n} of {len(values)} rows without a label, which nothing can be scored "
                "against; pass labelled rows. In cross-validation and grids pass "
                "cv=LabeledFold(5), which tests on labelled rows only."
            )


def _check_takes(learner: Any, given: Mapping[str, Any], estimator: str) -> None:
    """Refuse what ``fit`` of a learner does not take; Pipelines and the like may take anything."""
    parameters = inspect.signature(learner.fit).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    takes = sorted({*parameters, "sample_weight"} - {"X", "y"})
    unknown = sorted(set(given) - set(takes))
    if unknown:
        raise TypeError(
            f"{estimator}.fit got {unknown[0]}=..., which {type(learner).__name__}.fit does not "
            f"take; expected names among {takes}."
        )


def _how_to_fine_tune(wanted: Any, learner: Any) -> FineTuning | None:
    """Return the checked description of fine-tuning, or None."""
    if wanted is False:
        return None
    own = learner.estimator if isinstance(learner, FrozenEstimator) else learner
    if not isinstance(own, MIRepresentationLearner):
        raise ValueError(
            f"fine_tune={wanted!r} goes on training an MIRepresentationLearner, but learner is of "
            f"class {type(own).__name__}; pass such a learner alone, or fine_tune=False."
        )
    how = FineTuning() if wanted is True else wanted
    how.check()
    return how


def _fine_tuned(
    learner: MIRepresentationLearner,
    X: Any,
    given: Given,
    labels: tuple[NDArray[np.intp], NDArray[Any], NDArray[Any] | None],
    how: FineTuning,
) -> MIRepresentationLearner:
    """Return a copy of a fitted learner, fine-tuned by the rows, targets and weights of labels."""
    twin: Any = copy.deepcopy(learner)
    rows, y, weights = labels
    with threads(twin.n_threads):
        # Few labels: each of several processes does all of it, and comes to the same.
        run: Run = twin._prepare(X, given, ALONE, fresh=False, steps=how.max_steps)
        net, model = run.net, run.net.model
        fine_tune(
            model,
            (run.rows, net.order),
            run.data.first.rows(model.scale, choose_device(twin.device), rows),
            y,
            weights,
            how,
            generator=net.view_generator,
            randomness=net.randomness,
            seed=seeds_of(run.seed, run.earlier_steps)["batches"],
        )
        net.steps_ = how.max_steps
        twin._conclude(run)
        net.forget()
    return twin


class SemiSupervisedClassifier(ClassifierMixin, _SemiSupervised):
    """Classify with few labels: a learner on all rows, a classifier on codes of labelled ones.

    The same as fitting a learner, then a classifier on the codes of the labelled rows, but one
    estimator: cross-validation, grids and files take both parts together. Cross-validate it with
    `LabeledFold`; any other splitter also tests on rows without a label.

    With one class beside few others, pass ``LogisticRegression(class_weight="balanced")``.

    Parameters
    ----------
    learner : transformer or None, default=None
        Fitted to all rows. None: `MIRepresentationLearner`. Any transformer or Pipeline of
        scikit-learn will do. ``FrozenEstimator(learner)`` is used as it is fitted.
    classifier : classifier or None, default=None
        Fitted to the codes of labelled rows. None: logistic regression on codes that are centred
        and divided by one number, both fitted to all rows. If cross-validation of the labelled
        rows gives a balanced accuracy of at least 0.9, it also learns from up to 5,000 unlabelled
        rows: those to which self-training gives a class with a probability of at least 0.8. Not
        so with ``sample_weight``, nor if a fifth of the columns or more are 0 or 1, also moved to
        their mean, as in a table of numbers and categories; there numbers are divided one by one.
    unlabeled : object, default="auto"
        What ``y`` holds for rows without a label. "auto": -1 among integers; NaN among floats;
        None, NaN, pandas' NA or -1 in an array of objects; what is masked. If all labels are
        text, all count; "nan", "-1" or an empty text among them, or -1.0 among floats, warns.
        None and NaN stand for any missing value.
    fine_tune : bool or FineTuning, default=False
        Whether a copy of the fitted learner goes on training, with the labels and its objective
        on all rows, before the classifier is fitted. Needs an `MIRepresentationLearner`.
    random_state : int, RandomState or None, default=None
        Of the default learner.

    Attributes
    ----------
    learner_ : transformer
        The fitted learner.
    classifier_ : classifier
        The fitted classifier; it takes codes.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if the learner has names of columns.

    See Also
    --------
    LabeledFold : Cross-validates it.
    sklearn_mi.evaluation.compare : Accuracy against the number of labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.semi_supervised import LabeledFold, SemiSupervisedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) % 5 == 0, y, -1)  # -1: no label
    >>> learner = MIRepresentationLearner(max_steps=50, random_state=0)
    >>> model = SemiSupervisedClassifier(learner).fit(X, few)
    >>> model.score(X, y) > 0.85
    True
    >>> cross_val_score(model, X, few, cv=LabeledFold(2)).shape
    (2,)
    """

    _readout = "classifier"
    _default = LogisticRegression
    classifier_: Any
    _parameter_constraints = {
        "learner": [HasMethods(["fit", "transform"]), None],
        "classifier": [HasMethods(["fit", "predict"]), None],
        "fine_tune": ["boolean", FineTuning],
    }

    def __init__(
        self,
        learner: Any = None,
        classifier: Any = None,
        *,
        unlabeled: Any = "auto",
        fine_tune: Any = False,
        random_state: Any = None,
    ) -> None:
        self.learner = learner
        self.classifier = classifier
        self.unlabeled = unlabeled
        self.fine_tune = fine_tune
        self.random_state = random_state

    @available_if(_part_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class; available if the classifier has this method.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._read(X, "predict_proba")

    @available_if(_part_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the classifier's decision values; available if it has this method.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, ...)

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._read(X, "decision_function")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled rows.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float

        Raises
        ------
        ValueError
            If a row has no label, or a weight is negative, missing or infinite.
        """
        self._check_scored(y)
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, len(y))
        return float(super().score(X, y, sample_weight))

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, as the labels name them."""
        return self.classifier_.classes_

    def _read_targets(self, values: NDArray[Any]) -> NDArray[Any]:
        least = 2 if self.classifier is None else 1
        classes = check_classes("y", values, len(values))
        if classes.dtype.kind in "OS":
            kind = type(classes[0]).__name__
            raise ValueError(
                f"y holds {kind} objects; expected classes: numbers, text or truth values. If they "
                "name classes, pass y.astype(str)."
            )
        warn_of_markers(classes, self.unlabeled)
        if len(np.unique(classes)) < least:
            raise ValueError(
                f"y has one class among its labelled rows, {classes[0]!s}; expected 2 or more: "
                "label a row of another class."
            )
        return classes

    def _to_learn(self, targets: NDArray[Any]) -> NDArray[Any]:
        return np.unique(targets, return_inverse=True)[1]

    def _fit_default(
        self, Z: NDArray[Any], y: NDArray[Any], rows: NDArray[np.intp], weights: Any
    ) -> Any:
        flags = _flags(Z)
        scaler, readout = _scaler(Z, flags), LogisticRegression(max_iter=2000)
        if weights is None and flags is None:
            rows, y = _with_sure_rows(readout, scaler.transform(Z), y, rows)  # type: ignore
        return _on_scaled(scaler, readout, Z[rows], y, weights)


class SemiSupervisedRegressor(RegressorMixin, _SemiSupervised):
    """Predict numbers with few labels: a learner on all rows, a regressor on labelled ones.

    As `SemiSupervisedClassifier`, for targets that are numbers. Cross-validate it with
    `LabeledFold`.

    Parameters
    ----------
    learner : transformer or None, default=None
        Fitted to all rows; see `SemiSupervisedClassifier`.
    regressor : regressor or None, default=None
        Fitted to the codes of labelled rows. None: ridge regression on scaled codes, with a
        penalty chosen by leaving out one labelled row at a time.
    unlabeled : object, default="auto"
        What ``y`` holds for rows without a target. "auto", None and NaN: any missing value.
    fine_tune : bool or FineTuning, default=False
        See `SemiSupervisedClassifier`.
    random_state : int, RandomState or None, default=None
        Of the default learner.

    Attributes
    ----------
    learner_ : transformer
        The fitted learner.
    regressor_ : regressor
        The fitted regressor; it takes codes.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if the learner has names of columns.

    See Also
    --------
    LabeledFold : Cross-validates it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.semi_supervised import SemiSupervisedRegressor
    >>> X, y = make_regression(100, 5, random_state=0)
    >>> few = np.where(np.arange(100) < 30, y, np.nan)
    >>> SemiSupervisedRegressor(PCA()).fit(X, few).score(X, y) > 0.9
    True
    """

    _readout = "regressor"
    _default = RidgeCV
    _parameter_constraints = {
        "learner": [HasMethods(["fit", "transform"]), None],
        "regressor": [HasMethods(["fit", "predict"]), None],
        "fine_tune": ["boolean", FineTuning],
    }

    def __init__(
        self,
        learner: Any = None,
        regressor: Any = None,
        *,
        unlabeled: Any = "auto",
        fine_tune: Any = False,
        random_state: Any = None,
    ) -> None:
        self.learner = learner
        self.regressor = regressor
        self.unlabeled = unlabeled
        self.fine_tune = fine_tune
        self.random_state = random_state

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R squared on labelled rows.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        r2 : float

        Raises
        ------
        ValueError
            If a row has no target, or a weight is negative, missing or infinite.
        """
        self._check_scored(y)
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, len(y))
        return float(super().score(X, y, sample_weight))

    @property
    def _marker(self) -> Any:
        # -1 is a number like others.
        return None if is_auto(self.unlabeled) else self.unlabeled

    def _read_targets(self, values: NDArray[Any]) -> NDArray[Any]:
        targets = check_values("y", values, len(values))
        if targets.dtype.kind not in "biuf":
            raise ValueError(
                f"y holds {targets[0]!s}; expected numbers: use SemiSupervisedClassifier for "
                "classes."
            )
        if not np.isfinite(targets).all():
            raise ValueError("y has infinite targets; expected finite numbers, or NaN for none.")
        numbers = targets.astype(np.float64)
        if np.abs(numbers).max() > LARGEST_TARGET:
            raise ValueError(
                f"y holds {np.abs(numbers).max():g}; expected targets of at most "
                f"{LARGEST_TARGET:g}, whose squares a float holds: rescale them."
            )
        return numbers

    def _to_learn(self, targets: NDArray[Any]) -> NDArray[Any]:
        return (targets - targets.mean()) / (targets.std() or 1.0)

    def _fit_default(
        self, Z: NDArray[Any], y: NDArray[Any], rows: NDArray[np.intp], weights: Any
    ) -> Any:
        # A single row cannot be left out.
        readout = RidgeCV(ALPHAS) if len(rows) > 1 else Ridge()
        return _on_scaled(_scaler(Z, _flags(Z)), readout, Z[rows], y, weights)


class LabeledFold(BaseCrossValidator):
    """Split rows for cross-validation with few labels: test on labelled rows only.

    Rows without a label are always in training. Other splitters put them into the test folds, too,
    where each counts as an error, since nothing predicts -1.

    Parameters
    ----------
    cv : int or splitter, default=5
        How to split the labelled rows. An integer is a number of folds, stratified if the targets
        are classes: integers, text, or floats with each value in at least ``cv`` rows. For targets
        that are whole numbers but no classes, pass ``KFold(5)``. `PredefinedSplit` may tell the
        folds of all rows, or of labelled ones.
    unlabeled : object, default="auto"
        As in `SemiSupervisedClassifier`. If -1 is a target among integers, pass NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.semi_supervised import LabeledFold
    >>> y = np.array([0, -1, 1, 0, -1, 1])
    >>> for train, test in LabeledFold(2).split(y, y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 1 2 4] [3 5]
    """

    # Metadata routing hands groups on.
    __metadata_request__split = {"groups": True}

    def __init__(self, cv: Any = 5, unlabeled: Any = "auto") -> None:
        self.cv = cv
        self.unlabeled = unlabeled

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows to train on, and the labelled rows to test on, of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            Targets, with rows that have none.
        groups : array-like of shape (n_samples,), default=None
            Handed on to ``cv``, those of labelled rows.

        Yields
        ------
        train, test : ndarray of int
            Row numbers, increasing. All rows that are not in the test fold are in ``train``.

        Raises
        ------
        ValueError
            If no row has a label, or ``cv`` cannot split the labelled rows.
        """
        n = len(values_of(y))
        check_consistent_length(X, values_of(y))
        rows, *rest = self._labelled(y, groups)
        self._check_classes(rest[0])
        for _, test in self._of_rows(rows, n, rest[0]).split(rows, *rest):
            tested = np.sort(rows[test])
            yield np.setdiff1d(np.arange(n), tested), tested

    def _check_classes(self, y: NDArray[Any]) -> None:
        """Refuse more folds than any class has labelled rows."""
        folds = self._splitter(y)
        if isinstance(self.cv, Integral) and isinstance(folds, StratifiedKFold):
            most = int(np.unique(y, return_counts=True)[1].max())
            if int(self.cv) > most:
                raise ValueError(
                    f"cv={self.cv}, but no class has more than {most} labelled row"
                    f"{'s' * (most > 1)}; expected at most as many folds: label more rows, or pass "
                    f"cv=KFold({self.cv})."
                )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), default=None
        y, groups : array-like of shape (n_samples,), default=None
            Needed only where ``cv`` needs them.

        Returns
        -------
        n_splits : int
        """
        if isinstance(self.cv, Integral):
            return int(self.cv)
        if y is None:
            return self._splitter(np.zeros(0)).get_n_splits(X, y, groups)
        rows, *rest = self._labelled(y, groups)
        return self._of_rows(rows, len(values_of(y)), rest[0]).get_n_splits(rows, *rest)

    def _of_rows(self, rows: NDArray[np.intp], n: int, y: NDArray[Any]) -> Any:
        """Return what splits the labelled rows; predefined folds may tell those of all rows."""
        folds = self._splitter(y)
        if not isinstance(folds, PredefinedSplit) or len(folds.test_fold) == len(rows):
            return folds
        if len(folds.test_fold) == n:
            return PredefinedSplit(folds.test_fold[rows])
        raise ValueError(
            f"cv has folds of {len(folds.test_fold)} rows, but y has {n}, {len(rows)} of them "
            "with a label; expected PredefinedSplit of all rows, or of those with a label."
        )

    def _labelled(self, y: Any, groups: Any) -> tuple[NDArray[np.intp], NDArray[Any], Any]:
        """Return the numbers, targets and groups of labelled rows."""
        values, rows = rows_of_labels(y, self.unlabeled)
        groups = None if groups is None else check_values("groups", groups, len(values))[rows]
        return rows, check_values("y", values[rows], len(rows)), groups

    def _splitter(self, y: NDArray[Any]) -> Any:
        if not isinstance(self.cv, Integral):
            if not hasattr(self.cv, "get_n_splits") or isinstance(self.cv, type):
                told = textwrap.shorten(repr(self.cv), 80)
                raise ValueError(
                    f"cv={told}; expected a number of folds or a splitter such as KFold(5). Folds "
                    "of your own, a row number each, are PredefinedSplit(folds)."
                )
            return self.cv
        counts = np.unique(y, return_counts=True)[1]
        if y.dtype.kind == "f" and counts.min() < self.cv:
            return KFold(int(self.cv))
        return check_cv(int(self.cv), y, classifier=True)
