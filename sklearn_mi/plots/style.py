"""What all pictures share: one palette, words that can be read on any page, legends beside data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from matplotlib.typing import ColorType
from sklearn.exceptions import NotFittedError

__all__ = [
    "COLOURS",
    "MARKERS",
    "WIDE",
    "axes_for",
    "clear_axes",
    "colour_map",
    "contrast",
    "figure_of",
    "forest_axes",
    "ink",
    "legible",
    "muted",
    "need_columns",
    "palette",
    "paper",
    "place_legend",
    "read_fitted",
    "veil",
    "written",
]

# Okabe and Ito's colours, which colour-blind readers can tell apart, without their yellow, which
# vanishes on white; then Tol's wine, olive and sand for up to three more classes. Black stands for
# the colour of words, whatever that is on the page.
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
MARKERS = "osD^vPX<>*"

# More for lines would bring orange too close to vermilion for a colour-blind reader; WCAG's for
# words.
LINE_CONTRAST = 2.2
WORD_CONTRAST = 4.5
POINT_CONTRAST = 1.5

# Inches of a new figure that has a legend beside its axes.
WIDE = (8.0, 4.4)


def axes_for(ax: Axes | None, **settings: Any) -> tuple[Figure, Axes]:
    """Return the axes to draw in and their figure, a new one where none are given.

    Parameters
    ----------
    ax : Axes or None
    **settings
        Of ``plt.subplots``, for a new figure.

    Returns
    -------
    figure : Figure
    ax : Axes
    """
    if ax is None:
        return plt.subplots(layout="constrained", **settings)
    return figure_of(ax), ax


def figure_of(ax: Axes) -> Figure:
    """Return the figure that axes belong to, also where a subfigure lies between.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    figure : Figure
    """
    return ax.get_figure(root=True)  # pyright: ignore[reportReturnType]


def need_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Parameters
    ----------
    table : DataFrame
    columns : sequence of str

    Raises
    ------
    ValueError
        If a column is absent.
    """
    absent = [name for name in columns if name not in table]
    if absent:
        raise ValueError(f"The table has no column {absent[0]!r}; it has {list(table)}.")


def read_fitted(estimator: Any, attribute: str, kind: str) -> Any:
    """Return an attribute that a fit leaves.

    Parameters
    ----------
    estimator : object
    attribute : str
        Such as ``"history_"``.
    kind : str
        The class that has it, for the message.

    Returns
    -------
    value : object

    Raises
    ------
    NotFittedError
        If the object has no such attribute.
    """
    value = getattr(estimator, attribute, None)
    if value is None:
        raise NotFittedError(
            f"{type(estimator).__name__} has no {attribute}; expected a fitted {kind}: call fit "
            "first, and pass the step itself if it is in a Pipeline."
        )
    return value


def ink(ax: Axes) -> str:
    """Return the colour of words on these axes.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    colour : str
    """
    return to_hex(ax.xaxis.label.get_color())


def paper(ax: Axes) -> str:
    """Return the colour that data are drawn on: that of the axes over that of the figure.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    colour : str
    """
    red, green, blue, alpha = to_rgba(ax.get_facecolor())
    return _mixed(figure_of(ax).get_facecolor(), (red, green, blue), alpha)


def _mixed(first: ColorType, second: ColorType, share: float) -> str:
    mixed = (1 - share) * np.array(to_rgb(first)) + share * np.array(to_rgb(second))
    return to_hex(tuple(mixed))


