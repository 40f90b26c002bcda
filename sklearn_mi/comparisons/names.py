"""The names of comparisons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn_mi._base import resolve
from sklearn_mi.comparisons.base import Comparison
from sklearn_mi.comparisons.local_global import LocalGlobal
from sklearn_mi.comparisons.multiview import Multiview
from sklearn_mi.comparisons.predictive import Predictive
from sklearn_mi.comparisons.whole import Parts, Whole

__all__ = ["COMPARISONS", "as_comparison"]

_AMDIM: dict[str, Any] = {
    "weight_prior": 0.0,
    "both_views": True,
    "scales": (("code", "conv3"), ("code", "conv2"), ("conv3", "conv3")),
    "clip": 20.0,
    "penalty": 0.05,
}


def as_comparison(value: Any) -> Comparison:
    """Return the comparison that a name or an object means.

    Parameters
    ----------
    value : str or Comparison

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If ``value`` is neither a name nor a Comparison.

    Examples
    --------
    >>> from sklearn_mi.comparisons import as_comparison
    >>> as_comparison("each-part")
    Parts()
    """
    comparison = resolve("comparison", value, COMPARISONS)
    if not isinstance(comparison, Comparison):
        raise TypeError(
            f"comparison={value!r}; expected one of {sorted(COMPARISONS)} or a Comparison."
        )
    return comparison


COMPARISONS: dict[str, Callable[[], Comparison]] = {
    "whole": Whole,
    "each-part": Parts,
    "dim": LocalGlobal,
    "amdim": partial(LocalGlobal, **_AMDIM),
    "cpc": Predictive,
    "cmc": Multiview,
}
