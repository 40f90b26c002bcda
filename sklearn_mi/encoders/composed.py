"""Encoders that hold another encoder, and the names of all encoders."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, cast

import torch
from sklearn.base import clone
from torch import Tensor, nn

from sklearn_mi._base import Shape, positive_integer, sizes
from sklearn_mi.encoders.base import Encoder, Factory, Ready, free_width
from sklearn_mi.encoders.conv1d import Conv1d
from sklearn_mi.encoders.dense import MLP, Identity, Linear, SkipMLP
from sklearn_mi.encoders.flows import RealNVP
from sklearn_mi.encoders.images import Backbone, ConvNet, DIMNet, LeNet, check_image
from sklearn_mi.encoders.recurrent import GRU
from sklearn_mi.encoders.sequences import SequenceModule
from sklearn_mi.layers import as_description, equal_parts
from sklearn_mi.runtime import is_recorded

__all__ = ["ENCODERS", "Joined", "Passthrough", "Patches", "Tiled", "Tokens", "as_encoder"]


def _layers_within(inner: dict[str, str], at: str) -> dict[str, str]:
    """Return the layers of a network that another one holds, by their names and by their paths."""
    named = {**inner, **{path: path for path in inner.values()}}
    return {layer: f"{at}.{path}" for layer, path in named.items()}


class _KeptAndLearned(nn.Module):
    """The flattened row and a network's output, bounded by a weight."""

    gives_rows = True

    def __init__(self, network: nn.Module, weight: float) -> None:
        super().__init__()
        self.network, self.weight = network, weight

    def forward(self, rows: Tensor) -> Tensor:
        return torch.cat([rows.flatten(1), self.weight * self.network(rows).tanh()], dim=1)


