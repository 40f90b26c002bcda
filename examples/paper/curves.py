"""The paper's curves, read off its vector graphics, and ours over them.

A figure's script lists its panels; this module runs the study where its table is not there, draws
the panels, and compares curves point by point. ``curves.json`` holds the digitised curves: steps
in thousands, means and, where the figure has a band, standard deviations over 20 runs.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from sklearn_mi.paper import FIGURES, SCALES, run_figure
from sklearn_mi.plots import COLOURS

HERE = Path(__file__).parent
TABLES = HERE.parents[1] / "docs" / "paper"
PICTURES = HERE.parents[1] / "docs" / "images" / "paper"
CURVES = json.loads((HERE / "curves.json").read_text())
# What counts as reproduced: the larger of these and of two standard errors of the difference.
WITHIN = {"accuracy": 0.015, "bound": 0.08, "matched": 0.08}


@dataclass(frozen=True)
class Line:
    """One curve: which rows of our table, which column, and the paper's name for it."""

    name: str
    cell: Mapping[str, object]
    column: str

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return our rows."""
        kept = table
        for key, value in self.cell.items():
            kept = kept[kept[key] == value]
        return kept


@dataclass(frozen=True)
class Panel:
    """One panel of a figure; ``key`` is its name among the digitised curves."""

    title: str
    key: str
    label: str
    lines: Sequence[Line]
    levels: Mapping[str, float] = field(default_factory=dict)

    def paper(self, line: Line) -> pd.DataFrame:
        """Return the paper's curve: columns step, mean and sd."""
        curve = CURVES[self.key][line.name]
        steps = 1000 * pd.Series(curve["step_k"])
        sd = curve.get("sd", [math.nan] * len(steps))
        return pd.DataFrame({"step": steps, "mean": curve["mean"], "sd": sd})


def lines(column: str, cells: Mapping[str, Mapping[str, object]], **common: object) -> list[Line]:
    """Return a line for each cell, by the paper's name."""
    return [Line(name, {**common, **cell}, column) for name, cell in cells.items()]


def read_table(path: str | Path) -> pd.DataFrame:
    """Return a table of results, with the distance from a target that figures 7 and 9 show."""
    table = pd.read_csv(path, dtype={"figure": str})
    if "maximised_train" in table:
        table["matched"] = -table["maximised_train"]
    return table


def draw(table: pd.DataFrame, panels: Sequence[Panel], path: Path, note: str = "") -> None:
    """Draw the paper's curves grey with our means and bands over them."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.6 * columns, 3.6 * rows), layout="constrained", squeeze=False
    )
    for panel, ax in zip(panels, axes.flat, strict=False):
        _draw_panel(ax, panel, table)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    figure.suptitle(f"lines: Tschannen et al. (2020); points: sklearn-mi{note}", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _draw_panel(ax: plt.Axes, panel: Panel, table: pd.DataFrame) -> None:
    seen = []
    for line, colour in zip(panel.lines, COLOURS, strict=False):
        paper = panel.paper(line)
        ax.plot(paper["step"], paper["mean"], color=colour, lw=1, alpha=0.7)
        low, high = paper["mean"] - paper["sd"], paper["mean"] + paper["sd"]
        ax.fill_between(paper["step"], low, high, color=colour, alpha=0.12, lw=0)
        ours = line.rows(table).groupby("step")[line.column]
        style = {"color": colour, "markersize": 4, "capsize": 2, "label": line.name}
        ax.errorbar(ours.mean().index, ours.mean(), ours.std().fillna(0.0), fmt="o", **style)
        seen += [paper["mean"], ours.mean()]
    for style, (name, height) in zip(("--", ":"), panel.levels.items(), strict=False):
        ax.axhline(height, color="grey", linestyle=style, lw=1, label=f"{name} {height:.4f}")
        seen.append(pd.Series(height))
    # Before training NWJ is astronomically low, so the paper's curves say where the axis ends.
    values = pd.concat(seen)
    floor = min(panel.paper(line)["mean"].min() for line in panel.lines)
    margin = 0.05 * (values.max() - floor)
    ax.set(title=panel.title, xlabel="step", ylabel=panel.label)
    ax.set_ylim(floor - margin, values.max() + margin)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)


def compare(table: pd.DataFrame, panels: Sequence[Panel]) -> pd.DataFrame:
    """Return a row a curve and step that both have: paper, ours, difference, and what is allowed.

    A difference may be as large as `WITHIN`, or as two standard errors of it by the paper's own
    standard deviation and numbers of runs, whichever is larger.
    """
    return pd.DataFrame(row for panel in panels for row in _compare_panel(table, panel))


def _compare_panel(table: pd.DataFrame, panel: Panel) -> Iterator[dict[str, object]]:
    kind = panel.label.split(",")[0]
    for line in panel.lines:
        paper = panel.paper(line)
        for step, rows in line.rows(table).dropna(subset=[line.column]).groupby("step"):
            near = paper[(paper["step"] - step).abs() <= 30]
            if near.empty:
                continue
            n, (mean, sd) = len(rows), near.iloc[-1][["mean", "sd"]]
            allowed = WITHIN.get(kind, math.nan)
            if not math.isnan(sd):
                allowed = max(allowed, 2 * sd * math.sqrt(1 / n + 1 / 20))
            ours = rows[line.column].mean()
            yield {
                "panel": panel.title,
                "curve": line.name,
                "step": step,
                "seeds": n,
                "paper": mean,
                "ours": ours,
                "sd": rows[line.column].std(),
                "difference": ours - mean,
                "allowed": allowed,
                "within": abs(ours - mean) <= allowed if not math.isnan(allowed) else None,
            }


def main(name: str, panels: Sequence[Panel]) -> None:
    """Draw a figure: from a table, or from a study that is run for it."""
    parser = argparse.ArgumentParser(description=f"Figure {name}, ours over the paper's.")
    parser.add_argument("--table", type=Path, help="results; default: those in docs/paper")
    parser.add_argument("--scale", choices=list(SCALES), help="run the study instead")
    parser.add_argument("--folder", default="results/paper", help="where a study runs and resumes")
    parser.add_argument("--out", type=Path, default=PICTURES / f"figure_{name}.png")
    args = parser.parse_args()
    path = args.table or TABLES / f"figure_{name}.csv"
    if args.scale or not path.exists():
        scale = args.scale or "quick"
        table = run_figure(
            name,
            seeds=range(SCALES[scale].seeds),
            at=FIGURES[name]().stops(scale),
            rows=SCALES[scale].rows,
            folder=args.folder,
        )
        path = Path(args.folder) / f"figure_{name}.csv"
        table.to_csv(path, index=False)
    table = read_table(path)
    draw(table, panels, args.out)
    print(compare(table, panels).round(4).to_string(index=False))
    print(f"Drew {args.out} from {path}.")
