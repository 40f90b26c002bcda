"""
Shared dimensions of two wide tables
====================================

For whoever has two tables about the same samples, each with more columns than rows, such as genes
and metabolites, and wants to know how many directions they share. Here 700 simulated samples have
2,000 and 300 columns. Four latents are in both tables, and each table has five of its own.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.preprocessing import StandardScaler

from sklearn_mi.compression import PairCompression

rng = np.random.default_rng(0)
n, shared = 700, rng.normal(size=(700, 4))


def measured(n_columns):
    own = 2 * rng.normal(size=(n, 5))
    loadings = np.sqrt(10 / n_columns) * rng.normal(size=(9, n_columns))
    return np.hstack([shared, own]) @ loadings + rng.normal(size=(n, n_columns))


X, Y = measured(2000), measured(300)
X_train, X_test, Y_train, Y_test = X[:500], X[500:], Y[:500], Y[500:]

# %%
# The compression takes the components of each table that stand out of its noise, then the
# directions of these that correlate. Pairs of codes without a correlation are dropped.

compression = PairCompression(random_state=0).fit(X_train, Y_train)
codes = compression.transform(X_test, Y_test)
print(f"pairs of codes: {codes[0].shape[1]}")

# %%
# Beside it stand canonical correlation analysis (CCA) and partial least squares (PLS), with ten
# pairs of codes each.

scale_x, scale_y = StandardScaler().fit(X_train), StandardScaler().fit(Y_train)
train = scale_x.transform(X_train), scale_y.transform(Y_train)
test = scale_x.transform(X_test), scale_y.transform(Y_test)
pairs = {
    "compression": codes,
    "PLS": PLSCanonical(10).fit(*train).transform(*test),
    "CCA": CCA(10, tol=1e-2).fit(*train).transform(*test),
}


def correlations(first, second):
    return [np.corrcoef(u, v)[0, 1] for u, v in zip(first.T, second.T, strict=True)]


for name, pair in pairs.items():
    print(f"{name:<11}", np.round(correlations(*pair), 2))

# %%
# How much each pair of codes correlates on the 200 samples that were not used. Random pairs stay
# within the grey band nineteen times of twenty.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
colours = {"compression": "#D55E00", "PLS": "#0072B2", "CCA": "#009E73"}
for name, pair in pairs.items():
    r = correlations(*pair)
    ax.plot(range(1, len(r) + 1), r, "o-", color=colours[name], label=name)
ax.axhspan(-1.96 / np.sqrt(200), 1.96 / np.sqrt(200), color="0.9")
ax.set(
    xlabel="pair of codes", ylabel="correlation, new samples", ylim=(-0.3, 1), xticks=range(1, 11)
)
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False)

# %%
# The compression keeps four pairs, one for each shared latent. The pairs of PLS mix shared latents
# with those that vary most in one table, and with more columns than rows CCA fits noise.
