"""Steps a second and memory of a fit on 4 GB of rows that stay on disk, beside rows in memory.

    $ python benchmarks/out_of_core.py          # writes benchmarks/results/out_of_core.csv

Each fit on rows on disk is a process of its own that may hold 2 GiB of anonymous memory:
RLIMIT_DATA is what it has reserved once all is imported, and what is missing to 2 GiB. Rows in
memory are an eighth of the rows, without a limit. Files are taken out of the page cache before each
fit by posix_fadvise, which needs no root. The steps a second are those of training alone. The time
before has its own column: one pass of statistics, and the rows that are held out.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WIDTH, LIMIT = 128, 2 * 2**30
KINDS = ("memory", "memmap", "zarr", "parquet")
COLUMNS = (
    *("kind", "rows", "gigabytes", "batch_size", "steps", "steps_a_second", "of_memory"),
    *("seconds_before", "rss_anon_peak_gib", "disk_gb_a_second", "limit_gib", "load", "cached"),
    *("commit", "torch", "zarr", "pyarrow", "machine"),
)


def files(path: Path) -> list[Path]:
    """Return a file, or all in a folder."""
    return [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]


def forget(path: Path) -> None:
    """Take files out of the page cache."""
    for file in files(path):
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_speed(path: Path) -> float:
    """Return GB a second of plain reading from files that are not in the cache."""
    forget(path)
    begun, n_bytes = time.perf_counter(), 0
    for file in files(path):
        with open(file, "rb", buffering=0) as opened:
            while part := opened.read(2**22):
                n_bytes += len(part)
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return n_bytes / 1e9 / (time.perf_counter() - begun)


def write(folder: Path, n_rows: int) -> None:
    """Write the same random rows, half of them the other half and noise, in each container."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zarr

    rng, at_once = np.random.default_rng(0), 100_000
    shape = (n_rows, WIDTH)
    memmap = np.lib.format.open_memmap(folder / "memmap.npy", "w+", np.float32, shape)
    chunks = {"chunks": (4096, WIDTH), "shards": (4096 * 64, WIDTH), "compressors": None}
    stored = zarr.create_array(store=str(folder / "zarr"), shape=shape, dtype="f4", **chunks)
    (folder / "parquet").mkdir()
    names = [f"c{i}" for i in range(WIDTH)]
    for number, start in enumerate(range(0, n_rows, at_once)):
        stop = min(start + at_once, n_rows)
        rows = rng.standard_normal((stop - start, WIDTH), dtype=np.float32)
        rows[:, WIDTH // 2 :] += rows[:, : WIDTH // 2]
        memmap[start:stop] = rows
        table = pa.table([pa.array(column) for column in rows.T], names=names)
        path = folder / "parquet" / f"{number:04}.parquet"
        pq.write_table(table, path, row_group_size=8192, use_dictionary=False, compression="none")
    memmap.flush()
    per_shard = 4096 * 64
    for start in range(0, n_rows, per_shard):
        stored[start : start + per_shard] = memmap[start : start + per_shard]


def rows_of(kind: str, folder: Path, n_rows: int) -> object:
    """Return the rows as a user passes them."""
    if kind == "zarr":
        import zarr

        return zarr.open_array(str(folder / "zarr"), mode="r")
    if kind == "parquet":
        from pyarrow import dataset

        return dataset.dataset(folder / "parquet")
    mapped = np.load(folder / "memmap.npy", mmap_mode="r")
    return np.array(mapped[: n_rows // 8]) if kind == "memory" else mapped


def memory_of(name: str) -> float:
    """Return a line of the memory of this process, such as RssAnon, in GiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{name}:")[1].split()[0]) / 2**20


@contextlib.contextmanager
def peak_memory(found: list[float]):
    """Note the peak of the anonymous memory."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            found[0] = max(found[0], memory_of("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def one_fit(kind: str, folder: Path, n_rows: int, batch_size: int, steps: int) -> dict[str, float]:
    """Return the speed and the memory of one fit in this process."""
    from sklearn_mi import MIRepresentationLearner

    found = [0.0]
    how = {"view": "corruption", "batch_size": batch_size, "max_steps": steps, "random_state": 0}
    begun = time.perf_counter()
    with peak_memory(found):
        rows = rows_of(kind, folder, n_rows)
        if kind != "memory":
            # Allocators reserve much more than they use.
            most = int(LIMIT + 2**30 * (memory_of("VmData") - memory_of("RssAnon")))
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        learner = MIRepresentationLearner(64, n_threads=1, **how).fit(rows)
    whole = time.perf_counter() - begun
    taken = sum(row["dur"] for row in learner.history_)
    return {
        "steps_a_second": learner.n_iter_ / taken,
        "seconds_before": whole - taken,
        "rss_anon_peak_gib": found[0],
    }


def facts() -> dict[str, str]:
    """Return what the numbers belong to."""
    import pyarrow
    import torch
    import zarr

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE
    ).stdout.strip()
    return {
        "commit": commit,
        "torch": torch.__version__,
        "zarr": zarr.__version__,
        "pyarrow": pyarrow.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def main() -> None:
    """Write the files, run each fit, delete the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8_000_000)
    parser.add_argument("--steps", type=int, nargs="+", default=[2000, 400])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--files", type=Path, default=None, help="a folder that has them already")
    parser.add_argument("--one", nargs=3, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, batch_size, steps = given.one
        told = one_fit(kind, given.folder, given.rows, int(batch_size), int(steps))
        print(json.dumps(told))
        return
    if given.files:
        run_all(given.files, given)
        return
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        write(folder, given.rows)
        run_all(folder, given)
    finally:
        shutil.rmtree(folder)


def run_all(folder: Path, given: argparse.Namespace) -> None:
    """Run every fit and write the table, a row at a time."""
    places = {"memory": "memmap.npy", "memmap": "memmap.npy", "zarr": "zarr", "parquet": "parquet"}
    known, result = facts(), HERE / "results" / "out_of_core.csv"
    speeds = {place: disk_speed(folder / place) for place in set(places.values())}
    with open(result, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for batch_size, steps in zip(given.batch_sizes, given.steps, strict=True):
            in_memory = None
            for kind in KINDS:
                forget(folder / places[kind])
                load = os.getloadavg()[0]
                n_rows = given.rows // 8 if kind == "memory" else given.rows
                call = [sys.executable, __file__, "--folder", folder, "--rows", given.rows]
                call += ["--one", kind, batch_size, steps]
                done = subprocess.run(map(str, call), capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(done.stderr[-2000:])
                told = json.loads(done.stdout.splitlines()[-1])
                in_memory = in_memory or told["steps_a_second"]
                row = {
                    "kind": kind,
                    "rows": n_rows,
                    "gigabytes": n_rows * WIDTH * 4 / 1e9,
                    "batch_size": batch_size,
                    "steps": steps,
                    "of_memory": told["steps_a_second"] / in_memory,
                    "disk_gb_a_second": speeds[places[kind]],
                    "limit_gib": "" if kind == "memory" else LIMIT / 2**30,
                    "load": load,
                    "cached": "no",
                }
                row = {**row, **told, **known}
                row = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
                table.writerow(row)
                file.flush()
                print(row, flush=True)


if __name__ == "__main__":
    main()
