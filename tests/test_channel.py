"""What processes tell one another, tried by threads that share a store."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from torch import distributed as dist

import sklearn_mi.channel
from sklearn_mi.channel import PIECE, Channel, OtherProcessError


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(sklearn_mi.channel, "LOOK_EVERY", 0.01)


def channels(size):
    store = dist.HashStore()

    class Local(Channel):
        _store = store

    return [Local(rank, size, 0) for rank in range(size)], store


def all_say(talks, values):
    with ThreadPoolExecutor(len(talks)) as pool:
        return list(pool.map(lambda talk, value: talk.everyone(value), talks, values))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_everyone_hears_everyone_in_their_order(size):
    talks, store = channels(size)
    for place in range(5):
        values = [(place, rank) for rank in range(size)]
        assert all_say(talks, values) == [values] * size
    # Of each, the last two messages in two entries each.
    assert store.num_keys() == 4 * size


def test_long_messages_come_in_pieces():
    talks, _ = channels(2)
    values = [bytes(range(256)) * (PIECE // 100), b""]
    assert all_say(talks, values) == [values] * 2


def test_who_has_failed_is_not_waited_for():
    (first, second, third), _ = channels(3)
    second.fail(ZeroDivisionError("by nought\nand more"))
    told = r"^Process 1 of 3 that train one model failed, .* ZeroDivisionError: by nought$"
    for other in (first, third):
        with pytest.raises(OtherProcessError, match=told) as caught:
            other.everyone("here")
        other.fail(caught.value)
    # From then on each listens to itself; what the first told stands.
    assert second.everyone("alone") == ["alone"] * 3 and second.failure() is None
    assert str(first.failure()) == str(caught.value)


def test_an_interrupt_is_one_everywhere():
    (first, second), _ = channels(2)
    second.fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match="process 1 of 2 was interrupted"):
        first.everyone("here")


def test_what_was_said_before_a_failure_is_heard():
    (first, second), _ = channels(2)
    second._say("0/1", sklearn_mi.channel.pickle.dumps("before"))
    second.fail(ValueError("after"))
    assert first.everyone("here") == ["here", "before"]


def test_silence_has_an_end(monkeypatch):
    monkeypatch.setattr(sklearn_mi.channel, "PATIENCE", 0)
    (first, _), _ = channels(2)
    with pytest.raises(OtherProcessError, match="Process 1 of 2 .* has said nothing for 0 minutes"):
        first.everyone("here")


class Work:
    """A collective that ends at a look, or with an error of its own; see torch's Work."""

    def __init__(self, ends_at, error=None):
        self.ends_at, self.error, self.looks = ends_at, error, 0

    def is_completed(self):
        return self.looks >= self.ends_at

    def wait(self, timeout=None):
        self.looks += timeout is not None
        if not self.is_completed():
            raise RuntimeError("Operation timed out!")
        if self.error is not None:
            raise self.error


def test_a_collective_is_waited_for_until_another_fails():
    (first, second), _ = channels(2)
    work = Work(ends_at=5)
    first.wait(work)
    assert work.looks == 5
    with pytest.raises(OtherProcessError, match="has ended without a word") as caught:
        first.wait(Work(2, RuntimeError("its own")))
    assert str(caught.value.__cause__) == "its own"
    second.fail(ValueError("no"))
    # What was under way when it failed may still arrive, at the next look.
    first.wait(Work(ends_at=2))
    with pytest.raises(OtherProcessError, match="Process 1 of 2 .* ValueError: no"):
        first.wait(Work(ends_at=3))
