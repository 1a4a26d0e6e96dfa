"""The nearest update to the mean that conflicts with no task."""

import keras
import tensorflow as tf

from keras_mtl.solvers import nonnegative_minimum
from keras_mtl.weighters.gramian import PreferenceWeighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class DualProj(PreferenceWeighter):
    """Weights of the nearest update to the mean that harms no task.

    The mean gradient is projected onto the cone of the updates that no task's
    gradient points against, as gradient episodic memory does with the
    gradients of past tasks. The weights combine the shared gradient only; each
    head gets its task's plain gradient.

    Other implementations regularise the Gramian by 1e-4 of its trace and set
    small ones to 0, and so miss this projection.

    Example:

    >>> DualProj()(gramian=[[18.0, -22.0], [-22.0, 38.0]])  # [0.6111, 0.5]

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float: the weights of the sum that is
            projected. `None` means one over the number of tasks present.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights, none below its preference: the preferences
        without conflicts, hence summing to 1 or more.

    Raises:
        ValueError: If the preferences are negative or all 0, or do not match
            the tasks.

    Reference:
        - [Lopez-Paz and Ranzato, 2017](https://arxiv.org/abs/1706.08840)
    """

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        preference = self.preferred(gradients, gradients.share)
        slopes = tf.linalg.matvec(
            gradients.cosines, preference * gradients.norms
        )
        slopes = tf.where(gradients.moving, slopes, 0.0)
        steepest = tf.reduce_max(tf.abs(slopes))
        added, _ = nonnegative_minimum(
            gradients.regular_cosines,
            tf.math.divide_no_nan(-slopes, steepest),
            gradients.moving,
            1e-10,
            20 * int(slopes.shape[0]),
        )
        return preference + gradients.per_norm(steepest * added)
