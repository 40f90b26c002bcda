"""Data for examples and studies: arrays, recordings, pairs whose information is known."""

from sklearn_mi.datasets.fetching import data_home, fetch_cifar10, fetch_mnist
from sklearn_mi.datasets.gaussians import (
    autoregressive_pairs,
    correlated_gaussian,
    gaussian_pairs,
    gaussian_staircase,
    independent_pairs,
    low_rank_pairs,
)
from sklearn_mi.datasets.images import ImagePairs, image_pairs
from sklearn_mi.datasets.known import (
    KnownPairs,
    additive_uniform_pairs,
    discrete_continuous_pairs,
    discrete_pairs,
    student_pairs,
)
from sklearn_mi.datasets.known import (
    student_entropy as student_entropy,
)
from sklearn_mi.datasets.mixtures import (
    half_atoms_pairs,
    likert_pairs,
    zero_inflated_counts_pairs,
    zero_inflated_poisson_pairs,
)
from sklearn_mi.datasets.omics import TwoTables, make_two_omics
from sklearn_mi.datasets.recordings import (
    Sequences,
    Simulated,
    Windows,
    make_activities,
    make_lorenz,
    make_place_cells,
    to_sequences,
    windows,
)
from sklearn_mi.datasets.tasks import beyond_normal, known_pairs
from sklearn_mi.datasets.toys import toy_ceiling, toy_pairs, toy_true_mi

__all__ = [
    "ImagePairs",
    "KnownPairs",
    "Sequences",
    "Simulated",
    "TwoTables",
    "Windows",
    "additive_uniform_pairs",
    "autoregressive_pairs",
    "beyond_normal",
    "correlated_gaussian",
    "data_home",
    "discrete_continuous_pairs",
    "discrete_pairs",
    "fetch_cifar10",
    "fetch_mnist",
    "gaussian_pairs",
    "gaussian_staircase",
    "half_atoms_pairs",
    "image_pairs",
    "independent_pairs",
    "known_pairs",
    "likert_pairs",
    "low_rank_pairs",
    "make_activities",
    "make_lorenz",
    "make_place_cells",
    "make_two_omics",
    "student_pairs",
    "to_sequences",
    "toy_ceiling",
    "toy_pairs",
    "toy_true_mi",
    "windows",
    "zero_inflated_counts_pairs",
    "zero_inflated_poisson_pairs",
]
