"""Estimating mutual information: the estimator, its results, and features ranked by information.

`MIEstimator` fits critics to some rows, stops and chooses on others, and reports on the rest, in
turn. It keeps two numbers apart: a bound with a lower limit, and a best guess.
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
