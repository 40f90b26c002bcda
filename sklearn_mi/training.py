"""Training: rows on the device, the pair model, and the skorch net that maximises.

The only module that knows skorch, and the only one where a maximised quantity becomes a loss.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import gen_batches
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer
from skorch.history import History
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from sklearn_mi._base import Codes, MIWarning, Shape
from sklearn_mi.graphs import CannotRecordError, RecordedStep

__all__ = [
    "Batches",
    "MINet",
    "NonFiniteLossError",
    "Order",
    "PairModel",
    "PairedRows",
    "PartnerRows",
    "Progress",
    "Resumable",
    "Rows",
    "Scale",
    "check_callbacks",
    "choose_device",
    "encode",
    "enough_memory",
    "global_stream",
    "load_checkpoint",
    "matmul_precision",
    "own_randomness",
    "save_checkpoint",
    "stop_early",
    "threads",
    "train",
]

CHECK_EVERY = 100
# Larger ones are a little faster still, but a single row costs a block as well.
ENCODE_BLOCK = 512
# Of images fewer, so that what convolutions make of them stays in a processor's cache.
LEAST_BLOCK, NUMBERS_IN_CACHE = 64, 2**19
NUMBERS_ON_GPU = 2**24
# Recording a step as a CUDA graph costs about as much as so many steps.
WORTH_RECORDING = 50

# One lock for the global generator, one for the number of threads: both belong to the process.
_GENERATOR_LOCK = threading.RLock()
_THREADS = threading.Condition()
_inside = threading.local()
_threads_in_use: dict[str, int] = {"users": 0, "number": 0, "before": 0}


class NonFiniteLossError(FloatingPointError, ValueError):
    """Training met a loss that is infinite or not a number; the last finite weights are kept."""


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Let torch use ``number`` threads inside, and restore the setting for the last who leaves.

    Fits in several Python threads share one setting; a fit that wants another number waits. Within
    a fit, and with None, everything stays as it is.
    """
    if number is None or getattr(_inside, "threads", False):
        yield
        return
    with _THREADS:
        _THREADS.wait_for(lambda: _threads_in_use["users"] == 0 or _in_use(number))
        if _threads_in_use["users"] == 0:
            _threads_in_use.update(number=number, before=torch.get_num_threads())
        _threads_in_use["users"] += 1
        torch.set_num_threads(number)
    _inside.threads = True
    try:
        yield
    finally:
        _inside.threads = False
        with _THREADS:
            # Each Python thread has its own copy of the setting, so each one restores it.
            torch.set_num_threads(_threads_in_use["before"])
            _threads_in_use["users"] -= 1
            _THREADS.notify_all()


def _in_use(number: int) -> bool:
    return _threads_in_use["number"] == number


@contextmanager
def matmul_precision(tf32: bool) -> Iterator[None]:
    """Let a GPU multiply matrices in TF32 inside; the setting belongs to the process."""
    if not tf32:
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def choose_device(name: Any) -> torch.device:
    """Return a device by name; "auto" is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={name!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:0'.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={name!r}, but no GPU is available; use device='auto' or 'cpu'.")
    return device


class own_randomness:  # noqa: N801, a context manager that is used like a function
    """Draws from torch's global generators inside come from a stream of our own.

    ``torch.random.fork_rng`` alone is not safe between Python threads, hence the lock. The stream
    goes on where it stopped when the same object is entered again.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self._cuda = torch.device(device) if torch.device(device).type == "cuda" else None
        self.states = [torch.Generator().manual_seed(seed).get_state()]
        if self._cuda is not None:
            self.states.append(torch.Generator(self._cuda).manual_seed(seed).get_state())

    def _exchange(self, states: list[Tensor]) -> list[Tensor]:
        before = [torch.get_rng_state()]
        torch.set_rng_state(states[0])
        if self._cuda is not None:
            before.append(torch.cuda.get_rng_state(self._cuda))
            torch.cuda.set_rng_state(states[1], self._cuda)
        return before

    def __enter__(self) -> None:
        """Put our stream in the place of the global one."""
        _GENERATOR_LOCK.acquire()
        self._outside = self._exchange(self.states)

    def __exit__(self, *error: object) -> None:
        """Put the global one back."""
        self.states = self._exchange(self._outside)
        _GENERATOR_LOCK.release()


