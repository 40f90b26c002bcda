"""
Recordings of four activities, with few labels
==============================================

For anyone with recordings of several channels and unequal lengths, of which few have a label. Here
are four activities as six sensors record them, each from a random moment on. The picture shows what
a classifier reads out of the steps themselves, of their principal components, of fixed features,
and of what the default learns from these.
"""

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.datasets import make_activities
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.front_ends import RecordingFeatures
from sklearn_mi.plots import LabelEfficiencyDisplay

# %%
# A list of 200 recordings of 50 to 100 steps. The noise hides much of the movement.

recordings, activity = make_activities(200, unequal=True, noise=1.5, random_state=0)
print([recording.shape for recording in recordings[:4]])

# %%
# One channel of the first recording of each activity. Phase, pace and strength are drawn anew for
# each recording, so no step has a meaning of its own.

figure, axes = plt.subplots(4, 1, figsize=(7, 5), sharex=True, sharey=True, layout="constrained")
for ax, recording, name in zip(axes, recordings, activity, strict=False):
    strongest = recording.std(axis=0).argmax()
    ax.plot(recording[:, strongest], color="#0072B2", lw=1.2)
    ax.set_title(name, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
_ = ax.set_xlabel("step")

# %%
# All contestants are fitted without labels, in the same folds. ``RecordingFeatures`` is the first
# half of the default, alone: "values" are the steps side by side, padded by zeros; "blocks" adds
# convolutions and spectra. The default learns a code from the blocks and puts it beside them.

contestants = {
    "learned (the default)": MIRepresentationLearner(random_state=0),
    "front end alone": RecordingFeatures("blocks", random_state=0),
    "steps": RecordingFeatures("values"),
    "PCA of steps": make_pipeline(RecordingFeatures("values"), PCA(10, random_state=0)),
}
table = compare(
    contestants,
    recordings,
    activity,
    labels_per_class=(1, 2, 5, 20),
    n_folds=3,
    n_draws=10,
    probes=("logistic",),
    scales=("column",),
)
summary = summarise(table)
means = summary.pivot(index="name", columns="labels_per_class", values="mean")
print(means.loc[list(contestants)].round(2).to_string())

# %%
# Accuracy against the number of labelled recordings of each activity, with 95 % intervals over
# folds.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
_ = LabelEfficiencyDisplay.from_table(summary, ax=ax)
_ = ax.legend(loc="center right", bbox_to_anchor=(1, 0.62), frameon=False)

# %%
# Values side by side say little where a recording may start anywhere; shapes and spectra say nearly
# all. Training gains with one and two labels; from five on the front end alone is as good.
