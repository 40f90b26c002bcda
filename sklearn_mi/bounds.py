r"""Bounds: estimate mutual information from a score matrix, in nats.

``scores[i, j] = f(x_i, y_j)`` has shape (n, m). ``positives`` is True for draws of the joint
distribution. If it is None, column i is the partner of row i, m >= n, and further columns have no
partner. ``negatives`` is True for cells that stand for draws from the product of the marginals. If
it is None, every cell that is not a positive is a negative. A positive is never a negative.

:math:`P[\cdot]` is the mean over rows of the mean over each row's positives; rows without a
positive are left out. Without a mask it is the mean over the n partners. :math:`Q[\cdot]` is the
mean over the negatives. Formulas show one partner a row, :math:`f_{ii}`; each of several positives
takes its place in turn. A bound holds in expectation and under two conditions. The pairs are
independent draws on which neither the critic nor a head was trained. The negatives were chosen
without looking at scores or labels.

Every function needs O(n m) memory. The classes of InfoNCE, NWJ and Donsker-Varadhan train on very
large batches without it (`sklearn_mi.tiles`). Except for `smile`, no bound clips: sums of
exponentials stay logarithms to the end, and their exponential is in double precision.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn import functional

from sklearn_mi._base import Objective, Status, a_number, sizes
from sklearn_mi.cells import (
    candidate_cells,
    checked,
    count_negatives,
    count_negatives_each,
    log_sum,
    mean_log_share,
    mean_of_positives,
    mean_of_rows,
    negative_cells,
    negatives_only,
    partner_scores,
    row_means,
)
from sklearn_mi.layers import mlp
from sklearn_mi.tiles import CriticModule, by_rows, is_large

if TYPE_CHECKING:
    from torch import Tensor

    from sklearn_mi._base import Codes, Mask

__all__ = [
    "BOUNDS",
    "FLO",
    "MINE",
    "NWJ",
    "SMILE",
    "TUBA",
    "Bound",
    "BoundModule",
    "DonskerVaradhan",
    "InfoNCE",
    "InfoNCEAnchor",
    "Interpolated",
    "JensenShannon",
    "MultiLabelCPC",
    "SymmetricInfoNCE",
    "donsker_varadhan",
    "flo",
    "infonce",
    "infonce_anchor",
    "infonce_terms",
    "interpolated",
    "jensen_shannon",
    "log_partition",
    "multi_label_cpc",
    "nwj",
    "nwj_of_ratio",
    "smile",
    "symmetric_infonce",
    "tuba",
]


def _check_length(name: str, value: Tensor, length: int) -> None:
    if value.shape != (length,):
        raise ValueError(f"{name} of shape {tuple(value.shape)}; expected ({length},).")


def _exp(logarithm: Tensor) -> Tensor:
    """Return the exponential in double precision: single overflows at 88 nats, double at 709."""
    # Apple's GPUs have no double precision.
    return logarithm.exp() if logarithm.device.type == "mps" else logarithm.double().exp()


def _nu(value: float) -> float:
    return a_number("nu", value, "a positive number", (0.0).__lt__)


def log_partition(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return the logarithm of the mean of ``exp(scores)`` over the negatives.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    logarithm : Tensor of shape ()
        :math:`\log Q[e^f]`, finite for any finite scores.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there are no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import log_partition
    >>> log_partition(torch.full((3, 3), 1000.0)).item()
    1000.0
    """
    scores = checked(scores, negatives, positives)
    count = count_negatives(scores, negatives, positives)
    kept = negatives_only(scores, negatives, -math.inf, positives)
    return kept.flatten().logsumexp(0) - math.log(count)


def _row_sums(scores: Tensor, negatives: Mask, positives: Mask) -> Tensor:
    """Return, for each row, the logarithm of the sum over its negatives."""
    if positives is None:
        return negatives_only(scores, negatives, -math.inf).logsumexp(1)
    return log_sum(scores, negative_cells(scores, negatives, positives), empty=-math.inf)


def _row_partition(scores: Tensor, negatives: Mask, positives: Mask = None) -> Tensor:
    """Return each row's mean score of the positives and logarithm of the sum over negatives."""
    scores = checked(scores, negatives, positives)
    joint = row_means(partner_scores(scores, positives), positives)
    return torch.stack([joint, _row_sums(scores, negatives, positives)], dim=1)


def _large_partition(codes: Codes) -> tuple[Tensor, Tensor]:
    """Return the positives' mean score and `log_partition`, some rows of scores at a time."""
    joint, sums = by_rows(_row_partition, codes).unbind(1)
    shape_alone = joint.new_empty(()).expand(len(codes.z_x), len(codes.z_y))
    count = count_negatives(shape_alone, codes.negatives, codes.positives)
    return mean_of_rows(joint, codes.positives), sums.logsumexp(0) - math.log(count)


def _joint(scores: Tensor, positives: Mask, dtype: torch.dtype | None = None) -> Tensor:
    """Return the mean score of the positives."""
    values = partner_scores(scores, positives).to(dtype or scores.dtype)
    return mean_of_rows(row_means(values, positives), positives)


