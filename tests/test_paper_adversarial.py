import copy
from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from sklearn_mi.encoders import MLP, RealNVP
from sklearn_mi.evaluation import linear_probe
from sklearn_mi.paper import AdversarialEncoder
from sklearn_mi.rows import Order
from sklearn_mi.study import Split, run_study
from sklearn_mi.training import NonFiniteLossError

SMALL = AdversarialEncoder(
    RealNVP(couplings=2, hidden=(8,)), warm_up=7, max_steps=6, batch_size=16, n_threads=1
)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@parametrize_with_checks(
    [
        AdversarialEncoder(
            MLP(hidden=(8,)), n_components=2, max_steps=5, warm_up=5, n_threads=1, random_state=0
        )
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def common_range(X):
    """Return mean and scale of columns: each by its range, all by one factor to variance 1."""
    spread = np.ptp(X, axis=0)
    spread[spread == 0] = np.inf
    varies = np.isfinite(spread)
    return X.mean(0), spread * np.sqrt((X / spread)[:, varies].var(0).mean())


@pytest.mark.slow
def test_a_linear_probe_finds_less_and_nothing_is_lost():
    X, y = load_digits(return_X_y=True)
    learner = AdversarialEncoder(
        RealNVP(couplings=4, hidden=(64,)),
        warm_up=100,
        max_steps=500,
        lr=3e-3,
        classifier_lr=1e-2,
        n_threads=1,
        random_state=0,
    )
    found = []
    for _ in learner.fit_iter(X[:1000], y[:1000], at=(0, 500)):
        Z, Z_new = learner.transform(X[:1000]), learner.transform(X[1000:])
        found.append(linear_probe(Z, y[:1000], Z_new, y[1000:]))
    assert found[1] < found[0] - 0.05
    with torch.no_grad():
        rows = learner.encoder_.inverse(torch.tensor(learner.transform(X[1000:])).float())
    mean, scale = common_range(X[:1000])
    varies = np.isfinite(scale)
    again = mean[varies] + rows.numpy()[:, varies] * scale[varies]
    assert np.allclose(again, X[1000:, varies], atol=1e-2)


def test_weights_stay_finite_where_training_leaves_the_numbers(iris):
    encoder = RealNVP(affine=True, couplings=10, hidden=(8,))
    learner = AdversarialEncoder(encoder, lr=10.0, max_steps=500, warm_up=5, random_state=0)
    with pytest.raises(NonFiniteLossError, match="step .*; the weights of step .*Lower lr=10"):
        learner.fit(*iris)
    assert 0 < learner.n_iter_ < 500
    assert all(weight.isfinite().all() for weight in learner.encoder_.parameters())


def batches(n, size, random_state):
    """Yield the row numbers of each step, as every learner here draws them from its seed."""
    seed = int(np.random.RandomState(random_state).randint(2**31 - 1))
    order = Order(n, size, seed)
    while True:
        order.allow(1)
        yield next(order.rest_of_pass())


def test_the_steps_are_those_of_the_definition(iris):
    """Against a loop with plain Adam, batch by batch."""
    X, y = iris
    learner = clone(SMALL).set_params(
        encoder="linear",
        n_components=3,
        warm_up=0,
        classifier_steps=5,
        lr=1e-2,
        classifier_lr=1e-2,
        random_state=0,
    )
    steps = learner.fit_iter(X, y, at=(0, 1))
    next(steps)
    encoder, classifier = copy.deepcopy((learner.encoder_, learner.classifier_))
    next(steps)
    of_encoder = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    of_classifier = torch.optim.Adam(classifier.parameters(), lr=1e-2)
    mean, scale = common_range(X)
    rows = torch.tensor((X - mean) / scale, dtype=torch.float32)
    labels = torch.tensor(y)
    seen = list(islice(batches(150, 16, 0), 6))
    for numbers in seen[:5]:
        loss = nn.functional.cross_entropy(classifier(encoder(rows[numbers])), labels[numbers])
        of_classifier.zero_grad()
        loss.backward()
        of_classifier.step()
    uniform = torch.full((16, 3), 1 / 3)
    of_encoder.zero_grad()
    nn.functional.cross_entropy(classifier(encoder(rows[seen[5]])), uniform).backward()
    of_encoder.step()
    for ours, plain in ((learner.encoder_, encoder), (learner.classifier_, classifier)):
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_equal_seeds_and_a_checkpoint_give_equal_weights(iris, tmp_path):
    X, y = iris
    before = torch.get_rng_state()
    Z = clone(SMALL).set_params(random_state=3).fit(X, y).transform(X)
    first = clone(SMALL).set_params(random_state=3)
    for _ in first.fit_iter(X, y, at=(2, 4), checkpoint=tmp_path / "run.pt"):
        pass
    second = clone(SMALL).set_params(random_state=3)
    assert list(second.fit_iter(X, y, at=(2, 6), checkpoint=tmp_path / "run.pt")) == [6]
    assert (second.transform(X) == Z).all()
    assert torch.equal(torch.get_rng_state(), before)


def resumed(X, y, path, **params):
    again = clone(SMALL).set_params(**params)
    return again, list(again.fit_iter(X, y, at=(2, 4), checkpoint=path))


def test_a_checkpoint_of_another_training_is_refused(iris, tmp_path):
    X, y = iris
    path = tmp_path / "run.pt"
    next(run := clone(SMALL).set_params(random_state=3).fit_iter(X, y, at=(2, 4), checkpoint=path))
    next(run)  # the checkpoint of step 2 is written between
    for given, params, words in (
        ((X, y), {"random_state": 4}, r"seed .* differ"),
        ((X, y), {"random_state": 3, "lr": 1e-4}, ": parameters differ"),
        ((X, np.roll(y, 1)), {"random_state": 3}, ": rows differ"),
        ((X + 1e-3 * (X > 3), y), {"random_state": 3}, ": rows differ"),
    ):
        with pytest.raises(ValueError, match=words):
            resumed(*given, path, **params)
    whole = clone(SMALL).set_params(random_state=3, max_steps=4).fit(X, y).transform(X)
    for seed in (3, None):
        again, stops = resumed(X, y, path, random_state=seed)
        assert stops == [4] and np.array_equal(again.transform(X), whole)
        path.unlink()
        next(
            run := clone(SMALL)
            .set_params(random_state=3)
            .fit_iter(X, y, at=(2, 4), checkpoint=path)
        )
        next(run)


def test_it_runs_in_a_study(iris, tmp_path):
    X, y = iris
    split = Split(X[::2], X[1::2], y[::2], y[1::2])
    table = run_study(
        {"adversary": SMALL},
        {"iris": split},
        seeds=(0,),
        at=(0, 3),
        folder=tmp_path,
        probes={"accuracy": linear_probe},
        progress=False,
    )
    assert (table["error"] == "").all() and "infonce_test" not in table
    # The same steps outside of a study.
    learner = clone(SMALL).set_params(random_state=0)
    for step in learner.fit_iter(X[::2], y[::2], at=(0, 3)):
        codes = learner.transform(X[::2]), y[::2], learner.transform(X[1::2]), y[1::2]
        assert table.set_index("step").loc[step, "accuracy"] == linear_probe(*codes)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (np.zeros(150), "y has one class"),
        (np.zeros(3), "inconsistent numbers of samples"),
        (np.linspace(0, 1, 150), "Unknown label type"),
    ],
)
def test_bad_labels_are_told(iris, y, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).fit(iris[0], y)


@pytest.mark.gpu
def test_it_trains_on_a_gpu(iris):
    X, y = iris
    Z = clone(SMALL).set_params(device="cuda", random_state=0).fit(X, y).transform(X)
    on_cpu = clone(SMALL).set_params(device="cpu", random_state=0).fit(X, y).transform(X)
    assert np.allclose(Z, on_cpu, atol=1e-4)
