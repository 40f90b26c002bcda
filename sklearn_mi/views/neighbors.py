"""The view by nearest neighbours: a row and one close to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from sklearn_mi.views.base import Pair, State, View

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["Neighbors"]


@dataclass(repr=False, eq=False)
class Neighbors(View):
    r"""Pair a row with one of its nearest training rows, drawn anew in each step.

    Use it for tables and small images in which close rows mean the same thing. Do not use it if
    distances mean little. The view keeps the scaled training rows as references and searches only
    these, for new rows too. The mutual information is conditional on the references: with more of
    them the same rows give a different number.

    Parameters
    ----------
    n_neighbors : int, default=7
        How many neighbours to draw from; at most the number of other rows.
    among : {"nearest", "mutual", "scaled"}, default="nearest"
        Which neighbours count. "mutual": only those that also have the row among their own
        nearest; a row without any keeps its nearest one. "scaled": the search finds three times as
        many and keeps the nearest by :math:`d_{ij}^2 / (\sigma_i \sigma_j)`, where each
        :math:`\sigma` is the distance of a row to its last neighbour. So a row in a dense region
        is not a neighbour of all rows around it. Rows that ``fit`` did not see have no mutual
        neighbours; they get the nearest ones.
    search : {"auto", "exact", "approximate"}, default="auto"
        "approximate" finds nearly all neighbours with an inverted index of the package faiss
        (``pip install faiss-cpu``). Beyond 128 columns it searches 64 principal components for
        three times as many, and keeps the nearest by true distance. "auto" is exact up to
        n x n x p of 5e10 (8,000 rows of 784 columns, 31,000 of 50) and approximate beyond. Without
        faiss only the principal components save time.

    References
    ----------
    Self-Tuning Spectral Clustering (Zelnik-Manor & Perona, 2004), for the scaling; The Faiss
    library (Douze et al., 2024), for the search.

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
    knows_kindred = True
    transient = ("graph", "count")

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch and one neighbour of each row."""
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

    def kindred(self, rows: Tensor | None, state: State, groups: Tensor | None) -> Tensor | None:
        """Return which rows are neighbours of which; of new rows none are known."""
        if rows is None or state is None or "graph" not in state:
            return None
        near = state["graph"][rows]
        is_near = (near[:, :, None] == rows).logical_and(self._counted(rows, state, near))
        return is_near.any(1)

    @staticmethod
    def _counted(rows: Tensor, state: dict[str, Tensor], near: Tensor) -> Tensor:
        """Return which of the listed neighbours count, of shape (b, n_neighbors, 1)."""
        places = torch.arange(near.shape[1], device=near.device)
        count = state["count"][rows, None] if "count" in state else near.shape[1]
        return (places < count).expand(near.shape)[..., None]

    def _query(self, x: Tensor, state: dict[str, Tensor]) -> Tensor:
        """Return the numbers of the neighbours of new rows, some rows at a time."""
        references = state["references"].flatten(1)
        k = min(self.n_neighbors, len(references))
        lengths = references.square().sum(1)
        near = []
        for part in x.flatten(1).split(max(1, DISTANCES_AT_ONCE // len(references))):
            if "subtract" in state:
                mode = "donot_use_mm_for_euclid_dist"
                squares = torch.cdist(part, references, compute_mode=mode).square()
            else:
                squares = torch.addmm(lengths, part, references.T, alpha=-2)
                squares += part.square().sum(1, keepdim=True)
            if "spread" in state:
                # The row's own spread is the same for all references.
                squares = squares / state["spread"]
            near.append(_smallest(squares, k))
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
        """Say how many reference rows the mutual information is conditional on."""
        n = 0 if state is None else len(state["references"])
        return (
            f"conditional on {n} reference rows: with another number of them the value is another",
        )


AMONG = ("nearest", "mutual", "scaled")
SEARCHES = ("auto", "exact", "approximate")
# Products of n x n x p that an exact search may take: two seconds of one thread.
EXACT_WORK = 5e10
# Principal components to search for candidates if rows are wide.
PROJECTED = 64
# An index of lists of rows about centres, of which the nearest ones are searched.
ROWS_A_LIST, ROWS_A_CENTRE, LISTS_SEARCHED = 40, 64, 16
NUMBERS_AT_ONCE = 2**22
DISTANCES_AT_ONCE = 2**24
COARSEST = 0.01
COLUMNS_A_GROUP = 128


def _is_coarse(flat: np.ndarray, distances: np.ndarray) -> bool:
    """Return whether single precision needs distances by subtraction.

    By default the square is expanded, |x|^2 + |y|^2 - 2 xy, which is fast. Each term is
    rounded by up to eps |x|^2. If columns have a large offset, or clusters lie far apart, that
    exceeds the distance itself. Subtracting the rows is slower and exact.
    """
    lengths = np.einsum("ij,ij->i", flat, flat, dtype=float)
    nearest = distances[:, -1].astype(float) ** 2
    error = np.finfo(np.float32).eps * lengths[nearest > 0] / nearest[nearest > 0]
    return bool(len(error)) and bool(np.quantile(error, 0.99) > COARSEST)


def _smallest(values: Tensor, k: int) -> Tensor:
    """Return the columns of the k smallest values of each row, by the minima of groups of columns.

    The k smallest lie in the k groups with the smallest minima. Selecting among wide rows takes
    several times as long as these minima do.
    """
    n_groups = values.shape[1] // COLUMNS_A_GROUP
    if n_groups <= COLUMNS_A_GROUP or n_groups < k:
        return values.topk(k, dim=1, largest=False).indices
    grouped = n_groups * COLUMNS_A_GROUP
    minima = values[:, :grouped].unflatten(1, (n_groups, COLUMNS_A_GROUP)).amin(2)
    groups = minima.topk(k, dim=1, largest=False).indices
    within = torch.arange(COLUMNS_A_GROUP, device=values.device)
    rest = torch.arange(grouped, values.shape[1], device=values.device)
    columns = (groups[:, :, None] * COLUMNS_A_GROUP + within).flatten(1)
    columns = torch.cat([columns, rest.expand(len(values), -1)], dim=1)
    nearest = values.gather(1, columns).topk(k, dim=1, largest=False).indices
    return columns.gather(1, nearest)


def _nearest(flat: np.ndarray, k: int, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the k nearest other rows of every row."""
    n, p = flat.shape
    if search == "exact":
        return _exactly(flat, k)
    if p <= 2 * PROJECTED or (search == "auto" and _is_short(flat)):
        return _candidates(flat, k, search)
    # Few directions hold most of what separates rows; true distances then choose among three times
    # as many candidates.
    reduced = PCA(PROJECTED, svd_solver="covariance_eigh").fit_transform(flat)
    numbers = _candidates(np.ascontiguousarray(reduced, flat.dtype), min(3 * k, n - 1), search)[1]
    return _nearest_of(flat, numbers, k)


