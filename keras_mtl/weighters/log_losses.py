"""The sum of the losses' logarithms."""

import keras
import tensorflow as tf

from keras_mtl.checks import above
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks


@keras.saving.register_keras_serializable(package="keras_mtl")
class LogLosses(Weighter):
    """Weights that make the objective the sum of the losses' logarithms.

    They are the reciprocal losses, so that the unit of a loss does not count:
    the scale-invariant baseline (SI) of the comparisons since Nash-MTL.

    Example:

    >>> LogLosses()(losses=[0.5, 4.0])  # -> [2.0, 0.25]

    Args:
        epsilon: Float, above 0, in units of loss. Added to each loss. A
            negative loss counts as 0.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight.

    Returns:
        `(K,)` float32 weights, positive, without a fixed sum.

    Raises:
        ValueError: If `epsilon` is out of range.

    Reference:
        - [Navon et al., 2022](https://arxiv.org/abs/2202.01017)
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = above("epsilon", epsilon, 0.0)

    def call(self, losses, present=None):
        """Returns the weights."""
        weights = 1.0 / (tf.maximum(losses, 0.0) + self.epsilon)
        seen = seen_tasks(losses, present)
        return tf.where(seen, weights, self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "epsilon": self.epsilon}
