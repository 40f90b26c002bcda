"""Least and largest value, mean and variance of every column, in one pass over the rows."""

from __future__ import annotations

import numpy as np

__all__ = ["Moments"]

# Squares of columns that vary less or more than this lose digits.
FEWEST, MOST = 1e-280, 1e280


class Moments:
    """Running moments of columns in double precision, block by block; NaN counts as missing.

    Each block is centred by its own mean, and two sets of rows are joined as in Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances (Chan, Golub & LeVeque, 1979).

    Attributes
    ----------
    low, high : ndarray of shape (p,)
        NaN where a column has no value.
    count, mean, squares : ndarray of shape (p,)
        ``squares`` is the sum of the squared distances from the mean.

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
        self.low = self.high = self.count = self.mean = self.squares = np.zeros(0)

    @property
    def variance(self) -> np.ndarray:
        """Mean squared distance from the mean; NaN where a column has no value."""
        with np.errstate(invalid="ignore"):
            return self.squares / self.count

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
            low, high, count, mean, squares = _of_block(block)
            if not len(self.count):
                self.low, self.high = low, high
                self.count, self.mean, self.squares = count, mean, squares
                return
            self.low, self.high = np.fmin(self.low, low), np.fmax(self.high, high)
            total = self.count + count
            share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
            apart = mean - self.mean
            self.squares = self.squares + squares + apart**2 * (self.count * share)
            self.mean, self.count = self.mean + apart * share, total


def _of_block(block: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the moments of a block."""
    low, high = np.min(block, axis=0), np.max(block, axis=0)
    if block.dtype.kind != "f" or not np.isnan(low).any():
        count = np.full(block.shape[1], float(len(block)))
        mean = block.mean(axis=0, dtype=np.float64)
        centred = block - mean
    else:
        seen = ~np.isnan(block)
        count = seen.sum(axis=0).astype(np.float64)
        filled = np.where(seen, block, 0.0)
        mean = np.divide(filled.sum(axis=0, dtype=np.float64), count.clip(1.0))
        centred = np.where(seen, block - mean, 0.0)
        low, high = np.where(seen, block, np.inf).min(0), np.where(seen, block, -np.inf).max(0)
        low, high = (np.where(count > 0, end, np.nan) for end in (low, high))
    squares = np.einsum("ij,ij->j", centred, centred)
    return low.astype(np.float64), high.astype(np.float64), count, mean, squares
