"""Numbers that leave the package: held-out bounds with their error, ceiling and caveats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mi._base import Codes, Status
from sklearn_mi.bounds import BOUNDS, Bound, InfoNCE, infonce_terms
from sklearn_mi.objectives import Objective
from sklearn_mi.training import PairedRows, PairModel, Rows, global_stream

__all__ = [
    "MIEstimate",
    "describe",
    "every_bound",
    "held_out_bound",
    "held_out_infonce",
    "missing",
    "pair_codes",
]

JACKKNIFE_GROUPS = 20


@dataclass(frozen=True)
class MIEstimate:
    """A number in nats with everything that its reader needs to judge it.

    Attributes
    ----------
    bound : str
        Name of the bound.
    value, stderr : float
        The held-out value and its standard error over rows.
    ceiling : float
        The largest value that the bound can take at this number of candidates; ``inf``: none.
    n_pairs : int
        Pairs that the value was computed on, none of them seen in training.
    n_candidates : int
        Candidates that each pair was compared with (the block size).
    status : {"lower", "upper", "neither"}
        Which side of the mutual information the value estimates, in expectation.
    warnings : tuple of str
        Facts that limit what the number means.
    unit : str
        Always ``"nats"``.
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

    def __str__(self) -> str:
        return (
            f"{self.bound} {self.value:.3f} +- {self.stderr:.3f} {self.unit} "
            f"({self.status} bound, ceiling {self.ceiling:.3f}, {self.n_pairs} held-out pairs)"
        )

    def __float__(self) -> float:
        return self.value


def missing(bound: str, reason: str) -> MIEstimate:
    """Return the report of a number that could not be computed, and why.

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


def _blocks(n: int, size: int, seed: int) -> list[tuple[Tensor, int]]:
    """Cut ``n`` rows into blocks of one size.

    Returns the row numbers of each block and how many of them no earlier block has counted: the
    last block is filled up with rows of earlier ones, so that every row is compared with equally
    many.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    size = min(size, n)
    blocks = []
    for start in range(0, n, size):
        fresh = order[start : start + size]
        filler = order[: size - len(fresh)]
        blocks.append((torch.cat([fresh, filler]), len(fresh)))
    return blocks


def _codes_of_blocks(
    model: PairModel, rows: Rows | PairedRows, size: int, seed: int
) -> Iterator[tuple[Codes, int]]:
    model.eval()
    device = next(model.buffers()).device
    generator = torch.Generator(device).manual_seed(seed)
    for block, fresh in _blocks(len(rows), size, seed):
        yield model.codes(rows[block.to(device)], None, generator), fresh


@torch.no_grad()
def held_out_infonce(
    model: PairModel, rows: Rows | PairedRows, size: int, seed: int
) -> tuple[float, float]:
    """Return InfoNCE of the learned critic and its standard error, in nats.

    Parameters
    ----------
    model : PairModel
    rows : Rows or PairedRows
        At least two rows that training did not see.
    size : int
        Rows in a block: every row is compared with the partners of its block.
    seed : int
        Fixes the blocks and the view's draws.

    Returns
    -------
    value, stderr : float
        The mean of one term a row and its standard error.
    """
    terms = []
    with global_stream(model, seed) or nullcontext():
        for codes, fresh in _codes_of_blocks(model, rows, size, seed):
            terms.append(infonce_terms(codes.scores)[:fresh])
    every = torch.cat(terms).double().cpu().numpy()
    return float(every.mean()), float(every.std(ddof=1) / math.sqrt(len(every)))


@torch.no_grad()
def held_out_bound(
    model: PairModel, rows: Rows | PairedRows, size: int, seed: int
) -> tuple[float, float]:
    """Return the bound that the objective reports and its standard error, in nats.

    The error is a jackknife over groups of rows within each block, which serves any bound.

    Parameters
    ----------
    model, rows, size, seed
        As for `held_out_infonce`.

    Returns
    -------
    value, stderr : float
        The mean over blocks, weighted by the rows that each adds, and its standard error.
    """
    values, variances, weights = [], [], []
    with global_stream(model, seed) or nullcontext():
        for codes, fresh in _codes_of_blocks(model, rows, size, seed):
            values.append(float(model.objective.report(codes)))  # type: ignore[operator]
            variances.append(_jackknife_variance(model.objective, codes))
            weights.append(fresh)
    share = np.array(weights) / sum(weights)
    stderr = math.sqrt(float(np.sum(share**2 * np.array(variances))))
    return float(share @ np.array(values)), stderr


