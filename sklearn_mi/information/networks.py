"""The network that scores pairs, and its training by the logistic loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WIDTH", "PairNetwork", "Training", "perceptrons", "train_network"]

BATCHES = 12
CELLS_AT_ONCE = 2**17
FEWEST_STEPS = 150
FIRST_LOOKS = 10
MOST_PASSES = 40
PART_HIDDEN = 16
PART_WIDTH = 4
PATIENCE_SHARE = 1.5
SMALLEST_BATCH = 64
TOWER = 64
WIDTH = 32


@dataclass(frozen=True)
class Training:
    """How the network is trained.

    Attributes
    ----------
    steps : int
        Largest number of steps; the best one on the stopping rows is kept.
    batch_size : int
        The largest; few training rows make smaller batches, a twelfth of them but at least 64.
    negatives : int
        Unrelated partners for each row of a batch.
    lr, weight_decay : float
    every : int
        Steps between evaluations on the stopping rows; more often at first, since a few hundred
        rows are soon overfitted.
    patience : int
        Training ends at step ``patience * every`` plus 1.5 times the best step so far.
    bound : float
        The network's part of a score stays between minus and plus this.
    earliest : int
        First step that may be kept; at step 0 a network returns 0 for every pair.
    """

    steps: int = 600
    batch_size: int = 256
    negatives: int = 4
    lr: float = 4e-3
    weight_decay: float = 1e-2
    every: int = 50
    patience: int = 5
    bound: float = 15.0
    earliest: int = 0

    def limited_to(self, n: int) -> Training:
        """Return the training for n rows: at most 40 passes over them, but at least 150 steps."""
        passes = MOST_PASSES * n // self.batch_of(n)
        return replace(self, steps=min(self.steps, max(passes, FEWEST_STEPS)))

    def batch_of(self, n: int) -> int:
        """Return the rows of a batch of n training rows."""
        return min(self.batch_size, max(SMALLEST_BATCH, n // BATCHES), n)


class PairNetwork(nn.Module):
    r"""A critic: two towers, then a small network on both codes and their product.

    .. math:: f(x, y) = \sum_t c \tanh(h(a_t, b_t, a_t \odot b_t) / c)

    Here :math:`a_t` and :math:`b_t` are the parts of the codes :math:`g_x(x)` and :math:`g_y(y)`,
    such as those of tiles; else the whole codes. All parts share h, and each has its own logistic
    loss: that of their sum is flat where the information is high.

    The towers cost as much as those of a separable critic, and the network on top can express more
    than a scalar product. Its output starts at zero.

    Parameters
    ----------
    towers : tuple of Module
        One for each side, from rows to ``WIDTH`` numbers, or to ``PART_WIDTH`` for each part.
    bound : float
        The constant c.
    n_parts : int
    """

    def __init__(self, towers: tuple[nn.Module, nn.Module], bound: float, n_parts: int = 1) -> None:
        super().__init__()
        self.tower_x, self.tower_y = towers
        self.bound, self.n_parts = bound, n_parts
        self.width, hidden = (WIDTH, 128) if n_parts == 1 else (PART_WIDTH, PART_HIDDEN)
        self.first = nn.Linear(3 * self.width, hidden)
        self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def _codes(self, x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the codes of each side and their own terms of the hidden layer.

        Computed once a row instead of once a pair, these terms leave a third of the work.
        """
        codes = self.tower_x(x), self.tower_y(y)
        a, b = (code.unflatten(1, (self.n_parts, -1)) for code in codes)
        own_a, own_b, _ = self.first.weight.split(self.width, dim=1)
        return (a, a @ own_a.T + self.first.bias), (b, b @ own_b.T)

    def _score(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        """Return the scores of parts, of shape (..., n_parts)."""
        shared = self.first.weight[:, 2 * self.width :]
        hidden = (first[0] * second[0]) @ shared.T + first[1] + second[1]
        h = self.last(functional.gelu(hidden)).squeeze(-1)
        return self.bound * torch.tanh(h / self.bound)

    def cells(self, x: Tensor, y: Tensor, columns: Tensor) -> Tensor:
        """Return the scores of row i with the rows ``columns[i]`` of y, of shape (n, k)."""
        return self.cells_of_parts(x, y, columns).sum(-1)

    def cells_of_parts(self, x: Tensor, y: Tensor, columns: Tensor) -> Tensor:
        """Return the terms of `cells`, of shape (n, k, n_parts)."""
        first, (b, own) = self._codes(x, y)
        at_once = max(1, CELLS_AT_ONCE // (columns.shape[1] * self.n_parts))
        parts = zip(*(side[:, None].split(at_once) for side in first), strict=True)
        both = zip(parts, columns.split(at_once), strict=True)
        return torch.cat([self._score(part, (b[column], own[column])) for part, column in both])

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of partners, of shape (n,)."""
        return self._score(*self._codes(x, y)).sum(-1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of every pair, of shape (n, m)."""
        first, second = self._codes(x, y)
        at_once = max(1, CELLS_AT_ONCE // (len(y) * self.n_parts))
        parts = zip(*(side[:, None].split(at_once) for side in first), strict=True)
        return torch.cat([self._score(part, second).sum(-1) for part in parts])


def perceptrons(d_x: int, d_y: int, width: int = TOWER) -> tuple[nn.Module, nn.Module]:
    """Return a tower for each side: three hidden layers to ``WIDTH`` numbers."""

    def tower(d: int) -> nn.Module:
        layers: list[nn.Module] = []
        for before in (d, width, width):
            layers += [nn.Linear(before, width), nn.GELU()]
        return nn.Sequential(*layers, nn.Linear(width, WIDTH))

    return tower(d_x), tower(d_y)


def train_network(
    network: PairNetwork,
    rows: tuple[Tensor, Tensor],
    known: Callable[[Tensor, Tensor], Tensor] | None,
    loss_now: Callable[[], float],
    training: Training,
    seed: int,
    groups: Tensor | None = None,
) -> list[tuple[int, float]]:
    """Train a network, keep its best step on the stopping rows, and return its loss curve.

    Parameters
    ----------
    network : PairNetwork
        Changed in place.
    rows : tuple of Tensor
        Both sides of the training rows.
    known : callable or None
        From the rows of a batch and the columns of its cells to what the network is added to.
    loss_now : callable
        The loss on the stopping rows.
    training : Training
    seed : int
    groups : Tensor, optional
        Rows of one group are never each other's negatives.

    Returns
    -------
    curve : list of tuple of (int, float)
        Steps and their losses.
    """
    network.train()
    curve, kept, best = [], copy.deepcopy(network.state_dict()), math.inf
    for step, _ in enumerate(_steps(network, rows, known, groups, training, seed)):
        every = min(training.every, FIRST_LOOKS) if step < 2 * training.every else training.every
        if step < training.earliest or (step % every and step != training.steps):
            continue
        network.eval()
        loss = loss_now()
        network.train()
        curve.append((step, loss))
        if loss < best - 1e-6:
            best, kept = loss, copy.deepcopy(network.state_dict())
        elif step >= training.patience * training.every + PATIENCE_SHARE * _best_step(curve):
            break
    network.load_state_dict(kept)
    network.eval()
    return curve


def _best_step(curve: list[tuple[int, float]]) -> int:
    return min(curve, key=lambda at: at[1])[0]


def _cells(n: int, k: int, generator: torch.Generator) -> Tensor:
    """Return for each row of a batch its own number and those of k others: (n, 1 + k)."""
    shifts = torch.randperm(n - 1, generator=generator)[:k] + 1
    shifts = torch.cat([torch.zeros(1, dtype=torch.long), shifts])
    return (torch.arange(n)[:, None] + shifts[None]) % n


def _batches(n: int, training: Training, generator: torch.Generator) -> Iterator[Tensor]:
    size = training.batch_of(n)
    while True:
        yield from (
            batch
            for batch in torch.randperm(n, generator=generator).split(size)
            if len(batch) == size
        )


def _steps(
    network: PairNetwork,
    rows: tuple[Tensor, Tensor],
    known: Callable[[Tensor, Tensor], Tensor] | None,
    groups: Tensor | None,
    training: Training,
    seed: int,
) -> Iterator[None]:
    """Train a network; yield before each step, and after the last."""
    x, y = rows
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
    )
    batches = _batches(len(x), training, generator)
    for step, batch in zip(range(training.steps), batches, strict=False):
        yield
        for group in optimizer.param_groups:
            group["lr"] = training.lr * (1 + math.cos(math.pi * step / training.steps)) / 2
        columns = _cells(len(batch), training.negatives, generator)
        scores = network.cells_of_parts(x[batch], y[batch], columns)
        if known is not None:
            scores = scores.sum(-1, keepdim=True) + known(batch, columns)[..., None]
        other = functional.softplus(scores[:, 1:]).sum(-1)
        if groups is not None:
            other = other * (groups[batch][:, None] != groups[batch][columns[:, 1:]])
        loss = functional.softplus(-scores[:, 0]).sum(-1).mean() + other.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    yield
