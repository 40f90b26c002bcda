"""The skorch net that maximises: the only place where a maximised quantity becomes a loss."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from itertools import islice
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PassthroughScoring
from skorch.callbacks import LRScheduler as RateCallback
from skorch.history import History
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR

from sklearn_mi._base import MIWarning
from sklearn_mi.model import PairModel, global_stream
from sklearn_mi.processes import ALONE, Team
from sklearn_mi.rows import AnyOrder, AnyRows, Batch, Batches, HeldOutBatches, StreamOrder
from sklearn_mi.runtime import own_randomness
from sklearn_mi.training.keeping import Keeper
from sklearn_mi.training.recorded import CannotRecordError, RecordedStep
from sklearn_mi.training.resuming import load_state, resume_callbacks, state_of

__all__ = ["MINet", "NonFiniteLossError", "train"]

# Steps between two looks at the losses.
CHECK_EVERY = 100

# Recording a step as a CUDA graph costs about as much as so many steps: shorter trainings do not
# record. The tests lower it by the environment variable RECORD_FROM.
WORTH_RECORDING = 50

HELD_OUT_SEED = 0


class NonFiniteLossError(FloatingPointError, ValueError):
    """The loss became NaN or infinite; the learner keeps the last finite weights."""


def _warn_of_untrained(model: PairModel) -> None:
    """Tell of weights that a comparison of feature maps does not train."""
    for part, names in model.untrained().items():
        warnings.warn(
            f"comparison={model.recipe.comparison!r} does not train {len(names)} weights of "
            f"{part}, such as {names[0]!r}: what they compute stays random. Compare a layer behind "
            "them, leave them out or, with two encoders, take a comparison with both_views=True.",
            MIWarning,
            stacklevel=2,
        )


class Negated(nn.Module):
    """Turn the maximised quantity into a loss; nothing else does."""

    def forward(self, maximised: Tensor) -> Tensor:
        """Return the loss."""
        return -maximised


def _split_off(held_out: AnyRows) -> Any:
    from skorch.helper import predefined_split  # here, as it loads skorch's command line

    return predefined_split(held_out)


class MINet(NeuralNet):
    """Train by skorch: its history, callbacks and optimiser without its costs per row and step.

    Parameters
    ----------
    module : PairModel
    order : Order, WindowOrder or StreamOrder
    view_generator : torch.Generator
        Source of the view's draws, on the device.
    randomness : own_randomness or None
        Stream for modules that draw from torch's global generators (dropout); None if no module
        does.
    scheduler : callable or None
        Makes a learning-rate schedule from the optimiser; the schedule moves after every step.
    monitor : callable or None
        ``monitor(module)`` is recorded as ``valid_bound`` after every pass.
    held_out : Rows, PairedRows, PartnerRows or None
        Rows for skorch's validation: their loss is recorded as ``valid_loss`` after every pass.
    small_steps : int, default=0
        Steps, from the first, that see images at half of their size.
    team : Team
        The processes that train together. Then no step is recorded on a GPU.
    in_full : bool
        Also record what skorch's callbacks read: whether a loss is the smallest so far, the number
        of batches, and the loss and size of the last batch.
    **kwargs
        Parameters of ``skorch.NeuralNet``.
    """

    scheduler_: LRScheduler | None
    # The step as a CUDA graph, if there is one, and whether there can be one.
    recorded_: RecordedStep | None
    can_record_: bool
    # What averages gradients over processes, while they train.
    through_: Callable[..., Tensor] | None
    # The learner's transform, while it trains.
    encode_: Callable[[Any], Any] | None
    # What the pass that is running has maximised so far; None between two passes.
    losses_: list[float] | None
    # The state that training resumes from, until it has begun.
    resumed_: dict[str, Any] | None
    # Whether training is over, such as by early stopping.
    is_finished_: bool
    # Writes checkpoints, if there is one.
    keeper: Keeper | None

    def __init__(
        self,
        module: PairModel,
        *,
        order: AnyOrder,
        view_generator: torch.Generator,
        randomness: own_randomness | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        monitor: Callable[[PairModel], float] | None = None,
        held_out: AnyRows | None = None,
        small_steps: int = 0,
        team: Team = ALONE,
        in_full: bool = False,
        **kwargs: Any,
    ) -> None:
        self.order, self.view_generator, self.randomness = order, view_generator, randomness
        self.scheduler, self.monitor, self.in_full = scheduler, monitor, in_full
        self.small_steps, self.team, self.keeper = small_steps, team, None
        fixed: dict[str, Any] = {
            "criterion": Negated,
            "batch_size": order.batch_size,
            "iterator_train": Batches,
            "iterator_train__order": order,
            "iterator_train__share": None if team.is_alone else self._share_of,
            # Those that a pass leaves out counted in: skorch's ProgressBar divides by it.
            "iterator_train__batch_size": order.n_rows / order.steps_a_pass * (1 + 1e-12),
            "iterator_valid": HeldOutBatches,
            "iterator_valid__seed": HELD_OUT_SEED,
            "train_split": None if held_out is None else _split_off(held_out),
            "verbose": 0,
        }
        super().__init__(module, **{**fixed, **kwargs})

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    def _share_of(self, rows: Tensor) -> Tensor:
        return self.team.own(rows, len(rows) - self.order.n_extra)

    @property
    def model(self) -> PairModel:
        """The trained module, by its own type."""
        return self.module_  # type: ignore[return-value]

    @property
    def steps_before_pass(self) -> int:
        """Return the steps before the pass that begins, or that a checkpoint was written in."""
        losses = None if self.resumed_ is None else self.resumed_["losses"]
        return self.steps_ - len(losses or ())

    def take_history(self, records: list[dict[str, Any]]) -> None:
        """Continue the records of an earlier net."""
        self.history = History(records)

    def take_optimizer(self, earlier: MINet) -> None:
        """Continue with the moments of an earlier net if its optimiser is of the same class.

        The rates come from the current parameters, unless a skorch callback schedules them; then
        they continue, too.
        """
        if type(self.optimizer_) is not type(earlier.optimizer_):
            return
        weights = zip(self.module_.parameters(), earlier.module_.parameters(), strict=True)
        for weight, known in weights:
            if known in earlier.optimizer_.state:
                # Copies, so an error leaves the earlier net unchanged.
                self.optimizer_.state[weight] = copy.deepcopy(earlier.optimizer_.state[known])
        if not any(isinstance(cb, RateCallback) for _, cb in self.callbacks_):
            return
        groups = zip(self.optimizer_.param_groups, earlier.optimizer_.param_groups, strict=True)
        for group, known in groups:
            # Torch's schedulers need the initial rate when training resumes.
            group.update(lr=known["lr"], initial_lr=known.get("initial_lr", known["lr"]))

    def forget(self) -> None:
        """Drop the rows and everything else that only training needs."""
        self.monitor = self.train_split = self.encode_ = self.keeper = None
        if isinstance(self.order, StreamOrder):
            self.order.close()
        self.model.drop_transient_state()

    @property
    def writes_files(self) -> bool:
        """Whether this process writes: it is alone, or the first of several."""
        return not self.team.rank

    def training_state(self) -> dict[str, Any]:
        """Return all that later steps depend on: weights, optimiser, generators, position."""
        return state_of(self)

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Resume exactly where the net of this state stopped, bit for bit on a CPU."""
        load_state(self, state)
        self._keep_finite()

    def _listens(self, hook: str) -> bool:
        """Return whether a callback defines this hook; only such callbacks run in each step."""
        return any(
            getattr(type(cb), hook) is not getattr(Callback, hook) for _, cb in self.callbacks_
        )

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Look up the smallest losses so far."""
        self.least_ = {
            name: min(
                (row[name] for row in self.history if _is_number(row, name)), default=math.inf
            )
            for name in ("train_loss", "valid_loss")
        }

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Look between two passes whether a checkpoint is due."""
        if self.resumed_ is not None and self.resumed_["losses"] is None:
            resume_callbacks(self)
        self._keep_if_due()
        super().on_epoch_begin(net, *args, **kwargs)

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Take one step of the optimiser on one batch."""
        maximised, loss = self._backward(batch)
        if self.steps_ == 0 and any(self.model.paths):
            _warn_of_untrained(self.model)
        if self._listens("on_grad_computed"):
            named = list(self.get_all_learnable_params())
            shown = _as_skorch_has_it(batch)
            self.notify("on_grad_computed", named_parameters=named, batch=shown, training=True)
        self.optimizer_.step()
        if self.scheduler_ is not None:
            self.scheduler_.step()
        return {"loss": self.team.mean(loss.detach()), "y_pred": maximised.detach()}

    def _backward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute gradients; return the maximised value and the loss."""
        self.optimizer_.zero_grad(set_to_none=True)
        through = self.through_ or self.module_
        maximised = through(*batch, self.view_generator)
        loss = self.criterion_(maximised)
        loss.backward()
        return maximised, loss

    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Return the loss of held-out rows; nothing learns from them."""
        x, _, groups = batch
        with torch.no_grad():
            codes = self.model.codes(x, None, self.held_out_generator_)
            codes = self.model.marked(codes, None, groups)
            maximised = self.model.maximised(codes, None)
        return {"loss": self.criterion_(maximised), "y_pred": maximised}

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **fit_params: Any
    ) -> None:
        """Pass once over the rows, reading losses every hundred steps only."""
        if iterator is None:
            return
        if not training:
            self._run_held_out(iterator, step_fn)
            return
        with self.randomness or nullcontext():
            self._set_training(True)
            self.losses_ = self._losses_so_far()
            self._run_batches(iterator, step_fn)
        maximised, self.losses_ = self.losses_, None
        self.history.record("steps", len(maximised))
        self.history.record("train_bound", float(np.mean(maximised)))
        last = -maximised[-1], self.order.batch_size
        self._record_loss("train", -float(np.mean(maximised)), len(maximised), last)
        if self.monitor is not None:
            self.history.record("valid_bound", self.team.agreed(self.monitor(self.model)))

    def _record_loss(
        self, prefix: str, loss: float, n_batches: int, last: tuple[float, int]
    ) -> None:
        """Record the loss of a pass and what skorch's callbacks read."""
        name = f"{prefix}_loss"
        self.history.record(name, loss)
        if not self.in_full:
            return
        is_best = loss < self.least_[name]
        if is_best:
            self.least_[name] = loss
        self.history.record(f"{name}_best", is_best)
        self.history.record(f"{prefix}_batch_count", n_batches)
        if not self._looks_into_batches():
            self.history.new_batch()
            self._record_batch(prefix, *last)

    def _record_batch(self, prefix: str, loss: float, size: int) -> None:
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", size)

    def _looks_into_batches(self) -> bool:
        reads = any(isinstance(cb, PassthroughScoring) for _, cb in self.callbacks_)
        return reads or self._listens("on_batch_begin") or self._listens("on_batch_end")

    def _losses_so_far(self) -> list[float]:
        """Return what the beginning of this pass has maximised, if the net resumes in it."""
        if self.resumed_ is None:
            return []
        losses, batches = self.resumed_["losses"], self.resumed_["batches"]
        resume_callbacks(self)
        record: Any = self.history[-1]
        record["batches"].extend(batches)
        return losses

    def _run_batches(self, iterator: Any, step_fn: Callable) -> None:
        if self._may_record(iterator):
            self._replay_batches(iterator, step_fn)
            return
        hooked, losses = self._looks_into_batches(), []
        for batch in iterator:
            self.model.half_size = self.steps_ + len(losses) < self.small_steps
            step = self._step(batch, step_fn, "train", hooked)
            losses.append(step["loss"])
            if len(losses) == CHECK_EVERY or self._is_due(len(losses)):
                self._read(losses)
                losses = []
                self._keep_if_due()
        # A pass that is replayed next would not look.
        self.model.half_size = False
        self._read(losses)

    def _is_due(self, n_unread: int = 0) -> bool:
        """Return whether to write a checkpoint now; after a pass it waits for the record of it."""
        if self.keeper is None or not self.keeper.is_due(self.steps_ + n_unread):
            return False
        return self.losses_ is None or not self.order.pass_is_over

    def _keep_if_due(self) -> None:
        if self.keeper is not None and self._is_due():
            self.keeper.keep(self, self.steps_)

    def _step(self, batch: Batch, step_fn: Callable, prefix: str, hooked: bool) -> dict[str, Any]:
        """Take a step on a batch; call the callbacks that look into batches."""
        if not hooked:
            return step_fn(batch)
        shown, training = _as_skorch_has_it(batch), prefix == "train"
        self.notify("on_batch_begin", batch=shown, training=training)
        step = step_fn(batch)
        size = self.order.batch_size if training else len(batch[1])
        self._record_batch(prefix, step["loss"].item(), size)
        self.notify("on_batch_end", batch=shown, training=training, **step)
        return step

    def _run_held_out(self, batches: HeldOutBatches, step_fn: Callable) -> None:
        """Record the loss of held-out rows, with the same draws after every pass."""
        self._set_training(False)
        hooked, losses, sizes = self._looks_into_batches(), [], []
        self.held_out_generator_ = torch.Generator(self.device).manual_seed(HELD_OUT_SEED)
        with global_stream(self.model, HELD_OUT_SEED, self.device) or nullcontext():
            for batch in batches:
                losses.append(self._step(batch, step_fn, "valid", hooked)["loss"])
                sizes.append(len(batch[1]))
        values = torch.stack(losses).double().tolist()
        loss = self.team.agreed(float(np.average(values, weights=sizes)))
        self._record_loss("valid", loss, len(values), (values[-1], sizes[-1]))

    def _may_record(self, batches: Any) -> bool:
        """Return whether steps may be recorded: on a GPU, without callbacks that look into them."""
        return (
            self.can_record_
            and self.team.is_alone
            # How many rows a pair of tables has changes from batch to batch.
            and not self.model.lacks
            # The graph would hold the size of its images.
            and self.steps_ >= self.small_steps
            and isinstance(batches, Batches)
            and batches.dataset.device.type == "cuda"
            and batches.dataset.on_device
            and not self._looks_into_batches()
            and not self._listens("on_grad_computed")
            # The graph would hold the momentum of one step.
            and not self._cycles_momentum()
        )

    def _cycles_momentum(self) -> bool:
        return isinstance(self.scheduler_, CyclicLR | OneCycleLR) and self.scheduler_.cycle_momentum

    def _replay_batches(self, batches: Batches, step_fn: Callable) -> None:
        # Rows that are on the device have an order of numbers.
        numbers: Any = batches.order.rest_of_pass()
        if self.recorded_ is not None and self._held_fixed() != self.fixed_:
            self.recorded_ = None
        is_new = self.can_record_ and self.recorded_ is None
        if is_new and batches.order.steps_left >= WORTH_RECORDING:
            first = next(numbers).to(batches.dataset.device)
            self._read([step_fn(batches.batch(first))["loss"]])
            self._record(batches, first)
        while some := list(islice(numbers, self._steps_at_once())):
            self._read(self._take(batches, some, step_fn))
            self._keep_if_due()

    def _steps_at_once(self) -> int:
        if self.keeper is None:
            return CHECK_EVERY
        return self.keeper.steps_until_due(self.steps_, CHECK_EVERY)

    def _held_fixed(self) -> list[Any]:
        """Return what a recorded step fixes although a callback may change it between passes."""
        free = {"params", "lr"} if self.scheduler is not None else {"params"}
        groups: list[dict[str, Any]] = self.optimizer_.param_groups
        settings = [{k: v for k, v in group.items() if k not in free} for group in groups]
        return [settings, [weight.requires_grad for weight in self.module_.parameters()]]

    def _take(self, batches: Batches, numbers: list[Tensor], step_fn: Callable) -> Sequence[Tensor]:
        """Take a step on each set of row numbers: replayed, or one by one."""
        if self.recorded_ is not None:
            return self.recorded_(numbers, [self._next_rates() for _ in numbers]).unbind()
        device = batches.dataset.device
        return [step_fn(batches.batch(rows.to(device)))["loss"] for rows in numbers]

    def _next_rates(self) -> list[float]:
        """Return the learning rates of a step and advance the schedule."""
        rates = [group["lr"] for group in self.optimizer_.param_groups]
        if self.scheduler_ is not None:
            self.scheduler_.step()
        return rates

    def _record(self, batches: Batches, example: Tensor) -> None:
        """Record the step as a CUDA graph, or say why training continues without one."""

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
                list(self.changing_weights().values()),
                generators,
                example,
                at_once=CHECK_EVERY,
                scheduled=self.scheduler is not None,
            )
            self.fixed_ = self._held_fixed()
        except CannotRecordError as reason:
            self.can_record_ = False
            warnings.warn(
                f"Training goes on step by step, since a step cannot be recorded as a CUDA graph: "
                f"{reason}",
                MIWarning,
                stacklevel=2,
            )

    def _read(self, losses: Sequence[Tensor]) -> None:
        """Read the losses of some steps; raise and restore weights if one is not finite."""
        if not losses:
            return
        values = -torch.stack(list(losses)).double().cpu().numpy()
        self.steps_ += len(values)
        self._since_copy += len(values)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            self.module_.load_state_dict(self._finite, strict=False)
            self._complain(self.steps_ - len(values) + int(wrong[0]) + 1, float(values[wrong[0]]))
        if self._since_copy >= CHECK_EVERY:
            self._keep_finite()
        if self.losses_ is not None:
            self.losses_ += values.tolist()

    def _keep_finite(self) -> None:
        weights = self.changing_weights()
        if bool(torch.stack([torch.isfinite(w).all() for w in weights.values()]).all()):
            self._finite = {name: w.detach().clone() for name, w in weights.items()}
            self._finite_step, self._since_copy = self.steps_, 0

    def changing_weights(self) -> dict[str, Tensor]:
        """Return everything that training changes; not the rows that a view keeps."""
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
        self.scheduler_ = None if self.scheduler is None else self.scheduler(self.optimizer_)
        self.steps_, self._since_copy = 0, 0
        self.losses_, self.resumed_, self.is_finished_ = None, None, False
        self.can_record_, self.recorded_, self.through_ = True, None, None
        self._keep_finite()
        return self


