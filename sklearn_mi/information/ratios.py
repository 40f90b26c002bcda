r"""The log-ratio :math:`\log \frac{p(x, y)}{p(x) p(y)}` from pairs: copulas, networks, their stack.

Candidates are fitted to training rows. Stopping rows decide when a network stops and how the
candidates are weighted. Nothing here sees the rows that are reported on.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional

from sklearn_mi.information.copulas import Copula, NormalScores, fit_gaussian, fit_student
from sklearn_mi.runtime import own_randomness

__all__ = [
    "ClassRatio",
    "Plan",
    "Ratio",
    "Side",
    "Training",
    "copula_of_all",
    "fit_class_ratio",
    "fit_ratio",
]

CELLS_AT_ONCE = 2**17
CLEAR_GAIN = 2.0
EVALUATED_SHIFTS = 16
FIRST_LOOKS = 10
LARGEST_WEIGHT = 1.5
MIXING_STEPS = 200
PATIENCE_SHARE = 1.5
UNMIXED_UP_TO = 100
WIDTH = 32


@dataclass(frozen=True)
class Training:
    """How the network is trained.

    Attributes
    ----------
    steps : int
        Largest number of steps; the best one on the stopping rows is kept.
    batch_size : int
    negatives : int
        Unrelated partners for each row of a batch.
    lr, weight_decay : float
    every : int
        Steps between evaluations on the stopping rows; more often at first, since a few hundred
        rows are soon overfitted.
    patience : int
        Training ends at step ``patience * every`` plus 1.5 times the best step so far.
    bound : float
        The network's part of a score stays between minus and plus this.
    earliest : int
        First step that may be kept; at step 0 a network returns 0 for every pair.
    """

    steps: int = 1500
    batch_size: int = 256
    negatives: int = 4
    lr: float = 2e-3
    weight_decay: float = 1e-2
    every: int = 50
    patience: int = 5
    bound: float = 15.0
    earliest: int = 0


@dataclass(frozen=True)
class Plan:
    """Which candidates are fitted.

    Attributes
    ----------
    copulas : tuple of str
        Any of "gaussian", "unmixed" (Gaussian after independent components) and "student".
    network : bool
        Whether to train a network.
    offset : bool
        Whether to train one more network, on top of the best copula.
    towers : callable or None
        ``towers(width)`` returns two networks, each from a row to ``width`` numbers; None: MLPs.
    """

    copulas: tuple[str, ...] = ("gaussian", "unmixed", "student")
    network: bool = True
    offset: bool = True
    towers: Callable[[int], tuple[nn.Module, nn.Module]] | None = None


class Side:
    """The transformations of one of the two tables, fitted to its training rows.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, ...)
    marginals : {"ranks", "standard", None}
    unmix : bool
        Whether to find independent components as well.
    seed : int
    """

    def __init__(self, rows: np.ndarray, marginals: str | None, unmix: bool, seed: int) -> None:
        self.scores = NormalScores().fit(rows) if marginals == "ranks" else None
        self.scale = None
        if marginals == "standard":
            spread = rows.std(0)
            self.scale = rows.mean(0), np.where(spread > 0, spread, 1.0)
        self.unmixed = _unmixing(rows, seed) if unmix and self.scores is not None else None

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the rows as tensors, by space: "plain", and "unmixed" where there is one."""
        plain = rows
        if self.scores is not None:
            plain = self.scores.transform(rows)
        elif self.scale is not None:
            plain = (rows - self.scale[0]) / self.scale[1]
        spaces = {"plain": torch.as_tensor(plain, dtype=torch.float32)}
        if self.unmixed is not None:
            components, scores = self.unmixed
            unmixed = scores.transform(components.transform(rows))
            spaces["unmixed"] = torch.as_tensor(unmixed, dtype=torch.float32)
        return spaces


