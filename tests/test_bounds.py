from __future__ import annotations

import copy
import math
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from sklearn.base import clone

from sklearn_mi import bounds
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS, FLO, MINE, SMILE, TUBA, Bound, Interpolated, MultiLabelCPC

D_X, D_Y = 3, 4
NAMES = sorted(BOUNDS)
IN_LOGARITHMS = [
    "infonce",
    "infonce-symmetric",
    "multi-label-cpc",
    "donsker-varadhan",
    "smile",
    "mine",
]
WITH_CEILING = ["infonce", "infonce-symmetric", "multi-label-cpc", "interpolated"]
WITH_HEAD = ["tuba", "interpolated", "flo"]


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def half_mask(n, m, seed=0):
    """Half of the cells; every row and every partner column keeps one off the diagonal."""
    keep = draw(n, m, seed=seed) > 0
    keep[torch.arange(n), (torch.arange(n) + 1) % n] = True
    return keep


def make_codes(n=6, m=6, seed=0, dtype=torch.float64, negatives=None):
    z_x = draw(n, D_X, seed=seed, dtype=dtype).requires_grad_()
    z_y = draw(m, D_Y, seed=seed + 1, dtype=dtype).requires_grad_()
    weight = draw(D_X, D_Y, seed=seed + 2, dtype=dtype)
    return Codes(z_x, z_y, lambda a, b: a @ weight @ b.T, negatives=negatives)


def build(bound, seed=0, dtype=torch.float64):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return bound.build(D_X, D_Y).to(dtype)


# Naive forms: one cell at a time, in the words of the definitions.


def is_negative(i, j, mask):
    return i != j and (mask is None or bool(mask[i, j]))


def cells(s, mask):
    n, m = s.shape
    return [(i, j) for i in range(n) for j in range(m) if is_negative(i, j, mask)]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def joint(s):
    return mean(float(s[i, i]) for i in range(len(s)))


def naive_terms(s, mask):
    terms = []
    for i in range(len(s)):
        row = [math.exp(s[i, j]) for j in range(s.shape[1]) if i == j or is_negative(i, j, mask)]
        terms.append(math.log(math.exp(s[i, i]) / (sum(row) / len(row))))
    return terms


def naive_infonce(s, mask):
    return mean(naive_terms(s, mask))


def naive_symmetric(s, mask):
    n = len(s)
    flipped = None if mask is None else mask[:, :n].T
    return (naive_infonce(s, mask) + naive_infonce(s[:, :n].T, flipped)) / 2


def naive_multi_label(s, mask, alpha=0.7):
    brackets = []
    for i in range(len(s)):
        row = [math.exp(s[i, j]) for j in range(s.shape[1]) if is_negative(i, j, mask)]
        weight = alpha / (len(row) + 1)
        brackets.append(weight * math.exp(s[i, i]) + (1 - weight) * mean(row))
    return joint(s) - math.log(mean(brackets))


def naive_log_partition(s, mask):
    return math.log(mean(math.exp(s[c]) for c in cells(s, mask)))


def naive_nwj(s, mask):
    return 1 + mean(float(s[i, i]) - 1 for i in range(len(s))) - naive_product(s, mask, 1.0)


def naive_product(s, mask, shift):
    return mean(math.exp(s[c] - shift) for c in cells(s, mask))


def naive_nwj_of_ratio(s, mask):
    return 1 + joint(s) - naive_product(s, mask, 0.0)


def naive_dv(s, mask):
    return joint(s) - naive_log_partition(s, mask)


def softplus(x):
    return math.log(1 + math.exp(x))


def naive_js(s, mask):
    partners = mean(-softplus(-s[i, i]) for i in range(len(s)))
    return partners - mean(softplus(s[c]) for c in cells(s, mask))


def naive_smile(s, mask, tau=0.7):
    low, high = math.exp(-tau), math.exp(tau)
    return joint(s) - math.log(mean(min(max(math.exp(s[c]), low), high) for c in cells(s, mask)))


def naive_tuba(s, mask, b):
    partners = mean(float(s[i, i] - b[i]) for i in range(len(s)))
    return 1 + partners - mean(math.exp(s[i, j]) / math.exp(b[j]) for i, j in cells(s, mask))


