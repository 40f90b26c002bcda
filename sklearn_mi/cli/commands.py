"""The commands of ``sklearn-mi``; each imports what it needs once it runs: help is quick."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from sklearn_mi._places import written_whole
from sklearn_mi._version import __version__
from sklearn_mi.cli.base import Commands, examples, refuse, say
from sklearn_mi.cli.containers import is_dataset, of_columns, refuse_itself, shape_of
from sklearn_mi.cli.files import read, read_aside, size_of, write
from sklearn_mi.cli.label import label as label_command
from sklearn_mi.cli.numbers import as_lines, compare, mi
from sklearn_mi.cli.options import (
    Place,
    Rows,
    confound,
    effort,
    given,
    index,
    jobs,
    learner_of,
    number,
    options,
    output,
    recordings,
    seed,
    training,
)
from sklearn_mi.cli.study import study

__all__ = ["main"]

# What is written holds numbers, without names of columns and rows.
ARRAYS = (".npy", ".h5", ".zarr")
PARTS = {
    "view": "neighbors",
    "encoder": "mlp",
    "critic": "cosine",
    "objective": "nwj",
    "comparison": "cpc",
}


@click.group(
    cls=Commands,
    name="sklearn-mi",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "demo",
        "fit flowers.csv --label species --out model.safetensors",
        "label flowers.csv --label species --out labels.csv",
        "mi genes.csv proteins.csv",
        "compare flowers.csv --label species",
    ),
)
@click.version_option(__version__)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Features learned without labels, and mutual information, from files of rows.

    Files are .csv, .tsv, .parquet or a folder of such, .npy, .npz, .h5 or .zarr. Of several arrays
    in a file one is FILE:NAME. Results go to stdout, progress to stderr.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@main.command(
    epilog=examples(
        "fit flowers.csv --label species --out model.safetensors",
        "fit images.npy --effort quick --out model.safetensors",
        "fit mnist.parquet --label digit --input-shape 28x28 --out model.safetensors",
        "fit genes.csv --pair proteins.csv --out model.safetensors",
        "fit photographs.h5:train --comparison dim --out model.safetensors",
        "fit gait.csv --by patient --time second --label group --out model.safetensors",
    )
)
@click.argument("data", type=Rows())
@output(".safetensors")
@click.option(
    "--label",
    "--labels",
    metavar="COLUMN",
    multiple=True,
    help="Column to leave out; repeatable.",
)
@index
@options(*recordings)
@click.option("--groups", metavar="COLUMN", help="Subject of each row, held out as a whole.")
@confound
@click.option(
    "--duplicates",
    type=click.Choice(["keep", "collapse"]),
    help="Equal rows: as they come, or as one row with its count; default: keep.",
)
@click.option(
    "--pair",
    type=Rows(),
    multiple=True,
    help="Second table; its row i is the partner of row i. Repeatable, for several tables.",
)
@options(
    *(
        click.option(f"--{part}", metavar="NAME", help=f"Name of the {part}, such as {name}.")
        for part, name in PARTS.items()
    )
)
@options(*training)
@click.option(
    "--checkpoint-dir",
    type=Place(file_okay=False),
    help="Folder to go on from after a crash: run the same command again.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def fit(
    data: Path,
    out: Path,
    overwrite: bool,
    label: tuple[str, ...],
    index: str | None,
    by: str | None,
    time: str | None,
    groups: str | None,
    confound: tuple[str, ...],
    pair: tuple[Path, ...],
    seed: int,
    quiet: bool,
    **parameters: Any,
) -> None:
    """Learn features of DATA without labels.

    Every column that is not left out is a feature: numbers, categories, text or dates; cells may be
    empty. With --by and --time, DATA holds recordings: a row for each step, and a column of numbers
    for each channel. More than 1 GiB of numbers in .npy, .h5, .zarr or parquet stay on disk.
    """
    if by and pair:
        refuse("--pair goes with rows, not with recordings by --by.")
    aside = [*label, *confound, *([groups] if groups else [])]
    X, columns = read_aside(data, aside, index=index, by=by, time=time, in_blocks=True)
    X_pair: Any = [read(path, index=index, in_blocks=True) for path in pair] or None
    if len(pair) == 1:
        (X_pair,) = X_pair
    learner: Any = learner_of(verbose=0 if quiet else 1, random_state=seed, **parameters)
    with redirect_stdout(sys.stderr):
        beside = {"groups": columns[groups] if groups else None, **_confounds(columns, confound)}
        learner.fit(X, X_pair=X_pair, **beside)
    learner.save(out)
    steps, n_out = learner.n_iter_, len(learner.get_feature_names_out())
    line = f"Learned {n_out} features from {size_of(X)} in {steps} steps."
    click.echo(line if steps else f"Took {n_out} features from {size_of(X)}; nothing was trained.")
    click.echo(as_lines(learner.mi_, "held-out InfoNCE", "held-out rows", learner.mi_.n_pairs))
    click.echo(f"Wrote {out}.")


@main.command(
    epilog=examples(
        "transform model.safetensors flowers.csv --label species --out codes.csv",
        "transform model.safetensors images.npy --out codes.npy",
        "transform model.safetensors gait.csv --by patient --time second --out codes.csv",
    )
)
@click.argument("model", type=Place(exists=True, dir_okay=False))
@click.argument("data", type=Rows())
@output(".csv", ".tsv", ".parquet", ".npy", ".h5", ".zarr")
@click.option("--label", metavar="COLUMN", multiple=True, help="Column to carry; repeatable.")
@confound
@index
@options(*recordings)
def transform(
    model: Path,
    data: Path,
    out: Path,
    overwrite: bool,
    label: tuple[str, ...],
    confound: tuple[str, ...],
    index: str | None,
    by: str | None,
    time: str | None,
) -> None:
    """Write the features of DATA by a fitted MODEL.

    Columns that are no features are named by --label, and are carried along unchanged. Recordings,
    by --by and --time, get a row each, which begins with what names them.
    """
    kind = out.suffix.lower()
    refuse_itself(out, data)
    if label and kind in ARRAYS:
        refuse(f"{out} holds numbers alone; write .csv or .parquet with --label.")
    from sklearn_mi.learner import load

    aside = [*label, *confound]
    how: Any = {"index": index, "by": by, "time": time, "as_text": label, "in_blocks": True}
    X, columns = read_aside(data, aside, **how)
    learner: Any = load(model)
    X, beside = _as_fitted(data, X, learner), _confounds(columns, confound)
    stays = is_dataset(X) or not (isinstance(X, list) or hasattr(X, "columns"))
    if kind in ARRAYS or (kind == ".parquet" and stays and not (label or index)):
        learner.transform_to(X, out, **beside)
        n_rows = len(X) if isinstance(X, list) else shape_of(X)[0]
        codes: Any = (n_rows, len(learner.get_feature_names_out()))
    else:
        codes = learner.set_output(transform="pandas").transform(X, **beside)
        named, carried = codes.set_axis(columns.index), columns[list(label)]
        table = named.join(carried) if label else named
        write(table.reset_index() if by else table, out)
    click.echo(f"Wrote {out}: {size_of(codes)}.")


def _confounds(columns: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the columns as the argument of a method, if there are any."""
    return {"confounds": columns[list(names)]} if names else {}


