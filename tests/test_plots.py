import inspect
from itertools import combinations
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from sklearn_mi import MIRepresentationLearner, plots
from sklearn_mi.evaluation import DIAGNOSTICS, compare
from sklearn_mi.plots import (
    COLOURS,
    DIRECTIONS,
    INNERMOST,
    BoundsDisplay,
    ColumnsDisplay,
    ConvergenceDisplay,
    DiagnosticsDisplay,
    EmbeddingDisplay,
    LabelEfficiencyDisplay,
    PointwiseDisplay,
    StaircaseDisplay,
    StudyDisplay,
    TrainingDisplay,
)
from sklearn_mi.plots.style import contrast, paper


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


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
    ours = next(c for c in display.ax_.containers if isinstance(c, ErrorbarContainer))
    (intervals,) = ours.lines[2]
    drawn = [segment.tolist() for segment in intervals.get_segments()]
    np.testing.assert_allclose(drawn, [[[10, 0.80], [10, 0.88]], [[1438, 0.95], [1438, 0.97]]])
    assert not display.ax_.patches


def test_contestants_stand_side_by_side(summary):
    display = LabelEfficiencyDisplay(summary).plot()
    display.figure_.draw_without_rendering()
    places = [
        line.get_transform().transform(line.get_xydata()[:1])[0, 0]
        for line in display.lines_.values()
    ]
    gaps = np.diff(places) * 72 / display.figure_.dpi
    assert gaps == pytest.approx([3, 3])
    inside = display.ax_.get_window_extent()
    assert inside.x0 < min(places) and max(places) < inside.x1


def test_accuracies_end_at_one(summary):
    # Student's t of few folds passes it.
    wide = summary.assign(high=summary["high"] + 0.2, low=summary["low"] - 0.9)
    ax = LabelEfficiencyDisplay(wide).plot(highlight="raw").ax_
    ends = [s for c in ax.containers for s in np.concatenate(c.lines[2][0].get_segments())[:, 1]]
    assert min(ends) == 0 and max(ends) == 1
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert min(band) == 0 and max(band) == 1
    assert 1 <= ax.get_ylim()[1] < 1.03 and -0.03 < ax.get_ylim()[0] <= 0
    ticks = [t for t in ax.get_yticks() if ax.get_ylim()[0] <= t <= ax.get_ylim()[1]]
    assert max(ticks) <= 1 + 1e-9 and min(ticks) >= -1e-9


def test_a_highlighted_contestant_is_thick_in_front_and_first_in_colour(summary):
    display = LabelEfficiencyDisplay.from_table(summary, highlight="raw")
    widths = {name: line.get_linewidth() for name, line in display.lines_.items()}
    assert widths["raw"] > 2 * max(widths["ours"], widths["spread"])
    assert display.lines_["raw"].get_zorder() > display.lines_["ours"].get_zorder()
    assert to_rgb(display.lines_["raw"].get_color()) == to_rgb(COLOURS[0])
    assert len({line.get_color() for line in display.lines_.values()}) == 3
    assert len(display.ax_.collections) == 4  # one band beside the intervals
    with pytest.raises(ValueError, match="highlight='Ours'; expected one of .*Did you mean 'ours'"):
        LabelEfficiencyDisplay(summary).plot(highlight="Ours")


def test_nobody_shares_the_colour_of_the_highlighted():
    names = [f"rival {k}" for k in range(12)]
    rows = [(name, "knn", 1.0, 10, 0.5, 0.4, 0.6) for name in names]
    table = pd.DataFrame(
        rows, columns=["name", "probe", "labels_per_class", "n_labelled", "mean", "low", "high"]
    )
    lines = LabelEfficiencyDisplay(table).plot(probe="knn", highlight="rival 11").lines_
    assert [n for n in names if lines[n].get_color() == lines["rival 11"].get_color()] == [
        "rival 11"
    ]


