"""Eigenvalues of symmetric matrices."""

from typing import Any

import tensorflow as tf

# A correction is that of Newton's method, and worth making if it is small.
LARGEST_CORRECTION = 0.01
# Eigenvalues nearer than this share of the largest are one.
CLUSTER = 1e-13


def eigh(matrix: Any):
    """Returns eigenvalues, ascending, and eigenvectors of a symmetric matrix.

    Steps of refinement follow `tf.linalg.eigh`, which XLA computes to 1e-7
    only. What remains is the rounding of float64, and between eigenvalues
    that are nearer than 1e-5 of the largest, up to 1e-7 of that distance.

    Example:

    >>> matrix = tf.constant([[2.0, 1.0], [1.0, 2.0]], tf.float64)
    >>> values, vectors = eigh(matrix)
    >>> values  # -> [1.0, 3.0]

    Args:
        matrix: `(K, K)` float64, symmetric; K static.

    Returns:
        `(K,)` float64, and `(K, K)` float64 whose columns are the vectors. The
        values are NaN if the matrix is not finite.

    Reference:
        - [Ogita and Aishima, 2018](https://doi.org/10.1007/s13160-018-0310-3)
    """
    # LAPACK would raise.
    finite = tf.reduce_all(tf.math.is_finite(matrix))
    one = tf.eye(matrix.shape[0], dtype=tf.float64)
    matrix = tf.where(finite, matrix, one)
    values, vectors = tf.linalg.eigh(matrix)
    for _ in range(2):
        values, vectors = _refined(matrix, vectors)
    # Of unit length and orthogonal, to the square of the last correction.
    defect = tf.matmul(vectors, vectors, transpose_a=True)
    values = tf.where(finite, values, float("nan"))
    return values, 1.5 * vectors - tf.matmul(vectors, defect) / 2.0


def _refined(matrix, vectors):
    size = matrix.shape[0]
    one = tf.eye(size, dtype=tf.float64)
    defect = one - tf.matmul(vectors, vectors, transpose_a=True)
    image = tf.matmul(vectors, tf.matmul(matrix, vectors), transpose_a=True)
    values = tf.linalg.diag_part(image) / (1.0 - tf.linalg.diag_part(defect))
    apart = values - values[:, None]
    rest = image + values * defect
    rest = tf.linalg.set_diag(rest, tf.zeros_like(values))
    clear = tf.abs(apart) > CLUSTER * tf.reduce_max(tf.abs(values))
    clear &= tf.abs(rest) < LARGEST_CORRECTION * tf.abs(apart)
    correction = tf.where(
        clear, rest / tf.where(clear, apart, 1.0), defect / 2.0
    )
    return values, vectors + tf.matmul(vectors, correction)
