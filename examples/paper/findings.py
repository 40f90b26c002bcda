r"""The claims of Tschannen et al. (2020) as tests that were stated before anything was run.

`verdicts` is a function of one tidy table, a row an evaluation. Its columns: ``figure`` ("1",
"1c", "2", "3", "4", "4c", and "8", "9" for 3 and 4 on CIFAR10; "11" for `k_pair_rows`),
``critic`` ("bilinear", "separable", "concat"), ``encoder`` ("mlp", "convnet"), ``objective``
("infonce", "nwj"; where there is a ``target`` in nats, the bound that is held there), ``iid``,
``step``, ``seed``, ``accuracy``, ``bound_train`` (mean over fresh training batches),
``bound_test`` (untouched rows) and ``log_condition`` (median over rows). A claim needs only the
columns that it names.

Each claim is a conjunction of comparisons, all listed here. A comparison says that a difference,
taken within each seed and averaged over seeds, lies on one side of a threshold: one one-sided t
test. D(a, b) is a minus b. Everything is said of the last step that both sides reached, and for
both objectives ("each") unless one is named.

=====  ============================================================================================
claim  holds if
=====  ============================================================================================
1      figure 1, each: D(accuracy, accuracy at step 0) > 0, with today's MinMaxScaler and with that
       of 2019 (``accuracy_2019``); D(bound, bound at the first evaluation after step 0) > 0, since
       NWJ starts at minus astronomic numbers
2      figure 1c: D(accuracy at step 0, accuracy) > .10; the encoder of step 0 is as good as pixels
3      figure 2, each: log condition number > ln 10; D(it, it at step 0) > 0
4      figure 3, each: D(bilinear, separable) > 0 and D(separable, concat) > 0 in accuracy
5      figure 3, NWJ: D(concat, bilinear) > 0 in the bound; D(bilinear, concat) > 0 in accuracy
6      figure 3, InfoNCE: D(concat, bilinear) < .05 and D(separable, bilinear) < .05 nats in the
       bound, 1 % of its ceiling: a larger critic is tighter by less than that, or not at all
7      figure 4, each, t = 2 and 4: D(convnet, mlp) > 0 in accuracy
7size  the mean of these four differences > .025 and < .045: 3 to 4 points when rounded
8      figure 4, each: D(convnet at t = 2, mlp at t = 4) > 0 in accuracy
9      figure 4, both encoders, t = 2 and 4: D(NWJ, InfoNCE) > -.01 and < .01 in accuracy; the mean
       of D(convnet, mlp) > .01: encoders differ by more than estimators may
10     figure 4c, mean of the last quarter of the steps, each: D(bound, true mutual information) > 0
       for dependent batches, and < .01 for independent ones
11     figure 11: D(InfoNCE, log K minus K-pair loss) > -1e-5 and < 1e-5 nats
=====  ============================================================================================

A claim about bounds, 1, 5 and 6, is judged twice: on ``bound_train``, as in the paper, and on
``bound_test``. 6, 8 and 7size are read off the figures and are no sentences of the paper. 7, 8
and 9 speak of matched bounds, so a seed counts only where each run that it compares ends within .2
nats of its target (2 nats are worth about .01 to .02 of accuracy, so .2 are worth .001 to .002);
a note says how many seeds were left out.

No verdict stands on fewer than 8 seeds. Where `plan.py` planned new seeds for a claim, these alone
decide, and only when all of them have run; until then its numbers are those of the pilots and the
claim is undecided.

The p of a claim is the largest of its comparisons'; the p of its opposite the smallest p of their
opposites, times their number. Both are corrected over the claims by Holm's method. "holds": p
below alpha; "does not hold": the opposite's p is; "undecided": neither, or fewer than 8 seeds;
"not run": a comparison has no data. Estimate and interval are those of the comparison with
the largest p, the one that decides; `comparisons` gives all.

    python examples/paper/findings.py results.csv

prints the table of verdicts.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from sklearn_mi.datasets import toy_true_mi

if TYPE_CHECKING:
    from planned import Planned

FAR_BELOW_PIXELS = 0.10
ILL_CONDITIONED = math.log(10)
AS_TIGHT = 0.05
SAME_ACCURACY = 0.01
GAP_IN_FIGURES = (0.025, 0.045)
ABOVE_TRUE_MI = 0.01
IDENTICAL = 1e-5
MATCHED = 0.2
FEWEST_SEEDS = 8
NARROW = "each interval is shorter than the paper's effect"

EACH = ("infonce", "nwj")
TARGETS = (2.0, 4.0)
FIGURES = {"mnist": {}, "cifar10": {"3": "8", "4": "9"}}
JUDGED_ON = {"bound_train": "training batches", "bound_test": "untouched rows"}


class Runs:
    """The table, read as curves over steps, one a seed."""

    def __init__(self, table: pd.DataFrame, data: str = "mnist", step: int | None = None) -> None:
        self.figures = dict(list(table.groupby(table["figure"].astype(str))))
        self.other_names, self.step = FIGURES[data], step

    def curves(self, column: str, figure: str, **cell: object) -> pd.DataFrame:
        """Return a column of one cell, seeds by steps, NaN where a run has no finite number."""
        rows = self.figures.get(self.other_names.get(figure, figure))
        if rows is None or not {column, *cell} <= set(rows):
            return pd.DataFrame(dtype=float)
        wanted = np.logical_and.reduce([rows[name] == value for name, value in cell.items()])
        rows = rows[wanted] if cell else rows
        # A run that failed may leave an empty row at a step that it had already reached.
        values = rows.set_index(["seed", "step"])[column].astype(float).dropna()
        if values.empty:
            return pd.DataFrame(dtype=float)
        if not values.index.is_unique:
            seed, step = values.index[values.index.duplicated()][0]
            raise ValueError(
                f"figure={figure!r}, {cell}: several rows for seed={seed}, step={step}; expected "
                "one. Name the cells apart by figure."
            )
        curves = values.unstack()
        return curves.where(np.isfinite(curves))

    def last(self, curves: pd.DataFrame) -> pd.Series:
        """Return the values at the chosen step, by default the last with any; named by the step."""
        ran = curves.dropna(axis=1, how="all")
        steps = [s for s in ran.columns if self.step is None or s == self.step]
        return ran[steps[-1]] if steps else pd.Series(dtype=float)

    def last_quarter(self, curves: pd.DataFrame) -> pd.Series:
        """Return the mean over the last quarter of the steps up to the chosen one."""
        ran = curves.dropna(axis=1, how="all")
        until = self.step if self.step is not None else ran.columns.max()
        late = ran.loc[:, (ran.columns >= 0.75 * until) & (ran.columns <= until)]
        return late.mean(axis=1).rename(until) if late.size else pd.Series(dtype=float)


def since(curves: pd.DataFrame, first: int | None) -> pd.DataFrame:
    """Return curves minus their value at the step ``first``, and only the steps after it."""
    if first not in curves.columns:
        return pd.DataFrame(dtype=float)
    return curves.sub(curves[first], axis=0).loc[:, curves.columns > first]


@dataclass(frozen=True)
class Comparison:
    """That the mean of ``differences``, one a seed, lies on one side of a threshold."""

    statement: str
    differences: pd.Series
    threshold: float = 0.0
    below: bool = False

    def result(self, alpha: float) -> dict[str, object]:
        """Return estimate, interval and the p of the statement and of its opposite."""
        kept = self.differences.dropna().to_numpy(float)
        mean = kept.mean() if len(kept) else math.nan
        above, not_above, half = one_sided(kept, self.threshold, alpha)
        return {
            "statement": f"{self.statement} {'<' if self.below else '>'} {self.threshold:.3g}",
            "estimate": mean,
            "low": mean - half,
            "high": mean + half,
            "n_seeds": len(kept),
            "dropped": len(self.differences) - len(kept),
            "step": self.differences.name,
            "p": not_above if self.below else above,
            "p_opposite": above if self.below else not_above,
        }


def one_sided(values: np.ndarray, threshold: float, alpha: float) -> tuple[float, float, float]:
    """Return the p of a mean above a threshold, of one below it, and half of an interval."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan, math.nan
    stderr = values.std(ddof=1) / math.sqrt(n)
    distance = values.mean() - threshold
    # Equal values leave no doubt about their sign, and no t.
    t = distance / stderr if stderr > 0 else math.copysign(math.inf, distance) if distance else 0.0
    p, opposite = stats.t.sf(t, n - 1), stats.t.cdf(t, n - 1)
    return float(p), float(opposite), float(stats.t.isf(alpha / 2, n - 1) * stderr)


