"""Group risks of tasks that progress alike."""

import functools

import keras
import tensorflow as tf

from keras_mtl.checks import above, integer
from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.solvers.grouping import group_means
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks

LARGEST_WEIGHT = 1e30


@keras.saving.register_keras_serializable(package="keras_mtl")
class GO4Align(Weighter):
    """One weight for each group of tasks that stand at a like point.

    A task's indicator is the sum of the losses over its own loss, which makes
    units alike, times a factor that falls with every loss it has had. Tasks
    are grouped by their indicators, and the weight of each is the mean
    indicator of its group. The groups are the best ones (k-means on a line has
    an exact solution), where the authors' k-means starts at random.

    Example:

    >>> GO4Align(groups=2)(losses=[1.0, 1.1, 9.0])  # -> [3.533, 3.533, 0.411]

    Args:
        groups: Integer, at least 1. With K or more each task is its own group.
        step_size: Float, above 0, the paper's `β`. Rate at which a task's
            factor falls, per unit of loss.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task, positive.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task is in no group, and keeps its weight and its factor.

    Returns:
        `(K,)` float32 weights, positive, without a fixed sum.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Shen et al., 2024](https://arxiv.org/abs/2404.06486)
    """

    def __init__(self, groups: int = 2, step_size: float = 1e-4, **kwargs):
        super().__init__(**kwargs)
        self.groups = integer("groups", groups, 1)
        self.step_size = above("step_size", step_size, 0.0)

    def build(self, losses_shape):
        """Creates the logarithms of the factors, up to a common one."""
        # float64: small steps are added to what all steps have added up to.
        self.log_factors = self.add_state(
            "log_factors", losses_shape, dtype="float64"
        )

    def call(self, losses, present=None):
        """Updates the factors and returns the weights."""
        seen = seen_tasks(losses, present)
        wide = tf.cast(losses, tf.float64)
        logs = tf.convert_to_tensor(self.log_factors)
        logs = tf.where(seen, logs - self.step_size * wide, logs)
        self.log_factors.assign(logs)
        factors = tf.nn.softmax(logs)
        zeros = tf.zeros_like(wide)
        total = tf.reduce_sum(tf.where(seen, wide, zeros))
        indicators = tf.where(seen, total / tf.maximum(wide, 1e-30), zeros)
        means = one_kernel(
            functools.partial(group_means, num_groups=self.groups)
        )
        weights = means(indicators * factors, seen)
        weights = tf.cast(tf.minimum(weights, LARGEST_WEIGHT), tf.float32)
        return tf.where(seen, weights, self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"groups": self.groups, "step_size": self.step_size}
        return {**super().get_config(), **own}
