"""What encoders of recordings share: a code for every step, and pooling over observed steps.

A recording is a row ``(time, channels + 1)``, zero where nothing was observed; its last channel is
1 at the steps that were. Unobserved steps change nothing: the code of a padded recording is that of
the recording alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from sklearn_mi._base import Shape, check_name
from sklearn_mi.encoders.base import DEFAULT_WIDTH, Encoder, free_width

__all__ = ["Pooled", "SequenceModule", "module_of_steps", "pooled"]

POOLS = ("mean", "max", "last", "mean-max")


class SequenceModule(nn.Module, ABC):
    """Write a module that also encodes every step of a recording: define `steps` and `seen`.

    With such an encoder the learner has ``transform_steps``.

    Attributes
    ----------
    stride : int
        Steps of a recording for which one code stands.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sklearn_mi.encoders import SequenceModule
    >>> class EachStep(SequenceModule):
    ...     def __init__(self, n_channels, width):
    ...         super().__init__()
    ...         self.network = nn.Linear(n_channels, width)
    ...
    ...     def steps(self, rows):
    ...         codes = self.network(rows[..., :-1]) * rows[..., -1:]
    ...         return codes.transpose(1, 2)
    ...
    ...     def seen(self, rows):
    ...         return rows[..., -1] > 0
    ...
    ...     def forward(self, rows):
    ...         return self.steps(rows).amax(2)
    >>> EachStep(2, 4)(torch.ones(5, 10, 3)).shape  # two channels, and which steps were observed
    torch.Size([5, 4])
    """

    stride: int = 1

    @abstractmethod
    def steps(self, rows: Tensor) -> Tensor:
        """Return the codes of the steps, zero at unobserved ones.

        Parameters
        ----------
        rows : Tensor of shape (b, time, channels + 1)
            Recordings; the last channel is 1 where a step was observed.

        Returns
        -------
        codes : Tensor of shape (b, width, steps)
        """

    @abstractmethod
    def seen(self, rows: Tensor) -> Tensor:
        """Return which of these steps were observed.

        Parameters
        ----------
        rows : Tensor of shape (b, time, channels + 1)

        Returns
        -------
        seen : Tensor of bool of shape (b, steps)
        """


class Pooled(SequenceModule):
    """Encode every step by one module, and pool the codes of observed steps.

    Parameters
    ----------
    steps : Module
        Maps recordings (b, time, channels + 1) to codes (b, width, steps).
    pool : {"mean", "max", "last", "mean-max"}
    stride : int, default=1
        Step p of the map stands at step ``p * stride`` of the recording.
    """

    def __init__(self, steps: nn.Module, pool: str, stride: int = 1) -> None:
        super().__init__()
        self.map, self.pool, self.stride = steps, pool, stride

    def forward(self, rows: Tensor) -> Tensor:
        """Return the codes of recordings, of shape (b, width)."""
        return pooled(self.map(rows), self.seen(rows), self.pool)

    def steps(self, rows: Tensor) -> Tensor:
        """Return the codes of the steps, of shape (b, width, steps)."""
        return self.map(rows)

    def seen(self, rows: Tensor) -> Tensor:
        """Return which steps of the map were observed."""
        return rows[:, :: self.stride, -1] > 0


def module_of_steps(module: nn.Module, path: str) -> SequenceModule | None:
    """Return the module that knows which steps of a layer's map were observed.

    Parameters
    ----------
    module : Module
        An encoder.
    path : str
        Of the layer in it.

    Returns
    -------
    module : SequenceModule or None
        The encoder itself, or a part that gets the same rows: modules whose attribute
        ``gives_rows`` is true hand theirs to each of their parts. None: nobody knows.
    """
    for name in path.split("."):
        if isinstance(module, SequenceModule):
            return module
        if not (isinstance(module, nn.ModuleList) or getattr(module, "gives_rows", False)):
            return None
        module = module.get_submodule(name)
    return module if isinstance(module, SequenceModule) else None


def pooled(steps: Tensor, seen: Tensor, pool: str) -> Tensor:
    """Return one code a recording from the codes of its steps.

    Parameters
    ----------
    steps : Tensor of shape (b, width, steps)
        Zero at unobserved steps.
    seen : Tensor of bool of shape (b, steps)
    pool : {"mean", "max", "last", "mean-max"}
        "mean-max" gives both, side by side.

    Returns
    -------
    codes : Tensor of shape (b, width) or (b, 2 * width)
        Zero for a recording without observed steps.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders.sequences import pooled
    >>> steps, seen = torch.tensor([[[-3.0, -1.0, 0.0]]]), torch.tensor([[True, True, False]])
    >>> [pooled(steps, seen, pool).tolist() for pool in ("mean", "max", "last")]
    [[[-2.0]], [[-1.0]], [[-1.0]]]
    """
    if pool == "mean-max":
        return torch.cat([pooled(steps, seen, "mean"), pooled(steps, seen, "max")], dim=1)
    if pool == "mean":
        return steps.sum(2) / seen.sum(1, keepdim=True).clamp_min(1)
    if pool == "last":
        numbers = torch.arange(seen.shape[1], device=seen.device)
        last = (numbers * seen).argmax(1)
        return steps.gather(2, last[:, None, None].expand(-1, steps.shape[1], 1)).squeeze(2)
    largest = steps.masked_fill(~seen[:, None], -torch.inf).amax(2)
    return largest.masked_fill(~seen.any(1, keepdim=True), 0.0)


def step_width(n_components: int | None, pool: str) -> int:
    """Return the width of a step's code: half of the code's if the pool gives two numbers each."""
    check_name("pool", pool, POOLS)
    width = free_width(n_components, DEFAULT_WIDTH)
    if pool != "mean-max":
        return width
    if width % 2:
        raise ValueError(
            f"n_components={width} with pool='mean-max'; expected an even number: one half of the "
            "code are means, the other maxima."
        )
    return width // 2


def check_recording(input_shape: Shape, encoder: Encoder) -> tuple[int, int]:
    """Return the steps and the channels of recordings; refuse other rows."""
    if len(input_shape) != 2 or input_shape[1] < 2:
        raise ValueError(
            f"input_shape={tuple(input_shape)}; {encoder!r} needs recordings (time, channels + 1), "
            "whose last channel is 1 where a step was observed: pass X of shape "
            "(n, time, channels), or a list of arrays (time, channels)."
        )
    return input_shape[0], input_shape[1] - 1
