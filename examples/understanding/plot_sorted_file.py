"""
A file that is sorted by class, read in blocks
==============================================

For anyone whose rows stay on disk. Blocks of consecutive rows are read in a random order, and
batches are drawn from a window of some blocks. In a sorted file the rows of a block are alike, so a
batch from few blocks has too many pairs of one class: other rows no longer stand for unrelated
ones. The pictures show how many blocks a window needs, and what too few cost.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from sklearn_mi import MIRepresentationLearner

# %%
# Ten classes of 128 digits, one after the other in a file: 80 blocks of 16 rows, each of one class.

X, y = load_digits(return_X_y=True)
SIZE, N_BLOCKS, N_CLASSES, BATCH = 16, 80, 10, 16
rows = np.concatenate([np.flatnonzero(y == k)[:128] for k in range(N_CLASSES)])
held_out = np.setdiff1d(np.arange(len(y)), rows)
path = Path(tempfile.mkdtemp()) / "sorted.npy"
np.save(path, X[rows].astype(np.float32))
on_disk, classes = np.load(path, mmap_mode="r"), y[rows]
print(on_disk.shape, "rows on disk,", len(held_out), "held out")


def windows(k, rng):
    """Yield the numbers of the rows of each window of k blocks, in one pass over the file."""
    for blocks in rng.permutation(N_BLOCKS).reshape(-1, k):
        yield (blocks[:, None] * SIZE + np.arange(SIZE)).ravel()


# %%
# The share of pairs of one class in a batch. Two rows of a window come from one block with
# probability (SIZE - 1) / (k SIZE - 1), and then are of one class; else from two blocks, of which
# 7 of the other 79 have the same class.


def expected(k):
    one_block = (SIZE - 1) / (k * SIZE - 1)
    return one_block + (1 - one_block) * (N_BLOCKS / N_CLASSES - 1) / (N_BLOCKS - 1)


def measured(k, n_passes=20):
    rng, shares = np.random.default_rng(0), []
    for _ in range(n_passes):
        for numbers in windows(k, rng):
            for batch in classes[rng.permutation(numbers)].reshape(-1, BATCH):
                same = (batch[:, None] == batch).sum() - BATCH
                shares.append(same / (BATCH * (BATCH - 1)))
    return np.mean(shares)


# %%
# ``partial_fit`` trains on one window after the other, for five passes. All else is equal, the
# number of steps and the size of a batch, too. The held-out rows are in random order, so their
# bound is comparable.

found = []
for seed in range(2):
    for k in (1, 4, 16, 80):
        rng = np.random.default_rng(seed)
        learner = MIRepresentationLearner(
            16,
            view="corruption",
            encoder="mlp",
            critic="cosine",
            batch_size=BATCH,
            validation_fraction=0.0,
            random_state=seed,
        )
        for _ in range(5):
            for numbers in windows(k, rng):
                learner.partial_fit(on_disk[numbers])
        neighbours = KNeighborsClassifier(5).fit(learner.transform(on_disk), classes)
        accuracy = neighbours.score(learner.transform(X[held_out]), y[held_out])
        found.append((k, learner.score(X[held_out]), accuracy))
table = pd.DataFrame(found, columns=["blocks", "bound", "accuracy"]).groupby("blocks").mean()
table.insert(0, "same class", [measured(k) for k in table.index])
table.insert(1, "expected", [expected(k) for k in table.index])
table.columns.name = "blocks in a window"
print(table.rename_axis(None).round(3).to_string())

# %%
# The dashed line is a full shuffle; the dotted one adds 1 / k to it.

figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
ks = np.geomspace(1, N_BLOCKS, 100)
axes[0].plot(ks, expected(ks), color="#0072B2", label="expected")
axes[0].plot(table.index, table["same class"], "o", color="#0072B2", label="in batches")
axes[0].plot(ks, expected(N_BLOCKS) + 1 / ks, ":", color="0.3", label="full shuffle + 1 / k")
axes[0].axhline(expected(N_BLOCKS), color="0.3", ls="--", lw=1)
axes[0].set(ylabel="pairs of one class in a batch", ylim=(0, 1.12))
axes[0].legend(frameon=False)
for ax, name, label in zip(
    axes[1:],
    ("bound", "accuracy"),
    ("held-out InfoNCE, nats", "accuracy of 5 neighbours"),
    strict=True,
):
    ax.plot(table.index, table[name], "o-", color="#D55E00")
    ax.set_ylabel(label)
for ax in axes:
    ax.set_xscale("log")
    ax.set_xticks(table.index, [str(k) for k in table.index])
    ax.minorticks_off()
    ax.set_xlabel("blocks in a window")
    ax.spines[["top", "right"]].set_visible(False)

# %%
# With one block all rows of a batch are of one class, and the code loses what tells classes apart:
# nearly half of the bound, and 10 points of accuracy. Four blocks win back most of it, and 16 are
# as good as the whole file. ``fit`` takes at least 64 blocks of up to 4 MiB at a time.
