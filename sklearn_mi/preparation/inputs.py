"""Check the rows and the other inputs of a fit."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib
from sklearn.base import BaseEstimator

from sklearn_mi._base import is_auto, positive_integer
from sklearn_mi._checks import check_values
from sklearn_mi.encoding import check_length
from sklearn_mi.model import PairModel
from sklearn_mi.negatives import as_negatives
from sklearn_mi.processes import ALONE, Team
from sklearn_mi.recipe import refuse_two_kinds
from sklearn_mi.rows import (
    CheckedRows,
    Data,
    Schema,
    Stream,
    as_stream,
    check_labels,
    present_in,
    read_confounds,
    read_pair,
    read_rows,
    warn_of_labels,
    warn_of_large_values,
    without_confounds,
)
from sklearn_mi.views import View, as_view

__all__ = ["Given", "Known", "Settings", "early_view", "read_data"]

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What a user passes beside ``X``, unchecked.

    Parameters
    ----------
    X_pair, groups, y, confounds : object
    validation_data : object
        Rows to report on, or (rows, rows of the second table).
    """

    X_pair: Any = None
    groups: Any = None
    y: Any = None
    confounds: Any = None
    validation_data: Any = None


@dataclass(frozen=True)
class Known:
    """What an earlier fit knows of the rows.

    Parameters
    ----------
    model : PairModel
    schemas : tuple of Schema
        Schema of the table and of the second table, or None.
    """

    model: PairModel
    schemas: tuple[Schema, Schema | None]


def read_data(
    learner: BaseEstimator,
    settings: Settings,
    X: Any,
    given: Given,
    known: Known | None,
    team: Team = ALONE,
) -> Data:
    """Check rows and the other inputs of a fit.

    Parameters
    ----------
    learner : BaseEstimator
        The owner of the columns; error messages give its name.
    settings : mapping
    X : array-like, sparse matrix or Tensor
    given : Given
    known : Known or None
        None: rows of a new fit.
    team : Team, default=ALONE
        The processes that train together.

    Returns
    -------
    data : Data
    """
    schema = None if known is None else known.schemas[0]
    is_paired = given.X_pair is not None
    view = known.model.view if known else early_view(settings["view"], is_paired=is_paired)
    shape = settings["input_shape"]
    stream = as_stream(X)
    if stream is not None:
        _check_stream(stream, given, settings["max_epochs"])
        X = _first_window(stream, team)
    first = read_rows(learner, X, shape, known=schema, min_rows=2, sets=view.sets)
    n = len(first)
    pair = _read_second(learner, view, X, given, known, n)
    if known is None:
        warn_of_large_values(first, settings["standardize"])
        if pair is not None:
            warn_of_large_values(pair, settings["standardize"], "X_pair")
    warn_of_labels(X, given.groups, "groups")
    groups = None if given.groups is None else check_values("groups", given.groups, n)
    negatives = settings["negatives"] if known is None else known.model.recipe.negatives
    if groups is None and as_negatives(negatives).needs_groups:
        raise ValueError(f"negatives={negatives!r} needs groups: pass groups=...")
    y = _labels_for(view, X, given, n, is_fit=known is None)
    refuse_two_kinds(settings["comparison"], y, groups)
    name, told = type(learner).__name__, schema and schema.confounds
    check_labels(X, given.confounds, "confounds")
    confounds = read_confounds(given.confounds, told, n, name, is_fit=known is None)
    present = present_in((first, pair))
    held = None
    if given.validation_data is not None:
        _check_held_out(view, given, as_negatives(negatives).needs_groups)
        with _named("validation_data"):
            held = _read_held_out(learner, given.validation_data, first, pair)
        held = held.windowed(view.window)
    data = Data(first, pair, groups, y, confounds, present, stream, held).windowed(view.window)
    if known is not None:
        model = known.model
        data = without_confounds(data, model.confounds)
        encoders = model.encoder, model.encoder_y
        parts = zip(data.sides, model.scales, encoders, ("X", "X_pair"), strict=True)
        for side, layer, encoder, name in parts:
            if side is not None:
                check_length(side, layer, encoder, name)
    return data


