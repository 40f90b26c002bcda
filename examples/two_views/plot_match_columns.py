"""
Match the rows of two tables
============================

For whoever has two sets of columns about the same rows and wants to know which row of one belongs
to which row of the other. Here two sets of ten columns describe the cell nuclei of one biopsy:
their means, and the means of the three largest values.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_breast_cancer
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import Columns

X = load_breast_cancer(as_frame=True).data
mean = [name for name in X if name.startswith("mean")]
worst = [name for name in X if name.startswith("worst")]
X_train, X_test = train_test_split(X[mean + worst], test_size=0.3, random_state=0)

# %%
# Each set of columns gets an encoder of its own. A critic must pick each row's partner from many,
# which is the task itself, so the held-out bound may choose the critic.

learners = {
    critic: MIRepresentationLearner(view=Columns(mean, worst), critic=critic, random_state=0)
    for critic in ("cauchy", "bilinear", "cosine")
}
for critic, learner in learners.items():
    learner.fit(X_train)
    print(f"{critic:<9} {learner.mi_.value:.2f} nats, standard error {learner.mi_.stderr:.2f}")

# %%
# The cosine has the largest bound, though the bilinear critic is within noise of it. ``transform``
# gives the codes of both sets side by side. Beside them: canonical correlation analysis (CCA), and
# the columns themselves, which measure the same ten quantities in the same order.

codes, codes_worst = np.hsplit(learners["cosine"].transform(X_test), 2)

scaler = StandardScaler().fit(X_train)
A_train, B_train = np.hsplit(scaler.transform(X_train), 2)
A, B = np.hsplit(scaler.transform(X_test), 2)
cca = CCA(10, max_iter=2000).fit(A_train, B_train)

scores = {
    "learned codes": cosine_similarity(codes, codes_worst),
    "CCA": cosine_similarity(*cca.transform(A, B)),
    "scaled columns": -euclidean_distances(A, B),
}


def ranks(score):
    """Place of the right partner among all test rows, 1 where it comes first."""
    return 1 + np.sum(score > np.diag(score)[:, None], axis=1)


for name, score in scores.items():
    first = np.mean(ranks(score) == 1)
    print(f"{name:<15} right partner first: {first:.0%} of {len(score)} rows")

# %%
# How often the right partner is among the first k.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
k = np.arange(1, 21)
for (name, score), colour in zip(scores.items(), ("#D55E00", "#0072B2", "#009E73"), strict=True):
    found = [100 * np.mean(ranks(score) <= most) for most in k]
    ax.plot(k, found, "o-", color=colour, markersize=4, label=name)
ax.plot(k, 100 * k / len(X_test), ":", color="0.4", label="chance")
ax.set(xlabel="candidates looked at", ylabel="right partner found, %", ylim=(0, 102), xticks=k[::4])
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="center right")

# %%
# The learned codes put the right partner first for three of four biopsies, CCA for half of them.
