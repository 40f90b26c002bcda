"""A training that is resumed: only the one that the checkpoint belongs to."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.callbacks import Callback
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP
from sklearn_mi.training import (
    as_text,
    checkpoint_seed,
    hash_rows,
    load_checkpoint,
    save_checkpoint,
)
from sklearn_mi.training.state_files import write_state
from sklearn_mi.views import Compose, GaussianNoise, Halves, Neighbors


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 6))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.pt"


class TrainedOn(Callback):
    """Keeps the rows that training saw."""

    def __init__(self):
        self.rows = set()

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.rows |= {row.tobytes() for row in np.asarray(X)}


def learner(**parameters):
    small = {"encoder": MLP(hidden=(8,)), "view": Halves(), "n_components": 2, "batch_size": 16}
    return MIRepresentationLearner(
        **{**small, "random_state": 3, "standardize": False, **parameters}
    )


def begin(X, file, **parameters):
    """Write the checkpoint of step 2, and be killed at step 4."""
    given = {name: parameters.pop(name) for name in ("X_pair", "groups", "y") if name in parameters}
    for step in learner(**parameters).fit_iter(X, at=(2, 4), checkpoint=file, **given):
        if step == 4:
            return


def resume(X, file, **parameters):
    given = {name: parameters.pop(name) for name in ("X_pair", "groups", "y") if name in parameters}
    resumed = learner(**parameters)
    return resumed, list(resumed.fit_iter(X, at=(2, 4), checkpoint=file, **given))


def test_without_a_seed_of_its_own_a_run_takes_that_of_the_checkpoint(X, file):
    """The rows that are reported were never trained on, before or after the kill."""
    trained = TrainedOn()
    begin(X, file, random_state=None, callbacks=[trained])
    resumed, stops = resume(X, file, random_state=None, callbacks=[trained])
    reported = [row for row in X if row.astype(np.float32).tobytes() not in trained.rows]
    assert stops == [4] and resumed.mi_.n_pairs == len(reported) == 6
    assert resumed.mi_.value == pytest.approx(resumed.score(np.array(reported)), abs=1e-6)
    seed = checkpoint_seed(file)
    assert np.array_equal(
        resumed.transform(X), learner(random_state=seed, max_steps=4).fit(X).transform(X)
    )


OTHER = {
    "seed": (lambda X: X, {"random_state": 4}, r"seed \(3 there, 4 here\), split differ"),
    "no seed first": (lambda X: X, {}, "seed .* differ"),
    "encoder": (lambda X: X, {"encoder": MLP(hidden=(9,))}, ": recipe differ"),
    "view": (lambda X: X, {"view": Neighbors(5)}, ": recipe differ"),
    "rate": (lambda X: X, {"lr": 0.5}, ": parameters differ"),
    "split": (lambda X: X, {"validation_fraction": 0.3}, ": split differ"),
    "a value": (lambda X: np.where(X[7, 2] == X, 0.0, X), {}, ": rows differ"),
    "the order": (lambda X: X[::-1].copy(), {}, ": rows differ"),
    "fewer rows": (lambda X: X[:50], {}, ": split, rows differ"),
    "groups": (lambda X: X, {"groups": np.arange(60)}, "split, rows differ"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_checkpoint_of_another_training_is_refused(X, file, name):
    make, parameters, words = OTHER[name]
    begin(X, file, **({"random_state": None} if name == "no seed first" else {}))
    written = file.read_bytes()
    fitted = learner(max_steps=3).fit(X)
    codes = fitted.transform(X)
    given = {name: parameters.pop(name) for name in ("groups",) if name in parameters}
    before = fitted.get_params(deep=False)
    fitted.set_params(**parameters)
    with pytest.raises(ValueError, match=words) as told:
        next(fitted.fit_iter(make(X), at=(2, 4), checkpoint=file, **given))
    cure = "the same data, parameters and random_state. Pass these, name another file, or delete"
    assert cure in str(told.value) and str(file) in str(told.value)
    fitted.set_params(**before)
    assert np.array_equal(fitted.transform(X), codes) and file.read_bytes() == written


def test_the_second_table_and_labels_belong_to_it(X, file):
    begin(X, file, view="paired", X_pair=X[:, :2])
    with pytest.raises(ValueError, match=": rows differ"):
        resume(X, file, view="paired", X_pair=X[:, :2] + 1)
    assert resume(X, file, view="paired", X_pair=X[:, :2])[1] == [4]
    labels, other = np.arange(60) % 2, np.arange(60) % 3
    labelled = file.with_name("labelled")
    begin(X, labelled, view="same-class", y=labels)
    with pytest.raises(ValueError, match=": rows differ"):
        resume(X, labelled, view="same-class", y=other)
    assert resume(X, labelled, view="same-class", y=labels)[1] == [4]


@pytest.mark.parametrize("name", ["device", "verbose", "callbacks", "n_threads", "at"])
def test_what_belongs_to_the_process_may_differ(X, file, name):
    begin(X, file)
    values = {"device": "cpu", "verbose": 1, "callbacks": [Callback()], "n_threads": 1}
    resumed = learner(**({name: values[name]} if name in values else {}))
    stops = list(resumed.fit_iter(X, at=(1, 2, 3, 4), checkpoint=file))
    assert stops == [3, 4]
    assert np.array_equal(resumed.transform(X), learner(max_steps=4).fit(X).transform(X))


BROKEN = {
    "half": (lambda data: data[: len(data) // 2], r"is not whole \(bytes .*; delete the file"),
    "cut": (lambda data: data[:-5], "is not whole"),
    "empty": (lambda data: b"", "is not whole .it ends after 0 bytes"),
    "words": (lambda data: b"some words", "is no checkpoint of sklearn-mi"),
    "head": (lambda data: data[:9], "is not whole .it ends after 9 bytes"),
    "newer": (lambda data: data.replace(b"t 1", b"t 2", 1), "format 2, .* upgrade, or delete"),
    "older": (lambda data: data.replace(b"t 1", b"t 0", 1), "format 0, .*1; delete the file"),
}


@pytest.mark.parametrize("seed", [3, None])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told(X, file, name, seed):
    begin(X, file)
    make, words = BROKEN[name]
    file.write_bytes(make(file.read_bytes()))
    with pytest.raises(ValueError, match=words):
        resume(X, file, random_state=seed)


@pytest.mark.parametrize("content", [{"stop": 2}, [1, 2], {"stop": 2, "weights": {}}])
def test_a_file_without_a_fingerprint_is_told(X, file, content):
    write_state(file, content)
    words = "does not say which data, parameters and random_state it belongs to; delete the file"
    for seed in (3, None):
        with pytest.raises(ValueError, match=words):
            resume(X, file, random_state=seed)


class Numbers:
    """A training of one number."""

    device = "cpu"

    def __init__(self, number):
        self.number = number

    writes_files = True

    def training_state(self):
        return {"number": self.number}

    def load_training_state(self, state):
        self.number = state["number"]


def test_what_breaks_while_it_is_written_leaves_the_file_before(file, monkeypatch):
    mark = {"seed": "1"}
    assert load_checkpoint(Numbers(0), None, mark) == load_checkpoint(Numbers(0), file, mark) == -1
    save_checkpoint(Numbers(5), file, 7, mark)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"step 8 could not .*an earlier step is kept.*free some"):
            save_checkpoint(Numbers(6), file, 8, mark)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    found = Numbers(0)
    assert load_checkpoint(found, file, mark) == 7 and found.number == 5
    assert checkpoint_seed(file) == 1 and checkpoint_seed(file.with_name("none")) is None


# What a fingerprint is made of


def test_rows_have_one_hash_whatever_holds_them(tmp_path):
    X = np.random.default_rng(0).normal(size=(20_000, 3))
    np.save(tmp_path / "X.npy", X)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert hash_rows(X) == hash_rows(X.copy(order="F")) == hash_rows(on_disk)
    table = sparse.csr_matrix(np.where(X > 0, X, 0.0))
    assert hash_rows(table) == hash_rows(table.copy())
    tensor = torch.as_tensor(X)
    assert hash_rows(tensor) == hash_rows(tensor.clone())
    names = np.array(["a", "b", None], dtype=object)
    assert hash_rows(names) == hash_rows(names.copy())


def test_other_rows_have_another_hash():
    X = np.arange(60_000.0).reshape(20_000, 3)
    changed = X.copy()
    changed[19_999, 2] += 1e-9
    table = sparse.csr_matrix(X)
    moved = sparse.csr_matrix(np.roll(X, 1, axis=1))
    groups = np.array(["a", "b"], dtype=object)
    values = [X, changed, X.astype(np.float32), X[:-1], X.reshape(-1), table, moved, None]
    hashes = [hash_rows(value) for value in values]
    hashes += [hash_rows(X, None), hash_rows(None, X), hash_rows(groups), hash_rows(groups[::-1])]
    hashes += [hash_rows(np.empty(0)), hash_rows(torch.zeros(2)), hash_rows(torch.ones(2))]
    assert len(set(hashes)) == len(hashes)


def noisy(x):
    return x


@pytest.mark.slow
def test_parameters_are_the_same_text_in_every_process():
    value = {
        "view": Compose(Halves(), GaussianNoise(0.1)),
        "encoder": [nn.Linear(2, 3), noisy, lambda x: x],
        "hidden": tuple(range(300)),
    }
    text = as_text(value)
    assert as_text(lambda x: x + 1) != as_text(lambda x: x + 2)
    assert as_text(np.arange(5000)) != as_text(np.where(np.arange(5000) == 2500, 0, 1))
    assert "GaussianNoise(" in text and "299" in text and "0x" not in text
    assert text != as_text({**value, "hidden": tuple(range(299))})
    code = "from sklearn_mi.training import as_text; print(as_text([print, lambda x: x]))"
    both = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(both) == 1
