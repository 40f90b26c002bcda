import json
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP
from sklearn_mi.evaluation import linear_probe
from sklearn_mi.study import Split, _Cell, _Work, estimate_hours, expand, read_study, run_study
from sklearn_mi.views import Halves


def iris():
    X_train, X_test, y_train, y_test = train_test_split(*load_iris(return_X_y=True), random_state=0)
    return Split(X_train, X_test, y_train, y_test)


LEARNERS = expand(
    MIRepresentationLearner(2, encoder=MLP(hidden=(8,)), eval_block_size=16, schedule="constant"),
    {"critic": ["bilinear", "cauchy"], "view": [Halves(), "neighbors"]},
)


def run(folder, **params):
    params = {"seeds": (0, 1), "at": (0, 6, 10), "progress": False, **params}
    params = {"probes": {"accuracy": linear_probe}, **params}
    learners, data = params.pop("learners", LEARNERS), params.pop("data", {"iris": iris()})
    return run_study(learners, data, folder=folder, **params)


def same(a, b):
    """Equal bit for bit in every column but the seconds."""
    pd.testing.assert_frame_equal(
        a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True
    )


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(tmp_path_factory.mktemp("study"))


def test_the_table_is_tidy(expected):
    assert len(expected) == 4 * 2 * 3
    assert expected.groupby(["learner", "seed"])["step"].apply(list).tolist() == [[0, 6, 10]] * 8
    assert set(expected["critic"]) == {"bilinear", "cauchy"} and "lr" not in expected
    assert (expected["objective_test"] == expected["infonce_test"]).all()
    assert (expected["error"] == "").all() and expected["versions"].str.contains("torch").all()


def test_a_cell_is_what_one_learner_gives(expected):
    split = iris()
    learner = clone(LEARNERS["critic=cauchy, view=neighbors"])
    learner.set_params(random_state=1, max_steps=6, n_threads=1)
    learner.fit(split.X_train)
    codes = learner.transform(split.X_train), learner.transform(split.X_test)
    row = expected.query("view == 'neighbors' and critic == 'cauchy' and seed == 1 and step == 6")
    assert row["accuracy"].item() == linear_probe(codes[0], split.y_train, codes[1], split.y_test)
    for part, rows in (("train", split.X_train), ("test", split.X_test)):
        for name, value in learner.bounds(rows).items():
            assert row[f"{name.replace('-', '_')}_{part}"].item() == value


def test_nothing_is_computed_twice(expected, tmp_path):
    first = run(tmp_path)
    start = time.perf_counter()
    again = run(tmp_path, data={"iris": lambda: pytest.fail("the data were read again")})
    assert time.perf_counter() - start < 5
    pd.testing.assert_frame_equal(first, again)
    same(first, expected)
    assert pd.read_csv(tmp_path / "table.csv").shape == first.shape
    assert len(read_study(tmp_path)) == len(first)


def test_seeds_and_stops_can_be_added(expected, tmp_path):
    run(tmp_path, seeds=(0,), at=(0, 6))
    same(run(tmp_path), expected)
    more = run(tmp_path, at=(3, 10))
    assert sorted(more["step"].unique()) == [3, 10]


class Steps(Callback):
    """Counts the steps of all learners."""

    taken = 0

    def on_batch_end(self, net, **kwargs):
        Steps.taken += 1


def test_a_kept_checkpoint_lets_training_go_on(expected, tmp_path):
    counted = {
        name: clone(learner).set_params(callbacks=[Steps()]) for name, learner in LEARNERS.items()
    }
    run(tmp_path, learners=counted, at=(0, 6), keep_checkpoints=True)
    Steps.taken = 0
    same(run(tmp_path, learners=counted), expected)
    assert Steps.taken == 8 * 4
    assert not list((tmp_path / "cells").glob("*.pt"))


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_cells_in_parallel_give_the_same_table(expected, tmp_path, backend):
    with joblib.parallel_config(backend):
        same(run(tmp_path, n_jobs=2), expected)


