"""Named tasks: a benchmark, and every pair of tables of this package whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from sklearn_mi.datasets.gaussians import (
    MAPS,
    autoregressive_pairs,
    gaussian_pairs,
    gaussian_staircase,
    independent_pairs,
    low_rank_pairs,
    same,
)
from sklearn_mi.datasets.images import image_pairs
from sklearn_mi.datasets.known import (
    KnownPairs,
    Transform,
    additive_uniform_pairs,
    discrete_continuous_pairs,
    discrete_pairs,
    student_pairs,
)
from sklearn_mi.datasets.mixtures import (
    half_atoms_pairs,
    likert_pairs,
    zero_inflated_counts_pairs,
    zero_inflated_poisson_pairs,
)

__all__ = ["beyond_normal", "known_pairs"]


def _half_cube(rows: np.ndarray) -> np.ndarray:
    return rows * np.sqrt(np.abs(rows))


def _wiggly_x(x: np.ndarray) -> np.ndarray:
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def _wiggly_y(y: np.ndarray) -> np.ndarray:
    return y - 0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)


def _two_modes(left: float, right: float, share: float) -> Transform:
    """Return the map from a standard normal to a mixture of two, of equal widths."""
    grid = np.linspace(left - 9, right + 9, 20_001)
    # Computed from the nearer tail: close to 1 a distribution function has lost its digits.
    below = share * ndtr(grid - left) + (1 - share) * ndtr(grid - right)
    above = share * ndtr(left - grid) + (1 - share) * ndtr(right - grid)
    normal = np.where(below < 0.5, ndtri(below), -ndtri(above))
    return lambda rows: np.interp(rows, normal, grid)


def _swiss_roll(x: np.ndarray) -> np.ndarray:
    angle = 1.5 * math.pi * (1 + 2 * x)
    return np.hstack([angle * np.cos(angle), angle * np.sin(angle)]) / 21


def _spiral(i: int, j: int) -> Transform:
    """Return a rotation of columns i and j by the squared norm of a row over its width."""

    def turn(rows: np.ndarray) -> np.ndarray:
        angle = (rows**2).sum(1) / rows.shape[1]
        turned = rows.copy()
        turned[:, i] = np.cos(angle) * rows[:, i] - np.sin(angle) * rows[:, j]
        turned[:, j] = np.sin(angle) * rows[:, i] + np.cos(angle) * rows[:, j]
        return turned

    return turn


def _dense(d: int) -> KnownPairs:
    correlation = 0.5 * (np.eye(2 * d) + 1)
    return gaussian_pairs(f"multinormal-dense-{d}-{d}-0.5", correlation, d)


def _two_pairs(d: int) -> KnownPairs:
    correlation = np.eye(2 * d)
    for k in range(2):
        correlation[k, d + k] = correlation[d + k, k] = 0.8
    return gaussian_pairs(f"multinormal-sparse-{d}-{d}-2-2.0", correlation, d)


def beyond_normal() -> dict[str, KnownPairs]:
    """Return the 40 distributions of the benchmark "Beyond Normal", under its names.

    The benchmark's packages are not needed. Only 26 distributions differ in their ranks
    (``under_ranks``). An estimator that uses ranks alone cannot tell the others from them.

    Returns
    -------
    tasks : dict of KnownPairs

    References
    ----------
    Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż, Grabowski, Vogt,
    Beerenwinkel & Marx, 2023), https://arxiv.org/abs/2306.11078

    Examples
    --------
    >>> from sklearn_mi.datasets import beyond_normal
    >>> tasks = beyond_normal()
    >>> len(tasks), len({task.under_ranks or name for name, task in tasks.items()})
    (40, 26)
    """
    normal = gaussian_pairs("1v1-normal-0.75", np.array([[1, 0.75], [0.75, 1]]), 1)
    uniform = normal.mapped("normal_cdf", ndtr)
    student = {
        (d, dof): student_pairs(f"student-identity-{d}-{d}-{dof}", d, d, dof)
        for d, dof in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
    }
    bimodal = normal.mapped("bimodal", _two_modes(0, 5, 0.3), _two_modes(-1, 3, 0.5))
    pairs = {d: _two_pairs(d) for d in (2, 3, 5, 25)}
    turns = _spiral(0, 1), _spiral(1, 2)
    tasks = [
        normal,
        uniform,
        additive_uniform_pairs("1v1-additive-0.1", 0.1),
        additive_uniform_pairs("1v1-additive-0.75", 0.75),
        replace(bimodal, name="1v1-bimodal-0.75"),
        normal.mapped("wiggly", _wiggly_x, _wiggly_y),
        normal.mapped("half_cube", _half_cube),
        student[1, 1],
        uniform.mapped("swissroll_x", _swiss_roll, same, increasing=False),
        *(_dense(d) for d in (2, 3, 5, 25, 50)),
        *pairs.values(),
        *(value for (d, _), value in student.items() if d > 1),
        *(student[key].mapped("asinh", np.arcsinh) for key in ((1, 1), (2, 1), (3, 2), (5, 2))),
    ]
    for d in (3, 5, 25):
        cdf = pairs[d].mapped("normal_cdf", ndtr)
        spiral = pairs[d].mapped("spiral", *turns, increasing=False)
        tasks += [cdf, pairs[d].mapped("half_cube", _half_cube), spiral]
        tasks.append(cdf.mapped("spiral", *turns, increasing=False))
    return {task.name: task for task in tasks}


def known_pairs() -> dict[str, KnownPairs]:
    """Return every task of this package whose mutual information is known, by name.

    The 40 of `beyond_normal`; the three maps of `gaussian_staircase`; independent tables;
    categories, counts, Likert items and mixtures; autoregressive series, whose rows depend on one
    another; wide tables that share four latents; and mosaics of digits. All draw without a
    download: `image_pairs` of MNIST and CIFAR10 are left out.

    Returns
    -------
    tasks : dict of KnownPairs

    Examples
    --------
    >>> from sklearn_mi.datasets import known_pairs
    >>> tasks = known_pairs()
    >>> [name for name, task in tasks.items() if task.true_mi > 9]
    ['gaussian-20-10.0', 'cubic-gaussian-20-10.0', 'rotated cubic-gaussian-20-10.0']
    """
    folded = [[0.3, 0.1, 0.0], [0.0, 0.1, 0.1], [0.2, 0.0, 0.2]]
    tasks = [
        *(step for name in MAPS for step in gaussian_staircase(map=name)),
        independent_pairs(),
        discrete_pairs(folded),
        discrete_continuous_pairs(),
        likert_pairs(),
        half_atoms_pairs(),
        zero_inflated_poisson_pairs(),
        zero_inflated_counts_pairs(),
        *(autoregressive_pairs(phi, rho) for phi in (0.9, 0.99) for rho in (0.0, 0.6)),
        low_rank_pairs(60, 50),
        *(low_rank_pairs(signal=signal) for signal in (3.0, 10.0, 30.0, 100.0)),
        *(image_pairs("digits", true_mi=level) for level in (2.0, 4.0, 6.0)),
    ]
    return {**beyond_normal(), **{task.name: task for task in tasks}}
