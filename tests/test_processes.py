"""Several processes that train one model give what one process gives on the same batches."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import several
from torch import distributed as dist

from sklearn_mi import MIRepresentationLearner
from sklearn_mi._base import Codes
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.channel import Channel, OtherProcessError
from sklearn_mi.critics import as_critic
from sklearn_mi.objectives import OBJECTIVES, as_objective
from sklearn_mi.processes import ALONE, LAUNCHED, Team, beside_all, join
from sklearn_mi.training.state_files import read_state

HERE = Path(__file__).parent
EVERY = sorted({**BOUNDS, **OBJECTIVES})
CHEAP = ("infonce", "vicreg", "queue")


def launch(n_processes, script, *arguments, timeout=300):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(n_processes)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    return subprocess.run(
        [*command, str(script), *map(str, arguments)],
        env=env, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


@pytest.mark.parametrize("n", [2, 3, 7, 25])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_are_all_rows_in_their_order(n, size):
    shares = [np.arange(n)[Team(rank, size).share(n)] for rank in range(size)]
    assert np.concatenate(shares).tolist() == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_further_rows_are_shared_apart():
    rows = torch.arange(10, 21)  # seven pairs, four further rows
    owned = [Team(rank, 2).own(rows, 7).tolist() for rank in (0, 1)]
    assert owned == [[10, 11, 12, 13, 17, 18], [14, 15, 16, 19, 20]]


@pytest.mark.parametrize("name", [name for name in EVERY if as_objective(name).by_rows])
def test_objectives_by_rows_are_means_over_blocks_of_rows(name):
    draws = torch.Generator().manual_seed(0)
    z_x, z_y = (torch.randn(7, 4, generator=draws) for _ in "xy")
    codes = Codes(z_x, z_y, as_critic("bilinear").build(4, 4))
    objective = as_objective(name).build(4, 4)
    whole = objective(codes)
    parts = [objective(beside_all(codes, Team(rank, 3).share(7))) for rank in range(3)]
    mean = sum(size / 7 * part for size, part in zip((3, 2, 2), parts, strict=True))
    assert torch.allclose(whole, mean, atol=1e-6)


def test_some_objective_is_by_rows_and_some_not():
    flags = {as_objective(name).by_rows for name in EVERY}
    assert flags == {True, False}


def check_equal(folder, n_processes, names):
    run = launch(n_processes, HERE / "scripts" / "several.py", folder, *names)
    assert run.returncode == 0, run.stderr[-3000:]
    for name in names:
        alone = several.train(name)
        start = several.train(name, max_steps=1)
        moved = [
            np.abs(alone[key] - start[key]).max(initial=0)
            for key in start
            if key.endswith("weight")
        ]
        # Far more than the tolerance, so equal weights are no accident.
        assert max(moved) > 1e-3, name
        for rank in range(n_processes):
            told = np.load(folder / f"{name}-{rank}.npz")
            for key, value in alone.items():
                scale = max(1.0, np.abs(value).max(initial=0))
                assert np.abs(told[key] - value).max(initial=0) <= 2e-6 * scale, (name, rank, key)
    return json.loads((folder / "world-0.json").read_text()) if n_processes > 1 else {}


def test_two_processes_equal_one(tmp_path):
    assert check_equal(tmp_path, 2, CHEAP) == {"world": 2}


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [1, 2, 3])
def test_every_case_equals_one_process(tmp_path, n_processes):
    check_equal(tmp_path, n_processes, list(several.CASES))


@pytest.mark.slow
def test_each_process_fine_tunes_to_the_same(tmp_path):
    script = tmp_path / "tuned.py"
    script.write_text(
        "import os, sys, numpy as np\n"
        "from sklearn_mi import MIRepresentationLearner\n"
        "from sklearn_mi.semi_supervised import FineTuning, SemiSupervisedClassifier\n"
        "X = np.random.default_rng(0).normal(size=(80, 5))\n"
        "y = np.where(np.arange(80) % 4, -1, X[:, 0] > 0)\n"
        "learner = MIRepresentationLearner(3, max_steps=3, random_state=0, encoder='mlp',\n"
        "    optimizer='sgd', lr=.01, view='same', batch_size=40)\n"
        "for tuning in (False, FineTuning(max_steps=5, head_steps=5, lr=.05)):\n"
        "    model = SemiSupervisedClassifier(learner, fine_tune=tuning).fit(X, y)\n"
        "    name = f\"{bool(tuning)}-{os.environ.get('RANK', 'alone')}\"\n"
        "    np.save(f'{sys.argv[1]}/{name}', model.learner_.transform(X))\n"
    )
    assert (run := launch(2, script, tmp_path)).returncode == 0, run.stderr[-3000:]
    clean = {key: value for key, value in os.environ.items() if key not in LAUNCHED}
    subprocess.run([sys.executable, script, tmp_path], check=True, env=clean)
    codes = {path.stem: np.load(path) for path in tmp_path.glob("*.npy")}
    assert np.abs(codes["True-alone"] - codes["False-alone"]).max() > 0.1
    np.testing.assert_array_equal(codes["True-0"], codes["True-1"])
    np.testing.assert_allclose(codes["True-0"], codes["True-alone"], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_rows", "of_fit", "what"), [("rank", "0", "rows"), ("0", "rank", "parameters")]
)
def test_processes_that_were_given_other_things_are_refused(tmp_path, of_rows, of_fit, what):
    script = tmp_path / "other.py"
    script.write_text(
        "import os, numpy as np\n"
        "from sklearn_mi import MIRepresentationLearner\n"
        "rank = int(os.environ['RANK'])\n"
        f"X = np.random.default_rng({of_rows}).normal(size=(60, 5))\n"
        f"MIRepresentationLearner(3, max_steps=2, random_state={of_fit}).fit(X)\n"
    )
    run = launch(2, script)
    assert run.returncode != 0
    assert f"2 processes train one model, but {what} differ between them" in run.stderr


@pytest.mark.slow
def test_seeds_are_those_of_the_first_and_only_it_writes(tmp_path):
    script = tmp_path / "unseeded.py"
    script.write_text(
        "import os, sys, numpy as np, sklearn_mi\n"
        "X = np.random.default_rng(0).normal(size=(60, 5))\n"
        "learner = sklearn_mi.MIRepresentationLearner(3, max_steps=5, verbose=1).fit(X)\n"
        "path = f\"{sys.argv[1]}/{os.environ['RANK']}\"\n"
        "np.save(path, learner.transform(X))\n"
        "learner.save(path + '.safetensors')\n"
        "learner.transform_to(X, path + '.parquet')\n"
    )
    run = launch(2, script, tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    assert np.array_equal(np.load(tmp_path / "0.npy"), np.load(tmp_path / "1.npy"))
    for end in ("safetensors", "parquet"):
        assert (tmp_path / f"0.{end}").exists() and not (tmp_path / f"1.{end}").exists()


# What the process that fails says, by case of the script.
FAILURES = {
    "rows": "ValueError: Found array with 1 sample(s)",
    "parameter": "InvalidParameterError: The 'batch_size' parameter",
    "device": "ValueError: device='tpu'; expected 'auto'",
    "encoder": "ValueError: input_shape=(5,); encoder Linear does not accept such rows",
    "batch": "ValueError: the callback says no",
    "epoch": "ValueError: two lines:",
    "end": "ValueError: at the end",
    "interrupt": "KeyboardInterrupt",
    "view": "RuntimeError: the view is tired",
    "backward": "RuntimeError: no way back",
    "folder": "NotADirectoryError: checkpoint_dir=",
    "loop": "ZeroDivisionError: of the loop",
}


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [2, 3])
def test_where_one_process_fails_all_stop_and_the_next_fit_works(tmp_path, n_processes):
    run = launch(n_processes, HERE / "scripts" / "failing.py", tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    told = [json.loads((tmp_path / f"told-{rank}.json").read_text()) for rank in range(n_processes)]
    assert all(set(each) == set(FAILURES) for each in told)
    for name, own in FAILURES.items():
        said = [each[name][0] for each in told]
        # A loop's error is the caller's; the generator only learns that it is left.
        line = "RuntimeError: its loop over fit_iter was left" if name == "loop" else own
        (rank,) = (k for k, text in enumerate(said) if text.startswith(own) and "was" not in text)
        for text in said[:rank] + said[rank + 1 :]:
            if name == "interrupt":
                assert text == f"KeyboardInterrupt: process {rank} of {n_processes} was interrupted"
                continue
            begin = (
                f"OtherProcessError: Process {rank} of {n_processes} that train one model failed"
            )
            assert text.startswith(begin) and f"There it says: {line}" in text
            assert "of which the first" not in text
        assert all(each[name][1] < 30 and each[name][2] for each in told), name


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_was_killed_is_told_of(tmp_path, killed):
    # Without a launcher that ends the others, and the first holds what they meet at.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script, begun = HERE / "scripts" / "killed.py", []
    for rank in "01":
        meet = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = {**os.environ, **meet, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, str(script), str(tmp_path), str(killed)]
        begun.append(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
    assert begun[killed].wait(300) == -signal.SIGKILL
    assert begun[1 - killed].wait(60) == 0
    said = json.loads((tmp_path / f"said-{1 - killed}.json").read_text())
    assert said.startswith("OtherProcessError: One of the 2 processes that train one model has")


@pytest.mark.slow
def test_a_group_of_the_users_own_with_a_slow_process_and_forked_workers(tmp_path):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, str(HERE / "scripts" / "spawned.py"), str(tmp_path)]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    told = [np.load(tmp_path / f"{rank}.npz") for rank in (0, 1)]
    for rank, each in enumerate(told):
        assert each["size"] == 2 and each["forked_size"].tolist() == [1, 1]
        assert np.array_equal(each["codes"], told[0]["codes"])
        assert np.array_equal(each["slow"], each["codes"])
        # Of the seed of the rank, so those of the second are others.
        is_same = np.allclose(each["forked"], told[0]["codes"], atol=1e-4)
        assert is_same == (rank == 0)


def test_processes_meet_at_the_store_of_their_group(tmp_path):
    # What torch keeps to itself; a release without it fails here, and not for its users.
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        channel = Channel(0, 1, 0)
        assert channel.everyone("a" * 2**23) == ["a" * 2**23]
        assert channel.failure() is None and not channel._has("failed")
        channel.fail(ValueError("one line\nof two"))
        told = Channel(1, 2, 0).failure()
    finally:
        dist.destroy_process_group()
    assert "Process 0 of 2" in str(told) and str(told).endswith("it says: ValueError: one line")


class Work:
    """A collective that ends, well or not, just after its waiter's time was up."""

    def __init__(self, error):
        self.error, self.n_waits = error, 0

    def wait(self, *timeout):
        self.n_waits += 1
        if self.n_waits == 1:
            raise RuntimeError("Operation timed out!")
        if self.error is not None:
            raise self.error

    def is_completed(self):
        return True


