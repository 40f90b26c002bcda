"""Contestants side by side: scores against labels, and a radar of diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from sklearn_mi._base import did_you_mean
from sklearn_mi.plots.style import (
    COLOURS,
    MARKERS,
    WIDE,
    axes_for,
    clear_axes,
    figure_of,
    need_columns,
    palette,
    place_legend,
    veil,
    written,
)

__all__ = ["DIRECTIONS", "INNERMOST", "DiagnosticsDisplay", "LabelEfficiencyDisplay"]

SUMMARY = ("name", "probe", "labels_per_class", "n_labelled", "mean", "low", "high")

# In which direction each diagnostic is taken to be better. V-information and seconds are certain;
# the others follow the literature, and none of them is accuracy.
DIRECTIONS = {
    "v_information": "more",
    "effective_rank": "more",
    "uniformity": "less",
    "alignment": "less",
    "intrinsic_dimension": "less",
    "fit_seconds": "less",
    "transform_seconds": "less",
}
UNITS = {"v_information": "nats", "fit_seconds": "s", "transform_seconds": "s"}
INNERMOST = 0.2

# Points between contestants at one number of labels, so that intervals stand side by side; and
# between the first and the last of many.
APART, SPREAD = 3.0, 24.0


def _count(labels_per_class: float) -> str:
    return "all" if np.isinf(labels_per_class) else f"{labels_per_class:g}"


class _Scale(NamedTuple):
    """What is drawn against what: a metric, and labels of each class or in all."""

    metric: str
    counted: str

    @property
    def per_class(self) -> str:
        return " per class" if self.counted == "labels_per_class" else ""

    @property
    def ends(self) -> tuple[float, float]:
        return (0.0, 1.0) if "accuracy" in self.metric else (-np.inf, np.inf)

    @property
    def measure(self) -> str:
        return "R²" if self.metric == "r2" else self.metric.replace("_", " ")


class LabelEfficiencyDisplay:
    """A score against the number of labelled rows: a line with intervals for each contestant.

    Contestants stand a little apart at each number of labels, so that their intervals do not
    cover one another; accuracies and intervals end at 0 and 1. The legend lists contestants in the
    order of the lines where labels are fewest.

    Parameters
    ----------
    summary : DataFrame
        Means and intervals: columns ``name``, ``probe``, ``labels_per_class`` or, of a
        measurement, ``n_labels`` (infinity: all), ``n_labelled``, ``mean``, ``low``, ``high``, as
        ``sklearn_mi.evaluation.summarise`` returns them; ``metric`` names the score, which is
        accuracy without it.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of str to Line2D
        The line of each contestant.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import LabelEfficiencyDisplay
    >>> summary = pd.DataFrame({
    ...     "name": "raw", "probe": "knn", "labels_per_class": [1, 5], "n_labelled": [10, 50],
    ...     "mean": [0.6, 0.8], "low": [0.5, 0.7], "high": [0.7, 0.9],
    ... })
    >>> display = LabelEfficiencyDisplay(summary).plot(probe="knn")
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['1', '5']
    """

    def __init__(self, summary: pd.DataFrame) -> None:
        self.summary = summary

    @classmethod
    def from_table(
        cls,
        summary: pd.DataFrame,
        *,
        probe: str | None = None,
        highlight: str | None = None,
        ax: Axes | None = None,
    ) -> LabelEfficiencyDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        summary : DataFrame
            As for the constructor.
        probe, highlight : str
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : LabelEfficiencyDisplay
        """
        return cls(summary).plot(ax, probe=probe, highlight=highlight)

    def plot(
        self, ax: Axes | None = None, *, probe: str | None = None, highlight: str | None = None
    ) -> LabelEfficiencyDisplay:
        """Draw one probe's scores, and as dashed lines those of what predicts by itself.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.
        probe : str, optional
            Which probe's rows to draw. By default "logistic", or "ridge" of a measurement.
        highlight : str, optional
            A contestant whose line is thick, in front, in the first colour and with a band.

        Returns
        -------
        self : LabelEfficiencyDisplay
            With ``ax_``, ``figure_``, ``lines_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the summary lacks a column, has no row of the probe or of the highlighted name, or
            has several for one name and number of labels.
        """
        summary, scale = _scale_of(self.summary)
        probe = probe or ("logistic" if scale.per_class else "ridge")
        drawn = _rows_of(summary, probe, highlight, scale)
        self.figure_, self.ax_ = axes_for(ax, figsize=WIDE)
        _label_axes(self.ax_, drawn, probe, scale)
        groups = {
            str(name): rows
            for name, rows in drawn.sort_values("n_labelled").groupby("name", sort=False)
        }
        names = list(dict.fromkeys(drawn["name"].astype(str)))
        colours = _colours(self.ax_, names, highlight)
        self.lines_, handles = {}, {}
        for k, name in enumerate(names):
            apart = (k - (len(names) - 1) / 2) * min(APART, SPREAD / len(names))
            style = {"color": colours[name], "marker": MARKERS[k % len(MARKERS)]}
            is_front = None if highlight is None else name == highlight
            handles[name] = _line(self.ax_, name, groups[name], apart, style, is_front)
            self.lines_[name] = handles[name].lines[0]
        ordered = sorted(names, key=lambda name: tuple(groups[name][["n_labelled", "neg"]].iloc[0]))
        has_own = "own" in set(drawn["probe"])
        title = {"title": "dashed: a classifier by itself"} if has_own else {}
        place_legend(self.ax_, [handles[name] for name in ordered], **title)
        self.alt_text_ = _told(drawn, probe, highlight, scale)
        return self


