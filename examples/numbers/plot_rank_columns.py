"""
Ranking the columns of wine
===========================

For anyone who chooses columns by ``mutual_info_classif``.
`sklearn_mi.information.mutual_info_table` gives the same ranking with intervals and p-values, and
`sklearn_mi.information.MutualInfoSelector` leaves out columns that repeat others.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi.information import MutualInfoSelector, mutual_info_table
from sklearn_mi.plots import ColumnsDisplay

X, y = load_wine(return_X_y=True, as_frame=True)
X = X.rename(columns={"od280/od315_of_diluted_wines": "od280/od315"})

# %%
# What each of thirteen measurements tells about the three cultivars, in nats. Certainty would be
# 1.09. ``p_adjusted`` is adjusted for the number of columns (Benjamini and Hochberg).

table = mutual_info_table(X, y)
table["scikit-learn"] = mutual_info_classif(X, y, random_state=0)
shown = table.sort_values("value", ascending=False)
columns = ["scikit-learn", "value", "low", "high", "p_adjusted"]
print(shown[columns].to_string(float_format="{:.2g}".format))

# %%
# Both rank by nearest neighbours. With 178 rows the intervals of neighbours in the ranking
# overlap, so their order is not certain; that all of them tell something is.

plt.rcParams["font.size"] = 12
display = ColumnsDisplay.from_table(table)

# %%
# The best columns one by one are not the best set: several of them measure the same. The selector
# takes the next column by what it tells, less what it shares with those taken ("mrmr"), or by what
# it tells beside them ("jmi", "cmim").

for criterion in ("relevance", "mrmr", "jmi", "cmim"):
    selector = MutualInfoSelector(4, criterion=criterion).fit(X, y)
    order = selector.ranking_.argsort()[:4]
    model = make_pipeline(selector, StandardScaler(), LogisticRegression())
    accuracy = cross_val_score(model, X, y, cv=10).mean()
    print(f"{criterion:9} {accuracy:.1%}", *X.columns[order], sep="  ")

# %%
# In a Pipeline the selector sees training rows only. With ``fdr=0.05`` it stops by itself, where
# columns are no longer significant.
