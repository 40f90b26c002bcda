"""What stands on the page of a report, section by section."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_mi._html import interval_chart, line_chart
from sklearn_mi.summary.data import Data
from sklearn_mi.summary.measures import OURS, PRINCIPAL, RAW, Fitted, Plan
from sklearn_mi.summary.page import (
    Section,
    clean,
    code,
    fold,
    items,
    paragraph,
    picture,
    table,
)
from sklearn_mi.summary.words import conclusion, counted, information_said, listed, rows_said

__all__ = ["Findings", "facts_of", "lead_of", "notes_of", "sections_of"]

MOST_COLUMNS = 20  # in the chart of information
MOST_LISTED = 200  # in the table of columns
MOST_POINTS = 1000
FEWEST_FOR_TSNE = 60
DOTS = 200  # of a PNG in an inch
PIXELS = 100  # of the page in an inch

SAYS = {
    "numbers": "How many numbers describe a row.",
    "effective": "How many directions they use; noise uses all.",
    "intrinsic": "How many numbers would do near each row.",
    "uniformity": "How evenly rows spread over all directions; less is more even.",
    "cluster": "Whether halves of the rows give the same clusters; 1 is the most.",
}


class Findings(NamedTuple):
    """All that the page shows."""

    data: Data
    fitted: Fitted
    plan: Plan | None
    tables: dict[str, pd.DataFrame]
    entropy: float
    code: str


# The head


def lead_of(found: Findings) -> str:
    """Return the sentence that a reader takes away.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    sentence : str
    """
    if found.plan is None:
        return (
            "Without labels this page shows what the features look like, not whether they predict "
            "anything better than the columns."
        )
    return _conclusion(found, RAW)


def _conclusion(found: Findings, reference: str) -> str:
    gains = found.tables["differences"]
    gains = gains[gains["reference"] == reference]
    is_measurement = found.data.is_measurement
    return conclusion(pd.DataFrame(gains), is_measurement=is_measurement, reference=reference)


def facts_of(found: Findings) -> list[tuple[str, str]]:
    """Return the words and numbers of the head.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    facts : list of (str, str)
    """
    data = found.data
    used: Any = data.columns[data.columns["left_out"] == ""]
    facts = [("Rows", f"{len(data.rows):,}")]
    if data.is_table:
        kinds = used["kind"].value_counts(sort=False)
        plural = {"number": "numbers", "category": "categories"}
        facts.append(("Columns used", f"{len(used):,} of {len(data.columns):,}"))
        facts.append(("Their kinds", ", ".join(f"{n:,} {plural[k]}" for k, n in kinds.items())))
        facts.append(("Missing values", f"{used['missing'].sum():,}"))
    else:
        facts.append(("Each row", " × ".join(map(str, data.rows.shape[1:]))))
    if data.channels:
        facts.append(("Channels", listed(data.channels, MOST_COLUMNS)))
    if data.y is not None:
        n_classes = len(np.unique(data.y))
        what = "a measurement" if data.is_measurement else counted(n_classes, "class", "classes")
        facts.append((f"Label: {data.y_name}" if data.y_name else "Label", what))
    return facts


def notes_of(found: Findings) -> str:
    """Return what was left out or filled in, and a table of all columns.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    html : str
    """
    data, columns = found.data, found.data.columns
    used = columns[columns["left_out"] == ""]
    said = rows_said(len(data.rows), len(found.fitted.rows.all), data.n_unlabelled)
    if len(gaps := used[used["missing"] > 0]):
        verb = "has" if len(gaps) == 1 else "have"
        said.append(
            f"{counted(len(gaps), 'column')} {verb} missing values: numbers are filled by the "
            "median of the training rows, of categories they become a category."
        )
    if len(categories := used[used["kind"] == "category"]):
        named = listed(list(categories["name"]), MOST_COLUMNS)
        said.append(f"Each value of a category becomes an indicator of 0 and 1: {named}.")
    outside = columns[~columns["left_out"].isin(["", "the label"])]
    for reason, group in outside.groupby("left_out", sort=False):
        said.append(f"Left out: {listed(list(group['name']), MOST_COLUMNS)} ({reason}).")
    if len(constant := used[used["distinct"] < 2]) and data.is_table:
        named = listed(list(constant["name"]), MOST_COLUMNS)
        said.append(f"One value only, so without effect: {named}.")
    return items(said) + (_columns(columns) if data.is_table else "")


def _columns(columns: pd.DataFrame) -> str:
    shown = columns.head(MOST_LISTED)
    rows = [
        (row["name"], row["kind"], f"{row['missing']:,}", _distinct(row), row["left_out"] or "used")
        for row in shown.to_dict("records")
    ]
    caption = "Each column, and what becomes of it"
    if len(shown) < len(columns):
        caption += f"; the first {len(shown)} of {len(columns):,}"
    head = ("Column", "Kind", "Missing", "Different values", "Use")
    return fold("All columns", table(caption, head, rows, numbers=(2, 3)))


def _distinct(row: Any) -> str:
    return f"{row['distinct']:,}" if row["distinct"] >= 0 else "not counted"


def _named(data: Data) -> str:
    return data.y_name or "the label"


# Sections


def sections_of(found: Findings) -> list[Section]:
    """Return the sections of the page, those about labels where there are labels.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    sections : list of Section
    """
    sections = [] if found.plan is None else [_few_labels(found, found.plan)]
    sections += [_embedding(found), _diagnostics(found)]
    if found.plan is not None:
        sections.append(_information(found))
    return [*sections, _learner(found), _code(found)]


def _few_labels(found: Findings, plan: Plan) -> Section:
    scores, data = found.tables["scores"], found.data
    measure = "R²" if data.is_measurement else "accuracy"
    what = "labels" if data.is_measurement else "labels a class"
    model = (
        "A ridge regression is fitted to scaled numbers of the labelled rows"
        if data.is_measurement
        else "A logistic regression is fitted to the labelled rows, in the better of two scalings"
    )
    how = (
        f"{model}, and judged on rows that neither it nor the features have seen. Each number is a "
        f"mean over {counted(plan.n_folds, 'fold')} with {counted(plan.n_draws, 'draw')} of the "
        f"labelled rows in each, {len(plan.rows):,} rows in all. Everyone meets the same folds and "
        "labels. Intervals are 95 %; p-values are adjusted for several numbers of labels (Holm). "
        "Few folds show large differences only; more of them (n_folds) show smaller ones."
    )
    chart = _chart_of_r2(scores) if data.is_measurement else _chart_of_accuracy(scores)
    parts = [
        paragraph(_conclusion(found, PRINCIPAL)),
        chart,
        _scores(found, measure, what),
        paragraph(*_left_out(plan, what)),
        paragraph(how, kind="soft"),
    ]
    return Section("few-labels", f"{measure[0].upper()}{measure[1:]} with few labels", parts)


def _left_out(plan: Plan, what: str) -> list[str]:
    said = []
    if plan.left_out:
        classes = listed(plan.left_out, MOST_COLUMNS)
        said.append(f"Left out here, with fewer rows than folds: class {classes}.")
    if plan.dropped:
        said.append(f"A fold has too few rows for {listed(plan.dropped)} {what}.")
    return said


def _chart_of_accuracy(scores: pd.DataFrame) -> str:
    from sklearn_mi.plots import LabelEfficiencyDisplay

    ax, render = _axes(5.8, 3.9)
    display = LabelEfficiencyDisplay.from_table(scores, highlight=OURS, ax=ax)
    alt = getattr(display, "alt_text_", "") or "Accuracy against labelled rows of each class."
    caption = "Accuracy on test rows against labelled rows of each class, with 95 % intervals."
    return picture(render(), caption, alt, round(5.8 * PIXELS))


def _axes(width: float, height: float) -> tuple[Any, Callable[[], bytes]]:
    """Return axes on a figure of their own, and what makes a PNG of it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")

    def render() -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
        return buffer.getvalue()

    return figure.subplots(), render


