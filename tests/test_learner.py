import json
import math
import os
import pickle
import random
import re
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback
from torch import nn

import sklearn_mi
from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.critics import CRITICS, Concat
from sklearn_mi.encoders import MLP, RealNVP
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.rows import split_rows
from sklearn_mi.training import NonFiniteLossError
from sklearn_mi.views import Columns, Compose, GaussianNoise, Halves, Neighbors

SMALL = MLP(hidden=(16,))


def learner(n_components=3, **params):
    params = {"encoder": SMALL, "max_steps": 10, "batch_size": 32, "random_state": 0, **params}
    return MIRepresentationLearner(n_components, **params)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(120, 2))
    return np.hstack([signal, signal + 0.3 * rng.normal(size=(120, 2)), rng.normal(size=(120, 2))])


@pytest.fixture(scope="module")
def some_digits():
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


def scores_of(fitted, X):
    """Return the critic's score of every row's first view with every row's second, as float64."""
    Z, Z_prime = (torch.as_tensor(codes) for codes in fitted.transform_views(X))
    with torch.no_grad():
        return fitted.critic_(Z, Z_prime).double().numpy()


def infonce_by_hand(fitted, X):
    """Return InfoNCE of all rows in one block, for a view that draws nothing."""
    scores = scores_of(fitted, X)
    return np.mean(np.diag(scores) - logsumexp(scores, axis=1)) + math.log(len(X))


def encoded(fitted, rows):
    """Return the codes of scaled rows, by the encoder itself."""
    with torch.no_grad():
        return fitted.encoder_(torch.as_tensor(rows, dtype=torch.float32)).numpy()


@parametrize_with_checks([MIRepresentationLearner(max_steps=20)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([MIRepresentationLearner()])
def test_scikit_learn_checks_of_the_whole_default(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_array_api_checks_fail_only_where_those_of_pca_do():
    code = """
import json, sys, warnings
warnings.simplefilter("ignore")
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator
from sklearn_mi import MIRepresentationLearner
def failures(estimator):
    records = check_estimator(estimator, on_fail=None, on_skip=None)
    return [r["check_name"] for r in records if r["status"] == "failed"]
print(json.dumps([failures(PCA()), failures(MIRepresentationLearner())]))
"""
    env = {**os.environ, "SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    of_pca, ours = json.loads(done.stdout.splitlines()[-1])
    assert not Counter(ours) - Counter(of_pca)


# Equal in, equal out


def global_state():
    return (
        torch.get_rng_state().tolist(),
        str(np.random.get_state()),
        random.getstate(),
        torch.get_num_threads(),
    )


def search(X, y, **params):
    pipe = Pipeline(
        [("mi", learner(n_threads=1, max_steps=5)), ("clf", LogisticRegression(max_iter=2000))]
    )
    grid = {
        "mi__encoder": ["mlp", MLP(hidden=(8,), dropout=0.2)],
        "mi__critic": ["bilinear", Concat(hidden=(8,))],
        "mi__objective": ["infonce", "mine"],
        "mi__view": [Halves(), Neighbors(5)],
    }
    return GridSearchCV(pipe, grid, cv=2, **params).fit(X, y)


@pytest.mark.slow
def test_grid_search_is_equal_over_runs_jobs_and_backends(some_digits):
    before = global_state()
    first = search(*some_digits, n_jobs=1)
    assert global_state() == before
    scores = first.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores)) > 4
    codes = first.best_estimator_[0].transform(some_digits[0])
    import joblib

    for backend, n_jobs in [("loky", 1), ("loky", 2), ("threading", 2)]:
        with joblib.parallel_backend(backend, n_jobs=n_jobs):
            again = search(*some_digits, n_jobs=n_jobs)
        assert np.array_equal(again.cv_results_["mean_test_score"], scores), backend
        assert np.array_equal(again.best_estimator_[0].transform(some_digits[0]), codes), backend
    assert global_state() == before


def test_grid_search_without_labels_uses_the_held_out_bound(X):
    grid = {"critic": ["bilinear", "separable"]}
    found = GridSearchCV(learner(view=Halves()), grid, cv=3, error_score="raise").fit(X)
    for k, (train, test) in enumerate(KFold(3).split(X)):
        by_hand = [
            infonce_by_hand(learner(view=Halves(), critic=critic).fit(X[train]), X[test])
            for critic in grid["critic"]
        ]
        np.testing.assert_allclose(found.cv_results_[f"split{k}_test_score"], by_hand, atol=1e-5)


def test_labels_change_nothing(X):
    y = np.arange(len(X)) % 3
    assert np.array_equal(learner().fit(X).transform(X), learner().fit(X, y).transform(X))


def test_random_state_none_differs_and_leaves_numpy_alone(X):
    before = str(np.random.get_state())
    a, b = (learner(random_state=None).fit(X).transform(X) for _ in range(2))
    assert not np.array_equal(a, b)
    assert str(np.random.get_state()) == before


def test_a_row_does_not_depend_on_its_neighbours_in_the_call(X):
    fitted = learner(encoder=MLP(hidden=(256, 256))).fit(X)
    codes = fitted.transform(X)
    parts = np.vstack([fitted.transform(X[i : i + 1]) for i in range(len(X))])
    assert np.array_equal(parts, codes)
    assert np.array_equal(fitted.transform(X[::-1]), codes[::-1])


def test_pickle_goes_on_with_the_trained_weights(X):
    fitted = learner().fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(X), fitted.transform(X))
    before = again.transform(X)
    after = again.partial_fit(X).transform(X)
    fresh = learner().partial_fit(X).transform(X)
    assert 0 < np.abs(after - before).max() < np.abs(fresh - before).max()
    assert again.n_iter_ == fitted.n_iter_ + 120 * 9 // 10 // 32


@pytest.mark.parametrize("view", [Halves(), Neighbors()], ids=repr)
def test_a_pickle_is_at_most_twice_the_parameters(some_digits, view):
    fitted = learner(32, encoder="mlp", view=view).fit(some_digits[0])
    modules = fitted.net_.module_
    size = sum(p.numel() * p.element_size() for p in modules.parameters())
    kept = sum(t.numel() * t.element_size() for t in (modules.state.tensors() or {}).values())
    assert len(pickle.dumps(fitted)) <= 2 * size + kept


def test_threads_are_restored_and_shared(X):
    before = torch.get_num_threads()
    codes = {}

    def work(i):
        codes[i] = learner(n_threads=1, max_steps=30).fit(X).transform(X)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(codes[0], codes[i]) for i in range(4))
    assert torch.get_num_threads() == before