def test_a_collective_that_ends_as_the_time_is_up_has_not_failed(monkeypatch):
    channel = Channel(0, 2, 0)
    monkeypatch.setattr(Channel, "failure", lambda self: None)
    channel.wait(Work(None))
    with pytest.raises(OtherProcessError, match="2 processes .* ended without a word"):
        channel.wait(Work(RuntimeError("connection closed")))


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [2, 3])
def test_iterables_are_read_whole_or_in_the_shares_that_they_give(tmp_path, n_processes):
    script, ranks = HERE / "scripts" / "streams.py", range(n_processes)
    run = launch(n_processes, script, tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    alone = np.load(tmp_path / "whole-1-0.npy")
    told = [json.loads((tmp_path / f"streams-{n_processes}-{k}.json").read_text()) for k in ranks]
    for rank in ranks:
        assert np.abs(np.load(tmp_path / f"whole-{n_processes}-{rank}.npy") - alone).max() < 2e-6
        codes = [np.load(tmp_path / f"split-{k}.npy") for k in (0, rank)]
        assert np.array_equal(*codes) and np.abs(codes[0] - alone).max() > 1e-3
        assert told[rank]["resumes"] and told[rank]["stops"] == [8]
        # Of a share each row is its process's own.
        assert {number % n_processes for number in told[rank]["split"]} == {rank}
    # 8 steps of 24 rows are two passes over 96 rows: each row is used once in each.
    for name in ("whole", "split"):
        used = [each[name] for each in told]
        for part in (slice(0, 96 // n_processes), slice(96 // n_processes, None)):
            assert sorted(n for numbers in used for n in numbers[part]) == list(range(96)), name
    if n_processes > 2:
        assert all("gives 3 processes 2 different shares" in each["wrong"] for each in told)


RESUMED = """
import os, signal, sys
import numpy as np
from skorch.callbacks import Callback
from sklearn_mi import MIRepresentationLearner

class Killer(Callback):
    def on_batch_end(self, net, **kwargs):
        if net.steps_ >= {at}:
            os.kill(os.getpid(), signal.SIGKILL)

X = np.random.default_rng(0).normal(size=(2000, 5))
learner = MIRepresentationLearner(
    3, view="noise", max_steps=90, batch_size=32, random_state=0,
    checkpoint_dir=sys.argv[1], checkpoint_every=20, callbacks=[Killer()],
)
codes = learner.fit(X).transform(X)
np.save(sys.argv[2] + os.environ["RANK"], codes)
"""


@pytest.mark.slow
def test_a_job_that_was_killed_goes_on(tmp_path):
    def run(at, folder, name):
        script = tmp_path / "resumed.py"
        script.write_text(RESUMED.format(at=at))
        return launch(2, script, tmp_path / folder, tmp_path / name)

    whole = run(10**6, "uncut", "whole")
    assert whole.returncode == 0, whole.stderr[-2000:]
    assert run(50, "cut", "none").returncode != 0
    (kept,) = (tmp_path / "cut").rglob("*.checkpoint")
    assert 20 <= read_state(kept)["steps"] < 90
    again = run(10**6, "cut", "again")
    assert again.returncode == 0, again.stderr[-2000:]
    assert read_state(kept)["steps"] == 90
    for rank in (0, 1):
        codes = [np.load(tmp_path / f"{name}{rank}.npy") for name in ("whole", "again")]
        assert np.array_equal(*codes)


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    run = launch(2, HERE.parent / "examples" / "distributed.py")
    assert run.returncode == 0, run.stderr[-2000:]
    alone = subprocess.run(
        [sys.executable, str(HERE.parent / "examples" / "distributed.py")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "2 processes" in run.stdout and "1 process" in alone.stdout


def test_without_a_launcher_nobody_is_joined(monkeypatch):
    assert join("auto") == join(False) == ALONE
    with pytest.raises(ValueError, match="no launcher started this process; .* torchrun"):
        MIRepresentationLearner(3, distributed=True, max_steps=1).fit(np.eye(20))
    # As a worker of joblib or a second thread has them.
    for name in LAUNCHED:
        monkeypatch.setenv(name, "2")
    found = []
    thread = threading.Thread(target=lambda: found.append(join("auto")))
    thread.start()
    thread.join()
    assert found == [ALONE] and join(False) == ALONE


def test_a_team_of_one_changes_nothing():
    value = torch.ones(3)
    assert ALONE.mean(value) is value and ALONE.agreed("a") == "a"
    ALONE.check_same({"rows": "a"})


@pytest.mark.parametrize("chunk", [True, 7, 16])
def test_chunks_equal_the_whole_batch(chunk):
    X = several.TABLE
    settings = {**several.PLAIN, "batch_size": 25, "max_steps": 10, "random_state": 0}
    whole, cut = (
        MIRepresentationLearner(4, chunk_size=size, **settings).fit(X) for size in (None, chunk)
    )
    assert np.allclose(whole.transform(X), cut.transform(X), atol=1e-6)
    bounds = [learner.history_[-1]["train_bound"] for learner in (whole, cut)]
    assert bounds[0] == pytest.approx(bounds[1], abs=1e-6)


def test_chunks_refuse_normalisation_over_the_batch():
    encoder = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    learner = MIRepresentationLearner(4, view="halves", encoder=encoder, chunk_size=8)
    with pytest.raises(ValueError, match="chunk_size=8, but BatchNorm1d normalises over the batch"):
        learner.fit(several.TABLE)
