"""The experiments of Tschannen et al. (2020) as studies, one for each figure.

On Mutual Information Maximization for Representation Learning (Tschannen, Djolonga, Rubenstein,
Gelly, Lucic, 2020), https://arxiv.org/abs/1907.13625.
``sklearn-mi study paper`` runs the studies; ``examples/paper`` draws the figures.
"""

from sklearn_mi.paper.adversarial import AdversarialEncoder
from sklearn_mi.paper.figures import FIGURES, Figure
from sklearn_mi.paper.runs import hours_of_figure, read_figure, run_figure
from sklearn_mi.paper.scales import SCALES, Scale

__all__ = [
    "FIGURES",
    "SCALES",
    "AdversarialEncoder",
    "Figure",
    "Scale",
    "hours_of_figure",
    "read_figure",
    "run_figure",
]
