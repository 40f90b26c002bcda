"""Files and folders whose rows may not fit into memory: opened, and read as far as they must be."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sklearn_mi.cli.base import refuse, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "dataset_aside",
    "failure_is_told",
    "holds_rows",
    "is_dataset",
    "kind_of",
    "of_columns",
    "open_array",
    "open_dataset",
    "refuse_itself",
    "refuse_too_large",
    "shape_of",
    "split_name",
]

# What may hold several arrays: FILE:NAME is one of them.
OF_SEVERAL = (".h5", ".hdf5", ".npz", ".zarr")
MARKS_OF_ZARR = ("zarr.json", ".zarray", ".zgroup")
MOST_LISTED = 8
GIB = 2**30
# The packages that read and write what numpy and pandas do not by themselves.
NEEDS = {".parquet": "pyarrow", ".h5": "h5py", ".hdf5": "h5py", ".zarr": "zarr"}


def split_name(path: Path) -> tuple[Path, str | None]:
    """Return a file, and the name of one of its arrays, if FILE:NAME was written.

    Parameters
    ----------
    path : Path

    Returns
    -------
    file : Path
    name : str or None
    """
    text = str(path)
    for place in (i for i, letter in enumerate(text) if letter == ":" and not path.exists()):
        if Path(text[:place]).suffix.lower() in OF_SEVERAL:
            return Path(text[:place]), text[place + 1 :]
    return path, None


def kind_of(path: Path) -> str:
    """Return the suffix of the format of a file; of a folder ".zarr" or ".parquet".

    Parameters
    ----------
    path : Path

    Returns
    -------
    suffix : str
        In small letters.
    """
    file, _ = split_name(path)
    if not file.is_dir():
        return file.suffix.lower()
    return ".zarr" if any((file / mark).is_file() for mark in MARKS_OF_ZARR) else ".parquet"


def holds_rows(path: Path) -> bool:
    """Return whether a path that is there is a file, or a folder of parquet files or of zarr.

    Parameters
    ----------
    path : Path
    """
    file, _ = split_name(path)
    return not file.is_dir() or kind_of(path) == ".zarr" or any(file.rglob("*.parquet"))


def open_array(path: Path) -> Any:
    """Return an array where it is stored: a memory map, an array of zarr, a data set of HDF5.

    Parameters
    ----------
    path : Path
        Ends in .npy or in one of those of several arrays; these may be followed by :NAME.

    Returns
    -------
    array : object with a shape, a dtype and slices
        Of npz, which is not stored in pieces, an array in memory.
    """
    import numpy as np

    (file, name), kind = split_name(path), kind_of(path)
    if kind in (".h5", ".hdf5"):
        return _of_hdf5(path, file, name)
    if kind == ".zarr":
        return _of_zarr(path, file, name)
    loaded: Any = _loaded(file, kind)
    if kind != ".npz" and isinstance(loaded, np.ndarray):
        # A file without numbers cannot be mapped.
        return np.load(file, mmap_mode="r", allow_pickle=False) if loaded.size else loaded
    with loaded:
        return loaded[_one_of(path, loaded.files, name)]


def _loaded(file: Path, kind: str) -> Any:
    import numpy as np

    try:
        return np.load(file, allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        # numpy takes whatever it does not know for a pickle, and offers to execute it.
        writer = "savez" if kind == ".npz" else "save"
        what = "objects, not numbers, or nothing that numpy wrote"
        raise ValueError(f"it holds {what}; write it anew by numpy.{writer}") from error


def _of_hdf5(path: Path, file: Path, name: str | None) -> Any:
    import h5py

    opened: Any = h5py.File(file, "r")
    found: list[str] = []

    def note(place: str, part: Any) -> None:
        if isinstance(part, h5py.Dataset):
            found.append(place)

    opened.visititems(note)
    return opened[_one_of(path, found, name)]


def _of_zarr(path: Path, file: Path, name: str | None) -> Any:
    import zarr

    opened: Any = zarr.open(str(file), mode="r")
    if not isinstance(opened, zarr.Group):
        return opened if name is None else opened[_one_of(path, [], name)]
    arrays = [place for place, part in opened.members(None) if isinstance(part, zarr.Array)]
    return opened[_one_of(path, arrays, name)]


def _one_of(path: Path, names: Sequence[str], name: str | None) -> str:
    """Return the name of the array that is meant: the one there is, or the one that is named."""
    if name is None and len(names) == 1:
        return names[0]
    if name is not None and name.strip("/") in names:
        return name.strip("/")
    file = split_name(path)[0]
    if not names:
        if name is None:
            raise click.ClickException(f"{file} holds no array; expected rows of numbers.")
        raise click.ClickException(f"{file} holds no array by name; pass {file} if it is one.")
    have = ", ".join(names[:MOST_LISTED]) + (", ..." if len(names) > MOST_LISTED else "")
    told = f"holds no array {name!r}, but" if name is not None else "holds several arrays:"
    raise click.ClickException(f"{file} {told} {have}; name one, such as {file}:{names[0]}.")


def open_dataset(path: Path) -> Any:
    """Return a parquet file, or a folder of them, as a data set of pyarrow.

    Parameters
    ----------
    path : Path

    Returns
    -------
    data : pyarrow.dataset.Dataset
        Names of folders such as ``year=2026`` make a column.
    """
    import pyarrow.dataset as pa_dataset

    data: Any = pa_dataset.dataset(str(path), format="parquet", partitioning="hive")
    return data


def is_dataset(rows: Any) -> bool:
    """Return whether rows are a data set of pyarrow.

    Parameters
    ----------
    rows : object
    """
    return hasattr(rows, "replace_schema")


def dataset_aside(
    data: Any, columns: Sequence[str], index: str | None
) -> tuple[Any, pd.DataFrame] | None:
    """Return a data set without some columns, and these in memory.

    Parameters
    ----------
    data : pyarrow.dataset.Dataset
    columns : sequence of str
    index : str or None
        Column that names the rows.

    Returns
    -------
    parts : tuple or None
        The data set, and the columns as a data frame, whose index names the rows. None: what is
        left holds more than numbers, so that only a data frame can take it.
    """
    from sklearn_mi.rows import index_columns

    named = index_columns(data.schema)
    named += [index] if index and index not in named else []
    kept = [name for name in data.schema.names if name not in {*columns, *named}]

    if not kept or {*kept} & {*_without_numbers(data)}:
        return None
    aside: Any = data.to_table(columns=[*columns, *(n for n in named if n not in columns)])
    frame = aside.to_pandas()
    if index in frame:
        frame = frame.set_index(index)
    return of_columns(data, kept), frame


def _without_numbers(data: Any) -> list[str]:
    """Return the columns of a data set that hold anything but numbers, or lists of numbers."""
    import pyarrow.types as types

    def is_number(kind: Any) -> bool:
        is_list = types.is_list(kind) or types.is_fixed_size_list(kind)
        of = kind.value_type if is_list else kind
        return types.is_integer(of) or types.is_floating(of) or types.is_boolean(of)

    return [field.name for field in data.schema if not is_number(field.type)]


def of_columns(data: Any, names: Sequence[str]) -> Any:
    """Return a data set of pyarrow with some of its columns, in the order given.

    Parameters
    ----------
    data : pyarrow.dataset.Dataset
    names : sequence of str
    """
    import pyarrow as pa

    return data.replace_schema(pa.schema([data.schema.field(name) for name in names]))


def shape_of(rows: Any) -> tuple[int, ...]:
    """Return the number of rows, then the shape of one.

    Parameters
    ----------
    rows : array, data frame or data set of pyarrow
    """
    if is_dataset(rows):
        return rows.count_rows(), len(rows.schema.names)
    return tuple(rows.shape)


def refuse_itself(out: Path, data: Path) -> None:
    """Refuse to write to the file of the rows, which would be lost.

    Parameters
    ----------
    out, data : Path
        Of ``data`` :NAME may say which array counts.
    """
    if out.exists() and out.samefile(split_name(data)[0]):
        refuse(f"{out} is DATA itself, whose rows would be lost; name another file.")


def refuse_too_large(path: Path, rows: Any) -> None:
    """Refuse rows that are to be read at once, if the memory of this machine cannot hold them.

    Parameters
    ----------
    path : Path
    rows : array or data set of pyarrow
        Where they are stored.
    """
    size = math.prod(shape_of(rows)) * getattr(getattr(rows, "dtype", None), "itemsize", 8)
    most = _memory()
    if size > most:
        others = _without_numbers(rows) if is_dataset(rows) else []
        except_for = f", if {others[0]!r} is left out by --label" if others else ""
        raise click.ClickException(
            f"{path} holds {size / GIB:,.1f} GiB of numbers, but this machine has "
            f"{most / GIB:,.1f} GiB of memory, and all are read at once; write some of the rows to "
            f"another file. (fit and transform read numbers in blocks{except_for}.)"
        )


def _memory() -> float:
    """Return the bytes of memory of this machine; infinity where the system does not tell."""
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return math.inf


@contextmanager
def failure_is_told(path: Path) -> Iterator[None]:
    """Turn whatever a reader raises into one sentence about the file.

    Parameters
    ----------
    path : Path
    """
    kind = kind_of(path)
    try:
        yield
    except click.ClickException:
        raise
    except ImportError as error:
        package = NEEDS.get(kind, "a package")
        cure = f"pip install {package}, or use a {'.csv' if kind == '.parquet' else '.npy'} file"
        raise click.ClickException(f"{path} needs {package}, which is missing: {cure}.") from error
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"{path} cannot be read as {kind.lstrip('.')}: it is no text in UTF-8 (it has byte "
            f"{error.object[error.start]:#x}); save it as UTF-8, as by iconv -f LATIN1 -t UTF-8 "
            f"{path.name} > new.csv."
        ) from error
    except Exception as error:
        said = sentence(error).rstrip(".")
        told = f"{path} cannot be read as {kind.lstrip('.')}: {said}."
        raise click.ClickException(told) from error
