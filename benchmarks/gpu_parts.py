"""What the parts of the benchmark on a GPU do; each writes rows into its `Record` as it goes."""

import gc
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from bench_data import DATA
from contestants import CONTESTANTS, OURS
from gpu_record import Record
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from speed import SMALL, in_turns
from speed_loops import (
    NoisyPair,
    Pair,
    by_hand,
    by_hand_as_graph,
    counted_replays,
    images,
    noisy,
    ours,
    wait,
)
from torch import nn
from torch.nn import functional

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.comparisons import LocalGlobal
from sklearn_mi.datasets import fetch_cifar10, fetch_mnist
from sklearn_mi.encoders import DIMNet
from sklearn_mi.training import net

ROOT = Path(__file__).resolve().parent.parent
LEVELS = (0.6, 0.7, 0.8)
HAND, FUSED = "by hand", "by hand, fused Adam"
GRAPH, OURS_LOOP = "by hand, one CUDA graph", "ours"


class AbsentError(RuntimeError):
    """A part cannot be run here; not a failure."""


class Asked(NamedTuple):
    """What a part is told."""

    small: bool = False
    # Tests in the place of those that the part would take.
    tests: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        return "cuda" if torch.cuda.is_available() and not self.small else "cpu"


# Tests


class Outcomes:
    """A plugin of pytest that counts what comes out, and writes it down every few seconds."""

    def __init__(self, record: Record) -> None:
        self.record, self.counts = record, Counter()
        self.failures: list[dict[str, str]] = []
        self.written = time.perf_counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or not report.passed:
            self.counts[report.outcome] += 1
        if report.failed:
            lines = report.longreprtext.split("\n")
            said = [line[1:].strip() for line in lines if line.startswith("E ")] or ["?"]
            self.failures.append({"test": report.nodeid, "error": said[0][:300]})
        if report.when == "teardown" and dict(report.user_properties).get("replays"):
            self.counts["replayed"] += 1
        if report.failed or time.perf_counter() > self.written + 5:
            self.write()

    def write(self) -> None:
        self.record.rows = [{**self.counts, "failures": self.failures}]
        self.record.write()
        self.written = time.perf_counter()


def run_tests(record: Record, asked: Asked, marks: str, tests: tuple[str, ...] = ()) -> None:
    """Run tests in this process, side by side where pytest-xdist is installed."""
    import pytest

    chosen = asked.tests or tests
    workers = 1 if asked.small else min(8, (os.cpu_count() or 1) // 2)
    aside = ("-n", str(workers)) if workers > 1 and find_spec("xdist") else ()
    told = ("-q", "-p", "gpu_replays", "-p", "no:cacheprovider", "-m", marks, *aside, *chosen)
    outcomes = Outcomes(record)
    config = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT))
    code = pytest.main([*config, *told], plugins=[outcomes])
    outcomes.write()
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r}")


def gpu_tests(record: Record, asked: Asked) -> None:
    """Run the tests that need a GPU; a small run takes a few others, which need none."""
    if asked.small:
        run_tests(record, asked, "not slow and not gpu", ("tests/test_negatives.py",))
    else:
        run_tests(record, asked, "gpu")


def recorded_tests(record: Record, asked: Asked) -> None:
    """Run the default tests that fit the learner; a small run takes the first file of them."""
    few = tests_of_the_learner()[:1] if asked.small else tests_of_the_learner()
    run_tests(record, asked, "not slow and not gpu", few)


def tests_of_the_learner() -> tuple[str, ...]:
    """Return the files of all tests that name the learner, but for those of benchmarks."""
    files = sorted((ROOT / "tests").glob("**/test_*.py"))
    named = [f for f in files if "MIRepresentationLearner" in f.read_text(encoding="utf-8")]
    return tuple(str(f.relative_to(ROOT)) for f in named if "benchmarks" not in f.name)


# Steps


class Case(NamedTuple):
    """A network, a batch, and how many steps and rounds tell the time of a step."""

    net: str
    batch: int
    steps: int
    rounds: int
    # Of ours and of the loop by hand; a graph by hand has none.
    precision: str | None = None


def cases(small: bool) -> list[Case]:
    """Return what is measured, the most telling first."""
    if small:
        return [*(Case(net, 4, 1, 1) for net in (*ENCODERS, "ResNet-18")), Case("MLP", 8, 1, 1)]
    return [
        *(Case(net, 128, 500, 5) for net in ENCODERS),
        Case("ResNet-18", 128, 50, 3),
        *(Case(net, 4096, 50, 5) for net in ENCODERS),
        Case("ResNet-18", 4096, 2, 3),
        Case("ResNet-18 in bfloat16", 4096, 2, 3, "bfloat16"),
        Case("ResNet-18, ours in tf32", 4096, 2, 3, "tf32"),
    ]


ENCODERS: Mapping[str, Any] = {"MLP": SMALL, "LeNet": "lenet", "ConvNet": "convnet"}


