import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils import check_random_state
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.ensemble import Ensemble

COMBINATIONS = ["concat", "average"]
PROJECTION = GaussianRandomProjection(3, random_state=5)


class Turned(TransformerMixin, BaseEstimator):
    """Rows as they are, but turned about and moved at random, and with noise of their own."""

    def __init__(self, noise=0.0, random_state=None):
        self.noise = noise
        self.random_state = random_state

    def fit(self, X, y=None):
        generator = check_random_state(self.random_state)
        self.turn_ = np.linalg.qr(generator.randn(X.shape[1], X.shape[1]))[0]
        self.offset_ = 10 * generator.randn(X.shape[1])
        self.errors_ = self.noise * generator.randn(*X.shape)
        return self

    def transform(self, X):
        return (X + self.errors_[: len(X)]) @ self.turn_ + self.offset_


class Narrowing(Turned):
    def transform(self, X):
        return X[:, : 1 + int(self.random_state) % 2]


@parametrize_with_checks(
    [Ensemble(PCA(1, random_state=3), 2, combine=combine) for combine in COMBINATIONS]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def X():
    return np.random.RandomState(0).randn(80, 4) * [3, 2, 1, 0.5]


def test_codes_side_by_side_are_those_of_members_with_seeds_of_their_own(X):
    ensemble = Ensemble(PROJECTION, 3, random_state=0).fit(X)
    Z = ensemble.transform(X)
    assert Z.shape == (80, 9)
    seeds = {member.random_state for member in ensemble.members_}
    assert len(seeds) == 3 and 5 not in seeds
    for k, member in enumerate(ensemble.members_):
        alone = clone(PROJECTION).set_params(random_state=member.random_state)
        np.testing.assert_array_equal(alone.fit_transform(X), Z[:, 3 * k : 3 * k + 3])
    assert not hasattr(PROJECTION, "components_") and PROJECTION.random_state == 5
    assert ensemble.centres_ is None and ensemble.rotations_ is None


def test_members_that_differ_by_a_rotation_average_to_the_first(X):
    train, new = X[:60], X[60:]
    ensemble = Ensemble(Turned(), 4, combine="average", random_state=0).fit(train)
    first = ensemble.members_[0].transform(new)
    np.testing.assert_allclose(ensemble.transform(new), first, atol=1e-10)
    np.testing.assert_array_equal(ensemble.rotations_[0], np.eye(4))
    for rotation in ensemble.rotations_:
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-12)


def test_averaging_takes_out_errors_of_single_members(X):
    ensemble = Ensemble(Turned(noise=0.3), 16, combine="average", random_state=0).fit(X)
    member = ensemble.members_[0]
    truth = X @ member.turn_ + member.offset_
    alone, averaged = (
        np.std(Z - truth - (Z - truth).mean(axis=0))
        for Z in (member.transform(X), ensemble.transform(X))
    )
    # All but for the error of the first member's axes, which the others are turned onto.
    assert averaged < alone / 2


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_equal_seeds_give_equal_codes_whatever_the_processes(X, combine):
    ensemble = Ensemble(PROJECTION, 2, combine=combine, random_state=0)
    before = np.random.get_state()[1].copy()
    Z = ensemble.fit_transform(X)
    np.testing.assert_array_equal(clone(ensemble).set_params(n_jobs=2).fit_transform(X), Z)
    assert not np.array_equal(clone(ensemble).set_params(random_state=1).fit_transform(X), Z)
    fresh = [Ensemble(PROJECTION, 2).fit_transform(X) for _ in range(2)]
    assert not np.array_equal(*fresh)
    assert (np.random.get_state()[1] == before).all()


def test_seeds_reach_the_steps_of_a_pipeline(X):
    pipe = make_pipeline(StandardScaler(), PROJECTION, PCA(2, random_state=0))
    members = Ensemble(pipe, 3, random_state=0).fit(X).members_
    for name in ("gaussianrandomprojection", "pca"):
        assert len({member[name].random_state for member in members}) == 3


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_pickle_names_and_frames(X, combine):
    frame = pd.DataFrame(X, columns=list("abcd"))
    ensemble = Ensemble(PROJECTION, 2, combine=combine, random_state=0).fit(frame)
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(again.transform(frame), ensemble.transform(frame))
    assert ensemble.feature_names_in_.tolist() == list("abcd") and ensemble.n_features_in_ == 4
    out = again.set_output(transform="pandas").transform(frame)
    width = 6 if combine == "concat" else 3
    assert list(out) == [f"ensemble{k}" for k in range(width)]
    assert not hasattr(Ensemble(PROJECTION).fit(X), "feature_names_in_")


def test_sparse_rows_and_float32(X):
    sparse = csr_array(X)
    ensemble = Ensemble(TruncatedSVD(2), 2, random_state=0).fit(sparse)
    assert ensemble.transform(sparse).shape == (80, 4)
    narrow = X.astype(np.float32)
    for combine in COMBINATIONS:
        kept = Ensemble(PCA(2, random_state=0), 2, combine=combine).fit_transform(narrow)
        assert kept.dtype == np.float32


def test_fitted_anew_with_another_combination(X):
    ensemble = Ensemble(PROJECTION, 2, combine="average", random_state=0).fit(X)
    ensemble.set_params(combine="concat")
    assert ensemble.transform(X).shape == (80, 3)  # still the one that was fitted
    assert ensemble.fit(X).transform(X).shape == (80, 6)


def test_learners_of_ours(digits):
    images = digits[0][:60].reshape(-1, 8, 8)
    learner = MIRepresentationLearner(3, view="halves", max_steps=1, n_threads=1)
    ensemble = Ensemble(learner, 2, combine="average", random_state=0).fit(images)
    assert ensemble.transform(images).shape == (60, 6)
    assert not hasattr(ensemble, "mi_") and hasattr(ensemble.members_[0], "mi_")
    again = clone(ensemble).fit_transform(images)
    np.testing.assert_array_equal(again, ensemble.transform(images))


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (Ensemble(StandardScaler()), r"StandardScaler\(\) has no random_state; its members"),
        (Ensemble(Narrowing(), 9, combine="average", random_state=0), "codes of .* components"),
        (Ensemble(PROJECTION, 0), "'n_members' parameter .* must be an int"),
        (Ensemble(PROJECTION, combine="mean"), "'combine' parameter .* must be a str among"),
        (Ensemble("pca"), "'learner' parameter .* 'transform'"),
    ],
)
def test_values_that_do_not_fit(ensemble, message, X):
    with pytest.raises(ValueError, match=message):
        ensemble.fit(X)


def test_an_ensemble_that_was_not_fitted(X):
    with pytest.raises(NotFittedError):
        Ensemble(PROJECTION).transform(X)
