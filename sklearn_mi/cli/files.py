"""Tables and arrays read from files, and written whole or not at all."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sklearn_mi._places import written_whole
from sklearn_mi.cli.base import refuse
from sklearn_mi.cli.containers import (
    dataset_aside,
    failure_is_told,
    kind_of,
    open_array,
    open_dataset,
    refuse_too_large,
    shape_of,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read", "read_aside", "select", "set_aside", "size_of", "write"]

MOST_LISTED = 8
# The cure of a table in Python, and that of a file.
OF_FRAMES = "or name the channels by columns="
OF_FILES = "or leave them out by --label"
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read(
    path: Path,
    *,
    index: str | None = None,
    as_text: Sequence[str] = (),
    in_blocks: bool = False,
) -> Any:
    """Read the rows of a file.

    Parameters
    ----------
    path : Path
        CSV, TSV, parquet or a folder of parquet files; npy; npz, HDF5 or zarr, of which :NAME says
        which array counts.
    index : str or None, default=None
        Column that names the rows. None: the first one of a CSV file if it has no name, as pandas
        writes it.
    as_text : sequence of str, default=()
        Columns of a CSV file that are kept as they are written, such as ``007``.
    in_blocks : bool, default=False
        Leave many rows where they are stored, for a learner that reads blocks of them.

    Returns
    -------
    rows : DataFrame, ndarray, or what holds rows that are left where they are stored
        At least one; an array of one axis becomes one column.
    """
    return read_aside(path, [], index=index, as_text=as_text, in_blocks=in_blocks)[0]


def _array(path: Path, in_blocks: bool) -> Any:
    with failure_is_told(path):
        rows = open_array(path)
    if not rows.shape:
        raise click.ClickException(f"{path} holds one number; expected rows.")
    if in_blocks and len(rows.shape) > 1 and _is_large(rows.shape, rows.dtype):
        return rows
    refuse_too_large(path, rows)
    import numpy as np

    with failure_is_told(path):
        # In memory, whatever becomes of the file.
        loaded = np.array(rows[...])
    return loaded.reshape(-1, 1) if loaded.ndim == 1 else loaded


def _is_large(shape: tuple[int, ...], dtype: Any) -> bool:
    from sklearn_mi.rows import is_large

    return is_large(shape, dtype)


def _in_blocks(
    path: Path, columns: Sequence[str], index: str | None
) -> tuple[Any, pd.DataFrame] | None:
    """Return a large parquet file or folder as a data set, and columns of it; None: read it."""
    with failure_is_told(path):
        data = open_dataset(path)
        if not _is_large(shape_of(data), float):
            return None
        for name in [*columns, *([index] if index else [])]:
            _need_column(path, name, data.schema.names)
        return dataset_aside(data, columns, index)


def _frame(path: Path, index: str | None, as_text: set[str]) -> pd.DataFrame:
    import pandas as pd

    kind = kind_of(path)
    if not path.is_dir() and not path.stat().st_size:
        raise click.ClickException(f"{path} is empty; expected names of columns, and rows.")
    with failure_is_told(path):
        if kind == ".parquet":
            refuse_too_large(path, open_dataset(path))
            frame: Any = pd.read_parquet(path)
        else:
            sep = SEPARATORS[kind]
            frame = _parsed(path, sep)
            _refuse_other_separators(path, frame, sep)
            _check_header(path, sep)
            if known := [name for name in frame if name in as_text]:
                # A second look leaves the text of these fields as it stands.
                how: Any = {"usecols": known, "dtype": str, "keep_default_na": False}
                text = pd.read_csv(path, sep=sep, **how)
                for name in known:
                    frame[name] = _exact(text[name]).array
    if index is not None and index not in frame.index.names:
        _need_columns(path, frame, [index])
        return frame.set_index(index)
    if kind != ".parquet" and str(frame.columns[0]) == "Unnamed: 0":
        return frame.set_index(frame.columns[0]).rename_axis(None)
    return frame


def _parsed(path: Path, sep: str) -> Any:
    """Return the table of a text file; what no table can be read from is told by line."""
    import pandas as pd

    try:
        return pd.read_csv(path, sep=sep)
    except pd.errors.EmptyDataError as error:
        message = f"{path} holds blank lines alone; expected names of columns, and rows."
        raise click.ClickException(message) from error
    except pd.errors.ParserError as error:
        numbers = [int(number) for number in re.findall(r"\d+", str(error))]
        if "EOF inside string" in str(error):
            message = f"{path} opens a quote in row {numbers[-1]} that nothing closes."
        elif len(numbers) == 3 and "Expected" in str(error):
            expected, line, found = numbers
            message = (
                f"{path} has {found} fields in line {line}, but {expected} before it; expected "
                f"equally many: quote a field that holds {sep!r}."
            )
        else:
            raise
        raise click.ClickException(message) from error


def _check_header(path: Path, sep: str) -> None:
    """Refuse rows of more fields than the header has, and names that stand twice in it."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = (fields for fields in csv.reader(file, delimiter=sep) if fields)
        names = next(lines, [])
        # pandas would take the first ones for names of rows.
        n_fields = len(next(lines, names))
    if n_fields > len(names):
        raise click.ClickException(
            f"{path} has {n_fields} fields in a row, but its first line names {len(names)}, "
            f"{names[0]!r} first; expected a name for each: drop lines before the names, or name "
            "the column of row names, too."
        )
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise click.ClickException(f"{path} has several columns of one name: {twice}; rename them.")


