"""Who takes part in the feature benchmark, as scikit-learn transformers and classifiers.

A peer is imported when it is made, and is told by name where it is not installed. No transformer
is ever given labels: UMAP and CEBRA would use them.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from bench_data import Data, columns_encoder
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.critics import Cosine
from sklearn_mi.encoders import MLP, as_encoder
from sklearn_mi.runtime import choose_device
from sklearn_mi.training import Muon
from sklearn_mi.views import Corruption, as_view

OURS = "MIRepresentationLearner"
# So many settings were first looked at for our defaults, those of choose_defaults.py later on; a
# peer gets no more.
GRID_BUDGET = 27
GRAPHS_KEPT = 2
# Of the ResNet-18, for everyone: 200 passes over the 44,000 rows of a fold in batches of 256.
DEEP_STEPS = 34_375
# Parameters that say how long something trains; --quick makes them small.
LENGTHS = ("max_steps", "max_iterations", "n_steps", "n_epochs")


class Contestant(NamedTuple):
    """How one is made for a data set, and what may be tuned about it."""

    make: Callable[..., Any]
    kinds: tuple[str, ...]
    grid: Mapping[str, Sequence[Any]] = {}
    needs: str | None = None
    # Named data instead of all of the kinds.
    only: tuple[str, ...] = ()
    is_classifier: bool = False
    # What `make` takes where nothing was tuned: as the peer's docs have it.
    usual: Mapping[str, Any] = {}

    def settings(self) -> list[dict[str, Any]]:
        """Return every combination of the grid."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]

    def takes(self, name: str, data: Data) -> bool:
        """Tell whether this one takes part on a data set."""
        return name in self.only if self.only else data.kind in self.kinds

    def is_installed(self) -> bool:
        """Tell whether the peer can be imported, without importing it."""
        return self.needs is None or find_spec(self.needs) is not None


def as_vectors(X: Any) -> np.ndarray:
    """Return rows as vectors of floats; bytes between 0 and 1."""
    X = np.asarray(X)
    flat = X.reshape(len(X), -1)
    return flat.astype(np.float32) / 255 if X.dtype == np.uint8 else flat


def prepared(data: Data, *steps: Any) -> Any:
    """Return a Pipeline that begins with what the kind of data needs."""
    before = {
        "pixels": [FunctionTransformer(as_vectors)],
        "images": [FunctionTransformer(as_vectors)],
        "table": [StandardScaler()],
        "mixed table": [columns_encoder()],
    }
    return make_pipeline(*before[data.kind], *steps)


def ours(data: Data, seed: int, effort: str = "normal") -> Any:
    learner = MIRepresentationLearner(effort=effort, random_state=seed)
    if data.kind == "deep images":
        return learner.set_params(encoder="resnet18", max_steps=DEEP_STEPS, schedule="cosine")
    # Words have to become numbers first; all else the learner takes as it comes.
    return make_pipeline(columns_encoder(), learner) if data.kind == "mixed table" else learner


class OfAnEarlierCommit(TransformerMixin, BaseEstimator):
    """Stands for cells that are kept to compare with, and cannot be computed by this commit."""

    def fit(self, X: Any, y: Any = None) -> Any:
        raise RuntimeError("these cells are kept from commit 1759d58; compute them there")

    def transform(self, X: Any) -> np.ndarray:
        raise RuntimeError("these cells are kept from commit 1759d58; compute them there")


def before_muon(data: Data, seed: int) -> Any:
    return OfAnEarlierCommit()


def raw(data: Data, seed: int) -> Any:
    return prepared(data)


def pca(data: Data, seed: int, variance: float, whiten: bool) -> Any:
    # The solver by the covariance is exact enough and fast for many rows.
    return prepared(data, PCA(variance, whiten=whiten, svd_solver="covariance_eigh"))


class Unsupervised(TransformerMixin, BaseEstimator):
    """Keeps labels from a transformer that would use them."""

    def __init__(self, transformer: Any):
        self.transformer = transformer

    def fit(self, X: Any, y: None = None) -> Any:
        self.transformer_ = clone(self.transformer).fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        return np.asarray(self.transformer_.transform(X))


