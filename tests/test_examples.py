"""The scripts that draw and judge the paper's figures find what was planted in a table."""

import sys
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from sklearn_mi.paper import FIGURES

PAPER = Path(__file__).parent.parent / "examples" / "paper"
NAMES = ("1", "1c", "2", "3", "4", "4c", "8", "9")


@pytest.fixture(scope="module", autouse=True)
def scripts():
    sys.path.insert(0, str(PAPER))
    yield
    sys.path.remove(str(PAPER))
    plt.close("all")


@pytest.fixture(params=NAMES)
def figure(request):
    return request.param, import_module(f"figure_{request.param}").PANELS


def planted(panels, steps=(400, 800, 1_000, 5_000), shift=0.0, n_seeds=3):
    """Return a table whose means are the paper's curves, plus a shift."""
    rows = {}
    for panel in panels:
        for line in panel.lines:
            paper = panel.paper(line)
            for step in steps:
                near = paper[(paper["step"] - step).abs() <= 30]
                for seed in range(n_seeds) if len(near) else ():
                    row = rows.setdefault((*line.cell.values(), seed, step), {**line.cell})
                    row.update({"seed": seed, "step": step})
                    row[line.column] = near["mean"].iloc[-1] + shift + 0.001 * (seed - 1)
    return pd.DataFrame(rows.values())


def test_panels_are_those_of_the_studies(figure):
    name, panels = figure
    curves = import_module("curves")
    facts = list(FIGURES[name]().facts.values())
    for panel in panels:
        assert {line.name for line in panel.lines} == set(curves.CURVES[panel.key])
        for line in panel.lines:
            assert any(line.cell.items() <= fact.items() for fact in facts), line


def test_the_papers_own_curves_agree_with_it(figure):
    _, panels = figure
    curves = import_module("curves")
    found = curves.compare(planted(panels), panels)
    assert len(found) and (found["difference"].abs() < 1e-9).all() and (found["seeds"] == 3).all()
    assert found["within"].dropna().astype(bool).all()
    astray = curves.compare(planted(panels, shift=1.5), panels)["within"].dropna().astype(bool)
    assert not astray.any()


def test_what_is_allowed_is_two_standard_errors_or_the_bar():
    curves, panels = import_module("curves"), import_module("figure_3").PANELS
    found = curves.compare(planted(panels), panels).set_index(["panel", "curve", "step"])
    assert found.loc[("accuracy, InfoNCE", "Bilinear", 5_000), "allowed"] == 0.015
    sd = curves.CURVES["F3_INWJ"]["MLP"]
    at = int(np.argmin(np.abs(np.array(sd["step_k"]) - 1)))
    allowed = found.loc[("NWJ on training batches", "MLP", 1_000), "allowed"]
    assert allowed == pytest.approx(2 * np.sqrt(sd["sd"][at] ** 2 * (1 / 3 + 1 / 20)))


@pytest.mark.slow
def test_pictures_are_drawn(figure, tmp_path, monkeypatch):
    (name, panels), curves, figures = figure, import_module("curves"), []
    monkeypatch.setattr(plt, "close", figures.append)
    curves.draw(planted(panels, shift=0.1), panels, tmp_path / f"{name}.png")
    assert plt.imread(tmp_path / f"{name}.png").shape[2] == 4
    axes = [ax for ax in figures[0].axes if ax.get_visible()]
    assert [ax.get_title() for ax in axes] == [panel.title for panel in panels]
    for ax, panel in zip(axes, panels, strict=True):
        drawn = [np.asarray(line.get_ydata()) for line in ax.lines]
        for line, points in zip(panel.lines, ax.containers, strict=True):
            curve = {
                key: np.array(value) for key, value in curves.CURVES[panel.key][line.name].items()
            }
            assert points.get_label() == line.name
            assert any(np.array_equal(heights, curve["mean"]) for heights in drawn)
            # Ours lie .1 above the paper's, at its steps; another panel's steps have no value here.
            steps, ours = np.array(points[0].get_data(), dtype=float)
            assert np.isfinite(ours).any()
            for step, height in zip(steps[np.isfinite(ours)], ours[np.isfinite(ours)], strict=True):
                at = np.flatnonzero(abs(1000 * curve["step_k"] - step) <= 30)[-1]
                assert height == pytest.approx(curve["mean"][at] + 0.1)


def settings(seed=0):
    """Return accuracies of 12 trainings on two data sets, and criteria that know more or less."""
    rng = np.random.default_rng(seed)
    rows = []
    for data, level in (("a", 0.5), ("b", 0.9)):
        for k, view in enumerate(("halves", "noise", "neighbors")):
            for training in range(4):
                for step in (0, 200, 400):
                    accuracy = level + 0.02 * k + 0.005 * training + step * 1e-5
                    rows.append(
                        {
                            "learner": f"{view} {training}",
                            "view": view,
                            "data": data,
                            "seed": 0,
                            "step": step,
                            "accuracy": accuracy,
                            "accuracy_5_labels": accuracy - 0.1,
                            "infonce_test": accuracy**3,
                            "infonce_train": -accuracy,
                            # Knows the view, and within it the opposite.
                            "effective_rank": k - 0.01 * training - step * 1e-5,
                            "alpha_req": np.nan,
                            "uniformity": rng.normal(),
                            "alignment": rng.normal(),
                            "cluster_stability": rng.normal(),
                        }
                    )
    return pd.DataFrame(rows)


