"""Bounds of a score matrix and their variances, from one exponential of the matrix.

Row i of a block is a draw of a pair: it enters every bound as x, as y and as their partnership. Its
influence is the derivative of the bound by the weight of that draw, times the number of draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["ALPHA", "TAU", "UnrelatedPairs", "with_variances"]

ALPHA = 0.01
# A sum keeps six digits beside a term of this exponent.
DIGITS = 23.0
FEWEST_ROWS = 4
# Exponents of double precision end at 709; what lies further below the largest is lost.
REACH = 600.0
TAU = 5.0


class UnrelatedPairs:
    """The exponentials of the scores of unrelated pairs, without overflow or cancellation.

    Partners are kept apart, and so is the largest pair of each column: either may exceed the sum of
    all other pairs by more than the digits of a number.

    Parameters
    ----------
    scores : Tensor of float64 of shape (n, n)
        Log-ratios; column i is the partner of row i.

    Attributes
    ----------
    partners : Tensor of shape (n,)
        The diagonal.
    largest : Tensor of shape (n,)
        The largest score of each column.
    place : tuple of Tensor of shape (n,)
        The rows and columns of the largest scores.
    cells : Tensor of shape (n, n)
        ``exp(scores - largest)``, 0 on the diagonal.
    rest : Tensor of shape (n,)
        Sum of each column's cells without the largest, which is 1.
    """

    def __init__(self, scores: Tensor) -> None:
        self.scores, self.partners = scores, scores.diagonal()
        unrelated = self._unrelated()
        self.largest, place = unrelated.max(0)
        self.place = place, torch.arange(len(scores))
        self.cells = unrelated.sub_(self.largest).exp_()
        self.cells[self.place] = 0.0
        self.rest = self.cells.sum(0)
        self.cells[self.place] = 1.0
        self.log_columns = self.largest + self.rest.log1p()
        self.log_rows = self._log_rows()
        self.log_sum = self.log_columns.logsumexp(0)

    def __len__(self) -> int:
        return len(self.partners)

    def _unrelated(self) -> Tensor:
        """Return the scores with minus infinity for partners."""
        return self.scores.clone().fill_diagonal_(-math.inf)

    def _log_rows(self) -> Tensor:
        """Return the logarithm of the sum of each row, by the cells if these reach far enough."""
        highest = self.largest.max()
        sums = (self.cells @ (self.largest - highest).exp()).log()
        self.is_within_reach = bool(sums.min() > -REACH)
        return highest + sums if self.is_within_reach else self._unrelated().logsumexp(1)

    @property
    def effective_sample_size(self) -> float:
        """Number of equally weighted pairs whose mean is as precise, as `log_sum` has it."""
        squares = 2 * self.largest + self.cells.square().sum(0).log()
        return float((2 * self.log_sum - squares.logsumexp(0)).exp())

    @property
    def share_of_partners_above(self) -> float:
        """Share of the partners that score above every unrelated pair."""
        return float((self.partners > self.largest.max()).double().mean())

    def clipped(self, tau: float) -> Tensor:
        """Return ``exp(clip(scores, -tau, tau))``, 0 on the diagonal."""
        if self.largest.max() < REACH:
            clipped = self.cells * self.largest.exp()
            clipped.clamp_(math.exp(-tau), math.exp(tau))
        else:
            clipped = self.scores.clamp(-tau, tau).exp()
        return clipped.fill_diagonal_(0.0)


def _partition(log_rows: Tensor, log_columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log of the mean over unrelated pairs, and its influences."""
    n, total = len(log_rows), log_columns.logsumexp(0)
    shares = (log_rows - total).exp() + (log_columns - total).exp()
    return total - math.log(n * (n - 1)), n * shares - 2


def _plug_in(pairs: UnrelatedPairs) -> tuple[Tensor, Tensor]:
    value = pairs.partners.mean()
    return value, pairs.partners - value


def _donsker_varadhan(pairs: UnrelatedPairs) -> tuple[Tensor, Tensor]:
    value, own = _plug_in(pairs)
    partition, shared = _partition(pairs.log_rows, pairs.log_columns)
    return value - partition, own - shared


def _nwj(pairs: UnrelatedPairs) -> tuple[Tensor, Tensor]:
    value, own = _plug_in(pairs)
    partition, shared = _partition(pairs.log_rows, pairs.log_columns)
    return 1 + value - partition.exp(), own - partition.exp() * shared


def _smile(pairs: UnrelatedPairs) -> tuple[Tensor, Tensor]:
    value, own = _plug_in(pairs)
    clipped = pairs.clipped(TAU)
    partition, shared = _partition(clipped.sum(1).log(), clipped.sum(0).log())
    return value - partition, own - shared


