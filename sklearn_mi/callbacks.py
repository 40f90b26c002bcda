"""Callbacks for skorch: our own, and checks of the user's."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    TrainEndCheckpoint,
    WandbLogger,
)

from sklearn_mi._checks import check_codes, check_random_state
from sklearn_mi._progress import progress_bar
from sklearn_mi.diagnostics import effective_rank
from sklearn_mi.probes import READOUTS, fitted_readout, fitted_scaling, read_labels
from sklearn_mi.rows import warn_of_labels

__all__ = [
    "OnlineProbe",
    "Progress",
    "check_callbacks",
    "check_stops",
    "copy_callbacks",
    "cure_of_stoppers",
    "may_watch",
    "sets_rate",
    "stoppers",
    "watchers",
    "with_early_stopping",
]

_SCORING = EpochScoring | BatchScoring | PassthroughScoring
_REFUSED: dict[type[Callback], str] = {
    LoadInitState: (
        "loads weights that may have seen the rows that mi_ reports; use checkpoint_dir='folder' "
        "to resume, or warm_start=True to go on"
    ),
    InputShapeSetter: "sets the width of the encoder, as the learner does by itself; leave it out",
}


class Progress(Callback):
    """A progress bar over steps that shows the bound in nats, and the time left.

    Where nothing is trained there is none, nor in a worker of joblib, Dask or Ray.
    """

    def __init__(self, total: int, name: str) -> None:
        self.total, self.name = total, name

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Wait for the first pass."""
        self.bar_: Any = None

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Open the bar, where an earlier part of the training ended."""
        if self.bar_ is None:
            done = min(net.steps_before_pass, self.total)
            self.bar_ = progress_bar(self.total, "step", shown=True, initial=done)

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Advance the bar by one pass."""
        row = net.history[-1]
        held_out = f", held-out InfoNCE {row['valid_bound']:.3f}" if "valid_bound" in row else ""
        text = f"{self.name} {row['train_bound']:.3f}{held_out} nats"
        self.bar_.set_postfix_str(text, refresh=False)
        self.bar_.update(row["steps"])

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Close the bar."""
        if self.bar_ is not None:
            self.bar_.close()


class OnlineProbe(Callback):
    r"""Watch along training how well simple models tell labels from the codes.

    Every ``every`` steps, at the end of a pass, the encoder as it is encodes labelled rows. Probes
    are fitted to half of them, drawn once, and judged on the other half. The scores stand in the
    learner's ``history_`` beside the bound. Training sees neither these rows nor their labels, and
    its weights and random streams are those of a training without the callback.

    The scores are for watching: a training that is stopped or chosen by them has seen the labels.
    To compare representations, use `sklearn_mi.evaluation.compare`.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        Rows as ``transform`` takes them, preferably ones that the learner is not trained on.
    y : array-like of shape (n_samples,)
        Their classes, or a measurement.
    every : int, default=100
        Steps between two looks, at least; a look is at the end of a pass.
    probes : sequence of {"logistic", "knn", "mlp", "ridge"}, optional
        Of classes logistic regression, nearest neighbours or a perceptron; of a measurement ridge
        regression or nearest neighbours. By default the first two of classes, or both.
    discrete_target : bool or "auto", default="auto"
        Whether ``y`` holds classes, as in `sklearn_mi.evaluation.compare`.
    random_state : int, RandomState or None, default=0
        Halves the rows of each class.

    Notes
    -----
    A pass with a look has in ``history_`` ``logistic_accuracy`` and ``knn_accuracy`` or, of a
    measurement, ``ridge_r2`` and ``knn_r2``, on columns of the codes that are scaled to unit
    variance; and ``effective_rank`` of all codes, as of `sklearn_mi.diagnostics.effective_rank`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.callbacks import OnlineProbe
    >>> X, y = load_digits(return_X_y=True)
    >>> watch = OnlineProbe(X[1500:], y[1500:], every=10)
    >>> learner = MIRepresentationLearner(8, max_steps=20, callbacks=[watch], random_state=0)
    >>> "knn_accuracy" in learner.fit(X[:1500]).history_[-1]
    True
    """

    def __init__(
        self,
        X: Any,
        y: ArrayLike,
        *,
        every: int = 100,
        probes: Sequence[str] | None = None,
        discrete_target: bool | str = "auto",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.X, self.y, self.every, self.probes = X, y, every, probes
        self.discrete_target, self.random_state = discrete_target, random_state

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Check the labels, and halve the rows."""
        if not isinstance(self.every, int) or self.every < 1:
            raise ValueError(f"every={self.every!r}; expected a positive integer.")
        n_rows = self.X.shape[0] if issparse(self.X) else len(self.X)
        warn_of_labels(self.X, self.y)
        self.labels_, self.is_measurement_ = read_labels(self.y, n_rows, self.discrete_target)
        known = READOUTS[self.is_measurement_]
        self.probes_ = [name for name in known if name != "mlp"]
        self.probes_ = self.probes_ if self.probes is None else list(self.probes)
        for probe in self.probes_:
            if probe not in known:
                raise ValueError(f"probe={probe!r}; expected one of {sorted(known)} for this y.")
        self.fitted_to_ = self._half()
        self.steps_since_ = 0

    def _half(self) -> NDArray[np.bool_]:
        """Return which rows the probes are fitted to: every other one of each class."""
        order = check_random_state(self.random_state).permutation(len(self.labels_))
        classes = pd.Series(0 if self.is_measurement_ else self.labels_[order], index=order)
        rank = classes.groupby(classes).cumcount().reindex(range(len(order)))
        fitted_to = rank.to_numpy() % 2 == 0
        # R2 needs two rows.
        if (~fitted_to).sum() < 1 + self.is_measurement_:
            expected = "at least 4" if self.is_measurement_ else "two or more of a class"
            raise ValueError(f"OnlineProbe has {len(order)} rows; expected {expected}.")
        return fitted_to

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Look at the encoder after enough steps."""
        self.steps_since_ += net.history[-1, "steps"]
        if self.steps_since_ < self.every:
            return
        self.steps_since_ = 0
        is_training = net.module_.training
        Z = check_codes("Z, the codes of OnlineProbe's rows,", net.encode_(self.X))
        net.module_.train(is_training)
        for name, value in self._scores(Z).items():
            net.history.record(name, value)

    def _scores(self, Z: NDArray[np.float64]) -> dict[str, float]:
        a, b = self.fitted_to_, ~self.fitted_to_
        scaling = fitted_scaling("column", Z[a])
        train, test = scaling(Z[a]), scaling(Z[b])
        found = {"effective_rank": effective_rank(Z)}
        for probe in self.probes_:
            model = fitted_readout(
                probe, train, self.labels_[a], is_measurement=self.is_measurement_
            )
            metric = "r2" if self.is_measurement_ else "accuracy"
            found[f"{probe}_{metric}"] = float(model.score(test, self.labels_[b]))
        return found


def check_callbacks(callbacks: Any) -> None:
    """Raise an error unless these are skorch callbacks that can work here.

    Parameters
    ----------
    callbacks : list of Callback or None
        Instances or classes, alone or as (name, callback).

    Raises
    ------
    TypeError
        If something else is among them.
    ValueError
        If one of them cannot work with the learner; the message names it and the cure.
    """
    items = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    is_list = callbacks is None or items is callbacks
    if not is_list or not all(_is_callback(_alone(item)) for item in items if callbacks):
        raise TypeError(
            f"callbacks={callbacks!r}; expected a list of skorch callbacks, "
            "alone or as (name, callback)."
        )
    for name, callback in _each(callbacks):
        reason = _reason_against(callback)
        if reason is not None:
            raise ValueError(f"callbacks: {name} {reason}.")


def _alone(item: Any) -> Any:
    return item[1] if isinstance(item, tuple) and len(item) == 2 else item


def _is_callback(value: Any) -> bool:
    return isinstance(value, Callback) or (isinstance(value, type) and issubclass(value, Callback))


def _each(callbacks: Any) -> Iterator[tuple[str, Callback]]:
    """Yield names and instances."""
    for item in callbacks or ():
        callback = _alone(item)
        made = callback() if isinstance(callback, type) else callback
        yield type(made).__name__ if item is callback else str(item[0]), made


def _reason_against(callback: Callback) -> str | None:
    """Return why a callback cannot work here; None if it can."""
    for kind, reason in _REFUSED.items():
        if isinstance(callback, kind):
            return reason
    if isinstance(callback, Checkpoint | TrainEndCheckpoint) and callback.f_pickle is not None:
        return (
            "has f_pickle, but a net in training cannot be pickled; use f_params, or learner.save"
        )
    if isinstance(callback, EpochScoring | BatchScoring) and not callable(callback.scoring):
        return (
            f"has scoring={callback.scoring!r}, but training knows neither labels nor predictions; "
            "expected a function, scoring(net, X, y)"
        )
    return None


def watchers(callbacks: Any) -> list[str]:
    """Return the callbacks that watch rows outside of training.

    They need rows kept for stopping: their decisions must not depend on the rows that ``mi_``
    reports.

    Parameters
    ----------
    callbacks : list of Callback or None

    Returns
    -------
    watchers : list of str
        Such as ``"EarlyStopping(monitor='valid_loss')"``.
    """
    found = [(name, _watched(callback)) for name, callback in _each(callbacks)]
    return [f"{name}({watched})" for name, watched in found if watched is not None]


def stoppers(settings: Mapping[str, Any]) -> list[str]:
    """Return what needs rows to stop by.

    Parameters
    ----------
    settings : mapping
        Parameters of the learner.

    Returns
    -------
    names : list of str
    """
    wanted = settings["early_stopping"]
    return [*([f"early_stopping={wanted!r}"] if wanted else []), *watchers(settings["callbacks"])]


def cure_of_stoppers(settings: Mapping[str, Any]) -> str:
    """Return the advice for training without rows to stop by.

    Parameters
    ----------
    settings : mapping
        Parameters of the learner.

    Returns
    -------
    advice : str
    """
    own = ["set early_stopping=False"] if settings["early_stopping"] else []
    watching = watchers(settings["callbacks"])
    saving = [name for name in watching if "save_model" in name]
    theirs = ["watch 'train_loss'"] if len(watching) > len(saving) else []
    theirs += ["set save_model=False"] if saving else []
    return " and ".join(own + theirs)


def _watched(callback: Callback) -> str | None:
    if isinstance(callback, _SCORING):
        return None if callback.on_train else "on_train=False"
    if isinstance(callback, WandbLogger):
        # It keeps the weights of the least valid_loss.
        return "save_model=True" if callback.save_model else None
    monitor = _monitor(callback)
    is_held_out = isinstance(monitor, str) and monitor.startswith("valid_")
    return f"monitor={monitor!r}" if is_held_out else None


def _monitor(callback: Callback) -> Any:
    return callback.get_params(deep=False).get("monitor")


def may_watch(callbacks: Any) -> bool:
    """Return whether a callback's monitor is a function, which may look at anything.

    Parameters
    ----------
    callbacks : list of Callback or None

    Returns
    -------
    may_watch : bool
    """
    return any(callable(_monitor(callback)) for _, callback in _each(callbacks))


def sets_rate(callbacks: Any) -> bool:
    """Return whether a callback schedules the learning rate.

    Parameters
    ----------
    callbacks : list of Callback or None

    Returns
    -------
    sets_rate : bool
    """
    return any(isinstance(callback, LRScheduler) for _, callback in _each(callbacks))


def check_stops(callbacks: Any) -> None:
    """Raise a ValueError if a callback could end a training that must stop at given steps.

    Parameters
    ----------
    callbacks : list of Callback or None

    Raises
    ------
    ValueError
        The message names the callback.
    """
    for name, callback in _each(callbacks):
        takes_best = isinstance(callback, Checkpoint) and callback.load_best
        if takes_best or isinstance(callback, EarlyStopping):
            raise ValueError(
                f"fit_iter stops at given steps only, but {name} ends training or loads earlier "
                "weights; leave it out of callbacks, or use fit."
            )


def copy_callbacks(callbacks: Any) -> Any:
    """Return deep copies of callbacks, for a clone of the learner.

    Parameters
    ----------
    callbacks : list of Callback or None

    Returns
    -------
    copies : list of Callback or None

    Raises
    ------
    ValueError
        If one cannot be copied; the message names it.
    """
    try:
        # Copied together: a callback that refers to another then refers to its copy.
        return copy.deepcopy(callbacks)
    # A failed copy may raise any kind of error.
    except Exception as error:
        names = [name for name, callback in _each(callbacks) if not _can_copy(callback)]
        raise ValueError(
            f"callbacks: {', '.join(names)} cannot be copied, but clone, and so a grid search, "
            "needs a copy for each fit; leave it out there, or call fit of the learner itself."
        ) from error


def _can_copy(callback: Callback) -> bool:
    try:
        copy.deepcopy(callback)
    except Exception:
        return False
    return True


class _Stopper(EarlyStopping):
    """Ends training; `_TakeBest` restores the best weights."""

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the weights alone."""


class _TakeBest(Callback):
    """Restores the best weights before the user's callbacks see the end of training."""

    def __init__(self, stopper: _Stopper) -> None:
        self.stopper = stopper

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Restore the best weights."""
        EarlyStopping.on_train_end(self.stopper, net)


def with_early_stopping(callbacks: list[Any], patience: int) -> list[Any]:
    """Add callbacks that end training and restore the best weights, both by the bound.

    The user's callbacks stand between these: they see the last pass before training ends, and the
    best weights at its end.

    Parameters
    ----------
    callbacks : list of Callback
        The user's callbacks.
    patience : int
        Passes without improvement before training ends.

    Returns
    -------
    callbacks : list of (str, Callback)
    """
    stopper = _Stopper(
        "valid_bound",
        patience=patience,
        threshold=0.0,
        lower_is_better=False,
        load_best=True,
        sink=lambda text: None,
    )
    return [("take_best", _TakeBest(stopper)), *callbacks, ("early_stopping", stopper)]
