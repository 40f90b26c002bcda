"""What changes along training: the learner's bounds, a study's measures, the networks' losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sklearn_mi.plots.style import (
    MARKERS,
    WIDE,
    axes_for,
    clear_axes,
    muted,
    need_columns,
    palette,
    place_legend,
    read_fitted,
    veil,
    written,
)

__all__ = ["ConvergenceDisplay", "StudyDisplay", "TrainingDisplay"]

# More points than these run into one another.
MOST_MARKERS = 40
# How the names of an online probe's scores end.
SCORES = ("_accuracy", "_r2")
# The logistic loss of a network that cannot tell a pair from an unrelated one.
NO_INFORMATION = 2 * np.log(2)


class TrainingDisplay:
    """What a learner maximised along training, and the held-out bound where it was watched.

    The two are different numbers: training maximises the objective on batches of training rows;
    the held-out bound is InfoNCE on rows that training did not see, recorded with
    ``early_stopping=True`` or ``verbose=True``. A held-out line that falls while the other rises
    tells of overfitting. Neither says how good the features are; scores of labels, where an
    `sklearn_mi.callbacks.OnlineProbe` has recorded them, have an axis of their own on the right.

    Parameters
    ----------
    history : sequence of dict or DataFrame
        As ``MIRepresentationLearner.history_``: records with ``train_bound``, and ``steps``,
        ``valid_bound`` and scores such as ``knn_accuracy`` where they are known.
    objective : str, optional
        What training maximises, for the legend.
    ceiling : float, optional
        The largest value, in nats, that the held-out bound can take. It is drawn where it is near.
    in_nats : bool, default=True
        Whether ``train_bound`` is a number in nats; False where training maximises no bound.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    lines_ : dict of str to Line2D
        The lines ``"train_bound"`` and, where they were watched, ``"valid_bound"`` and scores.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> from sklearn_mi.plots import TrainingDisplay
    >>> history = [
    ...     {"steps": 10, "train_bound": 0.8, "valid_bound": 0.7},
    ...     {"steps": 10, "train_bound": 1.4, "valid_bound": 1.1},
    ... ]
    >>> display = TrainingDisplay(history, ceiling=1.4).plot()
    >>> display.lines_["valid_bound"].get_xdata().tolist()
    [10, 20]
    """

    def __init__(
        self,
        history: Sequence[Mapping[str, Any]] | pd.DataFrame,
        *,
        objective: str | None = None,
        ceiling: float | None = None,
        in_nats: bool = True,
    ) -> None:
        self.history = history
        self.objective = objective
        self.ceiling = ceiling
        self.in_nats = in_nats

    @classmethod
    def from_estimator(cls, learner: Any, ax: Axes | None = None) -> TrainingDisplay:
        """Make the display of a fitted learner and draw it.

        Parameters
        ----------
        learner : MIRepresentationLearner
            Fitted.
        ax : Axes, optional
            As for :meth:`plot`.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        NotFittedError
            If the learner is not fitted.
        """
        history = read_fitted(learner, "history_", "MIRepresentationLearner")
        objective, in_nats = _objective_of(learner)
        ceiling = getattr(getattr(learner, "mi_", None), "ceiling", None)
        display = cls(history, objective=objective, ceiling=ceiling, in_nats=in_nats)
        return display.plot(ax)

    def plot(self, ax: Axes | None = None) -> TrainingDisplay:
        """Draw the curves; a value that is not finite leaves a gap.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : TrainingDisplay
            With ``ax_``, ``figure_``, ``lines_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the history has no records, or none with ``train_bound``.
        """
        curves = _curves_of(self.history)
        self.figure_, self.ax_ = axes_for(ax, figsize=WIDE)
        watched = "valid_bound" in curves
        names = {
            "valid_bound": "held-out rows: InfoNCE",
            "train_bound": "training rows: " + (self.objective or "objective"),
        }
        colours = dict(zip(names, palette(self.ax_, 2), strict=True))
        # An objective that is no bound has a scale of its own.
        apart = watched and not self.in_nats
        train_ax = self.ax_.twinx() if apart else self.ax_
        places = {"train_bound": train_ax} | ({"valid_bound": self.ax_} if watched else {})
        self.lines_ = {
            name: _curve(place, curves, name, color=colours[name], label=names[name])
            for name, place in places.items()
        }
        unit = "nats" if self.in_nats or watched else "objective"
        self.ax_.set(xlabel=str(curves.index.name), ylabel=unit)
        self.ax_.xaxis.set_major_locator(
            MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        )
        clear_axes(self.ax_, grid="y")
        if apart:
            self.ax_.set_ylabel("held-out InfoNCE, nats")
            train_ax.set_ylabel("objective on training rows")
            train_ax.spines["top"].set_visible(False)
        handles = [self.lines_[name] for name in names if name in self.lines_]
        best = curves["valid_bound"].idxmax() if watched else None
        handles += self._marks(curves, best, colours["valid_bound"])
        scores = _scores_of(self.history, curves.index)
        handles += self._draw_scores(scores, apart)
        # On the axes that are drawn last, whose lines would cross it.
        place_legend(self.figure_.axes[-1] if len(scores) else train_ax, handles)
        self.alt_text_ = self._told(curves, best, scores)
        return self

    def _draw_scores(self, scores: pd.DataFrame, apart: bool) -> list[Line2D]:
        """Draw scores of labels on an axis of their own."""
        if scores.empty:
            return []
        ax = self.ax_.twinx()
        ax.set_ylabel("score on labelled rows")
        ax.spines["top"].set_visible(False)
        # Beyond the objective's axis, if it has one.
        ax.spines["right"].set_position(("outward", 52 if apart else 0))
        colours = palette(self.ax_, 2 + scores.shape[1])[2:]
        for (name, values), colour, marker in zip(
            scores.items(), colours, MARKERS[2:], strict=False
        ):
            seen = values.dropna()
            words = str(name).replace("_r2", " R²").replace("_", " ")
            (line,) = ax.plot(seen.index, seen, marker=marker, ms=4, color=colour, label=words)
            self.lines_[str(name)] = line
        return [self.lines_[str(name)] for name in scores]

    def _marks(self, curves: pd.DataFrame, best: Any, colour: str) -> list[Line2D]:
        """Draw the best pass and, where it is near, the ceiling."""
        marks = []
        if best is not None and len(curves) > 1:
            value = curves["valid_bound"].loc[best]
            style = {"mfc": "none", "mec": colour, "ms": 10, "mew": 1.5, "ls": ""}
            marks += self.ax_.plot(best, value, "o", label=f"highest, {written(value)}", **style)
        if self._ceiling_is_near(curves):
            style = {"color": muted(self.ax_), "ls": "--", "lw": 1}
            label = f"ceiling, {written(self.ceiling or 0.0)}"
            marks.append(self.ax_.axhline(self.ceiling or 0.0, label=label, **style))
        return marks

    def _ceiling_is_near(self, curves: pd.DataFrame) -> bool:
        """Tell whether the curves keep half of the height beside the ceiling."""
        if self.ceiling is None or not np.isfinite(self.ceiling) or not self.in_nats:
            return False
        values = curves.to_numpy(float)
        top, span = float(np.nanmax(values)), float(np.nanmax(values) - np.nanmin(values))
        return bool(self.ceiling - top <= max(span, 0.1 * abs(self.ceiling)))

    def _told(self, curves: pd.DataFrame, best: Any, scores: pd.DataFrame) -> str:
        unit = "nats" if self.in_nats else ""
        train = curves["train_bound"].dropna()
        name = self.objective or "the objective"
        ends = " to ".join(written(v) for v in dict.fromkeys([train.iloc[0], train.iloc[-1]]))
        moves = "goes from" if " to " in ends else "is"
        parts = [f"{name} on training rows {moves} {ends} {unit}".rstrip()]
        gaps = len(curves) - len(train)
        parts += [f"{gaps} of {len(curves)} values are not finite"] if gaps else []
        if best is not None:
            highest = written(curves["valid_bound"].loc[best], "nats")
            parts.append(f"held-out InfoNCE is highest, {highest}, at {curves.index.name} {best:g}")
        if self._ceiling_is_near(curves):
            parts.append(f"its ceiling is {written(self.ceiling or 0.0, 'nats')}")
        for name, values in scores.items():
            parts.append(f"{str(name).replace('_', ' ')} is {written(values.dropna().iloc[-1])}")
        return f"Training to {curves.index.name} {curves.index[-1]:g}: {'; '.join(parts)}."


def _curves_of(history: Any) -> pd.DataFrame:
    """Return the bounds as columns, with the steps taken as index."""
    rows = history if isinstance(history, pd.DataFrame) else pd.DataFrame(list(history))
    if rows.empty:
        raise ValueError("The history has no records; expected one for each pass: fit first.")
    need_columns(rows, ["train_bound"])
    names = [name for name in ("train_bound", "valid_bound") if name in rows]
    curves = rows[names].apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    curves = pd.DataFrame(curves.dropna(axis="columns", how="all"))
    if "train_bound" not in curves:
        raise ValueError("The history has no finite train_bound; standardise X, or lower lr.")
    passes = np.arange(1, len(rows) + 1)
    steps = np.cumsum(rows["steps"]) if "steps" in rows else passes
    return curves.set_index(pd.Index(steps, name="step" if "steps" in rows else "pass"))


def _scores_of(history: Any, steps: pd.Index) -> pd.DataFrame:
    """Return the scores of labels as columns, at the steps where there are some."""
    rows = history if isinstance(history, pd.DataFrame) else pd.DataFrame(list(history))
    names = [name for name in rows if str(name).endswith(SCORES)]
    scores = rows[names].apply(pd.to_numeric, errors="coerce").set_index(steps)
    return pd.DataFrame(scores.dropna(axis="columns", how="all").dropna(how="all"))


def _curve(ax: Axes, curves: pd.DataFrame, name: str, **style: Any) -> Line2D:
    marker = {"train_bound": "s", "valid_bound": "o"}[name]
    shown = {"marker": marker, "ms": 4} if len(curves) <= MOST_MARKERS else {}
    (line,) = ax.plot(curves.index.to_numpy(), curves[name].to_numpy(float), **shown, **style)
    return line


def _objective_of(learner: Any) -> tuple[str | None, bool]:
    """Return what a learner maximised, and whether that is the bound that it reports."""
    from sklearn_mi.bounds import Bound
    from sklearn_mi.objectives import EachPart, as_objective

    choice = getattr(learner, "choices_", {}).get("objective")
    given = getattr(learner, "objective", None) if choice is None else choice.value
    if given is None:
        return None, True
    name = given if isinstance(given, str) else type(given).__name__
    trained = as_objective(given)
    while isinstance(trained, EachPart):
        trained = as_objective(trained.objective)
    in_nats = isinstance(trained, Bound) and type(trained).surrogate is Bound.surrogate
    return name, in_nats


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
    alt_text_ : str
        One sentence for those who cannot see it.

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
            With ``ax_``, ``figure_``, ``lines_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the table lacks one of the columns, or has no number in the column to draw.
        """
        need_columns(self.table, (column, by, "step", "seed"))
        kept = pd.DataFrame(self.table.dropna(subset=[column]))
        if kept.empty:
            raise ValueError(f"The table has no number in column {column!r}.")
        self.figure_, self.ax_ = axes_for(ax, figsize=WIDE)
        self.lines_, ends = {}, []
        groups = list(kept.groupby(by, sort=False))
        colours = palette(self.ax_, len(groups))
        for k, (name, rows) in enumerate(groups):
            curves = rows.pivot_table(column, "step", "seed")
            steps, mean = curves.index.to_numpy(), curves.mean(axis=1).to_numpy()
            sd = curves.std(axis=1).fillna(0.0).to_numpy()
            style = {"color": colours[k], "marker": MARKERS[k % len(MARKERS)], "ms": 4.5}
            (line,) = self.ax_.plot(steps, mean, label=str(name), **style)
            band = {"color": colours[k], "alpha": veil(self.ax_), "lw": 0}
            self.ax_.fill_between(steps, mean - sd, mean + sd, **band)
            self.lines_[str(name)] = line
            ends.append(f"{name} {written(mean[-1])}")
        quantity = column.replace("_", " ")
        unit = _unit(column)
        self.ax_.set(xlabel="step", ylabel=f"{quantity}, {unit}" if unit else quantity)
        clear_axes(self.ax_, grid="y")
        n_seeds = kept["seed"].nunique()
        title = {"title": f"band: one s.d. over {n_seeds} seeds"} if bool(n_seeds > 1) else {}
        place_legend(self.ax_, **title)
        last = f"{kept['step'].max():g}"
        self.alt_text_ = (
            f"{quantity} along training to step {last}, a line for each {by.replace('_', ' ')}; "
            f"at the end {', '.join(ends)}{' ' + unit if unit else ''}."
        )
        return self


