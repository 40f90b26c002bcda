from typing import Any

import pytest
import torch
from sklearn.base import clone
from torch import nn

from sklearn_mi.encoders import Backbone, Linear, Patches, as_encoder


@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 3)], ids=["grey", "colour"])
def test_the_map_holds_the_code_of_each_patch_and_the_code_is_its_mean(shape):
    images = torch.randn(4, *shape)
    module: Any = Patches("linear", size=5, stride=2).build(shape, 8)
    made = module.map(images)
    assert made.shape == (4, 8, 3, 4)
    for i in range(3):
        for j in range(4):
            patch = images[:, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5]
            torch.testing.assert_close(made[:, :, i, j], module.map.network(patch))
    torch.testing.assert_close(module(images), made.mean((2, 3)))


@pytest.mark.parametrize(
    "shape, places", [((8, 8), 7), ((28, 28), 6), ((32, 32, 3), 7), ((64, 64, 3), 7), ((5, 9), 4)]
)
def test_size_and_stride_follow_the_image(shape, places):
    module: Any = Patches().build(shape, None)
    assert module.map(torch.zeros(2, *shape)).shape[:3] == (2, 128, places)
    assert Patches().build(shape, 5)(torch.zeros(2, *shape)).shape == (2, 5)


def test_the_width_is_that_of_the_encoder():
    assert Patches("mlp").build((8, 8), None)(torch.zeros(2, 8, 8)).shape == (2, 32)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 6))
    module: Any = Patches(network, size=3).build((8, 8), None)
    assert module(torch.zeros(2, 8, 8)).shape == (2, 6)
    assert module.map.network is not network


def test_the_layer_is_named():
    encoder = as_encoder("patches")
    assert isinstance(encoder, Patches)
    module = encoder.build((8, 8), 4)
    path = encoder.layers((8, 8))["patches"]
    assert module.get_submodule(path)(torch.zeros(2, 8, 8)).shape == (2, 4, 7, 7)


def test_description_is_cloned_and_has_a_skeleton():
    encoder = Patches(Linear(), size=4)
    assert repr(clone(encoder)) == repr(encoder)
    assert encoder.get_params()["encoder__bias"] is True
    assert Patches().skeleton().build((8, 8), None)(torch.zeros(1, 8, 8)).shape == (1, 128)
    pretrained = Patches(Backbone(weights="DEFAULT"), size=32)
    assert "Skeleton" not in repr(pretrained) and "Skeleton" in repr(pretrained.skeleton())


@pytest.mark.parametrize(
    "encoder, shape, message",
    [
        (Patches(size=9), (8, 12), r"size=9; expected at most 8, the shorter side of images"),
        (Patches(), (1, 5), "size=2; expected at most 1"),
        (Patches(size=0), (8, 8), "size=0; expected a positive integer"),
        (Patches(stride=0), (8, 8), "stride=0; expected a positive integer"),
        (Patches(), (28,), "needs images"),
    ],
)
def test_errors_name_the_cure(encoder, shape, message):
    with pytest.raises(ValueError, match=message):
        encoder.build(shape, None)
