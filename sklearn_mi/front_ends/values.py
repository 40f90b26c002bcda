"""The values of a recording themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sklearn_mi._base import positive_integer
from sklearn_mi.front_ends.base import FrontEnd, State, extent, values_and_seen

__all__ = ["Values"]


@dataclass(repr=False, eq=False)
class Values(FrontEnd):
    """Take the values of all steps and channels, side by side.

    Use it for recordings that start at the same event, such as heartbeats or days. The number of
    steps is that of the longest training row; shorter recordings are padded by 0, longer ones cut.
    If that makes too many columns, neighbouring steps are averaged.

    Parameters
    ----------
    most_columns : int, default=4096
        Largest number of columns, if the channels are no more.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.front_ends import Values
    >>> x = torch.ones(3, 20, 5)  # four channels, and the one that says what was observed
    >>> state = Values().fit(x, seed=0)
    >>> Values()(x[:, :7], state).shape
    torch.Size([3, 80])
    """

    most_columns: int = 4096

    def fit(self, x: Tensor, seed: int) -> State:
        """Return the number of steps, and of those averaged; see `FrontEnd.fit`."""
        values, seen = values_and_seen(x)
        n_steps = extent(seen)
        n_kept = max(1, positive_integer("most_columns", self.most_columns) // values.shape[1])
        sizes = {"n_steps": n_steps, "n_averaged": -(-n_steps // n_kept)}
        return {name: torch.tensor(size, device=x.device) for name, size in sizes.items()}

    def __call__(self, x: Tensor, state: State) -> Tensor:
        """Return the values, step by step; see `FrontEnd`."""
        values, seen = values_and_seen(x)
        n_steps, n_averaged = int(state["n_steps"]), int(state["n_averaged"])
        missing = n_steps - values.shape[2]
        values, seen = (nn.functional.pad(part, (0, missing)) for part in (values, seen[:, None]))
        if n_averaged > 1:
            sums, shares = (
                nn.functional.avg_pool1d(part.double(), n_averaged, ceil_mode=True)
                for part in (values, seen)
            )
            values = sums / shares.clamp_min(1 / (2 * n_averaged))
        return values.transpose(1, 2).flatten(1).float()

    def column_names(self, channels: Sequence[str], state: State) -> list[str]:
        """Return the names of the channels with the first step of each value."""
        steps = range(0, int(state["n_steps"]), int(state["n_averaged"]))
        return [f"{channel}_{step}" for step in steps for channel in channels]
