import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from torch import nn

from sklearn_mi import (
    MIRepresentationLearner,
    comparisons,
    critics,
    encoders,
    front_ends,
    load,
    negatives,
    objectives,
    views,
)
from sklearn_mi._base import is_same
from sklearn_mi.comparisons import Parts
from sklearn_mi.critics import Cosine, Split
from sklearn_mi.encoders import MLP, Passthrough
from sklearn_mi.objectives import EachPart
from sklearn_mi.recipe import (
    ENTRIES,
    OPEN_PARAMETERS,
    Draft,
    Facts,
    over_steps,
    training_choices,
)
from sklearn_mi.recipe.entries import Default
from sklearn_mi.recipe.methods import METHODS
from sklearn_mi.rows import Image, Table, find_flags, read_rows
from sklearn_mi.views import Augment, Corruption, Halves, Neighbors, Paired, TimeLag

TRAINING = frozenset(
    {"max_steps", "lr", "schedule", "optimizer", "precision", "weight_decay", "half_size"}
)
NO_DECAY = {"precision": "float32", "weight_decay": 0.0, "half_size": 0.0}
PICKED = OPEN_PARAMETERS - {"n_components", "output", "front_end"}


def chosen(also_open=TRAINING, given=(), row_shape=(20,), is_paired=False, **changes):
    """Return what is picked for rows of 20 numbers, or others, where nothing else is given."""
    kind = (Table if len(row_shape) == 1 else Image)(row_shape, row_shape)
    plain = {"n_rows": 1000, "kind": kind, "kind_pair": None, "batch_size": 256}
    if is_paired:
        plain["kind_pair"] = Table((5,), (5,))
    defaults = MIRepresentationLearner().get_params(deep=False)
    draft = Draft.of({**defaults, **dict(given)}, Facts(**{**plain, **changes}), also_open)
    recipe = draft.finish((64, 64), "shared", "first")
    picked = training_choices(draft)
    return {**recipe.choices, **over_steps(picked, picked["max_steps"].value)}


def learner(**parameters):
    return MIRepresentationLearner(8, **{"max_steps": 2, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 4))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("neighbors", "gelu-mlp", "cauchy-cosine")),
        ({"row_shape": (7, 8)}, ("neighbors", "gelu-mlp", "cauchy-cosine")),
        ({"row_shape": (8, 8)}, ("moved-neighbors", "lenet", "cauchy-cosine")),
        ({"row_shape": (28, 28, 1)}, ("moved-neighbors", "lenet", "cauchy-cosine")),
        ({"row_shape": (32, 32, 3)}, ("simclr", "convnet", "cosine")),
        ({"row_shape": (32, 32, 5)}, ("simclr", "convnet", "cosine")),
        ({"is_paired": True}, ("paired", "gelu-mlp", "cauchy-cosine")),
        ({"is_paired": True, "row_shape": (32, 32, 3)}, ("paired", "gelu-mlp", "cauchy-cosine")),
        ({"row_shape": (2_000_000,)}, ("corruption", "gelu-mlp", "cauchy-cosine")),
    ],
)
def test_what_is_picked(changes, expected):
    made = chosen(**changes)
    assert tuple(str(made[name].value) for name in ("view", "encoder", "critic")) == expected
    assert all(choice.reason for choice in made.values())


@pytest.mark.parametrize(
    ("n_rows", "steps"),
    [(2, 250), (256, 250), (1000, 400), (5120, 400), (10_240, 800), (25_600, 1200), (1e6, 1200)],
)
def test_length_of_training(n_rows, steps):
    def length(**changes):
        return chosen(n_rows=int(n_rows), **changes)["max_steps"].value

    assert length() == steps
    assert length(effort="quick") == round(steps / 2) and length(effort="thorough") == 3 * steps
    assert length(row_shape=(32, 32, 3)) == min(steps, 400)
    in_grey = {2: 500, 256: 500, 1000: 800, 5120: 800, 10_240: 1200}
    assert length(row_shape=(8, 8)) == in_grey.get(n_rows, 2400)
    assert length(row_shape=(8, 8), given={"view": "neighbors"}) == steps


