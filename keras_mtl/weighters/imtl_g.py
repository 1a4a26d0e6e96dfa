"""Impartial multi-task learning, by gradients."""

import keras
import tensorflow as tf

from keras_mtl.solvers.equal_cosines import equal_cosines
from keras_mtl.weighters.gramian import GramianWeighter

# A sum of weights that all but cancel counts as this share of them.
SMALLEST_SUM = 1e-6


@keras.saving.register_keras_serializable(package="keras_mtl")
class IMTLG(GramianWeighter):
    """Weights whose update has the same angle to every task's gradient.

    The weights combine the shared gradient only; each head gets its task's
    plain gradient. `ConFIG` has the same direction and a length that follows
    the gradients; prefer it.

    As published the weights sum to 1, and the update may climb along every
    task's gradient: where they would have to be turned round for that, they
    sum to -1 here. That is the case for a short gradient between two long
    ones.

    Example:

    >>> IMTLG()(gramian=keras.ops.diag([1.0, 4.0]))  # -> [0.6667, 0.3333]

    Args:
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and so has one without gradient.

    Returns:
        `(K,)` float32 weights, of either sign, summing to 1 or -1.

    Reference:
        - [Liu et al., 2021](https://openreview.net/forum?id=IMPnRXEWpvr)
    """

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        target = tf.cast(gradients.moving, tf.float64)
        weights = gradients.per_norm(equal_cosines(gradients, target))
        total = tf.abs(tf.reduce_sum(weights))
        least = SMALLEST_SUM * tf.reduce_sum(tf.abs(weights))
        return tf.math.divide_no_nan(weights, tf.maximum(total, least))
