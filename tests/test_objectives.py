from __future__ import annotations

import copy
import math
import pickle
from types import SimpleNamespace

import pytest
import torch
from sklearn.base import clone

from sklearn_mi import bounds, objectives, reports
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS, MINE, NWJ, Bound, InfoNCE, Interpolated
from sklearn_mi.negatives import InBatch
from sklearn_mi.objectives import OBJECTIVES, KPair, Matched

D_X, D_Y = 3, 4
FAMILY = {
    **{name: make() for name, make in OBJECTIVES.items()},
    **{f"matched-{name}": Matched(name, 1.0) for name in BOUNDS},
    "matched-object": Matched(Interpolated(alpha=0.5), 2.0),
}
each = pytest.mark.parametrize("objective", FAMILY.values(), ids=FAMILY)


def draw(*shape, seed=0):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).requires_grad_()


def make_codes(n=6, m=6, negatives=None):
    z_x, z_y, weight = draw(n, D_X), draw(m, D_Y, seed=1), draw(D_X, D_Y, seed=2)
    return Codes(z_x, z_y, lambda a, b: a @ weight @ b.T, negatives=negatives)


def build(objective):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return objective.build(D_X, D_Y).double()


def of_scores(scores, negatives=None):
    rows = torch.zeros(len(scores), D_X)
    return Codes(rows, rows, lambda a, b: scores, negatives=negatives)


@each
def test_trains_and_reports_a_number(objective):
    codes, module = make_codes(), build(objective)
    value = module(codes)
    assert value.shape == module.report(codes).shape == ()
    assert torch.isfinite(value)
    value.backward()
    assert codes.z_x.grad.abs().sum() > 0 and codes.z_y.grad.abs().sum() > 0
    assert all(p.grad is not None for p in module.parameters())


@each
def test_reports_its_bound(objective):
    codes, module = make_codes(), build(objective)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        alone = objective.reported.build(D_X, D_Y).double()
    assert torch.equal(module.report(codes), alone.report(codes))
    assert isinstance(objective.reported, Bound)
    assert objective.status == objective.reported.status
    assert objective.ceiling(100) == objective.reported.ceiling(100)


@each
def test_descriptions_survive_clone_pickle_and_repr(objective):
    same = [clone(objective), pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective)]
    for other in same:
        assert type(other) is type(objective)
        assert repr(other) == repr(objective)
        assert torch.equal(build(other)(make_codes()), build(objective)(make_codes()))
    assert repr(objective).startswith(type(objective).__name__)


@each
def test_modules_survive_pickle(objective):
    module = build(objective)
    again = pickle.loads(pickle.dumps(module))
    assert torch.equal(again(make_codes()), module(make_codes()))


@each
def test_set_params_leaves_the_built_module_alone(objective):
    description = clone(objective)
    module, codes = build(description), make_codes()
    before = module(codes)
    for name in description.get_params(deep=False):
        description.set_params(**{name: None})
    assert torch.equal(module(codes), before)


# K-pair loss.


def naive_k_pair(s, mask):
    n, m = s.shape
    total = 0.0
    for i in range(n):
        others = [j for j in range(m) if j != i and (mask is None or mask[i, j])]
        total -= math.log(1 + sum(math.exp(s[i, j] - s[i, i]) for j in others))
    return total / n


