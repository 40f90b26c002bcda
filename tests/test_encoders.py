import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from torch import nn

from sklearn_mi import encoders
from sklearn_mi.encoders import (
    DEFAULT_WIDTH,
    ENCODERS,
    MLP,
    Backbone,
    ChannelsFirst,
    ConvNet,
    Encoder,
    Factory,
    Identity,
    InvertibleModule,
    LeNet,
    Linear,
    Passthrough,
    Ready,
    RealNVP,
    SkipMLP,
    as_encoder,
    code_width,
)
from sklearn_mi.encoders.images import same_padding

IMAGE = (14, 28)
FLAT = ["identity", "linear", "mlp", "passthrough", "skip-mlp", "realnvp"]
OWN_WIDTH = {
    "conv1d": DEFAULT_WIDTH,
    "gru": DEFAULT_WIDTH,
    "dim-net": 64,
    "identity": 392,
    "patches": 128,
    "joined": 2 * DEFAULT_WIDTH,
    "linear": DEFAULT_WIDTH,
    "mlp": DEFAULT_WIDTH,
    "gelu-mlp": DEFAULT_WIDTH,
    "wide-mlp": DEFAULT_WIDTH,
    "passthrough": 394,
    "skip-mlp": 392,
    "realnvp": 392,
    "convnet": 100,
    "lenet": DEFAULT_WIDTH,
    "resnet18": 512,
}


def build(encoder, input_shape=IMAGE, n_components=None, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return as_encoder(encoder).build(input_shape, n_components)


def rows(n, *shape, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=generator, dtype=dtype)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def make_linear(input_shape, n_components):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), n_components or 3))


@pytest.mark.parametrize("name", ENCODERS)
def test_code_has_the_own_width_and_every_weight_a_gradient(name):
    encoder = build(name)
    code = encoder(rows(4, *IMAGE))
    assert code.shape == (4, OWN_WIDTH[name])
    assert code_width(encoder, IMAGE) == OWN_WIDTH[name]
    if n_parameters(encoder):
        (code * rows(*code.shape)).sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


WIDE = {"identity", "passthrough", "skip-mlp", "realnvp"}


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - WIDE))
def test_n_components_is_the_width(name):
    assert build(name, n_components=7)(rows(3, *IMAGE)).shape == (3, 7)


@pytest.mark.parametrize("name", FLAT)
def test_flat_rows_and_images_of_equal_content_have_equal_codes(name):
    x = rows(3, *IMAGE)
    flat = build(name, (392,))(x.flatten(1))
    assert torch.equal(flat, build(name)(x))


@pytest.mark.parametrize("name", ENCODERS)
def test_equal_seeds_give_equal_weights_and_others_do_not(name):
    first, again, other = build(name), build(name), build(name, seed=1)
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    if n_parameters(first):
        assert not all(map(torch.equal, first.parameters(), other.parameters()))


@pytest.mark.parametrize("name", ENCODERS)
def test_descriptions_clone_print_and_pickle(name):
    encoder = as_encoder(name)
    expected = {
        "gelu-mlp": "MLP(activation='gelu', hidden=(256, 256))",
        "wide-mlp": "MLP(activation='gelu', hidden=(512, 512))",
    }
    assert repr(encoder) == expected.get(name, f"{type(encoder).__name__}()")
    assert clone(encoder).get_params() == encoder.get_params()
    assert pickle.loads(pickle.dumps(encoder)).get_params() == encoder.get_params()


@pytest.mark.parametrize("name", ENCODERS)
def test_built_modules_pickle(name):
    built = build(name).eval()
    x = rows(2, *IMAGE)
    assert torch.equal(pickle.loads(pickle.dumps(built))(x), built(x))


