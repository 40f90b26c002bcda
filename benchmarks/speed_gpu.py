"""A step on a GPU: ours beside an eager loop and a graph captured by hand.

``python benchmarks/speed_gpu.py`` prints milliseconds a step and ratios, min / median / max over
interleaved rounds, and writes ``benchmarks/results/speed/gpu.csv``. A step's time is the difference
of a long and a short run over the difference of their steps.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from speed_loops import Pair, by_hand, by_hand_as_graph, images, nce_loss, ours
from torch import Tensor, nn

from sklearn_mi.encoders import MLP, as_encoder
from sklearn_mi.views import GaussianNoise

RESULTS = Path(__file__).parent / "results" / "speed"


class NoisyPair(nn.Module):
    """One ResNet-18 for two noisy copies of an image, and their inner products."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = as_encoder("resnet18").build(shape, 128)

    def forward(self, x: Tensor) -> Tensor:
        noisy = [x + 0.1 * torch.randn_like(x) for _ in range(2)]
        first, second = self.encoder(torch.cat(noisy)).chunk(2)
        return first @ second.T


def timed(run: Callable[[int], None], steps: int) -> float:
    """Return milliseconds a step, without what a run costs once."""
    seconds = []
    for n in (steps, 3 * steps):
        start = time.perf_counter()
        run(n)
        seconds.append(time.perf_counter() - start)
    return 1000 * (seconds[1] - seconds[0]) / (2 * steps)


def interleaved(
    loops: Mapping[str, Callable[[int], None]], steps: int, rounds: int, baseline: str
) -> pd.DataFrame:
    """Return the time of each loop and its ratio to the baseline of the same round."""
    for run in loops.values():
        run(max(60, steps // 10))
    times = pd.DataFrame(
        [{name: timed(run, steps) for name, run in loops.items()} for _ in range(rounds)]
    )
    ratios = times.div(times[baseline], axis=0)
    of_each = {"min": np.min, "median": np.median, "max": np.max}
    return pd.DataFrame(
        {
            **{f"ms {name}": times.agg(f) for name, f in of_each.items()},
            **{f"ratio {name}": ratios.agg(f) for name, f in of_each.items()},
        }
    )


def small_nets(X: np.ndarray, batch_size: int) -> dict[str, Callable[[int], None]]:
    def pair() -> Pair:
        return Pair(MLP(hidden=(300, 300, 300)))

    return {
        "by hand": by_hand(pair(), X, batch_size, "cuda"),
        "by hand, fused": by_hand(pair(), X, batch_size, "cuda", fused=True),
        "by hand, one graph": by_hand_as_graph(pair(), X, batch_size),
        "ours": ours(X, batch_size, "cuda"),
        "ours, tf32": ours(X, batch_size, "cuda", precision="tf32"),
    }


def resnet(X: np.ndarray, batch_size: int) -> dict[str, Callable[[int], None]]:
    def mine(**params: Any) -> Callable[[int], None]:
        return ours(
            X,
            batch_size,
            "cuda",
            n_components=128,
            view=GaussianNoise(0.1),
            encoder="resnet18",
            encoder_y="shared",
            critic="inner",
            **params,
        )

    def hand(precision: torch.dtype | None = None) -> Callable[[int], None]:
        model = NoisyPair(X.shape[1:])
        return by_hand(model, X, batch_size, "cuda", nce_loss, precision)

    return {
        "by hand": hand(),
        "by hand, bfloat16": hand(torch.bfloat16),
        "ours": mine(),
        "ours, tf32": mine(precision="tf32"),
        "ours, bfloat16": mine(precision="bfloat16"),
    }


def main() -> None:
    device = torch.cuda.get_device_name()
    tables = {
        "MLP, batch 128": interleaved(small_nets(images(60_000), 128), 2000, 5, "by hand"),
        "MLP, batch 4096": interleaved(small_nets(images(60_000), 4096), 500, 3, "by hand"),
        "ResNet-18, batch 4096": interleaved(
            resnet(images(20_000, (32, 32, 3)), 4096), 8, 3, "by hand"
        ),
    }
    table = pd.concat(tables, names=["task", "loop"])
    RESULTS.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(RESULTS / "gpu.csv")
    print(f"{device}, torch {torch.__version__}")
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
