"""What stands in the tables of the evidence pages, in the words for their charts, and in notes.

Each function takes `evidence_tables.Tables`. One that is named after a piece returns its header and
rows; ``<piece>_alt`` says the chart in words; ``<piece>_note`` returns sentences that the numbers
decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import evidence_tables as tables
import numpy as np
import pandas as pd
from evidence_tables import DATA, Tables

Rows = list[Sequence[object]]


def _number(value: float, digits: int = 3) -> str:
    return "" if pd.isna(value) else f"{value:,.{digits}f}"


def _seconds(value: float) -> str:
    return _number(value, 1 if value < 100 else 0)


def _around(mean: float, half: float, digits: int = 3) -> str:
    """Return mean and half of an interval, bold where the interval leaves out 0."""
    if np.isnan(half):
        return f"{mean:+.{digits}f}"
    text = f"{mean:+.{digits}f} ± {half:.{digits}f}"
    return f"**{text}**" if abs(mean) > half else text


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _labels(labels: float) -> str:
    return "all" if np.isinf(labels) else f"{labels:g}"


# Few labels


def few_labels(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (
            DATA.get(row["data"], row["data"]),
            _labels(row["labels_per_class"]),
            _number(row["ours"]),
            f"{_number(row['mean'])} {row['rival']}",
            _around(row["gain_mean"], row["gain_high"] - row["gain_mean"]),
        )
        for row in tables.beside_others(t).to_dict("records")
    ]
    return ("data", "labels a class", "ours", "best other", "ours less best other"), rows


def few_labels_note(t: Tables) -> str:
    found = tables.outcomes(t)
    sentences = []
    for outcome, verb in (("ahead", "is ahead of"), ("behind", "is behind")):
        where = found[found == outcome].groupby(level=0, sort=False)
        if named := [
            f"{DATA.get(data, data)} ({', '.join(map(_labels, rows.index.get_level_values(1)))})"
            for data, rows in where
        ]:
            text = f"Beyond chance, ours {verb} the best other on {_list(named)}."
            sentences.append(text if len(named) else "")
    return " ".join([*sentences, "In brackets: labels a class. Everywhere else the two are level."])


def few_labels_alt(t: Tables) -> str:
    found = tables.outcomes(t)
    counts = found.value_counts()
    return (
        f"Seven panels, one a data set: accuracy against labels a class, of ours and of others. "
        f"Against the best other ours is ahead in {counts.get('ahead', 0)} of {len(found)} points, "
        f"behind in {counts.get('behind', 0)}, and level within chance in the rest."
    )


def select_rows(t: Tables) -> tuple[Sequence[str], Rows]:
    found = tables.chosen_rows(t)
    names = ["random draws", "typicality", "k-means", "herding"]
    codes = {tables.OURS: "codes of ours", "raw pixels": "raw pixels"}
    rows = [
        (codes.get(code, code), n, *(_number(found.loc[(code, n), name]) for name in names))
        for code, n in found.index
    ]
    return ("rows are chosen by", "labels", *names), rows


# Speed


def speed(t: Tables) -> tuple[Sequence[str], Rows]:
    found = tables.default_fits(t)
    rows = [
        (task, *map(_seconds, row[["now", "before", "UMAP 8"]]), *map(_ratio, row[-2:]))
        for task, row in found.iterrows()
    ]
    return ("rows", "ours, s", "former default, s", "UMAP, s", "ours / former", "ours / UMAP"), rows


def _ratio(value: float) -> str:
    return _number(value, 2)


def speed_alt(t: Tables) -> str:
    found = tables.default_fits(t)
    both = found["umap"].dropna()
    return (
        f"Seconds of a default fit on {len(found)} data sets, on a logarithmic axis. Ours takes "
        f"{found['former'].min():.2f} to {found['former'].max():.2f} of the former default's time. "
        f"UMAP is faster on {(both > 1).sum()} of {len(both)}."
    )


def time_to_accuracy(t: Tables) -> tuple[Sequence[str], Rows]:
    found = tables.time_to_accuracy(t)
    rows = []
    for (data, name), part in found.groupby(["data", "name"], sort=False):
        best = part.loc[part["accuracy"].idxmax()]
        short = part.loc[part["seconds"].idxmin()]
        who = "ours" if name == tables.OURS else name
        numbers = [
            text
            for row in (short, best)
            for text in (_number(row["seconds"], 1), _number(row["accuracy"]))
        ]
        rows.append((DATA.get(data, data), who, *numbers))
    head = ("data", "name", "shortest, s", "its accuracy", "most accurate, s", "its accuracy")
    return head, rows


def time_to_accuracy_alt(t: Tables) -> str:
    found = tables.time_to_accuracy(t)
    best = found.loc[found.groupby(["data", "name"], sort=False)["accuracy"].idxmax()]
    said = [
        f"{DATA.get(row.data, row.data)}, {'ours' if row.name_ == tables.OURS else row.name_}: "
        f"{row.accuracy:.3f} after {row.seconds:.1f} s"
        for row in best.rename(columns={"name": "name_"}).itertuples()
    ]
    return f"Accuracy against CPU seconds. The best of each curve: {'; '.join(said)}."


def neighbors(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (rows, search, _number(seconds, 1), _number(recall, 2))
        for rows, search, seconds, recall in t["neighbors"].to_numpy()
    ]
    return ("rows", "search", "CPU s", "neighbours found"), rows


def steps(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (row.task, row.other, _number(row.ours, 1), _number(row.theirs, 1), _ratio(row.ratio))
        for row in tables.steps(t).itertuples()
    ]
    return ("task", "other", "ours, ms", "other, ms", "ours / other"), rows


def gpu(t: Tables) -> tuple[Sequence[str], Rows]:
    found = t["gpu_rounds"]
    loops = ["by hand", "by hand, one CUDA graph", "ours"]
    rows = [
        (int(row["round"]), *(_number(row[name], 2) for name in loops))
        + tuple(_ratio(row["ours"] / row[name]) for name in loops[:2])
        for row in found.to_dict("records")
    ]
    heads = ("plain loop, ms", "captured graph, ms", "ours, ms", "ours / plain", "ours / graph")
    return ("round", *heads), rows


def gpu_note(t: Tables) -> str:
    found = t["gpu_runs"]
    missing = found.loc[found["outcome"] == "not run", "part"]
    if missing.empty:
        return "All parts of ``make bench-gpu`` have been run."
    return f"Not run yet, of the parts of ``make bench-gpu``: {'; '.join(missing)}."


def how_long(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (
            row["data"].removesuffix(" as images") + (", images" if row["images"] else ""),
            f"{row['rows']:,}",
            f"{row['columns']:,}",
            _seconds(row["seconds"]),
            _number(row["peak"], 0),
            _number(row["peak"] - row["before"], 0),
        )
        for row in tables.how_long(t).to_dict("records")
    ]
    heads = ("rows", "columns", "CPU s", "peak memory, MB", "of it the fit, MB")
    return ("data", *heads), rows


def how_long_alt(t: Tables) -> str:
    found = tables.how_long(t)
    first, last = found.iloc[0], found.loc[found["seconds"].idxmax()]
    return (
        "Seconds of a default fit against rows, both axes logarithmic: from "
        f"{first['seconds']:.0f} seconds for {first['rows']:,} rows to "
        f"{last['seconds']:.0f} for {last['data']}."
    )


# Defaults


def defaults(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = []
    for kind, name in tables.KINDS.items():
        found = tables.pareto(t, kind)
        mine = found.loc[tables.DEFAULTS[kind]]
        former = found.loc[tables.FORMER[kind]] if kind in tables.FORMER else None
        theirs = (
            (_number(former["seconds"], 1), _number(former["accuracy"]))
            if kind in (tables.FORMER)
            else ("", "")
        )
        setting = tables.DEFAULTS[kind]
        rows.append(
            (name, setting, _number(mine["seconds"], 1), _number(mine["accuracy"]), *theirs)
        )
    return ("data", "default", "CPU s", "accuracy", "Adam, CPU s", "Adam, accuracy"), rows


def defaults_alt(t: Tables) -> str:
    said = []
    for kind in ("digits", "flat", "mnist"):
        found = tables.pareto(t, kind)
        mine, former = found.loc[tables.DEFAULTS[kind]], found.loc[tables.FORMER[kind]]
        said.append(
            f"{tables.KINDS[kind]}: {mine['accuracy']:.3f} in {mine['seconds']:.0f} s, Adam "
            f"{former['accuracy']:.3f} in {former['seconds']:.0f} s"
        )
    return f"Mean accuracy against CPU seconds of settings. The default on {'; on '.join(said)}."


def choices(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = []
    for kind, name, called, _ in tables.CHANGES:
        lost = tables.change(t, kind, name)
        cells = [f"{lost[n]:+.1f}" if n in lost else "" for n in ("1", "5", "20", "all")]
        rows.append((tables.KINDS[kind].split(",")[0], called, *cells))
    return ("data", "in place of the default", "1 label", "5", "20", "all"), rows


def ablation(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = []
    for part in ("view", "critic", "objective"):
        for name, means in tables.ablation(t, part).iterrows():
            numbers = [
                _number(means[data, labels])
                for data in ("digits", "mnist")
                for labels in ("1", "all")
            ]
            rows.append((part, name, *numbers))
    heads = ("digits, 1 label", "digits, all", "MNIST, 1 label", "MNIST, all")
    return ("part", "choice", *heads), rows


def ablation_alt(t: Tables) -> str:
    said = []
    for part in ("view", "critic", "objective"):
        means = tables.ablation(t, part)["digits", "1"]
        said.append(f"{part}s from {means.min():.2f} ({means.idxmin()}) to {means.max():.2f} "
                    f"({means.idxmax()})")  # fmt: skip
    return f"Accuracy with one label a class by choice. On digits {'; '.join(said)}."


# Information


def mi_estimator(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (
            tables.SHORT[task],
            _number(row["truth"], 2),
            _number(row["default"], 2),
            _number(row["no offsets"], 2),
            f"{row['nearest']:.2f} {row['peer']}",
        )
        for task, row in tables.estimates(t).iterrows()
    ]
    return ("pairs, columns", "truth", "default", "networks alone", "nearest peer"), rows


def mi_estimator_alt(t: Tables) -> str:
    found = tables.estimates(t)
    ours = (found["default"] / found["truth"]).astype(float)
    theirs = (found["nearest"].astype(float) / found["truth"]).astype(float)
    return (
        f"Estimates as shares of the true information on {len(found)} tasks. The default lies "
        f"between {ours.min():.2f} and {ours.max():.2f}, the nearest peer between "
        f"{theirs.min():.2f} and {theirs.max():.2f}."
    )


def mi_coverage(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (task, int(row["draws"]), _number(row["truth"]), _around_mean(row))
        + (_percent(row["holds"]), _percent(row["below"]))
        for task, row in tables.coverage(t).iterrows()
    ]
    heads = ("draws", "truth", "estimates, mean ± sd", "interval holds the truth", "limit below it")
    return ("pairs", *heads), rows


def _around_mean(row: pd.Series) -> str:
    return f"{row['mean']:.3f} ± {row['sd']:.3f}"


def _percent(share: float) -> str:
    return "" if pd.isna(share) else f"{share:.1%}"


def mi_images(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (
            row["task"],
            _number(row["truth"], 0),
            ("at least " if row["at_least"] else "") + _number(row["value"], 2),
            f"{row['low']:.2f} to {row['high']:.2f}".replace("to inf", "and more"),
            _number(row["seconds"] / 60, 1),
        )
        for row in t["mi_images"].to_dict("records")
    ]
    return ("pairs", "truth", "estimate", "interval", "minutes on two cores"), rows


def mi_speed(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (task, _number(row["seconds"], 1), _number(row["before_seconds"], 1))
        + (_number(row["ratio"], 2), f"{row['peak_mb'] / 1000:.1f}")
        for task, row in tables.mi_times(t).iterrows()
    ]
    return ("rows and columns", "seconds", "seconds before", "ratio", "GB at most"), rows


def mi_numbers(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (name, f"{row['median']:+.2f}", f"{row['above']:.1%}")
        + (f"{row['lowest']:+.2f}", f"{row['highest']:+.2f}")
        for name, row in tables.every_number(t).iterrows()
    ]
    return ("number", "median error", "above the truth", "lowest error", "highest error"), rows


def label_free(t: Tables) -> tuple[Sequence[str], Rows]:
    cells = [(s, labels) for s in ("tau", "regret") for labels in ("all labels", "5 a class")]
    found = {cell: tables.criteria(t, *cell) for cell in cells}
    rows: Rows = [
        (
            name,
            *(_tau(found[cell].loc[name]) for cell in cells[:2]),
            *(_number(found[cell].loc[name, "mean"]) for cell in cells[2:]),
        )
        for name in found[cells[0]].index
    ]
    chance = tables.regret_of_chance(t)
    rows.append(("a random setting", "", "", *(_number(chance[n]) for _, n in cells[2:])))
    heads = ("tau, all labels", "tau, 5 a class", "lost, all labels", "lost, 5 a class")
    return ("criterion", *heads), rows


def _tau(row: pd.Series) -> str:
    text = f"{row['mean']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
    return f"**{text}**" if row["low"] * row["high"] > 0 else text


def label_free_alt(t: Tables) -> str:
    said = []
    for labels, name in (("all labels", "all labels"), ("5 a class", "five labels a class")):
        means = tables.criteria(t, "tau", labels)["mean"]
        bound = means["held-out InfoNCE"]
        said.append(f"with {name} {means.idxmax()} is highest ({means.max():.2f}), held-out "
                    f"InfoNCE at {bound:.2f}")  # fmt: skip
    return f"Kendall's tau of seven criteria with accuracy: {'; '.join(said)}."


# Recordings and texts

ALL_LABELS = (1, 5, np.inf)


def recordings(t: Tables) -> tuple[Sequence[str], Rows]:
    found, seconds = tables.over_sets(t), tables.seconds_of_recordings(t)
    order = found.xs(1, level="labels_per_class").sort_values("rank").index
    rows = [
        (
            _who(name),
            *(
                f"{_number(row['mean'])} ({_number(row['rank'], 2)})"
                for row in (found.loc[name, labels] for labels in ALL_LABELS)
            ),
            f"{seconds.loc[name, 'min']:.2f} to {seconds.loc[name, 'max']:.2f}",
        )
        for name in order
    ]
    heads = ("1 label (rank)", "5 labels (rank)", "all labels (rank)", "seconds of training")
    return ("features", *heads), rows


def _who(name: str) -> str:
    return "ours" if name == tables.OURS else name


def recordings_alt(t: Tables) -> str:
    found = tables.over_sets(t)
    said = [
        f"labels a class {_labels(labels)}: "
        + ", ".join(
            f"{_who(name)} {rank:.2f}"
            for name, rank in found.xs(labels, level="labels_per_class")["rank"]
            .sort_values()
            .head(2)
            .items()
        )
        for labels in ALL_LABELS
    ]
    return (
        f"Accuracy by set, three panels by labels a class. The best mean ranks: {'; '.join(said)}."
    )


def recordings_lead(t: Tables) -> tuple[Sequence[str], Rows]:
    found = tables.over_sets(t)
    names = found.index.get_level_values("name").unique().drop(tables.OURS)
    rows = [
        (
            name,
            *(
                _around(row["gain"], row["high"] - row["gain"])
                for row in (found.loc[name, labels] for labels in ALL_LABELS)
            ),
        )
        for name in names
    ]
    return ("ours less", "1 label a class", "5 labels", "all labels"), rows


def recordings_sets(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = []
    for (data, labels), part in tables.on_all_sets(t).groupby(
        ["data", "labels_per_class"], sort=False
    ):
        found = part.set_index("name")
        best = found["mean"].drop(tables.OURS).idxmax()
        raw = found.loc["raw"]
        means = (_number(found.loc[tables.OURS, "mean"]), f"{_number(found['mean'][best])} {best}")
        less = f"{raw['gain']:+.3f} ± {raw['gain_stderr']:.3f}"
        rows.append((data, _labels(labels), *means, _number(raw["mean"]), less))
    heads = ("ours", "best other", "raw steps", "ours less raw")
    return ("data", "labels a class", *heads), rows


def semi_supervised(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = []
    whole = tables.as_one_estimator(t)
    for (data, labels), part in whole.groupby(level=[0, 1], sort=False):
        found = part.droplevel([0, 1])
        if tables.ONE not in found.index or "logistic regression" not in found.index:
            continue
        others = found.drop(index=[n for n in found.index if n.startswith(tables.ONE)])
        best, plain = others["mean"].idxmax(), found.loc["logistic regression"]
        less = f"{plain['gain']:+.3f} ± {plain['gain_stderr']:.3f}"
        means = (_number(found.loc[tables.ONE, "mean"]), f"{_number(others['mean'][best])} {best}")
        rows.append((data, _labels(labels), *means, _number(plain["mean"]), less))
    heads = ("ours", "best other", "logistic regression", "ours less it")
    return ("data", "labels a class", *heads), rows


def decoding_place_cells(t: Tables) -> tuple[Sequence[str], Rows]:
    return _decoding(t, "place cells")


def decoding_lorenz(t: Tables) -> tuple[Sequence[str], Rows]:
    return _decoding(t, "Lorenz")


def _decoding(t: Tables, data: str) -> tuple[Sequence[str], Rows]:
    rows = []
    for name, row in tables.decoded(t, data).iterrows():
        less = [row[f"{decoder}_gain"] for decoder in ("ridge", "knn")]
        ridge, knn = ("" if name == tables.LAGGED else _around(*pair) for pair in less)
        seconds = _number(row["fit_seconds"], 1)
        name = tables.CODES.get(str(name), str(name))
        rows.append((name, _number(row["ridge"]), ridge, _number(row["knn"]), knn, seconds))
    heads = ("R2, ridge", "ours less it", "R2, neighbours", "ours less it", "seconds of a fit")
    return ("codes", *heads), rows


def decoding_alt(t: Tables) -> str:
    said = []
    for data in tables.LATENT:
        found = tables.decoded(t, data)["knn"]
        best = tables.CODES.get(found.idxmax(), found.idxmax())
        said.append(f"{data}: {best} {found.max():.2f}, ours of windows {found[tables.LAGGED]:.2f}")
    return f"R2 of what drives simulated recordings. The best by neighbours, {'; '.join(said)}."


def texts(t: Tables) -> tuple[Sequence[str], Rows]:
    means, ahead = tables.of_texts(t), tables.ahead_on_texts(t)
    rows = []
    for (data, labels), row in means.iterrows():
        others = [ahead.loc[(data, labels, name)] for name in ("TF-IDF", "LSA")]
        less = [_around(found["mean"], found["high"] - found["mean"]) for found in others]
        rows.append(
            (tables.TEXTS.get(data, data), _labels(labels), _number(row[tables.OURS]), *less)
        )
    return ("docstrings", "labels a class", "ours", "ours less TF-IDF", "ours less LSA"), rows


def texts_alt(t: Tables) -> str:
    found = tables.of_texts(t)
    said = [
        f"{tables.TEXTS.get(data, data)} "
        + ", ".join(f"{name} {found.loc[(data, 1), column]:.2f}" for column, name in (
            (tables.OURS, "ours"), ("LSA", "LSA"), ("TF-IDF", "TF-IDF")))
        for data in found.index.get_level_values("data").unique()
    ]  # fmt: skip
    return f"Accuracy against labels a class. With one label a class: {'; '.join(said)}."


# The paper


def paper(t: Tables) -> tuple[Sequence[str], Rows]:
    found = tables.judged(t)
    converged = t["verdicts_converged"]["verdict"]
    rows = [
        (row.number, row.words, _ours(row), _number(row.seeds, 0), _verdict(row), other)
        for row, other in zip(found.itertuples(), converged, strict=True)
    ]
    heads = ("the paper says", "ours, 95 % interval", "seeds", "verdict", "by a converged probe")
    return ("no.", *heads), rows


def _ours(row: tuple) -> str:
    """Return the comparison that decides, and whether the number is a pilot's."""
    if pd.isna(row.estimate):
        return ""
    interval = "" if pd.isna(row.low) else f" [{row.low:.3g}, {row.high:.3g}]"
    waits = re.search(r"pilots; (.*)", row.ours)
    said = f"{row.statement.rsplit(' ', 2)[0]}: {row.estimate:.3g}{interval}"
    return f"{said} ({waits[0]})" if waits else said


