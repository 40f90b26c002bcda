"""The table of defaults: an entry for each kind of data, with reasons."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from sklearn_mi.encoders import MLP, Joined, Passthrough
from sklearn_mi.front_ends import Blocks
from sklearn_mi.recipe.facts import (
    BFLOAT16,
    COLOUR,
    EFFORTS,
    FITS,
    FRONT,
    IN_PARTS,
    MANY_COLUMNS,
    MUON,
    NARROW,
    RECORDING,
    ROOMY,
    SEVERAL,
    WHOLE,
    WIDE,
    WORDS,
    Choice,
    Facts,
)

__all__ = ["ENTRIES", "OPEN_PARAMETERS", "Entry"]

PICKED = {
    *("view", "encoder", "critic", "comparison", "objective", "output", "n_components"),
    "front_end",
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


def default(value: Any, reason: str, *needs: str, otherwise: Default | None = None) -> Default:
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
        if not self.most:
            return Choice(0, "there is nothing to train")
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
    front_end : Default or None
        None: none.
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
    front_end: Default | None = None


# Whoever names one of these wants a code.
KEPT_AS_IT_IS = {
    "encoder",
    "n_components",
    "view",
    "critic",
    "comparison",
    "objective",
    "max_steps",
}
_OF_TRAINING = {f.name for f in dataclasses.fields(Entry)} - {"kind", *PICKED}
OPEN_PARAMETERS = frozenset(PICKED | _OF_TRAINING)
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
_PERCEPTRON = default("gelu-mlp", "rows of {numbers} numbers")
_ONE_LAYER = MLP((128,), activation="gelu")
# Each half learns alone, so both keep what the rows share.
_HALVES_ALONE = ("critic", "objective", "comparison", IN_PARTS, WIDE)


def _half_linear(otherwise: Default, *needs: str) -> Default:
    """Return a perceptron beside a linear map, and what is picked if codes are not cut."""
    return default(
        Joined((_ONE_LAYER, "linear")),
        "half of the code is linear, which linear models read, half finds what no linear map shows",
        *(*_HALVES_ALONE, *needs),
        otherwise=otherwise,
    )


_CAUCHY = default("cauchy", "scores fall with distance between codes, which helps with few labels")
HALVES = default(
    "cauchy-cosine",
    "half of the code by distance, which helps with few labels, half by direction, with many",
    *("objective", IN_PARTS, WIDE),
    otherwise=_CAUCHY,
)
INFONCE = default("infonce", "the bound of least variance")
OF_EACH_HALF = default(
    "each-part",
    "InfoNCE of each half, so that neither relies on the other",
    *("critic", "comparison", WIDE),
    otherwise=INFONCE,
)
OWN_WIDTH = default(None, "the encoder's own width")
_TWO_HALVES = default(
    64, "one half for each part of the code", *_MODEL, IN_PARTS, otherwise=OWN_WIDTH
)
BY_MUON = frozenset({"lr", "schedule", *_MODEL, WHOLE, IN_PARTS, MUON})


def _by_muon(value: Any, reason: str, *needs: str, otherwise: Default | None = None) -> Default:
    return default(value, reason, *BY_MUON, *needs, otherwise=otherwise)


_CONSTANT = default("constant", "it suits any model, and training that continues later")
_COSINE = default(
    *("cosine", "a falling rate can start higher", "lr", *_MODEL, WHOLE, IN_PARTS),
    otherwise=_CONSTANT,
)
ADAM = default("adam", "it suits any model, and training that continues later")
_MUON = _by_muon("muon", "it gets as far in a third of the steps", otherwise=ADAM)
FULL = default("float32", "full precision")
WHOLE_SIZE = default(0.0, "images as they are")
NO_DECAY = default(0.0, "weights stay small without it")
_CORRUPTION = default("corruption", "neighbours would keep all rows in memory, and {many}")
_CLOSE_ROWS = default(
    "neighbors", "a table: close rows tend to mean the same thing", FITS, otherwise=_CORRUPTION
)
_WHOLE_CODES = default(
    *("cmc", "more than two tables: every pair is compared", SEVERAL),
    otherwise=default("whole", "whole codes are scored against whole codes"),
)
_BESIDE_COLUMNS = default(
    "with-columns",
    "the code helps with few labels, the columns with many",
    *(*_MODEL, "view", "output", "n_components", NARROW),
)
_OF_FACTORS = (FRONT, MANY_COLUMNS)
_FACTORS = default(
    *("factors", "so many columns for so few rows: their factors hold less noise", "encoder"),
    MANY_COLUMNS,
)
_LONG = default(Length(1200, 4800), "")
_SHORT = _by_muon(Length(400, 1200, passes=20), "", otherwise=_LONG)

_NUMBERS = Entry(
    kind="numbers",
    view=_CLOSE_ROWS,
    encoder=_PERCEPTRON,
    critic=HALVES,
    comparison=_WHOLE_CODES,
    objective=OF_EACH_HALF,
    n_components=_TWO_HALVES,
    output=_BESIDE_COLUMNS,
    optimizer=_MUON,
    schedule=_by_muon(*LINEAR, otherwise=_COSINE),
    lr=_by_muon(0.02, MUON_RATE),
    weight_decay=NO_DECAY,
    max_steps=_SHORT,
    precision=FULL,
    half_size=WHOLE_SIZE,
)

_ENTRIES = (
    _NUMBERS,
    # No code that was tried gained on such tables; docs/evidence/few_labels.rst.
    dataclasses.replace(
        _NUMBERS,
        kind="numbers and categories",
        view=default("corruption", "nothing is trained, so no row needs a neighbour"),
        encoder=default(
            Passthrough(n_learned=0),
            "a table of numbers and categories: no code that was tried says more than its columns; "
            "n_components=... or max_steps=... learns one",
        ),
        critic=default("bilinear", "it could learn how to weight the columns"),
        objective=INFONCE,
        n_components=OWN_WIDTH,
        output=None,
        optimizer=ADAM,
        schedule=_CONSTANT,
        lr=default(1e-3, "nothing is trained"),
        max_steps=default(Length(0, 0), ""),
    ),
    dataclasses.replace(
        _NUMBERS,
        kind="grey image",
        view=default(
            "moved-neighbors",
            "grey images: close ones tend to mean the same thing, and so do ones that are "
            "shifted or turned a little",
        ),
        encoder=default(
            *("lenet", "grey images, in which the place of a stroke matters", "view"),
            otherwise=_PERCEPTRON,
        ),
        output=None,
        lr=_by_muon(0.1, MUON_RATE, "view", otherwise=_NUMBERS.lr),
        weight_decay=_by_muon(MUON_DECAY, "", "view", otherwise=NO_DECAY),
        # Every step draws new pairs, so few rows support longer training.
        max_steps=_by_muon(
            *(Length(800, 2400, most_passes=500), "", "view"),
            otherwise=default(Length(2400, 4800, most_passes=500), "", "view", otherwise=_SHORT),
        ),
    ),
    dataclasses.replace(
        _NUMBERS,
        kind="tiny grey image",
        view=default(
            "neighbors", "images under 8 pixels a side: a shift would change what they show"
        ),
        output=None,
    ),
    Entry(
        kind="colour image",
        view=default(
            "simclr", "rows are images of shape {shape}; one pixel alone says little{channels}"
        ),
        encoder=default("convnet", "rows are images of shape {shape}"),
        critic=default(
            *("cosine", "with augmentations, directions suit a linear probe better", "view"),
            otherwise=HALVES,
        ),
        comparison=_WHOLE_CODES,
        objective=default(*("infonce", INFONCE.reason, "view"), otherwise=OF_EACH_HALF),
        n_components=default(*(None, OWN_WIDTH.reason, "view"), otherwise=_TWO_HALVES),
        output=default(
            "averaged",
            "the encoder was trained on crops, and five of them say more than the whole image",
            *("view", "critic", "output"),
        ),
        optimizer=_MUON,
        schedule=_by_muon(
            *LINEAR, otherwise=default("constant", _CONSTANT.reason, "view", otherwise=_COSINE)
        ),
        lr=_by_muon(0.02, MUON_RATE),
        weight_decay=default(0.0, "only the directions of codes are scored"),
        max_steps=_by_muon(Length(400, 400), "", otherwise=default(Length(880, 880), "")),
        precision=default("bfloat16", "half the time on this processor", BFLOAT16, otherwise=FULL),
        half_size=_by_muon(0.75, "small images teach as much", "view", ROOMY, otherwise=WHOLE_SIZE),
    ),
    dataclasses.replace(
        _NUMBERS,
        kind="recording",
        front_end=default(
            *("blocks", "recordings: features of values, shapes and spectra say more", "view"),
            "encoder",
        ),
        view=default(
            *("neighbors", "close features tend to mean the same thing", FRONT),
            otherwise=default("recording", "parts of one recording tend to mean the same thing"),
        ),
        encoder=default(
            *("gelu-mlp", "rows of features", FRONT),
            otherwise=default("conv1d", "recordings of up to {steps} steps"),
        ),
        output=default(
            "with-columns",
            "the code helps with few labels, the features with many",
            *(*_MODEL, "view", "output", "n_components", FRONT),
        ),
        optimizer=_by_muon(
            *("muon", "it gets as far in a third of the steps", FRONT), otherwise=ADAM
        ),
        schedule=_by_muon(*LINEAR, FRONT, otherwise=_COSINE),
        lr=_by_muon(0.02, MUON_RATE, FRONT),
        max_steps=_by_muon(
            *(Length(400, 1200, passes=20), "", FRONT),
            otherwise=default(Length(400, 1200, passes=20), ""),
        ),
    ),
    # Chosen on draws 101 and 102 of `make_lorenz` and `make_place_cells`, decoded by ridge and kNN.
    dataclasses.replace(
        _NUMBERS,
        kind="windows of a series",
        front_end=default(
            Blocks(("values",), (1.0,), n_components=16),
            "windows of a series: their first principal components hold less noise",
            "encoder",
        ),
        encoder=_half_linear(
            default(
                _ONE_LAYER,
                "rows of few principal components: a second layer doubles the time and gains "
                "little",
                FRONT,
                otherwise=default("conv1d", "windows of {steps} steps"),
            ),
            FRONT,
        ),
        output=None,
        optimizer=_by_muon(
            *("muon", "it gets as far in a third of the steps", FRONT), otherwise=ADAM
        ),
        schedule=_by_muon(*LINEAR, FRONT, otherwise=_COSINE),
        lr=_by_muon(
            *(0.02, MUON_RATE, FRONT, *_HALVES_ALONE),
            otherwise=_by_muon(0.005, "a higher rate fits the noise of the channels", FRONT),
        ),
        weight_decay=_by_muon(
            *(0.0, "one half is linear, so the other may bend", FRONT, *_HALVES_ALONE),
            otherwise=_by_muon(
                *(2.0, "it keeps codes smooth, so that linear models read them", FRONT),
                otherwise=NO_DECAY,
            ),
        ),
        max_steps=default(Length(400, 1200, passes=20), ""),
    ),
    dataclasses.replace(
        _NUMBERS,
        kind="words",
        front_end=default(
            *("lsa", "texts: words that stand in the same texts say one thing", "view", "encoder")
        ),
        view=default(
            *("neighbors", "texts of close topics tend to mean the same thing", FRONT),
            otherwise=default("drop-words", "half of its words tell what a text is about"),
        ),
        encoder=default("gelu-mlp", "rows of topics", FRONT, otherwise=_PERCEPTRON),
        output=default(
            "with-columns",
            "the code helps with few labels, the topics with many",
            *(*_MODEL, "view", "output", "n_components", FRONT),
        ),
    ),
    dataclasses.replace(_NUMBERS, kind="too large for neighbours", view=_CORRUPTION),
    dataclasses.replace(
        _NUMBERS,
        kind="paired",
        view=default("paired", "X_pair is given"),
        front_end=default(
            *("blocks", "features of recordings say more than their steps", "encoder", RECORDING),
            otherwise=_FACTORS,
        ),
        # Chosen on draws 100 to 102 of `make_two_omics`, and of bent factors, by the latents' R2
        # and recall.
        encoder=_half_linear(
            default(
                _ONE_LAYER,
                "rows of few factors: a second layer doubles the time and gains little",
                *_OF_FACTORS,
                otherwise=_PERCEPTRON,
            ),
            *_OF_FACTORS,
        ),
        weight_decay=_by_muon(
            1.0, "few rows: it keeps codes smooth", *_OF_FACTORS, otherwise=NO_DECAY
        ),
        output=None,
        max_steps=default(Length(880, 880), "", COLOUR, otherwise=_SHORT),
    ),
)
ENTRIES: dict[str, Entry] = {entry.kind: entry for entry in _ENTRIES}


def kind_of_data(facts: Facts, left_open: frozenset[str]) -> str:
    """Return the kind of data, a key of `ENTRIES`."""
    if facts.kind_pair is not None:
        return "paired"
    if facts.is_mixed and left_open >= KEPT_AS_IT_IS:
        return "numbers and categories"
    conditions = facts.conditions
    if not conditions & {FITS, COLOUR, RECORDING, WORDS}:
        return "too large for neighbours"
    return facts.kind.entry
