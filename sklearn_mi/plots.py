"""Plots of results, as scikit-learn's Display objects, made from tables and arrays alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from sklearn_mi._checks import check_codes, check_values, is_continuous

__all__ = [
    "BoundsDisplay",
    "ConvergenceDisplay",
    "DiagnosticsDisplay",
    "EmbeddingDisplay",
    "LabelEfficiencyDisplay",
    "PointwiseDisplay",
    "StaircaseDisplay",
    "StudyDisplay",
]

# Okabe and Ito's colours, which colour-blind readers can tell apart, without their yellow, which
# vanishes on white; then Tol's wine, olive and sand for up to three more classes.
COLOURS = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#882255",
    "#999933",
    "#A08060",
)

SUMMARY = ("name", "probe", "labels_per_class", "n_labelled", "mean", "low", "high")

# More names than these cannot be read in a plot.
MOST_CLASSES = 100

# What a number in nats bounds.
STATUS_COLOURS = {"lower": "#0072B2", "upper": "#D55E00", "neither": "#777777"}

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
INNERMOST = 0.2


def _axes(ax: Axes | None) -> tuple[Figure, Axes]:
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    return ax.get_figure(root=True), ax  # pyright: ignore[reportReturnType]


def _need(table: pd.DataFrame, columns: Sequence[str]) -> None:
    absent = [name for name in columns if name not in table]
    if absent:
        raise ValueError(f"The table has no column {absent[0]!r}; it has {list(table)}.")


def _line(ax: Axes, name: str, rows: pd.DataFrame, colour: str) -> Any:
    dashed = "own" in set(rows["probe"])
    (line,) = ax.plot(
        rows["n_labelled"],
        rows["mean"],
        "o--" if dashed else "o-",
        color=colour,
        markersize=4,
        label=name,
    )
    ax.fill_between(rows["n_labelled"], rows["low"], rows["high"], color=colour, alpha=0.15, lw=0)
    return line


def _label_axis(ax: Axes, rows: pd.DataFrame) -> None:
    ticks = rows.drop_duplicates("labels_per_class")
    names = ["all" if np.isinf(n) else f"{n:g}" for n in ticks["labels_per_class"]]
    ax.set(xscale="log", xlabel="labelled rows per class")
    ax.set_xticks(ticks["n_labelled"], names)
    ax.minorticks_off()
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylim(top=1)


class LabelEfficiencyDisplay:
    """Accuracy against the number of labelled rows, with a line and a band for each contestant.

    Parameters
    ----------
    summary : DataFrame
        Means and intervals: columns ``name``, ``probe``, ``labels_per_class`` (infinity: all),
        ``n_labelled``, ``mean``, ``low``, ``high``, as ``sklearn_mi.evaluation.summarise``
        returns them.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of str to Line2D
        The line of each contestant.

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
        cls, summary: pd.DataFrame, *, probe: str = "logistic", ax: Axes | None = None
    ) -> LabelEfficiencyDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        summary : DataFrame
            As for the constructor.
        probe : str
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : LabelEfficiencyDisplay
        """
        return cls(summary).plot(ax, probe=probe)

    def plot(self, ax: Axes | None = None, *, probe: str = "logistic") -> LabelEfficiencyDisplay:
        """Draw one probe's accuracies, and those of classifiers as dashed lines.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.
        probe : str
            Which probe's rows to draw.

        Returns
        -------
        self : LabelEfficiencyDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If the summary lacks a column, or has no row of the probe.
        """
        _need(self.summary, SUMMARY)
        probes = set(self.summary["probe"])
        if probe not in probes:
            raise ValueError(f"probe={probe!r}; expected one of {sorted(probes)}.")
        drawn = pd.DataFrame(self.summary[self.summary["probe"].isin([probe, "own"])])
        self.figure_, self.ax_ = _axes(ax)
        self.lines_ = {}
        contestants = drawn.sort_values("n_labelled", kind="stable").groupby("name", sort=False)
        for (name, rows), colour in zip(contestants, cycle(COLOURS)):
            self.lines_[name] = _line(self.ax_, str(name), rows, colour)
        _label_axis(self.ax_, drawn)
        self.ax_.set(ylabel="accuracy")
        self.ax_.legend(loc="lower right", frameon=False)
        return self


def _two_dimensions(
    Z: NDArray[Any], method: str, random_state: int | np.random.RandomState | None
) -> NDArray[Any]:
    if Z.shape[1] == 2:
        return Z
    if method == "pca":
        return PCA(2, svd_solver="full").fit_transform(Z)
    return TSNE(random_state=random_state, perplexity=min(30, len(Z) / 4)).fit_transform(Z)


def _is_measurement(y: NDArray[Any]) -> bool:
    many = y.dtype.kind in "iuf" and len(np.unique(y)) > MOST_CLASSES
    return many or is_continuous(y)


def _colour_values(y: ArrayLike, n_rows: int, table: str) -> NDArray[Any]:
    """Return what rows are coloured by: classes, or numbers."""
    values = check_values("y", y, n_rows, table)
    n_different = len(np.unique(values))
    if n_different > MOST_CLASSES and not _is_measurement(values):
        raise ValueError(
            f"y has {n_different} different names; expected at most {MOST_CLASSES}, or numbers. "
            "Leave y out to draw the rows in one colour."
        )
    return values


def _name_group(ax: Axes, members: NDArray[Any], name: str, colour: str) -> None:
    # At a member, not at the mean, which lies between the parts of a group that has two.
    middle = np.median(members, axis=0)
    nearest = members[np.argmin(np.sum((members - middle) ** 2, axis=1))]
    style: dict[str, Any] = {"weight": "bold", "size": 13, "ha": "center", "va": "center"}
    ax.text(
        nearest[0],
        nearest[1],
        name,
        color=colour,
        path_effects=[withStroke(linewidth=4, foreground="white")],
        **style,
    )


class EmbeddingDisplay:
    """Codes in two dimensions, coloured by class or by a measurement.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, 2)
        Where each row lies.
    y : array-like of shape (n_samples,), optional
        Classes, whose names are written beside their rows; or a measurement, which gets a colour
        bar: numbers that are not whole, or whole ones of more than 100 different values.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    colorbar_ : Colorbar or None
        Of a measurement.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi.plots import EmbeddingDisplay
    >>> Z, y = load_iris(return_X_y=True)
    >>> EmbeddingDisplay.from_codes(Z, y).embedding.shape
    (150, 2)
    """

    def __init__(self, embedding: ArrayLike, y: ArrayLike | None = None) -> None:
        self.embedding = embedding
        self.y = y

    @classmethod
    def from_codes(
        cls,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        *,
        method: str = "pca",
        random_state: int | np.random.RandomState | None = 0,
        ax: Axes | None = None,
    ) -> EmbeddingDisplay:
        """Reduce codes to two dimensions and draw them.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes; two columns are drawn as they are.
        y : array-like of shape (n_samples,), optional
            Classes or a measurement, for the colours only.
        method : {"pca", "tsne"}
            Principal components keep large distances; t-SNE shows which rows are neighbours, but
            its distances between groups mean little.
        random_state : int, RandomState or None
            For t-SNE.
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        display : EmbeddingDisplay

        Raises
        ------
        ValueError
            If ``method`` is not a known name, ``Z`` is no table of two or more columns of finite
            numbers, or ``y`` does not have one value for each row.
        """
        if method not in ("pca", "tsne"):
            raise ValueError(f"method={method!r}; expected 'pca' or 'tsne'.")
        codes = check_codes("Z", Z, dtype=None, least_rows=2, least_columns=2)
        if y is not None:
            y = _colour_values(y, len(codes), "Z")
        return cls(_two_dimensions(codes, method, random_state), y).plot(ax)

    def plot(self, ax: Axes | None = None) -> EmbeddingDisplay:
        """Draw the rows.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : EmbeddingDisplay
            With ``ax_``, ``figure_`` and ``colorbar_``.

        Raises
        ------
        ValueError
            If the embedding is no table of two columns of finite numbers, or ``y`` does not have
            one value for each row.
        """
        points = check_codes("embedding", self.embedding, dtype=None, least_columns=2)
        if points.shape[1] > 2:
            raise ValueError(
                f"embedding has {points.shape[1]} columns; expected two: "
                "EmbeddingDisplay.from_codes reduces codes."
            )
        n, style = len(points), {"s": 9, "alpha": 0.7, "lw": 0}
        y = np.zeros(n, int) if self.y is None else _colour_values(self.y, n, "embedding")
        self.figure_, self.ax_ = _axes(ax)
        self.colorbar_ = None
        if _is_measurement(y):
            drawn = self.ax_.scatter(*points.T, c=y, **style)
            self.colorbar_ = self.figure_.colorbar(drawn, ax=self.ax_)
        else:
            for label, colour in zip(np.unique(y), cycle(COLOURS)):
                members = points[y == label]
                self.ax_.scatter(*members.T, color=colour, **style)
                if self.y is not None:
                    _name_group(self.ax_, members, str(label), colour)
        self.ax_.set(xticks=[], yticks=[])
        self.ax_.spines[:].set_visible(False)
        return self


class StudyDisplay:
    """Measurements of a study along training: a line for each learner, a band over its seeds.

    Parameters
    ----------
    table : DataFrame
        As ``sklearn_mi.study.run_study`` returns it: columns ``step``, ``seed``, the column to
        draw and the column that distinguishes the lines.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of str to Line2D
        The line of each value of ``by``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import StudyDisplay
    >>> table = pd.DataFrame({
    ...     "critic": "bilinear", "seed": [0, 1, 0, 1], "step": [0, 0, 100, 100],
    ...     "accuracy": [0.7, 0.8, 0.9, 0.9],
    ... })
    >>> display = StudyDisplay.from_table(table, "accuracy", by="critic")
    >>> display.lines_["bilinear"].get_ydata().round(2).tolist()
    [0.75, 0.9]
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, column: str, *, by: str = "learner", ax: Axes | None = None
    ) -> StudyDisplay:
        """Make the display and draw it.

        Parameters
        ----------
        table : DataFrame
            As for the constructor.
        column, by : str
            As for :meth:`plot`.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : StudyDisplay
        """
        return cls(table).plot(column, by=by, ax=ax)

    def plot(self, column: str, *, by: str = "learner", ax: Axes | None = None) -> StudyDisplay:
        """Draw one column: the mean over seeds, and a band of one standard deviation either way.

        Parameters
        ----------
        column : str
            Such as ``"accuracy"`` or ``"infonce_test"``.
        by : str
            Column that has a line for each of its values.
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : StudyDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If the table lacks one of the columns.
        """
        _need(self.table, (column, by, "step"))
        self.figure_, self.ax_ = _axes(ax)
        self.lines_ = {}
        kept = self.table.dropna(subset=[column])
        for (name, rows), colour in zip(kept.groupby(by, sort=False), cycle(COLOURS)):
            curves = rows.pivot_table(column, "step", "seed")
            steps, mean = curves.index.to_numpy(), curves.mean(axis=1).to_numpy()
            sd = curves.std(axis=1).fillna(0.0).to_numpy()
            (line,) = self.ax_.plot(steps, mean, "o-", color=colour, markersize=4, label=str(name))
            self.ax_.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.15, lw=0)
            self.lines_[str(name)] = line
        self.ax_.set(xlabel="step", ylabel=column.replace("_", " "))
        self.ax_.grid(axis="y", alpha=0.3)
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False)
        return self


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
        f"{column.replace('_', ' ')}\n{way} is better\n{means[column].min():.3g} to "
        f"{means[column].max():.3g}"
        for column, way in directions.items()
    ]
    ax.set_xticks(angles, names, size=8)
    for label, angle in zip(ax.get_xticklabels(), angles, strict=True):
        side = round(float(np.cos(angle)), 3)
        label.set_horizontalalignment("left" if side > 0 else "right" if side < 0 else "center")
    ax.set_yticks([INNERMOST, 1.0], ["worst", "best"], size=7, color="0.4")
    ax.set_ylim(0, 1.05)
    ax.grid(alpha=0.3)
    ax.spines["polar"].set_visible(False)
    return angles


