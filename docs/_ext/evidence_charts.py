"""Charts of the evidence pages, each drawn for light and for dark pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import evidence_tables as tables
import numpy as np
from evidence_tables import DATA, OURS, Tables
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

# 552 points are the 736 pixels of a column.
WIDTH = 552 / 72


class Ink(NamedTuple):
    """Colours of text and of lines (Okabe and Ito, 2008) on one background."""

    text: str
    grid: str
    colours: tuple[str, ...]


LIGHT = Ink(
    "#3f3f46",
    "#d4d4d8",
    ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#B8860B", "#71717a"),
)
DARK = Ink(
    "#d4d4d8",
    "#52525b",
    ("#FF8A3D", "#56B4E9", "#2BC79A", "#E3A3C6", "#F0C342", "#a1a1aa"),
)
MARKS = "osD^vP"
RAW = 5  # the colour of what nobody has learned


def _figure(rows: int, columns: int, height: float, ink: Ink, **grid: object) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    for ax in np.atleast_1d(figure.subplots(rows, columns, **grid)).flat:
        ax.set_facecolor("none")
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(ink.grid)
        ax.tick_params(colors=ink.text, which="both", length=3)
        ax.xaxis.label.set_color(ink.text)
        ax.yaxis.label.set_color(ink.text)
        ax.title.set_color(ink.text)
        ax.grid(axis="y", color=ink.grid, lw=0.6, alpha=0.6)
        ax.set_axisbelow(True)
    figure.patch.set_alpha(0)
    return figure


def _legend(home: Figure | Axes, ink: Ink, **where: object) -> None:
    home.legend(frameon=False, labelcolor=ink.text, **where)


def _plain(ax: Axes, which: str, ticks: list[float]) -> None:
    """Label a logarithmic axis with plain numbers."""
    axis = getattr(ax, f"{which}axis")
    axis.set_ticks(ticks)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


FAMILIES: dict[str, Callable[[str], bool]] = {
    "ours": lambda name: name == OURS,
    "UMAP, the better": lambda name: name.startswith("UMAP"),
    "LabelSpreading": lambda name: name == "LabelSpreading",
    "SimCLR of lightly, the best": lambda name: name.startswith("SimCLR"),
    "PCA": lambda name: name == "PCA",
    "raw columns or pixels": lambda name: name == "raw",
}


def few_labels(t: Tables, ink: Ink) -> Figure:
    """Return accuracy against labels a class, a panel a data set."""
    figure = _figure(4, 2, 9.6, ink)
    axes = figure.axes
    for ax, (data, title) in zip(axes, DATA.items(), strict=False):
        _accuracies(ax, t, data, list(FAMILIES), ink)
        ax.set_title(title)
    for ax in axes[::2]:
        ax.set_ylabel("accuracy")
    for ax in axes[5:7]:
        ax.set_xlabel("labels a class")
    axes[7].axis("off")
    handles = {}
    for ax in axes[:7]:
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    named = {name: handles[name] for name in FAMILIES if name in handles}
    style = {"frameon": False, "labelcolor": ink.text, "loc": "center"}
    axes[7].legend(named.values(), named.keys(), **style)
    return figure


def _accuracies(ax: Axes, t: Tables, data: str, families: list[str], ink: Ink) -> None:
    rows = t["features"][t["features"]["data"] == data]
    # Whoever was not measured on the same folds is left out.
    rows = rows[rows["n_folds"] == rows.loc[rows["name"] == OURS, "n_folds"].max()]
    place = {1.0: 0, 5.0: 1, 20.0: 2, np.inf: 3}
    for k, (label, belongs) in enumerate(FAMILIES.items()):
        mine = rows[rows["name"].map(belongs)]
        if mine.empty or label not in families:
            continue
        best = mine.loc[mine.groupby("labels_per_class")["mean"].idxmax()]
        x = best["labels_per_class"].map(place) + 0.05 * (k - 2.5)
        style = {"color": ink.colours[k], "marker": MARKS[k], "ms": 4.5, "capsize": 2}
        style |= {"lw": 2.2, "zorder": 3} if k == 0 else {"lw": 1.1}
        half = best["high"] - best["mean"]
        ax.errorbar(x, best["mean"], half, label=label, elinewidth=1, **style)
    ax.set_xticks(range(4), ["1", "5", "20", "all"])


def home(t: Tables, ink: Ink) -> Figure:
    """Return the panel of digits for the home page."""
    figure = _figure(1, 1, 3.2, ink)
    (ax,) = figure.axes
    _accuracies(ax, t, "digits", ["ours", "UMAP, the better", "raw columns or pixels"], ink)
    ax.set(xlabel="labels a class", ylabel="accuracy on digits")
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    names = ["learned features", "UMAP", "raw pixels"]
    ax.legend(handles.values(), names, frameon=False, labelcolor=ink.text, loc="lower right")
    return figure


def speed(t: Tables, ink: Ink) -> Figure:
    """Return seconds of a default fit beside the former default and UMAP."""
    found = tables.default_fits(t)
    figure = _figure(1, 1, 4.4, ink)
    (ax,) = figure.axes
    who = {"now": "ours", "UMAP 8": "UMAP", "before": "the former default of ours"}
    y = np.arange(len(found))[::-1]
    seconds = found[list(who)]
    ax.hlines(y, seconds.min(axis=1), seconds.max(axis=1), color=ink.grid, lw=2, zorder=1)
    for k, mark, (column, label) in zip((0, 1, RAW), MARKS, who.items(), strict=False):
        ax.plot(found[column], y, mark, color=ink.colours[k], label=label, ms=7)
    ax.set_xscale("log")
    _plain(ax, "x", [0.1, 1, 10, 100])
    ax.set_yticks(y, found.index)
    ax.set_xlabel("CPU seconds of a fit, one thread")
    ax.grid(axis="x", color=ink.grid, lw=0.6, alpha=0.6)
    _legend(ax, ink, loc="lower left")
    return figure


def time_to_accuracy(t: Tables, ink: Ink) -> Figure:
    """Return accuracy against CPU seconds for several lengths of training."""
    found = tables.time_to_accuracy(t)
    data = list(found["data"].unique())
    figure = _figure(1, len(data), 3.4, ink)
    for ax, name in zip(figure.axes, data, strict=True):
        rows = found[found["data"] == name]
        most = rows.groupby("name")["accuracy"].max()
        low = most[most < most.max() - 0.1]
        rows = rows[~rows["name"].isin(low.index)]
        for k, (who, curve) in enumerate(rows.groupby("name", sort=False)):
            label = "ours" if who == OURS else who
            style = {"color": ink.colours[k % 6], "marker": MARKS[k % 6], "ms": 5}
            ax.plot(curve["seconds"], curve["accuracy"], label=label, **style)
        ax.set_xscale("log")
        _plain(ax, "x", [1, 10, 100])
        ax.set(title=DATA.get(name, name), xlabel="CPU seconds of fit and transform")
        if len(low):
            below = ", ".join(f"{who} {value:.2f}" for who, value in low.items())
            corner = {"transform": ax.transAxes, "ha": "right", "color": ink.text}
            ax.text(0.98, 0.03, f"below the picture: {below}", **corner)
    figure.axes[0].set_ylabel("mean accuracy")
    _legend(figure.axes[0], ink, loc="center right")
    return figure


def how_long(t: Tables, ink: Ink) -> Figure:
    """Return seconds of a default fit against rows, on logarithmic axes."""
    found = tables.how_long(t)
    figure = _figure(1, 1, 3.6, ink)
    (ax,) = figure.axes
    mixed = found["data"].isin(["diamonds", "insurance"])
    kinds = {"numbers": ~found["images"] & ~mixed, "images": found["images"], "mixed table": mixed}
    for k, (label, rows) in enumerate(kinds.items()):
        part = found[rows]
        ax.plot(part["rows"], part["seconds"], MARKS[k], color=ink.colours[k], label=label, ms=7)
    named = found[found["images"] | (found["columns"] >= 100)]
    for row in named.itertuples():
        name = row.data if row.images else f"{row.columns} columns"
        ax.annotate(
            name.removesuffix(" as images"),
            (row.rows, row.seconds),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=ink.text,
            fontsize=9,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(350, 120_000)
    _plain(ax, "x", [500, 2_000, 10_000, 50_000])
    _plain(ax, "y", [1, 3, 10, 30, 100])
    ax.set(xlabel="rows", ylabel="CPU seconds of a fit")
    _legend(ax, ink, loc="upper left")
    return figure


def defaults(t: Tables, ink: Ink) -> Figure:
    """Return accuracy against seconds of the settings that a default was chosen among."""
    figure = _figure(2, 2, 5.6, ink)
    for ax, kind in zip(figure.axes, ("digits", "flat", "mnist", "numbers"), strict=True):
        found = tables.pareto(t, kind)
        found = found[found["seconds"] > 0.1]
        default, former = found.loc[[tables.DEFAULTS[kind]]], found.loc[[tables.FORMER[kind]]]
        others = found.drop([tables.DEFAULTS[kind], tables.FORMER[kind]])
        shown = {"other settings": others, "Adam, the former default": former, "default": default}
        for (label, rows), k, mark in zip(shown.items(), (RAW, 1, 0), "osD", strict=True):
            style = {"color": ink.colours[k], "ms": 5 if k == RAW else 9, "label": label}
            ax.plot(rows["seconds"], rows["accuracy"], mark, **style)
        ax.set_title(tables.KINDS[kind])
        ax.margins(0.12)
    for ax in figure.axes[2:]:
        ax.set_xlabel("CPU seconds of a fit")
    for ax in figure.axes[::2]:
        ax.set_ylabel("mean accuracy")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, frameon=False, labelcolor=ink.text, loc="outside upper center", ncols=3
    )
    return figure


def ablation(t: Tables, ink: Ink) -> Figure:
    """Return mean accuracy at one label a class by view, critic and objective."""
    parts = ("view", "critic", "objective")
    found = [tables.ablation(t, part) for part in parts]
    sizes = [len(part) for part in found]
    figure = _figure(3, 1, 4.8, ink, sharex=True, height_ratios=sizes)
    for ax, part, means in zip(figure.axes, parts, found, strict=True):
        means = means.sort_values(("digits", "1"))
        y = np.arange(len(means))
        for k, (data, label) in enumerate({"digits": "digits", "mnist": "MNIST"}.items()):
            colour = ink.colours[k]
            ax.plot(means[data, "1"], y, MARKS[k], color=colour, label=label, ms=7)
        ax.set_yticks(y, means.index)
        ax.set_ylim(-0.6, len(means) - 0.4)
        ax.set_ylabel(part)
        ax.grid(axis="x", color=ink.grid, lw=0.6, alpha=0.6)
    figure.axes[-1].set_xlabel("accuracy with one label a class, mean over the other choices")
    _legend(figure.axes[0], ink, loc="lower right")
    return figure


def mi_estimator(t: Tables, ink: Ink) -> Figure:
    """Return estimates as shares of the truth, ours beside peers, by task."""
    found = tables.estimates(t)
    figure = _figure(1, 1, 4.6, ink)
    (ax,) = figure.axes
    y = np.arange(len(found))[::-1]
    ax.axvline(1, color=ink.text, lw=1)
    low, high = -0.1, 1.6
    peers = [name for name in tables.PEERS if name in found]
    for k, name in enumerate(peers):
        share = found[name] / found["truth"]
        inside = share.between(low, high)
        label = "peers" if k == 0 else None
        ax.plot(share[inside], y[inside], "o", color=ink.colours[RAW], ms=5, label=label)
        ax.plot(np.full((share < low).sum(), low), y[share < low], "<", color=ink.colours[RAW])
        ax.plot(np.full((share > high).sum(), high), y[share > high], ">", color=ink.colours[RAW])
    networks = found["no offsets"] / found["truth"]
    ax.plot(networks, y, "s", color=ink.colours[1], ms=6, label="ours, networks alone")
    share = found["default"] / found["truth"]
    ax.plot(share, y, "D", color=ink.colours[0], ms=7, label="ours, default")
    ax.set_xlim(low - 0.05, high + 0.05)
    ax.set_yticks(y, [tables.SHORT[task] for task in found.index])
    ax.set_xlabel("estimate / true information (arrows: outside of the picture)")
    ax.grid(axis="x", color=ink.grid, lw=0.6, alpha=0.6)
    _legend(figure, ink, loc="outside upper center", ncols=3)
    return figure


def label_free(t: Tables, ink: Ink) -> Figure:
    """Return Kendall's tau of each criterion with accuracy, with all and with few labels."""
    figure = _figure(1, 2, 3.6, ink, sharey=True, sharex=True)
    panels = {"all labels": "all labels", "5 a class": "5 labels a class"}
    for ax, (labels, title) in zip(figure.axes, panels.items(), strict=True):
        found = tables.criteria(t, "tau", labels)[::-1]
        y = np.arange(len(found))
        ax.axvline(0, color=ink.text, lw=1)
        errors = [found["mean"] - found["low"], found["high"] - found["mean"]]
        ax.errorbar(
            found["mean"], y, xerr=errors, fmt="o", color=ink.colours[0], ms=7, label="mean"
        )
        for k, data in enumerate(("digits", "mnist", "cifar10"), 1):
            style = {"color": ink.colours[k], "ms": 4.5, "label": DATA[data]}
            ax.plot(found[data], y + 0.22, MARKS[k], **style)
        ax.set_yticks(y, found.index)
        ax.set(title=title, xlabel="Kendall's tau with accuracy")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, frameon=False, labelcolor=ink.text, loc="outside upper center", ncols=4
    )
    return figure


