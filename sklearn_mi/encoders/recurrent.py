"""Recurrent networks over the steps of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sklearn_mi._base import Shape, positive_integer
from sklearn_mi.encoders.base import Encoder
from sklearn_mi.encoders.sequences import Pooled, check_recording, step_width
from sklearn_mi.layers import dense

__all__ = ["GRU"]


class _Recurrence(nn.Module):
    """A recurrent network and a linear map of every step's state."""

    def __init__(self, network: nn.GRU, width: int) -> None:
        super().__init__()
        self.network, self.to_code = network, dense(network.hidden_size, width)

    def forward(self, rows: Tensor) -> Tensor:
        mask = rows[..., -1:]
        # Steps before the first observed one would move the state; behind the others they do not.
        first = (mask > 0).int().argmax(1)
        states, _ = self.network(_rolled(rows[..., :-1] * mask, first))
        return (self.to_code(_rolled(states, -first)) * mask).transpose(1, 2)


def _rolled(x: Tensor, steps: Tensor) -> Tensor:
    """Return recordings, each rolled to the left by its own number of steps, of shape (b, 1)."""
    places = (torch.arange(x.shape[1], device=x.device) + steps) % x.shape[1]
    return x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))


@dataclass(repr=False, eq=False)
class GRU(Encoder):
    """Encode recordings by gated recurrent units, whose state sums up the steps so far.

    Use it if order matters over the whole recording. A linear map turns the state of every step
    into a code, of the layer "steps" and of shape (b, width, steps); the code of the recording
    pools these. A step sees no input after its own, so padding changes no code, nor do
    unobserved steps before the first observed one. Input weights start Glorot-uniform, recurrent
    ones orthogonal, biases at zero. Own width: `DEFAULT_WIDTH`.

    Parameters
    ----------
    width : int, default=64
        Units of a layer.
    n_layers : int, default=1
    pool : {"mean", "max", "last", "mean-max"}, default="last"
        How the codes of observed steps become one; "mean-max" gives means and maxima, each half as
        wide as the code.

    References
    ----------
    Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation
    (Cho et al., 2014), https://arxiv.org/abs/1406.1078

    Examples
    --------
    >>> import torch
    >>> from sklearn_mi.encoders import GRU
    >>> module = GRU().build((100, 7), None)
    >>> recordings = torch.ones(5, 100, 7)  # six channels, and which steps were observed
    >>> module(recordings).shape, module.steps(recordings).shape
    (torch.Size([5, 32]), torch.Size([5, 32, 100]))
    """

    width: int = 64
    n_layers: int = 1
    pool: str = "last"
    takes = "recordings"

    def build(self, input_shape: Shape, n_components: int | None) -> nn.Module:
        """Return the module; see `Encoder.build`."""
        _, n_in = check_recording(input_shape, self)
        width = positive_integer("width", self.width)
        n_layers = positive_integer("n_layers", self.n_layers)
        network = nn.GRU(n_in, width, n_layers, batch_first=True)
        for name, weight in network.named_parameters():
            if weight.ndim < 2:
                nn.init.zeros_(weight)
            elif "_hh_" in name:
                nn.init.orthogonal_(weight)
            else:
                nn.init.xavier_uniform_(weight)
        return Pooled(_Recurrence(network, step_width(n_components, self.pool)), self.pool)

    def layers(self, input_shape: Shape) -> dict[str, str]:
        """Return "steps", the codes of the steps."""
        return {"steps": "map"}
