"""Encoders that can be inverted: normalising flows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_mi._base import Shape, positive_integer, sizes
from sklearn_mi.encoders.base import Encoder, InvertibleModule, check_fixed_width
from sklearn_mi.encoders.dense import nearly_zero
from sklearn_mi.layers import mlp

__all__ = ["RealNVP"]


class _Coupling(nn.Module):
    """Permute the columns; shift (if affine, also scale) one half by functions of the other."""

    order: Tensor

    def __init__(self, width: int, hidden: tuple[int, ...], *, affine: bool) -> None:
        super().__init__()
        self.kept, self.affine = width // 2, affine
        moved = width - self.kept
        widths = (self.kept, *hidden, 2 * moved if affine else moved)
        self.network = mlp(widths, nn.Linear)
        nearly_zero(self.network)
        self.register_buffer("order", torch.randperm(width))

    def _shift_and_scale(self, kept: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.affine:
            return self.network(kept), None
        shift, raw = self.network(kept).chunk(2, dim=1)
        return shift, 1e-7 + F.softplus(raw)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the new columns and the scales of the changed half."""
        x = x[:, self.order]
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        shift, scale = self._shift_and_scale(kept)
        moved = moved + shift if scale is None else moved * scale + shift
        return torch.cat([kept, moved], dim=1), scale

    def inverse(self, z: Tensor) -> Tensor:
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        shift, scale = self._shift_and_scale(kept)
        moved = moved - shift if scale is None else (moved - shift) / scale
        return torch.cat([kept, moved], dim=1)[:, self.order.argsort()]


class _Flow(InvertibleModule):
    """A chain of couplings: a bijection between rows and codes."""

    def __init__(self, input_shape: Shape, couplings: Iterable[_Coupling]) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.couplings = nn.ModuleList(couplings)

    def forward(self, rows: Tensor) -> Tensor:
        x = rows.flatten(1)
        for coupling in self.couplings:
            x, _ = coupling(x)
        return x

    def inverse(self, z: Tensor) -> Tensor:
        """Return the rows ``(b, *input_shape)`` whose codes are ``z``."""
        for coupling in reversed(self.couplings):
            z = cast(_Coupling, coupling).inverse(z)
        return z.reshape(-1, *self.input_shape)

    def log_det(self, rows: Tensor) -> Tensor:
        """Return the logarithm of the Jacobian's absolute determinant at each row, ``(b,)``."""
        x = rows.flatten(1)
        total = x.new_zeros(len(x))
        for coupling in self.couplings:
            x, scale = coupling(x)
            if scale is not None:
                total = total + scale.log().sum(1)
        return total


@dataclass(repr=False, eq=False)
class RealNVP(Encoder):
    """Encode rows by a bijection, a normalising flow: for any weights no information is lost.

    Use it to study features at constant mutual information: the paper shows that they get better,
    or much worse. It does not reduce dimensions, and 30 couplings cost far more than an `MLP`.

    Each layer is a fixed random permutation of the columns and then a coupling. A coupling keeps
    the first half of the columns, a, and changes the other half, b, by a perceptron of a:
    ``b + shift(a)``, or with ``affine`` ``b * scale(a) + shift(a)``, where
    ``scale = 1e-7 + softplus(r)``.

    Weights start normal with standard deviation 1e-4, truncated at two standard deviations, and
    biases at zero. So before training the code is the permuted row; with ``affine`` each coupling
    also scales half of the columns by log 2. At 392 inputs there are 13.92 million parameters, or
    16.94 million with ``affine``.

    `build` returns an `InvertibleModule`: ``inverse(z)`` returns the rows in their own shape. Its
    ``log_det(x)``, of shape ``(b,)``, is the logarithm of the Jacobian's absolute determinant at
    each row. Without ``affine`` it is zero.

    Parameters
    ----------
    couplings : int
        Number of permutations, each with its coupling; 30 in the paper.
    hidden : tuple of int
        Sizes of the hidden layers of each perceptron, with ReLU after each.
    affine : bool
        Whether couplings also scale, as in the paper's figure 1c. False: only shifts, which
        preserve volumes, as in its figures 1a and 1b.

    References
    ----------
    Density Estimation Using Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017).
    https://arxiv.org/abs/1605.08803

    NICE: Non-linear Independent Components Estimation (Dinh, Krueger & Bengio, 2015), for couplings
    without scales. https://arxiv.org/abs/1410.8516

    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import RealNVP
    >>> flow = RealNVP(couplings=4, hidden=(16,)).build((3, 5), None)
    >>> x = torch.randn(7, 3, 5)
    >>> flow(x).shape, torch.allclose(flow.inverse(flow(x)), x, atol=1e-5)
    (torch.Size([7, 15]), True)
    """

    couplings: int = 30
    hidden: Sequence[int] = (512, 512)
    affine: bool = False

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = math.prod(input_shape)
        if width < 2:
            raise ValueError(
                f"input_shape={tuple(input_shape)}; {self!r} needs at least 2 inputs, one to keep "
                "and one to move."
            )
        check_fixed_width(n_components, repr(self), width)
        hidden, affine = sizes("hidden", self.hidden, "(300, 300)"), bool(self.affine)
        stages = range(positive_integer("couplings", self.couplings))
        return _Flow(input_shape, (_Coupling(width, hidden, affine=affine) for _ in stages))