def test_one_fold_has_no_interval_and_what_has_no_mean_is_left_out(summary):
    bare = summary.assign(low=np.nan, high=np.nan)
    bare.loc[0, "mean"] = np.nan
    display = LabelEfficiencyDisplay(bare).plot(highlight="ours")
    np.testing.assert_array_equal(display.lines_["ours"].get_xydata(), [[10, 0.84]])
    display.figure_.draw_without_rendering()
    with pytest.raises(ValueError, match="no number in column 'mean' for probe='knn'"):
        LabelEfficiencyDisplay(summary[1:3].assign(mean=np.nan)).plot(probe="knn")


def test_several_data_sets_at_once_are_refused(summary):
    with pytest.raises(ValueError, match="several rows of 'ours' at labels_per_class=all"):
        LabelEfficiencyDisplay(pd.concat([summary, summary])).plot()


def test_ticks_are_labels_per_class_on_a_log_axis(summary):
    ax = LabelEfficiencyDisplay(summary).plot().ax_
    ticks = {label.get_text(): tick for label, tick in zip(
        ax.get_xticklabels(), ax.get_xticks(), strict=True)}  # fmt: skip
    assert ticks == {"1": 10, "all": 1438}
    assert ax.get_xscale() == "log"


def test_classifiers_are_dashed_and_the_legend_has_the_order_of_the_lines(summary):
    display = LabelEfficiencyDisplay(summary).plot()
    assert [line.get_linestyle() for line in display.lines_.values()] == ["-", "-", "--"]
    assert legend_of(display) == ["ours", "spread", "raw"]
    assert "dashed" in display.ax_.get_legend().get_title().get_text()
    assert display.alt_text_.endswith(
        "logistic probe: with 1 label per class from ours 0.84 down to raw 0.65; with all labels "
        "per class from raw 0.97 down to ours 0.96."
    )


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
        ({"y": [0.5, None, "a"]}, "y mixes text and numbers"),
        ({"y": [0.5, None, np.inf]}, "y has infinity in row 2; drop this row"),
        ({"y": 3}, r"y has shape \(\)"),
        ({"y": [0, 1]}, "y has 2 values, but Z has 3 rows"),
        ({"y": np.eye(3)}, r"y has shape \(3, 3\)"),
        ({"Z": np.ones((1, 3)), "y": None}, "Z has 1 rows; expected at least 2"),
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
    assert legend_of(display) == ["ours", "PCA", "raw"]


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
    assert legend_of(display) == [
        "lower bound", "no bound", "best guess", "ceiling of the bound", "truth, 2.05",
        "above the lower limit, 1.72",
    ]  # fmt: skip
    assert display.ax_.get_xlabel() == "mutual information, nats"
    (shade,) = display.ax_.patches
    assert shade.get_extents().x0 == pytest.approx(
        display.ax_.transData.transform((1.72, 0))[0], abs=1e-6
    )
    with pytest.raises(ValueError, match="status='sideways'; expected one of"):
        BoundsDisplay(ladder.assign(status="sideways")).plot()
    with pytest.raises(ValueError, match="no column 'ceiling'"):
        BoundsDisplay(ladder.drop(columns="ceiling")).plot()


def test_an_end_at_infinity_is_an_arrow(ladder):
    display = BoundsDisplay(ladder, best_guess=(2.0, 1.9, np.inf)).plot()
    _, _, (interval,) = display.bars_["best guess"]
    low, edge = interval.get_segments()[0][:, 0]
    assert low == pytest.approx(1.9)
    assert 2.4 < edge < 2.6
    assert [line.get_xdata()[0] for line in display.ax_.lines if line.get_marker() == ">"] == [edge]
    assert "interval 1.90 and more" in display.alt_text_


@pytest.fixture
def columns():
    rows = {"value": [0.02, 0.4, 0.3], "low": [0.0, 0.3, 0.2], "high": [0.1, 0.55, np.inf]}
    return pd.DataFrame({**rows, "p_adjusted": [0.3, 1e-9, 0.04]}, index=["ash", "hue", "proline"])


