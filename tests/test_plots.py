from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from sklearn_mi.evaluation import DIAGNOSTICS, compare
from sklearn_mi.plots import (
    COLOURS,
    DIRECTIONS,
    INNERMOST,
    BoundsDisplay,
    ConvergenceDisplay,
    DiagnosticsDisplay,
    EmbeddingDisplay,
    LabelEfficiencyDisplay,
    PointwiseDisplay,
    StaircaseDisplay,
    StudyDisplay,
)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def summary():
    # Out of order, as a table from several runs may be.
    return pd.DataFrame(
        [
            ("ours", "logistic", np.inf, 1438, 0.96, 0.95, 0.97),
            ("ours", "logistic", 1.0, 10, 0.84, 0.80, 0.88),
            ("ours", "knn", 1.0, 10, 0.83, 0.80, 0.86),
            ("raw", "logistic", 1.0, 10, 0.65, 0.60, 0.70),
            ("raw", "logistic", np.inf, 1438, 0.97, 0.95, 0.99),
            ("spread", "own", 1.0, 10, 0.80, 0.75, 0.85),
        ],
        columns=["name", "probe", "labels_per_class", "n_labelled", "mean", "low", "high"],
    )


def test_lines_and_bands_are_the_summarys_numbers(summary):
    display = LabelEfficiencyDisplay(summary).plot()
    assert list(display.lines_) == ["ours", "raw", "spread"]
    np.testing.assert_array_equal(display.lines_["ours"].get_xydata(), [[10, 0.84], [1438, 0.96]])
    band = display.ax_.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in band} >= {
        (10, 0.80), (10, 0.88), (1438, 0.95), (1438, 0.97)
    }  # fmt: skip


def test_ticks_are_labels_per_class_on_a_log_axis(summary):
    ax = LabelEfficiencyDisplay(summary).plot().ax_
    ticks = {label.get_text(): tick for label, tick in zip(
        ax.get_xticklabels(), ax.get_xticks(), strict=True)}  # fmt: skip
    assert ticks == {"1": 10, "all": 1438}
    assert ax.get_xscale() == "log"


def test_classifiers_are_dashed_and_all_are_in_the_legend(summary):
    display = LabelEfficiencyDisplay(summary).plot()
    assert [line.get_linestyle() for line in display.lines_.values()] == ["-", "-", "--"]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["ours", "raw", "spread"]


def test_another_probe(summary):
    display = LabelEfficiencyDisplay.from_table(summary, probe="knn")
    assert list(display.lines_) == ["ours", "spread"]
    with pytest.raises(ValueError, match="probe='svm'; expected one of .*'knn'"):
        LabelEfficiencyDisplay(summary).plot(probe="svm")
    with pytest.raises(ValueError, match="no column 'low'"):
        LabelEfficiencyDisplay(summary.drop(columns="low")).plot()


def test_embedding_of_codes_is_their_principal_plane():
    Z = np.random.RandomState(0).randn(60, 5) * [5, 4, 1, 1, 1]
    y = np.repeat(["a", "b", "c"], 20)
    display = EmbeddingDisplay.from_codes(Z, y)
    np.testing.assert_allclose(display.embedding, PCA(2).fit_transform(Z), atol=1e-9)
    drawn = [group.get_offsets() for group in display.ax_.collections]
    np.testing.assert_array_equal(np.concatenate(drawn), display.embedding)
    names = {text.get_text(): text.get_position() for text in display.ax_.texts}
    assert list(names) == ["a", "b", "c"]
    for name, position in names.items():
        assert position in {tuple(point) for point in display.embedding[y == name]}


def test_two_columns_are_drawn_as_they_are_and_without_classes():
    Z = np.random.RandomState(0).randn(20, 2)
    display = EmbeddingDisplay.from_codes(Z, method="tsne")
    np.testing.assert_array_equal(display.embedding, Z)
    assert len(display.ax_.collections) == 1
    assert not display.ax_.texts


