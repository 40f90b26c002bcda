"""
Penguins: words, gaps and few labels
====================================

For whoever has a table of numbers and words with holes in it, and few labels. The frame goes in as
it comes, without an encoder or an imputer in front, and one estimator predicts.
"""

import matplotlib.pyplot as plt
from palmerpenguins import load_penguins
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sklearn_mi import LabeledFold, MIRepresentationLearner, SemiSupervisedClassifier
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.plots import EmbeddingDisplay

penguins = load_penguins()
species = penguins.pop("species").astype(object)
print(penguins.iloc[[0, 3, 8]].T.to_string())

# %%
# Four penguins of each species have a label; ``None`` stands for that of the others.

shuffled = penguins.sample(frac=1, random_state=0)
known = shuffled.groupby(species).head(4).index
few = species.where(species.index.isin(known), None)
model = SemiSupervisedClassifier(random_state=0).fit(penguins, few)
print(f"accuracy on the others {model.score(penguins[few.isna()], species[few.isna()]):.2f}")

# %%
# Twelve labels can be cross-validated, too: each fold tests on labelled penguins alone.

print(cross_val_score(model, penguins, few, cv=LabeledFold(4)).round(2))

# %%
# The learner within says what it did: it keeps the columns of a table with categories. Each level
# of a word is a column of 0 and 1, and so is the lack of a value.

print(model.learner_.choices_["encoder"])
print(*model.learner_.get_feature_names_out(), sep=", ")

# %%
# A map of these columns by t-SNE, coloured by what is predicted. Circles stand for penguins with a
# label, crosses for errors, squares for two penguins that nobody measured.

codes, predicted = model.learner_.transform(penguins), model.predict(penguins)
figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
display = EmbeddingDisplay.from_codes(codes, predicted, method="tsne", ax=ax)
for name in ax.texts:  # move the names off the marks
    name.set_y(name.get_position()[1] + 10)
marks = {
    "label": (few.notna(), "o"),
    "error": (species != predicted, "x"),
    "not measured": (penguins["body_mass_g"].isna(), "s"),
}
for label, (rows, marker) in marks.items():
    style = {"ms": 10, "mew": 1.5, "mfc": "none", "mec": "black", "zorder": 5}
    ax.plot(*display.embedding[rows.to_numpy()].T, marker, label=label, **style)
_ = ax.legend(frameon=False)

# %%
# Beside two others on the same columns, over folds and draws of labels.

contestants = {
    "semi-supervised": SemiSupervisedClassifier(random_state=0),
    "LabelSpreading": make_pipeline(MIRepresentationLearner(), LabelSpreading()),
    "self-training": make_pipeline(
        MIRepresentationLearner(), SelfTrainingClassifier(LogisticRegression())
    ),
}
table = compare(
    {},
    penguins,
    species,
    classifiers=contestants,
    labels_per_class=(1, 5, 20),
    n_folds=3,
    n_draws=5,
)
summary = summarise(table)
print(summary.pivot(index="name", columns="labels_per_class", values="mean").round(3).to_string())

# %%
# With one label a species LabelSpreading has a small lead. From five on it is behind, and the other
# two are level: on such tables a regularised linear model of all columns is hard to beat.
