"""What a user may pass as rows: where they lie, what they are, their names, their scale, parts."""

import dataclasses
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mi import MIRepresentationLearner, load, recipe
from sklearn_mi._base import MIWarning
from sklearn_mi.encoders import MLP, Passthrough
from sklearn_mi.encoding import encode
from sklearn_mi.rows import (
    KINDS,
    CheckedRows,
    Data,
    Image,
    Kind,
    Recording,
    Rows,
    Schema,
    Standardize,
    Table,
    Volume,
    as_source,
    count_copies,
    fit_standardize,
    kind_of,
    names_out,
    row_hashes,
    split_rows,
)
from sklearn_mi.views import Columns, Compose, GaussianNoise, Halves

CPU = torch.device("cpu")
GROUPS = np.arange(120) // 6
PREFIX = "mirepresentationlearner"


def learner(n_components=8, **parameters):
    return MIRepresentationLearner(
        n_components, **{"max_steps": 2, "random_state": 0, **parameters}
    )


def as_rows(X, scale=None, **kwargs):
    return Rows(X, scale or Standardize(np.zeros(1), np.ones(1)), CPU, X.shape[1:], **kwargs)


def checked(X, row_shape=None):
    source = as_source(X)
    return CheckedRows(source, Schema(kind_of(source, row_shape)))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(3, 2, size=(50, 4))


# Where rows lie


