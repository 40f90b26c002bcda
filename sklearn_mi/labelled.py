"""Targets of which some rows have none: what stands for a missing one in each container."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from sklearn_mi._base import MIWarning, is_auto
from sklearn_mi._checks import readable

__all__ = ["rows_of_labels", "unlabelled", "values_of", "warn_of_markers"]

# Texts into which numpy and spreadsheets turn a missing label; "none" alone may be a class.
NO_LABELS = ("", "-1", "-1.0", "nan", "<na>", "nat")


def values_of(y: Any) -> NDArray[Any]:
    """Return targets as one array of their own kind.

    Parameters
    ----------
    y : array-like of shape (n,)
        A list may mix numbers or text with None.

    Returns
    -------
    values : ndarray of shape (n,)
        Whole numbers stay whole, also beside missing ones; what is masked is None.

    Raises
    ------
    ValueError
        If there is none, or it has another shape.
    """
    if y is None:
        raise ValueError(
            "This requires y to be passed, but the target y is None: pass the labels, with -1, "
            "None or NaN for rows that have none."
        )
    if _is_list(y):
        listed = pd.Series(y, dtype=object)
        is_whole = any(isinstance(value, Integral) for value in y)
        array = listed.infer_objects().to_numpy()
        array = listed.to_numpy() if is_whole and array.dtype.kind == "f" else array
    else:
        array = np.asarray(_as_objects(y) if _has_whole_numbers(y) else readable(y))
    return column_or_1d(array, warn=True)


def _has_whole_numbers(y: Any) -> bool:
    """Return whether a column holds whole numbers and gaps, which numpy would take for floats."""
    column = y.iloc[:, 0] if isinstance(y, pd.DataFrame) and y.shape[1] == 1 else y
    if hasattr(y, "to_series") and len(y.shape) == 2 and y.shape[1] == 1:  # of polars
        column = y.to_series()
    dtype: Any = getattr(column, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return dtype.categories.dtype.kind in "iu"
    if hasattr(dtype, "is_integer"):  # of polars
        return dtype.is_integer()
    return isinstance(dtype, pd.api.extensions.ExtensionDtype) and dtype.kind in "iu"


def _is_list(y: Any) -> bool:
    return isinstance(y, list | tuple) and not any(np.ndim(value) for value in y)


def _as_objects(y: Any) -> Any:
    if hasattr(y, "astype"):
        return y.astype(object)
    if len(y.shape) == 2:  # a frame of polars
        return np.array(y.to_series().to_list(), dtype=object)[:, None]
    return np.array(y.to_list(), dtype=object)


def unlabelled(y: NDArray[Any], marker: Any) -> NDArray[np.bool_]:
    """Return which rows have no label: by the marker, or by what their kind of label says.

    Parameters
    ----------
    y : ndarray of shape (n,)
        From `values_of`.
    marker : object
        What stands for no label; "auto": -1 among whole numbers and objects, and what is missing.

    Returns
    -------
    unlabelled : ndarray of bool of shape (n,)
    """
    missing = np.asarray(pd.isna(y))
    if not is_auto(marker) and np.ndim(marker):
        raise ValueError(f"unlabeled={marker!r}; expected one value, or 'auto'.")
    if is_auto(marker):
        return missing | _equal(y, missing, -1) if y.dtype.kind in "iO" else missing
    return missing if pd.isna(marker) else _equal(y, missing, marker)


def _equal(y: NDArray[Any], missing: NDArray[np.bool_], marker: Any) -> NDArray[np.bool_]:
    """Return which values equal a marker; a missing one may not even be compared."""
    pairs = zip(y.tolist(), missing, strict=True)
    return np.array([not is_missing and value == marker for value, is_missing in pairs], bool)


def rows_of_labels(y: Any, marker: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the targets, and the numbers of the rows that have one; at least one must.

    Parameters
    ----------
    y : array-like of shape (n,)
    marker : object
        As in `unlabelled`.

    Returns
    -------
    values : ndarray of shape (n,)
    rows : ndarray of int
    """
    values = values_of(y)
    labelled = np.flatnonzero(~unlabelled(values, marker))
    if not len(labelled):
        raise ValueError(
            f"y has no label in {len(values)} rows with unlabeled={marker!r}; expected at least "
            "one. Without any label use MIRepresentationLearner alone."
        )
    return values, labelled


def warn_of_markers(classes: NDArray[Any], marker: Any) -> None:
    """Warn of classes that look like what stands for no label elsewhere.

    Parameters
    ----------
    classes : ndarray of shape (n_labelled,)
        Of labelled rows.
    marker : object
        As in `unlabelled`; only "auto" leaves it open.
    """
    if not is_auto(marker):
        return
    found = np.unique(classes)
    if found.dtype.kind == "U":
        marks = [name for name in found.tolist() if name.strip().lower() in NO_LABELS]
    else:
        marks = [value for value in found.tolist() if value == -1 and len(found) > 2]
    if marks:
        n = int((classes == marks[0]).sum())
        warnings.warn(
            f"y holds {marks[0]!r} in {n} of {len(classes)} rows, which counts as a class; pass "
            f"unlabeled={marks[0]!r} if these rows have no label.",
            MIWarning,
            stacklevel=2,
        )
