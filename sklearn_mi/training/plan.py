"""What a training is planned to be: how long, on how many rows, at which rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn_mi.recipe import Choice

__all__ = ["IDLE", "Plan"]


@dataclass(frozen=True)
class Plan:
    """How long to train on how many rows.

    Parameters
    ----------
    n_rows, batch_size, steps : int
    patience : int
        Passes without improvement before early stopping.
    lr, weight_decay : float
    optimizer : object
        A name or a class.
    schedule, precision : str
    half_size : float
        Share of the steps that see images at half of their size.
    choices : dict of Choice
        The open ones of these parameters, with the values that were picked.
    """

    n_rows: int
    batch_size: int
    steps: int
    patience: int
    lr: float
    weight_decay: float
    optimizer: Any
    schedule: str
    precision: str
    half_size: float
    choices: Mapping[str, Choice]


# The plan of a net that only holds a model.
IDLE = Plan(2, 2, 1, 1, 1e-3, 0.0, "adam", "constant", "float32", 0.0, choices={})