def infonce_terms(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return the InfoNCE of every row.

    .. math:: f_{ii} - \log \sum_j e^{f_{ij}} + \log K_i

    The sum runs over the :math:`K_i` candidates of row i: its partner and its negatives. If a row
    has several positives, each competes with the row's negatives, and the row gives their mean. A
    row without negatives, or without positives, gives 0. The mean over rows is `infonce`; the
    spread of the rows gives its standard error.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    terms : Tensor of shape (n,)
        In nats, each at most :math:`\log K_i`.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import infonce_terms
    >>> infonce_terms(torch.zeros(2, 2)).tolist()
    [0.0, 0.0]
    """
    scores = checked(scores, negatives, positives)
    if positives is not None:
        return _terms_of_positives(scores, negatives, positives)
    n, m = scores.shape
    partners = torch.arange(n, device=scores.device)
    if negatives is None:
        return math.log(m) - functional.cross_entropy(scores, partners, reduction="none")
    candidates = candidate_cells(scores, negatives)
    scores = scores.masked_fill(~candidates, -math.inf)
    log_counts = candidates.sum(1).to(scores.dtype).log()
    return log_counts - functional.cross_entropy(scores, partners, reduction="none")


def _terms_of_positives(scores: Tensor, negatives: Mask, positives: Tensor) -> Tensor:
    cells = negative_cells(scores, negatives, positives)
    log_counts = (cells.sum(1) + 1).to(scores.dtype).log()
    return log_counts + mean_log_share(scores, cells, positives)


def _positives_in_turn(positives: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the column of the first positive of each row and whether it has one, the second, ..."""
    order = positives.long().argsort(dim=1, descending=True, stable=True)
    numbers = positives.sum(1, keepdim=True)
    for place in range(int(numbers.max())):
        yield order[:, place : place + 1], place < numbers


def infonce(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return InfoNCE, a lower bound of at most log(number of candidates).

    .. math:: \frac1n \sum_i \Big[f_{ii} - \log \sum_j e^{f_{ij}} + \log K_i\Big]

    It equals log K minus the K-pair loss of metric learning. Adding a constant to a row does not
    change it.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import infonce
    >>> print(f"{infonce(50 * torch.eye(4)):.4f}")  # the ceiling, log(4)
    1.3863
    """
    return mean_of_rows(infonce_terms(scores, negatives, positives), positives)


def symmetric_infonce(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return the average of InfoNCE over rows and over columns.

    Over columns, each column with a partner is compared with the n rows.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import symmetric_infonce
    >>> print(f"{symmetric_infonce(50 * torch.eye(4)):.4f}")
    1.3863
    """
    rows = infonce(scores, negatives, positives)
    if positives is not None:
        turned = None if negatives is None else negatives.T
        return (rows + infonce(scores.T, turned, positives.T)) / 2
    n = len(scores)
    columns = infonce(scores[:, :n].T, None if negatives is None else negatives[:, :n].T)
    return (rows + columns) / 2


def multi_label_cpc(
    scores: Tensor, negatives: Mask = None, positives: Mask = None, alpha: float = 1.0
) -> Tensor:
    r"""Return multi-label CPC: all partners against the negatives of all rows at once.

    .. math:: \frac1n \sum_i f_{ii} - \log \frac1n \sum_i \Big[\frac{\alpha}{K_i} e^{f_{ii}} +
        \Big(1 - \frac{\alpha}{K_i}\Big) \frac{1}{|N_i|} \sum_{j \in N_i} e^{f_{ij}} \Big]

    Here :math:`N_i` are the negatives of row i and :math:`K_i = |N_i| + 1` counts its candidates.
    At alpha = 1 the bracket is the mean over the candidates of a row; the logarithm is concave, so
    the value is at most `infonce`. At alpha = 0, with equally many negatives in each row, it is
    `donsker_varadhan`.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.
    alpha : float, default=1.0
        Weight of the partners, from 0 to 1.

    Returns
    -------
    value : Tensor of shape ()
        In nats, at most log(K / alpha) for K candidates in each row.

    Raises
    ------
    ValueError
        If the shapes do not fit, if a row has no negatives, or if alpha is outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import multi_label_cpc
    >>> print(f"{multi_label_cpc(50 * torch.eye(4), alpha=0.5):.4f}")  # log(8)
    2.0794
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha!r}; expected a number from 0 to 1.")
    scores = checked(scores, negatives, positives)
    counts = count_negatives_each(scores, negatives, positives, "rows")
    share = alpha / (counts + 1)
    others = _row_sums(scores, negatives, positives) - counts.log()
    if positives is None:
        partners = scores.diagonal()
        rows = torch.logaddexp(partners + share.log(), others + torch.log1p(-share))
        return partners.mean() - (rows.logsumexp(0) - math.log(len(scores)))
    partners = log_sum(scores, positives) - positives.sum(1).clamp_min(1).to(scores.dtype).log()
    rows = torch.logaddexp(partners + share.log(), others + torch.log1p(-share))
    rows = rows.masked_fill(~positives.any(1), -math.inf)
    n_rows = positives.any(1).sum().to(scores.dtype)
    return _joint(scores, positives) - (rows.logsumexp(0) - n_rows.log())


def infonce_anchor(
    scores: Tensor, negatives: Mask = None, positives: Mask = None, nu: float = 1.0
) -> Tensor:
    r"""Return InfoNCE with one class more, the anchor: no candidate is the partner.

    .. math:: \frac1n \sum_i \Big[ f_{ii} - \frac{1}{K_i} \sum_{k \in N_i} \log
        \frac{\nu + e^{f_{ii}} + \sum_{j \in N_i \setminus k} e^{f_{ij}}}{K_i + \nu} -
        \frac{\nu}{K_i} \log \frac{\nu + \sum_{j \in N_i} e^{f_{ij}}}{K_i + \nu} \Big]

    Here :math:`N_i` are the negatives of row i, :math:`K_i` of them. Of K candidates each is the
    partner with probability :math:`1 / (K + \nu)`, and none with :math:`\nu / (K + \nu)`. The value
    is :math:`(K + \nu) / K` times the information about the class that the scores give. It is a
    lower bound, since the divergence of each of the K classes from the anchor is the mutual
    information. It fixes the constant that `infonce` leaves free in every row: it is largest where
    f is the log ratio itself. The first sum leaves one negative out at a time, so that all classes
    have K candidates.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.
    nu : float, default=1.0
        Weight of the anchor :math:`\nu`, positive. With one negative and 1 it is `jensen_shannon`
        plus 2 log 2.

    Returns
    -------
    value : Tensor of shape ()
        In nats, at most :math:`\log(K + \nu) + (\nu / K) \log(1 + K / \nu)` for K negatives a row.

    Raises
    ------
    ValueError
        If the shapes do not fit, if a row has no negatives, or if nu is not positive.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import infonce_anchor
    >>> print(f"{infonce_anchor(100 * torch.eye(4) - 50):.4f}")  # log(4) + log(4) / 3
    1.8484
    """
    log_nu = math.log(_nu(nu))
    scores = checked(scores, negatives, positives)
    counts = count_negatives_each(scores, negatives, positives, "rows")
    cells = negative_cells(scores, negatives, positives)
    held, weight = scores.masked_fill(~cells, -math.inf), scores.new_full((), log_nu)

    def of(partners: Tensor) -> Tensor:
        kept = torch.logaddexp(partners, weight)
        sums = _leave_one_out(torch.cat([held, kept], 1).T)[:-1].T
        return partners[:, 0] - sums.masked_fill(~cells, 0.0).sum(1) / counts

    if positives is None:
        terms = of(scores.diagonal()[:, None])
    else:
        turns = _positives_in_turn(positives)
        total = sum(of(scores.gather(1, column)) * has[:, 0] for column, has in turns)
        terms = total / positives.sum(1).clamp_min(1)
    anchor = torch.logaddexp(log_sum(scores, cells, empty=-math.inf), weight)
    share = nu / counts
    terms = terms - share * anchor + (1 + share) * (counts + nu).log()
    return mean_of_rows(terms, positives)


def nwj(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return the bound of Nguyen, Wainwright and Jordan, tight if f is one plus the log ratio.

    The log ratio is the logarithm of the joint density over the product of the marginals.

    .. math:: P[f] - Q[e^{f - 1}]

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats, in double precision.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there are no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import nwj
    >>> nwj(torch.ones(3, 3)).item()
    0.0
    """
    partition = log_partition(scores, negatives, positives)
    return _joint(scores, positives, partition.dtype) - _exp(partition - 1)


def nwj_of_ratio(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return `nwj` for scores that estimate the log ratio itself.

    .. math:: 1 + P[f] - Q[e^f]

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats, in double precision.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there are no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import nwj_of_ratio
    >>> nwj_of_ratio(torch.zeros(3, 3)).item()
    0.0
    """
    partition = log_partition(scores, negatives, positives)
    return 1 + _joint(scores, positives, partition.dtype) - _exp(partition)


def donsker_varadhan(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return the representation of Donsker and Varadhan.

    .. math:: P[f] - \log Q[e^f]

    With the true Q it is a lower bound. With a mean over a finite sample it is biased upwards,
    because the logarithm of a mean is too low on average.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there are no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import donsker_varadhan
    >>> donsker_varadhan(torch.full((3, 3), 1000.0)).item()
    0.0
    """
    partition = log_partition(scores, negatives, positives)
    return _joint(scores, positives, partition.dtype) - partition


def jensen_shannon(scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return minus the loss of a logistic classifier that separates partners from negatives.

    .. math:: P[\log \sigma(f)] + Q[\log \sigma(-f)]

    Use it for training; it does not estimate the mutual information. Its optimum is the log ratio,
    from which `nwj_of_ratio` estimates it.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        At most 0; -2 log 2 if all scores are 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there are no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import jensen_shannon
    >>> print(f"{jensen_shannon(torch.zeros(3, 3)):.4f}")
    -1.3863
    """
    scores = checked(scores, negatives, positives)
    count = count_negatives(scores, negatives, positives)
    refused = negatives_only(functional.logsigmoid(-scores), negatives, 0.0, positives)
    accepted = functional.logsigmoid(partner_scores(scores, positives))
    return mean_of_rows(row_means(accepted, positives), positives) + refused.sum() / count


def smile(scores: Tensor, negatives: Mask = None, positives: Mask = None, *, tau: float) -> Tensor:
    r"""Return `donsker_varadhan` with clipped scores inside the partition, the mean over negatives.

    .. math:: P[f] - \log Q[\mathrm{clip}(e^f, e^{-\tau}, e^\tau)]

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.
    tau : float
        Clip at -tau and tau, positive; ``math.inf`` gives `donsker_varadhan`.

    Returns
    -------
    value : Tensor of shape ()
        In nats; can exceed the mutual information.

    Raises
    ------
    ValueError
        If the shapes do not fit, if there are no negatives, or if tau is not positive.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import smile
    >>> smile(torch.full((3, 3), 7.0), tau=5.0).item()
    2.0
    """
    if not tau > 0:
        raise ValueError(f"tau={tau!r}; expected a positive number.")
    partition = log_partition(scores.clamp(-tau, tau), negatives, positives)
    return _joint(scores, positives, partition.dtype) - partition


def tuba(
    scores: Tensor, log_baseline: Tensor, negatives: Mask = None, positives: Mask = None
) -> Tensor:
    r"""Return the tractable unnormalised bound with a baseline for every column.

    .. math:: 1 + P[f - \log a(y)] - Q[e^f / a(y)]

    It is tight if f is the log ratio plus log a; a = e gives `nwj`.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    log_baseline : Tensor of shape (m,)
        :math:`\log a(y_j)`, a function of y alone.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats, in double precision.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if there are no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import tuba
    >>> tuba(torch.full((3, 3), 1000.0), torch.full((3,), 1000.0)).item()
    0.0
    """
    scores = checked(scores, negatives, positives)
    _check_length("log_baseline", log_baseline, scores.shape[1])
    return nwj_of_ratio(scores - log_baseline, negatives, positives)


def _leave_one_out(scores: Tensor) -> Tensor:
    """Return, for cell (k, j), the logsumexp of column j without row k."""
    total = scores.logsumexp(0)
    rows = torch.arange(len(scores), device=scores.device).unsqueeze(1)
    largest = rows == scores.argmax(0)
    # log(e^total - e^score) loses all digits if one score makes up the total. Only the largest of a
    # column can, so its sum is computed anew; any other makes up at most half.
    share = (scores - total).masked_fill(largest, -math.inf).exp()
    without_largest = scores.masked_fill(largest, -math.inf).logsumexp(0)
    return torch.where(largest, without_largest, total + torch.log1p(-share))


def interpolated(
    scores: Tensor,
    log_baseline: Tensor,
    alpha: float,
    negatives: Mask = None,
    positives: Mask = None,
) -> Tensor:
    r"""Return the interpolation between TUBA (alpha = 0) and InfoNCE (alpha = 1).

    With :math:`N_j` the rows that are negatives of column j, and
    :math:`a_S(y) = \alpha \frac{1}{|S|} \sum_{l \in S} e^{f(x_l, y)} + (1 - \alpha) q(y)`,

    .. math:: 1 + \frac1n \sum_j \frac{1}{|N_j|} \sum_{k \in N_j} \Big[
        f_{jj} - \log a_{N_j \cup \{j\} \setminus \{k\}}(y_j) - e^{f_{kj}} / a_{N_j}(y_j) \Big]

    Each sum leaves one row out, so both baselines average equally many rows. At alpha = 1 this is
    InfoNCE over the other n - 1 rows. Columns without a partner are not used. A positive in row i
    of column j takes the place of :math:`f_{jj}`.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    log_baseline : Tensor of shape (m,)
        :math:`\log q(y_j)`, a function of y alone.
    alpha : float
        Weight of the InfoNCE baseline, from 0 to 1.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats, in double precision.

    Raises
    ------
    ValueError
        If the shapes do not fit, if a column with a partner has no negatives, or if alpha is
        outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import interpolated
    >>> print(f"{interpolated(50 * torch.eye(4), torch.zeros(4), alpha=1.0):.4f}")  # log(3)
    1.0986
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha!r}; expected a number from 0 to 1.")
    scores = checked(scores, negatives, positives)
    _check_length("log_baseline", log_baseline, scores.shape[1])
    if positives is not None:
        return _interpolated_at(scores, log_baseline, alpha, negatives, positives)
    n = len(scores)
    scores, log_baseline = scores[:, :n], log_baseline[:n]
    negatives = None if negatives is None else negatives[:, :n]
    turned = None if negatives is None else negatives.T
    counts = count_negatives_each(scores.T, turned, None, "columns")
    held = scores
    if negatives is not None:
        held = scores.masked_fill(~candidate_cells(scores, negatives), -math.inf)
    others, log_a = _mixed(held, counts, log_baseline, alpha)
    baseline = negatives_only(log_a, negatives, 0.0).sum(0) / counts
    product = _exp((others - log_a).diagonal())
    return 1 + (scores.diagonal() - baseline - product).mean()


def _mixed(
    held: Tensor, counts: Tensor, log_baseline: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Return, for cell (k, j), the log mean of column j without row k, and its mixture with q."""
    others = _leave_one_out(held) - counts.log()
    return others, torch.logaddexp(others + _log(alpha), log_baseline + _log(1 - alpha))


def _interpolated_at(
    scores: Tensor, log_baseline: Tensor, alpha: float, negatives: Mask, positives: Tensor
) -> Tensor:
    """Return `interpolated` for any positives: the first of every column, then the second, ..."""
    turned = None if negatives is None else negatives.T
    counts = count_negatives_each(scores.T, turned, positives.T, "columns")
    cells = negative_cells(scores.T, turned, positives.T).T
    terms = scores.new_zeros(scores.shape)
    for row, has in ((row.T, has.T) for row, has in _positives_in_turn(positives.T)):
        held = scores.masked_fill(~cells.scatter(0, row, True), -math.inf)
        # A column without a further positive may be empty: its gradient would be NaN.
        others, log_a = _mixed(held.masked_fill(~has, 0.0), counts, log_baseline, alpha)
        baseline = log_a.masked_fill(~cells, 0.0).sum(0) / counts
        product = _exp((others - log_a).gather(0, row))
        found = torch.zeros_like(positives).scatter(0, row, has)
        terms = torch.where(found, scores - baseline - product, terms)
    return 1 + mean_of_positives(terms, positives)


def _log(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf


def flo(scores: Tensor, u: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
    r"""Return the Fenchel-Legendre bound, valid for any number u for each pair.

    .. math:: 1 - \frac1n \sum_i \Big[u_i + e^{-u_i} \frac{1}{|N_i|}
        \sum_{j \in N_i} e^{f_{ij} - f_{ii}} \Big]

    Here :math:`N_i` are the negatives of row i. Adding a constant to a row does not change the
    value. The best u is minus the log ratio of the pair; u = 1 - f gives `nwj`.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Score of every pair; without ``positives``, column i is the partner of row i.
    u : Tensor of shape (n,)
        A function of the pair alone. If it is fitted to these scores, the value is too large. With
        ``positives``, one number for each, row by row.
    negatives : Tensor of bool of shape (n, m), default=None
        Cells that count as negatives; by default every cell that is not a positive.
    positives : Tensor of bool of shape (n, m), default=None
        Pairs drawn from the joint distribution; by default the diagonal.

    Returns
    -------
    value : Tensor of shape ()
        In nats, in double precision.

    Raises
    ------
    ValueError
        If the shapes do not fit, or if a row has no negatives.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import flo
    >>> flo(torch.zeros(3, 3), torch.zeros(3)).item()
    0.0
    """
    scores = checked(scores, negatives, positives)
    _check_length("u", u, len(scores) if positives is None else int(positives.sum()))
    counts = count_negatives_each(scores, negatives, positives, "rows")
    partition = _row_sums(scores, negatives, positives) - counts.log()
    if positives is None:
        return 1 - (u + _exp(partition - scores.diagonal() - u)).mean()
    terms = u + _exp((partition[:, None] - scores)[positives] - u)
    spread = terms.new_zeros(scores.shape).masked_scatter(positives, terms)
    return 1 - mean_of_positives(spread, positives)


class BoundModule(nn.Module, ABC):
    """Write an objective with a head or a state, trained with the critic; ``build`` returns it.

    A head is a small network that learns a number which the bound needs.
    """

    @abstractmethod
    def forward(self, codes: Codes) -> Tensor:
        """Return what training maximises.

        Parameters
        ----------
        codes : Codes
            Codes, scores, negatives and positives of one batch.

        Returns
        -------
        objective : Tensor of shape ()
            Its gradient trains encoders, critic and head.
        """

    @abstractmethod
    def report(self, codes: Codes) -> Tensor:
        """Return the value to report, without changing the state.

        Parameters
        ----------
        codes : Codes
            Codes, scores, negatives and positives of held-out rows.

        Returns
        -------
        value : Tensor of shape ()
            In nats.
        """


def _masks(negatives: Mask, positives: Mask) -> tuple[Tensor | None, ...]:
    """Return the masks of a call: a user's own bound need not accept positives."""
    return (negatives,) if positives is None else (negatives, positives)


class _Stateless(BoundModule):
    def __init__(self, bound: Bound) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, codes: Codes) -> Tensor:
        value = None if is_large(codes) else self.bound.of_codes(codes)
        return self._value(self.bound.surrogate, codes) if value is None else value

    def report(self, codes: Codes) -> Tensor:
        return self._value(self.bound, codes)

    def _value(self, formula: Callable[..., Tensor], codes: Codes) -> Tensor:
        value = self.bound.of_large(codes) if is_large(codes) else None
        if value is not None:
            return value
        return formula(codes.scores, *_masks(codes.negatives, codes.positives))


class Bound(Objective):
    """Write a bound of your own: state its ``status`` and define ``__call__``.

    Attributes
    ----------
    status : {"lower", "upper", "neither"}
        Side of the mutual information on which the value lies, in expectation over independent
        pairs.
    has_head, keeps_state : bool
        Whether the module of ``build`` has a network for codes of one width, and whether it
        remembers batches.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import Bound, infonce
    >>> class Cautious(Bound):
    ...     status = "lower"
    ...
    ...     def __call__(self, scores, negatives=None, positives=None):
    ...         return infonce(scores, negatives, positives) - 0.1
    >>> print(f"{Cautious()(50 * torch.eye(4)):.4f}")
    1.2863
    """

    @property
    @abstractmethod
    def status(self) -> Status:
        """Return the side of the mutual information on which the value lies."""

    @abstractmethod
    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return the value to report.

        Parameters
        ----------
        scores : Tensor of shape (n, m)
            Score of every pair; without ``positives``, column i is the partner of row i.
        negatives : Tensor of bool of shape (n, m), default=None
            Cells that count as negatives; by default every cell that is not a positive.
        positives : Tensor of bool of shape (n, m), default=None
            Pairs drawn from the joint distribution; by default the diagonal.

        Returns
        -------
        value : Tensor of shape ()
            In nats.
        """

    @property
    def reported(self) -> Bound:
        """Return the bound itself."""
        return self

    def ceiling(self, n: int) -> float:
        """Return the largest possible value with n candidates, including the partner."""
        return math.inf

    def surrogate(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return what training maximises; by default the value itself."""
        return self(scores, *_masks(negatives, positives))

    def of_codes(self, codes: Codes) -> Tensor | None:
        """Return what training maximises on a batch, if there is a faster way than by scores.

        Parameters
        ----------
        codes : Codes

        Returns
        -------
        value : Tensor of shape () or None
            None, the default: use the scores.
        """
        return None

    def of_large(self, codes: Codes) -> Tensor | None:
        """Return the value of a batch without its whole score matrix.

        Parameters
        ----------
        codes : Codes
            Codes whose score matrix would be too large (`sklearn_mi.tiles.is_large`).

        Returns
        -------
        value : Tensor of shape () or None
            None, the default: use the whole matrix.
        """
        return None

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module to train with the critic.

        Parameters
        ----------
        d_x, d_y : int
            Number of components of the two codes.

        Returns
        -------
        module : BoundModule
            Maps `Codes` to what training maximises; its ``report`` gives the value.
        """
        # A copy, so set_params on the description does not change a fitted module.
        return _Stateless(copy.copy(self))


def _log_candidates(n: int, left_out: int = 0) -> float:
    if n <= left_out:
        raise ValueError(f"n={n!r}; expected at least {left_out + 1} candidates.")
    return math.log(n - left_out)


@dataclass(repr=False, eq=False)
class InfoNCE(Bound):
    r"""Pick the partner of a row among all candidates: InfoNCE (`infonce`), the default.

    It trains stably, and its held-out value is safe to quote. It is a lower bound with little
    variance. Its ceiling, the largest value that it can take, is log(number of candidates). Near
    or above the ceiling it has much bias; if the batch cannot grow, use another bound there.

    References
    ----------
    Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
    https://arxiv.org/abs/1807.03748

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import InfoNCE
    >>> bound = InfoNCE()
    >>> print(f"{bound(50 * torch.eye(4)):.4f} of at most {bound.ceiling(4):.4f}")
    1.3863 of at most 1.3863
    """

    by_rows: ClassVar[bool] = True

    status: ClassVar[Status] = "lower"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `infonce`."""
        return infonce(scores, negatives, positives)

    def of_codes(self, codes: Codes) -> Tensor | None:
        """Return `infonce` by the critic's own sums if all cells are candidates."""
        is_plain = codes.negatives is None and codes.positives is None
        if not (is_plain and isinstance(codes.critic, CriticModule)):
            return None
        partners, sums = codes.critic.log_sums(codes.z_x, codes.z_y)
        return (partners - sums).mean() + math.log(len(codes.z_y))

    def of_large(self, codes: Codes) -> Tensor:
        """Return `infonce`, some rows of scores at a time."""
        return mean_of_rows(by_rows(infonce_terms, codes), codes.positives)

    def ceiling(self, n: int) -> float:
        """Return log(n)."""
        return _log_candidates(n)


@dataclass(repr=False, eq=False)
class SymmetricInfoNCE(Bound):
    """Average InfoNCE over rows and over columns (`symmetric_infonce`).

    Use it if both codes matter equally, as with two modalities. It is a lower bound, at most
    log(number of candidates), with little variance. It costs a second pass over the scores.

    References
    ----------
    Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021),
    https://arxiv.org/abs/2103.00020

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import SymmetricInfoNCE
    >>> print(f"{SymmetricInfoNCE()(50 * torch.eye(4)):.4f}")
    1.3863
    """

    needs_columns = True

    status: ClassVar[Status] = "lower"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `symmetric_infonce`."""
        return symmetric_infonce(scores, negatives, positives)

    def of_large(self, codes: Codes) -> Tensor:
        """Return `symmetric_infonce`, some rows and some columns of scores at a time."""
        rows, columns = (by_rows(infonce_terms, codes, columns=way) for way in (False, True))
        if codes.positives is None:
            return (rows.mean() + columns.mean()) / 2
        rows = mean_of_rows(rows, codes.positives)
        return (rows + mean_of_rows(columns, codes.positives.T)) / 2

    def ceiling(self, n: int) -> float:
        """Return log(n)."""
        return _log_candidates(n)


@dataclass(repr=False, eq=False)
class MultiLabelCPC(Bound):
    """Separate all partners of a batch from all its negatives: multi-label CPC (`multi_label_cpc`).

    Use it if scores of different rows must be comparable: it compares a score with the whole
    matrix, InfoNCE only with its row. At alpha = 1 it is a lower bound, never above InfoNCE, with
    the ceiling log(number of candidates) and little variance. A smaller alpha raises the ceiling to
    log(number of candidates / alpha) and adds variance, and the value is not a bound. The reference
    proves a bound down to alpha = K / (n (K - 1) + 1) if each row has its own negatives; the rows
    of a batch share theirs. (For two equal uniform variables and that alpha, the mean can exceed
    the mutual information by 0.002 nats.)

    Parameters
    ----------
    alpha : float, default=1.0
        Weight of the partners, from 0 (`DonskerVaradhan`) to 1.

    References
    ----------
    Multi-label Contrastive Predictive Coding (Song and Ermon, 2020),
    https://arxiv.org/abs/2007.09852

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import MultiLabelCPC
    >>> bound = MultiLabelCPC()
    >>> print(f"{bound(50 * torch.eye(4)):.4f} of at most {bound.ceiling(4):.4f}")
    1.3863 of at most 1.3863
    >>> MultiLabelCPC(alpha=0.5).status
    'neither'
    """

    alpha: float = 1.0

    @property
    def status(self) -> Status:
        """Return "lower" at alpha = 1, "neither" below."""
        return "lower" if self.alpha == 1 else "neither"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `multi_label_cpc`."""
        return multi_label_cpc(scores, negatives, positives, self.alpha)

    def ceiling(self, n: int) -> float:
        """Return log(n / alpha)."""
        return _log_candidates(n) - _log(self.alpha)


@dataclass(repr=False, eq=False)
class NWJ(Bound):
    """Estimate without a ceiling: the bound of Nguyen, Wainwright and Jordan (`nwj`).

    Use it below about 5 nats. It is a lower bound, unbiased for a given critic. Its variance grows
    like the exponential of the mutual information over the number of pairs. The first steps can be
    extremely negative: clip the norm of the gradient, or train with `JensenShannon`.

    References
    ----------
    Estimating Divergence Functionals and the Likelihood Ratio by Convex Risk Minimization
    (Nguyen et al., 2010), https://arxiv.org/abs/0809.0853

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import NWJ
    >>> NWJ()(torch.ones(3, 3)).item()
    0.0
    """

    by_rows: ClassVar[bool] = True

    status: ClassVar[Status] = "lower"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `nwj`."""
        return nwj(scores, negatives, positives)

    def of_large(self, codes: Codes) -> Tensor:
        """Return `nwj`, some rows of scores at a time."""
        partners, partition = _large_partition(codes)
        return partners - _exp(partition - 1)


@dataclass(repr=False, eq=False)
class DonskerVaradhan(Bound):
    """Compare with older work: the representation of Donsker and Varadhan (`donsker_varadhan`).

    On a finite sample it is not a bound: the value is biased upwards. The bias grows with fewer
    pairs and with the mutual information. It has no ceiling and exponential variance.
    `JensenShannon` reports a true lower bound.

    References
    ----------
    Asymptotic Evaluation of Certain Markov Process Expectations for Large Time, IV (Donsker and
    Varadhan, 1983), https://doi.org/10.1002/cpa.3160360204

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import DonskerVaradhan
    >>> DonskerVaradhan()(torch.ones(3, 3)).item()
    0.0
    """

    status: ClassVar[Status] = "neither"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `donsker_varadhan`."""
        return donsker_varadhan(scores, negatives, positives)

    def of_large(self, codes: Codes) -> Tensor:
        """Return `donsker_varadhan`, some rows of scores at a time."""
        partners, partition = _large_partition(codes)
        return partners - partition


@dataclass(repr=False, eq=False)
class JensenShannon(Bound):
    """Train a logistic classifier and report NWJ of the log ratio that it learns.

    Use it if InfoNCE is at its ceiling. Training maximises `jensen_shannon`, which is stable at any
    mutual information. The reported `nwj_of_ratio` is an unbiased lower bound without a ceiling,
    with exponential variance.

    References
    ----------
    Learning Deep Representations by Mutual Information Estimation and Maximization (Hjelm et al.,
    2019), https://arxiv.org/abs/1808.06670

    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import JensenShannon
    >>> JensenShannon()(torch.zeros(3, 3)).item()
    0.0
    """

    by_rows: ClassVar[bool] = True

    status: ClassVar[Status] = "lower"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `nwj_of_ratio`."""
        return nwj_of_ratio(scores, negatives, positives)

    def surrogate(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `jensen_shannon`."""
        return jensen_shannon(scores, negatives, positives)


@dataclass(repr=False, eq=False)
class SMILE(Bound):
    """Train a logistic classifier and report Donsker-Varadhan with a clipped partition (`smile`).

    Use it to follow mutual information that is too large for any bound to certify, and quote a
    lower bound beside it. It has no ceiling and small variance. It is not a bound: if log ratios
    exceed tau, the value is too large.

    Parameters
    ----------
    tau : float, default=5.0
        Clip the scores inside the partition at -tau and tau. Smaller: less variance, more bias.

    References
    ----------
    Understanding the Limitations of Variational Mutual Information Estimators (Song and Ermon,
    2020), https://arxiv.org/abs/1910.06222

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import SMILE
    >>> SMILE(tau=5.0)(torch.full((3, 3), 7.0)).item()
    2.0
    """

    tau: float = 5.0
    status: ClassVar[Status] = "neither"

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `smile`."""
        return smile(scores, negatives, positives, tau=self.tau)

    def surrogate(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `jensen_shannon`."""
        return jensen_shannon(scores, negatives, positives)


class _MovingAverage(BoundModule):
    """Donsker-Varadhan whose gradient divides by a moving average of the partition."""

    log_average: Tensor
    weight: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        # Dividing by the sum of the weights makes the average unbiased from the first batch.
        self.register_buffer("log_average", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, codes: Codes) -> Tensor:
        partition = log_partition(codes.scores, codes.negatives, codes.positives)
        if self.training:
            seen = partition.detach()
            self._update(seen)
            # The value is Donsker-Varadhan's, the gradient that of Q[e^f] / average.
            partition = seen + _exp(seen - self.log_average) * (partition - seen)
        return _joint(codes.scores, codes.positives, partition.dtype) - partition

    def report(self, codes: Codes) -> Tensor:
        return donsker_varadhan(codes.scores, codes.negatives, codes.positives)

    @torch.no_grad()
    def _update(self, partition: Tensor) -> None:
        past = self.decay * self.weight
        total = torch.logaddexp(past.log() + self.log_average, partition)
        self.log_average.copy_(total - past.log1p())
        self.weight.copy_(past + 1)


@dataclass(repr=False, eq=False)
class MINE(Bound):
    r"""Train Donsker-Varadhan with a moving average of the partition, the mean over negatives.

    The value is `donsker_varadhan`: not a bound, without a ceiling, with exponential variance.
    Within a batch the gradient of the logarithm of a mean is biased; MINE replaces it by

    .. math:: P[\nabla f] - Q[e^f \nabla f] \,/\, \mathrm{average}(Q[e^f])

    The built module stores the logarithm of the average and updates it in training mode only. The
    average is unbiased from the first batch.

    Parameters
    ----------
    decay : float, default=0.99
        Weight of the past in the average, at least 0 and below 1; 0 gives `DonskerVaradhan`.

    References
    ----------
    Mutual Information Neural Estimation (Belghazi et al., 2018), https://arxiv.org/abs/1801.04062

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import MINE
    >>> MINE(decay=0.9)(torch.ones(3, 3)).item()
    0.0
    """

    decay: float = 0.99
    status: ClassVar[Status] = "neither"
    keeps_state: ClassVar[bool] = True

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `donsker_varadhan`."""
        return donsker_varadhan(scores, negatives, positives)

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module with the moving average.

        Raises
        ------
        ValueError
            If decay is outside [0, 1).
        """
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay={self.decay!r}; expected at least 0 and below 1.")
        return _MovingAverage(self.decay)


def _head(n_inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Return a perceptron with one output, by torch's own draws."""
    return mlp((n_inputs, *sizes("hidden", hidden, "(64,)"), 1), nn.Linear).append(nn.Flatten(0))


class _BaselineHead(BoundModule):
    """A bound that needs a number for each y, with the head that learns it."""

    def __init__(self, value: Callable[..., Tensor], head: nn.Module) -> None:
        super().__init__()
        self.value, self.head = value, head

    def forward(self, codes: Codes) -> Tensor:
        masks = {"negatives": codes.negatives, "positives": codes.positives}
        return self.value(codes.scores, self.head(codes.z_y), **masks)

    def report(self, codes: Codes) -> Tensor:
        return self(codes)


class _PairHead(BoundModule):
    """A bound that needs a number for each pair, with the head that learns it."""

    def __init__(self, value: Callable[..., Tensor], head: nn.Module) -> None:
        super().__init__()
        self.value, self.head = value, head

    def forward(self, codes: Codes) -> Tensor:
        z_x, z_y = codes.z_x, codes.z_y[: len(codes.z_x)]
        if codes.positives is not None:
            rows, columns = codes.positives.nonzero(as_tuple=True)
            z_x, z_y = codes.z_x[rows], codes.z_y[columns]
        numbers = self.head(torch.cat([z_x, z_y], dim=1))
        masks = {"negatives": codes.negatives, "positives": codes.positives}
        return self.value(codes.scores, numbers, **masks)

    def report(self, codes: Codes) -> Tensor:
        return self(codes)


class _AnchorHead(BoundModule):
    """InfoNCE with an anchor class, and the head that learns a constant for each row."""

    def __init__(self, nu: float, head: nn.Module) -> None:
        super().__init__()
        self.nu, self.head = nu, head

    def _ratios(self, codes: Codes) -> Tensor:
        return codes.scores + self.head(codes.z_x)[:, None]

    def forward(self, codes: Codes) -> Tensor:
        return infonce_anchor(self._ratios(codes), codes.negatives, codes.positives, self.nu)

    def report(self, codes: Codes) -> Tensor:
        return _joint(self._ratios(codes), codes.positives)


@dataclass(repr=False, eq=False)
class InfoNCEAnchor(Bound):
    r"""Train InfoNCE with an anchor class and report the mean log ratio that it learns.

    Use it for a value above InfoNCE's ceiling, and quote a lower bound beside it. Training
    maximises `infonce_anchor`, a stable lower bound; it is largest at the log ratio itself, where
    InfoNCE leaves a constant free in every row. The head, a small network, learns that constant of
    a row, which critics such as the cosine cannot express. The reported value is :math:`P[f]`, the
    mean score of the partners with their constants. It has no ceiling and little variance. It is
    not a bound: a wrong critic makes it too large or too small. Without its head the bound takes
    the scores as they are.

    Parameters
    ----------
    nu : float, default=1.0
        Weight of the anchor class, positive. A larger one holds the constant faster.
    hidden : tuple of int, default=(64,)
        Widths of the hidden layers of the head, whose input is the first code.

    References
    ----------
    Contrastive Predictive Coding Done Right for Mutual Information Estimation (Ryu et al., 2025),
    https://arxiv.org/abs/2510.25983

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import InfoNCEAnchor
    >>> InfoNCEAnchor()(torch.full((3, 3), 2.0)).item()
    2.0
    """

    nu: float = 1.0
    hidden: tuple[int, ...] = (64,)
    status: ClassVar[Status] = "neither"
    has_head: ClassVar[bool] = True

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return the mean score of the positives."""
        return _joint(checked(scores, negatives, positives), positives)

    def surrogate(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `infonce_anchor`."""
        return infonce_anchor(scores, negatives, positives, self.nu)

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module with the head.

        Raises
        ------
        ValueError
            If nu or a width in ``hidden`` is not positive.
        """
        return _AnchorHead(_nu(self.nu), _head(d_x, self.hidden))


@dataclass(repr=False, eq=False)
class TUBA(Bound):
    """Learn a baseline for every y, which NWJ leaves to the critic (`tuba`).

    It is a lower bound, unbiased for a given critic and head, without a ceiling and with
    exponential variance. The head, a small network, learns what depends on y alone. Without its
    head the bound uses the baseline e, which is `nwj`.

    Parameters
    ----------
    hidden : tuple of int, default=(64,)
        Widths of the hidden layers of the head, whose input is the second code.

    References
    ----------
    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import TUBA
    >>> TUBA()(torch.ones(3, 3)).item()
    0.0
    """

    hidden: tuple[int, ...] = (64,)
    status: ClassVar[Status] = "lower"
    has_head: ClassVar[bool] = True

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `tuba` with the baseline e."""
        return nwj(scores, negatives, positives)

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module with the head.

        Raises
        ------
        ValueError
            If a width in ``hidden`` is not positive.
        """
        return _BaselineHead(tuba, _head(d_y, self.hidden))


@dataclass(repr=False, eq=False)
class Interpolated(Bound):
    r"""Interpolate between TUBA and InfoNCE, for less variance or less bias (`interpolated`).

    Use it if InfoNCE is at its ceiling and NWJ is too noisy. It is a lower bound; a smaller alpha
    raises its ceiling and its variance. Without its head the bound uses the baseline e.

    Parameters
    ----------
    alpha : float, default=0.01
        Weight of the InfoNCE baseline, from 0 (`TUBA`) to 1 (InfoNCE with one candidate fewer).
    hidden : tuple of int, default=(64,)
        Widths of the hidden layers of the head, a small network whose input is the second code.

    References
    ----------
    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import Interpolated
    >>> print(f"{Interpolated(alpha=1.0)(50 * torch.eye(4)):.4f}")
    1.0986
    """

    alpha: float = 0.01
    hidden: tuple[int, ...] = (64,)
    status: ClassVar[Status] = "lower"
    has_head: ClassVar[bool] = True

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `interpolated` with the baseline e."""
        scores = checked(scores, negatives, positives)
        baseline = scores.new_ones(scores.shape[1])
        return interpolated(scores, baseline, self.alpha, negatives, positives)

    def ceiling(self, n: int) -> float:
        """Return 1 + log((n - 1) / alpha), or log(n - 1) at alpha = 1."""
        log_others = _log_candidates(n, left_out=1)
        if self.alpha == 1:
            return log_others
        # Only at alpha = 1 does the 1 cancel against the last term of the bound.
        return 1 + log_others - _log(self.alpha)

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module with the head.

        Raises
        ------
        ValueError
            If a width in ``hidden`` is not positive.
        """
        return _BaselineHead(partial(interpolated, alpha=self.alpha), _head(d_y, self.hidden))


@dataclass(repr=False, eq=False)
class FLO(Bound):
    """Learn a number for every pair: the Fenchel-Legendre bound (`flo`).

    It is a lower bound, unbiased for a given critic and head, without a ceiling and with
    exponential variance. The head, a small network, learns minus the log ratio of a pair. So the
    critic is free up to a constant for each row, as with InfoNCE. Without its head the bound uses
    u = 1 - f, which is `nwj`.

    Parameters
    ----------
    hidden : tuple of int, default=(64,)
        Widths of the hidden layers of the head, whose input is both codes of a pair.

    References
    ----------
    Tight Mutual Information Estimation With Contrastive Fenchel-Legendre Optimization (Guo et al.,
    2022), https://arxiv.org/abs/2107.01131

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.bounds import FLO
    >>> FLO()(torch.ones(3, 3)).item()
    0.0
    """

    hidden: tuple[int, ...] = (64,)
    status: ClassVar[Status] = "lower"
    has_head: ClassVar[bool] = True

    def __call__(self, scores: Tensor, negatives: Mask = None, positives: Mask = None) -> Tensor:
        """Return `flo` with u = 1 - f."""
        scores = checked(scores, negatives, positives)
        joint = scores.diagonal() if positives is None else scores[positives]
        return flo(scores, 1 - joint, negatives, positives)

    def build(self, d_x: int, d_y: int) -> BoundModule:
        """Return the module with the head.

        Raises
        ------
        ValueError
            If a width in ``hidden`` is not positive.
        """
        return _PairHead(flo, _head(d_x + d_y, self.hidden))


BOUNDS: dict[str, Callable[[], Bound]] = {
    "infonce": InfoNCE,
    "infonce-symmetric": SymmetricInfoNCE,
    "multi-label-cpc": MultiLabelCPC,
    "nwj": NWJ,
    "donsker-varadhan": DonskerVaradhan,
    "js": JensenShannon,
    "smile": SMILE,
    "mine": MINE,
    "infonce-anchor": InfoNCEAnchor,
    "tuba": TUBA,
    "interpolated": Interpolated,
    "flo": FLO,
}
