"""
A larger bound is not a better feature
======================================

For anyone who would choose a critic or an encoder by the bound that it reaches. Upper and lower
halves of digits are two views; many pairs of critic and encoder maximise their information. The
lesson is that of Tschannen et al. (2020), *On Mutual Information Maximization for Representation
Learning*.
"""

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP
from sklearn_mi.probes import linear_probe

X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

# %%
# Held-out bound and accuracy of a logistic regression on the codes, for each setting. One view and
# one number of candidates, so the bounds may be compared.

learner = MIRepresentationLearner(
    16, view="halves", encoder_y="separate", max_steps=150, random_state=0
)
encoders = {"linear": "linear", "narrow": MLP((64,)), "wide": MLP((256,))}
rows = []
for critic in ("bilinear", "separable", "cauchy", "cosine"):
    for width, encoder in encoders.items():
        for objective in ("infonce", "js"):
            fitted = clone(learner).set_params(critic=critic, encoder=encoder, objective=objective)
            fitted.fit(X_train)
            Z_train, Z_test = fitted.transform(X_train), fitted.transform(X_test)
            accuracy = linear_probe(Z_train, y_train, Z_test, y_test)
            rows.append((critic, width, objective, fitted.score(X_test), accuracy))
table = pd.DataFrame(rows, columns=["critic", "encoder", "objective", "bound", "accuracy"])
print(table.sort_values("bound", ascending=False).round(3).to_string(index=False))
tau = kendalltau(table["bound"], table["accuracy"])
print(f"Kendall's tau of bound and accuracy: {tau.statistic:.2f} (p = {tau.pvalue:.2f})")

# %%
# A point is a setting: colours are critics, triangles were trained with Jensen-Shannon.

plt.rcParams["font.size"] = 13
palette = ("#D55E00", "#0072B2", "#CC79A7", "#009E73")
colours = dict(zip(table["critic"].unique(), palette, strict=True))
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for (critic, objective), mine in table.groupby(["critic", "objective"], sort=False):
    style = {"marker": "o", "label": critic} if objective == "infonce" else {"marker": "^"}
    ax.scatter(mine["bound"], mine["accuracy"], s=90, color=colours[critic], lw=0, **style)
for label, column, place in (("largest bound", "bound", "right"), ("best", "accuracy", "center")):
    point = table.loc[table[column].idxmax(), ["bound", "accuracy"]]
    ax.annotate(label, point, (0, 9), textcoords="offset points", ha=place)
ax.set(xlabel="held-out InfoNCE, nats", ylabel="accuracy, all labels")
ax.spines[["top", "right"]].set_visible(False)
legend = ax.legend(frameon=False)

# %%
# The largest bound comes third from last in accuracy; a linear encoder with less than half of it
# comes third. Over all settings of this one seed the two go together only weakly.
