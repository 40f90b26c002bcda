import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from skorch.callbacks import Callback
from torch import nn

import sklearn_mi
from sklearn_mi import MIRepresentationLearner, headers
from sklearn_mi.encoders import MLP, Backbone
from sklearn_mi.training import Muon
from sklearn_mi.views import Columns, Compose, Corruption, GaussianNoise, Halves, Neighbors

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 6))


def learner(**params):
    params = {"encoder": MLP(hidden=(8,)), "max_steps": 5, "random_state": 0, **params}
    return MIRepresentationLearner(3, **params)


def read(path):
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["sklearn_mi"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path, header, tensors):
    """Write a file as somebody would who knows about the digest."""
    save_file(tensors, path, metadata={"sklearn_mi": json.dumps(header), **headers.unsealed()})
    headers.seal(path)


CASES = {
    "defaults": {},
    "halves": {"view": Halves(), "critic": "concat", "objective": "nwj"},
    "columns": {"view": Columns(slice(0, 2), [2, 3]), "head": MLP(hidden=(4,))},
    "composed": {"view": Compose(Neighbors(3), Corruption(0.2)), "objective": "mine"},
    "noise": {"view": GaussianNoise(0.2), "objective": "flo", "encoder_y": "separate"},
    "optimizer class": {"optimizer": torch.optim.RAdam, "objective": "tuba"},
    "our optimizer": {"optimizer": Muon},
    "optimizer in a partial": {"optimizer": partial(Muon, momentum=0.5, betas=(0.9, 0.99))},
    "numpy scalars": {"lr": np.float64(0.01), "batch_size": np.int64(16)},
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_loaded_is_what_was_saved(X, tmp_path, case):
    fitted = learner(**CASES[case]).fit(X)
    fitted.save(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file")
    assert np.array_equal(again.transform(X), fitted.transform(X))
    assert again.score(X) == fitted.score(X)
    if case != "numpy scalars":
        assert repr(again) == repr(fitted)
    assert str(again.mi_) == str(fitted.mi_) and again.mi_.warnings == fitted.mi_.warnings
    assert len(again.history_) == len(fitted.history_) and again.n_iter_ == fitted.n_iter_
    # Training goes on from a file as from a pickle.
    pickled = pickle.loads(pickle.dumps(fitted)).partial_fit(X)
    assert np.array_equal(again.partial_fit(X).transform(X), pickled.transform(X))
    assert again.n_iter_ == pickled.n_iter_ > fitted.n_iter_


def test_pairs_names_and_images(X, tmp_path):
    import pandas as pd

    paired = learner().fit(X[:, :4], X_pair=X[:, 4:])
    paired.save(tmp_path / "paired")
    again = sklearn_mi.load(tmp_path / "paired")
    assert np.array_equal(again.transform_pair(X[:, 4:]), paired.transform_pair(X[:, 4:]))
    frame = pd.DataFrame(X, columns=list("abcdef"))
    named = learner(view=Columns(["a"], ["b", "c"])).fit(frame)
    named.save(tmp_path / "named")
    with pytest.raises(ValueError, match="feature names should match"):
        sklearn_mi.load(tmp_path / "named").transform(frame[list("fedcba")])
    images = learner(view=Halves(), input_shape=(2, 3)).fit(X)
    images.save(tmp_path / "images")
    assert np.array_equal(sklearn_mi.load(tmp_path / "images").transform(X), images.transform(X))


def test_own_modules_are_passed_in(X, tmp_path):
    module = nn.Linear(6, 3)
    fitted = learner(encoder=module).fit(X)
    fitted.save(tmp_path / "file")
    with pytest.raises(ValueError, match=r"object of your own, Linear.*load\(path, encoder=...\)"):
        sklearn_mi.load(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file", encoder=nn.Linear(6, 3))
    assert np.array_equal(again.transform(X), fitted.transform(X))
    with pytest.raises(ValueError, match="no parameters of the learner"):
        sklearn_mi.load(tmp_path / "file", encoder=module, enc=3)


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"view": lambda x: (x, x)}, "view"),
        ({"callbacks": [Callback()]}, "callbacks"),
        ({"random_state": np.random.RandomState(0)}, "random_state"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(X, tmp_path, params, word):
    fitted = learner(**params).fit(X)
    with pytest.raises(ValueError, match=f"{word}.*cannot be stored"):
        fitted.save(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_json_and_tensors_with_a_version(X, tmp_path):
    learner().fit(X).save(tmp_path / "file")
    header, tensors = read(tmp_path / "file")
    assert header["version"] == sklearn_mi.__version__
    write(tmp_path / "newer", {**header, "format": 99}, tensors)
    with pytest.raises(ValueError, match="format 99.*upgrade"):
        sklearn_mi.load(tmp_path / "newer")


def test_files_can_name_nothing_but_descriptions(X, tmp_path):
    learner().fit(X).save(tmp_path / "file")
    header, tensors = read(tmp_path / "file")
    for component in (["os", "system"], ["views", "torch"], ["views", "View"], ["learner", "load"]):
        header["params"]["view"] = {"component": component, "params": {}}
        write(tmp_path / "evil", header, tensors)
        with pytest.raises(ValueError, match="no description of sklearn-mi"):
            sklearn_mi.load(tmp_path / "evil")


def test_a_missing_folder_is_told(X, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        learner().fit(X).save(tmp_path / "nowhere" / "file")


def test_files_that_are_not_ours(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="not a safetensors file"):
        sklearn_mi.load(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(ValueError, match="was not written by"):
        sklearn_mi.load(tmp_path / "other")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_model_from_a_gpu_loads_on_a_cpu(X, tmp_path):
    fitted = learner().fit(X)
    fitted.device = "cuda"
    fitted.save(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file")
    assert again.device == "auto"
    assert np.array_equal(again.transform(X), learner().fit(X).transform(X))


def test_what_was_fitted_is_saved_whatever_the_parameters_are_by_then(X, tmp_path):
    fitted = learner(critic="bilinear").fit(X)
    codes, score, mi = fitted.transform(X), fitted.score(X), fitted.mi_
    fitted.set_params(critic="cosine", view="noise", objective="nwj", n_components=5, lr=0.5)
    fitted.save(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file")
    assert repr(again.get_params()) == repr(fitted.get_params())
    assert np.array_equal(again.transform(X), codes) and again.score(X) == score
    assert again.mi_ == mi and again.choices_ == fitted.choices_
    with pytest.raises(ValueError, match="critic='cosine'.*call fit"):
        again.partial_fit(X)


def test_format_1_is_refused_in_one_sentence(X, tmp_path):
    learner().fit(X).save(tmp_path / "file")
    header, tensors = read(tmp_path / "file")
    assert header["format"] == 3
    write(tmp_path / "older", {**header, "format": 1}, tensors)
    with pytest.raises(ValueError, match="in format 1, but .* with format 3; fit and save"):
        sklearn_mi.load(tmp_path / "older")


def test_a_file_names_families_and_classes_but_no_modules(X, tmp_path):
    learner(view=Neighbors(3), critic="bilinear", negatives="hard").fit(X).save(tmp_path / "file")
    header, _ = read(tmp_path / "file")
    assert header["params"]["view"]["component"] == ["views", "Neighbors"]
    assert header["recipe"]["parameters"]["encoder"]["component"] == ["encoders", "MLP"]
    assert "sklearn_mi." not in json.dumps(header)


def test_the_file_of_format_2_in_the_tests_loads():
    again = sklearn_mi.load(FILES / "learner_format_2.safetensors")
    known = np.load(FILES / "learner_format_2_codes.npy")
    X = np.random.default_rng(0).normal(size=(60, 6))
    np.testing.assert_allclose(again.transform(X), known, atol=1e-6)
    assert again.mi_.bound == "InfoNCE" and again.choices_["critic"].value == "cauchy"


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 6), nn.Linear(6, 6)
        self.outer.weight = self.inner.weight

    def forward(self, x):
        return self.outer(self.inner(x).relu())


def test_tied_weights_are_saved_and_stay_tied(X, tmp_path):
    module = Tied()
    fitted = MIRepresentationLearner(encoder=module, max_steps=5, random_state=0).fit(X)
    fitted.save(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file", encoder=Tied())
    assert np.array_equal(again.transform(X), fitted.transform(X))
    assert again.encoder_.inner.weight is again.encoder_.outer.weight


def test_a_pretrained_backbone_is_not_fetched_again(tmp_path, monkeypatch):
    images = np.random.default_rng(0).random((12, 32, 32, 3))
    encoder = Backbone(small_images=False)
    fitted = MIRepresentationLearner(encoder=encoder, output="first", max_steps=1).fit(images)
    fitted.save(tmp_path / "file")
    header, tensors = read(tmp_path / "file")
    for parameters in (header["params"], header["recipe"]["parameters"], header["recipe"]["given"]):
        parameters["encoder"]["params"]["weights"] = "DEFAULT"
    write(tmp_path / "pretrained", header, tensors)

    def offline(*args, **kwargs):
        raise OSError("no network")

    # No weights in the folder of torch, and none to be had.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(OSError, match="no network"):
        Backbone(weights="DEFAULT", small_images=False).build((32, 32, 3), None)
    again = sklearn_mi.load(tmp_path / "pretrained")
    assert again.encoder.weights == "DEFAULT"
    assert np.array_equal(again.transform(images), fitted.transform(images))


@pytest.mark.parametrize(
    "damage",
    [
        lambda header: header.pop("recipe"),
        lambda header: header.pop("format"),
        lambda header: header["recipe"]["parameters"].pop("view"),
        lambda header: header["params"].update(view={"component": ["views"]}),
        lambda header: header["params"].update(view={"lost": [1]}),
        lambda header: header["params"].update(unheard=1),
        lambda header: header["facts"].pop("seed"),
        lambda header: header["facts"].update(mi_=3),
        lambda header: header.update(schemas=[None, None]),
    ],
)
def test_a_damaged_header_is_told_in_one_sentence(X, tmp_path, damage):
    learner(view=Neighbors(3)).fit(X).save(tmp_path / "file")
    header, tensors = read(tmp_path / "file")
    damage(header)
    write(tmp_path / "damaged", header, tensors)
    with pytest.raises(ValueError, match=r"damaged.*header is damaged \(.*save the learner again"):
        sklearn_mi.load(tmp_path / "damaged")


def test_sizes_that_a_file_names_take_no_memory_before_they_are_checked(X, tmp_path):
    learner(encoder=MLP((8,)), negatives="queue").fit(X).save(tmp_path / "file")
    header, tensors = read(tmp_path / "file")
    header["recipe"]["parameters"]["encoder"]["params"]["hidden"] = {"tuple": [10**7, 10**7]}
    write(tmp_path / "huge", header, tensors)
    with pytest.raises(ValueError, match="weights in the file are not those of the model"):
        sklearn_mi.load(tmp_path / "huge")


def test_another_encoder_than_the_saved_one_is_told(X, tmp_path):
    learner(encoder=nn.Linear(6, 3)).fit(X).save(tmp_path / "file")
    told = r"first_encoder.bias is of shape \(3,\) in the file, but missing.*load\(path, encoder="
    with pytest.raises(ValueError, match=told):
        sklearn_mi.load(tmp_path / "file", encoder=nn.Linear(6, 3, bias=False))