def contrast(first: ColorType, second: ColorType) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG defines it.

    Parameters
    ----------
    first, second : colour

    Returns
    -------
    contrast : float
    """
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: ColorType) -> float:
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def legible(ax: Axes, colour: ColorType, least: float = WORD_CONTRAST) -> str:
    """Return a colour, moved toward that of words until it stands out from the page.

    Parameters
    ----------
    ax : Axes
    colour : colour
    least : float
        Contrast to reach.

    Returns
    -------
    colour : str
    """
    steps = (_mixed(colour, ink(ax), share) for share in np.linspace(0, 1, 21))
    return next((step for step in steps if contrast(step, paper(ax)) >= least), to_hex(ink(ax)))


def muted(ax: Axes) -> str:
    """Return the colour of what is less than data, such as a line of reference.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    colour : str
    """
    return _mixed(paper(ax), ink(ax), 0.6)


def veil(ax: Axes) -> float:
    """Return the opacity of a band behind data, which a dark page swallows.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    alpha : float
    """
    return 0.14 if _luminance(paper(ax)) > 0.5 else 0.22


def palette(ax: Axes, n: int) -> list[str]:
    """Return colours for n lines or classes, again from the first after the last.

    Parameters
    ----------
    ax : Axes
    n : int

    Returns
    -------
    colours : list of str
    """
    shown = [ink(ax) if c == "#000000" else legible(ax, c, LINE_CONTRAST) for c in COLOURS]
    return list(islice(cycle(shown), n))


def colour_map(ax: Axes) -> ListedColormap:
    """Return viridis without the end that vanishes on the page.

    Parameters
    ----------
    ax : Axes

    Returns
    -------
    colour_map : ListedColormap
    """
    colours = [to_hex(colour) for colour in plt.get_cmap("viridis")(np.linspace(0, 1, 256))]
    return ListedColormap([c for c in colours if contrast(c, paper(ax)) >= POINT_CONTRAST])


def clear_axes(ax: Axes, grid: str | None = None) -> None:
    """Leave out the spines that hold nothing, and draw a pale grid.

    Parameters
    ----------
    ax : Axes
    grid : {"x", "y"}, optional
    """
    ax.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        ax.grid(axis=grid, alpha=0.3)  # pyright: ignore[reportArgumentType]
        ax.set_axisbelow(True)


def forest_axes(ax: Axes | None, names: Sequence[Any], xlabel: str) -> tuple[Figure, Axes]:
    """Return axes with a row for each name, the first on top, and their figure.

    Parameters
    ----------
    ax : Axes or None
        None: a new figure, whose height grows with the names.
    names : sequence
    xlabel : str

    Returns
    -------
    figure : Figure
    ax : Axes
    """
    figure, ax = axes_for(ax, figsize=(WIDE[0], 1.4 + 0.24 * max(len(names), 6)))
    ax.set_yticks(range(len(names)), [str(name) for name in names])
    ax.set(xlabel=xlabel, ylim=(len(names) - 0.5, -0.5))
    ax.tick_params(axis="y", length=0, labelsize=None if len(names) <= 24 else "small")
    clear_axes(ax, grid="x")
    ax.spines["left"].set_visible(False)
    return figure, ax


def place_legend(
    ax: Axes, handles: Sequence[Any] | None = None, *, where: str | None = None, **settings: Any
) -> None:
    """Put the legend beside the axes where the figure makes room, else where least data are.

    Room is made by ``layout="constrained"``: right of axes that have their row to themselves,
    below axes that share it and below round ones.

    Parameters
    ----------
    ax : Axes
    handles : sequence of artists, optional
        In the order of the legend; by default as they were drawn.
    where : {"right", "below", "inside"}, optional
        Another place than that.
    **settings
        Of ``ax.legend``.
    """
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    labels = settings.pop("labels", None) or [str(handle.get_label()) for handle in handles]
    if ax.name == "polar":
        where = "below"
    elif figure_of(ax).get_layout_engine() is None:
        where = "inside"
    elif where is None:
        grid = ax.get_gridspec() if ax.get_subplotspec() is not None else None
        where = "below" if grid is not None and grid.ncols > 1 else "right"
    place = {"right": _right, "below": _below, "inside": _inside}[where](ax)
    words = {"labelcolor": ink(ax), "title_fontsize": "small", "alignment": "left"}
    legend = ax.legend(handles, labels, **{**place, **words, **settings})
    legend.get_title().set_color(ink(ax))


def _inside(ax: Axes) -> dict[str, Any]:
    return {"loc": "best", "framealpha": 0.85, "edgecolor": "none"}


def _right(ax: Axes) -> dict[str, Any]:
    """Return a place right of the axes, and of the words of a second vertical axis."""
    words = ax.yaxis.get_tightbbox()  # pyright: ignore[reportCallIssue]
    pixels = 0.0 if words is None else max(words.x1 - ax.get_window_extent().x1, 0.0)
    aside = ScaledTranslation(pixels / figure_of(ax).dpi, 0, figure_of(ax).dpi_scale_trans)
    return {
        "loc": "upper left",
        "bbox_to_anchor": (1.01, 1.0),
        "bbox_transform": ax.transAxes + aside,
        "frameon": False,
    }


def _below(ax: Axes) -> dict[str, Any]:
    """Return a place beneath the words of the horizontal axis, whatever the layout will be."""
    figure, words = figure_of(ax), ax.xaxis.get_tightbbox()  # pyright: ignore[reportCallIssue]
    pixels = 0.0 if words is None else max(ax.get_window_extent().y0 - words.y0, 0.0)
    down = ScaledTranslation(0, -pixels / figure.dpi - 0.05, figure.dpi_scale_trans)
    return {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0.0),
        "bbox_transform": ax.transAxes + down,
        "frameon": False,
        "fontsize": "small",
        "ncols": 2,
    }


def written(number: float, unit: str = "") -> str:
    """Return a number as it stands in a sentence.

    Parameters
    ----------
    number : float
    unit : str

    Returns
    -------
    text : str
    """
    text = f"{number:.2f}" if abs(number) < 100 else f"{number:.4g}"
    return f"{text} {unit}".rstrip()
