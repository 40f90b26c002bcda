"""Training: the skorch net, the optimiser Muon, steps recorded on a GPU, and checkpoints."""

from sklearn_mi.training.checkpoints import (
    Resumable,
    as_text,
    checkpoint_seed,
    hash_rows,
    load_checkpoint,
    save_checkpoint,
)
from sklearn_mi.training.keeping import Keeper, every, until_told_to_end
from sklearn_mi.training.muon import Muon, orthogonalised
from sklearn_mi.training.net import MINet, NonFiniteLossError, train
from sklearn_mi.training.optimizers import SCHEDULES, optimizer_parameters
from sklearn_mi.training.plan import IDLE, Plan

__all__ = [
    "IDLE",
    "SCHEDULES",
    "Keeper",
    "MINet",
    "Muon",
    "NonFiniteLossError",
    "Plan",
    "Resumable",
    "as_text",
    "checkpoint_seed",
    "every",
    "hash_rows",
    "load_checkpoint",
    "optimizer_parameters",
    "orthogonalised",
    "save_checkpoint",
    "train",
    "until_told_to_end",
]
