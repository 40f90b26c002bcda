"""Save a training in full, and resume it on the same data and seed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import CellType, CodeType, FunctionType
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from sklearn_mi._base import InvalidModelError
from sklearn_mi._places import check_file, cure_of, folder_of, place_of
from sklearn_mi.training.state_files import read_state, write_state

__all__ = [
    "Resumable",
    "as_text",
    "checkpoint_seed",
    "hash_rows",
    "load_checkpoint",
    "save_checkpoint",
]

ROWS_AT_ONCE = 8192
LONGEST_SHOWN = 40


class Resumable(Protocol):
    """A training that can be saved and resumed."""

    @property
    def device(self) -> Any:
        """Return the device of its tensors."""
        ...

    @property
    def writes_files(self) -> bool:
        """Return whether this process writes; of several the first does."""
        ...

    def training_state(self) -> dict[str, Any]:
        """Return everything that later steps depend on."""
        ...

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Resume from that state."""
        ...


def save_checkpoint(
    net: Resumable, path: str | os.PathLike, step: int, fingerprint: Mapping[str, str]
) -> list[str]:
    """Write everything that later steps depend on, in full or not at all.

    Of several processes that train one model all call it, and the first writes.

    Parameters
    ----------
    net : Resumable
    path : path-like
    step : int
        The stop at which it is saved.
    fingerprint : dict of str
        What identifies the training, by part, such as "seed" and "rows".

    Returns
    -------
    left_out : list of str
        What of the state no file can hold.

    Raises
    ------
    OSError
        If the file cannot be written; one that was there before is kept.
    """
    written = {"stop": step, "fingerprint": dict(fingerprint), **net.training_state()}
    if not net.writes_files:
        return []
    place = place_of(path, "checkpoint")
    try:
        return write_state(place, written)
    except OSError as error:
        raise OSError(error.errno, _reason(place, step, error), str(place)) from error


def _reason(place: Path, step: int, error: OSError) -> str:
    """Return why a checkpoint was not written, with the cure."""
    kept = "; the file of an earlier step is kept" if place.is_file() else ""
    return (
        f"The checkpoint of step {step} could not be written ({error.strerror}){kept}. To write "
        f"the next one, {cure_of(error, place.absolute().parent)}"
    )


def load_checkpoint(
    net: Resumable, path: str | os.PathLike | None, fingerprint: Mapping[str, str]
) -> int:
    """Resume from a checkpoint if there is one.

    Parameters
    ----------
    net : Resumable
    path : path-like or None
    fingerprint : dict of str
        The fingerprint that the file must have.

    Returns
    -------
    step : int
        The stop at which it was saved, or -1.

    Raises
    ------
    InvalidModelError
        If a byte of the file is missing or altered, or if it belongs to another training; the
        message names the difference.
    """
    place = _there(path)
    if place is None:
        return -1
    state = _read(place, net.device)
    _check(place, state["fingerprint"], fingerprint)
    net.load_training_state(state)
    return state["stop"]


def checkpoint_seed(path: str | os.PathLike | None) -> int | None:
    """Return the seed of the training in a checkpoint; None if there is no file.

    A training without its own seed uses this one, so it splits the rows as before.
    """
    place = _there(path)
    return None if place is None else int(_read(place, "cpu")["fingerprint"]["seed"])


def _there(path: str | os.PathLike | None) -> Path | None:
    """Return the place of a checkpoint; None if there is none yet, but may be one."""
    if path is None:
        return None
    place = place_of(path, "checkpoint")
    if os.path.exists(place):
        return check_file(place, "checkpoint")
    folder_of(place, "checkpoint")
    return None


def _read(path: Path, device: Any) -> dict[str, Any]:
    state = read_state(path, device)
    if not isinstance(state, dict) or "fingerprint" not in state:
        raise InvalidModelError(
            f"checkpoint={os.fspath(path)!r} does not say which data, parameters and random_state "
            "it belongs to; delete the file, or name another one."
        )
    return state


def _check(path: Path, written: Mapping[str, str], now: Mapping[str, str]) -> None:
    names = [name for name in {**now, **written} if written.get(name) != now.get(name)]
    if names:
        differing = ", ".join(_difference(n, written.get(n), now.get(n)) for n in names)
        raise InvalidModelError(
            f"checkpoint={os.fspath(path)!r} belongs to another training: {differing} differ; "
            "expected the same data, parameters and random_state. Pass these, name another file, "
            "or delete this one."
        )


def _difference(name: str, written: str | None, now: str | None) -> str:
    is_short = name == "seed" and len(f"{written}{now}") < LONGEST_SHOWN
    return f"{name} ({written} there, {now} here)" if is_short else name


def as_text(value: Any) -> str:
    """Return a value as text, unabridged and the same in every process."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, BaseEstimator) or hasattr(value, "get_params"):
        params = value.get_params(deep=False).items()
        inner = ", ".join(f"{name}={as_text(param)}" for name, param in params)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, list | tuple):
        return f"({', '.join(as_text(item) for item in value)})"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name}={as_text(item)}' for name, item in value.items())})"
    if isinstance(value, np.ndarray | torch.Tensor) or sparse.issparse(value):
        # Their repr leaves out what stands in the middle.
        return f"array {hash_rows(np.atleast_1d(value) if np.ndim(value) == 0 else value)}"
    if hasattr(value, "to_numpy"):
        return f"{type(value).__name__} {as_text(value.to_numpy())}"
    if isinstance(value, partial):
        return f"partial({as_text([value.func, value.args, value.keywords])})"
    if isinstance(value, FunctionType):
        return f"{value.__qualname__} {_code_as_text(value)}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _code_as_text(function: FunctionType) -> str:
    """Return what a function does: two of one name may differ in their code and what they hold."""
    held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    plain = [item for item in held if isinstance(item, bool | int | float | str | tuple)]
    parts = _parts_of(function.__code__), repr(function.__defaults__), repr(plain)
    return hashlib.blake2b(re.sub(r" at 0x[0-9a-f]+", "", repr(parts)).encode()).hexdigest()[:16]


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _parts_of(code: CodeType) -> tuple[Any, ...]:
    constants = [_parts_of(c) if isinstance(c, CodeType) else _in_order(c) for c in code.co_consts]
    return code.co_code, constants, code.co_names


def _in_order(constant: Any) -> Any:
    """Return a set, whose order differs from process to process, as a list."""
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant


def hash_rows(*parts: Any) -> str:
    """Return a hash of rows: values, types and shapes.

    Parameters
    ----------
    *parts : ndarray, sparse matrix, Tensor, Rows or None
        Read block by block, so a memory map need not fit into memory.

    Returns
    -------
    hash : str
    """
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        if part is None:
            made.update(b"None")
            continue
        made.update(f"{tuple(part.shape)}".encode())
        for start in range(0, part.shape[0], ROWS_AT_ONCE):
            block = part[start : start + ROWS_AT_ONCE]
            made.update(f"{block.dtype}".encode())
            for piece in _pieces(block):
                made.update(piece)
    return made.hexdigest()


def _pieces(block: Any) -> list[bytes]:
    if sparse.issparse(block):
        block = block.tocsr()
        return [piece.tobytes() for piece in (block.indptr, block.indices, block.data)]
    if isinstance(block, torch.Tensor):
        block = block.detach().cpu().contiguous().view(torch.uint8).numpy()
    block = np.asarray(block)
    # The bytes of objects would be their addresses.
    return [repr(block.tolist()).encode() if block.dtype == object else block.tobytes()]
