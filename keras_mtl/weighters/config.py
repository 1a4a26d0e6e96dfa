"""Conflict-free inverse gradients."""

import keras
import tensorflow as tf

from keras_mtl.solvers.equal_cosines import equal_cosines
from keras_mtl.weighters.gramian import PreferenceWeighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class ConFIG(PreferenceWeighter):
    """Weights of an update with one angle to all gradients, as long as they.

    The update points along every task's gradient alike, and its length is the
    sum of the gradients' projections on it: it falls as they come to oppose
    each other. The weights combine the shared gradient only; each head gets
    its task's plain gradient.

    The authors' code solves by a factorisation which on GPUs takes the
    gradients to be independent; dependent ones are no difficulty here.

    Example:

    >>> ConFIG()(gramian=keras.ops.diag([1.0, 4.0]))  # -> [1.5, 0.75]

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float: the cosines to the tasks' gradients
            are proportional to them. `None` means 1 for every task.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and so has one without gradient.

    Returns:
        `(K,)` float32 weights, of either sign, without a fixed sum.

    Raises:
        ValueError: If the preferences are negative or all 0, or do not match
            the tasks.

    Reference:
        - [Liu et al., 2024](https://arxiv.org/abs/2408.11104)
    """

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        target = self.preferred(gradients, gradients.present)
        target = tf.where(gradients.moving, target, 0.0)
        weights = equal_cosines(gradients, target)
        weights = tf.where(gradients.moving, weights, 0.0)
        along = tf.linalg.matvec(gradients.cosines, weights)
        length = tf.reduce_sum(gradients.norms * along)
        square = gradients.length(weights) ** 2
        return gradients.per_norm(
            tf.math.divide_no_nan(length, square) * weights
        )
