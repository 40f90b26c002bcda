"""Compare models of two tables by how well they find the partner of a row that they never saw."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_consistent_length

from sklearn_mi._base import positive_integer
from sklearn_mi._checks import (
    check_codes,
    check_container,
    check_names,
    check_own_folds,
    check_random_state,
    readable,
)
from sklearn_mi._compat import _num_samples, _safe_indexing
from sklearn_mi._progress import progress_bar
from sklearn_mi.evaluation.tables import _corrected_t
from sklearn_mi.workers import in_parallel

__all__ = ["compare_pairs", "summarise_pairs"]

ALPHAS = np.logspace(-3, 5, 9)
INNER_FOLDS = 5
SIZES = ("n_train", "n_test", "n_left_out")


class _Fold(NamedTuple):
    number: int
    train: NDArray[np.intp]
    test: NDArray[np.intp]

    def parts(self, table: Any) -> tuple[Any, Any]:
        return _safe_indexing(table, self.train), _safe_indexing(table, self.test)


class _Matched(NamedTuple):
    """Scores (n, n) of held-out rows, whose partners are on the diagonal, and codes of both."""

    scores: NDArray[Any]
    codes: NDArray[Any]
    codes_pair: NDArray[Any]


def compare_pairs(
    models: Mapping[str, Any],
    X: Any,
    Y: Any,
    *,
    latents: ArrayLike | None = None,
    k: int | Sequence[int] = (1, 10),
    groups: ArrayLike | None = None,
    n_folds: int = 5,
    cv: Any = None,
    count_shared: bool = True,
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    r"""Compare models of two tables, on rows that they did not see.

    In each fold a clone of a model is fitted to the training rows of both tables. Every held-out
    row of ``X`` is then scored against every held-out row of ``Y``, of which one is its partner.

    A model takes part in one of two ways. If ``fit`` has a parameter ``X_pair``, it is fitted by
    ``fit(X, X_pair=Y)`` and gives codes by ``transform`` and ``transform_pair``; scores are those
    of ``score_pairs``, if it has that. Any other is fitted by ``fit(X, Y)``, and
    ``transform(X, Y)`` gives both codes, as in `sklearn.cross_decomposition`. Codes without scores
    of their own are divided by their standard deviation on the training rows, and compared by
    cosine.

    Parameters
    ----------
    models : dict of str to estimator
        The contestants, by name.
    X, Y : array-like or data frame of shape (n_samples, ...)
        Two tables; row i of one is the partner of row i of the other.
    latents : array-like of shape (n_samples, n_latents), default=None
        What both tables share, if it is known.
    k : sequence of int, default=(1, 10)
        Numbers of candidates among which the partner is looked for.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group stay on one side of a fold.
    n_folds : int, default=5
    cv : int, splitter or iterable of (train, test), default=None
        Your own folds: anything that scikit-learn takes as ``cv``.
    count_shared : bool, default=True
        Whether to count the shared dimensions of the training rows, as `MIEstimator` does. It takes
        tables of numbers.
    random_state : int, RandomState or None, default=0
        Draws the folds. Models have a seed of their own.
    n_jobs : int, default=None
        Number of joblib's processes; a task is one model in one fold.
    verbose : int, default=0
        1 or more shows a progress bar over the folds of all models, with the time left.

    Returns
    -------
    table : DataFrame
        A row for each model and fold, with columns ``name``, ``fold``, ``recall@k`` for each k (the
        share of rows whose partner is among the k best candidates), ``matching`` (the share of
        right partners if each candidate is given to one row, so that the sum of the scores is
        largest), ``mean_rank`` (of the partner, 1 is best, ties count half), ``latent_r2`` and
        ``latent_r2_pair`` (of the latents, by ridge regression on held-out codes of ``X`` and of
        ``Y``, cross-validated), ``n_shared`` (dimensions that the tables share, the same for all
        models), ``fit_seconds``, ``n_train``, ``n_test`` and ``n_left_out``. What does not apply is
        nan.

    Raises
    ------
    ValueError
        If lengths differ, a fold has fewer rows than ``k`` asks for, or codes are not finite.

    See Also
    --------
    summarise_pairs : The table as means with intervals.

    Examples
    --------
    >>> from sklearn.cross_decomposition import PLSCanonical
    >>> from sklearn_mi.datasets import make_two_omics
    >>> from sklearn_mi.evaluation import compare_pairs
    >>> X, Y, shared = make_two_omics(150, 60, 40, n_shared=2, n_own=0, random_state=0)
    >>> table = compare_pairs({"PLS": PLSCanonical(2)}, X, Y, latents=shared, n_folds=3)
    >>> table[["recall@10", "latent_r2", "n_shared"]].round(1)
       recall@10  latent_r2  n_shared
    0        0.9        1.0         2
    1        0.9        1.0         2
    2        0.8        1.0         2
    """
    from sklearn_mi.rows import warn_of_labels  # which imports torch

    check_names("models", models)
    check_container("X", X)
    check_container("Y", Y)
    warn_of_labels(X, Y, "Y")
    X, Y = (X.tocsr() if issparse(X) else readable(X)), (Y.tocsr() if issparse(Y) else readable(Y))
    check_consistent_length(X, Y, latents, groups)
    _refuse_lacking("X", X)
    _refuse_lacking("Y", Y)
    folds = _folds(_num_samples(X), groups, n_folds, cv, random_state)
    smallest = min(len(fold.test) for fold in folds)
    ks: Sequence[int] = list(k) if isinstance(k, Iterable) else [k]
    for number in ks:
        if positive_integer("k", number) > smallest:
            raise ValueError(f"k={number}; expected at most {smallest}, the rows of a fold.")
    known = None if latents is None else check_codes("latents", latents)
    n_shared = [_n_shared(X, Y, fold) if count_shared else math.nan for fold in folds]
    contests = [(name, fold) for name in models for fold in folds]
    tasks = [
        delayed(_measured)(name, models[name], X, Y, fold, known, ks) for name, fold in contests
    ]
    with progress_bar(len(tasks), "fold", shown=verbose) as bar:
        found = list(in_parallel(tasks, n_jobs, bar))
    return pd.DataFrame(
        {
            "name": name,
            "fold": fold.number,
            **row,
            "n_shared": n_shared[fold.number],
            **dict(zip(SIZES, (len(fold.train), len(fold.test), len(fold.test)), strict=True)),
        }
        for (name, fold), row in zip(contests, found, strict=True)
    )


def _refuse_lacking(name: str, table: Any) -> None:
    """Refuse rows without any value: each held-out row is looked for by its partner."""
    values = getattr(table, "to_pandas", lambda: table)()
    if not isinstance(values, pd.DataFrame | np.ndarray) or values.ndim != 2:
        return
    lacks: Any = np.asarray(pd.DataFrame(values).isna()).all(axis=1)
    if not values.shape[1]:
        return
    if lacks.any():
        raise ValueError(
            f"{name} has {lacks.sum()} of {len(lacks)} rows without any value, the first being row "
            f"{lacks.argmax()}; compare_pairs looks for the partner of every row: drop these rows "
            "of both tables."
        )


def summarise_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each measure of `compare_pairs` over folds, with its interval.

    Parameters
    ----------
    table : DataFrame
        From `compare_pairs`. Concatenated tables that differ in ``random_state`` count every fold.

    Returns
    -------
    summary : DataFrame
        Columns ``name``, ``measure``, ``mean``, and ``low`` and ``high``, the ends of the 95 %
        interval, corrected for training rows that folds share, as in `summarise`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.evaluation import summarise_pairs
    >>> table = pd.DataFrame({
    ...     "name": "PLS", "fold": [0, 1, 2], "recall@10": [0.7, 0.9, 0.8],
    ...     "n_train": 100, "n_test": 50, "n_left_out": 50,
    ... })
    >>> summarise_pairs(table).round(2)
      name    measure  mean   low  high
    0  PLS  recall@10   0.8  0.41  1.19
    """
    absent = [name for name in ("name", "fold", "n_train", "n_left_out") if name not in table]
    if absent:
        raise ValueError(
            f"The table has no column {absent[0]!r}; it has {list(table)}. Expected what "
            "compare_pairs returns."
        )
    measures = [name for name in table if name not in ("name", "fold", "seed", *SIZES)]
    rows = []
    for name, folds in table.groupby("name", sort=False):
        for measure in measures:
            found = _corrected_t(folds[measure], folds)
            rows.append((name, measure, *list(found.values())[:3]))
    return pd.DataFrame(rows, columns=["name", "measure", "mean", "low", "high"])


