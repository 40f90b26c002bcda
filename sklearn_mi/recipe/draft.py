"""A recipe: what a learner is built from, first as a draft, then frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn_mi._base import Auto, Component, Shape, is_auto, is_same, resolve
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.comparisons import COMPARISONS
from sklearn_mi.critics import CRITICS
from sklearn_mi.encoders import ENCODERS
from sklearn_mi.front_ends import FRONT_ENDS, as_front_end
from sklearn_mi.negatives import NEGATIVES
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.recipe.entries import (
    BY_MUON,
    ENTRIES,
    LINEAR,
    MUON_DECAY,
    MUON_RATE,
    PICKED,
    RATES,
    Decay,
    Entry,
    kind_of_data,
)
from sklearn_mi.recipe.facts import FRONT, IN_PARTS, NARROWEST_SPLIT, SEVERAL, WIDE, Choice, Facts
from sklearn_mi.recipe.methods import asked_for, asks_for_parts, changes_of, refuse_one_table
from sklearn_mi.views import VIEWS

__all__ = [
    "FAMILIES",
    "MODEL_PARAMETERS",
    "Draft",
    "Recipe",
    "changed_parameters",
    "check_unchanged",
    "open_parameters",
    "over_steps",
    "snapshot",
    "training_choices",
]

FAMILIES: dict[str, Mapping[str, Callable[[], Any]]] = {
    "comparison": COMPARISONS,
    "critic": CRITICS,
    "encoder": ENCODERS,
    "encoder_y": ENCODERS,
    "front_end": FRONT_ENDS,
    "head": ENCODERS,
    "negatives": NEGATIVES,
    "objective": {**BOUNDS, **OBJECTIVES},
    "view": VIEWS,
}
MODEL_PARAMETERS = (
    "n_components",
    "view",
    "encoder",
    "encoder_y",
    "critic",
    "comparison",
    "objective",
    "negatives",
    "head",
    "output",
    "input_shape",
    "standardize",
    "front_end",
    "column_weights",
)


@dataclass(frozen=True)
class Recipe:
    """What a model was built from: every parameter of the model, resolved.

    ``transform``, ``score``, reports and files read the recipe, never the current parameters.

    Parameters
    ----------
    kind : str
        A key of `ENTRIES`.
    view, encoder, encoder_y, critic, comparison, objective, negatives, head : object
        Names or descriptions; ``encoder_y`` may be "shared" or "separate".
    output : str
    n_components : int or None
        None: the encoder's own width.
    input_shape : tuple of int or None
    standardize : bool or "auto"
    front_end : object or None
    column_weights : array-like, dict or None
    choices : dict of Choice
        What was picked for the parameters left open.
    given : dict
        The parameters as the user gave them.
    """

    kind: str
    n_components: int | None
    view: Any
    encoder: Any
    encoder_y: Any
    critic: Any
    comparison: Any
    objective: Any
    negatives: Any
    head: Any
    output: str
    input_shape: Shape | None
    standardize: bool | str
    front_end: Any = None
    column_weights: Any = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    def __deepcopy__(self, memo: Any) -> Recipe:
        """Return itself: it is frozen, and the user's objects in it are compared by identity."""
        return self

    def finish(self, widths: tuple[int, ...], encoder_y: Any, output: str) -> Recipe:
        """Return itself, since nothing is left open; see `Draft.finish`."""
        return self


