"""Train each case and write weights and history, alone or by torchrun with several processes."""

import json
import os
import sys

import numpy as np
import torch

import sklearn_mi.processes as processes
from sklearn_mi import MIRepresentationLearner
from sklearn_mi.comparisons import LocalGlobal
from sklearn_mi.negatives import Queue

rng = np.random.default_rng(0)
TABLE = rng.normal(size=(70, 6)).astype(np.float32)
TABLE[:, 3:] += TABLE[:, :3]
IMAGES = rng.random((60, 8, 8)).astype(np.float32)
GROUPS = np.arange(70) % 7
PLAIN = {"view": "halves", "encoder": "mlp", "critic": "bilinear", "optimizer": "sgd", "lr": 0.05}
DIM = {"view": "same", "encoder": "lenet", "optimizer": "sgd"}
CASES = {
    "infonce": (TABLE, {**PLAIN, "objective": "infonce"}),
    "nwj": (TABLE, {**PLAIN, "objective": "nwj", "lr": 1e-3}),
    "js": (TABLE, {**PLAIN, "objective": "js"}),
    "donsker-varadhan": (TABLE, {**PLAIN, "objective": "donsker-varadhan"}),
    "infonce-symmetric": (TABLE, {**PLAIN, "objective": "infonce-symmetric"}),
    "siglip": (TABLE, {**PLAIN, "objective": "siglip"}),
    "vicreg": (TABLE, {**PLAIN, "objective": "vicreg", "lr": 1e-4}),
    "queue": (TABLE, {**PLAIN, "negatives": Queue(64, momentum=0.9), "encoder_y": "shared"}),
    "independent": (TABLE, {**PLAIN, "negatives": "independent"}),
    "other-groups": (TABLE, {**PLAIN, "negatives": "other-groups"}),
    "each-part": (TABLE, {**PLAIN, "critic": "split", "objective": "each-part"}),
    "parts": (TABLE, {**PLAIN, "critic": "split", "comparison": "each-part"}),
    "chunks": (TABLE, {**PLAIN, "chunk_size": 5}),
    "dim": (IMAGES, {**DIM, "comparison": LocalGlobal(), "lr": 2e-5}),
    "cpc": (IMAGES, {"comparison": "cpc", "optimizer": "sgd", "lr": 30.0}),
}  # fmt: skip


def train(name, **more):
    X, parameters = CASES[name]
    settings = {"n_components": 8, "batch_size": 25, "max_steps": 20, "random_state": 0}
    learner = MIRepresentationLearner(**{**settings, **parameters, **more})
    groups = GROUPS if name == "other-groups" else None
    learner.fit(X, groups=groups)
    weights = {
        key: value.double().numpy()
        for key, value in learner.net_.module_.state_dict().items()
        if not key.startswith(("state.", "scale"))
    }
    bounds = [row["train_bound"] for row in learner.history_]
    return {**weights, "train_bound": np.array(bounds), "mi": np.array([learner.mi_.value])}


if __name__ == "__main__":
    folder, names = sys.argv[1], sys.argv[2:] or list(CASES)
    rank = int(os.environ.get("RANK", 0))
    torch.use_deterministic_algorithms(True, warn_only=True)
    for name in names:
        np.savez(os.path.join(folder, f"{name}-{rank}.npz"), **train(name))
    if processes.dist.is_initialized():
        told = {"world": processes.dist.get_world_size()}
        with open(os.path.join(folder, f"world-{rank}.json"), "w") as file:
            json.dump(told, file)
