"""
Diagnostics without labels
==========================

For anyone who must choose features before there are labels. Diagnostics say how codes are spread;
`sklearn_mi.evaluation.label_free_score` makes one of them a score for a grid search. Digits have
labels, so here the choice can be checked.
"""

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, label_free_score
from sklearn_mi.plots import DiagnosticsDisplay

X, y = load_digits(return_X_y=True)
learner = MIRepresentationLearner(32, max_steps=200, random_state=0)
contestants = {"PCA": PCA(32, random_state=0)}
contestants |= {
    view: clone(learner).set_params(view=view) for view in ("neighbors", "noise", "halves")
}

# %%
# Accuracy with five labels a class, in two folds, and beside it what can be said without labels.

table = compare(
    contestants,
    X,
    y,
    labels_per_class=(5,),
    n_folds=2,
    probes=("logistic",),
    scales=("common",),
    diagnostics=True,
)
X_train, X_test = train_test_split(X, random_state=0)
fitted = {name: clone(contestant).fit(X_train) for name, contestant in contestants.items()}
stability = {name: label_free_score(transformer, X_test) for name, transformer in fitted.items()}
table["cluster_stability"] = table["name"].map(stability)
directions = {
    "accuracy": "more",
    "cluster_stability": "more",
    "intrinsic_dimension": "less",
    "uniformity": "less",
    "effective_rank": "more",
}
print(table.groupby("name", sort=False)[list(directions)].mean().round(3).T)

# %%
# An axis runs from the worst contestant to the best, however close they are; its label gives the
# range, and which way is taken to be better.

figure, ax = plt.subplots(figsize=(7, 5), subplot_kw={"projection": "polar"}, layout="constrained")
display = DiagnosticsDisplay.from_table(table, directions=directions, ax=ax)

# %%
# The score without labels, cluster stability, picks the features with the highest accuracy.
# Effective rank and uniformity would pick PCA, which is behind two of the others: noise is spread
# evenly, too. One data set; elsewhere another criterion may choose better.