@pytest.mark.parametrize(
    ("encoder", "input_shape", "n_components", "expected"),
    [
        (MLP(), (392,), 100, 238_300),
        (MLP(), (1536,), 100, 581_500),
        (ConvNet(), IMAGE, 100, 219_748),
        (ConvNet(), (16, 32, 3), 100, 222_948),
        # 16 x 26 + 32 x 401 of the convolutions, 7 x 7 x 32 inputs of the dense layers.
        (LeNet(), (28, 28), 64, 416 + 12_832 + 513 * 256 + 257 * 64),
        (SkipMLP(), IMAGE, None, 770_280),
        (RealNVP(), IMAGE, None, 13_922_040),
        (RealNVP(affine=True), IMAGE, None, 16_938_480),
        # 3 kept, 4 moved; a perceptron 3-6-4 in each of two couplings, or 3-6-8.
        (RealNVP(couplings=2, hidden=(6,)), (7,), None, 2 * (4 * 6 + 7 * 4)),
        (RealNVP(couplings=2, hidden=(6,), affine=True), (7,), None, 2 * (4 * 6 + 7 * 8)),
        (Linear(), (392,), 10, 3_930),
        (Linear(bias=False), (392,), 10, 3_920),
        (Identity(), (392,), None, 0),
    ],
)
def test_parameter_counts_are_the_papers(encoder, input_shape, n_components, expected):
    assert n_parameters(build(encoder, input_shape, n_components)) == expected


@pytest.mark.parametrize("encoder", [Linear(), MLP(), ConvNet()])
def test_dense_and_convolutional_weights_are_glorot_uniform(encoder):
    layers = [m for m in build(encoder).modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    for layer in layers:
        receptive = math.prod(layer.weight.shape[2:])
        limit = math.sqrt(6 / ((layer.weight.shape[0] + layer.weight.shape[1]) * receptive))
        assert layer.weight.abs().max() <= limit
        assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert not layer.bias.any()


def test_linear_is_an_affine_map():
    built = build(Linear(), (6,), 2).double()
    x = rows(5, 6, dtype=torch.float64).numpy()
    weight = built[1].weight.detach().numpy()
    np.testing.assert_allclose(built(torch.as_tensor(x)).detach(), x @ weight.T, rtol=1e-12)


def test_mlp_matches_numpy():
    built = build(MLP(hidden=(8, 5), norm="layer", activation="tanh"), (6,), 3).double()
    z = x = rows(4, 6, dtype=torch.float64).numpy()
    *hidden, last = [layer for layer in built if isinstance(layer, nn.Linear)]
    for layer in hidden:
        z = z @ layer.weight.detach().numpy().T
        z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
        z = np.tanh(z)
    z = z @ last.weight.detach().numpy().T
    np.testing.assert_allclose(built(torch.as_tensor(x)).detach(), z, rtol=1e-10)


def test_mlp_dropout_acts_in_training_only():
    x = rows(3, 6)
    built = build(MLP(dropout=0.5), (6,))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(built(x), built(x))
    built.eval()
    assert torch.equal(built(x), built(x))


def test_skip_mlp_is_nearly_the_identity_before_training():
    built = build("skip-mlp", (392,)).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda x: built(x[None])[0], rows(1, 392, dtype=torch.float64)[0]
    )
    singular = torch.linalg.svdvals(jacobian)
    # The paper's figure 2c starts at 0.008 with real pixels.
    assert 0 < torch.log(singular[0] / singular[-1]) < 0.03
    weights = torch.cat([p.flatten() for p in built.parameters() if p.ndim == 2])
    assert weights.abs().max() <= 2e-4
    # A normal cut at two standard deviations keeps .8796 of its own.
    assert weights.std().item() == pytest.approx(0.8796e-4, rel=0.01)


def test_skip_mlp_matches_a_loop():
    built = build(SkipMLP(depth=3), (5,)).double()
    parameters = list(built.parameters())
    for parameter in parameters:
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.ndim))
    x = z = rows(4, 5, dtype=torch.float64)
    for i in (0, 2, 4):
        update = z @ parameters[i].T + parameters[i + 1]
        z = z + (update if i == 4 else update.clamp_min(0))
    torch.testing.assert_close(built(x), z, rtol=1e-12, atol=0)


def small_flow(*input_shape, affine):
    """Return a flow whose weights are large enough to bend it, in float64."""
    flow = build(RealNVP(couplings=4, hidden=(6, 5), affine=affine), input_shape).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return flow


