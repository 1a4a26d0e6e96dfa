"""Combinations of given angles to all gradients."""

import tensorflow as tf

from keras_mtl.solvers.linear import spd_solve

# What float32 leaves of a square of cosines between dependent gradients.
RIDGE = 1e-10


def equal_cosines(gradients, target):
    """Returns the combination whose cosines are proportional to `target`.

    By least squares: what the Gramian cannot tell from no gradient at all gets
    nothing, where a ridge on the cosines themselves would let it explode.

    Args:
        gradients: `TaskGradients`.
        target: `(K,)` float64, 0 for a task without gradient.

    Returns:
        `(K,)` float64, weights of the gradients divided by their norms.
    """
    cosines = gradients.cosines
    right = tf.linalg.matvec(cosines, target)
    square = tf.matmul(cosines, cosines)
    square += RIDGE * tf.eye(cosines.shape[0], dtype=tf.float64)
    return spd_solve(square, right[:, None])[:, 0]
