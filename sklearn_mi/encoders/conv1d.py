"""Convolutions over the steps of a sequence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sklearn_mi._base import Shape, positive_integer, sizes
from sklearn_mi.encoders.base import DEFAULT_WIDTH, Encoder, free_width
from sklearn_mi.encoders.images import same_padding
from sklearn_mi.layers import glorot

__all__ = ["Conv1d"]


class _StepsLast(nn.Module):
    """Turn sequences of X into the layout of torch's convolutions: (b, channels, time)."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows.transpose(1, 2)


@dataclass(repr=False, eq=False)
class Conv1d(Encoder):
    """Encode sequences by convolutions over time and the mean over the steps that remain.

    Use it for windows of recordings, ``(n, time, channels)`` with ``input_shape=(time, channels)``.
    Convolutions with GELU come first, then a linear map of every step. Its output, of the layer
    "steps", has shape (b, width, steps), and the code is its mean. Weights start Glorot-uniform,
    biases at zero. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    channels : tuple of int
        Channels of the convolutions.
    kernel : int, default=3
        Steps under a convolution.
    stride : int, default=2
        Each convolution divides the number of steps by it, rounded up.
    causal : bool, default=False
        Whether a step sees no input after its own: zeros then stand before the sequence alone, not
        on both sides.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Conv1d
    >>> module = Conv1d().build((100, 6), None)
    >>> sequences = torch.zeros(5, 100, 6)
    >>> module(sequences).shape, module.map(sequences).shape
    (torch.Size([5, 32]), torch.Size([5, 32, 25]))
    """

    channels: Sequence[int] = (64, 64)
    kernel: int = 3
    stride: int = 2
    causal: bool = False

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        if len(input_shape) != 2:
            raise ValueError(
                f"input_shape={tuple(input_shape)}; {self!r} needs sequences: pass "
                "input_shape=(time, channels)."
            )
        length, n_in = input_shape
        layers: list[nn.Module] = [_StepsLast()]
        for n_out in sizes("channels", self.channels, "(64, 64)"):
            layers += [self._padding(length), self._layer(n_in, n_out), nn.GELU()]
            length, n_in = -(-length // self.stride), n_out
        to_code: Any = nn.Conv1d(n_in, free_width(n_components, DEFAULT_WIDTH), kernel_size=1)
        steps = nn.Sequential(*layers, glorot(to_code))
        parts = OrderedDict[str, nn.Module](map=steps, mean=nn.AdaptiveAvgPool1d(1))
        return nn.Sequential(OrderedDict(parts, code=nn.Flatten()))

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "steps", the codes of the steps."""
        return {"steps": "map"}

    def _layer(self, n_in: int, n_out: int) -> nn.Module:
        layer: Any = nn.Conv1d(n_in, n_out, self.kernel, self.stride)
        return glorot(layer)

    def _padding(self, length: int) -> nn.Module:
        """Return zeros that make the output of a convolution ``ceil(length / stride)`` steps."""
        kernel = positive_integer("kernel", self.kernel)
        around = same_padding(length, kernel, positive_integer("stride", self.stride))
        return nn.ConstantPad1d((kernel - 1, 0) if self.causal else around, 0.0)
