r"""Conditional mutual information.

.. math:: I(X; Y | Z) = E \log \frac{p(x, y | z)}{p(x | z) p(y | z)}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.spatial import KDTree
from scipy.special import digamma
from scipy.stats import ncx2, norm

from sklearn_mi.information.atoms import Coded, combine
from sklearn_mi.information.conditional_test import permuted_surplus
from sklearn_mi.information.folds import fold_of_rows, one_a_group
from sklearn_mi.information.given import (
    SETTLED,
    Side,
    cells_of,
    check_rows,
    dense,
    few_values,
    innovations,
    new_columns,
    rows_of,
    side_of,
    sums_of,
)
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.inference import standard_error
from sklearn_mi.information.neighbors import few_columns_guess

__all__ = ["conditional_guess"]

EXACT = 1 - 1e-6  # a correlation that no noise is left in
FAR = 1e6  # between labels, as a distance of normal scores
FEW_COLUMNS = 4
LOST_ALREADY = 2.0  # times what doubling the number of neighbours loses
N_FOLDS = 5
NEIGHBORS = 4
NULL_TABLES = 199
OFTEN = 10  # rows of each cell, on average
RARE = 5  # expected rows of a cell
REFUTED = 0.002
SMALLEST_STRATUM = 30
UNRESOLVED = 0.1  # nats that twice as many neighbours lose
WIDER = 1.25  # the local values of neighbours are not independent


def _chi_square_interval(
    value: float, stderr: float, n: float, terms: float, variance: float, confidence: float
) -> tuple[float, float]:
    r"""Return the interval of an information whose plug-in has a bias of ``terms`` / 2n.

    Twice n times the plug-in is about c times noncentral chi-square, with ``terms`` / c degrees of
    freedom and a noncentrality of 2nI / c: c is 1 near independence, and matches the ``variance``
    of the log-ratio far from it.
    """
    if value > 8 * stderr:
        half = stderr * float(norm.ppf(0.5 + confidence / 2))
        return value - half, value + half
    terms = max(terms, 1.0)
    seen = max(2 * n * value + terms, 1e-9)
    c = max(variance / max(seen / n, 1e-12), 0.05)

    def at(information: float, level: float) -> float:
        return float(ncx2.cdf(seen / c, terms / c, 2 * n * information / c)) - level

    top = max(value, 0) + 20 * stderr + 20 / n
    ends = [0.0, 0.0]
    for i, level in enumerate((0.5 + confidence / 2, 0.5 - confidence / 2)):
        if at(0, level) > 0:
            ends[i] = float(brentq(at, 0, top, args=(level,)))  # pyright: ignore
    return ends[0], max(ends[1], _least_width(n, confidence))


def _least_width(n: float, confidence: float) -> float:
    """Return the upper end where no dependence at all is seen."""
    return -math.log(1 - confidence) / n


def _independent_rows(local: np.ndarray, groups: np.ndarray | None) -> float:
    """Return the number of independent rows that would give a mean the same standard error."""
    if groups is None or local.std() == 0:
        return float(len(local))
    inflation = standard_error(local, groups) / standard_error(local, None)
    return len(local) / max(inflation, 1.0) ** 2


def _tabular_guess(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, confidence: float, groups: np.ndarray | None
) -> Guess:
    """Return the plug-in of labels with Miller-Madow's correction.

    Near independence, where rare cells spoil it, the mean over permuted rows is subtracted.
    """
    cells = [cells_of(x, y, z), cells_of(x, z), cells_of(y, z), z]
    counts = [np.bincount(cell) for cell in cells]
    xyz, xz, yz, alone = (np.log(c[cell]) for c, cell in zip(counts, cells, strict=True))
    local = xyz + alone - xz - yz
    kinds = [int(np.count_nonzero(c)) for c in counts]
    terms = float(kinds[0] - kinds[1] - kinds[2] + kinds[3])
    n, variance, seen = _independent_rows(local, groups), float(local.var()), float(local.mean())
    # Entropies at their maximum have no variance of first order.
    stderr = math.sqrt(variance / n + kinds[0] / (2 * n**2))
    if np.exp(xz + yz - alone).min() < RARE and seen - terms / (2 * n) < 4 * stderr:
        own, permuted = permuted_surplus(x, y, z, np.random.default_rng(0), NULL_TABLES)
        terms = 2 * (len(x) * seen - own + float(permuted.mean()))
    value = seen - terms / (2 * n)
    # Few rows miss the variance of rare cells; near independence it is twice the information.
    variance = max(variance, 2 * seen)
    interval = _chi_square_interval(value, stderr, n, terms, variance, confidence)
    return Guess(value, stderr, interval, "plug-in given Z, Miller-Madow's correction (in-sample)")


def _canonical(U: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return canonical variates of unit variance, and their correlations."""
    first, second = (np.linalg.qr(A - A.mean(0))[0] for A in (U, V))
    left, r, right = np.linalg.svd(first.T @ second, full_matrices=False)
    root = math.sqrt(len(U))
    return first @ left * root, second @ right.T * root, np.minimum(r, 1 - 1e-9)


