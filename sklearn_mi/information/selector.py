"""`MutualInfoSelector`: columns that tell much about the target and do not repeat each other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import xlogy
from scipy.stats import false_discovery_control, rankdata
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mi._base import DocLinkMixin, MIWarning
from sklearn_mi._compat import Interval, StrOptions
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.independence import IndependenceTest
from sklearn_mi.information.tables import TableReader, as_frame

__all__ = ["MutualInfoSelector"]

CRITERIA = {"cmim", "jmi", "mrmr", "relevance"}
ROWS_PER_CELL = 4
FEWEST_BINS, MOST_BINS = 2, 16
SAME = 12  # decimals: scores that are as near as this tie


class MutualInfoSelector(DocLinkMixin, SelectorMixin, BaseEstimator):
    r"""Select columns that tell much about the target and do not repeat each other.

    Columns are taken one by one. With S the set of those taken, the next one has the largest

    ============== =======================================================================
    ``criterion``  score of column j
    ============== =======================================================================
    "mrmr"         :math:`I(x_j; y) - \frac{1}{|S|} \sum_{s \in S} I(x_j; x_s)`
    "jmi"          :math:`\frac{1}{|S|} \sum_{s \in S} I(x_j, x_s; y)`
    "cmim"         :math:`\min_{s \in S} I(x_j; y \mid x_s)`
    "relevance"    :math:`I(x_j; y)`
    ============== =======================================================================

    "mrmr" is cheap and drops what is repeated; "jmi" and "cmim" do too, and see what two columns
    tell only together, such as the two inputs of an exclusive or, once one of them is taken. Of
    many criteria, "jmi" balances accuracy and stability best (Brown et al., 2012).

    All terms are frequencies of columns cut at their quantiles, less their bias (Miller-Madow), so
    they can be compared with each other and are too low for fine relations. For the numbers
    themselves use `mutual_info_table`.

    Parameters
    ----------
    n_features_to_select : int, float or None, default=None
        The number of columns, or their share. None: half of them; with ``fdr`` as many as are
        significant.
    criterion : {"mrmr", "jmi", "cmim", "relevance"}, default="mrmr"
    fdr : float, default=None
        Take only columns that depend on y by themselves, at this false discovery rate (Benjamini
        and Hochberg); None: all. A column that tells something only beside another one is lost.
    discrete_target : bool or "auto", default="auto"
        Whether y is a class. "auto": text, booleans, or numbers whose few values recur.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features,)
        In nats: the score of each column when it was taken; of other columns, at the last step.
    ranking_ : ndarray of shape (n_features,)
        1 for the column that was taken first; columns that were not taken share the last rank.
    relevance_ : ndarray of shape (n_features,)
        :math:`I(x_j; y)`, in nats.
    redundancy_ : ndarray of shape (n_features,)
        Mean of :math:`I(x_j; x_s)` over the columns taken before, in nats; for "mrmr" alone.
    pvalues_ : ndarray of shape (n_features,)
        Of a test of independence, adjusted for their number; with ``fdr`` alone.
    n_features_ : int
        Number of columns taken.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        If X has names of columns.

    See Also
    --------
    mutual_info_features : A score and a p-value for each column by itself.

    References
    ----------
    Feature Selection Based on Mutual Information (Peng, Long & Ding, 2005),
    https://doi.org/10.1109/TPAMI.2005.159; Data Visualization and Feature Selection (Yang & Moody,
    1999); Fast Binary Feature Selection with Conditional Mutual Information (Fleuret, 2004),
    https://jmlr.org/papers/v5/fleuret04a.html; Conditional Likelihood Maximisation (Brown, Pocock,
    Zhao & Lujan, 2012), https://jmlr.org/papers/v13/brown12a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.information import MutualInfoSelector
    >>> rng = np.random.default_rng(0)
    >>> a, b, noise = rng.normal(size=(3, 500))
    >>> X = np.column_stack([a, a + 0.1 * noise, b, noise])
    >>> selector = MutualInfoSelector(2).fit(X, a + 0.7 * b)
    >>> selector.get_support().tolist(), selector.ranking_.tolist()
    ([True, False, True, False], [1, 3, 2, 3])
    """

    _parameter_constraints = {
        "n_features_to_select": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "criterion": [StrOptions(CRITERIA)],
        "fdr": [None, Interval(Real, 0, 1, closed="neither")],
        "discrete_target": ["boolean", StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_features_to_select: float | None = None,
        *,
        criterion: str = "mrmr",
        fdr: float | None = None,
        discrete_target: bool | str = "auto",
    ) -> None:
        self.n_features_to_select = n_features_to_select
        self.criterion = criterion
        self.fdr = fdr
        self.discrete_target = discrete_target

    def fit(self, X: Any, y: Any) -> MutualInfoSelector:
        """Take columns.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Numbers or categories.
        y : array-like of shape (n_samples,)
            Numbers or classes.

        Returns
        -------
        self : MutualInfoSelector

        Raises
        ------
        ValueError
            If rows or parameters are not valid; the message names the cure.
        """
        self._validate_params()  # pyright: ignore[reportAttributeAccessIssue]
        validate_data(self, X, skip_check_array=True)
        name = type(self).__name__
        if y is None:
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is None."
            )
        frame, labels = as_frame(X), as_frame(y, "y")
        readers = TableReader("X", frame, estimator=name), TableReader("y", labels, estimator=name)
        check_consistent_length(frame, labels)
        if readers[1].row_shape != (1,):
            raise ValueError(
                f"y has rows of shape {readers[1].row_shape}; expected one number or class for "
                "each row: select for each column of y by itself."
            )
        x = readers[0].columns(frame)
        target = readers[1].columns(labels, as_class=readers[1].is_class(self.discrete_target))
        self._take(x, target, self._allowed(x, target))
        return self

    def _allowed(self, x: Coded, y: Coded) -> np.ndarray:
        """Return which columns may be taken."""
        width = x.values.shape[1]
        if self.fdr is None:
            return np.ones(width, dtype=bool)
        test = IndependenceTest(y)
        found = [test(Coded(x.values[:, [j]], x.nominal[[j]])).p_value for j in range(width)]
        self.pvalues_ = np.asarray(false_discovery_control(found))
        return self.pvalues_ <= self.fdr

    def _number(self, allowed: np.ndarray) -> int:
        wanted, width = self.n_features_to_select, len(allowed)
        if isinstance(wanted, Integral) and wanted > width:
            warnings.warn(
                f"n_features_to_select={wanted}, but X has {width} columns; all of them are taken.",
                MIWarning,
                stacklevel=4,
            )
        if wanted is None:
            wanted = width if self.fdr is not None else max(width // 2, 1)
        elif not isinstance(wanted, Integral):
            wanted = max(int(wanted * width), 1)
        return min(int(wanted), int(allowed.sum()))

    def _take(self, x: Coded, y: Coded, allowed: np.ndarray) -> None:
        """Take one column after another."""
        tables = _Tables.of(x, y, n_sides=3 if self.criterion in ("cmim", "jmi") else 2)
        self.relevance_ = tables.relevance()
        self.scores_, past = self.relevance_.copy(), np.zeros(len(allowed))
        if self.criterion == "mrmr":
            self.redundancy_ = past.copy()
        self.n_features_ = self._number(allowed)
        self.ranking_ = np.full(len(allowed), self.n_features_ + 1)
        for rank in range(1, self.n_features_ + 1):
            is_left = allowed & (self.ranking_ > self.n_features_)
            best = int(np.argmax(np.where(is_left, self.scores_.round(SAME), -np.inf)))
            self.ranking_[best] = rank
            if rank == self.n_features_ or self.criterion == "relevance":
                continue
            others = self.ranking_ > self.n_features_
            if self.criterion == "cmim":
                past = np.minimum(past, tables.given(best)) if rank > 1 else tables.given(best)
                self.scores_[others] = past[others]
            elif self.criterion == "jmi":
                past += tables.jointly(best)
                self.scores_[others] = past[others] / rank
            else:
                past += tables.shared(best)
                self.redundancy_[others] = past[others] / rank
                self.scores_[others] = (self.relevance_ - self.redundancy_)[others]

    # What scikit-learn calls

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.ranking_ <= self.n_features_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


@dataclass(frozen=True)
class _Tables:
    """Columns and the target as parts of few rows each, and the information in their counts.

    Attributes
    ----------
    x : ndarray of shape (n_samples, n_features), int
    y : ndarray of shape (n_samples,), int
    width, width_y : int
        One more than the largest part.
    """

    x: np.ndarray
    y: np.ndarray
    width: int
    width_y: int

    @classmethod
    def of(cls, x: Coded, y: Coded, n_sides: int) -> _Tables:
        """Cut so that tables of two or three sides have four rows a cell."""
        cells = len(x) / ROWS_PER_CELL
        if y.nominal[0]:
            target = pd.factorize(y.values[:, 0], sort=True)[0]
            cells, n_sides = min(cells / (target.max() + 1), cells ** (2 / n_sides)), n_sides - 1
        n_bins = int(np.clip(round(cells ** (1 / n_sides)), FEWEST_BINS, MOST_BINS))
        if not y.nominal[0]:
            target = _cut(y.values[:, 0], False, n_bins)
        sides = zip(x.values.T, x.nominal, strict=True)
        parts = np.column_stack([_cut(column, nominal, n_bins) for column, nominal in sides])
        return cls(parts, target, int(parts.max()) + 1, int(target.max()) + 1)

    def relevance(self) -> np.ndarray:
        """Return the information of each column with the target."""
        return self._with(self.y, self.width_y)

    def shared(self, taken: int) -> np.ndarray:
        """Return the information of each column with one of them."""
        return self._with(self.x[:, taken], self.width)

    def given(self, taken: int) -> np.ndarray:
        """Return the information of each column with the target, given one of the columns."""
        known = self.x[:, taken]
        both = known * self.width_y + self.y
        entropies = self._entropies(known, self.width) - _entropy(np.bincount(known)[None])
        entropies += _entropy(np.bincount(both)[None])
        return entropies - self._entropies(both, self.width * self.width_y)

    def jointly(self, taken: int) -> np.ndarray:
        """Return the information of each column and one of them, together, with the target."""
        known = self.x[:, [taken]]
        alone = _Tables(known, self.y, self.width, self.width_y).relevance()
        return alone + self.given(taken)

    def _with(self, other: np.ndarray, width: int) -> np.ndarray:
        own = self._entropies(np.zeros(len(other), dtype=int), 1)
        return own + _entropy(np.bincount(other)[None]) - self._entropies(other, width)

    def _entropies(self, other: np.ndarray, width: int) -> np.ndarray:
        """Return the entropy of each column together with other labels."""
        n_columns, size = self.x.shape[1], self.width * width
        cells = self.x * width + other[:, None] + size * np.arange(n_columns)
        counts = np.bincount(cells.ravel(), minlength=n_columns * size)
        return _entropy(counts.reshape(n_columns, size))


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Return the entropy of each row of counts, with Miller and Madow's correction."""
    n = counts.sum(axis=1)
    plain = np.log(n) - xlogy(counts, counts).sum(axis=1) / n
    return plain + ((counts > 0).sum(axis=1) - 1) / (2 * n)


def _cut(column: np.ndarray, is_nominal: bool, n_bins: int) -> np.ndarray:
    """Return parts of equally many rows, ties together; of categories the most frequent ones."""
    codes, found = pd.factorize(column, sort=True)
    if len(found) <= n_bins:
        return codes
    if is_nominal:
        order = np.argsort(-np.bincount(codes), kind="stable")
        return np.minimum(np.argsort(order)[codes], n_bins - 1)
    share = (rankdata(column) - 0.5) / len(column)
    return pd.factorize((share * n_bins).astype(int), sort=True)[0]
