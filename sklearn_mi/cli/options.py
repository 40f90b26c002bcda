"""Arguments and options of the commands: their types, checked before anything is read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from sklearn_mi._places import place_of
from sklearn_mi.cli.containers import holds_rows, split_name

__all__ = [
    "Blocks",
    "Names",
    "Numbers",
    "Output",
    "Place",
    "Rows",
    "Shape",
    "given",
    "learner_of",
    "number",
    "options",
    "output",
]

READ = (".csv", ".tsv", ".parquet", ".npy", ".npz", ".h5", ".hdf5", ".zarr")


class Rows(click.ParamType):
    """A file, or a folder, of rows that is there and whose suffix is known.

    Of several arrays in a file one is FILE:NAME.
    """

    name = "file"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path of the file, with the name of its array if there is one."""
        path = _place(self, value, param, ctx)
        file, _ = split_name(path)
        if not file.is_dir():
            _check_suffix(self, file, READ, param, ctx)
        if not file.exists():
            self.fail(f"{file}: there is no such file.", param, ctx)
        if not holds_rows(path):
            told = f"{file} is a folder without parquet files; expected some, or an array of zarr."
            self.fail(told, param, ctx)
        return path


class Place(click.Path):
    """A file or folder, with ``~`` as the home of the user, whatever the shell makes of it."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path."""
        place = _place(self, value, param, ctx)
        super().convert(place, param, ctx)
        return place


class Output(click.ParamType):
    """A file that can be written: nothing is overwritten without ``--overwrite``.

    Parameters
    ----------
    *suffixes : str
        Those that are written.
    """

    name = "file"

    def __init__(self, *suffixes: str) -> None:
        self.suffixes = suffixes

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path of the file."""
        path = _place(self, value, param, ctx)
        _check_suffix(self, path, self.suffixes, param, ctx)
        # An array of zarr is a folder.
        if path.is_dir() and path.suffix.lower() != ".zarr":
            self.fail(f"{path} is a folder; expected a file.", param, ctx)
        if path.exists() and not ctx.params.get("overwrite"):
            self.fail(f"{path} exists; add --overwrite, or choose another name.", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{path}: there is no folder {str(path.parent)!r}.", param, ctx)
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            self.fail(f"{path}: its folder takes no file ({error.strerror}).", param, ctx)
        return path


class Shape(click.ParamType):
    """The shape of a row, such as ``28x28``."""

    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return the shape as numbers."""
        parts = value.split("x")
        if not all(part.isdigit() and int(part) for part in parts):
            self.fail(f"{value!r}; expected positive numbers, such as 28x28.", param, ctx)
        return tuple(map(int, parts))


class Names(click.ParamType):
    """Names of columns, with commas between them."""

    name = "columns"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        """Return the names as a list."""
        return value if isinstance(value, list) else value.split(",")


class Numbers(click.ParamType):
    """Numbers of labels with commas between them; ``all`` is one of them."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int | None]:
        """Return the numbers; None stands for all."""
        words = value.split(",")
        if not all(word == "all" or (word.isdigit() and int(word)) for word in words):
            self.fail(f"{value!r}; expected positive numbers, or all: 1,5,20,all.", param, ctx)
        return [None if word == "all" else int(word) for word in words]


class Blocks(click.ParamType):
    """A number of rows, or ``auto``."""

    name = "N|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        """Return the number; "auto" stays as it is."""
        if value == "auto":
            return value
        if not (str(value).isdigit() and int(value)):
            self.fail(f"{value!r}; expected a positive number of rows, or auto.", param, ctx)
        return int(value)


def _place(kind: click.ParamType, value: Any, param: Any, ctx: Any) -> Path:
    try:
        return place_of(value)
    except ValueError:
        kind.fail(f"{value!r}; expected the name of a file or folder.", param, ctx)


def _check_suffix(
    kind: click.ParamType, path: Path, known: Sequence[str], param: Any, ctx: Any
) -> None:
    if path.suffix.lower() not in known:
        said = f"{path}: unknown suffix {path.suffix!r}; expected {_either(known)}."
        kind.fail(said, param, ctx)


def _either(suffixes: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))


def number(name: str, text: str, least: int = 1, **settings: Any) -> Callable[[Any], Any]:
    """Return an option that takes a whole number.

    Parameters
    ----------
    name, text : str
        Of the option.
    least : int, default=1
    **settings
        Of ``click.option``.

    Returns
    -------
    decorate : callable
    """
    return click.option(name, type=click.IntRange(least), metavar="N", help=text, **settings)


def output(*suffixes: str, required: bool = True) -> Callable[[Any], Any]:
    """Return the options ``--out`` and ``--overwrite``.

    Parameters
    ----------
    *suffixes : str
        Those that are written.
    required : bool, default=True

    Returns
    -------
    decorate : callable
    """
    text = f"File to write: {_either(suffixes)}."
    out = click.option("--out", type=Output(*suffixes), required=required, help=text)
    # Eager, so that --out knows of it.
    overwrite = click.option(
        "--overwrite", is_flag=True, is_eager=True, help="Write over a file that is there."
    )
    return lambda command: out(overwrite(command))


def options(*decorators: Any) -> Any:
    """Return several options as one decorator, in their order.

    Parameters
    ----------
    *decorators : callable

    Returns
    -------
    decorate : callable
    """

    def decorate(command: Any) -> Any:
        for option in reversed(decorators):
            command = option(command)
        return command

    return decorate


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that were given on the command line.

    Parameters
    ----------
    **parameters
        None where an option was left out.

    Returns
    -------
    parameters : dict
    """
    return {name: value for name, value in parameters.items() if value is not None}


def learner_of(**parameters: Any) -> Any:
    """Return the learner that the options describe.

    Parameters
    ----------
    **parameters
        Of `MIRepresentationLearner`; None where an option was left out.

    Returns
    -------
    learner : MIRepresentationLearner
    """
    from sklearn_mi.learner import MIRepresentationLearner

    return MIRepresentationLearner(**given(**parameters))


# Options that several commands have.
effort = click.option(
    "--effort",
    type=click.Choice(["quick", "normal", "thorough"]),
    help="Length of training.",
)
seed = number("--seed", "Equal seeds, equal results; default: 0.", 0, default=0)
index = click.option("--index", metavar="COLUMN", help="Names of the rows; not a feature.")
recordings: list[Any] = [
    click.option("--by", metavar="COLUMN", help="Recording of each row: DATA has a row a step."),
    click.option("--time", metavar="COLUMN", help="Orders the steps of a recording, with --by."),
]
label = click.option("--label", metavar="COLUMN", required=True, help="Class of each row.")
confound = click.option(
    "--confound",
    metavar="COLUMN",
    multiple=True,
    help="Column whose linear part is taken out of all others; repeatable.",
)
jobs = number("--jobs", "Processes; default: one for each core.")
training: list[Any] = [
    click.option(
        "--input-shape", metavar="HxW", type=Shape(), help="Shape of a row that is an image: 28x28."
    ),
    effort,
    number("--max-steps", "Length of training, in steps."),
    seed,
]
