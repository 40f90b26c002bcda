"""The pair model, which holds every module of one learner; it encodes rows block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_mi._base import Codes, Shape
from sklearn_mi.comparisons import ComparisonModule, as_comparison, mean_over
from sklearn_mi.critics import as_critic
from sklearn_mi.encoders import as_encoder, code_width
from sklearn_mi.negatives import as_negatives
from sklearn_mi.objectives import as_objective
from sklearn_mi.recipe import Draft, Recipe
from sklearn_mi.rows import (
    AnyRows,
    Data,
    Kind,
    PairedRows,
    PartnerRows,
    Rows,
    Schema,
    Standardize,
    Table,
)
from sklearn_mi.runtime import enough_memory, own_randomness
from sklearn_mi.views import View

__all__ = [
    "PairModel",
    "build_model",
    "check_half_size",
    "encode",
    "global_stream",
    "halved",
    "rows_of",
]

# Larger blocks are slightly faster, but a single row costs a whole block, too.
ENCODE_BLOCK = 512
# Fewer images, so the output of convolutions stays in a processor's cache.
LEAST_BLOCK, NUMBERS_IN_CACHE = 64, 2**19
NUMBERS_ON_GPU = 2**24
# Images of both views that a CPU convolves in one call: the output stays in its cache.
NUMBERS_AT_ONCE = 2**17


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
    widths : tuple of int
        Widths of the codes of the two views.
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
        widths: tuple[int, int],
    ) -> None:
        super().__init__()
        self.recipe, self.view, self.widths = recipe, view, widths
        self.scale, self.scale_pair = scale, scale_pair
        self.set_state(state)
        self.first_encoder, self.second_encoder = encoder, encoder_y
        self.first_head, self.second_head = head, head_y
        self.critic, self.negatives, self.objective = critic, negatives, objective
        self.comparison = comparison
        self.autocast: torch.dtype | None = None
        # Training sees images at half of their size, as the net says.
        self.half_size = False
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

    def forward(
        self, x: Any, rows: Tensor, groups: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Return what training maximises, on a batch and any further rows for negatives."""
        n_pairs = len(rows) - self.n_extra
        codes = self.codes(x, rows, generator, n_pairs)
        groups = None if groups is None else groups[:n_pairs]
        codes = self.negatives(codes, rows[:n_pairs], groups)
        return mean_over(self.compare(codes, rows[:n_pairs]), self.objective)

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
        first, second = self.view(x, rows, self.state.tensors(), generator)
        first = first[:n_pairs]
        if self.half_size and self.training:
            first, second = halved(first), halved(second)
        with self._precision(first.device):
            z_x, z_y = self._encode_pair(first, second)
        return Codes(z_x.float(), z_y.float(), self.critic, x=first, x_prime=second)

    def _encode_pair(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        is_one_shape = self.second_encoder is None and first.shape[1:] == second.shape[1:]
        in_cache = first.numel() + second.numel() <= NUMBERS_AT_ONCE
        apart = self._is_cheaper_apart and first.device.type == "cpu" and not in_cache
        if is_one_shape and not apart:
            z = self._with_head(torch.cat([first, second]), self.encoder, self.first_head)
            return z[: len(first)], z[len(first) :]
        head_y = self.first_head if self.second_head is None else self.second_head
        return (
            self._with_head(first, self.encoder, self.first_head),
            self._with_head(second, self.encoder_y, head_y),
        )

    @staticmethod
    def _with_head(x: Tensor, encoder: nn.Module, head: nn.Module | None) -> Tensor:
        z = encoder(x)
        return z if head is None else head(z)

    def _precision(self, device: torch.device) -> Any:
        # Reports and transforms use full precision, whatever the training used.
        if self.autocast is None or not self.training:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast)

    def transform(self, x: Tensor) -> Tensor:
        """Return the codes of a scaled batch that ``output`` names."""
        output = self.recipe.output
        if output == "averaged":
            forms = self.view.variants(x, self.state.tensors())
            codes = [functional.normalize(self.encoder(form)) for form in forms]
            return torch.stack(codes).mean(0)
        first, second = self.view.inputs(x, self.state.tensors())
        if output == "first":
            return self.encoder(first)
        if output == "with-columns":
            return torch.cat([self.encoder(first), x.flatten(1)], dim=1)
        if output == "second":
            return self.encoder_y(second)
        return torch.cat([self.encoder(first), self.encoder_y(second)], dim=1)

    def output_widths(self, n_inputs: int) -> tuple[int, int, int]:
        """Return how many columns of `transform` belong to each code and to the rows themselves."""
        first, second = self.widths
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
        first, second, beside = self.output_widths(n_inputs)
        if self.recipe.output == "averaged":
            return [None] * first
        codes = (self._code_columns(0, *seen[0], first), self._code_columns(1, *seen[1], second))
        return [*codes[0], *codes[1], *range(beside)]

    def pair_columns(self, row_shape: Shape) -> list[int | None]:
        """Return the same for codes of rows of the second table."""
        seen: list[int | None] = list(range(math.prod(row_shape)))
        return self._code_columns(1, seen, row_shape, self.widths[1])

    def second_part(self, schema: Schema) -> tuple[Schema, Standardize]:
        """Return the second view's part of a table, as its own table, and its first layer.

        Raises
        ------
        ValueError
            Unless the two views are different columns of one table.
        """
        (first, _), (second, shape) = self._seen(schema.kind.row_shape)
        if not isinstance(schema.kind, Table) or first == second or None in second:
            raise ValueError(
                f"The learner was fitted without X_pair, and view={self.recipe.view!r} does not "
                "cut X into two sets of columns, so there is no second table; use transform, or "
                "fit with X_pair=... or with view=Columns(first, second)."
            )
        known: Any = schema.feature_names
        names = known and tuple(known[i] for i in second)
        buffers = (self.scale.mean, self.scale.scale)
        cut = (buffer.expand(schema.kind.n_inputs)[second].cpu().numpy() for buffer in buffers)
        return Schema(Table(shape, shape), names), Standardize(*cut).to(self.scale.mean.device)

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

    def _code_columns(
        self, side: int, seen: list[int | None], shape: Shape, width: int
    ) -> list[int | None]:
        """Return, for each component of a code, the equal input of its encoder; None: learned."""
        second = self.recipe.encoder_y
        is_like_first = isinstance(second, str) and second in ("shared", "separate")
        description = second if side and not is_like_first else self.recipe.encoder
        kept = as_encoder(description).kept_columns(shape) if width else 0
        return [*seen[:kept], *[None] * (width - kept)]


