"""Losses in proportion to preferences, by their cosine."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least
from keras_mtl.weighters.by_task import ByTask
from keras_mtl.weighters.preference import RayWeighter, direction
from keras_mtl.weighters.presence import seen_tasks

LARGEST_WEIGHT = 1e30


@keras.saving.register_keras_serializable(package="keras_mtl")
class COSMOS(RayWeighter):
    """Preferences as weights, and a penalty on losses of other proportions.

    The objective is `preference · losses - penalty * cos(preference, losses)`.
    It is the scalarisation of COSMOS; the paper draws a new preference for
    each batch and feeds it to the network, which this does not.

    Example:

    >>> COSMOS(penalty=0.0)(losses=[1.0, 3.0])  # -> [0.5, 0.5]
    >>> COSMOS()(losses=[1.0, 3.0])  # -> [0.3658, 0.5447]

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float. `None` means `1 / K` for every task.
        penalty: Float, at least 0, in units of loss. The paper's `λ`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. The
            proportions are those of these; an absent task keeps its weight.

    Returns:
        `(K,)` float32 weights, the gradient of the objective: without a fixed
        sum, and below 0 for a loss that is small beside its preference.

    Raises:
        ValueError: If an argument is out of range or does not match the
            tasks.

    Reference:
        - [Ruchte and Grabocka, 2021](https://arxiv.org/abs/2103.13392)
    """

    def __init__(
        self,
        preference: ByTask | None = None,
        penalty: float = 1.0,
        **kwargs,
    ):
        super().__init__(preference, **kwargs)
        self.penalty = at_least("penalty", penalty, 0.0)

    def call(self, losses, present=None):
        """Returns the weights."""
        seen = seen_tasks(losses, present)
        ray = self.ray(seen)
        losses = tf.where(seen, tf.cast(losses, tf.float64), 0.0)
        wanted, _ = direction(ray)
        received, length = direction(losses)
        across = wanted - tf.reduce_sum(wanted * received) * received
        weights = ray - self.penalty * tf.math.divide_no_nan(across, length)
        weights = tf.clip_by_value(weights, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        return tf.where(seen, tf.cast(weights, tf.float32), self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "penalty": self.penalty}
