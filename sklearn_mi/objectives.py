"""Objectives: train on a different quantity from the one reported.

Some are functions of scores, ``scores[i, j] = f(x_i, y_j)``, with negatives and positives as in
`sklearn_mi.bounds`; a row without negatives adds 0. Others, such as Barlow Twins, compare codes;
the critic then only reports. Training maximises each formula, which is minus the loss of its paper.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from sklearn_mi._base import Codes, Objective, a_number, check_equal_widths, resolve
from sklearn_mi.bounds import BOUNDS, Bound, BoundModule, InfoNCE, infonce, infonce_terms
from sklearn_mi.cells import (
    beside,
    checked,
    log_sum,
    mean_of_rows,
    negative_cells,
    partner_scores,
    row_means,
)
from sklearn_mi.comparisons import Parts, mean_over

if TYPE_CHECKING:
    from torch import Tensor

    from sklearn_mi._base import Mask


__all__ = [
    "OBJECTIVES",
    "AlignUniform",
    "BarlowTwins",
    "Debiased",
    "DecoupledInfoNCE",
    "EachPart",
    "HardNegatives",
    "KPair",
    "Matched",
    "Objective",
    "SigLIP",
    "Spectral",
    "Surrogate",
    "Triplet",
    "VICReg",
    "Wasserstein",
    "align_uniform",
    "as_objective",
    "barlow_twins",
    "debiased",
    "decoupled_infonce",
    "gradient_penalty",
    "hard_negatives",
    "k_pair",
    "siglip",
    "spectral",
    "triplet",
    "vicreg",
]

Mining = Literal["semi-hard", "hard", "all"]


# What to use instead of an objective that compares codes component by component.
ON_SCORES = "an objective on scores such as 'infonce'"


def _mean(terms: Tensor, cells: Tensor, positives: Mask) -> Tensor:
    """Return the mean over all rows; rows without negatives add 0."""
    terms = row_means(terms, positives)
    return mean_of_rows(torch.where(cells.any(1), terms, 0.0), positives)


def k_pair(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return minus the multi-class K-pair loss of metric learning.

    .. math:: -\frac1n \sum_i \log\Big(1 + \sum_{j \neq i} e^{f_{ij} - f_{ii}}\Big)

    The sum runs over the negatives of row i. The value is InfoNCE minus the mean logarithm of the
    number of candidates. With two rows it is a smooth triplet loss.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import k_pair
    >>> print(f"{k_pair(torch.zeros(4, 4)):.4f}")  # minus log(4): nothing was learned
    -1.3863
    """
    terms = infonce_terms(scores, negatives, positives)
    if positives is not None:
        counts = negative_cells(scores, negatives, positives).sum(1) + 1
        return mean_of_rows(terms - counts.to(terms.dtype).log(), positives)
    if negatives is None:
        return terms.mean() - math.log(scores.shape[1])
    counts = negatives.sum(1) - negatives.diagonal().long() + 1
    return (terms - counts.to(terms.dtype).log()).mean()


def _check_mining(mining: str) -> None:
    if mining not in get_args(Mining):
        raise ValueError(f"mining={mining!r}; expected one of {list(get_args(Mining))}.")


def _mined(gaps: Tensor, cells: Tensor, mining: str) -> Tensor:
    """Return the column of the negative that counts in each row."""
    hardest = gaps.masked_fill(~cells, -math.inf).argmax(1)
    if mining == "hard":
        return hardest
    below = cells & (gaps < 0)
    semi_hard = gaps.masked_fill(~below, -math.inf).argmax(1)
    easiest = gaps.masked_fill(~cells, math.inf).argmin(1)
    return torch.where(below.any(1), semi_hard, easiest)


def _hinges(scores: Tensor, partners: Tensor, cells: Tensor, margin: float, mining: str) -> Tensor:
    """Return the bracket of `triplet` for one partner a row."""
    gaps = scores - partners[:, None]
    hinges = (margin + gaps).relu()
    if mining == "all":
        return hinges.masked_fill(~cells, 0.0).sum(1) / cells.sum(1).clamp_min(1)
    return hinges.gather(1, _mined(gaps.detach(), cells, mining)[:, None])[:, 0]


def triplet(
    scores: Tensor,
    negatives: Mask = None,
    positives: Mask = None,
    margin: float = 1.0,
    mining: Mining = "semi-hard",
) -> Tensor:
    r"""Return minus the triplet loss: a partner should outscore negatives by a margin.

    .. math:: -\frac1n \sum_i [\mathrm{margin} - f_{ii} + f_{ij(i)}]_+

    Here j(i) is the negative that is mined, or picked, for row i. Semi-hard: the highest of those
    that score below the partner; without any, the lowest of all. Hard: the highest of all. All: the
    bracket is averaged over the negatives of the row.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.
    margin : float, default=1.0
        Margin in units of the scores.
    mining : {"semi-hard", "hard", "all"}, default="semi-hard"
        Which negatives count.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if ``mining`` is unknown.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import triplet
    >>> scores = torch.tensor([[1.0, 0.5, 3.0], [0.0, 5.0, 1.0], [0.0, 0.0, 9.0]])
    >>> [round(triplet(scores, mining=mining).item(), 4) for mining in ("semi-hard", "hard")]
    [-0.1667, -1.0]
    """
    _check_mining(mining)
    scores = checked(scores, negatives, positives)
    cells = negative_cells(scores, negatives, positives)
    if positives is None:
        return -_mean(_hinges(scores, scores.diagonal(), cells, margin, mining), cells, None)
    # Each positive mines its own negative: the first of every row, then the second, ...
    order = positives.long().argsort(dim=1, descending=True, stable=True)
    numbers, total = positives.sum(1), scores.new_zeros(len(scores))
    for place in range(int(numbers.max())):
        partners = scores.gather(1, order[:, place : place + 1])[:, 0]
        hinges = _hinges(scores, partners, cells, margin, mining)
        total = total + hinges.masked_fill(place >= numbers, 0.0)
    terms = torch.where(cells.any(1), total / numbers.clamp_min(1), 0.0)
    return -mean_of_rows(terms, positives)


