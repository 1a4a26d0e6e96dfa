"""Metrics: what a training run reports, and rankings of many tasks at once."""

from keras_mtl.metrics.dense import (
    MeanAngle,
    MedianAngle,
    RelativeError,
    WithinAngle,
    WithinRatio,
)
from keras_mtl.metrics.means import TaskMeans
from keras_mtl.metrics.per_task import TaskMetrics
from keras_mtl.metrics.ranking import average_precision, roc_auc

__all__ = [
    "MeanAngle",
    "MedianAngle",
    "RelativeError",
    "TaskMeans",
    "TaskMetrics",
    "WithinAngle",
    "WithinRatio",
    "average_precision",
    "roc_auc",
]
