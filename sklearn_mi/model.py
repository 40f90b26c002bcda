"""The pair model, which holds every module of one learner."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sklearn_mi._base import Codes, Shape
from sklearn_mi.comparisons import ComparisonModule, mean_over
from sklearn_mi.encoders import as_encoder
from sklearn_mi.encoders.maps import code_and_maps
from sklearn_mi.encoders.sequences import module_of_steps
from sklearn_mi.objectives import as_objective
from sklearn_mi.processes import ALONE, beside_all, gathered
from sklearn_mi.recipe import Recipe
from sklearn_mi.rows import (
    Kind,
    Schema,
    Standardize,
    Table,
)
from sklearn_mi.runtime import is_recorded, own_randomness
from sklearn_mi.sides import (
    SlowSide,
    Tables,
    descriptions,
    filled,
    output_of,
    output_with_gaps,
)
from sklearn_mi.views import View

__all__ = [
    "PairModel",
    "global_stream",
    "halved",
]

# Images of both views that a CPU convolves in one call: the output stays in its cache.
NUMBERS_AT_ONCE = 2**17
# Codes, and feature maps by the names of their layers.
Encoded = tuple[Tensor, dict[str, Tensor]]


class _State(nn.Module):
    """The tensors of a view as buffers, so they move and are saved with the model."""

    def __init__(self, state: dict[str, Tensor] | None, transient: Sequence[str]) -> None:
        super().__init__()
        for name, tensor in (state or {}).items():
            self.register_buffer(name, tensor, persistent=name not in transient)

    def tensors(self) -> dict[str, Tensor] | None:
        return dict(self.named_buffers()) or None

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            self._buffers.pop(name, None)


def _in_full(z: Tensor, maps: dict[str, Tensor]) -> Encoded:
    return z.float(), {layer: made.float() for layer, made in maps.items()}


def halved(images: Tensor) -> Tensor:
    """Return images at half of their size: means over 2 x 2 pixels.

    Parameters
    ----------
    images : Tensor of shape (n, h, w) or (n, h, w, c)

    Returns
    -------
    images : Tensor of shape (n, h // 2, w // 2) or (n, h // 2, w // 2, c)
    """
    channels_last = images if images.ndim == 4 else images[..., None]
    small = functional.avg_pool2d(channels_last.movedim(-1, 1), 2).movedim(1, -1)
    return small if images.ndim == 4 else small[..., 0]


class PairModel(nn.Module):
    """Join one view, two encoders, two heads and a critic.

    Parameters
    ----------
    recipe : Recipe
        The description from which all parts are built.
    view : View
    state : dict of Tensor or None
        What the view's ``fit`` returned.
    scale, scale_pair : Standardize or None
        First layers of the table and of the paired table; `Rows` applies them.
    encoder, encoder_y : Module, Module or None
        None: both views share the first.
    head, head_y : Module or None
        Networks between encoder and critic, used in training only.
    critic, negatives, comparison, objective : Module
    shapes : tuple of tuple of int
        Shapes of a row of the first view, and of each table that stands in the second.
    widths : tuple of int
        Widths of their codes.
    paths : tuple of dict
        For each view, paths in its encoder of the layers whose feature maps are compared.
    of_recordings : sequence of bool
        Whether each view holds recordings, whose last channel tells which steps were observed.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        view: View,
        state: dict[str, Tensor] | None,
        scale: Standardize,
        scale_pair: Standardize | None,
        encoder: nn.Module,
        encoder_y: nn.Module | None,
        head: nn.Module | None,
        head_y: nn.Module | None,
        critic: nn.Module,
        negatives: nn.Module,
        comparison: ComparisonModule,
        objective: nn.Module,
        shapes: tuple[Shape, ...],
        widths: tuple[int, ...],
        paths: tuple[dict[str, str], dict[str, str]] = ({}, {}),
        of_recordings: Sequence[bool] = (False, False),
    ) -> None:
        super().__init__()
        self.of_recordings = of_recordings
        self.recipe, self.view, self.paths = recipe, view, paths
        self.shapes, self.widths = shapes, widths
        self.scale, self.scale_pair = scale, scale_pair
        # What takes confounds out of the tables.
        self.confounds = nn.ModuleList()
        # Whether training rows lack some of several tables.
        self.lacks = False
        self.set_state(state)
        self.first_encoder, self.second_encoder = encoder, encoder_y
        self.first_head, self.second_head = head, head_y
        self.critic, self.negatives, self.objective = critic, negatives, objective
        self.slow = None
        if negatives.momentum:
            self.slow = SlowSide(encoder, head, float(negatives.momentum))  # type: ignore[arg-type]
        self.comparison = comparison
        self.autocast: torch.dtype | None = None
        # Training sees images at half of their size, as the net says.
        self.half_size = False
        # Processes that train together, and rows that an encoder takes at once in training.
        self.team, self.chunk_size = ALONE, None
        # Of several processes: a stream of draws that all of them share.
        self.common: torch.Generator | None = None
        # A CPU's cache holds the convolutions' output of one view, not of both. But normalisation
        # over the batch runs over both views.
        self._is_cheaper_apart = self._has(nn.Conv2d) and not self._has(_BatchNorm)

    def _has(self, kind: type[nn.Module]) -> bool:
        return any(isinstance(module, kind) for module in self.modules())

    def set_state(self, state: dict[str, Tensor] | None) -> None:
        """Store what the view's ``fit`` returned."""
        self.state = _State(state, self.view.transient).to(self.scale.mean.device)

    def drop_transient_state(self) -> None:
        """Drop the parts of the view's state that only training needs."""
        self.common = None
        self.state.drop(self.view.transient)

    @property
    def scales(self) -> tuple[Standardize, Standardize | None]:
        """First layers of the table and of the paired table."""
        return self.scale, self.scale_pair

    @property
    def encoder(self) -> nn.Module:
        """Encoder of the first view."""
        return self.first_encoder

    @property
    def encoder_y(self) -> nn.Module:
        """Encoder of the second view; the first one if they share it."""
        return self.first_encoder if self.second_encoder is None else self.second_encoder

    def untrained(self) -> dict[str, list[str]]:
        """Return the weights of encoders and heads that a backward pass did not reach."""
        parts = {"encoder": self.first_encoder, "encoder_y": self.second_encoder}
        parts |= {"head": self.first_head, "the second head": self.second_head}
        missed = {
            part: [
                name
                for name, weight in module.named_parameters()
                if weight.requires_grad and weight.grad is None
            ]
            for part, module in parts.items()
            if module is not None
        }
        return {part: names for part, names in missed.items() if names}

    def forward(
        self, x: Any, rows: Tensor, groups: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Return what training maximises, on a batch and any further rows for negatives."""
        if self.slow is not None and self.training:
            self.slow.follow(self.first_encoder, self.first_head)
        n_pairs, team = len(rows) - self.n_extra, self.team
        share = team.share(n_pairs)
        own = team.own(rows, n_pairs)
        codes = self.codes(x, own, generator, share.stop - share.start)
        if not team.is_alone:
            views = as_objective(self.recipe.objective).needs_views
            codes = gathered(codes, team, n_pairs, self.n_extra, with_views=views)
            codes.draws = self._draws(n_pairs, self.common, codes.z_x.device)
        groups = None if groups is None else groups[:n_pairs]
        codes = self.marked(codes, rows[:n_pairs], groups)
        if team.is_alone or not self._may_cut(codes):
            return self.maximised(codes, rows[:n_pairs])
        # The mean over processes of these values is the mean over all rows.
        part = team.size * (share.stop - share.start) / n_pairs
        return self.maximised(beside_all(codes, share), own) * part

    def _may_cut(self, codes: Codes) -> bool:
        """Return whether some rows may be scored without the others."""
        unmarked = codes.negatives is None and codes.positives is None and codes.kindred is None
        by_rows = as_objective(self.recipe.objective).by_rows and self.comparison.keeps_rows
        return unmarked and by_rows and codes.present is None

    def marked(self, codes: Codes, rows: Tensor | None, groups: Tensor | None) -> Codes:
        """Return codes with the mask of their negatives, and of partners of one another."""
        if self.comparison.needs_kindred:
            codes.kindred = self.view.kindred(rows, self.state.tensors(), groups)
        return self.negatives(codes, rows, groups)

    def maximised(self, codes: Codes, rows: Tensor | None) -> Tensor:
        """Return what training maximises, on codes with their negatives."""
        return self.total(self.compare(codes, rows), len(codes.z_x))

    def total(self, compared: Sequence[Codes], n: int) -> Tensor:
        """Return what training maximises, on what the comparison returned of n rows."""
        if not compared:
            raise ValueError(
                f"In a batch of {n} rows no two rows have the same two tables; raise "
                "batch_size and eval_block_size, or drop rows that lack tables."
            )
        value = mean_over(compared, self.objective)
        added = [one.added for one in compared if one.added is not None]
        return value + torch.stack(added).sum() if added else value

    def compare(self, codes: Codes, rows: Tensor | None) -> list[Codes]:
        """Return the codes that the comparison scores; objectives and reports take the mean."""
        return self.comparison(codes, rows)

    @property
    def n_extra(self) -> int:
        """Rows beyond the batch that training draws for their second view."""
        return self.negatives.n_extra  # type: ignore[return-value]

    def codes(
        self,
        x: Any,
        rows: Tensor | None,
        generator: torch.Generator,
        n_pairs: int | None = None,
    ) -> Codes:
        """Return the codes of both views of a batch; for the first view, only those of pairs."""
        x, present = self._present(x)
        first, second = self.view(x, rows, self.state.tensors(), generator)
        if n_pairs is not None and n_pairs < len(first):
            first = first[:n_pairs]
        if self.half_size and self.training:
            first, second = halved(first), halved(second)
        with self._precision(first.device):
            sides = self._encode_pair(first, second)
        (z_x, maps_x), (z_y, maps_y) = (_in_full(*side) for side in sides)
        made: dict[str, Any] = {"x": first, "x_prime": second}
        made["draws"] = self._draws(len(z_x), generator, z_x.device)
        if maps_y:
            made |= {
                "seen_x": self._observed(first, maps_x, 0),
                "seen_y": self._observed(second, maps_y, 1),
            }
        made["present"] = present
        return Codes(z_x, z_y, self.critic, maps_x=maps_x, maps_y=maps_y, **made)

    def _observed(self, rows: Tensor, maps: dict[str, Tensor], side: int) -> Tensor | None:
        """Return which steps of the feature maps of a view were observed; None: all."""
        encoder = (self.encoder, self.encoder_y)[side]
        for layer, path in self.paths[side].items():
            if (knows := module_of_steps(encoder, path)) is None:
                continue
            seen = knows.seen(rows)
            if seen.shape[1] != maps[layer].shape[2]:
                raise ValueError(
                    f"layer={layer!r} has {maps[layer].shape[2]} steps, but its encoder tells of "
                    f"{seen.shape[1]} which were observed; expected its last map, as layer='map'."
                )
            return seen
        if self.of_recordings[side] and not is_recorded(rows) and not (rows[..., -1] > 0).all():
            raise ValueError(
                f"encoder={self.recipe.encoder!r} does not tell which steps of its feature maps "
                "were observed, and some were not; expected recordings of one length and a view "
                "that hides no steps, or an encoder such as 'conv1d': see "
                "sklearn_mi.encoders.SequenceModule."
            )
        return None

    def _draws(
        self, n: int, generator: torch.Generator | None, device: torch.device
    ) -> Tensor | None:
        """Return the draws that the comparison asks for each of n rows."""
        n_draws = self.comparison.n_draws
        return torch.rand(n, n_draws, generator=generator, device=device) if n_draws else None

    def _present(self, x: Any) -> tuple[Any, Tensor | None]:
        """Return a batch without gaps, and which rows have which of several tables."""
        if len(self.shapes) == 2 or (self.training and not self.lacks):
            return x, None
        sides = self.view.inputs(x, self.state.tensors()) if isinstance(x, Tensor) else x
        tables = Tables(sides, self.shapes)
        if not self.training and tables.are_all_there:
            return x, None
        return filled(x), tables.present

    def _encode_pair(self, first: Tensor, second: Tensor) -> tuple[Encoded, Encoded]:
        if self.slow is not None and self.training:
            return self._encode(first, 0), (self.slow(second), {})
        if first is second and self.second_encoder is None:
            once = self._encode(first, 0)
            return once, once
        is_one_shape = self.second_encoder is None and first.shape[1:] == second.shape[1:]
        in_cache = first.numel() + second.numel() <= NUMBERS_AT_ONCE
        apart = self._is_cheaper_apart and first.device.type == "cpu" and not in_cache
        if not is_one_shape or apart:
            return self._encode(first, 0), self._encode(second, 1)
        z, maps = self._encode(torch.cat([first, second]), 0)
        n = len(first)
        first_maps, second_maps = ({k: v[i] for k, v in maps.items()} for i in np.s_[:n, n:])
        return (z[:n], first_maps), (z[n:], second_maps)

    def _encode(self, x: Tensor, side: int) -> Encoded:
        """Return the codes and maps of one view; in training some rows at a time if asked.

        What a network computed on the way is then computed again for the gradients, so memory
        grows with the chunk, not with the batch.
        """
        n = self.chunk_size and int(self.chunk_size)  # True is 1, as for scikit-learn
        if n is None or not self.training or len(x) <= n:
            return self._encode_at_once(x, side)
        chunks = [
            checkpoint(self._encode_at_once, part, side, use_reentrant=False) for part in x.split(n)
        ]
        codes, maps = zip(*chunks, strict=True)
        return torch.cat(codes), {name: torch.cat([m[name] for m in maps]) for name in maps[0]}

    def _encode_at_once(self, x: Tensor, side: int) -> Encoded:
        """Return the codes of one view, after its head, and its feature maps."""
        encoder = (self.encoder, self.encoder_y)[side]
        head = self.second_head if side and self.second_head is not None else self.first_head
        paths = self.paths[side]
        z, maps = code_and_maps(encoder, x, paths) if paths else (encoder(x), {})
        return z if head is None else head(z), maps

    def _precision(self, device: torch.device) -> Any:
        # Reports and transforms use full precision, whatever the training used.
        if self.autocast is None or not self.training:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast)

    def transform(self, x: Tensor, may_lack: bool = True) -> Tensor:
        """Return the codes of a scaled batch that ``output`` names.

        ``may_lack`` says whether a row may lack a table: only then can a number be missing.
        """
        state, output = self.state.tensors(), self.recipe.output
        lacks = may_lack and bool(x.isnan().any())
        parts: Any = x, output, self.view, state, self.encoder, self.encoder_y
        if not lacks:
            return output_of(*parts)
        return output_with_gaps(*parts, shapes=self.shapes, widths=self.widths)

    def transform_second(self, x: Tensor, may_lack: bool = True) -> Tensor:
        """Return the codes of a scaled batch of the second table, or of several side by side."""
        if not may_lack or not x.isnan().any():
            return self.encoder_y(x)
        tables = Tables([x], self.shapes[1:])
        return tables.hidden(self.encoder_y(filled(x)), self.widths[1:], x)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Numbers of the tables that are compared, from 0, the one of the first view."""
        return getattr(self.critic, "pairs", [(0, 1)])

    def output_widths(self, n_inputs: int) -> tuple[int, int, int]:
        """Return how many columns of `transform` belong to each code and to the rows themselves."""
        first, second = self.widths[0], sum(self.widths[1:])
        return {
            "first": (first, 0, 0),
            "second": (0, second, 0),
            "both": (first, second, 0),
            "with-columns": (first, 0, n_inputs),
            "averaged": (first, 0, 0),
        }[self.recipe.output]

    @torch.inference_mode()
    def invert(self, codes: Tensor, kind: Kind) -> Tensor:
        """Return the views that belong to codes, flat and in the units of the rows."""
        layer = []
        for buffer in (self.scale.scale, self.scale.mean):
            whole = buffer.expand(kind.n_inputs).reshape(1, *kind.row_shape)
            layer.append(self.view.inputs(whole, self.state.tensors()))
        rows = []
        parts = codes.split(self.output_widths(kind.n_inputs), dim=1)[:2]
        for part, encoder, *of_view in zip(
            parts, (self.encoder, self.encoder_y), *layer, strict=True
        ):
            if part.shape[1]:
                scale, mean = (buffer.flatten(1) for buffer in of_view)
                x = encoder.inverse(part).flatten(1).double()  # type: ignore[operator]
                rows.append(torch.where(scale.isinf(), mean, x * scale + mean))
        return torch.cat(rows, dim=1)

    def output_columns(self, row_shape: Shape) -> list[int | None]:
        """Return, for each column of `transform`, the equal column of the rows; None: learned."""
        seen, n_inputs = self._seen(row_shape), math.prod(row_shape)
        *widths, beside = self.output_widths(n_inputs)
        if self.recipe.output == "averaged":
            return [None] * widths[0]
        codes = [self._code_columns(i, seen[i][0]) if widths[i] else [] for i in (0, 1)]
        return [*codes[0], *codes[1], *range(beside)]

    def pair_columns(self, row_shape: Shape) -> list[int | None]:
        """Return the same for codes of rows of the second table."""
        return self._code_columns(1, list(range(math.prod(row_shape))))

    def second_part(self, schema: Schema) -> tuple[Schema, Standardize]:
        """Return the second view's part of a table, as its own table, and its first layer.

        Raises
        ------
        ValueError
            Unless the two views are different columns of one table.
        """
        (first, _), (second, _) = self._seen(schema.kind.row_shape)
        if not isinstance(schema.kind, Table) or first == second or None in second:
            raise ValueError(
                f"The learner was fitted without X_pair, and view={self.recipe.view!r} does not "
                "cut X into two sets of columns, so there is no second table; use transform, or "
                "fit with X_pair=... or with view=Columns(first, second)."
            )
        if schema.confounds is not None:
            raise ValueError(
                "fit was given confounds, which are taken out of all columns of X together; use "
                "transform, which returns the codes of both sets of columns."
            )
        ends = list(itertools.accumulate(math.prod(table) for table in self.shapes[1:]))
        places: Any = second
        tables = [schema.part(places[i:j]) for i, j in itertools.pairwise([0, *ends])]
        buffers = (self.scale.mean, self.scale.scale)
        cut = (buffer.expand(schema.kind.n_inputs)[second].cpu().numpy() for buffer in buffers)
        joined = tables[0] if len(tables) == 1 else Schema.side_by_side(tables)
        return joined, Standardize(*cut).to(self.scale.mean.device)

    def _seen(self, row_shape: Shape) -> list[tuple[list[int | None], Shape]]:
        """Return, for each input of the two encoders, the equal number of a row; and the shapes.

        None if the input is computed. Two rows that hold their column numbers in two orders go
        through the view; an input is a number of the row if both results agree on it.
        """
        n = math.prod(row_shape)
        shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(0))
        rows = torch.stack([torch.arange(n), shuffled]).float().reshape(2, *row_shape)
        seen = []
        for view in self.view.inputs(rows.to(self.scale.mean.device), self.state.tensors()):
            numbers, again = view.flatten(1).tolist()
            places: list[int | None] = [
                int(i) if i in range(n) and shuffled[int(i)] == j else None
                for i, j in zip(numbers, again, strict=True)
            ]
            seen.append((places, tuple(view.shape[1:])))
        return seen

    def _code_columns(self, side: int, seen: Sequence[int | None]) -> list[int | None]:
        """Return, for each component of a side's codes, the equal input; None: learned."""
        described = descriptions(self.recipe.encoder, self.recipe.encoder_y, len(self.shapes))
        tables = list(zip(described, self.shapes, self.widths, strict=True))
        columns: list[int | None] = []
        for description, shape, width in tables[1:] if side else tables[:1]:
            kept = as_encoder(description).kept_columns(shape)
            columns += [*seen[:kept], *[None] * (width - kept)]
            seen = seen[math.prod(shape) :]
        return columns


def global_stream(
    model: PairModel, seed: int, device: torch.device | str = "cpu"
) -> own_randomness | None:
    """Return a stream for a model that draws from torch's global generators, else None.

    Dropout draws from them, and a user's modules or callables may.
    """
    if model.view.draws_globally:
        return own_randomness(seed, device)
    for module in model.modules():
        ours = type(module).__module__.startswith(("torch.nn.", "sklearn_mi."))
        if not ours or isinstance(module, nn.modules.dropout._DropoutNd):
            return own_randomness(seed, device)
    return None
