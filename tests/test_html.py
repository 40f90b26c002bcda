"""What a notebook shows of fitted estimators and numbers."""

import math
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sklearn_mi
from sklearn_mi import MIEstimator, MIRepresentationLearner
from sklearn_mi._base import SITE, DocLinkMixin
from sklearn_mi._html import STATUS_COLOURS, interval_chart, learner_html, line_chart
from sklearn_mi.ensemble import Ensemble
from sklearn_mi.information import NormalScores
from sklearn_mi.paper import AdversarialEncoder
from sklearn_mi.recipe import Choice
from sklearn_mi.reports import MIEstimate, missing

LARGEST = 60_000
VOID = {"br"}


class Reader(HTMLParser):
    """Holds text and elements, and refuses tags that do not pair up, scripts and addresses."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert tag not in {"script", "link", "img", "iframe"}
        assert len(names) == len(set(names))
        assert not [name for name in names if name in {"src", "href", "id"} or name[:2] == "on"]
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            assert "@import" not in data and "url(" not in data
            assert all(rule.startswith(".sklearn-mi") for rule in selectors(data))
        else:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def selectors(style):
    return [one for rule in style.split("}")[:-1] for one in rule.split("{")[0].split(",")]


def ours(estimator):
    """Return what stands behind scikit-learn's diagram."""
    html = estimator._repr_html_()
    diagram, found, own = html.partition('<div class="sklearn-mi">')
    assert "sk-top-container" in diagram and "</body>" in diagram
    assert len(own) < LARGEST and "http" not in own
    assert estimator._repr_mimebundle_()["text/html"].endswith(own)
    return Reader(found + own)


X = np.random.default_rng(0).normal(size=(60, 4))


def learner(**params):
    return MIRepresentationLearner(
        2, **{"encoder": "linear", "max_steps": 6, "random_state": 0, **params}
    )


def loaded(tmp_path):
    learner(early_stopping=2).fit(X).save(tmp_path / "file")
    return sklearn_mi.load(tmp_path / "file")


LEARNERS = {
    "plain": lambda _: learner().fit(X),
    "without a value": lambda _: learner(validation_fraction=0).fit(X[:12]),
    "stopped early": lambda _: learner(early_stopping=2, validation_fraction=0.3).fit(X),
    "gone on with": lambda _: learner(early_stopping=2).fit(X).partial_fit(X),
    "never fitted at once": lambda _: learner().partial_fit(X),
    "loaded": loaded,
    "images": lambda _: learner(encoder="auto", critic="auto", input_shape=(8, 8)).fit(
        np.random.default_rng(0).uniform(size=(40, 64))
    ),
    "two tables": lambda _: learner().fit(X[:, :2], X_pair=X[:, 2:]),
    "callables": lambda _: learner(encoder=lambda shape, width: torch.nn.Linear(4, width)).fit(X),
    "named columns": lambda _: learner().fit(pd.DataFrame(X, columns=["<b>", "</div>", "&", '"'])),
}


@pytest.mark.parametrize("case", LEARNERS)
def test_a_fitted_learner_shows_what_it_picked_reached_and_how(tmp_path, case):
    fitted = LEARNERS[case](tmp_path)
    shown = ours(fitted)
    for name, choice in fitted.choices_.items():
        assert name in shown.texts and choice.reason in shown.texts
    assert f"{fitted.n_iter_} training steps" in shown.text
    first, second = str(fitted.mi_).split("\n")
    assert first.split(",")[0] in shown.texts
    assert second.split("; ")[0] in shown.text
    assert all(warning in shown.text for warning in fitted.mi_.warnings)
    has_held_out = any("valid_bound" in row for row in fitted.history_)
    assert len(shown.all("polyline")) == 1 + has_held_out
    assert "nats" in shown.texts and "training steps" in shown.texts


def test_the_curve_counts_steps():
    fitted = learner(batch_size=20, max_steps=9).fit(X)
    assert len(fitted.history_) > 1
    (description,) = re.findall("<desc>(.*?)</desc>", learner_html(fitted))
    last = fitted.history_[-1]["train_bound"]
    assert description.endswith(f"at 2 to {last:.3g} at 9 training steps.")


def test_an_unfitted_estimator_shows_the_diagram_alone():
    for estimator in (MIRepresentationLearner(), MIEstimator()):
        assert "sk-top-container" in estimator._repr_html_()
        assert '<div class="sklearn-mi">' not in estimator._repr_html_()