def naive_interpolated(s, mask, b, alpha=0.3):
    n, terms = len(s), []
    for j in range(n):
        rows = [i for i in range(n) if is_negative(i, j, mask)]

        def baseline(members, j=j):
            mixed = alpha * mean(math.exp(s[k, j]) for k in members)
            return mixed + (1 - alpha) * math.exp(b[j])

        log_a = mean(math.log(baseline([j, *(k for k in rows if k != out)])) for out in rows)
        product = mean(math.exp(s[k, j]) / baseline(rows) for k in rows)
        terms.append(1 + float(s[j, j]) - log_a - product)
    return mean(terms)


def naive_flo(s, mask, u):
    total = 0.0
    for i in range(len(s)):
        ratios = [math.exp(s[i, j] - s[i, i]) for j in range(s.shape[1]) if is_negative(i, j, mask)]
        total += float(u[i]) + math.exp(-u[i]) * mean(ratios)
    return 1 - total / len(s)


STATELESS = {
    "infonce": (bounds.infonce, naive_infonce),
    "symmetric": (bounds.symmetric_infonce, naive_symmetric),
    "multi_label": (partial(bounds.multi_label_cpc, alpha=0.7), naive_multi_label),
    "log_partition": (bounds.log_partition, naive_log_partition),
    "nwj": (bounds.nwj, naive_nwj),
    "nwj_of_ratio": (bounds.nwj_of_ratio, naive_nwj_of_ratio),
    "dv": (bounds.donsker_varadhan, naive_dv),
    "js": (bounds.jensen_shannon, naive_js),
    "smile": (partial(bounds.smile, tau=0.7), naive_smile),
}
WITH_NUMBERS = {
    "tuba": (bounds.tuba, naive_tuba),
    "interpolated": (partial(bounds.interpolated, alpha=0.3), naive_interpolated),
    "flo": (bounds.flo, naive_flo),
}
SHAPES = pytest.mark.parametrize("shape", [(5, 5), (5, 8), (2, 2)])
MASKED = pytest.mark.parametrize("masked", [False, True])


def numbers_for(name, shape):
    return draw(shape[0] if name == "flo" else shape[1], seed=9)


@SHAPES
@MASKED
@pytest.mark.parametrize("name", STATELESS)
def test_function_equals_naive_loop(name, shape, masked):
    function, naive = STATELESS[name]
    scores, mask = 2 * draw(*shape), half_mask(*shape) if masked else None
    assert function(scores, mask).item() == pytest.approx(naive(scores, mask), abs=1e-12)


@SHAPES
@MASKED
@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_function_with_learned_numbers_equals_naive_loop(name, shape, masked):
    function, naive = WITH_NUMBERS[name]
    scores, mask = 2 * draw(*shape), half_mask(*shape) if masked else None
    numbers = numbers_for(name, shape)
    value = function(scores, numbers, negatives=mask).item()
    assert value == pytest.approx(naive(scores, mask, numbers), abs=1e-12)


@MASKED
def test_infonce_terms_equal_naive_loop_and_average_to_infonce(masked):
    scores, mask = 2 * draw(5, 8), half_mask(5, 8) if masked else None
    terms = bounds.infonce_terms(scores, mask)
    torch.testing.assert_close(terms.tolist(), naive_terms(scores, mask))
    assert bounds.infonce(scores, mask).item() == pytest.approx(terms.mean().item(), abs=1e-14)


@MASKED
@pytest.mark.parametrize("name", STATELESS)
def test_gradient_equals_finite_differences(name, masked):
    scores, mask = draw(4, 6).requires_grad_(), half_mask(4, 6) if masked else None
    assert torch.autograd.gradcheck(lambda s: STATELESS[name][0](s, mask), scores)


@MASKED
@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_gradient_with_learned_numbers_equals_finite_differences(name, masked):
    function = WITH_NUMBERS[name][0]
    scores, mask = draw(4, 6).requires_grad_(), half_mask(4, 6) if masked else None
    numbers = numbers_for(name, (4, 6)).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, u: function(s, u, negatives=mask), (scores, numbers))


@pytest.mark.parametrize("name", [*STATELESS, *WITH_NUMBERS])
def test_a_partner_is_never_a_negative(name):
    scores, mask = draw(5, 7), half_mask(5, 7)
    with_partners, without = mask.clone(), mask.clone()
    with_partners.diagonal().fill_(True)
    without.diagonal().fill_(False)
    function = {**STATELESS, **WITH_NUMBERS}[name][0]
    numbers = (numbers_for(name, (5, 7)),) if name in WITH_NUMBERS else ()
    value = function(scores, *numbers, negatives=with_partners)
    assert value == function(scores, *numbers, negatives=without)


