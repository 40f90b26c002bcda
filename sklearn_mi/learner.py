"""The learner: a scikit-learn transformer that trains encoders by mutual information."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_mi._base import Auto, DocLinkMixin, Shape, is_auto, resolve
from sklearn_mi._compat import Interval, StrOptions, check_same_namespace
from sklearn_mi._html import learner_html
from sklearn_mi._places import place_of
from sklearn_mi._progress import is_heard, say
from sklearn_mi.callbacks import check_callbacks, check_stops, copy_callbacks
from sklearn_mi.encoders import InvertibleModule, SequenceModule
from sklearn_mi.encoding import check_length, codes_of_steps, each_step, encode
from sklearn_mi.export import exported
from sklearn_mi.front_ends import names_of_features
from sklearn_mi.model import PairModel
from sklearn_mi.on_pairs import OnPairs
from sklearn_mi.persistence import (
    damage_is_told,
    read_file,
)
from sklearn_mi.preparation import (
    PRECISIONS,
    Earlier,
    Given,
    Known,
    Run,
    check_settings,
    fingerprint_of,
    keeper_of,
    prepare,
    read_data,
    report,
    said_alike,
)
from sklearn_mi.processes import Team, together
from sklearn_mi.recipe import EFFORTS, FAMILIES, Choice, check_unchanged
from sklearn_mi.reports import MIEstimate
from sklearn_mi.rows import (
    CheckedRows,
    codes_like,
    empty_like_rows,
    input_names,
    names_out,
    read_codes,
    read_rows,
    residual_rows,
    warn_of_lacking,
    warn_of_targets,
)
from sklearn_mi.runtime import choose_device, enough_memory, entropy, matmul_precision, threads
from sklearn_mi.storing import Stored
from sklearn_mi.streaming import blocks_of, joined, n_rows_of, refuse_source, write_codes
from sklearn_mi.training import (
    NonFiniteLossError,
    checkpoint_seed,
    load_checkpoint,
    save_checkpoint,
    train,
    until_told_to_end,
)

__all__ = ["MIRepresentationLearner", "load"]

# These end training early; the learner keeps what it has learned so far.
EARLY_ENDS = (KeyboardInterrupt, NonFiniteLossError)


def _can_invert(learner: MIRepresentationLearner) -> bool:
    """Return whether the encoders of a fitted learner can be inverted."""
    model, encoders = learner._model, (learner.encoder_, learner.encoder_y_)
    used = [encoder for encoder, width in zip(encoders, learner._widths, strict=False) if width]
    is_mean = model.recipe.output == "averaged"
    if is_mean or not all(isinstance(encoder, InvertibleModule) for encoder in used):
        raise AttributeError("Only bijective encoders, such as RealNVP, have inverse_transform.")
    return True


class MIRepresentationLearner(DocLinkMixin, OnPairs, TransformerMixin, Stored):
    r"""Learn features without labels, by maximising mutual information between two views.

    ``fit`` takes rows and no labels; ``transform`` returns a *code* for each row: the learned
    features, ``n_components`` numbers. Use it in front of a simple classifier if many rows have
    no label and few have one. If every row of a table has a label, raw columns are as good. To
    estimate a mutual information for its own sake, use `sklearn_mi.information.MIEstimator`.

    A *view* makes a pair from each row, :math:`x \to (x_1, x_2)`: two crops of an image, say, or
    the row and a close neighbour. Encoders turn both into codes, and a *critic* scores every pair
    of codes in a batch. Training maximises an objective over the scores. The default is InfoNCE,
    a lower bound on the mutual information of the two views in nats (natural-logarithm units).
    With the critic f and K rows in a batch,

    .. math:: I_{NCE} = \log K + \frac1K \sum_i \Big[ f(z_i, z_i') - \log \sum_j e^{f(z_i, z_j')}
              \Big] \le I(x_1; x_2).

    ``score`` and ``mi_`` report such a bound on rows that training did not see. A larger bound is
    not a better representation: choose view, critic and encoder by labels or by what the codes
    are for.

    The defaults suit small images and tables of numbers in which close rows mean similar things.
    They were chosen by accuracy with few and many labels per class, on scikit-learn's digits and
    on training rows of MNIST; ``benchmarks/choose_defaults.py`` prints what each is worth.

    A table may be a data frame with words, categories, dates and missing values. Each number and
    each level becomes a column, and a column with gaps gets another one that tells them. In such
    tables of numbers and categories no code that was tried beat the columns, so the default keeps
    them and trains nothing; ``n_components`` learns a code.

    Parameters
    ----------
    n_components : int or None, default=None
        Width of a code. None: 64 if encoder, critic and objective are "auto". Exceptions are
        colour images, which get the encoder's own width, and a table of numbers and categories,
        whose columns are the code. With any other encoder, critic or objective, the encoder's own
        width.
    view : str, View or callable, default="auto"
        How to make a pair from a row; see `sklearn_mi.views`. "auto": `Paired` with ``X_pair``;
        augmentations for images of several channels, called colour images here; else
        `Neighbors`, which beat halves, noise and corruption on digits. Grey images of at least 8
        pixels a side are also shifted and turned a little. Rows too large for neighbours (4 GiB
        as float32) get `Corruption`. ``choices_`` tells what was picked, and why.
    encoder : str, Encoder, Module or callable, default="auto"
        Turns a view into its code; see `sklearn_mi.encoders`. "auto": a perceptron with two
        hidden layers of 256; `LeNet` for grey images of at least 8 pixels a side; `ConvNet` for
        colour images; the columns as they are (`Passthrough`) for a table of numbers and
        categories if parts of the model and the number of steps are left open, too. That is a
        table with words or categories, or one of at most 256 columns, of which a fifth or more
        hold only 0 and 1. With ``X_pair``, images get the perceptron, too. Windows of a series and
        pairs of wide tables get a perceptron beside a linear map (`Joined`), if codes have at least
        8 components and are scored in halves. A module that you pass is copied, never trained in
        place.
    encoder_y : str, Encoder, Module, callable, list of them or None, default=None
        Encoder of the second view: "shared", "separate" (another one like the first), or one of
        its own. None: the view decides. Of several tables each has such an encoder; a list
        describes one for each table after the first.
    critic : str, Critic, Module or callable, default="auto"
        Turns two sets of codes into scores; see `sklearn_mi.critics`. "auto": `Split`, which cuts
        a code into halves. It scores the first half by distance, which helps with few labels per
        class, and the second by direction, which helps with many. If ``objective`` is given or a
        code has fewer than 8 components: the Cauchy critic alone. For colour images: cosine.
    objective : str, Bound or Objective, default="auto"
        What training maximises; see `sklearn_mi.bounds` and `sklearn_mi.objectives`. "auto":
        InfoNCE, the bound of least variance; with the default `Split`, InfoNCE of each half.
    comparison : str or Comparison, default="auto"
        What is scored against what; see `sklearn_mi.comparisons`. "whole": whole codes.
        "each-part": each part of a code that the critic splits. "dim", "amdim": a code and the
        places of a feature map (Deep InfoMax, AMDIM). "cpc": a context and later steps. "cmc":
        every pair of several tables, or lightness and colours of images. A name also decides what
        "auto" means for the other parameters. "auto": "whole", or "cmc" for more than two tables.
    negatives : str or Negatives, default="batch"
        Which pairs count as unrelated in training; see `sklearn_mi.negatives`.
    head : str, Encoder, Module, callable or None, default=None
        An extra network between code and critic. Training uses it; ``transform`` leaves it out.
    output : {"first", "second", "both", "with-columns", "averaged"} or None, default=None
        What ``transform`` returns. "first", "second": the code of one view. "both": those of all
        views side by side. "with-columns": the first code and the scaled columns. "averaged": the
        mean direction of the codes of several crops of an image (see `Augment`), which takes
        several times as long. None: "with-columns" for a table of at most 256 columns if
        ``n_components``, view, encoder, critic and objective are left at their defaults; "averaged"
        for colour images if view and critic are "auto"; else the view decides.
    input_shape : tuple of int or None, default=None
        Shape of one row as the view sees it: ``(height, width)`` or ``(height, width, channels)``
        for images, ``(n_columns,)`` for a table. None: flat rows are a table, and rows of shape
        ``(h, w, c)`` are images. Rows of shape ``(h, w)`` are grey images if they are bytes, or
        square with all values in [0, 1] or [0, 255]. Any others are recordings of shape
        ``(time, channels)``; ``(None, channels)`` names them. ``choices_`` tells how rows were
        read.
    standardize : bool or "auto", default="auto"
        Whether to centre each column and divide it by its range, in a frozen first layer fitted to
        the training rows. Views see scaled columns. The unit of a column does not matter, but a
        single outlier does: put a ``QuantileTransformer`` in front for heavy tails. "auto": tables
        are scaled, images are not. In a table of numbers and categories, columns of 0 and 1 stay
        as they are, and numbers are divided by their standard deviation. Channels of recordings
        are divided by theirs, over all steps; texts are not scaled, but what a front end makes of
        them is. Bytes are divided by 255 unless True.
    column_weights : array-like of shape (n_features,), dict or None, default=None
        Factors on the scaled columns of ``X``, by position or by name: a weight of 2 doubles what
        a column counts for neighbours, encoder and the columns that ``transform`` returns. 0
        leaves a column out. A name that a dict lacks has 1. All numbers that are made of a column
        get its weight.
    front_end : str, FrontEnd or None, default="auto"
        What is computed from a recording or a text before any view, fitted to the training rows;
        see `sklearn_mi.front_ends`. A row is then a row of a table of features. "auto": "blocks"
        for recordings and "lsa" for texts if view and encoder are "auto" and the comparison needs
        no steps; principal components of the windows of a series; else None.
    max_steps, max_epochs : int or None, default=None
        Length of training, in optimiser steps or in passes over the rows; set at most one. With
        neither, Muon takes 20 passes, within limits. The lower limit is 400 steps or 250 passes,
        whichever is less; the upper limit is 1,200 steps. Grey images of at least 8 pixels a side
        get 30 passes and twice these limits, colour images 400 steps. Other optimisers take up to
        four times as many steps. Columns that are kept as they are need none.
    batch_size : int, default=256
        Rows in each step, and so candidates for each row; all rows if there are fewer.
    duplicates : {"keep", "collapse"}, default="keep"
        What becomes of rows that are copies of one another, in both tables if there are two.
        "keep": nothing; ``mi_.warnings`` tells of copies if they are 5 % of the training rows or
        more, and of held-out copies of training rows. "collapse": copies are one row, before rows
        are held out. A batch draws rows in proportion to their number of copies, none of them
        twice. Neighbours are other rows then. Rows of other ``groups`` or confounds are no copies,
        nor are rows of other labels if the view uses them.
    effort : {"quick", "normal", "thorough"}, default="normal"
        Scales the default number of steps: "quick" takes half as many, "thorough" three times as
        many. Cannot be combined with ``max_steps`` or ``max_epochs``.
    optimizer : str, or class of torch.optim, alone or in a partial, default="auto"
        "adam", "adamw", "sgd", or "muon" (`sklearn_mi.training.Muon`). "auto": "muon" in ``fit``
        if rate, schedule, encoder, critic and objective are "auto" as well; else "adam".
    lr : float or "auto", default="auto"
        Learning rate. "auto": with Muon 0.02, or 0.1 for grey images of at least 8 pixels a side.
        With other optimisers 1e-3, or 3e-3 under the schedule "cosine".
    weight_decay : float or "auto", default="auto"
        Decay of the weights, which keeps Muon from making codes grow without end. "auto": 0.2 with
        Muon for grey images of at least 8 pixels a side, and if you name Muon together with a part
        of the model, a rate or a schedule; else 0. Beyond 800 steps it shrinks in proportion.
    schedule : {"constant", "cosine", "linear", "one-cycle"} or "auto", default="auto"
        How the learning rate changes over the whole training. "auto": "linear", down to 0, with
        Muon. With other optimisers "cosine" in ``fit`` if rate, encoder, critic and objective are
        "auto" as well, except for colour images. Else "constant".
    validation_fraction : float, default=0.1
        Share of the rows that training never sees, to report on. 0: none.
    early_stopping : bool or int, default=False
        Stop when held-out InfoNCE has not risen for this many steps (True: 300), and keep the best
        weights. Half of the held-out rows decide when; the other half are reported on.
    eval_block_size : int, default=256
        Number of candidates for each row in ``score`` and ``mi_``. Its logarithm is their ceiling,
        the largest value they can take.
    device : str, default="auto"
        "auto": a GPU if there is one. On a GPU, a step is recorded once as a CUDA graph and
        replayed, unless a callback reads batches or gradients, or the rows do not fit in its
        memory. A step that cannot be recorded runs as usual, with a warning.
    n_threads : int or None, default=None
        Number of torch's threads in ``fit``, ``transform`` and ``score``; the previous number
        returns afterwards. Results with the same number are equal bit for bit. joblib's processes
        get one thread.
    precision : {"float32", "tf32", "bfloat16"} or "auto", default="auto"
        Precision of the encoders in training. "tf32" lets a GPU multiply matrices with 10 bits of
        mantissa. "auto": "bfloat16" for colour images on a CPU with instructions for it, which
        halves the time; else "float32".
    half_size : float or "auto", default="auto"
        Share of the steps, from the first, in which training sees images at half of their height
        and width. A step then takes about a third of the time. It needs an encoder that averages
        over places, such as `ConvNet`. "auto": 0.75 for colour images of 24 pixels a side or more;
        else 0.
    chunk_size : int or None, default=None
        Rows that an encoder takes at once in training, for batches whose activations do not fit in
        memory. They are computed a second time for the gradients, chunk by chunk, which takes about
        a third longer; codes, bound and gradients are those of the whole batch.
    distributed : bool or "auto", default="auto"
        "auto": processes that ``torchrun`` or ``accelerate launch`` started train one model
        together. Each is given the same rows and takes its share of every batch, so ``batch_size``
        counts the rows of all. False: each process trains a model of its own.
    compile : bool, default=False
        Compile encoders and critic with ``torch.compile``.
    checkpoint_dir : path-like or None, default=None
        Folder for checkpoints of ``fit``. Each fit has a folder of its own in it, named by a digest
        of rows, parameters and seed, so the fits of a grid share it. The same fit goes on from its
        checkpoint, bit for bit on a CPU; one that was finished takes no step. See
        :doc:`/how_to/saving`. It needs a ``random_state``. ``partial_fit`` and warm starts refuse
        it, and so do several processes that train one model; ``fit_iter`` has a file of its own,
        and ``save`` leaves it out.
    checkpoint_every : int or str, default="5min"
        When a checkpoint is due: after so many steps (1000), or so much time ("30s", "2h"). One is
        also written at the beginning, at the end, and when the process is told to end (SIGTERM).
    callbacks : list of skorch callbacks or None, default=None
        Alone or as (name, callback), as in skorch. They are used as they are; ``clone`` copies
        them. Callbacks that watch ``valid_loss``, ``valid_loss_best`` or ``valid_bound`` see half
        of the held-out rows, as early stopping does; the other half are reported on. A callback of
        your own that reads these values needs ``early_stopping``, or one of skorch's that watches
        them. Callbacks that read batches or gradients make a GPU train step by step.
    verbose : int, default=0
        1 or more shows on the standard error what was chosen where a parameter was left open, and
        a progress bar with what training maximises, held-out InfoNCE and the time left; in a
        worker of joblib, Dask or Ray nothing. Choices are also logged, at INFO, by the logger
        ``"sklearn_mi"``; once your program takes its records, only there.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous ``fit``.
    random_state : int, RandomState or None, default=None
        Equal seeds give equal weights. Global generators are left untouched.

    Attributes
    ----------
    mi_ : MIEstimate
        Held-out InfoNCE: value, standard error, ceiling, number of pairs, status and warnings.
        ``mi_.objective`` is the bound that the objective itself reports.
    choices_ : dict of Choice
        What was picked for each parameter left open, and why. A ``value`` is what JSON takes, or
        its repr makes an equal one by the package's public classes; changing it changes no other
        fit.
    net_ : skorch.NeuralNet
        The trained net.
    encoder_, encoder_y_, critic_ : Module
        Its trained parts.
    history_ : list of dict
        One record for each pass. ``train_bound`` is the mean of what training maximises: a bound
        in nats for "infonce", but not for objectives such as "js", "smile" or "vicreg".
        ``steps`` and ``dur`` are its steps and seconds. ``valid_bound`` is InfoNCE in nats on
        held-out rows, if early stopping or ``verbose`` asks for it. With callbacks, also what
        skorch records: ``train_loss_best``, ``train_batch_count``, ``valid_loss`` and others.
    n_iter_ : int
        Number of optimiser steps taken.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Names of the columns, or of the channels of recordings; only if the rows are data frames.

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
        "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "eval_block_size": [Interval(Integral, 2, None, closed="left")],
        "n_threads": [Interval(Integral, 1, 1024, closed="both"), None],
        "output": [StrOptions({"first", "second", "both", "with-columns", "averaged"}), None],
        "standardize": ["boolean", StrOptions({"auto"})],
        "column_weights": ["array-like", dict, None],
        "duplicates": [StrOptions({"keep", "collapse"})],
        "effort": [StrOptions(set(EFFORTS))],
        "precision": [StrOptions({*PRECISIONS, "auto"})],
        "half_size": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "chunk_size": [Interval(Integral, 1, None, closed="left"), None],
        "distributed": ["boolean", StrOptions({"auto"})],
        "compile": ["boolean"],
        "checkpoint_dir": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left"), str],
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
        comparison: Any = "auto",
        negatives: Any = "batch",
        head: Any = None,
        output: str | None = None,
        input_shape: Shape | None = None,
        standardize: bool | str = "auto",
        column_weights: Any = None,
        front_end: Any = "auto",
        max_steps: int | None = None,
        max_epochs: int | None = None,
        batch_size: int = 256,
        duplicates: str = "keep",
        effort: str = "normal",
        optimizer: Any = "auto",
        lr: float | str = "auto",
        weight_decay: float | str = "auto",
        schedule: str = "auto",
        validation_fraction: float = 0.1,
        early_stopping: bool | int = False,
        eval_block_size: int = 256,
        device: str = "auto",
        n_threads: int | None = None,
        precision: str = "auto",
        half_size: float | str = "auto",
        chunk_size: int | None = None,
        distributed: bool | str = "auto",
        compile: bool = False,
        checkpoint_dir: str | os.PathLike | None = None,
        checkpoint_every: int | str = "5min",
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
        self.comparison = comparison
        self.negatives = negatives
        self.head = head
        self.output = output
        self.input_shape = input_shape
        self.standardize = standardize
        self.column_weights = column_weights
        self.front_end = front_end
        self.max_steps = max_steps
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.duplicates = duplicates
        self.effort = effort
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
        self.half_size = half_size
        self.chunk_size = chunk_size
        self.distributed = distributed
        self.compile = compile
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_every = checkpoint_every
        self.callbacks = callbacks
        self.verbose = verbose
        self.warm_start = warm_start
        self.random_state = random_state

    n_features_in_: int
    feature_names_in_: np.ndarray
    mi_: MIEstimate
    n_iter_: int

    # What scikit-learn calls

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
        validation_data: Any = None,
    ) -> MIRepresentationLearner:
        """Train the encoders and the critic on rows without labels.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
            Or images of shape (n, h, w) or (n, h, w, c); see ``input_shape``. Or recordings of
            shape (n, time, channels), or a list of arrays of shape (time, channels), of any
            length; NaN stands for missing steps at the end. Or a data frame with words,
            categories, dates and missing values. Columns of a table are standardised, and so are
            channels of recordings. Images with values above 128 that are not bytes give an
            MIWarning. Of more than 1 GiB of rows on disk, such as a memory map, an array of zarr,
            h5py or Dask, or a data set of pyarrow, Hugging Face or torch, blocks are read while
            it trains. Any iterable of rows, such as a ``DataLoader``, goes with
            ``validation_data``.
        y : array-like of shape (n_samples,), default=None
            Ignored, unless the view is `SameClass`, which uses labels. Several columns of floats
            give an MIWarning, since they look like a second table: pass it as ``X_pair``.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
            A second table. Its row i is the partner of row i of ``X``, whatever the row labels.
            Two data frames with the same labels in another order raise an error. A list holds
            several tables of shape (n_samples, p), and every pair of tables is compared. A row
            whose values in a table are all missing lacks that table: it takes part in the pairs of
            tables that it has, and in no other. The same holds for ``X`` beside them.
        groups : array-like of shape (n_samples,), default=None
            The subject, document or series of each row. Rows of one group are not independent, so
            whole groups are held out.
        confounds : array-like or data frame of shape (n_samples, n_confounds), default=None
            Known quantities that must not be in a code, such as age, batch or site. Their linear
            part is taken out of every column of ``X`` and ``X_pair`` before anything else: by
            least squares with an intercept, on the training rows alone. Categories are fine,
            missing values are not. Pass them to ``transform`` and ``score``, too.
        validation_data : array-like, or (X_val, X_pair_val), default=None
            Rows to report on and to stop by. None: ``validation_fraction`` of ``X``. Needed where
            ``X`` is an iterable.

        Returns
        -------
        self : MIRepresentationLearner

        Raises
        ------
        ValueError
            If rows or parameters are not valid; the message names the cure.
        NonFiniteLossError
            If the objective becomes NaN or infinite. The learner keeps the last finite weights.
        InvalidModelError
            If the checkpoint of this fit in ``checkpoint_dir`` has been altered or cut.
        OSError
            If ``checkpoint_dir`` cannot be written at the beginning. Later that is a warning.
        OtherProcessError
            If another of the processes that train one model fails. It is a RuntimeError.
        KeyboardInterrupt
            If you interrupt training. The learner is fitted with what it has learned so far.
        """
        if X_pair is None:
            warn_of_targets(y)
        return self._fit(X, Given(X_pair, groups, y, confounds, validation_data))

    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
    ) -> Any:
        """Train like ``fit``, and return the codes of the rows.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            As for ``fit``, but several columns give no warning: a Pipeline passes any targets on.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        confounds : array-like of shape (n_samples, n_confounds), default=None

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            As from ``transform``.
        """
        given = Given(X_pair, groups, y, confounds)
        return self._fit(X, given).transform(X, confounds=confounds)

    def _fit(self, X: Any, given: Given) -> MIRepresentationLearner:
        again = self.warm_start and hasattr(self, "net_")
        return self._train(X, given, fresh=not again)

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
    ) -> MIRepresentationLearner:
        """Continue training with one pass over some rows.

        The first call fits the standardisation, which later calls keep. A view that looks up
        neighbours finds them among the rows of the latest call.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        confounds : array-like of shape (n_samples, n_confounds), default=None

        Returns
        -------
        self : MIRepresentationLearner
        """
        given = Given(X_pair, groups, y, confounds)
        return self._train(X, given, fresh=not hasattr(self, "net_"), passes=1)

    def fit_iter(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
        validation_data: Any = None,
        at: Sequence[int],
        checkpoint: str | os.PathLike | None = None,
    ) -> Iterator[int]:
        """Train like ``fit``, and pause at some steps so that you can look at the learner.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        confounds : array-like of shape (n_samples, n_confounds), default=None
        validation_data : array-like, or (X_val, X_pair_val), default=None
            As for ``fit``.
        at : sequence of int
            Increasing numbers of steps. The last one is the length of training and replaces
            ``max_steps``. 0 is the untrained learner.
        checkpoint : path-like or None, default=None
            A file, written after each stop. If it exists, training resumes from it, bit for bit on
            a CPU, and stops that it has passed are not repeated. A checkpoint belongs to the rows,
            the parameters and the seed of one training; with ``random_state=None`` its seed is
            used. A falling learning rate keeps the length of training that it began with.

        Yields
        ------
        step : int
            Steps taken so far; the learner is fitted with them.

        Raises
        ------
        ValueError
            If ``at`` does not increase, ``early_stopping`` or ``checkpoint_dir`` is set, or the
            checkpoint is broken or belongs to another training.

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
        if self.checkpoint_dir is not None:
            raise ValueError(
                f"checkpoint_dir={str(self.checkpoint_dir)!r} goes with fit; of fit_iter "
                "checkpoint='file' names a file. Set checkpoint_dir=None."
            )
        check_callbacks(self.callbacks)
        check_stops(self.callbacks)
        with together(self.distributed) as team:
            known = checkpoint_seed(checkpoint) if self.random_state is None else None
            with threads(self.n_threads), self._unchanged_on_error():
                given = Given(X_pair, groups, y, confounds, validation_data)
                steps = max(stops[-1], 1)
                run = self._prepare(X, given, team, fresh=True, steps=steps, seed=known)
                fingerprint = {} if checkpoint is None else fingerprint_of(self._settings, run)
                done = load_checkpoint(run.net, checkpoint, fingerprint)
                # No process writes before all have read.
                team.agreed(done)
            try:
                for stop in (stop for stop in stops if stop > done):
                    with threads(self.n_threads):
                        self._advance(run, stop - run.net.steps_)
                    yield stop
                    if checkpoint is not None:
                        save_checkpoint(run.net, checkpoint, stop, fingerprint)
            finally:
                run.net.forget()

    def transform(self, X: Any, *, confounds: Any = None) -> Any:
        """Return the codes of rows.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        confounds : array-like of shape (n_samples, n_confounds), default=None
            Needed if ``fit`` was given any.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            In the precision of ``X``, computed in float32. Wider if ``output`` is "both" or
            "with-columns". With ``X_pair`` or sets of columns, a row that lacks ``X``, or a set,
            has NaN as its code, and an MIWarning says so.
        """
        check_is_fitted(self)
        return joined([self._codes(*block) for block in blocks_of(X, confounds)])

    def transform_to(self, X: Any, path: str | os.PathLike, *, confounds: Any = None) -> Path:
        """Write the codes of rows to a file, block by block; they equal those of ``transform``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Anything that ``transform`` takes; what is on disk stays there.
        path : path-like
            Ends in .npy, .zarr, .h5 (data set "codes") or .parquet. It is written whole or not at
            all, in the place of earlier codes. Of several processes that train one model, the first
            writes.
        confounds : array-like of shape (n_samples, n_confounds), default=None

        Returns
        -------
        path : Path

        Raises
        ------
        ValueError
            For another ending, an iterable of unknown length and .npy, or a path that holds
            anything but codes, such as the rows themselves.
        OSError
            If the folder is not there or cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from sklearn_mi import MIRepresentationLearner
        >>> X = np.random.default_rng(0).normal(size=(60, 5))
        >>> learner = MIRepresentationLearner(3, max_steps=2, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = learner.transform_to(X, os.path.join(folder, "codes.npy"))
        ...     bool((np.load(path) == learner.transform(X)).all())
        True
        """
        check_is_fitted(self)
        refuse_source(path, X, confounds)
        if not self.net_.writes_files:
            return place_of(path)
        blocks = blocks_of(X, confounds, bounded=True)
        codes = (self._codes(*block) for block in blocks)
        return write_codes(path, codes, n_rows_of(X), self.get_feature_names_out())

    def _codes(self, X: Any, confounds: Any) -> Any:
        """Return the codes of rows that are in memory, or are read here."""
        check_same_namespace(X, self, attribute="_namespace", method="transform")
        rows = read_rows(self, X, known=self._schemas[0]).windowed(self._model.view.window)
        model = self._model
        warn_of_lacking(rows)
        rows = residual_rows(rows, confounds, model.confounds, 0, type(self).__name__)
        check_length(rows, model.scale, model.encoder)
        return self._encode(rows, model.scale, partial(model.transform, may_lack=rows.may_lack))

    def transform_steps(self, X: Any) -> Any:
        """Return the codes of every step of recordings.

        Take an encoder of steps: ``encoder="conv1d"`` or "gru", or ``comparison="cpc"``. With
        strides, the steps that one code stands for share it. With ``pool="mean"`` the mean of the
        codes of steps is the code that ``transform`` gives.

        Parameters
        ----------
        X : array-like of shape (n_samples, time, channels), or list of (time, channels)
            With ``TimeLag(window=...)`` use ``transform``, whose rows are steps.

        Returns
        -------
        codes : ndarray of shape (n_samples, time, n_components), or list of arrays
            An array if ``X`` is one and its recordings have one length; else, for each recording,
            an array of shape (its observed steps, n_components).

        Raises
        ------
        ValueError
            If the encoder gives no codes of steps.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mi import MIRepresentationLearner
        >>> rng = np.random.default_rng(0)
        >>> X = [rng.normal(size=(length, 3)) for length in (20, 30, 40)]
        >>> learner = MIRepresentationLearner(8, encoder="gru", max_steps=2, random_state=0).fit(X)
        >>> [codes.shape for codes in learner.transform_steps(X)]
        [(20, 8), (30, 8), (40, 8)]
        """
        check_is_fitted(self)
        schema, encoder, recipe = self._schemas[0], self._model.encoder, self._model.recipe
        if not isinstance(encoder, SequenceModule) or self._model.view.window > 1:
            raise ValueError(
                f"encoder={recipe.encoder!r} with front_end={recipe.front_end!r} and "
                f"view={recipe.view!r} gives no codes of the steps of a row; take "
                "encoder='conv1d' or 'gru' with recordings (n, time, channels)."
            )
        rows = read_rows(self, X, known=schema)
        return codes_of_steps(self._encode(rows, self._model.scale, each_step(encoder)), X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of ``X``. None: ``feature_names_in_``, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
            Columns of ``X`` that pass through keep their names; of recordings, features of values
            and spectra are named by channel, such as "speed_mean". Learned components are numbered:
            ``mirepresentationlearner0`` and so on.
        """
        check_is_fitted(self)
        kind = self._schemas[0].kind
        names = input_names(self, self._schemas[0], input_features)
        columns = self._model.output_columns(kind.row_shape)
        names = names_of_features(self._model.scale, self._schemas[0]) or names
        return names_out(columns, names, type(self).__name__.lower())

    @available_if(_can_invert)
    def inverse_transform(self, X: Any) -> Any:
        """Return the rows that codes came from, if the encoder is bijective, such as `RealNVP`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, from ``transform``.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_inputs)
            The view that was encoded, flat and in the units of ``X``. With ``output="both"``, the
            two views side by side. A column that was constant in training returns as its constant.
            With ``output="with-columns"``, only the code is inverted; the columns are not used.
        """
        array, codes = read_codes(X)
        model = self._model
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but codes have {self._n_features_out}."
            )
        with threads(self.n_threads):
            rows = model.invert(codes.to(choose_device(self.device)), self._schemas[0].kind)
        return codes_like(iter([rows]), array)

    def as_numbers(self, X: Any) -> np.ndarray:
        """Return rows as the numbers that the module of `export` takes.

        Use it for data frames with categories, dates or gaps; other rows are such numbers already.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)

        Returns
        -------
        numbers : ndarray of shape (n_samples, ...)
            NaN where a number is missing.
        """
        check_is_fitted(self)
        return read_rows(self, X, known=self._schemas[0]).source.take(slice(None)).cpu().numpy()

    def export(self, *, check: bool = True) -> nn.Module:
        """Return one module that equals ``transform``, for `torch.export`, ONNX or fine-tuning.

        It scales, computes the front end, encodes, and adds columns or averages. It takes numbers:
        of a data frame with categories, dates or gaps those that `as_numbers` gives.

        Parameters
        ----------
        check : bool, default=True
            Whether to try `torch.export.export`, which takes some seconds.

        Returns
        -------
        module : Module
            From rows (n, ...), shaped as in ``X``, to codes in float32; ``input_shape`` is the
            shape of a row. Recordings have a last channel, 1 at observed steps; all is 0 at
            others. Its weights are copies: training them leaves the learner unchanged.

        Raises
        ------
        ValueError
            If ``fit`` was given confounds, or `torch.export` refuses the encoder, the view or the
            front end.

        Examples
        --------
        >>> import numpy as np
        >>> import torch
        >>> from sklearn_mi import MIRepresentationLearner
        >>> X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
        >>> learner = MIRepresentationLearner(3, max_steps=2, random_state=0).fit(X)
        >>> codes = learner.export(check=False)(torch.as_tensor(X))
        >>> np.allclose(codes.detach(), learner.transform(X), atol=1e-5)
        True
        """
        check_is_fitted(self)
        return exported(self._model, self._schemas[0], check=check)

    def set_params(self, **params: Any) -> MIRepresentationLearner:
        """Set parameters; a nested key expands a name to its default object.

        Parameters
        ----------
        **params
            ``encoder__hidden=(64,)`` turns ``encoder="mlp"`` into ``MLP(hidden=(64,))``. If the
            parameter is "auto", the nested key changes whatever ``fit`` picks; ``fit`` raises an
            error if its pick has no such parameter.

        Returns
        -------
        self : MIRepresentationLearner
        """
        super().set_params(**{key: value for key, value in params.items() if "__" not in key})
        nested = {key: value for key, value in params.items() if "__" in key}
        for key in list(nested):
            name, _, inner = key.partition("__")
            value = getattr(self, name) if name in FAMILIES else None
            if is_auto(value):
                changes = value.changes if isinstance(value, Auto) else {}
                setattr(self, name, Auto({**changes, inner: nested.pop(key)}))
            elif isinstance(value, str):
                setattr(self, name, resolve(name, value, FAMILIES[name]))
        return super().set_params(**nested)

    @property
    def choices_(self) -> Mapping[str, Choice]:
        """What was picked for each parameter left open, and why."""
        return MappingProxyType({**self._model.recipe.choices, **self._training_choices})

    @property
    def encoder_(self) -> nn.Module:
        """The trained encoder of the first view."""
        return self._model.encoder

    @property
    def encoder_y_(self) -> nn.Module:
        """The trained encoder of the second view; the first encoder if both views share it."""
        return self._model.encoder_y

    @property
    def critic_(self) -> nn.Module:
        """The trained critic."""
        return self._model.critic

    @property
    def history_(self) -> Sequence[dict[str, Any]]:
        """One record for each pass over the rows."""
        check_is_fitted(self)
        return self.net_.history

    @property
    def _model(self) -> PairModel:
        check_is_fitted(self)
        return self.net_.model

    @property
    def _widths(self) -> tuple[int, int, int]:
        """Return how many columns of ``transform`` are first code, second code and raw columns."""
        return self._model.output_widths(self._schemas[0].kind.n_inputs)

    @property
    def _n_features_out(self) -> int:
        return sum(self._widths)

    def _html_repr(self) -> str:
        return super()._html_repr() + learner_html(self)

    def __sklearn_clone__(self) -> MIRepresentationLearner:
        # scikit-learn would rebuild callbacks from their parameters.
        without = object.__new__(type(self))
        vars(without).update({**vars(self), "callbacks": None})
        twin: Any = BaseEstimator.__sklearn_clone__(without)
        twin.callbacks = copy_callbacks(self.callbacks)
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # Training, in the order in which it happens

    @property
    def _settings(self) -> dict[str, Any]:
        return self.get_params(deep=False)

    def _train(
        self, X: Any, given: Given, *, fresh: bool, passes: int | None = None
    ) -> MIRepresentationLearner:
        # After an early end the learner keeps what it has learned; after any other error it is as
        # it was before.
        with (
            self._unchanged_on_error(but=EARLY_ENDS),
            together(self.distributed) as team,
            threads(self.n_threads),
        ):
            self._refuse_checkpoints(fresh=fresh and passes is None)
            run = self._prepare(X, given, team, fresh=fresh, passes=passes)
            run.net.keeper = keeper = keeper_of(self._settings, run)
            try:
                with until_told_to_end(keeper):
                    if keeper is not None:
                        keeper.begin(run.net)
                    self._advance(run, run.plan.steps - run.net.steps_)
            finally:
                run.net.forget()
        return self

    def _refuse_checkpoints(self, *, fresh: bool) -> None:
        if self.checkpoint_dir is not None and not fresh:
            raise ValueError(
                f"checkpoint_dir={str(self.checkpoint_dir)!r} goes with a fit from its first step, "
                "not with partial_fit or a warm start; set checkpoint_dir=None and use save."
            )

    @contextmanager
    def _unchanged_on_error(self, but: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
        """Restore the result of an earlier fit if this one fails."""
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
        given: Given,
        team: Team,
        *,
        fresh: bool,
        passes: int | None = None,
        steps: int | None = None,
        seed: int | None = None,
    ) -> Run:
        """Check the rows, prepare training on them, and adopt its net."""
        self._validate_params()
        settings = self._settings
        check_settings(settings)
        earlier = None
        if not fresh:
            check_unchanged(self._model.recipe, settings)
            earlier = Earlier(self.net_, self._seed, self.n_iter_)
        with self._unchanged_on_error():
            known = None if fresh else Known(self._model, self._schemas)
            team.take_gpu(choose_device(self.device))
            data = read_data(self, settings, X, given, known, team)
            if earlier is not None:
                seed = earlier.seed
            seed = entropy(self.random_state) if seed is None else seed
            how: Any = {"earlier": earlier, "passes": passes, "steps": steps, "team": team}
            run = prepare(settings, data, team.agreed(seed), **how)
            if not team.is_alone:
                team.check_same(said_alike(settings, run))
                team.begin(run.net.model)
            self._adopt(run)
        return run

    def _adopt(self, run: Run) -> None:
        """Adopt the net and the facts of a prepared training."""
        self.net_, self._seed = run.net, run.seed
        # Callbacks that look at codes take rows as a user passes them.
        run.net.encode_ = self.transform
        self._training_choices = dict(run.plan.choices)
        first, pair = run.data.sides
        self._schemas = first.schema, None if pair is None else pair.schema
        self._namespace = empty_like_rows(first.like)
        if is_heard(run.net.verbose):
            for name, choice in self.choices_.items():
                say(f"{name}={choice}", shown=run.net.verbose)

    def _advance(self, run: Run, steps: int) -> None:
        """Take some steps, then report on the learner, also after an early end."""
        small = enough_memory(f"lower batch_size={self.batch_size}, or use device='cpu'")
        try:
            with small, matmul_precision(self.precision == "tf32"):
                train(run.net, run.rows, steps)
        except EARLY_ENDS:
            self._conclude(run)
            raise
        self._conclude(run)

    def _conclude(self, run: Run) -> None:
        self.n_iter_ = run.earlier_steps + run.net.steps_
        self.mi_ = run.net.team.agreed(report(self._settings, run))

    def _encode(self, checked: CheckedRows, scale: Any, module: Any) -> Any:
        """Return the codes of checked rows, in the container and precision of the input."""
        device = choose_device(self.device)
        self._model.eval()
        rows = checked.rows(scale, device, stream=True)
        with threads(self.n_threads):
            return codes_like(encode(rows, module), checked.like)


