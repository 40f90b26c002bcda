"""New seeds for the paper's claims: how many are planned, how they run, and how they decide."""

import math
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

ROOT = Path(__file__).parent.parent
PAPER = ROOT / "examples" / "paper"
PILOTS = ROOT / "docs" / "paper"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    sys.path.insert(0, str(PAPER))
    yield
    sys.path.remove(str(PAPER))


@pytest.fixture(scope="module")
def plan():
    return import_module("plan")


@pytest.fixture(scope="module")
def planned():
    return import_module("planned")


@pytest.fixture(scope="module")
def run_plan():
    return import_module("run_plan")


@pytest.fixture(scope="module")
def findings():
    return import_module("findings")


def power(n, distance, spread, level):
    """Return the power of a one-sided t test, by integrating over the estimated spread."""
    critical = stats.t.isf(level, n - 1)

    def given(square):
        estimated = math.sqrt(square / (n - 1))
        shift = distance * math.sqrt(n) / spread
        return stats.norm.sf(critical * estimated - shift) * stats.chi2.pdf(square, n - 1)

    return integrate.quad(given, 0, stats.chi2.isf(1e-12, n - 1), limit=200)[0]


@pytest.mark.parametrize(("distance", "level"), [(1.0, 0.05), (0.6, 0.05 / 15), (0.3, 0.001)])
def test_seeds_to_decide_are_the_fewest_with_the_power(plan, distance, level):
    n = plan.seeds_to_decide(distance, 1.0, level)
    assert n > 8
    assert power(n, distance, 1.0, level) >= 0.9 > power(n - 1, distance, 1.0, level)


def test_seeds_are_never_fewer_than_eight_nor_without_end(plan):
    assert plan.seeds_to_decide(100.0, 1.0) == plan.seeds_to_narrow(100.0, 1.0) == 8
    assert plan.seeds_to_decide(1e-9, 1.0) == plan.seeds_to_narrow(1e-9, 1.0) == plan.MOST_SEEDS


@pytest.mark.parametrize("effect", [0.4, 0.9, 1.3])
def test_seeds_to_narrow_are_the_fewest_with_a_short_interval(plan, effect):
    n = next(
        n
        for n in range(8, 1000)
        if np.ptp(stats.t.interval(0.95, n - 1, scale=1 / math.sqrt(n))) < effect
    )
    assert plan.seeds_to_narrow(effect, 1.0) == n


@pytest.mark.parametrize(("need", "at_target", "share"), [(8, 3, 0.8), (8, 1, 0.4), (20, 3, 0.8)])
def test_enough_seeds_get_to_their_target(plan, need, at_target, share):
    n = plan.seeds_to_run(need, at_target, 3)
    arrivals = np.random.default_rng(0).random((40_000, n)) < share
    assert (arrivals.sum(axis=1) >= need).mean() > 0.9 - 0.005
    assert (arrivals[:, 1:].sum(axis=1) >= need).mean() < 0.9 + 0.005


@pytest.mark.parametrize("n", [2, 3])
def test_four_in_five_upper_spreads_are_above_the_true_one(plan, n):
    draws = np.random.default_rng(0).normal(0, 2.0, (4_000, n))
    above = np.mean([plan.upper_spread(sd, n) > 2.0 for sd in draws.std(axis=1, ddof=1)])
    assert above == pytest.approx(0.8, abs=0.02)
    assert math.isnan(plan.upper_spread(math.nan, 1))


def test_the_papers_effect_is_read_off_its_curves(plan, findings):
    curves = import_module("curves").CURVES["F3_ACC_NWJ"]
    runs = findings.Runs(plan.paper_rows("3", [0, 5_000]))
    found = {part.statement: part.differences.item() for part in findings.capacity(runs, "")}
    bilinear, separable = (
        curves[name]["mean"][curves[name]["step_k"].index(5.0)]
        for name in ("Bilinear", "Separable")
    )
    assert found["nwj: accuracy, bilinear - separable"] == pytest.approx(bilinear - separable)