def _scale_of(summary: pd.DataFrame) -> tuple[pd.DataFrame, _Scale]:
    """Return a summary that counts labels in one column, and what it measures."""
    metrics = list(summary["metric"].drop_duplicates()) if "metric" in summary else ["accuracy"]
    if len(metrics) > 1:
        raise ValueError(f"The table has the metrics {metrics}; expected one: keep its rows.")
    counted = "n_labels" if "n_labels" in summary else "labels_per_class"
    renamed = summary.rename(columns={"n_labels": "labels_per_class"})
    return renamed, _Scale("".join(metrics), counted)


def _rows_of(
    summary: pd.DataFrame, probe: str, highlight: str | None, scale: _Scale
) -> pd.DataFrame:
    """Return the rows to draw, with intervals that end where the score does."""
    need_columns(summary, SUMMARY)
    probes = set(summary["probe"])
    if probe not in probes:
        raise ValueError(f"probe={probe!r}; expected one of {sorted(probes)}.")
    chosen = summary["probe"].isin([probe, "own"]) & summary["mean"].notna()
    drawn = pd.DataFrame(summary[chosen])
    if drawn.empty:
        raise ValueError(f"The table has no number in column 'mean' for probe={probe!r}.")
    names = list(dict.fromkeys(drawn["name"]))
    if highlight is not None and highlight not in names:
        hint = did_you_mean(highlight, names)
        raise ValueError(f"highlight={highlight!r}; expected one of {names}.{hint}")
    twice = drawn[drawn.duplicated(["name", "labels_per_class"])]
    if len(twice):
        name, count = twice.iloc[0][["name", "labels_per_class"]]
        raise ValueError(
            f"The table has several rows of {name!r} at {scale.counted}={_count(count)}; expected "
            "one: keep the rows of one data set and one setting."
        )
    ends: Any = drawn[["mean", "low", "high"]].astype(float).clip(*scale.ends)
    # One fold has no interval.
    ends = ends.assign(low=ends["low"].fillna(ends["mean"]), high=ends["high"].fillna(ends["mean"]))
    return drawn.assign(**ends, neg=-ends["mean"])


def _label_axes(ax: Axes, drawn: pd.DataFrame, probe: str, scale: _Scale) -> None:
    ticks = drawn.drop_duplicates("labels_per_class").sort_values("n_labelled")
    ax.set(xscale="log", xlabel=f"labelled rows{scale.per_class}")
    ax.set_ylabel(f"{scale.measure} ({probe} probe)")
    ax.set_xticks(ticks["n_labelled"], [_count(n) for n in ticks["labels_per_class"]])
    ax.minorticks_off()
    numbers = drawn["n_labelled"].to_numpy(float)
    left, right = float(numbers.min()), float(numbers.max())
    # Room for those that stand apart, in a width that the legend has yet to narrow.
    points = 72 * ax.get_window_extent().width / figure_of(ax).dpi
    beside = max(right / left, 3.0) ** min((SPREAD / 2 + 8) / (0.7 * points), 0.2)
    ax.set_xlim(left / beside, right * beside)
    low, high = drawn["low"].to_numpy(float).min(), drawn["high"].to_numpy(float).max()
    margin = 0.04 * max(high - low, 0.05)
    lowest, highest = scale.ends
    ax.set_ylim(max(low - margin, lowest - margin / 2), min(high + margin, highest + margin / 2))
    clear_axes(ax, grid="y")


def _colours(ax: Axes, names: Sequence[str], highlight: str | None) -> dict[str, str]:
    """Return the colour of each contestant; nobody shares that of the highlighted one."""
    if highlight is None:
        return dict(zip(names, palette(ax, len(names)), strict=True))
    first, *rest = palette(ax, len(COLOURS))
    others = [name for name in names if name != str(highlight)]
    return {str(highlight): first, **dict(zip(others, cycle(rest), strict=False))}


