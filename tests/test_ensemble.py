import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
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


class TurnedPairs(Turned):
    """Turns a second table as well, each by a map of its own; remembers the metadata of fit."""

    def fit(self, X, y=None, *, X_pair=None, groups=None):
        super().fit(X, y)
        self.groups_ = groups
        if X_pair is not None:
            seed = check_random_state(self.random_state).randint(1000)
            self.pair_ = Turned(random_state=seed).fit(X_pair)
        return self

    def transform_pair(self, X_pair):
        return self.pair_.transform(X_pair)


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


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_sparse_rows_and_float32_give_the_codes_of_dense_float64(X, combine):
    dense = Ensemble(TruncatedSVD(2, algorithm="arpack"), 2, combine=combine, random_state=0).fit(X)
    sparse = clone(dense).fit(csr_array(X))
    np.testing.assert_allclose(sparse.transform(csr_array(X)), dense.transform(X), atol=1e-8)
    single = clone(dense).fit(X.astype(np.float32)).transform(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dense.transform(X), atol=1e-4)


def test_fitted_anew_with_another_combination(X):
    ensemble = Ensemble(PROJECTION, 2, combine="average", random_state=0).fit(X)
    averaged = ensemble.transform(X)
    ensemble.set_params(combine="concat")
    np.testing.assert_array_equal(ensemble.transform(X), averaged)  # still the one that was fitted
    side_by_side = [member.transform(X) for member in ensemble.fit(X).members_]
    np.testing.assert_array_equal(ensemble.transform(X), np.hstack(side_by_side))


def test_learners_of_ours_have_the_codes_of_fits_by_hand(digits):
    images = digits[0][:60].reshape(-1, 8, 8)
    learner = MIRepresentationLearner(3, view="halves", max_steps=1, n_threads=1)
    ensemble = Ensemble(learner, 2, random_state=0).fit(images)
    assert not hasattr(ensemble, "mi_")
    codes = np.split(ensemble.transform(images), 2, axis=1)
    for member, Z in zip(ensemble.members_, codes, strict=True):
        alone = clone(learner).set_params(random_state=member.random_state).fit(images)
        np.testing.assert_array_equal(alone.transform(images), Z)
        assert alone.mi_.value == member.mi_.value


def paired_learner():
    return MIRepresentationLearner(3, max_steps=2, n_threads=1)


def test_a_second_table_and_groups_reach_the_members(X):
    A, B, groups = X[:, :2], X[:, 2:], np.repeat(np.arange(20), 4)
    ensemble = Ensemble(paired_learner(), 2, random_state=0).fit(A, X_pair=B, groups=groups)
    both = ensemble.transform(A), ensemble.transform_pair(B)
    halves = [np.split(Z, 2, axis=1) for Z in both]
    for member, Z, Z_pair in zip(ensemble.members_, *halves, strict=True):
        alone = paired_learner().set_params(random_state=member.random_state)
        alone.fit(A, X_pair=B, groups=groups)
        np.testing.assert_array_equal(alone.transform(A), Z)
        np.testing.assert_array_equal(alone.transform_pair(B), Z_pair)
    again = clone(ensemble)
    np.testing.assert_array_equal(again.fit_transform(A, X_pair=B, groups=groups), both[0])


def test_each_table_is_averaged_onto_the_first_member_by_maps_of_its_own(X):
    A, B, groups = X[:, :3], X[:, 1:], np.arange(80)
    ensemble = Ensemble(TurnedPairs(), 4, combine="average", random_state=0)
    ensemble.fit(A[:60], X_pair=B[:60], groups=groups[:60])
    assert all((member.groups_ == groups[:60]).all() for member in ensemble.members_)
    first = ensemble.members_[0]
    np.testing.assert_allclose(ensemble.transform(A[60:]), first.transform(A[60:]), atol=1e-10)
    found, expected = ensemble.transform_pair(B[60:]), first.transform_pair(B[60:])
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert not np.allclose(ensemble.rotations_[1:], ensemble.rotations_pair_[1:])


