"""
What leaks without groups: several recordings of one patient
============================================================

For anyone with several recordings of each subject, and a label that belongs to the subject. Here
the gait of 24 patients is simulated. A coin decides who is ill, and nothing in a recording depends
on it. So no classifier can be better than a coin on a new patient, and whatever seems better is a
leak. The data are simulated, since sets such as JapaneseVowels come with aeon, which asks for older
releases of pandas and numpy than this page is built with; and only here is the truth known.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.front_ends import RecordingFeatures

# %%
# Eight recordings of each patient, of 60 to 100 steps in three channels. A patient has a pace and a
# form of the swing of his or her own; phase and noise are new in each recording.

rng = np.random.default_rng(0)
n_patients, n_each = 24, 8
patients = np.repeat(np.arange(n_patients), n_each)
is_ill = rng.permutation(np.arange(n_patients) % 2 == 0)
pace = rng.uniform(0.04, 0.08, n_patients)
form = rng.normal(size=(n_patients, 4, 3))


def gait(patient):
    """Return one recording of a patient."""
    angle = 2 * np.pi * (pace[patient] * np.arange(rng.integers(60, 101)) + rng.uniform())
    waves = np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], axis=1)
    return waves @ form[patient] + rng.normal(size=(len(waves), 3))


recordings = [gait(patient) for patient in patients]
labels = np.where(is_ill, "ill", "healthy")[patients]

# %%
# The same contestants, once in folds of recordings and once in folds of patients: ``groups`` keeps
# all recordings of a patient on one side.

contestants = {
    "steps": RecordingFeatures("values"),
    "front end alone": RecordingFeatures("blocks", random_state=0),
    "learned (the default)": MIRepresentationLearner(effort="quick", random_state=0),
}
found = {}
for split, groups in [("recordings", None), ("patients", patients)]:
    table = compare(
        contestants,
        recordings,
        labels,
        groups=groups,
        labels_per_class=(None,),
        n_folds=3,
        probes=("logistic",),
        scales=("column",),
    )
    found[split] = summarise(table).set_index("name")["mean"]
accuracy = pd.DataFrame(found).loc[list(contestants)]
accuracy.columns.name = "folds of"
print(accuracy.round(2).to_string())

# %%
# Accuracy in both kinds of folds. The line is the coin.

figure, ax = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
ax.hlines(accuracy.index, *accuracy.T.to_numpy(), color="0.8", lw=3, zorder=0)
for (split, values), colour in zip(accuracy.items(), ("#D55E00", "#0072B2"), strict=True):
    ax.plot(values, values.index, "o", color=colour, ms=9, label=f"folds of {split}")
ax.axvline(0.5, color="0.3", lw=1)
ax.set(xlabel="accuracy on held-out recordings", xlim=(0.3, 1))
ax.set_ylim(2.4, -0.4)
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# Good features tell patients apart, so a classifier finds siblings in the training part and copies
# their label. Steps side by side do not, so they leak nothing. Folds of patients show that there is
# nothing to find. In a grid or a Pipeline, ``GroupKFold`` does the same.