def test_tsne_is_reproducible_and_keeps_far_groups_apart():
    Z = np.random.RandomState(0).randn(40, 4) + np.repeat([0, 50], 20)[:, None]
    first, second = (EmbeddingDisplay.from_codes(Z, method="tsne").embedding for _ in range(2))
    np.testing.assert_array_equal(first, second)
    distances = np.linalg.norm(first[:, None] - first, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert ((distances.argmin(axis=1) < 20) == (np.arange(40) < 20)).all()


def test_more_classes_than_colours():
    y = np.arange(13)
    display = EmbeddingDisplay(np.random.RandomState(0).randn(13, 2), y).plot()
    assert len(COLOURS) < 13
    assert [text.get_text() for text in display.ax_.texts] == [str(k) for k in range(13)]
    drawn = [tuple(group.get_facecolor()[0]) for group in display.ax_.collections]
    assert drawn[10:] == drawn[:3] and len(set(drawn)) == 10


@pytest.mark.parametrize("y", [np.linspace(0, 1, 120) ** 2, np.arange(120)])
def test_a_measurement_is_a_colour_scale(y):
    Z = np.random.RandomState(0).randn(120, 3)
    display = EmbeddingDisplay.from_codes(Z, y)
    (points,) = display.ax_.collections
    np.testing.assert_array_equal(points.get_array(), y)
    assert display.colorbar_.mappable is points and not display.ax_.texts
    assert EmbeddingDisplay.from_codes(Z, y > 50).colorbar_ is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0.5, np.nan, 1.0]}, "y has 1 missing values, the first in row 1"),
        ({"y": ["a", None, "b"]}, "y has 1 missing values, the first in row 1"),
        ({"y": [0, 1]}, "y has 2 values, but Z has 3 rows"),
        ({"y": np.eye(3)}, r"y has shape \(3, 3\)"),
        ({"Z": np.ones((3, 1))}, "Z has 1 columns; expected at least 2"),
        ({"Z": np.ones(3)}, r"Z has shape \(3,\)"),
        ({"Z": [[np.nan, 1, 1]] * 3}, "Z has NaN or infinity in 3 of 3 rows"),
        ({"Z": [["a", 1, 1]] * 3}, "Z holds a in column 0; expected numbers"),
        (
            {"Z": np.ones((101, 2)), "y": list(map(str, range(101)))},
            "y has 101 different names",
        ),
    ],
)
def test_codes_and_labels_that_cannot_be_drawn_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_codes(**({"Z": np.eye(3), "y": [0, 1, 1]} | change))
    assert not plt.get_fignums()


def test_an_embedding_has_two_columns_and_log_ratios_are_finite():
    with pytest.raises(ValueError, match="embedding has 3 columns; expected two: Emb.*from_codes"):
        EmbeddingDisplay(np.eye(3)).plot()
    with pytest.raises(ValueError, match="y has 2 values, but embedding has 3 rows"):
        EmbeddingDisplay(np.ones((3, 2)), [0, 1]).plot()
    with pytest.raises(ValueError, match="pointwise has NaN or infinity in 1 of 2 rows"):
        PointwiseDisplay([0.5, np.nan]).plot()


def test_unknown_method_is_named():
    with pytest.raises(ValueError, match="method='umap'; expected 'pca' or 'tsne'"):
        EmbeddingDisplay.from_codes(np.zeros((5, 3)), method="umap")


def test_given_axes_are_used(summary):
    figure, (left, right) = plt.subplots(1, 2)
    curve = LabelEfficiencyDisplay(summary).plot(left)
    points = EmbeddingDisplay(np.zeros((3, 2))).plot(right)
    assert (curve.ax_, points.ax_) == (left, right)
    assert curve.figure_ is points.figure_ is figure
    assert plt.get_fignums() == [figure.number]


@pytest.fixture
def study():
    rows = [
        ("cauchy", 0, 0, 0.5), ("cauchy", 0, 10, 0.7), ("cauchy", 1, 0, 0.7),
        ("cauchy", 1, 10, 0.8), ("bilinear", 0, 0, 0.4), ("bilinear", 0, 10, np.nan),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["critic", "seed", "step", "accuracy"])


def test_a_study_is_drawn_as_means_and_bands_of_one_deviation(study):
    display = StudyDisplay(study).plot("accuracy", by="critic")
    assert list(display.lines_) == ["cauchy", "bilinear"]
    np.testing.assert_allclose(display.lines_["cauchy"].get_xydata(), [[0, 0.6], [10, 0.75]])
    np.testing.assert_allclose(display.lines_["bilinear"].get_xydata(), [[0, 0.4]])
    band = display.ax_.collections[0].get_paths()[0].vertices
    half = np.sqrt(0.02)
    assert band[:, 1].max() == pytest.approx(max(0.6 + half, 0.75 + np.sqrt(0.005)))
    assert band[:, 1].min() == pytest.approx(0.6 - half)
    assert display.ax_.get_ylabel() == "accuracy" and display.ax_.get_xlabel() == "step"


def test_a_study_without_the_column_is_told(study):
    with pytest.raises(ValueError, match="no column 'infonce_test'"):
        StudyDisplay.from_table(study, "infonce_test", by="critic")
    with pytest.raises(ValueError, match="no column 'learner'"):
        StudyDisplay.from_table(study, "accuracy")


