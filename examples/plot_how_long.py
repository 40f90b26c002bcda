"""
How long to train
=================

A default fit is as long as the accuracy needs. ``effort="quick"`` takes half of the steps and
``"thorough"`` three times as many; ``max_steps`` sets them by hand. Here digits are learned without
labels for several lengths, by Muon, the default, and by Adam at its own rate. Then five rows of
each class get a label.
"""

# sphinx_gallery_thumbnail_number = 1
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, random_state=0)

# %%
# Accuracy with five labels a class, the mean over 20 draws of which rows get them.


def accuracy_with_few_labels(learner):
    Z_train, Z_test = learner.transform(X_train), learner.transform(X_test)
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        few = np.concatenate(
            [rng.choice(np.flatnonzero(y_train == c), 5, False) for c in range(10)]
        )
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        found.append(classifier.fit(Z_train[few], y_train[few]).score(Z_test, y_test))
    return np.mean(found)


# The first fit of a process loads what all of them need.
MIRepresentationLearner(max_steps=1).fit(X_train)
rows = []
for optimizer in ("muon", "adam"):
    for steps in (50, 100, 200, 400):
        learner = MIRepresentationLearner(optimizer=optimizer, max_steps=steps, random_state=0)
        start = time.process_time()
        learner.fit(X_train)
        seconds = time.process_time() - start
        rows.append((optimizer, steps, seconds, accuracy_with_few_labels(learner)))
table = pd.DataFrame(rows, columns=["optimizer", "steps", "CPU seconds", "accuracy"]).round(3)
print(table)

# %%
# What was picked says how long a default fit would be, and why; here half of it.

learner = MIRepresentationLearner(effort="quick", random_state=0).fit(X_train)
print(learner.choices_["max_steps"])

# %%
# Muon gets to an accuracy in fewer seconds: it moves all directions of a matrix of weights, where a
# gradient moves few of them.

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for optimizer, mine in table.groupby("optimizer", sort=False):
    ax.plot(mine["CPU seconds"], mine["accuracy"], "o-", label=optimizer.capitalize())
ax.set(xlabel="CPU seconds of fit", ylabel="accuracy, 5 labels a class", xlim=(0, None))
ax.legend(frameon=False)
