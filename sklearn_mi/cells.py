"""Cells of a score matrix: its positives and negatives, and means over them.

A positive is a draw from the joint distribution, a negative one from the product of the marginals.
Without a mask of positives the only positive of row i is its partner, column i.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from sklearn_mi._base import Mask

__all__ = [
    "beside",
    "candidate_cells",
    "checked",
    "count_negatives",
    "count_negatives_each",
    "log_sum",
    "mean_log_share",
    "mean_of_positives",
    "mean_of_rows",
    "negative_cells",
    "negatives_only",
    "partner_scores",
    "row_means",
]


def checked(scores: Tensor, negatives: Mask, positives: Mask = None) -> Tensor:
    """Check the shapes and return scores in at least single precision.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    negatives, positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    scores : Tensor of shape (n, m)

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If a mask is not boolean.
    """
    shape = tuple(scores.shape)
    if len(shape) != 2 or 0 in shape or (positives is None and shape[0] > shape[1]):
        raise ValueError(
            f"scores of shape {shape}; expected (n, m) with 1 <= n <= m, "
            "since column i is the partner of row i; pass positives for other shapes."
        )
    for name, mask in (("negatives", negatives), ("positives", positives)):
        if mask is not None and mask.dtype != torch.bool:
            raise TypeError(f"{name} of dtype {mask.dtype}; expected torch.bool.")
        if mask is not None and mask.shape != scores.shape:
            raise ValueError(
                f"{name} of shape {tuple(mask.shape)}; expected that of scores, {shape}."
            )
    return scores.float() if scores.dtype.itemsize < 4 else scores


def negative_cells(scores: Tensor, negatives: Mask, positives: Mask = None) -> Tensor:
    """Return the mask of the negatives, without positives and rows that have no positive.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    negatives : Tensor of bool of shape (n, m) or None
        None: every cell that is not a positive.
    positives : Tensor of bool of shape (n, m) or None, default=None
        None: the diagonal.

    Returns
    -------
    cells : Tensor of bool of shape (n, m)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.cells import negative_cells
    >>> positives = torch.tensor([[True, True, False], [False, False, False]])
    >>> negative_cells(torch.zeros(2, 3), None, positives).int().tolist()
    [[0, 0, 1], [0, 0, 0]]
    """
    if positives is None:
        others = ~torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
        return others if negatives is None else negatives & others
    others = positives.any(1, keepdim=True) & ~positives
    return others if negatives is None else negatives & others


def negatives_only(scores: Tensor, negatives: Mask, fill: float, positives: Mask = None) -> Tensor:
    """Return the scores with every cell that is not a negative replaced by ``fill``.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    negatives, positives : Tensor of bool of shape (n, m) or None
    fill : float
        The value of all other cells.

    Returns
    -------
    scores : Tensor of shape (n, m)
    """
    if positives is not None:
        return scores.masked_fill(~negative_cells(scores, negatives, positives), fill)
    kept = scores if negatives is None else scores.masked_fill(~negatives, fill)
    return kept.diagonal_scatter(kept.new_full((len(kept),), fill))


def candidate_cells(scores: Tensor, negatives: Tensor) -> Tensor:
    """Return the mask of the negatives and the partners on the diagonal together.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    negatives : Tensor of bool of shape (n, m)

    Returns
    -------
    cells : Tensor of bool of shape (n, m)
    """
    return negatives | torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)


def count_negatives(scores: Tensor, negatives: Mask, positives: Mask = None) -> int:
    """Return the number of negatives in the whole matrix.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    negatives, positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    count : int

    Raises
    ------
    ValueError
        If there are no negatives.
    """
    n, m = scores.shape
    if positives is not None:
        count = int(negative_cells(scores, negatives, positives).sum())
    elif negatives is None:
        count = n * (m - 1)
    else:
        count = int(negatives.sum() - negatives.diagonal().sum())
    if count == 0:
        raise ValueError(
            f"scores of shape {(n, m)} hold no negatives; pass at least 2 pairs, "
            "and a mask that is True somewhere beside the positives."
        )
    return count


def count_negatives_each(
    scores: Tensor, negatives: Mask, positives: Mask, what: Literal["rows", "columns"]
) -> Tensor:
    """Return the number of negatives of each row; 1 for a row without positives.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    negatives, positives : Tensor of bool of shape (n, m) or None
    what : {"rows", "columns"}
        Name of the rows in error messages.

    Returns
    -------
    counts : Tensor of shape (n,)
        In the dtype of the scores.

    Raises
    ------
    ValueError
        If a row with a positive has none.
    """
    n = len(scores)
    if positives is None and negatives is None:
        count_negatives(scores, None)
        return scores.new_full((n,), scores.shape[1] - 1)
    if positives is None:
        counts = candidate_cells(scores, negatives).sum(1) - 1  # type: ignore[arg-type]
        lacking = counts == 0
    else:
        counts = negative_cells(scores, negatives, positives).sum(1)
        lacking = (counts == 0) & positives.any(1)
    if lacking.any():
        raise ValueError(
            f"{int(lacking.sum())} of {n} {what} have no negatives; "
            "this bound needs one for each: drop these pairs, or use infonce or nwj."
        )
    return counts.clamp_min(1).to(scores.dtype)


def partner_scores(scores: Tensor, positives: Mask) -> Tensor:
    """Return the diagonal, or the unchanged scores if there is a mask of positives.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    values : Tensor of shape (n,) or (n, m)
        With a mask a formula computes every cell, and `row_means` drops all but the positives.
    """
    return scores.diagonal() if positives is None else scores


def beside(numbers: Tensor, positives: Mask) -> Tensor:
    """Return one number a row in a shape that broadcasts against `partner_scores`.

    Parameters
    ----------
    numbers : Tensor of shape (n,)
    positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    numbers : Tensor of shape (n,) or (n, 1)
    """
    return numbers if positives is None else numbers[:, None]


def row_means(values: Tensor, positives: Mask) -> Tensor:
    """Return the mean over the positives of each row; 0 for a row without positives.

    Parameters
    ----------
    values : Tensor of shape (n,) or (n, m)
        In the shape of `partner_scores`.
    positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    means : Tensor of shape (n,)
    """
    if positives is None:
        return values
    return values.masked_fill(~positives, 0.0).sum(1) / positives.sum(1).clamp_min(1)


def mean_of_rows(terms: Tensor, positives: Mask) -> Tensor:
    """Return the mean over the rows that have a positive; NaN if no row has one.

    Parameters
    ----------
    terms : Tensor of shape (n,)
    positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    mean : Tensor of shape ()
    """
    if positives is None:
        return terms.mean()
    rows = positives.any(1)
    return terms.masked_fill(~rows, 0.0).sum() / rows.sum()


def mean_of_positives(values: Tensor, positives: Mask) -> Tensor:
    """Return the mean over rows of the mean over each row's positives.

    Parameters
    ----------
    values : Tensor of shape (n, m)
    positives : Tensor of bool of shape (n, m) or None

    Returns
    -------
    mean : Tensor of shape ()

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.cells import mean_of_positives
    >>> values = torch.tensor([[1.0, 3.0, 9.0], [9.0, 9.0, 4.0]])
    >>> mean_of_positives(values, torch.tensor([[1, 1, 0], [0, 0, 1]]).bool()).item()
    3.0
    """
    return mean_of_rows(row_means(partner_scores(values, positives), positives), positives)


def log_sum(scores: Tensor, cells: Tensor, empty: float = 0.0) -> Tensor:
    """Return the logarithm of the sum of ``exp(scores)`` over the cells of each row.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    cells : Tensor of bool of shape (n, m)
    empty : float, default=0.0
        Value of a row without cells, which gets no gradient.

    Returns
    -------
    sums : Tensor of shape (n,)
    """
    # A sum over nothing has a gradient of NaN: such rows are filled before and after.
    is_empty = ~cells.any(1, keepdim=True)
    sums = scores.masked_fill(~cells, -math.inf).masked_fill(is_empty, 0.0).logsumexp(1)
    return sums.masked_fill(is_empty[:, 0], empty)


def mean_log_share(scores: Tensor, cells: Tensor, positives: Tensor) -> Tensor:
    """Return the mean logarithm of a positive's share among itself and cells of its row.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    cells, positives : Tensor of bool of shape (n, m)

    Returns
    -------
    means : Tensor of shape (n,)
        0 for a row without positives.
    """
    # A GPU computes all cells before it has found the positives.
    share = _share_at_positives if scores.device.type == "cpu" else _share_of_all_cells
    return share(scores, log_sum(scores, cells, empty=-math.inf), positives)


def _share_of_all_cells(scores: Tensor, sums: Tensor, positives: Tensor) -> Tensor:
    return row_means(functional.logsigmoid(scores - sums[:, None]), positives)


def _share_at_positives(scores: Tensor, sums: Tensor, positives: Tensor) -> Tensor:
    """Return the same in the time and memory of the positives alone."""
    rows, columns = positives.nonzero(as_tuple=True)
    shares = functional.logsigmoid(scores[rows, columns] - sums[rows])
    added = shares.new_zeros(len(scores)).index_add(0, rows, shares)
    return added / positives.sum(1).clamp_min(1)
