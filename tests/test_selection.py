import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from sklearn_mi.selection import METHODS, select_rows

CLUSTERED = ["typicality", "k-means"]


def blobs(n_blobs=8, seed=0):
    sizes = np.arange(12, 12 + 4 * n_blobs, 4)
    centres = 60 * np.random.RandomState(seed).randn(n_blobs, 5)
    return make_blobs(sizes, centers=centres, random_state=seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", CLUSTERED)
def test_one_row_of_each_blob_the_largest_first(method, seed):
    Z, y = blobs(seed=seed)
    assert y[select_rows(Z, 8, method=method, random_state=seed)].tolist() == list(range(7, -1, -1))


def test_the_row_of_a_cluster_is_its_most_typical_or_its_most_central():
    Z, y = blobs(3)
    for row in select_rows(Z, 3):
        members = np.flatnonzero(y == y[row])
        n_neighbors = min(20, len(members) // 2)
        typicality = [
            1 / np.mean(sorted(np.linalg.norm(Z[members] - Z[i], axis=1))[1 : n_neighbors + 1])
            for i in members
        ]
        assert row == members[np.argmax(typicality)]
    for row in select_rows(Z, 3, method="k-means"):
        members = np.flatnonzero(y == y[row])
        to_mean = np.linalg.norm(Z[members] - Z[members].mean(axis=0), axis=1)
        assert row == members[to_mean.argmin()]


def test_an_outlier_is_not_typical():
    Z = np.vstack([np.random.RandomState(0).randn(30, 2), [[9.0, 0.0]]])
    assert select_rows(Z, 1)[0] < 30


def test_herding_matches_the_mean_greedily():
    Z = np.random.RandomState(0).exponential(size=(60, 3))
    chosen = []
    for _ in range(20):
        gaps = {
            i: np.linalg.norm(Z[[*chosen, i]].mean(axis=0) - Z.mean(axis=0))
            for i in range(60)
            if i not in chosen
        }
        chosen.append(min(gaps, key=gaps.get))
    assert select_rows(Z, 20, method="herding").tolist() == chosen
    # Of random rows the gap falls as 1 / sqrt(k): to .22 of one row's.
    random = np.random.RandomState(1).permutation(60)[:20]
    gap = [np.linalg.norm(Z[rows].mean(axis=0) - Z.mean(axis=0)) for rows in (chosen, random)]
    assert gap[0] < gap[1] / 5


def test_a_beginning_of_herding_is_what_fewer_rows_would_be():
    Z, _ = blobs()
    rows = select_rows(Z, 30, method="herding")
    np.testing.assert_array_equal(rows[:7], select_rows(Z, 7, method="herding"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 50, 208])
def test_rows_are_distinct_and_as_many_as_asked(method, n):
    Z, _ = blobs()
    rows = select_rows(Z, n, method=method)
    assert rows.dtype == np.intp and rows.shape == (n,)
    assert len(set(rows.tolist())) == n and set(rows.tolist()) <= set(range(208))


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_rows_and_the_kind_of_table_does_not_matter(method):
    Z, _ = make_blobs(120, n_features=4, centers=3, cluster_std=3, random_state=0)
    rows = select_rows(Z, 9, method=method)
    before = np.random.get_state()[1].copy()
    for table in (Z, pd.DataFrame(Z).add_prefix("z"), csr_array(Z), csr_matrix(Z), Z.tolist()):
        np.testing.assert_array_equal(select_rows(table, 9, method=method, random_state=0), rows)
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("method", METHODS)
def test_repeated_rows_fill_up(method):
    Z = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]], [6, 5, 4], axis=0)
    rows = select_rows(Z, 7, method=method)
    assert len(set(rows.tolist())) == 7
    if method in CLUSTERED:
        assert rows.tolist() == [0, 6, 11, 1, 7, 12, 2]


def test_few_labels_on_digits_find_more_classes_than_chance(digits):
    X, y = digits[0][:500], digits[1][:500]
    random = [len(set(y[np.random.RandomState(seed).permutation(500)[:10]])) for seed in range(100)]
    # Ten draws from ten classes: 10 (1 - .9^10) = 6.5 of them on average.
    assert np.mean(random) == pytest.approx(6.5, abs=0.3)
    for method in CLUSTERED:
        assert len(set(y[select_rows(X, 10, method=method)])) >= 8


def test_clusters_are_those_of_k_means():
    Z = np.random.RandomState(0).randn(90, 3)
    labels = KMeans(6, n_init=4, random_state=np.random.RandomState(4)).fit_predict(Z)
    rows = select_rows(Z, 6, random_state=4)
    assert sorted(labels[rows]) == list(range(6))
    sizes = np.bincount(labels)[labels[rows]]
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 11}, "n=11; expected an integer from 1 to 10, the rows of Z"),
        ({"n": 0}, "n=0; expected an integer from 1 to 10"),
        ({"n": 2.0}, "n=2.0; expected an integer"),
        ({"method": "typical"}, "method='typical'.*Did you mean 'typicality'"),
        ({"Z": np.full((3, 2), np.nan)}, "Z has NaN or infinity in 3 of 3 rows"),
        ({"Z": np.arange(10.0)}, r"Z has shape \(10,\).*Z.reshape\(-1, 1\)"),
        (
            {"Z": pd.DataFrame({"city": ["Rome", "Oslo"]})},
            "Z holds Rome in column 'city'",
        ),
    ],
)
def test_values_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        select_rows(**({"Z": np.eye(10), "n": 2} | change))
