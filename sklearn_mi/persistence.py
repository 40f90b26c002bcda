"""Write a fitted model to one safetensors file with a JSON header: no pickle, no module paths.

The header holds the current parameters, the recipe that the model was built from, and facts. A
description is stored as its family and its class, such as ``["views", "Neighbors"]``.
"""

from __future__ import annotations

import inspect
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mi import (
    bounds,
    comparisons,
    critics,
    encoders,
    front_ends,
    negatives,
    objectives,
    recipe,
    views,
)
from sklearn_mi._base import Component
from sklearn_mi._version import __version__
from sklearn_mi.building import build_model
from sklearn_mi.front_ends import as_front_end
from sklearn_mi.model import PairModel
from sklearn_mi.recipe import Choice, Recipe
from sklearn_mi.reports import MIEstimate
from sklearn_mi.rows import FrontLayer, Recording, Residual, Schema, Standardize, StandardizeSteps
from sklearn_mi.rows.scaling import OF_STATE
from sklearn_mi.training import Muon
from sklearn_mi.views import as_view

__all__ = [
    "RESTORED",
    "Contents",
    "damage_is_told",
    "from_bytes",
    "read_estimate",
    "read_file",
    "rebuild",
    "to_bytes",
    "write_file",
]

FORMAT = 2
_HEADER = "sklearn_mi"
# Attributes of a fitted learner that come from a file.
RESTORED = {
    *("net_", "mi_", "n_iter_", "n_features_in_", "feature_names_in_"),
    *("_seed", "_schemas", "_namespace", "_training_choices"),
}
# Parameters that the first files of this format lack, and what their models have.
NEWER = {"front_end": None, "column_weights": None}
_FAMILIES: dict[str, ModuleType] = {
    "bounds": bounds,
    "comparisons": comparisons,
    "critics": critics,
    "encoders": encoders,
    "front_ends": front_ends,
    "negatives": negatives,
    "objectives": objectives,
    "recipe": recipe,
    "views": views,
}


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Parameters
    ----------
    params : dict
        Parameters of the learner as they were when it was saved.
    recipe : Recipe
    schemas : tuple of Schema
        Those of the table and of the paired table; None without one.
    facts : dict
        Everything else that the learner knows: plain numbers, strings, lists and dicts.
    tensors : dict of Tensor
    has_own : bool
        Whether the model has objects of the user's own.
    """

    params: dict[str, Any]
    recipe: Recipe
    schemas: tuple[Schema, Schema | None]
    facts: dict[str, Any]
    tensors: dict[str, Tensor]
    has_own: bool


# Writing


def write_file(
    path: str | os.PathLike,
    params: Mapping[str, Any],
    model: PairModel,
    schemas: tuple[Schema, Schema | None],
    facts: Mapping[str, Any],
) -> None:
    """Write a fitted model to a file, completely or not at all.

    Parameters
    ----------
    path : path-like
    params : mapping
        Parameters of the learner.
    model : PairModel
    schemas : tuple of Schema
    facts : mapping
        Values that JSON can hold.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If a parameter cannot be stored: a callable, a callback, a generator. Nothing is written.
    """
    from safetensors.torch import save_file  # here and below, since most users never save

    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"path={os.fspath(path)!r}: there is no folder {folder!r}.")
    header = {
        "format": FORMAT,
        "version": __version__,
        "params": {name: _to_json(name, value) for name, value in params.items()},
        "recipe": _recipe_to_json(model.recipe),
        "schemas": [schema and schema.to_json() for schema in schemas],
        "facts": dict(facts),
    }
    text = json.dumps(header, default=float)
    temporary = f"{os.fspath(path)}.part"
    try:
        tensors = _separate(model.state_dict())
        save_file(tensors, temporary, metadata={_HEADER: text})
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def to_bytes(
    model: PairModel,
    schemas: tuple[Schema, Schema | None],
    facts: Mapping[str, Any],
    params: Mapping[str, Any],
) -> bytes:
    """Return what `write_file` writes, without the values of parameters.

    Parameters
    ----------
    model : PairModel
    schemas : tuple of Schema
    facts : mapping
    params : mapping
        Parameters of the learner.

    Returns
    -------
    content : bytes

    Raises
    ------
    ValueError
        If a parameter is a module, or a part of the model cannot be stored.
    """
    for name, value in params.items():
        if isinstance(value, nn.Module):
            raise ValueError(
                f"{name} is a module of your own, which needs pickle; use save, or joblib.dump for "
                "files that you trust."
            )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "learner")
        write_file(path, dict.fromkeys(params), model, schemas, facts)
        return path.read_bytes()


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, each in memory of its own, even if weights are tied."""
    separate: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        separate[name] = own.clone() if place in places else own
        places.add(place)
    return separate


