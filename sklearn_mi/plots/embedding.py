"""Codes in one or two dimensions, coloured by class or by a measurement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from sklearn_mi._checks import check_codes, check_random_state, check_values, is_continuous
from sklearn_mi.plots.style import (
    axes_for,
    clear_axes,
    colour_map,
    legible,
    muted,
    palette,
    paper,
    place_legend,
)

__all__ = ["EmbeddingDisplay"]

# More names than these cannot be read in a plot.
MOST_CLASSES = 100
UNLABELLED = "unlabelled"


class EmbeddingDisplay:
    """Codes in two dimensions, coloured by class or by a measurement; or in one.

    Codes of one column lie along the horizontal axis. Classes have a strip each, one above the
    other, in which the height of a row is random and means nothing; of a measurement the height
    is its value; without ``y`` there is one strip.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, 2) or (n_samples, 1)
        Where each row lies.
    y : array-like of shape (n_samples,), optional
        Classes, whose names are written beside their rows; or a measurement, which gets a colour
        bar: numbers that are not whole, or whole ones of more than 100 different values. Rows
        whose ``y`` is missing (NaN, None) are small, grey and beneath the others.
    label : str, optional
        What ``y`` is, for the colour bar; by default the name of a Series.

    Attributes
    ----------
    ax_ : Axes
        Where the plot was drawn.
    figure_ : Figure
        Its figure.
    colorbar_ : Colorbar or None
        Of a measurement in two dimensions.
    alt_text_ : str
        One sentence for those who cannot see it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi.plots import EmbeddingDisplay
    >>> Z, y = load_iris(return_X_y=True)
    >>> EmbeddingDisplay.from_codes(Z, y).embedding.shape
    (150, 2)
    """

    def __init__(
        self, embedding: ArrayLike, y: ArrayLike | None = None, *, label: str | None = None
    ) -> None:
        self.embedding = embedding
        self.y = y
        self.label = label

    @classmethod
    def from_codes(
        cls,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        *,
        method: str = "pca",
        random_state: int | np.random.RandomState | None = 0,
        label: str | None = None,
        ax: Axes | None = None,
    ) -> EmbeddingDisplay:
        """Reduce codes to two dimensions and draw them.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes; one or two columns are drawn as they are.
        y : array-like of shape (n_samples,), optional
            Classes or a measurement, for the colours only.
        method : {"pca", "tsne"}
            Principal components keep large distances; t-SNE shows which rows are neighbours, but
            its distances between groups mean little.
        random_state : int, RandomState or None
            For t-SNE.
        label : str, optional
            As for the constructor.
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        display : EmbeddingDisplay

        Raises
        ------
        ValueError
            If ``method`` is not a known name, ``Z`` is no table of finite numbers, or ``y`` does
            not have one value for each row.
        """
        if method not in ("pca", "tsne"):
            raise ValueError(f"method={method!r}; expected 'pca' or 'tsne'.")
        codes = check_codes("Z", Z, dtype=None, least_rows=2)
        if y is not None:
            _colour_values(y, len(codes), "Z")
        embedding, words = _two_dimensions(codes, method, random_state)
        ax = axes_for(ax)[1]
        if embedding.shape[1] == 2:
            ax.set(xlabel=words[0], ylabel=words[1])
        return cls(embedding, y, label=label).plot(ax)

    def plot(self, ax: Axes | None = None) -> EmbeddingDisplay:
        """Draw the rows.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        self : EmbeddingDisplay
            With ``ax_``, ``figure_``, ``colorbar_`` and ``alt_text_``.

        Raises
        ------
        ValueError
            If the embedding is no table of one or two columns of finite numbers, or ``y`` does not
            have one value for each row.
        """
        points = check_codes("embedding", self.embedding, dtype=None)
        if points.shape[1] > 2:
            raise ValueError(
                f"embedding has {points.shape[1]} columns; expected two: "
                "EmbeddingDisplay.from_codes reduces codes."
            )
        if self.y is None:
            y, known = np.zeros(0), np.zeros(len(points), bool)
        else:
            y, known = _colour_values(self.y, len(points), "embedding")
        self.figure_, self.ax_ = axes_for(ax)
        self.colorbar_ = None
        name = self._name_of_y()
        is_flat = points.shape[1] == 1
        if is_flat:
            points = _strips(self.ax_, points[:, 0], y, known, name, self.y is not None)
        else:
            self.ax_.set(xticks=[], yticks=[])
            self.ax_.spines[:].set_visible(False)
        size = float(np.clip(400 / np.sqrt(len(points)), 2, 22))
        self._draw(points, y, known, size, name, is_flat)
        self.alt_text_ = _told(len(points), y, known, name, self.y is not None)
        return self

    def _name_of_y(self) -> str:
        name = self.label if self.label is not None else getattr(self.y, "name", None)
        return "" if name is None else str(name)

    def _draw(
        self,
        points: NDArray[Any],
        y: NDArray[Any],
        known: NDArray[Any],
        size: float,
        name: str,
        is_flat: bool,
    ) -> None:
        """Draw rows without ``y`` first, then the others."""
        style: dict[str, Any] = {"s": size, "alpha": 0.75, "lw": 0}
        if self.y is None:
            self.ax_.scatter(*points.T, color=palette(self.ax_, 2)[1], **style)
            return
        if not known.all():
            grey = {"color": muted(self.ax_), "s": size / 2, "alpha": 0.5, "lw": 0, "zorder": 0.9}
            below = self.ax_.scatter(*points[~known].T, label=UNLABELLED, **grey)
            # A strip of its own has its name on the axis.
            if not is_flat or _is_measurement(y):
                place_legend(self.ax_, [below], where="below", markerscale=2.5)
        if not known.any():
            return
        if not _is_measurement(y):
            _draw_classes(self.ax_, points[known], y, style, with_names=not is_flat)
        elif is_flat:
            self.ax_.scatter(*points[known].T, color=palette(self.ax_, 2)[1], **style)
        else:
            drawn = self.ax_.scatter(*points[known].T, c=y, cmap=colour_map(self.ax_), **style)
            self.colorbar_ = self.figure_.colorbar(drawn, ax=self.ax_, label=name)
            self.colorbar_.solids.set_alpha(1)  # pyright: ignore[reportOptionalMemberAccess]
            self.colorbar_.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def _two_dimensions(
    Z: NDArray[Any], method: str, random_state: int | np.random.RandomState | None
) -> tuple[NDArray[Any], list[str]]:
    """Return codes of at most two columns, and what the columns are."""
    if Z.shape[1] <= 2:
        return Z, ["code, column 0", "code, column 1"]
    if method == "pca":
        pca = PCA(2, svd_solver="full")
        with np.errstate(invalid="ignore"):  # of collapsed codes, which have no variance to share
            reduced = pca.fit_transform(Z)
        shares = np.nan_to_num(pca.explained_variance_ratio_)
        return reduced, [f"principal component {k + 1} ({s:.0%})" for k, s in enumerate(shares)]
    generator = check_random_state(random_state)
    tsne = TSNE(random_state=generator, perplexity=min(30, len(Z) / 4))
    return tsne.fit_transform(Z), ["t-SNE 1", "t-SNE 2"]


def _is_measurement(y: NDArray[Any]) -> bool:
    many = y.dtype.kind in "iuf" and len(np.unique(y)) > MOST_CLASSES
    return many or is_continuous(y)


def _colour_values(y: ArrayLike, n_rows: int, table: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what rows are coloured by, classes or numbers, and which rows have it."""
    array = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n_rows,):
        check_values("y", y, n_rows, table)  # which names what is wrong
    known = ~np.asarray(pd.isna(array))
    values = check_values("y", array[known], int(known.sum()), table)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = np.flatnonzero(known)[~np.isfinite(values)][0]
        raise ValueError(f"y has infinity in row {row}; drop this row, or replace it by NaN.")
    n_different = len(np.unique(values))
    if n_different > MOST_CLASSES and not _is_measurement(values):
        raise ValueError(
            f"y has {n_different} different names; expected at most {MOST_CLASSES}, or numbers. "
            "Leave y out to draw the rows in one colour."
        )
    return values, known


