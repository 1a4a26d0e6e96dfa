"""Metrics: what a training run reports, and rankings of many tasks at once."""

from keras_mtl.metrics.per_task import TaskMeans, TaskMetrics

__all__ = ["TaskMeans", "TaskMetrics"]
