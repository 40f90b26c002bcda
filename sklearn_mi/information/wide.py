r"""Information between two tables of more columns than rows, under a low-rank model.

Codes of new rows give a number that is too low: their directions are learned from few rows. If each
table is a few latents in white noise, random-matrix theory says how much too low, and the number
can be corrected. Where that model is in doubt, the number of the codes stands, as "at least".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from sklearn_mi.compression import Factors, PairCompression
from sklearn_mi.information.copulas import canonical_correlations
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.inference import standard_error

if TYPE_CHECKING:
    from sklearn_mi.compression import Components

__all__ = ["shared_dimensions", "wide_guess"]

ERROR = 0.02  # of the test of each dimension on new rows, which folds make a little liberal
ERROR_IN_SAMPLE = 0.05
ERROR_LEFT_OVER = 0.001
LARGEST_CORRECTION = 1.3
LARGEST_DISPERSION = 0.05
MOST_DIMENSIONS = 20


def wide_guess(
    X: np.ndarray,
    Y: np.ndarray,
    folds: np.ndarray,
    *,
    confidence: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[Guess, pd.DataFrame]:
    r"""Guess the information of two tables of which at least one is wide.

    Each table has factors, its principal components above the noise. A pair of canonical
    directions with correlation r between the factors has

    .. math:: \rho^2 = \frac{r^2}{(1 - p / (n \ell_x^2))(1 - q / (n \ell_y^2))}, \quad
        I = -\tfrac12 \sum \log(1 - \rho^2)

    in the population, if all else in the p and q columns is white noise and the factors have
    strengths :math:`\ell` over it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features_x)
    Y : ndarray of shape (n_samples, n_features_y)
    folds : ndarray of int of shape (n_samples,)
        The fold of each row.
    confidence : float
    seed : int
    groups : ndarray of int of shape (n_samples,), default=None
        Rows of one group may depend on one another.

    Returns
    -------
    guess : Guess
        "At least" the information of the held-out codes where the model is in doubt: weak factors,
        noise that is not white, or dependence beyond the factors.
    dimensions : DataFrame
        As of `shared_dimensions`.
    """
    U, V = _held_out_codes(X, Y, folds, groups, seed)
    dimensions = _tested(U, V, groups)
    count = int(dimensions["is_shared"].to_numpy().sum())
    model = _low_rank(X, Y, count, seed)
    size = _effective_size(U[:, 0] * V[:, 0], groups)
    z = float(norm.ppf(0.5 + confidence / 2))
    held = _information(canonical_correlations(U[:, :count], V[:, :count]).squared if count else [])
    value, stderr = _information(model.squared), model.stderr(size)
    doubts = tuple(model.doubts(count, held > value + z * stderr))
    if not doubts:
        interval = max(value - z * stderr, 0.0), value + z * stderr + model.unseen
        return Guess(value, stderr, interval, "low-rank copula (in-sample)"), dimensions
    stderr = math.sqrt(np.square(dimensions["correlation"][:count]).sum() / size)
    interval = max(held - z * stderr, 0.0), math.inf
    how = "gaussian copula of compressed columns (held out)"
    return Guess(held, stderr, interval, how, True, doubts), dimensions


def shared_dimensions(
    X: np.ndarray,
    Y: np.ndarray,
    folds: np.ndarray,
    *,
    seed: int,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the canonical correlations of two tables on new rows, and which exceed noise.

    Each is tested given the earlier ones, on rows that its directions were not learned from; in
    tables of few columns also by Bartlett's test of the remaining correlations on all rows. The
    first without a correlation ends the count.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features_x)
    Y : ndarray of shape (n_samples, n_features_y)
    folds : ndarray of int of shape (n_samples,)
        The fold of each row.
    seed : int
    groups : ndarray of int of shape (n_samples,), default=None

    Returns
    -------
    dimensions : DataFrame
        ``correlation``, ``p_value`` and ``is_shared`` by ``dimension``, from 1 on.

    References
    ----------
    Further Aspects of the Theory of Multiple Regression (Bartlett, 1938), Mathematical Proceedings
    of the Cambridge Philosophical Society 34.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.wide import shared_dimensions
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(300, 2))
    >>> X = shared @ rng.normal(size=(2, 500)) + 3 * rng.normal(size=(300, 500))
    >>> Y = shared @ rng.normal(size=(2, 400)) + 3 * rng.normal(size=(300, 400))
    >>> dimensions = shared_dimensions(X, Y, np.arange(300) % 5, seed=0)
    >>> int(dimensions["is_shared"].sum())
    2
    """
    table = _tested(*_held_out_codes(X, Y, folds, groups, seed), groups)
    sides = [Factors(A, seed).components for A in (X, Y)]
    if sides[0].is_narrow and sides[1].is_narrow:
        n = len(X) if groups is None else len(np.unique(groups))
        p = _bartlett(sides[0].scores, sides[1].scores, n)[: len(table)]
        table.loc[table.index[: len(p)], "p_value"] = np.maximum(table["p_value"][: len(p)], p)
        table["is_shared"] &= np.append(p < ERROR_IN_SAMPLE, np.zeros(len(table) - len(p), bool))
        table["is_shared"] = table["is_shared"].cummin()
    return table