def _gaussian_guess(
    U: np.ndarray, V: np.ndarray, freedom: int, confidence: float, groups: np.ndarray | None
) -> Guess:
    """Return the information of Gaussian columns, without its bias at ``freedom`` rows."""
    p, q = U.shape[1], V.shape[1]
    a, b, r = _canonical(U, V)
    share = _independent_rows((a * b).sum(1), groups) / len(U)
    freedom = max(int(freedom * share), p + q + 1)
    halves = digamma((freedom - np.arange(p + q)) / 2)
    bias = float(halves[:p].sum() + halves[:q].sum() - halves.sum()) / 2
    n, variance = p * q / (2 * bias), float((r**2).sum())
    value = float(-np.log1p(-(r**2)).sum() / 2) - bias
    stderr = math.sqrt(variance / n + p * q / (2 * n**2))
    interval = _chi_square_interval(value, stderr, n, p * q, variance, confidence)
    how = "gaussian copula given Z (in-sample)"
    if r.max() > EXACT:
        return Guess(value, stderr, (interval[0], math.inf), how, at_least=True)
    return Guess(value, stderr, interval, how)


def _neighbors_local(
    U: np.ndarray, V: np.ndarray, W: np.ndarray, labels: np.ndarray, k: int
) -> np.ndarray:
    r"""Return one value for each row; their mean is I(X; Y | Z) by nearest neighbours.

    .. math:: \psi(k) - \psi(n_{xz} + 1) - \psi(n_{yz} + 1) + \psi(n_z + 1)

    Rows with other labels are far away, so the k-th neighbour has the labels of the row; a row with
    fewer neighbours of its labels takes the farthest of them.
    """
    x, y, z = FAR * labels[:, :, None]
    joint = np.hstack([U, V, W, x, y, z])
    cell = combine(labels)
    near = np.minimum(k, np.bincount(cell)[cell] - 1)
    distances = KDTree(joint).query(joint, k + 1, p=np.inf)[0]
    radius = np.nextafter(distances[np.arange(len(near)), near], 0)
    spaces = [np.hstack(parts) for parts in ([U, W, x, z], [V, W, y, z], [W, z])]
    xz, yz, alone = (
        digamma(KDTree(A).query_ball_point(A, radius, p=np.inf, return_length=True)) for A in spaces
    )
    return np.where(near > 0, digamma(np.maximum(near, 1)) + alone - xz - yz, 0.0)


def _neighbors_guess(
    sides: tuple[np.ndarray, ...],
    labels: np.ndarray,
    rng: np.random.Generator,
    confidence: float,
    groups: np.ndarray | None,
) -> Guess:
    """Return the guess by neighbours, at zero distance by extrapolation, from a row a group."""
    rows = one_a_group(np.arange(labels.shape[1]), groups, rng)
    n, (U, V, W) = len(rows), (side[rows] for side in sides)
    local, wider = (
        _neighbors_local(U, V, W, labels[:, rows], min(k, n - 1))
        for k in (NEIGHBORS, 2 * NEIGHBORS)
    )
    plain, drop = float(local.mean()), local - wider
    lost, doubt = max(float(drop.mean()), 0.0), WIDER * standard_error(drop, None)
    trusted = lost * max(0.0, 1 - (doubt / lost) ** 2) if lost > 0 else 0.0
    value, most = (plain + LOST_ALREADY * each for each in (trusted, lost))
    stderr = math.hypot(WIDER * standard_error(local, None), lost)
    half = stderr * float(norm.ppf(0.5 + confidence / 2))
    low, high = max(value - half, 0.0), max(most + half, _least_width(n, confidence))
    how = "nearest neighbours given Z (in-sample)"
    if lost > UNRESOLVED:
        return Guess(value, stderr, (low, math.inf), how, at_least=True)
    return Guess(value, stderr, (low, high), how)


