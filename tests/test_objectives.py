from __future__ import annotations

import copy
import math
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.base import clone
from torch import nn

import sklearn_mi
from sklearn_mi import MIRepresentationLearner, bounds, diagnostics, objectives
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS, MINE, NWJ, Bound, BoundModule, Interpolated
from sklearn_mi.critics import CRITICS, Bilinear, Cosine, Split
from sklearn_mi.objectives import (
    OBJECTIVES,
    AlignUniform,
    BarlowTwins,
    Debiased,
    EachPart,
    HardNegatives,
    KPair,
    Matched,
    Objective,
    SigLIP,
    Spectral,
    Triplet,
    VICReg,
    Wasserstein,
    as_objective,
)
from sklearn_mi.views import Halves

D_X, D_Y = 3, 4
FAMILY = {
    **{name: make() for name, make in OBJECTIVES.items() if name != "each-part"},
    "triplet-hard": Triplet(margin=0.5, mining="hard"),
    "triplet-all": Triplet(margin=0.5, mining="all"),
    "align-uniform-other": AlignUniform(alpha=1.0, t=3.0, weight=0.5),
    **{f"matched-{name}": Matched(name, 1.0) for name in BOUNDS},
    "matched-object": Matched(Interpolated(alpha=0.5), 2.0),
}


def needs_equal_widths(objective):
    """Whether it compares codes component by component."""
    try:
        objective.build(D_X, D_Y)
    except ValueError as error:
        return "same width" in str(error)
    return False


ON_CODES = {name: each for name, each in FAMILY.items() if needs_equal_widths(each)}
on_codes = pytest.mark.parametrize("objective", ON_CODES.values(), ids=ON_CODES)
each = pytest.mark.parametrize("objective", FAMILY.values(), ids=FAMILY)


def draw(*shape, seed=0):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).requires_grad_()


def width_x(objective):
    return D_Y if needs_equal_widths(objective) else D_X


def make_codes(n=6, m=6, negatives=None, d_x=D_X):
    z_x, z_y, weight = draw(n, d_x), draw(m, D_Y, seed=1), draw(d_x, D_Y, seed=2)
    return Codes(z_x, z_y, lambda a, b: a @ weight @ b.T, negatives=negatives)


def build(objective):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return objective.build(width_x(objective), D_Y).double()


def of_scores(scores, negatives=None):
    rows = torch.zeros(len(scores), D_X)
    return Codes(rows, rows, lambda a, b: scores, negatives=negatives)


@each
def test_a_small_step_along_the_gradient_raises_the_value(objective):
    """By as much as the gradient says, for the codes of either view and for a head."""
    codes, module = make_codes(d_x=width_x(objective)), build(objective)
    value = module(codes)
    assert value.shape == module.report(codes).shape == ()
    value.backward()
    for part in (codes.z_x, codes.z_y, *module.parameters()):
        slope = part.grad.square().sum().item()
        step, before = 1e-6 / slope**0.5, part.detach().clone()
        with torch.no_grad():
            part.add_(step * part.grad)
            moved = Codes(codes.z_x, codes.z_y, codes.critic)
            gain = (module(moved) - value).item()
            part.copy_(before)
        assert slope > 0 and gain == pytest.approx(step * slope, rel=1e-2)


@each
def test_reports_its_bound(objective):
    codes, module = make_codes(d_x=width_x(objective)), build(objective)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        alone = objective.reported.build(width_x(objective), D_Y).double()
    assert torch.equal(module.report(codes), alone.report(codes))
    assert isinstance(objective.reported, Bound)
    assert objective.status == objective.reported.status
    assert objective.ceiling(100) == objective.reported.ceiling(100)


@each
def test_descriptions_survive_clone_pickle_and_repr(objective):
    same = [clone(objective), pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective)]
    codes = make_codes(d_x=width_x(objective))
    for other in same:
        assert type(other) is type(objective)
        assert repr(other) == repr(objective)
        assert torch.equal(build(other)(codes), build(objective)(codes))
    assert repr(objective).startswith(type(objective).__name__)


@each
def test_modules_survive_pickle(objective):
    codes, module = make_codes(d_x=width_x(objective)), build(objective)
    again = pickle.loads(pickle.dumps(module))
    assert torch.equal(again(codes), module(codes))


@each
def test_set_params_leaves_the_built_module_alone(objective):
    description = clone(objective)
    module, codes = build(description), make_codes(d_x=width_x(objective))
    before = module(codes)
    for name in description.get_params(deep=False):
        description.set_params(**{name: None})
    assert torch.equal(module(codes), before)


@each
def test_value_is_the_same_without_gradients(objective):
    codes, module = make_codes(d_x=width_x(objective)), build(objective)
    with torch.no_grad():
        value = module(codes)
    assert not value.requires_grad
    assert torch.equal(value, build(objective)(make_codes(d_x=width_x(objective))).detach())


