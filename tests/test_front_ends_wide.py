"""The factors of wide tables: held against compression, and in pairs through the learner."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris

import sklearn_mi
from sklearn_mi import MIRepresentationLearner, compression
from sklearn_mi.datasets import make_two_omics
from sklearn_mi.front_ends import Factors
from sklearn_mi.matching import best_pairs
from sklearn_mi.rows import FrontLayer

TABLES = make_two_omics(150, 200, 120, n_shared=2, n_own=1, random_state=0)
X, Y = (torch.as_tensor(table, dtype=torch.float32) for table in TABLES[:2])


def test_factors_are_those_of_compression_up_to_one_scale():
    rows = X[:100]
    found = compression.Factors(rows.numpy(), 0)
    k = found.components.n_signals
    A = np.eye(len(found.components.values), k)
    expected = found.project(X[100:].numpy(), found.coefficients(A))
    expected = expected * np.sqrt(found.components.values[:k])
    features = Factors()(X[100:], Factors().fit(rows, 0)).numpy()
    ratios = features / expected
    assert k == 3
    np.testing.assert_allclose(ratios, np.full_like(ratios, ratios[0, 0]), rtol=1e-3)


def test_features_of_the_training_rows_are_uncorrelated_with_mean_variance_1():
    covariance = np.cov(Factors()(X, Factors().fit(X, 0)).numpy().T)
    assert np.trace(covariance) / 3 == pytest.approx(1, rel=0.02)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)


def test_units_do_not_matter_nor_do_the_other_rows_of_a_batch():
    state = Factors().fit(X, 0)
    other = Factors().fit(X.exp(), 0)
    features = Factors()(X, state)
    torch.testing.assert_close(Factors()(X.exp(), other), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(Factors()(X[7:8], state), features[7:8], rtol=1e-4, atol=1e-4)


def test_ties_share_their_mean_rank():
    counts = make_two_omics(150, 200, 120, counts=True, random_state=0).X
    assert (np.diff(np.sort(counts, axis=0), axis=0) == 0).any()
    rows = torch.as_tensor(counts, dtype=torch.float32)
    found = compression.Factors(rows[:100].numpy(), 0)
    k = found.components.n_signals
    A = np.eye(len(found.components.values), k)
    expected = found.project(rows[100:].numpy(), found.coefficients(A))
    features = Factors()(rows[100:], Factors().fit(rows[:100], 0)).numpy()
    for j in range(k):
        assert np.corrcoef(features[:, j], expected[:, j])[0, 1] > 0.9999


def test_a_column_keeps_at_most_a_thousand_values(monkeypatch):
    state = Factors().fit(X, 0)
    assert state["known"].shape == (200, 150)
    monkeypatch.setattr("sklearn_mi.front_ends.factors.MOST_VALUES", 50)
    small = Factors().fit(X, 0)
    assert small["known"].shape == (200, 50)
    whole, cut = (Factors()(X, each).numpy() for each in (state, small))
    for j in range(whole.shape[1]):
        assert np.corrcoef(whole[:, j], cut[:, j])[0, 1] > 0.99


def test_the_number_can_be_given_and_noise_alone_gives_ten():
    assert Factors(5)(X, Factors(5).fit(X, 0)).shape == (150, 5)
    noise = torch.randn(100, 300, generator=torch.Generator().manual_seed(1))
    assert Factors()(noise, Factors().fit(noise, 0)).shape == (100, 10)
    with pytest.raises(ValueError, match="n_components=0; expected a positive integer"):
        Factors(0).fit(X, 0)
    with pytest.raises(ValueError, match="takes the rows of a table"):
        Factors().fit(X[:, None], 0)


def test_a_pair_keeps_as_many_factors_as_tell_of_the_partner():
    # Forty strong latents of each table alone, and two that both share, which are the strongest.
    rng = np.random.default_rng(0)
    shared, tables = rng.normal(size=(300, 2)), []
    for width in (400, 350):
        latents = np.hstack([12 * shared, 2.5 * rng.normal(size=(300, 40))])
        directions = np.linalg.qr(rng.normal(size=(width, 42)))[0]
        rows = latents @ directions.T + rng.normal(size=(300, width))
        tables.append(torch.as_tensor(rows, dtype=torch.float32))
    alone = Factors()(tables[0], Factors().fit(tables[0], 0))
    states = Factors().fit_pair(*tables, 0)
    first, second = (Factors()(x, state) for x, state in zip(tables, states, strict=True))
    assert alone.shape[1] > 30
    assert first.shape[1] == second.shape[1] == 10


def test_wide_pairs_get_factors_by_default_and_narrow_tables_stay(tmp_path):
    learner = MIRepresentationLearner(max_steps=3, random_state=0).fit(X, X_pair=Y)
    layers = learner._model.scales
    assert learner.choices_["front_end"].value == "factors"
    assert repr(learner.choices_["encoder"].value).startswith("Joined(")
    assert [type(layer) for layer in layers] == [FrontLayer, FrontLayer]
    learner.save(tmp_path / "learner.safetensors")
    again = sklearn_mi.load(tmp_path / "learner.safetensors")
    np.testing.assert_array_equal(again.transform(X), learner.transform(X))
    np.testing.assert_array_equal(again.transform_pair(Y), learner.transform_pair(Y))
    beside = MIRepresentationLearner(max_steps=3, random_state=0).fit(X, X_pair=Y[:, :5])
    assert [type(layer) is FrontLayer for layer in beside._model.scales] == [True, False]
    assert beside.transform_pair(Y[:4, :5]).shape == (4, 64)


@pytest.mark.parametrize(
    ("first", "second"), [(X[:, :20], Y[:, :20]), (X, None)], ids=["narrow pair", "one table"]
)
def test_others_keep_their_columns(first, second):
    learner = MIRepresentationLearner(max_steps=2, random_state=0).fit(first, X_pair=second)
    assert "front_end" not in learner.choices_
    assert learner._model.recipe.front_end is None


def test_several_tables_keep_their_columns_and_refuse_factors():
    tables = [Y[:, :60], Y[:, 60:]]
    learner = MIRepresentationLearner(max_steps=2, random_state=0).fit(X[:, :60], X_pair=tables)
    assert learner._model.recipe.front_end is None
    images = np.zeros((20, 8, 8), dtype=np.uint8)
    images[:, 2, 2] = np.arange(20)
    with pytest.raises(ValueError, match="front_end='factors' makes features of tables"):
        MIRepresentationLearner(front_end="factors", max_steps=2).fit(images)


def test_one_table_takes_factors_by_name():
    learner = MIRepresentationLearner(front_end="factors", output="first", max_steps=2)
    codes = learner.fit(TABLES.X[:100]).transform(TABLES.X[100:])
    assert codes.shape == (50, 64)


@pytest.mark.slow
@pytest.mark.parametrize("counts", [False, True])
def test_partners_in_wide_tables_are_found_by_default(counts):
    first, second, _ = make_two_omics(700, 2000, 300, counts=counts, random_state=100)
    learner = MIRepresentationLearner(random_state=0).fit(first[:500], X_pair=second[:500])
    schemas = learner._schemas
    _, found = best_pairs(learner, learner._model, schemas, first[500:], second[500:], 10, "critic")
    assert (found == np.arange(200)[:, None]).any(axis=1).mean() >= 0.85


def memorises(learner):
    return any("memorises" in fact for fact in learner.mi_.warnings)


def test_a_critic_that_memorises_is_told():
    first, second, _ = make_two_omics(300, 500, 200, random_state=0)
    learner = MIRepresentationLearner(front_end=None, max_steps=100, random_state=0)
    assert memorises(learner.fit(first, X_pair=second))
    assert memorises(learner.fit(X[:, :20], X_pair=X[:, :20].flip(0)))


@pytest.mark.slow
def test_usual_generalisation_is_not_called_memory():
    assert not memorises(MIRepresentationLearner(random_state=0).fit(load_iris().data))
    first, second, _ = make_two_omics(300, 500, 200, random_state=0)
    assert not memorises(MIRepresentationLearner(random_state=0).fit(first, X_pair=second))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(-1, 64), (-1, 8, 8)])
def test_digits_are_not_memorised(shape):
    assert not memorises(
        MIRepresentationLearner(random_state=0).fit(load_digits().data.reshape(shape))
    )
