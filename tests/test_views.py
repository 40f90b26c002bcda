import pickle
import re
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.rows import Rows, Standardize
from sklearn_mi.views import (
    VIEWS,
    Augment,
    Columns,
    Compose,
    Corruption,
    Function,
    GaussianNoise,
    Halves,
    Neighbors,
    Paired,
    Partners,
    SameClass,
    SameGroup,
    TimeLag,
    View,
    as_view,
    neighbors,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def as_rows(X, names=None):
    layer = Standardize(np.zeros(1), np.ones(1))
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
    Neighbors(3, among="mutual"),
    Neighbors(3, among="scaled"),
    Function(lambda x: (x, -x)),
    Compose(Neighbors(3), Corruption(0.3)),
    Compose(Halves(), GaussianNoise(0.1, shared=True)),
]


@pytest.mark.parametrize("view", EVERY, ids=lambda view: re.sub(" at 0x.*?>", ">", repr(view)))
def test_every_view_gives_the_shapes_that_it_says_and_draws_from_its_generator(view, X):
    state = view.fit(as_rows(X))
    first, second = call(view, X[:10], state)
    shapes = view.shapes((6,), state)
    assert (tuple(first.shape[1:]), tuple(second.shape[1:])) == shapes
    assert len(first) == len(second) == 10
    again = call(view, X[:10], state)
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    inputs = view.inputs(torch.as_tensor(X), state)
    assert tuple(inputs[0].shape[1:]) == shapes[0]


PAIRING = [TimeLag(), TimeLag(2, 5), SameGroup(), SameClass(), SameClass(unlabelled=-1)]


@pytest.mark.parametrize(
    "view", [view for view in [*EVERY, *PAIRING] if not isinstance(view, Function)]
)
def test_every_view_is_a_description(view):
    assert repr(clone(view)) == repr(view)
    assert repr(pickle.loads(pickle.dumps(view))) == repr(view)


def test_names_stand_for_these_views():
    moved = "rotate=15.0, shift=0.1, zoom=0.1"
    with_parameters = {
        "affine": f"Augment({moved})",
        "moved-neighbors": f"Compose(first=Neighbors(), second=Augment({moved}))",
        "simclr": "Augment(brightness=0.4, contrast=0.4, crop=(0.08, 1.0), flip=0.5, "
        "grayscale=0.2, hue=0.1, jitter_rate=0.8, saturation=0.4)",
        "recording": "AugmentRecording(crop=(0.5, 1.0), noise=0.1, scale=0.2)",
    }
    # The README says of which class each one is.
    for name in VIEWS:
        view = as_view(name)
        expected = with_parameters.get(name, f"{type(view).__name__}()")
        assert re.sub(r"\s+", " ", repr(view)) == expected


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
    [
        slice(0, 2),
        [0, 1],
        np.array([True, True, False, False, False, False]),
        ["a", "b"],
        pd.Index(["a", "b"]),
        pd.Series([True, True, False, False, False, False], list("abcdef")),
    ],
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


def drawn_partners(view, X, state, rows, draws=80):
    seen = [set() for _ in X]
    for seed in range(draws):
        _, partner = call(view, X, state, rows, seed)
        for i, other in enumerate(partner.numpy()):
            seen[i].add(int(np.flatnonzero((other == X).all(1))[0]))
    return seen


def test_mutual_neighbours_have_one_another(X):
    near = NearestNeighbors(n_neighbors=4).fit(X).kneighbors(return_distance=False)
    expected = [{j for j in near[i] if i in near[j]} or {near[i][0]} for i in range(40)]
    view = Neighbors(4, among="mutual")
    assert drawn_partners(view, X, view.fit(as_rows(X)), torch.arange(40)) == expected
    assert len({len(found) for found in expected}) > 2


def test_scaled_neighbours_divide_by_the_spread_of_both(X):
    X = X * np.where(np.arange(40) < 20, 0.2, 1.0)[:, None].astype(np.float32)
    distances = np.linalg.norm(X[:, None] - X, axis=2)
    spread = np.sort(distances, axis=1)[:, 3]  # of the third neighbour, the row itself first
    scaled = distances**2 / np.outer(spread, spread)
    # Of three times as many nearest.
    scaled[np.argsort(np.argsort(distances, axis=1), axis=1) > 9] = np.inf
    np.fill_diagonal(scaled, np.inf)
    expected = [set(np.argsort(row)[:3]) for row in scaled]
    view = Neighbors(3, among="scaled")
    found = drawn_partners(view, X, view.fit(as_rows(X)), torch.arange(40))
    assert found == expected
    assert found != drawn_partners(Neighbors(3), X, Neighbors(3).fit(as_rows(X)), torch.arange(40))


