"""A test of conditional independence: by permutation within labels of Z, or by covariances."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import cauchy, random_table
from scipy.stats import t as student_t
from sklearn.kernel_approximation import Nystroem

from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.folds import fold_of_rows
from sklearn_mi.information.given import (
    SETTLED,
    Regression,
    Side,
    cells_of,
    check_rows,
    dense,
    mean_given,
    new_columns,
    side_of,
    sums_of,
)

__all__ = ["conditional_test", "permuted_surplus"]

HIGHEST = 0.99
N_FOLDS = 5
PERMUTATIONS = 499
PERMUTED_ROWS = 5000


def conditional_test(
    x: Coded, y: Coded, z: Coded, *, seed: int, groups: np.ndarray | None = None
) -> tuple[float, float, str]:
    r"""Return a p-value, a statistic and the name of a test that X and Y are independent given Z.

    If Z is a table of few labels and rows are independent, partners are permuted within each label,
    so the p-value is exact. Else it combines three studentised means of products of residuals, all
    cross-fitted: a generalised covariance measure (weight 1/2), which sees that X and Y correlate
    given Z, and a projected one in each direction (1/4 each, half of it for each half of the rows),
    which sees that one side predicts the mean or the spread of the other in any way. The p-values
    are combined by Cauchy's distribution (Liu & Xie, 2020).

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
    https://arxiv.org/abs/2211.02039; Cauchy Combination Test (Liu & Xie, 2020),
    https://doi.org/10.1080/01621459.2018.1554485

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information.atoms import Coded
    >>> z, a, b = np.random.default_rng(0).normal(size=(3, 300, 1))
    >>> x, y, z = (Coded(side, np.array([False])) for side in (z + a, z + b, z))
    >>> conditional_test(x, y, z, seed=0)[0] > 0.05
    True
    """
    check_rows(x, y, z)
    rng = np.random.default_rng(seed)
    x, y = new_columns(x, z), new_columns(y, z)
    X, Y, Z = (side_of(table, rng) for table in (x, y, z))
    if 0 in (X.width, Y.width):
        return 1.0, 0.0, SETTLED
    if Z.is_table and groups is None:
        if X.is_table and Y.is_table:
            return _permuted_tables(X.labels, Y.labels, Z.labels, rng)
        return _permuted_within(X, Y, Z.labels, rng)
    return _covariance_measures(X, Y, Z, dense(groups), rng)


def _p_value(own: float, permuted: np.ndarray) -> float:
    return float((1 + np.sum(permuted >= own - 1e-12)) / (1 + len(permuted)))


def _permuted_tables(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, str]:
    """Test by tables with the margins of each label of Z, drawn at random."""
    own, permuted = permuted_surplus(x, y, z, rng, PERMUTATIONS)
    n = len(x)
    how = "plug-in, permuted within each label of Z"
    return _p_value(own, permuted), (own - float(permuted.mean())) / n, how


def permuted_surplus(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[float, np.ndarray]:
    """Return n times the plug-in, up to the margins, and the same of random tables."""
    own, permuted = 0.0, np.zeros(draws)
    for k in range(z.max() + 1):
        table = np.zeros((x.max() + 1, y.max() + 1), int)
        np.add.at(table, (x[z == k], y[z == k]), 1)
        table = table[table.sum(1) > 0][:, table.sum(0) > 0]
        drawn = random_table(table.sum(1), table.sum(0)).rvs(draws, random_state=rng)
        own += float(_surplus(table))
        permuted += _surplus(np.asarray(drawn))
    return own, permuted


def _surplus(tables: np.ndarray) -> np.ndarray:
    """Return the sum of n log n over cells, which the information is up to the margins."""
    counts = tables.astype(float)
    return (counts * np.log(np.maximum(counts, 1))).sum((-2, -1))


def _permuted_within(
    X: Side, Y: Side, z: np.ndarray, rng: np.random.Generator
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


def _kernel_features(side: Side, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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
    X: Side, Y: Side, Z: Side, groups: np.ndarray | None, rng: np.random.Generator
) -> tuple[float, float, str]:
    seed, n = int(rng.integers(2**31)), len(X.labels)
    fold_of, halves = (fold_of_rows(n, groups, k, seed + k) for k in (N_FOLDS, 2))
    rests = [side.columns - mean_given(side.columns, Z, fold_of, seed)[0] for side in (X, Y)]
    linear_p, statistic = _generalised(rests[0], rests[1], Z.width, groups, rng)
    projected = [
        _projected(A, B, rest, Z, halves, groups, seed)
        for A, B, rest in ((X, Y, rests[1]), (Y, X, rests[0]))
    ]
    p_values = [linear_p, *np.concatenate(projected)]
    shares = [1 / 2, *(1 / 8 for _ in p_values[1:])]
    how = "generalised and projected covariance measures"
    return _combined(p_values, shares), statistic, how


def _combined(p_values: list[float], shares: list[float]) -> float:
    """Return the p-value of their mean as Cauchy variables, which holds if they correlate."""
    # One p-value near 1 must not hide the others.
    within = np.clip(p_values, 1e-300, HIGHEST)
    return float(cauchy.sf(np.dot(shares, 1 / np.tan(math.pi * within))))


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
    sums = sums_of(pairs, groups)
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
    X: Side,
    Y: Side,
    rest: np.ndarray,
    Z: Side,
    halves: np.ndarray,
    groups: np.ndarray | None,
    seed: int,
) -> list[float]:
    """Return two p-values that X adds nothing to the mean or the spread of what Z leaves of Y.

    A prediction is learned on one half and tested on the other, and the other way round.
    """
    targets = rest / np.maximum(rest.std(0), 1e-12)
    targets = np.hstack([targets, targets[:, : Y.scores.shape[1]] ** 2])
    both = Side(np.hstack([Z.scores, X.scores]), cells_of(Z.labels, X.labels))
    p_values = []
    for k in range(2):
        own, new = halves != k, halves == k
        ahead = Regression(both.scores.shape[1], seed).fit(both.columns[own], targets[own])
        learned = ahead.predict(both.columns)[1]
        inner = fold_of_rows(int(new.sum()), dense(groups, new), N_FOLDS, seed)
        part = Side(Z.scores[new], Z.labels[new])
        stacked = np.hstack([learned, targets])[new]
        left = stacked - mean_given(stacked, part, inner, seed)[0]
        gain, noise = np.split(left, 2, axis=1)
        sums = sums_of((gain * noise).sum(1), dense(groups, new))
        score = sums.sum() / max(math.sqrt(((sums - sums.mean()) ** 2).sum()), 1e-12)
        p_values.append(float(student_t.sf(score, max(len(sums) - 1, 1))))
    return p_values
