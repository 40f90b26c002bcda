"""Encoders side by side: widths, gradients of each half, steps of recordings, errors, files."""

import numpy as np
import pytest
import torch
from torch import nn

import sklearn_mi
from sklearn_mi import MIRepresentationLearner
from sklearn_mi._base import MIWarning
from sklearn_mi.comparisons import LocalGlobal, Predictive
from sklearn_mi.encoders import (
    GRU,
    MLP,
    Backbone,
    Conv1d,
    ConvNet,
    Joined,
    Passthrough,
    SequenceModule,
    Tokens,
)

X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)


def test_codes_stand_side_by_side_as_the_critic_cuts_them():
    x = torch.randn(5, 6)
    module = Joined(("linear", MLP((7,)), nn.Linear(6, 2))).build((6,), 8)
    expected = [network(x) for network in module.networks]
    assert [code.shape[1] for code in expected] == [3, 3, 2]
    torch.testing.assert_close(module(x), torch.cat(expected, dim=1))
    assert Joined().build((6,), None)(x).shape == (5, 64)


def test_the_linear_half_of_a_learner_is_linear():
    learner = MIRepresentationLearner(
        9, view="noise", encoder=Joined(), critic="cauchy-cosine", max_steps=5, random_state=0
    ).fit(X)
    # The code of a row is an affine map of it in the linear half, and not in the other.
    ends, middle = learner.transform(X[:2]), learner.transform(X[:2].mean(0, keepdims=True))
    bent = np.abs(ends.mean(0) - middle[0])
    assert bent[5:].max() < 1e-5 < 1e-3 < bent[:5].max()


def test_a_code_of_every_step_where_all_have_one(tmp_path):
    rows = np.random.default_rng(1).normal(size=(12, 20, 3)).astype(np.float32)
    encoder = Joined((Conv1d((8,)), GRU(8)))
    learner = MIRepresentationLearner(6, encoder=encoder, max_steps=2, random_state=0).fit(rows)
    assert [len(codes) for codes in learner.transform_steps(rows)] == [20] * 12
    assert learner.transform_steps(rows)[0].shape == (20, 6)
    learner.save(tmp_path / "joined.mi")
    again = sklearn_mi.load(tmp_path / "joined.mi")
    np.testing.assert_array_equal(again.transform(rows), learner.transform(rows))
    mixed = Joined((Conv1d((8,)), "linear")).build((20, 4), 6)
    assert not isinstance(mixed, SequenceModule)
    assert mixed(torch.ones(2, 20, 4)).shape == (2, 6)


# What holds one encoder, by the path of that in the module.
HOLDERS = {
    "passthrough": (Passthrough, "network"),
    "joined": (lambda inner: Joined(("linear", inner)), "networks.1"),
}


@pytest.mark.parametrize(("hold", "path"), HOLDERS.values(), ids=HOLDERS)
def test_what_holds_an_encoder_takes_its_rows_and_has_its_layers(hold, path):
    assert hold("gelu-mlp").takes == "any"
    assert hold(Conv1d()).takes == "recordings"
    assert hold(ConvNet()).takes == ConvNet().takes == "others"
    found, inner = (encoder.layers((28, 28)) for encoder in (hold(ConvNet()), ConvNet()))
    assert {name: found[name] for name in inner} == {
        name: f"{path}.{layer}" for name, layer in inner.items()
    }
    assert hold("gelu-mlp").layers((28, 28)) == {}
    with pytest.raises(ValueError, match="whole numbers from 0"):
        hold(Tokens(5)).check_rows(torch.full((1, 4), 7.0))
    recordings = np.random.default_rng(0).normal(size=(20, 30, 3))
    with pytest.raises(ValueError, match=r"takes images or tables, but X holds recordings"):
        MIRepresentationLearner(encoder=hold(ConvNet()), max_steps=1).fit(recordings)
    with pytest.raises(ValueError, match=r"takes recordings, but it gets rows of shape \(8,\)"):
        MIRepresentationLearner(encoder=hold(Conv1d()), max_steps=1).fit(recordings[:, :8, 0])


def nothing_to_predict():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 2)).astype(np.float32) for n in (4, 24) * 30]


@pytest.mark.filterwarnings("ignore:comparison=.* does not train")
@pytest.mark.parametrize("hold", [hold for hold, _ in HOLDERS.values()], ids=HOLDERS)
def test_padding_is_no_data_for_what_holds_an_encoder(hold):
    """Else short recordings could be told from long ones, and noise would have information."""
    rows, one_step = nothing_to_predict(), Conv1d((8,), kernel=1)
    given = {"max_steps": 60, "batch_size": 60, "random_state": 0, "validation_fraction": 0.4}
    cpc = MIRepresentationLearner(encoder=hold(one_step), comparison=Predictive(2), **given)
    assert cpc.fit(rows).mi_.value < 0.05
    dim = MIRepresentationLearner(encoder=hold(one_step), comparison=LocalGlobal("map"), **given)
    with pytest.raises(ValueError, match="some steps of the recordings were not observed"):
        dim.fit(rows)


def test_a_network_of_ones_own_takes_recordings_of_one_length():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(3, 4, 3, padding=1)

        def forward(self, rows):
            return self.conv(rows.transpose(1, 2)).mean(2)

    rows = nothing_to_predict()
    given = {"max_steps": 2, "random_state": 0, "comparison": Predictive(2, layer="conv")}
    learner = MIRepresentationLearner(None, encoder=Own(), **given)
    assert learner.fit(rows[1::2]).transform(rows[1::2]).shape == (30, 4)
    with pytest.raises(ValueError, match="does not tell which steps of its feature maps were"):
        learner.fit(rows)


def test_the_first_encoder_keeps_columns():
    assert Joined(("passthrough", "linear")).kept_columns((6,)) == 6


def test_whole_methods_take_the_map_of_one_of_them():
    rows = np.random.default_rng(1).normal(size=(12, 60, 2)).astype(np.float32)
    learner = MIRepresentationLearner(
        encoder=Joined((Conv1d((8,)), GRU(8))), comparison="cpc", max_steps=1, random_state=0
    )
    with pytest.warns(MIWarning, match="does not train 6 weights of encoder, such as 'networks.1"):
        learner.fit(rows)
    assert learner.transform(rows).shape == (12, 64)


def test_its_skeleton_fetches_no_weights():
    skeleton = Joined((Backbone(weights="DEFAULT"), "linear")).skeleton()
    assert [encoder.get_params().get("weights") for encoder in skeleton.encoders] == [None, None]


@pytest.mark.parametrize(
    ("encoders", "n_components", "message"),
    [
        (("linear", "mlp", "gelu-mlp"), 2, "n_components=2; .* at least 3, or None"),
        ("linear", 4, "encoders='linear'; expected a sequence of encoders"),
        (5, 4, "encoders=5; expected a sequence of encoders"),
        ((), 4, r"encoders=\(\); expected at least one encoder"),
        (("linear", "lineer"), 4, r"encoders\[1\]='lineer'"),
    ],
)
def test_it_says_what_is_wrong(encoders, n_components, message):
    with pytest.raises(ValueError, match=message):
        Joined(encoders).build((6,), n_components)
    learner = MIRepresentationLearner(n_components, encoder=Joined(encoders), max_steps=1)
    with pytest.raises(ValueError, match=message):
        learner.fit(X)