PLACES = {"offset": np.full((1, 30), 1e5), "clusters": np.array([[-1e5], [3e4], [1e5]])}


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("among", ["nearest", "scaled"])
def test_neighbours_are_exact_whatever_the_offset_of_the_columns(among, places):
    # Multiples of 1/64, which float32 holds exactly at this offset, too.
    X = np.round(64 * np.random.default_rng(0).normal(size=(300, 30))) / 64
    X = X + PLACES[places][np.arange(300) % len(PLACES[places])]
    assert np.array_equal(X.astype(np.float32), X)
    known, new = X[:240], X[240:]
    squares = ((new[:, None] - known) ** 2).sum(2)
    if among == "scaled":
        within = np.sort(np.linalg.norm(known[:, None] - known, axis=2), axis=1)
        squares /= within[:, 3]  # of the third neighbour, the row itself first
    expected = [set(row) for row in np.argsort(squares, axis=1)[:, :3]]
    view, found = Neighbors(3, among=among), [set() for _ in new]
    state = view.fit(as_rows(known.astype(np.float32)))
    for seed in range(60):
        _, partner = call(view, new.astype(np.float32), state, seed=seed)
        for i, other in enumerate(partner.numpy()):
            found[i].add(int(np.flatnonzero((other == known).all(1))[0]))
    assert found == expected


class AroundZero(torch.nn.Module):
    """A network that takes an offset off before it begins."""

    def __init__(self, offset):
        super().__init__()
        self.offset, self.network = offset, torch.nn.Linear(30, 8)
        torch.nn.init.orthogonal_(self.network.weight, generator=generator())

    def forward(self, x):
        return self.network(x - self.offset)


def test_an_offset_does_not_change_the_reported_number():
    rng = np.random.default_rng(0)
    X = np.round(64 * rng.normal(size=(400, 30)) @ rng.normal(size=(30, 30)) / 3) / 64
    learner = MIRepresentationLearner(
        8, view="neighbors", standardize=False, max_steps=100, random_state=0
    )
    values = []
    for offset in (0.0, 1e5):
        learner.set_params(encoder=AroundZero(offset)).fit(X + offset)
        values.append(learner.mi_.value)
    assert values[0] > 0.5 and values[1] == pytest.approx(values[0], abs=0.05)


def test_new_rows_are_looked_up_in_parts(X, monkeypatch):
    view = Neighbors(2, among="scaled")
    state = view.fit(as_rows(X[:30]))
    whole = call(view, X[30:], state)[1]
    monkeypatch.setattr(neighbors, "DISTANCES_AT_ONCE", 60)
    assert torch.equal(call(view, X[30:], state)[1], whole)


def found_of(state, exact):
    """Return the share of the exact neighbours that a state holds."""
    pairs = zip(state["graph"].tolist(), exact["graph"].tolist(), strict=True)
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs])


@pytest.mark.parametrize("p", [8, 200])
def test_approximate_neighbours_are_nearly_all_found(p, monkeypatch):
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 8)) @ rng.normal(size=(8, p)) + 0.05 * rng.normal(size=(2000, p))
    rows = as_rows(X.astype(np.float32))
    exact, found, again = (
        Neighbors(5, search=search).fit(rows) for search in ("exact", "approximate", "approximate")
    )
    assert torch.equal(found["graph"], again["graph"])
    assert not (found["graph"] == torch.arange(2000)[:, None]).any()
    assert found_of(found, exact) > 0.95
    # Distances are those of the rows themselves, whatever directions were searched.
    scaled = (
        Neighbors(5, "scaled", search=s).fit(rows)["spread"] for s in ("exact", "approximate")
    )
    torch.testing.assert_close(*scaled, rtol=0.05, atol=0)
    monkeypatch.setattr(neighbors, "EXACT_WORK", 1000)
    assert torch.equal(Neighbors(5).fit(rows)["graph"], found["graph"])


def test_rows_apart_from_all_others_get_as_many_neighbours():
    pytest.importorskip("faiss")
    X = np.zeros((1500, 3), np.float32)
    X[:30] = 100 * np.eye(3)[np.arange(30) % 3] * np.arange(1, 31)[:, None]
    found = Neighbors(20, search="approximate").fit(as_rows(X))["graph"]
    assert (found >= 0).all() and (found != torch.arange(1500)[:, None]).all()
    assert all(len(set(row)) == 20 for row in found.tolist())


@pytest.mark.parametrize("n", [2, 3, 50])
def test_few_rows_are_searched_approximately(n):
    pytest.importorskip("faiss")
    X = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    graphs = (Neighbors(5, search=s).fit(as_rows(X))["graph"] for s in ("approximate", "exact"))
    assert torch.equal(*graphs)


