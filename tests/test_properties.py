"""Random inputs of any shape, kind and container: finite numbers or one clear sentence."""

import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
QUESTIONS = ("learner", "two tables", "confounds", "MIEstimator", "semi-supervised", "compare")


@pytest.fixture(scope="module")
def hostile():
    sys.path.insert(0, str(BENCHMARKS))
    yield import_module("hostile_inputs")
    sys.path.remove(str(BENCHMARKS))


def test_every_question_is_asked(hostile):
    assert tuple(hostile.QUESTIONS) == QUESTIONS


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_few_inputs_give_numbers_or_a_clear_sentence(hostile, tmp_path, question):
    found = list(hostile.outcomes_of(question, tmp_path, 7, 11))
    assert len(found) == 7
    assert [each for each in found if each[1] not in ("finite", "clear")] == []


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_many_inputs_give_numbers_or_a_clear_sentence(hostile, tmp_path, question):
    found = list(hostile.outcomes_of(question, tmp_path, 350, 12))
    assert len(found) == 350
    assert [each for each in found if each[1] not in ("finite", "clear")] == []
    # Were all refused, nothing would have been tested.
    assert Counter(outcome for _, outcome, _ in found)["finite"] > 20


def test_bytes_behind_a_table_of_tiny_numbers_are_scored(hostile):
    rng = hostile.np.random.default_rng(0)
    learner = hostile.small(objective="nwj").fit(rng.normal(size=(30, 4)) * 1e-300)
    rows = rng.integers(0, 256, size=(30, 4)).astype("uint8")
    assert hostile.np.isfinite(learner.score(rows))
    assert hostile.np.isfinite(learner.transform(rows)).all()


def test_numbers_of_another_byte_order_are_the_same_numbers(hostile):
    from sklearn_mi._checks import native_table

    X = hostile.np.random.default_rng(0).normal(size=(5, 2))
    there = X.astype(X.dtype.newbyteorder())
    frame = hostile.pd.DataFrame({"a": there[:, 0], "b": X[:, 1], "c": list("uvwxy")})
    assert not frame["a"].dtype.isnative
    made = native_table(frame)
    assert made["a"].dtype.isnative and made.equals(frame.assign(a=X[:, 0]))
    assert native_table(there).dtype.isnative
    assert hostile.np.array_equal(native_table(there), X)


def test_a_clear_error_is_one_that_says_what_to_pass(hostile):
    def message_of(code):
        try:
            code()
        except Exception as error:
            return error

    from sklearn_mi._checks import check_values
    from sklearn_mi.rows.columns import Number

    clear = message_of(lambda: check_values("y", [1, 2], 3))
    assert hostile.is_clear(clear)
    # An operation that fails in our code, in torch or in numpy says nothing to a user.
    assert not hostile.is_clear(message_of(lambda: Number(False).read(3)))
    assert not hostile.is_clear(message_of(lambda: hostile.np.zeros(3).reshape(2)))
    assert not hostile.is_clear(message_of(lambda: {}["a"]))