@pytest.mark.parametrize("name", [*STATELESS, *WITH_NUMBERS])
def test_mask_of_all_cells_equals_none(name):
    scores, mask = draw(5, 7), torch.ones(5, 7, dtype=torch.bool)
    function = {**STATELESS, **WITH_NUMBERS}[name][0]
    numbers = (numbers_for(name, (5, 7)),) if name in WITH_NUMBERS else ()
    torch.testing.assert_close(
        function(scores, *numbers, negatives=mask), function(scores, *numbers)
    )


# Relations between bounds.


def test_log_of_candidates_minus_infonce_is_the_k_pair_loss():
    scores = 3 * draw(16, 16)
    loss = mean(
        math.log(1 + sum(math.exp(scores[i, j] - scores[i, i]) for j in range(16) if j != i))
        for i in range(16)
    )
    assert math.log(16) - bounds.infonce(scores).item() == pytest.approx(loss, abs=1e-6)


def test_what_a_constant_for_each_row_changes():
    scores, shift, u = draw(6, 8), draw(6, 1, seed=1), draw(6, seed=2)
    moved = scores + shift
    torch.testing.assert_close(bounds.infonce_terms(moved), bounds.infonce_terms(scores))
    torch.testing.assert_close(bounds.flo(moved, u), bounds.flo(scores, u))
    assert abs(bounds.nwj(moved) - bounds.nwj(scores)) > 0.01
    assert abs(bounds.symmetric_infonce(moved) - bounds.symmetric_infonce(scores)) > 0.01


def test_donsker_varadhan_alone_ignores_a_constant_everywhere():
    scores = draw(6, 6)
    value = bounds.donsker_varadhan(scores)
    torch.testing.assert_close(bounds.donsker_varadhan(scores + 3), value)
    torch.testing.assert_close(bounds.nwj_of_ratio(scores - bounds.log_partition(scores)), value)
    assert bounds.nwj_of_ratio(scores) < value


@MASKED
def test_nwj_is_a_special_case_of_the_others(masked):
    scores, mask = draw(6, 6), half_mask(6, 6) if masked else None
    value = bounds.nwj(scores, mask)
    torch.testing.assert_close(bounds.nwj_of_ratio(scores - 1, mask), value)
    torch.testing.assert_close(bounds.tuba(scores, torch.ones(6).double(), mask), value)
    torch.testing.assert_close(TUBA()(scores, mask), value)
    if not masked:
        torch.testing.assert_close(FLO()(scores), value)
        torch.testing.assert_close(Interpolated(alpha=0.0)(scores), value)


def test_interpolated_at_its_ends():
    scores, b = 2 * draw(6, 6), draw(6, seed=1)
    tuba = bounds.tuba(scores, b)
    torch.testing.assert_close(bounds.interpolated(scores, b, 0.0), tuba)
    near = bounds.interpolated(scores, b, 1e-7)
    assert 0 < abs(near - tuba) < 1e-4
    # Left: the partner among the n - 1 rows that remain when another row is left out.
    left_out = mean(
        naive_infonce(scores[keep][:, keep].T[None, place, :].roll(-place, 1), None)
        for out in range(6)
        for keep in [[k for k in range(6) if k != out]]
        for place in range(5)
    )
    assert bounds.interpolated(scores, b, 1.0).item() == pytest.approx(left_out, abs=1e-12)


def test_interpolated_keeps_its_digits_where_one_row_outweighs_all_others():
    scores = draw(5, 5, dtype=torch.float32)
    scores[2, 0] = scores[0, 0] = 40.0
    scores[3, 1] = 60.0
    b = draw(5, seed=1)
    value = bounds.interpolated(scores, b.float(), 1.0).item()
    assert value == pytest.approx(naive_interpolated(scores.double(), None, b, 1.0), abs=1e-4)


def test_no_number_beats_the_best_u():
    scores = 2 * draw(8, 8)
    negatives_only = scores.clone().fill_diagonal_(-math.inf)
    best = (negatives_only.exp().sum(1) / 7).log() - scores.diagonal()
    value = bounds.flo(scores, best)
    torch.testing.assert_close(value, -best.mean())
    for seed in range(5):
        assert bounds.flo(scores, best + 0.3 * draw(8, seed=seed)) < value


