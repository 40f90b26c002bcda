import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.comparisons import LocalGlobal
from sklearn_mi.encoders import GRU, Conv1d, SequenceModule, Tokens, as_encoder
from sklearn_mi.encoders.sequences import POOLS, pooled

LENGTHS = [12, 1, 7, 8, 3]
CONVOLUTIONS = [
    {},
    {"stride": 2},
    {"stride": 3, "kernel": 4},
    {"causal": True},
    {"causal": True, "stride": 2, "kernel": 4},
    {"dilations": (1, 1, 5)},
    {"dilations": (3, 1, 2), "kernel": 2, "causal": True},
]


def build(encoder, shape, width=None) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = encoder.build(shape, width)
        # Biases that are not zero show up where a layer forgets the mask.
        for parameter in module.parameters():
            if parameter.ndim == 1:
                torch.nn.init.uniform_(parameter, -1, 1)
    return module


def recordings(lengths=LENGTHS, n_channels=2, width=12, seed=0):
    """Return recordings of some lengths in one tensor, zero and unobserved after their ends."""
    x = torch.randn(
        len(lengths), width, n_channels + 1, generator=torch.Generator().manual_seed(seed)
    )
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).float()[..., None]
    return torch.cat([x[..., :-1] * mask, mask], dim=2)


def encoders():
    for pool in POOLS:
        yield GRU(width=5, n_layers=2, pool=pool)
        for params in CONVOLUTIONS:
            yield Conv1d((6, 6, 4), pool=pool, **params)


