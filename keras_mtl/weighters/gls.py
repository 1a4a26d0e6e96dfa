"""The geometric mean of the losses."""

import keras
import tensorflow as tf

from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import mean_over, seen_tasks

# Below it a loss has no logarithm; above it a weight leaves float32.
SMALLEST_LOSS, LARGEST_WEIGHT = 1e-30, 1e30


@keras.saving.register_keras_serializable(package="keras_mtl")
class GLS(Weighter):
    """Weights of the geometric loss strategy.

    The objective is the geometric mean of the losses, whose gradient has the
    weights `geometric_mean / (K * losses)`: the product of a weight and its
    loss is the same for all tasks, whatever their units. A loss of another
    scale changes the length of the update, not its direction.

    The paper asks for positive losses. One below 1e-30 counts as that much.
    Logarithms are summed here; LibMTL multiplies the losses, and the product
    of many leaves float32.

    Example:

    >>> GLS()(losses=[1.0, 4.0])  # geometric mean 2 -> [1.0, 0.25]

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. The
            mean is over these; an absent task keeps its weight.

    Returns:
        `(K,)` float32 weights, positive, without a fixed sum.

    Reference:
        - [Chennupati et al., 2019](https://arxiv.org/abs/1904.08492)
    """

    def call(self, losses, present=None):
        """Returns the weights."""
        seen = seen_tasks(losses, present)
        # By logarithms: a product of a hundred losses leaves float32.
        logs = tf.math.log(
            tf.maximum(tf.cast(losses, tf.float64), SMALLEST_LOSS)
        )
        count = tf.reduce_sum(tf.cast(seen, tf.float64))
        weights = tf.math.divide_no_nan(
            tf.exp(mean_over(logs, seen) - logs), count
        )
        weights = tf.cast(tf.minimum(weights, LARGEST_WEIGHT), tf.float32)
        return tf.where(seen, weights, self.task_weights)
