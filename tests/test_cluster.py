"""Many fits at once on a real Dask cluster and a local Ray, and what a dead worker costs."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_study import iris, run, same

from sklearn_mi import MIEstimator, MIRepresentationLearner
from sklearn_mi.encoders import MLP
from sklearn_mi.evaluation import compare
from sklearn_mi.study import expand

BACKENDS = ["dask", "ray"]
# Dask and Ray warn of what is theirs: of ports, of files that a killed process left open.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def dask_cluster():
    from dask.distributed import Client, LocalCluster

    settings = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=2, **settings) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def local_ray():
    import ray
    from ray.util.joblib import register_ray

    with warnings.catch_warnings():
        # Ray warns of its own future defaults.
        warnings.simplefilter("ignore", FutureWarning)
        # Two GPUs that are only counted, so that each worker is told one.
        ray.init(
            num_cpus=2,
            num_gpus=2,
            include_dashboard=False,
            log_to_driver=False,
            # Workers are programs of their own; they import this file, too.
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
        )
    register_ray()
    yield ray
    ray.shutdown()


@pytest.fixture
def on(request):
    """Return what makes joblib compute by a backend."""
    request.getfixturevalue({"dask": "dask_cluster", "ray": "local_ray"}[request.param])
    more = {} if request.param == "dask" else {"n_jobs": 2}
    return lambda **given: joblib.parallel_config(request.param, **more, **given)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize("on", BACKENDS, indirect=True)
def test_a_grid_equals_one_process_bit_for_bit(on):
    X, y = load_iris(return_X_y=True)
    learner = MIRepresentationLearner(2, encoder=MLP(hidden=(8,)), max_steps=5, random_state=0)
    from sklearn.linear_model import LogisticRegression

    pipeline = make_pipeline(StandardScaler(), learner, LogisticRegression())
    grid = {"mirepresentationlearner__critic": ["bilinear", "cauchy"]}
    alone = GridSearchCV(pipeline, grid, cv=2, n_jobs=1).fit(X, y)
    with on():
        many = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    for name in alone.cv_results_:
        if "time" not in name:
            assert np.array_equal(alone.cv_results_[name], many.cv_results_[name]), name
    assert np.array_equal(alone.predict_proba(X), many.predict_proba(X))


@pytest.mark.parametrize("on", BACKENDS, indirect=True)
def test_a_study_equals_one_process_bit_for_bit(on, expected, tmp_path):
    with on():
        same(run(tmp_path), expected)


@pytest.mark.parametrize("on", BACKENDS, indirect=True)
def test_compare_and_estimate_equal_one_process(on):
    X, y = load_iris(return_X_y=True)
    contest = {"n_folds": 2, "n_draws": 2, "labels_per_class": (5,), "probes": ("knn",)}
    alone = compare({"raw": None}, X, y, **contest)
    estimator = MIEstimator("closed-form", n_folds=2, split_test=False, random_state=0)
    number = estimator.fit(X[:, :2], X[:, 2:]).mi_.value
    with on():
        assert alone.equals(compare({"raw": None}, X, y, **contest))
        assert estimator.fit(X[:, :2], X[:, 2:]).mi_.value == number


def threads_there(learner, split):
    return torch.get_num_threads()


def gpu_there(learner, split):
    return int(os.environ["CUDA_VISIBLE_DEVICES"])


def process_there(learner, split):
    time.sleep(0.2)
    return os.getpid()


SMALL = MIRepresentationLearner(2, encoder=MLP(hidden=(8,)), eval_block_size=16)
ONE = {"at": (0,), "probes": {}, "learners": {"small": SMALL}}


@pytest.mark.parametrize("on", BACKENDS, indirect=True)
def test_a_worker_has_one_thread(on, tmp_path):
    measures = {"threads": threads_there, "process": process_there}
    with on():
        table = run(tmp_path, **ONE, seeds=range(4), measures=measures, n_threads=None)
    assert table["error"].tolist() == [""] * 4 and set(table["threads"]) == {1}
    assert len(set(table["process"])) == 2 and os.getpid() not in set(table["process"])


@pytest.mark.parametrize("on", ["ray"], indirect=True)
def test_ray_gives_each_worker_a_gpu_of_its_own(on, tmp_path):
    measures = {"gpu": gpu_there, "process": process_there}
    with on(ray_remote_args={"num_gpus": 1}):
        table = run(tmp_path, **ONE, seeds=range(4), measures=measures)
    assert set(table["gpu"]) == {0, 1}
    assert (table.groupby("process")["gpu"].nunique() == 1).all()


def deadly(learner, split):
    """Kill the worker over one cell."""
    if learner.random_state == 1 and learner.critic == "cauchy" and learner.n_iter_ == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0


def once_deadly(learner, split):
    """Kill the worker over each cell the first time."""
    mark = Path(os.environ["MARKS"]) / f"{learner.critic}-{learner.random_state}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0


@pytest.fixture
def on_any(request):
    if request.param == "loky":
        return lambda: joblib.parallel_config("loky", n_jobs=2)
    request.getfixturevalue({"dask": "dask_cluster", "ray": "local_ray"}[request.param])
    more = {} if request.param == "dask" else {"n_jobs": 2}
    return lambda: joblib.parallel_config(request.param, **more)


TWO = expand(SMALL, {"critic": ["bilinear", "cauchy"]})
DIES = {"learners": TWO, "at": (0, 6), "probes": {}, "measures": {"own": deadly}}


@pytest.mark.parametrize("on_any", ["loky", *BACKENDS], indirect=True)
def test_a_deadly_cell_costs_itself_alone(on_any, tmp_path):
    with on_any():
        table = run(tmp_path, **DIES)
    lost = table[table["error"] != ""]
    assert lost[["critic", "seed"]].to_numpy().tolist() == [["cauchy", 1]]
    assert "workers died over it" in lost["error"].item()
    assert "retry=True" in lost["error"].item()
    # What the cell had measured before stays, and all others are whole.
    assert len(table) == 4 * 2 and (table[table["error"] == ""]["own"] == 1).all()
    again = run(tmp_path, **DIES | {"measures": {"own": gentle}}, retry=True)
    assert len(again) == 8


def gentle(learner, split):
    return 1.0


@pytest.mark.parametrize("on_any", ["loky"], indirect=True)
def test_cells_that_die_once_are_computed_again(on_any, tmp_path, monkeypatch):
    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setenv("MARKS", str(marks))
    with on_any():
        table = run(tmp_path / "study", **DIES | {"measures": {"own": once_deadly}})
    assert len(list(marks.iterdir())) == 4
    assert len(table) == 8 and (table["error"] == "").all()


def slowly(learner, split):
    time.sleep(0.4)
    return 1.0


LONG = {"measures": {"own": slowly}, "seeds": range(4)}


@pytest.fixture(scope="module")
def expected_long(tmp_path_factory):
    with joblib.parallel_config("threading", n_jobs=8):
        return run(tmp_path_factory.mktemp("study"), **LONG)


def killed_at_random(client, stop, killed):
    """Kill a worker of Dask's at ten random moments."""
    generator = random.Random(0)
    while len(killed) < 10 and not stop.wait(generator.uniform(0.3, 2.5)):
        pids = [info["pid"] for info in map(dict, workers_of(client))]
        if pids:
            killed.append(generator.choice(pids))
            os.kill(killed[-1], signal.SIGKILL)


