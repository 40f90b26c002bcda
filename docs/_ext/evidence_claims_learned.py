"""Claims of *What we learned*, the findings of all evidence pages in one place."""

from __future__ import annotations

import re
from math import inf

import evidence_tables as tables
import pandas as pd
from evidence_claims import LABEL_FREE, MI, NUMBERS, PAPER, Claim, _lead, _leads, shown
from evidence_claims_rows import RECORDINGS, TEXTS
from evidence_claims_systems import CPC, LARGER, SYSTEMS
from evidence_tables import Tables

RANK, STABLE, BOUND = "effective rank (RankMe)", "cluster stability", "held-out InfoNCE"


def _within(pair: tuple[float, float], mean: str, low: str, high: str, unit: float = 1) -> bool:
    """Tell whether mean and interval round to the texts."""
    middle, half = (unit * value for value in pair)
    return shown(middle, mean) and shown(middle - half, low) and shown(middle + half, high)


def _bounds(t: Tables, objective: str, column: str) -> tuple[float, float]:
    """Return by how much the bound of the concatenated critic is above the bilinear one's."""
    found = tables.last_step(t["figure_3"])
    found = found[found["objective"] == objective]
    wide = found.pivot(index="seed", columns="critic", values=column)
    return tables.interval((wide["concat"] - wide["bilinear"]).dropna())


def _behind(t: Tables, objective: str, probe: str) -> tuple[float, float]:
    """Return by how much the accuracy of the concatenated critic is below the bilinear one's."""
    found = tables.bilinear_ahead(t).set_index(["objective", "rival"])
    return found.loc[(objective, "concat"), probe]


def _paired_seeds(t: Tables) -> set[int]:
    found = tables.bilinear_ahead(t)
    return set(found.loc[found["rival"] == "concat", "seeds"])


def _verdicts(t: Tables, number: str, table: str = "verdicts") -> set[tuple[str, int]]:
    """Return verdict and seeds of each test of a claim."""
    found = t[table]
    found = found[found["claim"].str.startswith(f"({number})")]
    return set(zip(found["verdict"], found["seeds"].astype(int), strict=True))


def _on_cifar10(t: Tables, *, decided: bool) -> pd.DataFrame:
    """Return the tests of claims five and six, or of the others."""
    found = t["verdicts_cifar10"]
    return found[found["claim"].str.match(r"\([56]\)") == decided]


def _told_on_cifar10(t: Tables, number: str, *texts: str, unit: float = 1) -> bool:
    """Tell whether mean and interval of a decided claim round to the texts."""
    found = t["verdicts_cifar10"][lambda rows: rows["claim"].str.startswith(f"({number})")]
    told = [re.match(r"(\S+) \[(\S+), (\S+)\]", ours) for ours in found["ours"]]
    numbers = [[unit * float(part) for part in each.groups()] for each in told if each]
    return any(all(map(shown, each, texts)) for each in numbers)


def _changed(t: Tables, column: str, **change: object) -> tuple[float, float]:
    """Return what one change of the paper's setting adds, paired by seed."""
    last = tables.last_step(t["figure_beyond"])

    def cell(setting: dict[str, object]) -> pd.Series:
        rows = (last[list(setting)] == list(setting.values())).all(axis=1)
        return last[rows].set_index("seed")[column]

    return tables.interval((cell({**tables.BASE, **change}) - cell(dict(tables.BASE))).dropna())


def _above_true(t: Tables, objective: str, *, iid: bool) -> tuple[float, float]:
    """Return by how much the bound of the paper's toy lies above the information, at its end."""
    from sklearn_mi.datasets import toy_true_mi

    found = t["new_4c"]
    late = found["step"] >= 0.75 * found["step"].max()
    rows = found[late & (found["objective"] == objective) & (found["iid"] == iid)]
    return tables.interval(rows.groupby("seed")["bound_train"].mean() - toy_true_mi())


