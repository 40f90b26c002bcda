"""skorch's callbacks in the learner: what they see, what they change, and what is refused."""

import gc
import json
import re
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    ProgressBar,
    TensorBoard,
    TrainEndCheckpoint,
)
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR

from sklearn_mi import MIRepresentationLearner
from sklearn_mi.encoders import MLP
from sklearn_mi.views import Halves

# 360 rows to train on in 5 steps of 64, 20 to stop by, 20 to report on.
N_ROWS, STEPS, PASSES = 400, 40, 8


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(N_ROWS, 3))
    return np.hstack([first, first + 0.5 * rng.normal(size=(N_ROWS, 3))])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    # Checkpoint writes into the working directory.
    monkeypatch.chdir(tmp_path)


def learner(*callbacks, **parameters):
    small = {
        "n_components": 3,
        "view": Halves(),
        "encoder": MLP(hidden=(16,)),
        "critic": "cosine",
        "objective": "infonce",
        "batch_size": 64,
        "max_steps": STEPS,
        "random_state": 0,
    }
    return MIRepresentationLearner(**{**small, "callbacks": list(callbacks) or None, **parameters})


def column(fitted, name):
    return [row[name] for row in fitted.history_]


class Recorder(Callback):
    """Keeps what skorch hands out at the end of each pass."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        weights = {name: w.clone() for name, w in net.module_.state_dict().items()}
        self.seen.append((dataset_train, dataset_valid, weights))


class Writer:
    """What TensorBoard asks of a SummaryWriter; like that one it cannot be copied."""

    def __init__(self):
        self.scalars, self.is_closed, self.lock = {}, False, threading.Lock()

    def add_scalar(self, tag, scalar_value, global_step):
        self.scalars.setdefault(tag, []).append((global_step, scalar_value))

    def close(self):
        self.is_closed = True


def gap(net, X, y=None):
    return net.history[-1, "train_bound"] - net.history[-1, "valid_bound"]


def one(net, X, y=None):
    return 1.0


# What they see

WATCHERS = {
    "EarlyStopping": lambda: EarlyStopping(patience=99),
    "EarlyStopping by the bound": lambda: EarlyStopping("valid_bound", lower_is_better=False),
    "Checkpoint": Checkpoint,
    "Checkpoint by a function": lambda: Checkpoint(lambda net: net.history[-1, "valid_loss_best"]),
    "LRScheduler": lambda: LRScheduler(ReduceLROnPlateau, monitor="valid_loss"),
    "EpochScoring": lambda: EpochScoring(gap, name="gap"),
    "EpochScoring without cache": lambda: EpochScoring(gap, name="gap", use_caching=False),
    "BatchScoring": lambda: BatchScoring(one, name="one"),
    "PassthroughScoring": lambda: PassthroughScoring("valid_loss"),
    "a class": lambda: EarlyStopping,
    "with a name": lambda: ("stop", EarlyStopping(patience=99)),
}
OTHERS = {
    "TensorBoard": lambda: TensorBoard(Writer()),
    "ProgressBar": ProgressBar,
    "Checkpoint of each pass": lambda: Checkpoint(monitor=None),
    "Checkpoint by training": lambda: Checkpoint("train_loss_best"),
    "TrainEndCheckpoint": TrainEndCheckpoint,
    "EarlyStopping by training": lambda: EarlyStopping("train_loss", patience=99),
    "EpochScoring on training": lambda: EpochScoring(one, name="one", on_train=True),
    "PassthroughScoring on training": lambda: PassthroughScoring("train_loss", on_train=True),
    "Recorder": Recorder,
}


@pytest.mark.parametrize("name", WATCHERS)
def test_what_watches_sees_rows_that_are_kept_for_stopping(X, name):
    recorder = Recorder()
    fitted = learner(WATCHERS[name](), recorder, standardize=False).fit(X)
    training, stopping, _ = recorder.seen[-1]
    trained, stopped = (
        {row.tobytes() for row in np.asarray(rows)} for rows in (training, stopping)
    )
    rows = [row.tobytes() for row in X.astype(np.float32)]
    assert (len(trained), len(stopped)) == (360, 20) and trained | stopped < set(rows)
    reported = X[[row not in trained | stopped for row in rows]]
    assert fitted.mi_.n_pairs == len(reported) == 20
    assert fitted.mi_.value == pytest.approx(fitted.score(reported), abs=1e-6)
    assert {"valid_loss", "valid_loss_best", "valid_bound"} <= set(fitted.history_[-1])


@pytest.mark.parametrize("name", OTHERS)
def test_what_does_not_watch_changes_nothing(X, name):
    plain, fitted = learner().fit(X), learner(OTHERS[name]()).fit(X)
    assert np.array_equal(fitted.transform(X), plain.transform(X)) and fitted.mi_ == plain.mi_
    assert column(fitted, "train_bound") == column(plain, "train_bound")
    assert "valid_loss" not in fitted.history_[-1] and "valid_bound" not in fitted.history_[-1]


def test_a_held_out_pass_draws_from_streams_of_its_own(X):
    """With drop-out, noise and drawn partners: training is what early stopping makes of it."""
    parts = {"encoder": MLP(hidden=(16,), dropout=0.3), "view": "neighbors", "negatives": "queue"}
    own = learner(early_stopping=10**6, **parts).fit(X)
    theirs = learner(EpochScoring(gap, name="gap"), **parts).fit(X)
    for name in ("train_bound", "valid_bound"):
        assert column(own, name) == column(theirs, name)


def test_the_held_out_loss_is_that_of_the_objective(X):
    recorder = Recorder()
    fitted = learner(EarlyStopping(patience=99), recorder).fit(X)
    rows = np.asarray(recorder.seen[-1][1])
    model = fitted.net_.module_.eval()
    with torch.no_grad():
        x, x_prime = (torch.as_tensor(half) for half in np.split(rows, 2, axis=1))
        scores = model.critic(model.encoder(x), model.encoder_y(x_prime)).double().numpy()
    own = np.diag(scores) - np.log(np.exp(scores).mean(axis=1))
    assert column(fitted, "valid_loss")[-1] == pytest.approx(-own.mean(), abs=1e-5)
    assert column(fitted, "valid_bound")[-1] == pytest.approx(own.mean(), abs=1e-5)


@pytest.mark.parametrize("objective", ["nwj", "mine", "vicreg", "triplet"])
def test_other_objectives_have_a_held_out_loss_of_their_own(X, objective):
    recorder = Recorder()
    fitted = learner(EarlyStopping(patience=99), recorder, objective=objective, standardize=False)
    values = fitted.fit(X).bounds(np.asarray(recorder.seen[-1][1]))
    assert column(fitted, "valid_loss")[-1] == pytest.approx(-values["maximised"], rel=1e-5)
    assert column(fitted, "valid_bound")[-1] == pytest.approx(values["infonce"], rel=1e-5)


def test_histories_have_the_names_of_skorch(X):
    fitted = learner(Checkpoint(), ("ear", PassthroughScoring("valid_loss"))).fit(X)
    assert len(fitted.history_) == PASSES
    for prefix, size, count in (("train", 64, 5), ("valid", 20, 1)):
        losses = np.array(column(fitted, f"{prefix}_loss"))
        least = [losses[i] < losses[:i].min(initial=np.inf) for i in range(PASSES)]
        assert column(fitted, f"{prefix}_loss_best") == least
        assert column(fitted, f"{prefix}_batch_count") == [count] * PASSES
        for row in fitted.history_:
            batches = [batch for batch in row["batches"] if f"{prefix}_loss" in batch]
            assert [batch[f"{prefix}_batch_size"] for batch in batches] == [size] * count
            mean = np.mean([batch[f"{prefix}_loss"] for batch in batches])
            assert mean == pytest.approx(row[f"{prefix}_loss"], abs=1e-6)


def test_without_a_look_into_batches_the_last_ones_are_recorded(X):
    fitted = learner(Checkpoint()).fit(X)
    whole = learner(Checkpoint(), PassthroughScoring("valid_loss")).fit(X)
    for row, full in zip(fitted.history_, whole.history_, strict=True):
        assert row["batches"] == [full["batches"][4], full["batches"][5]]


def test_the_best_loss_goes_on_from_call_to_call(X):
    fitted = learner(PassthroughScoring("valid_loss"))
    for _ in range(6):
        fitted.partial_fit(X)
    losses = np.array(column(fitted, "train_loss"))
    assert column(fitted, "train_loss_best") == [
        losses[i] < losses[:i].min(initial=np.inf) for i in range(6)
    ]


def test_no_callback_sees_the_rows_that_are_reported(X):
    assert "valid_bound" in learner(verbose=1).fit(X).history_[-1]
    recorder = Recorder()
    fitted = learner(recorder, verbose=1).fit(X)
    assert "valid_bound" not in fitted.history_[-1] and recorder.seen[-1][1] is None


def test_rows_do_not_outlive_the_fit(X):
    seen = []

    class Look(Callback):
        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen[:] = [weakref.ref(dataset_train), weakref.ref(dataset_valid)]

    fitted = learner(Look(), EarlyStopping(patience=99)).fit(X)
    gc.collect()
    assert [reference() for reference in seen] == [None, None] and len(fitted.history_) == PASSES


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_rows_to_stop_by_are_needed(X, fraction):
    few = X if fraction == 0 else X[:5]
    fitted = learner(EarlyStopping(), validation_fraction=fraction)
    words = (
        r"EarlyStopping\(monitor='valid_loss'\) needs rows to stop by, but "
        rf"validation_fraction={fraction} of {len(few)} rows leaves none; raise "
        r"validation_fraction, or watch 'train_loss'"
    )
    with pytest.raises(ValueError, match=words):
        fitted.fit(few)


def test_a_function_that_watches_training_needs_no_held_out_rows(X):
    best = Checkpoint(lambda net: net.history[-1, "train_loss_best"])
    fitted = learner(best, validation_fraction=0.0).fit(X)
    assert column(fitted, "event_cp") == column(fitted, "train_loss_best")


# What each of them does


def codes_of(model, weights, X):
    model.net_.module_.load_state_dict(weights)
    return model.transform(X)


def test_early_stopping_ends_training_by_its_rule(X):
    stopper = EarlyStopping(patience=2, threshold=0.05, threshold_mode="abs")
    fitted = learner(stopper, max_steps=2000).fit(X)
    losses, best, misses, ends = column(fitted, "valid_loss"), np.inf, 0, []
    for number, loss in enumerate(losses, start=1):
        best, misses = (loss - 0.05, 0) if loss < best else (best, misses + 1)
        ends += [number] if misses == 2 else []
    assert ends == [len(losses)] and fitted.n_iter_ == 5 * len(losses) < 2000


def test_early_stopping_takes_the_best_weights(X):
    recorder = Recorder()
    stopper = EarlyStopping(patience=2, load_best=True, threshold=0.05, threshold_mode="abs")
    fitted = learner(recorder, stopper, max_steps=500).fit(X)
    assert stopper.best_epoch_ < len(fitted.history_)
    codes = fitted.transform(X)
    assert np.array_equal(codes, codes_of(fitted, recorder.seen[stopper.best_epoch_ - 1][2], X))


def test_ours_and_theirs_stop_side_by_side(X):
    theirs = ("EarlyStopping", EarlyStopping(patience=99))
    fitted = learner(theirs, early_stopping=50, verbose=1, max_steps=100).fit(X)
    names = [name for name, _ in fitted.net_.callbacks_]
    assert names == ["epoch_timer", "take_best", "EarlyStopping", "early_stopping", "progress"]


def test_callbacks_see_the_last_pass_and_the_best_weights(X, tmp_path):
    recorder = Recorder()
    fitted = learner(
        recorder, TrainEndCheckpoint(), early_stopping=15, max_steps=2000, lr=0.03
    ).fit(X)
    bounds = column(fitted, "valid_bound")
    assert len(recorder.seen) == len(bounds) < 400 and np.argmax(bounds) == len(bounds) - 4
    written = torch.load(tmp_path / "train_end_params.pt", weights_only=True)
    best = recorder.seen[np.argmax(bounds)][2]
    assert all(torch.equal(written[name], best[name]) for name in best)


class Interrupting(Callback):
    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_a_checkpoint_that_is_not_there_yet_hides_no_interrupt(X):
    fitted = learner(Interrupting(), Checkpoint(load_best=True))
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    assert fitted.n_iter_ == 0 and np.isfinite(fitted.transform(X)).all()


@pytest.mark.parametrize("safe", [False, True])
def test_a_checkpoint_writes_and_loads_the_best_weights(X, tmp_path, safe):
    recorder = Recorder()
    options = {"use_safetensors": True, "f_optimizer": None} if safe else {}
    best = Checkpoint("valid_loss_best", dirname="kept", load_best=True, **options)
    rate = LRScheduler(StepLR, step_size=3, gamma=100.0)  # at last the loss grows
    fitted = learner(recorder, rate, best).fit(X)
    history = json.loads((tmp_path / "kept" / "history.json").read_text())
    assert history[-1]["valid_loss_best"] and len(history) < PASSES
    assert len(fitted.history_) == len(history)
    codes = fitted.transform(X)
    assert np.array_equal(codes, codes_of(fitted, recorder.seen[len(history) - 1][2], X))
    written = {path.name for path in (tmp_path / "kept").iterdir()}
    assert written == {"params.pt", "criterion.pt", "history.json"} | (
        set() if safe else {"optimizer.pt"}
    )


def test_a_checkpoint_names_its_files(X, tmp_path):
    name = "{last_epoch[epoch]}_{last_batch[valid_batch_size]}.pt"
    fitted = learner(Checkpoint(f_params=name)).fit(X)
    best = [row["epoch"] for row in fitted.history_ if row["valid_loss_best"]]
    assert {path.name for path in tmp_path.glob("*_20.pt")} == {f"{n}_20.pt" for n in best}


def test_what_is_written_at_the_end_is_what_was_learned(X, tmp_path):
    fitted = learner(TrainEndCheckpoint()).fit(X)
    written = torch.load(tmp_path / "train_end_params.pt", weights_only=True)
    state = fitted.net_.module_.state_dict()
    assert set(written) == set(state) and all(torch.equal(written[n], state[n]) for n in state)
    assert len(json.loads((tmp_path / "train_end_history.json").read_text())) == PASSES


def test_a_scheduler_makes_the_rate_constant_otherwise(X):
    rates = {"encoder": "auto", "critic": "auto", "objective": "auto", "n_components": None}
    plain = learner(**rates).fit(X)
    assert (plain.choices_["schedule"].value, plain.choices_["lr"].value) == ("linear", 0.02)
    fitted = learner(LRScheduler(StepLR, step_size=2, gamma=0.5), **rates).fit(X)
    assert (fitted.choices_["schedule"].value, fitted.choices_["lr"].value) == ("constant", 1e-3)
    assert "LRScheduler" in fitted.choices_["schedule"].reason
    expected = [1e-3 * 0.5 ** (k // 2) for k in range(PASSES)]
    np.testing.assert_allclose(column(fitted, "event_lr"), expected, rtol=1e-12)


POLICIES = {
    "StepLR": ({"step_size": 2, "gamma": 0.5}, lambda k: 0.5 ** (k // 2)),
    "ExponentialLR": ({"gamma": 0.9}, lambda k: 0.9**k),
    "LambdaLR": ({"lr_lambda": lambda k: 1 / (1 + k)}, lambda k: 1 / (1 + k)),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_schedule_goes_on_from_call_to_call(X, policy):
    options, expected = POLICIES[policy]
    whole = learner(LRScheduler(policy, **options)).fit(X)
    parts, stops = (learner(LRScheduler(policy, **options)) for _ in range(2))
    for _ in range(PASSES):
        parts.partial_fit(X)
    assert list(stops.fit_iter(X, at=(10, 20, STEPS))) == [10, 20, STEPS]
    for fitted in (whole, parts, stops):
        rates = [1e-3 * expected(k) for k in range(PASSES)]
        np.testing.assert_allclose(column(fitted, "event_lr"), rates, rtol=1e-9)
    assert np.array_equal(whole.transform(X), stops.transform(X))


def test_a_rate_falls_where_the_held_out_loss_stays(X):
    fitted = learner(LRScheduler(ReduceLROnPlateau, monitor="valid_loss", patience=0)).fit(X)
    group = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
    plateau, rates = ReduceLROnPlateau(group, patience=0), []
    for loss in column(fitted, "valid_loss"):
        rates.append(group.param_groups[0]["lr"])
        plateau.step(loss)
    assert column(fitted, "event_lr") == rates


def test_a_progress_bar_shows_steps_and_losses(X, capsys):
    def slow(x):
        time.sleep(0.06)  # the bar is drawn ten times a second
        return x[:, :3], x[:, 3:]

    fitted = learner(ProgressBar(detect_notebook=False), view=slow, max_steps=10).fit(X)
    shown = capsys.readouterr().err
    assert "0/5 [" in shown and any(f"{k}/5 [" in shown for k in (2, 3, 4, 5)) and "/6" not in shown
    losses = [batch["train_loss"] for row in fitted.history_ for batch in row["batches"]]
    drawn = [float(text) for text in re.findall(r"train_loss=([-.\d]+)", shown)]
    assert drawn and all(np.isclose(losses, value, rtol=5e-3).any() for value in drawn)


def test_a_progress_bar_counts_held_out_batches(X, capsys):
    learner(ProgressBar(detect_notebook=False), EarlyStopping(patience=99), max_steps=5).fit(X)
    assert "0/6 [" in capsys.readouterr().err


def test_tensorboard_gets_every_number(X):
    writer = Writer()
    fitted = learner(TensorBoard(writer), EarlyStopping(patience=99)).fit(X)
    for name in ("train_loss", "train_bound", "valid_loss", "valid_bound"):
        assert writer.scalars[f"Loss/{name}"] == list(enumerate(column(fitted, name), start=1))
    assert [value for _, value in writer.scalars["steps"]] == [5] * PASSES and writer.is_closed


def test_tensorboard_writes_with_torch(X, tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    writer = tensorboard.SummaryWriter(tmp_path / "runs")
    learner(TensorBoard(writer)).fit(X)
    assert len(list((tmp_path / "runs").iterdir())) == 1
    # An open file has a thread that writes.
    with (
        tensorboard.SummaryWriter(tmp_path / "more") as still_open,
        pytest.raises(ValueError, match="TensorBoard cannot be copied"),
    ):
        clone(learner(TensorBoard(still_open)))


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_a_score_of_ones_own_is_recorded(X, use_caching, on_train):
    given = []

    def rows_and_steps(net, X, y=None):
        given.append((len(X), y))
        return -float(len(net.history))

    score = EpochScoring(rows_and_steps, name="own", use_caching=use_caching, on_train=on_train)
    fitted = learner(score).fit(X)
    assert given == [(360 if on_train else 20, None)] * PASSES
    assert column(fitted, "own") == [-float(k) for k in range(1, PASSES + 1)]
    assert column(fitted, "own_best") == [True] * PASSES


def test_freezing_and_clipping_work(X):
    recorder = Recorder()
    freezer = Freezer("first_encoder.layers.0.*", at=3)
    names = [n for n, _ in learner().fit(X).net_.module_.named_parameters()]
    pattern = [name for name in names if name.startswith("first_encoder")][:2]
    freezer.patterns = pattern
    learner(freezer, GradientNormClipping(1e-9), recorder).fit(X)
    weights = [seen[2] for seen in recorder.seen]
    for name in pattern:
        assert not torch.equal(weights[0][name], weights[1][name])
        assert all(torch.equal(weights[1][name], later[name]) for later in weights[2:])


# Whose instance it is


@pytest.mark.parametrize("wrap", [lambda cb: cb, lambda cb: ("mine", cb)], ids=["alone", "named"])
def test_an_instance_is_used_not_copied(X, wrap):
    recorder = Recorder()
    fitted = learner(wrap(recorder)).fit(X)
    assert len(recorder.seen) == PASSES
    assert any(callback is recorder for _, callback in fitted.net_.callbacks_)


def test_a_clone_has_copies(X):
    recorder, saving = Recorder(), Checkpoint("train_loss_best")
    end = TrainEndCheckpoint()
    end.other = saving
    kept = learner(recorder, ("saving", saving), end).set_output(transform="pandas")
    twin = clone(kept)
    copies = twin.callbacks
    assert copies[0] is not recorder and copies[1][1] is not saving
    assert copies[2].other is copies[1][1]
    assert kept.callbacks[0] is recorder and twin.get_params()["random_state"] == 0
    twin.fit(X)
    assert recorder.seen == [] and len(copies[0].seen) == PASSES
    assert list(twin.transform(X).columns) == [f"mirepresentationlearner{i}" for i in range(6)]


def test_a_clone_keeps_what_is_requested():
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        asking = learner(Recorder()).set_fit_request(X_pair=True)
        assert clone(asking).get_metadata_routing().fit.requests["X_pair"] is True


@pytest.mark.slow
def test_a_grid_copies_what_can_be_copied(X):
    recorder = Recorder()
    stopper = EarlyStopping(patience=1, threshold=0.5, threshold_mode="abs")
    search = GridSearchCV(
        learner(recorder, stopper, max_steps=200),
        {"critic": ["cosine", "bilinear"]},
        cv=ShuffleSplit(1, random_state=0),
        n_jobs=2,
    ).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert recorder.seen == [] and search.best_estimator_.n_iter_ < 200
    assert len(search.best_estimator_.callbacks[0].seen) == len(search.best_estimator_.history_)


def test_a_grid_refuses_what_cannot_be_copied_by_name(X):
    search = GridSearchCV(
        learner(Recorder(), ("board", TensorBoard(Writer()))), {"critic": ["cosine"]}, n_jobs=2
    )
    with pytest.raises(ValueError, match=r"^callbacks: board cannot be copied, but clone.*grid"):
        search.fit(X)


# What is refused


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (LoadInitState(Checkpoint()), r"LoadInitState loads weights.*checkpoint_dir='folder'"),
        (InputShapeSetter(), "InputShapeSetter sets the width.*leave it out"),
        (Checkpoint(f_pickle="net.pkl"), "Checkpoint has f_pickle.*use f_params, or learner.save"),
        (TrainEndCheckpoint(f_pickle="net.pkl"), "TrainEndCheckpoint has f_pickle"),
        (EpochScoring("accuracy"), r"EpochScoring has scoring='accuracy'.*scoring\(net, X, y\)"),
        (("score", BatchScoring(None)), "score has scoring=None"),
    ],
    ids=["LoadInitState", "InputShapeSetter", "pickle", "pickle at the end", "labels", "no score"],
)
def test_what_cannot_work_is_refused_in_one_sentence(X, callback, words):
    with pytest.raises(ValueError, match=words) as told:
        learner(callback).fit(X)
    assert str(told.value).count(". ") == 0


@pytest.mark.parametrize("callbacks", ["x", 3, [3], EarlyStopping(), [("a", 3)], [str]])
def test_only_a_list_of_callbacks_is_taken(X, callbacks):
    with pytest.raises(TypeError, match="expected a list of skorch callbacks"):
        learner(callbacks=callbacks).fit(X)


def test_two_schedules_are_refused(X):
    rate = LRScheduler(LambdaLR, lr_lambda=lambda k: 1.0)
    with pytest.raises(ValueError, match="schedule='cosine' and an LRScheduler.*both set"):
        learner(rate, schedule="cosine").fit(X)
    assert learner(rate, schedule="constant").fit(X).n_iter_ == STEPS


@pytest.mark.parametrize(
    "callback", [EarlyStopping("train_loss"), Checkpoint("train_loss_best", load_best=True)]
)
def test_stops_at_given_steps_and_an_end_of_ones_own_exclude_each_other(X, callback):
    name = type(callback).__name__
    with pytest.raises(ValueError, match=f"fit_iter stops at given steps only, but {name}"):
        next(learner(callback).fit_iter(X, at=(1, 2)))
