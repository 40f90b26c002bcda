"""Models of two tables compared by partners found, held against loops and closed forms."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cross_decomposition import CCA, PLSCanonical

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_two_omics
from sklearn_mi.evaluation.pairs import _ranked, compare_pairs, summarise_pairs

X, Y, SHARED = make_two_omics(150, 60, 40, n_shared=2, n_own=0, random_state=0)


class Given(BaseEstimator):
    """Codes that stand in the first columns of the tables."""

    def fit(self, X, Y):
        return self

    def transform(self, X, Y):
        return X[:, :2], Y[:, :2]


def test_ranks_and_matches_are_those_of_a_loop():
    scores = np.random.default_rng(0).normal(size=(30, 30)) + 2 * np.eye(30)
    ranks = [1 + sum(row > row[i]) for i, row in enumerate(scores)]
    found = _ranked(scores, (1, 5))
    assert found["recall@1"] == np.mean(np.array(ranks) <= 1)
    assert found["recall@5"] == np.mean(np.array(ranks) <= 5)
    assert found["mean_rank"] == np.mean(ranks)


def test_equal_scores_are_chance():
    found = _ranked(np.zeros((21, 21)), (1, 10))
    assert found["mean_rank"] == 11
    assert found["recall@10"] == 0


def test_a_matching_uses_each_candidate_once():
    # Both rows prefer the first candidate; the second row loses less by giving it up.
    found = _ranked(np.array([[3.0, 0.0], [2.0, 1.5]]), (1,))
    assert found["recall@1"] == 0.5
    assert found["matching"] == 1


def test_equal_codes_match_all_and_independent_ones_by_chance():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 200, 2))
    table = compare_pairs({"given": Given()}, A, A, n_folds=4, count_shared=False)
    assert (table["recall@1"] == 1).all()
    assert (table["matching"] == 1).all()
    assert table["n_shared"].isna().all()
    table = compare_pairs({"given": Given()}, A, B, n_folds=4, count_shared=False)
    assert table["recall@10"].mean() == pytest.approx(10 / 50, abs=0.1)
    assert table["latent_r2"].isna().all()


def test_latents_are_read_from_codes_and_dimensions_are_counted():
    table = compare_pairs({"given": Given()}, SHARED, SHARED, latents=SHARED, n_folds=3)
    assert (table["latent_r2"] > 0.999).all()
    table = compare_pairs({"PLS": PLSCanonical(2)}, X, Y, latents=SHARED, n_folds=3)
    assert (table["n_shared"] == 2).all()
    assert (table["latent_r2_pair"] > 0.9).all()
    assert list(table["n_train"]) == [100, 100, 100]


def test_a_learner_and_scikit_learns_models_see_the_same_folds():
    models = {
        "ours": MIRepresentationLearner(max_steps=10, random_state=0),
        "CCA": CCA(2, max_iter=2000),
    }

    table = compare_pairs(models, X, Y, n_folds=3, count_shared=False)
    assert list(table["name"]) == ["ours"] * 3 + ["CCA"] * 3
    assert table["mean_rank"].between(1, 50).all()
    means = summarise_pairs(table).set_index(["name", "measure"])["mean"]
    assert means["ours", "recall@10"] == pytest.approx(table["recall@10"][:3].mean())


def test_groups_stay_together():
    groups = np.repeat(np.arange(30), 5)
    table = compare_pairs({"PLS": PLSCanonical(2)}, X, Y, groups=groups, count_shared=False)
    assert (table["n_test"] % 5 == 0).all()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"k": (51,), "n_folds": 3}, "k=51; expected at most 50"),
        ({"k": (0,)}, "k=0; expected a positive integer"),
        ({"latents": SHARED[:10]}, "inconsistent numbers of samples"),
    ],
)
def test_wrong_values_are_told(parameters, told):
    with pytest.raises(ValueError, match=told):
        compare_pairs({"PLS": PLSCanonical(2)}, X, Y, **parameters)
