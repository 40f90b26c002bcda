import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS, InfoNCE
from sklearn_mi.comparisons import Predictive, mean_over
from sklearn_mi.encoders import Conv1d, Patches
from sklearn_mi.negatives import as_negatives
from sklearn_mi.objectives import OBJECTIVES, Matched
from sklearn_mi.views import AugmentRecording

IMAGE, SEQUENCE = (3, 5, 4), (3, 6)  # channels, then rows and columns, or steps
NEGATIVES = ["other", "same", "any"]
EVERY = {**BOUNDS, **OBJECTIVES}
REFUSED = {
    name
    for name, make in EVERY.items()
    if make().has_head or make().keeps_state or make().needs_codes
} | {"infonce-symmetric"}


def negatives_of(codes):
    """Return the mask of negatives; None stands for every cell that is no positive."""
    return ~codes.positives if codes.negatives is None else codes.negatives


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(of, shape=IMAGE, shape_y=None, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codes = [(shape[0],), (shape[0],)]
        return of.build(codes, [{of.layer: shape}, {of.layer: shape_y or shape}])


def make_codes(module, n=7, shape=IMAGE, shape_y=None, negatives=None, seed=0):
    one, other = draw(n, *shape, seed=seed), draw(n, *(shape_y or shape), seed=seed + 1)
    draws = torch.rand(n, module.n_draws, generator=torch.Generator().manual_seed(seed))
    z = torch.zeros(n, 2)
    maps = {"maps_x": {"map": one}, "maps_y": {"map": other}}
    return Codes(z, z, torch.mul, draws=draws, negatives=negatives, **maps)


def picked(module, codes):
    """Return rows and places of each offset."""
    step = module.n_columns
    begin = range(module.offsets.start * step, module.offsets.stop * step, step)
    return [*zip(*module.pick(codes.draws, begin, module.pick.n_places), strict=True)]


def contexts_by_gru(network, steps):
    """Return the states of a GRU by its equations, for steps (time, channels)."""
    w, u, b, d = (p.detach() for p in network.parameters())
    width = u.shape[1]
    h, made = torch.zeros(width), []
    for x in steps:
        given, kept = w @ x + b, u @ h + d
        r, z = (torch.sigmoid((given + kept)[i * width : (i + 1) * width]) for i in (0, 1))
        n = torch.tanh(given[2 * width :] + r * kept[2 * width :])
        h = (1 - z) * n + z * h
        made.append(h)
    return torch.stack(made)


def contexts_by_convolution(network, steps):
    """Return what two causal convolutions give, for steps (time, channels)."""
    x = steps
    for number, layer in enumerate(part for part in network if isinstance(part, torch.nn.Conv1d)):
        before = torch.cat([torch.zeros(2, x.shape[1]), x])
        x = torch.stack(
            [
                torch.einsum("ock,kc->o", layer.weight.detach(), before[t : t + 3]) + layer.bias
                for t in range(len(steps))
            ]
        ).detach()
        x = x if number else x.relu()
    return x


BY_HAND = {"gru": contexts_by_gru, "conv": contexts_by_convolution}


@pytest.mark.parametrize("shape", [IMAGE, SEQUENCE], ids=["image", "sequence"])
@pytest.mark.parametrize("context", BY_HAND)
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_scores_and_infonce_are_those_of_a_loop(shape, context, negatives):
    of = Predictive(context=context, negatives=negatives, n_negatives=4, skip=1, width=5)
    shape_y = (2, *shape[1:])
    module = build(of, shape, shape_y)
    codes = make_codes(module, 7, shape, shape_y)
    one, other = (
        m["map"].reshape(7, -1, shape[1], math.prod(shape[2:]))
        for m in (codes.maps_x, codes.maps_y)
    )
    n_columns = one.shape[3]
    values = []
    compared, pairs = module(codes, None), picked(module, codes)
    assert list(module.offsets) == list(range(2, shape[1]))
    for k, predict, found, (rows, places) in zip(
        module.offsets, module.predict, compared, pairs, strict=True
    ):
        matrix, line, terms = predict.weight.detach(), 0, []
        for i in range(7):
            by_column = [
                BY_HAND[context](module.context.network, one[i, :, :, j].T)
                for j in range(n_columns)
            ]
            for t in range(shape[1] - k):
                for j in range(n_columns):
                    c = by_column[j][t]
                    positive = other[i, :, t + k, j] @ matrix @ c
                    those = [
                        (int(row), divmod(int(place), n_columns))
                        for row, place in zip(rows[i], places[i], strict=True)
                    ]
                    scores = [other[row, :, *place] @ matrix @ c for row, place in those]
                    expected = torch.stack([positive, *scores])
                    torch.testing.assert_close(found.scores[line].detach(), expected)
                    kept = [where != (i, (t + k, j)) for where in those]
                    assert negatives_of(found)[line].tolist() == [False, *kept]
                    assert found.positives[line].tolist() == [True] + [False] * len(those)
                    among = expected[torch.tensor([True, *kept])]
                    terms.append(positive - among.logsumexp(0) + math.log(len(among)))
                    line += 1
        assert line == len(found.scores)
        values.append(torch.stack(terms).mean())
    value = mean_over(compared, InfoNCE().build(1, 1))
    torch.testing.assert_close(value.detach(), torch.stack(values).mean())


def test_other_rows_give_one_place_each_among_those_that_an_offset_reaches():
    module = build(Predictive(n_negatives=16))
    codes = make_codes(module, 40)
    counts = torch.zeros(40)
    for k, (rows, places) in zip(module.offsets, picked(module, codes), strict=True):
        assert rows.shape == places.shape == (40, 16)
        assert all(len(set(own)) == 16 and i not in own for i, own in enumerate(rows.tolist()))
        assert set(places.unique().tolist()) == set(range(4 * k, 20))
        counts += rows.flatten().bincount(minlength=40)
    assert (counts == 4 * 16).all()  # a circle serves every row equally often


def test_the_same_row_gives_different_places_of_its_own():
    module = build(Predictive(negatives="same", n_negatives=16))
    codes = make_codes(module, 40)
    for rows, places in picked(module, codes):
        assert (rows == torch.arange(40)[:, None]).all()
        assert all(len(set(own)) == 16 for own in places.tolist())
        assert len(places.unique()) == 20
    for one in module(codes, None):
        left_out = 16 - one.negatives.sum(1)
        # Of 20 places 16 are drawn: the target is among them 4 times in 5.
        assert set(left_out.tolist()) == {0, 1} and abs(left_out.float().mean() - 0.8) < 0.1


@pytest.mark.parametrize("n", [3, 16, 40])
def test_any_row_is_drawn_equally_often(n):
    module, own = build(Predictive(negatives="any", n_negatives=8)), []
    for seed in range(40):
        for rows, places in picked(module, make_codes(module, n, seed=seed)):
            assert rows.shape == (n, min(8, n)) and places.min() >= 0 and places.max() < 20
            assert all(len(set(row)) == len(row) for row in rows.tolist())
            own.append((rows == torch.arange(n)[:, None]).any(1).float().mean())
    expected = min(8, n) / n
    error = math.sqrt(expected * (1 - expected) / (160 * n))
    assert abs(torch.stack(own).mean() - expected) <= 4 * error + 1e-6


def test_a_partner_without_information_is_found_by_chance():
    """The positive is exchangeable with the negatives, though codes differ from place to place."""
    module = build(Predictive(context="conv", n_negatives=7, steps=2))
    for parameter in module.context.parameters():
        parameter.data.zero_()
    module.context.network[4].bias.data.fill_(3.0)  # a context that knows nothing
    chances = []
    for seed in range(60):
        codes = make_codes(module, 30, seed=seed)
        codes.maps_y["map"] += torch.arange(5)[:, None]
        for one in module(codes, None):
            chances.append(one.scores.softmax(1)[:, 0].mean().item())
    error = np.std(chances) / math.sqrt(len(chances))
    assert error < 0.01 and abs(np.mean(chances) - 1 / 8) < 4 * error


LENGTHS = [9, 2, 5, 1, 7, 9]


def unequal_codes(module, n_channels=3, lengths=LENGTHS, seed=0):
    """Return codes of recordings of unequal lengths; one step inside a recording is hidden, too."""
    codes = make_codes(module, len(lengths), (n_channels, 9), seed=seed)
    seen = torch.arange(9) < torch.tensor(lengths)[:, None]
    codes.seen_x, codes.seen_y = seen, seen.clone()
    codes.seen_y[0, 4] = False
    return codes


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_unequal_recordings_are_those_of_a_loop_over_observed_steps(negatives):
    module = build(Predictive(negatives=negatives, n_negatives=4, width=5), (3, 9))
    codes = unequal_codes(module)
    seen_x, seen_y = codes.seen_x.tolist(), codes.seen_y.tolist()
    one, other = codes.maps_x["map"], codes.maps_y["map"]
    rows, places = module.pick(codes.draws, module.offsets, module.pick.n_places, codes.seen_y)
    values = []
    for number, k in enumerate(module.offsets):
        matrix, terms = module.predict[number].weight.detach(), []
        for i, length in enumerate(LENGTHS):
            if length == 0:
                continue
            contexts = contexts_by_gru(module.context.network, one[i, :, :length].T)
            for t in range(length):
                if t + k >= 9 or not seen_y[i][t + k]:
                    continue
                scores = [other[i, :, t + k] @ matrix @ contexts[t]]
                for row, place in torch.stack([rows[number, i], places[number, i]], 1).tolist():
                    after = negatives != "other" or seen_x[row][place - k]
                    if seen_y[row][place] and after and (row, place) != (i, t + k):
                        scores.append(other[row, :, place] @ matrix @ contexts[t])
                among = torch.stack(scores)
                terms.append(among[0] - among.logsumexp(0) + math.log(len(among)))
        if terms:
            values.append(torch.stack(terms).mean())
    found = mean_over(module(codes, None), InfoNCE().build(1, 1))
    torch.testing.assert_close(found.detach(), torch.stack(values).mean())


def test_steps_that_were_not_observed_change_nothing():
    module = build(Predictive(n_negatives=4), (3, 9))
    codes, changed = unequal_codes(module), unequal_codes(module)
    for maps, seen in ((changed.maps_x, changed.seen_x), (changed.maps_y, changed.seen_y)):
        maps["map"] = torch.where(seen[:, None], maps["map"], draw(6, 3, 9, seed=9))
    report = InfoNCE().build(1, 1)
    values = [mean_over(module(made, None), report) for made in (codes, changed)]
    torch.testing.assert_close(*values)


def test_offsets_that_no_recording_reaches_drop_out():
    module = build(Predictive(n_negatives=4), (3, 9))
    assert len(module(unequal_codes(module), None)) == 8
    few = unequal_codes(module, lengths=[3, 2, 1, 3, 3, 2])
    assert len(module(few, None)) == 2
    with pytest.raises(ValueError, match="No recording of the batch has two observed steps"):
        module(unequal_codes(module, lengths=[1] * 6), None)


def test_a_recorded_step_gives_offsets_out_of_reach_no_weight(monkeypatch):
    module = build(Predictive(n_negatives=4), (3, 9))
    codes, report = unequal_codes(module, lengths=[3, 2, 1, 3, 3, 2]), InfoNCE().build(1, 1)
    expected = mean_over(module(codes, None), report)
    monkeypatch.setattr("sklearn_mi.comparisons.predictive.is_recorded", lambda tensor: True)
    compared = module(codes, None)
    assert len(compared) == 8
    torch.testing.assert_close(mean_over(compared, report), expected)


def test_complete_masks_give_what_no_masks_give():
    module = build(Predictive(n_negatives=4), (3, 9))
    codes, report = make_codes(module, 6, (3, 9)), InfoNCE().build(1, 1)
    expected = mean_over(module(codes, None), report)
    codes.seen_x = codes.seen_y = torch.ones(6, 9, dtype=torch.bool)
    torch.testing.assert_close(mean_over(module(codes, None), report), expected)


def test_leaving_rows_out_takes_their_masks_along():
    module = build(Predictive(), (3, 9))
    kept = torch.tensor([True, False, True, True, False, True])
    codes = unequal_codes(module)
    fewer = codes.subset(kept)
    assert torch.equal(fewer.seen_x, codes.seen_x[kept])
    assert torch.equal(fewer.seen_y, codes.seen_y[kept])


def test_observed_places_of_other_rows_are_negatives_equally_often():
    module = build(Predictive(1, n_negatives=16), (3, 9))
    lengths = [9] * 20 + [3] * 20
    counts = torch.zeros(9)
    for seed in range(20):
        codes = unequal_codes(module, lengths=lengths, seed=seed)
        codes.seen_y = codes.seen_x
        (rows,), (places,) = module.pick(codes.draws, module.offsets, 9, codes.seen_y)
        (one,) = module(codes, None)
        used = one.negatives.reshape(40, 8, -1)[:20, 0, 1:]  # the first contexts of long rows
        counts += places[:20][used].bincount(minlength=9)
    # Places 1 and 2 are observed in 40 rows, places 3 to 8 in 20.
    share = counts / counts.sum()
    expected = torch.tensor([0.0] + [40.0] * 2 + [20.0] * 6) / 200
    assert (share - expected).abs().max() < 0.02


def test_a_partner_without_information_is_found_by_chance_in_unequal_recordings():
    """Codes tell the place and the length, so any other draw of rows or places would show."""
    module = build(Predictive(context="conv", n_negatives=7, steps=2), (3, 9))
    for parameter in module.context.parameters():
        parameter.data.zero_()
    module.context.network[4].bias.data.fill_(3.0)  # a context that knows nothing
    surplus = []
    for seed in range(100):
        lengths = np.random.default_rng(seed).choice([2, 4, 9], 30).tolist()
        codes = unequal_codes(module, lengths=lengths, seed=seed)
        codes.seen_y = codes.seen_x
        codes.maps_y["map"] += (torch.arange(9) + 2 * torch.tensor(lengths)[:, None])[:, None]
        for one in module(codes, None):
            known = one.positives.any(1)
            cells = (one.positives | one.negatives)[known]
            chances = one.scores[known].masked_fill(~cells, -torch.inf).softmax(1)[:, 0]
            surplus.append((chances - 1 / cells.sum(1)).sum().item())
    error = np.std(surplus) / math.sqrt(len(surplus))
    assert error < 1 and abs(np.mean(surplus)) < 3 * error


@pytest.mark.parametrize("shape", [IMAGE, SEQUENCE], ids=["image", "sequence"])
@pytest.mark.parametrize("context", BY_HAND)
def test_a_context_sees_no_later_step_and_no_other_column(shape, context):
    module = build(Predictive(context=context), shape)
    maps = draw(2, *shape)
    made = module.contexts(maps).reshape(2, shape[1], -1, shape[0])
    for step in range(shape[1]):
        changed = maps.clone()
        changed[:, :, step + 1 :] += 1
        again = module.contexts(changed).reshape(made.shape)
        assert torch.equal(again[:, : step + 1], made[:, : step + 1])
        changed = maps.clone()
        changed.reshape(2, shape[0], shape[1], -1)[:, :, step, 0] += 1
        again = module.contexts(changed).reshape(made.shape)
        assert (again[:, step, 0] != made[:, step, 0]).any()
        torch.testing.assert_close(again[:, :, 1:], made[:, :, 1:])


def test_small_blocks_have_fewer_negatives():
    for negatives, expected in (("other", [0, 1, 4]), ("any", [1, 2, 5]), ("same", [6, 6, 6])):
        module = build(Predictive(negatives=negatives, n_negatives=6))
        for n, most in zip((1, 2, 5), expected, strict=True):
            found = module(make_codes(module, n), None)
            assert module.candidates(n) == 1 + most
            assert all(one.scores.shape[1] == 1 + most for one in found)
            assert mean_over(found, InfoNCE().build(1, 1)).isfinite()
        assert module.candidates(100) == 7


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_leaving_rows_out_changes_few_choices(negatives):
    """Else the jackknife would measure the draws, not the rows."""
    module = build(Predictive(negatives=negatives, n_negatives=8))
    codes, kept = make_codes(module, 100), torch.ones(100, dtype=torch.bool)
    kept[20:25] = False
    names = torch.arange(100)[kept]

    def cells(rows, places):
        pairs = zip(rows.tolist(), places.tolist(), strict=True)
        return [set(zip(*pair, strict=True)) for pair in pairs]

    for (rows, places), (fewer, there) in zip(
        picked(module, codes), picked(module, codes.subset(kept)), strict=True
    ):
        before, after = cells(rows[kept], places[kept]), cells(names[fewer], there)
        same = [len(one & other) / 8 for one, other in zip(before, after, strict=True)]
        assert np.mean(same) > 0.9


def test_rows_of_one_group_are_no_negatives():
    groups = torch.arange(12) // 3
    allowed = groups[:, None] != groups[None, :]
    for negatives in ("other", "any"):
        module = build(Predictive(negatives=negatives, n_negatives=8))
        codes = make_codes(module, 12, negatives=allowed)
        for one, (rows, _) in zip(module(codes, None), picked(module, codes), strict=True):
            places = len(one.scores) // 12
            ours = (groups[rows] == groups[:, None]) & (rows != torch.arange(12)[:, None])
            mask = one.negatives.reshape(12, places, -1)[:, :, 1:]
            assert ours.any() and not (mask & ours[:, None]).any()
            assert mask[(~ours)[:, None].expand_as(mask)].float().mean() > 0.9


@pytest.mark.parametrize("name", sorted(set(EVERY) - REFUSED - {"each-part"}))
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_every_objective_of_rows_trains_every_weight(name, negatives):
    objective, of = EVERY[name](), Predictive(negatives=negatives, n_negatives=4)
    of.check(objective, torch.nn.Identity())
    module, built = build(of), objective.build(2, 2)
    codes = make_codes(module)
    codes.maps_x["map"].requires_grad_()
    value = mean_over(module(codes, None), built)
    assert value.isfinite() and mean_over(module(codes, None), built.report).isfinite()
    value.backward()
    for tensor in (codes.maps_x["map"], *module.parameters()):
        assert tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_objectives_of_codes_and_columns_are_refused(name):
    with pytest.raises(ValueError, match=r"objective=.*Predictive.*expected .*such as"):
        Predictive().check(EVERY[name](), torch.nn.Identity())


def test_a_matched_bound_of_columns_is_refused():
    with pytest.raises(ValueError, match="compares the rows of a column"):
        Predictive().check(Matched("infonce-symmetric", 1.0), torch.nn.Identity())


@pytest.mark.parametrize("name", ["hard", "semi-hard", "queue", "independent"])
def test_other_negatives_are_refused(name):
    with pytest.raises(ValueError, match="draws its own; expected 'batch' or 'other-groups'"):
        Predictive().check_negatives(as_negatives(name))
    Predictive().check_negatives(as_negatives("batch"))
    Predictive().check_negatives(as_negatives("other-groups"))


@pytest.mark.parametrize("context", BY_HAND)
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_modules_survive_pickle_deepcopy_and_state_dict(context, negatives):
    of = Predictive(context=context, negatives=negatives, n_negatives=3)
    assert repr(clone(of)) == repr(of) == repr(pickle.loads(pickle.dumps(of)))
    module, other = build(of).eval(), build(of, seed=1).eval()
    codes = make_codes(module)
    assert not torch.equal(other(codes, None)[0].scores, module(codes, None)[0].scores)
    other.load_state_dict(module.state_dict())
    for again in (module, other, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        for one, two in zip(again(codes, None), module(codes, None), strict=True):
            assert torch.equal(one.scores, two.scores)
            assert torch.equal(negatives_of(one), negatives_of(two))


@pytest.mark.parametrize(
    "length, skip, steps, offsets",
    [(7, 0, None, range(1, 7)), (30, 0, None, range(1, 13)), (7, 1, None, range(2, 7)),
     (30, 2, 20, range(3, 23)), (7, np.int64(1), np.int64(2), range(2, 4))],
)  # fmt: skip
def test_offsets_are_all_that_there_are_at_most_twelve(length, skip, steps, offsets):
    assert build(Predictive(steps, skip=skip), (3, length)).offsets == offsets


def test_only_other_rows_give_a_bound():
    caveats = [build(Predictive(negatives=name, n_negatives=3)).caveat for name in NEGATIVES]
    assert caveats[0] is None and all("depend on it" in caveat for caveat in caveats[1:])


@pytest.mark.parametrize(
    "params, shape, message",
    [
        ({"context": "lstm"}, IMAGE, "context='lstm' is not known; expected one of .'gru', 'conv'"),
        ({"negatives": "others"}, IMAGE, "negatives='others' is not known.*Did you mean 'other'"),
        ({"n_negatives": 0}, IMAGE, "n_negatives=0; expected a positive integer"),
        ({"width": 0}, IMAGE, "width=0; expected a positive integer"),
        ({"steps": 0}, IMAGE, "steps=0; expected a positive integer"),
        ({"skip": -1}, IMAGE, "skip=-1; expected an integer of at least 0"),
        ({}, (3, 1, 4), "a map of 1 step, .* nothing to predict; expected at least 2: take longer"),
        ({}, (3, 1, 1), "a map of 1 step, .* nothing to predict"),
        ({"skip": 4}, IMAGE, "a map of 5 steps, .*skip=4 .*expected at least 6"),
        ({"steps": 12}, IMAGE, "steps=12, .* 5 steps .*expected at most 4, or None for all"),
        ({"steps": 2, "skip": 3}, IMAGE, "skip=3 has 1 step ahead; expected at most 1"),
        ({"negatives": "same"}, SEQUENCE, "n_negatives=16 with negatives='same', .*at most 5"),
    ],
)  # fmt: skip
def test_errors_name_the_cure(params, shape, message):
    with pytest.raises(ValueError, match=message):
        build(Predictive(**params), shape)


def test_maps_of_two_forms_are_refused():
    with pytest.raises(ValueError, match=r"maps of \(5, 4\) and \(4, 4\) places in the two views"):
        build(Predictive(), IMAGE, (3, 4, 4))


@pytest.fixture(scope="module")
def digits():
    X, _ = load_digits(return_X_y=True)
    return (X[:240].reshape(-1, 8, 8) / 16).astype(np.float32)


def make_learner(comparison, **params):
    given = {"view": "same", "encoder": Patches(size=2, stride=2), "objective": "infonce"}
    training = {"max_steps": 30, "batch_size": 64, "random_state": 0}
    return MIRepresentationLearner(8, comparison=comparison, **{**given, **training, **params})


def test_patches_of_digits_end_to_end(digits, tmp_path):
    learner = make_learner(Predictive(), lr=1e-2, schedule="constant").fit(digits)
    Z = learner.transform(digits)
    assert Z.shape == (240, 8)
    own = learner.mi_.objective
    assert own.status == "lower" and own.n_candidates == 17 and own.ceiling == math.log(17)
    assert own.value > 0.1 and 0 < own.stderr < own.value
    assert learner.score(digits) == learner.score(digits) > 0.1
    learner.save(tmp_path / "learner.mi")
    assert np.array_equal(load(tmp_path / "learner.mi").transform(digits), Z)
    assert np.array_equal(clone(learner).fit(digits).transform(digits), Z)


def test_dependent_negatives_make_no_bound(digits):
    learner = make_learner(Predictive(negatives="any"), max_steps=2).fit(digits)
    assert learner.mi_.objective.status == "neither"
    assert any("depend on it" in fact for fact in learner.mi_.objective.warnings)


def test_a_grid_and_a_pipeline_take_it(digits):
    learner = make_learner(Predictive(1), max_steps=2)
    grid = GridSearchCV(learner, {"comparison__steps": [1, 2]}, cv=2).fit(digits)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(FunctionTransformer(), learner)
    assert pipeline.fit_transform(digits).shape == (240, 8)
    with pytest.raises(ValueError, match="steps=9, but a map of 4 steps"):
        clone(learner).set_params(comparison__steps=9).fit(digits)
    with pytest.raises(ValueError, match="layer='conv7' is no layer of encoder=Patches"):
        clone(learner).set_params(comparison__layer="conv7").fit(digits)


def test_sequences_end_to_end():
    """An autoregressive process: what comes next can be told, and no bound exceeds the truth."""
    rng, rho = np.random.default_rng(0), 0.9
    X = np.empty((600, 16, 1), np.float32)
    X[:, 0] = rng.normal(size=(600, 1))
    for t in range(1, 16):
        X[:, t] = rho * X[:, t - 1] + math.sqrt(1 - rho**2) * rng.normal(size=(600, 1))
    encoder = Conv1d((16,), kernel=1)
    params = {"encoder": encoder, "max_steps": 150, "lr": 1e-2}
    values = []
    for k in (1, 4):
        learner = make_learner(Predictive(1, skip=k - 1), **params).fit(X[:400])
        assert learner.transform(X[:5]).shape == (5, 8)
        value = learner.score(X[400:])
        truth = -math.log(1 - rho ** (2 * k)) / 2
        assert 0.6 * truth < value < truth + 2 * learner.mi_.objective.stderr
        values.append(value)
    assert values[0] > 2 * values[1]


@pytest.mark.parametrize("negatives", ["other", "any"])
def test_recordings_longer_than_in_fit_are_those_of_a_module_of_their_length(negatives):
    of = Predictive(2, negatives=negatives, n_negatives=4, width=5)
    short, long = (build(of, (3, length)) for length in (6, 9))
    codes = make_codes(long, shape=(3, 9))
    for found, expected in zip(short(codes, None), long(codes, None), strict=True):
        torch.testing.assert_close(found.scores, expected.scores)


def test_recordings_longer_than_in_fit_are_scored_and_trained_on():
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, 2)) for n in (24, *rng.integers(6, 24, 23))]
    learner = make_learner("cpc", encoder="auto", max_steps=2)
    folds = cross_val_score(learner, rows, cv=3, error_score="raise")
    assert np.isfinite(folds).all()
    learner.fit(rows[1:])
    assert np.isfinite(learner.partial_fit(rows).score(rows))
    learner.set_params(comparison=Predictive(2, negatives="same", n_negatives=2)).fit(rows[1:])
    with pytest.raises(ValueError, match="expected recordings no longer than in fit"):
        learner.score(rows)


