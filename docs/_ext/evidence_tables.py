"""Tables of the benchmarks as the evidence pages need them: one tidy frame a question."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
RESULTS, PAPER = "benchmarks/results", "docs/paper"
TASKS = ("digits", "flat", "mnist", "colour", "numbers", "mixed")
FILES = {
    "features": f"{RESULTS}/features/features.csv",
    "select_rows": f"{RESULTS}/select_rows.csv",
    **{
        name: f"{RESULTS}/speed/{name}.csv"
        for name in ("before_after", "how_long", "time_to_accuracy", "neighbors", "step", "peers")
    },
    "gpu_rounds": f"{RESULTS}/speed/gpu_rounds.csv",
    "gpu_runs": f"{RESULTS}/gpu/runs.csv",
    **{f"pareto_{name}": f"{RESULTS}/pareto/{name}.csv" for name in TASKS},
    **{
        f"choose_{name}": f"{RESULTS}/choose_defaults_{name}.csv"
        for name in ("digits", "mnist", "colour", "numbers", "mixed")
    },
    "ablation_digits": f"{RESULTS}/ablation_digits.csv",
    "ablation_mnist": f"{RESULTS}/ablation_mnist.csv",
    "cells": f"{RESULTS}/information/cells.csv",
    "fits": f"{RESULTS}/information/cells.jsonl",
    "mi_coverage": f"{RESULTS}/information/coverage/coverage.csv",
    "mi_images": f"{RESULTS}/information/images/images.csv",
    "mi_speed": f"{RESULTS}/information/speed/speed.csv",
    "recordings": f"{RESULTS}/recordings/recordings.csv",
    "decoding": f"{RESULTS}/decoding/cells.jsonl",
    "texts": f"{RESULTS}/texts/texts.csv",
    "semi_supervised": f"{RESULTS}/semi_supervised/semi_supervised.csv",
    **{
        f"figure_{name}": f"{PAPER}/figure_{name}.csv"
        for name in ("1", "1c", "2", "3", "4", "4c", "8", "9", "beyond", "systems")
    },
    "label_free": f"{PAPER}/figure_label-free.csv",
    "criteria": f"{PAPER}/label_free.txt",
    "baselines": f"{PAPER}/baselines.csv",
    "curves": f"{PAPER}/figures.txt",
    "verdicts": f"{PAPER}/verdicts.txt",
    "verdicts_converged": f"{PAPER}/verdicts_converged.txt",
    "verdicts_cifar10": f"{PAPER}/verdicts_cifar10.txt",
    "verdicts_systems": f"{PAPER}/verdicts_systems.csv",
    "costs": f"{RESULTS}/system_costs.csv",
    "plan": f"{PAPER}/plan/runs.csv",
    "compared": f"{PAPER}/plan/comparisons.csv",
    "new_1c": f"{PAPER}/plan/figure_1c.csv",
    "new_4c": f"{PAPER}/plan/figure_4c.csv",
}
OURS = "MIRepresentationLearner"
ONE = "SemiSupervisedClassifier"
AS_TABLES = ("wine", "Salaries", "Males", "Hdma", "Chile", "flchain", "diamonds", "insurance")
DATA = {
    "digits": "digits",
    "mnist": "MNIST",
    "cifar10": "CIFAR10",
    "wine": "wine",
    "breast_cancer": "breast cancer",
    "diamonds": "diamonds",
    "insurance": "insurance",
}


class Tables(Mapping[str, pd.DataFrame]):
    """The files of results by name, read when they are asked for.

    `change` is applied to each table that is read: tests turn numbers with it.
    """

    def __init__(
        self, root: Path = ROOT, change: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    ):
        self.root, self.change = root, change
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._read:
            table = read(self.root / FILES[name])
            self._read[name] = table if self.change is None else self.change(table)
        return self._read[name]

    def __iter__(self):
        return iter(FILES)

    def __len__(self) -> int:
        return len(FILES)


def read(path: Path) -> pd.DataFrame:
    """Return a file of results as a table."""
    if path.suffix == ".jsonl":
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = pd.read_json(StringIO("\n".join(lines)), lines=True)
        keys = [name for name in ("task", "seed", "setting") if name in found]
        return found.drop_duplicates(keys, keep="last").reset_index(drop=True)
    if path.suffix == ".txt":
        return PARSERS[path.stem](path.read_text(encoding="utf-8"))
    as_text = {"figure": str, "claim": str, "commit": str, "before": str}
    return pd.read_csv(path, dtype=as_text)


def _verdicts(text: str) -> pd.DataFrame:
    rows = [re.findall(r"^(?: {5})?- (.*)$", row, re.MULTILINE) for row in text.split("   * ")[2:]]
    found = pd.DataFrame(rows, columns=["claim", "paper", "ours", "seeds", "steps", "p", "verdict"])
    numbers = {
        name: pd.to_numeric(found[name], errors="coerce") for name in ("seeds", "steps", "p")
    }
    return found.assign(**numbers)


def _criteria(text: str) -> pd.DataFrame:
    number = r"(-?[\d.]+)"
    line = rf"^ *(tau in a view|tau|regret) +(all labels|5 a class) +(\S.*?) +{number} +" + (
        rf"{number} +{number} +{number} +{number} +{number}$"
    )
    numbers = ["cifar10", "digits", "mnist", "mean", "low", "high"]
    found = pd.DataFrame(
        re.findall(line, text, re.MULTILINE), columns=["statistic", "labels", "criterion", *numbers]
    )
    return found.astype(dict.fromkeys(numbers, float))


def _curves(text: str) -> pd.DataFrame:
    number = r"(-?[\d.]+|NaN)"
    line = (
        rf"^ *(\S.*?) +(\S+(?: t\d)?) +(\d+) +(\d+) +{number} +{number} +{number} +{number} +"
        + (rf"{number} +(yes|NO|-)$")
    )
    numbers = ["step", "seeds", "paper", "ours", "sd", "difference", "allowed"]
    figures = re.split(r"^Figure (\S+?)(?::.*)?$", text, flags=re.MULTILINE)[1:]
    parts = []
    for figure, body in zip(figures[::2], figures[1::2], strict=True):
        rows = re.findall(line, body, re.MULTILINE)
        part = pd.DataFrame(rows, columns=["panel", "curve", *numbers, "within"])
        parts.append(part.astype(dict.fromkeys(numbers, float)).assign(figure=figure))
    return pd.concat(parts, ignore_index=True)


PARSERS = {
    "label_free": _criteria,
    "figures": _curves,
    "verdicts": _verdicts,
    "verdicts_converged": _verdicts,
    "verdicts_cifar10": _verdicts,
}


# Few labels


def accuracy(t: Tables, data: str, name: str, labels: float) -> pd.Series:
    """Return the row of one contestant on one data set."""
    rows = t["features"]
    rows = rows[(rows["data"] == data) & (rows["name"] == name)]
    return rows[rows["labels_per_class"] == labels].iloc[0]


def beside_others(t: Tables) -> pd.DataFrame:
    """Return ours beside the best other at each number of labels of each data set."""
    made = []
    for _, found in t["features"].groupby("data", sort=False):
        mine = found[found["name"] == OURS].set_index("labels_per_class")
        # A rival that failed in some folds was not measured on the same rows.
        others = found[~found["name"].str.startswith(OURS) & found["n_folds"].isin(mine["n_folds"])]
        best = others.loc[others.groupby("labels_per_class")["mean"].idxmax()]
        for row in best.to_dict("records"):
            ours = mine.loc[row["labels_per_class"]]
            made.append({**row, "rival": row["name"], "ours": ours["mean"]})
    return pd.DataFrame(made)


def outcomes(t: Tables) -> pd.Series:
    """Return "ahead", "behind" or "level" (within chance) of each row of `beside_others`."""
    found = beside_others(t)
    names = np.where(found["gain_low"] > 0, "ahead", "level")
    names = np.where(found["gain_high"] < 0, "behind", names)
    return pd.Series(names, index=pd.MultiIndex.from_frame(found[["data", "labels_per_class"]]))


def chosen_rows(t: Tables) -> pd.DataFrame:
    """Return accuracy by codes, number of labels and how rows were chosen."""
    found = t["select_rows"].groupby(["codes", "n_labelled", "name"])["accuracy"].mean()
    return found.unstack()


# Speed


def default_fits(t: Tables) -> pd.DataFrame:
    """Return median seconds by task of ours, the former default and UMAP."""
    found = t["before_after"]
    seconds = found[found["effort"] == "normal"].groupby(["task", "who"])["fit s"].median()
    order = found[found["who"] == "now"].groupby("task", sort=False).size().index
    wide = seconds.unstack().reindex(order)
    return wide.assign(
        former=wide["now"] / wide["before"], umap=wide["now"] / wide["UMAP 8"]
    ).sort_values("now")


def time_to_accuracy(t: Tables) -> pd.DataFrame:
    """Return median seconds and mean accuracy by data, name and length of training."""
    keys = ["data", "name", "length"]
    found = t["time_to_accuracy"].groupby(keys, sort=False, dropna=False)
    # The first fold of UMAP compiles.
    made = found.agg(seconds=("seconds", "median"), accuracy=("accuracy", "mean"))
    return made.reset_index()


def steps(t: Tables) -> pd.DataFrame:
    """Return milliseconds a step of ours beside the loops of others."""
    loops = t["step"].rename(columns={"net": "task"})
    made = []
    for task, rows in pd.concat([loops, t["peers"]]).groupby("task", sort=False):
        mine = rows.set_index("loop")["ms median"]
        for other in mine.index.drop("ours", errors="ignore"):
            made.append((task, other, mine["ours"], mine[other], mine["ours"] / mine[other]))
    return pd.DataFrame(made, columns=["task", "other", "ours", "theirs", "ratio"])


def how_long(t: Tables) -> pd.DataFrame:
    """Return seconds and memory of default fits by rows and columns, larger ones without memory."""
    small = t["how_long"].rename(columns={"name": "data", "peak MB": "peak", "MB before": "before"})
    large = t["before_after"]
    large = large[(large["who"] == "now") & (large["effort"] == "normal")]
    large = large.groupby("task", as_index=False)["fit s"].median()
    sizes = {"MNIST, 48,000": 784, "CIFAR10, 44,000": 3072}
    made = []
    for task, seconds in large.to_numpy():
        name, size = task.split(", ", 1)
        rows, _, columns = size.replace(",", "").partition(" x ")
        if int(rows) > 2000:
            columns = int(columns or sizes[task])
            made.append({"data": name, "rows": int(rows), "columns": columns, "seconds": seconds})
    every = pd.concat([small, pd.DataFrame(made)], ignore_index=True)
    images = every["data"].isin(["digits as images", "MNIST", "CIFAR10"])
    return every.assign(images=images).sort_values(["rows", "columns"], ignore_index=True)


# Defaults

DEFAULTS = {
    "digits": "Muon .1, 800 steps, decay .2",
    "flat": "Muon .02, 400 steps, hidden 256",
    "mnist": "Muon .1, 2,400 steps, decay .067",
    "colour": "Muon .02, 400 steps, bfloat16",
    "numbers": "Muon .02, 400 steps, hidden 256",
    "mixed": "Muon .02, 200 steps, hidden 256",
}
FORMER = {
    "digits": "Adam, 2,400 steps",
    "flat": "Adam, 1,200 steps",
    "mnist": "Adam, 4,800 steps",
    "numbers": "Adam, 1,200 steps",
    "mixed": "Adam, 1,200 steps",
}
KINDS = {
    "digits": "digits, images",
    "flat": "digits, a table",
    "mnist": "MNIST",
    "colour": "CIFAR10",
    "numbers": "four tables of numbers",
    "mixed": "three mixed tables",
}


def pareto(t: Tables, kind: str) -> pd.DataFrame:
    """Return seconds and mean accuracy of the settings that a default was chosen among."""
    found = t[f"pareto_{kind}"].groupby("name", sort=False)
    return found.agg(seconds=("seconds", "mean"), accuracy=("accuracy", "mean"))


def by_labels(t: Tables, kind: str) -> pd.DataFrame:
    """Return accuracy by name and labels, the better readout of each, of `choose_defaults`."""
    found = t[f"choose_{kind}"]
    keys = [name for name in ("table", "seed") if name in found]
    best = found.groupby(["name", "labels_per_class", *keys], sort=False)["mean"].max()
    wide = best.groupby(["name", "labels_per_class"]).mean().unstack()
    wide.columns = ["all" if n >= 400 else f"{n:g}" for n in wide.columns]
    return wide


# Kind of rows, name in its table, what it is called here, and what it is set against.
_CHOSEN_DIGITS = "chosen: LeNet, moved neighbours, temperature 1, 2,400 steps"
_CHOSEN_MIXED = "chosen: columns, and 2 components of weight .25"
CHANGES = (
    ("digits", "moved, no neighbours", "moved only, no neighbours", _CHOSEN_DIGITS),
    ("digits", "5 neighbours", "5 neighbours", _CHOSEN_DIGITS),
    ("digits", "temperature .5", "temperature 0.5", _CHOSEN_DIGITS),
    ("digits", "perceptron of 512", "perceptron, not LeNet", _CHOSEN_DIGITS),
    ("digits", "constant rate of 1e-3", "a constant rate", _CHOSEN_DIGITS),
    (
        "digits",
        "as a table: perceptron of 512, neighbours that are not moved, 1,200 steps",
        "rows passed as a flat table",
        _CHOSEN_DIGITS,
    ),
    (
        "mnist",
        "neighbours that are not moved",
        "neighbours not moved",
        "chosen: LeNet, 4,800 steps",
    ),
    ("mnist", "temperature .5", "temperature 0.5", "chosen: LeNet, 4,800 steps"),
    ("mnist", "perceptron of 512", "perceptron, not LeNet", "chosen: LeNet, 4,800 steps"),
    ("mnist", "2,400 steps", "half of the steps (Adam)", "chosen: LeNet, 4,800 steps"),
    (
        "colour",
        "the image as it is, 1,000 steps",
        "code of the image, not of five crops",
        "1,000 steps",
    ),
    ("numbers", "columns as they are", "columns alone", "chosen: the columns beside it"),
    ("numbers", "a code", "code alone", "chosen: the columns beside it"),
    ("mixed", "columns as they are", "columns alone", _CHOSEN_MIXED),
    ("mixed", "8 components", "8 learned components", _CHOSEN_MIXED),
    ("mixed", "a code alone, as of a table of numbers", "code alone", _CHOSEN_MIXED),
    ("mixed", "PCA, 90 % of the variance", "PCA, 90 % of the variance", _CHOSEN_MIXED),
)


def change(t: Tables, kind: str, name: str) -> pd.Series:
    """Return what a change costs, in points, by labels; negative where it is worse."""
    base = next(base for k, n, _, base in CHANGES if (k, n) == (kind, name))
    found = by_labels(t, kind)
    return 100 * (found.loc[name] - found.loc[base])


def ablation(t: Tables, part: str) -> pd.DataFrame:
    """Return mean accuracy of logistic regression by view, critic or objective."""
    place = ("view", "critic", "objective").index(part)
    columns = {}
    for data in ("digits", "mnist"):
        found = t[f"ablation_{data}"]
        found = found[found["probe"] == "logistic"]
        choice = found["name"].str.split(", ").str[place]
        each = found.groupby([found["name"], choice.rename(part), "labels_per_class"], sort=False)
        means = each["accuracy"].mean().groupby([part, "labels_per_class"], sort=False).mean()
        for labels, values in means.unstack().items():
            columns[data, "all" if np.isinf(labels) else f"{labels:g}"] = values
    return pd.DataFrame(columns)


# Information

STAIRS = "gaussian-20-"
PEERS = ("bmi CCA", "bmi KSG", "bmi InfoNCE", "bmi NWJ", "bmi DV", "bmi MINE")
PEERS = (*PEERS, "torch-mist infonce", "torch-mist smile")
SHORT = {
    "1v1-normal-0.75": "normal, 1 + 1",
    "1v1-additive-0.1": "additive noise, 1 + 1",
    "multinormal-sparse-5-5-2-2.0": "normal, 5 + 5",
    "multinormal-sparse-25-25-2-2.0": "normal, 25 + 25",
    "student-identity-2-2-1": "Student, 2 + 2",
    "asinh-student-identity-5-5-2": "asinh Student, 5 + 5",
    "spiral-multinormal-sparse-3-3-2-2.0": "spiral, 3 + 3",
    "rotated cubic-gaussian-20-2.0": "rotated cubes, 2 nats",
    "rotated cubic-gaussian-20-6.0": "rotated cubes, 6 nats",
    "rotated cubic-gaussian-20-10.0": "rotated cubes, 10 nats",
}


def estimates(t: Tables) -> pd.DataFrame:
    """Return mean estimates by task and setting, and the nearest peer, of the tasks of peers."""
    found = t["cells"]
    wide = found.pivot_table("value", "task", "setting").reindex(list(SHORT))
    truth = found.groupby("task")["true_mi"].first().reindex(wide.index)
    peers = wide[[name for name in PEERS if name in wide]]
    nearest = peers.sub(truth, axis=0).abs().idxmin(axis=1)
    values = [peers.loc[task, name] for task, name in nearest.items()]
    return wide.assign(truth=truth, peer=nearest, nearest=values)


def beyond_normal(t: Tables, setting: str = "default") -> pd.DataFrame:
    """Return the samples of the 40 tasks of "Beyond Normal", with their errors."""
    found = t["fits"]
    found = found[(found["setting"] == setting) & ~found["task"].str.contains(STAIRS)]
    found = found[found["seed"] < 3]
    return found.assign(error=found["value"] - found["true_mi"])


def error_by_task(t: Tables, setting: str = "default") -> pd.Series:
    """Return the mean absolute error of each task."""
    return beyond_normal(t, setting).groupby("task")["error"].apply(lambda e: e.abs().mean())


def holds_truth(found: pd.DataFrame) -> float:
    """Return the share of intervals that hold the truth."""
    low, high = found["interval"].str[0], found["interval"].str[1]
    return float(((low <= found["true_mi"]) & (found["true_mi"] <= high)).mean())


def every_number(t: Tables) -> pd.DataFrame:
    """Return how each bound, both limits and the best guess err, over distinct tasks."""
    found = t["fits"]
    distinct = found["task"] == found["under_ranks"]
    stairs = found["task"].str.contains(STAIRS)
    found = found[(found["setting"] == "default") & (distinct | stairs)]
    zero = 0 * found["stderr"]
    numbers = {
        "best guess": (found["value"], found["stderr"]),
        "lower limit": (found["lower_limit"], zero),
        "certified limit": (found["certified_limit"], zero),
    } | {
        name: tuple(found["bounds"].str[name].str[part] for part in ("value", "stderr"))
        for name in found["bounds"].iloc[0]
    }
    rows = {}
    for name, (value, stderr) in numbers.items():
        error = value - found["true_mi"]
        above = (error > 2 * stderr).mean()
        rows[name] = (error.median(), above, error.min(), error.max())
    return pd.DataFrame(rows, index=["median", "above", "lowest", "highest"]).T


def coverage(t: Tables, setting: str = "closed-form") -> pd.DataFrame:
    """Return by task how often the interval holds the truth, and the limits lie below it."""
    return t["mi_coverage"].query("setting == @setting").set_index("task")


def mi_times(t: Tables) -> pd.DataFrame:
    """Return medians over rounds by task: seconds and memory, now and before."""
    numbers = ["bar", "seconds", "before_seconds", "ratio", "peak_mb", "before_peak_mb"]
    return t["mi_speed"].groupby("task", sort=False)[numbers].median()


# Recordings and texts

LAGGED = "TimeLag, windows"
LATENT = ("place cells", "Lorenz")
CODES = {
    "raw": "steps as they are",
    "raw, windows": "windows of steps",
    "PCA": "PCA of steps",
    "PCA, windows": "PCA of windows",
    "ICA": "ICA of steps",
    "TimeLag": "ours, of steps",
    LAGGED: "ours, of windows",
    "CPC": "ours, CPC",
}
TEXTS = {"python": "the standard library", "sklearn": "scikit-learn"}


def as_one_estimator(t: Tables) -> pd.DataFrame:
    """Return scores of one estimator and of others by data, labels and name.

    Balanced accuracy on tables, accuracy on all else; ``gain`` is what ours is ahead of a row by.
    """
    found = t["semi_supervised"]
    wanted = np.where(found["data"].isin(AS_TABLES), "balanced_accuracy", "accuracy")
    whole = found[(found["metric"] == wanted) & (found["n_folds"] == 5)]
    return whole.set_index(["data", "labels_per_class", "name"])


def on_all_sets(t: Tables) -> pd.DataFrame:
    """Return the rows of those that were measured on all folds of all sets of recordings."""
    found = t["recordings"].dropna(subset="rank")
    sets = found.groupby("name")["data"].transform("nunique")
    return found[sets == found["data"].nunique()]


def over_sets(t: Tables) -> pd.DataFrame:
    """Return mean accuracy and rank over sets by name and labels, and what ours is ahead by.

    ``low`` and ``high`` are the ends of the 95 % interval of ``gain`` over sets.
    """
    found = on_all_sets(t).groupby(["name", "labels_per_class"], sort=False)
    made = found.agg(mean=("mean", "mean"), rank=("rank", "mean"))
    around = found["gain"].apply(interval)
    gain, half = around.str[0], around.str[1]
    return made.assign(gain=gain, low=gain - half, high=gain + half)


def holm_over_sets(t: Tables, labels: float) -> pd.Series:
    """Return p of t tests over sets that ours and another are level, by Holm over the others."""
    from scipy.stats import ttest_1samp

    found = on_all_sets(t)
    found = found[(found["labels_per_class"] == labels) & (found["name"] != OURS)]
    each = found.groupby("name")["gain"].apply(lambda gain: ttest_1samp(gain, 0).pvalue)
    ordered = each.sort_values()
    return (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)


def seconds_of_recordings(t: Tables) -> pd.DataFrame:
    """Return the least and the most seconds of training over sets, by name."""
    found = on_all_sets(t).groupby("name", sort=False)["train_seconds"]
    return found.agg(["min", "max"])


def decoded(t: Tables, data: str) -> pd.DataFrame:
    """Return R2 and seconds by codes, and what ours is ahead by, of one kind of simulation.

    Means are over simulations, and so are the 95 % intervals of ``ridge_gain`` and ``knn_gain``,
    pairs of mean and half.
    """
    found = t["decoding"][lambda rows: rows["task"] == data]
    if found.empty:
        raise KeyError(data)
    # Three recordings a simulation, each decoded in turn; one that lacks some does not count.
    found = found.assign(simulation=found["seed"] // 3)
    found = found[found.groupby(["setting", "simulation"])["seed"].transform("count") == 3]
    made = found.groupby("setting", sort=False)[["ridge", "knn", "fit_seconds"]]
    made = made.agg({"ridge": "mean", "knn": "mean", "fit_seconds": "median"})
    for decoder in ("ridge", "knn"):
        wide = found.pivot(index="seed", columns="setting", values=decoder)
        ahead = wide.rsub(wide[LAGGED], axis=0)
        each = ahead.groupby(ahead.index // 3).mean()
        made[f"{decoder}_gain"] = pd.Series({name: interval(each[name].dropna()) for name in each})
    return made


def of_texts(t: Tables) -> pd.DataFrame:
    """Return accuracy by data, labels and name, of those that were measured on all folds."""
    return (
        _whole_texts(t).groupby(["data", "labels_per_class", "name"])["accuracy"].mean().unstack()
    )


def ahead_on_texts(t: Tables) -> pd.DataFrame:
    """Return what ours is ahead by, by data, labels and name: mean, low and high."""
    from sklearn_mi.evaluation import differences

    made = {}
    for data, rows in _whole_texts(t).groupby("data", sort=False):
        if OURS not in set(rows["name"]):
            raise KeyError(OURS)
        less = differences(rows, OURS).set_index(["labels_per_class", "name"])
        made[data] = -less[["mean", "high", "low"]].set_axis(["mean", "low", "high"], axis=1)
    return pd.concat(made, names=["data"])


def _whole_texts(t: Tables) -> pd.DataFrame:
    found = t["texts"]
    folds = found.groupby(["data", "name"])["fold"].transform("nunique")
    return found[folds == found["fold"].nunique()]


def on_one_fold(t: Tables) -> pd.DataFrame:
    """Return accuracy by name and labels on the fold of scipy that all views of texts share."""
    found = t["texts"].query("data == 'scipy' and fold == 0")
    return found.groupby(["name", "labels_per_class"])["accuracy"].mean().unstack()


# The paper


def last_step(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last step."""
    return table[table["step"] == table["step"].max()]