def _fall(t: Tables, column: str) -> tuple[float, float]:
    """Return by how much an adversarial encoder is worse than before training."""
    wide = t["new_1c"].pivot(index="seed", columns="step", values=column)
    return tables.interval((wide[0] - wide[800]).dropna())


def _tau(t: Tables, criterion: str, labels: str, statistic: str = "tau") -> pd.Series:
    return tables.criteria(t, statistic, labels).loc[criterion, ["mean", "low", "high"]]


def _rounds(found: pd.Series, *texts: str) -> bool:
    return all(shown(value, text) for value, text in zip(found, texts, strict=True))


def _settings(t: Tables) -> int:
    found = t["label_free"]
    return found[found["step"] > 0].groupby(["data", "learner", "step"]).ngroups


def _loses(t: Tables, labels: str) -> tuple[float, float]:
    """Return what the largest bound loses against the best setting, and what chance does."""
    largest = tables.criteria(t, "regret", labels).loc[BOUND, "mean"]
    return 100 * largest, 100 * tables.regret_of_chance(t)[labels]


def _of(claims: list[Claim], beginning: str) -> Claim:
    """Return a claim of another page."""
    return next(claim for claim in claims if claim[0].startswith(beginning))


def _same(sentence: str, claims: list[Claim], *beginnings: str) -> Claim:
    """Return a sentence that says what claims of other pages say."""
    found = [_of(claims, beginning)[1] for beginning in beginnings]
    return sentence, lambda t: all(bool(holds(t)) for holds in found)