CONTESTANTS: dict[str, tuple[str, ...]] = {
    "ours": (OURS,),
    "MiniRocket": ("MiniRocket",),
    "tsfresh": ("tsfresh",),
    "catch22": ("catch22",),
    "TS2Vec (in our parts)": ("TS2Vec (in our parts)",),
    "raw steps or PCA, the better": ("raw", "PCA"),
}


def recordings(t: Tables, ink: Ink) -> Figure:
    """Return accuracy by set of recordings, a panel a number of labels."""
    found = tables.on_all_sets(t)
    sets = list(found["data"].unique())[::-1]
    figure = _figure(1, 3, 3.8, ink, sharey=True, sharex=True)
    for ax, (labels, title) in zip(
        figure.axes,
        {1: "1 label a class", 5: "5 labels", np.inf: "all labels"}.items(),
        strict=True,
    ):
        here = found[found["labels_per_class"] == labels]
        for k, (label, names) in enumerate(CONTESTANTS.items()):
            best = here[here["name"].isin(names)].groupby("data")["mean"].max().reindex(sets)
            if best.notna().any():
                style = {"color": ink.colours[k], "ms": 8 if k == 0 else 5, "zorder": 2 + (k > 0)}
                ax.plot(best, range(len(sets)), MARKS[k], label=label, **style)
        ax.set_yticks(range(len(sets)), sets)
        ax.set(title=title, xlabel="accuracy")
        ax.grid(axis="x", color=ink.grid, lw=0.6, alpha=0.6)
    _shared_legend(figure, ink)
    return figure


