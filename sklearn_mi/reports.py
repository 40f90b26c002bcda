"""Reported numbers: held-out bounds with their error, ceiling and caveats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from torch import Tensor

from sklearn_mi._base import Codes, Objective, Status
from sklearn_mi._html import estimate_html
from sklearn_mi.bounds import BOUNDS, InfoNCE, infonce_terms
from sklearn_mi.comparisons import mean_over
from sklearn_mi.model import PairModel, global_stream
from sklearn_mi.rows import AnyRows
from sklearn_mi.tiles import by_rows, is_large

__all__ = [
    "MIEstimate",
    "blocks",
    "describe",
    "every_bound",
    "held_out_bound",
    "held_out_infonce",
    "jackknife",
    "missing",
    "pair_codes",
]

JACKKNIFE_GROUPS = 20
# Held-out rows tell this share of what training rows tell, or the critic has memorised them.
SMALLEST_SHARE = 2 / 3
CLEAR_GAP = 3  # standard errors


@dataclass(frozen=True)
class MIEstimate:
    """A mutual information, or a bound on it, in nats, with everything needed to judge it.

    Attributes
    ----------
    bound : str
        Name of the bound, or what the number is if it is not a bound.
    value, stderr : float
        The value and its standard error over rows.
    ceiling : float
        The largest value that the bound can take with this number of candidates; ``inf``: no
        largest value.
    n_pairs : int
        Number of pairs that the value was computed on. A learner is trained on none of them.
    n_candidates : int
        Number of rows that each row is scored against, its partner included.
    status : {"lower", "upper", "neither"}
        Whether the value is, in expectation, a lower or an upper bound on the mutual information.
    warnings : tuple of str
        Facts that limit what the number means.
    unit : str
        Always ``"nats"``.
    interval : tuple of float
        Two-sided confidence interval for the value, by default from its standard error. For a
        bound it covers the bound, not the mutual information.
    objective : MIEstimate or None
        For a learner, the bound that its objective reports; the value itself is InfoNCE.
    lower_limit : float or None
        One-sided confidence limit of a lower bound. For the best guess of an `MIEstimator`, the
        limit of ``guaranteed_``, its lower bound. None for any other number.
    confidence : float
        Confidence level of the interval and of the limit.
    at_least : bool
        Whether the information may be much larger than the value, or infinite; the upper end of
        the interval is then ``inf``.

    Examples
    --------
    >>> from sklearn_mi.reports import MIEstimate
    >>> print(MIEstimate("InfoNCE", 2.5, 0.1, 5.545, 200, 256, "lower"))
    2.500 nats, 95 % interval 2.304 to 2.696, lower limit 2.336
    InfoNCE, a lower bound, 200 held-out pairs, ceiling 5.54
    """

    bound: str
    value: float
    stderr: float
    ceiling: float
    n_pairs: int
    n_candidates: int
    status: Status
    warnings: tuple[str, ...] = ()
    objective: MIEstimate | None = field(default=None, repr=False)
    unit: str = "nats"
    interval: tuple[float, float] = (math.nan, math.nan)
    lower_limit: float | None = None
    confidence: float = 0.95
    at_least: bool = False

    def __post_init__(self) -> None:
        """Fill in interval and lower limit from the standard error."""
        quantile = NormalDist().inv_cdf
        if math.isnan(self.interval[0]):
            half = quantile(0.5 + self.confidence / 2) * self.stderr
            object.__setattr__(self, "interval", (self.value - half, self.value + half))
        if self.lower_limit is None and self.status == "lower":
            below = quantile(self.confidence) * self.stderr
            object.__setattr__(self, "lower_limit", self.value - below)

    def __str__(self) -> str:
        first, second = self._lines()
        n = 0 if math.isnan(self.value) else len(self.warnings)
        count = f"; {n} warning{'s' * (n > 1)}: see .warnings" if n else ""
        return f"{first}\n{second}{count}"

    def _repr_html_(self) -> str | None:
        # Without HTML a notebook shows text.
        return estimate_html(self) if get_config()["display"] == "diagram" else None

    def _lines(self) -> tuple[str, str]:
        """Return one line with the number and its interval, and one with what it is."""
        if math.isnan(self.value):
            return "no value", "; ".join(self.warnings)
        number = [f"{'at least ' * self.at_least}{self.value:z.3f} {self.unit}"]
        low, high = self.interval
        share = f"{100 * self.confidence:g} %"
        if math.isfinite(low) and math.isfinite(high):
            number.append(f"{share} interval {low:z.3f} to {high:z.3f}")
        elif math.isfinite(low):
            number.append(f"{share} interval {low:z.3f} and more")
        if self.lower_limit is not None and math.isfinite(self.lower_limit):
            number.append(f"lower limit {self.lower_limit:z.3f}")
        return ", ".join(number), ", ".join(self._kind())

    def _kind(self) -> Iterator[str]:
        """Yield what the number is, how many pairs it comes from, and how large it can be."""
        is_guess = self.status == "neither" and self.lower_limit is not None
        yield f"best guess: {self.bound}" if is_guess else self.bound
        if self.status == "neither":
            if not is_guess:
                yield "no bound"
            yield f"{self.n_pairs:,} pairs"
        else:
            yield f"{'an upper' if self.status == 'upper' else 'a lower'} bound"
            yield f"{self.n_pairs:,} held-out pairs"
        if math.isfinite(self.ceiling):
            yield f"ceiling {self.ceiling:.2f}"
        if is_guess:
            yield "lower limit of guaranteed_"

    def __float__(self) -> float:
        return self.value


def missing(bound: str, reason: str) -> MIEstimate:
    """Return an estimate without a value, and the reason why it has none.

    Parameters
    ----------
    bound : str
    reason : str

    Returns
    -------
    estimate : MIEstimate
        With ``value=nan``.
    """
    nan = float("nan")
    return MIEstimate(bound, nan, nan, nan, 0, 0, "neither", (reason,))


def _check_partners(n: int, least: int) -> None:
    if n < least:
        raise ValueError(
            f"{n} rows have a partner among those given; expected at least {least}: pass more "
            "rows, and their partners."
        )


def blocks(n: int, size: int, seed: int) -> list[tuple[Tensor, int]]:
    """Split rows into blocks of equal size, in random order.

    Parameters
    ----------
    n : int
        Number of rows, at least 2.
    size : int
        Rows in a block; all rows if there are fewer.
    seed : int
        Decides the order.

    Returns
    -------
    blocks : list of (Tensor, int)
        The row numbers of each block, and how many of them are new. Rows of earlier blocks fill up
        the last block, so every row is compared with the same number of rows.

    Raises
    ------
    ValueError
        If there are fewer than two rows.
    """
    _check_partners(n, 2)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    size = min(size, n)
    made = []
    for start in range(0, n, size):
        fresh = order[start : start + size]
        filler = order[: size - len(fresh)]
        made.append((torch.cat([fresh, filler]), len(fresh)))
    return made


def _device(model: PairModel) -> torch.device:
    return next(model.buffers()).device


def _stream(model: PairModel, seed: int) -> Any:
    """Return a context in which a model that uses the global generator uses our own stream."""
    return global_stream(model, seed, _device(model)) or nullcontext()


def _codes_of_blocks(
    model: PairModel, rows: AnyRows, size: int, seed: int
) -> Iterator[tuple[Codes, Tensor, int]]:
    """Yield the codes of each block, its row numbers, and how many of them are new."""
    model.eval()
    device = _device(model)
    generator = torch.Generator(device).manual_seed(seed)
    for block, fresh in blocks(len(rows), size, seed):
        numbers = block.to(device)
        yield model.codes(rows[numbers], None, generator), numbers, fresh


def _with_negatives(model: PairModel, rows: AnyRows, codes: Codes, numbers: Tensor) -> Codes:
    """Return the codes with the negatives that the model was trained with."""
    groups = None if rows.groups is None else rows.groups[numbers]
    return model.marked(codes, None, groups)


class _TermsOfInfoNCE:
    """InfoNCE of whole codes: one term for each row."""

    def __init__(self) -> None:
        self.terms: list[Tensor] = []

    def add(self, model: PairModel, rows: AnyRows, codes: Codes, block: Tensor, fresh: int) -> None:
        large = is_large(codes)
        made = by_rows(infonce_terms, codes) if large else infonce_terms(codes.scores)
        self.terms.append(made[:fresh])

    def result(self) -> tuple[float, float]:
        every = torch.cat(self.terms).double().cpu().numpy()
        return float(every.mean()), float(every.std(ddof=1) / math.sqrt(len(every)))


class _BlocksOfBound:
    """A bound of what is compared: each block's value and variance, weighted by its new rows.

    By default the bound that the objective reports.
    """

    def __init__(self, report: Callable[[Codes], Tensor] | None = None) -> None:
        self.report = report
        self.values: list[float] = []
        self.variances: list[float] = []
        self.weights: list[int] = []

    def add(self, model: PairModel, rows: AnyRows, codes: Codes, block: Tensor, fresh: int) -> None:
        codes = _with_negatives(model, rows, codes, block)
        self.values.append(_reported(model, codes, self.report))
        without = partial(_report_without, model, codes, self.report)
        self.variances.append(float(jackknife(without, len(codes.z_x))))
        self.weights.append(fresh)

    def result(self) -> tuple[float, float]:
        share = np.array(self.weights) / sum(self.weights)
        stderr = math.sqrt(float(np.sum(share**2 * np.array(self.variances))))
        return float(share @ np.array(self.values)), stderr


class _PairsOfBound:
    """The same of each pair of tables, where rows lack some: their mean, each pair counts once.

    A block may have rows of some pairs only. Its value of a pair has the weight of the rows that
    have both tables, so a pair that few rows have counts as much as the others. The error is a
    jackknife over parts of the rows; it is NaN if a pair hangs on one part.

    Parameters
    ----------
    report : callable or None
        As for `_BlocksOfBound`.
    found : bool
        Whether the mean is over the pairs of which a block had two rows; else it is NaN if a pair
        had none.
    """

    def __init__(
        self, report: Callable[[Codes], Tensor] | None = None, *, found: bool = False
    ) -> None:
        self.report, self.found = report, found
        self.values: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.sizes: list[np.ndarray] = []
        self.left_out: list[np.ndarray | None] = []

    def add(self, model: PairModel, rows: AnyRows, codes: Codes, block: Tensor, fresh: int) -> None:
        codes = _with_negatives(model, rows, codes, block)
        values, sizes = _reports_of_pairs(model, codes, self.report)
        self.values.append(values)
        self.weights.append(sizes * fresh / len(codes.z_x))
        self.sizes.append(sizes)

        def without(kept: Tensor) -> np.ndarray:
            part = codes.subset(kept.to(codes.z_x.device))
            return _reports_of_pairs(model, part, self.report)[0]

        n = len(codes.z_x)
        # Small parts, or a pair that few rows have would hang on one of them.
        self.left_out.append(leaving_out(without, n, min(JACKKNIFE_GROUPS, n)) if n > 3 else None)

    def result(self) -> tuple[float, float]:
        weights = np.array(self.weights)
        met = weights.any(axis=0)
        if not (met.any() if self.found else met.all()):
            return math.nan, math.nan
        weights, values = weights[:, met], np.array(self.values)[:, met]
        of_pairs, sums = _over_blocks(values, weights), weights * np.nan_to_num(values)
        variance = 0.0
        for own, weight, each in zip(sums, weights, self.left_out, strict=True):
            if each is None:  # too few rows to leave some out
                return float(of_pairs.mean()), math.nan
            others, rest = sums.sum(0) - own, weights.sum(0) - weight
            with np.errstate(invalid="ignore", divide="ignore"):
                kept = (others + weight * each[:, met]) / (rest + weight)
                # Without these rows the block has none of the pair, and only others tell of it.
                kept = np.where(np.isnan(kept), others / rest, kept)
            kept = np.where(weight > 0, kept, of_pairs)
            variance += (len(each) - 1) * float(np.var(kept.mean(1)))
        return float(of_pairs.mean()), math.sqrt(variance)

    @property
    def candidates(self) -> int:
        """Rows of a block that have both tables, of which the ceiling is the mean logarithm."""
        logarithms = np.log(np.maximum(self.sizes, 1))
        return round(math.exp(_over_blocks(logarithms, np.array(self.weights)).mean()))


def _over_blocks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of each pair of tables over blocks; NaN if no block has rows of it."""
    with np.errstate(invalid="ignore"):
        return (weights * np.nan_to_num(values)).sum(0) / weights.sum(0)