SOURCES = {
    "array": np.asarray,
    "fortran": np.asfortranarray,
    "sparse matrix": sparse.csr_matrix,
    "sparse array": sparse.csr_array,
    "tensor": torch.as_tensor,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_source_answers_shape_type_rows_and_blocks(X, kind, dtype):
    X = np.tile(X, (200, 1)).astype(dtype)  # 10,000 rows: two blocks
    source = as_source(SOURCES[kind](X))
    assert source.shape == (10_000, 4) and len(source) == 10_000
    assert source.dtype == np.dtype(dtype).name and not source.is_bytes
    index = np.array([5, 9_999, 0])
    assert np.array_equal(source.take(index), X[index])
    assert np.array_equal(source.take(slice(3, 7)), X[3:7])
    assert np.array_equal(np.concatenate(list(source.blocks())), X)
    blocks = list(source.blocks(np.arange(0, 10_000, 2)))
    assert np.array_equal(np.concatenate(blocks), X[::2])
    assert source.value_range == (X.min(), X.max())
    assert as_source(source) is source


def test_a_batch_of_a_source_is_in_memory_of_its_own(X):
    for array in (X, X.astype(np.float32), X.astype(np.uint8), torch.as_tensor(X)):
        before = array.copy() if isinstance(array, np.ndarray) else array.clone()
        as_source(array).take(slice(0, 4)).zero_()
        as_source(array).take(np.arange(4)).zero_()
        assert (array == before).all()


def test_rows_are_the_same_from_memory_from_disk_and_sparse(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    scale = Standardize(X.mean(0), X.std(0))
    expected = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    index = np.array([3, 7, 8, 20])
    numbers = torch.tensor([2, 0])
    for rows in (
        as_rows(X, scale, index=index),
        as_rows(X, scale, index=index, stream=True),
        as_rows(np.load(tmp_path / "X.npy", mmap_mode="r"), scale, index=index, stream=True),
        as_rows(sparse.csr_matrix(X), scale, index=index),
        as_rows(torch.as_tensor(X), scale, index=index),
    ):
        assert np.allclose(rows[numbers], expected[[8, 3]], atol=1e-6)
        assert np.allclose(np.asarray(rows), expected[index], atol=1e-6)
        assert rows.shape == (4, 4)


def test_large_offsets_lose_no_digits():
    X = 1e9 + np.arange(10.0).reshape(-1, 1)
    rows = as_rows(X, Standardize(X.mean(0), X.std(0)))
    assert np.allclose(np.asarray(rows), (X - X.mean(0)) / X.std(0), atol=1e-6)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_module_may_write_into_its_batch(kind, stream):
    X = kind(np.ones((4, 3), dtype=np.float32))
    rows = as_rows(X, stream=stream)
    assert all((codes == 0).all() for codes in encode(rows, torch.Tensor.zero_, block=2))
    assert (X == 1).all() and (np.asarray(rows) == 1).all()


@pytest.mark.parametrize("dtype", [">f8", "<i2", "u4", "f2", "?", ">f4", "g"])
def test_every_type_of_number_is_read(X, dtype):
    table = (X > 3).astype(dtype)
    assert np.array_equal(np.asarray(as_rows(table)), table.astype(np.float32))


# Their scale


def test_scale_is_fitted_on_the_index_alone(X):
    X[40:] = 1e6
    scale = fit_standardize(checked(X), np.arange(40), "auto")
    assert np.allclose(scale.mean, X[:40].mean(0))
    scaled = scale(torch.as_tensor(X[:40])).numpy()
    ranges = np.ptp(scaled, axis=0)
    assert np.allclose(ranges, ranges[0], rtol=1e-5) and np.isclose(scaled.var(0).mean(), 1)
    images = checked(X, (2, 2))
    assert fit_standardize(images, np.arange(40), "auto").scale.tolist() == [1.0]
    assert len(fit_standardize(images, np.arange(40), True).scale) == 4


def test_columns_in_any_unit_are_scaled_alike(X):
    expected = fit_standardize(checked(X), np.arange(50), "auto")(torch.as_tensor(X))
    for unit in (1e-300, 1e300):
        moved = X * np.array([1.0, unit, 1.0, 1.0])
        scale = fit_standardize(checked(moved), np.arange(50), "auto")
        assert torch.allclose(scale(torch.as_tensor(moved)), expected, atol=1e-6)
    X[:, 2] = np.where(X[:, 2] > 3, 1.7e308, -1.7e308)
    for name in ("X", "X_pair"):
        with pytest.raises(ValueError, match=rf"Columns \[2\] of {name} span more than a float"):
            fit_standardize(checked(X), np.arange(50), "auto", name)


def test_a_constant_column_is_ignored(X):
    X[:, 1] = 7.0
    scale = fit_standardize(checked(X), np.arange(50), "auto")
    assert scale(torch.tensor([[1.0, 1e9, 1.0, 1.0]], dtype=torch.float64))[0, 1] == 0
    X[:] = 7.0
    scale = fit_standardize(checked(X), np.arange(50), "auto")
    assert scale(torch.as_tensor(X)).abs().max() == 0


# Their parts


@pytest.mark.parametrize("sizes", [(0, 12), (6, 12), (0, 0)])
def test_whole_groups_are_held_out(sizes):
    kept, stopping, report = split_rows(120, sizes, 0, groups=GROUPS)
    assert sorted([*kept, *stopping, *report]) == list(range(120))
    parts = [set(GROUPS[part]) for part in (kept, stopping, report)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert len(stopping) == sizes[0] and len(report) == sizes[1] - sizes[0]


@pytest.mark.parametrize("series", [None, np.arange(120) % 2])
def test_the_end_of_each_series_is_held_out(series):
    kept, stopping, report = split_rows(120, (6, 12), 0, groups=series, ordered=True)
    for one in [np.arange(120)] if series is None else [np.arange(0, 120, 2), np.arange(1, 120, 2)]:
        in_series = [part[np.isin(part, one)] for part in (kept, stopping, report)]
        assert in_series[0].max() < in_series[1].min() and in_series[1].max() < in_series[2].min()
    assert (len(stopping), len(report)) == (6, 6)


def test_large_groups_leave_something_to_train_on():
    parts = split_rows(100, (5, 10), 0, groups=np.arange(100) % 3)
    # Three groups, of 34, 33 and 33 rows: one for each part.
    assert sorted(len(part) for part in parts) == [33, 33, 34]
    with pytest.raises(ValueError, match="groups has 1 groups; expected at least 2"):
        split_rows(100, (0, 10), 0, groups=np.zeros(100))
    assert len(split_rows(100, (0, 0), 0, groups=np.zeros(100))[0]) == 100


# What rows are


def windows(*shape):
    return normal(*shape)


def pixels(*shape, high=1.0, dtype=np.float64):
    drawn = np.random.default_rng(0).random(shape)
    drawn[0] = 0
    drawn[-1] = 1
    return (high * drawn).astype(dtype)


RULE = {
    "square, in [0, 1]": (pixels(30, 9, 9), None, Image, (9, 9), "with all values in [0, 1]"),
    "square, in [0, 255]": (
        pixels(30, 9, 9, high=255),
        None,
        Image,
        (9, 9),
        "with all values in [0, 255]",
    ),
    "digits": (pixels(30, 8, 8, high=16), None, Image, (8, 8), "in [0, 255]"),
    "integers": (pixels(30, 9, 9, high=255, dtype=int), None, Image, (9, 9), "in [0, 255]"),
    "truth values": (pixels(30, 9, 9) > 0.5, None, Image, (9, 9), "in [0, 1]"),
    "bytes": (pixels(30, 9, 6, high=255, dtype=np.uint8), None, Image, (9, 6), "are bytes"),
    "black": (np.zeros((30, 9, 9)), None, Image, (9, 9), "in [0, 1]"),
    "one pixel": (pixels(30, 1, 1), None, Image, (1, 1), "in [0, 1]"),
    "not square": (pixels(30, 9, 6), None, Recording, (9, 7), "neither square nor bytes"),
    "negative": (pixels(30, 9, 9) - 0.01, None, Recording, (9, 10), "-0.01 to 0.99 are no pixels"),
    "beyond 255": (pixels(30, 9, 9, high=256), None, Recording, (9, 10), "0 to 256 are no pixels"),
    "as told, recordings": (pixels(30, 9, 9), (None, 9), Recording, (9, 10), "=(None, 9)"),
    "windows, as told, a table": (windows(30, 9, 6), (54,), Table, (54,), None),
    "as told, images": (windows(30, 9, 6), (9, 6), Image, (9, 6), None),
    "as told, other images": (windows(30, 9, 6), (6, 9), Image, (6, 9), None),
    "as told, a table": (pixels(30, 9, 9), (81,), Table, (81,), None),
    "flat, as told": (windows(30, 54), (9, 6), Image, (9, 6), None),
    "flat": (windows(30, 54), None, Table, (54,), None),
    "channels": (windows(30, 9, 6, 2), None, Image, (9, 6, 2), None),
    "one channel": (windows(30, 9, 6, 1), None, Image, (9, 6, 1), None),
    "volumes": (windows(30, 4, 3, 2, 2), None, Volume, (4, 3, 2, 2), None),
}


@pytest.mark.parametrize("case", RULE)
@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor])
def test_what_rows_are(case, form):
    X, input_shape, kind, row_shape, reason = RULE[case]
    known = kind_of(as_source(form(X)), input_shape)
    assert (type(known), known.source_shape, known.row_shape) == (kind, X.shape[1:], row_shape)
    assert (known.reason == "") if reason is None else (reason in known.reason)
    assert known.n_inputs == np.prod(row_shape)


def test_a_single_value_in_a_late_block_decides(tmp_path):
    X = np.zeros((9000, 2, 2))
    X[8999, 1, 1] = -1e-9
    np.save(tmp_path / "X.npy", X)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert isinstance(kind_of(as_source(on_disk), None), Recording)


@pytest.mark.parametrize("shape", [(5, 0, 0), (5, 0, 3), (5, 3, 0), (5, 2, 0, 3)])
def test_rows_without_numbers_are_refused(shape):
    with pytest.raises(ValueError, match=r"X has rows of shape .* which hold no numbers"):
        learner().fit(np.zeros(shape))


def test_windows_are_recordings_that_nothing_turns(tmp_path):
    X = windows(60, 25, 12)
    fitted = learner().fit(X)
    assert fitted.choices_["front_end"].value == "blocks"
    assert fitted.choices_["view"].value == "neighbors"
    choice = fitted.choices_["input_shape"]
    assert choice.value == (None, 12) and "input_shape=(25, 12) makes it images" in choice.reason
    assert fitted.n_features_in_ == 12
    flat = learner().fit(X.reshape(60, -1))
    assert "input_shape" not in flat.choices_ and "front_end" not in flat.choices_
    fitted.save(tmp_path / "file")
    for same in (load(tmp_path / "file"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(same.transform(X), fitted.transform(X))
        assert same.choices_ == fitted.choices_
        for other in (X[:, :, :6], X.reshape(60, 12, 25)):
            with pytest.raises(ValueError, match=r"X has recordings of \d+ channels; expected 12"):
                same.transform(other)
        with pytest.raises(ValueError, match=r"X has rows of shape \(300,\).*shape \(25, 12\)"):
            same.transform(X.reshape(60, -1))
        same.partial_fit(X)


@pytest.mark.parametrize("part", [{"view": "affine"}, {"view": Halves()}, {"encoder": "lenet"}])
def test_what_takes_images_or_tables_names_the_cure_for_recordings(part):
    X = windows(40, 10, 6)
    words = r"takes images or tables, but X holds recordings .* input_shape=\(10, 6\)"
    with pytest.raises(ValueError, match=words):
        learner(front_end=None, **part).fit(X)
    halves = learner(view=Halves("left-right"), input_shape=(10, 6), encoder="mlp").fit(X)
    assert halves.transform(X).shape == (40, 16)
    assert halves.net_.module_.view.shapes((10, 6), None) == ((10, 3), (10, 3))


@pytest.mark.parametrize("high", [1, 16, 255])
def test_grey_images_of_floats_are_what_they_were(high):
    X = pixels(60, 9, 9, high=high)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MIWarning)
        whole = learner().fit(X)
        flat = learner(input_shape=(9, 9)).fit(X.reshape(60, -1))
    assert whole.choices_["view"].value == "moved-neighbors"
    assert whole.choices_["input_shape"].value == (9, 9)
    np.testing.assert_array_equal(whole.transform(X), flat.transform(X.reshape(60, -1)))
    # What was images in fit stays images: new rows are compared by their shape alone.
    assert whole.transform(-X).shape == (60, 8)
    whole.partial_fit(-X)


def test_a_second_table_follows_the_same_rule():
    X = normal(40, 5)
    fitted = learner().fit(X, X_pair=windows(40, 6, 4))
    assert "X_pair holds recordings of 4 channels" in fitted.choices_["input_shape"].reason
    assert fitted.transform_pair(windows(30, 9, 4)).shape == (30, 8)
    with pytest.raises(ValueError, match=r"X_pair has recordings of 6 channels; expected 4"):
        fitted.transform_pair(windows(40, 4, 6))
    images = learner(encoder_y="lenet").fit(X, X_pair=pixels(40, 9, 9))
    assert "X_pair holds images" in images.choices_["input_shape"].reason
    assert images.transform_pair(pixels(40, 9, 9)).shape == (40, 8)


def test_windows_by_an_adversarial_encoder_are_recordings():
    from sklearn_mi.paper.adversarial import AdversarialEncoder

    X, y = windows(40, 4, 3), np.arange(40) % 2
    params = {"encoder": MLP((8,)), "n_components": 2, "max_steps": 3, "warm_up": 2}
    made = AdversarialEncoder(**params, random_state=0).fit(X, y)
    assert made.transform(X).shape == (40, 2) and made.n_features_in_ == 3


def test_a_new_kind_is_a_class_and_an_entry(monkeypatch):
    class Curve(Kind):
        entry = "curve"

    monkeypatch.setitem(KINDS, "curve", Curve)
    entry = dataclasses.replace(recipe.ENTRIES["numbers"], kind="curve")
    monkeypatch.setitem(recipe.ENTRIES, "curve", entry)
    schema = Schema(Curve((4, 3), (4, 3)))
    assert Schema.from_json(schema.to_json()) == schema
    facts = recipe.Facts(n_rows=100, kind=schema.kind, kind_pair=None, batch_size=10)
    given = MIRepresentationLearner().get_params(deep=False)
    draft = recipe.Draft.of(given, facts, frozenset())
    assert draft.finish((8, 8), "shared", "first").kind == "curve"


# Images of floats in 0..255


WARNED = {
    "images": (pixels(40, 9, 9, high=255), {}),
    "one channel": (pixels(40, 9, 9, 1, high=255), {}),
    "flat": (pixels(40, 81, high=255), {"input_shape": (9, 9)}),
    "integers": (pixels(40, 9, 9, high=255, dtype=int), {}),
    "16 bits": (pixels(40, 9, 9, 1, high=65535), {}),
    "negative": (-pixels(40, 9, 9, 1, high=255), {}),
}


@pytest.mark.parametrize("case", WARNED)
def test_images_of_large_numbers_are_told_once(case):
    X, params = WARNED[case]
    with pytest.warns(MIWarning, match=r"X holds images with values from .* standardize=True") as w:
        fitted = learner(**params).fit(X)
    assert len([one for one in w if "holds images" in str(one.message)]) == 1
    fitted.transform(X)
    fitted.score(X)


def test_a_second_table_of_large_numbers_is_told_by_its_name():
    with pytest.warns(MIWarning, match=r"X_pair holds images .* X_pair / 255"):
        learner().fit(normal(40, 3), X_pair=pixels(40, 9, 9, high=255))


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (pixels(40, 8, 8, high=16), {}),
        (pixels(40, 9, 9, high=128), {}),
        (pixels(40, 9, 9, high=255, dtype=np.uint8), {}),
        (pixels(40, 9, 9, high=255), {"standardize": True}),
        (pixels(40, 9, 9, high=255), {"standardize": False}),
        (pixels(40, 81, high=255), {}),
    ],
    ids=["digits", "half", "bytes", "scaled", "as asked", "a table"],
)
def test_other_rows_are_not_warned_of(X, params):
    learner(**params).fit(X)  # warnings are errors here


