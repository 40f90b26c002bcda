"""Pictures of results, as scikit-learn's Display objects: made from tables and arrays alone."""

from __future__ import annotations

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

__all__ = ["EmbeddingDisplay", "LabelEfficiencyDisplay", "StudyDisplay"]

# Okabe and Ito's colours, told apart by colour-blind readers, without their yellow, which
# vanishes on white; then Tol's wine, olive and sand for a class or three more.
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


def _axes(ax: Axes | None) -> tuple[Figure, Axes]:
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    return ax.get_figure(root=True), ax  # pyright: ignore[reportReturnType]


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
    """Accuracy against the number of labelled rows, a line and a band for each contestant.

    Parameters
    ----------
    summary : DataFrame
        Means and intervals: columns ``name``, ``probe``, ``labels_per_class`` (infinity: all),
        ``n_labelled``, ``mean``, ``low``, ``high``, as ``sklearn_mi.evaluation.summarise``
        returns them.

    Attributes
    ----------
    ax_ : Axes
        Where the picture was drawn.
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
        """Draw one probe's accuracies, and beside them those of classifiers, dashed.

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
            If the summary has no row of the probe.
        """
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
    if method not in ("pca", "tsne"):
        raise ValueError(f"method={method!r}; expected 'pca' or 'tsne'.")
    if Z.shape[1] == 2:
        return Z
    if method == "pca":
        return PCA(2, svd_solver="full").fit_transform(Z)
    return TSNE(random_state=random_state, perplexity=min(30, len(Z) / 4)).fit_transform(Z)


def _name_group(ax: Axes, members: NDArray[Any], name: str, colour: str) -> None:
    # At a member, not at the mean, which in a group of two parts lies between them.
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
    """Codes in two dimensions, coloured and named by class.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, 2)
        Where each row lies.
    y : array-like of shape (n_samples,), optional
        Classes.

    Attributes
    ----------
    ax_ : Axes
        Where the picture was drawn.
    figure_ : Figure
        Its figure.

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
        """Bring codes to two dimensions and draw them.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes; two columns are drawn as they are.
        y : array-like of shape (n_samples,), optional
            Classes, for the colours only.
        method : {"pca", "tsne"}
            Principal components keep large distances; t-SNE shows which rows are neighbours,
            while its distances between groups mean little.
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
            If ``method`` is not a known name.
        """
        return cls(_two_dimensions(np.asarray(Z), method, random_state), y).plot(ax)

    def plot(self, ax: Axes | None = None) -> EmbeddingDisplay:
        """Draw the rows.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : EmbeddingDisplay
            With ``ax_`` and ``figure_``.
        """
        self.figure_, self.ax_ = _axes(ax)
        points = np.asarray(self.embedding)
        y = np.zeros(len(points)) if self.y is None else np.asarray(self.y)
        for label, colour in zip(np.unique(y), cycle(COLOURS)):
            members = points[y == label]
            self.ax_.scatter(*members.T, s=9, color=colour, alpha=0.7, lw=0)
            if self.y is not None:
                _name_group(self.ax_, members, str(label), colour)
        self.ax_.set(xticks=[], yticks=[])
        self.ax_.spines[:].set_visible(False)
        return self


class StudyDisplay:
    """What a study measured along training: a line a learner, a band over its seeds.

    Parameters
    ----------
    table : DataFrame
        As ``sklearn_mi.study.run_study`` returns it: columns ``step``, ``seed``, the column that
        is drawn and the one that tells lines apart.

    Attributes
    ----------
    ax_ : Axes
        Where the picture was drawn.
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
        """Draw one column: the mean over seeds, and one standard deviation of them either way.

        Parameters
        ----------
        column : str
            Such as ``"accuracy"`` or ``"infonce_test"``.
        by : str
            Column whose values get a line each.
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
        absent = [name for name in (column, by, "step") if name not in self.table]
        if absent:
            raise ValueError(f"The table has no column {absent[0]!r}; it has {list(self.table)}.")
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