def load(path: str | os.PathLike, **own: Any) -> MIRepresentationLearner:
    """Read a learner that `MIRepresentationLearner.save` has written.

    Nothing in the file is executed. On a machine without a GPU, a learner that was saved with
    ``device="cuda"`` gets ``device="auto"``. The optimiser's state is not stored, so
    ``partial_fit`` starts afresh.

    Parameters
    ----------
    path : path-like
    **own
        Objects of your own that the learner was built with, such as ``encoder=my_module``. Their
        code comes from you, their weights from the file.

    Returns
    -------
    learner : MIRepresentationLearner
        Fitted.

    Raises
    ------
    InvalidModelError
        If the file was not written by ``save``, has been altered since, has another format, or
        needs an object of yours that is missing. It is a ValueError.
    OSError
        If there is no file, or none that can be read.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import sklearn_mi
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> learner = sklearn_mi.MIRepresentationLearner(3, max_steps=5, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "learner.safetensors")
    ...     learner.save(path)
    ...     again = sklearn_mi.load(path)
    >>> np.array_equal(again.transform(X), learner.transform(X))
    True
    """
    contents = read_file(path, own)
    with damage_is_told(path):
        learner = MIRepresentationLearner(**contents.params)
        learner._validate_params()
        learner._restore(contents)
    return learner