def _recipe_to_json(made: Recipe) -> dict[str, Any]:
    return {
        "kind": made.kind,
        "parameters": {
            name: _to_json(name, getattr(made, name)) for name in recipe.MODEL_PARAMETERS
        },
        "choices": {name: [_to_json(name, c.value), c.reason] for name, c in made.choices.items()},
        "given": {name: _to_json(name, value) for name, value in made.given.items()},
    }


def _to_json(name: str, value: Any) -> Any:
    """Return a parameter as JSON; the user's own modules and descriptions by class name only."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        items = [_to_json(f"{name}[{i}]", v) for i, v in enumerate(value)]
        kind = type(value).__name__
        return {"own": kind} if any(map(_holds_own, items)) else {kind: items}
    if isinstance(value, dict):
        return {"dict": {key: _to_json(f"{name}__{key}", v) for key, v in value.items()}}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if isinstance(value, np.ndarray):
        return _to_json(name, value.tolist())
    if isinstance(value, partial) and _is_optimizer(value.func) and not value.args:
        settings = {key: _to_json(f"{name}__{key}", v) for key, v in value.keywords.items()}
        return {"optimizer": _name_of(value.func), "settings": settings}
    if _is_optimizer(value):
        return {"optimizer": _name_of(value)}
    if isinstance(value, Component):
        return _component_to_json(name, value)
    if isinstance(value, nn.Module):
        return {"own": type(value).__name__}
    kind = "callbacks" if name.startswith("callbacks") else type(value).__name__
    raise ValueError(
        f"{name}={value!r} cannot be stored without pickle ({kind}); set it to None or to a "
        f"description before saving, or use joblib.dump for files that you trust."
    )


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, type) and (
        value is Muon or getattr(torch.optim, value.__name__, None) is value
    )


def _name_of(optimizer: Any) -> str:
    # Later releases of torch have a Muon of their own.
    return "our Muon" if optimizer is Muon else optimizer.__name__


def _component_to_json(name: str, value: Component) -> Any:
    cls = type(value)
    family = next((f for f, module in _FAMILIES.items() if _class_of(module, cls) is cls), None)
    params = {
        key: _to_json(f"{name}__{key}", inner)
        for key, inner in (value.get_params(deep=False).items() if family else ())
    }
    if family is None or any(_holds_own(inner) for inner in params.values()):
        return {"own": cls.__name__}
    return {"component": [family, cls.__name__], "params": params}


def _class_of(module: ModuleType, cls: type) -> Any:
    return vars(module).get(cls.__name__)


def _holds_own(value: Any) -> bool:
    return isinstance(value, dict) and "own" in value


# Reading


def read_file(path: str | os.PathLike, own: Mapping[str, Any]) -> Contents:
    """Read what `write_file` has written; nothing in the file is executed.

    Parameters
    ----------
    path : path-like
    own : mapping
        Objects of the user's own that the file names but does not hold, by parameter.

    Returns
    -------
    contents : Contents

    Raises
    ------
    ValueError
        If `write_file` did not write the file, if it is damaged or has another format, or if an
        object of the user's own is missing.
    """
    header, tensors = _read(path)
    with damage_is_told(path):
        return _contents(header, tensors, own)


def from_bytes(content: bytes, params: Mapping[str, Any]) -> Contents:
    """Read what `to_bytes` has returned; nothing in it is executed.

    Parameters
    ----------
    content : bytes
    params : mapping
        Parameters of the learner, among them the objects of the user's own.

    Returns
    -------
    contents : Contents
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "learner")
        path.write_bytes(content)
        return read_file(path, params)


