import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi._base import Codes, MIWarning
from sklearn_mi.comparisons import Multiview
from sklearn_mi.critics import Bilinear
from sklearn_mi.encoders import MLP
from sklearn_mi.negatives import Queue
from sklearn_mi.views import Columns, Compose, GaussianNoise, LightnessColor
from sklearn_mi.views.augmentations import random_flip, random_resized_crop, to_lab

WIDTHS = (4, 3, 5)
EVERY, STAR = [(0, 1), (0, 2), (1, 2)], [(0, 1), (1, 2)]


def make_tables(n=80, seed=0, widths=WIDTHS):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 2))
    return [latent @ rng.normal(size=(2, p)) + 0.3 * rng.normal(size=(n, p)) for p in widths]


A, B, C = make_tables()
X = np.hstack([A, B, C])
SETS = Columns(slice(0, 4), slice(4, 7), slice(7, 12))
FRAMES = [
    pd.DataFrame(table, columns=[f"{name}{i}" for i in range(table.shape[1])])
    for name, table in zip("abc", (A, B, C), strict=True)
]


def learner(n_components=2, **params):
    given = {
        "encoder": MLP(hidden=(8,)),
        "critic": "bilinear",
        "objective": "infonce",
        "max_steps": 5,
        "random_state": 0,
    }
    return MIRepresentationLearner(n_components, **{**given, **params})


def naive_infonce(scores):
    """Row by row, as in the formula."""
    n, total = len(scores), 0.0
    for i in range(n):
        total += np.log(n) + scores[i, i] - np.log(sum(np.exp(score) for score in scores[i]))
    return total / n


def scores_by_hand(fitted, pairs):
    """Bilinear scores of each pair from the learner's own codes and weights, in numpy."""
    codes = [fitted.transform(A), *np.split(fitted.transform_pair([B, C]), 2, axis=1)]
    critics = fitted.critic_.critics
    weights = [critic.map.weight.detach().numpy().astype(float) for critic in critics]
    return [codes[i] @ w.T @ codes[j].T for (i, j), w in zip(pairs, weights, strict=True)]


@pytest.mark.parametrize(("core", "pairs"), [(None, EVERY), (1, STAR)])
def test_three_tables_are_the_mean_of_their_pairs(core, pairs):
    fitted = learner(comparison=Multiview(core)).fit(A, X_pair=[B, C])
    scores = scores_by_hand(fitted, pairs)
    values = fitted.bounds(A, X_pair=[B, C])
    by_hand = np.mean([naive_infonce(each) for each in scores])
    assert values["objective"] == pytest.approx(by_hand, abs=1e-5)
    assert values["maximised"] == pytest.approx(by_hand, abs=1e-5)
    of_first = sum(each for each, (i, _) in zip(scores, pairs, strict=True) if i == 0)
    assert fitted.score(A, X_pair=[B, C]) == pytest.approx(naive_infonce(of_first), abs=1e-5)


def test_columns_beyond_the_rows_are_candidates_of_every_pair():
    """A queue adds columns: rows of each pair are those of the batch, candidates are all."""
    draw = torch.Generator().manual_seed(0)
    z_x, z_y = (torch.randn(*shape, generator=draw) for shape in ((6, 2), (9, 7)))
    shapes = [(2,), (3,), (4,)]
    critic = Multiview().build_critic(Bilinear(), shapes)
    mask = torch.rand(6, 9, generator=draw) < 0.7
    compared = Multiview().build(shapes)(Codes(z_x, z_y, critic, negatives=mask), None)
    tables = [z_x, z_y[:, :3], z_y[:, 3:]]
    for one, (i, j), part in zip(compared, EVERY, critic.critics, strict=True):
        assert one.negatives is mask
        for row in range(6):
            for column in range(9):
                by_hand = tables[i][row] @ part.map.weight.T @ tables[j][column]
                torch.testing.assert_close(one.scores[row, column], by_hand)
    with pytest.warns(MIWarning, match="often collapses"):
        queued = learner(negatives=Queue(momentum=None)).fit(A, X_pair=[B, C])
    assert np.isfinite(queued.mi_.objective.value)
    assert queued.mi_.objective.n_candidates > queued.mi_.n_candidates


