"""Paths that a user names: where they lead, what may stand there, files that are written whole."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "check_file",
    "cure_of",
    "folder_of",
    "place_of",
    "remove_remnants",
    "replaced",
    "written_whole",
]

# A part that was not written to its end is left over by a kill; younger ones may be in work.
REMNANT_AFTER = 3600


def place_of(path: Any, name: str = "path") -> Path:
    """Return a path as one of pathlib, with ``~`` as the home of the user.

    Parameters
    ----------
    path : path-like
        As the user passes it.
    name : str, default="path"
        Of the argument, for messages.

    Returns
    -------
    place : Path

    Raises
    ------
    TypeError, ValueError
        If it is no path, or an empty one, which would be the folder where the process stands.
    OSError
        If a name in it is longer than the system allows.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        kind = type(path).__name__
        raise TypeError(f"{name} is a {kind}; expected a path: text, or one of pathlib.") from error
    if not text.strip() or "\0" in text:
        raise ValueError(f"{name}={text!r}; expected the name of a file or folder.")
    # Unlike that of pathlib, it leaves a user whom nobody knows as it stands.
    place = Path(os.path.expanduser(text))
    try:
        os.lstat(place)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            told = f"{name}={text[:40]!r}... is too long for the system; take a shorter name."
            raise OSError(error.errno, told) from error
    return place


def check_file(path: Any, name: str = "path") -> Path:
    """Return the place of a file that is there and can be read.

    Parameters
    ----------
    path : path-like
    name : str, default="path"
        Of the argument, for messages.

    Returns
    -------
    place : Path

    Raises
    ------
    OSError
        If nothing is there, or a folder, or what this user may not read.
    """
    place = place_of(path, name)
    shown = f"{name}={str(place)!r}"
    try:
        place.open("rb").close()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{shown}: there is no such file.") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{shown} is a folder; expected a file.") from error
    except OSError as error:
        told = f"{shown} cannot be read ({error.strerror}); let this user read it."
        raise type(error)(told) from error
    return place


def folder_of(place: Path, name: str = "path") -> Path:
    """Return the folder of a file that is to be written, if it can be.

    Parameters
    ----------
    place : Path
    name : str, default="path"
        Of the argument, for messages.

    Returns
    -------
    folder : Path

    Raises
    ------
    OSError
        If the folder is not there.
    """
    folder = Path(os.path.abspath(place)).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{name}={str(place)!r}: there is no folder {str(folder)!r}.")
    return folder


def cure_of(error: OSError, folder: str | os.PathLike) -> str:
    """Return what to do about a file that could not be written.

    Parameters
    ----------
    error : OSError
    folder : path-like
        That of the file.

    Returns
    -------
    cure : str
    """
    if error.errno in (errno.EEXIST, errno.ENOTDIR) or (
        error.errno == errno.ENOENT and os.path.isdir(folder)
    ):
        # A link to nothing, a file in the place of a folder, a system that makes no files.
        return "name another folder"
    cures = {
        errno.ENOSPC: "free some space, or name a folder on another disk",
        errno.EDQUOT: "free some space of your quota, or name a folder on another disk",
        errno.EFBIG: "raise the limit on the size of files",
        errno.ENOENT: f"make the folder {os.fspath(folder)!r} again",
        errno.ENAMETOOLONG: "take a shorter name",
        errno.EROFS: "name a folder on a disk that can be written",
    }
    return cures.get(error.errno or 0, "let this user write there, or name another folder")


@contextmanager
def replaced(place: Path, *, end: str = "", sync: bool = False) -> Iterator[Path]:
    """Give a name beside a file, or a folder, which takes its place once all is written.

    Parameters
    ----------
    place : Path
    end : str, default=""
        Of the name that is given: without one nobody takes the part for what it becomes.
    sync : bool, default=False
        Whether the file is on the disk, and not only on its way, when the call returns.

    Yields
    ------
    part : Path
        Nothing is there yet, and nothing stays there.
    """
    # A name for each writer: two processes may write the same file.
    mark = uuid.uuid4().hex[:12]
    part, earlier = (
        place.with_name(f".{place.name}.{mark}.{what}{end}") for what in ("part", "before")
    )
    try:
        yield part
        if sync:
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
        if os.path.isdir(place):
            os.replace(place, earlier)
        os.replace(part, place)
    finally:
        for left in (part, earlier):
            if os.path.isdir(left):
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()
    if sync:
        _sync_folder(os.path.dirname(os.path.abspath(place)))


def _sync_folder(folder: str) -> None:
    """Make the new name of a file last, too."""
    # Some systems open no folder, and some network disks sync none.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_remnants(place: Path) -> None:
    """Remove what kills have left of earlier writings of a file.

    Parameters
    ----------
    place : Path
    """
    for part in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > REMNANT_AFTER:
                part.unlink()


@contextmanager
def written_whole(place: Path, name: str = "path", *, is_folder: bool = False) -> Iterator[Path]:
    """Do as `replaced`, and tell what a user can mend.

    Parameters
    ----------
    place : Path
    name : str, default="path"
        Of the argument, for messages.
    is_folder : bool, default=False
        Whether a folder is written.

    Yields
    ------
    part : Path
        With the suffix of the place, by which some writers go.

    Raises
    ------
    OSError
        If a folder stands where a file is to be, or its own folder is not there or cannot be
        written. What was there before is kept.
    """
    folder, shown = folder_of(place, name), f"{name}={str(place)!r}"
    if os.path.isdir(place) and not is_folder:
        raise IsADirectoryError(f"{shown} is a folder; expected a file.")
    part = place
    try:
        with replaced(place, end=place.suffix) as part:
            yield part
    except OSError as error:
        # What is read meanwhile may fail, too, and tells of other files.
        if error.errno is None or str(error.filename) not in ("None", str(part), str(place)):
            raise
        told = f"{shown} could not be written ({error.strerror}); {cure_of(error, folder)}"
        raise OSError(error.errno, told) from error
