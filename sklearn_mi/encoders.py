"""Encoders: from a view to its code, ``(b, *input_shape) -> (b, width)``.

Rows keep the layout of X: flat ``(p,)``, images ``(h, w)`` or channels-last ``(h, w, c)``.
"""

from __future__ import annotations

import copy
import difflib
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_mi._base import Component, Shape, positive_integer, resolve

__all__ = [
    "DEFAULT_WIDTH",
    "ENCODERS",
    "MLP",
    "Backbone",
    "ChannelsFirst",
    "ConvNet",
    "Encoder",
    "Factory",
    "Identity",
    "LeNet",
    "Linear",
    "Passthrough",
    "Ready",
    "RealNVP",
    "SkipMLP",
    "as_encoder",
    "code_width",
]

DEFAULT_WIDTH = 32
"""Width of the code of `Linear`, `MLP` and `LeNet` when ``n_components`` is None."""

_CONVNET_WIDTH = 100
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky-relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
_WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an axis that make the output ``ceil(size / stride)``.

    This is TensorFlow's rule "same": an odd zero goes behind, so that a strided convolution sees
    an asymmetric frame, which ``nn.Conv2d(padding=...)`` cannot express.

    Examples
    --------
    >>> _same_padding(28, kernel=5, stride=2)
    (1, 2)
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def code_width(module: nn.Module, input_shape: Shape) -> int:
    """Return the width of the code that a module gives for rows of a shape.

    Two rows of zeros go through the module, in evaluation mode and without gradients; each
    part's mode is restored. Lazy layers get their sizes here.

    Parameters
    ----------
    module : Module
        Maps ``(b, *input_shape)`` to ``(b, width)``.
    input_shape : tuple of int
        Shape of one row.

    Raises
    ------
    ValueError
        If the module refuses such rows, or its output is not of shape ``(b, width)``.

    Examples
    --------
    >>> code_width(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (3, 4))
    5
    """
    name = type(module).__name__
    floating = (
        t for t in itertools.chain(module.parameters(), module.buffers()) if t.is_floating_point()
    )
    like = next(floating, torch.empty(0))
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            code = module(torch.zeros(2, *input_shape, dtype=like.dtype, device=like.device))
    except Exception as error:  # a foreign module may fail in any way; the cause is chained
        raise ValueError(
            f"input_shape={input_shape}; encoder {name} does not accept such rows: {error}"
        ) from error
    finally:
        for part, mode in modes.items():
            part.training = mode
    if not isinstance(code, Tensor) or code.ndim != 2 or len(code) != 2:
        got = tuple(code.shape) if isinstance(code, Tensor) else type(code).__name__
        raise ValueError(
            f"encoder {name} gives {got} for 2 rows of shape {input_shape}; expected a tensor of "
            "shape (2, width); end it with nn.Flatten()."
        )
    return code.shape[1]


def _sizes(name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name}={value!r}; expected a tuple of positive integers: (300, 300).")
    return tuple(positive_integer(f"each of {name}", size) for size in value)


