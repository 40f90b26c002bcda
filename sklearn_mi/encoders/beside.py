"""One network for each of several tables that stand side by side in a row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["SideBySide", "side_by_side"]


class SideBySide(nn.Module):
    """Apply one network to the columns of each table, and put the results side by side.

    Parameters
    ----------
    networks : sequence of Module
    widths : sequence of int
        Numbers of columns of the tables.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sklearn_mi.encoders.beside import SideBySide
    >>> SideBySide([nn.Linear(2, 4), nn.Identity()], [2, 1])(torch.zeros(5, 3)).shape
    torch.Size([5, 5])
    """

    def __init__(self, networks: Sequence[nn.Module], widths: Sequence[int]) -> None:
        super().__init__()
        self.networks, self.widths = nn.ModuleList(networks), list(widths)

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes of all tables, for rows of all their columns."""
        parts = x.split(self.widths, dim=1)
        made = [network(part) for network, part in zip(self.networks, parts, strict=True)]
        return torch.cat(made, dim=1)


def side_by_side(networks: Sequence[nn.Module], widths: Sequence[int]) -> nn.Module:
    """Return the network of several tables; that of one table is returned as it is.

    Parameters
    ----------
    networks : sequence of Module
    widths : sequence of int
        Numbers of columns of the tables.

    Returns
    -------
    network : Module
    """
    return networks[0] if len(networks) == 1 else SideBySide(networks, widths)
