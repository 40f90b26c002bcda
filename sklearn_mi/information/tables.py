"""How `MIEstimator` reads a table: numbers stay as they are, categories become indicators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_array

from sklearn_mi.rows import read_values

__all__ = ["TableReader", "as_frame", "side_by_side"]

MAX_CLASSES = 50


class TableReader:
    """Read rows of a table in the same way as ``fit`` read them.

    Parameters
    ----------
    name : {"X", "Y"}
        Name of the table in error messages.
    rows : array-like of shape (n_samples, ...)
        The table of ``fit``.
    encoder : str, Encoder, Module, callable or None
        Needed if rows are images or sequences.
    """

    is_category = False
    has_few_integers = False
    one_hot: Any = None

    def __init__(self, name: str, rows: Any, encoder: Any) -> None:
        self.name, self.encoder = name, encoder
        shape = np.shape(rows)
        self.n_rows, self.row_shape = shape[0] if shape else 0, shape[1:]
        if np.ndim(rows) < 3:
            self._look_at(as_frame(rows))

    def _look_at(self, frame: pd.DataFrame) -> None:
        """Find the columns that hold categories."""
        kinds = {c: pd.api.types.infer_dtype(frame[c], skipna=True) for c in frame}
        self.words = [c for c, kind in kinds.items() if kind in ("string", "categorical")]
        self.is_category = list(kinds.values()) in (["string"], ["categorical"], ["boolean"])
        self.has_few_integers = (
            frame.shape[1] == 1
            and pd.api.types.is_integer_dtype(frame.iloc[:, 0])
            and frame.iloc[:, 0].nunique() <= MAX_CLASSES
        )
        if self.words:
            self.one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            self.one_hot.fit(frame[self.words].astype(str))

    def is_class(self, wanted: bool | str) -> bool:
        """Return whether the table is one category; "auto" decides by its values."""
        if wanted == "auto":
            return self.is_category or self.has_few_integers
        return bool(wanted)

    def labels(self, rows: Any) -> np.ndarray:
        """Return the category of each row."""
        labels = np.asarray(as_frame(rows)).ravel()
        return read_values(self.name, labels, len(labels))

    def __call__(self, rows: Any) -> np.ndarray:
        """Return rows as numbers."""
        if np.shape(rows)[1:] != self.row_shape:
            raise ValueError(
                f"{self.name} has rows of shape {np.shape(rows)[1:]}; expected {self.row_shape}, "
                "as in fit."
            )
        if np.ndim(rows) > 2:
            if self.encoder is None:
                raise ValueError(
                    f"{self.name} of shape {np.shape(rows)} has images or sequences as its rows; "
                    f"pass {'encoder' if self.name == 'X' else 'encoder_y'}=..., or flatten them."
                )
            return _as_floats(rows, self.name)
        frame = as_frame(rows)
        if self.one_hot is None:
            return _as_floats(frame, self.name)
        words = frame[self.words]
        if words.isna().to_numpy().any():
            raise ValueError(f"Input {self.name} contains NaN; drop these rows, or fill them.")
        numbers = frame.drop(columns=self.words)
        parts = [self.one_hot.transform(words.astype(str))]
        if numbers.shape[1]:
            parts.insert(0, _as_floats(numbers, self.name))
        return np.hstack(parts)


def _as_floats(rows: Any, name: str) -> np.ndarray:
    dtype: Any = np.float64
    if rows.shape[1] == 0:
        rows = np.empty(rows.shape)
    return check_array(rows, dtype=dtype, allow_nd=True, input_name=name)


def as_frame(rows: Any) -> pd.DataFrame:
    """Return rows as a data frame, each column with a dtype of its own."""
    if isinstance(rows, pd.Series):
        return rows.to_frame()
    if isinstance(rows, pd.DataFrame):
        return rows
    array = np.asarray(rows)
    return pd.DataFrame(array[:, None] if array.ndim == 1 else array).infer_objects()


def side_by_side(Y: Any, Z: Any) -> pd.DataFrame:
    """Return two tables as one, with columns named by number."""
    frames = [as_frame(side).reset_index(drop=True) for side in (Y, Z)]
    table = pd.concat(frames, axis=1)
    table.columns = [f"{i}" for i in range(table.shape[1])]
    return table
