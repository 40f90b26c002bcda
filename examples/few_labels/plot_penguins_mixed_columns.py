"""
Penguins: categories and missing values
=======================================

For whoever has a table of numbers and words with holes in it. The learner takes numbers without
gaps, so two steps of scikit-learn stand in front of it: ``SimpleImputer`` fills, and
``OneHotEncoder`` turns words into columns of 0 and 1.
"""

import matplotlib.pyplot as plt
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.plots import EmbeddingDisplay

penguins = load_penguins()
numbers = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
words = ["island", "sex"]
X, species = penguins[numbers + words], penguins["species"]
print(X.isna().sum().to_string())

# %%
# The learner sees that columns of 0 and 1 stand beside numbers, keeps them all, and adds two
# learned components. ``choices_`` says why.

prepare = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
    (
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)),
        words,
    ),
)
learned = make_pipeline(prepare, MIRepresentationLearner(random_state=0))
codes = learned.fit_transform(X)
print(learned[-1].choices_["encoder"])

# %%
# A map of the codes by t-SNE. Colours are species, which the learner has not seen. Black marks
# stand for rows with a gap: most lack the sex, two lack all four measurements.

figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
display = EmbeddingDisplay.from_codes(codes, species, method="tsne", ax=ax)
for name in ax.texts:  # move the names off the marks
    name.set_y(name.get_position()[1] + 7)
unmeasured = X[numbers].isna().all(axis=1)
unsexed = X["sex"].isna() & ~unmeasured
for rows, marker, label in ((unsexed, "o", "no sex"), (unmeasured, "s", "no measurement")):
    points = display.embedding[rows]
    ax.plot(*points.T, marker, ms=10, mew=2, mfc="none", mec="black", zorder=5, label=label)
_ = ax.legend(frameon=False)

# %%
# What they are worth where few penguins have a label.

contestants = {"columns": prepare, "PCA": make_pipeline(prepare, PCA(4)), "learned": learned}
table = compare(
    contestants,
    X,
    species,
    labels_per_class=(1, 5, 20, None),
    n_folds=3,
    n_draws=10,
    probes=("logistic",),
)
summary = summarise(table)
print(summary.pivot(index="name", columns="labels_per_class", values="mean").round(3).to_string())

# %%
# Here the three are level: PCA has a small lead with one label a class, and from five labels on all
# agree. Rows without a sex lie among their species; a row without any measurement gets the mean of
# all penguins, and so one Gentoo lands among the Adelies.