def test_a_forest_is_the_tables_numbers(columns):
    display = ColumnsDisplay.from_table(columns)
    assert list(display.bars_) == ["hue", "proline", "ash"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == list(display.bars_)
    point, _, (interval,) = display.bars_["hue"]
    np.testing.assert_array_equal(point.get_xydata(), [[0.4, 0]])
    np.testing.assert_allclose(interval.get_segments()[0][:, 0], [0.3, 0.55])
    assert [bar[0].get_markerfacecolor() == "none" for bar in display.bars_.values()] == [
        False,
        False,
        True,
    ]
    (arrow,) = display.ax_.texts
    assert arrow.xy[1] == 1 and arrow.xy[0] >= 0.55  # no upper end
    assert [0, 0] in [list(line.get_xdata()) for line in display.ax_.lines]
    assert legend_of(display) == [
        "significant at an FDR of 0.05",
        "not significant at an FDR of 0.05",
        "0: independent",
    ]
    assert "hue has the most, 0.40, interval 0.30 to 0.55; 2 of 3 are sig" in display.alt_text_
    assert "and more" in ColumnsDisplay(columns.iloc[[2]]).plot().alt_text_
    some = ColumnsDisplay(columns).plot(fdr=0.01, max_columns=1)
    assert list(some.bars_) == ["hue"] and "1 of 3" in some.alt_text_
    assert "the last 2 are not shown" in some.alt_text_
    with pytest.raises(ValueError, match="no column 'p_adjusted'"):
        ColumnsDisplay(columns.drop(columns="p_adjusted")).plot()
    with pytest.raises(ValueError, match="no row"):
        ColumnsDisplay(columns.head(0)).plot()


def test_names_of_forty_columns_do_not_touch():
    values = np.linspace(1, 0, 60)
    table = pd.DataFrame({"value": values, "low": values - 0.1, "high": values + 0.1})
    table.index = pd.Index([f"column {k}" for k in range(60)])
    display = ColumnsDisplay(table.assign(p_adjusted=1 - values)).plot()
    assert len(display.bars_) == 40
    display.figure_.draw_without_rendering()
    boxes = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


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
    fitted.bounds_ = None
    with pytest.raises(ValueError, match="bounds_=None; expected a table of bounds"):
        BoundsDisplay.from_estimator(fitted)


def test_a_histogram_tells_its_mean_and_what_is_below_zero():
    display = PointwiseDisplay([-1.0, 1.0, 2.0, 4.0]).plot()
    assert legend_of(display) == ["mean, 1.50", "25% of rows below 0"]
    assert "nats" in display.ax_.get_xlabel()
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
    assert legend_of(display) == ["network, 2 folds", "no information, 1.39"]
    assert "lower is better" in display.ax_.get_title()
    assert display.ax_.get_ylabel() == "held-out loss, nats"
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
    assert legend_of(display) == ["a", "b", "truth", "ceiling, 4.16"]
    banded = StaircaseDisplay(table.assign(low=table["value"] - 0.1, high=table["value"] + 0.2))
    band = banded.plot().ax_.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(1.8) and band[:, 1].max() == pytest.approx(5.2)
    with pytest.raises(ValueError, match="no column 'true_mi'"):
        StaircaseDisplay(table.drop(columns="true_mi")).plot()


def test_what_overfits_leaves_the_picture_and_what_is_kept_stays():
    steps = np.arange(0, 101, 10)
    curves = pd.DataFrame({"fold": 0, "candidate": "network", "step": steps})
    curves["loss"] = 1.3 + (steps - 30.0) ** 2 / 1000
    display = ConvergenceDisplay(curves).plot()
    low, high = display.ax_.get_ylim()
    assert low < 1.3 < 2 * np.log(2) < high < 2 < curves["loss"].max()
    faint, strong = display.ax_.lines[:2]
    assert faint.get_alpha() < 0.5 and strong.get_alpha() is None
    np.testing.assert_array_equal(strong.get_xdata(), [0, 10, 20, 30])
    assert "of steps 30 to 30 of 100" in display.alt_text_


HISTORY = [
    {"steps": 10, "train_bound": 1.0, "valid_bound": 1.5},
    {"steps": 10, "train_bound": 1.8, "valid_bound": 2.1},
    {"steps": 5, "train_bound": 2.0, "valid_bound": 2.0},
]


def test_training_is_drawn_over_the_steps_taken():
    display = TrainingDisplay(HISTORY, objective="nwj", ceiling=2.5).plot()
    np.testing.assert_array_equal(
        display.lines_["train_bound"].get_xydata(), [[10, 1.0], [20, 1.8], [25, 2.0]]
    )
    np.testing.assert_array_equal(display.lines_["valid_bound"].get_ydata(), [1.5, 2.1, 2.0])
    assert legend_of(display) == [
        "held-out rows: InfoNCE", "training rows: nwj", "highest, 2.10", "ceiling, 2.50",
    ]  # fmt: skip
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("step", "nats")
    assert display.alt_text_ == (
        "Training to step 25: nwj on training rows goes from 1.00 to 2.00 nats; held-out InfoNCE "
        "is highest, 2.10 nats, at step 20; its ceiling is 2.50 nats."
    )


def test_a_far_ceiling_would_flatten_the_curves():
    display = TrainingDisplay(HISTORY, ceiling=9.0).plot()
    assert not any("ceiling" in label for label in legend_of(display))
    assert display.ax_.get_ylim()[1] < 3


def test_an_objective_that_is_no_bound_has_its_own_axis():
    history = [{**row, "train_bound": -100 * row["train_bound"]} for row in HISTORY]
    display = TrainingDisplay(history, in_nats=False).plot()
    other = display.lines_["train_bound"].axes
    assert other is not display.ax_ and display.lines_["valid_bound"].axes is display.ax_
    assert "nats" in display.ax_.get_ylabel() and "objective" in other.get_ylabel()
    alone = [{"train_bound": row["train_bound"]} for row in history]
    display = TrainingDisplay(alone, in_nats=False, ceiling=1.0).plot()
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("pass", "objective")
    assert "nats" not in display.alt_text_


@pytest.mark.parametrize(
    ("history", "drawn"),
    [
        ([{"steps": 6, "train_bound": 0.5}], [0.5]),
        ([{"train_bound": 0.5}, {"train_bound": np.nan}, {"train_bound": 1}], [0.5, np.nan, 1]),
        ([{"train_bound": 0.5}, {"train_bound": np.inf}], [0.5, np.nan]),
        (pd.DataFrame({"train_bound": [1, 2], "valid_bound": np.nan}), [1, 2]),
    ],
)
def test_short_and_broken_histories_are_drawn(history, drawn):
    display = TrainingDisplay(history).plot()
    assert list(display.lines_) == ["train_bound"]
    np.testing.assert_array_equal(display.lines_["train_bound"].get_ydata(), drawn)
    assert display.lines_["train_bound"].get_marker() not in ("", "None")
    display.figure_.draw_without_rendering()


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "The history has no records"),
        ([{"loss": 1.0}], "no column 'train_bound'"),
        ([{"train_bound": np.nan}], "no finite train_bound"),
    ],
)
def test_histories_that_cannot_be_drawn_are_named(history, message):
    with pytest.raises(ValueError, match=message):
        TrainingDisplay(history).plot()
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("objective", "in_nats"), [("nwj", True), ("js", False), ("vicreg", False)]
)
def test_training_of_a_learner(objective, in_nats):
    X = np.random.default_rng(0).normal(size=(60, 4))
    learner = MIRepresentationLearner(2, objective=objective, max_steps=4, random_state=0)
    with pytest.raises(NotFittedError, match="has no history_; expected a fitted MIRep"):
        TrainingDisplay.from_estimator(learner)
    display = TrainingDisplay.from_estimator(learner.fit(X))
    assert display.lines_["train_bound"].get_xdata()[-1] == 4
    assert legend_of(display) == [f"training rows: {objective}"]
    assert display.ax_.get_ylabel() == ("nats" if in_nats else "objective")


