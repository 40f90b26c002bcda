"""Data for examples and studies: plain arrays, and pairs whose mutual information is known."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma, gammaln, ndtr, ndtri, rel_entr
from sklearn.datasets import get_data_home

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Generator, Tensor

__all__ = [
    "KnownPairs",
    "additive_uniform_pairs",
    "beyond_normal",
    "correlated_gaussian",
    "data_home",
    "discrete_continuous_pairs",
    "discrete_pairs",
    "fetch_cifar10",
    "fetch_mnist",
    "gaussian_pairs",
    "gaussian_staircase",
    "independent_pairs",
    "student_pairs",
    "toy_ceiling",
    "toy_pairs",
    "toy_true_mi",
]

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Transform = Callable[[np.ndarray], np.ndarray]


def data_home() -> Path:
    """Return the folder that holds fetched data.

    Returns
    -------
    folder : Path
        ``$SKLEARN_MI_DATA``, or ``sklearn_mi`` in scikit-learn's own data folder.
    """
    named = os.environ.get("SKLEARN_MI_DATA")
    return Path(named) if named else Path(get_data_home()) / "sklearn_mi"


def fetch_mnist() -> Arrays:
    """Return MNIST, downloaded by torchvision on first use.

    Returns
    -------
    X_train : ndarray of shape (60000, 28, 28), uint8
    y_train : ndarray of shape (60000,)
    X_test : ndarray of shape (10000, 28, 28), uint8
    y_test : ndarray of shape (10000,)

    Raises
    ------
    OSError
        If the data are not in the folder of `data_home` and cannot be downloaded.
    """
    return _fetch("mnist", "MNIST")


def fetch_cifar10() -> Arrays:
    """Return CIFAR10, downloaded by torchvision on first use.

    Returns
    -------
    X_train : ndarray of shape (50000, 32, 32, 3), uint8
    y_train : ndarray of shape (50000,)
    X_test : ndarray of shape (10000, 32, 32, 3), uint8
    y_test : ndarray of shape (10000,)

    Raises
    ------
    OSError
        If the data are not in the folder of `data_home` and cannot be downloaded.
    """
    return _fetch("cifar10", "CIFAR10")


def _fetch(name: str, dataset: str) -> Arrays:
    """Read ``name.npz`` from the data folder; download the data first if it is not there."""
    path = data_home() / f"{name}.npz"
    if not path.exists():
        _download(dataset, path)
    with np.load(path) as file:
        return file["x_train"], file["y_train"], file["x_test"], file["y_test"]


def _download(dataset: str, path: Path) -> None:
    import torchvision

    path.parent.mkdir(parents=True, exist_ok=True)
    source = getattr(torchvision.datasets, dataset)
    try:
        parts = [source(path.parent / "raw", train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"{dataset} is not in {path} and could not be downloaded ({error}); set "
            f"SKLEARN_MI_DATA to a folder that holds {path.name}."
        ) from error
    arrays = [np.asarray(array) for part in parts for array in (part.data, part.targets)]
    np.savez_compressed(
        path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True))
    )


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


# Covariances of x and y: of the part that a dependent batch shares, and of each pair's own part.
_SHARED, _OWN = -0.5, 0.9


def toy_pairs(n: int, *, iid: bool = True, generator: Generator) -> tuple[Tensor, Tensor]:
    r"""Return a batch of Gaussian pairs, to show how dependent pairs break a bound.

    A pair is :math:`(x, y) = z + \epsilon`; z and :math:`\epsilon` are Gaussian with unit
    variances and covariances -0.5 and 0.9. Dependent pairs share one z in each batch; independent
    ones draw their own. Either way each pair has the same distribution, with the mutual information
    `toy_true_mi`.

    Parameters
    ----------
    n : int
        Number of pairs in the batch.
    iid : bool, default=True
        Whether each pair draws its own z.
    generator : torch.Generator
        The only source of randomness. The batch is on its device.

    Returns
    -------
    x, y : Tensor of shape (n, 1)

    See Also
    --------
    toy_ceiling : What InfoNCE on dependent batches bounds instead.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020),
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    As a view, with a new batch at every step whatever the rows:

    >>> import torch
    >>> from sklearn_mi.datasets import toy_pairs
    >>> from sklearn_mi.views import Function
    >>> view = Function(lambda x, g: toy_pairs(len(x), iid=False, generator=g))
    >>> x, y = view(torch.zeros(128, 1), None, None, torch.Generator().manual_seed(0))
    >>> x.shape
    torch.Size([128, 1])
    """
    import torch

    shared = torch.randn(n if iid else 1, 2, generator=generator, device=generator.device)
    own = torch.randn(n, 2, generator=generator, device=generator.device)
    x = shared[:, :1] + own[:, :1]
    y = (
        _SHARED * shared[:, :1]
        + math.sqrt(1 - _SHARED**2) * shared[:, 1:]
        + _OWN * own[:, :1]
        + math.sqrt(1 - _OWN**2) * own[:, 1:]
    )
    return x, y


def toy_true_mi() -> float:
    """Return the mutual information of one pair of `toy_pairs`.

    Returns
    -------
    true_mi : float
        In nats.

    Examples
    --------
    >>> from sklearn_mi.datasets import toy_true_mi
    >>> print(f"{toy_true_mi():.4f}")
    0.0204
    """
    return toy_ceiling(1)


def toy_ceiling(n: int) -> float:
    r"""Return the information that InfoNCE on dependent batches of `toy_pairs` bounds from below.

    It is :math:`I(x_1, \dots, x_n; y_i)`, the information of the whole batch of x about one y:
    the other pairs help to guess the z that all share. It exceeds `toy_true_mi`, so InfoNCE is no
    longer a lower bound on that.

    Parameters
    ----------
    n : int
        Number of pairs in the batch.

    Returns
    -------
    ceiling : float
        In nats.

    Raises
    ------
    ValueError
        If n is not positive.

    Examples
    --------
    >>> from sklearn_mi.datasets import toy_ceiling
    >>> print(f"{toy_ceiling(128):.4f}")
    0.3695
    """
    if n < 1:
        raise ValueError(f"n={n}; expected a positive number of pairs.")
    joint = np.ones((n + 1, n + 1)) + np.eye(n + 1)
    joint[-1, :-1] = joint[:-1, -1] = _SHARED
    joint[-1, 0] = joint[0, -1] = _SHARED + _OWN
    parts = np.linalg.slogdet(joint[:-1, :-1])[1] + math.log(joint[-1, -1])
    return float(parts - np.linalg.slogdet(joint)[1]) / 2


@dataclass(frozen=True)
class KnownPairs:
    r"""A distribution of pairs whose mutual information is known in closed form.

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
        X : ndarray of shape (n_samples, n_features_x)
        Y : ndarray of shape (n_samples, n_features_y)
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
    map : {"identity", "cubic", "rotated cubic"}
        The map of Y: none; the cube of each column, which ranks undo; the cube followed by a fixed
        rotation, which ranks do not undo.

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
    maps = {"identity": _same, "cubic": _cube, "rotated cubic": lambda y: _cube(y) @ turn}
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
            else step.mapped(map, _same, maps[map], increasing=map == "cubic")
        )
    return steps


