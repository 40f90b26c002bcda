import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone

from sklearn_mi.encoders import Conv1d, as_encoder


def build(encoder, shape, width=None) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return encoder.build(shape, width)


@pytest.mark.parametrize("causal", [False, True])
def test_steps_are_convolutions_and_the_code_is_their_mean(causal):
    module = build(Conv1d((5,), kernel=3, causal=causal), (9, 2), 4)
    x = torch.randn(3, 9, 2)
    first, last = (part for part in module.map if isinstance(part, torch.nn.Conv1d))
    padded = F.pad(x.transpose(1, 2), (2, 0) if causal else (1, 1))
    for step in range(5):
        window = padded[:, :, 2 * step : 2 * step + 3]
        hidden = F.gelu(torch.einsum("oct,bct->bo", first.weight, window) + first.bias)
        expected = hidden @ last.weight[:, :, 0].T + last.bias
        torch.testing.assert_close(module.map(x)[:, :, step], expected)
    torch.testing.assert_close(module(x), module.map(x).mean(2))


@pytest.mark.parametrize("kernel, stride", [(3, 2), (4, 2), (5, 1), (2, 3)])
@pytest.mark.parametrize("length", [1, 7, 16])
def test_the_stride_divides_the_length_rounded_up(kernel, stride, length):
    for causal in (False, True):
        module = build(Conv1d((4, 4), kernel, stride, causal), (length, 3))
        expected = math.ceil(math.ceil(length / stride) / stride)
        assert module.map(torch.zeros(2, length, 3)).shape == (2, 32, expected)


def test_a_causal_step_sees_nothing_after_its_own():
    module = build(Conv1d((4, 4), causal=True), (21, 3))
    x = torch.randn(2, 21, 3)
    before = module.map(x)
    for step in range(before.shape[2]):
        changed = x.clone()
        changed[:, 4 * step + 1 :] += 1  # two strides of 2: step t stands at input 4 t
        assert torch.equal(module.map(changed)[:, :, : step + 1], before[:, :, : step + 1])
        changed[:, 4 * step] += 1
        assert (module.map(changed)[:, :, step] != before[:, :, step]).any()


def test_the_name_the_layer_and_clones():
    encoder = as_encoder("conv1d")
    assert isinstance(encoder, Conv1d) and repr(clone(encoder)) == "Conv1d()"
    module = build(encoder, (16, 2), 7)
    path = encoder.layers((16, 2))["steps"]
    assert module.get_submodule(path)(torch.zeros(3, 16, 2)).shape == (3, 7, 4)


@pytest.mark.parametrize(
    "encoder, shape, message",
    [
        (Conv1d(), (48,), r"input_shape=\(48,\); .* needs sequences: pass input_shape=\(time, ch"),
        (Conv1d(), (8, 8, 3), "needs sequences"),
        (Conv1d(kernel=0), (8, 3), "kernel=0; expected a positive integer"),
        (Conv1d(stride=0), (8, 3), "stride=0; expected a positive integer"),
        (Conv1d((4, 0)), (8, 3), "each of channels=0; expected a positive integer"),
    ],
)
def test_errors_name_the_cure(encoder, shape, message):
    with pytest.raises(ValueError, match=message):
        encoder.build(shape, None)
