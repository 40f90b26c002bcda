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


def test_tensors_with_a_gradient_are_rows_like_others(hostile):
    import torch

    from sklearn_mi.evaluation import compare

    X = hostile.np.random.default_rng(0).normal(size=(30, 4))
    rows, y = torch.from_numpy(X).requires_grad_(), hostile.np.arange(30) % 2
    mixed = hostile.np.c_[X.astype(object), list("uv") * 15]
    learner = hostile.small().fit(mixed)
    with pytest.raises(ValueError, match="5 features"):
        learner.transform(rows)
    given = {"labels_per_class": (2,), "n_folds": 2, "n_draws": 1}
    found = compare({"raw": None}, rows, y, **given)
    assert found["accuracy"].equals(compare({"raw": None}, X, y, **given)["accuracy"])


@pytest.mark.parametrize("method", ["transform_pair", "score_pairs", "retrieve"])
def test_rows_that_lack_the_second_table_are_told(hostile, method):
    from sklearn_mi import MIWarning

    rng = hostile.np.random.default_rng(0)
    A, B = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    learner = hostile.small().fit(A, X_pair=B)
    B[:7] = hostile.np.nan
    with pytest.warns(MIWarning, match="7 of 30 rows have no value in X_pair"):
        getattr(learner, method)(*([B] if method == "transform_pair" else [A, B]))


def test_targets_may_be_decimals(hostile):
    from decimal import Decimal

    from sklearn_mi import SemiSupervisedRegressor

    X = hostile.np.random.default_rng(0).normal(size=(30, 4))
    made = [Decimal(str(value)) for value in X[:, 0]]
    fits = [SemiSupervisedRegressor(hostile.MaxAbsScaler()).fit(X, y) for y in (made, X[:, 0])]
    assert hostile.np.array_equal(*(fit.predict(X) for fit in fits))


def test_a_metric_of_another_kind_of_target_is_refused_before_the_first_fit(hostile):
    from sklearn_mi.evaluation import compare

    class Never(hostile.MaxAbsScaler):
        def fit(self, X, y=None):
            raise AssertionError("fitted")

    X = hostile.np.random.default_rng(0).normal(size=(30, 4))
    with pytest.raises(ValueError, match="scoring='accuracy' cannot score a measurement"):
        compare({"never": Never()}, X, X[:, 0], scoring="accuracy", n_labels=(5,))


def test_r_squared_of_one_row_is_refused(hostile):
    from sklearn_mi.evaluation import compare

    X = hostile.np.random.default_rng(0).normal(size=(5, 4))
    with pytest.raises(ValueError, match="A fold has 1 test rows, and scoring='r2' needs two"):
        compare({"raw": None}, X, X[:, 0], cv=3, n_labels=(None,), n_draws=1)


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
