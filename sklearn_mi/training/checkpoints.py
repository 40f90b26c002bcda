"""Save a training in full, and resume it on the same data and seed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

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

    def training_state(self) -> dict[str, Any]:
        """Return everything that later steps depend on."""
        ...

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Resume from that state."""
        ...


def save_checkpoint(
    net: Resumable, path: str | os.PathLike, step: int, fingerprint: Mapping[str, str]
) -> None:
    """Write everything that later steps depend on, in full or not at all.

    Parameters
    ----------
    net : Resumable
    path : path-like
    step : int
        The stop at which it is saved.
    fingerprint : dict of str
        What identifies the training, by part, such as "seed" and "rows".
    """
    temporary = f"{os.fspath(path)}.part"
    written = {"stop": step, "fingerprint": dict(fingerprint), **net.training_state()}
    torch.save(written, temporary)
    os.replace(temporary, path)


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
    ValueError
        If the file is not a complete checkpoint or belongs to another training; the message names
        the difference.
    """
    if path is None or not os.path.exists(path):
        return -1
    state = _read(path, net.device)
    _check(path, state["fingerprint"], fingerprint)
    net.load_training_state(state)
    return state["stop"]


def checkpoint_seed(path: str | os.PathLike | None) -> int | None:
    """Return the seed of the training in a checkpoint; None if there is no file.

    A training without its own seed uses this one, so it splits the rows as before.
    """
    if path is None or not os.path.exists(path):
        return None
    # Mapped into memory: only the seed is read.
    return int(_read(path, "cpu", mmap=True)["fingerprint"]["seed"])


def _read(path: str | os.PathLike, device: Any, **options: Any) -> dict[str, Any]:
    try:
        state = torch.load(path, weights_only=True, map_location=device, **options)
    except (PermissionError, IsADirectoryError, MemoryError, torch.OutOfMemoryError):
        raise
    # A truncated or foreign file breaks torch's reader in many ways.
    except Exception as error:
        raise ValueError(
            f"checkpoint={os.fspath(path)!r} is no whole checkpoint; delete the file, or name "
            "another one."
        ) from error
    if not isinstance(state, dict) or "fingerprint" not in state:
        raise ValueError(
            f"checkpoint={os.fspath(path)!r} does not say which data, parameters and random_state "
            "it belongs to; delete the file, or name another one."
        )
    return state


def _check(path: str | os.PathLike, written: Mapping[str, str], now: Mapping[str, str]) -> None:
    names = [name for name in {**now, **written} if written.get(name) != now.get(name)]
    if names:
        differing = ", ".join(_difference(n, written.get(n), now.get(n)) for n in names)
        raise ValueError(
            f"checkpoint={os.fspath(path)!r} belongs to another training: {differing} differ; "
            "expected the same data, parameters and random_state. Pass these, name another file, "
            "or delete this one."
        )


def _difference(name: str, written: str | None, now: str | None) -> str:
    is_short = name == "seed" and len(f"{written}{now}") < LONGEST_SHOWN
    return f"{name} ({written} there, {now} here)" if is_short else name


def as_text(value: Any) -> str:
    """Return a value as text, unabridged and the same in every process."""
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False).items()
        inner = ", ".join(f"{name}={as_text(param)}" for name, param in params)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, list | tuple):
        return f"({', '.join(as_text(item) for item in value)})"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name}={as_text(item)}' for name, item in value.items())})"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


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
