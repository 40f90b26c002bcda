"""Views that pair rows with rows of the same series, group or class, or of a second table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sklearn_mi._base import positive_integer
from sklearn_mi.views.base import Pair, Partners, State, Values, View

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["Paired", "Same", "SameClass", "SameGroup", "TimeLag"]


def _same_value(values: np.ndarray, *, left_out: np.ndarray | None = None) -> Partners:
    """Make all rows of one value partners of one another, except for those left out."""
    _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(which, kind="stable")
    start = (np.cumsum(sizes) - sizes)[which]
    own = np.empty_like(order)
    own[order] = np.arange(len(values))
    count = sizes[which] - 1
    if left_out is not None:
        count[left_out] = 0
    return Partners(*map(torch.as_tensor, (order, start, count, own - start)))


def _same_number(groups: Tensor | None) -> Tensor | None:
    """Return which rows of a batch have one number."""
    return None if groups is None else groups[:, None] == groups[None, :]


def _given_pair(x: Tensor | Pair, view: View) -> Pair:
    if not isinstance(x, tuple):
        raise ValueError(f"{view!r} pairs rows with rows: it must be the first part of a Compose.")
    return x


@dataclass(repr=False, eq=False)
class TimeLag(View):
    """Pair a row with a later row of the same time series.

    Use it for recordings in which what persists over time matters. Rows must be in the order of
    time. With ``fit(X, groups=...)`` each group is its own series, and no pair crosses its end.
    The last rows of each series are held out.

    Parameters
    ----------
    lag : int, default=1
        Least number of rows from a row to its partner.
    max_lag : int or None, default=None
        Largest number of rows; each step draws a lag between the two. None: ``lag``.
    window : int, default=1
        The encoder sees each row with the ``window - 1`` rows before it in its series, as a
        recording of ``window`` steps. Steps before the first row of a series are unobserved.

    References
    ----------
    Slow Feature Analysis: Unsupervised Learning of Invariances (Wiskott & Sejnowski, 2002);
    Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
    https://arxiv.org/abs/1807.03748

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import TimeLag
    >>> partners = TimeLag(2).partners(5, None, None)
    >>> partners.draw(partners.anchors, torch.Generator()).tolist()
    [2, 3, 4]
    """

    lag: int = 1
    max_lag: int | None = None
    window: int = 1
    pairs_rows = True
    sees_whole_rows = True
    ordered = True

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair unchanged."""
        return _given_pair(x, self)

    def fit(self, X: AnyRows) -> State:
        """Check the parameters."""
        self._check()

    def _check(self) -> None:
        positive_integer("window", self.window)
        longest = self.lag if self.max_lag is None else self.max_lag
        whole = isinstance(self.lag, int | np.integer) and isinstance(longest, int | np.integer)
        if not (whole and 1 <= self.lag <= longest):
            raise ValueError(
                f"lag={self.lag!r}, max_lag={self.max_lag!r}; expected integers with "
                "1 <= lag <= max_lag."
            )

    def partners(self, n: int, groups: Values, y: Values) -> Partners:
        """Return, for each row, the rows from ``lag`` to ``max_lag`` later in its series."""
        self._check()
        within = _same_value(np.zeros(n) if groups is None else groups)
        # A longer lag has no partner either.
        lag, longest = (min(int(each), n) for each in (self.lag, self.max_lag or self.lag))
        place = within.start + within.own
        left = within.count - within.own  # rows that come after it in its series
        count = (left - lag + 1).clamp(0, longest - lag + 1)
        start = torch.where(count > 0, place + lag, 0)
        return Partners(within.order, start, count, count)

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn that rows of a series are not independent."""
        return ("rows of a series are not independent: the standard error is too small",)


@dataclass(repr=False, eq=False)
class SameGroup(View):
    """Pair a row with another row of its group: subject, document, recording.

    The codes keep what the rows of a group share and drop what differs between them. Pass the
    groups to ``fit(X, groups=...)``; a group of one row is left out. Whole groups are held out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> learner = MIRepresentationLearner(3, view="same-group", max_steps=5, random_state=0)
    >>> learner.fit(X, groups=np.arange(60) // 6).transform(X).shape
    (60, 3)
    """

    pairs_rows = True
    sees_whole_rows = True
    knows_kindred = True
    needs = ("groups",)

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair unchanged."""
        return _given_pair(x, self)

    def partners(self, n: int, groups: Values, y: Values) -> Partners:
        """Return, for each row, the other rows of its group."""
        if groups is None:
            raise ValueError(f"view={self!r} needs groups: pass groups=...")
        return _same_value(groups)

    def kindred(self, rows: Tensor | None, state: State, groups: Tensor | None) -> Tensor | None:
        """Return which rows are of one group."""
        return _same_number(groups)

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn that rows of a group are not independent."""
        return ("pairs of one group are not independent: the standard error is too small",)


def _without_label(y: np.ndarray, unlabelled: Any) -> np.ndarray:
    """Return which rows have no class; scikit-learn codes them as -1."""
    missing = y != y  # NaN alone differs from itself
    if unlabelled is not None:
        return missing | (y == unlabelled)
    return missing | (y == -1) if y.dtype.kind in "ifO" else missing


@dataclass(repr=False, eq=False)
class SameClass(View):
    """Pair a row with another row of its class: the only view that uses labels.

    Use it if you have many labels and distances between codes should follow the classes. It takes
    ``y`` from ``fit(X, y)``, as a Pipeline passes it; no other view does. Rows without a label have
    no partner, and training leaves them out.

    Parameters
    ----------
    unlabelled : int, float, str or None, default=None
        The value in ``y`` of rows that have no label. None: -1 if labels are numbers, as in
        scikit-learn; every string is a label. If -1 is a class, pass a value that does not occur
        in ``y``. A missing value (NaN) is never a class.

    References
    ----------
    Supervised Contrastive Learning (Khosla et al., 2020), https://arxiv.org/abs/2004.11362. The
    paper averages over all partners in a batch; so does ``comparison=Whole(positives="all")``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = MIRepresentationLearner(2, view="same-class", max_steps=5, random_state=0)
    >>> learner.fit(X, y).transform(X).shape
    (150, 2)
    """

    unlabelled: Any = None
    pairs_rows = True
    sees_whole_rows = True
    knows_kindred = True
    needs = ("y",)

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair unchanged."""
        return _given_pair(x, self)

    def check_labels(self, y: np.ndarray) -> None:
        """Reject classes coded as -1 and one other number: -1 would count as no label.

        Raises
        ------
        ValueError
            If ``unlabelled`` is None and only one class is left beside -1.
        """
        left_out = _without_label(y, self.unlabelled)
        if self.unlabelled is None and left_out.any() and len(np.unique(y[~left_out])) == 1:
            raise ValueError(
                f"y has one class, {y[~left_out][0]!r}, beside -1, which stands for no label. If "
                "-1 is a class, pass view=SameClass(unlabelled=...), with a value not in y."
            )

    def partners(self, n: int, groups: Values, y: Values) -> Partners:
        """Return, for each row, the other rows of its class."""
        if y is None:
            raise ValueError(f"view={self!r} pairs rows of one class and needs y: fit(X, y).")
        return _same_value(y, left_out=_without_label(y, self.unlabelled))

    def kindred(self, rows: Tensor | None, state: State, groups: Tensor | None) -> Tensor | None:
        """Return which rows are of one class."""
        return _same_number(groups)

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn that labels made the pairs."""
        return ("labels made the pairs",)


@dataclass(repr=False, eq=False)
class Paired(View):
    """Pair the rows of two tables: row i of one is the partner of row i of the other.

    ``fit(X, X_pair=X_pair)`` uses this view. ``transform`` encodes rows of the first table,
    ``transform_pair`` rows of the second.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> rng = np.random.default_rng(0)
    >>> X, X_pair = rng.normal(size=(60, 4)), rng.normal(size=(60, 3))
    >>> learner = MIRepresentationLearner(2, max_steps=5, random_state=0).fit(X, X_pair=X_pair)
    >>> learner.transform(X).shape, learner.transform_pair(X_pair).shape
    ((60, 2), (60, 2))
    """

    default_encoder_y = "separate"
    pairs_rows = True
    paired = True
    sees_whole_rows = True

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair unchanged: rows of both tables."""
        if not isinstance(x, tuple):
            raise ValueError("view=Paired() needs a second table: pass X_pair=...")
        return x


@dataclass(repr=False, eq=False)
class Same(View):
    """Pair a row with itself.

    Use it if the comparison makes the pairs: a code against the places of the same image, a context
    against later steps. A row is encoded once. With whole codes there is nothing to learn.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Same
    >>> x = torch.zeros(3, 2)
    >>> [view is x for view in Same()(x, None, None, torch.Generator())]
    [True, True]
    """

    may_repeat_rows = True

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch twice."""
        return x, x

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn that a row tells everything about itself."""
        if not shares_values:
            return ()
        return ("both views are the row itself: their mutual information is infinite",)