def _class_name(label: Any) -> str:
    is_number = isinstance(label, float | np.floating)
    return f"{label:g}" if is_number else str(label)


def _strips(
    ax: Axes, x: NDArray[Any], y: NDArray[Any], known: NDArray[Any], name: str, has_y: bool
) -> NDArray[Any]:
    """Return codes of one column with a height for each row, and label the axis of heights."""
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(x))
    clear_axes(ax)
    ax.set_xlabel("code")
    if has_y and known.any() and _is_measurement(y):
        ax.set_ylabel(name)
        low, span = float(y.min()), float(y.max() - y.min()) or 1.0
        height = np.full(len(x), low - 0.1 * span) + 0.1 * span * jitter
        height[known] = y
        return np.column_stack([x, height])
    classes = np.unique(y)
    # The first class is at the top, rows without one at the bottom.
    height = np.full(len(x), float(len(classes)))
    height[known] = np.searchsorted(classes, y)
    ticks = [_class_name(label) for label in classes] if has_y else []
    ticks += [UNLABELLED] if has_y and not known.all() else []
    ax.set_yticks(range(len(ticks)), ticks)
    ax.set(ylabel=name, ylim=(max(len(ticks), 1) - 0.5, -0.5))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return np.column_stack([x, height + jitter])


def _draw_classes(
    ax: Axes, points: NDArray[Any], y: NDArray[Any], style: dict[str, Any], *, with_names: bool
) -> None:
    classes = np.unique(y)
    colours = palette(ax, len(classes))
    for label, colour in zip(classes, colours, strict=True):
        ax.scatter(*points[y == label].T, color=colour, **style)
    if not with_names:
        return
    ax.autoscale_view()
    placed: list[Any] = []
    for label, colour in zip(classes, colours, strict=True):
        size = 13 if len(classes) <= 12 else 9
        _name_group(ax, points[y == label], _class_name(label), colour, size, placed)


