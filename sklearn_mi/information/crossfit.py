"""One critic for each fold of rows, fitted to the other folds, and one for half of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from joblib import delayed
from joblib.parallel import get_active_backend
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from sklearn_mi._progress import progress_bar
from sklearn_mi.compression import PairCompression
from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.classes import NoRatio, TableRatio, fit_class_ratio
from sklearn_mi.information.folds import (
    cut_in_folds,
    halves,
    one_a_group,
    training_and_stopping,
)
from sklearn_mi.information.inference import (
    BOUNDS_OF_RATIO,
    GUARANTEES,
    Critic,
    Fold,
    Independence,
    bounds_on,
    certified_limit,
    infonce_on,
    permutation_p_value,
    permutation_test,
    standard_error,
)
from sklearn_mi.information.neighbors import over_permutations
from sklearn_mi.information.networks import Training
from sklearn_mi.information.pairs import Pairs
from sklearn_mi.information.ratios import Plan, fit_ratio
from sklearn_mi.information.regressions import Layout
from sklearn_mi.runtime import threads
from sklearn_mi.workers import in_parallel

__all__ = ["CrossFit", "Fitting", "Half"]

ABOVE = 2.0
EARLIEST = 50
PERMUTATIONS = 199
PERMUTED_ROWS, ROWS_OF_NEIGHBORS = 2000, 1000
ROWS_FOR_THREADS = 3000
STOPPING = 0.2


@dataclass(frozen=True)
class Fitting:
    """How a critic is fitted.

    Attributes
    ----------
    plan : Plan
    training : Training
    marginals : tuple of {"ranks", "standard", None}
        One for each side.
    bound : {"auto", "infonce", "interpolated"}
        Of the lower limit.
    confidence : float
    """

    plan: Plan
    training: Training
    marginals: Any
    bound: str
    confidence: float


class Compressed:
    """A critic of codes: both tables are compressed first, as learned from its training rows."""

    def __init__(self, compression: PairCompression, critic: Any) -> None:
        self.compression, self.critic = compression, critic

    def __getattr__(self, name: str) -> Any:
        if name in ("compression", "critic"):
            raise AttributeError(name)
        return getattr(self.critic, name)

    def _codes(self, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.compression.transform(X, Y)

    def pairs(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the log-ratio of partners, of shape (n,)."""
        return self.critic.pairs(*self._codes(X, Y))

    def matrix(self, X: np.ndarray, Y: np.ndarray) -> Any:
        """Return the log-ratio of every pair of rows, of shape (n, m)."""
        return self.critic.matrix(*self._codes(X, Y))

    def each(self, X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by each candidate alone."""
        return self.critic.each(*self._codes(X, Y))

    def correction(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Return the bias correction of the mean log-ratio on new rows, to be added."""
        return self.critic.correction(*self._codes(X, Y))


@dataclass(frozen=True)
class Half:
    """A critic of half of the rows, and what it says about the other half."""

    critic: Critic
    test: np.ndarray
    independence: Independence
    certified_limit: float

    def growth(self, folds: list[Fold], pairs: Pairs) -> tuple[float, float]:
        """Return by how much InfoNCE grows from this critic to those of the folds, and its error.

        Both score the same rows; this critic was fitted to five eighths of the rows that theirs
        were.
        """
        gains, sizes = [], []
        for fold in folds:
            rows = np.intersect1d(fold.rows, self.test)
            if pairs.groups is not None:
                rows = one_a_group(rows, pairs.groups, np.random.default_rng(0))
            if len(rows) > 1:
                small, large = infonce_on([self.critic, fold.ratio], pairs, rows)
                gains.append(large - small)
                sizes.append(len(rows))
        if len(gains) < 2:
            return 0.0, 0.0
        error = np.std(gains, ddof=1) / math.sqrt(len(gains))
        return float(np.average(gains, weights=sizes)), float(error)


@dataclass(frozen=True)
class CrossFit:
    """Fit critics.

    Attributes
    ----------
    pairs : Pairs
    fitting : Fitting
    n_folds : int
        Fewer are made of few rows.
    seed : int
    n_jobs : int or None
    verbose : int
    """

    pairs: Pairs
    fitting: Fitting
    n_folds: int
    seed: int
    n_jobs: int | None = None
    verbose: int = 0

    def run(self, with_half: bool) -> tuple[list[Fold], np.ndarray, Half | None]:
        """Return the critic and the scores of each fold, the fold of each row, and the half."""
        fold_of, kept = cut_in_folds(self.pairs, self.n_folds, self.seed)
        work: list[Callable[[], Any]] = [
            partial(self._fold, rows, np.flatnonzero(fold_of == k), self.seed + k)
            for k, rows in enumerate(kept)
        ]
        if with_half:
            work.append(self._half)
        results = list(self._results(work))
        half = results.pop() if with_half else None
        return results, fold_of, half

    def _results(self, work: list[Callable[[], Any]]) -> Iterator[Any]:
        tasks = [delayed(_alone)(task) for task in work]
        with progress_bar(len(work), "fold", shown=self.verbose) as bar:
            # Threads start at once, where processes would first import torch.
            yield from in_parallel(tasks, self._jobs(), bar, prefer="threads")

    def _jobs(self) -> int | None:
        """Return how many threads; Python itself takes most of the time of few rows."""
        is_configured = get_active_backend()[1] not in (None, 1)
        if self.n_jobs is not None or is_configured:
            return self.n_jobs
        is_large = len(self.pairs) >= ROWS_FOR_THREADS or self.pairs.is_wide
        return torch.get_num_threads() if is_large else 1

    def _fold(self, kept: np.ndarray, report: np.ndarray, seed: int) -> Fold:
        """Fit to most of the kept rows, stop and choose on the others, score the rest."""
        pairs = self.pairs
        ratio, stop = self._critic(kept, seed)
        rng = np.random.default_rng(seed)
        stopping = bounds_on(ratio, pairs, stop, rng, GUARANTEES)
        guarantee = self._bound_of(stopping[0])
        bounds, block, facts = bounds_on(ratio, pairs, report, rng, tuple(BOUNDS_OF_RATIO))
        plug_in = float(ratio.pairs(*pairs.take(stop)).mean()) + ratio.correction(*pairs.take(stop))
        facts["bound is above"] = float(stopping[0][guarantee][0] > plug_in)
        X, Y = pairs.take(report)
        pointwise = ratio.pairs(X, Y)
        estimate = float(pointwise.mean()) + ratio.correction(X, Y)
        facts["train"] = float(ratio.pairs(*pairs.take(kept)).mean())
        return Fold(ratio, report, pointwise, estimate, bounds, guarantee, block, facts)

    def _bound_of(self, stopping: dict[str, tuple[float, float]]) -> str:
        """Return the bound of the largest limit on the stopping rows, unless one is wanted."""
        if self.fitting.bound != "auto":
            return self.fitting.bound
        z = norm.ppf(self.fitting.confidence)
        limits = {
            name: value - z * np.nan_to_num(error) for name, (value, error) in stopping.items()
        }
        return max(limits, key=limits.__getitem__)

    def _half(self) -> Half:
        """Return a test of independence and a certified limit, by a critic of half the rows."""
        pairs, seed = self.pairs, self.seed + self.n_folds
        kept, test = halves(pairs, seed)
        rng = np.random.default_rng(seed)
        ratio, stop = self._critic(kept, seed, never_constant=True)
        independent = one_a_group(test, pairs.groups, rng)
        limit = math.nan
        if pairs.block is None:
            limit = certified_limit(ratio, pairs, independent, 1 - self.fitting.confidence)
            test = independent
        rows = test[:PERMUTED_ROWS]
        if self._neighbors_see_more(ratio, kept, stop, rng):
            result = self._test_by_neighbors(rows[:ROWS_OF_NEIGHBORS], rng)
        else:
            result = permutation_test(ratio, pairs, rows, rng)
        return Half(ratio, np.sort(test), result, limit)

    def _neighbors_see_more(
        self, ratio: Critic, kept: np.ndarray, stop: np.ndarray, rng: np.random.Generator
    ) -> bool:
        """Return whether the critic misses, on its own half, what neighbours see there.

        The test rows have no say in it, so a test by either is valid.
        """
        pairs = self.pairs
        if not pairs.has_few_columns or pairs.route != "ratio" or pairs.block is not None:
            return False
        seen = ratio.pairs(*pairs.take(stop))
        doubt = standard_error(seen) + 1 / math.sqrt(len(kept))
        return self._by_neighbors(kept, rng)[0] > seen.mean() + ABOVE * doubt

    def _by_neighbors(
        self, rows: np.ndarray, rng: np.random.Generator, n_permutations: int = 0
    ) -> np.ndarray:
        x, y = (Coded(s.values[rows], s.nominal) for s in (self.pairs.x, self.pairs.y) if s)
        return over_permutations(x, y, rng, n_permutations)

    def _test_by_neighbors(self, rows: np.ndarray, rng: np.random.Generator) -> Independence:
        own, *permuted = self._by_neighbors(rows, rng, PERMUTATIONS)
        p_value = permutation_p_value(own, permuted)
        return Independence(p_value, float(own - np.mean(permuted)), len(rows))

    def _critic(
        self, kept: np.ndarray, seed: int, *, never_constant: bool = False
    ) -> tuple[Any, np.ndarray]:
        """Return a log-ratio fitted to the kept rows, and its stopping rows among them."""
        pairs = self.pairs
        train, stop = training_and_stopping(pairs, kept, STOPPING, seed)
        if pairs.tells_nothing:
            return NoRatio(), stop
        if pairs.route == "labels":
            return TableRatio().fit(*pairs.take(kept)), stop
        if pairs.route == "class":
            return self._class_critic(train, stop, seed, never_constant), stop
        parts: Any = [pairs.take(rows) for rows in (train, stop)]
        compression = None
        if pairs.is_wide:
            compression = PairCompression(random_state=seed)
            groups = None if pairs.groups is None else pairs.groups[train]
            first, second = parts
            parts = [
                compression.fit_transform(first[0], first[1], groups),
                compression.transform(second[0], second[1]),
            ]
        groups = None if pairs.groups is None else (pairs.groups[train], pairs.groups[stop])
        training, plan = self.fitting.training, self.fitting.plan
        if never_constant:
            training = replace(training, earliest=min(EARLIEST, training.steps))
            plan = replace(plan, one_network=plan.screen)
        ratio = fit_ratio(
            *parts,
            plan=plan,
            training=training,
            marginals=self.fitting.marginals,
            groups=groups,
            seed=seed,
            never_constant=never_constant,
            layouts=self._layouts,
        )
        return (ratio if compression is None else Compressed(compression, ratio)), stop

    @property
    def _layouts(self) -> tuple[Layout, Layout] | None:
        """Return which floats are categories, if columns hold these or few values that tie."""
        pairs = self.pairs
        if not self.fitting.plan.regressions or pairs.x is None or pairs.y is None:
            return None
        if pairs.is_wide or pairs.has_few_columns or pairs.is_continuous:
            return None
        layouts = Layout.of(pairs.x), Layout.of(pairs.y)
        fits = all(one.fits(rows) for one, rows in zip(layouts, (pairs.X, pairs.Y), strict=True))
        return layouts if fits else None

    def _class_critic(
        self, train: np.ndarray, stop: np.ndarray, seed: int, never_constant: bool
    ) -> Any:
        pairs = self.pairs
        is_one_column = pairs.x is not None and pairs.x.values.shape[1] == 1
        if is_one_column and pairs.x is not None and not pairs.x.nominal[0]:
            return TableRatio(pairs.classes).fit(*pairs.take(np.append(train, stop)))
        return fit_class_ratio(
            pairs.take(train),
            pairs.take(stop),
            pairs.classes,  # type: ignore[arg-type]
            marginals=self.fitting.marginals[0],
            seed=seed,
            never_constant=never_constant,
        )


def _alone(task: Callable[[], Any]) -> Any:
    with threads(1), threadpool_limits(1):
        return task()
