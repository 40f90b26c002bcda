"""Files of learners, altered byte by byte or rewritten with intent: one error, no crash."""

import json
import resource
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import sklearn_mi
from sklearn_mi import InvalidModelError, headers

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
FILES = Path(__file__).parent / "files"
# A kind of file is one row here and one in FILE_KINDS of the benchmark.
KINDS = ("learner", "state", "checkpoint")


@pytest.fixture(scope="module")
def altered():
    sys.path.insert(0, str(BENCHMARKS))
    yield import_module("altered_files")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def good(altered, tmp_path):
    """Return the path of a file, its bytes, its header and its tensors."""
    path = tmp_path / "good"
    altered.tiny().save(path)
    return path, path.read_bytes(), *altered.read_parts(path)


def strange(found, allowed):
    """Return what was done and what happened, unless the outcome is allowed."""
    return [each for each in found if each[1] not in allowed]


@pytest.mark.parametrize("kind", KINDS)
def test_an_altered_byte_is_refused_by_one_kind_of_error(altered, tmp_path, kind):
    found = list(altered.after_accidents(altered.FILE_KINDS[kind], tmp_path, 30, 1))
    assert len(found) == 30 and strange(found, {"refused"}) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_altered_files_are_refused(altered, tmp_path, kind):
    found = list(altered.after_accidents(altered.FILE_KINDS[kind], tmp_path, 1000, 2))
    assert len(found) == 1000 and strange(found, {"refused"}) == []


@pytest.mark.slow
def test_every_bit_of_the_header_counts(altered, good, tmp_path):
    _, content, _, _ = good
    path, length = tmp_path / "altered", 8 + int.from_bytes(content[:8], "little")
    for place in range(length):
        made = bytearray(content)
        made[place] ^= 1 << place % 8
        path.write_bytes(made)
        with pytest.raises(InvalidModelError):
            sklearn_mi.load(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", [3, 2])
def test_what_is_rewritten_with_intent_is_refused_or_a_learner(altered, tmp_path, number):
    found = list(altered.after_intent(altered.FILE_KINDS["learner"], tmp_path, 25, 7, number))
    assert strange(found, {"refused", "same", "other", "clear"}) == []
    assert Counter(outcome for _, outcome, _ in found)["refused"] > 12


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_file_takes_much_memory_or_time(altered, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = list(altered.after_intent(altered.FILE_KINDS["learner"], tmp_path, 1500, 4))
    assert strange(found, {"refused", "same", "other", "clear"}) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("recipe", "parameters", "n_components"), 10**6, "not those of the model"),
        (("recipe", "parameters", "n_components"), -1, "recipe.parameters.n_components"),
        (("schemas", 0, "kind", "row_shape", 0), 10**9, "columns make 4 numbers"),
        (("facts", "seed"), -3, "facts.seed"),
        (("facts", "n_iter_"), 1.5, "facts.n_iter_"),
        (("recipe", "kind"), "pictures", "kind='pictures' is not known"),
        (("params", "critic"), "bilinaer", "Did you mean 'bilinear'"),
        (("params", "lr"), "fast", "The 'lr' parameter"),
        (("params", "view"), {"component": ["critics", "Bilinear"], "params": {}}, "view=Bilinear"),
        (("params", "lr"), float("nan"), "params.lr"),
    ],
)
def test_values_of_the_header_are_told_by_place(altered, good, place, value, told):
    path, _, header, tensors = good
    altered.write_parts(path, altered.changed(header, place, value), tensors)
    with pytest.raises(InvalidModelError, match=told):
        sklearn_mi.load(path)


def test_a_recipe_of_many_parts_is_not_built(altered, good):
    path, _, header, tensors = good
    deep = {"component": ["encoders", "RealNVP"], "params": {"couplings": 10**9}}
    header["recipe"]["parameters"] |= {"encoder": deep, "n_components": 4}
    altered.write_parts(path, header, tensors)
    with pytest.raises(InvalidModelError, match="many more parts than the file has tensors"):
        sklearn_mi.load(path)


def test_weights_that_are_no_numbers_are_refused(altered, good):
    path, _, header, tensors = good
    name = next(name for name in tensors if name.endswith("weight"))
    altered.write_parts(path, header, tensors | {name: tensors[name] * float("nan")})
    with pytest.raises(InvalidModelError, match="not finite"):
        sklearn_mi.load(path)
    altered.write_parts(path, header, tensors | {name: tensors[name].double()})
    with pytest.raises(InvalidModelError, match="holds torch.float64 in the file"):
        sklearn_mi.load(path)