def _line(
    ax: Axes,
    name: str,
    rows: pd.DataFrame,
    apart: float,
    style: Mapping[str, Any],
    is_front: bool | None,
) -> Any:
    """Draw a contestant; ``is_front`` is None where nobody stands out."""
    aside = ScaledTranslation(apart / 72, 0, figure_of(ax).dpi_scale_trans)
    x, mean, low, high = (rows[c].to_numpy() for c in ("n_labelled", "mean", "low", "high"))
    if is_front:
        band = {"color": style["color"], "alpha": veil(ax), "lw": 0, "zorder": 1.5}
        ax.fill_between(x, low, high, transform=ax.transData + aside, **band)
    return ax.errorbar(
        x,
        mean,
        yerr=np.maximum([mean - low, high - mean], 0),
        ls="--" if "own" in set(rows["probe"]) else "-",
        lw={None: 1.6, True: 2.8, False: 1.2}[is_front],
        elinewidth=1,
        markersize=6 if is_front else 4.5,
        zorder=4 if is_front else 3,
        label=name,
        transform=ax.transData + aside,
        **style,
    )


def _told(drawn: pd.DataFrame, probe: str, highlight: str | None, scale: _Scale) -> str:
    """Return who is first and last with the fewest and with the most labels."""
    parts = []
    counts = np.unique(drawn["labels_per_class"].to_numpy(float))
    for count in dict.fromkeys([counts[0], counts[-1]]):
        rows = pd.DataFrame(drawn[drawn["labels_per_class"] == count]).sort_values("neg")
        ranked = [f"{row['name']} {row['mean']:.2f}" for _, row in rows.iterrows()]
        ends = f"from {ranked[0]} down to {ranked[-1]}" if len(ranked) > 1 else ranked[0]
        labels = "label" if count == 1 else "labels"
        part = f"with {_count(count)} {labels}{scale.per_class} {ends}"
        own = rows.loc[rows["name"] == highlight, "mean"]
        shown = highlight is not None and len(own) and rows.iloc[0]["name"] != highlight
        parts.append(part + (f" ({highlight} {own.iloc[0]:.2f})" if shown else ""))
    n = drawn["name"].nunique()
    return (
        f"{scale.measure[:1].upper()}{scale.measure[1:]} of {n} contestant{'s' * (n > 1)} against "
        f"labelled rows{scale.per_class}, {probe} probe: {'; '.join(parts)}."
    )


def _known_directions(table: pd.DataFrame) -> dict[str, str]:
    """Return the diagnostics that two or more contestants have."""
    there = [column for column in DIRECTIONS if column in table]
    counts = pd.DataFrame(table.groupby("name")[there].mean()).count().to_dict()
    return {column: DIRECTIONS[column] for column in there if counts[column] > 1}


def _outward(values: pd.Series, way: str, scaling: str) -> pd.Series:
    """Return each contestant's place on an axis, from 0 for the worst to 1 for the best."""
    better = values if way == "more" else -values
    better = better.rank() if scaling == "rank" else better
    span = float(better.max() - better.min())
    # If all are equal none is best: halfway out.
    return (better - better.min()) / span if span > 0 else better * 0 + 0.5


