"""
No bound can pass its ceiling
=============================

For anyone who reads a bound as if it were the information. Gaussians in 20 and 20 columns have 2 to
10 nats, and 2,000 rows are drawn. A bound that picks a partner among K candidates cannot say more
than its ceiling: log K for InfoNCE.
"""

import pandas as pd

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import gaussian_staircase
from sklearn_mi.plots import StaircaseDisplay

# %%
# Two folds leave 1,000 candidates. The copula's own information, the best guess here, has no
# ceiling; it is right because these rows are Gaussian.

rows = []
for step in gaussian_staircase():
    estimator = MIEstimator(
        "copula", copulas=("gaussian",), n_folds=2, split_test=False, random_state=0
    )
    X, Y = step.sample(2000, random_state=0)
    mi, bounds = estimator.fit(X, Y).mi_, estimator.bounds_
    rows.append(("best guess", step.true_mi, mi.value, *mi.interval))
    for name in ("interpolated", "infonce"):
        rows.append((name, step.true_mi, *bounds.loc[name, ["value", "low", "high"]]))
table = pd.DataFrame(rows, columns=["name", "true_mi", "value", "low", "high"])
print(table.pivot(index="true_mi", columns="name", values="value").astype(float).round(2))
print(bounds.loc[["infonce", "interpolated"], ["status", "ceiling", "n_candidates"]])

# %%
# InfoNCE bends away from the truth long before its ceiling. The interpolated bound has a higher
# one, and follows further.

display = StaircaseDisplay.from_table(table, ceiling=bounds.loc["infonce", "ceiling"])

# %%
# The estimator warns of a value that is near its ceiling.

print(*mi.warnings, sep="\n")

# %%
# Near its ceiling a bound means "at least that much". Then choose one with a higher ceiling, or
# report the best guess, and say what it assumes.
