"""Views: pick how one row gives a pair, ``x -> (x, x')``.

Training asks the learner to recognise the second member of each pair, so a code keeps what the two
members share. A view works on whole batches, on the device. ``fit`` gives it a state once, from the
training rows: a dict of tensors, or None.
"""

from sklearn_mi.views.base import Partners, View
from sklearn_mi.views.columns import Columns, Corruption, GaussianNoise, Halves
from sklearn_mi.views.compose import VIEWS, Compose, Function, as_view
from sklearn_mi.views.images import Augment, LightnessColor, Transformed
from sklearn_mi.views.neighbors import Neighbors
from sklearn_mi.views.pairs import Paired, Same, SameClass, SameGroup, TimeLag
from sklearn_mi.views.recordings import AugmentRecording
from sklearn_mi.views.text import DropWords, HalfDocuments

__all__ = [
    "VIEWS",
    "Augment",
    "AugmentRecording",
    "Columns",
    "Compose",
    "Corruption",
    "DropWords",
    "Function",
    "GaussianNoise",
    "HalfDocuments",
    "Halves",
    "LightnessColor",
    "Neighbors",
    "Paired",
    "Partners",
    "Same",
    "SameClass",
    "SameGroup",
    "TimeLag",
    "Transformed",
    "View",
    "as_view",
]