def build_model(
    draft: Draft | Recipe,
    view: View,
    state: dict[str, Tensor] | None,
    row_shapes: tuple[Shape, Shape | None],
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
    row_shapes : tuple of tuple of int
        Shapes of a row of the table and of the paired table, or None.
    scales : tuple of Standardize
    seed : int

    Returns
    -------
    model : PairModel

    Raises
    ------
    ValueError
        If parts do not fit together, or if none of them has a weight to train.
    """
    with own_randomness(seed):
        shapes = view.shapes(row_shapes[0], state)
        shapes = shapes if row_shapes[1] is None else (shapes[0], row_shapes[1])
        second = _second_encoder(draft, view, shapes)
        encoder, encoder_y, widths = _build_encoders(draft, second, shapes)
        head, head_y, codes = _build_heads(draft.head, widths, shared=encoder_y is None)
        output = _output(draft.output, view, row_shapes[0], state)
        recipe = draft.finish(codes, second, output)
        critic = as_critic(recipe.critic).build(*codes)
        comparison, objective = as_comparison(recipe.comparison), as_objective(recipe.objective)
        comparison.check(objective, critic)
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
            negatives=as_negatives(recipe.negatives).build(codes[1]),
            comparison=comparison.build([codes[:1], codes[1:]]),
            objective=objective.build(*codes),
            widths=widths,
        )
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError(
            f"encoder={recipe.encoder!r} and critic={recipe.critic!r} have no weights to train; "
            "expected them in at least one, such as critic='bilinear'."
        )
    return model


def _second_encoder(draft: Draft | Recipe, view: View, shapes: tuple[Shape, Shape]) -> Any:
    """Return "shared", "separate" (another one like the first), or its own description."""
    wanted = view.default_encoder_y if draft.encoder_y is None else draft.encoder_y
    if isinstance(wanted, str) and wanted == "shared" and shapes[0] != shapes[1]:
        raise ValueError(
            f"encoder_y='shared' needs two views of one shape, but they have {shapes[0]} and "
            f"{shapes[1]}; use encoder_y='separate'."
        )
    return wanted


def _build_encoders(
    draft: Draft | Recipe, second: Any, shapes: tuple[Shape, Shape]
) -> tuple[nn.Module, nn.Module | None, tuple[int, int]]:
    """Return both encoders, or one and None, and the widths of their codes."""
    is_from_file = isinstance(draft, Recipe)

    def build(description: Any, name: str, shape: Shape) -> nn.Module:
        encoder = as_encoder(description, name)
        return (encoder.skeleton() if is_from_file else encoder).build(shape, draft.n_components)

    encoder = build(draft.encoder, "encoder", shapes[0])
    width = code_width(encoder, shapes[0])
    if isinstance(second, str) and second == "shared":
        return encoder, None, (width, width)
    is_like_first = isinstance(second, str) and second == "separate"
    encoder_y = build(draft.encoder if is_like_first else second, "encoder_y", shapes[1])
    return encoder, encoder_y, (width, code_width(encoder_y, shapes[1]))


def _build_heads(
    description: Any, widths: tuple[int, int], *, shared: bool
) -> tuple[nn.Module | None, nn.Module | None, tuple[int, int]]:
    """Return the heads, or None, and the widths of the codes that the critic sees."""
    if description is None:
        return None, None, widths
    head = as_encoder(description, "head")
    first = head.build((widths[0],), None)
    if shared:
        width = code_width(first, widths[:1])
        return first, None, (width, width)
    second = head.build((widths[1],), None)
    return first, second, (code_width(first, widths[:1]), code_width(second, widths[1:]))


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
    numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
    sides = [
        side.rows(scale.to(device), device, index, stream=stream, groups=numbers)
        for side, scale in zip(data.sides, scales, strict=True)
        if side is not None and scale is not None
    ]
    if len(sides) == 2:
        return PairedRows(*sides)
    (first,) = sides
    partners = view.partners(len(first), groups, y)
    return first if partners is None else PartnerRows(first, partners.to(device), generator)


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


def encode(
    rows: Rows, module: Callable[[Tensor], Tensor], block: int | None = None
) -> Iterator[Tensor]:
    """Yield the codes of all rows, block by block, without gradients.

    The last block is padded with zeros: float32 sums depend on the size of the block, and a row's
    code must not depend on how many others are encoded with it. A GPU takes large blocks, and
    smaller ones once it is out of memory.
    """
    block = block or _block_size(rows)
    start = 0
    with torch.inference_mode():
        while start < len(rows):
            try:
                codes = _encode_block(rows, module, start, block)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                if block == 1:
                    with enough_memory("one row is too much; use device='cpu'"):
                        raise
                block //= 2
                continue
            yield codes
            start += block


def _block_size(rows: Rows) -> int:
    numbers = math.prod(rows.shape[1:])
    if rows.device.type != "cuda":
        fitting = 1 << max(0, (NUMBERS_IN_CACHE // numbers).bit_length() - 1)
        return min(ENCODE_BLOCK, max(LEAST_BLOCK, fitting)) if len(rows.shape) > 2 else ENCODE_BLOCK
    n_blocks = NUMBERS_ON_GPU // (ENCODE_BLOCK * numbers)
    return ENCODE_BLOCK * min(64, max(1, n_blocks))


def _encode_block(rows: Rows, module: Callable[[Tensor], Tensor], start: int, block: int) -> Tensor:
    x = rows[start : start + block]
    missing = block - len(x)
    padded = torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x
    return module(padded)[: len(x)]
