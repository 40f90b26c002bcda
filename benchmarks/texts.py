"""Texts with few labels: docstrings, and the part of the package in which each one stands.

``python benchmarks/texts.py`` fits what is missing, appends to ``texts.csv`` in the folder
``--out``, and writes ``texts.txt`` beside it. The data are on every machine: the docstrings of
scikit-learn and of the standard library, on which the recipe was chosen, and those of scipy, on
which it was not. The class of a text is its subpackage or module. The names of the function, of all
classes and of the package are taken out of it.

Everyone starts from the same TF-IDF weights, fitted to the texts of the training folds. Then 1, 5,
20 or all texts of each class get a label, and one logistic regression on columns that are divided
by one common number classifies the test texts.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import argparse
import ast
import re
import sysconfig
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_data import package_commit, versions
from features_report import machine
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, differences, summarise

RESULTS = Path(__file__).resolve().parent / "results" / "texts"
DATA = ("sklearn", "python", "scipy")
OURS = "MIRepresentationLearner"
LABELS = (1, 5, 20, None)
N_FOLDS = 5
N_DRAWS = 5
SEED = 0
FEWEST_WORDS, FEWEST_TEXTS, MOST_WORDS = 20, 40, 5000
# Not of a subpackage's own subject, or not written for it.
SKIPPED = {"tests", "test", "externals", "_external", "_lib", "idlelib", "lib2to3", "site-packages"}
KEYS = ["data", "name", "fold"]


def folder(package: str) -> Path:
    """Return where the sources of a package stand; "python" is the standard library."""
    if package == "python":
        return Path(sysconfig.get_paths()["stdlib"])
    return Path(find_spec(package).submodule_search_locations[0])  # type: ignore[union-attr]


def docstrings(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield class, name and docstring of each function and class, the sources in order."""
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root).parts
        if SKIPPED & set(inside):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield inside[0].removesuffix(".py"), node.name, ast.get_docstring(node) or ""


def texts_of(package: str) -> tuple[np.ndarray, np.ndarray]:
    """Return texts that differ, without names that would give them away, and their classes.

    Texts have at least 20 words, classes at least 40 texts.
    """
    found = pd.DataFrame(docstrings(folder(package)), columns=["part", "name", "text"])
    found = found[found["text"].str.split().str.len() >= FEWEST_WORDS].drop_duplicates("text")
    found = found[found.groupby("part")["text"].transform("size") >= FEWEST_TEXTS]
    common = {package, *found["part"]}
    texts = [
        re.sub(rf"\b({'|'.join(map(re.escape, {*common, name}))})\b", " ", text, flags=re.I)
        for name, text in zip(found["name"], found["text"], strict=True)
    ]
    return np.array(texts, dtype=object), found["part"].to_numpy(dtype=str)


class Timed(TransformerMixin, BaseEstimator):
    """TF-IDF weights of texts, then a transformer of them, with the seconds of its fit."""

    seconds = 0.0

    def __init__(self, transformer: Any, texts: np.ndarray):
        self.transformer = transformer
        self.texts = texts

    def fit(self, rows: np.ndarray, y: None = None) -> Any:
        self.words_ = TfidfVectorizer(
            sublinear_tf=True, stop_words="english", max_features=MOST_WORDS, dtype=np.float32
        )
        X = self.words_.fit_transform(self.texts[rows.ravel()])
        start = time.perf_counter()
        self.fitted_ = clone(self.transformer).fit(X)
        Timed.seconds = time.perf_counter() - start
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return self.fitted_.transform(self.words_.transform(self.texts[rows.ravel()]))


def contestants() -> dict[str, Any]:
    """Return transformers of sparse weights, by name."""
    return {
        OURS: MIRepresentationLearner(random_state=SEED),
        "its code alone": MIRepresentationLearner(output="first", random_state=SEED),
        "TF-IDF": FunctionTransformer(lambda X: X.toarray(), accept_sparse=True),
        "LSA": make_pipeline(TruncatedSVD(128, random_state=SEED), Normalizer()),
        "drop-words": MIRepresentationLearner(view="drop-words", random_state=SEED),
        "half-documents": MIRepresentationLearner(view="half-documents", random_state=SEED),
    }


def measured(data: str, name: str, fold: int) -> pd.DataFrame:
    """Return the accuracies of one contestant on one fold, a row for each draw of labels."""
    texts, y = texts_of(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = compare(
            {name: Timed(contestants()[name], texts)},
            np.arange(len(y))[:, None],
            y,
            labels_per_class=LABELS,
            n_folds=N_FOLDS,
            n_draws=N_DRAWS,
            probes=("logistic",),
            scales=("common",),
            only_folds=[fold],
            random_state=SEED,
        )
    around = {"seconds": Timed.seconds, "commit": package_commit()}
    packages = versions(("sklearn-mi", "scikit-learn", "torch", "scipy"))
    return table.assign(data=data, **around, versions=packages)


def report(table: pd.DataFrame) -> str:
    """Return means over folds, the seconds of a fit, and ours less each on the folds of both."""
    parts = [
        f"sklearn-mi {', '.join(table['commit'].unique())}. {table['versions'].iloc[-1]}.",
        f"{machine()}.",
        f"Accuracy with 1, 5, 20 and all labels a class, {N_FOLDS} folds, {N_DRAWS} draws of "
        "labels; seconds of a fit. The recipe was chosen on sklearn and python, not on scipy.",
    ]
    for data, rows in table.groupby("data", sort=False):
        cells = rows.groupby("name", sort=False)
        means = summarise(rows).pivot(index="name", columns="labels_per_class", values="mean")
        shown = means.rename(columns=lambda labels: "all" if np.isinf(labels) else f"{labels:g}")
        shown = shown.assign(folds=cells["fold"].nunique(), seconds=cells["seconds"].mean())
        order = shown.reindex([name for name in contestants() if name in shown.index])
        parts.append(f"{data}\n{order.rename_axis(index=None, columns=None).round(3).to_string()}")
        whole = [name for name, n in cells["fold"].nunique().items() if n == N_FOLDS]
        if OURS in whole and len(whole) > 1:
            less = differences(rows[rows["name"].isin(whole)], OURS)
            columns = ["name", "labels_per_class", "mean", "low", "high", "p_holm"]
            parts.append(f"others less ours\n{less[columns].round(3).to_string(index=False)}")
    return "\n\n".join(parts) + "\n"


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--only", nargs="+", choices=[*contestants()], default=[*contestants()])
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="write the table, fit nothing")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    asked = parsed(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "texts.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEYS)
    wanted = [
        (data, name, fold)
        for data in asked.data
        for name in asked.only
        for fold in asked.folds
        if (data, name, fold) not in set(table[KEYS].itertuples(index=False, name=None))
    ]
    for cell in [] if asked.report else wanted:
        found = measured(*cell)
        table = pd.concat([table, found]) if len(table) else found
        table.round(5).to_csv(path, index=False)
        print(*cell, f"{found['seconds'].iloc[0]:.1f} s", flush=True)
    text = report(table)
    (asked.out / "texts.txt").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