def test_a_missing_search_is_named(monkeypatch, X):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install faiss-cpu"):
        Neighbors(search="approximate").fit(as_rows(X))
    monkeypatch.setattr(neighbors, "EXACT_WORK", 10)
    exact = Neighbors(3, search="exact").fit(as_rows(X))
    assert torch.equal(Neighbors(3).fit(as_rows(X))["graph"], exact["graph"])


def test_without_an_index_wide_rows_are_searched_in_principal_components(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(neighbors, "EXACT_WORK", 10)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 70)) @ rng.normal(size=(70, 150))
    rows = as_rows(X.astype(np.float32))
    assert found_of(Neighbors(5).fit(rows), Neighbors(5, search="exact").fit(rows)) > 0.95


def test_composed_neighbours_and_corruption_keep_the_row_clean(X):
    view = Compose(Neighbors(3), Corruption(0.5))
    first, second = call(view, X, view.fit(as_rows(X)), torch.arange(40))
    assert np.array_equal(first, X)
    assert not np.array_equal(second, X)
    assert view.default_output == "first" and view.default_encoder_y == "shared"
    alone = Neighbors(3)
    assert view.caveats(view.fit(as_rows(X))) == alone.caveats(alone.fit(as_rows(X)))


# Views that pair rows with rows


def candidates(partners, n, draws=400):
    """Return what is ever drawn for each row, and count how often."""
    found = {int(row): [] for row in partners.anchors}
    for seed in range(draws):
        drawn = partners.draw(partners.anchors, generator(seed))
        for row, other in zip(partners.anchors.tolist(), drawn.tolist(), strict=True):
            found[row].append(other)
    return found


@pytest.mark.parametrize(
    ("view", "given"), [(SameGroup(), "groups"), (SameClass(), "y")], ids=["group", "class"]
)
@pytest.mark.parametrize("names", [[4, 7, 4, 4, 9, 7], ["b", "a", "b", "b", "c", "a"]], ids=str)
def test_rows_of_one_value_are_partners(view, given, names):
    values = {"groups": None, "y": None, given: np.array(names)}
    found = candidates(view.partners(6, **values), 6)
    assert {row: set(others) for row, others in found.items()} == {
        0: {2, 3},
        1: {5},
        2: {0, 3},
        3: {0, 2},
        5: {1},
    }
    assert 160 < found[0].count(2) < 240  # of 400, equally likely


@pytest.mark.parametrize(
    ("unlabelled", "y", "anchors"),
    [
        (None, [0, -1, 0, -1, 1, 1], [0, 2, 4, 5]),
        (None, [0.0, -1.0, 0.0, -1.0, np.nan, np.nan], [0, 2]),
        (None, np.array([0, -1, 0, -1, 1, 1], dtype=object), [0, 2, 4, 5]),
        (None, ["-1", "a", "-1", "a", "b", "b"], [0, 1, 2, 3, 4, 5]),
        (-1, [0, -1, 0, -1, 1, 1], [0, 2, 4, 5]),
        (9, [0, -1, 0, -1, 9, 9], [0, 1, 2, 3]),
        ("", ["", "a", "", "a", "b", "b"], [1, 3, 4, 5]),
    ],
)
def test_rows_without_a_label_have_no_partner(unlabelled, y, anchors):
    partners = SameClass(unlabelled).partners(6, None, np.array(y))
    assert partners.anchors.tolist() == anchors
    drawn = partners.draw(partners.anchors, generator())
    assert [y[row] for row in drawn] == [y[row] for row in anchors]


def test_a_lag_stays_within_its_series():
    found = candidates(TimeLag().partners(4, None, None), 4)
    assert {row: set(others) for row, others in found.items()} == {0: {1}, 1: {2}, 2: {3}}
    series = np.array([1, 0, 1, 0, 1, 1, 0])
    expected = {}
    for row in range(7):
        later = [i for i in range(7) if series[i] == series[row] and i > row]
        if later[1:]:
            expected[row] = set(later[1:3])
    found = candidates(TimeLag(2, 3).partners(7, series, None), 7)
    assert {row: set(others) for row, others in found.items()} == expected


def test_a_lag_longer_than_the_series_finds_nothing():
    assert len(TimeLag(9).partners(5, None, None).anchors) == 0


@pytest.mark.parametrize("view", [SameGroup(), SameClass()], ids=repr)
def test_pairing_views_say_what_they_miss(view):
    with pytest.raises(ValueError, match="needs"):
        view.partners(5, None, None)
    with pytest.raises(ValueError, match="first part of a Compose"):
        call(view, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="first part of Compose"):
        Compose(Halves(), view).fit(as_rows(np.zeros((3, 2))))


# What a view of one's own must tell


