"""The evidence pages: drawn from the tables of the benchmarks, and not contradicted by them."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import evidence  # noqa: E402
import evidence_tables as tables  # noqa: E402
from evidence_charts import DARK, LIGHT  # noqa: E402
from evidence_tables import Tables  # noqa: E402

PAGES = sorted((DOCS / "evidence").glob("*.rst"))
CLAIMS = [
    pytest.param(page, *claim, id=f"{page.split('/')[-1]}: {claim[0][:60]}")
    for page, claims in {**evidence.CLAIMS, "README": evidence.README_CLAIMS}.items()
    for claim in claims
]
# What says which row it is, and is no result.
KEYS = {
    *("labels_per_class", "n_labelled", "n_folds", "seed", "fold", "draw", "step", "round", "test"),
    *("target", "batch", "columns", "rows", "length", "scale"),
}
TABLE = re.compile(r"^\.\. (?:csv-table|list-table|table)::|^=+(?: +=+)+$", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)*")
# Names, steps of a bound's K and years are no results.
NAMES = re.compile(r"UMAP \d+|\((?:[^()]*, )?\d{4}\)|et al\., \d{4}|scaler of 2019|Lucic, 2020")


@pytest.fixture(scope="module")
def results():
    return Tables()


def without_code(text):
    return re.sub(r"``[^`]*``|(?::\w+:)?`[^`]*`|https?://\S+", "", text)


def prose(page):
    """Return the sentences of a page outside of its directives, code and tables."""
    text = re.sub(r"^\.\. .*\n(?:(?: .*)?\n)*", "\n", page.read_text(encoding="utf-8"), flags=re.M)
    blocks = re.split(r"\n\s*\n|\n(?=\* )", without_code(text))
    blocks = [" ".join(block.removeprefix("* ").split()) for block in blocks]
    return [s for block in blocks for s in re.split(r"(?<=[.?!:])(?:\*\*)? (?=\S)", block) if s]


def of_results(change):
    """Return a change of every number of a table that is a result."""
    return lambda table: table.assign(
        **{column: table[column].map(lambda v: deep(v, change)) for column in results_of(table)}
    )


negated = of_results(lambda value: -value)
shifted = of_results(lambda value: value + 1.7)
stretched = of_results(lambda value: value**5 if abs(value) < 1e6 else value)
inverted = of_results(lambda value: 1 / value if value else 1e9)


def swapped(table):
    """Give each row the name of another one: the first name that of the last, and so on."""
    made = {}
    for column in table.columns:
        if pd.api.types.is_string_dtype(table[column]):
            names = sorted(table[column].dropna().unique())
            made[column] = table[column].map(dict(zip(names, names[::-1], strict=True)))
    return table.assign(**made)


def results_of(table):
    kinds = pd.api.types
    return [
        column
        for column in table.columns
        if column not in KEYS
        and not kinds.is_string_dtype(table[column])
        and not kinds.is_bool_dtype(table[column])
    ]


def deep(value, change):
    if isinstance(value, dict):
        return {key: deep(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [deep(part, change) for part in value]
    return change(value) if isinstance(value, (int, float, np.number)) else value


@pytest.mark.parametrize(("page", "sentence", "holds"), CLAIMS)
def test_claim_stands_and_holds(page, sentence, holds, results):
    path = ROOT / "README.md" if page == "README" else DOCS / f"{page}.rst"
    assert sentence in " ".join(path.read_text(encoding="utf-8").split())
    assert bool(holds(results))


class Changed(Tables):
    """Tables that have been read, each of them changed."""

    def __init__(self, results, change):
        super().__init__(change=change)
        self.results = results

    def __getitem__(self, name):
        if name not in self._read:
            self._read[name] = self.change(self.results[name])
        return self._read[name]


@pytest.fixture(scope="module")
def wrong(results):
    changes = (negated, shifted, stretched, inverted, swapped)
    return [Changed(results, change) for change in changes]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("page", "sentence", "holds"), CLAIMS)
def test_claim_fails_on_other_numbers(page, sentence, holds, wrong):
    verdicts = []
    for other in wrong:
        try:
            verdicts.append(bool(holds(other)))
        except (KeyError, IndexError):  # a combination that nobody has measured
            continue
    assert False in verdicts


def test_every_number_in_prose_is_a_claim():
    for name, claims in evidence.CLAIMS.items():
        if name.startswith("explanation"):
            continue
        claimed = " ".join(without_code(sentence) for sentence, _ in claims)
        claimed = " ".join(claimed.split())
        for sentence in prose(DOCS / f"{name}.rst"):
            if NUMBER.search(NAMES.sub("", sentence)):
                assert sentence.strip("* ") in claimed, f"{name}: {sentence}"


def test_every_page_has_claims_and_a_conclusion():
    assert {f"evidence/{page.stem}" for page in PAGES} - {"evidence/index"} == {
        name for name in evidence.CLAIMS if name.startswith("evidence")
    }
    for page in PAGES:
        first = page.read_text(encoding="utf-8").split("\n\n")[1]
        assert re.match(r"Th(is|ese) pages? (is|are) for ", first), page
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.stem != "index":
            assert 0 < text.index("**What it says.**") < text.index(".. include::")
            assert text.count(".. dropdown::") == 1


def test_pages_show_pieces_and_no_dumps():
    shown = []
    for page in DOCS.rglob("*.rst"):
        if {"_build", "gallery", "generated"} & set(page.relative_to(DOCS).parts):
            continue
        text = page.read_text(encoding="utf-8")
        included = re.findall(r"^ *\.\. (?:include|literalinclude):: (\S+)", text, re.MULTILINE)
        assert not [path for path in included if path.endswith(".txt")], page
        pieces = [Path(path).stem for path in included if path.startswith("/generated/evidence/")]
        shown += pieces
        if page.parent.name != "evidence":
            assert len(pieces) <= 1, page
    assert sorted(shown) == sorted(evidence.PIECES)


def test_pages_elsewhere_hold_no_more_tables_than_they_need():
    # Which number: one table finds the way by the columns, one says what each number says.
    tables = {"explanation/choosing": 1, "explanation/which_number": 2, "how_to/how_long": 1}
    for name, expected in tables.items():
        text = (DOCS / f"{name}.rst").read_text(encoding="utf-8")
        included = text.count("include:: /generated/evidence/")
        assert len(TABLE.findall(text)) + included == expected, name


@pytest.mark.parametrize("name", evidence.PIECES)
def test_piece_is_narrow_and_its_files_exist(name, results):
    piece = evidence.PIECES[name]
    header, rows = piece.table(results)
    assert rows
    assert len(header) <= evidence.MOST_COLUMNS
    assert {len(row) for row in rows} == {len(header)}
    assert piece.downloads
    assert all((ROOT / path).exists() for path in piece.downloads.values())
    text = evidence.included(name, piece, results)
    assert "nan" not in text
    assert ".. csv-table::" in text


@pytest.mark.parametrize("name", [n for n, piece in evidence.PIECES.items() if piece.chart])
def test_chart_is_said_in_words_and_as_wide_as_a_column(name, results):
    piece = evidence.PIECES[name]
    assert re.search(r"\d", piece.alt(results))
    assert "\n" not in piece.alt(results)
    text = evidence.drawn(piece.chart, results, LIGHT)
    root = ElementTree.fromstring(text)
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(552)
    assert "dc:date" not in text


def test_equal_numbers_give_equal_charts(results):
    chart = evidence.charts.home
    light = evidence.drawn(chart, results, LIGHT)
    assert light == evidence.drawn(chart, results, LIGHT)
    assert light != evidence.drawn(chart, results, DARK)


def test_charts_and_tables_follow_the_numbers(results):
    other, piece = Changed(results, negated), evidence.PIECES["few_labels"]
    assert piece.table(other)[1] != piece.table(results)[1]
    assert piece.note(other) != piece.note(results)
    assert "-0.9" in evidence.included("few_labels", piece, other)


def test_only_what_changed_is_written(tmp_path, monkeypatch):
    few = {name: evidence.PIECES[name] for name in ("select_rows", "speed")}
    monkeypatch.setattr(evidence, "PIECES", few)
    monkeypatch.setattr(evidence, "drawn", lambda chart, t, ink: f"{chart.__name__} {ink.text}")
    evidence.write(tmp_path)
    folder = tmp_path / "generated" / "evidence"
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {"home.svg", "home-dark.svg", "speed.inc", "speed.svg", "speed-dark.svg"} < set(made)
    (folder / "speed.inc").write_text("old", encoding="utf-8")
    evidence.write(tmp_path)
    again = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert [name for name in made if made[name] != again[name]] == ["speed.inc"]
    assert "old" not in (folder / "speed.inc").read_text(encoding="utf-8")


def test_contradicted_sentences_are_named(capsys, monkeypatch):
    monkeypatch.setattr(evidence, "write", lambda srcdir: None)
    monkeypatch.setattr(evidence, "CLAIMS", {"a page": [("Two is one.", lambda t: False)]})
    evidence.main()
    assert "The tables say otherwise: Two is one." in capsys.readouterr().err


def test_parsed_reports_have_all_their_rows(results):
    for name in ("verdicts", "verdicts_converged", "verdicts_cifar10"):
        text = (ROOT / tables.FILES[name]).read_text(encoding="utf-8")
        assert len(results[name]) == text.count("\n   * - ") - 1
        known = {"holds", "does not hold", "undecided", "not run"}
        assert set(results[name]["verdict"]) <= known
    text = (ROOT / tables.FILES["curves"]).read_text(encoding="utf-8")
    judged = re.findall(r"^Figure .*: (\d+) of (\d+) points", text, re.MULTILINE)
    within = results["curves"]["within"]
    assert sum(int(n) for n, _ in judged) == (within == "yes").sum()
    assert sum(int(n) for _, n in judged) == (within != "-").sum()
    assert len(results["criteria"]) == 3 * 2 * 7


def report_of(name):
    """Return the full run that stands beside a table."""
    return (ROOT / tables.FILES[name]).with_suffix(".txt").read_text(encoding="utf-8")


def test_leads_on_recordings_are_those_of_the_report(results):
    found, number = tables.over_sets(results), r" +(-?[\d.]+|NaN)"
    parts = re.findall(
        r"^(1|5|all) labels a class, over sets\n(.*?)\n\n", report_of("recordings"), re.M | re.S
    )
    assert [labels for labels, _ in parts] == ["1", "5", "all"]
    for labels, text in parts:
        n = float(labels.replace("all", "inf"))
        p_values = tables.holm_over_sets(results, n)
        rows = re.findall(rf"^(\S.*?) +7{number}{number}{number}{number}{number}$", text, re.M)
        assert len(rows) == text.count("\n")
        for name, mean, rank, gain, error, p in rows:
            row = found.loc[name, n]
            assert row[["mean", "rank"]].tolist() == pytest.approx(
                [float(mean), float(rank)], abs=6e-4
            )
            if name != tables.OURS:
                assert row["gain"] == pytest.approx(float(gain), abs=6e-4)
                # The quantile of Student's t with six degrees of freedom.
                half = row["high"] - row["gain"]
                assert half == pytest.approx(2.447 * float(error), abs=2e-3)
                assert p_values[name] == pytest.approx(float(p), abs=6e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_who_was_not_measured_on_all_recordings_is_left_out(results, whole):
    known = results["recordings"]
    more = known[known["name"] == "tsfresh"].assign(name="a newcomer")
    other = Tables()
    other._read["recordings"] = pd.concat([known, more if whole else more[3:]])
    for name in ("recordings", "recordings_lead", "recordings_sets"):
        assert ("a newcomer" in str(evidence.PIECES[name].table(other))) == (
            whole and name != "recordings_sets"
        )
    evidence.charts.recordings(other, LIGHT)


def test_decoding_is_averaged_within_simulations_first():
    score = np.random.default_rng(0).random((2, 2, 6))  # names, decoders, recordings
    names = [tables.LAGGED, "raw"]
    rows = [
        {"task": "Lorenz", "setting": name, "seed": seed, "fit_seconds": float(seed)}
        | {"ridge": score[k, 0, seed], "knn": score[k, 1, seed]}
        for k, name in enumerate(names)
        for seed in range(6)
    ]
    # The first recording of a simulation whose others are not there.
    rows += [{**row, "seed": 6, "ridge": 9.0} for row in rows if row["seed"] == 0]
    t = Tables()
    t._read["decoding"] = pd.DataFrame(rows)
    found = tables.decoded(t, "Lorenz").loc["raw"]
    for k, decoder in enumerate(("ridge", "knn")):
        each = [np.mean(score[0, k, part] - score[1, k, part]) for part in (slice(3), slice(3, 6))]
        mean, half = found[f"{decoder}_gain"]
        assert (found[decoder], mean) == pytest.approx((score[1, k].mean(), np.mean(each)))
        # 12.706 is the quantile of Student's t with one degree of freedom.
        assert half == pytest.approx(12.706 * abs(each[0] - each[1]) / 2, rel=1e-3)
    assert found["fit_seconds"] == 2.5


def test_leads_on_texts_are_those_of_the_report(results):
    found = tables.ahead_on_texts(results)
    parts = re.split(r"^(scipy|python|sklearn)$", report_of("texts"), flags=re.M)[1:]
    line, n = r"^ *(LSA|TF-IDF) +([\d.]+|inf) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+) +[\d.]+$", 0
    for data, text in zip(parts[::2], parts[1::2], strict=True):
        for name, labels, mean, low, high in re.findall(line, text, re.M):
            row = found.loc[(data, float(labels), name)]
            # The report has others less ours.
            expected = [-float(mean), -float(high), -float(low)]
            assert row[["mean", "low", "high"]].tolist() == pytest.approx(expected, abs=6e-4)
            n += 1
    assert n == len(found) == 24
