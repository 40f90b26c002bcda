import numpy as np
import pytest
from scipy.stats import chi2

from sklearn_mi.information.wide import (
    MOST_DIMENSIONS,
    _bartlett,
    _left_over,
    _LowRank,
    shared_dimensions,
    wide_guess,
)


def tables(n, p, q, strengths, *, seed=0, rho=0.0):
    """Return latents in white noise, or in columns that correlate by rho, and the information.

    With orthogonal loadings a latent of strength l has a reliability of l / (1 + l) in each table.
    """
    rng = np.random.default_rng(seed)
    k = len(strengths)
    latents = rng.normal(size=(n, k))
    sides = []
    for width in (p, q):
        loadings = np.linalg.qr(rng.normal(size=(width, max(k, 1))))[0].T[:k]
        noise = rng.normal(size=(n, width))
        for j in range(1, width if rho else 0):
            noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
        sides.append(latents @ (loadings * np.sqrt(strengths)[:, None]) + noise)
    reliability = np.asarray(strengths) / (1 + np.asarray(strengths))
    return *sides, -0.5 * np.log1p(-(reliability**2)).sum()


def guess(X, Y, **options):
    folds = np.random.default_rng(0).permutation(len(X)) % 5
    return wide_guess(X, Y, folds, confidence=0.95, seed=0, **options)


def count(X, Y, **options):
    folds = np.random.default_rng(0).permutation(len(X)) % 5
    return int(shared_dimensions(X, Y, folds, seed=0, **options)["is_shared"].sum())


@pytest.mark.parametrize("strengths", [(10.0, 10.0), (100.0, 30.0, 10.0)])
def test_number_is_near_the_truth(strengths):
    X, Y, true_mi = tables(400, 600, 200, strengths)
    found, dimensions = guess(X, Y)
    assert abs(found.value - true_mi) < 0.3
    assert found.interval[0] <= true_mi <= found.interval[1] < np.inf
    assert found.how == "low-rank copula (in-sample)"
    assert not found.at_least
    assert dimensions["is_shared"].sum() == len(strengths)


def test_many_more_columns_than_rows():
    X, Y, true_mi = tables(150, 1500, 1500, (40.0, 40.0))
    found, _ = guess(X, Y)
    assert found.interval[0] <= true_mi <= found.interval[1]
    assert abs(found.value - true_mi) < 0.5


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"strengths": (2.8, 2.8, 2.8)}, "weak"),
        ({"strengths": (20.0, 20.0), "rho": 0.5}, "correlated"),
        ({"strengths": (50.0, 1.3), "q": 80}, "more than their factors"),
    ],
)
def test_number_is_at_least_where_the_model_is_in_doubt(options, why):
    X, Y, true_mi = tables(**{"n": 400, "p": 800, "q": 200, **options})
    found, _ = guess(X, Y)
    assert found.at_least
    assert found.interval[1] == np.inf
    assert found.interval[0] < true_mi
    assert found.how.endswith("(held out)")
    assert any(why in warning for warning in found.warnings)


@pytest.mark.parametrize("seed", [0, 1])
def test_independent_tables_share_nothing(seed):
    X, Y, _ = tables(300, 400, 100, (), seed=seed)
    found, dimensions = guess(X, Y)
    assert abs(found.value) <= 0.02
    low, high = found.interval
    assert low == 0
    assert 0 < high < 0.25
    assert not dimensions["is_shared"].any()


def test_own_factors_of_each_table_are_no_information():
    X, _, _ = tables(300, 400, 4, (20.0,) * 4, seed=0)
    Y, _, _ = tables(300, 100, 2, (20.0, 20.0), seed=1)
    found, dimensions = guess(X, Y)
    assert abs(found.value) <= 0.02
    assert not dimensions["is_shared"].any()


def test_one_column_against_many():
    X, Y, true_mi = tables(300, 500, 1, (15.0,))
    found, _ = guess(X, Y)
    assert found.interval[0] <= true_mi <= found.interval[1]


@pytest.mark.parametrize("n_shared", [0, 1, 3])
@pytest.mark.parametrize("shape", [(400, 10, 8), (200, 300, 80)])
def test_dimensions_are_counted(shape, n_shared):
    X, Y, _ = tables(*shape, (12.0,) * n_shared)
    assert count(X, Y) == n_shared


def test_dimensions_of_independent_narrow_tables_are_rarely_shared():
    """5 % by Bartlett's test alone; folds alone would find some in a tenth of the draws."""
    counts = [count(*tables(120, 4, 4, (), seed=seed)[:2]) for seed in range(20)]
    assert np.mean(np.array(counts) > 0) <= 0.1


def test_correlations_are_those_of_new_rows():
    X, Y, _ = tables(400, 800, 200, (10.0, 10.0))
    folds = np.random.default_rng(0).permutation(400) % 5
    table = shared_dimensions(X, Y, folds, seed=0)
    assert list(table.index) == list(range(1, MOST_DIMENSIONS + 1))
    kept = [(1 - width / 320 / 100) / 1.1 for width in (800, 200)]
    expected = np.sqrt(kept[0] * kept[1])
    np.testing.assert_allclose(table["correlation"][:2], expected, atol=0.05)


def test_bartlett_agrees_with_its_formula():
    rng = np.random.default_rng(0)
    first, second = (np.linalg.qr(rng.normal(size=(50, d)))[0] for d in (3, 2))
    r = np.linalg.svd(first.T @ second)[1]
    expected = [
        chi2.sf(-(49 - 3) * np.log(np.prod(1 - r**2)), 6),
        chi2.sf(-(49 - 3) * np.log(1 - r[1] ** 2), 2),
    ]
    np.testing.assert_allclose(_bartlett(first, second, 50), expected)


def test_left_over_energy_is_tested_at_its_level():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        F = rng.normal(size=(60, 30))
        scores = np.linalg.qr(rng.normal(size=(60, 3)))[0]
        p.append(_left_over(scores, scores[:, :1], F - F.mean(0), np.zeros((60, 0))))
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.05)


def test_standard_error_of_reliable_factors_is_the_delta_methods():
    squared = np.array([0.8, 0.3])
    model = _LowRank(squared, squared, 0.0, 1.0, 0.1)
    # A correlation has variance (1 - r^2)^2 / n, the information a slope of r / (1 - r^2).
    assert model.stderr(500) == pytest.approx(np.sqrt(1.1 / 500))


def test_repeated_rows_as_groups_count_once():
    X, Y, _ = tables(120, 200, 80, (25.0,))
    groups = np.repeat(np.arange(120), 2)
    rng = np.random.default_rng(1)
    twice = [np.repeat(A, 2, axis=0) + 1e-6 * rng.normal(size=(240, A.shape[1])) for A in (X, Y)]
    folds = (np.random.default_rng(0).permutation(120) % 5)[groups]
    found, _ = wide_guess(*twice, folds, confidence=0.95, seed=0, groups=groups)
    alone, _ = wide_guess(*twice, folds, confidence=0.95, seed=0)
    assert found.stderr / alone.stderr == pytest.approx(np.sqrt(2), rel=0.1)
