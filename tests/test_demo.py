import math
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from sklearn_mi.demo import OURS, RAW, accuracy_table, conclusion, picture, run
from sklearn_mi.evaluation import compare, summarise

ALL = math.inf


@pytest.fixture(scope="module")
def ran():
    """The table and the words of a demo that is hardly trained."""
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *text, **settings: said.append((text, settings)))
        table = run(n_folds=2, n_draws=2, max_steps=2, n_jobs=1)
    return table, [" ".join(map(str, text)) for text, _ in said], [to for _, to in said]


def planted(gains, rivals=("raw pixels", "PCA"), n_folds=4):
    """Return a table in which ours is ahead of all rivals by these gains, with little noise."""
    rng = np.random.default_rng(0)
    rows = [
        {"name": name, "fold": fold, "labels_per_class": labels}
        | {"accuracy": 0.5 + (gain if name == OURS else 0) + 0.001 * rng.normal()}
        for labels, gain in gains.items()
        for name in (OURS, *rivals)
        for fold in range(n_folds)
    ]
    facts = {"probe": "logistic", "scale": "none", "n_labelled": 10, "n_train": 90, "n_test": 30}
    return pd.DataFrame(rows).assign(**facts)


def test_all_contestants_meet_the_same_folds_and_labels(ran):
    table, _, _ = ran
    parts = {
        name: part.drop(columns=["name", "accuracy", "chosen", "mi", "mi_stderr", "mi_ceiling"])
        for name, part in table.groupby("name")
    }
    assert set(parts) == {OURS, RAW, "PCA"}
    for part in parts.values():
        pd.testing.assert_frame_equal(
            part.reset_index(drop=True), parts[RAW].reset_index(drop=True)
        )
    alone = compare(
        {RAW: None}, *load_digits(return_X_y=True), n_folds=2, n_draws=2, probes=("logistic",)
    )
    raw = table[table["name"] == RAW].reset_index(drop=True)
    pd.testing.assert_series_equal(raw["accuracy"], alone["accuracy"])


def test_the_words_come_first_then_raw_pixels_then_the_table(ran):
    table, said, _ = ran
    assert said[0].startswith("1,797 pictures") and "2 folds, each with 2 random" in said[0]
    raw = summarise(table).query("name == @RAW")["mean"]
    assert said[1].startswith("Raw pixels, accuracy with 1, 5, 20 and all labels")
    assert re.findall(r"\.\d{3}", said[1]) == [f"{mean:.3f}"[1:] for mean in raw]
    assert accuracy_table(summarise(table)) in said[-2] and conclusion(table) in said[-2]


def test_progress_goes_to_stderr(ran):
    _, said, where = ran
    to_stderr = [text for text, to in zip(said, where, strict=True) if "file" in to]
    assert to_stderr[0].startswith("Training on 2 folds") and "2 of 2 folds" in to_stderr[-1]


@pytest.mark.slow
def test_processes_do_not_change_the_numbers(ran):
    table, _, _ = ran
    again = run(n_folds=2, n_draws=2, max_steps=2, n_jobs=2)
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.parametrize(
    ("gains", "sentence"),
    [
        (
            {1: 0.2, 5: 0.1, 20: 0.0, ALL: 0.0},
            "Learned codes are more accurate than raw pixels and PCA with 1 and 5 labels for each "
            "class; not clearly different from {} with 20 labels for each class and all labels.",
        ),
        (
            {1: -0.2, ALL: -0.1},
            "Learned codes are less accurate than raw pixels and PCA with 1 label for each class "
            "and all labels.",
        ),
        (
            {1: -0.2, 5: 0.1},
            "Learned codes are less accurate than raw pixels and PCA with 1 label for each class; "
            "more accurate than raw pixels and PCA with 5 labels for each class.",
        ),
    ],
)
def test_the_conclusion_says_wins_draws_and_losses(gains, sentence):
    said = conclusion(planted(gains))
    assert said in {sentence.format("raw pixels"), sentence.format("PCA")}


def test_one_rival_that_is_better_is_a_loss():
    table = planted({1: 0.2})
    better = (table["name"] == "PCA") & (table["labels_per_class"] == 1)
    table.loc[better, "accuracy"] += 0.5
    assert (
        conclusion(table) == "Learned codes are less accurate than PCA with 1 label for each class."
    )


def test_one_fold_gives_no_interval_and_no_verdict():
    table = planted({1: 0.2}, n_folds=1)
    assert "±" not in accuracy_table(summarise(table))
    assert "not clearly different" in conclusion(table)


def test_columns_of_the_table_are_aligned():
    lines = accuracy_table(summarise(planted({1: 0.2, 20: 0.1, ALL: 0.0}))).splitlines()[1:]
    assert len({len(line) for line in lines}) == 1 and max(map(len, lines)) <= 80
    assert lines[0].split()[-3:] == ["1", "20", "all"] and len(lines) == 4


def test_the_picture_has_two_panels(ran):
    import matplotlib.pyplot as plt

    figure = picture(ran[0], max_steps=2)
    left, right = figure.axes
    assert left.get_title() and right.get_title() and left.get_ylabel().startswith("accuracy")
    figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    assert boxes[0].x1 <= boxes[1].x0
    plt.close(figure)
