"""Tables as they come: strings, categories, dates, gaps, in pandas, polars, arrays and lists."""

import datetime
import decimal
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi._base import MIWarning
from sklearn_mi.encoders import Passthrough
from sklearn_mi.rows import Schema, Table
from sklearn_mi.rows.columns import MOST_LEVELS, TEXT_WIDTH, describe, is_plain, numbers_of
from sklearn_mi.views import Columns

DAYS = pd.Timestamp("2024-02-28") + pd.to_timedelta(np.arange(60), "D")


def learner(**params):
    return MIRepresentationLearner(random_state=0, **params)


def people(n=60, seed=0):
    """Return a frame of eight types of columns, each with a gap."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "visits": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "sex": rng.choice(["m", "f"], n),
            "grade": pd.Categorical(rng.choice(list("abc"), n)),
            "smokes": pd.array(rng.random(n) > 0.5, dtype="boolean"),
            "since": DAYS[rng.integers(0, 60, n)],
            "waited": pd.to_timedelta(rng.integers(1, 99, n), "h"),
            "street": [f"street {i}" for i in rng.integers(0, 10**6, n)],
        }
    )
    for row, name in enumerate(frame):
        frame.loc[row, name] = None
    return frame


def read(X, columns=None, name="X"):
    columns = describe(X, name) if columns is None else columns
    return columns, numbers_of(X, columns, name)


# What each kind of column becomes


def test_numbers_stay_with_a_flag_where_one_was_missing():
    X = np.array([[1.0, 5.0], [np.nan, 6.0], [3.0, 7.0]])
    columns, numbers = read(X)
    imputed = SimpleImputer(add_indicator=True).fit_transform(X)
    np.testing.assert_array_equal(np.isnan(numbers[:, 0]), np.isnan(X[:, 0]))
    np.testing.assert_array_equal(numbers[:, 1], imputed[:, 2])
    np.testing.assert_array_equal(numbers[:, 2], X[:, 1])


def test_the_first_layer_puts_the_mean_of_the_column_in_place_of_a_missing_number():
    X = np.random.default_rng(0).normal(5, 2, (80, 3))
    X[::7, 1] = np.nan
    kept = {"encoder": Passthrough(n_learned=0), "critic": "bilinear", "max_steps": 1}
    fitted = learner(validation_fraction=0.0, **kept).fit(X)
    filled = SimpleImputer(add_indicator=True).fit_transform(X)[:, [0, 1, 3, 2]]
    expected = MinMaxScaler().fit_transform(filled)
    expected -= expected.mean(axis=0)
    codes = fitted.transform(X)
    ratio = codes / np.where(expected == 0, 1, expected)
    np.testing.assert_allclose(codes[::7, 1], 0, atol=1e-6)
    np.testing.assert_allclose(ratio[1], ratio[1, 0], rtol=1e-4)
    later = X[:5].copy()
    later[0, 0] = np.nan
    assert fitted.transform(later)[0, 0] == pytest.approx(0, abs=1e-6)


def test_categories_are_those_of_one_hot_encoder():
    X = pd.DataFrame({"kind": list("abcab"), "two": list("uvuvu")})
    _, numbers = read(X)
    expected = OneHotEncoder(sparse_output=False, drop="if_binary").fit_transform(X)
    np.testing.assert_array_equal(numbers, expected)


def test_new_levels_are_zero_and_values_of_another_type_the_level_that_they_spell():
    X = pd.DataFrame({"kind": pd.Categorical([1, 2, 3, 1])})
    columns, _ = read(X)
    later = pd.DataFrame({"kind": ["2", 2.0, "new", None]})
    with pytest.raises(ValueError, match="float and str objects in column 'kind'"):
        numbers_of(later, columns, "X")
    numbers = numbers_of(pd.DataFrame({"kind": ["2", "2", "new", None]}), columns, "X")
    np.testing.assert_array_equal(numbers, [[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    numbers = numbers_of(pd.DataFrame({"kind": [2.0, 3.0]}), columns, "X")
    np.testing.assert_array_equal(numbers, [[0, 1, 0], [0, 0, 1]])


def test_of_two_levels_an_unknown_one_is_missing():
    columns, _ = read(pd.DataFrame({"two": list("uvuv")}))
    later = numbers_of(pd.DataFrame({"two": ["u", "v", "w", None]}), columns, "X")
    np.testing.assert_array_equal(later[:, 0], [0, 1, np.nan, np.nan])


@pytest.mark.parametrize("values", [[True, False], [1, 0], ["true", "false"], ["1", "0"]], ids=str)
def test_booleans_are_read_in_any_spelling(values):
    columns, _ = read(pd.DataFrame({"two": [True, False]}))
    later = numbers_of(pd.DataFrame({"two": values}), columns, "X")
    np.testing.assert_array_equal(later[:, 0], [1, 0])


def test_a_column_of_unknown_levels_alone_is_warned_of():
    columns, _ = read(pd.DataFrame({"kind": list("abca")}))
    numbers_of(pd.DataFrame({"kind": list("xxxxa")}), columns, "X")
    with pytest.warns(MIWarning, match="X holds 'x' and others in column 'kind', none of which"):
        numbers_of(pd.DataFrame({"kind": list("xyxyx")}), columns, "X")


FAR = [datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)]


@pytest.mark.parametrize("far", FAR, ids=str)
def test_dates_that_pandas_cannot_count_are_told(far):
    X = pd.DataFrame({"at": [datetime.datetime(2024, 1, 1), far], "x": range(2)})
    with pytest.raises(ValueError, match="column 'at' holds dates before 1678 or after 2261"):
        learner().fit(X)


def test_huge_numbers_give_finite_codes(fitted):
    assert np.isfinite(fitted.transform(people().assign(age=1e300))).all()


def test_the_module_of_export_takes_the_numbers_of_a_frame(fitted):
    X = people()
    numbers = torch.as_tensor(fitted.as_numbers(X))
    codes = fitted.export(check=False)(numbers).detach().numpy()
    np.testing.assert_allclose(codes, fitted.transform(X), atol=1e-5)


def test_many_levels_are_hashed_by_their_letters():
    names = [f"town of {i}" for i in range(MOST_LEVELS + 1)]
    columns, numbers = read(pd.DataFrame({"town": names}))
    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=TEXT_WIDTH)
    np.testing.assert_allclose(numbers, hashed.transform(names).toarray())
    later = numbers_of(pd.DataFrame({"town": ["town of 7", "elsewhere", None]}), columns, "X")
    np.testing.assert_allclose(later[0], numbers[7])
    assert np.linalg.norm(later, axis=1) == pytest.approx([1, 1, 0])


def test_dates_are_days_and_places_in_year_and_week():
    X = pd.DataFrame({"at": DAYS})
    _, numbers = read(X)
    np.testing.assert_allclose(numbers[:, 0], np.arange(60))
    year = 2 * np.pi * ((DAYS - pd.Timestamp(0)).days / 365.2425)
    week = 2 * np.pi * ((DAYS - pd.Timestamp(0)).days % 7) / 7
    waves = [np.sin(year), np.cos(year), np.sin(week), np.cos(week)]
    np.testing.assert_allclose(numbers[:, 1:], np.transpose(waves), atol=1e-9)
    hours = pd.DataFrame({"at": pd.Timestamp("2024-01-01") + pd.to_timedelta([0, 6, 12], "h")})
    _, numbers = read(hours)
    np.testing.assert_allclose(numbers, [[0, 0, 1], [0.25, 1, 0], [0.5, 0, -1]], atol=1e-9)


@pytest.mark.parametrize(
    "layout", ["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S"], ids=str
)
def test_texts_that_are_dates_are_read_as_dates(layout):
    texts = pd.DataFrame({"at": DAYS.strftime(layout)})
    columns, numbers = read(texts)
    np.testing.assert_allclose(numbers, read(pd.DataFrame({"at": DAYS}))[1], atol=1e-9)
    assert np.isnan(numbers_of(pd.DataFrame({"at": [None, ""]}), columns, "X")).all()
    with pytest.raises(ValueError, match="X holds 'no date' in column 'at'; expected a date"):
        numbers_of(pd.DataFrame({"at": ["no date"]}), columns, "X")


SAME = {
    "objects": lambda s: s.astype(object),
    "decimals": lambda s: s.map(lambda v: decimal.Decimal(str(v))),
    "text": lambda s: s.astype(str),
    "nullable": lambda s: s.astype("Float64"),
    "pyarrow": lambda s: s.astype("double[pyarrow]"),
}


@pytest.mark.parametrize("form", SAME)
def test_numbers_in_other_forms_are_the_same_numbers(form):
    plain = pd.Series([1.5, -2.0, 30.25] * 5)
    _, numbers = read(pd.DataFrame({"x": SAME[form](plain), "y": list("abc") * 5}))
    np.testing.assert_array_equal(numbers[:, 0], plain)


OBJECTS = {
    "dates": [datetime.date(2024, 1, 1), datetime.date(2024, 1, 3), None],
    "times with a zone": [
        pd.Timestamp("2024-01-01", tz="UTC"),
        pd.Timestamp("2024-01-03", tz="UTC"),
        pd.NaT,
    ],
    "periods": [pd.Period("2024-01-01", "D"), pd.Period("2024-01-03", "D"), None],
}


@pytest.mark.parametrize("form", OBJECTS)
def test_dates_in_other_forms_are_the_same_dates(form):
    _, numbers = read(pd.DataFrame({"at": pd.Series(OBJECTS[form], dtype=object)}))
    np.testing.assert_allclose(numbers[:, 0], [0, 2, np.nan])
    np.testing.assert_array_equal(numbers[:, -1], [0, 0, 1])


def test_a_code_with_a_leading_zero_is_no_number_and_an_empty_text_is_missing():
    X = pd.DataFrame({"zip": ["01234", "04567", ""]})
    columns, numbers = read(X)
    assert columns[0].levels == ("01234", "04567")
    np.testing.assert_array_equal(numbers, [[1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_column_without_a_value_is_left_out():
    X = pd.DataFrame({"x": [1.0, 2.0, 4.0], "none": [None] * 3})
    assert read(X)[1].shape == (3, 1)


# Containers


def _of_python(value):
    if pd.isna(value):
        return None
    return value.to_pytimedelta() if isinstance(value, pd.Timedelta) else value


def forms():
    """Return one table in many containers."""
    frame = people()
    plain = [[_of_python(value) for value in row] for row in frame.to_numpy(dtype=object)]
    data = {name: [row[j] for row in plain] for j, name in enumerate(frame)}
    return {
        "pandas": frame,
        "polars": pl.DataFrame(data, strict=False),
        "objects": np.array(plain, dtype=object),
        "a list": plain,
    }


@pytest.mark.parametrize("container", ["polars", "objects", "a list"])
def test_containers_give_equal_numbers(container):
    made = forms()
    _, expected = read(made["pandas"])
    _, numbers = read(made[container])
    np.testing.assert_allclose(numbers, expected, atol=1e-6)


def test_what_is_plain():
    X = np.ones((4, 2))
    assert is_plain(X) and is_plain(pd.DataFrame(X)) and is_plain(X.tolist())
    assert is_plain(pl.DataFrame({"x": [1.0, 2.0]})) and is_plain(np.ones((2, 3, 4)) * np.nan)
    X[0, 0] = np.nan
    assert not any(map(is_plain, (X, pd.DataFrame(X), X.tolist(), pl.DataFrame({"x": [None, 1]}))))


def test_masked_values_are_missing():
    X = np.ma.masked_greater(np.random.default_rng(0).normal(size=(50, 2)), 1)
    filled = learner(max_steps=1).fit(X).transform(X)
    np.testing.assert_array_equal(filled, learner(max_steps=1).fit_transform(X.filled(np.nan)))


# The learner on such tables


@pytest.fixture(scope="module")
def fitted():
    return learner().fit(people())


def test_a_frame_goes_in_and_names_come_out(fitted):
    names = list(fitted.get_feature_names_out())
    assert fitted.n_features_in_ == 8
    assert names[:4] == ["age", "age_missing", "visits", "visits_missing"]
    assert {"sex_f", "grade_b", "smokes_True", "since_week_sin", "waited"} <= set(names)
    Z = fitted.transform(people())
    assert Z.shape == (60, len(names)) and np.isfinite(Z).all()
    framed = learner().set_output(transform="pandas").fit_transform(people().set_index("age"))
    assert "visits" in framed and framed.index.name == "age"


def test_new_levels_gaps_and_texts_at_transform_are_fine(fitted):
    later = people(seed=1).assign(sex="x", grade=None, street="far away", smokes=None)
    with pytest.warns(MIWarning, match="in column 'sex', none of which fit saw; it knows"):
        assert np.isfinite(fitted.transform(later)).all()
    plain = learner(max_steps=1).fit(np.random.default_rng(0).normal(size=(50, 3)))
    assert np.isfinite(plain.transform([[np.nan, 1.0, 2.0]])).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"age": "old"}, "X holds 'old' in column 'age'; expected a number, as in fit"),
        ({"sex": 1j}, "complex numbers in column 'sex'"),
        ({"since": 3.5}, "float objects in column 'since'; expected a date, as in fit"),
        ({"age": np.inf}, r"infinite values in columns \['age'\] \(60 of 60 rows\)"),
    ],
    ids=["text", "complex", "number", "infinite"],
)
def test_what_a_column_cannot_be_is_told_by_name(fitted, change, told):
    with pytest.raises(ValueError, match=told):
        fitted.transform(people().assign(**change))


def test_missing_columns_are_told_in_the_words_of_scikit_learn(fitted):
    with pytest.raises(ValueError, match="now missing:\n- age"):
        fitted.transform(people().drop(columns="age"))


def test_files_pickles_and_a_fresh_process_read_the_same(fitted, tmp_path):
    path = tmp_path / "learner.safetensors"
    fitted.save(path)
    expected = fitted.transform(people())
    np.testing.assert_array_equal(load(path).transform(people()), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(people()), expected)
    people().to_csv(tmp_path / "people.csv", index=False)
    code = (
        "import sys, json, pandas as pd, sklearn_mi\n"
        "X = pd.read_csv(sys.argv[2], parse_dates=['since'])\n"
        "X['waited'] = pd.to_timedelta(X['waited'])\n"
        "print(json.dumps(sklearn_mi.load(sys.argv[1]).transform(X).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "people.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-5)


def test_schemas_survive_json():
    X = people()
    columns = describe(X, "X")
    width = numbers_of(X, columns, "X").shape[1:]
    schema = Schema(Table(width, width), tuple(X), columns=columns)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_the_main_use_runs_with_no_other_line():
    X = people(90)
    y = (X["age"].fillna(40) > 40).astype(int)
    pipe = make_pipeline(learner(), LogisticRegression(max_iter=1000))
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.6
    grid = GridSearchCV(pipe, {"mirepresentationlearner__standardize": [True, False]}, cv=2)
    assert np.isfinite(grid.fit(X, y).cv_results_["mean_test_score"]).all()


def test_columns_of_a_frame_are_views_by_their_own_names():
    X = people().drop(columns=["street", "since"])
    view = Columns(["age", "sex"], ["grade", "visits"])
    fitted = learner(view=view, max_steps=2).fit(X)
    # age and its flag, two sexes and theirs; three grades and theirs, visits and theirs
    model = fitted.net_.module_
    assert model.shapes == ((5,), (6,))
    codes = fitted.transform_pair(X[["grade", "visits"]])
    np.testing.assert_allclose(codes, fitted.transform(X)[:, codes.shape[1] :], atol=1e-5)


def test_a_second_table_may_be_such_a_table_too():
    X, pair = people()[["age", "sex"]], people()[["grade", "street"]]
    fitted = learner(max_steps=2).fit(X, X_pair=pair)
    assert np.isfinite(fitted.transform_pair(pair)).all()
    with pytest.raises(ValueError, match="list objects in column 'grade'"):
        fitted.transform_pair(pair.assign(grade=[[1]] * 60))
    with pytest.raises(ValueError, match="X_pair holds dict objects in column 'grade'"):
        learner(max_steps=2).fit(X, X_pair=pair.assign(grade=[{}] * 60))


def test_images_sparse_rows_and_recordings_with_gaps_are_refused_as_before():
    images = np.random.default_rng(0).random((30, 8, 8))
    images[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        learner(max_steps=1, input_shape=(8, 8)).fit(images.reshape(30, 64))


# Any frame at all

CENTURIES = datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)
CELLS = {
    "number": st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=False, width=32)),
    "integer": st.integers(-5, 5),
    "text": st.one_of(st.none(), st.text(max_size=5)),
    "level": st.sampled_from(["a", "b", "", None, "1"]),
    "flag": st.one_of(st.none(), st.booleans()),
    "date": st.one_of(
        st.none(), st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))
    ),
    "infinite": st.sampled_from([1.0, np.inf]),
    "anything": st.one_of(
        st.none(), st.integers(), st.text(max_size=2), st.lists(st.integers(), max_size=2)
    ),
}
MAY_BE_REFUSED = {"infinite", "anything"}


@st.composite
def frames(draw):
    """Return a frame of a few columns, and whether a column may be refused."""
    n, kinds = (
        draw(st.integers(4, 12)),
        draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4)),
    )
    columns = {
        f"{kind}{j}": draw(st.lists(CELLS[kind], min_size=n, max_size=n))
        for j, kind in enumerate(kinds)
    }
    frame = pd.DataFrame(columns) if draw(st.booleans()) else pd.DataFrame(columns, dtype=object)
    return frame, bool(MAY_BE_REFUSED & set(kinds))


def check_frame(made):
    frame, may_be_refused = made
    one = learner(validation_fraction=0.0)
    if is_plain(frame):
        one.set_params(max_steps=1)
    try:
        Z = one.fit(frame).transform(frame)
    except ValueError as error:
        words = str(error)
        assert may_be_refused or "no value in any column" in words or "span more" in words, words
        assert "no value" in words or any(name in words for name in frame) or "Columns [" in words
        with pytest.raises(NotFittedError):
            one.transform(frame)
        return
    assert Z.shape[0] == len(frame) and np.isfinite(Z).all()
    assert np.isfinite(one.transform(frame.iloc[:1])).all()


QUICK = {"deadline": None, "derandomize": True, "database": None}
IGNORED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@settings(max_examples=10, suppress_health_check=IGNORED, **QUICK)
@given(frames())
def test_random_frames_give_finite_codes_or_a_sentence_that_names_a_column(made):
    check_frame(made)


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=IGNORED, **QUICK)
@given(frames())
def test_five_hundred_random_frames(made):
    check_frame(made)
