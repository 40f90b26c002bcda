"""Seconds and recall of searches for neighbours: what `sklearn_mi.views.Neighbors` could stand on.

``.venv-peers/bin/python benchmarks/neighbors.py`` searches the 7 nearest neighbours of every row of
MNIST (48,000 x 784) and of 200,000 x 50 numbers about 100 centres in ten dimensions, each search in
a process of its own, adds what is missing to ``benchmarks/results/speed/neighbors.csv``, and writes
``neighbors.txt``. Recall is that of 500 rows. Packages that are not installed are left out.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from before_after import manifold
from bench_data import versions
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from sklearn_mi.datasets import fetch_mnist
from sklearn_mi.views import neighbors

RESULTS = Path(__file__).resolve().parent / "results" / "speed"
K = 7


def exact(X: np.ndarray) -> np.ndarray:
    return NearestNeighbors(n_neighbors=K).fit(X).kneighbors(return_distance=False)


def of_the_package(X: np.ndarray) -> np.ndarray:
    return neighbors._nearest(X, K, "approximate")[1]


def without_faiss(X: np.ndarray) -> np.ndarray:
    sys.modules["faiss"] = None  # type: ignore[assignment]
    return neighbors._nearest(X, K, "auto")[1]


def in_components(X: np.ndarray) -> np.ndarray:
    return exact(PCA(50, svd_solver="covariance_eigh").fit_transform(X))


def descent(X: np.ndarray) -> np.ndarray:
    from pynndescent import NNDescent

    return NNDescent(X, n_neighbors=K + 1, random_state=0).neighbor_graph[0][:, 1:]


def hnsw(X: np.ndarray) -> np.ndarray:
    import faiss

    index = faiss.IndexHNSWFlat(X.shape[1], 16)
    index.add(X)
    index.hnsw.efSearch = 32
    return index.search(X, K + 1)[1][:, 1:]


def by_usearch(X: np.ndarray) -> np.ndarray:
    from usearch.index import Index

    index = Index(ndim=X.shape[1], metric="l2sq")
    index.add(np.arange(len(X)), X, threads=1)
    return index.search(X, K + 1, threads=1).keys[:, 1:].astype(int)


SEARCHES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str | None]] = {
    "exact, scikit-learn": (exact, None),
    "exact in 50 principal components": (in_components, None),
    "ours without faiss": (without_faiss, None),
    "ours with faiss": (of_the_package, "faiss"),
    "faiss HNSW": (hnsw, "faiss"),
    "pynndescent": (descent, "pynndescent"),
    "usearch": (by_usearch, "usearch"),
}
ROWS = {
    "MNIST, 48,000 x 784": lambda: fetch_mnist()[0][:48_000].reshape(-1, 784) / np.float32(255),
    "200,000 x 50": lambda: manifold(200_000, 50).astype(np.float32),
}


# Of so few columns these two are the exact search.
NARROW = "200,000 x 50"
AS_EXACT = ("exact in 50 principal components", "ours without faiss")


def one(rows: str, name: str) -> str:
    X = ROWS[rows]()
    some = np.random.default_rng(1).choice(len(X), 500, replace=False)
    distances = torch.cdist(torch.tensor(X[some]), torch.tensor(X))
    true = distances.topk(K + 1, largest=False).indices[:, 1:].tolist()
    start = time.process_time()
    found = SEARCHES[name][0](X)[some].tolist()
    seconds = time.process_time() - start
    recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found, true, strict=True)])
    return f"{seconds:.1f} {recall:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", nargs=2, help="rows and a search; used by this script")
    asked = parser.parse_args()
    if asked.one:
        print(one(*asked.one))
        return
    path = RESULTS / "neighbors.csv"
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["rows", "search"])
    done = set(known[["rows", "search"]].itertuples(index=False, name=None))
    for rows in ROWS:
        for name, (_, needed) in SEARCHES.items():
            if rows == NARROW and name in AS_EXACT:
                continue
            if (rows, name) in done or not (needed is None or find_spec(needed)):
                continue
            call = [sys.executable, __file__, "--one", rows, name]
            out = subprocess.run(call, capture_output=True, text=True, check=True).stdout
            seconds, recall = map(float, out.split()[-2:])
            row = {"rows": rows, "search": name, "CPU s": seconds, "recall": recall}
            pd.DataFrame([row]).to_csv(path, mode="a", header=not path.exists(), index=False)
            print(*row.values(), flush=True)
    report(pd.read_csv(path))


def report(table: pd.DataFrame) -> None:
    """Write seconds and recall of every search, a column for each set of rows."""
    facts = versions(("scikit-learn", "faiss-cpu", "pynndescent", "usearch"))
    text = table.pivot(index="search", columns="rows", values=["CPU s", "recall"])
    text = text.loc[table["search"].unique()].rename_axis(index=None).to_string(na_rep="")
    (RESULTS / "neighbors.txt").write_text(f"One thread. {facts}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
