from typing import Any

import pytest
import torch
from sklearn.base import clone
from torch import nn

from sklearn_mi.encoders import MLP, Backbone, Linear, Tiled


def slices(images, height, width):
    """Return the tiles of images by slicing, row by row of tiles."""
    tops, lefts = range(0, images.shape[1], height), range(0, images.shape[2], width)
    return [images[:, i : i + height, j : j + width] for i in tops for j in lefts]


@pytest.mark.parametrize("shape", [(6, 10), (6, 10, 3)], ids=["grey", "colour"])
def test_code_is_that_of_each_tile(shape):
    images = torch.randn(4, *shape)
    module: Any = Tiled((3, 5), "linear").build(shape, 8)
    expected = [module.network(tile) for tile in slices(images, 3, 5)]
    torch.testing.assert_close(module(images), torch.cat(expected, dim=1))


def test_tiles_share_one_network():
    alone = MLP((7,)).build((4, 4), 2)
    tiled = Tiled((4, 4), MLP((7,))).build((8, 12), 12)
    sizes = [sum(p.numel() for p in module.parameters()) for module in (alone, tiled)]
    assert sizes[0] == sizes[1]


def test_width_is_shared_out():
    encoder = Tiled((14, 14))
    assert encoder.build((28, 70), None)(torch.zeros(2, 28, 70)).shape == (2, 40)
    assert encoder.build((28, 70), 30)(torch.zeros(2, 28, 70)).shape == (2, 30)
    assert encoder.n_parts((28, 70)) == 10
    with pytest.raises(ValueError, match="n_components=32; .* expected a multiple of 10, or None"):
        encoder.build((28, 70), 32)


def test_a_network_of_your_own_is_copied():
    network: Any = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    module: Any = Tiled((4, 4), network).build((8, 8), 12)
    assert module.network is not network
    torch.testing.assert_close(module.network[1].weight, network[1].weight)


def test_description_is_cloned_and_has_a_skeleton():
    encoder = Tiled((4, 4), Linear())
    assert repr(clone(encoder)) == repr(encoder)
    assert encoder.get_params()["encoder__bias"] is True
    pretrained = Tiled((4, 4), Backbone(weights="DEFAULT"))
    assert "Skeleton" not in repr(pretrained)
    assert "Skeleton" in repr(pretrained.skeleton())


@pytest.mark.parametrize(
    "tile, shape, message",
    [
        ((14, 14), (28, 60), r"input_shape=\(28, 60\); expected multiples of tile=\(14, 14\)"),
        ((14,), (28, 28), r"tile=\(14,\); expected height and width"),
        ((14, 0), (28, 28), "expected a positive integer"),
        ((14, 14), (28,), "needs images"),
    ],
)
def test_errors_name_the_cure(tile, shape, message):
    with pytest.raises(ValueError, match=message):
        Tiled(tile).build(shape, None)


def test_a_tile_without_size_is_refused():
    number: Any = 14
    with pytest.raises(TypeError, match="tile=14; expected a tuple"):
        Tiled(number).build((28, 28), None)
