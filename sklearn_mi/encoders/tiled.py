"""One encoder for all tiles of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sklearn_mi._base import Shape, positive_integer, sizes
from sklearn_mi.encoders.base import Encoder
from sklearn_mi.encoders.images import LeNet, _check_image
from sklearn_mi.encoders.passthrough import as_encoder

__all__ = ["Tiled"]

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
        height, width, _ = _check_image(input_shape, self)
        tile = sizes("tile", self.tile, "(14, 14)")
        if len(tile) != 2:
            raise ValueError(f"tile={self.tile!r}; expected height and width, such as (14, 14).")
        if height % tile[0] or width % tile[1]:
            raise ValueError(
                f"input_shape={tuple(input_shape)}; expected multiples of tile={tuple(tile)}; crop "
                "or pad the images, or choose another tile."
            )
        return (tile[0], tile[1]), (height // tile[0], width // tile[1])
