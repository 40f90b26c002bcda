import math

import numpy as np
import pytest
import torch

from sklearn_mi.datasets import correlated_gaussian
from sklearn_mi.information.scale import LARGEST_SCALE, fit_scale


def gaussian(n, d, mi, seed):
    """Return rows of both sides, and their true log-ratio as a function."""
    X, Y, _ = correlated_gaussian(n, d, true_mi=mi, random_state=seed)
    variance = math.exp(-2 * mi / d)
    rho = math.sqrt(1 - variance)

    def log_ratio(x, y):
        return mi + (y**2 - (y - rho * x) ** 2 / variance).sum(-1) / 2

    return torch.as_tensor(X), torch.as_tensor(Y), log_ratio


def log_ratios(n, d, mi, seed):
    """Return the true log-ratio of partners (n,) and of unrelated pairs (n, n)."""
    x, y, log_ratio = gaussian(n, d, mi, seed)
    scores = log_ratio(x[:, None], y)
    return scores.diagonal(), scores.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf)


@pytest.mark.parametrize("factor", [0.7, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("moved", [0.0, 2.0])
def test_overconfidence_is_undone(factor, moved):
    partners, unrelated = log_ratios(800, 3, 1.0, seed=0)
    found = fit_scale(factor * partners + moved, factor * unrelated + moved)
    assert found.scale == pytest.approx(1 / factor, rel=0.08)
    assert found.shift == pytest.approx(moved / factor, abs=0.08)
    assert found.is_known


def test_scale_maximises_the_bound_of_donsker_and_varadhan():
    partners, unrelated = log_ratios(300, 2, 1.5, seed=1)
    found = fit_scale(2 * partners, 2 * unrelated)
    cells = unrelated[unrelated > -math.inf]

    def bound(s):
        return float(s * partners.mean() - (s * cells).exp().mean().log())

    grid = np.linspace(0.02, 2, 100)
    assert 2 * found.scale == pytest.approx(grid[np.argmax([bound(s) for s in grid])], abs=0.021)
    assert found.shift == pytest.approx(float((2 * found.scale * cells).exp().mean().log()))


@pytest.mark.parametrize("mi, factor", [(0.5, 4.0), (2.0, 2.0), (4.0, 0.6)])
def test_new_rows_are_not_above_the_truth(mi, factor):
    values = []
    for seed in range(20):
        found = fit_scale(*(factor * scores for scores in log_ratios(300, 8, mi, seed)))
        x, y, log_ratio = gaussian(2000, 8, mi, 100 + seed)
        values.append(float(found(factor * log_ratio(x, y)).mean()))
    error = np.std(values) / math.sqrt(len(values))
    assert mi - 0.2 < np.mean(values) < mi + 2 * error + 0.02


def test_error_of_the_shift_completes_that_of_the_mean():
    values, errors = [], []
    for seed in range(120):
        found = fit_scale(*log_ratios(150, 8, 3.0, seed))
        x, y, log_ratio = gaussian(1500, 8, 3.0, 1000 + seed)
        new = found(log_ratio(x, y))
        values.append(float(new.mean()))
        errors.append((float(new.std()) / math.sqrt(len(new)), found.shift_error))
    alone, shift = np.sqrt(np.mean(np.square(errors), axis=0))
    assert alone < 0.7 * np.std(values)
    assert 0.75 < math.hypot(alone, shift) / np.std(values) < 1.3


def test_pairs_that_are_all_told_apart_are_not_raised():
    partners, unrelated = log_ratios(60, 20, 12.0, seed=0)
    found = fit_scale(partners, unrelated)
    assert not found.is_known
    assert found.scale <= 1 < LARGEST_SCALE and found.shift >= 0


def test_scores_without_information_get_no_scale():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(200, 201, generator=generator)
    found = fit_scale(scores[:, 0] - 0.3, scores[:, 1:])
    assert found.scale == pytest.approx(0, abs=1e-3)
    assert found(torch.ones(3)).tolist() == pytest.approx([0, 0, 0], abs=1e-3)
