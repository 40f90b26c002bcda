"""Spectrograms of sound on the mel scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mi._base import a_number, positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, in_blocks, values_and_seen

__all__ = ["LogMel"]

# Power of a band beside that of a recording of deviation 1; below it there is nothing but noise.
FAINTEST = 1e-6


def _mel_filters(n_mels: int, n_fft: int, sample_rate: float) -> Tensor:
    """Return triangular filters (n_fft // 2 + 1, n_mels), equally wide on the mel scale."""
    half = sample_rate / 2
    mels = np.linspace(0, 1, n_mels + 2) * 2595 * np.log10(1 + half / 700)
    edges = 700 * (10 ** (mels / 2595) - 1)
    frequencies = np.linspace(0, 1, n_fft // 2 + 1)[:, None] * half
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    filters = np.minimum(rising, falling).clip(0)
    if not filters.any(0).all():
        raise ValueError(
            f"n_mels={n_mels} is too many for a window of up to {n_fft} steps: a filter covers no "
            "frequency; take fewer mels or a longer window."
        )
    return torch.as_tensor(filters, dtype=torch.float32)


@dataclass(repr=False, eq=False)
class LogMel(FrontEnd):
    r"""Turn sound into its spectrogram: the logarithm of the power in mel bands, frame by frame.

    The result is a recording, too, with ``n_mels`` channels for each channel of the sound, each of
    mean 0 and deviation 1 over the frames of the training rows. Frame p is the sound from step
    ``p * hop`` on under a Hann window, zeros beyond its end; it counts as observed if its first
    step was. Bands are triangles of equal width on the mel scale,

    .. math:: m = 2595 \log_{10}(1 + f / 700)

    from 0 to half the sample rate. Encoders of recordings such as `Conv1d` follow.

    Parameters
    ----------
    sample_rate : float, default=16000
        Steps per second.
    n_mels : int, default=40
        Bands of each channel.
    window : int, default=400
        Steps of a frame.
    hop : int, default=160
        Steps between the starts of two frames.

    References
    ----------
    Speech Communication: Human and Machine (O'Shaughnessy, 1987).

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import LogMel
    >>> x = torch.randn(3, 16000, 2, generator=torch.Generator().manual_seed(0))
    >>> x[..., -1] = 1  # every step was observed
    >>> state = LogMel().fit(x, seed=0)
    >>> LogMel()(x, state).shape
    torch.Size([3, 100, 41])
    """

    sample_rate: float = 16000
    n_mels: int = 40
    window: int = 400
    hop: int = 160

    gives_recordings = True

    def fit(self, x: Tensor, seed: int) -> State:
        """Return means and deviations of the bands; see `FrontEnd.fit`."""
        frames = self._spectrograms(x)
        observed = frames[frames[..., -1] > 0][:, :-1].double()
        deviation = observed.std(0, correction=0)
        scale = torch.where(deviation > FAINTEST, deviation, torch.inf)
        return {"mean": observed.mean(0).float(), "scale": scale.float()}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return spectrograms (b, frames, n_mels * channels + 1); see `FrontEnd`."""
        frames = self._spectrograms(x)
        values, seen = frames[..., :-1], frames[..., -1:]
        return torch.cat([(values - state["mean"]) / state["scale"] * seen, seen], dim=2)

    def _spectrograms(self, x: Tensor) -> Tensor:
        """Return unscaled spectrograms, their last channel 1 at observed frames."""
        window, hop = positive_integer("window", self.window), positive_integer("hop", self.hop)
        rate = a_number("sample_rate", self.sample_rate, "a positive number", lambda r: r > 0)
        n_fft = 2 ** (window - 1).bit_length()
        filters = _mel_filters(positive_integer("n_mels", self.n_mels), n_fft, rate).to(x.device)
        weights = torch.hann_window(window, device=x.device)

        def spectrograms(part: Tensor) -> Tensor:
            values, seen = values_and_seen(part)
            missing = -values.shape[2] % hop
            around = nn.functional.pad(values.float(), (0, missing + max(0, window - hop)))
            spectrum = torch.fft.rfft(around.unfold(2, window, hop) * weights, n_fft)
            power = torch.view_as_real(spectrum).square().sum(4) / weights.square().sum()
            mels = (power @ filters + FAINTEST).log().transpose(1, 2).flatten(2)
            return torch.cat([mels, seen[:, ::hop, None].float()], dim=2)

        return in_blocks(spectrograms, x, x.shape[1:].numel() * n_fft // hop)