def _infonce(pairs: UnrelatedPairs) -> tuple[Tensor, Tensor]:
    """Return InfoNCE, and minus n - 1 times its changes without each row in turn.

    Near the ceiling few candidates count in a row, and the derivative is too small.
    """
    log_sums = torch.logaddexp(pairs.log_rows, pairs.partners)
    terms = pairs.partners - log_sums
    least = log_sums.min()
    if pairs.is_within_reach and pairs.largest.max() - least < REACH:
        left = pairs.cells * (pairs.largest - least).exp()
        left *= (log_sums - least).neg_().exp_()[:, None]
    else:
        left = (pairs.scores - log_sums[:, None]).exp_().fill_diagonal_(0.0)
    # What is left of a row's sum without a candidate is at least its partner.
    left = left.neg_().add_(1.0).clamp_(min=0.0).log_().clamp_(min=terms[:, None])
    changes = terms + left.sum(0)
    return terms.mean() + math.log(len(pairs)), changes - changes.mean()


def _interpolated(pairs: UnrelatedPairs) -> tuple[Tensor, Tensor]:
    n = len(pairs)
    scale, one = math.log(ALPHA / (n - 1)), torch.tensor(math.log1p(-ALPHA), dtype=torch.float64)

    def baseline(log_sum: Tensor) -> Tensor:
        return torch.logaddexp(scale + log_sum, one)

    log_a = baseline(torch.logaddexp(pairs.log_columns, pairs.partners))
    without_partner = baseline(pairs.log_columns)
    others = pairs.largest + pairs.rest.log()
    without_largest = baseline(torch.logaddexp(others, pairs.partners))
    # Each row's share of the baseline of a column, and what is left of the baseline without it.
    share = (scale + pairs.largest - log_a).exp()
    left = (pairs.cells * -share).add_(1.0)
    logs, inverse = left.log(), left.reciprocal_().fill_diagonal_(0.0)
    logs[pairs.place] = without_largest - log_a
    inverse[pairs.place] = (log_a - without_largest).clamp(max=DIGITS).exp()

    mean_log = logs.sum(0) / (n - 1)
    product = (pairs.log_columns - math.log(n - 1) - without_partner).exp()
    terms = pairs.partners - log_a - mean_log - product
    # A row's weight acts on its own term, as the one left out, within baselines, within products.
    left_out = logs.sum(1) - (mean_log.sum() - mean_log)
    by_column, fixed = inverse.sum(0), (one - log_a).exp()
    own = (scale + pairs.partners - log_a).exp() * by_column
    within = pairs.cells @ (share * by_column) + own - inverse.sum(1)
    within += (fixed @ by_column - inverse @ fixed) / (n - 1)
    slope = (one + pairs.largest - 2 * without_partner).exp()
    falling = product * (one - without_partner).exp()
    products = pairs.cells @ slope - (falling.sum() - falling)
    influence = terms - terms.mean() - (left_out + within + products) / (n - 1)
    return 1 + terms.mean(), influence


INFLUENCES: dict[str, Callable[[UnrelatedPairs], tuple[Tensor, Tensor]]] = {
    "infonce": _infonce,
    "interpolated": _interpolated,
    "nwj": _nwj,
    "donsker-varadhan": _donsker_varadhan,
    "smile": _smile,
    "plug-in": _plug_in,
}


def with_variances(pairs: UnrelatedPairs, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    r"""Return bounds and their variances over draws of the rows.

    With :math:`T(w)` the bound of rows that carry weights, each as x and as y,

    .. math:: \widehat{\mathrm{Var}} = \frac{1}{n (n - 1)} \sum_i \varphi_i^2, \qquad
        \varphi_i = n \frac{\partial T}{\partial w_i} \Big|_{w = 1}

    It agrees with the jackknife that leaves out each row in turn, at the price of one bound. Both
    take the bound for smooth: where a single unrelated pair makes up the sum of all (see
    ``effective_sample_size``), the variances of "nwj" and "donsker-varadhan" are too small.

    Parameters
    ----------
    pairs : UnrelatedPairs
    names : sequence of str
        Any of "infonce", "interpolated" (alpha .01), "nwj", "donsker-varadhan", "smile" (tau 5) and
        "plug-in".

    Returns
    -------
    values, variances : ndarray of shape (n_names,)
        In nats and their square; variances are NaN for fewer than four rows.

    References
    ----------
    The Jackknife, the Bootstrap and Other Resampling Plans (Efron, 1982)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.information.influence import UnrelatedPairs, with_variances
    >>> pairs = UnrelatedPairs(torch.diag(torch.arange(4.0, dtype=torch.float64)))
    >>> values, variances = with_variances(pairs, ["plug-in"])
    >>> values.tolist(), variances.round(3).tolist()  # a mean: the variance of the terms over 4
    ([1.5], [0.417])
    """
    n = len(pairs)
    values, influences = zip(*(INFLUENCES[name](pairs) for name in names), strict=True)
    variances = torch.stack(influences).square().sum(1).numpy() / (n * (n - 1))
    if n < FEWEST_ROWS:
        variances = np.full(len(names), math.nan)
    return torch.stack(values).numpy(), variances
