"""Checkpoints of a running ``fit``: when they are due, and what a failed one leads to."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd

from sklearn_mi._base import MIWarning
from sklearn_mi._places import cure_of, place_of, remove_remnants
from sklearn_mi.processes import ALONE, Team
from sklearn_mi.training.checkpoints import Resumable, load_checkpoint, save_checkpoint

__all__ = ["Keeper", "every", "until_told_to_end"]

FILE = "training.checkpoint"
# Steps after which several processes ask one another whether a checkpoint is due.
ASKED_EVERY = 10


def every(value: int | str) -> tuple[int | None, float]:
    """Return after how many steps, or else after how many seconds, a checkpoint is due.

    Parameters
    ----------
    value : int or str
        Steps, or a time as pandas reads it, such as "5min".

    Returns
    -------
    steps : int or None
    seconds : float

    Raises
    ------
    ValueError
        If it is neither.
    """
    if not isinstance(value, str):
        return int(value), 0.0
    try:
        # A number alone would be nanoseconds.
        seconds = float("nan") if value.strip().isdigit() else pd.Timedelta(value).total_seconds()
    except ValueError:
        seconds = float("nan")
    if not seconds > 0:
        raise ValueError(
            f"checkpoint_every={value!r}; expected a number of steps, such as 1000, or a time, "
            "such as '5min' or '30s'."
        )
    return None, seconds


class Keeper:
    """Keep the state of one training in a file of its own, below a folder for many.

    Parameters
    ----------
    folder : path-like
        ``checkpoint_dir``; the file stands in a folder whose name is the digest of the fingerprint.
    fingerprint : dict of str
        What identifies the training, its length included.
    steps : int or None
        Steps from one checkpoint to the next.
    seconds : float
        The same in seconds, if ``steps`` is None.
    team : Team, default=ALONE
        The processes that train together: they agree when a checkpoint is due, and the first
        writes it.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        fingerprint: Mapping[str, str],
        steps: int | None,
        seconds: float,
        team: Team = ALONE,
    ) -> None:
        text = json.dumps(dict(fingerprint), sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self.folder, self.fingerprint = place_of(folder, "checkpoint_dir"), fingerprint
        self.path = self.folder / digest / FILE
        self.steps, self.seconds, self.team = steps, seconds, team
        self.is_told_to_end = False
        self._last_step, self._last_time = 0, time.monotonic()
        self._has_warned = self._has_told = False

    def begin(self, net: Resumable) -> None:
        """Resume from the file; without one, write the first, which shows that it can be done.

        Parameters
        ----------
        net : Resumable

        Raises
        ------
        OSError
            If the folder cannot be made or written.
        InvalidModelError
            If the file is not whole.
        """
        if net.writes_files:
            self._make_folder()
            remove_remnants(self.path)
        step = -1
        if self.team.agreed(self.path.exists()):
            step = load_checkpoint(net, self.path, self.fingerprint)
        if step < 0:
            self._tell_what_is_left_out(save_checkpoint(net, self.path, 0, self.fingerprint))
        self._last_step, self._last_time = max(step, 0), time.monotonic()

    def _make_folder(self) -> None:
        shown = f"checkpoint_dir={str(self.folder)!r}"
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"{shown} is a file; expected a folder.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            cure = cure_of(error, self.folder.parent)
            told = f"{shown} cannot be made ({error.strerror}); {cure}"
            raise OSError(error.errno, told) from error

    def is_due(self, step: int) -> bool:
        """Return whether the state after so many steps is to be written.

        Parameters
        ----------
        step : int
        """
        if self.team.is_alone:
            return self._is_due_here(step)
        if step % ASKED_EVERY:
            return False
        told = self.team.everyone((self._is_due_here(step), self.is_told_to_end))
        self.is_told_to_end = any(is_told for _, is_told in told)
        return any(is_due for is_due, _ in told)

    def _is_due_here(self, step: int) -> bool:
        if self.is_told_to_end:
            return True
        if self.steps is not None:
            return step - self._last_step >= self.steps
        return time.monotonic() - self._last_time >= self.seconds

    def steps_until_due(self, step: int, at_most: int) -> int:
        """Return how many steps may be taken at once, so that none passes the next checkpoint.

        Parameters
        ----------
        step, at_most : int
        """
        if self.steps is None:
            return at_most
        return max(1, min(at_most, self._last_step + self.steps - step))

    def keep(self, net: Resumable, step: int) -> None:
        """Write the state; a failure is a warning, and training goes on.

        Parameters
        ----------
        net : Resumable
        step : int

        Raises
        ------
        SystemExit
            If the process has been told to end.
        """
        self._last_step = step
        try:
            if net.writes_files:
                # The folder may have vanished.
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._tell_what_is_left_out(save_checkpoint(net, self.path, step, self.fingerprint))
        except OSError as error:
            self._warn(f"{error}; training goes on and tries again.")
        self._last_time = time.monotonic()
        if self.is_told_to_end:
            raise SystemExit(128 + signal.SIGTERM)

    def finish(self, net: Resumable, step: int) -> None:
        """Write the result of a whole training, after which nothing is due any more.

        Parameters
        ----------
        net : Resumable
        step : int
        """
        is_told, self.is_told_to_end = self.is_told_to_end, False
        # Whatever was said before: this file stays missing.
        self._has_warned = False
        self.keep(net, step)
        self.is_told_to_end = is_told

    def _tell_what_is_left_out(self, places: list[str]) -> None:
        if places and not self._has_told:
            self._has_told = True
            self._warn(
                f"A checkpoint cannot hold {', '.join(places)}; a training that goes on from it "
                "lacks them. Numbers, text, arrays and tensors can be held."
            )

    def _warn(self, text: str) -> None:
        """Warn once: a long training would repeat it every few minutes."""
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(text, MIWarning, stacklevel=2)


@contextmanager
def until_told_to_end(keeper: Keeper | None) -> Iterator[None]:
    """Let SIGTERM end the training inside after its running step, with a checkpoint.

    Afterwards the signal goes to whom it would have gone to: by default the process ends by it.
    Python delivers signals to the main thread alone; in others nothing changes.

    Parameters
    ----------
    keeper : Keeper or None
        None: nothing changes.
    """
    before = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    # None: whoever took it is no Python function, and could not be given it back.
    if keeper is None or not is_main or before in (signal.SIG_IGN, None):
        yield
        return

    def tell(number: int, frame: Any) -> None:
        keeper.is_told_to_end = True

    signal.signal(signal.SIGTERM, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if keeper.is_told_to_end:
            signal.raise_signal(signal.SIGTERM)
