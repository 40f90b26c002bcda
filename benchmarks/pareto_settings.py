"""Settings that `pareto.py` measures, by kind of data."""

from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from skorch.callbacks import Callback
from torch import nn

from sklearn_mi.critics import Cosine, Split
from sklearn_mi.encoders import ConvNet, LeNet, Passthrough
from sklearn_mi.training import Muon
from sklearn_mi.views import Compose, Neighbors

FORMER: dict[str, Any] = {
    "optimizer": "adam",
    "lr": 3e-3,
    "schedule": "cosine",
    "critic": Split(("cauchy", Cosine(temperature=1.0))),
    "objective": "each-part",
    "n_components": 64,
}


class Growing(nn.Module):
    """ConvNet that sees images at half of their size in its first calls of training."""

    def __init__(self, input_shape: Any, n_components: int | None, calls: int):
        super().__init__()
        self.net: Any = ConvNet().build(input_shape, n_components)
        self.left = calls

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and self.left > 0:
            self.left -= 1
            x = nn.functional.avg_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)
        return self.net(x)


def by_muon(lr: float, steps: int) -> dict[str, Any]:
    return {"optimizer": "muon", "lr": lr, "schedule": "linear", "max_steps": steps}


def muon(lr: float, steps: int, **changes: Any) -> dict[str, Any]:
    """Return the former model, trained by Muon."""
    return {**FORMER, **by_muon(lr, steps), **changes}


def of_peers(name: str, **params: Any) -> Any:
    """Return an optimiser of the package pytorch-optimizer, which is imported when it is made."""

    def make() -> Any:
        import pytorch_optimizer

        return partial(getattr(pytorch_optimizer, name), **params)

    return make


class ScheduleFree(Callback):
    """Tells a schedule-free optimiser when training begins and ends."""

    def on_train_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        net.optimizer_.train()

    def on_train_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        net.optimizer_.eval()


def patches(images: np.ndarray) -> np.ndarray:
    """Return every patch of 5 x 5 pixels that the first convolution sees."""
    x = torch.as_tensor(images, dtype=torch.float32)[:, None]
    return nn.functional.unfold(x, 5, padding=2, stride=2).mT.flatten(0, 1).numpy()


def from_patches(input_shape: Any, n_components: int | None) -> nn.Module:
    """Return LeNet whose first filters are the principal components of patches of digits."""
    net: Any = LeNet().build(input_shape, n_components)
    kernel = net[1].weight
    found = PCA(len(kernel)).fit(patches(load_digits().images / 4)).components_
    with torch.no_grad():
        scaled = torch.as_tensor(found, dtype=torch.float32) * kernel.std() * 5
        kernel.copy_(scaled.reshape(kernel.shape))
    return net