def table_of_figure_3(learners, n_seeds, seed=0, first=0, **shift):
    rng = np.random.default_rng(seed)
    rows = []
    for learner in learners:
        critic, objective = learner.split()
        for k in range(n_seeds):
            cell = {"critic": critic, "objective": objective, "learner": learner}
            accuracy = shift.get(critic, 0.0) + 0.001 * rng.normal()
            rows += [
                {"figure": "3", "seed": first + k, "step": step, "accuracy": accuracy, **cell}
                for step in (0, 100)
            ]
    table = pd.DataFrame(rows)
    return table.assign(bound_train=1.0, bound_test=1.0, error="")


def test_a_comparison_knows_its_cells(plan, findings):
    claims = {claim.number: claim for claim in findings.CLAIMS}
    for number, expected in {
        "2": [{("1c", "realnvp adversarial")}],
        "3": 2 * [{("2", "skip-mlp infonce")}] + 2 * [{("2", "skip-mlp nwj")}],
        "8": [
            {("4", "convnet infonce 2"), ("4", "mlp infonce 4")},
            {("4", "convnet nwj 2"), ("4", "mlp nwj 4")},
        ],
    }.items():
        runs = plan.Watched(pd.DataFrame({"figure": []}), "mnist")
        pairs = plan.with_cells(claims[number], runs, "bound_train")
        assert [set(cells) for _, cells in pairs] == expected
    runs = plan.Watched(pd.DataFrame({"figure": []}), "cifar10")
    cells = [set(found) for _, found in plan.with_cells(claims["4"], runs, "")]
    assert cells[0] == {("8", "bilinear infonce"), ("8", "separable infonce")}


def test_eight_pilots_need_no_new_seeds(plan):
    learners = [f"{c} {o}" for c in ("bilinear", "separable", "concat") for o in ("infonce", "nwj")]
    better = {"bilinear": 0.02, "separable": 0.01}
    paper = plan.paper_rows("3", [0, 100])
    for n_seeds, expected in ((8, 0), (3, 8)):
        pilots = table_of_figure_3(learners, n_seeds, **better)
        found = plan.needs(pilots, paper, "mnist").query("claim == '4'")
        assert (found["seeds"] == expected).all()
        assert (found["at_target"] == n_seeds).all()


def test_the_plan_is_what_the_pilots_give(plan, tmp_path, capsys):
    plan.main(PILOTS, tmp_path / "plan")
    for name in ("comparisons.csv", "runs.csv"):
        made, kept = (pd.read_csv(path / name) for path in (tmp_path / "plan", plan.PLAN))
        pd.testing.assert_frame_equal(made, kept, rtol=1e-3)
    assert "within reach" in capsys.readouterr().out
    runs = pd.read_csv(tmp_path / "plan" / "runs.csv")
    hours = runs.groupby(["data", "claim"], sort=False)["hours"].sum()
    assert (runs["seeds"] >= 8).all() and hours.is_monotonic_increasing
    assert set(runs["reach"]) == {"yes", "no"}


def test_a_plan_with_new_seeds_stays(plan, tmp_path):
    pd.DataFrame({"figure": ["3"]}).to_csv(tmp_path / "figure_3.csv")
    with pytest.raises(SystemExit, match="has new seeds"):
        plan.main(PILOTS, tmp_path)


def a_plan(planned, new, seeds=(3, 2)):
    """Return a plan of the two cells of claim 5 on figure 3, one with fewer seeds."""
    cells = pd.DataFrame(
        {
            "data": "mnist",
            "claim": "5",
            "figure": "3",
            "learner": ["concat nwj", "bilinear nwj"],
            "seeds": seeds,
            "steps": "0 100",
            "seconds": 36.0,
            "reach": "yes",
        }
    )
    compared = pd.DataFrame(
        {
            "data": "mnist",
            "claim": "5",
            "statement": [
                "nwj: bound, concat - bilinear > 0",
                "nwj: accuracy, bilinear - concat > 0",
            ],
            "effect": [1.0, 0.02],
        }
    )
    return planned.Planned(cells, compared, new)


