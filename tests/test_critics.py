import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sklearn_mi.critics import (
    CRITICS,
    Bilinear,
    Cauchy,
    Concat,
    Cosine,
    Critic,
    Factory,
    InnerProduct,
    Ready,
    Separable,
    Split,
    as_critic,
    cauchy_scores,
    cosine_scores,
    inner_scores,
)

N, M, D = 5, 7, 4
EQUAL_WIDTHS = ["inner", "cosine", "cauchy", "split", "cauchy-cosine"]
FREE_WIDTHS = ["bilinear", "separable", "concat"]
DEEP = {
    "learned-cosine": Cosine(temperature=0.3, learn_temperature=True),
    "deep-separable": Separable(hidden=(6, 5), width=3),
    "linear-separable": Separable(hidden=(), width=3),
    "deep-concat": Concat(hidden=(6, 5)),
}
FAMILY = {**{name: make() for name, make in CRITICS.items()}, **DEEP}


class Distance(nn.Module):
    def __init__(self, d_x=D, d_y=D):
        super().__init__()
        self.stretch = nn.Linear(d_x, d_y)
        self.calls = 0

    def forward(self, z_x, z_y):
        self.calls += 1
        return -torch.cdist(self.stretch(z_x), z_y)


def build(critic, d_x=D, d_y=D, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return as_critic(critic).build(d_x, d_y)


def codes(n, d, seed, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_random_biases(module):
    for i, parameter in enumerate(module.parameters()):
        if parameter.ndim == 1:
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(i))
    return module


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def network(weights, x):
    """Dense layers by numpy: (weight, bias) pairs, ReLU between them."""
    for i in range(0, len(weights), 2):
        x = weights[i] @ x + weights[i + 1]
        if i + 2 < len(weights):
            x = np.maximum(x, 0)
    return x


def pair_score(critic, weights, x, y):
    """One score by numpy, from the critic's parameters in their order."""
    match critic:
        case InnerProduct():
            return sum(a * b for a, b in zip(x, y, strict=True))
        case Cosine():
            temperature = math.exp(weights[0]) if weights else critic.temperature
            return x @ y / (np.linalg.norm(x) * np.linalg.norm(y) * temperature)
        case Bilinear():
            (weight,) = weights
            return sum(y[j] * weight[j, i] * x[i] for i in range(len(x)) for j in range(len(y)))
        case Separable():
            half = len(weights) // 2
            return network(weights[:half], x) @ network(weights[half:], y)
        case Concat():
            return network(weights, np.concatenate([x, y])).item()
        case Cauchy():
            return -math.log(1 + sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))
        case Split():
            first = (len(x) + 1) // 2
            directions = Cosine(0.5) if critic is FAMILY["split"] else Cosine(1.0)
            parts = (Cauchy(), x[:first], y[:first]), (directions, x[first:], y[first:])
            return sum(pair_score(part, [], a, b) for part, a, b in parts)


