"""
Two independent random walks: why blocks
========================================

For anyone with two recordings or two time series. Slow series look related when they are not: a
test that takes their rows as independent finds information between strangers. Blocks of rows are
the cure, here in `sklearn_mi.information.mutual_info_lags`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.signal import lfilter

from sklearn_mi.information import mutual_info_lags

rng, n = np.random.default_rng(0), 500


def slow(memory, n_series=1):
    noise = rng.normal(size=(n_series, n + 500))
    return lfilter([1], [1, -memory], noise)[:, 500:]


# %%
# Pairs of independent series with more and more memory: each value is the one before, times the
# memory, plus noise. At 1 they are random walks. How many of the pairs look dependent, p < 0.05?
# It should be one in twenty.

lags, found = [-150, -75, 0, 75, 150], []
for memory in (0, 0.9, 0.97, 1):
    for name, blocks in {"rows taken as independent": None, "blocks": "auto"}.items():
        pairs = [slow(memory, 2) for _ in range(5)]
        tables = [mutual_info_lags(x, y, lags, blocks=blocks, random_state=0) for x, y in pairs]
        share = (pd.concat(tables)["p_value"] < 0.05).mean()
        found.append((memory, name, share))
found = pd.DataFrame(found, columns=["memory", "rows", "share"])
found = found.pivot(index="memory", columns="rows", values="share").iloc[:, ::-1]
print(found.round(2))

# %%
# A third series does depend on the first: it follows 12 rows later. A curve over lags shows when.

x, other, stranger = slow(0.9, 3)
follower = np.roll(x, 12) + other
curves = {
    "a stranger": mutual_info_lags(x, stranger, range(-40, 41, 4), random_state=0),
    "a follower, 12 rows later": mutual_info_lags(x, follower, range(-40, 41, 4), random_state=0),
}
naive = mutual_info_lags(x, stranger, [0], blocks=None, random_state=0)["null_high"].item()

# %%
# Left: false alarms grow with memory, unless blocks are used. Right: values above the band are
# more than independent series with this memory would give. The dotted line is the band that takes
# rows as independent.

plt.rcParams["font.size"] = 12
figure, (left, *right) = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
place = np.arange(len(found))
for shift, (name, shares), colour in zip(
    (-0.2, 0.2), found.items(), ("#D55E00", "#0072B2"), strict=True
):
    left.bar(place + shift, shares, 0.4, color=colour, label=name)
left.axhline(0.05, color="0.2", ls="--", lw=1.5)
left.set(xlabel="memory", ylabel="share of p < 0.05", ylim=(0, 1.3))
left.set_xticks(place, found.index)
left.set_yticks([0, 0.5, 1])
left.legend(frameon=False, loc="upper left")
for ax, (name, curve) in zip(right, curves.items(), strict=True):
    ax.fill_between(curve.index, 0, curve["null_high"], color="0.85", label="no dependence")
    ax.plot(curve.index, curve["value"], color="#0072B2", lw=2)
    ax.axhline(naive, color="0.3", ls=":", lw=1.5)
    ax.set(xlabel="lag, rows", title=name, ylim=(-0.02, 0.4))
right[0].set_ylabel("nats")
right[0].legend(frameon=False, loc="upper left")
for ax in (left, *right):
    ax.spines[["top", "right"]].set_visible(False)

# %%
# Blocks cannot give back what memory takes: a random walk of 500 rows says as much as a handful of
# independent ones. Differences of its rows are independent, so information between walks is best
# asked of their differences. `sklearn_mi.MIEstimator` takes ``blocks="auto"`` in ``fit``.
