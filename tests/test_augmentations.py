"""The augmentations, each against a computation of its own, and the views made of them."""

import colorsys
import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from scipy.ndimage import map_coordinates
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode, RandomErasing, RandomResizedCrop, v2
from torchvision.transforms.v2 import functional as tv

import sklearn_mi
from sklearn_mi import MIRepresentationLearner
from sklearn_mi.rows import Rows, Standardize
from sklearn_mi.views import (
    VIEWS,
    Augment,
    Compose,
    Corruption,
    Function,
    GaussianNoise,
    Halves,
    Neighbors,
    Paired,
    Transformed,
    as_view,
)
from sklearn_mi.views import augmentations as aug

ROWS = 12


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=generator(seed), dtype=dtype)


def numbers(low, high, seed=0, n=ROWS):
    return torch.empty(n, dtype=torch.float64).uniform_(low, high, generator=generator(seed))


def row_by_row(x, function, *values):
    """Apply a function of torchvision, channels first, to one image after the other."""
    made = [
        function(image, *(float(v) for v in value))
        for image, *value in zip(x.movedim(-1, 1), *values, strict=True)
    ]
    return torch.stack(made).movedim(1, -1)


def as_rows(X):
    return Rows(X, Standardize(np.zeros(1), np.ones(1)), torch.device("cpu"), X.shape[1:])


@pytest.fixture
def x():
    return images(ROWS, 9, 12, 3)


# What is given row by row


def test_crops_at_whole_pixels_are_those_of_torchvision(x):
    top, left = torch.arange(ROWS) % 4, torch.arange(ROWS) % 5
    height, width = 1 + torch.arange(ROWS) % 5, 1 + torch.arange(ROWS) % 7
    expected = row_by_row(
        x,
        lambda image, *box: tv.resized_crop(image, *map(int, box), size=[9, 12], antialias=True),
        *(top, left, height, width),
    )
    made = aug.resized_crop(x, *(side.double() for side in (top, left, height, width)))
    assert torch.allclose(made, expected, atol=1e-10)


def test_crops_between_pixels_are_bilinear(x):
    top, left = numbers(0, 4, 1), numbers(0, 5, 2)
    height, width = numbers(1, 5, 3), numbers(1, 7, 4)
    made = aug.resized_crop(x, top, left, height, width)
    for row, (t, w0, h, w) in enumerate(np.stack([top, left, height, width], 1)):
        rows = np.clip(t + (np.arange(9) + 0.5) * h / 9 - 0.5, t, t + h - 1)
        columns = np.clip(w0 + (np.arange(12) + 0.5) * w / 12 - 0.5, w0, w0 + w - 1)
        places = np.meshgrid(rows, columns, indexing="ij")
        for channel in range(3):
            expected = map_coordinates(x[row, ..., channel].numpy(), places, order=1)
            assert np.allclose(made[row, ..., channel], expected, atol=1e-10)


def test_the_whole_image_as_a_crop_is_the_image(x):
    whole = [torch.full((ROWS,), size, dtype=x.dtype) for size in (0, 0, 9, 12)]
    assert torch.allclose(aug.resized_crop(x, *whole), x, atol=1e-12)


def test_five_crops_are_those_of_torchvision(x):
    x, size = images(ROWS, 8, 12, 3), (4, 6)
    expected = [
        row_by_row(x, lambda image, i=i: tv.resize(tv.five_crop(image, size)[i], [8, 12]))
        for i in range(5)
    ]
    for made, crop in zip(aug.five_crops(x, share=0.25), expected, strict=True):
        assert torch.allclose(made, crop, atol=1e-10)