def _folds(n: int, groups: Any, n_folds: int, cv: Any, random_state: Any) -> list[_Fold]:
    """Return the folds of rows, each group on one side."""
    generator = check_random_state(random_state)
    made = KFold if groups is None else GroupKFold
    own: Any = made(n_folds, shuffle=True, random_state=generator) if cv is None else cv
    splits = check_own_folds(own, n, groups=groups)
    return [_Fold(i, *split) for i, split in enumerate(splits)]


def _n_shared(X: Any, Y: Any, fold: _Fold) -> int:
    """Return the number of shared dimensions of the training rows of a fold."""
    from sklearn_mi.information import wide

    first, second = (
        check_codes(name, _safe_indexing(table, fold.train)) for name, table in (("X", X), ("Y", Y))
    )
    inner = np.random.default_rng(fold.number).permutation(len(fold.train)) % INNER_FOLDS
    found = wide.shared_dimensions(first, second, inner, seed=fold.number)
    return int(found["is_shared"].to_numpy().sum())


def _measured(
    name: str, model: Any, X: Any, Y: Any, fold: _Fold, latents: Any, k: Sequence[int]
) -> dict[str, float]:
    """Return what a model finds of the held-out rows of a fold."""
    (X_train, X_test), (Y_train, Y_test) = fold.parts(X), fold.parts(Y)
    start = time.perf_counter()
    twin = cast(Any, clone(model))
    takes_pair = "X_pair" in inspect.signature(twin.fit).parameters
    fitted = twin.fit(X_train, X_pair=Y_train) if takes_pair else twin.fit(X_train, Y_train)
    seconds = time.perf_counter() - start
    match = _match_own if takes_pair else _match_both
    matched = match(name, fitted, (X_train, Y_train), (X_test, Y_test))
    known = None if latents is None else latents[fold.test]
    return {
        **_ranked(matched.scores, k),
        "latent_r2": _r2(matched.codes, known),
        "latent_r2_pair": _r2(matched.codes_pair, known),
        "fit_seconds": seconds,
    }


