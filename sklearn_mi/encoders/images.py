"""Encoders of images: convolutions of our own, and networks of torchvision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_mi._base import Shape, check_name, positive_integer, sizes
from sklearn_mi.encoders.base import (
    Encoder,
    code_width,
    free_width,
)
from sklearn_mi.encoders.dense import ACTIVATIONS, MLP
from sklearn_mi.layers import dense, glorot

__all__ = ["Backbone", "ChannelsFirst", "ConvNet", "DIMNet", "LeNet"]

_CONVNET_WIDTH, _DIM_WIDTH = 100, 64
# Up to this many pixels a convolution is one product of matrices.
MULTIPLIED_OUT = 64
FEWEST_PLACES = 4
_WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many zeros before and after an axis make the output ``ceil(size / stride)``.

    This is TensorFlow's "same" padding. An odd zero goes after the axis; ``nn.Conv2d(padding=...)``
    cannot pad one side only.

    Examples
    --------
    >>> same_padding(28, kernel=5, stride=2)
    (1, 2)
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def check_image(input_shape: Shape, encoder: Encoder) -> tuple[int, int, int]:
    """Return height, width and channels of images; refuse other rows."""
    if len(input_shape) not in (2, 3):
        raise ValueError(
            f"input_shape={tuple(input_shape)}; {encoder!r} needs images: pass "
            "input_shape=(h, w) or (h, w, c)."
        )
    height, width, channels = (*input_shape, 1)[:3]
    return height, width, channels


class ChannelsFirst(nn.Module):
    """Turn the images of X into the layout of torch's convolutions.

    Put this layer first in a network of your own: ``(b, h, w)`` becomes ``(b, 1, h, w)`` and
    ``(b, h, w, c)`` becomes ``(b, c, h, w)``. Nothing is copied.

    Raises
    ------
    ValueError
        If the batch has neither three nor four axes.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sklearn_mi.encoders import ChannelsFirst
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


class _SmallConv2d(nn.Conv2d):
    """A convolution of small images, computed as one product of matrices.

    Its weights are those of the convolution. At 8 x 8 pixels most of a 5 x 5 kernel lies on the
    padding, so one product of matrices is faster.
    """

    taps: Tensor

    def __init__(self, size: tuple[int, int], *channels: Any, **kwargs: Any) -> None:
        super().__init__(*channels, **kwargs)
        one_pixel = torch.eye(math.prod(size)).reshape(-1, 1, *size)
        geometry: Any = {"padding": self.padding, "stride": self.stride}
        # For every output position, which pixel lies under which tap of the kernel.
        taps = functional.unfold(one_pixel, self.kernel_size, **geometry).permute(1, 2, 0)
        self.register_buffer("taps", taps.contiguous(), persistent=False)
        self._size_out = functional.conv2d(
            one_pixel, one_pixel.new_zeros(1, 1, *self.kernel_size), **geometry
        ).shape[2:]

    def forward(self, images: Tensor) -> Tensor:
        spread = (self.weight.flatten(2) @ self.taps.flatten(1)).unflatten(2, self.taps.shape[1:])
        matrix = spread.transpose(1, 2).flatten(2).flatten(0, 1)
        made = functional.linear(images.flatten(1), matrix).unflatten(1, (-1, *self._size_out))
        bias: Any = self.bias
        return made + bias[:, None, None]


class _AsTheyLie(nn.Module):
    """Flatten maps in the channels-last layout of the convolutions, without a copy."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.movedim(1, -1).flatten(1)


class _JointLayerNorm(nn.Module):
    """Normalise each image over all its axes at once; one scale and one shift a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        axes = (1, 2, 3)
        centred = images - images.mean(axes, keepdim=True)
        # A blank image has no variance. There torch's gradient of a norm is 0, but that of
        # sqrt(variance) is nan.
        norm = torch.linalg.vector_norm(centred, dim=axes, keepdim=True)
        std = norm / math.sqrt(images[0].numel())
        return centred / (std + 1e-6) * self.weight + self.bias