@pytest.mark.parametrize("shape", [(6, 6), (6, 9)])
def test_multi_label_cpc_at_its_ends(shape):
    scores, mask = 2 * draw(*shape), half_mask(*shape)
    torch.testing.assert_close(
        bounds.multi_label_cpc(scores, alpha=0.0), bounds.donsker_varadhan(scores)
    )
    # The same sum over candidates: one logarithm of a mean over rows, or a mean of logarithms.
    for negatives in (None, mask):
        assert bounds.multi_label_cpc(scores, negatives) < bounds.infonce(scores, negatives)
    same_sums = 5 * torch.eye(6).double()
    torch.testing.assert_close(bounds.multi_label_cpc(same_sums), bounds.infonce(same_sums))


def test_shared_negatives_break_the_proof_of_multi_label_cpc_below_one():
    """X = Y uniform over M values, f = log M where they match: the value depends on the matches.

    As n and M grow with n^2 / (2 M) = rate, chance matches in a batch are Poisson, and each fills
    two cells; at the smallest alpha that is proven for own negatives, exp of the value is
    (n (n - 1) + 1) / (1 + 2 matches), of the mutual information M.
    """
    matches, rate = np.arange(200), 5
    mean_excess = math.log(2 * rate) - poisson.pmf(matches, rate) @ np.log1p(2 * matches)
    assert mean_excess == pytest.approx(0.0021, abs=5e-5)
    # The function on one such batch: rows 0 and 1 match.
    n = 5
    alpha = n / (n * (n - 1) + 1)
    scores = torch.full((n, n), -200.0).double().fill_diagonal_(0.0)
    scores[0, 1] = scores[1, 0] = 0.0
    value = bounds.multi_label_cpc(scores, alpha=alpha).item()
    assert value == pytest.approx(math.log((n * (n - 1) + 1) / (1 + 2)), abs=1e-12)
    assert (MultiLabelCPC().status, MultiLabelCPC(alpha=alpha).status) == ("lower", "neither")


def test_smile_without_clipping_is_donsker_varadhan():
    scores = draw(6, 6)
    torch.testing.assert_close(bounds.smile(scores, tau=math.inf), bounds.donsker_varadhan(scores))


# Closed forms: pairs of correlated Gaussians and the critic that is best for them.


def log_ratio(x, y, rho):
    """log p(x, y) / (p(x) p(y)) for every x and every y of shape (..., n, d), unit variances."""
    x, y = x.unsqueeze(-2), y.unsqueeze(-3)
    square = (rho**2 * (x**2 + y**2) - 2 * rho * x * y) / (2 * (1 - rho**2))
    return (-square - 0.5 * math.log(1 - rho**2)).sum(-1)


def gaussian_blocks(n_blocks, n, d, rho, seed=0):
    x, noise = draw(2, n_blocks, n, d, seed=seed)
    return log_ratio(x, rho * x + math.sqrt(1 - rho**2) * noise, rho)


def at_optimum(b, c):
    """Every bound with its best critic, given the log ratio; b (n,) and c (n,) are arbitrary."""
    ones = torch.ones_like(b)
    return {
        "infonce": lambda f: bounds.infonce(f + c[:, None]),
        "symmetric": bounds.symmetric_infonce,
        "multi_label": lambda f: bounds.multi_label_cpc(f + 2, alpha=0.5),
        "nwj": lambda f: bounds.nwj(f + 1),
        "nwj_of_ratio": bounds.nwj_of_ratio,
        "dv": lambda f: bounds.donsker_varadhan(f + 2),
        "smile": partial(bounds.smile, tau=20.0),
        "tuba": lambda f: bounds.tuba(f + b, b),
        "interpolated": lambda f: bounds.interpolated(f, 0 * ones, 0.3),
        "flo": lambda f: bounds.flo(f + c[:, None], -f.diagonal()),
    }


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_best_critic_attains_the_gaussian_mutual_information(d):
    rho, n, n_blocks = 0.6, 256, 24
    true_mi = -0.5 * d * math.log(1 - rho**2)
    # Mean of the ratio over pairs is (1 - rho^2)^-d; sums of n have a bias of half its excess / n.
    bias = ((1 - rho**2) ** -d - 1) / (2 * n)
    blocks = gaussian_blocks(n_blocks, n, d, rho, seed=d)
    for name, bound in at_optimum(draw(n, seed=1), draw(n, seed=2)).items():
        values = torch.vmap(bound)(blocks)
        stderr = (values.std() / math.sqrt(n_blocks)).item()
        assert stderr < 0.04 * math.sqrt(d), name
        assert abs(values.mean().item() - true_mi) < 4 * stderr + 1.5 * bias, name


