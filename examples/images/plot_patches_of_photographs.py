"""
Patches of two photographs
==========================

For whoever has colour images without labels. The learner sees two random crops of a patch, with
their colours changed, and learns which belong together; patches with close codes look alike.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_images
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.views import as_view


def patches_of(image, side=16):
    """Halve the resolution, then cut into squares."""
    n, m = image.shape[0] // (2 * side), image.shape[1] // (2 * side)
    cells = image[: 2 * side * n, : 2 * side * m].reshape(n, side, 2, m, side, 2, 3)
    return cells.mean(axis=(2, 5)).swapaxes(1, 2).reshape(-1, side, side, 3) / 255


china, flower = (patches_of(image) for image in load_sample_images().images)
patches = np.concatenate([china, flower])
photograph = np.repeat([0, 1], [len(china), len(flower)])

# %%
# What training sees: six patches, and two draws of the view "simclr", the default for images in
# colour.

shown = [26, 66, 147, 214, 349, 409]
originals = torch.as_tensor(patches[shown]).float()
pairs = as_view("simclr")(originals, None, None, torch.Generator().manual_seed(0))

figure, axes = plt.subplots(3, 6, figsize=(5, 3), layout="constrained")
for row, name, images in zip(axes, ("patch", "draw 1", "draw 2"), (originals, *pairs), strict=True):
    row[0].set_ylabel(name, size=13)
    for ax, image in zip(row, images.numpy(), strict=True):
        ax.imshow(image)
        ax.set(xticks=[], yticks=[])

# %%
# A short training, a quarter of the default. How often is the nearest patch of the same photograph?

learner = MIRepresentationLearner(max_steps=100, batch_size=128, random_state=0).fit(patches)
likeness = {
    "codes": cosine_similarity(learner.transform(patches)),
    "pixels": -euclidean_distances(patches.reshape(len(patches), -1)),
}
nearest = {}
for name, found in likeness.items():
    np.fill_diagonal(found, -np.inf)
    nearest[name] = np.argsort(-found, axis=1)[:, :4]
    same = np.mean(photograph[nearest[name][:, 0]] == photograph)
    print(f"{name:<7} {same:.1%}")

# %%
# The same patches, and the four that are nearest by codes and by pixels.

figure, axes = plt.subplots(6, 9, figsize=(6, 4), layout="constrained")
for row, query in zip(axes, shown, strict=True):
    numbers = [query, *nearest["codes"][query], *nearest["pixels"][query]]
    for ax, number in zip(row, numbers, strict=True):
        ax.imshow(patches[number])
        ax.set_axis_off()
for column, title in ((0, "patch"), (1, "codes"), (5, "pixels")):
    axes[0, column].set_title(title, loc="left")

# %%
# By codes the nearest patch is of the same photograph more often: the roof and the facade find the
# pagoda, where pixels find trees of the same brightness. The spire occurs once, and neither of the
# two finds a good partner for it.
