"""Batches of dependent pairs, which break a bound (Tschannen et al., 2020)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["toy_ceiling", "toy_pairs", "toy_true_mi"]

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
