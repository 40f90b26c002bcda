"""Groups, series and classes end to end: which rows are paired, and which are held out."""

import numpy as np
import pytest
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.inputs import split_rows
from sklearn_mi.views import Compose, Corruption, SameClass, TimeLag


def learner(**parameters):
    return MIRepresentationLearner(
        **{"n_components": 4, "max_steps": 20, "random_state": 0, **parameters}
    )


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(120, 5))


GROUPS = np.arange(120) // 6


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
    kept, stopping, report = split_rows(100, (5, 10), 0, groups=np.arange(100) % 3)
    assert len(kept) and len(stopping) and len(report)
    with pytest.raises(ValueError, match="groups has 1 groups; expected at least 2"):
        split_rows(100, (0, 10), 0, groups=np.zeros(100))
    assert len(split_rows(100, (0, 0), 0, groups=np.zeros(100))[0]) == 100


def test_groups_are_paired_and_what_they_share_is_learned():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    own = generator.normal(size=(200, 2))[groups]
    # Two columns that a subject keeps, among louder ones that change from row to row.
    X = np.hstack([own, generator.normal(size=(1000, 6))])
    X = X @ np.linalg.qr(generator.normal(size=(8, 8)))[0]
    fitted = learner(view="same-group", max_steps=600, n_components=2, encoder="linear")
    fitted.fit(X, groups=groups)
    Z = fitted.transform(X)
    explained = [
        np.linalg.lstsq(np.c_[Z, np.ones(1000)], target, rcond=None)[1][0] / np.var(target) / 1000
        for target in own.T
    ]
    assert max(explained) < 0.2
    assert fitted.mi_.value > 0.5 and "not independent" in fitted.mi_.warnings[0]
    # 10 % of the rows, in whole groups.
    assert fitted.mi_.n_pairs == 100


def test_a_series_learns_what_is_slow():
    generator = np.random.default_rng(0)
    slow = np.sin(np.arange(3000) / 60) + 0.1 * generator.normal(size=3000)
    X = np.c_[slow, generator.normal(size=(3000, 4))]
    fitted = learner(view=TimeLag(1, 3), max_steps=400, n_components=2).fit(X)
    Z = fitted.transform(X)
    assert abs(np.corrcoef(np.c_[Z, slow].T)[-1, :-1]).max() > 0.8
    assert fitted.mi_.n_pairs == 299  # the last of the held-out rows has none after it


def test_labels_count_only_when_asked_for_by_name(X):
    y = np.random.default_rng(1).integers(3, size=120)
    plain = learner(view="noise")
    assert np.array_equal(plain.fit(X, y).transform(X), plain.fit(X).transform(X))
    with pytest.raises(ValueError, match=r"pairs rows of one class and needs y: fit\(X, y\)"):
        learner(view="same-class").fit(X)
    first, other = (learner(view="same-class").fit(X, v).transform(X) for v in (y, y[::-1]))
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("names", [False, True])
def test_supervised_pairs_serve_a_neighbour_classifier(names):
    generator = np.random.default_rng(0)
    y = generator.integers(3, size=900)
    X = np.c_[np.eye(3)[y] + 0.4 * generator.normal(size=(900, 3)), generator.normal(size=(900, 9))]
    y = np.array(["a", "b", "c"])[y] if names else y
    pipe = make_pipeline(learner(view="same-class", max_steps=300), KNeighborsClassifier())
    codes = pipe.fit(X[:600], y[:600]).score(X[600:], y[600:])
    raw = KNeighborsClassifier().fit(X[:600], y[:600]).score(X[600:], y[600:])
    assert codes > raw + 0.05


def test_rows_without_a_label_are_not_trained_on(X):
    y = np.where(np.arange(120) % 2, -1, np.arange(120) % 3)
    fitted = learner(view=SameClass(unlabelled=-1), validation_fraction=0).fit(X, y)
    changed = X.copy()
    changed[1::2] = changed[1::2][::-1]  # the same columns, so the same scaling
    again = learner(view=SameClass(unlabelled=-1), validation_fraction=0).fit(changed, y)
    assert np.array_equal(fitted.transform(X), again.transform(X))


