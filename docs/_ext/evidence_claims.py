"""Sentences of the evidence pages, each with a test of the tables that it rests on.

``CLAIMS`` maps a page to pairs: the sentence as it stands there, and a predicate over
`evidence_tables.Tables`. A sentence that the tables no longer bear fails in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import evidence_tables as tables
import numpy as np
import pandas as pd
from evidence_tables import OURS, Tables

Claim = tuple[str, Callable[[Tables], bool]]
IMAGES, NUMBERS, MIXED = (
    ("digits", "mnist", "cifar10"),
    ("wine", "breast_cancer"),
    ("diamonds", "insurance"),
)


def shown(value: float, text: str) -> bool:
    """Tell whether a number is the text when it is rounded to as many decimals."""
    return f"{value:.{len(text.partition('.')[2])}f}" == text


def _lead(t: Tables, data: str, rival: str, labels: float) -> pd.Series:
    """Return what ours is ahead of a rival by, in points: mean, low, high."""
    row = tables.accuracy(t, data, rival, labels)
    return 100 * row[["gain_mean", "gain_low", "gain_high"]].astype(float).set_axis(
        ["mean", "low", "high"]
    )


def _leads(t: Tables, data: tuple[str, ...], rival: str, labels: tuple[float, ...]) -> pd.DataFrame:
    return pd.DataFrame([_lead(t, one, rival, n) for one in data for n in labels])


def _best_gains(t: Tables, data: tuple[str, ...]) -> pd.Series:
    found = tables.beside_others(t)
    return found.loc[found["data"].isin(data), "gain_mean"]


def _chosen(t: Tables, codes: str, n: int, ways: tuple[str, ...]) -> pd.Series:
    """Return what choosing rows gains over random draws, in points."""
    found = tables.chosen_rows(t).loc[(codes, n)]
    return 100 * (found[list(ways)] - found["random draws"])


def _quick_loses(t: Tables) -> pd.Series:
    return pd.Series([_lead(t, "digits", f"{OURS}, quick", n)["mean"] for n in (5, 20, inf)])


RECORDED = (
    *("GunPoint", "BasicMotions", "ItalyPowerDemand", "JapaneseVowels", "OSULeaf"),
    "PickupGestureWiimoteZ",
)


def _one(t: Tables, data: tuple[str, ...]) -> pd.DataFrame:
    """Return the rows of the others that stand beside one estimator, on some data."""
    found = tables.as_one_estimator(t).loc[list(data)]
    return found[~found.index.get_level_values("name").str.startswith(tables.ONE)]


def _behind_on(t: Tables, data: tuple[str, ...], labels: tuple[int, ...]) -> set[str]:
    found = _one(t, data).reset_index()
    found = found[found["labels_per_class"].isin(labels)]
    return set(found[found["gain"] < -found["gain_stderr"]]["data"])


def _gains_on_tables(t: Tables, name: str) -> pd.Series:
    return tables.as_one_estimator(t).loc[list(tables.AS_TABLES)].xs(name, level="name")["gain"]


def _over_tables(t: Tables, name: str) -> pd.Series:
    """Return what one estimator is ahead of another by, a number of labels, over the tables."""
    return _gains_on_tables(t, name).groupby(level="labels_per_class").mean()


FEW_LABELS: list[Claim] = [
    (
        "On images no other method has a higher mean at any number of labels.",
        lambda t: bool((_best_gains(t, IMAGES) > 0).all()),
    ),
    (
        "Trained by our optimiser, the SimCLR of lightly comes closer on CIFAR10.",
        lambda t: bool(
            np.less(
                *(
                    _leads(t, ("cifar10",), name, (1, 5, 20, inf))["mean"].to_numpy()
                    for name in ("SimCLR of lightly, Muon", "SimCLR of lightly")
                )
            ).all()
        ),
    ),
    (
        "Ours stays ahead of it, beyond chance with one label a class and with all.",
        lambda t: bool(
            (_leads(t, ("cifar10",), "SimCLR of lightly, Muon", (1, inf))["low"] > 0).all()
            and (_leads(t, ("cifar10",), "SimCLR of lightly, Muon", (5, 20))["mean"] > 0).all()
        ),
    ),
    (
        "On digits with one label a class the features are 26 points above raw pixels.",
        lambda t: shown(_lead(t, "digits", "raw", 1)["mean"], "26"),
    ),
    (
        "On MNIST with one label a class they are 10 points above the better of two UMAPs.",
        lambda t: (
            shown(_lead(t, "mnist", "UMAP 8, not tuned", 1)["mean"], "10")
            and _lead(t, "mnist", "UMAP 8", 1)["mean"] > 10
        ),
    ),
    (
        "On tables of numbers they gain at least 7 points over raw columns with one label a class.",
        lambda t: shown(_leads(t, NUMBERS, "raw", (1,))["mean"].min(), "7"),
    ),
    (
        "From twenty labels a class on they are level with raw columns there.",
        lambda t: bool(
            _leads(t, NUMBERS, "raw", (20, inf)).eval("low < 0 < high").all()
            and _leads(t, NUMBERS, "raw", (20, inf))["mean"].abs().max() < 1
        ),
    ),
    (
        "On tables of numbers and categories they are the columns, so they stay within half a "
        "point of raw ones.",
        lambda t: _leads(t, MIXED, "raw", (1, 5, 20, inf))["mean"].abs().max() < 0.5,
    ),
    (
        "On digits it is ahead of each of the others with 1, 5 and 20 labels a class, with 5 "
        "beyond chance.",
        lambda t: bool(
            (_one(t, ("digits",))["gain"] > 0).all()
            and (_one(t, ("digits",)).loc["digits", 5]["gain_p_holm"] < 0.05).all()
            and len(_one(t, ("digits",))) == 21
        ),
    ),
    (
        "On MNIST and on CIFAR10 it is at least 6 points ahead of each of the others, beyond "
        "chance.",
        lambda t: all(
            (_one(t, (data,))["gain"] >= 0.06).all()
            and (_one(t, (data,))["gain_p_holm"] < 0.05).all()
            and len(_one(t, (data,))) == 21
            for data in ("mnist", "cifar10")
        ),
    ),
    (
        "On recordings with 1 and 5 labels it is behind by more than a standard error on "
        "ItalyPowerDemand alone.",
        lambda t: _behind_on(t, RECORDED, (1, 5)) == {"ItalyPowerDemand"},
    ),
    (
        "On eight tables it is level with logistic regression on the columns: on tables of "
        "categories it keeps them.",
        lambda t: _over_tables(t, "logistic regression").between(-0.01, 0.02).all(),
    ),
    (
        "It is ahead of LabelSpreading there with 1, 5 and 20 labels, and of gradient boosting "
        "with 20 on seven of the eight.",
        lambda t: bool(
            (_over_tables(t, "LabelSpreading") > 0).all()
            and (_gains_on_tables(t, "gradient boosting").xs(20.0, level=1) > 0).sum() == 7
        ),
    ),
    (
        "Fine-tuning moves digits by less than half a point, so it is not the default.",
        lambda t: bool(
            tables.as_one_estimator(t)
            .xs(f"{tables.ONE}, fine-tuned", level="name")
            .loc["digits", "gain"]
            .abs()
            .max()
            < 0.005
        ),
    ),
    (
        "PCA is ahead of ours on diamonds with up to twenty labels a class, and behind with all.",
        lambda t: bool(
            (_leads(t, ("diamonds",), "PCA", (1, 5, 20))["mean"] < 0).all()
            and _lead(t, "diamonds", "PCA", inf)["low"] > 0
        ),
    ),
    (
        "LabelSpreading is ahead of ours on insurance with one label a class.",
        lambda t: _lead(t, "insurance", "LabelSpreading", 1)["high"] < 0,
    ),
    (
        'On digits ``effort="quick"`` loses less than one point.',
        lambda t: bool(_quick_loses(t).between(0, 1).all()),
    ),
    (
        "With ten labels on digits, typicality and k-means are worth at least 27 points.",
        lambda t: shown(_chosen(t, OURS, 10, ("typicality", "k-means")).min(), "27"),
    ),
    (
        "With two hundred labels they gain nothing.",
        lambda t: _chosen(t, OURS, 200, ("typicality", "k-means")).abs().max() < 0.5,
    ),
    (
        "Herding is no better than random draws from fifty labels on.",
        lambda t: all(_chosen(t, OURS, n, ("herding",))["herding"] < 0.5 for n in (50, 200)),
    ),
]


def _ours_passes_umap(t: Tables, data: str) -> bool:
    found = tables.time_to_accuracy(t)
    found = found[found["data"] == data].set_index("name")
    umap = found.loc[["UMAP 8"]].sort_values("accuracy").iloc[-1]
    ours = found.loc[[OURS]]
    return bool(ours.loc[ours["accuracy"] > umap["accuracy"], "seconds"].min() < umap["seconds"])


def _search(t: Tables, name: str) -> pd.Series:
    found = t["neighbors"]
    found = found[found["rows"].str.startswith("MNIST")].set_index("search")
    return found.loc[name]


def _step_ratios(t: Tables, *others: str) -> pd.Series:
    return tables.steps(t).set_index("other")["ratio"][list(others)]


def _gpu_ratios(t: Tables, other: str) -> pd.Series:
    return t["gpu_rounds"]["ours"] / t["gpu_rounds"][other]


SPEED: list[Claim] = [
    (
        "On every table here a default fit takes less than a quarter of a minute.",
        lambda t: (
            0
            < tables.default_fits(t)
            .loc[lambda f: ~f.index.str.contains("MNIST|CIFAR"), "now"]
            .max()
            < 15
        ),
    ),
    (
        "On CIFAR10 it takes less than a minute and a half.",
        lambda t: 0 < tables.default_fits(t).loc["CIFAR10, 44,000", "now"] < 90,
    ),
    (
        "UMAP is faster than ours on most of them, on MNIST by a factor of 5.",
        lambda t: bool(
            (tables.default_fits(t)["umap"].dropna() > 1).mean() > 0.5
            and shown(tables.default_fits(t).loc["MNIST, 48,000", "umap"], "5")
        ),
    ),
    (
        "Ours is faster on the two tables of numbers and categories.",
        lambda t: (
            tables.default_fits(t)
            .loc[["diamonds, 16,000 x 26", "insurance, 16,000 x 22"], "umap"]
            .between(0, 1)
            .all()
        ),
    ),
    (
        "A fit takes less than 0.6 of the former default's time everywhere.",
        lambda t: 0 < tables.default_fits(t)["former"].max() < 0.6,
    ),
    (
        "On digits and on MNIST ours passes the best accuracy of UMAP before UMAP gets there.",
        lambda t: _ours_passes_umap(t, "digits") and _ours_passes_umap(t, "mnist"),
    ),
    (
        "On MNIST the search with faiss takes 5 seconds.",
        lambda t: shown(_search(t, "ours with faiss")["CPU s"], "5"),
    ),
    (
        "An exact search takes 83.",
        lambda t: shown(_search(t, "exact, scikit-learn")["CPU s"], "83"),
    ),
    (
        "The search finds 98 % of the true neighbours.",
        lambda t: shown(100 * _search(t, "ours with faiss")["recall"], "98"),
    ),
    (
        "A step takes as long as a loop written by hand with the fused Adam, within a tenth.",
        lambda t: bool(_step_ratios(t, "by hand, fused Adam").between(0.9, 1.1).all()),
    ),
    (
        "The trainers of CEBRA, lightly and pytorch-metric-learning take longer for the same task.",
        lambda t: bool(
            _step_ratios(t, "CEBRA", "lightly", "pytorch-metric-learning").between(0, 0.9).all()
        ),
    ),
    (
        "On a GPU a step takes less than a fifth of the plain loop's time.",
        lambda t: bool(_gpu_ratios(t, "by hand").between(0, 0.2).all()),
    ),
    (
        "That is at most 1.15 times the time of a graph captured by hand.",
        lambda t: shown(_gpu_ratios(t, "by hand, one CUDA graph").max(), "1.15"),
    ),
]


def _both(t: Tables, kind: str) -> tuple[pd.Series, pd.Series]:
    found = tables.pareto(t, kind)
    return found.loc[tables.DEFAULTS[kind]], found.loc[tables.FORMER[kind]]


def _gain(t: Tables, kind: str) -> float:
    """Return what the default is ahead of the former one by in mean accuracy."""
    now, former = _both(t, kind)
    return now["accuracy"] - former["accuracy"]


def _time(t: Tables, kind: str) -> float:
    now, former = _both(t, kind)
    return now["seconds"] / former["seconds"]


def _lost(t: Tables, kind: str, name: str, labels: str = "1") -> float:
    return -tables.change(t, kind, name)[labels]


def _best(t: Tables, part: str, data: str, labels: str = "1") -> str:
    return str(tables.ablation(t, part)[data, labels].idxmax())


def _colour(t: Tables, small: int) -> pd.Series:
    name = f"Muon .05, 400 steps, bfloat16, half size for {small}"
    found = t["pareto_colour"]
    return found.loc[found["name"] == name, ["accuracy", "seconds"]].mean()


DEFAULTS: list[Claim] = [
    (
        "On images in colour a training whose first three quarters see them at half of their size "
        "is as accurate in less than 0.6 of the time.",
        lambda t: bool(
            _colour(t, 300)["accuracy"] > _colour(t, 0)["accuracy"]
            and 0 < _colour(t, 300)["seconds"] < 0.6 * _colour(t, 0)["seconds"]
        ),
    ),
    (
        "On digits as images it is more accurate than Adam in less than a third of the time.",
        lambda t: _gain(t, "digits") > 0 and _time(t, "digits") < 1 / 3,
    ),
    (
        "On MNIST it is more accurate in less than half of the time.",
        lambda t: _gain(t, "mnist") > 0 and _time(t, "mnist") < 0.5,
    ),
    (
        "On digits as a table it is level with Adam in a fifth of the time.",
        lambda t: abs(_gain(t, "flat")) < 0.003 and shown(_time(t, "flat"), "0.2"),
    ),
    (
        "On small tables of numbers it is level, and takes longer than Adam.",
        lambda t: abs(_gain(t, "numbers")) < 0.003 and _time(t, "numbers") > 1,
    ),
    (
        "Without neighbours digits lose 17 points with one label a class.",
        lambda t: shown(_lost(t, "digits", "moved, no neighbours"), "17"),
    ),
    (
        "On MNIST neighbours that are not moved lose 5 points with one label.",
        lambda t: shown(_lost(t, "mnist", "neighbours that are not moved"), "5"),
    ),
    (
        "On CIFAR10 the mean over five crops is worth 5 points with all labels.",
        lambda t: shown(_lost(t, "colour", "the image as it is, 1,000 steps", "all"), "5"),
    ),
    (
        "On mixed tables a code alone loses 12 points with one label.",
        lambda t: shown(_lost(t, "mixed", "a code alone, as of a table of numbers"), "12"),
    ),
    (
        "On tables of numbers the columns beside the code are worth 3 points with all labels.",
        lambda t: shown(_lost(t, "numbers", "a code", "all"), "3"),
    ),
    (
        "The columns alone are ahead of the default by 1 point on these four tables.",
        lambda t: all(
            shown(-_lost(t, "numbers", "columns as they are", n), "1") for n in ("1", "5", "all")
        ),
    ),
    (
        "With one label a class neighbours are the best view on digits, moved neighbours on MNIST.",
        lambda t: (
            (_best(t, "view", "digits"), _best(t, "view", "mnist"))
            == ("neighbors", "moved-neighbors")
        ),
    ),
    (
        "With all labels the bilinear critic is the best on both.",
        lambda t: {_best(t, "critic", data, "all") for data in ("digits", "mnist")} == {"bilinear"},
    ),
    (
        "NWJ is behind InfoNCE and Jensen-Shannon everywhere.",
        lambda t: bool((tables.ablation(t, "objective").idxmin() == "nwj").all()),
    ),
]


def _peers_lead(t: Tables) -> pd.Series:
    """Return by how much the nearest peer is nearer to the truth than the default, in nats."""
    found = tables.estimates(t)
    ours, peer = ((found[name] - found["truth"]).abs() for name in ("default", "nearest"))
    return (ours - peer).astype(float)


def _image_errors(t: Tables, images: str) -> pd.Series:
    found = t["mi_images"]
    found = found[found["task"].str.startswith(images)]
    if found.empty:
        raise KeyError(images)
    return (found["value"] - found["truth"]).abs()


def _missed(t: Tables) -> pd.Series:
    found = tables.error_by_task(t)
    return found[found > 0.1]


def _wide_spirals(t: Tables, *, are_wanted: bool) -> pd.DataFrame:
    found = tables.beyond_normal(t)
    are = found["task"].str.startswith("spiral") & found["task"].str.contains("25-25")
    return found[are == are_wanted]


MI: list[Claim] = [
    (
        "On 39 of the forty tasks the mean error is below a tenth of a nat.",
        lambda t: (
            shown((tables.error_by_task(t) <= 0.1).sum(), "39")
            and len(tables.error_by_task(t)) == 40
        ),
    ),
    (
        "The median error is 0.01 nats.",
        lambda t: shown(tables.beyond_normal(t)["error"].abs().median(), "0.01"),
    ),
    (
        "It misses the spiral in 25 + 25 columns, by 0.2 nats.",
        lambda t: (
            list(_missed(t).index) == ["spiral-multinormal-sparse-25-25-2-2.0"]
            and shown(_missed(t).iloc[0], "0.2")
        ),
    ),
    (
        "The interval of the best guess holds the truth in 94 % of the samples, without the two "
        "spirals of 25 + 25 columns, where it never does.",
        lambda t: (
            shown(100 * tables.holds_truth(_wide_spirals(t, are_wanted=False)), "94")
            and tables.holds_truth(_wide_spirals(t, are_wanted=True)) == 0
        ),
    ),
    (
        "With networks alone the median error is 0.03 nats.",
        lambda t: shown(tables.beyond_normal(t, "no offsets")["error"].abs().median(), "0.03"),
    ),
    (
        "No peer is nearer to the truth than the default by more than 0.01 nats.",
        lambda t: _peers_lead(t).max() < 0.01,
    ),
    (
        "Of 10 nats in rotated cubes the default finds over nine, the nearest peer under five.",
        lambda t: (
            tables.estimates(t).loc["rotated cubic-gaussian-20-10.0", "default"] > 9
            and tables.estimates(t).loc["rotated cubic-gaussian-20-10.0", "nearest"] < 5
            and tables.estimates(t).loc["rotated cubic-gaussian-20-10.0", "truth"] == 10
        ),
    ),
    (
        "In closed form the interval holds the truth in at least 92 % of the 400 draws of each "
        "kind.",
        lambda t: bool(
            (tables.coverage(t)["holds"] >= 0.92).all()
            and (tables.coverage(t)["draws"] == 400).all()
        ),
    ),
    (
        "The lower limit lies below it in at least 97 %, and tests at 5 % reject independence in 3 "
        "to 7.5 %.",
        lambda t: bool(
            (tables.coverage(t)["below"].dropna() >= 0.97).all()
            and tables.coverage(t)["rejects"].dropna().between(0.03, 0.075).all()
        ),
    ),
    (
        "By default the interval holds in at least 34 of the 40 draws of each of six kinds.",
        lambda t: bool(
            (tables.coverage(t, "default")["holds"] >= 34 / 40).all()
            and len(tables.coverage(t, "default")) == 6
        ),
    ),
    (
        "Estimates of MNIST are within 0.02 nats of the truth.",
        lambda t: bool((_image_errors(t, "mnist") < 0.02).all()),
    ),
    (
        "Those of CIFAR10 are within 0.11 nats.",
        lambda t: bool((_image_errors(t, "cifar10") < 0.11).all()),
    ),
    (
        "A fit takes less than 10 minutes.",
        lambda t: 0 < t["mi_images"]["seconds"].max() < 10 * 60,
    ),
    (
        "InfoNCE of benchmark-mi, by its defaults on flat pixels, finds less than a third of the "
        "truth.",
        lambda t: bool((t["mi_images"]["bmi InfoNCE"] < t["mi_images"]["truth"] / 3).all()),
    ),
    (
        "Each call takes at most a quarter of the time that it took before the kinds of data were "
        "told apart; copulas alone take longer.",
        lambda t: (
            0 < tables.mi_times(t)["ratio"].drop(index="copula, 2,000, 5 + 5").max() <= 0.25
            and tables.mi_times(t).loc["copula, 2,000, 5 + 5", "ratio"] > 1
        ),
    ),
    (
        "``smile``, which is no bound, is above the truth in more than a fifth of the samples.",
        lambda t: tables.every_number(t).loc["smile", "above"] > 0.2,
    ),
    (
        "The certified limit is never above it.",
        lambda t: tables.every_number(t).loc["certified limit", "highest"] < 0,
    ),
]


def _tau(t: Tables, labels: str, criterion: str) -> pd.Series:
    return tables.criteria(t, "tau", labels).loc[criterion]


def _regret(t: Tables, labels: str, criterion: str) -> float:
    return tables.criteria(t, "regret", labels).loc[criterion, "mean"]


BOUND, RANK, STABLE = "held-out InfoNCE", "effective rank (RankMe)", "cluster stability"
BOTH = ("all labels", "5 a class")
LABEL_FREE: list[Claim] = [
    (
        "The size of the bound orders nothing: its tau with accuracy is about zero.",
        lambda t: (
            all(_tau(t, n, BOUND)["low"] < 0 < _tau(t, n, BOUND)["high"] for n in BOTH)
            and all(abs(_tau(t, n, BOUND)["mean"]) < 0.1 for n in BOTH)
        ),
    ),
    (
        "The setting with the largest bound is worse than one drawn at random.",
        lambda t: all(_regret(t, n, BOUND) > tables.regret_of_chance(t)[n] > 0 for n in BOTH),
    ),
    (
        "With all labels the effective rank goes with accuracy on each data set.",
        lambda t: (
            all(_tau(t, "all labels", RANK)[data] > 0.3 for data in IMAGES)
            and _tau(t, "all labels", RANK)["low"] > 0
        ),
    ),
    (
        "With five labels a class cluster stability does, and its pick loses less than one point.",
        lambda t: (
            all(_tau(t, "5 a class", STABLE)[data] > 0.1 for data in IMAGES)
            and 0 <= _regret(t, "5 a class", STABLE) < 0.01
        ),
    ),
    (
        "Neither helps in the other case.",
        lambda t: (
            _tau(t, "all labels", STABLE)["low"] < 0 < _tau(t, "all labels", STABLE)["high"]
            and _tau(t, "5 a class", RANK)["low"] < 0 < _tau(t, "5 a class", RANK)["high"]
        ),
    ),
    (
        "With all labels, closer alignment goes with lower accuracy.",
        lambda t: _tau(t, "all labels", "-alignment")["high"] < 0,
    ),
]


def _verdicts(t: Tables) -> pd.Series:
    return t["verdicts"]["verdict"].value_counts()


def _undecided(t: Tables) -> pd.DataFrame:
    return tables.judged(t).query("verdict == 'undecided'")


def _judged(t: Tables) -> pd.Series:
    return t["curves"]["within"][lambda within: within != "-"]


def _gap(t: Tables, probe: str) -> pd.Series:
    """Return what the bilinear critic is ahead of the concatenated one by, in points."""
    found = tables.bilinear_ahead(t)
    found = found[found["rival"] == "concat"].set_index("objective")
    return 100 * found[probe].str[0]


def _adversarial(t: Tables, column: str) -> float:
    """Return the accuracy of the new seeds of claim two, but of those that failed."""
    found = tables.last_step(t["new_1c"]).dropna(subset=[column])
    return found[column].mean() if len(found) == 8 else np.nan


def _pixels(t: Tables) -> pd.DataFrame:
    return t["baselines"][lambda rows: rows["data"] == "cifar10"]


def _below_training(t: Tables) -> pd.Series:
    return tables.critics(t).eval("bound - untouched")


def _beyond(t: Tables, name: str, column: str) -> float:
    found = tables.beyond(t)[column].str[0]
    return found[name] - found["as in the paper"]


PAPER: list[Claim] = [
    (
        "Of the points that can be compared, 96 agree with the paper's and six do not.",
        lambda t: shown((_judged(t) == "yes").sum(), "96") and (_judged(t) == "NO").sum() == 6,
    ),
    (
        "No claim is contradicted; eight of the fifteen tests hold, and the others are undecided.",
        lambda t: _verdicts(t).to_dict() == {"holds": 8, "undecided": 7},
    ),
    (
        "Each undecided one but the third stands on three pilot seeds or fewer, where the paper "
        "has twenty; its new seeds are planned.",
        lambda t: (
            _undecided(t).query("number != '3'")["seeds"].between(1, 3).all()
            and set(_undecided(t)["number"]) <= set(t["plan"]["claim"])
        ),
    ),
    (
        "The third has its eight new seeds: under NWJ the logarithm of the condition number is "
        "2.2 to 2.5, around the threshold of 2.3.",
        lambda t: bool(
            len(third := _undecided(t).query("number == '3'")) == 1
            and (third["seeds"] == 8).all()
            and third["statement"].eq("nwj: log condition > 2.3").all()
            and third["low"].between(2.15, 2.3).all()
            and third["high"].between(2.3, 2.5).all()
        ),
    ),
    (
        "Fewer than eight seeds decide nothing here.",
        lambda t: (
            tables.judged(t).query("verdict == 'holds'")["seeds"].min() >= 8
            and t["plan"]["seeds"].min() >= 8
        ),
    ),
    (
        "Under NWJ the concatenated critic has the largest bound and the lowest accuracy.",
        lambda t: (
            tables.critics(t).loc["nwj", "bound"].idxmax()
            == tables.critics(t).loc["nwj", "accuracy"].idxmin()
            == "concat"
        ),
    ),
    (
        "Under the paper's probe the concatenated critic is 2 to 3 points behind the bilinear one.",
        lambda t: shown(_gap(t, "accuracy").min(), "2") and shown(_gap(t, "accuracy").max(), "3"),
    ),
    (
        "With a converged probe the gap shrinks to less than one point.",
        lambda t: bool(_gap(t, "accuracy_converged").between(0, 1).all()),
    ),
    (
        "Trained against a linear classifier, a bijective encoder falls to 0.40 of accuracy.",
        lambda t: shown(_adversarial(t, "accuracy"), "0.40"),
    ),
    (
        "A converged probe still finds 0.67.",
        lambda t: shown(_adversarial(t, "accuracy_converged"), "0.67"),
    ),
    (
        "For raw pixels of CIFAR10 the paper states an accuracy of 0.24.",
        lambda t: bool((_pixels(t)["paper"] == "about .24").all()),
    ),
    (
        "The same probe on upper halves gives at least 0.34 here.",
        lambda t: shown(_pixels(t)["ours"].min(), "0.34"),
    ),
    (
        "On untouched rows it is lower for every critic, by up to 0.12 nats.",
        lambda t: bool((_below_training(t) > 0).all()) and shown(_below_training(t).max(), "0.12"),
    ),
    (
        "Held at four nats on CIFAR10, NWJ ends below its target in every run.",
        lambda t: bool(tables.last_step(t["figure_9"])["nwj_train"].between(0, 4).all()),
    ),
    (
        "A ConvNet gains 3 points, although its bound is lower.",
        lambda t: (
            shown(100 * _beyond(t, "convnet", "accuracy"), "3")
            and _beyond(t, "convnet", "bound") < 0
        ),
    ),
    (
        "Batches of 2,048 raise the bound by 0.44 nats.",
        lambda t: shown(_beyond(t, "batches of 2048", "bound"), "0.44"),
    ),
    (
        "Accuracy rises by less than one point.",
        lambda t: 0 < _beyond(t, "batches of 2048", "accuracy") < 0.01,
    ),
]


def _small(t: Tables) -> pd.DataFrame:
    return t["how_long"]


HOW_LONG: list[Claim] = [
    (
        "A table of up to 10,000 rows and 20 columns takes less than a quarter of a minute.",
        lambda t: (
            0 < _small(t).query("columns == 20")["seconds"].max() < 15
            and _small(t).query("columns == 20")["rows"].max() == 10_000
        ),
    ),
    (
        "48,000 images of MNIST take 1.5 minutes.",
        lambda t: shown(tables.default_fits(t).loc["MNIST, 48,000", "now"] / 60, "1.5"),
    ),
    (
        "44,000 images of CIFAR10 take 1.3 minutes.",
        lambda t: shown(tables.default_fits(t).loc["CIFAR10, 44,000", "now"] / 60, "1.3"),
    ),
    (
        "On two cores 500 rows of three columns take less than two seconds.",
        lambda t: 0 < tables.mi_times(t).loc["500 x 3 columns", "seconds"] < 2,
    ),
    (
        "5,000 rows of 20 and 20 columns take less than eight seconds.",
        lambda t: 0 < tables.mi_times(t).loc["5,000, 20 + 20", "seconds"] < 8,
    ),
    (
        "On CIFAR10 it is more accurate at any number of labels.",
        lambda t: bool(
            (_leads(t, ("cifar10",), f"{OURS}, thorough", (1, 5, 20, inf))["mean"] < 0).all()
        ),
    ),
    (
        "These fits add less than 50 MB to the memory that Python and torch take by themselves.",
        lambda t: 0 < (_small(t)["peak MB"] - _small(t)["MB before"]).max() < 50,
    ),
]

CHOOSING: list[Claim] = [
    (
        "Without neighbours digits lose 17 points with one label a class.",
        lambda t: shown(_lost(t, "digits", "moved, no neighbours"), "17"),
    ),
]

CLAIMS: dict[str, list[Claim]] = {
    "evidence/few_labels": FEW_LABELS,
    "evidence/speed": SPEED,
    "evidence/defaults": DEFAULTS,
    "evidence/mi_estimator": MI,
    "evidence/label_free": LABEL_FREE,
    "evidence/paper": PAPER,
    "explanation/choosing": CHOOSING,
    "how_to/how_long": HOW_LONG,
}


def _fits_take(t: Tables, **expected: str) -> bool:
    seconds = tables.default_fits(t)["now"]
    found = {task.split(",")[0].split()[0]: value for task, value in seconds.items()}
    return all(shown(found[task], text) for task, text in expected.items())


README_CLAIMS: list[Claim] = [
    (
        "On images ours is ahead in each column.",
        lambda t: bool((_best_gains(t, IMAGES) > 0).all()),
    ),
    (
        "On tables of numbers no column differs beyond chance.",
        lambda t: bool((tables.outcomes(t).loc[list(NUMBERS)] == "level").all()),
    ),
    (
        "On tables of numbers and categories PCA is ahead with 5 and 20 labels.",
        lambda t: bool((_leads(t, MIXED, "PCA", (5, 20))["mean"] < 0).all()),
    ),
    (
        "A default fit takes 8 s on digits and 90 s on MNIST, on one core.",
        lambda t: _fits_take(t, digits="8", MNIST="90"),
    ),
]
