"""The best guess: by the method that holds for the data, and held against all other numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.closed import copula_guess
from sklearn_mi.information.exact import exact_relation, predicted_information
from sklearn_mi.information.guess import Guess
from sklearn_mi.information.inference import (
    BOUNDS_OF_RATIO,
    Fold,
    duplicates,
    entropy,
    standard_error,
    two_sided,
)
from sklearn_mi.information.neighbors import few_columns_guess
from sklearn_mi.information.pairs import Pairs
from sklearn_mi.information.plugin import entropy_limits, table_guess
from sklearn_mi.information.ratios import COPULAS
from sklearn_mi.information.refutation import Refutation
from sklearn_mi.information.serial import serial_warning
from sklearn_mi.information.shifts import table_rows
from sklearn_mi.information.wide import wide_guess
from sklearn_mi.reports import MIEstimate

__all__ = ["Evidence", "best_guess", "ceiling_of", "guarantee", "warnings_about"]

ABOVE = 2.0
FAR = 3.0
FAR_BEYOND = 0.5
GROWTH_LEFT = 2.5
LARGEST_ABOVE = 0.5
LARGEST_GROWTH = 0.25
MOST_ROWS_BESIDE = 5000
NEARLY_EXACT = 2.3  # 99 % of a variance
NEIGHBORS_UP_TO = 6
REFUTED = 0.01
REFUTES = 6.0
ROUNDING = 1e-6


@dataclass(frozen=True)
class Evidence:
    """Everything that one fit has found out, for the best guess to be held against.

    Attributes
    ----------
    pairs : Pairs
    folds : list of Fold
    fold_of : ndarray of shape (n_samples,)
    pointwise : ndarray of shape (n_samples,)
        Log-ratios on new rows.
    guaranteed : MIEstimate
        The lower bound.
    refutation : Refutation
    growth : tuple of float
        By how much InfoNCE grows from a critic of half of the rows to those of the folds, and its
        standard error.
    confidence : float
    seed : int
    n_folds : int
        As asked for.
    n_effective : float or None
        Number of independent rows that tell as much, if rows are a series.
    """

    pairs: Pairs
    folds: list[Fold]
    fold_of: np.ndarray
    pointwise: np.ndarray
    guaranteed: MIEstimate
    refutation: Refutation
    growth: tuple[float, float]
    confidence: float
    seed: int
    n_folds: int
    n_effective: float | None

    @property
    def share(self) -> np.ndarray:
        """Share of the rows of each fold."""
        return np.array([len(fold.rows) for fold in self.folds]) / len(self.pairs)

    @property
    def is_refuted(self) -> bool:
        """Whether trees find an error of the critics."""
        return self.refutation.p_value < REFUTED


def best_guess(evidence: Evidence, method: str) -> Guess:
    """Return the best guess, held against the bound, other candidates and the refutation."""
    guess = _by_method(evidence, method)
    guess = _not_below_limit(guess, evidence)
    if "held out" in guess.how and not guess.at_least:
        guess = _extrapolated(guess, evidence)
    guess = _widened(guess, evidence, method)
    return _within_reason(guess, evidence)


def _by_method(evidence: Evidence, method: str) -> Guess:
    """Return the guess of the method that the data call for."""
    pairs = evidence.pairs
    if pairs.tells_nothing:
        fact = f"{len(pairs)} rows are too few for {pairs.n_columns} columns"
        return Guess(0.0, 0.0, (0.0, math.inf), "nothing (held out)", True, (fact,))
    if method == "neighbors":
        return _neighbors(evidence)
    if pairs.route == "labels":
        how = _rows(evidence)
        if pairs.block is not None:
            how["n_effective"] = table_rows(pairs.x, pairs.y, pairs.block)  # type: ignore[arg-type]
        guess = table_guess(pairs.x, pairs.y, **how)  # type: ignore[arg-type]
        assert guess is not None
        return guess
    fits = _model_fits(evidence)
    is_smooth = fits and pairs.is_continuous and pairs.route == "ratio"
    if method in ("auto", "closed-form") and pairs.has_few_columns and not is_smooth:
        return _neighbors(evidence)
    if pairs.is_wide:
        return _wide(evidence)
    # The closed form is that of columns without ties; of others, the mean on new rows holds.
    family = _family(evidence)
    if family is not None and pairs.is_continuous:
        how = {"pointwise": evidence.pointwise, "seed": evidence.seed, **_rows(evidence)}
        return copula_guess(family, pairs.X, pairs.Y, **how)
    return _held_out(evidence)


def _wide(evidence: Evidence) -> Guess:
    """Return the guess of the low-rank model, or what new rows show beyond it.

    Networks also gain by scaling codes that few rows have chosen, which says nothing of the model.
    """
    pairs = evidence.pairs
    how = {"confidence": evidence.confidence, "seed": evidence.seed, "groups": pairs.clusters}
    wide = wide_guess(pairs.X, pairs.Y, evidence.fold_of, **how)[0]
    if _model_fits(evidence):
        return wide
    held = _held_out(evidence)
    most = wide.value if wide.at_least else wide.interval[1]
    return wide if held.value <= most else replace(held, at_least=True)


def _rows(evidence: Evidence) -> dict:
    """Return what says how rows depend on one another."""
    pairs = evidence.pairs
    return {"confidence": evidence.confidence, "groups": pairs.groups, "block": pairs.block}


def _neighbors(evidence: Evidence, most_rows: int | None = None) -> Guess:
    pairs, how = evidence.pairs, _rows(evidence)
    assert pairs.x is not None
    assert pairs.y is not None
    if most_rows is None or most_rows >= len(pairs) or pairs.groups is not None:
        return few_columns_guess(pairs.x, pairs.y, seed=evidence.seed, **how)
    rows = np.linspace(0, len(pairs) - 1, most_rows).astype(int)
    if pairs.block is not None:
        how["block"] = math.ceil(pairs.block * most_rows / len(pairs))
    sides = [Coded(side.values[rows], side.nominal) for side in (pairs.x, pairs.y)]
    return few_columns_guess(*sides, seed=evidence.seed, **how)


def _model_fits(evidence: Evidence) -> bool:
    """Whether most folds kept one model alone."""
    return bool(np.mean([fold.ratio.is_parametric for fold in evidence.folds]) > 0.5)


def _family(evidence: Evidence) -> str | None:
    """Return the copula that most folds kept alone; of a series, that with the most weight.

    The few rows of a series that count hardly tell a copula from nothing on the stopping rows.
    """
    folds = evidence.folds
    if _model_fits(evidence):
        families = [str(fold.ratio.family) for fold in folds if fold.ratio.is_parametric]
        return max(families, key=families.count)
    if evidence.pairs.block is None or evidence.pairs.route != "ratio":
        return None
    weights = {"gaussian": 0.0}
    for fold in folds:
        for part, weight in zip(fold.ratio.parts, fold.ratio.weights, strict=True):  # type: ignore[attr-defined]
            weights[part.name] = weights.get(part.name, 0.0) + float(weight)
    likely = max(weights, key=lambda name: weights[name])
    return likely if likely in COPULAS else None


def _held_out(evidence: Evidence) -> Guess:
    """Return the mean log-ratio on new rows, or the lower bound where that is larger."""
    own = evidence.guaranteed
    # A mean log-ratio below a lower bound is too low. The stopping rows decided whether it is.
    is_above = np.mean([fold.facts["bound is above"] for fold in evidence.folds]) > 0.5
    if is_above and not _regressions_fit(evidence):
        return Guess(own.value, own.stderr, own.interval, f"{own.bound} (held out)")
    return _mean_log_ratio(evidence)


def _regressions_fit(evidence: Evidence) -> bool:
    """Whether regressions were kept alone: they are densities, so nothing is left to correct."""
    return _model_fits(evidence) and all(fold.ratio.has_regressions for fold in evidence.folds)


def _mean_log_ratio(evidence: Evidence) -> Guess:
    pairs, share = evidence.pairs, evidence.share
    is_corrected = all(fold.ratio.has_regressions for fold in evidence.folds)
    plain = value = float(evidence.pointwise.mean())
    if pairs.is_continuous or is_corrected:
        value = float(share @ [fold.estimate for fold in evidence.folds])
    scales = [fold.ratio.calibration for fold in evidence.folds]
    shifts = math.sqrt(float(share**2 @ np.square([scale.shift_error for scale in scales])))
    stderr = math.hypot(standard_error(evidence.pointwise, pairs.groups, pairs.block), shifts)
    if is_corrected:
        # What is added for the rows that a model was fitted to is uncertain by about as much.
        stderr = math.hypot(stderr, value - plain)
    how = "regressions (held out)"
    if not _regressions_fit(evidence):
        how = "mean log-ratio (held out)"
        # Ratios whose mean over unrelated pairs exceeds 1 are too large by its logarithm.
        tables = [fold.bounds for fold in evidence.folds]
        excess = share @ [table["plug-in"][0] - table["donsker-varadhan"][0] for table in tables]
        value -= max(float(excess), 0.0)
    interval = two_sided(value, stderr, evidence.confidence)
    return Guess(value, stderr, interval, how, not all(scale.is_known for scale in scales))


def _extrapolated(guess: Guess, evidence: Evidence) -> Guess:
    """Return a held-out guess, carried on to more rows.

    A number that grew by g from five eighths of the rows to all of them has 1.7 g left to go, if
    what is missing falls as one over the rows, and 3.8 g if as one over their root. The value goes
    on by g, the interval by 2.5 g. Where g is large, the value stays, as few rows tell no law.
    """
    growth, error = evidence.growth
    if growth <= 0:
        return guess
    low, high = guess.interval
    guess = replace(guess, interval=(low, high + GROWTH_LEFT * growth))
    if guess.how.startswith("regressions"):
        return guess  # corrected for its rows already
    if not error < growth < LARGEST_GROWTH * guess.value:
        return guess
    return replace(
        guess,
        value=guess.value + growth,
        # What is left to go is known no better than by half.
        stderr=math.hypot(guess.stderr, error, growth / 2),
        how=f"{guess.how}, extrapolated to more rows",
    )


def _not_below_limit(guess: Guess, evidence: Evidence) -> Guess:
    """Return the value of the bound if the guess is below the bound's lower limit."""
    own = evidence.guaranteed
    if own.lower_limit is None or not guess.value < own.lower_limit - ROUNDING:
        return guess
    how = f"{own.bound} (held out), above: {guess.how}"
    raised = Guess(own.value, own.stderr, own.interval, how, guess.at_least, guess.warnings)
    return raised.reaching(own.lower_limit, guess.interval[1])


