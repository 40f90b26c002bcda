"""Write a fitted model to one safetensors file with a JSON header: no pickle, no module paths.

The header holds the current parameters, the recipe that the model was built from, and facts. A
description is stored as its family and its class, such as ``["views", "Neighbors"]``. A digest of
the whole file stands beside the header, which `sklearn_mi.headers` checks before anything is built.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as registers

from sklearn_mi import (
    bounds,
    comparisons,
    critics,
    encoders,
    front_ends,
    headers,
    negatives,
    objectives,
    recipe,
    views,
)
from sklearn_mi._base import Component, InvalidModelError, check_name
from sklearn_mi._places import check_file, folder_of, place_of, written_whole
from sklearn_mi._version import __version__
from sklearn_mi.building import build_model
from sklearn_mi.front_ends import as_front_end
from sklearn_mi.model import PairModel, global_stream
from sklearn_mi.recipe import Choice, Recipe
from sklearn_mi.reports import MIEstimate
from sklearn_mi.rows import (
    FrontLayer,
    Recording,
    Residual,
    Schema,
    Standardize,
    StandardizeSteps,
    Table,
)
from sklearn_mi.rows.scaling import OF_STATE
from sklearn_mi.sides import LIKE_FIRST
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

FORMAT = 3
# The first of those that are read; its files have no digest.
_OLDEST, _WITHOUT_DIGEST = 2, {2}
_HEADER = "sklearn_mi"
# Attributes of a fitted learner that come from a file.
RESTORED = {
    *("net_", "mi_", "n_iter_", "n_features_in_", "feature_names_in_"),
    *("_seed", "_schemas", "_namespace", "_training_choices"),
}
# Parameters that the first files of this format lack, and what their models have.
NEWER = {"front_end": None, "column_weights": None}
# Where they differ from the parameter's name.
_HOMES = {
    "encoder_y": {"encoders"},
    "head": {"encoders"},
    "objective": {"objectives", "bounds"},
}
# A model may build parts that it then replaces, as a backbone does.
_SPARE_PARTS = 2000
# Numbers of a row that is encoded to see whether a model works.
_LARGEST_TRIED, _ROWS_TRIED = 2**20, 4
_REGISTERS = (
    registers.register_module_module_registration_hook,
    registers.register_module_parameter_registration_hook,
    registers.register_module_buffer_registration_hook,
)
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
    OSError
        If the folder does not exist, or the file cannot be written.
    ValueError
        If a parameter cannot be stored: a callable, a callback, a generator. Nothing is written.
    """
    from safetensors import SafetensorError  # here and below, since most users never save
    from safetensors.torch import save_file

    _check_names(params)
    place = place_of(path)
    folder_of(place)
    header = {
        "format": FORMAT,
        "version": __version__,
        "params": {name: _to_json(name, value) for name, value in params.items()},
        "recipe": _recipe_to_json(model.recipe),
        "schemas": [schema and schema.to_json() for schema in schemas],
        "facts": dict(facts),
    }
    text = json.dumps(header, default=float)
    with written_whole(place) as part:
        # Its folder is tried first, for safetensors has no errors of the system.
        part.touch()
        try:
            tensors = _separate(model.state_dict())
            save_file(tensors, part, metadata={_HEADER: text, **headers.unsealed()})
        except SafetensorError as error:
            told = f"path={str(place)!r} could not be written ({error}); is the disk full?"
            raise OSError(told) from error
        headers.seal(part)


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


def _check_names(params: Mapping[str, Any]) -> None:
    """Refuse names that no family has; `fit` and `score` would refuse them later."""
    for name, family in recipe.FAMILIES.items():
        value = params.get(name)
        if isinstance(value, str):
            check_name(name, value, [*family, "auto", *LIKE_FIRST])
        several = isinstance(value, list | tuple) and name != "encoder_y"
        if several or isinstance(value, int | float | dict | slice) or _is_of_others(name, value):
            raise TypeError(f"{name}={value!r}; expected one of {sorted(family)} or an object.")


