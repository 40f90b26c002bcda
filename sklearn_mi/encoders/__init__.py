"""Encoders: pick the network from a view to its code, ``(b, *input_shape) -> (b, width)``.

A code is the learned features of one row. Rows keep the layout of X: flat ``(p,)``, images
``(h, w)`` or channels-last ``(h, w, c)``.
"""

from sklearn_mi.encoders.base import (
    DEFAULT_WIDTH,
    Encoder,
    Factory,
    InvertibleModule,
    Ready,
    code_width,
)
from sklearn_mi.encoders.dense import MLP, Identity, Linear, SkipMLP
from sklearn_mi.encoders.flows import RealNVP
from sklearn_mi.encoders.images import Backbone, ChannelsFirst, ConvNet, LeNet
from sklearn_mi.encoders.passthrough import ENCODERS, Passthrough, as_encoder
from sklearn_mi.encoders.tiled import Tiled

__all__ = [
    "DEFAULT_WIDTH",
    "ENCODERS",
    "MLP",
    "Backbone",
    "ChannelsFirst",
    "ConvNet",
    "Encoder",
    "Factory",
    "Identity",
    "InvertibleModule",
    "LeNet",
    "Linear",
    "Passthrough",
    "Ready",
    "RealNVP",
    "SkipMLP",
    "Tiled",
    "as_encoder",
    "code_width",
]