# Kinds of rows


def test_every_kind_of_table_gives_the_same_codes(X, tmp_path):
    X = X.astype(np.float32)
    expected = learner().fit(X).transform(X)
    names = list("abcdef")
    on_disk = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=X.shape)
    on_disk[:] = X
    on_disk.flush()
    kinds = {
        "list": X.tolist(),
        "float64": X.astype(np.float64),
        "pandas": pd.DataFrame(X, columns=names),
        "polars": pl.DataFrame(X, schema=names),
        "torch": torch.as_tensor(X),
        "sparse": sparse.csr_matrix(X),
        "sparse array": sparse.csr_array(X),
        "fortran": np.asfortranarray(X),
        "memmap": np.memmap(tmp_path / "rows", dtype=np.float32, mode="r", shape=X.shape),
    }
    for kind, rows in kinds.items():
        fitted = learner().fit(rows)
        codes = fitted.transform(rows)
        assert isinstance(codes, np.ndarray), kind
        assert np.allclose(codes, expected, atol=1e-6), kind
        assert codes.dtype == (np.float64 if kind in ("list", "float64") else np.float32), kind
        assert math.isclose(fitted.score(rows), learner().fit(X).score(X), abs_tol=1e-5), kind


def test_integers_and_bytes(X):
    whole = np.round(10 * X).astype(np.int64)
    same = learner().fit(whole.astype(np.float64)).transform(whole.astype(np.float64))
    assert np.array_equal(learner().fit(whole).transform(whole), same)
    as_bytes = np.clip(whole + 100, 0, 255).astype(np.uint8)
    fitted = learner().fit(as_bytes)
    assert fitted.net_.module_.scale.scale.tolist() == [255.0]
    unit = (as_bytes / 255.0).astype(np.float32)
    expected = learner(standardize=False).fit(unit).transform(unit)
    assert np.allclose(fitted.transform(as_bytes), expected, atol=1e-5)


def test_columns_in_any_unit_give_the_same_codes(X):
    units = np.array([1e-200, 1.0, 1e200, 10.0, 1e3, 5.0])
    moved = X * units + 1e3 * units
    assert np.allclose(
        learner().fit(moved).transform(moved), learner().fit(X).transform(X), atol=1e-4
    )


@pytest.mark.slow
def test_array_dispatch_keeps_the_namespace(X):
    code = """
import numpy as np, sklearn, torch
from sklearn_mi import MIRepresentationLearner
X = torch.as_tensor(np.random.default_rng(0).normal(size=(60, 4)))
with sklearn.config_context(array_api_dispatch=True):
    learner = MIRepresentationLearner(2, max_steps=3, random_state=0).fit(X)
    Z = learner.transform(X)
    assert isinstance(Z, torch.Tensor) and Z.dtype == X.dtype and Z.device == X.device
    try:
        learner.transform(X.numpy())
    except ValueError as error:
        assert "same namespace" in str(error)
    else:
        raise AssertionError
codes = learner.transform(X)
assert isinstance(codes, np.ndarray) and np.allclose(Z.numpy(), codes, atol=1e-6)
"""
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)])
def test_images(shape):
    images = np.random.default_rng(0).integers(0, 255, (40, *shape)).astype(np.uint8)
    fitted = learner(view=Halves("left-right"), encoder="convnet").fit(images)
    codes = fitted.transform(images)
    assert codes.shape == (40, 6) and codes.dtype == np.float32
    # Three numbers of the left half, then three of the right.
    changed = images.copy()
    changed[:, :, 3:] = 255 - changed[:, :, 3:]
    assert np.array_equal(fitted.transform(changed)[:, :3], codes[:, :3])
    assert (fitted.transform(changed)[:, 3:] != codes[:, 3:]).any(axis=1).all()
    with pytest.raises(ValueError, match="is expecting rows of shape"):
        fitted.transform(images[:, :, :-1])
    with pytest.raises(ValueError, match=r"Pass X\[None\] if it is one row\."):
        fitted.transform(images[0])
    flat = learner(view=Halves("left-right"), encoder="convnet", input_shape=shape)
    codes_flat = flat.fit(images.reshape(40, -1)).transform(images.reshape(40, -1))
    assert np.array_equal(codes_flat, codes)


