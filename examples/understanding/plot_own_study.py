"""
A grid over your own data and encoder
=====================================

For anyone who compares settings with several seeds. `sklearn_mi.study.run_study` trains every
learner on every data set with every seed, stops along the way to measure, and gives one table. The
question here is whether a larger critic, which the bound likes, gives better features of digits.
"""

import tempfile

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.plots import StudyDisplay
from sklearn_mi.probes import linear_probe
from sklearn_mi.study import Split, expand, run_study

# %%
# A folder of your choice keeps rows and checkpoints: run the same lines again after a kill, and the
# study goes on where it was; add seeds, and only these are computed.


def tanh_network(input_shape, n_components):
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n_components))


digits = Split(*train_test_split(*load_digits(return_X_y=True), random_state=0))
learners = expand(
    MIRepresentationLearner(16, encoder=tanh_network),
    {"critic": ["cauchy", "bilinear", "separable"]},
)
table = run_study(
    learners,
    {"digits": digits},
    seeds=range(3),
    at=(0, 25, 50, 100, 200),
    folder=tempfile.mkdtemp(),
    probes={"accuracy": linear_probe},
    progress=False,
)

# %%
# One row is one evaluation: parameters, seed, step, every bound on training rows and on untouched
# ones, every probe. Here the mean over seeds, and their standard deviation, at the last step.

last = table[table["step"] == 200].groupby("critic", sort=False)
print(last[["infonce_train", "infonce_test", "accuracy"]].agg(["mean", "std"]).round(3).T)

# %%
# A line for each critic, a band of one standard deviation over the seeds.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
display = StudyDisplay.from_table(table, "infonce_test", by="critic", ax=axes[0])
axes[0].set_ylabel("held-out InfoNCE, nats")
display = StudyDisplay.from_table(table, "accuracy", by="critic", ax=axes[1])
labels = axes[1].set_ylabel("accuracy, all labels")

# %%
# The separable critic has the largest bound by far, the Cauchy critic the smallest. In accuracy the
# Cauchy critic is ahead, by more than a standard deviation over three seeds.
