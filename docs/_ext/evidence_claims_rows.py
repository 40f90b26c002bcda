"""Claims of the evidence pages of recordings and of texts, as `evidence_claims` has them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import evidence_tables as tables
import pandas as pd
from evidence_claims import Claim, shown
from evidence_tables import LAGGED, OURS, Tables

LABELS = (1, 5, inf)
FIXED = ("raw", "PCA", "catch22", "tsfresh")
TS2VEC = "TS2Vec (in our parts)"
CEBRA = ("CEBRA-Time, steps", "CEBRA-Time, windows")


def _rank(t: Tables, labels: float) -> pd.Series:
    return tables.over_sets(t).xs(labels, level="labels_per_class")["rank"]


def _leads(t: Tables, names: tuple[str, ...], labels: tuple[float, ...]) -> pd.DataFrame:
    """Return what ours is ahead of others by over sets, in points, a row a name and labels."""
    found = 100 * tables.over_sets(t)[["gain", "low", "high"]]
    return found.loc[[(name, n) for name in names for n in labels]]


def _by_set(t: Tables, name: str) -> pd.DataFrame:
    """Return rows of one contestant by set and labels."""
    found = tables.on_all_sets(t)
    return found[found["name"] == name].set_index(["data", "labels_per_class"])


def _behind_raw(t: Tables) -> pd.Series:
    """Return where ours is behind raw steps by more than a standard error, in points."""
    found = _by_set(t, "raw")
    return -100 * found.loc[found["gain"] < -found["gain_stderr"], "gain"]


def _behind(t: Tables, name: str, sets: tuple[str, ...], labels: tuple[float, ...]) -> bool:
    found = _by_set(t, name)["gain"]
    return bool((found.loc[[(data, n) for data in sets for n in labels]] < 0).all())


def _takes(t: Tables, name: str) -> pd.Series:
    return tables.seconds_of_recordings(t).loc[name]


def _ahead(t: Tables, data: str, name: str) -> pd.Series:
    """Return what ours of windows is ahead of other codes by, in R2, by decoder."""
    found = tables.decoded(t, data).loc[name]
    return pd.Series({decoder: found[f"{decoder}_gain"][0] for decoder in ("ridge", "knn")})


def _seconds(t: Tables, data: str, name: str) -> float:
    return tables.decoded(t, data).loc[name, "fit_seconds"]


def _r2(t: Tables, data: str, name: str) -> pd.Series:
    return tables.decoded(t, data).loc[name, ["ridge", "knn"]].astype(float)


RECORDINGS: list[Claim] = [
    (
        "On seven sets of short recordings ours and MiniRocket are level at any number of labels.",
        lambda t: bool(
            _leads(t, ("MiniRocket",), LABELS).eval("low < 0 < high").all()
            and tables.on_all_sets(t)["data"].nunique() == 7
        ),
    ),
    (
        "With one label a class ours has the best mean rank; with five and with all labels it "
        "shares it with MiniRocket.",
        lambda t: (
            _rank(t, 1).idxmin() == OURS
            and all(
                _rank(t, n)[[OURS, "MiniRocket"]].nunique() == 1
                and _rank(t, n).min() == _rank(t, n)[OURS]
                for n in (5, inf)
            )
        ),
    ),
    (
        "TS2Vec's loss on our encoder is 4 points behind ours with five labels, beyond chance, and "
        "trains for 8.8 seconds or more.",
        lambda t: (
            shown(_leads(t, (TS2VEC,), (5,))["gain"].min(), "4")
            and tables.holm_over_sets(t, 5)[TS2VEC] < 0.05
            and shown(_takes(t, TS2VEC)["min"], "8.8")
        ),
    ),
    (
        "With five labels a class ours is 7 to 23 points ahead of raw steps, PCA, catch22 and "
        "tsfresh, beyond chance.",
        lambda t: (
            shown(_leads(t, FIXED, (5,))["gain"].min(), "7")
            and shown(_leads(t, FIXED, (5,))["gain"].max(), "23")
            and (_leads(t, FIXED, (5,))["low"] > 0).all()
            and (tables.holm_over_sets(t, 5)[list(FIXED)] < 0.05).all()
        ),
    ),
    (
        "MiniRocket is ahead of ours on OSULeaf and PickupGestureWiimoteZ at any number of labels.",
        lambda t: _behind(t, "MiniRocket", ("OSULeaf", "PickupGestureWiimoteZ"), LABELS),
    ),
    (
        "With all labels it is 1 point ahead over the sets, within chance.",
        lambda t: shown(-_leads(t, ("MiniRocket",), (inf,))["gain"].iloc[0], "1"),
    ),
    (
        "It trains in less than half a second, ours in 2.5 to 6.4 seconds.",
        lambda t: (
            0 < _takes(t, "MiniRocket")["max"] < 0.5
            and shown(_takes(t, OURS)["min"], "2.5")
            and shown(_takes(t, OURS)["max"], "6.4")
        ),
    ),
    (
        "Ours is behind raw steps by more than a standard error once: on ItalyPowerDemand with "
        "five labels a class, by 2 points.",
        lambda t: (
            list(_behind_raw(t).index) == [("ItalyPowerDemand", 5)]
            and shown(_behind_raw(t).iloc[0], "2")
        ),
    ),
    (
        "PCA is ahead of ours there with one and with five labels.",
        lambda t: _behind(t, "PCA", ("ItalyPowerDemand",), (1, 5)),
    ),
    (
        "By Holm over the others, the leads over raw steps and PCA with one label, and over all "
        "four with all labels, are within chance.",
        lambda t: bool(
            (tables.holm_over_sets(t, 1)[["raw", "PCA"]] > 0.05).all()
            and (tables.holm_over_sets(t, inf)[list(FIXED)] > 0.05).all()
            and (_leads(t, FIXED, (1, inf))["gain"] > 0).all()
        ),
    ),
    (
        "tsfresh takes longer than ours on every set.",
        lambda t: bool(
            (_by_set(t, "tsfresh")["train_seconds"] > _by_set(t, OURS)["train_seconds"]).all()
        ),
    ),
    (
        "On Lorenz systems the R2 of ours of windows is at least 0.3 above that of CEBRA-Time, by "
        "either decoder.",
        lambda t: all(_ahead(t, "Lorenz", name).min() > 0.3 for name in CEBRA),
    ),
    (
        "On place cells ours of windows is level with CEBRA-Time of windows, by either decoder.",
        lambda t: (
            bool(_ahead(t, "place cells", CEBRA[1]).min() > 0)
            and bool(_ahead(t, "place cells", CEBRA[1]).max() < 0.02)
        ),
    ),
    (
        "PCA of windows is ahead of ours of windows on Lorenz systems by neighbours, by less than "
        "0.02.",
        lambda t: bool(-0.02 < _ahead(t, "Lorenz", "PCA, windows")["knn"] < 0),
    ),
    (
        "PCA of windows is within 0.05 of ours on both, by either decoder.",
        lambda t: all(_ahead(t, data, "PCA, windows").abs().max() < 0.05 for data in tables.LATENT),
    ),
    (
        "Trained on single steps, ours is behind raw steps on Lorenz systems.",
        lambda t: bool((_r2(t, "Lorenz", "TimeLag") < _r2(t, "Lorenz", "raw")).all()),
    ),
    (
        "A fit of ours on windows takes less than half of the time of CEBRA-Time on windows.",
        lambda t: all(
            0 < _seconds(t, data, LAGGED) < _seconds(t, data, CEBRA[1]) / 2
            for data in tables.LATENT
        ),
    ),
    (
        "CPC takes at least five times as long as ours on windows, and is behind it on both, by "
        "either decoder.",
        lambda t: all(
            _seconds(t, data, "CPC") > 5 * _seconds(t, data, LAGGED) > 0
            and _ahead(t, data, "CPC").min() > 0
            for data in tables.LATENT
        ),
    ),
]


def _of_leads(check: Callable[[pd.DataFrame], bool]) -> Callable[[Tables], bool]:
    """Return a test of what ours is ahead of TF-IDF and LSA by on texts, in points."""
    return lambda t: bool(check(100 * tables.ahead_on_texts(t)))


def _at(found: pd.DataFrame, labels: tuple[float, ...], *data: str, name: str = "") -> pd.DataFrame:
    """Return the rows at some numbers of labels, of some packages or all, beside one or both."""
    where = found.index.to_frame()
    kept = where["labels_per_class"].isin(labels)
    if data:
        kept &= where["data"].isin(data)
    if name:
        kept &= where["name"] == name
    if not kept.any():
        raise KeyError(data, name)
    return found[kept]


def _between(values: pd.Series, least: str, most: str) -> bool:
    """Tell whether the least and the most of values round to the texts."""
    return shown(values.min(), least) and shown(values.max(), most)


def _text_seconds(t: Tables, name: str) -> pd.Series:
    found = t["texts"]
    return found[found["name"] == name].groupby("data")["seconds"].mean()


TEXTS: list[Claim] = [
    (
        "On docstrings of scipy with one label a class ours is 21 points above LSA and 23 above "
        "TF-IDF.",
        _of_leads(lambda found: _between(_at(found, (1,), "scipy")["mean"], "21", "23")),
    ),
    (
        "With five labels a class ours is ahead of both on all three packages, beyond chance.",
        _of_leads(lambda found: (_at(found, (5,))["low"] > 0).all() and len(_at(found, (5,))) == 6),
    ),
    (
        "With twenty it is 1 to 7 points ahead on scipy and the standard library.",
        _of_leads(lambda found: _between(_at(found, (20,), "scipy", "python")["mean"], "1", "7")),
    ),
    (
        "With all labels TF-IDF is ahead of ours on all three, by 2 to 4 points, on scipy within "
        "chance.",
        _of_leads(
            lambda found: (
                _between(-_at(found, (inf,), name="TF-IDF")["mean"], "2", "4")
                and _at(found, (inf,), "scipy", name="TF-IDF")["high"].item() > 0
            )
        ),
    ),
    (
        "LSA, behind with five labels, is level with ours with all.",
        _of_leads(
            lambda found: (
                (_at(found, (5,), name="LSA")["low"] > 0).all()
                and _at(found, (inf,), name="LSA").eval("low < 0 < high").all()
            )
        ),
    ),
    (
        "On docstrings of scikit-learn the leads are 3 to 6 points with one and five labels, and "
        "within chance with twenty.",
        _of_leads(
            lambda found: (
                _between(_at(found, (1, 5), "sklearn")["mean"], "3", "6")
                and _at(found, (20,), "sklearn").eval("low < 0 < high").all()
            )
        ),
    ),
    (
        "A fit of ours takes 10 to 12 seconds, LSA 0.2.",
        lambda t: (
            shown(_text_seconds(t, OURS).min(), "10")
            and shown(_text_seconds(t, OURS).max(), "12")
            and shown(_text_seconds(t, "LSA").mean(), "0.2")
        ),
    ),
    (
        'On the one fold that was run, ``view="drop-words"`` and ``view="half-documents"`` are '
        "behind the default at any number of labels.",
        lambda t: bool(
            (
                tables.on_one_fold(t).loc[["drop-words", "half-documents"]]
                < tables.on_one_fold(t).loc[OURS]
            )
            .all()
            .all()
        ),
    ),
]
