import importlib.metadata
import sys
import types
from email.message import Message

import pytest

import sklearn_mi
from sklearn_mi import _about


def shown(capsys):
    sklearn_mi.show_versions()
    lines = capsys.readouterr().out.splitlines()
    return {name.strip(): value for name, value in ((s[:16], s[17:]) for s in lines)}


def torch_with(cards):
    cuda = types.SimpleNamespace(
        is_available=lambda: bool(cards),
        device_count=lambda: len(cards),
        get_device_name=lambda number: cards[number],
    )
    version = types.SimpleNamespace(cuda="13.0")
    return types.SimpleNamespace(cuda=cuda, version=version, get_num_threads=lambda: 3)


def test_versions_are_those_that_are_installed(capsys):
    import numpy
    import sklearn
    import torch

    facts = shown(capsys)
    assert facts["sklearn-mi"] == sklearn_mi.__version__
    assert facts["Python"] == sys.version.split()[0]
    assert (facts["numpy"], facts["scikit-learn"]) == (numpy.__version__, sklearn.__version__)
    assert facts["torch threads"] == str(torch.get_num_threads())
    assert set(facts) >= set(_about.PACKAGES)


@pytest.mark.parametrize(
    ("cards", "line"), [([], "not available"), (["H200", "A10"], "13.0, H200, A10")]
)
def test_cards_are_named(cards, line, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", torch_with(cards))
    facts = shown(capsys)
    assert (facts["torch threads"], facts["CUDA"]) == ("3", line)


def test_what_is_missing_or_broken_is_told(capsys, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_about, "version", missing)
    monkeypatch.setitem(sys.modules, "torch", None)
    facts = shown(capsys)
    assert {facts[name] for name in _about.PACKAGES} == {"not installed"}
    assert facts["CUDA"].startswith("unknown, ModuleNotFoundError: ")


def test_faiss_goes_by_any_of_its_names(capsys, monkeypatch):
    def only_for_cards(name):
        if name == "faiss-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return f"that of {name}"

    monkeypatch.setattr(_about, "version", only_for_cards)
    assert shown(capsys)["faiss"] == "that of faiss-gpu"


def test_addresses_come_from_the_metadata(monkeypatch):
    fields = Message()
    monkeypatch.setattr(_about, "metadata", lambda name: fields)
    assert _about.address("Documentation") == ""
    fields["Project-URL"] = "Source, https://a.example/code"
    fields["Project-URL"] = "Documentation, https://a.example/x, y/"
    assert _about.address("Documentation") == "https://a.example/x, y"
    assert _about.address("Issues") == ""


def test_without_an_installation_there_is_no_address(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_about, "metadata", missing)
    assert _about.address("Documentation") == ""
