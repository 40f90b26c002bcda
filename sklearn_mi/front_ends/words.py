"""Latent semantic analysis of texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from sklearn_mi._base import positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, in_blocks

__all__ = ["LSA"]

ROWS_AT_ONCE = 256
# Singular values below this share of the largest are rounding.
SMALLEST_SHARE = 1e-6


@dataclass(repr=False, eq=False)
class LSA(FrontEnd):
    r"""Reduce the words of a text to a few columns: latent semantic analysis.

    Of counts, which are whole numbers, it takes weights: for c occurrences of word j, which stands
    in d of the m training rows,

    .. math:: w_j = (1 + \log c) \Bigl(1 + \log \frac{1 + m}{1 + d}\Bigr)

    and 0 for none. Any other rows are weights already. Rows of norm 1 are multiplied by the first
    right singular vectors of the training rows and divided by their norm again, so that distances
    depend on directions alone. One random rotation keeps every distance and spreads the variance
    over the columns, so that standardising them later changes little. A row without words is 0.

    Parameters
    ----------
    n_components : int, default=128
        Largest number of columns; there are no more than training rows or words.

    References
    ----------
    Indexing by Latent Semantic Analysis (Deerwester et al., 1990).

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import LSA
    >>> x = torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    >>> state = LSA(2).fit(x, seed=0)
    >>> LSA(2)(x, state).shape
    torch.Size([3, 2])
    """

    n_components: int = 128

    takes = "words"

    def fit(self, x: Tensor, seed: int) -> State:
        """Weight the words, and find the directions; see `FrontEnd.fit`.

        Raises
        ------
        ValueError
            If rows are no texts, or hold negative numbers.
        """
        k = min(positive_integer("n_components", self.n_components), *self._checked(x).shape)
        rows = _sparse(x)
        are_counts = bool((rows.data == rows.data.round()).all())
        weights = TfidfTransformer().fit(rows).idf_ if are_counts else np.ones(x.shape[1])
        state = {
            "are_counts": torch.tensor(are_counts, device=x.device),
            "weights": torch.as_tensor(weights, dtype=torch.float32, device=x.device),
        }
        rng = np.random.default_rng(seed)
        unit = _sparse(x, lambda part: self._unit(part, state))
        _, values, vectors = randomized_svd(unit, k, random_state=int(rng.integers(2**31)))
        vectors = vectors[: max(1, int((values > SMALLEST_SHARE * values[0]).sum()))]
        rotation = np.linalg.qr(rng.normal(size=(len(vectors),) * 2))[0]
        directions = torch.as_tensor(vectors.T @ rotation, dtype=torch.float32, device=x.device)
        return {**state, "directions": directions}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return the columns; see `FrontEnd`."""
        return in_blocks(
            lambda part: nn.functional.normalize(self._unit(part, state) @ state["directions"]),
            *(x, x.shape[1]),
        )

    @staticmethod
    def _unit(x: Tensor, state: State) -> Tensor:
        """Return weighted rows of norm 1."""
        if state["are_counts"]:
            x = torch.where(x > 0, 1 + x.log(), x)
        return nn.functional.normalize(x * state["weights"])

    def _checked(self, x: Tensor) -> Tensor:
        """Return rows of words; refuse others."""
        if x.ndim != 2:
            raise ValueError(
                f"rows have shape {tuple(x.shape[1:])}; {self!r} takes words: pass the rows of "
                "CountVectorizer or TfidfVectorizer."
            )
        if (lowest := x.min().item()) < 0:
            raise ValueError(
                f"X holds {lowest:.4g}, but {self!r} takes counts or weights of words, of which 0 "
                "means that a word is absent; leave standardize='auto'."
            )
        return x


def _sparse(x: Tensor, function: Callable[[Tensor], Tensor] = torch.Tensor.cpu) -> Any:
    """Return ``function(x)``, computed for a few rows at a time, as a sparse matrix."""
    parts = x.split(ROWS_AT_ONCE)
    return sparse.vstack([sparse.csr_matrix(function(part).cpu().numpy()) for part in parts])
