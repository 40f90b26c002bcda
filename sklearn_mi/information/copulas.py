r"""Normal scores of columns, and copulas: log-ratios in closed form, without a network.

A strictly increasing map of a column does not change mutual information, so every column may first
be made standard normal (`NormalScores`). The dependence that remains is the copula. For two
families the log-ratio :math:`\log \frac{p(u, v)}{p(u) p(v)}` has a closed form: the Gaussian and
Student's t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, ndtr, ndtri
from scipy.stats import rankdata
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sklearn_mi._base import DocLinkMixin
from sklearn_mi.datasets import student_entropy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Copula",
    "GaussianRatio",
    "NormalScores",
    "StudentRatio",
    "canonical_correlations",
    "fit_gaussian",
    "fit_student",
]

DOF = (0.5, 200.0)
GRID = np.linspace(-8.0, 8.0, 4001)
LARGEST_CONDITION = 1e8
SCATTER_STEPS = 3
TAIL = 0.1


class NormalScores(DocLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Make every column standard normal by its ranks.

    .. math:: x \mapsto \Phi^{-1}\left(\frac{r(x) - 1/2}{n}\right)

    Ties share their mean rank. The map is linear between the fitted values and logarithmic beyond
    them, so it increases strictly everywhere. A step function would give different new rows the
    same value and lose information; clipping would do so in the tails.

    Use it for columns of numbers of any distribution, heavy tails included. Categories have no
    order, so it does not apply to them.

    Attributes
    ----------
    knots_ : list of tuple of ndarray
        The fitted values of each column and their normal scores.
    n_features_in_ : int

    See Also
    --------
    sklearn.preprocessing.QuantileTransformer : Clips values beyond the fitted ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information import NormalScores
    >>> X = np.random.default_rng(0).standard_cauchy((1000, 1))
    >>> Z = NormalScores().fit_transform(X)
    >>> print(f"{abs(Z).max():.1f} {Z.std():.1f}")
    3.3 1.0
    """

    knots_: list[tuple[np.ndarray, np.ndarray]]

    def fit(self, X: ArrayLike, y: Any = None) -> NormalScores:
        """Store the values of every column and their ranks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self : NormalScores
        """
        rows: Any = validate_data(self, X, dtype=np.float64)  # type: ignore[arg-type]
        self.knots_ = [_knots(column) for column in rows.T]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the normal scores of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        rows: Any = validate_data(self, X, dtype=np.float64, reset=False)  # type: ignore[arg-type]
        columns = [_extended(x, *knots) for x, knots in zip(rows.T, self.knots_, strict=True)]
        return np.stack(columns, axis=1)


