"""The two sides of a pair model: their encoders and heads, and tables that rows lack."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_mi._base import Shape
from sklearn_mi.encoders import as_encoder, code_width
from sklearn_mi.encoders.beside import side_by_side
from sklearn_mi.negatives import InBatch, OtherGroups, as_negatives
from sklearn_mi.recipe import Draft, Recipe
from sklearn_mi.rows import Data, check_common
from sklearn_mi.views import View

__all__ = [
    "LIKE_FIRST",
    "SlowSide",
    "build_encoders",
    "Tables",
    "build_heads",
    "check_lacking",
    "descriptions",
    "filled",
    "output_of",
    "second_encoder",
]

LIKE_FIRST = ("shared", "separate")


def second_encoder(draft: Draft | Recipe, view: View, shapes: Sequence[Shape]) -> Any:
    """Return "shared", "separate" (others like the first), its own description, or a list."""
    wanted = view.default_encoder_y if draft.encoder_y is None else draft.encoder_y
    if isinstance(wanted, str) and wanted == "shared" and len(set(shapes)) > 1:
        views = "two views" if len(shapes) == 2 else "tables"
        raise ValueError(
            f"encoder_y='shared' needs {views} of one shape, but they have "
            f"{' and '.join(map(str, shapes))}; use encoder_y='separate'."
        )
    return wanted


def descriptions(encoder: Any, encoder_y: Any, n: int) -> list[Any]:
    """Return what describes the encoder of each of n tables."""
    if isinstance(encoder_y, list | tuple):
        if len(encoder_y) != n - 1:
            raise ValueError(
                f"encoder_y has {len(encoder_y)} encoders; expected {n - 1}, one for each further "
                "table, or one description for all."
            )
        return [encoder, *encoder_y]
    is_like_first = isinstance(encoder_y, str) and encoder_y in LIKE_FIRST
    return [encoder, *[encoder if is_like_first else encoder_y] * (n - 1)]


def build_encoders(
    draft: Draft | Recipe, second: Any, shapes: Sequence[Shape]
) -> tuple[nn.Module, nn.Module | None, tuple[int, ...]]:
    """Return the encoders of both sides, or one and None, and the width of each table's code."""
    is_from_file = isinstance(draft, Recipe)

    def build(description: Any, name: str, shape: Shape) -> nn.Module:
        encoder = as_encoder(description, name)
        return (encoder.skeleton() if is_from_file else encoder).build(shape, draft.n_components)

    encoder = build(draft.encoder, "encoder", shapes[0])
    width = code_width(encoder, shapes[0])
    others = shapes[1:]
    if isinstance(second, str) and second == "shared":
        again = None if len(others) == 1 else _beside([encoder] * len(others), others)
        return encoder, again, (width,) * len(shapes)
    described = descriptions(draft.encoder, second, len(shapes))[1:]
    built = [build(each, "encoder_y", s) for each, s in zip(described, others, strict=True)]
    widths = (width, *(code_width(each, s) for each, s in zip(built, others, strict=True)))
    return encoder, _beside(built, others), widths


def _beside(networks: Sequence[nn.Module], shapes: Sequence[Shape]) -> nn.Module:
    return side_by_side(networks, [math.prod(shape) for shape in shapes])


def build_heads(
    description: Any, widths: tuple[int, ...], second: Any
) -> tuple[nn.Module | None, nn.Module | None, tuple[int, ...]]:
    """Return the heads, or None, and the widths of the codes that the critic sees.

    Sides share a head if they share the encoder: ``second`` is "shared".
    """
    if description is None:
        return None, None, widths
    shared = isinstance(second, str) and second == "shared"
    head = as_encoder(description, "head")
    heads = [head.build((widths[0],), None)]
    heads += heads * (len(widths) - 1) if shared else [head.build((w,), None) for w in widths[1:]]
    codes = tuple(code_width(each, (w,)) for each, w in zip(heads, widths, strict=True))
    is_one = shared and len(widths) == 2
    return heads[0], None if is_one else side_by_side(heads[1:], widths[1:]), codes


class SlowSide(nn.Module):
    """A slow copy of an encoder and its head: a moving average of their weights, not trained.

    Parameters
    ----------
    encoder : Module
    head : Module or None
    momentum : float
        Share of the slow weights that stays in each step.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module | None, momentum: float) -> None:
        super().__init__()
        self.encoder, self.head = copy.deepcopy((encoder, head))
        self.requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return slow codes."""
        z = self.encoder(x)
        return z if self.head is None else self.head(z)

    @torch.no_grad()
    def follow(self, encoder: nn.Module, head: nn.Module | None) -> None:
        """Move the slow weights towards the trained ones, in place."""
        trained = [w for part in (encoder, head) if part is not None for w in part.parameters()]
        slow: list[Tensor] = [*self.parameters()]
        if slow:
            torch._foreach_lerp_(slow, [*trained], 1 - self.momentum)  # type: ignore[attr-defined]


