"""Results of before: an upgrade of torch or scikit-learn that changes them is seen here."""

import json

import golden
import numpy as np
import pytest

WRITTEN = json.loads(golden.FILE.read_text())
# Half of the time of all.
SLOW = {"colour images"}


def hint(name):
    before = ", ".join(f"{key} {value}" for key, value in WRITTEN["versions"].items())
    return f"{name} is not what it was with {before}; CONTRIBUTING.md, 'Golden results'"


def test_the_file_holds_everything():
    assert set(WRITTEN["codes"]) == set(golden.DATA)
    assert set(WRITTEN["formulas"]) == {*golden.BOUNDS, *golden.OBJECTIVES}
    assert set(WRITTEN["information"]) == set(golden.INFORMATION)
    assert WRITTEN["command"] == golden.COMMAND and "torch" in WRITTEN["versions"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in golden.DATA],
)
def test_codes_are_what_they_were(name):
    found, before = golden.codes(name), WRITTEN["codes"][name]
    bound = golden.TOLERANCES["codes"]
    assert found["rms"] == pytest.approx(before["rms"], rel=bound), hint(name)
    assert np.allclose(found["along"], before["along"], rtol=0, atol=bound), hint(name)


@pytest.mark.parametrize("name", sorted(WRITTEN["formulas"]))
def test_formulas_are_what_they_were(name):
    bound = golden.TOLERANCES["formulas"]
    assert golden.formula(name) == pytest.approx(WRITTEN["formulas"][name], rel=bound), hint(name)


@pytest.mark.parametrize("name", golden.INFORMATION)
def test_estimates_are_what_they_were(name):
    bound, before = golden.TOLERANCES["information"], WRITTEN["information"][name]
    assert golden.INFORMATION[name]() == pytest.approx(before, abs=bound), hint(name)
