"""What the header of a file may hold, and the digest that tells whether a byte was altered."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sklearn_mi._base import InvalidModelError

__all__ = ["CHECKPOINT", "DIGEST", "check", "metadata_of", "parse", "seal", "unsealed"]

# What a checkpoint of a fit begins with.
CHECKPOINT = b"sklearn-mi checkpoint "
# The file's entry for the digest of everything else in it.
DIGEST = "sklearn_mi_digest"
_KEY = f'"{DIGEST}":"'.encode()
_ZEROS = b"0" * 64
# Bytes of a header; safetensors has the same limit.
_LONGEST_HEADER = 100_000_000
_BYTES_AT_ONCE = 2**20
_DEEPEST = 40
_LONGEST_TOLD = 200
_LARGEST = 2**63 - 1


# The digest


def unsealed() -> dict[str, str]:
    """Return the metadata that `seal` fills in."""
    return {DIGEST: _ZEROS.decode()}


def seal(path: str | os.PathLike) -> None:
    """Write the digest of a file into its place, which must hold zeros.

    Parameters
    ----------
    path : path-like
        A safetensors file whose metadata have what `unsealed` returns.
    """
    head = _head(Path(path))
    place = head.index(_KEY) + len(_KEY)
    digest = _digest(Path(path), head)
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(digest)


def _digest(path: Path, head: bytes) -> bytes:
    """Return BLAKE2b of a whole file with zeros in the place of the digest."""
    place = head.index(_KEY) + len(_KEY)
    hashed = hashlib.blake2b(head[:place] + _ZEROS + head[place + len(_ZEROS) :], digest_size=32)
    with path.open("rb") as file:
        file.seek(len(head))
        while part := file.read(_BYTES_AT_ONCE):
            hashed.update(part)
    return hashed.hexdigest().encode()


def _head(path: Path) -> bytes:
    """Return the length and the header of a safetensors file, as they stand in it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if first == CHECKPOINT[:8]:
            raise InvalidModelError(
                f"{os.fspath(path)!r} is a checkpoint of a fit, not a model; call fit with the "
                "same checkpoint_dir, or fit_iter with the same checkpoint, and save what is "
                "fitted."
            )
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise InvalidModelError(
                f"{os.fspath(path)!r} is not a safetensors file, or only the beginning of one: its "
                f"first bytes tell of a header of {length} bytes, but it has {size} bytes; copy or "
                "download it again."
            )
        return first + file.read(length)


def metadata_of(path: str | os.PathLike) -> dict[str, str]:
    """Return the metadata of a safetensors file whose digest is right, if it has one.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    metadata : dict of str
        With the digest under `DIGEST`, if the file has one.

    Raises
    ------
    InvalidModelError
        If it is no safetensors file, or has been altered.
    """
    file = Path(path)
    head = _head(file)
    name = os.fspath(path)
    try:
        found = parse(head[8:].decode())
    except (ValueError, RecursionError) as error:
        raise InvalidModelError(
            f"{name!r} is not a safetensors file: its header is no JSON ({error}); copy or "
            "download it again."
        ) from error
    metadata = found.get("__metadata__", {}) if isinstance(found, dict) else {}
    if not isinstance(metadata, dict):
        metadata = {}
    if DIGEST not in metadata and _KEY not in head:
        return metadata
    if head.count(_KEY) != 1 or metadata.get(DIGEST) != _digest(file, head).decode():
        raise InvalidModelError(
            f"{name!r} has been altered since it was saved: its digest is not that of its content; "
            "copy or download it again, or save the learner again."
        )
    return metadata


# The header


def parse(text: str) -> Any:
    """Read JSON in which no name stands twice and nothing is deeper than a header can be.

    Parameters
    ----------
    text : str

    Raises
    ------
    ValueError
    RecursionError
    """
    found = json.loads(text, object_pairs_hook=_without_duplicates)
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [v for each in inner for v in (each.values() if isinstance(each, dict) else each)]
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands in it twice")
    return made


def check(header: Any) -> None:
    """Compare a header with the schema before anything is built from it.

    Parameters
    ----------
    header : object
        As JSON gives it.

    Raises
    ------
    ValueError
        It names the place in the header, and what was expected there.
    """
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(header))
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "the whole"
        told = error.message
        if len(told) > _LONGEST_TOLD:
            told = f"{told[:_LONGEST_TOLD]}..."
        raise ValueError(f"{place}: {told}")


def _is_finite(_: Any, value: Any) -> bool:
    return _is_whole(_, value) or (isinstance(value, float) and math.isfinite(value))


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_measured(_: Any, value: Any) -> bool:
    # What was measured may be infinite, such as a ceiling, or missing.
    return isinstance(value, float) or _is_whole(_, value)


def _is_record(_: Any, value: Any) -> bool:
    # A history may have 100,000 records, for which jsonschema takes seconds.
    return (
        isinstance(value, dict)
        and isinstance(value.get("batches"), list)
        and all(_is_entry(name, entry) for name, entry in value.items())
    )


