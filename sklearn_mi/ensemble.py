"""Combine several learners that differ only in their seeds into one transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklearn_mi._base import DocLinkMixin
from sklearn_mi._checks import check_random_state
from sklearn_mi._compat import HasMethods, Interval, StrOptions, in_container

__all__ = ["Ensemble"]


def _with_seeds(learner: Any, generator: np.random.RandomState) -> Any:
    """Return a clone with a new seed in every ``random_state``, nested ones included."""
    member: Any = clone(learner)
    keys = [
        key
        for key in sorted(member.get_params(deep=True))
        if key == "random_state" or key.endswith("__random_state")
    ]
    if not keys:
        raise ValueError(
            f"learner={learner!r} has no random_state, so all members would be equal; expected a "
            "transformer whose fit depends on a seed."
        )
    return member.set_params(**{key: int(generator.randint(2**31 - 1)) for key in keys})


def _fit(member: Any, X: Any, y: Any, metadata: Mapping[str, Any]) -> Any:
    return member.fit(X, **metadata) if y is None else member.fit(X, y, **metadata)


def _codes(
    members: Sequence[Any], method: str, X: Any, n_jobs: int | None, confounds: Any
) -> list[NDArray[Any]]:
    """Return each member's codes of one table, by ``transform`` or ``transform_pair``."""
    beside = {} if confounds is None else {"confounds": confounds}
    codes = Parallel(n_jobs=n_jobs)(
        delayed(getattr(member, method))(X, **beside) for member in members
    )
    return [np.asarray(Z.toarray() if issparse(Z) else Z) for Z in cast(list, codes)]