def _is_of_others(name: str, value: Any) -> bool:
    """Whether a parameter holds a description of ours of another family."""
    families = {
        f for f, module in _FAMILIES.items() if _class_of(module, type(value)) is type(value)
    }
    return bool(families) and not families & {*_HOMES.get(name, {f"{name}s", name}), "recipe"}


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
    InvalidModelError
        If `write_file` did not write the file, if it is damaged, altered or has another format, or
        if an object of the user's own is missing.
    OSError
        If there is no file, or none that can be read.
    ValueError
        If ``own`` names no parameter of the learner.
    """
    header, tensors = _read(path)
    unknown = sorted(set(own) - set(header["params"]))
    if unknown:
        expected = sorted(header["params"])
        raise ValueError(f"{unknown} are no parameters of the learner; expected {expected}.")
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

    Raises
    ------
    InvalidModelError
        As `read_file`.
    """
    if not isinstance(content, bytes):
        raise InvalidModelError(
            f"The stored learner is {type(content).__name__}; expected bytes. Store it again."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "learner")
        path.write_bytes(content)
        return read_file(path, params)


@contextmanager
def damage_is_told(path: str | os.PathLike) -> Iterator[None]:
    """Turn every error that the content of a file causes into one that names the file.

    Parameters
    ----------
    path : path-like
    """
    try:
        yield
    except (InvalidModelError, OSError, MemoryError):
        raise
    # What a header can break is as manifold as what it can name.
    except Exception as error:
        raise InvalidModelError(
            f"{os.fspath(path)!r}: its header is damaged ({type(error).__name__}: {error}); save "
            "the learner again."
        ) from error


def _contents(
    header: dict[str, Any], tensors: dict[str, Tensor], own: Mapping[str, Any]
) -> Contents:
    params = {name: _from_json(name, value, own) for name, value in header["params"].items()}
    _check_names(params)
    stored = header["recipe"]
    parameters = {
        name: _from_json(name, value, own)
        for name, value in {**NEWER, **stored["parameters"]}.items()
        if name in recipe.MODEL_PARAMETERS
    }
    check_name("kind", stored["kind"], recipe.ENTRIES)
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
    first = Schema.from_json(header["schemas"][0])
    second = (other := header["schemas"][1]) and Schema.from_json(other)
    is_plain = made.front_end is None
    n_features = header["facts"]["n_features_in_"]
    _check_table(first, n_features, is_plain=is_plain)
    if second is not None:
        _check_table(second, None, is_plain=is_plain)
    has_own = any(map(_holds_own, stored["parameters"].values()))
    return Contents({**params, **own}, made, (first, second), header["facts"], tensors, has_own)


