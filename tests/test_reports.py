import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from sklearn_mi import MIRepresentationLearner, reports, tiles
from sklearn_mi.bounds import NWJ, InfoNCE, infonce
from sklearn_mi.comparisons import ComparisonModule, Parts, Whole
from sklearn_mi.critics import Cosine, InnerProduct, Split
from sklearn_mi.model import PairModel
from sklearn_mi.negatives import InBatch
from sklearn_mi.objectives import EachPart, KPair, Matched
from sklearn_mi.persistence import read_estimate
from sklearn_mi.reports import (
    MIEstimate,
    blocks,
    describe,
    every_bound,
    held_out_bound,
    held_out_infonce,
    missing,
    pair_codes,
)
from sklearn_mi.rows import PairedRows, Rows, Standardize
from sklearn_mi.views import Paired


class Scores(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


def make_model(critic=None, objective=None, width=2, comparison=None):
    return PairModel(
        recipe=None,  # reports read modules alone
        view=Paired(),
        state=None,
        scale=Standardize(np.zeros(1), np.ones(1)),
        scale_pair=Standardize(np.zeros(1), np.ones(1)),
        encoder=torch.nn.Identity(),
        encoder_y=torch.nn.Identity(),
        head=None,
        head_y=None,
        critic=(critic or InnerProduct()).build(width, width),
        negatives=InBatch().build(width),
        objective=(objective or NWJ()).build(width, width),
        comparison=comparison or Whole().build([(width,), (width,)]),
        shapes=((width,), (width,)),
        widths=(width, width),
    )


@pytest.fixture
def model():
    return make_model()


def as_rows(X):
    scale = Standardize(np.zeros(1), np.ones(1))
    return Rows(X, scale, torch.device("cpu"), X.shape[1:])


def pairs(n, seed=0, width=2):
    first, noise = np.random.default_rng(seed).normal(size=(2, n, width))
    return PairedRows(as_rows(first), as_rows(0.5 * first + noise))


def test_blocks_count_every_row_once_among_equally_many():
    made = blocks(25, 10, 0)
    assert [len(block) for block, _ in made] == [10, 10, 10]
    assert [fresh for _, fresh in made] == [10, 10, 5]
    counted = torch.cat([block[:fresh] for block, fresh in made])
    assert sorted(counted.tolist()) == list(range(25))
    assert all(len(set(block.tolist())) == 10 for block, _ in made)
    assert [(len(block), fresh) for block, fresh in blocks(7, 10, 0)] == [(7, 7)]


def test_held_out_infonce_is_the_mean_over_blocks(model):
    rows = pairs(40)
    value, stderr = held_out_infonce(model, rows, 20, 0)
    expected = [infonce(model.critic(*rows[block])).item() for block, _ in blocks(40, 20, 0)]
    assert value == pytest.approx(np.mean(expected), abs=1e-6)
    assert 0 < stderr < 1


@pytest.mark.parametrize("compute", [held_out_infonce, held_out_bound])
def test_the_standard_error_is_the_spread_over_data_sets(model, compute):
    model.critic = Scores(lambda x, y: 0.3 * x @ y.T)
    values, errors = zip(
        *(compute(model, pairs(128, seed), 128, 0) for seed in range(200)), strict=True
    )
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_a_report_names_its_facts(model):
    model.critic = Scores(lambda x, y: -50 * torch.cdist(x, y) ** 2)
    rows = PairedRows(as_rows(np.eye(2)[[0, 1] * 8] * np.arange(1, 17)[:, None]), None)
    rows.second = rows.first
    report = describe(model, InfoNCE(), rows, 16, 0, caveats=["a caveat"])
    assert report.warnings[0] == "a caveat" and "of the ceiling 2.77" in report.warnings[1]
    assert report.ceiling == pytest.approx(math.log(16)) and report.objective.bound == "InfoNCE"
    report = describe(model, NWJ(), pairs(16), 256, 0)
    assert "only 16 held-out rows for eval_block_size=256" in report.warnings[0]
    assert report.objective.bound == "NWJ" and report.objective.ceiling == math.inf


def test_a_negative_bound_says_why(model):
    model.critic = Scores(lambda x, y: -3 * x @ y.T)
    report = describe(model, NWJ(), pairs(64), 64, 0)
    assert report.value < 0 and "early_stopping=True" in report.warnings[-1]


def test_a_number_that_is_no_bound_has_no_lower_limit(model):
    own = describe(model, NWJ(), pairs(64), 64, 0, invalid="its negatives were chosen").objective
    assert (own.status, own.lower_limit) == ("neither", None)
    assert own.warnings[-1] == "no bound on the mutual information: its negatives were chosen"
    assert describe(model, NWJ(), pairs(64), 64, 0).objective.lower_limit < own.value


@pytest.mark.parametrize("compute", [held_out_infonce, held_out_bound, every_bound])
def test_one_row_with_a_partner_is_refused(model, compute):
    with pytest.raises(
        ValueError, match="1 rows have a partner among those given; expected at least 2"
    ):
        compute(model, pairs(1), 8, 0)


def test_score_without_partners_says_so():
    X = np.random.default_rng(0).normal(size=(40, 3))
    fitted = MIRepresentationLearner(2, view="same-group", max_steps=2, random_state=0)
    fitted.fit(X, groups=np.arange(40) // 4)
    for of in (fitted.score, fitted.bounds, fitted.transform_views):
        with pytest.raises(ValueError, match="0 rows have a partner among those given; expected"):
            of(X[:5], groups=np.arange(5))


# Written out


def test_a_lower_bound_is_written_with_its_interval_limit_and_ceiling():
    estimate = MIEstimate("InfoNCE", 0.5, 0.1, math.log(8), 1200, 8, "lower")
    # 0.5 -+ 1.96 * 0.1, and 0.5 - 1.645 * 0.1 from one side.
    assert str(estimate) == (
        "0.500 nats, 95 % interval 0.304 to 0.696, lower limit 0.336\n"
        "InfoNCE, a lower bound, 1,200 held-out pairs, ceiling 2.08"
    )
    assert "warnings=('a', 'b')" in repr(replace(estimate, warnings=("a", "b")))


def test_another_confidence_gives_another_interval_and_says_so():
    estimate = MIEstimate("InfoNCE", 0.5, 0.1, math.log(8), 10, 8, "lower", confidence=0.9)
    # 0.5 -+ 1.645 * 0.1, and 0.5 - 1.282 * 0.1 from one side.
    assert str(estimate).startswith("0.500 nats, 90 % interval 0.336 to 0.664, lower limit 0.372\n")


def test_no_bound_and_no_ceiling_are_called_so():
    estimate = MIEstimate("SMILE", 2.0, 0.1, math.inf, 10, 5, "neither", interval=(1.5, 2.25))
    assert str(estimate) == ("2.000 nats, 95 % interval 1.500 to 2.250\nSMILE, no bound, 10 pairs")
    upper = MIEstimate("KL", -1e-5, math.nan, math.inf, 2, 2, "upper")
    assert str(upper) == "0.000 nats\nKL, an upper bound, 2 held-out pairs"


def test_a_best_guess_tells_whose_limit_it_shows():
    guess = MIEstimate("mean", 2.0, 0.1, math.inf, 10, 5, "neither", lower_limit=1.0)
    assert str(guess).endswith(
        "lower limit 1.000\nbest guess: mean, 10 pairs, lower limit of guaranteed_"
    )


def test_a_number_without_an_end_says_at_least():
    guess = MIEstimate(
        "nearest neighbours (in-sample)", 2.0, 0.1, math.inf, 10, 5, "neither",
        interval=(1.5, math.inf), lower_limit=1.0, at_least=True,
    )  # fmt: skip
    assert str(guess).startswith(
        "at least 2.000 nats, 95 % interval 1.500 and more, lower limit 1.000\n"
        "best guess: nearest neighbours (in-sample), 10 pairs"
    )
    again = read_estimate(json.loads(json.dumps(asdict(guess))))
    assert again == guess


def test_an_estimate_of_an_older_file_has_an_end():
    facts = asdict(MIEstimate("InfoNCE", 0.5, 0.1, math.inf, 12, 8, "lower"))
    del facts["at_least"]
    assert read_estimate(facts).at_least is False


@pytest.mark.parametrize(("n", "said"), [(0, ""), (1, "; 1 warning"), (2, "; 2 warnings")])
def test_warnings_are_counted(n, said):
    estimate = MIEstimate("NWJ", 1.0, 0.1, math.inf, 10, 5, "lower", ("one", "two")[:n])
    assert str(estimate).endswith(f"10 held-out pairs{said and said + ': see .warnings'}")


def test_a_missing_number_is_written_with_its_reason():
    assert str(missing("InfoNCE", "no rows were held out")) == "no value\nno rows were held out"


# Comparisons

CUT = Split(("cauchy", "bilinear", Cosine(0.5)))


def by_comparison_and_by_objective(inner):
    """Return two models with the same weights."""
    torch.manual_seed(0)
    parts = Parts().build([(8,), (8,)])
    compared = make_model(CUT, inner, 8, comparison=parts)
    torch.manual_seed(0)
    return compared, make_model(CUT, EachPart(inner), 8)


@pytest.mark.parametrize("inner", [InfoNCE(), NWJ()])
def test_a_model_that_compares_parts_trains_as_the_objective_each_part(inner):
    values = []
    rows, numbers = pairs(32, width=8), torch.arange(32)
    for model in by_comparison_and_by_objective(inner):
        value = model(rows[numbers], numbers, None, torch.Generator())
        value.backward()
        values.append([value.detach(), *(weight.grad for weight in model.critic.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*values, strict=True))


@pytest.mark.parametrize("inner", [InfoNCE(), NWJ()])
def test_reports_take_the_mean_over_what_is_compared(inner):
    compared, each = by_comparison_and_by_objective(inner)
    rows = pairs(80, width=8)
    for compute in (held_out_infonce, held_out_bound, every_bound):
        assert compute(compared, rows, 40, 0) == compute(each, rows, 40, 0)
    report, other = (
        describe(compared, inner, rows, 40, 0),
        describe(each, EachPart(inner), rows, 40, 0),
    )
    own = report.objective
    # The number on top is that of whole codes.
    assert report.value == held_out_infonce(compared, rows, 40, 0)[0] != own.value
    assert (own.value, own.stderr) == (other.objective.value, other.objective.stderr)
    assert (own.bound, own.status) == (type(inner).__name__, "lower")


@pytest.mark.parametrize(
    ("objective", "bound", "ceiling"),
    [(Matched("nwj", 2.0), "NWJ", math.inf), (KPair(), "InfoNCE", math.log(40))],
)
def test_describe_takes_an_objective_or_the_bound_that_it_reports(objective, bound, ceiling):
    model, rows = make_model(objective=objective), pairs(80)
    own = describe(model, objective, rows, 40, 0).objective
    assert (own.value, own.stderr) == held_out_bound(model, rows, 40, 0)
    named = describe(model, objective.reported, rows, 40, 0)
    assert (named.objective.bound, named.objective.ceiling) == (bound, ceiling)
    assert named.objective.value == pytest.approx(own.value)
    assert (named.value, named.stderr) == held_out_infonce(model, rows, 40, 0)


def test_describe_looks_for_partners_once(monkeypatch):
    model, rows, asked = make_model(), pairs(80), []
    view = type(model.view).__call__
    monkeypatch.setattr(
        type(model.view), "__call__", lambda self, *given: asked.append(1) or view(self, *given)
    )
    describe(model, NWJ(), rows, 40, 0)
    assert len(asked) == 2  # blocks


class Places(ComparisonModule):
    """Every row beside itself, shifted by one: candidates that depend on each other."""

    caveat = "its candidates are places of one row"

    def forward(self, codes, rows):
        moved = codes.subset(torch.ones(len(codes.z_x), dtype=torch.bool))
        moved.z_y = moved.z_y + 1
        return [codes, moved]

    def candidates(self, n):
        return 2 * n - 1


def test_a_comparison_of_dependent_candidates_reports_no_bound():
    model = make_model(objective=InfoNCE(), comparison=Places())
    report = describe(model, InfoNCE(), pairs(64), 64, 0, invalid="its negatives were chosen")
    own = report.objective
    assert (report.status, report.n_candidates) == ("lower", 64)
    assert (own.status, own.lower_limit, own.n_candidates) == ("neither", None, 127)
    assert own.ceiling == pytest.approx(math.log(127))
    assert [text.split(": ")[1] for text in own.warnings] == [
        "its candidates are places of one row",
        "its negatives were chosen",
    ]


# Large blocks


def of_a_tile_at_most(cells):
    def scores(x, y):
        assert len(x) * len(y) <= cells, "more than a tile"
        return 0.3 * x @ y.T

    return Scores(scores)


@pytest.mark.parametrize("objective", [NWJ(), InfoNCE()])
def test_a_large_block_and_its_error_go_by_tiles(monkeypatch, objective):
    rows, model = pairs(200), make_model(objective=objective)
    model.critic = Scores(lambda x, y: 0.3 * x @ y.T)
    expected = held_out_infonce(model, rows, 200, 0), held_out_bound(model, rows, 200, 0)
    monkeypatch.setattr(tiles, "LARGE", 150 * 150)
    monkeypatch.setattr(tiles, "CELLS_AT_ONCE", 200 * 50)
    model.critic = of_a_tile_at_most(200 * 50)
    found = held_out_infonce(model, rows, 200, 0), held_out_bound(model, rows, 200, 0)
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-6)


# Draws from torch's global generators

COMPUTED = [held_out_infonce, held_out_bound, every_bound, pair_codes]


@pytest.mark.parametrize("compute", COMPUTED)
def test_global_draws_come_from_a_stream_on_the_device_of_the_model(monkeypatch, model, compute):
    asked = []

    def stream(model, seed, device="cpu"):
        asked.append((seed, torch.device(device).type))
        raise InterruptedError

    monkeypatch.setattr(reports, "global_stream", stream)
    monkeypatch.setattr(torch, "Generator", lambda device=None: torch.default_generator)
    for device in ("cpu", "meta"):
        with pytest.raises(InterruptedError):
            compute(model.to(device), pairs(16), 8, 3)
    assert asked == [(3, "cpu"), (3, "meta")]


@pytest.mark.gpu
def test_reports_leave_the_generator_of_the_gpu_alone():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    learner = MIRepresentationLearner(
        2, view=lambda x: (x, x + torch.randn_like(x)), max_steps=3, random_state=0, device="cuda"
    ).fit(X)
    before = torch.cuda.get_rng_state()
    values = [learner.score(X), learner.bounds(X), learner.transform_views(X)[1].sum()]
    assert torch.equal(torch.cuda.get_rng_state(), before)
    torch.rand(10, device="cuda")
    assert values == [learner.score(X), learner.bounds(X), learner.transform_views(X)[1].sum()]