@pytest.mark.parametrize(
    ("n_rows", "steps"),
    [(2, 250), (256, 250), (1000, 750), (1537, 1200), (10_240, 1200), (25_600, 3000), (1e6, 4800)],
)
@pytest.mark.parametrize(
    "named", [{"given": {"critic": "cosine"}}, {"optimizer": "sgd"}, {"is_whole": False}]
)
def test_without_muon_training_is_longer(n_rows, steps, named):
    def length(**changes):
        return chosen(n_rows=int(n_rows), **named, **changes)["max_steps"].value

    assert length() == steps
    assert length(row_shape=(32, 32, 3)) == min(steps, 880)
    assert length(row_shape=(8, 8)) == (2 * steps if n_rows < 20_000 else steps)


def trained_by(**changes):
    made = chosen(**changes)
    return tuple(made[name].value for name in ("optimizer", "schedule", "lr"))


ADAM_AT_A_CONSTANT_RATE = ("adam", "constant", 1e-3)


def test_muon_trains_where_that_was_tried():
    assert trained_by() == trained_by(is_paired=True) == ("muon", "linear", 0.02)
    assert trained_by(row_shape=(28, 28)) == ("muon", "linear", 0.1)
    assert trained_by(row_shape=(32, 32, 3)) == ("muon", "linear", 0.02)
    assert trained_by(is_whole=False) == ADAM_AT_A_CONSTANT_RATE
    assert trained_by(given={"encoder": "mlp"}) == ADAM_AT_A_CONSTANT_RATE
    without = chosen(also_open=TRAINING - {"lr"})
    assert (without["optimizer"].value, without["schedule"].value) == ("adam", "constant")
    without = chosen(also_open=TRAINING - {"schedule"})
    assert (without["optimizer"].value, without["lr"].value) == ("adam", 1e-3)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"optimizer": "adam"}, ("cosine", 3e-3)),
        ({"optimizer": "adam", "row_shape": (32, 32, 3)}, ("constant", 1e-3)),
        ({"optimizer": torch.optim.RAdam}, ("cosine", 3e-3)),
        ({"optimizer": "muon"}, ("linear", 0.02)),
        ({"optimizer": "muon", "given": {"encoder": "mlp"}}, ("linear", 0.02)),
        ({"optimizer": "muon", "is_whole": False}, ("constant", 0.02)),
        (
            {"optimizer": "muon", "row_shape": (9, 9, 3), "given": {"critic": "cosine"}},
            ("linear", 0.02),
        ),
    ],
)
def test_rates_of_an_optimiser_that_is_named(named, expected):
    made = chosen(also_open=TRAINING - {"optimizer"}, **named)
    assert (made["schedule"].value, made["lr"].value) == expected and "optimizer" not in made


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.0),
        ({"row_shape": (28, 28)}, 0.2),
        ({"row_shape": (28, 28), "effort": "quick"}, 0.2),
        ({"row_shape": (28, 28), "effort": "thorough"}, 0.2 / 3),
        ({"row_shape": (28, 28), "n_rows": 48_000}, 0.2 / 3),
        ({"row_shape": (32, 32, 3)}, 0.0),
        ({"row_shape": (28, 28), "given": {"critic": "cosine"}}, 0.0),
        ({"optimizer": "muon"}, 0.0),
        ({"optimizer": "muon", "given": {"critic": "cosine"}}, 0.2),
        ({"optimizer": "muon", "also_open": TRAINING - {"lr", "optimizer"}}, 0.2),
        ({"optimizer": "adam", "row_shape": (28, 28)}, 0.0),
    ],
)
def test_weights_decay_where_muon_moves_them_far(changes, expected):
    assert chosen(**changes)["weight_decay"].value == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("n_components", [None, 2])