def new_seeds(n_seeds=3, concat_ahead=1.0, **options):
    table = table_of_figure_3(["concat nwj", "bilinear nwj"], n_seeds, first=100, **options)
    tighter = (table["critic"] == "concat") * concat_ahead
    return table.assign(bound_train=tighter + 0.001 * table["seed"] % 7)


def test_progress_counts_seeds_whose_cells_have_all_run(planned):
    table = new_seeds()
    assert a_plan(planned, pd.DataFrame()).progress("mnist", "5") == (0, 3)
    assert a_plan(planned, table).progress("mnist", "5") == (3, 3)
    cut = table[~((table["seed"] == 101) & (table["step"] == 100))]
    assert a_plan(planned, cut).waits("mnist", "5") == "pilots; 2 of 3 new seeds have run"
    failed = cut.assign(error=np.where(cut["seed"] == 101, "ValueError: x", None))
    # Another seed runs in its place, of both cells.
    assert a_plan(planned, failed).waits("mnist", "5") == "pilots; 3 of 4 new seeds have run"
    assert list(a_plan(planned, failed).of("mnist", "5")["seeds"]) == [4, 3]
    replaced = pd.concat([failed, new_seeds(4).query("seed == 103")])
    assert a_plan(planned, replaced).complete("mnist", "5")
    assert set(a_plan(planned, replaced).rows("mnist", "5")["seed"]) == {100, 101, 102, 103}
    # The second cell needs two seeds only.
    fewer = table[~((table["learner"] == "bilinear nwj") & (table["seed"] == 102))]
    assert a_plan(planned, fewer).complete("mnist", "5")
    assert not a_plan(planned, table).complete("mnist", "4")
    assert a_plan(planned, table).waits("mnist", "4") == ""


def test_no_more_seeds_decide_than_were_planned(planned):
    rows = a_plan(planned, new_seeds(n_seeds=9)).rows("mnist", "5")
    seeds = rows.groupby("learner")["seed"].unique().map(sorted).to_dict()
    assert seeds == {"bilinear nwj": [100, 101], "concat nwj": [100, 101, 102]}


def verdict_of(findings, table, **options):
    return findings.verdicts(table, **options).query("claim == '5'").iloc[0]


def test_pilots_wait_for_all_new_seeds_and_then_count_no_more(planned, findings):
    pilots = table_of_figure_3(["concat nwj", "bilinear nwj"], 20, seed=1, bilinear=-0.02)
    pilots["bound_train"] = (pilots["critic"] == "concat") + 0.001 * pilots["seed"]
    assert verdict_of(findings, pilots).verdict == "does not hold"
    new = new_seeds(n_seeds=9, bilinear=0.02)
    some = a_plan(planned, new[new["seed"] < 108], seeds=(9, 9))
    row = verdict_of(findings, pilots, planned=some)
    assert (row.verdict, row.n_seeds) == ("undecided", 20)
    assert row.note == "pilots; 8 of 9 new seeds have run" and row.estimate < 0
    row = verdict_of(findings, pilots, planned=a_plan(planned, new, seeds=(9, 9)))
    assert (row.verdict, row.n_seeds, row.note) == ("holds", 9, "")
    assert row.estimate > 0


@pytest.mark.parametrize(("effect", "narrow"), [(0.02, True), (1e-4, False)])
def test_an_undecided_claim_says_whether_its_interval_is_short(planned, findings, effect, narrow):
    new = new_seeds(n_seeds=9, seed=2)
    whole = a_plan(planned, new, seeds=(9, 9))
    whole.compared["effect"] = [1.0, effect]
    row = verdict_of(findings, new, planned=whole)
    assert row.verdict == "undecided"
    assert row.note == (findings.NARROW if narrow else "")