def decoding(t: Tables, ink: Ink) -> Figure:
    """Return R2 by codes under either decoder, a panel a kind of simulation."""
    figure = _figure(1, 2, 3.8, ink, sharey=True)
    for ax, data in zip(figure.axes, tables.LATENT, strict=True):
        found = tables.decoded(t, data)[::-1]
        y = np.arange(len(found))
        for k, (decoder, label) in enumerate({"ridge": "ridge", "knn": "neighbours"}.items()):
            ax.plot(found[decoder], y, MARKS[k], color=ink.colours[k + 1], label=label, ms=6)
        ax.set_yticks(y, [tables.CODES.get(name, name) for name in found.index])
        ax.set(title=data, xlabel="R2 on a recording that was not seen")
        ax.grid(axis="x", color=ink.grid, lw=0.6, alpha=0.6)
    _shared_legend(figure, ink)
    return figure


def texts(t: Tables, ink: Ink) -> Figure:
    """Return accuracy against labels a class, a panel a package of docstrings."""
    found = tables.of_texts(t)
    packages = list(found.index.get_level_values("data").unique())
    figure = _figure(1, len(packages), 3.2, ink, sharey=True)
    for ax, data in zip(figure.axes, packages, strict=True):
        rows = found.loc[data]
        for k, name in enumerate((OURS, "LSA", "TF-IDF")):
            style = {"color": ink.colours[(0, 1, RAW)[k]], "marker": MARKS[k], "ms": 5}
            ax.plot(range(len(rows)), rows[name], label="ours" if name == OURS else name, **style)
        ax.set_xticks(range(len(rows)), ["1", "5", "20", "all"])
        ax.set(title=tables.TEXTS.get(data, data), xlabel="labels a class")
    figure.axes[0].set_ylabel("accuracy")
    _shared_legend(figure, ink)
    return figure


