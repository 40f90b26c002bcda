"""
A number in nats, and what limits it
====================================

`sklearn_mi.MIEstimator` gives a best guess, a limit that the information does not fall below, and a
table of bounds. Here the truth is known, 0.448 nats: Student's t in five and five columns, which
are uncorrelated and dependent all the same.
"""

# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import pandas as pd

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import beyond_normal, gaussian_staircase
from sklearn_mi.plots import (
    BoundsDisplay,
    ConvergenceDisplay,
    PointwiseDisplay,
    StaircaseDisplay,
)

pairs = beyond_normal()["student-identity-5-5-2"]
X, Y = pairs.sample(2000, random_state=0)
estimator = MIEstimator(n_folds=2, max_steps=400, random_state=0).fit(X, Y)
print(estimator.mi_)

# %%
# The ladder. Blue: bounds from below, and the line of the lower limit; grey: no bounds. Numbers
# without a ceiling need not be near the truth: `nwj` and `donsker-varadhan` rest on the few
# unrelated pairs with the largest scores.

BoundsDisplay.from_estimator(estimator, true_mi=pairs.true_mi)

# %%
# The number is a mean over rows. Few rows far to the right carry much of it. The networks' loss on
# rows that they stop by says whether they were given enough steps.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
PointwiseDisplay.from_estimator(estimator, ax=axes[0])
ConvergenceDisplay.from_estimator(estimator, ax=axes[1])

# %%
# The staircase: Gaussians in 20 and 20 columns, 2 to 10 nats, 2,000 rows. InfoNCE cannot exceed the
# logarithm of its number of candidates, here 400 in a fold; a copula's own information can.

rows = []
for step in gaussian_staircase():
    fitted = MIEstimator("copula", copulas=("gaussian",), random_state=0).fit(*step.sample(2000, 0))
    guess, nce = fitted.mi_, fitted.bounds_.loc["infonce"]
    low, high = guess.interval
    rows.append(("best guess", step.true_mi, guess.value, low, high))
    rows.append(("InfoNCE", step.true_mi, nce["value"], nce["low"], nce["high"]))
table = pd.DataFrame(rows, columns=["name", "true_mi", "value", "low", "high"])
StaircaseDisplay.from_table(table, ceiling=float(nce["ceiling"]))
