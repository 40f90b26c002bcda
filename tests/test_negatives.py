import math
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi._base import Codes, MIWarning
from sklearn_mi.bounds import BOUNDS, infonce, infonce_terms, nwj
from sklearn_mi.negatives import (
    NEGATIVES,
    Hard,
    InBatch,
    Independent,
    Negatives,
    OtherGroups,
    Queue,
    SemiHard,
    as_negatives,
    hardest,
    next_columns,
    other_groups,
    semi_hard,
)
from sklearn_mi.objectives import OBJECTIVES

EVERY = [*(make() for make in NEGATIVES.values()), InBatch(5), SemiHard(3), Queue(8)]
each = pytest.mark.parametrize("negatives", EVERY, ids=repr)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inner(z_x, z_y):
    return z_x @ z_y.T


def codes(n=6, m=6, seed=0):
    return Codes(draw(n, 3, seed=seed), draw(m, 3, seed=seed + 1), inner)


def learner(**parameters):
    return MIRepresentationLearner(**{"n_components": 4, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(120, 5))


# Masks, against loops


def test_next_columns_equals_a_loop():
    for n, k in [(5, 2), (5, 4), (4, 9)]:
        expected = [[1 <= (j - i) % n <= k for j in range(n)] for i in range(n)]
        assert next_columns(n, k).tolist() == expected
        assert next_columns(n, k).sum(1).tolist() == [min(k, n - 1)] * n


@pytest.mark.parametrize("shape", [(6, 6), (5, 9)])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_hardest_equals_a_loop(shape, k):
    scores, (n, m) = draw(*shape), shape
    mask = hardest(scores, k)
    for i in range(n):
        others = sorted((j for j in range(m) if j != i), key=lambda j: -scores[i, j])
        assert mask[i].nonzero().flatten().tolist() == sorted(others[:k])


@pytest.mark.parametrize("k", [None, 2])
def test_semi_hard_equals_a_loop(k):
    scores = draw(7, 10)
    mask = semi_hard(scores, k)
    for i in range(7):
        below = sorted(
            (j for j in range(10) if scores[i, j] < scores[i, i]), key=lambda j: -scores[i, j]
        )
        assert mask[i].nonzero().flatten().tolist() == sorted(below[:k])


def test_other_groups_equals_a_loop():
    groups = torch.tensor([3, 1, 3, 2])
    expected = [[a != b for b in groups] for a in groups]
    assert other_groups(groups).tolist() == expected


def test_a_row_without_a_negative_adds_nothing():
    scores = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    terms = infonce_terms(scores, semi_hard(scores))
    assert terms[0] == 0 and terms[1] > 0


def test_the_logarithm_is_that_of_the_cells_in_use():
    # Without scores that tell anything, log K_i must cancel whatever the mask.
    scores = torch.zeros(8, 8)
    for mask in (next_columns(8, 3), hardest(scores, 2), other_groups(torch.arange(8) // 3)):
        assert infonce_terms(scores, mask).abs().max() < 1e-6
        assert nwj(scores + 1, mask) == pytest.approx(0, abs=1e-6)


# Modules


@each
def test_descriptions(negatives):
    for same in (clone(negatives), pickle.loads(pickle.dumps(negatives))):
        assert repr(same) == repr(negatives)
    assert isinstance(as_negatives(negatives), Negatives)
    pickle.loads(pickle.dumps(negatives.build(3)))


@pytest.mark.parametrize("make", [InBatch, Independent, Hard, SemiHard])
def test_numbers_must_be_positive(make):
    with pytest.raises(ValueError, match="n_negatives=0; expected a positive integer"):
        make(0).build(3)


def test_names_and_objects_are_checked(X):
    with pytest.raises(ValueError, match="Did you mean 'queue'"):
        learner(negatives="que").fit(X)
    with pytest.raises(TypeError, match="negatives=3; expected one of"):
        learner(negatives=3).fit(X)
    with pytest.raises(ValueError, match="size=-1; expected a positive integer"):
        learner(negatives=Queue(-1)).fit(X)


def test_independent_negatives_are_the_extra_columns():
    module = Independent(4).build(3)
    marked = module(codes(6, 10), torch.arange(6), None)
    assert marked.negatives.tolist() == [[False] * 6 + [True] * 4] * 6
    value = infonce(marked.scores, marked.negatives)
    s = marked.scores
    terms = [
        s[i, i] - torch.logsumexp(torch.cat([s[i, i : i + 1], s[i, 6:]]), 0) + math.log(5)
        for i in range(6)
    ]
    assert value == pytest.approx(torch.stack(terms).mean().item(), abs=1e-6)


def test_a_queue_holds_the_newest_codes_and_spares_a_row_its_own():
    module = Queue(8).build(3)
    first = module(codes(6, seed=0), torch.arange(6), None)
    assert first.negatives[:, 6:].sum() == 0 and first.negatives[:, :6].sum() == 30
    second = module(codes(6, seed=5), torch.tensor([0, 6, 7, 8, 9, 10]), None)
    assert second.negatives[:, 6:].sum(1).tolist() == [5, 6, 6, 6, 6, 6]
    assert torch.equal(second.z_y[6:12], draw(6, 3, seed=1))
    third = module(codes(6, seed=9), torch.arange(20, 26), None)
    # Twelve codes have come, eight fit: the last two of the first batch and the second batch.
    held = {tuple(row.tolist()) for row in third.z_y[6:]}
    newest = torch.cat([draw(6, 3, seed=1)[4:], draw(6, 3, seed=6)])
    assert held == {tuple(row.tolist()) for row in newest}
    assert module.candidates(6) == 14


def test_a_queue_smaller_than_a_batch_and_one_that_only_reports():
    module = Queue(4).build(3)
    module(codes(6), torch.arange(6), None)
    assert torch.equal(module.codes, draw(6, 3, seed=1)[2:])
    before = module.codes.clone()
    module.eval()
    assert module(codes(6, seed=7), None, None).negatives[:, 6:].all()
    assert torch.equal(module.codes, before)


def test_no_gradient_enters_the_queue():
    module = Queue(8).build(3)
    module(codes(), torch.arange(6), None)
    batch = codes(seed=3)
    batch.z_y.requires_grad_()
    infonce(module(batch, torch.arange(6, 12), None).scores).backward()
    assert batch.z_y.grad.shape == (6, 3) and not module.codes.requires_grad


# In the learner


@each
def test_every_choice_trains_is_equal_again_and_is_kept(negatives, X, tmp_path):
    groups = np.arange(120) // 6
    fits = [learner(negatives=negatives, max_steps=12).fit(X, groups=groups) for _ in range(2)]
    Z = fits[0].transform(X)
    assert np.isfinite(Z).all() and np.array_equal(Z, fits[1].transform(X))
    fits[0].save(tmp_path / "file")
    for same in (load(tmp_path / "file"), pickle.loads(pickle.dumps(fits[0]))):
        assert np.array_equal(same.transform(X), Z)
        state = same.net_.module_.negatives.state_dict()
        for name, tensor in fits[0].net_.module_.negatives.state_dict().items():
            assert torch.equal(state[name], tensor)


@each
def test_the_report_says_whether_it_is_a_bound(negatives, X):
    own = learner(negatives=negatives, max_steps=5).fit(X, groups=np.arange(120) // 6).mi_
    # The number on top compares with all others of a block, whatever training did.
    assert own.status == "lower"
    if negatives.caveat is None:
        assert own.objective.status == "lower"
    else:
        assert own.objective.status == "neither"
        assert own.objective.warnings[-1].endswith(negatives.caveat)


def test_negatives_chosen_by_score_report_too_little_or_too_much():
    mi, generator = 0.51, np.random.default_rng(0)
    rho = math.sqrt(1 - math.exp(-2 * mi))
    noise = torch.as_tensor(generator.normal(size=(2, 12_800)))
    x, y = noise[0], rho * noise[0] + math.sqrt(1 - rho**2) * noise[1]
    # The logarithm of the density ratio itself as the critic.
    square = rho**2 * (x.view(-1, 128, 1) ** 2 + y.view(-1, 1, 128) ** 2)
    product = 2 * rho * x.view(-1, 128, 1) * y.view(-1, 1, 128)
    blocks = -0.5 * math.log(1 - rho**2) - (square - product) / (2 * (1 - rho**2))
    values = {
        name: np.mean([infonce(block, mask(block)).item() for block in blocks])
        for name, mask in {
            "every": lambda s: None,
            "few": lambda s: next_columns(128, 16),
            "hard": lambda s: hardest(s, 16),
            "semi-hard": semi_hard,
        }.items()
    }
    assert mi - 0.1 < values["few"] < values["every"] < mi
    assert values["hard"] < mi - 0.5 and values["semi-hard"] > mi + 0.5


def test_the_number_of_negatives_does_not_depend_on_the_batch(X):
    fitted = learner(negatives=Independent(64), batch_size=8, max_steps=5).fit(X)
    order = fitted.net_.order
    order.allow(1)
    assert len(next(order.rest_of_pass())) == 8 + 64
    fitted = learner(negatives=InBatch(7), batch_size=32, max_steps=5).fit(X)
    assert fitted.mi_.objective.ceiling == pytest.approx(math.log(8))


@pytest.mark.parametrize("negatives", [Independent(64), Queue(256)], ids=repr)
def test_small_batches_with_many_negatives_learn(negatives):
    X, y = make_blobs(600, n_features=20, centers=6, cluster_std=4.0, random_state=0)
    fit = {"view": "neighbors", "batch_size": 16, "max_steps": 400, "lr": 1e-3}
    fitted = learner(negatives=negatives, **fit).fit(X)
    untrained = next(iter(learner(negatives=negatives, **fit).fit_iter(X, at=(0, 1))))
    assert untrained == 0
    start = learner(negatives=negatives, **{**fit, "max_steps": 1, "lr": 1e-9}).fit(X)
    assert fitted.mi_.value > start.mi_.value + 0.5
    Z = fitted.transform(X)
    probe = LogisticRegression(max_iter=1000).fit(Z[::2], y[::2])
    assert probe.score(Z[1::2], y[1::2]) > 0.9


def test_other_groups_needs_groups(X):
    with pytest.raises(ValueError, match=r"negatives='other-groups' needs groups: pass groups="):
        learner(negatives="other-groups").fit(X)
    assert OtherGroups().needs_groups


def test_a_grid_varies_negatives(X):
    grid = GridSearchCV(
        learner(max_steps=3), {"negatives": ["batch", "queue", Hard(4)]}, cv=2, error_score="raise"
    )
    results = grid.fit(X).cv_results_
    assert [repr(given["negatives"]) for given in results["params"]] == [
        "'batch'",
        "'queue'",
        "Hard(n_negatives=4)",
    ]
    # Each was trained with: three choices, three scores.
    assert len(set(results["mean_test_score"])) == 3
    assert learner(negatives="queue").set_params(negatives__size=64).negatives.size == 64


@pytest.mark.parametrize("name", ["align-uniform", "barlow-twins", "vicreg"])
def test_an_objective_of_codes_does_not_see_groups_and_it_is_told(name, X):
    codes = []
    for negatives in ("batch", "other-groups"):
        one = learner(objective=name, negatives=negatives, max_steps=3, batch_size=16)
        told = pytest.warns(MIWarning, match="changes the reported bound alone")
        with nullcontext() if negatives == "batch" else told:
            codes.append(one.fit(X, groups=np.arange(120) // 6).transform(X))
    assert np.array_equal(*codes)


@pytest.mark.filterwarnings("ignore:negatives='other-groups' changes the reported bound alone")
@pytest.mark.parametrize("name", [*OBJECTIVES, *BOUNDS])
def test_every_objective_takes_every_choice(name, X):
    critic, values = "split" if name == "each-part" else "auto", {}
    # The hardest 16 are all others of these batches.
    for negatives in (Hard(4) if choice == "hard" else choice for choice in NEGATIVES):
        one = learner(
            critic=critic, objective=name, negatives=negatives, max_steps=3, batch_size=16
        )
        if name == "interpolated" and (negatives == "independent" or isinstance(negatives, Hard)):
            # It needs negatives in every column with a partner; these lie elsewhere.
            with pytest.raises(ValueError, match="have no negatives"):
                one.fit(X, groups=np.arange(120) // 6)
        else:
            fitted = one.fit(X, groups=np.arange(120) // 6)
            values[repr(negatives)] = fitted.mi_.objective.value
    # Each choice tells: no two fits report the same number.
    assert np.isfinite(list(values.values())).all() and len(set(values.values())) == len(values)
