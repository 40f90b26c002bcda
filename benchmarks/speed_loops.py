"""Training loops to compare with: the same nets, batches and numbers of steps, written by hand.

Each takes a number of steps and leaves the device idle at its end. The task is the paper's: upper
and lower halves of 28 x 28 images, one encoder each, a bilinear critic, InfoNCE.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP, as_encoder

HIDDEN, WIDTH, HALF = (300, 300, 300), 100, (14, 28)


def images(n_rows: int, shape: tuple[int, ...] = (28, 28)) -> np.ndarray:
    """Return rows for timing: what the pixels are does not matter for the time of a step."""
    return np.random.default_rng(0).random((n_rows, *shape), dtype=np.float32)


class Pair(nn.Module):
    """Two encoders and a bilinear critic."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.first, self.second = (as_encoder(encoder).build(HALF, WIDTH) for _ in range(2))
        self.map = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(self.first(x[:, :14])) @ self.second(x[:, 14:]).T


def nce_loss(scores: Tensor) -> Tensor:
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def batches(data: Tensor, batch_size: int, steps: int) -> Iterator[Tensor]:
    """Yield shuffled batches of rows that lie on the device."""
    place, order = len(data), torch.empty(0)
    for _ in range(steps):
        if place + batch_size > len(data):
            order, place = torch.randperm(len(data), device=data.device), 0
        yield data[order[place : place + batch_size]]
        place += batch_size


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def by_hand(
    model: nn.Module,
    X: np.ndarray,
    batch_size: int,
    device: str = "cpu",
    loss: Callable[[Tensor], Tensor] = nce_loss,
    precision: torch.dtype | None = None,
    **optimizer: Any,
) -> Callable[[int], None]:
    """Return the plain loop: batches by index, no reading of losses."""
    model, data = model.to(device), torch.from_numpy(X).to(device)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, **optimizer)

    def run(steps: int) -> None:
        for batch in batches(data, batch_size, steps):
            adam.zero_grad()
            with torch.autocast(data.device.type, precision, enabled=precision is not None):
                scores = model(batch)
            loss(scores.float()).backward()
            adam.step()
        wait(data.device)

    return run


def by_hand_as_graph(model: nn.Module, X: np.ndarray, batch_size: int) -> Callable[[int], None]:
    """Return the loop of one captured CUDA graph: the batch is cut out on the device before it."""
    model, data = model.to("cuda"), torch.from_numpy(X).to("cuda")
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True, capturable=True)
    batch = data[:batch_size].clone()

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        nce_loss(model(batch)).backward()
        adam.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def run(steps: int) -> None:
        for rows in batches(data, batch_size, steps):
            batch.copy_(rows)
            graph.replay()
        torch.cuda.synchronize()

    # The graph writes into their memory, which would be given to others.
    run.kept = model, adam  # type: ignore[attr-defined]
    return run


def ours(
    X: np.ndarray, batch_size: int, device: str = "cpu", **params: Any
) -> Callable[[int], None]:
    """Return a fit of the learner."""
    settings: dict[str, Any] = {
        "n_components": WIDTH,
        "view": "halves",
        "encoder": MLP(hidden=HIDDEN),
        "encoder_y": "separate",
        "critic": "bilinear",
        "objective": "infonce",
        "batch_size": batch_size,
        "validation_fraction": 0.0,
        "standardize": False,
        "device": device,
        "random_state": 0,
    }

    def run(steps: int) -> None:
        MIRepresentationLearner(**{**settings, **params}, max_steps=steps).fit(X)
        wait(torch.device(device))

    return run