def _chart_of_r2(scores: pd.DataFrame) -> str:
    colours = {RAW: "#0072B2", PRINCIPAL: "#CC79A7", OURS: "#D55E00"}
    rows: list[Any] = [
        (
            f"{_labels(row['labels_per_class'])}: {row['name']}",
            *(min(max(row[k], -1.0), 1.0) for k in ("mean", "low", "high")),
            colours[row["name"]],
        )
        for row in scores.sort_values(by="labels_per_class", kind="stable").to_dict("records")
    ]
    title = "R² on test rows, by number of labels"
    chart = interval_chart(rows, x_label="R²", title=title)
    return picture(chart, f"{title}; 95 % intervals, cut off at -1 and 1.")


def _labels(n: float) -> str:
    return "all" if math.isinf(n) else f"{n:g}"


def _scores(found: Findings, measure: str, what: str) -> str:
    means = found.tables["scores"].set_index(["labels_per_class", "name"])["mean"].unstack()
    gains = found.tables["differences"].query("name == @OURS and reference == @RAW")
    unit = "" if found.data.is_measurement else ", points"
    factor, places = (1, 2) if found.data.is_measurement else (100, 1)
    rows = []
    for gain in gains.to_dict("records"):
        n = gain["labels_per_class"]
        mean, low, high = (f"{factor * gain[k]:+z.{places}f}" for k in ("mean", "low", "high"))
        cells = (f"{means.loc[n, name]:z.3f}" for name in (RAW, PRINCIPAL, OURS))
        rows.append((_labels(n), *cells, f"{mean} ({low} to {high})", f"{gain['p_holm']:.3f}"))
    head = (what.capitalize(), "As they are", "PCA", "Learned", f"Gain{unit} (95 %)", "p")
    caption = f"Mean {measure}, and the gain of learned features over the columns as they are"
    return table(caption, head, rows, numbers=range(1, 6))


