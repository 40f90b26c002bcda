"""Views by augmentation: two random versions of an image, by our functions or torchvision's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch

from sklearn_mi._base import Shape
from sklearn_mi.views.augmentations import (
    color_jitter,
    five_crops,
    random_affine,
    random_blur,
    random_erase,
    random_flip,
    random_grayscale,
    random_resized_crop,
    to_lab,
)
from sklearn_mi.views.base import Pair, State, View

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from sklearn_mi.rows import AnyRows

__all__ = ["Augment", "LightnessColor", "Transformed"]


def _pixel_range(X: AnyRows) -> dict[str, Tensor]:
    """Return the smallest and the largest pixel, as black and white of all images."""
    lows, highs = [], []
    for numbers in torch.arange(len(X)).split(1024):
        batch: Any = X[numbers]
        for images in batch if isinstance(batch, tuple) else (batch,):
            lows.append(images.min())
            highs.append(images.max())
    low, high = torch.stack(lows).min(), torch.stack(highs).max()
    # Images of one shade also get a white, so the range is never zero.
    return {"low": low, "high": torch.where(high > low, high, low + 1)}


def _check_image(view: View, shape: Shape) -> None:
    if len(shape) not in (2, 3):
        raise ValueError(
            f"{type(view).__name__} needs rows that are images, but a row has shape {shape}; "
            "pass input_shape=(height, width) or (height, width, channels) to the learner."
        )


def _check_interval(name: str, value: Any, limit: float) -> None:
    whole = isinstance(value, tuple | list) and len(value) == 2
    if not (whole and all(isinstance(end, Real) for end in value) and 0 < value[0] <= value[1]):
        raise ValueError(f"{name}={value!r}; expected two increasing numbers above 0, or None.")
    if value[1] > limit:
        raise ValueError(f"{name}={value!r}; expected numbers of at most {limit}.")


# Parameters of `Augment` and their largest values. 0 switches one off; rates lie above 0.
_STRENGTHS = {
    "flip": 1.0,
    "shift": 1.0,
    "rotate": 180.0,
    "zoom": 0.9,
    "brightness": 10.0,
    "contrast": 10.0,
    "saturation": 10.0,
    "hue": 0.5,
    "grayscale": 1.0,
    "erase": 1.0,
}
_COLORS = ("saturation", "hue", "grayscale")
_RATES = ("jitter_rate", "blur_rate")
_AUGMENTED = (
    "the mutual information is that of two augmented draws: with other augmentations it is another"
)
_ONE_CROP = "the mutual information is that of one augmented draw: with other draws it is another"
_FEW_DRAWS = (
    "the two differ by a few drawn numbers: with many continuous pixels their mutual information "
    "is infinite, and the bound measures the critic"
)


@dataclass(repr=False, eq=False)
class Augment(View):
    """Pair two randomly augmented versions of an image; every row of a batch has its own draws.

    Use it if you know which changes keep the meaning of an image. The names of two recipes:

    - ``"simclr"``, for small colour images of objects in any position and light, such as CIFAR10:
      ``Augment(crop=(0.08, 1.0), flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1,
      jitter_rate=0.8, grayscale=0.2)``. This is the setting of Chen et al. (2020) for CIFAR10:
      their ImageNet setting with half the colour jitter and no blur. ``crop=(0.2, 1.0)`` is common,
      too.
    - ``"affine"``, for small images whose meaning a flip changes, such as digits:
      ``Augment(shift=0.1, rotate=15.0, zoom=0.1)``. On scikit-learn's digits `Neighbors` gives
      better features; both together, ``"moved-neighbors"``, give the best.

    Augmentations are applied in the order of the parameters; 0 or None leaves one out. The draws
    come from the learner's own generator, on its device. Black and white are the smallest and the
    largest pixel of the training rows, so images may have any range. Colours are clipped to this
    range. Pixels that a shift or a turn uncovers are black.

    ``transform`` encodes the image itself. ``output="averaged"`` averages the codes of five crops,
    the four corners and the centre. Each has the mean area that ``crop`` draws and is stretched to
    the size of the image, as in training. With ``flip``, the upper right and the lower left crop
    are mirrored.

    Parameters
    ----------
    shift : float in [0, 1], default=0.0
        Move by at most this share of the height and of the width.
    rotate : float in [0, 180], default=0.0
        Turn by at most this many degrees in either direction.
    zoom : float in [0, 0.9], default=0.0
        Scale by a factor between ``1 - zoom`` and ``1 + zoom``.
    crop : tuple of two floats in (0, 1] or None, default=None
        Cut out a box and stretch it to the size of the image. Its share of the area lies between
        these two, its width over height between 3/4 and 4/3.
    flip : float in [0, 1], default=0.0
        Probability of swapping left and right.
    brightness, contrast, saturation : float in [0, 10], default=0.0
        Multiply by a factor between ``max(0, 1 - strength)`` and ``1 + strength``.
    hue : float in [0, 0.5], default=0.0
        Turn hues by at most this share of the colour circle.
    jitter_rate : float in (0, 1], default=1.0
        Probability of applying brightness, contrast, saturation and hue.
    grayscale : float in [0, 1], default=0.0
        Probability of removing the colour. This, ``saturation`` and ``hue`` act on images of three
        channels only: red, green and blue.
    blur : tuple of two floats or None, default=None
        Blur with a Gaussian whose standard deviation lies between these, in pixels.
    blur_rate : float in (0, 1], default=0.5
        Probability of blurring.
    erase : float in [0, 1], default=0.0
        Probability of drawing a black box over 2 to 33 % of the area.

    References
    ----------
    A Simple Framework for Contrastive Learning of Visual Representations (Chen et al., 2020),
    https://arxiv.org/abs/2002.05709

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import Augment
    >>> equal = torch.arange(36.0).reshape(1, 6, 6).expand(64, 6, 6)
    >>> view = Augment(shift=0.1, rotate=15.0)
    >>> first, second = view(equal, None, None, torch.Generator().manual_seed(0))
    >>> len(torch.cat([first, second]).unique(dim=0))
    128
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    crop: tuple[float, float] | None = None
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    jitter_rate: float = 1.0
    grayscale: float = 0.0
    blur: tuple[float, float] | None = None
    blur_rate: float = 0.5
    erase: float = 0.0
    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two draws of a batch of images."""
        return self.pair(x, x, rows, state, generator)

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return one draw of each image of a pair."""
        if x.shape == x_prime.shape:
            both = self._draw(torch.cat([x, x_prime]), state, generator)
            return both[: len(x)], both[len(x) :]
        return self._draw(x, state, generator), self._draw(x_prime, state, generator)

    def variants(self, x: Tensor, state: State) -> list[Tensor]:
        """Return corners and centre if images are cropped, mirror images if they are flipped."""
        if not self.crop:
            return [x, x.flip(2)] if self.flip else [x]
        left, right, low_left, low_right, centre = five_crops(x, sum(self.crop) / 2)
        if self.flip:
            right, low_left = right.flip(2), low_left.flip(2)
        return [left, right, low_left, low_right, centre]

    def _draw(self, x: Tensor, state: State, generator: Generator) -> Tensor:
        low, high = (0.0, 1.0) if state is None else (state["low"], state["high"])
        if self.shift or self.rotate or self.zoom:
            x = random_affine(x, generator, self.shift, self.rotate, self.zoom, low)
        if self.crop:
            x = random_resized_crop(x, generator, self.crop)
        if self.flip:
            x = random_flip(x, generator, self.flip)
        jitter = self.brightness, self.contrast, self.saturation, self.hue
        if any(jitter):
            x = color_jitter(x, generator, *jitter, self.jitter_rate, low, high)
        if self.grayscale:
            x = random_grayscale(x, generator, self.grayscale)
        if self.blur:
            x = random_blur(x, generator, self.blur, self.blur_rate)
        if self.erase:
            x = random_erase(x, generator, self.erase, fill=low)
        return x

    def fit(self, X: AnyRows) -> State:
        """Check the parameters and find the values of black and white."""
        given = self.get_params(deep=False)
        for name, limit in _STRENGTHS.items():
            value = given[name]
            if not (isinstance(value, Real) and 0 <= float(value) <= limit):
                raise ValueError(f"{name}={value!r}; expected a number in [0, {limit:g}].")
        for name in _RATES:
            value = given[name]
            if not (isinstance(value, Real) and 0 < float(value) <= 1):
                raise ValueError(f"{name}={value!r}; expected a number in (0, 1].")
        if self.crop:
            _check_interval("crop", self.crop, 1.0)
        if self.blur:
            _check_interval("blur", self.blur, math.inf)
        return _pixel_range(X)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shape of the image, twice.

        Raises
        ------
        ValueError
            If rows are not images, or if no augmentation changes them.
        """
        _check_image(self, input_shape)
        idle = () if input_shape[2:] == (3,) else _COLORS
        given = self.get_params(deep=False)
        if not (self.crop or self.blur or any(given[n] for n in _STRENGTHS if n not in idle)):
            raise ValueError(
                f"{self!r} changes nothing in images of shape {input_shape}; expected at least one "
                "augmentation, such as crop=(0.2, 1.0), or a recipe, view='simclr' or 'affine'."
            )
        return input_shape, input_shape

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say what the mutual information measures, and that it may be infinite."""
        return (_AUGMENTED, _FEW_DRAWS) if shares_values else (_AUGMENTED,)