# Values that are no numbers


def frame(n=40, **columns):
    return pd.DataFrame(normal(n, 2), columns=["age", "pay"]).assign(**columns)


def with_missing(X):
    X = np.array(X)
    X[2, 1] = np.nan
    return X


NO_NUMBERS = {
    "objects": (
        lambda: frame(kind=[{}] * 40),
        r" holds dict objects in column 'kind'; expected numbers, texts.*drop the column",
    ),
    "lists": (lambda: frame(kind=[[1]] * 40), r" holds list objects in column 'kind'; expected"),
    "text and numbers": (
        lambda: frame(kind=["u", 1] * 20).to_numpy(dtype=object),
        r" holds int and str objects in column 2; expected",
    ),
    "nothing at all": (lambda: np.full((40, 2), np.nan), " holds no value in any column"),
    "missing in recordings": (
        lambda: with_missing(normal(40, 4)).reshape(40, 2, 2),
        r"X(_pair)?\[2\] is NaN at step 0 in channel 1; .*fill gaps first",
    ),
    "missing in images": (
        lambda: with_missing(pixels(40, 2, 2).reshape(40, 4)).reshape(40, 2, 2, 1),
        "contains NaN",
    ),
    "sparse, missing": (lambda: sparse.csr_array(with_missing(normal(40, 2))), "contains NaN"),
    "infinite": (
        lambda: np.where(normal(40, 2) > 1, np.inf, 0.0),
        r"contains infinity(.|\n)* has infinite values in columns \[0, 1\] \(\d+, \d+ of 40 rows\)",
    ),
    "infinite beside text": (
        lambda: frame(kind="u", pay=[np.inf, 1.0] * 20),
        r"contains infinity.\n.* has infinite values in columns \['pay'\] \(20 of 40 rows\): clip",
    ),
    "complex": (lambda: normal(40, 2) + 1j, "Complex data not supported"),
    "unequal rows": (lambda: [[1.0, 2.0], [3.0]] * 20, "has rows of unequal lengths"),
    "no columns": (lambda: np.empty((40, 0)), r"0 feature\(s\)"),
    "one axis": (lambda: normal(40), "Expected 2D array"),
    "a series": (lambda: pd.Series(normal(40)), "Expected a 2-dimensional container"),
    "levels": (
        lambda: pd.DataFrame(
            normal(40, 2), columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
        ),
        r" has columns of 2 levels \(MultiIndex\).*'_'.join\(map\(str, column\)\)",
    ),
    "a name twice": (
        lambda: pd.DataFrame(normal(40, 3), columns=["age", "pay", "age"]),
        r" has several columns of one name: \['age'\]",
    ),
    "a sparse tensor": (lambda: torch.eye(40).to_sparse(), r" is a sparse tensor; .*to_dense\(\)"),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_values_that_are_no_numbers_are_told_with_column_and_cure(case):
    make, words = NO_NUMBERS[case]
    with pytest.raises((ValueError, TypeError), match=words) as told:
        learner().fit(make())
    assert "X_pair" not in str(told.value)
    with pytest.raises((ValueError, TypeError), match=words) as told:
        learner().fit(normal(40, 3), X_pair=make())
    if case not in ("complex", "no columns", "one axis", "a series"):  # in scikit-learn's words
        assert "X_pair" in str(told.value)


@pytest.mark.parametrize(
    "rows",
    [
        frame(kind=pd.array([1, 2] * 20, dtype="Int64")),
        frame(kind=pd.array([True, False] * 20, dtype="boolean")),
        frame(kind=["1", "2"] * 20),
        np.ma.masked_greater(normal(40, 3), 100),
        torch.as_tensor(normal(40, 3)).bfloat16(),
    ],
    ids=["Int64", "boolean", "text", "masked", "bfloat16"],
)
def test_numbers_in_odd_forms_are_read_as_numbers(rows):
    as_floats = rows.double().numpy() if isinstance(rows, torch.Tensor) else np.array(rows, float)
    fitted = learner().fit(rows)
    expected = learner().fit(as_floats).transform(as_floats)
    np.testing.assert_allclose(fitted.transform(rows), expected, atol=1e-6)


# Names of columns


@pytest.fixture(scope="module")
def A():
    return pd.DataFrame(normal(60, 3), columns=["a0", "a1", "a2"])


@pytest.fixture(scope="module")
def B():
    return pd.DataFrame(normal(60, 2, seed=1), columns=["b0", "b1"])


CALLS = {
    "partial_fit": lambda one, X, X_pair: one.partial_fit(X, X_pair=X_pair),
    "score": lambda one, X, X_pair: one.score(X, X_pair=X_pair),
    "bounds": lambda one, X, X_pair: one.bounds(X, X_pair=X_pair),
    "transform_views": lambda one, X, X_pair: one.transform_views(X, X_pair=X_pair),
    "transform_pair": lambda one, X, X_pair: one.transform_pair(X_pair),
}


@pytest.fixture(scope="module")
def paired(A, B):
    return learner().fit(A, X_pair=B)


@pytest.mark.parametrize("call", CALLS)
def test_names_of_the_second_table_are_compared_with_those_of_fit(A, B, paired, tmp_path, call):
    paired.save(tmp_path / "file")
    copies = (pickle.loads(pickle.dumps(paired)), load(tmp_path / "file"))
    for one in copies:
        with pytest.raises(ValueError, match="X_pair.*should match(.|\n)*in the same order"):
            CALLS[call](one, A, B[["b1", "b0"]])
        with pytest.raises(ValueError, match=r"unseen at fit time:\n- c(.|\n)*now missing:\n- b1"):
            CALLS[call](one, A, B.rename(columns={"b1": "c"}))
        with pytest.warns(UserWarning, match="X_pair does not have valid feature names"):
            CALLS[call](one, A, B.to_numpy())
    CALLS[call](pickle.loads(pickle.dumps(paired)), A, B)
    CALLS[call](pickle.loads(pickle.dumps(paired)), A, pl.DataFrame(B.to_dict("list")))
    unnamed = learner().fit(A, X_pair=B.to_numpy())
    with pytest.warns(UserWarning, match="X_pair has feature names, but MIRepresentationLearner"):
        CALLS[call](unnamed, A, B)


@pytest.mark.parametrize("call", ["fit", "partial_fit", "score", "bounds", "transform_views"])
def test_rows_whose_labels_stand_in_another_order_are_refused(A, B, paired, call):
    one = pickle.loads(pickle.dumps(paired))
    calls = {**CALLS, "fit": lambda one, X, X_pair: one.fit(X, X_pair=X_pair)}
    turned = B.iloc[::-1]
    with pytest.raises(
        ValueError, match=r"same row labels in another order.*X_pair.loc\[X.index\]"
    ):
        calls[call](one, A, turned)
    # By the cures, and where labels say nothing, rows pair by position.
    expected = paired.score(A, X_pair=B)
    assert paired.score(A, X_pair=turned.loc[A.index]) == expected
    assert paired.score(A, X_pair=B.set_axis(np.arange(60) + 1000)) == expected
    assert paired.score(A, X_pair=pl.DataFrame(B.to_dict("list"))) == expected
    assert paired.score(A, X_pair=turned.reset_index(drop=True)) != expected


def test_labels_that_stand_twice_are_compared_as_well(A, B, paired):
    labels = np.array(["s1", "s2", "s3"] * 20)
    first, same = A.set_axis(labels), B.set_axis(labels)
    assert paired.score(first, X_pair=same) == paired.score(A, X_pair=B)
    with pytest.raises(ValueError, match="same row labels in another order"):
        paired.score(first, X_pair=B.set_axis(labels[::-1]))


def test_labels_are_compared_within_a_grid_that_routes(A, B, paired):
    with sklearn.config_context(enable_metadata_routing=True):
        routed = learner().set_fit_request(X_pair=True).set_score_request(X_pair=True)
        grid = GridSearchCV(routed, {"lr": [1e-3, 1e-2]}, cv=2, error_score="raise")
        assert np.isfinite(grid.fit(A, X_pair=B).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("how", ["of the learner", "of the process"])
def test_codes_of_the_second_table_come_in_the_container_asked_for(B, paired, library, how):
    one, plain = pickle.loads(pickle.dumps(paired)), paired.transform_pair(B)
    assert isinstance(plain, np.ndarray)
    rows = B.set_axis(np.arange(60) + 7)
    if how == "of the learner":
        made = one.set_output(transform=library).transform_pair(rows)
        assert isinstance(one.set_output(transform="default").transform_pair(B), np.ndarray)
    else:
        with sklearn.config_context(transform_output=library):
            made = one.transform_pair(rows)
    assert type(made).__module__.startswith(library)
    assert list(made.columns) == [f"{PREFIX}{i}" for i in range(8)]
    np.testing.assert_array_equal(made.to_numpy(), plain)
    if library == "pandas":
        assert list(made.index) == list(rows.index)


# Names of what comes out


def test_columns_beside_the_code_keep_their_names(A, tmp_path):
    fitted = MIRepresentationLearner(max_steps=2, random_state=0).fit(A)
    names = [f"{PREFIX}{i}" for i in range(64)] + ["a0", "a1", "a2"]
    assert fitted.get_feature_names_out().tolist() == names
    fitted.save(tmp_path / "file")
    for same in (fitted, load(tmp_path / "file"), pickle.loads(pickle.dumps(fitted))):
        made = same.set_output(transform="pandas").transform(A)
        assert list(made.columns) == names
    # What bears a column's name is that column, in other units.
    for name in A.columns:
        assert np.corrcoef(made[name], A[name])[0, 1] == pytest.approx(1, abs=1e-6)
    unnamed = MIRepresentationLearner(max_steps=2).fit(A.to_numpy())
    assert unnamed.get_feature_names_out()[-3:].tolist() == ["x0", "x1", "x2"]
    assert unnamed.get_feature_names_out(list("abc"))[-3:].tolist() == list("abc")
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(["a0", "a1", "other"])


def test_columns_of_a_mixed_table_keep_their_names(A):
    X = A.assign(u=np.arange(60) % 2, v=np.arange(60) % 3 == 0)
    fitted = MIRepresentationLearner(random_state=0).fit(X)
    made = fitted.set_output(transform="pandas").transform(X)
    assert list(made.columns) == list(X.columns)
    for name in X.columns:
        assert np.corrcoef(made[name], X[name].astype(float))[0, 1] == pytest.approx(1, abs=1e-6)


TWO_SETS = Columns(["b1", "a0"], ["a2", "b0", "a1"])


@pytest.mark.parametrize("view", [TWO_SETS, Compose(TWO_SETS, GaussianNoise(0.1))])
@pytest.mark.parametrize("output", ["first", "second", "both"])
def test_columns_that_a_view_takes_out_keep_their_names(A, B, view, output):
    X = A.join(B)
    encoder = Passthrough(MLP((4,)), n_learned=1)
    fitted = learner(None, view=view, encoder=encoder, output=output, critic="bilinear")
    made = fitted.fit(X).set_output(transform="pandas").transform(X)
    expected = {
        "first": ["b1", "a0", f"{PREFIX}0"],
        "second": ["a2", "b0", "a1", f"{PREFIX}0"],
        "both": ["b1", "a0", f"{PREFIX}0", "a2", "b0", "a1", f"{PREFIX}1"],
    }[output]
    assert list(made.columns) == expected
    for name in set(expected) & set(X.columns):
        assert np.corrcoef(made[name], X[name])[0, 1] == pytest.approx(1, abs=1e-6)


def test_halves_of_a_table_keep_their_names(A, B):
    X = A.join(B).drop(columns="b1")
    fitted = learner(None, view=Halves(), encoder="identity", critic="bilinear").fit(X)
    assert fitted.get_feature_names_out().tolist() == ["a0", "a1", "a2", "b0"]
    # Pixels of images have no names, but their places.
    images = pixels(40, 2, 2)
    fitted = learner(None, view=Halves(), encoder="identity", critic="bilinear").fit(images)
    assert fitted.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]


def test_each_name_stands_once(A):
    both = learner(None, view="noise", encoder=Passthrough(MLP((4,))), output="both").fit(A)
    assert both.get_feature_names_out().tolist() == [
        *A.columns,
        *(f"{PREFIX}{i}" for i in range(7)),
    ]
    assert names_out([None, 0, None, 0], [f"{PREFIX}0"], PREFIX).tolist() == [
        f"{PREFIX}1",
        f"{PREFIX}0",
        f"{PREFIX}2",
        f"{PREFIX}3",
    ]
    twice = make_pipeline(
        MIRepresentationLearner(max_steps=1), MIRepresentationLearner(max_steps=1)
    )
    made = twice.set_output(transform="polars").fit_transform(A)
    assert len(set(made.columns)) == made.shape[1] == 64 + 64 + 3


class Doubled(Halves):
    """What its first encoder sees is computed, not cut."""

    def inputs(self, x, state):
        first, second = super().inputs(x, state)
        return 2 * first, second


def test_what_a_view_computes_has_no_name(A, B):
    fitted = learner(None, view=Doubled(), encoder="identity", critic="bilinear").fit(A.join(B))
    assert fitted.get_feature_names_out().tolist() == [f"{PREFIX}0", f"{PREFIX}1", "a2", "b0", "b1"]


def test_the_second_table_keeps_its_names_too(A, B):
    encoder = Passthrough(MLP((4,)), n_learned=1)
    fitted = learner(None, encoder="mlp", encoder_y=encoder, critic="bilinear")
    made = fitted.fit(A, X_pair=B).set_output(transform="pandas").transform_pair(B)
    assert list(made.columns) == ["b0", "b1", f"{PREFIX}0"]


# A second table as targets


def test_a_second_table_as_targets_is_told(A, B):
    X, Y = A.to_numpy(), B.to_numpy()
    expected = learner().fit(X).transform(X)
    for targets in (Y, B, Y.tolist(), torch.tensor(Y), pl.DataFrame(Y), Y.astype(np.float32)):
        with pytest.warns(MIWarning, match=r"fit\(X, X_pair=y\)"):
            fitted = learner().fit(X, targets)
        np.testing.assert_array_equal(fitted.transform(X), expected)


def test_other_targets_are_not_told(A, B):
    X, Y = A.to_numpy(), B.to_numpy()
    ragged = [[1], [1, 2]] * 30
    for y in (
        Y[:, 0],
        Y[:, :1],
        Y > 0,
        (9 * Y).astype(int),
        Y.astype(str),
        ragged,
        None,
        "y",
        B["b0"],
    ):
        learner().fit(X, y)  # warnings are errors here
    learner().fit(X, Y, X_pair=Y)
    learner().partial_fit(X, Y)
    np.testing.assert_array_equal(learner().fit_transform(X, Y), learner().fit(X).transform(X))


def test_targets_pass_through_a_pipeline(A, B):
    X, Y = A.to_numpy(), B.to_numpy()
    pipe = make_pipeline(StandardScaler(), learner(), Ridge())
    assert pipe.fit(X, Y).predict(X).shape == Y.shape
    grid = GridSearchCV(pipe, {"mirepresentationlearner__n_components": [2, 3]}, cv=2)
    assert np.isfinite(grid.fit(X, Y).cv_results_["mean_test_score"]).all()


def test_metadata_reach_fit_transform(A, B):
    X, X_pair = A.to_numpy(), B.to_numpy()
    expected = learner().fit(X, X_pair=X_pair).transform(X)
    np.testing.assert_array_equal(learner().fit_transform(X, X_pair=X_pair), expected)
    groups = np.arange(60) // 6
    grouped = learner(view="noise").fit(X, groups=groups).transform(X)
    with sklearn.config_context(enable_metadata_routing=True):
        for given, codes in (({"X_pair": X_pair}, expected), ({"groups": groups}, grouped)):
            request = dict.fromkeys(given, True)
            view = "auto" if "X_pair" in given else "noise"
            routed = make_pipeline(
                learner(view=view).set_fit_request(**request), LinearRegression()
            )
            routed.fit(X, X[:, 0], **given)
            np.testing.assert_array_equal(routed[0].transform(X), codes)
            alone = LinearRegression().fit(codes, X[:, 0])
            np.testing.assert_array_equal(routed[1].coef_, alone.coef_)


# Copies


def naive_copies(X, kept, report):
    trained = {tuple(row.tolist()) for row in X[kept].reshape(len(kept), -1)}
    return sum(tuple(row.tolist()) in trained for row in X[report].reshape(len(report), -1))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64, bool])
