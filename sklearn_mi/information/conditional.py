r"""Conditional mutual information, and a test of conditional independence.

.. math:: I(X; Y | Z) = E \log \frac{p(x, y | z)}{p(x | z) p(y | z)}

An invertible map of X that depends on Z leaves this number unchanged, and so does one of Y. So each
column of numbers is replaced by what Z does not predict of it, which makes the rest easier.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.spatial import KDTree
from scipy.special import digamma
from scipy.stats import ncx2, norm, random_table
from scipy.stats import t as student_t
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.preprocessing import SplineTransformer

from sklearn_mi.information.atoms import Coded, break_ties, combine
from sklearn_mi.information.folds import fold_of_rows, one_a_group
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.inference import standard_error
from sklearn_mi.information.neighbors import few_columns_guess

__all__ = ["conditional_guess", "conditional_test"]

ALPHAS = np.logspace(-3, 5, 9)
EXACT = 1 - 1e-6  # a correlation that no noise is left in
FAR = 1e6  # between labels, as a distance of normal scores
FEW_COLUMNS = 4
FEW_VALUES = 10
LANDMARKS = 60
FITTED_ROWS = 10_000
LOST_ALREADY = 2.0  # times what doubling the number of neighbours loses
MOST_INDICATORS = 50
NEAR_NORMAL = 0.99
N_FOLDS = 5
NEIGHBORS = 4
OFTEN = 10  # rows of each cell, on average
PERMUTATIONS = 499
PERMUTED_ROWS = 5000
REFUTED = 0.002
SETTLED = "one side is constant, or all of its columns are in Z"
SMALLEST_STRATUM = 30
UNRESOLVED = 0.1  # nats that twice as many neighbours lose
WIDER = 1.25  # the local values of neighbours are not independent


# Sides


@dataclass(frozen=True)
class _Side:
    """A table as normal scores without ties, and one label for its columns of few values."""

    scores: np.ndarray
    labels: np.ndarray

    @property
    def n_labels(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def is_table(self) -> bool:
        return self.scores.shape[1] == 0 and self.n_labels * OFTEN <= len(self.labels)

    @property
    def width(self) -> int:
        return self.scores.shape[1] + min(self.n_labels - 1, MOST_INDICATORS)

    @property
    def columns(self) -> np.ndarray:
        """Scores beside an indicator for each frequent label but the first."""
        frequent = np.argsort(-np.bincount(self.labels), kind="stable")[1 : MOST_INDICATORS + 1]
        return np.hstack([self.scores, self.labels[:, None] == frequent])


def _side(table: Coded, rng: np.random.Generator) -> _Side:
    few = _few_values(table)
    labels = combine(table.values[:, few].T)
    if (labels.max() + 1) * OFTEN > len(labels):
        few = table.nominal
        labels = combine(table.values[:, few].T)
    return _Side(_scores(table.values[:, ~few], rng), labels)


def _few_values(table: Coded) -> np.ndarray:
    most = min(FEW_VALUES, len(table.values) // OFTEN)
    return np.array(
        [
            is_class or len(np.unique(column)) <= max(most, 1)
            for column, is_class in zip(table.values.T, table.nominal, strict=True)
        ],
        bool,
    )


def _scores(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return normal scores, ties broken at random; columns near normal keep their shape.

    Ranks carry noise of their own, which counts where Z or a partner nearly determines a column.
    """
    scores = np.empty(values.shape)
    for j, column in enumerate(values.T):
        scores[:, j] = break_ties(column, rng)
        spread = column.std()
        if spread > 0 and np.corrcoef(column, scores[:, j])[0, 1] > NEAR_NORMAL:
            scores[:, j] = (column - column.mean()) / spread
    return scores


def _cells(*labels: np.ndarray) -> np.ndarray:
    return combine(np.stack(labels))


def _dense(groups: np.ndarray | None, rows: Any = slice(None)) -> np.ndarray | None:
    """Return the groups of some rows as integers without gaps."""
    return None if groups is None else np.unique(groups[rows], return_inverse=True)[1]


