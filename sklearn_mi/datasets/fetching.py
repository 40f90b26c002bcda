"""Arrays of MNIST and CIFAR10, from a folder or by torchvision."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import get_data_home

from sklearn_mi._places import place_of

__all__ = ["data_home", "fetch_cifar10", "fetch_mnist"]

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def data_home() -> Path:
    """Return the folder that holds fetched data.

    Returns
    -------
    folder : Path
        ``$SKLEARN_MI_DATA``, or ``sklearn_mi`` in scikit-learn's own data folder.
    """
    named = os.environ.get("SKLEARN_MI_DATA")
    return place_of(named, "SKLEARN_MI_DATA") if named else Path(get_data_home()) / "sklearn_mi"


def fetch_mnist() -> Arrays:
    """Return MNIST, downloaded by torchvision on first use.

    Returns
    -------
    X_train : ndarray of shape (60000, 28, 28), uint8
    y_train : ndarray of shape (60000,)
    X_test : ndarray of shape (10000, 28, 28), uint8
    y_test : ndarray of shape (10000,)

    Raises
    ------
    OSError
        If the data are not in the folder of `data_home` and cannot be downloaded.
    """
    return _fetch("mnist", "MNIST")


def fetch_cifar10() -> Arrays:
    """Return CIFAR10, downloaded by torchvision on first use.

    Returns
    -------
    X_train : ndarray of shape (50000, 32, 32, 3), uint8
    y_train : ndarray of shape (50000,)
    X_test : ndarray of shape (10000, 32, 32, 3), uint8
    y_test : ndarray of shape (10000,)

    Raises
    ------
    OSError
        If the data are not in the folder of `data_home` and cannot be downloaded.
    """
    return _fetch("cifar10", "CIFAR10")


def _fetch(name: str, dataset: str) -> Arrays:
    """Read ``name.npz`` from the data folder; download the data first if it is not there."""
    path = data_home() / f"{name}.npz"
    if not path.exists():
        _download(dataset, path)
    with np.load(path) as file:
        return file["x_train"], file["y_train"], file["x_test"], file["y_test"]


def _download(dataset: str, path: Path) -> None:
    import torchvision

    path.parent.mkdir(parents=True, exist_ok=True)
    source = getattr(torchvision.datasets, dataset)
    try:
        parts = [source(path.parent / "raw", train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"{dataset} is not in {path} and could not be downloaded ({error}); set "
            f"SKLEARN_MI_DATA to a folder that holds {path.name}."
        ) from error
    arrays = [np.asarray(array) for part in parts for array in (part.data, part.targets)]
    np.savez_compressed(
        path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True))
    )
