"""Which number without labels predicts accuracy? ``python examples/paper/label_free.py [TABLE]``.

Reads what ``sklearn-mi study paper --figure label-free --scale cpu`` has written: settings (view x
critic x encoder x steps) on three data sets. For each criterion it prints Kendall's tau with
accuracy over all settings, the same among settings of one view (another view is another mutual
information), and the regret: what is lost by taking the setting that the criterion likes best,
against the best one. Intervals are 95 % percentiles over 1,000 bootstrap draws of trainings (view x
critic x encoder, with all their steps and seeds); they say what other settings on these data sets
would give, not what other data sets would.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

TABLE = Path(__file__).parents[2] / "docs" / "paper" / "figure_label-free.csv"
CRITERIA = {
    "held-out InfoNCE": "infonce_test",
    "training InfoNCE": "infonce_train",
    "effective rank (RankMe)": "effective_rank",
    "-|alpha-ReQ - 1|": "alpha_req",
    "-uniformity": "uniformity",
    "-alignment": "alignment",
    "cluster stability": "cluster_stability",
}
ACCURACIES = {"all labels": "accuracy", "5 a class": "accuracy_5_labels"}
N_BOOTSTRAP = 1_000


class Cells:
    """The settings of one data set and seed, each with a weight: how often a draw has it."""

    def __init__(self, cells: pd.DataFrame) -> None:
        self.learner = cells["learner"].to_numpy()
        view = cells["view"].to_numpy()
        self.views = [np.logical_and.outer(view == name, view == name) for name in set(view)]
        # A setting without the number (codes too narrow) counts as worst.
        self.values = {c: cells[c].fillna(-np.inf).to_numpy() for c in CRITERIA.values()}
        self.values |= {a: cells[a].to_numpy() for a in ACCURACIES.values()}
        # Differences of two infinities are no numbers; signs of comparisons are.
        self.signs = {
            c: np.greater.outer(v, v).astype(float) - np.less.outer(v, v)
            for c, v in self.values.items()
        }

    def tau(self, column: str, accuracy: str, w: np.ndarray, among: np.ndarray | None) -> float:
        """Return Kendall's tau-b; 0 where one of the two is equal everywhere and orders nothing."""
        pairs = np.outer(w, w) if among is None else np.outer(w, w) * among
        one, other = self.signs[column], self.signs[accuracy]
        scale = np.sqrt(np.sum(pairs * one**2) * np.sum(pairs * other**2))
        return float(np.sum(pairs * one * other) / scale) if scale else 0.0

    def regret(self, column: str, accuracy: str, w: np.ndarray) -> float:
        """Return how much worse than the best setting the one is that the criterion takes."""
        there = w > 0
        values, accuracies = self.values[column][there], self.values[accuracy][there]
        return float(accuracies.max() - accuracies[values.argmax()])

    def statistics(self, column: str, accuracy: str, w: np.ndarray) -> tuple[float, ...]:
        """Return tau over all, the mean of tau among the settings of each view, and the regret."""
        in_views = [self.tau(column, accuracy, w, view) for view in self.views]
        return (
            self.tau(column, accuracy, w, None),
            float(np.mean(in_views)),
            self.regret(column, accuracy, w),
        )


STATISTICS = ("tau", "tau in a view", "regret")


def groups_of(table: pd.DataFrame) -> list[tuple[str, Cells]]:
    """Return the trained settings by data set and seed, under the name of the data set."""
    trained = table[table["step"] > 0]
    return [(key[0], Cells(cells)) for key, cells in trained.groupby(["data", "seed"], sort=False)]


def draw_weights(groups: list[tuple[str, Cells]], n_draws: int, seed: int) -> list[np.ndarray]:
    """Return how often each draw has each setting of each group, (n_draws, n_settings).

    Trainings are drawn with all their steps and seeds, the same ones on all data sets.
    """
    names = pd.unique(np.concatenate([cells.learner for _, cells in groups]))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
    place = {name: k for k, name in enumerate(names)}
    return [counts[:, [place[name] for name in cells.learner]].astype(float) for _, cells in groups]


def summary(table: pd.DataFrame, n_draws: int = N_BOOTSTRAP, seed: int = 0) -> pd.DataFrame:
    """Return a row a statistic, accuracy and criterion: each data set, the mean, its interval."""
    groups = groups_of(table)
    weights = draw_weights(groups, n_draws, seed)
    rows = []
    for accuracy, criterion in product(ACCURACIES, CRITERIA):
        on = CRITERIA[criterion], ACCURACIES[accuracy]
        once = [cells.statistics(*on, np.ones(len(cells.learner))) for _, cells in groups]
        by_data = pd.DataFrame(once, columns=STATISTICS, index=[data for data, _ in groups])
        by_data = by_data.groupby(level=0, sort=False).mean()
        # Every data set has as many seeds, so the mean over groups is that over data sets.
        again = np.mean(
            [
                [cells.statistics(*on, w) for w in drawn]
                for (_, cells), drawn in zip(groups, weights, strict=True)
            ],
            axis=0,
        )
        low, high = np.percentile(again, [2.5, 97.5], axis=0)
        for k, statistic in enumerate(STATISTICS):
            found = {**by_data[statistic], "mean": by_data[statistic].mean()}
            key = {"statistic": statistic, "labels": accuracy, "criterion": criterion}
            rows.append({**key, **found, "low": low[k], "high": high[k]})
    order = STATISTICS.index
    return pd.DataFrame(rows).sort_values("statistic", key=lambda s: s.map(order), kind="stable")


def of_chance(table: pd.DataFrame) -> pd.DataFrame:
    """Return the regret of a setting that is drawn at random."""
    trained = table[table["step"] > 0].groupby(["data", "seed"], sort=False)
    return pd.DataFrame(
        {
            name: (trained[column].max() - trained[column].mean()).groupby(level=0).mean()
            for name, column in ACCURACIES.items()
        }
    )


if __name__ == "__main__":
    results = pd.read_csv(sys.argv[1] if len(sys.argv) > 1 else TABLE)
    n_cells = len(results[results["step"] > 0].drop_duplicates(["learner", "data", "step"]))
    print(f"{n_cells} settings, {results['seed'].nunique()} seeds")
    print(summary(results).round(3).to_string(index=False))
    print("regret of a random setting\n", of_chance(results).round(3).to_string())