def test_shifts_turns_and_zooms_are_those_of_torchvision(x):
    values = numbers(-60, 60, 1), numbers(-3, 3, 2), numbers(-3, 3, 3), numbers(0.6, 1.5, 4)
    expected = row_by_row(
        x,
        lambda image, angle, down, right, zoom: tv.affine(
            *(image, angle, [right, down], zoom, [0.0, 0.0]),
            interpolation=InterpolationMode.BILINEAR,
        ),
        *values,
    )
    # torchvision computes where pixels come from in float32.
    assert torch.allclose(aug.affine(x, *values), expected, atol=1e-4)
    filled = aug.affine(x, *values, fill=0.25)
    outside = aug.affine(torch.ones_like(x), *values)
    assert torch.allclose(filled, expected + 0.25 * (1 - outside), atol=1e-4)


def test_whole_shifts_move_pixels(x):
    none = torch.zeros(ROWS, dtype=x.dtype)
    moved = aug.affine(x, none, none + 2, none - 3, none + 1)
    assert torch.allclose(moved[:, 2:, :-3], x[:, :-2, 3:], atol=1e-12)
    assert max(moved[:, :2].abs().max(), moved[:, :, -3:].abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (aug.adjust_brightness, tv.adjust_brightness),
        (aug.adjust_contrast, tv.adjust_contrast),
        (aug.adjust_saturation, tv.adjust_saturation),
    ],
)
def test_colours_are_adjusted_as_by_torchvision(x, ours, theirs):
    factor = numbers(0.2, 2.5)
    # Its weights of red, green and blue are rounded and add up to .9999.
    assert torch.allclose(ours(x, factor), row_by_row(x, theirs, factor), atol=3e-4)


def test_channels_that_are_no_colours_have_a_contrast_each():
    x, factor = images(ROWS, 9, 12, 4), numbers(0.2, 2.5)
    made = aug.adjust_contrast(x, factor)
    for channel in range(4):
        assert torch.allclose(made[..., channel], aug.adjust_contrast(x[..., channel], factor))


def test_hues_turn_as_by_torchvision_and_by_the_standard_library(x):
    turn = numbers(-0.5, 0.5)
    made = aug.adjust_hue(x, turn)
    assert torch.allclose(made, row_by_row(x, tv.adjust_hue, turn), atol=1e-5)
    for row in range(ROWS):
        hue, saturation, value = colorsys.rgb_to_hsv(*x[row, 2, 5].tolist())
        expected = colorsys.hsv_to_rgb((hue + float(turn[row])) % 1, saturation, value)
        assert made[row, 2, 5].tolist() == pytest.approx(expected, abs=1e-10)


def test_hues_of_grey_pixels_and_full_turns_change_nothing(x):
    grey = x[..., :1].expand_as(x)
    assert torch.equal(aug.adjust_hue(grey, numbers(-0.5, 0.5)), grey)
    assert torch.allclose(aug.adjust_hue(x, torch.ones(ROWS, dtype=x.dtype)), x, atol=1e-12)


def test_grey_is_that_of_pillow(x):
    pixels = (255 * x[0]).byte().numpy()
    # Pillow rounds to whole shades.
    expected = np.asarray(Image.fromarray(pixels).convert("L"), dtype=float)
    made = aug.grayscale(torch.as_tensor(pixels).double()[None])[0]
    assert np.abs(made[..., 0].numpy() - expected).max() <= 1
    assert torch.equal(made[..., 0], made[..., 1]) and torch.equal(made[..., 0], made[..., 2])


def test_blurs_are_those_of_torchvision(x):
    sigma = numbers(0.1, 2.0)
    expected = row_by_row(x, lambda image, s: tv.gaussian_blur(image, [9, 9], [s, s]), sigma)
    assert torch.allclose(aug.gaussian_blur(x, sigma, 4), expected, atol=1e-6)
    sigma[::2] = 0
    assert torch.equal(aug.gaussian_blur(x, sigma, 4)[::2], x[::2])


def test_boxes_are_erased_as_by_torchvision(x):
    box = [torch.arange(ROWS) % size for size in (4, 5, 3, 6)]
    value = torch.tensor(0.25)
    expected = row_by_row(x, lambda image, *b: tv.erase(image, *map(int, b), value), *box)
    assert torch.equal(aug.erase(x, *box, fill=0.25), expected)


# What is drawn

