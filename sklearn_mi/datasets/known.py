"""Pairs whose mutual information is known, and families of them with a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma, gammaln, rel_entr

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "KnownPairs",
    "additive_uniform_pairs",
    "discrete_continuous_pairs",
    "discrete_pairs",
    "student_pairs",
]

Transform = Callable[[np.ndarray], np.ndarray]


def check_correlation(name: str, value: float) -> float:
    """Return a correlation or a coefficient between -1 and 1."""
    if not -1 < value < 1:
        raise ValueError(f"{name}={value!r}; expected a number between -1 and 1.")
    return value


@dataclass(frozen=True)
class KnownPairs:
    r"""A distribution of pairs whose mutual information is known.

    Parameters
    ----------
    name : str
    true_mi : float
        The mutual information, in nats.
    draw : callable
        ``draw(n, rng)`` returns n rows of X and of Y; ``rng`` is a NumPy Generator.
    under_ranks : str, default=""
        Name of the distribution that this one is a strictly increasing map of, column by column.
        Both have the same ranks and the same information. Empty if there is none.

    Examples
    --------
    >>> from sklearn_mi.datasets import beyond_normal
    >>> pairs = beyond_normal()["multinormal-dense-3-3-0.5"]
    >>> X, Y = pairs.sample(1000, random_state=0)
    >>> X.shape, Y.shape, round(pairs.true_mi, 4)
    ((1000, 3), (1000, 3), 0.4133)
    """

    name: str
    true_mi: float
    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]] = field(repr=False)
    under_ranks: str = ""

    def sample(
        self, n_samples: int, random_state: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of X and Y.

        Parameters
        ----------
        n_samples : int
        random_state : int or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_x), or images
        Y : ndarray of shape (n_samples, n_features_y), or images
        """
        return self.draw(n_samples, np.random.default_rng(random_state))

    def mapped(
        self, prefix: str, x: Transform, y: Transform | None = None, *, increasing: bool = True
    ) -> KnownPairs:
        """Return the pairs with each side mapped one-to-one, which changes no information.

        Parameters
        ----------
        prefix : str
            Goes before the name.
        x, y : callable
            Map the rows of X and of Y. By default ``y`` is ``x``.
        increasing : bool, default=True
            Whether the maps act on each column alone and are strictly increasing.

        Returns
        -------
        pairs : KnownPairs
        """
        y = x if y is None else y

        def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
            X, Y = self.draw(n, rng)
            return x(X), y(Y)

        same = (self.under_ranks or self.name) if increasing else ""
        return KnownPairs(f"{prefix}-{self.name}", self.true_mi, draw, same)


def student_pairs(name: str, n_features_x: int, n_features_y: int, dof: float) -> KnownPairs:
    r"""Return pairs of a multivariate Student distribution with the identity as its dispersion.

    All columns share one scale and are uncorrelated, yet dependent:
    :math:`I = h_x + h_y - h_{xy}`, with the entropy of d columns

    .. math::

        h_d = \log \frac{\Gamma(\nu / 2) (\nu \pi)^{d / 2}}{\Gamma((\nu + d) / 2)}
            + \frac{\nu + d}{2} \left[ \psi\left(\frac{\nu + d}{2}\right)
            - \psi\left(\frac{\nu}{2}\right) \right]

    Parameters
    ----------
    name : str
    n_features_x, n_features_y : int
    dof : float
        Degrees of freedom :math:`\nu`: fewer make heavier tails.

    Returns
    -------
    pairs : KnownPairs

    References
    ----------
    Shannon Entropy and Mutual Information for Multivariate Skew-Elliptical Distributions
    (Arellano-Valle, Contreras-Reyes & Genton, 2013)
    """
    d = n_features_x + n_features_y

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rows = rng.normal(size=(n, d)) / np.sqrt(rng.chisquare(dof, size=(n, 1)) / dof)
        return rows[:, :n_features_x], rows[:, n_features_x:]

    mi = sum(
        sign * student_entropy(k, dof)
        for sign, k in ((1, n_features_x), (1, n_features_y), (-1, d))
    )
    return KnownPairs(name, float(mi), draw)


def student_entropy(d: int, dof: float) -> float:
    """Return the entropy of a d-dimensional t distribution of unit dispersion, in nats."""
    half, total = dof / 2, (dof + d) / 2
    volume = gammaln(half) - gammaln(total) + d / 2 * math.log(dof * math.pi)
    return float(volume + total * (digamma(total) - digamma(half)))


def additive_uniform_pairs(name: str, noise: float) -> KnownPairs:
    r"""Return x uniform on [0, 1] and y = x + uniform noise on :math:`[-\epsilon, \epsilon]`.

    The information is :math:`\epsilon - \log 2 \epsilon` up to :math:`\epsilon = 1/2`, and
    :math:`1 / 4 \epsilon` above.

    Parameters
    ----------
    name : str
    noise : float
        :math:`\epsilon`.

    Returns
    -------
    pairs : KnownPairs
    """

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.uniform(size=(n, 1))
        return x, x + rng.uniform(-noise, noise, size=(n, 1))

    return KnownPairs(name, noise - math.log(2 * noise) if noise <= 0.5 else 0.25 / noise, draw)


def discrete_pairs(joint: ArrayLike) -> KnownPairs:
    r"""Return two categories with a given table of joint probabilities.

    .. math:: I = \sum_{ab} p_{ab} \log \frac{p_{ab}}{p_a p_b}

    Parameters
    ----------
    joint : array-like of shape (n_categories_x, n_categories_y)
        Numbers of 0 or more; they are divided by their sum.

    Returns
    -------
    pairs : KnownPairs
        Integers, in tables of one column.

    Raises
    ------
    ValueError
        If ``joint`` is not a table of numbers of 0 or more.

    Examples
    --------
    >>> from sklearn_mi.datasets import discrete_pairs
    >>> print(f"{discrete_pairs([[1, 0], [0, 1]]).true_mi:.4f}")
    0.6931
    """
    p = np.asarray(joint, dtype=float)
    if p.ndim != 2 or not (p >= 0).all() or not 0 < p.sum() < np.inf:
        raise ValueError(f"joint={joint!r}; expected a table of numbers of 0 or more.")
    p = p / p.sum()
    product = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        cells = rng.choice(p.size, size=n, p=p.ravel())
        return (cells // p.shape[1])[:, None], (cells % p.shape[1])[:, None]

    return KnownPairs("discrete", float(rel_entr(p, product).sum()), draw)


def discrete_continuous_pairs(n_categories: int = 5) -> KnownPairs:
    r"""Return a category x, uniform on m of them, and y uniform on [x, x + 2].

    .. math:: I = \log m - \frac{m - 1}{m} \log 2

    Parameters
    ----------
    n_categories : int, default=5
        m.

    Returns
    -------
    pairs : KnownPairs

    References
    ----------
    Estimating Mutual Information for Discrete-Continuous Mixtures (Gao, Kannan, Oh & Viswanath,
    2017), https://arxiv.org/abs/1709.06212
    """
    m = n_categories

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.integers(m, size=(n, 1))
        return x, x + rng.uniform(0, 2, size=(n, 1))

    return KnownPairs("discrete-continuous", math.log(m) - (m - 1) / m * math.log(2), draw)