@pytest.mark.parametrize("kind", ["array", "tensor", "sparse array"])
def test_copies_are_counted_as_a_loop_counts_them(kind, dtype):
    X = np.random.default_rng(0).integers(0, 3, size=(400, 5)).astype(dtype)
    order = np.random.default_rng(1).permutation(400)
    kept, report = np.sort(order[:250]), np.sort(order[250:])
    data = Data(checked(SOURCES[kind](X)))
    found = naive_copies(X, kept, report)
    assert found > 20 and count_copies(data, kept, report) == found
    assert count_copies(data, kept, report[:0]) == 0


def test_copies_of_pairs_are_those_in_both_tables():
    X, X_pair = np.random.default_rng(0).integers(0, 4, size=(2, 300, 2)).astype(float)
    kept, report = np.arange(200), np.arange(200, 300)
    data = Data(checked(X), checked(X_pair))
    assert count_copies(data, kept, report) == naive_copies(np.hstack([X, X_pair]), kept, report)
    # Tables that change places are no copies.
    ones, zeros = np.ones((2, 1)), np.zeros((2, 1))
    ones[1], zeros[1] = 0, 1
    assert count_copies(Data(checked(ones), checked(zeros)), np.array([0]), np.array([1])) == 0


def test_hashes_tell_rows_apart():
    generator = np.random.default_rng(0)
    small = generator.integers(0, 2, size=(40_000, 3, 30)).astype(np.float64)
    rows = np.unique(small.reshape(40_000, -1), axis=0)
    assert len(np.unique(row_hashes(as_source(rows), np.arange(len(rows))))) == len(rows)
    # The same numbers in another order are another row; zero has no sign.
    rows = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [1.0, 2.0, -0.0]])
    first, second, third = row_hashes(as_source(rows), np.arange(3))
    assert first != second and first == third