def umap_of(n_components: int) -> Callable[..., Any]:
    def make(data: Data, seed: int, n_neighbors: int, min_dist: float) -> Any:
        from umap import UMAP

        # A seed takes one thread; UMAP warns unless it is told so.
        umap = UMAP(
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            n_components=n_components,
            random_state=seed,
            n_jobs=1,
        )
        return prepared(data, Unsupervised(umap))

    return make


class NeighborGraph:
    """The kernel ``"knn"`` of LabelSpreading, remembered: it does not depend on the labels.

    Draws of labels share the rows, so one search serves all of them.
    """

    kept: "OrderedDict[tuple, Any]" = OrderedDict()

    def __init__(self, n_neighbors: int):
        self.n_neighbors = n_neighbors

    def __call__(self, X: np.ndarray, Y: np.ndarray) -> Any:
        key = (self.n_neighbors, joblib.hash(X), None if Y is X else joblib.hash(Y))
        if key not in self.kept:
            search = NearestNeighbors(n_neighbors=self.n_neighbors).fit(X)
            # Of rows among themselves each is its own first neighbour, as in scikit-learn's kernel;
            # for new rows the callable is to give known rows by new ones.
            graph = search.kneighbors_graph(Y)
            self.kept[key] = graph if Y is X else graph.T
        self.kept.move_to_end(key)
        while len(self.kept) > GRAPHS_KEPT:
            self.kept.popitem(last=False)
        return self.kept[key].copy()


def label_spreading(data: Data, seed: int, n_neighbors: int, alpha: float) -> Any:
    graph = NeighborGraph(n_neighbors)
    return prepared(data, LabelSpreading(kernel=graph, alpha=alpha, max_iter=1000))


def self_training(data: Data, seed: int, threshold: float, C: float) -> Any:
    logistic = LogisticRegression(C=C, max_iter=2000)
    return prepared(data, StandardScaler(), SelfTrainingClassifier(logistic, threshold=threshold))


class TimeContrast(TransformerMixin, BaseEstimator):
    """CEBRA without labels. It cannot be seeded: two fits differ whatever the seeds."""

    def __init__(self, n_components: int, temperature: float, max_iterations: int):
        self.n_components = n_components
        self.temperature = temperature
        self.max_iterations = max_iterations

    def fit(self, X: Any, y: None = None) -> Any:
        from cebra import CEBRA

        self.cebra_ = CEBRA(
            model_architecture="offset1-model",
            batch_size=512,
            temperature=self.temperature,
            output_dimension=self.n_components,
            max_iterations=self.max_iterations,
            device="cpu",
        )
        self.cebra_.fit(np.asarray(X, dtype=np.float32))
        return self

    def transform(self, X: Any) -> np.ndarray:
        return np.asarray(self.cebra_.transform(np.asarray(X, dtype=np.float32)))


def cebra(data: Data, seed: int, n_components: int, temperature: float, max_iterations: int) -> Any:
    return prepared(data, TimeContrast(n_components, temperature, max_iterations))


