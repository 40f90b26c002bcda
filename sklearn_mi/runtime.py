"""Settings of the process: threads, precision, device, random streams and their seeds."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mi._checks import check_random_state

__all__ = [
    "choose_device",
    "enough_memory",
    "entropy",
    "has_bfloat16",
    "is_recorded",
    "matmul_precision",
    "own_randomness",
    "seeds_of",
    "threads",
]

_GENERATOR_LOCK = threading.RLock()


class _Inside(threading.local):
    """Whether this Python thread is inside a setting."""

    here = False


class _Setting:
    """A setting of the process that concurrent fits share.

    Fits that need the same value share it; a fit that needs another value waits. A fit within a fit
    changes nothing. The previous setting returns when the last concurrent fit ends.

    Parameters
    ----------
    read : callable
        Returns the setting.
    write : callable
        Changes it.
    is_of_each_thread : bool
        Each Python thread has its own copy of the setting, so each one restores it.
    """

    def __init__(
        self, read: Callable[[], Any], write: Callable[[Any], Any], *, is_of_each_thread: bool
    ) -> None:
        self._read, self._write, self._is_of_each_thread = read, write, is_of_each_thread
        self._changed, self._inside = threading.Condition(), _Inside()
        self._users, self._value, self._before = 0, None, None

    @contextmanager
    def at(self, value: Any) -> Iterator[None]:
        """Hold the setting at a value inside; None: leave it unchanged."""
        if self._inside.here:
            yield
            return
        self._enter(value)
        self._inside.here = True
        try:
            yield
        finally:
            self._inside.here = False
            self._leave()

    def _enter(self, value: Any) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._users == 0 or self._value == value)
            if self._users == 0:
                self._value, self._before = value, self._read()
            # First, as a setting that fails has no user.
            if value is not None:
                self._write(value)
            self._users += 1

    def _leave(self) -> None:
        with self._changed:
            self._users -= 1
            is_last = self._users == 0
            if self._value is not None and (is_last or self._is_of_each_thread):
                self._write(self._before)
            self._changed.notify_all()


_THREADS = _Setting(torch.get_num_threads, torch.set_num_threads, is_of_each_thread=True)
_PRECISION = _Setting(
    torch.get_float32_matmul_precision,
    torch.set_float32_matmul_precision,
    is_of_each_thread=False,
)


def threads(number: int | None) -> AbstractContextManager[None]:
    """Let torch use ``number`` threads inside; None: as many as before.

    The previous setting returns when the last concurrent fit ends. A fit that needs another number
    waits until then; within a fit nothing changes.
    """
    return nullcontext() if number is None else _THREADS.at(int(number))


def matmul_precision(tf32: bool) -> AbstractContextManager[None]:
    """Let a GPU multiply matrices in TF32 inside; False: keep the process's setting.

    The previous setting returns when the last concurrent fit ends. A fit in the other precision
    waits until then, so its numbers do not depend on what runs beside it.
    """
    return _PRECISION.at("high" if tf32 else None)


def choose_device(name: Any) -> torch.device:
    """Return a device by name; "auto" is a GPU if there is one.

    Raises
    ------
    ValueError
        If there is no such device, or torch cannot train on it here.
    """
    if isinstance(name, str) and name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={name!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:0'.") from error
    if device.type == "cuda":
        _check_gpu(device)
    elif device.type != "cpu":
        _try_out(device)
    return device


def _check_gpu(device: torch.device) -> None:
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not here:
        raise ValueError(
            f"device={str(device)!r}, but no GPU is available; use device='auto' or 'cpu'."
        )
    if (device.index or 0) >= here:
        names = " or ".join(f"'cuda:{i}'" for i in range(here))
        raise ValueError(
            f"device={str(device)!r}, but this machine has {here} of them; expected {names}."
        )


def _try_out(device: torch.device) -> None:
    """Create what training needs on a device: numbers in double precision and a generator."""
    try:
        torch.zeros(1, dtype=torch.float64, device=device).sum().item()
        torch.Generator(device)
    # Each kind of device has its own errors, some of them plain Exceptions.
    except Exception as error:
        raise ValueError(
            f"device={str(device)!r}, but torch cannot train on it here; use device='auto' or "
            "'cpu'."
        ) from error


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 natively; otherwise that is slow."""
    # Releases of torch that cannot tell count as one without.
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


class own_randomness:  # noqa: N801, a context manager that is used like a function
    """Replace torch's global generators inside by a stream of our own.

    ``torch.random.fork_rng`` alone is not safe between Python threads, hence the lock. If the same
    object is entered again, the stream continues where it stopped.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self._cuda = torch.device(device) if torch.device(device).type == "cuda" else None
        self.states = [torch.Generator().manual_seed(seed).get_state()]
        if self._cuda is not None:
            self.states.append(torch.Generator(self._cuda).manual_seed(seed).get_state())
        self._outside: list[Tensor] | None = None

    def current(self) -> list[Tensor]:
        """Return where the stream is, in the middle of a use, too."""
        if self._outside is None:
            return self.states
        here = [torch.get_rng_state()]
        return here if self._cuda is None else [*here, torch.cuda.get_rng_state(self._cuda)]

    def _exchange(self, states: list[Tensor]) -> list[Tensor]:
        before = [torch.get_rng_state()]
        torch.set_rng_state(states[0])
        if self._cuda is not None:
            before.append(torch.cuda.get_rng_state(self._cuda))
            torch.cuda.set_rng_state(states[1], self._cuda)
        return before

    def __enter__(self) -> None:
        """Replace the global stream by ours."""
        _GENERATOR_LOCK.acquire()
        self._outside = self._exchange(self.states)

    def __exit__(self, *error: object) -> None:
        """Restore the global stream."""
        assert self._outside is not None
        self.states, self._outside = self._exchange(self._outside), None
        _GENERATOR_LOCK.release()


def is_recorded(tensor: Tensor) -> bool:
    """Tell whether the step that made a tensor is being recorded for a GPU: no number can be read.

    Parameters
    ----------
    tensor : Tensor
    """
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


@contextmanager
def enough_memory(cure: str) -> Iterator[None]:
    """Turn an out-of-memory error of torch into one that names the cure."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"The GPU is out of memory: {cure}.") from error
    except RuntimeError as error:
        # Of memory that is no GPU's torch has no error of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        size = re.search(r"allocate (\d+) bytes", str(error))
        wanted = f", {int(size[1]) / 2**30:,.1f} GiB in one piece" if size else ""
        raise MemoryError(f"There is not enough memory{wanted}: {cure}.") from error


def entropy(random_state: Any) -> int:
    """Return the seed from which all others are derived.

    Parameters
    ----------
    random_state : int, RandomState or None
        None: a new seed each time.

    Returns
    -------
    seed : int
    """
    if random_state is None:
        # Not numpy's global generator: a fit must leave it untouched.
        return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
    if isinstance(random_state, Integral) and int(random_state) >= 0:
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def seeds_of(seed: int, done: int) -> dict[str, int]:
    """Return independent seeds for a fit, or for its continuation after ``done`` steps.

    Parameters
    ----------
    seed, done : int

    Returns
    -------
    seeds : dict of int
        By what draws from them: "weights", "batches", "views", "modules".
    """
    names = ("weights", "batches", "views", "modules")
    states = np.random.SeedSequence([seed, 1, done]).generate_state(len(names), np.uint64)
    return {name: int(state >> np.uint64(1)) for name, state in zip(names, states, strict=True)}
