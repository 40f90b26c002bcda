"""
Codes that do not tell the lab
==============================

For whoever has rows from several labs, scanners or batches. Here ten mean columns and ten worst
columns describe the cell nuclei of a biopsy. Each biopsy is measured in one of three labs, drawn at
random, and each lab adds an offset of its own to each column: simulated, about as large as the
column's spread.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
mean = [name for name in X if name.startswith("mean")]
worst = [name for name in X if name.startswith("worst")]
train, test = train_test_split(np.arange(len(X)), test_size=0.33, random_state=0)


def measured(seed):
    """Return the columns as three labs measure them, and the lab of each row."""
    rng = np.random.default_rng(seed)
    lab = rng.integers(3, size=len(X))
    offsets = rng.normal(size=(3, 20)) * X[mean + worst].std().to_numpy()
    return X[mean + worst] + offsets[lab], pd.DataFrame({"lab": np.array(list("ABC"))[lab]})


# %%
# The lab shows in both tables, so a learner of two tables finds it. ``confounds`` names what must
# not be in the codes; later rows need it, too.


def codes(table, **confounds):
    known = {name: about.iloc[train] for name, about in confounds.items()}
    learner = MIRepresentationLearner(max_steps=150, random_state=0)
    learner.fit(table[mean].iloc[train], X_pair=table[worst].iloc[train], **known)
    first = learner.transform(table[mean], **confounds)
    return np.hstack([first, learner.transform_pair(table[worst], **confounds)])


def features(table, lab):
    is_lab = pd.get_dummies(lab["lab"]).astype(float)
    means = LinearRegression().fit(is_lab.iloc[train], table.iloc[train]).predict(is_lab)
    return {
        "codes": codes(table),
        "codes, confounds=lab": codes(table, confounds=lab),
        "columns": table.to_numpy(),
        "columns less the lab's means": table.to_numpy() - means,
    }


# %%
# The two main directions of both codes, for biopsies that training did not see. Left the colour is
# the lab, right the diagnosis.

table, lab = measured(0)
found = features(table, lab)
diagnosis = y.map({0: "malignant", 1: "benign"})
colours = {"A": "#0072B2", "B": "#E69F00", "C": "#009E73", "malignant": "#D55E00", "benign": "0.6"}

figure, axes = plt.subplots(2, 2, figsize=(7, 6), layout="constrained")
for row, name in zip(axes, ("codes", "codes, confounds=lab"), strict=True):
    Z = PCA(2).fit_transform(StandardScaler().fit_transform(found[name][test]))
    for ax, labels in zip(row, (lab["lab"], diagnosis), strict=True):
        for label in sorted(labels.unique()):
            here = (labels.iloc[test] == label).to_numpy()
            ax.scatter(*Z[here].T, color=colours[label], s=10, label=label)
        ax.set(title=name, xticks=[], yticks=[])
        ax.legend(frameon=False, markerscale=2)

# %%
# A linear classifier learns the diagnosis from the training rows of lab A, and is asked in lab A
# and elsewhere. The accuracies are means over three draws of labs and offsets.


def accuracies(Z, lab):
    in_a = (lab["lab"] == "A").to_numpy()
    labelled = train[in_a[train]]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(Z[labelled], y[labelled])
    return [model.score(Z[rows], y[rows]) for rows in (test[in_a[test]], test[~in_a[test]])]


draws = [(found, lab)] + [(features(*drawn), drawn[1]) for drawn in map(measured, (1, 2))]
print(f"{'accuracy':<29} lab A  elsewhere")
for name in found:
    home, away = np.mean([accuracies(made[name], where) for made, where in draws], axis=0)
    print(f"{name:<29} {home:5.2f}  {away:9.2f}")

# %%
# Codes learned from the columns as they are mislead outside of lab A. With ``confounds`` they serve
# everywhere, as columns less the lab's means do. Only the linear part is taken out: what a lab does
# to the spread of a column stays. If one lab had all severe cases, severity would leave with it.
