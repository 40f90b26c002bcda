r"""The log-ratio :math:`\log \frac{p(x, y)}{p(x) p(y)}` from pairs: copulas, networks, their stack.

Candidates are fitted to training rows. Stopping rows decide when a network stops and how the
candidates are weighted. Nothing here sees the rows that are reported on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor, nn

from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.copulas import Copula, fit_gaussian, fit_student
from sklearn_mi.information.networks import (
    PART_WIDTH,
    WIDTH,
    PairNetwork,
    Training,
    perceptrons,
    train_network,
)
from sklearn_mi.information.pairs import FEW_COLUMNS
from sklearn_mi.information.plugin import BinnedCritic
from sklearn_mi.information.regressions import Layout, RegressionRatio
from sklearn_mi.information.scale import Calibration, fit_scale
from sklearn_mi.information.sides import Side
from sklearn_mi.runtime import own_randomness

__all__ = ["COPULAS", "Plan", "Ratio", "copula_of_all", "fit_ratio"]

CLEAR_GAIN = 2.0
COPULAS = ("gaussian", "unmixed", "student")
EVALUATED_SHIFTS = 16
MOST_AT_A_GLANCE = 1000
MOST_JUDGED = 5000
PROMISING_GAIN = 1.0
SCREENING_STEPS = 150
SHORT_PASSES = 15
SMALLEST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Plan:
    """Which candidates are fitted.

    Attributes
    ----------
    copulas : tuple of str
        Any of "gaussian", "unmixed" (Gaussian after independent components) and "student".
    regressions : bool
        Whether to fit regressions where columns hold categories or few values that tie.
    network : bool
        Whether to train a network.
    offset : bool
        Whether to train one more network, on top of the best candidate in closed form.
    screen : bool
        Whether a short training decides first if networks are worth their time.
    one_network : bool
        Whether the network on top of the best candidate is enough.
    towers : callable or None
        ``towers(width)`` returns two networks, each from a row to ``width`` numbers; None: MLPs.
    n_parts : int
        Parts that the codes of ``towers`` are made of.
    """

    copulas: tuple[str, ...] = COPULAS
    regressions: bool = False
    network: bool = True
    offset: bool = True
    screen: bool = True
    one_network: bool = False
    towers: Callable[[int], tuple[nn.Module, nn.Module]] | None = None
    n_parts: int = 1


class _BinnedRatio:
    """A `BinnedCritic` that scores tensors of one column."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.critic = BinnedCritic().fit(_coded(x), _coded(y))

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(self.critic.pairs(_coded(x), _coded(y)))

    def cells(self, x: Tensor, y: Tensor, columns: Tensor) -> Tensor:
        many = x.repeat_interleave(columns.shape[1], 0), y[columns.flatten()]
        return self.pairs(*many).view(columns.shape)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(self.critic.matrix(_coded(x), _coded(y)))


def _coded(column: Tensor) -> Coded:
    return Coded(column.numpy(), np.zeros(1, bool))


Known = Copula | RegressionRatio | _BinnedRatio


@dataclass
class _Part:
    """A candidate for the log-ratio: in closed form, a network, or a network on top of the first.

    Attributes
    ----------
    name : str
    known : Copula, regressions or binned table, or None
    space : str
        Of the part in closed form.
    network : PairNetwork or None
    network_space : str
    """

    name: str
    known: Known | None = None
    space: str = "plain"
    network: PairNetwork | None = None
    network_space: str = "plain"

    @property
    def is_model(self) -> bool:
        """Whether this is a copula or regressions alone: what it learns too much is known."""
        return self.network is None and isinstance(self.known, Copula | RegressionRatio)

    def alone(self) -> _Part:
        """Return what is in closed form, without the network on top of it."""
        return replace(self, network=None)

    @torch.no_grad()
    def _sum(
        self, score: Callable[[Any, Tensor, Tensor], Tensor], x: dict[str, Tensor], y: Any
    ) -> Tensor:
        total: Any = 0.0
        for part, space in ((self.known, self.space), (self.network, self.network_space)):
            if part is not None:
                total = total + score(part, _seen_in(x, space), _seen_in(y, space)).double()
        return total

    def pairs(self, x: dict[str, Tensor], y: dict[str, Tensor]) -> Tensor:
        return self._sum(lambda part, u, v: part.pairs(u, v), x, y)

    def cells(self, x: dict[str, Tensor], y: dict[str, Tensor], columns: Tensor) -> Tensor:
        return self._sum(lambda part, u, v: part.cells(u, v, columns), x, y)

    def matrix(self, x: dict[str, Tensor], y: dict[str, Tensor]) -> Tensor:
        return self._sum(lambda part, u, v: part(u, v), x, y)