def _from_json(name: str, value: Any, own: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    if "own" in value:
        if name not in own:
            raise InvalidModelError(
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
    ((kind, items),) = value.items()
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

    place = check_file(path)
    name = str(place)
    metadata = headers.metadata_of(place)
    text = metadata.get(_HEADER)
    try:
        with safe_open(name, framework="pt", device="cpu") as file:
            if not isinstance(text, str) or set(metadata) - {_HEADER, headers.DIGEST}:
                raise InvalidModelError(
                    f"{name!r} was not written by MIRepresentationLearner.save; expected a file "
                    "that it wrote."
                )
            with damage_is_told(path):
                header = headers.parse(text)
                _check_format(name, header["format"], header["version"], headers.DIGEST in metadata)
                headers.check(header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InvalidModelError(
            f"{name!r} is not a safetensors file: {error}; copy or download it again."
        ) from error
    return header, tensors


def _check_format(name: str, number: Any, version: Any, has_digest: bool) -> None:
    """Refuse formats that are not read, and a file that should have a digest and has none."""
    if number not in range(_OLDEST, FORMAT + 1):
        is_newer = isinstance(number, int) and number > FORMAT
        cure = "upgrade" if is_newer else "fit and save the learner again"
        raise InvalidModelError(
            f"{name!r} was written by sklearn-mi {version} in format {number}, but this is "
            f"{__version__} with format {FORMAT}; {cure}."
        )
    if has_digest == (number in _WITHOUT_DIGEST):
        raise InvalidModelError(
            f"{name!r} has been altered since it was saved: files of format {number} have "
            f"{'no' if has_digest else 'a'} digest; save the learner again."
        )


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
    InvalidModelError
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
        with torch.device("meta"), _as_many_parts_as(contents.tensors):
            _compare(build().state_dict(), contents.tensors)
    model = build()
    _compare(model.state_dict(), contents.tensors)
    if not contents.has_own:
        _compare_kinds(model.state_dict(), contents.tensors)
    model.load_state_dict(contents.tensors)
    model.eval()
    if not contents.has_own:
        _try(model, contents.schemas, seed)
    return model


@contextmanager
def _as_many_parts_as(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Refuse to build many more modules, weights and buffers than a file has tensors."""
    thread, left = threading.get_ident(), [_SPARE_PARTS + 20 * len(tensors)]

    def count(*_: Any) -> None:
        # The hooks hear of modules that other threads build, too.
        left[0] -= threading.get_ident() == thread
        if left[0] < 0:
            raise InvalidModelError(
                "The recipe in the file names a model of many more parts than the file has "
                f"tensors, which are {len(tensors)}; save the learner again."
            )

    hooks = [register(count) for register in _REGISTERS]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _try(model: PairModel, schemas: tuple[Schema, Schema | None], seed: int) -> None:
    """Refuse a model that cannot encode rows of zeros, or whose weights are no numbers."""
    broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if broken:
        raise ValueError(f"the weights {broken} are not finite; training had gone astray")
    pairs = [(s, layer) for s, layer in zip(schemas, model.scales, strict=True) if s is not None]
    for schema, layer in pairs:
        _check_layer(layer, schema)
    # A network over places takes rows of any size, which the file need not hold.
    if any(schema.kind.n_inputs > _LARGEST_TRIED for schema, _ in pairs):
        return
    rows = [torch.zeros(_ROWS_TRIED, *schema.kind.row_shape) for schema, _ in pairs]
    encoded = zip((model.transform, model.transform_second), rows, strict=False)
    with torch.no_grad(), global_stream(model, seed) or nullcontext():
        codes = [encode(table) for encode, table in encoded]
        x = (rows[0], rows[-1]) if model.view.pairs_rows else rows[0]
        made = model.codes(x, None, torch.Generator().manual_seed(0))
    if not all(code.isfinite().all() for code in (*codes, made.z_x, made.z_y)):
        raise ValueError("codes of rows of zeros are not finite")


def _check_layer(layer: Any, schema: Schema) -> None:
    """Refuse means and scales that are not those of the columns or channels of a table."""
    kind = schema.kind
    n = kind.n_channels if isinstance(kind, Recording) else math.prod(kind.source_shape)
    for name, numbers in (("means", layer.mean), ("scales", layer.scale)):
        # The scale of a column that does not vary is infinite.
        if numbers.shape not in {(1,), (n,)} or numbers.isnan().any():
            raise ValueError(f"the {name} of columns have shape {tuple(numbers.shape)}, or gaps")
    if not (layer.scale > 0).all():
        raise ValueError("the scales of columns are not positive")


def _check_table(schema: Schema, n_features: int | None, *, is_plain: bool) -> None:
    """Refuse a schema whose parts tell different numbers of columns."""
    names, columns = schema.feature_names, schema.columns
    counts = {"names": names and len(names), "columns": len(columns) or None}
    if isinstance(schema.kind, Table):
        counts["n_features_in_"] = n_features
    told = {name: count for name, count in counts.items() if count is not None}
    if not columns and isinstance(schema.kind, Recording):
        told["channels"] = schema.kind.n_channels
    if not columns and isinstance(schema.kind, Table) and not schema.parts:
        told["numbers"] = math.prod(schema.kind.source_shape)
    if len(set(told.values())) > 1:
        raise ValueError(f"the table has {told}")
    made = len(schema.owners) if schema.owners is not None else told.get("numbers")
    is_table = isinstance(schema.kind, Table) and is_plain
    if is_table and made not in (None, schema.kind.n_inputs):
        raise ValueError(f"the columns make {made} numbers a row, not {schema.kind.n_inputs}")
    if any(not set(each) <= set(range(schema.kind.n_inputs)) for each in schema.sets or ()):
        raise ValueError(f"sets={schema.sets} name numbers that a row does not have")
    for part in schema.parts:
        _check_table(part, None, is_plain=is_plain)
    if schema.confounds is not None:
        _check_table(schema.confounds, None, is_plain=True)


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
            raise InvalidModelError(
                f"The weights in the file are not those of the model: {name} is {there} in the "
                f"file, but {here} in the model; pass the objects that the learner was fitted "
                "with, such as load(path, encoder=...)."
            )


def _compare_kinds(built: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    """Raise an error if tensors hold another kind of numbers than the model's."""
    for name, tensor in built.items():
        if tensor.dtype != stored[name].dtype:
            raise InvalidModelError(
                f"The weights in the file are not those of the model: {name} holds "
                f"{stored[name].dtype} in the file, but {tensor.dtype} in the model; save the "
                "learner again."
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
