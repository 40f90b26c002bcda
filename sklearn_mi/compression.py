r"""Compression of two wide tables to the few directions that they share, learned on training rows.

With more columns than rows, a covariance of all columns fits noise. Each table is reduced to its
principal components first, which do not look at the other table, and then to the directions that
correlate with the other table on rows that did not choose them. A bound on such codes bounds the
information of the tables, whatever the compression, if its rows are new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_mi._base import DocLinkMixin, positive_integer
from sklearn_mi._checks import check_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Factors", "PairCompression", "is_wide"]

CLEAR_CORRELATION = 2.5  # standard errors
CLEAR_GAIN = 1.05
EVEN = 0.15
EXACT_UP_TO = 3000
FLOOR = 0.3
INNER_FOLDS = 3
MOST_COMPONENTS = 300
NARROW = 20  # rows a column
NO_NOISE = 1e-9  # of the variance
PROBES = 50
REWEIGHTINGS = 2
RIDGES = (0.3, 3.0, 30.0)
SMALLEST_NOISE = 0.05
TRACY_WIDOM = 2.02  # 99th percentile of its distribution for real data
WIDE = 5  # rows a column


def is_wide(n: int, p: int, q: int) -> bool:
    """Return whether two tables have too many columns for a covariance of them all.

    Parameters
    ----------
    n : int
        Number of rows.
    p, q : int
        Number of columns of either table.

    Returns
    -------
    answer : bool
        True from one column for every five rows.

    Examples
    --------
    >>> from sklearn_mi.compression import is_wide
    >>> is_wide(700, 2000, 300), is_wide(1000, 50, 50)
    (True, False)
    """
    return WIDE * (p + q) > n


class _Marginals:
    """Columns as centred normal scores of their ranks; constants and copies are dropped.

    Attributes
    ----------
    Z : ndarray of shape (n_samples, n_kept)
        The training rows, in single precision.
    """

    def __init__(self, X: np.ndarray) -> None:
        n = len(X)
        # Twice a rank is a whole number, also if ties share their mean rank.
        self.table = ndtri(np.clip(np.arange(2 * n + 1) / 2, 0.5, n - 0.5) / n).astype(np.float32)
        columns = np.ascontiguousarray(X.T)
        order = columns.argsort(axis=1)
        self.known = np.take_along_axis(columns, order, axis=1)
        self.tied = (np.diff(self.known) == 0).any(axis=1)
        self.kept = np.arange(len(columns))
        Z = np.empty(columns.shape, dtype=np.float32)
        np.put_along_axis(Z, order, self.table[None, 1::2], axis=1)
        Z = np.ascontiguousarray(Z.T)
        Z[:, self.tied] = self._looked_up(X, np.flatnonzero(self.tied))
        self._keep(_first_of_copies(Z - Z.mean(0)))
        Z = Z[:, self.kept]
        self.mean = Z.mean(0)
        # A column with nearly all values tied varies little, and would be noise at full scale.
        self.scale = np.maximum((Z - self.mean).std(0), FLOOR)
        self.Z = (Z - self.mean) / self.scale

    def _keep(self, columns: np.ndarray) -> None:
        self.kept, self.known, self.tied = (
            part[columns] for part in (self.kept, self.known, self.tied)
        )

    def _looked_up(self, X: np.ndarray, columns: np.ndarray) -> np.ndarray:
        Z = np.empty((len(X), len(columns)), dtype=np.float32)
        for j, column in enumerate(columns):
            x, known = X[:, self.kept[column]], self.known[column]
            below = known.searchsorted(x)
            if self.tied[column]:
                upto = known.searchsorted(x, "right")
            else:
                upto = below + (known[np.minimum(below, len(known) - 1)] == x)
            Z[:, j] = self.table[below + upto]
        return Z

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return (self._looked_up(X, np.arange(len(self.kept))) - self.mean) / self.scale


def _first_of_copies(Z: np.ndarray) -> np.ndarray:
    """Return the centred columns that are not constant and equal no earlier one, up to sign."""
    weights = np.random.default_rng(0).normal(size=len(Z))
    marks = np.round(np.abs(weights @ Z) / math.sqrt(len(Z)), 6)
    first = np.sort(np.unique(marks, return_index=True)[1])
    varying = first[np.ptp(Z[:, first], axis=0) > 0]
    return varying if len(varying) else first[:1]


class Components:
    """Principal components of centred columns, and which of them are signals.

    Parameters
    ----------
    F : ndarray of shape (n_samples, n_features)
    n_columns : int
        Columns of the table that F is a rotation of.
    seed : int
    """

    def __init__(self, F: np.ndarray, n_columns: int, seed: int) -> None:
        self.mean = F.mean(0)
        self.F = F - self.mean
        # The mean takes one degree of freedom.
        self.n_rows, self.n_columns = len(F) - 1, n_columns
        self.total = float(np.einsum("ij,ij->", self.F, self.F, dtype=np.float64)) / self.n_rows
        values, scores = _decomposed(self.F, seed)
        kept = values > 1e-9 * max(self.total * self.n_rows, 1e-300)
        self.values, self.scores = values[kept] / self.n_rows, scores[:, kept]
        self.shape = n_columns / self.n_rows
        self.is_narrow = NARROW * n_columns <= self.n_rows
        self.n_signals = len(self.values) if self.is_narrow else self.count_signals()

    def _noise(self, k: int) -> float:
        """Return the variance of the noise if the first k components are none."""
        left = max((self.n_rows - k) * (self.n_columns - k) / self.n_rows, 1e-12)
        return max(self.total - float(self.values[:k].sum()), 1e-12) / left

    def count_signals(self, noise: float | None = None) -> int:
        """Return the number of eigenvalues beyond the largest of noise (Johnstone, 2001).

        The variance of the noise is estimated from the other eigenvalues if it is None.
        """
        a, b = math.sqrt(self.n_rows), math.sqrt(self.n_columns)
        edge = (a + b) ** 2 + TRACY_WIDOM * (a + b) * (1 / a + 1 / b) ** (1 / 3)
        most, k = min(len(self.values), self.n_rows // 4), 0
        while k < most and self.values[k] > (noise or self._noise(k)) * edge / self.n_rows:
            k += 1
        return k

    def strengths(self) -> np.ndarray:
        """Return the variance of each signal over that of the noise, in the population."""
        k, g = self.n_signals, self.shape
        if self.is_narrow:
            return np.full(k, math.inf)
        excess = self.values[:k] / self._noise(k) - 1 - g
        return (excess + np.sqrt(np.maximum(excess**2 - 4 * g, 0))) / 2

    def reliabilities(self) -> np.ndarray:
        """Return how much of each signal's squared correlation its component keeps."""
        return 1 - self.shape / np.maximum(self.strengths(), math.sqrt(self.shape)) ** 2

    def dispersion(self) -> float:
        """Return the squared coefficient of variation of the noise's eigenvalues, 0 if white."""
        if self.is_narrow:
            return 0.0
        k = self.n_signals
        rest = self.total - float(self.values[:k].sum())
        if rest <= NO_NOISE * self.total:
            return 0.0
        share = (self._squares() - float((self.values[:k] ** 2).sum())) / rest**2
        return (self.n_columns - k) * (share - 1 / (self.n_rows - k)) - 1

    def _squares(self) -> float:
        """Return the sum of all squared eigenvalues, by random probes if most are unknown."""
        if min(self.F.shape) <= EXACT_UP_TO:
            return float((self.values**2).sum())
        probes = np.random.default_rng(0).normal(size=(self.F.shape[1], PROBES))
        # Signals would dominate the variance of the probes.
        signals = self.scores[:, : self.n_signals]
        seen = self.F @ probes.astype(self.F.dtype)
        seen -= signals @ (signals.T @ seen)
        found = float(np.square(self.F.T @ seen).sum()) / PROBES / self.n_rows**2
        return found + float((self.values[: self.n_signals] ** 2).sum())

    def directions(self, A: np.ndarray) -> np.ndarray:
        """Return the directions in columns that give ``scores @ A``."""
        return self.F.T @ (self.scores @ (A / (self.n_rows * self.values)[:, None]))