def _held_out_codes(
    X: np.ndarray, Y: np.ndarray, folds: np.ndarray, groups: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes (n, k) of each row by a compression of the other folds; unused ones are 0."""
    U, V = np.zeros((2, len(X), min(MOST_DIMENSIONS, X.shape[1], Y.shape[1])))
    for k in np.unique(folds):
        test, train = folds == k, folds != k
        compression = PairCompression(U.shape[1], random_state=seed)
        compression.fit(X[train], Y[train], None if groups is None else groups[train])
        first, second = compression.transform(X[test], Y[test])
        U[test, : first.shape[1]], V[test, : second.shape[1]] = first, second
    return U, V


def _tested(U: np.ndarray, V: np.ndarray, groups: np.ndarray | None) -> pd.DataFrame:
    """Test each pair of codes given the earlier ones, until one shows no correlation."""
    basis, rows, is_open = np.full((len(U), 1), len(U) ** -0.5), [], True
    for u, v in zip(U.T, V.T, strict=True):
        own, other = (a - basis @ (basis.T @ a) for a in (u, v))
        products = own * other
        stderr = standard_error(products, groups)
        p = float(norm.sf(products.mean() / stderr)) if stderr > 0 else 1.0
        is_open = is_open and p < ERROR
        first, second = u - u.mean(), v - v.mean()
        size = max(np.linalg.norm(first) * np.linalg.norm(second), 1e-300)
        r = float(first @ second / size)
        rows.append({"correlation": r, "p_value": p, "is_shared": is_open})
        if stderr > 0:
            basis = np.linalg.qr(np.column_stack([basis, own, other]))[0]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="dimension"))


def _bartlett(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Return the p-value of no correlation from the k-th on, given orthonormal scores."""
    p, q = first.shape[1], second.shape[1]
    r = np.minimum(np.linalg.svd(first.T @ second, compute_uv=False), 1 - 1e-12)
    left = -np.cumsum(np.log1p(-(r[::-1] ** 2)))[::-1]
    k = np.arange(len(r))
    return chi2.sf((n - 1 - (p + q + 1) / 2) * left, (p - k) * (q - k))


@dataclass(frozen=True)
class _LowRank:
    """The factors of two tables and their shared directions.

    Attributes
    ----------
    seen, squared : ndarray of shape (k,)
        Squared correlations between the factors, and in the population by the model.
    dispersion : float
        The larger one of the two tables; 0 for white noise.
    left_over : float
        p-value of a test that no other factor of one table shows in the columns of the other.
    unseen : float
        Information of one more latent that is as strong as it can be without being seen, in nats.
    """

    seen: np.ndarray
    squared: np.ndarray
    dispersion: float
    left_over: float
    unseen: float

    def stderr(self, n: float) -> float:
        """Return the standard error of the information, by the delta method.

        It comes from the correlations and from the strengths, whose relative variance is near
        ``2 * gain**2 / n``.
        """
        gain = self.squared / self.seen
        odds = self.squared / (1 - self.squared)
        of_correlations = (odds * (1 - self.seen)) ** 2 / self.seen
        of_strengths = 2 * (odds * gain * (gain - 1)) ** 2
        return math.sqrt((of_correlations + of_strengths).sum() / n)

    def doubts(self, count: int, is_below: bool) -> Iterator[str]:
        """Yield what speaks against the model."""
        if count and self.dispersion > LARGEST_DISPERSION:
            yield "the columns are correlated beyond a few factors"
        many = len(self.seen) < count or count == MOST_DIMENSIONS
        if many or is_below or self.left_over < ERROR_LEFT_OVER:
            yield "the tables share more than their factors above the noise"
        if (self.squared > LARGEST_CORRECTION * self.seen).any():
            yield "the shared factors are weak for so many columns and so few rows"


def _low_rank(X: np.ndarray, Y: np.ndarray, count: int, seed: int) -> _LowRank:
    """Return the model of two tables with at most ``count`` shared directions."""
    sides = [Factors(table, seed) for table in (X, Y)]
    own = [side.components for side in sides]
    scores = [part.scores[:, : part.n_signals] for part in own]
    dispersion = max(part.dispersion() for part in own)
    unseen = _unseen(len(X), own[0], own[1])
    seen, first, second = _canonical(scores[0], scores[1], count)
    weights = [
        A / np.sqrt(part.reliabilities())[:, None]
        for A, part in zip((first, second), own, strict=True)
    ]
    product = (weights[0] * np.sqrt(seen)) @ weights[1].T
    roots = np.linalg.svd(product, compute_uv=False) if product.size else np.zeros(0)
    squared = np.clip(roots[: len(seen)] ** 2, seen, 1 - 1e-9)
    shared = [S @ A for S, A in zip(scores, (first, second), strict=True)]
    left = min(_left_over(scores[a], shared[a], own[b].F, shared[b]) for a, b in ((0, 1), (1, 0)))
    return _LowRank(seen, squared, dispersion, min(2 * left, 1.0), unseen)


def _canonical(
    first: np.ndarray, second: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return squared canonical correlations of orthonormal scores, and the directions."""
    if not most or not min(first.shape[1], second.shape[1]):
        return np.zeros(0), np.zeros((first.shape[1], 0)), np.zeros((second.shape[1], 0))
    root = math.sqrt(len(first))
    found = canonical_correlations(root * first, root * second)
    return found.squared[:most], found.first[:, :most], found.second[:, :most]


def _left_over(scores: np.ndarray, shared: np.ndarray, F: np.ndarray, other: np.ndarray) -> float:
    """Test the energy of a table's columns along the other table's unshared factors."""
    k = scores.shape[1] - shared.shape[1]
    if not k:
        return 1.0
    alone = np.linalg.svd(scores - shared @ (shared.T @ scores), full_matrices=False)[0][:, :k]
    rest = F - other @ (other.T @ F)
    n = len(F) - 1 - other.shape[1]
    gram = rest @ rest.T if len(F) < F.shape[1] else rest.T @ rest
    total, squares = float(np.trace(gram)), float(np.square(gram, dtype=np.float64).sum())
    energy = float(np.square(alone.T @ rest).sum())
    # A sum of weighted chi-squares, taken for one of equal mean and variance (Satterthwaite, 1946).
    degrees = k * total**2 / max(squares - total**2 / n, 1e-9 * total**2)
    return float(chi2.sf(degrees * energy * n / (k * total), degrees))


def _unseen(n: int, first: Components, second: Components) -> float:
    """Return the information of a latent at the edge of what can be seen."""
    sides, squared = (first, second), 1.0
    has_narrow = any(side.is_narrow for side in sides)
    for side in sides:
        strength = math.sqrt(side.n_columns / n)
        if has_narrow:
            # Columns of a narrow table find more than the wide table's own components do.
            strength = min(strength, 3 * math.sqrt(2 * first.n_columns * second.n_columns) / n)
        squared *= 1.0 if side.is_narrow else strength / (1 + strength)
    if first.is_narrow and second.is_narrow:
        squared = (first.n_columns + second.n_columns) / n
    return -0.5 * math.log1p(-min(squared, 0.9))


def _information(squared: np.ndarray | list[float]) -> float:
    return float(0.5 * -np.log1p(-np.asarray(squared)).sum()) + 0.0


def _effective_size(products: np.ndarray, groups: np.ndarray | None) -> float:
    """Return the number of independent rows that are as good as these."""
    n = len(products)
    if groups is None:
        return n
    alone, grouped = standard_error(products, None), standard_error(products, groups)
    return n / max((grouped / max(alone, 1e-12)) ** 2, 1.0)
