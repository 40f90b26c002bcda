"""The names of front ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn_mi.front_ends.audio import LogMel
from sklearn_mi.front_ends.base import FrontEnd, checked
from sklearn_mi.front_ends.blocks import PARTS, Blocks
from sklearn_mi.front_ends.factors import Factors
from sklearn_mi.front_ends.words import LSA

__all__ = ["FRONT_ENDS", "as_front_end"]

FRONT_ENDS: dict[str, Callable[[], FrontEnd]] = {
    **PARTS,
    "blocks": Blocks,
    "factors": Factors,
    "log-mel": LogMel,
    "lsa": LSA,
}


def as_front_end(value: Any) -> FrontEnd:
    """Return the front end that a name or an object stands for.

    Parameters
    ----------
    value : str or FrontEnd

    Returns
    -------
    front_end : FrontEnd

    Raises
    ------
    ValueError
        If a name is unknown.
    TypeError
        If it is neither.

    Examples
    --------
    >>> from sklearn_mi.front_ends import as_front_end
    >>> as_front_end("convolved")
    Convolved()
    """
    return checked("front_end", value, FRONT_ENDS)
