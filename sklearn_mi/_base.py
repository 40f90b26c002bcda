"""The words that every family shares."""

from __future__ import annotations

import difflib
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_mi._about import address

if TYPE_CHECKING:
    from torch import Tensor, nn

    # True where a cell of a score matrix counts; None: see there.
    Mask = Tensor | None

Shape = tuple[int, ...]
Status = Literal["lower", "upper", "neither"]
T = TypeVar("T")

# Where the site stands; empty until pyproject.toml names it.
SITE = address("Documentation")


class MIWarning(UserWarning):
    """A fact about a fit or a reported number that its reader should know."""


class InvalidModelError(ValueError):
    """A file or its bytes hold no learner that can be trusted to be the one that was saved.

    `sklearn_mi.load` raises it for every file that is truncated, altered, foreign or of another
    format, and ``fit`` for such a checkpoint. The message names the file, what is wrong and the
    cure.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import sklearn_mi
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "learner.safetensors")
    ...     _ = path.write_bytes(b"half a file")
    ...     try:
    ...         sklearn_mi.load(path)
    ...     except sklearn_mi.InvalidModelError:
    ...         print("refused")
    refused
    """


class DocLinkMixin:
    """Makes the diagram of an estimator in a notebook link to the estimator's page on our site.

    Stands before BaseEstimator among the bases of a class, whose attributes of these names lead to
    scikit-learn's site. Without a site the diagram has no link.
    """

    _doc_link_module = "sklearn_mi" if SITE else ""
    _doc_link_template = f"{SITE}/generated/{{page}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        # A page bears the public path: a room of several modules is one name to the reader.
        package, room, *_ = type(self).__module__.split(".")
        name = type(self).__name__
        at_the_top = name in sys.modules[package].__all__
        return {"page": f"{package}.{name}" if at_the_top else f"{package}.{room}.{name}"}


class Component(BaseEstimator):
    """Base of every description: a small object whose constructor only stores.

    A description says what is wanted (``MLP(hidden=(300, 300))``); ``fit`` builds the real
    thing from it. Subclasses are dataclasses, ``@dataclass(repr=False, eq=False)``, whose
    generated ``__init__`` is what scikit-learn demands, so ``clone``, ``get_params`` and
    ``encoder__hidden`` in a grid work.
    """


@dataclass(repr=False, eq=False)
class Auto(Component):
    """What the recipe picks, with parameters of the user's; made by a nested key on "auto".

    ``set_params(encoder__hidden=(64,))`` on ``encoder="auto"`` stores it: which encoder is picked
    is known in ``fit`` only.

    Parameters
    ----------
    changes : dict
        Parameters of the pick, by name.
    """

    changes: Mapping[str, Any]


def is_auto(value: Any) -> bool:
    """Tell whether a parameter is left to the recipe."""
    return isinstance(value, Auto) or (isinstance(value, str) and value == "auto")


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
    raise ValueError(
        f"{family}={value!r} is not a known name; expected one of {sorted(names)} "
        f"or an object.{did_you_mean(value, names)}"
    )


