"""Open altered files and fit hostile inputs, and count what happens: results/reliability.csv.

python benchmarks/reliability.py              # all, about 25 minutes on one core
python benchmarks/reliability.py --files 50 --inputs 20 --out reliability.csv
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import resource
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from altered_files import FILE_KINDS, OUTCOMES, after_accidents, after_intent
from bench_data import package_commit, versions
from hostile_inputs import QUESTIONS, outcomes_of

RESULTS = Path(__file__).parent / "results" / "reliability.csv"
PACKAGES = ("torch", "scikit-learn", "numpy", "pandas", "safetensors", "jsonschema", "hypothesis")


def rows_of(part: str, kind: str, found: Iterable[tuple[str, ...]]) -> list[dict]:
    """Count outcomes, print what must not be, and return rows of the table."""
    started, counts = time.perf_counter(), Counter()
    for told, outcome, message in found:
        counts[outcome] += 1
        if outcome in ("crash", "hang") or (outcome in ("other", "same") and "altered" in part):
            print(f"{part}, {kind}: {told}: {outcome}: {message[:400]}")
    seconds = time.perf_counter() - started
    print(f"{part}, {kind}: {dict(counts)}, {seconds:.0f} s")
    return [
        {"part": part, "kind": kind, "outcome": outcome, "n": counts[outcome]}
        for outcome in OUTCOMES
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1500, help="altered files of each kind")
    parser.add_argument("--headers", type=int, help="headers of intent; default: all")
    parser.add_argument("--inputs", type=int, default=400, help="inputs of each estimator")
    parser.add_argument("--kinds", nargs="*", default=["learner", "state"], choices=FILE_KINDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in (FILE_KINDS[name] for name in given.kinds):
            rows += rows_of(
                "altered bytes", kind.name, after_accidents(kind, folder, given.files, 0)
            )
        for number in (3, 2):
            found = after_intent(FILE_KINDS["learner"], folder, given.headers, 0, number)
            rows += rows_of("rewritten with intent", f"format {number}", found)
        for question in QUESTIONS:
            found = outcomes_of(question, folder, given.inputs, 0)
            rows += rows_of("inputs", question, found)
    table = pd.DataFrame(rows).assign(
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        commit=package_commit(),
        versions=versions(PACKAGES),
    )
    table.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