DRAWN = {
    "affine": (aug.random_affine, {"shift": 0.2, "rotate": 20.0, "zoom": 0.2}),
    "crop": (aug.random_resized_crop, {}),
    "flip": (aug.random_flip, {}),
    "jitter": (
        aug.color_jitter,
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    ),
    "grey": (aug.random_grayscale, {"rate": 0.5}),
    "blur": (aug.random_blur, {"rate": 1.0}),
    "erase": (aug.random_erase, {}),
}
# The others have few outcomes.
ALWAYS = ("affine", "crop", "jitter", "blur")


@pytest.mark.parametrize("name", DRAWN)
def test_each_row_has_a_draw_of_its_own(name):
    function, how = DRAWN[name]
    equal = images(1, 9, 12, 3).expand(64, 9, 12, 3)
    before = torch.get_rng_state()
    made = function(equal, generator(), **how)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(made, function(equal, generator(), **how))
    assert not torch.equal(made, function(equal, generator(1), **how))
    distinct = len(made.unique(dim=0))
    assert distinct == 64 if name in ALWAYS else distinct > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 1), (9, 12, 3), (9, 12, 4), (5, 1)])
@pytest.mark.parametrize("name", DRAWN)
def test_images_keep_shape_and_type_and_do_not_see_each_other(name, shape, dtype):
    function, how = DRAWN[name]
    x = images(8, *shape, dtype=dtype)
    made = function(x, generator(), **how)
    assert made.shape == x.shape and made.dtype == dtype and bool(made.isfinite().all())
    others = torch.cat([x[:1], images(7, *shape, seed=1, dtype=dtype)])
    assert torch.equal(function(others, generator(), **how)[0], made[0])
    assert made.min() >= -1e-6 and made.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", DRAWN)
def test_one_channel_is_no_other_than_none(name):
    function, how = DRAWN[name]
    x = images(8, 9, 12)
    with_channel = function(x.unsqueeze(-1), generator(), **how).squeeze(-1)
    assert torch.allclose(function(x, generator(), **how), with_channel, atol=1e-12)


def boxes(cropped):
    """Recover heights and widths of crops from images that hold their pixels' coordinates."""
    first, last = cropped[:, 0, 0], cropped[:, -1, -1]
    return (last - first + 1).unbind(-1)


def test_crops_are_distributed_as_those_of_torchvision():
    side, n = 64, 2000
    coordinates = torch.stack(torch.meshgrid(*[torch.arange(float(side))] * 2, indexing="ij"), -1)
    cropped = aug.random_resized_crop(coordinates.expand(n, side, side, 2), generator())
    height, width = boxes(cropped)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image, limits = torch.empty(1, side, side), ([0.08, 1.0], [3 / 4, 4 / 3])
        theirs = np.array([RandomResizedCrop.get_params(image, *limits) for _ in range(n)])
    areas = (height * width).numpy(), theirs[:, 2] * theirs[:, 3]
    assert stats.ks_2samp(*areas).pvalue > 0.01
    assert stats.ks_2samp((width / height).numpy(), theirs[:, 3] / theirs[:, 2]).pvalue > 0.01
    # Where there is room, every place is as likely.
    room = side - height
    places = (cropped[:, 0, 0, 0] / room)[room > 1].numpy()
    assert stats.kstest(places, "uniform").pvalue > 0.01


def test_crops_within_narrow_limits():
    coordinates = torch.stack(torch.meshgrid(*[torch.arange(20.0)] * 2, indexing="ij"), -1)
    x = coordinates.expand(500, 20, 20, 2)
    height, width = boxes(aug.random_resized_crop(x, generator(), (0.25, 0.36), (1.0, 1.0)))
    assert torch.allclose(height, width, atol=1e-4)
    assert 10 - 1e-4 <= height.min() < 10.1 and 11.9 < height.max() <= 12 + 1e-4
    # No box of this ratio fits: it is cut to the image.
    cut = aug.random_resized_crop(x, generator(), (0.9, 0.9), (4.0, 4.0))
    assert torch.allclose(boxes(cut)[1], torch.tensor(20.0))