def _misfit(U: np.ndarray, V: np.ndarray, Z: Side, groups: np.ndarray | None) -> float:
    """Return the p-value of a Gaussian copula that is the same for every Z."""
    first, second, r = _canonical(U, V)
    rest = (second - r * first) / np.sqrt(1 - r**2)
    weights = np.hstack([Z.scores, Z.scores**2, Z.columns[:, Z.scores.shape[1] :]])
    weights = weights - weights.mean(0)
    shape, varying = [], []
    for a, e in zip(first.T, rest.T, strict=True):
        shape += _moments(a, e)
        varying += [*(weights * (a * e)[:, None]).T, *(weights * (e**2 - 1)[:, None]).T]
    # Columns that do not correlate have canonical variates of no meaning.
    for u, v in product(U.T, V.T) if U.shape[1] * V.shape[1] > 1 else ():
        a, b, rho = _canonical(u[:, None], v[:, None])
        shape += _moments(a[:, 0], ((b - rho * a) / np.sqrt(1 - rho**2))[:, 0])
    return min(_smallest_p(np.array(part), groups) for part in (shape, varying))


def _moments(a: np.ndarray, e: np.ndarray) -> list[np.ndarray]:
    """Return products with mean 0 if a and e are independent and normal."""
    square_a, square_e = a**2 - 1, e**2 - 1
    thirds = [(a**3 - 3 * a) * e, a * (e**3 - 3 * e)]
    return [square_a * e, a * square_e, square_a * square_e, *thirds]


def _smallest_p(moments: np.ndarray, groups: np.ndarray | None) -> float:
    """Return Bonferroni's p-value that all means are 0."""
    if len(moments) == 0:
        return 1.0
    sums = sums_of(moments.T, groups)
    spread = np.maximum(np.sqrt(((sums - sums.mean(0)) ** 2).sum(0)), 1e-12)
    largest = float((np.abs(sums.sum(0)) / spread).max())
    return min(1.0, 2 * len(moments) * float(norm.sf(largest)))


