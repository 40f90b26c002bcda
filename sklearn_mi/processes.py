"""Several processes that train one model together: who they are, and what they tell one another."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_mi._base import Codes

__all__ = ["ALONE", "Team", "beside_all", "gathered", "join"]

# What torchrun and accelerate tell each process that they start.
LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Team:
    """The processes that train one model, seen from one of them.

    Every process holds the same rows and takes its share of each batch. Codes are gathered, so each
    row is compared with the rows of all processes, and the result is that of one process with the
    same batches.

    Parameters
    ----------
    rank, size : int
        Number of this process, from 0, and how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def bounds(self, n: int) -> list[tuple[int, int]]:
        """Return where the share of each process begins and ends among n rows."""
        sizes = [n // self.size + (rank < n % self.size) for rank in range(self.size)]
        ends = list(accumulate(sizes))
        return list(zip([0, *ends], ends, strict=False))

    def share(self, n: int) -> slice:
        """Return the share of this process among n rows."""
        return slice(*self.bounds(n)[self.rank])

    def own(self, rows: Tensor, n: int) -> Tensor:
        """Return this process's share of a batch of n rows, and of further rows behind them."""
        if self.is_alone:
            return rows
        more = rows[n:]
        return torch.cat([rows[:n][self.share(n)], more[self.share(len(more))]])

    def gather(self, own: Tensor, n: int) -> Tensor:
        """Return a tensor of all rows from everyone's own; gradients go back to their owners.

        The gradient of a share is the sum of what all processes ask of it. DistributedDataParallel
        then divides the gradients of weights by the number of processes, so a value that all
        processes compute alike must not be divided, and parts of a sum must be multiplied by it.

        Parameters
        ----------
        own : Tensor of shape (n_own, ...)
        n : int
            Rows of all processes.

        Returns
        -------
        all : Tensor of shape (n, ...)
        """
        if own.dtype == torch.bool:
            return self.gather(own.to(torch.uint8), n).bool()
        return _Gather.apply(own, self, n)  # type: ignore[return-value]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a number over the processes."""
        if self.is_alone:
            return value
        total = value.detach().clone()
        dist.all_reduce(total, group=_own_group())
        return total / self.size

    def agreed(self, value: Any) -> Any:
        """Return what the first process has, on every process."""
        if self.is_alone:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0, group=_own_group())
        return held[0]

    def everyone(self, value: Any) -> list[Any]:
        """Return what each process has, in their order."""
        if self.is_alone:
            return [value]
        held: list[Any] = [None] * self.size
        dist.all_gather_object(held, value, group=_own_group())
        return held

    def share_weights(self, module: torch.nn.Module) -> None:
        """Give every process the trained weights of the first."""
        if self.is_alone:
            return
        for weight in module.parameters():
            if weight.requires_grad:
                dist.broadcast(weight.detach(), src=0, group=_own_group())

    def share_statistics(self, module: torch.nn.Module) -> None:
        """Give every process what the first has learned of the rows' moments."""
        if self.is_alone:
            return
        for part in module.modules():
            if isinstance(part, _BatchNorm):
                for buffer in part.buffers():
                    dist.broadcast(buffer, src=0, group=_own_group())

    def check_same(self, told: Mapping[str, str]) -> None:
        """Refuse processes that were given different things.

        Parameters
        ----------
        told : dict of str
            What must be the same everywhere, as text, by name.

        Raises
        ------
        ValueError
            On every process, with the names of what differs.
        """
        if self.is_alone:
            return
        first, *others = self.everyone(dict(told))
        differing = sorted(
            {name for other in others for name in told if other.get(name) != first[name]}
        )
        if differing:
            raise ValueError(
                f"{self.size} processes train one model, but {' and '.join(differing)} differ "
                "between them; expected the same rows and parameters in each: every process takes "
                "its share of each batch by itself. Use distributed=False to train one model each."
            )


ALONE = Team()