def _embedding(found: Findings) -> Section:
    fitted, data = found.fitted, found.data
    held_out = fitted.rows.held_out[:MOST_POINTS]
    y = None if data.y is None else _colours(data.y[held_out], data.is_measurement)
    method = "tsne" if len(held_out) >= FEWEST_FOR_TSNE else "pca"
    sides = {"Learned features": fitted.codes, "Columns as they are": fitted.columns}
    figures = [
        _map(Z[:MOST_POINTS], y, method, title, clean(_named(data))) for title, Z in sides.items()
    ]
    trust = (
        "t-SNE shows which rows are neighbours; distances between groups mean little."
        if method == "tsne"
        else "Two principal components keep large distances."
    )
    colour = "" if y is None else f"Colours are those of {_named(data)}, which training never saw."
    rows = f"{counted(len(held_out), 'row')} that the features were not trained on."
    parts = [paragraph(rows, trust, colour), f'<div class="pair">{"".join(figures)}</div>']
    return Section("map", "Rows in two dimensions", parts)


def _colours(y: Any, is_measurement: bool) -> Any:
    """Return labels that a picture can name; None where there are too many."""
    if is_measurement:
        # A picture takes whole numbers of few values for classes.
        return np.nextafter(y.astype(float), np.inf)
    is_text = y.dtype.kind not in "iufb"
    labels = np.array([_short(label) for label in y]) if is_text else y
    return None if is_text and len(np.unique(labels)) > 100 else labels


def _short(label: Any) -> str:
    # A dollar sign would open a formula.
    words = clean(label).replace("$", r"\$")
    return words if len(words) <= 16 else f"{words[:15]}…"


def _map(Z: Any, y: Any, method: str, title: str, name: str) -> str:
    from sklearn_mi.plots import EmbeddingDisplay

    ax, render = _axes(4.8, 4.0)
    display = EmbeddingDisplay.from_codes(Z, y, method=method, ax=ax)
    if (bar := getattr(display, "colorbar_", None)) is not None:
        bar.set_label(name.replace("$", r"\$"))
    alt = getattr(display, "alt_text_", "") or f"A point for each of {len(Z)} rows."
    return picture(render(), f"{title}.", f"{title}. {alt}", round(4.8 * PIXELS))


