"""Views: two ways to see one row, ``x -> (x, x')``.

A view runs on whole batches that training has already put on the device. Its state is a dict of
tensors, made once by ``fit`` from the training rows, or None.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from sklearn_mi._base import Component, Shape, resolve
from sklearn_mi.augmentations import (
    color_jitter,
    five_crops,
    random_affine,
    random_blur,
    random_erase,
    random_flip,
    random_grayscale,
    random_resized_crop,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = [
    "VIEWS",
    "Augment",
    "Columns",
    "Compose",
    "Corruption",
    "Function",
    "GaussianNoise",
    "Halves",
    "Neighbors",
    "Paired",
    "Partners",
    "SameClass",
    "SameGroup",
    "TimeLag",
    "Transformed",
    "View",
    "as_view",
]

Pair = tuple["Tensor", "Tensor"]
State = dict[str, "Tensor"] | None
Values = np.ndarray | None


class Rows(Protocol):
    """What ``View.fit`` is given: the training rows, scaled, behind an index."""

    feature_names: Sequence[str] | None

    @property
    def shape(self) -> Shape:
        """Number of rows, then the shape of one."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor) -> Tensor: ...

    def __array__(self) -> np.ndarray: ...


class View(Component, ABC):
    """Base of the views; a subclass writes ``__call__`` and, where it must, the hooks below it.

    Attributes
    ----------
    default_encoder_y : {"shared", "separate"}
        Whether both views go through one encoder when the learner is not told.
    default_output : {"first", "second", "both"}
        The codes that ``transform`` gives when the learner is not told.
    transient : tuple of str
        Keys of the state that training alone needs; dropped when ``fit`` ends.
    paired : bool
        The second row comes from a second table.
    draws_globally : bool
        Draws from torch's global generators rather than from the one that it is given.
    needs : tuple of str
        What of ``fit(X, y, groups=...)`` it asks for: "groups", "y".
    ordered : bool
        Rows are a series in time: the end of it is held out, not rows at random.
    """

    default_encoder_y: ClassVar[Literal["shared", "separate"]] = "shared"
    default_output: ClassVar[Literal["first", "second", "both"]] = "first"
    transient: ClassVar[tuple[str, ...]] = ()
    paired: ClassVar[bool] = False
    draws_globally: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    ordered: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two views of a batch.

        Parameters
        ----------
        x : Tensor of shape ``(b, *input_shape)``
            The rows, scaled.
        rows : Tensor of shape (b,) or None
            Their places among the fitted rows; None for rows that ``fit`` did not see.
        state : dict of Tensor or None
            What ``fit`` returned, on the device of ``x``.
        generator : torch.Generator
            The only source of randomness to use.

        Returns
        -------
        pair : tuple of two Tensors of shape (b, ...)
            Row i of the one is the partner of row i of the other.
        """

    def fit(self, X: Rows) -> State:
        """Return what the view must know of the training rows; by default nothing."""
        return None

    def partners(self, n: int, groups: Values, y: Values) -> Partners | None:
        """Return which rows of a table may be partners of which, for views that pair rows.

        Parameters
        ----------
        n : int
            Rows of the table, in their order.
        groups, y : ndarray of shape (n,) or None
            As ``fit`` was given them.

        Returns
        -------
        partners : Partners or None
            None: the view makes both rows of a pair from one. Otherwise ``__call__`` is given a
            pair of batches.
        """
        return None

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shapes of one row of each view."""
        return input_shape, input_shape

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return what the two encoders see at ``transform``: no randomness, no other rows."""
        return x, x

    def variants(self, x: Tensor, state: State) -> list[Tensor]:
        """Return what the first encoder sees at ``output="averaged"``: fixed forms of each row."""
        return [self.inputs(x, state)[0]]

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Act on a pair that another view has made; used by `Compose`."""
        first, _ = self(x, rows, state, generator)
        _, second = self(x_prime, rows, state, generator)
        return first, second

    def caveats(self, state: State) -> tuple[str, ...]:
        """Return facts that limit what a mutual information between these views means."""
        return ()


def _cut(shape: Shape, cut: str) -> tuple[int, int]:
    """Return the axis of a row that `Halves` splits and where."""
    if cut not in ("top-bottom", "left-right"):
        raise ValueError(f"cut={cut!r}; expected 'top-bottom' or 'left-right'.")
    axis = 0 if cut == "top-bottom" else 1
    if axis >= len(shape):
        raise ValueError(
            f"Halves(cut='left-right') needs rows that are images, but a row has shape {shape}; "
            "pass input_shape=(height, width) to the learner."
        )
    if shape[axis] < 2:
        raise ValueError(
            f"Halves(cut={cut!r}) cannot split a row of shape {shape}: "
            f"it needs at least 2 entries along axis {axis}."
        )
    return axis + 1, shape[axis] // 2


