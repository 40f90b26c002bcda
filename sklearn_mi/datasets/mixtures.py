"""Pairs with atoms: half atoms and half continuous, zero-inflated counts, Likert items."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from scipy.special import entr, gammaln, pdtrc, xlogy

from sklearn_mi.datasets.known import KnownPairs, check_correlation, discrete_pairs

__all__ = [
    "half_atoms_pairs",
    "likert_pairs",
    "zero_inflated_counts_pairs",
    "zero_inflated_poisson_pairs",
]


def half_atoms_pairs(correlation: float = 0.9, crossover: float = 0.1) -> KnownPairs:
    r"""Return rows of which half are two binary atoms, and half correlated Gaussians.

    With probability 1/2 both x and y are -1 or 1, uniform, and differ with probability p. Otherwise
    they are standard normal with correlation :math:`\rho`. With the entropy h(p) of a coin,

    .. math:: I = \log 2 + \tfrac12 [\log 2 - h(p)] - \tfrac14 \log(1 - \rho^2)

    Parameters
    ----------
    correlation : float, default=0.9
        :math:`\rho`, between -1 and 1.
    crossover : float, default=0.1
        p, from 0 to 1.

    Returns
    -------
    pairs : KnownPairs

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh & Viswanath,
    2017), https://arxiv.org/abs/1709.06212

    Examples
    --------
    >>> from sklearn_mi.datasets import half_atoms_pairs
    >>> print(f"{half_atoms_pairs().true_mi:.4f}")
    1.2924
    """
    check_correlation("correlation", correlation)
    _check_probability("crossover", crossover)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, noise = rng.normal(size=(2, n, 1))
        y = correlation * x + math.sqrt(1 - correlation**2) * noise
        sign, flip = rng.choice([-1.0, 1.0], size=(n, 1)), rng.uniform(size=(n, 1)) < crossover
        is_atom = rng.uniform(size=(n, 1)) < 0.5
        return np.where(is_atom, sign, x), np.where(is_atom, np.where(flip, -sign, sign), y)

    of_atoms = math.log(2) - float(entr(crossover) + entr(1 - crossover))
    of_gaussians = -0.5 * math.log1p(-(correlation**2))
    true_mi = math.log(2) + (of_atoms + of_gaussians) / 2
    return KnownPairs("half-atoms", true_mi, draw)


def zero_inflated_poisson_pairs(zeros: float = 0.15) -> KnownPairs:
    r"""Return x of an exponential distribution and a count y of mean x, at times replaced by 0.

    y is 0 with probability p, and otherwise Poisson with mean x. With :math:`P_0 = (1 + p) / 2`,
    the probability of y = 0, and Euler's constant :math:`\gamma`,

    .. math::

        I = (1 - p) \Big[ \tfrac32 \log 2 + \tfrac14 - \gamma
            - \sum_{k \ge 2} 2^{-k - 1} \log k! \Big] - P_0 \log P_0
            - \frac{1 - p^2 + 2 p^2 \log p}{4 (1 - p)}

    The reference has :math:`(1 - p)` times the value at p = 0, which is too large for any other p:
    who sees a zero does not know whether it was inflated.

    Parameters
    ----------
    zeros : float, default=0.15
        Probability p of a further zero, at least 0 and below 1.

    Returns
    -------
    pairs : KnownPairs

    Raises
    ------
    ValueError
        If ``zeros`` is out of its range.

    References
    ----------
    Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh & Viswanath,
    2017), https://arxiv.org/abs/1709.06212

    Examples
    --------
    >>> from sklearn_mi.datasets import zero_inflated_poisson_pairs
    >>> print(f"{zero_inflated_poisson_pairs(0.15).true_mi:.4f}")
    0.2298
    """
    p = _check_probability("zeros", zeros, below_one=True)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.exponential(size=(n, 1))
        return x, np.where(rng.uniform(size=(n, 1)) < p, 0, rng.poisson(x))

    k = np.arange(2, 80)
    factorials = float((0.5 ** (k + 1) * gammaln(k + 1)).sum())
    counts = (1 - p) * (1.5 * math.log(2) + 0.25 - np.euler_gamma - factorials)
    at_zero = float(entr((1 + p) / 2)) - (1 - p**2 - 2 * p * float(entr(p))) / (4 * (1 - p))
    return KnownPairs("zero-inflated-poisson", counts + at_zero, draw)


def zero_inflated_counts_pairs(
    shared: float = 3.0, own: float = 1.0, zeros: float = 0.3
) -> KnownPairs:
    r"""Return two counts that share events, each at times replaced by 0.

    :math:`x = A (S + U)` and :math:`y = B (S + V)`: S, U and V are Poisson; A and B are 0 with the
    probability of a further zero, else 1; all are independent. The information is the sum over the
    joint distribution of the two counts, cut off where its tail is below 1e-15.

    Parameters
    ----------
    shared, own : float, default=3.0, 1.0
        Means of S, and of U and V, positive.
    zeros : float, default=0.3
        Probability of a further zero, from 0 to 1.

    Returns
    -------
    pairs : KnownPairs

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from sklearn_mi.datasets import zero_inflated_counts_pairs
    >>> pairs = zero_inflated_counts_pairs()
    >>> X, Y = pairs.sample(1000, random_state=0)
    >>> X.shape, Y.shape, round(pairs.true_mi, 4)
    ((1000, 1), (1000, 1), 0.1803)
    """
    for name, mean in (("shared", shared), ("own", own)):
        if not 0 < mean < math.inf:
            raise ValueError(f"{name}={mean!r}; expected a positive number.")
    _check_probability("zeros", zeros)
    most = next(k for k in itertools.count() if pdtrc(k, shared + own) < 1e-15)
    counts = np.arange(most + 1)
    given_shared = _poisson(counts[:, None] - counts, own)
    joint = (given_shared * _poisson(counts, shared)) @ given_shared.T
    inflated = (1 - zeros) * np.eye(len(counts))
    inflated[0] += zeros
    return replace(discrete_pairs(inflated @ joint @ inflated.T), name="zero-inflated-counts")


def likert_pairs() -> KnownPairs:
    r"""Return two items of five steps whose relation turns round in the middle.

    x is uniform on 1 to 5, and :math:`y = |x - 3| + 1 + c` with a fair coin c, 0 or 1. Pearson's
    correlation is 0.

    Returns
    -------
    pairs : KnownPairs
        Integers from 1 to 5.

    Examples
    --------
    >>> from sklearn_mi.datasets import likert_pairs
    >>> print(f"{likert_pairs().true_mi:.4f}")
    0.5867
    """
    joint = np.zeros((5, 5))
    for x in range(5):
        joint[x, abs(x - 2) : abs(x - 2) + 2] = 0.1
    steps = discrete_pairs(joint).mapped("likert", lambda rows: rows + 1)
    return replace(steps, name="likert", under_ranks="")


def _poisson(counts: np.ndarray, mean: float) -> np.ndarray:
    """Return the probabilities of counts; 0 for negative ones."""
    k = np.maximum(counts, 0)
    return np.where(counts < 0, 0.0, np.exp(xlogy(k, mean) - mean - gammaln(k + 1)))


def _check_probability(name: str, value: float, *, below_one: bool = False) -> float:
    if not (0 <= value < 1 or (value == 1 and not below_one)):
        limit = "a number of at least 0 and below 1" if below_one else "a number from 0 to 1"
        raise ValueError(f"{name}={value!r}; expected {limit}.")
    return value
