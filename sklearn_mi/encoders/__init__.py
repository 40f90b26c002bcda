"""Encoders: pick the network from a view to its code, ``(b, *input_shape) -> (b, width)``.

A code is the learned features of one row. Rows keep the layout of X: flat ``(p,)``, images
``(h, w)`` or channels-last ``(h, w, c)``. Recordings are ``(time, channels + 1)``, whose last
channel is 1 where a step was observed.
"""

from sklearn_mi.encoders.base import (
    DEFAULT_WIDTH,
    Encoder,
    Factory,
    InvertibleModule,
    Ready,
    code_width,
)
from sklearn_mi.encoders.composed import (
    ENCODERS,
    Joined,
    Passthrough,
    Patches,
    Tiled,
    Tokens,
    as_encoder,
)
from sklearn_mi.encoders.conv1d import Conv1d
from sklearn_mi.encoders.dense import MLP, Identity, Linear, SkipMLP
from sklearn_mi.encoders.flows import RealNVP
from sklearn_mi.encoders.images import Backbone, ChannelsFirst, ConvNet, DIMNet, LeNet
from sklearn_mi.encoders.recurrent import GRU
from sklearn_mi.encoders.sequences import SequenceModule

__all__ = [
    "DEFAULT_WIDTH",
    "ENCODERS",
    "GRU",
    "MLP",
    "Backbone",
    "ChannelsFirst",
    "Conv1d",
    "ConvNet",
    "DIMNet",
    "Encoder",
    "Factory",
    "Identity",
    "InvertibleModule",
    "Joined",
    "LeNet",
    "Linear",
    "Passthrough",
    "Patches",
    "Ready",
    "RealNVP",
    "SequenceModule",
    "SkipMLP",
    "Tiled",
    "Tokens",
    "as_encoder",
    "code_width",
]
