"""What the package says of itself: addresses of the project, and versions for a bug report."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

from sklearn_mi._version import __version__

__all__ = ["address", "show_versions"]

# The dependencies of pyproject.toml, and what the extras for users bring.
PACKAGES = (
    "scikit-learn",
    "torch",
    "torchvision",
    "skorch",
    "numpy",
    "scipy",
    "pandas",
    "joblib",
    "threadpoolctl",
    "safetensors",
    "jsonschema",
    "tqdm",
    "filelock",
    "click",
    "matplotlib",
    "faiss",
    "pyarrow",
    "dask",
    "ray",
)
# Distributions that bring a package, where they bear other names.
DISTRIBUTIONS = {"faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs")}


def address(label: str) -> str:
    """Return an address of the project, as ``[project.urls]`` of pyproject.toml gives it.

    Parameters
    ----------
    label : str
        Its key there, such as "Documentation".

    Returns
    -------
    address : str
        Without a slash at its end; empty where there is none, or the package is not installed.
    """
    try:
        entries = metadata("sklearn-mi").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    return dict(entry.split(", ", 1) for entry in entries).get(label, "").rstrip("/")


def show_versions() -> None:
    """Print the versions of the package, its dependencies, Python, the platform and the GPU.

    A bug report asks for this text.

    Examples
    --------
    >>> import sklearn_mi
    >>> sklearn_mi.show_versions()  # doctest: +ELLIPSIS
    sklearn-mi       ...
    Python           ...
    platform         ...
    """
    versions = {name: _version_of(name) for name in PACKAGES}
    facts = {
        "sklearn-mi": __version__,
        "Python": platform.python_version(),
        "platform": platform.platform(),
        "CPU cores": os.cpu_count(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        **_torch_facts(),
        **versions,
    }
    for name, value in facts.items():
        print(f"{name:<16} {value}")


def _version_of(package: str) -> str:
    for name in DISTRIBUTIONS.get(package, (package,)):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"


def _torch_facts() -> dict[str, Any]:
    """Return what only an import of torch can tell: threads and cards."""
    try:
        import torch

        if torch.cuda.is_available():
            names = map(torch.cuda.get_device_name, range(torch.cuda.device_count()))
            cuda = f"{torch.version.cuda}, {', '.join(names)}"
        else:
            cuda = "not available"
        return {"torch threads": torch.get_num_threads(), "CUDA": cuda}
    # A broken installation is what a report may be about, and raises what it likes.
    except Exception as error:
        return {"torch threads": "unknown", "CUDA": f"unknown, {type(error).__name__}: {error}"}
