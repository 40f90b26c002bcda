"""The report on a data set: its page as a browser reads it, its numbers, and what it says."""

import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from scipy.stats import entropy as entropy_of
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.evaluation import differences
from sklearn_mi.summary import Report, report
from sklearn_mi.summary.code import Split, reproduce
from sklearn_mi.summary.data import read_data
from sklearn_mi.summary.measures import (
    OURS,
    RAW,
    column_information,
    draw_rows,
    fit_features,
    plan_comparison,
)
from sklearn_mi.summary.page import clean
from sklearn_mi.summary.words import conclusion, counted, information_said, listed

VOID = {"meta", "img", "br", "line", "circle", "polyline", "path"}
HOSTILE = "<script>alert('x')</script> & \"quoted\" $x_1$ \x00\ud800."


def quick(X, y=None, **how):
    settings = {"learner": MIRepresentationLearner(max_steps=2), "random_state": 0, "n_draws": 1}
    return report(X, y, **{**settings, "labels_per_class": (1, 2), "n_folds": 2, **how})


class Page(HTMLParser):
    """Tags that were opened, in order; fails where one is closed that is not open."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def mixed(n=60):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "weight": rng.normal(size=n),
            HOSTILE.replace("\ud800", ""): rng.integers(0, 9, n),
            "colour": rng.choice(["red", "green", "blue"], n),
            "flag": rng.random(n) < 0.5,
            "id": [f"row {k}" for k in range(n)],
            "day": pd.date_range("2020-01-01", periods=n),
            "nothing": np.nan,
            "constant": 1.0,
            "class": rng.choice(["a", "b"], n),
        }
    )
    frame.loc[:4, "size"] = np.nan
    frame.loc[3, "colour"] = None
    return frame


@pytest.fixture(scope="module")
def page_of_classes():
    return quick(mixed(), "class", title=f"A title of {HOSTILE}")


@pytest.fixture(scope="module")
def every_page(page_of_classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return [
        page_of_classes,
        quick(X, X[:, 0] + rng.normal(size=60)),
        quick(X),
        quick(rng.random((40, 4, 4)), np.tile(["x", "y"], 20)),
    ]


# The page


def test_pages_are_whole_and_stand_alone(every_page):
    for made in every_page:
        assert made.html.startswith("<!DOCTYPE html>\n")
        page = Page(made.html)
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert [key for key, n in Counter(ids).items() if n > 1] == []
        assert all(attrs.get("alt", "").strip() for attrs in page.all("img"))
        assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.all("img"))
        assert {attrs["href"] for attrs in page.all("a")} <= {f"#{key}" for key in ids}
        assert page.all("html")[0]["lang"] == "en"
        assert not page.all("script") and not page.all("link")
        assert not re.search(r"@import|url\(", made.html)
        assert len(made.html.encode()) < 1.5e6


def test_headings_are_in_order_and_cells_have_a_scope(every_page):
    for made in every_page:
        page = Page(made.html)
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1 and set(levels[1:]) == {2}
        assert {attrs["scope"] for attrs in page.all("th")} == {"col", "row"}
        assert len(page.all("caption")) == len(page.all("table"))


def test_sections(every_page):
    ids = [[attrs["id"] for attrs in Page(made.html).all("section")] for made in every_page]
    whole = ["few-labels", "map", "shape", "information", "learner", "code"]
    assert ids == [whole, whole, ["map", "shape", "learner", "code"], whole]
    assert "scores" not in every_page[2].tables


def test_hostile_names_are_text(page_of_classes):
    html = page_of_classes.html
    assert "<script" not in html and "\x00" not in html
    html.encode("utf-8")
    assert "alert('x')" in Page(html).words


def luminance(colour):
    parts = [
        int(c * 2 if len(colour) == 4 else c, 16) / 255
        for c in re.findall("." if len(colour) == 4 else "..", colour[1:])
    ]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def test_words_stand_out_on_light_and_dark(page_of_classes):
    schemes = re.findall(r":root\{([^}]*)\}", page_of_classes.html)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", scheme))
        for ink in ("ink", "soft", "mark"):
            for paper in ("paper", "box", "tint"):
                pair = sorted([luminance(colours[ink]), luminance(colours[paper])])
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (ink, paper)


def test_the_page_says_what_was_left_out(page_of_classes):
    words = Page(page_of_classes.html).words
    assert "Left out: id (text of 60 different values)." in words
    assert "Left out: day (dates or times)." in words
    assert "Left out: nothing (all values are missing)." in words
    assert "One value only, so without effect: constant." in words
    assert "2 columns have missing values" in words
    assert "colour and flag" in words
    table = page_of_classes.tables["columns"].set_index("name")
    assert table.loc["class", "left_out"] == "the label"
    assert table.loc["size", "missing"] == 5


def test_equal_seeds_give_equal_pages():
    first, second = (quick(load_iris().data[:60]).html for _ in range(2))
    times = r"in [\d.]+ s"
    assert re.sub(times, "", first) == re.sub(times, "", second)


def test_a_notebook_shows_the_page_in_a_frame(page_of_classes):
    frame = Page(page_of_classes._repr_html_()).all("iframe")[0]
    assert frame["srcdoc"] == page_of_classes.html
    assert "sandbox" in frame and frame["title"]


def test_verbose_tells_what_is_computed(capsys):
    quick(load_iris().data, verbose=True)
    said = capsys.readouterr()
    assert "Training features on 112 rows." in said.err and said.out == ""
    quick(load_iris().data)
    assert capsys.readouterr() == ("", "")


# Files


def test_save_writes_whole_files_and_replaces_none(tmp_path):
    page = Report("<p>page é</p>", {}, "title")
    path = page.save(tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == page.html
    with pytest.raises(FileExistsError, match=r"is there already; pass overwrite=True"):
        Report("other", {}, "title").save(str(path))
    assert path.read_text(encoding="utf-8") == page.html
    Report("other", {}, "title").save(path, overwrite=True)
    assert path.read_text() == "other"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_save_says_what_is_wrong_with_a_path(tmp_path):
    page = Report("<p>", {}, "title")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        page.save(tmp_path / "absent" / "page.html")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        page.save(tmp_path, overwrite=True)


# The conclusion


def found(*rows, name=OURS):
    columns = ["labels_per_class", "mean", "p_holm"]
    return pd.DataFrame(rows, columns=columns).assign(name=name)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [(1.0, 0.21, 0.01), (5.0, 0.05, 0.02), (20.0, 0.0, 0.9)],
            "With 1 label a class, learned features are 21 points more accurate than the columns "
            "as they are.",
        ),
        (
            [(5.0, -0.0104, 0.01), (20.0, 0.5, 0.06)],
            "With 5 labels a class, learned features are 1 point less accurate than the columns "
            "as they are.",
        ),
        (
            [(20.0, -0.004, 0.01), (1.0, 0.04, 0.01)],
            "With 1 label a class, learned features are 4 points more accurate than the columns "
            "as they are, but with 20 labels a class, they are 0.4 points less accurate.",
        ),
        (
            [(1.0, 0.3, 0.06), (5.0, 0.0, 1.0), (np.inf, -0.1, np.nan)],
            "With 1, 5 or all labels, no difference between learned features and the columns as "
            "they are is beyond chance.",
        ),
        (
            [(1.0, 0.3, 0.05)],
            "With 1 label a class, no difference between learned features and the columns as they "
            "are is beyond chance.",
        ),
    ],
)
def test_conclusion(rows, sentence):
    other = found((1.0, 0.9, 0.0), name="PCA")
    assert conclusion(pd.concat([other, found(*rows)])) == sentence


def test_conclusion_of_a_measurement():
    rows = found((10.0, 0.123, 0.01), (50.0, -0.02, 0.01))
    assert conclusion(rows, is_measurement=True) == (
        "With 10 labels, R² of learned features is 0.12 higher than that of the columns as they "
        "are, but with 50 labels, it is 0.02 lower."
    )
    none = found((10.0, 0.1, 0.5), (50.0, 0.0, 0.5))
    assert conclusion(none, is_measurement=True, reference="PCA") == (
        "With 10 or 50 labels, no difference between learned features and PCA is beyond chance."
    )


def test_a_planted_table_reaches_the_conclusion():
    rows = [
        (name, fold, 0.5 + gain * (name == OURS) + 0.01 * fold)
        for name in (RAW, OURS)
        for fold in range(4)
        for gain in [0.3 + 0.001 * fold]
    ]
    table = pd.DataFrame(rows, columns=["name", "fold", "accuracy"]).assign(
        probe="logistic", scale="common", labels_per_class=5.0, n_labelled=10, n_train=30, n_test=10
    )
    assert conclusion(differences(table, RAW)).startswith(
        "With 5 labels a class, learned features are 30 points more accurate"
    )


def test_phrases():
    assert counted(1, "row") == "1 row" and counted(2000, "class", "classes") == "2,000 classes"
    assert listed(["a"]) == "a" and listed([1, 5, 20], last="or") == "1, 5 or 20"
    assert listed("abcd", most=2) == "a, b and 2 more"
    assert clean("a\x00b\ud800") == "a\N{REPLACEMENT CHARACTER}b?"


# Information of columns


def test_information_of_a_noisy_channel_is_the_closed_form():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 20000)
    flipped = np.where(rng.random(20000) < 0.1, 1 - y, y)
    frame = pd.DataFrame({"noise": rng.normal(size=20000), "flipped": flipped, "name": flipped})
    frame["name"] = frame["name"].map({0: "no", 1: "yes"})
    table, nats = column_information(read_data(frame, y), np.arange(20000))
    truth = np.log(2) - entropy_of([0.1, 0.9])
    for name in ("flipped", "name"):
        assert table.loc[name, "value"] == pytest.approx(truth, abs=0.01)
        assert table.loc[name, "low"] < truth < table.loc[name, "high"]
        assert table.loc[name, "p_value"] < 1e-9
    assert table.index[-1] == "noise" and table.loc["noise", "p_value"] > 0.05
    assert nats == pytest.approx(np.log(2), abs=1e-3)


def test_information_tests_hold_their_level_and_lose_their_bias():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 80))
    y = rng.integers(0, 3, 200)
    table, _ = column_information(read_data(X, y), np.arange(200))
    # Of 80 columns without information none is named.
    assert (table["p_adjusted"] >= 0.05).all()
    assert table["value"].median() < 0.01
    assert information_said(table, 1.1, "y") == [
        "No column is distinguishable from one without information about y."
    ]


def test_information_of_a_gaussian_pair_is_near_its_closed_form():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 5000))
    y = 0.8 * x + 0.6 * noise
    table, _ = column_information(read_data(x[:, None], y), np.arange(5000))
    assert table["value"].iloc[0] == pytest.approx(0.5108, abs=0.04)
    assert table["low"].iloc[0] < 0.5108 < table["high"].iloc[0]


def test_missing_values_are_a_class():
    y = np.tile([0, 1], 100)
    x = np.where(y == 0, np.nan, np.arange(200.0))
    table, nats = column_information(read_data(x[:, None], y), np.arange(200))
    assert table["value"].iloc[0] == pytest.approx(nats, abs=0.03)


def test_ties_and_zeros_are_said():
    table = pd.DataFrame(
        {
            "value": [0.5, 0.48, 0.0],
            "low": [0.4, 0.4, 0.0],
            "high": [0.6, 0.5, 0.1],
            "p_adjusted": [0.0, 0.0, 0.7],
        },
        index=["a", "b", "c"],
    )
    said = " ".join(information_said(table, 0.69, "the label"))
    assert "Alone, a tells most about the label: 0.50 of 0.69 nats." in said
    assert "The intervals of 2 columns reach that of the first" in said
    assert "Not distinguishable from 0: c." in said


# What becomes of rows


def test_code_runs_and_gives_the_codes_of_the_page():
    learner = MIRepresentationLearner(max_steps=2, random_state=3)
    text = pd.array(["a", None] * 30, dtype="string")
    for X, y in [
        (mixed(), "class"),
        (mixed().assign(gap=text), "class"),
        (load_wine(as_frame=True).frame, "target"),
        (load_iris().data, None),
        (pl.from_pandas(mixed().drop(columns=["id", "nothing"])), "class"),
        (pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=[2, 0, 1]), None),
        (np.random.default_rng(0).random((40, 4, 4)), None),
        (np.where(np.eye(40, 5) > 0, np.nan, np.arange(200.0).reshape(40, 5)), None),
    ]:
        data = read_data(X, y)
        rows = draw_rows(data, 50, 3)
        fitted = fit_features(data, learner, rows)
        names = {"X": X}
        exec(reproduce(data, learner, rows.split), names)
        np.testing.assert_array_equal(names["Z"], fitted.codes)


def test_code_of_the_page_is_what_ran(page_of_classes):
    shown = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", page_of_classes.html, re.S)
    names = {"X": mixed()}
    code = Page(f"<pre>{shown[1]}</pre>").text
    exec("".join(code), names)
    assert names["Z"].shape[0] == 15


def test_the_page_says_where_columns_are_kept_and_nothing_is_trained():
    page = quick(mixed(), "class", learner=MIRepresentationLearner())
    words = Page(page.html).words
    assert "keeps the columns, scaled, and trains nothing; n_components=16 learns a code." in words
    assert "The bound that training maximises" not in words
    assert page.tables["choices"].set_index("parameter").loc["max_steps", "picked"] == "0"


def test_a_learner_of_other_kind_goes_by_its_name():
    data = read_data(load_iris().data)
    learner = PCA(2)
    code = reproduce(data, learner, Split(100, 50, 0))
    names = {"X": load_iris().data, "learner": learner}
    exec(code, names)
    assert names["Z"].shape == (50, 2)
    page = quick(load_iris().data, load_iris().target, learner=learner)
    assert "PCA trained on 112 rows" in Page(page.html).words
    assert sorted(page.tables)[:2] == ["columns", "diagnostics"]


def test_frames_of_polars_and_pandas_give_equal_numbers():
    frame = mixed().drop(columns=["nothing", "id", "day"])
    pages = [quick(X, "class").tables for X in (frame, pl.from_pandas(frame))]
    for name in ("scores", "information", "diagnostics"):
        pd.testing.assert_frame_equal(pages[0][name], pages[1][name])


def test_rows_without_a_label_and_rare_classes_are_left_out_and_said():
    X = np.random.default_rng(0).normal(size=(50, 3))
    y = pd.Series(["a", "b"] * 25, dtype=object)
    y[:4], y[4] = None, "rare"
    page = Page(quick(X, y, labels_per_class=(1, 400)).html).words
    assert "4 rows without a label are left out." in page
    assert "Left out here, with fewer rows than folds: class rare." in page
    assert "A fold has too few rows for 400 labels a class." in page


def test_many_rows_are_drawn():
    X = np.random.default_rng(0).normal(size=(90, 3))
    page = quick(X, X[:, 0] > 0, max_rows=40)
    assert "All numbers are those of 40 rows, drawn at random (max_rows)." in Page(page.html).words
    assert "Of 10 held-out rows" in Page(page.html).words


def test_the_label_is_not_a_column_where_it_stands_in_the_table():
    frame = mixed()
    columns = read_data(frame, frame["class"]).columns.set_index("name")
    assert columns.loc["class", "left_out"] == "the label"


@pytest.mark.parametrize(
    ("y", "is_measurement"),
    [
        (np.arange(40) % 2, False),
        (np.arange(40) % 2 + 0.5, True),
        (np.arange(40), True),
        (np.arange(40).astype(str), False),
        (np.arange(40) % 2 == 0, False),
    ],
)
def test_labels_are_classes_or_a_measurement(y, is_measurement):
    assert read_data(np.eye(40), y).is_measurement == is_measurement


def test_labels_of_a_measurement_are_counted_in_all():
    data = read_data(np.eye(60), np.linspace(0, 1, 60))
    plan = plan_comparison(data, np.arange(60), (1, 3, 20, None), 3, 1)
    assert plan.labels == (10, 30, None) and plan.dropped == [200]


def test_y_is_never_seen_in_training():
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = np.tile([0, 1], 30)
    pages = [quick(X, labels) for labels in (y, 1 - y[::-1], None)]
    for page in pages[1:]:
        pd.testing.assert_frame_equal(page.tables["training"], pages[0].tables["training"])


# Errors


@pytest.mark.parametrize(
    ("X", "y", "how", "error", "message"),
    [
        (np.eye(1), None, {}, ValueError, "X has 1 row; expected at least 16."),
        (np.eye(20), np.arange(5), {}, ValueError, "y has 5 values, but X has 20 rows"),
        (np.eye(20), np.ones(20), {}, ValueError, "y has one value only, 1.0; expected two"),
        (np.eye(20), [None] * 20, {}, ValueError, "y has missing values only"),
        (np.eye(20), "class", {}, ValueError, "y='class' names a column, but X is an array"),
        (pd.DataFrame(np.eye(20)), "class", {}, ValueError, "y='class'; expected a column of X"),
        (np.ones((20, 2)), None, {}, ValueError, r"no column that can be used \(one value only\)"),
        (np.full((20, 2), np.nan), None, {}, ValueError, "all values are missing"),
        (mixed()[["id", "day"]], None, {}, ValueError, "dates or times, text of 60 different"),
        (np.arange(20.0), None, {}, ValueError, r"X has shape \(20,\); expected \(n_rows, n_col"),
        (np.full((20, 3, 3), np.nan), None, {}, ValueError, "no observed step, only NaN"),
        (sparse.eye(20), None, {}, TypeError, r"X is sparse; .*X.toarray\(\)"),
        (pd.DataFrame(np.eye(20, 2), columns=["a", "a"]), None, {}, ValueError, "of the name 'a'"),
        (pd.DataFrame(np.eye(20, 2), columns=["a", 1]), None, {}, ValueError, r"astype\(str\)"),
        (np.eye(20), np.arange(20).astype(str), {}, ValueError, "fewer than two classes of at lea"),
        (np.eye(20), None, {"max_rows": 3}, ValueError, "max_rows=3; expected a whole number of"),
        (np.eye(20), None, {"n_folds": 1}, ValueError, "n_folds=1; expected a whole number of"),
        (np.eye(20), None, {"n_draws": 0}, ValueError, "n_draws=0; expected"),
        (np.eye(20), None, {"labels_per_class": (0,)}, ValueError, r"labels_per_class=\(0,\); exp"),
        (np.eye(20), None, {"labels_per_class": 5}, ValueError, "labels_per_class=5; expected"),
        (np.eye(20), None, {"effort": "huge"}, ValueError, "effort='huge'; expected one of"),
        (np.eye(20), None, {"learner": 3}, TypeError, "learner=3; expected a transformer"),
    ],
)
def test_mistakes_are_told_in_one_sentence(X, y, how, error, message):
    with pytest.raises(error, match=message) as caught:
        quick(X, y, **how)
    assert "\n" not in str(caught.value) and caught.value.__cause__ is None


def test_matplotlib_is_an_extra(monkeypatch):
    monkeypatch.setattr("sklearn_mi.summary.assembly.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs matplotlib.*sklearn-mi\[plots\]"):
        report(np.eye(20))


def test_the_smallest_tables():
    X = np.random.default_rng(0).normal(size=(16, 1))
    page = quick(X, np.arange(16) % 2, labels_per_class=(1,))
    assert {"scores", "information"} <= set(page.tables)


def test_a_measurement_of_few_whole_numbers_has_a_colour_bar():
    X = np.random.default_rng(0).normal(size=(80, 2))
    alts = [attrs["alt"] for attrs in Page(quick(X, np.arange(80)).html).all("img")]
    assert len(alts) == 2 and all("coloured by y from " in alt for alt in alts)


def test_names_of_arrow_and_of_channels_are_kept_and_what_holds_no_rows_is_refused():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    assert read_data(pa.Table.from_pandas(frame)).columns["name"].tolist() == ["a", "b"]
    recordings = read_data([frame[i : i + 3] for i in range(40)])
    assert recordings.channels == ("a", "b")
    assert recordings.columns["name"].tolist() == [f"{c} at {t}" for t in range(3) for c in "ab"]
    for rows, cure in ((pl.from_pandas(frame).lazy(), "X.collect"), ({"a": 1.0}, "pandas.Data")):
        with pytest.raises(TypeError, match=cure):
            read_data(rows)
