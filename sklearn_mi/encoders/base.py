"""The contract of an encoder, checks of its width and parameters, and networks of your own."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from sklearn_mi._base import Component, Shape, positive_integer
from sklearn_mi.layers import copied, evaluating, made_by

__all__ = ["DEFAULT_WIDTH", "Encoder", "Factory", "InvertibleModule", "Ready", "code_width"]

DEFAULT_WIDTH = 32
"""Width of the code of `Linear`, `MLP` and `LeNet` when ``n_components`` is None."""


class InvertibleModule(nn.Module, ABC):
    """Write a module that also runs backwards, from codes to rows: define ``inverse``.

    With such an encoder the learner has ``inverse_transform``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import InvertibleModule
    >>> class Doubled(InvertibleModule):
    ...     def forward(self, rows):
    ...         return 2 * rows
    ...
    ...     def inverse(self, z):
    ...         return z / 2
    >>> module = Doubled()
    >>> module.inverse(module(torch.ones(1, 2))).tolist()
    [[1.0, 1.0]]
    """

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Return the rows ``(b, *input_shape)`` whose codes are ``z``."""


class Encoder(Component, ABC):
    """Write an encoder of your own: store its parameters and define `build`.

    Attributes
    ----------
    takes : {"any", "recordings", "others"}
        Rows that the encoder takes: only recordings, whose last channel says which steps were
        observed, or only others, or any.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from torch import nn
    >>> from sklearn_mi.encoders import Encoder
    >>> @dataclass(repr=False, eq=False)
    ... class FirstColumns(Encoder):
    ...     def build(self, input_shape, n_components):
    ...         return nn.Linear(input_shape[0], n_components or 2)
    >>> FirstColumns().build((7,), None)
    Linear(in_features=7, out_features=2, bias=True)
    """

    takes: ClassVar[Literal["any", "recordings", "others"]] = "any"

    @abstractmethod
    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a new module, its weights drawn from torch's global generator.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one row: ``(p,)``, ``(h, w)``, ``(h, w, c)`` or ``(time, channels + 1)``.
        n_components : int or None
            Width of the code; None: the encoder's own width.

        Returns
        -------
        Module
            Maps ``(b, *input_shape)`` to ``(b, width)``.

        Raises
        ------
        ValueError
            If ``n_components`` is not positive or conflicts with a fixed width, or if the encoder
            cannot take such rows.
        """

    def skeleton(self) -> Encoder:
        """Return an encoder that builds the same modules without fetching pretrained weights.

        `sklearn_mi.load` builds it, because the file holds the weights. By default the encoder
        itself.
        """
        return self

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return the layers whose feature maps a comparison may name, first to last.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one row.

        Returns
        -------
        layers : dict of str
            Paths of submodules of the built module by the names of the layers. Each gives a map
            ``(b, channels, height, width)`` or ``(b, channels, steps)``. By default empty; a
            comparison also takes the path of any submodule.
        """
        return {}

    def check_rows(self, rows: Tensor, name: str = "X") -> None:
        """Reject rows that the module cannot encode; by default none.

        Parameters
        ----------
        rows : Tensor
            Of shape ``(b, *input_shape)``.
        name : str, default="X"
            Name of the table in messages.

        Raises
        ------
        ValueError
        """
        return None

    def n_parts(self, input_shape: Shape) -> int:
        """Return how many parts of one kind and width the code is made of, side by side.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one row.

        Returns
        -------
        n_parts : int
            By default 1.
        """
        return 1

    def kept_columns(self, input_shape: Shape) -> int:
        """Return how many leading components of the code are unchanged columns of the row.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one row.

        Returns
        -------
        n_kept : int
            Components 0 to ``n_kept - 1`` are the first entries of the flattened row. By default
            0.
        """
        return 0


def code_width(module: nn.Module, input_shape: Shape) -> int:
    """Return the width of a module's code for rows of a given shape.

    The module encodes two rows of zeros, in evaluation mode and without gradients. Then each part
    returns to its former mode. Lazy layers get their sizes here.

    Parameters
    ----------
    module : Module
        Maps ``(b, *input_shape)`` to ``(b, width)``.
    input_shape : tuple of int
        Shape of one row.

    Raises
    ------
    ValueError
        If the module fails on such rows, or if its output is not of shape ``(b, width)``.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.encoders import code_width
    >>> code_width(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (3, 4))
    5
    """
    name = type(module).__name__
    floating = (
        t for t in itertools.chain(module.parameters(), module.buffers()) if t.is_floating_point()
    )
    like = next(floating, torch.empty(0))
    try:
        with evaluating(module):
            code = module(torch.zeros(2, *input_shape, dtype=like.dtype, device=like.device))
    except Exception as error:  # a foreign module may fail in any way; the cause is chained
        raise ValueError(
            f"input_shape={input_shape}; encoder {name} does not accept such rows: {error}"
        ) from error
    if not isinstance(code, Tensor) or code.ndim != 2 or len(code) != 2:
        got = tuple(code.shape) if isinstance(code, Tensor) else type(code).__name__
        raise ValueError(
            f"encoder {name} gives {got} for 2 rows of shape {input_shape}; expected a tensor of "
            "shape (2, width); end it with nn.Flatten()."
        )
    return code.shape[1]


def free_width(n_components: int | None, own: int) -> int:
    """Return ``n_components``, or the encoder's own width if it is None."""
    return own if n_components is None else positive_integer("n_components", n_components)


def check_fixed_width(n_components: int | None, encoder: str, width: int) -> None:
    """Check that ``n_components`` is None or the encoder's fixed width."""
    if n_components is not None and positive_integer("n_components", n_components) != width:
        raise ValueError(
            f"n_components={n_components} conflicts with encoder {encoder}, whose width is "
            f"{width}; pass n_components=None, or an encoder of free width such as 'mlp'."
        )


@dataclass(repr=False, eq=False)
class Ready(Encoder):
    """Use a network of your own; ``encoder=module`` does the same.

    `build` returns a deep copy, weights included. Your module itself is never trained.

    Parameters
    ----------
    module : Module
        Maps ``(b, *input_shape)`` to ``(b, width)``. Lazy layers are allowed.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.encoders import Ready
    >>> Ready(nn.Linear(20, 4)).build((20,), None)
    Linear(in_features=20, out_features=4, bias=True)
    """

    module: nn.Module

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a copy of the module and check its width; see `Encoder.build`."""
        built = copied(self.module)
        width = code_width(built, input_shape)
        check_fixed_width(n_components, type(built).__name__, width)
        return built


@dataclass(repr=False, eq=False)
class Factory(Encoder):
    """Use a function that makes the network; ``encoder=function`` does the same.

    A function defined in a module can be pickled, a lambda cannot.

    Parameters
    ----------
    function : callable
        ``function(input_shape, n_components) -> nn.Module``, or a class whose constructor takes
        these two arguments.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.encoders import Factory
    >>> Factory(lambda shape, width: nn.Linear(shape[0], width)).build((20,), 4)
    Linear(in_features=20, out_features=4, bias=True)
    """

    function: Callable[[Shape, int | None], nn.Module]

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return a copy of the function's module and check its width; see `Encoder.build`."""
        made = made_by(self.function, "encoder", input_shape=input_shape, n_components=n_components)
        return Ready(made).build(input_shape, n_components)