def test_codes_keep_their_scale(n_components):
    images = np.random.default_rng(0).random((300, 8, 8))
    fitted = MIRepresentationLearner(n_components, random_state=0).fit(images)
    assert fitted.choices_["optimizer"].value == "muon"
    assert 0.1 < fitted.transform(images).std() < 20


def test_precision_is_lower_where_the_processor_gains_by_it():
    image = {"row_shape": (32, 32, 3)}
    assert chosen(**image, has_bfloat16=True)["precision"].value == "bfloat16"
    assert chosen(**image)["precision"].value == "float32"
    assert chosen(has_bfloat16=True)["precision"].value == "float32"


def test_images_are_seen_small_where_they_are_large_enough():
    assert chosen(row_shape=(32, 32, 3))["half_size"].value == 0.75
    assert chosen(row_shape=(16, 16, 3))["half_size"].value == 0
    assert chosen(row_shape=(28, 28))["half_size"].value == 0
    assert chosen(row_shape=(32, 32, 3), given={"encoder": "convnet"})["half_size"].value == 0
    assert chosen(row_shape=(32, 32, 3), is_whole=False)["half_size"].value == 0


def test_a_rate_that_is_picked_is_taken(X):
    whole = MIRepresentationLearner(8, max_steps=4, random_state=0)
    how = {"lr": 0.02, "schedule": "linear", "optimizer": "muon", **NO_DECAY}
    same = MIRepresentationLearner(8, max_steps=4, **how, random_state=0)
    codes = whole.fit(X).transform(X)
    np.testing.assert_array_equal(codes, same.fit(X).transform(X))
    assert "lr" not in same.choices_
    part = MIRepresentationLearner(8, random_state=0).partial_fit(X)
    constant = MIRepresentationLearner(8, lr=1e-3, random_state=0).partial_fit(X)
    np.testing.assert_array_equal(part.transform(X), constant.transform(X))
    with pytest.raises(ValueError, match="lr"):
        MIRepresentationLearner(8, lr="high").fit(X)


def test_effort_beside_a_length_is_refused(X):
    for length in ({"max_steps": 3}, {"max_epochs": 1}):
        with pytest.raises(ValueError, match=r"effort='quick' and max_\w+=\d both set the length"):
            MIRepresentationLearner(8, effort="quick", **length).fit(X)
    for wrong in (0, -1, "fast", None):
        with pytest.raises(ValueError, match="The 'effort' parameter of MIRepresentationLearner"):
            MIRepresentationLearner(8, effort=wrong).fit(X)
    quick = MIRepresentationLearner(8, effort="quick", random_state=0).fit(X)
    assert quick.n_iter_ == 125
    assert quick.choices_["max_steps"].reason == "125.0 passes over 54 rows; effort='quick'"


def test_the_learner_says_what_it_picked_and_takes_it(X):
    fitted = MIRepresentationLearner(8, random_state=0).fit(X)
    assert set(fitted.choices_) == PICKED
    assert fitted.n_iter_ == fitted.choices_["max_steps"].value == 250
    assert isinstance(fitted.net_.module_.view, Neighbors)
    critic = Split(("cauchy", Cosine(temperature=1.0)))
    given = {"view": Neighbors(), "encoder": "gelu-mlp", "critic": critic, "lr": 0.02}
    how = {"schedule": "linear", "optimizer": "muon", "max_steps": 250, **NO_DECAY}
    same = learner(**given, objective=EachPart(), comparison="whole", **how).fit(X)
    assert same.choices_ == {}
    assert np.array_equal(same.transform(X), fitted.transform(X))


def test_each_choice_can_be_taken_over(X):
    fitted = learner(view=Halves(), critic="bilinear").fit(X)
    of_training = TRAINING - {"max_steps"}
    assert set(fitted.choices_) == {"encoder", "objective", "comparison", *of_training}
    assert fitted.choices_["objective"].value == "infonce"
    fitted = MIRepresentationLearner(8, max_epochs=1).fit(X)
    assert set(fitted.choices_) == PICKED - {"max_steps"}


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
    assert "output" not in fitted.choices_ and fitted.net_.module_.recipe.output == "first"
    wide = MIRepresentationLearner(max_steps=1, random_state=0).fit(np.tile(X, 65))
    assert wide.transform(np.tile(X, 65)).shape == (60, 64)