def _verdict(row: tuple) -> str:
    narrow = "shorter than the paper's effect" in row.ours
    return f"{row.verdict}; the interval is shorter than the effect" if narrow else row.verdict


def paper_alt(t: Tables) -> str:
    found = tables.judged(t)
    said = [
        f"({row.number}) {row.estimate / row.effect:.2f}, {row.verdict}"
        for row in found.itertuples()
        if row.effect > 0
    ]
    return f"Ours as a share of the effect that the paper claims, by claim: {'; '.join(said)}."


def paper_plan(t: Tables) -> tuple[Sequence[str], Rows]:
    names = {"mnist": "MNIST", "cifar10": "CIFAR10"}
    rows = [
        (
            names[row.data],
            row.claim,
            row.cells,
            f"{row.few}" if row.few == row.many else f"{row.few} to {row.many}",
            _number(row.hours, 1),
            row.reach,
        )
        for row in tables.planned(t).itertuples()
    ]
    return ("data", "claim", "settings", "new seeds", "hours", "within reach"), rows


def learned(t: Tables) -> tuple[Sequence[str], Rows]:
    hours = tables.planned(t).query("data == 'mnist'").set_index("claim")["hours"]
    found = tables.judged(t).query("verdict == 'undecided'").drop_duplicates("number")
    rows = [
        (
            row.number,
            re.sub(r" On (training batches|untouched rows)\.", "", row.words),
            re.sub(r" \(pilots.*", "", _ours(row)),
            _why(row),
            re.search(r"(\d+ of \d+) new seeds|$", row.ours)[1] or "all",
            _number(hours.get(row.number, np.nan), 1),
        )
        for row in found.itertuples()
    ]
    heads = ("the paper says", "ours", "why it is open", "new seeds that have run", "hours")
    return ("claim", *heads), rows


