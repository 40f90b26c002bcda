"""The findings find what was planted in a table, and nothing else."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sklearn_mi.datasets import toy_true_mi

SOURCE = Path(__file__).parent.parent / "examples" / "paper" / "findings.py"
SPEC = importlib.util.spec_from_file_location("paper_findings", SOURCE)
findings = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = findings  # dataclasses look their module up
SPEC.loader.exec_module(findings)

STEPS = (0, 1000, 20_000)
# Last values of the paper's curves: accuracy, and bound on training batches.
FIGURE_3 = {
    ("infonce", "bilinear"): (0.8802, 4.733),
    ("infonce", "separable"): (0.8766, 4.720),
    ("infonce", "concat"): (0.8565, 4.706),
    ("nwj", "bilinear"): (0.8701, 5.52),
    ("nwj", "separable"): (0.8664, 5.41),
    ("nwj", "concat"): (0.8548, 6.22),
}
FIGURE_4 = {
    ("infonce", "convnet", 4.0): 0.9060,
    ("infonce", "convnet", 2.0): 0.8946,
    ("infonce", "mlp", 4.0): 0.8697,
    ("infonce", "mlp", 2.0): 0.8502,
    ("nwj", "convnet", 4.0): 0.9050,
    ("nwj", "convnet", 2.0): 0.8971,
    ("nwj", "mlp", 4.0): 0.8687,
    ("nwj", "mlp", 2.0): 0.8562,
}
TOY = {("infonce", False): 0.19, ("nwj", False): 0.097, ("infonce", True): 0.0199}
TOY[("nwj", True)] = 0.0195
KEYS = [(claim.number, bound) for claim in findings.CLAIMS for bound in claim.bounds]


def curve(rng, first, last, noise):
    """Return values at the steps, with a part that all steps of a run share."""
    middle = first + 0.8 * (last - first)
    return np.array([first, middle, last]) + noise * rng.normal(size=3)


def as_in_the_paper(n_seeds=20, seed=0):
    rng = np.random.default_rng(seed)
    rows = []

    def run(figure, seed, accuracy=None, bound=None, condition=None, **cell):
        columns = {
            "accuracy": accuracy and curve(rng, *accuracy, 0.003),
            "bound_train": bound and curve(rng, *bound, 0.01),
            "bound_test": bound and curve(rng, *bound, 0.01) - 0.3,
            "log_condition": condition and curve(rng, *condition, 0.05),
        }
        given = {name: values for name, values in columns.items() if values is not None}
        for k, step in enumerate(STEPS):
            at_step = {name: values[k] for name, values in given.items()}
            rows.append({"figure": figure, "seed": seed, "step": step, **cell, **at_step})

    for s in range(n_seeds):
        for name, last, condition in (("infonce", 4.77, 4.6), ("nwj", 5.69, 3.4)):
            run("1", s, (0.8617, 0.893), (-1e6, last), objective=name)
            run("2", s, (0.84, 0.88), (1.0, 4.8), (0.008, condition), objective=name)
        run("1c", s, (0.8606, 0.45))
        for (name, critic), (accuracy, bound) in FIGURE_3.items():
            run("3", s, (0.8, accuracy), (1.0, bound), objective=name, critic=critic)
            run("8", s, (0.32, accuracy - 0.5), (1.0, bound), objective=name, critic=critic)
        for (name, encoder, target), accuracy in FIGURE_4.items():
            cell = {"objective": name, "encoder": encoder, "target": target}
            run("4", s, (0.8, accuracy), (1.0, target), **cell)
            run("9", s, (0.32, accuracy - 0.5), (1.0, target), **cell)
        for (name, iid), bound in TOY.items():
            run("4c", s, bound=(0.0, bound), objective=name, iid=iid)
    # The toy's bounds are means over many batches.
    table = pd.DataFrame(rows)
    table["accuracy_2019"] = table["accuracy"].where(table["figure"] == "1")
    toy = table["figure"] == "4c"
    middle = table.groupby(["figure", "objective", "iid", "step"])["bound_train"].transform("mean")
    table.loc[toy, "bound_train"] = middle[toy] + 0.2 * (table["bound_train"] - middle)[toy]
    return pd.concat([table, findings.k_pair_rows(range(n_seeds), n=8)])


@pytest.fixture(scope="module")
def paper():
    return as_in_the_paper()


@pytest.fixture(scope="module")
def truth(paper):
    return found(paper)


def found(table, **options):
    return by_key(findings.verdicts(table, **options))


def by_key(verdicts):
    return {(row.claim, row.judged_on): row for row in verdicts.itertuples()}


def key(number, bound=""):
    return number, findings.JUDGED_ON.get(bound, "")


def change(table, figure, column, amount, **cell):
    """Return the table with an amount added to the last step of the cells."""
    table = table.reset_index(drop=True)
    here = (table["figure"] == figure) & (table["step"] == STEPS[-1])
    for name, value in cell.items():
        here &= table[name] == value
    assert here.any()
    table.loc[here, column] += amount
    return table


@pytest.mark.parametrize(("number", "bound"), KEYS)
def test_a_planted_truth_holds(truth, number, bound):
    row = truth[key(number, bound)]
    assert row.verdict == "holds", row
    assert row.p < 0.05 and row.n_seeds == 20 and row.note == ""
    assert row.low < row.estimate < row.high or row.estimate == row.low == row.high


OPPOSITES = {
    ("1", "bound_train"): ("1", "accuracy", -0.2, {"objective": "nwj"}),
    ("1", "bound_test"): ("1", "bound_test", -1e6, {"objective": "nwj"}),
    ("2", ""): ("1c", "accuracy", 0.5, {}),
    ("3", ""): ("2", "log_condition", -2.0, {"objective": "nwj"}),
    ("4", ""): ("3", "accuracy", -0.02, {"critic": "bilinear", "objective": "infonce"}),
    ("5", "bound_train"): ("3", "bound_train", -1.5, {"critic": "concat", "objective": "nwj"}),
    ("5", "bound_test"): ("3", "bound_test", -1.5, {"critic": "concat", "objective": "nwj"}),
    ("6", "bound_train"): ("3", "bound_train", 0.15, {"critic": "concat", "objective": "infonce"}),
    ("6", "bound_test"): ("3", "bound_test", 0.15, {"critic": "separable"}),
    ("7", ""): ("4", "accuracy", 0.1, {"encoder": "mlp", "target": 2.0, "objective": "nwj"}),
    ("7size", ""): ("4", "accuracy", 0.02, {"encoder": "convnet"}),
    ("8", ""): ("4", "accuracy", -0.05, {"encoder": "convnet", "target": 2.0}),
    ("9", ""): ("4", "accuracy", 0.03, {"objective": "nwj", "encoder": "mlp"}),
    ("10", ""): ("4c", "bound_train", 0.3, {"objective": "nwj", "iid": True}),
}


@pytest.mark.parametrize(("number", "bound"), OPPOSITES)
def test_a_planted_opposite_does_not_hold(paper, number, bound):
    figure, column, amount, cell = OPPOSITES[number, bound]
    verdicts = found(change(paper, figure, column, amount, **cell))
    row = verdicts[key(number, bound)]
    assert row.verdict == "does not hold", row
    assert row.p_opposite < 0.05 < row.p


def test_a_wrong_identity_does_not_hold(paper):
    table = paper.assign(k_pair_loss=paper["k_pair_loss"] + 0.01)
    assert found(table)[key("11")].verdict == "does not hold"


@pytest.mark.parametrize(
    ("figure", "column", "noise", "claims"),
    [
        ("1", "accuracy", 2.0, ["1"]),
        ("1c", "accuracy", 10.0, ["2"]),
        ("2", "log_condition", 100.0, ["3"]),
        ("3", "accuracy", 2.0, ["4", "5"]),
        ("3", "bound_train", 20.0, ["5", "6"]),
        ("4", "accuracy", 2.0, ["7", "7size", "8", "9"]),
        ("4c", "bound_train", 20.0, ["10"]),
    ],
)
def test_noise_is_undecided(paper, figure, column, noise, claims):
    table = paper.reset_index(drop=True)
    here = table["figure"] == figure
    draws = np.random.default_rng(1).normal(size=here.sum())
    table.loc[here, column] += noise * draws
    verdicts = found(table)
    for number in claims:
        bound = {"1": "bound_train", "5": "bound_train", "6": "bound_train"}.get(number, "")
        assert verdicts[key(number, bound)].verdict == "undecided"


@pytest.mark.parametrize(
    ("figure", "claims"),
    [
        ("1", {"1"}),
        ("1c", {"2"}),
        ("2", {"3"}),
        ("3", {"4", "5", "6"}),
        ("4", {"7", "7size", "8", "9"}),
        ("4c", {"10"}),
        ("11", {"11"}),
    ],
)
def test_missing_data_are_not_run(paper, figure, claims):
    verdicts = found(paper[paper["figure"] != figure])
    not_run = [row for row in verdicts.values() if row.verdict == "not run"]
    assert {row.claim for row in not_run} == claims
    assert all(row.note.startswith("no data: ") and math.isnan(row.p) for row in not_run)
    assert {row.verdict for row in verdicts.values()} == {"holds", "not run"}


def test_one_missing_cell_is_named(paper):
    lacking = paper[~((paper["critic"] == "separable") & (paper["objective"] == "nwj"))]
    verdicts = found(lacking)
    assert verdicts[key("4")].verdict == "not run"
    assert "nwj: accuracy, bilinear - separable" in verdicts[key("4")].note
    assert "infonce" not in verdicts[key("4")].note
    assert verdicts[key("5", "bound_train")].verdict == "holds"


def test_a_table_of_one_figure_is_enough(paper):
    table = paper[paper["figure"] == "1c"].dropna(axis=1)
    verdicts = found(table)
    assert verdicts.pop(key("2")).verdict == "holds"
    assert {row.verdict for row in verdicts.values()} == {"not run"}


def test_a_single_seed_decides_nothing(paper):
    verdicts = found(paper[paper["seed"] == 0])
    assert {row.verdict for row in verdicts.values()} == {"undecided"}
    assert {row.n_seeds for row in verdicts.values()} == {1}


def test_bounds_are_judged_on_batches_and_on_untouched_rows(paper):
    # As with NWJ: tighter on what was trained on, looser on what was not.
    table = change(paper, "3", "bound_test", -2.0, critic="concat", objective="nwj")
    verdicts = found(table)
    assert verdicts[key("5", "bound_train")].verdict == "holds"
    assert verdicts[key("5", "bound_test")].verdict == "does not hold"


def test_a_bound_off_its_target_leaves_its_claims_undecided(paper):
    cell = {"encoder": "mlp", "target": 4.0, "objective": "nwj"}
    verdicts = found(change(paper, "4", "bound_train", -0.65, **cell))
    for number in ("7", "7size", "8", "9"):
        row = verdicts[key(number)]
        assert row.verdict == "undecided" and math.isnan(row.estimate)
        assert row.note == "20 seeds without a partner at its target left out"
    assert verdicts[key("2")].verdict == "holds"


def test_a_run_off_its_target_takes_its_seed_out_of_the_claim(paper, truth):
    # A stuck run is far from the others, in its bound and in its accuracy.
    table = paper.reset_index(drop=True)
    stuck = (table["figure"] == "4") & (table["seed"] < 5) & (table["encoder"] == "convnet")
    stuck &= (table["objective"] == "nwj") & (table["target"] == 4.0) & (table["step"] == 20_000)
    table.loc[stuck, ["bound_train", "accuracy"]] = 1.4, 0.1
    row = found(table)[key("7")]
    assert (row.verdict, row.note) == ("holds", "5 seeds without a partner at its target left out")
    compared = findings.comparisons(table).query("claim == '7'").set_index("statement")
    kept = paper[(paper["figure"] == "4") & (paper["step"] == 20_000) & (paper["seed"] >= 5)]
    kept = kept[(kept["objective"] == "nwj") & (kept["target"] == 4.0)]
    means = kept.groupby("encoder")["accuracy"].mean()
    other = compared.loc["nwj, t=4: accuracy, convnet - mlp > 0"]
    assert other["estimate"] == pytest.approx(means["convnet"] - means["mlp"])
    assert other["n_seeds"] == 15


@pytest.mark.parametrize(("n_seeds", "verdicts"), [(7, {"undecided"}), (8, {"holds"})])
def test_fewer_than_eight_seeds_decide_nothing(paper, n_seeds, verdicts):
    easy = found(paper[paper["seed"] < n_seeds])
    assert {easy[key(number)].verdict for number in ("2", "3", "10", "11")} == verdicts


def test_a_claim_without_a_p_is_one_of_the_family(paper):
    alone = paper[(paper["figure"] != "4") | (paper["seed"] == 0)]
    without = found(paper[paper["figure"] != "4"])[key("3")].p
    assert found(alone)[key("3")].p > without


def test_a_claim_asks_only_its_own_cells_to_be_at_their_target(paper):
    cell = {"encoder": "mlp", "target": 2.0, "objective": "nwj"}
    verdicts = found(change(paper, "4", "bound_train", -0.65, **cell))
    assert [verdicts[key(n)].verdict for n in ("7", "8")] == ["undecided", "holds"]


def test_cifar10_is_judged_on_its_own_figures(paper):
    verdicts = found(paper[paper["figure"].isin(["8", "9"])], data="cifar10")
    assert {number for number, _ in verdicts} == {"4", "5", "6", "7", "8", "9"}
    assert {row.verdict for row in verdicts.values()} == {"holds"}
    assert ".347" in verdicts[key("4")].paper


def test_a_chosen_step_is_the_one_judged(paper):
    row = found(change(paper, "1c", "accuracy", 0.5), step=1000)[key("2")]
    assert (row.verdict, row.step) == ("holds", 1000)
    assert found(paper, step=7)[key("2")].verdict == "not run"


def test_seeds_are_paired(paper, truth):
    # A large effect of the seed, the same in both critics, must not hide a small difference.
    table = paper.reset_index(drop=True)
    table["accuracy"] += np.random.default_rng(2).normal(size=20)[table["seed"]]
    row = found(table)[key("4")]
    assert row.verdict == "holds" and row.estimate == pytest.approx(truth[key("4")].estimate)


def test_failed_runs_are_left_out_and_counted(paper):
    table = paper.reset_index(drop=True)
    here = (table["figure"] == "1c") & (table["seed"] < 2) & (table["step"] == 20_000)
    table.loc[here, "accuracy"] = [math.nan, math.inf]
    row = found(table)[key("2")]
    assert (row.verdict, row.n_seeds) == ("holds", 18)
    assert row.note == "2 seeds without a finite partner left out"


def test_a_failure_after_an_evaluation_does_not_hide_it(paper, truth):
    failed = pd.DataFrame({"figure": ["1c"], "seed": [0], "step": [1000], "error": ["OSError"]})
    row = found(pd.concat([paper, failed]))[key("2")]
    assert (row.verdict, row.estimate) == ("holds", truth[key("2")].estimate)


def test_cells_must_be_told_apart(paper):
    with pytest.raises(ValueError, match="several rows for seed=0, step=0"):
        findings.verdicts(pd.concat([paper, paper]))


# The statistics.


@pytest.mark.parametrize("threshold", [-0.5, 0.0, 0.4])
def test_one_sided_equals_scipy(threshold):
    values = np.random.default_rng(0).normal(0.2, size=7)
    p, opposite, half = findings.one_sided(values, threshold, 0.05)
    above = stats.ttest_1samp(values, threshold, alternative="greater")
    assert p == pytest.approx(above.pvalue)
    below = stats.ttest_1samp(values, threshold, alternative="less").pvalue
    assert opposite == pytest.approx(below)
    interval = stats.ttest_1samp(values, threshold).confidence_interval(0.95)
    assert values.mean() - half == pytest.approx(interval.low)
    assert values.mean() + half == pytest.approx(interval.high)


def test_one_sided_of_equal_values():
    assert findings.one_sided(np.ones(3), 0.0, 0.05) == (0.0, 1.0, 0.0)
    assert findings.one_sided(np.ones(3), 1.0, 0.05) == (0.5, 0.5, 0.0)
    assert findings.one_sided(-np.ones(3), 0.0, 0.05) == (1.0, 0.0, 0.0)


def test_an_equivalence_needs_both_sides():
    sure = pd.Series(np.random.default_rng(0).normal(0, 0.001, size=10))
    for shift, sides in ((0.0, [True, True]), (0.1, [True, False]), (-0.1, [False, True])):
        both = findings.within("x", sure + shift, -0.01, 0.01)
        assert [part.result(0.05)["p"] < 0.05 for part in both] == sides


def naive_holm(p, alpha):
    """Reject while the k-th smallest of m is at most alpha / (m - k); by the definition."""
    left = sorted((value, place) for place, value in enumerate(p) if not math.isnan(value))
    rejected = set()
    while left and left[0][0] < alpha / len(left):
        rejected.add(left.pop(0)[1])
    return rejected


def test_holm_equals_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.uniform(size=9) ** 4
        p[rng.integers(9)] = math.nan
        corrected = findings.holm(p)
        assert {k for k, value in enumerate(corrected) if value < 0.05} == naive_holm(p, 0.05)
        assert np.isnan(corrected).tolist() == np.isnan(p).tolist()
    assert findings.holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_noise_seldom_makes_any_claim_hold_or_fail():
    # Differences of 0 everywhere: Holm keeps the chance of one wrong verdict or more below .05.
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = [findings.one_sided(rng.normal(size=5), 0.0, 0.05)[0] for _ in range(15)]
        wrong += (findings.holm(p) < 0.05).any()
    assert wrong <= stats.binom.isf(0.001, 40, 0.05)


def test_k_pair_rows_are_an_identity_of_two_computations():
    rows = findings.k_pair_rows(range(3), n=16)
    gap = rows["bound_train"] - (np.log(16) - rows["k_pair_loss"])
    assert gap.abs().max() < 1e-12
    assert rows["bound_train"].nunique() == 3 and (rows["k_pair_loss"] > 0.1).all()


# The pages.


def test_labels_say_what_is_no_sentence_of_the_paper(truth):
    read_off = {number for (number, _), row in truth.items() if "figures" in row.source}
    assert read_off == {"6", "7size", "8"}


def test_every_claim_stands_in_the_module_table():
    table = findings.__doc__.split("=====")[4:]
    listed = {line.split()[0] for part in table for line in part.splitlines() if line[:1].isdigit()}
    assert listed == {claim.number for claim in findings.CLAIMS}


@pytest.fixture(scope="module")
def lacking(paper):
    return findings.verdicts(paper[paper["figure"] != "2"])


def test_markdown_has_a_row_a_verdict(lacking):
    lines = findings.to_markdown(lacking).splitlines()
    assert len(lines) == 2 + len(KEYS)
    assert {line.count(" | ") for line in lines} == {6}
    assert lines[2].startswith("| (1) With bijective encoders") and "training batches" in lines[2]
    row = next(line for line in lines if line.startswith("| (3)"))
    assert "| not run |" in row and "nan" not in row


def test_rst_is_a_table_that_docutils_reads(lacking):
    docutils = pytest.importorskip("docutils.core")
    page = findings.to_rst(lacking)
    tree = docutils.publish_doctree(page, settings_overrides={"halt_level": 2})
    rows = [[cell.astext() for cell in row.findall(is_entry)] for row in tree.findall(is_row)]
    assert len(rows) == 1 + len(KEYS) and {len(row) for row in rows} == {7}
    assert rows[0][0] == "claim" and rows[1][-1] == "holds"


def is_row(node):
    return node.tagname == "row"


def is_entry(node):
    return node.tagname == "entry"


def test_true_mi_is_that_of_the_toy(paper):
    dependent = findings.comparisons(paper).query("claim == '10'").iloc[0]
    assert dependent["estimate"] == pytest.approx(0.19 - toy_true_mi(), abs=0.01)
