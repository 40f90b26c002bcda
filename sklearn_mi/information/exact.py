"""Whether columns of one table follow from the other table without noise."""

from __future__ import annotations

import math

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_mi.information.pairs import Pairs

__all__ = ["predicted_information"]

LARGEST_DEGREE = 3
MOST_ROWS = 2000
ROWS_PER_FEATURE = 4


def predicted_information(pairs: Pairs) -> float:
    r"""Return how much one column of a table shares with what the other table predicts of it.

    The largest :math:`-\frac12 \log(1 - R^2)` over the columns of both tables, where polynomials
    of the other table predict half of the rows from the other half. It grows without end if a
    column follows from the other table without noise.

    Parameters
    ----------
    pairs : Pairs

    Returns
    -------
    information : float
        In nats; 0 for images and wide tables.
    """
    if pairs.x is None or pairs.y is None or pairs.is_wide or pairs.route != "ratio":
        return 0.0
    rows = np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_ROWS)).astype(int)
    X, Y = pairs.take(rows)
    unexplained = min(_unexplained(X, Y), _unexplained(Y, X))
    return -0.5 * math.log(max(unexplained, 1e-15))


def _unexplained(X: np.ndarray, Y: np.ndarray) -> float:
    """Return the least share of the variance of a column of Y that polynomials of X leave."""
    degree = LARGEST_DEGREE
    while degree and ROWS_PER_FEATURE * math.comb(X.shape[1] + degree, degree) > len(X):
        degree -= 1
    if not degree:
        return 1.0
    left = np.zeros(Y.shape[1])
    for half in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - (half.start or 0), None, 2)
        model = make_pipeline(StandardScaler(), PolynomialFeatures(degree), LinearRegression())
        model.fit(X[half], Y[half])
        left += np.square(Y[other] - model.predict(X[other]).reshape(Y[other].shape)).sum(axis=0)
    total = np.square(Y - Y.mean(axis=0)).sum(axis=0)
    return float(np.min(left[total > 0] / total[total > 0], initial=1.0))