def test_a_notebook_may_ask_for_text():
    fitted = learner().fit(X)
    with config_context(display="text"):
        assert not hasattr(fitted, "_repr_html_")
        assert list(fitted._repr_mimebundle_()) == ["text/plain"]
        assert fitted.mi_._repr_html_() is None
    assert "text/html" in fitted._repr_mimebundle_()


def test_a_pipeline_shows_its_own_diagram():
    y = np.arange(60) % 2
    pipe = make_pipeline(learner(), LogisticRegression()).fit(X, y)
    html = pipe._repr_html_()
    assert "MIRepresentationLearner" in html and "LogisticRegression" in html
    assert '<div class="sklearn-mi">' not in html


def test_what_users_write_is_escaped_and_cut():
    nasty = "<script>alert(1)</script>\"'&"
    mi = MIEstimate("InfoNCE", 1.0, 0.1, 5.0, 50, 50, "lower", (nasty,))
    faked = SimpleNamespace(
        mi_=mi,
        choices_={"view": Choice(nasty, nasty), "encoder": Choice("x" * 10_000, "long")},
        history_=[{"steps": 1, "train_bound": math.nan}],
        n_iter_=1,
    )
    html = learner_html(faked)
    assert nasty in Reader(html).text and "<script" not in html
    assert len(html) < 5000 and "no finite values" in html


# Mutual information


@pytest.fixture(scope="module")
def pairs():
    first, noise = np.random.default_rng(0).normal(size=(2, 80, 2))
    return first, first + noise


def estimator(**params):
    return MIEstimator(
        **{"max_steps": 5, "n_folds": 2, "split_test": False, "random_state": 0, **params}
    )


@pytest.fixture(scope="module")
def fitted(pairs):
    return estimator(confidence=0.9).fit(*pairs)


def test_a_fitted_estimator_shows_its_number_and_the_ladder(fitted):
    shown = ours(fitted)
    for line in str(fitted.mi_).split("\n"):
        assert line.split(", ", 1)[1].split("; ")[0] in shown.text
    assert all(warning in shown.texts for warning in fitted.mi_.warnings)
    assert "90 % interval" in shown.texts
    for name, row in fitted.bounds_.iterrows():
        assert name in shown.texts and f"{row['value']:.3f}" in shown.texts
        assert f"{row['low']:.3f} to {row['high']:.3f}" in shown.texts
    colours = [attrs["fill"] for tag, attrs in shown.elements if tag in {"circle", "path"}]
    expected = [STATUS_COLOURS[status] for status in fitted.bounds_["status"]]
    assert colours == ["currentColor", *expected]


def test_what_is_printed_of_a_best_guess_claims_no_bound(fitted):
    mi = fitted.mi_
    first, second = str(mi).split("\n")
    low, high = mi.interval
    assert first == (
        f"{mi.value:.3f} nats, 90 % interval {low:.3f} to {high:.3f}, "
        f"lower limit {fitted.guaranteed_.lower_limit:.3f}"
    )
    assert second.startswith(f"best guess: {mi.bound}, 80 pairs")
    assert "lower limit of guaranteed_" in second and "inf" not in second
    assert "a lower bound, 80 held-out pairs, ceiling" in str(fitted.guaranteed_)


def test_a_category_and_a_third_table_are_shown(pairs):
    first, second = pairs
    by_class = estimator().fit(first, np.arange(80) % 3)
    assert f"ceiling {by_class.mi_.ceiling:.2f}" in ours(by_class).text
    conditional = estimator(method="copula").fit(first, second[:, :1], second[:, 1:])
    shown = ours(conditional)
    assert "difference of two estimates, no bound, 80 pairs" in shown.text
    # A difference of bounds has no interval.
    assert shown.texts.count("none") == 2 * len(conditional.bounds_)
    assert "lower limit" not in str(conditional.mi_)


def test_an_interval_without_an_end_leaves_the_chart(pairs):
    first, _ = pairs
    copied = estimator(method="copula").fit(first, first)
    low, high = copied.mi_.interval
    assert copied.mi_.at_least and high == math.inf
    shown = ours(copied)
    assert f"at least {copied.mi_.value:.3f} nats" in shown.text
    assert f"best guess: {copied.mi_.value:.3f}, {low:.3f} and more." in shown.text
    assert not re.search(r"\b(inf|nan)\b", shown.text)
    arrows = [attrs for attrs in shown.all("path") if attrs["fill"] == "currentColor"]
    assert len(arrows) == 1


