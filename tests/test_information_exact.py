import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter1d

from sklearn_mi import MIEstimator
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.exact import _spline, exact_relation, predicted_information
from sklearn_mi.information.pairs import Pairs, is_wide_pair


def rng(seed=0):
    return np.random.default_rng(seed)


def fact(X, Y, **how):
    x, y = (Coded(A, np.zeros(A.shape[1], bool)) for A in map(two_dimensional, (X, Y)))
    wide = is_wide_pair(x, y)
    return exact_relation(Pairs(x.values, y.values, x=x, y=y, is_wide=wide, **how))


def two_dimensional(table):
    table = np.asarray(table, dtype=float)
    return table.reshape(len(table), -1)


def orthogonal(d, draws):
    return np.linalg.qr(draws.normal(size=(d, d)))[0]


def functions(n, seed):
    """Return pairs of tables, by name, in which a column of Y is a function of X."""
    draws = rng(seed)
    X, X5, other = (draws.normal(size=(n, k)) for k in (3, 5, 2))
    pair = X[:, :2] @ orthogonal(2, draws)
    return {
        "identity": (X, np.column_stack([other, X[:, 1]])),
        "absolute": (X, np.abs(X[:, 0])),
        "monotone": (np.exp(X[:, :1]), np.column_stack([X[:, 0], other])),
        "cosine": (X, np.column_stack([np.cos(2 * X[:, 0]), other])),
        "sum": (X, np.sin(2 * X[:, 0]) + X[:, 1]),
        "product": (X, X[:, 0] * X[:, 1]),
        "rotated pair": (X[:, :2], np.tanh(pair)),
        "index": (X5, np.tanh(1.5 * X5 @ orthogonal(5, draws)[:, 0])),
        "heavy tails": (draws.standard_cauchy((n, 1)), None),
        "rectified": (X, np.maximum(X[:, 0], 0)),
    }


def both_ways():
    for name, (X, Y) in functions(400, seed=1).items():
        yield pytest.param(X, np.abs(X[:, 0]) if Y is None else Y, id=name)


@pytest.mark.parametrize(("X", "Y"), list(both_ways()))
def test_functions_are_found_with_either_table_as_the_target(X, Y):
    assert fact(X, Y) is not None
    assert fact(two_dimensional(Y), two_dimensional(X)) is not None


def test_the_column_is_named_by_its_place_in_the_table_that_was_passed():
    draws = rng()
    X, Y = draws.normal(size=(200, 3)), draws.normal(size=(200, 3))
    Y[:, 2] = np.abs(X[:, 1])
    codes = np.column_stack([draws.integers(0, 3, 200), Y]).astype(float)
    y = Coded(codes, np.array([True, False, False, False]))
    pairs = Pairs(X, Y, x=Coded(X, np.zeros(3, bool)), y=y)
    assert str(exact_relation(pairs)).startswith("column 3 of Y is a function of X")


@pytest.mark.parametrize("n", [200, 1000])
def test_noise_of_five_per_cent_is_no_function(n):
    for seed in range(3):
        for name, (X, Y) in functions(n, seed).items():
            if Y is not None and name != "rectified":
                draws, Y = rng(seed + 10), two_dimensional(Y)
                noisy = Y + 0.05 * Y.std(axis=0) * draws.normal(size=Y.shape)
                X = X + 0.05 * X.std(axis=0) * draws.normal(size=X.shape)
                assert fact(X, noisy) is None, name


@pytest.mark.parametrize(("p", "q"), [(60, 21), (100, 21), (400, 30)])
def test_a_shared_column_and_sums_are_found_among_many(p, q):
    draws = rng()
    X, Y = draws.normal(size=(100, p)), draws.normal(size=(100, q))
    assert fact(X, Y) is None
    for column in (X[:, 7], np.exp(X[:, 7]), X[:, 7] - 0.5 * X[:, 9]):
        Y[:, 5] = column
        assert "column 5 of Y" in str(fact(X, Y))
        assert fact(Y, X) is not None


def test_steps_have_a_finite_entropy():
    x = rng().normal(size=(500, 2))
    for y in (np.floor(3 * x[:, 0]), np.sign(x[:, 0]), np.round(x[:, 0], 1), x[:, 0] > 0):
        assert fact(x, y) is None


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_units_and_precision_do_not_matter(scale):
    x = np.clip(rng().normal(size=(300, 2)), -3, 3)
    assert fact(x * scale, np.abs(x[:, :1])) is not None
    assert fact(x, np.abs(x[:, :1]) * scale) is not None
    rounded = np.column_stack([(x[:, 0] - x[:, 1]).round(4), rng(1).normal(size=300)])
    assert fact(x.round(4), rounded) is not None
    single = (x.astype(np.float32) @ np.ones(2, np.float32))[:, None]
    assert fact(x.astype(np.float32) + np.float32(0), single) is not None


def test_smooth_series_are_no_functions_of_each_other():
    draws = rng()
    smooth = [gaussian_filter1d(draws.normal(size=(2000, 2)), 20, axis=0) for _ in "xy"]
    assert fact(*smooth) is None


def test_copies_of_rows_are_no_function():
    draws = rng()
    X, Y = (np.repeat(draws.normal(size=(100, 2)), 5, axis=0) for _ in "xy")
    X, Y = (A + 1e-6 * draws.normal(size=A.shape) for A in (X, Y))
    assert fact(X, Y, groups=np.repeat(np.arange(100), 5)) is None


def test_columns_without_rows_or_variance_tell_nothing():
    x = rng().normal(size=(300, 2))
    assert fact(np.ones((300, 3)), x) is None
    assert fact(x[:8], x[:8]) is None
    assert fact(np.repeat(x[:, :1], 30, axis=1), np.repeat(x[:, 1:], 30, axis=1)) is None


def test_predicted_information_is_that_of_noise():
    x = rng().normal(size=(2000, 1))
    y = x + 0.1 * rng(1).normal(size=(2000, 1))
    both = (Coded(A, np.zeros(1, bool)) for A in (x, y))
    found = predicted_information(Pairs(x, y, "ratio", None, *both))
    np.testing.assert_allclose(found, 0.5 * np.log1p(100), atol=0.05)


def test_the_estimator_says_at_least():
    draws = rng()
    X, Y = draws.normal(size=(100, 60)), draws.normal(size=(100, 21))
    Y[:, 5] = X[:, 7]
    few = rng(1).normal(size=(200, 3))
    for tables in ((X, Y), (few, np.abs(few[:, 0]))):
        mi = MIEstimator("closed-form", n_folds=2, random_state=0).fit(*tables).mi_
        assert mi.at_least
        assert mi.interval[1] == np.inf
        assert any("is a function of X without noise" in text for text in mi.warnings)


def test_a_curve_of_repeated_values_is_that_of_plain_least_squares():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=60), rng.integers(1, 4, size=60))
    y = np.sin(x) + 0.1 * rng.normal(size=len(x))
    curve = _spline(x, y)
    design = BSpline.design_matrix(x, curve.t, 3).toarray()
    assert np.allclose(curve(x), design @ np.linalg.lstsq(design, y, rcond=None)[0])
