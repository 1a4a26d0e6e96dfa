"""Solvers for task weights: plain functions of TensorFlow tensors."""

from keras_mtl.solvers.active_set import nonnegative_minimum
from keras_mtl.solvers.cosines import TaskGradients, task_gradients
from keras_mtl.solvers.eigen import eigh
from keras_mtl.solvers.linear import cg_solve, spd_solve
from keras_mtl.solvers.min_norm import MinNormPoint, min_norm_point
from keras_mtl.solvers.nonnegative import nonnegative_minima
from keras_mtl.solvers.simplex import simplex_projection

__all__ = [
    "MinNormPoint",
    "TaskGradients",
    "cg_solve",
    "eigh",
    "min_norm_point",
    "nonnegative_minima",
    "nonnegative_minimum",
    "simplex_projection",
    "spd_solve",
    "task_gradients",
]
