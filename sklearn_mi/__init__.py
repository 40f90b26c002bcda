"""sklearn-mi: mutual-information representation learning as scikit-learn transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sklearn_mi._version import __version__

if TYPE_CHECKING:
    from sklearn_mi._about import show_versions
    from sklearn_mi._base import InvalidModelError, MIWarning
    from sklearn_mi.information import MIEstimator
    from sklearn_mi.learner import MIRepresentationLearner, load
    from sklearn_mi.reports import MIEstimate
    from sklearn_mi.semi_supervised import (
        LabeledFold,
        SemiSupervisedClassifier,
        SemiSupervisedRegressor,
    )
    from sklearn_mi.training import NonFiniteLossError

_HOMES = {
    "InvalidModelError": "_base",
    "LabeledFold": "semi_supervised",
    "MIEstimate": "reports",
    "MIEstimator": "information",
    "MIRepresentationLearner": "learner",
    "MIWarning": "_base",
    "NonFiniteLossError": "training",
    "SemiSupervisedClassifier": "semi_supervised",
    "SemiSupervisedRegressor": "semi_supervised",
    "load": "learner",
    "show_versions": "_about",
}
# Their paths are promised; every other module may move.
PUBLIC_MODULES = (
    "bounds",
    "callbacks",
    "comparisons",
    "critics",
    "datasets",
    "diagnostics",
    "encoders",
    "ensemble",
    "evaluation",
    "front_ends",
    "information",
    "negatives",
    "objectives",
    "paper",
    "plots",
    "probes",
    "selection",
    "semi_supervised",
    "study",
    "summary",
    "views",
)

__all__ = [
    "InvalidModelError",
    "LabeledFold",
    "MIEstimate",
    "MIEstimator",
    "MIRepresentationLearner",
    "MIWarning",
    "NonFiniteLossError",
    "SemiSupervisedClassifier",
    "SemiSupervisedRegressor",
    "__version__",
    "load",
    "show_versions",
]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): importing the package must load neither torch nor matplotlib.
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in PUBLIC_MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *PUBLIC_MODULES})
