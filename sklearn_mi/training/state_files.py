"""One file for nested lists, dicts, numbers and tensors: a digest, no pickle, whole or not there.

A file is a line that names the format, the SHA-256 of all that follows, and a safetensors file. In
that, the bytes of one tensor are JSON: the nesting, with names in the place of the other tensors.
safetensors and JSON hold data alone, so a file from a stranger runs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mi._base import InvalidModelError
from sklearn_mi._places import replaced
from sklearn_mi._version import __version__
from sklearn_mi.headers import CHECKPOINT

__all__ = ["can_hold", "read_state", "write_state"]

FORMAT = 1
MAGIC = CHECKPOINT + b"%d\n" % FORMAT
DIGEST_SIZE = hashlib.sha256().digest_size
HEADER = "header"


def write_state(path: str | os.PathLike, state: Any) -> list[str]:
    """Write a state in full, or leave the file as it was.

    Parameters
    ----------
    path : path-like
        In a folder that is there.
    state : object
        Numbers, text, None, tensors and arrays, in lists, tuples and dicts.

    Returns
    -------
    left_out : list of str
        Places in the state that hold anything else, which the file lacks.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from safetensors.torch import save  # here and below, since most users never save

    left_out: list[str] = []
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_packed(state, "", tensors, left_out))
    tensors[HEADER] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    content = save(tensors)
    digest = hashlib.sha256(content).digest()
    with replaced(Path(path), sync=True) as part, part.open("wb") as file:
        file.writelines((MAGIC, digest, content))
    return left_out


def read_state(path: str | os.PathLike, device: Any = "cpu") -> Any:
    """Read a state, if every byte is as it was written.

    Parameters
    ----------
    path : path-like
    device : device, default="cpu"
        For tensors that were not on the CPU.

    Returns
    -------
    state : object

    Raises
    ------
    InvalidModelError
        If a byte is missing or has changed, or if it is no checkpoint, or one of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = Path(path).read_bytes()
    start = len(MAGIC) + DIGEST_SIZE
    if not content.startswith(MAGIC):
        raise _of_others(path, content)
    if hashlib.sha256(memoryview(content)[start:]).digest() != content[len(MAGIC) : start]:
        raise _not_whole(path, "bytes are missing or have changed")
    try:
        tensors = load(content[start:])
        packed = json.loads(bytes(tensors.pop(HEADER).numpy()))
        return _unpacked(packed, tensors, torch.device(device))
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise _not_whole(path, f"{type(error).__name__}: {error}") from error


def _of_others(path: str | os.PathLike, content: bytes) -> InvalidModelError:
    """Return what to say of a file that does not begin like ours."""
    number = re.match(re.escape(CHECKPOINT) + rb"(\d{1,9})\n", content)
    if number is None and CHECKPOINT.startswith(content[: len(CHECKPOINT)]):
        return _not_whole(path, f"it ends after {len(content)} bytes")
    if number is None:
        return InvalidModelError(
            f"checkpoint {os.fspath(path)!r} is no checkpoint of sklearn-mi, but another file; "
            "name a new file, or delete this one to begin anew."
        )
    written = int(number[1])
    cure = "upgrade, or " if written > FORMAT else ""
    return InvalidModelError(
        f"checkpoint {os.fspath(path)!r} was written in format {written}, but this is sklearn-mi "
        f"{__version__} with format {FORMAT}; {cure}delete the file to begin anew."
    )


def _not_whole(path: str | os.PathLike, reason: str) -> InvalidModelError:
    return InvalidModelError(
        f"checkpoint {os.fspath(path)!r} is not whole ({reason}); delete the file to begin anew."
    )


# JSON has no tuples, no keys but text and no tensors: such values become a dict of one key.


def _packed(value: Any, place: str, tensors: dict[str, Tensor], left_out: list[str]) -> Any:
    """Return a value as JSON; add its tensors to ``tensors``."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value

    def inner(item: Any, name: Any) -> Any:
        return _packed(item, f"{place}/{name}", tensors, left_out)

    if isinstance(value, list | tuple):
        items = [inner(item, i) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        return {"dict": [[inner(key, key), inner(item, key)] for key, item in value.items()]}
    if _is_tensor(value):
        name = str(len(tensors))
        tensor = torch.as_tensor(value).detach()
        # Copies: tensors that share memory cannot stand in one safetensors file.
        tensors[name] = tensor.to("cpu", copy=True).contiguous()
        kind = "array" if isinstance(value, np.ndarray) else "tensor"
        return {kind if tensor.device.type == "cpu" else "on device": name}
    left_out.append(f"{place.lstrip('/')} ({type(value).__name__})")
    return {"lost": type(value).__name__}


def _is_tensor(value: Any) -> bool:
    is_array = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    return is_array or isinstance(value, Tensor)


def can_hold(value: Any) -> bool:
    """Return whether a file can hold a value.

    Parameters
    ----------
    value : object
    """
    if isinstance(value, Mapping):
        return all(can_hold(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return all(map(can_hold, value))
    is_plain = value is None or isinstance(value, bool | int | float | str | np.generic)
    return is_plain or _is_tensor(value)


def _unpacked(value: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """Return what `_packed` was given, without what it could not hold."""
    if isinstance(value, list):
        return [_unpacked(item, tensors, device) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, held)] = value.items()
    if kind == "dict":
        kept = ((key, item) for key, item in held if not _is_lost(item))
        made = {}
        for key, item in kept:
            made[_unpacked(key, tensors, device)] = _unpacked(item, tensors, device)
        return made
    makers: dict[str, Callable[[], Any]] = {
        "tuple": lambda: tuple(_unpacked(held, tensors, device)),
        "tensor": lambda: tensors[held],
        "array": lambda: tensors[held].numpy(),
        "on device": lambda: tensors[held].to(device),
        "lost": lambda: None,
    }
    return makers[kind]()


def _is_lost(value: Any) -> bool:
    return isinstance(value, dict) and "lost" in value
