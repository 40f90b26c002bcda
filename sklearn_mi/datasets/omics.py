"""Two wide tables of the same rows, as two omics give them, that share a few latents."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sklearn_mi._base import positive_integer

__all__ = ["TwoTables", "make_two_omics"]

# Of counts: the range of the columns' mean counts, and how much more than Poisson they vary.
MEAN_COUNTS = (2.0, 50.0)
DISPERSION = 0.3
LIBRARY = 0.3  # standard deviation of the logarithm of a row's total


class TwoTables(NamedTuple):
    """Two tables of the same rows, and the latents that they share.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    X_pair : ndarray of shape (n_samples, n_features_pair)
    shared : ndarray of shape (n_samples, n_shared)
    """

    X: np.ndarray
    X_pair: np.ndarray
    shared: np.ndarray


def make_two_omics(
    n_samples: int = 700,
    n_features: int = 2000,
    n_features_pair: int = 300,
    *,
    n_shared: int = 4,
    n_own: int = 4,
    signal: float = 30.0,
    counts: bool = False,
    random_state: int | None = None,
) -> TwoTables:
    r"""Return two wide tables that share latents, beside latents of each table alone.

    A table with p columns is :math:`x = \sqrt\ell \, (U z + V w) + \epsilon`. The shared latents z
    are the same for both tables, the latents w belong to one. All latents and the noise are
    standard normal, and the columns of U and V are orthonormal, in random directions: each latent
    adds an eigenvalue :math:`\ell` to the covariance of the noise.

    Counts are Poisson with the rate :math:`m_j \, s_i \, g_{ij} e^{x_{ij} - \epsilon_{ij}}`: the
    mean of the column between 2 and 50, the size of the row (its library), and a gamma variable of
    variance 0.3, which makes counts vary more than Poisson does.

    Parameters
    ----------
    n_samples : int, default=700
    n_features, n_features_pair : int, default=2000, 300
        Columns of either table, at least as many as it has latents.
    n_shared, n_own : int, default=4
        Number of shared latents, and of further latents of each table.
    signal : float, default=30.0
        :math:`\ell`, 0 or more.
    counts : bool, default=False
    random_state : int or None, default=None

    Returns
    -------
    tables : TwoTables
        ``X``, ``X_pair`` and ``shared``.

    Raises
    ------
    ValueError
        If a table has more latents than columns, or ``signal`` is negative.

    Examples
    --------
    >>> from sklearn_mi.datasets import make_two_omics
    >>> tables = make_two_omics(100, 50, 30, counts=True, random_state=0)
    >>> tables.X.shape, tables.X_pair.shape, tables.shared.shape
    ((100, 50), (100, 30), (100, 4))
    >>> tables.X.dtype, int(tables.X.min())
    (dtype('int64'), 0)
    """
    for name, value in (("n_samples", n_samples), ("n_shared", n_shared)):
        positive_integer(name, value)
    n_latents = n_shared + n_own
    narrowest = min(n_features, n_features_pair)
    if n_own < 0 or n_latents > narrowest:
        raise ValueError(
            f"n_shared={n_shared} and n_own={n_own}; expected 0 or more, together at most "
            f"{narrowest}, the columns of the narrower table."
        )
    if not 0 <= signal < math.inf:
        raise ValueError(f"signal={signal!r}; expected a number of 0 or more.")
    rng = np.random.default_rng(random_state)
    shared = rng.normal(size=(n_samples, n_shared))
    tables = []
    for width in (n_features, n_features_pair):
        latents = np.hstack([shared, rng.normal(size=(n_samples, n_own))])
        directions = np.linalg.qr(rng.normal(size=(width, n_latents)))[0]
        rows = math.sqrt(signal) * latents @ directions.T
        tables.append(_counts(rows, rng) if counts else rows + rng.normal(size=rows.shape))
    return TwoTables(tables[0], tables[1], shared)


def _counts(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return counts whose logarithms of rates are rows, up to means, libraries and noise."""
    means = np.exp(rng.uniform(*np.log(MEAN_COUNTS), size=rows.shape[1]))
    library = np.exp(LIBRARY * rng.normal(size=(len(rows), 1)))
    extra = rng.gamma(1 / DISPERSION, DISPERSION, size=rows.shape)
    return rng.poisson(means * library * extra * np.exp(rows))
