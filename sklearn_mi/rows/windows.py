"""The order of rows that stay on disk: random blocks form a window, and its rows are shuffled."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mi._base import MIWarning
from sklearn_mi.rows.pairs import AnyRows
from sklearn_mi.rows.positions import Positioned

__all__ = ["WindowOrder", "read_ahead", "window_order"]

# Two windows are in memory: the one that batches are cut from, and the next one.
WINDOW_BYTES, MOST_WINDOW_BYTES = 2**27, 2**28
LEAST_BLOCKS = 64


class WindowOrder(Positioned):
    """The order of rows on disk: an endless stream of batches of row numbers.

    In each pass the blocks of consecutive rows are put into a random order and cut into windows.
    The rows of a window are shuffled, and batches are cut from one window after the other. Each
    pass leaves out a different remainder, of fewer rows than a batch.

    Parameters
    ----------
    edges : ndarray of int of shape (n_blocks + 1,)
        Where blocks begin, increasing, and the number of rows last.
    batch_size : int
        Each batch has exactly this many rows, or all rows if there are fewer.
    seed : int
    n_extra : int, default=0
        Rows appended to each batch, drawn independently of it from its window.
    blocks_at_once : int, default=64
        Blocks of a window at most.
    """

    def __init__(
        self,
        edges: np.ndarray,
        batch_size: int,
        seed: int,
        n_extra: int = 0,
        blocks_at_once: int = LEAST_BLOCKS,
    ) -> None:
        self.edges, self.n_extra = np.unique(edges), n_extra
        super().__init__(int(self.edges[-1]), batch_size)
        n_blocks = len(self.edges) - 1
        self._n_windows = -(-n_blocks // blocks_at_once)
        self._generator = torch.Generator().manual_seed(seed)
        self._blocks, self._seed = torch.empty(0, dtype=torch.long), 0
        self._ends = np.zeros(0, dtype=int)

    def rest_of_pass(self) -> Iterator[Tensor]:
        """Yield batches to the end of the pass, or until no step is left."""
        for numbers, _ in self.with_windows():
            yield numbers

    def with_windows(self) -> Iterator[tuple[Tensor, range]]:
        """Yield batches, each with the numbers of the windows that it comes from."""
        if self._place == self.steps_a_pass:
            self._place = 0
            self._blocks = torch.randperm(len(self.edges) - 1, generator=self._generator)
            self._seed = int(torch.randint(2**62, (), generator=self._generator))
            self._ends = self._ends_of_windows()
        ends = self._ends
        shuffled: dict[int, Tensor] = {}
        while self._place < self.steps_a_pass and self.steps_left:
            start = self._place * self.batch_size
            first, last = np.searchsorted(ends, [start, start + self.batch_size - 1], side="right")
            windows = range(int(first), int(last) + 1)
            shuffled = {w: shuffled[w] if w in shuffled else self._shuffled(w) for w in windows}
            begin = start - (int(ends[first - 1]) if first else 0)
            stream = torch.cat([shuffled[w] for w in windows]) if first < last else shuffled[first]
            batch = stream[begin : begin + self.batch_size]
            self._place, self.steps_left = self._place + 1, self.steps_left - 1
            if self.n_extra:
                batch = torch.cat([batch, self._extra(shuffled[int(first)])])
            yield batch, windows

    def last_window(self) -> int:
        """Return the window of the last batch of this pass that may still come."""
        left = min(self.steps_left, self.steps_a_pass - self._place)
        last = (self._place + left) * self.batch_size - 1
        return int(np.searchsorted(self._ends, last, side="right"))

    def _ends_of_windows(self) -> np.ndarray:
        """Return how many rows of this pass come up to the end of each window."""
        lengths = np.diff(self.edges)
        return np.cumsum([lengths[self.blocks_of(w)].sum() for w in range(self._n_windows)])

    def blocks_of(self, window: int) -> np.ndarray:
        """Return the blocks of a window of this pass, increasing."""
        n = len(self.edges) - 1
        begin, end = (n * k // self._n_windows for k in (window, window + 1))
        return np.sort(self._blocks[begin:end].numpy())

    def ranges_of(self, window: int) -> list[tuple[int, int]]:
        """Return the rows of a window as pairs (start, stop), increasing."""
        blocks = self.blocks_of(window)
        ends = zip(self.edges[blocks].tolist(), self.edges[blocks + 1].tolist(), strict=True)
        return list(ends)

    def _shuffled(self, window: int) -> Tensor:
        numbers = torch.cat([torch.arange(*ends) for ends in self.ranges_of(window)])
        # A generator of its own: a pass that is resumed needs no window before the present one.
        draws = torch.Generator().manual_seed(self._seed + window)
        return numbers[torch.randperm(len(numbers), generator=draws)]

    def _extra(self, numbers: Tensor) -> Tensor:
        return numbers[torch.randint(len(numbers), (self.n_extra,), generator=self._generator)]

    def _position(self) -> dict[str, Any]:
        return {
            "generator": self._generator.get_state(),
            "blocks": self._blocks,
            "seed": self._seed,
            "place": self._place,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from the position of a stream."""
        self._generator.set_state(state["generator"])
        self._blocks, self._seed = state["blocks"], state["seed"]
        self._place = state["place"]
        if len(self._blocks):
            self._ends = self._ends_of_windows()


