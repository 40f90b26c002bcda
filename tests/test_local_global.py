import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch.nn import functional

from sklearn_mi import MIRepresentationLearner, load, tiles
from sklearn_mi._base import Codes, MIWarning
from sklearn_mi.bounds import donsker_varadhan, infonce, jensen_shannon
from sklearn_mi.comparisons import LocalGlobal, as_comparison, mean_over
from sklearn_mi.encoders import Backbone, ConvNet, DIMNet, LeNet
from sklearn_mi.encoders.maps import code_and_maps, layer_paths, map_shapes
from sklearn_mi.negatives import Hard, Queue

N, WIDTH, CHANNELS, SIDE = 5, 6, 4, 3
PLACES = SIDE**2


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(n_draws=2, negatives=None):
    maps = [{"conv2": draw(N, CHANNELS, SIDE, SIDE, seed=s)} for s in (1, 2)]
    draws = torch.rand(N, n_draws, generator=torch.Generator().manual_seed(3))
    return Codes(
        draw(N, WIDTH, seed=4),
        draw(N, WIDTH, seed=5),
        torch.mul,
        negatives=negatives,
        maps_x=maps[0],
        maps_y=maps[1],
        draws=draws,
    )


def built(**given):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shapes = [(WIDTH,), (WIDTH,)]
        maps = [{"conv2": (CHANNELS, SIDE, SIDE)}] * 2
        comparison = LocalGlobal(**{"weight_prior": 0.0, "units": 7} | given)
        return comparison.build(shapes, maps).eval()


