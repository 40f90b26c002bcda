import math

import numpy as np
import pytest
import torch

from sklearn_mi.bounds import donsker_varadhan, infonce, interpolated, nwj_of_ratio, smile
from sklearn_mi.information.influence import (
    ALPHA,
    INFLUENCES,
    TAU,
    UnrelatedPairs,
    with_variances,
)

VALUES = {
    "infonce": infonce,
    "interpolated": lambda scores: interpolated(scores, torch.zeros(len(scores)).double(), ALPHA),
    "nwj": nwj_of_ratio,
    "donsker-varadhan": donsker_varadhan,
    "smile": lambda scores: smile(scores, tau=TAU),
    "plug-in": lambda scores: scores.diagonal().mean(),
}
NAMES = list(VALUES)


def normal_scores(n, spread, partners, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = spread * torch.randn(n, n, generator=generator, dtype=torch.float64)
    return scores + partners * torch.eye(n, dtype=torch.float64)


def gaussian_scores(n, d, mi, generator):
    """Return the true log-ratio of every pair of a sample of d independent pairs of columns."""
    variance = math.exp(-2 * mi / d)
    rho = math.sqrt(1 - variance)
    x, noise = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    y = rho * x + math.sqrt(variance) * noise
    residuals = torch.cdist(y, rho * x) ** 2
    return (y**2).sum(1) / 2 - residuals.T / (2 * variance) - d / 2 * math.log(variance)


def weighted(scores, w, name):
    """Return a bound of rows with weights, each as x and as y, written as the formula stands."""
    n, total = len(scores), w.sum()
    off = ~torch.eye(n, dtype=torch.bool)
    both = (w[:, None] * w)[off]
    plug_in = (w * scores.diagonal()).sum() / total
    if name == "plug-in":
        return plug_in
    if name != "interpolated":
        inside = scores.clamp(-TAU, TAU) if name == "smile" else scores
        partition = (both * inside[off].exp()).sum() / both.sum()
        return 1 + plug_in - partition if name == "nwj" else plug_in - partition.log()
    value = torch.tensor(1.0, dtype=torch.float64)
    for j in range(n):
        e, k = scores[:, j].exp(), off[:, j]
        mean = ((w * e).sum() - w * e) / (total - w)
        a = ALPHA * mean + 1 - ALPHA
        baseline = (w * a.log())[k].sum() / w[k].sum()
        value = value + w[j] / total * (scores[j, j] - baseline - mean[j] / a[j])
    return value


def leave_one_out(scores, name):
    """Return the jackknife variance by one bound for each row."""
    n = len(scores)
    kept = [torch.arange(n) != i for i in range(n)]
    values = [float(VALUES[name](scores[some][:, some])) for some in kept]
    return (n - 1) * np.var(values)


@pytest.mark.parametrize(
    "scores",
    [
        normal_scores(5, 1.0, 0.0),
        normal_scores(40, 6.0, 5.0),
        normal_scores(30, 3.0, 60.0),
        normal_scores(30, 150.0, 0.0),
        normal_scores(20, 1.0, 0.0) - 2000.0,
        torch.zeros(8, 8, dtype=torch.float64),
    ],
    ids=["small", "spread", "partners apart", "wide", "far below", "constant"],
)
def test_values_are_those_of_the_bounds(scores):
    values, variances = with_variances(UnrelatedPairs(scores), NAMES)
    expected = [float(VALUES[name](scores)) for name in NAMES]
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)
    assert (variances >= 0).all()


@pytest.mark.parametrize("n, spread, partners", [(5, 1, 0), (12, 3, 2), (25, 5, 6)])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "infonce"])
def test_influence_is_the_derivative_by_a_weight(name, n, spread, partners):
    scores = normal_scores(n, spread, partners)
    w = torch.ones(n, dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(weighted(scores, w, name), w)
    _, influence = INFLUENCES[name](UnrelatedPairs(scores))
    torch.testing.assert_close(influence, n * derivative, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n, spread, partners", [(4, 1, 0), (20, 4, 3), (20, 12, 0), (20, 2, 60)])
def test_infonce_is_left_without_each_row(n, spread, partners):
    scores = normal_scores(n, spread, partners)
    variance = with_variances(UnrelatedPairs(scores), ["infonce"])[1][0]
    assert variance == pytest.approx(leave_one_out(scores, "infonce"), rel=1e-6, abs=1e-25)


@pytest.mark.parametrize("name", NAMES)
def test_variance_agrees_with_the_jackknife(name):
    scores = gaussian_scores(150, 3, 1.0, torch.Generator().manual_seed(0))
    variance = with_variances(UnrelatedPairs(scores), [name])[1][0]
    assert variance == pytest.approx(leave_one_out(scores, name), rel=0.1)


@pytest.mark.parametrize("n, d, mi", [(20, 1, 0.3), (60, 3, 2.0), (60, 10, 4.0)])
def test_variance_is_that_of_draws(n, d, mi):
    generator = torch.Generator().manual_seed(0)
    draws = [
        with_variances(UnrelatedPairs(gaussian_scores(n, d, mi, generator)), NAMES)
        for _ in range(400)
    ]
    values, variances = (np.array(each) for each in zip(*draws, strict=True))
    ratio = dict(zip(NAMES, variances.mean(0) / values.var(0), strict=True))
    # 400 draws give a variance to about 7 %; where few pairs count, both methods err upwards.
    assert min(ratio.values()) > 0.8
    assert max(ratio[name] for name in ("infonce", "smile", "plug-in")) < 1.35
    held = np.abs(values - values.mean(0)) <= 1.96 * np.sqrt(variances)
    assert held.mean(0).min() > 0.9


def test_few_rows_have_no_variance():
    values, variances = with_variances(UnrelatedPairs(normal_scores(3, 1, 0)), NAMES)
    assert np.isfinite(values).all() and np.isnan(variances).all()


def test_facts_are_those_of_the_unrelated_pairs():
    scores = normal_scores(30, 3, 8)
    pairs, unrelated = UnrelatedPairs(scores), scores[~torch.eye(30, dtype=torch.bool)]
    weights = unrelated.exp()
    expected = weights.sum() ** 2 / (weights**2).sum()
    assert pairs.effective_sample_size == pytest.approx(float(expected))
    above = (scores.diagonal() > unrelated.max()).double().mean()
    assert 0 < pairs.share_of_partners_above == float(above) < 1