def test_scores_take_groups_and_labels_too(X):
    fitted = learner(view="same-group").fit(X, groups=GROUPS)
    assert np.isfinite(fitted.score(X, groups=GROUPS))
    assert fitted.score(X, groups=GROUPS) == fitted.score(X, groups=GROUPS)
    with pytest.raises(ValueError, match="needs groups"):
        fitted.score(X)
    alone = np.where(GROUPS > 1, GROUPS, 1000 + np.arange(120))
    Z, Z_prime = fitted.transform_views(X, groups=alone)
    assert Z.shape == Z_prime.shape == (108, 4)
    supervised = learner(view="same-class").fit(X, GROUPS % 3)
    assert np.isfinite(supervised.score(X, GROUPS % 3))
    assert set(supervised.bounds(X, GROUPS % 3)) >= {"infonce", "objective"}


def test_partial_fit_and_stops_take_groups(X):
    fitted = learner(view="same-group").partial_fit(X, groups=GROUPS)
    fitted.partial_fit(X[:60], groups=GROUPS[:60])
    assert fitted.n_iter_ == 2
    stops = learner(view="same-group").fit_iter(X, groups=GROUPS, at=(0, 3))
    assert list(stops) == [0, 3]


def test_training_on_pairs_resumes_bit_for_bit(X, tmp_path):
    def stops(one):
        return one.fit_iter(X, groups=GROUPS, at=(10, 20), checkpoint=tmp_path / "file")

    whole, cut, resumed = (learner(view="same-group", negatives="independent") for _ in range(3))
    assert list(whole.fit_iter(X, groups=GROUPS, at=(10, 20))) == [10, 20]
    begun = stops(cut)
    assert [next(begun), next(begun)] == [10, 20]  # the checkpoint of 10 is written between
    assert list(stops(resumed)) == [20]
    assert np.array_equal(resumed.transform(X), whole.transform(X))


def test_composed_with_corruption_and_early_stopping(X):
    view = Compose("same-group", Corruption(0.3))
    fitted = learner(view=view, early_stopping=True, validation_fraction=0.3)
    assert np.isfinite(fitted.fit(X, groups=GROUPS).mi_.value)


def test_groups_alone_hold_out_whole_groups(X):
    apart = learner(view="noise").fit(X, groups=GROUPS)
    mixed = learner(view="noise").fit(X)
    assert apart.mi_.n_pairs == mixed.mi_.n_pairs == 12
    assert not np.array_equal(apart.transform(X), mixed.transform(X))


def test_a_grid_routes_groups(X):
    with sklearn.config_context(enable_metadata_routing=True):
        routed = learner(view="same-group", max_steps=3)
        routed.set_fit_request(groups=True).set_score_request(groups=True)
        grid = GridSearchCV(routed, {"lr": [1e-3, 1e-2]}, cv=GroupKFold(3), error_score="raise")
        assert np.isfinite(grid.fit(X, groups=GROUPS).best_score_)
        pipe = make_pipeline(
            learner(view="same-group", max_steps=3).set_fit_request(groups=True),
            LogisticRegression(),
        )
        assert pipe.fit(X, GROUPS % 2, groups=GROUPS).predict(X).shape == (120,)


@pytest.mark.parametrize(
    ("view", "given", "words"),
    [
        ("same-group", {"groups": GROUPS[1:]}, "X has 120 rows, but groups has 119"),
        ("same-group", {"groups": np.where(GROUPS, GROUPS, np.nan)}, "groups has missing values"),
        ("same-group", {"groups": np.arange(120)}, "finds a partner for 0 of 108 training rows"),
        ("same-group", {"groups": np.zeros(120)}, "groups has 1 groups; expected at least 2"),
        ("same-class", {"y": np.zeros(3)}, "X has 120 rows, but y has 3"),
        (TimeLag(200), {}, "a smaller lag"),
    ],
)
def test_bad_groups_are_told(X, view, given, words):
    with pytest.raises(ValueError, match=words):
        learner(view=view).fit(X, **given)


def test_few_held_out_rows_without_partners_are_reported_as_such():
    X = np.random.default_rng(0).normal(size=(30, 3))
    fitted = learner(view=TimeLag(3), max_steps=2).fit(X)
    assert np.isnan(fitted.mi_.value) and "fewer than 2 held-out rows" in fitted.mi_.warnings[0]
    with pytest.raises(ValueError, match="of 3 held-out rows 0 have a partner|early_stopping=True"):
        learner(view=TimeLag(3), early_stopping=True).fit(X)


def test_draws_are_those_of_our_own_generator(X):
    before = torch.get_rng_state()
    learner(view="same-group").fit(X, groups=GROUPS)
    assert torch.equal(before, torch.get_rng_state())