def within(
    statement: str, differences: pd.Series, low: float, high: float
) -> tuple[Comparison, Comparison]:
    """Return the two comparisons of an equivalence test."""
    return (
        Comparison(statement, differences, low),
        Comparison(statement, differences, high, below=True),
    )


Comparisons = Iterator[Comparison]


def bijective(runs: Runs, bound: str) -> Comparisons:
    """Claim 1."""
    for name in EACH:
        values = runs.curves(bound, "1", objective=name)
        first = min((s for s in values.dropna(axis=1, how="all") if s > 0), default=None)
        for scaler, column in (("", "accuracy"), (", scaler of 2019", "accuracy_2019")):
            accuracy = runs.curves(column, "1", objective=name)
            yield Comparison(f"{name}: rise of accuracy{scaler}", runs.last(since(accuracy, 0)))
        yield Comparison(f"{name}: rise of the bound", runs.last(since(values, first)))


def adversarial(runs: Runs, bound: str) -> Comparisons:
    """Claim 2."""
    fall = -since(runs.curves("accuracy", "1c"), 0)
    yield Comparison("fall of accuracy below pixels", runs.last(fall), FAR_BELOW_PIXELS)


def ill_conditioned(runs: Runs, bound: str) -> Comparisons:
    """Claim 3."""
    for name in EACH:
        condition = runs.curves("log_condition", "2", objective=name)
        yield Comparison(f"{name}: log condition", runs.last(condition), ILL_CONDITIONED)
        yield Comparison(f"{name}: rise of log condition", runs.last(since(condition, 0)))


