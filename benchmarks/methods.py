"""What a step of Deep InfoMax, AMDIM, CPC, CMC and of recordings costs, beside one by hand.

``python benchmarks/methods.py`` times images of CIFAR10's size, and recordings of 200 steps and 6
channels that end at any step, in batches of 64, in turns on one machine. It writes
``benchmarks/results/methods.csv``: milliseconds a step and the ratio to the loop by hand of the
same round, least, median and largest; and, each in a process of its own, the peak memory of a fit
with batches of 256. ``--rounds 1 --steps 2`` tries it, ``--only recordings`` keeps the other rows.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # set before torch is imported anywhere

import argparse
import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from bench_data import package_commit
from information_tasks import forget_peak, peak_mb
from speed import interleaved, machine
from speed_loops import batches, images, ours
from torch import Tensor, nn
from torch.nn import functional

from sklearn_mi.comparisons import LocalGlobal, Multiview, Predictive, as_comparison
from sklearn_mi.comparisons.base import ComparisonModule
from sklearn_mi.critics import Cosine
from sklearn_mi.encoders import Conv1d, DIMNet, Patches
from sklearn_mi.rows import padded
from sklearn_mi.views import as_view

RESULTS = Path(__file__).parent / "results" / "methods.csv"
SHAPE, WIDTH, BATCH = (32, 32, 3), 64, 64
STEPS, CHANNELS = 200, 6
LR = 1e-3
TEMPERATURE = 0.1
CMC_CHANNELS = {"encoder": 1, "of_color": 2}

Loss = Callable[[nn.ModuleDict, Tensor], Tensor]


def loop(parts: nn.ModuleDict, loss: Loss, X: np.ndarray) -> Callable[[int], None]:
    """Return the plain loop; each run begins with the same weights."""
    data = torch.from_numpy(X)

    def run(steps: int) -> None:
        model = copy.deepcopy(parts).train()
        adam = torch.optim.Adam(model.parameters(), lr=LR)
        for batch in batches(data, BATCH, steps):
            adam.zero_grad()
            loss(model, batch).backward()
            adam.step()

    return run


def built(comparison: Any, encoder: Any, **maps: tuple[int, ...]) -> nn.ModuleDict:
    """Return the encoder and the networks of the comparison, as the learner builds them."""
    heads: ComparisonModule = comparison.build([(WIDTH,), (WIDTH,)], [maps] * 2)
    return nn.ModuleDict({"encoder": encoder.build(SHAPE, WIDTH), "heads": heads})


def dim_loss(parts: nn.ModuleDict, x: Tensor) -> Tensor:
    """InfoNCE of a code against the places of its image, and the prior."""
    encoder, heads = parts["encoder"], parts["heads"]
    maps = encoder[:7](x)
    z = encoder[7:](maps)
    g = heads.sources["code"](z)
    nce = of_places(g @ places_of(heads.targets["conv2"], maps).T, len(x))
    return -nce - heads.judge(z, torch.rand_like(z), 0.1)


def places_of(head: nn.Module, maps: Tensor) -> Tensor:
    """Embed every place of maps."""
    return head(maps.flatten(2).transpose(1, 2).flatten(0, 1))


def of_places(scores: Tensor, n: int) -> Tensor:
    """InfoNCE of each own place against the places of other images, the mean over places."""
    scores = scores.unflatten(1, (n, -1))
    own = scores.diagonal().T
    is_own = torch.eye(n, dtype=torch.bool)[..., None]
    others = scores.masked_fill(is_own, -torch.inf).flatten(1).logsumexp(1, keepdim=True)
    return (own - torch.logaddexp(own, others)).mean()


def amdim_loss(parts: nn.ModuleDict, x: Tensor) -> Tensor:
    """InfoNCE of codes and places of one view against places of the other, clipped."""
    encoder, heads = parts["encoder"], parts["heads"]
    conv2 = encoder[:7](torch.cat(as_view("simclr")(x, None, None, torch.default_generator)))
    conv3 = encoder[7:10](conv2)
    by_view = zip(encoder[10:](conv3).chunk(2), conv2.chunk(2), conv3.chunk(2), strict=True)
    views = [dict(zip(("code", "conv2", "conv3"), of_view, strict=True)) for of_view in by_view]
    total = 0.0
    for one, other in (views, views[::-1]):
        local = {layer: places_of(heads.targets[layer], other[layer]) for layer in heads.targets}
        for source, target in (("code", "conv3"), ("code", "conv2"), ("conv3", "conv3")):
            anchor = one[source]
            if source != "code":
                flat = anchor.flatten(2)
                anchor = flat[torch.arange(len(x)), :, torch.randint(flat.shape[2], (len(x),))]
            scores = heads.sources[source](anchor) @ local[target].T / heads.of.units**0.5
            total = total + 0.05 * scores.square().mean()
            total = total - of_places(20 * torch.tanh(scores / 20), len(x))
    return total / 6


def cmc_loss(parts: nn.ModuleDict, x: Tensor) -> Tensor:
    """InfoNCE both ways, of lightness against colours."""
    views = as_view("lightness-color")(x, None, None, torch.default_generator)
    nets = (parts["encoder"], parts["of_color"])
    first, second = (functional.normalize(net(view)) for net, view in zip(nets, views, strict=True))
    scores, own = first @ second.T / TEMPERATURE, torch.arange(len(x))
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


def cpc_loss(parts: nn.ModuleDict, x: Tensor) -> Tensor:
    """InfoNCE of later rows of patches, the mean over offsets."""
    encoder, heads = parts["encoder"], parts["heads"]
    maps = encoder.map(x)
    n, channels, rows, columns = maps.shape
    by_column = maps.permute(0, 3, 2, 1).flatten(0, 1)
    context = heads.context.network(by_column)[0].unflatten(0, (n, columns)).transpose(1, 2)
    z = maps.permute(0, 2, 3, 1)
    total = 0.0
    for k, predict in zip(heads.offsets, heads.predict, strict=True):
        predicted, target = predict(context[:, :-k]).flatten(1, 2), z[:, k:].flatten(1, 2)
        others = (torch.arange(n)[:, None] + torch.randperm(n - 1)[:16] + 1) % n
        place = torch.randint(target.shape[1], others.shape)
        joint = (predicted * target).sum(2, keepdim=True)
        scores = torch.cat([joint, predicted @ target[others, place].transpose(1, 2)], dim=2)
        total = total - scores.log_softmax(2)[..., 0].mean()
    return total / len(heads.predict)


def recordings(n_rows: int) -> np.ndarray:
    """Return recordings that end at any step after the tenth, NaN from there on."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, STEPS, CHANNELS)).astype(np.float32)
    X[np.arange(STEPS) >= rng.integers(10, STEPS + 1, n_rows)[:, None]] = np.nan
    return X


