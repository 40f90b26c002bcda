"""
How much a biopsy says about the diagnosis
==========================================

For anyone who asks how much measurements say about a class. `sklearn_mi.MIEstimator` answers in
nats, with an interval and a lower limit, for thirty columns of a breast biopsy together and for
single ones.
"""

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import entropy
from sklearn.datasets import load_breast_cancer

from sklearn_mi import MIEstimator

cancer = load_breast_cancer(as_frame=True)
X, diagnosis = cancer.data, cancer.target_names[cancer.target]

# %%
# All thirty columns at once. No measurement can say more than the entropy of the diagnosis, so the
# number has a scale: 0 is nothing, the entropy is certainty.

everything = MIEstimator(random_state=0).fit(X, diagnosis).mi_
print(everything)
most = entropy(pd.Series(diagnosis).value_counts())
print(f"at most {most:.3f} nats, of which the biopsy gives {everything.value / most:.0%}")

# %%
# Six columns, each by itself; "worst" is the mean of the three largest cells.
# ``split_test=False`` leaves out the test of independence, which takes a further fit.

rows = {"all thirty columns": everything}
for name in ("perimeter", "concave points", "concavity", "compactness", "texture", "symmetry"):
    estimator = MIEstimator(split_test=False, random_state=0)
    rows[f"worst {name}"] = estimator.fit(X[[f"worst {name}"]], diagnosis).mi_
table = pd.DataFrame(
    [(name, mi.value, *mi.interval, mi.lower_limit) for name, mi in rows.items()],
    columns=["columns", "nats", "low", "high", "lower limit"],
)
print(table.round(3).to_string(index=False))
single = table["nats"][1:]
print(f"sum of the single columns: {single.sum():.2f} nats")

# %%
# Bars are best guesses with 95 % intervals; a notch is the lower limit.

plt.rcParams["font.size"] = 12
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
colours = ["#D55E00"] + ["#0072B2"] * len(single)
errors = [table["nats"] - table["low"], table["high"] - table["nats"]]
ax.barh(table["columns"], table["nats"], xerr=errors, color=colours, capsize=4, height=0.7)
ax.plot(table["lower limit"], table["columns"], "|", color="white", ms=16, mew=2.5)
ax.axvline(most, color="0.3", ls="--", lw=1.5)
ax.text(most + 0.01, len(table) - 1, "certainty", rotation=90, va="bottom", color="0.3")
ax.invert_yaxis()
ax.set(xlabel="information about the diagnosis, nats", xlim=(0, 1.1 * most))
ax.spines[["top", "right"]].set_visible(False)

# %%
# The perimeter of the largest cells says most of what the whole biopsy says. Columns repeat each
# other: these six add up to more than certainty, so single numbers must not be added.
