import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import binomtest

from sklearn_mi import MIEstimator
from sklearn_mi.information.lags import mutual_info_lags

COLUMNS = ["value", "stderr", "low", "high", "p_value", "null_high", "n_pairs"]


def autoregressive(phi, n, seed, n_columns=1):
    noise = np.random.default_rng(seed).normal(size=(n + 1000, n_columns))
    return lfilter([1], [1, -phi], noise, axis=0)[1000:]


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(size=(2, n))


def test_positive_lags_pair_x_with_later_y():
    x, e = noise(600)
    y = np.roll(x, 4) + e
    table = mutual_info_lags(x, y, range(-6, 7), random_state=0)
    assert table.index.name == "lag" and table.columns.tolist() == COLUMNS
    assert table["value"].idxmax() == 4
    assert table.loc[4, "p_value"] < 1e-6
    assert table.loc[4, "low"] < 0.5 * np.log(2) < table.loc[4, "high"]
    assert table.loc[[4, 0, -6], "n_pairs"].tolist() == [596, 600, 594]


@pytest.mark.parametrize(
    "relation",
    [np.square, np.cos, lambda x: np.sign(np.random.default_rng(5).normal(size=800)) * x],
)
def test_a_relation_that_is_not_monotone_is_seen(relation):
    x, e = noise(800)
    table = mutual_info_lags(x, np.roll(relation(x), -3) + 0.3 * e, [-4, -3, -2])
    assert table["value"].idxmax() == -3
    assert table.loc[-3, "low"] > 0.05 and table.loc[-3, "p_value"] < 1e-3
    assert (table.loc[[-4, -2], "value"] < 0.05).all()


