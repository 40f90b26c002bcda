"""Describe a representation without labels: geometry, spectrum, conditioning, columns that matter.

Functions of arrays that return one number. None of them is accuracy, and whether one predicts
accuracy has to be measured. Only `log_condition` takes a network, and `column_importance` a fitted
transformer.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.special import entr, logsumexp
from sklearn.cluster import KMeans
from sklearn.inspection import permutation_importance
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from sklearn_mi._base import positive_integer
from sklearn_mi._checks import check_codes, check_container, check_random_state, readable

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "alignment",
    "alpha_req",
    "cluster_stability",
    "column_importance",
    "effective_rank",
    "intrinsic_dimension",
    "log_condition",
    "uniformity",
]

_DOUBLES_AT_ONCE = 2**23
# The squares of larger numbers may be more than a float holds.
LARGEST_SQUARED = 1e100


def _directions(name: str, Z: ArrayLike, least_rows: int = 1) -> NDArray[np.float64]:
    return np.asarray(normalize(check_codes(name, Z, least_rows=least_rows)))


def alignment(Z: ArrayLike, Z_prime: ArrayLike, *, alpha: float = 2.0) -> float:
    r"""Return the mean distance between the codes of partners, on the unit sphere.

    .. math:: \frac{1}{n} \sum_i \lVert z_i - z'_i \rVert^\alpha,
        \quad \lVert z_i \rVert = \lVert z'_i \rVert = 1

    Partners are the two views of a row. At the default power, alignment is 0 for partners of equal
    direction and 4 for opposite ones; unrelated codes give 2 on average. Collapsed codes, all
    equal, are perfectly aligned, so read it together with :func:`uniformity`.

    Parameters
    ----------
    Z, Z_prime : array-like of shape (n_rows, n_components)
        Codes of the two views, row by row. They are scaled to unit norm here; a row of zeros
        stays as it is.
    alpha : float
        Power of the distance.

    Returns
    -------
    alignment : float
        Smaller is closer.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere (Wang & Isola, 2020). https://arxiv.org/abs/2005.10242

    Examples
    --------
    >>> from sklearn_mi.diagnostics import alignment
    >>> round(alignment([[2, 0], [0, 1]], [[0, 3], [0, 5]]), 6)  # at a right angle, and equal
    1.0
    """
    U, U_prime = _directions("Z", Z), _directions("Z_prime", Z_prime)
    if U.shape != U_prime.shape:
        raise ValueError(
            f"Z has shape {U.shape} and Z_prime {U_prime.shape}; expected equal shapes, with the "
            "partner of row i in row i."
        )
    return float(np.mean(np.linalg.norm(U - U_prime, axis=1) ** alpha))


def uniformity(Z: ArrayLike, t: float = 2.0, *, chunk_size: int = 1024) -> float:
    r"""Return how evenly codes spread over the unit sphere: a log mean Gaussian potential.

    .. math:: \log \frac{2}{n (n - 1)} \sum_{i < j} e^{-t \lVert z_i - z_j \rVert^2},
        \quad \lVert z_i \rVert = 1

    It is 0 if all codes have one direction, falls as they spread more evenly, and is never below
    ``-4 t``. It does not tell signal from noise: noise is uniform, too.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes. They are scaled to unit norm here; a row of zeros stays as it is.
    t : float
        Sharpness of the potential.
    chunk_size : int
        Number of rows compared with all others at a time. Memory is ``chunk_size * n_rows``
        numbers; time grows with ``n_rows`` squared.

    Returns
    -------
    uniformity : float
        Smaller is more uniform.

    References
    ----------
    Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere (Wang & Isola, 2020). https://arxiv.org/abs/2005.10242

    Examples
    --------
    >>> from sklearn_mi.diagnostics import uniformity
    >>> uniformity([[1, 0], [-2, 0]])  # one pair, at distance 2
    -8.0
    """
    U = _directions("Z", Z, least_rows=2)
    n = len(U)
    chunks: list[float] = []
    for start in range(0, n - 1, chunk_size):
        squared = euclidean_distances(U[start : start + chunk_size], U[start + 1 :], squared=True)
        # Cell (i, j) is the pair (start + i, start + 1 + j): i <= j keeps each pair once.
        once = ~np.tri(*squared.shape, k=-1, dtype=bool)
        chunks.append(float(np.asarray(logsumexp(-t * squared[once]))))
    return float(np.asarray(logsumexp(chunks))) - math.log(n * (n - 1) / 2)


def effective_rank(Z: ArrayLike) -> float:
    r"""Return the effective number of directions that codes use, also known as RankMe.

    .. math:: \exp \Bigl( -\sum_k p_k \log p_k \Bigr), \quad p_k = \sigma_k / \sum_l \sigma_l

    The :math:`\sigma_k` are the singular values of the codes. If they are all equal, the effective
    rank is their number; if only one is not zero, it is 1. Codes that are all zero give 0. Columns
    are not centred, so a large common offset counts as a dominant direction; subtract the mean to
    leave it out. A high rank is not quality: noise has full rank.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes. The rank cannot exceed the number of rows.

    Returns
    -------
    rank : float
        From 1 to ``min(n_rows, n_components)``; 0 for codes that are all zero.

    References
    ----------
    The Effective Rank: A Measure of Effective Dimensionality (Roy & Vetterli, 2007).

    RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations by
    Their Rank (Garrido, Balestriero, Najman & LeCun, 2023). https://arxiv.org/abs/2210.02885

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.diagnostics import effective_rank
    >>> round(effective_rank(np.diag([5.0, 5.0, 5.0, 0.0])), 6)
    3.0
    """
    singular = np.linalg.svd(check_codes("Z", Z), compute_uv=False)
    total = singular.sum()
    return float(np.exp(entr(singular / total).sum())) if total > 0 else 0.0


def alpha_req(Z: ArrayLike, *, first: int = 11, last: int | None = 100) -> float:
    r"""Return the exponent of the power law that the codes' covariance spectrum follows.

    A large exponent means that few directions hold nearly all of the variance; near 0 all
    directions are alike. Its authors found features best near 1.

    The exponent is the slope of :math:`-\log \lambda_i` on :math:`\log i`, over the ranks ``first``
    to ``last`` of the eigenvalues :math:`\lambda_1 \ge \lambda_2 \ge \dots`. Least squares with
    weights :math:`1/i` fit the line, so that equal lengths of the logarithmic axis count alike. The
    first ranks are left out, since spectra bend there.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes; their columns are centred here. Use many more rows than components: with few rows,
        sampling alone bends the tail down.
    first, last : int, int or None
        The line is fitted to these ranks and those between, counted from 1. ``None``, or a rank
        beyond the last eigenvalue, means all. Exponents from different ranks cannot be compared.

    Returns
    -------
    alpha : float
        The exponent; nan if fewer than two eigenvalues within these ranks exceed rounding error,
        as with codes that have collapsed or have too few components.

    Raises
    ------
    ValueError
        If ``first`` is not positive.

    References
    ----------
    alpha-ReQ: Assessing Representation Quality in Self-Supervised Learning by Measuring
    Eigenspectrum Decay (Agrawal, Mondal, Ghosh & Richards, 2022).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.diagnostics import alpha_req
    >>> Z = np.random.default_rng(0).normal(size=(5000, 50)) / np.arange(1, 51)
    >>> round(alpha_req(Z), 1)  # standard deviations 1/i, variances i^-2
    2.0
    """
    if first < 1:
        raise ValueError(f"first={first!r}; expected a positive integer.")
    Z = check_codes("Z", Z, least_rows=2)
    # Relative to the codes before centring, whose rounding errors are what constant codes leave.
    rounding = max(Z.shape) * np.finfo(float).eps * np.linalg.norm(Z)
    singular = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False)
    n_varying = int(np.sum(singular > rounding))
    ranks = np.arange(first, min(n_varying, last or n_varying) + 1)
    if len(ranks) < 2:
        return math.nan
    log_variance = 2 * np.log(singular[ranks - 1])
    # polyfit squares its weights.
    slope, _ = np.polyfit(np.log(ranks), log_variance, 1, w=ranks**-0.5)
    return -float(slope)


def cluster_stability(
    Z: ArrayLike,
    *,
    n_clusters: int = 10,
    n_splits: int = 5,
    n_init: int = 3,
    random_state: int | np.random.RandomState | None = 0,
) -> float:
    """Return how well two clusterings agree that were fitted to disjoint halves of the rows.

    The rows are halved at random. k-means is fitted to each half and labels all rows, and the
    adjusted Rand index compares the two labellings. The result is the mean over several splits: 1
    if both halves give the same clusters, near 0 if clusters depend on the sample. Codes that have
    collapsed to one point are stable, too. Columns with a large spread count more; scale them
    first if that is not meant.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes.
    n_clusters : int
        Number of clusters: the number of classes, if known. Stabilities at different numbers
        cannot be compared.
    n_splits : int
        Number of random halvings.
    n_init : int
        Number of starts of each k-means; the best is kept.
    random_state : int, RandomState or None
        Draws halves and starts.

    Returns
    -------
    stability : float
        Mean adjusted Rand index, at most 1.

    Raises
    ------
    ValueError
        If half of the rows are fewer than the clusters, or ``Z`` is not a table of finite numbers.

    References
    ----------
    Stability-Based Validation of Clustering Solutions (Lange, Roth, Braun & Buhmann, 2004).

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_mi.diagnostics import cluster_stability
    >>> Z, _ = make_blobs(200, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    >>> cluster_stability(Z, n_clusters=3)
    1.0
    """
    Z = check_codes("Z", Z)
    if len(Z) // 2 < n_clusters:
        raise ValueError(
            f"n_clusters={n_clusters!r} with {len(Z)} rows; expected at most {len(Z) // 2}, the "
            "number of rows in a half."
        )
    generator = check_random_state(random_state)
    agreements = []
    for _ in range(n_splits):
        halves = np.array_split(generator.permutation(len(Z)), 2)
        seeds = generator.randint(2**31 - 1, size=2)
        labels = [
            KMeans(n_clusters, n_init=cast(Any, n_init), random_state=seed).fit(Z[half]).predict(Z)
            for half, seed in zip(halves, seeds.tolist(), strict=True)
        ]
        agreements.append(adjusted_rand_score(*labels))
    return float(np.mean(agreements))


def intrinsic_dimension(Z: ArrayLike, *, discard: float = 0.1) -> float:
    r"""Return the intrinsic dimension of codes near each row, by the estimator TwoNN.

    It is the number of directions in which codes vary locally: 2 for a curved sheet, however many
    directions the whole sheet extends in. Those are what :func:`effective_rank` counts.

    With :math:`\mu = r_2 / r_1`, the distance from a row to its second neighbour over that to its
    first, :math:`-\log (1 - F(\mu)) = d \log \mu` wherever the density changes little within
    :math:`r_2`. The dimension d is the slope of the line through the origin, by least squares,
    with the empirical distribution for F.

    It measures the smallest scale: noise of full dimension around a sheet counts as soon as
    neighbours lie closer than the noise. It underestimates many dimensions, since too few rows
    fill them. With 2,000 rows it finds about 4.7 for a cube of 5 dimensions. For one of 20 it
    finds 15.

    Parameters
    ----------
    Z : array-like of shape (n_rows, n_components)
        Codes. Rows that repeat an earlier one are left out. Columns with a large spread count more.
    discard : float
        Share of the rows that the line ignores: outliers, those with the largest :math:`\mu`.

    Returns
    -------
    dimension : float
        0 if fewer than three rows are distinct; infinite if, for all rows in the fit, both
        neighbours are equally far, as on a lattice.

    Raises
    ------
    ValueError
        If ``discard`` is not above 0 and below 1, or there are fewer than three rows.

    References
    ----------
    Estimating the Intrinsic Dimension of Datasets by a Minimal Neighborhood Information (Facco,
    d'Errico, Rodriguez & Laio, 2017), Scientific Reports 7.
    https://doi.org/10.1038/s41598-017-11873-y

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.diagnostics import intrinsic_dimension
    >>> angle, height = np.random.default_rng(0).uniform(0, 9, size=(2, 2000))
    >>> roll = np.c_[angle * np.cos(angle), height, angle * np.sin(angle)]
    >>> round(intrinsic_dimension(roll), 1)
    2.0
    """
    if not 0 < discard < 1:
        raise ValueError(f"discard={discard!r}; expected a share above 0 and below 1.")
    codes = np.unique(check_codes("Z", Z, least_rows=3), axis=0)
    n = len(codes)
    if n < 3:
        return 0.0
    if (largest := np.abs(codes).max()) > LARGEST_SQUARED:
        codes = codes / largest
    nearest = NearestNeighbors(n_neighbors=2).fit(codes).kneighbors(return_distance=False)
    # From differences again: the search uses inner products, which round small distances.
    r1, r2 = np.sort(np.linalg.norm(codes[nearest] - codes[:, None], axis=2), axis=1).T
    log_mu = np.sort(np.log(r2 / r1))
    n_kept = max(1, min(n - 1, int(n * (1 - discard))))
    x, y = log_mu[:n_kept], -np.log1p(-np.arange(1, n_kept + 1) / n)
    return float(x @ y / (x @ x)) if x.any() else math.inf


def column_importance(
    learner: Any,
    X: Any,
    *,
    X_pair: Any = None,
    groups: ArrayLike | None = None,
    n_repeats: int = 5,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    r"""Return how much the code and the bound depend on each column, by permuting the column.

    The values of a column are permuted among the rows, and the rows are encoded again:

    .. math:: \text{code}_j = \frac{\sum_i \lVert z_i - z_i^{(j)} \rVert^2}
        {2 \sum_i \lVert z_i - \bar z \rVert^2}, \quad
        \text{bound}_j = \text{score}(X) - \text{score}(X^{(j)})

    The first is 0 if the column does not move the code and 1 if it moves it as far as the code of
    another row. The second is the loss of the held-out bound, in nats. Columns that tell the same
    replace each other, so each of them may matter little. Views of one table see the same permuted
    values; with a second table only ``X`` is permuted.

    Parameters
    ----------
    learner : transformer
        Anything with ``transform``, fitted, such as `MIRepresentationLearner` or a Pipeline.
    X : array-like or data frame of shape (n_samples, n_features)
        Rows that the fit did not see. Each column takes ``n_repeats`` passes over them.
    X_pair : array-like of shape (n_samples, n_features_pair), or list of them, optional
        Partners of the rows, for the learner's ``score``.
    groups : array-like of shape (n_samples,), optional
        For the learner's ``score``.
    n_repeats : int
        Number of permutations of each column.
    random_state : int, RandomState or None
        Draws the permutations.
    n_jobs : int, optional
        Number of joblib's processes; a task is a column.

    Returns
    -------
    table : DataFrame
        A row for each column of ``X``, under its name, with ``code``, ``code_stderr``, ``bound``
        and ``bound_stderr``. Standard errors are those of the mean over permutations, nan for one.
        ``bound`` is nan if the learner has no ``score``.

    Raises
    ------
    ValueError
        If ``X`` is no dense table, ``n_repeats`` is not positive, or codes are not finite.

    See Also
    --------
    sklearn_mi.plots.ImportanceDisplay : The table, drawn.
    sklearn.inspection.permutation_importance : What permutes, for any score.

    References
    ----------
    Random Forests (Breiman, 2001), Machine Learning 45.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.diagnostics import column_importance
    >>> X = np.random.default_rng(0).normal(size=(500, 3)) * [3, 1, 0.1]
    >>> table = column_importance(PCA(1).fit(X), X, random_state=0)
    >>> table["code"].round(1).tolist()
    [1.0, 0.0, 0.0]
    """
    positive_integer("n_repeats", n_repeats)
    check_container("X", X)
    table = _table_of_columns(X)
    Z = check_codes("Z, the codes of X,", learner.transform(table), least_rows=2)
    spread = 2 * float(np.square(Z - Z.mean(axis=0)).sum()) or 1.0
    given = {"X_pair": X_pair, "groups": groups}
    given = {name: value for name, value in given.items() if value is not None}

    def scores(fitted: Any, rows: Any, y: Any) -> dict[str, float]:
        codes = check_codes("Z, the codes of X,", fitted.transform(rows))
        bound = fitted.score(rows, **given) if hasattr(fitted, "score") else math.nan
        return {"code": -float(np.square(codes - Z).sum()) / spread, "bound": float(bound)}

    found = permutation_importance(
        learner,
        table,
        None,
        scoring=scores,
        n_repeats=n_repeats,
        random_state=check_random_state(random_state),
        n_jobs=n_jobs,
    )
    columns = {}
    for name in ("code", "bound"):
        drops = np.asarray(found[name]["importances"])
        errors = drops.std(axis=1, ddof=1) if n_repeats > 1 else np.full(len(drops), np.nan)
        columns |= {name: drops.mean(axis=1), f"{name}_stderr": errors / math.sqrt(n_repeats)}
    return pd.DataFrame(columns, index=_names_of_columns(table))


def _table_of_columns(X: Any) -> Any:
    """Return a data frame of pandas as it is, or an array of columns."""
    if isinstance(X, pd.DataFrame):
        return X
    if issparse(X):
        raise ValueError("X is sparse; expected a dense table: X.toarray().")
    if hasattr(X, "to_pandas"):
        raise ValueError(f"X is a {type(X).__name__}; expected pandas: X.to_pandas().")
    array = np.asarray(readable(X))
    if array.ndim != 2:
        raise ValueError(
            f"X has shape {array.shape}; expected a table (n_samples, n_features). Fit the learner "
            f"to flat rows, X.reshape(len(X), -1), with input_shape={array.shape[1:]}."
        )
    return array


def _names_of_columns(table: Any) -> list[Any]:
    if isinstance(table, pd.DataFrame):
        return list(table.columns)
    return [f"x{k}" for k in range(table.shape[1])]


def _jacobians(module: nn.Module, rows: Tensor) -> Tensor:
    """Return the Jacobian at each row, ``(b, width, p)``."""
    from torch.func import jacrev, vmap

    def code(row: Tensor) -> Tensor:
        return module(row[None])[0]

    return vmap(jacrev(code))(rows).flatten(2)


def log_condition(
    module: nn.Module, x: ArrayLike | Tensor, *, chunk_size: int | None = None
) -> NDArray[np.float64]:
    r"""Return the log of the condition number of an encoder's Jacobian at each row.

    .. math:: \log \frac{\sigma_{\max}(J)}{\sigma_{\min}(J)}, \quad J = \partial z / \partial x

    Here :math:`\sigma_{\min}` is the least of the ``min(width, p)`` singular values. The value is 0
    for rotations. It is large if the code nearly loses some direction of the row or, for a code
    narrower than the row, if some combination of components hardly changes. A linear map has the
    same value at every row.

    It is computed in float64, on a copy of the module in evaluation mode. A value above about 34
    only means "singular": beyond it, float64 has no digits left.

    Parameters
    ----------
    module : Module
        Encoder, ``(b, *input_shape) -> (b, width)``. ``torch.func.vmap`` passes it one row at a
        time, with a batch axis of 1: rows must not depend on each other, and the module must
        neither branch on values nor write to its buffers. `SkipMLP`, `RealNVP`, `MLP` and
        `ConvNet` comply.
    x : array-like or Tensor of shape (b, \*input_shape)
        Rows, scaled as the encoder expects them; moved to the module's device.
    chunk_size : int, optional
        Number of rows whose Jacobians, each ``width * p`` numbers, are in memory at a time. By
        default as many as fit in about 64 MB if the code is as wide as the row.

    Returns
    -------
    log_condition : ndarray of shape (b,)
        In units of the natural logarithm; infinite where a singular value is exactly zero.

    Raises
    ------
    ValueError
        If ``chunk_size`` is not positive, or a row is not finite.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020),
    figure 2c. https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.diagnostics import log_condition
    >>> stretch = torch.nn.Linear(2, 2)
    >>> stretch.weight.data = torch.tensor([[8.0, 0.0], [0.0, 2.0]])
    >>> log_condition(stretch, [[0.0, 1.0], [5.0, 3.0]]).round(4)  # log 4
    array([1.3863, 1.3863])
    """
    import torch

    module = copy.deepcopy(module).double().eval().requires_grad_(False)
    tensors: list[Any] = [*module.parameters(), *module.buffers()]
    device = tensors[0].device if tensors else None
    rows = torch.as_tensor(x, dtype=torch.float64, device=device).detach()
    if not bool(rows.isfinite().all()):
        raise ValueError("x has NaN or infinity; drop these rows, or fill them in.")
    if chunk_size is None:
        chunk_size = max(1, _DOUBLES_AT_ONCE // max(1, math.prod(rows.shape[1:])) ** 2)
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size!r}; expected a positive integer.")
    singular = torch.cat(
        [torch.linalg.svdvals(_jacobians(module, chunk)) for chunk in rows.split(chunk_size)]
    )
    largest, least = singular[:, 0], singular[:, -1]
    return torch.where(least > 0, (largest / least).log(), torch.inf).cpu().numpy()
