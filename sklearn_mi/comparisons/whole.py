"""Whole codes against whole codes, and parts of a code against the same parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from sklearn_mi._base import Codes, Objective, Shape
from sklearn_mi.comparisons.base import Comparison, ComparisonModule, Maps, refuse_state
from sklearn_mi.tiles import CriticModule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Parts", "Whole"]


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

    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
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
        masks: dict[str, Any] = {"negatives": codes.negatives, "positives": codes.positives}
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

    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
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
        refuse_state(objective, "each-part")