class HalvesCCA(TransformerMixin, BaseEstimator):
    """cca-zoo's RidgeCCA between left and right halves of square images, both codes in a row."""

    def __init__(self, n_components: int, shrinkage: float):
        self.n_components = n_components
        self.shrinkage = shrinkage

    def _halves(self, X: Any) -> list[np.ndarray]:
        side = int(np.sqrt(X.shape[1]))
        images = np.asarray(X, dtype=np.float64).reshape(len(X), side, side)
        halves = images[:, :, : side // 2], images[:, :, side // 2 :]
        return [half.reshape(len(X), -1) for half in halves]

    def fit(self, X: Any, y: None = None) -> Any:
        from cca_zoo.linear import RidgeCCA

        self.cca_ = RidgeCCA(self.n_components, shrinkage=self.shrinkage)
        self.cca_.fit(self._halves(X))
        return self

    def transform(self, X: Any) -> np.ndarray:
        return np.hstack(self.cca_.transform(self._halves(X)))


def cca_zoo(data: Data, seed: int, n_components: int, shrinkage: float) -> Any:
    return prepared(data, HalvesCCA(n_components, shrinkage))


class RandomNetwork(TransformerMixin, BaseEstimator):
    """A network of ours with the weights that it begins with, on a GPU where there is one."""

    def __init__(self, random_state: int, encoder: str = "convnet"):
        self.random_state = random_state
        self.encoder = encoder

    def fit(self, X: Any, y: None = None) -> Any:
        with torch.random.fork_rng(devices=[]):
            self._train(self._begin(X))
        return self

    def _begin(self, X: Any) -> torch.Tensor:
        """Make the network; return the images where it lies."""
        self.device_ = choose_device("auto")
        torch.manual_seed(self.random_state)
        self.encoder_ = as_encoder(self.encoder).build(np.shape(X)[1:], None).to(self.device_)
        return torch.from_numpy(X).to(self.device_)

    def _train(self, images: torch.Tensor) -> None:
        """Leave the weights as they are."""

    def transform(self, X: Any) -> np.ndarray:
        self.encoder_.eval()
        with torch.no_grad():
            parts = torch.from_numpy(X).to(self.device_).split(1000)
            return torch.cat([self._code(part.float() / 255) for part in parts]).numpy(force=True)

    def _code(self, images: torch.Tensor) -> torch.Tensor:
        return self.encoder_(images)


class LightlySimCLR(RandomNetwork):
    """The loop of lightly's tutorial: their loss and head, our network and augmentations."""

    def __init__(
        self,
        random_state: int,
        encoder: str = "convnet",
        optimizer: str = "sgd",
        lr: float = 0.06,
        temperature: float = 0.5,
        n_steps: int = 1000,
        batch_size: int = 256,
        averaged: bool = False,
        falls: bool = False,
    ):
        super().__init__(random_state, encoder)
        self.optimizer = optimizer
        self.lr = lr
        self.temperature = temperature
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.averaged = averaged
        self.falls = falls

    def _code(self, images: torch.Tensor) -> torch.Tensor:
        if not self.averaged:
            return super()._code(images)
        crops = as_view("simclr").variants(images, None)
        return torch.stack([functional.normalize(self.encoder_(crop)) for crop in crops]).mean(0)

    def _optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=self.lr)
        if self.optimizer == "muon":
            return Muon(parameters, lr=self.lr)
        return torch.optim.SGD(parameters, lr=self.lr, momentum=0.9, weight_decay=5e-4)

    def fit_iter(self, X: Any, *, at: Sequence[int], checkpoint: Path) -> Iterator[int]:
        """Train, and stop at some steps to be looked at, as our learner's ``fit_iter`` does."""
        with torch.random.fork_rng(devices=[]):
            training = LightlyTraining(self, self._begin(X), at[-1])
            done = training.load(checkpoint)
            for stop in (stop for stop in at if stop > done):
                training.advance(stop)
                yield stop
                training.save(checkpoint)

    def _train(self, images: torch.Tensor) -> None:
        LightlyTraining(self, images, self.n_steps).advance(self.n_steps)


