"""``sklearn-mi label``: fills in the labels that some rows of a file do not have."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from sklearn_mi.cli.base import examples
from sklearn_mi.cli.containers import refuse_itself
from sklearn_mi.cli.files import read_aside, write
from sklearn_mi.cli.options import (
    Rows,
    index,
    learner_of,
    options,
    output,
    recordings,
    training,
)

__all__ = ["label"]


@click.command(
    epilog=examples(
        "label flowers.csv --label species --out labels.csv",
        "label gait.csv --by patient --time second --label group --out labels.csv",
    )
)
@click.argument("data", type=Rows())
@click.option(
    "--label",
    "--labels",
    "name",
    metavar="COLUMN",
    required=True,
    help="Column of the labels; empty where a row has none.",
)
@index
@options(*recordings)
@output(".csv", ".tsv", ".parquet")
@options(*training)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def label(
    data: Path,
    name: str,
    index: str | None,
    by: str | None,
    time: str | None,
    out: Path,
    overwrite: bool,
    seed: int,
    quiet: bool,
    **parameters: Any,
) -> None:
    """Fill in the labels that some rows of DATA do not have.

    Features are learned from all rows, and a classifier from those with a label. Numbers that are
    not whole, or of more than 30 different values, are a measurement, by ridge regression. OUT has
    a row for each row of DATA, or for each recording: its label and, where a class was filled in,
    the probability.
    """
    refuse_itself(out, data)
    X, columns = read_aside(data, [name], index=index, by=by, time=time)
    labels = columns[name].convert_dtypes()
    known = labels.notna().to_numpy()
    if known.all() or not known.any():
        has = "a label in all rows" if known.all() else "no label"
        raise click.ClickException(f"{data} has {has} in column {name!r}; expected some empty.")
    learner = learner_of(verbose=0 if quiet else 1, random_state=seed, **parameters)
    with redirect_stdout(sys.stderr):
        table = _filled(learner, X, labels, known)
    write(table.reset_index() if by else table, out)
    click.echo(f"Filled in {(~known).sum():,} labels by means of {known.sum():,}.")
    click.echo(f"Wrote {out}.")


def _filled(learner: Any, X: Any, labels: Any, known: Any) -> Any:
    """Return the labels, all filled in, and the probabilities of classes that were."""
    import numpy as np

    from sklearn_mi._compat import _safe_indexing
    from sklearn_mi.semi_supervised import SemiSupervisedClassifier, SemiSupervisedRegressor
    from sklearn_mi.summary.data import is_measurement

    table, rest = labels.astype(object).to_frame(), np.flatnonzero(~known)
    unknown = _safe_indexing(X, rest)
    if is_measurement(labels[known].to_numpy()):
        numbers = labels.to_numpy(float, na_value=np.nan)
        table.iloc[rest, 0] = SemiSupervisedRegressor(learner).fit(X, numbers).predict(unknown)
        return table
    # Numbered, so that -1 is a class like others.
    classes, numbers = np.unique(labels[known].astype(object), return_inverse=True)
    y = np.full(len(labels), -1)
    y[known] = numbers
    shares = SemiSupervisedClassifier(learner).fit(X, y).predict_proba(unknown)
    table.iloc[rest, 0] = classes[shares.argmax(axis=1)]
    table[f"{labels.name}_probability"] = np.nan
    table.iloc[rest, 1] = shares.max(axis=1)
    return table
