"""Gaussian pairs of known mutual information: few columns, many, serial, mapped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sklearn_mi.datasets.known import KnownPairs, check_correlation

__all__ = [
    "autoregressive_pairs",
    "correlated_gaussian",
    "gaussian_pairs",
    "gaussian_staircase",
    "independent_pairs",
    "low_rank_pairs",
]

MAPS = ("identity", "cubic", "rotated cubic")


def correlated_gaussian(
    n_samples: int = 1000,
    n_features: int = 2,
    *,
    true_mi: float = 1.0,
    random_state: int | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    r"""Return Gaussian pairs with a given mutual information.

    Column k of ``X`` and column k of ``Y`` have correlation
    :math:`\rho = \sqrt{1 - e^{-2 I / p}}`; all other pairs of columns are independent.

    Parameters
    ----------
    n_samples : int, default=1000
    n_features : int, default=2
        Columns p of ``X`` and of ``Y``.
    true_mi : float, default=1.0
        The mutual information I, in nats.
    random_state : int or None, default=None

    Returns
    -------
    X, Y : ndarray of shape (n_samples, n_features)
    true_mi : float

    Raises
    ------
    ValueError
        If ``true_mi`` is negative.

    References
    ----------
    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922

    Examples
    --------
    >>> from sklearn_mi.datasets import correlated_gaussian
    >>> X, Y, true_mi = correlated_gaussian(5000, 1, true_mi=0.5, random_state=0)
    >>> bool(abs(-0.5 * np.log(1 - np.corrcoef(X[:, 0], Y[:, 0])[0, 1] ** 2) - true_mi) < 0.05)
    True
    """
    if true_mi < 0:
        raise ValueError(f"true_mi={true_mi}; expected a number of nats, 0 or more.")
    rng = np.random.default_rng(random_state)
    rho = _shared_evenly(true_mi, n_features)
    X, noise = rng.normal(size=(2, n_samples, n_features))
    return X, rho * X + math.sqrt(1 - rho**2) * noise, true_mi


def _shared_evenly(true_mi: float, n_features: int) -> float:
    """Return the correlation of each pair of columns that gives a total information."""
    return math.sqrt(-math.expm1(-2 * true_mi / n_features))


def gaussian_pairs(name: str, correlation: np.ndarray, n_features_x: int) -> KnownPairs:
    r"""Return Gaussian pairs with a given correlation matrix.

    .. math:: I = \tfrac12 \log \frac{\det R_{xx} \det R_{yy}}{\det R}

    Parameters
    ----------
    name : str
    correlation : ndarray of shape (n_features_x + n_features_y, n_features_x + n_features_y)
        Of the columns of X, then those of Y.
    n_features_x : int

    Returns
    -------
    pairs : KnownPairs
    """
    root = np.linalg.cholesky(correlation)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rows = rng.normal(size=(n, len(root))) @ root.T
        return rows[:, :n_features_x], rows[:, n_features_x:]

    return KnownPairs(name, _gaussian_mi(correlation, n_features_x), draw)


def _gaussian_mi(correlation: np.ndarray, d: int) -> float:
    sides = correlation[:d, :d], correlation[d:, d:], correlation
    x, y, both = (np.linalg.slogdet(side)[1] for side in sides)
    return float(x + y - both) / 2


def independent_pairs(n_features_x: int = 5, n_features_y: int = 5) -> KnownPairs:
    """Return independent Gaussian tables, whose mutual information is 0.

    Parameters
    ----------
    n_features_x, n_features_y : int, default=5

    Returns
    -------
    pairs : KnownPairs
    """
    return gaussian_pairs("independent", np.eye(n_features_x + n_features_y), n_features_x)


def low_rank_pairs(
    n_features_x: int = 2000, n_features_y: int = 300, n_latents: int = 4, signal: float = 10.0
) -> KnownPairs:
    r"""Return two wide tables that share a few latents and have noise of unit variance.

    :math:`x = \sqrt\ell \, U z + \epsilon` and :math:`y = \sqrt\ell \, V z + \eta`: the r latents z
    and the noise are standard normal. The orthonormal columns of U and V are random directions,
    the same in every sample. The covariance of each table has r eigenvalues :math:`1 + \ell`, all
    others are 1, and each latent has the canonical correlation :math:`\ell / (1 + \ell)`:

    .. math:: I = \frac r2 \log \frac{(1 + \ell)^2}{1 + 2 \ell}

    Parameters
    ----------
    n_features_x, n_features_y : int, default=2000, 300
        At least as many as latents.
    n_latents : int, default=4
        r.
    signal : float, default=10.0
        :math:`\ell`, the variance that a latent adds along its direction, 0 or more.

    Returns
    -------
    pairs : KnownPairs

    Raises
    ------
    ValueError
        If there are more latents than columns, or if ``signal`` is negative.

    Examples
    --------
    >>> from sklearn_mi.datasets import low_rank_pairs
    >>> [round(low_rank_pairs(60, 50, signal=signal).true_mi, 2) for signal in (3, 10, 30, 100)]
    [1.65, 3.5, 5.51, 7.85]
    """
    most = min(n_features_x, n_features_y)
    if not 1 <= n_latents <= most:
        raise ValueError(
            f"n_latents={n_latents!r}; expected 1 to {most}, the columns of the narrower table."
        )
    if not 0 <= signal < math.inf:
        raise ValueError(f"signal={signal!r}; expected a number of 0 or more.")
    fixed = np.random.default_rng(0)
    sides = [
        math.sqrt(signal) * np.linalg.qr(fixed.normal(size=(width, n_latents)))[0].T
        for width in (n_features_x, n_features_y)
    ]

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        latents = rng.normal(size=(n, n_latents))
        X, Y = (latents @ side + rng.normal(size=(n, side.shape[1])) for side in sides)
        return X, Y

    true_mi = n_latents / 2 * (2 * math.log1p(signal) - math.log1p(2 * signal))
    name = f"low-rank-{n_features_x}-{n_features_y}-{n_latents}-{signal}"
    return KnownPairs(name, true_mi, draw)


def autoregressive_pairs(phi: float = 0.9, correlation: float = 0.6) -> KnownPairs:
    r"""Return two series whose rows depend on one another: autoregressive, of order 1.

    :math:`x_t = \phi x_{t-1} + \sqrt{1 - \phi^2} \, u_t`, and y likewise by v; u and v are standard
    normal with correlation :math:`\rho`, in pairs independent of all others. The series start in
    their stationary distribution, so that in every row x and y are standard normal with correlation
    :math:`\rho`, and the information of a row is

    .. math:: I = -\tfrac12 \log(1 - \rho^2)

    On the correlation of independent series n rows tell about as much as
    :math:`n (1 - \phi^2) / (1 + \phi^2)` independent ones.

    Parameters
    ----------
    phi : float, default=0.9
        :math:`\phi`, between -1 and 1.
    correlation : float, default=0.6
        :math:`\rho`, between -1 and 1; at 0 the series are independent.

    Returns
    -------
    pairs : KnownPairs

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    Some Aspects of the Time-Correlation Problem in Regard to Tests of Significance (Bartlett, 1935)

    Examples
    --------
    >>> from sklearn_mi.datasets import autoregressive_pairs
    >>> print(f"{autoregressive_pairs(0.99, 0.6).true_mi:.4f}")
    0.2231
    """
    check_correlation("phi", phi)
    check_correlation("correlation", correlation)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        from scipy.signal import lfilter  # slow to import

        u, noise = rng.normal(size=(2, n, 1))
        v = correlation * u + math.sqrt(1 - correlation**2) * noise
        steps = math.sqrt(1 - phi**2) * np.stack([u, v])
        steps[:, :1] /= math.sqrt(1 - phi**2)
        x, y = lfilter([1.0], [1.0, -phi], steps, axis=1)
        return x, y

    true_mi = -0.5 * math.log1p(-(correlation**2))
    return KnownPairs(f"autoregressive-{phi}-{correlation}", true_mi, draw)


def gaussian_staircase(
    levels: Sequence[float] = (2.0, 4.0, 6.0, 8.0, 10.0),
    n_features: int = 20,
    map: str = "identity",  # noqa: A002, what it is
) -> list[KnownPairs]:
    """Return correlated Gaussians of rising information.

    Parameters
    ----------
    levels : sequence of float
        True values in nats, shared evenly by pairs of columns.
    n_features : int, default=20
        Columns of X and of Y.
    map : {"identity", "cubic", "rotated cubic"}, default="identity"
        The map of Y: none; the columnwise cubic, which ranks undo; the rotated cubic, the cube of
        each column followed by a fixed rotation of all, which ranks do not undo.

    Returns
    -------
    steps : list of KnownPairs

    Raises
    ------
    ValueError
        If ``map`` is not a known name.

    References
    ----------
    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922

    Examples
    --------
    >>> from sklearn_mi.datasets import gaussian_staircase
    >>> [round(step.true_mi, 3) for step in gaussian_staircase()]
    [2.0, 4.0, 6.0, 8.0, 10.0]
    """
    from scipy.stats import ortho_group  # a second to import

    turn = ortho_group.rvs(n_features, random_state=0)
    maps = dict(zip(MAPS, (same, _cube, lambda y: _cube(y) @ turn), strict=True))
    if map not in maps:
        raise ValueError(f"map={map!r}; expected one of {', '.join(maps)}.")
    steps = []
    for level in levels:
        rho = _shared_evenly(level, n_features)
        correlation = np.kron([[1, rho], [rho, 1]], np.eye(n_features))
        step = gaussian_pairs(f"gaussian-{n_features}-{level}", correlation, n_features)
        steps.append(
            step
            if map == "identity"
            else step.mapped(map, same, maps[map], increasing=map == "cubic")
        )
    return steps


def same(rows: np.ndarray) -> np.ndarray:
    """Return rows as they are."""
    return rows


def _cube(rows: np.ndarray) -> np.ndarray:
    return rows**3
