import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from sklearn_mi import MIRepresentationLearner
from sklearn_mi._checks import (
    check_classes,
    check_codes,
    check_random_state,
    check_values,
    is_continuous,
)
from sklearn_mi.diagnostics import cluster_stability
from sklearn_mi.ensemble import Ensemble
from sklearn_mi.paper.adversarial import AdversarialEncoder
from sklearn_mi.probes import mlp_probe, v_information
from sklearn_mi.selection import select_rows


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 0, 2], np.array([1, 0, 2])),
        ([1.0, 0.5, 2], np.array([1.0, 0.5, 2.0])),
        ([True, False, True], np.array([True, False, True])),
        (["b", "a", "b"], np.array(["b", "a", "b"])),
        (np.array([[1], [0], [2]]), np.array([1, 0, 2])),
        (np.array([1, 0, 2], dtype=object), np.array([1, 0, 2])),
        (pd.Series([1, 0, 2], dtype="Int64"), np.array([1, 0, 2])),
        (pd.Series(["b", "a", "b"], dtype="category"), np.array(["b", "a", "b"])),
        (pd.DataFrame({"y": ["b", "a", "b"]}), np.array(["b", "a", "b"])),
    ],
)
def test_values_of_every_kind_become_one_array(given, expected):
    values = check_values("y", given, 3)
    np.testing.assert_array_equal(values, expected)
    assert values.dtype == expected.dtype


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.Series([1, None, 2], dtype="Int64"), "1 missing values, the first in row 1"),
        (pd.Series(["a", None, "b"], dtype="string"), "1 missing values, the first in row 1"),
        (["a", float("nan"), "b"], "1 missing values, the first in row 1"),
        (3, r"y has shape \(\); expected \(3,\)"),
        ([1, "a", 2], r"y mixes text and numbers; expected one kind: y.astype\(str\)"),
        ([1, 2], "y has 2 values, but the table has 3 rows"),
    ],
)
def test_values_that_are_not_one_a_row_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_values("y", given, 3, "the table")


def test_whole_numbers_are_classes_whatever_their_type():
    assert check_classes("y", [0.0, 2.0], 2).tolist() == [0, 2]
    assert check_classes("y", np.array([3, 3], np.uint8), 2).tolist() == [3, 3]
    assert is_continuous(np.array([0.0, np.inf]))
    with pytest.raises(ValueError, match="y is continuous: 2 different values, such as 0.25"):
        check_classes("y", [0.25, 1], 2)


def test_codes_keep_their_floating_type_or_are_brought_to_one():
    single = np.eye(2, dtype=np.float32)
    assert check_codes("Z", single, dtype=None) is single
    assert check_codes("Z", np.eye(2, dtype=int), dtype=None).dtype == np.float64
    assert check_codes("Z", single).dtype == np.float64
    table = [[1, 0.5], [0, 2]]
    for given in (table, csr_array(table), pd.DataFrame(table), np.array(table, dtype=object)):
        np.testing.assert_array_equal(check_codes("Z", given), table)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.eye(2) * 1j, "Z is of type complex128; expected real numbers"),
        (np.ones((2, 3, 4)), r"Z has shape \(2, 3, 4\).*Z.reshape\(2, -1\)"),
        (pd.DataFrame({"a": [1, 2], "b": [1.0, pd.NA]}), "Z has NaN or infinity in 1 of 2 rows"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", 1]}), "Z holds x in column 'b'; expected numbers"),
    ],
)
def test_codes_that_are_not_real_numbers_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_codes("Z", given)


ROWS = np.random.default_rng(0).normal(size=(20, 3))
LABELS = np.arange(20) % 2
LEARNER = MIRepresentationLearner(2, max_steps=1)
PROBED = (ROWS, LABELS, ROWS, LABELS)


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: check_random_state(rng),
        lambda rng: MIRepresentationLearner(2, max_steps=1, random_state=rng).fit(ROWS),
        lambda rng: Ensemble(LEARNER, 2, random_state=rng).fit(ROWS),
        lambda rng: AdversarialEncoder(max_steps=1, random_state=rng).fit(ROWS, LABELS),
        lambda rng: cluster_stability(ROWS, n_clusters=2, random_state=rng),
        lambda rng: select_rows(ROWS, 2, random_state=rng),
        lambda rng: mlp_probe(*PROBED, random_state=rng),
        lambda rng: v_information(*PROBED, random_state=rng),
    ],
)
def test_a_generator_of_numpy_is_refused_with_the_cure(call):
    with pytest.raises(ValueError, match=r"random_state=Generator\(PCG64\).*integers\(2\*\*31\)"):
        call(np.random.default_rng(0))


def test_random_states_are_those_of_scikit_learn():
    generator = np.random.RandomState(0)
    assert check_random_state(generator) is generator
    assert check_random_state(3).randint(99) == np.random.RandomState(3).randint(99)
    with pytest.raises(ValueError, match="'a' cannot be used to seed"):
        check_random_state("a")


def around(value):
    made = np.empty((), object)
    made[()] = value
    return made


RECORDING = np.ones((3, 2))
CONTAINERS = {
    "a dict of columns": ({"a": [1, 2]}, r"pass pandas.DataFrame\(X\), or"),
    "a dict of recordings": ({"a": RECORDING}, r"pass one of them, X\['a'\], or list\(X.values"),
    "an empty dict": ({}, r"pass pandas.DataFrame\(X\)"),
    "records": (np.zeros(3, [("a", "f4"), ("b", "i4")]), r"fields \['a', 'b'\]; pass pandas.Data"),
    "no axes": (around(RECORDING), r"around a ndarray; .*or \[X.item\(\)\] if it is one recording"),
    "recordings": (pd.Series([RECORDING, RECORDING]), r"pass list\(X\)\."),
    "unequal rows": (pd.Series([np.ones(3), np.ones(2)]), r"pass list\(X\)\."),
    "equal rows": (pd.Series([np.ones(3), np.ones(3)]), r"pass numpy.stack\(X\)\."),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_what_holds_rows_otherwise_is_told_with_its_cure(case):
    X, cure = CONTAINERS[case]
    with pytest.raises(TypeError, match=cure):
        MIRepresentationLearner().fit(X)


def test_a_file_of_arrays_and_lazy_frames_are_told(tmp_path):
    np.savez(tmp_path / "rows.npz", first=RECORDING)
    with (
        np.load(tmp_path / "rows.npz") as file,
        pytest.raises(TypeError, match=r"is a file of arrays; pass one of them, X\['first'\]"),
    ):
        MIRepresentationLearner().fit(file)
    lazy = pytest.importorskip("polars").LazyFrame({"a": [1.0]})
    with pytest.raises(TypeError, match=r"pass \[frame.collect\(\) for frame in X\]"):
        MIRepresentationLearner().fit([lazy, lazy])
