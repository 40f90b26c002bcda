"""The order of rows in training, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from sklearn_mi.rows.pairs import AnyRows, PartnerRows
from sklearn_mi.rows.positions import Positioned
from sklearn_mi.rows.streams import StreamOrder
from sklearn_mi.rows.windows import WindowOrder, read_ahead

__all__ = ["AnyOrder", "Batch", "Batches", "HeldOutBatches", "Order"]

# Rows as the view takes them, their numbers, and their groups.
Batch = tuple[Any, Tensor, Tensor | None]


class Order(Positioned):
    """The order of the rows: an endless stream of batches of row numbers.

    Parameters
    ----------
    n_rows : int
    batch_size : int
        Each batch has exactly this many rows, because a bound depends on the number, or all rows if
        there are fewer. Each pass leaves out a different remainder.
    seed : int
        Seed of the generator that permutes the rows in each pass.
    n_extra : int
        Rows appended to each batch, drawn independently of it from all rows.
    weights : Tensor of shape (n_rows,) or None
        Each batch is then drawn by itself: row after row with a probability in proportion to its
        weight among the rows that the batch does not hold yet.
    """

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        seed: int,
        n_extra: int = 0,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__(n_rows, batch_size)
        self.n_extra, self.weights = n_extra, weights
        self._generator = torch.Generator().manual_seed(seed)
        self._permutation = torch.empty(0, dtype=torch.long)

    def rest_of_pass(self) -> Iterator[Tensor]:
        """Yield batches to the end of the pass, or until no step is left."""
        if self._place == self.steps_a_pass:
            self._place = 0
            if self.weights is None:
                self._permutation = torch.randperm(self.n_rows, generator=self._generator)
        while self._place < self.steps_a_pass and self.steps_left:
            batch = self._batch(self._place * self.batch_size)
            self._place, self.steps_left = self._place + 1, self.steps_left - 1
            yield torch.cat([batch, self._extra()]) if self.n_extra else batch

    def _batch(self, start: int) -> Tensor:
        if self.weights is None:
            return self._permutation[start : start + self.batch_size]
        return torch.multinomial(self.weights, self.batch_size, generator=self._generator)

    def _extra(self) -> Tensor:
        if self.weights is None:
            return torch.randint(self.n_rows, (self.n_extra,), generator=self._generator)
        return torch.multinomial(
            self.weights, self.n_extra, replacement=True, generator=self._generator
        )

    def _position(self) -> dict[str, Any]:
        return {
            "generator": self._generator.get_state(),
            "permutation": self._permutation,
            "place": self._place,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from the position of a stream."""
        self._generator.set_state(state["generator"])
        self._permutation, self._place = state["permutation"], state["place"]


AnyOrder = Order | WindowOrder | StreamOrder


class Batches:
    """Batches of rows for skorch; slices tensors instead of collating rows.

    Parameters
    ----------
    dataset : Rows, PairedRows or PartnerRows
    batch_size : int
        Ignored: the order has its own.
    order : Order, WindowOrder or StreamOrder
    share : callable or None
        Which rows of a batch this process takes, of several; None: all.
    """

    def __init__(
        self,
        dataset: AnyRows,
        batch_size: int,
        order: AnyOrder,
        share: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.dataset, self.order, self.share = dataset, order, share

    def __iter__(self) -> Iterator[Batch]:
        batches, dataset = self._on_device(), self.dataset
        # Partners are drawn from the view's generator, whose draws must keep their order.
        draws = isinstance(dataset, PartnerRows)
        if dataset.on_device or dataset.device.type != "cuda" or draws:
            yield from batches
            return
        # Rows that are not on the GPU are converted and copied during the previous step.
        with ThreadPoolExecutor(1) as ahead:
            order = self.order
            coming = ahead.submit(order.look_ahead, batches)
            try:
                while (seen := coming.result())[0] is not None:
                    order.seen_at(seen[1])
                    coming = ahead.submit(order.look_ahead, batches)
                    yield seen[0]
            finally:
                order.seen_at(None)

    def _on_device(self) -> Iterator[Batch]:
        order = self.order
        if isinstance(order, StreamOrder):
            n_in_all = order.batch_size + order.n_extra
            for window, numbers in order.rest_of_pass():
                if order.is_split:
                    # The others' rows are not here; all count them alike.
                    yield window[numbers], torch.arange(n_in_all, device=window.device), None
                    continue
                own = numbers if self.share is None else self.share(numbers)
                yield window[own], numbers, None
            return
        on_disk = isinstance(order, WindowOrder)
        for numbers in read_ahead(self.dataset, order) if on_disk else order.rest_of_pass():
            yield self.batch(numbers.to(self.dataset.device))

    def batch(self, rows: Tensor) -> Batch:
        """Return the module's input for these row numbers, on the device.

        Of several processes each takes its share of the rows, but knows the numbers and groups of
        all.
        """
        if self.share is None:
            return _batch(self.dataset, rows)
        groups = self.dataset.groups
        return self.dataset[self.share(rows)], rows, None if groups is None else groups[rows]


class HeldOutBatches:
    """Batches of held-out rows for skorch: the same rows and partners in every pass.

    Parameters
    ----------
    dataset : Rows, PairedRows or PartnerRows
        At least two rows. Every pass repeats the same draws of partners.
    batch_size : int
        Each batch has at most this many rows, and at least two.
    seed : int
    """

    def __init__(self, dataset: AnyRows, batch_size: int, seed: int) -> None:
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed

    def __iter__(self) -> Iterator[Batch]:
        if isinstance(self.dataset, PartnerRows):
            self.dataset.generator.manual_seed(self.seed)
        n = len(self.dataset)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(self.seed))
        # Of about equal size: a bound depends on how many rows are compared.
        for numbers in order.tensor_split(min(-(-n // self.batch_size), n // 2)):
            yield _batch(self.dataset, numbers.to(self.dataset.device))


def _batch(dataset: AnyRows, rows: Tensor) -> Batch:
    groups = dataset.groups
    return dataset[rows], rows, None if groups is None else groups[rows]