def _decomposed(F: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return squared singular values, largest first, and left singular vectors."""
    n, p = F.shape
    if min(n, p) > EXACT_UP_TO:
        scores, roots, _ = randomized_svd(F, MOST_COMPONENTS, random_state=seed)
        return roots.astype(np.float64) ** 2, scores
    if n < p:
        values, scores = np.linalg.eigh((F @ F.T).astype(np.float64))
        return values[::-1], scores[:, ::-1]
    values, vectors = np.linalg.eigh((F.T @ F).astype(np.float64))
    scores = F @ vectors[:, ::-1]
    return values[::-1], scores / np.maximum(np.linalg.norm(scores, axis=0), 1e-12)


class Factors:
    r"""The principal components of a table that stand out of its noise, and how reliable they are.

    Columns become normal scores, each weighted by the inverse of its own noise. With p columns and
    n rows, a component of signal variance :math:`\ell` over noise of variance 1 keeps

    .. math:: 1 - \frac{p}{n \ell^2}

    of its squared correlation with anything outside the table, on the rows that it was computed
    from and, its variance apart, on new ones. A table of few columns keeps them all.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    seed : int, default=0

    Attributes
    ----------
    components : object
        ``scores`` (n_samples, m), orthonormal, of which the first ``n_signals`` are signals;
        ``strengths()``, ``reliabilities()`` and ``dispersion()`` of the noise.
    features : ndarray of shape (n_samples, m)
        The rows in all components.

    References
    ----------
    Asymptotics of Sample Eigenstructure for a Large Dimensional Spiked Covariance Model (Paul,
    2007), Statistica Sinica 17.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.compression import Factors
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 500)) + rng.normal(size=(200, 500))
    >>> Factors(X).components.n_signals
    3
    """

    def __init__(self, X: np.ndarray, seed: int = 0) -> None:
        self.marginals = _Marginals(X)
        Z = self.marginals.Z
        self.weights = np.ones(Z.shape[1], dtype=np.float32)
        self.components = Components(Z, Z.shape[1], seed)
        for _ in range(REWEIGHTINGS):
            own = self.components
            # No column has noise of a variance above 1; the mean over columns would be too low.
            k = 0 if own.is_narrow else own.count_signals(noise=1.0)
            scores = own.scores[:, :k]
            noise = own.F.var(0) - np.square(scores.T @ own.F).sum(0) / len(Z)
            if not k or noise.std() < EVEN * noise.mean():
                break
            self.weights = self.weights / np.sqrt(np.maximum(noise, SMALLEST_NOISE))
            self.components = Components(Z * self.weights, Z.shape[1], seed)
        own = self.components
        self.features = own.scores * np.sqrt(own.n_rows * own.values)

    def coefficients(self, A: np.ndarray) -> np.ndarray:
        """Return the coefficients of the columns' normal scores that give ``scores @ A``."""
        return self.weights[:, None] * self.components.directions(A)

    def project(self, X: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Return the codes of new rows."""
        # Normal scores have mean 0 on the training rows, weighted or not.
        return (self.marginals(X) @ coefficients).astype(np.float64)


def _weights(components: Components, kind: str | float) -> np.ndarray:
    """Return how far each component is whitened: by its rank, or by a ridge."""
    if kind == "factors":
        return (np.arange(len(components.values)) < components.n_signals).astype(float)
    if kind == "all":
        return np.ones(len(components.values))
    ridge = float(kind) * components.values.sum() / max(len(components.values), 1)
    return np.sqrt(components.values / (components.values + ridge))


def _pairs_of_directions(
    first: Components, second: Components, kind: str | float, k: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the canonical directions of two tables' components, of shape (m, k)."""
    weights = [_weights(side, kind) for side in (first, second)]
    cross = weights[0][:, None] * (first.scores.T @ second.scores) * weights[1]
    used = [np.flatnonzero(w) for w in weights]
    left, right = np.zeros((len(cross), k)), np.zeros((cross.shape[1], k))
    if min(map(len, used)):
        inner = cross[np.ix_(*used)]
        U, _, V = _leading(inner, min(k, *inner.shape), seed)
        left[used[0], : U.shape[1]], right[used[1], : len(V)] = U, V.T
    return weights[0][:, None] * left, weights[1][:, None] * right


def _leading(M: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if min(M.shape) > 50:
        return randomized_svd(M, k, random_state=seed)
    U, roots, V = np.linalg.svd(M, full_matrices=False)
    return U[:, :k], roots[:k], V[:k]


class PairCompression(DocLinkMixin, BaseEstimator):
    r"""Compress two paired tables to codes that correlate, from training rows only.

    Each column becomes normal scores, each table its principal components, and these the canonical
    directions of the two tables. Which components take part is chosen by folds within the training
    rows: those above the noise edge, all of them, or all under a ridge penalty. Codes come in
    pairs: column k of one side correlates with column k of the other.

    Use it before a critic or a network on two tables with more columns than a fifth of the rows
    (`is_wide`). On new rows the codes are unbiased. On the training rows use ``fit_transform``: it
    gives each row the code of directions that other rows chose, so that what is fitted to the codes
    sees correlations as large as on new rows.

    Parameters
    ----------
    n_components : int, default=10
        Largest number of pairs of codes; those without correlation are dropped.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    coefficients_ : tuple of ndarray
        Of the normal scores of the columns of either table, (n_columns, k).
    correlations_ : ndarray of shape (k,)
        Of each pair of codes, on rows that did not choose the directions.
    kind_ : str or float
        "factors" (components above the noise edge), "all", or the ridge penalty.

    See Also
    --------
    sklearn.cross_decomposition.PLSCanonical : Directions of large covariance, without folds.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.compression import PairCompression
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(300, 2))
    >>> X = shared @ rng.normal(size=(2, 500)) + 3 * rng.normal(size=(300, 500))
    >>> Y = shared @ rng.normal(size=(2, 400)) + 3 * rng.normal(size=(300, 400))
    >>> codes_x, codes_y = PairCompression(random_state=0).fit(X[:200], Y[:200]).transform(
    ...     X[200:], Y[200:]
    ... )
    >>> codes_x.shape, codes_y.shape
    ((100, 2), (100, 2))
    >>> bool(np.corrcoef(codes_x[:, 0], codes_y[:, 0])[0, 1] > 0.9)
    True
    """

    coefficients_: tuple[np.ndarray, np.ndarray]
    correlations_: np.ndarray
    kind_: str | float

    def __init__(self, n_components: int = 10, *, random_state: Any = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: ArrayLike, Y: ArrayLike, groups: ArrayLike | None = None) -> PairCompression:
        """Learn the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_x)
        Y : array-like of shape (n_samples, n_features_y)
        groups : array-like of shape (n_samples,), default=None
            Rows of one group stay in one fold.

        Returns
        -------
        self : PairCompression
        """
        self.fit_transform(X, Y, groups)
        return self

    def fit_transform(
        self, X: ArrayLike, Y: ArrayLike, groups: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Learn the codes, and return those of the training rows by directions of other rows.

        Parameters
        ----------
        X, Y, groups : array-like
            As in ``fit``.

        Returns
        -------
        codes_x, codes_y : ndarray of shape (n_samples, k)
            Of variance 1.
        """
        tables = self._checked(X, Y)
        self._widths = [table.shape[1] for table in tables]
        k = positive_integer("n_components", self.n_components)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._sides = tuple(Factors(table, seed) for table in tables)
        learned = self._cross_fitted(k, groups, seed)
        found = {kind: _correlations(*_fold_codes(parts)) for kind, parts in learned.items()}
        self.kind_ = _chosen(found, len(tables[0]))
        r = found[self.kind_]
        kept = np.flatnonzero(r > CLEAR_CORRELATION / math.sqrt(len(tables[0])))
        kept = kept if len(kept) else np.array([r.argmax()])
        own = [side.components for side in self._sides]
        pairs = _pairs_of_directions(own[0], own[1], self.kind_, k, seed)
        A = [pair[:, kept] for pair in pairs]
        whole = [side.scores @ a for side, a in zip(own, A, strict=True)]
        codes = _fold_codes([part.turned(kept, whole) for part in learned[self.kind_]])
        self.correlations_ = _correlations(*codes)
        scales = [np.where(Z.std(0) > 0, Z.std(0), 1.0) for Z in codes]
        self.coefficients_ = tuple(  # type: ignore[assignment]
            side.coefficients(a) / scale
            for side, a, scale in zip(self._sides, A, scales, strict=True)
        )
        first, second = (Z / scale for Z, scale in zip(codes, scales, strict=True))
        return first, second

    def transform(
        self, X: ArrayLike, Y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the codes of new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_x)
        Y : array-like of shape (n_samples, n_features_y)

        Returns
        -------
        codes_x, codes_y : ndarray of shape (n_samples, k)
            Of variance near 1.
        """
        check_is_fitted(self)
        tables = self._checked(X, Y)
        for name, table, width in zip(("X", "Y"), tables, self._widths, strict=True):
            if table.shape[1] != width:
                raise ValueError(
                    f"{name} has {table.shape[1]} columns; expected {width}, as in fit."
                )
        parts = zip(self._sides, tables, self.coefficients_, strict=True)
        first, second = (side.project(table, own) for side, table, own in parts)
        return first, second

    def _checked(self, X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray]:
        first, second = check_codes("X", X), check_codes("Y", Y)
        check_consistent_length(first, second)
        return first, second

    def _cross_fitted(self, k: int, groups: Any, seed: int) -> dict[str | float, list[_Part]]:
        """Return the codes of each fold by directions of the others, for each kind of them."""
        widths = [side.components.n_columns for side in self._sides]
        features = [side.features for side in self._sides]
        n = len(features[0])
        kinds: list[str | float] = ["factors", *RIDGES]
        if 4 * sum(widths) <= n:
            kinds.append("all")
        learned: dict[str | float, list[_Part]] = {kind: [] for kind in kinds}
        for train, test in _folds(n, groups, seed):
            sides = [
                Components(F[train], width, seed) for F, width in zip(features, widths, strict=True)
            ]
            for kind in kinds:
                pairs = _pairs_of_directions(sides[0], sides[1], kind, k, seed)
                codes = [
                    (F - side.mean) @ side.directions(A)
                    for F, side, A in zip(features, sides, pairs, strict=True)
                ]
                learned[kind].append(_Part(train, test, codes))
        return learned


@dataclass(frozen=True)
class _Part:
    """The codes of all rows, of shape (n, k) for either table, by directions of training rows."""

    train: np.ndarray
    test: np.ndarray
    codes: list[np.ndarray]

    def turned(self, kept: np.ndarray, whole: list[np.ndarray]) -> _Part:
        """Return some codes, both tables turned alike to resemble others on the training rows."""
        codes = [Z[:, kept] for Z in self.codes]
        both = zip(codes, whole, strict=True)
        left, _, right = np.linalg.svd(sum(Z[self.train].T @ W[self.train] for Z, W in both))
        return _Part(self.train, self.test, [Z @ (left @ right) for Z in codes])


def _fold_codes(parts: list[_Part]) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row its codes by directions of the other folds."""
    order = np.argsort(np.concatenate([part.test for part in parts]))
    first, second = (np.concatenate([p.codes[a][p.test] for p in parts])[order] for a in (0, 1))
    return first, second


def _folds(n: int, groups: Any, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield training and test rows, each group on one side."""
    codes = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(codes.max() + 1)[codes] % INNER_FOLDS
    for k in range(INNER_FOLDS):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def _correlations(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the correlation of each column with its partner, 0 if either is constant."""
    U, V = U - U.mean(0), V - V.mean(0)
    size = np.linalg.norm(U, axis=0) * np.linalg.norm(V, axis=0)
    return (U * V).sum(0) / np.where(size > 0, size, 1.0)


def _chosen(found: dict[str | float, np.ndarray], n: int) -> str | float:
    """Return the kind of directions that tells most, the factors if they tell about as much."""
    information = {}
    for kind, r in found.items():
        clear = np.where(r > CLEAR_CORRELATION / math.sqrt(n), np.minimum(r, 1 - 1e-9), 0.0)
        information[kind] = float(-0.5 * np.log1p(-(clear**2)).sum())
    best = max(information, key=information.__getitem__)
    if not information[best]:
        return max(found, key=lambda kind: found[kind].max())
    return best if information[best] > CLEAR_GAIN * information["factors"] else "factors"