def test_what_a_second_table_needs(X):
    alone = Ensemble(TurnedPairs(), 2, combine="average", random_state=0).fit(X)
    alone.members_ = [member.fit(X, X_pair=X) for member in alone.members_]
    with pytest.raises(ValueError, match=r"fit\(X, X_pair=...\)"):
        alone.transform_pair(X)
    with pytest.raises(ValueError, match="fitted without X_pair"):
        Ensemble(paired_learner(), 1).fit(X).transform_pair(X)
    assert not hasattr(Ensemble(PROJECTION), "transform_pair")
    with pytest.raises(TypeError, match="X_pair"):
        Ensemble(PROJECTION).fit(X, X_pair=X)


def test_a_second_table_is_routed_as_the_learner_requests(X):
    A, B = X[:, :2], X[:, 2:]
    expected = Ensemble(paired_learner(), 2, random_state=0).fit(A, X_pair=B)
    with sklearn.config_context(enable_metadata_routing=True):
        learner = paired_learner().set_fit_request(X_pair=True)
        ensemble = Ensemble(learner, 2, random_state=0)
        np.testing.assert_array_equal(
            ensemble.fit(A, X_pair=B).transform_pair(B), expected.transform_pair(B)
        )
        pipe = make_pipeline(FunctionTransformer(), clone(ensemble), StandardScaler())
        pipe.fit(A, X_pair=B)
        np.testing.assert_array_equal(pipe[1].transform_pair(B), expected.transform_pair(B))
        with pytest.raises(UnsetMetadataPassedError, match="X_pair"):
            Ensemble(paired_learner(), 2).fit(A, X_pair=B)


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (Ensemble(StandardScaler()), r"StandardScaler\(\) has no random_state, so all members"),
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


@pytest.mark.parametrize("combine", ["concat", "average"])
def test_codes_of_the_second_table_come_in_the_container_that_is_asked_for(combine):
    X, B = np.random.default_rng(0).normal(size=(2, 60, 4))
    member = MIRepresentationLearner(3, max_steps=2)
    ensemble = Ensemble(member, 2, combine=combine, random_state=0).fit(X, X_pair=B)
    plain = ensemble.transform_pair(B)
    named = ensemble.set_output(transform="pandas").transform_pair(B)
    assert list(named) == [f"ensemble{i}" for i in range(plain.shape[1])]
    np.testing.assert_array_equal(named, plain)


def test_confounds_reach_each_member_and_its_codes():
    rng = np.random.default_rng(0)
    X, B, C = rng.normal(size=(60, 4)), rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    learner = MIRepresentationLearner(2, max_steps=2)
    ensemble = Ensemble(learner, 2, combine="average", random_state=0)
    plain = clone(ensemble).fit(X, X_pair=B, confounds=C)
    # What confounds add is taken out again; the codes are those of rows without it.
    moved = clone(ensemble).fit(X + C[:, :1], X_pair=B - C[:, 1:], confounds=C)
    Z = plain.transform(X, confounds=C)
    np.testing.assert_allclose(moved.transform(X + C[:, :1], confounds=C), Z, atol=1e-4)
    pairs = plain.transform_pair(B, confounds=C)
    np.testing.assert_allclose(moved.transform_pair(B - C[:, 1:], confounds=C), pairs, atol=1e-4)
    again = clone(ensemble).fit_transform(X, X_pair=B, confounds=C)
    np.testing.assert_array_equal(again, Z)
    with pytest.raises(ValueError, match="was given confounds"):
        plain.transform(X)


def test_confounds_are_routed_through_a_pipeline():
    rng = np.random.default_rng(0)
    X, C = rng.normal(size=(60, 4)), rng.normal(size=(60, 1))
    alone = Ensemble(MIRepresentationLearner(2, max_steps=2), 2, random_state=0)
    Z = alone.fit(X, confounds=C).transform(X, confounds=C)
    with sklearn.config_context(enable_metadata_routing=True):
        learner = MIRepresentationLearner(2, max_steps=2)
        learner.set_fit_request(confounds=True).set_transform_request(confounds=True)
        pipe = make_pipeline(Ensemble(learner, 2, random_state=0), "passthrough")
        pipe.fit(X, confounds=C)
        np.testing.assert_array_equal(pipe.transform(X, confounds=C), Z)