def _refuse_other_separators(path: Path, frame: Any, sep: str) -> None:
    """Refuse a file whose one column has a name of several fields."""
    found = [other for other in ";\t,|" if other != sep and other in str(frame.columns[0])]
    if frame.shape[1] == 1 and found:
        raise click.ClickException(
            f"{path} has one column, {str(frame.columns[0])!r}; expected {sep!r} between fields, "
            f"not {found[0]!r}: write it so."
        )


def _exact(text: pd.Series) -> pd.Series:
    """Return numbers in the place of text where they are written the same."""
    import pandas as pd

    numbers: Any = pd.to_numeric(text, errors="coerce")
    is_same = numbers.notna() & (numbers.astype(str) == text)
    return numbers if is_same.all() else text


def set_aside(path: Path, rows: Any, columns: Sequence[str]) -> tuple[Any, pd.DataFrame]:
    """Return the rows without some columns, and these columns.

    Parameters
    ----------
    path : Path
        Of the rows, for messages.
    rows : DataFrame or ndarray
    columns : sequence of str

    Returns
    -------
    rows : DataFrame or ndarray
    aside : DataFrame
        Without columns where ``columns`` is empty.
    """
    import pandas as pd

    _need_names(path, rows, columns)
    if not isinstance(rows, pd.DataFrame):
        return rows, pd.DataFrame(index=range(rows.shape[0]))
    columns = list(dict.fromkeys(columns))
    _need_columns(path, rows, columns)
    rest = rows.drop(columns=columns)
    if rest.empty:
        raise click.ClickException(f"{path} has no columns besides {', '.join(columns)}.")
    return rest, pd.DataFrame(rows[columns])


def read_aside(
    path: Path,
    columns: Sequence[str],
    *,
    index: str | None = None,
    by: str | None = None,
    time: str | None = None,
    as_text: Sequence[str] = (),
    in_blocks: bool = False,
) -> tuple[Any, pd.DataFrame]:
    """Read the rows of a file, or with ``by`` its recordings, and set some columns aside.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Those that are set aside; one value for each recording.
    index, as_text, in_blocks
        As in `read`.
    by, time : str or None, default=None
        Columns that say to which recording a row belongs, and in which order.

    Returns
    -------
    rows : DataFrame, list of DataFrame of shape (time_i, channels), or as of `read`
        Recordings in the order in which they first appear.
    aside : DataFrame
        A row for each row, or for each recording, which is then its label.
    """
    if by is None and time is None:
        return _rows_aside(path, list(dict.fromkeys(columns)), index, as_text, in_blocks)
    if by is None or time is None or by == time:
        refuse("--by and --time go together: columns of the recording of each row, and its time.")
    if index is not None:
        refuse("--index goes with rows; recordings are named by --by.")
    if twice := [name for name in (by, time) if name in columns]:
        refuse(f"{twice[0]!r} is named by --by or --time and is no feature; name it once.")
    return _recordings(path, by, time, list(dict.fromkeys(columns)), as_text)


def _rows_aside(
    path: Path, columns: list[str], index: str | None, as_text: Sequence[str], in_blocks: bool
) -> tuple[Any, pd.DataFrame]:
    kind = kind_of(path)
    if kind == ".parquet" and in_blocks and (found := _in_blocks(path, columns, index)):
        return found
    if kind in (*SEPARATORS, ".parquet"):
        rows: Any = _frame(path, index, {*as_text, *([index] if index else [])})
    else:
        rows = _array(path, in_blocks)
        _need_names(path, rows, [*([index] if index else []), *columns])
    if not all(rows.shape):
        raise click.ClickException(f"{path} has no rows.")
    return set_aside(path, rows, columns)


