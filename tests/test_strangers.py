"""What strangers pass as labels, folds, recordings and files, and the answer that they get."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from scipy.sparse import csr_matrix
from sklearn.cross_decomposition import PLSCanonical
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, PredefinedSplit

from sklearn_mi import MIRepresentationLearner
from sklearn_mi._base import MIWarning
from sklearn_mi._checks import check_values
from sklearn_mi.cli import main
from sklearn_mi.datasets import to_sequences, windows
from sklearn_mi.diagnostics import column_importance
from sklearn_mi.evaluation import compare, compare_pairs, summarise_pairs
from sklearn_mi.front_ends import RecordingFeatures
from sklearn_mi.labelled import rows_of_labels, values_of
from sklearn_mi.semi_supervised import (
    FineTuning,
    LabeledFold,
    SemiSupervisedClassifier,
    SemiSupervisedRegressor,
)
from sklearn_mi.views import TimeLag

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
FRAME = pd.DataFrame(X, columns=list("abc"))
CLASSES = (X[:, 0] > 0).astype(int)
FEW = np.where(np.arange(40) % 2, CLASSES, -1)
MIXED_UP = pd.Series(CLASSES).sample(frac=1, random_state=0)
LARGE = 2**53


def semi(**params):
    return SemiSupervisedClassifier(PCA(2), **params)


@pytest.mark.parametrize(
    "y",
    [
        np.ma.MaskedArray(CLASSES, mask=FEW < 0),
        torch.tensor(np.where(FEW < 0, np.nan, CLASSES), requires_grad=True),
        torch.tensor(np.where(FEW < 0, np.nan, CLASSES)).bfloat16(),
    ],
    ids=["masked", "gradient", "bfloat16"],
)
def test_labels_of_masks_and_tensors(y):
    expected = semi().fit(X, FEW)
    assert semi().fit(X, y).predict(X).tolist() == expected.predict(X).tolist()


@pytest.mark.parametrize(
    "y",
    [
        [LARGE + 1, None, LARGE],
        pd.Series([LARGE + 1, None, LARGE], dtype="Int64"),
        pd.Series([LARGE + 1, None, LARGE], dtype="int64[pyarrow]"),
        pl.Series([LARGE + 1, None, LARGE]),
        pytest.param(
            pl.DataFrame({"y": [LARGE + 1, None, LARGE]}),
            marks=pytest.mark.filterwarnings("ignore:A column-vector"),
        ),
        pd.DataFrame({"y": pd.Series([LARGE + 1, None, LARGE], dtype="Int64")}).iloc[:, 0],
        pd.Series([LARGE + 1, None, LARGE], dtype="object").astype("category"),
    ],
    ids=["list", "Int64", "pyarrow", "polars", "polars-frame", "column", "category"],
)
def test_whole_numbers_beside_missing_ones_stay_whole(y):
    values, rows = rows_of_labels(y, "auto")
    assert rows.tolist() == [0, 2]
    assert check_values("y", values[rows], 2).tolist() == [LARGE + 1, LARGE]


def test_a_list_of_floats_has_minus_one_as_before():
    assert rows_of_labels([0.0, -1.0, None], "auto")[1].tolist() == [0, 1]
    assert values_of([0.5, 1, None]).tolist()[:2] == [0.5, 1]


@pytest.mark.parametrize(
    ("text", "said"), [("nan", "'nan'"), ("", "''"), ("-1", "'-1'"), (-1.0, "-1.0")]
)
def test_classes_that_look_like_no_label_warn(text, said):
    y = np.where(FEW < 0, text, CLASSES.astype(float if isinstance(text, float) else str))
    with pytest.warns(MIWarning, match=f"y holds {said} in 20 of 40 rows, which counts as a class"):
        semi().fit(X, y)
    assert len(semi(unlabeled=text).fit(X, y).classes_) == 2


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (pd.Series(pd.cut(X[:, 0], [-9, 0, 9])), "y holds Interval objects"),
        (
            pd.Series(pd.PeriodIndex((2000 + CLASSES).astype(str), freq="Y")),
            "y holds Period objects",
        ),
        ([torch.tensor(label) for label in CLASSES], r"pass \[value.item\(\) for value in y\]"),
        (np.array([None, *[(1, 2)] * 40], dtype=object)[1:], "y holds tuple objects"),
    ],
    ids=["interval", "period", "tensors", "tuples"],
)
def test_labels_of_other_kinds_are_told(y, said):
    with pytest.raises(ValueError, match=said):
        semi().fit(X, y)


def test_a_marker_is_one_value():
    with pytest.raises(ValueError, match=r"unlabeled=\[-1\]; expected one value"):
        semi(unlabeled=[-1]).fit(X, FEW)


def test_masked_targets_are_missing():
    masked = np.ma.MaskedArray(X[:, 0], mask=FEW < 0)
    few = np.where(FEW < 0, np.nan, X[:, 0])
    found = [SemiSupervisedRegressor(PCA(2)).fit(X, y).predict(X) for y in (masked, few)]
    np.testing.assert_array_equal(*found)
    with pytest.raises(ValueError, match="y has 20 missing values"):
        check_values("y", masked, 40)


def test_parameters_of_fine_tuning_that_is_only_switched_on():
    tuned = semi(fine_tune=True).set_params(fine_tune__max_steps=3).fine_tune
    assert repr(tuned) == repr(FineTuning(max_steps=3))
    with pytest.raises(ValueError, match=r"fine_tune=False has no parameter .*FineTuning\(\)"):
        semi().set_params(fine_tune__max_steps=3)


def test_predefined_folds_tell_those_of_all_rows_or_of_labelled_ones():
    of_all = np.arange(40) % 3
    labelled = np.flatnonzero(FEW >= 0)
    expected = [labelled[of_all[labelled] == fold].tolist() for fold in range(3)]
    for folds in (of_all, of_all[labelled]):
        cv = LabeledFold(PredefinedSplit(folds))
        assert [test.tolist() for _, test in cv.split(X, FEW)] == expected
        assert cv.get_n_splits(X, FEW) == 3
    with pytest.raises(ValueError, match="cv has folds of 30 rows, but y has 40, 20 of them"):
        list(LabeledFold(PredefinedSplit(of_all[:30])).split(X, FEW))


def test_folds_that_are_none_are_told():
    with pytest.raises(ValueError, match="expected a number of folds or a splitter"):
        list(LabeledFold(KFold).split(X, FEW))
    with pytest.raises(ValueError, match="expected a number of folds or a splitter"):
        LabeledFold(KFold).get_n_splits()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        list(LabeledFold(2).split(X[:9], FEW))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sample_weight", lambda: semi().fit(FRAME, FEW, sample_weight=MIXED_UP + 1)),
        ("groups", lambda: windows(FRAME, 3, groups=MIXED_UP)),
        ("groups", lambda: MIRepresentationLearner(max_steps=1).fit(FRAME, groups=MIXED_UP)),
        (
            "y",
            lambda: MIRepresentationLearner(view="same-class", max_steps=1).fit(FRAME, MIXED_UP),
        ),
        ("y", lambda: compare({"raw": None}, FRAME, MIXED_UP, n_draws=1, labels_per_class=(1,))),
        (
            "Y",
            lambda: compare_pairs(
                {"PLS": PLSCanonical(1)}, FRAME, MIXED_UP.to_frame(), k=1, count_shared=False
            ),
        ),
    ],
)
def test_row_labels_in_another_order_warn(name, call):
    with pytest.warns(MIWarning, match=f"X and {name} hold the same row labels in another order"):
        call()


def pairs(X=X, Y=X[:, :2], models=None, **params):
    models = {"PLS": PLSCanonical(1)} if models is None else models
    return compare_pairs(models, X, Y, **{"k": 1, "n_folds": 2, "count_shared": False, **params})


def test_pairs_by_masks_and_tensors_equal_those_by_numbers():
    halves = np.arange(40) < 20
    by_masks = pairs(torch.tensor(X, requires_grad=True), cv=[(halves, ~halves)])
    by_numbers = pairs(cv=[(np.arange(20), np.arange(20, 40))])
    assert by_masks["n_test"].tolist() == [20]
    columns = ["recall@1", "mean_rank", "n_train", "n_test"]
    pd.testing.assert_frame_equal(by_masks[columns], by_numbers[columns])


def test_sparse_pairs():
    ours = {"ours": MIRepresentationLearner(n_components=2, max_steps=1, random_state=0)}
    assert len(pairs(csr_matrix(X), models=ours)) == 2


@pytest.mark.parametrize(
    ("error", "said", "params"),
    [
        (TypeError, "k=1.5; expected a positive integer", {"k": 1.5}),
        (TypeError, "k=None; expected a positive integer", {"k": None}),
        (ValueError, "cv has no folds", {"cv": []}),
        (
            ValueError,
            "cv has a fold with row 900; expected rows 0 to 39",
            {"cv": [([0, 1], [900])]},
        ),
        (ValueError, "cv has a fold with rows .*; expected numbers", {"cv": [([0, 1], [2.5])]}),
        (ValueError, r"cv has a fold 1; expected pairs \(train, test\)", {"cv": [1, 2]}),
        (TypeError, "models is of type list; expected a dict", {"models": [PCA(1)]}),
        (TypeError, r"models\['PCA'\] is the class PCA", {"models": {"PCA": PCA}}),
        (ValueError, "'PCA' gives codes of one table", {"models": {"PCA": PCA(1)}}),
    ],
)
def test_wrong_contests_of_pairs_are_told(error, said, params):
    with pytest.raises(error, match=said):
        pairs(**params)


@pytest.mark.parametrize(
    ("said", "params"),
    [
        ("labels_per_class=1.5; expected whole numbers", {"labels_per_class": [1.5]}),
        ("labels_per_class=5; expected a list", {"labels_per_class": 5}),
        ("n_draws=0; expected a positive integer", {"labels_per_class": [1], "n_draws": 0}),
    ],
)
def test_wrong_numbers_of_labels_are_told(said, params):
    with pytest.raises(ValueError, match=said):
        compare({"raw": None}, X, CLASSES, n_folds=2, **params)


@pytest.mark.parametrize("cv", [[([0, 1, 20, 21], [900])], [([0, 1], [True])], [7], []])
def test_wrong_folds_of_ones_own_are_told(cv):
    with pytest.raises(ValueError, match=r"cv has (a fold|no folds)"):
        compare({"raw": None}, X, CLASSES, labels_per_class=[1], cv=cv)


def test_a_tensor_without_values_is_told():
    fitted = MIRepresentationLearner(n_components=2, max_steps=1, random_state=0).fit(X)
    empty = torch.empty(*X.shape, device="meta")
    for call in (fitted.transform, fitted.fit):
        with pytest.raises(TypeError, match="meta device, which holds no values"):
            call(empty)


@pytest.mark.parametrize("unit", [1e300, 1e-200])
def test_the_unit_of_a_recording_changes_no_code(unit):
    rows = np.random.default_rng(0).normal(size=(20, 12, 2))
    codes = [
        MIRepresentationLearner(8, max_steps=2, random_state=0).fit_transform(rows * scale)
        for scale in (1.0, unit)
    ]
    np.testing.assert_allclose(codes[0], codes[1], atol=1e-5)
    assert codes[0].std(axis=0).min() > 0.01


def test_what_is_no_table_of_pairs_is_told():
    with pytest.raises(ValueError, match="no column 'name'.*Expected what compare_pairs returns"):
        summarise_pairs(pd.DataFrame({"a": [1]}))


def test_importance_of_a_tensor_with_a_gradient():
    pca = PCA(1).fit(X)
    found = [
        column_importance(pca, rows, n_repeats=1, random_state=0)["code"]
        for rows in (X, torch.tensor(X, requires_grad=True))
    ]
    pd.testing.assert_series_equal(*found)
    with pytest.raises(TypeError, match="n_repeats='a'; expected a positive integer"):
        column_importance(pca, X, n_repeats="a")


def test_sparse_confounds_equal_dense_ones():
    learner = MIRepresentationLearner(max_steps=1, random_state=0)
    found = [
        learner.fit(X, confounds=each).transform(X, confounds=each)
        for each in (X[:, :1], csr_matrix(X[:, :1]))
    ]
    np.testing.assert_array_equal(*found)


def test_windows_of_what_is_no_plain_array():
    expected = windows(X, 4).windows
    for rows in (torch.tensor(X, requires_grad=True), FRAME.convert_dtypes(), X.astype(object)):
        np.testing.assert_array_equal(windows(rows, 4).windows, expected)
    masked = windows(np.ma.MaskedArray(X, mask=X > 1), 4).windows
    np.testing.assert_array_equal(masked, windows(np.where(X > 1, np.nan, X), 4).windows)
    with pytest.raises(ValueError, match="X is a list of rows of unequal lengths"):
        windows([X, X[:9]], 4)


def test_keys_of_recordings_that_are_lists_are_told():
    with pytest.raises(ValueError, match=r"by=\['a'\] is no column of frame"):
        to_sequences(FRAME, by=["a"], time="b")


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (TimeLag(window=0), "window=0; expected a positive integer"),
        (TimeLag(window="a"), "window='a'; expected a positive integer"),
        (TimeLag("a"), "lag='a', max_lag=None; expected integers"),
        (TimeLag(10**30), "finds a partner for 0 of 36 training rows"),
    ],
)
def test_lags_and_windows_that_are_none_are_told(view, said):
    with pytest.raises((ValueError, TypeError), match=said):
        MIRepresentationLearner(view=view, max_steps=1).fit(X)


def test_rows_of_other_containers_are_told():
    recordings = [torch.tensor(X[: 5 + i]) for i in range(9)]
    learner = MIRepresentationLearner(max_steps=1)
    with pytest.raises(TypeError, match=r"nested tensor; pass list\(X.unbind\(\)\)"):
        learner.fit(torch.nested.nested_tensor(recordings, layout=torch.jagged))
    with pytest.raises(TypeError, match=r"Series of lists; pass X.to_list\(\)"):
        learner.fit(pl.Series([each.tolist() for each in recordings]))
    with pytest.raises(ValueError, match=r"X holds texts; expected numbers: put TfidfVectorizer"):
        learner.fit(pd.Series(["a b", "c d"]))
    with pytest.raises(ValueError, match=r"several columns of one name: \['a'\]"):
        RecordingFeatures("values").fit([pd.DataFrame(X[:9], columns=list("aab"))] * 3)


def test_recordings_in_bfloat16():
    halves = [torch.tensor(X[: 5 + i]).bfloat16() for i in range(9)]
    whole = [each.double().numpy() for each in halves]
    found = [RecordingFeatures("values").fit_transform(rows) for rows in (halves, whole)]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,a,b\n1,2,3\n4,5,6\n", "several columns of one name: ['a']"),
        (b"# made by x\na,b\n1,2\n3,4\n", "2 fields in a row, but its first line names 1"),
        ("n,ä\n1,2\n3,4\n".encode("latin-1"), "no text in UTF-8 (it has byte 0xe4); save it"),
    ],
    ids=["duplicates", "short-header", "latin-1"],
)
def test_files_whose_columns_would_go_astray_are_told(tmp_path, content, said):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    run = CliRunner().invoke(main, ["fit", str(path), "--out", str(tmp_path / "m.safetensors")])
    assert run.exit_code == 1 and said in run.output.replace("\n", " ")


def test_compare_of_an_empty_label_is_told(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,e\n" + "1,\n" * 9)
    run = CliRunner().invoke(main, ["compare", str(path), "--label", "e"])
    assert run.exit_code == 1 and "no row has a label in column 'e'" in run.output
