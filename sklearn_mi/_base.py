"""The words that every family shares. Imports nothing of ours."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Status = Literal["lower", "upper", "neither"]
T = TypeVar("T")


class MIWarning(UserWarning):
    """A fact about a fit or a reported number that its reader should know."""


class Component(BaseEstimator):
    """Base of every description: a small object whose constructor only stores.

    A description says what is wanted (``MLP(hidden=(300, 300))``); ``fit`` builds the real
    thing from it. Subclasses are dataclasses, ``@dataclass(repr=False, eq=False)``, whose
    generated ``__init__`` is what scikit-learn demands, so ``clone``, ``get_params`` and
    ``encoder__hidden`` in a grid work.
    """


def resolve(family: str, value: Any, names: Mapping[str, Callable[[], T]]) -> T | Any:
    """Return the default object of a name; anything that is no name comes back as given.

    Raises
    ------
    ValueError
        If ``value`` is a string that ``names`` lacks; the message lists the legal names.
    """
    if not isinstance(value, str):
        return value
    if value in names:
        return names[value]()
    near = difflib.get_close_matches(value, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"{family}={value!r} is not a known name; expected one of {sorted(names)} "
        f"or an object.{hint}"
    )


def positive_integer(name: str, value: Any) -> int:
    """Return a parameter that must be a positive integer."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}; expected a positive integer.")
    if value < 1:
        raise ValueError(f"{name}={value!r}; expected a positive integer.")
    return int(value)


class Codes:
    """What an objective sees of one batch: the codes, and scores made only when asked for.

    Attributes
    ----------
    z_x, z_y : Tensor of shape (n, d_x), (m, d_y)
        Codes of the two views; row i of the one is the partner of row i of the other.
    x, x_prime : Tensor or None
        The views themselves.
    critic : Module
        ``critic(z_x, z_y)`` is the score matrix.
    negatives : Tensor of shape (n, m) or None
        True where a pair stands for a draw from the product of the marginals; None: every
        cell off the diagonal.
    scores : Tensor of shape (n, m)
        ``scores[i, j] = f(x_i, y_j)``, computed on first use.
    """

    def __init__(
        self,
        z_x: Tensor,
        z_y: Tensor,
        critic: Callable[[Tensor, Tensor], Tensor],
        *,
        x: Tensor | None = None,
        x_prime: Tensor | None = None,
        negatives: Tensor | None = None,
    ) -> None:
        self.z_x, self.z_y, self.critic = z_x, z_y, critic
        self.x, self.x_prime, self.negatives = x, x_prime, negatives

    @cached_property
    def scores(self) -> Tensor:
        return self.critic(self.z_x, self.z_y)