def _is_number(row: dict[str, Any], name: str) -> bool:
    return not math.isnan(row.get(name, math.nan))


def _as_skorch_has_it(batch: Batch) -> tuple[Any, None]:
    """Return a batch as skorch's callbacks unpack it: ``X, y``."""
    return batch[0], None


def train(net: MINet, rows: AnyRows, steps: int) -> None:
    """Take some steps; raise an interrupt by the user again once the callbacks have ended.

    skorch swallows ``KeyboardInterrupt``, its signal for early stopping, so a grid search would
    continue with the interrupted fit. A net that resumes from the end of its training takes none.
    """
    if net.is_finished_:
        return
    _begin(net, rows)
    try:
        net.fit_loop(rows, epochs=net.order.allow(steps))
    except BaseException as error:
        if not (isinstance(error, KeyboardInterrupt) and _is_stopped(net)):
            net.team.fail(error)
            # A Checkpoint with nothing written yet must not hide why training ended.
            with suppress(FileNotFoundError):
                _end(net, rows)
            raise
    _end(net, rows)
    if net.keeper is not None:
        net.is_finished_ = True
        net.keeper.finish(net, net.steps_)


def _is_stopped(net: MINet) -> bool:
    stoppers = [cb for _, cb in net.callbacks_ if isinstance(cb, EarlyStopping)]
    return any(cb.misses_ == cb.patience for cb in stoppers)