def loops_of(case: Case, asked: Asked) -> dict[str, Callable[[int], Any]]:
    """Return the loops to compare; a CUDA graph by hand is left out without a GPU."""
    device, is_small = asked.device, asked.small
    settings = {} if case.precision is None else {"precision": case.precision}
    if case.net in ENCODERS:
        encoder = ENCODERS[case.net]
        X, make = images(200 if is_small else 60_000), partial(Pair, encoder)
        mine = ours(X, case.batch, device, encoder=encoder, **settings)
        beside = {FUSED: by_hand(make(), X, case.batch, device, fused=True)}
    else:
        X = images(*((40, (8, 8, 3)) if is_small else (8192, (32, 32, 3))))
        make = partial(NoisyPair, X.shape[1:])
        mine, beside = noisy(X, case.batch, device, **settings), {}
    narrow = torch.bfloat16 if case.precision == "bfloat16" else None
    loops: dict[str, Callable[[int], Any]] = {
        HAND: by_hand(make(), X, case.batch, device, precision=narrow),
        **beside,
    }
    if device == "cuda" and case.precision is None:
        loops[GRAPH] = by_hand_as_graph(make(), X, case.batch)
    return {**loops, OURS_LOOP: mine}


def steps(record: Record, asked: Asked) -> None:
    """Note milliseconds a step of every case, each loop in every round."""
    # Of the slowest nets a few steps are timed, which a fit would not record by itself.
    net.WORTH_RECORDING = int(os.environ.get("RECORD_FROM", net.WORTH_RECORDING))
    done = {(row["net"], row["batch"]) for row in record.rows}
    for case in cases(asked.small):
        if (case.net, case.batch) not in done:
            print(f"{case.net}, batches of {case.batch}", flush=True)
            record.note(net=case.net, batch=case.batch, **measured(case, asked))


def measured(case: Case, asked: Asked) -> dict[str, Any]:
    """Return times, whether ours replayed a graph, and what was warned of; or the error."""
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            loops = loops_of(case, asked)
            with counted_replays() as replays:
                loops[OURS_LOOP](case.steps)
            rounds = in_turns(loops, case.steps, case.rounds, warm_up=1 if asked.small else 5)
        return {
            "ms": rounds.to_dict("records"),
            "left out": [] if GRAPH in loops else [GRAPH],
            "replays": len(replays),
            "warnings": sorted({str(warning.message) for warning in told}),
        }
    except Exception as error:  # out of memory, say: the next case goes on
        return {"error": f"{type(error).__name__}: {error}".split("\n")[0]}
    finally:
        loops = {}
        gc.collect()
        if asked.device == "cuda":
            torch.cuda.empty_cache()


# Fits by default, CIFAR10 to a given accuracy


