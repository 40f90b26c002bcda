"""Front ends: what is computed from a row before any view, fitted to the training rows."""

from sklearn_mi.front_ends.audio import LogMel
from sklearn_mi.front_ends.base import FrontEnd
from sklearn_mi.front_ends.blocks import Blocks
from sklearn_mi.front_ends.convolved import Convolved
from sklearn_mi.front_ends.factors import Factors
from sklearn_mi.front_ends.fitted import fit_first_layers, names_of_features
from sklearn_mi.front_ends.names import FRONT_ENDS, as_front_end
from sklearn_mi.front_ends.spectral import Spectral
from sklearn_mi.front_ends.transformer import RecordingFeatures
from sklearn_mi.front_ends.values import Values
from sklearn_mi.front_ends.words import LSA

__all__ = [
    "FRONT_ENDS",
    "LSA",
    "Blocks",
    "Convolved",
    "Factors",
    "FrontEnd",
    "LogMel",
    "RecordingFeatures",
    "Spectral",
    "Values",
    "as_front_end",
    "fit_first_layers",
    "names_of_features",
]