def _why(row: tuple) -> str:
    if pd.isna(row.low):
        return "one pilot alone reached its target"
    if row.low < row.threshold < row.high:
        whose = "pilots'" if "pilots" in row.ours else "new seeds'"
        return f"the {whose} interval holds the threshold"
    return "pilots alone decide nothing"


def paper_probe_alt(t: Tables) -> str:
    found = tables.critics(t).loc["nwj"]
    high, low = found["bound"].idxmax(), found["bound"].idxmin()
    return (
        "Accuracy against the bound, ours filled and the paper's hollow. Under NWJ the critic with "
        f"the largest bound ({high}, {found.loc[high, 'bound']:.2f} nats) has accuracy "
        f"{found.loc[high, 'accuracy']:.3f}, that with the smallest ({low}, "
        f"{found.loc[low, 'bound']:.2f}) {found.loc[low, 'accuracy']:.3f}."
    )


def paper_probe(t: Tables) -> tuple[Sequence[str], Rows]:
    names = {"infonce": "InfoNCE", "nwj": "NWJ"}
    rows = [
        (names[row.objective], row.rival, row.seeds)
        + tuple(_around(100 * m, 100 * h, 1) for m, h in (row.accuracy, row.accuracy_converged))
        for row in tables.bilinear_ahead(t).itertuples()
    ]
    return ("objective", "bilinear less", "seeds", "paper's probe", "converged probe"), rows


