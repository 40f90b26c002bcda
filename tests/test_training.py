import math

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi._base import Codes
from sklearn_mi.bounds import NWJ, InfoNCE, infonce
from sklearn_mi.critics import InnerProduct
from sklearn_mi.inputs import Layout, Table, make_scale
from sklearn_mi.negatives import InBatch
from sklearn_mi.reports import _blocks, describe, held_out_bound, held_out_infonce
from sklearn_mi.training import (
    Order,
    PairedRows,
    PairModel,
    Rows,
    Scale,
    encode,
    own_randomness,
    threads,
)
from sklearn_mi.views import Paired

CPU = torch.device("cpu")


def as_rows(X, scale=None, **kwargs):
    return Rows(X, scale or Scale(np.zeros(1), np.ones(1)), CPU, X.shape[1:], **kwargs)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(3, 2, size=(50, 4))


def test_rows_are_the_same_from_memory_from_disk_and_sparse(X):
    scale = Scale(X.mean(0), X.std(0))
    expected = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    index = np.array([3, 7, 8, 20])
    numbers = torch.tensor([2, 0])
    for rows in (
        as_rows(X, scale, index=index),
        as_rows(X, scale, index=index, stream=True),
        as_rows(sparse.csr_matrix(X), scale, index=index),
        as_rows(torch.as_tensor(X), scale, index=index),
    ):
        assert np.allclose(rows[numbers], expected[[8, 3]], atol=1e-6)
        assert np.allclose(np.asarray(rows), expected[index], atol=1e-6)
        assert rows.shape == (4, 4)


def test_large_offsets_lose_no_digits():
    X = 1e9 + np.arange(10.0).reshape(-1, 1)
    rows = as_rows(X, Scale(X.mean(0), X.std(0)))
    assert np.allclose(np.asarray(rows), (X - X.mean(0)) / X.std(0), atol=1e-6)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_module_may_write_into_its_batch(kind, stream):
    X = kind(np.ones((4, 3), dtype=np.float32))
    rows = Rows(X, Scale(np.zeros(1), np.ones(1)), torch.device("cpu"), (3,), stream=stream)
    assert all((codes == 0).all() for codes in encode(rows, torch.Tensor.zero_, block=2))
    assert (X == 1).all() and (np.asarray(rows) == 1).all()


def test_scale_is_fitted_on_the_index_alone(X):
    table = Table(X, Layout((4,), (4,), True), stream=False)
    X[40:] = 1e6
    scale = make_scale(table, np.arange(40), "auto")
    assert np.allclose(scale.mean, X[:40].mean(0))
    scaled = scale(torch.as_tensor(X[:40])).numpy()
    ranges = np.ptp(scaled, axis=0)
    assert np.allclose(ranges, ranges[0], rtol=1e-5) and np.isclose(scaled.var(0).mean(), 1)
    images = Table(X, Layout((4,), (2, 2), False), stream=False)
    assert make_scale(images, np.arange(40), "auto").scale.tolist() == [1.0]
    assert len(make_scale(images, np.arange(40), True).scale) == 4


def test_columns_in_any_unit_are_scaled_alike(X):
    layout = Layout((4,), (4,), True)
    expected = make_scale(Table(X, layout, False), np.arange(50), "auto")(torch.as_tensor(X))
    for unit in (1e-300, 1e300):
        moved = X * np.array([1.0, unit, 1.0, 1.0])
        scale = make_scale(Table(moved, layout, False), np.arange(50), "auto")
        assert torch.allclose(scale(torch.as_tensor(moved)), expected, atol=1e-6)
    X[:, 2] = np.where(X[:, 2] > 3, 1.7e308, -1.7e308)
    with pytest.raises(ValueError, match=r"Columns \[2\] of X span more than a float"):
        make_scale(Table(X, layout, False), np.arange(50), "auto")


def test_a_constant_column_is_ignored(X):
    X[:, 1] = 7.0
    table = Table(X, Layout((4,), (4,), True), stream=False)
    scale = make_scale(table, np.arange(50), "auto")
    assert scale(torch.tensor([[1.0, 1e9, 1.0, 1.0]], dtype=torch.float64))[0, 1] == 0
    X[:] = 7.0
    assert make_scale(table, np.arange(50), "auto")(torch.as_tensor(X)).abs().max() == 0


