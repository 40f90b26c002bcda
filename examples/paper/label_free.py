"""Which number without labels predicts accuracy? ``python examples/paper/label_free.py [TABLE]``.

Reads what ``sklearn-mi study paper --figure label-free --scale cpu`` has written: settings (view x
critic x encoder x steps) on three data sets. For each criterion it prints Kendall's tau with
accuracy over all settings, the same among settings of one view (another view is another mutual
information), and the regret: what is lost by taking the setting that the criterion likes best,
against the best one. Intervals are 95 % percentiles over 2,000 bootstrap draws of trainings (view x
critic x encoder, with all their steps and seeds); they say what other settings on these data sets
would give, not what other data sets would.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

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
N_BOOTSTRAP = 2_000


def tau(cells: pd.DataFrame, column: str, accuracy: str) -> float:
    """Return Kendall's tau; a setting without the number (codes too narrow) counts as worst."""
    found = kendalltau(cells[column].fillna(-np.inf).rank(), cells[accuracy].rank())[0]
    return 0.0 if np.isnan(found) else float(found)  # equal everywhere: it orders nothing


def tau_in_views(cells: pd.DataFrame, column: str, accuracy: str) -> float:
    """Return the mean of tau among the settings of each view."""
    return float(np.mean([tau(part, column, accuracy) for _, part in cells.groupby("view")]))


def regret(cells: pd.DataFrame, column: str, accuracy: str) -> float:
    """Return how much worse than the best setting the one is that the criterion takes."""
    chosen = cells.loc[cells[column].fillna(-np.inf).idxmax(), accuracy]
    return float(cells[accuracy].max() - chosen)


STATISTICS = {"tau": tau, "tau in a view": tau_in_views, "regret": regret}


def over_runs(table: pd.DataFrame, statistic: str, column: str, accuracy: str) -> pd.Series:
    """Return a statistic for each data set, the mean over its seeds."""
    compute = STATISTICS[statistic]
    found = {
        key: compute(cells.reset_index(drop=True), column, accuracy)
        for key, cells in table.groupby(["data", "seed"], sort=False)
    }
    return pd.Series(found).groupby(level=0, sort=False).mean()


def bootstrap(table: pd.DataFrame, n_draws: int, seed: int = 0):
    """Yield tables of resampled trainings, the same ones on all data sets and seeds."""
    rng = np.random.default_rng(seed)
    parts = dict(list(table.groupby("learner", sort=False)))
    names = list(parts)
    for _ in range(n_draws):
        yield pd.concat([parts[names[i]] for i in rng.integers(len(names), size=len(names))])


def summary(table: pd.DataFrame, n_draws: int = N_BOOTSTRAP) -> pd.DataFrame:
    """Return a row a criterion, accuracy and statistic: each data set, the mean, its interval."""
    trained = table[table["step"] > 0]
    keys = [(s, c, a) for s in STATISTICS for a in ACCURACIES for c in CRITERIA]
    draws = [
        [over_runs(drawn, s, CRITERIA[c], ACCURACIES[a]).mean() for s, c, a in keys]
        for drawn in bootstrap(trained, n_draws)
    ]
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0) if n_draws else (np.nan, np.nan)
    rows = []
    for place, (statistic, criterion, accuracy) in enumerate(keys):
        by_data = over_runs(trained, statistic, CRITERIA[criterion], ACCURACIES[accuracy])
        rows.append(
            {
                "statistic": statistic,
                "labels": accuracy,
                "criterion": criterion,
                **by_data.to_dict(),
                "mean": by_data.mean(),
                "low": np.ravel(low)[place] if n_draws else np.nan,
                "high": np.ravel(high)[place] if n_draws else np.nan,
            }
        )
    return pd.DataFrame(rows)


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
