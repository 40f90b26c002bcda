"""One plain module that does what a learner's ``transform`` does, for `torch.export` and ONNX."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mi._base import Shape
from sklearn_mi.model import PairModel
from sklearn_mi.rows import FrontLayer, Recording, Schema, hide_lacking, tables_in
from sklearn_mi.sides import output_of, output_with_gaps

__all__ = ["TransformModule", "exported"]

BATCH = 3


class _Held(nn.Module):
    """Tensors of a view or a front end: buffers, but numpy arrays of what may decide shapes."""

    def __init__(self, state: dict[str, Tensor] | None, *, integers_are_fixed: bool) -> None:
        super().__init__()
        self.names, self.fixed = {}, {}
        for i, (name, tensor) in enumerate((state or {}).items()):
            if integers_are_fixed and not tensor.is_floating_point():
                self.fixed[name] = tensor.cpu().numpy()
            else:
                # A name of a buffer must have no dot.
                self.names[name] = f"tensor{i}"
                self.register_buffer(self.names[name], tensor.detach().cpu().clone())

    def forward(self) -> dict[str, Any] | None:
        """Return the state as it came."""
        return {**{k: getattr(self, v) for k, v in self.names.items()}, **self.fixed} or None


class _Front(nn.Module):
    """A first layer with a front end, whose integers are constants of the program."""

    def __init__(self, layer: FrontLayer) -> None:
        super().__init__()
        self.first, self.last = copy.deepcopy((layer.first, layer.last))
        self.front_end = copy.deepcopy(layer.front_end)
        self.state = _Held(layer.state, integers_are_fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.front_end(self.first(x), self.state() or {}))


class TransformModule(nn.Module):
    """Give the codes of rows, as ``transform`` of a fitted learner does.

    Scaling, front end and view are buffers; the weights of the encoders are parameters. All are
    copies, on the CPU and in evaluation mode.

    Parameters
    ----------
    model : PairModel
    schema : Schema
        Of the first table.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of a row.
    """

    def __init__(self, model: PairModel, schema: Schema) -> None:
        super().__init__()
        kind = schema.kind
        layer, self.output = model.scale, model.recipe.output
        self.scale = _Front(layer) if isinstance(layer, FrontLayer) else copy.deepcopy(layer)
        first = None if self.output == "second" else model.encoder
        second = model.encoder_y if self.output in ("second", "both") else None
        # Together, so that shared weights stay shared.
        self.encoder, self.encoder_y = copy.deepcopy((first, second))
        self.view = copy.deepcopy(model.view)
        self.state = _Held(model.state.tensors(), integers_are_fixed=False)
        self.input_shape: Shape = kind.source_shape
        self._row_shape: tuple[int | None, ...] = kind.row_shape
        self._shapes, self._widths = model.shapes, model.widths
        # Which numbers belong to each table that a row may lack.
        self._tables: list[np.ndarray] = []
        if len(kind.source_shape) == 1 and not isinstance(kind, Recording):
            self._tables = tables_in(schema, kind.n_inputs) or []
        self._is_recording = isinstance(kind, Recording)
        if isinstance(kind, Recording):
            n_steps = model.view.window if len(kind.source_shape) == 1 else kind.source_shape[0]
            self.input_shape = n_steps, kind.n_channels + 1
        self.cpu().eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of a batch of rows.

        Parameters
        ----------
        x : Tensor of shape (b, *input_shape)

        Returns
        -------
        codes : Tensor of shape (b, width)
            In float32.

        Raises
        ------
        TypeError
            If x is no tensor.
        ValueError
            If its rows have another shape; recordings may have another number of steps.
        """
        self._check(x)
        rows = self.scale(x)
        # Scaling flattens rows of tables and images.
        rows = rows.reshape(-1, *self._row_shape) if rows.ndim == 2 else rows
        parts: Any = self.output, self.view, self.state(), self.encoder, self.encoder_y
        if not self._tables:
            return output_of(rows, *parts)
        rows = hide_lacking(rows, x, self._tables)
        return output_with_gaps(rows, *parts, shapes=self._shapes, widths=self._widths)

    def _check(self, x: Any) -> None:
        """Refuse what is no batch of such rows."""
        if not isinstance(x, Tensor):
            raise TypeError(
                f"x is a {type(x).__name__}; expected a Tensor: pass torch.as_tensor(x)."
            )
        first = 1 if self._is_recording else 0
        if x.ndim != 1 + len(self.input_shape) or x.shape[1 + first :] != self.input_shape[first:]:
            expected = ", ".join(["b", *map(str, self.input_shape)])
            raise ValueError(f"x has shape {tuple(x.shape)}; expected ({expected}), as in fit.")


def exported(model: PairModel, schema: Schema, *, check: bool = True) -> TransformModule:
    """Return one module that equals ``transform``, and may be exported.

    Parameters
    ----------
    model : PairModel
    schema : Schema
        Of the first table.
    check : bool, default=True
        Whether to try `torch.export.export` with a batch of any size.

    Returns
    -------
    module : TransformModule

    Raises
    ------
    ValueError
        If ``fit`` was given confounds. If `torch.export.export` refuses the module; the message
        names encoder, view and front end.
    """
    if len(model.confounds):
        raise ValueError(
            "export takes no learner that was given confounds, since its module takes rows alone; "
            "take their linear part out before fit, as by LinearRegression, and fit without them."
        )
    module = TransformModule(model, schema)
    if check:
        _check(module, model)
    return module


def _check(module: TransformModule, model: PairModel) -> None:
    """Refuse what `torch.export.export` does not take."""
    rows = torch.zeros(BATCH, *module.input_shape)
    sizes = ({0: torch.export.Dim.DYNAMIC},)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.export(module, (rows,), dynamic_shapes=sizes)
    except Exception as error:
        parts = ", ".join(
            f"{name}={getattr(model.recipe, name)!r}" for name in ("encoder", "view", "front_end")
        )
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"torch.export takes no learner with {parts} ({type(error).__name__}: {reason}); "
            "expected parts whose operations do not depend on the values or the number of rows: "
            "take others, or export(check=False) for a module that runs in Python alone."
        ) from error
