"""Negatives: which pairs stand for draws from the product of the marginals.

A row's partner is a draw from the joint distribution; its negatives stand for draws of the second
view that are independent of the row. Where they are, a bound stays valid. Negatives chosen by
scores, groups or labels, and codes of an older encoder, are not: the value is then no bound,
however useful for training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Component, positive_integer, resolve

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "NEGATIVES",
    "Hard",
    "InBatch",
    "Independent",
    "Negatives",
    "NegativesModule",
    "OtherGroups",
    "Queue",
    "SemiHard",
    "as_negatives",
    "hardest",
    "next_columns",
    "other_groups",
    "semi_hard",
]


def next_columns(n: int, n_negatives: int, device: torch.device | None = None) -> Tensor:
    """Return the mask of the next few columns after the diagonal, wrapping around.

    Rows of a batch come in random order, so these are a random choice of the others.

    Parameters
    ----------
    n : int
        Rows of the batch.
    n_negatives : int
        Negatives of each row; all others where there are fewer.
    device : torch.device or None, default=None

    Returns
    -------
    mask : Tensor of bool of shape (n, n)

    Examples
    --------
    >>> from sklearn_mi.negatives import next_columns
    >>> next_columns(3, 1).int().tolist()
    [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    """
    places = torch.arange(n, device=device)
    ahead = (places[None, :] - places[:, None]) % n
    return (ahead >= 1) & (ahead <= n_negatives)


def hardest(scores: Tensor, n_negatives: int) -> Tensor:
    """Return the mask of the negatives with the highest scores in each row.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Column i is the partner of row i, which is no negative.
    n_negatives : int
        Negatives of each row; all others where there are fewer.

    Returns
    -------
    mask : Tensor of bool of shape (n, m)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.negatives import hardest
    >>> hardest(torch.tensor([[9.0, 1.0, 2.0], [3.0, 9.0, 1.0]]), 1).int().tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    n, m = scores.shape
    return _highest(scores, ~torch.eye(n, m, dtype=torch.bool, device=scores.device), n_negatives)


def semi_hard(scores: Tensor, n_negatives: int | None = None) -> Tensor:
    """Return the mask of the negatives that score below the partner of their row.

    Negatives above it are often of the row's own class. A row whose negatives all score above its
    partner has none.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        Column i is the partner of row i.
    n_negatives : int or None, default=None
        Keep only this many, the highest; None: all.

    Returns
    -------
    mask : Tensor of bool of shape (n, m)

    References
    ----------
    FaceNet: A Unified Embedding for Face Recognition and Clustering (Schroff, Kalenichenko &
    Philbin, 2015), https://arxiv.org/abs/1503.03832

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.negatives import semi_hard
    >>> semi_hard(torch.tensor([[2.0, 1.0, 3.0], [0.0, 1.0, 0.5]])).int().tolist()
    [[0, 1, 0], [1, 0, 1]]
    """
    below = scores < scores.diagonal()[:, None]
    return below if n_negatives is None else _highest(scores, below, n_negatives)


def _highest(scores: Tensor, among: Tensor, number: int) -> Tensor:
    """Return the mask of the highest scores of each row among some cells."""
    allowed = scores.detach().masked_fill(~among, -torch.inf)
    chosen = allowed.topk(min(number, scores.shape[1]), dim=1).indices
    return torch.zeros_like(among).scatter(1, chosen, True) & among


def other_groups(groups: Tensor) -> Tensor:
    """Return the mask of the cells whose row and column are of different groups.

    Parameters
    ----------
    groups : Tensor of int of shape (n,)

    Returns
    -------
    mask : Tensor of bool of shape (n, n)

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.negatives import other_groups
    >>> other_groups(torch.tensor([0, 0, 1])).int().tolist()
    [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    """
    return groups[:, None] != groups[None, :]


class NegativesModule(nn.Module, ABC):
    """What `Negatives.build` returns: it marks the negatives of a batch.

    Attributes
    ----------
    n_extra : int
        Rows beyond the batch that training must draw for their second view alone.
    """

    n_extra = 0

    @abstractmethod
    def forward(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        """Return the codes with the mask of their negatives, and with further columns if any.

        Parameters
        ----------
        codes : Codes
            Of one batch; ``z_y`` has ``n_extra`` rows more than ``z_x`` in training.
        rows : Tensor of int or None
            Numbers of the training rows; None for rows that ``fit`` did not see.
        groups : Tensor of int or None
            Groups of the rows.

        Returns
        -------
        codes : Codes
        """

    def candidates(self, n: int) -> int:
        """Return how many candidates, the partner among them, a row has in a block of n."""
        return n


class Negatives(Component, ABC):
    """Base of the negatives; a subclass says whether a bound stays valid and writes ``build``.

    Attributes
    ----------
    caveat : str or None
        Why the value is no bound with these negatives; None: it stays one.
    needs_groups : bool
        Whether ``fit`` must be given ``groups``.
    """

    caveat: ClassVar[str | None] = None
    needs_groups: ClassVar[bool] = False

    @abstractmethod
    def build(self, d_y: int) -> NegativesModule:
        """Return the module that marks the negatives.

        Parameters
        ----------
        d_y : int
            Number of components of the second view's codes.

        Returns
        -------
        module : NegativesModule

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """


class _Masked(NegativesModule):
    """A mask that is made from the codes or the groups alone."""

    def __init__(
        self, mask: Callable[[Codes, Tensor | None], Tensor | None], number: int | None = None
    ) -> None:
        super().__init__()
        self._mask, self._number = mask, number

    def forward(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        codes.negatives = self._mask(codes, groups)
        return codes

    def candidates(self, n: int) -> int:
        return n if self._number is None else min(n, self._number + 1)


@dataclass(repr=False, eq=False)
class InBatch(Negatives):
    """The partners of the other rows of the batch.

    Parameters
    ----------
    n_negatives : int or None, default=None
        Negatives of each row, whatever the batch size; None: all others.

    Examples
    --------
    >>> from sklearn_mi.negatives import InBatch
    >>> InBatch(n_negatives=15).build(8).candidates(256)
    16
    """

    n_negatives: int | None = None

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, which has no state."""
        if self.n_negatives is None:
            return _Masked(_everything)
        number = positive_integer("n_negatives", self.n_negatives)
        return _Masked(_NextColumns(number), number)


def _everything(codes: Codes, groups: Tensor | None) -> None:
    return None


@dataclass
class _NextColumns:
    number: int

    def __call__(self, codes: Codes, groups: Tensor | None) -> Tensor:
        return next_columns(len(codes.z_x), self.number, codes.z_x.device)


class _Extra(NegativesModule):
    """In training only the columns beyond the batch count; elsewhere there are none."""

    def __init__(self, n_extra: int) -> None:
        super().__init__()
        self.n_extra = n_extra

    def forward(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        n, m = len(codes.z_x), len(codes.z_y)
        if m > n:
            codes.negatives = (torch.arange(m, device=codes.z_y.device) >= n).expand(n, m)
        return codes


@dataclass(repr=False, eq=False)
class Independent(Negatives):
    """The second views of further rows, drawn anew for each batch and shared by all its rows.

    Batch size and number of negatives are then independent: a small batch can have many negatives,
    at the price of encoding one view of each. On rows that training did not see, the other rows of
    a block serve as negatives, as for `InBatch`.

    Parameters
    ----------
    n_negatives : int, default=256

    Examples
    --------
    >>> from sklearn_mi.negatives import Independent
    >>> Independent(512).build(8).n_extra
    512
    """

    n_negatives: int = 256

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, which has no state."""
        return _Extra(positive_integer("n_negatives", self.n_negatives))


@dataclass(repr=False, eq=False)
class Hard(Negatives):
    """The highest-scoring other rows of the batch.

    They carry most of the gradient, and false negatives among them do most of the harm: on data
    with few classes many hard negatives are of the row's own class. The reported value is no bound:
    at 0.51 nats the true density ratio reports -0.36 with the 16 hardest of 127.

    Parameters
    ----------
    n_negatives : int, default=16
        Negatives of each row.

    References
    ----------
    In Defense of the Triplet Loss for Person Re-Identification (Hermans, Beyer & Leibe, 2017),
    https://arxiv.org/abs/1703.07737

    Examples
    --------
    >>> from sklearn_mi.negatives import Hard
    >>> Hard(16).build(8).candidates(256)
    17
    """

    n_negatives: int = 16
    caveat = "its negatives were chosen by their scores"

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, which has no state."""
        number = positive_integer("n_negatives", self.n_negatives)
        return _Masked(_ByScore(hardest, number), number)


@dataclass(repr=False, eq=False)
class SemiHard(Negatives):
    """The other rows of the batch that score below the row's partner, or the highest few of them.

    Rows that score above the partner are often of the row's own class; a row with none below adds
    nothing. The reported value is no bound: at 0.51 nats the true density ratio reports 1.12 with
    the semi-hard ones of 127.

    Parameters
    ----------
    n_negatives : int or None, default=None
        Keep only this many, the highest; None: all.

    References
    ----------
    FaceNet: A Unified Embedding for Face Recognition and Clustering (Schroff, Kalenichenko &
    Philbin, 2015), https://arxiv.org/abs/1503.03832

    Examples
    --------
    >>> from sklearn_mi.negatives import SemiHard
    >>> SemiHard().build(8).candidates(256)
    256
    """

    n_negatives: int | None = None
    caveat = "its negatives were chosen by their scores"

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, which has no state."""
        number = self.n_negatives
        number = None if number is None else positive_integer("n_negatives", number)
        return _Masked(_ByScore(semi_hard, number), number)


@dataclass
class _ByScore:
    function: Callable[[Tensor, Any], Tensor]
    number: int | None

    def __call__(self, codes: Codes, groups: Tensor | None) -> Tensor:
        return self.function(codes.scores, self.number)


@dataclass(repr=False, eq=False)
class OtherGroups(Negatives):
    """The other rows of the batch that belong to other groups: subjects, documents, classes.

    Use it where rows of one group mean the same thing and, as negatives, would be pushed apart.
    ``fit(X, groups=...)`` names the groups; whole groups are then held out. The negatives are draws
    from the other groups, not from all rows, so the reported value is no bound.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> learner = MIRepresentationLearner(3, negatives="other-groups", max_steps=5, random_state=0)
    >>> learner.fit(X, groups=np.arange(60) // 6).mi_.objective.status
    'neither'
    """

    caveat = "its negatives were drawn from other groups only"
    needs_groups = True

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, which has no state."""
        return _Masked(_of_other_groups)


def _of_other_groups(codes: Codes, groups: Tensor | None) -> Tensor:
    if groups is None:
        raise ValueError("negatives=OtherGroups() needs groups: pass groups=... to fit.")
    return other_groups(groups)


class _QueueModule(NegativesModule):
    """The newest codes of the second view, as further columns without gradient."""

    codes: Tensor
    rows: Tensor
    place: Tensor
    filled: Tensor

    def __init__(self, size: int, d_y: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(size, d_y))
        self.register_buffer("rows", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    def forward(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        n, size = len(codes.z_x), len(self.codes)
        in_batch = ~torch.eye(n, dtype=torch.bool, device=codes.z_y.device)
        known = (torch.arange(size, device=self.codes.device) < self.filled).expand(n, size)
        if rows is not None:
            # With few rows of data a row would meet its own partner of a step ago.
            known = known & (self.rows[None, :] != rows[:, None])
        older = self.codes.clone()
        if self.training:
            self._take(codes.z_y.detach(), rows)
        return Codes(
            codes.z_x,
            torch.cat([codes.z_y, older]),
            codes.critic,
            x=codes.x,
            x_prime=codes.x_prime,
            negatives=torch.cat([in_batch, known], dim=1),
        )

    def _take(self, newest: Tensor, rows: Tensor | None) -> None:
        """Replace the oldest codes by the newest."""
        size = len(self.codes)
        newest = newest[-size:]
        places = (self.place + torch.arange(len(newest), device=newest.device)) % size
        self.codes[places] = newest
        if rows is not None:
            self.rows[places] = rows[-size:]
        self.place.copy_((self.place + len(newest)) % size)
        self.filled.copy_((self.filled + len(newest)).clamp(max=size))

    def candidates(self, n: int) -> int:
        return n + int(self.filled)


@dataclass(repr=False, eq=False)
class Queue(Negatives):
    """The batch, and codes of the batches before it.

    Many negatives for the price of one batch: the codes are kept, not computed anew, and get no
    gradient. They come from the encoder of some steps ago, so the value is no bound; with a small
    learning rate and a queue of a few dozen batches they are hardly stale. The queue is saved with
    the model.

    Parameters
    ----------
    size : int, default=4096
        Codes that are kept. A row never meets its own.

    References
    ----------
    Cross-Batch Memory for Embedding Learning (Wang, Zhang, Huang & Scott, 2020),
    https://arxiv.org/abs/1912.06798

    Momentum Contrast for Unsupervised Visual Representation Learning (He, Fan, Wu, Xie &
    Girshick, 2020), https://arxiv.org/abs/1911.05722, whose second encoder is a moving average.

    Examples
    --------
    >>> from sklearn_mi.negatives import Queue
    >>> Queue(1024).build(8).codes.shape
    torch.Size([1024, 8])
    """

    size: int = 4096
    caveat = "its negatives are codes of earlier steps"

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, with an empty queue."""
        return _QueueModule(positive_integer("size", self.size), d_y)


def as_negatives(value: Any) -> Negatives:
    """Return the negatives that a name or an object stands for.

    Parameters
    ----------
    value : str or Negatives

    Returns
    -------
    negatives : Negatives

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If ``value`` is neither a name nor a Negatives.
    """
    negatives = resolve("negatives", value, NEGATIVES)
    if not isinstance(negatives, Negatives):
        raise TypeError(f"negatives={value!r}; expected one of {sorted(NEGATIVES)} or a Negatives.")
    return negatives


NEGATIVES: dict[str, Callable[[], Negatives]] = {
    "batch": InBatch,
    "hard": Hard,
    "independent": Independent,
    "other-groups": OtherGroups,
    "queue": Queue,
    "semi-hard": SemiHard,
}
