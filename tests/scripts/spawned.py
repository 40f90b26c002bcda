"""Train by processes that begin their group themselves, one slow, and alone in what they fork."""

import sys
import time
import warnings

import joblib
import numpy as np
import torch.multiprocessing as mp
from skorch.callbacks import Callback
from torch import distributed as dist

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.processes import join

X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)


class Slow(Callback):
    """Sleep longer than others wait before they look."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_begin(self, net, **kwargs):
        time.sleep(self.seconds)

    def on_batch_end(self, net, **kwargs):
        time.sleep(self.seconds * (net.steps_ in (3, 7)))


def train(seed=0, **more):
    how = {"view": "halves", "encoder": "mlp", "batch_size": 32, "max_steps": 20}
    return MIRepresentationLearner(3, random_state=seed, **how, **more).fit(X).transform(X)


def size_and_codes(seed):
    return join("auto").size, train(seed)


def work(rank, folder):
    warnings.simplefilter("ignore")
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    told = {"size": join("auto").size, "codes": train()}
    told["slow"] = train(callbacks=[Slow(2.5 * rank)])
    # Other seeds: processes that train together would refuse them.
    with joblib.parallel_config("multiprocessing"):
        parts = joblib.Parallel(2)(joblib.delayed(size_and_codes)(rank) for _ in range(2))
    told["forked_size"], told["forked"] = zip(*parts, strict=True)
    np.savez(f"{folder}/{rank}.npz", **told)
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(work, args=(sys.argv[1],), nprocs=2)