def test_another_folder_on_a_worker_is_named(tmp_path):
    work = _Work([0], tmp_path / "gone", {}, {}, 16, 1, False, False)
    with pytest.raises(FileNotFoundError, match="is not there for a worker; expected a folder on"):
        work(_Cell("name", LEARNERS["critic=cauchy, view=neighbors"], "iris", 0), iris())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_cells_on_a_dask_cluster_give_the_same_table(expected, tmp_path):
    from dask.distributed import Client, LocalCluster

    # Threads start at once; tests/test_cluster.py takes processes.
    settings = {"processes": False, "dashboard_address": None}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, **settings) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        table = run(tmp_path, seeds=(1,), at=(0, 6))
    part = expected.query("seed == 1 and step < 10")
    same(table, part.reset_index(drop=True))


def failing(learner, split):
    if learner.random_state == 1 and learner.n_iter_ == 6:
        raise RuntimeError("disk full")
    return 1.0


def test_a_failing_cell_is_recorded_and_does_not_stop_the_rest(tmp_path):
    table = run(tmp_path, measures={"own": failing})
    failed = table[table["error"] != ""]
    assert set(failed["error"]) == {"RuntimeError: disk full"} and set(failed["seed"]) == {1}
    assert len(table[table["seed"] == 0]) == 12 and len(failed) == 4
    assert len(run(tmp_path, measures={"own": failing})) == len(table)
    assert len(run(tmp_path, measures={"own": failing}, retry=True)) == len(table)


def test_a_measure_may_give_several_columns(tmp_path):
    table = run(
        tmp_path,
        seeds=(0,),
        at=(2,),
        measures={"both": lambda learner, split: {"one": 1, "two": len(split.X_test)}},
    )
    assert (table["one"] == 1).all() and (table["two"] == 38).all() and "both" not in table


def test_the_cost_is_said_beforehand(monkeypatch):
    # A clock that ticks at each look: 20 steps and each evaluation take as long as they look.
    monkeypatch.setattr("time.perf_counter", iter(range(100_000)).__next__)
    common = {"data": {"iris": iris()}, "at": (0, 40)}
    one = estimate_hours(LEARNERS, seeds=(0,), **common)
    assert one > 0
    assert estimate_hours(LEARNERS, seeds=(0, 1, 2), **common) == pytest.approx(3 * one)
    assert estimate_hours(LEARNERS, seeds=(0,), n_jobs=2, **common) == pytest.approx(one / 2)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_study import run
run({folder!r})
"""


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(expected, tmp_path):
    code = SCRIPT.format(tests=os.path.dirname(__file__), folder=str(tmp_path))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    rng = np.random.default_rng(0)
    ready = time.perf_counter()
    subprocess.run([sys.executable, "-c", code.replace("run(", "(lambda f: 0)(")], env=env)
    start_up = time.perf_counter() - ready
    for _ in range(10):
        child = subprocess.Popen([sys.executable, "-c", code], env=env)
        time.sleep(start_up + rng.uniform(0, 1.0))
        child.send_signal(signal.SIGKILL)
        child.wait()
    for file in (tmp_path / "cells").glob("*.json"):
        json.loads(file.read_text())
    same(run(tmp_path), expected)


def test_labels_reach_the_view_that_asks_for_them(tmp_path):
    learner = MIRepresentationLearner(2, view="same-class", eval_block_size=16)
    table = run(tmp_path, learners={"same class": learner}, seeds=(0,), at=(0, 2))
    assert table["error"].tolist() == ["", ""]
    split = iris()
    alone = clone(learner).set_params(random_state=0, n_threads=1)
    for _ in alone.fit_iter(split.X_train, split.y_train, at=(0, 2)):
        row = table[table["step"] == alone.n_iter_]
        assert row["infonce_test"].item() == alone.bounds(split.X_test, split.y_test)["infonce"]


def modules():
    """Return two modules that print the same and compute something else."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [torch.nn.Linear(4, 2) for _ in range(2)]