def flow_by_hand(flow, x):
    """Return code and log |det| of one row, coupling by coupling, in numpy."""
    log_det = 0.0
    for coupling in flow.couplings:
        x = np.array([x[i] for i in coupling.order.tolist()])
        n_kept = len(x) // 2
        a, b = x[:n_kept], x[n_kept:]
        *hidden, last = [layer for layer in coupling.network if isinstance(layer, nn.Linear)]
        h = a
        for layer in hidden:
            h = np.maximum(layer.weight.detach().numpy() @ h + layer.bias.detach().numpy(), 0)
        out = last.weight.detach().numpy() @ h + last.bias.detach().numpy()
        scale = np.ones(len(b))
        if len(out) > len(b):
            scale = 1e-7 + np.log1p(np.exp(out[len(b) :]))
        log_det += np.log(scale).sum()
        x = np.concatenate([a, b * scale + out[: len(b)]])
    return x, log_det


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("width", [2, 3, 6, 7])
def test_realnvp_matches_a_loop(width, affine):
    flow = small_flow(width, affine=affine)
    x = rows(3, width, dtype=torch.float64)
    codes, log_dets = zip(*(flow_by_hand(flow, row) for row in x.numpy()), strict=True)
    np.testing.assert_allclose(flow(x).detach(), np.array(codes), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(flow.log_det(x).detach(), log_dets, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("width", [2, 3, 6, 7])
def test_realnvps_log_det_is_that_of_autograds_jacobian(width, affine):
    flow = small_flow(width, affine=affine)
    x = rows(4, width, dtype=torch.float64)
    expected = [
        torch.linalg.slogdet(torch.autograd.functional.jacobian(flow, row[None])[0, :, 0])[1]
        for row in x
    ]
    torch.testing.assert_close(flow.log_det(x), torch.stack(expected), rtol=1e-9, atol=1e-10)
    assert bool(flow.log_det(x).any()) is affine


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("input_shape", [(2,), (7,), (3, 5), (2, 3, 2)])
def test_realnvp_inverts_into_the_rows_own_shape(input_shape, affine):
    flow = small_flow(*input_shape, affine=affine)
    x = rows(6, *input_shape, dtype=torch.float64)
    z = flow(x)
    assert z.shape == (6, math.prod(input_shape))
    torch.testing.assert_close(flow.inverse(z), x, rtol=0, atol=1e-12)
    z = rows(6, math.prod(input_shape), dtype=torch.float64, seed=2)
    torch.testing.assert_close(flow(flow.inverse(z)), z, rtol=0, atol=1e-12)


def test_the_papers_realnvp_is_bijective_in_float32():
    flow = build("realnvp").requires_grad_(False)
    x = rows(64, *IMAGE).sigmoid()
    assert (flow.inverse(flow(x)) - x).abs().max() < 1e-5
    # Weights a hundred times those at the start: every column moves by more than rounding.
    generator = torch.Generator().manual_seed(0)
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.02, generator=generator)
    z = flow(x)
    assert (z.sort(1).values - x.flatten(1).sort(1).values).abs().max() > 0.1
    assert (flow.inverse(z) - x).abs().max() < 1e-5


@pytest.mark.parametrize("affine", [False, True])
def test_realnvp_starts_as_a_permutation(affine):
    flow = build(RealNVP(couplings=6, hidden=(32, 32), affine=affine), (21,)).double()
    where, scale = list(range(21)), [1.0] * 21
    for coupling in flow.couplings:
        where = [where[i] for i in coupling.order]
        scale = [scale[i] for i in coupling.order]
        if affine:  # softplus(0) is ln 2
            scale[10:] = [value * math.log(2) for value in scale[10:]]
    assert sorted(where) == list(range(21)) != where
    x = rows(5, 21, dtype=torch.float64)
    expected = x[:, where] * torch.tensor(scale, dtype=torch.float64)
    torch.testing.assert_close(flow(x), expected, rtol=0, atol=1e-5)
    weights = torch.cat([p.flatten() for p in flow.parameters() if p.ndim == 2])
    assert 1.9e-4 < weights.abs().max() <= 2e-4
    assert not any(p.any() for p in flow.parameters() if p.ndim == 1)


def test_realnvps_permutations_are_kept_with_the_weights_and_differ():
    description = RealNVP(couplings=3, hidden=(4,))
    flow, other = (build(description, (9,), seed=seed).double() for seed in (0, 1))
    orders = [coupling.order.tolist() for coupling in flow.couplings]
    assert len({tuple(order) for order in orders}) == 3
    x = rows(4, 9, dtype=torch.float64)
    assert not torch.equal(flow(x), other(x))
    other.load_state_dict(flow.state_dict())
    assert torch.equal(flow(x), other(x))


def test_affine_realnvp_trains_everything():
    flow = small_flow(7, affine=True)
    x = rows(5, 7, dtype=torch.float64)
    (flow(x).square().sum() + flow.log_det(x).sum()).backward()
    for parameter in flow.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0
    x.requires_grad_()
    assert torch.autograd.gradcheck(flow, (x,))


@pytest.mark.parametrize(
    "description",
    [RealNVP(couplings=3, hidden=(4,), affine=True), RealNVP(hidden=(), couplings=2)],
)
def test_realnvps_parameters_clone_print_and_pickle(description):
    for copy in (clone(description), pickle.loads(pickle.dumps(description))):
        assert repr(copy) == repr(description)
        assert copy.get_params() == description.get_params()
        assert torch.equal(build(copy, (5,))(rows(2, 5)), build(description, (5,))(rows(2, 5)))
    assert "couplings=" in repr(description)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (14, 5, 2, (1, 2)),
        (28, 5, 2, (1, 2)),
        (7, 5, 2, (2, 2)),
        (5, 5, 2, (2, 2)),
        (1, 5, 2, (2, 2)),
        (10, 3, 1, (1, 1)),
        (10, 4, 1, (1, 2)),
        (4, 2, 2, (0, 0)),
        (5, 1, 2, (0, 0)),
    ],
)
def test_same_padding(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected
    assert (size + sum(expected) - kernel) // stride + 1 == math.ceil(size / stride)


@pytest.mark.parametrize(
    ("input_shape", "frames"),
    [
        ((14, 28), [(1, 2, 1, 2), (1, 2, 2, 2)]),
        ((14, 28, 1), [(1, 2, 1, 2), (1, 2, 2, 2)]),
        ((16, 32, 3), [(1, 2, 1, 2), (1, 2, 1, 2)]),
        ((5, 3, 2), [(2, 2, 2, 2), (1, 2, 2, 2)]),
    ],
)
def test_convnet_matches_explicit_padding_and_numpys_layer_norm(input_shape, frames):
    built = build(ConvNet(), input_shape, 10).double()
    weights = list(built.parameters())
    for parameter in weights[4:6]:
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    x = rows(3, *input_shape, dtype=torch.float64)
    maps = x.reshape(*x.shape[:3], -1).permute(0, 3, 1, 2)
    for i, frame in enumerate(frames):
        maps = F.conv2d(F.pad(maps, frame), weights[2 * i], weights[2 * i + 1], stride=2).relu()
    assert maps.shape[2:] == tuple(math.ceil(length / 4) for length in input_shape[:2])
    a = maps.detach().numpy()
    a = (a - a.mean((1, 2, 3), keepdims=True)) / (a.std((1, 2, 3), keepdims=True) + 1e-6)
    scale, shift = (w.detach().numpy().reshape(128, 1, 1) for w in weights[4:6])
    pooled = (a * scale + shift).mean((2, 3))
    expected = pooled @ weights[6].detach().numpy().T + weights[7].detach().numpy()
    np.testing.assert_allclose(built(x).detach(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("input_shape", "frame", "size"),
    [((14, 28), 2, (4, 7)), ((5, 3, 2), 2, (2, 1)), ((8, 8), 2, (2, 2)), ((28, 25), 0, (4, 4))],
)
def test_lenet_is_convolutions_and_a_perceptron(input_shape, frame, size):
    built = build(LeNet(channels=(4, 6), hidden=(9,), activation="tanh"), input_shape, 3).double()
    weights = list(built.parameters())
    x = rows(3, *input_shape, dtype=torch.float64)
    maps = x.reshape(*x.shape[:3], -1).permute(0, 3, 1, 2)
    for i in (0, 2):
        maps = F.conv2d(maps, weights[i], weights[i + 1], stride=2, padding=frame).tanh()
    assert maps.shape[2:] == size
    hidden = torch.tanh(maps.movedim(1, -1).flatten(1) @ weights[4].T + weights[5])
    torch.testing.assert_close(built(x), hidden @ weights[6].T + weights[7])


def test_convnet_has_finite_gradients_on_blank_images():
    built = build(ConvNet(), (8, 8), 3)
    # Biases are zero, so every map is blank and without variance.
    images = torch.zeros(2, 8, 8).requires_grad_()
    (built(images) * rows(2, 3)).sum().backward()
    for value in (images, *built.parameters()):
        assert value.grad.isfinite().all()


def test_convnet_gradients_match_finite_differences():
    built = build(ConvNet(), (4, 5), 2).double()
    x = rows(2, 4, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(built, (x,))


@pytest.mark.parametrize("name", ["mlp", "skip-mlp", "realnvp", "convnet", "lenet"])
def test_rows_of_a_batch_do_not_see_each_other(name):
    built = build(name).double()
    x = rows(4, *IMAGE, dtype=torch.float64)
    alone = torch.cat([built(row[None]) for row in x])
    torch.testing.assert_close(built(x), alone, rtol=1e-10, atol=1e-12)


def test_channels_first():
    grey, colour = rows(2, 4, 5), rows(2, 4, 5, 3)
    assert torch.equal(ChannelsFirst()(grey)[:, 0], grey)
    assert torch.equal(ChannelsFirst()(colour)[:, 2], colour[..., 2])
    with pytest.raises(ValueError, match=r"input_shape=\(h, w\)"):
        ChannelsFirst()(rows(2, 20))


@pytest.mark.parametrize(
    ("input_shape", "expected"),
    # torchvision's 11 689 512 less the head's 513 000 and the old stem's 9 408.
    [((32, 32, 3), 11_167_104 + 27 * 64), ((28, 28), 11_167_104 + 9 * 64)],
)
def test_small_resnet18(input_shape, expected):
    built = build("resnet18", input_shape)
    assert n_parameters(built) == expected
    maps = []
    built[1].layer1.register_forward_hook(lambda module, args, out: maps.append(out.shape))
    code = built(rows(2, *input_shape))
    assert maps == [(2, 64, *input_shape[:2])]
    assert code.shape == (2, 512)
    assert code.isfinite().all()


def test_large_resnet18_keeps_torchvisions_stem():
    built = build(Backbone(small_images=False), (64, 64, 3), 5)
    assert n_parameters(built) == 11_689_512 - 513_000 + 512 * 5 + 5
    assert built(rows(2, 64, 64, 3)).shape == (2, 5)
    stem = built[1].conv1
    assert (stem.kernel_size, stem.stride) == ((7, 7), (2, 2))
    assert isinstance(built[1].maxpool, nn.MaxPool2d)


@pytest.mark.parametrize(
    ("name", "width"), [("squeezenet1_1", 512), ("shufflenet_v2_x0_5", 1024), ("densenet121", 1024)]
)
def test_codes_of_other_backbones_are_what_their_classifiers_see(name, width):
    import torchvision.models as zoo

    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = zoo.get_model(name).eval()
    seen = []
    last = [part for part in whole.modules() if isinstance(part, (nn.Linear, nn.Conv2d))][-1]
    last.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = rows(2, 48, 48, 3)
    whole(x.movedim(3, 1))
    # SqueezeNet classifies places, then takes their mean.
    expected = seen[0].relu().mean((2, 3)) if seen[0].ndim == 4 else seen[0]
    code = build(Backbone(name), (48, 48, 3)).eval()(x)
    assert code.shape == (2, width)
    torch.testing.assert_close(code, expected)
    assert build(Backbone(name), (48, 48, 2))(rows(2, 48, 48, 2)).shape == (2, width)


@pytest.fixture
def no_download(monkeypatch):
    """Let torchvision build pretrained models without their weights, and keep whose it wanted."""
    from torchvision.models import WeightsEnum

    wanted = []
    monkeypatch.setattr(
        WeightsEnum, "get_state_dict", lambda self, **how: wanted.append(str(self)) or {}
    )
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda self, tensors, **how: None)
    return wanted


PRETRAINED = [
    (Backbone(small_images=False, weights="DEFAULT"), (32, 32), 5),
    (Backbone("densenet121", weights="IMAGENET1K_V1"), (48, 48, 2), None),
    (Backbone("googlenet", weights="DEFAULT"), (48, 48, 3), None),
    (Backbone("inception_v3", weights="DEFAULT"), (96, 96, 3), None),
    (Passthrough(Backbone("squeezenet1_1", weights="DEFAULT"), 0.5, 3), (48, 48), None),
    pytest.param(
        *(Backbone("vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1"), (384, 384, 3), None),
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("encoder", "input_shape", "n_components"), PRETRAINED)
def test_a_skeleton_has_the_modules_of_a_pretrained_network_and_fetches_nothing(
    encoder, input_shape, n_components, no_download
):
    pretrained = build(encoder, input_shape, n_components)
    assert len(no_download) == 1
    bare = build(encoder.skeleton(), input_shape, n_components)
    assert len(no_download) == 1
    shapes, expected = (
        {name: value.shape for name, value in module.state_dict().items()}
        for module in (bare, pretrained)
    )
    assert shapes == expected
    with torch.no_grad():
        for value, source in zip(
            bare.state_dict().values(), pretrained.state_dict().values(), strict=True
        ):
            value.copy_(source)
    x = rows(2, *input_shape)
    assert torch.equal(bare.eval()(x), pretrained.eval()(x))


@pytest.mark.parametrize("name", ENCODERS)
def test_what_fetches_nothing_is_its_own_skeleton(name):
    encoder = as_encoder(name)
    assert repr(encoder.skeleton()).startswith(type(encoder).__name__)
    built, bare = build(encoder, (8, 8)), build(encoder.skeleton(), (8, 8))
    assert all(map(torch.equal, built.parameters(), bare.parameters()))


@pytest.mark.parametrize("encoder", [*ENCODERS, nn.Sequential(nn.Flatten(), nn.Linear(392, 3))])
def test_kept_columns_stand_first_in_the_code(encoder):
    n_kept = as_encoder(encoder).kept_columns(IMAGE)
    assert n_kept == (392 if encoder in ("identity", "passthrough") else 0)
    x = rows(3, *IMAGE)
    assert torch.equal(build(encoder)(x)[:, :n_kept], x.flatten(1)[:, :n_kept])


def test_invertible_modules_are_those_with_an_inverse():
    kinds = {name: isinstance(build(name, (8, 8)), InvertibleModule) for name in ENCODERS}
    assert [name for name, is_invertible in kinds.items() if is_invertible] == ["realnvp"]
    with pytest.raises(TypeError, match="inverse"):
        type("NoInverse", (InvertibleModule,), {})()


def test_pretrained_backbone_sees_grey_as_three_equal_channels(monkeypatch):
    import torchvision.models as zoo

    make = zoo.get_model
    monkeypatch.setattr(zoo, "get_model", lambda name, weights: make(name))
    pretrained = Backbone(small_images=False, weights="DEFAULT")
    x = rows(2, 32, 32)
    grey = build(pretrained, (32, 32)).eval()(x)
    colour = build(pretrained, (32, 32, 3)).eval()(x[..., None].expand(-1, -1, -1, 3))
    torch.testing.assert_close(grey, colour, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "input_shape", "n_components", "words"),
    [
        (Identity(), IMAGE, 64, ["n_components=64", "Identity()", "392", "n_components=None"]),
        (SkipMLP(), (392,), 64, ["n_components=64", "SkipMLP()", "392"]),
        (nn.Linear(4, 3), (4,), 2, ["n_components=2", "Linear", "width is 3"]),
        (lambda s, n: nn.Linear(4, 3), (4,), 2, ["n_components=2", "Linear", "width is 3"]),
        (RealNVP(), (392,), 64, ["n_components=64", "RealNVP()", "392", "n_components=None"]),
        (RealNVP(), (1,), None, ["input_shape=(1,)", "RealNVP()", "at least 2 inputs"]),
        (RealNVP(couplings=0), (4,), None, ["couplings=0", "positive integer"]),
        (RealNVP(hidden=(3, 0)), (4,), None, ["hidden=0", "positive integer"]),
        (MLP(), (4,), 0, ["n_components=0", "positive integer"]),
        (Identity(), (4,), -1, ["n_components=-1", "positive integer"]),
        (Backbone(), (8, 8), 0, ["n_components=0", "positive integer"]),
        (MLP(hidden=(3, 0)), (4,), 2, ["hidden=0", "positive integer"]),
        (MLP(dropout=1.0), (4,), 2, ["dropout=1.0", "[0, 1)"]),
        (MLP(dropout="much"), (4,), 2, ["dropout='much'", "[0, 1)"]),
        (MLP(activation="rely"), (4,), 2, ["activation='rely'", "'gelu'", "Did you mean 'relu'?"]),
        (MLP(norm="layers"), (4,), 2, ["norm='layers'", "Did you mean 'layer'?"]),
        (SkipMLP(depth=0), (4,), None, ["depth=0", "positive integer"]),
        (LeNet(), (784,), None, ["(784,)", "LeNet()", "input_shape=(h, w) or (h, w, c)"]),
        (LeNet(activation="rely"), IMAGE, None, ["activation='rely'", "Did you mean 'relu'?"]),
        (ConvNet(), (784,), None, ["(784,)", "ConvNet()", "input_shape=(h, w) or (h, w, c)"]),
        (Backbone(), (784,), None, ["(784,)", "Backbone()", "input_shape=(h, w) or (h, w, c)"]),
        (Backbone("resnet81"), IMAGE, None, ["name='resnet81'", "Did you mean 'resnet18'?"]),
        (Backbone("vit_b_32"), IMAGE, None, ["(14, 28)", "does not accept", "224"]),
        (Backbone(weights="DEFAULT"), (8, 8), None, ["'DEFAULT'", "small_images=False"]),
        (nn.Linear(5, 3), (4,), None, ["(4,)", "Linear", "does not accept"]),
        (nn.Linear(5, 3), (4, 5), None, ["(2, 4, 3)", "(2, width)", "nn.Flatten()"]),
        (nn.LSTM(5, 3), (5,), None, ["LSTM", "tuple"]),
    ],
)
def test_values_that_do_not_fit(encoder, input_shape, n_components, words, monkeypatch):
    import torchvision.models as zoo

    make = zoo.get_model
    monkeypatch.setattr(zoo, "get_model", lambda name, weights: make(name))  # no download
    with pytest.raises(ValueError) as caught:
        build(encoder, input_shape, n_components)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("encoder", "n_components", "words"),
    [
        (MLP(), 2.0, ["n_components=2.0"]),
        (MLP(), True, ["n_components=True"]),
        (MLP(hidden=300), 2, ["hidden=300", "(300, 300)"]),
        (MLP(hidden="300"), 2, ["hidden='300'"]),
        (RealNVP(couplings=2.0), None, ["couplings=2.0", "positive integer"]),
        (RealNVP(hidden=512), None, ["hidden=512", "(300, 300)"]),
        (MLP(activation=nn.ReLU()), 2, ["activation=ReLU()", "name"]),
        (Ready("mlp"), 2, ["module='mlp'", "nn.Module"]),
        (Factory(lambda shape, width: None), 2, ["None", "nn.Module"]),
    ],
)
def test_kinds_that_do_not_fit(encoder, n_components, words):
    with pytest.raises(TypeError) as caught:
        build(encoder, (4,), n_components)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("encoder", ["identity", "skip-mlp", "realnvp", nn.Linear(6, 6)])
def test_a_fixed_width_may_be_named(encoder):
    x, named = rows(2, 6), build(encoder, (6,), np.int64(6))
    assert torch.equal(named(x), build(encoder, (6,))(x))


@pytest.mark.parametrize("kind", [list, np.array, tuple])
@pytest.mark.parametrize("hidden", [(8, 4), ()])
def test_hidden_takes_any_sequence(hidden, kind):
    x, expected = rows(2, 6), build(MLP(hidden=hidden), (6,), 3)
    assert [layer.out_features for layer in expected if isinstance(layer, nn.Linear)] == [
        *hidden,
        3,
    ]
    assert torch.equal(build(MLP(hidden=kind(hidden)), (6,), 3)(x), expected(x))


def test_as_encoder_passes_wraps_and_refuses():
    given = MLP(hidden=(4,))
    assert as_encoder(given) is given
    assert isinstance(as_encoder(nn.Identity()), Ready)
    assert isinstance(as_encoder(make_linear), Factory)
    with pytest.raises(ValueError, match="Did you mean 'mlp'"):
        as_encoder("mpl")
    with pytest.raises(ValueError, match="encoder_y='mpl'"):
        as_encoder("mpl", "encoder_y")
    for value in (3, None, MLP):
        with pytest.raises(TypeError, match=r"MLP\(\), an nn.Module, or a function"):
            as_encoder(value)


@pytest.mark.parametrize("encoder", [nn.Linear(4, 3), make_linear])
def test_modules_and_functions_clone_and_pickle(encoder):
    description = as_encoder(encoder)
    expected = build(description, (4,), 3)(rows(2, 4))
    for copy in (clone(description), pickle.loads(pickle.dumps(description))):
        assert torch.equal(build(copy, (4,), 3)(rows(2, 4)), expected)
        assert type(description).__name__ in repr(copy)


def test_a_module_given_is_never_changed():
    given = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    given[2].eval()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    built = build(given, (4,), 3)
    assert [part.training for part in built] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())
    built(rows(5, 4)).sum().backward()
    with torch.no_grad():
        built[0].weight.zero_()
    assert [part.training for part in given] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert given[0].weight.grad is None


