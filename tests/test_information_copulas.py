import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, multivariate_t, norm, special_ortho_group
from scipy.stats import t as student_t

from sklearn_mi.datasets import beyond_normal, gaussian_pairs, independent_pairs
from sklearn_mi.information.copulas import (
    GaussianRatio,
    NormalScores,
    StudentRatio,
    canonical_correlations,
    fit_gaussian,
    fit_student,
)


def scores(pairs, n, seed=0):
    return [NormalScores().fit_transform(A) for A in pairs.sample(n, random_state=seed)]


def correlation(rho=(0.9, 0.3), turn=True):
    """Return the correlation of two tables of two columns, turned within each of them."""
    R = np.block([[np.eye(2), np.diag(rho)], [np.diag(rho), np.eye(2)]])
    if turn:
        Q = np.zeros((4, 4))
        Q[:2, :2], Q[2:, 2:] = special_ortho_group.rvs(2, size=2, random_state=0)
        R = Q @ R @ Q.T
    return R


def test_normal_scores_are_normal_and_increase_strictly():
    x = np.random.default_rng(0).standard_cauchy((500, 1))
    scale = NormalScores().fit(x)
    z = np.sort(scale.transform(x)[:, 0])
    assert np.allclose(z, norm.ppf((np.arange(500) + 0.5) / 500))
    far = np.array([[-1e9], [-1e6], [x.min()], [0.0], [1e-9], [x.max()], [1e6], [1e9]])
    assert (np.diff(scale.transform(far)[:, 0]) > 0).all()


def test_normal_scores_of_ties_and_of_one_value():
    z = NormalScores().fit_transform([[0.0], [0.0], [1.0], [1.0]])[:, 0]
    assert z[0] == z[1] == -z[2] == -z[3] == norm.ppf(0.25)
    assert np.array_equal(NormalScores().fit_transform(np.ones((5, 1))), np.zeros((5, 1)))


def test_gaussian_ratio_is_that_of_densities():
    R = correlation()
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(R)
    rows = rng.normal(size=(200_000, 4)) @ root.T
    ratio = fit_gaussian(rows[:, :2], rows[:, 2:])
    new = rows[:20]
    expected = (
        multivariate_normal(cov=R).logpdf(new)
        - multivariate_normal(cov=R[:2, :2]).logpdf(new[:, :2])
        - multivariate_normal(cov=R[2:, 2:]).logpdf(new[:, 2:])
    )
    u, v = torch.tensor(new[:, :2]), torch.tensor(new[:, 2:])
    assert np.abs(ratio.pairs(u, v).numpy() - expected).max() < 0.1
    assert torch.allclose(ratio(u, v).diagonal(), ratio.pairs(u, v))
    assert ratio.mi == pytest.approx(gaussian_pairs("", R, 2).true_mi, abs=0.01)


@pytest.mark.parametrize("dof", [1.0, 3.5])
def test_student_ratio_is_that_of_densities(dof):
    R = np.array([[1, 0.3, 0.5], [0.3, 1, 0.2], [0.5, 0.2, 1]])
    t = np.random.default_rng(0).normal(size=(6, 3))
    u = torch.tensor(norm.ppf(student_t.cdf(t, dof)))
    ratio = StudentRatio(R, 2, dof, 0.0)
    expected = (
        multivariate_t(shape=R, df=dof).logpdf(t)
        - multivariate_t(shape=R[:2, :2], df=dof).logpdf(t[:, :2])
        - student_t.logpdf(t[:, 2], dof)
    )
    assert np.abs(ratio.pairs(u[:, :2], u[:, 2:]).numpy() - expected).max() < 1e-5
    assert torch.allclose(ratio(u[:, :2], u[:, 2:]).diagonal(), ratio.pairs(u[:, :2], u[:, 2:]))


def test_noise_has_no_directions():
    found = [
        len(canonical_correlations(*scores(independent_pairs(20, 20), 1000, seed)).squared)
        for seed in range(20)
    ]
    assert np.mean(found) < 0.3
    U, V = scores(independent_pairs(3, 3), 200)
    assert len(canonical_correlations(U, V, at_least=1).squared) == 1


@pytest.mark.parametrize("name", ["multinormal-dense-25-25-0.5", "multinormal-sparse-25-25-2-2.0"])
def test_many_columns_are_corrected_for(name):
    pairs = beyond_normal()[name]
    found = [fit_gaussian(*scores(pairs, 2000, seed)).mi for seed in range(8)]
    # Without the correction in-sample correlations say .3 more here.
    assert np.mean(found) == pytest.approx(pairs.true_mi, abs=4 * np.std(found) / np.sqrt(8) + 0.01)


@pytest.mark.parametrize("name", ["student-identity-2-2-1", "student-identity-5-5-3"])
def test_student_finds_the_common_scale(name):
    pairs = beyond_normal()[name]
    ratio = fit_student(*scores(pairs, 4000))
    assert ratio.dof == pytest.approx(float(name[-1]), rel=0.1)
    assert ratio.mi == pytest.approx(pairs.true_mi, abs=0.04)


@pytest.mark.parametrize("dof", [2.0, 4.0])
def test_correlations_of_student_columns_are_not_lost_in_their_tails(dof):
    R = np.array([[1, 0, 0.9], [0, 1, 0.3], [0.9, 0.3, 1]])
    whole, x, y = (multivariate_t(shape=A, df=dof) for A in (R, R[:2, :2], R[2:, 2:]))
    true_mi = x.entropy() + y.entropy() - whole.entropy()
    of_ranks, found = [], []
    for seed in range(6):
        Z = NormalScores().fit_transform(whole.rvs(3000, random_state=seed))
        ratio, plain = (fit(Z[:, :2], Z[:, 2:]) for fit in (fit_student, fit_gaussian))
        found.append(ratio.mi)
        of_ranks.append(plain.mi)
    error = 4 * np.std(found) / np.sqrt(6)
    assert np.mean(found) == pytest.approx(true_mi, abs=error)
    # The correlations of normal scores fall short of those of the dispersion.
    assert np.mean(of_ranks) < -np.linalg.slogdet(R)[1] / 2 - 0.05


def test_repeated_columns_have_no_student_copula_but_a_gaussian_one():
    U, V = scores(gaussian_pairs("", correlation(), 2), 500)
    twice = np.hstack([U, U])
    assert fit_gaussian(twice, V).mi == pytest.approx(fit_gaussian(U, V).mi, abs=0.02)
    with pytest.raises(np.linalg.LinAlgError):
        fit_student(twice, V)


def test_a_constant_column_is_no_information():
    U, V = scores(gaussian_pairs("", correlation(), 2), 500)
    assert isinstance(fit_gaussian(np.zeros_like(U), V), GaussianRatio)
    assert fit_gaussian(np.zeros_like(U), V).mi == 0
