"""Confounds: their linear part is taken out of the tables, as numpy's least squares has it."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_mi import MIRepresentationLearner, MIWarning, load
from sklearn_mi.preparation import Given
from sklearn_mi.processes import ALONE
from sklearn_mi.rows import Data, fit_confounds, read_confounds, without_confounds
from sklearn_mi.rows.checks import read_table
from sklearn_mi.views import Columns

N, P, Q = 80, 5, 2
rng = np.random.default_rng(0)
C = rng.normal(size=(N, Q)) * [1, 100] + [0, 1e4]
X = rng.normal(size=(N, P)) + 3
B = rng.normal(size=(N, 3))
EFFECT, EFFECT_PAIR = rng.normal(size=(Q, P)), rng.normal(size=(Q, 3))
y = (X[:, 0] > 3).astype(int)


def learner(n_components=2, **params):
    given = {"encoder": "linear", "critic": "bilinear", "max_steps": 4, "random_state": 0}
    return MIRepresentationLearner(n_components, **{**given, **params})


def left_over(x, c, trained):
    """Residuals of numpy's least squares with an intercept, fitted on some rows."""
    design = np.column_stack([np.ones(len(c)), c])
    return x - design @ np.linalg.lstsq(design[trained], x[trained], rcond=None)[0]


def residuals(x, c, trained):
    rows = read_table(x, None, "X", "Learner")
    data = Data(rows, confounds=read_confounds(c, None, len(x), "Learner", is_fit=True))
    made = without_confounds(data, fit_confounds(data, trained)).first.source
    return made.take(np.arange(len(x))).numpy()


@pytest.mark.parametrize("kind", [np.float64, np.float32, "frame"])
def test_what_is_left_is_that_of_least_squares(kind):
    trained = np.arange(0, N, 2)
    given = pd.DataFrame(X) if kind == "frame" else X.astype(kind)
    found = residuals(given, C, trained)
    atol = 1e-4 if kind is np.float32 else 1e-10
    np.testing.assert_allclose(found, left_over(X, C, trained), rtol=0, atol=atol)


def test_a_column_with_gaps_is_fitted_where_it_is_there():
    x, trained = X.copy(), np.arange(60)
    x[5:15, 1] = np.nan
    there = np.setdiff1d(trained, np.arange(5, 15))
    found = residuals(x, C, trained)
    np.testing.assert_allclose(found[:, 0], left_over(X, C, trained)[:, 0], atol=1e-10)
    expected = left_over(X, C, there)[:, 1]
    expected[5:15] = np.nan
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-10)


def test_nothing_is_left_of_what_confounds_tell():
    x = np.column_stack([C @ [1.0, 2.0], np.full(N, 7.0), X[:, 0]])
    found = residuals(x, np.column_stack([C, C[:, 0] - 3 * C[:, 1]]), np.arange(N))
    assert (found[:, :2] == 0).all()
    np.testing.assert_allclose(found[:, 2], left_over(X, C, np.arange(N))[:, 0], atol=1e-6)


@pytest.mark.parametrize("standardize", [True, False])
def test_codes_do_not_see_what_confounds_add(standardize):
    plain, moved = learner(standardize=standardize), learner(standardize=standardize)
    plain.fit(X, X_pair=B, confounds=C)
    moved.fit(X + C @ EFFECT, X_pair=B + C @ EFFECT_PAIR, confounds=C)
    Z = plain.transform(X, confounds=C)
    np.testing.assert_allclose(moved.transform(X + C @ EFFECT, confounds=C), Z, atol=1e-4)
    pairs = moved.transform_pair(B + C @ EFFECT_PAIR, confounds=C)
    np.testing.assert_allclose(pairs, plain.transform_pair(B, confounds=C), atol=1e-4)
    score = plain.score(X, X_pair=B, confounds=C)
    moved_score = moved.score(X + C @ EFFECT, X_pair=B + C @ EFFECT_PAIR, confounds=C)
    assert moved_score == pytest.approx(score, abs=1e-4)


def test_codes_are_those_of_the_residuals():
    fitted = learner(validation_fraction=0).fit(X, X_pair=B, confounds=C)
    every = np.arange(N)
    x, b = left_over(X, C, every), left_over(B, C, every)
    by_hand = learner(validation_fraction=0).fit(x, X_pair=b)
    np.testing.assert_allclose(fitted.transform(X, confounds=C), by_hand.transform(x), atol=1e-4)


def test_held_out_rows_play_no_part():
    first, second = learner(validation_fraction=0.3), learner(validation_fraction=0.3)
    held_out = first._prepare(X, Given(confounds=C), ALONE, fresh=True).split[2]
    changed = X.copy()
    changed[held_out] += 1000 * C[held_out, :1]
    first.fit(X, confounds=C)
    second.fit(changed, confounds=C)
    for name, tensor in first.net_.model.confounds.state_dict().items():
        assert torch.equal(tensor, second.net_.model.confounds.state_dict()[name])


def test_categories_as_confounds():
    site = pd.DataFrame({"site": np.where(np.arange(N) % 3 == 0, "Rome", "Oslo"), "age": C[:, 0]})
    x = X + 5 * (np.arange(N) % 3 == 0)[:, None]
    found = residuals(x, site, np.arange(N))
    by_hand = np.column_stack([np.arange(N) % 3 == 0, C[:, 0]]).astype(float)
    np.testing.assert_allclose(found, left_over(x, by_hand, np.arange(N)), atol=1e-9)
    fitted = learner().fit(x, confounds=site)
    assert fitted.transform(x, confounds=site).shape == (N, 2)
    with pytest.raises(ValueError, match="confounds: The feature names should match"):
        fitted.transform(x, confounds=site[["age", "site"]])