def test_each_bound_is_at_most_the_information_of_its_pair():
    """Gaussian tables of correlation .9 .5 .45: the mean bound lies below the mean truth."""
    rng = np.random.default_rng(0)
    a, e, f = rng.normal(size=(3, 3000))
    b, c = 0.9 * a + np.sqrt(0.19) * e, 0.5 * a + np.sqrt(0.75) * f
    truth = np.mean([-0.5 * np.log(1 - r**2) for r in (0.9, 0.5, 0.45)])
    tables = [table[:, None] for table in (a, b, c)]
    fitted = learner(4, critic="separable", max_steps=200, validation_fraction=0.3)
    own = fitted.fit(tables[0], X_pair=tables[1:]).mi_.objective
    assert own.status == "lower"
    assert 0.6 * truth < own.value < truth + 2 * own.stderr


def test_two_tables_are_whole_codes():
    whole = learner(comparison="whole").fit(A, X_pair=B)
    for other in (learner(comparison="cmc"), learner(comparison=Multiview(1))):
        other.fit(A, X_pair=B)
        np.testing.assert_array_equal(other.transform(A), whole.transform(A))
        assert other.mi_ == whole.mi_
    listed = learner().fit(A, X_pair=[B])
    np.testing.assert_array_equal(listed.transform_pair([B]), whole.transform_pair(B))


def test_sets_of_columns_train_as_the_tables_do():
    one = learner(view=SETS, standardize=False).fit(X)
    several = learner(standardize=False).fit(A, X_pair=[B, C])
    codes = np.hstack([several.transform(A), several.transform_pair([B, C])])
    np.testing.assert_allclose(one.transform(X), codes, rtol=0, atol=1e-6)
    np.testing.assert_allclose(one.transform_pair([B, C]), codes[:, 2:], rtol=0, atol=1e-6)
    assert one.score(X) == pytest.approx(several.score(A, X_pair=[B, C]), abs=1e-5)
    for fitted in (one, several):
        assert fitted.choices_["comparison"].value == "cmc"
        assert "more than two tables" in fitted.choices_["comparison"].reason


def test_a_fourth_set_of_columns():
    view = Columns([0, 1], [2], [3], more=([4, 5, 6], [7]))
    assert learner(view=view).fit(X).transform(X).shape == (80, 10)
    shared = learner(view=Columns([0, 1], [2], [2, 3])).fit(X)
    assert "share 1 columns" in shared.mi_.warnings[0]
    noisy = Compose(Columns([0, 1], [2], [3, 4]), GaussianNoise(0.1))
    assert learner(view=noisy).fit(X).transform(X).shape == (80, 6)


def test_every_table_has_an_encoder_of_its_own():
    described = [MLP(hidden=(3,)), "linear"]
    fitted = learner(encoder_y=described).fit(A, X_pair=[B, C])
    first, second = fitted.encoder_y_.networks
    assert [layer.out_features for layer in first if isinstance(layer, nn.Linear)] == [3, 2]
    assert [layer.out_features for layer in second if isinstance(layer, nn.Linear)] == [2]
    codes = fitted.transform_pair([B, C])
    moved = fitted.transform_pair([B, C + 1])
    np.testing.assert_array_equal(moved[:, :2], codes[:, :2])
    assert not np.allclose(moved[:, 2:], codes[:, 2:])


def test_tables_of_one_shape_can_share_an_encoder():
    tables = make_tables(widths=(3, 3, 3))
    fitted = learner(encoder_y="shared", head="linear").fit(tables[0], X_pair=tables[1:])
    assert all(each is fitted.encoder_ for each in fitted.encoder_y_.networks)
    again = pickle.loads(pickle.dumps(fitted))
    assert all(each is again.encoder_ for each in again.encoder_y_.networks)
    expected = fitted.transform_pair(tables[1:])
    np.testing.assert_array_equal(again.transform_pair(tables[1:]), expected)
    with pytest.raises(ValueError, match=r"shared.*\(4,\) and \(3,\) and \(5,\)"):
        learner(encoder_y="shared").fit(A, X_pair=[B, C])


def test_partial_fit_and_views_take_a_list():
    fitted = learner().partial_fit(A, X_pair=[B, C]).partial_fit(A, X_pair=[B, C])
    z, z_prime = fitted.transform_views(A, X_pair=[B, C])
    np.testing.assert_array_equal(z, fitted.transform(A))
    np.testing.assert_allclose(z_prime, fitted.transform_pair([B, C]), rtol=0, atol=1e-6)
    assert learner().fit_transform(A, X_pair=(B, C)).shape == (80, 2)