def critics(t: Tables, figure: str = "figure_3") -> pd.DataFrame:
    """Return mean bound and accuracy by objective and critic, with halves of 95 % intervals."""
    from scipy.stats import t as student

    found = last_step(t[figure]).groupby(["objective", "critic"], sort=False)
    names = {"bound": "bound_train", "untouched": "bound_test", "accuracy": "accuracy"}
    made = found.agg(seeds=("seed", "size"), **{k: (v, "mean") for k, v in names.items()})
    quantile = student.ppf(0.975, made["seeds"] - 1) / np.sqrt(made["seeds"])
    halves = {f"{key}_half": found[name].std() * quantile for key, name in names.items()}
    return made.assign(**halves)


def judged(t: Tables) -> pd.DataFrame:
    """Return the verdicts on MNIST, with the numbers of the comparison that decides about each.

    ``paper`` is the paper's own number, ``effect`` what it claims; both NaN where it has none.
    """
    found = t["verdicts"].drop(columns="paper")
    number, words = (found["claim"].str.extract(r"\((\w+)\) (.*)")[k] for k in (0, 1))
    judged_on = words.str.extract(r"On (training batches|untouched rows)\.")[0].fillna("")
    numbers = found["ours"].str.extract(r"^(\S+)(?: \[(\S+), (\S+)\])? \((.*?[<>] \S+)\)")
    values = numbers[[0, 1, 2]].apply(lambda c: pd.to_numeric(c.str.lstrip("\\"), errors="coerce"))
    values.columns = ["estimate", "low", "high"]
    made = found.assign(number=number, words=words, judged_on=judged_on, statement=numbers[3])
    known = t["compared"][t["compared"]["data"] == "mnist"].rename(columns={"claim": "number"})
    known = known.assign(judged_on=known["judged_on"].fillna(""))
    keys = ["number", "judged_on", "statement"]
    columns = [*keys, "threshold", "paper", "effect"]
    return made.assign(**values).merge(known[columns], on=keys, how="left")


