"""Time a step, a fit and a transform: ours beside loops written by hand and beside peers.

``make bench``, or ``python benchmarks/speed.py --only step peers``, measures side by side in one
process, in turns, and writes ``benchmarks/results/speed/<section>.csv``, ``speed.txt`` and
``speed.png``. A step's time is the difference between a long and a short run over the difference
of their steps; ratios are to the first row of the same round. Peers that are not installed are left
out, and said. Steps on a GPU are measured by ``gpu.py``.
"""

import argparse
import gc
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from bench_data import versions
from speed_loops import (
    Pair,
    by_hand,
    cebra_loop,
    images,
    in_time,
    lightly_loop,
    metric_trainer,
    of_augmented,
    of_classes,
    ours,
    skorch_loop,
)

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP

RESULTS = Path(__file__).parent / "results" / "speed"
PEERS = ("cebra", "lightly", "pytorch-metric-learning", "umap-learn")
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "skorch", *PEERS)
SMALL = MLP(hidden=(300, 300, 300))
Loops = Mapping[str, Callable[[int], Any]]


def timed(run: Callable[[int], Any], steps: int) -> float:
    """Return milliseconds a step, without what a run costs once."""
    seconds = []
    for n in (steps, 3 * steps):
        gc.collect()  # of what other loops left behind
        start = time.perf_counter()
        run(n)
        seconds.append(time.perf_counter() - start)
    return 1000 * (seconds[1] - seconds[0]) / (2 * steps)


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """Return min, median and max of each column, and of its ratio to the first one's."""
    ratios = times.div(times.iloc[:, 0], axis=0)
    columns = {
        f"{what} {name}": table.agg(name)
        for what, table in (("ms", times), ("ratio", ratios))
        for name in ("min", "median", "max")
    }
    return pd.DataFrame(columns)


