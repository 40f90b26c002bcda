"""Mutual information of categories: frequencies in the place of probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import chdtri, chndtr, ndtri

from sklearn_mi.information.atoms import Coded, find_atoms
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.serial import block_standard_error

__all__ = ["BinnedCritic", "TableCritic", "plug_in", "table_guess"]

ALONE = 0.02
RARE = 5
SPARSE = 0.2
PERMUTATIONS = 20
CONTRASTS = 16


@dataclass(frozen=True)
class Table:
    """Two columns of labels as integers from 0, and how often each label and each cell occurs."""

    a: np.ndarray
    b: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray) -> Table:
        """Read any labels."""
        return cls(*(pd.factorize(side, use_na_sentinel=False)[0] for side in (a, b)))

    def __len__(self) -> int:
        return len(self.a)

    @cached_property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts of each label."""
        return np.bincount(self.a), np.bincount(self.b)

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        keys = self.a * np.int64(len(self.sides[1])) + self.b
        cell, found = pd.factorize(keys)
        return cell, np.asarray(found), np.bincount(cell)

    @property
    def counts(self) -> np.ndarray:
        """Counts of each cell that occurs."""
        return self._cells[2]

    @cached_property
    def of_cells(self) -> np.ndarray:
        """The log-ratio of each cell that occurs."""
        _, found, counts = self._cells
        rows, columns = np.divmod(found, len(self.sides[1]))
        expected = self.sides[0][rows] * self.sides[1][columns].astype(float)
        return np.log(counts * (len(self) / expected))

    @property
    def local(self) -> np.ndarray:
        """The log-ratio of each row."""
        return self.of_cells[self._cells[0]]

    @property
    def mean(self) -> float:
        """The plug-in estimate, in nats, without correction."""
        return float(self.counts @ self.of_cells / len(self))

    @property
    def spread(self) -> float:
        """The variance of the log-ratio over rows."""
        return float(self.counts @ (self.of_cells - self.mean) ** 2 / len(self))

    @cached_property
    def freedom(self) -> float:
        """Cells minus labels plus one: the plug-in is about half of it over n too high."""
        n_a, n_b = (number_of_labels(counts) for counts in self.sides)
        return min(number_of_labels(self.counts), n_a * n_b) - n_a - n_b + 1

    @property
    def unseen(self) -> float:
        """The number of cells that did not occur, by Chao's rule."""
        return number_of_labels(self.counts) - len(self.counts)

    def bias(self, n: float) -> float:
        """Return how much the mean is too high, n being the effective number of rows.

        That is Miller and Madow's correction; near independence, where rare cells spoil it, the
        mean over permuted rows.
        """
        plain = self.freedom / (2 * n)
        rare = self.sides[0].min() * self.sides[1].min() < RARE * len(self)
        if not rare or self.mean - plain > 4 * math.sqrt((self.spread + abs(plain)) / n):
            return plain
        return float(self.chance.mean()) * len(self) / n

    @cached_property
    def chance(self) -> np.ndarray:
        """Plug-in estimates of permuted rows."""
        rng = np.random.default_rng(0)
        return np.array([Table(rng.permutation(self.a), self.b).mean for _ in range(PERMUTATIONS)])

    @property
    def alone(self) -> float:
        """The share of rows that no other row shares its cell with (Good-Turing)."""
        return float((self.counts == 1).sum() / len(self))


def number_of_labels(counts: np.ndarray) -> float:
    """Return Chao's lower estimate of the number of labels, those that did not occur too."""
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    return float(len(counts) + once * (once - 1) / (2 * (twice + 1)))