@pytest.mark.parametrize("shape", [(1, 8, 6), (3, 8, 8), (3, 8, 6), (4, 8, 8)])
def test_channels_first_is_an_error_with_the_cure(shape):
    with pytest.raises(ValueError, match=r"np.moveaxis\(X, 1, -1\)"):
        learner().fit(np.zeros((20, *shape)))
    with pytest.raises(ValueError, match=r"input_shape=.*np.moveaxis\(X.reshape"):
        learner(input_shape=shape).fit(np.zeros((20, np.prod(shape))))


# Two tables


def test_paired_tables(X):
    first, second = X[:, :2], X[:, 2:]
    fitted = learner(max_steps=200, critic="bilinear").fit(first, X_pair=second)
    assert fitted.transform(first).shape == fitted.transform_pair(second).shape == (120, 3)
    assert fitted.score(first, X_pair=second) > fitted.score(first, X_pair=second[::-1]) + 0.3
    with pytest.raises(ValueError, match="needs the second table"):
        fitted.score(first)
    with pytest.raises(ValueError, match="has 4 features|expecting 4 features"):
        fitted.transform_pair(first)
    with pytest.raises(ValueError, match="119"):
        learner().fit(first, X_pair=second[1:])
    with pytest.raises(ValueError, match="makes its pairs from X alone"):
        learner(view="noise").fit(first, X_pair=second)
    with pytest.raises(ValueError, match="needs the second table"):
        learner(view="paired").fit(first)
    with pytest.raises(ValueError, match="transform_pair"):
        learner(output="both").fit(first, X_pair=second)
    with pytest.raises(ValueError, match="without X_pair"):
        learner().fit(first).transform_pair(second)


def test_the_second_table_is_routed_through_a_pipeline_and_a_grid(X):
    y = (X[:, 0] > 0).astype(int)
    with sklearn.config_context(enable_metadata_routing=True):
        mi = learner().set_fit_request(X_pair=True)
        pipe = Pipeline([("mi", mi), ("clf", LogisticRegression())])
        found = GridSearchCV(pipe, {"mi__n_components": [2, 3]}, cv=2, error_score="raise")
        found.fit(X[:, :2], y, X_pair=X[:, 2:])
    for n_components, mean in zip((2, 3), found.cv_results_["mean_test_score"], strict=True):
        accuracies = []
        for train, test in StratifiedKFold(2).split(X, y):
            by_hand = learner(n_components).fit(X[train, :2], X_pair=X[train, 2:])
            classifier = LogisticRegression().fit(by_hand.transform(X[train, :2]), y[train])
            accuracies.append(classifier.score(by_hand.transform(X[test, :2]), y[test]))
        assert mean == pytest.approx(np.mean(accuracies))
    whole = learner(**found.best_estimator_[0].get_params(deep=False))
    codes = whole.fit(X[:, :2], X_pair=X[:, 2:]).transform(X[:, :2])
    assert np.array_equal(found.best_estimator_[0].transform(X[:, :2]), codes)


def test_columns_by_name_in_a_pipeline(X):
    frame = pd.DataFrame(X, columns=list("abcdef"))

    def piped(view, rows, **params):
        scaler = StandardScaler().set_output(transform="pandas")
        return make_pipeline(scaler, learner(view=view, **params)).fit_transform(rows)

    named = Columns(["a", "b"], ["c", "d", "e"])
    codes = piped(named, frame)
    assert np.array_equal(codes, piped(Columns([0, 1], [2, 3, 4]), frame))
    # Names find their columns wherever they stand.
    np.testing.assert_allclose(piped(named, frame[list("fedcba")]), codes, atol=1e-6)
    np.testing.assert_array_equal(piped(named, frame, output="first"), codes[:, :3])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(X, library):
    frame = learner().set_output(transform=library).fit_transform(X)
    assert list(frame.columns) == [f"mirepresentationlearner{i}" for i in range(3)]
    assert type(frame).__module__.startswith(library)
    assert np.array_equal(frame.to_numpy(), learner().fit_transform(X))


# Training that is looked at on its way

RESUMED = {
    "neighbours": {},
    "dropout": {"encoder": MLP(hidden=(8,), dropout=0.3), "view": "noise"},
    "moving average": {"objective": "mine", "view": Halves(), "schedule": "cosine"},
    "own function": {"view": lambda x: (x + torch.randn_like(x), x)},
}


@pytest.mark.parametrize("case", RESUMED)
def test_stops_and_a_kill_change_nothing(X, tmp_path, case):
    params, file = RESUMED[case], tmp_path / "checkpoint"
    expected = learner(**params, max_steps=9).fit(X).transform(X)
    watched = learner(**params)
    assert list(watched.fit_iter(X, at=(0, 2, 7, 9))) == [0, 2, 7, 9]
    assert np.array_equal(watched.transform(X), expected) and watched.n_iter_ == 9
    for step in learner(**params).fit_iter(X, at=(0, 2, 7, 9), checkpoint=file):
        if step == 7:
            break  # a kill: the checkpoint is that of step 2
    again = learner(**params)
    assert list(again.fit_iter(X, at=(0, 2, 7, 9), checkpoint=file)) == [7, 9]
    assert np.array_equal(again.transform(X), expected) and again.n_iter_ == 9
    assert sum(row["steps"] for row in again.history_) == 9


