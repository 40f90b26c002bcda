"""Draws the evidence pages out of the tables of the benchmarks.

`write` makes ``docs/generated/evidence/<name>.inc``, a chart, a narrow table and downloads, and the
chart for light and for dark pages; Sphinx calls it, and so does ``python docs/_ext/evidence.py``,
which also names the sentences of the pages that the tables contradict. Pages include the pieces.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import evidence_charts as charts
import evidence_content as content
import evidence_tables as tables
import matplotlib
from evidence_charts import DARK, LIGHT, Ink
from evidence_claims import CLAIMS as EARLIER
from evidence_claims import README_CLAIMS
from evidence_claims_learned import LEARNED
from evidence_claims_rows import RECORDINGS, TEXTS
from evidence_claims_systems import SYSTEMS
from evidence_content import Rows
from evidence_tables import FILES, PAPER, RESULTS, Tables
from matplotlib.figure import Figure

__all__ = ["CLAIMS", "PIECES", "README_CLAIMS", "Piece", "Tables", "contradicted", "write"]

CLAIMS = EARLIER | {
    "evidence/recordings": RECORDINGS,
    "evidence/texts": TEXTS,
    "evidence/learned": LEARNED,
    "evidence/systems": SYSTEMS,
}
MOST_COLUMNS = 6
STYLE = {
    "svg.hashsalt": "sklearn-mi",
    "font.size": 10,
    "axes.titlesize": 11,
    "legend.fontsize": 9.5,
}


@dataclass(frozen=True)
class Piece:
    """A chart, a table, or both, and the files that they are drawn from.

    `says` stands above the table. `note` returns sentences that the numbers decide.
    """

    downloads: dict[str, str]
    table: Callable[[Tables], tuple[Sequence[str], Rows]]
    says: str
    chart: Callable[[Tables, Ink], Figure] | None = None
    alt: Callable[[Tables], str] | None = None
    note: Callable[[Tables], str] | None = field(default=None)


def write(srcdir: Path) -> None:
    """Write every piece below the sources of the site; files that would stay as they are, stay."""
    folder, t = Path(srcdir) / "generated" / "evidence", Tables()
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {name: piece.chart for name, piece in PIECES.items()} | {"home": charts.home}
    for name, chart in drawings.items():
        if chart is not None:
            _keep(folder / f"{name}.svg", drawn(chart, t, LIGHT))
            _keep(folder / f"{name}-dark.svg", drawn(chart, t, DARK))
    for name, piece in PIECES.items():
        _keep(folder / f"{name}.inc", included(name, piece, t))


def contradicted(t: Tables | None = None) -> list[str]:
    """Return the sentences of the pages that the tables contradict."""
    t = t or Tables()
    claims = [*(pair for page in CLAIMS.values() for pair in page), *README_CLAIMS]
    return [sentence for sentence, holds in claims if not holds(t)]


def drawn(chart: Callable[[Tables, Ink], Figure], t: Tables, ink: Ink) -> str:
    """Return a chart as SVG; equal numbers give equal bytes."""
    out = io.StringIO()
    colours = {"text.color": ink.text, "axes.labelcolor": ink.text}
    with matplotlib.rc_context({**STYLE, **colours}):
        facts = {"Date": None, "Creator": None}
        chart(t, ink).savefig(out, format="svg", transparent=True, metadata=facts)
    return out.getvalue()


def included(name: str, piece: Piece, t: Tables) -> str:
    """Return a piece as reStructuredText."""
    parts = []
    if piece.chart is not None and piece.alt is not None:
        alt = piece.alt(t)
        parts += [
            f".. image:: /generated/evidence/{name}{suffix}.svg\n   :alt: {alt}\n"
            f"   :class: only-{page}\n   :width: 100%\n"
            for suffix, page in (("", "light"), ("-dark", "dark"))
        ]
    parts += [f"{piece.note(t)}\n"] if piece.note is not None else []
    header, rows = piece.table(t)
    if len(header) > MOST_COLUMNS:
        raise ValueError(f"{name}: {len(header)} columns; expected at most {MOST_COLUMNS}.")
    body = "\n".join(f"   {line}" for line in _csv(rows)).replace("|", r"\|")
    heads = "\n".join(_csv([header]))
    parts += [f"{piece.says}\n", f".. csv-table::\n   :header: {heads}\n\n{body}\n"]
    links = [f":download:`{label} </../{path}>`" for label, path in piece.downloads.items()]
    parts += [f"Download: {', '.join(links)}.\n"]
    return "\n".join(parts)


def _csv(rows: Iterable[Sequence[object]]) -> list[str]:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue().splitlines()


def _keep(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _files(*names: str, **more: str) -> dict[str, str]:
    return {Path(FILES[name]).name: FILES[name] for name in names} | more


def _and(text: str, path: str) -> dict[str, str]:
    return {text: path}


SPEED, MI = f"{RESULTS}/speed", f"{RESULTS}/information"
PIECES = {
    "few_labels": Piece(
        _files("features") | _and("the full run", f"{RESULTS}/features/features.txt"),
        content.few_labels,
        "Accuracy, and the paired difference with its 95 % interval; bold where it leaves out 0.",
        charts.few_labels,
        content.few_labels_alt,
        content.few_labels_note,
    ),
    "semi_supervised": Piece(
        _files("semi_supervised")
        | _and("the full run", f"{RESULTS}/semi_supervised/semi_supervised.txt"),
        content.semi_supervised,
        "Accuracy, from wine on balanced accuracy; the last column with a standard error.",
    ),
    "select_rows": Piece(
        _files("select_rows") | _and("the full run", f"{RESULTS}/select_rows.txt"),
        content.select_rows,
        "Accuracy on digits, by how the rows that get a label are chosen.",
    ),
    "speed": Piece(
        _files("before_after") | _and("the full run", f"{SPEED}/before_after.txt"),
        content.speed,
        "CPU seconds of a fit on one thread, and ratios; below 1 ours is faster.",
        charts.speed,
        content.speed_alt,
    ),
    "time_to_accuracy": Piece(
        _files("time_to_accuracy"),
        content.time_to_accuracy,
        "The shortest training of each, and the one with the best mean accuracy.",
        charts.time_to_accuracy,
        content.time_to_accuracy_alt,
    ),
    "neighbors": Piece(
        _files("neighbors") | _and("the full run", f"{SPEED}/neighbors.txt"),
        content.neighbors,
        "CPU seconds of a search, and the share of true neighbours that it finds.",
    ),
    "steps": Piece(
        _files("step", "peers") | _and("the full run", f"{SPEED}/speed.txt"),
        content.steps,
        "Milliseconds of one training step, side by side in one process; below 1 ours is faster.",
    ),
    "gpu": Piece(
        _files("gpu_rounds") | _and("what has been run", FILES["gpu_runs"]),
        content.gpu,
        "Milliseconds a step of the paper's perceptrons on one NVIDIA H200.",
        note=content.gpu_note,
    ),
    "how_long": Piece(
        _files("how_long", "before_after"),
        content.how_long,
        "One fit with the default settings on one thread; an empty cell was not measured.",
        charts.how_long,
        content.how_long_alt,
    ),
    "defaults": Piece(
        {f"{kind}.csv": FILES[f"pareto_{kind}"] for kind in tables.TASKS}
        | {f"{kind}.txt": f"{RESULTS}/pareto/{kind}.txt" for kind in tables.TASKS},
        content.defaults,
        "Accuracy is the mean over the numbers of labels; on digits 0.003 of it is chance.",
        charts.defaults,
        content.defaults_alt,
    ),
    "choices": Piece(
        _files(*(f"choose_{kind}" for kind in ("digits", "mnist", "colour", "numbers", "mixed"))),
        content.choices,
        "What one change costs or gains, in percent points of accuracy, by labels a class.",
    ),
    "ablation": Piece(
        _files("ablation_digits", "ablation_mnist")
        | _and("digits, all combinations", f"{RESULTS}/ablation_digits.txt")
        | _and("MNIST, all combinations", f"{RESULTS}/ablation_mnist.txt"),
        content.ablation,
        "Accuracy of logistic regression, mean over all combinations with the other two parts.",
        charts.ablation,
        content.ablation_alt,
    ),
    "mi_estimator": Piece(
        _files("cells") | _and("the full run", f"{MI}/information.txt"),
        content.mi_estimator,
        "Nats, means over samples; an empty cell was not run.",
        charts.mi_estimator,
        content.mi_estimator_alt,
    ),
    "mi_coverage": Piece(
        _files("mi_coverage") | _and("the full run", f"{MI}/coverage/coverage.txt"),
        content.mi_coverage,
        "Shares of independent draws; estimates in nats. No limit is known given a third table.",
    ),
    "mi_images": Piece(
        _files("mi_images") | _and("the full run", f"{MI}/images/images.txt"),
        content.mi_images,
        "Nats.",
    ),
    "mi_speed": Piece(
        _files("mi_speed") | _and("the full run", f"{MI}/speed/speed.txt"),
        content.mi_speed,
        "Wall-clock seconds of one call on two cores, beside commit 1759d58 in the same run.",
    ),
    "mi_numbers": Piece(
        _files("fits") | _and("the full run", f"{MI}/information.txt"),
        content.mi_numbers,
        'Errors in nats; "above" counts samples by more than two standard errors.',
    ),
    "recordings": Piece(
        _files("recordings") | _and("the full run", f"{RESULTS}/recordings/recordings.txt"),
        content.recordings,
        "Mean accuracy over the sets, in brackets the mean rank; seconds on one thread.",
        charts.recordings,
        content.recordings_alt,
    ),
    "recordings_lead": Piece(
        _files("recordings"),
        content.recordings_lead,
        "Accuracy, mean difference with its 95 % interval over the sets; bold where it leaves out "
        "0.",
    ),
    "recordings_sets": Piece(
        _files("recordings"),
        content.recordings_sets,
        "Accuracy by set; the last column with a standard error over folds.",
    ),
    "decoding_place_cells": Piece(
        _files("decoding") | _and("the full run", f"{RESULTS}/decoding/decoding.txt"),
        content.decoding_place_cells,
        "Place cells: where the animal is. Differences with 95 % intervals over simulations; bold "
        "where they leave out 0.",
        charts.decoding,
        content.decoding_alt,
    ),
    "decoding_lorenz": Piece(
        _files("decoding"),
        content.decoding_lorenz,
        "Lorenz systems: the state of the system. As above.",
    ),
    "texts": Piece(
        _files("texts") | _and("the full run", f"{RESULTS}/texts/texts.txt"),
        content.texts,
        "Accuracy, and paired differences with 95 % intervals; bold where they leave out 0.",
        charts.texts,
        content.texts_alt,
    ),
    "label_free": Piece(
        _files("label_free") | _and("the full run", f"{PAPER}/label_free.txt"),
        content.label_free,
        "Kendall's tau with its 95 % interval, bold where it leaves out 0; and the accuracy that "
        "is lost against the best setting. Means over three data sets.",
        charts.label_free,
        content.label_free_alt,
    ),
    "paper": Piece(
        _files("figure_3")
        | _and("verdicts", f"{PAPER}/verdicts.txt")
        | _and("ours beside the paper's, point by point", f"{PAPER}/figures.txt")
        | {f"figure {n}": f"docs/images/paper/figure_{n}.png" for n in ("1", "1c", "2", "3")}
        | {f"figure {n}": f"docs/images/paper/figure_{n}.png" for n in ("4", "4c", "8", "9")},
        content.paper,
        "Each claim is a test that was stated before anything was run; shown is the comparison "
        "that decides.",
        charts.paper,
        content.paper_alt,
    ),
    "paper_plan": Piece(
        _files("plan", "compared") | _and("the plan in words", f"{PAPER}/plan/plan.txt"),
        content.paper_plan,
        "New seeds by claim, from the cheapest on; hours of one core.",
    ),
    "paper_probe": Piece(
        _files("figure_3") | _and("the full run", f"{PAPER}/probes.txt"),
        content.paper_probe,
        "Percent points by which the bilinear critic is ahead; bold where beyond chance.",
        charts.paper_probe,
        content.paper_probe_alt,
    ),
    "paper_beyond": Piece(
        _files("figure_beyond") | _and("the full run", f"{PAPER}/beyond.txt"),
        content.paper_beyond,
        "One change at a time, MNIST, with 95 % intervals over seeds.",
    ),
    "systems": Piece(
        _files("figure_systems", "costs"),
        content.systems,
        "CIFAR10, 20,000 rows, 600 steps of 64: accuracy and held-out InfoNCE with 95 % intervals "
        "over seeds, seconds of training on two cores, and its peak of memory.",
        charts.systems,
        content.systems_alt,
        content.systems_note,
    ),
    "systems_claims": Piece(
        _files("verdicts_systems"),
        content.systems_claims,
        "Each claim was stated before anything was run; shown is the comparison that decides.",
    ),
    "learned": Piece(
        _files("plan") | _and("verdicts", f"{PAPER}/verdicts.txt"),
        content.learned,
        "The open claims on MNIST, with 95 % intervals, and hours of one core for all seeds.",
    ),
    "paper_runs": Piece(
        _files("curves") | _and("CIFAR10, verdicts", f"{PAPER}/verdicts_cifar10.txt"),
        content.paper_runs,
        "What was run, and how many points of the paper's curves are met.",
    ),
}


def readme_picture() -> None:
    """Draw the picture of the README, on white."""
    colours = {"text.color": LIGHT.text, "axes.labelcolor": LIGHT.text}
    with matplotlib.rc_context({**STYLE, **colours}):
        figure = charts.home(Tables(), LIGHT)
        figure.savefig(tables.ROOT / "docs" / "images" / "few_labels.png", dpi=110)


def main() -> None:
    write(tables.ROOT / "docs")
    readme_picture()
    for sentence in contradicted():
        print(f"The tables say otherwise: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
