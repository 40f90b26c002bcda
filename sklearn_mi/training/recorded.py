"""A step of training on a GPU, recorded once as a CUDA graph and replayed for every batch.

A small net's step is some hundred kernels of a few microseconds each, and launching them one by one
from Python takes far longer than they run. A graph launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["CannotRecordError", "RecordedStep"]

REHEARSED = 3
TOLERANCE = 1e-3


class CannotRecordError(RuntimeError):
    """A CUDA graph cannot hold the step, or gives different results."""


class RecordedStep:
    """Replay a step as a CUDA graph: row numbers and learning rates in, losses out.

    Row numbers of many steps are copied to the device at once. The graph picks those of its step,
    so the host does nothing between two replays. Recording rehearses the step in both ways from one
    state and returns to it: no step is lost and nothing changes.

    Parameters
    ----------
    step : callable
        ``step(numbers)`` takes one step of the optimiser on the rows of these numbers and returns
        the loss.
    optimizer : Optimizer
        An optimiser after at least one step, so its state is complete.
    changed : sequence of Tensor
        Everything that a step changes beside the optimiser: weights and buffers.
    generators : sequence of Generator
        Every generator that a step draws from, on the device.
    example : Tensor of int of shape (b,)
        Row numbers to rehearse with, on the device.
    at_once : int
        Steps between two looks at the losses.
    scheduled : bool
        Whether learning rates differ from step to step.

    Raises
    ------
    CannotRecordError
        With the reason; nothing has changed.
    """

    def __init__(
        self,
        step: Callable[[Tensor], Tensor],
        optimizer: torch.optim.Optimizer,
        changed: Sequence[Tensor],
        generators: Sequence[torch.Generator],
        example: Tensor,
        *,
        at_once: int,
        scheduled: bool,
    ) -> None:
        device = example.device
        self._optimizer, self._scheduled = optimizer, scheduled
        self._numbers = example.new_zeros(at_once, len(example))
        self._rates = torch.zeros(at_once, len(optimizer.param_groups), device=device)
        self._rate = torch.zeros(len(optimizer.param_groups), device=device)
        self._losses = torch.zeros(at_once, device=device)
        self._place = torch.zeros(1, dtype=torch.long, device=device)
        self._graph = torch.cuda.CUDAGraph()
        self._generators = list(generators)
        self._changed = [*changed, *_tensors_of(optimizer)]
        self._rehearse(step, example)

    def __call__(self, numbers: Sequence[Tensor], rates: Sequence[Sequence[float]]) -> Tensor:
        """Take one step for each set of row numbers and return their losses.

        Parameters
        ----------
        numbers : sequence of Tensor of int of shape (b,)
            Row numbers on the host; at most ``at_once`` sets.
        rates : sequence of sequence of float
            Learning rates of the optimiser's groups, for each step.

        Returns
        -------
        losses : Tensor of shape (len(numbers),)
        """
        n = len(numbers)
        self._numbers[:n].copy_(torch.stack(list(numbers)).pin_memory(), non_blocking=True)
        if self._scheduled:
            self._rates[:n].copy_(torch.tensor(rates))
        self._place.zero_()
        for _ in range(n):
            self._graph.replay()
        return self._losses[:n].clone()

    def _rehearse(self, step: Callable[[Tensor], Tensor], example: Tensor) -> None:
        groups = self._optimizer.param_groups
        rates = [[group["lr"] for group in groups]] * REHEARSED
        before, draws = [t.clone() for t in self._changed], self._draws()
        try:
            expected = torch.stack([step(example).detach().float() for _ in range(REHEARSED)])
            self._restore(before, draws)
            self._record(step)
            found = self([example.cpu()] * REHEARSED, rates)
        except (RuntimeError, AssertionError, TypeError) as error:
            self._restore(before, draws, broken=True)
            raise CannotRecordError(str(error).strip().split("\n")[0]) from error
        self._restore(before, draws)
        if not torch.allclose(expected, found, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            raise CannotRecordError(
                f"recorded steps lose {found.tolist()} where the same steps lose "
                f"{expected.tolist()}: something in them changes outside of tensors"
            )

    def _record(self, step: Callable[[Tensor], Tensor]) -> None:
        for generator in self._generators:
            self._graph.register_generator_state(generator)
        groups = self._optimizer.param_groups
        kept = [(group["lr"], group.get("capturable")) for group in groups]
        for i, group in enumerate(groups):
            group.update({"capturable": True} if "capturable" in group else {})
            group.update({"lr": self._rate[i]} if self._scheduled else {})
        torch.cuda.synchronize()
        try:
            # "thread_local": another Python thread that allocates must not break this recording.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._rate.copy_(self._rates.index_select(0, self._place).squeeze(0))
                loss = step(self._numbers.index_select(0, self._place).squeeze(0))
                self._losses.index_copy_(0, self._place, loss.detach().float().reshape(1))
                self._place.add_(1)
            # The recording stream still resets the generators; a replay must not overtake it.
            torch.cuda.synchronize()
        finally:
            for group, (rate, capturable) in zip(groups, kept, strict=True):
                group["lr"] = rate
                group.update({} if capturable is None else {"capturable": capturable})

    def _draws(self) -> list[Tensor]:
        return [generator.get_state() for generator in self._generators]

    def _restore(self, before: list[Tensor], draws: list[Tensor], broken: bool = False) -> None:
        torch.cuda.synchronize()
        with torch.no_grad():
            for tensor, kept in zip(self._changed, before, strict=True):
                tensor.copy_(kept)
        for generator, state in zip(self._generators, draws, strict=True):
            if broken:
                # A recording that broke off leaves its generators waiting for its end.
                generator.graphsafe_set_state(generator.clone_state())
            generator.set_state(state)


def _tensors_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the optimiser's state of each weight."""
    kept: list[Any] = [value for state in optimizer.state.values() for value in state.values()]
    return [value for value in kept if isinstance(value, Tensor)]