def test_tables_may_be_stored_in_different_ways():
    expected = learner().fit(A, X_pair=[B, C])
    stored = [sparse.csr_array(B), torch.as_tensor(C)]
    fitted = learner().fit(A, X_pair=stored)
    np.testing.assert_allclose(fitted.transform(A), expected.transform(A), rtol=0, atol=1e-6)
    codes = expected.transform_pair([B, C])
    np.testing.assert_allclose(fitted.transform_pair(stored), codes, rtol=0, atol=1e-6)
    with pytest.warns(UserWarning, match=r"X_pair\[0\] has feature names"):
        named = fitted.transform_pair([FRAMES[1], C])
    np.testing.assert_allclose(named, codes, rtol=0, atol=1e-6)
    pixels = (np.abs(B) * 9).astype(np.uint8)
    assert learner().fit(A, X_pair=[pixels, pixels]).transform_pair([pixels] * 2).shape == (80, 4)


def test_a_list_of_rows_is_one_table_and_a_list_of_images_is_images():
    rows = learner().fit(A, X_pair=B.tolist())
    np.testing.assert_array_equal(rows.transform(A), learner().fit(A, X_pair=B).transform(A))
    rows = learner().fit(A, X_pair=list(B))
    np.testing.assert_array_equal(rows.transform(A), learner().fit(A, X_pair=B).transform(A))
    images = np.random.default_rng(0).random((80, 6, 6, 3))
    listed, whole = (learner().fit(A, X_pair=pair) for pair in (list(images), images))
    np.testing.assert_array_equal(listed.transform(A), whole.transform(A))
    with pytest.raises(ValueError, match=r"X_pair\[1\] has rows of shape \(6, 6, 3\); .*flatten"):
        learner().fit(A, X_pair=[B, images])
    first = r"X_pair\[0\] has rows of shape \(6, 6, 3\); .*flatten"
    for pair in ([images, images], [images, images[..., 0]]):
        with pytest.raises(ValueError, match=first):
            learner().fit(A, X_pair=pair)
    with pytest.raises(ValueError, match=r"X_pair\[0\] has rows of shape \(\); .*one column"):
        learner().fit(A, X_pair=[B[:, 0], B])


def test_names_of_columns_that_pass_through():
    kept = learner(None, encoder="passthrough", view=Columns(*(list(f) for f in FRAMES)))
    frame = pd.concat(FRAMES, axis=1).set_axis(np.arange(80) + 7)
    found = kept.set_output(transform="pandas").fit(frame).transform(frame)
    prefix = "mirepresentationlearner"
    own = [f"{prefix}{i}" for i in range(6)]
    a, b, c = (list(f) for f in FRAMES)
    assert list(found) == [*a, *own[:2], *b, *own[2:4], *c, *own[4:]]
    assert found.index.equals(frame.index)
    # Scaled, as the encoder sees them.
    assert np.corrcoef(found["c4"], frame["c4"])[0, 1] == pytest.approx(1)
    second = kept.transform_pair([frame[b], frame[c]])
    assert list(second) == [*b, *own[:2], *c, *own[2:4]]
    assert second.index.equals(frame.index)
    paired = learner(None, encoder="passthrough").set_output(transform="pandas")
    paired.fit(FRAMES[0], X_pair=FRAMES[1:])
    assert list(paired.transform_pair(FRAMES[1:])) == list(second)


