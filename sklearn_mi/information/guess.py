"""`Guess`: what each way to a number returns, before it is held against the other numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Guess"]


@dataclass(frozen=True)
class Guess:
    """A best guess of a mutual information, in nats.

    Attributes
    ----------
    value, stderr : float
    interval : tuple of float
        Two-sided, at the confidence that was asked for; the upper end is ``inf`` if the guess is at
        least the value.
    how : str
        How it was computed, with "(in-sample)" where it was fitted to the rows it is reported on.
    at_least : bool
        Whether the value is likely too low and has no upper end.
    warnings : tuple of str
        Facts that limit what the number means.
    """

    value: float
    stderr: float
    interval: tuple[float, float]
    how: str
    at_least: bool = False
    warnings: tuple[str, ...] = ()

    def reaching(self, low: float, high: float) -> Guess:
        """Return the guess with an interval that also holds ``low`` and ``high``."""
        return replace(self, interval=(min(low, self.interval[0]), max(high, self.interval[1])))
