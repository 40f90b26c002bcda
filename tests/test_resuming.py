"""``fit(checkpoint_dir=)``: a training that is killed goes on as if nothing had happened."""

import errno
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from sklearn_mi import InvalidModelError, MIRepresentationLearner, MIWarning, load
from sklearn_mi.encoders import MLP
from sklearn_mi.negatives import Queue
from sklearn_mi.rows import Order
from sklearn_mi.training import Keeper, every
from sklearn_mi.training.state_files import MAGIC, can_hold, read_state, write_state

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(120, 6))
IMAGES = RNG.random((60, 8, 8))
COLOURS = RNG.random((48, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(120) % 3


class Counts(Callback):
    """Keeps something of its own from pass to pass and from batch to batch."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.passes_, self.batches_ = 0, np.zeros(2)

    def on_epoch_begin(self, net, **kwargs):
        self.passes_ += 1

    def on_batch_end(self, net, training=None, **kwargs):
        self.batches_[int(training)] += 1

    def on_epoch_end(self, net, **kwargs):
        net.history.record("count", [self.passes_, *self.batches_.tolist()])


def skorch_callbacks():
    return [
        LRScheduler("StepLR", step_size=3, gamma=0.5, step_every="batch"),
        EarlyStopping("train_loss", patience=3, load_best=True),
        Counts(),
    ]


# Rows, what else fit takes, and parameters.
CASES = {
    "neighbours by Muon": (ROWS, {}, {}),
    "images that move": (IMAGES, {}, {}),
    "half sizes": (COLOURS, {}, {"half_size": 0.5, "batch_size": 16, "max_steps": 8}),
    "a queue, early stopping": (
        ROWS,
        {},
        {"negatives": Queue(64), "encoder": MLP((8,)), "early_stopping": 8},
    ),
    "dropout": (ROWS, {}, {"encoder": MLP((8,), dropout=0.3), "view": "noise"}),
    "a schedule, a moving average": (
        ROWS,
        {},
        {"objective": "mine", "view": "halves", "schedule": "cosine"},
    ),
    "rows that stand several times": (
        np.repeat(ROWS[:60], np.arange(60) % 3 + 1, axis=0),
        {},
        {"duplicates": "collapse", "view": "halves"},
    ),
    "partners, independent rows": (
        ROWS,
        {"y": LABELS},
        {"view": "same-class", "negatives": "independent"},
    ),
    "callbacks": (ROWS, {}, {"callbacks": skorch_callbacks, "view": "halves"}),
}


QUICK = ["neighbours by Muon", "a queue, early stopping", "dropout", "callbacks"]
LONG = [case for case in CASES if case not in QUICK]
SLOW = pytest.mark.slow


def learner(folder=None, **params):
    params = {"max_steps": 23, "batch_size": 20, "n_threads": 1, "random_state": 0, **params}
    if callable(params.get("callbacks")):
        params["callbacks"] = params["callbacks"]()
    return MIRepresentationLearner(**{"checkpoint_dir": folder, "checkpoint_every": 3, **params})


def told(fitted):
    """Return everything of a fit but its seconds."""
    records = [{k: v for k, v in row.items() if k != "dur"} for row in fitted.history_]
    weights = {k: v.numpy().tobytes() for k, v in fitted.net_.module_.state_dict().items()}
    return weights, records, fitted.n_iter_, fitted.mi_


def files(folder):
    return sorted(Path(folder).rglob("*.checkpoint"))


class Killed(BaseException):
    """What a kill is to Python code: the end."""


def fit_until(monkeypatch, number, made, X, **given):
    """Fit until so many checkpoints have been written, and no step further."""
    keep, left = Keeper.keep, [number]

    def keep_and_die(self, net, step):
        keep(self, net, step)
        left[0] -= 1
        if not left[0]:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "keep", keep_and_die)
        with pytest.raises(Killed):
            made.fit(X, **given)


@pytest.mark.parametrize("case", [*QUICK, *(pytest.param(c, marks=SLOW) for c in LONG)])
def test_a_training_goes_on_bit_for_bit(case, tmp_path, monkeypatch):
    """Killed in the middle of a pass, and once more after it; each time in a new learner."""
    X, given, params = CASES[case]
    whole = learner(**params).fit(X, **given)
    fit_until(monkeypatch, 1, learner(tmp_path, **params), X, **given)
    [file] = files(tmp_path)
    assert read_state(file)["steps"] == 3 and read_state(file)["losses"] is not None
    fit_until(monkeypatch, 1, learner(tmp_path, **params), X, **given)
    assert 3 < read_state(file)["steps"] < whole.n_iter_
    resumed = learner(tmp_path, **params).fit(X, **given)
    assert told(resumed) == told(whole)
    # What is finished takes no step.
    monkeypatch.setattr("sklearn_mi.training.net.MINet.train_step", None)
    assert told(learner(tmp_path, **params).fit(X, **given)) == told(whole)
    assert files(tmp_path) == [file]


def test_checkpoints_change_nothing(tmp_path):
    assert told(learner(tmp_path, checkpoint_every="1ms").fit(ROWS)) == told(learner().fit(ROWS))


def fit_apart(folder, X, params):
    learner(folder, **params).fit(X)


def kill_at_random(context, folder, X, params, moments):
    """Fit in processes that SIGKILL ends at these moments; return the steps that were found."""
    steps = []
    for moment in moments:
        child = context.Process(target=fit_apart, args=(folder, X, params))
        child.start()
        begun = time.monotonic()
        # From the first step of this process on: what comes before is known.
        while steps_in(folder) == max([0, *steps]) and time.monotonic() < begun + 60:
            if not child.is_alive():
                break
            time.sleep(0.002)
        time.sleep(moment)
        child.kill()
        child.join()
        steps.append(steps_in(folder))
    return steps


def steps_in(folder):
    return max((read_state(file)["steps"] for file in files(folder)), default=0)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_two_kills(tmp_path):
    params = {"max_steps": 80}
    whole = learner(**params).fit(ROWS)
    moments = np.random.default_rng(0).uniform(0, 0.03, 2)
    # What a process inherits has threads of its own only in the parent: one thread, no more.
    fork = multiprocessing.get_context("fork")
    steps = kill_at_random(fork, tmp_path, ROWS, params, moments)
    assert steps[0] > 0
    assert told(learner(tmp_path, **params).fit(ROWS)) == told(whole)


KILLED = {
    "neighbours by Muon": {"max_steps": 600},
    "images that move": {"max_steps": 300},
    "a queue, early stopping": {"max_steps": 1200, "early_stopping": 1000},
    "dropout": {"max_steps": 1200},
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no server that forks there")
@pytest.mark.parametrize("case", KILLED)
def test_twenty_kills_at_random_moments(case, tmp_path):
    X, _, params = CASES[case]
    params = {**params, **KILLED[case]}
    start = time.monotonic()
    whole = learner(**params).fit(X)
    longest = (time.monotonic() - start) / 20
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["sklearn_mi.learner"])
    moments = np.random.default_rng(1).uniform(0, longest, 20)
    steps = kill_at_random(server, tmp_path, X, params, moments)
    resumed = learner(tmp_path, **params).fit(X)
    assert told(resumed) == told(whole)
    # The kills met the training at several places.
    assert len({step for step in steps if 0 < step < whole.n_iter_}) >= 5, steps
    print(case, steps, "of", whole.n_iter_)


# What is one training, and what another


OTHERS = {
    "steps": {"max_steps": 24},
    "seed": {"random_state": 1},
    "rate": {"lr": 0.01},
    "patience": {"early_stopping": 30},
    "callbacks": {"callbacks": [EarlyStopping("train_loss", patience=4)]},
    "their parameters": {"callbacks": [EarlyStopping("train_loss", patience=5)]},
    "weights of columns": {"column_weights": np.arange(1.0, 7.0)},
    "a function": {"view": lambda x: (x, x + 1)},
    "another one": {"view": lambda x: (x, x + 2)},
}


def module(bias):
    made = torch.nn.Linear(6, 3)
    torch.nn.init.constant_(made.weight, 0.1)
    torch.nn.init.constant_(made.bias, bias)
    return made


def test_each_training_has_a_folder_of_its_own(tmp_path):
    learner(tmp_path, max_steps=2).fit(ROWS)
    for params in OTHERS.values():
        learner(tmp_path, **{"max_steps": 2, **params}).fit(ROWS)
    for bias in (0.0, 1.0):
        learner(tmp_path, max_steps=2, encoder=module(bias)).fit(ROWS)
    learner(tmp_path, max_steps=2).fit(ROWS + 1e-9)
    learner(tmp_path, max_steps=2).fit(ROWS, groups=LABELS)
    assert len(files(tmp_path)) == len(OTHERS) + 5
    # What belongs to the process does not make another one.
    for params in ({"verbose": 1}, {"checkpoint_every": "1h"}, {"eval_block_size": 8}):
        learner(tmp_path, max_steps=2, **params).fit(ROWS)
    assert len(files(tmp_path)) == len(OTHERS) + 5


@pytest.mark.slow
def test_a_grid_over_two_processes_goes_on(tmp_path):
    y = LABELS % 2
    pipe = make_pipeline(learner(tmp_path, view="halves"), LogisticRegression(max_iter=2000))
    grid = {"mirepresentationlearner__lr": [1e-3, 1e-2]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2).fit(ROWS, y)
    made = files(tmp_path)
    assert len(made) == 5  # two rates, two folds, and the best on all rows
    times = [file.stat().st_mtime_ns for file in made]
    made[0].unlink()
    again = GridSearchCV(pipe, grid, cv=2, n_jobs=2).fit(ROWS, y)
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )
    assert files(tmp_path) == made
    changed = [f for f, t in zip(made, times, strict=True) if f.stat().st_mtime_ns != t]
    assert changed == made[:1]


def test_two_threads_with_one_training(tmp_path):
    """No file is spoilt: each is whole when it takes its name."""
    made = [learner(tmp_path, checkpoint_every=1) for _ in range(2)]
    both = [threading.Thread(target=one.fit, args=(ROWS,)) for one in made]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert told(made[0]) == told(made[1]) == told(learner().fit(ROWS))
    assert read_state(files(tmp_path)[0])["finished"]
    assert [path.name for path in tmp_path.rglob("*.part*")] == []


# The parameters


def test_a_seed_is_needed(tmp_path):
    with pytest.raises(ValueError, match=r"random_state=None draws another seed.*random_state=0"):
        learner(tmp_path, random_state=None).fit(ROWS)
    for _ in range(2):
        learner(tmp_path, random_state=np.random.RandomState(3), max_steps=2).fit(ROWS)
    assert len(files(tmp_path)) == 1


def test_it_goes_with_a_fit_from_the_start(tmp_path):
    fitted = learner(tmp_path, max_steps=2, warm_start=True).fit(ROWS)
    for go_on in (fitted.fit, fitted.partial_fit, learner(tmp_path).partial_fit):
        with pytest.raises(ValueError, match="not with partial_fit or a warm start"):
            go_on(ROWS)
    with pytest.raises(ValueError, match="of fit_iter checkpoint='file' names a file"):
        next(fitted.fit_iter(ROWS, at=(2,)))
    assert fitted.set_params(checkpoint_dir=None).fit(ROWS).n_iter_ == 4


class Again:
    """Rows one after the other, as often as one likes."""

    def __iter__(self):
        return iter(ROWS)


@pytest.mark.parametrize("n_shares", [1, 2, 3])
def test_shares_of_rows_are_not_taken_up_by_other_numbers_of_processes(tmp_path, n_shares):
    path = tmp_path / "shares"

    def stops():
        made = learner(max_steps=4, batch_size=16, random_state=0)
        how = {"validation_data": ROWS[:40], "at": (2, 4), "checkpoint": path}
        # The first is kept as the second is asked for.
        return [step for _, step in zip("ab", made.fit_iter(Again(), **how), strict=False)]

    assert stops() == [2, 4] and stops() == [4]
    # As several processes that each read rows of their own leave it.
    state = read_state(path)
    write_state(path, {**state, "order": [state["order"]] * n_shares})
    with pytest.raises(InvalidModelError, match=f"where {n_shares} process.* all rows; expected"):
        stops()


@pytest.mark.parametrize("value", ["soon", "", "5", "-3min", "NaT", 0, 2.5])
def test_a_wrong_time_is_told(tmp_path, value):
    with pytest.raises(ValueError, match="'?checkpoint_every'?"):
        learner(tmp_path, checkpoint_every=value).fit(ROWS)


def test_steps_and_times():
    assert every(7)[0] == 7
    assert [every(text) for text in ("5min", "30s", "2h")] == [
        (None, 300),
        (None, 30),
        (None, 7200),
    ]


def test_clones_keep_the_folder_and_files_do_not(tmp_path):
    fitted = learner(tmp_path / "folder", max_steps=2).fit(ROWS)
    assert clone(fitted).checkpoint_dir == tmp_path / "folder"
    assert pickle.loads(pickle.dumps(fitted)).checkpoint_dir == tmp_path / "folder"
    fitted.save(tmp_path / "file")
    assert load(tmp_path / "file").checkpoint_dir is None
    assert load(tmp_path / "file").checkpoint_every == 3


# A file


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    learner(folder, max_steps=2).fit(ROWS)
    [file] = files(folder)
    return folder, file, file.read_bytes()


def place_of(name, content):
    size, start = int.from_bytes(content[len(MAGIC) + 32 :][:8], "little"), len(MAGIC) + 32
    return {
        "the format": 3,
        "the digest": len(MAGIC) + 5,
        "the length": start + 2,
        "the header": start + 8 + size // 2,
        "a tensor": start + 8 + size + 100,
        "the last byte": len(content) - 1,
    }[name]


BYTES = ["the format", "the digest", "the length", "the header", "a tensor", "the last byte"]


@pytest.mark.parametrize("name", BYTES)
def test_any_altered_byte_is_refused(written, name):
    folder, file, content = written
    altered = bytearray(content)
    altered[place_of(name, content)] ^= 1
    file.write_bytes(altered)
    with pytest.raises(InvalidModelError, match="delete .* to begin anew") as error:
        learner(folder, max_steps=2).fit(ROWS)
    assert str(file) in str(error.value)
    file.write_bytes(content)


def test_random_altered_bytes_and_lengths_are_refused(written):
    _, file, content = written
    rng = np.random.default_rng(0)
    for place in rng.integers(len(content), size=200):
        altered = bytearray(content)
        altered[place] ^= int(rng.integers(1, 256))
        file.write_bytes(altered)
        with pytest.raises(InvalidModelError):
            read_state(file)
    for cut in (b"", content[:10], content[:40], content[:-1], content + b"x", content[1:]):
        file.write_bytes(cut)
        with pytest.raises(InvalidModelError):
            read_state(file)
    file.write_bytes(content)
    read_state(file)


def test_a_state_returns_as_it_was(tmp_path):
    weights = torch.arange(6.0).reshape(2, 3)
    state = {
        "numbers": [1, -2.5, float("inf"), True, None, "text"],
        "pair": (1, (2, "x")),
        3: {"tensor": weights, "turned": weights.T, "half": weights.bfloat16(), "one": weights[0]},
        "array": np.array([1.5, 2.5]),
        "least": 0.1 + 0.2,
    }
    assert write_state(tmp_path / "file", state) == [] and can_hold(state)
    found = read_state(tmp_path / "file")
    for name, tensor in state.pop(3).items():
        assert torch.equal(found[3][name], tensor) and found[3][name].dtype == tensor.dtype
    found.pop(3)
    np.testing.assert_array_equal(found.pop("array"), state.pop("array"))
    assert found == state
    lost = {"own": [object(), 3], "words": np.array(["a"], dtype=object)}
    left_out = write_state(tmp_path / "file", lost)
    assert left_out == ["own/0 (object)", "words (ndarray)"] and not can_hold(lost)
    assert read_state(tmp_path / "file") == {"own": [None, 3]}


def test_what_a_file_cannot_hold_is_told_once(tmp_path):
    class Odd(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.kept_ = object()

    with pytest.warns(
        MIWarning, match=r"cannot hold callbacks/Odd/plain/kept_ \(object\)"
    ) as told_:
        learner(tmp_path, callbacks=[Odd()]).fit(ROWS)
    assert len(told_) == 1


# Disks


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_file_in_the_place_of_the_folder(tmp_path, kind):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" if kind == "a file" else tmp_path / "file" / "more"
    fitted = learner(max_steps=2).fit(ROWS)
    before = fitted.transform(ROWS)
    with pytest.raises(NotADirectoryError, match=r"checkpoint_dir=.*folder"):
        fitted.set_params(checkpoint_dir=folder).fit(ROWS)
    np.testing.assert_array_equal(fitted.transform(ROWS), before)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    # root may write anywhere, so the system's answer is played.
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="cannot be made .* let this user write there"):
        learner(tmp_path / "new").fit(ROWS)


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    class Remove(Callback):
        def on_epoch_end(self, net, **kwargs):
            for path in (*files(tmp_path), *tmp_path.iterdir()):
                path.unlink() if path.is_file() else path.rmdir()

    params = {"callbacks": [Remove()]}
    assert learner(tmp_path, **params).fit(ROWS).n_iter_ == 23
    [file] = files(tmp_path)
    assert read_state(file)["finished"]


FULL = """
import json, resource, signal, sys, warnings
import numpy as np
from sklearn_mi import MIRepresentationLearner
from sklearn_mi.training.net import MINet

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
step, taken = MINet.train_step, [0]

def train_step(self, batch, **params):
    taken[0] += 1
    limit(100 if 7 <= taken[0] < int(sys.argv[2]) else hard)
    return step(self, batch, **params)

X = np.random.default_rng(0).normal(size=(120, 6))
params = dict(max_steps=23, batch_size=20, random_state=0, n_threads=1)
learner = lambda: MIRepresentationLearner(
    checkpoint_dir=sys.argv[1], checkpoint_every=3, **params
)
told = []
if sys.argv[2] == "0":
    limit(100)
    try:
        learner().fit(X)
    except OSError as error:
        told.append(str(error))
else:
    MINet.train_step = train_step
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = learner().fit(X)
    told += [str(warning.message) for warning in caught]
    limit(hard)
    MINet.train_step = step
    plain = MIRepresentationLearner(**params).fit(X)
    told.append(bool((fitted.transform(X) == plain.transform(X)).all()))
limit(hard)
print(json.dumps(told))
"""


def run(code, *args):
    given = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(given, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files there")
@pytest.mark.parametrize("full_until", [0, 15, 99])
def test_a_full_disk(tmp_path, full_until):
    """At the start it is an error; later a warning, and the file before is kept."""
    told_ = json.loads(run(FULL, tmp_path, full_until))
    words = "could not be written (File too large)"
    assert words in told_[0] and "raise the limit" in told_[0]
    if not full_until:
        assert len(told_) == 1 and files(tmp_path) == []
        return
    [file] = files(tmp_path)
    is_over = full_until == 15
    assert told_[-1] is True and len(told_) == (2 if is_over else 3)
    assert read_state(file)["finished"] == is_over and "an earlier step is kept" in told_[0]
    assert read_state(file)["steps"] == (23 if is_over else 6)
    assert [path.name for path in tmp_path.rglob("*.part*")] == []


def test_a_disk_that_is_full_for_a_while(tmp_path, monkeypatch):
    sync, full = os.fsync, [True]

    def fsync(descriptor):
        if full[0] and files(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    class Free(Callback):
        def on_epoch_begin(self, net, **kwargs):
            full[0] = len(net.history) < 3

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.warns(MIWarning, match=r"No space left.*free some space.*tries again") as told_:
        fitted = learner(tmp_path, callbacks=[Free()]).fit(ROWS)
    assert len(told_) == 1 and fitted.n_iter_ == 23
    assert read_state(files(tmp_path)[0])["finished"]
    assert [path.name for path in tmp_path.rglob("*.part*")] == []


# Signals


class Signal(Callback):
    def on_batch_end(self, net, **kwargs):
        if net.steps_ + net.history[-1]["batches"][-1].get("never", 0) >= 0:
            self.seen_ = getattr(self, "seen_", 0) + 1
        if self.seen_ == 4:
            signal.raise_signal(signal.SIGTERM)


def test_sigterm_writes_and_ends(tmp_path):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            learner(tmp_path, checkpoint_every="1h", callbacks=[Signal()]).fit(ROWS)
        assert ended.value.code == 143 and heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
        [file] = files(tmp_path)
        assert read_state(file)["steps"] == 4
        resumed = learner(tmp_path, checkpoint_every="1h", callbacks=[Signal()]).fit(ROWS)
        plain = learner().fit(ROWS)
        np.testing.assert_array_equal(resumed.transform(ROWS), plain.transform(ROWS))
        # Without a folder nothing changes: the signal goes where it went before.
        assert learner(callbacks=[Signal()]).fit(ROWS).n_iter_ == 23 and len(heard) == 2
        # It is not for other threads.
        made = learner(tmp_path / "thread", callbacks=[Signal()])
        thread = threading.Thread(target=made.fit, args=(ROWS,))
        thread.start()
        thread.join()
        assert made.n_iter_ == 23 and len(heard) == 3
    finally:
        signal.signal(signal.SIGTERM, before)


TERMINATED = """
import sys
import numpy as np
from sklearn_mi import MIRepresentationLearner
X = np.random.default_rng(0).normal(size=(120, 6))
print("begun", flush=True)
MIRepresentationLearner(
    max_steps=10**7, batch_size=20, random_state=0, checkpoint_dir=sys.argv[1]
).fit(X)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_a_process_ends_as_a_scheduler_expects(tmp_path):
    given = [sys.executable, "-c", TERMINATED, str(tmp_path)]
    process = subprocess.Popen(given, stdout=subprocess.PIPE)
    while not files(tmp_path):
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    assert read_state(files(tmp_path)[0])["steps"] > 0
    process.stdout.close()


def test_no_warning_without_a_reason(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner(tmp_path, early_stopping=8, verbose=1).fit(ROWS)


def test_batches_that_are_drawn_ahead_are_not_counted_as_seen():
    """Two batches are drawn, training has seen one: the state is that of the one."""
    plain, order = (Order(10, 3, seed=0, n_extra=2) for _ in range(2))
    for one in (plain, order):
        one.allow(5)
    expected = next(plain.rest_of_pass())
    batches = order.rest_of_pass()
    batch, position = order.look_ahead(batches)
    order.seen_at(position)
    order.look_ahead(batches)
    assert torch.equal(batch, expected) and order.state_dict()["place"] == 1
    assert torch.equal(order.state_dict()["generator"], plain.state_dict()["generator"])
    order.seen_at(None)
    assert order.state_dict()["place"] == 2