def _same(rows: np.ndarray) -> np.ndarray:
    return rows


def _cube(rows: np.ndarray) -> np.ndarray:
    return rows**3


def _half_cube(rows: np.ndarray) -> np.ndarray:
    return rows * np.sqrt(np.abs(rows))


def _wiggly_x(x: np.ndarray) -> np.ndarray:
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def _wiggly_y(y: np.ndarray) -> np.ndarray:
    return y - 0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)


def _two_modes(left: float, right: float, share: float) -> Transform:
    """Return the map from a standard normal to a mixture of two, of equal widths."""
    grid = np.linspace(left - 9, right + 9, 20_001)
    # Computed from the nearer tail: close to 1 a distribution function has lost its digits.
    below = share * ndtr(grid - left) + (1 - share) * ndtr(grid - right)
    above = share * ndtr(left - grid) + (1 - share) * ndtr(right - grid)
    normal = np.where(below < 0.5, ndtri(below), -ndtri(above))
    return lambda rows: np.interp(rows, normal, grid)


def _swiss_roll(x: np.ndarray) -> np.ndarray:
    angle = 1.5 * math.pi * (1 + 2 * x)
    return np.hstack([angle * np.cos(angle), angle * np.sin(angle)]) / 21


def _spiral(i: int, j: int) -> Transform:
    """Return a rotation of columns i and j by the squared norm of a row over its width."""

    def turn(rows: np.ndarray) -> np.ndarray:
        angle = (rows**2).sum(1) / rows.shape[1]
        turned = rows.copy()
        turned[:, i] = np.cos(angle) * rows[:, i] - np.sin(angle) * rows[:, j]
        turned[:, j] = np.sin(angle) * rows[:, i] + np.cos(angle) * rows[:, j]
        return turned

    return turn


