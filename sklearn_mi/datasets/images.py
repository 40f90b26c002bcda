"""Pairs of images whose mutual information is set by a noisy channel (Lee & Rhee, 2024)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import xlog1py
from sklearn.datasets import load_digits

from sklearn_mi.datasets.fetching import fetch_cifar10, fetch_mnist
from sklearn_mi.datasets.known import KnownPairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ImagePairs", "image_pairs"]


@dataclass(frozen=True)
class ImagePairs(KnownPairs):
    """Pairs of mosaics: a `KnownPairs` that also says how it was made.

    Parameters
    ----------
    name, true_mi, draw, under_ranks
        As in `KnownPairs`.
    n_tiles : int
        Tiles in a mosaic.
    crossover : float
        Probability that the bits of a tile differ between x and y.
    n_images : int
        Images that the tiles are drawn from.

    Examples
    --------
    >>> from sklearn_mi.datasets import image_pairs
    >>> pairs = image_pairs("digits", n_tiles=10, true_mi=2.0)
    >>> pairs.n_images, round(pairs.crossover, 3), round(pairs.reuse(1000), 1)
    (360, 0.195, 55.6)
    """

    n_tiles: int = 1
    crossover: float = 0.5
    n_images: int = 1

    def reuse(self, n_samples: int) -> float:
        """Return how often an image stands in a sample, on average.

        Parameters
        ----------
        n_samples : int

        Returns
        -------
        times : float
            Tiles of X and Y together, over the images that they are drawn from. Above 1, rows that
            a model was fitted to and rows that it is tested on share images.
        """
        return 2 * n_samples * self.n_tiles / self.n_images


def image_pairs(
    images: ArrayLike | str = "digits",
    labels: ArrayLike | None = None,
    *,
    n_tiles: int = 10,
    true_mi: float = 4.0,
    classes: tuple[object, object] | None = None,
) -> ImagePairs:
    r"""Return pairs of mosaics of images with a given mutual information.

    Tile t of x stands for a fair bit. The bit of the same tile of y differs from it with
    probability p. An image of the class that stands for its bit is drawn for each tile, on each
    side anew: only the bits are shared, and a tile tells its bit, whatever the pixels. So k tiles
    have, with the entropy h(p) of a coin,

    .. math:: I = k \, [\log 2 - h(p)],

    from which p follows. Images are drawn with replacement, so the value is exact for any number of
    them. They recur: 10,000 pairs of 10 tiles show each of the 14,780 zeros and ones of MNIST 14
    times (`ImagePairs.reuse`), and an estimator can learn single images by heart.

    Parameters
    ----------
    images : {"digits", "mnist", "cifar10"} or array-like, default="digits"
        Images of shape (m, height, width) or (m, height, width, channels), or a name. A name
        stands for all images of scikit-learn's digits (8 x 8), of `fetch_mnist` averaged down to
        14 x 14, or of `fetch_cifar10` averaged down to 16 x 16 in colour.
    labels : array-like of shape (m,), default=None
        Classes of given images.
    n_tiles : int, default=10
        k. The tiles stand in rows and columns as near to a square as k allows, wider than high: 10
        in 2 x 5, 12 in 3 x 4.
    true_mi : float, default=4.0
        I in nats, from 0 to k log 2: 10 tiles hold 6.93.
    classes : tuple of two labels, default=None
        Stand for the bits 0 and 1; by default the first two labels in order.

    Returns
    -------
    pairs : ImagePairs
        X and Y have shape (n, rows * height, columns * width[, channels]) and the dtype of the
        images.

    Raises
    ------
    ValueError
        If ``images`` is an unknown name or not images, if there are no two classes among the
        labels, or if a number is out of its range.

    References
    ----------
    A Benchmark Suite for Evaluating Neural Mutual Information Estimators on Unstructured Datasets
    (Lee & Rhee, 2024), https://arxiv.org/abs/2410.10924

    Examples
    --------
    >>> from sklearn_mi.datasets import image_pairs
    >>> X, Y = image_pairs("digits", true_mi=2.0).sample(100, random_state=0)
    >>> X.shape, Y.shape
    ((100, 16, 40), (100, 16, 40))
    """
    if not isinstance(n_tiles, Integral) or n_tiles < 1:
        raise ValueError(f"n_tiles={n_tiles!r}; expected a positive integer.")
    crossover = _crossover(true_mi, n_tiles)
    called = images if isinstance(images, str) else "images"
    pool, counts = _two_classes(*_given(images, labels), classes)
    if called in ("mnist", "cifar10"):
        pool = _halved(pool)
    rows = max(r for r in range(1, math.isqrt(n_tiles) + 1) if n_tiles % r == 0)

    def mosaics(bits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        tiles = pool[bits * counts[0] + rng.integers(counts[bits])]
        n, _, height, width, *channels = tiles.shape
        grid = tiles.reshape(n, rows, n_tiles // rows, height, width, *channels)
        return grid.swapaxes(2, 3).reshape(n, rows * height, -1, *channels)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        bits = rng.integers(2, size=(n, n_tiles))
        flipped = bits ^ (rng.uniform(size=bits.shape) < crossover)
        return mosaics(bits, rng), mosaics(flipped, rng)

    name = f"{called}-{n_tiles}-tiles-{true_mi}"
    return ImagePairs(
        name, float(true_mi), draw, n_tiles=n_tiles, crossover=crossover, n_images=len(pool)
    )


def _crossover(true_mi: float, n_tiles: int) -> float:
    """Return the crossover of the channel by which the tiles share an information."""
    most = n_tiles * math.log(2)
    if not 0 <= true_mi <= most:
        cure = ""
        if most < true_mi < math.inf:
            cure = f"; {true_mi} nats need {math.ceil(true_mi / math.log(2))} tiles"
        raise ValueError(
            f"true_mi={true_mi!r}; expected 0 to {most:.4g} nats, the most of n_tiles={n_tiles}"
            f"{cure}."
        )

    def missing(agreement: float) -> float:
        held = xlog1py(1 + agreement, agreement) + xlog1py(1 - agreement, -agreement)
        return float(held) / 2 - true_mi / n_tiles

    if missing(1.0) <= 0:
        return 0.0
    return (1 - root_scalar(missing, bracket=(0.0, 1.0), xtol=1e-14).root) / 2


def _given(images: ArrayLike | str, labels: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels, by name or checked."""
    if isinstance(images, str):
        named = {"digits": _digits, "mnist": fetch_mnist, "cifar10": fetch_cifar10}
        if images not in named:
            raise ValueError(f"images={images!r}; expected one of {', '.join(named)}, or an array.")
        parts = named[images]()
        return np.concatenate(parts[::2]), np.concatenate(parts[1::2])
    pool, classes = np.asarray(images), np.asarray(labels)
    if pool.ndim not in (3, 4) or pool.dtype.kind not in "buif":
        raise ValueError(
            f"images of shape {pool.shape} and dtype {pool.dtype}; expected numbers of shape "
            "(m, height, width) or (m, height, width, channels)."
        )
    if classes.shape != (len(pool),):
        raise ValueError(
            f"labels of shape {classes.shape}; expected ({len(pool)},), the class of each image."
        )
    return pool, classes


def _digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return np.reshape(X, (-1, 8, 8)).astype(np.float32), np.asarray(y)


def _two_classes(
    pool: np.ndarray, labels: np.ndarray, classes: tuple[object, object] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of the first class, then those of the second, and their numbers."""
    pair = list(np.unique(labels)[:2] if classes is None else classes)
    parts = [pool[labels == label] for label in pair]
    if len(pair) != 2 or pair[0] == pair[1] or not all(len(part) for part in parts):
        raise ValueError(
            f"classes={classes!r}; expected two different labels, both with images, of "
            f"{np.unique(labels).tolist()}."
        )
    return np.concatenate(parts), np.array([len(part) for part in parts])


def _halved(images: np.ndarray) -> np.ndarray:
    """Return images at half of their size, by the means of 2 x 2 pixels."""
    m, height, width, *channels = images.shape
    blocks = images.reshape(m, height // 2, 2, width // 2, 2, *channels)
    return np.rint(blocks.mean((2, 4))).astype(images.dtype)