def test_no_ladder_stands_where_no_bound_is_known(pairs):
    first, second = pairs
    known = estimator().fit(first[:, :1], second[:, 0], second[:, 1:])
    assert known.bounds_ is None
    shown = ours(known)
    assert f"{known.mi_.value:.3f} nats" in shown.text
    assert shown.all("table") == shown.all("svg") == []


def test_a_number_shows_its_lines_and_warnings():
    number = MIEstimate("NWJ", 1.0, 0.1, math.inf, 1200, 50, "lower", ("a < b", "c"))
    shown = Reader(number._repr_html_())
    assert "NWJ, a lower bound, 1,200 held-out pairs" in shown.texts
    assert len(shown.all("li")) == 2 and "a < b" in shown.texts
    shown = Reader(missing("InfoNCE", "no rows & no value")._repr_html_())
    assert shown.texts.count("no rows & no value") == 1 and shown.all("li") == []


# Links


ESTIMATORS = {
    "sklearn_mi.MIRepresentationLearner": MIRepresentationLearner(),
    "sklearn_mi.MIEstimator": MIEstimator(),
    "sklearn_mi.ensemble.Ensemble": Ensemble(MIRepresentationLearner()),
    "sklearn_mi.information.NormalScores": NormalScores(),
    "sklearn_mi.paper.AdversarialEncoder": AdversarialEncoder(),
}


def links(estimator):
    found = re.findall(
        r'<a class="sk-estimator-doc-link[^>]*href="([^"]*)">\?', estimator._repr_html_()
    )
    return [link for link in found if "scikit-learn.org" not in link]


@pytest.mark.parametrize("path", ESTIMATORS)
def test_the_diagram_of_every_estimator_links_to_its_page(path, monkeypatch):
    page = DocLinkMixin._doc_link_template.removeprefix(SITE)
    monkeypatch.setattr(DocLinkMixin, "_doc_link_module", "sklearn_mi")
    monkeypatch.setattr(DocLinkMixin, "_doc_link_template", "https://example.org" + page)
    assert f"https://example.org{page.format(page=path)}" in links(ESTIMATORS[path])
    # Without a site there is nothing to link to.
    monkeypatch.setattr(DocLinkMixin, "_doc_link_module", "")
    assert links(ESTIMATORS[path]) == []


# Charts


def points(svg):
    return [
        [tuple(map(float, point.split(","))) for point in line["points"].split()]
        for line in Reader(svg).all("polyline")
    ]


def chart(x, y):
    return line_chart({"a & b": (x, y)}, x_label="x", y_label="y", title="<title>")


def test_lines_lie_where_their_values_say():
    svg = chart([0, 10, 40], [1.0, 3.0, 2.0])
    (line,) = points(svg)
    (x0, y0), (x1, y1), (x2, y2) = line
    # To a tenth of a pixel.
    assert (x1 - x0) / (x2 - x0) == pytest.approx(10 / 40, abs=1e-3)
    assert (y0 - y2) / (y0 - y1) == pytest.approx(1 / 2, abs=2e-3)
    assert y1 < y2 < y0
    shown = Reader(svg)
    ticks = [float(text) for text in shown.texts if re.fullmatch(r"-?[\d.,]+", text)]
    assert ticks == [0, 20, 40, 1, 2, 3]
    assert "a & b: from 1 at 0 to 2 at 40 x." in shown.texts
    assert shown.all("svg")[0]["role"] == "img" and shown.texts[0] == "<title>"


def test_points_that_are_not_finite_are_left_out():
    svg = chart([0, 1, 2, 3], [math.nan, 1, math.inf, 2])
    assert len(points(svg)[0]) == 2
    both = {"drawn": ([0], [1]), "empty": ([0], [math.nan])}
    shown = Reader(line_chart(both, x_label="x", y_label="y", title="t"))
    assert len(shown.all("circle")) == 1 and "empty" not in shown.texts
    for x, y in (([], []), ([0], [math.nan])):
        assert "no finite values" in chart(x, y) and points(chart(x, y)) == []


