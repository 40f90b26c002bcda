"""
Find the other half of a digit
==============================

For whoever has two parts of one thing and must find the second by the first. The learner sees
upper and lower halves of digits, without labels, and then picks for each new upper half one of
450 lower halves.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import Halves

digits = load_digits()
train, test, _, y_test = train_test_split(digits.images / 16, digits.target, random_state=0)

# %%
# A bilinear critic, :math:`z^T W z'`, compares the codes of two encoders, one for each half.

learner = MIRepresentationLearner(view=Halves("top-bottom"), critic="bilinear", random_state=0)
upper, lower = np.hsplit(learner.fit(train).transform(test), 2)
with torch.no_grad():
    scores = learner.critic_(torch.as_tensor(upper).float(), torch.as_tensor(lower).float())
scores = scores.numpy()
print(learner.mi_)

# %%
# Beside it: canonical correlation analysis (CCA) with 16 components.

halves_train = np.hsplit(train.reshape(len(train), -1), 2)
halves_test = np.hsplit(test.reshape(len(test), -1), 2)
cca = CCA(16, max_iter=2000).fit(*halves_train)
scores_of_cca = cosine_similarity(*cca.transform(*halves_test))

for name, found in (("learned codes", scores), ("CCA", scores_of_cca)):
    rank = 1 + np.sum(found > np.diag(found)[:, None], axis=1)
    same = np.mean(y_test[found.argmax(axis=1)] == y_test)
    print(
        f"{name:<14} right half first: {np.mean(rank == 1):.0%}, among the first five: "
        f"{np.mean(rank <= 5):.0%}, a half of the same digit first: {same:.0%}"
    )

# %%
# Upper halves of ten test digits, each with the lower half that the learned codes put first.

chosen = scores.argmax(axis=1)
colours = {"its own": "#0072B2", "same digit": "#009E73", "other digit": "#D55E00"}
figure, axes = plt.subplots(2, 5, figsize=(5, 3.5), layout="constrained")
for query, ax in enumerate(axes.flat):
    gap = np.full((1, 8), np.nan)
    ax.imshow(np.vstack([test[query, :4], gap, test[chosen[query], 4:]]), cmap="gray_r")
    is_same = y_test[chosen[query]] == y_test[query]
    kind = "its own" if chosen[query] == query else "same digit" if is_same else "other digit"
    ax.add_patch(Rectangle((-0.5, 4.5), 8, 4, fill=False, edgecolor=colours[kind], linewidth=4))
    ax.set_axis_off()
frames = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
_ = figure.legend(
    frames, list(colours), loc="outside lower center", ncols=3, frameon=False, title="lower half"
)

# %%
# Four of five times the half that comes first is of the right digit, and about one time in four it
# is the very one. CCA is behind in both.