def global_stream(
    model: PairModel, seed: int, device: torch.device | str = "cpu"
) -> own_randomness | None:
    """Return a stream for a model that draws from torch's global generators; None if none does.

    Dropout does, and modules or callables that are not ours may.
    """
    if model.view.draws_globally:
        return own_randomness(seed, device)
    for module in model.modules():
        ours = type(module).__module__.startswith(("torch.nn.", "sklearn_mi."))
        if not ours or isinstance(module, nn.modules.dropout._DropoutNd):
            return own_randomness(seed, device)
    return None


class Scale(nn.Module):
    """The frozen first layer: ``(x - mean) / scale``.

    Parameters
    ----------
    mean, scale : ndarray
        Numbers that broadcast against a row.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: np.ndarray, scale: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return rows of shape (b, p) in float32, scaled in float64 to keep large offsets exact."""
        x = x.reshape(len(x), -1)
        if x.dtype == torch.uint8:
            # Bytes carry few digits: float32 is exact enough and much faster.
            return (x.float() - self.mean.float()) / self.scale.float()
        return ((x.double() - self.mean) / self.scale).float()


class Rows(Dataset):
    """Rows behind an index: ``rows[numbers]`` is a scaled float32 batch on the device.

    Data in memory are scaled and moved once. A memory map, a sparse matrix and bytes are kept as
    they are and converted batch by batch.

    Parameters
    ----------
    X : ndarray, sparse matrix or Tensor of shape (n, ...)
    layer : Scale
    device : torch.device
    row_shape : tuple of int
        Shape that a row has for the view.
    index : ndarray of int or None
        Which rows of ``X`` count, increasing; None: all.
    stream : bool
        Convert by batch although the data would fit.
    feature_names : sequence of str or None
    groups : Tensor of int or None
        Of the rows that count, in their order.
    """

    def __init__(
        self,
        X: Any,
        layer: Scale,
        device: torch.device,
        row_shape: Shape,
        *,
        index: np.ndarray | None = None,
        stream: bool = False,
        feature_names: Sequence[str] | None = None,
        groups: Tensor | None = None,
    ) -> None:
        self._layer, self.device, self._row_shape = layer, device, row_shape
        self.feature_names, self.groups = feature_names, groups
        self._index = np.arange(X.shape[0]) if index is None else np.asarray(index)
        self._whole = len(self._index) == X.shape[0]
        self._source: Any = X
        self._tensor: Tensor | None = None
        self._unscaled = bool((layer.mean == 0).all() and (layer.scale == 1).all())
        if not (stream or sparse.issparse(X)):
            self._keep_on_device()

    def _keep_on_device(self) -> None:
        X = self._source if self._whole else self._source[self._index]
        if X.dtype in (np.uint8, torch.uint8):
            self._tensor = torch.as_tensor(X).reshape(-1, *self._row_shape).to(self.device)
        else:
            # Filled in parts: gathered at the end, the rows would be held twice.
            self._tensor = torch.empty(self.shape, device=self.device)
            for part in gen_batches(len(self._index), 8192):
                self._tensor[part] = self._scaled(X[part])
        self._source = None

    def _scaled(self, batch: Any) -> Tensor:
        if sparse.issparse(batch):
            batch = batch.toarray()
        if isinstance(batch, np.ndarray):
            # A copy in a type that torch knows; a memory map must not be written to.
            kept = batch.dtype in (np.uint8, np.float32)
            batch = torch.from_numpy(np.array(batch, dtype=batch.dtype if kept else np.float64))
        if self.device.type == "cuda" and batch.device.type == "cpu":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=self.device.type == "cuda")
        if not (self._unscaled and batch.dtype == torch.float32):
            batch = self._layer(batch)
        return batch.reshape(-1, *self._row_shape)

    @property
    def on_device(self) -> bool:
        """Whether all rows lie on the device, and a batch is cut out of them there."""
        return self._tensor is not None

    @property
    def shape(self) -> Shape:
        """Number of rows, then the shape of one."""
        return (len(self._index), *self._row_shape)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, numbers: Tensor | slice) -> Tensor:
        """Return the batch of these row numbers."""
        if self._tensor is None:
            return self._scaled(self._source[self._places(numbers)])
        batch = self._tensor[numbers]
        if batch.dtype == torch.uint8:
            return self._layer(batch).reshape(batch.shape)
        return batch.clone() if isinstance(numbers, slice) else batch

    def _places(self, numbers: Tensor | slice) -> np.ndarray | slice:
        """Return where in the source these rows lie; neighbours need not be gathered.

        A slice of a tensor would be no copy, and a module may write into its batch.
        """
        if isinstance(numbers, slice):
            in_a_row = self._whole and not isinstance(self._source, Tensor)
            return numbers if in_a_row else self._index[numbers]
        return self._index[numbers.cpu().numpy()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        parts = (self[part] for part in gen_batches(len(self), 8192))
        return np.concatenate([part.cpu().numpy() for part in parts])


class PairedRows(Dataset):
    """Two tables whose rows belong together; a batch is a pair of batches."""

    def __init__(self, first: Rows, second: Rows) -> None:
        self.first, self.second = first, second
        self.feature_names, self.device = first.feature_names, first.device
        self.groups = first.groups

    @property
    def on_device(self) -> bool:
        """Whether both tables lie on the device."""
        return self.first.on_device and self.second.on_device

    @property
    def shape(self) -> Shape:
        """The shape of the first table."""
        return self.first.shape

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batches of both tables."""
        return self.first[numbers], self.second[numbers]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.first)


class PartnerRows(Dataset):
    """Rows of one table that have a partner in it, each with one that is drawn anew.

    Parameters
    ----------
    rows : Rows
    partners : object
        ``partners.anchors`` are the numbers of the rows that have a partner,
        ``partners.draw(numbers, generator)`` are partners of rows.
    generator : torch.Generator
        On the device of the rows.
    """

    def __init__(self, rows: Rows, partners: Any, generator: torch.Generator) -> None:
        self.rows, self.partners, self.generator = rows, partners, generator
        self.feature_names, self.device = rows.feature_names, rows.device
        self.anchors: Tensor = partners.anchors
        self.groups = None if rows.groups is None else rows.groups[self.anchors]

    @property
    def on_device(self) -> bool:
        """Whether the table lies on the device."""
        return self.rows.on_device

    @property
    def shape(self) -> Shape:
        """Number of rows that have a partner, then the shape of one."""
        return (len(self), *self.rows.shape[1:])

    def __len__(self) -> int:
        return len(self.anchors)

    def __getitem__(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batches of rows and of their partners."""
        rows = self.anchors[numbers]
        return self.rows[rows], self.rows[self.partners.draw(rows, self.generator)]


AnyRows = Rows | PairedRows | PartnerRows


class _State(nn.Module):
    """The tensors that a view keeps, as buffers, so that they move and are saved with the model."""

    def __init__(self, state: dict[str, Tensor] | None, transient: Sequence[str]) -> None:
        super().__init__()
        for name, tensor in (state or {}).items():
            self.register_buffer(name, tensor, persistent=name not in transient)

    def tensors(self) -> dict[str, Tensor] | None:
        return dict(self.named_buffers()) or None

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            self._buffers.pop(name, None)


class PairModel(nn.Module):
    """Two encoders, two heads and a critic behind one view.

    Parameters
    ----------
    view : View
    state : dict of Tensor or None
        What the view's ``fit`` returned.
    scale, scale_pair : Scale or None
        First layers of the table and of the paired table; `Rows` applies them.
    encoder, encoder_y : Module, Module or None
        None: both views share the first.
    head, head_y : Module or None
        Used in training only.
    critic, negatives, objective : Module
    output : {"first", "second", "both", "with-columns", "averaged"}
        What ``transform`` gives.
    widths : tuple of int
        Widths of the codes of the two views.
    """

    def __init__(
        self,
        *,
        view: Any,
        state: dict[str, Tensor] | None,
        scale: Scale,
        scale_pair: Scale | None,
        encoder: nn.Module,
        encoder_y: nn.Module | None,
        head: nn.Module | None,
        head_y: nn.Module | None,
        critic: nn.Module,
        negatives: nn.Module,
        objective: nn.Module,
        output: str,
        widths: tuple[int, int],
    ) -> None:
        super().__init__()
        self.view, self.output, self.widths = view, output, widths
        self.scale, self.scale_pair = scale, scale_pair
        self.set_state(state)
        self.first_encoder, self.second_encoder = encoder, encoder_y
        self.first_head, self.second_head = head, head_y
        self.critic, self.negatives, self.objective = critic, negatives, objective
        self.autocast: torch.dtype | None = None
        # The cache of a CPU holds what convolutions make of one view, not of both; but what is
        # normalised over the batch is so over both views.
        self._is_cheaper_apart = self._has(nn.Conv2d) and not self._has(_BatchNorm)

    def _has(self, kind: type[nn.Module]) -> bool:
        return any(isinstance(module, kind) for module in self.modules())

    def set_state(self, state: dict[str, Tensor] | None) -> None:
        """Take what the view's ``fit`` returned."""
        self.state = _State(state, self.view.transient).to(self.scale.mean.device)

    def forget(self) -> None:
        """Drop what of the view's state only training needs."""
        self.state.drop(self.view.transient)

    @property
    def encoder(self) -> nn.Module:
        """Encoder of the first view."""
        return self.first_encoder

    @property
    def encoder_y(self) -> nn.Module:
        """Encoder of the second view; the first one where they share it."""
        return self.first_encoder if self.second_encoder is None else self.second_encoder

    def forward(
        self, x: Any, rows: Tensor, groups: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Return what training maximises, on a batch and the rows that negatives ask beyond it."""
        n_pairs = len(rows) - self.n_extra
        codes = self.codes(x, rows, generator, n_pairs)
        groups = None if groups is None else groups[:n_pairs]
        return self.objective(self.negatives(codes, rows[:n_pairs], groups))

    @property
    def n_extra(self) -> int:
        """Rows beyond the batch that training draws for their second view."""
        return self.negatives.n_extra  # type: ignore[return-value]

    def codes(
        self,
        x: Any,
        rows: Tensor | None,
        generator: torch.Generator,
        n_pairs: int | None = None,
    ) -> Codes:
        """Return the codes of both views of a batch; of the first view, those of the pairs."""
        first, second = self.view(x, rows, self.state.tensors(), generator)
        first = first[:n_pairs]
        with self._precision(first.device):
            z_x, z_y = self._encode_pair(first, second)
        return Codes(z_x.float(), z_y.float(), self.critic, x=first, x_prime=second)

    def _encode_pair(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        is_one_shape = self.second_encoder is None and first.shape[1:] == second.shape[1:]
        if is_one_shape and not (self._is_cheaper_apart and first.device.type == "cpu"):
            z = self._with_head(torch.cat([first, second]), self.encoder, self.first_head)
            return z[: len(first)], z[len(first) :]
        head_y = self.first_head if self.second_head is None else self.second_head
        return (
            self._with_head(first, self.encoder, self.first_head),
            self._with_head(second, self.encoder_y, head_y),
        )

    @staticmethod
    def _with_head(x: Tensor, encoder: nn.Module, head: nn.Module | None) -> Tensor:
        z = encoder(x)
        return z if head is None else head(z)

    def _precision(self, device: torch.device) -> Any:
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast)


class Order:
    """The order of the rows: an endless stream of batches of row numbers.

    Parameters
    ----------
    n_rows : int
    batch_size : int
        Each batch has exactly this many rows (a bound depends on the number), or all rows where
        there are fewer; the rest of a pass is left out, another rest in each pass.
    seed : int
        Of the generator that makes the permutation of each pass.
    rank, world_size : int
        This process takes every ``world_size``-th row, starting at ``rank``.
    n_extra : int
        Rows behind each batch, drawn independently of it from all rows.
    """

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        n_extra: int = 0,
    ) -> None:
        self.n_rows, self.rank, self.world_size = n_rows, rank, world_size
        self.n_extra = n_extra
        self.batch_size = min(batch_size, n_rows // world_size)
        self.steps_a_pass = n_rows // world_size // self.batch_size
        self.steps_left = 0
        self._generator = torch.Generator().manual_seed(seed)
        self._permutation, self._place = torch.empty(0, dtype=torch.long), self.steps_a_pass

    def allow(self, steps: int) -> int:
        """Hand out so many batches from now on; return how many passes they lie in."""
        self.steps_left = steps
        begun = self._place % self.steps_a_pass
        return -(-(begun + steps) // self.steps_a_pass)

    def rest_of_pass(self) -> Iterator[Tensor]:
        """Yield batches to the end of the pass, or until no step is left."""
        if self._place == self.steps_a_pass:
            order = torch.randperm(self.n_rows, generator=self._generator)
            self._permutation, self._place = order[self.rank :: self.world_size], 0
        while self._place < self.steps_a_pass and self.steps_left:
            start = self._place * self.batch_size
            self._place, self.steps_left = self._place + 1, self.steps_left - 1
            batch = self._permutation[start : start + self.batch_size]
            yield torch.cat([batch, self._extra()]) if self.n_extra else batch

    def _extra(self) -> Tensor:
        return torch.randint(self.n_rows, (self.n_extra,), generator=self._generator)

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is."""
        return {
            "generator": self._generator.get_state(),
            "permutation": self._permutation,
            "place": self._place,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where a stream was."""
        self._generator.set_state(state["generator"])
        self._permutation, self._place = state["permutation"], state["place"]


class Batches:
    """Batches of rows for skorch; slices tensors instead of collating rows.

    Parameters
    ----------
    dataset : Rows, PairedRows or PartnerRows
    batch_size : int
        Ignored: the order has its own.
    order : Order
    """

    def __init__(self, dataset: AnyRows, batch_size: int, order: Order) -> None:
        self.dataset, self.order = dataset, order

    def __iter__(self) -> Iterator[tuple[Any, Tensor, Tensor | None]]:
        batches, dataset = self._on_device(), self.dataset
        # Partners are drawn from the view's generator, whose draws must keep their order.
        draws = isinstance(dataset, PartnerRows)
        if dataset.on_device or dataset.device.type != "cuda" or draws:
            yield from batches
            return
        # What does not lie on the GPU is converted and copied while the step before is computed.
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = ahead.submit(next, batches, None)
                yield batch

    def _on_device(self) -> Iterator[tuple[Any, Tensor, Tensor | None]]:
        for numbers in self.order.rest_of_pass():
            yield self.batch(numbers.to(self.dataset.device))

    def batch(self, rows: Tensor) -> tuple[Any, Tensor, Tensor | None]:
        """Return what the module takes for these row numbers on the device."""
        groups = self.dataset.groups
        return self.dataset[rows], rows, None if groups is None else groups[rows]


class Negated(nn.Module):
    """The one place where what is maximised becomes a loss."""

    def forward(self, maximised: Tensor) -> Tensor:
        """Return the loss."""
        return -maximised


class Progress(Callback):
    """A progress bar over steps that shows the bound in nats."""

    def __init__(self, total: int, name: str) -> None:
        self.total, self.name = total, name

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=self.total, unit="step")

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Move the bar by one pass."""
        row = net.history[-1]
        held_out = f", held-out InfoNCE {row['valid_bound']:.3f}" if "valid_bound" in row else ""
        text = f"{self.name} {row['train_bound']:.3f}{held_out} nats"
        self.bar_.set_postfix_str(text, refresh=False)
        self.bar_.update(row["steps"])

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()


class MINet(NeuralNet):
    """The skorch net: its history, callbacks and optimiser, without its per-row and per-step costs.

    Parameters
    ----------
    module : PairModel
    order : Order
    view_generator : torch.Generator
        Source of the view's draws, on the device.
    randomness : own_randomness or None
        Stream for modules that draw from torch's global generators (dropout); None: there are
        none.
    scheduler : callable or None
        Makes a learning-rate schedule from the optimiser; it moves after every step.
    monitor : callable or None
        ``monitor(module)`` is recorded as ``valid_bound`` after every pass.
    **kwargs
        Parameters of ``skorch.NeuralNet``.
    """

    def __init__(
        self,
        module: PairModel,
        *,
        order: Order,
        view_generator: torch.Generator,
        randomness: own_randomness | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        monitor: Callable[[PairModel], float] | None = None,
        **kwargs: Any,
    ) -> None:
        self.order, self.view_generator, self.randomness = order, view_generator, randomness
        self.scheduler, self.monitor = scheduler, monitor
        fixed: dict[str, Any] = {
            "criterion": Negated,
            "iterator_train": Batches,
            "iterator_train__order": order,
            "train_split": None,
            "verbose": 0,
        }
        super().__init__(module, **{**fixed, **kwargs})

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    @property
    def model(self) -> PairModel:
        """The module that is trained, by its own type."""
        return self.module_  # type: ignore[return-value]

    def take_history(self, records: list[dict[str, Any]]) -> None:
        """Go on with the records of an earlier net."""
        self.history = History(records)

    def training_state(self) -> dict[str, Any]:
        """Return all that later steps depend on: weights, optimiser, generators, place."""
        return {
            "weights": self.module_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "order": self.order.state_dict(),
            "view_generator": self.view_generator.get_state(),
            "randomness": None if self.randomness is None else self.randomness.states,
            "scheduler": None if self.scheduler is None else self.scheduler_.state_dict(),
            "steps": self.steps_,
            "history": list(self.history),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on as the net would have that gave this state, bit for bit on a CPU."""
        self.module_.load_state_dict(state["weights"])
        self.optimizer_.load_state_dict(state["optimizer"])
        self.order.load_state_dict(state["order"])
        self.view_generator.set_state(state["view_generator"])
        if self.randomness is not None:
            self.randomness.states = state["randomness"]
        if self.scheduler is not None:
            self.scheduler_.load_state_dict(state["scheduler"])
        self.steps_ = state["steps"]
        self.take_history(state["history"])
        self._keep_finite()

    def _listens(self, hook: str) -> bool:
        """Tell whether a callback has written this hook; nobody else is called each step."""
        return any(
            getattr(type(cb), hook) is not getattr(Callback, hook) for _, cb in self.callbacks_
        )

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take one step of the optimiser on one batch."""
        maximised, loss = self._backward(batch)
        if self._listens("on_grad_computed"):
            named = list(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
        self.optimizer_.step()
        if self.scheduler is not None:
            self.scheduler_.step()
        return {"loss": loss, "y_pred": maximised}

    def _backward(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return what is maximised and the loss, after its gradients were computed."""
        self.optimizer_.zero_grad(set_to_none=True)
        maximised = self.module_(*batch, self.view_generator)
        loss = self.criterion_(maximised)
        loss.backward()
        return maximised, loss

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **fit_params: Any
    ) -> None:
        """Pass once over the rows; losses are read every hundred steps, not every step."""
        if iterator is None:
            return
        with self.randomness or nullcontext():
            self._set_training(True)
            maximised = self._run_batches(iterator, step_fn)
        self.history.record("steps", len(maximised))
        self.history.record("train_bound", float(np.mean(maximised)))
        self.history.record("train_loss", -float(np.mean(maximised)))
        if self.monitor is not None:
            self.history.record("valid_bound", self.monitor(self.model))

    def _run_batches(self, iterator: Any, step_fn: Callable) -> list[float]:
        if self._may_record(iterator):
            return self._replay_batches(iterator, step_fn)
        hooked = self._listens("on_batch_begin") or self._listens("on_batch_end")
        losses, read = [], []
        for batch in iterator:
            if hooked:
                self.notify("on_batch_begin", batch=batch, training=True)
            step = step_fn(batch)
            losses.append(step["loss"].detach())
            if hooked:
                self.history.record_batch("train_loss", losses[-1].item())
                self.notify("on_batch_end", batch=batch, training=True, **step)
            if len(losses) == CHECK_EVERY:
                read += self._read(losses)
                losses = []
        return read + self._read(losses)

    def _may_record(self, batches: Any) -> bool:
        """Tell whether steps may be recorded and replayed: on a GPU, and nobody looks into them."""
        hooks = ("on_batch_begin", "on_batch_end", "on_grad_computed")
        return (
            self.recorded_ is not None
            and isinstance(batches, Batches)
            and batches.dataset.device.type == "cuda"
            and batches.dataset.on_device
            and not any(self._listens(hook) for hook in hooks)
            # The graph would hold the momentum of one step.
            and not getattr(getattr(self, "scheduler_", None), "cycle_momentum", False)
        )

    def _replay_batches(self, batches: Batches, step_fn: Callable) -> list[float]:
        numbers, read = batches.order.rest_of_pass(), []
        if self.recorded_ is False and batches.order.steps_left >= WORTH_RECORDING:
            first = next(numbers).to(batches.dataset.device)
            read += self._read([step_fn(batches.batch(first))["loss"].detach()])
            self._record(batches, first)
        while some := list(islice(numbers, CHECK_EVERY)):
            read += self._read(self._take(batches, some, step_fn))
        return read

    def _take(self, batches: Batches, numbers: list[Tensor], step_fn: Callable) -> Sequence[Tensor]:
        """Take a step on each set of row numbers: replayed, or one by one."""
        if isinstance(self.recorded_, RecordedStep):
            return self.recorded_(numbers, [self._next_rates() for _ in numbers]).unbind()
        device = batches.dataset.device
        return [step_fn(batches.batch(rows.to(device)))["loss"].detach() for rows in numbers]

    def _next_rates(self) -> list[float]:
        """Return the learning rates of a step, and move the schedule on."""
        rates = [group["lr"] for group in self.optimizer_.param_groups]
        if self.scheduler is not None:
            self.scheduler_.step()
        return rates

    def _record(self, batches: Batches, example: Tensor) -> None:
        """Record the step as a CUDA graph, or say why it goes on without one."""

        def step(numbers: Tensor) -> Tensor:
            _, loss = self._backward(batches.batch(numbers))
            self.optimizer_.step()
            return loss

        generators = [self.view_generator]
        if self.randomness is not None:
            generators.append(torch.cuda.default_generators[example.device.index or 0])
        try:
            self.recorded_ = RecordedStep(
                step,
                self.optimizer_,
                list(self._weights().values()),
                generators,
                example,
                at_once=CHECK_EVERY,
                scheduled=self.scheduler is not None,
            )
        except CannotRecordError as reason:
            self.recorded_ = None
            warnings.warn(
                f"Training goes on step by step, since a step cannot be recorded as a CUDA graph: "
                f"{reason}",
                MIWarning,
                stacklevel=2,
            )

    def _read(self, losses: Sequence[Tensor]) -> list[float]:
        """Read the losses of some steps; raise and restore weights if one is not finite."""
        if not losses:
            return []
        values = -torch.stack(list(losses)).double().cpu().numpy()
        self.steps_ += len(values)
        self._since_copy += len(values)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            self.module_.load_state_dict(self._finite, strict=False)
            self._complain(self.steps_ - len(values) + int(wrong[0]) + 1, float(values[wrong[0]]))
        if self._since_copy >= CHECK_EVERY:
            self._keep_finite()
        return values.tolist()

    def _keep_finite(self) -> None:
        weights = self._weights()
        if bool(torch.stack([torch.isfinite(w).all() for w in weights.values()]).all()):
            self._finite = {name: w.detach().clone() for name, w in weights.items()}
            self._finite_step, self._since_copy = self.steps_, 0

    def _weights(self) -> dict[str, Tensor]:
        """Everything that training changes; not the rows that a view keeps."""
        fixed = ("state.", "scale.", "scale_pair.")
        return {k: w for k, w in self.module_.state_dict().items() if not k.startswith(fixed)}

    def _complain(self, step: int, value: float) -> None:
        raise NonFiniteLossError(
            f"The objective became {value} at step {step}; training stopped and the weights of "
            f"step {self._finite_step} were kept. Lower lr={self.lr}, choose an objective of less "
            "variance ('infonce' or 'js' instead of 'nwj'), or look for extreme values in X."
        )

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> MINet:
        """Make the optimiser, its schedule, and the first copy of the weights."""
        super().initialize_optimizer(triggered_directly)
        if self.scheduler is not None:
            self.scheduler_ = self.scheduler(self.optimizer_)
        self.steps_, self._since_copy = 0, 0
        # False: not yet; None: it cannot be done.
        self.recorded_: RecordedStep | bool | None = False
        self._keep_finite()
        return self


def check_callbacks(callbacks: Any) -> None:
    """Raise a TypeError unless these are skorch callbacks, alone or as (name, callback)."""
    plain = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    for item in plain if callbacks is not None else ():
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if not isinstance(callback, Callback) and not (
            isinstance(callback, type) and issubclass(callback, Callback)
        ):
            raise TypeError(
                f"callbacks={callbacks!r}; expected a list of skorch callbacks, "
                "alone or as (name, callback)."
            )


def stop_early(patience: int) -> EarlyStopping:
    """Return the callback that ends training, and takes the best weights, by the held-out bound."""
    return EarlyStopping(
        "valid_bound",
        patience=patience,
        threshold=0.0,
        lower_is_better=False,
        load_best=True,
        sink=lambda text: None,
    )


def train(net: MINet, rows: AnyRows, steps: int) -> None:
    """Take some steps; an interrupt by the user is raised again after the callbacks' end.

    skorch swallows ``KeyboardInterrupt``, which its early stopping uses as a signal: a grid search
    would go on with the cut fit.
    """
    net.notify("on_train_begin", X=rows, y=None)
    try:
        net.fit_loop(rows, epochs=net.order.allow(steps))
    except KeyboardInterrupt:
        stoppers = [cb for _, cb in net.callbacks_ if isinstance(cb, EarlyStopping)]
        if not any(cb.misses_ == cb.patience for cb in stoppers):
            raise
    finally:
        # The graph belongs to these rows, and holds the memory of a whole step.
        net.recorded_ = net.recorded_ and False
        net.notify("on_train_end", X=rows, y=None)


class Resumable(Protocol):
    """A training that can be written down and taken up again."""

    @property
    def device(self) -> Any:
        """Return where its tensors lie."""
        ...

    def training_state(self) -> dict[str, Any]:
        """Return all that later steps depend on."""
        ...

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Go on from that state."""
        ...


def save_checkpoint(net: Resumable, path: str | os.PathLike, step: int) -> None:
    """Write all that later steps depend on, whole or not at all."""
    temporary = f"{os.fspath(path)}.part"
    torch.save({"stop": step, **net.training_state()}, temporary)
    os.replace(temporary, path)


def load_checkpoint(net: Resumable, path: str | os.PathLike | None) -> int:
    """Go on from a checkpoint where it is there; return the stop that it belongs to, or -1."""
    if path is None or not os.path.exists(path):
        return -1
    state = torch.load(path, weights_only=True, map_location=net.device)
    net.load_training_state(state)
    return state["stop"]


@contextmanager
def enough_memory(cure: str) -> Iterator[None]:
    """Turn a GPU that is out of memory into an error that names the cure."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"The GPU is out of memory: {cure}.") from error


def encode(
    rows: Rows, module: Callable[[Tensor], Tensor], block: int | None = None
) -> Iterator[Tensor]:
    """Yield the codes of all rows, block by block, without gradients.

    The last block is filled up with zeros: float32 sums depend on the size of the block, and a
    row's code must not depend on how many others are encoded with it. A GPU takes large blocks,
    and smaller ones once it is out of memory.
    """
    block = block or _block_size(rows)
    start = 0
    with torch.inference_mode():
        while start < len(rows):
            try:
                codes = _encode_block(rows, module, start, block)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                if block == 1:
                    with enough_memory("one row is too much; use device='cpu'"):
                        raise
                block //= 2
                continue
            yield codes
            start += block


def _block_size(rows: Rows) -> int:
    numbers = math.prod(rows.shape[1:])
    if rows.device.type != "cuda":
        fitting = 1 << max(0, (NUMBERS_IN_CACHE // numbers).bit_length() - 1)
        return min(ENCODE_BLOCK, max(LEAST_BLOCK, fitting)) if len(rows.shape) > 2 else ENCODE_BLOCK
    n_blocks = NUMBERS_ON_GPU // (ENCODE_BLOCK * numbers)
    return ENCODE_BLOCK * min(64, max(1, n_blocks))


def _encode_block(rows: Rows, module: Callable[[Tensor], Tensor], start: int, block: int) -> Tensor:
    x = rows[start : start + block]
    missing = block - len(x)
    padded = torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x
    return module(padded)[: len(x)]
