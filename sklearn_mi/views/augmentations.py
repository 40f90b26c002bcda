"""Augment batches of images on their device, each row with its own draw.

`sklearn_mi.views.Augment` is the view made of these functions. They are pure functions of
floating-point batches of shape (b, h, w) or (b, h, w, c), with red, green and blue in this order.
Functions such as ``adjust_...`` take one amount a row; ``random_...`` draw the amounts from a
generator on the batch's device. Nothing loops over rows or copies a number back from the device, so
a batch costs a fixed number of kernels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "affine",
    "color_jitter",
    "erase",
    "five_crops",
    "gaussian_blur",
    "grayscale",
    "random_affine",
    "random_blur",
    "random_erase",
    "random_flip",
    "random_grayscale",
    "random_resized_crop",
    "resized_crop",
    "to_lab",
]

# Luma of Recommendation ITU-R BT.601. The weights sum to one, so grey pixels do not change.
_LUMA = (0.299, 0.587, 0.114)
# X, Y and Z of sRGB's red, green and blue, divided by those of D65 (IEC 61966-2-1).
_TRISTIMULUS = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)
_TRIES = 10


def _uniform(x: Tensor, generator: Generator, low: float, high: float, *each: int) -> Tensor:
    """Return ``each`` random numbers in [low, high) for every row, by default one."""
    drawn = torch.rand(len(x), *each, generator=generator, device=x.device, dtype=x.dtype)
    return low + (high - low) * drawn


def _chosen(x: Tensor, generator: Generator, rate: float) -> Tensor:
    """Return which rows to change, a mask of shape (b,)."""
    return _uniform(x, generator, 0.0, 1.0) < rate


def _by_row(values: Tensor, x: Tensor) -> Tensor:
    """Reshape one value a row so that it broadcasts against the batch."""
    return values.reshape(-1, *(1 for _ in x.shape[1:]))


def _is_color(x: Tensor) -> bool:
    return x.ndim == 4 and x.shape[-1] == 3


def _channels_first(x: Tensor) -> Tensor:
    if x.ndim not in (3, 4):
        raise ValueError(
            f"a batch of shape {tuple(x.shape)}; expected images (b, h, w) or (b, h, w, c)."
        )
    return x.unsqueeze(1) if x.ndim == 3 else x.movedim(-1, 1)


def _like_rows(planes: Tensor, x: Tensor) -> Tensor:
    return planes.squeeze(1) if x.ndim == 3 else planes.movedim(1, -1)


# Where pixels come from


def _sample(x: Tensor, rows: Tensor, columns: Tensor, outside: str) -> Tensor:
    """Read images at places between -1 and 1, which broadcast to (b, h, w), bilinearly."""
    grid = torch.broadcast_tensors(columns, rows)
    planes = functional.grid_sample(
        _channels_first(x), torch.stack(grid, -1), padding_mode=outside, align_corners=False
    )
    return _like_rows(planes, x)


def _places(pixels: Tensor, size: int) -> Tensor:
    """Return pixels in the units of `_sample`: the outer edges of the image are at -1 and 1."""
    return (2 * pixels + 1) / size - 1


def _within(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return positions of ``size`` pixels within a stretch, never outside its outermost pixels."""
    steps = (torch.arange(size, device=start.device, dtype=start.dtype) + 0.5) / size
    first, last = start.unsqueeze(1), (start + length - 1).unsqueeze(1)
    return torch.clamp(first + steps * length.unsqueeze(1) - 0.5, first, torch.maximum(first, last))


