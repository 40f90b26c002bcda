"""MLflow, TensorBoard and Weights & Biases, offline, through skorch's callbacks."""

import pickle

import numpy as np
import pytest
from skorch.callbacks import MlflowLogger, TensorBoard, WandbLogger

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.encoders import MLP
from sklearn_mi.views import Halves

X = np.random.default_rng(0).normal(size=(300, 6))


def learner(*callbacks, **parameters):
    small = {"view": Halves(), "encoder": MLP(hidden=(8,)), "batch_size": 64, "max_steps": 12}
    return MIRepresentationLearner(
        3, callbacks=list(callbacks) or None, random_state=0, **{**small, **parameters}
    )


def column(fitted, name):
    return [row[name] for row in fitted.history_]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("early_stopping", [False, 50])
def test_tensorboard_has_every_pass(tmp_path, early_stopping):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    watched = learner(TensorBoard(SummaryWriter(tmp_path)), early_stopping=early_stopping).fit(X)
    events = EventAccumulator(str(tmp_path)).Reload()
    names = ["train_loss", "train_bound"]
    for name in [*names, "valid_loss", "valid_bound"] if early_stopping else names:
        # skorch takes whatever is of training for a loss.
        seen = [event.value for event in events.Scalars(f"Loss/{name}")]
        assert seen == pytest.approx(column(watched, name), rel=1e-6)
    plain = learner(early_stopping=early_stopping).fit(X)
    assert np.array_equal(watched.transform(X), plain.transform(X))


@pytest.mark.slow
@pytest.mark.parametrize("in_batches", [False, True])
def test_mlflow_has_every_pass(tmp_path, monkeypatch, in_batches):
    import mlflow

    # Files are what it writes without a server; it would rather have a database.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    run = client.create_run(client.create_experiment("learner"))
    logger = MlflowLogger(run, client, log_on_batch_end=in_batches)
    watched = learner(logger).fit(X)
    suffix = "_epoch" if in_batches else ""
    for name in ("train_loss", "train_bound"):
        history = client.get_metric_history(run.info.run_id, name + suffix)
        assert [metric.value for metric in history] == pytest.approx(column(watched, name))
    if in_batches:
        history = client.get_metric_history(run.info.run_id, "train_loss_batch")
        assert len(history) == watched.n_iter_
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"params.pth", "history.json"} <= artifacts
    assert np.array_equal(watched.transform(X), learner().fit(X).transform(X))


@pytest.fixture
def wandb_run(tmp_path):
    import wandb

    run = wandb.init(mode="offline", dir=tmp_path, project="learner")
    yield run
    run.finish()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_wandb_has_every_pass_offline(tmp_path, wandb_run):
    said = []
    log = wandb_run.log
    wandb_run.log = lambda row: (said.append(row), log(row))
    watched = learner(WandbLogger(wandb_run)).fit(X)
    # It keeps the best weights by valid_loss, so that rows are kept to judge by.
    assert {"train_loss", "train_bound", "valid_loss"} <= set(said[0])
    assert [row["train_loss"] for row in said] == column(watched, "train_loss")
    assert list(tmp_path.rglob("best_model.pth"))
    wandb_run.unwatch()
    learner_again = pickle.loads(pickle.dumps(watched.set_params(callbacks=None)))
    assert np.array_equal(learner_again.transform(X), watched.transform(X))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_wandb_without_models_changes_nothing(wandb_run):
    watched = learner(WandbLogger(wandb_run, save_model=False)).fit(X)
    assert "valid_loss" not in watched.history_[0]
    assert np.array_equal(watched.transform(X), learner().fit(X).transform(X))
    watched.set_params(callbacks=None).save("learner.safetensors")
    assert np.array_equal(load("learner.safetensors").transform(X), watched.transform(X))
