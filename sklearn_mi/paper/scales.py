"""How much of a figure to run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SCALES", "Scale"]


@dataclass(frozen=True)
class Scale:
    """How much of a figure to run.

    Parameters
    ----------
    shares : tuple of float or None
        When to measure, as shares of the paper's number of steps; None: whenever the paper does.
    seeds : int
    rows : int or None, default=None
        Use only the first rows, this many to learn from and as many to test on; None: all.
    """

    shares: tuple[float, ...] | None
    seeds: int
    rows: int | None = None


SCALES = {
    "quick": Scale((0, 0.005), 1, rows=5_000),
    "cpu": Scale((0, 0.05, 0.25), 3),
    "full": Scale(None, 20),
}