def between_critics(runs: Runs, column: str, name: str, one: str, other: str) -> pd.Series:
    """Return the difference of two critics of figure 3."""
    first, second = (
        runs.curves(column, "3", objective=name, critic=critic) for critic in (one, other)
    )
    return runs.last(first - second)


def capacity(runs: Runs, bound: str) -> Comparisons:
    """Claim 4."""
    for name in EACH:
        for better, worse in (("bilinear", "separable"), ("separable", "concat")):
            differences = between_critics(runs, "accuracy", name, better, worse)
            yield Comparison(f"{name}: accuracy, {better} - {worse}", differences)


def tighter_but_worse(runs: Runs, bound: str) -> Comparisons:
    """Claim 5."""
    tighter = between_critics(runs, bound, "nwj", "concat", "bilinear")
    yield Comparison("nwj: bound, concat - bilinear", tighter)
    better = between_critics(runs, "accuracy", "nwj", "bilinear", "concat")
    yield Comparison("nwj: accuracy, bilinear - concat", better)


def not_tighter(runs: Runs, bound: str) -> Comparisons:
    """Claim 6."""
    for larger in ("concat", "separable"):
        differences = between_critics(runs, bound, "infonce", larger, "bilinear")
        yield Comparison(f"infonce: bound, {larger} - bilinear", differences, AS_TIGHT, below=True)


Cell = tuple[str, str, float]


def held(runs: Runs, *pairs: tuple[Cell, Cell]) -> pd.Series:
    """Return how far the first cell of each pair of figure 4 is ahead in accuracy, mean over pairs.

    A cell is an encoder, an objective and its target. NaN for seeds with a run off its target.
    """
    ahead, distances = 0.0, []
    for pair in pairs:
        first, second = (_held_cell(runs, *cell) for cell in pair)
        ahead = ahead + (first[0] - second[0]) / len(pairs)
        distances += [first[1], second[1]]
    last = runs.last(ahead)
    for distance in distances:
        last = last.where(distance.get(last.name, pd.Series(dtype=float)) <= MATCHED)
    return last


