"""The view by nearest neighbours: a row, and one that lies close to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from sklearn_mi.views.base import Pair, State, View

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["Neighbors"]


@dataclass(repr=False, eq=False)
class Neighbors(View):
    r"""A row, and one of its nearest training rows, drawn anew in each step.

    Neighbours are searched among the scaled training rows only. These references are kept, and a
    row that ``fit`` did not see gets its neighbours from them. The mutual information is
    conditional on the references: with more of them the same rows give another number. Use it for
    tables and small images in which close rows mean the same thing, not where distances mean
    little.

    Parameters
    ----------
    n_neighbors : int, default=7
        How many neighbours to draw from; at most the number of other rows.
    among : {"nearest", "mutual", "scaled"}, default="nearest"
        "mutual": only neighbours that also have the row among their own nearest; the very nearest
        one where there is none. "scaled": out of three times as many, the nearest by
        :math:`d_{ij}^2 / (\sigma_i \sigma_j)`, each :math:`\sigma` the distance of a row to its
        last neighbour, so that a row in a dense region is not a neighbour of all rows around it.
        Rows that ``fit`` did not see have no mutual neighbours; they get the nearest ones.
    search : {"auto", "exact", "approximate"}, default="auto"
        "approximate" finds nearly all neighbours by nearest-neighbour descent, from the package
        pynndescent. "auto": exact up to 50,000 rows, or without that package, else approximate.

    References
    ----------
    Self-Tuning Spectral Clustering (Zelnik-Manor & Perona, 2004), for the scaling; Efficient
    k-Nearest Neighbor Graph Construction for Generic Similarity Measures (Dong, Charikar & Li,
    2011), for the search.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Neighbors
    >>> state = {"references": torch.tensor([[0.0], [1.0], [5.0]])}
    >>> x, partner = Neighbors(1)(torch.tensor([[4.0]]), None, state, torch.Generator())
    >>> partner.tolist()
    [[5.0]]
    """

    n_neighbors: int = 7
    among: str = "nearest"
    search: str = "auto"
    sees_whole_rows = True
    transient = ("graph", "count")

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch, and one neighbour of each row."""
        if state is None:
            raise ValueError("Neighbors must be the first part of a Compose.")
        references = state["references"]
        known = rows is not None and "graph" in state
        near = state["graph"][rows] if known else self._query(x, state)
        if known and "count" in state:
            share = torch.rand(len(x), 1, generator=generator, device=x.device)
            which = (share * state["count"][rows, None]).long()
        else:
            which = torch.randint(near.shape[1], (len(x), 1), generator=generator, device=x.device)
        return x, references[near.gather(1, which).squeeze(1)]

    def _query(self, x: Tensor, state: dict[str, Tensor]) -> Tensor:
        """Return the numbers of the neighbours of new rows, a part of the rows at a time."""
        references = state["references"].flatten(1)
        k = min(self.n_neighbors, len(references))
        mode = "donot_use_mm_for_euclid_dist" if "subtract" in state else CDIST_DEFAULT
        near = []
        for part in x.flatten(1).split(max(1, DISTANCES_AT_ONCE // len(references))):
            distances = torch.cdist(part, references, compute_mode=mode)
            if "spread" in state:
                # The row's own spread is the same for all references.
                distances = distances.square() / state["spread"]
            near.append(distances.topk(k, dim=1, largest=False).indices)
        return torch.cat(near)

    def fit(self, X: AnyRows) -> State:
        """Find the neighbours of every training row among the others."""
        if not (isinstance(self.n_neighbors, int | np.integer) and self.n_neighbors >= 1):
            raise ValueError(f"n_neighbors={self.n_neighbors!r}; expected a positive integer.")
        for name, value, legal in (
            ("among", self.among, AMONG),
            ("search", self.search, SEARCHES),
        ):
            if value not in legal:
                raise ValueError(f"{name}={value!r}; expected one of {legal}.")
        references = np.asarray(X)
        flat = references.reshape(len(references), -1)
        wanted = self.n_neighbors * (3 if self.among == "scaled" else 1)
        k = max(1, min(wanted, len(flat) - 1))
        distances, graph = _nearest(flat, k, self.search)
        state = {"references": torch.as_tensor(references)}
        if _is_coarse(flat, distances):
            state["subtract"] = torch.tensor(True)
        if self.among == "mutual":
            graph, count = _mutual(graph)
            state["count"] = torch.as_tensor(count)
        elif self.among == "scaled":
            graph, spread = _scaled(distances, graph, min(self.n_neighbors, k))
            state["spread"] = torch.as_tensor(spread)
        return {**state, "graph": torch.as_tensor(graph)}

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say how many reference rows the number is conditional on."""
        n = 0 if state is None else len(state["references"])
        return (
            f"conditional on {n} reference rows: with another number of them the value is another",
        )


AMONG = ("nearest", "mutual", "scaled")
SEARCHES = ("auto", "exact", "approximate")
EXACT_UP_TO = 50_000
DISTANCES_AT_ONCE = 2**24
CDIST_DEFAULT = "use_mm_for_euclid_dist_if_necessary"
COARSEST = 0.01


def _is_coarse(flat: np.ndarray, distances: np.ndarray) -> bool:
    """Tell whether single precision would lose distances that are not taken by subtraction.

    By default `torch.cdist` expands the square, |x|^2 + |y|^2 - 2 xy, which is fast. Each term is
    rounded by up to eps |x|^2. Where columns have a large offset, or clusters lie far apart, that
    is more than the distance itself. Rows are subtracted there, which is exact and slower.
    """
    lengths = np.einsum("ij,ij->i", flat, flat, dtype=float)
    nearest = distances[:, -1].astype(float) ** 2
    error = np.finfo(np.float32).eps * lengths[nearest > 0] / nearest[nearest > 0]
    return bool(len(error)) and bool(np.quantile(error, 0.99) > COARSEST)


def _nearest(flat: np.ndarray, k: int, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the k nearest other rows of every row."""
    if search == "approximate" or (search == "auto" and len(flat) > EXACT_UP_TO):
        try:
            from pynndescent import NNDescent
        except ImportError as error:
            if search == "approximate":
                raise ImportError(
                    "search='approximate'; expected the package pynndescent to be installed: "
                    "pip install pynndescent."
                ) from error
        else:
            # One more than asked for: the first is the row itself.
            index = NNDescent(flat, n_neighbors=k + 1, random_state=0)
            return _without_self(*index.neighbor_graph)  # type: ignore[misc]
    finder = NearestNeighbors(n_neighbors=k).fit(flat)
    return finder.kneighbors()  # type: ignore[return-value]


def _without_self(numbers: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row from its own neighbours; where it is not among them, drop the last one."""
    own = numbers == np.arange(len(numbers))[:, None]
    own[~own.any(1), -1] = True
    shape = len(numbers), numbers.shape[1] - 1
    return distances[~own].reshape(shape), numbers[~own].reshape(shape)


def _mutual(graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the mutual neighbours of each row first, and count them; at least one, the nearest."""
    mutual = (graph[graph] == np.arange(len(graph))[:, None, None]).any(2)
    mutual[~mutual.any(1), 0] = True
    order = np.argsort(~mutual, axis=1, kind="stable")
    return np.take_along_axis(graph, order, axis=1), mutual.sum(1)


def _scaled(distances: np.ndarray, graph: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest of each row by scaled distance, and the spread of each."""
    spread = np.maximum(distances[:, k - 1], np.finfo(np.float32).tiny).astype(np.float32)
    scaled = distances**2 / spread[graph]
    order = np.argsort(scaled, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(graph, order, axis=1), spread