def planned(t: Tables) -> pd.DataFrame:
    """Return the new seeds of each claim: cells, seeds, hours of one core, and the reach."""
    found = t["plan"].groupby(["data", "claim"], sort=False)
    return found.agg(
        cells=("learner", "size"),
        few=("seeds", "min"),
        many=("seeds", "max"),
        hours=("hours", "sum"),
        reach=("reach", "first"),
    ).reset_index()


def bilinear_ahead(t: Tables) -> pd.DataFrame:
    """Return what the bilinear critic is ahead of each other one by, under either probe."""
    made = []
    for objective, cells in last_step(t["figure_3"]).groupby("objective", sort=False):
        for rival in ("separable", "concat"):
            row: dict[str, object] = {"objective": objective, "rival": rival}
            for probe in ("accuracy", "accuracy_converged"):
                wide = cells.pivot(index="seed", columns="critic", values=probe)
                ahead = (wide["bilinear"] - wide[rival]).dropna()
                row |= {"seeds": len(ahead), probe: interval(ahead)}
            made.append(row)
    return pd.DataFrame(made)


def interval(values: pd.Series | Sequence[float]) -> tuple[float, float]:
    """Return mean and half of a 95 % interval over seeds, by Student's t."""
    from scipy.stats import sem
    from scipy.stats import t as student

    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(student.ppf(0.975, len(values) - 1) * sem(values))