def _held_cell(
    runs: Runs, encoder: str, name: str, target: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return accuracies of a cell, and how far its bound is from the target."""
    cell = {"encoder": encoder, "objective": name, "target": target}
    accuracy, bound = (runs.curves(column, "4", **cell) for column in ("accuracy", "bound_train"))
    return accuracy, (bound - target).abs()


def mean_between_encoders(runs: Runs) -> pd.Series:
    """Return the mean of the four differences of the encoders."""
    cells = [(name, target) for name in EACH for target in TARGETS]
    return held(runs, *((("convnet", *cell), ("mlp", *cell)) for cell in cells))


def encoders(runs: Runs, bound: str) -> Comparisons:
    """Claim 7."""
    for name in EACH:
        for target in TARGETS:
            differences = held(runs, (("convnet", name, target), ("mlp", name, target)))
            yield Comparison(f"{name}, t={target:g}: accuracy, convnet - mlp", differences)


def size_between_encoders(runs: Runs, bound: str) -> Comparisons:
    """Claim 7size."""
    yield from within("accuracy, convnet - mlp", mean_between_encoders(runs), *GAP_IN_FIGURES)


def encoder_over_target(runs: Runs, bound: str) -> Comparisons:
    """Claim 8."""
    for name in EACH:
        differences = held(runs, (("convnet", name, 2.0), ("mlp", name, 4.0)))
        yield Comparison(f"{name}: accuracy, convnet at 2 - mlp at 4", differences)


def encoder_over_estimator(runs: Runs, bound: str) -> Comparisons:
    """Claim 9."""
    for encoder in ("convnet", "mlp"):
        for target in TARGETS:
            differences = held(runs, ((encoder, "nwj", target), (encoder, "infonce", target)))
            statement = f"{encoder}, t={target:g}: accuracy, nwj - infonce"
            yield from within(statement, differences, -SAME_ACCURACY, SAME_ACCURACY)
    yield Comparison("accuracy, convnet - mlp", mean_between_encoders(runs), SAME_ACCURACY)


def dependent(runs: Runs, bound: str) -> Comparisons:
    """Claim 10."""
    for name in EACH:
        broken, sound = (
            runs.last_quarter(runs.curves("bound_train", "4c", objective=name, iid=iid))
            for iid in (False, True)
        )
        yield Comparison(f"{name}, dependent: bound - true MI", broken - toy_true_mi())
        statement = f"{name}, independent: bound - true MI"
        yield Comparison(statement, sound - toy_true_mi(), ABOVE_TRUE_MI, below=True)


def identity(runs: Runs, bound: str) -> Comparisons:
    """Claim 11."""
    infonce, loss, candidates = (
        runs.curves(column, "11") for column in ("bound_train", "k_pair_loss", "n_candidates")
    )
    differences = runs.last(infonce - (np.log(candidates) - loss))
    yield from within("InfoNCE - (log K - K-pair loss)", differences, -IDENTICAL, IDENTICAL)


@dataclass(frozen=True)
class Claim:
    """A claim: its words, the paper's numbers, and its comparisons."""

    number: str
    text: str
    paper: str
    compare: Callable[[Runs, str], Comparisons]
    cifar10: str = ""
    stated: bool = True
    bounds: Sequence[str] = ("",)
    matched: bool = False


BOTH = tuple(JUDGED_ON)
CLAIMS = (
    Claim(
        "1",
        "With bijective encoders bound and accuracy rise although the true MI is constant.",
        "InfoNCE 4.415 to 4.771 nats, .8617 to .8959; NWJ 3.50 to 5.69, .8616 to .8899",
        bijective,
        bounds=BOTH,
    ),
    Claim(
        "2",
        "A bijective encoder can be made far worse than pixels.",
        ".8606 to .41-.55, one run",
        adversarial,
    ),
    Claim(
        "3",
        "Training makes a skip-MLP ill-conditioned.",
        "ln condition (40th percentile) .008 to 4.64 InfoNCE, 3.36 NWJ",
        ill_conditioned,
    ),
    Claim(
        "4",
        "Accuracy falls with the critic's capacity: bilinear > separable > MLP.",
        "InfoNCE .8802 > .8766 > .8565; NWJ .8701 > .8664 > .8548",
        capacity,
        "InfoNCE .347 > .338 > .312; NWJ .342 > .335 > .313",
    ),
    Claim(
        "5",
        "NWJ is tighter with the larger critic while its accuracy is lower.",
        "MLP 6.22 nats and .8548, bilinear 5.52 and .8701",
        tighter_but_worse,
        "MLP 6.05 nats and .313, bilinear 3.28 and .342",
        bounds=BOTH,
    ),
    Claim(
        "6",
        "InfoNCE is not tighter with the larger critic.",
        "MLP 4.706, separable 4.720, bilinear 4.733 nats",
        not_tighter,
        "MLP 4.51, separable 4.66, bilinear 4.67 nats",
        stated=False,
        bounds=BOTH,
    ),
    Claim(
        "7",
        "At a matched bound the ConvNet beats the MLP.",
        "InfoNCE .9060 / .8697 (t=4), .8946 / .8502 (t=2); NWJ .9050 / .8687, .8971 / .8562",
        encoders,
        "InfoNCE .406 / .340 (t=4), .388 / .339 (t=2); NWJ .412 / .342, .397 / .341",
        matched=True,
    ),
    Claim(
        "7size",
        "By 3 to 4 points.",
        "InfoNCE +.036 (t=4), +.044 (t=2); NWJ +.036, +.041",
        size_between_encoders,
        stated=False,
        matched=True,
    ),
    Claim(
        "8",
        "The ConvNet at 2 nats beats the MLP at 4.",
        "InfoNCE .8946 / .8697; NWJ .8971 / .8687",
        encoder_over_target,
        "InfoNCE .388 / .340; NWJ .397 / .342",
        stated=False,
        matched=True,
    ),
    Claim(
        "9",
        "The type of estimator matters less than the encoder.",
        "NWJ - InfoNCE at most .006 either way; ConvNet - MLP .036 to .044",
        encoder_over_estimator,
        "NWJ - InfoNCE at most .009 either way; ConvNet - MLP .049 to .070",
        matched=True,
    ),
    Claim(
        "10",
        "Dependent batches break both bounds.",
        "dependent: InfoNCE .190, NWJ .097; independent: .020, .0195; true MI .0204",
        dependent,
    ),
    Claim(
        "11",
        "InfoNCE = log K - K-pair loss.",
        "an identity",
        identity,
    ),
)


def comparisons(
    table: pd.DataFrame,
    data: str = "mnist",
    step: int | None = None,
    alpha: float = 0.05,
    planned: Planned | None = None,
) -> pd.DataFrame:
    """Return a row a comparison: estimate, interval, seeds, step and both uncorrected p."""
    pilots = Runs(table, data, step)
    rows = []
    for claim in CLAIMS:
        if data == "cifar10" and not claim.cifar10:
            continue
        runs = pilots
        if planned is not None and planned.complete(data, claim.number):
            runs = Runs(planned.rows(data, claim.number), data, step)
        for bound in claim.bounds:
            for comparison in claim.compare(runs, bound):
                key = {"claim": claim.number, "judged_on": JUDGED_ON.get(bound, "")}
                rows.append({**key, **comparison.result(alpha)})
    return pd.DataFrame(rows)


def verdicts(
    table: pd.DataFrame,
    data: str = "mnist",
    step: int | None = None,
    alpha: float = 0.05,
    planned: Planned | None = None,
) -> pd.DataFrame:
    """Return a row a claim, with its verdict.

    Parameters
    ----------
    table : DataFrame
        A row an evaluation; the module's first lines say which columns.
    data : {"mnist", "cifar10"}
        "cifar10" judges claims 4 to 9 on figures 8 and 9.
    step : int or None
        Judge at this step; by default at the last that both sides of a comparison reached.
    alpha : float
        Level of the family of claims.
    planned : Planned or None
        New seeds; a claim that has some is judged on them alone, once they are complete.

    Returns
    -------
    found : DataFrame
        Columns ``claim``, ``text``, ``judged_on``, ``source``, ``paper``, ``statement`` (of the
        comparison that decides), ``estimate``, ``low``, ``high`` (an interval of 1 - alpha),
        ``n_seeds``, ``step``, ``p`` and ``p_opposite`` (Holm), ``verdict``, ``note``.

    Raises
    ------
    ValueError
        If a cell has several rows for one seed and step.
    """
    by_number = {claim.number: claim for claim in CLAIMS}
    rows = []
    found = comparisons(table, data, step, alpha, planned)
    for (number, judged_on), part in found.groupby(["claim", "judged_on"], sort=False):
        claim = by_number[number]
        waits = "" if planned is None else planned.waits(data, number)
        rows.append(
            {
                "claim": number,
                "text": claim.text,
                "judged_on": judged_on,
                "source": "stated" if claim.stated else "read off the figures",
                "paper": claim.cifar10 if data == "cifar10" else claim.paper,
                **_deciding(part),
                "note": ". ".join(filter(None, [_note(part, claim.matched), waits])),
                "waits": bool(waits),
                "narrow": planned is not None and planned.narrow(data, number, part),
            }
        )
    found = pd.DataFrame(rows)
    for name in ("p", "p_opposite"):
        # A claim that ran without a p, for want of seeds, is one of the family all the same.
        found[name] = holm(found[name].where(found[name].notna() | ~found["ran"], 1.0))
    found["verdict"] = [_verdict(row, alpha) for row in found.itertuples()]
    narrow = found["narrow"] & (found["verdict"] == "undecided")
    found.loc[narrow, "note"] = found["note"].map(lambda said: f"{said}. {NARROW}".lstrip(". "))
    return found.drop(columns=["ran", "fewest", "waits", "narrow"])


def _deciding(part: pd.DataFrame) -> dict[str, object]:
    """Return the numbers of the comparison that decides about a claim, and the claim's two p."""
    shown = ["statement", "estimate", "low", "high", "n_seeds", "step"]
    ran = bool((part["n_seeds"] + part["dropped"] > 0).all())
    # A conjunction is as sure as its least sure part; a single seed makes no part sure.
    p = part["p"].max() if ran and part["p"].notna().all() else math.nan
    opposite = min(1.0, part["p_opposite"].min() * len(part)) if ran else math.nan
    least = part["p"].fillna(math.inf).argmax()
    decides = part.iloc[least][shown].to_dict() if ran else dict.fromkeys(shown, math.nan)
    return {
        **decides,
        "p": p,
        "p_opposite": opposite,
        "ran": ran,
        "fewest": part["n_seeds"].min(),
    }


def _note(part: pd.DataFrame, matched: bool) -> str:
    """Return what a reader should know of the data."""
    lost = part.loc[part["n_seeds"] + part["dropped"] == 0, "statement"]
    if len(lost):
        return f"no data: {'; '.join(lost)}"
    most = part["dropped"].max()
    partner = "a partner at its target" if matched else "a finite partner"
    return f"{most} seeds without {partner} left out" if most else ""


def _verdict(row: tuple, alpha: float) -> str:
    if not row.ran:
        return "not run"
    if row.waits or row.fewest < FEWEST_SEEDS:
        return "undecided"
    if row.p < alpha:
        return "holds"
    return "does not hold" if row.p_opposite < alpha else "undecided"


def holm(p: Iterable[float]) -> np.ndarray:
    """Return p values corrected by Holm's method over those that are not NaN."""
    p = np.asarray(list(p), float)
    corrected = np.full(len(p), math.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    scaled = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return corrected


def k_pair_rows(seeds: Iterable[int] = range(20), n: int = 64) -> pd.DataFrame:
    """Return rows for claim 11: InfoNCE by the package, the loss by the loop of its definition.

    One encoder for both views and an inner product as the critic, as the loss has it.
    """
    import torch

    from sklearn_mi.bounds import infonce

    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, 8))
        encoder = rng.normal(size=(8, 4)) / 2
        z, z_prime = x @ encoder, (x + 0.1 * rng.normal(size=(n, 8))) @ encoder
        scores = z @ z_prime.T
        loss = np.mean([np.log(np.sum(np.exp(row - row[i]))) for i, row in enumerate(scores)])
        value = infonce(torch.from_numpy(scores)).item()
        rows.append({"seed": seed, "bound_train": value, "k_pair_loss": loss})
    return pd.DataFrame(rows).assign(figure="11", step=0, n_candidates=n)