LEARNED: list[Claim] = [
    (
        "Seven of the fifteen tests of the paper's claims are still undecided.",
        lambda t: (t["verdicts"]["verdict"] == "undecided").sum() == 7 and len(t["verdicts"]) == 15,
    ),
    (
        "Under NWJ the bound of the concatenated critic is 0.8 nats above that of the bilinear "
        "one, 95 % interval 0.6 to 1.0, and its accuracy 2.0 points below, 1.4 to 2.6.",
        lambda t: (
            _within(_bounds(t, "nwj", "bound_train"), "0.8", "0.6", "1.0")
            and _within(_behind(t, "nwj", "accuracy"), "2.0", "1.4", "2.6", 100)
        ),
    ),
    (
        "On CIFAR10, with eight new seeds, it is 0.4 nats above, 0.3 to 0.5, and 1.8 points below, "
        "1.4 to 2.3.",
        lambda t: (
            _told_on_cifar10(t, "5", "0.4", "0.3", "0.5")
            and _told_on_cifar10(t, "5", "1.8", "1.4", "2.3", unit=100)
        ),
    ),
    ("It holds with eight seeds.", lambda t: _verdicts(t, "5") == {("holds", 8)}),
    (
        "With a probe that minimises the same loss to its end, the concatenated critic is 0.9 "
        "points behind under InfoNCE, 95 % interval 0.5 to 1.3, and 0.3 under NWJ, where the "
        "interval holds 0.",
        lambda t: (
            _within(_behind(t, "infonce", "accuracy_converged"), "0.9", "0.5", "1.3", 100)
            and shown(100 * _behind(t, "nwj", "accuracy_converged")[0], "0.3")
            and abs(_behind(t, "nwj", "accuracy_converged")[0])
            < _behind(t, "nwj", "accuracy_converged")[1]
        ),
    ),
    (
        "The paper's claims four and five, which hold by its own probe, are undecided by this one "
        "with eight seeds.",
        lambda t: (
            {v for n in "45" for v, _ in _verdicts(t, n)} == {"holds"}
            and {each for n in "45" for each in _verdicts(t, n, "verdicts_converged")}
            == {("undecided", 8)}
        ),
    ),
    (
        "Under InfoNCE the bound of the concatenated critic is 0.11 nats below that of the "
        "bilinear one on training batches, 95 % interval 0.09 to 0.14, and 0.09 below it on "
        "untouched rows.",
        lambda t: (
            _within(_bounds(t, "infonce", "bound_train"), "-0.11", "-0.14", "-0.09")
            and shown(_bounds(t, "infonce", "bound_test")[0], "-0.09")
        ),
    ),
    (
        "It holds with eight seeds on both kinds of rows.",
        lambda t: _verdicts(t, "6") == {("holds", 8)} and _paired_seeds(t) == {8},
    ),
    (
        "Over 216 settings Kendall's tau of held-out InfoNCE with accuracy is -0.03, 95 % interval "
        "-0.26 to 0.19; among the settings of one view it is 0.17, -0.06 to 0.35.",
        lambda t: (
            _settings(t) == 216
            and _rounds(_tau(t, BOUND, "all labels"), "-0.03", "-0.26", "0.19")
            and _rounds(_tau(t, BOUND, "all labels", "tau in a view"), "0.17", "-0.06", "0.35")
        ),
    ),
    (
        "The setting with the largest bound loses 8 points against the best one, a setting drawn "
        "at random 5; with five labels a class 19 and 12.",
        lambda t: (
            _rounds(pd.Series(_loses(t, "all labels")), "8", "5")
            and _rounds(pd.Series(_loses(t, "5 a class")), "19", "12")
        ),
    ),
    (
        "With all labels the tau of the effective rank is 0.37, 95 % interval 0.17 to 0.52; with "
        "five a class that of cluster stability is 0.25, 0.04 to 0.44.",
        lambda t: (
            _rounds(_tau(t, RANK, "all labels"), "0.37", "0.17", "0.52")
            and _rounds(_tau(t, STABLE, "5 a class"), "0.25", "0.04", "0.44")
        ),
    ),
    _same("In the other case the intervals of both hold 0.", LABEL_FREE, "Neither helps"),
    (
        "Batches of 2,048 in place of 128 raise the bound by 0.44 nats, 95 % interval 0.38 to "
        "0.50, and accuracy by 0.9 points.",
        lambda t: (
            _within(_changed(t, "bound_test", batch=2048), "0.44", "0.38", "0.50")
            and shown(100 * _changed(t, "accuracy", batch=2048)[0], "0.9")
        ),
    ),
    (
        "A ConvNet in place of a perceptron lowers the bound by 0.30 nats and raises accuracy by "
        "3.4 points, 95 % interval 1.6 to 5.3.",
        lambda t: (
            shown(_changed(t, "bound_test", encoder="convnet")[0], "-0.30")
            and _within(_changed(t, "accuracy", encoder="convnet"), "3.4", "1.6", "5.3", 100)
        ),
    ),
    _same(
        "A bijective encoder that is trained against a linear classifier has an accuracy of 0.40 "
        "by the paper's probe, and 0.67 by a converged one.",
        PAPER,
        "Trained against",
        "A converged probe still",
    ),
    (
        "It falls below pixels by 0.44, 95 % interval 0.38 to 0.51, by the paper's probe, and by "
        "0.18, 0.12 to 0.25, by the other.",
        lambda t: (
            _within(_fall(t, "accuracy"), "0.44", "0.38", "0.51")
            and _within(_fall(t, "accuracy_converged"), "0.18", "0.12", "0.25")
        ),
    ),
    (
        "It holds with eight seeds by the paper's probe; by a converged one it is undecided.",
        lambda t: (
            _verdicts(t, "2") == {("holds", 8)}
            and _verdicts(t, "2", "verdicts_converged") == {("undecided", 8)}
        ),
    ),
    _same(
        "Raw pixels of CIFAR10 have an accuracy of at least 0.34 by the paper's probe, where the "
        "paper states 0.24.",
        PAPER,
        "For raw pixels",
        "The same probe",
    ),
    _same(
        "On untouched rows bounds are lower than on training batches for every critic, by up to "
        "0.12 nats.",
        PAPER,
        "On untouched rows",
    ),
    (
        "Held at four nats on CIFAR10, NWJ ends below its target in three of three runs.",
        lambda t: _of(PAPER, "Held at four")[1](t) and len(tables.last_step(t["figure_9"])) == 3,
    ),
    (
        "Where the pairs of a batch depend on one another, InfoNCE ends 0.171 nats above the true "
        "information, 95 % interval 0.169 to 0.172, and NWJ 0.082, 0.081 to 0.083.",
        lambda t: (
            _within(_above_true(t, "infonce", iid=False), "0.171", "0.169", "0.172")
            and _within(_above_true(t, "nwj", iid=False), "0.082", "0.081", "0.083")
        ),
    ),
    (
        "Of independent pairs both end less than 0.001 below it.",
        lambda t: all(
            -0.001 < mean - half <= mean + half < 0
            for mean, half in (_above_true(t, name, iid=True) for name in ("infonce", "nwj"))
        ),
    ),
    _of(SYSTEMS, "In Deep InfoMax"),
    *LARGER,
    *CPC,
    _same(
        'On the forty tasks of "Beyond Normal" the median error is 0.01 nats, by networks alone '
        "0.03.",
        MI,
        "The median error",
        "With networks alone",
    ),
    _same(
        "The spiral in 25 + 25 columns is missed, by 0.2 nats.",
        MI,
        "It misses",
    ),
    (
        "With one label a class ours is 26 points above raw pixels on digits, 23 above raw steps "
        "over seven sets of recordings, and 23 above TF-IDF on docstrings of scipy.",
        lambda t: (
            shown(_lead(t, "digits", "raw", 1)["mean"], "26")
            and shown(100 * tables.over_sets(t).loc[("raw", 1), "gain"], "23")
            and _of(TEXTS, "On docstrings of scipy")[1](t)
        ),
    ),
    (
        "The lead over raw steps has a 95 % interval of 3 to 42 points, which is within chance by "
        "Holm.",
        lambda t: (
            shown(100 * tables.over_sets(t).loc[("raw", 1), "low"], "3")
            and shown(100 * tables.over_sets(t).loc[("raw", 1), "high"], "42")
            and tables.holm_over_sets(t, 1)["raw"] > 0.05
        ),
    ),
    (
        "With all labels it is 21 points above raw pixels on CIFAR10 and 2 on MNIST, level with "
        "raw columns on tables of numbers, and 2 to 4 points below TF-IDF on docstrings.",
        lambda t: bool(
            shown(_lead(t, "cifar10", "raw", inf)["mean"], "21")
            and shown(_lead(t, "mnist", "raw", inf)["mean"], "2")
            and _leads(t, NUMBERS, "raw", (inf,)).eval("low < 0 < high").all()
            and _of(TEXTS, "With all labels TF-IDF")[1](t)
        ),
    ),
    _same(
        "On recordings MiniRocket, which trains no network, is level with it.",
        RECORDINGS,
        "On seven sets",
    ),
    (
        "On CIFAR10 claims five and six hold, with eight new seeds each; every other one is "
        "undecided, on three pilots, or has not been run.",
        lambda t: (
            set(_on_cifar10(t, decided=True)["verdict"]) == {"holds"}
            and set(_on_cifar10(t, decided=True)["seeds"]) == {8}
            and set(_on_cifar10(t, decided=False)["verdict"]) == {"undecided", "not run"}
            and set(_on_cifar10(t, decided=False)["seeds"].dropna()) == {3}
        ),
    ),
    _same(
        "On MNIST the third has its eight, too, and lies around its threshold.",
        PAPER,
        "The third has its",
    ),
    (
        "Claims seven and nine on CIFAR10 would take 72 hours each, and are beyond our reach.",
        lambda t: (
            set(tables.planned(t).query("reach == 'no'")["claim"]) == {"7", "9"}
            and all(
                shown(hours, "72") for hours in tables.planned(t).query("reach == 'no'")["hours"]
            )
        ),
    ),
]
