"""The information of each column about a target: scores for `SelectKBest`, or a full table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.utils import check_consistent_length

from sklearn_mi._checks import check_random_state, check_values
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.estimator import MIEstimator
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.independence import Dependence, IndependenceTest
from sklearn_mi.information.neighbors import few_columns_guess
from sklearn_mi.information.tables import TableReader, as_frame
from sklearn_mi.reports import MIEstimate

__all__ = ["mutual_info_features", "mutual_info_table"]

FEWEST_ROWS = 8
FEW_TARGETS = 2
UNSEEN = 3  # standard errors


def mutual_info_features(
    X: Any,
    Y: Any,
    *,
    estimator: MIEstimator | None = None,
    discrete_target: bool | str = "auto",
    groups: Any = None,
    random_state: Any = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Score every column of X by its mutual information with Y, for ``SelectKBest``.

    It sees dependence of any shape, in columns of numbers, counts and categories alike, and unlike
    `sklearn.feature_selection.mutual_info_regression` it returns p-values too, so that
    ``SelectFdr`` works.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Numbers or categories; each column is scored by itself.
    Y : array-like of shape (n_samples,) or (n_samples, n_features_y)
        The target: numbers, one category, or several columns.
    estimator : MIEstimator, default=None
        As for `mutual_info_table`.
    discrete_target : bool or "auto", default="auto"
        As for `mutual_info_table`.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group may depend on one another.
    random_state : int, RandomState or None, default=0
        Breaks ties.

    Returns
    -------
    scores, pvalues : ndarray of shape (n_features,)
        The best guess in nats, and the p-value of a test of independence, not adjusted for the
        number of columns.

    See Also
    --------
    mutual_info_table : The same with intervals, as a table.
    MutualInfoSelector : Columns that do not repeat each other.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.feature_selection import SelectKBest
    >>> from sklearn_mi.information import mutual_info_features
    >>> X, y = load_iris(return_X_y=True)
    >>> SelectKBest(mutual_info_features, k=2).fit(X, y).get_support().tolist()
    [False, False, True, True]
    """
    table = mutual_info_table(
        X,
        Y,
        estimator=estimator,
        discrete_target=discrete_target,
        groups=groups,
        random_state=random_state,
    )
    return table["value"].to_numpy(), table["p_value"].to_numpy()


