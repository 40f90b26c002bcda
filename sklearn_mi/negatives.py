"""Negatives: pick the pairs that each row's partner is compared with.

A row and its partner are a draw from the joint distribution. Its negatives stand for draws of the
second view that are independent of the row. If they are such draws, a bound stays valid. Negatives
chosen by scores, groups or labels are not, nor are codes of an older encoder. Training may use
them, but the value is not a bound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Component, a_number, positive_integer, resolve

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

    Rows of a batch come in random order, so this is a random choice of the other rows.

    Parameters
    ----------
    n : int
        Rows of the batch.
    n_negatives : int
        Negatives of each row; all others if there are fewer.
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
        Column i is the partner of row i and never a negative.
    n_negatives : int
        Negatives of each row; all others if there are fewer.

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

    Negatives above it often belong to the row's own class. If all negatives score above the
    partner, the row has none.

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
    """Return the mask of the highest scores of each row within ``among``."""
    allowed = scores.detach().masked_fill(~among, -torch.inf)
    chosen = allowed.topk(min(number, scores.shape[1]), dim=1).indices
    return torch.zeros_like(among).scatter(1, chosen, True) & among


def other_groups(groups: Tensor) -> Tensor:
    """Return the mask of the cells whose row and column belong to different groups.

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
    """Write the module that marks the negatives of a batch; `Negatives.build` returns it.

    Attributes
    ----------
    n_extra : int
        Extra rows that training draws for their second view only.
    momentum : float or None
        That of a slow copy of the encoder, which makes the codes of the second view in training,
        without gradient. None: the trained encoder makes them.
    """

    n_extra = 0
    momentum: float | None = None

    @abstractmethod
    def forward(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        """Return the codes with the mask of their negatives and any further columns.

        Parameters
        ----------
        codes : Codes
            Codes of one batch; in training ``z_y`` has ``n_extra`` rows more than ``z_x``.
        rows : Tensor of int or None
            Numbers of the training rows; None for rows that ``fit`` did not see.
        groups : Tensor of int or None
            Groups of the rows.

        Returns
        -------
        codes : Codes
        """

    def candidates(self, n: int) -> int:
        """Return how many candidates, including the partner, a row has in a block of n."""
        return n


class Negatives(Component, ABC):
    """Write negatives of your own: define ``build`` and say whether a bound stays valid.

    Attributes
    ----------
    caveat : str or None
        Why the value is not a bound with these negatives; None: it is.
    needs_groups : bool
        Whether ``fit`` must be given ``groups``.
    needs_whole_codes : bool
        Whether they are chosen by the scores of whole codes, or remember whole codes.
    advice : str or None
        What ``fit`` warns of, with the cure.
    """

    caveat: ClassVar[str | None] = None
    advice: ClassVar[str | None] = None
    needs_groups: ClassVar[bool] = False
    needs_whole_codes: ClassVar[bool] = False

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
    """A mask made from the codes or the groups alone."""

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
    """Use the partners of the other rows of the batch; the bound stays valid.

    Parameters
    ----------
    n_negatives : int or None, default=None
        Negatives of each row, for any batch size; None: all others.

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
    """In training only the columns beyond the batch count; elsewhere all other rows count."""

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
    """Draw further rows for each batch; all rows of the batch share their second views.

    Use it to combine a small batch with many negatives; each costs the encoding of one view. The
    bound stays valid. On rows that training did not see, the other rows of a block serve as
    negatives, as for `InBatch`.

    Parameters
    ----------
    n_negatives : int, default=256
        Number of further rows for each batch.

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
    """Use the highest-scoring other rows of the batch.

    They carry most of the gradient. With few classes many hard negatives belong to the row's own
    class, and these do most of the harm. The reported value is not a bound: at 0.51 nats the true
    density ratio reports -0.36 with the 16 hardest of 127.

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
    needs_whole_codes = True

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, which has no state."""
        number = positive_integer("n_negatives", self.n_negatives)
        return _Masked(_ByScore(hardest, number), number)


@dataclass(repr=False, eq=False)
class SemiHard(Negatives):
    """Use the other rows of the batch that score below the row's partner.

    Rows that score above the partner often belong to the row's own class. A row with none below
    adds nothing. The reported value is not a bound: at 0.51 nats the true density ratio reports
    1.12 with the semi-hard ones of 127.

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
    needs_whole_codes = True

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
    """Use the other rows of the batch that belong to other groups: subjects, documents, classes.

    Use it if rows of one group mean the same thing: as negatives they would be pushed apart. Pass
    the groups to ``fit(X, groups=...)``; whole groups are then held out. The negatives come from
    the other groups, not from all rows, so the reported value is not a bound.

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
    """The newest codes of the second view, added as columns without gradient."""

    codes: Tensor
    rows: Tensor
    place: Tensor
    filled: Tensor

    def __init__(self, size: int, d_y: int, momentum: float | None) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("codes", torch.zeros(size, d_y))
        self.register_buffer("rows", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    def forward(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        n, size = len(codes.z_x), len(self.codes)
        in_batch = ~torch.eye(n, dtype=torch.bool, device=codes.z_y.device)
        known = (torch.arange(size, device=self.codes.device) < self.filled).expand(n, size)
        if rows is not None:
            # With few rows of data a row could meet its own partner from an earlier step.
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
            kindred=codes.kindred,
            draws=codes.draws,
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
    r"""Use the batch and a queue of codes of earlier batches, made by a slow encoder.

    Use it for many negatives at the cost of one batch: queued codes are not computed again and get
    no gradient. They come from earlier states of the encoder, so the value is not a bound. If the
    encoder moves far while a code waits, codes of today and of the queue differ by their age, and
    training learns the age. So a slow copy of the encoder and its head makes the codes of the
    second view, those of the batch, too: its weights

    .. math:: s \leftarrow \mu s + (1 - \mu) w

    follow the trained weights w in each step. Both views need one encoder. ``transform`` and all
    reports use the trained one. Queue and slow encoder are saved with the model.

    Parameters
    ----------
    size : int, default=4096
        Number of codes to keep. A row never meets its own code.
    momentum : float or None, default=0.99
        Share :math:`\mu` of the slow weights that stays in each step, at least 0 and below 1. None
        or 0: no slow encoder; ``fit`` warns, since codes may collapse.

    References
    ----------
    Momentum Contrast for Unsupervised Visual Representation Learning (He, Fan, Wu, Xie &
    Girshick, 2020), https://arxiv.org/abs/1911.05722

    Cross-Batch Memory for Embedding Learning (Wang, Zhang, Huang & Scott, 2020),
    https://arxiv.org/abs/1912.06798. Without a slow encoder.

    Examples
    --------
    >>> from sklearn_mi.negatives import Queue
    >>> module = Queue(1024).build(8)
    >>> module.codes.shape, module.momentum
    (torch.Size([1024, 8]), 0.99)
    """

    size: int = 4096
    momentum: float | None = 0.99
    caveat = "its negatives are codes of earlier steps"
    needs_whole_codes = True

    @property
    def advice(self) -> str | None:  # type: ignore[override]
        """Warn of a queue without a slow encoder."""
        if self.momentum:
            return None
        return (
            f"negatives={self!r} compares codes of today's encoder with codes of earlier ones, and "
            "often collapses; take Queue(momentum=0.99), or negatives='batch'."
        )

    def build(self, d_y: int) -> NegativesModule:
        """Return the module, with an empty queue."""
        momentum = self.momentum
        if momentum is not None:
            expected = "None, or a number of at least 0 and below 1"
            momentum = a_number("momentum", momentum, expected, lambda m: 0 <= m < 1)
        return _QueueModule(positive_integer("size", self.size), d_y, momentum or None)


def as_negatives(value: Any) -> Negatives:
    """Return the negatives that a name or an object means.

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
