"""Augment batches of recordings on their device, each row with its own draw.

`sklearn_mi.views.AugmentRecording` is the view made of these functions. They are pure functions of
recordings (b, time, channels + 1), zero where nothing was observed, whose last channel is 1 at the
steps that were; so are their results. Nothing loops over rows or copies a number back from the
device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = [
    "add_noise",
    "crop_time",
    "mask_channels",
    "mask_frequencies",
    "mask_time",
    "scale_channels",
]


def _uniform(x: Tensor, generator: Generator, *each: int) -> Tensor:
    """Return ``each`` random numbers in [0, 1) for every row, by default one."""
    return torch.rand(len(x), *each, generator=generator, device=x.device)


def _with_values(x: Tensor, values: Tensor) -> Tensor:
    """Return recordings with other values at their observed steps."""
    mask = x[..., -1:]
    return torch.cat([values * mask, mask], dim=2)


def _only(x: Tensor, kept: Tensor) -> Tensor:
    """Return recordings of some of their steps, a mask (b, time); of all where it has none."""
    kept = kept | ~(kept & (x[..., -1] > 0)).any(1, keepdim=True)
    return x * kept[..., None]


def _spans(
    x: Tensor, generator: Generator, share: tuple[float, float], anchor: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the observed steps of each row within a random span, and which are in it.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    share : tuple of float
        Smallest and largest share of the observed steps, rounded up.
    anchor : Tensor of shape (b,), default=None
        Where between the first observed step, 0, and the last one, 1, lies a step of the span.

    Returns
    -------
    inside : Tensor of bool of shape (b, time)
    length : Tensor of int of shape (b,)
    """
    seen = x[..., -1] > 0
    n, rank = seen.sum(1), seen.cumsum(1) - 1
    wanted = share[0] + (share[1] - share[0]) * _uniform(x, generator)
    length = torch.minimum((wanted * n).ceil().long().clamp_min(1), n)
    low, high = torch.zeros_like(n), n - length
    if anchor is not None:
        place = torch.minimum((anchor * n).long(), (n - 1).clamp_min(0))
        low, high = (place - length + 1).clamp_min(0), torch.minimum(place, high)
    start = low + (_uniform(x, generator) * (high - low + 1)).long()
    inside = seen & (rank >= start[:, None]) & (rank < (start + length)[:, None])
    return inside, length


def crop_time(
    x: Tensor,
    generator: Generator,
    share: tuple[float, float] = (0.5, 1.0),
    anchor: Tensor | None = None,
) -> Tensor:
    """Return a random stretch of each recording, moved to the start; all after it is unobserved.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    generator : torch.Generator
    share : tuple of float, default=(0.5, 1.0)
        Smallest and largest share of the observed steps, uniform between them.
    anchor : Tensor of shape (b,), default=None
        In [0, 1), where in the recording lies a step that the stretch must hold; two crops with one
        anchor overlap. None: anywhere.

    Returns
    -------
    cropped : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.steps import crop_time
    >>> x = torch.stack([torch.arange(6.0), torch.ones(6)], 1)[None]
    >>> crop_time(x, torch.Generator().manual_seed(0), share=(0.5, 0.5))[0, :, 0].tolist()
    [3.0, 4.0, 5.0, 0.0, 0.0, 0.0]
    """
    inside, _ = _spans(x, generator, share, anchor)
    n_steps = x.shape[1]
    from_first = torch.arange(n_steps, device=x.device) + inside.byte().argmax(1, keepdim=True)
    places = from_first.clamp_max(n_steps - 1)
    moved = (x * inside[..., None]).gather(1, places[..., None].expand_as(x))
    return moved * (from_first < n_steps)[..., None]


