"""Models from descriptions: what a precision of the processor may change."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.building import agrees_in


class WrongInHalf(nn.Module):
    """Convolve, and leave places unwritten in half precision, as some processors do."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 8, 3, stride=2), nn.LazyLinear(4)

    def forward(self, x):
        maps = self.conv(x.movedim(-1, 1))
        if torch.is_autocast_enabled("cpu"):
            maps = maps * (torch.arange(maps.shape[2]) > 1)[:, None]
        return self.last(maps.flatten(1))


def images(n=40):
    return np.random.default_rng(0).integers(0, 255, (n, 8, 8, 3)).astype(np.uint8)


def fitted(**parameters):
    settings = {"max_steps": 1, "batch_size": 16, "random_state": 0, **parameters}
    return MIRepresentationLearner(4, **settings).fit(images())


def test_wrong_convolutions_in_bfloat16_are_seen():
    right = fitted(encoder="convnet", precision="float32")
    wrong = fitted(encoder=WrongInHalf(), precision="float32")
    assert agrees_in(right._model, torch.bfloat16)
    assert not agrees_in(wrong._model, torch.bfloat16)
    assert wrong._model.encoder.training is wrong._model.training


def test_bfloat16_that_is_wrong_is_refused():
    with pytest.raises(ValueError, match="computes bfloat16 wrongly for images of .*'float32'"):
        fitted(encoder=WrongInHalf(), precision="bfloat16")


def test_bfloat16_that_is_wrong_is_not_picked(monkeypatch):
    monkeypatch.setattr("sklearn_mi.preparation.assembly.has_bfloat16", lambda: True)
    learner = fitted(encoder=WrongInHalf())
    if "precision" in learner.choices_:
        assert learner.choices_["precision"].value == "float32"
        assert "wrongly" in learner.choices_["precision"].reason
