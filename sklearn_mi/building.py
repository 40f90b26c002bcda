"""Build a pair model from its description, and show it the rows of a user."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sklearn_mi._base import MIWarning, Shape, is_auto
from sklearn_mi.comparisons import Comparison, ComparisonModule, as_comparison
from sklearn_mi.critics import as_critic
from sklearn_mi.encoders import as_encoder
from sklearn_mi.encoders.maps import layer_paths, map_shapes
from sklearn_mi.layers import evaluating
from sklearn_mi.model import PairModel, halved
from sklearn_mi.negatives import as_negatives
from sklearn_mi.objectives import as_objective
from sklearn_mi.recipe import Draft, Recipe
from sklearn_mi.rows import AnyRows, Data, Kind, PairedRows, PartnerRows, Schema, Standardize
from sklearn_mi.runtime import enough_memory, own_randomness
from sklearn_mi.sides import LIKE_FIRST, build_encoders, build_heads, descriptions, second_encoder
from sklearn_mi.views import View

__all__ = ["agrees_in", "build_model", "check_half_size", "rows_of"]

# Images that are tried in another precision, numbers in them, and how far codes may then be from
# those in float32; wrong ones are further away than codes are large.
TRIED_ROWS, TRIED_NUMBERS, LARGEST_DIFFERENCE = 16, 2**19, 0.5


@enough_memory("take fewer n_components, a narrower encoder or a shorter Queue")
def build_model(
    draft: Draft | Recipe,
    view: View,
    state: dict[str, Tensor] | None,
    schemas: tuple[Schema, Schema | None],
    scales: tuple[Standardize, Standardize | None],
    seed: int,
) -> PairModel:
    """Build every module from its description, on the CPU, from a separate random stream.

    Parameters
    ----------
    draft : Draft or Recipe
        Open choices of a draft are resolved once the encoders are built.
    view : View
        The fitted view; ``state`` is what its ``fit`` returned.
    state : dict of Tensor or None
    schemas : tuple of Schema
        Those of the table and of the paired table, or None.
    scales : tuple of Standardize
    seed : int

    Returns
    -------
    model : PairModel

    Raises
    ------
    ValueError
        If parts do not fit together, or if none of them has a weight to train.
    MemoryError
        If their weights do not fit in memory.
    """
    _check_kinds(draft, view, schemas)
    with own_randomness(seed):
        row_shape = schemas[0].kind.row_shape
        shapes = view.shapes(row_shape, state)
        if schemas[1] is not None:
            shapes = shapes[0], *schemas[1].row_shapes
        second = second_encoder(draft, view, shapes)
        encoder, encoder_y, widths = build_encoders(draft, second, shapes)
        head, head_y, codes = build_heads(draft.head, widths, second)
        output = _output(draft.output, view, row_shape, state)
        recipe = draft.finish(codes, second, output)
        comparison, objective = as_comparison(recipe.comparison), as_objective(recipe.objective)
        code_shapes = [(width,) for width in codes]
        critic = comparison.build_critic(as_critic(recipe.critic), code_shapes)
        negatives = as_negatives(recipe.negatives)
        comparison.check(objective, critic)
        comparison.check_negatives(negatives)
        modules = encoder, encoder_y or encoder
        paths, maps = _paths_and_maps(recipe, modules, shapes, comparison.layers)
        model = PairModel(
            recipe=recipe,
            view=view,
            state=state,
            scale=scales[0],
            scale_pair=scales[1],
            encoder=encoder,
            encoder_y=encoder_y,
            head=head,
            head_y=head_y,
            critic=critic,
            negatives=negatives.build(sum(codes[1:])),
            comparison=_compared(comparison, code_shapes, maps),
            objective=objective.build(*comparison.pair_widths(code_shapes)),
            shapes=shapes,
            widths=widths,
            paths=paths,
            of_recordings=[(schema or schemas[0]).kind.is_sequence for schema in schemas],
        )
    _check_comparison(model)
    _check_negatives(model, is_new=isinstance(draft, Draft))
    _check_weights(model)
    return model


def _paths_and_maps(
    recipe: Recipe, modules: Sequence[nn.Module], shapes: Sequence[Shape], layers: Sequence[str]
) -> tuple[tuple[dict[str, str], dict[str, str]], list[dict[str, Shape]]]:
    """Return, for each view, the paths and the shapes of the feature maps that are compared."""
    if not layers:
        return ({}, {}), []
    if len(shapes) > 2:
        raise ValueError(
            f"comparison={recipe.comparison!r} compares feature maps of two views, but there are "
            f"{len(shapes)} tables; take comparison='cmc'."
        )
    wanted = descriptions(recipe.encoder, recipe.encoder_y, 2)
    first, second = (
        layer_paths(as_encoder(description), module, shape, layers)
        for description, module, shape in zip(wanted, modules, shapes, strict=True)
    )
    maps = zip(modules, shapes, (first, second), strict=True)
    return (first, second), [map_shapes(*each) for each in maps]


def _check_comparison(model: PairModel) -> None:
    """Refuse a view that does not tell enough, and a critic that would not be trained."""
    recipe = model.recipe
    if model.comparison.needs_kindred and not model.view.knows_kindred:
        raise ValueError(
            f"comparison={recipe.comparison!r} needs all partners of a row, which "
            f"view={recipe.view!r} does not know; expected 'same-group', 'same-class' or "
            "'neighbors'."
        )
    if model.comparison.owns_scores and not is_auto(given := recipe.given.get("critic", "auto")):
        raise ValueError(
            f"critic={given!r} does not go with comparison={recipe.comparison!r}, which scores by "
            "networks of its own; leave critic='auto'."
        )


def _check_negatives(model: PairModel, *, is_new: bool) -> None:
    """Refuse a slow copy of one of two encoders; warn of negatives that do harm."""
    made = model.recipe.negatives
    if model.slow is not None and (model.second_encoder is not None or any(model.paths)):
        raise ValueError(
            f"negatives={made!r} needs one encoder for both views and no feature maps, since its "
            "slow copy is not trained: take encoder_y='shared', or negatives='batch'."
        )
    if is_new and (advice := as_negatives(made).advice):
        warnings.warn(advice, MIWarning, stacklevel=2)
    if is_new and as_negatives(made).needs_groups and not getattr(model.objective, "masked", True):
        warnings.warn(
            f"negatives={made!r} changes the reported bound alone: "
            f"objective={model.recipe.objective!r} is a formula of all codes, whose groups it does "
            "not see; take one of negatives, such as 'infonce'.",
            MIWarning,
            stacklevel=2,
        )


def _check_weights(model: PairModel) -> None:
    """Refuse parts that have nothing to train."""
    if not any(weight.requires_grad for weight in model.parameters()):
        recipe = model.recipe
        raise ValueError(
            f"encoder={recipe.encoder!r} and critic={recipe.critic!r} have no weights to train; "
            "expected them in at least one, such as critic='bilinear'."
        )


def _check_kinds(draft: Draft | Recipe, view: View, schemas: Sequence[Schema | None]) -> None:
    """Refuse what takes recordings on other rows, and what takes others on recordings."""
    kinds = [schema.kind for schema in schemas if schema is not None]
    second = draft.encoder_y
    is_own = second is not None and not (isinstance(second, str) and second in LIKE_FIRST)
    parts: list[tuple[str, Any, Any, Kind]] = [("view", draft.view, view, kinds[0])]
    parts.append(("encoder", draft.encoder, as_encoder(draft.encoder), kinds[0]))
    if is_own and not isinstance(second, list | tuple):
        parts.append(("encoder_y", second, as_encoder(second, "encoder_y"), kinds[-1]))
    for name, given, part, kind in parts:
        if part.takes == "recordings" and not kind.is_sequence:
            raise ValueError(
                f"{name}={given!r} takes recordings, but it gets rows of shape {kind.row_shape}; "
                "expected X of shape (n, time, channels), or a list of arrays of shape (time, "
                "channels), and front_end=None."
            )
        if part.takes == "others" and kind.is_sequence:
            raise ValueError(
                f"{name}={given!r} takes images or tables, but {kind.reason}. Pass "
                f"input_shape={kind.source_shape} if they are images, or name one of recordings."
            )


def _compared(
    comparison: Comparison, shapes: Sequence[Shape], maps: list[dict[str, Shape]]
) -> ComparisonModule:
    return comparison.build(shapes, maps) if maps else comparison.build(shapes)


def _output(wanted: str | None, view: View, shape: Shape, state: dict[str, Tensor] | None) -> str:
    """Return which code ``transform`` gives, checked against the view."""
    output = view.default_output if wanted is None else wanted
    if view.paired and output in ("second", "both"):
        raise ValueError(
            f"output={output!r} needs both views in one row, but the second comes from X_pair; "
            "leave output=None and use transform and transform_pair."
        )
    if output == "averaged":
        on_cpu = {name: tensor.cpu() for name, tensor in (state or {}).items()} or None
        if view.paired or len(view.variants(torch.zeros(1, *shape), on_cpu)) == 1:
            raise ValueError(
                f"output={output!r} needs a view that makes its pair by cropping or flipping one "
                f"image, such as 'simclr', but view={view!r} does not; leave output=None."
            )
    return output


def rows_of(
    data: Data,
    index: np.ndarray | None,
    view: View,
    scales: tuple[Standardize, Standardize | None],
    generator: torch.Generator,
    *,
    stream: bool = False,
) -> AnyRows:
    """Return the rows of an index as a view sees them: alone, or with their partners.

    Parameters
    ----------
    data : Data
    index : ndarray of int or None
        None: all rows.
    view : View
    scales : tuple of Standardize
    generator : torch.Generator
        Source of the draws of partners; the rows go to its device.
    stream : bool, default=False
        Convert batch by batch even if the rows would fit.

    Returns
    -------
    rows : Rows, PairedRows or PartnerRows
    """
    device, which = generator.device, slice(None) if index is None else index
    groups, y = (None if v is None else v[which] for v in (data.groups, data.y))
    alike = y if groups is None and "y" in view.needs else groups
    numbers = None if alike is None else pd.factorize(alike)[0]
    sides = [
        side.rows(scale.to(device), device, index, stream=stream, groups=numbers)
        for side, scale in zip(data.sides, scales, strict=True)
        if side is not None and scale is not None
    ]
    if data.present is not None:
        made = PairedRows(*sides) if len(sides) == 2 else sides[0]
        made.lacks = data.lacks_tables(index)
        return made
    if len(sides) == 2:
        return PairedRows(*sides)
    (first,) = sides
    partners = view.partners(len(first), groups, y)
    return first if partners is None else PartnerRows(first, partners.to(device), generator)


def check_half_size(model: PairModel, row_shape: Shape, share: float) -> None:
    """Refuse rows that are no images, and encoders that take images of one size.

    Parameters
    ----------
    model : PairModel
    row_shape : tuple of int
    share : float
        Of the steps that see images at half of their size.

    Raises
    ------
    ValueError
        It names the cure.
    """
    if any(model.paths):
        raise ValueError(
            f"half_size={share}, but comparison={model.recipe.comparison!r} has networks for maps "
            "of one size: set half_size=0."
        )
    shapes = model.view.shapes(row_shape, model.state.tensors())
    model.eval()
    for encoder, shape in zip((model.encoder, model.encoder_y), shapes, strict=True):
        if len(shape) < 2 or min(shape[:2]) < 4:
            raise ValueError(
                f"half_size={share}, but a view of a row has shape {shape}; expected images of at "
                "least 4 x 4 pixels: set half_size=0."
            )
        try:
            with torch.no_grad():
                encoder(halved(torch.zeros(2, *shape, device=model.scale.mean.device)))
        except RuntimeError as error:
            raise ValueError(
                f"half_size={share}, but the encoder takes images of {shape} alone; expected one "
                "that averages over places, such as 'convnet': set half_size=0."
            ) from error


def agrees_in(model: PairModel, dtype: torch.dtype, *, small: bool = False) -> bool:
    """Return whether convolutions on the CPU give in a precision what they give in float32.

    Some processors compute some shapes of images wrongly in bfloat16: with the instructions AMX,
    oneDNN leaves places unwritten where an image becomes one pixel wide.

    Parameters
    ----------
    model : PairModel
    dtype : torch.dtype
    small : bool, default=False
        Whether training also sees images at half of their size.
    """
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return True
    for encoder, shape in zip((model.encoder, model.encoder_y), model.shapes, strict=False):
        n_rows = min(TRIED_ROWS, max(2, TRIED_NUMBERS // math.prod(shape)))
        draws = torch.Generator().manual_seed(0)
        x = torch.rand(n_rows, *shape, generator=draws)
        with evaluating(encoder), torch.enable_grad():
            agree = all(_agree(encoder, seen, dtype) for seen in ([x, halved(x)] if small else [x]))
        if not agree:
            return False
    return True


def _agree(encoder: nn.Module, x: torch.Tensor, dtype: torch.dtype) -> bool:
    exact = _codes_and_gradient(encoder, x)
    with torch.autocast("cpu", dtype=dtype):
        found = _codes_and_gradient(encoder, x)
    return all(
        bool((a - b).norm() <= LARGEST_DIFFERENCE * a.norm())
        for a, b in zip(exact, found, strict=True)
    )


def _codes_and_gradient(encoder: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes, and the gradient of a fixed random combination of them."""
    z = encoder(x).float()
    weights = [weight for weight in encoder.parameters() if weight.requires_grad]
    if not weights:
        return z, z
    combined = (z * torch.randn(z.shape, generator=torch.Generator().manual_seed(1))).sum()
    parts = torch.autograd.grad(combined, weights, allow_unused=True)
    return z.detach(), torch.cat([part.flatten().float() for part in parts if part is not None])