def tables_of(make, n, n_draws):
    """Return the tables of independent draws at five distant lags, as one."""
    lags = [-n // 3, -n // 6, 0, n // 8, n // 4]
    return pd.concat(
        [mutual_info_lags(*make(seed), lags, random_state=seed) for seed in range(n_draws)]
    )


def assert_the_band_holds(table):
    above = int((table["value"] > table["null_high"]).sum())
    assert binomtest(above, len(table), 0.05, alternative="greater").pvalue > 1e-3
    assert (table["p_value"] < 0.05).sum() == above


@pytest.mark.parametrize(("phi", "n"), [(0.0, 150), (0.9, 300)])
def test_the_band_holds_for_independent_series(phi, n):
    table = tables_of(lambda seed: autoregressive(phi, n, seed, 2).T, n, 14)
    assert_the_band_holds(table)
    assert (table["low"] == 0).mean() > 0.9 and (table["high"] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phi", "n", "widths"),
    [(0.0, 200, (1, 1)), (0.9, 400, (1, 1)), (0.97, 800, (1, 1)), (0.9, 400, (1, 2))],
)
def test_the_band_holds_over_many_draws(phi, n, widths):
    def make(seed):
        return np.split(autoregressive(phi, n, seed, sum(widths)), [widths[0]], axis=1)

    table = tables_of(make, n, 60)
    assert_the_band_holds(table)
    assert abs(table["value"].mean()) < 0.01


def test_the_band_holds_for_several_columns():
    def make(seed):
        return np.hsplit(autoregressive(0.8, 300, seed, 6), 2)

    assert_the_band_holds(tables_of(make, 300, 40))


def test_intervals_hold_for_series_that_depend_on_each_other():
    phi, r, n, held = 0.9, 0.7, 300, []
    truth = -0.5 * np.log(1 - r**2)
    for seed in range(16):
        x, z = autoregressive(phi, n, seed, 2).T
        row = mutual_info_lags(x, r * x + np.sqrt(1 - r**2) * z, 0, random_state=seed).loc[0]
        held.append(row["low"] <= truth <= row["high"])
    assert sum(held) >= 12


def test_rows_taken_as_independent_claim_more():
    x, y = autoregressive(0.95, 500, 0, 2).T
    with_blocks, without = (mutual_info_lags(x, y, 0, blocks=b) for b in ("auto", None))
    assert with_blocks.loc[0, "null_high"] > 3 * without.loc[0, "null_high"]
    assert with_blocks.loc[0, "p_value"] > without.loc[0, "p_value"]


def test_a_series_gives_itself_exactly():
    x, _ = noise(300)
    table = mutual_info_lags(x, x, [0, 1])
    assert table.loc[0, "high"] == np.inf and table.loc[0, "value"] > 3
    assert table.loc[1, "high"] < 0.3


def test_constant_and_binary_series():
    x, _ = noise(200)
    table = mutual_info_lags(np.ones(200), x, [0, 5])
    assert (table["value"].abs() < 1e-6).all() and (table["low"] == 0).all()
    b = (x > 0).astype(int)
    table = mutual_info_lags(b, np.roll(b, 2), [0, 2])
    assert table.loc[2, "value"] > 0.4 and table.loc[0, "low"] == 0


def test_series_of_pandas_and_tables_give_the_same():
    x, y = noise(100)
    dates = pd.date_range("2024-01-01", periods=100)
    plain = mutual_info_lags(x, y, [0, 3], random_state=0)
    named = mutual_info_lags(
        pd.Series(x, dates), pd.DataFrame({"y": y}, dates), [0, 3], random_state=0
    )
    pd.testing.assert_frame_equal(plain, named)


def test_equal_states_give_equal_tables():
    x, y = noise(100)
    first, second = (mutual_info_lags(x, y, range(3), random_state=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_another_estimator_is_cloned_for_each_lag():
    x, e = noise(120)
    estimator = MIEstimator("copula", n_folds=2, split_test=False, random_state=0)
    table = mutual_info_lags(x, np.roll(x, 1) + e, [0, 1], estimator=estimator, blocks=None)
    assert table["value"].idxmax() == 1
    assert table["null_high"].isna().all() and table["p_value"].isna().all()
    assert not hasattr(estimator, "mi_")


@pytest.mark.parametrize(
    ("lags", "message"),
    [
        (51, "lags has 51 with n_samples=100; expected at most half of the rows, 50."),
        ([0, -60], "lags has -60 with n_samples=100"),
        (0.5, "lags=0.5; expected integers, such as"),
        ([], r"lags=\[\]; expected integers"),
        ([[1]], "expected integers"),
        (["1"], "expected integers"),
        (True, "expected integers"),
    ],
)
def test_lags_that_cannot_be(lags, message):
    with pytest.raises(ValueError, match=message):
        mutual_info_lags(*noise(100), lags)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(100), np.zeros(99), "x has 100 rows and y has 99; expected as many"),
        (np.full(100, np.nan), np.zeros(100), "x contains NaN or infinity; fill these rows"),
        (np.zeros(100), np.array(["a"] * 100), "y holds something else than numbers"),
        (np.zeros((100, 2, 2)), np.zeros(100), r"x has shape \(100, 2, 2\); expected"),
        (np.zeros(0), np.zeros(0), r"x has shape \(0,\); expected"),
        (np.zeros(19), np.zeros(19), "x has 19 rows; expected at least 20"),
        (
            pd.Series(np.zeros(30)),
            pd.Series(np.zeros(30), range(1, 31)),
            "x and y have different indices; align them",
        ),
    ],
)
def test_series_that_cannot_be(x, y, message):
    with pytest.raises(ValueError, match=message):
        mutual_info_lags(x, y, 0)


def test_blocks_and_confidence_that_cannot_be():
    with pytest.raises(ValueError, match="blocks=60 with n_samples=100; expected at most half"):
        mutual_info_lags(*noise(100), 0, blocks=60)
    with pytest.raises(ValueError, match="confidence=95; expected a number between 0 and 1"):
        mutual_info_lags(*noise(100), 0, confidence=95)