def window_order(
    rows: AnyRows, batch_size: int, seed: int, n_extra: int, weights: Any = None
) -> WindowOrder | None:
    """Return the order of training rows that stay on disk; None if they are in memory.

    Parameters
    ----------
    rows : Rows, PairedRows or PartnerRows
        The training rows.
    batch_size, seed, n_extra : int
    weights : Tensor or None
        By which rows are to be drawn.

    Raises
    ------
    ValueError
        If rows are to be drawn by weights.

    Warns
    -----
    MIWarning
        If the storage's own chunks are so large that few of them make a window.
    """
    edges = rows.edges
    if edges is None:
        return None
    if weights is not None:
        raise ValueError(
            "duplicates='collapse' draws rows by weights, but rows that stay on disk are read in "
            "blocks; leave duplicates='keep'."
        )
    size = rows.row_bytes * (int(edges[-1]) / (len(edges) - 1))
    fitting = max(1, int(MOST_WINDOW_BYTES // size))
    wanted = max(LEAST_BLOCKS, int(WINDOW_BYTES // size))
    if fitting < min(LEAST_BLOCKS, len(edges) - 1):
        warnings.warn(
            f"X is stored in chunks of {size / 2**20:.0f} MiB, so batches are drawn from {fitting} "
            "random chunks at a time, and rows of one chunk meet often; if neighbouring rows are "
            f"alike, store X in chunks of at most {MOST_WINDOW_BYTES // LEAST_BLOCKS >> 20} MiB.",
            MIWarning,
            stacklevel=2,
        )
    return WindowOrder(edges, batch_size, seed, n_extra, min(wanted, fitting))


def read_ahead(rows: AnyRows, order: WindowOrder) -> Iterator[Tensor]:
    """Yield the batches of row numbers of a pass; their windows are in memory by then.

    A thread reads the next window while batches are cut from the present one.

    Parameters
    ----------
    rows : Rows, PairedRows or PartnerRows
        They hold the windows, and are served from them.
    order : WindowOrder
    """
    held: dict[int, Any] = {}
    coming: dict[int, Future[Any]] = {}
    with ThreadPoolExecutor(1) as pool:
        try:
            for numbers, windows in order.with_windows():
                if [*held] != [*windows]:
                    held = {w: _window(rows, order, w, held, coming) for w in windows}
                    rows.hold(list(held.values()))
                following = windows[-1] + 1
                is_free = len(held) == 1 and following not in coming
                if is_free and following <= order.last_window():
                    coming[following] = pool.submit(rows.load, order.ranges_of(following))
                yield numbers
        finally:
            rows.hold([])


def _window(
    rows: AnyRows,
    order: WindowOrder,
    window: int,
    held: dict[int, Any],
    coming: dict[int, Future[Any]],
) -> Any:
    if window in held:
        return held[window]
    if window in coming:
        return coming.pop(window).result()
    return rows.load(order.ranges_of(window))
