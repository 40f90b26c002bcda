"""The contract of a front end: what is computed from a recording before any view."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from sklearn_mi._base import Component, resolve

__all__ = ["FrontEnd"]

State = dict[str, Tensor]

# Numbers that a front end holds at once in any one array.
MOST_NUMBERS = 2**19


class FrontEnd(Component, ABC):
    """Write a front end of your own: define `fit` and ``__call__``.

    A front end turns a batch of recordings ``(b, time, channels + 1)``, whose last channel is 1 at
    observed steps and 0 at others, into features ``(b, d)``. Steps that were not observed are 0 in
    every channel. The learner fits the front end on training rows, freezes it, and trains on the
    features, as on the columns of a table. Recordings may be longer or shorter than in ``fit``, and
    padding must not change the features.

    Attributes
    ----------
    takes : {"recordings", "words", "tables"}
        "words": rows of shape ``(b, p)`` are the counts or the weights of words in texts.
        "tables": rows of shape ``(b, p)`` are those of a table.
    gives_recordings : bool
        The result is a batch of recordings, too, of shape ``(b, steps, width + 1)``.
    is_scaled : bool
        The features are used as they are; others are standardised like the columns of a table.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import torch
    >>> from sklearn_mi.front_ends import FrontEnd
    >>> @dataclass(repr=False, eq=False)
    ... class Energy(FrontEnd):
    ...     def fit(self, x, seed):
    ...         return {"largest": x[..., :-1].square().sum(1).amax(0)}
    ...
    ...     def __call__(self, x, state):
    ...         return x[..., :-1].square().sum(1) / state["largest"]
    >>> x = torch.tensor([[[1.0, 1.0], [3.0, 1.0]], [[2.0, 1.0], [0.0, 0.0]]])
    >>> Energy()(x, Energy().fit(x, seed=0))
    tensor([[1.0000],
            [0.4000]])
    """

    takes: ClassVar[str] = "recordings"
    gives_recordings: ClassVar[bool] = False
    is_scaled: ClassVar[bool] = False

    @abstractmethod
    def fit(self, x: Tensor, seed: int) -> State:
        """Return all that the front end must know of the training rows.

        Parameters
        ----------
        x : Tensor of shape (m, time, channels + 1)
            At most some thousand training rows.
        seed : int
            Decides all random draws.

        Returns
        -------
        state : dict of Tensor
            Saved with the learner.
        """

    def fit_pair(self, x: Tensor, y: Tensor, seed: int) -> tuple[State, State]:
        """Return the same for two tables, whose rows are partners; by default each for itself.

        Parameters
        ----------
        x, y : Tensor of shape (m, ...)
        seed : int

        Returns
        -------
        states : tuple of dict of Tensor
        """
        return self.fit(x, seed), self.fit(y, seed)

    @abstractmethod
    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return the features of a batch, of each row for itself.

        Parameters
        ----------
        x : Tensor of shape (b, time, channels + 1)
        state : dict of Tensor
            What `fit` returned, on the device of ``x``.
            In an exported learner, what holds no floats comes as numpy arrays, which may decide
            shapes.

        Returns
        -------
        features : Tensor of shape (b, d)
            In float32.
        """

    def column_names(self, channels: Sequence[str], state: State) -> list[str] | None:
        """Return names for the features; None, the default: they are numbered.

        Parameters
        ----------
        channels : sequence of str
            Names of the channels.
        state : dict of Tensor
            What `fit` returned.

        Returns
        -------
        names : list of str or None
        """
        return None


def checked(parameter: str, value: Any, names: Mapping[str, Callable[[], FrontEnd]]) -> FrontEnd:
    """Return the front end that a name or an object stands for."""
    made = resolve(parameter, value, names)
    if not isinstance(made, FrontEnd):
        raise TypeError(
            f"{parameter}={value!r}; expected one of {sorted(names)}, or a FrontEnd object such as "
            "Convolved()."
        )
    return made


def values_and_seen(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return values (b, channels, time), 0 at steps that were not observed, and which were.

    Raises
    ------
    ValueError
        If the rows are no recordings.
    """
    if x.ndim != 3 or x.shape[2] < 2:
        raise ValueError(
            f"rows have shape {tuple(x.shape[1:])}; a front end needs recordings: pass X of shape "
            "(n, time, channels), or a list of arrays of shape (time, channels)."
        )
    seen = x[..., -1] > 0
    return (x[..., :-1] * seen[..., None]).transpose(1, 2), seen


def lengths(seen: Tensor) -> Tensor:
    """Return the number of observed steps of each row, at least 1."""
    return seen.sum(1).clamp_min(1)


def extent(seen: Tensor) -> int:
    """Return the number of steps up to the last one observed in any row, at least 1."""
    steps = seen.any(0).nonzero()
    return int(steps[-1]) + 1 if len(steps) else 1


def in_blocks(function: Callable[[Tensor], Tensor], x: Tensor, numbers_per_row: int) -> Tensor:
    """Return ``function(x)``, computed for a few rows at a time, but at once if it is exported."""
    if torch.compiler.is_compiling():
        return function(x)
    if not len(x):
        return function(x.new_zeros(1, *x.shape[1:]))[:0]
    n_rows = max(1, MOST_NUMBERS // max(1, numbers_per_row))
    return torch.cat([function(part) for part in x.split(n_rows)])