def test_a_seed_that_failed_for_good_is_run_no_more_and_replaced(planned, run_plan):
    new = new_seeds()
    new["error"] = np.where((new["seed"] == 101) & (new["learner"] == "concat nwj"), "x", "")
    runs = list(run_plan.left(a_plan(planned, new, seeds=(3, 3)), []))
    assert [(run.learner, run.seed) for run in runs] == [("concat nwj", 103), ("bilinear nwj", 103)]


def test_runs_come_seed_by_seed_each_once_and_none_again(planned, run_plan):
    whole = a_plan(planned, pd.DataFrame())
    more = whole.cells.assign(claim="6", reach="no")
    whole.cells = pd.concat([whole.cells, more], ignore_index=True)
    runs = list(run_plan.left(whole, []))
    order = [(run.claim, run.learner, run.seed) for run in runs]
    both = [("5", name, seed) for seed in (100, 101) for name in ("concat nwj", "bilinear nwj")]
    assert order == [*both, ("5", "concat nwj", 102)]
    assert runs[0].steps == (0, 100) and runs[0].hours == 0.01
    assert list(run_plan.left(whole, [], beyond_reach=True)) == runs
    assert [run.claim for run in run_plan.left(whole, ["mnist:6"])] == 5 * ["6"]
    whole.new = new_seeds(n_seeds=2)
    assert [(run.learner, run.seed) for run in run_plan.left(whole, [])] == [("concat nwj", 102)]


@pytest.fixture
def plan_folder(planned, tmp_path):
    whole = a_plan(planned, pd.DataFrame())
    whole.cells.to_csv(tmp_path / "runs.csv", index=False)
    whole.compared.to_csv(tmp_path / "comparisons.csv", index=False)
    return tmp_path


def arguments(monkeypatch, folder, *more):
    given = ["run_plan.py", "--folder", str(folder), "--work", str(folder / "work"), *more]
    monkeypatch.setattr("sys.argv", given)


def test_a_stopped_plan_goes_on_where_it_was(run_plan, planned, plan_folder, monkeypatch, capsys):
    asked = []

    def run_figure(figure, *, seeds, at, only, **options):
        asked.append((only, *seeds))
        table = table_of_figure_3([only], 1, first=seeds[0])
        return table[table["step"].isin(at)].assign(seconds=1.0)

    monkeypatch.setattr(run_plan, "run_figure", run_figure)
    monkeypatch.setattr(run_plan, "commit", lambda: "0123456")
    arguments(monkeypatch, plan_folder, "--runs", "2")
    run_plan.main()
    assert asked == [("concat nwj", 100), ("bilinear nwj", 100)]
    arguments(monkeypatch, plan_folder)
    run_plan.main()
    assert len(asked) == len(set(asked)) == 5
    assert "3 runs left" in capsys.readouterr().out
    found = planned.Planned.read(plan_folder)
    assert found.complete("mnist", "5") and len(found.new) == 10
    assert set(found.new["commit"]) == {"0123456"}


def test_a_machine_without_data_records_nothing(run_plan, plan_folder, monkeypatch):
    failed = pd.DataFrame({"learner": ["concat nwj"], "step": [0], "error": ["OSError: no MNIST"]})
    monkeypatch.setattr(run_plan, "run_figure", lambda *args, **options: failed)
    arguments(monkeypatch, plan_folder)
    with pytest.raises(SystemExit, match="OSError: no MNIST"):
        run_plan.main()
    assert not list(plan_folder.glob("figure_*.csv"))


def test_names_of_cells_choose_one_learner_each(plan):
    # `run_figure(only=...)` takes every learner whose name contains the text.
    for name in plan.NAMES:
        learners = list(plan.STUDIES[name]().learners)
        assert all(sum(one in other for other in learners) == 1 for one in learners)
