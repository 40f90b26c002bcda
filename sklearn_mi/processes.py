"""Several processes that train one model together: who they are, and what they tell one another."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from sklearn_mi._base import Codes
from sklearn_mi.channel import Channel

__all__ = ["ALONE", "Team", "beside_all", "gathered", "join", "together"]

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
    channel : Channel or None
        What they tell one another by; None: there are no others.
    """

    rank: int = 0
    size: int = 1
    channel: Channel | None = field(default=None, compare=False)

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

    def count(self, n: int) -> int:
        """Return how many of n rows are the share of this process."""
        start, stop = self.bounds(n)[self.rank]
        return stop - start

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
        self.wait_for(dist.all_reduce(total, group=_groups.own, async_op=True), total)
        return total / self.size

    def wait_for(self, work: Any, tensor: Tensor) -> None:
        """Wait for a collective, unless another process fails meanwhile."""
        # Of a GPU only the stream waits.
        if self.channel is None or tensor.is_cuda:
            work.wait()
        else:
            self.channel.wait(work)

    def agreed(self, value: Any) -> Any:
        """Return what the first process has, on every process; it waits for all."""
        return self.everyone(None if self.rank and not self.has_failed else value)[0]

    def everyone(self, value: Any) -> list[Any]:
        """Return what each process has, in their order; it waits for all.

        Raises
        ------
        OtherProcessError
            If another process has failed.
        """
        return [value] if self.channel is None else self.channel.everyone(value)

    @property
    def has_failed(self) -> bool:
        """Whether the fit has failed; from then on this process listens to itself alone."""
        return self.channel is not None and self.channel.is_broken

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process has failed, so that they do not wait for it."""
        if self.channel is not None and not self.has_failed:
            self.channel.fail(error)
            _groups.drop()

    def parallel(self, module: torch.nn.Module, **settings: Any) -> DistributedDataParallel:
        """Return a module whose gradients are means over the processes.

        Parameters
        ----------
        module : nn.Module
        **settings : object
            For ``DistributedDataParallel``.
        """
        parallel = DistributedDataParallel(module, process_group=_groups.of_gradients, **settings)
        # Of a GPU only the stream waits; a CPU would wait for a process that has failed.
        if not any(weight.is_cuda for weight in module.parameters()):
            # Without annotations, which torch refuses as text.
            parallel.register_comm_hook(None, lambda _, bucket: self._averaged(bucket))
        return parallel

    def _averaged(self, bucket: Any) -> torch.futures.Future[Tensor]:
        """Average gradients as DistributedDataParallel does, and look whether others failed."""
        gradients = bucket.buffer().div_(self.size)
        group = _groups.of_gradients
        self.wait_for(dist.all_reduce(gradients, group=group, async_op=True), gradients)
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(gradients)
        return done

    def cause_of(self, error: BaseException) -> BaseException:
        """Return what another process has told, if an error only says that it is gone."""
        is_lost = self.channel is not None and isinstance(error, dist.DistError)
        return self.channel.lost() if is_lost else error  # type: ignore[union-attr]

    def begin(self, module: torch.nn.Module) -> None:
        """Give every process the trained weights of the first; all are ready for it."""
        if self.is_alone:
            return
        # After a failure some wait in a group for what never comes.
        if any(self.everyone(_groups.must_be_new)):
            _groups.renew()
        for weight in module.parameters():
            if weight.requires_grad:
                self._as_the_first(weight.detach())

    def share_statistics(self, module: torch.nn.Module) -> None:
        """Give every process what the first has learned of the rows' moments."""
        if self.is_alone or self.has_failed:
            return
        for part in module.modules():
            if isinstance(part, _BatchNorm):
                for buffer in part.buffers():
                    self._as_the_first(buffer)

    def _as_the_first(self, tensor: Tensor) -> None:
        sent = dist.broadcast(tensor, src=0, group=_groups.own, async_op=True)
        self.wait_for(sent, tensor)

    def own_draws(self, generator: torch.Generator, seed: int) -> torch.Generator | None:
        """Let each process draw numbers of its own from now on, as its rows are its own, too.

        Parameters
        ----------
        generator : torch.Generator
            Of the first process it stays as it is.
        seed : int

        Returns
        -------
        common : torch.Generator or None
            For draws that all processes share; None if there are no others.
        """
        if self.is_alone:
            return None
        common = torch.Generator(generator.device)
        common.set_state(generator.get_state())
        if self.rank:
            generator.manual_seed(seed + self.rank)
        return common

    def take_gpu(self, device: torch.device) -> None:
        """Take the GPU that the launcher means for this process, unless the user named one."""
        if not self.is_alone and device.type == "cuda" and device.index is None:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())))

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
        team.wait_for(dist.all_gather(parts, padded, group=_groups.own, async_op=True), padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        ctx.team.wait_for(dist.all_reduce(total, group=_groups.own, async_op=True), total)
        return total[ctx.team.share(ctx.n)], None, None


@dataclass
class _Groups:
    """Groups of our own, as what is sent for different ends must not mix.

    All processes make them at once, where they have just spoken to one another.

    Attributes
    ----------
    own, of_gradients : ProcessGroup or None
        For codes and numbers, and for DistributedDataParallel.
    world : ProcessGroup or None
        That they belong to.
    inherited : ProcessGroup or None
        The world of the process that this one was forked from: its connections are not ours.
    """

    own: Any = None
    of_gradients: Any = None
    world: Any = None
    inherited: Any = None

    @property
    def must_be_new(self) -> bool:
        return self.world is None or self.world is not dist.group.WORLD

    def renew(self) -> None:
        self.own, self.of_gradients = dist.new_group(), dist.new_group()
        self.world = dist.group.WORLD

    def drop(self) -> None:
        self.own = self.of_gradients = self.world = None

    def inherit(self) -> None:
        self.inherited = dist.group.WORLD if dist.is_available() else None


_groups = _Groups()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_groups.inherit)


