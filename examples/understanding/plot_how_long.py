"""
How long to train
=================

For anyone who wonders whether a longer fit pays. A default fit is as long as the accuracy needs;
``effort="quick"`` takes half of the steps, ``"thorough"`` three times as many, and ``max_steps``
sets them by hand.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.probes import linear_probe

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, random_state=0)

# %%
# Digits are learned without labels, by Muon, the default optimiser, and by Adam at its own rate.
# Then five rows of each class get a label: the mean accuracy over 10 draws of them.


def accuracy_with_few_labels(learner):
    Z_train, Z_test = learner.transform(X_train), learner.transform(X_test)
    rng, found = np.random.default_rng(0), []
    for _ in range(10):
        rows = [rng.choice(np.flatnonzero(y_train == c), 5, replace=False) for c in range(10)]
        few = np.concatenate(rows)
        found.append(linear_probe(Z_train[few], y_train[few], Z_test, y_test))
    return np.mean(found)


# The first fit of a process loads what all of them need.
warm_up = MIRepresentationLearner(max_steps=1).fit(X_train)
rows = []
for optimizer in ("muon", "adam"):
    for steps in (50, 100, 200, 400):
        learner = MIRepresentationLearner(optimizer=optimizer, max_steps=steps, random_state=0)
        start = time.process_time()
        learner.fit(X_train)
        seconds = time.process_time() - start
        rows.append((optimizer, steps, seconds, accuracy_with_few_labels(learner)))
table = pd.DataFrame(rows, columns=["optimizer", "steps", "CPU seconds", "accuracy"])
print(table.round({"CPU seconds": 1, "accuracy": 3}).to_string(index=False))

# %%
# Each point is one whole training, of as many steps as stand beside it.

plt.rcParams["font.size"] = 13
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for optimizer, colour in (("muon", "#D55E00"), ("adam", "#0072B2")):
    mine = table[table["optimizer"] == optimizer]
    ax.plot(mine["CPU seconds"], mine["accuracy"], "o-", color=colour, lw=2.5, label=optimizer)
    for steps, seconds, accuracy in mine.iloc[:, 1:].itertuples(index=False):
        text = ax.annotate(steps, (seconds, accuracy), (8, -14), textcoords="offset points")
        text.set_color(colour)
ax.set(xlabel="CPU seconds of a fit", ylabel="accuracy, 5 labels a class", xlim=(0, None))
ax.spines[["top", "right"]].set_visible(False)
legend = ax.legend(frameon=False, loc="lower right")

# %%
# What was picked says how long a default fit would be, and why; here half of it.

quick = MIRepresentationLearner(effort="quick", random_state=0).fit(X_train)
print(quick.choices_["max_steps"])

# %%
# Here Muon gets to an accuracy in a fraction of the seconds that Adam needs. Neither curve is flat
# yet at 400 steps, half of what a default fit takes for these images.