def _reports_of_pairs(
    model: PairModel, codes: Codes, report: Callable[[Codes], Tensor] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a bound of each pair of tables in a block, and how many rows have both.

    NaN, and no rows, if fewer than two have.
    """
    pairs = model.comparison.of_pairs(codes)  # type: ignore[operator]
    of: Any = report or model.objective.report
    values = [math.nan if pair is None else float(of(pair)) for pair in pairs]
    return np.array(values), np.array([0 if pair is None else len(pair.z_x) for pair in pairs])


Tally = _TermsOfInfoNCE | _BlocksOfBound | _PairsOfBound


@torch.no_grad()
def _tallied(
    model: PairModel, rows: AnyRows, size: int, seed: int, *tallies: Tally
) -> list[tuple[float, float]]:
    """Return value and standard error of each tally, all from one draw of the pairs.

    Drawing once saves time: for new rows the views cost more than the scores, since `Neighbors`
    searches all references.
    """
    with _stream(model, seed):
        for codes, block, fresh in _codes_of_blocks(model, rows, size, seed):
            for tally in tallies:
                tally.add(model, rows, codes, block, fresh)
    return [tally.result() for tally in tallies]


def held_out_infonce(
    model: PairModel, rows: AnyRows, size: int, seed: int, *, found: bool = False
) -> tuple[float, float]:
    """Return InfoNCE of the learned critic on whole codes and its standard error, in nats.

    If the comparison scores by networks of its own, it is InfoNCE of these.

    Parameters
    ----------
    model : PairModel
    rows : Rows, PairedRows or PartnerRows
        At least two rows that training did not see and that have a partner.
    size : int
        Rows in a block: each row is compared with the partners of all rows in its block.
    seed : int
        Decides the blocks and the draws of the view.
    found : bool, default=False
        Where rows lack tables: take the mean over the pairs of tables that were met, not over all.

    Returns
    -------
    value, stderr : float
        The mean of one term for each row, and its standard error. Where rows lack tables, the mean
        over the pairs of tables, each of which counts once.

    Raises
    ------
    ValueError
        If fewer than two rows have a partner, or if no block has two rows of a pair of tables.
    """
    tally = _infonce_of(model, lacks=rows.lacks, found=found)
    value, stderr = _tallied(model, rows, size, seed, tally)[0]
    if rows.lacks and math.isnan(value) and not found:
        raise ValueError(_not_met(model, tally.weights, min(size, len(rows))))  # type: ignore[union-attr,arg-type]
    return value, stderr


def held_out_bound(model: PairModel, rows: AnyRows, size: int, seed: int) -> tuple[float, float]:
    """Return the bound that the objective reports and its standard error, in nats.

    Comparison and negatives are those of training. If the negatives are not drawn from the product
    of the marginals, the value is not a bound. The standard error is a jackknife over groups of
    rows within each block, which works for any bound.

    Parameters
    ----------
    model, rows, size, seed
        As for `held_out_infonce`.

    Returns
    -------
    value, stderr : float
        The mean over blocks, weighted by their new rows, and its standard error.
    """
    return _tallied(model, rows, size, seed, _bound_of(lacks=rows.lacks))[0]


@torch.no_grad()
def every_bound(model: PairModel, rows: AnyRows, size: int, seed: int) -> dict[str, float]:
    """Return every bound that needs no head of its own, and the objective's own, in nats.

    The former compare whole codes. They can be loose, since the critic was trained for another
    objective. The value that training maximises is returned too; it may not be a bound.

    Parameters
    ----------
    model, rows, size, seed
        As for `held_out_infonce`. Rows that do not fill a block are left out.

    Returns
    -------
    values : dict of float
        Means over blocks, by the names of `sklearn_mi.bounds.BOUNDS`, "objective", and
        "maximised".
    """
    plain = {name: make() for name, make in BOUNDS.items()}
    rows_alone = model.comparison.rows_alone
    plain = {
        name: bound
        for name, bound in plain.items()
        if not (bound.has_head or (rows_alone and bound.needs_columns))
    }
    if rows.lacks:
        return _bounds_of_pairs(model, plain, rows, size, seed)
    sums: dict[str, list[float]] = {name: [] for name in (*plain, "objective", "maximised")}
    with _stream(model, seed):
        for codes, numbers, fresh in _codes_of_blocks(model, rows, size, seed):
            if fresh < len(codes.z_x):
                continue
            by_parts = model.comparison.owns_scores
            compared = model.compare(codes, None) if by_parts else [codes]
            for name, bound in plain.items():
                sums[name].append(_mean(compared, partial(_value_of, bound)))
            marked = _with_negatives(model, rows, codes, numbers)
            masks = (marked.negatives, marked.positives, marked.kindred)
            is_plain = marked is codes and all(mask is None for mask in masks)
            if not (by_parts and is_plain):
                compared = model.compare(marked, None)
            sums["objective"].append(_mean(compared, model.objective.report))  # type: ignore[arg-type]
            sums["maximised"].append(float(model.total(compared, size)))
    return {name: float(np.mean(values)) for name, values in sums.items()}


def _bounds_of_pairs(
    model: PairModel, plain: Mapping[str, Any], rows: AnyRows, size: int, seed: int
) -> dict[str, float]:
    """Return the same where rows lack tables: means over the pairs, each of which counts once."""
    reports = {name: partial(_value_of, bound) for name, bound in plain.items()}
    values: dict[str, list[np.ndarray]] = {
        name: [] for name in (*reports, "objective", "maximised")
    }
    weights: list[np.ndarray] = []
    with _stream(model, seed):
        for codes, numbers, fresh in _codes_of_blocks(model, rows, size, seed):
            if fresh < len(codes.z_x):
                continue
            for name, report in reports.items():
                values[name].append(_reports_of_pairs(model, codes, report)[0])
            marked = _with_negatives(model, rows, codes, numbers)
            made, sizes = _reports_of_pairs(model, marked, None)
            values["objective"].append(made)
            maximised = partial(_maximised_of, model)
            values["maximised"].append(_reports_of_pairs(model, marked, maximised)[0])
            weights.append(sizes)
    if weights and not np.any(weights, axis=0).all():
        raise ValueError(_not_met(model, weights, min(size, len(rows))))
    return {
        name: float(_over_blocks(np.array(made), np.array(weights)).mean())
        for name, made in values.items()
    }


def _maximised_of(model: PairModel, pair: Codes) -> Tensor:
    return model.total([pair], len(pair.z_x))


def _value_of(bound: Any, codes: Codes) -> Tensor:
    masks = () if codes.positives is None else (codes.negatives, codes.positives)
    return bound(codes.scores, *masks)


@torch.no_grad()
def pair_codes(
    model: PairModel, rows: AnyRows, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of both views of rows, before any head, from one draw of the view.

    Parameters
    ----------
    model, rows, size, seed
        As for `held_out_infonce`.

    Returns
    -------
    z_x, z_y : ndarray of shape (n_rows, n_components)
        In the order of the rows.

    Raises
    ------
    ValueError
        If no row has a partner.
    """
    _check_partners(len(rows), 1)
    model.eval()
    device = next(model.buffers()).device
    generator = torch.Generator(device).manual_seed(seed)
    first, second = [], []
    with _stream(model, seed):
        for numbers in torch.arange(len(rows), device=device).split(size):
            x, y = model.view(rows[numbers], None, model.state.tensors(), generator)
            first.append(model.encoder(x).float().cpu().numpy())
            second.append(model.encoder_y(y).float().cpu().numpy())
    return np.concatenate(first), np.concatenate(second)


def jackknife(on_kept: Callable[[Tensor], Any], n: int, n_groups: int = JACKKNIFE_GROUPS) -> Any:
    """Return the variance of a statistic by leaving out parts of the rows in turn.

    Parameters
    ----------
    on_kept : callable
        Maps a mask of the rows to keep to the statistic: one number or several.
    n : int
        Number of rows.
    n_groups : int
        Largest number of parts.

    Returns
    -------
    variance : float or ndarray
        One for each number of the statistic; NaN for fewer than four rows.
    """
    everything = torch.ones(n, dtype=torch.bool)
    if n < 4:
        return math.nan * np.asarray(on_kept(everything))
    values = leaving_out(on_kept, n, min(n_groups, n // 2))
    return (len(values) - 1) * np.var(values, axis=0)


def leaving_out(on_kept: Callable[[Tensor], Any], n: int, n_groups: int) -> np.ndarray:
    """Return a statistic of the rows without each of several parts in turn.

    Parameters
    ----------
    on_kept, n, n_groups
        As for `jackknife`.

    Returns
    -------
    values : ndarray of shape (n_parts, ...)
    """
    values = []
    for part in torch.arange(n).tensor_split(n_groups):
        kept = torch.ones(n, dtype=torch.bool)
        kept[part] = False
        values.append(on_kept(kept))
    return np.array(values)


def _reported(
    model: PairModel, codes: Codes, report: Callable[[Codes], Tensor] | None = None
) -> float:
    """Return a bound of a block; by default that of the objective."""
    report = report or model.objective.report  # type: ignore[assignment]
    return _mean(model.compare(codes, None), report)  # type: ignore[arg-type]


def _mean(compared: Sequence[Codes], of: Callable[[Codes], Tensor]) -> float:
    """Return the mean over what is compared; NaN if the rows of a block share no two tables."""
    return float(mean_over(compared, of)) if compared else math.nan


def _report_without(
    model: PairModel, codes: Codes, report: Callable[[Codes], Tensor] | None, kept: Tensor
) -> float:
    """Return a bound of some rows of a block."""
    return _reported(model, codes.subset(kept.to(codes.z_x.device)), report)


def _infonce_of(model: PairModel, *, lacks: bool = False, found: bool = False) -> Tally:
    """Return the tally of InfoNCE: of whole codes, or of what scores in their place.

    Where rows lack tables, pairs of tables do.
    """
    if not (model.comparison.owns_scores or lacks):
        return _TermsOfInfoNCE()
    return _bound_of(InfoNCE().build(1, 1).report, lacks=lacks, found=found)  # type: ignore[arg-type]


def _bound_of(
    report: Callable[[Codes], Tensor] | None = None, *, lacks: bool, found: bool = False
) -> Tally:
    """Return the tally of a bound of what is compared, of each pair of tables if rows lack some."""
    return _PairsOfBound(report, found=found) if lacks else _BlocksOfBound(report)


def _not_met(model: PairModel, weights: Sequence[np.ndarray], size: int) -> str:
    """Return why there is no value where rows lack tables, by the rows of each block and pair."""
    i, j = model.pairs[int(np.sum(weights, axis=0).argmin())]
    return (
        f"tables {i} and {j} are compared, but no block of {size} held-out rows has two that have "
        "both; expected at least two: pass more such rows, raise eval_block_size or "
        "validation_fraction, or compare other pairs, such as by comparison=Multiview(core=...)"
    )


def describe(
    model: PairModel,
    bound: Objective,
    rows: AnyRows,
    size: int,
    seed: int,
    *,
    caveats: Sequence[str] = (),
    invalid: str | None = None,
    training: AnyRows | None = None,
) -> MIEstimate:
    """Return held-out InfoNCE and, in ``objective``, the objective's own bound, with caveats.

    InfoNCE compares each row with all others of its block. The objective's own bound uses the
    comparison and the negatives of training. If these negatives make it invalid, ``invalid`` says
    why; if the comparison does, its own caveat says so. ``training`` are as many training rows, to
    tell whether the critic has memorised them.
    """
    candidates = block = min(size, len(rows))
    own_candidates = _own_candidates(model, block)
    reasons = [reason for reason in (model.comparison.caveat, invalid) if reason is not None]
    owns = model.comparison.owns_scores
    is_same = model.comparison.is_whole and own_candidates == candidates
    is_infonce = isinstance(bound, InfoNCE) and (owns or (is_same and not reasons))
    lacks = rows.lacks or (training is not None and training.lacks)
    tallies = [_infonce_of(model, lacks=lacks), *([] if is_infonce else [_bound_of(lacks=lacks)])]
    values = _tallied(model, rows, size, seed, *tallies)
    if isinstance(pairs := tallies[0], _PairsOfBound):
        if math.isnan(values[0][0]):
            return missing("InfoNCE", _not_met(model, pairs.weights, block))
        candidates = pairs.candidates
        own_candidates = _own_candidates(model, candidates)
    facts = [*caveats, *_few_rows_fact(len(rows), size, candidates)]
    if training is not None and min(size, len(training)) == block:
        known = _tallied(model, training, size, seed, _infonce_of(model, lacks=lacks))[0]
        facts += _memory_fact(values[0], known)
    seen = own_candidates if owns else candidates
    infonce = _estimate(InfoNCE(), values[0], len(rows), seen, facts)
    if owns:
        infonce = _no_bound(infonce, reasons)
    if is_infonce:
        return replace(infonce, objective=infonce)
    own = _estimate(bound, values[1], len(rows), own_candidates, facts)
    return replace(infonce, objective=_no_bound(own, reasons))


def _own_candidates(model: PairModel, candidates: int) -> int:
    """Return the candidates of a row by the comparison and the negatives of training."""
    left = model.negatives.candidates(candidates)  # type: ignore[operator]
    return model.comparison.candidates(left)


def _no_bound(estimate: MIEstimate, reasons: Sequence[str]) -> MIEstimate:
    """Return an estimate that is no bound, if there are reasons."""
    if not reasons:
        return estimate
    facts = [f"no bound on the mutual information: {reason}" for reason in reasons]
    # A lower limit belongs to a lower bound.
    warnings = (*estimate.warnings, *facts)
    return replace(estimate, status="neither", lower_limit=None, warnings=warnings)


def _estimate(
    bound: Objective,
    measured: tuple[float, float],
    n_pairs: int,
    candidates: int,
    facts: Sequence[str],
) -> MIEstimate:
    value, stderr = measured
    ceiling = bound.ceiling(candidates)
    facts = [*facts, *_ceiling_fact(value, ceiling, candidates), *_negative_fact(value, stderr)]
    return MIEstimate(
        type(bound).__name__,
        value,
        stderr,
        ceiling,
        n_pairs,
        candidates,
        bound.status,
        tuple(facts),
    )


def _few_rows_fact(n: int, size: int, candidates: int) -> list[str]:
    if n >= size:
        return []
    return [
        f"only {n} held-out rows for eval_block_size={size}: the ceiling is log({candidates}) = "
        f"{math.log(candidates):.2f}; values at different ceilings do not compare"
    ]


def _ceiling_fact(value: float, ceiling: float, candidates: int) -> list[str]:
    if not (math.isfinite(ceiling) and value > 0.8 * ceiling):
        return []
    return [
        f"within {100 * (1 - value / ceiling):.0f} % of the ceiling {ceiling:.2f} at {candidates} "
        "candidates; raise eval_block_size, with more held-out rows"
    ]


def _memory_fact(held_out: tuple[float, float], known: tuple[float, float]) -> list[str]:
    (value, stderr), (at_training, stderr_there) = held_out, known
    gap = at_training - value
    if not gap > max(
        CLEAR_GAP * math.hypot(stderr, stderr_there), (1 - SMALLEST_SHARE) * at_training
    ):
        return []
    return [
        f"the critic memorises: {at_training:.2f} nats on as many training rows, {value:.2f} on "
        "held-out ones; take more rows, fewer n_components, fewer steps, or PCA first"
    ]


def _negative_fact(value: float, stderr: float) -> list[str]:
    if not value < -2 * stderr:
        return []
    return ["the bound is negative: the critic overfitted; take early_stopping=True or fewer steps"]
