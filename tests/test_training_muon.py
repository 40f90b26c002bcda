import pickle
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.training import Muon, orthogonalised


def by_singular_values(matrix, steps):
    """Return what the quintic of Jordan et al. makes of a matrix, one singular value at a time."""
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s = s / np.linalg.norm(matrix)
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ v


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (7, 7), (1, 4)])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_orthogonalised_acts_on_singular_values(shape, steps):
    matrix = np.random.default_rng(0).normal(size=shape)
    found = orthogonalised(torch.tensor(matrix), steps).numpy()
    np.testing.assert_allclose(found, by_singular_values(matrix, steps), atol=1e-12)


@pytest.mark.parametrize("m", [6, 7])
def test_blocks_are_orthogonalised_each_by_itself(m):
    matrix = np.random.default_rng(1).normal(size=(m, 11))
    length = -(-m // 2)
    parts = [by_singular_values(part, 3) for part in (matrix[:length], matrix[length:])]
    for given, expected in ((matrix, np.concatenate(parts)), (matrix.T, np.concatenate(parts).T)):
        found = orthogonalised(torch.tensor(given), 3, block=4).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_gradient_of_zeros_moves_nothing():
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize("nesterov", [True, False])
def test_steps_follow_the_formula(nesterov):
    rng = np.random.default_rng(2)
    start = {"kernel": rng.normal(size=(6, 2, 2, 1)), "bias": rng.normal(size=6)}
    weights = {name: nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    how = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3, "share": 0.5}
    optimizer = Muon(weights.values(), **how, nesterov=nesterov)
    plain = nn.Parameter(torch.tensor(start["bias"]))
    adam = torch.optim.Adam([plain], lr=0.05)
    kernel, buffer = start["kernel"].reshape(6, 4), np.zeros((6, 4))
    for _ in range(3):
        gradient, other = rng.normal(size=(6, 2, 2, 1)), rng.normal(size=6)
        weights["kernel"].grad, weights["bias"].grad = map(torch.tensor, (gradient, other))
        plain.grad = torch.tensor(other)
        optimizer.step()
        adam.step()
        flat = gradient.reshape(6, 4)
        buffer = 0.8 * buffer + flat
        update = by_singular_values(flat + 0.8 * buffer if nesterov else buffer, 3)
        kernel = (1 - 0.1 * 0.3) * kernel - 0.1 * np.sqrt(6 / 4) * update
    np.testing.assert_allclose(weights["kernel"].detach().reshape(6, 4), kernel, atol=1e-10)
    torch.testing.assert_close(weights["bias"], plain)


def test_closure_and_weights_without_a_gradient():
    used, idle = nn.Parameter(torch.eye(2)), nn.Parameter(torch.eye(2))

    def closure():
        loss = used.sum()
        loss.backward()
        return loss

    assert Muon([used, idle]).step(closure) == 2.0
    assert torch.equal(idle, torch.eye(2)) and not torch.equal(used, torch.eye(2))


def test_groups_keep_their_own_rates():
    layers = nn.Linear(3, 2), nn.Linear(2, 2)
    groups = [{"params": layers[0].parameters()}, {"params": layers[1].parameters(), "lr": 0.5}]
    rates = [group["lr"] for group in Muon(groups, lr=0.1).param_groups]
    assert rates == pytest.approx([0.1, 0.02, 0.5, 0.1])


@pytest.mark.parametrize(
    "wrong", [{"lr": -1.0}, {"momentum": 1.0}, {"steps": 0}, {"block": 0}, {"share": -1.0}]
)
def test_numbers_out_of_range(wrong):
    (name, value) = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Muon([nn.Parameter(torch.eye(2))], **wrong)


def learner(**params):
    how = {"batch_size": 16, "random_state": 0, "n_threads": 1}
    return MIRepresentationLearner(**{**how, **params})


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(60, 5))


def test_a_training_that_is_resumed_is_that_training(X, tmp_path):
    whole = learner(max_steps=6).fit(X)
    assert type(whole.net_.optimizer_) is Muon
    path = tmp_path / "at.pt"
    next(iter(learner(max_steps=6).fit_iter(X, at=[3, 6], checkpoint=path)))
    resumed = learner(max_steps=6)
    list(resumed.fit_iter(X, at=[3, 6], checkpoint=path))
    assert np.array_equal(resumed.transform(X), whole.transform(X))
    loaded = pickle.loads(pickle.dumps(whole))
    assert np.array_equal(loaded.transform(X), whole.transform(X))


def test_parameters_of_an_optimiser_in_a_partial(X):
    fitted = learner(max_steps=3, optimizer=partial(Muon, momentum=0.5), lr=0.1).fit(X)
    assert {group.get("momentum") for group in fitted.net_.optimizer_.param_groups} == {0.5, None}


def test_going_on_keeps_the_momentum(X):
    once = learner(optimizer="muon", lr=0.1, schedule="constant", max_steps=3).fit(X)
    buffers = [s["momentum_buffer"].clone() for s in once.net_.optimizer_.state.values()
               if "momentum_buffer" in s]  # fmt: skip
    once.partial_fit(X)
    assert len(buffers) > 1 and all(bool(buffer.any()) for buffer in buffers)
    steps = {float(s["step"]) for s in once.net_.optimizer_.state.values() if "step" in s}
    assert steps == {3 + 54 // 16}
