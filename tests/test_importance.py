"""What a column does to codes and to the bound, by closed forms and by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.diagnostics import column_importance
from sklearn_mi.encoders import MLP
from sklearn_mi.plots import ImportanceDisplay
from sklearn_mi.views import Halves


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(4000, 4)) * [3, 2, 1, 5]


def linear(weights):
    return FunctionTransformer(lambda X: np.asarray(X) @ np.transpose(weights)).fit([[0.0] * 4])


def test_a_linear_code_depends_on_each_column_as_its_variance_says(rows):
    weights = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, -1.0, 1.0, 0.0]])
    table = column_importance(linear(weights), rows, random_state=0)
    # A permuted column moves the code by its weight times a difference of two independent values.
    parts = np.square(weights).sum(axis=0) * np.array([9.0, 4.0, 1.0, 25.0])
    assert table["code"].to_numpy() == pytest.approx(parts / parts.sum(), abs=0.02)
    assert table.loc["x3", "code"] == table.loc["x3", "code_stderr"] == 0
    assert table["bound"].isna().all() and table["bound_stderr"].isna().all()
    assert list(table.index) == ["x0", "x1", "x2", "x3"]


def test_a_code_of_one_column_is_another_row_when_it_is_permuted(rows):
    table = column_importance(linear([[0.0, 0.0, 0.0, 7.0]]), rows, n_repeats=1, random_state=0)
    assert table.loc["x3", "code"] == pytest.approx(1, abs=0.05)
    assert np.isnan(table.loc["x3", "code_stderr"])


class Pairs:
    """Scores a pair by the negative squared distance, minus that of the row's own columns."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)

    def score(self, X, y=None, *, X_pair=None, groups=None):
        return -float(np.mean((np.asarray(X) - X_pair) ** 2)) + float(groups[0])


def test_the_bound_drops_by_what_the_score_loses(rows):
    few = rows[:300]
    table = column_importance(
        Pairs(), few, X_pair=few, groups=np.ones(300), n_repeats=20, random_state=0
    )
    # Among equal partners a permuted column adds its mean squared difference.
    expected = 2 * few.var(axis=0) / 4
    assert table["bound"].to_numpy() == pytest.approx(expected, rel=0.1)
    assert (abs(table["bound"] - expected) < 4 * table["bound_stderr"]).all()


def test_standard_errors_are_those_of_the_mean_over_permutations(rows):
    one = FunctionTransformer().fit(rows)
    drawn = [column_importance(one, rows[:50], n_repeats=1, random_state=k) for k in range(60)]
    error = column_importance(one, rows[:50], n_repeats=60, random_state=0)["code_stderr"]
    spread = np.std([table["code"] for table in drawn], axis=0, ddof=1)
    assert error.mean() == pytest.approx(spread.mean() / np.sqrt(60), rel=0.2)


def test_a_learner_finds_the_columns_that_are_shared():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(600, 1))
    noise = rng.normal(size=(600, 4))
    X = np.hstack([shared, noise[:, :1], shared + 0.1 * noise[:, 1:2], noise[:, 2:3]])
    small = {"view": Halves(), "encoder": MLP(hidden=(16,)), "max_steps": 60, "lr": 0.01}
    learner = MIRepresentationLearner(2, random_state=0, **small).fit(X[:400])
    table = column_importance(learner, X[400:], random_state=0)
    assert table["bound"].idxmax() in ("x0", "x2") and table["code"].idxmax() == "x0"
    again = column_importance(learner, X[400:], random_state=0)
    pd.testing.assert_frame_equal(table, again)
    pipe = make_pipeline(StandardScaler(), learner).fit(X[:400])
    assert column_importance(pipe, X[400:], random_state=0).notna().all(axis=None)


def test_frames_keep_their_names_and_their_words():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=200), "city": rng.choice(["Rome", "Oslo"], 200)})
    taken = make_column_transformer((OneHotEncoder(), ["city"]), ("drop", ["size"])).fit(frame)
    table = column_importance(taken, frame, random_state=0)
    assert list(table.index) == ["size", "city"] and table.loc["size", "code"] == 0
    assert table.loc["city", "code"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("X", "arguments", "message"),
    [
        (np.ones((5, 4)), {"n_repeats": 0}, "n_repeats=0; expected a positive integer"),
        (np.ones((5, 8, 8)), {}, r"X has shape \(5, 8, 8\).*input_shape=\(8, 8\)"),
        (csr_array(np.eye(4)), {}, r"X is sparse; expected a dense table: X.toarray\(\)"),
        (np.full((5, 4), np.nan), {}, "the codes of X, has NaN or infinity in 5 of 5 rows"),
    ],
)
def test_what_cannot_be_permuted_is_refused(X, arguments, message):
    with pytest.raises(ValueError, match=message):
        column_importance(FunctionTransformer(), X, **arguments)


def test_polars_frames_are_told_how_to_come():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match=r"X.to_pandas\(\)"):
        column_importance(FunctionTransformer(), polars.DataFrame({"a": [1.0, 2.0]}))


@pytest.fixture
def table():
    return pd.DataFrame(
        {"code": [0.1, 0.6, 0.3], "code_stderr": [0.01, 0.02, np.nan], "bound": np.nan,
         "bound_stderr": np.nan},
        index=["ash", "age", "size"],
    )  # fmt: skip


def test_points_are_the_tables_numbers_the_largest_on_top(table):
    display = ImportanceDisplay.from_table(table, max_columns=2)
    assert list(display.bars_) == ["age", "size"]
    points = [bar.lines[0].get_xdata().item() for bar in display.bars_.values()]
    assert points == [0.6, 0.3]
    (segment,) = display.bars_["age"].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([0.56, 0.64])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["age", "size"]
    assert display.alt_text_.startswith("Importance of 3 columns to the code, from age 0.60 down")
    assert display.alt_text_.endswith("; 1 more is hidden.")


def test_the_display_of_an_estimator_is_that_of_its_table(rows):
    code = linear([[1.0, 0.0, 2.0, 0.0]])
    display = ImportanceDisplay.from_estimator(code, rows[:200], random_state=0)
    expected = column_importance(code, rows[:200], random_state=0)
    pd.testing.assert_frame_equal(display.table, expected)


def test_what_cannot_be_drawn_is_refused(table):
    with pytest.raises(ValueError, match="by='codes'; expected 'code' or 'bound'"):
        ImportanceDisplay(table).plot(by="codes")
    with pytest.raises(ValueError, match="no number in column 'bound'"):
        ImportanceDisplay(table).plot(by="bound")
    with pytest.raises(ValueError, match="no column 'code_stderr'"):
        ImportanceDisplay(table[["code"]]).plot()