def _unmixing(rows: np.ndarray, seed: int) -> tuple[Any, NormalScores] | None:
    """Return independent components and their normal scores; None if they cannot be found."""
    n, d = rows.shape
    if not 2 <= d <= min(UNMIXED_UP_TO, n // 10) or np.linalg.matrix_rank(np.cov(rows.T)) < d:
        return None
    import warnings

    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    ica: Any = FastICA(whiten="unit-variance", tol=1e-3, max_iter=50, random_state=seed)
    with warnings.catch_warnings():
        # If no component is clearly non-Gaussian, any rotation is as good.
        warnings.simplefilter("ignore", ConvergenceWarning)
        components = ica.fit_transform(rows)
    return ica, NormalScores().fit(components)


class PairNetwork(nn.Module):
    r"""A critic: two towers, then a small network on both codes and their product.

    .. math:: f(x, y) = c \tanh(h(g_x(x), g_y(y), g_x(x) \odot g_y(y)) / c)

    The towers cost as much as those of a separable critic, and the network on top can express more
    than a scalar product. Its output starts at zero.

    Parameters
    ----------
    towers : tuple of Module
        One for each side, from rows to ``WIDTH`` numbers.
    bound : float
        The constant c.
    """

    def __init__(self, towers: tuple[nn.Module, nn.Module], bound: float) -> None:
        super().__init__()
        self.tower_x, self.tower_y = towers
        self.bound = bound
        self.first = nn.Linear(3 * WIDTH, 128)
        self.last = nn.Linear(128, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def _codes(self, x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the codes of each side and their own terms of the hidden layer.

        Computed once a row instead of once a pair, these terms leave a third of the work.
        """
        a, b = self.tower_x(x), self.tower_y(y)
        own_a, own_b, _ = self.first.weight.split(WIDTH, dim=1)
        return (a, a @ own_a.T + self.first.bias), (b, b @ own_b.T)

    def _score(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        shared = self.first.weight[:, 2 * WIDTH :]
        hidden = (first[0] * second[0]) @ shared.T + first[1] + second[1]
        h = self.last(functional.gelu(hidden)).squeeze(-1)
        return self.bound * torch.tanh(h / self.bound)

    def cells(self, x: Tensor, y: Tensor, columns: Tensor) -> Tensor:
        """Return the scores of row i with the rows ``columns[i]`` of y, of shape (n, k)."""
        first, (b, own) = self._codes(x, y)
        at_once = max(1, CELLS_AT_ONCE // columns.shape[1])
        parts = zip(*(side[:, None].split(at_once) for side in first), strict=True)
        both = zip(parts, columns.split(at_once), strict=True)
        return torch.cat([self._score(part, (b[column], own[column])) for part, column in both])

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of partners, of shape (n,)."""
        return self._score(*self._codes(x, y))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of every pair, of shape (n, m)."""
        first, second = self._codes(x, y)
        at_once = max(1, CELLS_AT_ONCE // len(y))
        parts = zip(*(side[:, None].split(at_once) for side in first), strict=True)
        return torch.cat([self._score(part, second) for part in parts])


def _perceptrons(d_x: int, d_y: int) -> tuple[nn.Module, nn.Module]:
    def tower(d: int) -> nn.Module:
        layers = (nn.Linear(d, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU())
        return nn.Sequential(*layers, nn.Linear(128, WIDTH))

    return tower(d_x), tower(d_y)


@dataclass
class _Part:
    """A candidate for the log-ratio: a copula, a network, or a network on top of a copula."""

    name: str
    space: str
    copula: Copula | None = None
    network: PairNetwork | None = None

    def of_copula(self) -> _Part:
        """Return the copula without the network on top of it."""
        return _Part(self.name, self.space, self.copula)

    def _sum(
        self,
        score: Callable[[Copula | PairNetwork, Tensor, Tensor], Tensor],
        x: dict[str, Tensor],
        y: dict[str, Tensor],
    ) -> Tensor:
        parts = [part for part in (self.copula, self.network) if part is not None]
        u, v = x.get(self.space, x["plain"]), y.get(self.space, y["plain"])
        return torch.stack([score(part, u, v) for part in parts]).sum(0)

    @torch.no_grad()
    def pairs(self, x: dict[str, Tensor], y: dict[str, Tensor]) -> Tensor:
        return self._sum(lambda part, u, v: part.pairs(u, v), x, y)

    @torch.no_grad()
    def cells(self, x: dict[str, Tensor], y: dict[str, Tensor], columns: Tensor) -> Tensor:
        return self._sum(lambda part, u, v: part.cells(u, v, columns), x, y)

    @torch.no_grad()
    def matrix(self, x: dict[str, Tensor], y: dict[str, Tensor]) -> Tensor:
        return self._sum(lambda part, u, v: part(u, v), x, y)


@dataclass
class Ratio:
    """A weighted sum of candidates for the log-ratio.

    Attributes
    ----------
    sides : tuple of Side
    parts : list
        The candidates.
    weights : ndarray of shape (n_parts,)
        Fitted to the stopping rows.
    losses : dict of float
        Logistic loss on the stopping rows: of each candidate, of the "stack" and of "nothing", the
        log-ratio 0.
    curves : dict of list of tuple of (int, float)
        For each network, steps and their logistic loss on the stopping rows.
    is_parametric : bool
        Whether one copula alone was kept.
    family : str or None
        The name of that copula.
    own_means : dict of float
        Mean log-ratio of each candidate's copula on the training rows.
    """

    sides: tuple[Side, Side]
    parts: list[_Part]
    weights: np.ndarray
    losses: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    is_parametric: bool = False
    own_means: dict[str, float] = field(default_factory=dict)

    @property
    def family(self) -> str | None:
        """Name of the copula if one alone was kept, else None."""
        if not self.is_parametric:
            return None
        return self.parts[int(np.argmax(self.weights))].name

    def _weighted(self, each: Callable[[_Part], Tensor]) -> Tensor:
        used = [(w, part) for w, part in zip(self.weights, self.parts, strict=True) if w != 0]
        if not used:
            return 0.0 * each(self.parts[0]).double()
        return torch.stack([w * each(part).double() for w, part in used]).sum(0)

    def pairs(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the log-ratio of partners, of shape (n,)."""
        x, y = self.sides[0](X), self.sides[1](Y)
        return self._weighted(lambda part: part.pairs(x, y)).numpy()

    def matrix(self, X: np.ndarray, Y: np.ndarray) -> Tensor:
        """Return the log-ratio of every pair of rows, of shape (n, m)."""
        x, y = self.sides[0](X), self.sides[1](Y)
        return self._weighted(lambda part: part.matrix(x, y))

    def each(self, X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by each candidate alone."""
        x, y = self.sides[0](X), self.sides[1](Y)
        return {part.name: part.pairs(x, y).double().numpy() for part in self.parts}

    def correction(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Return the bias correction of the mean log-ratio on new rows, to be added.

        A copula is about as much too low on new rows as it is too high on its training rows. Kept
        alone, it is corrected to its information in closed form; in a stack, by half of the gap.
        """
        x, y = self.sides[0](X), self.sides[1](Y)
        added = 0.0
        for weight, part in zip(self.weights, self.parts, strict=True):
            if weight and part.copula is not None:
                new = float(part.of_copula().pairs(x, y).double().mean())
                own = self.own_means[part.name]
                added += part.copula.mi - new if self.is_parametric else weight * (own - new) / 2
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

    Returns
    -------
    ratio : Ratio
    """
    unmix = "unmixed" in plan.copulas
    sides = tuple(Side(rows, how, unmix, seed) for rows, how in zip(train, marginals, strict=True))
    seen = [
        tuple(side(rows) for side, rows in zip(sides, pair, strict=True)) for pair in (train, stop)
    ]
    parts = _copulas(plan, seen[0], int(never_constant)) if set(marginals) == {"ranks"} else []
    judge = _Judge(seen[1], None if groups is None else groups[1])
    curves: dict[str, list[tuple[int, float]]] = {}
    if plan.network:
        best = min(parts, key=lambda part: judge.loss(judge.columns([part]))) if parts else None
        bases = [None, best] if plan.offset and best is not None else [None]
        for base in bases:
            part, curve = _trained(base, plan, training, seen, judge, seed, groups)
            parts.append(part)
            curves[part.name] = curve
    ratio = _stacked(sides, parts, judge, curves)
    for part in parts:
        if part.copula is not None:
            ratio.own_means[part.name] = float(part.of_copula().pairs(*seen[0]).double().mean())
    return ratio


def copula_of_all(name: str, X: np.ndarray, Y: np.ndarray, seed: int) -> Copula:
    """Return a copula fitted to all rows of two tables.

    Parameters
    ----------
    name : {"gaussian", "unmixed", "student"}
    X, Y : ndarray
    seed : int

    Returns
    -------
    copula : Copula
    """
    seen = tuple(Side(rows, "ranks", name == "unmixed", seed)(rows) for rows in (X, Y))
    copula = _copulas(Plan((name,)), seen, at_least=0)[0].copula
    assert copula is not None
    return copula


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
        U, V = (side.get(space, side["plain"]).double().numpy() for side in seen)
        # Columns that repeat others or do not vary have no t copula.
        with suppress(np.linalg.LinAlgError):
            parts.append(_Part(name, space, fit(U, V)))
    return parts


class _Judge:
    """The logistic loss of log-ratios on the stopping rows: a proper score that stays finite."""

    def __init__(self, seen: tuple[dict[str, Tensor], ...], groups: np.ndarray | None) -> None:
        n = len(seen[0]["plain"])
        self.x, self.y = seen
        shifts = torch.arange(min(EVALUATED_SHIFTS, n - 1) + 1)
        self.others = (torch.arange(n)[:, None] + shifts) % n
        self.counted = np.ones((n, len(shifts) - 1), bool)
        if groups is not None:
            self.counted = groups[:, None] != groups[self.others[:, 1:].numpy()]

    def columns(self, parts: Sequence[_Part]) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of partners (n, k), and of negatives (n, shifts, k)."""
        cells = [part.cells(self.x, self.y, self.others).double().numpy() for part in parts]
        scores = np.stack(cells, axis=-1)
        return scores[:, 0], scores[:, 1:]

    def rows(self, columns: tuple[np.ndarray, np.ndarray], weights: Any = 1.0) -> np.ndarray:
        """Return the loss of every row under a weighted sum of the columns."""
        w = np.broadcast_to(weights, columns[0].shape[-1:])
        positive, negative = columns[0] @ w, columns[1] @ w
        other = np.where(self.counted, np.logaddexp(0, negative), 0).sum(1)
        other = other / np.maximum(self.counted.sum(1), 1)
        return np.logaddexp(0, -positive) + other

    def loss(self, columns: tuple[np.ndarray, np.ndarray], weights: Any = 1.0) -> float:
        """Return the mean loss."""
        return float(self.rows(columns, weights).mean())


def _cells(n: int, k: int, generator: torch.Generator) -> Tensor:
    """Return for each row of a batch its own number and those of k others: (n, 1 + k)."""
    shifts = torch.randperm(n - 1, generator=generator)[:k] + 1
    shifts = torch.cat([torch.zeros(1, dtype=torch.long), shifts])
    return (torch.arange(n)[:, None] + shifts[None]) % n


def _batches(n: int, training: Training, generator: torch.Generator) -> Iterator[Tensor]:
    size = min(training.batch_size, n)
    while True:
        yield from (
            batch
            for batch in torch.randperm(n, generator=generator).split(size)
            if len(batch) == size
        )


def _trained(
    base: _Part | None,
    plan: Plan,
    training: Training,
    seen: Sequence[tuple[dict[str, Tensor], ...]],
    judge: _Judge,
    seed: int,
    groups: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[_Part, list[tuple[int, float]]]:
    """Return the network of the best step on the stopping rows, and its loss curve."""
    space = "plain" if base is None else base.space
    x, y = (side.get(space, side["plain"]) for side in seen[0])
    towers = plan.towers or (lambda width: _perceptrons(x.shape[1], y.shape[1]))
    with own_randomness(seed):
        network = PairNetwork(towers(WIDTH), training.bound)
    copula = None if base is None else base.copula
    name = "network" if base is None else f"network on {base.name}"
    part = _Part(name, space, copula, network)
    codes = None if groups is None else torch.as_tensor(groups[0])
    curve, kept, best = [], copy.deepcopy(network.state_dict()), math.inf
    for step, _ in enumerate(_steps(part, x, y, codes, training, seed)):
        every = min(training.every, FIRST_LOOKS) if step < 2 * training.every else training.every
        if step < training.earliest or (step % every and step != training.steps):
            continue
        loss = judge.loss(judge.columns([part]))
        curve.append((step, loss))
        if loss < best - 1e-6:
            best, kept = loss, copy.deepcopy(network.state_dict())
        elif step >= training.patience * training.every + PATIENCE_SHARE * _best_step(curve):
            break
    network.load_state_dict(kept)
    network.eval()
    return part, curve


def _best_step(curve: list[tuple[int, float]]) -> int:
    return min(curve, key=lambda at: at[1])[0]


def _steps(
    part: _Part,
    x: Tensor,
    y: Tensor,
    groups: Tensor | None,
    training: Training,
    seed: int,
) -> Iterator[None]:
    """Train the network of a part; yield before each step, and after the last."""
    network: Any = part.network
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps + 1)
    for _, batch in zip(range(training.steps), _batches(len(x), training, generator), strict=False):
        yield
        network.train()
        a, b = x[batch], y[batch]
        columns = _cells(len(batch), training.negatives, generator)
        scores = network.cells(a, b, columns)
        if part.copula is not None:
            with torch.no_grad():
                known = part.copula.cells(a, b, columns)
            scores = scores + known
        other = functional.softplus(scores[:, 1:])
        if groups is not None:
            other = other * (groups[batch][:, None] != groups[batch][columns[:, 1:]])
        loss = functional.softplus(-scores[:, 0]).mean() + other.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        network.eval()
    yield


def _stacked(
    sides: Any, parts: list[_Part], judge: _Judge, curves: dict[str, list[tuple[int, float]]]
) -> Ratio:
    """Return the weighted candidates, or the best copula alone if the stack gains too little."""
    columns = judge.columns(parts)
    k = len(parts)
    start = np.full(k, 1 / k)
    found = minimize(
        lambda w: judge.loss(columns, w), start, bounds=[(0, LARGEST_WEIGHT)] * k, method="L-BFGS-B"
    )
    weights = found.x if found.fun < judge.loss(columns, start) else start
    rows = {part.name: judge.rows(columns, row) for part, row in zip(parts, np.eye(k), strict=True)}
    stack = judge.rows(columns, weights)
    losses = {name: float(loss.mean()) for name, loss in rows.items()}
    losses |= {"stack": float(stack.mean()), "nothing": 2 * math.log(2)}
    copulas = [i for i, part in enumerate(parts) if part.network is None]
    is_parametric = False
    if copulas:
        best = min(copulas, key=lambda i: losses[parts[i].name])
        gain = rows[parts[best].name] - stack
        is_parametric = gain.mean() <= CLEAR_GAIN * gain.std(ddof=1) / math.sqrt(len(gain))
        weights = np.eye(k)[best] if is_parametric else weights
    return Ratio(sides, parts, weights, losses, curves, bool(is_parametric))


class ClassRatio:
    r"""The log-ratio :math:`\log q(y | x) - \log p(y)` of classifiers, for a category y.

    Here q is a mixture of the classifiers' probabilities, weighted on the stopping rows.

    Parameters
    ----------
    side : Side
    classifiers : dict of classifier
        Fitted, with ``predict_proba``.
    classes : ndarray of shape (n_classes,)
    log_prior : ndarray of shape (n_classes,)
    """

    is_parametric = False
    family = None

    def __init__(
        self, side: Side, classifiers: dict[str, Any], classes: np.ndarray, log_prior: np.ndarray
    ) -> None:
        self.side, self.classifiers = side, classifiers
        self.classes, self.log_prior = classes, log_prior
        self.weights = np.full(len(classifiers), 1 / len(classifiers))
        self.losses: dict[str, float] = {}
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def weigh(self, X: np.ndarray, y: np.ndarray) -> None:
        """Fit the weights by maximum likelihood, a convex problem."""
        own = self._probabilities(X)[:, np.arange(len(X)), np.searchsorted(self.classes, y)]
        for _ in range(MIXING_STEPS):
            share = self.weights[:, None] * own
            self.weights = (share / share.sum(0)).mean(1)
        prior = self.log_prior[np.searchsorted(self.classes, y)]
        rows = zip(self.classifiers, own, strict=True)
        self.losses = {name: float((prior - np.log(p)).mean()) for name, p in rows}
        self.losses["stack"] = float((prior - np.log(self.weights @ own)).mean())

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of every class, of shape (n_classifiers, n, n_classes).

        A class without training rows keeps its prior probability: its log-ratio is 0.
        """
        rows = self.side(X)["plain"].numpy()
        probabilities = np.tile(np.exp(self.log_prior), (len(self.classifiers), len(X), 1))
        for k, classifier in enumerate(self.classifiers.values()):
            known = np.searchsorted(self.classes, classifier.classes_)
            probabilities[k][:, known] = np.maximum(classifier.predict_proba(rows), 1e-7)
        return probabilities

    def _log_ratio(self, X: np.ndarray) -> np.ndarray:
        mixed = np.tensordot(self.weights, self._probabilities(X), axes=1)
        return np.log(mixed) - self.log_prior

    def pairs(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the log-ratio of partners, of shape (n,)."""
        return self._log_ratio(X)[np.arange(len(X)), np.searchsorted(self.classes, y)]

    def matrix(self, X: np.ndarray, y: np.ndarray) -> Tensor:
        """Return the log-ratio of every pair of rows, of shape (n, m)."""
        return torch.as_tensor(self._log_ratio(X)[:, np.searchsorted(self.classes, y)])

    def each(self, X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by each classifier alone."""
        column = np.searchsorted(self.classes, y)
        own = self._probabilities(X)[:, np.arange(len(X)), column]
        return dict(zip(self.classifiers, np.log(own) - self.log_prior[column], strict=True))

    def correction(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return 0: classifiers have no closed form to correct towards."""
        return 0.0


def fit_class_ratio(
    train: tuple[np.ndarray, np.ndarray],
    stop: tuple[np.ndarray, np.ndarray],
    classes: np.ndarray,
    *,
    marginals: str | None,
    seed: int,
    never_constant: bool = False,
) -> ClassRatio:
    """Fit classifiers to the training rows and weight them by the stopping rows.

    Parameters
    ----------
    train, stop : tuple of ndarray
        X and the categories y, of the training and of the stopping rows.
    classes : ndarray of shape (n_classes,)
        All categories, sorted.
    marginals : {"ranks", "standard", None}
    seed : int
    never_constant : bool
        Whether to leave out the prior, which is the same for all rows.

    Returns
    -------
    ratio : ClassRatio
    """
    side = Side(train[0], marginals, unmix=False, seed=seed)
    X = side(train[0])["plain"].numpy()
    candidates = _classifiers(len(X), seed)
    if never_constant:
        del candidates["prior"]
    if len(np.unique(train[1])) < 2:
        candidates = {"prior": _classifiers(len(X), seed)["prior"]}
    counts = np.array([(train[1] == c).sum() + (stop[1] == c).sum() for c in classes])
    log_prior = np.log((counts + 0.5) / (counts + 0.5).sum())
    fitted = {name: classifier.fit(X, train[1]) for name, classifier in candidates.items()}
    ratio = ClassRatio(side, fitted, classes, log_prior)
    ratio.weigh(*stop)
    return ratio


def _classifiers(n: int, seed: int) -> dict[str, Any]:
    """Return classifiers of several kinds: on few rows, none is best everywhere."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    return {
        "prior": DummyClassifier(strategy="prior"),
        "logistic": LogisticRegression(max_iter=1000),
        "boosting": HistGradientBoostingClassifier(
            learning_rate=0.05, max_leaf_nodes=8, max_iter=150, random_state=seed
        ),
        "forest": RandomForestClassifier(100, min_samples_leaf=10, random_state=seed),
        "neighbors": KNeighborsClassifier(min(25, n)),
    }
