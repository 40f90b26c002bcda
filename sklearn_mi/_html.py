"""Results in a notebook: small HTML and SVG without scripts, files or a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Any

__all__ = [
    "STATUS_COLOURS",
    "estimate_html",
    "estimator_html",
    "interval_chart",
    "learner_html",
    "line_chart",
]

# Okabe and Ito's colours, those of them that stand out on white and on dark pages alike.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
STATUS_COLOURS = {"lower": "#0072B2", "upper": "#D55E00", "neither": "#777777"}
DASHES = ("none", "6 3", "2 3")

WIDTH = 480
LINE = 16  # of text, in pixels
CHARACTER = 6.2  # its width
MOST_POINTS = 200
LONGEST = 120  # characters of a value in a table
LONGEST_LABEL = 28
HUGE = 1e100  # a scale has to be finite

# Pages style tables and summaries of their own; what is important here keeps them out.
STYLE = """
.sklearn-mi{font-size:13px;line-height:1.45;text-align:left;max-width:50em;margin:.5em 0}
.sklearn-mi p,.sklearn-mi ul{font-size:inherit;margin:.3em 0}
.sklearn-mi ul{padding-left:1.5em;list-style:disc}
.sklearn-mi summary{font-size:inherit;cursor:pointer;display:list-item;list-style:revert}
.sklearn-mi svg{display:block;max-width:100%;height:auto;margin:.6em 0 0;fill:currentColor}
.sklearn-mi table{border-collapse:collapse;border:0;margin:.6em 0;width:auto}
.sklearn-mi table,.sklearn-mi tr,.sklearn-mi td,.sklearn-mi th{font-size:inherit;
background:none!important;color:inherit!important}
.sklearn-mi td,.sklearn-mi th{border:0;border-bottom:1px solid #7776;padding:.15em 1em .15em 0;
text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere}
.sklearn-mi td:nth-child(-n+2){overflow-wrap:normal;min-width:5em}
""".replace("\n", "")


# Charts


@dataclass(frozen=True)
class _Scale:
    """From values to pixels along one axis, with ticks at round values."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float) -> _Scale:
        """Return a scale that holds all values, with a little room."""
        values = list(values)
        low, high = min(values), max(values)
        room = 0.04 * (high - low)
        if room < 1e-12 * max(1.0, abs(low)):
            room = 0.5 * max(1.0, abs(low))
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Return two to five round values within."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / 2))
        step = next((k * power for k in (5, 2) if span >= 2 * k * power), power)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [k * step for k in range(first, last + 1)]


def _is_drawn(value: Any) -> bool:
    return value is not None and abs(float(value)) < HUGE


