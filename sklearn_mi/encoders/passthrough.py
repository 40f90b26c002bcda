"""The encoder that keeps the row and adds learned components; the names of all encoders."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mi._base import Shape, positive_integer
from sklearn_mi.encoders.base import Encoder, Factory, Ready, free_width
from sklearn_mi.encoders.dense import MLP, Identity, Linear, SkipMLP
from sklearn_mi.encoders.flows import RealNVP
from sklearn_mi.encoders.images import Backbone, ConvNet, LeNet
from sklearn_mi.layers import as_description

__all__ = ["ENCODERS", "Passthrough", "as_encoder"]


class _KeptAndLearned(nn.Module):
    """The flattened row and a network's output, bounded by a weight."""

    def __init__(self, network: nn.Module, weight: float) -> None:
        super().__init__()
        self.network, self.weight = network, weight

    def forward(self, rows: Tensor) -> Tensor:
        return torch.cat([rows.flatten(1), self.weight * self.network(rows).tanh()], dim=1)


@dataclass(repr=False, eq=False)
class Passthrough(Encoder):
    r"""Keep the flattened view and append the components that another encoder learns.

    .. math:: x \to (x, w \tanh h(x))

    Use it for tables of numbers and categories. Views by neighbours or corruption keep only what
    columns share, and one column may hold information that no other has. Here nothing of the row is
    lost. The learned components are at most w, so they hardly change which rows are close. Do not
    use it if the code must be narrow. Own width: that of the row plus ``n_learned``.

    Parameters
    ----------
    encoder : str, Encoder, Module or callable
        The encoder of the learned components, h.
    weight : float
        Largest absolute value of a learned component, w.
    n_learned : int
        Number of learned components if ``n_components`` is None; otherwise ``n_components`` sets
        the width of the whole code.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Passthrough
    >>> Passthrough().build((20,), None)(torch.zeros(5, 20)).shape
    torch.Size([5, 22])
    """

    encoder: Any = "gelu-mlp"
    weight: float = 0.25
    n_learned: int = 2

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        if not (isinstance(self.weight, Real) and 0 < self.weight < math.inf):
            raise ValueError(f"weight={self.weight!r}; expected a number above 0.")
        kept = math.prod(input_shape)
        width = free_width(n_components, kept + positive_integer("n_learned", self.n_learned))
        if width <= kept:
            raise ValueError(
                f"n_components={n_components}; {self!r} keeps the {kept} numbers of a row: "
                f"expected at least {kept + 1}, or None."
            )
        return _KeptAndLearned(
            as_encoder(self.encoder).build(input_shape, width - kept), self.weight
        )

    def skeleton(self) -> Encoder:
        """Return the same with the skeleton of the learned part; see `Encoder.skeleton`."""
        return Passthrough(as_encoder(self.encoder).skeleton(), self.weight, self.n_learned)

    def kept_columns(self, input_shape: Shape) -> int:
        """Return the number of entries of a row: all are kept."""
        return math.prod(input_shape)


def as_encoder(value: Any, parameter: str = "encoder") -> Encoder:
    """Return the encoder that a name, an object or a function means.

    Parameters
    ----------
    value : str, Encoder, Module or callable
        A name in `ENCODERS`; a description; a network (see `Ready`); or a function
        ``(input_shape, n_components) -> nn.Module`` (see `Factory`).
    parameter : str
        Name of the parameter in error messages.

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If the value is none of these.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.encoders import as_encoder
    >>> as_encoder("mlp"), as_encoder(nn.Linear(2, 3))
    (MLP(), Ready(module=Linear(in_features=2, out_features=3, bias=True)))
    """
    return as_description(
        parameter,
        value,
        ENCODERS,
        Encoder,  # type: ignore[type-abstract]
        ready=Ready,
        factory=Factory,
        expected="an Encoder object such as MLP(), an nn.Module, or a function "
        "(input_shape, n_components) -> nn.Module",
    )


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "gelu-mlp": partial(MLP, hidden=(256, 256), activation="gelu"),
    "wide-mlp": partial(MLP, hidden=(512, 512), activation="gelu"),
    "identity": Identity,
    "linear": Linear,
    "mlp": MLP,
    "passthrough": Passthrough,
    "skip-mlp": SkipMLP,
    "realnvp": RealNVP,
    "convnet": ConvNet,
    "lenet": LeNet,
    "resnet18": Backbone,
}
