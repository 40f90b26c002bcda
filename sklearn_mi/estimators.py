"""The learner: a scikit-learn transformer that trains encoders by mutual information."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._array_api import check_same_namespace
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional

from sklearn_mi._base import Shape, resolve
from sklearn_mi.bounds import BOUNDS, Bound
from sklearn_mi.choices import NARROWEST_SPLIT, Choice, Facts, choose, without_split
from sklearn_mi.critics import CRITICS, as_critic
from sklearn_mi.encoders import ENCODERS, as_encoder, code_width
from sklearn_mi.inputs import (
    Layout,
    Table,
    codes_like,
    empty_like_rows,
    find_flags,
    make_scale,
    read_codes,
    read_pair,
    read_rows,
    read_values,
    split_rows,
    to_numpy_namespace,
)
from sklearn_mi.negatives import NEGATIVES, as_negatives
from sklearn_mi.objectives import OBJECTIVES, Objective
from sklearn_mi.reports import (
    MIEstimate,
    describe,
    every_bound,
    held_out_infonce,
    missing,
    pair_codes,
)
from sklearn_mi.training import (
    AnyRows,
    MINet,
    NonFiniteLossError,
    Order,
    PairedRows,
    PairModel,
    PartnerRows,
    Progress,
    check_callbacks,
    choose_device,
    encode,
    enough_memory,
    global_stream,
    load_checkpoint,
    matmul_precision,
    own_randomness,
    save_checkpoint,
    stop_early,
    threads,
    train,
)
from sklearn_mi.views import VIEWS, View, as_view

__all__ = ["MIRepresentationLearner"]

EVALUATION_SEED = 0
ENDINGS = (KeyboardInterrupt, NonFiniteLossError)
PATIENCE_STEPS = 300
OF_EACH_FIT = ("max_steps", "lr", "schedule")

_FAMILIES: dict[str, dict[str, Callable[[], Any]]] = {
    "critic": {**CRITICS, "auto": CRITICS["cauchy"]},
    "encoder": {**ENCODERS, "auto": ENCODERS["wide-mlp"]},
    "encoder_y": ENCODERS,
    "head": ENCODERS,
    "negatives": NEGATIVES,
    "objective": {**BOUNDS, **OBJECTIVES, "auto": BOUNDS["infonce"]},
    "view": {**VIEWS, "auto": VIEWS["neighbors"]},
}
_OPTIMIZERS: dict[str, Callable[[], dict[str, Any]]] = {
    "adam": lambda: {"optimizer": torch.optim.Adam, "optimizer__fused": True},
    "adamw": lambda: {"optimizer": torch.optim.AdamW, "optimizer__fused": True},
    "sgd": lambda: {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__fused": True,
    },
}
_SCHEDULES: dict[str, Callable[..., Any]] = {
    "constant": lambda: None,
    "cosine": lambda: _cosine,
    "one-cycle": lambda: _one_cycle,
}
_PRECISIONS = {"float32": None, "tf32": None, "bfloat16": torch.bfloat16}


def _cosine(optimizer: torch.optim.Optimizer, steps: int, lr: float) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def _one_cycle(optimizer: torch.optim.Optimizer, steps: int, lr: float) -> Any:
    # One step more than is taken: the last call of the scheduler comes after the last step.
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps + 1)


def _can_invert(learner: MIRepresentationLearner) -> bool:
    """Tell whether the encoders of a fitted learner can be run backwards."""
    model, encoders = learner._model, (learner.encoder_, learner.encoder_y_)
    used = [encoder for encoder, width in zip(encoders, learner._widths, strict=False) if width]
    is_mean = model.output == "averaged"
    if is_mean or not all(hasattr(encoder, "inverse") for encoder in used):
        raise AttributeError("Only bijective encoders, such as RealNVP, have inverse_transform.")
    return True


@dataclass(frozen=True)
class _Given:
    """What a user passes beside ``X``, as it came."""

    X_pair: Any = None
    groups: Any = None
    y: Any = None


@dataclass(frozen=True)
class _Data:
    """Checked rows, the table beside them, and what is known of each row."""

    table: Table
    pair: Table | None
    groups: np.ndarray | None
    y: np.ndarray | None

    def __len__(self) -> int:
        return len(self.table)


@dataclass
class _Run:
    """A training that has been prepared: its data, rows, rows to report on, net and plan."""

    data: _Data
    rows: AnyRows
    report: np.ndarray
    net: MINet
    plan: dict[str, int]
    done: int


class MIRepresentationLearner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Features learned without labels, by maximising mutual information between two views.

    Two views of each row, :math:`x \to (x_1, x_2)`, go through encoders; a critic scores every pair
    of codes in a batch; training maximises an objective over the scores, by default

    .. math:: I_{NCE} = \log K + \frac1K \sum_i \Big[ f(z_i, z_i') - \log \sum_j e^{f(z_i, z_j')}
              \Big] \le I(x_1; x_2).

    ``transform`` gives the code of a row. Use it where many rows have no label and few have one,
    in front of a simple classifier; not where every row has a label (raw columns are as good
    then), nor to estimate a mutual information for its own sake. A larger bound is not a better
    representation: choose view, critic and encoder by labels or by what the codes are for, and
    read ``score`` and ``mi_`` as what they are, a held-out bound in nats.

    The defaults were chosen on scikit-learn's digits and on training rows of MNIST, by accuracy at
    few and many labels a class; ``benchmarks/choose_defaults.py`` prints what each of them is
    worth. They are made for tables of numbers in which close rows mean similar things, and for
    small images. On tables of numbers and categories no code that was tried came up to the
    columns themselves: there the default keeps them in the code, and is level with them.

    Parameters
    ----------
    n_components : int or None, default=None
        Width of a code. None: 64 where the encoder is left open as well, for a table of numbers
        and categories that of the row and 2 more, else the encoder's own.
    view : str, View or callable, default="auto"
        How to get a pair from a row, from `sklearn_mi.views`. "auto": `Paired` with ``X_pair``,
        augmentations for images of several channels, such as colours, here called images in
        colour, otherwise `Neighbors`, which beat halves, noise and corruption on digits, shifted
        and turned a little where rows are images of 8 pixels a side or more. What was picked, and
        why, stands in ``choices_``.
    encoder : str, Encoder, Module or callable, default="auto"
        From a view to its code, from `sklearn_mi.encoders`. "auto": a perceptron with two hidden
        layers of 512; `ConvNet` for images in colour; `Passthrough` for a table of numbers and
        categories, in which a fifth or more of at most 256 columns are 0 or 1. A given module is
        copied, never trained in place.
    encoder_y : str, Encoder, Module, callable or None, default=None
        Encoder of the second view: "shared", "separate" (another one like the first), or one of
        its own. None: as the view has it.
    critic : str, Critic, Module or callable, default="auto"
        From two sets of codes to scores, from `sklearn_mi.critics`. "auto": `Split`, a code of two
        halves: distances in the first mean what they say, which pays with one or five labels a
        class, directions in the second, which pays with many. The Cauchy critic alone where
        ``objective`` is given or a code has fewer than 8 components; the cosine for images in
        colour; the bilinear critic for a table of numbers and categories.
    objective : str, Bound or Objective, default="auto"
        What training maximises, from `sklearn_mi.bounds` or `sklearn_mi.objectives`. "auto":
        InfoNCE, which has the least variance, of each half where the critic is split.
    negatives : str or Negatives, default="batch"
        Which pairs stand for unrelated ones in training, from `sklearn_mi.negatives`.
    head : str, Encoder, Module, callable or None, default=None
        A further network between code and critic; used in training, left out by ``transform``.
    output : {"first", "second", "both", "with-columns", "averaged"} or None, default=None
        Which code comes out; "both" puts them side by side, "with-columns" the scaled columns
        beside the first, for labels that are many; "averaged" is the mean direction of the codes
        of several crops of an image, see `Augment`, and takes as many times as long. None:
        "with-columns" for a table of at most 256 columns where ``n_components``, view and model
        are left open, "averaged" for images in colour where view and critic are, otherwise as the
        view has it.
    input_shape : tuple of int or None, default=None
        Shape of one row where flat rows are images or sequences.
    standardize : bool or "auto", default="auto"
        A frozen first layer that centres columns and divides them by their range, fitted on the
        training rows; views see scaled columns. The unit of a column does not matter; a single
        outlier does: use ``QuantileTransformer`` before it for heavy tails. "auto": for tables,
        not for images; where a fifth or more of at most 256 columns are 0 or 1, these stay as
        they are, and numbers are divided by their standard deviation instead. Bytes are divided
        by 255 unless True.
    max_steps, max_epochs : int or None, default=None
        Length of training in optimiser steps or in passes over the rows; not both. Neither: 30
        passes, but at least 1,200 steps or 250 passes, whichever is less, and at most 4,800 steps
        (880 for images in colour; twice as many at least where images in grey are moved).
    batch_size : int, default=256
        Rows a step, and so candidates for each row; all rows where there are fewer.
    optimizer : {"adam", "adamw", "sgd"} or class of torch.optim, default="adam"
    lr : float or "auto", default="auto"
        Learning rate. "auto": 3e-3 where ``schedule`` is picked as "cosine", else 1e-3.
    weight_decay : float, default=0.0
    schedule : {"constant", "cosine", "one-cycle"} or "auto", default="auto"
        Of the learning rate, over the whole training. "auto": "cosine" in ``fit`` where rate,
        encoder, critic and objective are left open, too, and the critic is split; else
        "constant".
    validation_fraction : float, default=0.1
        Share of the rows that is held out of everything and only reported on. 0: none.
    early_stopping : bool or int, default=False
        Stop when held-out InfoNCE has not risen for so many steps (True: 300) and take the best
        weights. Half of the held-out rows decide this, the other half is reported on.
    eval_block_size : int, default=256
        Candidates in ``score`` and ``mi_``, whose ceiling is its logarithm.
    device : str, default="auto"
        "auto": a GPU where there is one. There a step is recorded once as a CUDA graph and
        replayed, unless a callback looks into batches or gradients, or the rows do not fit; what
        cannot be recorded is said by a warning, and trained step by step.
    n_threads : int or None, default=None
        Threads of torch in ``fit``, ``transform`` and ``score``, restored afterwards. Results are
        equal bit for bit at the same number; joblib's processes get one.
    precision : {"float32", "tf32", "bfloat16"}, default="float32"
        Of the encoders in training; "tf32" lets a GPU multiply matrices with 10 bits of mantissa.
    compile : bool, default=False
        Compile encoders and critic with ``torch.compile``.
    callbacks : list of skorch callbacks or None, default=None
    verbose : int, default=0
        From 1 on, a progress bar with the bound in nats.
    warm_start : bool, default=False
        Let ``fit`` go on from the weights of the last one.
    random_state : int, RandomState or None, default=None
        Equal seeds give equal weights. No global generator is touched.

    Attributes
    ----------
    mi_ : MIEstimate
        Held-out InfoNCE: value, standard error, ceiling, number of pairs, status and warnings;
        ``mi_.objective`` is the bound of the objective itself.
    choices_ : dict of Choice
        What was picked for each parameter that was left open, and the reason.
    net_ : skorch.NeuralNet
        The trained net.
    encoder_, encoder_y_, critic_ : Module
        Its trained parts.
    history_ : list of dict
        One record a pass: ``train_bound`` in nats, ``steps``, ``dur``, and ``valid_bound`` where
        early stopping or ``verbose`` asks for it.
    n_iter_ : int
        Optimiser steps taken.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where the rows came with names.

    See Also
    --------
    sklearn_mi.load : Read what ``save`` has written.
    sklearn_mi.evaluation.compare : Accuracy against the number of labels.

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020),
    https://arxiv.org/abs/1907.13625

    Representation Learning with Contrastive Predictive Coding (van den Oord et al., 2018),
    https://arxiv.org/abs/1807.03748

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_mi import MIRepresentationLearner
    >>> X, y = load_iris(return_X_y=True)
    >>> pipe = make_pipeline(MIRepresentationLearner(4, random_state=0), LogisticRegression())
    >>> pipe.fit(X, y).score(X, y) > 0.9
    True
    >>> pipe[0].transform(X).shape
    (150, 4)
    >>> pipe[0].mi_.status, pipe[0].mi_.unit
    ('lower', 'nats')
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "max_steps": [Interval(Integral, 1, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "eval_block_size": [Interval(Integral, 2, None, closed="left")],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "output": [StrOptions({"first", "second", "both", "with-columns", "averaged"}), None],
        "standardize": ["boolean", StrOptions({"auto"})],
        "precision": [StrOptions(set(_PRECISIONS))],
        "compile": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        view: Any = "auto",
        encoder: Any = "auto",
        encoder_y: Any = None,
        critic: Any = "auto",
        objective: Any = "auto",
        negatives: Any = "batch",
        head: Any = None,
        output: str | None = None,
        input_shape: Shape | None = None,
        standardize: bool | str = "auto",
        max_steps: int | None = None,
        max_epochs: int | None = None,
        batch_size: int = 256,
        optimizer: Any = "adam",
        lr: float | str = "auto",
        weight_decay: float = 0.0,
        schedule: str = "auto",
        validation_fraction: float = 0.1,
        early_stopping: bool | int = False,
        eval_block_size: int = 256,
        device: str = "auto",
        n_threads: int | None = None,
        precision: str = "float32",
        compile: bool = False,
        callbacks: Sequence[Any] | None = None,
        verbose: int = 0,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.view = view
        self.encoder = encoder
        self.encoder_y = encoder_y
        self.critic = critic
        self.objective = objective
        self.negatives = negatives
        self.head = head
        self.output = output
        self.input_shape = input_shape
        self.standardize = standardize
        self.max_steps = max_steps
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.eval_block_size = eval_block_size
        self.device = device
        self.n_threads = n_threads
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.verbose = verbose
        self.warm_start = warm_start
        self.random_state = random_state

    n_features_in_: int
    feature_names_in_: np.ndarray
    _layout: Layout

    # What scikit-learn calls

    def fit(
        self, X: Any, y: Any = None, *, X_pair: Any = None, groups: Any = None
    ) -> MIRepresentationLearner:
        """Train the encoders and the critic on rows without labels.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
            Or images of shape (n, h, w) or (n, h, w, c). Columns of a table are standardised.
        y : array-like of shape (n_samples,), default=None
            Ignored, unless ``view`` asks for labels by its name: `SameClass`.
        X_pair : array-like of shape (n_samples, n_features_pair), default=None
            A second table; its row i is the partner of row i of ``X``.
        groups : array-like of shape (n_samples,), default=None
            The subject, document or series of each row. Rows of one group are not independent:
            whole groups are held out.

        Returns
        -------
        self : MIRepresentationLearner

        Raises
        ------
        ValueError
            For bad rows or parameters; the message names the cure.
        NonFiniteLossError
            If the objective diverges. The learner keeps the last finite weights.
        KeyboardInterrupt
            If the user interrupts. The learner is fitted and usable with what it has learned.
        """
        again = self.warm_start and hasattr(self, "net_")
        return self._train(X, _Given(X_pair, groups, y), fresh=not again)

    def partial_fit(
        self, X: Any, y: Any = None, *, X_pair: Any = None, groups: Any = None
    ) -> MIRepresentationLearner:
        """Pass once over some rows, going on from what was learned before.

        The first call chooses the standardisation, which stays. A view with references
        (neighbours) takes those of the newest call.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), default=None
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : MIRepresentationLearner
        """
        given = _Given(X_pair, groups, y)
        return self._train(X, given, fresh=not hasattr(self, "net_"), passes=1)

    def fit_iter(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        at: Sequence[int],
        checkpoint: str | os.PathLike | None = None,
    ) -> Iterator[int]:
        """Train like ``fit``, and stop at some steps to be looked at.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), default=None
        groups : array-like of shape (n_samples,), default=None
        at : sequence of int
            Increasing numbers of steps; the last one is the length of training, in the place of
            ``max_steps``. 0 is the untrained learner.
        checkpoint : path-like or None, default=None
            A file that is written after each stop. Where it is there, training goes on from it,
            bit for bit on a CPU, and stops that had ended do not come again. A rate that falls
            keeps the length that it began with.

        Yields
        ------
        step : int
            Steps taken; the learner is fitted with them.

        Raises
        ------
        ValueError
            If ``at`` does not increase, or early stopping is asked for.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mi import MIRepresentationLearner
        >>> X = np.random.default_rng(0).normal(size=(60, 5))
        >>> learner = MIRepresentationLearner(3, random_state=0)
        >>> [(step, learner.transform(X).shape) for step in learner.fit_iter(X, at=(0, 10))]
        [(0, (60, 3)), (10, (60, 3))]
        """
        stops = [int(step) for step in at]
        if not stops or sorted(set(stops)) != stops or stops[0] < 0:
            raise ValueError(f"at={at!r}; expected increasing numbers of steps, such as (0, 1000).")
        if self.early_stopping:
            raise ValueError("fit_iter stops at given steps only; set early_stopping=False.")
        with threads(self.n_threads):
            given = _Given(X_pair, groups, y)
            run = self._prepare(X, given, True, steps=max(stops[-1], 1))
        done = load_checkpoint(run.net, checkpoint)
        try:
            for stop in (stop for stop in stops if stop > done):
                with threads(self.n_threads):
                    self._advance(run, stop - run.net.steps_)
                yield stop
                if checkpoint is not None:
                    save_checkpoint(run.net, checkpoint, stop)
        finally:
            run.net.model.forget()

    def transform(self, X: Any) -> Any:
        """Return the codes of rows.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            In the precision of ``X``, computed in float32. Wider where ``output`` is "both" or
            "with-columns".
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="_namespace", method="transform")
        table = read_rows(self, X, self.input_shape, reset=False)
        return self._encode(table, self._model.scale, self._code)

    @available_if(_can_invert)
    def inverse_transform(self, X: Any) -> Any:
        """Return what the codes came from; for bijective encoders, such as `RealNVP`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, from ``transform``.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_inputs)
            In the units of the rows: the view that was encoded, flat; both side by side for
            ``output="both"``. A column that was constant in training comes back as its constant.
            Of ``output="with-columns"`` the code is run backwards, and the columns are not read.
        """
        array, codes = read_codes(X)
        model = self._model
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but codes have {self._n_features_out}."
            )
        units = [self._layer_of_views(buffer) for buffer in (model.scale.scale, model.scale.mean)]
        rows = []
        with torch.inference_mode(), threads(self.n_threads):
            parts = codes.to(choose_device(self.device)).split(self._widths, dim=1)[:2]
            encoders = (model.encoder, model.encoder_y)
            for part, encoder, scale, mean in zip(parts, encoders, *units, strict=True):
                if part.shape[1]:
                    x = encoder.inverse(part).flatten(1).double()  # type: ignore[operator]
                    rows.append(torch.where(scale.isinf(), mean, x * scale + mean))
        return codes_like(iter([torch.cat(rows, dim=1)]), array)

    def _layer_of_views(self, buffer: torch.Tensor) -> list[torch.Tensor]:
        """Return a buffer of the first layer as the two views have it, flat."""
        whole = buffer.expand(self._layout.n_inputs).reshape(1, *self._layout.row_shape)
        views = self._model.view.inputs(whole, self._model.state.tensors())
        return [view.flatten(1) for view in views]

    def transform_pair(self, X_pair: Any) -> Any:
        """Return the codes of rows of the second table.

        Parameters
        ----------
        X_pair : array-like, sparse matrix or Tensor of shape (n_samples, n_features_pair)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)

        Raises
        ------
        ValueError
            If the learner was fitted without ``X_pair``.
        """
        check_is_fitted(self)
        scale = self._model.scale_pair
        if scale is None:
            raise ValueError("The learner was fitted without X_pair; use transform.")
        table = read_pair(X_pair, -1, self._pair_layout, type(self).__name__)
        return self._encode(table, scale, self._model.encoder_y)

    def score(self, X: Any, y: Any = None, *, X_pair: Any = None, groups: Any = None) -> float:
        """Return InfoNCE of the learned critic on rows, in nats; higher is tighter, not better.

        Rows are compared within blocks of ``eval_block_size``, whatever the objective, so that a
        grid search compares critics and encoders at one ceiling, log(eval_block_size); with fewer
        rows the ceiling is log(n_samples). Compare at one view only: another view is another
        quantity. A larger bound is not a better representation: over 24 combinations of view and
        critic on digits Kendall's tau between bound and accuracy was -.13 with all labels and
        -.45 with 5 a class.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
            Rows that ``fit`` did not see, at least two.
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), default=None
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        bound : float
            In nats.
        """
        rows = self._new_rows(X, _Given(X_pair, groups, y))
        with threads(self.n_threads):
            block = int(self.eval_block_size)
            return held_out_infonce(self._model, rows, block, EVALUATION_SEED)[0]

    def bounds(
        self, X: Any, y: Any = None, *, X_pair: Any = None, groups: Any = None
    ) -> dict[str, float]:
        """Return every bound of the learned critic on rows, in nats.

        Those that need a trained head of their own appear only as ``"objective"``. On rows that
        ``fit`` saw the values are no bounds; next to those on other rows they show how far
        training has run ahead.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), default=None
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        values : dict of float
            Means over blocks of ``eval_block_size`` rows, by name; "objective" is the bound that
            the objective reports, "maximised" what it maximises.
        """
        rows = self._new_rows(X, _Given(X_pair, groups, y))
        with threads(self.n_threads):
            return every_bound(self._model, rows, int(self.eval_block_size), EVALUATION_SEED)

    def transform_views(
        self, X: Any, y: Any = None, *, X_pair: Any = None, groups: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of both views of each row, as training pairs them.

        One draw of the view for each row, the same one whenever the rows are the same. For what is
        said of pairs, such as `sklearn_mi.diagnostics.alignment`, or for another critic on frozen
        codes; the code of a row is what ``transform`` gives.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), default=None
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        Z, Z_prime : ndarray of shape (n_samples, n_components)
            Of the rows that have a partner, where the view pairs rows with rows.
        """
        rows = self._new_rows(X, _Given(X_pair, groups, y))
        with threads(self.n_threads):
            return pair_codes(self._model, rows, int(self.eval_block_size), EVALUATION_SEED)

    def _new_rows(self, X: Any, given: _Given) -> AnyRows:
        """Check rows that are to be scored, and return them as the model sees them."""
        check_is_fitted(self)
        table = read_rows(self, X, self.input_shape, reset=False, min_rows=2)
        data, model = self._with_given(table, given, fresh=False), self._model
        scales = (model.scale, model.scale_pair)
        return self._rows(data, None, model.view, scales, stream=True)

    def set_params(self, **params: Any) -> MIRepresentationLearner:
        """Set parameters; a nested key expands a name to its default object.

        Parameters
        ----------
        **params
            ``encoder__hidden=(64,)`` turns ``encoder="mlp"`` into ``MLP(hidden=(64,))``.

        Returns
        -------
        self : MIRepresentationLearner
        """
        super().set_params(**{key: value for key, value in params.items() if "__" not in key})
        nested = {key: value for key, value in params.items() if "__" in key}
        for key in nested:
            name = key.partition("__")[0]
            value = getattr(self, name, None)
            if name in _FAMILIES and isinstance(value, str):
                setattr(self, name, resolve(name, value, _FAMILIES[name]))
        return super().set_params(**nested)

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted learner to one safetensors file, without pickle.

        Parameters
        ----------
        path : path-like
            `sklearn_mi.load` reads it.

        Raises
        ------
        ValueError
            If something cannot be stored (a callable, a callback); the message names it.
        """
        from sklearn_mi.persistence import save

        save(self, path)

    @property
    def encoder_(self) -> nn.Module:
        """The trained encoder of the first view."""
        return self._model.encoder

    @property
    def encoder_y_(self) -> nn.Module:
        """The trained encoder of the second view; the first one where they share it."""
        return self._model.encoder_y

    @property
    def critic_(self) -> nn.Module:
        """The trained critic."""
        return self._model.critic

    @property
    def history_(self) -> Sequence[dict[str, Any]]:
        """One record a pass over the rows."""
        check_is_fitted(self)
        return self.net_.history

    @property
    def _model(self) -> PairModel:
        check_is_fitted(self)
        return self.net_.model

    @property
    def _widths(self) -> tuple[int, int, int]:
        """Return how many columns ``transform`` gives of either code and of the rows themselves."""
        first, second = self._model.widths
        return {
            "first": (first, 0, 0),
            "second": (0, second, 0),
            "both": (first, second, 0),
            "with-columns": (first, 0, self._layout.n_inputs),
            "averaged": (first, 0, 0),
        }[self._model.output]

    @property
    def _n_features_out(self) -> int:
        return sum(self._widths)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # Pickling: the net is made anew around the trained module, so that a file holds the weights
    # once, no optimiser, and nothing that belongs to a GPU.

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[arg-type]
        net = state.pop("net_", None)
        if net is not None:
            module = net.model
            if net.device != "cpu":
                module = copy.deepcopy(module).cpu()
            state["_trained"] = (module, list(net.history))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        trained = state.pop("_trained", None)
        super().__setstate__(state)
        if trained is not None:
            self._use_what_is_here()
            self.net_ = self._make_net(trained[0], trained[1])

    def _restore(
        self,
        seed: int,
        history: list[dict[str, Any]],
        layouts: Sequence[Layout | None],
        scales: Sequence[Any],
        state: dict[str, torch.Tensor] | None,
        weights: dict[str, torch.Tensor],
        choices: dict[str, Choice],
    ) -> None:
        """Become fitted from parts that a file holds; used by `sklearn_mi.load`."""
        self._use_what_is_here()
        self.choices_ = choices
        view = copy.deepcopy(as_view(self._chosen("view")))
        module = self._build(view, state, layouts, scales, seed)
        module.load_state_dict(weights)
        module.eval()
        self._seed, self._pair_layout = seed, layouts[1]
        self._layout = layouts[0]  # type: ignore[assignment]
        self._namespace = np.empty(0)
        self.net_ = self._make_net(module, history)

    def _use_what_is_here(self) -> None:
        """Let a learner from a machine with a GPU work on one without."""
        if str(self.device).startswith("cuda") and not torch.cuda.is_available():
            self.device = "auto"

    # Training, in the order in which it happens

    def _train(
        self, X: Any, given: _Given, *, fresh: bool, passes: int | None = None
    ) -> MIRepresentationLearner:
        # What ends training early leaves what was learned; what else goes wrong leaves what was.
        with threads(self.n_threads), self._unchanged_on_error(but=ENDINGS):
            run = self._prepare(X, given, fresh, passes=passes)
            try:
                self._advance(run, run.plan["steps"])
            finally:
                run.net.model.forget()
        return self

    def _advance(self, run: _Run, steps: int) -> None:
        """Take some steps, and report what the learner is after them or after an early end."""
        small = enough_memory(f"lower batch_size={self.batch_size}, or use device='cpu'")
        try:
            with small, matmul_precision(self.precision == "tf32"):
                train(run.net, run.rows, steps)
        except ENDINGS:
            self._conclude(run)
            raise
        self._conclude(run)

    def _conclude(self, run: _Run) -> None:
        self.n_iter_ = run.done + run.net.steps_
        self.mi_ = self._report(run)

    @contextmanager
    def _unchanged_on_error(self, but: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
        """Give back what an earlier fit has learned if this one fails."""
        before = dict(vars(self))
        try:
            yield
        except but:
            raise
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _prepare(
        self,
        X: Any,
        given: _Given,
        fresh: bool,
        *,
        passes: int | None = None,
        steps: int | None = None,
    ) -> _Run:
        """Check, split and scale the rows, and build all that trains on them."""
        with self._unchanged_on_error():
            self._check_parameters()
            table = read_rows(self, X, self.input_shape, reset=fresh, min_rows=2)
            data = self._with_given(table, given, fresh)
            seed, done = (_entropy(self.random_state), 0) if fresh else (self._seed, self.n_iter_)
            seeds = _seeds(seed, done)
            kept, stopping, report = self._split(data, seed)
            self._choose(data, kept, fresh, is_whole=passes is None)
            generator = torch.Generator(choose_device(self.device)).manual_seed(seeds["views"])
            module, rows = self._module_and_rows(data, kept, seeds["weights"], generator, fresh)
            plan = self._plan(len(rows), passes, steps)
            monitor = self._monitor(data, module, stopping if len(stopping) else report)
            records = [] if fresh else list(self.net_.history)
            net = self._make_net(module, records, generator, plan, seeds, monitor=monitor)
            if not fresh:
                # The moments go on; the learning rate is that of the parameters of today.
                net.optimizer_.state.update(self.net_.optimizer_.state)
            self.net_, self._seed = net, seed
            self._namespace, self._layout = empty_like_rows(table.array), table.layout
            self._pair_layout = None if data.pair is None else data.pair.layout
        return _Run(data, rows, report, net, plan, done)

    def _check_parameters(self) -> None:
        self._validate_params()
        if self.max_steps is not None and self.max_epochs is not None:
            raise ValueError(
                f"max_steps={self.max_steps} and max_epochs={self.max_epochs} are both given; "
                "leave one of them None."
            )
        choose_device(self.device)
        check_callbacks(self.callbacks)
        resolve("schedule", self.schedule, {**_SCHEDULES, "auto": _SCHEDULES["constant"]})

    def _with_given(self, table: Table, given: _Given, fresh: bool) -> _Data:
        """Check what came beside the rows: a second table, groups, and labels if a view asks."""
        n = len(table)
        pair = self._read_second(given.X_pair, n, fresh)
        view = self._view(pair) if fresh else self._model.view
        groups = None if given.groups is None else read_values("groups", given.groups, n)
        if groups is None and as_negatives(self.negatives).needs_groups:
            raise ValueError(f"negatives={self.negatives!r} needs groups: pass groups=...")
        y = None
        if "y" in view.needs and given.y is not None:
            y = read_values("y", given.y, n)
        return _Data(to_numpy_namespace(table), pair, groups, y)

    def _read_second(self, X_pair: Any, n_rows: int, fresh: bool) -> Table | None:
        """Check the second table against the view, or against the one that ``fit`` saw."""
        name = type(self).__name__
        known = None if fresh else self._pair_layout
        wanted = self._view(X_pair).paired if fresh else known is not None
        if wanted and X_pair is None:
            raise ValueError(f"{name} needs the second table here: pass X_pair=...")
        if X_pair is None:
            return None
        if not wanted:
            raise ValueError(
                f"X_pair is given, but view={self.view!r} makes its pairs from X alone; "
                "leave view='auto', or do not pass X_pair."
            )
        return to_numpy_namespace(read_pair(X_pair, n_rows, known, name))

    def _view(self, X_pair: Any) -> View:
        """Return the view as far as it is known before the rows are looked at."""
        if _is_auto(self.view):
            return as_view("neighbors" if X_pair is None else "paired")
        return copy.deepcopy(as_view(self.view))

    def _choose(self, data: _Data, kept: np.ndarray, fresh: bool, *, is_whole: bool) -> None:
        """Pick what was left open; what is built already stays."""
        left_open = {
            name
            for name in ("view", "encoder", "critic", "objective")
            if fresh and _is_auto(getattr(self, name))
        }
        if fresh and self.n_components is None and "encoder" in left_open:
            left_open.add("n_components")
        if fresh and self.output is None:
            left_open.add("output")
        if self.max_steps is None and self.max_epochs is None:
            left_open.add("max_steps")
        left_open |= {name for name in ("lr", "schedule") if _is_auto(getattr(self, name))}
        facts = Facts(
            n_rows=len(kept),
            row_shape=data.table.layout.row_shape,
            is_paired=data.pair is not None,
            batch_size=int(self.batch_size),
            left_open=frozenset(left_open),
            is_whole=is_whole,
            # Only a free encoder depends on it, and it takes a look at every row.
            is_mixed="n_components" in left_open and find_flags(data.table, kept) is not None,
        )
        made = choose(facts)
        built = {} if fresh else {n: c for n, c in self.choices_.items() if n not in OF_EACH_FIT}
        self.choices_ = {**built, **made}
        if self.verbose:
            for name, choice in made.items():
                print(f"{name}={choice}")

    def _chosen(self, name: str) -> Any:
        value = getattr(self, name)
        left_open = _is_auto(value) or value is None
        return self.choices_[name].value if left_open and name in self.choices_ else value

    def _split(self, data: _Data, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows to train on, to stop by and to report on; the same ones for one ``n``."""
        n = len(data)
        held_out = max(2, round(n * self.validation_fraction)) if self.validation_fraction else 0
        if self.early_stopping:
            held_out = max(4, held_out)
        if n - held_out < 2:
            held_out = 0
        if self.early_stopping and not self.validation_fraction * held_out:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} needs rows to stop by, but "
                f"validation_fraction={self.validation_fraction} of {n} rows leaves none; raise "
                "validation_fraction, or set early_stopping=False."
            )
        sizes = held_out // 2 if self.early_stopping else 0, held_out
        return split_rows(n, sizes, seed, groups=data.groups, ordered=self._view(data.pair).ordered)

    def _module_and_rows(
        self,
        data: _Data,
        kept: np.ndarray,
        seed: int,
        generator: torch.Generator,
        fresh: bool,
    ) -> tuple[PairModel, AnyRows]:
        """Return the model, built or taken over, and the training rows as it sees them."""
        tables = (data.table, data.pair)
        if fresh:
            scales = [None if t is None else make_scale(t, kept, self.standardize) for t in tables]
            view = copy.deepcopy(as_view(self._chosen("view")))
        else:
            scales, view = [self._model.scale, self._model.scale_pair], self._model.view
        rows = self._rows(data, kept, view, scales, generator)
        if len(rows) < 2:
            raise ValueError(
                f"view={self.view!r} finds a partner for {len(rows)} of {len(kept)} training rows; "
                "expected at least 2: larger groups, longer series or a smaller lag."
            )
        state = view.fit(rows)  # type: ignore[arg-type]
        if not fresh:
            self._model.set_state(state)
            return self._model, rows
        layouts = [None if t is None else t.layout for t in tables]
        return self._build(view, state, layouts, scales, seed), rows

    def _rows(
        self,
        data: _Data,
        index: np.ndarray | None,
        view: View,
        scales: Sequence[Any],
        generator: torch.Generator | None = None,
        *,
        stream: bool = False,
    ) -> AnyRows:
        """Return rows of an index as a view sees them: alone, or with their partners."""
        device, which = choose_device(self.device), slice(None) if index is None else index
        groups, y = (None if v is None else v[which] for v in (data.groups, data.y))
        numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
        first, second = (
            None
            if table is None
            else table.rows(scale.to(device), device, index, stream=stream, groups=numbers)
            for table, scale in zip((data.table, data.pair), scales, strict=True)
        )
        if second is not None:
            return PairedRows(first, second)  # type: ignore[arg-type]
        partners = view.partners(len(first), groups, y)  # type: ignore[arg-type]
        if partners is None:
            return first  # type: ignore[return-value]
        if generator is None:
            generator = torch.Generator(device).manual_seed(EVALUATION_SEED)
        return PartnerRows(first, partners.to(device), generator)  # type: ignore[arg-type]

    def _build(
        self,
        view: View,
        state: dict[str, torch.Tensor] | None,
        layouts: Sequence[Layout | None],
        scales: Sequence[Any],
        seed: int,
    ) -> PairModel:
        """Build every module from its description, on the CPU, from our own stream of draws."""
        with own_randomness(seed):
            row_shape: Shape = layouts[0].row_shape  # type: ignore[union-attr]
            first, second = view.shapes(row_shape, state)
            if layouts[1] is not None:
                second = layouts[1].row_shape
            encoder, encoder_y, widths = self._build_encoders(view, first, second)
            head, head_y, codes = self._build_heads(widths, shared=encoder_y is None)
            if min(codes) < NARROWEST_SPLIT:
                self.choices_ = without_split(self.choices_)
            model = PairModel(
                view=view,
                state=state,
                scale=scales[0],
                scale_pair=scales[1],
                encoder=encoder,
                encoder_y=encoder_y,
                head=head,
                head_y=head_y,
                critic=as_critic(self._chosen("critic")).build(*codes),
                negatives=as_negatives(self.negatives).build(codes[1]),
                objective=_as_objective(self._chosen("objective")).build(*codes),
                output=_output(self._chosen("output"), view, row_shape, state),
                widths=widths,
            )
        if not any(weight.requires_grad for weight in model.parameters()):
            raise ValueError(
                f"encoder={self.encoder!r} and critic={self.critic!r} have no weights to train; "
                "expected them in at least one, such as critic='bilinear'."
            )
        return model

    def _build_encoders(
        self, view: View, first: Shape, second: Shape
    ) -> tuple[nn.Module, nn.Module | None, tuple[int, int]]:
        description, n_components = self._chosen("encoder"), self._chosen("n_components")
        encoder = as_encoder(description).build(first, n_components)
        width = code_width(encoder, first)
        wanted = view.default_encoder_y if self.encoder_y is None else self.encoder_y
        if isinstance(wanted, str) and wanted == "shared":
            if first != second:
                raise ValueError(
                    f"encoder_y='shared' needs two views of one shape, but they have {first} and "
                    f"{second}; use encoder_y='separate'."
                )
            return encoder, None, (width, width)
        other = description if isinstance(wanted, str) and wanted == "separate" else wanted
        encoder_y = as_encoder(other, "encoder_y").build(second, n_components)
        return encoder, encoder_y, (width, code_width(encoder_y, second))

    def _build_heads(
        self, widths: tuple[int, int], *, shared: bool
    ) -> tuple[nn.Module | None, nn.Module | None, tuple[int, int]]:
        if self.head is None:
            return None, None, widths
        head = as_encoder(self.head, "head")
        first = head.build((widths[0],), None)
        if shared:
            width = code_width(first, widths[:1])
            return first, None, (width, width)
        second = head.build((widths[1],), None)
        return first, second, (code_width(first, widths[:1]), code_width(second, widths[1:]))

    def _plan(self, n: int, passes: int | None, steps: int | None) -> dict[str, int]:
        """Return how many steps to take over ``n`` rows."""
        batch_size = min(int(self.batch_size), n)
        steps_a_pass = n // batch_size
        passes = passes or self.max_epochs
        if steps is None and passes is not None:
            steps = int(passes) * steps_a_pass
        total: Any = steps or self.max_steps or self.choices_["max_steps"].value
        patience = math.ceil(self._patience_steps() / steps_a_pass)
        return {"rows": n, "batch_size": batch_size, "steps": int(total), "patience": patience}

    def _patience_steps(self) -> int:
        wanted: Any = self.early_stopping
        return PATIENCE_STEPS if isinstance(wanted, bool | np.bool_) else int(wanted)

    def _monitor(
        self, data: _Data, module: PairModel, index: np.ndarray
    ) -> Callable[[PairModel], float] | None:
        """Return what measures the held-out bound after each pass, where somebody looks at it."""
        if not len(index) or not (self.early_stopping or self.verbose):
            return None
        rows = self._rows(data, index, module.view, (module.scale, module.scale_pair))
        if len(rows) < 2:
            if self.early_stopping:
                raise ValueError(
                    f"early_stopping={self.early_stopping!r} needs rows to stop by, but of "
                    f"{len(index)} held-out rows {len(rows)} have a partner among them; raise "
                    "validation_fraction, or set early_stopping=False."
                )
            return None
        block = int(self.eval_block_size)
        return lambda model: held_out_infonce(model, rows, block, EVALUATION_SEED)[0]

    def _make_net(
        self,
        module: PairModel,
        history: list[dict[str, Any]],
        generator: torch.Generator | None = None,
        plan: dict[str, int] | None = None,
        seeds: dict[str, int] | None = None,
        *,
        monitor: Callable[[PairModel], float] | None = None,
    ) -> MINet:
        """Return a skorch net around a model; without a plan it only holds it."""
        plan = plan or {"rows": 2, "batch_size": 2, "steps": 1, "patience": 1}
        seeds = seeds or _seeds(self._seed, 0)
        device = choose_device(self.device)
        schedule, lr = resolve("schedule", self._chosen("schedule"), _SCHEDULES), self._chosen("lr")
        net = MINet(
            module,
            **_optimizer(self.optimizer),
            lr=lr,
            # Not every optimiser of torch has it.
            **({"optimizer__weight_decay": self.weight_decay} if self.weight_decay else {}),
            order=Order(plan["rows"], plan["batch_size"], seeds["batches"], n_extra=module.n_extra),
            view_generator=generator or torch.Generator(device),
            randomness=global_stream(module, seeds["modules"], device),
            scheduler=schedule and partial(schedule, steps=plan["steps"], lr=lr),
            monitor=monitor,
            callbacks=self._callbacks(plan),
            device=str(device),
        )
        module.autocast = _PRECISIONS[self.precision]
        net.initialize()
        net.take_history(history)
        if self.compile:
            for part in (module.encoder, module.encoder_y, module.critic):
                part.compile()
        return net

    def _callbacks(self, plan: dict[str, int]) -> list[Any]:
        callbacks = copy.deepcopy(list(self.callbacks or ()))
        if self.early_stopping:
            callbacks.append(stop_early(plan["patience"]))
        if self.verbose:
            name = type(_as_objective(self._chosen("objective"))).__name__
            callbacks.append(Progress(plan["steps"], name))
        return callbacks

    def _report(self, run: _Run) -> MIEstimate:
        """Return the bound on the rows that neither training nor stopping has seen."""
        if not len(run.report):
            return missing("InfoNCE", "no rows were held out; raise validation_fraction")
        model = self._model
        caveats = list(model.view.caveats(model.state.tensors()))
        if run.done:
            caveats.append("rows of an earlier call that came again cannot be told from new ones")
        rows = self._rows(run.data, run.report, model.view, (model.scale, model.scale_pair))
        if len(rows) < 2:
            return missing("InfoNCE", "fewer than 2 held-out rows have a partner among them")
        return describe(
            model,
            _as_objective(self._chosen("objective")),
            rows,
            int(self.eval_block_size),
            EVALUATION_SEED,
            caveats=caveats,
            invalid=as_negatives(self.negatives).caveat,
        )

    # From rows to codes

    def _code(self, x: torch.Tensor) -> torch.Tensor:
        """Return what ``output`` asks for of a scaled batch."""
        model = self._model
        if model.output == "averaged":
            forms = model.view.variants(x, model.state.tensors())
            codes = [functional.normalize(model.encoder(form)) for form in forms]
            return torch.stack(codes).mean(0)
        first, second = model.view.inputs(x, model.state.tensors())
        if model.output == "first":
            return model.encoder(first)
        if model.output == "with-columns":
            return torch.cat([model.encoder(first), x.flatten(1)], dim=1)
        if model.output == "second":
            return model.encoder_y(second)
        return torch.cat([model.encoder(first), model.encoder_y(second)], dim=1)

    def _encode(self, table: Table, scale: Any, module: Callable) -> Any:
        device = choose_device(self.device)
        self._model.eval()
        rows = to_numpy_namespace(table).rows(scale, device, stream=True)
        with threads(self.n_threads):
            codes = encode(rows, module)
            return codes_like(codes, table.array)


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _as_objective(value: Any) -> Bound | Objective:
    names = _FAMILIES["objective"]
    objective = resolve("objective", value, names)
    if not isinstance(objective, Bound | Objective):
        raise TypeError(
            f"objective={value!r}; expected one of {sorted(names)}, a Bound or an Objective."
        )
    return objective


def _output(
    wanted: str | None, view: View, shape: Shape, state: dict[str, torch.Tensor] | None
) -> str:
    output = view.default_output if wanted is None else wanted
    if view.paired and output in ("second", "both"):
        raise ValueError(
            f"output={output!r} needs both views in one row, but the second comes from X_pair; "
            "leave output=None and use transform and transform_pair."
        )
    if output == "averaged":
        on_cpu = {name: tensor.cpu() for name, tensor in (state or {}).items()} or None
        if view.paired or len(view.variants(torch.zeros(1, *shape), on_cpu)) == 1:
            raise ValueError(
                f"output={output!r} needs a view that makes its pair by cropping or flipping one "
                f"image, such as 'simclr', but view={view!r} does not; leave output=None."
            )
    return output


def _optimizer(value: Any) -> dict[str, Any]:
    """Return skorch's parameters for an optimiser, by name or by class."""
    if isinstance(value, str):
        return resolve("optimizer", value, _OPTIMIZERS)  # type: ignore[return-value]
    if value is torch.optim.LBFGS:
        raise ValueError(
            "optimizer=LBFGS evaluates a step several times, on other draws; use adam."
        )
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer):
        return {"optimizer": value}
    raise TypeError(
        f"optimizer={value!r}; expected one of {sorted(_OPTIMIZERS)} or a class of torch.optim."
    )


def _entropy(random_state: Any) -> int:
    """Return the seed that everything else is derived from."""
    if random_state is None:
        # Not numpy's global generator: a fit must leave it untouched.
        return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
    if isinstance(random_state, Integral) and int(random_state) >= 0:
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _seeds(seed: int, done: int) -> dict[str, int]:
    """Return independent seeds for a fit, or for going on after ``done`` steps."""
    names = ("weights", "batches", "views", "modules")
    states = np.random.SeedSequence([seed, 1, done]).generate_state(len(names), np.uint64)
    return {name: int(state >> np.uint64(1)) for name, state in zip(names, states, strict=True)}
