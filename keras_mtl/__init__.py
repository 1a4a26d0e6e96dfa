"""Multi-task learning for Keras: one model, many tasks, learned weights."""

import importlib
from typing import TYPE_CHECKING

from keras_mtl import (
    architectures,
    callbacks,
    data,
    layers,
    losses,
    metrics,
    solvers,
    weighters,
)
from keras_mtl.metrics.delta_m import delta_m
from keras_mtl.model import MultiTaskModel

if TYPE_CHECKING:
    from keras_mtl import testing
    from keras_mtl.lab.benchmarks.run import benchmark
    from keras_mtl.lab.comparisons.own_model import compare
    from keras_mtl.reporting.task_gradients import task_gradients

__version__ = "0.2.0"

__all__ = [
    "MultiTaskModel",
    "architectures",
    "benchmark",
    "callbacks",
    "compare",
    "data",
    "delta_m",
    "layers",
    "losses",
    "metrics",
    "solvers",
    "task_gradients",
    "testing",
    "weighters",
]


def __getattr__(name):
    # What most programs do without need not be loaded.
    if name == "benchmark":
        from keras_mtl.lab.benchmarks.run import benchmark

        return benchmark
    if name == "compare":
        from keras_mtl.lab.comparisons.own_model import compare

        return compare
    if name == "task_gradients":
        from keras_mtl.reporting.task_gradients import task_gradients

        return task_gradients
    if name == "testing":
        return importlib.import_module("keras_mtl.testing")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
