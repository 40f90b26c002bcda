"""The factors of a wide table that stand out of its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from sklearn_mi import compression
from sklearn_mi._base import positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, in_blocks

__all__ = ["Factors"]

# Sorted values kept of each column, by which new values are ranked.
MOST_VALUES = 1000
# If no component stands out of the noise.
WITHOUT_SIGNALS = 10
# In a pair: the numbers of components to choose from, besides all above the noise.
WIDTHS = (10, 20, 30, 50)
# Components above the noise that hold this share of the variance are all kept.
LITTLE_NOISE = 0.8
INNER_FOLDS = 3
SMALLEST_ROOT = 1e-6
LARGEST_CORRELATION = 0.9999


@dataclass(repr=False, eq=False)
class Factors(FrontEnd):
    r"""Reduce a table of many columns to the few components that stand out of its noise.

    Each value becomes the normal score of its rank r among the m training values of its column,

    .. math:: \Phi^{-1} \Bigl( \frac{r - 1/2}{m} \Bigr),

    so units and outliers do not matter, and counts need no logarithm. Columns are weighted by the
    inverse of their noise. Components are kept as long as their variance exceeds the largest that
    noise of so many rows and columns gives (Johnstone, 2001). One factor scales them all, so that
    their mean variance is 1.

    In a pair of such tables, at most 10, 20, 30 or 50 components are kept if fewer tell more of the
    partner's: by the log-ratio of a Gaussian, on rows that it was not fitted to. All are kept if
    they hold 80 % of the variance of both tables. A table of at least five rows a column stays as
    it is, if its partner has more columns.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of components, the largest first. None: those above the noise; 10 if none is.

    See Also
    --------
    sklearn_mi.compression.Factors : The components, and how reliable each is.

    References
    ----------
    On the Distribution of the Largest Eigenvalue in Principal Components Analysis (Johnstone,
    2001), Annals of Statistics 29.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import Factors
    >>> noise = torch.Generator().manual_seed(0)
    >>> latents = torch.randn(200, 3, generator=noise)
    >>> x = latents @ torch.randn(3, 500, generator=noise) + torch.randn(200, 500, generator=noise)
    >>> state = Factors().fit(x, seed=0)
    >>> Factors()(x, state).shape
    torch.Size([200, 3])
    """

    n_components: int | None = None

    takes = "tables"
    is_scaled = True

    def fit(self, x: Tensor, seed: int) -> State:
        """Find the components; see `FrontEnd.fit`.

        Raises
        ------
        ValueError
            If rows are not those of a table.
        """
        found = self._found(x, seed)
        return _state(x, found, self._number(found))

    def fit_pair(self, x: Tensor, y: Tensor, seed: int) -> tuple[State, State]:
        """Find the components of two tables, as many as tell of the partner's; see `FrontEnd`."""
        found = self._found(x, seed), self._found(y, seed)
        numbers = self._number(found[0]), self._number(found[1])
        if self.n_components is None and min(map(_share_of_signals, found)) < LITTLE_NOISE:
            first, second = (own.features[:, :k] for own, k in zip(found, numbers, strict=True))
            most = _shared_width(first, second, seed)
            numbers = min(numbers[0], most), min(numbers[1], most)
        return _state(x, found[0], numbers[0]), _state(y, found[1], numbers[1])

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return the components of rows; see `FrontEnd`."""
        known, scores = state["known"], state["scores"]

        def factors(part: Tensor) -> Tensor:
            values = part[:, state["columns"]].T.contiguous()
            ranks = torch.searchsorted(known, values) + torch.searchsorted(
                known, values, right=True
            )
            return scores[ranks].T @ state["coefficients"] - state["offset"]

        return in_blocks(factors, x, x.shape[1])

    def _found(self, x: Tensor, seed: int) -> compression.Factors:
        """Return all components of a table."""
        if x.ndim != 2:
            raise ValueError(
                f"rows have shape {tuple(x.shape[1:])}; {self!r} takes the rows of a table: pass X "
                "of shape (n_samples, n_features)."
            )
        return compression.Factors(x.cpu().numpy(), seed)

    def _number(self, found: compression.Factors) -> int:
        """Return the number of components."""
        most = len(found.components.values)
        if self.n_components is not None:
            return min(positive_integer("n_components", self.n_components), most)
        return found.components.n_signals or min(WITHOUT_SIGNALS, most)


def _share_of_signals(found: compression.Factors) -> float:
    """Return the share of the variance that the components above the noise hold."""
    own = found.components
    return float(own.values[: own.n_signals].sum()) / own.total


def _state(x: Tensor, found: compression.Factors, k: int) -> State:
    """Return what the first k components of rows are computed from."""
    marginals = found.marginals
    variances = found.components.values
    # One factor for all, which keeps their proportions: the weakest hold most noise.
    scales = np.sqrt(len(x) * variances[:k] / variances[:k].mean())
    own = found.coefficients(np.eye(len(variances), k) * scales)
    coefficients = own / marginals.scale[:, None]
    known = marginals.known
    m = min(MOST_VALUES, known.shape[1])
    known = known[:, np.linspace(0, known.shape[1] - 1, m).round().astype(int)]
    state = {
        "known": np.ascontiguousarray(known),
        # Twice a rank is a whole number, also if ties share their mean rank.
        "scores": ndtri(np.clip(np.arange(2 * m + 1) / 2, 0.5, m - 0.5) / m),
        "coefficients": coefficients,
        "offset": marginals.mean @ coefficients,
    }
    tensors = {
        name: torch.as_tensor(array, dtype=torch.float32, device=x.device)
        for name, array in state.items()
    }
    return {**tensors, "columns": torch.as_tensor(marginals.kept, device=x.device)}


def _shared_width(X: np.ndarray, Y: np.ndarray, seed: int) -> int:
    """Return how many components of either table tell most of the other's on new rows."""
    most = max(X.shape[1], Y.shape[1])
    widths = [*(width for width in WIDTHS if width < most), most]
    if len(widths) == 1:
        return most
    folds = np.random.default_rng(seed).permutation(len(X)) % INNER_FOLDS
    information = [
        sum(
            _held_out_information(X[:, :width], Y[:, :width], folds != fold)
            for fold in range(INNER_FOLDS)
        )
        for width in widths
    ]
    return widths[int(np.argmax(information))]


def _held_out_information(X: np.ndarray, Y: np.ndarray, train: np.ndarray) -> float:
    """Return the log-ratio of a Gaussian fitted to some rows, summed over the others."""
    directions = []
    for Z in (X, Y):
        _, roots, V = np.linalg.svd(Z[train] - Z[train].mean(0), full_matrices=False)
        directions.append(V.T / np.maximum(roots, SMALLEST_ROOT * roots[0]))
    white = [(Z - Z[train].mean(0)) @ D for Z, D in zip((X, Y), directions, strict=True)]
    U, r, V = np.linalg.svd(white[0][train].T @ white[1][train], full_matrices=False)
    r = np.minimum(r, LARGEST_CORRELATION)
    n = train.sum()
    u, v = (np.sqrt(n) * Z[~train] @ D for Z, D in zip(white, (U, V.T), strict=True))
    ratio = (r * (2 * u * v - r * (u**2 + v**2)) / (1 - r**2) - np.log1p(-(r**2))) / 2
    return float(ratio.sum())