def _check_name(parameter: str, value: Any, names: Iterable[str]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{parameter}={value!r}; expected a name.")
    if value not in (names := list(names)):
        near = difflib.get_close_matches(value, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{parameter}={value!r} is not known; expected one of {names}.{hint}")


def _free_width(n_components: int | None, own: int) -> int:
    return own if n_components is None else positive_integer("n_components", n_components)


def _check_fixed_width(n_components: int | None, encoder: str, width: int) -> None:
    if n_components is not None and positive_integer("n_components", n_components) != width:
        raise ValueError(
            f"n_components={n_components} conflicts with encoder {encoder}, whose width is "
            f"{width}; pass n_components=None, or an encoder of free width such as 'mlp'."
        )


def _check_image(input_shape: Shape, encoder: Encoder) -> tuple[int, int, int]:
    if len(input_shape) not in (2, 3):
        raise ValueError(
            f"input_shape={tuple(input_shape)}; {encoder!r} needs images: pass "
            "input_shape=(h, w) or (h, w, c)."
        )
    height, width, channels = (*input_shape, 1)[:3]
    return height, width, channels


def _glorot(layer: nn.Linear | nn.Conv2d) -> Any:
    # Keras' default, as in the paper; torch's own bound is narrower and its biases are random.
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _dense(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    return _glorot(nn.Linear(n_in, n_out, bias=bias))


def _nearly_zero(layers: nn.Module) -> None:
    for parameter in layers.parameters():
        if parameter.ndim == 2:
            nn.init.trunc_normal_(parameter, std=1e-4, a=-2e-4, b=2e-4)
        else:
            nn.init.zeros_(parameter)


class ChannelsFirst(nn.Module):
    """A layer that turns images as X holds them into images as torch's convolutions want them.

    Put it first in a network of your own: ``(b, h, w)`` becomes ``(b, 1, h, w)`` and
    ``(b, h, w, c)`` becomes ``(b, c, h, w)``. Nothing is copied.

    Raises
    ------
    ValueError
        If the batch has neither three nor four axes.

    Examples
    --------
    >>> net = nn.Sequential(ChannelsFirst(), nn.Conv2d(3, 8, 3), nn.Flatten())
    >>> net(torch.zeros(2, 5, 5, 3)).shape
    torch.Size([2, 72])
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return the images with their channels on axis 1."""
        if images.ndim == 3:
            return images.unsqueeze(1)
        if images.ndim == 4:
            return images.movedim(-1, 1)
        raise ValueError(
            f"a batch of shape {tuple(images.shape)}; expected images (b, h, w) or (b, h, w, c); "
            "pass input_shape=(h, w) or (h, w, c)."
        )


class _SkipLayers(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        _nearly_zero(self.layers)

    def forward(self, rows: Tensor) -> Tensor:
        *hidden, last = self.layers
        x = rows.flatten(1)
        for layer in hidden:
            x = x + F.relu(layer(x))
        return x + last(x)


class _Coupling(nn.Module):
    """Permute the columns; shift, and maybe scale, one half by functions of the other."""

    order: Tensor

    def __init__(self, width: int, hidden: tuple[int, ...], *, affine: bool) -> None:
        super().__init__()
        self.kept, self.affine = width // 2, affine
        moved = width - self.kept
        sizes = (self.kept, *hidden, 2 * moved if affine else moved)
        layers = [nn.Linear(n_in, n_out) for n_in, n_out in itertools.pairwise(sizes)]
        between = (part for layer in layers for part in (layer, nn.ReLU()))
        self.network = nn.Sequential(*list(between)[:-1])
        _nearly_zero(self.network)
        self.register_buffer("order", torch.randperm(width))

    def _shift_and_scale(self, kept: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.affine:
            return self.network(kept), None
        shift, raw = self.network(kept).chunk(2, dim=1)
        return shift, 1e-7 + F.softplus(raw)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the new columns, and the scales of those that moved."""
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


class _Flow(nn.Module):
    """Couplings one after another: a bijection of rows and codes."""

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
        """Return the rows ``(b, *input_shape)`` whose codes are z."""
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


class _Beside(nn.Module):
    def __init__(self, network: nn.Module, weight: float) -> None:
        super().__init__()
        self.network, self.weight = network, weight

    def forward(self, rows: Tensor) -> Tensor:
        return torch.cat([rows.flatten(1), self.weight * self.network(rows).tanh()], dim=1)


class _JointLayerNorm(nn.Module):
    """Normalise each image over all its axes at once; one scale and one shift a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        axes = (1, 2, 3)
        centred = images - images.mean(axes, keepdim=True)
        # The gradient of a norm is defined as 0 at 0; that of sqrt(variance) is nan, and a blank
        # image has no variance.
        norm = torch.linalg.vector_norm(centred, dim=axes, keepdim=True)
        std = norm / math.sqrt(images[0].numel())
        return centred / (std + 1e-6) * self.weight + self.bias


class Encoder(Component, ABC):
    """Base of the encoders' descriptions; a subclass writes `build`, and no more.

    Examples
    --------
    >>> @dataclass(repr=False, eq=False)
    ... class FirstColumns(Encoder):
    ...     def build(self, input_shape, n_components):
    ...         return nn.Linear(input_shape[0], n_components or 2)
    >>> FirstColumns().build((7,), None)
    Linear(in_features=7, out_features=2, bias=True)
    """

    @abstractmethod
    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a new module with weights drawn from torch's global generator.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one row: ``(p,)``, ``(h, w)`` or ``(h, w, c)``.
        n_components : int or None
            Width of the code; None: the encoder's own width.

        Returns
        -------
        Module
            Maps ``(b, *input_shape)`` to ``(b, width)``.

        Raises
        ------
        ValueError
            If ``n_components`` is not positive or conflicts with a fixed width, or the rows do
            not fit the encoder.
        """


@dataclass(repr=False, eq=False)
class Identity(Encoder):
    """The view itself, flattened: no parameters, and a code as wide as the row.

    Use it to train a critic alone, or as the baseline "raw values".

    Examples
    --------
    >>> Identity().build((14, 28), None)(torch.zeros(5, 14, 28)).shape
    torch.Size([5, 392])
    """

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a module that flattens; see `Encoder.build`."""
        _check_fixed_width(n_components, repr(self), math.prod(input_shape))
        return nn.Flatten()


@dataclass(repr=False, eq=False)
class Linear(Encoder):
    """One linear map of the flattened view: what PCA could express.

    Glorot-uniform weights, zero bias. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    bias : bool
        Whether to add a learned constant; True by default.

    Examples
    --------
    >>> Linear().build((20,), 4)(torch.zeros(5, 20)).shape
    torch.Size([5, 4])
    """

    bias: bool = True

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = _free_width(n_components, DEFAULT_WIDTH)
        return nn.Sequential(
            nn.Flatten(), _dense(math.prod(input_shape), width, bias=bool(self.bias))
        )


@dataclass(repr=False, eq=False)
class MLP(Encoder):
    """A multilayer perceptron on the flattened view, with a linear last layer.

    The default is the paper's encoder: 238 300 parameters from 392 inputs to 100 components. The
    name ``"gelu-mlp"`` stands for ``MLP(hidden=(256, 256), activation="gelu")``, and
    ``"wide-mlp"``, the learner's own default for tables, for the same with 512. For images `LeNet`
    and `ConvNet` give better features, the latter at an equal bound.
    Glorot-uniform weights, zero biases. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    hidden : tuple of int
        Sizes of the hidden layers; ``()`` leaves one linear map.
    activation : {"relu", "elu", "gelu", "leaky-relu", "silu", "tanh"}
        What follows each hidden layer.
    dropout : float
        Fraction of hidden units silenced in training, in [0, 1).
    norm : {"layer"} or None
        Layer normalisation before each activation. There is no batch normalisation on purpose:
        it lets the rows of a batch tell on each other, which the critic exploits.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> MLP(hidden=(64,), activation="gelu").build((20,), 4)(torch.zeros(5, 20)).shape
    torch.Size([5, 4])
    """

    hidden: Sequence[int] = (300, 300)
    activation: str = "relu"
    dropout: float = 0.0
    norm: str | None = None

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = _free_width(n_components, DEFAULT_WIDTH)
        hidden = _sizes("hidden", self.hidden)
        _check_name("activation", self.activation, _ACTIVATIONS)
        if self.norm is not None:
            _check_name("norm", self.norm, ["layer"])
        if not (isinstance(self.dropout, Real) and 0 <= self.dropout < 1):
            raise ValueError(f"dropout={self.dropout!r}; expected a number in [0, 1).")
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in itertools.pairwise((math.prod(input_shape), *hidden)):
            layers.append(_dense(n_in, n_out))
            if self.norm:
                layers.append(nn.LayerNorm(n_out))
            layers.append(_ACTIVATIONS[self.activation]())
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
        layers.append(_dense((math.prod(input_shape), *hidden)[-1], width))
        return nn.Sequential(*layers)


@dataclass(repr=False, eq=False)
class SkipMLP(Encoder):
    """A stack of square layers with skips, close to the identity before training.

    ``x <- x + relu(W x + b)`` for all layers but the last, which is linear: ``x + W x + b``. As
    wide as the row, so it can keep all of the information; the paper shows with it that training
    drives encoders towards maps that are hard to invert. It does not reduce dimensions. Weights:
    normal with standard deviation 1e-4, truncated at two of them; zero biases.

    Parameters
    ----------
    depth : int
        Number of layers, the linear one included; 5 in the paper.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> SkipMLP().build((20,), None)(torch.zeros(5, 20)).shape
    torch.Size([5, 20])
    """

    depth: int = 5

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        width = math.prod(input_shape)
        _check_fixed_width(n_components, repr(self), width)
        return _SkipLayers(width, positive_integer("depth", self.depth))


@dataclass(repr=False, eq=False)
class Passthrough(Encoder):
    r"""The flattened view as it is, and beside it what another encoder learns.

    .. math:: x \to (x, w \tanh h(x))

    Nothing of the row is lost, and what is learned, none of it larger than w, hardly changes who
    is near whom. For tables of numbers and categories: views by neighbours or corruption keep
    what columns share, and single columns may tell what no other one does. Not where a code must
    be narrow. Own width: that of the row and ``n_learned``.

    Parameters
    ----------
    encoder : str, Encoder, Module or callable
        What is learned, h.
    weight : float
        Largest absolute value of a learned component, w.
    n_learned : int
        Number of learned components; ``n_components``, the width of the whole code, goes first.

    Examples
    --------
    >>> Passthrough().build((20,), None)(torch.zeros(5, 20)).shape
    torch.Size([5, 22])
    """

    encoder: Any = "wide-mlp"
    weight: float = 0.25
    n_learned: int = 2

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        if not (isinstance(self.weight, Real) and 0 < self.weight < math.inf):
            raise ValueError(f"weight={self.weight!r}; expected a number above 0.")
        kept = math.prod(input_shape)
        width = _free_width(n_components, kept + positive_integer("n_learned", self.n_learned))
        if width <= kept:
            raise ValueError(
                f"n_components={n_components}; {self!r} keeps the {kept} numbers of a row: "
                f"expected at least {kept + 1}, or None."
            )
        return _Beside(as_encoder(self.encoder).build(input_shape, width - kept), self.weight)


@dataclass(repr=False, eq=False)
class RealNVP(Encoder):
    """A bijection between rows and codes: couplings, each after a fixed random permutation.

    A coupling leaves the first half of the columns as they are and feeds them to a perceptron of
    its own, which says how the other half moves: ``b + shift(a)``, or ``b * scale(a) + shift(a)``
    where ``affine``, with ``scale = 1e-7 + softplus(r)``. Whatever the weights, nothing is lost:
    the code has exactly the information of the row. The paper shows with it that features get
    better, or much worse, while the mutual information stays as it is. It does not reduce
    dimensions, and 30 couplings cost far more than an `MLP`.

    Weights: normal with standard deviation 1e-4, truncated at two of them; zero biases. So before
    training the code is the permuted row; with ``affine`` each coupling also scales half of the
    columns by log 2. 13.92 million parameters at 392 inputs, 16.94 million with ``affine``.

    The module that it builds has two methods besides ``forward``: ``inverse(z)`` gives the rows,
    in their own shape, and ``log_det(x)`` the logarithm of the Jacobian's absolute determinant at
    each row, ``(b,)``, which is zero without ``affine``.

    Parameters
    ----------
    couplings : int
        Number of permutations, each with its coupling; 30 in the paper.
    hidden : tuple of int
        Sizes of the hidden layers of each perceptron, with ReLU after each.
    affine : bool
        Whether couplings scale as well. False, as in the paper's figure 1ab: only shifts, so
        volumes are preserved. True in its figure 1c.

    References
    ----------
    Density Estimation Using Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017).
    https://arxiv.org/abs/1605.08803

    NICE: Non-linear Independent Components Estimation (Dinh, Krueger & Bengio, 2015), the form
    without scales. https://arxiv.org/abs/1410.8516

    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
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
                f"input_shape={tuple(input_shape)}; {self!r} needs at least 2 inputs: some are "
                "kept and say how the others move."
            )
        _check_fixed_width(n_components, repr(self), width)
        hidden, affine = _sizes("hidden", self.hidden), bool(self.affine)
        stages = range(positive_integer("couplings", self.couplings))
        return _Flow(input_shape, (_Coupling(width, hidden, affine=affine) for _ in stages))


@dataclass(repr=False, eq=False)
class ConvNet(Encoder):
    """The paper's small convolutional network for images.

    Two 5x5 convolutions of stride 2 with ReLU (64 and 128 channels, TensorFlow's "same" padding),
    layer normalisation over height, width and channels jointly, the average over places, and a
    linear layer: 219 748 parameters at 100 components and one channel. The normalisation tames
    the variance of NWJ without letting rows of a batch see each other. Glorot-uniform weights,
    zero biases. Own width: 100.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> ConvNet().build((14, 28), None)(torch.zeros(5, 14, 28)).shape
    torch.Size([5, 100])
    """

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        *size, channels = _check_image(input_shape, self)
        layers: list[nn.Module] = [ChannelsFirst()]
        for n_in, n_out in ((channels, 64), (64, 128)):
            (top, bottom), (left, right) = (_same_padding(length, 5, 2) for length in size)
            layers += [
                nn.ZeroPad2d((left, right, top, bottom)),
                _glorot(nn.Conv2d(n_in, n_out, kernel_size=5, stride=2)),
                nn.ReLU(),
            ]
            size = [math.ceil(length / 2) for length in size]
        head = _dense(128, _free_width(n_components, _CONVNET_WIDTH))
        layers += [_JointLayerNorm(128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head]
        # Convolutions are a tenth faster with the channels last, as the rows have them.
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@dataclass(repr=False, eq=False)
class LeNet(Encoder):
    """Strided convolutions, and a perceptron that sees every place; the default for grey images.

    As in LeNet-5, convolutions of 5x5 halve the image while their channels grow, and dense layers
    read all of what is left. Where `ConvNet` averages over places, this one knows where a stroke
    is; strides stand for pooling, as they are cheaper. For small images in which the place of
    things means something, such as digits and letters; one of unlike sizes and places wants
    `ConvNet` or `Backbone`. Glorot-uniform weights, zero biases. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    channels : tuple of int
        Channels of the convolutions, each of which halves height and width.
    hidden : tuple of int
        Sizes of the hidden dense layers.
    activation : {"gelu", "elu", "leaky-relu", "relu", "silu", "tanh"}
        What follows each layer but the last.

    References
    ----------
    Gradient-Based Learning Applied to Document Recognition (LeCun, Bottou, Bengio & Haffner, 1998).
    https://doi.org/10.1109/5.726791

    Examples
    --------
    >>> LeNet().build((28, 28), 64)(torch.zeros(5, 28, 28)).shape
    torch.Size([5, 64])
    """

    channels: Sequence[int] = (16, 32)
    hidden: Sequence[int] = (512,)
    activation: str = "gelu"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        height, width, n_in = _check_image(input_shape, self)
        _check_name("activation", self.activation, _ACTIVATIONS)
        layers: list[nn.Module] = [ChannelsFirst()]
        for n_out in _sizes("channels", self.channels):
            conv = nn.Conv2d(n_in, n_out, kernel_size=5, stride=2, padding=2)
            layers += [_glorot(conv), _ACTIVATIONS[self.activation]()]
            height, width, n_in = math.ceil(height / 2), math.ceil(width / 2), n_out
        dense = MLP(self.hidden, self.activation)
        layers.append(dense.build((n_in, height, width), n_components))
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _new_kernel(conv: nn.Conv2d, channels: int, *, pretrained: bool) -> None:
    """Give a first convolution another number of input channels, in place."""
    old = conv.weight.detach()
    if pretrained:
        # One grey channel then gives what the same image repeated three times would give.
        weight = old.mean(1, keepdim=True).repeat(1, channels, 1, 1) * (old.shape[1] / channels)
    else:
        weight = old.new_empty(len(old), channels, *old.shape[2:])
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    conv.in_channels, conv.weight = channels, nn.Parameter(weight)


def _torchvision_model(name: str, weights: str | None) -> nn.Module:
    import torchvision.models as zoo  # here, because it takes a second to load

    _check_name("name", name, zoo.list_models(module=zoo))
    extra: dict[str, bool] = {}
    if name in _WITH_AUXILIARY_HEADS:
        extra = {"aux_logits": False, "init_weights": weights is None}
    return zoo.get_model(name, weights=weights, **extra)


def _fit_small_images(model: nn.Module, weights: str | None) -> None:
    from torchvision.models import ResNet

    if not isinstance(model, ResNet):
        return
    if weights is not None:
        raise ValueError(
            f"small_images=True with weights={weights!r} would throw the pretrained first layer "
            "away; pass small_images=False."
        )
    model.conv1 = nn.Conv2d(3, model.conv1.out_channels, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(repr=False, eq=False)
class Backbone(Encoder):
    """A classification network of torchvision without its last layer.

    The first convolution is adapted to the images' channels, and the classifier is removed: the
    code is what it used to see (512 numbers for ``"resnet18"``), or a linear map of that when
    ``n_components`` is given. For images of 32 pixels and more, and many of them; `ConvNet` is
    far cheaper. Most backbones normalise over the batch, so in training the rows of a batch see
    each other, which a critic can exploit: trust the held-out bound, not the training one.

    Parameters
    ----------
    name : str
        A classification model of torchvision: ``"resnet18"``, ``"convnext_tiny"``, ...
    small_images : bool
        For the ResNet family, replace the first layer by a 3x3 convolution of stride 1 and drop
        the max-pooling, the usual fit for images of 32 pixels; other models ignore it.
    weights : str or None
        Pretrained weights by torchvision's name, such as ``"DEFAULT"`` (downloaded); they expect
        images normalised as torchvision documents. None: random weights.

    References
    ----------
    Deep Residual Learning for Image Recognition (He, Zhang, Ren & Sun, 2016).
    https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> code_width(Backbone().build((32, 32, 3), None), (32, 32, 3))
    512
    """

    name: str = "resnet18"
    small_images: bool = True
    weights: str | None = None

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        channels = _check_image(input_shape, self)[2]
        if n_components is not None:
            positive_integer("n_components", n_components)
        model = _torchvision_model(self.name, self.weights)
        if self.small_images:
            _fit_small_images(model, self.weights)
        first = next(part for part in model.modules() if isinstance(part, nn.Conv2d))
        if first.in_channels != channels:
            _new_kernel(first, channels, pretrained=self.weights is not None)
        layers = (nn.Linear, nn.Conv2d)  # SqueezeNet classifies by a convolution
        path = [path for path, part in model.named_modules() if isinstance(part, layers)][-1]
        model.set_submodule(path, nn.Identity())
        network = nn.Sequential(ChannelsFirst(), model)
        width = code_width(network, input_shape)
        return network if n_components is None else network.append(_dense(width, n_components))


@dataclass(repr=False, eq=False)
class Ready(Encoder):
    """A network of your own; what a bare ``nn.Module`` is taken for.

    `build` returns a deep copy, weights included, so the module given is never trained.

    Parameters
    ----------
    module : Module
        Maps ``(b, *input_shape)`` to ``(b, width)``. Lazy layers are allowed.

    Examples
    --------
    >>> Ready(nn.Linear(20, 4)).build((20,), None)
    Linear(in_features=20, out_features=4, bias=True)
    """

    module: nn.Module

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a copy of the module, its width checked; see `Encoder.build`."""
        if not isinstance(self.module, nn.Module):
            raise TypeError(f"module={self.module!r}; expected an nn.Module.")
        built = copy.deepcopy(self.module)
        width = code_width(built, input_shape)
        _check_fixed_width(n_components, type(built).__name__, width)
        return built


@dataclass(repr=False, eq=False)
class Factory(Encoder):
    """A function that makes the network; what a bare callable is taken for.

    A function defined in a module pickles, a lambda does not.

    Parameters
    ----------
    function : callable
        ``function(input_shape, n_components) -> nn.Module``; a class whose constructor takes
        these two serves as well.

    Examples
    --------
    >>> Factory(lambda shape, width: nn.Linear(shape[0], width)).build((20,), 4)
    Linear(in_features=20, out_features=4, bias=True)
    """

    function: Callable[[Shape, int | None], nn.Module]

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a copy of what the function makes, its width checked; see `Encoder.build`."""
        try:
            made = self.function(input_shape, n_components)
        except Exception as error:  # a foreign function may fail in any way; the cause is chained
            raise ValueError(
                f"function={self.function!r} made no encoder from input_shape={input_shape} and "
                f"n_components={n_components}: {error}"
            ) from error
        if not isinstance(made, nn.Module):
            raise TypeError(f"function={self.function!r} returned {made!r}; expected an nn.Module.")
        return Ready(made).build(input_shape, n_components)


def as_encoder(value: Any, parameter: str = "encoder") -> Encoder:
    """Return the description that a user's value stands for.

    Parameters
    ----------
    value : str, Encoder, Module or callable
        A name in `ENCODERS`; a description; a network (see `Ready`); or a function
        ``(input_shape, n_components) -> nn.Module`` (see `Factory`).
    parameter : str
        What messages call the value.

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If the value is of no such kind.

    Examples
    --------
    >>> as_encoder("mlp"), as_encoder(nn.Linear(2, 3))
    (MLP(), Ready(module=Linear(in_features=2, out_features=3, bias=True)))
    """
    value = resolve(parameter, value, ENCODERS)
    if isinstance(value, Encoder):
        return value
    if isinstance(value, nn.Module):
        return Ready(value)
    if callable(value) and not (isinstance(value, type) and issubclass(value, Encoder)):
        return Factory(cast(Any, value))
    raise TypeError(
        f"{parameter}={value!r}; expected a name {sorted(ENCODERS)}, an Encoder object such as "
        "MLP(), an nn.Module, or a function (input_shape, n_components) -> nn.Module."
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
