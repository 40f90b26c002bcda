"""Numbers in nats: a ladder of bounds, columns, log-ratios of rows, estimates and the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from sklearn_mi._checks import check_codes
from sklearn_mi.plots.style import (
    COLOURS,
    LINE_CONTRAST,
    MARKERS,
    WIDE,
    axes_for,
    clear_axes,
    forest_axes,
    ink,
    legible,
    muted,
    need_columns,
    palette,
    place_legend,
    read_fitted,
    veil,
    written,
)

__all__ = ["BoundsDisplay", "ColumnsDisplay", "PointwiseDisplay", "StaircaseDisplay"]

# What a number in nats bounds: its colour, its marker, its name in the legend.
STATUSES = {
    "lower": ("#0072B2", "o", "lower bound"),
    "upper": ("#E69F00", "s", "upper bound"),
    "neither": ("#777777", "D", "no bound"),
}


class BoundsDisplay:
    """All bounds in one column: each with its interval, its ceiling, and its status.

    Lower bounds are blue, numbers that are no bound grey. A bar at the right is the ceiling that
    the bound cannot exceed with its number of candidates: a value close to it means that the
    information may be larger. Ceilings far to the right are left out. The shaded region begins at
    the lower limit.

    Parameters
    ----------
    bounds : DataFrame
        As ``MIEstimator.bounds_``: named rows with ``value``, ``low``, ``high``, ``status``,
        ``ceiling``.
    best_guess : tuple of float, optional
        A value and the two ends of its interval; an upper end of ``inf`` is drawn as an arrow.
    lower_limit : float, optional
        A lower limit of the information, at the estimator's confidence.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    bars_ : dict of str to ErrorbarContainer
        The point and interval of each bound.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import BoundsDisplay
    >>> bounds = pd.DataFrame({
    ...     "value": [1.9], "low": [1.8], "high": [2.0], "status": "lower", "ceiling": [6.9],
    ... }, index=["infonce"])
    >>> display = BoundsDisplay(bounds, best_guess=(2.0, 1.9, 2.1)).plot()
    >>> list(display.bars_)
    ['infonce', 'best guess']
    """

    def __init__(
        self,
        bounds: pd.DataFrame,
        *,
        best_guess: tuple[float, float, float] | None = None,
        lower_limit: float | None = None,
    ) -> None:
        self.bounds = bounds
        self.best_guess = best_guess
        self.lower_limit = lower_limit

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, true_mi: float | None = None, ax: Axes | None = None
    ) -> BoundsDisplay:
        """Make the display of a fitted estimator and draw it.

        Parameters
        ----------
        estimator : MIEstimator
            Fitted.
        true_mi : float, optional
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : BoundsDisplay

        Raises
        ------
        ValueError
            If no bounds are known, as of a conditional information.
        """
        if hasattr(estimator, "mi_") and estimator.bounds_ is None:
            raise ValueError(
                "bounds_=None; expected a table of bounds, and none is known of a conditional "
                "information: print mi_, or fit without Z."
            )
        bounds = read_fitted(estimator, "bounds_", "MIEstimator")
        mi = estimator.mi_
        display = cls(bounds, best_guess=(mi.value, *mi.interval), lower_limit=mi.lower_limit)
        return display.plot(ax, true_mi=true_mi)

    def plot(self, ax: Axes | None = None, *, true_mi: float | None = None) -> BoundsDisplay:
        """Draw the bounds.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.
        true_mi : float, optional
            The true value, where it is known.

        Returns
        -------
        self : BoundsDisplay
            With ``ax_``, ``figure_``, ``bars_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the table lacks a column, or a status is not known.
        """
        need_columns(self.bounds, ("value", "low", "high", "status", "ceiling"))
        strange = sorted({str(s) for s in self.bounds["status"]} - set(STATUSES))
        if strange:
            raise ValueError(f"status={strange[0]!r}; expected one of {list(STATUSES)}.")
        self.figure_, self.ax_ = axes_for(ax, figsize=WIDE)
        handles = self._points() + self._ceilings()
        if true_mi is not None:
            label = f"truth, {written(true_mi)}"
            style = {"color": palette(self.ax_, 1)[0], "ls": "--", "lw": 1.5}
            handles.append(self.ax_.axvline(true_mi, label=label, **style))
        labels = [handle.get_label() for handle in handles]
        if self.lower_limit is not None:
            handles.append(self._limit())
            labels.append(f"above the lower limit, {written(self.lower_limit)}")
        self.ax_.set_yticks(range(len(self.bars_)), list(self.bars_))
        self.ax_.set(xlabel="mutual information, nats", ylim=(len(self.bars_) - 0.5, -0.5))
        self.ax_.tick_params(axis="y", length=0)
        clear_axes(self.ax_)
        self.ax_.spines["left"].set_visible(False)
        place_legend(self.ax_, handles, labels=labels)
        self.alt_text_ = self._told(true_mi)
        return self

    def _points(self) -> list[Any]:
        """Draw a point and an interval on each rung; return one of each kind."""
        rungs: list[Any] = [
            (str(name), *row[["value", "low", "high"]], STATUSES[str(row["status"])])
            for name, row in self.bounds.iterrows()
        ]
        if self.best_guess is not None:
            rungs.append(("best guess", *self.best_guess, (ink(self.ax_), "*", "best guess")))
        ends = [end for _, *numbers, _ in rungs for end in numbers if np.isfinite(end)]
        edge = max(ends) + 0.1 * (max(ends) - min(ends)) if ends else 0.0
        self.bars_, kinds = {}, {}
        for k, (name, value, low, high, (colour, marker, kind)) in enumerate(rungs):
            shown = legible(self.ax_, colour, LINE_CONTRAST)
            self.bars_[name] = self.ax_.errorbar(
                value,
                k,
                xerr=np.maximum([[value - low], [min(high, edge) - value]], 0),
                fmt=marker,
                ms=9 if marker == "*" else 5.5,
                color=shown,
                capsize=3,
                label=kind,
            )
            if high == np.inf:
                self.ax_.plot(edge, k, ">", color=shown, ms=6)
            kinds.setdefault(kind, self.bars_[name])
        return list(kinds.values())

    def _ceilings(self) -> list[Line2D]:
        """Draw ceilings as bars, except those so far off that the values would shrink."""
        left, right = self.ax_.get_xlim()
        bars = []
        for k, (ceiling, value) in enumerate(self.bounds[["ceiling", "value"]].to_numpy(float)):
            if np.isfinite(ceiling) and ceiling - value < 2 * (right - left):
                right = max(right, ceiling)
                style = {"color": muted(self.ax_), "lw": 3, "solid_capstyle": "butt"}
                bars += self.ax_.plot([ceiling] * 2, [k - 0.3, k + 0.3], **style)
        self.ax_.set_xlim(left, right + 0.02 * (right - left))
        if not bars:
            return []
        # In the legend upright, as it is drawn.
        style = {"marker": "|", "ms": 12, "mew": 3, "ls": "", "color": muted(self.ax_)}
        return [Line2D([], [], label="ceiling of the bound", **style)]

    def _limit(self) -> tuple[Any, Line2D]:
        colour = legible(self.ax_, COLOURS[1], LINE_CONTRAST)
        line = self.ax_.axvline(self.lower_limit, color=colour, lw=1.5)  # pyright: ignore
        left, right = self.ax_.get_xlim()
        style = {"color": colour, "alpha": veil(self.ax_), "lw": 0, "zorder": 0}
        shade = self.ax_.axvspan(float(self.lower_limit or 0.0), right, **style)
        self.ax_.set_xlim(left, right)
        return shade, Line2D([], [], marker="|", ms=12, mew=1.5, ls="", color=line.get_color())

    def _told(self, true_mi: float | None) -> str:
        numbers = zip(self.bounds.index, self.bounds["value"].to_numpy(float), strict=True)
        values = [f"{name} {written(number)}" for name, number in numbers]
        parts = [f"Bounds in nats: {', '.join(values)}"]
        if self.best_guess is not None:
            value, low, high = map(written, self.best_guess)
            end = "and more" if self.best_guess[2] == np.inf else f"to {high}"
            parts.append(f"the best guess is {value}, interval {low} {end}")
        if self.lower_limit is not None:
            parts.append(f"the lower limit is {written(self.lower_limit)}")
        parts += [] if true_mi is None else [f"the truth is {written(true_mi)}"]
        return "; ".join(parts) + "."


class ColumnsDisplay:
    """A forest plot: what each column tells about the target, with its interval.

    Columns stand in the order of their value, the largest on top. Filled points are significant
    among all columns, at a false discovery rate; hollow ones are not. An arrow marks an interval
    without an upper end.

    Parameters
    ----------
    table : DataFrame
        As `sklearn_mi.information.mutual_info_table` returns it: named rows with ``value``,
        ``low``, ``high`` and ``p_adjusted``.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    bars_ : dict of str to ErrorbarContainer
        The point and interval of each column that is shown, the largest value first.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import ColumnsDisplay
    >>> table = pd.DataFrame({
    ...     "value": [0.0, 0.4], "low": [0.0, 0.3], "high": [0.1, 0.5], "p_adjusted": [0.7, 0.001],
    ... }, index=["ash", "alcohol"])
    >>> list(ColumnsDisplay.from_table(table).bars_)
    ['alcohol', 'ash']
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        *,
        fdr: float = 0.05,
        max_columns: int = 40,
        ax: Axes | None = None,
    ) -> ColumnsDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        table : DataFrame
            As for the constructor.
        fdr : float, default=0.05
            As for :meth:`plot`.
        max_columns : int, default=40
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : ColumnsDisplay
        """
        return cls(table).plot(ax, fdr=fdr, max_columns=max_columns)

    def plot(
        self, ax: Axes | None = None, *, fdr: float = 0.05, max_columns: int = 40
    ) -> ColumnsDisplay:
        """Draw the columns.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure, whose height grows with the columns.
        fdr : float, default=0.05
            Largest adjusted p-value of a filled point.
        max_columns : int, default=40
            The largest values that are shown.

        Returns
        -------
        self : ColumnsDisplay
            With ``ax_``, ``figure_``, ``bars_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the table has no row, or lacks a column.
        """
        need_columns(self.table, ("value", "low", "high", "p_adjusted"))
        if self.table.empty:
            raise ValueError("The table has no row; expected a row for each column of X.")
        shown = self.table.sort_values("value", ascending=False, kind="stable").head(max_columns)
        names, words = list(shown.index), "mutual information, nats"
        self.figure_, self.ax_ = forest_axes(ax, names, words)
        zero = self.ax_.axvline(0, color=muted(self.ax_), lw=1.5, label="0: independent", zorder=1)
        kinds = self._points(shown, fdr)
        place_legend(self.ax_, [*kinds, zero])
        self.alt_text_ = self._told(shown, fdr)
        return self

    def _points(self, shown: pd.DataFrame, fdr: float) -> list[Any]:
        """Draw a point and an interval for each column; return one of each kind."""
        first, second = legible(self.ax_, COLOURS[1], LINE_CONTRAST), muted(self.ax_)
        self.bars_, kinds = {}, {}
        numbers = shown[["value", "low", "high", "p_adjusted"]].to_numpy(float)
        farthest = np.nanmax(np.where(np.isfinite(numbers[:, :3]), numbers[:, :3], np.nan))
        for k, (value, low, high, p) in enumerate(numbers):
            is_open, is_found = not np.isfinite(high), p <= fdr
            colour = first if is_found else second
            bar = self.ax_.errorbar(
                value,
                k,
                xerr=np.maximum([[value - low], [0 if is_open else high - value]], 0),
                fmt="o",
                ms=5.5,
                color=colour,
                mfc=colour if is_found else "none",
                capsize=2,
                label=f"{'' if is_found else 'not '}significant at an FDR of {fdr:g}",
            )
            if is_open:
                end, arrow = (max(farthest, 1.15 * value), k), {"arrowstyle": "->", "color": colour}
                self.ax_.annotate("", end, (value, k), arrowprops=arrow)
                self.ax_.update_datalim([end])
            self.bars_[str(shown.index[k])] = bar
            kinds.setdefault(is_found, bar)
        self.ax_.autoscale_view()
        return [kinds[kind] for kind in sorted(kinds, reverse=True)]

    def _told(self, shown: pd.DataFrame, fdr: float) -> str:
        n_found = int(np.count_nonzero(self.table["p_adjusted"] <= fdr))
        first = shown.iloc[0]
        upper = f"to {written(first['high'])}" if np.isfinite(first["high"]) else "and more"
        hidden = len(self.table) - len(shown)
        return (
            f"Information of {len(self.table)} columns about the target, in nats: "
            f"{shown.index[0]} has the most, {written(first['value'])}, interval "
            f"{written(first['low'])} {upper}; {n_found} of {len(self.table)} are significant at "
            f"a false discovery rate of {fdr:g}"
            + (f"; the last {hidden} are not shown." if hidden else ".")
        )


class PointwiseDisplay:
    """The histogram of the log-ratio of each row, whose mean is an information.

    A long tail shows that few rows carry the number; rows below zero are those that the critic
    takes for unrelated pairs.

    Parameters
    ----------
    pointwise : array-like of shape (n_samples,)
        As ``MIEstimator.pointwise_``, in nats.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    counts_ : ndarray of shape (n_bins,)
        Rows in each bin.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> from sklearn_mi.plots import PointwiseDisplay
    >>> display = PointwiseDisplay([-0.2, 0.1, 0.4, 0.9]).plot(bins=2)
    >>> display.counts_.tolist()
    [2, 2]
    """

    def __init__(self, pointwise: ArrayLike) -> None:
        self.pointwise = pointwise

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, bins: int = 50, ax: Axes | None = None
    ) -> PointwiseDisplay:
        """Make the display of a fitted estimator and draw it.

        Parameters
        ----------
        estimator : MIEstimator
            Fitted.
        bins : int, default=50
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : PointwiseDisplay
        """
        return cls(read_fitted(estimator, "pointwise_", "MIEstimator")).plot(ax, bins=bins)

    def plot(self, ax: Axes | None = None, *, bins: int = 50) -> PointwiseDisplay:
        """Draw the histogram.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.
        bins : int, default=50

        Returns
        -------
        self : PointwiseDisplay
            With ``ax_``, ``figure_``, ``counts_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the log-ratios are not finite numbers.
        """
        values = check_codes("pointwise", np.reshape(self.pointwise, (-1, 1)))[:, 0]
        self.figure_, self.ax_ = axes_for(ax)
        first, second = palette(self.ax_, 2)
        counts, _, _ = self.ax_.hist(values, bins, color=second, alpha=0.7)
        self.counts_ = np.asarray(counts).astype(int)
        mean, below = float(values.mean()), float((values < 0).mean())
        lines = [
            self.ax_.axvline(mean, color=first, lw=2, label=f"mean, {written(mean)}"),
            self.ax_.axvline(
                0, color=ink(self.ax_), lw=1, ls=":", label=f"{below:.0%} of rows below 0"
            ),
        ]
        self.ax_.set(xlabel="log-ratio of a pair, nats", ylabel="rows")
        clear_axes(self.ax_)
        place_legend(self.ax_, lines, where="inside")
        self.alt_text_ = (
            f"Histogram of {len(values)} log-ratios from {written(values.min())} to "
            f"{written(values.max(), 'nats')}; their mean is {written(mean, 'nats')}, and "
            f"{below:.0%} are below 0."
        )
        return self


class StaircaseDisplay:
    """Estimates against the truth on data of rising information; the dotted line is the truth.

    Parameters
    ----------
    table : DataFrame
        Columns ``true_mi``, ``value``, ``name`` (a line for each) and, for intervals, ``low`` and
        ``high``. Values of several samples with equal name and truth are averaged.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of str to Line2D
        The line of each name.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import StaircaseDisplay
    >>> table = pd.DataFrame({"name": "ours", "true_mi": [2.0, 4.0], "value": [1.9, 3.9]})
    >>> StaircaseDisplay.from_table(table).lines_["ours"].get_ydata().tolist()
    [1.9, 3.9]
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, *, ceiling: float | None = None, ax: Axes | None = None
    ) -> StaircaseDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        table : DataFrame
            As for the constructor.
        ceiling : float, optional
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : StaircaseDisplay
        """
        return cls(table).plot(ax, ceiling=ceiling)

    def plot(self, ax: Axes | None = None, *, ceiling: float | None = None) -> StaircaseDisplay:
        """Draw the estimates.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.
        ceiling : float, optional
            The largest value that a bound can take, dashed.

        Returns
        -------
        self : StaircaseDisplay
            With ``ax_``, ``figure_``, ``lines_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the table lacks a column.
        """
        need_columns(self.table, ("name", "true_mi", "value"))
        groups = list(self.table.groupby("name", sort=False))
        self.figure_, self.ax_ = axes_for(ax, figsize=WIDE)
        truths = np.unique(self.table["true_mi"])
        # Beneath, and from the first truth: an estimate that is right lies on it.
        (truth,) = self.ax_.plot(
            truths, truths, color=muted(self.ax_), ls=":", lw=2, label="truth", zorder=1.5
        )
        self.lines_, errors = {}, []
        bands = [name for name in ("low", "high") if name in self.table]
        colours = palette(self.ax_, len(groups))
        for k, (name, rows) in enumerate(groups):
            means = pd.DataFrame(rows.groupby("true_mi")[["value", *bands]].mean())
            x, y = means.index.to_numpy(), means["value"].to_numpy()
            style = {"color": colours[k], "marker": MARKERS[k % len(MARKERS)], "ms": 5}
            (self.lines_[str(name)],) = self.ax_.plot(x, y, label=str(name), **style)
            if len(bands) == 2:
                low, high = means["low"], means["high"]
                band = {"color": colours[k], "alpha": veil(self.ax_), "lw": 0}
                self.ax_.fill_between(x, low, high, **band)
            errors.append(f"{name} gives {written(y[-1])} at {written(x[-1])}")
        handles = [*self.lines_.values(), truth]
        if ceiling is not None:
            style = {"color": muted(self.ax_), "ls": "--", "lw": 1}
            label = f"ceiling, {written(ceiling)}"
            handles.append(self.ax_.axhline(ceiling, label=label, **style))
            errors.append(f"the ceiling is {written(ceiling)}")
        self.ax_.set(xlabel="true mutual information, nats", ylabel="estimate, nats")
        clear_axes(self.ax_, grid="y")
        place_legend(self.ax_, handles)
        self.alt_text_ = f"Estimates against the truth, in nats: {'; '.join(errors)}."
        return self
