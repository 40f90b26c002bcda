"""``sklearn-mi mi`` and ``sklearn-mi compare``: numbers about the rows of files."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import click

from sklearn_mi.cli.base import examples, refuse, say
from sklearn_mi.cli.files import read, read_aside, select, set_aside, size_of, write
from sklearn_mi.cli.options import (
    Blocks,
    Names,
    Numbers,
    Rows,
    given,
    index,
    jobs,
    label,
    learner_of,
    number,
    options,
    output,
    recordings,
    seed,
    training,
)

__all__ = ["as_lines", "compare", "mi"]

FEW_LABELS = (1, 5, 20)


@click.command(
    epilog=examples(
        "mi genes.csv proteins.csv",
        "mi flowers.csv --y species",
        "mi flowers.parquet --x petal_length,petal_width --y species --json",
        "mi flowers.csv --x petal_length --y petal_width --given species",
        "mi recording.npy behaviour.npy --blocks auto",
    )
)
@click.argument("x_file", metavar="X", type=Rows())
@click.argument("y_file", metavar="[Y]", type=Rows(), required=False)
@click.option("--x", type=Names(), help="Columns of X; default: all others.")
@click.option("--y", type=Names(), help="Columns of Y, or of X if that is the only file.")
@index
@click.option(
    "--given",
    "given_z",
    type=Names(),
    help="Columns of X; the information is then that beyond what they tell.",
)
@click.option("--groups", metavar="COLUMN", help="Subject or recording of each row; a column of X.")
@click.option(
    "--blocks", type=Blocks(), help="For a series: rows that depend on one another, or auto."
)
@click.option(
    "--method",
    type=click.Choice(["auto", "closed-form", "copula", "network", "neighbors", "classifier"]),
    help="closed-form: without networks, in a fraction of the time; default: auto.",
)
@number("--max-steps", "Longest training of a network.")
@number("--jobs", "Folds that are fitted at the same time; default: one for each core.")
@seed
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; null: no number, or no upper end."
)
def mi(
    x_file: Path,
    y_file: Path | None,
    x: list[str] | None,
    y: list[str] | None,
    index: str | None,
    given_z: list[str] | None,
    groups: str | None,
    blocks: int | str | None,
    method: str | None,
    max_steps: int | None,
    jobs: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Estimate the mutual information of two tables.

    Of two files, X and Y, whose rows are partners; or of columns of X: --x and --y. In nats.
    """
    if y_file is None and x is None and y is None:
        refuse("Pass a second file, or columns by --x and --y.")
    names = [*(given_z or []), *([groups] if groups else [])]
    table, aside = set_aside(x_file, read(x_file, index=index), names)
    X, Y = _sides(x_file, table, y_file, x, y, index)
    from sklearn_mi.information import MIEstimator

    say(f"Estimating from {size_of(X)} and {size_of(Y)} ...")
    settings = given(method=method, max_steps=max_steps, n_jobs=jobs)
    estimator = MIEstimator(verbose=int(sys.stderr.isatty()), random_state=seed, **settings)
    found = estimator.fit(
        X,
        Y,
        Z=aside[given_z] if given_z else None,
        groups=aside[groups] if groups else None,
        blocks=blocks,
    ).mi_
    if as_json:
        click.echo(_as_json(found, len(X)))
    else:
        click.echo(as_lines(found, "mutual information", "rows", len(X)))


def _sides(
    x_file: Path,
    table: Any,
    y_file: Path | None,
    x: list[str] | None,
    y: list[str] | None,
    index: str | None,
) -> tuple[Any, Any]:
    """Return the two sets of columns."""
    if y_file is not None:
        Y = read(y_file, index=index)
        if len(Y) != len(table):
            raise click.ClickException(
                f"{x_file} has {len(table)} rows, but {y_file} has {len(Y)}; expected equally many."
            )
        return (
            table if x is None else select(x_file, table, x),
            Y if y is None else select(y_file, Y, y),
        )
    X = set_aside(x_file, table, y or [])[0] if x is None else select(x_file, table, x)
    Y = set_aside(x_file, table, x or [])[0] if y is None else select(x_file, table, y)
    return X, Y


def as_lines(found: Any, name: str, rows: str, n_rows: int) -> str:
    """Return a number with what belongs to it, one fact a line.

    Parameters
    ----------
    found : MIEstimate
    name, rows : str
        What the number is, and what the rows are.
    n_rows : int

    Returns
    -------
    text : str
    """
    facts = {name: "none"}
    if math.isfinite(found.value):
        low, high = found.interval
        end = f"to {high:z.3f}" if math.isfinite(high) else "and more"
        facts = {
            name: f"{'at least ' * found.at_least}{found.value:z.3f} {found.unit}",
            "95 % interval": f"{low:z.3f} {end}",
            "lower limit, 95 %": _limit(found.lower_limit),
            "computed as": found.bound,
            rows: f"{n_rows:,}",
        }
    lines = [f"{fact:<20}{value}" for fact, value in facts.items()]
    return "\n".join([*lines, *(f"warning: {text}" for text in found.warnings)])


def _limit(value: float | None) -> str:
    return "none" if value is None else f"{value:z.3f}"