@pytest.mark.parametrize("shape", [(5, 5), (5, 8), (2, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_k_pair_equals_naive_loop(shape, masked):
    scores = 2 * draw(*shape).detach()
    # The diagonal is on in some rows and off in others: a partner is never a negative.
    mask = draw(*shape, seed=3) > 0 if masked else None
    value = objectives.k_pair(scores, mask).item()
    assert value == pytest.approx(naive_k_pair(scores, mask), abs=1e-12)


def test_k_pair_is_infonce_without_the_logarithm_of_the_candidates():
    codes = make_codes(n=6, m=9)
    module = build(KPair())
    difference = (module.report(codes) - module(codes)).item()
    assert difference == pytest.approx(math.log(9), abs=1e-12)
    gradients = [
        torch.autograd.grad(value, codes.scores, retain_graph=True)[0]
        for value in (module(codes), bounds.infonce(codes.scores))
    ]
    assert torch.equal(*gradients)


def test_k_pair_with_two_pairs_is_the_smooth_triplet_loss():
    s = draw(2, 2).detach()
    loss = torch.nn.functional.softplus(torch.stack([s[0, 1] - s[0, 0], s[1, 0] - s[1, 1]])).mean()
    torch.testing.assert_close(objectives.k_pair(s), -loss)


def test_k_pair_gradient_equals_finite_differences():
    mask = draw(4, 6, seed=3) > 0
    assert torch.autograd.gradcheck(lambda s: objectives.k_pair(s, mask), draw(4, 6))


def test_k_pair_stays_finite_at_extreme_scores():
    scores = (1e4 * draw(8, 8).detach()).float().requires_grad_()
    value = objectives.k_pair(scores)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(scores.grad).all()


def test_k_pair_checks_shapes():
    with pytest.raises(ValueError, match="scores of shape"):
        objectives.k_pair(torch.zeros(3, 2))


# Matched bounds.


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("target", [-2.0, 0.5, 3.0])
def test_matched_is_minus_the_distance(name, target):
    codes, module = make_codes(), build(Matched(name, target))
    assert module(codes).item() == pytest.approx(-abs(module.report(codes).item() - target))


@pytest.mark.parametrize("name", ["infonce", "nwj", "donsker-varadhan"])
def test_gradient_changes_its_sign_at_the_target(name):
    codes = make_codes()
    value = BOUNDS[name]()(codes.scores)
    upwards = torch.autograd.grad(value, codes.scores, retain_graph=True)[0]
    for step, sign in ((0.1, 1.0), (-0.1, -1.0)):
        module = build(Matched(name, value.item() + step))
        found = torch.autograd.grad(module(codes), codes.scores, retain_graph=True)[0]
        torch.testing.assert_close(found, sign * upwards)


@pytest.mark.parametrize(("name", "start"), [("infonce", 0.0), ("infonce", 9.0), ("nwj", 0.0)])
def test_training_ends_at_the_target_from_either_side(name, start):
    scores = (start * torch.eye(32).double()).requires_grad_()
    module = build(Matched(name, 2.0))
    optimizer = torch.optim.Adam([scores], lr=0.01)
    for _ in range(800):
        optimizer.zero_grad()
        (-module(of_scores(scores))).backward()
        optimizer.step()
    assert module.report(of_scores(scores)).item() == pytest.approx(2.0, abs=0.05)


def test_matched_uses_the_negatives():
    mask = draw(6, 6, seed=3) > 0
    module = build(Matched("infonce", 1.0))
    masked = module.report(make_codes(negatives=mask))
    assert masked == bounds.infonce(make_codes().scores, mask)
    assert masked != module.report(make_codes())


def test_matched_trains_the_head_of_its_bound():
    module = build(Matched("tuba", 1.0))
    module(make_codes()).backward()
    gradients = [p.grad for p in module.parameters()]
    assert gradients and all(g is not None for g in gradients)


def test_matched_has_status_and_ceiling_of_its_bound():
    assert (Matched("infonce", 1.0).status, Matched(MINE(), 1.0).status) == ("lower", "neither")
    assert Matched("infonce", 1.0).ceiling(128) == pytest.approx(4.852, abs=5e-4)
    assert Matched(NWJ(), 1.0).ceiling(128) == math.inf


def test_nested_parameters_reach_the_bound():
    objective = Matched(Interpolated(), 2.0).set_params(bound__alpha=0.5, target=3.0)
    assert (objective.bound.alpha, objective.target) == (0.5, 3.0)


@pytest.mark.parametrize(
    ("objective", "error", "match"),
    [
        (Matched("infonse", 1.0), ValueError, "infonce"),
        (Matched(3, 1.0), TypeError, "bound=3"),
        (Matched("infonce", math.nan), ValueError, "target=nan"),
        (Matched("infonce", math.inf), ValueError, "target=inf"),
    ],
)
def test_bad_parameters_are_named_when_built(objective, error, match):
    with pytest.raises(error, match=match):
        objective.build(D_X, D_Y)


def test_reports_describe_takes_an_objective(monkeypatch):
    monkeypatch.setattr(reports, "held_out_infonce", lambda *_: (1.0, 0.1))
    monkeypatch.setattr(reports, "held_out_bound", lambda *_: (2.0, 0.2))
    model = SimpleNamespace(negatives=InBatch().build(D_Y))
    own = reports.describe(model, Matched("nwj", 2.0), range(256), 128, 0).objective
    assert (own.value, own.status, own.ceiling) == (2.0, "lower", math.inf)
    named = reports.describe(model, Matched("nwj", 2.0).reported, range(256), 128, 0).objective
    assert named.bound == "NWJ"
    plain = reports.describe(model, KPair().reported, range(256), 128, 0)
    assert isinstance(KPair().reported, InfoNCE) and plain.objective.value == 1.0