def test_the_digest_cannot_be_left_out(altered, good):
    path, _, header, tensors = good
    save_file(tensors, path, metadata={"sklearn_mi": json.dumps(header)})
    with pytest.raises(InvalidModelError, match="files of format 3 have a digest"):
        sklearn_mi.load(path)
    # One bit makes format 2 of format 3.
    altered.write_parts(path, {**header, "format": 2}, tensors)
    with pytest.raises(InvalidModelError, match="files of format 2 have no digest"):
        sklearn_mi.load(path)


def test_the_digest_is_that_of_the_file_with_zeros_in_its_place(good):
    import hashlib

    path, content, _, _ = good
    digest = headers.metadata_of(path)[headers.DIGEST].encode()
    assert content.count(digest) == 1
    plain = content.replace(digest, b"0" * 64)
    assert hashlib.blake2b(plain, digest_size=32).hexdigest().encode() == digest


def test_names_that_stand_twice_are_refused():
    with pytest.raises(ValueError, match="twice"):
        headers.parse('{"a": 1, "b": {"c": 2, "c": 3}}')
    with pytest.raises(ValueError, match="levels deep"):
        headers.parse("[" * 60 + "]" * 60)
    assert headers.parse('{"a": [1, {"b": NaN}]}')["a"][0] == 1


def test_files_that_are_not_there_or_not_readable_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        sklearn_mi.load(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        sklearn_mi.load(tmp_path)


def test_a_parameter_that_no_learner_takes_is_not_saved(altered, tmp_path):
    from sklearn.base import clone

    learner = clone(altered.tiny()).fit(altered.ROWS)
    learner.critic = "bilinaer"
    with pytest.raises(ValueError, match="Did you mean 'bilinear'"):
        learner.save(tmp_path / "file")
    learner.critic, learner.lr = "bilinear", -1
    with pytest.raises(ValueError, match="'lr' parameter"):
        learner.save(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_state_that_is_no_bytes_is_refused(altered):
    state = {**altered.tiny().__getstate__(), "_saved": "text"}
    with pytest.raises(InvalidModelError, match="str; expected bytes"):
        object.__new__(sklearn_mi.MIRepresentationLearner).__setstate__(state)


def test_a_file_of_format_2_loads_without_a_digest():
    known = np.load(FILES / "learner_format_2_codes.npy")
    again = sklearn_mi.load(FILES / "learner_format_2.safetensors")
    X = np.random.default_rng(0).normal(size=(60, 6))
    np.testing.assert_allclose(again.transform(X), known, atol=1e-6)


def test_threads_go_on_after_a_setting_that_fails(altered):
    with pytest.raises((TypeError, ValueError)), sklearn_mi.runtime.threads("many"):
        pass
    before = torch.get_num_threads()
    with sklearn_mi.runtime.threads(np.int64(1)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_page_has_the_counts_of_the_benchmark():
    import re

    import pandas as pd

    page = (BENCHMARKS.parent / "docs" / "how_to" / "reliability.rst").read_text(encoding="utf-8")
    table = pd.read_csv(BENCHMARKS / "results" / "reliability.csv")
    counts = table.groupby(["part", "outcome"])["n"].sum()
    assert counts.loc[:, ["hang", "crash"]].sum() == 0
    rewritten = table[table["kind"] == "format 3"].set_index("outcome")["n"].copy()
    inputs = counts["inputs"]
    rewritten["other"] += rewritten["clear"]
    expected = [
        *[f"{counts['altered bytes', 'refused']:,}"] * 2,
        *(
            f"{n:,}"
            for n in (rewritten.drop("clear").sum(), *rewritten[["refused", "same", "other"]])
        ),
        f"{inputs.sum():,}",
        f"{inputs['finite']:,} / {inputs['clear']:,}",
    ]
    body = page.split("Counts of files and inputs")[1]
    told = re.findall(r"     - ([\d, /]+)$", body, re.MULTILINE)
    assert [cell for cell in told if cell != "0"] == [*expected[:6], *expected[2:6], *expected[6:]]
