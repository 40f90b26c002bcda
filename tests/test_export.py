"""What leaves the house: one module for torch.export and ONNX, and files of skops."""

import copy
import io
import logging
import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skops.io
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP
from sklearn_mi.export import exported
from sklearn_mi.front_ends import LogMel
from sklearn_mi.views import Columns, Neighbors

rng = np.random.default_rng(0)
TABLE = (3 * rng.normal(size=(60, 6)) + 1e4).astype(np.float32)
MIXED = np.column_stack([TABLE, rng.integers(0, 2, (60, 4))]).astype(np.float32)
GREY = rng.uniform(0, 16, size=(40, 8, 8)).astype(np.float32)
COLOUR = rng.uniform(size=(20, 12, 12, 3)).astype(np.float32)
RECORDINGS = rng.normal(size=(30, 40, 2)).astype(np.float32)
RECORDINGS[::3, 25:] = np.nan
WORDS = sparse.csr_matrix(rng.poisson(0.05, size=(40, 600)).astype(np.float32))
OWN = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
SOUND = LogMel(sample_rate=100, n_mels=4, window=16, hop=8)


def with_seen(X):
    """Return recordings as the module takes them: 0, and 0 in a last channel, where padded."""
    seen = ~np.isnan(X).all(axis=2, keepdims=True)
    return np.concatenate([np.where(seen, X, 0), seen], axis=2).astype(np.float32)


# Parameters of the learner, rows as a user passes them, and as the module takes them.
CASES = {
    "table": ({}, TABLE, TABLE),
    "mixed": ({}, MIXED, MIXED),
    "grey": ({}, GREY, GREY),
    "colour": ({}, COLOUR, COLOUR),
    "columns": ({"view": Columns([0, 2], [1, 3, 4])}, TABLE, TABLE),
    "both": ({"view": "halves", "output": "both"}, TABLE, TABLE),
    "own": ({"encoder": OWN, "view": "neighbors"}, TABLE, TABLE),
    "blocks": ({}, RECORDINGS, with_seen(RECORDINGS)),
    "conv1d": ({"encoder": "conv1d"}, RECORDINGS, with_seen(RECORDINGS)),
    "gru": ({"encoder": "gru"}, RECORDINGS, with_seen(RECORDINGS)),
    "mels": ({"encoder": "conv1d", "front_end": SOUND}, RECORDINGS, with_seen(RECORDINGS)),
    "words": ({}, WORDS, WORDS.toarray()),
    "flow": ({"encoder": "realnvp"}, TABLE, TABLE),
    "dim": ({"comparison": "dim"}, GREY, GREY),
    "cpc": ({"comparison": "cpc"}, RECORDINGS, with_seen(RECORDINGS)),
    "cmc": ({"comparison": "cmc"}, COLOUR, COLOUR),
}
FAST = {"grey", "table"}
EVERY = [pytest.param(case, marks=[pytest.mark.slow] * (case not in FAST)) for case in CASES]


def fit(X, **params):
    return MIRepresentationLearner(**{"max_steps": 2, "random_state": 0, **params}).fit(X)


def module_of(learner, *, check=False):
    return exported(learner._model, learner._schemas[0], check=check)


def gap(found, expected):
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("case", EVERY)
def test_the_module_and_its_programs_give_the_codes_of_transform(case):
    params, X, rows = CASES[case]
    learner = fit(X, **params)
    codes = np.asarray(learner.transform(X))
    module, x = module_of(learner), torch.as_tensor(rows)
    assert module.input_shape == x.shape[1:]
    assert gap(module(x).detach(), codes) < 1e-5
    sizes = ({0: torch.export.Dim.DYNAMIC},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (x[:3],), dynamic_shapes=sizes)
        content = onnx_of(program)
    assert gap(program.module()(x).detach(), codes) < 1e-5
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for n in (1, len(rows)):
        assert gap(session.run(None, {name: rows[:n]})[0], codes[:n]) < 1e-5


def onnx_of(program):
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    file = io.BytesIO()
    torch.onnx.export(program, dynamo=True, verbose=False).save(file)
    return file.getvalue()