@dataclass(repr=False, eq=False)
class Halves(View):
    """The two disjoint halves of a row: top and bottom, or left and right.

    Flat rows are split in the middle; with ``input_shape`` they are images. With an odd length
    the second half is the longer one. Use it where both halves tell of the same thing, as in an
    image; shuffled columns of a table rarely do.

    Parameters
    ----------
    cut : {"top-bottom", "left-right"}, default="top-bottom"
        Along which axis of the image to cut.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020),
    https://arxiv.org/abs/1907.13625

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Halves
    >>> top, bottom = Halves().inputs(torch.arange(6.0).reshape(1, 6), None)
    >>> top.tolist(), bottom.tolist()
    ([[0.0, 1.0, 2.0]], [[3.0, 4.0, 5.0]])
    """

    cut: str = "top-bottom"
    default_encoder_y = "separate"
    default_output = "both"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the halves of a batch of shape ``(b, *input_shape)``."""
        return self.inputs(x, state)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shapes of the two halves of one row."""
        axis, middle = _cut(input_shape, self.cut)
        first, second = list(input_shape), list(input_shape)
        first[axis - 1], second[axis - 1] = middle, input_shape[axis - 1] - middle
        return tuple(first), tuple(second)

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return the two halves."""
        axis, middle = _cut(tuple(x.shape[1:]), self.cut)
        return x.narrow(axis, 0, middle), x.narrow(axis, middle, x.shape[axis] - middle)


@dataclass(repr=False, eq=False)
class Columns(View):
    """Two sets of columns of one table.

    This is how two modalities, or two tables side by side, go through a plain Pipeline.

    Parameters
    ----------
    first, second : slice, sequence of int, sequence of bool or sequence of str
        Columns of the two views. Names need a data frame. The sets may overlap; where they do,
        the views share exact values, and their mutual information is infinite if those are
        continuous.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.views import Columns
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> view = Columns(slice(0, 2), [2, 3, 4])
    >>> learner = MIRepresentationLearner(3, view=view, max_steps=5, random_state=0).fit(X)
    >>> learner.transform(X).shape
    (60, 6)
    """

    first: Any
    second: Any
    default_encoder_y = "separate"
    default_output = "both"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the two sets of columns of a batch of shape (b, p)."""
        return self.inputs(x, state)

    def fit(self, X: Rows) -> State:
        """Turn slices and names into column numbers."""
        if len(X.shape) != 2:
            raise ValueError(
                f"Columns needs a table of shape (n, p), but X has shape {X.shape}; "
                "flatten the rows, or use Halves for images."
            )
        return {
            side: torch.as_tensor(_column_numbers(side, wanted, X.shape[1], X.feature_names))
            for side, wanted in (("first", self.first), ("second", self.second))
        }

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the numbers of columns of the two views."""
        if state is None:
            raise ValueError("Columns must be the first part of a Compose.")
        return (len(state["first"]),), (len(state["second"]),)

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return the two sets of columns."""
        if state is None:
            raise ValueError("Columns must be the first part of a Compose.")
        return x[:, state["first"]], x[:, state["second"]]

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say so where the two sets overlap."""
        if state is None:
            return ()
        shared = set(state["first"].tolist()) & set(state["second"].tolist())
        if not shared:
            return ()
        return (
            f"the views share {len(shared)} columns: their mutual information is infinite if these "
            "are continuous",
        )


def _column_numbers(
    side: str, wanted: Any, n_features: int, names: Sequence[str] | None
) -> np.ndarray:
    """Return the numbers of the columns that one side of `Columns` asks for."""
    if isinstance(wanted, str | int | np.integer):
        wanted = [wanted]
    if not isinstance(wanted, slice | Sequence | np.ndarray):
        raise ValueError(
            f"{side}={wanted!r}; expected a slice, column numbers, a mask or column names."
        )
    if not isinstance(wanted, slice) and len(wanted) and isinstance(wanted[0], str):
        known = {} if names is None else {name: i for i, name in enumerate(names)}
        missing = [name for name in wanted if name not in known]
        if missing:
            cure = "X has no column names" if names is None else f"X has {list(known)}"
            raise ValueError(f"{side}={list(wanted)!r}: columns {missing} are not there; {cure}.")
        return np.array([known[name] for name in wanted])
    try:
        numbers = np.arange(n_features)[wanted if isinstance(wanted, slice) else np.asarray(wanted)]
    except IndexError as error:
        raise ValueError(
            f"{side}={wanted!r} does not fit the {n_features} columns of X; "
            "expected a slice, column numbers, a mask or column names."
        ) from error
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{side}={wanted!r} picks no column out of the {n_features} of X.")
    return numbers


@dataclass(repr=False, eq=False)
class GaussianNoise(View):
    """A row with Gaussian noise added, once for each view.

    Parameters
    ----------
    std : float, default=0.1
        Standard deviation of the noise, in units of the scaled columns.
    shared : bool, default=False
        Add *the same* draw to both views, as the ill-conditioning experiment of Tschannen et al.
        needs: ``Compose(Halves(), GaussianNoise(0.05, shared=True))``. Both views must then have
        the same shape.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import GaussianNoise
    >>> view = GaussianNoise(0.05, shared=True)
    >>> a, b = view(torch.zeros(4, 3), None, None, torch.Generator().manual_seed(0))
    >>> torch.equal(a, b)
    True
    """

    std: float = 0.1
    shared: bool = False

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch twice, each with its noise."""
        return self.pair(x, x, rows, state, generator)

    def fit(self, X: Rows) -> State:
        """Check the parameter."""
        if not (isinstance(self.std, Real) and self.std > 0):
            raise ValueError(f"std={self.std!r}; expected a positive number.")

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Add noise to each of a pair."""
        if self.shared and x.shape != x_prime.shape:
            raise ValueError(
                "GaussianNoise(shared=True) needs two views of one shape, got "
                f"{tuple(x.shape[1:])} and {tuple(x_prime.shape[1:])}; set shared=False."
            )
        first = self.std * torch.randn(x.shape, generator=generator, device=x.device)
        if self.shared:
            return x + first, x_prime + first
        second = torch.randn(x_prime.shape, generator=generator, device=x.device)
        return x + first, x_prime + self.std * second

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say that shared noise is information too."""
        return ("the noise is shared: it is part of the mutual information",) if self.shared else ()