def test_stops_must_increase(X):
    for at in ((), (5, 2), (-1, 3), (2, 2)):
        with pytest.raises(ValueError, match="increasing numbers"):
            next(learner().fit_iter(X, at=at))
    with pytest.raises(ValueError, match="early_stopping=False"):
        next(learner(early_stopping=True).fit_iter(X, at=(1,)))


# What can be chosen


@pytest.mark.parametrize("objective", [*BOUNDS, *OBJECTIVES])
@pytest.mark.parametrize("critic", CRITICS)
def test_every_critic_with_every_objective(X, critic, objective):
    one = learner(critic=critic, objective=objective, max_steps=3, view=Halves())
    if objective == "each-part" and critic not in ("split", "cauchy-cosine"):
        with pytest.raises(ValueError, match=r"take critic=Split"):
            one.fit(X)
        return
    fitted, made = one.fit(X), {**BOUNDS, **OBJECTIVES}[objective]()
    held_out = X[split_rows(len(X), (0, 12), 0)[2]]
    assert fitted.mi_.bound == "InfoNCE" and fitted.mi_.objective.bound == type(made).__name__
    assert fitted.mi_.value == pytest.approx(infonce_by_hand(fitted, held_out), abs=1e-5)
    if objective in BOUNDS and not made.has_head:
        value = float(made(torch.as_tensor(scores_of(fitted, held_out))))
        assert fitted.mi_.objective.value == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_a_nested_key_expands_a_name(X):
    named = MIRepresentationLearner(encoder="mlp", view="neighbors")
    changed = named.set_params(encoder__hidden=(64,), view__n_neighbors=3)
    assert changed.encoder.hidden == (64,) and changed.view.n_neighbors == 3
    assert clone(changed).encoder.hidden == (64,)
    both = MIRepresentationLearner().set_params(critic="concat", critic__hidden=(5,))
    assert both.critic.hidden == (5,)
    with pytest.raises(ValueError, match="Invalid parameter 'hiden'"):
        MIRepresentationLearner(encoder="mlp").set_params(encoder__hiden=(64,))


def test_given_modules_are_copied_never_trained(X):
    module = nn.Linear(6, 4)
    before = module.weight.detach().clone()
    fitted = learner(None, encoder=module, encoder_y=module).fit(X)
    assert torch.equal(module.weight, before)
    assert fitted.encoder_ is not fitted.encoder_y_
    assert not torch.equal(fitted.encoder_.weight, before)
    trained, rows = fitted.encoder_, fitted.net_.module_.scale(torch.as_tensor(X)).numpy()
    by_hand = rows @ trained.weight.detach().numpy().T + trained.bias.detach().numpy()
    np.testing.assert_allclose(fitted.transform(X), by_hand, atol=1e-5)
    with pytest.raises(ValueError, match="n_components=3.*4|4.*n_components=3"):
        learner(3, encoder=module).fit(X)


def test_shared_and_separate_encoders(X):
    shared = learner(view=Halves(), encoder_y="shared").fit(X)
    assert shared.encoder_y_ is shared.encoder_
    separate = learner(encoder_y="separate").fit(X)
    assert separate.encoder_y_ is not separate.encoder_
    mixed = learner(encoder_y=MLP(hidden=(5,)), view=Halves()).fit(X)
    assert mixed.encoder_y_ is not mixed.encoder_
    with pytest.raises(ValueError, match="two views of one shape"):
        learner(encoder_y="shared", view=Columns([0], [1, 2])).fit(X)


def test_the_head_is_trained_and_thrown_away(X):
    heads, fitted = [], learner(5, head=MLP(hidden=(7,)))
    for _ in fitted.fit_iter(X, at=(0, 10)):
        model = fitted.net_.module_
        heads.append(model.first_head[1].weight.detach().clone())
    assert (heads[0] != heads[1]).any(dim=1).all()
    rows = model.scale(torch.as_tensor(X))
    with torch.no_grad():
        codes, heads = model.encoder(rows), model.first_head(model.encoder(rows))
    np.testing.assert_allclose(fitted.transform(X), codes, atol=1e-6)
    assert codes.shape == (120, 5) and heads.shape[1] == 32


def test_early_stopping_keeps_the_best_weights_and_reports_on_other_rows(X):
    X = np.vstack([X] * 4) + 0.01 * np.random.default_rng(1).normal(size=(480, 6))
    fitted = learner(
        early_stopping=20, validation_fraction=0.4, max_steps=400, lr=0.05, view=Halves()
    ).fit(X)
    bounds = [row["valid_bound"] for row in fitted.history_]
    assert fitted.n_iter_ < 400
    assert fitted.mi_.n_pairs == 96
    _, stopping, _ = split_rows(len(X), (96, 192), 0)
    assert fitted.score(X[stopping]) == pytest.approx(max(bounds), abs=1e-6)
    with pytest.raises(ValueError, match="needs rows to stop by"):
        learner(early_stopping=True, validation_fraction=0.0).fit(X)


class Beginning(Callback):
    """Keep the weights that training begins with."""

    def on_train_begin(self, net, **kwargs):
        self.weights = [weight.detach().clone() for weight in net.module_.parameters()]


