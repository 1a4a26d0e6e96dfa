"""Solvers for task weights: plain functions of TensorFlow tensors."""

from keras_mtl.solvers.min_norm import MinNormPoint, min_norm_point

__all__ = ["MinNormPoint", "min_norm_point"]