def test_columns_beside_a_code_of_ones_own(X):
    for params, given in (({"view": Halves()}, {}), ({}, {"X_pair": X[:, :3]})):
        asked = learner(**params, output="with-columns").fit(X, **given)
        alone = learner(**params, output="first").fit(X, **given)
        Z = asked.transform(X)
        np.testing.assert_array_equal(Z[:, :8], alone.transform(X))
        columns = asked.net_.module_.scale(torch.as_tensor(X)).numpy()
        np.testing.assert_array_equal(Z[:, 8:], columns)
    # Beside the code of the second table stands none of its columns.
    pairs = asked.transform_pair(X[:, :3])
    assert pairs.shape == (60, 8)
    np.testing.assert_array_equal(pairs, alone.transform_pair(X[:, :3]))


def assert_equal_to_named(fitted, images, **params):
    """Compare with the learner whose convnet and critic are given by name."""
    named = learner(encoder="convnet", critic="cosine", objective="infonce", **params)
    named.set_params(batch_size=16, optimizer="muon", lr=0.02, schedule="linear", weight_decay=0.0)
    named.set_params(precision=fitted.choices_["precision"].value).fit(images)
    np.testing.assert_array_equal(fitted.transform(images), named.transform(images))


def test_images_in_colour_are_augmented():
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16, 3), dtype=np.uint8)
    fitted = learner(batch_size=16).fit(images)
    assert isinstance(fitted.net_.module_.view, Augment)
    assert fitted.choices_["encoder"].value == "convnet"
    assert fitted.choices_["output"].value == "averaged"
    assert_equal_to_named(fitted, images, view="simclr", output="averaged")


@pytest.mark.parametrize("n_channels", [2, 4, 13])
def test_images_of_any_number_of_channels_are_augmented(n_channels):
    images = np.random.default_rng(0).normal(size=(40, 16, 16, n_channels))
    fitted = learner(batch_size=16).fit(images)
    assert "red, green and blue" in fitted.choices_["view"].reason
    assert isinstance(fitted.net_.module_.view, Augment)
    assert_equal_to_named(fitted, images, view="simclr", output="averaged")


@pytest.mark.parametrize("changes", [{"view": "simclr"}, {"critic": "cauchy"}, {"output": "first"}])
def test_crops_are_averaged_by_the_default_alone(changes):
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16, 3), dtype=np.uint8)
    fitted = learner(batch_size=16, **changes).fit(images)
    assert "output" not in fitted.choices_ and fitted.net_.module_.recipe.output == "first"


def test_images_in_grey_are_moved_and_paired_with_neighbours():
    images = np.random.default_rng(0).integers(0, 255, size=(40, 16, 16), dtype=np.uint8)
    fitted = learner().fit(images)
    view = fitted.net_.module_.view
    assert isinstance(view.first, Neighbors) and isinstance(view.second, Augment)
    named = learner(view="moved-neighbors", encoder="lenet", optimizer="muon", lr=0.1)
    named.set_params(schedule="linear", weight_decay=0.2)
    named.set_params(**{name: fitted.choices_[name].value for name in ("critic", "objective")})
    np.testing.assert_array_equal(fitted.transform(images), named.fit(images).transform(images))


def test_a_second_table_is_the_view(X):
    fitted = learner().fit(X, X_pair=X[:, :2])
    assert isinstance(fitted.net_.module_.view, Paired)
    assert "X_pair" in fitted.choices_["view"].reason


def test_sparse_rows_that_would_not_fit_are_corrupted(monkeypatch, X):
    monkeypatch.setattr("sklearn_mi.recipe.facts.REFERENCES_IN_GIB", 0.0)
    fitted = learner().fit(sparse.csr_matrix(X))
    assert fitted.choices_["view"].value == "corruption"
    assert "GiB" in fitted.choices_["view"].reason