def _dense(d: int) -> KnownPairs:
    correlation = 0.5 * (np.eye(2 * d) + 1)
    return gaussian_pairs(f"multinormal-dense-{d}-{d}-0.5", correlation, d)


def _two_pairs(d: int) -> KnownPairs:
    correlation = np.eye(2 * d)
    for k in range(2):
        correlation[k, d + k] = correlation[d + k, k] = 0.8
    return gaussian_pairs(f"multinormal-sparse-{d}-{d}-2-2.0", correlation, d)


def beyond_normal() -> dict[str, KnownPairs]:
    """Return the 40 distributions of the benchmark "Beyond Normal", under its names.

    The benchmark's packages are not needed. Only 26 distributions differ in their ranks
    (``under_ranks``). An estimator that uses ranks alone cannot tell the others from them.

    Returns
    -------
    tasks : dict of KnownPairs

    References
    ----------
    Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
    Beerenwinkel & Marx, 2023), https://arxiv.org/abs/2306.11078

    Examples
    --------
    >>> from sklearn_mi.datasets import beyond_normal
    >>> tasks = beyond_normal()
    >>> len(tasks), len({task.under_ranks or name for name, task in tasks.items()})
    (40, 26)
    """
    normal = gaussian_pairs("1v1-normal-0.75", np.array([[1, 0.75], [0.75, 1]]), 1)
    uniform = normal.mapped("normal_cdf", ndtr)
    student = {
        (d, dof): student_pairs(f"student-identity-{d}-{d}-{dof}", d, d, dof)
        for d, dof in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
    }
    bimodal = normal.mapped("bimodal", _two_modes(0, 5, 0.3), _two_modes(-1, 3, 0.5))
    pairs = {d: _two_pairs(d) for d in (2, 3, 5, 25)}
    turns = _spiral(0, 1), _spiral(1, 2)
    tasks = [
        normal,
        uniform,
        additive_uniform_pairs("1v1-additive-0.1", 0.1),
        additive_uniform_pairs("1v1-additive-0.75", 0.75),
        replace(bimodal, name="1v1-bimodal-0.75"),
        normal.mapped("wiggly", _wiggly_x, _wiggly_y),
        normal.mapped("half_cube", _half_cube),
        student[1, 1],
        uniform.mapped("swissroll_x", _swiss_roll, _same, increasing=False),
        *(_dense(d) for d in (2, 3, 5, 25, 50)),
        *pairs.values(),
        *(value for (d, _), value in student.items() if d > 1),
        *(student[key].mapped("asinh", np.arcsinh) for key in ((1, 1), (2, 1), (3, 2), (5, 2))),
    ]
    for d in (3, 5, 25):
        cdf = pairs[d].mapped("normal_cdf", ndtr)
        spiral = pairs[d].mapped("spiral", *turns, increasing=False)
        tasks += [cdf, pairs[d].mapped("half_cube", _half_cube), spiral]
        tasks.append(cdf.mapped("spiral", *turns, increasing=False))
    return {task.name: task for task in tasks}