def resized_crop(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Return a box of each image, stretched to the size of the image.

    Interpolation is bilinear. With whole pixels the result equals torchvision's ``resized_crop``.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    top, left, height, width : Tensor of shape (b,)
        The box of each row, within the image, in pixels; fractions are allowed.

    Returns
    -------
    cropped : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import resized_crop
    >>> x = torch.arange(4.0).expand(1, 4, 4)
    >>> right_half = [torch.tensor([number]) for number in (0.0, 2.0, 4.0, 2.0)]
    >>> resized_crop(x, *right_half)[0, 0].tolist()
    [2.0, 2.25, 2.75, 3.0]
    """
    rows = _places(_within(top, height, x.shape[1]), x.shape[1])
    columns = _places(_within(left, width, x.shape[2]), x.shape[2])
    return _sample(x, rows.unsqueeze(2), columns.unsqueeze(1), "border")


def _box_sizes(
    x: Tensor, generator: Generator, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return heights and widths of boxes; each row takes the first try that fits."""
    height, width = x.shape[1:3]
    area = height * width * _uniform(x, generator, *scale, _TRIES)
    aspect = _uniform(x, generator, math.log(ratio[0]), math.log(ratio[1]), _TRIES).exp()
    heights, widths = (area / aspect).sqrt(), (area * aspect).sqrt()
    fits = (heights <= height) & (widths <= width)
    first = fits.byte().argmax(1, keepdim=True)
    return (
        heights.gather(1, first).squeeze(1).clamp(max=height),
        widths.gather(1, first).squeeze(1).clamp(max=width),
    )


def random_resized_crop(
    x: Tensor,
    generator: Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """Return a randomly drawn box of each image, stretched to the size of the image.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    scale : tuple of float, default=(0.08, 1.0)
        Smallest and largest share of the image's area, uniform between them.
    ratio : tuple of float, default=(3/4, 4/3)
        Smallest and largest width over height, uniform in its logarithm.

    Returns
    -------
    cropped : Tensor of the shape of ``x``

    References
    ----------
    Going Deeper with Convolutions (Szegedy et al., 2015), https://arxiv.org/abs/1409.4842

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import random_resized_crop
    >>> equal = torch.arange(36.0).reshape(1, 6, 6).expand(64, 6, 6)
    >>> cropped = random_resized_crop(equal, torch.Generator().manual_seed(0))
    >>> len(cropped.unique(dim=0))
    64
    """
    height, width = _box_sizes(x, generator, scale, ratio)
    top = _uniform(x, generator, 0.0, 1.0) * (x.shape[1] - height)
    left = _uniform(x, generator, 0.0, 1.0) * (x.shape[2] - width)
    return resized_crop(x, top, left, height, width)


def five_crops(x: Tensor, share: float) -> list[Tensor]:
    """Return the four corners and the centre of each image, stretched to the size of the image.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    share : float
        Share of the image's area in each crop; every crop has the shape of the image.

    Returns
    -------
    crops : list of 5 Tensor of the shape of ``x``
        Upper left, upper right, lower left, lower right, centre.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import five_crops
    >>> x = torch.arange(4.0).expand(1, 4, 4)
    >>> [crop[0, 0, 0].item() for crop in five_crops(x, share=0.25)]
    [0.0, 2.0, 0.0, 2.0, 1.0]
    """
    height, width = (x.new_full((x.shape[0],), size * math.sqrt(share)) for size in x.shape[1:3])
    down, right = x.shape[1] - height, x.shape[2] - width
    corners = [(top * down, left * right) for top in (0, 1) for left in (0, 1)]
    places = [*corners, (down / 2, right / 2)]
    return [resized_crop(x, top, left, height, width) for top, left in places]


def affine(
    x: Tensor,
    angle: Tensor,
    down: Tensor,
    right: Tensor,
    zoom: Tensor,
    fill: float | Tensor = 0.0,
) -> Tensor:
    """Return each image rotated and zoomed about its centre, then shifted.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    angle : Tensor of shape (b,)
        Rotation in degrees, clockwise.
    down, right : Tensor of shape (b,)
        Shift in pixels; fractions are allowed.
    zoom : Tensor of shape (b,)
        Factor; above 1 it enlarges.
    fill : float or Tensor of shape (), default=0.0
        Value of pixels from outside the image.

    Returns
    -------
    moved : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import affine
    >>> x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> none, one = torch.zeros(1), torch.ones(1)
    >>> affine(x, none, none, one, one).tolist()
    [[[0.0, 1.0], [0.0, 3.0]]]
    """
    radians = torch.deg2rad(angle)
    cos, sin, down, right, zoom = (
        number.reshape(-1, 1, 1) for number in (radians.cos(), radians.sin(), down, right, zoom)
    )
    rows, columns = _from_centre(x)
    rows, columns = (rows - down) / zoom, (columns - right) / zoom
    # The centre is at 0. Only the two sums run over all pixels, all else over one row or column.
    down_by, right_by = (2 / size for size in x.shape[1:3])
    turned = (
        down_by * cos * rows - down_by * sin * columns,
        right_by * cos * columns + right_by * sin * rows,
    )
    moved = _sample(x - fill, *turned, "zeros")
    return moved + fill


def _from_centre(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column numbers, with 0 at the centre of an image."""
    rows, columns = (
        torch.arange(size, device=x.device, dtype=x.dtype) - (size - 1) / 2 for size in x.shape[1:3]
    )
    return rows.reshape(1, -1, 1), columns.reshape(1, 1, -1)


def random_affine(
    x: Tensor,
    generator: Generator,
    shift: float = 0.0,
    rotate: float = 0.0,
    zoom: float = 0.0,
    fill: float | Tensor = 0.0,
) -> Tensor:
    """Return each image shifted, rotated and zoomed by random amounts.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    shift : float, default=0.0
        Move by at most this share of the height, up or down, and of the width, left or right.
    rotate : float, default=0.0
        Turn by at most this many degrees in either direction.
    zoom : float, default=0.0
        Scale by a factor between ``1 - zoom`` and ``1 + zoom``.
    fill : float or Tensor of shape (), default=0.0
        Value of pixels from outside the image.

    Returns
    -------
    moved : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import random_affine
    >>> x = torch.rand(5, 8, 8)
    >>> random_affine(x, torch.Generator(), shift=0.1, rotate=15.0).shape
    torch.Size([5, 8, 8])
    """
    return affine(
        x,
        angle=_uniform(x, generator, -rotate, rotate),
        down=_uniform(x, generator, -shift, shift) * x.shape[1],
        right=_uniform(x, generator, -shift, shift) * x.shape[2],
        zoom=_uniform(x, generator, 1 - zoom, 1 + zoom),
        fill=fill,
    )


def random_flip(x: Tensor, generator: Generator, rate: float = 0.5) -> Tensor:
    """Return the images, some of them with left and right swapped.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    rate : float, default=0.5
        Probability of flipping a row.

    Returns
    -------
    flipped : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import random_flip
    >>> random_flip(torch.tensor([[[1.0, 2.0]]]), torch.Generator(), rate=1.0).tolist()
    [[[2.0, 1.0]]]
    """
    return torch.where(_by_row(_chosen(x, generator, rate), x), x.flip(2), x)


# Colours


def _luma(x: Tensor) -> Tensor:
    """Return the brightness of colour images, of shape (b, h, w, 1)."""
    red, green, blue = (channel * w for channel, w in zip(x.unbind(-1), _LUMA, strict=True))
    return (red + green + blue).unsqueeze(-1)


def grayscale(x: Tensor) -> Tensor:
    """Return colour images in shades of grey, as three equal channels; others unchanged.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)

    Returns
    -------
    grey : Tensor of the shape of ``x``

    References
    ----------
    Recommendation ITU-R BT.601-7 (International Telecommunication Union, 2011).

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import grayscale
    >>> grayscale(torch.tensor([[[[1.0, 0.0, 0.0]]]]))
    tensor([[[[0.2990, 0.2990, 0.2990]]]])
    """
    return _luma(x).expand_as(x) if _is_color(x) else x


def to_lab(x: Tensor) -> Tensor:
    r"""Return colour images in CIELab: lightness, green to red, blue to yellow.

    With the linear light r, g, b of the pixels, :math:`X, Y, Z` their tristimulus values divided by
    those of white (daylight D65), and :math:`f(t) = t^{1/3}`, continued by its tangent below
    :math:`(6/29)^3`,

    .. math:: L = 116 f(Y) - 16, \quad a = 500 \big(f(X) - f(Y)\big),
              \quad b = 200 \big(f(Y) - f(Z)\big).

    Parameters
    ----------
    x : Tensor of shape (b, h, w, 3)
        Red, green and blue of sRGB, in [0, 1].

    Returns
    -------
    lab : Tensor of shape (b, h, w, 3)
        L lies in [0, 100], a and b within about 110 of zero.

    References
    ----------
    IEC 61966-2-1 (sRGB); ISO/CIE 11664-4, CIE 1976 L*a*b* Colour Space.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import to_lab
    >>> red = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    >>> [round(number, 1) for number in to_lab(red).flatten().tolist()]
    [53.2, 80.1, 67.2]
    """
    light = torch.where(x > 0.04045, ((x + 0.055) / 1.055).clamp_min(0) ** 2.4, x / 12.92)
    red, green, blue = light.unbind(-1)
    f_x, f_y, f_z = (_cube_root(r * red + g * green + b * blue) for r, g, b in _TRISTIMULUS)
    return torch.stack([116 * f_y - 16, 500 * (f_x - f_y), 200 * (f_y - f_z)], dim=-1)


def _cube_root(t: Tensor) -> Tensor:
    """Return the cube root, continued by its tangent below (6/29)^3."""
    edge = 6 / 29
    root = t.clamp_min(edge**3) ** (1 / 3)
    return torch.where(t > edge**3, root, t / (3 * edge**2) + 4 / 29)


def random_grayscale(x: Tensor, generator: Generator, rate: float = 0.2) -> Tensor:
    """Return the images, some of them without colour.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    rate : float, default=0.2
        Probability of removing a row's colour.

    Returns
    -------
    grey : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import random_grayscale
    >>> red = torch.tensor([1.0, 0.0, 0.0]).expand(100, 4, 4, 3)
    >>> len(random_grayscale(red, torch.Generator().manual_seed(0)).unique(dim=0))
    2
    """
    return torch.where(_by_row(_chosen(x, generator, rate), x), grayscale(x), x)


def _clip(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    return x.clamp_(low, high)  # type: ignore[arg-type]


def adjust_brightness(
    x: Tensor, factor: Tensor, low: float | Tensor = 0.0, high: float | Tensor = 1.0
) -> Tensor:
    """Return images with every pixel ``factor`` times as far from black.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    factor : Tensor of shape (b,)
        0 gives a black image, 1 keeps the image.
    low, high : float or Tensor of shape (), default=0.0, 1.0
        Black and white; the result is clipped to them.

    Returns
    -------
    adjusted : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import adjust_brightness
    >>> adjust_brightness(torch.tensor([[[4.0, 8.0, 12.0]]]), torch.tensor([1.5]), high=16.0)
    tensor([[[ 6., 12., 16.]]])
    """
    factor = _by_row(factor, x)
    return _clip(torch.addcmul(low * (1 - factor), x, factor), low, high)


def adjust_contrast(
    x: Tensor, factor: Tensor, low: float | Tensor = 0.0, high: float | Tensor = 1.0
) -> Tensor:
    """Return images with every pixel ``factor`` times as far from the image's mean brightness.

    Channels other than red, green and blue may measure different things, so each has its own mean.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    factor : Tensor of shape (b,)
        0 gives a grey image, 1 keeps the image.
    low, high : float or Tensor of shape (), default=0.0, 1.0
        Black and white; the result is clipped to them.

    Returns
    -------
    adjusted : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import adjust_contrast
    >>> adjust_contrast(torch.tensor([[[0.2, 0.6]]]), torch.tensor([0.5]))
    tensor([[[0.3000, 0.5000]]])
    """
    factor, mean = _by_row(factor, x), x.mean((1, 2), keepdim=True)
    mean = _luma(mean) if _is_color(x) else mean
    return _clip(torch.addcmul(mean * (1 - factor), x, factor), low, high)


def adjust_saturation(
    x: Tensor, factor: Tensor, low: float | Tensor = 0.0, high: float | Tensor = 1.0
) -> Tensor:
    """Return colour images with every pixel ``factor`` times as far from grey; others unchanged.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    factor : Tensor of shape (b,)
        0 removes the colour, 1 keeps the image.
    low, high : float or Tensor of shape (), default=0.0, 1.0
        Black and white; the result is clipped to them.

    Returns
    -------
    adjusted : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import adjust_saturation
    >>> adjust_saturation(torch.tensor([[[[1.0, 0.0, 0.0]]]]), torch.tensor([0.0]))
    tensor([[[[0.2990, 0.2990, 0.2990]]]])
    """
    if not _is_color(x):
        return x
    return _clip(torch.lerp(_luma(x), x, _by_row(factor, x)), low, high)


def adjust_hue(x: Tensor, turn: Tensor) -> Tensor:
    r"""Return colour images with every hue turned around the colour circle; others unchanged.

    The smallest channel :math:`m` stays, and so does the chroma :math:`c`, the largest channel
    minus the smallest. With the hue :math:`h` in sixths of the circle and
    :math:`h' = (h + 6 t) \bmod 6`, red becomes

    .. math:: m + c \, \min(1, \max(0, |h' - 3| - 1)),

    green and blue :math:`m + c \, \min(1, \max(0, 2 - |h' - n|))` for :math:`n = 2, 4`. Pixels may
    have any range.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    turn : Tensor of shape (b,)
        The :math:`t` of the formula; 0 or 1 keeps the image, 0.5 gives the opposite colours.

    Returns
    -------
    adjusted : Tensor of the shape of ``x``

    References
    ----------
    Color Gamut Transform Pairs (Smith, 1978), https://doi.org/10.1145/965139.807361

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import adjust_hue
    >>> red = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    >>> adjust_hue(red, torch.tensor([1 / 3])).round(decimals=4)
    tensor([[[[0., 1., 0.]]]])
    """
    if not _is_color(x):
        return x
    red, green, blue = x.unbind(-1)
    largest = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = largest - least
    # In sixths of the circle, times the chroma.
    hue = torch.where(largest == green, blue - red + 2 * chroma, red - green + 4 * chroma)
    hue = torch.where(largest == red, green - blue, hue)
    hue = hue / chroma.masked_fill(chroma == 0, 1.0) + 6 * turn.reshape(-1, 1, 1)
    hue = hue - 6 * torch.floor(hue / 6)  # much faster than a remainder
    shares = (hue - 3).abs_() - 1, 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_()
    turned = [torch.addcmul(least, chroma, share.clamp_(0.0, 1.0)) for share in shares]
    return torch.stack(turned, 1).movedim(1, -1)


def color_jitter(
    x: Tensor,
    generator: Generator,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
    rate: float = 1.0,
    low: float | Tensor = 0.0,
    high: float | Tensor = 1.0,
) -> Tensor:
    """Return the images with random brightness, contrast, saturation and hue.

    They are applied in this order. Apart from clipping the first three commute, so the order hardly
    matters. Saturation and hue do not change images without colour.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    brightness, contrast, saturation : float, default=0.0
        Multiply by a factor between ``max(0, 1 - strength)`` and ``1 + strength``.
    hue : float, default=0.0
        Turn hues by at most this share of the colour circle in either direction; at most 0.5.
    rate : float, default=1.0
        Probability of changing a row at all.
    low, high : float or Tensor of shape (), default=0.0, 1.0
        Black and white; all pixels are clipped to them, changed or not.

    Returns
    -------
    jittered : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import color_jitter
    >>> equal = torch.full((64, 4, 4), 0.5)
    >>> jittered = color_jitter(equal, torch.Generator().manual_seed(0), brightness=0.4)
    >>> len(jittered.unique(dim=0))
    64
    """
    left_alone = ~_chosen(x, generator, rate)
    adjustments = (
        (adjust_brightness, brightness),
        (adjust_contrast, contrast),
        (adjust_saturation, saturation),
    )
    for adjust, strength in adjustments:
        if strength:
            factor = _uniform(x, generator, max(0.0, 1 - strength), 1 + strength)
            x = adjust(x, factor.masked_fill(left_alone, 1.0), low, high)
    if hue:
        x = adjust_hue(x, _uniform(x, generator, -hue, hue).masked_fill(left_alone, 0.0))
    return x


# Details


def _mirrored(size: int, steps: Tensor) -> Tensor:
    """Return the pixel (last axis) some steps (first axis) away; edges act as mirrors."""
    places = torch.arange(size, device=steps.device)
    found = (places + steps.unsqueeze(1)).abs()
    found = size - 1 - (size - 1 - found).abs()
    return found.unsqueeze(2) == places


def gaussian_blur(x: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Return images, each blurred by its own Gaussian; at the edges images are mirrored.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    sigma : Tensor of shape (b,)
        Standard deviation in pixels; 0 returns the identical image.
    radius : int
        Pixels from the centre at which the Gaussian is cut off; less than height and width.

    Returns
    -------
    blurred : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import gaussian_blur
    >>> x = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).repeat(1, 5, 1)
    >>> gaussian_blur(x, torch.tensor([0.5]), radius=1)[0, 2]
    tensor([0.0000, 0.1065, 0.7870, 0.1065, 0.0000])
    """
    planes = _channels_first(x)
    steps = torch.arange(-radius, radius + 1, device=x.device)
    weights = torch.exp(-0.5 * (steps / sigma.clamp(min=1e-3).unsqueeze(1)) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    down, across = (
        torch.einsum("bk,kij->bij", weights, _mirrored(size, steps).to(x.dtype)).unsqueeze(1)
        for size in x.shape[1:3]
    )
    return _like_rows(down @ planes @ across.mT, x)


def random_blur(
    x: Tensor, generator: Generator, sigma: tuple[float, float] = (0.1, 2.0), rate: float = 0.5
) -> Tensor:
    """Return the images, some of them blurred by a Gaussian of random width.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    sigma : tuple of float, default=(0.1, 2.0)
        Smallest and largest standard deviation in pixels, uniform between them. The Gaussian is
        cut off at three times the largest.
    rate : float, default=0.5
        Probability of blurring a row.

    Returns
    -------
    blurred : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import random_blur
    >>> x = torch.rand(5, 8, 8)
    >>> random_blur(x, torch.Generator(), rate=1.0).std() < x.std()
    tensor(True)
    """
    chosen = _chosen(x, generator, rate)
    drawn = _uniform(x, generator, *sigma).masked_fill(~chosen, 0.0)
    return gaussian_blur(x, drawn, min(math.ceil(3 * sigma[1]), min(x.shape[1:3]) - 1))


def erase(
    x: Tensor,
    top: Tensor,
    left: Tensor,
    height: Tensor,
    width: Tensor,
    fill: float | Tensor = 0.0,
) -> Tensor:
    """Return images with a box of each filled with one value.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    top, left, height, width : Tensor of shape (b,)
        The box of each row, in pixels. A box without height erases nothing.
    fill : float or Tensor of shape (), default=0.0
        Value of the pixels in the box.

    Returns
    -------
    erased : Tensor of the shape of ``x``

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import erase
    >>> box = [torch.tensor([number]) for number in (0, 1, 1, 2)]
    >>> erase(torch.ones(1, 2, 3), *box).tolist()
    [[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]
    """
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[1:3])
    first, last = top.unsqueeze(1), (top + height).unsqueeze(1)
    down = ((rows >= first) & (rows < last)).unsqueeze(2)
    first, last = left.unsqueeze(1), (left + width).unsqueeze(1)
    box = down & ((columns >= first) & (columns < last)).unsqueeze(1)
    return x.masked_fill(box if x.ndim == 3 else box.unsqueeze(3), fill)


def random_erase(
    x: Tensor,
    generator: Generator,
    rate: float = 0.5,
    scale: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    fill: float | Tensor = 0.0,
) -> Tensor:
    """Return the images, some of them with a random box erased.

    Parameters
    ----------
    x : Tensor of shape (b, h, w) or (b, h, w, c)
    generator : torch.Generator
    rate : float, default=0.5
        Probability of erasing a box in a row.
    scale : tuple of float, default=(0.02, 0.33)
        Smallest and largest share of the image's area, before rounding to whole pixels.
    ratio : tuple of float, default=(0.3, 3.3)
        Smallest and largest width over height, uniform in its logarithm.
    fill : float or Tensor of shape (), default=0.0
        Value of the pixels in the box.

    Returns
    -------
    erased : Tensor of the shape of ``x``

    References
    ----------
    Random Erasing Data Augmentation (Zhong et al., 2020), https://arxiv.org/abs/1708.04896

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views.augmentations import random_erase
    >>> x = random_erase(torch.ones(100, 8, 8), torch.Generator().manual_seed(0), rate=1.0)
    >>> bool(((x == 0).sum((1, 2)) >= 1).all())
    True
    """
    chosen = _chosen(x, generator, rate)
    height, width = (size.round().clamp(min=1) for size in _box_sizes(x, generator, scale, ratio))
    top = (_uniform(x, generator, 0.0, 1.0) * (x.shape[1] - height + 1)).floor()
    left = (_uniform(x, generator, 0.0, 1.0) * (x.shape[2] - width + 1)).floor()
    return erase(x, top, left, height.masked_fill(~chosen, 0.0), width, fill)