def plug_in(
    a: np.ndarray,
    b: np.ndarray,
    *,
    confidence: float,
    groups: np.ndarray | None = None,
    n_effective: float | None = None,
    block: int | None = None,
) -> Guess:
    r"""Return the information of two columns of labels, from their frequencies.

    .. math:: \sum_{ab} \hat p_{ab} \log \frac{\hat p_{ab}}{\hat p_a \hat p_b}
              - \frac{K_{ab} - K_a - K_b + 1}{2 n}

    with :math:`K` the numbers of labels and cells that occur (Miller-Madow). The interval is the
    delta method's, and near independence that of a noncentral chi-square for :math:`2 n I`.

    Parameters
    ----------
    a, b : array-like of shape (n_samples,)
    confidence : float
    groups : ndarray of shape (n_samples,), default=None
        Rows of one group may depend on one another.
    n_effective : float, default=None
        The number of independent rows that tell as much as these rows, where they are a series.
    block : int, default=None
        Rows of a block, if rows are a series.

    Returns
    -------
    guess : Guess
        In nats; never above the entropy of either side.

    References
    ----------
    Note on the Bias of Information Estimates (Miller, 1955); Estimation of Entropy and Mutual
    Information (Paninski, 2003), https://doi.org/10.1162/089976603321780272

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(400) % 4
    >>> round(plug_in(x, x // 2, confidence=0.95).value, 2)
    0.69
    """
    table = Table.of(a, b)
    if min(map(len, table.sides)) < 2:
        return Guess(0.0, 0.0, (0.0, 0.0), "constant column")
    z = float(ndtri(0.5 + confidence / 2))
    n = effective_rows(table, groups, n_effective)
    most, far = np.min([entropy_limits(counts, n, z) for counts in table.sides], axis=0).tolist()
    bias = table.bias(n)
    value, freedom = table.mean - bias, max(abs(2 * n * bias), 1.0)
    second = freedom / (2 * n**2) + (table.unseen / (4 * n)) ** 2
    stderr = math.sqrt(_variance_of_mean(table, groups, n) + second)
    if table.alone > SPARSE:
        return _sparse(table, stderr, z, most, far)
    if value < 4 * stderr:
        low, high = _near_independence(2 * n * table.mean, freedom, confidence, n)
        # The chi-square has a variance of 2 I over n; where log-ratios are large it is the spread.
        wider = math.sqrt(max(table.spread / (2 * table.mean), 1.0)) if table.mean > 0 else 1.0
        low, high = value - wider * (value - low), value + wider * (high - value)
    else:
        low, high = value - z * stderr, value + z * stderr
    if block is not None:
        # The bias is less than that of parted series if one side, given the other, has no memory.
        error = block_standard_error(table.local, block)
        low, high = min(low, value - z * error), max(high, table.mean + z * error)
        stderr = max(stderr, error)
    value = min(max(value, 0.0), most)
    interval = max(min(low, value), 0.0), max(min(high, far), value)
    return Guess(value, stderr, interval, "plug-in (in-sample)")


def entropy_limits(counts: np.ndarray, n: float, z: float) -> tuple[float, float]:
    """Return Miller and Madow's entropy, and how large the entropy may be.

    The first is at most that of equal frequencies. The second is so too if no label occurs once; if
    many do, it is that of equal frequencies of Chao's number of labels.
    """
    p = counts / counts.sum()
    plain, correction = float(-p @ np.log(p)), (len(p) - 1) / (2 * n)
    once = (counts == 1).sum()
    labels = math.log(number_of_labels(counts))
    variance = p @ (np.log(p) + plain) ** 2 / n + correction / n
    # Pairs of rows tell how many labels are unseen, with an error like that of their number.
    far = labels + math.log(1 + z / math.sqrt((counts == 2).sum() + 1))
    if once <= SPARSE * counts.sum():
        far = plain + correction + z * math.sqrt(variance)
    if once == 0:
        far = min(far, labels)
    return min(plain + correction, math.log(len(p))), far


def _variance_of_mean(table: Table, groups: np.ndarray | None, n: float) -> float:
    plain = table.spread / n
    if groups is None:
        return plain
    sums = np.bincount(pd.factorize(groups)[0], table.local - table.mean)
    return max(float(sums @ sums) / len(table) ** 2, table.spread / len(table))


