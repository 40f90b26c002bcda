"""Probes along training: what they record, what they leave alone, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.callbacks import OnlineProbe
from sklearn_mi.diagnostics import effective_rank
from sklearn_mi.encoders import MLP
from sklearn_mi.plots import TrainingDisplay
from sklearn_mi.views import Halves

N_ROWS, N_LABELLED = 260, 80


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(N_ROWS + N_LABELLED, 3))
    X = np.hstack([first, first + 0.5 * rng.normal(size=first.shape)])
    return X[:N_ROWS], X[N_ROWS:], (X[N_ROWS:, 0] > 0).astype(int)


def learner(*callbacks, **parameters):
    small = {
        "n_components": 3,
        "view": Halves(),
        "encoder": MLP(hidden=(16,), dropout=0.2),
        "batch_size": 64,
        "max_steps": 12,
        "random_state": 0,
    }
    return MIRepresentationLearner(**{**small, "callbacks": list(callbacks) or None, **parameters})


def column(fitted, name):
    return [row.get(name, np.nan) for row in fitted.history_]


class Keep(Callback):
    """Keeps the codes of the labelled rows after every pass, encoded by hand."""

    def __init__(self, X):
        self.X, self.codes = X, []

    def on_epoch_end(self, net, *args, **kwargs):
        was_training = net.module_.training
        self.codes.append(net.encode_(self.X))
        net.module_.train(was_training)


def test_scores_are_those_of_the_encoder_at_the_end_of_each_pass(data):
    X, rows, y = data
    watch, keep = OnlineProbe(rows, y, every=1), Keep(rows)
    fitted = learner(watch, keep).fit(X)
    a = watch.fitted_to_
    for number, Z in enumerate(keep.codes):
        scaler = StandardScaler().fit(Z[a])
        logistic = LogisticRegression(max_iter=2000).fit(scaler.transform(Z[a]), y[a])
        knn = KNeighborsClassifier(1).fit(scaler.transform(Z[a]), y[a])
        test = scaler.transform(Z[~a]), y[~a]
        assert column(fitted, "logistic_accuracy")[number] == logistic.score(*test)
        assert column(fitted, "knn_accuracy")[number] == knn.score(*test)
        assert column(fitted, "effective_rank")[number] == pytest.approx(effective_rank(Z))
    assert len(keep.codes) == len(fitted.history_) == 4
    assert np.array_equal(keep.codes[-1], fitted.transform(rows))


def test_a_measurement_has_r2(data):
    X, rows, _ = data
    y = rows[:, 1]
    watch = OnlineProbe(rows, y, every=1)
    fitted = learner(watch).fit(X)
    a, Z = watch.fitted_to_, StandardScaler()
    train = Z.fit_transform(fitted.transform(rows[a]))
    test = Z.transform(fitted.transform(rows[~a]))
    models = {"ridge_r2": RidgeCV(np.logspace(-2, 4, 13)), "knn_r2": KNeighborsRegressor(5)}
    for name, model in models.items():
        expected = model.fit(train, y[a]).score(test, y[~a])
        assert column(fitted, name)[-1] == pytest.approx(expected, abs=1e-6)


def test_half_of_each_class_is_fitted_to(data):
    X, rows, _ = data
    y = np.array(["rare"] * 2 + ["b"] * 31 + ["c"] * 47)
    watch = OnlineProbe(rows, y)
    learner(watch, max_steps=1).fit(X)
    fitted_to = pd.Series(watch.fitted_to_).groupby(y).sum()
    assert fitted_to.to_dict() == {"rare": 1, "b": 16, "c": 24}


def test_training_is_the_same_with_it_and_without(data):
    X, rows, y = data
    torch.manual_seed(7)
    np.random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    watched, plain = learner(OnlineProbe(rows, y, every=1)).fit(X), learner().fit(X)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    for name, weight in plain.net_.module_.state_dict().items():
        assert torch.equal(weight, watched.net_.module_.state_dict()[name])
    assert column(watched, "train_bound") == column(plain, "train_bound")
    assert watched.mi_ == plain.mi_ and "valid_loss" not in watched.history_[-1]


def test_looks_are_at_the_end_of_a_pass_after_enough_steps(data):
    X, rows, y = data
    # A pass has 3 steps of 64 of 234 rows.
    fitted = learner(OnlineProbe(rows, y, every=5), max_steps=18).fit(X)
    steps = np.cumsum(column(fitted, "steps"))
    seen = np.isfinite(column(fitted, "knn_accuracy"))
    passes = int(np.ceil(5 / fitted.history_[0]["steps"]))
    assert steps[seen].tolist() == steps[passes - 1 :: passes].tolist() and not seen.all()


def test_it_is_cloned_pickled_and_searched_over(data):
    X, rows, y = data
    watch = OnlineProbe(rows, y, every=1, probes=("knn",))
    fitted = clone(learner(watch)).fit(X)
    assert fitted.callbacks[0] is not watch and "logistic_accuracy" not in fitted.history_[-1]
    again = pickle.loads(pickle.dumps(fitted))
    assert column(again, "knn_accuracy") == column(fitted, "knn_accuracy")
    grid = GridSearchCV(learner(watch), {"lr": [1e-3, 1e-2]}, cv=2).fit(X)
    assert "knn_accuracy" in grid.best_estimator_.history_[-1]


def test_rows_are_taken_as_transform_takes_them(data):
    X, rows, y = data
    names = [f"c{k}" for k in range(X.shape[1])]
    frame, labelled = pd.DataFrame(X, columns=names), pd.DataFrame(rows, columns=names)
    watch = OnlineProbe(labelled, pd.Series(y), every=1)
    fitted = learner(watch).set_output(transform="pandas").fit(frame)
    plain = learner(OnlineProbe(rows, y, every=1)).fit(X)
    assert column(fitted, "knn_accuracy") == column(plain, "knn_accuracy")
    with pytest.raises(ValueError, match="feature names"):
        learner(OnlineProbe(labelled.rename(columns={"c0": "d"}), y, every=1)).fit(frame)


def test_rows_do_not_outlive_the_fit_in_the_net(data):
    X, rows, y = data
    assert learner(OnlineProbe(rows, y)).fit(X).net_.encode_ is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every=0; expected a positive integer"),
        ({"probes": ("ridge",)}, "probe='ridge'; expected one of .* for this y"),
        ({"y": np.zeros(3)}, "y has 3 values, but X has 80 rows"),
        ({"y": np.arange(N_LABELLED)}, "OnlineProbe has 80 rows; expected two or more of a"),
        ({"y": np.ones(N_LABELLED)}, "y has 1 class"),
        ({"y": [None, *[0, 1] * 39, 1]}, "y has 1 missing values"),
    ],
)
def test_what_cannot_be_watched_is_refused(data, arguments, message):
    X, rows, y = data
    fitted = learner(OnlineProbe(**{"X": rows, "y": y, **arguments}))
    with pytest.raises(ValueError, match=message):
        fitted.fit(X)
    assert not hasattr(fitted, "net_")


def test_scores_are_drawn_beside_the_bound(data):
    X, rows, y = data
    fitted = learner(OnlineProbe(rows, y, every=5)).fit(X)
    display = TrainingDisplay.from_estimator(fitted)
    assert {"train_bound", "logistic_accuracy", "knn_accuracy"} == set(display.lines_)
    seen = np.isfinite(column(fitted, "knn_accuracy"))
    line = display.lines_["knn_accuracy"]
    assert line.get_xdata().tolist() == np.cumsum(column(fitted, "steps"))[seen].tolist()
    assert line.get_ydata().tolist() == np.array(column(fitted, "knn_accuracy"))[seen].tolist()
    assert line.axes is not display.ax_ and "knn accuracy is" in display.alt_text_
    plain = TrainingDisplay.from_estimator(learner().fit(X))
    assert set(plain.lines_) == {"train_bound"}