@contextmanager
def damage_is_told(path: str | os.PathLike) -> Iterator[None]:
    """Turn errors from a damaged header into one that names the file.

    Parameters
    ----------
    path : path-like
    """
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{os.fspath(path)!r}: its header is damaged ({type(error).__name__}: {error}); save "
            "the learner again."
        ) from error


def _contents(
    header: dict[str, Any], tensors: dict[str, Tensor], own: Mapping[str, Any]
) -> Contents:
    params = {name: _from_json(name, value, own) for name, value in header["params"].items()}
    unknown = sorted(set(own) - set(params))
    if unknown:
        raise ValueError(f"{unknown} are no parameters of the learner; expected {sorted(params)}.")
    stored = header["recipe"]
    parameters = {
        name: _from_json(name, value, own)
        for name, value in {**NEWER, **stored["parameters"]}.items()
        if name in recipe.MODEL_PARAMETERS
    }
    made = Recipe(
        kind=stored["kind"],
        **parameters,
        choices={
            name: Choice(_from_json(name, value, own), reason)
            for name, (value, reason) in stored["choices"].items()
        },
        given={"front_end": "auto", "column_weights": None}
        | {name: _from_json(name, value, own) for name, value in stored["given"].items()},
    )
    first, second = (schema and Schema.from_json(schema) for schema in header["schemas"])
    has_own = any(map(_holds_own, stored["parameters"].values()))
    return Contents({**params, **own}, made, (first, second), header["facts"], tensors, has_own)


