import numpy as np
import pytest
import torch
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoding import encode
from sklearn_mi.model import halved
from sklearn_mi.rows import (
    HeldOutBatches,
    Order,
    PartnerRows,
    Rows,
    Standardize,
)
from sklearn_mi.runtime import own_randomness
from sklearn_mi.views import SameGroup

CPU = torch.device("cpu")


def as_rows(X, scale=None, **kwargs):
    return Rows(X, scale or Standardize(np.zeros(1), np.ones(1)), CPU, X.shape[1:], **kwargs)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(3, 2, size=(50, 4))


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


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(50, 64, [50]), (50, 25, [25, 25]), (50, 20, [17, 17, 16]), (5, 2, [3, 2]), (3, 2, [3])],
)
def test_held_out_batches_are_those_of_the_pass_before(n, batch_size, sizes):
    batches = HeldOutBatches(as_rows(np.arange(float(n)).reshape(-1, 1)), batch_size, seed=0)
    first, again = list(batches), list(batches)
    assert [len(numbers) for _, numbers, _ in first] == sizes
    assert sorted(torch.cat([numbers for _, numbers, _ in first]).tolist()) == list(range(n))
    for (x, numbers, groups), (other, _, _) in zip(first, again, strict=True):
        assert torch.equal(x, other) and torch.equal(x[:, 0], numbers.float()) and groups is None


def test_held_out_rows_keep_their_partners_from_pass_to_pass():
    rows = as_rows(np.arange(40.0).reshape(-1, 1))
    partners = SameGroup().partners(40, np.arange(40) // 10, None)
    paired = PartnerRows(rows, partners, torch.Generator())
    batches = HeldOutBatches(paired, 40, seed=0)
    ((_, second), _, _), ((_, again), _, _) = next(iter(batches)), next(iter(batches))
    assert torch.equal(second, again)


def test_codes_do_not_depend_on_the_block(X):
    with own_randomness(0):
        module = torch.nn.Sequential(
            torch.nn.Linear(4, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8)
        )
    everything = torch.cat(list(encode(as_rows(X), module)))
    for i in (0, 17, 49):
        alone = torch.cat(list(encode(as_rows(X[i : i + 1]), module)))
        assert torch.equal(alone[0], everything[i])


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


@pytest.mark.parametrize(
    ("norm", "in_cache", "largest"),
    [(nn.BatchNorm2d, 0, 16), (nn.InstanceNorm2d, 0, 8), (nn.InstanceNorm2d, 2**17, 16)],
)
def test_convolutions_see_both_views_of_few_pixels_or_of_a_normalised_batch(
    monkeypatch, norm, in_cache, largest
):
    seen = set()
    monkeypatch.setattr("sklearn_mi.model.NUMBERS_AT_ONCE", in_cache)

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(6, 2, 3), norm(2), nn.Flatten(), nn.Linear(24, 3))

        def forward(self, x):
            seen.add(len(x))
            return self.layers(x.movedim(3, 1))

    X = np.random.default_rng(0).normal(size=(8, 6, 5, 6))
    learner = MIRepresentationLearner(encoder=Small(), view="noise", device="cpu", max_steps=2)
    # In bfloat16 some rows more are tried beforehand.
    learner.set_params(validation_fraction=0.0, critic="cosine", precision="float32").fit(X)
    assert max(seen) == largest


def colour_images(n=60, side=24):
    return np.random.default_rng(0).integers(0, 255, size=(n, side, side, 3), dtype=np.uint8)


def test_the_first_steps_see_images_at_half_of_their_size():
    sizes = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x):
            sizes.append(x.shape[1:3])
            return self.layer(x.mean((1, 2)))

    learner = MIRepresentationLearner(
        encoder=Watching(), view="simclr", half_size=0.5, max_steps=6, batch_size=20, random_state=0
    )
    learner.fit(colour_images())
    module = learner.net_.module_
    assert not module.half_size
    seen = [tuple(size) for size in sizes[2:]]  # after the look at what the encoder takes
    small, large = seen.index((24, 24)), seen.count((12, 12))
    assert small == large and set(seen[:small]) == {(12, 12)} and set(seen[small:]) == {(24, 24)}
    # What is reported and transformed is seen as it is.
    sizes.clear()
    learner.transform(colour_images(4))
    assert {tuple(size) for size in sizes} == {(24, 24)}


def test_a_pass_leaves_the_size_of_images_as_it_was():
    learner = MIRepresentationLearner(half_size=1.0, max_steps=3, batch_size=20, random_state=0)
    assert not learner.fit(colour_images()).net_.module_.half_size


def test_means_over_four_pixels_make_an_image_half_as_large():
    x = torch.arange(32.0).reshape(1, 4, 4, 2)
    expected = x.reshape(1, 2, 2, 2, 2, 2).mean((2, 4))
    torch.testing.assert_close(halved(x), expected)
    torch.testing.assert_close(halved(x[..., 0]), expected[..., 0])


def test_half_sizes_go_on_after_a_kill(tmp_path):
    images = colour_images()
    params = {"max_steps": 8, "batch_size": 20, "half_size": 0.5, "random_state": 0}
    whole = MIRepresentationLearner(**params).fit(images)
    path = tmp_path / "run.pt"
    for _ in MIRepresentationLearner(**params).fit_iter(images, at=(3,), checkpoint=path):
        break
    resumed = MIRepresentationLearner(**params)
    for _ in resumed.fit_iter(images, at=(3, 8), checkpoint=path):
        pass
    np.testing.assert_array_equal(resumed.transform(images), whole.transform(images))


@pytest.mark.parametrize(
    ("params", "rows", "match"),
    [
        ({}, np.zeros((40, 5)), r"half_size=0.5, but a view of a row has shape \(5,\)"),
        ({"encoder": "lenet"}, colour_images(), "takes images of .* alone; .* set half_size=0"),
        ({"half_size": 1.5}, colour_images(), "'half_size' parameter"),
    ],
)
def test_half_sizes_that_do_not_fit(params, rows, match):
    given = {"half_size": 0.5, "max_steps": 2, **params}
    with pytest.raises(ValueError, match=match):
        MIRepresentationLearner(**given).fit(rows)
