"""
Watching codes while they train
===============================

For anyone who wants to see a training work, or fail, before it ends. ``fit_iter`` stops at the
steps that you name, and the learner is fitted there: draw its codes, test them, save them. Codes of
two components need no reduction.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.plots import EmbeddingDisplay
from sklearn_mi.probes import knn_probe

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, random_state=0)

# %%
# Digits that the learner has not seen, at four stops. No label is used but for colours and for the
# accuracy of nearest neighbours.

learner = MIRepresentationLearner(2, random_state=0)
figure, axes = plt.subplots(2, 2, figsize=(7, 5.6), layout="constrained")
panels = dict(zip((0, 25, 100, 400), axes.flat, strict=True))
rows = []
for step in learner.fit_iter(X_train, at=(0, 10, 25, 50, 100, 200, 400)):
    Z_train, Z_test = learner.transform(X_train), learner.transform(X_test)
    accuracy = knn_probe(Z_train, y_train, Z_test, y_test)
    rows.append((step, learner.mi_.value, accuracy))
    if step in panels:
        display = EmbeddingDisplay.from_codes(Z_test, y_test, ax=panels[step])
        panels[step].set_title(f"step {step}", size=14)

# %%
# Beside the pictures, the held-out bound and the accuracy.

table = pd.DataFrame(rows, columns=["step", "InfoNCE, nats", "accuracy"])
print(table.round(3).to_string(index=False))

# %%
# Within one training the bound and the accuracy rise together, apart from a dip. Two trainings must
# not be compared so: a larger bound of other settings is not a better feature.
