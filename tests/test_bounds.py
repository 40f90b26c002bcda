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
from sklearn_mi._base import Codes, Objective
from sklearn_mi.bounds import (
    BOUNDS,
    FLO,
    MINE,
    SMILE,
    TUBA,
    Bound,
    InfoNCE,
    InfoNCEAnchor,
    Interpolated,
    MultiLabelCPC,
    infonce,
)
from sklearn_mi.cells import _share_at_positives, _share_of_all_cells
from sklearn_mi.critics import as_critic

D_X, D_Y = 3, 4
NAMES = sorted(BOUNDS)
IN_LOGARITHMS = [
    "infonce",
    "infonce-symmetric",
    "infonce-anchor",
    "multi-label-cpc",
    "donsker-varadhan",
    "smile",
    "mine",
]
WITH_CEILING = [name for name in NAMES if math.isfinite(BOUNDS[name]().ceiling(128))]
WITH_HEAD = ["infonce-anchor", "tuba", "interpolated", "flo"]


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


def naive_anchor_term(f, others, nu):
    """The log-likelihood of the class of a partner, and of the anchor, by K candidates each."""
    k = len(others)
    prior = math.log(k + nu)
    partner = mean(
        f - math.log(nu + math.exp(f) + sum(math.exp(g) for g in others[:j] + others[j + 1 :]))
        for j in range(k)
    )
    anchor = math.log(nu) - math.log(nu + sum(math.exp(g) for g in others))
    return partner + prior + nu / k * (anchor + prior - math.log(nu))


def naive_anchor(s, mask, nu=0.7):
    n, m = s.shape
    rows = [[float(s[i, j]) for j in range(m) if is_negative(i, j, mask)] for i in range(n)]
    return mean(naive_anchor_term(float(s[i, i]), rows[i], nu) for i in range(n))


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
    "anchor": (partial(bounds.infonce_anchor, nu=0.7), naive_anchor),
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


# Several positives a row, or none: one positive cell at a time, its candidates the row's negatives.


def some_positives(n, m):
    """Two positives a row, some in one column; row 1 has none where there are more than two."""
    mask = torch.zeros(n, m, dtype=torch.bool)
    for i in range(n):
        mask[i, [i % m, (2 * i + 1) % m]] = i != 1 or n == 2
    return mask


def some_negatives(n, m):
    """Half of the cells; every row and column keeps one that is no positive."""
    keep = draw(n, m, seed=5) > 0
    keep[torch.arange(max(n, m)) % n, (torch.arange(max(n, m)) + 3) % m] = True
    return keep


class Naive:
    def __init__(self, s, mask, positives):
        self.s, self.shape = s, s.shape
        self.positives = positives
        self.is_negative = ~positives if mask is None else ~positives & mask
        self.rows = [i for i in range(len(s)) if positives[i].any()]

    def of(self, i):
        return self.positives[i].nonzero().flatten().tolist()

    def others(self, i):
        return self.is_negative[i].nonzero().flatten().tolist()

    def mean(self, term):
        return mean(mean(term(i, p) for p in self.of(i)) for i in self.rows)

    def joint(self):
        return self.mean(lambda i, p: float(self.s[i, p]))

    def product(self, value):
        return mean(value(float(self.s[i, j])) for i in self.rows for j in self.others(i))

    def infonce(self):
        def term(i, p):
            row = [math.exp(self.s[i, j]) for j in [p, *self.others(i)]]
            return math.log(math.exp(self.s[i, p]) / mean(row))

        return self.mean(term)

    def multi_label(self, alpha=0.7):
        def bracket(i, p):
            share = alpha / (len(self.others(i)) + 1)
            others = mean(math.exp(self.s[i, j]) for j in self.others(i))
            return share * math.exp(self.s[i, p]) + (1 - share) * others

        return self.joint() - math.log(self.mean(bracket))

    def anchor(self, nu=0.7):
        def term(i, p):
            others = [float(self.s[i, j]) for j in self.others(i)]
            return naive_anchor_term(float(self.s[i, p]), others, nu)

        return self.mean(term)

    def js(self):
        accepted = self.mean(lambda i, p: -softplus(-self.s[i, p]))
        return accepted - self.product(softplus)

    def smile(self, tau=0.7):
        return self.joint() - math.log(self.product(lambda f: math.exp(min(max(f, -tau), tau))))

    def tuba(self, b):
        return Naive.nwj_of_ratio(self.shifted(-b))

    def shifted(self, numbers):
        moved = copy.copy(self)
        moved.s = self.s + numbers
        return moved

    def nwj_of_ratio(self):
        return 1 + self.joint() - self.product(math.exp)

    def interpolated(self, b, alpha=0.3):
        def term(i, j):
            rows = [k for k in range(self.shape[0]) if self.is_negative[k, j]]

            def baseline(members):
                mixed = alpha * mean(math.exp(self.s[k, j]) for k in members)
                return mixed + (1 - alpha) * math.exp(b[j])

            log_a = mean(math.log(baseline([i, *(k for k in rows if k != out)])) for out in rows)
            product = mean(math.exp(self.s[k, j]) / baseline(rows) for k in rows)
            return 1 + float(self.s[i, j]) - log_a - product

        return self.mean(term)

    def flo(self, u):
        numbers = torch.zeros(self.shape).double().masked_scatter(self.positives, u)

        def term(i, p):
            ratio = mean(math.exp(self.s[i, j] - self.s[i, p]) for j in self.others(i))
            return 1 - float(numbers[i, p]) - math.exp(-numbers[i, p]) * ratio

        return self.mean(term)