@pytest.fixture
def diagnosed():
    # Two folds, each row twice, as in a table of several draws.
    rows = [
        ("ours", 0, 18.0, -2.0, 2.2, 0.5), ("ours", 1, 22.0, -2.0, 2.2, 0.5),
        ("PCA", 0, 15.0, -3.0, 2.0, np.nan), ("PCA", 1, 15.0, -3.0, 2.0, np.nan),
        ("raw", 0, 10.0, -1.0, 1.8, np.nan), ("raw", 1, 10.0, -1.0, 1.8, np.nan),
    ]  # fmt: skip
    columns = ["name", "fold", "effective_rank", "uniformity", "v_information", "alignment"]
    return pd.DataFrame(rows + rows, columns=columns)


def test_outward_is_better_on_every_axis(diagnosed):
    display = DiagnosticsDisplay.from_table(diagnosed)
    # In alignment there is nobody to compare with.
    assert list(display.outward_) == ["v_information", "effective_rank", "uniformity"]
    expected = {"ours": [1, 1, 0.5], "PCA": [0.5, 0.5, 1], "raw": [0, 0, 0]}
    for name, values in expected.items():
        assert display.outward_.loc[name].tolist() == pytest.approx(values)
        angles, radii = display.lines_[name].get_data()
        assert radii == pytest.approx(
            [INNERMOST + (1 - INNERMOST) * v for v in [*values, values[0]]]
        )
        assert angles == pytest.approx([0, 2 * np.pi / 3, 4 * np.pi / 3, 0])
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels[1:] == [
        "effective rank\nmore is better\n10 to 20",
        "uniformity\nless is better\n-3 to -1",
    ]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["ours", "PCA", "raw"]


def test_ranks_ties_and_columns_of_ones_own(diagnosed):
    table = diagnosed.assign(size=diagnosed["name"].map({"ours": 1.0, "PCA": 2.0, "raw": 900.0}))
    directions = {"size": "more", "effective_rank": "less", "equal": "more"}
    display = DiagnosticsDisplay(table.assign(equal=7.0))
    outward = display.plot(directions=directions, scaling="rank").outward_
    assert outward["size"].tolist() == [0, 0.5, 1]
    assert outward["effective_rank"].tolist() == [0, 0.5, 1]
    assert outward["equal"].tolist() == [0.5, 0.5, 0.5]
    in_proportion = display.plot(directions=directions).outward_
    assert in_proportion["size"].tolist() == pytest.approx([0, 1 / 899, 1])


def test_a_missing_or_infinite_number_is_a_gap(diagnosed):
    table = diagnosed.replace({"uniformity": {-1.0: np.inf}})
    directions = {"uniformity": "less", "alignment": "less", "v_information": "more"}
    display = DiagnosticsDisplay.from_table(table, directions=directions)
    gaps = {name: np.isnan(line.get_ydata()).tolist() for name, line in display.lines_.items()}
    assert gaps == {
        "ours": [False] * 4,
        "PCA": [False, True, False, False],
        "raw": [True, True, False, True],
    }
    assert "-3 to -2" in display.ax_.get_xticklabels()[0].get_text()


def test_a_radar_of_what_compare_returns(digits):
    assert set(DIRECTIONS) == set(DIAGNOSTICS)
    table = compare(
        {"raw": None, "PCA": PCA(3)},
        digits[0][:100],
        digits[1][:100],
        labels_per_class=(None,),
        n_folds=2,
        probes=("knn",),
        diagnostics=True,
    )
    ax = plt.subplots(1, 2, subplot_kw={"projection": "polar"})[1][1]
    display = DiagnosticsDisplay.from_table(table, ax=ax)
    assert display.ax_ is ax and list(display.lines_) == ["raw", "PCA"]
    assert set(display.outward_) == set(DIAGNOSTICS) - {"alignment"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scaling": "z"}, "scaling='z'; expected 'min-max' or 'rank'"),
        ({"directions": {"speed": "more"}}, "no column 'speed'"),
        (
            {"directions": {"uniformity": "less"}},
            "expected three columns or more.*diagnostics=True",
        ),
        (
            {"directions": dict.fromkeys(["uniformity", "v_information", "fold"], "up")},
            r"directions\['uniformity'\]='up'; expected 'more' or 'less'",
        ),
    ],
)
def test_a_radar_refuses(diagnosed, settings, message):
    with pytest.raises(ValueError, match=message):
        DiagnosticsDisplay(diagnosed).plot(**settings)


