"""Recipes: what a learner is built from, and the defaults for each kind of data.

`ENTRIES` is the table of defaults: one entry for each kind of data, with reasons. A `Draft` joins
an entry with what the user gave. Once the widths of the codes are known it becomes a `Recipe`,
which is frozen and kept in the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn_mi._base import Auto, Component, Shape, is_auto, is_same, resolve
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.comparisons import COMPARISONS, as_comparison
from sklearn_mi.critics import CRITICS
from sklearn_mi.encoders import ENCODERS
from sklearn_mi.negatives import NEGATIVES
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.rows import Image, Kind, Table
from sklearn_mi.views import VIEWS

__all__ = [
    "EFFORTS",
    "ENTRIES",
    "FAMILIES",
    "MODEL_PARAMETERS",
    "OPEN_PARAMETERS",
    "Choice",
    "Draft",
    "Entry",
    "Facts",
    "Recipe",
    "changed_parameters",
    "over_steps",
    "training_choices",
]

FAMILIES: dict[str, Mapping[str, Callable[[], Any]]] = {
    "comparison": COMPARISONS,
    "critic": CRITICS,
    "encoder": ENCODERS,
    "encoder_y": ENCODERS,
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
)
_PICKED = {"view", "encoder", "critic", "comparison", "objective", "output", "n_components"}
# Factors on the usual number of steps of ``fit``.
EFFORTS = {"quick": 0.5, "normal": 1.0, "thorough": 3.0}

NARROWEST_SPLIT = 8
WIDEST_ADDED = 256
REFERENCES_IN_GIB = 4.0

# Conditions of a default, besides the parameters that must be left open as well.
FITS = "all rows fit into memory as references"
NARROW = "a row is one of a narrow table"
COLOUR = "a row is an image of several channels"
WHOLE = "this is a training of its own"
WIDE = "codes have at least 8 components"
IN_PARTS = "codes may be scored part by part"
MUON = "the optimiser is Muon, by name or by default"
ROOMY = "an image has 24 pixels a side or more"
BFLOAT16 = "this processor multiplies bfloat16 by itself"


@dataclass(frozen=True)
class Choice:
    """What was picked for a parameter left open, and why.

    Parameters
    ----------
    value : object
        A name, a number or a description that the parameter accepts.
    reason : str
    """

    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.value!r}: {self.reason}"


@dataclass(frozen=True)
class Facts:
    """What is known about the rows before anything is trained.

    Parameters
    ----------
    n_rows : int
        Number of rows to train on.
    kind : Kind
        What a row of the first table is.
    kind_pair : Kind or None
        What a row of the second table is, if there is one.
    batch_size : int
    is_mixed : bool
        Whether the table has numbers and columns of 0 and 1; see `sklearn_mi.rows.find_flags`.
    is_whole : bool
        Whether this is a whole training (``fit``), not one pass of many (``partial_fit``).
    optimizer : object
        As the user gave it.
    effort : str
        A key of `EFFORTS`.
    has_bfloat16 : bool
        Whether training runs on a processor with instructions for bfloat16.
    """

    n_rows: int
    kind: Kind
    kind_pair: Kind | None
    batch_size: int
    is_mixed: bool = False
    is_whole: bool = True
    optimizer: Any = "auto"
    effort: str = "normal"
    has_bfloat16: bool = False

    @property
    def is_by_muon(self) -> bool:
        """Whether the user named Muon."""
        return isinstance(self.optimizer, str) and self.optimizer == "muon"

    @property
    def dense_gib(self) -> float:
        """Size of all rows as dense float32 numbers, in GiB."""
        return 4 * self.n_rows * self.kind.n_inputs / 2**30

    @property
    def conditions(self) -> set[str]:
        """The conditions of defaults that these rows meet."""
        kind = self.kind
        holds = {
            FITS: self.dense_gib <= REFERENCES_IN_GIB,
            NARROW: isinstance(kind, Table) and kind.n_inputs <= WIDEST_ADDED,
            COLOUR: isinstance(kind, Image) and kind.n_channels > 1,
            WHOLE: self.is_whole,
            MUON: is_auto(self.optimizer) or self.is_by_muon,
            ROOMY: isinstance(kind, Image) and min(kind.row_shape[:2]) >= 24,
            BFLOAT16: self.has_bfloat16,
        }
        return {condition for condition, is_met in holds.items() if is_met}

    @property
    def shape_choice(self) -> Choice | None:
        """How rows were read, if their shape alone does not decide it."""
        kinds = [kind for kind in (self.kind, self.kind_pair) if kind is not None and kind.reason]
        if not kinds:
            return None
        return Choice(self.kind.row_shape, "; ".join(kind.reason for kind in kinds))

    @property
    def words(self) -> dict[str, Any]:
        """The facts that reasons may name in braces."""
        is_rgb = isinstance(self.kind, Image) and self.kind.n_channels == 3
        return {
            "shape": self.kind.row_shape,
            "numbers": self.kind.n_inputs,
            "gib": self.dense_gib,
            "channels": "" if is_rgb else "; what needs red, green and blue is left out",
        }


@dataclass(frozen=True)
class Default:
    """What is picked if some conditions hold, and what is picked otherwise.

    Parameters
    ----------
    value : object
    reason : str
        May name facts in braces; see `Facts.words`.
    needs : frozenset of str
        Parameters that must be left open as well, and conditions that must hold.
    otherwise : Default or None
        None: the parameter keeps its own default.
    """

    value: Any
    reason: str
    needs: frozenset[str] = frozenset()
    otherwise: Default | None = None

    def pick(self, holds: set[str]) -> Default | None:
        """Return the default whose conditions hold."""
        if self.needs <= holds:
            return self
        return None if self.otherwise is None else self.otherwise.pick(holds)


def _default(value: Any, reason: str, *needs: str, otherwise: Default | None = None) -> Default:
    return Default(value, reason, frozenset(needs), otherwise)


@dataclass(frozen=True)
class Length:
    """Length of training: some passes, within limits of steps and of passes, times the effort."""

    least: int
    most: int
    most_passes: int = 250
    passes: int = 30

    def steps(self, facts: Facts) -> Choice:
        """Return the number of steps for these rows."""
        steps_a_pass = max(1, facts.n_rows // min(facts.batch_size, facts.n_rows))
        usual = min(
            max(self.least, self.passes * steps_a_pass), self.most, self.most_passes * steps_a_pass
        )
        steps = max(1, round(usual * EFFORTS[facts.effort]))
        effort = "" if facts.effort == "normal" else f"; effort={facts.effort!r}"
        return Choice(steps, f"{steps / steps_a_pass:.1f} passes over {facts.n_rows} rows{effort}")


@dataclass(frozen=True)
class Decay:
    """Weight decay: less for longer training, so that the total decay stays the same."""

    most: float
    steps: int

    def over(self, steps: int) -> Choice:
        """Return the decay for a number of steps."""
        value = self.most * min(1.0, self.steps / steps)
        reason = "without it Muon makes weights, and so codes, grow with every step"
        return Choice(value, f"{reason}; {self.most} up to {self.steps} steps, less beyond")


@dataclass(frozen=True)
class Entry:
    """The whole default of one kind of data.

    Parameters
    ----------
    kind : str
    view, encoder, critic, comparison, objective, n_components : Default
    optimizer, schedule, lr, weight_decay, max_steps, precision, half_size : Default
    output : Default or None
        None: the view decides.
    """

    kind: str
    view: Default
    encoder: Default
    critic: Default
    comparison: Default
    objective: Default
    n_components: Default
    output: Default | None
    optimizer: Default
    schedule: Default
    lr: Default
    weight_decay: Default
    max_steps: Default
    precision: Default
    half_size: Default


_OF_TRAINING = {f.name for f in dataclasses.fields(Entry)} - {"kind", *_PICKED}
OPEN_PARAMETERS = frozenset(_PICKED | _OF_TRAINING)
# The rate if the entry has none: under an optimiser or a schedule that the user named.
RATES = {
    "cosine": Choice(3e-3, "the rate falls to 0 along a cosine"),
    "constant": Choice(1e-3, "the rate does not change"),
}
LINEAR = ("linear", "the rate falls to 0, which Muon needs")
MUON_RATE = "the rate that suits Muon"
MUON_DECAY = Decay(0.2, 800)
_MODEL = ("encoder", "critic", "objective")

# Defaults that several entries share, since they were measured together.
_PERCEPTRON = _default("gelu-mlp", "rows of {numbers} numbers")
_CAUCHY = _default("cauchy", "scores fall with distance between codes, which helps with few labels")
_HALVES = _default(
    "cauchy-cosine",
    "half of the code by distance, which helps with few labels, half by direction, with many",
    *("objective", IN_PARTS, WIDE),
    otherwise=_CAUCHY,
)
_INFONCE = _default("infonce", "the bound of least variance")
_OF_EACH_HALF = _default(
    "each-part",
    "InfoNCE of each half, so that neither relies on the other",
    *("critic", "comparison", WIDE),
    otherwise=_INFONCE,
)
_OWN_WIDTH = _default(None, "the encoder's own width")
_TWO_HALVES = _default(
    64, "one half for each part of the code", *_MODEL, IN_PARTS, otherwise=_OWN_WIDTH
)
_BY_MUON = frozenset({"lr", "schedule", *_MODEL, WHOLE, IN_PARTS, MUON})


def _by_muon(value: Any, reason: str, *needs: str, otherwise: Default | None = None) -> Default:
    return _default(value, reason, *_BY_MUON, *needs, otherwise=otherwise)


_CONSTANT = _default("constant", "it suits any model, and training that continues later")
_COSINE = _default(
    *("cosine", "a falling rate can start higher", "lr", *_MODEL, WHOLE, IN_PARTS),
    otherwise=_CONSTANT,
)
_ADAM = _default("adam", "it suits any model, and training that continues later")
_MUON = _by_muon("muon", "it gets as far in a third of the steps", otherwise=_ADAM)
_FULL = _default("float32", "full precision")
_WHOLE_SIZE = _default(0.0, "images as they are")
_NO_DECAY = _default(0.0, "weights stay small without it")
_CORRUPTION = _default(
    "corruption", "neighbours would keep all rows in memory, {gib:.1f} GiB as dense numbers"
)
_CLOSE_ROWS = _default(
    "neighbors", "a table: close rows tend to mean the same thing", FITS, otherwise=_CORRUPTION
)
_WHOLE_CODES = _default("whole", "whole codes are scored against whole codes")
_BESIDE_COLUMNS = _default(
    "with-columns",
    "the code helps with few labels, the columns with many",
    *(*_MODEL, "view", "output", "n_components", NARROW),
)
_LONG = _default(Length(1200, 4800), "")
_SHORT = _by_muon(Length(400, 1200, passes=20), "", otherwise=_LONG)

_NUMBERS = Entry(
    kind="numbers",
    view=_CLOSE_ROWS,
    encoder=_PERCEPTRON,
    critic=_HALVES,
    comparison=_WHOLE_CODES,
    objective=_OF_EACH_HALF,
    n_components=_TWO_HALVES,
    output=_BESIDE_COLUMNS,
    optimizer=_MUON,
    schedule=_by_muon(*LINEAR, otherwise=_COSINE),
    lr=_by_muon(0.02, MUON_RATE),
    weight_decay=_NO_DECAY,
    max_steps=_SHORT,
    precision=_FULL,
    half_size=_WHOLE_SIZE,
)

_ENTRIES = (
    _NUMBERS,
    Entry(
        kind="numbers and categories",
        view=_CLOSE_ROWS,
        encoder=_default(
            "passthrough",
            "a table of numbers and categories, whose columns say things that no other one does: "
            "they stay in the code",
        ),
        critic=_default("bilinear", "it learns how to weight the columns of the code"),
        comparison=_WHOLE_CODES,
        objective=_INFONCE,
        n_components=_OWN_WIDTH,
        output=None,
        optimizer=_MUON,
        schedule=_by_muon(*LINEAR, otherwise=_CONSTANT),
        lr=_by_muon(0.02, MUON_RATE),
        weight_decay=_NO_DECAY,
        max_steps=_by_muon(Length(200, 200), "", otherwise=_LONG),
        precision=_FULL,
        half_size=_WHOLE_SIZE,
    ),
    dataclasses.replace(
        _NUMBERS,
        kind="grey image",
        view=_default(
            "moved-neighbors",
            "grey images: close ones tend to mean the same thing, and so do ones that are "
            "shifted or turned a little",
        ),
        encoder=_default(
            *("lenet", "grey images, in which the place of a stroke matters", "view"),
            otherwise=_PERCEPTRON,
        ),
        output=None,
        lr=_by_muon(0.1, MUON_RATE, "view", otherwise=_NUMBERS.lr),
        weight_decay=_by_muon(MUON_DECAY, "", "view", otherwise=_NO_DECAY),
        # Every step draws new pairs, so few rows support longer training.
        max_steps=_by_muon(
            *(Length(800, 2400, most_passes=500), "", "view"),
            otherwise=_default(Length(2400, 4800, most_passes=500), "", "view", otherwise=_SHORT),
        ),
    ),
    dataclasses.replace(
        _NUMBERS,
        kind="tiny grey image",
        view=_default(
            "neighbors", "images under 8 pixels a side: a shift would change what they show"
        ),
        output=None,
    ),
    Entry(
        kind="colour image",
        view=_default(
            "simclr", "rows are images of shape {shape}; one pixel alone says little{channels}"
        ),
        encoder=_default("convnet", "rows are images of shape {shape}"),
        critic=_default(
            *("cosine", "with augmentations, directions suit a linear probe better", "view"),
            otherwise=_HALVES,
        ),
        comparison=_WHOLE_CODES,
        objective=_default(*("infonce", _INFONCE.reason, "view"), otherwise=_OF_EACH_HALF),
        n_components=_default(*(None, _OWN_WIDTH.reason, "view"), otherwise=_TWO_HALVES),
        output=_default(
            "averaged",
            "the encoder was trained on crops, and five of them say more than the whole image",
            *("view", "critic", "output"),
        ),
        optimizer=_MUON,
        schedule=_by_muon(
            *LINEAR, otherwise=_default("constant", _CONSTANT.reason, "view", otherwise=_COSINE)
        ),
        lr=_by_muon(0.02, MUON_RATE),
        weight_decay=_default(0.0, "only the directions of codes are scored"),
        max_steps=_by_muon(Length(400, 400), "", otherwise=_default(Length(880, 880), "")),
        precision=_default(
            "bfloat16", "half the time on this processor", BFLOAT16, otherwise=_FULL
        ),
        half_size=_by_muon(
            0.75, "small images teach as much", "view", ROOMY, otherwise=_WHOLE_SIZE
        ),
    ),
    dataclasses.replace(_NUMBERS, kind="too large for neighbours", view=_CORRUPTION),
    dataclasses.replace(
        _NUMBERS,
        kind="paired",
        view=_default("paired", "X_pair is given"),
        output=None,
        max_steps=_default(Length(880, 880), "", COLOUR, otherwise=_SHORT),
    ),
)
ENTRIES: dict[str, Entry] = {entry.kind: entry for entry in _ENTRIES}

# Changes to an entry if the user asks for a comparison that needs a critic with parts.
_OF_PARTS: dict[str, Default] = {
    "critic": _default("cauchy-cosine", _HALVES.reason),
    "objective": _INFONCE,
}


def _asks_for_parts(comparison: Any) -> bool:
    """Return whether the user asks, by name or object, for a comparison that needs parts."""
    is_asked_for = comparison is not None and not is_auto(comparison)
    return is_asked_for and as_comparison(comparison).needs_parts


def _kind(facts: Facts, left_open: frozenset[str]) -> str:
    """Return the kind of data, a key of `ENTRIES`."""
    if facts.kind_pair is not None:
        return "paired"
    if facts.is_mixed and {"encoder", "n_components"} <= left_open:
        return "numbers and categories"
    conditions = facts.conditions
    if FITS not in conditions and COLOUR not in conditions:
        return "too large for neighbours"
    return facts.kind.entry


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
    choices: Mapping[str, Choice] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    def __deepcopy__(self, memo: Any) -> Recipe:
        """Return itself: it is frozen, and the user's objects in it are compared by identity."""
        return self

    def finish(self, widths: tuple[int, int], encoder_y: Any, output: str) -> Recipe:
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
        entry = ENTRIES[_kind(facts, left_open)]
        changes = _OF_PARTS if _asks_for_parts(given["comparison"]) else {}
        kept = {name: snapshot(given[name]) for name in MODEL_PARAMETERS}
        return cls(facts, kept, dataclasses.replace(entry, **changes), left_open)

    @property
    def is_as_tried(self) -> bool:
        """Whether the entry's defaults for training by Muon all apply."""
        return self._holds() >= _BY_MUON

    @property
    def view(self) -> Any:
        """The view, a name or a description."""
        return self._value("view")

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

    def pick(self, name: str, widths: tuple[int, int] | None = None) -> Choice | None:
        """Return what is picked for a parameter; None if it is given or keeps its default."""
        default = getattr(self.entry, name) if name in self.left_open else None
        chosen = default and default.pick(self._holds(widths))
        if chosen is None:
            return None
        # A copy, since the user's nested parameters are set on it and all learners share entries.
        return Choice(snapshot(chosen.value), chosen.reason.format(**self.facts.words))

    def finish(self, widths: tuple[int, int], encoder_y: Any, output: str) -> Recipe:
        """Return the recipe, now that the widths of the codes are known.

        Parameters
        ----------
        widths : tuple of int
            Widths of the codes that the critic sees.
        encoder_y : object
            "shared", "separate", or what the encoder of the second view was built from.
        output : str
        """
        picked = {name: self.pick(name, widths) for name in MODEL_PARAMETERS if name in _PICKED}
        picked["input_shape"] = self.facts.shape_choice
        values = {name: self._value(name, widths) for name in MODEL_PARAMETERS}
        choices = {name: choice for name, choice in picked.items() if choice is not None}
        built = {**values, "encoder_y": encoder_y, "output": output}
        if self.facts.kind.reason:
            built["input_shape"] = self.facts.kind.row_shape
        return Recipe(kind=self.entry.kind, **built, choices=choices, given=self.given)

    def _holds(self, widths: tuple[int, int] | None = None) -> set[str]:
        holds = self.left_open | self.facts.conditions
        comparison = self.given["comparison"]
        if is_auto(comparison) or _asks_for_parts(comparison):
            holds |= {IN_PARTS}
        if widths is not None and min(widths) >= NARROWEST_SPLIT:
            holds |= {WIDE}
        return set(holds)

    def _value(self, name: str, widths: tuple[int, int] | None = None) -> Any:
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
    names = ("view", "encoder", "critic", "comparison", "objective")
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