@pytest.mark.parametrize(
    "name", ["infonce", "symmetric", "multi_label", "nwj", "nwj_of_ratio", "tuba", "flo"]
)
@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_another_critic_stays_below(name, factor):
    blocks = gaussian_blocks(40, 128, 2, 0.6)
    bound = at_optimum(draw(128, seed=1), draw(128, seed=2))[name]
    best, other = torch.vmap(bound)(blocks), torch.vmap(bound)(factor * blocks)
    assert (best - other).mean() > 3 * (best - other).std() / math.sqrt(40)


def test_half_of_the_negatives_give_the_same_value():
    rho, n, n_blocks = 0.8, 128, 60
    true_mi = -0.5 * math.log(1 - rho**2)
    blocks = gaussian_blocks(n_blocks, n, 1, rho)
    masks = [half_mask(n, n, seed=seed) for seed in range(n_blocks)]
    whole = torch.vmap(bounds.infonce)(blocks)
    half = torch.stack([bounds.infonce(s, k) for s, k in zip(blocks, masks, strict=True)])
    assert abs(half.mean() - true_mi) < 4 * half.std() / math.sqrt(n_blocks) + 2.8 / n
    # The same rows under log K instead of log K_i would be log 2 higher.
    assert abs((half - whole).mean()) < 0.02


@pytest.mark.parametrize(
    ("iid", "infonce", "nwj"), [(True, 0.0197, 0.0198), (False, 0.0808, 0.0684)]
)
def test_dependent_batches_break_the_bounds(iid, infonce, nwj):
    """A shared draw inside each batch; the critic knows the marginal of one pair exactly."""
    shared = torch.linalg.cholesky(torch.tensor([[1.0, -0.5], [-0.5, 1.0]]).double())
    own = torch.linalg.cholesky(torch.tensor([[1.0, 0.9], [0.9, 1.0]]).double())
    values = []
    for seed in range(10):
        z = draw(150, 128 if iid else 1, 2, seed=2 * seed) @ shared.T
        pairs = (z + draw(150, 128, 2, seed=2 * seed + 1) @ own.T) / math.sqrt(2)
        scores = log_ratio(pairs[..., :1], pairs[..., 1:], 0.4 / 2)
        infonces = torch.vmap(bounds.infonce)(scores)
        values.append(torch.stack([infonces, torch.vmap(bounds.nwj)(scores + 1)]))
    values = torch.cat(values, 1)
    stderr = values.std(1) / math.sqrt(values.shape[1])
    known = torch.tensor([[infonce, 0.0002], [nwj, 0.0006]]).double()
    assert (stderr < 0.003).all()
    assert ((values.mean(1) - known[:, 0]).abs() < 4 * (stderr**2 + known[:, 1] ** 2).sqrt()).all()
    truth = -0.5 * math.log(1 - 0.2**2)
    if not iid:
        assert (values.mean(1) > truth + 15 * stderr).all()


# Extreme scores.


@pytest.mark.parametrize("name", IN_LOGARITHMS + ["js", "interpolated"])
def test_extreme_scores_stay_finite(name):
    scores = (1e3 * draw(8, 8, dtype=torch.float32)).requires_grad_()
    bound = BOUNDS[name]()
    trained = build(bound, dtype=torch.float32)(
        Codes(draw(8, D_X).float(), draw(8, D_Y).float(), lambda a, b: scores)
    )
    trained.backward()
    assert torch.isfinite(trained)
    assert torch.isfinite(scores.grad).all()
    if name != "js":
        assert torch.isfinite(bound(scores))


def test_exponentials_leave_in_double_precision():
    scores = torch.full((3, 3), 200.0)
    assert bounds.nwj(scores).item() == pytest.approx(200 - math.exp(199))
    assert bounds.nwj_of_ratio(scores).item() == pytest.approx(201 - math.exp(200))
    assert bounds.tuba(10 * scores, 10 * scores[0]).item() == 0.0
    assert bounds.flo(10 * scores, -scores[0]).item() == pytest.approx(201 - math.exp(200))


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_summed_in_single(name):
    scores = draw(64, 64).half()
    value = BOUNDS[name]()(scores)
    assert value.dtype in (torch.float32, torch.float64)
    expected = BOUNDS[name]()(scores.double())
    torch.testing.assert_close(value.double(), expected, rtol=1e-3, atol=2e-4)


