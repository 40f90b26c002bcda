"""The contract of a comparison, and the mean over what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from sklearn_mi._base import Codes, Component, Objective, Shape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Codes",
    "Comparison",
    "ComparisonModule",
    "Maps",
    "mean_over",
    "refuse_codes",
    "refuse_state",
    "scored",
]

# Shapes of one row's feature maps, by the names of their layers.
Maps = Mapping[str, Shape]


def mean_over(compared: Sequence[Codes], of: Callable[[Codes], Tensor]) -> Tensor:
    """Return the weighted mean of a value over the list that a comparison returns.

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
    if len(values) == 1:
        return values[0]
    weights = [codes.weight for codes in compared]
    if len(set(weights)) == 1:
        return torch.stack(values).mean()
    total = sum(weights)
    return sum(weight / total * value for weight, value in zip(weights, values, strict=True))  # type: ignore[return-value]


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
    owns_scores : bool
        Whether heads of its own score, so that the critic of whole codes is never trained. The
        reported InfoNCE is then that of the comparison.
    needs_kindred : bool
        Whether it reads `Codes.kindred`.
    rows_alone : bool
        Whether candidates are drawn for each row, so that columns of scores have no partners.
    keeps_rows : bool
        Whether rows and columns of what it returns are those of the codes, so that some rows may
        be compared without the others.
    n_draws : int
        How many uniform draws of each row `Codes.draws` holds.
    """

    caveat: str | None = None
    is_whole: ClassVar[bool] = False
    owns_scores: ClassVar[bool] = False
    needs_kindred: ClassVar[bool] = False
    rows_alone: bool = False
    keeps_rows: ClassVar[bool] = False
    n_draws: int = 0

    @abstractmethod
    def forward(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        """Return the list of codes to score against each other.

        Parameters
        ----------
        codes : Codes
            Codes of one batch, of shape (n, d), (m, d'), with the mask of its negatives, and with
            the feature maps of the layers that `Comparison.layers` names.
        rows : Tensor of int or None
            Numbers of the training rows; None for rows that ``fit`` did not see.

        Returns
        -------
        compared : list of Codes
            At least one, each with codes that its critic accepts, or with its scores. A row may
            have several positives, or none. If you add rows or columns, extend both masks.
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
    allows_parts : bool
        Whether critic and objective may cut what it compares into parts, as they may by default.
    method : str or None
        Whose defaults hold for parameters left open: a key of `sklearn_mi.recipe.METHODS`.
    needs_kindred : bool
        Whether it needs to know which rows of a batch are partners of one another.
    layers : tuple of str
        Layers of the encoders whose feature maps it compares; see `Encoder.layers`.

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
    allows_parts: ClassVar[bool] = False

    @property
    def method(self) -> str | None:
        """Return whose defaults hold; by default those of the kind of data."""
        return None

    @property
    def needs_kindred(self) -> bool:
        """Return whether rows that are partners of one another must be known; by default no."""
        return False

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers whose feature maps are compared; by default none."""
        return ()

    @abstractmethod
    def build(self, shapes: Sequence[Shape], maps: Sequence[Maps] = ()) -> ComparisonModule:
        """Return the module, the weights of any heads drawn from torch's global generator.

        Parameters
        ----------
        shapes : sequence of tuple of int
            Shapes of one row's code in the two views: ``(d_x,), (d_y,)``. More if the second side
            holds several tables, whose codes stand side by side: one for each of them.
        maps : sequence of dict
            For each view, the shapes of one row's feature maps by layer: ``(channels, ...)``.
            Empty if `layers` is; a comparison without layers may leave the parameter out.

        Returns
        -------
        module : ComparisonModule

        Raises
        ------
        ValueError
            If a parameter is out of range or the shapes do not fit.
        """

    def pair_widths(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        """Return the widths of the codes that the objective sees; by default those of both sides.

        Parameters
        ----------
        shapes : sequence of tuple of int
            As for `build`.

        Returns
        -------
        widths : tuple of two int
        """
        return shapes[0][0], sum(width for (width,) in shapes[1:])

    def build_critic(self, critic: Any, shapes: Sequence[Shape]) -> nn.Module:
        """Return the critic that scores; by default one for the codes of both sides.

        Parameters
        ----------
        critic : Critic
            Its description.
        shapes : sequence of tuple of int
            As for `build`.

        Returns
        -------
        module : Module
            From the codes of both sides, (n, d_x) and (m, d_y), to scores (n, m).
        """
        return critic.build(*self.pair_widths(shapes))

    def check_negatives(self, negatives: Any) -> None:
        """Reject negatives that the comparison cannot use; by default none.

        Parameters
        ----------
        negatives : Negatives

        Raises
        ------
        ValueError
        """
        return None

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


def refuse_state(objective: Objective, comparison: str) -> None:
    """Reject an objective made for one stream of codes of one width.

    Parameters
    ----------
    objective : Objective
    comparison : str
        What returns several.

    Raises
    ------
    ValueError
        If it has a head, which is as wide as the whole code, or a state, which all would share.
    """
    if objective.has_head:
        raise ValueError(
            f"objective={objective!r} has a head for codes of one width, and {comparison!r} cuts "
            "them; expected one without, such as 'infonce'."
        )
    if objective.keeps_state:
        raise ValueError(
            f"objective={objective!r} remembers batches, and the parts of {comparison!r} would "
            "share one memory; expected one without, such as 'donsker-varadhan'."
        )


def refuse_codes(objective: Objective, comparison: str, *, rows_alone: bool = False) -> None:
    """Reject an objective that sees codes, for a comparison that hands over scores.

    Parameters
    ----------
    objective : Objective
    comparison : str
    rows_alone : bool, default=False
        Whether candidates are drawn for each row, so that columns have no partners.

    Raises
    ------
    ValueError
        If it compares components of codes, or the rows of a column.
    """
    refuse_state(objective, comparison)
    if objective.needs_codes:
        raise ValueError(
            f"objective={objective!r} compares components of codes, and {comparison!r} scores by "
            "networks of its own; expected an objective of scores, such as 'infonce' or 'js'."
        )
    if rows_alone and objective.reported.needs_columns:
        raise ValueError(
            f"objective={objective!r} compares the rows of a column, and {comparison!r} draws "
            "candidates for each row alone; expected one of rows, such as 'infonce'."
        )


def scored(
    scores: Tensor, positives: Tensor, negatives: Tensor | None = None, **more: Any
) -> Codes:
    """Return codes that are known by their scores alone.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
    positives, negatives : Tensor of bool of shape (n, m)
    **more
        Further arguments of `Codes`.

    Returns
    -------
    codes : Codes
    """
    z_x, z_y = (scores.new_zeros(length, 1) for length in scores.shape)
    masks = {"positives": positives, "negatives": negatives}
    return Codes(z_x, z_y, _no_critic, scores=scores, **masks, **more)


def _no_critic(z_x: Tensor, z_y: Tensor) -> Tensor:
    raise RuntimeError("The scores are given.")
