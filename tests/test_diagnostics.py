import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.datasets import make_blobs
from torch import nn

from sklearn_mi.diagnostics import (
    alignment,
    alpha_req,
    cluster_stability,
    effective_rank,
    intrinsic_dimension,
    log_condition,
    uniformity,
)
from sklearn_mi.encoders import MLP, ConvNet, RealNVP, SkipMLP

OF_CODES = [uniformity, effective_rank, alpha_req, cluster_stability, intrinsic_dimension]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def unit(row):
    return row / math.sqrt(sum(value * value for value in row))


def with_spectrum(variances, n=300, seed=0):
    """Return rows whose covariance has exactly these eigenvalues, in a random basis."""
    d = len(variances)
    centred = normal(n, d, seed=seed)
    orthonormal = np.linalg.qr(centred - centred.mean(axis=0))[0]
    basis = np.linalg.qr(normal(d, d, seed=seed + 1))[0]
    return orthonormal * np.sqrt(n * np.asarray(variances)) @ basis


@pytest.mark.parametrize("alpha", [1, 2, 3.5])
def test_alignment_matches_a_loop(alpha):
    Z, Z_prime = normal(9, 4), normal(9, 4, seed=1)
    expected = np.mean(
        [math.dist(unit(a), unit(b)) ** alpha for a, b in zip(Z, Z_prime, strict=True)]
    )
    assert alignment(Z, Z_prime, alpha=alpha) == pytest.approx(expected, rel=1e-12)


def test_alignment_of_equal_opposite_and_unrelated_directions():
    Z = normal(4000, 6)
    assert alignment(Z, 3 * Z) == pytest.approx(0, abs=1e-12)
    assert alignment(Z, -Z) == pytest.approx(4)
    # E|z - z'|^2 = 2 - 2 E[z.z'], and z.z' has mean 0 and variance 1/6.
    assert alignment(Z, normal(4000, 6, seed=1)) == pytest.approx(2, abs=4 * 2 / math.sqrt(24000))


@pytest.mark.parametrize("chunk_size", [1, 3, 10, 11, 1024])
@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_is_that_of_all_distinct_pairs(t, chunk_size):
    Z = normal(11, 3)
    units = np.array([unit(row) for row in Z])
    expected = np.log(np.mean(np.exp(-t * pdist(units, "sqeuclidean"))))
    assert uniformity(Z, t, chunk_size=chunk_size) == pytest.approx(expected, rel=1e-12)


def test_uniformity_of_a_point_of_orthogonal_codes_and_at_a_sharp_potential():
    assert uniformity(np.full((5, 3), 7.0)) == pytest.approx(0, abs=1e-12)
    assert uniformity(np.eye(6)) == pytest.approx(-4)
    # exp(-2000) is zero in float64; its logarithm is not.
    assert uniformity(np.eye(6), t=1000.0) == pytest.approx(-2000)
    # A row without direction is at distance 1 from all: pairs at 1, 1 and 2.
    mean = (2 * math.exp(-2) + math.exp(-4)) / 3
    assert uniformity([[1, 0], [0, 2], [0, 0]]) == pytest.approx(math.log(mean))


@pytest.mark.parametrize("singular", [[1], [3, 3, 3], [4, 2, 1], [5, 1e-3, 0]])
def test_effective_rank_is_the_exponential_of_an_entropy(singular):
    left = np.linalg.qr(normal(12, len(singular)))[0]
    right = np.linalg.qr(normal(5, len(singular), seed=1))[0]
    Z = left * singular @ right.T
    p = [value / sum(singular) for value in singular if value]
    expected = math.prod(value**-value for value in p)
    for codes in (Z, 1e-5 * Z, Z.T):
        assert effective_rank(codes) == pytest.approx(expected, rel=1e-9)


def test_effective_rank_of_collapsed_codes():
    assert effective_rank(np.zeros((4, 3))) == 0
    assert effective_rank(np.full((4, 3), 7.0)) == pytest.approx(1)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.5])
def test_alpha_req_recovers_an_exact_power_law(exponent):
    Z = with_spectrum(np.arange(1, 61.0) ** -exponent)
    assert alpha_req(Z) == pytest.approx(exponent, abs=1e-9)
    assert alpha_req(1e3 * Z + 5) == pytest.approx(exponent, abs=1e-9)


def test_alpha_req_is_a_weighted_least_squares_slope_between_its_ranks():
    variances = np.sort(np.random.default_rng(0).exponential(size=40))[::-1]
    ranks = np.arange(4, 31)
    x, y, w = np.log(ranks), np.log(variances[3:30]), 1 / ranks
    x = x - np.average(x, weights=w)
    expected = -np.sum(w * x * y) / np.sum(w * x * x)
    given = alpha_req(with_spectrum(variances), first=4, last=30)
    assert given == pytest.approx(expected, rel=1e-9)