def conditional_guess(
    x: Coded,
    y: Coded,
    z: Coded,
    *,
    confidence: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> Guess | None:
    r"""Return a best guess of the information that X and Y share given Z.

    The first that applies:

    - the plug-in with Miller-Madow's correction, if all sides are tables of few cells;
    - the weighted mean over the labels of Z of the guess within each, if each has 30 rows;
    - the Gaussian copula of what Z does not predict, if tests find no fault in it:
      :math:`-\frac12 \sum_k \log(1 - \rho_k^2)` over partial canonical correlations;
    - nearest neighbours, if at most four columns are numbers.

    The number is neither a lower nor an upper bound. None is left for more columns where the copula
    is refuted or X or Y has labels, for labels that few rows share, and for more columns than half
    of the rows.

    Parameters
    ----------
    x, y, z : Coded
        Tables with the same number of rows, without missing values.
    confidence : float
    seed : int
    groups : ndarray of shape (n_samples,), default=None
        Rows of one group may depend on one another.

    Returns
    -------
    guess : Guess or None
        In nats.

    Raises
    ------
    ValueError
        If the tables have different numbers of rows.

    References
    ----------
    Partial Mutual Information for Coupling Analysis of Multivariate Time Series (Frenzel & Pompe,
    2007), https://doi.org/10.1103/PhysRevLett.99.204101

    Examples
    --------
    Each of two bits says nothing of their sum modulo 2, and all of it once the other is known:

    >>> import numpy as np
    >>> from sklearn_mi.information.atoms import Coded
    >>> a, b = np.random.default_rng(0).integers(0, 2, (2, 400, 1))
    >>> x, y, z = (Coded(bit.astype(float), np.array([True])) for bit in (a, a ^ b, b))
    >>> print(f"{conditional_guess(x, y, z, confidence=0.95, seed=0).value:.2f}")
    0.69
    """
    check_rows(x, y, z)
    guess = _guess(x, y, z, seed, {"confidence": confidence, "groups": dense(groups)})
    return guess and replace(guess, value=max(guess.value, 0.0))


def _guess(x: Coded, y: Coded, z: Coded, seed: int, how: dict[str, Any]) -> Guess | None:
    """Return the guess of one way, not cut at 0, so that a mean over strata has no bias."""
    rng = np.random.default_rng(seed)
    x, y = new_columns(x, z), new_columns(y, z)
    X, Y, Z = (side_of(table, rng) for table in (x, y, z))
    if 0 in (X.width, Y.width):
        return Guess(0.0, 0.0, (0.0, _least_width(len(z), how["confidence"])), SETTLED)
    labels = X.labels, Y.labels, Z.labels
    if max(X.n_labels, Y.n_labels) * OFTEN > len(z):
        return None
    if X.is_table and Y.is_table and Z.is_table and _are_seen_often(*labels):
        return _tabular_guess(*labels, **how)
    if Z.n_labels > 1 and np.bincount(Z.labels).min() >= SMALLEST_STRATUM:
        return _strata_guess(x, y, z, Z.labels, seed, how)
    few = X.scores.shape[1] + Y.scores.shape[1] + Z.scores.shape[1] <= FEW_COLUMNS
    # Without Z the module of neighbours knows more kinds of columns.
    local = partial(few_columns_guess, x, y, seed=seed) if Z.width == 0 else None
    return _smooth_guess(X, Y, Z, few, local, rng, how)


def _are_seen_often(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> bool:
    """Return whether the cells within strata of Z are few beside the rows."""
    cells = np.bincount(cells_of(x, z)), np.bincount(cells_of(y, z))
    return OFTEN / 2 * max(map(len, cells)) <= len(x)


def _smooth_guess(
    X: Side,
    Y: Side,
    Z: Side,
    few: bool,
    unconditional: Callable[..., Guess] | None,
    rng: np.random.Generator,
    how: dict[str, Any],
) -> Guess | None:
    """Return the guess from what Z does not predict of the scores."""
    seed = int(rng.integers(2**31))
    fold_of = fold_of_rows(len(X.labels), how["groups"], N_FOLDS, seed)
    (U, linear_x), (V, linear_y) = (innovations(A, Z, fold_of, seed, rng) for A in (X, Y))
    labels = np.stack([X.labels, Y.labels, Z.labels])
    near = unconditional or partial(_neighbors_guess, (U, V, Z.scores), labels, rng)
    local = near(**how) if few else None
    if X.n_labels > 1 or Y.n_labels > 1:
        return local
    used = 1 + (Z.width if linear_x or linear_y else 0)
    if U.shape[1] + V.shape[1] + used > len(U) / 2:
        return None
    gaussian = _gaussian_guess(U, V, len(U) - used, **how)
    if _misfit(U, V, Z, how["groups"]) > REFUTED and not (local and _is_above(local, gaussian)):
        return gaussian
    return local


def _is_above(local: Guess, gaussian: Guess) -> bool:
    return local.value - 3 * local.stderr > gaussian.value


def _strata_guess(
    x: Coded, y: Coded, z: Coded, stratum: np.ndarray, seed: int, how: dict[str, Any]
) -> Guess | None:
    """Return the mean over strata of the guess within each."""
    numeric, guesses = ~few_values(z), []
    for k in range(stratum.max() + 1):
        rows = stratum == k
        tables = rows_of(x, rows), rows_of(y, rows), rows_of(z, rows, numeric)
        guess = _guess(*tables, seed + k, {**how, "groups": dense(how["groups"], rows)})
        if guess is None:
            return None
        guesses.append(guess)
    share = np.bincount(stratum) / len(stratum)
    return _mean_guess(guesses, share, len(stratum), how["confidence"])


def _mean_guess(guesses: list[Guess], share: np.ndarray, n: int, confidence: float) -> Guess:
    """Return the weighted mean; squared distances to the ends of the intervals add up.

    The interval is that of Zou & Donner (2008) for a sum, with the spread between strata added.
    """
    values = np.array([guess.value for guess in guesses])
    ends = np.array([guess.interval for guess in guesses])
    errors = np.array([guess.stderr for guess in guesses])
    value = float(share @ values)
    between = float(share @ (values - value) ** 2) / n
    z = float(norm.ppf(0.5 + confidence / 2))
    # An end cut at 0 is nearer than the error reaches.
    below = np.where(ends[:, 0] <= 0, np.maximum(values - ends[:, 0], z * errors), 0)
    below = np.maximum(below, values - ends[:, 0])
    above = ends[:, 1] - values
    low, high = (math.sqrt(share**2 @ distance**2 + z**2 * between) for distance in (below, above))
    hows = " and ".join(sorted({guess.how for guess in guesses}))
    return Guess(
        value,
        math.sqrt(share**2 @ errors**2 + between),
        (max(value - low, 0.0), max(value + high, _least_width(n, confidence))),
        f"mean over the labels of Z: {hows}",
        any(guess.at_least for guess in guesses),
        tuple(dict.fromkeys(text for guess in guesses for text in guess.warnings)),
    )