def test_windows_of_a_series_are_principal_components(tmp_path):
    X = np.random.default_rng(0).normal(size=(90, 3)).cumsum(axis=0)
    fitted = learner(view=TimeLag(1, 10, window=5)).fit(X)
    picked = {name: choice.value for name, choice in fitted.choices_.items()}
    assert repr(picked["front_end"]) == "Blocks(n_components=16, parts=('values',), weights=(1.0,))"
    halves = "Joined(encoders=(MLP(activation='gelu', hidden=(128,)), 'linear'))"
    assert repr(picked["encoder"]) == halves
    trained = tuple(picked[name] for name in ("optimizer", "schedule", "lr", "weight_decay"))
    assert trained == ("muon", "linear", 0.02, 0.0)
    Z = fitted.transform(X)
    changed = X.copy()
    changed[50] += 1.0
    moved = np.flatnonzero(np.abs(fitted.transform(changed) - Z).max(axis=1) > 1e-5)
    assert moved.tolist() == [50, 51, 52, 53, 54]
    fitted.save(tmp_path / "learner.mi")
    np.testing.assert_array_equal(load(tmp_path / "learner.mi").transform(X), Z)


@pytest.mark.parametrize("named", [{"n_components": 7}, {"critic": "cauchy"}], ids=str)
def test_codes_in_one_part_are_of_one_network(named):
    X = np.random.default_rng(0).normal(size=(90, 3)).cumsum(axis=0)
    fitted = learner(view=TimeLag(1, 10, window=5)).set_params(**named).fit(X)
    assert repr(fitted.choices_["encoder"].value) == "MLP(activation='gelu', hidden=(128,))"
    assert "Joined" not in repr(fitted.net_.module_)
    if "n_components" in named:
        trained = [fitted.choices_[name].value for name in ("lr", "weight_decay")]
        assert trained == [0.005, 2.0]


def test_windows_have_an_encoder_of_ones_own(X):
    fitted = learner(view=TimeLag(1, window=3), encoder="gru").fit(X)
    assert "front_end" not in fitted.choices_
    assert fitted.choices_["optimizer"].value == "adam"
    assert fitted.choices_["weight_decay"].value == 0.0


def test_choices_survive_files(X, tmp_path):
    fitted = learner().fit(X)
    fitted.save(tmp_path / "file")
    both = load(tmp_path / "file"), pickle.loads(pickle.dumps(fitted))
    for same in both:
        assert same.choices_ == fitted.choices_
        assert np.array_equal(same.transform(X), fitted.transform(X))
        same.partial_fit(X)
        built = fitted.choices_.keys() - TRAINING
        assert {n: same.choices_[n] for n in built} == {n: fitted.choices_[n] for n in built}
    assert np.array_equal(both[0].transform(X), both[1].transform(X))


def test_going_on_keeps_what_is_built(X):
    fitted = MIRepresentationLearner(8, warm_start=True, random_state=0).fit(X)
    before = fitted.choices_
    fitted.fit(np.vstack([X] * 10))
    assert fitted.choices_["view"] == before["view"]
    assert fitted.choices_["max_steps"].value == 250 * (math.floor(0.9 * 600) // 256)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objective", "nwj"),
        ("critic", "bilinear"),
        ("view", Halves()),
        ("encoder", "mlp"),
        ("encoder_y", "separate"),
        ("negatives", "hard"),
        ("comparison", "each-part"),
        ("head", "mlp"),
        ("output", "second"),
        ("standardize", False),
        ("input_shape", (2, 2)),
        ("n_components", 4),
    ],
)
def test_what_is_built_cannot_be_changed_without_a_fit(X, name, value):
    fitted = learner().fit(X)
    codes, number, mi = fitted.transform(X), fitted.score(X), fitted.mi_
    fitted.set_params(**{name: value})
    # What was built is used as it is,
    np.testing.assert_array_equal(fitted.transform(X), codes)
    assert fitted.score(X) == number
    for go_on in (fitted.partial_fit, fitted.set_params(warm_start=True).fit):
        with pytest.raises(ValueError, match=f"{name}=.*another value.*call fit"):
            go_on(X)
    assert fitted.mi_ is mi
    np.testing.assert_array_equal(fitted.transform(X), codes)
    # and with the value of before training goes on.
    before = MIRepresentationLearner(8).get_params()[name]
    assert fitted.set_params(**{name: before}).partial_fit(X).n_iter_ == 2 + 1