def one_pass(order):
    order.allow(1000)
    return [numbers.tolist() for numbers in order.rest_of_pass()]


def test_a_pass_is_a_permutation_cut_into_equal_parts():
    order = Order(50, 15, seed=0)
    first = one_pass(order)
    assert [len(numbers) for numbers in first] == [15, 15, 15] and order.steps_a_pass == 3
    assert len(set(sum(first, []))) == 45
    assert first != one_pass(order)


def test_an_order_hands_out_the_steps_that_it_was_allowed():
    order, whole = Order(50, 15, seed=0), Order(50, 15, seed=0)
    assert [order.allow(steps) for steps in (0, 1, 3, 4, 7)] == [0, 1, 1, 2, 3]
    parts = []
    for steps in (2, 5, 1):
        for _ in range(order.allow(steps)):
            parts += [numbers.tolist() for numbers in order.rest_of_pass()]
    assert parts == (one_pass(whole) + one_pass(whole) + one_pass(whole))[:8]


def test_an_order_goes_on_from_its_state():
    order, again = Order(50, 15, seed=0), Order(50, 15, seed=9)
    order.allow(4)
    list(order.rest_of_pass())
    again.load_state_dict(order.state_dict())
    assert one_pass(order) == one_pass(again)


def test_a_batch_is_all_rows_where_there_are_few():
    (numbers,) = one_pass(Order(50, 512, seed=0))
    assert sorted(numbers) == list(range(50))


