"""`MIEstimator`: one critic for each fold of rows, and one estimate from all of them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from sklearn_mi._base import DocLinkMixin
from sklearn_mi._checks import check_random_state, check_values
from sklearn_mi._compat import Interval, StrOptions
from sklearn_mi._html import estimator_html
from sklearn_mi.bounds import infonce
from sklearn_mi.encoders import as_encoder
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.conditional import conditional_guess
from sklearn_mi.information.conditional_test import conditional_test
from sklearn_mi.information.crossfit import CrossFit, Fitting, Half
from sklearn_mi.information.folds import blocks_of_rows
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.inference import (
    GUARANTEES,
    Fold,
    Independence,
    bounds_table,
    candidates_table,
    curves_table,
    two_sided,
)
from sklearn_mi.information.networks import Training
from sklearn_mi.information.pairs import (
    FEWEST_ROWS_WIDE,
    Pairs,
    RowLabels,
    is_wide_pair,
    route_of,
)
from sklearn_mi.information.ratios import COPULAS, Plan
from sklearn_mi.information.refutation import refute
from sklearn_mi.information.serial import block_length, check_blocks, effective_size
from sklearn_mi.information.settle import (
    Evidence,
    best_guess,
    ceiling_of,
    guarantee,
    warnings_about,
)
from sklearn_mi.information.tables import TableReader, as_frame, side_by_side
from sklearn_mi.information.wide import shared_dimensions
from sklearn_mi.reports import MIEstimate
from sklearn_mi.rows import warn_of_labels
from sklearn_mi.runtime import threads

__all__ = ["MIEstimator"]

FEWEST_ROWS = 8
METHODS = {"auto", "closed-form", "copula", "network", "neighbors", "classifier"}


def _n_parts(encoders: tuple[Any, Any], shapes: tuple[Any, Any]) -> int:
    """Return how many parts both codes are made of, 1 if they differ."""
    first, second = encoders
    if isinstance(second, str) and second == "shared":
        second = first
    sides = zip((first, second), shapes, strict=True)
    found = {as_encoder(e or "gelu-mlp").n_parts(shape) for e, shape in sides}
    return found.pop() if len(found) == 1 else 1


def _towers(encoders: tuple[Any, Any], shapes: tuple[Any, Any], width: int) -> Any:
    if isinstance(encoders[1], str) and encoders[1] == "shared":
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"encoder_y='shared' with rows of shape {shapes[0]} and {shapes[1]}; expected one "
                "shape: give encoder_y an encoder of its own."
            )
        tower = as_encoder(encoders[0] or "gelu-mlp").build(shapes[0], width)
        return tower, tower
    sides = zip(encoders, shapes, ("encoder", "encoder_y"), strict=True)
    return tuple(as_encoder(e or "gelu-mlp", name).build(shape, width) for e, shape, name in sides)


class MIEstimator(DocLinkMixin, BaseEstimator):
    r"""Estimate the mutual information of two tables, with a lower limit and an interval.

    .. math:: I(X; Y) = E \log \frac{p(x, y)}{p(x) p(y)}

    Mutual information says how much one table tells about the other, in nats: 0 if they are
    independent, :math:`\log 2 = 0.69` for a fair coin and its copy. There are two results:

    - ``mi_.lower_limit`` belongs to a lower bound: with the given confidence, the information is at
      least this large.
    - ``mi_.value`` and ``mi_.interval`` are a best guess, never below that limit. It says "at
      least" where the information may be infinite or beyond what the rows resolve.

    Rows are split into folds, and each fold is scored by a critic, a model of the log-ratio (the
    logarithm above), that was fitted to the other folds. The kind of data decides what is fitted:

    - categories and few values: frequencies, and the plug-in as the best guess;
    - a class beside numbers: classifiers, or bins of one column;
    - categories or few values beside numbers, on both sides: regressions of either table's columns
      on the other;
    - numbers: Gaussian and t copulas on ranks, and networks where a short training shows that these
      see more; with at most three columns in all, nearest neighbours give the best guess;
    - more than a column for every five rows: both tables are compressed first.

    Stopping rows, set aside in each fold, decide when a network stops, how the candidates are
    weighted and which bound is reported. The interval is widened by what other numbers leave
    possible: candidates that disagree, a critic that is refuted, a bound that still grows with the
    rows.

    Use it for a number that others will read. To choose features, use `mutual_info_features`. If
    rows belong together, pass ``groups``; if they follow each other in time, ``blocks``.

    Parameters
    ----------
    method : str, default="auto"
        "auto": as above. "closed-form": the same without networks and in a fraction of the time,
        for screening. "copula", "network", "neighbors", "classifier": this kind alone, whatever the
        data.
    copulas : tuple of {"gaussian", "unmixed", "student"}, default=all
        "unmixed": Gaussian after independent components of each side.
    offset : bool, default=True
        Whether to train a network on top of the best copula, beside the one without. Networks
        alone, ``method="network"``, have none to stand on.
    marginals : {"ranks", "standard", None}, default="ranks"
        Transformation of each column. Ranks leave the information unchanged and tame heavy tails.
    encoder, encoder_y : str, Encoder, Module or callable, default=None
        Turns rows that are images or sequences into codes; see `sklearn_mi.encoders`. For mosaics
        of images, `Tiled` has one encoder for all tiles; ``encoder_y="shared"`` has one for both
        sides.
    bound : {"auto", "infonce", "interpolated"}, default="auto"
        The bound of the lower limit. "auto": the one with the larger limit on the stopping rows.
    discrete_target : bool or "auto", default="auto"
        Whether Y is a category. "auto": one column of text, booleans or a categorical dtype, or
        numbers whose few values recur: at most 12 that hold 95 % of the rows in tens or more, or
        the labels 0, 1, 2, ... or 1, 2, 3, ..., up to 50 in 10 rows each. The dtype of numbers does
        not matter.
    n_folds : int, default=5
        Fewer are made of fewer than 20 rows.
    confidence : float, default=0.95
        Confidence level of the interval and of the one-sided limit.
    split_test : bool, default=True
        Fit once more, to half of the rows, for ``test_independence``, ``certified_limit_``, and to
        see whether the bound still grows with the rows.
    max_steps : int, default=600
        Largest number of training steps of each network.
    batch_size : int, default=256
    lr : float, default=4e-3
    weight_decay : float, default=1e-2
    n_jobs : int, default=None
        Number of folds that are fitted at the same time, in threads. None: as many as there are
        cores, or as `joblib.parallel_config` says.
    verbose : int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    mi_ : MIEstimate
        The best guess with standard error and interval, the lower limit, and warnings.
    guaranteed_ : MIEstimate or None
        The bound that the lower limit belongs to; None for a conditional information.
    bounds_ : DataFrame or None
        Every bound of the critics, with status, ceiling and interval.
    candidates_ : DataFrame
        The loss of each candidate on the stopping rows, its weight, and its mean log-ratio on new
        rows.
    curves_ : DataFrame
        Loss of each network on its stopping rows during training, in the columns ``fold``,
        ``candidate``, ``step`` and ``loss``. A loss of 1.386 means no information.
    pointwise_ : ndarray of shape (n_samples,)
        The log-ratio of each row, from the critic that was not fitted to it.
    folds_ : ndarray of shape (n_samples,)
        The fold of each row.
    refutation_ : Refutation
        Tests whether boosted trees find an error of the critics; NaN if rows are a series, of
        frequencies, and of tables with more columns than a fifth of the rows.
    certified_limit_ : float
        A lower limit that assumes nothing about the distribution: InfoNCE of a bounded critic, with
        a confidence limit by betting (`sklearn_mi.information.inference.betting_limit`). NaN if
        rows are a series.
    shared_dimensions_ : DataFrame or None
        Canonical correlations of two tables of numbers on new rows: ``correlation``, ``p_value``
        and ``is_shared`` by ``dimension``. None unless both tables have two columns or more, and
        there are 30 rows.
    n_features_in_ : int

    See Also
    --------
    MIRepresentationLearner : Learns features by maximising a bound.
    mutual_info_features : A score and a p-value for each column.
    mutual_info_lags : The information between two series, lag by lag.

    References
    ----------
    Formal Limitations on the Measurement of Mutual Information (McAllester & Stratos, 2020),
    https://arxiv.org/abs/1811.04251

    Examples
    --------
    >>> from sklearn_mi import MIEstimator
    >>> from sklearn_mi.datasets import correlated_gaussian
    >>> X, Y, true_mi = correlated_gaussian(800, 2, true_mi=0.8, random_state=0)
    >>> estimator = MIEstimator(max_steps=100, n_folds=2, random_state=0).fit(X, Y)
    >>> bool(abs(estimator.mi_.value - true_mi) < 0.15)
    True
    >>> bool(estimator.mi_.lower_limit < true_mi), estimator.mi_.unit
    (True, 'nats')
    >>> estimator.test_independence().p_value
    0.001
    """

    folds_: Any
    pointwise_: Any

    _parameter_constraints = {
        "method": [StrOptions(METHODS)],
        "copulas": [tuple, list],
        "offset": ["boolean"],
        "marginals": [StrOptions({"ranks", "standard"}), None],
        "bound": [StrOptions({"auto", *GUARANTEES})],
        "discrete_target": ["boolean", StrOptions({"auto"})],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "split_test": ["boolean"],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        method: str = "auto",
        *,
        copulas: tuple[str, ...] = COPULAS,
        offset: bool = True,
        marginals: str | None = "ranks",
        encoder: Any = None,
        encoder_y: Any = None,
        bound: str = "auto",
        discrete_target: bool | str = "auto",
        n_folds: int = 5,
        confidence: float = 0.95,
        split_test: bool = True,
        max_steps: int = 600,
        batch_size: int = 256,
        lr: float = 4e-3,
        weight_decay: float = 1e-2,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.copulas = copulas
        self.offset = offset
        self.marginals = marginals
        self.encoder = encoder
        self.encoder_y = encoder_y
        self.bound = bound
        self.discrete_target = discrete_target
        self.n_folds = n_folds
        self.confidence = confidence
        self.split_test = split_test
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    # What scikit-learn calls

    def fit(
        self, X: Any, y: Any, Z: Any = None, *, groups: Any = None, blocks: Any = None
    ) -> MIEstimator:
        """Estimate the mutual information of X and y; given Z, the conditional one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Numbers, categories (as columns of a data frame), or images with ``encoder``.
        y : array-like of shape (n_samples,) or (n_samples, n_features_y)
            The partner of each row: another table, one number or one category.
        Z : array-like of shape (n_samples, n_features_z), default=None
            For the information that X and y share given Z, :math:`I(X; Y | Z)`. It has a p-value
            but no lower limit, as no bound is known.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group may depend on one another. They stay in one fold and never serve as
            unrelated pairs.
        blocks : int or "auto", default=None
            For rows that follow each other in time: rows of a block may depend on one another.
            Folds are then stretches of the series with gaps of a block, and p-values come from
            shifts of one side along the other. "auto": twice the autocorrelation time.

        Returns
        -------
        self : MIEstimator

        Raises
        ------
        ValueError
            If rows or parameters are not valid; the message names the cure.
        """
        self._validate_params()
        unknown = set(self.copulas) - set(COPULAS)
        if unknown:
            raise ValueError(f"copulas={self.copulas!r}; expected names among {COPULAS}.")
        self._is_conditional = Z is not None
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if Z is not None:
            self._condition(X, y, Z, groups, blocks)
            return self
        self._describe(self._read(X, y, groups, blocks))
        return self

    def pointwise(self, X: Any, y: Any) -> np.ndarray:
        """Return the log-ratio of new pairs, averaged over the critics of the folds.

        Parameters
        ----------
        X, y : array-like
            As in ``fit``.

        Returns
        -------
        values : ndarray of shape (n_samples,)
            In nats; their mean estimates the information.
        """
        pairs = self._read_again(X, y)
        return np.mean([fold.ratio.pairs(pairs.X, pairs.Y) for fold in self._folds], axis=0)

    def score(self, X: Any, y: Any) -> float:
        """Return InfoNCE of the averaged critics on new pairs: a held-out lower bound.

        Parameters
        ----------
        X, y : array-like
            As in ``fit``; at least two rows.

        Returns
        -------
        value : float
            In nats. Its ceiling is the logarithm of the number of rows, and at most log 1,024.
        """
        pairs = self._read_again(X, y)
        values = []
        for rows in blocks_of_rows(len(pairs), None, np.random.default_rng(0)):
            X_block, Y_block = pairs.take(rows)
            matrices = [fold.ratio.matrix(X_block, Y_block) for fold in self._folds]
            values.append((len(rows), float(infonce(torch.stack(matrices).mean(0)))))
        return float(np.average([v for _, v in values], weights=[n for n, _ in values]))

    def test_independence(self) -> Independence:
        """Return the p-value of a permutation test of independence.

        The critic is fitted to one half of the rows and partners are permuted in the other half, so
        the p-value is exact. Pooling the critics of several folds would reject too often. Given Z,
        the test is one of conditional independence: by permutations within the labels of Z, or by
        covariances of what Z does not predict.

        Returns
        -------
        result : Independence

        Raises
        ------
        ValueError
            If ``split_test`` is False.
        """
        check_is_fitted(self)
        if self._independence is None:
            raise ValueError(
                "split_test=False keeps no rows for a test; set split_test=True and fit again."
            )
        return self._independence

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def _html_repr(self) -> str:
        return super()._html_repr() + estimator_html(self)

    # Rows

    def _read(self, X: Any, Y: Any, groups: Any, blocks: Any) -> Pairs:
        """Check both tables and store how to read them."""
        self._readers = (TableReader("X", X, self.encoder), TableReader("Y", Y, self.encoder_y))
        validate_data(self, X, skip_check_array=True)
        check_consistent_length(X, Y)
        n = self._readers[0].n_rows
        if n < FEWEST_ROWS:
            raise ValueError(
                f"X has n_samples={n}; expected at least {FEWEST_ROWS} rows, since rows are needed "
                "to train, to stop and to report."
            )
        warn_of_labels(X, Y)
        if groups is not None:
            groups = np.unique(check_values("groups", groups, n), return_inverse=True)[1]
        check_blocks(blocks, n, groups)
        x, y = self._coded(X, Y)
        self._decide(x, y)
        pairs = self._pairs(X, Y, x, y, groups)
        if blocks is None:
            return pairs
        length = block_length(pairs.X, pairs.Y) if blocks == "auto" else int(blocks)
        return replace(pairs, block=length)

    def _coded(self, X: Any, Y: Any) -> tuple[Coded | None, Coded | None]:
        """Return both tables as closed forms see them, if neither has images."""
        if self.encoder is not None or self.encoder_y is not None:
            return None, None
        if any(len(reader.row_shape) > 1 for reader in self._readers):
            return None, None
        reader_x, reader_y = self._readers
        as_class = self.discrete_target is True and reader_y.is_class(True)
        return reader_x.columns(X), reader_y.columns(Y, as_class=as_class)

    def _decide(self, x: Coded | None, y: Coded | None) -> None:
        """Decide which kind of critic the tables call for, and remember it."""
        first, second = self._readers
        wanted = self.discrete_target
        if self.method == "classifier" and wanted == "auto" and not first.is_class("auto"):
            wanted = second.can_be_class or "auto"
        is_class = first.is_class("auto"), second.is_class(wanted)
        self._route, self._labels = "ratio", None
        if x is not None and y is not None:
            self._route = route_of(x, y, self.method, is_class)
            if self._route == "labels":
                self._labels = RowLabels(x.values), RowLabels(y.values)
        elif self.method in ("auto", "closed-form", "classifier") and any(is_class):
            self._route = "class"
        if self._route == "class" and not any(is_class):
            raise ValueError(
                "method='classifier' needs a category: one column of strings, booleans, or few "
                "values that recur; set discrete_target=True to treat Y as one."
            )
        self._swapped = self._route == "class" and not is_class[1]

    def _pairs(
        self, X: Any, Y: Any, x: Coded | None, y: Coded | None, groups: np.ndarray | None = None
    ) -> Pairs:
        if self._labels is not None and x is not None and y is not None:
            labels = self._labels[0](x.values), self._labels[1](y.values)
            return Pairs(*labels, "labels", None, x, y, groups)
        sides = list(zip(self._readers, (X, Y), (x, y), strict=True))
        if self._swapped:
            sides.reverse()
        (reader, rows, first), (reader_y, rows_y, second) = sides
        if self._route == "class":
            labels = reader_y.labels(rows_y)
            return Pairs(reader(rows), labels, "class", np.unique(labels), first, second, groups)
        wide = first is not None and second is not None and is_wide_pair(first, second)
        return Pairs(
            reader(rows), reader_y(rows_y), "ratio", None, first, second, groups, None, wide
        )

    def _read_again(self, X: Any, Y: Any) -> Pairs:
        check_is_fitted(self)
        self._without_third_table()
        check_consistent_length(X, Y)
        if self._route == "class":
            # A class that fit did not see is an error, before it is warned of as a category.
            self._readers[int(not self._swapped)].labels(X if self._swapped else Y)
        return self._pairs(X, Y, *self._coded(X, Y))

    def _without_third_table(self) -> None:
        if self._is_conditional:
            raise ValueError(
                "This estimator was fitted with a third table Z and has only mi_ and "
                "test_independence(); fit without Z for the rest."
            )

    # Fitting

    def _describe(self, pairs: Pairs) -> None:
        """Fit critics to folds, and set everything that they say."""
        fit = CrossFit(pairs, self._how(pairs), self.n_folds, self._seed, self.n_jobs, self.verbose)
        folds, self.folds_, half = fit.run(with_half=self.split_test)
        self._folds = folds
        with threads(1), threadpool_limits(1):
            self._report(pairs, folds, half)

    def _how(self, pairs: Pairs) -> Fitting:
        """Return how a critic is fitted to rows."""
        encoders = [self.encoder, self.encoder_y]
        if self._swapped:
            encoders.reverse()
        marginals = tuple(self.marginals if encoder is None else None for encoder in encoders)
        copulas = tuple(self.copulas)
        if set(marginals) != {"ranks"} or self.method == "network":
            copulas = ()
        is_closed = self.method in ("copula", "closed-form", "neighbors")
        towers, n_parts = None, 1
        if self.encoder is not None or self.encoder_y is not None:
            shapes = pairs.X.shape[1:], pairs.Y.shape[1:]
            towers = partial(_towers, (self.encoder, self.encoder_y), shapes)
            n_parts = _n_parts((self.encoder, self.encoder_y), shapes)
        plan = Plan(
            copulas,
            regressions=bool(copulas) and self.method in ("auto", "closed-form"),
            network=not (is_closed and copulas),
            offset=self.offset,
            screen=self.method == "auto",
            towers=towers,
            n_parts=n_parts,
        )
        training = Training(
            steps=self.max_steps * min(n_parts, 3),
            # Each row of a batch has as many pairs of parts: more steps of fewer rows learn faster.
            batch_size=self.batch_size // min(n_parts, 8),
            lr=self.lr,
            weight_decay=self.weight_decay,
        )
        return Fitting(plan, training, marginals, self.bound, self.confidence)

    def _report(self, pairs: Pairs, folds: list[Fold], half: Half | None) -> None:
        n = len(pairs)
        self.pointwise_ = np.empty(n)
        for fold in folds:
            self.pointwise_[fold.rows] = fold.pointwise
        share = np.array([len(fold.rows) for fold in folds]) / n
        self.bounds_ = bounds_table(folds, share, self.confidence)
        self.candidates_ = candidates_table(folds, pairs)
        self.curves_ = curves_table(folds)
        self.guaranteed_ = guarantee(folds, share, self.confidence)
        self._independence = None if half is None else half.independence
        self.certified_limit_ = math.nan if half is None else half.certified_limit
        self.refutation_ = refute(pairs, folds, self._seed)
        series = None if pairs.block is None else effective_size(pairs.X, pairs.Y)
        evidence = Evidence(
            pairs=pairs,
            folds=folds,
            fold_of=self.folds_,
            pointwise=self.pointwise_,
            guaranteed=self.guaranteed_,
            refutation=self.refutation_,
            growth=(0.0, 0.0) if half is None else half.growth(folds, pairs),
            confidence=self.confidence,
            seed=self._seed,
            n_folds=self.n_folds,
            n_effective=series,
        )
        guess = best_guess(evidence, self.method)
        self.shared_dimensions_ = self._dimensions(pairs)
        self.mi_ = MIEstimate(
            bound=guess.how,
            value=guess.value,
            stderr=guess.stderr,
            ceiling=ceiling_of(pairs),
            n_pairs=n,
            n_candidates=min(fold.block for fold in folds),
            status="neither",
            warnings=tuple(warnings_about(evidence, guess, self.max_steps)),
            interval=guess.interval,
            confidence=self.confidence,
            lower_limit=self.guaranteed_.lower_limit,
            at_least=guess.at_least,
        )

    def _dimensions(self, pairs: Pairs) -> pd.DataFrame | None:
        """Return the canonical correlations of two tables of numbers."""
        if pairs.route != "ratio" or min(np.prod(A.shape[1:]) for A in (pairs.X, pairs.Y)) < 2:
            return None
        if pairs.x is None or len(pairs) < FEWEST_ROWS_WIDE:
            return None
        return shared_dimensions(
            pairs.X, pairs.Y, self.folds_, seed=self._seed, groups=pairs.clusters
        )

    # Given a third table

    def _condition(self, X: Any, Y: Any, Z: Any, groups: Any, blocks: Any) -> None:
        """Estimate I(X; Y | Z): by what holds for the data, else as I(X; YZ) - I(X; Z)."""
        pairs = self._read(X, Y, groups, blocks)
        reader = TableReader("Z", Z)
        check_consistent_length(X, Z)
        x, y = self._coded(X, Y)
        if x is None or y is None:
            raise ValueError(
                "Z was passed beside images or sequences; expected tables: encode them first."
            )
        z, how = reader.columns(Z), {"seed": self._seed, "groups": pairs.clusters}
        guess = None
        if self.method in ("auto", "closed-form"):
            guess = conditional_guess(x, y, z, confidence=self.confidence, **how)
        p_value, statistic, self._test = conditional_test(x, y, z, **how)
        self._independence = Independence(p_value, statistic, len(pairs))
        # What no critic has said is None, also after an earlier fit without Z.
        self.bounds_ = self.guaranteed_ = self.shared_dimensions_ = None
        self.refutation_ = self.candidates_ = self.curves_ = None
        self.folds_ = self.pointwise_ = None
        self.certified_limit_ = math.nan
        if guess is None:
            guess = self._difference(X, Y, Z, groups, blocks)
        self.mi_ = MIEstimate(
            bound=guess.how,
            value=guess.value,
            stderr=guess.stderr,
            ceiling=ceiling_of(pairs),
            n_pairs=len(pairs),
            n_candidates=len(pairs),
            status="neither",
            warnings=guess.warnings,
            interval=guess.interval,
            confidence=self.confidence,
            at_least=guess.at_least,
        )

    def _difference(self, X: Any, Y: Any, Z: Any, groups: Any, blocks: Any) -> Guess:
        """Return I(X; YZ) - I(X; Z), and keep the pointwise values and differences of bounds."""
        parts = []
        for partner in (side_by_side(Y, Z), as_frame(Z, "Z")):
            other: Any = clone(self)
            other.set_params(random_state=self._seed, split_test=False)
            parts.append(other.fit(X, partner, groups=groups, blocks=blocks))
        both, alone = parts
        self.pointwise_ = both.pointwise_ - alone.pointwise_
        difference = both.bounds_[["value"]] - alone.bounds_[["value"]]
        self.bounds_ = difference.assign(status="neither", ceiling=math.inf)
        value = both.mi_.value - alone.mi_.value
        stderr = math.hypot(both.mi_.stderr, alone.mi_.stderr)
        low, high = two_sided(value, stderr, self.confidence)
        at_least = both.mi_.at_least or alone.mi_.at_least
        facts = tuple(dict.fromkeys((*both.mi_.warnings, *alone.mi_.warnings)))
        interval = max(low, 0.0), math.inf if at_least else max(high, 0.0)
        how = "difference of two estimates"
        return Guess(max(value, 0.0), stderr, interval, how, at_least, facts)
