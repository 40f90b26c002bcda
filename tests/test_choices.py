import math
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.choices import PARAMETERS, Facts, choose
from sklearn_mi.critics import Cosine, Split
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
        ({}, ("neighbors", "wide-mlp", "cauchy-cosine")),
        ({"row_shape": (7, 8)}, ("neighbors", "wide-mlp", "cauchy-cosine")),
        ({"row_shape": (8, 8)}, ("moved-neighbors", "lenet", "cauchy-cosine")),
        ({"row_shape": (28, 28, 1)}, ("moved-neighbors", "lenet", "cauchy-cosine")),
        ({"row_shape": (32, 32, 3)}, ("simclr", "convnet", "cosine")),
        ({"row_shape": (32, 32, 5)}, ("simclr", "convnet", "cosine")),
        ({"is_paired": True}, ("paired", "wide-mlp", "cauchy-cosine")),
        ({"is_paired": True, "row_shape": (32, 32, 3)}, ("paired", "wide-mlp", "cauchy-cosine")),
        ({"row_shape": (2_000_000,)}, ("corruption", "wide-mlp", "cauchy-cosine")),
    ],
)
def test_what_is_picked(changes, expected):
    made = choose(facts(**changes))
    assert tuple(made[name].value for name in ("view", "encoder", "critic")) == expected
    assert all(choice.reason for choice in made.values())


@pytest.mark.parametrize(
    ("n_rows", "steps"),
    [(2, 250), (256, 250), (1000, 750), (1537, 1200), (10_240, 1200), (25_600, 3000), (1e6, 4800)],
)
def test_length_of_training(n_rows, steps):
    assert choose(facts(n_rows=int(n_rows)))["max_steps"].value == steps
    colour = facts(n_rows=int(n_rows), row_shape=(32, 32, 3))
    assert choose(colour)["max_steps"].value == min(steps, 880)
    grey = facts(n_rows=int(n_rows), row_shape=(8, 8))
    assert choose(grey)["max_steps"].value == (2 * steps if n_rows < 20_000 else steps)
    not_moved = facts(n_rows=int(n_rows), row_shape=(8, 8), left_open=PARAMETERS - {"view"})
    assert choose(not_moved)["max_steps"].value == steps


def test_a_rate_falls_where_that_was_tried():
    def rate(**changes):
        made = choose(facts(**changes))
        return made["lr"].value, made["schedule"].value

    assert rate() == rate(is_paired=True) == rate(row_shape=(28, 28)) == (3e-3, "cosine")
    assert rate(row_shape=(32, 32, 3)) == rate(is_whole=False) == (1e-3, "constant")
    assert rate(left_open=PARAMETERS - {"encoder"}) == (1e-3, "constant")
    assert choose(facts(left_open=PARAMETERS - {"lr"}))["schedule"].value == "constant"
    assert choose(facts(left_open=PARAMETERS - {"schedule"}))["lr"].value == 1e-3


def test_a_rate_that_is_picked_is_taken(X):
    whole = MIRepresentationLearner(8, max_steps=4, random_state=0)
    same = MIRepresentationLearner(8, max_steps=4, lr=3e-3, schedule="cosine", random_state=0)
    codes = whole.fit(X).transform(X)
    np.testing.assert_array_equal(codes, same.fit(X).transform(X))
    assert "lr" not in same.choices_
    part = MIRepresentationLearner(8, random_state=0).partial_fit(X)
    constant = MIRepresentationLearner(8, lr=1e-3, random_state=0).partial_fit(X)
    np.testing.assert_array_equal(part.transform(X), constant.transform(X))
    with pytest.raises(ValueError, match="lr"):
        MIRepresentationLearner(8, lr="high").fit(X)


def test_the_learner_says_what_it_picked_and_takes_it(X):
    fitted = MIRepresentationLearner(8, random_state=0).fit(X)
    assert set(fitted.choices_) == PARAMETERS - {"n_components", "output"}
    assert fitted.n_iter_ == fitted.choices_["max_steps"].value == 250
    assert isinstance(fitted.net_.module_.view, Neighbors)
    critic = Split(("cauchy", Cosine(temperature=1.0)))
    given = {"view": Neighbors(), "encoder": "wide-mlp", "critic": critic, "lr": 3e-3}
    same = learner(**given, objective=EachPart(), schedule="cosine", max_steps=250).fit(X)
    assert same.choices_ == {}
    assert np.array_equal(same.transform(X), fitted.transform(X))