def shown(found: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts as words, for a page."""
    number = "{:.4g}".format
    rows = []
    for row in found.itertuples():
        label = "" if row.source == "stated" else f" ({row.source})"
        judged = f" On {row.judged_on}." if row.judged_on else ""
        interval = "" if pd.isna(row.low) else f" [{number(row.low)}, {number(row.high)}]"
        estimate = f"{number(row.estimate)}{interval} ({row.statement})"
        ours = "-" if pd.isna(row.estimate) else estimate
        rows.append(
            {
                "claim": f"({row.claim}) {row.text}{judged}{label}",
                "paper": row.paper,
                "ours": ". ".join(filter(None, [ours, row.note])),
                "seeds": "-" if row.verdict == "not run" else f"{row.n_seeds:g}",
                "steps": "-" if pd.isna(row.step) else f"{row.step:g}",
                "p (Holm)": "-" if pd.isna(row.p) else f"{row.p:.2g}",
                "verdict": row.verdict,
            }
        )
    return pd.DataFrame(rows)


def to_markdown(found: pd.DataFrame) -> str:
    """Return the verdicts as a Markdown table."""
    table = shown(found)
    rows = [list(table), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def to_rst(found: pd.DataFrame) -> str:
    """Return the verdicts as a list-table of reStructuredText."""
    table = shown(found)
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [list(table), *table.to_numpy().tolist()]:
        # A cell must not be a list itself: "-" alone would open one.
        cells = [cell.replace("-", "\\-", 1) if cell.startswith("-") else cell for cell in row]
        lines += [f"   {'  -' if place else '* -'} {cell}" for place, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    results = pd.read_csv(sys.argv[1], dtype={"figure": str})
    print(to_markdown(verdicts(pd.concat([results, k_pair_rows()]))))