DIGITS: dict[str, Any] = {
    "Adam, 2,400 steps": {**FORMER, "max_steps": 2400, "encoder": LeNet(hidden=(512,))},
    "Adam, 800 steps": {**FORMER, "max_steps": 800, "encoder": LeNet()},
    "Muon .05, 800 steps": muon(0.05, 800, encoder=LeNet()),
    "Muon .03, 800 steps": muon(0.03, 800, encoder=LeNet()),
    "Muon .1, 800 steps": muon(0.1, 800, encoder=LeNet()),
    "Muon .05, 600 steps": muon(0.05, 600, encoder=LeNet()),
    "Muon .05, 1,600 steps": muon(0.05, 1600, encoder=LeNet()),
    "Muon .05, 800 steps, hidden 512": muon(0.05, 800, encoder=LeNet(hidden=(512,))),
    "Muon .05, 800 steps, cosine": muon(0.05, 800, encoder=LeNet(), schedule="cosine"),
    "Muon .2, 800 steps": muon(0.2, 800, encoder=LeNet()),
    "Muon .1, 500 steps": muon(0.1, 500, encoder=LeNet()),
    "Muon .1, 1,600 steps": muon(0.1, 1600, encoder=LeNet()),
    "Muon .1, 800 steps, bfloat16": muon(0.1, 800, encoder=LeNet(), precision="bfloat16"),
    "Muon .1, 800 steps, momentum .95": muon(
        0.1, 800, encoder=LeNet(), optimizer=partial(Muon, momentum=0.95)
    ),
    "Muon .1, 800 steps, biases at a tenth": muon(
        0.1, 800, encoder=LeNet(), optimizer=partial(Muon, share=0.1)
    ),
    "Muon .1, 800 steps, five products": muon(
        0.1, 800, encoder=LeNet(), optimizer=partial(Muon, steps=5)
    ),
    "Muon .1, 800 steps, blocks of 128": muon(
        0.1, 800, encoder=LeNet(), optimizer=partial(Muon, block=128)
    ),
    "Muon .1, 800 steps, half of the channels": muon(0.1, 800, encoder=LeNet(channels=(8, 16))),
    "Muon .1, 800 steps, decay .3": muon(0.1, 800, encoder=LeNet(), weight_decay=0.3),
    "Muon .1, 800 steps, decay 1": muon(0.1, 800, encoder=LeNet(), weight_decay=1.0),
    "Muon .1, 800 steps, decay .2": muon(0.1, 800, encoder=LeNet(), weight_decay=0.2),
    "Muon .1, 800 steps, decay .1": muon(0.1, 800, encoder=LeNet(), weight_decay=0.1),
    "Muon .1, 1,600 steps of 128 rows": muon(0.1, 1600, encoder=LeNet(), batch_size=128),
    "Muon .1, 400 steps of 512 rows": muon(0.1, 400, encoder=LeNet(), batch_size=512),
    "SOAP 3e-3, 800 steps": {
        **FORMER,
        "max_steps": 800,
        "encoder": LeNet(),
        "optimizer": of_peers("SOAP"),
    },
    "SOAP 1e-2, 800 steps": {
        **FORMER,
        "max_steps": 800,
        "encoder": LeNet(),
        "optimizer": of_peers("SOAP"),
        "lr": 1e-2,
    },
    "schedule-free AdamW 3e-3, 800 steps": {
        **FORMER,
        "max_steps": 800,
        "encoder": LeNet(),
        "optimizer": of_peers("ScheduleFreeAdamW"),
        "schedule": "constant",
        "callbacks": [ScheduleFree()],
    },
    "Muon .1, 800 steps, first filters from principal components": muon(
        0.1, 800, encoder=from_patches
    ),
    "Muon .1, 800 steps, one cycle": muon(0.1, 800, encoder=LeNet(), schedule="one-cycle"),
}
FLAT: dict[str, Any] = {
    "Adam, 1,200 steps": {**FORMER, "max_steps": 1200, "encoder": "wide-mlp"},
    "Muon .02, 400 steps": muon(0.02, 400, encoder="wide-mlp"),
    "Muon .05, 400 steps": muon(0.05, 400, encoder="wide-mlp"),
    "Muon .02, 400 steps, hidden 256": muon(0.02, 400, encoder="gelu-mlp"),
    "Muon .05, 400 steps, hidden 256": muon(0.05, 400, encoder="gelu-mlp"),
    "Muon .05, 800 steps, hidden 256": muon(0.05, 800, encoder="gelu-mlp"),
    "Muon .02, 800 steps": muon(0.02, 800, encoder="wide-mlp"),
}
MNIST: dict[str, Any] = {
    "Muon .05, 2,400 steps": muon(0.05, 2400, encoder=LeNet()),
    "Muon .1, 2,400 steps": muon(0.1, 2400, encoder=LeNet()),
    "Muon .1, 2,400 steps, decay .067": muon(0.1, 2400, encoder=LeNet(), weight_decay=0.067),
    "Muon .1, 2,400 steps, decay .2": muon(0.1, 2400, encoder=LeNet(), weight_decay=0.2),
    "Muon .2, 2,400 steps": muon(0.2, 2400, encoder=LeNet()),
    "Muon .1, 3,000 steps": muon(0.1, 3000, encoder=LeNet()),
    "Muon .1, 2,400 steps, exact neighbours": muon(
        0.1, 2400, encoder=LeNet(), view=Compose(Neighbors(search="exact"), "affine")
    ),
    "Muon .1, 2,400 steps, bfloat16": muon(0.1, 2400, encoder=LeNet(), precision="bfloat16"),
    "Muon .1, 1,600 steps": muon(0.1, 1600, encoder=LeNet()),
    "Adam, 4,800 steps": {**FORMER, "max_steps": 4800, "encoder": LeNet(hidden=(512,))},
}
COLOUR: dict[str, Any] = {
    "Muon .05, 400 steps, bfloat16": {**by_muon(0.05, 400), "precision": "bfloat16"},
    "Muon .02, 400 steps, bfloat16": {**by_muon(0.02, 400), "precision": "bfloat16"},
    "Muon .02, 400 steps": by_muon(0.02, 400),
    # A step reads two views, each in a call of its own.
    **{
        f"Muon .05, 400 steps, bfloat16, half size for {small}": {
            **by_muon(0.05, 400),
            "precision": "bfloat16",
            "encoder": partial(Growing, calls=2 * small),
        }
        for small in (0, 200, 300)
    },
    "Adam, 880 steps": {"optimizer": "adam", "max_steps": 880, "lr": 1e-3},
}
BESIDE = {**FORMER, "output": "with-columns"}
NUMBERS: dict[str, Any] = {
    "Adam, 1,200 steps": {"optimizer": "adam"},
    "Muon .02, 400 steps": {**BESIDE, **muon(0.02, 400, encoder="wide-mlp")},
    "Muon .05, 400 steps": {**BESIDE, **muon(0.05, 400, encoder="wide-mlp")},
    "Muon .02, 400 steps, hidden 256": {**BESIDE, **muon(0.02, 400, encoder="gelu-mlp")},
    "Muon .05, 400 steps, hidden 256": {**BESIDE, **muon(0.05, 400, encoder="gelu-mlp")},
    "Muon .05, 200 steps, hidden 256": {**BESIDE, **muon(0.05, 200, encoder="gelu-mlp")},
    "columns as they are": "passthrough",
}
KEPT: dict[str, Any] = {"critic": "bilinear", "objective": "infonce"}


def kept(lr: float, steps: int, encoder: str = "gelu-mlp") -> dict[str, Any]:
    """Return columns and two learned components, trained by Muon."""
    return {**KEPT, **by_muon(lr, steps), "encoder": Passthrough(encoder)}


MIXED: dict[str, Any] = {
    "Adam, 1,200 steps": {"optimizer": "adam"},
    "Muon .02, 400 steps": kept(0.02, 400, "wide-mlp"),
    "Muon .02, 400 steps, hidden 256": kept(0.02, 400),
    "Muon .02, 200 steps, hidden 256": kept(0.02, 200),
    "Muon .05, 200 steps, hidden 256": kept(0.05, 200),
    "Adam 3e-3, 200 steps, hidden 256": {
        **kept(3e-3, 200),
        "optimizer": "adam",
        "schedule": "cosine",
    },
    "columns as they are": "passthrough",
}
SETTINGS = {
    "digits": DIGITS,
    "flat": FLAT,
    "mnist": MNIST,
    "colour": COLOUR,
    "numbers": NUMBERS,
    "mixed": MIXED,
}