def decoupled_infonce(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return minus the decoupled contrastive loss: InfoNCE without the partner in the sum.

    .. math:: \frac1n \sum_i \Big[f_{ii} - \log \sum_{j \neq i} e^{f_{ij}}\Big]

    The sum runs over the negatives of row i.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        Unbounded.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import decoupled_infonce
    >>> print(f"{decoupled_infonce(50 * torch.eye(4)):.4f}")  # 50 - log(3)
    48.9014
    """
    scores = checked(scores, negatives, positives)
    cells = negative_cells(scores, negatives, positives)
    sums = beside(log_sum(scores, cells), positives)
    return _mean(partner_scores(scores, positives) - sums, cells, positives)


def _log_difference(a: Tensor, b: Tensor) -> Tensor:
    """Return log(exp(a) - exp(b)), minus infinity if the difference is not positive."""
    gap = b - a
    negative = gap >= 0
    # A gradient passes through both branches: the unused one must stay finite.
    logarithm = a + torch.log(-torch.expm1(gap.masked_fill(negative, -1.0)))
    return logarithm.masked_fill(negative, -math.inf)


def hard_negatives(
    scores: Tensor,
    negatives: Mask = None,
    positives: Mask = None,
    beta: float = 1.0,
    tau_plus: float = 0.1,
    floor: float = -10.0,
) -> Tensor:
    r"""Return minus the contrastive loss with hard and debiased negatives.

    .. math:: \frac1n \sum_i \log \frac{e^{f_{ii}}}{e^{f_{ii}} + |N_i| g_i}, \qquad
        g_i = \max\Big\{\frac{1}{1 - \tau^+} \Big[
        \frac{\sum_j e^{(1 + \beta) f_{ij}}}{\sum_j e^{\beta f_{ij}}} - \tau^+ e^{f_{ii}}\Big],
        e^{\mathrm{floor}}\Big\}

    Both sums run over the negatives :math:`N_i` of row i. The bracket is their mean, weighted by
    :math:`e^{\beta f}`, minus the share of false negatives. With beta = tau_plus = 0 the value is
    `k_pair`.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.
    beta : float, default=1.0
        How much more high-scoring negatives weigh; 0: all weigh the same.
    tau_plus : float, default=0.1
        Probability that a negative has the class of its row, at least 0 and below 1.
    floor : float, default=-10.0
        Smallest score that the critic can give: no mean of negatives is estimated below it.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import hard_negatives, k_pair
    >>> scores = torch.tensor([[3.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 3.0]])
    >>> plain = hard_negatives(scores, beta=0.0, tau_plus=0.0)
    >>> print(f"{plain:.4f}, {k_pair(scores):.4f}, {hard_negatives(scores, tau_plus=0.0):.4f}")
    -0.1698, -0.1698, -0.2027
    """
    scores = checked(scores, negatives, positives)
    cells = negative_cells(scores, negatives, positives)
    partners = partner_scores(scores, positives)
    mean = beside(log_sum((1 + beta) * scores, cells) - log_sum(beta * scores, cells), positives)
    log_tau = math.log(tau_plus) if tau_plus > 0 else -math.inf
    estimate = _log_difference(mean, partners + log_tau) - math.log1p(-tau_plus)
    log_counts = beside(cells.sum(1).clamp_min(1).to(scores.dtype).log(), positives)
    total = torch.logaddexp(partners, log_counts + estimate.clamp_min(floor))
    return _mean(partners - total, cells, positives)


def debiased(
    scores: Tensor,
    negatives: Mask = None,
    positives: Mask = None,
    tau_plus: float = 0.1,
    floor: float = -10.0,
) -> Tensor:
    r"""Return minus the debiased contrastive loss: `hard_negatives` with equal weights, beta = 0.

    .. math:: \frac1n \sum_i \log \frac{e^{f_{ii}}}{e^{f_{ii}} + |N_i| g_i}, \qquad
        g_i = \max\Big\{\frac{1}{1 - \tau^+} \Big[
        \frac{1}{|N_i|} \sum_{j \in N_i} e^{f_{ij}} - \tau^+ e^{f_{ii}}\Big],
        e^{\mathrm{floor}}\Big\}

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.
    tau_plus : float, default=0.1
        Probability that a negative has the class of its row, at least 0 and below 1.
    floor : float, default=-10.0
        Smallest score that the critic can give: no mean of negatives is estimated below it.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import debiased
    >>> print(f"{debiased(torch.zeros(4, 4)):.4f}")  # minus log(4): one class alone
    -1.3863
    """
    return hard_negatives(scores, negatives, positives, 0.0, tau_plus, floor)


def siglip(
    scores: Tensor, negatives: Mask = None, positives: Mask = None, bias: Tensor | float = 0.0
) -> Tensor:
    r"""Return minus the pairwise sigmoid loss: each pair is classified on its own.

    .. math:: \frac1n \sum_i \Big[\log \sigma(f_{ii} + b_i) +
        \sum_{j \in N_i} \log \sigma(-f_{ij} - b_i)\Big], \qquad b_i = b - \log |N_i|

    Here :math:`N_i` are the negatives of row i. Row i has one partner beside :math:`|N_i|`
    negatives, so at b = 0 the best score is the log ratio for any batch size.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.
    bias : Tensor of shape () or float, default=0.0
        b in the formula.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import siglip
    >>> print(f"{siglip(torch.zeros(2, 2)):.4f}")  # two coins in each row
    -1.3863
    """
    scores = checked(scores, negatives, positives)
    cells = negative_cells(scores, negatives, positives)
    logits = scores + bias - cells.sum(1, keepdim=True).clamp_min(1).to(scores.dtype).log()
    repelled = functional.logsigmoid(-logits).masked_fill(~cells, 0.0).sum(1)
    attracted = functional.logsigmoid(partner_scores(logits, positives))
    return _mean(attracted + beside(repelled, positives), cells, positives)


def _next_negatives(cells: Tensor) -> Tensor:
    """Return the column of the first negative to the right of the partner, wrapping around."""
    n, m = cells.shape
    partners = torch.arange(n, device=cells.device)[:, None]
    steps = (torch.arange(m, device=cells.device) - partners) % m
    return steps.masked_fill(~cells, m).argmin(1)


def gradient_penalty(
    critic: Callable[[Tensor, Tensor], Tensor], z_x: Tensor, z_y: Tensor, negatives: Mask = None
) -> Tensor:
    r"""Return how far a critic's slope exceeds 1, squared.

    .. math:: \frac1n \sum_i \Big[\big\lVert \nabla f(z_i, \tilde z_i) \big\rVert - 1\Big]_+^2,
        \qquad \tilde z_i = t_i z'_i + (1 - t_i) z'_{j(i)}

    The gradient is with respect to both codes, at points between a pair and the next negative j(i)
    of its row. :math:`t_i = (i - 1/2) / n`, which in a shuffled batch serves as a random number.

    Parameters
    ----------
    critic : callable
        ``critic(z_x, z_y)`` gives the score matrix: a Module, or any function with a second
        derivative.
    z_x, z_y : Tensor of shape (n, d_x), (m, d_y)
        Codes of the two views.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell off the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        At least 0. It works with gradients switched off, and has a gradient if they are on.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import gradient_penalty
    >>> z = torch.zeros(4, 1)
    >>> gradient_penalty(lambda a, b: 3 * a + 4 * b.T, z, z).item()  # (5 - 1)^2
    16.0
    """
    with_gradient = torch.is_grad_enabled()
    n = len(z_x)
    cells = negative_cells(z_x.new_empty(n, len(z_y)), negatives)
    shares = (torch.arange(n, device=z_x.device).to(z_x.dtype)[:, None] + 0.5) / n
    with torch.enable_grad():
        # Copies, so the gradient by one point never runs through the other.
        first = z_x.clone().requires_grad_()
        second = torch.lerp(z_y[_next_negatives(cells)], z_y[:n], shares).requires_grad_()
        # A module from torch.compile has no second derivative; its forward has.
        scores = critic.forward if isinstance(critic, nn.Module) else critic
        slopes = torch.autograd.grad(
            scores(first, second).diagonal().sum(), (first, second), create_graph=with_gradient
        )
    squares = slopes[0].square().sum(1) + slopes[1].square().sum(1)
    # Cut before the root, whose derivative at 0 is infinite.
    return _mean((squares.clamp_min(1).sqrt() - 1).square(), cells, None)


def _check_codes(z_x: Tensor, z_y: Tensor, least: int = 1, positives: Mask = None) -> None:
    shapes = f"{tuple(z_x.shape)} and {tuple(z_y.shape)}"
    is_paired = z_x.ndim == z_y.ndim == 2 and z_x.shape[1] == z_y.shape[1]
    if not is_paired or (positives is None and len(z_x) > len(z_y)):
        raise ValueError(f"codes of shape {shapes}; expected (n, d) and (m, d) with n <= m.")
    if len(z_x) < least:
        raise ValueError(f"codes of shape {shapes}; expected at least {least} rows.")


def spectral(z_x: Tensor, z_y: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return minus the spectral contrastive loss, a function of inner products of codes.

    .. math:: \frac1n \sum_i \Big[2 s_{ii} - \frac{1}{|N_i|} \sum_{j \in N_i} s_{ij}^2\Big],
        \qquad s_{ij} = z_i^\top z'_j

    Here :math:`N_i` are the negatives of row i. The best s is the density ratio itself, not its
    logarithm: the loss factorises the ratio into codes.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)
        Codes of the two views; row i of one is the partner of row i of the other.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs that belong together; a row averages over its own. By default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        Its expectation is at most the mean density ratio of partners.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import spectral
    >>> spectral(torch.ones(3, 1), torch.ones(3, 1)).item()  # independent views: a ratio of 1
    1.0
    """
    _check_codes(z_x, z_y, positives=positives)
    scores = checked(z_x @ z_y.T, negatives, positives)
    cells = negative_cells(scores, negatives, positives)
    squares = scores.square().masked_fill(~cells, 0.0).sum(1) / cells.sum(1).clamp_min(1)
    terms = 2 * partner_scores(scores, positives) - beside(squares, positives)
    return _mean(terms, cells, positives)


def _uniformity(directions: Tensor, t: float) -> Tensor:
    """Return the logarithm of the mean potential of different rows; 0 if there is one row."""
    n = len(directions)
    if n == 1:
        return directions.new_zeros(())
    potentials = 2 * t * (directions @ directions.T - 1)
    return potentials.fill_diagonal_(-math.inf).flatten().logsumexp(0) - math.log(n * (n - 1))


def align_uniform(
    z_x: Tensor, z_y: Tensor, alpha: float = 2.0, t: float = 2.0, weight: float = 1.0
) -> Tensor:
    r"""Return minus the sum of alignment and uniformity of codes on the unit sphere.

    Alignment: partners have close codes. Uniformity: codes spread over the sphere.

    .. math:: -\frac1n \sum_i \lVert u_i - u'_i \rVert^\alpha - \frac{\mathrm{weight}}{2} \Big[
        \log \frac{1}{n (n - 1)} \sum_{i \neq j} e^{-t \lVert u_i - u_j \rVert^2} +
        \log \frac{1}{m (m - 1)} \sum_{i \neq j} e^{-t \lVert u'_i - u'_j \rVert^2} \Big]

    Here :math:`u = z / \lVert z \rVert`.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)
        Codes of the two views; row i of one is the partner of row i of the other.
    alpha : float, default=2.0
        Power of the distance between partners.
    t : float, default=2.0
        Sharpness of the potential.
    weight : float, default=1.0
        Weight of the uniformity.

    Returns
    -------
    value : Tensor of shape ()
        At most 4 t weight.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import align_uniform
    >>> z = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])  # aligned, and at opposite ends
    >>> align_uniform(z, z).item()
    8.0
    """
    _check_codes(z_x, z_y)
    u_x, u_y = functional.normalize(z_x, dim=1), functional.normalize(z_y, dim=1)
    squares = (u_x - u_y[: len(u_x)]).square().sum(1)
    # A power below 1 has an infinite derivative at 0.
    alignment = squares.clamp_min(torch.finfo(squares.dtype).eps ** 2).pow(alpha / 2).mean()
    return -alignment - weight * (_uniformity(u_x, t) + _uniformity(u_y, t)) / 2


def _standardised(z: Tensor) -> Tensor:
    centred = z - z.mean(0)
    # The reference adds this constant; a constant component stays 0.
    return centred / (centred.square().mean(0) + 1e-5).sqrt()


def barlow_twins(z_x: Tensor, z_y: Tensor, weight: float = 5e-3) -> Tensor:
    r"""Return minus the Barlow Twins loss: cross-correlations should form the identity.

    .. math:: -\sum_k (1 - C_{kk})^2 - \mathrm{weight} \sum_{k \neq l} C_{kl}^2

    Here :math:`C_{kl}` is the correlation, over the rows, of component k of one code with
    component l of the other.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)
        Codes of the two views; row i of one is the partner of row i of the other. Rows without a
        partner are not used.
    weight : float, default=5e-3
        Weight of the correlations between different components.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there is one row.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import barlow_twins
    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> print(f"{barlow_twins(z, z):.3f}, {barlow_twins(z, -z):.3f}")
    -0.000, -8.000
    """
    _check_codes(z_x, z_y, least=2)
    n = len(z_x)
    correlations = _standardised(z_x).T @ _standardised(z_y[:n]) / n
    partners = correlations.diagonal()
    others = correlations.square().sum() - partners.square().sum()
    return -(1 - partners).square().sum() - weight * others


def _spread_and_mixing(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the terms v and c of `vicreg`."""
    centred = z - z.mean(0)
    covariances = centred.T @ centred / (len(z) - 1)
    variances = covariances.diagonal()
    mixing = (covariances.square().sum() - variances.square().sum()) / z.shape[1]
    return (1 - (variances + 1e-4).sqrt()).relu().mean(), mixing


def vicreg(
    z_x: Tensor,
    z_y: Tensor,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    r"""Return minus the VICReg loss: partners have equal codes, spread out and decorrelated.

    .. math:: -\frac{\mathrm{invariance}}{n d} \sum_{i} \lVert z_i - z'_i \rVert^2
        - \frac{\mathrm{variance}}{2} [v(Z) + v(Z')] - \mathrm{covariance}\, [c(Z) + c(Z')]

    .. math:: v(Z) = \frac1d \sum_k \Big[1 - \sqrt{\mathrm{Cov}(Z)_{kk} + 10^{-4}}\Big]_+, \qquad
        c(Z) = \frac1d \sum_{k \neq l} \mathrm{Cov}(Z)_{kl}^2

    The factors 1/d and 1/2 follow the authors' code, for which their weights are tuned.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d), (m, d)
        Codes of the two views; row i of one is the partner of row i of the other. Variances and
        covariances use all rows.
    invariance, variance, covariance : float
        Weights of the three terms, by default 25, 25 and 1.

    Returns
    -------
    value : Tensor of shape ()
        At most 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there is one row.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.objectives import vicreg
    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> print(f"{vicreg(z, z):.4f}, {vicreg(z, -z):.4f}, {vicreg(0 * z, 0 * z):.4f}")
    -0.0000, -100.0000, -24.7500
    """
    _check_codes(z_x, z_y, least=2)
    distance = functional.mse_loss(z_x, z_y[: len(z_x)])
    spread_x, mixed_x = _spread_and_mixing(z_x)
    spread_y, mixed_y = _spread_and_mixing(z_y)
    terms = invariance * distance + variance * (spread_x + spread_y) / 2
    return -(terms + covariance * (mixed_x + mixed_y))


class Surrogate(Objective, ABC):
    """Write an objective of your own that is not a bound and reports InfoNCE: define ``build``.

    Examples
    --------
    Mutual information between codes that stay small:

    >>> import torch
    >>> from sklearn_mi.bounds import BoundModule, infonce
    >>> from sklearn_mi.objectives import Surrogate
    >>> class SmallCodes(BoundModule):
    ...     def forward(self, codes):
    ...         return self.report(codes) - codes.z_x.square().mean()
    ...
    ...     def report(self, codes):
    ...         return infonce(codes.scores, codes.negatives, codes.positives)
    >>> class Small(Surrogate):
    ...     def build(self, d_x, d_y):
    ...         return SmallCodes()
    >>> Small().status
    'lower'
    """

    @property
    def reported(self) -> Bound:
        """Return `sklearn_mi.bounds.InfoNCE`, which the module reports."""
        return InfoNCE()


class _Distance(BoundModule):
    """Minus the distance between a bound and a target."""

    def __init__(self, bound: BoundModule, target: float) -> None:
        super().__init__()
        self.bound, self.target = bound, target

    def forward(self, codes: Codes) -> Tensor:
        return -(self.report(codes) - self.target).abs()

    def report(self, codes: Codes) -> Tensor:
        return self.bound.report(codes)


@dataclass(repr=False, eq=False)
class Matched(Objective):
    r"""Hold a bound at a target from the first step on, instead of maximising it.

    .. math:: -|I_{\mathrm{EST}} - t|

    Use it to compare encoders, critics or bounds at the same value of the bound: any difference is
    then not due to that value. It reports the bound. Training hovers around the target, and each
    batch has its own noise. So quote the mean of the bound beside its distance: a small distance
    does not prove that the mean is right.

    The target applies to the value that the bound reports. So `JensenShannon` and `SMILE` train
    here without their surrogate, and `MINE` without its moving average.

    Parameters
    ----------
    bound : str or Bound
        The bound to hold, by name or as an object.
    target : float
        Target in nats, below the bound's ceiling: InfoNCE in batches of 128 cannot reach 5.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020),
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import Matched
    >>> codes = Codes(torch.eye(4), 50 * torch.eye(4), lambda a, b: a @ b.T)
    >>> module = Matched("infonce", 1.0).build(4, 4)
    >>> print(f"{module.report(codes):.4f}, {module(codes):.4f} from the target")
    1.3863, -0.3863 from the target
    """

    bound: str | Bound
    target: float

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module of the bound, with the target.

        Raises
        ------
        ValueError
            If the name of the bound is unknown or the target is not finite.
        TypeError
            If ``bound`` is neither a name nor a Bound.
        """
        if not math.isfinite(self.target):
            raise ValueError(f"target={self.target!r}; expected a finite number of nats.")
        return _Distance(self.reported.build(d_x, d_y), float(self.target))

    @property
    def has_head(self) -> bool:  # type: ignore[override]
        """Return whether the held bound has a head; its state is not used."""
        return self.reported.has_head

    @property
    def reported(self) -> Bound:
        """Return the held bound."""
        bound = resolve("bound", self.bound, BOUNDS)
        if not isinstance(bound, Bound):
            raise TypeError(f"bound={bound!r}; expected one of {sorted(BOUNDS)} or a Bound.")
        return bound


class _EachPart(BoundModule):
    """The mean of an objective over the parts of a code."""

    def __init__(self, inner: BoundModule) -> None:
        super().__init__()
        self.inner, self.parts = inner, Parts().build(())

    def forward(self, codes: Codes) -> Tensor:
        return mean_over(self.parts(codes, None), self.inner)

    def report(self, codes: Codes) -> Tensor:
        return mean_over(self.parts(codes, None), self.inner.report)


@dataclass(repr=False, eq=False)
class EachPart(Objective):
    r"""Train every part of a code alone: the mean of a bound over a `Split` critic's parts.

    .. math:: \frac1K \sum_k I\big(f_k(z_{(k)}, z'_{(k)})\big)

    `sklearn_mi.critics.Split` cuts the codes. Every part learns to recognise partners alone; with
    the sum of the scores one part could rely on another. All parts share the encoder. Each term is
    a bound, and so is their mean.

    Parameters
    ----------
    objective : str or Objective, default="infonce"
        What each part maximises. It must not have a head, which is as wide as the whole code, or a
        state ("mine"), which the parts would share.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> learner = MIRepresentationLearner(4, critic="split", objective="each-part", max_steps=5)
    >>> learner.fit(X).transform(X).shape
    (60, 4)
    """

    objective: str | Objective = "infonce"
    needs_codes = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which applies one objective to every part.

        Raises
        ------
        ValueError
            If the name is unknown, or if the objective has a head or a state.
        TypeError
            If ``objective`` is neither a name nor an Objective.
        """
        inner = as_objective(self.objective)
        Parts().check_objective(inner)
        return _EachPart(inner.build(d_x, d_y))  # type: ignore[arg-type]

    @property
    def reported(self) -> Objective:
        """Return the bound that each part reports."""
        return as_objective(self.objective).reported


class _OnScores(BoundModule):
    """A formula of scores and negatives; reports InfoNCE."""

    def __init__(self, formula: Callable[..., Tensor]) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, codes: Codes) -> Tensor:
        return self.formula(codes.scores, codes.negatives, codes.positives)

    def report(self, codes: Codes) -> Tensor:
        return infonce(codes.scores, codes.negatives, codes.positives)


def _critic_alone(codes: Codes) -> Tensor | float:
    """Return 0 with the gradient of InfoNCE for the critic and none for the codes."""
    parameters = codes.critic.parameters() if isinstance(codes.critic, nn.Module) else ()
    if not any(parameter.requires_grad for parameter in parameters):
        return 0.0
    scores = codes.critic(codes.z_x.detach(), codes.z_y.detach())
    bound = infonce(scores, codes.negatives, codes.positives)
    return bound - bound.detach()


def _refuse_positives(name: str, codes: Codes) -> None:
    if codes.positives is not None:
        raise ValueError(
            f"objective={name} compares row i with column i alone, but a mask of positives was "
            f"given; take {ON_SCORES}, or a comparison of one partner a row."
        )


class _OnCodes(BoundModule):
    """A formula of the codes; the critic learns InfoNCE and reports it."""

    def __init__(self, formula: Callable[..., Tensor], name: str, *, masked: bool = False) -> None:
        super().__init__()
        self.formula, self.name, self.masked = formula, name, masked

    def forward(self, codes: Codes) -> Tensor:
        if not self.masked:
            _refuse_positives(self.name, codes)
        masks = (codes.negatives, codes.positives) if self.masked else ()
        return self.formula(codes.z_x, codes.z_y, *masks) + _critic_alone(codes)

    def report(self, codes: Codes) -> Tensor:
        return infonce(codes.scores, codes.negatives, codes.positives)


def _positive(name: str, value: Any) -> float:
    return a_number(name, value, "a positive number", lambda number: number > 0)


def _not_negative(name: str, value: Any) -> float:
    return a_number(name, value, "a number of at least 0", lambda number: number >= 0)


def _prior(value: Any) -> float:
    return a_number(
        "tau_plus", value, "a number of at least 0 and below 1", lambda number: 0 <= number < 1
    )


@dataclass(repr=False, eq=False)
class KPair(Surrogate):
    """Train by the multi-class K-pair loss of metric learning (`k_pair`); reports InfoNCE.

    It trains exactly as `InfoNCE` does, which exceeds it by the logarithm of the number of
    candidates. With one encoder for both views and an inner product as the critic it is the loss of
    the reference.

    References
    ----------
    Improved Deep Metric Learning with Multi-class N-pair Loss Objective (Sohn, 2016),
    https://papers.nips.cc/paper/6200

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import KPair
    >>> codes = Codes(torch.zeros(4, 2), torch.zeros(4, 2), lambda a, b: a @ b.T)
    >>> module = KPair().build(2, 2)
    >>> print(f"{module(codes):.4f}, {module.report(codes):.4f}")
    -1.3863, 0.0000
    """

    by_rows = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters."""
        return _OnScores(k_pair)


@dataclass(repr=False, eq=False)
class Triplet(Surrogate):
    """Train by the triplet loss with mined negatives (`triplet`); reports InfoNCE.

    Use it for retrieval: pairs that differ by the margin add nothing, so codes only learn to rank.
    The margin is in units of the scores, so take a critic of fixed scale, `Cosine` or `Cauchy`; any
    other can satisfy it by scaling its scores. The scores learn an order, not a log ratio, so
    InfoNCE is loose here. At ``Cosine(temperature=0.1)`` the default equals the reference's margin
    of 0.2 on squared distances of unit codes.

    Parameters
    ----------
    margin : float, default=1.0
        How much a partner should outscore a negative.
    mining : {"semi-hard", "hard", "all"}, default="semi-hard"
        Which negatives count. "semi-hard": the highest that scores below the partner; without any,
        the lowest of all. "hard": the highest, which can collapse early in training. "all": the
        average of all.

    References
    ----------
    FaceNet: A Unified Embedding for Face Recognition and Clustering (Schroff et al., 2015),
    https://arxiv.org/abs/1503.03832

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import Triplet
    >>> codes = Codes(torch.eye(4), torch.eye(4), lambda a, b: a @ b.T)
    >>> print(f"{Triplet(margin=1.5).build(4, 4)(codes):.4f}")
    -0.5000
    """

    margin: float = 1.0
    mining: Mining = "semi-hard"

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If ``margin`` is not positive or ``mining`` is unknown.
        """
        _check_mining(self.mining)
        margin = _positive("margin", self.margin)
        return _OnScores(partial(triplet, margin=margin, mining=self.mining))


@dataclass(repr=False, eq=False)
class DecoupledInfoNCE(Surrogate):
    """Drop the partner from the denominator of InfoNCE (`decoupled_infonce`); reports InfoNCE.

    Use it with small batches: InfoNCE learns little from a pair that it already recognises, while
    here each pair keeps its weight. The value is unbounded, so take a critic with bounded scores
    (`Cosine`); other scores grow without limit. Negatives here are pairs across the views; the
    reference adds pairs within each view.

    References
    ----------
    Decoupled Contrastive Learning (Yeh et al., 2022), https://arxiv.org/abs/2110.06848

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import DecoupledInfoNCE
    >>> codes = Codes(torch.eye(4), torch.eye(4), lambda a, b: a @ b.T)
    >>> print(f"{DecoupledInfoNCE().build(4, 4)(codes):.4f}")  # 1 - log(3)
    -0.0986
    """

    by_rows = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters."""
        return _OnScores(decoupled_infonce)


@dataclass(repr=False, eq=False)
class Debiased(Surrogate):
    """Correct for negatives of the row's own class (`debiased`); reports InfoNCE.

    Use it if rows fall into few classes, with tau_plus near one over their number. As negatives,
    rows of one class push each other apart; the loss subtracts the expected share of such
    negatives. Take `Cosine` as the critic, whose scores have a smallest value.

    Parameters
    ----------
    tau_plus : float, default=0.1
        Probability that a negative has the class of its row, at least 0 and below 1.
    floor : float, default=-10.0
        Smallest score that the critic can give, minus one over the temperature for `Cosine`. The
        mean of the negatives is estimated as a difference and cut off here.

    References
    ----------
    Debiased Contrastive Learning (Chuang et al., 2020), https://arxiv.org/abs/2007.00224

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import Debiased
    >>> codes = Codes(torch.zeros(4, 2), torch.zeros(4, 2), lambda a, b: a @ b.T)
    >>> print(f"{Debiased().build(2, 2)(codes):.4f}")
    -1.3863
    """

    tau_plus: float = 0.1
    floor: float = -10.0

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If tau_plus is outside [0, 1) or the floor is not finite.
        """
        floor = a_number("floor", self.floor, "a finite number", math.isfinite)
        return _OnScores(partial(debiased, tau_plus=_prior(self.tau_plus), floor=floor))


@dataclass(repr=False, eq=False)
class HardNegatives(Surrogate):
    """Weigh negatives by their scores and debias them (`hard_negatives`); reports InfoNCE.

    Use it as `Debiased`, with `Cosine`, if most negatives are easy. High-scoring negatives weigh
    more. They often have the row's own class, so the expected share of such negatives is
    subtracted, as in `Debiased`. The weight multiplies the score, temperature included.

    Parameters
    ----------
    beta : float, default=1.0
        How much more high-scoring negatives weigh; 0 is `Debiased`.
    tau_plus : float, default=0.1
        Probability that a negative has the class of its row, at least 0 and below 1.
    floor : float, default=-10.0
        Smallest score that the critic can give, minus one over the temperature for `Cosine`.

    References
    ----------
    Contrastive Learning with Hard Negative Samples (Robinson et al., 2021),
    https://arxiv.org/abs/2010.04592

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import HardNegatives
    >>> codes = Codes(torch.zeros(4, 2), torch.zeros(4, 2), lambda a, b: a @ b.T)
    >>> print(f"{HardNegatives(beta=0.5).build(2, 2)(codes):.4f}")
    -1.3863
    """

    beta: float = 1.0
    tau_plus: float = 0.1
    floor: float = -10.0

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If beta is negative, tau_plus is outside [0, 1) or the floor is not finite.
        """
        beta, tau_plus = _not_negative("beta", self.beta), _prior(self.tau_plus)
        floor = a_number("floor", self.floor, "a finite number", math.isfinite)
        return _OnScores(partial(hard_negatives, beta=beta, tau_plus=tau_plus, floor=floor))


class _Sigmoid(BoundModule):
    """The sigmoid loss with its learned bias; reports InfoNCE."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, codes: Codes) -> Tensor:
        return siglip(codes.scores, codes.negatives, codes.positives, self.bias)

    def report(self, codes: Codes) -> Tensor:
        return infonce(codes.scores, codes.negatives, codes.positives)


@dataclass(repr=False, eq=False)
class SigLIP(Surrogate):
    """Classify each pair on its own, with a learned bias (`siglip`); reports InfoNCE.

    Batch size matters less than with InfoNCE: large batches help less, small ones hurt less. The
    scores themselves are log ratios. Each pair weighs the same; in `JensenShannon` all negatives
    together weigh as much as all partners.

    The bias is relative to minus the logarithm of the number of negatives. For the reference's
    batches of 2^15 its start value of -10 lies there. The reference also learns a scale. Here the
    critic owns it, so the reported scores are the trained ones. Its choice and start value are
    ``Cosine(temperature=0.1, learn_temperature=True)``. Critics with weights have their own scale;
    with an inner product the encoders set it.

    Parameters
    ----------
    bias : float, default=0.0
        Start value of the learned bias.

    References
    ----------
    Sigmoid Loss for Language Image Pre-Training (Zhai et al., 2023),
    https://arxiv.org/abs/2303.15343

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import SigLIP
    >>> codes = Codes(torch.zeros(2, 3), torch.zeros(2, 3), lambda a, b: a @ b.T)
    >>> print(f"{SigLIP().build(3, 3)(codes):.4f}")
    -1.3863
    """

    by_rows = True

    bias: float = 0.0

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module with the bias.

        Raises
        ------
        ValueError
            If the bias is not finite.
        """
        return _Sigmoid(a_number("bias", self.bias, "a finite number", math.isfinite))


class _Lipschitz(BoundModule):
    """InfoNCE minus a penalty on steep critics; reports InfoNCE."""

    def __init__(self, penalty: float) -> None:
        super().__init__()
        self.penalty = penalty

    def forward(self, codes: Codes) -> Tensor:
        _refuse_positives(f"Wasserstein(penalty={self.penalty:g})", codes)
        steep = gradient_penalty(codes.critic, codes.z_x, codes.z_y, codes.negatives)
        return self.report(codes) - self.penalty * steep

    def report(self, codes: Codes) -> Tensor:
        return infonce(codes.scores, codes.negatives, codes.positives)


@dataclass(repr=False, eq=False)
class Wasserstein(Surrogate):
    r"""Penalise steep critics, so codes keep more than one factor; reports InfoNCE.

    .. math:: \mathrm{InfoNCE} - \lambda \cdot \mathrm{gradient\_penalty}

    Use it if one factor suffices to recognise a partner and the codes should hold the others, too.
    A steep critic can separate codes by tiny differences, and InfoNCE needs no more. A critic of
    slope at most 1 needs codes that lie apart, hence more of what the views share. It costs a
    second pass through the critic, differentiated twice (`gradient_penalty`).

    The method is the Wasserstein predictive coding of Ozair et al. The penalty is that of Gulrajani
    et al., but slopes below 1 are allowed. Distances are those of the codes, which the encoders can
    stretch: end them with a layer of bounded output, or take the inner product, whose slope is the
    length of the two codes. `Cosine` meets the penalty by longer codes. `Cauchy` is never steeper
    than the root of 2.

    Parameters
    ----------
    penalty : float, default=10.0
        Weight of the penalty, lambda, at least 0.

    References
    ----------
    Wasserstein Dependency Measure for Representation Learning (Ozair et al., 2019),
    https://arxiv.org/abs/1903.11780

    Improved Training of Wasserstein GANs (Gulrajani et al., 2017),
    https://arxiv.org/abs/1704.00028

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import Wasserstein
    >>> codes = Codes(torch.zeros(4, 1), torch.zeros(4, 1), lambda a, b: 3 * a + 4 * b.T)
    >>> module = Wasserstein(penalty=1.0).build(1, 1)
    >>> print(f"{module(codes):.4f}, {module.report(codes):.4f}")
    -16.0000, 0.0000
    """

    penalty: float = 10.0
    needs_codes = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If the penalty is negative.
        """
        return _Lipschitz(_not_negative("penalty", self.penalty))


@dataclass(repr=False, eq=False)
class Spectral(Surrogate):
    """Learn codes with a guarantee for linear probes (`spectral`); reports InfoNCE.

    A linear probe is a linear classifier on the codes. The spectral contrastive loss fits inner
    products of codes to the density ratio of the views by least squares; this finds its leading
    singular functions. Codes must have equal widths. The critic does not train the encoders; it
    learns InfoNCE on their codes, to report it. Take "separable", which learns fast. The squares
    are heavy-tailed if the ratio is large.

    References
    ----------
    Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss (HaoChen
    et al., 2021), https://arxiv.org/abs/2106.04156

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import Spectral
    >>> codes = Codes(2 * torch.eye(4), 2 * torch.eye(4), lambda a, b: a @ b.T)
    >>> print(f"{Spectral().build(4, 4)(codes):.4f}")
    8.0000
    """

    needs_codes = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If the widths differ.
        """
        check_equal_widths(d_x, d_y, self, ON_SCORES)
        return _OnCodes(spectral, repr(self), masked=True)


@dataclass(repr=False, eq=False)
class AlignUniform(Surrogate):
    """Align partners and spread codes over the unit sphere (`align_uniform`); reports InfoNCE.

    With many negatives, InfoNCE with a cosine has the same two effects; this objective states them
    directly. `sklearn_mi.diagnostics` measures both as alignment and uniformity. Codes must have
    equal widths, and only their directions count. The critic does not train the encoders; it learns
    InfoNCE on their codes, to report it. Take "separable", which learns fast.

    Parameters
    ----------
    alpha : float, default=2.0
        Power of the distance between partners, positive.
    t : float, default=2.0
        Sharpness of the potential that spreads codes out, positive.
    weight : float, default=1.0
        Weight of the uniformity, at least 0.

    References
    ----------
    Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere (Wang and Isola, 2020), https://arxiv.org/abs/2005.10242

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import AlignUniform
    >>> z = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    >>> AlignUniform(t=1.0).build(2, 2)(Codes(z, z, lambda a, b: a @ b.T)).item()
    4.0
    """

    alpha: float = 2.0
    t: float = 2.0
    weight: float = 1.0
    needs_codes = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If alpha or t is not positive, if the weight is negative, or if the widths differ.
        """
        check_equal_widths(d_x, d_y, self, ON_SCORES)
        alpha, t = _positive("alpha", self.alpha), _positive("t", self.t)
        weight = _not_negative("weight", self.weight)
        formula = partial(align_uniform, alpha=alpha, t=t, weight=weight)
        return _OnCodes(formula, repr(self))


@dataclass(repr=False, eq=False)
class BarlowTwins(Surrogate):
    """Decorrelate the components of the codes, without negatives (`barlow_twins`); reports InfoNCE.

    The cross-correlations of the two codes should form the identity. Codes cannot collapse to one
    point, since components may not repeat each other. It works best with wide codes, through a head
    if necessary. Codes must have equal widths, their scale is free, and a batch should have more
    rows than the codes have components. The critic does not train the encoders; it learns InfoNCE
    on their codes, to report it. Take "separable", which learns fast.

    Parameters
    ----------
    weight : float, default=5e-3
        Weight of the correlations between different components, at least 0.

    References
    ----------
    Barlow Twins: Self-Supervised Learning via Redundancy Reduction (Zbontar et al., 2021),
    https://arxiv.org/abs/2103.03230

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import BarlowTwins
    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> print(f"{BarlowTwins().build(2, 2)(Codes(z, -z, lambda a, b: a @ b.T)):.3f}")
    -8.000
    """

    weight: float = 5e-3
    needs_codes = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If the weight is negative, or if the widths differ.
        """
        check_equal_widths(d_x, d_y, self, ON_SCORES)
        formula = partial(barlow_twins, weight=_not_negative("weight", self.weight))
        return _OnCodes(formula, repr(self))


@dataclass(repr=False, eq=False)
class VICReg(Surrogate):
    """Control variance, invariance and covariance, without negatives (`vicreg`); reports InfoNCE.

    Partners share a code, each component keeps a standard deviation of 1, and no two components are
    correlated. Unlike `BarlowTwins` it treats each view separately, so the views may be of
    different kinds. Codes must have equal widths. The critic does not train the encoders; it learns
    InfoNCE on their codes, to report it. Take "separable", which learns fast.

    Parameters
    ----------
    invariance : float, default=25.0
        Weight of the distance between partners, at least 0.
    variance : float, default=25.0
        Weight of standard deviations below 1, at least 0; at 0 codes may collapse.
    covariance : float, default=1.0
        Weight of correlated components, at least 0.

    References
    ----------
    VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning (Bardes et
    al., 2022), https://arxiv.org/abs/2105.04906

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.objectives import VICReg
    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> print(f"{VICReg().build(2, 2)(Codes(z, -z, lambda a, b: a @ b.T)):.4f}")
    -100.0000
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    needs_codes = True

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If a weight is negative, or if the widths differ.
        """
        check_equal_widths(d_x, d_y, self, ON_SCORES)
        weights = {name: _not_negative(name, value) for name, value in self.get_params().items()}
        return _OnCodes(partial(vicreg, **weights), repr(self))


def as_objective(value: Any) -> Objective:
    """Return the objective that a name or an object means.

    Parameters
    ----------
    value : str or Objective
        A name in `sklearn_mi.bounds.BOUNDS` or `OBJECTIVES`, a Bound, or another Objective.

    Returns
    -------
    objective : Objective

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If ``value`` is neither a name nor an Objective.

    Examples
    --------
    >>> from sklearn_mi.objectives import as_objective
    >>> as_objective("nwj"), as_objective("k-pair")
    (NWJ(), KPair())
    """
    names: dict[str, Callable[[], Objective]] = {**BOUNDS, **OBJECTIVES}
    objective = resolve("objective", value, names)
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective={value!r}; expected one of {sorted(names)}, a Bound or an Objective."
        )
    return objective


OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "each-part": EachPart,
    "k-pair": KPair,
    "triplet": Triplet,
    "decoupled-infonce": DecoupledInfoNCE,
    "debiased": Debiased,
    "hard-negatives": HardNegatives,
    "siglip": SigLIP,
    "wasserstein": Wasserstein,
    "spectral": Spectral,
    "align-uniform": AlignUniform,
    "barlow-twins": BarlowTwins,
    "vicreg": VICReg,
}