def _seen_in(side: dict[str, Tensor], space: str) -> Tensor:
    return side.get(space, side["plain"])


@dataclass
class Ratio:
    """A weighted mean of candidates for the log-ratio; "nothing", the log-ratio 0, is one of them.

    Attributes
    ----------
    sides : tuple of Side
    parts : list
        The candidates.
    weights : ndarray of shape (n_parts,)
        Fitted to the stopping rows; not negative, and at most 1 in all.
    losses : dict of float
        Logistic loss on the stopping rows: of each candidate, of the "stack" and of "nothing", the
        log-ratio 0.
    curves : dict of list of tuple of (int, float)
        For each network, steps and their logistic loss on the stopping rows.
    is_parametric : bool
        Whether one copula, or regressions, were kept alone.
    family : str or None
        The name of that model.
    own_means : dict of float
        Mean log-ratio of each candidate's copula or regressions on the training rows.
    """

    sides: tuple[Side, Side]
    parts: list[_Part]
    weights: np.ndarray
    losses: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    is_parametric: bool = False
    own_means: dict[str, float] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration)

    @property
    def family(self) -> str | None:
        """Name of the model if one alone was kept, else None."""
        if not self.is_parametric:
            return None
        return self.parts[int(np.argmax(self.weights))].name

    def _weighted(self, each: Callable[[_Part], Tensor]) -> Tensor:
        used = [(w, part) for w, part in zip(self.weights, self.parts, strict=True) if w != 0]
        if not used:
            return 0.0 * each(self.parts[0])
        return torch.stack([w * each(part) for w, part in used]).sum(0)

    def pairs(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the log-ratio of partners, of shape (n,)."""
        x, y = self.sides[0](X), self.sides[1](Y)
        return self.calibration(self._weighted(lambda part: part.pairs(x, y))).numpy()

    def matrix(self, X: np.ndarray, Y: np.ndarray) -> Tensor:
        """Return the log-ratio of every pair of rows, of shape (n, m)."""
        x, y = self.sides[0](X), self.sides[1](Y)
        return self.calibration(self._weighted(lambda part: part.matrix(x, y)))

    def each(self, X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by each candidate alone."""
        x, y = self.sides[0](X), self.sides[1](Y)
        return {part.name: part.pairs(x, y).numpy() for part in self.parts}

    @property
    def has_regressions(self) -> bool:
        """Whether regressions are among the candidates, as where columns hold categories."""
        return any(isinstance(part.known, RegressionRatio) for part in self.parts)

    def correction(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Return the bias correction of the mean log-ratio on new rows, to be added.

        A model is about as much too low on new rows as it is too high on its training rows. A
        copula that is kept alone is corrected to its information in closed form; all else by half
        of the gap.
        """
        x, y = self.sides[0](X), self.sides[1](Y)
        added = 0.0
        for weight, part in zip(self.weights, self.parts, strict=True):
            if weight and part.alone().is_model:
                new = float(part.alone().pairs(x, y).mean())
                is_closed = self.is_parametric and isinstance(part.known, Copula)
                gap = self.own_means[part.name] - new
                added += part.known.mi - new if is_closed else weight * gap / 2  # type: ignore[union-attr]
        return added


def fit_ratio(
    train: tuple[np.ndarray, np.ndarray],
    stop: tuple[np.ndarray, np.ndarray],
    *,
    plan: Plan,
    training: Training,
    marginals: tuple[str | None, str | None],
    seed: int,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    never_constant: bool = False,
    layouts: tuple[Layout, Layout] | None = None,
) -> Ratio:
    """Fit candidates to the training rows and their weights to the stopping rows.

    Parameters
    ----------
    train, stop : tuple of ndarray
        X and Y of the training and of the stopping rows.
    plan : Plan
    training : Training
    marginals : tuple of {"ranks", "standard", None}
        One for each side. Copulas need ranks on both.
    seed : int
    groups : tuple of ndarray, optional
        Group numbers of the training and of the stopping rows: rows of one group are never each
        other's negatives.
    never_constant : bool
        Whether the ratio must vary between pairs even if it fits only noise, as a test needs it.
    layouts : tuple of Layout, optional
        Which floats are categories, for regressions to be among the candidates.

    Returns
    -------
    ratio : Ratio
    """
    unmix = "unmixed" in plan.copulas
    sides: Any = tuple(
        Side(rows, how, unmix, seed) for rows, how in zip(train, marginals, strict=True)
    )
    seen = [
        tuple(side(rows) for side, rows in zip(sides, pair, strict=True)) for pair in (train, stop)
    ]
    known = [] if layouts is None else _regressions(layouts, sides, seen, (train, stop), seed)
    judge = _Judge(seen[1], None if groups is None else groups[1], MOST_JUDGED)
    parts = []
    if set(marginals) == {"ranks"} and plan.copulas:
        parts = _copulas(plan, seen[0], int(never_constant))
        if all("raw" in side for side in seen[0]):
            x, y = (side["raw"] for side in seen[0])
            parts.append(_Part("binned", _BinnedRatio(x, y), "raw"))
    stack = _Stack(judge, [*parts, *known])
    own_groups = None if groups is None else torch.as_tensor(groups[0])
    glance = _Judge(seen[1], None if groups is None else groups[1], MOST_AT_A_GLANCE)
    fitter = _Networks(plan, training, seen[0], glance, seed, own_groups)
    if plan.network:
        fitter.add_to(stack)
    ratio = stack.ratio(sides, fitter.curves)
    if plan.towers is not None:
        # The logistic loss of pairs says little about the scale of a network that reads images.
        ratio.weights = np.eye(len(stack.parts))[int(np.argmin(stack.losses()))]
        own = np.arange(len(stop[0])) if groups is None else groups[1]
        related = torch.as_tensor(own[:, None] == own)
        scores = ratio.matrix(*stop)
        ratio.calibration = fit_scale(scores.diagonal(), scores.masked_fill(related, -math.inf))
    for part in stack.parts:
        if isinstance(part.known, Copula):
            ratio.own_means[part.name] = float(part.alone().pairs(*seen[0]).mean())
        elif isinstance(part.known, RegressionRatio):
            ratio.own_means[part.name] = part.known.own_mean
    return ratio


def _regressions(
    layouts: tuple[Layout, Layout],
    sides: tuple[Side, Side],
    seen: list[tuple[dict[str, Tensor], ...]],
    rows: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> list[_Part]:
    """Return the regressions of either table, and teach both sides what these read."""
    parts = []
    for target in ("X", "Y"):
        ratio, space = RegressionRatio(target, layouts, *rows, seed), f"regressions of {target}"
        for k, encoder in enumerate(ratio.encoders):
            sides[k].encoders[space] = encoder
            for spaces, pair in zip(seen, rows, strict=True):
                spaces[k][space] = encoder(pair[k])
        parts.append(_Part(space, ratio, space))
    return parts


def copula_of_all(
    name: str, X: np.ndarray, Y: np.ndarray, seed: int
) -> tuple[Copula, np.ndarray, np.ndarray]:
    """Return a copula fitted to all rows of two tables, and the scores that it is fitted to.

    Parameters
    ----------
    name : {"gaussian", "unmixed", "student"}
    X, Y : ndarray
    seed : int

    Returns
    -------
    copula : Copula
    U, V : ndarray

    Raises
    ------
    LinAlgError
        If these rows have none of this name.
    """
    seen = tuple(Side(rows, "ranks", name == "unmixed", seed)(rows) for rows in (X, Y))
    found = _copulas(Plan((name,)), seen, at_least=0)
    if not found:
        raise np.linalg.LinAlgError(f"There is no {name} copula of these rows.")
    assert isinstance(found[0].known, Copula)
    U, V = (_seen_in(side, found[0].space).double().numpy() for side in seen)
    return found[0].known, U, V


def _copulas(plan: Plan, seen: tuple[dict[str, Tensor], ...], at_least: int) -> list[_Part]:
    makers = {
        "gaussian": ("plain", partial(fit_gaussian, at_least=at_least)),
        "unmixed": ("unmixed", partial(fit_gaussian, at_least=at_least)),
        "student": ("plain", fit_student),
    }
    parts = []
    for name in plan.copulas:
        space, fit = makers[name]
        if not any(space in side for side in seen):
            continue
        U, V = (_seen_in(side, space).double().numpy() for side in seen)
        # Columns that repeat others or do not vary have no t copula.
        with suppress(np.linalg.LinAlgError):
            parts.append(_Part(name, fit(U, V), space))
    return parts


class _Judge:
    """The logistic loss of log-ratios on the stopping rows: a proper score that stays finite."""

    def __init__(
        self, seen: tuple[dict[str, Tensor], ...], groups: np.ndarray | None, most: int
    ) -> None:
        n = min(len(seen[0]["plain"]), most)
        self.x, self.y = ({space: rows[:n] for space, rows in side.items()} for side in seen)
        groups = None if groups is None else groups[:n]
        shifts = torch.arange(min(EVALUATED_SHIFTS, n - 1) + 1)
        self.others = (torch.arange(n)[:, None] + shifts) % n
        counted = np.ones((n, len(shifts) - 1))
        if groups is not None:
            counted = (groups[:, None] != groups[self.others[:, 1:].numpy()]).astype(float)
        self.shares = counted / np.maximum(counted.sum(1, keepdims=True), 1)

    def scores(self, part: _Part) -> np.ndarray:
        """Return the scores of partners in the first column, of negatives in the others."""
        return part.cells(self.x, self.y, self.others).numpy()

    def rows(self, scores: np.ndarray) -> np.ndarray:
        """Return the loss of every row."""
        other = (np.logaddexp(0, scores[:, 1:]) * self.shares).sum(1)
        return np.logaddexp(0, -scores[:, 0]) + other

    def gradient(self, scores: np.ndarray) -> np.ndarray:
        """Return the derivative of the mean loss by each score."""
        slopes = np.empty_like(scores)
        slopes[:, 0] = -expit(-scores[:, 0])
        slopes[:, 1:] = expit(scores[:, 1:]) * self.shares
        return slopes / len(scores)


class _Networks:
    """Train networks, and add them to a stack."""

    def __init__(
        self,
        plan: Plan,
        training: Training,
        seen: tuple[dict[str, Tensor], ...],
        judge: _Judge,
        seed: int,
        groups: Tensor | None,
    ) -> None:
        self.plan, self.seed = plan, seed
        self.training = training.limited_to(len(seen[0]["plain"]))
        self.seen, self.judge, self.groups = seen, judge, groups
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def add_to(self, stack: _Stack) -> None:
        """Add a network, and one on top of the best candidate, where they promise a gain."""
        base, training = stack.best(), self.training
        if base is not None and self.plan.screen:
            short = replace(training, steps=min(self._passes, SCREENING_STEPS, training.steps))
            part = self._trained(base, short)
            if not stack.would_gain(part):
                return
            if self._has_few_columns:
                longer = replace(training, steps=min(self._passes, training.steps))
                is_long = longer.steps > 2 * SCREENING_STEPS
                stack.add(self._trained(base, longer) if is_long else part)
                return
        has_offset = base is not None and self.plan.offset
        if has_offset:
            stack.add(self._trained(base, training))
        if not (has_offset and self.plan.one_network):
            stack.add(self._trained(None, training))

    @property
    def _passes(self) -> int:
        """Steps of a shorter training: few rows are soon overfitted, few columns soon learned."""
        n = len(self.seen[0]["plain"])
        return SHORT_PASSES * n // self.training.batch_of(n)

    @property
    def _has_few_columns(self) -> bool:
        """Whether neighbours give the best guess, and networks no more than its limit."""
        shapes = [side["plain"].shape[1:] for side in self.seen]
        return self.plan.towers is None and sum(shape[0] for shape in shapes) <= FEW_COLUMNS

    def _trained(self, base: _Part | None, training: Training) -> _Part:
        """Return the network of the best step on the stopping rows."""
        flagged = any("flagged" in side for side in self.seen)
        space = "unmixed" if base is not None and base.space == "unmixed" else "plain"
        space = "flagged" if flagged else space
        rows: Any = tuple(_seen_in(side, space).float() for side in self.seen)
        towers = self.plan.towers or (lambda _: perceptrons(*(side.shape[1] for side in rows)))
        with own_randomness(self.seed):
            parts = self.plan.n_parts
            width = WIDTH if parts == 1 else parts * PART_WIDTH
            network = PairNetwork(towers(width), training.bound, parts)
        name = "network" if base is None else f"network on {base.name}"
        part = _Part(name, network=network, network_space=space)
        beside = None
        if base is not None:
            part = replace(part, known=base.known, space=base.space)
            beside = partial(self._known, part.alone())
        self.curves[name] = train_network(
            network,
            rows,
            beside,
            partial(self._loss_now, part),
            training,
            self.seed,
            self.groups,
        )
        return part

    @torch.no_grad()
    def _loss_now(self, part: _Part) -> float:
        """Return the loss on the stopping rows: that of the pairs, or the sum of those of parts."""
        judge, network = self.judge, part.network
        if network is None or network.n_parts == 1:
            return float(judge.rows(judge.scores(part)).mean())
        x, y = (_seen_in(side, part.network_space) for side in (judge.x, judge.y))
        scores = network.cells_of_parts(x, y, judge.others).double().numpy()
        return float(sum(judge.rows(one).mean() for one in np.moveaxis(scores, -1, 0)))

    def _known(self, part: _Part, batch: Tensor, columns: Tensor) -> Tensor:
        x, y = ({part.space: _seen_in(side, part.space)[batch]} for side in self.seen)
        return part.cells({"plain": torch.empty(0), **x}, {"plain": torch.empty(0), **y}, columns)


class _Stack:
    """Candidates with their scores on the stopping rows, and the weights that these rows choose."""

    def __init__(self, judge: _Judge, parts: Sequence[_Part]) -> None:
        self.judge = judge
        self.parts: list[_Part] = []
        self.scores: list[np.ndarray] = []
        for part in parts:
            self.add(part)

    def add(self, part: _Part) -> None:
        """Add a candidate."""
        self.parts.append(part)
        self.scores.append(self.judge.scores(part))

    def losses(self) -> list[float]:
        """Return the mean loss of each candidate."""
        return [float(self.judge.rows(scores).mean()) for scores in self.scores]

    def best(self) -> _Part | None:
        """Return the candidate of the least loss."""
        return self.parts[int(np.argmin(self.losses()))] if self.parts else None

    def would_gain(self, part: _Part) -> bool:
        """Return whether a further candidate lowers the loss of the best one beyond its error."""
        before = self.judge.rows(self.scores[int(np.argmin(self.losses()))])
        return _gain(before, self.judge.rows(self.judge.scores(part))) > PROMISING_GAIN

    def weights(self) -> np.ndarray:
        """Return weights of the least loss among those that are a mean with the log-ratio 0."""
        scores = np.stack(self.scores, axis=-1)

        def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
            mixed = scores @ w
            slopes = np.tensordot(self.judge.gradient(mixed), scores, axes=2)
            return float(self.judge.rows(mixed).mean()), slopes

        k = len(self.parts)
        room = {"type": "ineq", "fun": lambda w: 1 - w.sum(), "jac": lambda w: -np.ones(k)}
        start = np.full(k, 0.9 / k)
        found = minimize(
            loss, start, jac=True, bounds=[(0, 1)] * k, constraints=[room], method="SLSQP"
        )
        found = np.clip(found.x, 0, 1)
        found = found / max(found.sum(), 1)
        single = np.eye(k)[int(np.argmin(self.losses()))]
        best = min((found, single), key=lambda w: loss(w)[0])
        return np.where(best < SMALLEST_WEIGHT, 0, best)

    def ratio(self, sides: Any, curves: dict[str, list[tuple[int, float]]]) -> Ratio:
        """Return the weighted candidates, or the best model alone if the gain is unclear."""
        weights = self.weights()
        each = self.losses()
        losses = {part.name: loss for part, loss in zip(self.parts, each, strict=True)}
        stack = self.judge.rows(np.stack(self.scores, axis=-1) @ weights)
        losses |= {"stack": float(stack.mean()), "nothing": 2 * math.log(2)}
        models = [k for k, part in enumerate(self.parts) if part.is_model]
        regressions = [k for k in models if isinstance(self.parts[k].known, RegressionRatio)]
        # Beside regressions, as categories call for them, copulas are models of other data.
        models = regressions or models
        is_parametric = False
        if models:
            best = min(models, key=each.__getitem__)
            is_parametric = _gain(self.judge.rows(self.scores[best]), stack) <= CLEAR_GAIN
            weights = np.eye(len(weights))[best] if is_parametric else weights
        return Ratio(sides, self.parts, weights, losses, curves, bool(is_parametric))


def _gain(before: np.ndarray, after: np.ndarray) -> float:
    """Return the mean gain of the loss in units of its standard error."""
    gain = before - after
    return float(gain.mean() / max(gain.std(ddof=1) / math.sqrt(len(gain)), 1e-12))