def _end(net: MINet, rows: AnyRows) -> None:
    # The graph belongs to these rows, and holds the memory of a whole step.
    net.recorded_ = net.through_ = None
    net.team.share_statistics(net.model)
    net.notify("on_train_end", X=rows, y=None)


def _parallel(model: PairModel, team: Team) -> Callable[..., Tensor]:
    """Return the model as a function whose gradients are means over processes.

    Its processes began with equal weights, and only weights change alike: a view's rows are never
    sent. All steps use the same weights, unless rows lack tables.
    """
    names = inspect.signature(DistributedDataParallel).parameters
    # By the name of newer releases of torch.
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    graph = "find_unused_parameters" if model.lacks else "static_graph"
    how: dict[str, Any] = {buffers: False, graph: True}
    if "init_sync" in names:
        how["init_sync"] = False
    # skorch would take the module itself for a part of the net.
    return team.parallel(model, **how).__call__


def _begin(net: MINet, rows: AnyRows) -> None:
    """Notify the callbacks; resumed training keeps its learning rates."""
    net.through_ = None if net.team.is_alone else _parallel(net.model, net.team)
    groups = net.optimizer_.param_groups
    rates = [group["lr"] for group in groups]
    net.notify("on_train_begin", X=rows, y=None)
    if not net.history:
        return
    # A scheduler of torch takes a step when it is made, and skorch makes one at each beginning.
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
    for _, callback in net.callbacks_:
        if isinstance(callback, RateCallback):
            scheduler: Any = callback.lr_scheduler_
            scheduler.load_state_dict({**scheduler.state_dict(), "_last_lr": rates})
