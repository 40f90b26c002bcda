"""Fine-tuning: training goes on through the encoder, by labels and by the objective together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LinearLR

from sklearn_mi._base import Component, a_number, positive_integer
from sklearn_mi.encoding import encode
from sklearn_mi.model import PairModel
from sklearn_mi.rows import AnyOrder, AnyRows, Batch, Batches, Order, Rows
from sklearn_mi.training.net import NonFiniteLossError

__all__ = ["FineTuning", "fine_tune"]

HEAD_LR = 1e-2
# Of the head, relative to the loss; as little as logistic regression's on a hundred rows.
HEAD_DECAY = 1e-2


@dataclass(repr=False, eq=False)
class FineTuning(Component):
    r"""Continue the training of an encoder by labels, with the objective on all rows beside them.

    A linear head h on the codes z learns alone for ``head_steps`` steps. Then head and encoder
    learn together, by Adam, with a rate that falls to 0. They minimise

    .. math:: \ell(h(z(x_L)), y_L) - w J(x),

    where :math:`\ell` is the cross entropy, or the squared error of standardised targets, of a
    batch of labelled rows, J the learner's own objective on a batch of all rows, and w its weight.
    With few labels no row can be spared to stop by, so the number of steps is fixed.

    Parameters
    ----------
    max_steps : int, default=200
        Steps of head and encoder together.
    head_steps : int, default=200
        Steps of the head alone, with the encoder frozen.
    lr : float, default=0.001
        Learning rate of the encoder.
    objective_weight : float, default=0.1
        The weight w. 0: labels alone.
    batch_size : int, default=64
        Labelled rows in each step; all of them if there are fewer.

    References
    ----------
    Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution (Kumar,
    Raghunathan, Jones, Ma & Liang, 2022), https://arxiv.org/abs/2202.10054

    Examples
    --------
    >>> from sklearn_mi.semi_supervised import FineTuning, SemiSupervisedClassifier
    >>> SemiSupervisedClassifier(fine_tune=FineTuning(max_steps=50)).fine_tune
    FineTuning(max_steps=50)
    """

    max_steps: int = 200
    head_steps: int = 200
    lr: float = 1e-3
    objective_weight: float = 0.1
    batch_size: int = 64

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        ValueError, TypeError
            If one is not a number, or not in its range.
        """
        for name in ("max_steps", "head_steps", "batch_size"):
            positive_integer(name, getattr(self, name))
        a_number("lr", self.lr, "a number above 0 and up to 1", lambda lr: 0 < lr <= 1)
        weight = self.objective_weight
        a_number("objective_weight", weight, "a number of at least 0", lambda w: w >= 0)


class _Head(nn.Module):
    """A linear layer on codes that are centred and divided by one number."""

    def __init__(self, codes: Tensor, width: int, *, is_regression: bool) -> None:
        super().__init__()
        self.mean = codes.mean(0)
        self.scale = (codes - self.mean).square().mean().sqrt().clamp(min=1e-6)
        # Its usual weights would be drawn from torch's global generator.
        self.linear: Any = nn.utils.skip_init(nn.Linear, codes.shape[1], width, device=codes.device)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.is_regression = is_regression

    def loss(self, codes: Tensor, y: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted mean of the losses of rows."""
        made = self.linear((codes - self.mean) / self.scale)
        if self.is_regression:
            losses = (made[:, 0] - y).square()
        else:
            losses = functional.cross_entropy(made, y, reduction="none")
        return (losses * weights).mean()


def _endless(rows: AnyRows, order: AnyOrder, steps: int) -> Iterator[Batch]:
    """Yield the batches of some steps, over as many passes as they take."""
    order.allow(steps)
    batches = Batches(rows, order.batch_size, order)
    while order.steps_left:
        yield from batches


def _encoded(model: PairModel, rows: Rows) -> Tensor:
    model.eval()
    return torch.cat([codes.clone() for codes in encode(rows, model.transform)])


def _train_head(head: _Head, codes: Tensor, y: Tensor, weights: Tensor, steps: int) -> None:
    """Fit the head to frozen codes, all rows in each step."""
    optimizer = AdamW(head.parameters(), lr=HEAD_LR, weight_decay=HEAD_DECAY)
    for _ in range(steps):
        optimizer.zero_grad()
        head.loss(codes, y, weights).backward()
        optimizer.step()


def _optimizer_of(model: PairModel, head: _Head, how: FineTuning) -> tuple[AdamW, LinearLR]:
    """Return the optimiser of model and head, and the schedule of its rate."""
    groups = [
        {"params": list(model.parameters()), "weight_decay": 0.0},
        {"params": list(head.parameters()), "weight_decay": HEAD_DECAY},
    ]
    optimizer = AdamW(groups, lr=how.lr)
    return optimizer, LinearLR(optimizer, 1.0, 0.0, total_iters=how.max_steps)


def fine_tune(
    model: PairModel,
    batches: tuple[AnyRows, AnyOrder],
    labelled: Rows,
    y: np.ndarray,
    weights: np.ndarray | None,
    how: FineTuning,
    *,
    generator: torch.Generator,
    randomness: AbstractContextManager | None,
    seed: int,
) -> None:
    """Train a model in place, by the labels of some rows and its own objective on all rows.

    Parameters
    ----------
    model : PairModel
    batches : tuple of Rows and Order
        All rows as training sees them, and their order.
    labelled : Rows
        Labelled rows as `PairModel.transform` takes them.
    y : ndarray of shape (n_labelled,)
        Classes 0 to k - 1 as integers, or standardised targets as floats.
    weights : ndarray of shape (n_labelled,) or None
    how : FineTuning
    generator : torch.Generator
        Source of the view's draws, on the device.
    randomness : context manager or None
        Stream for modules that draw from torch's global generators.
    seed : int
        Of the order of the labelled rows.

    Raises
    ------
    NonFiniteLossError
        If the loss becomes NaN or infinite.
    """
    device, is_regression = labelled.device, y.dtype.kind == "f"
    targets = torch.as_tensor(y, dtype=torch.float32 if is_regression else torch.long).to(device)
    weights = np.ones(len(y)) if weights is None else weights / np.mean(weights)
    relative = torch.as_tensor(weights, dtype=torch.float32).to(device)
    codes = _encoded(model, labelled)
    head = _Head(codes, 1 if is_regression else int(y.max()) + 1, is_regression=is_regression)
    _train_head(head, codes, targets, relative, how.head_steps)
    few = Order(len(y), how.batch_size, seed)
    pairs = zip(
        _endless(labelled, few, how.max_steps), _endless(*batches, how.max_steps), strict=True
    )
    optimizer, schedule = _optimizer_of(model, head, how)
    model.train()
    with randomness or nullcontext():
        for (x, numbers, _), batch in pairs:
            optimizer.zero_grad()
            loss = head.loss(model.transform(x), targets[numbers], relative[numbers])
            if how.objective_weight:
                loss = loss - how.objective_weight * model(*batch, generator)
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    _check(loss, how)


def _check(loss: Tensor, how: FineTuning) -> None:
    if not bool(torch.isfinite(loss)):
        raise NonFiniteLossError(
            f"The loss of fine-tuning became {loss.item()} with lr={how.lr} and "
            f"objective_weight={how.objective_weight}; lower them, as by "
            f"fine_tune=FineTuning(lr={how.lr / 10:g})."
        )
