"""Rows that stand several times: counted, said, and collapsed on request."""

import numpy as np
import pytest
import torch

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.rows import Data, Order, count_repeats, rows_to_draw
from sklearn_mi.rows.checks import read_table

N, COPIES = 60, 5
rng = np.random.default_rng(0)
ONCE = rng.normal(size=(N, 4))
PAIR = ONCE[:, :2] + 0.1 * rng.normal(size=(N, 2))
TWICE = "training rows are copies of other training rows; duplicates='collapse'"


def learner(n_components=2, **params):
    given = {"encoder": "linear", "critic": "bilinear", "max_steps": 4, "random_state": 0}
    return MIRepresentationLearner(n_components, **{**given, **params})


def data_of(x, **more):
    return Data(read_table(x, None, "X", "Learner"), **more)


def test_copies_are_counted_as_a_set_counts_them():
    x = rng.integers(0, 3, size=(200, 3)).astype(float)
    kept = np.arange(0, 200, 2)
    assert count_repeats(data_of(x), kept) == len(kept) - len({tuple(row) for row in x[kept]})
    groups = np.arange(200) % 4
    apart = {(*row, group) for row, group in zip(x[kept], groups[kept], strict=True)}
    assert count_repeats(data_of(x, groups=groups), kept) == len(kept) - len(apart)


def test_the_first_of_each_stays_in_its_place():
    x = np.array([[1.0], [2.0], [1.0], [3.0], [2.0], [1.0]])
    rows, counts = rows_to_draw(data_of(x), "collapse", ordered=False)
    assert rows.tolist() == [0, 1, 3]
    assert counts.tolist() == [3, 2, 0, 1, 0, 0]
    labels = np.array(["a", "a", "b", "a", "a", "a"])
    rows, _ = rows_to_draw(data_of(x, y=labels), "collapse", ordered=False)
    assert rows.tolist() == [0, 1, 2, 3]
    pair = read_table(np.array([[1.0], [1], [1], [1], [0], [1]]), None, "X_pair", "Learner")
    rows, _ = rows_to_draw(data_of(x, pair=pair), "collapse", ordered=False)
    assert rows.tolist() == [0, 1, 3, 4]
    ages = read_table(np.array([[1.0], [1], [1], [1], [1], [0]]), None, "confounds", "Learner")
    rows, _ = rows_to_draw(data_of(x, confounds=ages), "collapse", ordered=False)
    assert rows.tolist() == [0, 1, 3, 5]


def test_copies_are_told_and_collapse_is_the_cure():
    many = np.repeat(ONCE, COPIES, axis=0)[rng.permutation(N * COPIES)]
    kept = learner().fit(many, X_pair=many)
    told = [line for line in kept.mi_.warnings if TWICE in line]
    n = int(told[0].split(" of ")[1].split()[0])
    assert told[0].startswith(f"{n - N} of {n} ")
    assert any("held-out rows are copies of training rows" in line for line in kept.mi_.warnings)
    collapsed = learner(duplicates="collapse").fit(many, X_pair=many)
    assert not any("copies" in line for line in collapsed.mi_.warnings)


def test_few_copies_are_not_told():
    few = np.vstack([ONCE, ONCE[:2]])
    assert not any(TWICE in line for line in learner().fit(few, X_pair=few).mi_.warnings)


@pytest.mark.parametrize("given", [{}, {"X_pair": PAIR}])
def test_equally_many_copies_are_as_good_as_one(given):
    """Neighbours, batches and the held-out part are those of the distinct rows."""
    many = {name: np.repeat(table, COPIES, axis=0) for name, table in given.items()}
    one = learner(batch_size=16).fit(ONCE, **given)
    collapsed = learner(batch_size=16, duplicates="collapse").fit(
        np.repeat(ONCE, COPIES, 0), **many
    )
    np.testing.assert_array_equal(collapsed.transform(ONCE), one.transform(ONCE))
    assert collapsed.mi_ == one.mi_
    kept = learner(batch_size=16).fit(np.repeat(ONCE, COPIES, 0), **many)
    assert not np.array_equal(kept.transform(ONCE), one.transform(ONCE))


def test_batches_hold_rows_in_proportion_to_their_weight():
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0] * 25).double()
    order = Order(100, 5, seed=0, weights=weights)
    order.allow(4000)
    batches = []
    while order.steps_left:
        batches += list(order.rest_of_pass())
    drawn = torch.stack(batches)
    assert all(len(set(batch)) == 5 for batch in drawn.tolist())
    counts = torch.bincount(drawn.flatten(), minlength=100).reshape(25, 4).double()
    shares = (counts.sum(0) / counts.sum()).numpy()
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.01)
    extra = Order(100, 5, seed=0, n_extra=3, weights=weights)
    extra.allow(1)
    assert len(next(extra.rest_of_pass())) == 8


def test_weighted_batches_resume_where_they_stopped():
    def run(order, steps):
        order.allow(steps)
        found = []
        while order.steps_left:
            found += [batch.tolist() for batch in order.rest_of_pass()]
        return found

    weights = torch.arange(1.0, 31.0)
    whole = run(Order(30, 8, 3, weights=weights), 11)
    first, second = Order(30, 8, 3, weights=weights), Order(30, 8, 3, weights=weights)
    begun = run(first, 4)
    second.load_state_dict(first.state_dict())
    assert begun + run(second, 7) == whole


def test_a_checkpoint_of_collapsed_rows_resumes(tmp_path):
    x = np.vstack([ONCE, ONCE[:20]])
    how = {"batch_size": 16, "duplicates": "collapse", "view": "noise"}
    whole = learner(**how)
    list(whole.fit_iter(x, at=(3, 6)))
    path = tmp_path / "checkpoint"
    list(learner(**how).fit_iter(x, at=(3, 6), checkpoint=path))[:1]
    halted = learner(**how).fit_iter(x, at=(3, 6), checkpoint=tmp_path / "other")
    assert next(halted) == 3
    next(halted)
    resumed = learner(**how)
    assert list(resumed.fit_iter(x, at=(3, 6), checkpoint=tmp_path / "other")) == [6]
    np.testing.assert_array_equal(resumed.transform(x), whole.transform(x))
    with pytest.raises(ValueError, match="parameters"):
        kept = learner(**{**how, "duplicates": "keep"})
        list(kept.fit_iter(x, at=(3, 6), checkpoint=path))


@pytest.mark.slow
def test_no_copy_of_a_training_row_is_reported():
    """Copies of noise tell nats that are not there; the distinct rows tell none."""
    noise, other = rng.normal(size=(2, 200, 5))
    many, pair = np.repeat(noise, 5, axis=0), np.repeat(other, 5, axis=0)
    how = {"encoder": "mlp", "critic": "separable", "max_steps": 300}
    kept = learner(8, **how).fit(many, X_pair=pair).mi_
    collapsed = learner(8, **how, duplicates="collapse").fit(many, X_pair=pair).mi_
    assert kept.value > 1
    assert collapsed.value < 0.1


@pytest.mark.parametrize(
    ("x", "params", "told"),
    [
        (np.ones((20, 2)), {}, "duplicates='collapse' leaves 1 of 20 rows; expected at least 2"),
        (ONCE, {"view": "time-lag"}, "would tear rows of a series apart"),
        (ONCE, {"duplicates": "drop"}, "The 'duplicates' parameter"),
    ],
)
def test_what_cannot_be_collapsed_is_told(x, params, told):
    with pytest.raises(ValueError, match=told):
        learner(**{"duplicates": "collapse", **params}).fit(x)