def test_processes_share_the_rows_without_overlap():
    parts = [set(sum(one_pass(Order(50, 5, 0, rank, world_size=2)), [])) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 25 and not parts[0] & parts[1]


def test_codes_do_not_depend_on_the_block(X):
    with own_randomness(0):
        module = torch.nn.Sequential(
            torch.nn.Linear(4, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8)
        )
    everything = torch.cat(list(encode(as_rows(X), module)))
    for i in (0, 17, 49):
        alone = torch.cat(list(encode(as_rows(X[i : i + 1]), module)))
        assert torch.equal(alone[0], everything[i])


def test_own_randomness_goes_on_and_leaves_the_global_state():
    before = torch.get_rng_state()
    stream, again = own_randomness(3), own_randomness(3)
    with stream:
        a = torch.rand(3)
    with stream:
        b = torch.rand(3)
    with again:
        both = torch.rand(6)
    assert torch.equal(torch.cat([a, b]), both)
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_within_threads_change_nothing():
    before = torch.get_num_threads()
    with threads(1):
        with threads(2):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("dtype", [">f8", "<i2", "u4", "f2", "?"])
def test_every_type_of_number_is_read(X, dtype):
    table = (X > 3).astype(dtype)
    assert np.array_equal(np.asarray(as_rows(table)), table.astype(np.float32))


def test_threads_are_restored_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads(1):
        assert torch.get_num_threads() == 1
        _ = 1 / 0
    assert torch.get_num_threads() == before


# The numbers that are reported


class Scores(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


@pytest.fixture
def model():
    bound = NWJ()
    return PairModel(
        view=Paired(),
        state=None,
        scale=Scale(np.zeros(1), np.ones(1)),
        scale_pair=Scale(np.zeros(1), np.ones(1)),
        encoder=torch.nn.Identity(),
        encoder_y=torch.nn.Identity(),
        head=None,
        head_y=None,
        critic=InnerProduct().build(2, 2),
        negatives=InBatch().build(2),
        objective=bound.build(2, 2),
        output="first",
        widths=(2, 2),
    )


def pairs(n, seed=0):
    first, noise = np.random.default_rng(seed).normal(size=(2, n, 2))
    return PairedRows(as_rows(first), as_rows(0.5 * first + noise))


def test_blocks_count_every_row_once_among_equally_many():
    blocks = _blocks(25, 10, 0)
    assert [len(block) for block, _ in blocks] == [10, 10, 10]
    assert [fresh for _, fresh in blocks] == [10, 10, 5]
    counted = torch.cat([block[:fresh] for block, fresh in blocks])
    assert sorted(counted.tolist()) == list(range(25))
    assert all(len(set(block.tolist())) == 10 for block, _ in blocks)
    assert [(len(block), fresh) for block, fresh in _blocks(7, 10, 0)] == [(7, 7)]


def test_held_out_infonce_is_the_mean_over_blocks(model):
    rows = pairs(40)
    value, stderr = held_out_infonce(model, rows, 20, 0)
    blocks = [rows[block] for block, _ in _blocks(40, 20, 0)]
    expected = [infonce(model.critic(x, y)).item() for x, y in blocks]
    assert value == pytest.approx(np.mean(expected), abs=1e-6)
    assert 0 < stderr < 1


@pytest.mark.parametrize("compute", [held_out_infonce, held_out_bound])
def test_the_standard_error_is_the_spread_over_data_sets(model, compute):
    model.critic = Scores(lambda x, y: 0.3 * x @ y.T)
    values, errors = zip(
        *(compute(model, pairs(128, seed), 128, 0) for seed in range(200)), strict=True
    )
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_a_report_names_its_facts(model):
    model.critic = Scores(lambda x, y: -50 * torch.cdist(x, y) ** 2)
    rows = PairedRows(as_rows(np.eye(2)[[0, 1] * 8] * np.arange(1, 17)[:, None]), None)
    rows.second = rows.first
    report = describe(model, InfoNCE(), rows, 16, 0, caveats=["a caveat"])
    assert report.warnings[0] == "a caveat" and "of the ceiling 2.77" in report.warnings[1]
    assert report.ceiling == pytest.approx(math.log(16)) and report.objective.bound == "InfoNCE"
    report = describe(model, NWJ(), pairs(16), 256, 0)
    assert "only 16 held-out rows for eval_block_size=256" in report.warnings[0]
    assert report.objective.bound == "NWJ" and report.objective.ceiling == math.inf


def test_a_negative_bound_says_why(model):
    model.critic = Scores(lambda x, y: -3 * x @ y.T)
    report = describe(model, NWJ(), pairs(64), 64, 0)
    assert report.value < 0 and "early_stopping=True" in report.warnings[-1]


def test_codes_make_their_scores_once():
    calls = []

    def critic(x, y):
        calls.append(1)
        return x @ y.T

    codes = Codes(torch.ones(2, 3), torch.ones(2, 3), critic)
    assert codes.scores is codes.scores and len(calls) == 1


# Memory


def test_blocks_shrink_until_they_fit(X):
    rows, seen = as_rows(X), []

    def module(x):
        seen.append(len(x))
        if len(x) > 20:
            raise torch.OutOfMemoryError("too much")
        return 2 * x

    codes = torch.cat(list(encode(rows, module, block=64)))
    assert seen[:3] == [64, 32, 16] and set(seen[3:]) == {16}
    torch.testing.assert_close(codes, 2 * torch.as_tensor(X, dtype=torch.float32))


def test_one_row_too_many_names_the_cure(X):
    rows = as_rows(X)

    def module(x):
        raise torch.OutOfMemoryError("too much")

    with pytest.raises(MemoryError, match="use device='cpu'"):
        list(encode(rows, module, block=4))


def test_a_step_too_large_names_its_parameter(monkeypatch, X):
    def run_out(*args):
        raise torch.OutOfMemoryError("too much")

    monkeypatch.setattr("sklearn_mi.estimators.train", run_out)
    with pytest.raises(MemoryError, match="lower batch_size=256"):
        MIRepresentationLearner(max_steps=2).fit(X)


def test_tf32_is_set_inside_a_fit_alone(monkeypatch, X):
    seen = []
    before = torch.get_float32_matmul_precision()
    monkeypatch.setattr(
        "sklearn_mi.estimators.train",
        lambda *args: seen.append(torch.get_float32_matmul_precision()),
    )
    for precision in ("float32", "tf32"):
        MIRepresentationLearner(precision=precision, max_steps=2).fit(X)
    assert seen == [before, "high"]
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("norm", "largest"), [(nn.BatchNorm2d, 16), (nn.InstanceNorm2d, 8)])
def test_convolutions_see_both_views_only_where_the_batch_is_normalised(norm, largest):
    seen = set()

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(6, 2, 3), norm(2), nn.Flatten(), nn.Linear(24, 3))

        def forward(self, x):
            seen.add(len(x))
            return self.layers(x.movedim(3, 1))

    X = np.random.default_rng(0).normal(size=(8, 6, 5, 6))
    learner = MIRepresentationLearner(encoder=Small(), view="noise", device="cpu", max_steps=2)
    learner.set_params(validation_fraction=0.0, critic="cosine").fit(X)
    assert max(seen) == largest