def _is_short(flat: np.ndarray) -> bool:
    n, p = flat.shape
    return n * n * p <= EXACT_WORK


def _exactly(flat: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    return NearestNeighbors(n_neighbors=k).fit(flat).kneighbors()  # type: ignore[return-value]


def _candidates(flat: np.ndarray, k: int, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the k nearest others, approximate if exact is too slow."""
    if search == "auto" and _is_short(flat):
        return _exactly(flat, k)
    try:
        import faiss
    except ImportError as error:
        if search == "approximate":
            raise ImportError(
                "search='approximate'; expected the package faiss to be installed: "
                "pip install faiss-cpu."
            ) from error
        return _exactly(flat, k)
    distances, numbers = _by_index(faiss, np.ascontiguousarray(flat, np.float32), k + 1)
    return _without_self(numbers, np.sqrt(distances))


def _by_index(faiss: Any, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return squared distances and numbers of the k nearest of every row, itself included."""
    n, p = rows.shape
    n_lists = max(1, min(round(n**0.5), n // ROWS_A_LIST))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(p), p, n_lists)
    index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = ROWS_A_CENTRE, 1
    index.nprobe = LISTS_SEARCHED
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(torch.get_num_threads())
    try:
        index.train(rows)
        index.add(rows)
        distances, numbers = index.search(rows, k)
        # For isolated rows the lists may hold fewer than k.
        short = np.flatnonzero((numbers < 0).any(1))
        if len(short):
            index.nprobe = n_lists
            distances[short], numbers[short] = index.search(rows[short], k)
    finally:
        faiss.omp_set_num_threads(before)
    return distances, numbers


def _nearest_of(flat: np.ndarray, numbers: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the k nearest of the candidates of every row."""
    rows, found = torch.as_tensor(flat), []
    at_once = max(1, NUMBERS_AT_ONCE // (numbers.shape[1] * rows.shape[1]))
    for part in gen_batches(len(flat), at_once):
        candidates = torch.as_tensor(numbers[part])
        distances = torch.linalg.vector_norm(rows[candidates] - rows[part, None], dim=2)
        nearest = distances.topk(k, dim=1, largest=False)
        found.append((nearest.values, candidates.gather(1, nearest.indices)))
    distances, nearest = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return distances, nearest


def _without_self(numbers: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row from its own neighbours; if it is not among them, drop the last one."""
    own = numbers == np.arange(len(numbers))[:, None]
    own[~own.any(1), -1] = True
    shape = len(numbers), numbers.shape[1] - 1
    return distances[~own].reshape(shape), numbers[~own].reshape(shape)


def _mutual(graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the mutual neighbours of each row first and count them; without any, keep the nearest."""
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