def paper_beyond(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (name, *(f"{m:.3f} ± {h:.3f}" for m, h in row[["accuracy", "five"]]))
        + tuple(f"{m:.2f} ± {h:.2f}" for m, h in row[["bound", "fresh"]])
        for name, row in tables.beyond(t).iterrows()
    ]
    heads = ("accuracy", "5 labels a class", "held-out bound, nats", "bound of a new critic, nats")
    return ("changed", *heads), rows


def paper_runs(t: Tables) -> tuple[Sequence[str], Rows]:
    judged = t["curves"][t["curves"]["within"] != "-"]
    rows = []
    for name in ("1", "1c", "2", "3", "4", "4c", "8", "9", "beyond"):
        found = t[f"figure_{name}"]
        runs = found.groupby(["learner", "data", "seed"])["seconds"].max()
        seeds = runs.groupby(["learner", "data"]).size()
        within = judged.loc[judged["figure"] == name, "within"]
        rows.append(
            (
                name,
                found["learner"].nunique(),
                f"{found['step'].max():,}",
                " to ".join(str(n) for n in sorted({seeds.min(), seeds.max()})),
                f"{runs.sum() / 3600:.1f}",
                f"{(within == 'yes').sum()} of {len(within)}" if len(within) else "",
            )
        )
    return ("figure", "learners", "last step", "seeds", "hours", "points that agree"), rows


