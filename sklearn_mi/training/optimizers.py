"""Optimisers and schedules of the learning rate, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from sklearn_mi._base import resolve
from sklearn_mi.training.muon import Muon

__all__ = ["OPTIMIZERS", "SCHEDULES", "optimizer_parameters"]


def _cosine(optimizer: torch.optim.Optimizer, steps: int, lr: float) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def _one_cycle(optimizer: torch.optim.Optimizer, steps: int, lr: float) -> Any:
    # One more than the number of steps: the scheduler's last call comes after the last step.
    rates = [group["lr"] for group in optimizer.param_groups]
    cycles = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps + 1, cycle_momentum=cycles
    )


def _linear(optimizer: torch.optim.Optimizer, steps: int, lr: float) -> Any:
    return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)


SCHEDULES: dict[str, Callable[..., Any]] = {
    "constant": lambda: None,
    "cosine": lambda: _cosine,
    "linear": lambda: _linear,
    "one-cycle": lambda: _one_cycle,
}
OPTIMIZERS: dict[str, Callable[[], dict[str, Any]]] = {
    "adam": lambda: {"optimizer": torch.optim.Adam, "optimizer__fused": True},
    "adamw": lambda: {"optimizer": torch.optim.AdamW, "optimizer__fused": True},
    "muon": lambda: {"optimizer": Muon},
    "sgd": lambda: {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__fused": True,
    },
}


def optimizer_parameters(value: Any) -> dict[str, Any]:
    """Return skorch's parameters for an optimiser, by name or by class.

    Raises
    ------
    ValueError, TypeError
        If it is neither, or LBFGS.
    """
    if isinstance(value, str):
        return resolve("optimizer", value, OPTIMIZERS)  # type: ignore[return-value]
    made = value.func if isinstance(value, partial) else value
    if made is torch.optim.LBFGS:
        raise ValueError(
            "optimizer=LBFGS evaluates a step several times, on other draws; use adam."
        )
    if isinstance(made, type) and issubclass(made, torch.optim.Optimizer):
        return {"optimizer": value}
    raise TypeError(
        f"optimizer={value!r}; expected one of {sorted(OPTIMIZERS)} or a class of torch.optim."
    )
