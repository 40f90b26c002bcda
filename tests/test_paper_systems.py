"""The claims about Deep InfoMax, CPC and CMC, on tables whose verdicts are known."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PAPER = Path(__file__).parent.parent / "examples" / "paper"
sys.path.insert(0, str(PAPER))
try:
    import systems
finally:
    sys.path.remove(str(PAPER))

SETTINGS = {
    "dim": ("encode-and-dot", "concat-and-convolve"),
    "cpc": ("gru", "conv"),
    "cmc": ("bilinear", "separable", "concat"),
}


def table(n_seeds=8, lesson=1.0):
    """Small critics are better by .1, and the bound says nothing; or the reverse by lesson=-1."""
    rng, rows = np.random.default_rng(0), []
    for seed in range(n_seeds):
        for system, critics in SETTINGS.items():
            for place, critic in enumerate(critics):
                for objective in systems.OBJECTIVES:
                    accuracy = 0.5 - 0.1 * lesson * place + 0.01 * rng.normal()
                    bound = accuracy if lesson < 0 else rng.normal(scale=0.01)
                    bound += 0.2 * place * (lesson < 0)
                    rows.append((system, critic, objective, seed, 600, accuracy, bound))
    names = ["system", "critic", "objective", "seed", "step", "accuracy_converged", "infonce_test"]
    made = pd.DataFrame(rows, columns=names).assign(data="cifar10")
    earlier = made.assign(step=300, accuracy_converged=0.1)
    return pd.concat([earlier, made])


def test_the_lesson_holds_where_it_was_planted():
    made = systems.verdicts(table()).set_index("claim")
    assert (made["verdict"] == "holds").all()
    assert made.loc["S1", "estimate"] == pytest.approx(0.1, abs=0.02)
    assert abs(made.loc["S4", "estimate"]) < 0.5
    assert (made["n_seeds"] == 8).all()


def test_the_reverse_does_not_hold():
    assert (systems.verdicts(table(lesson=-1.0))["verdict"] == "does not hold").all()


def test_few_seeds_decide_nothing():
    assert (systems.verdicts(table(n_seeds=7))["verdict"] == "undecided").all()


def test_a_seed_whose_settings_have_not_all_run_has_no_rank_correlation():
    made = table()
    ended = (made["seed"] < 7) | (made["critic"] != "concat")
    found = {one.statement: len(one.differences) for one in systems.claims(made[ended])["S4"]}
    assert found == {"cpc: rank correlation": 8, "cmc: rank correlation": 7}


@pytest.mark.parametrize(("n_seeds", "verdict"), [(8, "does not hold"), (7, "undecided")])
def test_one_part_that_fails_is_enough_on_eight_seeds(n_seeds, verdict):
    made = table(n_seeds, lesson=-1.0)
    row = systems.verdicts(made[made["system"] == "cpc"]).set_index("claim").loc["S4"]
    assert row["verdict"] == verdict
    if verdict != "undecided":
        assert row["statement"].startswith("cpc") and row["n_seeds"] == 8 and row["low"] > 0.5


def test_one_part_that_holds_is_not_enough():
    made = table()
    found = systems.verdicts(made[made["system"] == "cpc"])
    assert (found["verdict"] == "undecided").all() and (found["n_seeds"] == 0).all()


def test_the_level_against_a_claim_is_divided_by_its_comparisons():
    rng = np.random.default_rng(1)
    ranks = [pd.Series(rng.normal(0.6, 0.1, 8)) for _ in range(2)]
    parts = [systems.Comparison(name, ranks[i], 0.5, True) for i, name in enumerate("ab")]
    alone = min(part.result(0.05)["p_opposite"] for part in parts)
    assert systems.judge(parts)[1]["p"] == pytest.approx(2 * alone)


@pytest.mark.parametrize("other", [{"step": 3}, {"data": "cifar10, 5000 rows"}])
def test_runs_that_were_not_planned_decide_nothing(other):
    made = systems.verdicts(table().assign(**other))
    assert (made["verdict"] == "undecided").all() and (made["n_seeds"] == 0).all()


def test_holm_by_hand():
    corrected = systems._by_holm(pd.Series([0.01, np.nan, 0.02, 0.03]))
    assert corrected.tolist() == pytest.approx([0.04, 1.0, 0.06, 0.06])
