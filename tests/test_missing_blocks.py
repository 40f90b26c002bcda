"""Several tables of which some rows lack some: all of a row's values there are missing."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch.utils.data import DataLoader, TensorDataset

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi._base import Codes, MIWarning
from sklearn_mi.comparisons import Multiview
from sklearn_mi.critics import Bilinear
from sklearn_mi.negatives import Hard, Queue
from sklearn_mi.reports import blocks
from sklearn_mi.views import Columns, Compose, GaussianNoise

N, WIDTHS = 90, (4, 3, 5)
EVERY, STAR = [(0, 1), (0, 2), (1, 2)], [(0, 1), (1, 2)]
SETS = [slice(0, 4), slice(4, 7), slice(7, 12)]


def make_tables(n=N, seed=0, widths=WIDTHS, noise=0.3):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 2))
    return latent, [
        latent @ rng.normal(size=(2, p)) + noise * rng.normal(size=(n, p)) for p in widths
    ]


def lacking(tables, share=0.3, seed=1):
    """Take tables away from rows at random, but never all of them."""
    present = np.random.default_rng(seed).random((len(tables[0]), len(tables))) > share
    present[~present.any(axis=1), 0] = True
    return present, [
        np.where(has[:, None], table, np.nan) for has, table in zip(present.T, tables, strict=True)
    ]


WHOLE = make_tables()[1]
PRESENT, (A, B, C) = lacking(WHOLE)
TABLES = [A, B, C]


def learner(n_components=2, **params):
    given = {
        "encoder": "linear",
        "critic": "bilinear",
        "objective": "infonce",
        "max_steps": 5,
        "random_state": 0,
    }
    return MIRepresentationLearner(n_components, **{**given, **params})


@pytest.fixture(autouse=True)
def no_word_of_nan_codes():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[0-9]+ of [0-9]+ rows have no value in", MIWarning)
        yield


def naive_infonce(scores):
    """Row by row, as in the formula."""
    n, total = len(scores), 0.0
    for i in range(n):
        total += np.log(n) + scores[i, i] - np.log(sum(np.exp(score) for score in scores[i]))
    return total / n


def by_hand(fitted, pairs, rows=slice(None)):
    """Each pair's InfoNCE over the rows that have both, from the learner's own codes."""
    codes = [fitted.transform(A[rows])]
    codes += np.split(fitted.transform_pair([B[rows], C[rows]]), 2, axis=1)
    values = []
    for (i, j), critic in zip(pairs, fitted.critic_.critics, strict=True):
        both = PRESENT[rows, i] & PRESENT[rows, j]
        w = critic.map.weight.detach().numpy().astype(float)
        values.append(naive_infonce(codes[i][both] @ w.T @ codes[j][both].T))
    return np.mean(values)


@pytest.mark.parametrize(("core", "pairs"), [(None, EVERY), (1, STAR)])
def test_each_pair_is_compared_on_the_rows_that_have_both(core, pairs):
    fitted = learner(comparison=Multiview(core), validation_fraction=0.4).fit(A, X_pair=[B, C])
    value = by_hand(fitted, pairs)
    values = fitted.bounds(A, X_pair=[B, C])
    for name in ("objective", "maximised", "infonce"):
        assert values[name] == pytest.approx(value, abs=1e-5)
    assert fitted.score(A, X_pair=[B, C]) == pytest.approx(value, abs=1e-5)
    assert any("rows lack tables" in line for line in fitted.mi_.warnings)
    assert np.isfinite([fitted.mi_.value, fitted.mi_.stderr]).all()


def few_of_the_first(n, n_first, seed=0):
    """Three tables of one column; two of them share something, and few rows have the first."""
    rng = np.random.default_rng(seed)
    first, second, noise = rng.normal(size=(3, n, 1))
    third = 0.95 * second + np.sqrt(1 - 0.95**2) * noise
    first[rng.permutation(n)[n_first:]] = np.nan
    return first, second, third, -np.log(1 - 0.95**2) / 2 / 3


@pytest.mark.parametrize("size", [200, 40, 10])
def test_a_pair_that_few_rows_have_counts_as_much_as_the_others(size):
    """A block without rows of a pair says nothing of it, and is no mean of the others."""
    first, second, third, truth = few_of_the_first(200, 20)
    fitted = learner(1, eval_block_size=size).fit(first, X_pair=[second, third])
    value = fitted.score(first, X_pair=[second, third])
    assert value < truth
    values = fitted.bounds(first, X_pair=[second, third])
    for name in ("objective", "maximised", "infonce"):
        assert values[name] == pytest.approx(value, abs=1e-5)
    sides = [fitted.transform(first), *fitted.transform_pair([second, third]).T[:, :, None]]
    expected = []
    for (i, j), critic in zip(EVERY, fitted.critic_.critics, strict=True):
        w, sums = critic.map.weight.item(), [0.0, 0]
        for block, _ in blocks(200, size, 0):
            x, y = (sides[k][block] for k in (i, j))
            both = ~np.isnan(x[:, 0] * y[:, 0])
            if both.sum() > 1:
                sums[0] += both.sum() * naive_infonce(w * x[both] @ y[both].T)
                sums[1] += both.sum()
        expected.append(sums[0] / sums[1])
    assert value == pytest.approx(np.mean(expected), abs=1e-5)


def test_the_error_over_pairs_is_that_of_other_draws():
    values, errors = [], []
    first, *others, _ = few_of_the_first(400, 200)
    for seed in range(12):
        held, *more, _ = few_of_the_first(300, 150, 50 + seed)
        fitted = learner(1, max_steps=60).fit(first, X_pair=others, validation_data=(held, more))
        values.append(fitted.mi_.value)
        errors.append(fitted.mi_.stderr)
    assert 0.5 < np.mean(errors) / np.std(values) < 2


def test_no_error_where_a_pair_has_two_held_out_rows():
    first, second, third, _ = few_of_the_first(200, 200)
    two = np.where(np.arange(50)[:, None] < 2, first[:50], np.nan)
    held = two, [second[:50], third[:50]]
    fitted = learner(1).fit(first, X_pair=[second, third], validation_data=held)
    assert np.isfinite(fitted.mi_.value) and np.isnan(fitted.mi_.stderr)
    assert "tables 0 and 1 on 2 of 50" in " ".join(fitted.mi_.warnings)
    assert "interval" not in str(fitted.mi_)


def test_no_number_where_a_pair_has_no_held_out_rows():
    first, second, third, _ = few_of_the_first(200, 200)
    gone = np.full_like(first[:50], np.nan)
    held = gone, [second[:50], third[:50]]
    fitted = learner(1).fit(first, X_pair=[second, third], validation_data=held)
    assert np.isnan(fitted.mi_.value)
    assert "tables 0 and 1 are compared, but no block of 50" in fitted.mi_.warnings[0]
    early = learner(1, early_stopping=True).fit(first, X_pair=[second, third], validation_data=held)
    assert np.isfinite([row["valid_bound"] for row in early.history_]).all()


def test_a_pair_that_no_block_has_is_told_by_score_and_bounds():
    first, second, third, _ = few_of_the_first(200, 200)
    fitted = learner(1, eval_block_size=4).fit(first, X_pair=[second, third])
    some = np.where(np.arange(60)[:, None] < 3, first[:60], np.nan)
    for measure in (fitted.score, fitted.bounds):
        with pytest.raises(ValueError, match="tables 0 and 1 are compared, but no block of 4"):
            measure(some, X_pair=[second[:60], third[:60]])


def test_the_ceiling_is_that_of_the_rows_that_have_both():
    first, second, third, _ = few_of_the_first(200, 200)
    held, *more, _ = few_of_the_first(100, 25, 1)
    fitted = learner(1).fit(first, X_pair=[second, third], validation_data=(held, more))
    own = (25 * 25 * 100) ** (1 / 3)
    assert fitted.mi_.n_candidates == round(own)
    assert fitted.mi_.ceiling == pytest.approx(np.log(round(own)))
    assert any(f"log({round(own)})" in line for line in fitted.mi_.warnings)


def test_stopping_needs_rows_that_share_two_tables():
    tables = [np.random.default_rng(k).normal(size=(60, 2)) for k in range(3)]
    for k, table in enumerate(tables):
        table[k::3] = np.nan
    with pytest.raises(ValueError, match="needs rows to stop by, but no two of"):
        learner(early_stopping=5, batch_size=16).fit(tables[0], X_pair=tables[1:])


def test_a_stream_leaves_out_rows_without_two_tables():
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    held, some = X[:10].copy(), X.copy()
    some[:5] = np.nan
    view = Columns([0], [1], [2, 3])
    loader = DataLoader(TensorDataset(torch.as_tensor(some)), batch_size=60)
    fitted = learner(view=view, batch_size=16).fit(loader, validation_data=held)
    assert np.isfinite(fitted.transform(X)).all()


@pytest.mark.parametrize("output", ["first", "with-columns"])
def test_an_exported_module_gives_nan_where_transform_does(output):
    fitted = learner(output=output).fit(A, X_pair=[B, C])
    expected = fitted.transform(A)
    assert np.isnan(expected).any()
    found = fitted.export()(torch.as_tensor(A)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("output", ["first", "second", "both"])
def test_an_exported_module_of_sets_of_columns_gives_nan_where_transform_does(output):
    frame, view = np.hstack([A, B, C]), Columns(*SETS)
    fitted = learner(output=output, view=view).fit(frame)
    expected = fitted.transform(frame)
    assert np.isnan(expected).any()
    found = fitted.export(check=False)(torch.as_tensor(frame)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5, equal_nan=True)


def test_gradients_are_those_of_the_pairwise_complete_rows():
    draw = torch.Generator().manual_seed(0)
    z_x, z_y = (torch.randn(*shape, generator=draw) for shape in ((12, 2), (12, 7)))
    present = torch.rand(12, 3, generator=draw) < 0.6
    shapes = [(2,), (3,), (4,)]
    critic = Multiview().build_critic(Bilinear(), shapes)
    mask = torch.rand(12, 12, generator=draw) < 0.7
    codes = Codes(z_x, z_y, critic, negatives=mask, present=present)
    tables = [z_x, z_y[:, :3], z_y[:, 3:]]
    compared = Multiview().build(shapes)(codes, None)
    for one, (i, j), part in zip(compared, EVERY, critic.critics, strict=True):
        both = (present[:, i] & present[:, j]).nonzero().squeeze(1)
        torch.testing.assert_close(one.scores, part(tables[i][both], tables[j][both]))
        assert torch.equal(one.negatives, mask[both][:, both])


def test_rows_that_lack_a_table_do_not_touch_its_encoder():
    """Values of the present tables of rows that share no pair change nothing."""
    alone = PRESENT.sum(axis=1) == 1
    assert alone.sum() > 3
    changed = [table.copy() for table in TABLES]
    for table, has in zip(changed, PRESENT.T, strict=True):
        table[alone & has] += 100
    one = learner(validation_fraction=0).fit(A, X_pair=[B, C])
    other = learner(validation_fraction=0).fit(changed[0], X_pair=changed[1:])
    np.testing.assert_allclose(one.transform(A)[~alone], other.transform(A)[~alone], atol=1e-6)


def test_two_tables_are_trained_on_the_rows_that_have_both():
    both = PRESENT[:, 0] & PRESENT[:, 1]
    lacked = learner(validation_fraction=0).fit(A, X_pair=B)
    complete = learner(validation_fraction=0).fit(A[both], X_pair=B[both])
    np.testing.assert_allclose(lacked.transform(A[both]), complete.transform(A[both]), atol=1e-6)
    score = lacked.score(A, X_pair=B)
    assert score == pytest.approx(complete.score(A[both], X_pair=B[both]), abs=1e-6)
    first, second = lacked.transform_views(A, X_pair=B)
    assert len(first) == len(second) == both.sum()


def test_codes_of_what_a_row_lacks_are_nan(tmp_path):
    fitted = learner().fit(A, X_pair=[B, C])
    with pytest.warns(MIWarning, match=f"{(~PRESENT[:, 0]).sum()} of {N} rows have no value in X"):
        warnings.simplefilter("always")
        Z = fitted.transform(A)
    assert np.array_equal(~np.isnan(Z), np.repeat(PRESENT[:, :1], 2, axis=1))
    pairs = fitted.transform_pair([B, C])
    assert np.array_equal(~np.isnan(pairs), np.repeat(PRESENT[:, 1:], 2, axis=1))
    fitted.save(tmp_path / "learner")
    for again in (load(tmp_path / "learner"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.transform(A), Z)
        np.testing.assert_array_equal(again.transform_pair([B, C]), pairs)


def test_rows_may_lack_tables_for_the_first_time_after_fit():
    fitted = learner().fit(WHOLE[0], X_pair=WHOLE[1:])
    assert not any("lack" in line for line in fitted.mi_.warnings)
    value = by_hand(fitted, EVERY)
    assert fitted.score(A, X_pair=[B, C]) == pytest.approx(value, abs=1e-5)
    assert np.isnan(fitted.transform(A)[~PRESENT[:, 0]]).all()


def test_sets_of_columns_are_tables():
    X, view = np.hstack(TABLES), Columns(*SETS)
    sets = learner(view=view, standardize=False).fit(X)
    tables = learner(standardize=False).fit(A, X_pair=[B, C])
    codes = np.hstack([tables.transform(A), tables.transform_pair([B, C])])
    np.testing.assert_allclose(sets.transform(X), codes, atol=1e-6)
    assert np.array_equal(np.isnan(sets.transform(X)), np.isnan(codes))
    np.testing.assert_array_equal(sets.transform_pair([B, C]), sets.transform(X)[:, 2:])
    assert sets.score(X) == pytest.approx(tables.score(A, X_pair=[B, C]), abs=1e-5)
    noisy = learner(view=Compose(view, GaussianNoise(0.1))).fit(X)
    assert np.array_equal(np.isnan(noisy.transform(X)), np.isnan(codes))
    two = learner(view=Columns(*SETS[:2])).fit(X[:, :7])
    assert np.isnan(two.transform(X[:, :7])[~PRESENT[:, 1], 2:]).all()


def test_single_gaps_beside_whole_ones_are_flagged():
    """A row without the table is no gap; a value that is missing in a row with the table is."""
    b = pd.DataFrame(B, columns=list("pqr")).assign(
        site=np.where(PRESENT[:, 1], np.array(["x", "y", "z"])[np.arange(N) % 3], None)
    )
    how = {"n_components": None, "encoder_y": "identity", "critic": "separable"}
    fitted = learner(**how).fit(A, X_pair=[b, C])
    whole, gappy = PRESENT[:, 1].argmax(), b.copy()
    gappy.loc[whole, "q"] = np.nan
    part = fitted._schemas[1].parts[0]
    assert list(part.column_names) == ["p", "q", "r", "site_x", "site_y", "site_z"]
    part = learner(**how).fit(A, X_pair=[gappy, C])._schemas[1].parts[0]
    assert list(part.column_names) == ["p", "q", "q_missing", "r", "site_x", "site_y", "site_z"]
    codes = fitted.transform_pair([gappy, C])
    assert np.array_equal(np.isnan(codes[:, :6]).all(axis=1), ~PRESENT[:, 1])
    assert np.isfinite(codes[whole, :6]).all()


def test_confounds_leave_what_is_not_there():
    confounds = np.random.default_rng(3).normal(size=(N, 2))
    moved = [table + confounds @ np.ones((2, table.shape[1])) for table in TABLES]
    plain = learner().fit(A, X_pair=[B, C], confounds=confounds)
    other = learner().fit(moved[0], X_pair=moved[1:], confounds=confounds)
    Z, Z_moved = (
        each.transform(table, confounds=confounds)
        for each, table in ((plain, A), (other, moved[0]))
    )
    np.testing.assert_allclose(Z_moved, Z, atol=1e-4)
    assert np.array_equal(np.isnan(Z[:, 0]), ~PRESENT[:, 0])


def test_online_and_checkpoints(tmp_path):
    fitted = learner().fit(A, X_pair=[B, C]).partial_fit(A, X_pair=[B, C])
    assert np.isfinite(fitted.transform(A)[PRESENT[:, 0]]).all()
    path = tmp_path / "checkpoint"
    halted = learner().fit_iter(A, X_pair=[B, C], at=(2, 5), checkpoint=path)
    next(halted), next(halted)
    resumed, whole = learner(), learner()
    assert list(resumed.fit_iter(A, X_pair=[B, C], at=(2, 5), checkpoint=path)) == [5]
    list(whole.fit_iter(A, X_pair=[B, C], at=(2, 5)))
    np.testing.assert_array_equal(resumed.transform(A), whole.transform(A))


@pytest.mark.parametrize("objective", ["vicreg", "js", "infonce-symmetric", "nwj"])
def test_other_objectives_take_them(objective):
    fitted = learner(objective=objective).fit(A, X_pair=[B, C])
    assert np.isfinite(fitted.transform(A)[PRESENT[:, 0]]).all()
    assert np.isfinite(fitted.mi_.objective.value)


@pytest.mark.parametrize(
    ("present", "params", "told"),
    [
        ([(1, 1, 0)] * 60 + [(1, 0, 1)] * 30, {}, "Tables 1 and 2 are compared, but 0 of"),
        (PRESENT, {"negatives": Queue(momentum=None)}, "needs all of them; take negatives='batch'"),
        (PRESENT, {"negatives": Hard(3)}, "needs all of them; take negatives='batch'"),
        (PRESENT, {"comparison": "whole"}, "comparison='whole' needs all of them"),
    ],
)
def test_what_needs_every_table_is_told(present, params, told):
    tables = [
        np.where(np.array(has, bool)[:, None], table, np.nan)
        for has, table in zip(np.transpose(present), WHOLE, strict=True)
    ]
    warnings.simplefilter("ignore")
    with pytest.raises(ValueError, match=told):
        learner(**params).fit(tables[0], X_pair=tables[1:])


def test_two_tables_without_common_rows_are_told():
    first, second = np.full_like(WHOLE[0], np.nan), WHOLE[1].copy()
    first[:50], second[:49] = WHOLE[0][:50], np.nan
    with pytest.raises(ValueError, match="Tables 0 and 1 are compared, but 1 of 90 rows"):
        learner().fit(first, X_pair=second)


def test_no_pair_in_common_can_be_a_core():
    present = np.array([(1, 1, 0)] * 45 + [(1, 0, 1)] * 45, bool)
    tables = [
        np.where(has[:, None], table, np.nan) for has, table in zip(present.T, WHOLE, strict=True)
    ]
    fitted = learner(comparison=Multiview(core=0)).fit(tables[0], X_pair=tables[1:])
    assert np.isfinite(fitted.mi_.value)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 8])
def test_rows_that_lack_tables_help(seed):
    """Of 600 rows about 40 have all three tables, 100 each two. Latents of new rows, linearly."""
    latent, tables = make_tables(1000, seed=seed, widths=(30, 30, 30), noise=2.0)
    present, gappy = lacking(tables, share=0.6, seed=seed + 1)
    complete = present.all(axis=1) & (np.arange(1000) < 600)
    found = {}
    for name, rows in {"every": slice(0, 600), "complete": complete}.items():
        a, *others = (table[rows] for table in gappy)
        fitted = learner(2, max_steps=100, lr=0.02).fit(a, X_pair=others)
        a, *others = (table[600:] for table in tables)
        Z = np.hstack([fitted.transform(a), fitted.transform_pair(others)])
        probe = LinearRegression().fit(Z[:200], latent[600:800])
        found[name] = probe.score(Z[200:], latent[800:])
    assert found["every"] > found["complete"] + 0.1


@pytest.mark.parametrize("given", [{}, {"X_pair": WHOLE[1]}], ids=["one table", "two"])
def test_codes_look_for_gaps_only_where_rows_may_lack_a_table(monkeypatch, given):
    fitted, isnan, looks = learner().fit(WHOLE[0], **given), torch.Tensor.isnan, []
    monkeypatch.setattr(torch.Tensor, "isnan", lambda x: looks.append(1) or isnan(x))
    fitted.transform(WHOLE[0])
    assert len(looks) == 1  # the first layer, which fills gaps, once a block
    if given:
        codes = fitted.transform(A)
        assert len(looks) > 2
        np.testing.assert_array_equal(np.isnan(codes).all(axis=1), ~PRESENT[:, 0])