def test_each_choice_can_be_taken_over(X):
    fitted = learner(view=Halves(), critic="bilinear").fit(X)
    assert set(fitted.choices_) == {"encoder", "objective", "lr", "schedule"}
    assert fitted.choices_["objective"].value == "infonce"
    fitted = MIRepresentationLearner(8, max_epochs=1).fit(X)
    assert set(fitted.choices_) == PARAMETERS - {"n_components", "output", "max_steps"}


def test_width_of_codes():
    X = np.random.default_rng(0).normal(size=(60, 4))
    fitted = MIRepresentationLearner(max_steps=1).fit(X)
    assert fitted.choices_["n_components"].value == 64
    assert fitted.transform(X).shape[1] == 64 + 4
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


def test_a_table_stands_beside_its_code(tmp_path, X):
    fitted = MIRepresentationLearner(max_steps=3, random_state=0).fit(X)
    assert fitted.choices_["output"].value == "with-columns"
    Z = fitted.transform(X)
    assert Z.shape == (60, 64 + 4) and len(fitted.get_feature_names_out()) == 68
    alone = MIRepresentationLearner(max_steps=3, output="first", random_state=0).fit(X)
    np.testing.assert_array_equal(Z[:, :64], alone.transform(X))
    assert alone.mi_.value == fitted.mi_.value
    # The columns as the encoder sees them: centred, in parts of their range.
    train = fitted.net_.module_.scale(torch.as_tensor(X)).numpy()
    np.testing.assert_allclose(Z[:, 64:], train, atol=1e-6)
    fitted.save(tmp_path / "table.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "table.safetensors").transform(X), Z)
    as_sparse = MIRepresentationLearner(max_steps=3, random_state=0).fit(sparse.csr_array(X))
    np.testing.assert_allclose(as_sparse.transform(sparse.csr_array(X)), Z, atol=1e-5)
    assert not hasattr(fitted, "inverse_transform")


@pytest.mark.parametrize(
    "changes",
    [{"view": "noise"}, {"encoder": "mlp"}, {"critic": "cosine"}, {"n_components": 12}],
)
def test_columns_are_added_to_the_default_alone(X, changes):
    fitted = MIRepresentationLearner(max_steps=1, random_state=0, **changes).fit(X)
    assert "output" not in fitted.choices_ and fitted._model.output == "first"
    wide = MIRepresentationLearner(max_steps=1, random_state=0).fit(np.tile(X, 65))
    assert wide.transform(np.tile(X, 65)).shape == (60, 64)


def test_columns_beside_a_code_of_ones_own(X):
    asked = learner(view=Halves(), output="with-columns").fit(X)
    assert asked.transform(X).shape == (60, 8 + 4)
    pairs = learner(output="with-columns").fit(X, X_pair=X[:, :3])
    assert pairs.transform(X).shape == (60, 8 + 4)
    assert pairs.transform_pair(X[:, :3]).shape == (60, 8)


def test_images_in_colour_are_augmented():
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16, 3), dtype=np.uint8)
    fitted = learner(batch_size=16).fit(images)
    assert isinstance(fitted.net_.module_.view, Augment)
    assert fitted.choices_["encoder"].value == "convnet"
    assert fitted.choices_["output"].value == "averaged"
    assert fitted.transform(images).shape == (40, 8)


@pytest.mark.parametrize("n_channels", [2, 4, 13])
def test_images_of_any_number_of_channels_are_augmented(n_channels):
    images = np.random.default_rng(0).normal(size=(40, 16, 16, n_channels))
    fitted = learner(batch_size=16).fit(images)
    assert "red, green and blue" in fitted.choices_["view"].reason
    assert fitted.transform(images).shape == (40, 8)


