"""Compare representations by simple models of few labelled rows, over folds and label counts.

`compare` makes a table from anything with ``fit`` and ``transform``; `summarise` and `differences`
read it. `compare_pairs` and `summarise_pairs` do the same for models of two tables. The probes of
`sklearn_mi.probes` can be imported from here, too.
"""

from sklearn_mi.evaluation.contests import DIAGNOSTICS as DIAGNOSTICS
from sklearn_mi.evaluation.contests import compare
from sklearn_mi.evaluation.label_free import CRITERIA as CRITERIA
from sklearn_mi.evaluation.label_free import label_free_score
from sklearn_mi.evaluation.pairs import compare_pairs, summarise_pairs
from sklearn_mi.evaluation.tables import differences, summarise
from sklearn_mi.probes import (
    best_readout,
    knn_probe,
    linear_probe,
    mlp_probe,
    paper_probe,
    v_information,
)

__all__ = [
    "best_readout",
    "compare",
    "compare_pairs",
    "differences",
    "knn_probe",
    "label_free_score",
    "linear_probe",
    "mlp_probe",
    "paper_probe",
    "summarise",
    "summarise_pairs",
    "v_information",
]
