"""All that needs a GPU, in parts of at most ten minutes, the one of most worth first.

``make bench-gpu``, or ``python benchmarks/gpu.py --only steps``, runs what is missing and writes a
file for each part under ``benchmarks/results/gpu``; a part whose file is there for this commit and
card is left out unless ``--again`` is given. A run that was killed goes on where it was. Each part
is a process of its own with a limit, so that one that breaks or hangs does not end the others: its
file says why. ``--report`` writes the tables of docs/evidence/speed.rst out of the files, and runs
nothing.
``--small`` tries every part on the CPU, at sizes whose numbers say nothing. Where there is no Git,
SKLEARN_MI_COMMIT names the commit.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from bench_data import package_commit, versions
from gpu_parts import (
    LEVELS,
    STEPS_A_PASS,
    AbsentError,
    Asked,
    cases,
    defaults,
    gpu_tests,
    infomax_to_race,
    lightly_to_race,
    ours_to_race,
    race,
    recorded_tests,
    steps,
)
from gpu_record import DONE, FAILED, NOT_RUN, UNFINISHED, Place, Record
from gpu_report import write_tables
from speed import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "gpu"
TRIED = ROOT / "results" / "gpu_small"
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "torchvision", "skorch", "lightly")
LIMIT = 600.0
# A fit of few steps is recorded as a long one is: tests/conftest.py reads it, and the part "steps".
RECORDING = {"RECORD_FROM": "1"}


class Part(NamedTuple):
    """What is run, by which Python, and whether it goes on where it was cut."""

    about: str
    work: Callable[[Record, Asked], None]
    beside_peers: bool = False
    resumes: bool = True
    records: bool = False


def racer(name: str) -> Callable[[Record, Asked], None]:
    return partial(race, make=partial(lightly_to_race, name))


PARTS = {
    "gpu-tests": Part("the tests that need a GPU", gpu_tests, resumes=False),
    "recorded-tests": Part(
        "the learner's default tests, all steps recorded",
        recorded_tests,
        resumes=False,
        records=True,
    ),
    "steps": Part("steps of four networks", steps, records=True),
    "defaults": Part("fits by default", defaults),
    "cifar10-ours": Part(
        "CIFAR10 by ResNet-18: ours", partial(race, make=ours_to_race), beside_peers=True
    ),
    "cifar10-lightly": Part(
        "CIFAR10 by ResNet-18: lightly, tuned",
        racer("SimCLR of lightly, averaged"),
        beside_peers=True,
    ),
    "cifar10-lightly-untuned": Part(
        "CIFAR10 by ResNet-18: lightly, settings of its docs",
        racer("SimCLR of lightly, not tuned"),
        beside_peers=True,
    ),
    "deep-infomax": Part(
        "Deep InfoMax on CIFAR10, up to 1,000 passes", partial(race, make=infomax_to_race)
    ),
}


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--again", action="store_true", help="run what has been run, too")
    parser.add_argument("--small", action="store_true", help="try the parts, on the CPU")
    parser.add_argument("--report", action="store_true", help="write the tables, run nothing")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of a part")
    parser.add_argument("--minutes", type=float, help="of the whole run; the rest comes next time")
    parser.add_argument("--peers", default=sys.executable, help="the Python that has lightly")
    parser.add_argument("--tests", nargs="+", default=[], help="in the place of a part's own")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    asked.out = asked.out or (TRIED if asked.small else RESULTS)
    if asked.small and asked.out.resolve() == RESULTS:
        parser.error("--small measures nothing; pass another --out.")
    return asked


def main(given: list[str] | None = None) -> None:
    asked = arguments(given)
    if asked.part:
        work(asked.part, asked)
    elif asked.report:
        report(asked.out)
    elif not (asked.small or torch.cuda.is_available()):
        print("There is no GPU here: nothing is run. --small tries every part on the CPU.")
    else:
        run_all(asked)


def report(out: Path) -> None:
    """Write the tables and print them."""
    about = {name: part.about for name, part in PARTS.items()}
    racers = {name: part.about.split(": ")[1] for name, part in PARTS.items() if "cifar10" in name}
    pairs = [(case.net, case.batch) for case in cases(small=False)]
    for table in write_tables(out, about, pairs, racers, LEVELS, STEPS_A_PASS):
        print(f"{table.to_string(index=False)}\n")


def run_all(asked: argparse.Namespace) -> None:
    """Run parts one after another, each within its limit and that of the whole run."""
    card = "none" if asked.small else torch.cuda.get_device_name()
    place = Place(card, package_commit(), asked.small)
    end = time.perf_counter() + 60 * (asked.minutes or float("inf"))
    for name in asked.only:
        record, left = Record(asked.out / f"{name}.json"), end - time.perf_counter()
        mine = record.belongs_to(place) and not asked.again
        if mine and record.status in (DONE, FAILED):
            print(f"{name}: {record.status} before, at {record.head['date']}")
        elif left <= 0:
            print(f"{name}: no time is left")
        else:
            run(name, record, place, min(asked.limit, left), asked, goes_on=mine)
            print(f"{name}: {record.status} {record.head.get('why', '')}", flush=True)


def run(
    name: str,
    record: Record,
    place: Place,
    limit: float,
    asked: argparse.Namespace,
    goes_on: bool,
) -> None:
    """Run a part in a process of its own, and see to it that its file says how it ended."""
    part, start = PARTS[name], time.perf_counter()
    told = [*(["--small"] if asked.small else []), *(["--tests", *asked.tests] * bool(asked.tests))]
    shown = " ".join(["python benchmarks/gpu.py --only", name, *told])
    record.begin(place, shown, keep_rows=goes_on and part.resumes)
    n_before = len(record.rows)
    python = asked.peers if part.beside_peers else sys.executable
    command = [python, __file__, "--part", name, "--out", str(asked.out.resolve()), *told]
    code = supervised(command, limit, surroundings(part, asked.small))
    record.read()
    record.head["seconds"] = round(record.head["seconds"] + time.perf_counter() - start, 1)
    if code is None:
        # What could not end a step of its work in this time will not do so the next time.
        went_on = part.resumes and len(record.rows) > n_before
        record.end(UNFINISHED if went_on else FAILED, f"it was ended after {limit:.0f} s")
    elif record.status == UNFINISHED:
        record.end(FAILED, f"its process ended with {code}")
    else:
        record.write()


def surroundings(part: Part, small: bool) -> dict[str, str]:
    """Return the environment of a part's process."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    more = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(RECORDING if part.records else {})}
    tests = {"OMP_NUM_THREADS": "1"} if small or part.work in (gpu_tests, recorded_tests) else {}
    return {**os.environ, **more, **tests, **({"CUDA_VISIBLE_DEVICES": ""} if small else {})}


def supervised(command: list[str], limit: float, environment: dict[str, str]) -> int | None:
    """Return how a process ended, or None where it had to be ended, with all that it started."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, process_group=0)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def work(name: str, asked: argparse.Namespace) -> None:
    """Do a part in this process, and note what went wrong."""
    record = Record(asked.out / f"{name}.json")
    record.head |= {"versions": versions(PACKAGES), "machine": machine()}
    try:
        PARTS[name].work(record, Asked(asked.small, tuple(asked.tests)))
    except AbsentError as reason:
        record.end(NOT_RUN, str(reason))
    except Exception as error:
        traceback.print_exc()
        record.end(FAILED, f"{type(error).__name__}: {error}")
    else:
        record.end(DONE)


if __name__ == "__main__":
    # Ended from outside, it ends the process of its part as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
