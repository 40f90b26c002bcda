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
from sklearn_mi._base import Codes
from sklearn_mi.bounds import infonce
from sklearn_mi.comparisons import Whole
from sklearn_mi.views import Compose, Corruption, Neighbors, SameClass, TimeLag


def learner(**parameters):
    return MIRepresentationLearner(
        **{"n_components": 4, "max_steps": 20, "random_state": 0, **parameters}
    )


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(120, 5))


GROUPS = np.arange(120) // 6


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


@pytest.mark.slow
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


@pytest.mark.parametrize("view", ["same-class", SameClass(unlabelled=-1)], ids=str)
def test_rows_without_a_label_are_not_trained_on(X, view):
    y = np.where(np.arange(120) % 2, -1, np.arange(120) % 3)
    fitted = learner(view=view, validation_fraction=0).fit(X, y)
    changed = X.copy()
    changed[1::2] = changed[1::2][::-1]  # the same columns, so the same scaling
    again = learner(view=view, validation_fraction=0).fit(changed, y)
    assert np.array_equal(fitted.transform(X), again.transform(X))


def test_scores_take_groups_and_labels_too(X):
    fitted = learner(view="same-group").fit(X, groups=GROUPS)
    score = fitted.score(X, groups=GROUPS)
    # Other names, the same groups; then other groups.
    assert fitted.score(X, groups=[f"subject {group:02}" for group in GROUPS]) == score
    assert fitted.score(X, groups=np.random.default_rng(0).permutation(GROUPS)) != score
    with pytest.raises(ValueError, match="needs groups"):
        fitted.score(X)
    alone = np.where(GROUPS > 1, GROUPS, 1000 + np.arange(120))
    Z, Z_prime = fitted.transform_views(X, groups=alone)
    # Of the rows that have a partner; the code of each, and of another row of its group.
    grouped, codes = np.flatnonzero(GROUPS > 1), fitted.transform(X)
    np.testing.assert_allclose(Z, codes[grouped], atol=1e-6)
    distances = np.linalg.norm(Z_prime[:, None] - codes, axis=2)
    partners = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-6
    assert (GROUPS[partners] == GROUPS[grouped]).all() and (partners != grouped).all()
    supervised = learner(view="same-class").fit(X, GROUPS % 3)
    score = supervised.score(X, GROUPS % 3)
    assert supervised.score(X, np.array(["a", "b", "c"])[GROUPS % 3]) == score
    assert supervised.score(X, GROUPS % 4) != score
    assert supervised.bounds(X, GROUPS % 3)["infonce"] == pytest.approx(score, abs=1e-6)


def test_partial_fit_and_stops_take_groups(X):
    other = np.random.default_rng(0).permutation(GROUPS)
    codes = []
    for second in (GROUPS, np.array([f"subject {group:02}" for group in GROUPS]), other):
        fitted = learner(view="same-group").partial_fit(X, groups=GROUPS)
        fitted.partial_fit(X[:60], groups=second[:60])
        assert fitted.n_iter_ == 2
        codes.append(fitted.transform(X))
    assert np.array_equal(codes[0], codes[1]) and not np.array_equal(codes[0], codes[2])
    stops, stopped = [], learner(view="same-group")
    for stop in stopped.fit_iter(X, groups=GROUPS, at=(0, 20)):
        stops.append(stop)
    whole = learner(view="same-group").fit(X, groups=GROUPS)
    assert stops == [0, 20] and np.array_equal(stopped.transform(X), whole.transform(X))


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
    how = {"early_stopping": True, "validation_fraction": 0.3}
    composed, plain = (
        learner(view=view, **how).fit(X, groups=GROUPS)
        for view in (Compose("same-group", Corruption(0.3)), "same-group")
    )
    # Whole groups of six: a part to stop by, a part to report on.
    assert composed.mi_.n_pairs == plain.mi_.n_pairs and composed.mi_.n_pairs % 6 == 0
    assert composed.mi_.warnings == plain.mi_.warnings
    assert composed.mi_.value != plain.mi_.value


def test_groups_alone_hold_out_whole_groups(X):
    def codes(rows, **given):
        fitted = learner(view="noise", encoder="linear", max_steps=3).fit(rows, **given)
        assert fitted.mi_.n_pairs == 12
        return fitted.transform(X)

    def unread(**given):
        """Return the groups whose rows may be any others, and training is as it was."""
        usual = codes(X, **given)
        changed = ((g, np.where((g == GROUPS)[:, None], X[::-1], X)) for g in range(20))
        return [g for g, rows in changed if np.array_equal(codes(rows, **given), usual)]

    assert len(unread(groups=GROUPS)) == 2
    assert unread() == []


