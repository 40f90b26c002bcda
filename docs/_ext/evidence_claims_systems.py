"""Claims about Deep InfoMax, AMDIM, CPC, CMC and SimCLR as systems."""

from __future__ import annotations

import evidence_tables as tables
import numpy as np
import pandas as pd
from evidence_claims import Claim, shown
from evidence_tables import Tables

PLACES, WHOLE = ("dim", "encode-and-dot", "infonce"), ("dim", "whole map", "infonce")
BY_DONSKER = (*PLACES[:2], "donsker-varadhan")
BOUND, ALL, TWENTY = "infonce_test", "accuracy_converged", "accuracy_20_labels"
IN_ORDER = ("infonce", "js", "donsker-varadhan")


def _mean(t: Tables, measure: str, setting: tuple[str, str, str]) -> float:
    """Return the mean of a measure in one setting: system, kind and objective."""
    found = tables.systems(t).set_index(["system", "kind", "objective"])[measure]
    return found[found.index == setting].iloc[0][0]


def _best(t: Tables, measure: str, n: int) -> dict[tuple[str, str], str]:
    """Return the best settings by system and kind, with their measure as shown."""
    found = tables.systems(t).set_index(["system", "kind"])[measure].str[0]
    return found.sort_values(ascending=False)[:n].map("{:.2f}".format).to_dict()


def _rank_correlations(t: Tables, system: str, accuracy: str = ALL) -> pd.Series:
    """Return the rank correlation of InfoNCE with accuracy over the settings, by seed."""
    found = tables.last_step(t["figure_systems"])
    by_seed = found[found["system"] == system].groupby("seed")
    return by_seed[[BOUND, accuracy]].apply(lambda rows: rows.corr("spearman").iloc[0, 1])


def _interval(t: Tables, claim: str, times: float = 1) -> tuple[str, ...]:
    """Return the mean of the comparison that decides a claim, and its interval, as shown."""
    row = t["verdicts_systems"].set_index("claim").loc[claim]
    mean, *ends = (times * row[name] for name in ("estimate", "low", "high"))
    return tuple(f"{value:.{2 if times == 1 else 1}f}" for value in (mean, *sorted(ends)))


def _ahead(t: Tables, system: str, objective: str, pair: tuple[str, str], column: str) -> pd.Series:
    """Return by how much the first of two critics of a system is ahead, by seed."""
    found = tables.last_step(t["figure_systems"])
    found = found[(found["system"] == system) & (found["objective"] == objective)]
    wide = found.pivot(index="seed", columns="critic", values=column)
    return (wide[pair[0]] - wide[pair[1]]).dropna()


def _shown(values: pd.Series, digits: int) -> tuple[str, ...]:
    """Return mean and interval, as shown."""
    mean, half = tables.interval(values)
    return tuple(f"{value:.{digits}f}" for value in (mean, mean - half, mean + half))


def _dot_ahead(t: Tables, objective: str, column: str = ALL) -> tuple[int, tuple[str, ...]]:
    """Return seeds, and by how many points encode-and-dot is ahead: mean and interval, as shown."""
    ahead = _ahead(t, "dim", objective, ("encode-and-dot", "concat-and-convolve"), column)
    return len(ahead), _shown(100 * ahead, 1)


def _objectives_order_cpc(t: Tables) -> bool:
    """Tell whether bound and accuracy of CPC fall from InfoNCE to Donsker-Varadhan."""
    found = tables.last_step(t["figure_systems"])
    means = found[found["system"] == "cpc"].groupby(["critic", "objective"])[[BOUND, ALL]].mean()
    sorts = [means.xs(name, level="objective") for name in IN_ORDER]
    return all(
        bool((better.min() > worse.max()).all())
        for better, worse in zip(sorts[:-1], sorts[1:], strict=True)
    )


def _contexts_are_level(t: Tables) -> bool:
    """Tell whether no interval between the two context networks of CPC leaves out zero."""
    leads = [
        _ahead(t, "cpc", name, ("gru", "conv"), col) for name in IN_ORDER for col in (BOUND, ALL)
    ]
    return all(abs(mean) < half for mean, half in map(tables.interval, leads))


def _span_of_cpc(t: Tables) -> float:
    """Return by how many points the settings of CPC differ."""
    found = tables.last_step(t["figure_systems"])
    means = found[found["system"] == "cpc"].groupby(["critic", "objective"])[ALL]
    return 100 * float(np.ptp(means.mean()))


def _decided(t: Tables) -> dict[str, str]:
    """Return the verdicts that are not open, all of which stand on eight seeds."""
    found = t["verdicts_systems"].set_index("claim")
    ended = found[found["verdict"] != "undecided"]
    return ended["verdict"].to_dict() if (ended["n_seeds"] >= 8).all() else {}


