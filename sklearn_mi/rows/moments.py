"""Least and largest value, mean and variance of every column, in one pass over the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Limits", "Moments"]

# Squares of columns that vary less or more than this lose digits.
FEWEST, MOST = 1e-280, 1e280


@dataclass(frozen=True)
class Limits:
    """Between which numbers all rows lay when a first pass read them.

    Parameters
    ----------
    low, high : ndarray of shape (p,)
        NaN where a column had no value.
    is_full : ndarray of bool of shape (p,)
        Columns of which no value was missing.
    """

    low: np.ndarray
    high: np.ndarray
    is_full: np.ndarray

    def check(self, block: np.ndarray, numbers: np.ndarray, name: str) -> None:
        """Refuse rows that are read again and cannot have been there at first.

        Parameters
        ----------
        block : ndarray of shape (b, p)
        numbers : ndarray of int of shape (b,)
            Of the rows, for messages.
        name : str
            Of the table, for messages.

        Raises
        ------
        ValueError
            It names a row, a column, and the cure.
        """
        # Quick where nothing is missing: what is NaN is within no limits.
        with np.errstate(invalid="ignore"):
            within = (block.min(axis=0) >= self.low) & (block.max(axis=0) <= self.high)
        for column in np.flatnonzero(~within):
            values = block[:, column]
            missing = np.isnan(values) & ~self.is_full[column]
            wrong = ~((values >= self.low[column]) & (values <= self.high[column])) & ~missing
            if wrong.any():
                place = int(wrong.argmax())
                raise ValueError(
                    f"{name} is {values[place]:g} in row {numbers[place]}, column {column}, but "
                    f"when fit began its training rows lay between {self.low[column]:g} and "
                    f"{self.high[column]:g} there: the rows have changed meanwhile; let nobody "
                    "write to them until fit returns."
                )


class Moments:
    """Running moments of columns in double precision, block by block; NaN counts as missing.

    Each block is centred by its own mean, and two sets of rows are joined as in Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances (Chan, Golub & LeVeque, 1979).

    Attributes
    ----------
    low, high : ndarray of shape (p,)
        NaN where a column has no value.
    count, shift, beyond, squares : ndarray of shape (p,)
        The mean is ``shift``, that of the first block, and what lies ``beyond`` it: so offsets cost
        no digits. ``squares`` is the sum of the squared distances from the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.rows.moments import Moments
    >>> moments = Moments()
    >>> for block in (np.array([[1.0], [2.0]]), np.array([[6.0]])):
    ...     moments.add(block)
    >>> float(moments.mean[0]), float(moments.variance[0])
    (3.0, 4.666666666666667)
    """

    def __init__(self) -> None:
        self.low = self.high = self.count = np.zeros(0)
        self.shift = self.beyond = self.squares = np.zeros(0)

    @property
    def mean(self) -> np.ndarray:
        """Mean of the values that are there."""
        return self.shift + self.beyond

    @property
    def above_low(self) -> np.ndarray:
        """How far the mean lies above the least value."""
        return (self.shift - self.low) + self.beyond

    @property
    def variance(self) -> np.ndarray:
        """Mean squared distance from the mean; NaN where a column has no value."""
        with np.errstate(invalid="ignore"):
            return self.squares / self.count

    def limits(self, n_rows: int) -> Limits:
        """Return between which numbers the values lay.

        Parameters
        ----------
        n_rows : int
            Rows that were counted in.
        """
        return Limits(self.low, self.high, self.count == n_rows)

    @property
    def are_exact(self) -> bool:
        """Whether no square has overflowed or vanished."""
        varies = self.high > self.low
        variance = self.variance[varies]
        return bool(((variance > FEWEST) & (variance < MOST)).all())

    def add(self, block: np.ndarray) -> None:
        """Count some rows in.

        Parameters
        ----------
        block : ndarray of shape (b, p)
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if not len(self.shift):
                self._begin(block)
            low, high, count, beyond, squares = _of_block(block, self.shift)
            self.low, self.high = np.fmin(self.low, low), np.fmax(self.high, high)
            total = self.count + count
            share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
            apart = beyond - self.beyond
            self.squares = self.squares + squares + apart**2 * (self.count * share)
            self.beyond, self.count = self.beyond + apart * share, total

    def _begin(self, block: np.ndarray) -> None:
        """Set the shift; a column that has no value yet is not shifted."""
        seen = block.astype(np.float64)
        count = (~np.isnan(seen)).sum(axis=0)
        self.shift = np.nansum(seen, axis=0) / count.clip(1)
        self.low, self.high = np.full((2, block.shape[1]), np.nan)
        self.count, self.beyond, self.squares = np.zeros((3, block.shape[1]))


def _of_block(block: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the moments of a block, of its mean what lies beyond the shift."""
    low, high = np.min(block, axis=0), np.max(block, axis=0)
    if block.dtype.kind != "f" or not np.isnan(low).any():
        count = np.full(block.shape[1], float(len(block)))
        centred = block - shift
        beyond = centred.mean(axis=0)
        centred -= beyond
    else:
        seen = ~np.isnan(block)
        count = seen.sum(axis=0).astype(np.float64)
        centred = np.where(seen, block - shift, 0.0)
        beyond = centred.sum(axis=0) / count.clip(1.0)
        centred = np.where(seen, centred - beyond, 0.0)
        low, high = np.where(seen, block, np.inf).min(0), np.where(seen, block, -np.inf).max(0)
        low, high = (np.where(count > 0, end, np.nan) for end in (low, high))
    squares = np.einsum("ij,ij->j", centred, centred)
    return low.astype(np.float64), high.astype(np.float64), count, beyond, squares
