"""Scaled loss approximate weighting."""

import keras
import tensorflow as tf

from keras_mtl.checks import between
from keras_mtl.weighters.base import Weighter

LARGEST_LOSS = 1e18


@keras.saving.register_keras_serializable(package="keras_mtl")
class SLAW(Weighter):
    """Weights inversely proportional to the spread of each task's losses.

    The standard deviation of a task's recent losses is close to proportional
    to the norm of its gradient, so these weights balance the tasks' gradients
    without an extra backward pass.

    For the first `round(1 / (1 - momentum))` steps the moments are plain
    means, as in the authors' code; a task seen once keeps its initial weight.
    A loss of 1e18 or more does not enter the moments.

    Example:

    >>> slaw = SLAW()
    >>> slaw(losses=[1.0, 1.0])  # -> [1.0, 1.0]
    >>> slaw(losses=[2.0, 4.0])  # spreads 0.5 and 1.5 -> [1.5, 0.5]

    Args:
        momentum: Float in [0, 1), the paper's β. Weight of the past in the
            moving moments of the losses.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If `momentum` is out of range.

    Reference:
        - [Crawshaw and Kosecka, 2021](https://arxiv.org/abs/2109.08218)
    """

    def __init__(self, momentum: float = 0.99, **kwargs):
        super().__init__(**kwargs)
        self.momentum = between("momentum", momentum, 0.0, 1.0)

    def build(self, losses_shape):
        """Creates the moments of each task's losses."""
        self.steps = self.add_state("steps", losses_shape)
        self.mean = self.add_state("mean", losses_shape)
        self.variance = self.add_state("variance", losses_shape)

    def call(self, losses, present=None):
        """Updates the moments and returns the weights."""
        seen = tf.ones_like(losses) if present is None else present
        # A loss whose square leaves float32 tells nothing of the spread.
        seen = (seen > 0.0) & (tf.abs(losses) < LARGEST_LOSS)
        losses = tf.where(seen, losses, 0.0)
        steps = self.steps + tf.cast(seen, tf.float32)
        warm_up = round(1.0 / (1.0 - self.momentum))
        rate = tf.where(
            steps <= warm_up, 1.0 / tf.maximum(steps, 1.0), 1.0 - self.momentum
        )
        # Centred: the difference of raw moments cancels badly in float32. And
        # exact from the first loss on: graphs approximate reciprocals.
        mean = tf.where(steps > 1.0, self.mean, losses)
        deviation = losses - mean
        mean += rate * deviation
        variance = (1.0 - rate) * (self.variance + rate * tf.square(deviation))
        self.steps.assign(steps)
        self.mean.assign(tf.where(seen, mean, self.mean))
        self.variance.assign(tf.where(seen, variance, self.variance))
        ready = tf.cast(steps > 1.0, tf.float32)
        inverse = ready / tf.maximum(tf.sqrt(self.variance), 1e-5)
        scale = tf.math.divide_no_nan(
            tf.reduce_sum(ready), tf.reduce_sum(inverse)
        )
        return tf.where(ready > 0.0, scale * inverse, 1.0)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "momentum": self.momentum}
