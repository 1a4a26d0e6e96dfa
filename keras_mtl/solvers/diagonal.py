"""Diagonals of small matrices."""

from typing import Any

import tensorflow as tf


def diagonal(matrix: Any) -> tf.Tensor:
    """Returns the diagonals, as `tf.linalg.diag_part` does.

    By a slice with strides, which XLA joins with what reads it; it makes four
    kernels of a gather, each of which takes as long to compile as a solver's
    step.

    Args:
        matrix: `(..., K, K)`; K static.

    Returns:
        `(..., K)`.
    """
    matrix = tf.convert_to_tensor(matrix)
    size, leading = matrix.shape[-1], matrix.shape[:-2]
    if not leading.is_fully_defined():
        leading = tf.shape(matrix)[:-2]
    flat = tf.reshape(matrix, tf.concat([leading, [size * size]], 0))
    return flat[..., :: size + 1]