def test_fine_tuning_a_copy_leaves_the_learner_alone():
    learner = fit(TABLE)
    codes = learner.transform(TABLE)
    module, x = module_of(learner), torch.as_tensor(TABLE)
    weights, buffers = list(module.parameters()), copy.deepcopy(list(module.buffers()))
    assert all(weight.requires_grad for weight in weights)
    optimizer = torch.optim.Adam(weights, lr=0.1)
    module(x).square().mean().backward()
    optimizer.step()
    assert gap(module(x).detach(), codes) > 1e-3
    assert all(map(torch.equal, module.buffers(), buffers))
    assert np.array_equal(learner.transform(TABLE), codes)


class Sorting(nn.Module):
    """A module whose shapes depend on values."""

    def forward(self, x):
        return x[:, : 2 + int(x.sum() > 1e9)]


def test_what_torch_cannot_export_is_told():
    learner = fit(TABLE, encoder=Sorting(), view="neighbors", critic="bilinear")
    with pytest.raises(ValueError, match=r"torch.export takes no learner with encoder=Sorting"):
        module_of(learner, check=True)
    codes = module_of(learner)(torch.as_tensor(TABLE))
    assert gap(codes, learner.transform(TABLE)) < 1e-5
    assert module_of(fit(TABLE), check=True).input_shape == (6,)


@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (TABLE, TypeError, "x is a ndarray; expected a Tensor"),
        (torch.zeros(3, 7), ValueError, r"x has shape \(3, 7\); expected \(b, 6\), as in fit"),
        (torch.zeros(6), ValueError, r"x has shape \(6,\); expected \(b, 6\)"),
    ],
)
def test_other_rows_are_told(x, error, said):
    with pytest.raises(error, match=said):
        module_of(fit(TABLE))(x)


# skops


@pytest.mark.parametrize(
    ("params", "trusted"),
    [
        ({}, set()),
        (
            {"view": Neighbors(3), "encoder": MLP((4,)), "random_state": np.random.RandomState(0)},
            {"sklearn_mi.views.neighbors.Neighbors", "sklearn_mi.encoders.dense.MLP"},
        ),
        ({"negatives": "queue", "view": "neighbors"}, set()),
    ],
    ids=["defaults", "descriptions", "queue"],
)
def test_skops_keeps_a_pipeline(params, trusted):
    frame = pd.DataFrame(TABLE, columns=list("abcdef"))
    y = TABLE[:, 0] > TABLE[:, 0].mean()
    learner = MIRepresentationLearner(**{"max_steps": 2, "random_state": 0, **params})
    pipe = make_pipeline(learner, LogisticRegression()).set_output(transform="pandas").fit(frame, y)
    content = skops.io.dumps(pipe)
    untrusted = skops.io.get_untrusted_types(data=content)
    assert set(untrusted) == trusted | {"sklearn_mi.learner.MIRepresentationLearner"}
    again = skops.io.loads(content, trusted=untrusted)
    pd.testing.assert_frame_equal(again[:-1].transform(frame), pipe[:-1].transform(frame))
    assert np.array_equal(again.predict_proba(frame), pipe.predict_proba(frame))
    assert again[0].mi_ == pipe[0].mi_ and again[0].choices_ == pipe[0].choices_
    assert again[0].score(frame) == pipe[0].score(frame)


def test_skops_keeps_an_unfitted_learner():
    content = skops.io.dumps(MIRepresentationLearner(5, view="halves"))
    again = skops.io.loads(content, trusted=["sklearn_mi.learner.MIRepresentationLearner"])
    assert (again.n_components, again.view) == (5, "halves") and not hasattr(again, "net_")


@pytest.mark.parametrize(
    ("encoder", "told"),
    [
        (nn.Linear(6, 3), "encoder is a module of your own, which needs pickle; use save, or"),
        (lambda shape, n: nn.Linear(6, 3), "encoder=.*cannot be stored without pickle"),
    ],
    ids=["module", "callable"],
)
def test_what_needs_pickle_is_told(encoder, told):
    with pytest.raises(ValueError, match=told):
        skops.io.dumps(fit(TABLE, encoder=encoder))
