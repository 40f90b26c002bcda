"""The command line: ``sklearn-mi study paper`` runs the experiments of a paper."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sklearn-mi", description="Mutual-information representation learning."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    study = commands.add_parser("study", help="run a study and write its results as CSV")
    study.add_argument("name", choices=["paper"], help="the experiments of Tschannen et al. (2020)")
    study.add_argument(
        "--figure",
        nargs="+",
        default=["3"],
        help="figures to run: 1 1c 2 3 4 4c 8 9 beyond label-free, or all; default: 3",
    )
    study.add_argument(
        "--scale",
        choices=["quick", "cpu", "full"],
        default="quick",
        help="how much to run: quick (a trial), cpu (some steps, 3 seeds), full (as in the paper)",
    )
    study.add_argument(
        "--steps", type=int, nargs="+", help="steps at which to measure, on all rows: 0 1000 5000"
    )
    study.add_argument("--seeds", type=int, help="number of seeds; default: that of the scale")
    study.add_argument(
        "--only", default="", help="run only learners whose name contains this, such as bilinear"
    )
    study.add_argument("--rows", type=int, help="number of rows; default: that of the scale")
    study.add_argument(
        "--folder",
        type=Path,
        default=Path("results/paper"),
        help="where to write, and to resume from; default: results/paper",
    )
    study.add_argument("--jobs", type=int, default=1, help="fits at the same time; default: 1")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        None: the arguments of the process.
    """
    args = _parser().parse_args(arguments)
    _study_paper(args)


def _study_paper(args: argparse.Namespace) -> None:
    from sklearn_mi.paper import FIGURES, SCALES, hours_of_figure, read_figure, run_figure

    figures = list(FIGURES) if "all" in args.figure else args.figure
    unknown = [name for name in figures if name not in FIGURES]
    if unknown:
        raise SystemExit(f"--figure {' '.join(unknown)}; expected {', '.join(FIGURES)} or all.")
    scale = SCALES[args.scale]
    seeds = range(args.seeds or scale.seeds)
    part = {"only": args.only, "rows": args.rows or (None if args.steps else scale.rows)}
    stops = {
        name: sorted(args.steps or []) or FIGURES[name]().stops(args.scale) for name in figures
    }
    for name, at in stops.items():
        hours = hours_of_figure(name, seeds=seeds, at=at, n_jobs=args.jobs, **part)
        print(f"Figure {name}: about {hours:.2g} hours for {len(seeds)} seeds at steps {at}.")
    for name, at in stops.items():
        run_figure(name, seeds=seeds, at=at, folder=args.folder, n_jobs=args.jobs, **part)
        table = read_figure(name, args.folder)
        path = args.folder / f"figure_{name}.csv"
        table.to_csv(path, index=False)
        wanted = ("accuracy", "log_condition", "bound_train", "bound_test")
        shown = [column for column in wanted if column in table]
        means = table.pivot_table(shown, ["data", "learner", "step"], sort=False)
        print(means.round(3).to_string())
        print(f"Wrote {path}; python examples/paper/report.py {args.folder} draws and judges it.")
