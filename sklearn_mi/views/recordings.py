"""Views of recordings: two random versions of one, by changes that keep its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch

from sklearn_mi._base import Shape, a_number
from sklearn_mi.views.base import Pair, State, View
from sklearn_mi.views.steps import (
    add_noise,
    crop_time,
    mask_channels,
    mask_frequencies,
    mask_time,
    scale_channels,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["AugmentRecording"]

# Parameters and their largest values; 0 switches one off.
_STRENGTHS = {
    "scale": 0.9,
    "noise": torch.inf,
    "mask_time": 0.9,
    "mask_channels": 0.9,
    "mask_frequencies": 0.9,
}
_AUGMENTED = (
    "the mutual information is that of two augmented draws: with other augmentations it is another"
)
_FEW_DRAWS = (
    "the two differ by a few drawn numbers: the mutual information of many continuous values is "
    "infinite, and the bound measures the critic"
)


@dataclass(repr=False, eq=False)
class AugmentRecording(View):
    """Pair two randomly changed versions of a recording; every row of a batch has its own draws.

    Use it if you know which changes keep the meaning of a recording. ``"recording"`` names a recipe
    of crops, scaling and noise: ``AugmentRecording(crop=(0.5, 1.0), scale=0.2, noise=0.1)``.
    Changes are applied in the order of the parameters; 0 or None leaves one out. Steps that were
    not observed stay so, in recordings of any length. ``transform`` encodes the recording itself.

    Parameters
    ----------
    crop : tuple of two floats in (0, 1] or None, default=None
        Keep a stretch of the observed steps, moved to the start; its share of them lies between
        these two. The two stretches of a pair overlap.
    scale : float in [0, 0.9], default=0.0
        Multiply each channel by a factor between ``1 - scale`` and ``1 + scale``.
    noise : float, default=0.0
        Standard deviation of Gaussian noise, in units of the scaled channels.
    mask_time : float in [0, 0.9], default=0.0
        Hide a span of at most this share of the observed steps.
    mask_channels : float in [0, 0.9], default=0.0
        Probability of setting a channel to zero, which is its mean; one channel at least stays.
    mask_frequencies : float in [0, 0.9], default=0.0
        Remove a band of at most this share of the spectrum from each channel; for sound and
        vibration.

    References
    ----------
    Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring using Convolutional
    Neural Networks (Um et al., 2017), https://arxiv.org/abs/1706.00527;
    TS2Vec: Towards Universal Representation of Time Series (Yue et al., 2022),
    https://arxiv.org/abs/2106.10466

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import AugmentRecording
    >>> view = AugmentRecording(crop=(0.5, 1.0), scale=0.2)
    >>> recordings = torch.ones(64, 10, 3)  # two channels, and which steps were observed
    >>> first, second = view(recordings, None, None, torch.Generator().manual_seed(0))
    >>> first.shape, len(torch.cat([first, second]).unique(dim=0))
    (torch.Size([64, 10, 3]), 128)
    """

    crop: tuple[float, float] | None = None
    scale: float = 0.0
    noise: float = 0.0
    mask_time: float = 0.0
    mask_channels: float = 0.0
    mask_frequencies: float = 0.0
    takes = "recordings"

    @property
    def adds_own_noise(self) -> bool:  # type: ignore[override]
        """Whether each view gets noise."""
        return self.noise > 0

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two draws of a batch of recordings."""
        return self.pair(x, x, rows, state, generator)

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return one draw of each recording of a pair."""
        anchor = torch.rand(len(x), generator=generator, device=x.device)
        return self._draw(x, anchor, generator), self._draw(x_prime, anchor, generator)

    def _draw(self, x: Tensor, anchor: Tensor, generator: Generator) -> Tensor:
        if self.crop:
            x = crop_time(x, generator, self.crop, anchor)
        if self.scale:
            x = scale_channels(x, generator, self.scale)
        if self.noise:
            x = add_noise(x, generator, self.noise)
        if self.mask_time:
            x = mask_time(x, generator, self.mask_time)
        if self.mask_channels:
            x = mask_channels(x, generator, self.mask_channels)
        if self.mask_frequencies:
            x = mask_frequencies(x, generator, self.mask_frequencies)
        return x

    def fit(self, X: AnyRows) -> State:
        """Check the parameters."""
        for name, most in _STRENGTHS.items():
            limits = "of at least 0" if most == torch.inf else f"in [0, {most}]"
            legal = _between(most)
            a_number(name, self.get_params(deep=False)[name], f"a number {limits}", legal)
        if self.crop is not None:
            _check_shares(self.crop)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shape of the recording, twice.

        Raises
        ------
        ValueError
            If rows are not recordings, or if nothing changes them.
        """
        if len(input_shape) != 2 or input_shape[1] < 2:
            raise ValueError(
                f"{self!r} needs recordings, but a row has shape {input_shape}; pass X of shape "
                "(n, time, channels), or a list of arrays of shape (time, channels)."
            )
        strengths = self.get_params(deep=False)
        idle = ("mask_channels",) if input_shape[1] == 2 else ()
        if not (self.crop or any(strengths[name] for name in _STRENGTHS if name not in idle)):
            raise ValueError(
                f"{self!r} changes nothing in recordings of {input_shape[1] - 1} channels; "
                "expected at least one change, such as crop=(0.5, 1.0), or the recipe "
                "view='recording'."
            )
        return input_shape, input_shape

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say what the mutual information measures, and that it may be infinite."""
        is_noisy = self.adds_own_noise or not shares_values
        return (_AUGMENTED,) if is_noisy else (_AUGMENTED, _FEW_DRAWS)


def _between(most: float) -> Any:
    return lambda value: 0 <= value <= most


def _check_shares(crop: Any) -> None:
    is_pair = isinstance(crop, tuple | list) and len(crop) == 2
    if not (is_pair and all(isinstance(share, Real) for share in crop)) or not (
        0 < crop[0] <= crop[1] <= 1
    ):
        raise ValueError(f"crop={crop!r}; expected two increasing numbers in (0, 1], or None.")
