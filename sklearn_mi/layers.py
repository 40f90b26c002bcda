"""Parts of networks that several families are built from."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from sklearn_mi._base import Component, resolve

__all__ = [
    "as_description",
    "copied",
    "dense",
    "equal_parts",
    "evaluating",
    "glorot",
    "made_by",
    "mlp",
]

T = TypeVar("T", bound=Component)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode without gradients; then each part has its former mode.

    Parameters
    ----------
    module : Module
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def glorot(layer: nn.Linear | nn.Conv2d) -> Any:
    """Return a layer, its weights drawn anew by Glorot and Bengio's rule and its biases zero.

    Parameters
    ----------
    layer : Linear or Conv2d

    Returns
    -------
    layer : Linear or Conv2d
    """
    # Keras' default, as in the paper; torch's own bound is narrower and its biases are random.
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a dense layer with weights as in `glorot`.

    Parameters
    ----------
    n_in, n_out : int
    bias : bool, default=True

    Returns
    -------
    layer : Linear
    """
    return glorot(nn.Linear(n_in, n_out, bias=bias))


def mlp(sizes: Sequence[int], layer: Callable[[int, int], nn.Module] = dense) -> nn.Sequential:
    """Return a perceptron with ReLU between its layers and none after the last.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer, and of the output.
    layer : callable, default=dense
        ``layer(n_in, n_out)``; ``nn.Linear`` keeps torch's own draws.

    Returns
    -------
    network : Sequential

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.layers import mlp
    >>> [type(part).__name__ for part in mlp((4, 8, 1))]
    ['Linear', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [layer(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def copied(module: Any) -> nn.Module:
    """Return a deep copy of a user's network, which is never trained itself.

    Parameters
    ----------
    module : Module

    Returns
    -------
    copy : Module

    Raises
    ------
    TypeError
        If it is no ``nn.Module``.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module={module!r}; expected an nn.Module.")
    return copy.deepcopy(module)


def made_by(function: Callable[..., Any], what: str, **sizes: Any) -> nn.Module:
    """Return the network that a user's function makes.

    Parameters
    ----------
    function : callable
    what : str
        What it makes: "critic".
    **sizes
        What it is given, in this order, by position.

    Returns
    -------
    module : Module

    Raises
    ------
    ValueError
        If the function fails; the cause is chained.
    TypeError
        If it returns no ``nn.Module``.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.layers import made_by
    >>> made_by(nn.Linear, "encoder", n_in=2, n_out=3)
    Linear(in_features=2, out_features=3, bias=True)
    """
    try:
        made = function(*sizes.values())
    except Exception as error:  # a foreign function may fail in any way
        given = " and ".join(f"{name}={size}" for name, size in sizes.items())
        raise ValueError(f"function={function!r} made no {what} from {given}: {error}") from error
    if not isinstance(made, nn.Module):
        raise TypeError(f"function={function!r} returned {made!r}; expected an nn.Module.")
    return made


def equal_parts(width: int, k: int) -> list[int]:
    """Return the widths of k nearly equal parts of a code, the wider ones first.

    Parameters
    ----------
    width, k : int

    Returns
    -------
    widths : list of int

    Examples
    --------
    >>> from sklearn_mi.layers import equal_parts
    >>> equal_parts(8, 3)
    [3, 3, 2]
    """
    return [(width + i) // k for i in reversed(range(k))]


def as_description(
    parameter: str,
    value: Any,
    names: Mapping[str, Callable[[], T]],
    base: type[T],
    *,
    ready: Callable[[nn.Module], T],
    factory: Callable[[Any], T],
    expected: str,
) -> T:
    """Return the description that a user's value stands for.

    Parameters
    ----------
    parameter : str
        What messages call the value.
    value : str, Component, Module or callable
    names : mapping of str to callable
    base : type
        Class of the family's descriptions.
    ready, factory : callable
        What wraps a network, and a function that makes one.
    expected : str
        Ends the message about a value of another kind.

    Returns
    -------
    description : Component

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If the value is of no such kind.
    """
    value = resolve(parameter, value, names)
    if isinstance(value, base):
        return value
    if isinstance(value, nn.Module):
        return ready(value)
    if callable(value) and not (isinstance(value, type) and issubclass(value, base)):
        return factory(value)
    raise TypeError(f"{parameter}={value!r}; expected a name {sorted(names)}, {expected}.")