def effective_rows(table: Table, groups: np.ndarray | None, n_effective: float | None) -> float:
    """Return n over the design effect of the cells: the mean over random contrasts of them.

    For contrasts u and v of the labels, the rows' products u v have a variance that groups inflate;
    the mean over contrasts is Rao and Scott's first-order correction of a chi-square.
    """
    n = float(len(table))
    if n_effective is not None:
        return min(max(float(n_effective), 2.0), n)
    if groups is None:
        return n
    codes, rng = pd.factorize(groups)[0], np.random.default_rng(0)
    clustered = plain = 0.0
    for _ in range(CONTRASTS):
        product = np.ones(len(table))
        for labels, counts in zip((table.a, table.b), table.sides, strict=True):
            contrast = rng.choice([-1.0, 1.0], len(counts)) / np.sqrt(counts)
            product *= contrast[labels] - contrast @ counts / n
        product -= product.mean()
        sums = np.bincount(codes, product)
        clustered, plain = clustered + sums @ sums, plain + product @ product
    return n / max(float(clustered / plain), 1.0) if plain > 0 else n


def _near_independence(
    statistic: float, freedom: float, confidence: float, n: float
) -> tuple[float, float]:
    """Return the information for which 2 n I is neither too small nor too large a chi-square."""
    tail = (1 - confidence) / 2

    def excess(shift: float, at: float, level: float) -> float:
        return float(chndtr(at, freedom, shift)) - level

    def solve(at: float, level: float) -> float:
        top = 4 * at + 40 + 10 * freedom
        return float(brentq(excess, 1e-12, top, args=(at, level)))  # pyright: ignore

    low = 0.0 if statistic < chdtri(freedom, tail) else solve(statistic, 1 - tail)
    # A statistic that is too small even for independence is treated as a typical one.
    return low / (2 * n), solve(max(statistic, float(chdtri(freedom, 0.5))), tail) / (2 * n)


def _sparse(table: Table, stderr: float, z: float, most: float, far: float) -> Guess:
    """Return a guess for a table most of whose cells occur once: it is adjusted for chance."""
    chance = table.chance
    room = most - chance.mean()
    above = max(table.mean - chance.mean(), 0.0)
    value = float(min(most * above / room, most)) if room > 0 else 0.0
    low = above - z * math.hypot(stderr, float(chance.std(ddof=1)))
    fact = f"{100 * table.alone:.0f} % of the rows are alone in their pair of categories"
    if all((counts == 1).mean() <= SPARSE for counts in table.sides):
        # Cells that did not occur make the plug-in too high.
        far = min(far, table.mean + z * stderr)
    interval = min(max(low, 0.0), value), max(far, value)
    how = "plug-in, adjusted for chance (in-sample)"
    return Guess(value, (far - interval[0]) / (2 * z), interval, how, warnings=(fact,))


def table_guess(
    x: Coded,
    y: Coded,
    *,
    confidence: float,
    seed: int = 0,
    groups: np.ndarray | None = None,
    n_effective: float | None = None,
    block: int | None = None,
) -> Guess | None:
    """Return the plug-in if at most 2 % of the rows are alone in their cell, else None.

    The rows that are alone estimate the probability of cells that did not occur (Good-Turing).

    Parameters
    ----------
    x, y : Coded
    confidence : float
    seed : int, default=0
        Not used; for one signature with the other ways to a number.
    groups : ndarray of shape (n_samples,), default=None
        Rows of one group may depend on one another.
    n_effective : float, default=None
        The number of independent rows that tell as much as these rows, where they are a series.
    block : int, default=None
        Rows of a block, if rows are a series.

    Returns
    -------
    guess : Guess or None
        In nats.
    """
    a, b = x.rows, y.rows
    table = Table(a, b)
    if min(map(len, table.sides)) > 1 and table.alone > ALONE:
        return None
    how = {"groups": groups, "n_effective": n_effective, "block": block}
    return plug_in(a, b, confidence=confidence, **how)  # type: ignore[arg-type]


