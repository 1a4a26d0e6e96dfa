"""Soft optimal uncertainty weighting."""

import keras
import tensorflow as tf

from keras_mtl.checks import above
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks, softmax_weights

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class UWSO(Weighter):
    """The softmax of the reciprocal losses.

    The reciprocal losses are the optimum of uncertainty weighting; the softmax
    with a temperature keeps small losses from taking all. The task with the
    smallest loss gets the largest weight. Losses that approach 0 do take all
    in the end: search the temperature for each data set. The published weights
    sum to 1, ours to K.

    Example:

    >>> UWSO()(losses=[0.5, 1.0])  # softmax of 2 and 1 -> [1.462, 0.538]

    Args:
        temperature: Float, above 0, the paper's `T`. The larger, the closer
            the weights are to 1.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task. A negative one counts
            as 0.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, non-negative, summing to K.

    Raises:
        ValueError: If `temperature` is out of range.

    Reference:
        - [Kirchdorfer et al., 2024](https://arxiv.org/abs/2408.07985)
    """

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = above("temperature", temperature, 0.0)

    def call(self, losses, present=None):
        """Returns the weights."""
        wide = tf.maximum(tf.cast(losses, tf.float64), 0.0)
        return softmax_weights(
            1.0 / (wide + EPSILON) / self.temperature,
            seen_tasks(losses, present),
            self.task_weights,
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "temperature": self.temperature}
