"""An encoder trained so that a linear classifier finds as little of the label as possible."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_mi._base import DocLinkMixin
from sklearn_mi._checks import check_random_state
from sklearn_mi._compat import Interval
from sklearn_mi.encoders import as_encoder, code_width
from sklearn_mi.encoding import encode
from sklearn_mi.rows import Order, Rows, Schema, codes_like, fit_standardize, read_rows
from sklearn_mi.runtime import choose_device, own_randomness, threads
from sklearn_mi.training import (
    NonFiniteLossError,
    as_text,
    checkpoint_seed,
    hash_rows,
    load_checkpoint,
    save_checkpoint,
)

__all__ = ["AdversarialEncoder"]

# Parameters that a training may be resumed with other values of.
_OF_NO_TRAINING = ("max_steps", "device", "n_threads", "random_state")


class _Game:
    """Encoder and classifier with their optimisers, and the order of the rows: a `Resumable`."""

    def __init__(
        self,
        seed: int,
        encoder: nn.Module,
        classifier: nn.Linear,
        rates: tuple[float, float],
        order: Order,
        randomness: own_randomness,
        device: torch.device,
    ) -> None:
        self.seed, self.device = seed, device
        self.encoder, self.classifier, self.order = encoder, classifier, order
        # Dropout draws from the global generator, which we must leave untouched.
        self.randomness = randomness
        self._of_encoder, self._of_classifier = (
            torch.optim.Adam(module.parameters(), lr=lr, fused=True)
            for module, lr in zip((encoder, classifier), rates, strict=True)
        )
        self.warm, self.steps = False, 0

    def batch(self) -> Tensor:
        """Return the next row numbers."""
        self.order.allow(1)
        return next(self.order.rest_of_pass()).to(self.device)

    def teach(self, rows: Rows, labels: Tensor, steps: int) -> None:
        """Train the classifier for some steps on the present codes."""
        numbers = torch.stack([self.batch() for _ in range(steps)])
        self.encoder.train()
        with torch.no_grad(), self.randomness:
            codes = self.encoder(rows[numbers.flatten()])
        for code, known in zip(codes.split(numbers.shape[1]), labels[numbers], strict=True):
            self._step(F.cross_entropy(self.classifier(code), known), self._of_classifier)

    def deceive(self, rows: Rows) -> None:
        """Train the encoder for one step towards codes that tell the classifier nothing."""
        with self.randomness:
            logits = self.classifier(self.encoder(rows[self.batch()]))
        loss = -F.log_softmax(logits, dim=1).mean()
        self._step(loss, self._of_encoder, self._check)
        self.steps += 1

    def _check(self, loss: Tensor) -> None:
        """Refuse a step from which the encoder would not come back; its weights stay."""
        gradients = [w.grad for w in self.encoder.parameters() if w.grad is not None]
        if not (loss.isfinite() and nn.utils.get_total_norm(gradients).isfinite()):
            rate = self._of_encoder.param_groups[0]["lr"]
            raise NonFiniteLossError(
                f"The encoder's loss or its gradients became NaN or infinite at step "
                f"{self.steps + 1}; the weights of step {self.steps} were kept. Lower lr={rate:g}, "
                "take fewer steps, or another random_state."
            )

    @staticmethod
    def _step(
        loss: Tensor,
        optimizer: torch.optim.Optimizer,
        check: Callable[[Tensor], None] | None = None,
    ) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if check is not None:
            check(loss)
        optimizer.step()

    def _parts(self) -> tuple[Any, ...]:
        """Return everything that has a ``state_dict``."""
        return self.encoder, self.classifier, self._of_encoder, self._of_classifier, self.order

    @property
    def writes_files(self) -> bool:
        """Return that it trains in one process."""
        return True

    def training_state(self) -> dict[str, Any]:
        """Return everything that later steps depend on."""
        return {
            "parts": [part.state_dict() for part in self._parts()],
            "randomness": self.randomness.states,
            "steps": self.steps,
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        for part, known in zip(self._parts(), state["parts"], strict=True):
            part.load_state_dict(known)
        self.randomness.states = state["randomness"]
        self.steps, self.warm = state["steps"], True


class AdversarialEncoder(
    DocLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    r"""Learn codes from which a linear classifier finds as little of the label as possible.

    Use it only for figure 1c of the reference, which shows how little mutual information says about
    a representation. It does not protect privacy: another classifier may find what this one does
    not.

    A linear classifier on the codes is trained to predict the label. The encoder is trained so that
    this classifier gives every class the same probability. A bijective encoder loses nothing, so
    mutual information does not change; yet accuracy falls far below that of raw pixels.

    .. math:: \min_w -\log p_w(y \mid g(x)), \qquad
              \min_g -\tfrac1C \sum_{c=1}^C \log p_w(c \mid g(x))

    Parameters
    ----------
    encoder : str, Encoder, Module or callable, default="realnvp"
        From `sklearn_mi.encoders`; the paper uses ``RealNVP(affine=True)``.
    n_components : int or None, default=None
        Width of a code; None: the encoder's own.
    max_steps : int, default=4000
        Steps of the encoder.
    warm_up : int, default=1000
        Steps of the classifier before the first step of the encoder.
    classifier_steps : int, default=10
        Steps of the classifier before each step of the encoder.
    batch_size : int, default=128
        Rows in each step; every step takes a new batch.
    lr : float, default=1e-5
        Learning rate of the encoder, as in the code of the reference; its text says 1e-6.
    classifier_lr : float, default=1e-3
        Learning rate of the classifier, as in the code of the reference; its text says 1e-4.
    device : str, default="auto"
        "auto": a GPU if there is one.
    n_threads : int or None, default=None
        Number of torch's threads during training; the previous number returns afterwards.
    random_state : int, RandomState or None, default=None
        Equal seeds give equal weights. Global generators are left untouched.

    Attributes
    ----------
    encoder_ : Module
    classifier_ : Linear
        The adversary of the encoder.
    classes_ : ndarray
    n_iter_ : int
        Steps taken by the encoder.
    n_features_in_ : int

    References
    ----------
    On Mutual Information Maximization for Representation Learning (Tschannen et al., 2020),
    https://arxiv.org/abs/1907.13625, section 3.1 and appendix B

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mi.encoders import RealNVP
    >>> from sklearn_mi.paper import AdversarialEncoder
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = AdversarialEncoder(
    ...     RealNVP(couplings=2, hidden=(8,)), max_steps=5, warm_up=5, random_state=0
    ... )
    >>> Z = learner.fit(X, y).transform(X)
    >>> Z.shape
    (150, 4)
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "warm_up": [Interval(Integral, 0, None, closed="left")],
        "classifier_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "classifier_lr": [Interval(Real, 0, None, closed="neither")],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    n_features_in_: int
    _schema: Schema

    def __init__(
        self,
        encoder: Any = "realnvp",
        *,
        n_components: int | None = None,
        max_steps: int = 4000,
        warm_up: int = 1000,
        classifier_steps: int = 10,
        batch_size: int = 128,
        lr: float = 1e-5,
        classifier_lr: float = 1e-3,
        device: str = "auto",
        n_threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.encoder = encoder
        self.n_components = n_components
        self.max_steps = max_steps
        self.warm_up = warm_up
        self.classifier_steps = classifier_steps
        self.batch_size = batch_size
        self.lr = lr
        self.classifier_lr = classifier_lr
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> AdversarialEncoder:
        """Train the encoder against the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or images. Bytes are divided by 255; the columns of tables are scaled to a common range.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        self : AdversarialEncoder

        Raises
        ------
        ValueError
            If rows or labels are missing, differ in number, or there is only one class.
        NonFiniteLossError
            If the encoder's loss or gradients become NaN or infinite; the weights stay finite.
        """
        for _ in self.fit_iter(X, y, at=(self.max_steps,)):
            pass
        return self

    def fit_iter(
        self,
        X: Any,
        y: Any,
        *,
        at: Sequence[int],
        checkpoint: str | os.PathLike | None = None,
    ) -> Iterator[int]:
        """Train like ``fit``, and yield at some steps of the encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        at : sequence of int
            Increasing numbers of steps. 0 is the untrained encoder, after the warm-up.
        checkpoint : path-like or None, default=None
            A file, written after each stop. If it exists, training resumes from it.

        Yields
        ------
        step : int

        Raises
        ------
        ValueError
            If the checkpoint belongs to other rows, parameters or another seed.
        NonFiniteLossError
            If the encoder's loss or gradients become NaN or infinite; the weights stay finite.
        """
        known = checkpoint_seed(checkpoint) if self.random_state is None else None
        with threads(self.n_threads):
            game, rows, labels = self._prepare(X, y, known)
            fingerprint = {} if checkpoint is None else self._fingerprint(game, rows, labels)
            last = load_checkpoint(game, checkpoint, fingerprint)
            if self.warm_up and not game.warm:
                for part in gen_batches(self.warm_up, self.classifier_steps):
                    game.teach(rows, labels, part.stop - part.start)
        for stop in (int(stop) for stop in at if stop > last):
            with threads(self.n_threads):
                while game.steps < stop:
                    game.teach(rows, labels, self.classifier_steps)
                    game.deceive(rows)
                    self.n_iter_ = game.steps
            yield stop
            if checkpoint is not None:
                save_checkpoint(game, checkpoint, stop, fingerprint)

    def _prepare(self, X: Any, y: Any, known_seed: int | None = None) -> tuple[_Game, Rows, Tensor]:
        """Check rows and labels, and build everything that trains on them."""
        self._validate_params()
        checked = read_rows(self, X, min_rows=2)
        self._schema = checked.schema
        if y is None:
            name = type(self).__name__
            raise ValueError(f"{name} requires y to be passed, but the target y is None.")
        y = column_or_1d(y, warn=True)
        check_consistent_length(checked, y)
        check_classification_targets(y)
        coder = LabelEncoder().fit(y)
        self.classes_: np.ndarray = np.asarray(coder.classes_)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; expected at least two.")
        labels = torch.as_tensor(np.asarray(coder.transform(y)), dtype=torch.long)
        seed = known_seed
        if seed is None:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._scale = fit_standardize(checked, np.arange(len(checked)), "auto")
        device = choose_device(self.device)
        rows = checked.rows(self._scale.to(device), device)
        shape = self._schema.kind.row_shape
        with own_randomness(seed):
            self.encoder_ = as_encoder(self.encoder).build(shape, self.n_components)
            self._n_features_out = code_width(self.encoder_, shape)
            self.classifier_ = nn.Linear(self._n_features_out, len(self.classes_))
            nn.init.xavier_uniform_(self.classifier_.weight)
            nn.init.zeros_(self.classifier_.bias)
        game = _Game(
            seed,
            self.encoder_.to(device),
            self.classifier_.to(device),
            (self.lr, self.classifier_lr),
            Order(len(checked), self.batch_size, seed),
            own_randomness(seed + 1, device),
            device,
        )
        return game, rows, labels.to(device)

    def _fingerprint(self, game: _Game, rows: Rows, labels: Tensor) -> dict[str, str]:
        """Return what a checkpoint belongs to."""
        params = self.get_params(deep=False).items()
        return {
            "parameters": as_text({n: v for n, v in params if n not in _OF_NO_TRAINING}),
            "seed": str(game.seed),
            "rows": hash_rows(rows, labels),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def transform(self, X: Any) -> Any:
        """Return the codes of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self, "encoder_")
        checked = read_rows(self, X, known=self._schema)
        rows = checked.rows(self._scale, choose_device(self.device), stream=True)
        self.encoder_.eval()
        with threads(self.n_threads):
            return codes_like(encode(rows, self.encoder_), checked.like)