BASE = {
    "objective": "infonce",
    "critic": "bilinear",
    "encoder": "mlp",
    "sharing": "separate",
    "batch": 128,
}


def beyond(t: Tables) -> pd.DataFrame:
    """Return means of each setting that changes one thing about the paper's."""
    names = {"accuracy": "accuracy", "five": "accuracy_5_labels"}
    names |= {"bound": "bound_test", "fresh": "fresh_bound"}
    rows = {}
    for values, cells in last_step(t["figure_beyond"]).groupby(list(BASE), sort=False):
        changed = [str(v) for v, base in zip(values, BASE.values(), strict=True) if v != base]
        name = " ".join(changed) or "as in the paper"
        rows[f"batches of {name}" if name.isdigit() else name] = {
            key: interval(cells[column]) for key, column in names.items()
        }
    made = pd.DataFrame(rows).T
    return made.loc[sorted(made.index, key=lambda name: name != "as in the paper")]


SYSTEMS = {
    "dim": "Deep InfoMax",
    "cpc": "CPC",
    "cmc": "CMC",
    "amdim": "AMDIM",
    "simclr": "SimCLR",
}
OBJECTIVES = {"infonce": "InfoNCE", "js": "Jensen-Shannon", "donsker-varadhan": "Donsker-Varadhan"}
# Of the systems that are varied in more than their objective.
KINDS_OF = {
    "dim": ("encode-and-dot", "concat-and-convolve", "whole map"),
    "cpc": ("gru", "conv"),
    "cmc": ("bilinear", "separable", "concat"),
}
SYSTEM_STEPS = 600
SYSTEM_MEASURES = {
    "accuracy": "accuracy_converged",
    "twenty": "accuracy_20_labels",
    "bound": "infonce_test",
}