@pytest.mark.parametrize("encoder", list(encoders()), ids=repr)
def test_a_padded_recording_has_the_code_of_the_recording_alone(encoder):
    x = recordings()
    module = build(encoder, x.shape[1:], 6)
    codes, steps = module(x), module.steps(x)
    for i, length in enumerate(LENGTHS):
        alone = x[i : i + 1, :length]
        torch.testing.assert_close(module(alone)[0], codes[i], rtol=1e-5, atol=1e-5)
        own = module.steps(alone)[0]
        torch.testing.assert_close(own, steps[i, :, : own.shape[1]], rtol=1e-5, atol=1e-5)
        assert not steps[i, :, own.shape[1] :].any()
        seen = module.seen(x)[i]
        assert seen[: own.shape[1]].all() and not seen[own.shape[1] :].any()
    wider = F.pad(x, (0, 0, 0, 9))
    torch.testing.assert_close(module(wider), codes, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", [Conv1d(), GRU()], ids=repr)
def test_the_order_of_recordings_changes_nothing(encoder):
    x, order = recordings(), torch.tensor([3, 0, 4, 2, 1])
    module = build(encoder, x.shape[1:])
    torch.testing.assert_close(module(x[order]), module(x)[order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("encoder", [Conv1d((6, 6)), Conv1d((6, 6), causal=True), GRU(6)], ids=repr)
def test_values_of_hidden_steps_change_nothing(encoder):
    x = recordings()
    x[0, 4:6] = 0.0
    module = build(encoder, x.shape[1:])
    changed = x.clone()
    changed[0, 4:6, :-1] = 3.0
    assert torch.equal(module(changed), module(x))
    assert not module.steps(x)[0, :, 4:6].any() and module.steps(x)[0, :, 6:].any()


@pytest.mark.parametrize("pool", POOLS)
def test_a_gru_begins_at_the_first_observed_step(pool):
    module, x = build(GRU(6, pool=pool), (9, 3)), recordings([9, 5, 3, 1], width=9)
    late = torch.cat([torch.zeros(4, 4, 3), x], dim=1)
    torch.testing.assert_close(module.steps(late)[:, :, 4:], module.steps(x))
    torch.testing.assert_close(module(late), module(x))
    nothing = torch.zeros(1, 9, 3)
    assert not module(nothing).any() and not module.steps(nothing).any()


@pytest.mark.parametrize("pool", POOLS)
def test_pools_are_those_of_a_loop_over_observed_steps(pool):
    steps = torch.randn(6, 3, 9, generator=torch.Generator().manual_seed(0)) - 2
    seen = torch.rand(6, 9, generator=torch.Generator().manual_seed(1)) < 0.5
    seen[5] = False
    steps = steps * seen[:, None]
    found = pooled(steps, seen, pool)
    for i in range(5):
        own = steps[i][:, seen[i]]
        by_name = {"mean": own.mean(1), "max": own.max(1).values, "last": own[:, -1]}
        expected = by_name.get(pool, torch.cat([by_name["mean"], by_name["max"]]))
        torch.testing.assert_close(found[i], expected)
    assert not found[5].any()  # nothing was observed


@pytest.mark.parametrize("encoder", [Conv1d(), Conv1d(stride=2), GRU(pool="mean")], ids=repr)
def test_the_code_is_the_mean_of_its_steps(encoder):
    x = recordings()
    module = build(encoder, x.shape[1:])
    steps, seen = module.steps(x), module.seen(x)
    for i in range(len(x)):
        torch.testing.assert_close(module(x)[i], steps[i][:, seen[i]].mean(1))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_steps_are_convolutions_by_hand(causal, stride, dilation):
    encoder = Conv1d((5,), kernel=3, dilations=(dilation,), stride=stride, causal=causal)
    module, x = build(encoder, (9, 3), 4), recordings([9, 9, 9], width=9)
    layer, last = module.map.layers[0].convolution, module.map.to_code
    around = 2 * dilation
    padded = F.pad(
        x[..., :2].transpose(1, 2), (around, 0) if causal else (around // 2, around // 2)
    )
    steps = module.steps(x)
    assert steps.shape[2] == math.ceil(9 / stride)
    for step in range(steps.shape[2]):
        window = padded[:, :, step * stride : step * stride + around + 1 : dilation]
        hidden = F.gelu(torch.einsum("oct,bct->bo", layer.weight, window) + layer.bias)
        expected = hidden @ last.weight[:, :, 0].T + last.bias
        torch.testing.assert_close(steps[:, :, step], expected)


def test_a_convolution_adds_its_input_if_channels_agree():
    module, x = build(Conv1d((2, 4), stride=2), (9, 3)), recordings([9, 9], width=9)
    first, second = module.map.layers
    values = x[..., :2].transpose(1, 2)
    plain = F.gelu(first.convolution(values))
    torch.testing.assert_close(first(values), plain + values[:, :, ::2])
    torch.testing.assert_close(second(plain), F.gelu(second.convolution(second.pad(plain))))


@pytest.mark.parametrize("kernel, stride", [(3, 2), (4, 2), (5, 1), (2, 3), (1, 1)])
@pytest.mark.parametrize("length", [1, 7, 16])
def test_the_stride_divides_the_length_rounded_up(kernel, stride, length):
    for causal in (False, True):
        module = build(Conv1d((4, 4), kernel, stride=stride, causal=causal), (length, 3))
        expected = math.ceil(math.ceil(length / stride) / stride)
        x = recordings([length], width=length)
        assert module.steps(x).shape == (1, 32, expected)
        assert module.seen(x).shape == (1, expected)


@pytest.mark.parametrize(
    "encoder",
    [Conv1d((4, 4), stride=2, causal=True), Conv1d((4, 4), causal=True), GRU(4)],
    ids=repr,
)
def test_a_causal_step_sees_nothing_after_its_own(encoder):
    module, x = build(encoder, (21, 3)), recordings([21, 21], width=21)
    before = module.steps(x)
    for step in range(before.shape[2]):
        place, changed = step * module.stride, x.clone()
        changed[:, place + 1 :, :-1] += 1
        assert torch.equal(module.steps(changed)[:, :, : step + 1], before[:, :, : step + 1])
        changed[:, place, :-1] += 1
        assert (module.steps(changed)[:, :, step] != before[:, :, step]).any()


@pytest.mark.parametrize("name, kind", [("conv1d", Conv1d), ("gru", GRU)])
def test_the_name_the_layer_and_clones(name, kind):
    encoder = as_encoder(name)
    assert isinstance(encoder, kind) and repr(clone(encoder)) == f"{kind.__name__}()"
    module, x = build(encoder, (12, 3), 7), recordings()
    assert isinstance(module, SequenceModule)
    path = encoder.layers((12, 3))["steps"]
    assert torch.equal(module.get_submodule(path)(x), module.steps(x))
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(again(x), module(x))


def test_a_gru_starts_as_its_page_says():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Any = GRU(width=8).build((12, 3), None).map.network  # type: ignore[union-attr]
    assert not network.bias_ih_l0.any() and not network.bias_hh_l0.any()
    recurrent = network.weight_hh_l0
    torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(8))
    limit = math.sqrt(6 / (24 + 2))
    assert 0.8 * limit < network.weight_ih_l0.abs().max() <= limit


def test_half_of_a_code_are_means_and_half_maxima():
    encoder = Conv1d(pool="mean-max")
    module, x = build(encoder, (12, 3)), recordings()
    assert module(x).shape == (5, 32) and module.steps(x).shape == (5, 16, 12)
    with pytest.raises(ValueError, match="n_components=7 with pool='mean-max'; expected an even"):
        encoder.build((12, 3), 7)


@pytest.mark.parametrize("encoder", [Conv1d(), GRU()], ids=repr)
def test_every_weight_gets_a_gradient(encoder):
    module, x = build(encoder, (12, 3), 6), recordings()
    module(x).square().sum().backward()
    for parameter in module.parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


TOKENS = torch.tensor([[5.0, 9.0, 2.0, 2.0, 0.0, 0.0], [7.0, 0.0, 0.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize("inner", ["conv1d", GRU(8), Conv1d((8,), stride=2)], ids=repr)
def test_tokens_are_recordings_of_their_embeddings(inner):
    encoder = Tokens(10, 4, inner)
    module = build(encoder, (6,))
    mask = (TOKENS > 0).float()[..., None]
    embedded = module.embedding.weight[TOKENS.long()] * mask
    x = torch.cat([embedded, mask], dim=2)
    torch.testing.assert_close(module(TOKENS), module.encoder(x))
    torch.testing.assert_close(module.steps(TOKENS), module.encoder.steps(x))
    assert torch.equal(module.seen(TOKENS), module.encoder.seen(x))
    assert module.stride == module.encoder.stride
    path = encoder.layers((6,))["steps"]
    assert torch.equal(module.get_submodule(path)(x), module.encoder.steps(x))
    torch.testing.assert_close(module(TOKENS[1:, :1]), module(TOKENS)[1:], rtol=1e-5, atol=1e-5)
    assert repr(clone(encoder)) == repr(encoder)


@pytest.mark.parametrize("wrong", [-1.0, 10.0, 2.5, math.nan])
def test_numbers_that_are_no_tokens_are_refused(wrong):
    rows = TOKENS.clone()
    rows[0, 1] = wrong
    message = r"X holds .*; Tokens\(n_tokens=10\) expects whole numbers from 0, .*standardize=False"
    with pytest.raises(ValueError, match=message):
        Tokens(10).check_rows(rows)
    with pytest.raises(ValueError, match=message):
        build(Tokens(10), (6,))(rows)
    Tokens(10).check_rows(TOKENS)


def test_tokens_end_to_end():
    rng = np.random.default_rng(0)
    X = rng.integers(1, 20, (60, 8)) * (np.arange(8) < rng.integers(2, 9, (60, 1)))
    learner = MIRepresentationLearner(
        4, view="same", encoder=Tokens(20, 6, Conv1d((8,))), comparison="cpc", objective="infonce",
        standardize=False, max_steps=5, random_state=0,
    )  # fmt: skip
    Z = learner.fit(X).transform(X)
    assert Z.shape == (60, 4) and np.isfinite(learner.score(X))


@pytest.mark.parametrize(
    "encoder, shape, message",
    [
        (Conv1d(), (48,), r"input_shape=\(48,\); .* needs recordings \(time, channels \+ 1\)"),
        (Conv1d(), (48, 1), r"input_shape=\(48, 1\); .* needs recordings"),
        (Conv1d(), (8, 8, 3), "needs recordings"),
        (GRU(), (48,), "needs recordings"),
        (Conv1d(kernel=0), (8, 3), "kernel=0; expected a positive integer"),
        (Conv1d(stride=0), (8, 3), "stride=0; expected a positive integer"),
        (Conv1d((4, 0)), (8, 3), "each of channels=0; expected a positive integer"),
        (Conv1d(dilations=(1, 2)), (8, 3), r"dilations=\(1, 2\); expected 3, one for each of"),
        (Conv1d(dilations="double"), (8, 3), "dilations='double' is not known"),
        (Conv1d(pool="avg"), (8, 3), "pool='avg' is not known; expected one of"),
        (GRU(width=0), (8, 3), "width=0; expected a positive integer"),
        (GRU(n_layers=0), (8, 3), "n_layers=0; expected a positive integer"),
        (GRU(pool="first"), (8, 3), "pool='first' is not known"),
        (Tokens(10), (8, 3), r"input_shape=\(8, 3\); .* needs rows of tokens, \(n, time\)"),
        (Tokens(0), (8,), "n_tokens=0; expected a positive integer"),
        (Tokens(9, 0), (8,), "width=0; expected a positive integer"),
        (Tokens(9, encoder="mlp"), (8,), "encoder='mlp'; expected an encoder of recordings"),
    ],
)
def test_errors_name_the_cure(encoder, shape, message):
    with pytest.raises(ValueError, match=message):
        encoder.build(shape, None)


def unequal(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, 2)) for length in rng.integers(2, 13, n)]


@pytest.mark.parametrize("encoder", [Conv1d((8, 8), stride=2), GRU(8)], ids=repr)
def test_predictive_coding_of_unequal_recordings_end_to_end(encoder, tmp_path):
    X = unequal()
    learner = MIRepresentationLearner(
        4, view="same", encoder=encoder, comparison="cpc", objective="infonce", front_end=None,
        max_steps=5, batch_size=16, random_state=0,
    )  # fmt: skip
    Z = learner.fit(X).transform(X)
    assert Z.shape == (60, 4) and np.isfinite(learner.score(X))
    np.testing.assert_allclose(learner.transform(X[7:8]), Z[7:8], rtol=1e-4, atol=1e-5)
    learner.save(tmp_path / "learner.mi")
    assert np.array_equal(load(tmp_path / "learner.mi").transform(X), Z)


def test_every_place_of_a_map_needs_recordings_of_one_length():
    learner = MIRepresentationLearner(
        4, view="same", encoder=Conv1d((8,)), comparison=LocalGlobal("steps", units=8),
        front_end=None, max_steps=2, random_state=0,
    )  # fmt: skip
    assert learner.fit([x[:2] for x in unequal()]).transform(unequal()[:3]).shape == (3, 4)
    with pytest.raises(ValueError, match="compares all places of a map, but some steps .*'cpc'"):
        learner.fit(unequal())