@contextmanager
def together(wanted: bool | str) -> Iterator[Team]:
    """Join the processes that train one model; they end together, and fail together.

    Parameters
    ----------
    wanted : bool or "auto"
        As for `join`.

    Yields
    ------
    team : Team

    Raises
    ------
    OtherProcessError
        If another process fails while this one does not.
    """
    team = join(wanted)
    try:
        yield team
        team.everyone("ended")
    except GeneratorExit:
        team.fail(RuntimeError("its loop over fit_iter was left"))
        raise
    except BaseException as error:
        team.fail(error)
        cause = team.cause_of(error)
        if cause is error:
            raise
        raise cause from error


def join(wanted: bool | str) -> Team:
    """Return the processes that train together here; join them if a launcher started this one.

    Parameters
    ----------
    wanted : bool or "auto"
        "auto": those of ``torchrun`` or ``accelerate launch``, or of a process group of the user's.
        True: the same, and an error without them. False: this process alone.

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
        _begin()
    rank, size = dist.get_rank(), dist.get_world_size()
    return ALONE if size == 1 else Team(rank, size, Channel.next(rank, size))


def _may_join() -> bool:
    """Return whether there are others, and this is the thread and the process to meet them.

    A worker of joblib inherits what the launcher told its parent, and, if it is forked, its
    process group; a process of ``torch.multiprocessing`` may have begun a group of its own. Two
    threads of one process would answer for one another.
    """
    if not dist.is_available() or threading.current_thread() is not threading.main_thread():
        return False
    if dist.is_initialized():
        return dist.group.WORLD is not _groups.inherited
    told = all(name in os.environ for name in LAUNCHED) and os.environ["WORLD_SIZE"] != "1"
    return told and multiprocessing.parent_process() is None


def _begin() -> None:
    dist.init_process_group()
    # Said once by DistributedDataParallel of convolutions: it copies their gradients.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    atexit.register(_end)


def _end() -> None:
    # A group that outlives its process group aborts the process at its end.
    _groups.drop()
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
