"""Rows handed to ``transform`` block by block, and codes written to files in blocks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import gen_batches

from sklearn_mi._compat import _safe_indexing
from sklearn_mi._places import place_of, written_whole
from sklearn_mi.rows import BlockSource, as_stream, files_of, stored

__all__ = ["blocks_of", "joined", "n_rows_of", "refuse_source", "write_codes"]

# Rows that are encoded between two writes: so many bytes of them.
BYTES_AT_ONCE = 2**26


def blocks_of(X: Any, confounds: Any = None, *, bounded: bool = False) -> Iterator[tuple[Any, Any]]:
    """Yield rows and their confounds: all, or in blocks if they are on disk or to be iterated.

    Parameters
    ----------
    X, confounds : object
        As the user passes them.
    bounded : bool, default=False
        Yield blocks of arrays in memory, too.

    Yields
    ------
    rows, confounds : object
        In the order of ``X``.
    """
    stream = as_stream(X)
    if stream is not None:
        if confounds is not None:
            raise ValueError(
                "confounds need rows with numbers, but rows of X come one after the other; "
                "transform each block with its confounds."
            )
        yield from ((block, None) for block in stream.windows())
        return
    X = stored(X)
    can_cut = isinstance(X, np.ndarray | torch.Tensor) or sparse.issparse(X)
    if isinstance(X, BlockSource):
        parts, cut = _whole_blocks(X), X.as_passed
    elif bounded and can_cut and len(X.shape) > 1:
        parts, cut = _parts(X), _cut(X)
    else:
        yield X, confounds
        return
    for start, stop in parts:
        yield cut(start, stop), _some(confounds, start, stop)


def _whole_blocks(source: BlockSource) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of whole blocks of the storage, some at a time."""
    row_bytes = max(1, np.dtype(source.storage.dtype).itemsize * int(np.prod(source.shape[1:])))
    start = 0
    for stop in source.edges[1:].tolist():
        if (stop - start) * row_bytes >= BYTES_AT_ONCE or stop == len(source):
            yield start, stop
            start = stop


