"""Scores of rows of one table against rows of another, and the best partners of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_mi._base import positive_integer
from sklearn_mi.encoding import check_length, encode
from sklearn_mi.model import PairModel
from sklearn_mi.rows import Schema, read_pair, read_rows, warn_of_lacking
from sklearn_mi.runtime import choose_device
from sklearn_mi.tiles import project

__all__ = ["best_pairs", "pair_scores", "second_table"]

SIMILARITIES = ("critic", "cosine")
# Rows and candidates that are scored at once: 4 MiB of scores, which stay in a cache.
ROWS_AT_ONCE, CANDIDATES_AT_ONCE = 256, 4096

Schemas = tuple[Schema, Schema | None]
Scores = Callable[[Tensor, Tensor], Tensor]


def pair_scores(
    learner: Any, model: PairModel, schemas: Schemas, A: Any, B: Any, similarity: str
) -> np.ndarray:
    """Return the score of every row of a table against every row of another.

    Parameters
    ----------
    learner : BaseEstimator
        The owner of the columns; error messages give its name.
    model : PairModel
    schemas : tuple of Schema
        Of the table and of the second table, or None.
    A, B : array-like
        Rows of the table, and of the second one.
    similarity : {"critic", "cosine"}

    Returns
    -------
    scores : ndarray of shape (n, m)
        In float32.

    Raises
    ------
    ValueError
        If there is no second table, or more than one; or if the similarity does not exist.
    """
    z_x, z_y, score = _sides(learner, model, schemas, A, B, similarity)
    scores = np.empty((len(z_x), len(z_y)), dtype=np.float32)
    with torch.inference_mode():
        for i, rows in _parts(z_x, ROWS_AT_ONCE):
            for j, candidates in _parts(z_y, CANDIDATES_AT_ONCE):
                tile = score(rows, candidates).cpu().numpy()
                scores[i : i + len(rows), j : j + len(candidates)] = tile
    return scores


def best_pairs(
    learner: Any, model: PairModel, schemas: Schemas, A: Any, B: Any, k: int, similarity: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest scores of each row of a table, and the rows of another that have them.

    Parameters
    ----------
    learner, model, schemas, A, B, similarity
        As for `pair_scores`.
    k : int

    Returns
    -------
    scores : ndarray of shape (n, k)
        In float32, the largest first.
    indices : ndarray of int of shape (n, k)

    Raises
    ------
    ValueError
        As of `pair_scores`; or if there are fewer than k candidates.
    """
    positive_integer("k", k)
    z_x, z_y, score = _sides(learner, model, schemas, A, B, similarity)
    if k > len(z_y):
        raise ValueError(f"k={k}; expected at most {len(z_y)}, the number of candidates.")
    best = []
    with torch.inference_mode():
        for _, rows in _parts(z_x, ROWS_AT_ONCE):
            best.append(_best_of(rows, z_y, k, score))
    scores, indices = (torch.cat(each).cpu().numpy() for each in zip(*best, strict=True))
    return scores, indices


def _best_of(rows: Tensor, z_y: Tensor, k: int, score: Scores) -> tuple[Tensor, Tensor]:
    """Return the k largest scores of some rows, and the numbers of their candidates."""
    scores = rows.new_empty(len(rows), 0)
    indices = torch.empty(len(rows), 0, dtype=torch.int64, device=rows.device)
    for start, candidates in _parts(z_y, CANDIDATES_AT_ONCE):
        # A row that lacks its table has no score, and comes last.
        found = score(rows, candidates).nan_to_num(nan=-torch.inf)
        values, places = found.topk(min(k, len(candidates)), dim=1)
        scores = torch.cat([scores, values], dim=1)
        indices = torch.cat([indices, places + start], dim=1)
        scores, kept = scores.topk(min(k, scores.shape[1]), dim=1)
        indices = indices.gather(1, kept)
    return scores, indices


def _parts(codes: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield some codes at a time, and the number of the first of them."""
    for start in range(0, len(codes), size):
        yield start, codes[start : start + size]


def _sides(
    learner: Any, model: PairModel, schemas: Schemas, A: Any, B: Any, similarity: str
) -> tuple[Tensor, Tensor, Scores]:
    """Return the codes of both tables, and what scores them."""
    _check(model, similarity)
    is_critic = similarity == "critic"
    heads: list[nn.Module | None] = [None, None]
    if is_critic:
        heads = [model.first_head, model.second_head or model.first_head]
    schema, scale = second_table(model, schemas)
    rows = read_rows(learner, A, known=schemas[0]).windowed(model.view.window)
    others = read_pair(B, schema, type(learner).__name__)
    warn_of_lacking(rows)
    warn_of_lacking(others, "X_pair")
    check_length(rows, model.scale, model.encoder)
    check_length(others, scale, model.encoder_y, "X_pair")
    device = choose_device(learner.device)
    model.eval()

    def first(x: Tensor) -> Tensor:
        z = model.encoder(model.view.inputs(x, model.state.tensors())[0])
        return _behind(heads[0], z)

    def second(x: Tensor) -> Tensor:
        return _behind(heads[1], model.encoder_y(x))

    z_x = torch.cat(list(encode(rows.rows(model.scale, device, stream=True), first)))
    z_y = torch.cat(list(encode(others.rows(scale, device, stream=True), second)))
    if is_critic:
        with torch.inference_mode():
            return project(model.critic, z_x, z_y)
    if z_x.shape[1] != z_y.shape[1]:
        raise ValueError(
            f"similarity='cosine' needs codes of one width, but they have {z_x.shape[1]} and "
            f"{z_y.shape[1]} components; take similarity='critic'."
        )
    return functional.normalize(z_x), functional.normalize(z_y), lambda a, b: a @ b.T


def second_table(model: PairModel, schemas: Schemas) -> tuple[Schema, Any]:
    """Return the schema and the first layer of the second table, or of the second set of columns.

    Parameters
    ----------
    model : PairModel
    schemas : tuple of Schema
        Of the table and of the second table, or None.

    Returns
    -------
    schema : Schema
    layer : Standardize or FrontLayer
    """
    schema, layer = schemas[1], model.scale_pair
    if schema is None or layer is None:
        return model.second_part(schemas[0])
    return schema, layer


def _behind(head: nn.Module | None, z: Tensor) -> Tensor:
    return (z if head is None else head(z)).float()


def _check(model: PairModel, similarity: str) -> None:
    """Refuse an unknown similarity, several tables, and a critic that was not trained."""
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity={similarity!r}; expected 'critic' or 'cosine'.")
    if len(model.shapes) > 2:
        raise ValueError(
            f"The learner was fitted to {len(model.shapes)} tables; expected two: fit X and one "
            "X_pair for each pair of tables to match."
        )
    if similarity == "critic" and model.comparison.owns_scores:
        raise ValueError(
            f"comparison={model.recipe.comparison!r} scores by networks of its own, so the critic "
            "is not trained; take similarity='cosine'."
        )
