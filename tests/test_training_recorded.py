"""A step recorded as a CUDA graph trains as the same step taken one by one; on a GPU alone."""

import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi._base import MIWarning
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.critics import CRITICS, Split
from sklearn_mi.encoders import ENCODERS, MLP
from sklearn_mi.negatives import NEGATIVES
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.views import VIEWS

pytestmark = pytest.mark.gpu
OF_OTHERS = ["affine", "simclr", "recording", "drop-words", "half-documents"]
OF_IMAGES = ["convnet", "dim-net", "lenet", "patches", "resnet18"]

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


class Look(Callback):
    """Looks whether a pass was recorded; without a hook for batches it may be."""

    def __init__(self):
        self.recorded = []

    def on_epoch_end(self, net, **kwargs):
        self.recorded.append(net.recorded_ is not None)


class Watch(Callback):
    """Looks into batches, which takes the plain path."""

    def __init__(self):
        self.calls = 0

    def on_batch_end(self, net, **kwargs):
        self.calls += 1


class Clip(Callback):
    """Looks into gradients, which takes the plain path."""

    def __init__(self):
        self.calls = 0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.calls += 1


def assert_both_ways_agree(estimator, X, *callbacks, **given):
    """Fit with a recorded step and without one; the first must really have been recorded."""
    look, watch = Look(), Watch()
    with warnings.catch_warnings():
        warnings.simplefilter("error", MIWarning)
        first = estimator.set_params(callbacks=[look, *callbacks]).fit(X, **given)
    assert look.recorded[-1]
    history, weights = first.history_, weights_of(first)
    second = estimator.set_params(callbacks=[watch, *callbacks]).fit(X, **given)
    assert watch.calls >= second.n_iter_
    for name, other in weights_of(second).items():
        torch.testing.assert_close(weights[name], other, rtol=1e-4, atol=1e-4, equal_nan=True)
    bounds = [[row["train_bound"] for row in table] for table in (history, second.history_)]
    np.testing.assert_allclose(*bounds, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("view", sorted(set(VIEWS) - {"paired", *OF_OTHERS}))
def test_every_view_can_be_recorded(X, view):
    given = {"groups": GROUPS} if view in {"same-group", "time-lag"} else {}
    if view == "same-class":
        given = {"y": GROUPS % 5}
    rows = X.reshape(-1, 4, 2) if view == "moved-neighbors" else X
    assert_both_ways_agree(learner(view=view), rows, **given)


@pytest.mark.parametrize("view", ["affine", "simclr"])
@pytest.mark.parametrize("encoder", OF_IMAGES)
def test_augmentations_and_convolutions_can_be_recorded(images, view, encoder):
    # Pooling adds up gradients in another order each time, and batch normalisation of few rows
    # carries the last bits on: with a small rate they stay small.
    estimator = learner(view=view, encoder=encoder, optimizer="sgd", lr=1e-5)
    with torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        assert_both_ways_agree(estimator, images[:300])


def test_two_tables_can_be_recorded(X):
    estimator = learner(view="paired", encoder_y="separate")
    assert_both_ways_agree(estimator, X, X_pair=X[:, :5].copy())


@pytest.mark.parametrize("critic", sorted(CRITICS))
def test_every_critic_can_be_recorded(X, critic):
    assert_both_ways_agree(learner(critic=critic), X)


@pytest.mark.parametrize("comparison", ["dim", "amdim", "cpc", "cmc"])
def test_whole_methods_can_be_recorded(images, comparison):
    assert_both_ways_agree(
        MIRepresentationLearner(
            comparison=comparison, max_steps=STEPS, random_state=0, precision="float32"
        ),
        images,
    )


@pytest.mark.parametrize(
    "encoder", sorted(set(ENCODERS) - {"identity", "conv1d", "gru", *OF_IMAGES})
)
def test_every_encoder_can_be_recorded(X, encoder):
    assert_both_ways_agree(learner(encoder=encoder, encoder_y="separate"), X)


@pytest.mark.parametrize("objective", sorted({*BOUNDS, *OBJECTIVES}))
def test_every_objective_can_be_recorded(X, objective):
    critic = Split(("cauchy", "cosine")) if objective == "each-part" else "cosine"
    assert_both_ways_agree(learner(objective=objective, critic=critic), X)


@pytest.mark.parametrize("negatives", sorted(NEGATIVES))
def test_negatives_can_be_recorded(X, negatives):
    given = {"groups": GROUPS} if negatives == "other-groups" else {}
    assert_both_ways_agree(learner(negatives=negatives), X, **given)


@pytest.mark.parametrize(
    "parameters",
    [
        {"encoder": MLP(hidden=(16,), dropout=0.3)},
        {"precision": "bfloat16"},
        {"precision": "tf32"},
        {"schedule": "cosine"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "sgd", "schedule": "cosine"},
        {"optimizer": "muon"},
        {"optimizer": "muon", "weight_decay": 0.1, "schedule": "constant"},
        {"head": MLP(hidden=(8,))},
        {"early_stopping": True},
        {"max_steps": 250},
    ],
    ids=str,
)
def test_every_way_to_train_can_be_recorded(X, parameters):
    assert_both_ways_agree(learner(**parameters), X)


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
    estimator = learner(encoder=module())
    with pytest.warns(MIWarning, match="step by step"):
        estimator.fit(X)
    assert estimator.n_iter_ == STEPS
    # Later draws on the GPU work: a recording that broke off leaves nothing behind.
    torch.rand(3, device="cuda")
    learner().fit(X)


@pytest.mark.parametrize("kind", [Watch, Clip])
def test_callbacks_with_hooks_take_the_plain_path(X, kind):
    look, callback = Look(), kind()
    learner(callbacks=[look, callback]).fit(X)
    assert callback.calls == STEPS and not any(look.recorded)


class Changes(Callback):
    """Changes between two passes what a recorded step holds fixed."""

    def __init__(self, what):
        self.what = what

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) != 4:
            return
        if self.what == "rate":
            net.optimizer_.param_groups[0]["lr"] *= 10
        elif self.what == "decay":
            net.optimizer_.param_groups[0]["weight_decay"] = 0.5
        else:
            next(net.module_.first_encoder.parameters()).requires_grad_(False)