def embedded(head, x):
    """Run a head's layers one by one on one vector."""
    made = functional.linear(x, head.network[0].weight)
    norm = head.network[1]
    made = (made - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
    made = made * norm.weight + norm.bias
    made = functional.linear(made.relu(), head.network[3].weight, head.network[3].bias)
    made = made + functional.linear(x, head.shortcut.weight)
    return head.norm(made)


def by_loops(module, codes):
    """Return the score of every code with every place of every image."""
    scores = torch.zeros(N, N, PLACES)
    for i in range(N):
        g = embedded(module.sources["code"], codes.z_x[i])
        for j in range(N):
            for p in range(PLACES):
                place = codes.maps_y["conv2"][j, :, p // SIDE, p % SIDE]
                scores[i, j, p] = g @ embedded(module.targets["conv2"], place)
    return scores


def test_scores_against_loops_over_places():
    module, codes = built(), batch()
    (made,) = module(codes, None)
    torch.testing.assert_close(made.scores.unflatten(1, (N, PLACES)), by_loops(module, codes))


def test_infonce_has_the_places_of_other_images_as_negatives():
    module, codes = built(), batch()
    scores, terms = by_loops(module, codes), []
    for i in range(N):
        others = [scores[i, j, p] for j in range(N) if j != i for p in range(PLACES)]
        for p in range(PLACES):
            among = torch.stack([scores[i, i, p], *others])
            terms.append(scores[i, i, p] - among.logsumexp(0) + math.log(len(among)))
    (made,) = module(codes, None)
    value = infonce(made.scores, made.negatives, made.positives)
    torch.testing.assert_close(value, torch.stack(terms).mean())
    assert module.candidates(N) == 1 + (N - 1) * PLACES


def test_js_and_dv_as_in_the_formulas():
    module, codes = built(), batch()
    scores = by_loops(module, codes)
    own = torch.stack([scores[i, i] for i in range(N)])
    others = torch.stack([scores[i, j] for i in range(N) for j in range(N) if j != i])
    (made,) = module(codes, None)
    masks = made.scores, made.negatives, made.positives
    formula = -functional.softplus(-own).mean() - functional.softplus(others).mean()
    torch.testing.assert_close(jensen_shannon(*masks), formula)
    formula = own.mean() - (others.flatten().logsumexp(0) - math.log(others.numel()))
    torch.testing.assert_close(donsker_varadhan(*masks), formula)


def test_negatives_of_rows_count_for_their_places():
    groups = torch.tensor([0, 0, 1, 1, 2])
    negatives = groups[:, None] != groups[None, :]
    (made,) = built()(batch(negatives=negatives), None)
    assert torch.equal(made.negatives.unflatten(1, (N, PLACES)).all(2), negatives)
    assert not (made.negatives & made.positives).any()


def test_convolution_of_a_map_with_the_code_beside_it():
    module, codes = built(scorer="concat-and-convolve"), batch()
    head, (made,) = module.heads["code-conv2"], module(codes, None)
    first = torch.cat([head.of_code.weight, head.of_map.weight[..., 0]], dim=1)
    for i in range(N):
        for k, j in enumerate((i, (i + 1) % N)):
            for p in range(PLACES):
                place = codes.maps_y["conv2"][j].flatten(1)[:, p]
                beside = torch.cat([codes.z_x[i], place])
                layer = functional.linear(beside, first, head.of_code.bias)
                score = head.rest(layer[None, :, None]).squeeze()
                torch.testing.assert_close(made.scores[i, k * PLACES + p], score)
    assert made.positives.sum(1).eq(PLACES).all()
    assert made.negatives.equal(~made.positives)
    assert module.candidates(N) == 1 + PLACES


def test_one_place_is_drawn_and_square():
    module = built(places="one")
    codes = batch(module.n_draws)
    (made,) = module(codes, None)
    assert made.scores.shape == (N, N)
    assert made.positives is None
    assert module.caveat is None
    every = by_loops(module, codes)
    chosen = (codes.draws[:, 1] * PLACES).long()
    expected = torch.stack([every[:, j, chosen[j]] for j in range(N)], dim=1)
    torch.testing.assert_close(made.scores, expected)


def test_one_place_is_a_bound_on_known_information():
    """The code of an image is one of 4 classes; each place tells the class. The truth is log 4."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = LocalGlobal(places="one", weight_prior=0, units=16).build(
            [(4,), (4,)], [{"conv2": (4, 2, 2)}] * 2
        )
        optimizer = torch.optim.Adam(module.parameters(), 1e-2)
        values = []
        for step in range(150):
            module.train(step < 120)
            classes = functional.one_hot(torch.randint(4, (64,)), 4).float()
            maps = {"conv2": classes[:, :, None, None].expand(-1, -1, 2, 2)}
            codes = Codes(classes, classes, torch.mul, maps_x=maps, maps_y=maps)
            codes.draws = torch.rand(64, module.n_draws)
            value = mean_over(module(codes, None), lambda c: infonce(c.scores))
            if module.training:
                optimizer.zero_grad()
                (-value).backward()
                optimizer.step()
            else:
                values.append(value.item())
    assert 0.9 * math.log(4) < np.mean(values) < math.log(4) + 2 * np.std(values) / math.sqrt(30)


@pytest.mark.parametrize("large", [0, 10**9])
def test_both_views_scales_clip_and_penalty(monkeypatch, large):
    """The penalty of few products is that of their second moments, where a batch is large."""
    monkeypatch.setattr(tiles, "LARGE", large)
    scales = (("code", "conv2"), ("conv2", "conv2"))
    module = built(both_views=True, scales=scales, clip=2.0, penalty=0.1)
    codes = batch(module.n_draws)
    made = module(codes, None)
    assert len(made) == 4
    first = made[0]
    raw = first.z_x @ first.z_y.T / math.sqrt(7)
    torch.testing.assert_close(first.scores, 2 * torch.tanh(raw / 2))
    torch.testing.assert_close(first.added, -0.1 * raw.square().mean())
    # The other direction swaps the views.
    swapped = Codes(codes.z_y, codes.z_x, torch.mul, maps_x=codes.maps_y, maps_y=codes.maps_x)
    swapped.draws = codes.draws.roll(module.n_draws // 2, dims=1)
    for one, two in zip(made[2:], module(swapped, None)[:2], strict=True):
        torch.testing.assert_close(one.scores, two.scores)
    # The source map gives one place an image, by its own draw.
    place = (codes.draws[:, 2] * PLACES).long()
    chosen = codes.maps_x["conv2"].flatten(2)[torch.arange(N), :, place]
    expected = torch.stack([embedded(module.sources["conv2"], one) for one in chosen])
    torch.testing.assert_close(made[1].z_x, expected)


def test_the_prior_trains_encoder_and_judge_against_each_other():
    module = built(weight_prior=0.5)
    codes = batch(module.n_draws)
    codes.z_x.requires_grad_()
    (made,) = module(codes, None)
    judge = module.judge.network
    uniform, squeezed = codes.draws[:, -WIDTH:], codes.z_x.sigmoid()
    assert uniform.shape == codes.z_x.shape
    (for_code,) = torch.autograd.grad(made.added, codes.z_x, retain_graph=True)
    fooled = 0.5 * functional.logsigmoid(judge(squeezed)).mean()
    (expected,) = torch.autograd.grad(fooled, codes.z_x)
    torch.testing.assert_close(for_code, expected)
    for_judge = torch.autograd.grad(made.added, [*judge.parameters()])
    told = functional.logsigmoid(judge(uniform)).mean()
    told = told + functional.logsigmoid(-judge(squeezed.detach())).mean()
    for found, wanted in zip(
        for_judge, torch.autograd.grad(told, [*judge.parameters()]), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_weights_of_local_and_global():
    module = built(weight_global=3.0)
    local, whole = module(batch(), None)
    assert whole.scores.shape == (N, N)
    value = mean_over([local, whole], lambda c: infonce(c.scores, c.negatives, c.positives))
    parts = [infonce(c.scores, c.negatives, c.positives) for c in (local, whole)]
    torch.testing.assert_close(value, (parts[0] + 3 * parts[1]) / 4)
    assert len(built(weight_local=0, weight_global=1)(batch(), None)) == 1


# Encoders give maps

IMAGES = (16, 16, 3)


@pytest.mark.parametrize(
    ("encoder", "layer", "shape"),
    [
        (ConvNet(), "conv1", (64, 8, 8)),
        (ConvNet(), "conv2", (128, 4, 4)),
        (LeNet(), "conv2", (32, 4, 4)),
        (DIMNet(), "conv2", (128, 4, 4)),
        (DIMNet(channels=(8, 16)), "conv1", (8, 8, 8)),
        (Backbone(), "layer2", (128, 8, 8)),
        (ConvNet(), "2", (64, 8, 8)),
    ],
)
def test_layers_give_maps_beside_the_code(encoder, layer, shape):
    module = encoder.build(IMAGES, 9).eval()
    paths = layer_paths(encoder, module, IMAGES, [layer])
    assert map_shapes(module, IMAGES, paths) == {layer: shape}
    x = draw(2, *IMAGES)
    codes, maps = code_and_maps(module, x, paths)
    torch.testing.assert_close(codes, module(x))
    assert maps[layer].shape[1:] == shape
    assert not module.get_submodule(paths[layer])._forward_hooks


def images(n=48, shape=IMAGES, seed=0):
    return np.random.default_rng(seed).random((n, *shape), dtype=np.float32)


SMALL = DIMNet(channels=(4, 8, 8), hidden=16)


def learner(**given):
    small = {"encoder": SMALL, "max_steps": 3, "random_state": 0, "batch_size": 16}
    comparison = given.pop("comparison", LocalGlobal(units=8))
    return MIRepresentationLearner(comparison=comparison, **small | given)


@pytest.mark.parametrize("name", ["dim", "amdim"])
def test_whole_methods_by_name(name, tmp_path):
    X = images()
    fitted = learner(comparison=name).fit(X)
    assert fitted.transform(X).shape == (48, 64)
    assert fitted.mi_.status == "neither"
    assert "depend on one another" in " ".join(fitted.mi_.warnings)
    assert fitted.choices_["view"].value == {"dim": "same", "amdim": "simclr"}[name]
    assert np.isfinite(fitted.score(X))
    fitted.save(tmp_path / "learner.mi")
    again = load(tmp_path / "learner.mi")
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert again.score(X) == fitted.score(X)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X)
    )
    clone(fitted).fit(X)


@pytest.mark.parametrize("objective", ["infonce", "js", "donsker-varadhan", "infonce-symmetric"])
@pytest.mark.parametrize("scorer", ["encode-and-dot", "concat-and-convolve"])
def test_objectives_and_scorers(objective, scorer):
    if scorer == "concat-and-convolve" and objective == "infonce-symmetric":
        pytest.skip("refused, see below")
    comparison = LocalGlobal(scorer=scorer, units=8, weight_global=0.5)
    fitted = learner(comparison=comparison, objective=objective).fit(images())
    assert np.isfinite(fitted.mi_.value)
    assert np.isfinite(list(fitted.bounds(images()).values())).all()


def test_one_place_reports_a_bound():
    fitted = learner(comparison=LocalGlobal(units=8, places="one")).fit(images())
    assert fitted.mi_.status == "lower"
    assert fitted.mi_.n_candidates == fitted.mi_.n_pairs


def test_grids_and_pipelines_vary_it():
    X, y = images(), np.arange(48) % 2
    pipeline = make_pipeline(learner(), LogisticRegression())
    grid = {
        "mirepresentationlearner__comparison__layer": ["conv1", "conv2"],
        "mirepresentationlearner__comparison__weight_prior": [0.0],
    }
    GridSearchCV(pipeline, grid, cv=2).fit(X, y)


def test_equal_seeds_give_equal_learners():
    X = images()
    first, second = (learner(comparison="amdim").fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    copied = copy.deepcopy(first)
    np.testing.assert_array_equal(copied.transform(X), first.transform(X))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"comparison": LocalGlobal("conv9")}, "layer='conv9' is no layer .* Did you mean 'conv"),
        ({"encoder": "mlp"}, "layer='conv2' is no layer"),
        (
            {"encoder": DIMNet(channels=(4, 4, 4, 4)), "comparison": LocalGlobal("conv4")},
            "a map of one place",
        ),
        ({"comparison": LocalGlobal(scorer="dot")}, "scorer='dot'"),
        ({"comparison": LocalGlobal(places="two")}, "places='two'"),
        ({"comparison": LocalGlobal(scales=("code", "conv2"))}, r"scales=\('code', .*of pairs of"),
        ({"comparison": LocalGlobal(scales=())}, r"scales=\(\); expected names"),
        ({"comparison": LocalGlobal(scales="code")}, "scales='code'; expected names"),
        ({"comparison": LocalGlobal(scales=3)}, "scales=3; expected names"),
        ({"comparison": LocalGlobal(scales=[("conv1", "code")])}, "'code' .* but it is no map"),
        ({"comparison": LocalGlobal(layer="code")}, "layer='code' names 'code'"),
        ({"comparison": LocalGlobal(layer=3)}, "layer=3; expected names"),
        ({"comparison": LocalGlobal(both_views="yes")}, "both_views='yes'; expected True or False"),
        ({"comparison": LocalGlobal(units=0)}, "units=0; expected a positive integer"),
        ({"comparison": LocalGlobal(weight_local=0)}, "leave nothing to score"),
        ({"comparison": LocalGlobal(weight_prior=-1)}, "weight_prior=-1"),
        ({"comparison": LocalGlobal(clip=0)}, "clip=0; expected a positive number or None"),
        (
            {"comparison": LocalGlobal(clip=1.0, scorer="concat-and-convolve")},
            "go with inner products",
        ),
        ({"objective": "vicreg"}, "compares components of codes"),
        ({"objective": "mine"}, "remembers batches"),
        (
            {
                "objective": "infonce-symmetric",
                "comparison": LocalGlobal(scorer="concat-and-convolve"),
            },
            "draws candidates for each row alone",
        ),
        ({"half_size": 0.5}, "has networks for maps of one size: set half_size=0"),
        ({"critic": "bilinear"}, "critic='bilinear' .* leave critic='auto'"),
        ({"negatives": Hard()}, "compares places of the batch"),
        ({"negatives": Queue()}, "compares places of the batch"),
        ({"negatives": "independent"}, "compares places of the batch"),
        ({"encoder": DIMNet()}, "expected at least 8 pixels a side"),
        (
            {
                "comparison": LocalGlobal(both_views=True),
                "view": "halves",
                "encoder_y": "separate",
            },
            "views of one shape",
        ),
    ],
)
def test_a_wrong_parameter_is_one_sentence(given, message):
    shape = {"halves": (23, 16, 3)}.get(given.get("view"), IMAGES)
    if given == {"encoder": given.get("encoder")} and isinstance(given["encoder"], DIMNet):
        shape = (4, 4, 3)
    with pytest.raises(ValueError, match=message):
        learner(**given).fit(images(shape=shape))


class Unused(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.spare = (torch.nn.Conv2d(3, 4, 3) for _ in range(2))

    def forward(self, rows):
        return self.conv(rows.movedim(-1, 1)).mean((2, 3))


def test_a_layer_that_is_never_called_is_told():
    given = {"encoder": Unused(), "n_components": None, "comparison": LocalGlobal("spare")}
    with pytest.raises(ValueError, match="layer='spare' .* its forward does not call"):
        learner(**given).fit(images())


def next_of_another_group(groups, i):
    others = [(i + k) % N for k in range(1, N)]
    return next((j for j in others if groups[j] != groups[i]), None)


@pytest.mark.parametrize("groups", [[0, 0, 1, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 0, 1], [0] * 5])
def test_a_code_meets_the_next_image_of_another_group(groups):
    of = torch.tensor(groups)
    module = built(scorer="concat-and-convolve")
    codes = batch(negatives=of[:, None] != of)
    (made,) = module(codes, None)
    (head,) = module.heads.values()
    local = codes.maps_y["conv2"].flatten(2)
    for i in range(N):
        j = next_of_another_group(groups, i)
        assert made.negatives[i].sum() == (PLACES if j is not None else 0)
        torch.testing.assert_close(made.scores[i, :PLACES], head(codes.z_x, local)[i])
        if j is not None:
            expected = head(codes.z_x[i : i + 1], local[j : j + 1])[0]
            torch.testing.assert_close(made.scores[i, PLACES:], expected)


def test_whole_maps_alone_are_a_bound():
    assert built(weight_local=0.0, weight_global=1.0).caveat is None
    assert built(weight_global=1.0).caveat is not None


def test_whole_maps_are_no_longer_than_in_fit():
    rows = np.random.default_rng(0).normal(size=(20, 24, 2)).astype(np.float32)
    given = {"encoder": "conv1d", "batch_size": 10, "max_steps": 2, "random_state": 0}
    comparison = LocalGlobal("map", weight_global=1.0, units=8)
    fitted = MIRepresentationLearner(comparison=comparison, **given).fit(rows[:, :10])
    with pytest.raises(ValueError, match="expected recordings no longer than in fit: cut them"):
        fitted.score(rows)
    fitted = MIRepresentationLearner(comparison=LocalGlobal("map", units=8), **given)
    assert np.isfinite(fitted.fit(rows[:, :10]).score(rows))
    with pytest.raises(ValueError, match="expected recordings as long as the longest in fit"):
        fitted.score(rows[:, :5])


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({}, "encoder_y"),
        ({"comparison": LocalGlobal(units=8, scales=(("conv1", "conv2"),), weight_prior=0)}, "enc"),
    ],
)
def test_weights_that_are_not_trained_are_told(given, part):
    X = images()
    with pytest.warns(MIWarning, match=f"does not train .* weights of {part}"):
        learner(encoder_y="separate", **given).fit(X)


@pytest.mark.parametrize("scorer", ["encode-and-dot", "concat-and-convolve"])
def test_a_layer_may_be_a_path(scorer):
    comparison = LocalGlobal("map.to_code", scorer, units=8)
    rows = np.random.default_rng(0).normal(size=(20, 12, 2)).astype(np.float32)
    fitted = learner(comparison=comparison, encoder="conv1d", batch_size=10).fit(rows)
    assert np.isfinite(fitted.transform(rows)).all()


def test_a_table_has_no_map():
    with pytest.raises(ValueError, match="images"):
        MIRepresentationLearner(comparison="dim", max_steps=1).fit(np.zeros((20, 5)))


def test_names_are_the_objects_that_they_say():
    assert as_comparison("dim").method == "dim"
    assert as_comparison("amdim").method == "amdim"
    assert as_comparison("amdim").layers == ("conv3", "conv2")


@pytest.mark.parametrize("training", [True, False])
def test_an_image_paired_with_itself_is_encoded_once(training):
    model = learner().fit(images()).net_.module_.train(training)
    seen = []
    model.encoder.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    x = torch.from_numpy(images(8))
    model(x, torch.arange(8), None, torch.Generator().manual_seed(0))
    assert seen == [8]