def test_each_table_is_checked_like_a_second_table():
    fitted = learner().fit(FRAMES[0], X_pair=FRAMES[1:])
    with pytest.raises(ValueError, match=r"X_pair\[1\].*should match"):
        fitted.transform_pair([FRAMES[1], FRAMES[2].iloc[:, ::-1]])
    with pytest.raises(ValueError, match=r"same row labels.*X_pair\[0\]\.loc\[X\.index\]"):
        fitted.score(FRAMES[0], X_pair=[FRAMES[1].iloc[::-1], FRAMES[2]])
    beyond = FRAMES[2].copy()
    beyond.loc[3, "c1"] = np.inf
    with pytest.raises(ValueError, match=r"X_pair\[1\] has infinite values in columns \['c1'\]"):
        fitted.score(FRAMES[0], X_pair=[FRAMES[1], beyond])
    with pytest.raises(ValueError, match=r"X_pair\[1\] has 4 features.*expecting 5"):
        learner().fit(A, X_pair=[B, C]).transform_pair([B, A])
    for given, told in (([B], "a list of 1 table,"), (B, "one table"), ([B, C, C], "a list of 3")):
        with pytest.raises(ValueError, match=rf"X_pair is {told}.*fitted with a list of 2"):
            learner().fit(A, X_pair=[B, C]).transform_pair(given)
    with pytest.raises(ValueError, match="a list of 2 tables, but .* fitted with one table"):
        learner().fit(A, X_pair=B).score(A, X_pair=[B, C])
    with pytest.raises(ValueError, match=r"X_pair\[0\] has 80 rows, but X_pair\[1\] has 79"):
        learner().fit(A, X_pair=[B, C]).transform_pair([B, C[1:]])


def test_a_cross_validation_that_cannot_cut_a_list_names_the_cure():
    with config_context(enable_metadata_routing=True):
        routed = learner().set_fit_request(X_pair=True).set_score_request(X_pair=True)
        with pytest.raises(ValueError, match=r"X has 40 rows, but X_pair\[0\] has 80;.*Columns"):
            cross_validate(routed, A, params={"X_pair": [B, C]}, cv=2, error_score="raise")


def test_sets_of_columns_go_through_pipelines_and_grids():
    y = A[:, 0] > 0
    frame = pd.concat(FRAMES, axis=1)
    view = Columns(*(list(each) for each in FRAMES))
    pipe = make_pipeline(learner(view=view), LogisticRegression())
    grid = {
        "mirepresentationlearner__comparison": [Multiview(), Multiview(0), "whole"],
        "mirepresentationlearner__view__third": [["c0"], ["c1", "c2"]],
    }
    found = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(frame, y)
    assert found.best_estimator_[0].transform(frame).shape == (80, 6)
    cores = {"mirepresentationlearner__comparison__core": [0, 2]}
    by_core = GridSearchCV(pipe, cores, cv=2, error_score="raise", refit=False).fit(frame, y)
    assert len(by_core.cv_results_["params"]) == 2
    fitted = clone(pipe).fit(frame, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(frame), fitted.predict_proba(frame))


@pytest.mark.slow
def test_a_file_holds_several_tables(tmp_path):
    """Read by another process, whose codes are the same."""
    fitted = learner(encoder_y=[MLP(hidden=(3,)), "linear"], comparison=Multiview(1))
    fitted.fit(FRAMES[0], X_pair=FRAMES[1:])
    fitted.save(tmp_path / "pair.safetensors")
    cut = learner(view=SETS).fit(X)
    cut.save(tmp_path / "columns.safetensors")
    for name, table in zip("ABCX", (A, B, C, X), strict=True):
        np.save(tmp_path / f"{name}.npy", table)
    code = (
        "import numpy as np, pandas as pd, sklearn_mi\n"
        "A, B, C, X = (np.load(f'{name}.npy') for name in 'ABCX')\n"
        "frames = [pd.DataFrame(t, columns=[f'{n}{i}' for i in range(t.shape[1])])\n"
        "          for n, t in zip('abc', (A, B, C))]\n"
        "pair, cut = (sklearn_mi.load(f'{n}.safetensors') for n in ('pair', 'columns'))\n"
        "np.savez('codes.npz', pair.transform(frames[0]), pair.transform_pair(frames[1:]),\n"
        "         [pair.score(frames[0], X_pair=frames[1:])], cut.transform(X),\n"
        "         cut.transform_pair([B, C]))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = (
        fitted.transform(FRAMES[0]),
        fitted.transform_pair(FRAMES[1:]),
        [fitted.score(FRAMES[0], X_pair=FRAMES[1:])],
        cut.transform(X),
        cut.transform_pair([B, C]),
    )
    found = np.load(tmp_path / "codes.npz").values()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_a_file_names_a_list_of_own_modules(tmp_path):
    own = [nn.Linear(3, 2), nn.Linear(5, 2)]
    fitted = learner(encoder_y=own).fit(A, X_pair=[B, C])
    fitted.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="encoder_y was an object of your own"):
        load(tmp_path / "own.safetensors")
    again = load(tmp_path / "own.safetensors", encoder_y=own)
    np.testing.assert_array_equal(again.transform_pair([B, C]), fitted.transform_pair([B, C]))


