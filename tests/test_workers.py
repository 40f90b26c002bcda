"""Calls in processes that may die, tried without killing any: tests/test_cluster.py kills."""

import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import joblib
import pytest
from joblib import delayed
from tqdm import tqdm

from sklearn_mi._progress import progress_bar
from sklearn_mi.workers import MOST_DEATHS, Turn, WorkerDiedError, finish, in_parallel


@pytest.fixture
def bar():
    with tqdm(total=6, disable=True) as silent:
        silent.n, silent.update = 0, partial(count, silent)
        yield silent


def count(bar, n=1):
    bar.n += n


class Work:
    """Squares numbers; over some of them the pool breaks, as often as is said."""

    def __init__(self, folder, deaths):
        self.folder, self.deaths, self.calls = folder, deaths, []

    def turn(self, item):
        return Turn(self.folder / str(item))

    def __call__(self, item, shared):
        self.calls.append(item)
        if self.deaths.get(item, 0) > 0:
            self.deaths[item] -= 1
            with (self.folder / f"{item}.begun").open("a") as mark:
                mark.write("x")
            raise BrokenProcessPool("killed")
        with self.turn(item).taken():
            return item**2 + shared


def finished(work, bar, **params):
    items = {number: (number, 10) for number in range(4)}
    return dict(finish(work, items, n_jobs=1, turn=work.turn, bar=bar, **params))


def test_every_call_is_made_once(tmp_path, bar):
    work = Work(tmp_path, {})
    assert finished(work, bar) == {0: 10, 1: 11, 2: 14, 3: 19}
    assert work.calls == [0, 1, 2, 3] and bar.n == 4


def test_a_call_that_dies_is_made_again_and_alone(tmp_path, bar):
    work = Work(tmp_path, {1: MOST_DEATHS - 1})
    assert finished(work, bar) == {0: 10, 1: 11, 2: 14, 3: 19}
    # After its first death the others come first.
    assert work.calls == [0, 1, 2, 3, 1, 1]


def test_a_call_that_always_dies_is_given_up_and_the_others_end(tmp_path, bar):
    work = Work(tmp_path, {1: 99})
    found = finished(work, bar)
    assert isinstance(found.pop(1), WorkerDiedError) and found == {0: 10, 2: 14, 3: 19}
    assert work.calls.count(1) == MOST_DEATHS


def test_workers_that_die_before_they_begin_are_not_waited_for(tmp_path, bar):
    def broken(item, shared):
        raise BrokenProcessPool("no memory to start")

    broken.turn = Work(tmp_path, {}).turn
    with pytest.raises(BrokenProcessPool, match="no memory to start"):
        finished(broken, bar)


def test_other_errors_are_the_callers(tmp_path, bar):
    def wrong(item, shared):
        raise ZeroDivisionError

    wrong.turn = Work(tmp_path, {}).turn
    with pytest.raises(ZeroDivisionError):
        finished(wrong, bar)


@pytest.mark.parametrize("taken", [0, 2])
def test_what_another_process_works_at_comes_last(tmp_path, bar, taken):
    work = Work(tmp_path, {})
    items = {number: (number, 10) for number in range(4)}
    found = finish(work, items, n_jobs=1, turn=work.turn, bar=bar)
    others = [number for number in items if number != taken]
    with work.turn(taken).taken():
        assert [next(found)[0] for _ in others] == others
        # Whoever begins does not take the mark of one that is at work.
        assert work.turn(taken)._mark.exists()
    assert [number for number, _ in found] == [taken] and work.calls == [*others, taken]


DIES = """
import os, sys
from pathlib import Path
from sklearn_mi.workers import Turn
with Turn(Path(sys.argv[1])).taken():
    print("begun", flush=True)
    sys.stdin.readline()
    os._exit(9)
"""


def test_who_dies_over_a_turn_leaves_a_mark_and_no_lock(tmp_path):
    turn = Turn(tmp_path / "cell")
    with turn.taken():
        assert not turn.was_cut_off()
    assert not turn.was_cut_off()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", DIES, str(turn.path)], **pipes) as child:
        assert child.stdout.readline() == "begun\n"
        # It holds the turn.
        assert not turn.was_cut_off()
        child.communicate("die\n")
    assert turn.was_cut_off() and turn.deaths() == 1
    with turn.taken():
        # Another one is at work now, whose mark is not to be taken.
        assert turn.deaths() == 1 and not turn.was_cut_off()
    assert turn.deaths() == 0
    turn._mark.write_text("xx")
    assert turn.deaths() == 2
    turn.forget()
    assert not turn.was_cut_off()


@pytest.mark.parametrize("ordered", [True, False])
def test_results_come_in_order_where_asked(bar, ordered):
    tasks = [delayed(pow)(number, 2) for number in range(6)]
    with joblib.parallel_config("threading", n_jobs=2):
        found = list(in_parallel(tasks, None, bar, ordered=ordered))
    assert (found if ordered else sorted(found)) == [0, 1, 4, 9, 16, 25] and bar.n == 6


class AllAtOnce(joblib.parallel.ThreadingBackend):
    """Threads that give their results at the end, as Ray's pool does."""

    supports_return_generator = False


def test_a_backend_without_generators_gives_the_same(bar):
    seen = []
    tasks = [delayed(pow)(number, 2) for number in range(6)]
    with joblib.parallel_config(AllAtOnce(), n_jobs=1):
        for result in in_parallel(tasks, 1, bar):
            seen.append((result, bar.n))
    assert seen == [(number**2, 6) for number in range(6)]


SLEEPS = """
import os, sys, time
from joblib import delayed
from sklearn_mi._progress import progress_bar
from sklearn_mi.workers import in_parallel

def sleep(folder):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(100)

if __name__ == "__main__":
    with progress_bar(2, "call", shown=0) as bar:
        list(in_parallel([delayed(sleep)(sys.argv[1])] * 2, 2, bar))
"""


def is_there(pid):
    # One that has ended and was not yet waited for is a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_workers_end_with_their_parent_at_sigterm(tmp_path):
    script, folder = tmp_path / "sleeps.py", tmp_path / "pids"
    script.write_text(SLEEPS)
    folder.mkdir()
    with subprocess.Popen([sys.executable, str(script), str(folder)]) as parent:
        end = time.monotonic() + 60
        while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        pids = [int(file.name) for file in folder.iterdir()]
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == -signal.SIGTERM
    assert len(pids) == 2
    end = time.monotonic() + 10
    while any(map(is_there, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(is_there, pids))


def test_only_the_parent_shows_a_bar():
    with progress_bar(3, "fold", shown=1) as shown:
        assert not shown.disable
    with progress_bar(3, "fold", shown=0) as hidden:
        assert hidden.disable
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        assert joblib.Parallel()(delayed(is_silent)() for _ in range(2)) == [True, True]


def is_silent():
    with progress_bar(3, "fold", shown=1) as bar:
        return bar.disable
