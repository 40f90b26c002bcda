r"""The log-ratio of tables that mix numbers, categories and few tied values, by regressions.

The columns of one table are predicted in turn, from the other table and from those before them:

.. math:: p(y \mid x) = \prod_k p(y_k \mid x, y_1, \dots, y_{k-1})

A category has a multinomial logit; few ordered values have a logit that is linear in statistics of
their scores; a number has a normal distribution of its normal score. With a category and a number a
side, that is the location model (Olkin & Tate, 1961). The log-ratio is :math:`\log p(y \mid x) -
\log p(y)`, where :math:`p(y)` mixes the average of :math:`p(y \mid x)` over training rows with the
same regressions without x. Both are densities, so where the model is wrong the mean over new rows
is too low, up to the error of :math:`p(y)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor

from sklearn_mi.information.atoms import Coded, find_atoms
from sklearn_mi.information.copulas import NormalScores

__all__ = ["Layout", "RegressionRatio"]

AT_ONCE = 200_000
CELLS_OF_MIXTURE = 2_000_000
DOUBT = 0.5
FLAT = 1e-3
LARGEST_PENALTY = 1e6
MIXTURE = (100, 500)
MOST_INDICATORS = 60
MOST_LEVELS = 12
MOST_ORDERED = 40
MOST_ROWS = 5000
ROUNDS = 15
ROWS_PER_VALUE = 5
SMALLEST_LOG = -14.0
SMALLEST_STEP = 1e-3
SMALLEST_SUM = 1e-300
UNKNOWN = -1


@dataclass(frozen=True)
class Layout:
    """Which floats of a row are numbers, and which the indicators of a category.

    Attributes
    ----------
    n_numbers : int
        They come first.
    widths : tuple of int
        Indicators of each category; one if it has two values.
    """

    n_numbers: int
    widths: tuple[int, ...]

    @classmethod
    def of(cls, coded: Coded) -> Layout:
        """Return the layout of the rows that `TableReader` makes of these columns."""
        levels = coded.values[:, coded.nominal].max(0, initial=0).astype(int) + 1
        return cls(int((~coded.nominal).sum()), tuple(1 if n == 2 else int(n) for n in levels))

    def fits(self, rows: np.ndarray) -> bool:
        """Return whether rows are as described, and not too wide for regressions."""
        width = self.n_numbers + sum(self.widths)
        return rows.shape[1:] == (width,) and width <= MOST_INDICATORS

    def columns(self, rows: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        """Return the values of each column, unknown categories as -1, and whether it is nominal."""
        found = [(column, False) for column in rows[:, : self.n_numbers].T]
        start = self.n_numbers
        for width in self.widths:
            block = rows[:, start : start + width]
            known = block.max(1) == 1 if width > 1 else block[:, 0] != 0.5
            code = block.argmax(1) if width > 1 else block[:, 0]
            found.append((np.where(known, code, UNKNOWN).astype(float), True))
            start += width
        return found


class _Column:
    """One column: what it tells others, and the labels and statistics by which it is predicted.

    Attributes
    ----------
    levels : ndarray
        The values that have a label: all of a category or of few ordered values, the atoms of
        numbers. One label more stands for other numbers, or for rare categories.
    is_free : bool
        Whether other values than the levels are numbers.
    statistics : ndarray of shape (n_labels, k)
    kinds : ndarray of shape (k,)
        0 for a linear statistic, 1 for others: either kind has a penalty of its own.
    """

    def __init__(self, values: np.ndarray, nominal: bool) -> None:
        found, counts = np.unique(values, return_counts=True)
        many = len(found) > min(MOST_ORDERED, len(values) / ROWS_PER_VALUE)
        self.nominal, self.is_free = nominal, not nominal and many
        self.levels = found
        if self.is_free:
            self.levels = find_atoms(values)
        elif nominal:
            self.levels = np.sort(found[np.argsort(-counts)[:MOST_LEVELS]])
        labels = self.labels(values)
        if not nominal:
            numbers = values[labels == len(self.levels)] if self.is_free else values
            self._scores = NormalScores().fit(numbers[:, None])
        share = np.bincount(labels, minlength=len(self.levels) + self.is_free) / len(values)
        self.kinds = np.zeros(len(share), dtype=int)
        statistics = np.eye(len(share))
        if not nominal and not self.is_free:
            self._mode = float(found[counts.argmax()])
            statistics, self.kinds = self._polynomials(found)
        self.statistics = statistics - share @ statistics

    def labels(self, values: np.ndarray) -> np.ndarray:
        """Return the label of each value; of few ordered values, that of the nearest."""
        if not len(self.levels):
            return np.zeros(len(values), dtype=int)
        at = np.searchsorted(self.levels, values).clip(max=len(self.levels) - 1)
        if self.nominal or self.is_free:
            return np.where(self.levels[at] == values, at, len(self.levels))
        below = np.maximum(at - 1, 0)
        is_below = np.abs(self.levels[below] - values) < np.abs(self.levels[at] - values)
        return np.where(is_below, below, at)

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Return the normal score of each value."""
        return self._scores.transform(values[:, None])[:, 0]

    def features(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what the column tells others, and the kind of each feature."""
        labels = self.labels(values)
        if not self.is_free:
            known = labels < len(self.statistics)
            return np.where(known[:, None], self.statistics[labels * known], 0.0), self.kinds
        numbers, kinds = self._polynomials(values)
        numbers[labels < len(self.levels)] = 0.0
        flags = self.statistics[labels][:, :-1]
        return np.hstack([numbers, flags]), np.append(kinds, np.ones(flags.shape[1], dtype=int))

    def _polynomials(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the score, its square and, of few values, a flag of the most frequent one."""
        z = self.scores(values)
        parts = [z, (z**2 - 1) / np.sqrt(2)]
        if not self.is_free:
            parts = [*parts, (values == self._mode).astype(float)][: max(len(self.levels) - 1, 1)]
        return np.stack(parts, axis=1), np.array([0, 1, 1])[: len(parts)]


def _features(
    columns: Sequence[_Column], values: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of columns, and a number for each column and kind that they belong to."""
    made = [column.features(v) for column, v in zip(columns, values, strict=True)]
    groups = [2 * j + kinds for j, (_, kinds) in enumerate(made)]
    return np.hstack([features for features, _ in made]), np.concatenate(groups)


def _numbered(groups: np.ndarray) -> np.ndarray:
    return np.unique(groups, return_inverse=True)[1]


def _penalties(
    beta: np.ndarray, inverse: np.ndarray, groups: np.ndarray, old: np.ndarray
) -> np.ndarray:
    r"""Return the penalty of each group of coefficients that has more evidence than the old one.

    .. math:: \lambda_g = \frac{\gamma_g + \sqrt{k_g} / 2}{\lVert \beta_g \rVert^2}, \quad
              \gamma_g = k_g - \lambda_g \operatorname{tr} (H^{-1})_{gg}

    The freedom :math:`\gamma_g` alone would keep half of the groups of noise (MacKay, 1992). The
    second term takes out groups of k coefficients whose chi-square is below about k + 2 sqrt(2 k).
    """
    n_groups = groups.max() + 1
    size = np.bincount(groups, minlength=n_groups)
    freedom = size - old * np.bincount(groups, inverse.diagonal(), n_groups)
    square = np.maximum(np.bincount(groups, beta**2, n_groups), 1e-300)
    new = (np.maximum(freedom, 0) + DOUBT * np.sqrt(size)) / square
    new[0] = FLAT
    return np.clip(new, FLAT, LARGEST_PENALTY)


def _fit_normal(F: np.ndarray, groups: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return coefficients of the mean and of the log-variance of numbers, of shape (2, k)."""
    of_mean, of_spread = np.ones((2, groups.max() + 1))
    of_mean[0] = of_spread[0] = FLAT
    mean, spread = np.zeros((2, F.shape[1]))
    for _ in range(ROUNDS):
        precision = np.exp(-np.maximum(F @ spread, SMALLEST_LOG))
        weighted = F * precision[:, None]
        inverse = np.linalg.inv(weighted.T @ F + np.diag(of_mean[groups]))
        mean = inverse @ (weighted.T @ z)
        of_mean = _penalties(mean, inverse, groups, of_mean)
        # Rows are nearer to a mean that was fitted to them than new rows are.
        lever = np.einsum("ij,jk,ik->i", weighted, inverse, F).clip(max=0.5)
        excess = (z - F @ mean) ** 2 / (1 - lever) * precision - 1
        inverse = np.linalg.inv(F.T @ F / 2 + np.diag(of_spread[groups]))
        step = inverse @ (F.T @ excess / 2 - of_spread[groups] * spread)
        spread = spread + step / max(np.abs(F @ step).max(), 1.0)
        of_spread = _penalties(spread, inverse, groups, of_spread)
    return np.stack([mean, spread])


@dataclass(frozen=True)
class _Logit:
    """Labels whose logits are bilinear in statistics of the label and features of the row."""

    F: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    statistics: np.ndarray

    def coefficients(self, kinds: np.ndarray) -> np.ndarray:
        """Return the coefficients by Newton's method, of shape (n_statistics, k)."""
        groups = np.where(self.groups == 0, 0, 2 * self.groups + kinds[:, None])
        groups = _numbered(groups.ravel())
        beta, penalty = np.zeros(len(groups)), np.ones(groups.max() + 1)
        penalty[0] = FLAT
        for _ in range(ROUNDS):
            gradient, hessian = self._slopes(beta)
            inverse = np.linalg.inv(hessian + np.diag(penalty[groups]))
            step = inverse @ (gradient - penalty[groups] * beta)
            beta = self._advanced(beta, step, penalty[groups])
            penalty = _penalties(beta, inverse, groups, penalty)
            if np.abs(step).max() < SMALLEST_STEP:
                break
        return self._shaped(beta)

    def _shaped(self, beta: np.ndarray) -> np.ndarray:
        return beta.reshape(self.statistics.shape[1], -1)

    def _log_p(self, beta: np.ndarray) -> np.ndarray:
        return log_softmax(self.F @ self._shaped(beta).T @ self.statistics.T, axis=1)

    def _slopes(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and negative Hessian of the log-likelihood."""
        F, T = self.F, self.statistics
        p = np.exp(self._log_p(beta))
        expected = p @ T
        k, f = T.shape[1], F.shape[1]
        hessian = np.empty((k, f, k, f))
        for a in range(k):
            for b in range(a, k):
                covariance = p @ (T[:, a] * T[:, b]) - expected[:, a] * expected[:, b]
                hessian[a, :, b] = hessian[b, :, a] = (F * covariance[:, None]).T @ F
        return ((T[self.labels] - expected).T @ F).ravel(), hessian.reshape(k * f, k * f)

    def _advanced(self, beta: np.ndarray, step: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        """Return the coefficients after a step that is halved until it does not do harm."""
        rows = np.arange(len(self.F)), self.labels

        def loss(at: np.ndarray) -> float:
            return float(0.5 * penalty @ at**2 - self._log_p(at)[rows].sum())

        before = loss(beta)
        for half in range(8):
            after = beta + step / 2**half
            if loss(after) <= before + 1e-9 * abs(before):
                return after
        return beta


def _normal(gap: Any, log_variance: Any) -> Any:
    """Return the log-density of a normal gap, without its constant."""
    log_variance = log_variance.clip(SMALLEST_LOG)
    exp = torch.exp if isinstance(gap, Tensor) else np.exp
    return -0.5 * (gap**2 * exp(-log_variance) + log_variance)


@dataclass
class _Factor:
    """One factor of p(y | x): the label of a column, or its number where it has no label.

    Attributes
    ----------
    k : int
        Position of the column.
    column : _Column
    of_label : bool
    before, given : ndarray
        Coefficients of the columns before, and of x.
    alone : ndarray
        Coefficients of the columns before, without x.
    """

    k: int
    column: _Column
    of_label: bool
    before: np.ndarray
    given: np.ndarray
    alone: np.ndarray

    @property
    def width(self) -> int:
        """How many numbers it predicts: logits, or a mean and a log-variance."""
        return len(self.column.statistics) if self.of_label else 2

    def predicted(self, F: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Return what coefficients make of features."""
        return F @ beta.T @ self.column.statistics.T if self.of_label else F @ beta.T

    def read(self, G: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the columns before predict, the facts, and the log-density without x."""
        before, alone = self.predicted(G, self.before), self.predicted(G, self.alone)
        labels = self.column.labels(values)
        if self.of_label:
            known = labels < self.width
            own = log_softmax(alone, axis=1)[np.arange(len(labels)), labels * known]
            return before, np.where(known, labels, UNKNOWN), np.where(known, own, 0.0)
        is_number = labels == len(self.column.levels)
        z = self.column.scores(values)
        before[:, 0] = z - before[:, 0]
        own = is_number * _normal(z - alone[:, 0], alone[:, 1])
        return before, is_number.astype(float), own

    def density(self, given: Tensor, before: Tensor, fact: Tensor) -> Tensor:
        """Return the log-density given x, broadcast over rows; 0 where there is nothing to tell."""
        if not self.of_label:
            gap = before[..., 0] - given[..., 0]
            return fact * _normal(gap, before[..., 1] + given[..., 1])
        logits = given + before
        label = fact.clamp(min=0).long()[..., None].expand(*logits.shape[:-1], 1)
        own = logits.gather(-1, label)[..., 0] - logits.logsumexp(-1)
        return torch.where(fact >= 0, own, 0.0)

    def joint(self, given: Tensor, before: Tensor, fact: Tensor) -> Tensor:
        """Return the log-density of every row of y given every row of x, by products of these."""
        if not self.of_label:
            return self.density(given[:, None], before[None], fact[None])
        label = fact.clamp(min=0).long()
        top, other = (side.amax(1, keepdim=True) for side in (given, before))
        sums = (given - top).exp() @ (before - other).exp().T
        own = given[:, label] + before.gather(1, label[:, None]).T
        own = own - top - other.T - sums.clamp(min=SMALLEST_SUM).log()
        return torch.where(fact >= 0, own, 0.0)


class RegressionRatio:
    """The log-ratio by regressions of the columns of one table on the other table.

    It scores rows that its encoders have read. The table that is predicted is called y here.

    Parameters
    ----------
    target : {"X", "Y"}
        The table whose columns are predicted.
    layouts : tuple of Layout
    train, stop : tuple of ndarray
        X and Y of the training rows, and of those that choose what p(y) is made of.
    seed : int

    Attributes
    ----------
    own_mean : float
        Mean log-ratio of the training rows.
    """

    def __init__(
        self,
        target: str,
        layouts: tuple[Layout, Layout],
        train: tuple[np.ndarray, np.ndarray],
        stop: tuple[np.ndarray, np.ndarray],
        seed: int,
    ) -> None:
        self._is_turned = target == "X"
        self._layouts = self._turned(*layouts)
        few = np.random.default_rng(seed).permutation(len(train[0]))[:MOST_ROWS]
        X, Y = (side[few] for side in self._turned(*train))
        x, y = (layout.columns(rows) for layout, rows in zip(self._layouts, (X, Y), strict=True))
        self._x = [_Column(*column) for column in x]
        columns = [_Column(*column) for column in y]
        # Labels first: a number is nearer to normal where they are known.
        self._order = sorted(range(len(y)), key=lambda j: columns[j].is_free)
        self._y = [columns[j] for j in self._order]
        self._factors: list[_Factor] = []
        self._fit(_features(self._x, [v for v, _ in x]), [y[j][0] for j in self._order])
        size = np.clip(CELLS_OF_MIXTURE // len(train[0]), *MIXTURE)
        self._mixture = self._read_x(X)[:size]
        self._share = 0.5
        self._share = _likeliest_share(*self._marginals(self._read_y(self._turned(*stop)[1])))
        self.own_mean = self._mean_of_own(self._read_x(X), self._read_y(Y))

    def _turned(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return the table that predicts and the one that is predicted, or their reverse."""
        return (y, x) if self._is_turned else (x, y)

    # Fitting

    def _fit(self, given: tuple[np.ndarray, np.ndarray], values: list[np.ndarray]) -> None:
        for k, column in enumerate(self._y):
            G, of_g = self._before(k, values)
            F = np.hstack([G, given[0]])
            groups = _numbered(np.append(of_g, of_g.max() + 1 + given[1]))
            labels = column.labels(values[k])
            for of_label in (True, False):
                if not (len(column.levels) if of_label else column.is_free):
                    continue
                full, alone = (
                    self._coefficients(column, of_label, design, g, labels, values[k])
                    for design, g in ((F, groups), (G, _numbered(of_g)))
                )
                before, after = np.split(full, [G.shape[1]], axis=1)
                self._factors.append(_Factor(k, column, of_label, before, after, alone))

    def _before(self, k: int, values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return one and the features of the columns before, and their groups from 0."""
        one = np.ones((len(values[k]), 1))
        if not k:
            return one, np.zeros(1, dtype=int)
        F, groups = _features(self._y[:k], values[:k])
        return np.hstack([one, F]), np.append(0, 1 + groups)

    @staticmethod
    def _coefficients(
        column: _Column,
        of_label: bool,
        F: np.ndarray,
        groups: np.ndarray,
        labels: np.ndarray,
        values: np.ndarray,
    ) -> np.ndarray:
        if of_label:
            return _Logit(F, groups, labels, column.statistics).coefficients(column.kinds)
        rows = labels == len(column.levels)
        return _fit_normal(F[rows], groups, column.scores(values)[rows])

    def _mean_of_own(self, u: Tensor, v: Tensor) -> float:
        """Return the mean log-ratio, each row left out of the average of its own density."""
        joint = self._joint(self._mixture, v)
        n = len(joint)
        joint[torch.arange(n), torch.arange(n)] = -torch.inf
        counts = n - (torch.arange(len(v)) < n).double()
        # What was read has the whole average in it.
        alone = self._alone(v)
        log_p = _mixed(self._share, joint.logsumexp(0) - counts.log(), alone)
        return float((self._density(u, v) - log_p).mean())

    # Rows

    @property
    def encoders(self) -> tuple[Any, Any]:
        """What reads rows of X and of Y, for all that scores."""
        return self._turned(self._read_x, self._read_y)

    def _read_x(self, rows: np.ndarray) -> Tensor:
        """Return what x predicts, factor by factor."""
        F, _ = _features(self._x, [values for values, _ in self._layouts[0].columns(rows)])
        parts = [factor.predicted(F, factor.given) for factor in self._factors]
        return torch.as_tensor(np.hstack(parts))

    def _read_y(self, rows: np.ndarray) -> Tensor:
        """Return what the columns before predict, the facts, and log p(y) without x and as is."""
        columns = self._layouts[1].columns(rows)
        values = [columns[j][0] for j in self._order]
        read = [f.read(self._before(f.k, values)[0], values[f.k]) for f in self._factors]
        before, facts, alone = zip(*read, strict=True)
        parts = [*before, np.stack(facts, axis=1), np.sum(alone, axis=0)[:, None]]
        v = torch.as_tensor(np.hstack(parts))
        return torch.cat([v, _mixed(self._share, *self._marginals(v))[:, None]], dim=1)

    def _marginals(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(y) as the average over training rows, and by regressions without x."""
        mixture = self._joint(self._mixture, v).logsumexp(0) - math.log(len(self._mixture))
        return mixture, self._alone(v)

    def _alone(self, v: Tensor) -> Tensor:
        return v[..., sum(factor.width + 1 for factor in self._factors)]

    def _density(self, u: Tensor, v: Tensor) -> Tensor:
        """Return log p(y | x), broadcast over all but the last axis."""
        total: Any = 0.0
        for factor, *parts in self._by_factor(u, v):
            total = total + factor.density(*parts)
        return total

    def _by_factor(self, u: Tensor, v: Tensor) -> Iterator[Any]:
        at, fact = 0, sum(factor.width for factor in self._factors)
        for k, factor in enumerate(self._factors):
            here = slice(at, at + factor.width)
            yield factor, u[..., here], v[..., here], v[..., fact + k]
            at += factor.width

    def _joint(self, u: Tensor, v: Tensor) -> Tensor:
        """Return log p(y | x) of every row of x with every row of y."""
        step = max(1, AT_ONCE // max(len(v), 1))
        return torch.cat([self._joint_of_few(rows, v) for rows in u.split(step)])

    def _joint_of_few(self, u: Tensor, v: Tensor) -> Tensor:
        total: Any = 0.0
        for factor, *parts in self._by_factor(u, v):
            total = total + factor.joint(*parts)
        return total

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the log-ratio of rows, broadcast over all but the last axis."""
        u, v = self._turned(x, y)
        return self._density(u, v) - v[..., -1]

    def cells(self, x: Tensor, y: Tensor, columns: Tensor) -> Tensor:
        """Return the log-ratio of row i of ``x`` with the rows ``columns[i]`` of ``y``."""
        return self.pairs(x[:, None], y[columns])

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the log-ratio of every row of ``x`` with every row of ``y``."""
        u, v = self._turned(x, y)
        scores = self._joint(u, v) - v[..., -1]
        return scores.T if self._is_turned else scores


def _mixed(share: float, first: Tensor, second: Tensor) -> Tensor:
    """Return the log-density of a mixture."""
    return torch.logaddexp(first + math.log(share), second + math.log(1 - share))


def _likeliest_share(first: Tensor, second: Tensor) -> float:
    """Return the share of the first of two densities in their likeliest mixture."""
    share = 0.5
    for _ in range(ROUNDS):
        ahead = first - second + math.log(share / (1 - share))
        share = float(torch.sigmoid(ahead).mean().clamp(0.01, 0.99))
    return share