@dataclass(repr=False, eq=False)
class Corruption(View):
    """A row, and the row with some entries replaced by those of other rows of the batch.

    Each entry is replaced with probability ``rate`` by a draw from its column's marginal. For
    tables without a notion of neighbourhood or halves. The entries that stay are shared exactly,
    so the mutual information of continuous columns is infinite: the bound that is reported
    measures the critic, not the data.

    Parameters
    ----------
    rate : float in (0, 1], default=0.6
        Share of the entries that are replaced.

    References
    ----------
    SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption (Bahri et al.,
    2022), https://arxiv.org/abs/2106.15147

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Corruption
    >>> x = torch.arange(8.0).reshape(4, 2)
    >>> clean, corrupted = Corruption(0.5)(x, None, None, torch.Generator().manual_seed(0))
    >>> torch.equal(clean, x), torch.equal(corrupted, x)
    (True, False)
    """

    rate: float = 0.6

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch as it is, and corrupted."""
        donors = torch.randint(len(x), x.shape, generator=generator, device=x.device)
        replaced = torch.rand(x.shape, generator=generator, device=x.device) < self.rate
        return x, torch.where(replaced, x.gather(0, donors), x)

    def fit(self, X: Rows) -> State:
        """Check the parameter."""
        if not (isinstance(self.rate, Real) and 0 < self.rate <= 1):
            raise ValueError(f"rate={self.rate!r}; expected a number in (0, 1].")

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say that exact values are shared."""
        if self.rate == 1:
            return ()
        return _OF_ONE_ROW[:1]


@dataclass(repr=False, eq=False)
class Neighbors(View):
    r"""A row, and one of its nearest training rows, drawn anew in each step.

    The graph is built over the scaled training rows alone; rows that ``fit`` did not see ask for
    their neighbours among these references, which are kept. The mutual information is conditional
    on the references: with more of them the same rows give another number. Use it for tables and
    small images in which close rows mean the same thing; not where distance means little.

    Parameters
    ----------
    n_neighbors : int, default=7
        How many neighbours to draw from; no more than there are other rows.
    among : {"nearest", "mutual", "scaled"}, default="nearest"
        "mutual": only those that have the row among their own nearest, its very nearest where
        there is none. "scaled": of three times as many, the nearest by
        :math:`d_{ij}^2 / (\sigma_i \sigma_j)`, each :math:`\sigma` the distance of a row to its
        last neighbour, so that a row in a dense place is not everybody's neighbour. Rows that
        ``fit`` did not see have no mutual neighbours; they ask for the nearest.
    search : {"auto", "exact", "approximate"}, default="auto"
        "approximate" finds nearly all neighbours by nearest-neighbour descent, of the package
        pynndescent. "auto": exact up to 50,000 rows, and above where that package is missing.

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
        """Return the neighbours of new rows, a part of them at a time."""
        references = state["references"].flatten(1)
        k = min(self.n_neighbors, len(references))
        near = []
        for part in x.flatten(1).split(max(1, DISTANCES_AT_ONCE // len(references))):
            distances = torch.cdist(part, references)
            if "spread" in state:
                # The row's own spread is the same for all references.
                distances = distances.square() / state["spread"]
            near.append(distances.topk(k, dim=1, largest=False).indices)
        return torch.cat(near)

    def fit(self, X: Rows) -> State:
        """Find the neighbours of every training row among the others."""
        if not (isinstance(self.n_neighbors, int | np.integer) and self.n_neighbors >= 1):
            raise ValueError(f"n_neighbors={self.n_neighbors!r}; expected a positive integer.")
        for name, legal in (("among", AMONG), ("search", SEARCHES)):
            if getattr(self, name) not in legal:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected one of {legal}.")
        references = np.asarray(X)
        flat = references.reshape(len(references), -1)
        wanted = self.n_neighbors * (3 if self.among == "scaled" else 1)
        k = max(1, min(wanted, len(flat) - 1))
        distances, graph = _nearest(flat, k, self.search)
        state = {"references": torch.as_tensor(references)}
        if self.among == "mutual":
            graph, count = _mutual(graph)
            state["count"] = torch.as_tensor(count)
        elif self.among == "scaled":
            graph, spread = _scaled(distances, graph, min(self.n_neighbors, k))
            state["spread"] = torch.as_tensor(spread)
        return {**state, "graph": torch.as_tensor(graph)}

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say how many references the number is conditional on."""
        n = 0 if state is None else len(state["references"])
        return (
            f"conditional on {n} reference rows: with another number of them the value is another",
        )


AMONG = ("nearest", "mutual", "scaled")
SEARCHES = ("auto", "exact", "approximate")
EXACT_UP_TO = 50_000
DISTANCES_AT_ONCE = 2**24


