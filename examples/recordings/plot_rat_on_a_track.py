"""
Where a rat is on its track, from spikes
========================================

For anyone with a recording in which what lasts matters, and what changes from one bin to the next
is noise. A view by `sklearn_mi.views.TimeLag` learns from the order of time alone; the position
serves only to test. Whole laps are held out.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.plots import EmbeddingDisplay
from sklearn_mi.views import TimeLag

# %%
# Forty laps of 160 cm in 80 bins. Forty place cells fire near a place of their own; twenty other
# cells do not care where the rat is. Each group is more or less excited from bin to bin.

rng = np.random.default_rng(0)
n_laps, n_bins = 40, 80
laps = np.repeat(np.arange(n_laps), n_bins)
steps = np.cumsum(rng.uniform(0.7, 1.3, (n_laps, n_bins)), axis=1)
position = (160 * steps / steps[:, -1:]).ravel()
excitement = np.exp(0.7 * rng.normal(size=(2, n_laps * n_bins, 1)))
tuning = 0.1 + 2 * np.exp(-0.5 * ((position[:, None] - np.linspace(0, 160, 40)) / 12) ** 2)
place_cells = rng.poisson(excitement[0] * tuning)
other_cells = rng.poisson(excitement[1] * rng.uniform(1, 4, 20))
spikes = np.sqrt(np.hstack([place_cells, other_cells]))  # the root makes variances alike

# %%
# Every training lap is a series of its own: ``groups`` keeps pairs within it. Position is decoded
# from the held-out laps' codes.

learner = MIRepresentationLearner(3, view=TimeLag(1, max_lag=5), random_state=0)
folds = list(GroupKFold(4).split(spikes, groups=laps))
rows = []
for train, test in folds:
    learner.fit(spikes[train], groups=laps[train])
    pca = PCA(3).fit(spikes[train])
    transforms = {
        "spikes of 60 cells": np.asarray,
        "PCA, 3 components": pca.transform,
        "TimeLag, 3 components": learner.transform,
    }
    features = {name: (f(spikes[train]), f(spikes[test])) for name, f in transforms.items()}
    for name, (Z_train, Z_test) in features.items():
        for decoder in (Ridge(), KNeighborsRegressor(15)):
            model = make_pipeline(StandardScaler(), decoder).fit(Z_train, position[train])
            error = np.median(np.abs(model.predict(Z_test) - position[test]))
            rows.append((name, type(decoder).__name__, error))
table = pd.DataFrame(rows, columns=["decoded from", "decoder", "median error, cm"])
errors = table.pivot_table(
    "median error, cm", "decoded from", "decoder", aggfunc=["mean", "std"], sort=False
)
print(errors.round(1))

# %%
# Held-out laps of the last fold in two dimensions, coloured by where the rat is.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, name in zip(axes, list(features)[1:], strict=True):
    display = EmbeddingDisplay.from_codes(features[name][1], position[test], ax=ax)
    display.colorbar_.set_label("position, cm")
    ax.set_title(name, size=14)

# %%
# The order of time unrolls the track, where PCA's largest direction is how excited the other cells
# are. A linear decoder errs least on the learned code; nearest neighbours do as well on PCA, and
# better on the spikes of all cells.
