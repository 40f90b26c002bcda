"""Whether `MIEstimator` is right on every kind of data: one case for each fault that users met.

``python benchmarks/information_kinds.py --jobs 2`` fits what is missing, appends a line for each
fit to ``cells.jsonl`` in the folder ``--out``, and writes ``kinds.csv``, a row for each fit, and
``kinds.txt``. A killed run goes on where it was. ``--estimate`` says what is left, ``--report``
writes the tables alone.

A fit is ``ok`` if the interval holds the truth, the lower limit is below the truth and not above
the value, the p-value tells dependence from none, and the case's own demands are met: an error, a
warning, "at least", seconds of the processor or MB. Cases without an estimate (an error, a rank, a
difference between two forms of the same data) have a number that must not be larger than their
truth.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch is imported anywhere

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from information_coverage import (
    Draw,
    bits,
    chain,
    folded,
    gaussian,
    go_on,
    numbers,
    of_correlation,
    options,
    rounded,
    shuffled,
)
from information_coverage import partial as partly
from information_report import read_cells, write_table
from information_tasks import RESULTS, Cell, forget_peak, peak_mb
from scipy.special import entr, ndtr

from sklearn_mi import MIEstimator
from sklearn_mi.datasets import (
    KnownPairs,
    autoregressive_pairs,
    discrete_continuous_pairs,
    gaussian_staircase,
    half_atoms_pairs,
    independent_pairs,
    likert_pairs,
    low_rank_pairs,
    zero_inflated_counts_pairs,
    zero_inflated_poisson_pairs,
)
from sklearn_mi.information import mutual_info_features, mutual_info_lags, neighbors_mi

OUT = RESULTS / "kinds"
BOTH = ("default", "closed-form")
ENOUGH_ROWS = 500  # for a p-value below SURELY
NO_MORE = 1e-6  # nats, by rounding
SEEDS = 3
SURELY = 0.01  # of a p-value


@dataclass(frozen=True)
class Case:
    """What is estimated, and what is demanded of it.

    Attributes
    ----------
    line : str
        Of the list of faults: "A1", "bar 5".
    truth : float
    draw : callable, default=None
        ``draw(n, rng)`` returns X and Y, and Z for a conditional information.
    n : int
    check : callable, default=None
        In the place of ``draw``: ``check(rng)`` returns a number and a text.
    fit : dict
        What ``fit`` takes beside the tables.
    demands : dict
        ``error`` (largest), ``at_least``, ``seconds``, ``mb`` (most), ``warning`` (a word of it).
    """

    line: str
    truth: float
    draw: Draw | None = None
    n: int = 1000
    check: Callable[[np.random.Generator], tuple[float, str]] | None = None
    fit: dict[str, Any] = field(default_factory=dict)
    demands: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = BOTH
    seeds: int = SEEDS


def of(line: str, pairs: KnownPairs, n: int = 1000, **more: Any) -> Case:
    return Case(line, pairs.true_mi, pairs.draw, n, **more)


# Pairs


def mapped(pairs: KnownPairs, change: Callable[[np.ndarray], Any]) -> KnownPairs:
    """Return the pairs with both sides in another form, which changes no information."""

    def draw(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        X, Y = pairs.draw(n, rng)
        return change(X), change(Y)

    return KnownPairs(pairs.name, pairs.true_mi, draw)


def strings(rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"item": rows[:, 0].astype(int).astype(str)}, dtype="category")


def beside_noise(pairs: KnownPairs, n_more: int) -> KnownPairs:
    """Return the pairs with more columns on each side, each a shuffled copy of the first."""

    def more(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.hstack([rows, *(rng.permutation(rows[:, :1]) for _ in range(n_more))])

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        X, Y = pairs.draw(n, rng)
        return more(X, rng), more(Y, rng)

    return KnownPairs(pairs.name, pairs.true_mi, draw)


def rounded_pairs(rho: float, step: float, *, both: bool = True) -> KnownPairs:
    """Return a Gaussian pair of which one side or both are rounded; the truth by quadrature."""
    cells = np.arange(-round(6 / step), round(6 / step) + 1) * step
    x, weights = np.polynomial.legendre.leggauss(20)
    x = (cells[:, None] + x * step / 2).ravel()
    p = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * np.tile(weights * step / 2, len(cells))
    upper = ndtr((cells + step / 2 - rho * x[:, None]) / math.sqrt(1 - rho**2))
    lower = ndtr((cells - step / 2 - rho * x[:, None]) / math.sqrt(1 - rho**2))
    joint = p[:, None] * (upper - lower)
    if both:
        joint = joint.reshape(len(cells), 20, -1).sum(axis=1)
    joint /= joint.sum()
    true_mi = entr(joint.sum(axis=0)).sum() + entr(joint.sum(axis=1)).sum() - entr(joint).sum()

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, noise = rng.normal(size=(2, n, 1))
        y = rho * x + math.sqrt(1 - rho**2) * noise
        return (np.round(x / step) * step if both else x), np.round(y / step) * step

    return KnownPairs(f"rounded to {step}", float(true_mi), draw)


def half_zero(rho: float, n_features: int = 1) -> KnownPairs:
    """Return a Gaussian pair of which x is 0 in half of the rows, whatever y."""
    pairs = gaussian(n_features * of_correlation(rho), n_features)

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        X, Y = pairs.draw(n, rng)
        return np.where(rng.random(X.shape) < 0.5, 0.0, X), Y

    return KnownPairs("half zero", pairs.true_mi / 2, draw)


def coins(crossover: float, n_features: int = 1) -> KnownPairs:
    """Return fair bits, and the same of which a share is flipped."""
    each = math.log(2) - float(entr(crossover) + entr(1 - crossover))

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.integers(2, size=(n, n_features))
        return x, x ^ (rng.random(x.shape) < crossover)

    return KnownPairs("coins", n_features * each, draw)


def signs(noise: float) -> KnownPairs:
    r"""Return two columns, and the product of their signs with noise.

    .. math:: I = \log 2 - E \log(1 + e^{-2 (1 + \sigma \epsilon) / \sigma^2})
    """
    at, weights = np.polynomial.hermite_e.hermegauss(100)
    lost = np.logaddexp(0, -2 * (1 + noise * at) / noise**2) @ weights / weights.sum()

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, 2))
        return x, np.sign(x).prod(axis=1, keepdims=True) + noise * rng.normal(size=(n, 1))

    return KnownPairs("signs", math.log(2) - float(lost), draw)


def copy(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    x = rng.normal(size=(n, 1))
    return x, x


def of_one_column(signal: float) -> KnownPairs:
    """Return a wide table of four latents, and one of them with as much noise."""
    pairs = low_rank_pairs(2000, 4, signal=signal)
    squared = signal / (1 + signal) / 2

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        latents = rng.normal(size=(n, 4))
        side = np.linalg.qr(np.random.default_rng(0).normal(size=(2000, 4)))[0].T
        X = math.sqrt(signal) * latents @ side + rng.normal(size=(n, 2000))
        return X, latents[:, :1] + rng.normal(size=(n, 1))

    return KnownPairs(pairs.name, -0.5 * math.log1p(-squared), draw)


def categories_given(
    n: int, rng: np.random.Generator, *, labels: bool = False
) -> tuple[Any, np.ndarray, Any]:
    """Return x and y with a correlation of .6 within each of three classes that shift both."""
    z = rng.integers(3, size=(n, 1))
    x, noise = rng.normal(size=(2, n, 1))
    shift = np.array([0.0, 3.0, 0.0])[z]
    return x + shift, 0.6 * x + 0.8 * noise + shift, strings(z) if labels else z


def class_given(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return a number that a class shifts by 1.5 and a coin z by 2, the class, and the coin."""
    z = rng.integers(2, size=(n, 1))
    y = (rng.random((n, 1)) < np.where(z, 0.7, 0.3)).astype(int)
    return 1.5 * y + 2 * z + rng.normal(size=(n, 1)), y, z


