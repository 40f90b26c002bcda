import subprocess
import sys

import pytest
import torch
from torch import nn

from sklearn_mi import critics, tiles
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS, infonce_terms
from sklearn_mi.critics import Concat, Split, as_critic
from sklearn_mi.objectives import EachPart
from sklearn_mi.tiles import CriticModule, by_rows, is_large, project, recomputed

TILED = ["infonce", "infonce-symmetric", "nwj", "donsker-varadhan"]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def a_batch(n, n_more=0, width=6):
    z = draw(n, width)
    return z, torch.cat([z + 0.5 * draw(n, width, seed=1), draw(n_more, width, seed=2)])


def value_and_gradients(module, critic, z_x, z_y, negatives=None, positives=None):
    z_x, z_y = z_x.clone().requires_grad_(), z_y.clone().requires_grad_()
    critic.zero_grad()
    codes = Codes(z_x, z_y, critic, negatives=negatives, positives=positives)
    value = module(codes)
    value.backward()
    return codes.has_scores, [
        value.detach(),
        z_x.grad,
        z_y.grad,
        *(p.grad for p in critic.parameters()),
    ]


def assert_close(one, other):
    """Compare by the largest entry: where a bound explodes, small ones are differences of it."""
    assert (one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max()))


def assert_equal_to_the_dense(monkeypatch, module, critic, z_x, z_y, *masks):
    _, expected = value_and_gradients(module, critic, z_x, z_y, *masks)
    monkeypatch.setattr(tiles, "LARGE", 1)
    monkeypatch.setattr(tiles, "CELLS_AT_ONCE", 300 * len(z_y))
    made, found = value_and_gradients(module, critic, z_x, z_y, *masks)
    assert not made
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


def test_value_and_gradient_equal_the_dense_ones_at_4096_rows(monkeypatch):
    torch.manual_seed(0)
    module, critic = BOUNDS["infonce"]().build(6, 6), as_critic("cosine").build(6, 6)
    assert_equal_to_the_dense(monkeypatch, module, critic, *a_batch(4096))


@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize("critic", ["bilinear", "cosine", "cauchy"])
def test_every_bound_by_tiles_equals_the_dense_one(monkeypatch, name, critic):
    torch.manual_seed(0)
    module, critic = BOUNDS[name]().build(6, 6), as_critic(critic).build(6, 6)
    assert_equal_to_the_dense(monkeypatch, module, critic, *a_batch(700))


@pytest.mark.parametrize("name", TILED)
def test_a_separable_critic_maps_each_code_once(monkeypatch, name):
    torch.manual_seed(0)
    critic, seen = as_critic("separable").build(6, 6), []
    critic.phi_y.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    module = BOUNDS[name]().build(6, 6)
    assert_equal_to_the_dense(monkeypatch, module, critic, *a_batch(700))
    assert max(seen) <= 700 and len(seen) <= 3


@pytest.mark.parametrize("name", TILED)
def test_negatives_and_further_columns_count_as_in_the_dense_matrix(monkeypatch, name):
    torch.manual_seed(0)
    z_x, z_y = a_batch(690, n_more=50)
    mask = torch.rand(690, 740, generator=torch.Generator().manual_seed(3)) < 0.5
    mask[:, :40] = True
    module = BOUNDS[name]().build(6, 6)
    assert_equal_to_the_dense(
        monkeypatch, module, as_critic("bilinear").build(6, 6), z_x, z_y, mask
    )


@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize("n_more", [50, -200])
@pytest.mark.parametrize("masked", [False, True])
def test_several_positives_count_as_in_the_dense_matrix(monkeypatch, name, n_more, masked):
    """Pairs by chance, rows without any, and more rows than columns."""
    torch.manual_seed(0)
    z_x, z_y = a_batch(690, n_more=max(n_more, 0))
    z_y = z_y[: 690 + n_more]
    positives = torch.rand(len(z_x), len(z_y)) < 0.002
    negatives = torch.rand(len(z_x), len(z_y)) < 0.5 if masked else None
    assert 0 < positives.any(1).sum() < 690 and positives.sum(1).max() > 2
    module = BOUNDS[name]().build(6, 6)
    critic = as_critic("separable").build(6, 6)
    assert_equal_to_the_dense(monkeypatch, module, critic, z_x, z_y, negatives, positives)