@dataclass(repr=False, eq=False)
class NextButOne(View):
    """Rows 0 and 2, 1 and 3, ... of a table are partners."""

    pairs_rows = True

    def __call__(self, x, rows, state, generator):
        return x

    def partners(self, n, groups, y):
        number = torch.arange(n)
        count = (number + 2 < n).long()
        return Partners(number, torch.where(count > 0, number + 2, 0), count, count)


@dataclass(repr=False, eq=False)
class LargestColumn(View):
    """A row and its largest column alone: it must see all columns."""

    sees_whole_rows = True

    def __call__(self, x, rows, state, generator):
        return x, torch.where(x == x.amax(1, keepdim=True), x, 0.0)


@dataclass(repr=False, eq=False)
class Laplace(View):
    """Noise of its own on each view."""

    adds_own_noise = True

    def __call__(self, x, rows, state, generator):
        first, second = (torch.rand(x.shape, generator=generator) for _ in range(2))
        return x - first.log(), x - second.log()


@dataclass(repr=False, eq=False)
class Twice(View):
    """The row itself, twice."""

    may_repeat_rows = True

    def __call__(self, x, rows, state, generator):
        return x, x


def test_a_view_of_ones_own_pairs_rows_with_rows():
    X = np.random.default_rng(0).normal(size=(60, 4))
    view = Compose(NextButOne(), GaussianNoise(1e-9))
    learner = MIRepresentationLearner(
        3, view=view, validation_fraction=0, max_steps=2, random_state=0
    )
    first, second = learner.fit(X).transform_views(X)
    codes = learner.transform(X)
    assert np.allclose(first, codes[:-2], atol=1e-5) and np.allclose(second, codes[2:], atol=1e-5)


@pytest.mark.parametrize(
    "view",
    [
        *(Columns([0], [1]), Neighbors(), Paired(), SameClass(), SameGroup(), TimeLag()),
        *(NextButOne(), LargestColumn(), Compose(Neighbors(), Corruption())),
    ],
    ids=lambda view: type(view).__name__,
)
def test_views_of_whole_rows_come_first_in_compose(view, X):
    with pytest.raises(ValueError, match="looks at whole rows; make it the first part"):
        Compose(Halves(), view).fit(as_rows(X))
    assert Compose(view, Corruption()).sees_whole_rows == view.sees_whole_rows
    assert Compose(view, Corruption()).pairs_rows == view.pairs_rows
    assert not Compose(Halves(), Corruption()).sees_whole_rows


@pytest.mark.parametrize(
    ("first", "second", "shares"),
    [
        (Twice(), Corruption(), True),
        (Function(lambda x: (x, x)), Corruption(), True),
        (Compose(Twice(), Twice()), Corruption(), True),
        (Compose(Twice(), Halves()), Corruption(), False),
        (Halves(), Corruption(), False),
        (Neighbors(), Corruption(), False),
        (Corruption(), Halves(), True),
        (Corruption(), Laplace(), False),
        (Corruption(), GaussianNoise(), False),
        (Corruption(), GaussianNoise(shared=True), True),
        (Corruption(), Compose(Halves(), Laplace()), False),
    ],
)
def test_compose_says_only_what_holds_of_both_parts(first, second, shares):
    said = Compose(first, second).caveats(None)
    assert ("the views share exact values: their mutual information is infinite" in said) == shares
    assert len(said) == len(set(said))


def test_augmented_views_are_those_of_the_augmentations_after_noise_too():
    view = Augment(flip=0.5)
    few, noisy = view.caveats(None), Compose(view, Laplace()).caveats(None)
    assert len(few) == 2 and noisy == few[:1]


def test_callables_with_and_without_generator():
    def jitter(x, g):
        return x, x + torch.rand(x.shape, generator=g)

    zeros = np.zeros((3, 2), np.float32)
    expected = torch.rand(3, 2, generator=generator())
    assert torch.equal(call(as_view(jitter), zeros)[1], expected)
    module = torch.nn.Dropout(0.5)
    without = as_view(lambda x: (module(x), x - 1))
    assert without.draws_globally
    assert torch.equal(call(without, zeros)[1], torch.full((3, 2), -1.0))


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
        (lambda X: Neighbors(among="all").fit(as_rows(X)), "among='all'; expected one of"),
        (lambda X: Neighbors(search="fast").fit(as_rows(X)), "search='fast'; expected one of"),
        (lambda X: TimeLag(0).fit(as_rows(X)), "1 <= lag <= max_lag"),
        (lambda X: TimeLag(3, 2).fit(as_rows(X)), "lag=3, max_lag=2"),
        (lambda X: TimeLag("one").fit(as_rows(X)), "lag='one'"),
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