def test_what_is_not_fitted_is_named():
    for display in (BoundsDisplay, PointwiseDisplay, ConvergenceDisplay):
        with pytest.raises(NotFittedError, match="PCA has no .*; expected a fitted MIEstimator"):
            display.from_estimator(PCA())
    with pytest.raises(NotFittedError, match="PCA has no history_; expected a fitted MIRep"):
        TrainingDisplay.from_estimator(PCA())


@pytest.mark.parametrize(
    "y",
    [
        ["a", None, "b", "a", np.nan, "b"],
        [0.0, np.nan, 1.0, 0.0, None, 1.0],
        pd.Series([0.5, None, 1.25, 0.75, None, 1.0], name="age, years"),
        pd.array([1, None, 0, 1, None, 0], dtype="Int64"),
        pd.Categorical(["a", None, "b", "a", None, "b"]),
    ],
)
def test_rows_without_y_are_small_grey_and_beneath(y):
    points = np.random.default_rng(0).normal(size=(6, 2))
    display = EmbeddingDisplay(points, y).plot()
    grey, *others = display.ax_.collections
    np.testing.assert_array_equal(grey.get_offsets(), points[[1, 4]])
    np.testing.assert_array_equal(
        np.sort(np.concatenate([group.get_offsets() for group in others]), axis=0),
        np.sort(points[[0, 2, 3, 5]], axis=0),
    )
    red, green, blue = grey.get_facecolor()[0][:3]
    assert red == green == blue
    assert all(grey.get_sizes()[0] < group.get_sizes()[0] for group in others)
    assert all(grey.get_zorder() < group.get_zorder() for group in others)
    assert legend_of(display) == ["unlabelled"]
    assert "2 rows are unlabelled" in display.alt_text_
    assert (display.colorbar_ is not None) == isinstance(y, pd.Series)


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (3, 1), (3, 3)])
@pytest.mark.parametrize("y", [None, "a", 0.5])
def test_collapsed_codes_are_drawn(shape, y):
    n, width = shape
    values = None if y is None else [y] * n
    points = np.zeros(shape)
    display = (
        EmbeddingDisplay.from_codes(points, values)
        if width > 2
        else EmbeddingDisplay(points, values).plot()
    )
    display.figure_.draw_without_rendering()
    assert f"{n} row" in display.alt_text_


