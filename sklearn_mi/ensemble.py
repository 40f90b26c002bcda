"""Several learners of one kind with different seeds, as one transformer."""

from __future__ import annotations

from numbers import Integral
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

__all__ = ["Ensemble"]


def _with_seeds(learner: Any, generator: np.random.RandomState) -> Any:
    """Return a clone whose every ``random_state``, nested ones too, is a seed of its own."""
    member: Any = clone(learner)
    keys = [
        key
        for key in sorted(member.get_params(deep=True))
        if key == "random_state" or key.endswith("__random_state")
    ]
    if not keys:
        raise ValueError(
            f"learner={learner!r} has no random_state; its members would all be equal. Expected a "
            "transformer whose fit depends on a seed."
        )
    return member.set_params(**{key: int(generator.randint(2**31 - 1)) for key in keys})


def _fit(member: Any, X: Any, y: Any) -> Any:
    return member.fit(X) if y is None else member.fit(X, y)


def _transform(member: Any, X: Any) -> NDArray[Any]:
    Z = member.transform(X)
    return np.asarray(Z.toarray() if issparse(Z) else Z)


def _alignment(codes: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the means of the codes, and the maps that turn them onto the first."""
    widths = [Z.shape[1] for Z in codes]
    if len(set(widths)) > 1:
        raise ValueError(
            f"combine='average' with codes of {widths} components; expected equal numbers. Fix "
            "them, or take combine='concat'."
        )
    centres = np.array([Z.mean(axis=0) for Z in codes])
    first, *others = (Z - centre for Z, centre in zip(codes, centres, strict=True))
    turns = [orthogonal_procrustes(Z, first)[0] for Z in others]
    return centres, np.array([np.eye(widths[0]), *turns])


class Ensemble(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Codes of several members that differ in their seeds, side by side or averaged.

    What a trained encoder finds depends on its first weights and its batches. Members that agree
    on what is in the rows and differ in their errors are better together; the price is as many
    fits as there are members. Any transformer with a ``random_state`` can be a member; a seed for
    each comes from ``random_state``, for steps of a Pipeline, too.

    ``combine="concat"`` puts the codes side by side; a later step may weigh them. Codes of one
    member have no common axes with those of another, so ``"average"`` first moves and turns each
    member's codes onto the first's, by the orthogonal map Q that solves

    .. math:: \min_{Q^T Q = 1} \lVert (Z_k - \bar z_k) Q - (Z_1 - \bar z_1) \rVert_F

    on the training rows, which leaves distances within a member as they are. The average is as
    narrow as one member's code; where members disagree it shrinks.

    A ``FeatureUnion`` of clones would do for codes side by side, with a name and a seed written
    for each; this class sets the seeds, aligns, and has one number to vary in a grid.

    There is no ``mi_``: a bound of each member (``members_[0].mi_``) is one of its own codes, and
    says nothing of the combination.

    Parameters
    ----------
    learner : transformer
        What the members are clones of.
    n_members : int, default=5
    combine : {"concat", "average"}, default="concat"
    random_state : int, RandomState or None, default=None
        Decides the members' seeds, whatever those of ``learner`` are. Equal seeds give equal
        members. No global generator is touched.
    n_jobs : int or None, default=None
        Processes, by joblib, in ``fit`` and ``transform``.

    Attributes
    ----------
    members_ : list of transformer
        The fitted members.
    centres_ : ndarray of shape (n_members, n_components) or None
        Means of the members' codes on the training rows; None with ``combine="concat"``.
    rotations_ : ndarray of shape (n_members, n_components, n_components) or None
        The orthogonal maps, likewise; that of the first member is the identity.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where the rows came with names.

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
    """

    _parameter_constraints = {
        "learner": [HasMethods(["fit", "transform"])],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "combine": [StrOptions({"concat", "average"})],
        "random_state": ["random_state"],
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

    def fit(self, X: Any, y: Any = None) -> Ensemble:
        """Fit every member to the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the learner takes.
        y : array-like of shape (n_samples,), optional
            Handed to members as a Pipeline does; a learner without labels ignores it.

        Returns
        -------
        self : Ensemble

        Raises
        ------
        ValueError
            If a parameter is not as described, the learner has no ``random_state``, or codes to be
            averaged differ in width.
        """
        self._validate_params()
        seed = self.random_state
        generator = np.random.RandomState() if seed is None else check_random_state(seed)
        members = [_with_seeds(self.learner, generator) for _ in range(self.n_members)]
        fit = delayed(_fit)
        self.members_ = cast(
            list, Parallel(n_jobs=self.n_jobs)(fit(member, X, y) for member in members)
        )
        codes = self._codes(X)
        self.centres_, self.rotations_ = (
            _alignment(codes) if self.combine == "average" else (None, None)
        )
        self._n_features_out = self._combined(codes).shape[1]
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Return the combined codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            With ``combine="concat"`` the first columns are the first member's.
        """
        check_is_fitted(self)
        return self._combined(self._codes(X))

    def _codes(self, X: Any) -> list[NDArray[Any]]:
        transform = delayed(_transform)
        codes = Parallel(n_jobs=self.n_jobs)(transform(member, X) for member in self.members_)
        return cast(list, codes)

    def _combined(self, codes: list[NDArray[Any]]) -> NDArray[Any]:
        if self.centres_ is None or self.rotations_ is None:
            return np.hstack(codes)
        parts = zip(codes, self.centres_, self.rotations_, strict=True)
        turned = [(Z - centre) @ rotation for Z, centre, rotation in parts]
        average = np.mean(turned, axis=0) + self.centres_[0]
        return average.astype(np.result_type(*codes), copy=False)

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
