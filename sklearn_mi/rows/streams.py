"""Rows that come one after the other, from anything that can be iterated again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, IterableDataset

from sklearn_mi.rows.blocks import (
    columns_of_item,
    columns_to_rows,
    in_order,
    is_stored,
    named_rows,
    names_of_numbers,
    package_of,
    row_of_item,
    without_labels,
)
from sklearn_mi.rows.indexed import Rows
from sklearn_mi.rows.positions import Positioned

__all__ = ["Stream", "StreamOrder", "as_stream"]

# Rows that are shuffled together: at most so many, and so many bytes as they come.
WINDOW_ROWS, WINDOW_BYTES = 2**16, 2**27

Windows = Generator[tuple[Any, dict[str, Any]], None, None]


class Stream:
    """Rows of an iterable, gathered in blocks.

    Parameters
    ----------
    items : iterable
        Every iteration begins anew. Items are rows or batches of rows.
    name : str, default="X"
        Of the table, for messages.

    Raises
    ------
    TypeError
        If it can be iterated once only.
    """

    def __init__(self, items: Any, name: str = "X") -> None:
        if iter(items) is items:
            raise TypeError(
                f"{name} is a {type(items).__name__}, which can be read once; expected rows that "
                "can be read again: an array, or an object whose __iter__ begins anew."
            )
        self.items, self.name = items, name
        is_loader = isinstance(items, DataLoader) and items.batch_size is not None
        is_data_set = isinstance(items, IterableDataset) or "datasets" in package_of(items)
        self._yields_rows = None if not (is_loader or is_data_set) else not is_loader
        self._position, self._passes = 0, 0
        # Whether each of several processes is given rows of its own.
        self.is_split = False

    def windows(self) -> Generator[Any, None, None]:
        """Yield the rows of one iteration, some ten thousand at a time.

        Yields
        ------
        block : ndarray of shape (b, ...) or data frame

        Raises
        ------
        ValueError
            If rows have different shapes, or there is none.
        """
        if hasattr(self.items, "set_epoch"):
            self.items.set_epoch(self._passes)
        parts: list[Any] = []
        n_rows = n_bytes = 0
        is_empty = True
        skipped, self._skip = self._skip, 0
        for item in itertools.islice(iter(self.items), skipped, None):
            block = self._block(item)
            self._check(parts, block)
            parts.append(block)
            self._position += 1
            n_rows, n_bytes = n_rows + len(block), n_bytes + getattr(block, "nbytes", 0)
            if n_rows >= WINDOW_ROWS or n_bytes >= WINDOW_BYTES:
                yield self._joined(parts)
                parts, n_rows, n_bytes, is_empty = [], 0, 0, False
        if parts:
            yield self._joined(parts)
        elif is_empty and not skipped:
            raise ValueError(f"{self.name} gives no rows; expected an iterable of rows.")
        self._position, self._passes = 0, self._passes + 1

    _skip, _has_told = 0, False
    # Of items that are dicts: their columns in the order of the first one, and their numbers.
    _columns: list[str] | None = None
    _names: list[str] | None = None

    def first(self) -> Any:
        """Return the rows of the first window, from an iteration of its own."""
        windows = self.windows()
        block = next(windows)
        windows.close()
        self._position, self._passes = 0, 0
        return block

    def state(self) -> dict[str, Any]:
        """Return where the iteration stands: after whole windows."""
        # At the beginning of a pass there is nothing to remember yet.
        has_own = self._position and hasattr(self.items, "state_dict") and not _buffers(self.items)
        own = self.items.state_dict() if has_own else None
        return {"own": own, "position": self._position, "passes": self._passes}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration begin where a state says."""
        self._position, self._passes = state["position"], state["passes"]
        if state["own"] is not None:
            self.items.load_state_dict(state["own"])
        else:
            self._skip = state["position"]

    def _block(self, item: Any) -> Any:
        """Return an item as rows of a table or an array; tell of labels once."""
        tells, self._has_told = not self._has_told, True
        if hasattr(item, "to_pandas") and hasattr(item, "schema"):
            item = item.to_pandas()
        if hasattr(item, "iloc"):
            return item
        if self._yields_rows is False and isinstance(item, Mapping):
            kept = in_order(without_labels(item, tells=tells), self._columns)
            columns = {key: np.asarray(value) for key, value in kept.items()}
            if self._columns is None:
                self._columns, self._names = list(columns), names_of_numbers(columns)
            return columns_to_rows(columns)
        if self._columns is None:
            found = columns_of_item(item)
            self._columns = None if found is None else list(found)
            self._names = names_of_numbers(found)
        rows = row_of_item(item, self._columns, tells=tells)
        is_row = rows.ndim < 2 if self._yields_rows is None else self._yields_rows
        if rows.dtype.kind not in "biuf" or not rows.ndim:
            raise ValueError(
                f"{self.name} gives items of type {type(item).__name__}, {str(item)[:40]!r}; "
                "expected rows of numbers, or arrays of rows."
            )
        return rows[None] if is_row else rows

    def _joined(self, parts: list[Any]) -> Any:
        """Return blocks as one, with the names of its columns if they have some."""
        if hasattr(parts[0], "iloc"):
            return pd.concat(parts, ignore_index=True)
        return named_rows(np.concatenate(parts), self._names)

    def _check(self, parts: list[Any], block: Any) -> None:
        if parts and block.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"{self.name} gives a row of shape {tuple(block.shape[1:])} after rows of shape "
                f"{tuple(parts[0].shape[1:])}; expected rows of one shape."
            )