def _shared_legend(figure: Figure, ink: Ink) -> None:
    """Put the legend of the first panel above all of them."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    where = {"loc": "outside upper center", "ncols": 3}
    figure.legend(handles, names, frameon=False, labelcolor=ink.text, **where)


PAPER_NAMES = {"bilinear": "Bilinear", "separable": "Separable", "concat": "MLP"}


def paper(t: Tables, ink: Ink) -> Figure:
    """Return a line a claim: ours with its interval and the paper's, as shares of its effect."""
    found = tables.judged(t)
    found = found[found["effect"] > 0].reset_index(drop=True)
    scaled = found[["estimate", "low", "high", "paper", "threshold"]].div(found["effect"], axis=0)
    figure = _figure(1, 1, 5.0, ink)
    ax = figure.axes[0]
    colours = {"holds": 2, "does not hold": 0}
    for y, (row, verdict) in enumerate(zip(scaled.itertuples(), found["verdict"], strict=True)):
        colour = ink.colours[colours.get(verdict, RAW)]
        ax.plot([row.low, row.high], [y, y], color=colour, lw=2)
        ax.plot(row.estimate, y, "o", color=colour, ms=6)
        ax.plot(row.paper, y, "o", color=ink.text, ms=10, fillstyle="none")
        ax.plot([row.threshold] * 2, [y - 0.35, y + 0.35], color=ink.text, lw=1)
    for label, style in {
        "holds": {"marker": "o", "color": ink.colours[2]},
        "undecided": {"marker": "o", "color": ink.colours[RAW]},
        "does not hold": {"marker": "o", "color": ink.colours[0]},
        "the paper": {"marker": "o", "color": ink.text, "fillstyle": "none", "ms": 10},
        "threshold": {"marker": "|", "color": ink.text, "ms": 10},
    }.items():
        ax.plot([], [], ls="none", label=label, **style)
    where = found["judged_on"].map(
        {"": "", "training batches": " train", "untouched rows": " test"}
    )
    ax.set_yticks(range(len(found)), "(" + found["number"] + ")" + where)
    ax.set(xlabel="share of the paper's effect", xlim=(-2, 3))
    ax.invert_yaxis()
    _legend(figure, ink, loc="outside upper center", ncols=5)
    return figure


