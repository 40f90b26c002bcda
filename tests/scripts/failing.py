"""Let one of several processes fail in each way, and fit once more; write what was said."""

import json
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import GaussianNoise

FOLDER, RANK = Path(sys.argv[-1]), int(os.environ.get("RANK", 0))
X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)


class At(Callback):
    """Raise an error in a hook, once a number of steps is taken."""

    def __init__(self, hook, error, step):
        self.hook, self.error, self.step = hook, error, step

    def on_batch_end(self, net, **kwargs):
        self.look("batch", net)

    def on_epoch_end(self, net, **kwargs):
        self.look("epoch", net)

    def on_train_end(self, net, **kwargs):
        self.look("end", net)

    def look(self, hook, net):
        if hook == self.hook and net.steps_ >= self.step:
            raise self.error


class Tired(GaussianNoise):
    """A view that fails in its third step, where it is told to."""

    here, n_seen = False, 0

    def __call__(self, *args):
        Tired.n_seen += 1
        if Tired.here and Tired.n_seen > 2:
            raise RuntimeError("the view is tired")
        return super().__call__(*args)


class Stuck(torch.autograd.Function):
    """Nothing, whose gradient fails where it is told to."""

    here = False

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if Stuck.here:
            raise RuntimeError("no way back")
        return gradient


class OneWay(torch.nn.Linear):
    def forward(self, x):
        return Stuck.apply(super().forward(x))


def learner(**more):
    how = {"view": "noise", "batch_size": 32, "max_steps": 20, "random_state": 0}
    return MIRepresentationLearner(3, **{**how, **more})


def by_callback(hook, error, step):
    # All have the callback, one of them raises.
    return lambda me: learner(callbacks=[At(hook if me else "never", error, step)]).fit(X)


def to_a_file(me):
    path = FOLDER / f"file-{RANK}"
    path.write_text("")
    learner(checkpoint_dir=path if me else FOLDER / "good", checkpoint_every=5).fit(X)


def tired(me):
    Tired.here, Tired.n_seen = me, 0
    learner(view=Tired()).fit(X)


def stuck(me):
    Stuck.here = me
    learner(encoder=OneWay(5, 3)).fit(X)


def left(me):
    for step in learner().fit_iter(X, at=(5, 10)):
        if me and step == 5:
            raise ZeroDivisionError("of the loop")


# What fails, and on which process.
CASES = {
    "rows": (1, lambda me: learner().fit(X[:1] if me else X)),
    "parameter": (0, lambda me: learner(batch_size=-3 if me else 32).fit(X)),
    "device": (1, lambda me: learner(device="tpu" if me else "cpu").fit(X)),
    "encoder": (1, lambda me: learner(encoder=torch.nn.Linear(9 if me else 5, 3)).fit(X)),
    "batch": (1, by_callback("batch", ValueError("the callback says no"), 7)),
    "epoch": (0, by_callback("epoch", ValueError("two lines:\nof which the first"), 6)),
    "end": (1, by_callback("end", ValueError("at the end"), 0)),
    "interrupt": (1, by_callback("batch", KeyboardInterrupt(), 7)),
    "view": (1, tired),
    "backward": (1, stuck),
    "folder": (0, to_a_file),
    "loop": (1, left),
}  # fmt: skip


def main():
    warnings.simplefilter("ignore")
    expected, told = learner().fit(X).transform(X), {}
    for name, (rank, fail) in CASES.items():
        begun, said = time.monotonic(), "nothing"
        try:
            fail(rank == RANK)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - begun
        again = learner().fit(X).transform(X)
        told[name] = [said, seconds, bool(np.array_equal(again, expected))]
    (FOLDER / f"told-{RANK}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