MANY = {
    "infonce": Naive.infonce,
    "symmetric": lambda one: (one.infonce() + turned(one).infonce()) / 2,
    "multi_label": Naive.multi_label,
    "anchor": Naive.anchor,
    "log_partition": lambda one: math.log(one.product(math.exp)),
    "nwj": lambda one: one.joint() - one.product(lambda f: math.exp(f - 1)),
    "nwj_of_ratio": Naive.nwj_of_ratio,
    "dv": lambda one: one.joint() - math.log(one.product(math.exp)),
    "js": Naive.js,
    "smile": Naive.smile,
    "tuba": Naive.tuba,
    "interpolated": Naive.interpolated,
    "flo": Naive.flo,
}
each_function = pytest.mark.parametrize("name", [*STATELESS, *WITH_NUMBERS])


def turned(one):
    return Naive(one.s.T, one.is_negative.T, one.positives.T)


def function_and_numbers(name, m, positives):
    """Return the function with what it learns, and these numbers."""
    function = {**STATELESS, **WITH_NUMBERS}[name][0]
    if name not in WITH_NUMBERS:
        return function, ()
    return function, (draw(int(positives.sum()) if name == "flo" else m, seed=9),)


@each_function
@MASKED
@pytest.mark.parametrize("shape", [(5, 8), (5, 5), (8, 6)])
def test_several_positives_equal_naive_loop(name, shape, masked):
    scores, positives = 2 * draw(*shape), some_positives(*shape)
    mask = some_negatives(*shape) if masked else None
    function, numbers = function_and_numbers(name, shape[1], positives)
    value = function(scores, *numbers, negatives=mask, positives=positives).item()
    expected = MANY[name](Naive(scores, mask, positives), *numbers)
    assert value == pytest.approx(expected, abs=1e-12)


@each_function
@MASKED
@pytest.mark.parametrize("shape", [(5, 5), (5, 8)])
def test_positives_on_the_diagonal_equal_none(name, shape, masked):
    scores, mask = 2 * draw(*shape), half_mask(*shape) if masked else None
    diagonal = torch.eye(*shape, dtype=torch.bool)
    function, numbers = function_and_numbers(name, shape[1], diagonal)
    value = function(scores, *numbers, negatives=mask, positives=diagonal)
    expected = function(scores, *numbers, negatives=mask)
    assert value.item() == pytest.approx(expected.item(), abs=1e-12)


@each_function
def test_gradient_with_several_positives_equals_finite_differences(name):
    positives = some_positives(5, 6)
    function, numbers = function_and_numbers(name, 6, positives)
    assert torch.autograd.gradcheck(
        lambda s: function(s, *numbers, negatives=some_negatives(5, 6), positives=positives),
        draw(5, 6).requires_grad_(),
    )