def test_points_of_a_grid_that_read_the_same_are_refused():
    first, second = modules()
    assert repr(first) == repr(second)
    for values in ([first, second], [lambda x: x, lambda x: 2 * x], [np.arange(2000.0)] * 2):
        with pytest.raises(ValueError, match="grid has two points named .*Name the learners"):
            expand(MIRepresentationLearner(), {"lr": [0.1, 0.2], "encoder": values})
    alone = expand(MIRepresentationLearner(), {"encoder": [iris, first]})
    assert list(alone) == ["encoder=<function iris>", f"encoder={first!r}"]  # in every process


def encoded(module):
    """Return a learner that keeps the weights of a module."""
    return MIRepresentationLearner(
        2, encoder=module, view=Halves(), eval_block_size=16, schedule="constant"
    )


def mean_code(learner, split):
    return float(np.abs(learner.transform(split.X_test)).mean())


def test_learners_that_differ_in_weights_alone_are_cells_of_their_own(tmp_path):
    settings = {"seeds": (0,), "at": (0,), "probes": {}, "measures": {"code": mean_code}}
    first, second = modules()
    settings["data"] = {"halves": halved}
    found = [
        run(tmp_path, learners={"linear": encoded(module)}, **settings)["code"].item()
        for module in (first, second, first)
    ]
    assert found[0] == found[2] != found[1]
    assert len(list((tmp_path / "cells").glob("*.json"))) == 2


def halved():
    """Return iris twice side by side, so that either half has its four columns."""
    split = iris()
    wide = [np.hstack([X, X]) for X in (split.X_train, split.X_test)]
    return Split(*wide, split.y_train, split.y_test)


def n_test(learner, split):
    return len(split.X_test)


def test_long_names_do_not_merge_cells(tmp_path):
    split = iris()
    few = Split(split.X_train, split.X_test[:20], split.y_train, split.y_test[:20])
    learner = LEARNERS["critic=bilinear, view=neighbors"]
    settings = {"seeds": (0,), "at": (0,), "probes": {}, "measures": {"n_test": n_test}}
    name = "a learner with a name of more than eighty characters, as grids of many parameters make"
    table = run(
        tmp_path, learners={name: learner, f"{name}!": learner},
        data={"all": split, "few": few}, **settings,
    )  # fmt: skip
    assert table["n_test"].tolist() == [38, 38, 20, 20]
    assert table["learner"].tolist() == [name, f"{name}!"] * 2
    assert len(list((tmp_path / "cells").glob("*.json"))) == 4


def test_confounds_of_a_split_reach_fit_codes_and_bounds(tmp_path):
    rng = np.random.default_rng(0)
    X, C = rng.normal(size=(120, 4)), pd.DataFrame({"site": np.repeat(list("abcd"), 30)})
    rows, tests = np.arange(0, 120, 2), np.arange(1, 120, 2)
    given = {"confounds_train": C.iloc[rows], "confounds_test": C.iloc[tests]}
    split = Split(X[rows], X[tests], np.zeros(60), np.zeros(60), **given)
    learner = MIRepresentationLearner(2)

    def code(Z_train, y_train, Z_test, y_test):
        return Z_test.mean()

    table = run_study(
        {"one": learner}, {"rows": split}, seeds=[3], at=[4], folder=tmp_path, progress=False,
        probes={"code": code},
    )  # fmt: skip
    assert table["error"].tolist() == [""]
    alone = clone(learner).set_params(random_state=3, n_threads=1)
    assert [*alone.fit_iter(X[rows], at=[4], confounds=C.iloc[rows])] == [4]
    bounds = alone.bounds(X[tests], confounds=C.iloc[tests])
    assert table["infonce_test"].item() == bounds["infonce"]
    assert table["code"].item() == alone.transform(X[tests], confounds=C.iloc[tests]).mean()
    data = {"rows": split}
    assert estimate_hours({"one": learner}, data, seeds=[0], at=[4], probes={"code": code}) > 0


def test_confounds_of_one_part_alone_are_refused():
    X = np.zeros((4, 2))
    with pytest.raises(ValueError, match="confounds_test is None; expected the confounds of both"):
        Split(X, X, confounds_train=X)