def _widened(guess: Guess, evidence: Evidence, method: str) -> Guess:
    """Return the guess with an interval that holds what other numbers leave possible."""
    if evidence.pairs.route == "labels" or "neighbours" in guess.how:
        return guess
    found = evidence.refutation
    if evidence.is_refuted and found.missing > 0:
        low, high = guess.interval
        guess = guess.reaching(low, high + found.missing)
    if method in ("auto", "closed-form"):
        guess = _beside_neighbors(guess, evidence)
    return guess


def _beside_neighbors(guess: Guess, evidence: Evidence) -> Guess:
    """Return the guess of a model, or that of neighbours where these see more.

    Few rows cannot refute a wrong model, so the interval reaches up to that of neighbours by as
    much as they stand above. Of more columns they see too little, so where they see far more than
    the model, that is "at least".
    """
    n_columns, few = evidence.pairs.n_columns, evidence.pairs.has_few_columns
    if n_columns is None or n_columns > NEIGHBORS_UP_TO:
        return guess
    near = _neighbors(evidence, MOST_ROWS_BESIDE)
    error = max(math.hypot(near.stderr, guess.stderr), 1e-12)
    above = (near.value - guess.value) / error
    if few and above > ABOVE:
        low, high = guess.interval
        return near.reaching(low if above < REFUTES else near.interval[0], high)
    if few and above < -FAR:
        return guess.reaching(near.value, near.value)
    if not few and above > FAR and evidence.pairs.is_continuous:
        fact = (
            f"nearest neighbours see {near.value:.2f} nats where the model sees "
            f"{guess.value:.2f}, and they fall short in {n_columns} columns"
        )
        raised = replace(near.reaching(*guess.interval), at_least=True)
        return replace(raised, warnings=(*guess.warnings, fact))
    if above <= 0:
        return guess
    top = near.interval[1] if few and not near.at_least else near.value
    return guess.reaching(guess.value, near.value + min(above, 1.0) * (top - near.value))


