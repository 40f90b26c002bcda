"""Prepare everything that a training needs from checked rows, by pure functions.

Nothing here changes the learner. It stores what `prepare` returns once everything is ready.
"""

from sklearn_mi.preparation.assembly import prepare
from sklearn_mi.preparation.held_out import EVALUATION_SEED, report
from sklearn_mi.preparation.inputs import Given, Known, early_view, read_data
from sklearn_mi.preparation.nets import PRECISIONS, check_settings, make_net
from sklearn_mi.preparation.runs import Earlier, Run, fingerprint_of, keeper_of, said_alike

__all__ = [
    "EVALUATION_SEED",
    "PRECISIONS",
    "Earlier",
    "Given",
    "Known",
    "Run",
    "check_settings",
    "early_view",
    "fingerprint_of",
    "keeper_of",
    "make_net",
    "prepare",
    "read_data",
    "report",
    "said_alike",
]