class _Gather(torch.autograd.Function):
    """Gather the shares of all processes."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, team: Team, n: int) -> Tensor:
        ctx.team, ctx.n = team, n
        sizes = [stop - start for start, stop in team.bounds(n)]
        # All of one length, as the collective needs it.
        padded = own.new_zeros(max(sizes), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded, group=_own_group())
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total, group=_own_group())
        return total[ctx.team.share(ctx.n)], None, None


def join(wanted: bool | str, device: torch.device) -> Team:
    """Return the processes that train together here; join them if a launcher started this one.

    Parameters
    ----------
    wanted : bool or "auto"
        "auto": those of ``torchrun`` or ``accelerate launch``, or of a process group of the user's.
        True: the same, and an error without them. False: this process alone.
    device : torch.device
        Where training runs.

    Returns
    -------
    team : Team

    Raises
    ------
    ValueError
        If ``wanted`` is True and no launcher started this process.
    """
    if wanted is False or not _may_join():
        if wanted is True:
            raise ValueError(
                "distributed=True, but no launcher started this process; start the script by "
                "torchrun --nproc-per-node=2 script.py, or leave distributed='auto'."
            )
        return ALONE
    if not dist.is_initialized():
        _begin(device)
    return Team(dist.get_rank(), dist.get_world_size())


def _may_join() -> bool:
    """Return whether there are others, and this is the thread and the process to meet them.

    A worker of joblib inherits what the launcher told its parent, and two threads of one process
    would answer for one another.
    """
    if not dist.is_available():
        return False
    is_worker = multiprocessing.parent_process() is not None
    if is_worker or threading.current_thread() is not threading.main_thread():
        return False
    told = all(name in os.environ for name in LAUNCHED) and os.environ["WORLD_SIZE"] != "1"
    return dist.is_initialized() or told


def _begin(device: torch.device) -> None:
    if device.type == "cuda" and device.index is None:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    dist.init_process_group()
    # Said once by DistributedDataParallel of convolutions: it copies their gradients.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    atexit.register(_end)


def _end() -> None:
    # A group that outlives its process group aborts the process at its end.
    _group_beside.cache_clear()
    if dist.is_initialized():
        dist.destroy_process_group()


def beside_all(codes: Codes, rows: slice) -> Codes:
    """Return the codes of some rows beside all columns, those of their partners first.

    Parameters
    ----------
    codes : Codes
        Without marks: every other column is a negative.
    rows : slice

    Returns
    -------
    codes : Codes
        Column i is the partner of row i again.
    """
    z_y = codes.z_y
    partners_first = torch.cat([z_y[rows], z_y[: rows.start], z_y[rows.stop :]])
    return Codes(codes.z_x[rows], partners_first, codes.critic)


def _own_group() -> Any:
    """Return a group of our own: what DistributedDataParallel sends must not mix with it."""
    return _group_beside(dist.group.WORLD)


@cache
def _group_beside(world: Any) -> Any:
    return dist.new_group()


def gathered(codes: Codes, team: Team, n: int, n_extra: int, *, with_views: bool) -> Codes:
    """Return the codes of all processes from everyone's own, without draws.

    Parameters
    ----------
    codes : Codes
        Of this process's share, before negatives are marked.
    team : Team
    n, n_extra : int
        Pairs of all processes, and further rows that only have a second view.
    with_views : bool
        Whether the views themselves are gathered, too.

    Returns
    -------
    codes : Codes
    """
    n_own = len(codes.z_x)

    def rows(own: Tensor | None) -> Tensor | None:
        return None if own is None else team.gather(own, n)

    def columns(own: Tensor | None) -> Tensor | None:
        if own is None or not n_extra:
            return rows(own)
        return torch.cat([team.gather(own[:n_own], n), team.gather(own[n_own:], n_extra)])

    return Codes(
        rows(codes.z_x),  # type: ignore[arg-type]
        columns(codes.z_y),  # type: ignore[arg-type]
        codes.critic,
        x=rows(codes.x) if with_views else None,
        x_prime=columns(codes.x_prime) if with_views else None,
        maps_x={name: team.gather(own, n) for name, own in codes.maps_x.items()},
        maps_y={name: columns(own) for name, own in codes.maps_y.items()},  # type: ignore[misc]
        seen_x=rows(codes.seen_x),
        seen_y=columns(codes.seen_y),
        present=rows(codes.present),
    )
