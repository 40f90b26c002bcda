"""Training loops to compare with: the same nets, batches and numbers of steps, written by hand.

Each takes a number of steps and leaves the device idle at its end. The task is the paper's: upper
and lower halves of 28 x 28 images, one encoder each, a bilinear critic, InfoNCE.
"""

import copy
import io
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skorch import NeuralNet
from torch import Tensor, nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP, as_encoder
from sklearn_mi.views import GaussianNoise

HIDDEN, WIDTH, HALF = (300, 300, 300), 100, (14, 28)


def images(n_rows: int, shape: tuple[int, ...] = (28, 28)) -> np.ndarray:
    """Return rows for timing: what the pixels are does not matter for the time of a step."""
    return np.random.default_rng(0).random((n_rows, *shape), dtype=np.float32)


class NoisyPair(nn.Module):
    """One ResNet-18 for two noisy copies of an image, and their inner products."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = as_encoder("resnet18").build(shape, 128)

    def forward(self, x: Tensor) -> Tensor:
        copies = [x + 0.1 * torch.randn_like(x) for _ in range(2)]
        first, second = self.encoder(torch.cat(copies)).chunk(2)
        return first @ second.T


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


@contextmanager
def counted_replays() -> Iterator[list[int]]:
    """Note each replay of a CUDA graph inside."""
    counted, replay = [], torch.cuda.CUDAGraph.replay

    def counting(graph: torch.cuda.CUDAGraph) -> None:
        counted.append(1)
        replay(graph)

    torch.cuda.CUDAGraph.replay = counting  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        torch.cuda.CUDAGraph.replay = replay  # type: ignore[method-assign]


def by_hand(
    model: nn.Module,
    X: np.ndarray,
    batch_size: int,
    device: str = "cpu",
    precision: torch.dtype | None = None,
    **optimizer: Any,
) -> Callable[[int], None]:
    """Return the plain loop: batches by index, no reading of losses.

    Each run begins with the same weights, as a fit of ours does: units that die late in a long
    training leave tiny numbers in Adam's state, at which a CPU is several times slower.
    """
    start, data = model.to(device), torch.from_numpy(X).to(device)

    def run(steps: int) -> None:
        model = copy.deepcopy(start)
        adam = torch.optim.Adam(model.parameters(), lr=1e-3, **optimizer)
        for batch in batches(data, batch_size, steps):
            adam.zero_grad()
            with torch.autocast(data.device.type, precision, enabled=precision is not None):
                scores = model(batch)
            nce_loss(scores.float()).backward()
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
) -> Callable[[int], Any]:
    """Return a fit of the learner for some steps."""
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
        **params,
    }

    def run(steps: int, y: Any = None) -> MIRepresentationLearner:
        learner = MIRepresentationLearner(**settings, max_steps=steps).fit(X, y)
        wait(torch.device(device))
        return learner

    return run


def noisy(
    X: np.ndarray, batch_size: int, device: str = "cpu", **params: Any
) -> Callable[[int], Any]:
    """Return our fit for `NoisyPair`."""
    return ours(
        X,
        batch_size,
        device,
        n_components=128,
        view=GaussianNoise(0.1),
        encoder="resnet18",
        encoder_y="shared",
        critic="inner",
        **params,
    )


# Peers, each by its own trainer, and our fit of the same task


def skorch_loop(model: nn.Module, X: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Return skorch with its own DataLoader and callbacks."""

    class Loss(nn.Module):
        def forward(self, scores: Tensor, target: Tensor) -> Tensor:
            return nce_loss(scores)

    def run(steps: int) -> None:
        net = NeuralNet(
            model,
            Loss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            batch_size=batch_size,
            max_epochs=1,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
        )
        rows = np.arange(steps * batch_size) % len(X)
        net.fit(X[rows], np.zeros(len(rows), dtype=np.int64))

    return run


def cebra_loop(X: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Return CEBRA: neighbours in time, its perceptron of 256, 256 and 128."""
    from cebra import CEBRA

    def run(steps: int) -> None:
        CEBRA(
            model_architecture="offset1-model",
            num_hidden_units=256,
            output_dimension=32,
            batch_size=batch_size,
            max_iterations=steps,
            time_offsets=1,
            device="cpu",
        ).fit(X)

    return run


def in_time(X: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Return our fit of CEBRA's task and net."""
    return ours(
        X,
        batch_size,
        n_components=32,
        view="time-lag",
        encoder=MLP(hidden=(256, 256, 128), activation="gelu"),
        encoder_y="shared",
        critic="cosine",
    )


def metric_trainer(X: np.ndarray, y: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Return the trainer of pytorch-metric-learning, two rows of a class, no worker processes."""
    from pytorch_metric_learning.losses import NTXentLoss
    from pytorch_metric_learning.samplers import MPerClassSampler
    from pytorch_metric_learning.trainers import MetricLossOnly

    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    trunk = as_encoder(MLP(hidden=HIDDEN)).build(X.shape[1:], WIDTH)
    adam = torch.optim.Adam(trunk.parameters(), lr=1e-3)
    two_of_each = MPerClassSampler(y, m=2, batch_size=batch_size, length_before_new_iter=len(y))
    # It says what it does not find in the names of its models.
    logging.getLogger("PML").setLevel(logging.ERROR)

    def run(steps: int) -> None:
        trainer = MetricLossOnly(
            models={"trunk": trunk},
            optimizers={"trunk_optimizer": adam},
            batch_size=batch_size,
            loss_funcs={"metric_loss": NTXentLoss()},
            dataset=data,
            sampler=two_of_each,
            iterations_per_epoch=steps,
            data_device="cpu",
            dataloader_num_workers=0,
        )
        with redirect_stderr(io.StringIO()):  # its progress bar
            trainer.train(num_epochs=1)

    return run


def of_classes(X: np.ndarray, y: np.ndarray, n_pairs: int) -> Callable[[int], Any]:
    """Return our fit of the trainer's task: pairs of a class, as many rows a batch."""
    run = ours(
        X,
        n_pairs,
        view="same-class",
        encoder_y="shared",
        critic="cosine",
    )
    return lambda steps: run(steps, y)


def lightly_loop(X: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Return the loop of lightly's docs: its transform in a DataLoader, its head and its loss."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform
    from PIL import Image

    change = SimCLRTransform(input_size=32, gaussian_blur=0.0)

    class Images(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, row: int) -> list[Tensor]:
            return change(Image.fromarray(X[row]))

    encoder = as_encoder("convnet").build(X.shape[1:], 128)
    model = nn.Sequential(encoder, SimCLRProjectionHead(128, 128, 128))
    adam, loss_of = torch.optim.Adam(model.parameters(), lr=1e-3), NTXentLoss(temperature=0.5)
    loader = torch.utils.data.DataLoader(Images(), batch_size, shuffle=True, drop_last=True)

    def run(steps: int) -> None:
        left = steps
        while left:
            for first, second in itertools.islice(loader, left):
                # Their images have the channels first.
                codes = [model(view.permute(0, 2, 3, 1)) for view in (first, second)]
                loss = loss_of(*codes)
                adam.zero_grad()
                loss.backward()
                adam.step()
                left -= 1

    return run


def of_augmented(X: np.ndarray, batch_size: int) -> Callable[[int], Any]:
    """Return our fit of lightly's task, with a head of the same layers."""
    return ours(
        X,
        batch_size,
        n_components=128,
        view="simclr",
        encoder="convnet",
        encoder_y="shared",
        head=MLP(hidden=(128,)),
        critic="cosine",
        objective="infonce-symmetric",
        standardize="auto",
    )
