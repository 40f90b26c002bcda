import numpy as np
import pytest

from sklearn_mi import MIEstimator
from sklearn_mi._base import MIWarning
from sklearn_mi.information.classes import fit_class_ratio


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.slow
def test_a_class_of_one_row_among_many_is_no_error():
    X, y = rng().normal(size=(12000, 2)), rng(1).integers(0, 2, 12000)
    y[5] = 2
    ratio = fit_class_ratio(
        (X[:11000], y[:11000]), (X[11000:], y[11000:]), np.arange(3), marginals="ranks", seed=0
    )
    np.testing.assert_allclose(ratio.pairs(X[11000:], y[11000:]).mean(), 0, atol=0.02)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("method", ["closed-form", "classifier"])
def test_tiny_classes_are_read_without_warnings(rows, method):
    X, y = rng().normal(size=(60, 3)), np.arange(60) % 2
    y[:rows] = 2
    names = np.array(["a", "b", "c"])[y]
    mi = MIEstimator(method, n_folds=2, split_test=False, random_state=0).fit(X, names).mi_
    assert 0 <= mi.value <= np.log(3)


def test_an_unseen_class_is_an_error_and_an_unseen_category_a_warning():
    X, y = rng().normal(size=(80, 2)), np.array(["a", "b"])[np.arange(80) % 2]
    other = np.where(np.arange(80) == 3, "c", y)
    how = {"n_folds": 2, "split_test": False, "random_state": 0}
    by_class = MIEstimator("closed-form", **how).fit(X, y)
    with pytest.raises(ValueError, match="Y holds 'c', which fit did not see; expected classes"):
        by_class.score(X, other)
    labels = MIEstimator("closed-form", **how).fit(y[:, None], y)
    with pytest.warns(MIWarning, match="categories that fit did not see"):
        values = labels.pointwise(y[:, None], other)
    assert values[3] == 0
