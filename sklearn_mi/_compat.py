"""Private names of scikit-learn, and what differs between its releases: the one place for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn import get_config
from sklearn.utils import _safe_indexing
from sklearn.utils._array_api import (
    _convert_to_numpy,
    _is_numpy_namespace,
    device,
    get_namespace,
    get_namespace_and_device,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    _get_feature_names,
    _num_samples,
)

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_check_feature_names",
    "_check_feature_names_in",
    "_convert_to_numpy",
    "_get_feature_names",
    "_num_samples",
    "_safe_indexing",
    "check_same_namespace",
    "device",
    "get_namespace",
    "in_container",
]


def _check_same_namespace(X: Any, estimator: Any, *, attribute: str, method: str) -> None:
    """Refuse rows of another namespace or device than the estimator was fitted on."""
    if not get_config()["array_api_dispatch"]:
        return
    known, _, known_device = get_namespace_and_device(getattr(estimator, attribute))
    given, _, given_device = get_namespace_and_device(X)
    # Sparse rows have no device, and belong to numpy.
    if _is_numpy_namespace(known) and _is_numpy_namespace(given):
        return
    if (known, known_device) != (given, given_device):
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace "
            f"and the same device as those passed to fit(): {known.__name__} on {known_device}, "
            f"not {given.__name__} on {given_device}."
        )


def in_container(
    codes: Any, rows: Any, estimator: Any, names: Callable[[], Any], method: str = "transform"
) -> Any:
    """Return codes as ``set_output`` asks of a method; names are made where they are needed.

    scikit-learn does so for ``transform`` itself, and for no method of another name.
    """
    wanted = _get_output_config(method, estimator)["dense"]
    if wanted == "default":
        return codes
    adapter = ADAPTERS_MANAGER.adapters[wanted]
    return adapter.create_container(codes, rows, columns=names)


try:
    from sklearn.utils._array_api import check_same_namespace  # pyright: ignore
except ImportError:  # scikit-learn 1.8
    check_same_namespace = _check_same_namespace
