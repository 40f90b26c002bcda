"""
Where an animal is, from a code of every step
=============================================

For anyone with long recordings of many channels, and something to decode at every step. Sixty place
cells fire seldom, so one step says little about the position; twenty other cells fire more, and
follow an excitement that comes and goes. `sklearn_mi.views.TimeLag` with a ``window`` sees each
step with those before it, and learns what lasts. The position serves only to test, on a recording
that was not seen.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_place_cells, windows
from sklearn_mi.plots import EmbeddingDisplay
from sklearn_mi.views import TimeLag

place_cells, position, recording = make_place_cells(random_state=0)
rng = np.random.default_rng(0)
excitement = np.exp(rng.normal(size=(len(position), 1)))
other_cells = rng.poisson(excitement * rng.uniform(0.1, 0.5, 20))
spikes = np.sqrt(np.hstack([place_cells, other_cells]))  # the root makes variances alike
seen = recording < 2
print(
    spikes.shape, "steps and cells;", f"{place_cells.mean():.2f} spikes of a place cell in a step"
)

# %%
# Eight numbers a step, from the step alone or from it and the nine before. ``groups`` keeps pairs
# and windows within a recording.

WINDOW = 10


def with_past(X):
    """Return each step beside those before it; before the first one stands the first one."""
    X = np.concatenate([np.repeat(X[:1], WINDOW - 1, axis=0), X])
    return windows(X, WINDOW).windows.reshape(-1, WINDOW * X.shape[1])


def time_lag(window):
    view = TimeLag(1, max_lag=10, window=window)
    return MIRepresentationLearner(8, view=view, max_steps=300, random_state=0)


contestants = {
    "PCA of a step": make_pipeline(StandardScaler(), PCA(8)),
    "PCA of a window": make_pipeline(
        StandardScaler(), FunctionTransformer(with_past), PCA(8, random_state=0)
    ),
    "TimeLag of a step": time_lag(1),
    "TimeLag of a window": time_lag(WINDOW),
}
codes = {}
for name, transformer in contestants.items():
    given = {"groups": recording[seen]} if name.startswith("TimeLag") else {}
    transformer.fit(spikes[seen], **given)
    codes[name] = [transformer.transform(spikes[part]) for part in (seen, ~seen)]

# %%
# Position in the third recording, decoded by ridge regression and by nearest neighbours: the share
# of its variance that is explained, R².

decoders = {"ridge": RidgeCV(np.logspace(-3, 5, 9)), "neighbours": KNeighborsRegressor(20)}
rows, decoded = [], {}
for name, (Z, Z_new) in codes.items():
    for which, decoder in decoders.items():
        model = make_pipeline(StandardScaler(), decoder).fit(Z, position[seen])
        rows.append((name, which, model.score(Z_new, position[~seen])))
        decoded[name, which] = model.predict(Z_new)
found = pd.DataFrame(rows, columns=["codes", "decoder", "R2"])
print(found.pivot(index="codes", columns="decoder", values="R2").loc[list(codes)].round(2))

# %%
# The unseen recording: its codes in two dimensions, coloured by the position, and the position that
# ridge regression decodes in the first 800 steps.

figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained", width_ratios=(1, 1.6))
for (ax, line), name in zip(axes, ("PCA of a window", "TimeLag of a window"), strict=True):
    display = EmbeddingDisplay.from_codes(codes[name][1], position[~seen], ax=ax)
    display.colorbar_.set_label("position")
    ax.set_title(name, size=12)
    line.plot(decoded[name, "ridge"][:800], color="#D55E00", lw=1, label="decoded")
    line.plot(position[~seen][:800], color="0.2", lw=1.5, label="true")
    line.set(ylabel="position", ylim=(-0.15, 1.15))
    line.spines[["top", "right"]].set_visible(False)
axes[1, 1].set_xlabel("step")
_ = axes[0, 1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

# %%
# A window says far more than a step, to both methods. From windows, neighbours decode as well by
# PCA as by TimeLag. A linear decoder does better on TimeLag: half of its code is linear, as PCA is,
# and the other half unrolls the track (`sklearn_mi.encoders.Joined`).