def test_a_nested_change_of_what_is_built_is_told_too(X):
    fitted = learner(view=Neighbors(3), encoder="mlp").fit(X)
    with pytest.raises(ValueError, match="view=Neighbors.*another value"):
        fitted.set_params(view__n_neighbors=5).partial_fit(X)
    fitted.set_params(view__n_neighbors=3).partial_fit(X)
    fitted.set_params(lr=1e-2, batch_size=16, optimizer="sgd", early_stopping=True).partial_fit(X)
    assert fitted.history_[-1]["steps"] == 54 // 16 - 1 + 1


def test_verbose_says_them(X, capsys):
    learner(verbose=1).fit(X)
    said = capsys.readouterr()
    assert "view='neighbors': a table" in said.err and said.out == ""


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_program_that_logs_has_them_in_its_log_alone(X, capsys, caplog, verbose):
    with caplog.at_level("INFO", "sklearn_mi"):
        learner(verbose=verbose).fit(X)
    (said,) = [record for record in caplog.records if "view='neighbors'" in record.message]
    assert (said.name, said.levelname) == ("sklearn_mi", "INFO")
    assert "view=" not in capsys.readouterr().err


def test_a_nested_parameter_of_an_open_one_is_set_on_the_pick(X):
    changed = learner().set_params(view__n_neighbors=3, encoder__hidden=(8,))
    again = clone(changed.set_params(encoder__activation="relu"))
    fitted = again.fit(X)
    assert fitted.net_.module_.view.n_neighbors == 3
    assert fitted.encoder_[1].out_features == 8 and isinstance(fitted.encoder_[2], nn.ReLU)
    assert {"view", "encoder", "critic"} <= set(fitted.choices_)
    how = {"optimizer": "muon", "lr": 0.02, "schedule": "linear", **NO_DECAY}
    named = learner(view=Neighbors(3), encoder=MLP((8,), "relu"), **how)
    np.testing.assert_array_equal(fitted.transform(X), named.fit(X).transform(X))
    images = np.random.default_rng(0).random(size=(40, 9, 9))
    lenet = learner().set_params(encoder__hidden=(5,)).fit(images).encoder_
    assert 5 in {layer.out_features for layer in lenet.modules() if isinstance(layer, nn.Linear)}


def test_a_nested_parameter_that_the_pick_lacks_is_told_by_name(X, tmp_path):
    wanted = learner().set_params(encoder__kernel=3)
    with pytest.raises(ValueError, match=r"encoder__kernel.*picked 'gelu-mlp'.*no.*'kernel'"):
        wanted.fit(X)
    assert not hasattr(wanted, "n_features_in_")
    fitted = learner().set_params(critic__critics=("cauchy", "cauchy")).fit(X)
    fitted.save(tmp_path / "file")
    again = load(tmp_path / "file")
    assert again.get_params()["critic"].changes == {"critics": ("cauchy", "cauchy")}
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_a_default_that_is_an_object_is_no_ones_to_change(X, tmp_path, monkeypatch):
    view = dataclasses.replace(ENTRIES["numbers"].view, value=Corruption(0.3))
    monkeypatch.setitem(ENTRIES, "numbers", dataclasses.replace(ENTRIES["numbers"], view=view))
    fitted = learner().fit(X)
    other = learner().set_params(view__rate=0.5).fit(X)
    assert (fitted.net_.module_.view.rate, other.net_.module_.view.rate) == (0.3, 0.5)
    fitted.choices_["view"].value.set_params(rate=0.9)
    assert learner().fit(X).net_.module_.view.rate == view.value.rate == 0.3
    other.save(tmp_path / "file")
    np.testing.assert_array_equal(load(tmp_path / "file").transform(X), other.transform(X))