@each
def test_nothing_is_made_on_another_device(objective):
    d_x = width_x(objective)
    with torch.device("meta"):
        module = objective.build(d_x, D_Y)
    z_x, z_y = torch.empty(4, d_x, device="meta"), torch.empty(6, D_Y, device="meta")
    codes = Codes(z_x, z_y, lambda a, b: a @ b.T[:d_x])
    assert module(codes).device.type == module.report(codes).device.type == "meta"


# Formulas of scores. Naive forms: one row, its partner's score and the list of its negatives'.


def naive(row, s, mask):
    n, m = s.shape
    total = 0.0
    for i in range(n):
        others = [float(s[i, j]) for j in range(m) if j != i and (mask is None or mask[i, j])]
        total += row(float(s[i, i]), others) if others else 0.0
    return total / n


def naive_triplet(mining, partner, others):
    below = [f for f in others if f < partner]
    mined = {
        "hard": [max(others)],
        "all": others,
        "semi-hard": [max(below)] if below else [min(others)],
    }[mining]
    return -sum(max(0.0, 0.8 - partner + f) for f in mined) / len(mined)


def naive_decoupled(partner, others):
    return partner - math.log(sum(math.exp(f) for f in others))


def naive_hard(partner, others, beta=0.7, tau=0.2, floor=-0.5):
    weights = [math.exp(beta * f) for f in others]
    mean = sum(w * math.exp(f) for w, f in zip(weights, others, strict=True)) / sum(weights)
    g = max((mean - tau * math.exp(partner)) / (1 - tau), math.exp(floor))
    return math.log(math.exp(partner) / (math.exp(partner) + len(others) * g))


def naive_sigmoid(partner, others, bias=0.3):
    def log_sigmoid(x):
        return -math.log(1 + math.exp(-x))

    b = bias - math.log(len(others))
    return log_sigmoid(partner + b) + sum(log_sigmoid(-f - b) for f in others)


ON_SCORES = {
    "k-pair": (
        objectives.k_pair,
        lambda p, others: -math.log(1 + sum(math.exp(f - p) for f in others)),
    ),
    **{
        f"triplet-{mining}": (
            partial(objectives.triplet, margin=0.8, mining=mining),
            partial(naive_triplet, mining),
        )
        for mining in ("semi-hard", "hard", "all")
    },
    "decoupled": (objectives.decoupled_infonce, naive_decoupled),
    "hard": (
        partial(objectives.hard_negatives, beta=0.7, tau_plus=0.2, floor=-0.5),
        naive_hard,
    ),
    "debiased": (
        partial(objectives.debiased, tau_plus=0.2, floor=-0.5),
        partial(naive_hard, beta=0.0),
    ),
    "siglip": (partial(objectives.siglip, bias=0.3), naive_sigmoid),
}
each_formula = pytest.mark.parametrize("name", ON_SCORES)


def some_negatives(n, m):
    """Some cells, the diagonal on in some rows and off in others; row 1 has none."""
    mask = draw(n, m, seed=3) > 0
    mask[1] = False
    mask[1, 1] = True
    return mask


