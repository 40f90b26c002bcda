"""Scores and best partners, held against a loop over the critic and scipy's cosines."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.matching import best_pairs, pair_scores
from sklearn_mi.views import Columns

RNG = np.random.default_rng(0)
SHARED = RNG.normal(size=(300, 3))
A = SHARED @ RNG.normal(size=(3, 8)) + 0.1 * RNG.normal(size=(300, 8))
B = SHARED @ RNG.normal(size=(3, 6)) + 0.1 * RNG.normal(size=(300, 6))


def fitted(**parameters):
    learner = MIRepresentationLearner(
        **{"max_steps": 20, "random_state": 0, "encoder": "linear", "n_components": 8} | parameters
    )
    return learner.fit(A[:200], X_pair=B[:200])


def scores_of(learner, X, Y, similarity="critic"):
    return pair_scores(learner, learner._model, learner._schemas, X, Y, similarity)


def best_of(learner, X, Y, k, similarity="critic"):
    return best_pairs(learner, learner._model, learner._schemas, X, Y, k, similarity)


@pytest.mark.parametrize("critic", ["cauchy", "bilinear", "concat", "cauchy-cosine"])
@pytest.mark.parametrize("head", [None, "mlp"])
def test_scores_are_those_of_the_critic_for_one_pair_at_a_time(critic, head):
    learner = fitted(critic=critic, head=head)
    scores = scores_of(learner, A[200:204], B[200:203])
    codes = [learner.transform(A[200:204]), learner.transform_pair(B[200:203])]
    z_x, z_y = (torch.as_tensor(Z, dtype=torch.float32) for Z in codes)
    model = learner._model
    with torch.no_grad():
        if head is not None:
            z_x, z_y = model.first_head(z_x), (model.second_head or model.first_head)(z_y)
        expected = [[float(model.critic(x[None], y[None])) for y in z_y] for x in z_x]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_cosines_are_those_of_scipy():
    learner = fitted()
    expected = 1 - cdist(learner.transform(A), learner.transform_pair(B), "cosine")
    np.testing.assert_allclose(scores_of(learner, A, B, "cosine"), expected, atol=1e-5)


@pytest.mark.parametrize("similarity", ["critic", "cosine"])
def test_best_partners_are_those_of_the_sorted_scores(monkeypatch, similarity):
    learner = fitted()
    whole = scores_of(learner, A, B, similarity)
    # Tiles much smaller than the tables, so that best ones of several tiles are merged.
    monkeypatch.setattr("sklearn_mi.matching.ROWS_AT_ONCE", 64)
    monkeypatch.setattr("sklearn_mi.matching.CANDIDATES_AT_ONCE", 7)
    scores, indices = best_of(learner, A, B, 10, similarity)
    assert scores.shape == indices.shape == (300, 10)
    np.testing.assert_allclose(scores, -np.sort(-whole, axis=1)[:, :10], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(whole, indices, 1), scores, rtol=1e-5, atol=1e-5)


def test_partners_are_found_among_rows_that_fit_did_not_see():
    _, indices = best_of(fitted(max_steps=200, lr=0.02), A[200:], B[200:], 5)
    assert (indices == np.arange(100)[:, None]).any(axis=1).mean() > 0.9


def test_a_view_that_cuts_one_table_has_two_sides():
    learner = MIRepresentationLearner(
        view=Columns([0, 1, 2, 3], [4, 5, 6, 7]), output="first", max_steps=5
    )
    learner.fit(A[:200])
    scores = scores_of(learner, A[200:], A[200:, 4:])
    z_y = learner.transform_pair(A[200:, 4:])
    assert scores.shape == (100, 100)
    cosines = 1 - cdist(learner.transform(A[200:]), z_y, "cosine")
    np.testing.assert_allclose(
        scores_of(learner, A[200:], A[200:, 4:], "cosine"), cosines, atol=1e-5
    )


@pytest.mark.parametrize(
    ("k", "similarity", "told"),
    [
        (0, "critic", "k=0; expected a positive integer"),
        (301, "critic", "k=301; expected at most 300"),
        (1, "dot", "similarity='dot'; expected 'critic' or 'cosine'"),
    ],
)
def test_wrong_values_are_told(k, similarity, told):
    with pytest.raises(ValueError, match=told):
        best_of(fitted(max_steps=2), A, B, k, similarity)


def test_learners_without_two_tables_are_told():
    alone = MIRepresentationLearner(max_steps=2).fit(A)
    with pytest.raises(ValueError, match="fitted without X_pair"):
        scores_of(alone, A, A)
    three = MIRepresentationLearner(max_steps=2).fit(A, X_pair=[B, SHARED])
    with pytest.raises(ValueError, match="fitted to 3 tables; expected two"):
        scores_of(three, A, [B, SHARED])


MEMORY = """
import resource, sys
import numpy as np
from sklearn_mi import MIRepresentationLearner
from sklearn_mi.matching import best_pairs
rng = np.random.default_rng(0)
X = rng.normal(size=(100_000, 10)).astype(np.float32)
Y = X[:, :8] + 0.1 * rng.normal(size=(100_000, 8)).astype(np.float32)
learner = MIRepresentationLearner(max_steps=20, random_state=0).fit(X[:1000], X_pair=Y[:1000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_, found = best_pairs(learner, learner._model, learner._schemas, X[:512], Y, 10, "critic")
print((found == np.arange(512)[:, None]).any(1).mean(), before / 2**10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in KiB, as Linux does")
def test_partners_among_100000_rows_take_little_memory():
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    found, before, peak = map(float, run.stdout.split())
    assert found > 0.95
    # The scores of 512 rows alone would be 195 MiB, and their two halves as much each.
    assert peak - before < 400