def _knots(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, first = np.unique(column, return_index=True)
    return values, ndtri((rankdata(column)[first] - 0.5) / len(column))


def _extended(x: np.ndarray, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the normal scores of values, between the knots and beyond them."""
    z = np.interp(x, values, scores)
    spread = (values[-1] - values[0]) / max(scores[-1] - scores[0], 1.0) or 1.0
    beyond = np.maximum(x - values[-1], 0) - np.maximum(values[0] - x, 0)
    return z + TAIL * np.sign(beyond) * np.log1p(np.abs(beyond) / spread)


class Copula(nn.Module):
    """Base class of log-ratios in closed form, whose mutual information is known as well.

    Attributes
    ----------
    mi : float
        Mutual information under the fitted copula, corrected for the number of rows, in nats.
    """

    mi: float

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the log-ratio of every row of ``u`` with every row of ``v``.

        Parameters
        ----------
        u : Tensor of shape (n, d_x)
        v : Tensor of shape (m, d_y)

        Returns
        -------
        scores : Tensor of shape (n, m)
        """
        raise NotImplementedError

    def pairs(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the log-ratio of row i of ``u`` with row i of ``v``.

        Parameters
        ----------
        u : Tensor of shape (n, d_x)
        v : Tensor of shape (n, d_y)

        Returns
        -------
        scores : Tensor of shape (n,)
        """
        raise NotImplementedError

    def cells(self, u: Tensor, v: Tensor, columns: Tensor) -> Tensor:
        """Return the log-ratio of row i of ``u`` with the rows ``columns[i]`` of ``v``.

        Parameters
        ----------
        u : Tensor of shape (n, d_x)
        v : Tensor of shape (m, d_y)
        columns : Tensor of int of shape (n, k)

        Returns
        -------
        scores : Tensor of shape (n, k)
        """
        many = u.repeat_interleave(columns.shape[1], dim=0), v[columns.flatten()]
        return self.pairs(*many).view(columns.shape)


@dataclass(frozen=True)
class Canonical:
    """Directions of unit variance; each correlates with its partner and with no other.

    ``sample`` holds all correlations as they appear in the rows, those of noise included.
    """

    first: np.ndarray
    second: np.ndarray
    squared: np.ndarray
    sample: np.ndarray


def canonical_correlations(U: NDArray[Any], V: NDArray[Any], at_least: int = 0) -> Canonical:
    r"""Return the canonical directions above the noise, with bias-corrected correlations.

    With p and q columns, a population correlation :math:`\rho` appears in n rows as

    .. math:: r^2 = \frac{(\rho^2 (1 - a) + a)(\rho^2 (1 - b) + b)}{\rho^2},
        \quad a = p / n, \; b = q / n,

    if it exceeds the noise: independent tables reach :math:`r^2 = a + b - 2ab + 2
    \sqrt{ab (1 - a)(1 - b)}`. Directions below that edge are dropped, the others corrected.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_features_x)
    V : ndarray of shape (n_samples, n_features_y)
    at_least : int, default=0
        Keep at least this many directions, those of noise at half their correlation.

    Returns
    -------
    canonical : object
        ``first`` (n_features_x, k), ``second`` (n_features_y, k), ``squared`` (k,), the squared
        correlations, and ``sample``, all correlations without correction.

    References
    ----------
    Canonical Correlation Coefficients of High-Dimensional Gaussian Vectors: Finite Rank Case (Bao,
    Hu, Pan & Zhou, 2019), https://arxiv.org/abs/1704.02408
    """
    n = len(U)
    first, second = U - U.mean(0), V - V.mean(0)
    whiten_x, whiten_y = _inverse_root(first.T @ first / n), _inverse_root(second.T @ second / n)
    left, r, right = np.linalg.svd(
        whiten_x @ (first.T @ second / n) @ whiten_y, full_matrices=False
    )
    a, b = min(U.shape[1] / n, 0.49), min(V.shape[1] / n, 0.49)
    edge = a + b - 2 * a * b + 2 * math.sqrt(a * b * (1 - a) * (1 - b))
    # The largest noise correlation exceeds the edge by a relative n^(-2/3).
    kept = r**2 > edge * (1 + 2 * n ** (-2 / 3))
    noise = ~kept & (np.arange(len(r)) < at_least)
    kept |= noise
    squared = np.minimum(r[kept] ** 2, 1 - 1e-9)
    # rho^2 is the larger root of this quadratic.
    leading, middle = (1 - a) * (1 - b), a + b - 2 * a * b - squared
    rho = (-middle + np.sqrt(np.maximum(middle**2 - 4 * leading * a * b, 0))) / (2 * leading)
    rho = np.where(noise[kept], squared / 4, rho)
    return Canonical(whiten_x @ left[:, kept], whiten_y @ right[kept].T, rho, np.clip(r, 0, 1))


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    # A constant column or a copy of another adds no direction.
    small = values < 1e-10 * max(values.max(), 1e-300)
    return vectors * np.where(small, 0.0, 1 / np.sqrt(np.where(small, 1.0, values))) @ vectors.T


class GaussianRatio(Copula):
    r"""The log-ratio of a Gaussian copula, over canonical directions.

    .. math::

        \sum_k -\tfrac12 \log(1 - \rho_k^2)
        - \frac{\rho_k^2 (a_k^2 + b_k^2) - 2 \rho_k a_k b_k}{2 (1 - \rho_k^2)}

    Its information is :math:`-\frac12 \sum_k \log(1 - \rho_k^2)`.

    Parameters
    ----------
    canonical : object
        From `canonical_correlations`.
    """

    def __init__(self, canonical: Canonical) -> None:
        super().__init__()
        squared = torch.as_tensor(canonical.squared)
        self.register_buffer("first", torch.as_tensor(canonical.first))
        self.register_buffer("second", torch.as_tensor(canonical.second))
        self.register_buffer("own", squared / (2 * (1 - squared)))
        self.register_buffer("shared", squared.sqrt() / (1 - squared))
        self.mi = float(-0.5 * torch.log1p(-squared).sum())

    def _parts(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a, b = u @ self.first.to(u.dtype), v @ self.second.to(u.dtype)  # type: ignore[operator]
        own = self.own.to(u.dtype)  # type: ignore[union-attr]
        return a * self.shared.to(u.dtype), b, a.square() @ own, b.square() @ own  # type: ignore

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the log-ratio of every pair of rows; see `Copula.forward`."""
        a, b, own_a, own_b = self._parts(u, v)
        return self.mi + a @ b.T - own_a[:, None] - own_b[None, :]

    def pairs(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the log-ratio of partners; see `Copula.pairs`."""
        a, b, own_a, own_b = self._parts(u, v)
        return self.mi + (a * b).sum(1) - own_a - own_b


def fit_gaussian(U: NDArray[Any], V: NDArray[Any], at_least: int = 0) -> GaussianRatio:
    """Return the Gaussian copula of two tables of normal scores.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_features_x)
    V : ndarray of shape (n_samples, n_features_y)
    at_least : int, default=0
        As for `canonical_correlations`.

    Returns
    -------
    ratio : GaussianRatio

    Examples
    --------
    >>> from sklearn_mi.information.copulas import fit_gaussian
    >>> from sklearn_mi.datasets import correlated_gaussian
    >>> X, Y, true_mi = correlated_gaussian(5000, 20, true_mi=6.0, random_state=0)
    >>> bool(abs(fit_gaussian(X, Y).mi - true_mi) < 0.2)
    True
    """
    return GaussianRatio(canonical_correlations(U, V, at_least))


class StudentRatio(Copula):
    r"""The log-ratio of a t copula: correlated columns that also share a random scale.

    With d columns, dispersion R and :math:`\nu` degrees of freedom, all after
    :math:`t = t_\nu^{-1}(\Phi(u))`,

    .. math:: \log t_{\nu, R}(t_x, t_y) - \log t_{\nu, R_{xx}}(t_x) - \log t_{\nu, R_{yy}}(t_y).

    Its information is that of a Gaussian with R plus a term in :math:`\nu` and the widths.

    Parameters
    ----------
    dispersion : ndarray of shape (d_x + d_y, d_x + d_y)
    d_x : int
    dof : float
    gaussian_mi : float
        Mutual information of a Gaussian with this dispersion, in nats.
    """

    def __init__(self, dispersion: np.ndarray, d_x: int, dof: float, gaussian_mi: float) -> None:
        super().__init__()
        self.dof, self.d_x, self.d_y = dof, d_x, len(dispersion) - d_x
        whole = np.linalg.inv(dispersion)
        sides = [dispersion[:d_x, :d_x], dispersion[d_x:, d_x:]]
        roots = {
            "joint_x": whole[:d_x, :d_x],
            "joint_y": whole[d_x:, d_x:],
            "cross": whole[:d_x, d_x:],
            "alone_x": np.linalg.inv(sides[0]),
            "alone_y": np.linalg.inv(sides[1]),
        }
        for name, matrix in roots.items():
            self.register_buffer(name, torch.as_tensor(matrix))
        self.register_buffer("grid", torch.as_tensor(_heavy_grid(dof)))
        entropies = [student_entropy(d, dof) for d in (d_x, self.d_y, len(dispersion))]
        self.mi = gaussian_mi + entropies[0] + entropies[1] - entropies[2]
        volumes = [_log_volume(d, dof) for d in (len(dispersion), d_x, self.d_y)]
        determinants = [np.linalg.slogdet(m)[1] / 2 for m in (dispersion, *sides)]
        parts = np.subtract(volumes, determinants)
        self.constant = float(parts[0] - parts[1] - parts[2])

    def _heavy(self, u: Tensor) -> Tensor:
        """Map normal scores to Student's t by interpolation: torch has no t quantiles."""
        grid: Any = self.grid.to(u.dtype)  # type: ignore[operator]
        place = (u.clamp(-8.0, 8.0) + 8.0) * 250.0
        below = place.floor().clamp(max=3999.0)
        share, below = place - below, below.long()
        return torch.lerp(grid[below], grid[below + 1], share)

    def _side(self, t: Tensor, joint: Any, alone: Any) -> tuple[Tensor, Tensor]:
        """Return one side's part of the joint quadratic form and of the log-density."""
        joint_form = ((t @ joint.to(t.dtype)) * t).sum(1)
        alone_form = ((t @ alone.to(t.dtype)) * t).sum(1)
        kernel = (self.dof + t.shape[1]) / 2 * torch.log1p(alone_form / self.dof)
        return joint_form, kernel

    def _parts(self, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        x, y = self._heavy(u), self._heavy(v)
        joint_x, kernel_x = self._side(x, self.joint_x, self.alone_x)
        joint_y, kernel_y = self._side(y, self.joint_y, self.alone_y)
        return x @ self.cross.to(u.dtype), y, joint_x, joint_y, kernel_x, kernel_y  # type: ignore

    def _ratio(self, form: Tensor, kernels: Tensor) -> Tensor:
        power = (self.dof + self.d_x + self.d_y) / 2
        return self.constant + kernels - power * torch.log1p(form.clamp(min=0) / self.dof)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the log-ratio of every pair of rows; see `Copula.forward`."""
        x, y, joint_x, joint_y, kernel_x, kernel_y = self._parts(u, v)
        form = joint_x[:, None] + joint_y[None, :] + 2 * x @ y.T
        return self._ratio(form, kernel_x[:, None] + kernel_y[None, :])

    def pairs(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the log-ratio of partners; see `Copula.pairs`."""
        x, y, joint_x, joint_y, kernel_x, kernel_y = self._parts(u, v)
        return self._ratio(joint_x + joint_y + 2 * (x * y).sum(1), kernel_x + kernel_y)


def _heavy_grid(dof: float) -> np.ndarray:
    """Return the t quantiles of a grid of normal scores."""
    return student_t.ppf(ndtr(GRID), dof)


def _log_volume(d: int, dof: float) -> float:
    """Return the log of the normalising constant of a d-dimensional t density."""
    return float(gammaln((dof + d) / 2) - gammaln(dof / 2) - d / 2 * math.log(dof * math.pi))


def _log_density(T: np.ndarray, precision: np.ndarray, log_det: float, dof: float) -> np.ndarray:
    d = T.shape[1]
    form = ((T @ precision) * T).sum(1)
    return _log_volume(d, dof) - log_det / 2 - (dof + d) / 2 * np.log1p(form / dof)


def fit_student(U: NDArray[Any], V: NDArray[Any]) -> StudentRatio:
    r"""Return the t copula of two tables of normal scores.

    With the correlation of the normal scores as dispersion R, :math:`\nu` maximises the likelihood
    of the copula between 0.5 and 200. Heavy tails make that correlation too small. So R becomes the
    maximum of the likelihood of d columns :math:`t = t_\nu^{-1}(\Phi(u))`, in three steps of

    .. math:: R \leftarrow \frac1n \sum_i \frac{\nu + d}{\nu + t_i^T R^{-1} t_i} \, t_i t_i^T,

    scaled to ones on its diagonal; between the tables only what is above the noise is kept.

    Parameters
    ----------
    U : ndarray of shape (n_samples, n_features_x)
    V : ndarray of shape (n_samples, n_features_y)

    Returns
    -------
    ratio : StudentRatio

    Raises
    ------
    LinAlgError
        If a column is a linear combination of others: such rows have no density.

    References
    ----------
    ML Estimation of the t Distribution Using EM and Its Extensions, ECM and ECME (Liu & Rubin,
    1995)

    Examples
    --------
    >>> from sklearn_mi.datasets import student_pairs
    >>> from sklearn_mi.information import NormalScores
    >>> from sklearn_mi.information.copulas import fit_student
    >>> pairs = student_pairs("", 2, 2, dof=1)
    >>> X, Y = (NormalScores().fit_transform(A) for A in pairs.sample(5000, random_state=0))
    >>> bool(abs(fit_student(X, Y).mi - pairs.true_mi) < 0.05)
    True
    """
    d_x, W = U.shape[1], np.hstack([U, V])
    canonical = canonical_correlations(U, V)
    dispersion = _dispersion(U, V, canonical)
    dof = _likeliest_dof(W, dispersion)
    T = np.interp(W, GRID, _heavy_grid(dof))
    for _ in range(SCATTER_STEPS):
        form = ((T @ _precision(dispersion)) * T).sum(1)
        rows = T * np.sqrt((dof + T.shape[1]) / (dof + form))[:, None]
        sides = rows[:, :d_x], rows[:, d_x:]
        canonical = canonical_correlations(*sides)
        dispersion = _dispersion(*sides, canonical)
    mi = float(-0.5 * np.log1p(-canonical.squared).sum())
    return StudentRatio(dispersion, d_x, dof, mi)


def _precision(dispersion: np.ndarray) -> np.ndarray:
    if not np.linalg.cond(dispersion) < LARGEST_CONDITION:
        raise np.linalg.LinAlgError(
            "Columns that are linear combinations of others have no density; drop them."
        )
    return np.linalg.inv(dispersion)


def _likeliest_dof(W: np.ndarray, dispersion: np.ndarray) -> float:
    """Return the degrees of freedom of a t copula of normal scores with this dispersion."""
    precision, log_det = _precision(dispersion), np.linalg.slogdet(dispersion)[1]

    def minus_likelihood(log_dof: float) -> float:
        dof = math.exp(log_dof)
        T = np.interp(W, GRID, _heavy_grid(dof))
        marginal = _log_volume(1, dof) - (dof + 1) / 2 * np.log1p(T**2 / dof)
        return -float((_log_density(T, precision, log_det, dof) - marginal.sum(1)).mean())

    found: Any = minimize_scalar(
        minus_likelihood, bounds=np.log(DOF), method="bounded", options={"xatol": 0.02}
    )
    return math.exp(found.x)


def _dispersion(U: np.ndarray, V: np.ndarray, canonical: Canonical) -> np.ndarray:
    """Return the correlation of all columns; between the tables only that above the noise."""
    scale_x, scale_y = (np.maximum(A.std(0), 1e-12) for A in (U, V))
    xx, yy = (
        (A - A.mean(0)).T @ (A - A.mean(0)) / len(A) / np.outer(s, s)
        for A, s in ((U, scale_x), (V, scale_y))
    )
    first = xx @ (canonical.first * scale_x[:, None])
    second = yy @ (canonical.second * scale_y[:, None])
    xy = first * np.sqrt(canonical.squared) @ second.T
    return np.block([[xx, xy], [xy.T, yy]])
