"""Log-ratios of categories: tables of frequencies, and classifiers, mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mi.information.atoms import Coded
from sklearn_mi.information.plugin import BinnedCritic, TableCritic
from sklearn_mi.information.scale import Calibration
from sklearn_mi.information.sides import Side

__all__ = ["ClassRatio", "NoRatio", "TableRatio", "fit_class_ratio"]

FEWEST_TO_STRATIFY = 10  # rows of a class
MIXING_STEPS = 200


class _NotACopula:
    """What critics without a copula and without a network have in common."""

    is_parametric = has_regressions = False
    family = None
    calibration = Calibration()

    def __init__(self, n_candidates: int) -> None:
        self.weights = np.full(n_candidates, 1 / n_candidates)
        self.losses: dict[str, float] = {}
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def correction(self, X: np.ndarray, Y: np.ndarray) -> float:
        """Return 0: there is no closed form to correct towards."""
        return 0.0


class NoRatio(_NotACopula):
    """The log-ratio 0 of every pair, where rows are too few to learn another."""

    def __init__(self) -> None:
        super().__init__(1)

    def pairs(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return 0 for each pair."""
        return np.zeros(len(X))

    def matrix(self, X: np.ndarray, Y: np.ndarray) -> Tensor:
        """Return 0 for every pair of rows."""
        return torch.zeros(len(X), len(Y), dtype=torch.float64)

    def each(self, X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by name."""
        return {"nothing": self.pairs(X, Y)}


class TableRatio(_NotACopula):
    """The log-ratio from frequencies: of labels, or of a binned column and a class.

    Parameters
    ----------
    classes : ndarray, optional
        If X is a column of numbers, to be cut into bins, the classes of Y.
    """

    def __init__(self, classes: np.ndarray | None = None) -> None:
        super().__init__(1)
        self.classes = classes
        self.critic: Any = TableCritic() if classes is None else BinnedCritic()

    def _sides(self, X: np.ndarray, Y: np.ndarray) -> tuple[Any, Any]:
        if self.classes is None:
            return X, Y
        codes = np.searchsorted(self.classes, Y)[:, None].astype(float)
        return Coded(X, np.zeros(1, bool)), Coded(codes, np.ones(1, bool))

    def fit(self, X: np.ndarray, Y: np.ndarray) -> TableRatio:
        """Count training rows."""
        self.critic.fit(*self._sides(X, Y))
        return self

    def pairs(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the log-ratio of partners, of shape (n,)."""
        return self.critic.pairs(*self._sides(X, Y))

    def matrix(self, X: np.ndarray, Y: np.ndarray) -> Tensor:
        """Return the log-ratio of every pair of rows, of shape (n, m)."""
        return torch.as_tensor(self.critic.matrix(*self._sides(X, Y)))

    def each(self, X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log-ratio of partners by name."""
        return {"frequencies": self.pairs(X, Y)}


class ClassRatio(_NotACopula):
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

    def __init__(
        self, side: Side, classifiers: dict[str, Any], classes: np.ndarray, log_prior: np.ndarray
    ) -> None:
        super().__init__(len(classifiers))
        self.side, self.classifiers = side, classifiers
        self.classes, self.log_prior = classes, log_prior

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
    least = int(np.unique(train[1], return_counts=True)[1].min())
    candidates = _classifiers(len(X), seed, can_stop=least >= FEWEST_TO_STRATIFY)
    if never_constant:
        del candidates["prior"]
    if len(np.unique(train[1])) < 2:
        candidates = {"prior": _classifiers(len(X), seed, can_stop=False)["prior"]}
    counts = np.array([(train[1] == c).sum() + (stop[1] == c).sum() for c in classes])
    log_prior = np.log((counts + 0.5) / (counts + 0.5).sum())
    fitted = {name: classifier.fit(X, train[1]) for name, classifier in candidates.items()}
    ratio = ClassRatio(side, fitted, classes, log_prior)
    ratio.weigh(*stop)
    return ratio


def _classifiers(n: int, seed: int, *, can_stop: bool) -> dict[str, Any]:
    """Return classifiers of several kinds: on few rows, none is best everywhere.

    Trees stop early on many rows, but scikit-learn cannot set rows of a tiny class aside.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    return {
        "prior": DummyClassifier(strategy="prior"),
        "logistic": LogisticRegression(max_iter=1000),
        "boosting": HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_leaf_nodes=8,
            max_iter=150,
            early_stopping="auto" if can_stop else False,  # type: ignore[arg-type]
            random_state=seed,
        ),
        "forest": RandomForestClassifier(100, min_samples_leaf=10, random_state=seed),
        "neighbors": KNeighborsClassifier(min(25, n)),
    }
