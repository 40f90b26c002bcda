"""How often fixed convolutions of a recording exceed thresholds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mi._base import positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, in_blocks, lengths, values_and_seen

__all__ = ["Convolved"]

KERNEL = 9
# Most channels that a kernel adds up, and groups of kernels where there are more.
MOST_MIXED, N_GROUPS = 9, 4
# Thresholds are quantiles over so many steps of so many training rows.
MOST_ROWS, MOST_PLACES = 128, 4096
GOLDEN = (5**0.5 - 1) / 2
# Whole multiples of this step add up without any rounding, so padding cannot move a sum across a
# threshold.
STEP, LARGEST = 2.0**-30, 2.0**15


def kernels() -> Tensor:
    """Return the 84 kernels with three weights 2 and six -1, of shape (84, 9)."""
    heavy = torch.tensor(list(itertools.combinations(range(KERNEL), 3)))
    return torch.full((len(heavy), KERNEL), -1.0, dtype=torch.float64).scatter_(1, heavy, 2.0)


@dataclass(repr=False, eq=False)
class Convolved(FrontEnd):
    r"""Count how often fixed convolutions exceed thresholds, as MiniRocket does.

    Each of 84 kernels of length 9, with three weights 2 and six weights -1, meets the recording at
    several dilations d, each time in a random set C of at most nine channels. For a threshold b the
    feature is the share of observed steps t with

    .. math:: \sum_{c \in C} \sum_{j=0}^{8} w_j x_{c, t + (j - 4) d} > b

    where values beyond the recording are 0. Thresholds are quantiles of these sums on the training
    rows, at levels that fill (0, 1) evenly. Use it where the shapes in a recording tell, wherever
    they occur.

    Parameters
    ----------
    n_dilations : int, default=6
        Largest number of dilations. They grow from 1 to where a kernel spans the longest training
        row.
    n_thresholds : int, default=3
        Thresholds of each kernel at each dilation.

    References
    ----------
    MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series Classification
    (Dempster, Schmidt, Webb, 2021).

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import Convolved
    >>> x = torch.ones(3, 20, 5)  # four channels, and the one that says what was observed
    >>> state = Convolved().fit(x, seed=0)
    >>> Convolved()(x, state).shape  # at dilations 1 and 2
    torch.Size([3, 504])
    """

    n_dilations: int = 6
    n_thresholds: int = 3

    def fit(self, x: Tensor, seed: int) -> State:
        """Draw channels and find thresholds; see `FrontEnd.fit`."""
        rng = np.random.default_rng(seed)
        dilations = _dilations(int(lengths(values_and_seen(x)[1]).max()), self.n_dilations)
        drawn = np.sort(rng.permutation(len(x))[:MOST_ROWS])
        values, seen = values_and_seen(x[torch.as_tensor(drawn, device=x.device)])
        state = _drawn_channels(rng, values.shape[1], dilations)
        state = {name: tensor.to(x.device) for name, tensor in state.items()}
        rows, steps = _places(rng, seen)
        sums = torch.stack([y[:, rows, steps] for y in _sums(values, state)])
        n_levels = positive_integer("n_thresholds", self.n_thresholds) * sums[..., 0].numel()
        # Levels that fill (0, 1) evenly, however many of them there are.
        levels = torch.arange(1, n_levels + 1, dtype=torch.float64, device=x.device) * GOLDEN % 1
        places = (levels * (sums.shape[2] - 1)).round().long().view(*sums.shape[:2], -1)
        return {**state, "thresholds": sums.sort(2).values.gather(2, places)}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return shares of observed steps; see `FrontEnd`."""
        n_taps = KERNEL * state["channels"].shape[1]
        per_step = max(n_taps, state["mixes"].shape[1])
        return in_blocks(lambda part: _shares(part, state), x, per_step * x.shape[1])


def _dilations(longest: int, most: int) -> np.ndarray:
    """Return dilations from 1 to where a kernel spans the longest recording."""
    largest = np.log2(max(1.0, (longest - 1) / (KERNEL - 1)))
    return np.unique(2 ** np.linspace(0, largest, positive_integer("n_dilations", most)) // 1)


def _drawn_channels(rng: np.random.Generator, n_channels: int, dilations: np.ndarray) -> State:
    """Return a stage for each dilation and group of kernels: its channels, and who adds which.

    Kernels of a group draw from the same few channels, so that many channels cost no more.
    """
    width = min(n_channels, MOST_MIXED)
    n_groups = 1 if width == n_channels else N_GROUPS
    n_stages, n_kernels = len(dilations) * n_groups, len(kernels()) // n_groups
    pools = [rng.permutation(n_channels)[:width] for _ in range(n_stages)]
    sizes = np.floor(2 ** rng.uniform(0, np.log2(width + 1), (n_stages, n_kernels, 1)))
    ranks = rng.random((n_stages, n_kernels, width)).argsort(2).argsort(2)
    return {
        "dilations": torch.as_tensor(dilations.repeat(n_groups), dtype=torch.long),
        "channels": torch.as_tensor(np.stack(pools)),
        "mixes": torch.as_tensor((ranks < sizes).astype(np.float64)),
    }


def _places(rng: np.random.Generator, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and steps of some observed places."""
    places = seen.nonzero()
    if len(places) > MOST_PLACES:
        drawn = np.sort(rng.choice(len(places), MOST_PLACES, replace=False))
        places = places[torch.as_tensor(drawn, device=seen.device)]
    return places[:, 0], places[:, 1]


def _sums(values: Tensor, state: State) -> Iterator[Tensor]:
    """Yield the convolutions (n_kernels, b, time) of each stage, in multiples of `STEP`."""
    whole = (values.double().clamp(-LARGEST, LARGEST) / STEP).round().transpose(0, 1)
    n_steps = whole.shape[2]
    groups = itertools.cycle(kernels().to(values.device).split(state["mixes"].shape[1]))
    stages = (state["dilations"].tolist(), state["channels"], state["mixes"], groups)
    for dilation, channels, mix, weights in zip(*stages, strict=False):
        reach = dilation * (KERNEL // 2)
        around = nn.functional.pad(whole[channels], (reach, reach))
        taps = [around[..., j * dilation :][..., :n_steps] for j in range(KERNEL)]
        columns = torch.stack(taps, 1).flatten(2).flatten(0, 1)
        mixed = (mix[:, :, None] * weights[:, None]).flatten(1)
        yield (mixed @ columns).view(len(mix), -1, n_steps)


def _shares(x: Tensor, state: State) -> Tensor:
    """Return the share of observed steps above each threshold, of shape (b, d)."""
    values, seen = values_and_seen(x)
    # ONNX has no view; elsewhere one spares a copy.
    as_bytes = torch.Tensor.byte if torch.compiler.is_compiling() else _viewed
    counts = []
    for sums, thresholds in zip(_sums(values, state), state["thresholds"], strict=True):
        sums.masked_fill_(~seen, -torch.inf)
        above = (sums > level[:, None, None] for level in thresholds.T)
        counts += [as_bytes(part).sum(2, dtype=torch.int32) for part in above]
    return (torch.cat(counts).T / lengths(seen)[:, None]).float()


def _viewed(mask: Tensor) -> Tensor:
    return mask.view(torch.uint8)