def systems(t: Tables) -> pd.DataFrame:
    """Return a row a setting of Deep InfoMax, AMDIM, CPC, CMC and SimCLR.

    Each measure is a mean and half of its interval; ``seconds`` are those of all steps.
    """
    keys = ["system", "kind", "objective"]
    found = _by_kind(last_step(t["figure_systems"]).dropna(subset=["accuracy_converged"]))
    rows = []
    for key, cells in found.groupby(keys):
        if len(cells) > 1:
            measures = {m: interval(cells[column]) for m, column in SYSTEM_MEASURES.items()}
            rows.append(dict(zip(keys, key, strict=True)) | {"seeds": len(cells)} | measures)
    costs = _by_kind(t["costs"]).rename(columns={"peak MB": "megabytes"})
    costs = costs.assign(seconds=costs["ms a step"] * SYSTEM_STEPS / 1000)
    made = pd.DataFrame(rows).merge(costs[[*keys, "seconds", "megabytes"]], on=keys)
    return made.sort_values(keys, key=_in_order, kind="stable", ignore_index=True)


def _by_kind(found: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which the global form of Deep InfoMax is a kind of it."""
    is_whole = found["system"] == "dim-global"
    kind, system = (
        found["critic"].mask(is_whole, "whole map"),
        found["system"].mask(is_whole, "dim"),
    )
    return found.assign(kind=kind, system=system)


def _in_order(names: pd.Series) -> pd.Series:
    kinds = [kind for each in KINDS_OF.values() for kind in each]
    order = [*SYSTEMS, *kinds, *OBJECTIVES]
    return names.map(lambda name: order.index(name) if name in order else len(order))


def criteria(t: Tables, statistic: str, labels: str) -> pd.DataFrame:
    """Return a statistic of each criterion without labels: mean, interval and each data set."""
    found = t["criteria"]
    found = found[(found["statistic"] == statistic) & (found["labels"] == labels)]
    return found.set_index("criterion")


def regret_of_chance(t: Tables) -> dict[str, float]:
    """Return what a setting drawn at random loses against the best one, mean over data sets."""
    found = t["label_free"]
    trained = found[found["step"] > 0].groupby(["data", "seed"])
    names = {"all labels": "accuracy", "5 a class": "accuracy_5_labels"}
    lost = {key: trained[column].max() - trained[column].mean() for key, column in names.items()}
    return {key: float(values.groupby("data").mean().mean()) for key, values in lost.items()}