def _alignment(codes: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the means of the codes, and the maps that rotate them onto the first."""
    widths = [Z.shape[1] for Z in codes]
    if len(set(widths)) > 1:
        raise ValueError(
            f"combine='average' with codes of {widths} components; expected equal numbers. Fix "
            "n_components, or choose combine='concat'."
        )
    centres = np.array([Z.mean(axis=0) for Z in codes])
    first, *others = (Z - centre for Z, centre in zip(codes, centres, strict=True))
    rotations = [orthogonal_procrustes(Z, first)[0] for Z in others]
    return centres, np.array([np.eye(widths[0]), *rotations])


def _average(
    codes: list[NDArray[Any]], centres: NDArray[Any], rotations: NDArray[Any]
) -> NDArray[Any]:
    """Return the mean of the codes after each was rotated onto the first."""
    parts = zip(codes, centres, rotations, strict=True)
    aligned = [(Z - centre) @ rotation for Z, centre, rotation in parts]
    average = np.mean(aligned, axis=0) + centres[0]
    return average.astype(np.result_type(*codes), copy=False)


def _learner_takes_pairs(ensemble: Ensemble) -> bool:
    return hasattr(ensemble.learner, "transform_pair")


class Ensemble(DocLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Combine the codes of several members that differ in their seeds, side by side or averaged.

    What a trained encoder finds depends on its first weights and its batches. Members that agree
    on the content of the rows and differ in their errors are better together; the price is one
    fit for each member. Any transformer with a ``random_state`` can be a member. Each member, and
    each step of a member that is a Pipeline, gets a seed drawn from ``random_state``.

    ``combine="concat"`` puts the codes side by side; a later step can weight them. The axes of two
    members' codes are unrelated, so ``"average"`` first shifts and rotates the codes of each member
    onto those of the first, by the orthogonal map Q that solves

    .. math:: \min_{Q^T Q = 1} \lVert (Z_k - \bar z_k) Q - (Z_1 - \bar z_1) \rVert_F

    on the training rows. This leaves distances within a member as they are. The average has as
    many components as one member's code, and it shrinks where members disagree.

    Paired tables work as with one learner: ``fit(X, X_pair=B)``, then ``transform(X)`` and
    ``transform_pair(B)``. The second table's codes are aligned by maps of their own, since the
    two encoders of a member need not share axes.

    A ``FeatureUnion`` of clones also puts codes side by side, but you write a name and a seed for
    each. This class sets the seeds, aligns the codes, and has one number to vary in a grid.

    An ensemble has no ``mi_``: the bound of a member (``members_[0].mi_``) describes that member's
    codes, not the combination.

    Parameters
    ----------
    learner : transformer
        The members are clones of it.
    n_members : int, default=5
    combine : {"concat", "average"}, default="concat"
        Whether to put the codes side by side or to average them.
    random_state : int, RandomState or None, default=None
        Decides the members' seeds and overrides those of ``learner``. Equal seeds give equal
        members. Global generators are left untouched.
    n_jobs : int or None, default=None
        Number of joblib's processes in ``fit`` and ``transform``.

    Attributes
    ----------
    members_ : list of transformer
        The fitted members.
    centres_ : ndarray of shape (n_members, n_components) or None
        Means of the members' codes on the training rows; None with ``combine="concat"``.
    rotations_ : ndarray of shape (n_members, n_components, n_components) or None
        The orthogonal maps; the first is the identity. None with ``combine="concat"``.
    centres_pair_, rotations_pair_ : ndarray or None
        The same for the codes of ``X_pair``; None without it.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if the rows have names of columns.

    References
    ----------
    A Generalized Solution of the Orthogonal Procrustes Problem (Schönemann, 1966), Psychometrika
    31.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.ensemble import Ensemble
    >>> X, _ = load_iris(return_X_y=True)
    >>> learner = MIRepresentationLearner(4, max_steps=20)
    >>> Ensemble(learner, 3, random_state=0).fit_transform(X).shape
    (150, 12)
    >>> Ensemble(learner, 3, combine="average", random_state=0).fit_transform(X).shape
    (150, 4)

    Two tables whose rows belong together:

    >>> petals, sepals = X[:, 2:], X[:, :2]
    >>> ensemble = Ensemble(learner, 3, random_state=0).fit(petals, X_pair=sepals)
    >>> ensemble.transform_pair(sepals).shape
    (150, 12)
    """

    _parameter_constraints = {
        "learner": [HasMethods(["fit", "transform"])],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "combine": [StrOptions({"concat", "average"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        learner: Any,
        n_members: int = 5,
        *,
        combine: str = "concat",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.learner = learner
        self.n_members = n_members
        self.combine = combine
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, **metadata: Any) -> Ensemble:
        """Fit every member to the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Any rows that the learner takes.
        y : array-like of shape (n_samples,), optional
            Passed to the members, as in a Pipeline; a learner that uses no labels ignores it.
        **metadata : dict
            Passed to the members' ``fit``: ``X_pair``, ``groups``, ``confounds`` or anything else
            that the learner takes. If scikit-learn's metadata routing is enabled, the learner must
            request it: ``Ensemble(learner.set_fit_request(X_pair=True))``.

        Returns
        -------
        self : Ensemble

        Raises
        ------
        ValueError
            If a parameter is not valid, the learner has no ``random_state``, or codes to average
            differ in width.
        """
        seed = self.random_state
        generator = np.random.RandomState() if seed is None else check_random_state(seed)
        self._validate_params()
        members = [_with_seeds(self.learner, generator) for _ in range(self.n_members)]
        if get_config()["enable_metadata_routing"]:
            metadata = process_routing(self, "fit", **metadata)["learner"]["fit"]
        fit = delayed(_fit)
        self.members_ = cast(
            list, Parallel(n_jobs=self.n_jobs)(fit(member, X, y, metadata) for member in members)
        )
        confounds = metadata.get("confounds")
        codes = _codes(self.members_, "transform", X, self.n_jobs, confounds)
        self._n_features_out = sum(Z.shape[1] for Z in codes)
        self.centres_ = self.rotations_ = self.centres_pair_ = self.rotations_pair_ = None
        if self.combine == "average":
            self.centres_, self.rotations_ = _alignment(codes)
            self._n_features_out = codes[0].shape[1]
            X_pair = metadata.get("X_pair")
            if X_pair is not None and _learner_takes_pairs(self):
                pair = _codes(self.members_, "transform_pair", X_pair, self.n_jobs, confounds)
                self.centres_pair_, self.rotations_pair_ = _alignment(pair)
        return self

    def fit_transform(self, X: Any, y: Any = None, **metadata: Any) -> NDArray[Any]:
        """Fit every member to the same rows, and return the combined codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,), optional
        **metadata : dict
            As for ``fit``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            As from ``transform``.
        """
        self.fit(X, y, **metadata)
        return self.transform(X, confounds=metadata.get("confounds"))

    def transform(self, X: Any, *, confounds: Any = None) -> NDArray[Any]:
        """Return the combined codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        confounds : array-like of shape (n_samples, n_confounds), default=None
            Needed if ``fit`` was given any.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            With ``combine="concat"`` the first columns are the first member's.
        """
        check_is_fitted(self)
        codes = _codes(self.members_, "transform", X, self.n_jobs, confounds)
        if self.centres_ is None or self.rotations_ is None:
            return np.hstack(codes)
        return _average(codes, self.centres_, self.rotations_)

    @available_if(_learner_takes_pairs)
    def transform_pair(self, X_pair: Any, *, confounds: Any = None) -> Any:
        """Return the combined codes of rows of the second table.

        Available if the learner has this method.

        Parameters
        ----------
        X_pair : array-like of shape (n_samples, n_features_pair)
        confounds : array-like of shape (n_samples, n_confounds), default=None
            Needed if ``fit`` was given any.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            With ``combine="concat"`` the first columns are the first member's. In the container
            that ``set_output`` asks for.

        Raises
        ------
        ValueError
            If the ensemble was fitted without ``X_pair``.
        """
        check_is_fitted(self)
        codes = _codes(self.members_, "transform_pair", X_pair, self.n_jobs, confounds)
        combined = self._combined_pair(codes)
        prefix = type(self).__name__.lower()
        names = np.array([f"{prefix}{i}" for i in range(combined.shape[1])], dtype=object)
        return in_container(combined, X_pair, self, lambda: names)

    def _combined_pair(self, codes: list[NDArray[Any]]) -> NDArray[Any]:
        if self.centres_ is None:
            return np.hstack(codes)
        if self.centres_pair_ is None or self.rotations_pair_ is None:
            raise ValueError(
                "combine='average' needs the second table in fit, to align the members' codes of "
                "it: fit(X, X_pair=...)."
            )
        return _average(codes, self.centres_pair_, self.rotations_pair_)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata go to the learner, for scikit-learn's metadata routing.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping()
        for caller in ("fit", "fit_transform"):
            mapping.add(caller=caller, callee="fit")
        # Of confounds alone: fit, too, asks for the codes of its rows.
        for caller in ("fit_transform", "transform"):
            mapping.add(caller=caller, callee="transform")
        return MetadataRouter(owner=self).add(learner=self.learner, method_mapping=mapping)

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the members were fitted to."""
        return self.members_[0].n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns that the members were fitted to."""
        return self.members_[0].feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        theirs = get_tags(self.learner)
        tags.input_tags = theirs.input_tags
        tags.target_tags.required = theirs.target_tags.required
        if theirs.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = theirs.transformer_tags.preserves_dtype
        return tags