def paper_probe(t: Tables, ink: Ink) -> Figure:
    """Return accuracy against the bound at the last step of figure 3, ours and the paper's."""
    found, theirs = tables.critics(t), t["curves"]
    theirs = tables.last_step(theirs[theirs["figure"] == "3"])
    theirs = theirs.set_index(["panel", "curve"])["paper"]
    figure = _figure(1, 2, 3.4, ink, sharey=True)
    for ax, (objective, title) in zip(
        figure.axes, {"infonce": "InfoNCE", "nwj": "NWJ"}.items(), strict=True
    ):
        for k, (critic, curve) in enumerate(PAPER_NAMES.items()):
            row, colour = found.loc[objective, critic], ink.colours[k]
            point = row["bound"], row["accuracy"], row["accuracy_half"], row["bound_half"]
            label = "MLP (concatenated)" if critic == "concat" else critic
            ax.errorbar(*point, fmt=MARKS[k], color=colour, ms=7, capsize=2, label=label)
            at = f"{title} on training batches", f"accuracy, {title}"
            x, height = (theirs.get((panel, curve), np.nan) for panel in at)
            ax.plot(x, height, MARKS[k], color=colour, ms=12, fillstyle="none")
        ax.set(title=title, xlabel="bound on training batches, nats")
    figure.axes[0].set_ylabel("accuracy")
    hollow = {"color": ink.colours[RAW], "ms": 12, "fillstyle": "none", "ls": "none"}
    figure.axes[0].plot([], [], "o", label="hollow: the paper", **hollow)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, frameon=False, labelcolor=ink.text, loc="outside upper center", ncols=4
    )
    return figure


def systems(t: Tables, ink: Ink) -> Figure:
    """Return accuracy against held-out InfoNCE, a panel a system, a mark a kind."""
    found = tables.systems(t)
    simclr = found.loc[found["system"] == "simclr", "accuracy"].str[0]
    figure = _figure(1, 3, 4.4, ink, sharey=True)
    for ax, (system, kinds) in zip(figure.axes, tables.KINDS_OF.items(), strict=True):
        for row in found[found["system"] == system].itertuples():
            point = row.bound[0], row.accuracy[0], row.accuracy[1], row.bound[1]
            mark, colour = kinds.index(row.kind), [*tables.OBJECTIVES].index(row.objective)
            style = {"fmt": MARKS[mark], "color": ink.colours[colour]}
            ax.errorbar(*point, ms=7, capsize=2, lw=1, **style)
        for mark, kind in zip(MARKS, kinds, strict=False):
            ax.plot([], [], mark, color=ink.colours[RAW], ls="none", label=kind)
        for height in simclr:
            ax.axhline(height, color=ink.text, lw=1, ls=":")
        ax.set(title=tables.SYSTEMS[system], xlabel="held-out InfoNCE, nats")
        _legend(ax, ink, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    figure.axes[0].set_ylabel("accuracy, all labels")
    handles = [
        figure.axes[0].plot([], [], "s", color=ink.colours[k], label=name)[0]
        for k, name in enumerate(tables.OBJECTIVES.values())
    ]
    handles += figure.axes[0].plot([], [], ":", color=ink.text, label="SimCLR")
    _legend(figure, ink, handles=handles, loc="outside upper center", ncols=4)
    return figure
