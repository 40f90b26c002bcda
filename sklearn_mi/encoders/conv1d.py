"""Convolutions over the steps of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from sklearn_mi._base import Shape, check_name, positive_integer, sizes
from sklearn_mi.encoders.base import Encoder
from sklearn_mi.encoders.sequences import Pooled, check_recording, step_width
from sklearn_mi.layers import glorot

__all__ = ["Conv1d"]


class _Convolution(nn.Module):
    """A convolution with GELU, plus its input where both have equally many channels.

    Step p of its output stands at step ``p * stride`` of its input, however long the input is.
    """

    def __init__(self, n_in: int, n_out: int, of: Conv1d, dilation: int) -> None:
        super().__init__()
        around = dilation * (of.kernel - 1)
        before = around if of.causal else around // 2
        is_even = around == 2 * before
        self.pad = nn.Identity() if is_even else nn.ConstantPad1d((before, around - before), 0.0)
        layer: Any = nn.Conv1d(
            n_in, n_out, of.kernel, of.stride, before if is_even else 0, dilation=dilation
        )
        self.convolution = glorot(layer)
        self.stride, self.adds_input = of.stride, n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        made = functional.gelu(self.convolution(self.pad(x)))
        return made + x[:, :, :: self.stride] if self.adds_input else made


class _Convolutions(nn.Module):
    """Convolutions and a linear map of every step; unobserved steps are zero after each."""

    def __init__(self, layers: Sequence[nn.Module], to_code: nn.Module, stride: int) -> None:
        super().__init__()
        self.layers, self.to_code, self.stride = nn.ModuleList(layers), to_code, stride

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows.transpose(1, 2)
        mask = rows[:, -1:]
        x = rows[:, :-1] * mask
        for layer in self.layers:
            mask = mask[:, :, :: self.stride]
            x = layer(x) * mask
        return self.to_code(x) * mask


@dataclass(repr=False, eq=False)
class Conv1d(Encoder):
    """Encode recordings by dilated convolutions over time, pooled over the observed steps.

    Use it for long recordings, for codes of every step, and for contrastive predictive coding.
    Convolutions with GELU come first, each plus its input if both have equally many channels, then
    a linear map of every step. Its output, of the layer "steps", has shape (b, width, steps), and
    the code pools it. Unobserved steps are zero after every layer, so padding changes no code.
    Weights start Glorot-uniform, biases at zero. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    channels : tuple of int
        Channels of the convolutions.
    kernel : int, default=3
        Steps under a convolution.
    dilations : "doubling" or tuple of int, default="doubling"
        Steps from one weight of each convolution to the next; "doubling": 1, 2, 4 and so on.
    stride : int, default=1
        Each convolution divides the number of steps by it, rounded up. Take 2 for contrastive
        predictive coding of long recordings, so that a few offsets look far ahead.
    causal : bool, default=False
        Whether a step sees no input after its own.
    pool : {"mean", "max", "last", "mean-max"}, default="mean"
        How the codes of observed steps become one. "last" suits causal convolutions; "mean-max"
        gives means and maxima, each half as wide as the code.

    References
    ----------
    An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling
    (Bai, Kolter & Koltun, 2018), https://arxiv.org/abs/1803.01271

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Conv1d
    >>> module = Conv1d(stride=2).build((100, 7), None)
    >>> recordings = torch.ones(5, 100, 7)  # six channels, and which steps were observed
    >>> module(recordings).shape, module.steps(recordings).shape
    (torch.Size([5, 32]), torch.Size([5, 32, 13]))
    """

    channels: Sequence[int] = (64, 64, 64)
    kernel: int = 3
    dilations: Any = "doubling"
    stride: int = 1
    causal: bool = False
    pool: str = "mean"
    takes = "recordings"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        _, n_in = check_recording(input_shape, self)
        positive_integer("kernel", self.kernel)
        stride = positive_integer("stride", self.stride)
        layers = []
        channels = sizes("channels", self.channels, "(64, 64)")
        for n_out, dilation in zip(channels, self._dilations(len(channels)), strict=True):
            layers.append(_Convolution(n_in, n_out, self, dilation))
            n_in = n_out
        to_code: Any = nn.Conv1d(n_in, step_width(n_components, self.pool), kernel_size=1)
        steps = _Convolutions(layers, glorot(to_code), stride)
        return Pooled(steps, self.pool, stride ** len(layers))

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "steps", the codes of the steps."""
        return {"steps": "map"}

    def _dilations(self, n_layers: int) -> tuple[int, ...]:
        """Return the dilation of each convolution."""
        if isinstance(self.dilations, str):
            check_name("dilations", self.dilations, ["doubling"])
            return tuple(2**number for number in range(n_layers))
        dilations = sizes("dilations", self.dilations, "(1, 2, 4)")
        if len(dilations) != n_layers:
            raise ValueError(
                f"dilations={self.dilations!r}; expected {n_layers}, one for each of "
                f"channels={self.channels!r}, or 'doubling'."
            )
        return dilations