def of_two_normals(share: float, distance: float) -> float:
    """Return what a number tells of the one of two normal classes that it comes from."""
    x = np.linspace(-10, 10 + distance, 40_001)
    parts = np.stack(
        [(1 - share) * np.exp(-(x**2) / 2), share * np.exp(-((x - distance) ** 2) / 2)]
    )
    parts /= math.sqrt(2 * math.pi)
    given = entr(parts / parts.sum(axis=0)).sum(axis=0)
    return float(entr([share, 1 - share]).sum() - np.trapezoid(given * parts.sum(axis=0), x))


# Cases without an estimate: a number that must not be larger than the case's truth, and a text


def refused(call: Callable[[], Any], *words: str) -> Callable[[np.random.Generator], Any]:
    """Return a check that the call ends in a ValueError or TypeError with these words."""

    def check(rng: np.random.Generator) -> tuple[float, str]:
        try:
            call()
        except (TypeError, ValueError) as error:
            text = f"{type(error).__name__}: {error}".replace("\n", " ")
            return float(not all(word in text for word in words)), text
        return 1.0, "nothing said"

    return check


def by(setting: str = "closed-form", **params: Any) -> MIEstimator:
    method = "auto" if setting == "default" else setting
    return MIEstimator(method, **{"random_state": 0, **params})