@pytest.mark.parametrize("changes", [{"view": "simclr"}, {"critic": "cauchy"}, {"output": "first"}])
def test_crops_are_averaged_by_the_default_alone(changes):
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16, 3), dtype=np.uint8)
    fitted = learner(batch_size=16, **changes).fit(images)
    assert "output" not in fitted.choices_ and fitted._model.output == "first"


def test_images_in_grey_are_moved_and_paired_with_neighbours():
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16), dtype=np.uint8)
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
    fitted.fit(np.vstack([X] * 10))
    assert fitted.choices_["view"] == before["view"]
    assert fitted.choices_["max_steps"].value == 250 * (math.floor(0.9 * 600) // 256)
    assert fitted.set_params(view=Halves()).partial_fit(X).choices_["view"] == before["view"]


def test_verbose_says_them(X, capsys):
    learner(verbose=1).fit(X)
    assert "view='neighbors': a table" in capsys.readouterr().out


def test_a_nested_parameter_opens_the_default():
    changed = learner().set_params(view__n_neighbors=3, encoder__hidden=(8,))
    assert changed.view.n_neighbors == 3 and changed.encoder.hidden == (8,)


def mixed(n_rows=200, n_numbers=4, n_flags=5, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, n_numbers)) * 10.0 ** np.arange(n_numbers)
    return np.hstack([numbers, np.eye(n_flags)[rng.integers(n_flags, size=n_rows)]])


def test_a_mixed_table_keeps_its_columns():
    X = mixed()
    fitted = MIRepresentationLearner(max_steps=3, random_state=0).fit(X)
    picked = {name: choice.value for name, choice in fitted.choices_.items()}
    assert picked["encoder"] == "passthrough"
    assert (picked["critic"], picked["objective"]) == ("bilinear", "infonce")
    assert (picked["schedule"], picked["lr"]) == ("constant", 1e-3)
    Z = fitted.transform(X)
    assert Z.shape == (200, 9 + 2)
    # Numbers come in units of their deviation, flags as they are but for their mean.
    numbers, flags, learned = Z[:, :4], Z[:, 4:9], Z[:, 9:]
    np.testing.assert_allclose(numbers.std(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(np.ptp(flags, axis=0), 1, atol=1e-5)
    assert np.abs(learned).max() <= 0.25


@pytest.mark.parametrize(
    "X",
    [
        mixed(n_numbers=30, n_flags=4),
        mixed(n_numbers=0),
        mixed(n_numbers=300, n_flags=100),
        mixed().astype(np.uint8),
        np.column_stack([mixed(n_flags=2)[:, :4], np.zeros(200), np.ones(200)]),
    ],
    ids=["few flags", "flags alone", "wide", "bytes", "constants"],
)
def test_what_is_no_mixed_table(X):
    fitted = MIRepresentationLearner(max_steps=2, random_state=0).fit(X)
    assert fitted.choices_["encoder"].value == "wide-mlp"


@pytest.mark.parametrize("changes", [{"encoder": "mlp"}, {"n_components": 12}])
def test_a_mixed_table_with_a_code_of_ones_own(changes):
    fitted = MIRepresentationLearner(max_steps=2, random_state=0, **changes).fit(mixed())
    assert "passthrough" not in {choice.value for choice in fitted.choices_.values()}
    assert fitted.transform(mixed()).shape == (200, changes.get("n_components", 32))


def test_a_mixed_table_as_a_sparse_one_and_from_a_file(tmp_path):
    X = mixed()
    fitted = MIRepresentationLearner(max_steps=5, random_state=0).fit(X)
    as_sparse = MIRepresentationLearner(max_steps=5, random_state=0).fit(sparse.csr_array(X))
    np.testing.assert_allclose(as_sparse.transform(X), fitted.transform(X), atol=1e-6)
    fitted.save(tmp_path / "mixed.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "mixed.safetensors").transform(X), fitted.transform(X)
    )


@pytest.mark.parametrize("yes", [True, np.True_])
def test_asked_for_ranges_a_mixed_table_has_them(yes):
    fitted = MIRepresentationLearner(max_steps=2, standardize=yes, random_state=0).fit(mixed())
    columns = np.ptp(fitted.transform(mixed())[:, :9], axis=0)
    np.testing.assert_allclose(columns, columns[0], rtol=0.2)  # of the training rows: equal
