"""
Texts with few labels
=====================

For anyone with many texts and few labels. Here are the docstrings of scipy's functions: which part
of scipy does each one come from? Words are counted by scikit-learn's ``TfidfVectorizer``; the
learner reduces them to topics and learns from texts of close topics.
"""

import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, summarise
from sklearn_mi.plots import EmbeddingDisplay, LabelEfficiencyDisplay

# %%
# Public functions and classes of eight parts of scipy. The names of the parts are no words here, as
# they would give the answer away.

parts = ("interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "special", "stats")
texts, labels = [], []
for part in parts:
    module = importlib.import_module(f"scipy.{part}")
    things = [getattr(module, name) for name in module.__all__]
    found = {inspect.getdoc(thing) for thing in things if callable(thing)}
    texts += sorted(text for text in found if text and len(text.split()) > 20)
    labels += [part] * (len(texts) - len(labels))
y = np.array(labels)
words = TfidfVectorizer(
    sublinear_tf=True, max_features=1000, stop_words=[*ENGLISH_STOP_WORDS, "scipy", *parts]
)
X = words.fit_transform(texts)
print(X.shape)
print(pd.Series(y).value_counts().to_string())

# %%
# All contestants see the same folds and the same labelled texts. "LSA" is what the learner starts
# from: latent semantic analysis, a truncated singular value decomposition.

contestants = {
    "learned": MIRepresentationLearner(effort="quick", random_state=0),
    "LSA": make_pipeline(TruncatedSVD(128, random_state=0), Normalizer()),
    "TF-IDF": None,
}
table = compare(
    contestants,
    X,
    y,
    labels_per_class=(1, 5, 20),
    n_folds=3,
    n_draws=5,
    probes=("logistic",),
    scales=("common",),
)
summary = summarise(table)
means = summary.pivot(index="name", columns="labels_per_class", values="mean")
print(means.loc[[*contestants]].round(2).to_string())

# %%
# Accuracy against the number of labelled texts of each part.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
display = LabelEfficiencyDisplay.from_table(summary, ax=ax)
_ = ax.legend(loc="lower right", frameon=False)

# %%
# A map of all texts by their codes, which were learned without labels.

learner = MIRepresentationLearner(effort="quick", output="first", random_state=0)
codes = learner.fit_transform(X)
figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
display = EmbeddingDisplay.from_codes(codes, y, method="tsne", ax=ax)

# %%
# The fewer the labels, the more the learned features are worth; with twenty a class, all three are
# close. Each part of scipy falls into a few groups, such as the distributions of ``stats``.
