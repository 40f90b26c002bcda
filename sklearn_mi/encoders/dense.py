"""Encoders of flat rows: the row itself, a linear map, perceptrons."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_mi._base import Shape, check_name, positive_integer, sizes
from sklearn_mi.encoders.base import (
    DEFAULT_WIDTH,
    Encoder,
    check_fixed_width,
    free_width,
)
from sklearn_mi.layers import dense

__all__ = ["MLP", "Identity", "Linear", "SkipMLP"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky-relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def nearly_zero(layers: nn.Module) -> None:
    """Draw weights close to zero, in place: a map plus its input then starts as the identity."""
    for parameter in layers.parameters():
        if parameter.ndim == 2:
            nn.init.trunc_normal_(parameter, std=1e-4, a=-2e-4, b=2e-4)
        else:
            nn.init.zeros_(parameter)


class _SkipLayers(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        nearly_zero(self.layers)

    def forward(self, rows: Tensor) -> Tensor:
        *hidden, last = self.layers
        x = rows.flatten(1)
        for layer in hidden:
            x = x + F.relu(layer(x))
        return x + last(x)


@dataclass(repr=False, eq=False)
class Identity(Encoder):
    """Return the flattened view unchanged: no parameters, a code as wide as the row.

    Use it to train a critic alone, or as a baseline of raw values.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Identity
    >>> Identity().build((14, 28), None)(torch.zeros(5, 14, 28)).shape
    torch.Size([5, 392])
    """

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a module that flattens; see `Encoder.build`."""
        check_fixed_width(n_components, repr(self), math.prod(input_shape))
        return nn.Flatten()

    def kept_columns(self, input_shape: Shape) -> int:
        """Return the number of entries of a row: all are kept."""
        return math.prod(input_shape)


@dataclass(repr=False, eq=False)
class Linear(Encoder):
    """Map the flattened view linearly, as PCA does.

    Weights start Glorot-uniform, the bias at zero. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    bias : bool
        Whether to add a learned constant; True by default.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Linear
    >>> Linear().build((20,), 4)(torch.zeros(5, 20)).shape
    torch.Size([5, 4])
    """

    bias: bool = True

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = free_width(n_components, DEFAULT_WIDTH)
        return nn.Sequential(
            nn.Flatten(), dense(math.prod(input_shape), width, bias=bool(self.bias))
        )


@dataclass(repr=False, eq=False)
class MLP(Encoder):
    """Encode the flattened view by a multilayer perceptron with a linear last layer.

    ``"gelu-mlp"`` means ``MLP(hidden=(256, 256), activation="gelu")``, the learner's default for
    tables. ``"wide-mlp"`` is the same with hidden layers of 512. The class's own defaults give the
    paper's encoder: from 392 inputs to 100 components it has 238 300 parameters. For images,
    `LeNet` and `ConvNet` give better features; `ConvNet` does so at an equal bound. Weights start
    Glorot-uniform, biases at zero. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    hidden : tuple of int
        Sizes of the hidden layers; ``()`` gives one linear map.
    activation : {"relu", "elu", "gelu", "leaky-relu", "silu", "tanh"}
        Activation after each hidden layer.
    dropout : float
        Fraction of hidden units set to zero in training, in [0, 1).
    norm : {"layer"} or None
        Layer normalisation before each activation. There is no batch normalisation: it leaks
        information between the rows of a batch, and a critic exploits it.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import MLP
    >>> MLP(hidden=(64,), activation="gelu").build((20,), 4)(torch.zeros(5, 20)).shape
    torch.Size([5, 4])
    """

    hidden: Sequence[int] = (300, 300)
    activation: str = "relu"
    dropout: float = 0.0
    norm: str | None = None

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = free_width(n_components, DEFAULT_WIDTH)
        hidden = sizes("hidden", self.hidden, "(300, 300)")
        check_name("activation", self.activation, ACTIVATIONS)
        if self.norm is not None:
            check_name("norm", self.norm, ["layer"])
        if not (isinstance(self.dropout, Real) and 0 <= self.dropout < 1):
            raise ValueError(f"dropout={self.dropout!r}; expected a number in [0, 1).")
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in itertools.pairwise((math.prod(input_shape), *hidden)):
            layers.append(dense(n_in, n_out))
            if self.norm:
                layers.append(nn.LayerNorm(n_out))
            layers.append(ACTIVATIONS[self.activation]())
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        layers.append(dense((math.prod(input_shape), *hidden)[-1], width))
        return nn.Sequential(*layers)


@dataclass(repr=False, eq=False)
class SkipMLP(Encoder):
    """Stack square layers with skip connections, close to the identity before training.

    Use it to repeat the paper's experiment: training drives this encoder towards maps that are hard
    to invert. The code is as wide as the row, so it can keep all information and does not reduce
    dimensions. Layers are ``x <- x + relu(W x + b)``; the last one is linear, ``x + W x + b``.
    Weights start normal with standard deviation 1e-4, truncated at two standard deviations, and
    biases at zero.

    Parameters
    ----------
    depth : int
        Number of layers, including the linear one; 5 in the paper.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import SkipMLP
    >>> SkipMLP().build((20,), None)(torch.zeros(5, 20)).shape
    torch.Size([5, 20])
    """

    depth: int = 5

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = math.prod(input_shape)
        check_fixed_width(n_components, repr(self), width)
        return _SkipLayers(width, positive_integer("depth", self.depth))