def mutual_info_table(
    X: Any,
    Y: Any,
    *,
    estimator: MIEstimator | None = None,
    discrete_target: bool | str = "auto",
    confidence: float = 0.95,
    groups: Any = None,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Return the mutual information of every column of X with Y, with intervals and p-values.

    It sees dependence of any shape. Columns of few values are counted. In others, atoms and
    categories apart, nearest neighbours on ranks give the value; where they cannot tell it from 0,
    or see what the test does not, it is half of the sum of squared correlations between functions
    of the ranks, which has a smaller error. If Y has three columns or more, each column of X is
    given to ``MIEstimator("closed-form")``; where this misses what one column of Y tells alone, the
    value is that of this column.

    The p-value is that of a test by functions of the ranks
    (`sklearn_mi.information.independence.IndependenceTest`). ``p_adjusted`` is that of Benjamini
    and Hochberg: of the columns below .05, on average at most 5 % are independent of Y. The test
    has more power than the interval, which may reach 0 where the p-value is small.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Numbers or categories; each column is taken by itself.
    Y : array-like of shape (n_samples,) or (n_samples, n_features_y)
        The target: numbers, one category, or several columns.
    estimator : MIEstimator, default=None
        Cloned for each column in place of the default, with its own confidence and
        ``random_state``, and its own test where ``split_test`` is True. It takes seconds a column.
    discrete_target : bool or "auto", default="auto"
        Whether Y is a category; for the default alone. "auto": one column of text or booleans, or
        of numbers whose few values recur.
    confidence : float, default=0.95
        Of the intervals.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group may depend on one another. At least twenty groups are needed for p-values
        that hold.
    random_state : int, RandomState or None, default=0
        Breaks ties.

    Returns
    -------
    table : DataFrame
        One row for each column of X: ``value``, ``stderr``, ``low``, ``high`` and ``lower_limit``
        in nats, ``p_value``, ``p_adjusted``, ``how`` the value was computed, and ``warnings``.
        ``low`` and ``high`` are the ends of the interval. ``lower_limit`` is that of a held-out
        bound, nan for the default with at most two columns of Y, which has none.

    Raises
    ------
    ValueError
        If rows or parameters are not valid; the message names the cure.

    References
    ----------
    Controlling the False Discovery Rate (Benjamini & Hochberg, 1995),
    https://doi.org/10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_mi.information import mutual_info_table
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(500, 3)), columns=["bent", "straight", "noise"])
    >>> y = X["bent"] ** 2 + X["straight"] + rng.normal(size=500)
    >>> table = mutual_info_table(X, y)
    >>> (table["p_adjusted"] < 0.05).to_dict()
    {'bent': True, 'straight': True, 'noise': False}
    """
    frame = as_frame(X)
    _check(frame, Y, estimator, confidence)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    labels = None
    if groups is not None:
        labels = pd.factorize(check_values("groups", groups, len(frame)))[0]
    columns = [frame.iloc[:, [j]] for j in range(frame.shape[1])]
    if estimator is not None and estimator.split_test:
        rows = [_by_estimator(estimator, column, Y, labels) for column in columns]
    else:
        x, y = TableReader("X", frame).columns(frame), _target(Y, discrete_target)
        ways = _Ways(y, Y, estimator, confidence, labels, seed)
        rows = [ways.row(_column(x, j), column) for j, column in enumerate(columns)]
    table = pd.DataFrame(rows, index=frame.columns)
    table["p_adjusted"] = false_discovery_control(table["p_value"])
    return table.loc[:, _COLUMNS]


_COLUMNS = ["value", "stderr", "low", "high", "lower_limit"]
_COLUMNS += ["p_value", "p_adjusted", "how", "warnings"]


def _check(frame: pd.DataFrame, Y: Any, estimator: Any, confidence: float) -> None:
    if estimator is not None and not isinstance(estimator, MIEstimator):
        raise ValueError(f"estimator={estimator!r}; expected an MIEstimator or None.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r}; expected a number between 0 and 1.")
    if Y is None:
        raise ValueError("Y=None; expected a target, one value or one row for each row of X.")
    check_consistent_length(frame, Y)
    if len(frame) < FEWEST_ROWS:
        raise ValueError(
            f"X has n_samples={len(frame)}; expected at least {FEWEST_ROWS} rows, since fewer tell "
            "nothing of a dependence."
        )


def _target(Y: Any, discrete_target: bool | str) -> Coded:
    """Return the target as numbers, or as codes of classes."""
    reader = TableReader("Y", Y)
    if len(reader.row_shape) > 1:
        raise ValueError(
            f"Y has rows of shape {reader.row_shape}; expected one value or one row of a table for "
            "each row of X: pass estimator=MIEstimator(encoder_y=...)."
        )
    return reader.columns(Y, as_class=reader.is_class(discrete_target))


def _column(table: Coded, j: int) -> Coded:
    return Coded(table.values[:, [j]], table.nominal[[j]])


class _Ways:
    """The ways to the numbers of a column, all about one target."""

    def __init__(
        self,
        y: Coded,
        Y: Any,
        estimator: MIEstimator | None,
        confidence: float,
        groups: np.ndarray | None,
        seed: int,
    ) -> None:
        self._y, self._Y, self._estimator, self._groups = y, Y, estimator, groups
        self._options: dict[str, Any] = {"confidence": confidence, "seed": seed, "groups": groups}
        self._test = IndependenceTest(y, groups, seed)
        self._parts: list[IndependenceTest] = []
        if estimator is None and y.values.shape[1] > FEW_TARGETS:
            self._estimator = MIEstimator(
                "closed-form",
                copulas=("gaussian", "student"),
                n_folds=2,
                confidence=confidence,
                split_test=False,
                random_state=seed,
            )
            targets = [_column(y, k) for k in range(y.values.shape[1])]
            self._parts = [IndependenceTest(target, groups, seed) for target in targets]

    def row(self, x: Coded, column: pd.DataFrame) -> dict[str, Any]:
        """Return the numbers of one column."""
        found = self._test(x)
        if self._estimator is None:
            guess = few_columns_guess(x, self._y, **self._options)
            guess = _of_weak(guess, found, 1 - self._options["confidence"])
            row = _as_row(guess, guess.how)
        else:
            row = _by_estimator(self._estimator, column, self._Y, self._groups)
            if self._parts:
                row = self._at_least_one_target(x, row)
        return {**row, "p_value": found.p_value}

    def _at_least_one_target(self, x: Coded, row: dict[str, Any]) -> dict[str, Any]:
        """Return another row if all columns of Y in closed form miss what one of them tells."""
        p_values = [test(x).p_value for test in self._parts]
        k = int(np.argmin(p_values))
        if len(p_values) * p_values[k] > 1 - self._options["confidence"]:
            return row
        guess = few_columns_guess(x, _column(self._y, k), **self._options)
        if guess.interval[0] <= row["value"]:
            return row
        fact = (
            f"column {k} of Y alone tells more than all columns in closed form, which misses "
            "dependence that is not monotone; all together tell at least as much"
        )
        alone = replace(
            guess,
            interval=(guess.interval[0], math.inf),
            how=f"{guess.how}, one column of Y",
            warnings=(*guess.warnings, fact),
        )
        return _as_row(alone, alone.how, row["lower_limit"])


def _of_weak(guess: Guess, found: Dependence, level: float) -> Guess:
    """Return a better value where neighbours cannot tell it from 0, or the test does not see it."""
    low, high = guess.interval
    above = guess.value - found.weak_mi
    is_unseen = found.p_value > level and above < UNSEEN * guess.stderr
    if (low > 0 and not is_unseen) or found.stderr >= guess.stderr or guess.at_least:
        return guess
    value = min(found.weak_mi, high)
    how = "functions of ranks (in-sample)"
    return replace(guess, value=value, stderr=found.stderr, how=how).reaching(value, value)


def _as_row(
    found: Guess | MIEstimate, how: str, lower_limit: float | None = math.nan
) -> dict[str, Any]:
    return {
        "value": found.value,
        "stderr": found.stderr,
        "low": found.interval[0],
        "high": found.interval[1],
        "lower_limit": lower_limit,
        "how": how,
        "warnings": "; ".join(found.warnings),
    }


def _by_estimator(
    estimator: MIEstimator, column: pd.DataFrame, Y: Any, groups: np.ndarray | None
) -> dict[str, Any]:
    fitted: Any = clone(estimator)
    mi = fitted.fit(column, Y, groups=groups).mi_
    row = _as_row(mi, mi.bound, mi.lower_limit)
    if estimator.split_test:
        row["p_value"] = fitted.test_independence().p_value
    return row
