"""
Two wide tables: find the partner beside CCA and PLS
====================================================

For whoever has two tables about the same samples, each with many columns for its rows, such as
genes and proteins, and wants to know which row of one belongs to which row of the other. Here 700
simulated samples have 2,000 and 300 counts. Four latents are in both tables, and each table has
four of its own.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.decomposition import PCA

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_two_omics
from sklearn_mi.evaluation import compare_pairs, summarise_pairs

X, Y, shared = make_two_omics(counts=True, random_state=0)
print(X.shape, Y.shape)

# %%
# The learner takes counts as they are. Since the tables are wide, it first reduces each to the
# factors that stand out of its noise.

X_train, X_test, Y_train, Y_test = X[:500], X[500:], Y[:500], Y[500:]
learner = MIRepresentationLearner(random_state=0).fit(X_train, X_pair=Y_train)
print(learner.choices_["front_end"])

# %%
# ``score_pairs`` gives the critic's score of each new row of one table against each of the other,
# ``retrieve`` the best candidates alone.

scores = learner.score_pairs(X_test, Y_test)
best_scores, candidates = learner.retrieve(X_test, Y_test, k=3)
print(candidates[:4])

# %%
# Row i belongs to row i: the bright diagonal, here of the first 60 new rows.

figure, ax = plt.subplots(figsize=(4.4, 3.8), layout="constrained")
image = ax.imshow(scores[:60, :60], cmap="magma")
ax.set(xlabel="row of the second table", ylabel="row of the first table", xticks=[], yticks=[])
_ = figure.colorbar(image, label="score of the critic")

# %%
# ``compare_pairs`` fits contestants to the training rows of each fold and asks them for the
# partners of the others. Beside the learner stand partial least squares (PLS) and canonical
# correlation analysis (CCA) on logarithms of the counts, with four components each: as many as
# there are shared latents, which you would not know. Any class with ``fit(X, Y)`` and
# ``transform(X, Y)`` takes part; this one lets CCA look at principal components.


class CCAOfComponents(CCA):
    def fit(self, X, Y):
        self.reduce_ = PCA(30, random_state=0).fit(X), PCA(30, random_state=0).fit(Y)
        return super().fit(self.reduce_[0].transform(X), self.reduce_[1].transform(Y))

    def transform(self, X, Y):
        return super().transform(self.reduce_[0].transform(X), self.reduce_[1].transform(Y))


models = {
    "learner": MIRepresentationLearner(random_state=0),
    "CCA of 30 components": CCAOfComponents(4, max_iter=2000),
    "PLS": PLSCanonical(4),
    "CCA": CCA(4, tol=1e-2),
}
ks = (1, 2, 3, 5, 10, 20, 50)
table = compare_pairs(
    models, np.log1p(X), np.log1p(Y), latents=shared, k=ks, n_folds=3, random_state=0
)
summary = summarise_pairs(table)
measures = ["recall@1", "recall@10", "matching", "latent_r2"]
means = summary.pivot(index="name", columns="measure", values="mean")
print(means.loc[list(models), measures].round(2))
print("shared dimensions in each fold:", table.groupby("fold")["n_shared"].first().tolist())

# %%
# ``matching`` gives each candidate to one row. ``latent_r2`` is what ridge regression on the codes
# of the first table explains of the shared latents. Principal components serve CCA well; without
# them it fits noise.

# %%
# How often the partner is among the first k of the 233 rows of a fold.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for name, colour in zip(models, ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=True):
    found = [100 * table.loc[table["name"] == name, f"recall@{k}"].mean() for k in ks]
    ax.semilogx(ks, found, "o-", color=colour, label=name)
ax.semilogx(ks, 100 * np.array(ks) / 233, ":", color="0.4", label="chance")
ax.set(xlabel="candidates looked at", ylabel="partner found, %", ylim=(0, 102))
ax.set_xticks(ks, map(str, ks))
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
