"""How the learner is saved, pickled, and restored."""

from __future__ import annotations

import copy
import copyreg
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_mi.persistence import (
    RESTORED,
    Contents,
    damage_is_told,
    from_bytes,
    read_estimate,
    rebuild,
    to_bytes,
    write_file,
)
from sklearn_mi.preparation import make_net
from sklearn_mi.recipe import Choice

if TYPE_CHECKING:
    from sklearn_mi.model import PairModel
    from sklearn_mi.rows import Schema

__all__ = ["Stored"]


class Stored(BaseEstimator):
    """Methods of the learner that write it, and that take over what was written."""

    _model: PairModel
    _schemas: tuple[Schema, Schema | None]
    _settings: dict[str, Any]
    history_: Any
    net_: Any

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted learner to one safetensors file, without pickle.

        Parameters
        ----------
        path : path-like
            `sklearn_mi.load` reads it. Of several processes that train one model, the first writes.

        Raises
        ------
        ValueError
            If a parameter cannot be stored, such as a callable or a callback; the message names
            it.
        OSError
            If the folder is not there or cannot be written, or the path is a folder.
        """
        check_is_fitted(self)
        self._validate_params()
        if not self.net_.writes_files:
            return
        model = self._model
        # A folder of this machine is of no use on another one.
        params = {**self.get_params(deep=False), "checkpoint_dir": None}
        write_file(path, params, model, self._schemas, self._facts())

    def _facts(self) -> dict[str, Any]:
        """Return what a file holds besides parameters and model."""
        return {
            "n_features_in_": self.n_features_in_,
            "n_iter_": self.n_iter_,
            "seed": self._seed,
            "training_choices": {n: [c.value, c.reason] for n, c in self._training_choices.items()},
            "mi_": dataclasses.asdict(self.mi_),
            "history": list(self.history_),
        }

    # Pickling: a new net is built around the trained module, so a file holds the weights once, no
    # optimiser, and nothing that belongs to a GPU. pickle and copy ask `__reduce_ex__`; skops,
    # which knows no tensors, asks `__getstate__`.

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[arg-type]
        net = state.pop("net_", None)
        if net is not None:
            module = net.model
            if net.device != "cpu":
                module = copy.deepcopy(module).cpu()
            state["_trained"] = (module, list(net.history))
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[arg-type]
        if hasattr(self, "net_"):
            content = to_bytes(self._model, self._schemas, self._facts(), self._settings)
            state = {name: state[name] for name in state if name not in RESTORED}
            state["_saved"] = content
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        trained, saved = state.pop("_trained", None), state.pop("_saved", None)
        super().__setstate__(state)
        if trained is not None:
            self._use_what_is_here()
            self.net_ = make_net(self._settings, trained[0], history=trained[1])
        if saved is not None:
            with damage_is_told("The stored learner"):
                self._restore(from_bytes(saved, self._settings))

    def _restore(self, contents: Contents) -> None:
        """Take over the fitted state that a file holds; used by `load`."""
        self._use_what_is_here()
        facts = contents.facts
        self._seed, self.n_iter_ = facts["seed"], facts["n_iter_"]
        self.n_features_in_ = facts["n_features_in_"]
        names = contents.schemas[0].feature_names
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self._training_choices = {n: Choice(*c) for n, c in facts["training_choices"].items()}
        self._schemas, self._namespace = contents.schemas, np.empty(0)
        self.mi_ = read_estimate(facts["mi_"])
        model = rebuild(contents, self._seed)
        self.net_ = make_net(self._settings, model, history=facts["history"])

    def _use_what_is_here(self) -> None:
        """Let a learner from a machine with a GPU work on one without."""
        if str(self.device).startswith("cuda") and not torch.cuda.is_available():
            self.device = "auto"