@pytest.mark.parametrize("times", [1, 5])
def test_copies_in_the_held_out_part_are_told(tmp_path, times):
    X = np.tile(normal(40, 4), (times, 1))
    fitted = learner(max_steps=5).fit(X)
    told = [fact for fact in fitted.mi_.warnings if "are copies of training rows" in fact]
    kept, _, report = split_rows(len(X), (0, len(X) // 10), 0)
    found = naive_copies(X, kept, report)
    if times == 1:
        assert found == 0 and told == []
        return
    text = f"{found} of {len(report)} held-out rows are copies of training rows, which the critic"
    assert found >= len(report) - 2 and told == [f"{text} has seen"]


# Two sets of columns as two tables


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
@pytest.mark.parametrize("form", ["array", "sparse array"])
def test_the_second_set_of_columns_is_a_second_table(dtype, form, tmp_path):
    X = (20 * normal(60, 5) + 100).astype(dtype)
    second = [4, 2, 1]
    fitted = learner(view=Columns([0, 3], second), max_steps=5).fit(SOURCES[form](X))
    both = fitted.transform(X)
    fitted.save(tmp_path / "file")
    for same in (fitted, load(tmp_path / "file")):
        np.testing.assert_array_equal(same.transform_pair(SOURCES[form](X[:, second])), both[:, 8:])
    with pytest.raises(ValueError, match="X_pair has 5 features.*expecting 3 features"):
        fitted.transform_pair(X)


def test_the_second_set_of_columns_by_name(A, B):
    X = A.join(B)
    view = Compose(Columns(["a0", "a1"], ["b1", "b0"]), GaussianNoise(0.1))
    fitted = learner(view=view).fit(X)
    expected = fitted.transform(X)[:, 8:]
    np.testing.assert_array_equal(fitted.transform_pair(B[["b1", "b0"]]), expected)
    with pytest.raises(ValueError, match=r"X_pair(.|\n)*in the same order"):
        fitted.transform_pair(B)
    with pytest.warns(UserWarning, match="X_pair does not have valid feature names"):
        fitted.transform_pair(B[["b1", "b0"]].to_numpy())
    made = fitted.set_output(transform="pandas").transform_pair(B[["b1", "b0"]])
    assert list(made.columns) == [f"{PREFIX}{i}" for i in range(8)]


@pytest.mark.parametrize(
    ("view", "X"),
    [("noise", normal(40, 4)), ("neighbors", normal(40, 4)), (Halves(), pixels(40, 8, 8))],
)
def test_a_view_of_one_table_has_no_second(view, X):
    fitted = learner(view=view, encoder="mlp").fit(X)
    with pytest.raises(ValueError, match=r"without X_pair, and view=.*Columns\(first, second\)"):
        fitted.transform_pair(X)
