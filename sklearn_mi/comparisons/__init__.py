"""Comparisons: pick which codes are scored against which, as a list of score matrices a batch.

A comparison splits or combines the codes of one batch: whole codes (the default), parts of a code,
a global code against the places of a map, a context against later steps, several tables. Each
element of its list is an ordinary `Codes` with its own positives and negatives. Training maximises,
and reports state, the mean over the list.
"""

from sklearn_mi.comparisons.base import Codes, Comparison, ComparisonModule, mean_over
from sklearn_mi.comparisons.local_global import LocalGlobal
from sklearn_mi.comparisons.multiview import Multiview
from sklearn_mi.comparisons.names import COMPARISONS, as_comparison
from sklearn_mi.comparisons.predictive import Predictive
from sklearn_mi.comparisons.whole import Parts, Whole

__all__ = [
    "COMPARISONS",
    "Codes",
    "Comparison",
    "ComparisonModule",
    "LocalGlobal",
    "Multiview",
    "Parts",
    "Predictive",
    "Whole",
    "as_comparison",
    "mean_over",
]
