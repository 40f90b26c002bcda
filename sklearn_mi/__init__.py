"""sklearn-mi: mutual-information representation learning as scikit-learn transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sklearn_mi._version import __version__

if TYPE_CHECKING:
    from sklearn_mi._base import MIWarning
    from sklearn_mi.estimators import MIRepresentationLearner
    from sklearn_mi.information import MIEstimator
    from sklearn_mi.persistence import load
    from sklearn_mi.reports import MIEstimate

_HOMES = {
    "MIEstimate": "reports",
    "MIEstimator": "information",
    "MIRepresentationLearner": "estimators",
    "MIWarning": "_base",
    "load": "persistence",
}
_MODULES = (
    "adversarial",
    "augmentations",
    "bounds",
    "choices",
    "copulas",
    "critics",
    "datasets",
    "diagnostics",
    "encoders",
    "ensemble",
    "estimators",
    "evaluation",
    "information",
    "objectives",
    "paper",
    "persistence",
    "plots",
    "probes",
    "ratios",
    "reports",
    "selection",
    "study",
    "training",
    "views",
)

__all__ = [
    "MIEstimate",
    "MIEstimator",
    "MIRepresentationLearner",
    "MIWarning",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): importing the package must load neither torch nor matplotlib.
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