@dataclass(repr=False, eq=False)
class ConvNet(Encoder):
    """Encode images by the paper's small convolutional network.

    It averages over positions, so it suits images whose objects vary in position. Two 5x5
    convolutions of stride 2 with ReLU have 64 and 128 channels and TensorFlow's "same" padding.
    Layer normalisation over height, width and channels jointly, the average over positions and a
    linear layer follow. At 100 components and one channel there are 219 748 parameters. The
    normalisation reduces the variance of NWJ without leaking information between rows of a batch.
    Weights start Glorot-uniform, biases at zero. Own width: 100.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import ConvNet
    >>> ConvNet().build((14, 28), None)(torch.zeros(5, 14, 28)).shape
    torch.Size([5, 100])
    """

    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        *size, channels = check_image(input_shape, self)
        layers: list[nn.Module] = [ChannelsFirst()]
        for n_in, n_out in ((channels, 64), (64, 128)):
            (top, bottom), (left, right) = (same_padding(length, 5, 2) for length in size)
            layers += [
                nn.ZeroPad2d((left, right, top, bottom)),
                glorot(nn.Conv2d(n_in, n_out, kernel_size=5, stride=2)),
                nn.ReLU(),
            ]
            size = [math.ceil(length / 2) for length in size]
        head = dense(128, free_width(n_components, _CONVNET_WIDTH))
        layers += [_JointLayerNorm(128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head]
        # Channels last, the layout of the rows, makes convolutions a tenth faster.
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "conv1" and "conv2", each after its activation."""
        return {"conv1": "3", "conv2": "6"}


@dataclass(repr=False, eq=False)
class LeNet(Encoder):
    """Encode images by strided convolutions and a perceptron; the default for grey images.

    Use it for small images in which position matters, such as digits and letters. For objects of
    varying size and position use `ConvNet` or `Backbone`. As in LeNet-5, 5x5 convolutions halve the
    image while their channels grow, and dense layers read all positions of the result. Strides
    replace pooling because they are cheaper. Weights start Glorot-uniform, biases at zero. Own
    width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    channels : tuple of int
        Channels of the convolutions; each halves height and width. The image is padded with zeros
        if fewer than 4 places a side would remain; from 28 x 28 pixels on it is not.
    hidden : tuple of int
        Sizes of the hidden dense layers.
    activation : {"gelu", "elu", "leaky-relu", "relu", "silu", "tanh"}
        Activation after each layer but the last.

    References
    ----------
    Gradient-Based Learning Applied to Document Recognition (LeCun, Bottou, Bengio & Haffner, 1998).
    https://doi.org/10.1109/5.726791

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import LeNet
    >>> LeNet().build((28, 28), 64)(torch.zeros(5, 28, 28)).shape
    torch.Size([5, 64])
    """

    channels: Sequence[int] = (16, 32)
    hidden: Sequence[int] = (256,)
    activation: str = "gelu"
    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        height, width, n_in = check_image(input_shape, self)
        check_name("activation", self.activation, ACTIVATIONS)
        layers: list[nn.Module] = [ChannelsFirst()]
        channels = sizes("channels", self.channels, "(16, 32)")
        padding = _padding(min(height, width), len(channels))
        for n_out in channels:
            is_small = height * width <= MULTIPLIED_OUT
            conv = partial(_SmallConv2d, (height, width)) if is_small else nn.Conv2d
            layer = conv(n_in, n_out, kernel_size=5, stride=2, padding=padding)
            layers += [glorot(layer), ACTIVATIONS[self.activation]()]
            height, width = ((side + 2 * padding - 5) // 2 + 1 for side in (height, width))
            n_in = n_out
        head = MLP(self.hidden, self.activation).build((n_in, height, width), n_components)
        layers += [_AsTheyLie(), head]
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "conv1", "conv2", ..., each after its activation."""
        return {f"conv{i}": str(2 * i) for i in range(1, 1 + len(self.channels))}


@dataclass(repr=False, eq=False)
class DIMNet(Encoder):
    """Encode images by the small network of Deep InfoMax; the default of comparison="dim".

    4x4 convolutions of stride 2 halve the image, each with normalisation over the batch and ReLU; a
    dense layer and the code follow. Of 32 x 32 pixels the maps are 16 x 16, 8 x 8 and 4 x 4.
    Normalisation over the batch leaks information between the rows of a training batch, so trust
    the held-out value. Own width: 64.

    Parameters
    ----------
    channels : tuple of int
        Channels of the convolutions.
    hidden : int
        Size of the dense layer.

    References
    ----------
    Learning Deep Representations by Mutual Information Estimation and Maximization (Hjelm et al.,
    2019), https://arxiv.org/abs/1808.06670

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import DIMNet
    >>> DIMNet().build((32, 32, 3), None)(torch.zeros(5, 32, 32, 3)).shape
    torch.Size([5, 64])
    """

    channels: Sequence[int] = (64, 128, 256)
    hidden: int = 1024
    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        height, width, n_in = check_image(input_shape, self)
        channels = sizes("channels", self.channels, "(64, 128, 256)")
        hidden = positive_integer("hidden", self.hidden)
        if min(height, width) < 2 ** len(channels):
            raise ValueError(
                f"input_shape={tuple(input_shape)}; {self!r} halves images {len(channels)} times: "
                f"expected at least {2 ** len(channels)} pixels a side; take fewer channels."
            )
        layers: list[nn.Module] = [ChannelsFirst()]
        for n_out in channels:
            convolution = nn.Conv2d(n_in, n_out, kernel_size=4, stride=2, padding=1, bias=False)
            layers += [glorot(convolution), nn.BatchNorm2d(n_out), nn.ReLU()]
            height, width, n_in = height // 2, width // 2, n_out
        last = dense(hidden, free_width(n_components, _DIM_WIDTH))
        whole = dense(n_in * height * width, hidden, bias=False)
        layers += [_AsTheyLie(), whole, nn.BatchNorm1d(hidden), nn.ReLU(), last]
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "conv1", "conv2", ..., each after its activation."""
        return {f"conv{i}": str(3 * i) for i in range(1, 1 + len(self.channels))}


def _padding(side: int, n_layers: int) -> int:
    """Return 0 if convolutions without padding leave at least 4 places a side, else 2."""
    for _ in range(n_layers):
        side = (side - 5) // 2 + 1
    return 0 if side >= FEWEST_PLACES else 2


def _new_kernel(conv: nn.Conv2d, channels: int, *, pretrained: bool) -> None:
    """Change the number of input channels of a first convolution, in place."""
    old = conv.weight.detach()
    if pretrained:
        # A grey image then gives the same result as three copies of it as colours.
        weight = old.mean(1, keepdim=True).repeat(1, channels, 1, 1) * (old.shape[1] / channels)
    else:
        weight = old.new_empty(len(old), channels, *old.shape[2:])
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    conv.in_channels, conv.weight = channels, nn.Parameter(weight)


def _torchvision_model(name: str, weights: str | None) -> nn.Module:
    """Return a classifier of torchvision, with pretrained or random weights."""
    import torchvision.models as zoo  # here, because it takes a second to load

    check_name("name", name, zoo.list_models(module=zoo))
    if name not in _WITH_AUXILIARY_HEADS:
        return zoo.get_model(name, weights=weights)
    if weights is None:
        return zoo.get_model(name, weights=None, aux_logits=False, init_weights=True)
    # Pretrained models reject aux_logits=False, so the auxiliary heads are removed here.
    model: Any = zoo.get_model(name, weights=weights)
    model.aux_logits = False
    for head in ("aux1", "aux2", "AuxLogits"):
        model.register_module(head, None)
    return model


def _without_pretrained_weights(name: str, weights: str | None) -> nn.Module:
    """Return the modules of a pretrained classifier with random weights."""
    import torchvision.models as zoo

    if name in _WITH_AUXILIARY_HEADS:
        how = {"aux_logits": False, "init_weights": False, "transform_input": True}
        return zoo.get_model(name, weights=None, **how)
    if name.startswith("vit_"):
        # Its number of places depends on the images that it was trained on.
        smallest = zoo.get_model_weights(name).verify(weights).meta["min_size"]
        return zoo.get_model(name, weights=None, image_size=smallest[0])
    return zoo.get_model(name, weights=None)


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


def _adapted(
    model: nn.Module, backbone: Backbone, input_shape: Shape, n_components: int | None
) -> nn.Sequential:
    """Turn a classifier of torchvision, in place, into an encoder of images of a shape."""
    channels = check_image(input_shape, backbone)[2]
    if backbone.small_images:
        _fit_small_images(model, backbone.weights)
    first = next(part for part in model.modules() if isinstance(part, nn.Conv2d))
    if first.in_channels != channels:
        _new_kernel(first, channels, pretrained=backbone.weights is not None)
    layers = (nn.Linear, nn.Conv2d)  # SqueezeNet classifies by a convolution
    path = [path for path, part in model.named_modules() if isinstance(part, layers)][-1]
    model.set_submodule(path, nn.Identity())
    network = nn.Sequential(ChannelsFirst(), model)
    width = code_width(network, input_shape)
    return network if n_components is None else network.append(dense(width, n_components))


@dataclass(repr=False, eq=False)
class Backbone(Encoder):
    """Encode images by a classification network of torchvision without its last layer.

    Use it for many images of 32 pixels a side or more; `ConvNet` is far cheaper. The code is the
    input of the removed classifier, 512 numbers for ``"resnet18"``. With ``n_components`` a linear
    map of it follows. The first convolution is adapted to the number of channels. Most backbones
    normalise over the batch, which leaks information between the rows of a training batch. A critic
    can exploit that, so trust the held-out bound, not the training one.

    Parameters
    ----------
    name : str
        A classification model of torchvision: ``"resnet18"``, ``"convnext_tiny"``, ...
    small_images : bool
        For the ResNet family: replace the first layer by a 3x3 convolution of stride 1 and drop
        the max-pooling, as is usual for images of 32 pixels. Other models ignore it.
    weights : str or None
        Name of pretrained weights in torchvision, such as ``"DEFAULT"``. They are downloaded and
        expect images normalised as torchvision documents. None: random weights.

    References
    ----------
    Deep Residual Learning for Image Recognition (He, Zhang, Ren & Sun, 2016).
    https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> from sklearn_mi.encoders import Backbone, code_width
    >>> code_width(Backbone().build((32, 32, 3), None), (32, 32, 3))
    512
    """

    name: str = "resnet18"
    small_images: bool = True
    weights: str | None = None
    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        check_image(input_shape, self)
        if n_components is not None:
            positive_integer("n_components", n_components)
        model = _torchvision_model(self.name, self.weights)
        return _adapted(model, self, input_shape, n_components)

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return the children of torchvision's network by its own names, such as "layer2"."""
        model = self.skeleton().build(input_shape, None).get_submodule("1")
        return {name: f"1.{name}" for name, _ in model.named_children()}

    def skeleton(self) -> Encoder:
        """Return an encoder that builds the same modules with random weights."""
        return self if self.weights is None else _BackboneSkeleton(self)


@dataclass(repr=False, eq=False)
class _BackboneSkeleton(Encoder):
    """A pretrained `Backbone` whose weights come from a file."""

    backbone: Backbone

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        model = _without_pretrained_weights(self.backbone.name, self.backbone.weights)
        return _adapted(model, self.backbone, input_shape, n_components)
