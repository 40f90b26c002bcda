import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

from sklearn_mi.training import Rows, Scale
from sklearn_mi.views import (
    VIEWS,
    Columns,
    Compose,
    Corruption,
    Function,
    GaussianNoise,
    Halves,
    Neighbors,
    Paired,
    View,
    as_view,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def as_rows(X, names=None):
    layer = Scale(np.zeros(1), np.ones(1))
    return Rows(X, layer, torch.device("cpu"), X.shape[1:], feature_names=names)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def call(view, X, state=None, rows=None, seed=0):
    return view(torch.as_tensor(X), rows, state, generator(seed))


EVERY = [
    Halves(),
    Columns([0, 1], [2, 3, 4]),
    GaussianNoise(),
    Corruption(),
    Neighbors(3),
    Function(lambda x: (x, -x)),
    Compose(Neighbors(3), Corruption(0.3)),
    Compose(Halves(), GaussianNoise(0.1, shared=True)),
]


@pytest.mark.parametrize("view", EVERY, ids=repr)
def test_every_view_gives_what_it_says(view, X):
    state = view.fit(as_rows(X))
    first, second = call(view, X[:10], state)
    shapes = view.shapes((6,), state)
    assert (tuple(first.shape[1:]), tuple(second.shape[1:])) == shapes
    assert len(first) == len(second) == 10
    again = call(view, X[:10], state)
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    inputs = view.inputs(torch.as_tensor(X), state)
    assert tuple(inputs[0].shape[1:]) == shapes[0]


@pytest.mark.parametrize("view", [view for view in EVERY if not isinstance(view, Function)])
def test_every_view_is_a_description(view):
    assert repr(clone(view)) == repr(view)
    assert repr(pickle.loads(pickle.dumps(view))) == repr(view)


@pytest.mark.parametrize("name", VIEWS)
def test_names(name):
    assert isinstance(as_view(name), View)


def test_halves_cut_images_both_ways():
    images = np.arange(2 * 4 * 6).reshape(2, 4, 6)
    top, bottom = Halves().inputs(torch.as_tensor(images), None)
    left, right = Halves("left-right").inputs(torch.as_tensor(images), None)
    assert np.array_equal(top, images[:, :2]) and np.array_equal(bottom, images[:, 2:])
    assert np.array_equal(left, images[:, :, :3]) and np.array_equal(right, images[:, :, 3:])
    assert Halves().shapes((5, 6, 3), None) == ((2, 6, 3), (3, 6, 3))


def test_halves_of_flat_images_are_their_first_and_last_pixels(X):
    top, bottom = Halves().inputs(torch.as_tensor(X), None)
    assert np.array_equal(np.hstack([top, bottom]), X)


@pytest.mark.parametrize(
    "wanted",
    [slice(0, 2), [0, 1], np.array([True, True, False, False, False, False]), ["a", "b"]],
    ids=str,
)
def test_columns_by_slice_number_mask_and_name(X, wanted):
    view = Columns(wanted, [5])
    state = view.fit(as_rows(X, list("abcdef")))
    first, second = view.inputs(torch.as_tensor(X), state)
    assert np.array_equal(first, X[:, :2]) and np.array_equal(second, X[:, 5:])
    assert view.caveats(state) == ()
    shared = Columns([0, 1], [1, 2])
    assert "share 1 columns" in shared.caveats(shared.fit(as_rows(X)))[0]


def test_one_column_by_number_or_name(X):
    state = Columns(2, "f").fit(as_rows(X, list("abcdef")))
    assert state["first"].tolist() == [2] and state["second"].tolist() == [5]


def test_noise_has_its_size_and_is_shared_only_when_asked():
    zeros = np.zeros((4000, 3), np.float32)
    a, b = call(GaussianNoise(0.5), zeros)
    assert abs(a.std().item() - 0.5) < 0.02 and abs(b.std().item() - 0.5) < 0.02
    assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.05
    a, b = call(GaussianNoise(0.5, shared=True), zeros)
    assert torch.equal(a, b)


def test_composed_noise_is_the_same_in_both_halves():
    top, bottom = call(Compose(Halves(), GaussianNoise(0.05, shared=True)), np.zeros((5, 8)))
    assert top.shape == (5, 4) and torch.equal(top, bottom) and top.std() > 0


def test_corruption_replaces_a_share_of_cells_by_the_same_column():
    X = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    clean, corrupted = call(Corruption(0.6), X)
    assert np.array_equal(clean, X)
    # A draw from the batch is the cell itself once in a thousand.
    assert abs((corrupted != clean).float().mean().item() - 0.6) < 0.03
    assert np.array_equal(corrupted.numpy() % 3, X % 3)


def test_neighbours_are_those_of_scikit_learn_without_the_row_itself(X):
    view = Neighbors(4)
    state = view.fit(as_rows(X))
    expected = NearestNeighbors(n_neighbors=4).fit(X).kneighbors(return_distance=False)
    rows = torch.arange(40)
    seen = [set() for _ in rows]
    for seed in range(60):
        _, partner = call(view, X, state, rows, seed)
        for i, other in enumerate(partner.numpy()):
            seen[i].add(int(np.flatnonzero((other == X).all(1))[0]))
    assert seen == [set(row) for row in expected]


def test_rows_that_fit_did_not_see_ask_the_references(X):
    view = Neighbors(2)
    state = view.fit(as_rows(X[:30]))
    expected = NearestNeighbors(n_neighbors=2).fit(X[:30]).kneighbors(X[30:], return_distance=False)
    for seed in range(5):
        _, partner = call(view, X[30:], state, seed=seed)
        for found, near in zip(partner.numpy(), expected, strict=True):
            assert any(np.array_equal(found, X[i]) for i in near)
    assert "conditional on 30 reference rows" in view.caveats(state)[0]


def test_composed_neighbours_and_corruption_keep_the_row_clean(X):
    view = Compose(Neighbors(3), Corruption(0.5))
    first, second = call(view, X, view.fit(as_rows(X)), torch.arange(40))
    assert np.array_equal(first, X)
    assert not np.array_equal(second, X)
    assert view.default_output == "first" and view.default_encoder_y == "shared"
    alone = Neighbors(3)
    assert view.caveats(view.fit(as_rows(X))) == alone.caveats(alone.fit(as_rows(X)))


def test_callables_with_and_without_generator():
    with_generator = as_view(lambda x, g: (x, x + torch.rand(x.shape, generator=g)))
    a, b = call(with_generator, np.zeros((3, 2), np.float32)), None
    b = call(with_generator, np.zeros((3, 2), np.float32))
    assert torch.equal(a[1], b[1])
    module = torch.nn.Dropout(0.5)
    assert as_view(lambda x: (module(x), x)).draws_globally


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda X: Halves().inputs(torch.as_tensor(X[:, :1]), None), "cannot split"),
        (lambda X: Halves("left-right").inputs(torch.as_tensor(X), None), "input_shape"),
        (lambda X: Halves("up").inputs(torch.as_tensor(X), None), "'top-bottom' or 'left-right'"),
        (lambda X: Columns(["z"], [0]).fit(as_rows(X, list("abcdef"))), "are not there"),
        (lambda X: Columns(["a"], [0]).fit(as_rows(X)), "no column names"),
        (lambda X: Columns([9], [0]).fit(as_rows(X)), "does not fit the 6 columns"),
        (lambda X: Columns(slice(3, 3), [0]).fit(as_rows(X)), "picks no column"),
        (lambda X: Columns(None, [0]).fit(as_rows(X)), "expected a slice"),
        (lambda X: GaussianNoise("loud").fit(as_rows(X)), "positive number"),
        (lambda X: Corruption(None).fit(as_rows(X)), r"number in \(0, 1\]"),
        (lambda X: Neighbors(0).fit(as_rows(X)), "positive integer"),
        (lambda X: GaussianNoise(0).fit(as_rows(X)), "positive number"),
        (lambda X: Corruption(1.5).fit(as_rows(X)), r"number in \(0, 1\]"),
        (lambda X: Compose(Halves(), Neighbors()).fit(as_rows(X)), "first part"),
        (lambda X: call(Paired(), X), "second table"),
        (lambda X: call(Function(lambda x: (x, x[:1])), X), "40 rows"),
        (lambda X: as_view("neighbours"), "Did you mean 'neighbors'"),
    ],
)
def test_errors_say_what_was_expected(make, words, X):
    with pytest.raises(ValueError, match=words):
        make(X)


@pytest.mark.parametrize("value", [3, Halves, None], ids=str)
def test_what_is_no_view(value):
    with pytest.raises(TypeError, match="expected one of"):
        as_view(value)


def test_a_callable_must_return_a_pair(X):
    with pytest.raises(TypeError, match="expected a pair"):
        call(Function(lambda x: x), X)