@dataclass(repr=False, eq=False)
class Passthrough(Encoder):
    r"""Keep the flattened view and append the components that another encoder learns.

    .. math:: x \to (x, w \tanh h(x))

    Use it for tables of numbers and categories. Views by neighbours or corruption keep only what
    columns share, and one column may hold information that no other has. Here nothing of the row is
    lost. The learned components are at most w, so they hardly change which rows are close. Do not
    use it if the code must be narrow. Own width: that of the row plus ``n_learned``.

    Parameters
    ----------
    encoder : str, Encoder, Module or callable
        The encoder of the learned components, h.
    weight : float
        Largest absolute value of a learned component, w.
    n_learned : int
        Number of learned components if ``n_components`` is None; otherwise ``n_components`` sets
        the width of the whole code. 0: the row is its own code, and nothing is learned.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Passthrough
    >>> Passthrough().build((20,), None)(torch.zeros(5, 20)).shape
    torch.Size([5, 22])
    """

    encoder: Any = "gelu-mlp"
    weight: float = 0.25
    n_learned: int = 2

    @property
    def takes(self) -> str:  # type: ignore[override]
        """Rows that the encoder of the learned components takes."""
        return self._learned().takes

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        if not (isinstance(self.weight, Real) and 0 < self.weight < math.inf):
            raise ValueError(f"weight={self.weight!r}; expected a number above 0.")
        kept = math.prod(input_shape)
        if self.n_learned == 0 and n_components is None:
            return nn.Flatten()
        width = free_width(n_components, kept + positive_integer("n_learned", self.n_learned))
        if width <= kept:
            raise ValueError(
                f"n_components={n_components}; {self!r} keeps the {kept} numbers of a row: "
                f"expected at least {kept + 1}, or None."
            )
        learned = self._learned().build(input_shape, width - kept)
        return _KeptAndLearned(learned, self.weight)

    def check_rows(self, rows: Tensor, name: str = "X") -> None:
        """Reject rows that the encoder within rejects; see `Encoder.check_rows`."""
        self._learned().check_rows(rows, name)

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return the layers of the encoder within, by names and by paths in it."""
        return _layers_within(self._learned().layers(input_shape), "network")

    def skeleton(self) -> Encoder:
        """Return the same with the skeleton of the learned part; see `Encoder.skeleton`."""
        return Passthrough(self._learned().skeleton(), self.weight, self.n_learned)

    def kept_columns(self, input_shape: Shape) -> int:
        """Return the number of entries of a row: all are kept."""
        return math.prod(input_shape)

    def _learned(self) -> Encoder:
        return as_encoder(self.encoder)


class _Joined(nn.Module):
    """The codes of several networks of the same row, side by side."""

    gives_rows = True

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.cat([network(rows) for network in self.networks], dim=1)


class _JoinedSteps(_Joined, SequenceModule):
    """The same of networks that encode every step."""

    def __init__(self, networks: Sequence[SequenceModule]) -> None:
        super().__init__(networks)
        self.stride = networks[0].stride

    def steps(self, rows: Tensor) -> Tensor:
        return torch.cat([network.steps(rows) for network in self._parts()], dim=1)

    def seen(self, rows: Tensor) -> Tensor:
        return self._parts()[0].seen(rows)

    def _parts(self) -> list[SequenceModule]:
        return cast("list[SequenceModule]", list(self.networks))


@dataclass(repr=False, eq=False)
class Joined(Encoder):
    r"""Encode each row by several encoders, and put their codes side by side.

    .. math:: x \to (h_1(x), \dots, h_k(x))

    Use it if one map should not have to do everything. The default has a perceptron and a linear
    map. The linear half keeps what a linear model reads, and the other half finds what no linear
    map shows. The critic `~sklearn_mi.critics.Split` cuts codes in the same places. With
    `~sklearn_mi.objectives.EachPart` each encoder then learns alone. It is the default for windows
    of a series and for pairs of wide tables. Do not use it for codes of few components, which would
    leave each encoder one or two. Own width: the sum of theirs.

    Parameters
    ----------
    encoders : sequence of str, Encoder, Module or callable
        ``n_components`` is shared among them nearly equally; the first ones are the wider.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Joined
    >>> module = Joined().build((20,), 7)
    >>> [network(torch.zeros(5, 20)).shape[1] for network in module.networks]
    [4, 3]
    """

    encoders: Any = ("gelu-mlp", "linear")

    @property
    def takes(self) -> str:  # type: ignore[override]
        """Rows that all encoders take."""
        asked = {encoder.takes for encoder in self._parts()} - {"any"}
        return "any" if not asked else "recordings" if asked == {"recordings"} else "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        encoders = self._parts()
        widths: Sequence[int | None] = [None] * len(encoders)
        if n_components is not None:
            if positive_integer("n_components", n_components) < len(encoders):
                raise ValueError(
                    f"n_components={n_components}; {self!r} needs a component for each of its "
                    f"{len(encoders)} encoders: expected at least {len(encoders)}, or None."
                )
            widths = equal_parts(n_components, len(encoders))
        made = [
            encoder.build(input_shape, width)
            for encoder, width in zip(encoders, widths, strict=True)
        ]
        of_steps = [network for network in made if isinstance(network, SequenceModule)]
        if len(of_steps) == len(made) and len({network.stride for network in of_steps}) == 1:
            return _JoinedSteps(of_steps)
        return _Joined(made)

    def check_rows(self, rows: Tensor, name: str = "X") -> None:
        """Reject rows that one of the encoders rejects; see `Encoder.check_rows`."""
        for encoder in self._parts():
            encoder.check_rows(rows, name)

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return the layers of the first encoder that has some, by names and by paths in it."""
        for i, encoder in enumerate(self._parts()):
            if inner := encoder.layers(input_shape):
                return _layers_within(inner, f"networks.{i}")
        return {}

    def skeleton(self) -> Encoder:
        """Return the same with the skeletons of all encoders; see `Encoder.skeleton`."""
        return Joined(tuple(encoder.skeleton() for encoder in self._parts()))

    def kept_columns(self, input_shape: Shape) -> int:
        """Return how many columns the first encoder keeps as they are."""
        return self._parts()[0].kept_columns(input_shape)

    def _parts(self) -> list[Encoder]:
        if isinstance(self.encoders, str) or not isinstance(self.encoders, Sequence):
            raise ValueError(f"encoders={self.encoders!r}; expected a sequence of encoders.")
        if not self.encoders:
            raise ValueError("encoders=(); expected at least one encoder.")
        return [as_encoder(part, f"encoders[{i}]") for i, part in enumerate(self.encoders)]