class TableCritic:
    r"""A critic for labels: the log-ratio of each cell, drawn towards independence.

    .. math:: \log \frac{n_{ab} + m p_a p_b}{(n + m) p_a p_b}

    The strength m of the draw has the best leave-one-out likelihood on the rows of ``fit``. A cell
    that did not occur there gets :math:`\log(m / (n + m))`, a label that did not gets 0.
    """

    def fit(self, a: np.ndarray, b: np.ndarray) -> TableCritic:
        """Count the cells of training rows."""
        (i, self._a), (j, self._b) = (pd.factorize(np.asarray(side), sort=True) for side in (a, b))
        n, width = len(i), len(self._b)
        keys, counts = np.unique(i * np.int64(width) + j, return_counts=True)
        p_a, p_b = np.bincount(i) / n, np.bincount(j) / n
        p = p_a[keys // width] * p_b[keys % width]
        draws = np.geomspace(0.1, 1e4 * n, 60)[:, None]
        left_out = np.log((counts - 1 + draws * p) / (n - 1 + draws) / p) @ counts
        draw = float(draws[left_out.argmax(), 0])
        self._index = pd.Index(self._a), pd.Index(self._b)
        self._keys, self._width = keys, width
        self._seen = np.log((counts + draw * p) / (n + draw) / p)
        self._unseen = math.log(draw / (n + draw))
        return self

    def _look_up(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        keys = i * np.int64(self._width) + j
        at = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        values = np.where(self._keys[at] == keys, self._seen[at], self._unseen)
        return np.where((i < 0) | (j < 0), 0.0, values)

    def _codes(self, a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
        sides = zip(self._index, (a, b), strict=True)
        return [index.get_indexer(np.asarray(labels)).astype(np.int64) for index, labels in sides]

    def pairs(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the log-ratio of each pair, of shape (n_samples,)."""
        return self._look_up(*self._codes(a, b))

    def matrix(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the log-ratio of each row of a with each row of b, of shape (n, m)."""
        (u, i), (v, j) = (np.unique(c, return_inverse=True) for c in self._codes(a, b))
        return self._look_up(u[:, None], v[None])[i][:, j]


class BinnedCritic:
    """A `TableCritic` for one column a side: atoms stay, the rest is cut at its quantiles.

    The number of bins is the cube root of the number of training rows, and at least 3; beside a
    side that is atoms alone, twice as many.
    """

    def fit(self, x: Coded, y: Coded) -> BinnedCritic:
        """Find atoms and bins of training rows, and count the cells."""
        is_table = [_is_atoms_alone(side) for side in (x, y)]
        pairs = zip((x, y), reversed(is_table), strict=True)
        self._sides = [_Bins.of(side, 1 + beside_table) for side, beside_table in pairs]
        self._table = TableCritic().fit(*self._labels(x, y))
        return self

    def _labels(self, x: Coded, y: Coded) -> list[np.ndarray]:
        return [bins(c.values[:, 0]) for bins, c in zip(self._sides, (x, y), strict=True)]

    def pairs(self, x: Coded, y: Coded) -> np.ndarray:
        """Return the log-ratio of each pair, of shape (n_samples,)."""
        return self._table.pairs(*self._labels(x, y))

    def matrix(self, x: Coded, y: Coded) -> np.ndarray:
        """Return the log-ratio of each row of x with each row of y, of shape (n, m)."""
        return self._table.matrix(*self._labels(x, y))


def _is_atoms_alone(side: Coded) -> bool:
    column = side.values[:, 0]
    return bool(side.nominal[0] or np.isin(column, find_atoms(column)).all())


@dataclass(frozen=True)
class _Bins:
    """Labels of one column: atoms first, then bins between edges; -1 for an unknown category."""

    atoms: np.ndarray
    edges: np.ndarray | None

    @classmethod
    def of(cls, side: Coded, fineness: int) -> _Bins:
        column = side.values[:, 0]
        if side.nominal[0]:
            return cls(np.unique(column), None)
        atoms = find_atoms(column)
        rest = column[~np.isin(column, atoms)]
        n_bins = fineness * max(3, round(len(column) ** (1 / 3)))
        inner = np.linspace(0, 1, n_bins + 1)[1:-1]
        return cls(atoms, np.unique(np.quantile(rest, inner)) if len(rest) else np.empty(0))

    def __call__(self, column: np.ndarray) -> np.ndarray:
        atom = pd.Index(self.atoms).get_indexer(column)
        if self.edges is None:
            return atom
        return np.where(atom < 0, len(self.atoms) + np.searchsorted(self.edges, column), atom)
