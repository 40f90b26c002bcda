"""Score matrices in pieces: some rows at a time, or the parts that a critic cuts codes into.

A batch of n pairs has n^2 scores. A bound needs only a number or two of each row and keeps these.
The scores are dropped and computed again in the backward pass. The methods of `CriticModule` tell
what a critic can do piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from sklearn_mi._base import Codes

__all__ = ["CriticModule", "by_rows", "is_large", "project", "recomputed"]

Scores = Callable[[Tensor, Tensor], Tensor]

# 256 MB of scores in single precision, and a quarter of that at a time.
LARGE = 2**26
CELLS_AT_ONCE = 2**24


class CriticModule(nn.Module):
    """Write a critic that works piece by piece; any ``nn.Module`` from two codes to scores works.

    Attributes
    ----------
    has_parts : bool
        Whether `cut` cuts codes into parts.
    """

    has_parts: ClassVar[bool] = False

    def project(self, z_x: Tensor, z_y: Tensor) -> tuple[Tensor, Tensor, Scores]:
        """Return each code after all work on it alone, and a function that scores the results.

        Parameters
        ----------
        z_x, z_y : Tensor of shape (n, d_x), (m, d_y)

        Returns
        -------
        z_x, z_y : Tensor of shape (n, k), (m, l)
        scores : callable
            ``scores(z_x, z_y)``, for any rows of the two; by default the critic itself.
        """
        return z_x, z_y, self

    def log_sums(self, z_x: Tensor, z_y: Tensor) -> tuple[Tensor, Tensor]:
        """Return, for each row, the partner's score and the log of the sum of all exp(scores).

        Define it if it can be computed without a logarithm or an exponential of every score.

        Parameters
        ----------
        z_x, z_y : Tensor of shape (n, d_x), (m, d_y)
            With n <= m; row i of the second is the partner of row i of the first.

        Returns
        -------
        partners, sums : Tensor of shape (n,)
        """
        scores = self(z_x, z_y)
        return scores.diagonal(), scores.logsumexp(1)

    def cut(self, z_x: Tensor, z_y: Tensor) -> list[tuple[Tensor, Tensor, nn.Module]]:
        """Return the parts of the codes, each with its critic; by default the whole as one part.

        Parameters
        ----------
        z_x, z_y : Tensor of shape (n, d_x), (m, d_y)

        Returns
        -------
        parts : list of (Tensor, Tensor, Module)
            The scores are the sum of the scores of the parts.
        """
        return [(z_x, z_y, self)]


def project(critic: Scores, z_x: Tensor, z_y: Tensor) -> tuple[Tensor, Tensor, Scores]:
    """Return the result of `CriticModule.project` for any critic.

    Parameters
    ----------
    critic : callable
    z_x, z_y : Tensor of shape (n, d_x), (m, d_y)

    Returns
    -------
    z_x, z_y : Tensor of shape (n, k), (m, l)
    scores : callable
    """
    return critic.project(z_x, z_y) if isinstance(critic, CriticModule) else (z_x, z_y, critic)


def is_large(codes: Codes) -> bool:
    """Return whether the score matrix of a batch is too large to compute as a whole.

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
    """Return the value of a function without storing what its gradient needs.

    Parameters
    ----------
    function : callable
        A function without randomness.
    *arguments : Tensor or None

    Returns
    -------
    value : Tensor
        Its backward pass computes the function again.

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


def by_rows(formula: Callable[..., Tensor], codes: Codes, *, columns: bool = False) -> Tensor:
    """Apply a formula to each row of scores, some rows at a time.

    Parameters
    ----------
    formula : callable
        ``formula(scores, negatives)`` from b rows of scores, of shape (b, m) with column i the
        partner of row i, to a Tensor of shape (b, ...). If the codes have a mask of positives:
        ``formula(scores, negatives, positives)``.
    codes : Codes
        Its ``scores`` are never computed as a whole.
    columns : bool, default=False
        Swap roles: treat partnered columns as rows.

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
    rows, candidates, score, *masks = _sides(codes, columns)

    def of_tile(rows: Tensor, candidates: Tensor, *masks: Tensor | None) -> Tensor:
        given = masks if masks[1] is not None else masks[:1]
        return formula(score(rows, candidates), *given)

    n, parts = max(1, CELLS_AT_ONCE // len(candidates)), []
    for start in range(0, len(rows), n):
        cut = [None if mask is None else mask[start : start + n] for mask in masks]
        those = candidates
        if codes.positives is None:
            # Rotated so the partners of these rows come first, in their order.
            those = candidates.roll(-start, dims=0)
            cut[0] = None if cut[0] is None else cut[0].roll(-start, dims=1)
        parts.append(recomputed(of_tile, rows[start : start + n], those, *cut))
    return torch.cat(parts)


def _sides(
    codes: Codes, columns: bool
) -> tuple[Tensor, Tensor, Scores, Tensor | None, Tensor | None]:
    """Return the codes of rows and of candidates, their scorer, negatives and positives."""
    z_x, z_y, critic = project(codes.critic, codes.z_x, codes.z_y)
    negatives, positives = codes.negatives, codes.positives
    if not columns:
        return z_x, z_y, critic, negatives, positives
    # Without a mask the columns beyond the diagonal have no partner and stand for no row.
    n = len(z_x) if positives is None else len(z_y)
    negatives = None if negatives is None else negatives[:, :n].T
    positives = None if positives is None else positives.T
    return z_y[:n], z_x, lambda a, b: critic(b, a).T, negatives, positives