def _nearest(flat: np.ndarray, k: int, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the k nearest other rows of every row."""
    if search == "approximate" or (search == "auto" and len(flat) > EXACT_UP_TO):
        try:
            from pynndescent import NNDescent
        except ImportError as error:
            if search == "approximate":
                raise ImportError(
                    "search='approximate' needs the package pynndescent: pip install pynndescent."
                ) from error
        else:
            # One neighbour more: the first is the row itself.
            index = NNDescent(flat, n_neighbors=k + 1, random_state=0)
            return _without_self(*index.neighbor_graph)  # type: ignore[misc]
    finder = NearestNeighbors(n_neighbors=k).fit(flat)
    return finder.kneighbors()  # type: ignore[return-value]


def _without_self(numbers: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row from its own neighbours, or the last one where the row is not among them."""
    own = numbers == np.arange(len(numbers))[:, None]
    own[~own.any(1), -1] = True
    shape = len(numbers), numbers.shape[1] - 1
    return distances[~own].reshape(shape), numbers[~own].reshape(shape)


def _mutual(graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the mutual neighbours of each row first, and count them; at least the nearest."""
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


@dataclass(frozen=True)
class Partners:
    """Which rows of a table may be partners of which.

    The candidates of row i are ``order[start[i] : start[i] + count[i]]``; where the row itself is
    among them, at ``start[i] + own[i]``, the count leaves it out and draws pass over it.

    Parameters
    ----------
    order : Tensor of int of shape (n,)
        Numbers of all rows, candidates side by side.
    start, count : Tensor of int of shape (n,)
    own : Tensor of int of shape (n,)
        ``count`` or more where the row is not among its candidates.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn_mi.views import SameGroup
    >>> partners = SameGroup().partners(5, np.array(list("ababc")), None)
    >>> partners.anchors.tolist()  # row 4 is alone
    [0, 1, 2, 3]
    >>> partners.draw(partners.anchors, torch.Generator()).tolist()
    [2, 3, 0, 1]
    """

    order: Tensor
    start: Tensor
    count: Tensor
    own: Tensor

    @property
    def anchors(self) -> Tensor:
        """Numbers of the rows that have a candidate."""
        return self.count.nonzero().squeeze(1)

    def draw(self, rows: Tensor, generator: Generator) -> Tensor:
        """Return one candidate of each row, all equally likely."""
        share = torch.rand(len(rows), generator=generator, device=rows.device, dtype=torch.double)
        drawn = (share * self.count[rows]).long()
        drawn = drawn + (drawn >= self.own[rows])
        return self.order[self.start[rows] + drawn]

    def to(self, device: torch.device) -> Partners:
        """Return the same on a device."""
        parts = (self.order, self.start, self.count, self.own)
        return Partners(*(part.to(device) for part in parts))


def _same_value(values: np.ndarray, *, left_out: np.ndarray | None = None) -> Partners:
    """Let all rows of one value be partners of one another, but for those that are left out."""
    _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
    order = np.argsort(which, kind="stable")
    start = (np.cumsum(sizes) - sizes)[which]
    own = np.empty_like(order)
    own[order] = np.arange(len(values))
    count = sizes[which] - 1
    if left_out is not None:
        count[left_out] = 0
    return Partners(*map(torch.as_tensor, (order, start, count, own - start)))


def _as_it_came(x: Tensor | Pair, view: View) -> Pair:
    if not isinstance(x, tuple):
        raise ValueError(f"{view!r} pairs rows with rows: it must be the first part of a Compose.")
    return x


@dataclass(repr=False, eq=False)
class TimeLag(View):
    """A row, and one that comes some rows later in the same series.

    Rows are taken to be in the order of time; with ``fit(X, groups=...)`` each group is a series
    of its own, and no pair reaches over its end. The last rows of each series are held out. Use
    it for recordings in which what lasts from one time to the next is what matters.

    Parameters
    ----------
    lag : int, default=1
        Rows between the two, at least.
    max_lag : int or None, default=None
        At most: each step draws one of the lags between. None: ``lag``.

    References
    ----------
    Slow Feature Analysis: Unsupervised Learning of Invariances (Wiskott & Sejnowski, 2002);
    Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
    https://arxiv.org/abs/1807.03748

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import TimeLag
    >>> partners = TimeLag(2).partners(5, None, None)
    >>> partners.draw(partners.anchors, torch.Generator()).tolist()
    [2, 3, 4]
    """

    lag: int = 1
    max_lag: int | None = None
    ordered = True

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair as it came."""
        return _as_it_came(x, self)

    def fit(self, X: Rows) -> State:
        """Check the parameters."""
        longest = self.lag if self.max_lag is None else self.max_lag
        whole = isinstance(self.lag, int | np.integer) and isinstance(longest, int | np.integer)
        if not (whole and 1 <= self.lag <= longest):
            raise ValueError(
                f"lag={self.lag!r}, max_lag={self.max_lag!r}; expected integers with "
                "1 <= lag <= max_lag."
            )

    def partners(self, n: int, groups: Values, y: Values) -> Partners:
        """Let the rows from ``lag`` to ``max_lag`` later in the series be partners of a row."""
        within = _same_value(np.zeros(n) if groups is None else groups)
        longest = self.lag if self.max_lag is None else self.max_lag
        place = within.start + within.own
        left = within.count - within.own  # rows that come after it in its series
        count = (left - self.lag + 1).clamp(0, longest - self.lag + 1)
        start = torch.where(count > 0, place + self.lag, 0)
        return Partners(within.order, start, count, count)

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say that rows of a series are not independent."""
        return ("rows of a series are not independent: the standard error is too small",)


@dataclass(repr=False, eq=False)
class SameGroup(View):
    """A row, and another row of its group: subject, document, recording.

    ``fit(X, groups=...)`` names the groups; a group of one row is left out. Whole groups are held
    out. What the rows of a group share is learned, what tells them apart is not.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> learner = MIRepresentationLearner(3, view="same-group", max_steps=5, random_state=0)
    >>> learner.fit(X, groups=np.arange(60) // 6).transform(X).shape
    (60, 3)
    """

    needs = ("groups",)

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair as it came."""
        return _as_it_came(x, self)

    def partners(self, n: int, groups: Values, y: Values) -> Partners:
        """Let the rows of a group be partners of one another."""
        if groups is None:
            raise ValueError(f"view={self!r} needs groups: pass groups=...")
        return _same_value(groups)

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say that rows of a group are not independent."""
        return ("pairs of one group are not independent: the standard error is too small",)


@dataclass(repr=False, eq=False)
class SameClass(View):
    """A row, and another row of its class: the one view that looks at labels.

    Asked for by name it takes ``y`` of ``fit(X, y)``, as a Pipeline passes it; no other view does.
    Use it where many labels are at hand and codes are wanted in which distances follow them.

    Parameters
    ----------
    unlabelled : int, str or None, default=None
        The value in ``y`` of rows that have no label, such as -1; they are not trained on. None:
        every row has one.

    References
    ----------
    Supervised Contrastive Learning (Khosla et al., 2020), https://arxiv.org/abs/2004.11362, which
    averages over all partners in a batch where this view draws one.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = MIRepresentationLearner(2, view="same-class", max_steps=5, random_state=0)
    >>> learner.fit(X, y).transform(X).shape
    (150, 2)
    """

    unlabelled: Any = None
    needs = ("y",)

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair as it came."""
        return _as_it_came(x, self)

    def partners(self, n: int, groups: Values, y: Values) -> Partners:
        """Let the rows of a class be partners of one another."""
        if y is None:
            raise ValueError(f"view={self!r} pairs rows of one class and needs y: fit(X, y).")
        return _same_value(y, left_out=None if self.unlabelled is None else y == self.unlabelled)

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say that labels made the pairs."""
        return ("labels made the pairs",)


@dataclass(repr=False, eq=False)
class Paired(View):
    """Rows of two tables, row i of the one the partner of row i of the other.

    The view of ``fit(X, X_pair=X_pair)``. ``transform`` encodes rows of the first table,
    ``transform_pair`` rows of the second.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> rng = np.random.default_rng(0)
    >>> X, X_pair = rng.normal(size=(60, 4)), rng.normal(size=(60, 3))
    >>> learner = MIRepresentationLearner(2, max_steps=5, random_state=0).fit(X, X_pair=X_pair)
    >>> learner.transform(X).shape, learner.transform_pair(X_pair).shape
    ((60, 2), (60, 2))
    """

    default_encoder_y = "separate"
    paired = True

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the pair as it came: ``x`` holds rows of both tables."""
        if not isinstance(x, tuple):
            raise ValueError("view=Paired() needs a second table: pass X_pair=...")
        return x


@dataclass(repr=False, eq=False)
class Function(View):
    """Any function of a batch as a view; a bare callable becomes one by itself.

    Parameters
    ----------
    function : callable
        ``function(x)`` or ``function(x, generator)``, from a Tensor of shape
        ``(b, *input_shape)`` to a pair of Tensors of b rows. Draw from ``generator`` to be
        exactly reproducible on a GPU too; draws from torch's global generator are reproducible on
        a CPU. ``transform`` gives the row itself to the encoder, so at least the first view must
        keep the row's shape.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Function
    >>> view = Function(lambda x: (x, -x))
    >>> view(torch.ones(1, 2), None, None, torch.Generator())[1].tolist()
    [[-1.0, -1.0]]
    """

    function: Callable[..., Any]
    draws_globally = True

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return what the function makes of the batch."""
        made = self.function(x, generator) if _takes_two(self.function) else self.function(x)
        if not (isinstance(made, tuple | list) and len(made) == 2):
            raise TypeError(
                f"view={self.function!r} returned {type(made).__name__}; expected a pair (x, x')."
            )
        for view in made:
            if not isinstance(view, torch.Tensor) or len(view) != len(x):
                raise ValueError(
                    f"view={self.function!r} must return two tensors of {len(x)} rows, one a row."
                )
        return made[0], made[1]

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Find the shapes by calling the function on two rows of zeros."""
        first, second = self(torch.zeros(2, *input_shape), None, state, torch.Generator())
        return tuple(first.shape[1:]), tuple(second.shape[1:])


def _takes_two(function: Callable[..., Any]) -> bool:
    """Tell whether a callable has a place for a second positional argument."""
    target = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        inspect.signature(target).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def _pixel_range(X: Rows) -> dict[str, Tensor]:
    """Return the least and the largest pixel, as black and white of all images."""
    lows, highs = [], []
    for numbers in torch.arange(len(X)).split(1024):
        batch: Any = X[numbers]
        for images in batch if isinstance(batch, tuple) else (batch,):
            lows.append(images.min())
            highs.append(images.max())
    low, high = torch.stack(lows).min(), torch.stack(highs).max()
    # Images without contrast have some white all the same, so that one can divide by it.
    return {"low": low, "high": torch.where(high > low, high, low + 1)}


def _check_image(view: View, shape: Shape) -> None:
    if len(shape) not in (2, 3):
        raise ValueError(
            f"{type(view).__name__} needs rows that are images, but a row has shape {shape}; "
            "pass input_shape=(height, width) or (height, width, channels) to the learner."
        )


def _check_interval(name: str, value: Any, limit: float) -> None:
    whole = isinstance(value, tuple | list) and len(value) == 2
    if not (whole and all(isinstance(end, Real) for end in value) and 0 < value[0] <= value[1]):
        raise ValueError(f"{name}={value!r}; expected two increasing numbers above 0, or None.")
    if value[1] > limit:
        raise ValueError(f"{name}={value!r}; expected numbers of at most {limit}.")


# Numbers of `Augment` from 0, which leaves the thing out, to a largest one; and rates above 0.
_STRENGTHS = {
    "flip": 1.0,
    "shift": 1.0,
    "rotate": 180.0,
    "zoom": 0.9,
    "brightness": 10.0,
    "contrast": 10.0,
    "saturation": 10.0,
    "hue": 0.5,
    "grayscale": 1.0,
    "erase": 1.0,
}
_COLORS = ("saturation", "hue", "grayscale")
_RATES = ("jitter_rate", "blur_rate")
_AUGMENTED = (
    "the mutual information is that of two augmented draws: with other augmentations it is another"
)
# Facts that hold only as long as both views come from one row.
_OF_ONE_ROW = (
    "the views share exact values: their mutual information is infinite",
    "the two differ by a few drawn numbers: with many continuous pixels their mutual information "
    "is infinite, and the bound measures the critic",
)


@dataclass(repr=False, eq=False)
class Augment(View):
    """Two augmented draws of an image, in a batch each row with its own.

    What is given is applied in the order of the parameters; 0 or None leaves it out. The draws
    come from the learner's own generator, on its device. ``transform`` encodes the image itself;
    ``output="averaged"`` its four corners and its centre, of the mean area that ``crop`` draws,
    stretched to the size of the image as in training; where ``flip`` is set, the upper right
    and the lower left are mirrored.
    Names stand for recipes:

    - ``"simclr"``, for small colour images such as CIFAR10, objects in whatever place and light:
      ``Augment(crop=(0.08, 1.0), flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1,
      jitter_rate=0.8, grayscale=0.2)``, the setting of Chen et al. (2020) for CIFAR10: the
      ImageNet one at half the strength of colour, without blur. ``crop=(0.2, 1.0)`` is common, too.
    - ``"affine"``, for small images that a flip would turn into others, such as digits:
      ``Augment(shift=0.1, rotate=15.0, zoom=0.1)``. On scikit-learn's digits `Neighbors` gave
      better features, and both together, ``"moved-neighbors"``, the best.

    Black and white are the least and the largest pixel of the training rows, so images may have
    any range; the jitter of colours clips to it, and black comes in where a shift or a turn
    uncovers something.

    Parameters
    ----------
    shift : float in [0, 1], default=0.0
        Move by at most this share of the height, and of the width.
    rotate : float in [0, 180], default=0.0
        Turn by at most so many degrees either way.
    zoom : float in [0, 0.9], default=0.0
        Scale by a factor between ``1 - zoom`` and ``1 + zoom``.
    crop : tuple of two floats in (0, 1] or None, default=None
        Cut out a box with a share of the area between these, of width over height between 3/4 and
        4/3, and stretch it to the size of the image.
    flip : float in [0, 1], default=0.0
        Probability of left and right to be exchanged.
    brightness, contrast, saturation : float in [0, 10], default=0.0
        Multiply by a factor between ``1 - strength``, no less than 0, and ``1 + strength``.
    hue : float in [0, 0.5], default=0.0
        Turn hues by at most this share of the colour circle.
    jitter_rate : float in (0, 1], default=1.0
        Probability of a draw to have these four.
    grayscale : float in [0, 1], default=0.0
        Probability of losing the colour. This, ``saturation`` and ``hue`` pass over images of other
        than three channels: red, green and blue.
    blur : tuple of two floats or None, default=None
        Blur by a Gaussian with a standard deviation between these, in pixels.
    blur_rate : float in (0, 1], default=0.5
        Probability of a draw to be blurred.
    erase : float in [0, 1], default=0.0
        Probability of a black box over 2 to 33 % of the area.

    References
    ----------
    A Simple Framework for Contrastive Learning of Visual Representations (Chen et al., 2020),
    https://arxiv.org/abs/2002.05709

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Augment
    >>> equal = torch.arange(36.0).reshape(1, 6, 6).expand(64, 6, 6)
    >>> view = Augment(shift=0.1, rotate=15.0)
    >>> first, second = view(equal, None, None, torch.Generator().manual_seed(0))
    >>> len(torch.cat([first, second]).unique(dim=0))
    128
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    crop: tuple[float, float] | None = None
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    jitter_rate: float = 1.0
    grayscale: float = 0.0
    blur: tuple[float, float] | None = None
    blur_rate: float = 0.5
    erase: float = 0.0

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two draws of a batch of images."""
        return self.pair(x, x, rows, state, generator)

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return one draw of each image of a pair."""
        if x.shape == x_prime.shape:
            both = self._draw(torch.cat([x, x_prime]), state, generator)
            return both[: len(x)], both[len(x) :]
        return self._draw(x, state, generator), self._draw(x_prime, state, generator)

    def variants(self, x: Tensor, state: State) -> list[Tensor]:
        """Return corners and centre of images that are cropped, mirror images where flipped."""
        if not self.crop:
            return [x, x.flip(2)] if self.flip else [x]
        left, right, low_left, low_right, centre = five_crops(x, sum(self.crop) / 2)
        if self.flip:
            right, low_left = right.flip(2), low_left.flip(2)
        return [left, right, low_left, low_right, centre]

    def _draw(self, x: Tensor, state: State, generator: Generator) -> Tensor:
        low, high = (0.0, 1.0) if state is None else (state["low"], state["high"])
        if self.shift or self.rotate or self.zoom:
            x = random_affine(x, generator, self.shift, self.rotate, self.zoom, low)
        if self.crop:
            x = random_resized_crop(x, generator, self.crop)
        if self.flip:
            x = random_flip(x, generator, self.flip)
        jitter = self.brightness, self.contrast, self.saturation, self.hue
        if any(jitter):
            x = color_jitter(x, generator, *jitter, self.jitter_rate, low, high)
        if self.grayscale:
            x = random_grayscale(x, generator, self.grayscale)
        if self.blur:
            x = random_blur(x, generator, self.blur, self.blur_rate)
        if self.erase:
            x = random_erase(x, generator, self.erase, fill=low)
        return x

    def fit(self, X: Rows) -> State:
        """Check the parameters, and learn which pixels are black and white."""
        for name, limit in _STRENGTHS.items():
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 <= float(value) <= limit):
                raise ValueError(f"{name}={value!r}; expected a number in [0, {limit:g}].")
        for name in _RATES:
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 < float(value) <= 1):
                raise ValueError(f"{name}={value!r}; expected a number in (0, 1].")
        if self.crop:
            _check_interval("crop", self.crop, 1.0)
        if self.blur:
            _check_interval("blur", self.blur, math.inf)
        return _pixel_range(X)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shape of the image, twice.

        Raises
        ------
        ValueError
            If rows are no images, or if nothing would be changed.
        """
        _check_image(self, input_shape)
        idle = () if input_shape[2:] == (3,) else _COLORS
        if not (
            self.crop or self.blur or any(getattr(self, n) for n in _STRENGTHS if n not in idle)
        ):
            raise ValueError(
                f"{self!r} changes nothing in images of shape {input_shape}, so both views would "
                "be the row; give it something to do, such as crop=(0.2, 1.0), or take a recipe, "
                "view='simclr' or view='affine'."
            )
        return input_shape, input_shape

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say what the number is of, and that it may be infinite."""
        return (_AUGMENTED, _OF_ONE_ROW[1])


@dataclass(repr=False, eq=False)
class Transformed(View):
    """Two draws of a torchvision transform of an image; a bare transform becomes one by itself.

    The transform is applied to one image after the other, since on a batch torchvision draws once
    for all of it; `Augment` is much faster. Images come to it as torchvision has them, channels
    first and scaled from the range of the training pixels to [0, 1], and go back. ``transform``
    encodes the row itself, so random parts belong in here, and fixed ones, such as ``Normalize``,
    do not.

    Parameters
    ----------
    transform : callable
        From a Tensor of shape (channels, height, width) to another of the same shape. Draw from
        torch's global generators, as torchvision does, to be reproducible: inside a fit they are
        a stream of the learner's own.
    second : callable or None, default=None
        For the second view. None: the first one, drawn again.

    Examples
    --------
    >>> import torch
    >>> from torchvision.transforms import v2
    >>> from sklearn_mi.views import Transformed
    >>> view = Transformed(v2.RandomHorizontalFlip(p=1.0), second=v2.Identity())
    >>> first, second = view(torch.tensor([[[0.0, 1.0]]]), None, None, torch.Generator())
    >>> first.tolist(), second.tolist()
    ([[[1.0, 0.0]]], [[[0.0, 1.0]]])
    """

    transform: Callable[..., Any]
    second: Callable[..., Any] | None = None
    draws_globally = True

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two draws of a batch of images."""
        return self.pair(x, x, rows, state, generator)

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return one draw of each image of a pair."""
        second = self.transform if self.second is None else self.second
        return _one_by_one(self.transform, x, state), _one_by_one(second, x_prime, state)

    def fit(self, X: Rows) -> State:
        """Check the transforms, and learn the range of the pixels."""
        for name in ("transform", "second"):
            value = getattr(self, name)
            if value is not None and (not callable(value) or isinstance(value, type)):
                raise TypeError(f"{name}={value!r}; expected a function of one image.")
            if any(type(part).__name__ == "Normalize" for part in _parts(value)):
                raise ValueError(
                    f"{name} holds a Normalize, which training would see and transform would not; "
                    "leave it out, and normalise X where that is wanted."
                )
        return _pixel_range(X)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shape of the image, twice, having tried the transforms on black images.

        Raises
        ------
        ValueError
            If rows are no images, or do not keep their shape.
        """
        _check_image(self, input_shape)
        black = torch.zeros(2, *input_shape)
        for made in self(black, None, None, torch.Generator()):
            if made.shape != black.shape:
                raise ValueError(
                    f"{self!r} turns images of shape {input_shape} into {tuple(made.shape[1:])}, "
                    "but transform encodes the row itself; end with a Resize to the row's size."
                )
        return input_shape, input_shape

    def caveats(self, state: State) -> tuple[str, ...]:
        """Say what the number is of."""
        return (_AUGMENTED,)


def _parts(transform: Any) -> Iterator[Any]:
    """Yield a transform and those that it holds."""
    yield transform
    for part in getattr(transform, "transforms", ()):
        yield from _parts(part)


def _one_by_one(transform: Callable[..., Any], x: Tensor, state: State) -> Tensor:
    """Return what a transform makes of each image, scaled to [0, 1] and back."""
    low, high = (0.0, 1.0) if state is None else (state["low"], state["high"])
    planes = (x.unsqueeze(1) if x.ndim == 3 else x.movedim(-1, 1)).sub(low).div(high - low)
    made = [transform(image) for image in planes]
    for image in made:
        if not (isinstance(image, torch.Tensor) and image.is_floating_point() and image.ndim == 3):
            kind = f"{image.dtype}" if isinstance(image, torch.Tensor) else type(image).__name__
            raise TypeError(
                f"{transform!r} returned {kind}; expected an image, a floating-point Tensor of "
                "shape (channels, height, width)."
            )
    images = torch.stack(made).to(x.dtype) * (high - low) + low
    return images.squeeze(1) if x.ndim == 3 else images.movedim(1, -1)


@dataclass(repr=False, eq=False)
class Compose(View):
    """One view after another: ``second`` acts on both rows of the pair that ``first`` makes.

    Of what ``second`` makes of the first row its first view is kept, of the second row its second
    one: ``Compose(Neighbors(), Corruption())`` pairs a row with a corrupted neighbour.

    Parameters
    ----------
    first, second : View or callable
        `Columns` and the views that pair rows with rows see whole rows and can only be ``first``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Compose, GaussianNoise, Halves
    >>> view = Compose(Halves(), GaussianNoise(0.05, shared=True))
    >>> top, bottom = view(torch.zeros(4, 6), None, None, torch.Generator().manual_seed(0))
    >>> torch.equal(top, bottom)
    True
    """

    first: Any
    second: Any

    @property
    def default_encoder_y(self) -> str:  # type: ignore[override]
        """Separate encoders as soon as one part asks for them."""
        return "separate" if "separate" in self._defaults("encoder_y") else "shared"

    @property
    def default_output(self) -> str:  # type: ignore[override]
        """Both codes as soon as one part gives both."""
        return "both" if "both" in self._defaults("output") else "first"

    @property
    def transient(self) -> tuple[str, ...]:  # type: ignore[override]
        """What either part needs in training alone."""
        parts = {"first": as_view(self.first), "second": as_view(self.second)}
        return tuple(f"{which}_{key}" for which, part in parts.items() for key in part.transient)

    @property
    def paired(self) -> bool:  # type: ignore[override]
        """Whether the first part takes a second table."""
        return as_view(self.first).paired

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the first part asks for."""
        return as_view(self.first).needs

    @property
    def ordered(self) -> bool:  # type: ignore[override]
        """Whether the first part takes rows as a series."""
        return as_view(self.first).ordered

    @property
    def draws_globally(self) -> bool:  # type: ignore[override]
        """Whether either part draws from the global generators."""
        return as_view(self.first).draws_globally or as_view(self.second).draws_globally

    def _defaults(self, name: str) -> set[str]:
        return {getattr(as_view(part), f"default_{name}") for part in (self.first, self.second)}

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the views of a batch, one part after the other."""
        pair = as_view(self.first)(x, rows, _state_of("first", state), generator)
        return as_view(self.second).pair(*pair, rows, _state_of("second", state), generator)

    def fit(self, X: Rows) -> State:
        """Fit both parts, each to the rows; the state holds what they return under their names.

        Raises
        ------
        ValueError
            If ``second`` is a view of whole rows.
        """
        second = as_view(self.second)
        if isinstance(second, Columns | Neighbors | Paired | SameClass | SameGroup | TimeLag):
            raise ValueError(
                f"second={self.second!r} looks at whole rows; make it the first part of Compose."
            )
        states = {"first": as_view(self.first).fit(X), "second": second.fit(X)}
        kept = {which: state or {} for which, state in states.items()}
        return {
            f"{which}_{key}": tensor for which in kept for key, tensor in kept[which].items()
        } or None

    def partners(self, n: int, groups: Values, y: Values) -> Partners | None:
        """Return those of the first part."""
        return as_view(self.first).partners(n, groups, y)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shapes that come out of the second part."""
        first, second = as_view(self.first).shapes(input_shape, _state_of("first", state))
        after, state = as_view(self.second), _state_of("second", state)
        return after.shapes(first, state)[0], after.shapes(second, state)[1]

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return what the encoders see at ``transform``."""
        first, second = as_view(self.first).inputs(x, _state_of("first", state))
        after, state = as_view(self.second), _state_of("second", state)
        return after.inputs(first, state)[0], after.inputs(second, state)[1]

    def variants(self, x: Tensor, state: State) -> list[Tensor]:
        """Return what the second part makes of each form of a row that the first one makes."""
        forms = as_view(self.first).variants(x, _state_of("first", state))
        after, state = as_view(self.second), _state_of("second", state)
        return [form for first in forms for form in after.variants(first, state)]

    def caveats(self, state: State) -> tuple[str, ...]:
        """Return the facts of both parts that hold of the two together."""
        first, second = as_view(self.first), as_view(self.second)
        facts = first.caveats(_state_of("first", state))
        later = second.caveats(_state_of("second", state))
        if not isinstance(first, Function):
            # What is shared is shared only where the first part hands on one row twice,
            later = tuple(fact for fact in later if fact not in _OF_ONE_ROW)
        if isinstance(second, GaussianNoise) and not second.shared:
            # and noise of their own parts the two.
            facts = tuple(fact for fact in facts if fact not in _OF_ONE_ROW)
        return facts + later


def _state_of(which: str, state: State) -> State:
    """Return the state of one part of a `Compose`."""
    prefix = f"{which}_"
    own = {
        key.removeprefix(prefix): t for key, t in (state or {}).items() if key.startswith(prefix)
    }
    return own or None


def as_view(value: Any) -> View:
    """Return the view that a name, a view or a callable stands for.

    Parameters
    ----------
    value : str, View or callable
        A key of ``VIEWS``, a view, a transform of torchvision, or a function from a batch to a
        pair.

    Returns
    -------
    view : View
        The view, not yet fitted.

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If ``value`` is neither a name, nor a view, nor callable.
    """
    view = resolve("view", value, VIEWS)
    if isinstance(view, View):
        return view
    if callable(view) and not isinstance(view, type):
        of_torchvision = type(view).__module__.startswith("torchvision.transforms")
        return Transformed(view) if of_torchvision else Function(view)
    raise TypeError(
        f"view={value!r}; expected one of {sorted(VIEWS)}, a View, or a callable x -> (x, x')."
    )


_MOVED: Any = {"shift": 0.1, "rotate": 15.0, "zoom": 0.1}

VIEWS: dict[str, Callable[[], View]] = {
    "affine": partial(Augment, **_MOVED),
    "corruption": Corruption,
    "halves": Halves,
    "moved-neighbors": lambda: Compose(Neighbors(), Augment(**_MOVED)),
    "neighbors": Neighbors,
    "noise": GaussianNoise,
    "paired": Paired,
    "same-class": SameClass,
    "same-group": SameGroup,
    "simclr": partial(
        Augment,
        crop=(0.08, 1.0),
        flip=0.5,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        jitter_rate=0.8,
        grayscale=0.2,
    ),
    "time-lag": TimeLag,
}