def test_strengths_are_uniform_within_their_limits():
    n = 2000
    half = torch.full((n, 2, 2), 0.25, dtype=torch.float64)
    factor = aug.color_jitter(half, generator(), brightness=0.4)[:, 0, 0] / 0.25
    assert stats.kstest(factor.numpy(), stats.uniform(0.6, 0.8).cdf).pvalue > 0.01
    # At more than 1 the least factor is 0.
    factor = aug.color_jitter(half, generator(), brightness=2.0, high=9.0)[:, 0, 0] / 0.25
    assert stats.kstest(factor.numpy(), stats.uniform(0, 3).cdf).pvalue > 0.01
    red = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(n, 2, 2, 3)
    made = aug.color_jitter(red, generator(), hue=0.1)[:, 0, 0]
    turn = np.array([(colorsys.rgb_to_hsv(*pixel)[0] + 0.5) % 1 - 0.5 for pixel in made.tolist()])
    assert stats.kstest(turn, stats.uniform(-0.1, 0.2).cdf).pvalue > 0.01


def test_shifts_are_shares_of_height_and_width():
    grid = torch.stack(torch.meshgrid(torch.arange(11.0), torch.arange(21.0), indexing="ij"), -1)
    made = aug.random_affine(grid.expand(2000, 11, 21, 2), generator(), shift=0.2)
    down, right = (torch.tensor([5.0, 10.0]) - made[:, 5, 10]).unbind(-1)
    assert stats.kstest(down.numpy(), stats.uniform(-2.2, 4.4).cdf).pvalue > 0.01
    assert stats.kstest(right.numpy(), stats.uniform(-4.2, 8.4).cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (aug.random_flip, {}),
        (aug.random_grayscale, {}),
        (aug.color_jitter, {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}),
        (aug.random_blur, {}),
        (aug.random_erase, {}),
    ],
)
def test_rates_are_shares_of_rows(function, how):
    x = images(1, 8, 8, 3).expand(3000, 8, 8, 3)
    changed = (function(x, generator(), rate=0.3, **how) - x).abs().amax((1, 2, 3)) > 1e-12
    assert stats.binomtest(int(changed.sum()), 3000, 0.3).pvalue > 0.01
    assert torch.allclose(function(x, generator(), rate=0.0, **how), x, atol=1e-12)


