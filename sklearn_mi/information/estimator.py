"""`MIEstimator`: one critic for each fold of rows, and one estimate from all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy.sparse import issparse
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from sklearn_mi._base import DocLinkMixin
from sklearn_mi._compat import Interval, StrOptions
from sklearn_mi._html import estimator_html
from sklearn_mi.bounds import infonce
from sklearn_mi.encoders import as_encoder
from sklearn_mi.information.copulas import NormalScores
from sklearn_mi.information.inference import (
    BOUNDS_OF_RATIO,
    GUARANTEES,
    Fold,
    Independence,
    Pairs,
    blocks_of_rows,
    bounds_on,
    bounds_table,
    candidates_table,
    certified_limit,
    curves_table,
    duplicates,
    entropy,
    fold_of_rows,
    one_a_group,
    permutation_test,
    refute,
    standard_error,
    two_sided,
)
from sklearn_mi.information.neighbors import neighbors_mi
from sklearn_mi.information.ratios import (
    ClassRatio,
    Plan,
    Ratio,
    Training,
    copula_of_all,
    fit_class_ratio,
    fit_ratio,
)
from sklearn_mi.information.tables import TableReader, side_by_side
from sklearn_mi.reports import MIEstimate
from sklearn_mi.rows import read_values, split_rows
from sklearn_mi.runtime import threads

__all__ = ["MIEstimator"]

COPULAS = ("gaussian", "unmixed", "student")
EARLIEST = 50
FEW_DIMENSIONS = 3
PERMUTED_ROWS = 2000
STOPPING = 0.2


def _towers(encoders: tuple[Any, Any], shapes: tuple[Any, Any], width: int) -> Any:
    sides = zip(encoders, shapes, ("encoder", "encoder_y"), strict=True)
    return tuple(as_encoder(e or "gelu-mlp", name).build(shape, width) for e, shape, name in sides)


class MIEstimator(DocLinkMixin, BaseEstimator):
    r"""Estimate the mutual information of two tables, with a lower limit and an interval.

    .. math:: I(X; Y) = E \log \frac{p(x, y)}{p(x) p(y)}

    Mutual information says how much one table tells about the other, in nats: 0 if they are
    independent, :math:`\log 2 = 0.69` for a fair coin and its copy. There are two results:

    - ``mi_.lower_limit`` belongs to a lower bound: with the given confidence, the information is at
      least this large.
    - ``mi_.value`` and ``mi_.interval`` are a best guess. If no candidate is near the truth, the
      guess is too low and its interval misses the truth; ``refutation_`` tests for that.

    Rows are split into folds, and each fold is scored by models fitted to the other folds. The
    models are candidates for the log-ratio, the logarithm above: Gaussian and t copulas on ranks, a
    network, and a network on top of a copula. They are fitted to most of the other rows. The
    remaining ones, the stopping rows, decide when a network stops, how the candidates are weighted
    and which bound is reported.

    Use it for a number that others will read. To choose features, use `mutual_info_features`. If
    rows depend on one another, pass ``groups``.

    Parameters
    ----------
    method : {"auto", "copula", "network", "neighbors", "classifier"}, default="auto"
        "auto": copulas and networks, weighted by their logistic loss on the stopping rows; nearest
        neighbours for the best guess if X and Y have at most three columns in all and no copula
        fits; classifiers if Y or X is one column of categories.
    copulas : tuple of {"gaussian", "unmixed", "student"}, default=all
        "unmixed": Gaussian after independent components of each side.
    offset : bool, default=True
        Whether to train a network on top of the best copula, beside the one without.
    marginals : {"ranks", "standard", None}, default="ranks"
        Transformation of each column. Ranks leave the information unchanged and tame heavy tails.
    encoder, encoder_y : str, Encoder, Module or callable, default=None
        Turns rows that are images or sequences into codes; see `sklearn_mi.encoders`.
    bound : {"auto", "infonce", "interpolated"}, default="auto"
        The bound of the lower limit. "auto": the one with the larger limit on the stopping rows.
    discrete_target : bool or "auto", default="auto"
        Whether Y is a category. "auto": one column of strings or booleans, or of integers with at
        most 50 values.
    n_folds : int, default=5
    confidence : float, default=0.95
        Confidence level of the interval and of the one-sided limit.
    split_test : bool, default=True
        Fit once more, to half of the rows, for ``test_independence`` and ``certified_limit_``.
    max_steps : int, default=1500
        Largest number of training steps of each network.
    batch_size : int, default=256
    lr : float, default=2e-3
    weight_decay : float, default=1e-2
    n_jobs : int, default=None
        Number of folds that are fitted at the same time.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    mi_ : MIEstimate
        The best guess with standard error and interval, the lower limit, and warnings.
    guaranteed_ : MIEstimate
        The bound that the lower limit belongs to.
    bounds_ : DataFrame
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
        Tests whether boosted trees find an error of the critics.
    certified_limit_ : float
        A lower limit that assumes nothing about the distribution: InfoNCE of a bounded critic, with
        a confidence limit by betting (`sklearn_mi.information.inference.betting_limit`).
    n_features_in_ : int

    See Also
    --------
    MIRepresentationLearner : Learns features by maximising a bound.
    mutual_info_features : A score and a p-value for each column.

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

    _parameter_constraints = {
        "method": [StrOptions({"auto", "copula", "network", "neighbors", "classifier"})],
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
        max_steps: int = 1500,
        batch_size: int = 256,
        lr: float = 2e-3,
        weight_decay: float = 1e-2,
        n_jobs: int | None = None,
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
        self.random_state = random_state

    # What scikit-learn calls

    def fit(self, X: Any, y: Any, Z: Any = None, *, groups: Any = None) -> MIEstimator:
        """Estimate the mutual information of X and y; given Z, the conditional one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Numbers, categories (as columns of a data frame), or images with ``encoder``.
        y : array-like of shape (n_samples,) or (n_samples, n_features_y)
            The partner of each row: another table, one number or one category.
        Z : array-like of shape (n_samples, n_features_z), default=None
            For the information that X and y share given Z,
            :math:`I(X; Y | Z) = I(X; YZ) - I(X; Z)`. This difference of two estimates is not a
            bound, so it has no lower limit.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group may depend on one another. They stay in one fold and never serve as
            unrelated pairs.

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
        pairs = self._read(X, y, groups)
        if Z is not None:
            self._condition(X, y, Z, groups)
            return self
        folds, self.folds_ = self._cross_fit(pairs)
        with threads(1), threadpool_limits(1):
            self._describe(pairs, folds)
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
        the p-value is exact. Pooling the critics of several folds would reject too often.

        Returns
        -------
        result : Independence

        Raises
        ------
        ValueError
            If ``split_test`` is False.
        """
        check_is_fitted(self)
        self._without_third_table()
        if self._independence is None:
            raise ValueError(
                "split_test=False keeps no rows for a test; set split_test=True and fit again."
            )
        return self._independence

    def _html_repr(self) -> str:
        return super()._html_repr() + estimator_html(self)

    # Rows

    def _read(self, X: Any, Y: Any, groups: Any) -> Pairs:
        """Check both tables and store how to read them."""
        if np.ndim(X) == 1:
            raise ValueError(
                "Expected 2D array, got 1D array instead. Reshape your data: X.reshape(-1, 1) if "
                "it has a single feature."
            )
        if issparse(X) or issparse(Y):
            raise TypeError("Sparse data was passed, but dense data is required; use X.toarray().")
        validate_data(self, X, skip_check_array=True)
        self._columns = [TableReader("X", X, self.encoder), TableReader("Y", Y, self.encoder_y)]
        for columns in self._columns:
            if columns.n_rows < 8:
                raise ValueError(
                    f"{columns.name} has n_samples={columns.n_rows}; expected at least 8 rows."
                )
        x_is_class = self._columns[0].is_category
        y_is_class = self._columns[1].is_class(self.discrete_target)
        wanted = self.method == "classifier" or (
            self.method == "auto" and (x_is_class or y_is_class)
        )
        if self.method == "classifier" and not (x_is_class or y_is_class):
            raise ValueError(
                "method='classifier' needs a category: one column of strings, booleans or few "
                "integers; set discrete_target=True to treat Y as one."
            )
        self._swapped = wanted and not y_is_class
        self._by_class = wanted
        return self._pairs(X, Y, groups)

    def _pairs(self, X: Any, Y: Any, groups: Any) -> Pairs:
        sides = list(zip(self._columns, (X, Y), strict=True))
        if self._swapped:
            sides.reverse()
        (columns_x, first), (columns_y, second) = sides
        check_consistent_length(X, Y)
        if groups is not None:
            groups = np.unique(read_values("groups", groups, len(X)), return_inverse=True)[1]
        if not self._by_class:
            return Pairs(columns_x(first), columns_y(second), None, groups)
        labels = columns_y.labels(second)
        return Pairs(columns_x(first), labels, np.unique(labels), groups)

    def _read_again(self, X: Any, Y: Any) -> Pairs:
        check_is_fitted(self)
        self._without_third_table()
        validate_data(self, X, skip_check_array=True, reset=False)
        return self._pairs(X, Y, None)

    def _without_third_table(self) -> None:
        if self._is_conditional:
            raise ValueError(
                "This estimator was fitted with a third table Z and has only mi_, bounds_ and "
                "pointwise_; fit without Z for the rest."
            )

    # Fitting

    def _cross_fit(self, pairs: Pairs) -> tuple[list[Fold], np.ndarray]:
        """Return the critic and the scores of each fold, and the fold of each row."""
        fold_of = fold_of_rows(len(pairs), pairs.groups, self.n_folds, self._seed)
        work = (
            delayed(self._fit_fold)(
                pairs, np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k), self._seed + k
            )
            for k in range(self.n_folds)
        )
        folds: Any = Parallel(n_jobs=self.n_jobs)(work)
        return folds, fold_of

    def _fit_fold(self, pairs: Pairs, kept: np.ndarray, report: np.ndarray, seed: int) -> Fold:
        with threads(1), threadpool_limits(1):
            return self._fit_and_report(pairs, kept, report, seed)

    def _fit_and_report(
        self, pairs: Pairs, kept: np.ndarray, report: np.ndarray, seed: int
    ) -> Fold:
        """Fit to most of the kept rows, stop and choose on the others, score the rest."""
        ratio, stop = self._fit_ratio(pairs, kept, seed)
        rng = np.random.default_rng(seed)
        stopping = bounds_on(ratio, pairs, stop, rng, GUARANTEES)
        guarantee = self.bound
        if guarantee == "auto":
            z = norm.ppf(self.confidence)
            limits = {name: value - z * stderr for name, (value, stderr) in stopping[0].items()}
            guarantee = max(limits, key=limits.__getitem__)
        bounds, block, facts = bounds_on(ratio, pairs, report, rng, tuple(BOUNDS_OF_RATIO))
        plug_in = float(ratio.pairs(*pairs.take(stop)).mean()) + ratio.correction(*pairs.take(stop))
        facts["bound is above"] = float(stopping[0][guarantee][0] > plug_in)
        X, Y = pairs.take(report)
        pointwise = ratio.pairs(X, Y)
        estimate = float(pointwise.mean()) + ratio.correction(X, Y)
        facts["train"] = float(ratio.pairs(*pairs.take(kept)).mean())
        return Fold(ratio, report, pointwise, estimate, bounds, guarantee, block, facts)

    def _fit_ratio(
        self, pairs: Pairs, kept: np.ndarray, seed: int, *, never_constant: bool = False
    ) -> tuple[Ratio | ClassRatio, np.ndarray]:
        """Return a log-ratio fitted to the kept rows, and its stopping rows among them."""
        n_stop = max(2, round(STOPPING * len(kept)))
        groups = None if pairs.groups is None else pairs.groups[kept]
        train, stop, _ = split_rows(len(kept), (n_stop, n_stop), seed, groups=groups)
        parts = [pairs.take(kept[rows]) for rows in (train, stop)]
        marginals = self._marginals()
        how: Any = {"seed": seed, "never_constant": never_constant}
        if pairs.classes is not None:
            ratio: Any = fit_class_ratio(
                parts[0], parts[1], pairs.classes, marginals=marginals[0], **how
            )
        else:
            ratio = fit_ratio(
                parts[0],
                parts[1],
                plan=self._plan(pairs),
                training=self._training(earliest=EARLIEST if never_constant else 0),
                marginals=marginals,
                groups=None if groups is None else (groups[train], groups[stop]),
                **how,
            )
        return ratio, kept[stop]

    def _training(self, earliest: int) -> Training:
        return Training(
            earliest=min(earliest, self.max_steps),
            steps=self.max_steps,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
        )

    def _marginals(self) -> tuple[str | None, str | None]:
        """Return the transformation of each side; rows that an encoder reads stay as they are."""
        encoders = [self.encoder, self.encoder_y]
        if self._swapped:
            encoders.reverse()
        first, second = (self.marginals if encoder is None else None for encoder in encoders)
        return first, second

    def _plan(self, pairs: Pairs) -> Plan:
        """Return which candidates the method fits."""
        copulas = tuple(self.copulas)
        if set(self._marginals()) != {"ranks"} or (self.method == "network" and not self.offset):
            copulas = ()
        has_network = self.method in ("auto", "network") or not copulas
        if self.encoder is None and self.encoder_y is None:
            return Plan(copulas, has_network, self.offset)
        shapes = pairs.X.shape[1:], pairs.Y.shape[1:]
        towers = partial(_towers, (self.encoder, self.encoder_y), shapes)
        return Plan(copulas, has_network, self.offset, towers)

    # Describing

    def _describe(self, pairs: Pairs, folds: list[Fold]) -> None:
        self._folds = folds
        n = len(pairs)
        self.pointwise_ = np.empty(n)
        for fold in folds:
            self.pointwise_[fold.rows] = fold.pointwise
        share = np.array([len(fold.rows) for fold in folds]) / n
        self.bounds_ = bounds_table(folds, share, self.confidence)
        self.candidates_ = candidates_table(folds, pairs)
        self.curves_ = curves_table(folds)
        self.guaranteed_ = self._guarantee(folds, share)
        half = self._split_half(pairs) if self.split_test else None
        self._independence = None if half is None else half[0]
        self.certified_limit_ = math.nan if half is None else half[1]
        self.refutation_ = refute(pairs, folds, self._seed)
        value, stderr, how = self._best_guess(pairs, folds, share)
        self.mi_ = MIEstimate(
            bound=how,
            value=value,
            stderr=stderr,
            ceiling=math.inf if pairs.classes is None else entropy(pairs.Y),
            n_pairs=n,
            n_candidates=min(fold.block for fold in folds),
            status="neither",
            warnings=tuple(self._warnings(pairs, folds, value, stderr)),
            interval=two_sided(value, stderr, self.confidence),
            confidence=self.confidence,
            lower_limit=self.guaranteed_.lower_limit,
        )

    def _guarantee(self, folds: list[Fold], share: np.ndarray) -> MIEstimate:
        """Return the bound that each fold chose on its stopping rows, averaged over the folds."""
        values = np.array([fold.bounds[fold.guarantee] for fold in folds])
        value = float(share @ values[:, 0])
        stderr = float(math.sqrt(share**2 @ values[:, 1] ** 2))
        names = {fold.guarantee for fold in folds}
        block = min(fold.block for fold in folds)
        return MIEstimate(
            bound=" and ".join(sorted(names)),
            value=value,
            stderr=stderr,
            ceiling=max(BOUNDS_OF_RATIO[name].ceiling(block) for name in names),
            n_pairs=sum(len(fold.rows) for fold in folds),
            n_candidates=block,
            status="lower",
            interval=two_sided(value, stderr, self.confidence),
            confidence=self.confidence,
            lower_limit=value - stderr * float(norm.ppf(self.confidence)),
        )

    def _best_guess(
        self, pairs: Pairs, folds: list[Fold], share: np.ndarray
    ) -> tuple[float, float, str]:
        """Return the estimate, its standard error, and what kind of estimate it is."""
        n = len(pairs)
        flat = pairs.classes is None and pairs.X.ndim == 2 and pairs.Y.ndim == 2
        few = flat and pairs.X.shape[1] + pairs.Y.shape[1] <= FEW_DIMENSIONS
        copula_fits = np.mean([fold.ratio.is_parametric for fold in folds]) > 0.5
        if self.method == "neighbors" or (self.method == "auto" and few and not copula_fits):
            sides = (NormalScores().fit_transform(A.reshape(n, -1)) for A in (pairs.X, pairs.Y))
            local = neighbors_mi(*sides)
            return (
                float(local.mean()),
                standard_error(local, pairs.groups),
                "nearest neighbours (in-sample)",
            )
        if copula_fits:
            families = [fold.ratio.family for fold in folds if fold.ratio.is_parametric]
            family: Any = max(families, key=families.count)
            value = copula_of_all(family, pairs.X, pairs.Y, self._seed).mi
            return value, standard_error(self.pointwise_, pairs.groups), f"{family} copula"
        # A mean log-ratio below a lower bound is too low. The stopping rows decided whether it is.
        if pairs.classes is None and np.mean([f.facts["bound is above"] for f in folds]) > 0.5:
            own = self.guaranteed_
            return own.value, own.stderr, f"{own.bound} (held out)"
        value = float(share @ [fold.estimate for fold in folds])
        return value, standard_error(self.pointwise_, pairs.groups), "mean log-ratio (held out)"

    def _warnings(
        self, pairs: Pairs, folds: list[Fold], value: float, stderr: float
    ) -> Iterator[str]:
        """Yield the facts that limit what the number means."""
        block = min(fold.block for fold in folds)
        nce, ceiling = self.bounds_.loc["infonce", "value"], math.log(block)
        if nce > 0.8 * ceiling:
            yield (
                f"InfoNCE {nce:.2f} is near its ceiling log({block}) = {ceiling:.2f}; more rows or "
                "fewer folds raise it"
            )
        size = np.mean([fold.facts["ess"] for fold in folds])
        if size < 30:
            yield (
                f"the effective sample size of the unrelated pairs is {size:.0f}; do not trust "
                "'nwj' and 'donsker-varadhan' here"
            )
        above = np.mean([fold.facts["above"] for fold in folds])
        if above > 0.5:
            yield (
                f"{100 * above:.0f} % of the pairs score above every unrelated pair; the relation "
                "may be deterministic and its information infinite, but values above the ceiling "
                f"{ceiling:.2f} cannot be resolved"
            )
        best = self.curves_.sort_values("loss").drop_duplicates(["fold", "candidate"])
        late = best["step"].to_numpy() >= 0.95 * self.max_steps
        if late.sum() > len(late) / 2:
            yield f"the critics were still improving at step {self.max_steps}; raise max_steps"
        train = float(np.mean([fold.facts["train"] for fold in folds]))
        if train - self.pointwise_.mean() > max(0.3, 0.3 * abs(train)):
            yield (
                f"the critics overfit: {train:.2f} nats on their training rows, "
                f"{self.pointwise_.mean():.2f} on new rows; more rows would help"
            )
        yield from duplicates(pairs)
        if value < -2 * stderr:
            yield "the value is negative: consistent with no information; it is not clipped"
        found = self.refutation_
        if found.p_value < 0.01:
            yield (
                f"the critic is refuted (p = {found.p_value:.2g}): boosted trees tell partners "
                "from reweighted unrelated pairs, so the best guess may be wrong, mostly too low"
            )

    def _split_half(self, pairs: Pairs) -> tuple[Independence, float]:
        """Return a test of independence and a certified limit, by a critic of half the rows."""
        seed = self._seed + self.n_folds
        fold_of = fold_of_rows(len(pairs), pairs.groups, 2, seed)
        rng = np.random.default_rng(seed)
        ratio, _ = self._fit_ratio(pairs, np.flatnonzero(fold_of == 0), seed, never_constant=True)
        rows = one_a_group(np.flatnonzero(fold_of == 1), pairs.groups, rng)
        return (
            permutation_test(ratio, pairs, rows[:PERMUTED_ROWS], rng),
            certified_limit(ratio, pairs, rows, 1 - self.confidence),
        )

    def _condition(self, X: Any, Y: Any, Z: Any, groups: Any) -> None:
        """Estimate I(X; YZ) - I(X; Z), both on the same folds."""
        parts = []
        for partner in (side_by_side(Y, Z), Z):
            other: Any = clone(self)
            other.set_params(random_state=self._seed)
            parts.append(other.fit(X, partner, groups=groups))
        both, alone = parts
        self.pointwise_ = both.pointwise_ - alone.pointwise_
        value = both.mi_.value - alone.mi_.value
        groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        stderr = standard_error(self.pointwise_, groups)
        self.mi_ = MIEstimate(
            bound="difference of two estimates",
            value=value,
            stderr=stderr,
            ceiling=math.inf,
            n_pairs=both.mi_.n_pairs,
            n_candidates=both.mi_.n_candidates,
            status="neither",
            warnings=tuple(dict.fromkeys((*both.mi_.warnings, *alone.mi_.warnings))),
            interval=two_sided(value, stderr, self.confidence),
            confidence=self.confidence,
        )
        difference = both.bounds_[["value"]] - alone.bounds_[["value"]]
        self.bounds_ = difference.assign(status="neither", ceiling=math.inf)
        self.guaranteed_, self.certified_limit_ = self.mi_, math.nan
        self._folds, self._independence = both._folds, None
        self._columns, self.folds_ = both._columns, both.folds_
        self.candidates_, self.refutation_ = both.candidates_, both.refutation_
        self.curves_ = both.curves_