def in_turns(loops: Loops, steps: int, rounds: int = 5, warm_up: int = 5) -> pd.DataFrame:
    """Return the time of a step of each loop, a row for each round."""
    for run in loops.values():
        run(max(warm_up, steps // 10))
    return pd.DataFrame(
        [{name: timed(run, steps) for name, run in loops.items()} for _ in range(rounds)]
    )


def interleaved(loops: Loops, steps: int, rounds: int = 5) -> pd.DataFrame:
    """Return the time of a step of each loop; the first is what the others are compared with."""
    return summary(in_turns(loops, steps, rounds))


def step() -> pd.DataFrame:
    """The paper's setting: halves of 28 x 28, bilinear critic, InfoNCE, batches of 128."""
    X = images(20_000)
    tables = {}
    for name, encoder, steps in (("MLP", SMALL, 150), ("ConvNet", "convnet", 10)):
        tables[name] = interleaved(
            {
                "by hand": by_hand(Pair(encoder), X, 128),
                "by hand, fused Adam": by_hand(Pair(encoder), X, 128, fused=True),
                "skorch and its DataLoader": skorch_loop(Pair(encoder), X, 128),
                "ours": ours(X, 128, encoder=encoder),
            },
            steps,
        )
    return pd.concat(tables, names=["net", "loop"])


def overhead() -> pd.DataFrame:
    """A whole fit on 200 rows for 10 passes, beside the bare loop."""
    X = images(200)

    def hand() -> None:
        by_hand(Pair(SMALL), X, 100, fused=True)(20)

    def fit() -> None:
        ours(X, 100)(20)

    rows = []
    for run in (hand, fit):
        run()
    for _ in range(7):
        spent = {}
        for name, run in (("by hand, fused Adam", hand), ("ours", fit)):
            start = time.perf_counter()
            run()
            spent[name] = 1000 * (time.perf_counter() - start)
        rows.append(spent)
    return summary(pd.DataFrame(rows)).rename_axis("loop")


def peers() -> pd.DataFrame:
    """The same task, net, batch and steps through a peer's trainer and through ours."""
    tables = {}
    if installed("cebra"):
        X = images(1797, (64,))
        loops = {"CEBRA": cebra_loop(X, 512), "ours": in_time(X, 512)}
        tables["time contrast, 64 columns, batch 512"] = interleaved(loops, 60, 3)
    if installed("pytorch_metric_learning"):
        X, y = images(10_000, (784,)), np.arange(10_000) // 2
        loops = {
            "pytorch-metric-learning": metric_trainer(X, y, 128),
            "ours": of_classes(X, y, 64),
        }
        tables["two rows of a class, 784 columns, 128 rows"] = interleaved(loops, 60, 3)
    if installed("lightly"):
        X = (255 * images(2000, (32, 32, 3))).astype(np.uint8)
        loops = {"lightly": lightly_loop(X, 128), "ours": of_augmented(X, 128)}
        tables["SimCLR, ConvNet, 32 x 32 x 3, batch 128"] = interleaved(loops, 3, 3)
    return pd.concat(tables, names=["task", "loop"])


def whole() -> pd.DataFrame:
    """Fit and transform as a user calls them, beside UMAP."""
    from sklearn.datasets import load_digits

    X, _ = load_digits(return_X_y=True)
    made: dict[str, Any] = {"ours": MIRepresentationLearner(random_state=0)}
    if installed("umap"):
        from umap import UMAP

        made = {"UMAP 8": UMAP(n_components=8, random_state=0, n_jobs=1), **made}
    rows = {}
    for name, transformer in made.items():
        start = time.perf_counter()
        transformer.fit(X)
        middle = time.perf_counter()
        transformer.transform(X)
        rows[name] = (middle - start, time.perf_counter() - middle)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["fit s", "transform s"])
    return table.rename_axis("digits, 1797 x 64")


def transform() -> pd.DataFrame:
    """Transform of 20,000 rows, both views, beside the bare forward pass of both encoders."""
    X = images(20_000)
    learner = ours(X, 128)(2)
    top, bottom = torch.from_numpy(X).split(14, dim=1)

    def bare(n: int) -> None:
        with torch.inference_mode():
            for _ in range(n):
                torch.cat([learner.encoder_(top), learner.encoder_y_(bottom)], dim=1)

    def call(n: int) -> None:
        for _ in range(n):
            learner.transform(X)

    return interleaved({"bare forward pass": bare, "transform": call}, 2).rename_axis("call")


SCALES: dict[str, dict[str, tuple[Any, ...]]] = {
    "rows": {"n_rows": (1_000, 10_000, 100_000, 1_000_000)},
    "batch": {"batch_size": (64, 512, 4_096, 16_384)},
    "width": {"hidden": (128, 512, 2_048)},
    "components": {"n_components": (2, 32, 512)},
    "cores": {"n_threads": (1, 2)},
}


def scaling() -> pd.DataFrame:
    """Milliseconds a step as one thing grows, share of the measured matrix peak, and memory."""
    rows = []
    for axis, values in SCALES.items():
        for name, every in values.items():
            for value in every:
                print(f"scaling: {name}={value}", flush=True)
                asked = [sys.executable, __file__, "--scale", f"{name}={value}"]
                out = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
                rows.append((axis, value, *map(float, out.split()[-3:])))
    columns = ["axis", "value", "ms a step", "percent of peak", "peak MB"]
    return pd.DataFrame(rows, columns=columns).set_index(["axis", "value"])


def one_scale(name: str, value: int) -> None:
    """Print milliseconds a step, percent of the peak and megabytes of one setting."""
    n_rows = value if name == "n_rows" else 20_000
    batch = value if name == "batch_size" else 128
    hidden = value if name == "hidden" else 300
    width = value if name == "n_components" else 100
    torch.set_num_threads(value if name == "n_threads" else torch.get_num_threads())
    run = ours(
        images(n_rows, (28, 28)),
        batch,
        encoder=MLP(hidden=(hidden,) * 3),
        n_components=width,
    )
    # What a fit costs once, more with many rows, must be little beside the steps.
    steps = max(2, (60 + n_rows // 500) * 128 // batch)
    run(2)
    start, times = time.perf_counter(), []
    while len(times) < 3 and time.perf_counter() < start + 20:
        times.append(timed(run, steps))
    ms = float(np.median(times))
    sizes = (392, hidden, hidden, hidden, width)
    products = 2 * sum(a * b for a, b in zip(sizes, sizes[1:], strict=False)) + width * width
    # A product is two operations, forward once and backward twice.
    flops = 6 * batch * products + 6 * batch * batch * width
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(ms, 100 * flops / (ms / 1000) / matrix_peak(), peak)


def matrix_peak() -> float:
    """Return the operations a second of a product of large matrices, measured."""
    a, seconds = torch.randn(2048, 2048), []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds)


SECTIONS = {made.__name__: made for made in (step, overhead, peers, whole, transform, scaling)}


def installed(name: str) -> bool:
    """Tell whether a peer can be imported; say so where it cannot."""
    found = find_spec(name) is not None
    if not found:
        print(f"{name} is not installed: left out.")
    return found


def machine() -> str:
    cards = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return ", ".join([platform.machine(), threads, *cards, f"Python {platform.python_version()}"])


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the ratios of a step of each net to the loop by hand."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    middle = table["ratio median"]
    errors = [middle - table["ratio min"], table["ratio max"] - middle]
    names = [" | ".join(map(str, name)) for name in table.index]
    axes.barh(names, middle, xerr=errors, color="tab:blue")
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("time of a step, over that of the loop by hand")
    figure.savefig(path, dpi=110)


def report() -> str:
    """Return every table that has been measured, as text."""
    parts = []
    for name, made in SECTIONS.items():
        path = RESULTS / f"{name}.csv"
        if path.exists():
            parts.append(f"{made.__doc__}\n\n{pd.read_csv(path).round(3).to_string(index=False)}\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS))
    parser.add_argument("--scale", help="measure one setting of the scaling, and print it")
    asked = parser.parse_args()
    if asked.scale:
        name, value = asked.scale.split("=")
        one_scale(name, int(value))
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    head = f"{versions(PACKAGES)}\n{machine()}\n"
    for name in asked.only or SECTIONS:
        table = SECTIONS[name]()
        table.round(4).to_csv(RESULTS / f"{name}.csv")
        print(f"{SECTIONS[name].__doc__}\n\n{table.round(3).to_string()}\n", flush=True)
        if name == "step":
            draw(table, RESULTS / "speed.png")
    (RESULTS / "speed.txt").write_text(f"{head}\n{report()}", encoding="utf-8")


if __name__ == "__main__":
    main()