def _first_window(stream: Stream, team: Team) -> Any:
    """Return the rows that a fit begins with; if each process has its own, those of the first.

    Nothing else tells whether a data set gives each process its share: libraries do it by the
    environment, a sampler or a method.
    """
    block = stream.first()
    n_different = len(set(team.everyone(joblib.hash(block))))
    if n_different == 1:
        return block
    if n_different < team.size:
        raise ValueError(
            f"X is a {type(stream.items).__name__} that gives {team.size} processes {n_different} "
            "different shares; expected the same rows in each, or a share of its own for each "
            "process, as by datasets.distributed.split_dataset_by_node(X, rank, world_size)."
        )
    stream.is_split = True
    return team.agreed(block)


def _labels_for(view: View, X: Any, given: Given, n: int, *, is_fit: bool) -> Any:
    """Return the labels that the view asks for, if any."""
    if "y" not in view.needs or given.y is None:
        return None
    warn_of_labels(X, given.y)
    y = check_values("y", given.y, n)
    if is_fit:
        view.check_labels(y)
    return y


def _check_stream(stream: Stream, given: Given, max_epochs: int | None) -> None:
    """Refuse what rows that come one after the other cannot have."""
    kind = type(stream.items).__name__
    if given.validation_data is None:
        raise ValueError(
            f"X is a {kind}, whose rows come one after the other and cannot be held out: fit needs "
            "validation_data=, rows to report on, and of the other methods only transform and "
            "transform_to take such rows."
        )
    if max_epochs is not None:
        raise ValueError(
            f"max_epochs={max_epochs} counts passes over X, but nobody knows how long a {kind} is; "
            "set max_steps."
        )
    named = {"X_pair": given.X_pair, "groups": given.groups, "confounds": given.confounds}
    extra = [name for name, value in named.items() if value is not None]
    if extra:
        raise ValueError(
            f"{' and '.join(extra)} need rows with numbers, but X is a {kind}, whose rows come one "
            "after the other; pass an array, a memory map or the like."
        )


def _check_held_out(view: View, given: Given, needs_groups: bool) -> None:
    """Refuse validation data that cannot be reported on."""
    asked = [*view.needs, *(["groups"] if needs_groups else [])]
    asked += ["confounds"] if given.confounds is not None else []
    if asked:
        raise ValueError(
            f"validation_data holds rows alone, but these parameters need {asked[0]} of each row; "
            "leave validation_data=None, and validation_fraction holds rows out."
        )


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Tell which argument it was whose table an error calls X."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(error if name in str(error) else f"{name}: {error}") from error


def _read_held_out(
    learner: BaseEstimator, given: Any, first: CheckedRows, pair: CheckedRows | None
) -> Data:
    """Check the rows to report on against those of the fit."""
    if pair is None:
        rows = given[0] if isinstance(given, tuple) and len(given) == 1 else given
        return Data(read_rows(learner, rows, known=first.schema, min_rows=2))
    if not (isinstance(given, tuple) and len(given) == 2):
        raise ValueError(
            f"validation_data is a {type(given).__name__}, but X_pair is given; expected a tuple "
            "of rows and their partners, (X_val, X_pair_val)."
        )
    rows = read_rows(learner, given[0], known=first.schema, min_rows=2)
    name = type(learner).__name__
    second = read_pair(given[1], pair.schema, name, X=given[0], n_rows=len(rows))
    return Data(rows, second, present=present_in((rows, second)))


def _read_second(
    learner: BaseEstimator, view: View, X: Any, given: Given, known: Known | None, n_rows: int
) -> CheckedRows | None:
    """Check the second table against the view, or against the table of an earlier fit."""
    name = type(learner).__name__
    schema = None if known is None else known.schemas[1]
    is_wanted = view.paired if known is None else schema is not None
    if is_wanted and given.X_pair is None:
        raise ValueError(f"{name} needs the second table here: pass X_pair=...")
    if given.X_pair is None:
        return None
    if not is_wanted:
        raise ValueError(
            f"X_pair is given, but view={view!r} makes its pairs from X alone; "
            "leave view='auto', or do not pass X_pair."
        )
    return read_pair(given.X_pair, schema, name, X=X, n_rows=n_rows)


def early_view(view: Any, *, is_paired: bool) -> View:
    """Return the view as far as it is known before the rows are read.

    Parameters
    ----------
    view : str, View or callable
    is_paired : bool
        Whether there is a second table.
    """
    if is_auto(view):
        return as_view("paired" if is_paired else "neighbors")
    made = copy.deepcopy(as_view(view))
    # The view cuts rows into windows before it is fitted.
    positive_integer("window", made.window)
    return made