def words(n):
    rng = np.random.default_rng(1)
    return sparse.csr_matrix(rng.poisson(0.3, size=(n, 40)).astype(float))


DRAWS = np.random.default_rng(0)
# Rows of each kind, and the methods that are asked for by name.
ROWS_OF = {
    "table": lambda: DRAWS.normal(size=(60, 6)),
    "flags": lambda: (DRAWS.random((60, 40)) < 0.3).astype(float),
    "words": lambda: words(60),
    "series": lambda: DRAWS.normal(size=(60, 32)).cumsum(1),
    "recording": lambda: DRAWS.normal(size=(60, 24, 2)).cumsum(1),
    "image": lambda: DRAWS.random((60, 12, 12)),
    "photo": lambda: DRAWS.random((60, 16, 16, 3)).astype(np.float32),
}
ASKED = [(kind, "auto") for kind in ROWS_OF] + [
    *((kind, "dim") for kind in ("image", "photo")),
    ("photo", "amdim"),
    ("photo", "cmc"),
    *((kind, "cpc") for kind in ("image", "recording")),
]
PUBLIC = {
    name: getattr(module, name)
    for module in (comparisons, critics, encoders, front_ends, negatives, objectives, views)
    for name in module.__all__
}


def is_plain(value):
    try:
        return json.loads(json.dumps(value)) == value
    except TypeError:
        return False


def check_values(choices):
    """Hold each value to what is promised: JSON takes it, or its repr makes an equal one."""
    for name, choice in choices.items():
        if not is_plain(choice.value):
            again = eval(repr(choice.value), dict(PUBLIC))
            assert type(again) is type(choice.value), name
            assert again == choice.value or is_same(again, choice.value), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "comparison"), ASKED)
def test_what_was_picked_can_be_written_and_is_nobodys_default(kind, comparison):
    rows = ROWS_OF[kind]()
    pair = DRAWS.normal(size=(60, 5)) if kind == "table" else None
    for X_pair in (None, pair)[: 2 if kind == "table" else 1]:
        made = MIRepresentationLearner(comparison=comparison, max_steps=1, random_state=0)
        choices = made.fit(rows, X_pair=X_pair).choices_
        check_values(choices)
        before = {name: repr(choice.value) for name, choice in choices.items()}
        values = [choice.value for choice in choices.values()]
        objects = [value for value in values if hasattr(value, "get_params")]
        for value in objects:
            for name in value.get_params(deep=False):
                setattr(value, name, None)
        if objects:
            again = clone(made).fit(rows, X_pair=X_pair).choices_
            assert {name: repr(choice.value) for name, choice in again.items()} == before


def test_defaults_that_are_objects_have_a_repr_that_makes_them():
    found = []
    fields = [vars(entry) for entry in ENTRIES.values()] + list(METHODS.values())
    todo = [value for each in fields for value in each.values() if isinstance(value, Default)]
    while todo:
        one = todo.pop()
        todo += [one.otherwise] * (one.otherwise is not None)
        if hasattr(one.value, "get_params"):
            found.append(repr(one.value))
            assert is_same(eval(repr(one.value), dict(PUBLIC)), one.value)
    assert any(text.startswith("Conv1d(causal=True") for text in found)


