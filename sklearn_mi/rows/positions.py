"""Where a stream of batches stands: what all orders of rows have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

__all__ = ["Positioned"]


class Positioned(ABC):
    """An endless stream of batches in passes, which knows where training is.

    Parameters
    ----------
    n_rows, batch_size : int
        Each batch has exactly ``batch_size`` rows, or all rows if there are fewer.

    Attributes
    ----------
    steps_a_pass, steps_left : int
        Batches of a pass, and those that are still allowed.
    """

    def __init__(self, n_rows: int, batch_size: int) -> None:
        self.n_rows, self.batch_size = n_rows, min(batch_size, n_rows)
        self.steps_a_pass = n_rows // self.batch_size
        self.steps_left = 0
        # Before the first pass one is over.
        self._place = self.steps_a_pass
        # Where training is, if batches are drawn ahead of it.
        self._seen: dict[str, Any] | None = None

    def allow(self, steps: int) -> int:
        """Allow ``steps`` more batches; return how many passes they span."""
        self.steps_left = steps
        begun = self._place % self.steps_a_pass
        return -(-(begun + steps) // self.steps_a_pass)

    @property
    def pass_is_over(self) -> bool:
        """Whether no batch of this pass is left to be drawn."""
        return self._place == self.steps_a_pass or not self.steps_left

    def look_ahead(self, batches: Iterator[Any]) -> tuple[Any, dict[str, Any]]:
        """Return the next of ``batches`` (None: there is none) and the position after it."""
        return next(batches, None), self._position()

    def seen_at(self, position: dict[str, Any] | None) -> None:
        """Set the position of `state_dict` while batches are drawn ahead; None: no longer."""
        self._seen = position

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the stream: after the last batch that training has seen."""
        return self._position() if self._seen is None else self._seen

    @abstractmethod
    def _position(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from the position of a stream."""
