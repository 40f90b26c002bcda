"""
Which columns matter to a code
==============================

For anyone who has learned features and wants to know what they are made of. Permuting a column
among the rows breaks what it tells. How far the codes move, and how much of the held-out bound is
lost, say what a column does. No label is needed.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.diagnostics import column_importance
from sklearn_mi.plots import ImportanceDisplay

# %%
# Two sets of ten columns describe the cell nuclei of a biopsy: their means, and the means of the
# three largest values. Which of the means tell which row of the other table is the partner?

cells = load_breast_cancer(as_frame=True).data
mean, worst = cells.filter(like="mean "), cells.filter(like="worst ")
A, A_test, B, B_test = train_test_split(mean, worst, test_size=0.3, random_state=0)
learner = MIRepresentationLearner(random_state=0).fit(A, X_pair=B)
display = ImportanceDisplay.from_estimator(
    learner, A_test, X_pair=B_test, by="bound", random_state=0
)

# %%
# Radius, perimeter and area are three measures of one size. Each alone seems to matter less than
# texture does, since the other two replace it. Permuted together, they cost more than any column.

size = ["mean radius", "mean perimeter", "mean area"]
permuted = A_test.copy()
permuted[size] = A_test[size].sample(frac=1, random_state=0).to_numpy()
lost = learner.score(A_test, X_pair=B_test) - learner.score(permuted, X_pair=B_test)
print(display.table.loc[size, "bound"].round(2).to_string())
print(f"all three together {lost:.2f} nats")

# %%
# The columns of a table of digits are pixels, so their importance is a picture. Many pixels vary
# much, but the code depends on a few of them.

X_train, X_test = train_test_split(load_digits().data, random_state=0)
digits = MIRepresentationLearner(16, effort="quick", random_state=0).fit(X_train)
table = column_importance(digits, X_test, n_repeats=2, random_state=0)
maps = {
    "variance of pixels": X_test.var(axis=0),
    "importance to the code": table["code"].to_numpy(),
    "importance to the bound": table["bound"].to_numpy(),
}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.8), layout="constrained")
for ax, (title, values) in zip(axes, maps.items(), strict=True):
    ax.imshow(values.reshape(8, 8), cmap="Greys")
    ax.set_title(title, size=11)
    ax.set(xticks=[], yticks=[])