@pytest.mark.parametrize("each_part", ["each-part", Parts()], ids=str)
def test_a_comparison_that_is_given_says_what_auto_means(X, each_part):
    default = learner().fit(X)
    parts = learner(comparison=each_part).fit(X)
    np.testing.assert_array_equal(parts.transform(X), default.transform(X))
    assert parts.mi_.value == default.mi_.value
    assert parts.choices_["objective"].value == "infonce"
    assert parts.choices_["critic"].value == "cauchy-cosine"
    whole = learner(comparison="whole").fit(X)
    assert {whole.choices_[name].value for name in ("critic", "objective")} == {"cauchy", "infonce"}
    with pytest.raises(ValueError, match="'each-part' needs a critic.*critic="):
        learner(comparison=each_part, critic="bilinear").fit(X)
    with pytest.raises(ValueError, match="Did you mean 'whole'"):
        learner(comparison="hole").fit(X)


def mixed(n_rows=200, n_numbers=4, n_flags=5, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, n_numbers)) * 10.0 ** np.arange(n_numbers)
    return np.hstack([numbers, np.eye(n_flags)[rng.integers(n_flags, size=n_rows)]])


def test_a_mixed_table_keeps_its_columns_and_trains_nothing():
    X = mixed()
    fitted = MIRepresentationLearner(random_state=0).fit(X)
    picked = {name: choice.value for name, choice in fitted.choices_.items()}
    assert isinstance(picked["encoder"], Passthrough) and picked["max_steps"] == 0
    assert fitted.n_iter_ == 0 and math.isnan(fitted.mi_.value)
    assert fitted.mi_.warnings == (
        "nothing was trained: the columns are the code; n_components=... learns one",
    )
    Z = fitted.transform(X)
    assert Z.shape == (200, 9)
    # Numbers come in units of their deviation, flags as they are but for their mean.
    numbers, flags = Z[:, :4], Z[:, 4:]
    np.testing.assert_allclose(numbers.std(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(np.ptp(flags, axis=0), 1, atol=1e-5)
    assert fitted.get_feature_names_out()[0] == "x0"
    assert np.isfinite(fitted.score(X))


@pytest.mark.parametrize(
    "changes",
    [{"max_steps": 2}, {"max_epochs": 1}, {"view": "noise"}, {"critic": "cosine"}],
    ids=str,
)
def test_whoever_names_a_part_of_a_code_gets_one_from_a_mixed_table(changes):
    params = {"max_steps": 2, **changes}
    if "max_epochs" in changes:
        params.pop("max_steps")
    fitted = MIRepresentationLearner(random_state=0, **params).fit(mixed())
    assert fitted.choices_["encoder"].value == "gelu-mlp" and fitted.n_iter_ > 0


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
    assert find_flags(read_rows(MIRepresentationLearner(), X), np.arange(len(X))) is None


@pytest.mark.parametrize("changes", [{"encoder": "mlp"}, {"n_components": 12}])
def test_a_mixed_table_with_a_code_of_ones_own(changes):
    fitted = MIRepresentationLearner(max_steps=2, random_state=0, **changes).fit(mixed())
    rows = fitted.net_.module_.scale(torch.as_tensor(mixed()))
    with torch.no_grad():
        codes = fitted.encoder_(rows).numpy()
    assert codes.shape == (200, changes.get("n_components", 32))
    # The code alone, no columns beside it.
    np.testing.assert_allclose(fitted.transform(mixed()), codes, atol=1e-5)


def test_a_mixed_table_as_a_sparse_one_and_from_a_file(tmp_path):
    X = mixed()
    fitted = MIRepresentationLearner(random_state=0).fit(X)
    as_sparse = MIRepresentationLearner(random_state=0).fit(sparse.csr_array(X))
    np.testing.assert_allclose(as_sparse.transform(X), fitted.transform(X), atol=1e-6)
    fitted.save(tmp_path / "mixed.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "mixed.safetensors").transform(X), fitted.transform(X)
    )


@pytest.mark.parametrize("yes", [True, np.True_])
def test_asked_for_ranges_a_mixed_table_has_them(yes):
    fitted = MIRepresentationLearner(standardize=yes, random_state=0).fit(mixed())
    columns = np.ptp(fitted.transform(mixed()), axis=0)
    np.testing.assert_allclose(columns, columns[0], rtol=0.2)  # of the training rows: equal