@pytest.mark.parametrize("name", FAMILY)
def test_scores_match_a_loop_over_pairs(name):
    critic = FAMILY[name]
    d_y = D if name in EQUAL_WIDTHS or "cosine" in name else D - 1
    built = with_random_biases(build(critic, D, d_y).double())
    z_x, z_y = codes(N, D, 1), codes(M, d_y, 2)
    weights = [parameter.detach().numpy() for parameter in built.parameters()]
    expected = np.empty((N, M))
    for i, j in itertools.product(range(N), range(M)):
        expected[i, j] = pair_score(critic, weights, z_x[i].numpy(), z_y[j].numpy())
    scores = built(z_x, z_y)
    assert scores.shape == (N, M)
    np.testing.assert_allclose(scores.detach(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_match_finite_differences(name):
    built = with_random_biases(build(FAMILY[name]).double())
    parameters = dict(built.named_parameters())

    def scores(z_x, z_y, *values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(built, named, (z_x, z_y))

    inputs = [codes(2, D, 1), codes(3, D, 2), *(p.detach().clone() for p in parameters.values())]
    inputs = [value.requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(scores, inputs, fast_mode=True)


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_are_finite_where_codes_coincide_or_vanish(name):
    built = build(FAMILY[name])
    z_x = torch.cat([codes(2, D, 1, torch.float32), torch.zeros(1, D)]).requires_grad_()
    z_y = z_x.detach().clone().requires_grad_()
    scores = built(z_x, z_y)
    assert scores.isfinite().all()
    scores.sum().backward()
    for value in (z_x, z_y, *built.parameters()):
        assert value.grad.isfinite().all()


@pytest.mark.parametrize("name", FAMILY)
def test_a_score_depends_on_its_own_pair_only(name):
    built = build(FAMILY[name]).double()
    z_x, z_y = codes(N, D, 1), codes(M, D, 2)
    part = built(z_x[1:3], z_y[2:6])
    torch.testing.assert_close(part, built(z_x, z_y)[1:3, 2:6], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FAMILY)
def test_clone_repr_and_pickle(name):
    critic = FAMILY[name]
    assert repr(critic).startswith(f"{type(critic).__name__}(")
    assert repr(clone(critic).get_params()) == repr(critic.get_params())
    assert repr(pickle.loads(pickle.dumps(critic))) == repr(critic)
    built = build(critic)
    z_x, z_y = codes(N, D, 1, torch.float32), codes(M, D, 2, torch.float32)
    assert torch.equal(pickle.loads(pickle.dumps(built))(z_x, z_y), built(z_x, z_y))
    assert torch.equal(build(clone(critic))(z_x, z_y), built(z_x, z_y))


@pytest.mark.parametrize(
    ("critic", "d", "expected"),
    [
        ("inner", 100, 0),
        ("cosine", 100, 0),
        (Cosine(learn_temperature=True), 100, 1),
        ("bilinear", 100, 10_000),
        ("bilinear", 392, 153_664),
        ("separable", 100, 40_400),
        ("concat", 100, 40_401),
        (Concat(hidden=(10,) * 5), 1, 481),
        ("cauchy", 100, 0),
    ],
)
def test_parameter_counts_are_the_papers(critic, d, expected):
    assert n_parameters(build(critic, d, d)) == expected


@pytest.mark.parametrize("name", FREE_WIDTHS)
def test_weights_are_glorot_uniform_and_biases_zero(name):
    for parameter in build(name, 100, 100).parameters():
        if parameter.ndim == 1:
            assert not parameter.any()
            continue
        limit = math.sqrt(6 / sum(parameter.shape))
        assert parameter.abs().max() <= limit
        if parameter.numel() > 1000:
            assert parameter.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)


def test_concat_equals_the_tiled_pairs():
    built = with_random_biases(build(Concat(hidden=(8, 6)), 3, 2).double())
    z_x, z_y = codes(N, 3, 1), codes(M, 2, 2)
    tiled = torch.cat([z_x.repeat_interleave(M, 0), z_y.repeat(N, 1)], dim=1)
    naive = nn.Sequential(built.first, nn.ReLU(), built.rest)
    torch.testing.assert_close(built(z_x, z_y), naive(tiled).reshape(N, M), rtol=1e-12, atol=1e-13)


def test_concat_never_joins_the_pairs():
    n, d, h = 64, 200, 8
    built = build(Concat(hidden=(h,)), d, d)
    sizes = []

    def note(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        built(codes(n, d, 1, torch.float32), codes(n, d, 2, torch.float32))
    assert max(sizes) == max(n * n * h, 2 * d * h)


def test_cosine_is_bounded_and_its_learned_temperature_stays_positive():
    assert cosine_scores(100 * codes(N, D, 1), codes(M, D, 2)).abs().max() <= 1 + 1e-12
    built = build(Cosine(temperature=0.1, learn_temperature=True))
    assert built.temperature == pytest.approx(0.1)
    assert "temperature=0.1" in repr(built)
    optimizer = torch.optim.SGD(built.parameters(), lr=10.0)
    z = codes(N, D, 1, torch.float32)
    built(z, z).diag().mean().neg().backward()
    optimizer.step()
    assert 0 < built.temperature < 0.1 - 1e-3


def test_fixed_temperature_has_nothing_to_learn():
    built = build(Cosine(temperature=2))
    z = codes(N, D, 1)
    torch.testing.assert_close(built(z, z).diag(), torch.full((N,), 0.5, dtype=torch.float64))
    assert built.state_dict() == {}


def test_cauchy_at_equal_codes_is_zero_with_zero_gradient():
    z = (100 * codes(N, D, 1, torch.float32)).requires_grad_()
    same = cauchy_scores(z, z.detach()).diag()
    assert (same <= 0).all()
    # float32's precision times the squared length.
    assert same.abs().max() < 1.2e-7 * 4 * z.detach().square().sum(1).max().item()
    same.sum().backward()
    assert z.grad.abs().max() < 1e-3


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_cauchy_keeps_its_digits_under_autocast(shift):
    z_x, z_y = (shift + codes(N, D, seed).bfloat16() for seed in (1, 2))
    exact = -torch.log1p((z_x.double()[:, None] - z_y.double()).square().sum(-1))
    with torch.autocast("cpu", torch.bfloat16):
        scores = cauchy_scores(z_x, z_y)
    torch.testing.assert_close(scores.double(), exact, rtol=0, atol=2e-3)


def test_formulas_on_a_hand_made_example():
    z_x, z_y = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0], [3.0, 4.0]])
    assert inner_scores(z_x, z_y).tolist() == [[8.0, 25.0]]
    np.testing.assert_allclose(cosine_scores(z_x, z_y), [[0.8, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(cauchy_scores(z_x, z_y).exp(), [[1 / 14, 1.0]], rtol=1e-6)


@pytest.mark.parametrize("name", EQUAL_WIDTHS[:3])
def test_unequal_widths_are_refused_with_a_cure(name):
    with pytest.raises(ValueError) as caught:
        build(name, 64, 32)
    words = ["d_x=64", "d_y=32", repr(as_critic(name)), "bilinear", "separable", "concat"]
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("name", FREE_WIDTHS)
def test_unequal_widths_are_accepted(name):
    built = build(name, 6, 3).double()
    weights = [parameter.detach().numpy() for parameter in built.parameters()]
    z_x, z_y = codes(N, 6, 1), codes(M, 3, 2)
    scores = built(z_x, z_y)
    assert scores.shape == (N, M)
    expected = pair_score(as_critic(name), weights, z_x[4].numpy(), z_y[6].numpy())
    assert scores[4, 6].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("critic", "error", "words"),
    [
        (Cosine(temperature=0), ValueError, ["temperature=0", "positive"]),
        (Cosine(temperature=math.nan), ValueError, ["temperature=nan", "positive"]),
        (Cosine(temperature="low"), TypeError, ["temperature='low'", "positive"]),
        (Separable(width=0), ValueError, ["width=0", "positive integer"]),
        (Separable(hidden=100), TypeError, ["hidden=100", "tuple"]),
        (Concat(hidden=()), ValueError, ["hidden=()", "at least one"]),
        (Concat(hidden=(2.5,)), TypeError, ["hidden=2.5", "positive integer"]),
        (nn.Bilinear(D, D, 1), ValueError, ["d_x=4", "d_y=4", "Bilinear", "does not accept"]),
        (lambda d_x, d_y: nn.CosineSimilarity(dim=0), ValueError, ["CosineSimilarity"]),
        (lambda d_x, d_y: None, TypeError, ["None", "nn.Module"]),
        (Ready("concat"), TypeError, ["module='concat'", "nn.Module"]),
    ],
)
def test_values_that_do_not_fit(critic, error, words):
    with pytest.raises(error) as caught:
        build(critic)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_module_whose_scores_have_another_shape_is_refused():
    class Rowwise(nn.Module):
        def forward(self, z_x, z_y):
            return z_x.sum(1)

    with pytest.raises(ValueError, match=r"Rowwise gives \(2,\).*shape \(2, 3\)"):
        build(Rowwise())


def test_as_critic_passes_wraps_and_refuses():
    given = Concat(hidden=(4,))
    assert as_critic(given) is given
    assert isinstance(as_critic(Distance()), Ready)
    assert isinstance(as_critic(Distance), Factory)
    with pytest.raises(ValueError, match="Did you mean 'bilinear'"):
        as_critic("bilinaer")
    for value in (3, None, Concat):
        with pytest.raises(TypeError, match=r"Bilinear\(\), an nn.Module, or a function"):
            as_critic(value)


@pytest.mark.parametrize("critic", [Distance(), Distance])
def test_modules_and_functions_clone_and_pickle(critic):
    description = as_critic(critic)
    z_x, z_y = codes(N, D, 1, torch.float32), codes(M, D, 2, torch.float32)
    for copy in (clone(description), pickle.loads(pickle.dumps(description))):
        assert torch.equal(build(copy)(z_x, z_y), build(description)(z_x, z_y))
        assert type(description).__name__ in repr(copy)


def test_a_module_given_is_never_changed():
    given = Distance()
    before = given.stretch.weight.detach().clone()
    built = build(given)
    with torch.no_grad():
        built.stretch.weight.zero_()
    assert torch.equal(given.stretch.weight, before)
    assert given.calls == built.calls == 0
    assert given.training
    assert built.training


def test_names_are_those_of_the_family():
    assert all(isinstance(make(), Critic) for make in CRITICS.values())
    assert len({repr(make()) for make in CRITICS.values()}) == len(CRITICS)


# Parts of the code


def test_split_adds_the_scores_of_its_parts():
    critic = Split(("cauchy", "bilinear", "cosine")).build(7, 7)
    z_x, z_y = codes(N, 7, 1, torch.float32), codes(M, 7, 2, torch.float32)
    cauchy, bilinear, cosine = critic.parts
    expected = (
        cauchy(z_x[:, :3], z_y[:, :3])
        + bilinear(z_x[:, 3:5], z_y[:, 3:5])
        + cosine(z_x[:, 5:], z_y[:, 5:])
    )
    torch.testing.assert_close(critic(z_x, z_y), expected)


def test_split_takes_codes_of_two_widths():
    critic = Split(("bilinear", "separable")).build(5, 8).double()
    z_x, z_y = codes(N, 5, 1), codes(M, 8, 2)
    bilinear, separable = critic.parts
    expected = bilinear(z_x[:, :3], z_y[:, :4]) + separable(z_x[:, 3:], z_y[:, 4:])
    torch.testing.assert_close(critic(z_x, z_y), expected)
    assert repr(clone(Split())) == repr(Split())


@pytest.mark.parametrize(
    ("critics", "words"),
    [
        ((), "into 0 parts; expected 1 to as many"),
        (("cauchy",) * 5, "cut codes of 4 and 4 components into 5 parts"),
        ("cauchy", "expected a sequence of critics"),
        (("cauchy", "cosin"), "Did you mean 'cosine'"),
    ],
)
def test_split_says_what_is_wrong(critics, words):
    with pytest.raises(ValueError, match=words):
        Split(critics).build(4, 4)