@each_formula
@pytest.mark.parametrize("shape", [(5, 5), (5, 8), (2, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_formula_equals_naive_loop(name, shape, masked):
    function, row = ON_SCORES[name]
    scores = 2 * draw(*shape).detach()
    mask = some_negatives(*shape) if masked else None
    assert function(scores, mask).item() == pytest.approx(naive(row, scores, mask), abs=1e-12)


@each_formula
def test_formula_gradient_equals_finite_differences(name):
    mask = some_negatives(4, 6)
    assert torch.autograd.gradcheck(lambda s: ON_SCORES[name][0](s, mask), draw(4, 6))


@each_formula
def test_a_row_without_negatives_adds_nothing(name):
    function, scores = ON_SCORES[name][0], draw(4, 6)
    function(scores, some_negatives(4, 6)).backward()
    assert (scores.grad[1] == 0).all() and torch.isfinite(scores.grad).all()
    none = function(draw(4, 6), torch.eye(4, 6, dtype=torch.bool))
    assert none.item() == function(draw(1, 1)).item() == 0.0


@each_formula
def test_a_mask_of_all_cells_equals_none(name):
    function, scores = ON_SCORES[name][0], draw(4, 6)
    torch.testing.assert_close(function(scores, torch.ones(4, 6).bool()), function(scores))


@each_formula
@pytest.mark.parametrize("scale", [1e3, 1e4])
def test_formula_stays_finite_at_extreme_scores(name, scale):
    scores = (scale * draw(8, 8).detach()).float().requires_grad_()
    value = ON_SCORES[name][0](scores)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(scores.grad).all()
    exact = ON_SCORES[name][0](scores.detach().double())
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


@each_formula
def test_formula_checks_shapes(name):
    with pytest.raises(ValueError, match="scores of shape"):
        ON_SCORES[name][0](torch.zeros(3, 2))


# Several positives a row, or none


def some_positives(n, m):
    """Two positives a row, some in one column; row 2 has none."""
    mask = torch.zeros(n, m, dtype=torch.bool)
    for i in range(n):
        mask[i, [i % m, (2 * i + 1) % m]] = i != 2
    return mask


def naive_many(row, s, mask, positives):
    """The mean over rows of the mean over positives; row 2 is left out, row 1 adds 0."""
    total, n_rows = 0.0, 0
    for i in range(len(s)):
        mine = positives[i].nonzero().flatten().tolist()
        n_rows += bool(mine)
        others = [
            float(s[i, j])
            for j in range(s.shape[1])
            if not positives[i, j] and (mask is None or mask[i, j])
        ]
        if mine and others:
            total += sum(row(float(s[i, p]), others) for p in mine) / len(mine)
    return total / n_rows


@each_formula
@pytest.mark.parametrize("shape", [(5, 8), (5, 5), (8, 6)])
@pytest.mark.parametrize("masked", [False, True])
def test_formula_of_several_positives_equals_naive_loop(name, shape, masked):
    function, row = ON_SCORES[name]
    scores, positives = 2 * draw(*shape).detach(), some_positives(*shape)
    mask = some_negatives(*shape) if masked else None
    value = function(scores, mask, positives=positives).item()
    assert value == pytest.approx(naive_many(row, scores, mask, positives), abs=1e-12)


@each_formula
@pytest.mark.parametrize("masked", [False, True])
def test_formula_of_positives_on_the_diagonal_equals_none(name, masked):
    function, scores = ON_SCORES[name][0], 2 * draw(5, 8).detach()
    mask = some_negatives(5, 8) if masked else None
    value = function(scores, mask, positives=torch.eye(5, 8, dtype=torch.bool)).item()
    assert value == pytest.approx(function(scores, mask).item(), abs=1e-12)


@each_formula
def test_formula_gradient_with_several_positives_equals_finite_differences(name):
    masks = some_negatives(5, 6), some_positives(5, 6)
    assert torch.autograd.gradcheck(lambda s: ON_SCORES[name][0](s, *masks), draw(5, 6))


@pytest.mark.parametrize("masked", [False, True])
def test_spectral_of_several_positives_equals_naive_loop(masked):
    z_x, z_y = pair_of_codes(8, 6)
    mask, positives = some_negatives(8, 6) if masked else None, some_positives(8, 6)
    s = (z_x @ z_y.T).detach()
    expected = naive_many(
        lambda p, others: 2 * p - sum(f * f for f in others) / len(others), s, mask, positives
    )
    value = objectives.spectral(z_x, z_y, mask, positives).item()
    assert value == pytest.approx(expected, abs=1e-12)


@each
def test_every_objective_takes_positives_or_says_that_it_does_not(objective):
    """On the diagonal they train and report as none do."""
    d_x = width_x(objective)
    plain, masked = make_codes(6, 8, d_x=d_x), make_codes(6, 8, d_x=d_x)
    masked.positives = torch.eye(6, 8, dtype=torch.bool)
    module = build(objective)
    try:
        module(masked).backward()
    except ValueError as error:
        assert re.search(f"{type(objective).__name__}.*mask of positives", str(error))
    else:
        module(plain).backward()
        torch.testing.assert_close(module(masked), module(plain), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(masked.z_x.grad, plain.z_x.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(module.report(masked), module.report(plain), rtol=1e-12, atol=1e-12)


# One formula beside another


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


def test_semi_hard_negatives_are_chosen_one_by_one():
    # Below the partner 1: 0.9 and -3, of which 0.9; none: the lowest, 2; no negative within reach.
    scores = torch.tensor([[1.0, 5.0, 0.9, -3.0], [4.0, 1.0, 3.0, 2.0], [-9.0, -8.0, 1.0, -7.0]])
    value = objectives.triplet(scores, margin=0.5)
    assert value.item() == pytest.approx(-(0.4 + 1.5 + 0.0) / 3)


def test_triplet_margin_is_that_of_squared_distances():
    """FaceNet: [d_p^2 - d_n^2 + 0.2]_+ with unit codes, where d^2 = 2 - 2 cos."""
    z_x, z_y = (nn.functional.normalize(draw(5, 3, seed=s).detach()) for s in (0, 1))
    squares = torch.cdist(z_x, z_y).square()
    loss = (squares.diagonal()[:, None] - squares + 0.2).relu().fill_diagonal_(0).sum(1) / 4
    codes = Codes(z_x, z_y, CRITICS["cosine"]().build(3, 3).double())
    # A score of cos / 0.1 has 5 times the range of a squared distance.
    torch.testing.assert_close(Triplet(mining="all").build(3, 3)(codes), -5 * loss.mean())


def test_plain_negatives_give_the_k_pair_loss():
    scores, mask = 2 * draw(6, 8), draw(6, 8, seed=3) > 0
    for plain in (
        partial(objectives.hard_negatives, beta=0.0, tau_plus=0.0),
        partial(objectives.debiased, tau_plus=0.0),
    ):
        torch.testing.assert_close(plain(scores, mask), objectives.k_pair(scores, mask))


def test_debiasing_removes_the_share_of_partners():
    """Of the negatives, one in four scores like the partner, the rest 0: the rest is found."""
    scores = torch.zeros(5, 5).double()
    for i in range(5):
        scores[i, i] = scores[i, (i + 1) % 5] = 2.0
    value = objectives.debiased(scores, tau_plus=0.25)
    assert value.item() == pytest.approx(2 - math.log(math.exp(2) + 4 * 1.0), abs=1e-12)


def test_where_the_estimate_is_cut_the_negatives_have_no_gradient():
    scores = (20 * torch.eye(4).double()).requires_grad_()
    value = objectives.debiased(scores, tau_plus=0.1, floor=-2.0)
    assert value.item() == pytest.approx(-math.log1p(3 * math.exp(-2.0 - 20)), rel=1e-6)
    value.backward()
    assert (scores.grad[~torch.eye(4).bool()] == 0).all() and torch.isfinite(scores.grad).all()


def test_hard_negatives_tend_to_the_hardest():
    scores = draw(5, 5).detach()
    value = objectives.hard_negatives(scores, beta=500.0, tau_plus=0.0)
    hardest = scores.clone().fill_diagonal_(-math.inf).amax(1)
    expected = -torch.log1p(4 * torch.exp(hardest - scores.diagonal())).mean()
    torch.testing.assert_close(value, expected)


def test_sigmoid_loss_is_that_of_the_paper():
    """With t = 10 and b = -10 on unit codes; the loss is a sum over pairs by the number of rows."""
    z_x, z_y = (nn.functional.normalize(draw(6, 3, seed=s).detach()) for s in (0, 1))
    signs = 2 * torch.eye(6) - 1
    loss = -nn.functional.logsigmoid(signs * (10 * z_x @ z_y.T - 10)).sum() / 6
    codes = Codes(z_x, z_y, CRITICS["cosine"]().build(3, 3).double())
    module = SigLIP(bias=math.log(5) - 10).build(3, 3).double()
    torch.testing.assert_close(module(codes), -loss)


@pytest.mark.parametrize("n", [2, 5, 200])
def test_sigmoid_loss_starts_at_the_prior_and_learns_its_bias(n):
    module = SigLIP().build(1, 1).double()
    module(of_scores(torch.zeros(n, n).double())).backward()
    # Independent views: no score is better than 0, and no bias better than the start.
    assert module.bias.grad.item() == pytest.approx(0.0, abs=1e-12)
    module(of_scores(torch.ones(n, n).double())).backward()
    assert module.bias.grad.item() < 0


# The penalty on slopes.


def rows_of_codes(n=5, m=5, seed=0):
    return draw(n, 3, seed=seed), draw(m, 3, seed=seed + 1)


def make_critic(name):
    """Return a critic, and scores of it that are steep."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        critic = CRITICS[name]().build(3, 3).double()
    return critic, lambda a, b: 8 * critic(a, b)


def naive_penalty(critic, z_x, z_y, mask):
    """Slopes by central differences, one pair at a time."""
    n, m = len(z_x), len(z_y)
    total = 0.0
    for i in range(n):
        ring = [(i + step) % m for step in range(1, m)]
        others = [j for j in ring if j != i and (mask is None or mask[i, j])]
        if not others:
            continue
        share = (i + 0.5) / n
        point = torch.cat([z_x[i], share * z_y[i] + (1 - share) * z_y[others[0]]]).detach()
        slope = []
        for k in range(6):
            step = torch.zeros(6).double()
            step[k] = 1e-5
            ends = [critic(q[None, :3], q[None, 3:]).item() for q in (point + step, point - step)]
            slope.append((ends[0] - ends[1]) / 2e-5)
        total += max(0.0, math.hypot(*slope) - 1) ** 2
    return total / n


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize(("m", "masked"), [(5, False), (7, True)])
def test_penalty_equals_finite_differences_pair_by_pair(name, m, masked):
    (z_x, z_y), (_, critic) = rows_of_codes(m=m), make_critic(name)
    mask = some_negatives(5, m) if masked else None
    value = objectives.gradient_penalty(critic, z_x, z_y, mask).item()
    assert value == pytest.approx(naive_penalty(critic, z_x, z_y, mask), rel=1e-6)
    assert value > 0


@pytest.mark.parametrize("name", CRITICS)
def test_penalty_can_be_trained_through_every_critic(name):
    module, critic = make_critic(name)
    z_x, z_y = rows_of_codes()
    assert torch.autograd.gradcheck(
        lambda a, b: objectives.gradient_penalty(critic, a, b), (z_x, z_y), rtol=1e-3
    )
    parameters = [p for p in module.parameters() if p.requires_grad]
    directions = [draw(*p.shape, seed=9).detach() for p in parameters]
    value = objectives.gradient_penalty(critic, z_x, z_y)
    # A bias of the last layer moves no slope.
    found = torch.autograd.grad(value, parameters, allow_unused=True) if parameters else ()
    analytic = sum(
        (g * d).sum().item() for g, d in zip(found, directions, strict=True) if g is not None
    )
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p.add_(d, alpha=sign * 1e-6)
            ends.append(objectives.gradient_penalty(critic, z_x, z_y).item())
            for p, d in zip(parameters, directions, strict=True):
                p.sub_(d, alpha=sign * 1e-6)
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(analytic, rel=1e-4, abs=1e-8)
    assert all(g is None or torch.isfinite(g).all() for g in found)


def test_penalty_of_a_bilinear_critic_in_closed_form():
    (z_x, z_y), weight = rows_of_codes(2, 2), draw(3, 3, seed=5)
    between = torch.stack([0.25 * z_y[0] + 0.75 * z_y[1], 0.75 * z_y[1] + 0.25 * z_y[0]])
    slopes = torch.cat([between @ weight.T, z_x @ weight], 1).norm(dim=1)
    value = objectives.gradient_penalty(lambda a, b: a @ weight @ b.T, z_x, z_y)
    torch.testing.assert_close(value, (slopes - 1).relu().square().mean())


def test_penalty_when_both_codes_are_one_tensor():
    z, (_, critic) = draw(5, 3), make_critic("bilinear")
    value = objectives.gradient_penalty(critic, z, z)
    assert value == objectives.gradient_penalty(critic, z.clone(), z.clone())


@pytest.mark.parametrize("name", CRITICS)
def test_penalty_of_equal_codes_has_a_finite_gradient(name):
    z, (_, critic) = torch.ones(4, 3).double().requires_grad_(), make_critic(name)
    objectives.gradient_penalty(critic, z, z).backward()
    assert torch.isfinite(z.grad).all()


def test_penalty_needs_no_gradient_around_it():
    (z_x, z_y), (module, critic) = rows_of_codes(), make_critic("bilinear")
    with torch.no_grad():
        value = objectives.gradient_penalty(critic, z_x, z_y)
    assert not value.requires_grad and all(p.grad is None for p in module.parameters())
    torch.testing.assert_close(value, objectives.gradient_penalty(critic, z_x, z_y).detach())


def test_penalty_passes_by_a_compiled_critic():
    (z_x, z_y), (module, _) = rows_of_codes(), make_critic("bilinear")
    value = objectives.gradient_penalty(module, 9 * z_x, z_y)
    # The backend that compiles nothing: it has no second derivative either.
    module.compile(backend="aot_eager")
    compiled = objectives.gradient_penalty(module, 9 * z_x, z_y)
    compiled.backward()
    assert torch.equal(compiled, value) and module.map.weight.grad.abs().sum() > 0


def test_wasserstein_is_infonce_less_the_penalty():
    (z_x, z_y), (_, critic) = rows_of_codes(), make_critic("concat")
    codes = Codes(z_x, z_y, critic)
    module = Wasserstein(penalty=3.0).build(3, 3)
    expected = bounds.infonce(codes.scores) - 3 * objectives.gradient_penalty(critic, z_x, z_y)
    torch.testing.assert_close(module(codes), expected)
    assert torch.equal(Wasserstein(penalty=0).build(3, 3)(codes), module.report(codes))


def test_wasserstein_flattens_the_critic():
    z_x, noise = (z.detach() for z in rows_of_codes(32, 32))
    z_y, (critic, _) = z_x + 0.2 * noise, make_critic("bilinear")
    steep = []
    for penalty in (0.0, 10.0):
        module, trained = Wasserstein(penalty).build(3, 3), copy.deepcopy(critic)
        optimizer = torch.optim.Adam(trained.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            (-module(Codes(z_x, z_y, trained))).backward()
            optimizer.step()
        steep.append(objectives.gradient_penalty(trained, z_x, z_y).item())
    assert steep[1] < 0.05 and steep[0] > 5


# Formulas of codes.


def pair_of_codes(n=7, m=7):
    return draw(n, D_Y), draw(n if m is None else m, D_Y, seed=1)


def as_numpy(*codes):
    return [z.detach().numpy() for z in codes]


@pytest.mark.parametrize("masked", [False, True])
def test_spectral_equals_naive_loop(masked):
    z_x, z_y = pair_of_codes(5, 8)
    mask, s = some_negatives(5, 8) if masked else None, (z_x @ z_y.T).detach()
    expected = naive(lambda p, others: 2 * p - sum(f * f for f in others) / len(others), s, mask)
    assert objectives.spectral(z_x, z_y, mask).item() == pytest.approx(expected, abs=1e-12)
    module, codes = build(Spectral()), make_codes(5, 8, mask, d_x=D_Y)
    assert module(codes) == objectives.spectral(codes.z_x, codes.z_y, mask)


def test_spectral_factorises_the_ratio():
    """Discrete views: the codes of the leading singular pairs attain the best value, sum s_k^2."""
    joint = torch.tensor([[6.0, 2.0, 1.0], [2.0, 6.0, 1.0], [1.0, 1.0, 4.0]]).double() / 24
    p_x, p_y = joint.sum(1), joint.sum(0)
    left, s, right = torch.linalg.svd(joint / (p_x[:, None] * p_y).sqrt())
    z_x = left * s.sqrt() / p_x.sqrt()[:, None]
    z_y = right.T * s.sqrt() / p_y.sqrt()[:, None]
    counts = (24 * joint).int()
    pairs = [(a, b) for a in range(3) for b in range(3) for _ in range(int(counts[a, b]))]
    x, y = torch.tensor(pairs).T
    # Ten copies of all outcomes; a cell off the diagonal is nearly a draw from the product.
    value = objectives.spectral(z_x[x].repeat(10, 1), z_y[y].repeat(10, 1)).item()
    assert value == pytest.approx(s.square().sum().item(), abs=0.02)


@pytest.mark.parametrize(("alpha", "t", "weight"), [(2.0, 2.0, 1.0), (1.0, 3.0, 0.4)])
def test_align_uniform_equals_the_diagnostics_and_scipy(alpha, t, weight):
    z_x, z_y = pair_of_codes()
    value = objectives.align_uniform(z_x, z_y, alpha, t, weight).item()
    a, b = as_numpy(z_x, z_y)
    units = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b)]
    potentials = [math.log(np.exp(-t * pdist(u) ** 2).mean()) for u in units]
    aligned = (np.linalg.norm(units[0] - units[1], axis=1) ** alpha).mean()
    assert value == pytest.approx(-aligned - weight * sum(potentials) / 2, abs=1e-12)
    spread = diagnostics.uniformity(a, t) + diagnostics.uniformity(b, t)
    assert value == pytest.approx(
        -diagnostics.alignment(a, b, alpha=alpha) - weight * spread / 2, abs=1e-9
    )


def test_align_uniform_of_equal_codes_has_a_finite_gradient():
    for alpha in (0.5, 1.0, 2.0):
        z = draw(4, 3)
        objectives.align_uniform(z, z, alpha).backward()
        assert torch.isfinite(z.grad).all()
    assert objectives.align_uniform(draw(1, 3), draw(1, 3)).item() == pytest.approx(0, abs=1e-6)


def test_barlow_twins_equals_naive_loop():
    z_x, z_y = pair_of_codes(7, 9)
    a, b = as_numpy(z_x, z_y[:7])
    loss = correlated = 0.0
    for k in range(D_Y):
        for l in range(D_Y):  # noqa: E741
            scale = math.sqrt((a[:, k].var() + 1e-5) * (b[:, l].var() + 1e-5))
            c = ((a[:, k] - a[:, k].mean()) * (b[:, l] - b[:, l].mean())).mean() / scale
            loss += (1 - c) ** 2 if k == l else 0.02 * c**2
            correlated += abs(c - np.corrcoef(a[:, k], b[:, l])[0, 1])
    value = objectives.barlow_twins(z_x, z_y, weight=0.02).item()
    assert value == pytest.approx(-loss, abs=1e-12)
    assert correlated < 1e-3


def test_vicreg_equals_numpy():
    z_x, z_y = pair_of_codes(7, 9)
    a, b = as_numpy(0.3 * z_x, z_y)
    loss = 3.0 * ((a - b[:7]) ** 2).mean()
    for z in (a, b):
        cov = np.cov(z.T)
        loss += 5.0 * np.maximum(0, 1 - np.sqrt(np.diag(cov) + 1e-4)).mean() / 2
        loss += 7.0 * (cov[~np.eye(D_Y, dtype=bool)] ** 2).sum() / D_Y
    value = objectives.vicreg(0.3 * z_x, z_y, 3.0, 5.0, 7.0).item()
    assert value == pytest.approx(-loss, abs=1e-12)


CODE_FORMULAS = {
    "spectral": objectives.spectral,
    "align": objectives.align_uniform,
    "align-1": partial(objectives.align_uniform, alpha=1.0),
    "barlow": objectives.barlow_twins,
    "vicreg": objectives.vicreg,
}


@pytest.mark.parametrize("name", CODE_FORMULAS)
def test_code_formula_gradient_equals_finite_differences(name):
    z_x, z_y = (z.detach().mul(0.5).requires_grad_() for z in pair_of_codes(5, 6))
    assert torch.autograd.gradcheck(CODE_FORMULAS[name], (z_x, z_y))


@pytest.mark.parametrize("name", CODE_FORMULAS)
def test_collapsed_and_large_codes_stay_finite(name):
    for make in (torch.zeros_like, torch.ones_like, lambda z: 1e3 * z):
        z_x, z_y = (make(z.detach().float()).requires_grad_() for z in pair_of_codes())
        value = CODE_FORMULAS[name](z_x, z_y)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(z_x.grad).all() and torch.isfinite(z_y.grad).all()


@pytest.mark.parametrize("name", CODE_FORMULAS)
def test_code_formula_checks_shapes(name):
    for shapes in ((3, 2), (3, 4)), ((4, 2), (3, 2)), ((3,), (3, 2)):
        with pytest.raises(ValueError, match="codes of shape"):
            CODE_FORMULAS[name](*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("name", ["barlow", "vicreg"])
def test_one_row_has_no_variance(name):
    with pytest.raises(ValueError, match="at least 2 rows"):
        CODE_FORMULAS[name](torch.zeros(1, 2), torch.zeros(1, 2))


@on_codes
@pytest.mark.parametrize("masked", [False, True])
def test_critic_learns_infonce_beside_the_codes_and_touches_nothing(objective, masked):
    mask = some_negatives(6, 6) if masked else None
    critic, module = Bilinear().build(D_Y, D_Y).double(), build(objective)
    with_critic, without = make_codes(negatives=mask, d_x=D_Y), make_codes(negatives=mask, d_x=D_Y)
    with_critic.critic = critic
    value, alone = module(with_critic), module(without)
    assert torch.equal(value, alone)
    value.backward()
    alone.backward()
    assert torch.equal(with_critic.z_x.grad, without.z_x.grad)
    assert torch.equal(with_critic.z_y.grad, without.z_y.grad)
    bound = bounds.infonce(critic(without.z_x.detach(), without.z_y.detach()), mask)
    assert torch.equal(critic.map.weight.grad, torch.autograd.grad(bound, critic.map.weight)[0])
    critic.requires_grad_(False)
    assert torch.equal(module(with_critic), alone)


@on_codes
def test_codes_of_different_widths_are_refused(objective):
    name = type(objective).__name__
    with pytest.raises(ValueError, match=f"d_x=3 and d_y=4; {name}.*same width"):
        objective.build(3, 4)


def test_these_compare_codes():
    assert {type(each) for each in ON_CODES.values()} >= {
        *(Spectral, AlignUniform, BarlowTwins, VICReg)
    }


# Through the learner.


@pytest.fixture(scope="module")
def X():
    source = np.random.default_rng(0).normal(size=(90, 2))
    return source @ np.random.default_rng(1).normal(size=(2, 6)) + 0.1


OTHERS = {
    "triplet": Triplet(margin=0.5, mining="hard"),
    "debiased": Debiased(tau_plus=0.3, floor=-4.0),
    "hard": HardNegatives(beta=0.2),
    "siglip": SigLIP(bias=-1.0),
    "wasserstein": Wasserstein(penalty=1.0),
    "align": AlignUniform(alpha=1.0),
    "barlow": BarlowTwins(weight=0.1),
    "vicreg": VICReg(1.0, 2.0, 3.0),
}


@pytest.mark.parametrize("objective", [*OBJECTIVES, *OTHERS.values()], ids=str)
def test_learner_trains_saves_and_loads(X, tmp_path, objective):
    critic = "split" if objective == "each-part" else "auto"
    learner = MIRepresentationLearner(
        critic=critic, objective=objective, max_steps=20, random_state=0
    ).fit(X)
    assert math.isfinite(learner.mi_.value) and math.isfinite(learner.mi_.objective.value)
    assert (learner.mi_.status, learner.mi_.objective.status) == ("lower", "lower")
    assert all(math.isfinite(value) for value in learner.bounds(X).values())
    learner.save(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file")
    assert repr(again) == repr(learner) and again.mi_ == learner.mi_
    assert np.array_equal(again.transform(X), learner.transform(X))
    assert again.bounds(X) == learner.bounds(X)


@on_codes
def test_learner_trains_the_critic_beside_an_objective_on_codes(X, objective):
    trained, fixed = (
        MIRepresentationLearner(
            3, objective=objective, critic=critic, view=Halves(), max_steps=100, random_state=0
        ).fit(X)
        for critic in ("separable", "cauchy")
    )
    assert np.array_equal(trained.transform(X), fixed.transform(X))
    assert trained.score(X) > fixed.score(X) + 0.5


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
        (Triplet(margin=-1), ValueError, "margin=-1; expected a positive number."),
        (Triplet(margin="1"), TypeError, "margin='1'"),
        (Triplet(mining="easy"), ValueError, r"mining='easy'; expected one of \['semi-hard'"),
        (Debiased(tau_plus=1), ValueError, "tau_plus=1; expected a number of at least 0 and below"),
        (Debiased(floor=-math.inf), ValueError, "floor=-inf; expected a finite number."),
        (HardNegatives(beta=-0.5), ValueError, "beta=-0.5; expected a number of at least 0."),
        (HardNegatives(tau_plus=-0.1), ValueError, "tau_plus=-0.1"),
        (SigLIP(bias=math.nan), ValueError, "bias=nan; expected a finite number."),
        (SigLIP(bias=True), TypeError, "bias=True"),
        (Wasserstein(penalty=-1), ValueError, "penalty=-1; expected a number of at least 0."),
        (AlignUniform(alpha=0), ValueError, "alpha=0; expected a positive number."),
        (AlignUniform(t=0), ValueError, "t=0; expected a positive number."),
        (AlignUniform(weight=-1), ValueError, "weight=-1"),
        (BarlowTwins(weight=-1), ValueError, "weight=-1"),
        (VICReg(invariance=-1), ValueError, "invariance=-1"),
        (VICReg(variance=-1), ValueError, "variance=-1"),
        (VICReg(covariance=None), TypeError, "covariance=None"),
    ],
)
def test_bad_parameters_are_named_when_built(objective, error, match):
    with pytest.raises(error, match=match):
        objective.build(width_x(objective), D_Y)


# The parts of a code


def split_codes(n=6, m=9, negatives=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = Split(("cauchy", "bilinear", Cosine(0.5))).build(8, 8).double()
    return Codes(draw(n, 8), draw(m, 8, seed=1), critic, negatives=negatives)


@pytest.mark.parametrize("name", ["infonce", "nwj", "js", "k-pair", "vicreg", "siglip"])
def test_each_part_is_the_mean_over_parts(name):
    mask = draw(6, 9, seed=3) > 0
    codes, module = split_codes(negatives=mask), EachPart(name).build(8, 8).double()
    inner = {**BOUNDS, **OBJECTIVES}[name]().build(8, 8).double()
    cauchy, bilinear, cosine = codes.critic.parts
    parts = [
        Codes(codes.z_x[:, a:b], codes.z_y[:, a:b], part, negatives=mask)
        for (a, b), part in zip([(0, 3), (3, 6), (6, 8)], (cauchy, bilinear, cosine), strict=True)
    ]
    for of, expected in ((module, inner), (module.report, inner.report)):
        assert torch.allclose(of(codes), torch.stack([expected(part) for part in parts]).mean())


def test_each_part_learns_alone():
    codes = split_codes()
    module = EachPart().build(8, 8)
    value = module(codes)
    value.backward()
    first = codes.z_x.grad[:, :3].clone()
    other = split_codes()
    other.z_x.data[:, 3:] = 0.0
    module(other).backward()
    assert torch.equal(other.z_x.grad[:, :3], first)


def test_each_part_says_what_it_needs():
    with pytest.raises(ValueError, match=r"take critic=Split"):
        EachPart().build(3, 3)(make_codes())
    with pytest.raises(ValueError, match="has a head"):
        EachPart("flo").build(4, 4)
    with pytest.raises(ValueError, match="infonce"):
        EachPart("infonse").build(4, 4)
    with pytest.raises(TypeError, match="objective=3; expected"):
        EachPart(3).build(4, 4)
    assert EachPart("nwj").ceiling(10) == math.inf and EachPart("k-pair").status == "lower"


def test_each_part_refuses_what_its_parts_would_share():
    for inner in ("mine", MINE(decay=0.5)):
        with pytest.raises(ValueError, match=r"MINE\(.*remembers batches.*'donsker-varadhan'"):
            EachPart(inner).build(4, 4)
    for inner in ("tuba", Interpolated(), Matched("flo", 1.0)):
        with pytest.raises(ValueError, match="has a head"):
            EachPart(inner).build(4, 4)
    # Held at a target, MINE is used without its moving average.
    codes = split_codes()
    module = EachPart(Matched("mine", 1.0)).build(8, 8).double()
    assert module(codes) == module(codes)


def test_names_and_objects_are_objectives():
    for name, make in {**BOUNDS, **OBJECTIVES}.items():
        assert type(as_objective(name)) is type(make()) and isinstance(make(), Objective)
    mine = SigLIP(bias=1.0)
    assert as_objective(mine) is mine
    with pytest.raises(ValueError, match="objective='infonse'.*Did you mean 'infonce'"):
        as_objective("infonse")
    with pytest.raises(TypeError, match=r"objective=3; expected one of \['align-uniform'"):
        as_objective(3)


def test_an_objective_of_ones_own_names_what_it_reports():
    class Halved(BoundModule):
        def forward(self, codes):
            return self.report(codes) / 2

        def report(self, codes):
            return bounds.nwj(codes.scores, codes.negatives, codes.positives)

    class Half(Objective):
        reported = NWJ()

        def build(self, d_x, d_y):
            return Halved()

    assert (Half().status, Half().ceiling(8)) == ("lower", math.inf)
    assert as_objective(Half()).build(D_X, D_Y)(make_codes()).item() == pytest.approx(
        bounds.nwj(make_codes().scores).item() / 2
    )
    with pytest.raises(TypeError, match="abstract.*reported"):
        type("Silent", (Objective,), {"build": Half.build})()


@pytest.mark.parametrize("inner", ["infonce", "decoupled-infonce", "barlow-twins"])
def test_parts_train_end_to_end_and_are_kept(inner, tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 5))
    critic = Split(("cauchy", Cosine(0.5), "bilinear"))
    learner = MIRepresentationLearner(
        7, critic=critic, objective=EachPart(inner), max_steps=5, random_state=0
    ).fit(X)
    assert math.isfinite(learner.mi_.value) and math.isfinite(learner.mi_.objective.value)
    learner.save(tmp_path / "file")
    assert np.array_equal(sklearn_mi.load(tmp_path / "file").transform(X), learner.transform(X))
