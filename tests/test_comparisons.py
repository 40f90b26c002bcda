import copy
import pickle
import re

import pytest
import torch
from sklearn.base import clone

from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.comparisons import (
    COMPARISONS,
    Comparison,
    ComparisonModule,
    Parts,
    Whole,
    as_comparison,
    mean_over,
)
from sklearn_mi.critics import Bilinear, Cosine, Split
from sklearn_mi.objectives import OBJECTIVES, EachPart, as_objective

EVERY = {**BOUNDS, **OBJECTIVES}
# What parts cannot share, and the objective that cuts codes itself.
REFUSED = {name for name, make in EVERY.items() if make().has_head or make().keeps_state}
ALLOWED = sorted(set(EVERY) - REFUSED - {"each-part"})


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_codes(n=7, m=9, width=8, negatives=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = Split(("cauchy", "bilinear", Cosine(0.5))).build(width, width)
    z_x, z_y = draw(n, width).requires_grad_(), draw(m, width, seed=1).requires_grad_()
    return Codes(z_x, z_y, critic, negatives=negatives)


def some_negatives(n=7, m=9):
    mask = draw(n, m, seed=2) > 0
    mask[torch.arange(n), (torch.arange(n) + 1) % n] = True
    return mask


def value_and_gradients(value, codes):
    value.backward()
    weights = codes.critic.parameters()
    return [value.detach(), codes.z_x.grad, codes.z_y.grad, *(p.grad for p in weights)]


@pytest.mark.parametrize("name", COMPARISONS)
def test_descriptions_survive_clone_and_pickle(name):
    comparison = COMPARISONS[name]()
    assert isinstance(comparison, Comparison)
    assert as_comparison(name).get_params() == comparison.get_params()
    for other in (clone(comparison), pickle.loads(pickle.dumps(comparison))):
        assert repr(other) == repr(comparison)
    maps = {layer: (3, 4, 4) for layer in comparison.layers}
    with torch.random.fork_rng(devices=[]):
        more = ([maps, maps],) if maps else ()
        module = comparison.build([(8,), (8,)], *more).eval()
    codes = make_codes(m=7)
    codes.maps_x = codes.maps_y = {layer: draw(7, *shape) for layer, shape in maps.items()}
    codes.draws = torch.rand(7, max(module.n_draws, 1))
    for again in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        for one, other in zip(again(codes, None), module(codes, None), strict=True):
            assert torch.equal(one.scores, other.scores)


def test_whole_codes_are_handed_on_as_they_are():
    codes = make_codes()
    module = Whole().build([(8,), (8,)])
    assert module(codes, torch.arange(7))[0] is codes
    assert module.is_whole and module.caveat is None and module.candidates(16) == 16


def test_parts_are_those_of_the_critic_with_the_masks_of_the_whole():
    codes = make_codes(negatives=some_negatives())
    codes.positives = torch.eye(7, 9, dtype=torch.bool)
    module = Parts().build([(8,), (8,)])
    parts = module(codes, None)
    assert not module.is_whole and module.caveat is None
    edges = [(0, 3), (3, 6), (6, 8)]
    for part, (start, end), critic in zip(parts, edges, codes.critic.parts, strict=True):
        assert torch.equal(part.z_x, codes.z_x[:, start:end])
        assert torch.equal(part.z_y, codes.z_y[:, start:end])
        assert part.critic is critic
        assert part.negatives is codes.negatives and part.positives is codes.positives
    total = sum(part.scores for part in parts)
    torch.testing.assert_close(codes.scores, total)


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("masked", [False, True])
def test_parts_train_as_the_objective_each_part_does(name, masked):
    """Bit for bit: values, reports, and gradients of codes and critics."""
    found = []
    for by_comparison in (True, False):
        codes = make_codes(negatives=some_negatives() if masked else None)
        torch.manual_seed(0)
        if by_comparison:
            module, parts = EVERY[name]().build(8, 8), Parts().build([(8,), (8,)])
            compared = parts(codes, None)
            value, report = mean_over(compared, module), mean_over(compared, module.report)
        else:
            whole = EachPart(name).build(8, 8)
            value, report = whole(codes), whole.report(codes)
        found.append([report.detach(), *value_and_gradients(value, codes)])
    for one, other in zip(*found, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_parts_refuse_what_they_would_share(name):
    with pytest.raises(ValueError, match=r"objective=.*'each-part'.*expected one without"):
        Parts().check(as_objective(name), make_codes().critic)


@pytest.mark.parametrize("name", ALLOWED)
def test_whole_codes_go_with_everything(name):
    assert Parts().check(as_objective(name), make_codes().critic) is None
    for critic in (make_codes().critic, Bilinear().build(8, 8)):
        assert Whole().check(as_objective(name), critic) is None


def test_a_critic_without_parts_is_refused():
    z = draw(4, 6)
    for critic in (Bilinear().build(6, 6), lambda a, b: a @ b.T):
        with pytest.raises(ValueError, match=r"needs a critic that cuts codes.*critic=Split"):
            Parts().build([(6,), (6,)])(Codes(z, z, critic), None)
        with pytest.raises(ValueError, match=r"needs a critic that cuts codes.*critic=Split"):
            Parts().check(as_objective("infonce"), critic)


def test_the_mean_of_one_is_its_value_and_of_several_their_mean():
    codes = [make_codes() for _ in range(3)]
    values = [torch.tensor(value) for value in (1.0, 2.5, 6.0)]
    given = iter([values[0], *values])
    assert mean_over(codes[:1], lambda _: next(given)) is values[0]
    assert mean_over(codes, lambda _: next(given)).item() == pytest.approx(9.5 / 3)


def test_names_and_objects_are_checked():
    given = Parts()
    assert as_comparison(given) is given
    with pytest.raises(ValueError, match="comparison='hole'.*Did you mean 'whole'"):
        as_comparison("hole")
    names = re.escape(str(sorted(COMPARISONS)))
    with pytest.raises(TypeError, match=f"comparison=3; expected one of {names}"):
        as_comparison(3)
    with pytest.raises(TypeError, match="abstract"):
        ComparisonModule()