def test_erased_boxes_are_distributed_as_those_of_torchvision():
    side, n = 32, 2000
    made = aug.random_erase(torch.ones(n, side, side), generator(), rate=1.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = [
            RandomErasing.get_params(torch.ones(1, side, side), (0.02, 0.33), (0.3, 3.3), [0.0])
            for _ in range(n)
        ]
    areas = [height * width for _, _, height, width, _ in theirs]
    assert stats.ks_2samp((made == 0).sum((1, 2)).numpy(), areas).pvalue > 0.01
    # Every column is hit as often as its mirror image.
    hits = (made == 0).any(1).sum(0).double()
    assert torch.allclose(hits, hits.flip(0), atol=4 * math.sqrt(n / 4))


def test_batches_without_rows_of_pixels_are_refused():
    with pytest.raises(ValueError, match=r"expected images \(b, h, w\)"):
        aug.random_resized_crop(images(3, 4, 5, 6, 2), generator())


# The view

RECIPES = {"simclr": VIEWS["simclr"](), "affine": VIEWS["affine"]()}
EVERYTHING = Augment(
    shift=0.1,
    rotate=10.0,
    zoom=0.1,
    crop=(0.2, 1.0),
    flip=0.5,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    jitter_rate=0.8,
    grayscale=0.2,
    blur=(0.1, 1.0),
    erase=0.5,
)
AUGMENTS = {**RECIPES, "everything": EVERYTHING}


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", AUGMENTS)
def test_both_draws_of_equal_images_are_distinct(name):
    view, equal = AUGMENTS[name], images(1, 8, 8, 3, dtype=torch.float32).expand(64, 8, 8, 3)
    state = view.fit(as_rows(equal.numpy()))
    first, second = view(equal, None, state, generator())
    assert first.shape == second.shape == equal.shape
    assert len(torch.cat([first, second]).unique(dim=0)) == 128
    again = view(equal, None, state, generator())
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    assert torch.equal(view.inputs(equal, state)[0], equal)


@pytest.mark.parametrize("name", AUGMENTS)
def test_the_range_of_the_pixels_does_not_matter(name):
    view, x = AUGMENTS[name], images(32, 8, 8, 3)
    x[0, 0, 0], x[0, 0, 1] = 0, 1
    other = 16 * x - 5
    states = [view.fit(as_rows(batch.numpy())) for batch in (x, other)]
    assert (float(states[1]["low"]), float(states[1]["high"])) == (-5, 11)
    unit = view(x, None, states[0], generator())
    wide = view(other, None, states[1], generator())
    for a, b in zip(unit, wide, strict=True):
        assert torch.allclose(16 * a - 5, b, atol=1e-5)
        assert b.min() >= -5 - 1e-5 and b.max() <= 11 + 1e-5


def test_recipes_are_what_their_sources_say():
    # Chen et al. (2020), appendix A (crop, flip, colour distortion) and B.9 (strength .5, no blur).
    strength, view = 0.5, RECIPES["simclr"]
    jitter = view.brightness, view.contrast, view.saturation, view.hue
    assert jitter == tuple(strength * share for share in (0.8, 0.8, 0.8, 0.2))
    assert (view.crop, view.flip, view.jitter_rate, view.grayscale) == ((0.08, 1.0), 0.5, 0.8, 0.2)
    assert not (view.blur or view.erase or view.shift or view.rotate or view.zoom)
    assert not RECIPES["affine"].flip


def test_draws_of_the_recipe_are_distributed_as_torchvisions_are():
    # A smooth image: torchvision crops at whole pixels, which sharp ones show.
    places = torch.arange(32.0)
    down, right = places.reshape(-1, 1) / 10, places / 8
    smooth = torch.stack([down.sin() * right.cos(), (down + right).sin(), right.expand(32, 32)], -1)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    x = smooth.expand(400, 32, 32, 3)
    jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
    theirs = v2.Compose(
        [
            v2.RandomResizedCrop(32, scale=(0.08, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([jitter], p=0.8),
            v2.RandomGrayscale(0.2),
        ]
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = Transformed(theirs, v2.Identity())(x, None, None, generator())[0]
    made = RECIPES["simclr"](x, None, None, generator())[0]
    for summary in (
        lambda z: z.mean((1, 2, 3)),
        lambda z: z.std((1, 2, 3)),
        lambda z: (z.amax(3) - z.amin(3)).mean((1, 2)),
        lambda z: (z[:, :, :16] - z[:, :, 16:]).mean((1, 2, 3)),
    ):
        assert stats.ks_2samp(summary(made).numpy(), summary(expected).numpy()).pvalue > 0.01


class Kernels(TorchDispatchMode):
    """Counts what is called on tensors."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def test_a_batch_costs_as_many_kernels_as_a_row_and_reads_nothing_back():
    counts = []
    for n in (1, 50):
        x = images(n, 8, 8, 3, dtype=torch.float32)
        state = EVERYTHING.fit(as_rows(x.numpy()))
        with Kernels() as kernels:
            EVERYTHING(x, None, state, generator())
        counts.append(len(kernels.names))
        assert not any("_local_scalar_dense" in name or "nonzero" in name for name in kernels.names)
    assert counts[0] == counts[1]


def test_images_without_contrast_stay_finite():
    x = np.full((4, 8, 8, 3), 3.0)
    for view in (EVERYTHING, Transformed(v2.ColorJitter(0.4))):
        state = view.fit(as_rows(x))
        assert all(
            made.isfinite().all() for made in view(torch.as_tensor(x), None, state, generator())
        )


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"flip": 1.5}, r"flip=1.5; expected a number in \[0, 1\]"),
        ({"shift": -0.1}, r"shift=-0.1; expected a number in \[0, 1\]"),
        ({"rotate": "far"}, r"rotate='far'; expected a number in \[0, 180\]"),
        ({"zoom": 1.0}, r"\[0, 0.9\]"),
        ({"hue": 0.6}, r"hue=0.6; expected a number in \[0, 0.5\]"),
        ({"brightness": -1}, "brightness=-1"),
        ({"jitter_rate": 0}, r"jitter_rate=0; expected a number in \(0, 1\]"),
        ({"crop": 0.2}, "crop=0.2; expected two increasing numbers"),
        ({"crop": (0.5, 0.2)}, "two increasing numbers"),
        ({"crop": (0.2, 1.2)}, "at most 1"),
        ({"blur": (0.0, 1.0)}, "above 0"),
    ],
)
def test_parameters_are_checked_in_fit(how, words, colour):
    with pytest.raises(ValueError, match=words):
        Augment(**how).fit(as_rows(colour))


@pytest.mark.parametrize(
    ("view", "shape", "words"),
    [
        (Augment(flip=0.5), (64,), r"shape \(64,\); pass input_shape=\(height, width\)"),
        (Transformed(v2.Identity()), (64,), r"Transformed needs rows that are images"),
        (Augment(hue=0.1), (8, 8, 4), "changes nothing"),
        (Augment(), (8, 8, 3), "changes nothing.*view='simclr'"),
        (Augment(hue=0.1, grayscale=0.2), (8, 8), "changes nothing"),
        (Transformed(v2.CenterCrop(4)), (8, 8), r"\(8, 8\) into \(4, 4\).*Resize"),
    ],
)
def test_rows_are_checked_before_training(view, shape, words):
    with pytest.raises(ValueError, match=words):
        view.shapes(shape, None)


# Transforms of torchvision


def test_transforms_are_applied_to_each_row_with_torchvisions_draws():
    x = images(1, 8, 8, 3, dtype=torch.float32).expand(64, 8, 8, 3)
    transform = v2.Compose([v2.RandomResizedCrop(8), v2.ColorJitter(0.4, 0.4, 0.4, 0.1)])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = Transformed(transform)(x, None, None, generator())
        torch.manual_seed(0)
        expected = torch.stack([transform(image) for image in [*x.movedim(-1, 1)] * 2])
    assert torch.equal(torch.cat([first, second]), expected.movedim(1, -1))
    assert len(expected.unique(dim=0)) == 128


def test_images_come_to_a_transform_in_the_range_of_torchvision():
    seen = []

    def keep(image):
        seen.append(image)
        return 1 - image

    x = 16 * images(5, 8, 8, dtype=torch.float32)
    view = Transformed(keep, second=lambda image: image)
    state = view.fit(as_rows(x.numpy()))
    first, second = view(x, None, state, generator())
    assert all(image.shape == (1, 8, 8) and 0 <= image.min() <= image.max() <= 1 for image in seen)
    assert torch.allclose(first, x.max() + x.min() - x, atol=1e-5)
    assert torch.allclose(second, x, atol=1e-5)


def test_what_a_transform_must_not_do():
    x = torch.rand(3, 8, 8, 3)
    nested = v2.Compose([v2.RandomApply([v2.Normalize([0.5] * 3, [0.5] * 3)])])
    with pytest.raises(ValueError, match="second holds a Normalize"):
        Transformed(v2.Identity(), nested).fit(as_rows(x.numpy()))
    with pytest.raises(TypeError, match=r"transform=3; expected a function"):
        Transformed(3).fit(as_rows(x.numpy()))
    for transform, kind in ((v2.ToPILImage(), "Image"), (v2.ToDtype(torch.uint8), "uint8")):
        with pytest.raises(TypeError, match=f"returned .*{kind}; expected an image"):
            Transformed(transform)(x, None, None, generator())


def test_bare_transforms_of_torchvision_are_views_and_other_callables_functions():
    assert isinstance(as_view(v2.RandomHorizontalFlip()), Transformed)
    assert isinstance(as_view(v2.Compose([v2.Identity()])), Transformed)
    assert isinstance(as_view(torch.nn.Identity()), Function)
    assert isinstance(as_view(lambda x: (x, x)), Function)


# In the learner


def learner(**params):
    params = {"encoder": "convnet", "max_steps": 3, "random_state": 0, "batch_size": 32, **params}
    return MIRepresentationLearner(6, **params)


def in_kind(colour, kind):
    return colour if kind == "uint8" else (colour / 255).astype(kind)


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_colour_images(colour, kind):
    X = in_kind(colour, kind)
    before = torch.get_rng_state()
    fitted = learner(view="simclr").fit(X)
    assert torch.equal(torch.get_rng_state(), before)
    codes = fitted.transform(X)
    assert codes.shape == (64, 6)
    assert np.array_equal(codes, learner(view="simclr").fit_transform(X))
    # The encoder is shared, and transform gives it the image itself.
    assert fitted.encoder_ is fitted.encoder_y_
    direct = fitted.encoder_(torch.as_tensor(colour / 255, dtype=torch.float32))
    assert np.allclose(codes, direct.detach(), atol=1e-5)
    assert any("other augmentations" in fact for fact in fitted.mi_.warnings)
    assert any("infinite" in fact for fact in fitted.mi_.warnings)


def test_digits_flat_and_as_images(digits):
    X = digits[0][:200]
    flat = learner(view="affine", input_shape=(8, 8)).fit(X)
    whole = learner(view="affine").fit(X.reshape(-1, 8, 8))
    assert np.array_equal(flat.transform(X), whole.transform(X.reshape(-1, 8, 8)))
    assert float(flat.net_.model.state.tensors()["high"]) == 16
    with pytest.raises(ValueError, match=r"images, but a row has shape \(64,\)"):
        learner(view="affine", encoder="mlp").fit(X)


CASES = {
    "recipe": "simclr",
    "everything": EVERYTHING,
    "halves": Compose(Halves(), Augment(crop=(0.5, 1.0))),
    "neighbours": Compose(Neighbors(3), Augment(flip=0.5, brightness=0.2)),
    "noise": Compose("simclr", GaussianNoise(0.1)),
    "nested": Compose(Compose(Neighbors(3), Augment(crop=(0.5, 1.0))), Augment(blur=(0.1, 1.0))),
}


@pytest.mark.parametrize("case", CASES)
def test_saved_pickled_and_cloned(case, colour, tmp_path):
    fitted = learner(view=CASES[case]).fit(colour)
    fitted.save(tmp_path / "file")
    for again in (sklearn_mi.load(tmp_path / "file"), pickle.loads(pickle.dumps(fitted))):
        assert np.array_equal(again.transform(colour), fitted.transform(colour))
        assert again.score(colour) == fitted.score(colour)
        assert repr(again) == repr(fitted)
        codes = again.partial_fit(colour).transform(colour)
        assert not np.array_equal(codes, fitted.transform(colour))
    assert np.array_equal(clone(fitted).fit(colour).transform(colour), fitted.transform(colour))


def test_grids_go_over_parameters_of_a_recipe(colour):
    grid = {"view__crop": [(0.2, 1.0), None], "view__flip": [0.0]}
    search = GridSearchCV(learner(view="simclr"), grid, cv=2).fit(colour)
    view = search.best_estimator_.view
    assert view.flip == 0 and view.hue == 0.1 and view.crop == search.best_params_["view__crop"]
    cropped, whole = search.cv_results_["mean_test_score"]
    assert cropped != whole and search.best_score_ == max(cropped, whole)


def test_a_transform_of_torchvision_as_a_view(colour, tmp_path):
    view = v2.Compose([v2.RandomResizedCrop(8), v2.RandomHorizontalFlip()])
    before = torch.get_rng_state()
    fitted = learner(view=view).fit(colour)
    assert torch.equal(torch.get_rng_state(), before)
    codes = fitted.transform(colour)
    assert np.array_equal(codes, learner(view=view).fit_transform(colour))
    assert np.array_equal(codes, clone(fitted).fit_transform(colour))
    assert np.array_equal(codes, pickle.loads(pickle.dumps(fitted)).transform(colour))
    fitted.save(tmp_path / "file")
    again = sklearn_mi.load(tmp_path / "file", view=view)
    assert np.array_equal(again.transform(colour), codes)
    assert again.score(colour) == fitted.score(colour)


def test_the_mean_direction_over_crops(colour):
    view = Augment(crop=(0.3, 0.7), flip=0.5)
    fitted = learner(view=view, critic="cosine", output="averaged").fit(colour)
    with torch.inference_mode():
        x = torch.from_numpy(colour).float() / 255
        crops = aug.five_crops(x, share=0.5)
        crops[1], crops[2] = crops[1].flip(2), crops[2].flip(2)
        codes = [fitted.encoder_(crop) for crop in crops]
        expected = sum(code / code.norm(dim=1, keepdim=True) for code in codes) / 5
    codes = fitted.transform(colour)
    assert np.allclose(codes, expected, atol=1e-6)
    assert np.array_equal(fitted.transform(colour[5:6])[0], codes[5])
    assert not hasattr(fitted, "inverse_transform")


def test_what_is_averaged():
    x = images(2, 8, 8)
    mirrored = Augment(flip=0.5).variants(x, None)
    assert len(mirrored) == 2 and torch.equal(mirrored[1], x.flip(2))
    assert torch.equal(Augment(crop=(0.2, 1.0)).variants(x, None)[1], aug.five_crops(x, 0.6)[1])
    halves = Compose(Halves(), Augment(crop=(1.0, 1.0))).variants(x, None)
    assert len(halves) == 5 and torch.allclose(halves[0], x[:, :4])
    assert [form is x for form in Augment(blur=(0.1, 1.0)).variants(x, None)] == [True]


def test_what_has_no_crops_is_not_averaged(colour):
    with pytest.raises(ValueError, match="cropping or flipping one image"):
        learner(view="noise", output="averaged").fit(colour)
    with pytest.raises(ValueError, match="cropping or flipping one image"):
        view = Compose(Paired(), Augment(flip=0.5))
        learner(view=view, output="averaged").fit(colour, X_pair=colour)


def test_views_of_two_shapes_are_augmented_each():
    x = images(5, 7, 8, dtype=torch.float32)
    view = Compose(Halves(), Augment(flip=1.0))
    state = view.fit(as_rows(x.numpy()))
    top, bottom = view(x, None, state, generator())
    assert torch.equal(top, x[:, :3].flip(2)) and torch.equal(bottom, x[:, 3:].flip(2))
    assert view.shapes((7, 8), state) == ((3, 8), (4, 8))


def test_two_tables_of_images(colour):
    view = Compose(Paired(), Augment(crop=(0.5, 1.0), brightness=0.2))
    fitted = learner(view=view).fit(colour, X_pair=colour[:, ::-1].copy())
    direct = fitted.encoder_y_(torch.as_tensor(colour / 255, dtype=torch.float32)).detach()
    assert np.allclose(fitted.transform_pair(colour), direct, atol=1e-5)
    assert not np.allclose(fitted.transform(colour), direct, atol=1e-5)


def test_what_is_said_of_composed_views(colour):
    rows = as_rows((colour / 255).astype(np.float32))

    def infinite(view):
        return any("infinite" in fact for fact in view.caveats(view.fit(rows)))

    assert infinite(EVERYTHING) and infinite(Compose(EVERYTHING, Halves()))
    assert not infinite(Compose(Halves(), EVERYTHING))
    assert not infinite(Compose(EVERYTHING, GaussianNoise(0.1)))
    assert infinite(Compose(EVERYTHING, GaussianNoise(0.1, shared=True)))
    assert not infinite(Compose(Halves(), Corruption()))
    assert any("other augmentations" in f for f in Compose(Halves(), EVERYTHING).caveats(None))