def _buffers(items: Any) -> bool:
    """Tell a data set of Hugging Face with a shuffle buffer, whose state lacks what is in it."""
    part = getattr(items, "_ex_iterable", None)
    while part is not None:
        if type(part).__name__ == "BufferShuffledExamplesIterable":
            return True
        part = getattr(part, "ex_iterable", None)
    return False


def as_stream(X: Any, name: str = "X") -> Stream | None:
    """Return rows that can only be iterated as a stream; None: they are an array or the like.

    Parameters
    ----------
    X : object
        As the user passes it.
    name : str, default="X"
    """
    if isinstance(X, Stream):
        return X
    if isinstance(X, IterableDataset):
        return Stream(X, name)
    if is_stored(X):
        return None
    known = (str, bytes, list, tuple, set, frozenset, range, Mapping)
    if getattr(X, "is_nested", False) is True:  # a tensor without a shape
        raise TypeError("X is a nested tensor; pass list(X.unbind()).")
    is_array = any(hasattr(X, name) for name in ("shape", "__array__", "__dataframe__"))
    is_sequence = hasattr(X, "__getitem__") and hasattr(X, "__len__")
    if not hasattr(X, "__iter__") or isinstance(X, known) or is_array or is_sequence:
        return None
    return Stream(X, name)


class StreamOrder(Positioned):
    """Batches of a stream: its rows are shuffled within windows, one after the other.

    A thread reads the next window while batches are cut from the present one. What is left of a
    window, fewer rows than a batch, is left out. The stream begins anew at its end.

    Parameters
    ----------
    stream : Stream
    rows_of : callable
        ``rows_of(block)`` checks some rows, and serves them as batches on the device; rows that
        take no part are left out.
    n_rows : int
        Rows of the first window; as many steps as it has batches count as a pass.
    batch_size : int
    seed : int
    n_extra : int, default=0
        Rows appended to each batch, drawn from its window.
    own : tuple of int or None
        Rows, and further rows, of each batch that come from here, where a stream gives each of
        several processes its share; None: all.
    """

    def __init__(
        self,
        stream: Stream,
        rows_of: Callable[[Any], Rows],
        n_rows: int,
        batch_size: int,
        seed: int,
        n_extra: int = 0,
        own: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(n_rows, batch_size)
        self.is_split = own is not None
        self._n_taken, self._n_more = own or (self.batch_size, n_extra)
        self.stream, self.rows_of, self.n_extra = stream, rows_of, n_extra
        self._generator = torch.Generator().manual_seed(seed)
        self._source = self._windows()
        self._begun: dict[str, Any] = self._mark()
        self._window: Rows | None = None
        self._permutation = torch.empty(0, dtype=torch.long)
        self._used = 0

    def rest_of_pass(self) -> Generator[tuple[Rows, torch.Tensor], None, None]:
        """Yield windows and the numbers of batches in them, to the end of the pass."""
        self._place %= self.steps_a_pass
        while self._place < self.steps_a_pass and self.steps_left:
            window = self._next_window()
            chosen = self._permutation[self._used : self._used + self._n_taken]
            self._used += self._n_taken
            self._place, self.steps_left = self._place + 1, self.steps_left - 1
            if self._n_more:
                extra = torch.randint(len(window), (self._n_more,), generator=self._generator)
                chosen = torch.cat([chosen, extra])
            chosen = chosen.to(window.device)
            yield window, chosen

    def close(self) -> None:
        """Stop reading ahead, and let the rows go."""
        self._source.close()
        self._window = None

    def _next_window(self) -> Rows:
        """Return the window of the next batch, the present one or a new one."""
        while self._window is None or self._used + self._n_taken > len(self._window):
            block, self._begun = next(self._source)
            self._begun["generator"] = self._generator.get_state()
            self._window, self._used = self.rows_of(block), 0
            n = len(self._window)
            if n < self._n_taken <= len(block):
                raise ValueError(
                    f"{n} of {len(block)} rows of {self.stream.name}, read at once, have two of "
                    f"several tables, fewer than a batch of {self._n_taken}; lower batch_size, or "
                    "drop rows that lack tables."
                )
            self._permutation = torch.randperm(n, generator=self._generator)
        return self._window

    def _windows(self) -> Windows:
        """Yield windows without end, each with the state of the stream before it."""
        with ThreadPoolExecutor(1) as ahead:
            read = self._read()
            coming = ahead.submit(next, read)
            while True:
                window = coming.result()
                coming = ahead.submit(next, read)
                yield window

    def _read(self) -> Windows:
        while True:
            enough = False
            state = self.stream.state()
            for block in self.stream.windows():
                enough = enough or len(block) >= self._n_taken
                yield block, {"stream": state}
                state = self.stream.state()
            if not enough:
                raise ValueError(
                    f"{self.stream.name} gives fewer rows than a batch of {self._n_taken}, and "
                    f"gave {self.n_rows} at first; expected the same rows in each iteration."
                )

    def _mark(self) -> dict[str, Any]:
        return {"stream": self.stream.state(), "generator": self._generator.get_state()}

    def _position(self) -> dict[str, Any]:
        """Return where the present window began, and how much of it is used."""
        return {
            **self._begun,
            "now": self._generator.get_state(),
            "used": self._used,
            "place": self._place,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a position: the window is read again."""
        self._source.close()
        self._generator.set_state(state["generator"])
        self.stream.resume(state["stream"])
        self._source, self._window, self._used = self._windows(), None, 0
        if state["used"]:
            self._next_window()
            self._generator.set_state(state["now"])
        self._used, self._place = state["used"], state["place"]
