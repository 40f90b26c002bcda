"""Files of learners that are altered by accident or by intent, and what opening them does."""

import copy
import json
import random
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import sklearn_mi
from sklearn_mi import InvalidModelError, MIRepresentationLearner, headers
from sklearn_mi.encoders import MLP
from sklearn_mi.views import Compose, Corruption, Neighbors

SECONDS = 60
# Of an altered file or of an input; the last two must not be.
OUTCOMES = ("refused", "same", "other", "clear", "finite", "hang", "crash")
# Places of code whose errors a user can read, beside ours: scikit-learn, constructors of pandas.
TOLD_BY = (
    "/sklearn/",
    "/pandas/core/frame.py",
    "/pandas/core/internals/",
    "/pandas/core/generic.py",
)


def is_clear(error: BaseException) -> bool:
    """Tell whether an error is a ValueError or TypeError that says what to pass instead.

    That is: we raise it, by a statement of ours, or the innermost frame is one of scikit-learn or
    of a constructor of pandas. An operation of Python that fails in our code is not clear.
    """
    if not isinstance(error, ValueError | TypeError) or not str(error):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return False
    last = frames[-1]
    if "/sklearn_mi/" in last.filename:
        return (last.line or "").startswith("raise ")
    return any(place in last.filename for place in TOLD_BY)


