"""
A ladder of bounds, and which rung to report
============================================

For anyone who has to write down one number. `sklearn_mi.MIEstimator` gives a best guess, a lower
limit, which holds with 95 % confidence, and a table of bounds. The truth is known here: Student's
t in five and five columns, which are uncorrelated and dependent all the same.
"""

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import beyond_normal
from sklearn_mi.plots import BoundsDisplay, ConvergenceDisplay, PointwiseDisplay

pairs = beyond_normal()["student-identity-5-5-2"]
X, Y = pairs.sample(2000, random_state=0)
estimator = MIEstimator(n_folds=2, max_steps=200, split_test=False, random_state=0).fit(X, Y)
print(estimator.mi_)
print(f"truth: {pairs.true_mi:.3f} nats")

# %%
# Every rung with its interval. What is no bound may lie on either side of the truth.

display = BoundsDisplay.from_estimator(estimator, true_mi=pairs.true_mi)

# %%
# The number is a mean over rows, and few rows far to the right carry much of it.

display = PointwiseDisplay.from_estimator(estimator)

# %%
# The networks learn all that they can within a hundred steps, then begin to overfit; the weights at
# the point are kept. A loss that still falls at its end would ask for more ``max_steps``.

display = ConvergenceDisplay.from_estimator(estimator)

# %%
# Report the best guess with its interval, and the lower limit beside it. Here the interval holds
# the truth, and every lower bound is below it.
