"""
What several tables share
=========================

For whoever has three tables or more about the same samples, few of which have a label. Here 1,500
simulated samples have 60 genes, 30 proteins and 20 metabolites. The type of a sample shows in all
three tables. Each table also has five directions of its own, with more variance than the type.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import Columns

rng = np.random.default_rng(0)
n, types = 1500, 5
y = rng.integers(types, size=n)
shared = rng.normal(size=(types, 4))[y] + 0.4 * rng.normal(size=(n, 4))


def measured(n_columns):
    own = 2 * rng.normal(size=(n, 5))
    signal = np.tanh(np.hstack([shared, own]) @ rng.normal(size=(9, n_columns)) / 3)
    return signal + 0.3 * rng.normal(size=(n, n_columns))


genes, proteins, metabolites = measured(60), measured(30), measured(20)
X = np.hstack([genes, proteins, metabolites])
train, test = np.arange(1000), np.arange(1000, n)

# %%
# The view names three sets of columns. Each gets an encoder, and every pair of sets is compared:
# contrastive multiview coding. No label is used.

view = Columns(slice(0, 60), slice(60, 90), slice(90, 110))
learner = MIRepresentationLearner(view=view, max_steps=150, random_state=0).fit(X[train])
print(learner.choices_["comparison"])

features = {
    "genes": genes,
    "all columns": X,
    "20 principal components": PCA(20, random_state=0).fit(X[train]).transform(X),
    "codes of three tables": learner.transform(X),
}

# %%
# The two main directions of all columns, and of the codes, on samples that training did not see.

figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for ax, name in zip(axes, ("all columns", "codes of three tables"), strict=True):
    Z = StandardScaler().fit_transform(features[name][test])
    ax.scatter(*PCA(2).fit_transform(Z).T, c=y[test], cmap="tab10", vmax=9, s=8)
    ax.set(title=name, xticks=[], yticks=[])

# %%
# A linear classifier learns the types from some labelled samples of each.


def accuracy(Z, n_labels, seed):
    draw = np.random.default_rng(seed)
    rows = [draw.permutation(train[y[train] == kind])[:n_labels] for kind in range(types)]
    labelled = np.concatenate(rows)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(Z[labelled], y[labelled]).score(Z[test], y[test])


counts = (1, 2, 5, 10, 20, 50)
means = {
    name: [100 * np.mean([accuracy(Z, k, seed) for seed in range(10)]) for k in counts]
    for name, Z in features.items()
}
for name, values in means.items():
    print(f"{name:<24}", *(f"{value:3.0f}" for value in values))

# %%
# Each point is a mean over ten draws of the labelled samples.

figure, ax = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
colours = ("#009E73", "#0072B2", "#CC79A7", "#D55E00")
for (name, values), colour in zip(means.items(), colours, strict=True):
    ax.plot(counts, values, "o-", color=colour, markersize=4, label=name)
ax.axhline(100 / types, linestyle=":", color="0.4", label="chance")
ax.set(xscale="log", xlabel="labelled samples of each type", ylabel="accuracy, %", ylim=(0, 100))
ax.set_xticks(counts, [str(count) for count in counts])
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.2))

# %%
# With one to five labels of each type the codes are far ahead. With fifty, the components are:
# they also hold what one table alone says of the type.
