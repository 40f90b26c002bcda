"""Kill one of several processes in the middle of training; the others write what they say."""

import json
import os
import signal
import sys
import warnings

import numpy as np
from skorch.callbacks import Callback

from sklearn_mi import MIRepresentationLearner

X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)


class Killer(Callback):
    def on_batch_end(self, net, **kwargs):
        if os.environ["RANK"] == sys.argv[2] and net.steps_ == 5:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        how = {"view": "noise", "batch_size": 32, "max_steps": 20, "random_state": 0}
        MIRepresentationLearner(3, callbacks=[Killer()], **how).fit(X)
        said = "nothing"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    with open(f"{sys.argv[1]}/said-{os.environ['RANK']}.json", "w") as file:
        json.dump(said, file)
