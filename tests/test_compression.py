import numpy as np
import pytest
from scipy.linalg import subspace_angles

from sklearn_mi.compression import (
    Components,
    Factors,
    PairCompression,
    _folds,
    _pairs_of_directions,
    is_wide,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def table(latents, p, strength, seed):
    """Return latents in p columns of white noise, each of a signal eigenvalue `strength`."""
    draws = rng(seed)
    k = latents.shape[1]
    loadings = np.linalg.qr(draws.normal(size=(p, k)))[0].T * np.sqrt(strength)
    return latents @ loadings + draws.normal(size=(len(latents), p))


def pair(n=300, p=600, q=200, strength=10.0, k=2, seed=0):
    latents = rng(seed).normal(size=(n, k))
    return latents, table(latents, p, strength, seed + 1), table(latents, q, strength, seed + 2)


def correlations(U, V):
    return np.array([np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True)])


def kept(strength, p, n):
    """Return the squared correlation of a sample component with its latent (Paul, 2007)."""
    return (1 - p / n / strength**2) / (1 + 1 / strength)


def test_wide_is_more_than_a_column_for_five_rows():
    assert not is_wide(1000, 100, 100)
    assert is_wide(1000, 101, 100)


def test_strength_and_reliability_are_those_of_the_population():
    latents, X, _ = pair(n=400, p=800, strength=8.0, k=3)
    own = Factors(X).components
    assert own.n_signals == 3
    np.testing.assert_allclose(own.strengths().mean(), 8.0, rtol=0.2)
    np.testing.assert_allclose(own.reliabilities(), 1 - 2 / own.strengths() ** 2, rtol=1e-2)
    overlap = np.cos(subspace_angles(latents - latents.mean(0), own.scores[:, :3])) ** 2
    np.testing.assert_allclose(overlap, kept(8.0, 800, 400), atol=0.06)