def test_one_column():
    fitted = learner().fit(X, confounds=C[:, 0])
    for same in (C[:, :1], pd.Series(C[:, 0]).to_numpy(), list(C[:, 0]), torch.tensor(C[:, 0])):
        Z = fitted.transform(X, confounds=same)
        np.testing.assert_array_equal(Z, fitted.transform(X, confounds=C[:, 0]))


def test_all_methods_take_them(tmp_path):
    fitted = learner()
    Z = fitted.fit_transform(X, X_pair=B, confounds=C)
    np.testing.assert_array_equal(Z, fitted.transform(X, confounds=C))
    assert set(fitted.bounds(X, X_pair=B, confounds=C)) > {"objective"}
    np.testing.assert_allclose(fitted.transform_views(X, X_pair=B, confounds=C)[0], Z, atol=1e-5)
    fitted.partial_fit(X, X_pair=B, confounds=C)
    assert [step for step in learner().fit_iter(X, confounds=C, at=(1, 2))] == [1, 2]
    path = tmp_path / "learner.safetensors"
    fitted.save(path)
    Z = fitted.transform(X, confounds=C)
    for again in (load(path), pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(again.transform(X, confounds=C), Z)
        with pytest.raises(ValueError, match="fit was given confounds; pass confounds="):
            again.transform(X)


def test_a_checkpoint_belongs_to_its_confounds(tmp_path):
    path = tmp_path / "checkpoint"
    list(learner().fit_iter(X, confounds=C, at=(1, 2), checkpoint=path))
    assert list(learner().fit_iter(X, confounds=C, at=(1, 2), checkpoint=path)) == []
    with pytest.raises(ValueError, match="rows"):
        list(learner().fit_iter(X, confounds=C[::-1], at=(1, 2), checkpoint=path))


def test_a_pipeline_passes_them_on_and_cross_validation_cuts_them():
    with config_context(enable_metadata_routing=True):
        asks = learner().set_fit_request(confounds=True).set_transform_request(confounds=True)
        pipe = make_pipeline(asks, LogisticRegression())
        pipe.fit(X, y, confounds=C)
        by_hand = pipe[0].transform(X, confounds=C)
        np.testing.assert_array_equal(pipe.predict(X, confounds=C), pipe[1].predict(by_hand))
        done = cross_validate(pipe, X, y, params={"confounds": C}, cv=3, error_score="raise")
    assert np.isfinite(done["test_score"]).all()


@pytest.mark.parametrize(
    ("rows", "confounds", "told"),
    [
        (X, C[:-1], "X has 80 rows, but confounds has 79; expected one row for each."),
        (X, np.where(C < 0, np.nan, C), "confounds has missing values in columns \\[0\\]"),
        (X, C[:, None], "confounds has rows of shape"),
        (X, rng.normal(size=(N, 90)), "confounds makes 90 numbers of a row, and there are 72"),
        (sparse.csr_matrix(X), C, "confounds would make the sparse X dense; pass X.toarray"),
        (rng.random((N, 8, 8)), C, "confounds are taken out of columns of tables, but rows of X"),
        (rng.normal(size=(N, 9, 2)), C, "confounds are taken out of columns of tables"),
    ],
)
def test_what_cannot_be_used_is_told(rows, confounds, told):
    with pytest.raises(ValueError, match=told):
        learner(encoder="auto").fit(rows, confounds=confounds)


def test_a_module_to_export_takes_none():
    with pytest.raises(ValueError, match="export takes no learner that was given confounds"):
        learner().fit(X, confounds=C).export()


def test_with_and_without_are_told_apart():
    fitted = learner().fit(X, X_pair=B, confounds=C)
    for call in (
        lambda: fitted.transform(X),
        lambda: fitted.transform_pair(B),
        lambda: fitted.score(X, X_pair=B),
        lambda: fitted.score_pairs(X, B),
        lambda: fitted.partial_fit(X, X_pair=B),
    ):
        with pytest.raises(ValueError, match="fit was given confounds; pass confounds="):
            call()
    plain = learner().fit(X, X_pair=B)
    for call in (plain.transform, lambda X, confounds: plain.transform_pair(B, confounds=C)):
        with pytest.raises(ValueError, match="was fitted without; fit with confounds="):
            call(X, confounds=C)
    sets = learner(view=Columns([0, 1], [2, 3, 4])).fit(X, confounds=C)
    with pytest.raises(ValueError, match="taken out of all columns of X together; use transform"):
        sets.transform_pair(X[:, 2:], confounds=C)


def test_confounds_of_many_levels_new_levels_and_another_order_are_told():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(240, 3)), columns=list("abc"))
    many = pd.DataFrame({"id": [f"p{i % 120}" for i in range(240)]})
    one = MIRepresentationLearner(max_steps=2, random_state=0)
    with pytest.raises(
        ValueError, match="confounds has 120 levels in column 'id'; expected at most"
    ):
        one.fit(X, confounds=many)
    site = pd.DataFrame({"site": rng.choice(["n", "s", "w"], 240)})
    with pytest.raises(ValueError, match="confounds hold the same row labels in another order"):
        one.fit(X, confounds=site.sample(frac=1, random_state=0))
    one.fit(X, confounds=site)
    with pytest.warns(
        MIWarning, match="confounds holds 'x' in column 'site', which fit did not see"
    ):
        one.transform(X[:2], confounds=pd.DataFrame({"site": ["x", "n"]}))
