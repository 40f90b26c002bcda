"""Several front ends side by side, each as a block of principal components."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from sklearn_mi._base import a_number, positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, checked, in_blocks
from sklearn_mi.front_ends.convolved import Convolved
from sklearn_mi.front_ends.spectral import Spectral
from sklearn_mi.front_ends.values import Values

__all__ = ["Blocks"]

PARTS: dict[str, Callable[[], FrontEnd]] = {
    "convolved": Convolved,
    "spectral": Spectral,
    "values": Values,
}
# Deviations and singular values below this share of the largest are rounding.
SMALLEST_SHARE = 1e-6


@dataclass(repr=False, eq=False)
class Blocks(FrontEnd):
    r"""Put the features of several front ends side by side, each part as one block.

    The columns of a part are standardised and reduced to their first principal components, and the
    block is divided by a number, so that on m training rows

    .. math:: \frac{1}{m} \sum_{i=1}^m \lVert z_i \rVert^2 = w^2

    for the weight w of the part, however many columns it has. One random rotation of all blocks
    keeps every distance and spreads the variance over the columns, so that standardising them later
    changes little. Use it if you do not know what tells your recordings apart.

    Parameters
    ----------
    parts : tuple of str or FrontEnd
        Names "convolved", "spectral" or "values", or front ends that give features.
    weights : tuple of float
        One for each part: the larger, the more the part counts in distances.
    n_components : int, default=64
        Largest number of components of a part; there are no more than training rows or columns.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import Blocks
    >>> x = torch.randn(100, 20, 5, generator=torch.Generator().manual_seed(0))
    >>> x[..., -1] = 1  # all steps of four channels were observed
    >>> state = Blocks().fit(x, seed=0)
    >>> Blocks()(x, state).shape
    torch.Size([100, 192])
    """

    parts: Sequence[Any] = ("values", "convolved", "spectral")
    weights: Sequence[float] = (0.7, 1.4, 1.0)
    n_components: int = 64

    def fit(self, x: Tensor, seed: int) -> State:
        """Fit the parts, then their blocks; see `FrontEnd.fit`."""
        parts, weights = self._parts(), self._weights()
        rng = np.random.default_rng(seed)
        state, axes = {}, []
        for i, (part, weight) in enumerate(zip(parts, weights, strict=True)):
            own = part.fit(x, int(rng.integers(2**31)))
            F = part(x, own).cpu().double().numpy()
            mean, scale, directions = self._block(F, int(rng.integers(2**31)))
            state |= {f"part{i}_state_{key}": tensor for key, tensor in own.items()}
            state |= {f"part{i}_mean": mean, f"part{i}_scale": scale}
            axes.append(weight * directions)
        rotation = np.linalg.qr(rng.normal(size=(sum(a.shape[1] for a in axes),) * 2))[0]
        ends = np.cumsum([a.shape[1] for a in axes])[:-1]
        for i, (directions, turn) in enumerate(zip(axes, np.split(rotation, ends), strict=True)):
            state[f"part{i}_axes"] = directions @ turn
        return {key: torch.as_tensor(value, device=x.device) for key, value in state.items()}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return the rotated blocks; see `FrontEnd`."""
        parts = self._parts()
        n_columns = sum(len(state[f"part{i}_mean"]) for i in range(len(parts)))

        def blocks(rows: Tensor) -> Tensor:
            return torch.stack(list(self._projected(rows, parts, state))).sum(0).float()

        return in_blocks(blocks, x, n_columns)

    def _block(self, F: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean and scale of the columns, and the axes of a block of mean squared norm 1."""
        mean, deviation = F.mean(0), F.std(0)
        varies = deviation > SMALLEST_SHARE * np.maximum(1.0, np.abs(mean))
        # Nothing was learned about a column that did not vary.
        scale = np.where(varies, deviation, np.inf)
        k = min(positive_integer("n_components", self.n_components), *F.shape)
        if not varies.any():
            return mean, scale, np.zeros((F.shape[1], k))
        pca: Any = PCA(k, random_state=seed).fit((F - mean) / scale)
        roots = pca.singular_values_
        axes = pca.components_[roots > SMALLEST_SHARE * roots[0]]
        return mean, scale, axes.T / np.sqrt(np.square(roots).sum() / len(F))

    def _projected(self, x: Tensor, parts: Sequence[FrontEnd], state: State) -> Iterator[Tensor]:
        """Yield the rotated block of each part."""
        for i, part in enumerate(parts):
            start = f"part{i}_state_"
            own = {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
            mean, scale, axes = (state[f"part{i}_{key}"] for key in ("mean", "scale", "axes"))
            yield ((part(x, own).double() - mean) / scale) @ axes

    def _parts(self) -> list[FrontEnd]:
        if isinstance(self.parts, str) or not len(self.parts):
            raise ValueError(f"parts={self.parts!r}; expected a tuple such as {tuple(PARTS)}.")
        parts = [checked("each of parts", part, PARTS) for part in self.parts]
        for part in parts:
            if part.gives_recordings:
                raise ValueError(
                    f"part {part!r} gives recordings, not features; expected parts such as "
                    f"{tuple(PARTS)}."
                )
        return parts

    def _weights(self) -> list[float]:
        if len(self.weights) != len(self.parts):
            raise ValueError(
                f"weights={self.weights!r} for {len(self.parts)} parts; expected one each."
            )
        return [
            a_number("each of weights", weight, "a positive number", lambda w: w > 0)
            for weight in self.weights
        ]
