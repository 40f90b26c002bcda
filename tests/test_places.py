"""Paths that a user names, and files that are written whole or not at all."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

import sklearn_mi
from sklearn_mi import MIRepresentationLearner
from sklearn_mi._places import (
    check_file,
    cure_of,
    place_of,
    remove_remnants,
    replaced,
    written_whole,
)
from sklearn_mi.cli.commands import main
from sklearn_mi.paper import read_figure
from sklearn_mi.study import read_study
from sklearn_mi.summary import Report

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


def learner(**parameters):
    how = {"view": "corruption", "max_steps": 2, "random_state": 0}
    return MIRepresentationLearner(2, **{**how, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return learner().fit(X)


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


class Named:
    """A path of another package."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


def fit_iter(path, **parameters):
    return list(learner(**parameters).fit_iter(X, at=(2,), checkpoint=path))


def study(folder):
    (folder / "cells").mkdir()
    (folder / "cells" / "one.json").write_text(json.dumps([{"step": 1}]))
    return read_study("~")


# What takes a path of the user, and the name of the argument.
TAKING = {
    "save": ("path", lambda path, fitted: fitted.save(path)),
    "load": ("path", lambda path, fitted: sklearn_mi.load(path)),
    "transform_to": ("path", lambda path, fitted: fitted.transform_to(X, path)),
    "fit_iter": ("checkpoint", lambda path, fitted: fit_iter(path)),
    "checkpoint_dir": ("checkpoint_dir", lambda path, _: learner(checkpoint_dir=path).fit(X)),
    "page": ("path", lambda path, fitted: Report("<p>", {}, "A page").save(path)),
    "study": ("folder", lambda path, fitted: read_study(path)),
    "figure": ("folder", lambda path, fitted: read_figure("3", path)),
}


@pytest.mark.parametrize("kind", [str, Path, Named, os.fsencode])
def test_a_path_is_text_or_whatever_has_one(kind, home):
    assert place_of(kind("~/a b/c")) == home / "a b" / "c"
    assert place_of(kind("a/~b")) == Path("a/~b")
    assert place_of(kind("~nobody-has-this-name/c")) == Path("~nobody-has-this-name/c")


@pytest.mark.parametrize("taking", TAKING)
def test_no_name_is_no_path(taking, home, fitted):
    name, call = TAKING[taking]
    for wrong in ("", "a\0b"):
        with pytest.raises(ValueError, match=f"{name}=.*; expected the name of a file or folder"):
            call(wrong, fitted)
    if taking != "fit_iter":
        with pytest.raises(TypeError, match=rf"{name} is a list; expected a path|'{name}' param"):
            call([], fitted)
    assert os.listdir(".") == os.listdir(home) == []


def test_home_is_meant_wherever_a_path_is_taken(home, fitted):
    fitted.save("~/learner")
    assert np.array_equal(sklearn_mi.load(Named("~/learner")).transform(X), fitted.transform(X))
    assert fitted.transform_to(X, "~/codes.npy") == home / "codes.npy"
    assert np.array_equal(np.load(home / "codes.npy"), fitted.transform(X))
    assert fit_iter("~/checkpoint") == [2] and fit_iter(home / "checkpoint") == []
    learner(checkpoint_dir="~/checkpoints").fit(X)
    assert [path.name for path in (home / "checkpoints").glob("*/*")] == ["training.checkpoint"]
    assert Report("<p>", {}, "A page").save(Named("~/page.html")) == home / "page.html"
    assert study(home)["step"].tolist() == [1]
    assert os.listdir(".") == []


def test_home_is_meant_on_the_command_line(home, capsys):
    np.save(home / "rows.npy", X)
    for line in (
        "fit ~/rows.npy --out ~/model.safetensors --max-steps 2 --quiet",
        "transform ~/model.safetensors ~/rows.npy --out ~/codes.csv",
    ):
        with pytest.raises(SystemExit) as end:
            main(line.split())
        assert end.value.code == 0, capsys.readouterr().err
    assert (home / "codes.csv").is_file() and os.listdir(".") == []


@pytest.mark.parametrize("taking", ["save", "load", "transform_to", "fit_iter", "page"])
def test_what_stands_in_the_place_of_a_file_is_told(taking, home, fitted):
    name, call = TAKING[taking]
    (home / "a.npy").mkdir()
    (home / "a.npy" / "inside").write_text("kept")
    with pytest.raises((IsADirectoryError, ValueError), match=rf"{name}=.*a.npy' is a folder"):
        call(home / "a.npy", fitted)
    assert os.listdir(home) == ["a.npy"] and os.listdir(home / "a.npy") == ["inside"]
    told = "there is no such file" if taking == "load" else "there is no folder .*nowhere'"
    with pytest.raises(FileNotFoundError, match=rf"{name}=.*: {told}"):
        call(home / "nowhere" / "a.npy", fitted)


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch, fitted):
    fitted.save(tmp_path / "learner")
    fit_iter(tmp_path / "checkpoint")

    # root may read anything, so the system's answer is played.
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for call in (lambda: sklearn_mi.load(tmp_path / "learner"), lambda: fit_iter("checkpoint")):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(PermissionError, match="cannot be read .Permission denied.; let this"):
            call()