def _parts(X: Any) -> list[tuple[int, int]]:
    n = X.shape[0]
    rows = max(1, BYTES_AT_ONCE // (8 * max(1, int(np.prod(X.shape[1:])))))
    return [(part.start, part.stop) for part in gen_batches(n, rows)] if n else [(0, 0)]


def _cut(X: Any) -> Callable[[int, int], Any]:
    rows = X.tocsr() if sparse.issparse(X) else X
    return lambda start, stop: rows[start:stop]


def _some(values: Any, start: int, stop: int) -> Any:
    return None if values is None else _safe_indexing(values, np.arange(start, stop))


def joined(codes: list[Any]) -> Any:
    """Return codes of blocks as those of all rows; of one block, as they are.

    Parameters
    ----------
    codes : sequence of ndarray or Tensor of shape (b, width)
    """
    if len(codes) == 1:
        return codes[0]
    return torch.cat(codes) if isinstance(codes[0], torch.Tensor) else np.concatenate(codes)


def n_rows_of(X: Any) -> int | None:
    """Return the number of rows; None of an iterable.

    Parameters
    ----------
    X : object
        As the user passes it.
    """
    if as_stream(X) is not None:
        return None
    return X.shape[0] if hasattr(X, "shape") else len(stored(X))


def refuse_source(path: str | os.PathLike, *tables: Any) -> None:
    """Refuse a place that holds the rows themselves, which codes would replace.

    Parameters
    ----------
    path : path-like
        Where codes are to be written.
    *tables : object
        Rows and confounds, as the user passes them.

    Raises
    ------
    ValueError
    """
    target = place_of(path)
    if target.exists():
        files = (Path(file) for table in tables for file in files_of(table))
        if any(file.exists() and target.samefile(file) for file in files):
            raise ValueError(
                f"path={str(target)!r} holds the rows themselves, which would be lost; name "
                "another place for the codes."
            )


def write_codes(
    path: str | os.PathLike, codes: Iterator[Any], n_rows: int | None, names: Any
) -> Path:
    """Write codes to a file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Ends in .npy, .zarr, .h5 or .parquet.
    codes : iterator of array of shape (b, width)
    n_rows : int or None
        None: nobody knows.
    names : sequence of str
        Of the columns of a parquet file.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        For another ending, .npy without a number of rows, or a path that holds anything but codes:
        a folder that is no array of zarr, or a file of HDF5 with other data sets.
    OSError
        If its folder is not there or cannot be written.
    ImportError
        If the library that writes the file is missing.
    """
    target = place_of(path)
    writer = WRITERS.get(target.suffix.lower())
    if writer is None:
        raise ValueError(f"path={str(target)!r}; expected an end among {', '.join(WRITERS)}.")
    if n_rows is None and writer is _to_npy:
        raise ValueError(
            f"path={str(target)!r}, but nobody knows how many rows X has, and .npy begins with "
            "the number; name a .zarr, .h5 or .parquet file."
        )
    _refuse_to_remove(target)
    with written_whole(target, is_folder=writer is _to_zarr) as part:
        writer(part, (_as_array(block) for block in codes), n_rows, [str(n) for n in names])
    return target


def _refuse_to_remove(target: Path) -> None:
    """Refuse a place that holds what `write_codes` cannot have written, before it is lost."""
    ending = target.suffix.lower()
    if ending == ".zarr" and target.exists() and not target.is_dir():
        told = "is a file; expected a folder"
    elif target.is_dir() and not (ending == ".zarr" and _is_zarr_array(target)):
        told = "is a folder that holds more than codes"
    elif ending == ".h5" and target.is_file() and (others := _data_sets(target) - {"codes"}):
        told = f"holds {', '.join(sorted(others))}, too"
    else:
        return
    raise ValueError(f"path={str(target)!r} {told}; name another place, or delete this one.")


def _is_zarr_array(folder: Path) -> bool:
    """Return whether a folder is one array of zarr, and no group of several."""
    # Format 2 of zarr, and format 3, which describes groups by the same name.
    if (folder / ".zarray").is_file():
        return True
    described = folder / "zarr.json"
    with suppress(OSError, ValueError, AttributeError):
        return json.loads(described.read_text()).get("node_type") == "array"
    return False


def _data_sets(path: Path) -> set[str]:
    """Return the names at the top of a file of HDF5; of any other file, none."""
    import h5py

    if not h5py.is_hdf5(path):
        return set()
    with h5py.File(path, "r") as file:
        return set(file)


def _as_array(block: Any) -> np.ndarray:
    return block.detach().cpu().numpy() if isinstance(block, torch.Tensor) else np.asarray(block)


def _to_npy(path: Path, codes: Iterator[np.ndarray], n_rows: int | None, names: Any) -> None:
    # The name of the file must not be changed, so numpy gets an open one.
    with open(path, "wb") as file:
        for number, block in enumerate(codes):
            if not number:
                shape = (n_rows, *block.shape[1:])
                described = np.lib.format.dtype_to_descr(block.dtype)
                head = {"descr": described, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, head)
            file.write(np.ascontiguousarray(block).data)


def _to_zarr(path: Path, codes: Iterator[np.ndarray], n_rows: int | None, names: Any) -> None:
    import zarr

    array: Any = None
    for block in codes:
        if array is None:
            chunks = (max(1, 2**20 // max(1, block[:1].nbytes)), block.shape[1])
            made: dict[str, Any] = {"shape": (0, block.shape[1]), "dtype": block.dtype}
            array = zarr.create_array(store=str(path), chunks=chunks, **made)
        array.append(block)


def _to_h5(path: Path, codes: Iterator[np.ndarray], n_rows: int | None, names: Any) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for block in codes:
            if "codes" not in file:
                made: dict[str, Any] = {"shape": (0, block.shape[1]), "dtype": block.dtype}
                file.create_dataset("codes", maxshape=(None, block.shape[1]), chunks=True, **made)
            codes_there: Any = file["codes"]
            start = len(codes_there)
            codes_there.resize(start + len(block), axis=0)
            codes_there[start:] = block


def _to_parquet(
    path: Path, codes: Iterator[np.ndarray], n_rows: int | None, names: Sequence[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    try:
        for block in codes:
            table = pa.table([pa.array(column) for column in block.T], names=list(names))
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


WRITERS = {".npy": _to_npy, ".zarr": _to_zarr, ".h5": _to_h5, ".parquet": _to_parquet}