def weights_of(fitted):
    return [weight.detach().clone() for weight in fitted.net_.module_.parameters()]


def test_warm_start_goes_on(X):
    beginning = Beginning()
    twice = learner(warm_start=True, callbacks=[beginning]).fit(X)
    first = weights_of(twice)
    twice.fit(X)
    assert all(map(torch.equal, beginning.weights, first))
    assert not any(map(torch.equal, weights_of(twice), first))
    assert twice.n_iter_ == sum(row["steps"] for row in twice.history_) == 20
    # Without it a fit forgets what was learned.
    again = learner().fit(X[::-1]).fit(X)
    assert again.n_iter_ == 10 and np.array_equal(again.transform(X), learner().fit(X).transform(X))


def test_partial_fit_learns_from_chunks(X):
    chunks = learner(critic="bilinear", view=Halves())
    for _ in range(20):
        for part in np.array_split(X, 2):
            chunks.partial_fit(part)
    once = learner(critic="bilinear", view=Halves()).partial_fit(X)
    assert chunks.score(X) > once.score(X) + 0.1
    assert "earlier call" in " ".join(chunks.mi_.warnings)


class Gradients(Callback):
    """Keep the weights and gradients that each step of the optimiser starts from."""

    def __init__(self):
        self.weights, self.gradients = [], []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.weights.append([weight.detach().clone() for _, weight in named_parameters])
        self.gradients.append([weight.grad.clone() for _, weight in named_parameters])


def between(start, end, share):
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def one_cycle(step, first, top, last):
    """Return the value at one of eleven steps: up for three tenths of them, then down."""
    turn = 0.3 * 11 - 1
    if step <= turn:
        return between(first, top, step / turn)
    return between(top, last, (step - turn) / (10 - turn))


RATES = {
    "constant": lambda step: 0.01,
    "cosine": lambda step: between(0.01, 0.0, step / 10),
    "linear": lambda step: 0.01 * (1 - step / 10),
    "one-cycle": lambda step: one_cycle(step, 0.01 / 25, 0.01, 0.01 / 25e4),
}
STEPPERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@pytest.mark.parametrize("schedule", RATES)
@pytest.mark.parametrize("optimizer", [*STEPPERS, torch.optim.RAdam], ids=str)
def test_optimisers_and_schedules(X, optimizer, schedule):
    kept = Gradients()
    how = {"optimizer": optimizer, "schedule": schedule, "lr": 0.01, "weight_decay": 0.1}
    fitted = learner(**how, callbacks=[kept]).fit(X)
    # The optimiser of torch walks the same way by the same gradients and the schedule's formula.
    momentum = {"momentum": 0.9} if optimizer == "sgd" else {}
    by_hand = [nn.Parameter(weight.clone()) for weight in kept.weights[0]]
    stepper = STEPPERS.get(optimizer, optimizer)(by_hand, weight_decay=0.1, **momentum)
    for step, gradients in enumerate(kept.gradients):
        group = stepper.param_groups[0]
        group["lr"] = RATES[schedule](step)
        if schedule == "one-cycle":
            inertia = one_cycle(step, 0.95, 0.85, 0.95)
            group.update({"momentum": inertia} if momentum else {"betas": (inertia, 0.999)})
        for weight, gradient in zip(by_hand, gradients, strict=True):
            weight.grad = gradient
        stepper.step()
    assert len(kept.gradients) == 10
    for weight, known in zip(weights_of(fitted), by_hand, strict=True):
        torch.testing.assert_close(weight, known.detach(), rtol=1e-5, atol=1e-6)


def test_lengths(X):
    assert learner(max_steps=7).fit(X).n_iter_ == 7
    assert learner(max_steps=None, max_epochs=4).fit(X).n_iter_ == 4 * (108 // 32)


def test_low_precision_training_agrees(X):
    plain = learner(encoder=MLP(hidden=(32,))).fit(X)
    low = learner(encoder=MLP(hidden=(32,)), precision="bfloat16").fit(X)
    assert low.transform(X).dtype == np.float64
    assert 0 < np.abs(low.transform(X) - plain.transform(X)).max() < 0.2


def test_low_precision_is_that_of_training_alone(X, tmp_path):
    low = learner(encoder=MLP(hidden=(32,)), precision="bfloat16").fit(X)
    assert low.score(X) == low.set_params(precision="float32").score(X)
    low.save(tmp_path / "file")
    assert load(tmp_path / "file").score(X) == low.score(X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compile(X):
    plain, compiled = (learner(compile=c).fit(X).transform(X) for c in (False, True))
    # The Cauchy critic sees differences of codes only, and Adam makes steps of rounding errors.
    assert np.allclose(compiled - compiled.mean(0), plain - plain.mean(0), atol=1e-4)


@pytest.mark.gpu
def test_gpu_and_cpu_agree(X):
    fitted = learner(device="cuda").fit(X)
    assert next(fitted.encoder_.parameters()).is_cuda
    on_cpu = learner(device="cpu").fit(X)
    assert np.allclose(fitted.transform(X), on_cpu.transform(X), atol=1e-3)
    assert np.array_equal(learner(device="cuda").fit(X).transform(X), fitted.transform(X))
    again = pickle.loads(pickle.dumps(fitted))
    assert np.allclose(again.transform(X), fitted.transform(X), atol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"view": Halves()},
        {"view": Halves(), "output": "first"},
        {"view": Halves(), "output": "with-columns"},
    ],
)
def test_bijective_encoders_can_be_run_backwards(X, params):
    encoder = RealNVP(couplings=4, hidden=(16,))
    X = np.hstack([100 * X, np.full((120, 2), 7.0)])
    fitted = learner(None, encoder=encoder, **params).fit(X)
    back = fitted.inverse_transform(fitted.transform(X))
    expected = X[:, :4] if "output" in params else X
    assert np.allclose(back, expected, atol=1e-3)
    with pytest.raises(ValueError, match="X has 1 columns"):
        fitted.inverse_transform(X[:, :1])
    assert not hasattr(learner().fit(X), "inverse_transform")