def _name_group(
    ax: Axes, members: NDArray[Any], name: str, colour: str, size: int, placed: list[Any]
) -> None:
    """Write a name at the member nearest to the middle where it covers no other name."""
    # At a member, not at the mean, which lies between the parts of a group that has two.
    distances = np.sum((members - np.median(members, axis=0)) ** 2, axis=1)
    x, y = members[np.argmin(distances)]
    words = ax.text(
        x,
        y,
        name,
        color=legible(ax, colour),
        path_effects=[withStroke(linewidth=3, foreground=paper(ax))],
        weight="bold",
        size=size,
        ha="center",
        va="center",
    )
    box = words.get_window_extent().padded(1)
    shifts = ax.transData.transform(members) - ax.transData.transform(words.get_position())
    for k in np.argsort(distances, kind="stable")[:200]:
        moved = box.translated(*shifts[k])
        if not any(moved.overlaps(other) for other in placed):
            words.set_position(tuple(members[k]))
            box = moved
            break
    placed.append(box)


def _told(n: int, y: NDArray[Any], known: NDArray[Any], name: str, has_y: bool) -> str:
    rows = f"A point for each of {n} rows" if n > 1 else "A point for 1 row"
    if not has_y:
        return f"{rows}."
    what = name or "y"
    if not known.any():
        return f"{rows}, all {UNLABELLED}."
    if _is_measurement(y):
        rows += f", coloured by {what} from {y.min():.4g} to {y.max():.4g}"
    else:
        n_classes = len(np.unique(y))
        by = f" of {name}" if name else ""
        rows += f", coloured by {n_classes} {'class' if n_classes == 1 else 'classes'}{by}"
    missing = int((~known).sum())
    return rows + (f"; {missing} rows are {UNLABELLED}." if missing else ".")