def test_a_disk_that_is_full_keeps_the_earlier_file(tmp_path, monkeypatch, fitted):
    paths = {name: tmp_path / name for name in ("learner", "codes.npy", "page.html")}
    fitted.save(paths["learner"])
    fitted.transform_to(X, paths["codes.npy"])
    page = Report("<p>", {}, "A page")
    page.save(paths["page.html"])
    before = {name: path.read_bytes() for name, path in paths.items()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    for call in (
        lambda: fitted.save(paths["learner"]),
        lambda: fitted.transform_to(X, paths["codes.npy"]),
        lambda: page.save(paths["page.html"], overwrite=True),
    ):
        with pytest.raises(OSError, match="could not be written .No space.*; free some space") as e:
            call()
        assert e.value.errno == errno.ENOSPC
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_disk_that_safetensors_cannot_write(tmp_path, monkeypatch, fitted):
    def full(*args, **kwargs):
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match=r"path=.*learner' could not be written \(I/O.*disk full"):
        fitted.save(tmp_path / "learner")
    assert not os.listdir(tmp_path)


def test_an_error_of_what_is_read_meanwhile_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as told, written_whole(tmp_path / "codes.npy"):
        os.stat(tmp_path / "nowhere")
    assert told.value.filename == str(tmp_path / "nowhere")


def test_only_a_whole_file_or_folder_takes_the_place(tmp_path):
    with written_whole(tmp_path / "a.txt") as part:
        assert part.suffix == ".txt" and not part.exists()
        part.write_text("new")
    with written_whole(tmp_path / "b.zarr", is_folder=True) as part:
        part.mkdir()
    for number in (1, 2):
        with written_whole(tmp_path / "b.zarr", is_folder=True) as part:
            part.mkdir()
            (part / str(number)).touch()
    assert os.listdir(tmp_path / "b.zarr") == ["2"]
    for place, folder in ((tmp_path / "a.txt", False), (tmp_path / "b.zarr", True)):
        with pytest.raises(KeyError), written_whole(place, is_folder=folder) as part:
            part.mkdir() if folder else part.touch()
            raise KeyError
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.zarr"]
    assert (tmp_path / "a.txt").read_text() == "new" and os.listdir(tmp_path / "b.zarr") == ["2"]
    assert check_file(tmp_path / "a.txt") == tmp_path / "a.txt"


def test_remnants_of_kills_are_removed_once_nobody_can_be_writing(tmp_path):
    place = tmp_path / "a[1].checkpoint"
    with replaced(place) as young, replaced(place) as old:
        young.touch()
        old.touch()
        os.utime(old, (0, 0))
        (tmp_path / "other.part").touch()
        os.utime(tmp_path / "other.part", (0, 0))
        # A half-written file is none that a study or a user would list.
        assert not list(tmp_path.glob("*.checkpoint"))
        remove_remnants(place)
        assert young.exists() and not old.exists()
        old.touch()
    assert sorted(os.listdir(tmp_path)) == ["a[1].checkpoint", "other.part"]


def test_a_file_that_must_last_is_synced_before_it_takes_the_place(tmp_path, monkeypatch):
    seen, sync = [], os.fsync

    def fsync(descriptor):
        seen.append((tmp_path / "a").exists())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for lasts in (False, True):
        with replaced(tmp_path / "a", sync=lasts) as part:
            part.touch()
        (tmp_path / "a").unlink()
    # The file, then its folder.
    assert seen == [False, True]


def test_a_name_that_is_too_long_for_its_part_is_told(tmp_path, fitted):
    with pytest.raises(OSError, match="could not be written .*; take a shorter name"):
        fitted.save(tmp_path / ("x" * 250))


@pytest.mark.parametrize("taking", TAKING)
def test_a_name_that_is_too_long_is_told(taking, home, fitted):
    name, call = TAKING[taking]
    with pytest.raises(
        OSError, match=rf"{name}='x{{40}}'\.\.\. is too long .*; take a shorter name"
    ):
        call("x" * 300, fitted)
    assert os.listdir(".") == os.listdir(home) == []


def test_checkpoints_go_to_no_folder_that_cannot_be(home):
    (home / "link").symlink_to(home / "nowhere")
    (home / "file").write_text("")
    for folder in ("~/link", "~/file/below"):
        with pytest.raises(OSError, match="cannot be made .*; name another folder"):
            learner(checkpoint_dir=folder).fit(X)


def test_each_reason_has_its_cure():
    for number, cure in {
        errno.EROFS: "on a disk that can be written",
        errno.ENOENT: "make the folder '/data' again",
        errno.EDQUOT: "of your quota",
        errno.ENAMETOOLONG: "take a shorter name",
        errno.EACCES: "let this user write there",
        errno.EEXIST: "name another folder",
    }.items():
        assert cure in cure_of(OSError(number, "told"), "/data")
