"""Claims about Deep InfoMax, AMDIM, CPC, CMC and SimCLR as systems."""

from __future__ import annotations

import evidence_tables as tables
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


def _none_is_decided(t: Tables) -> bool:
    found = t["verdicts_systems"]
    return bool((found["verdict"] == "undecided").all() and found["n_seeds"].between(0, 7).all())


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
    (
        "In CPC the larger InfoNCE goes with the better features so far: over its six settings the "
        "rank correlation is 0.8 to 1.0 in three seeds.",
        lambda t: bool(
            shown(_rank_correlations(t, "cpc").min(), "0.8")
            and shown(_rank_correlations(t, "cpc").max(), "1.0")
            and len(_rank_correlations(t, "cpc")) == 3
        ),
    ),
    ("No claim is decided: none has its eight seeds.", _none_is_decided),
    ("Fewer than eight seeds decide nothing.", _none_is_decided),
]
