"""Views: two ways to see one row, ``x -> (x, x')``.

A view runs on whole batches that training has already put on the device. Its state is a dict of
tensors, made once by ``fit`` from the training rows, or None.
"""

from sklearn_mi.views.base import Partners, View
from sklearn_mi.views.columns import Columns, Corruption, GaussianNoise, Halves
from sklearn_mi.views.compose import VIEWS, Compose, Function, as_view
from sklearn_mi.views.images import Augment, Transformed
from sklearn_mi.views.neighbors import Neighbors
from sklearn_mi.views.pairs import Paired, SameClass, SameGroup, TimeLag

__all__ = [
    "VIEWS",
    "Augment",
    "Columns",
    "Compose",
    "Corruption",
    "Function",
    "GaussianNoise",
    "Halves",
    "Neighbors",
    "Paired",
    "Partners",
    "SameClass",
    "SameGroup",
    "TimeLag",
    "Transformed",
    "View",
    "as_view",
]