def test_alpha_req_takes_no_rank_that_is_left_out():
    ranks = np.arange(1, 41.0)
    bent = np.where(ranks < 20, ranks**-1.0, 20.0 * ranks**-2.0)
    Z = with_spectrum(bent)
    assert alpha_req(Z, first=1, last=19) == pytest.approx(1)
    assert alpha_req(Z, first=20, last=None) == pytest.approx(2)
    assert alpha_req(Z, first=20) == alpha_req(Z, first=20, last=40)


@pytest.mark.parametrize(
    "Z", [np.full((50, 30), 0.1), normal(50, 11), normal(50, 4) @ normal(4, 30, seed=1)]
)
def test_alpha_req_is_nan_without_a_spectrum_at_its_ranks(Z):
    assert math.isnan(alpha_req(Z))


def test_cluster_stability_tells_clusters_from_noise():
    Z, _ = make_blobs(400, n_features=6, centers=5, cluster_std=0.1, random_state=0)
    assert cluster_stability(Z, n_clusters=5) == 1
    noise = cluster_stability(normal(400, 6), n_clusters=5)
    assert -0.1 < noise < 0.7
    assert noise == cluster_stability(normal(400, 6), n_clusters=5)
    assert noise != cluster_stability(normal(400, 6), n_clusters=5, random_state=1)


def test_cluster_stability_compares_disjoint_halves(monkeypatch):
    from sklearn.cluster import KMeans

    fit, fitted_to = KMeans.fit, []
    monkeypatch.setattr(
        KMeans, "fit", lambda self, X: fitted_to.append(X.ravel().tolist()) or fit(self, X)
    )
    Z = np.arange(21.0)[:, None]
    cluster_stability(Z, n_clusters=2, n_splits=3)
    splits = [sorted(a + b) for a, b in zip(fitted_to[::2], fitted_to[1::2], strict=True)]
    assert splits == [Z.ravel().tolist()] * 3
    assert len({tuple(half) for half in fitted_to}) == 6


def turned(Z, width, seed=9):
    """Return rows as they lie in a random subspace of more columns, moved away from 0."""
    basis = np.linalg.qr(normal(width, width, seed=seed))[0]
    return Z @ basis[: Z.shape[1]] + 7


@pytest.mark.parametrize(("d", "low", "high"), [(1, 0.95, 1.05), (2, 1.9, 2.1), (5, 4.4, 5.1)])
def test_intrinsic_dimension_of_cubes_in_more_columns(d, low, high):
    # Rows at the faces lack neighbours beyond, so five dimensions come out as fewer.
    found = [
        intrinsic_dimension(turned(np.random.default_rng(s).uniform(size=(2000, d)), 12))
        for s in range(3)
    ]
    assert low < np.mean(found) < high


@pytest.mark.parametrize("d", [1, 2, 3])
def test_intrinsic_dimension_of_curved_manifolds_without_edges(d):
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(3000, d))
    torus = np.hstack([np.cos(angles), np.sin(angles)])
    # Each mu is a draw from 1 - mu^-d: the standard error of d is about d / sqrt(n).
    assert intrinsic_dimension(turned(torus, 10)) == pytest.approx(d, abs=6 * d / math.sqrt(3000))


def test_intrinsic_dimension_matches_a_loop():
    Z = normal(40, 3)
    log_mu = []
    for i, row in enumerate(Z):
        first, second = sorted(math.dist(row, other) for j, other in enumerate(Z) if j != i)[:2]
        log_mu.append(math.log(second / first))
    x = sorted(log_mu)[:30]
    y = [-math.log(1 - (i + 1) / 40) for i in range(30)]
    slope = sum(a * b for a, b in zip(x, y, strict=True)) / sum(a * a for a in x)
    assert intrinsic_dimension(Z, discard=0.25) == pytest.approx(slope, rel=1e-9)
    assert intrinsic_dimension(1e-4 * Z + 3, discard=0.25) == pytest.approx(slope, rel=1e-6)


def test_intrinsic_dimension_leaves_out_repeated_rows():
    Z = normal(200, 2)
    repeated = np.vstack([Z, Z[:150], Z[:1], Z[:1]])
    assert intrinsic_dimension(repeated) == intrinsic_dimension(Z)


def test_intrinsic_dimension_of_points_and_lattices():
    assert intrinsic_dimension(np.full((6, 3), 7.0)) == 0
    assert intrinsic_dimension([[0.0], [1.0], [0.0], [1.0]]) == 0
    lattice = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1).reshape(-1, 2)
    assert intrinsic_dimension(lattice) == math.inf
    # Neighbours of 0, 1 and 4 lie at 1 and 4, at 1 and 3, at 3 and 4; the largest ratio goes.
    x, y = [math.log(4 / 3), math.log(3)], [math.log(3 / 2), math.log(3)]
    expected = (x[0] * y[0] + x[1] * y[1]) / (x[0] ** 2 + x[1] ** 2)
    assert intrinsic_dimension([[0.0], [1.0], [4.0]]) == pytest.approx(expected)