def two_tables(n: int = 200) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    return X, (X + rng.normal(size=X.shape)).rename(columns={"a": "c", "b": "d"})


def swapped() -> None:
    X, Y = two_tables()
    by().fit(X, Y).score(X, Y[["d", "c"]])


def unseen() -> None:
    X, _ = two_tables()
    label = pd.Series(np.where(X["a"] > 0, "up", "down"))
    by().fit(X, label).pointwise(X, label.replace("up", "sideways"))


def two_of_one_name() -> None:
    X, Y = two_tables()
    by().fit(X.set_axis(["a", "a"], axis=1), Y)


def fitted(**how: Any) -> None:
    by().fit(*two_tables(), **how)


def relabelled(rng: np.random.Generator) -> tuple[float, str]:
    """Return by how much the same categories in another dtype change a score."""
    code = rng.integers(3, size=300)
    y = code + rng.normal(size=300)
    floats, integers = (
        pd.DataFrame({"k": pd.Categorical(code.astype(kind).astype(str))}) for kind in (float, int)
    )
    estimator = by().fit(floats, y)
    gap = estimator.score(floats, y) - estimator.score(integers, y)
    return abs(gap), "gap of the scores"


def forms(change: list[Callable[[np.ndarray], Any]], draw: Draw, n: int, setting: str) -> Any:
    """Return a check of the largest gap between forms of the same rows, in standard errors."""

    def check(rng: np.random.Generator) -> tuple[float, str]:
        X, Y = draw(n, rng)
        found = [by(setting, split_test=False).fit(X, make(Y)).mi_ for make in change]
        found.append(by(setting, split_test=False).fit(change[0](Y), X).mi_)
        values = [mi.value for mi in found]
        gap = max(values) - min(values)
        text = "gap in standard errors: " + " ".join(f"{value:.4f}" for value in values)
        return gap / max(*(mi.stderr for mi in found), NO_MORE), text

    return check


def ranked(rng: np.random.Generator) -> tuple[float, str]:
    """Return how many of two columns are not among the best 3 of 40; one acts by its square."""
    X = rng.normal(size=(500, 40))
    y = X[:, 0] + 0.7 * X[:, 1] ** 2 + 0.3 * X[:, 2] + rng.normal(size=500)
    best = np.argsort(mutual_info_features(X, y)[0])[::-1][:3].tolist()
    return float(len({0, 1} - set(best))), f"missed of columns 0 and 1; best {best}"


def neighbors_of_rounded(rng: np.random.Generator) -> tuple[float, str]:
    a, b = np.round(rng.normal(size=(2, 1000, 2)), 1)
    return abs(float(neighbors_mi(a, b).mean())), "neighbors_mi, |value|"


def late(rng: np.random.Generator) -> tuple[float, str]:
    """Return by how much the peak of a lag curve is off."""
    x = rng.normal(size=1000)
    y = np.roll(x, 7) ** 2 + rng.normal(size=1000)
    peak = mutual_info_lags(x, y, range(-10, 11), random_state=0)["value"].idxmax()
    return float(abs(peak - 7)), f"rows off, peak at {peak}"


def contract(rng: np.random.Generator) -> tuple[float, str]:
    from sklearn.utils.estimator_checks import check_estimator

    found = check_estimator(MIEstimator(), on_fail=None, on_skip=None)
    failed = [check["check_name"] for check in found if check["status"] == "failed"]
    return float(len(failed)), "failed checks: " + " ".join(failed)


