import numpy as np
import pandas as pd
import pytest

from sklearn_mi import paper
from sklearn_mi.cli import main
from sklearn_mi.paper import FIGURES, SCALES, hours_of_figure, read_figure, run_figure
from sklearn_mi.study import Split


@pytest.fixture
def few_digits(monkeypatch):
    """A stand-in for MNIST with its shape: 60 rows to learn from, 30 to test on."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (90, 28, 28)).astype(np.uint8)
    labels = np.arange(90) % 10
    monkeypatch.setattr(paper, "TOY_ROWS", 1_280)
    monkeypatch.setattr(
        paper, "fetch_mnist", lambda: (images[:60], labels[:60], images[60:], labels[60:])
    )
    return Split(images[:60], images[60:], labels[:60], labels[60:])


PAPER = {"1": 2, "1c": 1, "2": 2, "3": 6, "4": 8, "4c": 4, "8": 6, "9": 8}


def test_figures_are_those_of_the_paper():
    assert set(FIGURES) == {*PAPER, "beyond", "label-free"}
    for name, count in PAPER.items():
        figure = FIGURES[name]()
        assert len(figure.learners) == count
        assert figure.facts.keys() == figure.learners.keys()
        assert {learner.batch_size for learner in figure.learners.values()} == {128}
    assert {learner.lr for learner in FIGURES["8"]().learners.values()} == {1e-5}
    assert FIGURES["8"]().steps == 60_000 and SCALES["full"].seeds == 20


def test_stops_are_shares_of_the_papers():
    assert FIGURES["3"]().stops("cpu") == [0, 1_000, 5_000]
    assert FIGURES["9"]().stops("cpu") == [0, 3_000, 15_000]
    assert FIGURES["3"]().stops("full") == list(range(0, 20_001, 1_000))
    assert FIGURES["1c"]().stops("full") == list(range(0, 4_001, 400))
    assert FIGURES["4c"]().stops("cpu") == FIGURES["4c"]().stops("full")
    assert FIGURES["4c"]().stops("quick") == [0, 100]


def test_settings_without_labels_are_over_two_hundred():
    figure = FIGURES["label-free"]()
    trained = [step for step in figure.stops("cpu") if step]
    assert len(figure.learners) * len(figure.data) * len(trained) >= 200


def test_a_figure_gives_the_table_that_the_findings_read(few_digits, tmp_path):
    table = run_figure("3", seeds=(0,), at=(0, 2), folder=tmp_path, progress=False)
    assert (table["error"] == "").all() and len(table) == 12
    assert set(table["critic"]) == {"bilinear", "separable", "concat"}
    assert set(table["objective"]) == {"infonce", "nwj"} and (table["figure"] == "3").all()
    assert np.isfinite(table[["accuracy", "bound_train", "bound_test"]]).all(axis=None)


@pytest.mark.parametrize("name", ["4", "4c"])
def test_matched_bounds_and_the_toy_run(few_digits, tmp_path, name):
    table = run_figure(name, seeds=(0,), at=(0, 2), folder=tmp_path, progress=False)
    assert (table["error"] == "").all(), set(table["error"])
    assert np.isfinite(table["bound_train"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1", "1c", "2"])
def test_bijective_and_skip_encoders_run(few_digits, tmp_path, name):
    table = run_figure(name, seeds=(0,), at=(0, 2), folder=tmp_path, progress=False)
    assert (table["error"] == "").all(), set(table["error"])
    assert np.isfinite(table["accuracy"]).all()


@pytest.mark.slow
def test_what_is_measured_beyond_the_paper(few_digits, tmp_path):
    table = run_figure("beyond", seeds=(0,), at=(2,), folder=tmp_path, only="shared")
    assert (table["error"] == "").all(), set(table["error"])
    for column in ("fresh_bound", "v_information_mlp", "accuracy_1_labels", "alignment"):
        assert np.isfinite(table[column]).all(), column


def test_parts_of_a_figure_make_one_table(few_digits, tmp_path):
    common = {"at": (2,), "folder": tmp_path, "progress": False}
    first = run_figure("3", seeds=(0, 1), only="bilinear nwj", **common)
    run_figure("3", seeds=(0,), only="separable nwj", **common)
    table = read_figure("3", tmp_path)
    assert len(table) == 3 and set(table["objective"]) == {"nwj"}
    same = table[table["critic"] == "bilinear"][["seed", "accuracy", "bound_test"]]
    assert (same.to_numpy() == first[["seed", "accuracy", "bound_test"]].to_numpy()).all()
    with pytest.raises(ValueError, match="only='tabular' is in no name"):
        run_figure("3", seeds=(0,), only="tabular", **common)


def test_the_command_line_says_the_cost_and_writes_a_table(few_digits, tmp_path, capsys):
    main(["study", "paper", "--figure", "4c", "--steps", "2", "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "hours for 1 seeds" in shown and "figure_4c.csv" in shown
    assert len(pd.read_csv(tmp_path / "figure_4c.csv")) == 4
    with pytest.raises(SystemExit, match="expected 1, 1c, 2"):
        main(["study", "paper", "--figure", "7"])


def test_costs_grow_with_seeds_and_shrink_with_jobs(few_digits, monkeypatch):
    monkeypatch.setattr("time.perf_counter", iter(range(100_000)).__next__)
    one = hours_of_figure("4c", seeds=(0,), at=(0, 200))
    assert hours_of_figure("4c", seeds=(0, 1), at=(0, 200)) == pytest.approx(2 * one)
    assert hours_of_figure("4c", seeds=(0,), at=(0, 200), n_jobs=2) == pytest.approx(one / 2)
