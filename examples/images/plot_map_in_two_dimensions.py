"""
A map of digits in two dimensions
=================================

For whoever wants to see a data set on one page. Three maps of the same digits: by the learner, by
principal components (PCA) and by t-SNE.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import LeaveOneOut, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.plots import EmbeddingDisplay

digits = load_digits()
train, test, _, y_test = train_test_split(digits.images, digits.target, random_state=0)

# %%
# The learner and PCA learn from 1,347 digits and then place 450 others. scikit-learn's t-SNE cannot
# place new rows, so it gets those 450 themselves.

flat_train, flat_test = train.reshape(len(train), -1), test.reshape(len(test), -1)
learner = MIRepresentationLearner(n_components=2, random_state=0).fit(train)
maps = {
    "learned": learner.transform(test),
    "PCA": PCA(2).fit(flat_train).transform(flat_test),
    "t-SNE": TSNE(random_state=0).fit_transform(flat_test),
}

# %%
# How often the five nearest digits of a map name the right class, row by row.

scores = {}
for name, Z in maps.items():
    found = cross_val_score(KNeighborsClassifier(5), Z, y_test, cv=LeaveOneOut())
    scores[name] = found.mean()
    print(f"{name:<8} {scores[name]:.3f}")

# %%
# New digits on the learned map and on that of PCA; t-SNE has seen them.

figure, axes = plt.subplots(1, 3, figsize=(6.3, 2.6), layout="constrained")
for ax, (name, Z) in zip(axes, maps.items(), strict=True):
    display = EmbeddingDisplay.from_codes(Z, y_test, ax=ax)
    ax.set(xlabel="", ylabel="")  # the directions of a map have no meaning
    ax.set_title(f"{name}\n{scores[name]:.0%} right", size=13)

# %%
# New digits find their place on the learned map about as well as on t-SNE's, which had to see them;
# PCA mixes several classes. The comparison is not even: the learner had three times as many digits
# and knew that they are images.
