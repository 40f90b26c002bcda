"""
A fit that is killed goes on where it was
=========================================

For anyone whose job may be ended by a crash, a time limit or a power cut. With ``checkpoint_dir`` a
fit writes its whole state now and then; the same call, made again, goes on from there. Here a fit
is cut twice, in the middle of a pass, and ends with the weights of a fit that was left alone.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sklearn_mi import MIRepresentationLearner

X, _ = load_digits(return_X_y=True)


class Cut(Callback):
    """Stand for a kill: end the process's work at some step."""

    def __init__(self, at):
        self.at, self.step = at, 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.step += training
        if self.step == self.at:
            raise RuntimeError("killed")


# %%
# ``Cut`` counts the steps of its own run alone. Each run begins with the checkpoint before the cut:
# steps since then are taken again.

parameters = {"n_components": 16, "max_steps": 300, "random_state": 0, "n_threads": 1}
whole = MIRepresentationLearner(callbacks=[Cut(10**9)], **parameters).fit(X)

with tempfile.TemporaryDirectory() as folder:
    kept = {"checkpoint_dir": folder, "checkpoint_every": 25, **parameters}
    ends = []
    for at in (115, 90, 10**9):
        learner = MIRepresentationLearner(callbacks=[Cut(at)], **kept)
        try:
            learner.fit(X)
        except RuntimeError:
            ends.append(at)
print("cut after", " and ".join(map(str, ends)), "steps of a run")
print("equal codes:", np.array_equal(whole.transform(X), learner.transform(X)))

# %%
# What training maximised, pass by pass, left alone and cut: one curve lies on the other. Lines
# stand where the runs were cut.


def curve(fitted):
    """Return the steps at the ends of passes, and the bound of each."""
    records = fitted.history_
    steps = np.cumsum([record["steps"] for record in records])
    return steps, [record["train_bound"] for record in records]


cuts = [115, 100 + 90]
plt.rcParams["font.size"] = 13
figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
ax.plot(*curve(whole), color="#999999", lw=7, label="left alone")
ax.plot(*curve(learner), color="#0072B2", lw=2, label="cut twice")
for cut in cuts:
    ax.axvline(cut, color="#D55E00", lw=1.5, ls=":")
ax.annotate("killed", (cuts[0], ax.get_ylim()[0]), (-6, 8), textcoords="offset points", ha="right")
ax.set(xlabel="step", ylabel="bound in training, nats")
ax.spines[["top", "right"]].set_visible(False)
legend = ax.legend(frameon=False, loc="lower right")