@dataclass(repr=False, eq=False)
class LightnessColor(View):
    """Pair the lightness of a colour image with its colours: L against ab of CIELab.

    The view of contrastive multiview coding, ``comparison="cmc"``. Both come from one random crop
    of the image. Each has an encoder of its own, and ``transform`` returns both codes.

    Parameters
    ----------
    crop : tuple of two floats in (0, 1] or None, default=(0.2, 1.0)
        Share of the area of the box that is cut out; see `Augment`.
    flip : float in [0, 1], default=0.5
        Probability of swapping left and right.

    References
    ----------
    Contrastive Multiview Coding (Tian, Krishnan & Isola, 2020), https://arxiv.org/abs/1906.05849

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.views import LightnessColor
    >>> white = torch.ones(1, 2, 2, 3)
    >>> lightness, color = LightnessColor().inputs(white, None)
    >>> lightness.shape, color.shape
    (torch.Size([1, 2, 2, 1]), torch.Size([1, 2, 2, 2]))
    """

    crop: tuple[float, float] | None = (0.2, 1.0)
    flip: float = 0.5
    default_encoder_y = "separate"
    default_output = "both"
    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return lightness and colours of a batch of images of shape (b, h, w, 3)."""
        if self.crop:
            x = random_resized_crop(x, generator, self.crop)
        if self.flip:
            x = random_flip(x, generator, self.flip)
        return self.inputs(x, state)

    def fit(self, X: AnyRows) -> State:
        """Check the parameters and find the values of black and white."""
        if not (isinstance(self.flip, Real) and 0 <= float(self.flip) <= 1):
            raise ValueError(f"flip={self.flip!r}; expected a number in [0, 1].")
        if self.crop:
            _check_interval("crop", self.crop, 1.0)
        return _pixel_range(X)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Return the shapes of lightness and colours.

        Raises
        ------
        ValueError
            If rows are not images of three channels.
        """
        if len(input_shape) != 3 or input_shape[2] != 3:
            raise ValueError(
                f"LightnessColor needs images of red, green and blue, but a row has shape "
                f"{input_shape}; expected (height, width, 3)."
            )
        return (*input_shape[:2], 1), (*input_shape[:2], 2)

    def inputs(self, x: Tensor, state: State) -> Pair:
        """Return lightness and colours of the whole image, in hundreds."""
        low, high = (0.0, 1.0) if state is None else (state["low"], state["high"])
        lab = to_lab(((x - low) / (high - low)).clamp(0, 1)) / 100
        return lab[..., :1], lab[..., 1:]

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say what the mutual information measures, if anything is drawn."""
        return (_ONE_CROP,) if self.crop or self.flip else ()


@dataclass(repr=False, eq=False)
class Transformed(View):
    """Pair two draws of a torchvision transform; ``view=transform`` does the same.

    `Augment` is much faster: torchvision draws once for a whole batch, so this view transforms one
    image after the other. The transform gets images in torchvision's layout, channels first and
    scaled from the range of the training pixels to [0, 1]; the result is scaled back. The learner's
    ``transform`` encodes the row itself, so use random parts only, no fixed ones such as
    ``Normalize``.

    Parameters
    ----------
    transform : callable
        Maps a Tensor of shape (channels, height, width) to one of the same shape. Torchvision
        draws from torch's global generators. Results are reproducible: during ``fit`` these
        generators hold the learner's own random stream.
    second : callable or None, default=None
        Transform of the second view. None: another draw of the first.

    Examples
    --------
    >>> import torch
    >>> from torchvision.transforms import v2
    >>> from sklearn_mi.views import Transformed
    >>> view = Transformed(v2.RandomHorizontalFlip(p=1.0), second=v2.Identity())
    >>> first, second = view(torch.tensor([[[0.0, 1.0]]]), None, None, torch.Generator())
    >>> first.tolist(), second.tolist()
    ([[[1.0, 0.0]]], [[[0.0, 1.0]]])
    """

    transform: Callable[..., Any]
    second: Callable[..., Any] | None = None
    draws_globally = True
    takes = "others"

    def __call__(self, x: Tensor, rows: Tensor | None, state: State, generator: Generator) -> Pair:
        """Return two draws of a batch of images."""
        return self.pair(x, x, rows, state, generator)

    def pair(
        self, x: Tensor, x_prime: Tensor, rows: Tensor | None, state: State, generator: Generator
    ) -> Pair:
        """Return one draw of each image of a pair."""
        second = self.transform if self.second is None else self.second
        return _one_by_one(self.transform, x, state), _one_by_one(second, x_prime, state)

    def fit(self, X: AnyRows) -> State:
        """Check the transforms and find the range of the pixels."""
        for name, value in (("transform", self.transform), ("second", self.second)):
            if value is not None and (not callable(value) or isinstance(value, type)):
                raise TypeError(f"{name}={value!r}; expected a function of one image.")
            if any(type(part).__name__ == "Normalize" for part in _parts(value)):
                raise ValueError(
                    f"{name} holds a Normalize, which training would apply and transform would "
                    "not; leave it out, and normalise X if needed."
                )
        return _pixel_range(X)

    def shapes(self, input_shape: Shape, state: State) -> tuple[Shape, Shape]:
        """Try the transforms on black images and return the shape of the image, twice.

        Raises
        ------
        ValueError
            If rows are not images, or if a transform changes their shape.
        """
        _check_image(self, input_shape)
        black = torch.zeros(2, *input_shape)
        for made in self(black, None, None, torch.Generator()):
            if made.shape != black.shape:
                raise ValueError(
                    f"{self!r} turns images of shape {input_shape} into {tuple(made.shape[1:])}, "
                    "but transform encodes the row itself; end with a Resize to the row's size."
                )
        return input_shape, input_shape

    def caveats(self, state: State, *, shares_values: bool = True) -> tuple[str, ...]:
        """Say what the mutual information measures."""
        return (_AUGMENTED,)


def _parts(transform: Any) -> Iterator[Any]:
    """Yield a transform and the transforms inside it."""
    yield transform
    # Torchvision's containers, such as Compose, share this name and no base class.
    for part in getattr(transform, "transforms", ()):
        yield from _parts(part)


def _one_by_one(transform: Callable[..., Any], x: Tensor, state: State) -> Tensor:
    """Transform each image, scaled to [0, 1] and back."""
    low, high = (0.0, 1.0) if state is None else (state["low"], state["high"])
    planes = (x.unsqueeze(1) if x.ndim == 3 else x.movedim(-1, 1)).sub(low).div(high - low)
    made = [transform(image) for image in planes]
    for image in made:
        if not (isinstance(image, torch.Tensor) and image.is_floating_point() and image.ndim == 3):
            kind = f"{image.dtype}" if isinstance(image, torch.Tensor) else type(image).__name__
            raise TypeError(
                f"{transform!r} returned {kind}; expected an image, a floating-point Tensor of "
                "shape (channels, height, width)."
            )
    images = torch.stack(made).to(x.dtype) * (high - low) + low
    return images.squeeze(1) if x.ndim == 3 else images.movedim(1, -1)