def _within_reason(guess: Guess, evidence: Evidence) -> Guess:
    """Return the guess between 0 and the entropy of a class; "at least", if nothing resolves it."""
    pairs = evidence.pairs
    guess = replace(guess, value=guess.value if guess.value > 0 else 0.0)
    low, high = guess.interval
    if pairs.route == "ratio":
        above = float(np.mean([fold.facts["above"] for fold in evidence.folds]))
        is_fitted = "copula" in guess.how and not evidence.is_refuted
        predicted = predicted_information(pairs)
        fact = exact_relation(pairs)
        if fact is None and predicted > max(NEARLY_EXACT, guess.value + FAR_BEYOND):
            fact = _exactness(predicted)
        is_exact = fact is not None
        if fact is not None:
            guess = replace(guess, warnings=(*guess.warnings, fact))
        if is_exact or (above > LARGEST_ABOVE and not is_fitted):
            guess, high = replace(guess, at_least=True), math.inf
    if pairs.route == "class":
        counts = np.unique(pairs.Y, return_counts=True)[1]
        z = float(norm.ppf(0.5 + evidence.confidence / 2))
        most, far = entropy_limits(counts, len(pairs), z)
        guess = replace(guess, value=min(guess.value, most))
        # Classes that the critic never confuses tell no error; it shows once in the rows so far.
        high = min(high + most * z**2 / len(pairs), max(far, guess.value))
    low = min(max(low, 0.0), max(guess.value, 0.0))
    least = _least_width(len(pairs), evidence.n_effective)
    is_constant = guess.how == "constant column"
    high = max(high, guess.value, 0.0 if is_constant else low + least)
    return replace(guess, interval=(low, math.inf if guess.at_least else high))


