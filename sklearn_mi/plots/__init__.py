"""Plots of results, as scikit-learn's Display objects, made from tables and arrays.

Every Display keeps ``figure_``, ``ax_`` and ``alt_text_``: one sentence that says what is to be
seen, for readers who cannot see it. A legend stands beside the axes where the figure makes room
(``plt.subplots(layout="constrained")``), else where least data are.
"""

from sklearn_mi.plots.contestants import (
    DIRECTIONS as DIRECTIONS,
)
from sklearn_mi.plots.contestants import (
    INNERMOST as INNERMOST,
)
from sklearn_mi.plots.contestants import (
    DiagnosticsDisplay,
    LabelEfficiencyDisplay,
)
from sklearn_mi.plots.curves import ConvergenceDisplay, StudyDisplay, TrainingDisplay
from sklearn_mi.plots.embedding import EmbeddingDisplay
from sklearn_mi.plots.estimates import (
    BoundsDisplay,
    ColumnsDisplay,
    PointwiseDisplay,
    StaircaseDisplay,
)
from sklearn_mi.plots.importance import ImportanceDisplay
from sklearn_mi.plots.style import COLOURS as COLOURS

__all__ = [
    "BoundsDisplay",
    "ColumnsDisplay",
    "ConvergenceDisplay",
    "DiagnosticsDisplay",
    "EmbeddingDisplay",
    "ImportanceDisplay",
    "LabelEfficiencyDisplay",
    "PointwiseDisplay",
    "StaircaseDisplay",
    "StudyDisplay",
    "TrainingDisplay",
]