@pytest.mark.parametrize("function", OF_CODES)
def test_numbers_are_finite_python_floats_on_digits_and_ignore_the_order_of_rows(digits, function):
    Z = digits[0][:400]
    given = function(Z)
    assert type(given) is float
    assert math.isfinite(given)
    if function is not cluster_stability:
        assert function(Z[::-1]) == pytest.approx(given, rel=1e-9)
        assert function(torch.as_tensor(Z)) == given
        assert function(Z.astype(np.float32)) == pytest.approx(given, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alignment(np.ones((3, 2)), np.ones((3, 4))), r"\(3, 2\) and Z_prime \(3, 4\)"),
        (lambda: uniformity(np.ones((1, 2))), "Z has 1 rows; expected at least 2"),
        (
            lambda: alignment(np.eye(2), [[np.inf, 1], [1, 1]]),
            "Z_prime has NaN or infinity in 1",
        ),
        (lambda: log_condition(nn.Linear(2, 2), [[0, np.nan]]), "x has NaN or infinity"),
        (lambda: intrinsic_dimension(np.ones((2, 2))), "Z has 2 rows; expected at least 3"),
        (lambda: intrinsic_dimension(np.eye(3), discard=0.0), "discard=0.0; expected a share"),
        (lambda: intrinsic_dimension(np.eye(3), discard=1), "discard=1; expected a share"),
        (lambda: alpha_req(np.ones((3, 2)), first=0), "first=0; expected a positive integer"),
        (lambda: cluster_stability(np.ones((9, 2)), n_clusters=5), "n_clusters=5 .*at most 4"),
        (lambda: log_condition(nn.Linear(2, 2), np.ones((3, 2)), chunk_size=0), "chunk_size=0"),
    ],
)
def test_values_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("function", OF_CODES)
@pytest.mark.parametrize(
    ("Z", "message"),
    [
        ([[0.0, 1.0], [np.nan, 1.0], [1.0, 3.0]], "Z has NaN or infinity in 1 of 3 rows.*row 1"),
        (np.arange(30.0), r"Z has shape \(30,\).*Z.reshape\(-1, 1\)"),
        ([["a", 1.0], ["b", 2.0], ["c", 3.0]], "Z holds a in column 0; expected numbers"),
    ],
)
def test_codes_that_are_no_table_of_numbers_are_named(function, Z, message):
    with pytest.raises(ValueError, match=message):
        function(Z)


def build(encoder, input_shape, n_components=None):
    """Return a module with weights large enough that its Jacobian differs from row to row."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = encoder.build(input_shape, n_components)
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.3)
    return module


@pytest.mark.parametrize(
    ("encoder", "input_shape", "n_components"),
    [
        (SkipMLP(), (6,), None),
        (RealNVP(couplings=4, hidden=(8,)), (7,), None),
        (RealNVP(couplings=4, hidden=(8,), affine=True), (2, 3), None),
        (MLP(hidden=(9,), activation="tanh", dropout=0.5), (7,), 4),
        (MLP(hidden=(9,), activation="gelu", norm="layer"), (3,), 5),
        (ConvNet(), (5, 6), 4),
        (ConvNet(), (4, 4, 3), 4),
    ],
)
def test_log_condition_is_numpys_condition_of_autograds_jacobian(
    encoder, input_shape, n_components
):
    module = build(encoder, input_shape, n_components)
    x = normal(5, *input_shape)
    given = log_condition(module, x)
    module.double().eval()
    jacobians = [
        torch.autograd.functional.jacobian(module, torch.as_tensor(row[None]))[0] for row in x
    ]
    expected = [math.log(np.linalg.cond(j.reshape(len(j), -1).numpy())) for j in jacobians]
    np.testing.assert_allclose(given, expected, rtol=1e-7, atol=1e-9)
    assert np.ptp(given) > 1e-4


def test_log_condition_of_linear_maps():
    module = nn.Linear(3, 5)
    expected = math.log(np.linalg.cond(module.weight.detach().double().numpy()))
    np.testing.assert_allclose(log_condition(module, normal(4, 3)), expected, rtol=1e-9)
    np.testing.assert_array_equal(log_condition(nn.Flatten(), normal(2, 3, 2)), 0)
    with torch.no_grad():
        module.weight.zero_()
    np.testing.assert_array_equal(log_condition(module, normal(2, 3)), np.inf)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 100])
def test_log_condition_does_not_depend_on_chunks(chunk_size):
    module, x = build(SkipMLP(), (6,)), normal(5, 6)
    np.testing.assert_allclose(
        log_condition(module, x, chunk_size=chunk_size), log_condition(module, x), rtol=1e-10
    )


def test_log_condition_leaves_the_module_as_it_was():
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = torch.ones(4, 3, requires_grad=True)
    assert log_condition(module, x).shape == (4,)
    assert module.training
    for name, value in module.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
    for parameter in module.parameters():
        assert parameter.requires_grad
        assert parameter.grad is None


def test_the_papers_encoders_are_well_conditioned_before_training():
    x = normal(2, 60)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        skip, flow = (encoder.build((60,), None) for encoder in (SkipMLP(), RealNVP(couplings=3)))
    assert (log_condition(skip, x) > 0).all()
    assert (log_condition(skip, x) < 0.01).all()
    assert (log_condition(flow, x) < 1e-6).all()