def test_a_radar_needs_polar_axes_and_diagnostics(diagnosed):
    with pytest.raises(ValueError, match="ax is rectilinear; expected polar axes"):
        DiagnosticsDisplay(diagnosed).plot(plt.subplots()[1])
    with pytest.raises(ValueError, match="no column 'name'"):
        DiagnosticsDisplay(pd.DataFrame({"uniformity": [1.0]})).plot(
            directions={"uniformity": "less"}
        )
    with pytest.raises(ValueError, match="expected three columns or more"):
        DiagnosticsDisplay(diagnosed[["name", "fold"]]).plot()


@pytest.fixture
def ladder():
    return pd.DataFrame(
        {
            "value": [1.8, 1.9, 2.1],
            "low": [1.7, 1.8, 1.9],
            "high": [1.9, 2.0, 2.4],
            "status": ["lower", "lower", "neither"],
            "ceiling": [2.3, 60.0, np.inf],
        },
        index=["infonce", "interpolated", "smile"],
    )


def test_a_ladder_is_the_tables_numbers(ladder):
    display = BoundsDisplay(ladder, best_guess=(2.0, 1.9, 2.2), lower_limit=1.72).plot(true_mi=2.05)
    assert list(display.bars_) == ["infonce", "interpolated", "smile", "best guess"]
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == list(display.bars_)
    point, _, (interval,) = display.bars_["smile"]
    np.testing.assert_array_equal(point.get_xydata(), [[2.1, 2]])
    np.testing.assert_allclose(interval.get_segments()[0][:, 0], [1.9, 2.4])
    lines = [sorted(set(line.get_xdata())) for line in display.ax_.lines]
    assert [2.3] in lines and [1.72] in lines and [2.05] in lines
    assert [60.0] not in lines  # so far off that nothing else could be seen
    assert display.ax_.get_xlim()[1] < 3
    with pytest.raises(ValueError, match="no column 'ceiling'"):
        BoundsDisplay(ladder.drop(columns="ceiling")).plot()


def test_displays_of_an_estimator(ladder):
    curves = pd.DataFrame({"fold": 0, "candidate": "network", "step": [0, 50], "loss": [1.4, 1.2]})
    fitted = SimpleNamespace(
        bounds_=ladder,
        mi_=SimpleNamespace(value=2.0, interval=(1.9, 2.2), lower_limit=1.72),
        pointwise_=np.array([0.0, 1.0, 4.0]),
        curves_=curves,
    )
    assert BoundsDisplay.from_estimator(fitted).best_guess == (2.0, 1.9, 2.2)
    assert PointwiseDisplay.from_estimator(fitted, bins=4).counts_.tolist() == [1, 1, 0, 1]
    assert list(ConvergenceDisplay.from_estimator(fitted).lines_) == [("network", 0)]


def test_a_histogram_tells_its_mean_and_what_is_below_zero():
    display = PointwiseDisplay([-1.0, 1.0, 2.0, 4.0]).plot()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["mean 1.50", "25% below 0"]
    assert display.counts_.sum() == 4


def test_a_curve_has_a_point_at_its_best_step():
    curves = pd.DataFrame(
        [("network", fold, step, 1.2 + abs(step - 50) / 100 + fold) for fold in (0, 1)
         for step in (0, 50, 100)],
        columns=["candidate", "fold", "step", "loss"],
    )  # fmt: skip
    display = ConvergenceDisplay(curves).plot()
    assert list(display.lines_) == [("network", 0), ("network", 1)]
    points = [line.get_xydata().tolist() for line in display.ax_.lines if len(line.get_xdata()) < 2]
    assert points == [[[50, 1.2]], [[50, 2.2]]]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["network", "no information"]
    with pytest.raises(ValueError, match="expected an estimator with networks"):
        ConvergenceDisplay(curves[:0]).plot()


def test_a_staircase_is_averaged_over_samples():
    table = pd.DataFrame(
        {"name": ["a", "a", "a", "b"], "true_mi": [2, 2, 6, 2], "value": [1.8, 2.0, 5.0, 1.0]}
    )
    display = StaircaseDisplay.from_table(table, ceiling=4.16)
    np.testing.assert_allclose(display.lines_["a"].get_xydata(), [[2, 1.9], [6, 5]])
    np.testing.assert_allclose(display.lines_["b"].get_xydata(), [[2, 1]])
    assert not display.ax_.collections
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["a", "b", "truth", "ceiling"]
    banded = StaircaseDisplay(table.assign(low=table["value"] - 0.1, high=table["value"] + 0.2))
    band = banded.plot().ax_.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(1.8) and band[:, 1].max() == pytest.approx(5.2)
    with pytest.raises(ValueError, match="no column 'true_mi'"):
        StaircaseDisplay(table.drop(columns="true_mi")).plot()