class Hang(BaseException):
    """An alarm that no ``except Exception`` swallows."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def ring(*_):
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Kinds of files


@dataclass(frozen=True)
class FileKind:
    """A kind of file: how one is written, and what its reader answers with.

    ``read`` opens a file and returns an array that depends on all of it.
    """

    name: str
    write: Callable[[Path], Any]
    read: Callable[[Path], np.ndarray]
    refused: type[Exception]
    # Whether it has a header of ours, which can be altered with intent.
    has_header: bool = False


ROWS = np.random.default_rng(0).normal(size=(40, 4))


@cache
def tiny() -> MIRepresentationLearner:
    """Return a learner whose file is small and has all parts: descriptions, a state, a report."""
    view = Compose(Neighbors(3), Corruption(0.2))
    learner = MIRepresentationLearner(2, view=view, encoder=MLP(hidden=(3,)), max_steps=2)
    return learner.set_params(random_state=0, critic="bilinear").fit(ROWS)


def answer_of(learner: MIRepresentationLearner) -> np.ndarray:
    """Return numbers that depend on all that a learner holds."""
    # A learner without held-out rows has no value.
    value = np.nan_to_num(learner.mi_.value)
    facts = [learner.score(ROWS), value, learner.n_iter_, len(learner.history_)]
    return np.concatenate([np.asarray(learner.transform(ROWS)).ravel(), np.array(facts, float)])


def read_learner(path: Path) -> np.ndarray:
    return answer_of(sklearn_mi.load(path))


def read_state(path: Path) -> np.ndarray:
    """Open the bytes of a file as skops does, which keeps them in the state of a learner."""
    state = {**tiny().__getstate__(), "_saved": path.read_bytes()}
    learner = object.__new__(MIRepresentationLearner)
    learner.__setstate__(state)
    return answer_of(learner)


def write_checkpoint(path: Path) -> None:
    steps = MIRepresentationLearner(2, encoder="linear", random_state=0).fit_iter(
        ROWS, at=(1, 3), checkpoint=path
    )
    # What was reached at a stop is written when the training goes on.
    next(steps)
    next(steps)
    steps.close()


def read_checkpoint(path: Path) -> np.ndarray:
    learner = MIRepresentationLearner(2, encoder="linear", random_state=0)
    for _ in learner.fit_iter(ROWS, at=(1, 3), checkpoint=path):
        pass
    return answer_of(learner)


FILE_KINDS = {
    "learner": FileKind(
        "learner", lambda path: tiny().save(path), read_learner, InvalidModelError, has_header=True
    ),
    "state": FileKind("state", lambda path: tiny().save(path), read_state, InvalidModelError),
    "checkpoint": FileKind("checkpoint", write_checkpoint, read_checkpoint, InvalidModelError),
}


# Accidents: any byte


def accidents(content: bytes, n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield n altered copies of a file, each with what was done: flips, ends, blocks."""
    draw = random.Random(seed)
    size = len(content)
    ways = ["flip"] * 12 + [
        "set",
        "truncate",
        "append",
        "insert",
        "delete",
        "swap",
        "zeros",
        "copy",
    ]
    while n > 0:
        way, at = draw.choice(ways), draw.randrange(size)
        other, length = draw.randrange(size), draw.randint(1, max(1, size // 8))
        altered = bytearray(content)
        if way == "flip":
            altered[at] ^= 1 << draw.randrange(8)
        elif way == "set":
            altered[at] = draw.randrange(256)
        elif way == "truncate":
            del altered[at:]
        elif way == "append":
            altered += draw.randbytes(length)
        elif way == "insert":
            altered[at:at] = draw.randbytes(length)
        elif way == "delete":
            del altered[at : at + length]
        elif way == "swap":
            altered[at], altered[other] = altered[other], altered[at]
        elif way == "zeros":
            altered[at : at + length] = bytes(len(altered[at : at + length]))
        else:
            altered[at : at + length] = altered[other : other + length]
        if altered != content:
            n -= 1
            yield f"{way} at {at}", bytes(altered)


# Intent: a header or tensors of another content, with the right digest


def read_parts(path: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["sklearn_mi"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write_parts(path: Path, header: Any, tensors: dict[str, torch.Tensor], number: int = 3) -> None:
    """Write a file with the right digest, or one of format 2, which has none."""
    from safetensors.torch import save_file

    text = header if isinstance(header, str) else json.dumps(header)
    digest = headers.unsealed() if number > 2 else {}
    save_file(tensors, path, metadata={"sklearn_mi": text, **digest})
    if digest:
        headers.seal(path)


OTHERS: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 7, 10**9, 10**12, 2**62, 2**63, 2**200, 1e308, -0.5, 0.5),
    *(float("nan"), float("inf"), "", "x", "auto", "../../etc/passwd", "mlp", "cuda", "é" * 1000),
    *([], [[]], [1] * 100, {}, {"own": "Linear"}, {"lost": []}, {"tuple": []}, {"list": [-1]}),
    *({"slice": [0, 10**9, 0]}, {"dict": {"": 0}}, {"optimizer": "Adam"}, {"optimizer": "os"}),
    {"tuple": [10**9] * 3},
    {"component": ["views", "Neighbors"], "params": {}},
    {"component": ["encoders", "MLP"], "params": {"hidden": {"tuple": [10**9]}}},
    {"component": ["encoders", "RealNVP"], "params": {"couplings": 10**9}},
    {"component": ["encoders", "MLP"], "params": {"unheard": 1}},
    {"component": ["critics", "Concat"], "params": {"hidden": {"tuple": [10**9]}}},
    {"component": ["negatives", "Queue"], "params": {"size": 10**12}},
    {"component": ["os", "system"], "params": {}},
    {"component": ["views", "Compose"], "params": {}},
]


def places_in(tree: Any, place: tuple = ()) -> Iterator[tuple]:
    """Yield the places of all values in a tree of JSON."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places_in(value, (*place, key))


def changed(tree: Any, place: tuple, value: Any) -> Any:
    """Return a tree with another value at a place; without the place if the value is ``...``."""
    made = copy.deepcopy(tree)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return made


def headers_of_intent(header: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what makes headers with a place changed, missing or added, and texts that are none."""
    for place in places_in(header):
        told = ".".join(map(str, place))
        for value in OTHERS:
            yield f"{told} = {str(value)[:60]}", partial(changed, header, place, value)
        yield f"{told} missing", partial(changed, header, place, ...)
        inner = header
        for key in place:
            inner = inner[key]
        if isinstance(inner, dict):
            more = {**inner, "unheard": 1}
            yield f"{told} with more", partial(changed, header, place, more)
        if isinstance(inner, list):
            yield f"{told} twice", partial(changed, header, place, inner + inner)
            yield f"{told} longer", partial(changed, header, place, [*inner, None])
    text = json.dumps(header)
    in_place = f'"callbacks": {"[" * 500 + "]" * 500}'
    texts = {
        "nested deep": "[" * 100_000 + "]" * 100_000,
        "nested in place": text.replace('"callbacks": null', in_place),
        "a name twice": text[:-1] + ', "format": 3}',
        "no JSON": text[:-5],
        "a list": "[]",
        "a number": "3",
        "empty": "",
        "digits": text.replace('"seed": 0', '"seed": ' + "9" * 5000),
        "a long string": json.dumps({**header, "version": "x" * 10**6}),
    }
    for told, other in texts.items():
        yield told, partial(str, other)


def tensors_of_intent(tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, dict]]:
    """Yield tensors of which one is missing, swapped, or of another shape, kind or content."""
    names = list(tensors)
    for name in names:
        one = tensors[name]
        others = {
            "missing": None,
            "flat": one.reshape(-1),
            "empty": one[:0],
            "integers": one.long(),
            "half": one.half(),
            "double": one.double(),
            "bytes": one.to(torch.uint8),
            "complex": one.to(torch.complex64),
            "huge numbers": one.double() * 0 + 1e300,
            "zeros": one * 0,
            "negative": -one - 1,
            "longer": torch.cat([one, one]),
            "another axis": one[None],
            "big": (one * 0 + 10**6).to(one.dtype),
        }
        if one.is_floating_point():
            others |= {"NaN": one * float("nan"), "infinite": one.double() * 0 + float("inf")}
        for told, other in others.items():
            rest = {n: t for n, t in tensors.items() if n != name}
            yield f"{name} {told}", rest | ({} if other is None else {name: other.contiguous()})
        for second in names:
            if second > name:
                yield (
                    f"{name} and {second} swapped",
                    tensors | {name: tensors[second].clone(), second: one.clone()},
                )
    yield "one more", tensors | {"unheard": torch.zeros(2)}
    yield "none", {}


# What happens: what was done, an outcome, a message

Found = tuple[str, str, str]


def outcome(kind: FileKind, path: Path, expected: np.ndarray) -> tuple[str, str]:
    """Return what opening a file does, in a word, and its message.

    "refused": by the one error of this kind of file. "same": the answer of the file that was not
    altered. "other": another answer, all numbers finite. "clear": it opens, and what was asked of
    it then is refused in a clear sentence. "crash" and "hang" are what must not be.
    """
    try:
        with at_most(SECONDS):
            found = kind.read(path)
    except Hang as error:
        return "hang", str(error)
    except kind.refused as error:
        return ("refused" if str(error) else "crash"), str(error)
    except Exception as error:
        if is_clear(error):
            return "clear", f"{type(error).__name__}: {error}"
        return "crash", f"{type(error).__name__}: {error} {traceback.format_exc()[-600:]}"
    if found.shape == expected.shape and np.array_equal(found, expected, equal_nan=True):
        return "same", ""
    return ("other" if np.isfinite(found).all() else "crash"), "its numbers are other ones"


def after_accidents(
    kind: FileKind, folder: Path, n: int, seed: int
) -> Iterator[tuple[str, str, str]]:
    """Yield what was done to a file, what opening it did, and the message."""
    good = folder / "good"
    kind.write(good)
    content = good.read_bytes()
    expected = kind.read(good)
    for told, altered in accidents(content, n, seed):
        path = folder / "altered"
        path.write_bytes(altered)
        yield told, *outcome(kind, path, expected)


def after_intent(
    kind: FileKind, folder: Path, n: int | None, seed: int, number: int = 3
) -> Iterator[Found]:
    """Yield the same for headers and tensors of another content, n of them or all."""
    good = folder / "good"
    kind.write(good)
    expected = kind.read(good)
    header, tensors = read_parts(good)
    header["format"] = number
    cases: list[tuple] = [(told, made, tensors) for told, made in headers_of_intent(header)]
    as_it_is = partial(copy.deepcopy, header)
    cases += [(told, as_it_is, other) for told, other in tensors_of_intent(tensors)]
    if n is not None:
        cases = random.Random(seed).sample(cases, n)
    for told, other, those in cases:
        path = folder / "altered"
        write_parts(path, other(), those, number)
        yield told, *outcome(kind, path, expected)
