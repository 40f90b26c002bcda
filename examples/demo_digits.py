"""Features learned without labels, beside raw pixels: what ``make demo`` shows.

scikit-learn's digits, five folds. In each fold the learner, PCA and every scaler see the training
rows without labels; then a few training rows are labelled at random, a probe is trained on them,
and the test rows are classified. All contestants meet the same folds and the same labels.
"""

import platform
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading

import sklearn_mi
from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import compare, differences, summarise
from sklearn_mi.plots import EmbeddingDisplay, LabelEfficiencyDisplay

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "results" / "demo_digits.csv"
PICTURE = ROOT / "docs" / "images" / "demo.png"

OURS = "MIRepresentationLearner, as images"
TRANSFORMERS = {
    OURS: MIRepresentationLearner(input_shape=(8, 8), random_state=0),
    "MIRepresentationLearner": MIRepresentationLearner(random_state=0),
    "raw pixels": None,
    "PCA, 32 components": PCA(32, random_state=0),
}
CLASSIFIERS = {
    f"LabelSpreading, k={k}, alpha={alpha}": LabelSpreading(
        kernel="knn", n_neighbors=k, alpha=alpha, max_iter=1000
    )
    for k, alpha in ((15, 0.9), (7, 0.2))
}
PROBE_NAMES = {"logistic": "logistic regression", "knn": "nearest neighbours", "own": ""}
PROBES = {
    "logistic": "logistic regression on",
    "knn": "nearest neighbours (1; 5 from 50 labels a class) on",
    "own": "semi-supervised, on raw pixels",
}


def gains_of_ours(table):
    """Ours less each rival, paired by fold: the same probe, each side in its better scaling."""
    rivals = differences(table, OURS)  # each rival less ours
    return rivals.assign(mean=-rivals["mean"], low=-rivals["high"], high=-rivals["low"])


def label_name(labels_per_class):
    return "all" if np.isinf(labels_per_class) else f"{labels_per_class:g}"


def print_table(head, summary, form):
    """Print a line for each contestant and a column for each number of labels, by probe."""
    counts = sorted(summary["labels_per_class"].unique())
    print(f"\n{head:<38}" + "".join(f"{label_name(n):>15}" for n in counts))
    for probe, title in PROBES.items():
        print(title)
        for name, rows in summary[summary["probe"] == probe].groupby("name", sort=False):
            rows = rows.sort_values("labels_per_class")
            halves = rows["high"] - rows["mean"]
            cells = [
                f"{mean:{form}} ±{half:.3f}"
                for mean, half in zip(rows["mean"], halves, strict=True)
            ]
            print(f"  {name:<36}" + "".join(f"{cell:>15}" for cell in cells))


def print_verdicts(gains):
    """Say in words where ours is ahead, where it is behind, and where that is open."""
    ahead, behind = gains["low"] > 0, gains["high"] < 0
    verdicts = {"ahead of": ahead, "level with": ~ahead & ~behind, "behind": behind}
    print(f"\n{OURS}, where the interval of the difference is above, around or below 0, is")
    for verdict, chosen in verdicts.items():
        print(verdict + ("" if chosen.any() else " nothing here"))
        for (name, probe), rows in gains[chosen].groupby(["name", "probe"], sort=False):
            counts = ", ".join(map(label_name, sorted(rows["labels_per_class"])))
            print(f"  {name:<36}{PROBE_NAMES[probe]:<22} labels per class: {counts}")


def print_bound(table):
    fits = table[table["name"] == OURS].groupby("fold")[["mi", "mi_stderr", "mi_ceiling"]].first()
    value, stderr, ceiling = fits.mean()
    print(
        f"\nHeld-out bound: {value:.2f} nats (InfoNCE, mean of {len(fits)} folds, standard error "
        f"{stderr:.2f} within a fold), ceiling {ceiling:.2f}.\n"
        "It compares a row with its neighbours among the training rows, both moved a little, so "
        "it depends on them;\na larger bound is not a better representation."
    )


def draw(summary, X, y):
    """Left the accuracies; right, rows that a learner of two components has not seen."""
    train, test, _, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
    learner = MIRepresentationLearner(n_components=2, input_shape=(8, 8), random_state=0)
    codes = learner.fit(train).transform(test)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    lines = LabelEfficiencyDisplay.from_table(summary, ax=left).lines_
    lines[OURS].set(linewidth=3, zorder=4)
    # Raw pixels and PCA lie on one another: a broad line below a thin one shows both.
    lines["raw pixels"].set(linewidth=6, alpha=0.4)
    left.legend(loc="lower right", frameon=False)
    left.set_title("Digits: logistic regression on frozen features", size=11)
    EmbeddingDisplay.from_codes(codes, y_test, ax=right)
    right.set_title(f"{len(test)} held-out digits, learned codes, n_components=2", size=11)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=130)


def versions():
    libraries = {"sklearn-mi": sklearn_mi, "scikit-learn": sklearn, "torch": torch, "numpy": np}
    named = [f"{name} {library.__version__}" for name, library in libraries.items()]
    return ", ".join([*named, f"Python {platform.python_version()}"])


def main():
    start = time.perf_counter()
    X, y = load_digits(return_X_y=True)
    # Workers with one thread each give the same bits whatever the number of cores.
    with joblib.parallel_config("loky", n_jobs=-1, inner_max_num_threads=1):
        table = compare(TRANSFORMERS, X, y, classifiers=CLASSIFIERS, n_draws=6)
    TABLE.parent.mkdir(exist_ok=True)
    table.to_csv(TABLE, index=False)
    summary = summarise(table)
    gains = gains_of_ours(table)
    print(
        f"{len(X)} digits of 8 x 8 pixels, 10 classes; 5 folds x 6 draws of labels. Intervals: "
        "Student's t over folds,\nwidened for their overlap (Nadeau and Bengio, 2003). Scaling, "
        "per column or common: the better\nmean, for everyone alike."
    )
    print_table("accuracy ±95 %; labels per class:", summary, ".3f")
    print_table(f"{OURS} less ...", gains, "+.3f")
    print_verdicts(gains)
    print_bound(table)
    draw(summary, X, y)
    print(f"\nWrote {TABLE.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}.")
    print(f"{versions()}; {time.perf_counter() - start:.0f} s on {joblib.cpu_count()} cores.")


if __name__ == "__main__":
    main()