# The systems


def systems(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (
            _setting(row),
            *(f"{m:.3f} ± {h:.3f}" for m, h in (row.accuracy, row.twenty)),
            "{:.2f} ± {:.2f}".format(*row.bound),
            _number(row.seconds, 0),
            _number(row.megabytes, 0),
        )
        for row in tables.systems(t).itertuples()
    ]
    heads = ("all labels", "20 labels a class", "InfoNCE, nats", "seconds", "MB")
    return ("setting", *heads), rows


def _setting(row: tuple) -> str:
    kind = f", {row.kind}" if row.system in tables.KINDS_OF else ""
    return f"{tables.SYSTEMS[row.system]}{kind}, {tables.OBJECTIVES[row.objective]}"


def systems_note(t: Tables) -> str:
    """Say how many seeds stand behind the rows."""
    seeds = tables.systems(t)["seeds"]
    few, many = seeds.min(), seeds.max()
    return f"Seeds a setting: {few if few == many else f'{few} to {many}'} of the eight planned."


def systems_alt(t: Tables) -> str:
    found = tables.systems(t)
    best = found.loc[found["accuracy"].str[0].idxmax()]
    said = []
    for _, rows in found[found["system"].isin(tables.KINDS_OF)].groupby("system", sort=False):
        largest = rows.loc[rows["bound"].str[0].idxmax()]
        reached, most = largest["accuracy"][0], rows["accuracy"].str[0].max()
        said.append(f"{_setting(largest)} {reached:.3f} of at most {most:.3f}")
    return (
        f"Accuracy against held-out InfoNCE. The best is {_setting(best)}, with "
        f"{best['accuracy'][0]:.3f}. With the largest InfoNCE of its system: {'; '.join(said)}."
    )


def systems_claims(t: Tables) -> tuple[Sequence[str], Rows]:
    rows = [
        (
            row.claim,
            row.statement,
            _number(row.estimate),
            "" if pd.isna(row.low) else f"{row.low:.3f} to {row.high:.3f}",
            f"{row.n_seeds} of 8",
            row.verdict,
        )
        for row in t["verdicts_systems"].itertuples()
    ]
    return ("claim", "the comparison that decides", "mean", "interval", "seeds", "verdict"), rows
