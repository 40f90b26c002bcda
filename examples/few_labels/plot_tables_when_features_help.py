"""
Wine and breast cancer: when features help, and when not
========================================================

For whoever has a table of measurements and asks whether features are worth the while. The answer
depends on how many rows have a label, so the picture shows the gain over the raw columns.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_wine

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, differences, summarise

tables = {"wine": load_wine(), "breast cancer": load_breast_cancer()}

# %%
# The default features of a table are its scaled columns and a learned code beside them. Both
# contestants are read by logistic regression, in the same folds, from the same labelled rows.

gains = []
for name, data in tables.items():
    contestants = {
        "raw columns": None,
        "learned": MIRepresentationLearner(random_state=0),
    }
    table = compare(
        contestants,
        data.data,
        data.target,
        labels_per_class=(1, 5, 20, None),
        n_folds=4,
        n_draws=20,
        probes=("logistic",),
        scales=("column",),
    )
    means = summarise(table).pivot(index="name", columns="labels_per_class", values="mean")
    print(name, means.round(3).to_string(), sep="\n")
    gains.append(differences(table, "raw columns").assign(data=name))
gains = pd.concat(gains)

# %%
# The gain over the raw columns, with 95 % intervals over folds.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for (name, gain), colour, shift in zip(
    gains.groupby("data", sort=False), ("#D55E00", "#0072B2"), (-0.06, 0.06), strict=True
):
    places = [place + shift for place in range(len(gain))]
    errors = 100 * (gain["high"] - gain["mean"])
    ax.errorbar(places, 100 * gain["mean"], errors, fmt="o-", color=colour, capsize=3, label=name)
ax.axhline(0, color="0.3", lw=1)
ax.set_xticks(range(4), ["1", "5", "20", "all"])
ax.set(xlabel="labelled rows per class", ylabel="gain over raw columns, points")
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False)

# %%
# With one label a class the learned features gain several points on both tables. From twenty labels
# on no difference is beyond chance: with many labels the raw columns are as good.
