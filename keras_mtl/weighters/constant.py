"""Fixed task weights."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.by_task import ByTask, by_task, map_values


@keras.saving.register_keras_serializable(package="keras_mtl")
class Constant(Weighter):
    """Weights that never change; all 1 by default (uniform weighting).

    Example:

    >>> Constant([2.0, 1.0])(losses=[0.3, 0.4])  # -> [2.0, 1.0]

    Args:
        weights: Non-negative float for all tasks, list in the order of the
            heads, or dict from task name to float. `None` means 1.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.

    Returns:
        `(K,)` float32, the given weights.

    Raises:
        ValueError: If a weight is negative or not finite, or if the weights
            do not match the tasks.
    """

    def __init__(
        self,
        weights: float | ByTask | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if weights is not None:
            weights = map_values(lambda w: at_least("weights", w, 0.0), weights)
        self.weights_by_task = weights

    def build(self, losses_shape):
        """Checks that the weights match the tasks."""
        weights = 1.0 if self.weights_by_task is None else self.weights_by_task
        self.task_weights.assign(
            by_task("weights", weights, *losses_shape, self.task_names)
        )

    def call(self, losses):
        """Returns the given weights."""
        return tf.convert_to_tensor(self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        weights = map_values(lambda weight: weight, self.weights_by_task)
        return {**super().get_config(), "weights": weights}