def _is_entry(name: str, value: Any) -> bool:
    if name in ("epoch", "steps"):
        return _is_whole(None, value) and value >= 0
    if name == "dur" or name.startswith(("train_", "valid_")):
        return value is None or isinstance(value, bool) or _is_measured(None, value)
    return True


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    types = {
        "integer": _is_whole,
        "number": _is_finite,
        "measured": _is_measured,
        "record": _is_record,
    }
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(types)
    return extend(Draft202012Validator, type_checker=checker)(_SCHEMA)


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Any:
    """Return the schema of an object that has these names and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Any, **limits: Any) -> Any:
    return {"type": "array", "items": items, **limits}


def _row(*items: Any) -> Any:
    """Return the schema of a list of so many items."""
    return {"type": "array", "prefixItems": list(items), "minItems": len(items), "items": False}


def _map(values: Any) -> Any:
    return {"type": "object", "additionalProperties": values}


def _any(*schemas: Any) -> Any:
    return {"anyOf": list(schemas)}


def _whole(least: int) -> Any:
    return {"type": "integer", "minimum": least}


_STRING, _NULL, _BOOLEAN = {"type": "string"}, {"type": "null"}, {"type": "boolean"}
_NUMBER, _MEASURED = {"type": "number"}, {"type": "measured"}
_VALUE, _TABLE, _ESTIMATE = ({"$ref": f"#/$defs/{n}"} for n in ("value", "table", "estimate"))
_SHAPE = _list(_whole(1), minItems=1, maxItems=8)
_BOUND = {"type": ["integer", "string", "null"]}
_CHOICES = _map(_row(_VALUE, _STRING))
# Of the recipe's parameters those that are neither names of a family nor descriptions.
_PARAMETERS = {
    "n_components": _any(_NULL, _whole(1)),
    "output": {"enum": ["first", "second", "both", "averaged", "with-columns"]},
    "standardize": {"enum": [True, False, "auto"]},
}
_DEFS = {
    "value": {
        "type": ["null", "boolean", "number", "string", "object"],
        "if": {"type": "object"},
        "then": {
            "oneOf": [
                _object({"own": _STRING}),
                _object({"component": _row(_STRING, _STRING), "params": _map(_VALUE)}),
                _object({"optimizer": _STRING}, {"settings": _map(_VALUE)}),
                _object({"slice": _row(_BOUND, _BOUND, _BOUND)}),
                _object({"dict": _map(_VALUE)}),
                _object({"list": _list(_VALUE)}),
                _object({"tuple": _list(_VALUE)}),
            ]
        },
    },
    "column": _object(
        {"kind": _STRING, "has_gaps": _BOOLEAN},
        {
            "levels": _list(_STRING),
            "start": _NUMBER,
            "parts": _list(_STRING),
            "layout": _any(_STRING, _NULL),
        },
    ),
    "table": _object(
        {
            "kind": _object(
                {
                    "kind": {"enum": ["table", "image", "volume", "recording", "words"]},
                    "source_shape": _SHAPE,
                    "row_shape": _SHAPE,
                    "reason": _STRING,
                }
            ),
            "feature_names": _any(_list(_STRING), _NULL),
        },
        # The first files of format 2 have none of these.
        {
            "parts": _list(_TABLE),
            "columns": _list({"$ref": "#/$defs/column"}),
            "sets": _any(_NULL, _list(_list(_whole(0)))),
            "confounds": _any(_NULL, _TABLE),
        },
    ),
    "estimate": _object(
        {
            "bound": _STRING,
            "value": _MEASURED,
            "stderr": _MEASURED,
            "ceiling": _MEASURED,
            "n_pairs": _whole(0),
            "n_candidates": _whole(0),
            "status": {"enum": ["lower", "upper", "neither"]},
            "objective": _any(_NULL, _ESTIMATE),
        },
        {
            "warnings": _list(_STRING),
            "unit": _STRING,
            "interval": _row(_MEASURED, _MEASURED),
            "lower_limit": _any(_NULL, _MEASURED),
            "confidence": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "at_least": _BOOLEAN,
        },
    ),
}
_SCHEMA = {
    **_object(
        {
            "format": _whole(1),
            "version": _STRING,
            "params": _map(_VALUE),
            "recipe": _object(
                {
                    "kind": _STRING,
                    "parameters": {**_map(_VALUE), "properties": _PARAMETERS},
                    "choices": _CHOICES,
                    "given": _map(_VALUE),
                }
            ),
            "schemas": _row(_TABLE, _any(_NULL, _TABLE)),
            "facts": _object(
                {
                    "n_features_in_": _whole(1),
                    "n_iter_": _whole(0),
                    "seed": _whole(0),
                    "training_choices": _CHOICES,
                    "mi_": _ESTIMATE,
                    "history": _list({"type": "record"}),
                }
            ),
        }
    ),
    "$defs": _DEFS,
}
