"""Fixed task weights."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least
from keras_mtl.weighters.base import Weighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class Constant(Weighter):
    """Weights that never change; all 1 by default (uniform weighting).

    Example:

    >>> Constant([2.0, 1.0])(losses=[0.3, 0.4])  # -> [2.0, 1.0]

    Args:
        weights: List of non-negative floats in the order of the heads, or
            dict from task name to float. `None` means 1 for every task.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.

    Returns:
        `(K,)` float32, the given weights.

    Raises:
        ValueError: If a weight is negative or not finite, or if the weights
            do not match the tasks.
    """

    def __init__(self, weights=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(weights, dict):
            weights = {
                t: at_least(f"weights[{t!r}]", w, 0) for t, w in weights.items()
            }
        elif weights is not None:
            weights = [at_least("weights", w, 0) for w in weights]
        self.weights_by_task = weights

    def build(self, losses_shape):
        """Checks that the weights match the tasks."""
        (num_tasks,) = losses_shape
        weights = self.weights_by_task
        if weights is None:
            weights = [1.0] * num_tasks
        if isinstance(weights, dict):
            if set(weights) != set(self.task_names or ()):
                raise ValueError(
                    "Argument `weights` must name the model's tasks "
                    f"{list(self.task_names or ())}. Received: "
                    f"weights={dict(weights)}"
                )
            weights = [weights[task] for task in self.task_names]
        if len(weights) != num_tasks:
            raise ValueError(
                f"Argument `weights` must have one entry for each of the "
                f"{num_tasks} tasks. Received: weights={list(weights)}"
            )
        self.task_weights.assign(weights)

    def call(self, losses):
        """Returns the given weights."""
        return tf.convert_to_tensor(self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        weights = self.weights_by_task
        if weights is not None:
            weights = (
                dict(weights) if isinstance(weights, dict) else list(weights)
            )
        return {**super().get_config(), "weights": weights}
