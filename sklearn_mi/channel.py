"""What processes that train one model tell one another, and that one of them has failed."""

from __future__ import annotations

import pickle
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from torch import distributed as dist

__all__ = ["Channel", "OtherProcessError"]

# Seconds after which a process that waits asks whether another has failed, and gives up.
LOOK_EVERY, PATIENCE = 1.0, 1800
# Seconds between two looks for an answer, first and at most.
SHORT, LONG = 2e-4, 2e-2
# A store refuses values of 8 MiB.
PIECE = 2**22

_numbers = count()


class OtherProcessError(RuntimeError):
    """Another of the processes that train one model has failed, so this one has stopped, too."""


@dataclass
class Channel:
    """Messages of one fit between its processes, by the store that they met at.

    Messages are numbered, so those of two fits, or of two places in a fit, never pair. The store
    is looked up at each use, so a channel can be copied and pickled.

    Parameters
    ----------
    rank, size : int
    number : int
        Of the fit among those that these processes train together.
    """

    rank: int
    size: int
    number: int
    n_said: int = 0
    is_broken: bool = False

    @classmethod
    def next(cls, rank: int, size: int) -> Channel:
        """Return the channel of the next fit."""
        return cls(rank, size, next(_numbers))

    def everyone(self, value: Any) -> list[Any]:
        """Return what each process says here, in their order; it waits for all.

        Parameters
        ----------
        value : object

        Returns
        -------
        values : list of object
            This process's own value in all places if the fit has failed.

        Raises
        ------
        OtherProcessError, KeyboardInterrupt
            If another process has failed, or was interrupted.
        """
        if self.is_broken:
            return [value] * self.size
        place, self.n_said = self.n_said, self.n_said + 1
        # All have come as far as the message before, so the one before that has been read.
        if place > 1:
            self._forget(f"{place - 2}/{self.rank}")
        self._say(f"{place}/{self.rank}", pickle.dumps(value))
        said = []
        for rank in range(self.size):
            self._await(place, rank)
            mine = rank == self.rank
            said.append(value if mine else pickle.loads(self._heard(f"{place}/{rank}")))
        return said

    def fail(self, error: BaseException) -> None:
        """Tell the others, once, that this process has failed; it listens to nobody any more.

        Parameters
        ----------
        error : BaseException
        """
        if self.is_broken:
            return
        self.is_broken = True
        line = (str(error).strip().splitlines() or [""])[0]
        told = self.rank, type(error).__name__, line
        # The store itself may have ended with the process that held it.
        with suppress(dist.DistError):
            if not self._has("failed"):
                self._store.set(self._key("failed"), pickle.dumps(told))

    def wait(self, work: Any) -> None:
        """Wait for a collective among CPUs.

        Parameters
        ----------
        work : torch.distributed.Work

        Raises
        ------
        OtherProcessError, KeyboardInterrupt
            If another process has failed meanwhile, or was interrupted.
        """
        is_last_look = False
        while not self._has_ended(work):
            if is_last_look:
                raise self.lost()
            # What was sent before a failure may still arrive.
            is_last_look = self._has("failed")
        try:
            work.wait()
        except RuntimeError as error:
            raise self.lost() from error

    @staticmethod
    def _has_ended(work: Any) -> bool:
        # When its time is up it raises the same error as when its connection ends, and goes on.
        with suppress(RuntimeError):
            work.wait(timedelta(seconds=LOOK_EVERY))
        return work.is_completed()

    @property
    def _store(self) -> Any:
        # Private, but the same in all releases from 2.6 on; ``ProcessGroup.get_group_store`` is
        # newer, and a store of our own would need an address that all processes reach.
        return dist.distributed_c10d._get_default_store()

    def _key(self, name: str) -> str:
        return f"sklearn_mi/{self.number}/{name}"

    def _has(self, name: str) -> bool:
        return self._store.check([self._key(name)])

    def _say(self, name: str, text: bytes) -> None:
        n_pieces = -(-len(text) // PIECE)
        for k in range(n_pieces):
            self._store.set(self._key(f"{name}/{k}"), text[k * PIECE : (k + 1) * PIECE])
        self._store.set(self._key(name), str(n_pieces))

    def _heard(self, name: str) -> bytes:
        return b"".join(self._store.get(self._key(piece)) for piece in self._pieces(name))

    def _forget(self, name: str) -> None:
        for key in (*self._pieces(name), name):
            self._store.delete_key(self._key(key))

    def _pieces(self, name: str) -> list[str]:
        return [f"{name}/{k}" for k in range(int(self._store.get(self._key(name))))]

    def _await(self, place: int, rank: int) -> None:
        """Wait until a process has said what it says at a place."""
        name, pause = f"{place}/{rank}", SHORT
        begun = looked = time.monotonic()
        while not self._has(name):
            time.sleep(pause)
            pause, now = min(2 * pause, LONG), time.monotonic()
            if now - looked < LOOK_EVERY:
                continue
            looked, failure = now, self.failure()
            # Looked at again: it may have spoken before another failed.
            if failure is not None and not self._has(name):
                raise failure
            if now - begun > PATIENCE:
                raise OtherProcessError(
                    f"Process {rank} of {self.size} that train one model has said nothing for "
                    f"{PATIENCE // 60} minutes; look whether it still runs, and whether all "
                    "processes call the same methods in the same order."
                )

    def lost(self) -> BaseException:
        """Return why a connection has ended: what another process has told, or that none has."""
        told = None
        with suppress(dist.DistError):
            told = self.failure()
        return told or OtherProcessError(
            f"One of the {self.size} processes that train one model has ended without a word; "
            "killed, or out of memory?"
        )

    def failure(self) -> BaseException | None:
        """Return what another process has told of its failure; None: nothing."""
        if not self._has("failed"):
            return None
        rank, kind, line = pickle.loads(self._store.get(self._key("failed")))
        if rank == self.rank:
            return None
        if kind == KeyboardInterrupt.__name__:
            return KeyboardInterrupt(f"process {rank} of {self.size} was interrupted")
        return OtherProcessError(
            f"Process {rank} of {self.size} that train one model failed, so this one has stopped, "
            f"too. There it says: {kind}: {line}"
        )