def _exactness(predicted: float) -> str:
    share = 100 * math.exp(-2 * predicted)
    return (
        f"polynomials of one table predict a column of the other up to {share:.2g} % of its "
        "variance; the relation may be deterministic and its information infinite"
    )


def _least_width(n: int, n_effective: float | None) -> float:
    """Return an information that so many rows cannot tell from 0."""
    return 1.92 / (n if n_effective is None else n_effective)


def ceiling_of(pairs: Pairs) -> float:
    """Return the largest information that categories allow: the least entropy of a side."""
    if pairs.route == "class":
        return entropy(pairs.Y)
    if pairs.route == "labels":
        return min(entropy(pairs.X), entropy(pairs.Y))
    return math.inf


def guarantee(folds: list[Fold], share: np.ndarray, confidence: float) -> MIEstimate:
    """Return the bound that each fold chose on its stopping rows, averaged over the folds."""
    values = np.array([fold.bounds[fold.guarantee] for fold in folds])
    value = float(share @ values[:, 0])
    stderr = float(math.sqrt(share**2 @ np.nan_to_num(values[:, 1]) ** 2))
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
        interval=two_sided(value, stderr, confidence),
        confidence=confidence,
        lower_limit=value - stderr * float(norm.ppf(confidence)),
    )


def warnings_about(evidence: Evidence, guess: Guess, max_steps: int) -> Iterator[str]:
    """Yield the facts that limit what the number means."""
    yield from guess.warnings
    pairs, folds = evidence.pairs, evidence.folds
    if pairs.route == "ratio":
        yield from _about_critics(evidence, max_steps)
    if pairs.route != "labels" and pairs.groups is None:
        yield from duplicates(pairs)
    if pairs.block is None and pairs.groups is None:
        said = serial_warning(pairs.X, pairs.Y)
        if said is not None:
            yield said
    found = evidence.refutation
    if evidence.is_refuted:
        yield (
            f"the critic is refuted (p = {found.p_value:.2g}): boosted trees tell partners "
            "from reweighted unrelated pairs, so the best guess may be wrong, mostly too low"
        )
    if len(folds) < evidence.n_folds:
        yield (
            f"{len(folds)} folds in the place of n_folds={evidence.n_folds}, since "
            f"{len(pairs)} rows are too few for more"
        )


def _about_critics(evidence: Evidence, max_steps: int) -> Iterator[str]:
    folds = evidence.folds
    block = min(fold.block for fold in folds)
    ceiling = math.log(block)
    nce = float(evidence.share @ [fold.bounds["infonce"][0] for fold in folds])
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
    if above > LARGEST_ABOVE:
        yield (
            f"{100 * above:.0f} % of the pairs score above every unrelated pair; the relation "
            "may be deterministic and its information infinite, but values above the ceiling "
            f"{ceiling:.2f} cannot be resolved"
        )
    best = [
        min(curve, key=lambda at: at[1])[0]
        for fold in folds
        for curve in fold.ratio.curves.values()
    ]
    late = [step >= 0.95 * max_steps for step in best]
    if sum(late) > len(late) / 2:
        yield f"the critics were still improving at step {max_steps}; raise max_steps"
    train = float(np.mean([fold.facts["train"] for fold in folds]))
    new = float(evidence.pointwise.mean())
    if train - new > max(0.3, 0.3 * abs(train)):
        yield (
            f"the critics overfit: {train:.2f} nats on their training rows, {new:.2f} on new rows; "
            "more rows would help"
        )
