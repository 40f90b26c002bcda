"""
A grid of your own, on your own data
====================================

`sklearn_mi.study.run_study` trains every learner on every data set with every seed, stops along
the way to measure, and gives one table. Here the data are scikit-learn's digits, the encoder is a
network of our own, and the question is whether a larger critic, which the bound likes, gives better
features.
"""

# sphinx_gallery_thumbnail_number = 1
import tempfile

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import linear_probe
from sklearn_mi.plots import StudyDisplay
from sklearn_mi.study import Split, expand, run_study

# %%
# The grid. A folder of your choice keeps rows and checkpoints: run the same line again after a
# kill, and it goes on where it was; add seeds, and only these are computed.

digits = Split(*train_test_split(*load_digits(return_X_y=True), random_state=0))
encoder = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 16))
learners = expand(
    MIRepresentationLearner(encoder=encoder), {"critic": ["cauchy", "bilinear", "separable"]}
)
table = run_study(
    learners, {"digits": digits}, seeds=range(3), at=(0, 50, 100, 200), progress=False,
    folder=tempfile.mkdtemp(), probes={"accuracy": linear_probe},
)  # fmt: skip

# %%
# One row is one evaluation: parameters, seed, step, every bound on training rows and on untouched
# ones, every probe, seconds, versions.

table[["critic", "seed", "step", "infonce_train", "infonce_test", "accuracy"]].tail()

# %%
# A line a critic, a band of one standard deviation over the seeds. The bound and the accuracy need
# not agree on which critic is best.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
StudyDisplay.from_table(table, "infonce_test", by="critic", ax=axes[0])
StudyDisplay.from_table(table, "accuracy", by="critic", ax=axes[1])
