"""The contract of a view: ``x -> (x, x')`` on whole batches, already on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from sklearn_mi._base import Component, Shape

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["Partners", "View"]

Pair = tuple["Tensor", "Tensor"]
State = dict[str, "Tensor"] | None
Values = np.ndarray | None


@dataclass(frozen=True)
class Partners:
    """Which rows of a table may be partners of which.

    The candidates of row i are ``order[start[i] : start[i] + count[i]]``. If the row itself is
    among them, it stands at ``start[i] + own[i]``; the count omits it and draws skip it.

    Parameters
    ----------
    order : Tensor of int of shape (n,)
        Numbers of all rows, possible partners side by side.
    start, count : Tensor of int of shape (n,)
    own : Tensor of int of shape (n,)
        ``count`` or more if the row is not among its candidates.

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


class View(Component, ABC):
    """Write a view of your own: define ``__call__`` and any of the hooks below that you need.

    Attributes
    ----------
    default_encoder_y : {"shared", "separate"}
        Whether both views go through one encoder if the learner's ``encoder_y`` is not set.
    default_output : {"first", "second", "both"}
        The codes that ``transform`` returns if the learner's ``output`` is not set.
    transient : tuple of str
        Keys of the state that only training needs; ``fit`` drops them at its end.
    pairs_rows : bool
        The view pairs rows with other rows: those that ``partners`` allows, or those of a second
        table if ``paired``. ``__call__`` then gets both batches, as a pair.
    paired : bool
        The second row comes from a second table. Implies ``pairs_rows``.
    sees_whole_rows : bool
        The view needs rows as ``fit`` saw them, so it can only come first in a `Compose`.
    may_repeat_rows : bool
        Both views may be the same row. Whatever a later part of a `Compose` shares between its two
        views is then shared between two views of one row.
    adds_own_noise : bool
        Each view gets its own continuous noise, so the two share no exact value.
    draws_globally : bool
        The view draws from torch's global generators, not from the generator passed to it.
    needs : tuple of str
        Arguments of ``fit(X, y, groups=...)`` that the view requires: "groups", "y".
    ordered : bool
        Rows are a time series: its end is held out, not random rows.
    knows_kindred : bool
        Whether ``kindred`` says which rows of a batch are partners of one another.
    takes : {"any", "recordings", "others"}
        Rows that the view takes: only recordings, whose last channel says which steps were
        observed, or only others, or any.
    window : int
        The view sees each row of a table with the rows before it, as a recording of so many steps.
    """

    default_encoder_y: ClassVar[Literal["shared", "separate"]] = "shared"
    default_output: ClassVar[Literal["first", "second", "both"]] = "first"
    transient: ClassVar[tuple[str, ...]] = ()
    pairs_rows: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    sees_whole_rows: ClassVar[bool] = False
    may_repeat_rows: ClassVar[bool] = False
    adds_own_noise: ClassVar[bool] = False
    draws_globally: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    ordered: ClassVar[bool] = False
    knows_kindred: ClassVar[bool] = False
    takes: ClassVar[Literal["any", "recordings", "others"]] = "any"
    # No ClassVar: it may be a parameter.
    window = 1

    @abstractmethod
    def __call__(self, x: Any, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two views of a batch.

        Parameters
        ----------
        x : Tensor of shape ``(b, *input_shape)``, or a pair of them
            The scaled rows. With ``pairs_rows``, a pair of batches: rows and their partners.
        rows : Tensor of shape (b,) or None
            Their positions among the fitted rows; None for rows that ``fit`` did not see.
        state : dict of Tensor or None
            What ``fit`` returned, on the device of ``x``.
        generator : torch.Generator
            The only source of randomness to use.

        Returns
        -------
        pair : tuple of two Tensors of shape (b, ...)
            Row i of the first is the partner of row i of the second.
        """

    def fit(self, X: AnyRows) -> State:
        """Return what the view must remember of the training rows; by default nothing."""
        return None

    def sets(
        self, n_columns: int, names: Sequence[str] | None
    ) -> tuple[tuple[int, ...], ...] | None:
        """Return the sets of columns of a table that a row may lack as a whole.

        Parameters
        ----------
        n_columns : int
        names : sequence of str or None

        Returns
        -------
        sets : tuple of tuple of int or None
            Empty: all columns together, since the row has another table. None: a row has no other
            columns to be paired with.
        """
        return () if self.paired else None

    def check_labels(self, y: np.ndarray) -> None:
        """Reject labels that the view would misread; by default accept all.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Labels of all rows, including the held-out ones.
        """
        return None

    def partners(self, n: int, groups: Values, y: Values) -> Partners | None:
        """Return which rows of a table may be partners of which.

        Parameters
        ----------
        n : int
            Number of rows of the table.
        groups, y : ndarray of shape (n,) or None
            As passed to ``fit``.

        Returns
        -------
        partners : Partners or None
            None unless the view pairs rows with rows of the same table.
        """
        return None

    def kindred(self, rows: Tensor | None, state: State, groups: Tensor | None) -> Tensor | None:
        """Return which rows of a batch are partners of one another, beside the drawn ones.

        Parameters
        ----------
        rows : Tensor of shape (b,) or None
            Their positions among the fitted rows; None for rows that ``fit`` did not see.
        state : dict of Tensor or None
        groups : Tensor of int of shape (b,) or None
            Numbers of their groups, or of their classes if the view needs these.

        Returns
        -------
        mask : Tensor of bool of shape (b, b) or None
            None: not known.
        """
        return None

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, ...]:
        """Return the shapes of one row of each view.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of a row.
        state : dict of Tensor or None

        Returns
        -------
        shapes : tuple of tuple of int
            Two. More if the second view holds several tables, their columns side by side: one for
            each of them.
        """
        return input_shape, input_shape

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return what the two encoders see in ``transform``: no randomness, no other rows."""
        return x, x

    def variants(self, x: Tensor, state: State) -> list[Tensor]:
        """Return the fixed forms of each row whose codes ``output="averaged"`` averages."""
        return [self.inputs(x, state)[0]]

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return two views of a pair that another view has made; `Compose` calls it."""
        first, _ = self(x, rows, state, generator)
        _, second = self(x_prime, rows, state, generator)
        return first, second

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Return warnings about what the mutual information between these views means.

        Parameters
        ----------
        state : dict of Tensor or None
            What ``fit`` returned.
        shares_values : bool, default=True
            False in a `Compose` whose other part prevents exact shared values: it uses two
            different rows, or adds noise to each. Then leave out what follows from shared values.

        Returns
        -------
        facts : tuple of str
        """
        return ()