def test_rows_may_all_be_unlabelled():
    display = EmbeddingDisplay(np.eye(2), [None, None]).plot()
    assert len(display.ax_.collections) == 1 and legend_of(display) == ["unlabelled"]


def test_a_colour_bar_has_a_name():
    points, y = np.eye(2), pd.Series([0.5, 1.25], name="age, years")
    assert EmbeddingDisplay(points, y).plot().colorbar_.ax.get_ylabel() == "age, years"
    display = EmbeddingDisplay.from_codes(points, y, label="years")
    assert display.colorbar_.ax.get_ylabel() == "years"
    assert display.alt_text_ == "A point for each of 2 rows, coloured by years from 0.5 to 1.25."


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_every_colour_of_a_measurement_is_seen(style):
    with plt.style.context(style):
        display = EmbeddingDisplay(np.eye(2), [0.5, 1.25]).plot()
        shades = display.colorbar_.mappable.get_cmap()(np.linspace(0, 1, 50))
        assert min(contrast(tuple(c), paper(display.ax_)) for c in shades) >= 1.5


def test_a_code_of_one_column_has_a_strip_for_each_class():
    Z = np.linspace(0, 1, 30)[:, None]
    y = pd.Series(["b", "a", None] * 10, name="kind")
    display = EmbeddingDisplay.from_codes(Z, y)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["a", "b", "unlabelled"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("code", "kind")
    grey, a, b = (group.get_offsets() for group in display.ax_.collections)
    for group, first, strip in ((b, 0, 1), (a, 1, 0), (grey, 2, 2)):
        np.testing.assert_array_equal(group[:, 0], Z[first::3, 0])
        assert (np.abs(group[:, 1] - strip) < 0.5).all()


def test_a_code_of_one_column_against_a_measurement():
    Z, y = np.linspace(0, 1, 4)[:, None], [0.5, np.nan, 2.5, 1.5]
    display = EmbeddingDisplay(Z, y, label="years").plot()
    grey, known = (group.get_offsets() for group in display.ax_.collections)
    np.testing.assert_allclose(known, [[0, 0.5], [2 / 3, 2.5], [1, 1.5]])
    assert grey[0, 1] < 0.5 and display.ax_.get_ylabel() == "years"
    assert display.colorbar_ is None and legend_of(display) == ["unlabelled"]


def test_a_code_of_one_column_alone():
    display = EmbeddingDisplay(np.linspace(0, 1, 5)[:, None]).plot()
    assert len(display.ax_.get_yticks()) == 0 and len(display.ax_.collections) == 1
    again = EmbeddingDisplay(np.linspace(0, 1, 5)[:, None]).plot()
    drawn = [d.ax_.collections[0].get_offsets() for d in (display, again)]
    np.testing.assert_array_equal(*drawn)


def test_names_of_many_classes_do_not_cover_one_another():
    generator = np.random.default_rng(0)
    y = np.repeat([f"class {k}" for k in range(20)], 40)
    centres = np.repeat(generator.normal(size=(4, 2)) * 4, 200, axis=0)
    display = EmbeddingDisplay(centres + generator.normal(size=(800, 2)), y).plot()
    display.figure_.draw_without_rendering()
    boxes = [text.get_window_extent() for text in display.ax_.texts]
    assert len(boxes) == 20
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def radar(n_axes):
    columns = [f"a rather long name {k}" for k in range(n_axes)]
    table = pd.DataFrame(np.random.default_rng(0).random((3, n_axes)), columns=columns)
    table.insert(0, "name", ["MIRepresentationLearner", "PCA", "raw columns"])
    return table, dict.fromkeys(columns, "more")


@pytest.mark.parametrize("n_axes", [3, 5, 8])
@pytest.mark.parametrize(("layout", "inches"), [(None, (6.4, 4.8)), ("constrained", (4.5, 4.5))])
def test_words_of_a_radar_touch_neither_each_other_nor_the_picture(n_axes, layout, inches):
    table, directions = radar(n_axes)
    polar = {"projection": "polar"}
    figure, ax = plt.subplots(subplot_kw=polar, layout=layout, figsize=inches)
    display = DiagnosticsDisplay(table).plot(ax, directions=directions)
    figure.draw_without_rendering()
    words = [label.get_window_extent() for label in ax.get_xticklabels()]
    boxes = [*words, ax.get_legend().get_window_extent()]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    centre = ax.transData.transform((0, 0))
    radius = np.linalg.norm(ax.transData.transform((0, 1)) - centre)
    for box in boxes:
        nearest = np.clip(centre, box.min, box.max)
        assert np.linalg.norm(nearest - centre) > radius
    assert not [t for t in ax.get_yticklabels() if t.get_text()]
    assert "outer ring: best" in ax.get_legend().get_title().get_text()
    assert display.alt_text_.startswith(f"Radar of {n_axes} diagnostics of MIRep")


@pytest.fixture
def drawings(summary, study, diagnosed, ladder, columns):
    """A function of axes for each Display, by its name."""
    points = np.random.default_rng(0).normal(size=(40, 2))
    classes = [None, *np.arange(39) % 12]
    curves = pd.DataFrame({"fold": 0, "candidate": "network", "step": [0, 50], "loss": [1.4, 1.2]})
    stairs = pd.DataFrame({"name": "a", "true_mi": [2, 4], "value": [1.8, 3], "low": 1, "high": 4})
    bounds = BoundsDisplay(ladder, best_guess=(2.0, 1.9, 2.2), lower_limit=1.72)
    return {
        "BoundsDisplay": lambda ax=None: bounds.plot(ax, true_mi=2.05),
        "ColumnsDisplay": ColumnsDisplay(columns).plot,
        "ConvergenceDisplay": ConvergenceDisplay(curves).plot,
        "DiagnosticsDisplay": DiagnosticsDisplay(diagnosed).plot,
        "EmbeddingDisplay": EmbeddingDisplay(points, classes).plot,
        "ImportanceDisplay": plots.ImportanceDisplay(
            pd.DataFrame({"code": [0.1, 0.6], "code_stderr": 0.02})
        ).plot,
        "LabelEfficiencyDisplay": LabelEfficiencyDisplay(summary).plot,
        "PointwiseDisplay": PointwiseDisplay([-1.0, 1.0, 2.0]).plot,
        "StaircaseDisplay": StaircaseDisplay(stairs).plot,
        "StudyDisplay": lambda ax=None: StudyDisplay(study).plot("accuracy", by="critic", ax=ax),
        "TrainingDisplay": TrainingDisplay(HISTORY, ceiling=2.5).plot,
    }


DISPLAYS = [name for name in plots.__all__ if inspect.isclass(getattr(plots, name))]


@pytest.mark.parametrize("name", DISPLAYS)
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_words_and_lines_stand_out_from_the_page(drawings, name, style):
    with plt.style.context(style):
        ax = drawings[name]().ax_
        page = paper(ax)
        legend = ax.get_legend()
        words = [*ax.texts, *legend.get_texts(), legend.get_title(), ax.title]
        words += [ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
        assert min(contrast(t.get_color(), page) for t in words if t.get_text()) >= 4.5
        strong = [line for line in ax.lines if (line.get_alpha() or 1) > 0.5]
        assert all(contrast(line.get_color(), page) >= 2.2 for line in strong)
        groups = [c.get_facecolor() for c in ax.collections if name == "EmbeddingDisplay"]
        assert all(contrast(tuple(shade[0]), page) >= 2.2 for shade in groups)


@pytest.mark.parametrize("name", DISPLAYS)
def test_given_axes_alone_are_drawn_in_and_nothing_is_shown(drawings, name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: pytest.fail("shown"))
    projection = {"projection": "polar"} if name == "DiagnosticsDisplay" else {}
    figure, (ax, other) = plt.subplots(1, 2, subplot_kw=projection, layout="constrained")
    untouched = len(other.get_children())
    display = drawings[name](ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert plt.get_fignums() == [figure.number] and figure.axes[:2] == [ax, other]
    assert len(other.get_children()) == untouched and not other.has_data()


@pytest.mark.parametrize("name", DISPLAYS)
def test_alt_text_is_one_sentence_with_numbers(drawings, name):
    text = drawings[name]().alt_text_
    assert text[0].isupper() or name == "StudyDisplay"
    assert text.endswith(".") and ". " not in text and "nan" not in text
    assert any(character.isdigit() for character in text) and len(text) < 500


@pytest.mark.parametrize("name", DISPLAYS)
@pytest.mark.parametrize("n_columns", [None, 1, 2])
def test_a_legend_covers_no_axis_where_the_figure_makes_room(drawings, name, n_columns):
    projection = {"projection": "polar"} if name == "DiagnosticsDisplay" else {}
    ax = None
    if n_columns:
        layout = {"figsize": (5 * n_columns, 5), "layout": "constrained", "squeeze": False}
        ax = plt.subplots(1, n_columns, subplot_kw=projection, **layout)[1][0, 0]
    display = drawings[name](ax)
    display.figure_.draw_without_rendering()
    legend = display.ax_.get_legend().get_window_extent()
    if name != "PointwiseDisplay":
        assert not legend.overlaps(display.ax_.get_window_extent())
    words = [display.ax_.xaxis.label, display.ax_.yaxis.label]
    words += [*display.ax_.get_xticklabels(), *display.ax_.get_yticklabels()]
    assert not any(legend.overlaps(t.get_window_extent()) for t in words if t.get_text())
    # Before matplotlib 3.11 the frame of a legend below a polar axis is cut by 3 pixels.
    whole = display.figure_.bbox.padded(1 if mpl.__version_info__ >= (3, 11) else 4)
    assert whole.contains(legend.x0, legend.y0) and whole.contains(legend.x1, legend.y1)