def _as_json(found: Any, n_rows: int) -> str:
    def plain(value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else float(value)

    facts = {
        "value": plain(found.value),
        "stderr": plain(found.stderr),
        "at_least": found.at_least,
        "interval": [plain(end) for end in found.interval],
        "lower_limit": plain(found.lower_limit),
        "unit": found.unit,
        "computed_as": found.bound,
        "n_rows": n_rows,
        "warnings": list(found.warnings),
    }
    return json.dumps(facts, indent=2)


@click.command(
    epilog=examples(
        "compare flowers.csv --label species",
        "compare mnist.parquet --label digit --input-shape 28x28 --labels 1,5,all",
        "compare flowers.csv --label species --folds 3 --out accuracies.csv",
    )
)
@click.argument("data", type=Rows())
@label
@index
@options(*recordings)
@click.option("--labels", type=Numbers(), help="Labels for each class; default: 1,5,20,all.")
@number("--folds", "Folds; default: 5.", 2, default=5)
@number("--draws", "Draws of labelled rows in a fold; default: 10.", default=10)
@click.option(
    "--probe",
    type=click.Choice(["logistic", "knn", "mlp", "best"]),
    default="logistic",
    show_default=True,
    help="The classifier; best: logistic or knn, by cross-validation of the labelled rows.",
)
@options(*training)
@jobs
@output(".csv", ".tsv", ".parquet", required=False)
def compare(
    data: Path,
    label: str,
    index: str | None,
    by: str | None,
    time: str | None,
    labels: list[int | None] | None,
    folds: int,
    draws: int,
    probe: str,
    seed: int,
    jobs: int | None,
    out: Path | None,
    overwrite: bool,
    **parameters: Any,
) -> None:
    """Compare learned features with raw columns and PCA.

    A classifier is fitted to few labelled rows, and judged by rows that nothing was fitted to. PCA
    keeps 95 % of the variance of scaled columns. For both, medians fill missing numbers, text of
    at most 20 different values becomes indicators, and recordings, by --by and --time, are padded
    with zeros. Rows without a label are left out.
    """
    X, columns = read_aside(data, [label], index=index, by=by, time=time)
    X, columns = _labelled(X, columns, label)
    counts = columns[label].value_counts()
    few = _affordable(int(counts.min()), folds) if labels is None else labels
    say(f"{size_of(X)}, {len(counts)} classes; {folds} folds with {draws} draws of labels each.")
    from sklearn_mi.demo import OURS, accuracy_table, conclusion
    from sklearn_mi.evaluation import summarise

    ours = learner_of(n_threads=1, random_state=seed, **parameters)
    settings = {"n_folds": folds, "n_draws": draws, "probes": (probe,), "random_state": seed}
    settings["discrete_target"] = True
    flat = _flat_recordings(max(map(len, X))) if by else _numbers(X)
    everyone = {OURS: ours, "raw columns": flat, "PCA": _pca(flat)}
    table = _by_fold(everyone, X, columns[label], jobs, labels_per_class=few, **settings)
    summary = summarise(table)
    if out is not None:
        write(summary, out)
    click.echo(accuracy_table(summary))
    click.echo(conclusion(table))


def _labelled(X: Any, columns: Any, label: str) -> tuple[Any, Any]:
    """Return the rows that have a label, and their columns that are set aside."""
    known = columns[label].notna().to_numpy()
    if known.all():
        return X, columns
    if not known.any():
        raise click.ClickException(f"no row has a label in column {label!r}; expected some.")
    say(f"{(~known).sum():,} rows have no {label}, and are left out.")
    is_list = isinstance(X, list)
    rows = [row for row, kept in zip(X, known, strict=True) if kept] if is_list else X[known]
    return rows, columns[known]


def _affordable(smallest: int, folds: int) -> list[int | None]:
    """Return the numbers of labels that the training rows of the smallest class allow."""
    rows = smallest - math.ceil(smallest / folds)
    return [*(labels for labels in FEW_LABELS if labels <= rows), None]


def _numbers(X: Any) -> Any:
    """Return a transformer of a data frame to numbers; None for what are numbers."""
    from sklearn_mi.summary.data import columns_as_numbers

    return columns_as_numbers(X) if hasattr(X, "columns") else None


def _flat_recordings(length: int) -> Any:
    """Return a transformer of recordings to rows, zero where a recording has ended."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(_padded, kw_args={"length": length})


def _padded(X: Any, length: int) -> Any:
    from sklearn_mi.rows.recordings import padded

    return _flat(padded(X, length=length)[..., :-1])


def _pca(flat: Any = None) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    scaled = make_pipeline(flat or FunctionTransformer(_flat), StandardScaler())
    return make_pipeline(scaled, PCA(0.95, svd_solver="full"))


def _flat(X: Any) -> Any:
    return X.reshape(len(X), -1) if X.ndim > 2 else X


def _by_fold(everyone: Any, X: Any, y: Any, jobs: int | None, n_folds: int, **settings: Any) -> Any:
    """Compare fold by fold in several processes, and say which are done."""
    import joblib
    import pandas as pd

    from sklearn_mi.evaluation import compare

    tasks = (
        joblib.delayed(compare)(everyone, X, y, n_folds=n_folds, only_folds=[k], **settings)
        for k in range(n_folds)
    )
    n_jobs = min(n_folds, jobs or joblib.cpu_count())
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        done: Any = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
    parts = []
    for part in done:
        parts.append(part)
        say(f"  {len(parts)} of {n_folds} folds")
    return pd.concat(parts).sort_values("fold", kind="stable")
