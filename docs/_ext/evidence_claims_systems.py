"""Claims about Deep InfoMax, AMDIM, CPC, CMC and SimCLR as systems."""

from __future__ import annotations

import evidence_tables as tables
import numpy as np
import pandas as pd
from evidence_claims import Claim, shown
from evidence_tables import Tables

PLACES, WHOLE = ("dim", "encode-and-dot", "infonce"), ("dim", "whole map", "infonce")
BY_DONSKER = (*PLACES[:2], "donsker-varadhan")


def _mean(t: Tables, measure: str, setting: tuple[str, str, str]) -> float:
    """Return the mean of a measure in one setting: system, kind and objective."""
    found = tables.systems(t).set_index(["system", "kind", "objective"])[measure]
    return found[found.index == setting].iloc[0][0]


def _best_two(t: Tables, measure: str) -> dict[str, float]:
    found = tables.systems(t).set_index("system")[measure].str[0]
    return found.sort_values(ascending=False)[:2].to_dict()


def _rank_correlations(t: Tables, system: str) -> pd.Series:
    """Return the rank correlation of InfoNCE with accuracy over the settings, by seed."""
    found = tables.last_step(t["figure_systems"])
    by_seed = found[found["system"] == system].groupby("seed")
    columns = ["infonce_test", "accuracy_converged"]
    return by_seed[columns].apply(lambda rows: rows.corr("spearman").iloc[0, 1])


def _interval(t: Tables, claim: str) -> tuple[str, ...]:
    """Return the mean of the comparison that decides a claim, and its interval, as shown."""
    row = t["verdicts_systems"].set_index("claim").loc[claim]
    return tuple(f"{row[name]:.2f}" for name in ("estimate", "low", "high"))


def _span_of_cpc(t: Tables) -> float:
    """Return by how many points the settings of CPC differ."""
    found = tables.last_step(t["figure_systems"])
    means = found[found["system"] == "cpc"].groupby(["critic", "objective"])["accuracy_converged"]
    return 100 * float(np.ptp(means.mean()))


def _decided(t: Tables) -> dict[str, str]:
    """Return the verdicts that are not open, all of which stand on eight seeds."""
    found = t["verdicts_systems"].set_index("claim")
    ended = found[found["verdict"] != "undecided"]
    return ended["verdict"].to_dict() if (ended["n_seeds"] >= 8).all() else {}


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
]
SYSTEMS: list[Claim] = [
    (
        "SimCLR and AMDIM learn the best features here: an accuracy of 0.49 and 0.48 with all "
        "labels, and of 0.35 with 20 a class.",
        lambda t: (
            [*_best_two(t, "accuracy")] == ["simclr", "amdim"]
            and all(map(shown, _best_two(t, "accuracy").values(), ("0.49", "0.48")))
            and set(_best_two(t, "twenty")) == {"simclr", "amdim"}
            and all(shown(value, "0.35") for value in _best_two(t, "twenty").values())
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
    *CPC,
    (
        "So the fourth claim does not hold; the other three have not their eight seeds yet.",
        lambda t: _decided(t) == {"S4": "does not hold"},
    ),
    ("Fewer than eight seeds decide nothing.", lambda t: bool(_decided(t))),
]
