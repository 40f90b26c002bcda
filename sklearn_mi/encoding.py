"""Encode rows block by block, so that a code does not depend on how many others are encoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mi.encoders import SequenceModule, code_width
from sklearn_mi.rows import CheckedRows, Rows
from sklearn_mi.runtime import enough_memory

__all__ = ["check_length", "codes_of_steps", "each_step", "encode"]

# Larger blocks are slightly faster, but a single row costs a whole block, too.
ENCODE_BLOCK = 512
# Fewer images, so the output of convolutions stays in a processor's cache.
LEAST_BLOCK, NUMBERS_IN_CACHE = 64, 2**19
NUMBERS_ON_GPU = 2**24


def encode(
    rows: Rows, module: Callable[[Tensor], Tensor], block: int | None = None
) -> Iterator[Tensor]:
    """Yield the codes of all rows, block by block, without gradients.

    The last block is padded with zeros: float32 sums depend on the size of the block, and a row's
    code must not depend on how many others are encoded with it. A GPU takes large blocks, and
    smaller ones once it is out of memory.
    """
    block = block or _block_size(rows)
    start = 0
    with torch.inference_mode():
        while start < len(rows):
            try:
                codes = _encode_block(rows, module, start, block)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                if block == 1:
                    with enough_memory("one row is too much; use device='cpu'"):
                        raise
                block //= 2
                continue
            yield codes
            start += block


def _block_size(rows: Rows) -> int:
    numbers = math.prod(rows.shape[1:])
    if rows.device.type != "cuda":
        fitting = 1 << max(0, (NUMBERS_IN_CACHE // numbers).bit_length() - 1)
        return min(ENCODE_BLOCK, max(LEAST_BLOCK, fitting)) if len(rows.shape) > 2 else ENCODE_BLOCK
    n_blocks = NUMBERS_ON_GPU // (ENCODE_BLOCK * numbers)
    return ENCODE_BLOCK * min(64, max(1, n_blocks))


def _encode_block(rows: Rows, module: Callable[[Tensor], Tensor], start: int, block: int) -> Tensor:
    x = rows[start : start + block]
    missing = block - len(x)
    padded = torch.cat([x, x.new_zeros(missing, *x.shape[1:])]) if missing else x
    return module(padded)[: len(x)]


def check_length(rows: CheckedRows, layer: Any, encoder: nn.Module, name: str = "X") -> None:
    """Refuse recordings longer than in ``fit`` if the encoder takes no others.

    Parameters
    ----------
    rows : CheckedRows
    layer : Standardize or FrontLayer
    encoder : Module
    name : str, default="X"
        Of the table, for messages.

    Raises
    ------
    ValueError
        It names the cure.
    """
    known = rows.kind.row_shape
    shape = layer.row_shape(rows.source.shape[1:], known)
    if shape == known:
        return
    try:
        code_width(encoder, shape)
    except ValueError as error:
        raise ValueError(
            f"{name} has recordings of up to {shape[0]} steps, but the encoder takes at most "
            f"{known[0]}, as many as in fit; cut them, or take an encoder of any length, such as "
            "'conv1d'."
        ) from error


def each_step(encoder: SequenceModule) -> Callable[[Tensor], Tensor]:
    """Return a function that gives the code of every step, and last whether it was observed.

    Parameters
    ----------
    encoder : SequenceModule

    Returns
    -------
    function : callable
        From recordings (b, time, channels + 1) to (b, time, width + 1). With strides, the steps
        that one code stands for share it.
    """

    def coded(x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1], device=x.device) // encoder.stride
        return torch.cat([encoder.steps(x).transpose(1, 2)[:, places], x[..., -1:]], dim=2)

    return coded


def codes_of_steps(codes: np.ndarray, X: Any) -> np.ndarray | list[np.ndarray]:
    """Return the codes of observed steps.

    Parameters
    ----------
    codes : ndarray of shape (n, time, width + 1)
        The last number is 1 at observed steps.
    X : object
        The recordings as the user passes them.

    Returns
    -------
    codes : ndarray of shape (n, time, width), or list of ndarray of shape (observed, width)
        A list unless ``X`` is an array of recordings of one length.
    """
    lengths = (codes[..., -1] > 0).sum(axis=1)
    if hasattr(X, "shape") and (lengths == lengths[0]).all():
        return codes[:, : int(lengths[0]), :-1]
    return [one[:length, :-1] for one, length in zip(codes, lengths, strict=True)]
