import math
import pickle

import numpy as np
import pytest
from scipy import sparse
from torch import nn

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.choices import Facts, choose
from sklearn_mi.critics import Split
from sklearn_mi.objectives import EachPart
from sklearn_mi.views import Augment, Halves, Neighbors, Paired


def facts(**changes):
    plain = {"n_rows": 1000, "row_shape": (20,), "is_paired": False}
    return Facts(**{**plain, "batch_size": 256, **changes})


def learner(**parameters):
    return MIRepresentationLearner(8, **{"max_steps": 2, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 4))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("neighbors", "gelu-mlp", "split")),
        ({"row_shape": (28, 28)}, ("moved-neighbors", "gelu-mlp", "split")),
        ({"row_shape": (28, 28, 1)}, ("moved-neighbors", "gelu-mlp", "split")),
        ({"row_shape": (32, 32, 3)}, ("simclr", "convnet", "cosine")),
        ({"is_paired": True}, ("paired", "gelu-mlp", "split")),
        ({"is_paired": True, "row_shape": (32, 32, 3)}, ("paired", "gelu-mlp", "split")),
        ({"row_shape": (2_000_000,)}, ("corruption", "gelu-mlp", "split")),
    ],
)
def test_what_is_picked(changes, expected):
    made = choose(facts(**changes))
    assert tuple(made[name].value for name in ("view", "encoder", "critic")) == expected
    assert all(choice.reason for choice in made.values())


@pytest.mark.parametrize("n_rows", [2, 100, 256, 1000, 1537, 60_000])
def test_length_of_training(n_rows):
    steps_a_pass = max(1, n_rows // 256)
    assert choose(facts(n_rows=n_rows))["max_steps"].value == min(1200, 250 * steps_a_pass)


def test_the_learner_says_what_it_picked_and_takes_it(X):
    fitted = MIRepresentationLearner(8, random_state=0).fit(X)
    assert set(fitted.choices_) == {"view", "encoder", "critic", "objective", "max_steps"}
    assert fitted.n_iter_ == fitted.choices_["max_steps"].value == 250
    assert isinstance(fitted.net_.module_.view, Neighbors)
    given = {"view": Neighbors(), "encoder": "gelu-mlp", "critic": Split()}
    same = learner(**given, objective=EachPart(), max_steps=250).fit(X)
    assert same.choices_ == {}
    assert np.array_equal(same.transform(X), fitted.transform(X))


def test_each_choice_can_be_taken_over(X):
    fitted = learner(view=Halves(), critic="bilinear").fit(X)
    assert set(fitted.choices_) == {"encoder", "objective"}
    assert fitted.choices_["objective"].value == "infonce"
    fitted = MIRepresentationLearner(8, max_epochs=1).fit(X)
    assert set(fitted.choices_) == {"view", "encoder", "critic", "objective"}


def test_width_of_codes():
    X = np.random.default_rng(0).normal(size=(60, 4))
    fitted = MIRepresentationLearner(max_steps=1).fit(X)
    assert fitted.choices_["n_components"].value == fitted.transform(X).shape[1] == 64
    fitted = MIRepresentationLearner(max_steps=1, objective="nwj").fit(X)
    assert fitted.choices_["critic"].value == "cauchy"
    assert fitted.transform(X).shape[1] == 32


@pytest.mark.parametrize("narrow", [{"n_components": 7}, {"encoder": nn.Linear(4, 3)}])
def test_a_code_of_few_components_is_not_cut(narrow):
    X = np.random.default_rng(0).normal(size=(60, 4))
    fitted = MIRepresentationLearner(max_steps=1, **narrow).fit(X)
    chosen = {name: fitted.choices_[name].value for name in ("critic", "objective")}
    assert chosen == {"critic": "cauchy", "objective": "infonce"}


def test_nothing_to_train_is_said(X):
    with pytest.raises(ValueError, match="no weights to train"):
        MIRepresentationLearner(encoder="identity", critic="inner").fit(X)


def test_images_in_colour_are_augmented():
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16, 3), dtype=np.uint8)
    fitted = learner(batch_size=16).fit(images)
    assert isinstance(fitted.net_.module_.view, Augment)
    assert fitted.choices_["encoder"].value == "convnet"
    assert fitted.transform(images).shape == (40, 8)


def test_images_in_grey_are_moved_and_paired_with_neighbours():
    images = np.random.default_rng(0).integers(0, 255, size=(40, 8, 8), dtype=np.uint8)
    fitted = learner().fit(images)
    view = fitted.net_.module_.view
    assert isinstance(view.first, Neighbors) and isinstance(view.second, Augment)
    assert fitted.transform(images).shape == (40, 8)


def test_a_second_table_is_the_view(X):
    fitted = learner().fit(X, X_pair=X[:, :2])
    assert isinstance(fitted.net_.module_.view, Paired)
    assert "X_pair" in fitted.choices_["view"].reason


def test_sparse_rows_that_would_not_fit_are_corrupted(monkeypatch, X):
    monkeypatch.setattr("sklearn_mi.choices.REFERENCES_IN_GIB", 0.0)
    fitted = learner().fit(sparse.csr_matrix(X))
    assert fitted.choices_["view"].value == "corruption"
    assert "GiB" in fitted.choices_["view"].reason


def test_choices_survive_files(X, tmp_path):
    fitted = learner().fit(X)
    fitted.save(tmp_path / "file")
    for same in (load(tmp_path / "file"), pickle.loads(pickle.dumps(fitted))):
        assert same.choices_ == fitted.choices_
        assert np.array_equal(same.transform(X), fitted.transform(X))
        same.partial_fit(X)


def test_going_on_keeps_what_is_built(X):
    fitted = MIRepresentationLearner(8, warm_start=True, random_state=0).fit(X)
    before = fitted.choices_
    fitted.fit(np.vstack([X] * 20))
    assert fitted.choices_["view"] == before["view"]
    assert fitted.choices_["max_steps"].value == 250 * (math.floor(0.9 * 1200) // 256)
    assert fitted.set_params(view=Halves()).partial_fit(X).choices_["view"] == before["view"]


def test_verbose_says_them(X, capsys):
    learner(verbose=1).fit(X)
    assert "view='neighbors': a table" in capsys.readouterr().out


def test_a_nested_parameter_opens_the_default():
    changed = learner().set_params(view__n_neighbors=3, encoder__hidden=(8,))
    assert changed.view.n_neighbors == 3 and changed.encoder.hidden == (8,)