def _as_fitted(data: Path, X: Any, learner: Any) -> Any:
    """Return the columns or channels that the learner was fitted to, in their order."""
    names, is_list = list(getattr(learner, "feature_names_in_", [])), isinstance(X, list)
    if is_list and not names:
        return [recording.to_numpy() for recording in X]
    if not names or not (is_list or is_dataset(X) or hasattr(X, "columns")):
        return X
    have = list(X.schema.names if is_dataset(X) else X[0].columns if is_list else X.columns)
    more = [name for name in have if name not in names]
    absent = [name for name in names if name not in have]
    if more or absent:
        facts = [f"without {absent}"] * bool(absent) + [f"with {more}"] * bool(more)
        cure = "; name those that are no features by --label or --index" if more else ""
        raise click.ClickException(
            f"{data} has other columns than the model was fitted to: {', '.join(facts)}{cure}."
        )
    if is_dataset(X):
        return of_columns(X, names)
    return [recording[names] for recording in X] if is_list else X[names]


@main.command(
    epilog=examples(
        "report flowers.csv --label species --out flowers.html",
        "report recordings.parquet --effort quick --out page.html",
    )
)
@click.argument("data", type=Rows())
@output(".html")
@click.option("--label", metavar="COLUMN", help="Class or measurement of each row.")
@index
@options(*recordings)
@click.option("--title", help="Heading; default: the name of the file.")
@number("--max-rows", "Rows that are drawn at random where there are more; default: 5000.")
@effort
@seed
def report(
    data: Path,
    out: Path,
    overwrite: bool,
    label: str | None,
    index: str | None,
    by: str | None,
    time: str | None,
    title: str | None,
    seed: int,
    **parameters: Any,
) -> None:
    """Write an HTML page about DATA.

    It opens in any browser, without a network. With a label it shows accuracy with few labels and
    what each column tells of the label. With --by and --time, DATA holds recordings.
    """
    aside = [label] if label else []
    X, columns = read_aside(data, aside, index=index, by=by, time=time)
    from sklearn_mi import summary

    y = columns[label] if label else None
    settings = {"title": title or data.name, "random_state": seed, **given(**parameters)}
    with redirect_stdout(sys.stderr):
        page = summary.report(X, y, verbose=True, **settings)
    page.save(out, overwrite=overwrite)
    click.echo(f"Wrote {out}.")


@main.command(epilog=examples("demo", "demo --out pictures"))
@click.option(
    "--out",
    type=Place(file_okay=False),
    help="Folder for the table and, with matplotlib, a picture.",
)
@click.option("--overwrite", is_flag=True, help="Write over files that are there.")
@number("--folds", "Folds; default: 4.", 2, default=4)
@number("--max-steps", "Length of training; default: in full.")
@jobs
def demo(
    out: Path | None, overwrite: bool, folds: int, max_steps: int | None, jobs: int | None
) -> None:
    """Show what learned features are worth, on digits.

    Takes about a minute on two cores. Nothing is written without --out.
    """
    files = [] if out is None else _demo_files(out)
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        refuse(f"{there[0]} exists; add --overwrite, or choose another folder.")
    from sklearn_mi import demo as digits

    table = digits.run(n_folds=folds, max_steps=max_steps, n_jobs=jobs)
    for path in files:
        if path.suffix == ".csv":
            write(table, path)
        else:
            say("Drawing a map of digits ...")
            with written_whole(path, "--out") as part:
                digits.picture(table, max_steps=max_steps).savefig(part, dpi=130)
        click.echo(f"Wrote {path}.")


def _demo_files(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    names = ["digits.csv", "digits.png"] if find_spec("matplotlib") else ["digits.csv"]
    return [folder / name for name in names]


for command in (label_command, mi, compare, study):
    main.add_command(command)
