"""TS2Vec's training in our parts: its hierarchical contrast of two crops, by our `Conv1d`.

TS2Vec: Towards Universal Representation of Time Series (Yue et al., 2022),
https://arxiv.org/abs/2106.10466
"""

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from sklearn_mi.encoders import Conv1d
from sklearn_mi.rows.recordings import padded

BATCH = 16
LARGEST_OF_FEW = 100_000  # numbers, up to which training takes FEW steps
FEW, MANY = 200, 600


def hierarchical_contrast(first: Tensor, second: Tensor) -> Tensor:
    r"""Return the loss of two codes of the same steps, (b, steps, width) each.

    At each level a code is told from those of the other recordings at its step, and from those of
    the other steps of its recording; then every two steps become their maximum.
    """
    losses = []
    while True:
        n, n_steps, _ = first.shape
        terms = []
        if n > 1:
            terms.append(contrast(torch.cat([first, second]).transpose(0, 1)))
        if n_steps > 1:
            terms.append(contrast(torch.cat([first, second], dim=1)))
        # A level of one step has no other steps: half of the weight is left out, as in the paper.
        losses.append(sum(terms, first.new_zeros(())) / 2)
        if n_steps == 1:
            return torch.stack(losses).mean()
        first, second = (
            functional.max_pool1d(z.transpose(1, 2), 2).transpose(1, 2) for z in (first, second)
        )


def contrast(z: Tensor) -> Tensor:
    """Return the mean InfoNCE loss of codes (a, 2 m, width) whose partners are m apart."""
    n_sets, n_codes, _ = z.shape
    scores = z @ z.transpose(1, 2)
    itself = torch.eye(n_codes, dtype=torch.bool, device=z.device)
    partners = torch.arange(n_codes, device=z.device).roll(n_codes // 2).expand(n_sets, -1)
    masked = scores.masked_fill(itself, -torch.inf)
    return functional.cross_entropy(masked.flatten(0, 1), partners.flatten())


def crops(x: Tensor, longest: int, generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
    """Return two crops of recordings (b, time, channels + 1), and how many steps they share.

    The first one ends with the shared steps, the second one begins with them. All lie within the
    observed steps, at a place of its own for each recording.
    """

    def below(high: int) -> int:
        return int(torch.randint(high, (1,), generator=generator))

    observed = x[..., -1].sum(dim=1).long()
    length = min(int(observed.min()), longest)
    shared = 1 if length == 1 else 2 + below(length - 1)
    left = below(length - shared + 1)
    start, end = below(left + 1), left + shared + below(length - left - shared + 1)
    room = observed - length + 1
    offset = (torch.rand(len(x), generator=generator) * room).long()

    def cut(begin: int, stop: int) -> Tensor:
        places = offset[:, None] + torch.arange(begin, stop)
        return x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))

    return cut(start, left + shared), cut(left, end), shared


class HierarchicalContrast(TransformerMixin, BaseEstimator):
    """Trains `Conv1d` by TS2Vec's loss, with its steps, optimiser, masks and averaged weights.

    Crops have at most `longest` steps: the loss grows with their square. The code of a recording is
    the maximum over its steps.
    """

    def __init__(self, random_state: int, width: int = 320, depth: int = 7, longest: int = 200):
        self.random_state = random_state
        self.width = width
        self.depth = depth
        self.longest = longest

    def fit(self, X: list[np.ndarray], y: None = None) -> Any:
        steps = np.concatenate(X)
        self.mean_, self.deviation_ = steps.mean(axis=0), steps.std(axis=0)
        self.deviation_[self.deviation_ == 0] = 1.0
        rows = self._padded(X)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            encoder = Conv1d(channels=(64,) * self.depth, pool="max")
            module: Any = encoder.build(tuple(rows.shape[1:]), self.width)
            self.encoder_ = AveragedModel(module)
            self._train(module, rows, FEW if steps.size <= LARGEST_OF_FEW else MANY)
        return self

    def _train(self, module: Any, rows: Tensor, n_steps: int) -> None:
        generator = torch.Generator().manual_seed(self.random_state)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
        batches: list[Tensor] = []
        for _ in range(n_steps):
            if not batches:
                order = torch.randperm(len(rows), generator=generator)
                size = min(BATCH, len(rows))
                batches = [batch for batch in order.split(size) if len(batch) == size]
            first, second, shared = crops(rows[batches.pop()], self.longest, generator)
            codes = [
                module.steps(_masked(crop, generator)).transpose(1, 2) for crop in (first, second)
            ]
            loss = hierarchical_contrast(codes[0][:, -shared:], codes[1][:, :shared])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.encoder_.update_parameters(module)

    def transform(self, X: list[np.ndarray]) -> np.ndarray:
        self.encoder_.eval()
        with torch.no_grad():
            parts = [self.encoder_(part) for part in self._padded(X).split(256)]
        return torch.cat(parts).numpy()

    def _padded(self, X: list[np.ndarray]) -> Tensor:
        scaled = [(recording - self.mean_) / self.deviation_ for recording in X]
        return torch.from_numpy(padded(scaled)).float()


def _masked(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return recordings without the values of half of their steps, which still count as steps."""
    kept = torch.rand(x.shape[:2], generator=generator) < 0.5
    return torch.cat([x[..., :-1] * kept[..., None], x[..., -1:]], dim=2)
