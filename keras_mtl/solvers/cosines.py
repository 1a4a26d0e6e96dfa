"""A Gramian as norms and cosines, and how exact float32 leaves them."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_mtl.solvers.diagonal import diagonal

# A combination shorter than this share of what it is made of is rounding.
FLOOR = 1e-5


class TaskGradients(NamedTuple):
    """Gradients of K tasks, as far as their inner products tell, in float64.

    Example:

    >>> gradients = task_gradients(tf.constant([[4.0, 3.0], [3.0, 9.0]]))
    >>> gradients.norms  # -> [2.0, 3.0]
    >>> gradients.cosines
    [[1.0, 0.5], [0.5, 1.0]]

    Attributes:
        norms: `(K,)`, 0 for a task without gradient and for an absent one.
        cosines: `(K, K)`, of unit diagonal; rows and columns of tasks
            without gradient are those of the identity.
        present: `(K,)`, 1 for a task that is present, else 0.
        moving: `(K,)` bool, whether a task is present and has a gradient.
    """

    norms: tf.Tensor
    cosines: tf.Tensor
    present: tf.Tensor
    moving: tf.Tensor

    @property
    def share(self):
        """`(K,)`, one over the number of tasks present, or 0 if absent."""
        return self.present / tf.maximum(tf.reduce_sum(self.present), 1.0)

    @property
    def regular_cosines(self):
        """The cosines, made positive definite by more than their rounding."""
        size = self.cosines.shape[0]
        return self.cosines + ridge(size) * tf.eye(size, dtype=tf.float64)

    def per_norm(self, values):
        """Returns `values / norms`, and 0 for tasks without gradient."""
        return tf.math.divide_no_nan(values, self.norms)

    def length(self, weights):
        """Returns the norm of a weighted sum; rounding counts as `FLOOR`.

        Args:
            weights: `(K,)`, of the gradients divided by their norms.
        """
        weights = tf.where(self.moving, weights, 0.0)
        square = tf.reduce_sum(self.cosines * weights[:, None] * weights)
        least = FLOOR * tf.reduce_sum(tf.abs(weights))
        return tf.maximum(tf.sqrt(tf.maximum(square, 0.0)), least)


def ridge(size: int) -> float:
    """Returns what exceeds the rounding of a float32 Gramian's cosines."""
    return 1e-6 + 1e-7 * size


def task_gradients(gramian: Any, present: Any = None) -> TaskGradients:
    """Splits a Gramian into norms and cosines.

    Example:

    >>> gramian = tf.constant([[4.0, 0.0], [0.0, 9.0]])
    >>> task_gradients(gramian).norms  # -> [2.0, 3.0]

    Args:
        gramian: `(K, K)`, `gramian[i, j] = <g[i], g[j]>`; K static. Or
            `(n, K, K)`, of n Gramians, which all results then have as their
            first axis but `present`.
        present: `(K,)`, 0 for a task whose entries are not to be read, or
            `None`.

    Returns:
        `TaskGradients`.
    """
    size = gramian.shape[-1]
    gramian = tf.cast(tf.stop_gradient(gramian), tf.float64)
    if present is None:
        present = tf.ones(size, tf.float64)
    present = tf.cast(tf.cast(present, tf.bool), tf.float64)
    squares = tf.where(present > 0.0, diagonal(gramian), 0.0)
    moving = squares > 0.0
    norms = tf.sqrt(tf.where(moving, squares, 0.0))
    divisors = tf.where(moving, norms, 1.0)
    both = moving[..., None] & moving[..., None, :]
    cosines = gramian / divisors[..., None] / divisors[..., None, :]
    cosines = tf.where(both, cosines, 0.0)
    cosines = tf.linalg.set_diag(cosines, tf.ones_like(squares))
    return TaskGradients(norms, cosines, present, moving)
