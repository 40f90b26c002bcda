"""The checked input of a fit or a score: rows, their partners, groups and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mi.rows.checks import CheckedRows

__all__ = ["Data"]


@dataclass(frozen=True)
class Data:
    """Checked rows, their partners in a second table, and what is known of each row.

    Attributes
    ----------
    first : CheckedRows
        Rows of ``X``.
    pair : CheckedRows or None
        Rows of ``X_pair``.
    groups, y : ndarray of shape (n,) or None
    """

    first: CheckedRows
    pair: CheckedRows | None = None
    groups: np.ndarray | None = None
    y: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.first)

    @property
    def sides(self) -> tuple[CheckedRows, CheckedRows | None]:
        """Rows of both tables."""
        return self.first, self.pair