LARGER: list[Claim] = [
    (
        "In CMC the concatenated critic is ahead of the bilinear one in both: by 0.85 nats of "
        "InfoNCE, 95 % interval 0.80 to 0.90, and by 5.5 points of accuracy, 4.6 to 6.4.",
        lambda t: (
            _interval(t, "S3") == ("0.85", "0.80", "0.90")
            and _interval(t, "S2", -100) == ("5.5", "4.6", "6.4")
        ),
    ),
]
CPC: list[Claim] = [
    (
        "In CPC the larger InfoNCE goes with the better features: over its six settings their rank "
        "correlation is 0.89, 95 % interval 0.81 to 0.96.",
        lambda t: (
            _interval(t, "S4") == ("0.89", "0.81", "0.96")
            and len(_rank_correlations(t, "cpc")) == 8
            and shown(_rank_correlations(t, "cpc").mean(), "0.89")
        ),
    ),
    (
        "The best and the worst of them are 1.5 points apart.",
        lambda t: shown(_span_of_cpc(t), "1.5"),
    ),
    (
        "Their order is that of the objectives: InfoNCE, Jensen-Shannon, Donsker-Varadhan; between "
        "the two context networks neither number differs beyond chance.",
        lambda t: _objectives_order_cpc(t) and _contexts_are_level(t),
    ),
    (
        "With 20 labels a class the rank correlation is 0.65, 0.38 to 0.92, which leaves one half "
        "open.",
        lambda t: _shown(_rank_correlations(t, "cpc", TWENTY), 2) == ("0.65", "0.38", "0.92"),
    ),
]
SYSTEMS: list[Claim] = [
    (
        "SimCLR, CMC with the concatenated critic, and AMDIM learn the best features here: an "
        "accuracy of 0.49, 0.48 and 0.48 with all labels.",
        lambda t: (
            [*_best(t, "accuracy", 3).items()]
            == [
                (("simclr", "cosine"), "0.49"),
                (("cmc", "concat"), "0.48"),
                (("amdim", "encode-and-dot"), "0.48"),
            ]
        ),
    ),
    (
        "With 20 labels a class SimCLR and AMDIM are ahead, with 0.35.",
        lambda t: (
            _best(t, "twenty", 2)
            == {("simclr", "cosine"): "0.35", ("amdim", "encode-and-dot"): "0.35"}
        ),
    ),
    (
        "In Deep InfoMax a code against the whole map has an InfoNCE of 4.1 nats and an accuracy "
        "of 0.31; against single places it has 2.7 nats and 0.44.",
        lambda t: (
            shown(_mean(t, "bound", WHOLE), "4.1")
            and shown(_mean(t, "accuracy", WHOLE), "0.31")
            and shown(_mean(t, "bound", PLACES), "2.7")
            and shown(_mean(t, "accuracy", PLACES), "0.44")
        ),
    ),
    (
        "Trained by the bound of Donsker and Varadhan, places lose 9 points against InfoNCE.",
        lambda t: shown(
            100 * (_mean(t, "accuracy", PLACES) - _mean(t, "accuracy", BY_DONSKER)), "9"
        ),
    ),
    *LARGER,
    *CPC,
    (
        "So claims two to four do not hold: within CMC and CPC, at this length, the lesson is not "
        "seen.",
        lambda t: _decided(t) == dict.fromkeys(("S2", "S3", "S4"), "does not hold"),
    ),
    (
        "In Deep InfoMax encode-and-dot is ahead of the larger concat-and-convolve: by 11.5 points "
        "with InfoNCE, 95 % interval 10.6 to 12.4, and by 10.7 with Jensen-Shannon, 9.7 to 11.7.",
        lambda t: (
            _dot_ahead(t, "infonce") == (8, ("11.5", "10.6", "12.4"))
            and _dot_ahead(t, "js") == (8, ("10.7", "9.7", "11.7"))
        ),
    ),
    (
        "With Donsker-Varadhan it is ahead by 1.3 points, -0.1 to 2.8, so claim one is undecided "
        "on its eight seeds.",
        lambda t: (
            _dot_ahead(t, "donsker-varadhan") == (8, ("1.3", "-0.1", "2.8"))
            and _interval(t, "S1", 100) == ("1.3", "-0.1", "2.8")
            and {*_decided(t)} == {"S2", "S3", "S4"}
        ),
    ),
    (
        "The claim is about all labels: with 20 a class and Donsker-Varadhan it is behind by 2.5 "
        "points, 1.2 to 3.8.",
        lambda t: _dot_ahead(t, "donsker-varadhan", TWENTY) == (8, ("-2.5", "-3.8", "-1.2")),
    ),
    ("Fewer than eight seeds decide nothing.", lambda t: bool(_decided(t))),
]
