"""The scale of log-ratios that a network has learned, by Kullback-Leibler divergence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy.optimize import minimize_scalar
from torch import Tensor

__all__ = ["Calibration", "fit_scale"]

FEWEST_EFFECTIVE = 100
LARGEST_SCALE = 2.0

Scores = TypeVar("Scores", np.ndarray, Tensor, float)


@dataclass(frozen=True)
class Calibration:
    """A scale and a shift of log-ratios.

    Attributes
    ----------
    scale, shift : float
    shift_error : float
        Standard error of the shift, and of a mean after it beyond that of the mean.
    effective_sample_size : float
        Of the unrelated pairs that the shift was fitted to, weighted by their ratios.
    """

    scale: float = 1.0
    shift: float = 0.0
    shift_error: float = 0.0
    effective_sample_size: float = math.inf

    def __call__(self, scores: Scores) -> Scores:
        """Return ``scale * scores - shift``."""
        return self.scale * scores - self.shift

    @property
    def is_known(self) -> bool:
        """Whether enough unrelated pairs carry the sum; if not, call the value "at least"."""
        return self.effective_sample_size >= FEWEST_EFFECTIVE


def fit_scale(partners: Tensor, unrelated: Tensor) -> Calibration:
    r"""Fit the scale and the shift of log-ratios to rows that they were not trained on.

    At high information the logistic loss hardly depends on the scale of the scores f: all pairs are
    told apart. The Kullback-Leibler divergence from the joint distribution to the product of the
    marginals, reweighted by :math:`e^{s f - c}`, does. It is smallest at

    .. math:: \max_s \; s \, P[f] - \log Q[e^{s f}], \qquad c = \log Q[e^{s f}],

    a concave problem with the bound of Donsker and Varadhan as its value. On new rows the mean
    :math:`s f - c` of partners falls short of the information by that divergence, up to the error
    of c: report it, not the maximum. Where few unrelated pairs make up :math:`Q[e^{s f}]`, most
    samples give too small a sum, and the maximum has no meaning. There the scores are not raised: s
    is at most 1 and c at least 0, and the mean is called "at least" (`Calibration.is_known`).

    Parameters
    ----------
    partners : Tensor of shape (n,)
        Scores of partners, P.
    unrelated : Tensor of shape (n, k)
        Scores of unrelated pairs, Q; of all n (n - 1) pairs if the information may exceed a few
        nats. Cells of minus infinity are left out.

    Returns
    -------
    calibration : Calibration

    References
    ----------
    On Calibration of Modern Neural Networks (Guo, Pleiss, Sun & Weinberger, 2017),
    https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> import math
    >>> import torch
    >>> from sklearn_mi.datasets import correlated_gaussian
    >>> from sklearn_mi.information.scale import fit_scale
    >>> x, y, _ = correlated_gaussian(1000, 1, true_mi=0.5, random_state=0)
    >>> x, y = torch.as_tensor(x).flatten(), torch.as_tensor(y).flatten()
    >>> rho2 = 1 - math.exp(-1)
    >>> def log_ratio(x, y):
    ...     squares = rho2 * (x**2 + y**2) - 2 * rho2**0.5 * x * y
    ...     return 0.5 - squares / (2 * (1 - rho2))
    >>> found = fit_scale(3 * log_ratio(x, y), 3 * log_ratio(x[:, None], y.roll(1)[None, :400]))
    >>> print(f"{found.scale:.1f}")
    0.3
    """
    mean = float(partners.double().mean())
    every = unrelated.double()
    cells = every[every > -math.inf]

    def log_mean(s: float) -> float:
        return float((s * cells).logsumexp(0)) - math.log(len(cells))

    found: Any = minimize_scalar(
        lambda s: log_mean(s) - s * mean, bounds=(0, LARGEST_SCALE), method="bounded"
    )
    scale = float(found.x)
    size = len(cells) * math.exp(2 * log_mean(scale) - log_mean(2 * scale))
    error = _error_of_log_mean((scale * every - log_mean(scale)).exp())
    if size >= FEWEST_EFFECTIVE:
        return Calibration(scale, log_mean(scale), error, size)
    scale = min(scale, 1.0)
    return Calibration(scale, max(0.0, log_mean(scale)), error, size)


def _error_of_log_mean(weights: Tensor) -> float:
    """Return the standard error: rows and columns are draws, and count alike."""
    sums = weights.sum(1)
    return float((2 * sums.var() / len(sums)).sqrt() / sums.mean())