@torch.no_grad()
def every_bound(
    model: PairModel, rows: Rows | PairedRows, size: int, seed: int
) -> dict[str, float]:
    """Return each bound that needs no head of its own, and the objective's own, in nats.

    A bound of a critic that was trained for another one need not be tight. Beside the bound that
    an objective reports stands the value that it maximises, which may be no bound.

    Parameters
    ----------
    model, rows, size, seed
        As for `held_out_infonce`; rows that do not fill a block are left out.

    Returns
    -------
    values : dict of float
        Means over blocks, by the names of `sklearn_mi.bounds.BOUNDS`, "objective", and
        "maximised".
    """
    # A bound with a head says how wide it is; building one to see would draw its weights.
    plain = {name: make() for name, make in BOUNDS.items()}
    plain = {name: bound for name, bound in plain.items() if not hasattr(bound, "hidden")}
    sums: dict[str, list[float]] = {name: [] for name in (*plain, "objective", "maximised")}
    with global_stream(model, seed) or nullcontext():
        for codes, fresh in _codes_of_blocks(model, rows, size, seed):
            if fresh < len(codes.z_x):
                continue
            for name, bound in plain.items():
                sums[name].append(float(bound(codes.scores)))
            sums["objective"].append(float(model.objective.report(codes)))  # type: ignore[operator]
            sums["maximised"].append(float(model.objective(codes)))
    return {name: float(np.mean(values)) for name, values in sums.items()}


@torch.no_grad()
def pair_codes(
    model: PairModel, rows: Rows | PairedRows, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of both views of rows, one draw of the view each, before any head.

    Parameters
    ----------
    model, rows, size, seed
        As for `held_out_infonce`.

    Returns
    -------
    z_x, z_y : ndarray of shape (n_rows, n_components)
        In the order of the rows.
    """
    model.eval()
    device = next(model.buffers()).device
    generator = torch.Generator(device).manual_seed(seed)
    first, second = [], []
    with global_stream(model, seed) or nullcontext():
        for numbers in torch.arange(len(rows), device=device).split(size):
            x, y = model.view(rows[numbers], None, model.state.tensors(), generator)
            first.append(model.encoder(x).float().cpu().numpy())
            second.append(model.encoder_y(y).float().cpu().numpy())
    return np.concatenate(first), np.concatenate(second)


def _jackknife_variance(objective: Any, codes: Codes) -> float:
    """Return the variance of a bound by leaving out groups of rows in turn."""
    n = len(codes.z_x)
    groups = torch.arange(n).tensor_split(min(JACKKNIFE_GROUPS, n // 2))
    if len(groups) < 2:
        return float("nan")
    scores = codes.scores
    values = []
    for group in groups:
        kept = torch.ones(n, dtype=torch.bool, device=scores.device)
        kept[group] = False
        part = Codes(codes.z_x[kept], codes.z_y[kept], codes.critic)
        part.__dict__["scores"] = scores[kept][:, kept]
        values.append(float(objective.report(part)))
    g = len(groups)
    return (g - 1) / g * float(np.sum((np.array(values) - np.mean(values)) ** 2))


def describe(
    model: PairModel,
    bound: Bound | Objective,
    rows: Rows | PairedRows,
    size: int,
    seed: int,
    caveats: Sequence[str] = (),
) -> MIEstimate:
    """Return held-out InfoNCE, and beside it the objective's own bound, with their caveats."""
    candidates = min(size, len(rows))
    facts = list(caveats)
    if len(rows) < size:
        facts.append(
            f"only {len(rows)} held-out rows for eval_block_size={size}: the ceiling is "
            f"log({candidates}) = {math.log(candidates):.2f}; values at other ceilings do not "
            "compare"
        )

    def one(bound: Bound | Objective, compute: Callable[..., tuple[float, float]]) -> MIEstimate:
        value, stderr = compute(model, rows, size, seed)
        ceiling = bound.ceiling(candidates)
        own = [*facts, *_ceiling_fact(value, ceiling, candidates), *_negative_fact(value, stderr)]
        name = type(bound).__name__
        return MIEstimate(
            name, value, stderr, ceiling, len(rows), candidates, bound.status, tuple(own)
        )

    infonce = one(InfoNCE(), held_out_infonce)
    own = infonce if isinstance(bound, InfoNCE) else one(bound, held_out_bound)
    return MIEstimate(**{**infonce.__dict__, "objective": own})


def _ceiling_fact(value: float, ceiling: float, candidates: int) -> list[str]:
    if not (math.isfinite(ceiling) and value > 0.8 * ceiling):
        return []
    return [
        f"within {100 * (1 - value / ceiling):.0f} % of the ceiling {ceiling:.2f} at {candidates} "
        "candidates; raise eval_block_size, with more held-out rows"
    ]


def _negative_fact(value: float, stderr: float) -> list[str]:
    if not value < -2 * stderr:
        return []
    return [
        "negative: on new rows the critic does worse than none, it has fitted the training rows; "
        "take early_stopping=True or fewer steps"
    ]
