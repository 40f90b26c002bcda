import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from sklearn_mi.adversarial import AdversarialEncoder
from sklearn_mi.encoders import MLP, RealNVP
from sklearn_mi.evaluation import linear_probe
from sklearn_mi.study import Split, run_study

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
    assert found[1] < found[0] - 0.1
    with torch.no_grad():
        rows = (torch.tensor(X[1000:]) - learner._scale.mean) / learner._scale.scale
        again = learner.encoder_.inverse(learner.encoder_(rows.float()))
    assert np.allclose(again, rows, atol=1e-3)


def test_the_steps_are_those_of_the_definition(iris):
    """Against a loop with plain Adam, batch by batch."""
    X, y = iris
    learner = clone(SMALL).set_params(encoder="linear", n_components=3, random_state=0)
    game, rows, labels = learner._prepare(X, y)
    encoder = nn.Linear(4, 3)
    classifier = nn.Linear(3, 3)
    encoder.load_state_dict(
        {key.split(".")[-1]: value for key, value in game.encoder.state_dict().items()}
    )
    classifier.load_state_dict(game.classifier.state_dict())
    of_encoder = torch.optim.Adam(encoder.parameters(), lr=1e-5)
    of_classifier = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    seen = []
    draw = game.batch
    game.batch = lambda: seen.append(draw()) or seen[-1]
    game.teach(rows, labels, 5)
    game.deceive(rows)
    for numbers in seen[:5]:
        loss = nn.functional.cross_entropy(classifier(encoder(rows[numbers])), labels[numbers])
        of_classifier.zero_grad()
        loss.backward()
        of_classifier.step()
    uniform = torch.full((16, 3), 1 / 3)
    of_encoder.zero_grad()
    nn.functional.cross_entropy(classifier(encoder(rows[seen[5]])), uniform).backward()
    of_encoder.step()
    for ours, plain in ((game.encoder, encoder), (game.classifier, classifier)):
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


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
    assert (table["error"] == "").all() and np.isfinite(table["accuracy"]).all()
    assert "infonce_test" not in table


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
