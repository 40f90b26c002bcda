"""The data of the figures, each split into rows for learning and rows for testing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_mi.datasets import fetch_cifar10, fetch_mnist
from sklearn_mi.study import Split

__all__ = [
    "TOY_ROWS",
    "cifar10",
    "cifar10_part",
    "digits",
    "empty_rows",
    "flat_part",
    "mnist",
    "top_halves",
]

# A bound of 0.02 nats has a standard error of 0.002 over 12,800 pairs, of 0.0006 over these.
TOY_ROWS = 128_000


def mnist() -> Split:
    """Return MNIST."""
    X_train, y_train, X_test, y_test = fetch_mnist()
    return Split(X_train, X_test, y_train, y_test)


def top_halves() -> Split:
    """Return the top halves of MNIST."""
    split = mnist()
    return Split(split.X_train[:, :14], split.X_test[:, :14], split.y_train, split.y_test)


def cifar10() -> Split:
    """Return CIFAR10."""
    X_train, y_train, X_test, y_test = fetch_cifar10()
    return Split(X_train, X_test, y_train, y_test)


def cifar10_part() -> Split:
    """Return 20,000 rows of CIFAR10 to learn from, and all of its test rows."""
    whole = cifar10()
    return Split(whole.X_train[:20_000], whole.X_test, whole.y_train[:20_000], whole.y_test)


def empty_rows() -> Split:
    """Return rows of zeros: the view of the toy experiment draws its own data."""
    return Split(*(np.zeros((TOY_ROWS, 1), np.float32) for _ in range(2)))


def digits() -> Split:
    """Return scikit-learn's digits, a quarter of them to test on."""
    X_train, X_test, y_train, y_test = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
    return Split(X_train, X_test, y_train, y_test)


def flat_part(data: Callable[[], Split]) -> Split:
    """Return 5,000 rows to learn from and 2,000 to test on, as flat tables."""
    whole = data()
    X_train, X_test = (X.reshape(len(X), -1) for X in (whole.X_train[:5_000], whole.X_test[:2_000]))
    return Split(X_train, X_test, whole.y_train[:5_000], whole.y_test[:2_000])