# Numbers


def test_the_bound_rises_and_is_reported_with_its_caveats(X):
    fitted = learner(max_steps=300, view=Columns([0, 1], [2, 3]), critic="bilinear").fit(X)
    mi = fitted.mi_
    assert fitted.history_[-1]["train_bound"] > fitted.history_[0]["train_bound"] + 0.5
    assert mi.value > 0.5 and mi.stderr > 0 and mi.status == "lower" and mi.unit == "nats"
    assert mi.n_pairs == 12 and mi.ceiling == pytest.approx(math.log(12))
    assert "only 12 held-out rows" in " ".join(mi.warnings)
    assert "InfoNCE" in str(mi) and float(mi) == mi.value
    assert "conditional on 108" in " ".join(learner().fit(X).mi_.warnings)
    assert math.isnan(learner(validation_fraction=0.0).fit(X).mi_.value)


@pytest.mark.parametrize("objective", ["infonce", "nwj", "js"])
@pytest.mark.parametrize("seed", range(3))
def test_independent_tables_have_no_significant_bound(objective, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 600, 3))
    fitted = learner(objective=objective, max_steps=200, random_state=seed)
    mi = fitted.fit(first, X_pair=second).mi_
    # One-sided at 0.1 %, so that nine honest tests fail together once in a hundred times.
    assert mi.value < 3.1 * mi.stderr
    assert mi.objective.value < 3.1 * mi.objective.stderr


def test_score_is_the_same_quantity_for_every_objective(X):
    for objective in ("infonce", "nwj"):
        fitted = learner(objective=objective, view=Halves(), eval_block_size=16).fit(X)
        assert fitted.score(X) <= math.log(16)
        fitted.set_params(eval_block_size=120)
        assert fitted.score(X) == pytest.approx(infonce_by_hand(fitted, X), abs=1e-5)


def test_codes_of_both_views_are_those_of_the_encoders(X):
    fitted = MIRepresentationLearner(
        3, view="halves", max_steps=5, n_threads=1, eval_block_size=16, random_state=0
    ).fit(X)
    Z, Z_prime = fitted.transform_views(X)
    both = fitted.transform(X)
    np.testing.assert_allclose(np.hstack([Z, Z_prime]), both, atol=1e-5)
    # A view that draws draws the same for the same rows, and other rows for both views.
    noisy = clone(fitted).set_params(view="noise").fit(X)
    first, second = noisy.transform_views(X), noisy.transform_views(X)
    assert (first[0] == second[0]).all() and not np.allclose(first[0], first[1])
    paired = clone(fitted).set_params(view="paired").fit(X, X_pair=X[:, :2])
    Z, Z_prime = paired.transform_views(X, X_pair=X[:, :2])
    np.testing.assert_allclose(Z_prime, paired.transform_pair(X[:, :2]), atol=1e-5)
    with pytest.raises(ValueError, match="needs the second table"):
        paired.transform_views(X)


def test_every_bound_of_a_critic(X):
    fitted = learner(view=Halves(), objective="nwj", eval_block_size=120).fit(X)
    before = global_state()
    values = fitted.bounds(X)
    assert global_state() == before
    assert values["objective"] == values["maximised"] == values["nwj"]
    scores = scores_of(fitted, X)
    # Those with a head of their own, such as TUBA, have no value on another bound's critic.
    made = {name: make() for name, make in BOUNDS.items()}
    expected = {
        name: float(bound(torch.as_tensor(scores)))
        for name, bound in made.items()
        if not bound.has_head
    }
    assert set(expected) == set(values) - {"objective", "maximised"} and "tuba" not in values
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-5)
    nwj = np.diag(scores).mean() - np.exp(scores[~np.eye(120, dtype=bool)] - 1).mean()
    assert values["nwj"] == pytest.approx(nwj, rel=1e-4)
    assert values["infonce"] == pytest.approx(infonce_by_hand(fitted, X), abs=1e-5)


# Bad input loses nothing