# The family.


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "m", "masked"), [(6, 6, False), (6, 9, False), (6, 9, True)])
def test_built_bound_trains_and_reports(name, n, m, masked):
    module = build(BOUNDS[name]())
    codes = make_codes(n, m, negatives=half_mask(n, m) if masked else None)
    objective = module(codes)
    assert objective.shape == ()
    objective.backward()
    for part in (codes.z_x, codes.z_y, *module.parameters()):
        assert torch.isfinite(part.grad).all()
        assert part.grad.abs().sum() > 0
    assert len(list(module.parameters())) == (4 if name in WITH_HEAD else 0)
    with torch.no_grad():
        value = module.report(codes)
    assert value.shape == ()
    assert torch.isfinite(value)
    if name not in WITH_HEAD:
        torch.testing.assert_close(value, BOUNDS[name]()(codes.scores, codes.negatives))


@pytest.mark.parametrize("name", NAMES)
def test_reporting_changes_nothing(name):
    module = build(BOUNDS[name]())
    module(make_codes(seed=3))
    before = copy.deepcopy(module.state_dict())
    first = module.report(make_codes(seed=5))
    module.eval()
    module(make_codes(seed=4))
    assert module.report(make_codes(seed=5)) == first
    torch.testing.assert_close(dict(module.state_dict()), dict(before), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_description_is_plain(name):
    bound = BOUNDS[name]()
    assert bound.status in ("lower", "upper", "neither")
    assert repr(bound) == f"{type(bound).__name__}()"
    assert clone(bound).get_params() == bound.get_params()
    assert pickle.loads(pickle.dumps(bound)).get_params() == bound.get_params()
    module = build(bound)
    codes = make_codes()
    module(codes)
    again = pickle.loads(pickle.dumps(module))
    assert again.report(codes) == module.report(codes)
    assert copy.deepcopy(module).report(codes) == module.report(codes)


@pytest.mark.parametrize("name", NAMES)
def test_status(name):
    neither = {"donsker-varadhan", "mine", "smile"}
    assert BOUNDS[name]().status == ("neither" if name in neither else "lower")


@pytest.mark.parametrize("name", ["js", "smile"])
def test_logistic_training(name):
    codes = make_codes()
    objective = build(BOUNDS[name]())(codes)
    assert objective.item() == pytest.approx(naive_js(codes.scores.detach(), None), abs=1e-12)


@pytest.mark.parametrize("name", ["tuba", "interpolated", "flo"])
def test_head_is_what_the_function_is_given(name):
    module, codes = build(BOUNDS[name]()), make_codes(6, 9)
    z_y = codes.z_y if name != "flo" else torch.cat([codes.z_x, codes.z_y[:6]], 1)
    first, _, last, _ = module.head
    numbers = (torch.relu(z_y @ first.weight.T + first.bias) @ last.weight.T + last.bias)[:, 0]
    naive = {
        "tuba": naive_tuba,
        "interpolated": partial(naive_interpolated, alpha=0.01),
        "flo": naive_flo,
    }[name]
    expected = naive(codes.scores.detach(), None, numbers.detach())
    assert module.report(codes).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", WITH_HEAD)
def test_head_learns(name):
    """The critic is the log ratio plus a constant that only the head can take away."""
    rho = 0.6
    x, noise = draw(2, 128, 1)
    y = rho * x + math.sqrt(1 - rho**2) * noise
    codes = Codes(x, y, lambda a, b: log_ratio(a, b, rho) + 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = BOUNDS[name]().build(1, 1).double()
    before = module.report(codes).item()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    for _ in range(80):
        optimiser.zero_grad()
        (-module(codes)).backward()
        optimiser.step()
    after = module.report(codes).item()
    true_mi = -0.5 * math.log(1 - rho**2)
    assert abs(after - true_mi) < 0.12
    assert abs(after - true_mi) < abs(before - true_mi)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 7)])
def test_widths_of_a_head(hidden):
    for bound, n_inputs in ((TUBA(hidden), D_Y), (FLO(hidden), D_X + D_Y)):
        widths = [p.shape for p in build(bound).parameters() if p.ndim == 2]
        sizes = [n_inputs, *hidden, 1]
        assert widths == [(b, a) for a, b in zip(sizes, sizes[1:], strict=False)]


@pytest.mark.parametrize("name", WITH_CEILING)
@pytest.mark.parametrize("n", [2, 7])
def test_ceiling_holds_and_is_reached(name, n):
    bound = BOUNDS[name]()
    ceiling = bound.ceiling(n)
    for seed in range(20):
        scores = 10 * draw(n, n, seed=seed) + (seed % 4) * 5 * torch.eye(n)
        assert bound(scores) <= ceiling + 1e-12
    perfect = 200 * torch.eye(n).double() - 100
    assert bound(perfect).item() == pytest.approx(ceiling, abs=1e-9)


