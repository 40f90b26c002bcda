"""The slow encoder behind a queue: what it is, what it changes, and where it is kept."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_mi import MIRepresentationLearner, MIWarning, load
from sklearn_mi.encoders import MLP
from sklearn_mi.negatives import Queue
from sklearn_mi.sides import SlowSide


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(80, 6))


def learner(**params):
    parts = {"view": "neighbors", "encoder": MLP((8,)), "negatives": Queue(64), "batch_size": 16}
    return MIRepresentationLearner(
        3, **{**parts, "optimizer": "adam", "max_steps": 6, "random_state": 0, **params}
    )


def test_slow_weights_are_the_moving_average():
    torch.manual_seed(0)
    encoder, head = nn.Linear(3, 2), nn.Linear(2, 2)
    slow = SlowSide(encoder, head, 0.9)
    by_hand = [w.detach().clone() for w in (*encoder.parameters(), *head.parameters())]
    for _ in range(4):
        with torch.no_grad():
            for w in (*encoder.parameters(), *head.parameters()):
                w.add_(torch.randn_like(w))
        slow.follow(encoder, head)
        trained = (*encoder.parameters(), *head.parameters())
        by_hand = [0.9 * s + 0.1 * w.detach() for s, w in zip(by_hand, trained, strict=True)]
    for found, expected in zip(slow.parameters(), by_hand, strict=True):
        torch.testing.assert_close(found, expected)
    x = torch.randn(5, 3)
    expected = (x @ by_hand[0].T + by_hand[1]) @ by_hand[2].T + by_hand[3]
    torch.testing.assert_close(slow(x), expected)
    assert not slow(x).requires_grad


def test_training_takes_slow_codes_of_the_second_view_and_reports_do_not(X):
    model = learner(head=MLP((4,))).fit(X).net_.model
    x = torch.as_tensor(X[:10], dtype=torch.float32)
    model.view = lambda x, *rest: (x, x + 1)
    draws = torch.Generator()
    training, reported = model.train().codes(x, None, draws), model.eval().codes(x, None, draws)
    torch.testing.assert_close(training.z_y, model.slow(x + 1))
    torch.testing.assert_close(reported.z_y, model.first_head(model.encoder(x + 1)))
    torch.testing.assert_close(training.z_x, reported.z_x)
    assert training.z_x.requires_grad and not training.z_y.requires_grad


def test_each_step_of_training_moves_the_slow_encoder(X):
    """Weights after each step, averaged by hand: a step averages before it encodes."""
    fits = [learner(max_steps=n).fit(X).net_.model for n in range(1, 5)]
    weights = [model.encoder.state_dict() for model in fits]
    slow = [model.slow.encoder.state_dict() for model in fits]
    for before, after, trained in zip(slow, slow[1:], weights, strict=False):
        for name, value in after.items():
            by_hand = 0.99 * before[name] + 0.01 * trained[name]
            torch.testing.assert_close(value, by_hand, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("momentum", [None, 0])
def test_a_queue_without_momentum_warns_once_and_shares_the_encoder(X, momentum):
    with pytest.warns(MIWarning, match=r"often collapses; take Queue\(momentum=0.99\)") as told:
        fitted = learner(negatives=Queue(64, momentum)).fit(X)
    assert len(told) == 1 and fitted.net_.model.slow is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(fitted)).partial_fit(X)
        learner(negatives="queue").fit(X)


@pytest.mark.parametrize("momentum", [1, -0.1, "slow", True])
def test_a_wrong_momentum_is_told(X, momentum):
    told = "momentum=.*expected None, or a number of at least 0 and below 1"
    with pytest.raises((ValueError, TypeError), match=told):
        learner(negatives=Queue(64, momentum)).fit(X)


@pytest.mark.parametrize("params", [{"view": "halves"}, {"encoder_y": "separate"}], ids=str)
def test_two_encoders_have_no_slow_copy(X, params):
    with pytest.raises(ValueError, match="needs one encoder for both views.*encoder_y='shared'"):
        learner(**params).fit(X)


def test_the_slow_encoder_is_kept_and_goes_on(X, tmp_path):
    fitted = learner().fit(X)
    fitted.save(tmp_path / "file")
    expected = fitted.net_.model.slow.state_dict()
    for again in (
        load(tmp_path / "file"),
        copy.deepcopy(fitted),
        pickle.loads(pickle.dumps(fitted)),
    ):
        kept = again.net_.model.slow.state_dict()
        assert kept.keys() == expected.keys()
        assert all(torch.equal(kept[name], expected[name]) for name in kept)
        assert again.score(X) == fitted.score(X)
    before = copy.deepcopy(expected)
    fitted.partial_fit(X)
    after = fitted.net_.model.slow.state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in before)


def test_slow_weights_are_not_trained(X):
    model = learner().fit(X).net_.model
    assert not any(weight.requires_grad for weight in model.slow.parameters())
    assert all(weight.grad is None for weight in model.slow.parameters())


@pytest.mark.slow
def test_digits_are_no_worse_with_a_queue():
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    rows, y = load_digits(return_X_y=True)
    fit = {"critic": "cosine", "max_steps": 200, "random_state": 0}
    accuracies = {}
    for name, negatives in {
        "batch": "batch",
        "queue": Queue(),
        "old": Queue(momentum=None),
    }.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MIWarning)
            made = MIRepresentationLearner(32, negatives=negatives, **fit).fit(rows[:1200])
        probe = KNeighborsClassifier(5).fit(made.transform(rows[:1200]), y[:1200])
        accuracies[name] = probe.score(made.transform(rows[1200:]), y[1200:])
    assert accuracies["queue"] > max(accuracies["batch"] - 0.02, accuracies["old"])
