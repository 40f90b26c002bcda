import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse

from sklearn_mi import MIEstimator
from sklearn_mi._base import MIWarning
from sklearn_mi.information.tables import TableReader, as_frame
from sklearn_mi.rows import warn_of_labels

N = 40
NUMBERS = np.random.default_rng(0).normal(size=(N, 2))
FRAME = pd.DataFrame(NUMBERS, columns=["a", "b"])
WORDS = ["u", "v"] * (N // 2)


def read(rows, name="Y", **params):
    return TableReader(name, rows, **params)


# Containers

SAME = {
    "array": NUMBERS,
    "list": NUMBERS.tolist(),
    "frame": FRAME,
    "objects": FRAME.astype(object),
    "nullable": FRAME.astype("Float64"),
    "polars": pl.DataFrame({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]}),
    "tensor": torch.tensor(NUMBERS, requires_grad=True),
    "masked": np.ma.masked_invalid(NUMBERS),
    "csr": sparse.csr_matrix(NUMBERS),
    "coordinates": sparse.coo_array(NUMBERS),
    "sparse frame": FRAME.astype("Sparse[float]"),
    "another index": FRAME.set_index(np.arange(N)[::-1]),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_table_gives_the_same_numbers_from_every_container(kind):
    for name in "XY":
        columns = read(SAME[kind], name)
        np.testing.assert_array_equal(columns(SAME[kind]), NUMBERS)
        coded = columns.columns(SAME[kind])
        np.testing.assert_array_equal(coded.values, NUMBERS)
        assert coded.nominal.tolist() == [False, False]


@pytest.mark.parametrize(
    "column",
    [
        NUMBERS[:, 0],
        pd.Series(NUMBERS[:, 0], name="price"),
        pl.Series("price", NUMBERS[:, 0]),
        torch.tensor(NUMBERS[:, 0], requires_grad=True),
        NUMBERS[:, 0].tolist(),
    ],
)
def test_y_may_be_one_axis_and_x_may_not(column):
    for known in (column, NUMBERS[:, :1], FRAME[["a"]]):
        np.testing.assert_array_equal(read(known)(column), NUMBERS[:, :1])
    with pytest.raises(ValueError, match=r"Expected 2D array.*Reshape your data: X\.\w+\("):
        read(column, "X")


def test_a_lazy_frame_is_refused_with_the_cure():
    lazy = pl.LazyFrame({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    for rows in ((lazy, NUMBERS), (NUMBERS, lazy)):
        with pytest.raises(TypeError, match=r"[XY] is a lazy frame.*pass [XY]\.collect\(\)"):
            MIEstimator().fit(*rows)


def test_bfloat16_which_numpy_lacks():
    rows = torch.tensor(NUMBERS).bfloat16()
    np.testing.assert_array_equal(read(rows)(rows), rows.float())


def test_words_and_booleans_become_codes_and_indicators():
    rows = pd.DataFrame(
        {"kind": ["w", "u", "v", "u"] * 3, "x": np.arange(12.0), "on": [True, False] * 6}
    )
    for table in (
        rows,
        pl.DataFrame(rows.to_dict("list")),
        rows.to_numpy(),
        rows.to_numpy().tolist(),
    ):
        columns = read(table)
        coded = columns.columns(table)
        assert coded.nominal.tolist() == [True, False, True]
        np.testing.assert_array_equal(coded.values[:3], [[2, 0, 1], [0, 1, 0], [1, 2, 1]])
        np.testing.assert_array_equal(columns(table)[:2], [[0, 0, 0, 1, 1], [1, 1, 0, 0, 0]])


def test_images_need_an_encoder_and_keep_their_shape():
    images = np.ones((N, 1, 4, 4))
    with pytest.raises(ValueError, match=r"Y of shape \(40, 1, 4, 4\).*pass encoder_y="):
        read(images)(images)
    columns = read(torch.tensor(images), encoder="mlp")
    assert columns(images[:3]).shape == (3, 1, 4, 4)
    assert not columns.is_class("auto")
    for other in (images[..., :3], NUMBERS):
        with pytest.raises(ValueError, match=r"expecting rows of shape \(1, 4, 4\)"):
            columns(other)


# Names


def test_columns_in_another_order_are_refused_and_other_containers_keep_names():
    columns = read(FRAME)
    for swapped in (FRAME[["b", "a"]], pl.DataFrame(FRAME[["b", "a"]].to_dict("list"))):
        for again in (columns, columns.columns):
            with pytest.raises(ValueError, match=r"Y: The feature names should match(.|\n)*order"):
                again(swapped)
    np.testing.assert_array_equal(columns(SAME["polars"]), NUMBERS)
    with pytest.raises(ValueError, match=r"Y: The feature names should match(.|\n)*missing:\n- b"):
        columns(FRAME[["a"]])
    with pytest.warns(UserWarning, match="Y does not have valid feature names, but MIEstimator"):
        columns(NUMBERS)
    with pytest.warns(UserWarning, match="Y has feature names, but MIEstimator was fitted without"):
        read(NUMBERS)(FRAME)
    with pytest.raises(ValueError, match="Y has 1 features, but MIEstimator is expecting 2"):
        read(NUMBERS)(NUMBERS[:, :1])


def test_row_labels_in_another_order_are_told():
    shuffled = FRAME["a"].sample(frac=1, random_state=0)
    with pytest.warns(
        MIWarning, match=r"X and y hold the same row labels.*pass y\.loc\[X\.index\]"
    ):
        warn_of_labels(FRAME, shuffled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for other in (FRAME["a"], shuffled.reset_index(drop=True), shuffled.to_numpy(), None):
            warn_of_labels(FRAME, other)


# Values that are refused

REFUSED = {
    "no table": (3.0, r"Expected 2D array, got scalar array instead: X=3\.0"),
    "unequal rows": ([[1, 2], [3]] * 20, "X has rows of unequal lengths"),
    "dates": (FRAME.assign(at=pd.Timestamp("2020")), r"dates or times in columns \['at'\]"),
    "dates as objects": (
        FRAME.assign(at=pd.Series([datetime.date(2020, 1, 1)] * N, dtype=object)),
        r"dates or times in columns \['at'\]",
    ),
    "periods": (
        FRAME.assign(at=pd.period_range("2020", periods=N)),
        r"dates or times in columns \['at'\]",
    ),
    "dates in a list": ([[datetime.datetime(2020, 1, 1), 1]] * N, r"columns \[0\]; .*days since"),
    "dates of polars": (pl.DataFrame({"at": [datetime.date(2020, 1, 1)] * N}), r"\['at'\]; .*days"),
    "one name twice": (FRAME.set_axis(["a", "a"], axis=1), "X has several columns of one name"),
    "two levels": (
        FRAME.set_axis(pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]), axis=1),
        r"X has columns of 2 levels \(MultiIndex\)",
    ),
    "missing": (
        FRAME.where(np.arange(N)[:, None] > [2, 0]).assign(c=[None, *WORDS[1:]]),
        r"contains NaN\.\nX has missing values in columns \['a', 'b', 'c'\] \(3, 1, 1 of 40 rows\)",
    ),
    "null": (pl.DataFrame({"a": [None, 1.0] * 20}), r"columns \['a'\] \(20 of 40 rows\): fill"),
    "NA": (pd.DataFrame({"a": pd.array([1, None] * 20, dtype="Int64")}), r"\(20 of 40 rows\)"),
    "NaN in a list of words": ([["a"], [np.nan]] * 20, r"columns \[0\] \(20 of 40 rows\)"),
    "NaN in a sparse matrix": (
        sparse.csr_array(np.where(NUMBERS > 9, 0, np.nan)),
        r"columns \[0, 1\] \(40, 40 of 40 rows\)",
    ),
    "infinite": (
        FRAME.assign(b=[np.inf] * 2 + [0] * (N - 2), c=WORDS),
        r"infinity(.|\n)* infinite values in columns \['b'\] \(2 of 40 rows\): clip",
    ),
    "masked": (np.ma.masked_less(NUMBERS, 0), r"X has \d+ masked values; fill"),
    "mixed": (FRAME.assign(c=["a", 1] * 20), r"mixes text and numbers in columns \['c'\]"),
    "mixed categories": (FRAME.assign(c=pd.Categorical(["a", 1] * 20)), r"mixes .* \['c'\]"),
    "objects": (FRAME.assign(c=[{}] * N, d=WORDS), r"X holds dict objects in columns \['c'\]"),
    "complex": (NUMBERS + 1j, r"Complex data not supported: X .* columns \[0, 1\]"),
    "numbers as text": (
        NUMBERS.astype(str),
        r"numbers as text in columns \[0, 1\].*\(float\)",
    ),
    "a name a row": (
        FRAME.assign(c=[f"row {i}" for i in range(N)]),
        r"more than 20 categories in 40 rows in columns \['c'\]",
    ),
    "no columns": (NUMBERS[:, :0], r"0 feature\(s\) \(shape=\(40, 0\)\)"),
    "a large sparse matrix": (
        sparse.csr_array((20_000, 20_000)),
        r"X is sparse, and its 20000 x 20000 numbers take 3\.2 GB.*X\.toarray\(\)",
    ),
    "a sparse tensor": (torch.eye(N).to_sparse(), r"sparse tensor; pass X\.to_dense\(\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_are_refused_are_told_with_column_and_cure(case):
    rows, words = REFUSED[case]
    with pytest.raises((TypeError, ValueError), match=words):
        read(rows, "X")


def test_what_was_a_number_in_fit_is_one_again():
    columns = read(FRAME)
    as_text = FRAME.map(repr).astype(object)
    np.testing.assert_array_equal(columns.columns(as_text).values, NUMBERS)
    with pytest.raises(ValueError, match=r"Y holds text in columns \['b'\], such as 'u'"):
        columns(FRAME.assign(b=WORDS))
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        read(None)


# Classes


@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        ([0, 1], ["0", "1"]),
        ([0, 1], [0.0, 1.0]),
        (["0", "1"], [0.0, 1.0]),
        (["0.0", "1.0"], ["0", "1"]),
        ([0.0, 1.0], pd.Series([0, 1]).astype("category")),
        ([False, True], ["False", "True"]),
        (["False", "True"], [False, True]),
        ([False, True], [0, 1]),
        (["u", "v"], [b"u", b"v"]),
        (pl.Series(["u", "v"] * 10, dtype=pl.Categorical), ["u", "v"]),
        (pd.Series([3, 4]).astype("category"), ["3.0", "4"]),
    ],
)
def test_classes_of_another_dtype_are_matched_by_value(fitted, given):
    fitted = fitted if len(fitted) > 2 else [fitted[i] for i in (0, 1)] * 10
    if not isinstance(fitted, pl.Series) and not isinstance(fitted[0], str | bool | int | float):
        fitted = pd.Series(fitted).astype("category")
    columns = read(fitted)
    assert columns.is_class("auto")
    known = columns.labels(fitted)[:2].tolist()
    assert columns.labels(given).tolist() == known
    assert columns.labels(given[::-1]).tolist() == known[::-1]
    assert columns.columns(given, as_class=True).values.ravel().tolist() == [0, 1]


def test_text_that_spells_two_numbers_alike_stays_two_classes():
    columns = read(["0", "0.0", "1"] * 10)
    assert columns.labels(["0.0", "0"]).tolist() == ["0.0", "0"]
    with pytest.raises(ValueError, match="Y holds 0, which fit did not see"):
        columns.labels([0])


@pytest.mark.parametrize(
    ("fitted", "given", "told"),
    [
        (["a", "b"], ["a", "c"], r"Y holds 'c', which fit did not see; .* \['a', 'b'\]: drop"),
        (["yes", "no"], [True, False], r"Y holds True, which fit did not see"),
        ([0, 1], [1, 2], r"Y holds 2, which fit did not see; expected classes among \[0, 1\]"),
        ([0, 1], [1, np.nan], r"Y has missing values"),
    ],
)
def test_a_class_that_fit_did_not_see_is_refused(fitted, given, told):
    columns = read(fitted * 10)
    for again in (columns.labels, lambda rows: columns.columns(rows, as_class=True)):
        with pytest.raises(ValueError, match=told):
            again(given)


def test_a_category_that_fit_did_not_see_is_told():
    table = pd.DataFrame({"x": np.arange(12.0), "city": ["u", "v", "w"] * 4, "on": ["0", "1"] * 6})
    columns = read(table, "X")
    new = pd.DataFrame({"x": [0.5], "city": ["z"], "on": [True]})
    told = r"X has categories that fit did not see in columns \['city', 'on'\], such as 'z'"
    with pytest.warns(MIWarning, match=told):
        assert columns(new).tolist() == [[0.5, 0, 0, 0, 0.5]]
    with pytest.warns(MIWarning, match=told):
        assert columns.columns(new).values.tolist() == [[0.5, 3, 2]]


@pytest.mark.parametrize("seed", range(5))
def test_a_dtype_does_not_decide_what_is_a_class(seed):
    rng = np.random.default_rng(seed)
    few = {
        "counts": np.round(8 * rng.normal(size=60)),
        "labels": np.repeat(np.arange(26), 12),
        "gaps": np.repeat(np.arange(26) * 2, 12),
        "likert": rng.integers(1, 6, 1000),
        "poisson": rng.poisson(1, 1000),
        "zeros": np.where(rng.random(500) < 0.5, 0, rng.normal(size=500)),
    }
    found = {}
    for name, values in few.items():
        whole = (values == np.round(values)).all()
        kinds = [float, int, object, np.float32] if whole else [float, object]
        answers = {read(values.astype(kind)).is_class("auto") for kind in kinds}
        assert len(answers) == 1
        found[name] = answers.pop()
    expected = {"labels", "likert", "poisson"}
    assert {name for name, is_class in found.items() if is_class} == expected


def test_a_target_is_a_class_only_if_it_can_be():
    assert read(np.repeat(np.arange(4), 3)).is_class(True)
    assert not read(WORDS).is_class(False)
    assert read(WORDS).is_category
    with pytest.raises(ValueError, match=r"discrete_target=True, but Y has 40 different values"):
        read(NUMBERS[:, 0]).is_class(True)
    with pytest.raises(ValueError, match=r"discrete_target=True, but Y has rows of shape \(2,\)"):
        read(NUMBERS).is_class(True)
    with pytest.raises(ValueError, match="Y is not one column of classes"):
        read(NUMBERS).labels(NUMBERS)


def test_a_frame_of_what_is_no_table_is_refused():
    assert as_frame(sparse.csr_array(NUMBERS)).to_numpy().tolist() == NUMBERS.tolist()
    with pytest.raises(ValueError, match=r"X has shape \(2, 3, 4\); expected \(n_samples"):
        as_frame(np.ones((2, 3, 4)))


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e308])
def test_columns_of_extreme_size_are_multiplied_by_a_power_of_two(scale):
    rows = np.column_stack([np.linspace(-1, 1, N) * scale, NUMBERS[:, 0]])
    columns = read(rows)
    seen = columns(rows)
    np.testing.assert_array_equal(seen[:, 1], NUMBERS[:, 0])
    assert 0.5 <= np.abs(seen[:, 0]).max() < 1
    np.testing.assert_array_equal(np.argsort(seen[:, 0]), np.arange(N))
    exponent = np.frexp(scale)[1]
    np.testing.assert_array_equal(np.ldexp(seen[:, 0], int(exponent)), rows[:, 0])
    np.testing.assert_array_equal(columns(rows[:3]), seen[:3])