def _points(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Return the finite points of a line, at most so many, first and last among them."""
    pairs = zip(x, y, strict=True)
    points = [(float(a), float(b)) for a, b in pairs if _is_drawn(a) and _is_drawn(b)]
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(k * step)] for k in range(MOST_POINTS)]


def _text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, more: str = 'stroke="currentColor"') -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {more}/>'


def _stroke(colour: str, width: int) -> str:
    return f'stroke="{escape(colour)}" stroke-width="{width}"'


def _disc(x: float, y: float, radius: int, colour: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{escape(colour)}"/>'


def _svg(height: float, title: str, description: str, parts: Iterable[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title)}" '
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-size="11" '
        f'fill="currentColor"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _no_chart(title: str) -> str:
    empty = "no finite values"
    return _svg(2 * LINE, title, empty, [_text(0, LINE, f"{title}: {empty}")])


def _x_axis(scale: _Scale, y: float, label: str) -> list[str]:
    parts = [_rule(scale.start, y, scale.end, y)]
    for tick in scale.ticks():
        parts.append(_rule(scale(tick), y, scale(tick), y + 4))
        parts.append(_text(scale(tick), y + LINE, f"{tick:,.6g}", "middle"))
    middle = (scale.start + scale.end) / 2
    return [*parts, _text(middle, y + 2 * LINE, label, "middle")]


def _y_axis(scale: _Scale, x: float, label: str) -> list[str]:
    parts = [_rule(x, scale.start, x, scale.end)]
    for tick in scale.ticks():
        parts.append(_rule(x - 4, scale(tick), x, scale(tick)))
        parts.append(_text(x - 7, scale(tick) + 4, f"{tick:,.6g}", "end"))
    middle = (scale.start + scale.end) / 2
    turned = f' transform="rotate(-90 12 {middle})"'
    return [*parts, _text(12, middle, label, "middle", turned)]


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    title: str,
) -> str:
    """Return lines as SVG, with a legend above them.

    Parameters
    ----------
    series : dict of (sequence of float, sequence of float)
        By name, where each line goes; points that are not finite are left out.
    x_label, y_label : str
        With their units.
    title : str
        What a screen reader says first.

    Returns
    -------
    svg : str
        One element; text and axes take the colour of the text around it.

    Examples
    --------
    >>> from sklearn_mi._html import line_chart
    >>> svg = line_chart({"train": ([0, 10], [0.1, 2.0])}, x_label="steps", y_label="nats",
    ...                  title="Training")
    >>> svg[:4], svg.count("<polyline")
    ('<svg', 1)
    """
    made = {name: _points(*line) for name, line in series.items()}
    lines = {name: points for name, points in made.items() if points}
    if not lines:
        return _no_chart(title)
    top = LINE * len(lines) + 8
    bottom = top + 150
    x_scale = _Scale.over((x for points in lines.values() for x, _ in points), 64, WIDTH - 12)
    y_scale = _Scale.over((y for points in lines.values() for _, y in points), bottom, top)
    parts = [*_x_axis(x_scale, bottom, x_label), *_y_axis(y_scale, 64, y_label)]
    for k, (name, points) in enumerate(lines.items()):
        colour = COLOURS[k % len(COLOURS)]
        look = f'{_stroke(colour, 2)} stroke-dasharray="{DASHES[k % len(DASHES)]}"'
        parts.append(_rule(64, LINE * k + 8, 88, LINE * k + 8, look))
        parts.append(_text(94, LINE * k + 12, name))
        pixels = [(x_scale(x), y_scale(y)) for x, y in points]
        path = " ".join(f"{x},{y}" for x, y in pixels)
        parts.append(f'<polyline fill="none" {look} points="{path}"/>')
        if len(points) == 1:
            parts.append(_disc(*pixels[0], 3, colour))
    ends = ((name, *points[0], *points[-1]) for name, points in lines.items())
    said = (f"{n}: from {y:.3g} at {x:g} to {v:.3g} at {u:g} {x_label}." for n, x, y, u, v in ends)
    return _svg(bottom + 2 * LINE + 6, title, " ".join(said), parts)


def interval_chart(
    rows: Sequence[tuple[str, float, float, float, str]],
    *,
    x_label: str,
    title: str,
    ceilings: Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
) -> str:
    """Return a dot with its interval for each row, as SVG.

    Parameters
    ----------
    rows : list of (label, value, low, high, colour)
        From top to bottom. A value that is not finite has no dot, and an end that is not finite
        no interval, except that an interval up to ``inf`` leaves the chart in an arrow; a colour is
        what CSS takes.
    x_label : str
        With its unit.
    title : str
        What a screen reader says first.
    ceilings : sequence of float, default=None
        One a row, drawn as a vertical mark where it lies near the values.
    limits : tuple of float, default=None
        Where to cut the axis: an arrow stands for a value beyond. None: all values are shown.

    Returns
    -------
    svg : str
        One element; text and axes take the colour of the text around it.

    Examples
    --------
    >>> from sklearn_mi._html import interval_chart
    >>> rows = [("infonce", 0.5, 0.4, 0.6, "#0072B2")]
    >>> svg = interval_chart(rows, x_label="nats", title="Bounds")
    >>> svg[:4], svg.count("<circle")
    ('<svg', 1)
    """
    drawn = [number for _, *numbers, _ in rows for number in numbers if _is_drawn(number)]
    if not drawn:
        return _no_chart(title)
    least, most = limits or _room(drawn)
    marks = [math.inf] * len(rows) if ceilings is None else ceilings
    labels = [_cut(label, LONGEST_LABEL) for label, *_ in rows]
    left = round(CHARACTER * max(map(len, labels))) + 16
    shown = [min(max(number, least), most) for number in drawn]
    scale = _Scale.over([*shown, *(m for m in marks if least <= m <= most)], left, WIDTH - 16)
    bottom = (LINE + 4) * len(rows) + 8
    parts = _x_axis(scale, bottom, x_label)
    if scale.low < 0 < scale.high:
        faint = 'stroke="currentColor" stroke-dasharray="2 3" opacity="0.5"'
        parts.append(_rule(scale(0), 0, scale(0), bottom, faint))
    said = []
    for k, (row, label, mark) in enumerate(zip(rows, labels, marks, strict=True)):
        y = (LINE + 4) * k + 12
        _, *numbers, colour = row
        parts.append(_text(left - 10, y + 4, label, "end"))
        parts.append(_dot(scale, y, numbers, colour, (least, most)))
        if least <= mark <= most:
            parts.append(_rule(scale(mark), y - 7, scale(mark), y + 7, _stroke(colour, 3)))
        said.append(f"{label}: {_number(numbers[0])}, {_between(*numbers[1:]) or 'no interval'}.")
    return _svg(bottom + 2 * LINE + 6, title, " ".join(said), parts)


def _room(drawn: Sequence[float]) -> tuple[float, float]:
    """Return limits that hold all values, and ceilings that are not far away."""
    least, most = min(drawn), max(drawn)
    return least, most + max(most - least, 0.5 * abs(most))


def _dot(
    scale: _Scale, y: float, numbers: Sequence[float], colour: str, limits: tuple[float, float]
) -> str:
    """Return the dot of a row, an arrow if it lies beyond the limits, and its interval."""
    value, low, high = numbers
    least, most = limits
    line = dot = ""
    if _between(low, high) and low <= most and high >= least:
        end = scale.end if high == math.inf else scale(min(high, most))
        line = _rule(scale(max(low, least)), y, end, y, _stroke(colour, 2))
        line += _arrow(end, y, 6, colour) if high == math.inf else ""
    if _is_drawn(value):
        x = scale(min(max(value, least), most))
        dot = _disc(x, y, 4, colour)
        if not least <= value <= most:
            dot = _arrow(x, y, -6 if value < least else 6, colour)
    return line + dot


def _arrow(x: float, y: float, length: int, colour: str) -> str:
    return f'<path d="M{x + length} {y}L{x} {y - 5}V{y + 5}Z" fill="{escape(colour)}"/>'


# Text and tables


def _cut(words: str, longest: int = LONGEST) -> str:
    return words if len(words) <= longest else words[: longest - 3] + "..."


def _number(value: Any, digits: int = 3) -> str:
    return f"{float(value):z.{digits}f}" if _is_drawn(value) else "none"


def _between(low: Any, high: Any) -> str:
    if _is_drawn(low) and high == math.inf:
        return f"{_number(low)} and more"
    return f"{_number(low)} to {_number(high)}" if _is_drawn(low) and _is_drawn(high) else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _fold(summary: str, body: str, is_open: bool = False) -> str:
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>{escape(summary)}</summary>{body}</details>"


def _framed(body: str) -> str:
    return f'<div class="sklearn-mi"><style>{STYLE}</style>{body}</div>'


def _said(estimate: Any) -> str:
    """Return the two lines of an estimate and its warnings."""
    first, second = estimate._lines()
    value, comma, rest = first.partition(",")
    said = f"<strong>{escape(value)}</strong>{escape(comma + rest)}<br>{escape(second)}"
    # The warnings of a number without a value are its second line.
    warnings = () if math.isnan(estimate.value) else estimate.warnings
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f"<p>{said}</p>" + (f"<ul>{items}</ul>" if items else "")


def estimate_html(estimate: Any) -> str:
    """Return an MIEstimate as HTML: its two lines and its warnings.

    Parameters
    ----------
    estimate : MIEstimate

    Returns
    -------
    html : str
    """
    return _framed(_said(estimate))


def learner_html(learner: Any) -> str:
    """Return what a fitted learner has reached, was set to by itself, and how it trained.

    Parameters
    ----------
    learner : MIRepresentationLearner

    Returns
    -------
    html : str
        A fold; empty before ``fit``.
    """
    if not hasattr(learner, "mi_"):
        return ""
    value = learner.mi_._lines()[0].partition(",")[0]
    choices = learner.choices_
    rows = [(name, _cut(repr(choice.value)), choice.reason) for name, choice in choices.items()]
    body = [
        f"<p><strong>mi_</strong></p>{_said(learner.mi_)}",
        _table(("choices_", "picked", "reason"), rows),
        f"<p><strong>history_</strong></p>{_training_curve(learner.history_)}",
    ]
    summary = (
        f"Held out: {value}; {len(choices)} parameters picked; {learner.n_iter_:,} training steps"
    )
    return _framed(_fold(summary, "".join(body)))


def _training_curve(history: Sequence[Mapping[str, Any]]) -> str:
    steps = list(accumulate(row["steps"] for row in history))
    names = {
        "train_bound": "train_bound: the objective on training rows",
        "valid_bound": "valid_bound: InfoNCE on held-out rows that stop training",
    }
    series = {}
    for key, name in names.items():
        has = [(step, row[key]) for step, row in zip(steps, history, strict=True) if key in row]
        series[name] = [step for step, _ in has], [bound for _, bound in has]
    return line_chart(series, x_label="training steps", y_label="nats", title="Training curve")


def estimator_html(estimator: Any) -> str:
    """Return the number that a fitted MIEstimator found, and the bounds around it.

    Parameters
    ----------
    estimator : MIEstimator

    Returns
    -------
    html : str
        Empty before ``fit``.
    """
    if not hasattr(estimator, "mi_"):
        return ""
    if estimator.bounds_ is None:
        return estimate_html(estimator.mi_)
    return _framed(_said(estimator.mi_) + _fold("Ladder of bounds", _ladder(estimator), True))


def _ladder(estimator: Any) -> str:
    """Return every bound in a table, and in a chart below the best guess."""
    bounds = estimator.bounds_.to_dict(orient="index")
    mi = estimator.mi_
    share = f"{100 * mi.confidence:g} % interval"
    cells = []
    rows = [("best guess", mi.value, *mi.interval, "currentColor")]
    for name, row in bounds.items():
        # A difference of bounds has no interval.
        low, high = row.get("low", math.nan), row.get("high", math.nan)
        numbers = _number(row["value"]), _between(low, high) or "none"
        cells.append((name, *numbers, row["status"], _number(row["ceiling"], 2)))
        rows.append((name, row["value"], low, high, STATUS_COLOURS[row["status"]]))
    high = mi.interval[1]
    reach = max(1.0, abs(mi.value), high - mi.value if _is_drawn(high) else 0.0)
    key = "".join(
        f'<span style="color:{STATUS_COLOURS[status]}">&#9679;</span> {words}&emsp;'
        for status, words in {"lower": "lower bounds", "neither": "no bounds"}.items()
    )
    chart = interval_chart(
        rows,
        x_label="nats",
        title="Best guess and bounds",
        ceilings=[mi.ceiling, *(row["ceiling"] for row in bounds.values())],
        # Some bounds fail by thousands of nats where the critic is off.
        limits=(mi.value - reach, mi.value + reach) if _is_drawn(mi.value) else None,
    )
    table = _table(("bounds_", "nats", share, "status", "ceiling"), cells)
    marks = "<strong>|</strong> ceiling, where near; arrow: beyond the axis"
    return f"{table}{chart}<p>{key}{marks}</p>"