def test_criteria_without_labels_are_judged_by_rank_and_regret():
    module, table = import_module("label_free"), settings()
    found = module.summary(table, n_draws=40).set_index(["statistic", "labels", "criterion"])
    of = lambda statistic, criterion: found.loc[(statistic, "all labels", criterion)]  # noqa: E731
    assert of("tau", "held-out InfoNCE")["mean"] == pytest.approx(1)
    assert of("tau", "training InfoNCE")["mean"] == pytest.approx(-1)
    assert of("regret", "held-out InfoNCE")[["mean", "high"]].tolist() == [0, 0]
    trained = table[table["step"] > 0]
    worst = trained.groupby("data")["accuracy"].agg(np.ptp).mean()
    assert of("regret", "training InfoNCE")["mean"] == pytest.approx(worst)
    # Of 276 pairs of settings 192 lie in two views, all in order, and 84 in one, all reversed.
    rank = "effective rank (RankMe)"
    assert of("tau", rank)["mean"] == pytest.approx((192 - 84) / 276)
    assert of("tau in a view", rank)["mean"] == pytest.approx(-1)
    noise = of("tau", "cluster stability")
    assert noise["low"] <= noise["mean"] <= noise["high"]
    by_hand = [
        kendalltau(part["cluster_stability"], part["accuracy"])[0]
        for _, part in trained.groupby("data")
    ]
    assert noise["mean"] == pytest.approx(np.mean(by_hand))


def test_chance_is_the_mean_setting():
    module, table = import_module("label_free"), settings()
    part = table.query("step > 0 and data == 'b'")["accuracy"]
    assert module.of_chance(table).loc["b", "all labels"] == pytest.approx(part.max() - part.mean())


def test_gaps_and_the_page_say_what_the_table_says():
    report, panels = import_module("report"), import_module("figure_3").PANELS
    table = planted(panels, steps=(1_000, 5_000))
    table["bound_test"] = table["bound_train"] - 0.25
    text = report.gaps(table)
    assert text.count("0.250 ±0.000") == 6 and "5000" in text
    assert "Figure 3: 24 of 24 points within what is allowed" in report.figures({"3": table})
    worse = planted(panels, steps=(1_000, 5_000), shift=1.5)
    assert "Figure 3: 0 of 24 points" in report.figures({"3": worse})


def test_what_critics_differ_by_is_paired_by_seed():
    report = import_module("report")
    ahead = {"bilinear": 0.03, "separable": 0.02, "concat": 0.0}
    rows = [
        {"objective": "nwj", "critic": critic, "step": 9, "seed": seed}
        | {"accuracy": 0.8 + seed / 10 + more, "accuracy_converged": 0.8 + seed / 10 + more / 3}
        for critic, more in ahead.items()
        for seed in (0, 1, 2)
        if not (critic == "concat" and seed == 2)
    ]
    separable, concat = report.probes(pd.DataFrame(rows)).splitlines()[1:]
    assert separable.split()[1:] == ["separable", "3", "0.0100", "±0.0000", "0.0033", "±0.0000"]
    assert concat.split()[1:] == ["concat", "2", "0.0300", "±0.0000", "0.0100", "±0.0000"]


def test_what_was_changed_names_the_settings_beyond_the_paper():
    report = import_module("report")
    figure = FIGURES["beyond"]()
    rows = [
        {**fact, "step": 10, "seed": seed, **dict.fromkeys(report.BEYOND, 0.5 + seed)}
        for fact in figure.facts.values()
        for seed in (0, 1)
    ]
    text = report.beyond(pd.DataFrame(rows))
    assert len(text.splitlines()) == 1 + len(figure.facts)
    for name in ("base", "nwj", "shared", "2048", "convnet", "1.000 ±6.353"):
        assert name in text


@pytest.mark.slow
def test_the_report_is_written_beside_the_tables(tmp_path, monkeypatch, capsys):
    report, panels = import_module("report"), import_module("figure_3").PANELS
    table = planted(panels, n_seeds=8)
    table = table.assign(figure="3", learner="a", data="mnist", seconds=9.0, error="")
    table["bound_test"] = table["bound_train"]
    table["accuracy_converged"] = table["accuracy"]
    monkeypatch.setattr("sys.argv", ["report.py", str(tmp_path)])
    settings().assign(seconds=9.0, error="").to_csv(tmp_path / "figure_label-free.csv")
    report.main()
    assert "1 seeds" in (tmp_path / "label_free.txt").read_text()
    assert not list(tmp_path.glob("*.png"))
    table.to_csv(tmp_path / "figure_3.csv", index=False)
    report.main()
    assert (tmp_path / "figure_3.png").exists()
    assert "3: 1 learners to step 5,000, 8 seeds" in (tmp_path / "coverage.txt").read_text()
    assert "untouched" in (tmp_path / "gaps.txt").read_text()
    holds = (tmp_path / "verdicts.txt").read_text().count("- holds")
    assert holds == (tmp_path / "verdicts_converged.txt").read_text().count("- holds") > 1