def _recordings(
    path: Path, by: str, time: str, columns: list[str], as_text: Sequence[str]
) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    from sklearn_mi.datasets import to_sequences

    frame = read(path, as_text=[*as_text, by])
    _need_names(path, frame, [by])
    _need_columns(path, frame, [by, time, *columns])
    named = frame[by].mask(frame[by] == "")  # a field without text
    frame = frame.assign(**{by: named, time: _times(path, frame[time])})
    try:
        X, keys = to_sequences(frame.drop(columns=columns), by, time)
    except ValueError as error:
        told = str(error).replace("frame", str(path), 1)
        raise click.ClickException(told.replace(OF_FRAMES, OF_FILES)) from error
    for column in columns:
        several: Any = frame.drop_duplicates([by, column])[by]
        if not several.is_unique:
            key = several[several.duplicated()].iloc[0]
            raise click.ClickException(
                f"{path} has several values of {column!r} in recording {key!s}; expected one."
            )
    return X, frame.drop_duplicates(by)[columns].set_axis(keys).rename_axis(by)


def _times(path: Path, times: pd.Series) -> pd.Series:
    """Return dates in the place of text."""
    import pandas as pd

    if not pd.api.types.is_string_dtype(times):
        return times
    dates = pd.to_datetime(times, format="ISO8601", errors="coerce")
    wrong: Any = times[dates.isna() & times.notna()]
    if len(wrong):
        raise click.ClickException(
            f"{path} has no number and no date in column {times.name!r}: {wrong.iloc[0]!r}; write "
            "dates as in 2026-01-31T08:30."
        )
    return dates


def select(path: Path, rows: Any, columns: Sequence[str]) -> Any:
    """Return some columns of a table, in the order given.

    Parameters
    ----------
    path : Path
        Of the rows, for messages.
    rows : DataFrame or ndarray
    columns : sequence of str

    Returns
    -------
    rows : DataFrame
    """
    _need_names(path, rows, columns)
    _need_columns(path, rows, columns)
    return rows[list(columns)]


def size_of(rows: Any) -> str:
    """Say how many rows there are, and of what.

    Parameters
    ----------
    rows : DataFrame, array, data set of pyarrow, list of DataFrame, or tuple of int, their shape

    Returns
    -------
    text : str
    """
    if isinstance(rows, list):
        lengths = sorted({len(recording) for recording in rows})
        steps = " to ".join(map(str, dict.fromkeys([lengths[0], lengths[-1]])))
        of = f"{steps} steps and {_counted(rows[0].shape[1], 'channel')}"
        return f"{_counted(len(rows), 'recording')} of {of}"
    n_rows, *shape = rows if isinstance(rows, tuple) else shape_of(rows)
    row = " x ".join(map(str, shape)) if len(shape) > 1 else _counted(shape[0], "column")
    return f"{_counted(n_rows, 'row')} of {row}"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _need_names(path: Path, rows: Any, columns: Sequence[str]) -> None:
    if columns and not hasattr(rows, "columns"):
        raise click.ClickException(
            f"{path} is an array, whose columns have no names; to name {columns[0]!r} pass a .csv "
            "or .parquet file."
        )


def _need_columns(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    for name in columns:
        _need_column(path, name, list(frame.columns))


def _need_column(path: Path, name: str, known: Sequence[Any]) -> None:
    if name not in known:
        more = ", ..." if len(known) > MOST_LISTED else ""
        # Quoted where a blank at an end could not be seen.
        have = ", ".join(
            repr(one) if str(one) != str(one).strip() else str(one) for one in known[:MOST_LISTED]
        )
        raise click.ClickException(f"{path} has no column {name!r}; it has {have}{more}.")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table; rows that have names keep them.

    Parameters
    ----------
    table : DataFrame
    path : Path
        CSV, TSV, parquet, or npy, which holds the values alone.
    """
    import numpy as np
    import pandas as pd

    suffix = path.suffix.lower()
    with written_whole(path, "--out") as part:
        if suffix == ".npy":
            np.save(part, table.to_numpy())
        elif suffix == ".parquet":
            with failure_is_told(path):
                table.to_parquet(part)
        else:
            is_numbered = table.index.equals(pd.RangeIndex(len(table)))
            table.to_csv(part, sep=SEPARATORS[suffix], index=not is_numbered)