def test_a_layer_of_other_steps_than_the_encoder_tells_of_is_refused():
    rows = np.random.default_rng(0).normal(size=(20, 24, 2)).astype(np.float32)
    given = {"encoder": Conv1d((8, 8), stride=2), "batch_size": 10, "max_steps": 1}
    with pytest.raises(ValueError, match=r"layer='map.layers.0' has 12 steps, but .* expected"):
        make_learner(Predictive(1, layer="map.layers.0"), **given).fit(rows)


def test_steps_that_a_view_hides_are_told():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.map = torch.nn.Conv1d(3, 8, 1)

        def forward(self, rows):
            return self.map(rows.transpose(1, 2)).mean(2)

    rows = np.random.default_rng(0).normal(size=(20, 12, 2)).astype(np.float32)
    hides = {"encoder": Own(), "view": AugmentRecording(mask_time=0.5), "max_steps": 3}
    with pytest.raises(ValueError, match="a view that hides no steps"):
        make_learner(Predictive(1), **hides).fit(rows)


def test_negatives_of_the_same_row_leave_no_choice_of_rows():
    rows, groups = np.random.default_rng(0).normal(size=(24, 12, 2)), np.arange(24) // 6
    learner = make_learner(Predictive(negatives="same", n_negatives=2), encoder="conv1d")
    with pytest.raises(ValueError, match="OtherGroups.. chooses among other rows"):
        learner.set_params(negatives="other-groups").fit(rows, groups=groups)
