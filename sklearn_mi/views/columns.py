"""Views of one row: its halves, two sets of its columns, added noise, replaced entries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sklearn_mi._base import Shape
from sklearn_mi.views.base import Pair, State, View

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["Columns", "Corruption", "GaussianNoise", "Halves"]


def _cut(shape: Shape, cut: str) -> tuple[int, int]:
    """Return the axis along which `Halves` splits a row, and the position."""
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
    """Pair the two halves of a row: top and bottom, or left and right.

    Use it if both halves show the same thing, as in an image. The unordered columns of a table
    rarely do. A flat row is split in the middle; pass ``input_shape`` to the learner to cut it as
    an image. If the length is odd, the second half is longer.

    Parameters
    ----------
    cut : {"top-bottom", "left-right"}, default="top-bottom"
        Which halves of an image; "left-right" needs rows that are images.

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
    takes = "others"

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
    """Pair two sets of columns of one table, or more.

    Use it for modalities, or tables joined side by side, in a plain Pipeline. Each set has an
    encoder of its own, and of three sets or more every pair is compared; see
    `sklearn_mi.comparisons.Multiview`.

    Parameters
    ----------
    first, second : slice, sequence of int, sequence of bool or sequence of str
        Columns of the two views. Names need a data frame. Sets that overlap share exact values;
        if these are continuous, the mutual information is infinite.
    third : like ``first`` or None, default=None
        A third set of columns.
    more : sequence of sets of columns, default=()
        A fourth set and so on.

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

    Three sets of columns give three codes:

    >>> view = Columns([0], [1, 2], [3, 4])
    >>> learner.set_params(view=view).fit(X).transform(X).shape
    (60, 9)
    """

    first: Any
    second: Any
    third: Any = None
    more: Any = ()
    default_encoder_y = "separate"
    default_output = "both"
    sees_whole_rows = True
    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the sets of columns of a batch of shape (b, p)."""
        return self.inputs(x, state)

    def fit(self, X: AnyRows) -> State:
        """Turn slices and names into column numbers."""
        if len(X.shape) != 2:
            raise ValueError(
                f"Columns needs a table of shape (n, p), but X has shape {X.shape}; "
                "flatten the rows, or use Halves for images."
            )
        first, *others = (
            torch.as_tensor(_column_numbers(side, wanted, X))
            for side, wanted in self._sets().items()
        )
        if len(others) == 1:
            return {"first": first, "second": others[0]}
        widths = torch.tensor([len(numbers) for numbers in others])
        return {"first": first, "second": torch.cat(others), "widths": widths}

    def _sets(self) -> dict[str, Any]:
        """Return what picks the columns of each set, by the name of the parameter."""
        sets = {"first": self.first, "second": self.second}
        if self.third is not None:
            sets["third"] = self.third
        if isinstance(self.more, str) or not isinstance(self.more, Sequence):
            raise ValueError(f"more={self.more!r}; expected a list of sets of columns.")
        if self.more and self.third is None:
            raise ValueError(f"more={self.more!r} without third; name the third set by third=...")
        return {**sets, **{f"more[{i}]": wanted for i, wanted in enumerate(self.more)}}

    def sets(
        self, n_columns: int, names: Sequence[str] | None
    ) -> tuple[tuple[int, ...], ...] | None:
        """Return the numbers of the columns of each set."""
        asked = self._sets().items()
        numbers = (_columns_asked_for(side, wanted, n_columns, names) for side, wanted in asked)
        return tuple(tuple(each.tolist()) for each in numbers)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, ...]:
        """Return the number of columns of each set."""
        return tuple((len(numbers),) for numbers in self._numbers(state))

    def _numbers(self, state: State) -> list[Tensor]:
        """Return the numbers of the columns of each set."""
        if state is None:
            raise ValueError("Columns must be the first part of a Compose.")
        second = state["second"]
        widths = state["widths"].tolist() if "widths" in state else [len(second)]
        return [state["first"], *second.split(widths)]

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return the first set of columns, and all others side by side."""
        if state is None:
            raise ValueError("Columns must be the first part of a Compose.")
        return x[:, state["first"]], x[:, state["second"]]

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn of columns that are in several sets."""
        if state is None:
            return ()
        sets = [set(numbers.tolist()) for numbers in self._numbers(state)]
        shared = set().union(*(a & b for a, b in itertools.combinations(sets, 2)))
        if not shared:
            return ()
        return (
            f"the views share {len(shared)} columns: their mutual information is infinite if these "
            "are continuous",
        )


def _column_numbers(side: str, wanted: Any, X: AnyRows) -> np.ndarray:
    """Return the places in a row of the columns that one side of `Columns` asks for."""
    if X.owners is None:
        return _columns_asked_for(side, wanted, X.shape[1], X.feature_names)
    n_columns = len(X.feature_names) if X.feature_names else int(X.owners[-1]) + 1
    asked = _columns_asked_for(side, wanted, n_columns, X.feature_names)
    return np.concatenate([np.flatnonzero(X.owners == column) for column in asked])


def _columns_asked_for(
    side: str, wanted: Any, n_features: int, names: Sequence[str] | None
) -> np.ndarray:
    """Return the numbers of the columns that one side of `Columns` asks for."""
    if isinstance(wanted, str | int | np.integer):
        wanted = [wanted]
    if hasattr(wanted, "__array__"):  # such as df.columns[:2], or a mask that is a Series
        wanted = np.asarray(wanted)
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
    """Pair two noisy copies of a row, each with its own Gaussian noise.

    Parameters
    ----------
    std : float, default=0.1
        Standard deviation of the noise, in units of the scaled columns.
    shared : bool, default=False
        Add *the same* draw to both views, which must then have the same shape. The
        ill-conditioning experiment of Tschannen et al. is
        ``Compose(Halves(), GaussianNoise(0.05, shared=True))``.

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
    takes = "others"

    @property
    def adds_own_noise(self) -> bool:  # type: ignore[override]
        """Whether each view gets its own noise."""
        return not self.shared

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch twice, each copy with its noise."""
        return self.pair(x, x, rows, state, generator)

    def fit(self, X: AnyRows) -> State:
        """Check the parameter."""
        if not (isinstance(self.std, Real) and self.std > 0):
            raise ValueError(f"std={self.std!r}; expected a positive number.")

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Add noise to both batches of a pair."""
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

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn that shared noise counts as information."""
        return ("the noise is shared: it is part of the mutual information",) if self.shared else ()


@dataclass(repr=False, eq=False)
class Corruption(View):
    """Pair a row with a corrupted copy: some entries come from other rows of the batch.

    Use it for tables in which neither distances nor halves have a meaning. Each entry is replaced
    with probability ``rate`` by a draw from its column's marginal. The other entries are shared
    exactly, so the mutual information of continuous columns is infinite. The reported bound then
    measures the critic, not the data.

    Parameters
    ----------
    rate : float in (0, 1], default=0.6
        Probability of replacing an entry.

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
    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return the batch and its corrupted copy."""
        donors = torch.randint(len(x), x.shape, generator=generator, device=x.device)
        replaced = torch.rand(x.shape, generator=generator, device=x.device) < self.rate
        return x, torch.where(replaced, x.gather(0, donors), x)

    def fit(self, X: AnyRows) -> State:
        """Check the parameter."""
        if not (isinstance(self.rate, Real) and 0 < self.rate <= 1):
            raise ValueError(f"rate={self.rate!r}; expected a number in (0, 1].")

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Warn that the views share exact values."""
        if self.rate == 1 or not shares_values:
            return ()
        return ("the views share exact values: their mutual information is infinite",)
