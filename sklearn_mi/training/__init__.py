"""Training: the skorch net, its recorded step on a GPU, and checkpoints."""

from sklearn_mi.training.checkpoints import (
    Resumable,
    as_text,
    checkpoint_seed,
    hash_rows,
    load_checkpoint,
    save_checkpoint,
)
from sklearn_mi.training.net import MINet, NonFiniteLossError, train

__all__ = [
    "MINet",
    "NonFiniteLossError",
    "Resumable",
    "as_text",
    "checkpoint_seed",
    "hash_rows",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]
