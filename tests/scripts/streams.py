"""Train on an iterable by several processes: whole in each, in shares, or in wrong shares."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from sklearn_mi import MIRepresentationLearner

FOLDER, RANK = Path(sys.argv[-1]), int(os.environ.get("RANK", 0))
SIZE = int(os.environ.get("WORLD_SIZE", 1))
X = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)


class Rows(IterableDataset):
    """Some rows of X, one after the other."""

    def __init__(self, first, step):
        self.first, self.step = first, step

    def __iter__(self):
        return iter(X[self.first :: self.step])


class Seen(torch.nn.Linear):
    """An encoder that remembers the rows of its training."""

    rows = None

    def forward(self, x):
        if self.training and Seen.rows is not None:
            Seen.rows.append(x.detach().clone())
        return super().forward(x)


def untrained():
    torch.manual_seed(0)
    how = {"view": "same", "standardize": False, "batch_size": 24, "max_steps": 8, "lr": 0.05}
    how |= {"optimizer": "sgd", "encoder": Seen(6, 3), "encoder_y": "shared"}
    return MIRepresentationLearner(3, random_state=0, **how)


def resumed(data):
    """Train as far as a checkpoint, and go on from it."""
    how = {"validation_data": X[:20], "at": (3, 8), "checkpoint": FOLDER / "split.checkpoint"}
    for step in untrained().fit_iter(data, **how):
        # The checkpoint of step 3 is written once the loop goes on, and that of 8 never.
        if step == 8:
            break
    learner = untrained()
    told = list(learner.fit_iter(data, **how))
    return learner.transform(X), told


def train(data):
    learner = untrained()
    Seen.rows = []
    learner.fit(data, validation_data=X[:20])
    seen, Seen.rows = torch.cat([rows.flatten(1)[:, :6] for rows in Seen.rows]), None
    numbers = [int(np.abs(X - row).sum(1).argmin()) for row in seen.numpy()]
    return learner, numbers


def main():
    told = {}
    whole, told["whole"] = train(Rows(0, 1))
    np.save(FOLDER / f"whole-{SIZE}-{RANK}.npy", whole.transform(X))
    if SIZE > 1:
        split, told["split"] = train(Rows(RANK, SIZE))
        codes = split.transform(X)
        np.save(FOLDER / f"split-{RANK}.npy", codes)
        again, told["stops"] = resumed(Rows(RANK, SIZE))
        told["resumes"] = bool(np.array_equal(codes, again))
        if SIZE > 2:
            try:
                train(Rows(RANK // 2, 2))
            except ValueError as error:
                told["wrong"] = str(error)
    (FOLDER / f"streams-{SIZE}-{RANK}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