IMAGES = np.random.default_rng(0).integers(0, 256, size=(24, 12, 12, 3)).astype(np.uint8)
REFUSED = {
    r"core=3; expected the number of one of the 3 tables, 0 to 2": {"comparison": Multiview(3)},
    r"core=True; expected the number": {"comparison": Multiview(True)},
    r"objective=MINE\(\) remembers batches.*'cmc'": {"objective": "mine"},
    r"objective=TUBA\(.*has a head.*'cmc'": {"objective": "tuba"},
    "encoder_y has 3 encoders; expected 2": {"encoder_y": ["mlp", "mlp", "mlp"]},
    "compares codes of one width": {
        "objective": "barlow-twins",
        "encoder_y": [MLP(hidden=()), lambda shape, width: nn.Linear(5, 3)],
        "n_components": None,
    },
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_does_not_fit_is_told(told):
    with pytest.raises(ValueError, match=told):
        learner(**REFUSED[told]).fit(A, X_pair=[B, C])


@pytest.mark.parametrize("view", [Columns([0], [1], more=[[2]]), Columns([0], [1], [2], more="ab")])
def test_more_sets_than_named_are_told(view):
    with pytest.raises(ValueError, match="more="):
        learner(view=view).fit(A)


@pytest.mark.parametrize("rows", [A, IMAGES[..., 0], IMAGES[..., :2]])
def test_one_table_has_no_pairs(rows):
    with pytest.raises(ValueError, match=r"'cmc' compares several tables.*view=Columns"):
        MIRepresentationLearner(2, comparison="cmc").fit(rows)


def test_lab_is_that_of_the_standard():
    """L*a*b* of sRGB's corners under D65, as published to two digits, and of a mid grey."""
    published = {
        (1, 0, 0): (53.24, 80.09, 67.20),
        (0, 1, 0): (87.73, -86.18, 83.18),
        (0, 0, 1): (32.30, 79.19, -107.86),
        (0, 1, 1): (91.11, -48.09, -14.13),
        (1, 0, 1): (60.32, 98.23, -60.82),
        (1, 1, 0): (97.14, -21.55, 94.48),
        (1, 1, 1): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (0.5, 0.5, 0.5): (53.39, 0, 0),
    }
    colours = torch.tensor(list(published), dtype=torch.float64).reshape(1, 1, -1, 3)
    expected = torch.tensor(list(published.values()), dtype=torch.float64)
    torch.testing.assert_close(to_lab(colours)[0, 0], expected, rtol=0, atol=0.011)


def test_lightness_and_colours_come_from_one_crop():
    images = torch.as_tensor(IMAGES / 255, dtype=torch.float32)
    state = {"low": images.min(), "high": images.max()}
    made = LightnessColor()(images, None, state, torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(0)
    cropped = random_flip(random_resized_crop(images, draw, (0.2, 1.0)), draw, 0.5)
    lab = to_lab((cropped - state["low"]) / (state["high"] - state["low"])) / 100
    torch.testing.assert_close(torch.cat(made, dim=-1), lab)
    grey = torch.rand(4, 6, 6, 1).expand(4, 6, 6, 3)
    assert LightnessColor().inputs(grey, None)[1].abs().max() < 1e-4
    for wrong in ({"flip": 2}, {"crop": (0, 1)}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
            LightnessColor(**wrong).fit(images)
    with pytest.raises(ValueError, match="red, green and blue"):
        LightnessColor().shapes((6, 6), None)


def test_cmc_of_colour_images_is_a_name(tmp_path):
    fitted = MIRepresentationLearner(4, comparison="cmc", max_steps=3, random_state=0).fit(IMAGES)
    assert fitted.choices_["view"].value == "lightness-color"
    assert fitted.encoder_ is not fitted.encoder_y_
    codes = fitted.transform(IMAGES)
    assert codes.shape == (24, 8)
    fitted.save(tmp_path / "cmc.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "cmc.safetensors").transform(IMAGES), codes)
    assert clone(fitted).set_params(view__crop=None).fit(IMAGES).transform(IMAGES).shape == (24, 8)
