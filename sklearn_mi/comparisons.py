"""Comparisons: pick which codes are scored against which, as a list of score matrices a batch.

A comparison splits or combines the codes of one batch: whole codes (the default), parts of a code,
a global code against the places of a map, a context against later steps. Each element of its list
is an ordinary `Codes` with its own positives and negatives. Training maximises, and reports state,
the mean over the list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Component, Objective, Shape, resolve
from sklearn_mi.tiles import CriticModule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "COMPARISONS",
    "Codes",
    "Comparison",
    "ComparisonModule",
    "Parts",
    "Whole",
    "as_comparison",
    "mean_over",
]


def mean_over(compared: Sequence[Codes], of: Callable[[Codes], Tensor]) -> Tensor:
    """Return the mean of a value over the list that a comparison returns.

    Parameters
    ----------
    compared : sequence of Codes
    of : callable
        From `Codes` to a Tensor of shape ().

    Returns
    -------
    mean : Tensor of shape ()
        For one element, the value itself.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.comparisons import Codes, mean_over
    >>> one, three = (Codes(z, z, torch.mul) for z in (torch.ones(1), torch.full((1,), 3.0)))
    >>> mean_over([one, three], lambda codes: codes.z_x.sum()).item()
    2.0
    """
    values = [of(codes) for codes in compared]
    return values[0] if len(values) == 1 else torch.stack(values).mean()


class ComparisonModule(nn.Module, ABC):
    """Write the module that splits or combines a batch; `Comparison.build` returns it.

    It owns the heads that it trains, small networks such as the matrices of CPC or the
    discriminator of a prior.

    Attributes
    ----------
    caveat : str or None
        Why the mean over the list is not a bound, such as candidates that depend on each other
        (several places of one image). None: a bound stays one.
    is_whole : bool
        Whether it returns the codes unchanged, so the objective reports the same value as without
        a comparison.
    """

    caveat: str | None = None
    is_whole: ClassVar[bool] = False

    @abstractmethod
    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        """Return the list of codes to score against each other.

        Parameters
        ----------
        codes : Codes
            Codes of one batch, of shape (n, d), (m, d'), with the mask of its negatives. If
            encoders give maps or sequences, ``z_x`` and ``z_y`` keep their axes after the first:
            (n, channels, height, width), (n, time, d).
        rows : Tensor of int or None
            Numbers of the training rows; None for rows that ``fit`` did not see.

        Returns
        -------
        compared : list of Codes
            At least one, each with codes (n, d), (k, d') that its critic accepts. Row i belongs to
            row i of the batch, because standard errors leave out rows of the batch. A row may have
            several positives, or none. If you add columns, extend both masks.
        """

    def candidates(self, n: int) -> int:
        """Return how many candidates a row has if the negatives leave it n."""
        return n


class Comparison(Component, ABC):
    """Write a comparison of your own: store its parameters and define `build`.

    Attributes
    ----------
    needs_parts : bool
        Whether it needs a critic that cuts codes into parts; ``critic="auto"`` then picks one.

    Examples
    --------
    Score every other component of a code against the same components of the partner's:

    >>> import torch
    >>> from sklearn_mi.comparisons import Codes, Comparison, ComparisonModule
    >>> class EveryOtherModule(ComparisonModule):
    ...     def forward(self, codes, rows):
    ...         x, y, critic = codes.z_x, codes.z_y, codes.critic
    ...         return [Codes(x[:, k::2], y[:, k::2], critic, negatives=codes.negatives)
    ...                 for k in (0, 1)]
    >>> class EveryOther(Comparison):
    ...     def build(self, shapes):
    ...         return EveryOtherModule()
    >>> z = torch.zeros(3, 4)
    >>> [c.z_x.shape for c in EveryOther().build([(4,), (4,)])(Codes(z, z, torch.mul), None)]
    [torch.Size([3, 2]), torch.Size([3, 2])]
    """

    needs_parts: ClassVar[bool] = False

    @abstractmethod
    def build(self, shapes: Sequence[Shape]) -> ComparisonModule:
        """Return the module, the weights of any heads drawn from torch's global generator.

        Parameters
        ----------
        shapes : sequence of tuple of int
            Shapes of one row's code in the two views: ``(d_x,), (d_y,)``.

        Returns
        -------
        module : ComparisonModule

        Raises
        ------
        ValueError
            If a parameter is out of range or the shapes do not fit.
        """

    def check(self, objective: Objective, critic: nn.Module) -> None:
        """Reject an objective or a critic that the comparison cannot use.

        Parameters
        ----------
        objective : Objective
        critic : Module
            The built critic.

        Raises
        ------
        ValueError
            If it cannot use them; by default never.
        """
        return None


class _WholeModule(ComparisonModule):
    is_whole: ClassVar[bool] = True

    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        return [codes]


@dataclass(repr=False, eq=False)
class Whole(Comparison):
    """Score every row's whole code against those of all rows; the default.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.comparisons import Codes, Whole
    >>> codes = Codes(torch.zeros(3, 2), torch.zeros(3, 2), torch.mul)
    >>> Whole().build([(2,), (2,)])(codes, None) == [codes]
    True
    """

    def build(self, shapes: Sequence[Shape]) -> ComparisonModule:
        """Return the module, which has no parameters."""
        return _WholeModule()


def _with_parts(critic: Any) -> CriticModule:
    """Return the critic if it cuts codes into parts."""
    if isinstance(critic, CriticModule) and critic.has_parts:
        return critic
    name = type(critic).__name__.lstrip("_")
    raise ValueError(
        f"'each-part' needs a critic that cuts codes into parts, which {name} does not; "
        "take critic=Split(...)."
    )


class _PartsModule(ComparisonModule):
    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        cut = _with_parts(codes.critic).cut(codes.z_x, codes.z_y)
        masks = {"negatives": codes.negatives, "positives": codes.positives}
        return [Codes(a, b, part, **masks) for a, b, part in cut]


@dataclass(repr=False, eq=False)
class Parts(Comparison):
    r"""Score every part of a code alone, as cut by a `sklearn_mi.critics.Split` critic.

    .. math:: \frac1K \sum_k I\big(f_k(z_{(k)}, z'_{(k)})\big)

    Every part learns to recognise partners alone; with the sum of the scores one part could rely on
    another. All parts share the encoder. Each term is a bound, and so is their mean.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.comparisons import Codes, Parts
    >>> from sklearn_mi.critics import Split
    >>> codes = Codes(torch.zeros(3, 5), torch.zeros(3, 5), Split().build(5, 5))
    >>> [part.z_x.shape for part in Parts().build([(5,), (5,)])(codes, None)]
    [torch.Size([3, 3]), torch.Size([3, 2])]
    """

    needs_parts: ClassVar[bool] = True

    def build(self, shapes: Sequence[Shape]) -> ComparisonModule:
        """Return the module, which has no parameters."""
        return _PartsModule()

    def check(self, objective: Objective, critic: nn.Module) -> None:
        """Reject a critic without parts, and an objective made for whole codes.

        Raises
        ------
        ValueError
            If the critic does not cut codes. Also if the objective has a head, which is as wide as
            the whole code, or a state, which the parts would share.
        """
        _with_parts(critic)
        self.check_objective(objective)

    def check_objective(self, objective: Objective) -> None:
        """Reject an objective made for one stream of whole codes.

        Raises
        ------
        ValueError
            If it has a head, which is as wide as the whole code, or a state, which the parts would
            share.
        """
        if objective.has_head:
            raise ValueError(
                f"objective={objective!r} has a head for codes of one width, and 'each-part' cuts "
                "them; expected one without, such as 'infonce'."
            )
        if objective.keeps_state:
            raise ValueError(
                f"objective={objective!r} remembers batches, and the parts of 'each-part' would "
                "share one memory; expected one without, such as 'donsker-varadhan'."
            )


def as_comparison(value: Any) -> Comparison:
    """Return the comparison that a name or an object means.

    Parameters
    ----------
    value : str or Comparison

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If ``value`` is neither a name nor a Comparison.

    Examples
    --------
    >>> from sklearn_mi.comparisons import as_comparison
    >>> as_comparison("each-part")
    Parts()
    """
    comparison = resolve("comparison", value, COMPARISONS)
    if not isinstance(comparison, Comparison):
        raise TypeError(
            f"comparison={value!r}; expected one of {sorted(COMPARISONS)} or a Comparison."
        )
    return comparison


COMPARISONS: dict[str, Callable[[], Comparison]] = {"whole": Whole, "each-part": Parts}
