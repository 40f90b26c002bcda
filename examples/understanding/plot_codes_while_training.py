"""
Watching codes while they train
===============================

For anyone who wants to see a training work, or fail, before it ends. ``fit_iter`` stops at the
steps that you name, and the learner is fitted there: draw its codes, test them, save them. Codes of
two components need no reduction. An ``OnlineProbe`` scores them along the way.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.callbacks import OnlineProbe
from sklearn_mi.plots import EmbeddingDisplay, TrainingDisplay

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, random_state=0)

# %%
# Digits that the learner has not seen, at four stops. Training uses no label: those of the test
# rows colour the maps, and let the probe fit simple models to half of the rows and score the rest.

probe = OnlineProbe(X_test, y_test, every=10, probes=("knn",))
learner = MIRepresentationLearner(2, callbacks=[probe], random_state=0)
figure, axes = plt.subplots(2, 2, figsize=(7, 5.6), layout="constrained")
panels = dict(zip((0, 25, 100, 400), axes.flat, strict=True))
for step in learner.fit_iter(X_train, at=tuple(panels)):
    Z_test = learner.transform(X_test)
    display = EmbeddingDisplay.from_codes(Z_test, y_test, ax=panels[step])
    panels[step].set_title(f"step {step}", size=14)

# %%
# What training maximises, and beside it the accuracy of nearest neighbours.

display = TrainingDisplay.from_estimator(learner)

# %%
# Within one training the bound and the accuracy rise together, apart from dips. Two trainings must
# not be compared so: a larger bound of other settings is not a better feature.
