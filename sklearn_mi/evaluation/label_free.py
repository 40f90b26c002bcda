"""A score without labels, for a grid search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from sklearn_mi._base import resolve
from sklearn_mi._compat import _safe_indexing
from sklearn_mi.diagnostics import alpha_req, cluster_stability, effective_rank, uniformity

__all__ = ["label_free_score"]


def label_free_score(
    estimator: Any,
    X: ArrayLike,
    y: Any = None,
    *,
    criterion: str = "cluster-stability",
    max_rows: int = 2000,
) -> float:
    """Score a fitted transformer without labels, so that a grid search can choose settings.

    Pass it to a grid search: ``GridSearchCV(learner, grid, scoring=label_free_score)``. Without
    ``scoring`` a grid search takes the learner's own ``score``, a held-out bound, which does not
    tell which setting gives good features and cannot compare views. None of the criteria is
    accuracy; the page "Choosing without labels" shows how well each predicts it over some hundred
    settings. If you have a few labels, score a probe on them instead.

    Parameters
    ----------
    estimator : transformer
        Anything with ``transform``, fitted.
    X : array-like of shape (n_samples, ...)
        Rows, preferably ones that the fit did not see.
    y : None
        Ignored.
    criterion : {"cluster-stability", "effective-rank", "alpha-req", "uniformity"}
        From `sklearn_mi.diagnostics`, with the sign at which more is meant to be better. For
        "uniformity" that is minus the uniformity; for "alpha-req", minus the distance of the
        exponent from 1. Codes are not scaled.
    max_rows : int
        Use at most the first ``max_rows`` rows, since uniformity and stability take time.

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If ``criterion`` is not a known name, or the codes are not a table of finite numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mi.evaluation import label_free_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> grid = GridSearchCV(PCA(), {"n_components": [2, 8]}, scoring=label_free_score, cv=2)
    >>> grid.fit(X).best_params_
    {'n_components': 8}
    """
    value = resolve("criterion", criterion, CRITERIA)
    rows = _safe_indexing(X, slice(max_rows))
    return float(value(estimator.transform(rows)))


CRITERIA: dict[str, Callable[[], Callable[[NDArray[Any]], float]]] = {
    "cluster-stability": lambda: cluster_stability,
    "effective-rank": lambda: effective_rank,
    "alpha-req": lambda: lambda Z: -abs(alpha_req(Z) - 1),
    "uniformity": lambda: lambda Z: -uniformity(Z),
}