def test_ceilings_are_known_numbers():
    assert BOUNDS["infonce"]().ceiling(128) == pytest.approx(4.852, abs=1e-3)
    assert Interpolated(alpha=1.0).ceiling(128) == pytest.approx(math.log(127))
    assert Interpolated(alpha=0.0).ceiling(128) == math.inf
    assert MultiLabelCPC(alpha=0.5).ceiling(128) == pytest.approx(math.log(256))
    assert MultiLabelCPC(alpha=0.0).ceiling(128) == math.inf
    for name in set(NAMES) - set(WITH_CEILING):
        assert BOUNDS[name]().ceiling(128) == math.inf


@pytest.mark.parametrize("n", [2, 5])
def test_ceiling_of_interpolated_at_one(n):
    scores = 100 * torch.eye(n).double()
    value = Interpolated(alpha=1.0)(scores).item()
    assert value == pytest.approx(math.log(n - 1), abs=1e-9)


def test_a_mask_lowers_the_ceiling_of_its_row():
    scores = 100 * torch.eye(3).double()
    mask = torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    expected = torch.tensor([3.0, 2.0, 1.0]).double().log()
    torch.testing.assert_close(bounds.infonce_terms(scores, mask), expected)


def test_changing_a_description_leaves_what_it_built_alone():
    bound = SMILE(tau=0.5)
    module, codes = build(bound), make_codes()
    before = module.report(codes)
    bound.set_params(tau=0.1)
    assert module.report(codes) == before
    assert bound(codes.scores) != before


def test_own_bound_in_a_few_lines():
    class Doubled(Bound):
        status = "neither"

        def __call__(self, scores, negatives=None):
            return 2 * bounds.infonce(scores, negatives)

        def ceiling(self, n):
            return 2 * math.log(n)

    module, codes = build(clone(Doubled())), make_codes()
    assert module(codes).item() == pytest.approx(2 * naive_infonce(codes.scores.detach(), None))
    assert module.report(codes) == module(codes)
    with pytest.raises(TypeError, match="abstract"):
        Bound()


# The moving average of MINE.


def step(module, codes):
    codes.scores.retain_grad()
    value = module(codes)
    value.backward()
    return value.detach(), codes.scores.grad


def test_moving_average_of_a_constant_batch_is_that_batch_at_every_step():
    module = build(MINE(decay=0.9))
    for _ in range(30):
        codes, same = make_codes(), make_codes()
        value, gradient = step(module, codes)
        same.scores.retain_grad()
        plain = bounds.donsker_varadhan(same.scores)
        plain.backward()
        correction = torch.exp(bounds.log_partition(same.scores) - module.log_average).item()
        assert correction == pytest.approx(1.0, abs=1e-12)
        torch.testing.assert_close(value, plain.detach(), rtol=0, atol=0)
        torch.testing.assert_close(gradient, same.scores.grad)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_moving_average_and_gradient_equal_naive_loop(decay):
    module, average = build(MINE(decay)), 0.0
    for t in range(1, 8):
        codes = make_codes(5, 5, seed=7 * t)
        value, gradient = step(module, codes)
        s = codes.scores.detach()
        average = decay * average + (1 - decay) * mean(math.exp(s[c]) for c in cells(s, None))
        unbiased = average / (1 - decay**t)
        assert module.log_average.item() == pytest.approx(math.log(unbiased), abs=1e-12)
        expected = torch.diag(torch.full((5,), 1 / 5)).double()
        for c in cells(s, None):
            expected[c] = -math.exp(s[c]) / 20 / unbiased
        torch.testing.assert_close(gradient, expected)
        assert value.item() == pytest.approx(naive_dv(s, None), abs=1e-12)


def test_moving_average_survives_partitions_that_no_float_holds():
    module = build(MINE(decay=0.5), dtype=torch.float32)
    for level in (1000.0, 1001.0):
        module(Codes(torch.ones(3, 1), torch.ones(3, 1), lambda a, b, s=level: a @ b.T * s))
    # Weights 1/3 and 2/3, after (0.5, 1) is divided by its sum.
    expected = 1000 + math.log(1 / 3 + 2 / 3 * math.e)
    assert module.log_average.item() == pytest.approx(expected, abs=1e-3)


# Bad input.


@pytest.mark.parametrize("name", [*STATELESS, *WITH_NUMBERS])
def test_one_pair(name):
    scores, one = torch.full((1, 1), 3.0), torch.zeros(1)
    if name in ("infonce", "symmetric"):
        assert STATELESS[name][0](scores).item() == 0.0
        return
    function = {**STATELESS, **WITH_NUMBERS}[name][0]
    with pytest.raises(ValueError, match="hold no negatives; pass at least 2 pairs"):
        function(scores, one) if name in WITH_NUMBERS else function(scores)


