"""Comparisons: what is scored against what, as a list of score matrices a batch.

A comparison takes the codes of one batch apart or puts them together: whole codes (the default),
parts of a code, a global code against the places of a map, a context against later steps. Each
element of its list is an ordinary `Codes` with positives and negatives of its own; what training
maximises, and what is reported, is the mean over the list.
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
    """Return the mean of a value over what a comparison returns.

    Parameters
    ----------
    compared : sequence of Codes
    of : callable
        From `Codes` to a Tensor of shape ().

    Returns
    -------
    mean : Tensor of shape ()
        Of one element the value itself.

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
    """What `Comparison.build` returns: takes a batch apart; owner of the heads that this needs.

    Heads that it trains (the matrices of CPC, the discriminator of a prior) are its parameters.

    Attributes
    ----------
    caveat : str or None
        Why the mean over the list is no bound, such as candidates that depend on each other
        (several places of one image); None: a bound stays one.
    is_whole : bool
        Whether it returns the codes as they are, so that the objective reports what it would
        report without a comparison.
    """

    caveat: str | None = None
    is_whole: ClassVar[bool] = False

    @abstractmethod
    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        """Return what is scored against what.

        Parameters
        ----------
        codes : Codes
            Of one batch, with the mask of its negatives: codes of shape (n, d), (m, d'). Where
            encoders give maps or sequences, these stand in ``z_x`` and ``z_y`` with their own
            axes after the first, (n, channels, height, width), (n, time, d).
        rows : Tensor of int or None
            Numbers of the training rows; None for rows that ``fit`` did not see.

        Returns
        -------
        compared : list of Codes
            At least one, each with codes (n, d), (k, d') that its critic takes. Row i belongs to
            row i of the batch, since errors leave out rows of the batch; a row may have several
            positives, or none. Whoever adds columns gives both masks their cells.
        """

    def candidates(self, n: int) -> int:
        """Return how many candidates a row has where the negatives leave it n."""
        return n


class Comparison(Component, ABC):
    """Base of the comparisons' descriptions; a subclass writes `build`.

    Attributes
    ----------
    needs_parts : bool
        Whether it needs a critic that cuts codes into parts, which ``critic="auto"`` then is.

    Examples
    --------
    Every other component of a code against the same components of the other one:

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
        """Return the module, with heads drawn from torch's global generator if it has any.

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
        """Refuse an objective or a critic that does not go with the comparison.

        Parameters
        ----------
        objective : Objective
        critic : Module
            As it was built.

        Raises
        ------
        ValueError
            If so; by default never.
        """
        return None


class _WholeModule(ComparisonModule):
    is_whole: ClassVar[bool] = True

    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        return [codes]


@dataclass(repr=False, eq=False)
class Whole(Comparison):
    """Whole codes: every row's code against those of all rows.

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
    r"""The parts that a `sklearn_mi.critics.Split` critic cuts codes into, each by itself.

    .. math:: \frac1K \sum_k I\big(f_k(z_{(k)}, z'_{(k)})\big)

    Every part learns to tell partners by itself, where the sum of the scores lets one part lean on
    another; they share the encoder below. Each term is a bound, and so is their mean.

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
        """Refuse a critic without parts, and an objective that is made for whole codes.

        Raises
        ------
        ValueError
            If the critic cuts nothing, or the objective has a head, which is as wide as the whole
            code, or a state, which parts would share.
        """
        _with_parts(critic)
        self.check_objective(objective)

    def check_objective(self, objective: Objective) -> None:
        """Refuse an objective that is made for one stream of whole codes.

        Raises
        ------
        ValueError
            If it has a head, which is as wide as the whole code, or a state, which parts would
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
    """Return the comparison that a name or an object stands for.

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