class DiagnosticsDisplay:
    """A radar of diagnostics: an axis for each, better values outward, a line for each contestant.

    It compares the contestants that are in it with one another and does not show whether a
    difference matters: each axis runs from the worst to the best of them, however close they are.
    So the label of an axis gives its range. The label also says in which direction values are
    better; that is certain for v-information and for seconds, and follows the literature for the
    others.

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
            With ``ax_``, ``figure_``, ``lines_`` and ``outward_``.

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
        if ax is None:
            ax = plt.subplots(subplot_kw={"projection": "polar"}, layout="constrained")[1]
        self.figure_, self.ax_ = _axes(ax)
        angles = _spokes(self.ax_, means, directions)
        self.lines_ = {}
        for (name, row), colour in zip(self.outward_.iterrows(), cycle(COLOURS)):
            radii = INNERMOST + (1 - INNERMOST) * row.to_numpy()
            closed = np.append(angles, angles[0]), np.append(radii, radii[0])
            (line,) = self.ax_.plot(*closed, "o-", color=colour, markersize=4, label=str(name))
            self.ax_.fill(*closed, color=colour, alpha=0.08 if np.isfinite(radii).all() else 0)
            self.lines_[str(name)] = line
        self.ax_.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False, ncols=3)
        return self

    def _check(self, directions: Mapping[str, str], scaling: str, ax: Axes | None) -> None:
        _need(self.table, ("name", *directions))
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


class BoundsDisplay:
    """All bounds in one column: each with its interval, its ceiling, and its status.

    Lower bounds are blue, numbers that are no bound grey. A bar at the right is the ceiling that
    the bound cannot exceed with its number of candidates: a value close to it means that the
    information may be larger.

    Parameters
    ----------
    bounds : DataFrame
        As ``MIEstimator.bounds_``: named rows with ``value``, ``low``, ``high``, ``status``,
        ``ceiling``.
    best_guess : tuple of float, optional
        A value and the two ends of its interval.
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
        """
        mi = estimator.mi_
        display = cls(
            estimator.bounds_, best_guess=(mi.value, *mi.interval), lower_limit=mi.lower_limit
        )
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
            With ``ax_``, ``figure_`` and ``bars_``.

        Raises
        ------
        ValueError
            If the table lacks a column.
        """
        _need(self.bounds, ("value", "low", "high", "status", "ceiling"))
        self.figure_, self.ax_ = _axes(ax)
        rungs = [
            (str(name), row["value"], row["low"], row["high"], STATUS_COLOURS[str(row["status"])])
            for name, row in self.bounds.iterrows()
        ]
        if self.best_guess is not None:
            rungs.append(("best guess", *self.best_guess, "#000000"))
        self.bars_ = {
            name: self.ax_.errorbar(
                value, k, xerr=[[value - low], [high - value]], fmt="o", color=colour, capsize=3
            )
            for k, (name, value, low, high, colour) in enumerate(rungs)
        }
        self._ceilings()
        if self.lower_limit is not None:
            self.ax_.axvline(self.lower_limit, color=STATUS_COLOURS["lower"], lw=1)
            self.ax_.axvspan(self.lower_limit, self.ax_.get_xlim()[1], color="0.96", zorder=0)
        if true_mi is not None:
            self.ax_.axvline(true_mi, color="#D55E00", ls="--", lw=1, label="truth")
            self.ax_.legend(frameon=False)
        self.ax_.set_yticks(range(len(rungs)), [rung[0] for rung in rungs])
        self.ax_.set(xlabel="nats", ylim=(len(rungs) - 0.5, -0.5))
        self.ax_.spines[["top", "right", "left"]].set_visible(False)
        return self

    def _ceilings(self) -> None:
        """Draw ceilings as bars, except those so far off that the values would shrink."""
        left, right = self.ax_.get_xlim()
        for k, (ceiling, value) in enumerate(self.bounds[["ceiling", "value"]].to_numpy()):
            if np.isfinite(ceiling) and ceiling - value < 2 * (right - left):
                right = max(right, ceiling)
                self.ax_.plot([ceiling] * 2, [k - 0.3, k + 0.3], color="0.3", lw=2)
        self.ax_.set_xlim(left, right + 0.02 * (right - left))


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
        return cls(estimator.pointwise_).plot(ax, bins=bins)

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
            With ``ax_``, ``figure_`` and ``counts_``.

        Raises
        ------
        ValueError
            If the log-ratios are not finite numbers.
        """
        values = check_codes("pointwise", np.reshape(self.pointwise, (-1, 1)))[:, 0]
        self.figure_, self.ax_ = _axes(ax)
        counts, _, _ = self.ax_.hist(values, bins, color=COLOURS[1], alpha=0.7)
        self.counts_ = np.asarray(counts).astype(int)
        self.ax_.axvline(
            float(values.mean()), color=COLOURS[0], lw=1.5, label=f"mean {values.mean():.2f}"
        )
        self.ax_.axvline(0, color="0.3", lw=1, ls=":", label=f"{(values < 0).mean():.0%} below 0")
        self.ax_.set(xlabel="log-ratio of a pair, nats", ylabel="rows")
        self.ax_.legend(frameon=False)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self


class ConvergenceDisplay:
    """The loss of the networks on stopping rows along training: a line for each fold.

    Parameters
    ----------
    curves : DataFrame
        As ``MIEstimator.curves_``: columns ``fold``, ``candidate``, ``step``, ``loss``.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of tuple to Line2D
        The line of each candidate and fold.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mi.plots import ConvergenceDisplay
    >>> curves = pd.DataFrame({
    ...     "fold": 0, "candidate": "network", "step": [0, 50], "loss": [1.39, 1.2],
    ... })
    >>> display = ConvergenceDisplay(curves).plot()
    >>> list(display.lines_)
    [('network', 0)]
    """

    def __init__(self, curves: pd.DataFrame) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> ConvergenceDisplay:
        """Make the display of a fitted estimator and draw it.

        Parameters
        ----------
        estimator : MIEstimator
            Fitted, with networks.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : ConvergenceDisplay
        """
        return cls(estimator.curves_).plot(ax)

    def plot(self, ax: Axes | None = None) -> ConvergenceDisplay:
        """Draw the curves, coloured by kind of network, with a point at the step that was kept.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : ConvergenceDisplay
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If the table lacks a column, or has no rows because the estimator had no network.
        """
        _need(self.curves, ("fold", "candidate", "step", "loss"))
        if self.curves.empty:
            raise ValueError("The table has no rows; expected an estimator with networks.")
        self.figure_, self.ax_ = _axes(ax)
        self.lines_ = {}
        for (name, rows), colour in zip(
            self.curves.groupby("candidate", sort=False), cycle(COLOURS)
        ):
            for k, (fold, curve) in enumerate(rows.groupby("fold")):
                label = None if k else str(name)
                steps, loss = curve["step"].to_numpy(), curve["loss"].to_numpy()
                (line,) = self.ax_.plot(steps, loss, color=colour, alpha=0.6, lw=1, label=label)
                best = loss.argmin()
                self.ax_.plot(steps[best], loss[best], "o", color=colour, markersize=4)
                self.lines_[name, fold] = line
        self.ax_.axhline(2 * np.log(2), color="0.3", ls=":", lw=1, label="no information")
        self.ax_.set(xlabel="step", ylabel="logistic loss, stopping rows")
        self.ax_.legend(frameon=False)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self


class StaircaseDisplay:
    """Estimates against the truth on data of rising information; the diagonal is the truth.

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
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If the table lacks a column.
        """
        _need(self.table, ("name", "true_mi", "value"))
        self.figure_, self.ax_ = _axes(ax)
        self.lines_ = {}
        bands = [name for name in ("low", "high") if name in self.table]
        for (name, rows), colour in zip(self.table.groupby("name", sort=False), cycle(COLOURS)):
            means = pd.DataFrame(rows.groupby("true_mi")[["value", *bands]].mean())
            x = means.index.to_numpy()
            (line,) = self.ax_.plot(x, means["value"], "o-", color=colour, label=str(name))
            if len(bands) == 2:
                self.ax_.fill_between(x, means["low"], means["high"], color=colour, alpha=0.2, lw=0)
            self.lines_[str(name)] = line
        truths = np.unique(self.table["true_mi"])
        self.ax_.plot(truths, truths, color="0.3", ls=":", lw=1, label="truth")
        if ceiling is not None:
            self.ax_.axhline(ceiling, color="0.3", ls="--", lw=1, label="ceiling")
        self.ax_.set(xlabel="true mutual information, nats", ylabel="estimate, nats")
        self.ax_.legend(frameon=False)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self