BAD = {
    "NaN alone": (lambda X: np.full_like(X, np.nan), {}, "no value in any column"),
    "inf": (lambda X: np.where(X > 2, np.inf, X), {}, "infinity"),
    "objects": (lambda X: np.array([[{}, "b"]] * 9, dtype=object), {}, "holds dict objects"),
    "1-D": (lambda X: X[0], {}, "Expected 2D array"),
    "one row": (lambda X: X[:1], {}, "1 sample"),
    "no row": (lambda X: X[:0], {}, "0 sample"),
    "complex": (lambda X: X + 1j, {}, "Complex data"),
    "one column in halves": (lambda X: X[:, :1], {"view": Halves()}, "cannot split"),
    "left-right of flat rows": (lambda X: X, {"view": Halves("left-right")}, "input_shape"),
    "wrong input_shape": (lambda X: X, {"input_shape": (4, 4)}, "16 entries"),
    "unknown critic": (lambda X: X, {"critic": "bilinera"}, "Did you mean 'bilinear'"),
    "unknown encoder": (lambda X: X, {"encoder": "mpl"}, "Did you mean 'mlp'"),
    "unknown objective": (lambda X: X, {"objective": "infonse"}, "Did you mean 'infonce'"),
    "unknown view": (lambda X: X, {"view": "halvs"}, "Did you mean 'halves'"),
    "unknown optimizer": (lambda X: X, {"optimizer": "adm"}, "Did you mean 'adam"),
    "unknown schedule": (lambda X: X, {"schedule": "cosin"}, "Did you mean 'cosine'"),
    "both lengths": (lambda X: X, {"max_epochs": 3}, "both given"),
    "no components": (lambda X: X, {"n_components": 0}, "n_components"),
    "batch of one": (lambda X: X, {"batch_size": 1}, "batch_size"),
    "negative lr": (lambda X: X, {"lr": -1.0}, "lr"),
    "fixed width": (lambda X: X, {"encoder": "identity"}, "conflicts"),
    "unlike widths": (
        lambda X: X,
        {"encoder": "identity", "n_components": None, "view": Columns([0], [1, 2])},
        "bilinear",
    ),
    "no such device": (lambda X: X, {"device": "gpu"}, "expected 'auto'"),
    "a class that is no factory": (lambda X: X, {"encoder": nn.Linear}, "made no encoder"),
    "a critic of one input": (lambda X: X, {"critic": nn.Linear(3, 3)}, "does not accept"),
    "no input_shape": (lambda X: X, {"input_shape": "6"}, "positive integers"),
    "negative input_shape": (lambda X: X, {"input_shape": (-2, -3)}, "positive integers"),
    "a word as callbacks": (lambda X: X, {"callbacks": "x"}, "list of skorch callbacks"),
    "a number as callback": (lambda X: X, {"callbacks": [3]}, "list of skorch callbacks"),
    "LBFGS": (lambda X: X, {"optimizer": torch.optim.LBFGS}, "use adam"),
    "images for an MLP's critic": (lambda X: X, {"encoder": "convnet"}, "input_shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_and_loses_nothing(X, name):
    make, params, words = BAD[name]
    fitted = learner().fit(X)
    codes = fitted.transform(X)
    fitted.set_params(**params)
    with pytest.raises((ValueError, TypeError), match=words):
        fitted.fit(make(X))
    fitted.set_params(**learner().get_params(deep=False))
    assert np.array_equal(fitted.transform(X), codes)


def test_an_error_of_ones_own_in_training_loses_nothing(X):
    fitted = learner().fit(X)
    codes, calls = fitted.transform(X), []

    def view(x):
        calls.append(1)
        return (x, x) if len(calls) < 5 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        fitted.set_params(view=view).fit(X)
    assert np.array_equal(fitted.transform(X), codes) and fitted.n_iter_ == 10
    unfitted = learner(view=view)
    with pytest.raises(ZeroDivisionError):
        unfitted.fit(X)
    with pytest.raises(NotFittedError):
        unfitted.transform(X)


class Failing(Callback):
    """Ends a training by an error after a pass."""

    def on_epoch_end(self, net, **kwargs):
        raise ZeroDivisionError


@pytest.mark.parametrize("params", [{"view": "neighbors"}, {"negatives": "queue"}], ids=str)
@pytest.mark.parametrize("why", ["rows", "training"])
def test_a_failed_partial_fit_leaves_the_learner_as_it_was(X, params, why):
    fitted, other = learner(**params).fit(X), learner(**params).fit(X)
    codes, score = fitted.transform(X), fitted.score(X)
    attributes = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    if why == "training":
        with pytest.raises(ZeroDivisionError):
            fitted.set_params(callbacks=[Failing()]).partial_fit(X[:50])
        fitted.set_params(callbacks=None)
    else:
        with pytest.raises(ValueError, match="6 features"):
            fitted.partial_fit(X[:50, :5])
    assert {n: v for n, v in vars(fitted).items() if n.endswith("_")} == attributes
    assert np.array_equal(fitted.transform(X), codes) and fitted.score(X) == score
    # Moments of the optimiser and draws are as they were, too.
    assert np.array_equal(fitted.partial_fit(X).transform(X), other.partial_fit(X).transform(X))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told(X):
    with pytest.raises(ValueError, match="no GPU is available"):
        learner(device="cuda").fit(X)


@pytest.mark.parametrize(
    ("rows", "params"),
    [
        (lambda X: X[:2], {}),
        (lambda X: X[:3], {}),
        (lambda X: X[:, :1], {}),
        (lambda X: np.ones((30, 3)), {}),
        (lambda X: X[:20], {"batch_size": 512}),
        (lambda X: X[:6], {"n_components": 40}),
        (lambda X: np.vstack([X[:1]] * 30), {}),
    ],
    ids=["2 rows", "3 rows", "1 column", "constant", "n < batch", "n < components", "equal rows"],
)
def test_odd_tables_that_are_fine(X, rows, params):
    rows = rows(X)
    fitted = learner(**params).fit(rows)
    assert fitted.n_iter_ == 10
    # Columns in parts of their range, one factor for all; a column without spread is zero.
    held_out = max(2, round(len(rows) / 10))
    kept = rows[split_rows(len(rows), (0, held_out if len(rows) - held_out > 1 else 0), 0)[0]]
    spread = np.ptp(kept, axis=0)
    varies = spread > 0
    factor = np.sqrt((kept[:, varies] / spread[varies]).var(axis=0).mean()) if varies.any() else 1
    scale = np.where(varies, spread * factor, np.inf)
    codes = fitted.transform(rows)
    np.testing.assert_allclose(codes, encoded(fitted, (rows - kept.mean(0)) / scale), atol=1e-5)


def test_wrong_kinds(X):
    for params in ({"critic": 3}, {"encoder": 3}, {"objective": 3}, {"optimizer": 3}, {"view": 3}):
        with pytest.raises(TypeError, match="=3; expected"):
            learner(**params).fit(X)


def test_unfitted_and_wrong_width(X):
    for call in ("transform", "score", "transform_pair"):
        with pytest.raises(NotFittedError):
            getattr(learner(), call)(X)
    with pytest.raises(ValueError, match="X has 5 features, but MIRepresentationLearner"):
        learner().fit(X).transform(X[:, :5])


class Exploding(nn.Module):
    """Fine until its weight has been moved a few times."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls = 0

    def forward(self, z_x, z_y):
        self.calls += self.training
        return self.weight * (z_x @ z_y.T) * (float("nan") if self.calls > 140 else 1.0)


def test_a_loss_that_is_not_finite_stops_training_with_finite_weights(X):
    fitted = learner(critic=Exploding(), max_steps=400)
    with pytest.raises(NonFiniteLossError, match=r"step 141.*weights of step 1[0-3]\d.*Lower lr"):
        fitted.fit(X)
    assert np.isfinite(fitted.transform(X)).all()
    assert fitted.n_iter_ >= 141


class Interrupting(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_a_usable_model_and_is_raised_again(X):
    fitted = learner(callbacks=[Interrupting()], max_steps=100)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    assert fitted.n_iter_ == 6 and len(fitted.history_) == 2
    # What two passes have learned.
    whole = learner(max_steps=6).fit(X)
    assert np.array_equal(fitted.transform(X), whole.transform(X))
    assert fitted.score(X) == whole.score(X) and fitted.mi_ == whole.mi_


class Listening(Callback):
    def initialize(self):
        self.heard = []
        return self

    def on_batch_begin(self, net, **kwargs):
        self.heard.append("begin")

    def on_batch_end(self, net, **kwargs):
        self.heard.append("end")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.heard.append(len(list(named_parameters)))


def test_callbacks_with_batch_hooks_are_called_and_change_nothing(X):
    heard = learner(callbacks=[("ear", Listening())]).fit(X)
    ear = dict(heard.net_.callbacks_)["ear"]
    assert ear.heard == ["begin", 4, "end"] * 10
    assert np.array_equal(heard.transform(X), learner().fit(X).transform(X))


def test_verbose_shows_the_bound_in_nats(X, capsys):
    learner(verbose=1).fit(X)
    shown = capsys.readouterr().err
    assert "nats" in shown and "InfoNCE" in shown and "10/10" in shown
    # Seconds that are gone, and an estimate of those that are left.
    assert re.search(r"10/10 \[\d\d:\d\d<\d\d:\d\d", shown)


def test_a_bar_goes_on_where_training_stopped(X, capsys):
    for _ in learner(verbose=1).fit_iter(X, at=(0, 4, 10)):
        pass
    bars = capsys.readouterr().err
    assert "4/10" in bars and "10/10" in bars and "0/0" not in bars
    # The second bar begins at 4.
    assert bars.count(" 0/10") == 1


def test_where_nothing_is_trained_there_is_no_bar(capsys):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    mixed = rows.assign(c=["red", "blue"] * 30)
    fitted = MIRepresentationLearner(verbose=1, random_state=0).fit(mixed)
    shown = capsys.readouterr().err
    assert fitted.n_iter_ == 0 and "view=" in shown and "step" not in shown.split("max_steps=")[-1]
    assert "it/s" not in shown and "?step" not in shown


def test_views_with_the_shared_noise_of_the_paper(X):
    view = Compose(Halves(), GaussianNoise(0.05, shared=True))
    fitted = learner(None, view=view, encoder="identity", critic="bilinear").fit(X)
    rows = fitted.net_.module_.scale(torch.as_tensor(X)).numpy()
    noise = [
        Z - half for Z, half in zip(fitted.transform_views(X), np.hsplit(rows, 2), strict=True)
    ]
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-6)
    assert noise[0].std() == pytest.approx(0.05, rel=0.15)
    np.testing.assert_allclose(fitted.transform(X), rows, atol=1e-6)  # new rows get none
    assert "noise is shared" in fitted.mi_.warnings[0]


def test_the_package_says_what_it_has():
    assert {"MIRepresentationLearner", "load", "views", "bounds"} <= set(dir(sklearn_mi))
    assert sklearn_mi.views.Halves is Halves
    with pytest.raises(AttributeError, match="no attribute"):
        _ = sklearn_mi.nothing
