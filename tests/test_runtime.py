"""What belongs to the process: threads, precision, device, random streams."""

import threading

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.runtime import (
    choose_device,
    has_bfloat16,
    matmul_precision,
    own_randomness,
    threads,
)

# By name: the setting, how to read it, another value than now, and what that makes of it.
SETTINGS = {
    "threads": (threads, torch.get_num_threads, 3, 3),
    "precision": (matmul_precision, torch.get_float32_matmul_precision, True, "high"),
}


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(3, 2, size=(50, 4))


class Inside:
    """Another Python thread that enters a setting, and leaves it when it is told to."""

    def __init__(self, setting):
        self.entered, self.may_leave = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, args=(setting,), daemon=True)
        self.thread.start()

    def run(self, setting):
        with setting:
            self.entered.set()
            assert self.may_leave.wait(60)

    def leave(self):
        self.may_leave.set()
        self.thread.join(60)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_holds_inside_and_returns_after_an_error(name):
    setting, read, wanted, shown = SETTINGS[name]
    before = read()
    with pytest.raises(ZeroDivisionError), setting(wanted):
        assert read() == shown != before
        _ = 1 / 0
    assert read() == before


@pytest.mark.parametrize("name", SETTINGS)
def test_overlapping_fits_give_the_setting_back(name):
    setting, read, wanted, _ = SETTINGS[name]
    before = read()
    first = Inside(setting(wanted))
    assert first.entered.wait(60)
    second = Inside(setting(wanted))
    assert second.entered.wait(60)
    first.leave()
    second.leave()
    assert read() == before
    seen = []
    later = threading.Thread(target=lambda: seen.append(read()))
    later.start()
    later.join(60)
    assert seen == [before]


@pytest.mark.parametrize(("name", "other"), [("threads", 2), ("precision", False)])
def test_a_fit_that_wants_another_value_waits(name, other):
    setting, _, wanted, _ = SETTINGS[name]
    first = Inside(setting(wanted))
    assert first.entered.wait(60)
    second = Inside(setting(other))
    assert not second.entered.wait(0.2)
    first.leave()
    assert second.entered.wait(60)
    second.leave()


def test_a_fit_within_a_fit_changes_nothing():
    before = torch.get_num_threads()
    with threads(1), matmul_precision(True):
        with threads(2), matmul_precision(False):
            assert torch.get_num_threads() == 1
            assert torch.get_float32_matmul_precision() == "high"
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_tf32_is_set_inside_a_fit_alone(X):
    seen, before = [], torch.get_float32_matmul_precision()

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(torch.get_float32_matmul_precision())

    for precision in ("float32", "tf32"):
        MIRepresentationLearner(precision=precision, max_epochs=1, callbacks=[Look()]).fit(X)
    assert seen == [before, "high"]
    assert torch.get_float32_matmul_precision() == before


def test_own_randomness_goes_on_and_leaves_the_global_state():
    before = torch.get_rng_state()
    stream, again = own_randomness(3), own_randomness(3)
    with stream:
        a = torch.rand(3)
    with stream:
        b = torch.rand(3)
    with again:
        both = torch.rand(6)
    assert torch.equal(torch.cat([a, b]), both)
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_in_several_threads_do_not_mix():
    with own_randomness(5):
        expected = torch.rand(200)
    drawn = {}

    def draw(number):
        with own_randomness(5):
            drawn[number] = torch.cat([torch.rand(1) for _ in range(200)])

    before = torch.get_rng_state()
    running = [threading.Thread(target=draw, args=(number,)) for number in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert len(drawn) == 4 and all(torch.equal(values, expected) for values in drawn.values())
    assert torch.equal(torch.get_rng_state(), before)


# Devices


def test_a_device_that_is_here_is_taken():
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


UNUSABLE = ["meta", "vulkan", "hpu", "mtia", "xla", "ipu"]
UNUSABLE += [] if torch.backends.mps.is_available() else ["mps"]
UNUSABLE += [] if torch.xpu.is_available() else ["xpu"]


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_device_that_torch_cannot_train_on_is_told(X, name):
    words = rf"device='{name}', but torch cannot train on it here; use device='auto' or 'cpu'\."
    with pytest.raises(ValueError, match=words):
        choose_device(name)
    with pytest.raises(ValueError, match=words):
        MIRepresentationLearner(device=name).fit(X)


@pytest.mark.parametrize("name", ["gpu", "cuda:-1", "", None, 2.0])
def test_what_names_no_device_is_told(name):
    with pytest.raises(ValueError, match="expected 'auto', 'cpu', 'cuda' or 'cuda:0'"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:7"):
        with pytest.raises(ValueError, match=f"device='{name}', but no GPU is available"):
            choose_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(
        ValueError, match="device='cuda:7', but this machine has 2 of them; .*'cuda:1'"
    ):
        choose_device("cuda:7")


# Memory


class RunsOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        if self.training:
            raise torch.OutOfMemoryError("too much")
        return self.layer(x)


def test_a_step_too_large_names_its_parameter(X):
    with pytest.raises(MemoryError, match="lower batch_size=256"):
        MIRepresentationLearner(encoder=RunsOut(), max_steps=2).fit(X)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True}, False),
        ({}, False),
    ],
)
def test_a_processor_with_bfloat16(monkeypatch, found, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert has_bfloat16() is expected


def test_a_torch_that_cannot_tell_counts_as_one_without(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_bfloat16() is False