@pytest.mark.parametrize("y", [[0, 0], [5, 5], [1e-9, 2e-9], [-1e12, 1e12], [-3, 1e99]])
def test_any_span_has_a_few_ticks(y):
    shown = Reader(chart([0, 1], y))
    across, ends = shown.all("line"), shown.all("text")
    # Two axes and a legend, and a mark with its number a tick; two labels and a name.
    assert 4 <= len(across) - 3 == len(ends) - 3 <= 10
    height = float(shown.all("svg")[0]["height"])
    assert all(0 <= y <= height for _, y in points(chart([0, 1], y))[0])


def test_long_lines_are_thinned_and_keep_their_ends():
    x, y = np.arange(10_000), np.sin(np.arange(10_000))
    svg = chart(x, y)
    (line,) = points(svg)
    assert len(line) == 200 and len(svg) < 10_000
    ends = points(chart(x[[0, -1]], [y.min(), y.max()]))[0]
    assert (line[0][0], line[-1][0]) == (ends[0][0], ends[-1][0])


def intervals(rows, **how):
    return Reader(interval_chart(rows, x_label="nats", title="Bounds", **how))


def test_dots_and_intervals_lie_on_one_scale():
    rows = [("one", 1.0, 0.0, 2.0, "#0072B2"), ("two", 4.0, math.nan, math.nan, "currentColor")]
    shown = intervals(rows, ceilings=[math.inf, 5.0])
    one, two = (float(dot["cx"]) for dot in shown.all("circle"))
    (line,) = [line for line in shown.all("line") if line.get("stroke") == "#0072B2"]
    (mark,) = [line for line in shown.all("line") if line.get("stroke-width") == "3"]
    unit = (two - one) / 3
    assert float(line["x2"]) - float(line["x1"]) == pytest.approx(2 * unit, abs=0.2)
    assert float(mark["x1"]) - two == pytest.approx(unit, abs=0.2)
    assert mark["x1"] == mark["x2"] and "two: 4.000, no interval." in shown.text
    # The same mark, far away.
    assert (
        len(intervals(rows, ceilings=[math.inf, 500.0]).all("line")) == len(shown.all("line")) - 1
    )


def test_what_lies_beyond_the_limits_is_an_arrow():
    rows = [("good", 1.0, 0.5, 1.5, "red"), ("bad", -4000.0, -9000.0, 1000.0, "grey")]
    shown = intervals(rows, limits=(0.0, 2.0))
    assert len(shown.all("circle")) == len(shown.all("path")) == 1
    width = float(shown.all("svg")[0]["width"])
    assert all(0 <= float(line[end]) <= width for line in shown.all("line") for end in ("x1", "x2"))
    assert "-4000.000" in shown.text


def test_an_end_at_infinity_is_an_arrow_at_the_edge():
    rows = [("more", 1.0, 0.5, math.inf, "red"), ("known", 2.0, 1.0, 3.0, "blue")]
    shown = intervals(rows)
    (line,) = [line for line in shown.all("line") if line.get("stroke") == "red"]
    (arrow,) = shown.all("path")
    edge = max(float(rule["x2"]) for rule in shown.all("line"))
    assert float(line["x2"]) == edge and arrow["fill"] == "red"
    assert float(arrow["d"][1:].split()[0]) == edge + 6
    assert "more: 1.000, 0.500 and more." in shown.text
    alone = intervals(rows[:1]).all("path")
    assert len(alone) == 1


def test_rows_without_a_value_are_named():
    nan = math.nan
    assert "none, no interval" in intervals([("a", nan, nan, nan, "red"), ("b", 1, 0, 2, "")]).text
    assert "no finite values" in intervals([("a", nan, nan, nan, "red")]).text
    assert "no finite values" in intervals([]).text
    assert "x..." in intervals([("x" * 500, 1, 0, 2, "red")]).text


def test_links_follow_the_public_path_of_a_class(monkeypatch):
    monkeypatch.setattr(DocLinkMixin, "_doc_link_module", "sklearn_mi")
    monkeypatch.setattr(DocLinkMixin, "_doc_link_template", "{page}")
    at_the_top = type("MIRepresentationLearner", (DocLinkMixin, BaseEstimator), {})
    at_the_top.__module__ = "sklearn_mi.learner"
    in_a_room = type("Crop", (DocLinkMixin, BaseEstimator), {"__module__": "sklearn_mi.views.base"})
    theirs = type("Theirs", (DocLinkMixin, BaseEstimator), {"__module__": "theirs"})
    found = [links(estimator()) for estimator in (at_the_top, in_a_room, theirs)]
    assert found == [["sklearn_mi.MIRepresentationLearner"], ["sklearn_mi.views.Crop"], []]
