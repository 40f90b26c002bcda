"""Save and load a fitted learner: one safetensors file with a JSON header, no pickle."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklearn_mi import bounds, critics, encoders, negatives, objectives, views
from sklearn_mi._base import Component
from sklearn_mi._version import __version__
from sklearn_mi.choices import Choice
from sklearn_mi.estimators import MIRepresentationLearner
from sklearn_mi.inputs import Layout
from sklearn_mi.reports import MIEstimate
from sklearn_mi.training import Scale

__all__ = ["load", "save"]

FORMAT = 1
_HEADER = "sklearn_mi"
_HOMES = {
    module.__name__: module for module in (bounds, critics, encoders, negatives, objectives, views)
}


def save(learner: MIRepresentationLearner, path: str | os.PathLike) -> None:
    """Write a fitted learner to a file.

    Parameters
    ----------
    learner : MIRepresentationLearner
    path : path-like

    Raises
    ------
    NotFittedError
        If the learner is not fitted.
    ValueError
        If a parameter cannot be stored: a callable, a callback, a generator. Nothing is written.
    """
    check_is_fitted(learner)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"path={os.fspath(path)!r}: there is no folder {folder!r}.")
    header = {
        "format": FORMAT,
        "version": __version__,
        "params": {
            name: _to_json(name, value) for name, value in learner.get_params(deep=False).items()
        },
        "fitted": _fitted(learner),
    }
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in learner.net_.model.state_dict().items()
    }
    text = json.dumps(header, default=float)
    temporary = f"{os.fspath(path)}.part"
    try:
        safetensors.torch.save_file(tensors, temporary, metadata={_HEADER: text})
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _fitted(learner: MIRepresentationLearner) -> dict[str, Any]:
    names = getattr(learner, "feature_names_in_", None)
    return {
        "n_features_in_": learner.n_features_in_,
        "feature_names_in_": None if names is None else list(names),
        "n_iter_": learner.n_iter_,
        "seed": learner._seed,
        "choices": {name: [c.value, c.reason] for name, c in learner.choices_.items()},
        "mi_": dataclasses.asdict(learner.mi_),
        "history": list(learner.history_),
        "layouts": [
            None if layout is None else dataclasses.asdict(layout)
            for layout in (learner._layout, learner._pair_layout)
        ],
    }


def _to_json(name: str, value: Any) -> Any:
    """Return a parameter as JSON; own modules and descriptions only by their class's name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_to_json(f"{name}[{i}]", v) for i, v in enumerate(value)]}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if isinstance(value, np.ndarray):
        return _to_json(name, value.tolist())
    if isinstance(value, type) and getattr(torch.optim, value.__name__, None) is value:
        return {"optimizer": value.__name__}
    if isinstance(value, Component):
        return _component_to_json(name, value)
    if isinstance(value, nn.Module):
        return {"own": type(value).__name__}
    kind = "callbacks" if name.startswith("callbacks") else type(value).__name__
    raise ValueError(
        f"{name}={value!r} cannot be stored without pickle ({kind}); set it to None or to a "
        f"description before saving, or use joblib.dump for files that you trust."
    )


def _component_to_json(name: str, value: Component) -> Any:
    home = _HOMES.get(type(value).__module__)
    if home is None:
        return {"own": type(value).__name__}
    params = {
        key: _to_json(f"{name}__{key}", inner)
        for key, inner in value.get_params(deep=False).items()
    }
    if any(isinstance(inner, dict) and "own" in inner for inner in params.values()):
        return {"own": type(value).__name__}
    return {"component": [home.__name__, type(value).__name__], "params": params}


def _from_json(name: str, value: Any, own: dict[str, Any]) -> Any:
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
        module, cls = value["component"]
        return _description(module, cls)(
            **{key: _from_json(name, inner, own) for key, inner in value["params"].items()}
        )
    if "optimizer" in value:
        return getattr(torch.optim, value["optimizer"])
    if "slice" in value:
        return slice(*value["slice"])
    kind, items = next(iter(value.items()))
    return {"list": list, "tuple": tuple}[kind](_from_json(name, item, own) for item in items)


def _description(module: str, name: str) -> type[Component]:
    """Return a description's class; a file can name nothing but the public ones."""
    found = getattr(_HOMES.get(module), name, None) if module in _HOMES else None
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise ValueError(f"The file names {module}.{name}, which is no description of sklearn-mi.")
    return found


def load(path: str | os.PathLike, **own: Any) -> MIRepresentationLearner:
    """Read a learner that `MIRepresentationLearner.save` has written.

    Nothing in the file is executed. A learner from a machine with a GPU gets ``device="auto"``
    where there is none. The optimiser's moments are not stored: ``partial_fit`` starts new ones.

    Parameters
    ----------
    path : path-like
    **own
        Parameters that were objects of your own, such as ``encoder=my_module``: their weights come
        from the file, their code from you.

    Returns
    -------
    learner : MIRepresentationLearner
        Fitted.

    Raises
    ------
    ValueError
        If the file is not one of ours or of a newer format, or an own object is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import sklearn_mi
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> learner = sklearn_mi.MIRepresentationLearner(3, max_steps=5, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "learner.safetensors")
    ...     learner.save(path)
    ...     again = sklearn_mi.load(path)
    >>> np.array_equal(again.transform(X), learner.transform(X))
    True
    """
    header, tensors = _read(path)
    params = {name: _from_json(name, value, own) for name, value in header["params"].items()}
    unknown = sorted(set(own) - set(params))
    if unknown:
        raise ValueError(f"{unknown} are no parameters of the learner; expected {sorted(params)}.")
    learner = MIRepresentationLearner(**{**params, **own})
    learner._restore(**_parts(header["fitted"], tensors), weights=tensors)
    fitted = header["fitted"]
    learner.n_features_in_, learner.n_iter_ = fitted["n_features_in_"], fitted["n_iter_"]
    if fitted["feature_names_in_"] is not None:
        learner.feature_names_in_ = np.array(fitted["feature_names_in_"], dtype=object)
    learner.mi_ = _estimate(fitted["mi_"])
    return learner


def _read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(os.fspath(path), framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{os.fspath(path)!r} is not a safetensors file: {error}") from error
    if text is None:
        raise ValueError(f"{os.fspath(path)!r} was not written by MIRepresentationLearner.save.")
    header = json.loads(text)
    if header["format"] > FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} was written by sklearn-mi {header['version']} in format "
            f"{header['format']}, but this is {__version__} with format {FORMAT}; upgrade."
        )
    return header, tensors


def _parts(fitted: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return what `MIRepresentationLearner._restore` is made from."""
    layouts = [
        None
        if layout is None
        else Layout(tuple(layout["source_shape"]), tuple(layout["row_shape"]), layout["is_table"])
        for layout in fitted["layouts"]
    ]
    scales = [
        None
        if layout is None
        else Scale(tensors[f"{name}.mean"].numpy(), tensors[f"{name}.scale"].numpy())
        for name, layout in zip(("scale", "scale_pair"), layouts, strict=True)
    ]
    prefix = "state."
    state = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    return {
        "seed": fitted["seed"],
        "choices": {name: Choice(*parts) for name, parts in fitted["choices"].items()},
        "history": fitted["history"],
        "layouts": layouts,
        "scales": scales,
        "state": state or None,
    }


def _estimate(fields: dict[str, Any]) -> MIEstimate:
    inner = fields["objective"]
    plain: dict[str, Any] = {**fields, "objective": inner and _estimate(inner)}
    # JSON knows no tuples.
    made: Any = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
    return MIEstimate(**made)