@dataclass(frozen=True)
class Draft:
    """A recipe before anything is built: what the user gave, and an entry for everything else.

    Parameters
    ----------
    facts : Facts
    given : dict
        Every parameter of the model as the user gave it.
    entry : Entry
    left_open : frozenset of str
    """

    facts: Facts
    given: Mapping[str, Any]
    entry: Entry
    left_open: frozenset[str]

    @classmethod
    def of(cls, given: Mapping[str, Any], facts: Facts, also_open: frozenset[str]) -> Draft:
        """Return the draft for parameters and facts.

        Parameters
        ----------
        given : dict
        facts : Facts
        also_open : frozenset of str
            The parameters of training left open.
        """
        left_open = open_parameters(given) | also_open
        kind = kind_of_data(facts, left_open)
        entry, changes = ENTRIES[kind], changes_of(given["comparison"], kind)
        if "view" in left_open and kind != "paired":
            refuse_one_table(given["comparison"], facts)
        kept = {name: snapshot(given[name]) for name in MODEL_PARAMETERS}
        return cls(facts, kept, dataclasses.replace(entry, **changes), left_open)

    @property
    def is_as_tried(self) -> bool:
        """Whether the entry's defaults for training by Muon all apply."""
        return self._holds() >= BY_MUON

    @property
    def view(self) -> Any:
        """The view, a name or a description."""
        return self._value("view")

    @property
    def front_end(self) -> Any:
        """The front end, a name or a description; None without one."""
        value = self._value("front_end")
        return None if is_auto(value) else value

    @property
    def encoder(self) -> Any:
        """The encoder of the first view, a name or a description."""
        return self._value("encoder")

    @property
    def n_components(self) -> int | None:
        """Width of a code; None: the encoder's own width."""
        return self._value("n_components")

    @property
    def output(self) -> str | None:
        """What ``transform`` returns; None: the view decides."""
        return self._value("output")

    @property
    def encoder_y(self) -> Any:
        """The encoder of the second view; None: the view decides."""
        return self.given["encoder_y"]

    @property
    def head(self) -> Any:
        """The network between code and critic, or None."""
        return self.given["head"]

    def pick(self, name: str, widths: tuple[int, ...] | None = None) -> Choice | None:
        """Return what is picked for a parameter; None if it is given or keeps its default."""
        default = getattr(self.entry, name) if name in self.left_open else None
        chosen = default and default.pick(self._holds(widths, name))
        if chosen is None:
            return None
        # A copy, since the user's nested parameters are set on it and all learners share entries.
        return Choice(snapshot(chosen.value), chosen.reason.format(**self.facts.words))

    def finish(self, widths: tuple[int, ...], encoder_y: Any, output: str) -> Recipe:
        """Return the recipe, now that the widths of the codes are known.

        Parameters
        ----------
        widths : tuple of int
            Widths of the codes that the critic sees, one for each table.
        encoder_y : object
            "shared", "separate", or what the encoder of the second view was built from.
        output : str
        """
        picked = {name: self.pick(name, widths) for name in MODEL_PARAMETERS if name in PICKED}
        picked["input_shape"] = self.facts.shape_choice
        values = {name: self._value(name, widths) for name in MODEL_PARAMETERS}
        choices = {name: choice for name, choice in picked.items() if choice is not None}
        own = {"encoder_y": encoder_y, "output": output, "front_end": self.front_end}
        built = {**values, **own}
        if self.facts.kind.reason:
            built["input_shape"] = self.facts.kind.input_shape
        return Recipe(kind=self.entry.kind, **built, choices=choices, given=self.given)

    @property
    def _makes_features(self) -> bool:
        """Whether a front end makes rows of a table of recordings."""
        front_end = self.front_end
        return front_end is not None and not as_front_end(front_end).gives_recordings

    def _holds(self, widths: tuple[int, ...] | None = None, name: str = "") -> set[str]:
        holds = self.left_open | self.facts.conditions
        comparison = self.given["comparison"]
        if is_auto(comparison) or asks_for_parts(comparison):
            holds |= {IN_PARTS}
        asked = asked_for(comparison)
        if asked is not None and asked.allows_parts:
            # The parts of each pair of tables, as if the comparison were left open.
            holds |= {IN_PARTS, "comparison"}
        if name != "front_end" and self._makes_features:
            holds |= {FRONT}
        if self._narrowest(widths, name) >= NARROWEST_SPLIT:
            holds |= {WIDE}
        if widths is not None and len(widths) > 2:
            holds |= {SEVERAL}
        return set(holds)

    def _narrowest(self, widths: tuple[int, ...] | None, name: str) -> int:
        """Return the width of the narrowest code: that asked for, until the encoders are built."""
        if name in ("n_components", "front_end"):
            return 0
        # What was built must stay what was picked.
        if widths is None or name == "encoder":
            return self.n_components or 0
        return min(widths)

    def _value(self, name: str, widths: tuple[int, ...] | None = None) -> Any:
        given = self.given[name]
        choice = self.pick(name, widths)
        if choice is None:
            return given
        return _with_changes(name, choice.value, given) if isinstance(given, Auto) else choice.value