def contrast_loss(parts: nn.ModuleDict, x: Tensor) -> Tensor:
    """InfoNCE of two augmented recordings by the cosine of their codes."""
    views = as_view("recording")(x, None, None, torch.default_generator)
    first, second = parts["encoder"](torch.cat(views)).chunk(2)
    scores = functional.normalize(first) @ functional.normalize(second).T / TEMPERATURE
    return functional.cross_entropy(scores, torch.arange(len(x)))


def settings() -> dict[str, dict[str, Any]]:
    """Return the parameters of our fits."""
    training = {"n_components": WIDTH, "optimizer": "adam", "schedule": "constant", "lr": LR}
    shared = {
        **training,
        "objective": "infonce",
        "encoder_y": "shared",
        "critic": "auto",
        "precision": "float32",
    }
    return {
        "Deep InfoMax": {
            **shared,
            "view": "same",
            "encoder": DIMNet(),
            "comparison": LocalGlobal(),
        },
        "AMDIM": {**shared, "view": "simclr", "encoder": DIMNet(), "comparison": "amdim"},
        "CMC": {
            **shared,
            "objective": "infonce-symmetric",
            "encoder_y": "separate",
            "view": "lightness-color",
            "encoder": DIMNet(),
            "comparison": Multiview(),
            "critic": Cosine(temperature=TEMPERATURE),
        },
        "CPC": {**shared, "view": "same", "encoder": Patches(), "comparison": Predictive()},
        "recordings": {
            **shared,
            "view": "recording",
            "encoder": Conv1d(),
            "comparison": "whole",
            "critic": Cosine(temperature=TEMPERATURE),
        },
    }


def rows(name: str, n_rows: int) -> np.ndarray:
    """Return what a method is timed on."""
    return recordings(n_rows) if name == "recordings" else images(n_rows, SHAPE)


def by_hand(n_rows: int) -> dict[str, Callable[[int], None]]:
    """Return the loops."""
    torch.manual_seed(0)
    X = images(n_rows, SHAPE)
    conv = nn.ModuleDict({"encoder": Conv1d().build((STEPS, CHANNELS + 1), WIDTH)})
    dim = built(LocalGlobal(), DIMNet(), conv2=(128, 8, 8))
    amdim = built(as_comparison("amdim"), DIMNet(), conv2=(128, 8, 8), conv3=(256, 4, 4))
    cpc = built(Predictive(), Patches(), map=(WIDTH, 7, 7))
    nets = {name: DIMNet().build((32, 32, n), WIDTH) for name, n in CMC_CHANNELS.items()}
    return {
        "Deep InfoMax": loop(dim, dim_loss, X),
        "AMDIM": loop(amdim, amdim_loss, X),
        "CMC": loop(nn.ModuleDict(nets), cmc_loss, X),
        "CPC": loop(cpc, cpc_loss, X),
        "recordings": loop(conv, contrast_loss, padded(recordings(n_rows))),
    }


def memory(name: str) -> float:
    """Return the megabytes that a fit with batches of 256 takes beyond what was there."""
    X = rows(name, 1000)
    params = settings()[name]
    ours(X, 8, **params)(1)
    before = forget_peak()
    ours(X, 256, **params)(2)
    return peak_mb() - before


def main() -> None:
    """Time, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=settings(), default=[*settings()])
    parser.add_argument("--memory", choices=settings(), help="print the megabytes of one, no more")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.memory:
        print(memory(asked.memory))
        return
    tables, hand = {}, by_hand(2000)
    for name in asked.only:
        loops = {"by hand": hand[name], "ours": ours(rows(name, 2000), BATCH, **settings()[name])}
        tables[name] = interleaved(loops, asked.steps, asked.rounds)
        command = [sys.executable, __file__, "--memory", name]
        megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        tables[name].loc["ours", "peak MB, batches of 256"] = float(megabytes)
    made = pd.concat(tables, names=["method", "loop"]).reset_index()
    made["commit"], made["machine"] = package_commit(), machine()
    made["threads"], made["steps"] = torch.get_num_threads(), asked.steps
    if asked.out.exists():
        before = pd.read_csv(asked.out)
        made = pd.concat([before[~before["method"].isin(asked.only)], made])
    made.to_csv(asked.out, index=False, float_format="%.4g")
    print(made.drop(columns=["commit", "machine"]).to_string(index=False))


if __name__ == "__main__":
    main()
