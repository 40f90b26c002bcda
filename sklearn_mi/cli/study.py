"""``sklearn-mi study``: the experiments of a paper."""

from __future__ import annotations

from pathlib import Path

import click

from sklearn_mi.cli.base import SeveralValues, examples, refuse
from sklearn_mi.cli.options import Place, number

__all__ = ["study"]


@click.group()
def study() -> None:
    """Run a study, and write its results as CSV."""


@study.command(
    cls=SeveralValues,
    epilog=examples(
        "study paper --figure 3 --steps 0 1000 5000 --seeds 3 --jobs 2",
        "study paper --figure all --scale full",
    ),
)
@click.option(
    "--figure",
    multiple=True,
    default=["3"],
    help="Figures to run: 1 1c 2 3 4 4c 8 9 beyond label-free systems, or all; default: 3.",
)
@click.option(
    "--scale",
    type=click.Choice(["quick", "cpu", "full"]),
    default="quick",
    show_default=True,
    help="How much to run: quick (a trial), cpu (some steps, 3 seeds), full (as in the paper).",
)
@number("--steps", "Steps at which to measure, on all rows: 0 1000 5000.", 0, multiple=True)
@number("--seeds", "Seeds; default: those of the scale.")
@click.option("--only", default="", help="Only learners whose name holds this, such as bilinear.")
@number("--rows", "Rows; default: those of the scale.")
@click.option(
    "--folder",
    type=Place(file_okay=False),
    default=Path("results/paper"),
    show_default=True,
    help="Where to write, and to resume from.",
)
@number("--jobs", "Fits at the same time; default: 1.", default=1)
def paper(
    figure: tuple[str, ...],
    scale: str,
    steps: tuple[int, ...],
    seeds: int | None,
    only: str,
    rows: int | None,
    folder: Path,
    jobs: int,
) -> None:
    """Run the experiments of the paper.

    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020).
    A run that was ended goes on where it was.
    """
    from sklearn_mi.paper import FIGURES, SCALES, hours_of_figure, run_figure

    figures = list(FIGURES) if "all" in figure else figure
    unknown = [name for name in figures if name not in FIGURES]
    if unknown:
        expected = f"{', '.join(FIGURES)} or all"
        refuse(f"--figure {' '.join(unknown)}; expected {expected}.")
    amount = SCALES[scale]
    each = range(seeds or amount.seeds)
    part = {"only": only, "rows": rows or (None if steps else amount.rows)}
    stops = {name: sorted(steps) or FIGURES[name]().stops(scale) for name in figures}
    for name, at in stops.items():
        hours = hours_of_figure(name, seeds=each, at=at, n_jobs=jobs, **part)
        click.echo(f"Figure {name}: about {hours:.2g} hours for {len(each)} seeds at steps {at}.")
    for name, at in stops.items():
        run_figure(name, seeds=each, at=at, folder=folder, n_jobs=jobs, **part)
        _show_figure(name, folder)


def _show_figure(name: str, folder: Path) -> None:
    """Write a figure's table as CSV, and print its means."""
    from sklearn_mi.paper import read_figure

    table = read_figure(name, folder)
    path = folder / f"figure_{name}.csv"
    table.to_csv(path, index=False)
    wanted = ("accuracy", "log_condition", "bound_train", "bound_test")
    shown = [column for column in wanted if column in table]
    means = table.pivot_table(shown, ["data", "learner", "step"], sort=False)
    click.echo(means.round(3).to_string())
    click.echo(f"Wrote {path}; python examples/paper/report.py {folder} draws and judges it.")
