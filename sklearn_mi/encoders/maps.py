"""Feature maps: what a named layer of an encoder gives, beside the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sklearn_mi._base import Shape, did_you_mean
from sklearn_mi.layers import evaluating

if TYPE_CHECKING:
    from sklearn_mi.encoders.base import Encoder

__all__ = ["code_and_maps", "layer_paths", "map_shapes"]


def layer_paths(
    encoder: Encoder, module: nn.Module, input_shape: Shape, layers: Sequence[str]
) -> dict[str, str]:
    """Return the path of each layer in a built encoder.

    Parameters
    ----------
    encoder : Encoder
        Its `Encoder.layers` names layers.
    module : Module
        What it built.
    input_shape : tuple of int
        Shape of one row.
    layers : sequence of str
        Names, or paths of submodules.

    Returns
    -------
    paths : dict of str

    Raises
    ------
    ValueError
        If a layer is unknown.
    """
    named = encoder.layers(input_shape)
    inside = {path for path, _ in module.named_modules() if path}
    paths = {}
    for layer in layers:
        paths[layer] = named.get(layer, layer)
        if paths[layer] not in inside:
            known = sorted(named) or sorted(inside)
            hint = did_you_mean(layer, known)
            raise ValueError(
                f"layer={layer!r} is no layer of encoder={encoder!r}; expected one of {known}, or "
                f"the path of a module in it.{hint}"
            )
    return paths


def code_and_maps(
    module: nn.Module, x: Tensor, paths: Mapping[str, str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the codes of a batch, and the feature maps of some layers.

    Parameters
    ----------
    module : Module
        Maps (b, *input_shape) to (b, width).
    x : Tensor of shape (b, *input_shape)
    paths : dict of str
        Paths of submodules, by the names of their layers.

    Returns
    -------
    codes : Tensor of shape (b, width)
    maps : dict of Tensor of shape (b, channels, ...)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import ConvNet
    >>> from sklearn_mi.encoders.maps import code_and_maps
    >>> encoder = ConvNet()
    >>> module = encoder.build((28, 28), 10)
    >>> codes, maps = code_and_maps(module, torch.zeros(5, 28, 28), encoder.layers((28, 28)))
    >>> codes.shape, maps["conv2"].shape
    (torch.Size([5, 10]), torch.Size([5, 128, 7, 7]))
    """
    maps: dict[str, Tensor] = {}

    def keep(layer: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        maps[layer] = output

    hooks = [
        module.get_submodule(path).register_forward_hook(partial(keep, layer))
        for layer, path in paths.items()
    ]
    try:
        return module(x), maps
    finally:
        for hook in hooks:
            hook.remove()


def map_shapes(module: nn.Module, input_shape: Shape, paths: Mapping[str, str]) -> dict[str, Shape]:
    """Return the shape of one row's feature map of each layer.

    Parameters
    ----------
    module : Module
    input_shape : tuple of int
        Shape of one row.
    paths : dict of str

    Returns
    -------
    shapes : dict of tuple of int
        (channels, ...).

    Raises
    ------
    ValueError
        If the output of a layer is no map, without axes beyond its channels, or the encoder does
        not use the layer.
    """
    like = next(module.parameters(), torch.empty(0))
    with evaluating(module):
        rows = torch.zeros(2, *input_shape, dtype=like.dtype, device=like.device)
        _, maps = code_and_maps(module, rows, paths)
    if unused := [layer for layer in paths if layer not in maps]:
        raise ValueError(
            f"layer={unused[0]!r} is a module of the encoder that its forward does not call; "
            f"expected one that it does.{did_you_mean(unused[0], list(maps))}"
        )
    for layer, made in maps.items():
        if not isinstance(made, Tensor) or made.ndim < 3 or len(made) != 2:
            got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise ValueError(
                f"layer={layer!r} gives {got} for 2 rows; expected a map of shape "
                "(2, channels, height, width) or (2, channels, steps): name a convolution."
            )
    return {layer: tuple(made.shape[1:]) for layer, made in maps.items()}
