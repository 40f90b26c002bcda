"""What each column does to the code and to the bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sklearn_mi.diagnostics import column_importance
from sklearn_mi.plots.style import (
    COLOURS,
    LINE_CONTRAST,
    forest_axes,
    legible,
    muted,
    need_columns,
    place_legend,
    written,
)

__all__ = ["ImportanceDisplay"]

LABELS = {
    "code": "change of the code by permuting the column (1: as far as another row's)",
    "bound": "drop of the held-out bound by permuting the column, nats",
}


class ImportanceDisplay:
    """How much the code, or the bound, depends on each column: a point with two standard errors.

    Columns stand in the order of their value, the largest on top. The errors are those of the
    permutations, on these rows and for this fit; they do not say what other rows would give.

    Parameters
    ----------
    table : DataFrame
        As `sklearn_mi.diagnostics.column_importance` returns it: named rows with ``code``,
        ``code_stderr``, ``bound`` and ``bound_stderr``, or those of one of the two.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    bars_ : dict of str to ErrorbarContainer
        The point and error of each column that is shown, the largest value first.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_mi.plots import ImportanceDisplay
    >>> X = np.random.default_rng(0).normal(size=(500, 3)) * [1, 3, 0.1]
    >>> display = ImportanceDisplay.from_estimator(PCA(1).fit(X), X, random_state=0)
    >>> next(iter(display.bars_))
    'x1'
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        learner: Any,
        X: Any,
        *,
        X_pair: Any = None,
        groups: Any = None,
        n_repeats: int = 5,
        random_state: int | np.random.RandomState | None = None,
        by: str = "code",
        max_columns: int = 40,
        ax: Axes | None = None,
    ) -> ImportanceDisplay:
        """Permute the columns of rows, and draw what it does.

        Parameters
        ----------
        learner : transformer
            Fitted.
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that the fit did not see.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        n_repeats : int, default=5
        random_state : int, RandomState or None, default=None
            These as for `sklearn_mi.diagnostics.column_importance`.
        by : {"code", "bound"}, default="code"
            As for :meth:`plot`.
        max_columns : int, default=40
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : ImportanceDisplay
        """
        table = column_importance(
            learner, X, X_pair=X_pair, groups=groups, n_repeats=n_repeats, random_state=random_state
        )
        return cls(table).plot(ax, by=by, max_columns=max_columns)

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        *,
        by: str = "code",
        max_columns: int = 40,
        ax: Axes | None = None,
    ) -> ImportanceDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        table : DataFrame
            As for the constructor.
        by : {"code", "bound"}, default="code"
            As for :meth:`plot`.
        max_columns : int, default=40
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : ImportanceDisplay
        """
        return cls(table).plot(ax, by=by, max_columns=max_columns)

    def plot(
        self, ax: Axes | None = None, *, by: str = "code", max_columns: int = 40
    ) -> ImportanceDisplay:
        """Draw the columns.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure, whose height grows with the columns.
        by : {"code", "bound"}, default="code"
            What is drawn.
        max_columns : int, default=40
            The largest values that are shown.

        Returns
        -------
        self : ImportanceDisplay
            With ``ax_``, ``figure_``, ``bars_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If ``by`` is not a known name, or the table lacks a column or has no number in it.
        """
        if by not in LABELS:
            raise ValueError(f"by={by!r}; expected 'code' or 'bound'.")
        need_columns(self.table, (by, f"{by}_stderr"))
        known = pd.DataFrame(self.table[self.table[by].notna()])
        if known.empty:
            raise ValueError(f"The table has no number in column {by!r}.")
        shown = known.sort_values(by=by, ascending=False, kind="stable").head(max_columns)
        self.figure_, self.ax_ = forest_axes(ax, list(shown.index), LABELS[by])
        zero = self.ax_.axvline(0, color=muted(self.ax_), lw=1.5, label="0: no effect", zorder=1)
        colour = legible(self.ax_, COLOURS[1], LINE_CONTRAST)
        values, errors = shown[by].to_numpy(float), shown[f"{by}_stderr"].fillna(0).to_numpy(float)
        style = {"fmt": "o", "ms": 5.5, "capsize": 2, "color": colour}
        self.bars_ = {
            str(name): self.ax_.errorbar(
                value, row, xerr=2 * error, label="mean, 2 standard errors", **style
            )
            for row, (name, value, error) in enumerate(
                zip(shown.index, values, errors, strict=True)
            )
        }
        place_legend(self.ax_, [next(iter(self.bars_.values())), zero])
        self.alt_text_ = self._told(shown, by)
        return self

    def _told(self, shown: pd.DataFrame, by: str) -> str:
        what, unit = ("the code", "") if by == "code" else ("the bound", "nats")
        hidden = len(self.table) - len(shown)
        ends = [f"{shown.index[k]} {written(shown[by].iloc[k], unit)}" for k in (0, -1)]
        between = " down to ".join(dict.fromkeys(ends))
        rest = f"; {hidden} more {'is' if hidden == 1 else 'are'} hidden." if hidden else "."
        return f"Importance of {len(self.table)} columns to {what}, from {between}{rest}"