def test_shares_of_positives_are_equal_by_all_cells_and_by_theirs():
    """A GPU takes the first way, a CPU the second."""
    positives, found = some_positives(6, 9), []
    positives[2] = False
    for share in (_share_of_all_cells, _share_at_positives):
        scores, sums = draw(6, 9).requires_grad_(), draw(6, seed=1)
        sums[3] = -torch.inf
        value = share(scores, sums, positives)
        value.sum().backward()
        found.append([value.detach(), scores.grad])
    torch.testing.assert_close(*found)


def test_rows_that_lack_positives_or_negatives_get_no_gradient():
    scores = draw(4, 5).requires_grad_()
    positives = torch.zeros(4, 5, dtype=torch.bool)
    positives[0, :2], positives[1] = True, True
    terms = bounds.infonce_terms(scores, None, positives)
    assert terms[1:].tolist() == [0.0, 0.0, 0.0]
    bounds.infonce(scores, None, positives).backward()
    assert (scores.grad[1:] == 0).all() and scores.grad[0].abs().sum() > 0
    # Row 1 counts, as a row without negatives does; rows 2 and 3 do not.
    assert bounds.infonce(scores, None, positives).item() == pytest.approx(terms[0].item() / 2)


@pytest.mark.parametrize("name", NAMES)
def test_built_bound_takes_positives(name):
    """Positives on the diagonal train as none do, gradients of codes and head alike."""
    found = []
    for positives in (None, torch.eye(6, 9, dtype=torch.bool)):
        module, codes = build(BOUNDS[name]()), make_codes(6, 9)
        codes.positives = positives
        value = module(codes)
        value.backward()
        gradients = [codes.z_x.grad, codes.z_y.grad, *(p.grad for p in module.parameters())]
        found.append([value.detach(), module.report(codes).detach(), *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_report_of_several_positives_is_the_function(name):
    module, codes = build(BOUNDS[name]()), make_codes(5, 8)
    codes.positives = some_positives(5, 8)
    one = Naive(codes.scores.detach(), None, codes.positives)
    rows, columns = codes.positives.nonzero().T
    seen = {
        "infonce-anchor": codes.z_x,
        "flo": torch.cat([codes.z_x[rows], codes.z_y[columns]], 1),
    }.get(name, codes.z_y)
    naive = {
        "infonce-symmetric": MANY["symmetric"],
        "multi-label-cpc": partial(Naive.multi_label, alpha=1.0),
        "infonce-anchor": lambda one, c: one.shifted(c[:, None]).joint(),
        "donsker-varadhan": MANY["dv"],
        "mine": MANY["dv"],
        "js": Naive.nwj_of_ratio,
        "smile": partial(Naive.smile, tau=5.0),
        "interpolated": partial(Naive.interpolated, alpha=0.01),
        **{other: MANY[other] for other in ("infonce", "nwj", "tuba", "flo")},
    }
    numbers = (module.head(seen).detach(),) if name in WITH_HEAD else ()
    if name in naive:
        value = naive[name](one, *numbers)
    else:
        value = BOUNDS[name]()(codes.scores, None, codes.positives).item()
    assert module.report(codes).item() == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_without_a_head_several_positives_use_the_same_baseline():
    scores, positives = draw(5, 8), some_positives(5, 8)
    expected = bounds.nwj(scores, None, positives)
    for bound in (TUBA(), FLO()):
        if isinstance(bound, FLO):
            # Its negatives weigh alike within a row, those of NWJ in the whole matrix.
            one = Naive(scores, None, positives)
            numbers = 1 - scores[positives]
            expected = torch.tensor(one.flo(numbers)).double()
        torch.testing.assert_close(bound(scores, None, positives), expected)


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


def test_anchor_with_one_negative_is_a_logistic_classifier():
    scores = draw(2, 2)
    value = bounds.infonce_anchor(scores)
    torch.testing.assert_close(value, bounds.jensen_shannon(scores) + 2 * math.log(2))


def test_anchor_of_little_weight_is_infonce_with_one_negative_fewer():
    scores = 2 * draw(6, 6)
    without = [scores[:1, [0, *(j for j in range(1, 6) if j != out)]] for out in range(1, 6)]
    expected = mean(bounds.infonce(part).item() for part in without)
    assert bounds.infonce_anchor(scores[:1], nu=1e-12).item() == pytest.approx(expected, abs=1e-9)


def test_anchor_of_much_weight_is_nwj_of_the_log_ratio():
    scores = draw(6, 6)
    torch.testing.assert_close(
        bounds.infonce_anchor(scores, nu=1e8), bounds.nwj_of_ratio(scores), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("nu", [0.1, 1.0, 30.0])
def test_anchor_is_largest_at_the_log_ratio_and_below_the_mutual_information(nu):
    """Two binary variables, every batch of three columns with its probability."""
    joint = np.array([[0.4, 0.1], [0.15, 0.35]])
    ratio = np.log(joint / np.outer(joint.sum(1), joint.sum(0)))
    true_mi, p_y = (joint * ratio).sum(), joint.sum(0)

    def expected(table):
        total = 0.0
        for x, y, a, b in np.ndindex(2, 2, 2, 2):
            row = torch.as_tensor(table[x, [y, a, b]])[None]
            weight = joint[x, y] * p_y[a] * p_y[b]
            total += weight * bounds.infonce_anchor(row, nu=nu).item()
        return total

    best = expected(ratio)
    assert 0 < best < true_mi
    for seed in range(8):
        change = np.random.default_rng(seed).normal(0, 0.1, size=(2, 2))
        assert expected(ratio + change) < best
    # A constant for each row, which InfoNCE does not see.
    assert expected(ratio + [[0.2], [0.0]]) < best - 1e-5


def test_ceiling_of_the_anchor_is_reached():
    for nu, k in ((0.5, 3), (1.0, 7)):
        value = bounds.infonce_anchor(100 * torch.eye(k + 1).double() - 50, nu=nu).item()
        assert value == pytest.approx(math.log(k + nu) + nu / k * math.log(1 + k / nu), abs=1e-9)


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
        "anchor": partial(bounds.infonce_anchor, nu=20.0),
        "plug_in": lambda f: BOUNDS["infonce-anchor"]()(f),
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
    "name", ["infonce", "symmetric", "multi_label", "anchor", "nwj", "nwj_of_ratio", "tuba", "flo"]
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
    start = copy.deepcopy(module) if name == "mine" else module
    objective = module(codes)
    assert objective.shape == ()
    objective.backward()
    for part in (codes.z_x, codes.z_y, *module.parameters()):
        # By how much a small step along the gradient raises what is maximised.
        slope = part.grad.square().sum().item()
        step, before = 1e-6 / slope**0.5, part.detach().clone()
        with torch.no_grad():
            part.add_(step * part.grad)
            moved = Codes(codes.z_x, codes.z_y, codes.critic, negatives=codes.negatives)
            gain = (copy.deepcopy(start)(moved) - objective).item()
            part.copy_(before)
        assert slope > 0 and gain == pytest.approx(step * slope, rel=1e-2)
    assert len(list(module.parameters())) == (4 if name in WITH_HEAD else 0)
    with torch.no_grad():
        value = module.report(codes)
    assert value.shape == ()
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
    neither = {"donsker-varadhan", "infonce-anchor", "mine", "smile"}
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


@pytest.mark.parametrize("masked", [False, True])
def test_head_of_the_anchor_gives_every_row_its_constant(masked):
    module, codes = build(InfoNCEAnchor(nu=0.7)), make_codes(6, 9)
    codes.negatives = half_mask(6, 9) if masked else None
    ratios = (codes.scores + module.head(codes.z_x)[:, None]).detach()
    expected = naive_anchor(ratios, codes.negatives)
    assert module(codes).item() == pytest.approx(expected, abs=1e-12)
    assert module.report(codes).item() == pytest.approx(joint(ratios), abs=1e-12)


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
    built = (TUBA(hidden), D_Y), (FLO(hidden), D_X + D_Y), (InfoNCEAnchor(hidden=hidden), D_X)
    for bound, n_inputs in built:
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
    assert isinstance(Doubled(), Objective) and Doubled().reported.status == "neither"
    assert not Doubled.has_head and not Doubled.keeps_state

    class Undeclared(Bound):
        def __call__(self, scores, negatives=None):
            return bounds.infonce(scores, negatives)

    with pytest.raises(TypeError, match="abstract.*status"):
        Undeclared()
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
        (lambda s: bounds.infonce_anchor(s, nu=0.0), "nu=0.0; expected a positive number"),
        (lambda s: InfoNCEAnchor(nu=math.inf).surrogate(s), "nu=inf; expected a positive number"),
        (lambda s: bounds.interpolated(s, s[0, :2], 0.5), r"log_baseline of shape \(2,\)"),
        (lambda s: bounds.tuba(s, s), r"log_baseline of shape \(3, 3\); expected \(3,\)"),
        (lambda s: bounds.flo(s, s[:, :1]), r"u of shape \(3, 1\); expected \(3,\)"),
        (lambda s: InfoNCEAnchor(nu=-1.0).build(1, 1), "nu=-1.0; expected a positive number"),
        (lambda s: MINE(decay=1.0).build(1, 1), "decay=1.0; expected at least 0 and below 1"),
        (lambda s: TUBA(hidden=(0,)).build(1, 1), "each of hidden=0; expected a positive integer"),
        (lambda s: BOUNDS["infonce"]().ceiling(0), "n=0; expected at least 1"),
        (lambda s: Interpolated().ceiling(1), "n=1; expected at least 2"),
    ],
)
def test_wrong_values(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(3, 3))


@each_function
def test_wrong_masks_of_positives_are_named(name):
    function, numbers = function_and_numbers(name, 3, torch.eye(3))
    with pytest.raises(TypeError, match="positives of dtype torch.float32; expected torch.bool"):
        function(torch.zeros(3, 3), *numbers, positives=torch.eye(3))
    with pytest.raises(ValueError, match=r"positives of shape \(2, 3\); expected that of scores"):
        function(torch.zeros(3, 3), *numbers, positives=torch.ones(2, 3).bool())


@each_function
def test_rows_of_positives_alone_have_no_negatives(name):
    if name in ("infonce", "symmetric"):
        assert STATELESS[name][0](draw(3, 3), None, torch.ones(3, 3).bool()).item() == 0.0
        return
    every = torch.ones(3, 3, dtype=torch.bool)
    function, numbers = function_and_numbers(name, 3, every)
    with pytest.raises(ValueError, match="no negatives"):
        function(draw(3, 3), *numbers, positives=every)


def test_heads_and_states_are_declared():
    assert {name for name in NAMES if BOUNDS[name]().has_head} == set(WITH_HEAD)
    assert {name for name in NAMES if BOUNDS[name]().keeps_state} == {"mine"}
    for name in NAMES:
        module = build(BOUNDS[name]())
        assert bool(list(module.parameters())) == (name in WITH_HEAD)
        assert bool(list(module.buffers())) == (name == "mine")


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


@pytest.mark.parametrize("critic", ["cauchy", "cosine", "bilinear", "separable", "concat"])
@pytest.mark.parametrize("n_more", [0, 3])
def test_infonce_by_the_sums_of_a_critic_is_that_of_its_scores(critic, n_more):
    torch.manual_seed(0)
    built = as_critic(critic).build(4, 4).double()
    z_x, z_y = (3 * torch.randn(n, 4, dtype=torch.double) for n in (6, 6 + n_more))
    z_x.requires_grad_()
    short = InfoNCE().build(4, 4)(Codes(z_x, z_y, built))
    torch.testing.assert_close(short, infonce(built(z_x, z_y)))
    found, expected = (
        torch.autograd.grad(value, z_x)[0] for value in (short, infonce(built(z_x, z_y)))
    )
    torch.testing.assert_close(found, expected)


def test_sums_of_a_critic_are_not_asked_for_where_cells_are_left_out():
    z, masks = torch.randn(5, 3), {"negatives": torch.rand(5, 5) < 0.5}
    critic = as_critic("cauchy").build(3, 3)
    expected = infonce(critic(z, z), masks["negatives"])
    torch.testing.assert_close(InfoNCE().build(3, 3)(Codes(z, z, critic, **masks)), expected)