def test_a_function_that_hands_out_one_module_gets_copies_of_it():
    shared = nn.Linear(4, 3)
    factory = Factory(lambda shape, width: shared)
    first, second = build(factory, (4,)), build(factory, (4,))
    assert len({id(module.weight) for module in (shared, first, second)}) == 3


def test_lazy_layers_get_their_sizes():
    given = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    assert n_parameters(build(given, (4, 5))) == 4 * 5 * 3 + 3
    assert isinstance(given[1], nn.LazyLinear)


def test_the_probe_speaks_the_modules_dtype():
    assert code_width(nn.Linear(4, 3, dtype=torch.float64), (4,)) == 3


def test_everything_public_is_there_and_documented():
    for name in encoders.__all__:
        assert name == "DEFAULT_WIDTH" or getattr(encoders, name).__doc__ or name == "ENCODERS"
    assert all(isinstance(make(), Encoder) for make in ENCODERS.values())


def test_passthrough_keeps_the_row_and_bounds_what_is_learned():
    x = 100 * rows(5, *IMAGE)
    code = build(Passthrough("linear", weight=0.5), n_components=395)(x)
    assert torch.equal(code[:, :392], x.flatten(1))
    assert code.shape == (5, 395)
    assert 0.4 < code[:, 392:].abs().max() <= 0.5
    assert build(Passthrough(n_learned=5))(x).shape == (5, 397)


@pytest.mark.parametrize(
    ("parameters", "n_components", "message"),
    [
        ({}, 392, "n_components=392.*392 numbers"),
        ({"weight": 0}, None, "weight=0"),
        ({"weight": float("inf")}, None, "weight=inf"),
        ({"n_learned": -1}, None, "n_learned=-1"),
        ({"encoder": "no"}, None, "encoder='no'"),
    ],
)
def test_passthrough_says_what_is_wrong(parameters, n_components, message):
    with pytest.raises(ValueError, match=message):
        build(Passthrough(**parameters), n_components=n_components)