def _unit(column: str) -> str:
    """Return the unit of a column of a study: of a bound on training or test rows, nats."""
    from sklearn_mi.bounds import BOUNDS

    name, _, rows = column.rpartition("_")
    is_bound = rows in ("train", "test") and name.replace("_", "-") in {*BOUNDS, "objective"}
    return "nats" if is_bound else "s" if rows == "seconds" else ""


class ConvergenceDisplay:
    """The held-out loss of an estimator's networks along training: lower is better.

    A line for each fold, strong until the step whose weights were kept, faint after it: a network
    that has learned all it can begins to overfit, its loss rises again, and those later weights
    are thrown away. The axis ends a little above the loss of no information. Only networks that
    were still improving at the last step call for more: raise ``max_steps``.

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
    alt_text_ : str
        One sentence for those who cannot see it.

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
        return cls(read_fitted(estimator, "curves_", "MIEstimator")).plot(ax)

    def plot(self, ax: Axes | None = None) -> ConvergenceDisplay:
        """Draw the curves, coloured by kind of network, with a point at the step that was kept.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : ConvergenceDisplay
            With ``ax_``, ``figure_``, ``lines_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the table lacks a column, or has no finite loss because the estimator had no
            network.
        """
        need_columns(self.curves, ("fold", "candidate", "step", "loss"))
        curves = pd.DataFrame(self.curves[np.isfinite(self.curves["loss"])])
        if curves.empty:
            raise ValueError("The table has no rows; expected an estimator with networks.")
        self.figure_, self.ax_ = axes_for(ax, figsize=WIDE)
        self.lines_, kept = {}, []
        groups = list(curves.groupby("candidate", sort=False))
        colours = palette(self.ax_, len(groups))
        handles = []
        for k, (name, rows) in enumerate(groups):
            style = {"color": colours[k], "marker": MARKERS[k % len(MARKERS)], "ms": 6}
            for fold, curve in rows.groupby("fold"):
                steps, loss = curve["step"].to_numpy(), curve["loss"].to_numpy(float)
                self.lines_[name, fold] = _stopped(self.ax_, steps, loss, style)
                kept.append((steps[loss.argmin()], loss.min()))
            folds = rows["fold"].nunique()
            label = f"{name}, {folds} folds" if bool(folds > 1) else str(name)
            handles.append(Line2D([], [], label=label, **style))
        nothing = self.ax_.axhline(
            NO_INFORMATION, color=muted(self.ax_), ls="--", lw=1, label="no information, 1.39"
        )
        self._limit(np.array(kept)[:, 1], curves["loss"].to_numpy(float))
        self.ax_.set(xlabel="step", ylabel="held-out loss, nats")
        self.ax_.set_title("Loss on rows held out to stop by: lower is better", size="medium")
        clear_axes(self.ax_, grid="y")
        place_legend(self.ax_, [*handles, nothing], title="point: weights kept; faint: thrown away")
        self.alt_text_ = self._told(np.array(kept), float(curves["step"].to_numpy().max()))
        return self

    def _limit(self, kept: NDArray[Any], losses: NDArray[Any]) -> None:
        """Show what was kept in full; what overfits after it may leave the picture."""
        low, high = kept.min(), max(kept.max(), NO_INFORMATION)
        span = max(high - low, 0.02)
        self.ax_.set_ylim(
            low - 0.1 * span, min(high + 0.4 * span, max(losses.max(), high) + 0.1 * span)
        )

    def _told(self, kept: NDArray[Any], last: float) -> str:
        steps, losses = kept.T
        return (
            f"Held-out loss of {len(kept)} networks, lower is better: the weights kept are those "
            f"of steps {steps.min():g} to {steps.max():g} of {last:g}, with losses of "
            f"{losses.min():.3f} to {losses.max():.3f} nats, where {NO_INFORMATION:.3f} means no "
            "information."
        )


def _stopped(ax: Axes, steps: NDArray[Any], loss: NDArray[Any], style: dict[str, Any]) -> Line2D:
    """Draw a curve faintly, strongly up to its least value, and a point there."""
    best, colour = int(loss.argmin()), style["color"]
    (line,) = ax.plot(steps, loss, color=colour, alpha=0.4, lw=1)
    if best:
        ax.plot(steps[: best + 1], loss[: best + 1], color=colour, lw=1.6)
    ax.plot(steps[best], loss[best], zorder=3, **style)
    return line
