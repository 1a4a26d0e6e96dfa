"""Weights by the coefficient of variation of loss ratios."""

import keras
import tensorflow as tf

from keras_mtl.checks import between
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks

LARGEST_RATIO, SMALLEST_MEAN = 1e15, 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class CoVWeighting(Weighter):
    """Weights proportional to how much a task's relative loss varies.

    The relative loss is the loss over the mean of the earlier ones; the weight
    is its standard deviation over its mean. A task whose loss has settled gets
    little weight, whatever its unit. The weights of a step follow from the
    steps before it; a task's first two keep its initial weight. The published
    weights sum to 1, ours to K.

    Example:

    >>> cov = CoVWeighting()
    >>> for losses in ([1.0, 1.0], [1.0, 3.0], [1.0, 1.0]):
    ...     weights = cov(losses=losses)  # the second task varies
    >>> weights  # -> [0.0004, 1.9996]

    Args:
        momentum: Float in [0, 1). Weight of the past in the moving means; by
            default they are means over all steps. The sum of squares is never
            decayed, as in the authors' code.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task, positive.
        present: `(K,)` float32, 1 for a task with a label in the batch.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If `momentum` is out of range.

    Reference:
        - [Groenendijk et al., 2021](https://arxiv.org/abs/2009.01717)
    """

    def __init__(self, momentum: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if momentum is not None:
            momentum = between("momentum", momentum, 0.0, 1.0)
        self.momentum = momentum

    def build(self, losses_shape):
        """Creates the statistics of the losses and of their ratios."""
        self.steps = self.add_state("steps", losses_shape)
        self.mean_loss = self.add_state("mean_loss", losses_shape)
        self.mean_ratio = self.add_state("mean_ratio", losses_shape)
        self.squares = self.add_state("squares", losses_shape)

    def call(self, losses, present=None):
        """Returns the weights and updates the statistics."""
        seen = seen_tasks(losses, present)
        # Each read once: a step of a small model consists of its operations.
        states = self.steps, self.mean_loss, self.mean_ratio, self.squares
        before = [tf.convert_to_tensor(state) for state in states]
        steps, mean_loss, mean_ratio, squares = before
        weights = _weights(steps, mean_ratio, squares)
        ratio = tf.where(
            (steps > 0.0) & (mean_loss != 0.0),
            losses / mean_loss,
            tf.ones_like(losses),
        )
        ratio = tf.clip_by_value(ratio, -LARGEST_RATIO, LARGEST_RATIO)
        rate = 1.0 / (steps + 1.0)
        if self.momentum is not None:
            rate = tf.where(steps > 0.0, 1.0 - self.momentum, rate)
        # As increments: constant losses must leave their mean as it is.
        away = ratio - mean_ratio
        mean = mean_ratio + rate * away
        squares += away * (ratio - mean)
        mean_loss += rate * (losses - mean_loss)
        after = steps + 1.0, mean_loss, mean, squares
        for state, old, new in zip(states, before, after, strict=True):
            state.assign(tf.where(seen, new, old))
        return weights

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "momentum": self.momentum}


def _weights(steps, mean_ratio, squares):
    ready = steps >= 2.0
    squares = tf.maximum(squares, 0.0)
    deviation = tf.sqrt(squares / tf.maximum(steps, 1.0) + 1e-8)
    variation = deviation / tf.maximum(mean_ratio, SMALLEST_MEAN)
    variation = tf.where(ready, variation, 0.0)
    # A quotient of quotients would leave float32.
    variation = tf.math.divide_no_nan(variation, tf.reduce_max(variation))
    share = variation / tf.maximum(tf.reduce_sum(variation), 1.0)
    count = tf.reduce_sum(tf.cast(ready, tf.float32))
    return tf.where(ready, count * share, 1.0)
