"""What long work says of itself: messages by ``logging``, bars with the time that is left."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from typing import Any

__all__ = ["LOGGER", "is_heard", "is_parent", "progress_bar", "say"]

LOGGER = logging.getLogger("sklearn_mi")


def say(text: str, *, shown: Any = True) -> None:
    """Log a message, and show it where logging would not.

    Parameters
    ----------
    text : str
        It is logged at INFO by the logger ``"sklearn_mi"``.
    shown : bool or int, default=True
        ``verbose``: whether it also goes to the standard error if no handler takes it, as in a
        program that has not configured logging.
    """
    if _is_logged():
        LOGGER.info(text)
    elif is_heard(shown):
        from tqdm.auto import tqdm

        # Above a bar that is shown, instead of through it.
        tqdm.write(text, file=sys.stderr)


def is_heard(shown: Any) -> bool:
    """Return whether a message of `say` reaches anybody."""
    return _is_logged() or bool(shown and is_parent())


def _is_logged() -> bool:
    return LOGGER.isEnabledFor(logging.INFO) and LOGGER.hasHandlers()


def progress_bar(total: int, unit: str, *, shown: Any, initial: int = 0) -> Any:
    """Return a bar of tqdm, with the time left; in other processes than the parent a silent one.

    Parameters
    ----------
    total : int
    unit : str
        What is counted, such as "fold".
    shown : bool or int
        ``verbose``.
    initial : int, default=0
        What was done before, and says nothing about the time left.

    Returns
    -------
    bar : tqdm
        With ``update(n)``; a context manager.
    """
    from tqdm.auto import tqdm

    is_silent = not (shown and is_parent())
    return tqdm(total=total, initial=initial, unit=unit, disable=is_silent)


def is_parent() -> bool:
    """Return whether this is a process that a user started, no worker of joblib, Dask or Ray."""
    if multiprocessing.current_process().name != "MainProcess":
        return False
    # A worker of Ray is a program of its own. Whoever is one has imported ray.
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return True
    return ray.get_runtime_context().get_actor_id() is None