def _match_own(name: str, fitted: Any, train: Any, test: Any) -> _Matched:
    """Match by a model with ``transform`` and ``transform_pair``."""
    codes = _checked(name, fitted.transform(test[0]), fitted.transform_pair(test[1]))
    if hasattr(fitted, "score_pairs"):
        return _Matched(np.asarray(fitted.score_pairs(*test)), *codes)
    seen = _checked(name, fitted.transform(train[0]), fitted.transform_pair(train[1]))
    return _Matched(_cosines(codes, seen), *codes)


def _match_both(name: str, fitted: Any, train: Any, test: Any) -> _Matched:
    """Match by a model whose ``transform`` takes both tables."""
    if not {"Y", "y"} & set(inspect.signature(fitted.transform).parameters):
        raise ValueError(
            f"{name!r} gives codes of one table; expected a model of two: one whose transform "
            "takes both, as PLSCanonical, or whose fit takes X_pair, as MIRepresentationLearner."
        )
    codes = _checked(name, *fitted.transform(*test))
    return _Matched(_cosines(codes, _checked(name, *fitted.transform(*train))), *codes)


def _checked(name: str, first: Any, second: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    of = f"Z, the codes of {name!r},"
    return check_codes(of, first), check_codes(of, second)


def _cosines(codes: Sequence[NDArray[Any]], seen: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return cosines of codes that are scaled as those of the training rows."""
    sides = []
    for Z, known in zip(codes, seen, strict=True):
        scaled = StandardScaler().fit(known).transform(Z)
        sides.append(scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-300))
    return sides[0] @ sides[1].T


def _ranked(scores: NDArray[Any], k: Sequence[int]) -> dict[str, float]:
    """Return how well scores find the partners, which are on the diagonal."""
    own = scores.diagonal()[:, None]
    ties = (scores == own).sum(1) - 1
    ranks = 1 + (scores > own).sum(1) + ties / 2
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return {
        **{f"recall@{number}": float((ranks <= number).mean()) for number in k},
        "matching": float((rows == columns).mean()),
        "mean_rank": float(ranks.mean()),
    }


def _r2(Z: NDArray[Any], latents: NDArray[Any] | None) -> float:
    """Return the share of the latents' variance that ridge regression on codes explains."""
    if latents is None:
        return math.nan
    ridge = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
    predicted = cross_val_predict(ridge, Z, latents, cv=INNER_FOLDS)
    return float(r2_score(latents, predicted))