def _from_json(name: str, value: Any, own: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    if "own" in value:
        if name not in own:
            raise ValueError(
                f"{name} was an object of your own, {value['own']}, whose code is not in the "
                f"file; pass load(path, {name}=...)."
            )
        return own[name]
    if "component" in value:
        params = {key: _from_json(name, inner, own) for key, inner in value["params"].items()}
        return _description(*value["component"])(**params)
    if "optimizer" in value:
        cls, settings = _optimizer(value["optimizer"]), value.get("settings", {})
        given = {key: _from_json(name, inner, own) for key, inner in settings.items()}
        return partial(cls, **given) if given else cls
    if "slice" in value:
        return slice(*value["slice"])
    if "dict" in value:
        return {key: _from_json(name, inner, own) for key, inner in value["dict"].items()}
    kind, items = next(iter(value.items()))
    return {"list": list, "tuple": tuple}[kind](_from_json(name, item, own) for item in items)


def _description(family: str, name: str) -> type[Component]:
    """Return the class of a description; a file can name public ones only."""
    found = vars(_FAMILIES[family]).get(name) if family in _FAMILIES else None
    if isinstance(found, type) and issubclass(found, Component) and not inspect.isabstract(found):
        return found
    raise ValueError(f"The file names {family}.{name}, which is no description of sklearn-mi.")


def _optimizer(name: str) -> type[torch.optim.Optimizer]:
    found = Muon if name == "our Muon" else vars(torch.optim).get(name)
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(f"The file names torch.optim.{name}, which is no optimiser.")
    return found


def _read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{os.fspath(path)!r} is not a safetensors file: {error}") from error
    if text is None:
        raise ValueError(f"{os.fspath(path)!r} was not written by MIRepresentationLearner.save.")
    with damage_is_told(path):
        header = json.loads(text)
        number, version = int(header["format"]), header["version"]
    if number != FORMAT:
        cure = "upgrade" if number > FORMAT else "fit and save the learner again"
        raise ValueError(
            f"{os.fspath(path)!r} was written by sklearn-mi {version} in format {number}, but this "
            f"is {__version__} with format {FORMAT}; {cure}."
        )
    return header, tensors


def rebuild(contents: Contents, seed: int) -> PairModel:
    """Return the model that a file holds: built from its recipe, with its weights.

    Parameters
    ----------
    contents : Contents
    seed : int

    Returns
    -------
    model : PairModel
        In evaluation mode.

    Raises
    ------
    ValueError
        If the tensors of the file do not fit the recipe.
    """
    scales: Any = tuple(
        schema and _first_layer(contents, name, schema)
        for name, schema in zip(("scale", "scale_pair"), contents.schemas, strict=True)
    )
    state = {
        name.removeprefix("state."): tensor
        for name, tensor in contents.tensors.items()
        if name.startswith("state.")
    }
    view = as_view(recipe.snapshot(contents.recipe.view))

    def build() -> PairModel:
        model = build_model(contents.recipe, view, state or None, contents.schemas, scales, seed)
        model.confounds.extend(_residuals(contents.tensors))
        return model

    if not contents.has_own:
        # A header could name any size, so compare before anything takes memory.
        with torch.device("meta"):
            _compare(build().state_dict(), contents.tensors)
    model = build()
    _compare(model.state_dict(), contents.tensors)
    model.load_state_dict(contents.tensors)
    return model.eval()


def _first_layer(contents: Contents, name: str, schema: Schema) -> Standardize | FrontLayer:
    """Return the first layer of a table, with what its front end knows."""
    start, front_end = f"{name}.", contents.recipe.front_end
    stored = {
        key.removeprefix(start): tensor
        for key, tensor in contents.tensors.items()
        if key.startswith(start)
    }
    is_behind = front_end is not None and "first.mean" in stored

    def scaling(start: str, *, of_steps: bool) -> Standardize:
        numbers = (stored.pop(f"{start}{key}").numpy() for key in ("mean", "scale"))
        return (StandardizeSteps if of_steps else Standardize)(*numbers)

    of_steps = isinstance(schema.kind, Recording)
    first = scaling("first." if is_behind else "", of_steps=of_steps)
    if not is_behind:
        return first
    made = as_front_end(front_end)
    last = scaling("last.", of_steps=made.gives_recordings)
    state = {key.removeprefix(OF_STATE).replace("/", "."): t for key, t in stored.items()}
    return FrontLayer(first, made, state, last)


def _residuals(tensors: Mapping[str, Tensor]) -> list[Residual]:
    """Return what takes confounds out of each table."""
    names = ("mean", "scale", "weights", "varies")
    places = {name.split(".")[1] for name in tensors if name.startswith("confounds.")}
    return [
        Residual(*(tensors[f"confounds.{place}.{name}"].numpy() for name in names))
        for place in sorted(places)
    ]


def _compare(built: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    """Raise an error if names or shapes of tensors differ from the model's."""
    for name in sorted(set(built) | set(stored)):
        here, there = (
            f"of shape {tuple(side[name].shape)}" if name in side else "missing"
            for side in (built, stored)
        )
        if here != there:
            raise ValueError(
                f"The weights in the file are not those of the model: {name} is {there} in the "
                f"file, but {here} in the model; pass the objects that the learner was fitted "
                "with, such as load(path, encoder=...)."
            )


def read_estimate(fields: Mapping[str, Any]) -> MIEstimate:
    """Return an estimate from its fields as JSON holds them.

    Parameters
    ----------
    fields : mapping

    Returns
    -------
    estimate : MIEstimate
    """
    inner = fields["objective"]
    plain: dict[str, Any] = {**fields, "objective": inner and read_estimate(inner)}
    # JSON has no tuples.
    made: Any = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
    return MIEstimate(**made)
