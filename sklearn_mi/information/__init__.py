"""Estimate mutual information between two tables, and rank columns by it.

`MIEstimator` scores each fold of rows with critics, models of the log-ratio, that were fitted to
the other folds. It keeps two numbers apart: a bound with a lower limit, and a best guess.
"""

from sklearn_mi.information.copulas import NormalScores
from sklearn_mi.information.estimator import MIEstimator
from sklearn_mi.information.features import mutual_info_features, mutual_info_table
from sklearn_mi.information.inference import Independence
from sklearn_mi.information.lags import mutual_info_lags
from sklearn_mi.information.neighbors import neighbors_mi
from sklearn_mi.information.refutation import Refutation
from sklearn_mi.information.selector import MutualInfoSelector

__all__ = [
    "Independence",
    "MIEstimator",
    "MutualInfoSelector",
    "NormalScores",
    "Refutation",
    "mutual_info_features",
    "mutual_info_lags",
    "mutual_info_table",
    "neighbors_mi",
]
