"""Contrastive multiview coding: every pair of several tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Objective, Shape
from sklearn_mi.comparisons.base import Comparison, ComparisonModule, Maps, refuse_state
from sklearn_mi.comparisons.whole import Whole
from sklearn_mi.tiles import CriticModule

if TYPE_CHECKING:
    from torch import Tensor

    from sklearn_mi.critics import Critic

__all__ = ["Multiview"]

Pair = tuple[int, int]


class _CriticOfPairs(CriticModule):
    """A critic for each pair of tables; as a whole, the first table against all others."""

    def __init__(
        self, pairs: Sequence[Pair], critics: Sequence[nn.Module], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.pairs, self.widths = list(pairs), list(widths)
        self.critics = nn.ModuleList(critics)

    def compared(self, z_x: Tensor, z_y: Tensor) -> list[tuple[Tensor, Tensor, nn.Module]]:
        """Return the codes of each pair of tables, and its critic.

        Of the second side, columns beyond the rows of the first are candidates only.
        """
        tables = [z_x, *z_y.split(self.widths[1:], dim=1)]
        return [
            (tables[i][: len(z_x)], tables[j], critic)
            for (i, j), critic in zip(self.pairs, self.critics, strict=True)
        ]

    def forward(self, z_x: Tensor, z_y: Tensor) -> Tensor:
        of_first = [
            critic(a, b)
            for (i, _), (a, b, critic) in zip(self.pairs, self.compared(z_x, z_y), strict=True)
            if i == 0
        ]
        return torch.stack(of_first).sum(0)


class _MultiviewModule(ComparisonModule):
    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        return [pair for pair in self.of_pairs(codes) if pair is not None]

    def of_pairs(self, codes: Codes) -> list[Codes | None]:
        """Return the codes of each pair of tables, None where fewer than two rows have both."""
        masks: dict[str, Any] = {"negatives": codes.negatives, "positives": codes.positives}
        compared = codes.critic.compared(codes.z_x, codes.z_y)  # type: ignore[attr-defined]
        made = [Codes(a, b, critic, **masks) for a, b, critic in compared]
        if codes.present is None:
            return list(made)
        tables: Any = codes.critic.pairs
        both = [codes.present[:, i] & codes.present[:, j] for i, j in tables]
        pairs = zip(made, both, strict=True)
        return [pair.subset(rows) if rows.sum() > 1 else None for pair, rows in pairs]


@dataclass(repr=False, eq=False)
class Multiview(Comparison):
    r"""Score every pair of several tables: contrastive multiview coding (CMC).

    .. math:: \frac1{|P|} \sum_{(i, j) \in P} I\big(f_{ij}(z_i, z_j)\big)

    Each table has an encoder and each pair of tables P a critic of its own. Every term of a lower
    bound such as InfoNCE is at most the mutual information of its pair, so their mean is a lower
    bound on the mean over the pairs. The rows of the table that comes first are scored against
    those of the other; ``objective="infonce-symmetric"`` scores both ways, as the paper does. The
    learner's ``score`` takes the first table alone against all others that it is compared with:
    their scores are added. Two tables are compared as by `Whole`.

    A row may lack a table: all of its values there are missing. It takes part in the pairs of
    tables that it has, and in no other; ``score`` is then the mean over the pairs, too.

    Parameters
    ----------
    core : int or None, default=None
        Number of a table, from 0, that is compared with each of the others. None: every pair.

    References
    ----------
    Contrastive Multiview Coding (Tian, Krishnan & Isola, 2020), https://arxiv.org/abs/1906.05849

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.comparisons import Multiview
    >>> A, B, C = np.random.default_rng(0).normal(size=(3, 60, 4))
    >>> learner = MIRepresentationLearner(2, comparison=Multiview(core=0), max_steps=5)
    >>> learner.fit(A, X_pair=[B, C]).transform(A).shape
    (60, 2)
    >>> learner.transform_pair([B, C]).shape
    (60, 4)
    """

    core: int | None = None
    allows_parts: ClassVar[bool] = True

    @property
    def method(self) -> str | None:
        """Return "cmc"."""
        return "cmc"

    def pairs(self, n: int) -> list[Pair]:
        """Return which of n tables are compared with which.

        Parameters
        ----------
        n : int

        Returns
        -------
        pairs : list of tuple of int
            Numbers of two tables, the smaller first.

        Raises
        ------
        ValueError
            If ``core`` is no number of a table.

        Examples
        --------
        >>> from sklearn_mi.comparisons import Multiview
        >>> Multiview().pairs(3), Multiview(core=1).pairs(3)
        ([(0, 1), (0, 2), (1, 2)], [(0, 1), (1, 2)])
        """
        core = self.core
        if core is None:
            return list(combinations(range(n), 2))
        if isinstance(core, bool) or not isinstance(core, Integral) or not 0 <= core < n:
            raise ValueError(
                f"core={core!r}; expected the number of one of the {n} tables, 0 to {n - 1}, or "
                "None for every pair."
            )
        return [pair for pair in combinations(range(n), 2) if core in pair]

    def pair_widths(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        """Return the widths of the codes of a pair, of one with unequal widths if there is any."""
        widths = [(shapes[i][0], shapes[j][0]) for i, j in self.pairs(len(shapes))]
        return max(widths, key=lambda pair: pair[0] != pair[1])

    def build_critic(self, critic: Critic, shapes: Sequence[Shape]) -> nn.Module:
        """Return a critic for each pair of tables."""
        pairs = self.pairs(len(shapes))
        if len(shapes) == 2:
            return super().build_critic(critic, shapes)
        widths = [width for (width,) in shapes]
        built = [critic.build(widths[i], widths[j]) for i, j in pairs]
        return _CriticOfPairs(pairs, built, widths)

    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
        """Return the module, which has no parameters."""
        return Whole().build(shapes) if len(shapes) == 2 else _MultiviewModule()

    def check(self, objective: Objective, critic: nn.Module) -> None:
        """Reject an objective that several pairs of tables would share.

        Raises
        ------
        ValueError
            If it has a head or a state, and there are more than two tables.
        """
        if isinstance(critic, _CriticOfPairs):
            refuse_state(objective, "cmc")