def did_you_mean(value: Any, names: Iterable[Any]) -> str:
    """Return " Did you mean ...?" with the nearest name, or nothing where none is near."""
    near = difflib.get_close_matches(str(value), map(str, names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def positive_integer(name: str, value: Any) -> int:
    """Return a parameter that must be a positive integer."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}; expected a positive integer.")
    if value < 1:
        raise ValueError(f"{name}={value!r}; expected a positive integer.")
    return int(value)


def a_number(name: str, value: Any, expected: str, legal: Callable[[float], bool]) -> float:
    """Return a parameter as a float if it is finite and ``legal``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}; expected {expected}.")
    if not (math.isfinite(value) and legal(float(value))):
        raise ValueError(f"{name}={value!r}; expected {expected}.")
    return float(value)


def check_name(parameter: str, value: Any, names: Iterable[str]) -> None:
    """Check that a parameter is one of ``names``."""
    if not isinstance(value, str):
        raise TypeError(f"{parameter}={value!r}; expected a name.")
    if value not in (names := list(names)):
        hint = did_you_mean(value, names)
        raise ValueError(f"{parameter}={value!r} is not known; expected one of {names}.{hint}")


def sizes(name: str, value: Any, example: str = "(200,)") -> tuple[int, ...]:
    """Return a parameter that must be a sequence of positive integers, as a tuple."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name}={value!r}; expected a tuple of positive integers: {example}.")
    return tuple(positive_integer(f"each of {name}", size) for size in value)


def check_equal_widths(d_x: int, d_y: int, description: Component, cure: str) -> None:
    """Refuse codes of two widths where they are compared component by component."""
    if d_x != d_y:
        raise ValueError(
            f"d_x={d_x} and d_y={d_y}; {description!r} compares codes of one width; give both "
            f"encoders the same width, or take {cure}."
        )


class Objective(Component, ABC):
    """Base of what training maximises; a subclass writes ``build`` and ``reported``.

    What training maximises and what is reported are two things: ``build`` makes a module with
    both. A `sklearn_mi.bounds.Bound` reports itself. Objectives that report InfoNCE derive from
    `sklearn_mi.objectives.Surrogate`, which leaves ``build`` alone to write.

    Attributes
    ----------
    has_head : bool
        Whether the module has a network for codes of one width.
    keeps_state : bool
        Whether the module remembers batches, so that only one stream of codes may go through it.
    needs_codes : bool
        Whether the module sees components of codes, not their scores alone.
    needs_columns : bool
        Whether columns of the score matrix have partners, too, as rows do.
    needs_views : bool
        Whether the module reads the views themselves, `Codes.x` and `Codes.x_prime`. Where several
        processes train one model, these are None otherwise.
    by_rows : bool
        Whether the value is the mean over rows of a number that each row's scores give, if every
        other column is a negative. Several processes then score their own rows alone.
    """

    has_head: ClassVar[bool] = False
    keeps_state: ClassVar[bool] = False
    needs_codes: ClassVar[bool] = False
    needs_columns: ClassVar[bool] = False
    needs_views: ClassVar[bool] = False
    by_rows: ClassVar[bool] = False

    @abstractmethod
    def build(self, d_x: int, d_y: int) -> nn.Module:
        """Return the module to train with the critic.

        Parameters
        ----------
        d_x, d_y : int
            Number of components of the two codes.

        Returns
        -------
        module : BoundModule
            Maps `Codes` to what training maximises; its ``report`` gives the value of
            ``reported``, in nats.
        """

    @property
    @abstractmethod
    def reported(self) -> Objective:
        """Return the bound whose value the module reports."""

    @property
    def status(self) -> Status:
        """Return the status of the reported bound: "lower", "upper" or "neither"."""
        return self.reported.status

    def ceiling(self, n: int) -> float:
        """Return the largest value that can be reported with n candidates."""
        return self.reported.ceiling(n)


class Codes:
    """What an objective sees of one batch: the codes, and scores made only when asked for.

    Parameters
    ----------
    z_x, z_y : Tensor of shape (n, d_x), (m, d_y)
        Codes of the two views.
    critic : Module or callable
        ``critic(z_x, z_y)`` is the score matrix.
    x, x_prime : Tensor, default=None
        The views themselves.
    negatives : Tensor of bool of shape (n, m), default=None
        True where a pair stands for a draw from the product of the marginals; None: every cell
        that is no positive.
    positives : Tensor of bool of shape (n, m), default=None
        True where a pair is a draw from the joint distribution; None: the diagonal, row i of the
        one view with row i of the other.
    scores : Tensor of shape (n, m), default=None
        The score matrix, if it is made already.
    maps_x, maps_y : dict of Tensor of shape (n, channels, ...), default=None
        Feature maps of both views by the names of their layers, where a comparison asks for them.
    seen_x, seen_y : Tensor of bool of shape (n, steps), default=None
        Which steps of the maps were observed; None: all.
    kindred : Tensor of bool of shape (n, n), default=None
        True where the partner of the column is a partner of the row, too; None: not known.
    draws : Tensor of shape (n, n_draws), default=None
        Uniform draws from [0, 1) for each row, where a comparison asks for them.
    present : Tensor of bool of shape (n, n_tables), default=None
        Which rows have which of several tables; None: every row has all.
    weight : float, default=1.0
        Weight among the codes that a comparison returns.
    added : Tensor of shape (), default=None
        What training maximises beside the objective, such as minus a penalty.
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
        positives: Tensor | None = None,
        scores: Tensor | None = None,
        maps_x: Mapping[str, Tensor] | None = None,
        maps_y: Mapping[str, Tensor] | None = None,
        seen_x: Tensor | None = None,
        seen_y: Tensor | None = None,
        kindred: Tensor | None = None,
        draws: Tensor | None = None,
        present: Tensor | None = None,
        weight: float = 1.0,
        added: Tensor | None = None,
    ) -> None:
        self.z_x, self.z_y, self.critic = z_x, z_y, critic
        self.x, self.x_prime = x, x_prime
        self.negatives, self.positives = negatives, positives
        self.maps_x, self.maps_y = maps_x or {}, maps_y or {}
        self.seen_x, self.seen_y = seen_x, seen_y
        self.kindred, self.draws, self.present = kindred, draws, present
        self.weight, self.added = weight, added
        self._scores = scores

    @property
    def scores(self) -> Tensor:
        """Return ``scores[i, j] = f(x_i, y_j)``, of shape (n, m), computed on first use."""
        if self._scores is None:
            self._scores = self.critic(self.z_x, self.z_y)
        return self._scores

    @property
    def has_scores(self) -> bool:
        """Return whether the scores were made."""
        return self._scores is not None

    def subset(self, rows: Tensor) -> Codes:
        """Return the codes of some rows, without the columns that only other rows are paired with.

        Parameters
        ----------
        rows : Tensor of bool of shape (n,)

        Returns
        -------
        codes : Codes
            Scores that were made are cut, others stay unmade.
        """
        if self.positives is None:
            columns = rows.new_ones(len(self.z_y))
            columns[: len(rows)] = rows
        else:
            columns = self.positives[rows].any(0) | ~self.positives.any(0)

        def cut(table: Tensor | None) -> Tensor | None:
            return None if table is None else table[rows][:, columns]

        return Codes(
            self.z_x[rows],
            self.z_y[columns],
            self.critic,
            x=None if self.x is None else self.x[rows],
            # A queue has columns of rows whose views are gone.
            x_prime=None if self.x_prime is None else self.x_prime[columns[: len(self.x_prime)]],
            negatives=cut(self.negatives),
            positives=cut(self.positives),
            scores=cut(self._scores),
            maps_x={name: feature_map[rows] for name, feature_map in self.maps_x.items()},
            maps_y={name: feature_map[columns] for name, feature_map in self.maps_y.items()},
            seen_x=None if self.seen_x is None else self.seen_x[rows],
            seen_y=None if self.seen_y is None else self.seen_y[columns],
            kindred=None if self.kindred is None else self.kindred[rows][:, rows],
            draws=None if self.draws is None else self.draws[rows],
            present=None if self.present is None else self.present[rows],
            weight=self.weight,
        )


def is_same(a: Any, b: Any) -> bool:
    """Tell whether two values of a parameter are equal, descriptions by their own parameters.

    Parameters
    ----------
    a, b : object

    Returns
    -------
    answer : bool
    """
    if a is b:
        return True
    if isinstance(a, Real) and isinstance(b, Real):
        return bool(a == b)
    if type(a) is not type(b):
        return False
    if isinstance(a, Component):
        return is_same(a.get_params(deep=False), b.get_params(deep=False))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(is_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)