@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_dispersion_is_that_of_the_noise(rho):
    noise = rng().normal(size=(500, 400))
    for j in range(1, 400):
        noise[:, j] = rho * noise[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
    # The mean of the squared correlations of a column with all others.
    expected = 2 * rho**2 / (1 - rho**2)
    assert Factors(noise).components.dispersion() == pytest.approx(expected, abs=0.03)


def test_dispersion_of_many_columns_and_rows_is_found_by_probes(monkeypatch):
    _, X, _ = pair(n=300, p=500, strength=20.0)
    own = Factors(X).components
    exact = own.dispersion()
    monkeypatch.setattr("sklearn_mi.compression.EXACT_UP_TO", 100)
    monkeypatch.setattr("sklearn_mi.compression.PROBES", 2000)
    assert own.dispersion() == pytest.approx(exact, abs=0.03)


def test_unequal_noise_counts_by_its_variance():
    """The best direction weights a column by its loading over its noise."""
    draws = rng()
    latent = draws.normal(size=(500, 1))
    noise = np.where(np.arange(100) < 50, 0.3, 3.0)
    loadings = np.full(100, 0.5)
    X = latent @ loadings[None] + noise * draws.normal(size=(500, 100))
    own = Factors(X).components
    strength = np.sum(loadings**2 / noise**2)
    r = np.corrcoef(own.scores[:, 0], latent[:, 0])[0, 1] ** 2
    assert r == pytest.approx(strength / (1 + strength), abs=0.01)


def test_codes_of_new_rows_correlate_as_theory_says():
    latents, X, Y = pair(n=800, strength=10.0)
    first, second = (
        PairCompression(random_state=0).fit(X[:400], Y[:400]).transform(X[400:], Y[400:])
    )
    assert first.shape == (400, 2)
    expected = np.sqrt(kept(10.0, 600, 400) * kept(10.0, 200, 400))
    np.testing.assert_allclose(correlations(first, second), expected, atol=0.06)
    np.testing.assert_allclose(first.std(0), 1.0, atol=0.15)


@pytest.mark.parametrize("strength", [0.0, 10.0])
def test_codes_of_training_rows_correlate_no_more_than_those_of_new_rows(strength):
    _, X, Y = pair(n=600, strength=strength)
    compression = PairCompression(random_state=0)
    own = correlations(*compression.fit_transform(X[:300], Y[:300]))
    new = correlations(*compression.transform(X[300:], Y[300:]))
    np.testing.assert_allclose(compression.correlations_, own)
    np.testing.assert_allclose(own, new, atol=0.25)
    naive = correlations(*compression.transform(X[:300], Y[:300]))
    assert own[0] < naive[0]


def test_a_dense_relation_is_found_without_factors():
    draws = rng()
    X = draws.normal(size=(500, 600))
    y = X @ draws.normal(size=600) / np.sqrt(600)
    compression = PairCompression(random_state=0).fit(X[:400], y[:400, None])
    assert compression.kind_ != "factors"
    assert correlations(*compression.transform(X[400:], y[400:, None]))[0] > 0.4


def test_an_increasing_map_of_columns_changes_nothing():
    _, X, Y = pair()
    plain, cubed = (
        PairCompression(random_state=0).fit(A[:200], Y[:200]).transform(A[:200], Y[:200])
        for A in (X, X**3)
    )
    np.testing.assert_allclose(plain[0], cubed[0], atol=1e-6)


def test_constants_and_copies_change_nothing():
    _, X, Y = pair(n=200, p=300)
    more = np.column_stack([X, np.full(200, 3.0), X[:, :100], -X[:, :100]])
    plain, longer = (PairCompression(random_state=0).fit_transform(A, Y) for A in (X, more))
    np.testing.assert_allclose(plain[0], longer[0], atol=1e-6)


def test_a_table_of_constants_has_codes_of_zero():
    codes, _ = PairCompression(random_state=0).fit_transform(
        np.ones((60, 30)), rng().normal(size=(60, 30))
    )
    np.testing.assert_array_equal(codes, np.zeros((60, 1)))


@pytest.mark.parametrize("tie", [np.round, np.sign, lambda A: (A > 1.5).astype(float)])
def test_tied_columns_still_show_their_latents(tie):
    latents, X, Y = pair(n=500, p=800, strength=30.0)
    first, _ = PairCompression(random_state=0).fit_transform(tie(X), Y)
    basis = np.linalg.qr(latents - latents.mean(0))[0]
    explained = np.square(basis.T @ first[:, :2]).sum(0) / np.square(first[:, :2]).sum(0)
    assert explained.min() > 0.75


def test_all_components_give_the_canonical_correlations():
    draws = rng()
    U = draws.normal(size=(100, 5))
    V = U[:, :3] + draws.normal(size=(100, 3))
    sides = [Components(A, A.shape[1], 0) for A in (U, V)]
    pairs = _pairs_of_directions(*sides, "all", 3, 0)
    codes = [
        (A - A.mean(0)) @ side.directions(W)
        for A, side, W in zip((U, V), sides, pairs, strict=True)
    ]
    angles = subspace_angles(U - U.mean(0), V - V.mean(0))
    np.testing.assert_allclose(np.sort(correlations(*codes)), np.sort(np.cos(angles)), atol=1e-8)


def test_rows_of_a_group_stay_in_one_fold():
    groups = np.repeat(np.arange(20), 3)
    for train, test in _folds(60, groups, 0):
        assert not set(groups[train]) & set(groups[test])


def test_equal_seeds_give_equal_codes():
    _, X, Y = pair(n=100, p=150, q=100)
    first, second = (PairCompression(random_state=3).fit_transform(X, Y)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_memory_stays_small():
    import tracemalloc

    X, Y = rng().normal(size=(200, 10_000)), rng(1).normal(size=(200, 50))
    tracemalloc.start()
    PairCompression(random_state=0).fit(X, Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * X.nbytes


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n_components": 0}, "n_components=0; expected a positive integer"),
        ({"X": [[np.nan]] * 20}, "X has NaN or infinity"),
        ({"Y": np.zeros((19, 2))}, "inconsistent numbers of samples"),
        ({"Y": np.zeros(20)}, r"Y has shape \(20,\)"),
    ],
)
def test_mistakes_are_named(change, match):
    given = {"X": rng().normal(size=(20, 30)), "Y": rng(1).normal(size=(20, 2)), **change}
    with pytest.raises(ValueError, match=match):
        PairCompression(given.get("n_components", 2)).fit(given["X"], given["Y"])


def test_new_rows_have_the_columns_of_the_training_rows():
    X, Y = rng().normal(size=(40, 30)), rng(1).normal(size=(40, 2))
    compression = PairCompression(random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="X has 29 columns; expected 30, as in fit"):
        compression.transform(X[:, :29], Y)


def test_a_table_without_noise_has_no_dispersion():
    X = rng().normal(size=(40, 2)) @ rng(1).normal(size=(2, 30))
    for table in (X - X.mean(0), np.zeros((40, 30))):
        assert Components(table, 30, seed=0).dispersion() == 0


@pytest.mark.parametrize("columns", [1, 2])
def test_repeated_and_constant_columns_are_no_error(columns):
    X = np.repeat(rng().normal(size=(100, columns)), 15, axis=1)
    for table in (X, np.ones((100, 30)), np.column_stack([X, np.ones((100, 10))])):
        codes = PairCompression(random_state=0).fit_transform(table, X)
        assert all(np.isfinite(Z).all() for Z in codes)