def _diagnostics(found: Findings) -> Section:
    rows = [
        (
            f"{str(name)[:1].upper()}{str(name)[1:]}",
            _number(row[RAW]),
            _number(row[OURS]),
            SAYS[str(name).split()[0]],
        )
        for name, row in found.tables["diagnostics"].to_dict("index").items()
    ]
    n = len(found.fitted.codes)
    caption = f"Of {n:,} held-out rows; columns are centred"
    if found.data.is_table:
        caption = f"Of {n:,} held-out rows; the columns are scaled, and both sides centred"
    head = ("Diagnostic", "As they are", "Learned", "What it says")
    words = (
        "None of these numbers measures accuracy: noise, too, uses many directions and spreads "
        "evenly."
    )
    parts = [paragraph(words), table(caption, head, rows, numbers=(1, 2))]
    return Section("shape", "Shape of the features", parts)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _information(found: Findings) -> Section:
    every, label = found.tables["information"], _named(found.data)
    shown = every.head(MOST_COLUMNS).to_dict("index")
    # Where an interval has no end, its bar has.
    ends = every["high"].to_numpy(float)
    highest = float(np.where(np.isfinite(ends), ends, 1.1 * every["value"]).max())
    chart = [
        (clean(name), row["value"], row["low"], min(row["high"], highest), "#0072B2")
        for name, row in shown.items()
    ]
    title = f"Mutual information with {clean(label)}"
    caption = f"{title}; 95 % intervals."
    if len(shown) < len(every):
        caption += f" The first {len(shown)} of {len(every):,} columns."
    rows = [
        (name, f"{row['value']:.3f}", _from_to(row["low"], row["high"]), _p(row["p_adjusted"]))
        for name, row in shown.items()
    ]
    head = ("Column", "Nats", "95 % interval", "p")
    how = (
        "Columns of few values are counted; of others, nearest neighbours on ranks give the value. "
        "p-values are adjusted for the number of columns (Benjamini and Hochberg). A column that "
        "tells nothing alone may tell much beside another one. For all columns together, with a "
        "lower limit, use MIEstimator."
    )
    parts = [
        paragraph(*information_said(every, found.entropy, label)),
        picture(interval_chart(chart, x_label="nats", title=title), caption),
        fold("The same numbers as a table", table(title, head, rows, numbers=(1, 2, 3))),
        paragraph(how, kind="soft"),
    ]
    return Section("information", "What each column says about the label", parts)


def _from_to(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}" if math.isfinite(high) else f"{low:.3f} and more"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _learner(found: Findings) -> Section:
    learner, tables = found.fitted.learner, found.tables
    steps = getattr(learner, "n_iter_", None)
    rows = counted(len(found.fitted.rows.train), "row")
    name, seconds = type(learner).__name__, found.fitted.seconds
    if steps == 0:
        said = (
            f"{name} keeps the columns, scaled, and trains nothing; n_components=16 learns a code."
        )
    else:
        in_steps = f", {steps:,} steps" if steps else ""
        said = f"{name} trained on {rows} in {seconds:.1f} s{in_steps}."
    parts = [paragraph(said)]
    if steps != 0 and hasattr(learner, "mi_"):
        parts += _bound(learner.mi_)
    if steps != 0 and "training" in tables:
        steps, bounds = (tables["training"][k].tolist() for k in ("step", "train_bound"))
        chart = line_chart(
            {"training rows": (steps, bounds)}, x_label="step", y_label="nats", title="Training"
        )
        parts.append(picture(chart, "The bound that training maximises, by step."))
    if "choices" in tables:
        caption = "Parameters that were left open"
        choices = tables["choices"].itertuples(index=False, name=None)
        picked = table(caption, ("Parameter", "Picked", "Reason"), choices)
        parts.append(fold("What was picked, and why", picked))
    return Section("learner", "The learner", parts)


def _bound(mi: Any) -> list[str]:
    number, kind = mi._lines() if hasattr(mi, "_lines") else (str(mi), "")
    return [
        paragraph(f"Held-out mutual information of the two views of a row: {number}."),
        paragraph(f"{kind}." if kind else "", kind="soft"),
        items(clean(warning) for warning in getattr(mi, "warnings", ())),
        paragraph("A larger bound does not mean better features."),
    ]


def _code(found: Findings) -> Section:
    words = "X is what the report was given; Z are the codes of its held-out rows."
    return Section("code", "Make these features yourself", [paragraph(words), code(found.code)])
