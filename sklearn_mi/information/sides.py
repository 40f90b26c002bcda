"""`Side`: how the rows of one table become tensors, fitted to its training rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from sklearn_mi.information.atoms import find_atoms
from sklearn_mi.information.copulas import NormalScores

__all__ = ["Side", "independent_components"]

FASTICA_STEPS = 50
FLAGS_UP_TO = 20
HEAVY_DOF = 5.0
LEARNED_DOF = (0.2, 200.0)
REFINING_STEPS = 60
SMALLEST_FLAG = 0.02
UNMIXED_UP_TO = 100
WINSORISED = 0.9


class Side:
    """The transformations of one of the two tables, fitted to its training rows.

    Rows are seen in up to three spaces: "plain" (each column transformed), "unmixed" (normal scores
    of independent components) and "flagged" (plain, and for each frequent value of a column a flag,
    so that a network sees an atom as an atom), and in those of ``encoders``.

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
        elif marginals is None and rows.ndim > 2:
            # One scale for all pixels.
            self.scale = rows.mean(dtype=float), max(rows.std(dtype=float), 1e-12)
        self.flags = _frequent_values(rows) if marginals else []
        self.encoders: dict[str, Callable[[np.ndarray], Tensor]] = {}
        self.unmixed = None
        if unmix and self.scores is not None:
            found = independent_components(rows, seed)
            if found is not None:
                components = rows @ found
                self.unmixed = found, NormalScores().fit(components)

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the rows as tensors, by space."""
        plain = rows
        if self.scores is not None:
            plain = self.scores.transform(rows)
        elif self.scale is not None:
            plain = (rows - self.scale[0]) / self.scale[1]
        spaces = {"plain": torch.as_tensor(plain, dtype=torch.float32)}
        if rows.shape[1:] == (1,):
            spaces["raw"] = torch.as_tensor(rows)
        if self.flags:
            flags = np.stack([rows[:, column] == value for column, value in self.flags], axis=1)
            flags = torch.as_tensor(flags, dtype=torch.float32)
            spaces["flagged"] = torch.cat([spaces["plain"], flags], dim=1)
        if self.unmixed is not None:
            components, scores = self.unmixed
            unmixed = scores.transform(rows @ components)
            spaces["unmixed"] = torch.as_tensor(unmixed, dtype=torch.float32)
        return spaces | {space: encode(rows) for space, encode in self.encoders.items()}


def _frequent_values(rows: np.ndarray) -> list[tuple[int, float]]:
    """Return columns and the values in them that deserve a flag, the most frequent first."""
    found = []
    for column, values in enumerate(rows.T):
        for atom in find_atoms(values):
            share = float((values == atom).mean())
            # Of two values, one flag and the column itself would say the same.
            if share >= SMALLEST_FLAG and len(np.unique(values)) > 2:
                found.append((share, column, float(atom)))
    return [(column, value) for _, column, value in sorted(found, reverse=True)[:FLAGS_UP_TO]]


def independent_components(rows: np.ndarray, seed: int) -> np.ndarray | None:
    r"""Return directions along which the rows are independent; None if they cannot be found.

    FastICA finds them up to the error of the covariance, which is large if tails are heavy. There,
    the likelihood of independent Student's t components refines them, without a whitening:

    .. math:: \max_{W, \nu} \; \log |\det W| + \frac1n \sum_{i, k} \log t_{\nu_k}((W x_i)_k)

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
    seed : int

    Returns
    -------
    directions : ndarray of shape (n_features, n_features) or None
        ``rows @ directions`` are the components.
    """
    n, d = rows.shape
    if not 2 <= d <= min(UNMIXED_UP_TO, n // 10) or np.linalg.matrix_rank(np.cov(rows.T)) < d:
        return None
    # Whatever its unit, a column is the same column: no sign and no scale may decide the start.
    unit = rows.std(axis=0)
    centred = (rows - np.median(rows, axis=0)) / unit
    values, vectors = np.linalg.eigh(np.cov(centred.T))
    whitening = vectors / np.sqrt(np.maximum(values, 1e-300)) @ vectors.T
    white = centred @ whitening
    length = np.linalg.norm(white, axis=1)
    limit = np.quantile(length, WINSORISED)
    white *= np.minimum(1, limit / np.maximum(length, 1e-300))[:, None]
    first = whitening @ _rotation(white, seed).T
    scale = np.maximum(np.median(np.abs(centred @ first), axis=0), 1e-12)
    return _refined(centred, first / scale) / unit[:, None]


def _rotation(white: np.ndarray, seed: int) -> np.ndarray:
    """Return FastICA's rotation of white rows, one component in each row of the matrix."""
    from sklearn.decomposition import fastica

    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(white.shape[1],) * 2))[0]
    for _ in range(FASTICA_STEPS):
        # Step by step: at its last step it would warn, and warnings cannot be silenced in threads.
        before = rotation
        step: Any = fastica(
            white,
            whiten=False,  # pyright: ignore
            fun="exp",
            w_init=before,
            max_iter=1,
            tol=2.0,
        )
        rotation = step[1]
        if np.abs(np.abs((rotation * before).sum(1)) - 1).max() < 1e-3:
            break
    return rotation


def _refined(rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return directions of larger likelihood under t components, if tails are heavy."""
    d = rows.shape[1]
    components = torch.as_tensor(rows @ directions)
    start = np.concatenate([np.eye(d).ravel(), np.zeros(d)])
    bounds = [(None, None)] * (d * d) + [tuple(np.log(LEARNED_DOF))] * d
    found: Any = minimize(
        partial(_minus_likelihood, components),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": REFINING_STEPS},
    )
    if np.exp(found.x[d * d :]).min() > HEAVY_DOF or not np.isfinite(found.fun):
        return directions
    return directions @ found.x[: d * d].reshape(d, d).T


def _minus_likelihood(components: Tensor, point: np.ndarray) -> tuple[float, np.ndarray]:
    d = components.shape[1]
    x = torch.tensor(point, requires_grad=True)
    turn, dof = x[: d * d].view(d, d), x[d * d :].exp()
    constant = torch.lgamma((dof + 1) / 2) - torch.lgamma(dof / 2) - (dof * torch.pi).log() / 2
    kernel = (dof + 1) / 2 * torch.log1p((components @ turn.T).square() / dof)
    loss = -(constant - kernel).sum(1).mean() - torch.linalg.slogdet(turn)[1]
    loss.backward()
    assert x.grad is not None
    return float(loss.detach()), x.grad.numpy()