_PATCHES_WIDTH = 128


class _EachPatch(nn.Module):
    """Encode each patch of images: their codes as a map (b, channels, rows, columns)."""

    def __init__(self, network: nn.Module, size: int, stride: int) -> None:
        super().__init__()
        self.network, self.size, self.stride = network, size, stride

    def forward(self, images: Tensor) -> Tensor:
        cut = images.unfold(1, self.size, self.stride).unfold(2, self.size, self.stride)
        places = cut.shape[:3]
        channels_last = cut.movedim(3, -1) if images.ndim == 4 else cut
        return self.network(channels_last.flatten(0, 2)).unflatten(0, places).movedim(-1, 1)


@dataclass(repr=False, eq=False)
class Patches(Encoder):
    """Cut images into overlapping patches and encode each by one shared network.

    Use it for contrastive predictive coding (`sklearn_mi.comparisons.Predictive`), where patches
    predict those below. The code is the mean of the patches' codes. Its map, of the layer
    "patches", has shape (b, width, rows, columns). Own width: 128, or that of ``encoder``.

    Parameters
    ----------
    encoder : str, Encoder, Module or callable, default=None
        The encoder of a patch. None: a small `LeNet`. Normalisation over the batch would leak
        information between the patches of an image.
    size : int, default=None
        Pixels a side of a patch. None: the even number closest to a quarter of the shorter side:
        7 x 7 patches of 32 x 32 pixels, 6 x 6 of 28 x 28.
    stride : int, default=None
        Pixels from one patch to the next. None: half of the size. What remains at the bottom and on
        the right is left out.

    References
    ----------
    Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
    https://arxiv.org/abs/1807.03748

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Patches
    >>> module = Patches().build((32, 32), None)
    >>> images = torch.zeros(5, 32, 32)
    >>> module(images).shape, module.map(images).shape
    (torch.Size([5, 128]), torch.Size([5, 128, 7, 7]))
    """

    encoder: Any = None
    size: int | None = None
    stride: int | None = None
    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        _, _, channels = check_image(input_shape, self)
        size, stride = self._geometry(input_shape)
        width = free_width(n_components, _PATCHES_WIDTH) if self.encoder is None else n_components
        network = self._of_a_patch().build((size, size, channels)[: len(input_shape)], width)
        parts = OrderedDict[str, nn.Module](map=_EachPatch(network, size, stride))
        parts.update(mean=nn.AdaptiveAvgPool2d(1), code=nn.Flatten())
        return nn.Sequential(parts)

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "patches", the codes of the patches."""
        return {"patches": "map"}

    def skeleton(self) -> Encoder:
        """Return the same with the skeleton of the patches' encoder; see `Encoder.skeleton`."""
        if self.encoder is None:
            return self
        return Patches(self._of_a_patch().skeleton(), self.size, self.stride)

    def _of_a_patch(self) -> Encoder:
        return as_encoder(LeNet((16, 32), (128,)) if self.encoder is None else self.encoder)

    def _geometry(self, input_shape: Shape) -> tuple[int, int]:
        """Return size and stride of the patches."""
        side = min(input_shape[:2])
        size = max(2, 2 * round(side / 8)) if self.size is None else self.size
        size = positive_integer("size", size)
        if size > side:
            raise ValueError(
                f"size={size}; expected at most {side}, the shorter side of images of shape "
                f"{tuple(input_shape)}: take smaller patches, or enlarge the images."
            )
        stride = max(1, size // 2) if self.stride is None else self.stride
        return size, positive_integer("stride", stride)


_TILE_WIDTH = 4


class _EachTile(nn.Module):
    """Apply a network to each tile; join the codes tile by tile, row by row of tiles."""

    def __init__(self, network: nn.Module, tile: tuple[int, int], grid: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.tile, self.grid = network, tile, grid

    def forward(self, images: Tensor) -> Tensor:
        (height, width), (n_rows, n_columns) = self.tile, self.grid
        cut = images.unflatten(1, (n_rows, height)).unflatten(3, (n_columns, width))
        tiles = cut.transpose(2, 3).flatten(0, 2)
        return self.network(tiles).unflatten(0, (len(images), -1)).flatten(1)


@dataclass(repr=False, eq=False)
class Tiled(Encoder):
    """Cut images into tiles and encode each by one shared network.

    Use it for mosaics, and for images whose parts are of one kind: a network that has seen a tile
    in one place knows it in all. The code is that of every tile, side by side. If both sides of
    `MIEstimator` are cut into equally many tiles, its critic compares tile with tile. Own width: 4
    for each tile.

    Parameters
    ----------
    tile : tuple of int
        Height and width of a tile in pixels; height and width of the images are multiples of them.
    encoder : str, Encoder, Module or callable
        The encoder of a tile. None: a small `LeNet`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Tiled
    >>> Tiled((14, 14)).build((28, 70), None)(torch.zeros(3, 28, 70)).shape
    torch.Size([3, 40])
    """

    tile: Sequence[int] = (14, 14)
    encoder: Any = None
    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        tile, grid = self._cut(input_shape)
        n_tiles = math.prod(grid)
        width = n_tiles * _TILE_WIDTH
        if n_components is not None:
            width = positive_integer("n_components", n_components)
        if width % n_tiles:
            raise ValueError(
                f"n_components={width}; {self!r} cuts images of shape {tuple(input_shape)} into "
                f"{n_tiles} tiles: expected a multiple of {n_tiles}, or None."
            )
        network = self._of_a_tile().build((*tile, *input_shape[2:]), width // n_tiles)
        return _EachTile(network, tile, grid)

    def n_parts(self, input_shape: Shape) -> int:
        """Return the number of tiles: the code is made of as many parts; see `Encoder.n_parts`."""
        return math.prod(self._cut(input_shape)[1])

    def skeleton(self) -> Encoder:
        """Return the same with the skeleton of the tiles' encoder; see `Encoder.skeleton`."""
        return Tiled(self.tile, self._of_a_tile().skeleton())

    def _of_a_tile(self) -> Encoder:
        return as_encoder(LeNet((8, 16), (64,)) if self.encoder is None else self.encoder)

    def _cut(self, input_shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size of a tile, and how many tiles an image has from top and from left."""
        height, width, _ = check_image(input_shape, self)
        tile = sizes("tile", self.tile, "(14, 14)")
        if len(tile) != 2:
            raise ValueError(f"tile={self.tile!r}; expected height and width, such as (14, 14).")
        if height % tile[0] or width % tile[1]:
            raise ValueError(
                f"input_shape={tuple(input_shape)}; expected multiples of tile={tuple(tile)}; crop "
                "or pad the images, or choose another tile."
            )
        return (tile[0], tile[1]), (height // tile[0], width // tile[1])


class _Embedded(SequenceModule):
    """An embedding of tokens, then an encoder of recordings."""

    def __init__(self, embedding: nn.Embedding, encoder: SequenceModule, of: Tokens) -> None:
        super().__init__()
        self.embedding, self.encoder, self.of = embedding, encoder, of
        self.stride = encoder.stride

    def forward(self, rows: Tensor) -> Tensor:
        return self.encoder(self._recordings(rows))

    def steps(self, rows: Tensor) -> Tensor:
        return self.encoder.steps(self._recordings(rows))

    def seen(self, rows: Tensor) -> Tensor:
        return self.encoder.seen(rows.ne(0)[..., None])

    def _recordings(self, rows: Tensor) -> Tensor:
        # A step that is being recorded for a GPU cannot look at numbers.
        if not is_recorded(rows):
            self.of.check_rows(rows)
        x = self.embedding(rows.long())
        return torch.cat([x, rows.ne(0)[..., None].to(x.dtype)], dim=2)


@dataclass(repr=False, eq=False)
class Tokens(Encoder):
    """Embed sequences of tokens and encode them as recordings.

    Use it for texts and other sequences of categories, as rows of whole numbers: 0 is padding, and
    a token of its own is any number from 1 to ``n_tokens - 1``. Set ``standardize=False``, so that
    they stay whole. The embedding is learned, its weights start standard normal. Own width: that of
    ``encoder``.

    Parameters
    ----------
    n_tokens : int
        Size of the vocabulary, padding included.
    width : int, default=64
        Numbers that stand for a token.
    encoder : str or Encoder, default="conv1d"
        An encoder of recordings, such as `Conv1d` or `GRU`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import Tokens
    >>> module = Tokens(n_tokens=1000).build((7,), None)
    >>> module(torch.tensor([[12.0, 7.0, 431.0, 0.0, 0.0, 0.0, 0.0]])).shape
    torch.Size([1, 32])
    """

    n_tokens: int
    width: int = 64
    encoder: Any = "conv1d"
    takes = "others"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        if len(input_shape) != 1:
            raise ValueError(
                f"input_shape={tuple(input_shape)}; {self!r} needs rows of tokens, (n, time)."
            )
        n_tokens = positive_integer("n_tokens", self.n_tokens)
        width = positive_integer("width", self.width)
        embedding = nn.Embedding(n_tokens, width, padding_idx=0)
        encoder = as_encoder(self.encoder).build((input_shape[0], width + 1), n_components)
        if not isinstance(encoder, SequenceModule):
            raise ValueError(
                f"encoder={self.encoder!r}; expected an encoder of recordings, such as 'conv1d' or "
                "'gru'."
            )
        own: Any = clone(self)
        return _Embedded(embedding, encoder, own)

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return the layers of ``encoder``, by their names and by their paths in it."""
        inner = as_encoder(self.encoder).layers((*input_shape, self.width + 1))
        return _layers_within(inner, "encoder")

    def skeleton(self) -> Encoder:
        """Return the same with the skeleton of ``encoder``; see `Encoder.skeleton`."""
        return Tokens(self.n_tokens, self.width, as_encoder(self.encoder).skeleton())

    def check_rows(self, rows: Tensor, name: str = "X") -> None:
        """Refuse rows with numbers that are no tokens; see `Encoder.check_rows`."""
        wrong = (rows < 0) | (rows >= self.n_tokens) | (rows != rows.round())
        if wrong.any():
            raise ValueError(
                f"{name} holds {rows[wrong][0].item():.4g}; {self!r} expects whole numbers from 0, "
                f"which is padding, to n_tokens - 1 = {self.n_tokens - 1}: number the tokens so, "
                "and set standardize=False."
            )


def as_encoder(value: Any, parameter: str = "encoder") -> Encoder:
    """Return the encoder that a name, an object or a function means.

    Parameters
    ----------
    value : str, Encoder, Module or callable
        A name in `ENCODERS`; a description; a network (see `Ready`); or a function
        ``(input_shape, n_components) -> nn.Module`` (see `Factory`).
    parameter : str
        Name of the parameter in error messages.

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If the value is none of these.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_mi.encoders import as_encoder
    >>> as_encoder("mlp"), as_encoder(nn.Linear(2, 3))
    (MLP(), Ready(module=Linear(in_features=2, out_features=3, bias=True)))
    """
    return as_description(
        parameter,
        value,
        ENCODERS,
        Encoder,  # type: ignore[type-abstract]
        ready=Ready,
        factory=Factory,
        expected="an Encoder object such as MLP(), an nn.Module, or a function "
        "(input_shape, n_components) -> nn.Module",
    )


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "gelu-mlp": partial(MLP, hidden=(256, 256), activation="gelu"),
    "wide-mlp": partial(MLP, hidden=(512, 512), activation="gelu"),
    "identity": Identity,
    "joined": Joined,
    "linear": Linear,
    "mlp": MLP,
    "passthrough": Passthrough,
    "skip-mlp": SkipMLP,
    "realnvp": RealNVP,
    "conv1d": Conv1d,
    "gru": GRU,
    "convnet": ConvNet,
    "dim-net": DIMNet,
    "lenet": LeNet,
    "patches": Patches,
    "resnet18": Backbone,
}
