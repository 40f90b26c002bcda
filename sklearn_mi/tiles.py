"""Score matrices too large to hold: a few rows of them at a time, computed anew for the gradient.

A batch of n pairs has n^2 scores. What a bound needs of a row of scores is a number or two, and
these are kept; the scores themselves are dropped and computed once more in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from sklearn_mi._base import Codes

__all__ = ["by_rows", "is_large", "recomputed"]

# 256 MB of scores in single precision, and a quarter of that at a time.
LARGE = 2**26
CELLS_AT_ONCE = 2**24


def is_large(codes: Codes) -> bool:
    """Tell whether the score matrix of a batch should not be made as a whole.

    Parameters
    ----------
    codes : Codes

    Returns
    -------
    answer : bool

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> z = torch.zeros(10_000, 2)
    >>> is_large(Codes(z, z, lambda a, b: a @ b.T))
    True
    """
    return len(codes.z_x) * len(codes.z_y) > LARGE


def recomputed(function: Callable[..., Tensor], *arguments: Tensor | None) -> Tensor:
    """Return the value of a function without keeping what its gradient needs.

    Parameters
    ----------
    function : callable
        Draws nothing.
    *arguments : Tensor or None

    Returns
    -------
    value : Tensor
        Its backward pass computes the function once more.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> recomputed(torch.exp, x).sum().backward()
    >>> torch.equal(x.grad, x.exp())
    True
    """
    if not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)  # type: ignore[return-value]


def by_rows(
    formula: Callable[[Tensor, Tensor | None], Tensor], codes: Codes, *, columns: bool = False
) -> Tensor:
    """Return what a formula makes of each row of scores, some rows at a time.

    Parameters
    ----------
    formula : callable
        ``formula(scores, negatives)`` from b rows of scores, of shape (b, m) with column i the
        partner of row i, to a Tensor of shape (b, ...).
    codes : Codes
        Its ``scores`` are never made.
    columns : bool, default=False
        Take the columns that have a partner for rows.

    Returns
    -------
    values : Tensor of shape (n, ...)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi._base import Codes
    >>> from sklearn_mi.bounds import infonce_terms
    >>> by_rows(infonce_terms, Codes(torch.eye(2), torch.eye(2), lambda a, b: 50 * a @ b.T))
    tensor([0.6931, 0.6931])
    """
    rows, candidates, score, negatives = _sides(codes, columns)

    def of_tile(rows: Tensor, candidates: Tensor, negatives: Tensor | None) -> Tensor:
        return formula(score(rows, candidates), negatives)

    n, parts = max(1, CELLS_AT_ONCE // len(candidates)), []
    for start in range(0, len(rows), n):
        # Turned so that the partners of these rows come first, in their order.
        mask = None if negatives is None else negatives[start : start + n].roll(-start, dims=1)
        tile = rows[start : start + n], candidates.roll(-start, dims=0), mask
        parts.append(recomputed(of_tile, *tile))
    return torch.cat(parts)


def _sides(
    codes: Codes, columns: bool
) -> tuple[Tensor, Tensor, Callable[[Tensor, Tensor], Tensor], Tensor | None]:
    """Return the codes of rows and of candidates, what scores them, and which are negatives."""
    z_x, z_y, critic, negatives = codes.z_x, codes.z_y, codes.critic, codes.negatives
    project = getattr(critic, "project", None)
    if project is not None:
        z_x, z_y, critic = project(z_x, z_y)
    if not columns:
        return z_x, z_y, critic, negatives
    n = len(z_x)
    negatives = None if negatives is None else negatives[:, :n].T
    return z_y[:n], z_x, lambda a, b: critic(b, a).T, negatives
