"""Spectra and statistics of a recording."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mi._base import positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, extent, in_blocks, lengths, values_and_seen

__all__ = ["Spectral"]

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
N_QUARTERS = 4
MOST_PAIRS = 512
# Powers and variances of recordings of deviation 1; below them there is nothing but rounding.
FAINTEST, SMALLEST_VARIANCE = 1e-6, 1e-10


@dataclass(repr=False, eq=False)
class Spectral(FrontEnd):
    r"""Describe each channel by its spectrum, its autocorrelation and its distribution.

    Of the n observed steps of a channel, less their mean, it takes the logarithm of the mean power

    .. math:: P(f) = \frac{1}{n} \Bigl| \sum_t (x_t - \bar x) e^{-2 \pi i f t} \Bigr|^2

    in bands of frequency (cycles per step), the autocorrelation, quantiles, mean and deviation of
    values and of differences between steps, and the means of the four quarters. Then follow the
    correlations of the channels, at most 512 of them, and the logarithm of n. Use it where a
    recording may start anywhere and its rhythm or level tells.

    Parameters
    ----------
    n_bands : int, default=24
        Bands up to half a cycle per step, their widths nearly proportional to frequency.
    n_lags : int, default=12
        Lags of the autocorrelation, from one step to a third of the longest training row, nearly
        geometric.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import Spectral
    >>> x = torch.ones(3, 20, 5)  # four channels, and the one that says what was observed
    >>> state = Spectral().fit(x, seed=0)
    >>> Spectral()(x, state).shape  # 51 of each channel, 6 correlations, the length
    torch.Size([3, 211])
    """

    n_bands: int = 24
    n_lags: int = 12

    def fit(self, x: Tensor, seed: int) -> State:
        """Lay out the bands and choose pairs of channels; see `FrontEnd.fit`."""
        values, seen = values_and_seen(x)
        n_bands = positive_integer("n_bands", self.n_bands)
        n_lags = positive_integer("n_lags", self.n_lags)
        longest = extent(seen)
        # Bins of a transform of at least twice the longest row, up to half a cycle per step.
        n_bins = max(2 ** int(np.ceil(np.log2(longest))), 2 * n_bands)
        pairs = np.stack(np.triu_indices(values.shape[1], k=1), axis=1)
        if len(pairs) > MOST_PAIRS:
            pairs = np.random.default_rng(seed).choice(pairs, MOST_PAIRS, replace=False)
        state = {
            "edges": _spread(1, n_bins, n_bands + 1),
            "lags": _spread(1, max(n_lags, longest // 3), n_lags),
            "pairs": torch.as_tensor(pairs),
        }
        return {name: tensor.to(x.device) for name, tensor in state.items()}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return spectra and statistics; see `FrontEnd`."""
        return in_blocks(lambda part: self._features(part, state), x, 4 * x.shape[1:].numel())

    def _features(self, x: Tensor, state: State) -> Tensor:
        values, seen = values_and_seen(x)
        values = values.double()
        n = lengths(seen)[:, None]
        centred = (values - values.sum(2, keepdim=True) / n[..., None]) * seen[:, None]
        squares = centred.square().sum(2)
        parts = [
            *_bands(centred, n, state["edges"]),
            *_autocorrelations(centred, squares, state["lags"]),
            *_quantiles(values, seen, n),
            *_moments(values, seen),
            *_moments(values.diff(dim=2), seen[:, 1:] & seen[:, :-1]),
            *_quarters(values, seen, n),
        ]
        correlations = _correlations(centred, squares, state["pairs"])
        return torch.cat([*parts, correlations, n.log()], dim=1).float()

    def column_names(self, channels: Sequence[str], state: State) -> list[str]:
        """Return what each feature is, behind the names of its channels."""
        moments = [f"{of}{what}" for of in ("", "change_") for what in ("mean", "deviation")]
        told = [
            *(f"band{i}" for i in range(len(state["edges"]) - 1)),
            *(f"lag{k}" for k in state["lags"].tolist()),
            *(f"quantile{level:g}" for level in QUANTILES),
            *moments,
            *(f"quarter{i}" for i in range(N_QUARTERS)),
        ]
        pairs = [f"{channels[i]}_{channels[j]}_correlation" for i, j in state["pairs"].tolist()]
        return [
            *(f"{channel}_{what}" for what in told for channel in channels),
            *pairs,
            "log_length",
        ]


def _spread(first: int, last: int, n: int) -> Tensor:
    """Return n different integers from the first to the last, nearly geometric."""
    numbers = np.arange(n)
    steps = np.floor(np.geomspace(first, last, n) + 1e-9) - numbers
    return torch.as_tensor(np.maximum.accumulate(steps) + numbers, dtype=torch.long)


def _bands(centred: Tensor, n: Tensor, edges: Tensor) -> list[Tensor]:
    """Return the logarithm of the mean power in each band."""
    bounds = edges.tolist()
    period = 2 * bounds[-1]
    # A recording that is longer than the transform adds up: its spectrum at the same frequencies.
    whole = nn.functional.pad(centred, (0, -centred.shape[2] % period))
    folded = whole.unflatten(2, (-1, period)).sum(2)
    spectrum = torch.view_as_real(torch.fft.rfft(folded))
    power = spectrum.square().sum(3) / n[..., None]
    bands = itertools.pairwise(bounds)
    return [(power[..., a:b].mean(2) + FAINTEST).log() for a, b in bands]


def _autocorrelations(centred: Tensor, squares: Tensor, lags: Tensor) -> list[Tensor]:
    """Return the autocorrelations, 0 for a constant."""
    products = ((centred[..., k:] * centred[..., :-k]).sum(2) for k in lags.tolist())
    return [product / squares.clamp_min(SMALLEST_VARIANCE) for product in products]


def _quantiles(values: Tensor, seen: Tensor, n: Tensor) -> list[Tensor]:
    """Return quantiles of the observed values, linear between them."""
    ordered = values.masked_fill(~seen[:, None], torch.inf).sort(2).values
    quantiles = []
    for level in QUANTILES:
        place = (level * (n - 1))[..., None].expand(*ordered.shape[:2], 1)
        below, above = (ordered.gather(2, p.long()) for p in (place.floor(), place.ceil()))
        quantiles.append(torch.lerp(below, above, place.frac().to(below.dtype))[..., 0])
    return quantiles


def _moments(values: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return means and deviations over the observed steps."""
    n, mask = lengths(seen)[:, None], seen[:, None]
    mean = (values * mask).sum(2) / n
    variance = ((values - mean[..., None]) * mask).square().sum(2) / n
    return mean, variance.sqrt()


def _quarters(values: Tensor, seen: Tensor, n: Tensor) -> list[Tensor]:
    """Return the means of the quarters; an empty one has the mean of all."""
    quarter = (seen.cumsum(1) - 1) * N_QUARTERS // n
    masks = (seen & (quarter == i) for i in range(N_QUARTERS))
    overall = values.sum(2) / n
    return [torch.where(mask.any(1)[:, None], _moments(values, mask)[0], overall) for mask in masks]


def _correlations(centred: Tensor, squares: Tensor, pairs: Tensor) -> Tensor:
    """Return the correlations of pairs of channels, 0 for a constant, of shape (b, n_pairs)."""
    unit = centred / squares.clamp_min(SMALLEST_VARIANCE).sqrt()[..., None]
    return (unit @ unit.transpose(1, 2))[:, pairs[:, 0], pairs[:, 1]]
