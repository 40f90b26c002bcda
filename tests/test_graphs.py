import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_mi import MIRepresentationLearner, training
from sklearn_mi._base import MIWarning
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.critics import CRITICS, Split
from sklearn_mi.encoders import ENCODERS, MLP
from sklearn_mi.graphs import RecordedStep
from sklearn_mi.negatives import NEGATIVES
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.training import MINet
from sklearn_mi.views import VIEWS

pytestmark = pytest.mark.gpu
OF_IMAGES = ["convnet", "lenet", "resnet18"]

STEPS = 60
GROUPS = np.arange(600) // 6


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, size=(600, 32, 32, 3), dtype=np.uint8)


def learner(**parameters):
    small = {
        "n_components": 8,
        "view": "noise",
        "encoder": MLP(hidden=(16,)),
        "batch_size": 50,
        "max_steps": STEPS,
        "critic": "cosine",
        "objective": "infonce",
        "random_state": 0,
        "device": "cuda",
    }
    return MIRepresentationLearner(**{**small, **parameters})


def weights_of(model):
    return {name: w.cpu() for name, w in model.net_.module_.state_dict().items()}


def assert_both_ways_agree(monkeypatch, made, X, **given):
    """Fit with a recorded step and without one; the first must really have been recorded."""
    recorded = []
    record = RecordedStep.__call__
    monkeypatch.setattr(
        RecordedStep, "__call__", lambda *args: (recorded.append(1), record(*args))[1]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", MIWarning)
        first = made.fit(X, **given)
    assert len(recorded) > 1
    history, weights = first.history_, weights_of(first)
    monkeypatch.setattr(MINet, "_may_record", lambda net, batches: False)
    second = made.fit(X, **given)
    for name, other in weights_of(second).items():
        torch.testing.assert_close(weights[name], other, rtol=1e-4, atol=1e-4, equal_nan=True)
    bounds = [[row["train_bound"] for row in table] for table in (history, second.history_)]
    np.testing.assert_allclose(*bounds, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("view", sorted(set(VIEWS) - {"paired", "affine", "simclr"}))
def test_every_view_can_be_recorded(monkeypatch, X, view):
    given = {"groups": GROUPS} if view in {"same-group", "time-lag"} else {}
    if view == "same-class":
        given = {"y": GROUPS % 5}
    rows = X.reshape(-1, 4, 2) if view == "moved-neighbors" else X
    assert_both_ways_agree(monkeypatch, learner(view=view), rows, **given)


@pytest.mark.parametrize("view", ["affine", "simclr"])
@pytest.mark.parametrize("encoder", OF_IMAGES)
def test_augmentations_and_convolutions_can_be_recorded(monkeypatch, images, view, encoder):
    # Pooling adds up gradients in another order each time, and batch normalisation of few rows
    # carries the last bits on: with a small rate they stay small.
    made = learner(view=view, encoder=encoder, optimizer="sgd", lr=1e-5)
    with torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        assert_both_ways_agree(monkeypatch, made, images[:300])


def test_two_tables_can_be_recorded(monkeypatch, X):
    made = learner(view="paired", encoder_y="separate")
    assert_both_ways_agree(monkeypatch, made, X, X_pair=X[:, :5].copy())


@pytest.mark.parametrize("critic", sorted(CRITICS))
def test_every_critic_can_be_recorded(monkeypatch, X, critic):
    assert_both_ways_agree(monkeypatch, learner(critic=critic), X)


@pytest.mark.parametrize("encoder", sorted(set(ENCODERS) - {"identity", *OF_IMAGES}))
def test_every_encoder_can_be_recorded(monkeypatch, X, encoder):
    assert_both_ways_agree(monkeypatch, learner(encoder=encoder, encoder_y="separate"), X)


@pytest.mark.parametrize("objective", sorted({*BOUNDS, *OBJECTIVES}))
def test_every_objective_can_be_recorded(monkeypatch, X, objective):
    critic = Split(("cauchy", "cosine")) if objective == "each-part" else "cosine"
    assert_both_ways_agree(monkeypatch, learner(objective=objective, critic=critic), X)


@pytest.mark.parametrize("negatives", sorted(NEGATIVES))
def test_negatives_can_be_recorded(monkeypatch, X, negatives):
    given = {"groups": GROUPS} if negatives == "other-groups" else {}
    assert_both_ways_agree(monkeypatch, learner(negatives=negatives), X, **given)


@pytest.mark.parametrize(
    "parameters",
    [
        {"encoder": MLP(hidden=(16,), dropout=0.3)},
        {"precision": "bfloat16"},
        {"precision": "tf32"},
        {"schedule": "cosine"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "sgd", "schedule": "cosine"},
        {"head": MLP(hidden=(8,))},
        {"early_stopping": True},
        {"max_steps": 250},
    ],
    ids=str,
)
def test_every_way_to_train_can_be_recorded(monkeypatch, X, parameters):
    assert_both_ways_agree(monkeypatch, learner(**parameters), X)


def test_recorded_fits_are_equal_and_go_on(X):
    one, other = learner().fit(X), learner().fit(X)
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    before = one.transform(X)
    one.set_params(warm_start=True).fit(X)
    assert one.n_iter_ == 2 * STEPS
    assert np.abs(one.transform(X) - before).max() > 1e-3


def test_the_outside_generators_stay(X):
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    learner(encoder=MLP(hidden=(16,), dropout=0.3)).fit(X)
    assert torch.equal(states[0], torch.get_rng_state())
    assert torch.equal(states[1], torch.cuda.get_rng_state())


class LooksAtValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return self.layer(x) * (2.0 if x.mean().item() > 0 else 1.0)


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(8, 8), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) + x * (self.calls % 7)


@pytest.mark.parametrize("module", [LooksAtValues, Counts])
def test_what_cannot_be_recorded_is_trained_step_by_step(X, module):
    torch.manual_seed(0)
    made = learner(encoder=module())
    with pytest.warns(MIWarning, match="step by step"):
        made.fit(X)
    assert made.n_iter_ == STEPS
    # Later draws on the GPU work: a recording that broke off leaves nothing behind.
    torch.rand(3, device="cuda")
    learner().fit(X)


class Watch(Callback):
    seen = 0

    def on_batch_end(self, net, **kwargs):
        Watch.seen += 1


class Clip(Callback):
    seen = 0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        Clip.seen += 1


@pytest.mark.parametrize("callback", [Watch, Clip])
def test_callbacks_with_hooks_take_the_plain_path(X, callback):
    callback.seen = 0
    learner(callbacks=[callback()]).fit(X)
    assert callback.seen == STEPS


def test_rows_that_do_not_lie_on_the_gpu_are_copied_ahead(monkeypatch, X, tmp_path):
    resident = learner().fit(X)
    keep = training.Rows._keep_on_device
    monkeypatch.setattr(training.Rows, "_keep_on_device", lambda rows: None)
    streamed = learner().fit(X)
    monkeypatch.setattr(training.Rows, "_keep_on_device", keep)
    np.testing.assert_allclose(streamed.transform(X), resident.transform(X), atol=1e-3)


def test_a_batch_that_is_too_large_names_the_parameter():
    big = np.zeros((200_000, 8), dtype=np.float32)
    big[:, 0] = np.arange(200_000)
    made = learner(objective="js", batch_size=180_000, max_steps=2, validation_fraction=0.0)
    with pytest.raises(MemoryError, match="lower batch_size=180000"):
        made.fit(big)
