"""Multi-task learning for Keras: one model, many tasks, learned weights."""

from keras_mtl import (
    architectures,
    callbacks,
    data,
    layers,
    solvers,
    weighters,
)
from keras_mtl.model import MultiTaskModel

__version__ = "0.1.0"

__all__ = [
    "MultiTaskModel",
    "architectures",
    "benchmark",
    "callbacks",
    "data",
    "layers",
    "solvers",
    "weighters",
]


def __getattr__(name):
    # Where nothing is timed, the timing code need not be loaded.
    if name == "benchmark":
        from keras_mtl.benchmarks.run import benchmark

        return benchmark
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
