"""Auxiliary gradients, brought to the size of the main task's."""

import math

import keras
import tensorflow as tf

from keras_mtl.checks import between, finite
from keras_mtl.weighters.base import GradientWeighter
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.primary import checked_primary, primary_position


@keras.saving.register_keras_serializable(package="keras_mtl")
class MetaBalance(GradientWeighter):
    """Weights that bring auxiliary gradients near the main task's norm.

    The norms are moving averages over the steps. The main task's weight is 1,
    an auxiliary one's `relax * norms[main] / norms[k] + 1 - relax`. Heads
    get their tasks' plain gradients.

    Example:

    >>> MetaBalance(primary=0, relax=1.0)(gradient_norms=[1.0, 4.0, 0.5])
    [1.0, 0.25, 2.0]

    Args:
        primary: Name of the main task, or its position, from 0. `None` takes
            the first.
        relax: Float from 0 to 1, the paper's `r`: how near. 0 leaves all
            gradients as they are.
        momentum: Float, at least 0, below 1. Of the norms' moving averages.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gradient_norms: `(K,)` float32, norm of each task's gradient.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0 and keeps its average.

    Returns:
        `(K,)` float32 weights, non-negative, without a fixed sum.

    Raises:
        ValueError: If an argument is out of range, or `primary` is no task.

    Reference:
        - [He et al., 2022](https://arxiv.org/abs/2203.06801)
    """

    scales_heads = False
    default_scope = "shared"

    def __init__(
        self, primary=None, relax=0.7, momentum=0.9, scope=None, **kwargs
    ):
        super().__init__(scope=scope, **kwargs)
        self.primary = checked_primary(primary)
        self.relax = finite("relax", relax)
        if not 0.0 <= self.relax <= 1.0:
            raise ValueError(
                "Argument `relax` must lie between 0 and 1. "
                f"Received: relax={relax!r}"
            )
        self.momentum = between("momentum", momentum, 0.0, 1.0)

    def build(self, gradient_norms_shape):
        """Creates the averages, and the steps that they are made of."""
        self.main = primary_position(self, gradient_norms_shape[0])
        self.steps = self.add_state("steps", gradient_norms_shape)
        self.averages = self.add_state("averages", gradient_norms_shape)

    def call(self, gradient_norms, present=None):
        """Updates the averages and returns the weights."""
        seen = seen_tasks(gradient_norms, present)
        steps = self.steps + tf.cast(seen, tf.float32)
        moved = gradient_norms + self.momentum * (
            self.averages - gradient_norms
        )
        averages = tf.where(seen, moved, self.averages)
        self.steps.assign(steps)
        self.averages.assign(averages)
        norms = self._corrected(averages, steps)
        ratio = tf.math.divide_no_nan(norms[self.main], norms)
        # Before the main task's first label there is nothing to come near.
        ratio = tf.where(steps[self.main] > 0.0, tf.minimum(ratio, 1e30), 1.0)
        main = tf.one_hot(self.main, gradient_norms.shape[0]) > 0.0
        weights = tf.where(main, 1.0, self.relax * ratio + 1.0 - self.relax)
        return tf.where(seen, weights, 0.0)

    def _corrected(self, averages, steps):
        """Returns averages that begin at 0 as if they did not."""
        if self.momentum == 0.0:
            return averages
        mass = -tf.math.expm1(steps * math.log(self.momentum))
        return tf.math.divide_no_nan(averages, mass)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "primary": self.primary,
            "relax": self.relax,
            "momentum": self.momentum,
        }
        return {**super().get_config(), **own}
