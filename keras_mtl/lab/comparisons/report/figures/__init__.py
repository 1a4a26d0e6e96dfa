"""The pictures of a report; each function draws one."""

from keras_mtl.lab.comparisons.report.figures.clusters import draw_clusters
from keras_mtl.lab.comparisons.report.figures.curves import (
    draw_conflicts,
    draw_validation,
)
from keras_mtl.lab.comparisons.report.figures.losses import (
    draw_errors,
    draw_losses,
)
from keras_mtl.lab.comparisons.report.figures.sweeps import draw_sweeps
from keras_mtl.lab.comparisons.report.figures.weights import draw_weights

__all__ = [
    "draw_clusters",
    "draw_conflicts",
    "draw_errors",
    "draw_losses",
    "draw_sweeps",
    "draw_validation",
    "draw_weights",
]