def sparse_column() -> None:
    from scipy.sparse import csr_array
    from sklearn.feature_selection import SelectKBest

    X, Y = two_tables()
    chosen = SelectKBest(mutual_info_features, k=1).fit(csr_array(X.to_numpy()), Y["c"])
    found = np.flatnonzero(chosen.get_support()).tolist()
    raise ValueError(f"column {found[0]} of a sparse table")


def tensor(rows: np.ndarray) -> Any:
    import torch

    return torch.as_tensor(rows[:, 0]).requires_grad_()


# Cases


def cases() -> dict[str, Case]:
    """Return all cases by name, quick ones first."""
    return {**_ties(), **_series(), **_given(), **_said(), **_smooth(), **_wide(), **_stacks()}


def _ties() -> dict[str, Case]:
    likert, counts = likert_pairs(), zero_inflated_counts_pairs()
    as_float = partial(mapped, change=lambda rows: rows.astype(float))
    of_1 = partial(of, "A1")
    return {
        "Likert, floats": of_1(as_float(likert)),
        "Likert, integers": of_1(likert),
        "Likert, strings": of_1(mapped(likert, strings)),
        "Likert, floats, independent": of_1(as_float(shuffled(likert))),
        "Likert, 3 + 3 items": of_1(beside_noise(as_float(likert), 2)),
        "zero-inflated counts, floats": of_1(as_float(counts)),
        "zero-inflated counts, 2 + 2": of_1(beside_noise(as_float(counts), 1)),
        "zero-inflated Poisson": of_1(zero_inflated_poisson_pairs()),
        "half atoms": of_1(half_atoms_pairs()),
        "half of X is 0": of_1(half_zero(0.8)),
        "half of X is 0, 2 + 2": of_1(half_zero(0.8, 2)),
        "rounded to .1, independent": of_1(rounded_pairs(0.0, 0.1)),
        "rounded to .1, rho .6": of_1(rounded_pairs(0.6, 0.1)),
        "rounded to .5, rho .6": of_1(rounded_pairs(0.6, 0.5)),
        "a rounded copy": of_1(rounded_pairs(1 - 1e-12, 0.25, both=False)),
        "coins, a tenth flipped": of_1(coins(0.1)),
        "coins, copied": of_1(coins(0.0)),
        "coins, 8 + 8, a tenth flipped": of_1(coins(0.1, 8)),
        "class and number": of_1(discrete_continuous_pairs()),
        "neighbours of rounded rows": Case("A1", 0.05, check=neighbors_of_rounded, settings=("",)),
        "eighths, as integers, floats, X": Case(
            "A9", 1.0, settings=("",), check=forms(
                [lambda y: np.round(8 * y).astype(int), lambda y: np.round(8 * y)],
                gaussian(of_correlation(0.8)).draw, 60, "closed-form"),
        ),
        "y as list, Series, tensor, float32": Case(
            "bar 8", 1.0, settings=("",), check=forms(
                [lambda y: y, lambda y: y.ravel().tolist(), lambda y: pd.Series(y.ravel()),
                 tensor, lambda y: y.astype(np.float32)],
                gaussian(of_correlation(0.6)).draw, 200, "closed-form"),
        ),
    }  # fmt: skip


def _series() -> dict[str, Case]:
    made = {"lag of 7": Case("A5", 0.0, check=late, settings=("",))}
    for phi in (0.9, 0.99):
        independent, related = (autoregressive_pairs(phi, rho) for rho in (0.0, 0.6))
        blocks = {"blocks": "auto"}
        made |= {
            f"AR {phi} independent, nothing said": Case(
                "A5", 0.0, independent.draw, 2000, demands={"warning": "blocks", "alone": True}
            ),
            f"AR {phi} independent, blocks": of("A5", independent, 2000, fit=blocks),
            f"AR {phi} rho .6, blocks": of("A5", related, 2000, fit=blocks),
        }
    return made


def _given() -> dict[str, Case]:
    of_10 = partial(Case, "A10")
    return {
        "given Z: xor of coins": Case("A1", math.log(2), bits),
        "given Z: chain": of_10(0.0, chain),
        "given Z: partial .5": of_10(of_correlation(0.5), partly),
        "given Z: classes coded 0 to 2": of_10(of_correlation(0.6), categories_given),
        "given Z: classes as text": of_10(
            of_correlation(0.6), partial(categories_given, labels=True)
        ),
        "given Z: a class as y": of_10(of_two_normals(0.3, 1.5), class_given),
    }


