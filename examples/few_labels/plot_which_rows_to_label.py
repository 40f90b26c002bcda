"""
Which twenty digits to label first
==================================

For whoever has many rows, no label yet, and the time to give out twenty. Rows that are typical of
the clusters of learned codes cover the classes; rows drawn at random leave classes out.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.selection import select_rows

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, random_state=0)
learner = MIRepresentationLearner(random_state=0).fit(X_train)
Z_train, Z_test = learner.transform(X_train), learner.transform(X_test)


def accuracy(rows):
    classifier = LogisticRegression(max_iter=1000).fit(Z_train[rows], y_train[rows])
    return classifier.score(Z_test, y_test)


# %%
# ``select_rows`` needs codes and no label. Twenty of its rows beside twenty at random.

chosen = select_rows(Z_train, 20)
drawn = np.random.default_rng(0).choice(len(Z_train), 20, replace=False)

figure = plt.figure(figsize=(5, 3.4), layout="constrained")
for half, title, rows in zip(
    figure.subfigures(1, 2, wspace=0.1), ("select_rows", "at random"), (chosen, drawn), strict=True
):
    n_classes = len(np.unique(y_train[rows]))
    half.suptitle(f"{title}\n{n_classes} of 10 digits\naccuracy {accuracy(rows):.0%}", size=13)
    for ax, row in zip(half.subplots(4, 5).flat, rows[np.argsort(y_train[rows])], strict=True):
        ax.imshow(X_train[row], cmap="gray_r")
        ax.set_axis_off()

# %%
# One draw is luck. Here are 50 random draws, and 10 choices whose clusters start elsewhere.

random_draws = [
    np.random.default_rng(seed).choice(len(Z_train), 20, replace=False) for seed in range(50)
]
choices = [select_rows(Z_train, 20, random_state=seed) for seed in range(10)]
results = {
    "at random": np.array([accuracy(rows) for rows in random_draws]),
    "select_rows": np.array([accuracy(rows) for rows in choices]),
}
for name, found in results.items():
    print(f"{name:<12} mean {found.mean():.2f}, least {found.min():.2f}, most {found.max():.2f}")

figure, ax = plt.subplots(figsize=(5, 2.6), layout="constrained")
rng = np.random.default_rng(0)
for place, (found, colour) in enumerate(zip(results.values(), ("#0072B2", "#D55E00"), strict=True)):
    ax.plot(100 * found, place + rng.uniform(-0.2, 0.2, len(found)), "o", color=colour, alpha=0.7)
ax.set_yticks(range(len(results)), list(results))
ax.set(xlabel="accuracy with twenty labels, %", ylim=(-0.5, 1.5))
ax.spines[["top", "right"]].set_visible(False)

# %%
# Each choice of ``select_rows`` is about as good as the luckiest random draws, and an unlucky draw
# loses a third of the accuracy. This holds where classes are clusters of the codes, as here.