def check_lacking(model: Any, data: Data, index: np.ndarray) -> None:
    """Refuse rows that lack tables where these are not compared pair by pair, or too few rows.

    Parameters
    ----------
    model : PairModel
    data : Data
    index : ndarray of int

    Raises
    ------
    ValueError
        It names the cure.
    """
    if data.present is None:
        return
    check_common(data.present[index], model.pairs)
    if not data.lacks_tables(index):
        return
    if not hasattr(model.critic, "pairs"):
        raise ValueError(
            f"Rows lack tables, but comparison={model.recipe.comparison!r} needs all of them; take "
            "comparison='cmc', or drop these rows."
        )
    negatives = as_negatives(model.recipe.negatives)
    if not isinstance(negatives, InBatch | OtherGroups):
        raise ValueError(
            f"Rows lack tables, but negatives={model.recipe.negatives!r} needs all of them; take "
            "negatives='batch' or 'other-groups', or drop these rows."
        )


class Tables:
    """The tables in a batch, and which rows have which of them.

    Parameters
    ----------
    sides : sequence of Tensor of shape (b, p)
        The first view, and the second one, in which several tables may stand side by side; all
        numbers of a table are NaN in rows that lack it.
    shapes : sequence of tuple of int
        Shapes of a row of each table.
    """

    def __init__(self, sides: Sequence[Tensor], shapes: Sequence[Shape]) -> None:
        whole = torch.cat([side.flatten(1) for side in sides], dim=1)
        parts = whole.split([math.prod(shape) for shape in shapes], dim=1)
        self.present = torch.stack([~part.isnan().all(1) for part in parts], dim=1)

    @property
    def are_all_there(self) -> bool:
        """Whether every row has every table."""
        return bool(self.present.all())

    def hidden(self, codes: Tensor, widths: Sequence[int], columns: Tensor) -> Tensor:
        """Return codes of the tables, side by side, that are NaN where a row lacks a table.

        The columns themselves may stand behind the codes.
        """
        gone = [~self.present[:, [i]].expand(-1, width) for i, width in enumerate(widths)]
        behind = columns[:, : codes.shape[1] - sum(widths)].isnan()
        return codes.masked_fill(torch.cat([*gone, behind], dim=1), torch.nan)


def filled(x: Any) -> Any:
    """Return a batch, or a pair of them, with 0 where a row lacks a table.

    Parameters
    ----------
    x : Tensor or pair of Tensor

    Returns
    -------
    x : Tensor or pair of Tensor
    """
    if isinstance(x, Tensor):
        return x.masked_fill(x.isnan(), 0.0)
    return tuple(filled(side) for side in x)


def output_of(
    x: Tensor,
    output: str,
    view: View,
    state: dict[str, Any] | None,
    encoder: nn.Module,
    encoder_y: nn.Module,
) -> Tensor:
    """Return the codes of a scaled batch that ``output`` names.

    Parameters
    ----------
    x : Tensor of shape (b, ...)
    output : {"first", "second", "both", "with-columns", "averaged"}
    view : View
    state : dict of Tensor or None
        What the view's ``fit`` returned.
    encoder, encoder_y : Module

    Returns
    -------
    codes : Tensor of shape (b, width)
    """
    if output == "averaged":
        codes = [functional.normalize(encoder(form)) for form in view.variants(x, state)]
        return torch.stack(codes).mean(0)
    first, second = view.inputs(x, state)
    if output == "first":
        return encoder(first)
    if output == "with-columns":
        return torch.cat([encoder(first), x.flatten(1)], dim=1)
    if output == "second":
        return encoder_y(second)
    return torch.cat([encoder(first), encoder_y(second)], dim=1)


def output_with_gaps(
    x: Tensor,
    output: str,
    view: View,
    state: dict[str, Any] | None,
    encoder: nn.Module,
    encoder_y: nn.Module,
    *,
    shapes: Sequence[Shape],
    widths: Sequence[int],
) -> Tensor:
    """Return the codes that ``output`` names, NaN where a row lacks the table that they encode.

    Parameters
    ----------
    x, output, view, state, encoder, encoder_y
        As for `output_of`; numbers of a table that a row lacks are NaN.
    shapes : sequence of tuple of int
        Shapes of a row of each table.
    widths : sequence of int
        Widths of their codes.

    Returns
    -------
    codes : Tensor of shape (b, width)
    """
    z = output_of(filled(x), output, view, state, encoder, encoder_y)
    sides = [x] if view.paired else view.inputs(x, state)
    tables = Tables(sides, shapes[: 1 if view.paired else None])
    of = {"second": (0, *widths[1:]), "both": widths}
    return tables.hidden(z, of.get(output, widths[:1]), x.flatten(1))