@pytest.mark.parametrize("name", [*STATELESS, *WITH_NUMBERS])
def test_mask_without_negatives(name):
    scores, mask, numbers = draw(3, 3), torch.eye(3, dtype=torch.bool), torch.zeros(3)
    if name in ("infonce", "symmetric"):
        assert STATELESS[name][0](scores, mask).item() == 0.0
        return
    function = {**STATELESS, **WITH_NUMBERS}[name][0]
    with pytest.raises(ValueError, match="no negatives"):
        function(scores, *([numbers] if name in WITH_NUMBERS else []), negatives=mask)


@pytest.mark.parametrize(
    ("scores", "negatives", "error", "message"),
    [
        (torch.zeros(3), None, ValueError, r"scores of shape \(3,\)"),
        (torch.zeros(4, 3), None, ValueError, r"\(4, 3\); expected \(n, m\) with 1 <= n <= m"),
        (torch.zeros(0, 0), None, ValueError, r"\(0, 0\)"),
        (torch.zeros(3, 3), torch.ones(3, 3), TypeError, "float32; expected torch.bool"),
        (torch.zeros(3, 3), torch.ones(3, 4).bool(), ValueError, r"negatives of shape \(3, 4\)"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes(name, scores, negatives, error, message):
    with pytest.raises(error, match=message):
        BOUNDS[name]()(scores, negatives)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: bounds.smile(s, tau=0.0), "tau=0.0; expected a positive number"),
        (lambda s: bounds.smile(s, tau=math.nan), "tau=nan"),
        (lambda s: bounds.interpolated(s, s[0], 1.5), "alpha=1.5; expected a number from 0 to 1"),
        (lambda s: MultiLabelCPC(alpha=-1)(s), "alpha=-1; expected a number from 0 to 1"),
        (lambda s: bounds.interpolated(s, s[0, :2], 0.5), r"log_baseline of shape \(2,\)"),
        (lambda s: bounds.tuba(s, s), r"log_baseline of shape \(3, 3\); expected \(3,\)"),
        (lambda s: bounds.flo(s, s[:, :1]), r"u of shape \(3, 1\); expected \(3,\)"),
        (lambda s: MINE(decay=1.0).build(1, 1), "decay=1.0; expected at least 0 and below 1"),
        (lambda s: TUBA(hidden=(0,)).build(1, 1), r"hidden=\(0,\); expected positive integers"),
        (lambda s: BOUNDS["infonce"]().ceiling(0), "n=0; expected at least 1"),
        (lambda s: Interpolated().ceiling(1), "n=1; expected at least 2"),
    ],
)
def test_wrong_values(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(3, 3))


def test_row_or_column_without_negatives_is_named():
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[1] = False
    with pytest.raises(ValueError, match="1 of 4 rows have no negatives"):
        bounds.flo(torch.zeros(4, 4), torch.zeros(4), mask)
    with pytest.raises(ValueError, match="1 of 4 columns have no negatives"):
        bounds.interpolated(torch.zeros(4, 4), torch.zeros(4), 0.5, mask.T)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_made_on_another_device(name):
    with torch.device("meta"):
        module = BOUNDS[name]().build(D_X, D_Y)
    z_x, z_y = torch.empty(4, D_X, device="meta"), torch.empty(6, D_Y, device="meta")
    codes = Codes(z_x, z_y, lambda a, b: a @ b.T[:D_X])
    assert module(codes).device.type == "meta"
    assert module.report(codes).device.type == "meta"


@pytest.mark.gpu
@MASKED
@pytest.mark.parametrize("name", NAMES)
def test_gpu_equals_cpu(name, masked):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    module, codes = build(BOUNDS[name]()), make_codes(6, 9)
    negatives = half_mask(6, 9) if masked else None
    values = []
    for device in ("cpu", "cuda"):
        there = copy.deepcopy(module).to(device)
        mask = None if negatives is None else negatives.to(device)
        scores = codes.scores.detach().to(device)
        z_x, z_y = codes.z_x.detach().to(device), codes.z_y.detach().to(device)
        moved = Codes(z_x, z_y, lambda a, b, s=scores: s, negatives=mask)
        values.append(torch.stack([there(moved), there.report(moved)]).cpu())
    torch.testing.assert_close(*values)