class LightlyTraining:
    """What a training of `LightlySimCLR` consists of: it can be stopped, written and taken up."""

    def __init__(self, rival: LightlySimCLR, images: torch.Tensor, length: int):
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        with torch.no_grad():
            width = rival.encoder_(images[:2].float() / 255).shape[1]
        head = SimCLRProjectionHead(width, 512, 128)
        self.images = images
        self.model = nn.Sequential(rival.encoder_, head).to(images.device)
        self.loss_of, self.view = NTXentLoss(temperature=rival.temperature), as_view("simclr")
        self.optimizer = rival._optimizer(self.model.parameters())
        self.schedule: Any = ConstantLR(self.optimizer, factor=1.0)
        if rival.falls:
            self.schedule = CosineAnnealingLR(self.optimizer, length)
        elif rival.optimizer == "muon":
            self.schedule = LinearLR(self.optimizer, 1.0, 0.0, total_iters=length)
        self.generator = torch.Generator(images.device).manual_seed(rival.random_state)
        self.batch_size, self.order = min(rival.batch_size, len(images)), torch.empty(0)
        self.steps = 0

    def advance(self, stop: int) -> None:
        """Go on to so many steps in all."""
        self.model.train()
        for _ in range(stop - self.steps):
            self._step()
        self.steps = stop

    def _step(self) -> None:
        if len(self.order) < self.batch_size:
            n_rows, device = len(self.images), self.images.device
            self.order = torch.randperm(n_rows, generator=self.generator, device=device)
        rows, self.order = self.order[: self.batch_size], self.order[self.batch_size :]
        first, second = self.view(self.images[rows].float() / 255, None, None, self.generator)
        loss = self.loss_of(self.model(first), self.model(second))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}

    def save(self, path: Path) -> None:
        """Write all that later steps depend on, whole or not at all."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"generator": self.generator.get_state(), "order": self.order, "steps": self.steps}
        draft = path.with_name(f"{path.name}.part")
        torch.save(state, draft)
        draft.replace(path)

    def load(self, path: Path) -> int:
        """Go on from a file where it is there; return the stop that it belongs to, or -1."""
        if not path.exists():
            return -1
        state = torch.load(path, weights_only=True, map_location=self.images.device)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"].cpu())
        self.order, self.steps = state["order"], state["steps"]
        return self.steps


def random_convnet(data: Data, seed: int) -> Any:
    return RandomNetwork(seed)


def simclr(
    data: Data, seed: int, optimizer: str, lr: float, temperature: float, **changes: Any
) -> Any:
    rival = LightlySimCLR(seed, optimizer=optimizer, lr=lr, temperature=temperature, **changes)
    if data.kind == "deep images":
        rival.set_params(encoder="resnet18", n_steps=DEEP_STEPS, falls=True)
    return rival


def scarf(data: Data, seed: int, rate: float, temperature: float, max_steps: int) -> Any:
    """Return SCARF (Bahri et al., 2022) in our parts: corruption, cosine, a head to throw away."""
    learner = MIRepresentationLearner(
        256,
        view=Corruption(rate),
        encoder=MLP(hidden=(256, 256, 256)),
        head=MLP(hidden=(256,)),
        critic=Cosine(temperature),
        objective="infonce-symmetric",
        standardize=False,
        batch_size=128,
        max_steps=max_steps,
        random_state=seed,
    )
    return prepared(data, learner)


EVERYWHERE = ("pixels", "images", "table", "mixed table")
FLAT = ("pixels", "table", "mixed table")
TABLES = ("table", "mixed table")
UMAP_GRID = {"n_neighbors": (5, 10, 15, 30, 50), "min_dist": (0.0, 0.05, 0.1, 0.25, 0.5)}
UMAP_USUAL = {"n_neighbors": 15, "min_dist": 0.1}
SIMCLR_USUAL = {"optimizer": "sgd", "lr": 0.06, "temperature": 0.5}
CONTESTANTS = {
    OURS: Contestant(ours, (*EVERYWHERE, "deep images")),
    f"{OURS}, quick": Contestant(partial(ours, effort="quick"), ("pixels", *TABLES)),
    f"{OURS}, thorough": Contestant(partial(ours, effort="thorough"), ("pixels", "images")),
    f"{OURS}, 1759d58": Contestant(before_muon, EVERYWHERE),
    "raw": Contestant(raw, EVERYWHERE),
    "PCA": Contestant(
        pca,
        EVERYWHERE,
        {"variance": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99), "whiten": (False, True)},
        usual={"variance": 0.95, "whiten": False},
    ),
    "UMAP 8": Contestant(umap_of(8), FLAT, UMAP_GRID, "umap", usual=UMAP_USUAL),
    "UMAP 32": Contestant(
        umap_of(32), (), UMAP_GRID, "umap", only=("digits",), usual=UMAP_USUAL
    ),
    # What was chosen on digits is worse than this on MNIST, so both stand in its table.
    "UMAP 8, not tuned": Contestant(
        partial(umap_of(8), **UMAP_USUAL), (), needs="umap", only=("mnist",)
    ),
    "LabelSpreading": Contestant(
        label_spreading,
        FLAT,
        {"n_neighbors": (5, 7, 10, 15, 25), "alpha": (0.05, 0.2, 0.5, 0.8, 0.95)},
        is_classifier=True,
        usual={"n_neighbors": 7, "alpha": 0.2},
    ),
    "self-training": Contestant(
        self_training,
        (),
        {"threshold": (0.5, 0.6, 0.75, 0.9, 0.95), "C": (0.01, 0.03, 0.1, 1.0, 10.0)},
        only=("digits",),
        is_classifier=True,
        usual={"threshold": 0.75, "C": 1.0},
    ),
    "CEBRA": Contestant(
        cebra,
        (),
        {
            "n_components": (8, 16, 32, 64),
            "temperature": (0.1, 0.3, 1.0),
            "max_iterations": (1000, 3000),
        },
        "cebra",
        only=("digits",),
        usual={"n_components": 32, "temperature": 1.0, "max_iterations": 1000},
    ),
    "cca-zoo": Contestant(
        cca_zoo,
        (),
        {"n_components": (4, 8, 12, 16, 20, 24), "shrinkage": (0.01, 0.1, 0.3, 0.5)},
        "cca_zoo",
        only=("digits",),
        usual={"n_components": 16, "shrinkage": 0.1},
    ),
    "random ConvNet": Contestant(random_convnet, ("images",)),
    "SimCLR of lightly": Contestant(
        simclr,
        ("images", "deep images"),
        {
            "optimizer": ("sgd", "adam"),
            "lr": (0.001, 0.003, 0.01, 0.06),
            "temperature": (0.1, 0.2, 0.5),
        },
        "lightly",
        usual=SIMCLR_USUAL,
    ),
    # Half of the steps, by the optimiser that ours has.
    "SimCLR of lightly, Muon": Contestant(
        partial(simclr, optimizer="muon", n_steps=500),
        ("images",),
        {"lr": (0.02, 0.05), "temperature": (0.1, 0.5)},
        "lightly",
        usual={"lr": 0.02, "temperature": 0.1},
    ),
    # The chosen setting, and the mean over five crops that our default gives, made by hand.
    "SimCLR of lightly, averaged": Contestant(
        partial(simclr, optimizer="adam", lr=1e-3, temperature=0.1, averaged=True),
        (),
        needs="lightly",
        only=("cifar10", "cifar10-resnet18"),
    ),
    # What was chosen by the small network need not suit the deep one.
    "SimCLR of lightly, not tuned": Contestant(
        partial(simclr, **SIMCLR_USUAL), (), needs="lightly", only=("cifar10-resnet18",)
    ),
    "SCARF (in our parts)": Contestant(
        scarf,
        TABLES,
        {"rate": (0.3, 0.45, 0.6), "temperature": (0.1, 0.3, 1.0), "max_steps": (300, 1000, 3000)},
        usual={"rate": 0.6, "temperature": 1.0, "max_steps": 1000},
    ),
}  # fmt: skip
# Peers are tuned where we were: everything on digits, the one for colour images on rows set aside.
TUNED_ON = dict.fromkeys(("SimCLR of lightly", "SimCLR of lightly, Muon"), "cifar10-development")
TUNED_ON_OTHERWISE = "digits"


def shortened(estimator: Any, n_steps: int) -> Any:
    """Return an estimator that trains for so many steps only, to see whether it runs."""
    lengths = [name for name in estimator.get_params() if name.split("__")[-1] in LENGTHS]
    return estimator.set_params(**dict.fromkeys(lengths, n_steps))
