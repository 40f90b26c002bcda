"""Estimate mutual information between two tables, and rank columns by it.

`MIEstimator` scores each fold of rows with critics, models of the log-ratio, that were fitted to
the other folds. It keeps two numbers apart: a bound with a lower limit, and a best guess.
"""

from sklearn_mi.information.copulas import NormalScores
from sklearn_mi.information.estimator import MIEstimator
from sklearn_mi.information.features import mutual_info_features, mutual_info_table
from sklearn_mi.information.inference import Independence, Refutation
from sklearn_mi.information.neighbors import neighbors_mi

__all__ = [
    "Independence",
    "MIEstimator",
    "NormalScores",
    "Refutation",
    "mutual_info_features",
    "mutual_info_table",
    "neighbors_mi",
]
