"""Whole codes against whole codes, and parts of a code against the same parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Objective, Shape, check_name
from sklearn_mi.comparisons.base import Comparison, ComparisonModule, Maps, refuse_state
from sklearn_mi.tiles import CriticModule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Parts", "Whole"]


class _WholeModule(ComparisonModule):
    is_whole: ClassVar[bool] = True
    keeps_rows: ClassVar[bool] = True

    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        return [codes]


class _AllPositivesModule(ComparisonModule):
    needs_kindred: ClassVar[bool] = True
    caveat = "rows with several partners are compared with rows of other kinds only"

    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        if codes.kindred is None:
            return [codes]
        n, m = len(codes.z_x), len(codes.z_y)
        positives = torch.eye(n, m, dtype=torch.bool, device=codes.z_x.device)
        positives[:, :n] |= codes.kindred
        negatives = codes.negatives
        if negatives is not None:
            negatives = negatives & ~positives
        masks: dict[str, Any] = {"positives": positives, "negatives": negatives}
        return [Codes(codes.z_x, codes.z_y, codes.critic, **masks)]


@dataclass(repr=False, eq=False)
class Whole(Comparison):
    r"""Score every row's whole code against those of all rows; the default.

    With ``positives="all"`` a row has several partners: all rows of the batch that share its group
    or class, or are its neighbours. Each competes with the row's negatives, and the row gives their
    mean (Khosla et al., 2020, whose sum over other partners in the denominator is left out):

    .. math:: \frac1n \sum_i \frac1{|P_i|} \sum_{p \in P_i}
        \Big[f_{ip} - \log\Big(e^{f_{ip}} + \sum_{j \notin P_i} e^{f_{ij}}\Big)\Big]

    Use it for small groups or many labels. The negatives are then of other kinds only, so the
    value of the objective is no bound; ``score`` compares one partner a row, as ever.

    Parameters
    ----------
    positives : {"partner", "all"}, default="partner"
        "all" needs a view that knows all partners: `sklearn_mi.views.SameGroup`, `SameClass` or
        `Neighbors`, alone or first in a `Compose`.

    References
    ----------
    Supervised Contrastive Learning (Khosla et al., 2020), https://arxiv.org/abs/2004.11362

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.comparisons import Codes, Whole
    >>> codes = Codes(torch.zeros(3, 2), torch.zeros(3, 2), torch.mul)
    >>> Whole().build([(2,), (2,)])(codes, None) == [codes]
    True
    """

    positives: str = "partner"

    @property
    def needs_kindred(self) -> bool:
        """Return whether all partners count."""
        return self.positives == "all"

    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
        """Return the module, which has no parameters.

        Raises
        ------
        ValueError
            If ``positives`` is unknown.
        """
        check_name("positives", self.positives, ("partner", "all"))
        return _AllPositivesModule() if self.needs_kindred else _WholeModule()


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
    keeps_rows: ClassVar[bool] = True

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