def _new_columns(table: Coded, given: Coded) -> Coded:
    """Leave out the columns that Z holds, up to an increasing or decreasing map."""
    known, own = (
        [np.unique(column, return_inverse=True)[1] for column in side.values.T]
        for side in (given, table)
    )
    known += [ranks.max() - ranks for ranks in known]
    new = [not any(np.array_equal(column, other) for other in known) for column in own]
    return replace(table, values=table.values[:, new], nominal=table.nominal[new])


def _rows(table: Coded, rows: np.ndarray, columns: np.ndarray | slice = slice(None)) -> Coded:
    values = table.values[rows][:, columns]
    return replace(table, values=values, nominal=table.nominal[columns])


# What Z predicts


def _is_narrow(A: np.ndarray) -> bool:
    """Return whether least squares has rows enough."""
    return 5 * A.shape[1] < len(A)


class _Regression:
    """Least squares, and a ridge regression of the rest on curves and a surface."""

    def __init__(self, n_scores: int, seed: int) -> None:
        self.n_scores, self.seed = n_scores, seed

    def fit(self, A: np.ndarray, T: np.ndarray) -> _Regression:
        step = max(1, len(A) // FITTED_ROWS)
        A, T = A[::step], T[::step]
        n, width = A.shape
        self.linear = (LinearRegression() if _is_narrow(A) else RidgeCV(ALPHAS)).fit(A, T)
        self.surface = Nystroem(
            gamma=1 / width, n_components=min(LANDMARKS, n), random_state=self.seed
        ).fit(A)
        self.curves = SplineTransformer(6, include_bias=False)
        if self.n_scores:
            self.curves.fit(A[:, : self.n_scores])
        self.rest = RidgeCV(ALPHAS, alpha_per_target=True)
        self.rest.fit(self._features(A), T - self.linear.predict(A).reshape(T.shape))
        return self

    def _features(self, A: np.ndarray) -> np.ndarray:
        surface = self.surface.transform(A)
        if not self.n_scores:
            return surface
        return np.hstack([surface, self.curves.transform(A[:, : self.n_scores])])

    def predict(self, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the linear prediction and the whole one."""
        linear = self.linear.predict(A).reshape(len(A), -1)
        return linear, linear + self.rest.predict(self._features(A)).reshape(linear.shape)


def _held_out(T: np.ndarray, Z: _Side, fold_of: np.ndarray, seed: int) -> tuple[Any, Any]:
    """Return the linear and the smooth prediction of each column from the other folds."""
    linear, smooth = np.empty(T.shape), np.empty(T.shape)
    for k in range(fold_of.max() + 1):
        out = fold_of == k
        fitted = _Regression(Z.scores.shape[1], seed).fit(Z.columns[~out], T[~out])
        linear[out], smooth[out] = fitted.predict(Z.columns[out])
    return linear, smooth


def _is_nearer(T: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return for which columns ``first`` is nearer to T by more than the standard error."""
    gain = (T - second) ** 2 - (T - first) ** 2
    return gain.mean(0) > gain.std(0) / math.sqrt(len(T))


def _mean_given(
    T: np.ndarray, Z: _Side, fold_of: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column given Z, and which columns of it are linear.

    A linear mean is fitted to all rows, as for partial correlations; a smooth one is held out.
    """
    A = Z.columns
    if A.shape[1] == 0:
        return np.broadcast_to(T.mean(0), T.shape), np.ones(T.shape[1], bool)
    linear, smooth = _held_out(T, Z, fold_of, seed)
    curved = _is_nearer(T, smooth, linear)
    if _is_narrow(A):
        linear = LinearRegression().fit(A, T).predict(A)
    return np.where(curved, smooth, linear), ~curved


def _log_scale_given(T: np.ndarray, Z: _Side, fold_of: np.ndarray, seed: int) -> np.ndarray:
    """Return the logarithm of the spread of each column given Z, 0 if it does not depend on Z."""
    if Z.width == 0:
        return np.zeros(T.shape)
    squares = T**2
    logs = np.log(squares + 1e-4 * squares.mean(0) + 1e-300)
    smooth = _held_out(logs, Z, fold_of, seed)[1]
    constant = np.broadcast_to(logs.mean(0), T.shape)
    return np.where(_is_nearer(logs, smooth, constant), smooth / 2, 0.0)


def _innovations(
    side: _Side, Z: _Side, fold_of: np.ndarray, seed: int, rng: np.random.Generator
) -> tuple[np.ndarray, bool]:
    """Return normal scores of what Z predicts neither in location nor in scale, and if linear."""
    if side.scores.shape[1] == 0:
        return side.scores, False
    mean, linear = _mean_given(side.scores, Z, fold_of, seed)
    rest = side.scores - mean
    rest = rest * np.exp(-_log_scale_given(rest, Z, fold_of, seed))
    return _scores(rest, rng), bool(linear.any())


# Numbers


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
    """Return the plug-in of labels with Miller-Madow's correction."""
    cells = [_cells(x, y, z), _cells(x, z), _cells(y, z), z]
    counts = [np.bincount(cell) for cell in cells]
    xyz, xz, yz, alone = (np.log(c[cell]) for c, cell in zip(counts, cells, strict=True))
    local = xyz + alone - xz - yz
    kinds = [int(np.count_nonzero(c)) for c in counts]
    terms = float(kinds[0] - kinds[1] - kinds[2] + kinds[3])
    n, variance = _independent_rows(local, groups), float(local.var())
    value = float(local.mean()) - terms / (2 * n)
    # Entropies at their maximum have no variance of first order.
    stderr = math.sqrt(variance / n + kinds[0] / (2 * n**2))
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


def _misfit(U: np.ndarray, V: np.ndarray, Z: _Side, groups: np.ndarray | None) -> float:
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
    sums = _sums(moments.T, groups)
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
    _check_rows(x, y, z)
    guess = _guess(x, y, z, seed, {"confidence": confidence, "groups": _dense(groups)})
    return guess and replace(guess, value=max(guess.value, 0.0))


def _check_rows(x: Coded, y: Coded, z: Coded) -> None:
    if not len(x) == len(y) == len(z):
        raise ValueError(
            f"X, Y and Z have {len(x)}, {len(y)} and {len(z)} rows; expected the same number."
        )


def _guess(x: Coded, y: Coded, z: Coded, seed: int, how: dict[str, Any]) -> Guess | None:
    """Return the guess of one way, not cut at 0, so that a mean over strata has no bias."""
    rng = np.random.default_rng(seed)
    x, y = _new_columns(x, z), _new_columns(y, z)
    X, Y, Z = (_side(table, rng) for table in (x, y, z))
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
    cells = np.bincount(_cells(x, z)), np.bincount(_cells(y, z))
    return OFTEN / 2 * max(map(len, cells)) <= len(x)


def _smooth_guess(
    X: _Side,
    Y: _Side,
    Z: _Side,
    few: bool,
    unconditional: Callable[..., Guess] | None,
    rng: np.random.Generator,
    how: dict[str, Any],
) -> Guess | None:
    """Return the guess from what Z does not predict of the scores."""
    seed = int(rng.integers(2**31))
    fold_of = fold_of_rows(len(X.labels), how["groups"], N_FOLDS, seed)
    (U, linear_x), (V, linear_y) = (_innovations(A, Z, fold_of, seed, rng) for A in (X, Y))
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
    numeric, guesses = ~_few_values(z), []
    for k in range(stratum.max() + 1):
        rows = stratum == k
        tables = _rows(x, rows), _rows(y, rows), _rows(z, rows, numeric)
        guess = _guess(*tables, seed + k, {**how, "groups": _dense(how["groups"], rows)})
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


# The test


def conditional_test(
    x: Coded, y: Coded, z: Coded, *, seed: int, groups: np.ndarray | None = None
) -> tuple[float, float, str]:
    r"""Return a p-value, a statistic and the name of a test that X and Y are independent given Z.

    If Z is a table of few labels and rows are independent, partners are permuted within each label,
    so the p-value is exact. Else Bonferroni combines three studentised means of products of
    residuals, all cross-fitted: a generalised covariance measure (weight 1/2), which sees that X
    and Y correlate given Z, and a projected one in each direction (1/4 each), which sees that one
    side predicts the mean or the spread of the other in any way.

    Parameters
    ----------
    x, y, z : Coded
        Tables with the same number of rows, without missing values.
    seed : int
    groups : ndarray of shape (n_samples,), default=None
        Rows of one group may depend on one another.

    Returns
    -------
    p_value, statistic : float
        The statistic is nats for tables, a ratio to its mean under permutation for other columns
        within labels of Z, and the largest studentised covariance else.
    how : str

    Raises
    ------
    ValueError
        If the tables have different numbers of rows.

    References
    ----------
    The Hardness of Conditional Independence Testing and the Generalised Covariance Measure (Shah &
    Peters, 2020), https://arxiv.org/abs/1804.07203; The Projected Covariance Measure for
    Assumption-lean Variable Significance Testing (Lundborg, Kim, Shah & Samworth, 2024),
    https://arxiv.org/abs/2211.02039

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.atoms import Coded
    >>> z, a, b = np.random.default_rng(0).normal(size=(3, 300, 1))
    >>> x, y, z = (Coded(side, np.array([False])) for side in (z + a, z + b, z))
    >>> conditional_test(x, y, z, seed=0)[0] > 0.05
    True
    """
    _check_rows(x, y, z)
    rng = np.random.default_rng(seed)
    x, y = _new_columns(x, z), _new_columns(y, z)
    X, Y, Z = (_side(table, rng) for table in (x, y, z))
    if 0 in (X.width, Y.width):
        return 1.0, 0.0, SETTLED
    if Z.is_table and groups is None:
        if X.is_table and Y.is_table:
            return _permuted_tables(X.labels, Y.labels, Z.labels, rng)
        return _permuted_within(X, Y, Z.labels, rng)
    return _covariance_measures(X, Y, Z, _dense(groups), rng)


def _p_value(own: float, permuted: np.ndarray) -> float:
    return float((1 + np.sum(permuted >= own - 1e-12)) / (1 + len(permuted)))


def _permuted_tables(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, str]:
    """Test by tables with the margins of each label of Z, drawn at random."""
    own, permuted = 0.0, np.zeros(PERMUTATIONS)
    for k in range(z.max() + 1):
        table = np.zeros((x.max() + 1, y.max() + 1), int)
        np.add.at(table, (x[z == k], y[z == k]), 1)
        table = table[table.sum(1) > 0][:, table.sum(0) > 0]
        drawn = random_table(table.sum(1), table.sum(0)).rvs(PERMUTATIONS, random_state=rng)
        own += float(_surplus(table))
        permuted += _surplus(np.asarray(drawn))
    n = len(x)
    how = "plug-in, permuted within each label of Z"
    return _p_value(own, permuted), (own - float(permuted.mean())) / n, how


def _surplus(tables: np.ndarray) -> np.ndarray:
    """Return the sum of n log n over cells, which the information is up to the margins."""
    counts = tables.astype(float)
    return (counts * np.log(np.maximum(counts, 1))).sum((-2, -1))


def _permuted_within(
    X: _Side, Y: _Side, z: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, str]:
    """Test by kernels on both sides: their covariance operator within each label of Z."""
    some = rng.permutation(len(z))[:PERMUTED_ROWS]
    own, permuted = 0.0, np.zeros(PERMUTATIONS)
    for k in range(z.max() + 1):
        rows = some[z[some] == k]
        if len(rows) < 2:
            continue
        first, second = (_kernel_features(side, rows, rng) for side in (X, Y))
        own += _operator(first, second)
        permuted += [_operator(first, rng.permutation(second)) for _ in range(PERMUTATIONS)]
    ratio = own / max(float(permuted.mean()), 1e-300)
    return _p_value(own, permuted), ratio, "kernel covariance, permuted within each label of Z"


def _kernel_features(side: _Side, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    columns = side.columns[rows]
    spread = columns.std(0)
    columns = (columns - columns.mean(0)) / np.where(spread > 0, spread, 1.0)
    width, seed = columns.shape[1], int(rng.integers(2**31))
    surface = Nystroem(gamma=1 / width, n_components=min(20, len(rows)), random_state=seed)
    curved = surface.fit_transform(columns)
    return np.hstack([columns / (2 * width), curved - curved.mean(0)])


def _operator(first: np.ndarray, second: np.ndarray) -> float:
    return float(((first.T @ second) ** 2).sum() / len(first))


def _covariance_measures(
    X: _Side, Y: _Side, Z: _Side, groups: np.ndarray | None, rng: np.random.Generator
) -> tuple[float, float, str]:
    seed, n = int(rng.integers(2**31)), len(X.labels)
    fold_of, halves = (fold_of_rows(n, groups, k, seed + k) for k in (N_FOLDS, 2))
    rests = [side.columns - _mean_given(side.columns, Z, fold_of, seed)[0] for side in (X, Y)]
    linear_p, statistic = _generalised(rests[0], rests[1], Z.width, groups, rng)
    projected = [
        _projected(A, B, rest, Z, halves, groups, seed)
        for A, B, rest in ((X, Y, rests[1]), (Y, X, rests[0]))
    ]
    p = min(2 * linear_p, *(4 * each for each in projected))
    how = "generalised and projected covariance measures, Bonferroni"
    return min(1.0, p), statistic, how


def _sums(products: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the sum over the rows of each group."""
    if groups is None:
        return products
    sums = np.zeros((groups.max() + 1, *products.shape[1:]))
    np.add.at(sums, groups, products)
    return sums


def _generalised(
    first: np.ndarray,
    second: np.ndarray,
    used: int,
    groups: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the p-value of the largest studentised covariance of residuals, and that maximum."""
    n = len(first)
    pairs = (first[:, :, None] * second[:, None, :]).reshape(n, -1)
    sums = _sums(pairs, groups)
    total, centred = sums.sum(0), sums - sums.mean(0)
    spread = np.sqrt((centred**2).sum(0))
    spread = np.where(spread > 1e-9, spread, np.inf)
    # Residuals of least squares are too small by the columns of Z that they were fitted to.
    largest = float(np.abs(total / spread).max()) * math.sqrt(max(1 - used / n, 0.1))
    if pairs.shape[1] == 1:
        return 2 * float(student_t.sf(largest, max(len(sums) - 1 - used, 1))), largest
    drawn = rng.standard_normal((PERMUTATIONS, len(sums))) @ (centred / spread)
    return _p_value(largest, np.abs(drawn).max(1)), largest


def _projected(
    X: _Side,
    Y: _Side,
    rest: np.ndarray,
    Z: _Side,
    halves: np.ndarray,
    groups: np.ndarray | None,
    seed: int,
) -> float:
    """Return the p-value that X adds nothing to the mean or the spread of what Z leaves of Y.

    A prediction is learned on one half and tested on the other; the mean of both z scores has a
    variance of at most 1, whatever their correlation.
    """
    targets = rest / np.maximum(rest.std(0), 1e-12)
    targets = np.hstack([targets, targets[:, : Y.scores.shape[1]] ** 2])
    both = _Side(np.hstack([Z.scores, X.scores]), _cells(Z.labels, X.labels))
    scores = []
    for k in range(2):
        own, new = halves != k, halves == k
        ahead = _Regression(both.scores.shape[1], seed).fit(both.columns[own], targets[own])
        learned = ahead.predict(both.columns)[1]
        inner = fold_of_rows(int(new.sum()), _dense(groups, new), N_FOLDS, seed)
        part = _Side(Z.scores[new], Z.labels[new])
        stacked = np.hstack([learned, targets])[new]
        left = stacked - _mean_given(stacked, part, inner, seed)[0]
        gain, noise = np.split(left, 2, axis=1)
        sums = _sums((gain * noise).sum(1), _dense(groups, new))
        scores.append(sums.sum() / max(math.sqrt(((sums - sums.mean()) ** 2).sum()), 1e-12))
    return float(student_t.sf(np.mean(scores), max(len(sums) - 1, 1)))