def test_a_foreign_critic_goes_by_tiles_as_it_is(monkeypatch):
    class Distance(nn.Module):
        def __init__(self):
            super().__init__()
            self.stretch = nn.Linear(6, 6)

        def forward(self, z_x, z_y):
            return -torch.cdist(self.stretch(z_x), z_y)

    torch.manual_seed(0)
    module = BOUNDS["infonce"]().build(6, 6)
    assert_equal_to_the_dense(monkeypatch, module, Distance(), *a_batch(700))


def test_what_a_critic_does_by_default():
    class Sum(CriticModule):
        def forward(self, z_x, z_y):
            return z_x.sum(1)[:, None] + z_y.sum(1)

    z_x, z_y, critic = draw(3, 2), draw(4, 2, seed=1), Sum()
    assert project(critic, z_x, z_y) == critic.project(z_x, z_y) == (z_x, z_y, critic)
    assert critic.cut(z_x, z_y) == [(z_x, z_y, critic)] and not critic.has_parts
    foreign = nn.Bilinear(2, 2, 1)
    assert project(foreign, z_x, z_y) == (z_x, z_y, foreign)


def test_each_part_of_a_split_code_goes_by_tiles(monkeypatch):
    torch.manual_seed(0)
    critic, module = Split(("cauchy", "cosine")).build(6, 6), EachPart().build(6, 6)
    z_x, z_y = a_batch(500)
    _, expected = value_and_gradients(module, critic, z_x, z_y)
    monkeypatch.setattr(tiles, "LARGE", 1)
    monkeypatch.setattr(tiles, "CELLS_AT_ONCE", 120 * 500)
    monkeypatch.setattr(Codes, "scores", property(lambda codes: pytest.fail("made scores")))
    _, found = value_and_gradients(module, critic, z_x, z_y)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


def test_other_bounds_take_the_whole_matrix(monkeypatch):
    monkeypatch.setattr(tiles, "LARGE", 1)
    for name in set(BOUNDS) - set(TILED):
        module, critic = BOUNDS[name]().build(6, 6), as_critic("cosine").build(6, 6)
        made, _ = value_and_gradients(module, critic, *a_batch(20))
        assert made, name


def test_the_concatenated_critic_goes_by_chunks(monkeypatch):
    torch.manual_seed(0)
    critic = Concat(hidden=(16, 8)).build(6, 6)
    module = BOUNDS["infonce"]().build(6, 6)
    _, expected = value_and_gradients(module, critic, *a_batch(200))
    calls, rest = [], critic._rest
    monkeypatch.setattr(critics, "NUMBERS_AT_ONCE", 16 * 200 * 30)
    monkeypatch.setattr(critic, "_rest", lambda a, b: (calls.append(len(a)), rest(a, b))[1])
    _, found = value_and_gradients(module, critic, *a_batch(200))
    # Seven chunks, forward and once more for the gradient.
    assert sorted(calls) == sorted(2 * [*[30] * 6, 20])
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


def test_what_is_recomputed_draws_no_graph_without_gradients():
    calls = []
    layer = nn.Linear(2, 1)

    def counted(x):
        calls.append(1)
        return layer(x)

    with torch.no_grad():
        assert not recomputed(counted, torch.ones(3, 2)).requires_grad
    recomputed(counted, torch.ones(3, 2)).sum().backward()
    assert len(calls) == 3


def test_rows_come_in_order(monkeypatch):
    z_x, z_y = a_batch(30, 5)
    codes = Codes(z_x, z_y, lambda a, b: a @ b.T)
    monkeypatch.setattr(tiles, "CELLS_AT_ONCE", 35 * 7)
    torch.testing.assert_close(by_rows(infonce_terms, codes), infonce_terms(z_x @ z_y.T))
    assert not is_large(codes)


MEMORY = """
import resource, torch
from sklearn_mi._base import Codes
from sklearn_mi.bounds import InfoNCE
from sklearn_mi.critics import as_critic
n = 65_536
z_x, z_y = (torch.randn(n, 16, requires_grad=True) for _ in range(2))
critic, module = as_critic("cosine").build(16, 16), InfoNCE().build(16, 16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
module(Codes(z_x, z_y, critic)).backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""


@pytest.mark.slow
def test_a_batch_of_65536_rows_takes_less_than_2_gib():
    out = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(out.stdout) < 2
