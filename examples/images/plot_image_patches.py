"""
Patches that predict those below
================================

Contrastive predictive coding (van den Oord et al., 2018) on squares of two photographs. Each square
is cut into patches; what stands above in a column should tell the patch that follows from patches
of other squares. How far ahead can it tell, and what are the codes good for?
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_images
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.comparisons import Predictive
from sklearn_mi.encoders import Patches
from sklearn_mi.probes import linear_probe


def squares_of(image, side=16):
    """Halve the resolution, then cut into squares."""
    n, m = image.shape[0] // (2 * side), image.shape[1] // (2 * side)
    cells = image[: 2 * side * n, : 2 * side * m].reshape(n, side, 2, m, side, 2, 3)
    means = cells.mean(axis=(2, 5)).swapaxes(1, 2) / 255
    return means.reshape(-1, side, side, 3).astype(np.float32)


china, flower = (squares_of(image) for image in load_sample_images().images)
squares = np.concatenate([china, flower])
photograph = np.repeat([0, 1], [len(china), len(flower)])
X_train, X_test, y_train, y_test = train_test_split(squares, photograph, random_state=0)

# %%
# The view "same" passes a square as it is: the comparison makes the pairs. Patches do not overlap
# here, so that no two of them share a pixel. One learner for each distance, and one for all.

patches = Patches(size=4, stride=4)
settings = {"view": "same", "encoder": patches, "objective": "infonce", "random_state": 0}
training = {"max_steps": 100, "batch_size": 64, "lr": 5e-3}
bounds = []
for k in (1, 2, 3):
    comparison = Predictive(steps=1, skip=k - 1)
    learner = MIRepresentationLearner(comparison=comparison, **settings, **training).fit(X_train)
    bounds.append(learner.score(X_test))
    print(f"{k} below: {bounds[-1]:.2f} nats")
learner = MIRepresentationLearner(comparison=Predictive(), **settings, **training).fit(X_train)

# %%
# From which photograph is a square? A linear probe with few labels, mean of 10 draws: on codes, on
# codes of the same network before training, and on pixels.

torch.manual_seed(0)
untrained = patches.build(X_train.shape[1:], None)
with torch.inference_mode():
    random_codes = [untrained(torch.as_tensor(X)).numpy() for X in (X_train, X_test)]
features = {
    "trained": [learner.transform(X) for X in (X_train, X_test)],
    "untrained": random_codes,
    "pixels": [X.reshape(len(X), -1) for X in (X_train, X_test)],
}
counts = (4, 10, 20, 40, 80)
accuracy = {name: [] for name in features}
for n in counts:
    draws = list(StratifiedShuffleSplit(10, train_size=n, random_state=0).split(X_train, y_train))
    for name, (Z_train, Z_test) in features.items():
        hits = [
            linear_probe(Z_train[few], y_train[few], Z_test, y_test, Z_unlabelled=Z_train)
            for few, _ in draws
        ]
        accuracy[name].append(np.mean(hits))
    print(n, *(f"{name} {values[-1]:.1%}" for name, values in accuracy.items()))

# %%
# A square and its patches; the bound on what those above tell about the patch k below; the accuracy
# of the probe.

plt.rcParams["font.size"] = 12
figure, (left, middle, right) = plt.subplots(
    *(1, 3), figsize=(9.6, 3.2), layout="constrained", width_ratios=(1, 1, 1.6)
)
left.imshow(china[147])
left.set(xticks=[], yticks=[], xlabel="a square, 4 x 4 patches")
for edge in (3.5, 7.5, 11.5):
    left.axhline(edge, color="white", lw=3)
    left.axvline(edge, color="white", lw=3)
middle.bar([1, 2, 3], bounds, color="#0072B2")
middle.set(xticks=[1, 2, 3], xlabel="patches below", ylabel="InfoNCE, nats")
for (name, values), colour in zip(accuracy.items(), ("#0072B2", "#E69F00", "0.4"), strict=True):
    right.plot(counts, values, "o-", color=colour)
    right.annotate(name, (counts[-1], values[-1]), (8, -4), textcoords="offset points")
right.set(xscale="log", xlim=(3.6, 170), xticks=counts, xticklabels=counts)
right.set(xlabel="labels", ylabel="accuracy")
right.minorticks_off()
for ax in (middle, right):
    ax.spines[["top", "right"]].set_visible(False)

# %%
# The nearer the patch, the more can be told of it. Trained codes lead at every number of labels of
# this one seed. Yet most of the gap to pixels is there before training: the mean over patches keeps
# what a photograph is made of and forgets where it stands.
