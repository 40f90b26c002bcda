"""Views made of functions and of other views; the names of all views."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from sklearn_mi._base import Shape, resolve
from sklearn_mi.views.base import Pair, Partners, State, Values, View
from sklearn_mi.views.columns import Corruption, GaussianNoise, Halves
from sklearn_mi.views.images import Augment, LightnessColor, Transformed
from sklearn_mi.views.neighbors import Neighbors
from sklearn_mi.views.pairs import Paired, Same, SameClass, SameGroup, TimeLag
from sklearn_mi.views.recordings import AugmentRecording
from sklearn_mi.views.text import DropWords, HalfDocuments

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["VIEWS", "Compose", "Function", "as_view"]


@dataclass(repr=False, eq=False)
class Function(View):
    """Use any function of a batch as a view; ``view=function`` does the same.

    Parameters
    ----------
    function : callable
        ``function(x)`` or ``function(x, generator)``, from a Tensor of shape
        ``(b, *input_shape)`` to a pair of Tensors of b rows. Draws from ``generator`` are
        reproducible on every device, draws from torch's global generator on a CPU only.
        ``transform`` encodes the row itself, so the first view must keep the row's shape.

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
    may_repeat_rows = True

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
                    f"view={self.function!r}; expected it to return two tensors of {len(x)} rows, "
                    "as many as in the batch."
                )
        return made[0], made[1]

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Find the shapes by calling the function on two rows of zeros."""
        first, second = self(torch.zeros(2, *input_shape), None, state, torch.Generator())
        return tuple(first.shape[1:]), tuple(second.shape[1:])


def _takes_two(function: Callable[..., Any]) -> bool:
    """Return whether a callable accepts a second positional argument."""
    target = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        inspect.signature(target).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


@dataclass(repr=False, eq=False)
class Compose(View):
    """Chain two views: ``second`` acts on both rows of the pair that ``first`` makes.

    For example, ``Compose(Neighbors(), Corruption())`` pairs a row with a corrupted neighbour.
    ``second`` turns each row into a pair. The result keeps the first view of the first row and the
    second view of the second row.

    Parameters
    ----------
    first, second : str, View or callable
        Some views need whole rows and can only be ``first``: `Columns`, `Neighbors` and all views
        that pair rows with other rows.

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
        """Separate encoders if either part asks for them."""
        asked = {part.default_encoder_y for part in self._parts()}
        return "separate" if "separate" in asked else "shared"

    @property
    def default_output(self) -> str:  # type: ignore[override]
        """Both codes if either part gives both."""
        asked = {part.default_output for part in self._parts()}
        return "both" if "both" in asked else "first"

    @property
    def takes(self) -> str:  # type: ignore[override]
        """Rows that both parts take."""
        asked = {part.takes for part in self._parts()} - {"any"}
        return "any" if not asked else "recordings" if asked == {"recordings"} else "others"

    @property
    def window(self) -> int:  # type: ignore[override]
        """Rows of a table that the first part sees as one recording."""
        return self._parts()[0].window

    @property
    def transient(self) -> tuple[str, ...]:  # type: ignore[override]
        """Keys that either part needs in training only."""
        named = zip(("first", "second"), self._parts(), strict=True)
        return tuple(f"{which}_{key}" for which, part in named for key in part.transient)

    @property
    def pairs_rows(self) -> bool:  # type: ignore[override]
        """Whether the first part pairs rows with rows."""
        return self._parts()[0].pairs_rows

    @property
    def paired(self) -> bool:  # type: ignore[override]
        """Whether the first part takes a second table."""
        return self._parts()[0].paired

    @property
    def sees_whole_rows(self) -> bool:  # type: ignore[override]
        """Whether the first part works on rows as ``fit`` saw them."""
        return self._parts()[0].sees_whole_rows

    @property
    def may_repeat_rows(self) -> bool:  # type: ignore[override]
        """Whether both views may still be the same row after the second part."""
        return all(part.may_repeat_rows for part in self._parts())

    @property
    def adds_own_noise(self) -> bool:  # type: ignore[override]
        """Whether either part gives each view its own noise."""
        return any(part.adds_own_noise for part in self._parts())

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Arguments that the first part requires."""
        return self._parts()[0].needs

    @property
    def ordered(self) -> bool:  # type: ignore[override]
        """Whether the first part treats rows as a time series."""
        return self._parts()[0].ordered

    @property
    def knows_kindred(self) -> bool:  # type: ignore[override]
        """Whether the first part knows partners of one another."""
        return self._parts()[0].knows_kindred

    @property
    def draws_globally(self) -> bool:  # type: ignore[override]
        """Whether either part draws from torch's global generators."""
        return any(part.draws_globally for part in self._parts())

    def _parts(self) -> tuple[View, View]:
        return as_view(self.first), as_view(self.second)

    def __call__(
        self, x: Tensor | Pair, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return the two views of a batch."""
        first, second = self._parts()
        pair = first(x, rows, _state_of("first", state), generator)
        return second.pair(*pair, rows, _state_of("second", state), generator)

    def fit(self, X: AnyRows) -> State:
        """Fit both parts to the rows; the state holds their states under their names.

        Raises
        ------
        ValueError
            If ``second`` is a view of whole rows.
        """
        first, second = self._parts()
        if second.sees_whole_rows or second.pairs_rows:
            raise ValueError(
                f"second={self.second!r} looks at whole rows; make it the first part of Compose."
            )
        states = {"first": first.fit(X), "second": second.fit(X)}
        kept = {which: state or {} for which, state in states.items()}
        return {
            f"{which}_{key}": tensor for which in kept for key, tensor in kept[which].items()
        } or None

    def sets(
        self, n_columns: int, names: Sequence[str] | None
    ) -> tuple[tuple[int, ...], ...] | None:
        """Return the sets of columns of the first part."""
        return self._parts()[0].sets(n_columns, names)

    def check_labels(self, y: np.ndarray) -> None:
        """Let the first part check the labels."""
        self._parts()[0].check_labels(y)

    def partners(self, n: int, groups: Values, y: Values) -> Partners | None:
        """Return the partners of the first part."""
        return self._parts()[0].partners(n, groups, y)

    def kindred(self, rows: Tensor | None, state: State, groups: Tensor | None) -> Tensor | None:
        """Return the partners that the first part knows."""
        return self._parts()[0].kindred(rows, _state_of("first", state), groups)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, ...]:
        """Return the shapes of the views of the second part."""
        first, second = self._parts()
        shape, *others = first.shapes(input_shape, _state_of("first", state))
        state = _state_of("second", state)
        seconds = (second.shapes(other, state)[1] for other in others)
        return second.shapes(shape, state)[0], *seconds

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return what the encoders see in ``transform``."""
        first, second = self._parts()
        x, x_prime = first.inputs(x, _state_of("first", state))
        state = _state_of("second", state)
        return second.inputs(x, state)[0], second.inputs(x_prime, state)[1]

    def variants(self, x: Tensor, state: State) -> list[Tensor]:
        """Return the second part's forms of each form from the first part."""
        first, second = self._parts()
        forms = first.variants(x, _state_of("first", state))
        state = _state_of("second", state)
        return [form for each in forms for form in second.variants(each, state)]

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Return the warnings of both parts that apply to the two together."""
        first, second = self._parts()
        return first.caveats(
            _state_of("first", state), shares_values=shares_values and not second.adds_own_noise
        ) + second.caveats(
            _state_of("second", state), shares_values=shares_values and first.may_repeat_rows
        )


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
    "drop-words": DropWords,
    "half-documents": HalfDocuments,
    "halves": Halves,
    "lightness-color": LightnessColor,
    "moved-neighbors": lambda: Compose(Neighbors(), Augment(**_MOVED)),
    "neighbors": Neighbors,
    "noise": GaussianNoise,
    "paired": Paired,
    "recording": partial(AugmentRecording, crop=(0.5, 1.0), scale=0.2, noise=0.1),
    "same": Same,
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