def test_a_grid_routes_groups(X):
    with sklearn.config_context(enable_metadata_routing=True):
        routed = learner(view="same-group", max_steps=3)
        routed.set_fit_request(groups=True).set_score_request(groups=True)
        grid = GridSearchCV(routed, {"lr": [1e-3, 1e-2]}, cv=GroupKFold(3), error_score="raise")
        grid.fit(X, groups=GROUPS)
        pipe = make_pipeline(
            learner(view="same-group", max_steps=3).set_fit_request(groups=True),
            LogisticRegression(),
        )
        pipe.fit(X, GROUPS % 2, groups=GROUPS)
    by_hand = learner(view="same-group", max_steps=3, **grid.best_params_).fit(X, groups=GROUPS)
    assert np.array_equal(grid.best_estimator_.transform(X), by_hand.transform(X))
    by_hand.set_params(lr=pipe[0].lr).fit(X, groups=GROUPS)
    assert np.array_equal(pipe[0].transform(X), by_hand.transform(X))


@pytest.mark.parametrize(
    ("view", "given", "words"),
    [
        ("same-group", {"groups": GROUPS[1:]}, "groups has 119 values, but X has 120 rows"),
        ("same-group", {"groups": np.where(GROUPS, GROUPS, np.nan)}, "groups has 6 missing"),
        ("same-group", {"groups": np.arange(120)}, "finds a partner for 0 of 108 training rows"),
        ("same-group", {"groups": np.zeros(120)}, "groups has 1 groups; expected at least 2"),
        ("same-class", {"y": np.zeros(3)}, "y has 3 values, but X has 120 rows"),
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


def test_classes_of_minus_one_and_one_are_not_silently_taken_for_unlabelled_rows():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.repeat([-1, 1], 20)
    learner = MIRepresentationLearner(2, view="same-class", max_steps=2, random_state=0)
    with pytest.raises(ValueError, match=r"one class, .*beside -1.*SameClass\(unlabelled="):
        learner.fit(X, y)
    both = learner.set_params(view=SameClass(unlabelled=0)).fit(X, y)
    as_words = learner.set_params(view="same-class").fit(X, np.where(y > 0, "yes", "no"))
    np.testing.assert_array_equal(both.transform(X), as_words.transform(X))


# Several positives a row


def by_loops(scores, alike):
    """InfoNCE of every pair of partners against the negatives of the row, a mean of means."""
    n, terms = len(scores), []
    for i in range(n):
        own = [j for j in range(n) if j == i or alike[i, j]]
        others = [scores[i, j] for j in range(n) if j not in own]
        each = [
            scores[i, j] - np.logaddexp.reduce([scores[i, j], *others]) + np.log(1 + len(others))
            for j in own
        ]
        terms.append(np.mean(each))
    return np.mean(terms)


@pytest.mark.parametrize("negatives", ["batch", "other-groups"])
def test_all_rows_of_a_group_are_positives(negatives):
    X = np.random.default_rng(0).normal(size=(60, 4))
    groups = np.arange(60) // 6
    learner = MIRepresentationLearner(
        3,
        view="same-group",
        comparison=Whole(positives="all"),
        negatives=negatives,
        max_steps=5,
        random_state=0,
    )
    model = learner.fit(X, groups=groups).net_.module_
    numbers = torch.arange(12) // 3
    z = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    codes = model.marked(Codes(z, z.flip(1), model.critic), None, numbers)
    (made,) = model.compare(codes, None)
    value = infonce(made.scores, made.negatives, made.positives)
    expected = by_loops(made.scores.detach().numpy(), (numbers[:, None] == numbers).numpy())
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert learner.mi_.status == "lower"
    assert learner.mi_.objective.status == "neither"


def test_all_rows_of_a_class_or_all_neighbours_are_positives():
    X = np.random.default_rng(0).normal(size=(90, 4))
    y = np.array(list("abc"))[np.arange(90) % 3]
    given = {"comparison": Whole(positives="all"), "max_steps": 3, "random_state": 0}
    learner = MIRepresentationLearner(2, view="same-class", **given).fit(X, y)
    with pytest.raises(ValueError, match="expected one of the two: leave groups out"):
        learner.fit(X, y, groups=np.arange(90) // 9)
    view = Neighbors(5)
    MIRepresentationLearner(2, view=Compose(view, "noise"), **given).fit(X)
    state = {"graph": torch.tensor([[1, 2], [0, 2], [3, 0], [2, 1]])}
    near = view.kindred(torch.tensor([3, 0, 2]), state, None)
    assert near.int().tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert view.kindred(None, state, None) is None
    state["count"] = torch.tensor([1, 1, 1, 1])
    near = view.kindred(torch.tensor([3, 0, 2]), state, None)
    assert near.int().tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_a_view_must_know_all_partners():
    learner = MIRepresentationLearner(view="halves", comparison=Whole(positives="all"))
    with pytest.raises(ValueError, match="needs all partners of a row, which view='halves' does"):
        learner.fit(np.zeros((20, 4)))
    with pytest.raises(ValueError, match="positives='both' is not known"):
        learner.set_params(comparison__positives="both").fit(np.zeros((20, 4)))