class Rows(NamedTuple):
    """Images and classes to learn from, and to be tested on."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def coloured(n_rows: int, n_test: int) -> Rows:
    """Return small images in three colours, a class each, for a run that tries the code."""
    rng = np.random.default_rng(0)
    y = np.arange(n_rows + n_test) % 3
    X = rng.integers(0, 60, (len(y), 8, 8, 3), dtype=np.uint8)
    X[np.arange(len(y)), :, :, y] += 150
    return Rows(X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:])


def nearest_accuracy(codes: np.ndarray, codes_test: np.ndarray, rows: Rows, device: str) -> float:
    """Return the share of test rows that their 20 nearest rows by cosine name rightly."""
    on_device = (torch.from_numpy(np.asarray(z)).to(device) for z in (codes, codes_test))
    known, asked = (functional.normalize(z) for z in on_device)
    y = torch.from_numpy(rows.y).long().to(device)
    k = min(20, len(known))
    named = [y[(part @ known.T).topk(k).indices].mode(dim=1).values for part in asked.split(1000)]
    return float((torch.cat(named).numpy(force=True) == rows.y_test).mean())


def of_digits() -> Rows:
    digits = load_digits()
    return Rows(
        digits.images[:1438], digits.target[:1438], digits.images[1438:], digits.target[1438:]
    )


DEFAULT_FITS: Mapping[str, Callable[[], tuple[Any, ...]]] = {
    "digits": of_digits,
    "MNIST": fetch_mnist,
    "CIFAR10": fetch_cifar10,
}


def defaults(record: Record, asked: Asked) -> None:
    """Note seconds of a default fit, its steps, those that replayed a graph, and the accuracy."""
    done = {row["data"] for row in record.rows}
    for name in ["digits"] if asked.small else [name for name in DEFAULT_FITS if name not in done]:
        rows = Rows(*DEFAULT_FITS[name]())
        how = {"max_steps": 2} if asked.small else {}
        learner = MIRepresentationLearner(random_state=0, device=asked.device, **how)
        start = time.perf_counter()
        with counted_replays() as replays:
            learner.fit(rows.X)
            wait(torch.device(asked.device))
        seconds = time.perf_counter() - start
        codes = learner.transform(rows.X), learner.transform(rows.X_test)
        accuracy = nearest_accuracy(*codes, rows, asked.device)
        facts = {"steps": learner.n_iter_, "replays": len(replays), "accuracy": accuracy}
        record.note(data=name, seconds=seconds, **facts)


Score = Callable[[np.ndarray, np.ndarray, Rows, str], float]


class Racer(NamedTuple):
    """Who is trained, the ways to read its codes, when and how they are scored, and how long.

    Training ends where every reading has come to `enough`. A run that tries the code sets `trial`.
    """

    model: Any
    readings: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    stops: tuple[int, ...] = tuple(range(500, 10_001, 500))
    score: Score = nearest_accuracy
    enough: float = LEVELS[-1]
    trial: Mapping[str, Any] = {"batch_size": 8, "encoder": "convnet"}


def ours_to_race() -> Racer:
    learner = CONTESTANTS[OURS].make(DATA["cifar10-resnet18"], 0)
    # As the default gives them: the mean over five crops.
    return Racer(learner, {"five crops": learner.transform})


def lightly_to_race(name: str) -> Racer:
    if find_spec("lightly") is None:
        raise AbsentError("lightly is not installed")
    rival = CONTESTANTS[name].make(DATA["cifar10-resnet18"], 0)

    def read(averaged: bool, X: np.ndarray) -> np.ndarray:
        return rival.set_params(averaged=averaged).transform(X)

    return Racer(rival, {"five crops": partial(read, True), "one image": partial(read, False)})


# Deep InfoMax by the protocol of Hjelm et al. (2019), table 1: the code, and the last two layers.
INFOMAX_PASSES = (1, 5, 10, 25, 50, *range(100, 1001, 50))
INFOMAX_BATCH = 64
STEPS_A_PASS = 50_000 // INFOMAX_BATCH


def infomax_to_race() -> Racer:
    learner = MIRepresentationLearner(
        64,
        view="same",
        encoder=DIMNet(),
        comparison=LocalGlobal(units=2048),
        objective="infonce",
        optimizer="adam",
        lr=1e-4,
        weight_decay=0.0,
        schedule="constant",
        half_size=0.0,
        batch_size=INFOMAX_BATCH,
        random_state=0,
    )
    readings = {
        "convolutional layer": partial(of_layer, learner, DIMNet().layers((32, 32, 3))["conv3"]),
        "dense layer": partial(of_layer, learner, "13"),
        "code": learner.transform,
    }
    stops = tuple(n * STEPS_A_PASS for n in INFOMAX_PASSES)
    return Racer(learner, readings, stops, perceptron_accuracy, 1.0, {"batch_size": 8})


def of_layer(learner: MIRepresentationLearner, path: str, X: np.ndarray) -> np.ndarray:
    """Return what a layer of the encoder gives while rows are transformed."""
    seen: list[torch.Tensor] = []
    layer = learner.encoder_.get_submodule(path)
    hook = layer.register_forward_hook(lambda module, given, out: seen.append(out.flatten(1).cpu()))
    try:
        learner.transform(X)
    finally:
        hook.remove()
    # The last block is padded.
    return torch.cat(seen)[: len(X)].numpy()


def perceptron_accuracy(
    codes: np.ndarray, codes_test: np.ndarray, rows: Rows, device: str
) -> float:
    """Return the share of test rows that a perceptron of 200 units with dropout names rightly."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Linear(codes.shape[1], 200),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(200, int(rows.y.max()) + 1),
        )
        classifier = NeuralNetClassifier(
            network,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            batch_size=256,
            max_epochs=20,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
            device=device,
        )
        classifier.fit(codes.astype(np.float32), rows.y.astype(np.int64))
        named = classifier.predict(codes_test.astype(np.float32))
    return float((named == rows.y_test).mean())


def race(record: Record, asked: Asked, make: Callable[[], Racer]) -> None:
    """Train, stop at times to read the codes, until every reading has come far enough.

    Seconds are those of training alone, what it takes to begin included. A part that was cut goes
    on from the state of its last stop, where that is still there.
    """
    if not (record.rows and record.state.exists()):
        record.rows = []
        record.state.unlink(missing_ok=True)
    racer = make()
    stops = (1, 2) if asked.small else racer.stops
    if asked.small:
        racer.model.set_params(**racer.trial)
    rows = coloured(24, 12) if asked.small else Rows(*fetch_cifar10())
    start = time.perf_counter()
    for stop in racer.model.fit_iter(rows.X, at=stops, checkpoint=record.state):
        wait(torch.device(asked.device))
        spent = time.perf_counter() - start
        # Where the state was not written in time, a stop comes again.
        record.rows = [row for row in record.rows if row["step"] < stop]
        before = record.rows[-1]["seconds"] if record.rows else 0.0
        found = {
            name: racer.score(read(rows.X), read(rows.X_test), rows, asked.device)
            for name, read in racer.readings.items()
        }
        record.note(step=stop, seconds=before + spent, accuracy=found)
        print(f"step {stop}, {before + spent:.0f} s: {found}", flush=True)
        if min(found.values()) >= racer.enough and not asked.small:
            break
        start = time.perf_counter()
    record.state.unlink(missing_ok=True)