def scale_channels(x: Tensor, generator: Generator, strength: float = 0.2) -> Tensor:
    """Return recordings whose channels are multiplied by random factors.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    generator : torch.Generator
    strength : float, default=0.2
        Factors lie between ``1 - strength`` and ``1 + strength``, one for each channel of a row.

    Returns
    -------
    scaled : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.steps import scale_channels
    >>> x = torch.ones(1, 3, 2)
    >>> scaled = scale_channels(x, torch.Generator().manual_seed(0), strength=0.5)
    >>> scaled[..., 0].unique().numel(), torch.equal(scaled[..., 1], x[..., 1])
    (1, True)
    """
    drawn = _uniform(x, generator, 1, x.shape[2] - 1)
    return _with_values(x, x[..., :-1] * (1 + strength * (2 * drawn - 1)))


def add_noise(x: Tensor, generator: Generator, std: float = 0.1) -> Tensor:
    """Return recordings with Gaussian noise at their observed steps.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    generator : torch.Generator
    std : float, default=0.1
        Standard deviation, in units of the scaled channels.

    Returns
    -------
    noisy : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.steps import add_noise
    >>> x = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    >>> (add_noise(x, torch.Generator()) != x).tolist()
    [[[True, False], [False, False]]]
    """
    values = x[..., :-1]
    noise = torch.randn(values.shape, generator=generator, device=x.device)
    return _with_values(x, values + std * noise)


def mask_time(x: Tensor, generator: Generator, share: float = 0.2) -> Tensor:
    """Return recordings in which one random span of steps is unobserved.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    generator : torch.Generator
    share : float, default=0.2
        Largest share of the observed steps in the span; the share is uniform between 0 and this.

    Returns
    -------
    masked : Tensor of the shape of ``x``
        A recording of one step keeps it.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.steps import mask_time
    >>> masked = mask_time(torch.ones(1, 5, 2), torch.Generator().manual_seed(1), share=0.4)
    >>> masked[0, :, 1].tolist()
    [1.0, 0.0, 0.0, 1.0, 1.0]
    """
    inside, _ = _spans(x, generator, (0.0, share))
    return _only(x, ~inside)


def mask_channels(x: Tensor, generator: Generator, rate: float = 0.2) -> Tensor:
    """Return recordings in which random channels are zero, their mean; one channel at least is not.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    generator : torch.Generator
    rate : float, default=0.2
        Probability of masking a channel of a row.

    Returns
    -------
    masked : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.steps import mask_channels
    >>> masked = mask_channels(torch.ones(1, 2, 4), torch.Generator().manual_seed(0), rate=0.6)
    >>> masked[0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    drawn = _uniform(x, generator, 1, x.shape[2] - 1)
    kept = (drawn >= rate) | (drawn == drawn.amax(2, keepdim=True))
    return _with_values(x, x[..., :-1] * kept)


def mask_frequencies(x: Tensor, generator: Generator, share: float = 0.2) -> Tensor:
    """Return recordings without a random band of frequencies in each channel.

    The spectrum is that of the recording with its unobserved steps as zeros. Its frequency 0, the
    mean, stays.

    Parameters
    ----------
    x : Tensor of shape (b, time, channels + 1)
    generator : torch.Generator
    share : float, default=0.2
        Largest share of the spectrum in a band; the share is uniform between 0 and this.

    Returns
    -------
    filtered : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.steps import mask_frequencies
    >>> x = torch.cat([torch.randn(1, 16, 1), torch.ones(1, 16, 1)], dim=2)
    >>> filtered = mask_frequencies(x, torch.Generator(), share=1.0)
    >>> bool(filtered[..., 0].norm() < x[..., 0].norm())
    True
    """
    spectrum = torch.fft.rfft(x[..., :-1], dim=1)
    n_bins = spectrum.shape[1] - 1
    drawn = _uniform(x, generator, 2, x.shape[2] - 1)
    width = share * n_bins * drawn[:, :1]
    first = (n_bins - width) * drawn[:, 1:]
    bins = torch.arange(n_bins + 1, device=x.device)[:, None] - 1
    kept = (bins < 0) | (bins < first.floor()) | (bins >= (first + width).ceil())
    return _with_values(x, torch.fft.irfft(spectrum * kept, n=x.shape[1], dim=1))