def _said() -> dict[str, Case]:
    sparse = refused(sparse_column, "column 0 of a sparse table")
    said = {
        "columns of score swapped": ("A8", refused(swapped, "Y", "order")),
        "label that fit did not see": ("A8", refused(unseen, "sideways", "did not see")),
        "categories of another dtype": ("A8", relabelled),
        "two columns of one name": ("A13", refused(two_of_one_name, "one name", "rename")),
        "a Generator": (
            "A13",
            refused(
                lambda: by(random_state=np.random.default_rng(0)).fit(*two_tables()), "integers"
            ),
        ),
        "sparse in SelectKBest": ("A13", sparse),
        "a block beyond half": ("bar 4", refused(lambda: fitted(blocks=150), "blocks=150", "100")),
        "blocks beside groups": (
            "bar 4",
            refused(lambda: fitted(blocks=5, groups=np.arange(200) // 2), "blocks", "groups"),
        ),
        "a lag beyond half": (
            "bar 4",
            refused(lambda: mutual_info_lags(np.arange(50.0), np.arange(50.0), 30), "lags", "25"),
        ),
        "non-monotone columns": ("A6", ranked),
        "check_estimator": ("A11", contract),
    }
    return {
        name: Case(line, 0.0, check=check, settings=("",), seeds=5 if line == "A6" else 1)
        for name, (line, check) in said.items()
    }


def _smooth() -> dict[str, Case]:
    def constant(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones((n, 1)), rng.integers(3, size=n)

    return {
        "X = Y": Case("A4", math.inf, copy, demands={"at_least": True}),
        "product of two signs": of("A4", signs(0.3)),
        "a weak column": of("A4", gaussian(0.005), 5000),
        "weak, n = 200": of("A7", gaussian(0.02), 200),
        "independent 2 + 2": of("A7", independent_pairs(2, 2)),
        "n = 20, rho .6": of("A7", gaussian(of_correlation(0.6)), 20),
        "folded 1 + 1": of("A6", folded(0.5, 1)),
        "folded 3 + 3": of("A6", folded(0.5, 3), 2000),
        "a constant beside a class": Case("A12", 0.0, constant, 20_000, demands={"seconds": 2}),
        "coins, n = 70,000": of("A12", coins(0.1), 70_000, demands={"seconds": 1}),
    }


def _wide() -> dict[str, Case]:
    three, quick = (*BOTH, "copula"), {"seconds": 20, "mb": 2000}
    none = {**quick, "error": 0.02}
    made = {
        "600 + 300 columns, independent": of(
            "A3", independent_pairs(600, 300), demands=none, settings=three
        ),
        "2,000 + 300 columns, independent": of(
            "bar 5", independent_pairs(2000, 300), demands=none, settings=three
        ),
    }
    for signal in (3.0, 10.0, 30.0, 100.0):
        demands = {**quick, "at_least": True} if signal == 3 else {**quick, "error": 0.3}
        pairs = low_rank_pairs(signal=signal)
        made[f"2,000 + 300, signal {signal:g}"] = of("bar 5", pairs, 700, demands=demands)
    ten = low_rank_pairs(signal=10.0)
    return made | {
        "2,000 + 300, signal 10, half cubed": of(
            "bar 5", ten.mapped("half cubed", lambda rows: rows * np.sqrt(np.abs(rows))), 700
        ),
        "2,000 + 1, signal 10": of("bar 5", of_one_column(10.0), 700),
    }


def _stacks() -> dict[str, Case]:
    made = {}
    for name, error in (("cubic", 0.2), ("rotated cubic", 0.6)):
        (pairs,) = gaussian_staircase((10.0,), map=name)
        made[f"{name}, 20 + 20, 10 nats"] = of(
            "A2", pairs, 5000, demands={"error": error}, settings=("default",), seeds=20
        )
    return made


CASES = cases()


# One fit


def measured(cell: Cell) -> dict[str, Any]:
    """Return what one fit, or one check, says."""
    case = CASES[cell.task]
    rng = np.random.default_rng(20_000 + cell.seed)
    before = forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.check is not None:
            value, text = case.check(rng)
            found: dict[str, Any] = {"value": value, "how": text}
        else:
            assert case.draw is not None
            tables = case.draw(case.n, rng)
            wall, cpu = time.perf_counter(), time.process_time()
            estimator = by(cell.setting, random_state=cell.seed).fit(*tables, **case.fit)
            found = {**numbers(estimator), "warnings": list(estimator.mi_.warnings)}
    found["seconds"] = time.perf_counter() - wall
    found["cpu_seconds"] = time.process_time() - cpu
    found |= {"peak_mb": peak_mb(), "before_mb": before}
    return {
        **cell._asdict(),
        "true_mi": case.truth,
        **{name: v if isinstance(v, list) else rounded(v) for name, v in found.items()},
    }


def misses(case: Case, row: dict[str, Any]) -> Iterator[str]:
    """Yield in which way a fit is wrong."""
    demands, truth, value = case.demands, case.truth, row["value"]
    if case.check is not None:
        if not value <= truth:
            yield "check"
        return
    if not demands.get("alone"):
        yield from _wrong_numbers(row, truth, case.n)
    if abs(value - truth) > demands.get("error", math.inf):
        yield "error"
    if demands.get("at_least", row["at_least"]) != row["at_least"]:
        yield "at least"
    if not any(demands.get("warning", "") in fact for fact in row["warnings"] or [""]):
        yield "warning"
    # Seconds of the processor, as fits run beside others; memory with what was there before.
    for name, number in (("seconds", row["cpu_seconds"]), ("mb", row["peak_mb"])):
        if number > demands.get(name, math.inf):
            yield name


def _wrong_numbers(row: dict[str, Any], truth: float, n: int) -> Iterator[str]:
    value, limit, p = row["value"], row["lower_limit"], row["p_value"]
    if not row["low"] <= truth <= row["high"]:
        yield "interval"
    if row["low"] == row["high"] and row["how"] != "constant column":
        yield "no width"
    if limit > truth:
        yield "limit above truth"
    if value < limit - NO_MORE:
        yield "value below limit"
    is_seen = truth > 0.1 and n >= ENOUGH_ROWS
    if math.isnan(p) or (truth == 0 and p < SURELY) or (is_seen and p > SURELY):
        yield "p-value"


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a row for each fit, in the order of the cases."""
    made = []
    order = list(CASES)
    for row in sorted(rows, key=lambda row: order.index(row["task"])):
        case = CASES[row["task"]]
        wrong = list(misses(case, row))
        made.append(
            {
                "line": case.line,
                "task": row["task"],
                "setting": row["setting"] or "-",
                "seed": row["seed"],
                "truth": case.truth,
                "value": row["value"],
                "low": row.get("low"),
                "high": row.get("high"),
                "limit": row.get("lower_limit"),
                "at_least": row.get("at_least"),
                "p": row.get("p_value"),
                "seconds": row["cpu_seconds"],
                "peak_mb": row["peak_mb"],
                "ok": not wrong,
                "misses": ", ".join(wrong),
                "how": row["how"],
                "commit": row["commit"],
            }
        )
    return pd.DataFrame(made)


def report(out: Any) -> str:
    """Write the tables to the folder, and return the text."""
    rows = [row for row in read_cells(out) if row["task"] in CASES]
    return write_table("kinds", table(rows), out) if rows else "no fits yet"


def main(arguments: list[str] | None = None) -> None:
    """Fit what is missing, and write the tables."""
    parser = options(__doc__, CASES, OUT)
    parser.add_argument("--settings", nargs="+", help="default, closed-form or copula")
    parser.add_argument("--seeds", type=int, help="at most so many of each case")
    asked = parser.parse_args(arguments)
    cells = [
        Cell(name, seed, setting)
        for seed in range(asked.seeds or max(case.seeds for case in CASES.values()))
        for name in asked.tasks
        for setting in CASES[name].settings
        if seed < CASES[name].seeds and setting in (asked.settings or CASES[name].settings)
    ]
    go_on(asked, cells, "cells.jsonl", measured, report)


if __name__ == "__main__":
    # By its own name, so that worker processes find it.
    from information_kinds import main as run_main

    run_main()
