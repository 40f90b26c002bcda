"""Weights of columns: what they multiply, what they leave out, what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.preparation import Given
from sklearn_mi.processes import ALONE
from sklearn_mi.views import Columns

N = 60
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 4)) * [1, 10, 100, 1000] + 5
FRAME = pd.DataFrame(X, columns=list("abcd"))
WEIGHTS = [2.0, 1.0, 0.0, 0.5]


def learner(**params):
    given = {"encoder": "identity", "critic": "bilinear", "max_steps": 2, "random_state": 0}
    return MIRepresentationLearner(**{**given, **params})


@pytest.mark.parametrize("standardize", ["auto", True, False])
def test_scaled_columns_are_multiplied(standardize):
    plain = learner(standardize=standardize).fit(X).transform(X)
    fitted = learner(standardize=standardize, column_weights=WEIGHTS).fit(X)
    np.testing.assert_allclose(fitted.transform(X), plain * WEIGHTS, rtol=1e-5, atol=1e-6)
    assert (fitted.transform(X)[:, 2] == 0).all()


def test_by_name_and_by_position_are_one():
    by_name = learner(column_weights={"d": 0.5, "c": 0, "a": 2}).fit(FRAME)
    by_position = learner(column_weights=np.array(WEIGHTS)).fit(FRAME)
    np.testing.assert_array_equal(by_name.transform(FRAME), by_position.transform(FRAME))


def test_all_numbers_of_a_column_get_its_weight():
    frame = FRAME.assign(site=np.array(list("xyz"))[np.arange(N) % 3])
    frame.loc[3, "a"] = np.nan
    plain = learner().fit(frame)
    fitted = learner(column_weights={"site": 3, "a": 0}).fit(frame)
    names = plain.get_feature_names_out()
    factors = [3 if "site" in name else 0 if name in ("a", "a_missing") else 1 for name in names]
    assert factors == [0, 0, 1, 1, 1, 3, 3, 3]
    expected = plain.transform(frame) * factors
    np.testing.assert_allclose(fitted.transform(frame), expected, rtol=1e-5, atol=1e-6)


def test_neighbours_are_those_of_the_weighted_columns():
    """Column 0 makes pairs of rows; the rest is noise, until it has no weight."""
    pairs = np.repeat(rng.normal(size=30), 2)
    table = np.column_stack([pairs, rng.normal(size=(N, 6))])
    fitted = learner(view="neighbors", column_weights=[1, *[0] * 6], validation_fraction=0)
    run = fitted._prepare(table, Given(), ALONE, fresh=True)
    state = run.net.model.state.tensors()
    references = state["references"].numpy() if "references" in state else None
    assert references is not None
    assert (references[:, 1:] == 0).all()
    assert np.ptp(references[:, 0]) > 0


def test_a_second_table_is_not_weighed():
    B = rng.normal(size=(N, 2))
    plain, fitted = learner().fit(X, X_pair=B), learner(column_weights=WEIGHTS).fit(X, X_pair=B)
    np.testing.assert_array_equal(fitted.transform_pair(B), plain.transform_pair(B))


def test_sets_of_columns_are_weighed():
    view = Columns([0, 1], [2, 3])
    plain, fitted = learner(view=view).fit(X), learner(view=view, column_weights=WEIGHTS).fit(X)
    np.testing.assert_allclose(fitted.transform(X), plain.transform(X) * WEIGHTS, atol=1e-5)
    second = fitted.transform_pair(X[:, 2:])
    np.testing.assert_allclose(second, fitted.transform(X)[:, 2:], atol=1e-6)


def test_they_are_frozen_and_saved(tmp_path):
    fitted = learner(column_weights={"a": 2, "c": 0}).fit(FRAME)
    Z = fitted.transform(FRAME)
    fitted.save(tmp_path / "learner")
    again = load(tmp_path / "learner")
    assert again.column_weights == {"a": 2, "c": 0}
    for same in (again, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(same.transform(FRAME), Z)
        same.partial_fit(FRAME)
    assert clone(fitted).column_weights == fitted.column_weights
    fitted.column_weights = {"a": 3}
    np.testing.assert_array_equal(fitted.transform(FRAME), Z)
    with pytest.raises(ValueError, match="column_weights={'a': 3}: the model was built with"):
        fitted.partial_fit(FRAME)


def test_a_module_to_export_has_them():
    fitted = learner(column_weights=WEIGHTS).fit(X)
    codes = fitted.export(check=False)(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(codes, fitted.transform(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1, 1], "column_weights has 2 numbers, but X has 4 columns"),
        ([1, 1, 1, -1], "column_weights holds -1; expected one number a column"),
        ([1, 1, 1, np.nan], "column_weights holds nan"),
        ([1, 1, 1, np.inf], "column_weights holds inf"),
        ([1, 1, 1, "2"], r"column_weights=\[1, 1, 1, '2'\]; expected one number"),
        ([[1, 1, 1, 1]], r"column_weights=\[\[1, 1, 1, 1\]\]; expected one number"),
        ({"a": -2}, "column_weights holds -2"),
        ([0, 0, 0, 0], r"column_weights=\[0, 0, 0, 0\] leaves out every column"),
        ([1, 1, 1, 1e300], "column_weights holds 1e\\+300"),
        ({"e": 1}, r"names columns \['e'\], which are not there; X has \['a', 'b', 'c', 'd'\]"),
        (pd.Series({"a": 1}), r"column_weights is a Series; pass column_weights.to_dict"),
        (2.0, "The 'column_weights' parameter"),
    ],
)
def test_wrong_weights_are_told(weights, told):
    with pytest.raises(ValueError, match=told):
        learner(column_weights=weights).fit(FRAME)


def test_rows_without_such_columns_are_told():
    with pytest.raises(ValueError, match="column_weights is a dict, but X has no column names"):
        learner(column_weights={"a": 1}).fit(X)
    for images in (rng.random((N, 8, 8)), rng.normal(size=(N, 9, 2))):
        with pytest.raises(ValueError, match="column_weights weigh the columns of a table, but"):
            MIRepresentationLearner(column_weights=[1], max_steps=1).fit(images)