def workers_of(client):
    found = client.run(os.getpid, on_error="ignore")
    return [{"pid": pid} for pid in found.values() if isinstance(pid, int)]


def test_ten_kills_of_workers_change_nothing(dask_cluster, expected_long, tmp_path):
    stop, killed = threading.Event(), []
    killer = threading.Thread(target=killed_at_random, args=(dask_cluster, stop, killed))
    killer.start()
    try:
        with joblib.parallel_config("dask"):
            table = run(tmp_path, **LONG)
    finally:
        stop.set()
        killer.join()
    assert len(killed) >= 5 and Counter(table["error"]) == {"": len(table)}
    same(table, expected_long)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import joblib
from test_cluster import LONG
from test_study import run

if __name__ == "__main__":
    from dask.distributed import Client, LocalCluster
    settings = dict(processes=True, threads_per_worker=1, dashboard_address=None)
    with LocalCluster(n_workers=2, **settings) as cluster, Client(cluster):
        print("ready", flush=True)
        with joblib.parallel_config("dask"):
            run({folder!r}, **LONG)
"""


def test_ten_kills_of_the_study_change_nothing(expected_long, tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "study"
    tests = os.path.dirname(__file__)
    script.write_text(SCRIPT.format(tests=tests, folder=str(folder)))
    generator = random.Random(1)
    for _ in range(10):
        child = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        child.stdout.readline()
        # The workers load torch first.
        time.sleep(2 + generator.uniform(0, 3.0))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert list((folder / "cells").glob("*.json"))
    with joblib.parallel_config("threading", n_jobs=8):
        same(run(folder, **LONG), expected_long)


def test_data_that_dask_calls_large_are_sent_once(dask_cluster, tmp_path):
    split = iris()
    split.y_test = np.zeros(3_000_000)
    with joblib.parallel_config("dask"):
        table = run(tmp_path, **ONE, seeds=(0,), data={"large": split})
    assert table["error"].tolist() == [""]