def _spokes(ax: Axes, means: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[Any]:
    angles = np.linspace(0, 2 * np.pi, len(directions), endpoint=False)
    names = [
        f"{fill(column.replace('_', ' '), 20)}\n{way} is better\n{means[column].min():.3g} to "
        f"{means[column].max():.3g} {UNITS.get(column, '')}".rstrip()
        for column, way in directions.items()
    ]
    ax.set_xticks(angles, names, size=8)
    ax.tick_params(axis="x", pad=1)
    # The corner of the words that is nearest to the circle touches it.
    for label, angle in zip(ax.get_xticklabels(), angles, strict=True):
        right, up = round(float(np.cos(angle)), 3), round(float(np.sin(angle)), 3)
        label.set_horizontalalignment("left" if right > 0 else "right" if right < 0 else "center")
        label.set_verticalalignment("bottom" if up > 0 else "top" if up < 0 else "center")
    ax.set_yticks([INNERMOST, 1.0], ["", ""])
    ax.set_ylim(0, 1.05)
    ax.grid(alpha=0.35)
    ax.spines["polar"].set_visible(False)
    return angles


class DiagnosticsDisplay:
    """A radar of diagnostics: an axis for each, better values outward, a line for each contestant.

    It compares the contestants that are in it with one another and does not show whether a
    difference matters: each axis runs from the worst of them, on the inner ring, to the best, on
    the outer one, however close they are. So the label of an axis gives its range. The label also
    says in which direction values are better; that is certain for v-information and for seconds,
    and follows the literature for the others.

    Parameters
    ----------
    table : DataFrame
        As ``sklearn_mi.evaluation.compare`` returns it with ``diagnostics=True``, or any table
        with a column ``name`` and columns of numbers, of which the mean over rows is drawn.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of str to Line2D
        The line of each contestant; it has a gap where a contestant has no number.
    outward_ : DataFrame
        What is drawn: a row for each contestant and a column for each axis, from 0 for the worst
        to 1 for the best.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import DiagnosticsDisplay
    >>> table = pd.DataFrame({
    ...     "name": ["ours", "PCA", "raw"], "effective_rank": [20.0, 15.0, 10.0],
    ...     "v_information": [2.2, 2.0, 1.8], "fit_seconds": [9.0, 0.1, 0.0],
    ... })
    >>> DiagnosticsDisplay.from_table(table).outward_["effective_rank"].tolist()
    [1.0, 0.5, 0.0]
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        *,
        directions: Mapping[str, str] | None = None,
        scaling: str = "min-max",
        ax: Axes | None = None,
    ) -> DiagnosticsDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        table : DataFrame
            As for the constructor.
        directions, scaling : dict of str to str, str
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : DiagnosticsDisplay
        """
        return cls(table).plot(ax, directions=directions, scaling=scaling)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        directions: Mapping[str, str] | None = None,
        scaling: str = "min-max",
    ) -> DiagnosticsDisplay:
        """Draw the means of each contestant.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw, with polar axes; by default a new figure.
        directions : dict of str to {"more", "less"}, optional
            Columns to draw, and in which direction each is better. By default the diagnostics of
            ``compare`` that two or more contestants have.
        scaling : {"min-max", "rank"}
            Place means between the worst and the best in proportion, or by rank.

        Returns
        -------
        self : DiagnosticsDisplay
            With ``ax_``, ``figure_``, ``lines_``, ``outward_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If there are fewer than three axes, a column is absent, a direction or scaling is not a
            known name, or ``ax`` is not polar.
        """
        directions = _known_directions(self.table) if directions is None else directions
        self._check(directions, scaling, ax)
        means = pd.DataFrame(self.table.groupby("name", sort=False)[list(directions)].mean())
        means = means.replace([np.inf, -np.inf], np.nan)
        self.outward_ = pd.DataFrame(
            {
                column: _outward(pd.Series(means[column]), way, scaling)
                for column, way in directions.items()
            }
        )
        polar = {"subplot_kw": {"projection": "polar"}, "figsize": (6.4, 5.2)}
        self.figure_, self.ax_ = axes_for(ax, **polar)
        angles = _spokes(self.ax_, means, directions)
        self.lines_ = {}
        colours = palette(self.ax_, len(means))
        for k, (name, row) in enumerate(self.outward_.iterrows()):
            radii = INNERMOST + (1 - INNERMOST) * row.to_numpy()
            closed = np.append(angles, angles[0]), np.append(radii, radii[0])
            style = {"color": colours[k], "marker": MARKERS[k % len(MARKERS)], "markersize": 4.5}
            (line,) = self.ax_.plot(*closed, label=str(name), **style)
            if np.isfinite(radii).all():
                self.ax_.fill(*closed, color=colours[k], alpha=veil(self.ax_) / 2)
            self.lines_[str(name)] = line
        place_legend(self.ax_, title="outer ring: best of these; inner ring: worst", ncols=3)
        self.alt_text_ = _best_of(means, self.outward_)
        return self

    def _check(self, directions: Mapping[str, str], scaling: str, ax: Axes | None) -> None:
        need_columns(self.table, ("name", *directions))
        if len(directions) < 3:
            raise ValueError(
                f"directions={dict(directions)}; expected three columns or more. Make the table by "
                "compare(..., diagnostics=True), with two contestants or more."
            )
        for column, way in directions.items():
            if way not in ("more", "less"):
                raise ValueError(f"directions[{column!r}]={way!r}; expected 'more' or 'less'.")
        if scaling not in ("min-max", "rank"):
            raise ValueError(f"scaling={scaling!r}; expected 'min-max' or 'rank'.")
        if ax is not None and ax.name != "polar":
            raise ValueError(
                f"ax is {ax.name}; expected polar axes: "
                "plt.subplots(subplot_kw={'projection': 'polar'})."
            )


def _best_of(means: pd.DataFrame, outward: pd.DataFrame) -> str:
    """Return who is best on each axis, if anybody is."""
    bests = []
    for column in outward.columns[outward.notna().any()]:
        best, unit = outward[column].idxmax(), UNITS.get(str(column), "")
        value = written(means[column].loc[best], unit)
        who = "all equal" if bool(means[column].nunique() == 1) else str(best)
        bests.append(f"{str(column).replace('_', ' ')}: {who}, {value}")
    return (
        f"Radar of {len(outward.columns)} diagnostics of {', '.join(map(str, means.index))}; "
        f"the best in each: {'; '.join(bests)}."
    )