@pytest.mark.parametrize("what", ["rate", "decay", "frozen weights"])
def test_what_a_callback_changes_between_passes_counts(X, what):
    assert_both_ways_agree(learner(max_steps=600), X, Changes(what))


def test_a_scheduler_of_skorch_takes_the_plain_path(X):
    look = Look()
    fitted = learner(callbacks=[look, LRScheduler("StepLR", step_size=1, gamma=0.5)]).fit(X)
    rates = [row["event_lr"] for row in fitted.history_]
    np.testing.assert_allclose(rates, 1e-3 * 0.5 ** np.arange(len(rates)))
    assert not any(look.recorded)


def test_rows_that_do_not_lie_on_the_gpu_are_copied_ahead(X, tmp_path):
    resident = learner().fit(X)
    np.save(tmp_path / "X.npy", X)
    look = Look()
    streamed = learner(callbacks=[look]).fit(np.load(tmp_path / "X.npy", mmap_mode="r"))
    assert not any(look.recorded)
    np.testing.assert_allclose(streamed.transform(X), resident.transform(X), atol=1e-3)


def test_a_batch_that_is_too_large_names_the_parameter():
    big = np.zeros((200_000, 8), dtype=np.float32)
    big[:, 0] = np.arange(200_000)
    estimator = learner(objective="js", batch_size=180_000, max_steps=2, validation_fraction=0.0)
    with pytest.raises(MemoryError, match="lower batch_size=180000"):
        estimator.fit(big)