def open_parameters(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the model's parameters left open.

    Parameters
    ----------
    given : dict

    Returns
    -------
    names : frozenset of str
    """
    names = ("view", "encoder", "critic", "comparison", "objective", "front_end")
    left_open = {name for name in names if is_auto(given[name])}
    if given["n_components"] is None and "encoder" in left_open:
        left_open.add("n_components")
    if given["output"] is None:
        left_open.add("output")
    return frozenset(left_open)


def training_choices(draft: Draft, *, has_own_schedule: bool = False) -> dict[str, Choice]:
    """Return what is picked for the parameters of training left open.

    Parameters
    ----------
    draft : Draft
    has_own_schedule : bool, default=False
        Whether a callback of the user changes the learning rate.

    Returns
    -------
    choices : dict of Choice
        For "optimizer", "schedule", "lr", "weight_decay", "max_steps", "precision" and
        "half_size". What depends on the number of steps is still open; see `over_steps`.
    """
    picked: dict[str, Choice] = {}
    is_open = "schedule" in draft.left_open
    if has_own_schedule:
        draft = dataclasses.replace(draft, left_open=draft.left_open - {"schedule"})
    if "max_steps" in draft.left_open:
        length = draft.entry.max_steps.pick(draft._holds())
        picked["max_steps"] = length.value.steps(draft.facts)  # type: ignore[union-attr]
    for name in ("optimizer", "precision", "weight_decay", "half_size"):
        if (choice := draft.pick(name)) is not None:
            picked[name] = choice
    if "weight_decay" in picked and draft.facts.is_by_muon and not draft.is_as_tried:
        picked["weight_decay"] = Choice(MUON_DECAY, "")
    schedule = _schedule(draft, has_own_schedule)
    if is_open:
        picked["schedule"] = schedule
    if "lr" in draft.left_open:
        picked["lr"] = draft.pick("lr") or _usual_rate(draft.facts, schedule)
    return picked


def over_steps(choices: Mapping[str, Choice], steps: int) -> dict[str, Choice]:
    """Return the choices for training, once its number of steps is known.

    Parameters
    ----------
    choices : dict of Choice
    steps : int

    Returns
    -------
    choices : dict of Choice
    """
    return {
        name: choice.value.over(steps) if isinstance(choice.value, Decay) else choice
        for name, choice in choices.items()
    }


def _usual_rate(facts: Facts, schedule: Choice) -> Choice:
    """Return the usual rate of the optimiser that the user named, or of the schedule."""
    return Choice(0.02, MUON_RATE) if facts.is_by_muon else RATES[schedule.value]


def _schedule(draft: Draft, has_own_schedule: bool) -> Choice:
    """Return the schedule that a callback, a named optimiser or the entry decides."""
    if has_own_schedule:
        return Choice("constant", "an LRScheduler among the callbacks sets the rate")
    if draft.facts.is_by_muon and draft.facts.is_whole:
        return Choice(*LINEAR)
    return draft.pick("schedule") or Choice("constant", "")


def _with_changes(name: str, picked: Any, auto: Auto) -> Any:
    """Return what was picked, with the user's nested parameters set on it."""
    description = resolve(name, picked, FAMILIES[name])
    for key in auto.changes:
        try:
            description.set_params(**{key: auto.changes[key]})
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"{name}__{key}: {name}='auto' picked {picked!r}, {description!r}, which has no "
                f"parameter {key!r}; name the {name} that has it."
            ) from error
    return description


def snapshot(value: Any) -> Any:
    """Return a copy of a parameter that a later ``set_params`` does not change.

    Parameters
    ----------
    value : object
        Descriptions and containers are copied; modules, functions and arrays are not.

    Returns
    -------
    copy : object
    """
    if isinstance(value, Component):
        params = value.get_params(deep=False)
        return type(value)(**{name: snapshot(inner) for name, inner in params.items()})
    if isinstance(value, list | tuple):
        return type(value)(snapshot(item) for item in value)
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    return value


def changed_parameters(recipe: Recipe, params: Mapping[str, Any]) -> list[str]:
    """Return the parameters that have changed since the model was built.

    Parameters
    ----------
    recipe : Recipe
    params : dict
        The current parameters.

    Returns
    -------
    names : list of str
    """
    return [name for name in MODEL_PARAMETERS if not is_same(recipe.given[name], params[name])]


def check_unchanged(recipe: Recipe, settings: Mapping[str, Any]) -> None:
    """Reject a continuation if a parameter of the model has changed since it was built.

    Parameters
    ----------
    recipe : Recipe
    settings : mapping
        The current parameters.

    Raises
    ------
    ValueError
        If so; the message names the parameters, and ``fit`` as the cure.
    """
    changed = changed_parameters(recipe, settings)
    if changed:
        now = ", ".join(f"{name}={settings[name]!r}" for name in changed)
        raise ValueError(
            f"{now}: the model was built with another value, and training goes on from it; call "
            "fit to build a new model (with warm_start=False), or set the parameter back."
        )
