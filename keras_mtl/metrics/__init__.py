"""Metrics: what a training run reports, and rankings of many tasks at once."""

from keras_mtl.metrics.means import TaskMeans
from keras_mtl.metrics.per_task import TaskMetrics

__all__ = ["TaskMeans", "TaskMetrics"]
