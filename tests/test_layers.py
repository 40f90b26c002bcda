import pytest
import torch
from torch import nn

from sklearn_mi.critics import CRITICS, Bilinear, Critic, Factory, Ready
from sklearn_mi.layers import as_description, copied, dense, made_by, mlp


def test_dense_layers_draw_as_glorot_does():
    torch.manual_seed(0)
    layer = dense(30, 50)
    limit = (6 / 80) ** 0.5
    assert 0.95 * limit < layer.weight.abs().max() <= limit and not layer.bias.any()
    assert layer.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.05)
    assert dense(3, 5, bias=False).bias is None


def test_a_perceptron_is_its_layers_with_relu_between():
    network, x = mlp((4, 6, 5, 2)).double(), torch.randn(7, 4).double()
    first, _, second, _, last = network
    expected = last(torch.relu(second(torch.relu(first(x)))))
    torch.testing.assert_close(network(x), expected)
    torch.manual_seed(0)
    drawn = mlp((4, 3), nn.Linear)
    torch.manual_seed(0)
    assert torch.equal(drawn[0].weight, nn.Linear(4, 3).weight)


def test_a_network_is_copied_with_its_weights():
    given = nn.Linear(2, 3)
    made = copied(given)
    assert torch.equal(made.weight, given.weight)
    with torch.no_grad():
        made.weight.zero_()
    assert given.weight.abs().sum() > 0
    with pytest.raises(TypeError, match="module=3; expected an nn.Module"):
        copied(3)


def test_a_function_makes_a_network_or_says_why_not():
    made = made_by(nn.Linear, "encoder", n_in=2, n_out=3)
    assert (made.in_features, made.out_features) == (2, 3)
    with pytest.raises(ValueError, match="made no encoder from n_in=2 and n_out=-1") as caught:
        made_by(nn.Linear, "encoder", n_in=2, n_out=-1)
    assert caught.value.__cause__ is not None
    with pytest.raises(TypeError, match="returned 5; expected an nn.Module"):
        made_by(lambda n: n, "encoder", n=5)


def test_values_become_descriptions_of_their_family():
    def of(value):
        kinds = {"ready": Ready, "factory": Factory, "expected": "or a critic"}
        return as_description("critic", value, CRITICS, Critic, **kinds)

    given, module = Bilinear(), nn.Bilinear(2, 2, 1)
    assert of(given) is given and isinstance(of("bilinear"), Bilinear)
    assert of(module).module is module and of(nn.Bilinear).function is nn.Bilinear
    with pytest.raises(ValueError, match="Did you mean 'bilinear'"):
        of("bilinaer")
    for value in (3, Bilinear):
        with pytest.raises(TypeError, match=r"expected a name \['bilinear'.*or a critic\."):
            of(value)
