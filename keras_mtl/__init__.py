"""Multi-task learning for Keras: one model, many tasks, learned weights."""

from keras_mtl import data, solvers, weighters
from keras_mtl.model import MultiTaskModel

__version__ = "0.1.0"

__all__ = ["MultiTaskModel", "data", "solvers", "weighters"]
