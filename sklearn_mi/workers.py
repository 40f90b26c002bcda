"""Calls in processes that may die: a death costs the calls that ran there, no others."""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

__all__ = ["Turn", "WorkerDiedError", "finish", "in_parallel", "is_by_dask"]

# How often a call may take its worker with it: once beside others, twice alone.
MOST_DEATHS = 3
# Dask gives a call up after more deaths than that, and then counts anew for calls that only waited.
MOST_ROUNDS = 10

Results = Iterator[tuple[int, Any]]


class WorkerDiedError(RuntimeError):
    """The process that ran a call was killed, or ended by itself."""


@dataclass(frozen=True)
class Turn:
    """One process at a time does a piece of work, and leaves a mark if it dies over it.

    The lock is the operating system's: it ends with the process that holds it.

    Attributes
    ----------
    path : Path
        Of two files, without their suffix.
    """

    path: Path

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and mark the work as begun inside."""
        with self._lock():
            with self._mark.open("a") as mark:
                mark.write("x")
            try:
                yield
            finally:
                self._mark.unlink(missing_ok=True)

    def is_free(self) -> bool:
        """Return whether no process has the turn."""
        try:
            with self._lock().acquire(timeout=0):
                return True
        except Timeout:
            return False

    def was_cut_off(self) -> bool:
        """Return whether a process that had the turn is gone without having ended its work."""
        return self._mark.exists() and self.is_free()

    def deaths(self) -> int:
        """Return how many processes had the turn and are gone without having ended the work."""
        if not self._mark.exists():
            return 0
        return max(self._mark.stat().st_size, 1) - (not self.is_free())

    def forget(self) -> None:
        """Take away the mark of a process that is gone."""
        self._mark.unlink(missing_ok=True)

    @property
    def _mark(self) -> Path:
        return self.path.with_name(f"{self.path.name}.begun")

    def _lock(self) -> FileLock:
        return FileLock(f"{self.path}.lock")


@dataclass(frozen=True)
class _Calls:
    """Calls to make, each while it holds the turn of its item, and a bar that counts them."""

    call: Callable[[Any, Any], Any]
    items: Mapping[int, tuple[Any, Any]]
    turn_of: Callable[[Any], Turn]
    bar: Any

    def turn(self, number: int) -> Turn:
        return self.turn_of(self.items[number][0])

    def free_first(self, numbers: Iterable[int]) -> Iterator[int]:
        """Yield numbers in their order; those that another process works at wait for the others."""
        left = list(numbers)
        while left:
            number = next((n for n in left if self.turn(n).is_free()), left[0])
            left.remove(number)
            yield number


def finish(
    call: Callable[[Any, Any], Any],
    items: Mapping[int, tuple[Any, Any]],
    *,
    n_jobs: int | None,
    turn: Callable[[Any], Turn],
    bar: Any,
) -> Results:
    """Make every call by joblib's active backend, and yield its number and result as it ends.

    If a worker dies, calls that it had not begun are made again. Those that it had begun are made
    again alone; the ones that take their worker with them each time yield an error, and all others
    go on. A worker of Dask's is replaced while the others run. Of joblib's own processes and Ray's
    all end with the first, so that calls in progress are made again.

    Parameters
    ----------
    call : callable
        ``call(item, shared)``. It holds the item's turn while it works, and knows again what is
        done.
    items : mapping of int to (item, shared)
        What is particular to a call, and what several calls share, such as data.
    n_jobs : int or None
        As for ``joblib.Parallel``.
    turn : callable
        Returns the `Turn` of an item.
    bar : tqdm
        Moved by one for each call that ends.

    Yields
    ------
    number : int
    result : object
        What the call returned, or a WorkerDiedError.
    """
    calls = _Calls(call, items, turn, bar)
    for number in items:
        if (earlier := calls.turn(number)).was_cut_off():
            earlier.forget()
    # Joblib's own way to Dask waits for ever for a call whose workers died.
    yield from _by_dask(calls) if is_by_dask() else _by_joblib(calls, n_jobs)


def is_by_dask() -> bool:
    """Return whether joblib computes by Dask here."""
    return hasattr(get_active_backend()[0], "client")


def _by_joblib(calls: _Calls, n_jobs: int | None) -> Results:
    waiting, deaths, rounds = dict(calls.items), Counter[int](), 0
    while waiting:
        together = [number for number in waiting if not deaths[number]]
        some = together or [next(iter(waiting))]
        # One after another, as workers take them: by then others may be free.
        tasks = (delayed(_numbered)(n, calls.call, *waiting[n]) for n in calls.free_first(some))
        how: Any = {"n_tasks": len(some), "ordered": False, "batch_size": 1}
        try:
            for number, result in in_parallel(tasks, n_jobs, calls.bar, **how):
                del waiting[number]
                yield number, result
        except Exception as error:
            rounds += 1
            cut_off = [n for n in some if n in waiting and calls.turn(n).was_cut_off()]
            # Workers that die before they begin do so whatever they are given.
            if not _is_death(error) or (not cut_off and rounds >= MOST_DEATHS):
                raise
            for number in cut_off:
                calls.turn(number).forget()
                deaths[number] += 1
                if deaths[number] == MOST_DEATHS:
                    del waiting[number]
                    yield number, _death(error, MOST_DEATHS)


def in_parallel(
    tasks: Iterable[Any],
    n_jobs: int | None,
    bar: Any,
    *,
    n_tasks: int | None = None,
    ordered: bool = True,
    **settings: Any,
) -> Iterator[Any]:
    """Make calls by joblib's active backend, and yield results as they come.

    Some backends, as Ray's, give results all at the end; the bar moves meanwhile all the same.

    Parameters
    ----------
    tasks : iterable of joblib.delayed
    n_jobs : int or None
    bar : tqdm
        Moved by one for each call that ends.
    n_tasks : int, default=None
        How many there are, if they have no length.
    ordered : bool, default=True
        Whether results come in the order of the calls.
    **settings : object
        For ``joblib.Parallel``.

    Yields
    ------
    result : object
    """
    backend: Any = get_active_backend(prefer=settings.get("prefer"))[0]
    # Processes of its own, the default; what is forked would inherit the handler.
    is_own = type(backend).__name__ == "LokyBackend"
    with _unwound_by_sigterm() if is_own else nullcontext():
        n = len(tasks) if n_tasks is None else n_tasks  # type: ignore[arg-type]
        yield from _as_they_come(backend, tasks, n, n_jobs, bar, ordered, settings)


def _as_they_come(
    backend: Any,
    tasks: Iterable[Any],
    n_tasks: int,
    n_jobs: int | None,
    bar: Any,
    ordered: bool,
    settings: dict[str, Any],
) -> Iterator[Any]:
    if backend.supports_return_generator:
        how = "generator" if ordered else "generator_unordered"
        found: Any = Parallel(n_jobs=n_jobs, return_as=how, **settings)(tasks)
        for result in found:
            bar.update()
            yield result
        return
    # Joblib takes as many calls ahead: when it takes the next, one has ended.
    ahead = 2 * effective_n_jobs(n_jobs)  # type: ignore[arg-type]
    found = Parallel(n_jobs=n_jobs, **settings)(_watched(tasks, ahead, bar))
    bar.update(min(ahead, n_tasks))
    yield from found


@contextmanager
def _unwound_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end joblib's processes first, which would work on and wait for minutes.

    Then this process ends by it, as it would have at once. Where the user has a handler, or this is
    not the main thread, nothing changes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def unwind(number: int, frame: Any) -> None:
        # Joblib ends its workers at an exception.
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, unwind)
    is_told = False
    try:
        yield
    except SystemExit as error:
        is_told = error.code == 128 + signal.SIGTERM
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if is_told:
            signal.raise_signal(signal.SIGTERM)


def _numbered(
    number: int, call: Callable[[Any, Any], Any], item: Any, shared: Any
) -> tuple[int, Any]:
    return number, call(item, shared)


def _watched(tasks: Iterable[Any], ahead: int, bar: Any) -> Iterator[Any]:
    for taken, task in enumerate(tasks):
        if taken >= ahead:
            bar.update()
        yield task


def _by_dask(calls: _Calls) -> Results:
    """Make the calls by Dask's client, which gives the other calls' results if workers die."""
    from dask.distributed import as_completed

    backend: Any = get_active_backend()[0]
    client, settings = backend.client, backend.submit_kwargs

    def submitted(number: int) -> Any:
        # A call without inputs in the cluster goes to any worker, not to the one that has them.
        return client.submit(calls.call, *calls.items[number], pure=False, **settings)

    numbers, rounds = {submitted(number): number for number in calls.items}, Counter[int]()
    ended = as_completed(list(numbers))
    try:
        for future in ended:
            number = numbers.pop(future)
            try:
                result = future.result()
            except Exception as error:
                result = _judged(error, calls.turn(number), rounds[number])
            if result is None:
                rounds[number] += 1
                again = submitted(number)
                numbers[again] = number
                ended.add(again)
            else:
                calls.bar.update()
                yield number, result
    finally:
        client.cancel(list(numbers))


def _judged(error: Exception, turn: Turn, rounds: int) -> WorkerDiedError | None:
    """Return the error of a call that its workers died over; None if it mostly waited there."""
    if not _is_death(error):
        raise error
    from dask import config

    # Dask also counts workers that died while the call stood in their queue.
    deaths, allowed = turn.deaths(), config.get("distributed.scheduler.allowed-failures")
    if deaths <= allowed and rounds < MOST_ROUNDS:
        return None
    turn.forget()
    return _death(error, max(deaths, 1))


def _is_death(error: Exception) -> bool:
    """Return whether an error says that a process is gone, not that a call failed."""
    # Whoever computes by them has imported them.
    dask, ray = sys.modules.get("distributed"), sys.modules.get("ray")
    kinds: list[type[BaseException]] = [BrokenExecutor]
    if dask is not None:
        kinds.append(dask.KilledWorker)
    if ray is not None:
        all_of = ray.exceptions
        kinds += [all_of.RayActorError, all_of.WorkerCrashedError, all_of.OutOfMemoryError]
    return isinstance(error, tuple(kinds))


def _death(error: Exception, times: int) -> WorkerDiedError:
    return WorkerDiedError(
        f"{times} workers died over it ({type(error).__name__}); killed, or out of memory? Give a "
        "worker more memory, then pass retry=True."
    )
