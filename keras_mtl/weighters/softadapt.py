"""Weights by the latest change of each loss."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, between
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks, softmax_weights


@keras.saving.register_keras_serializable(package="keras_mtl")
class SoftAdapt(Weighter):
    """Weights that grow with a loss's ratio to the one before.

    They are K times the softmax of the ratios, and 1 in the first step. The
    task whose loss falls slowest, or rises most, gets the largest weight. The
    noise of a single batch drives the ratios: `momentum` averages it out.

    Example:

    >>> softadapt = SoftAdapt()
    >>> softadapt(losses=[1.0, 1.0])  # -> [1.0, 1.0]
    >>> softadapt(losses=[0.5, 1.0])  # softmax of 0.5 and 1 -> [0.755, 1.245]

    Args:
        sharpness: Float, above 0, the paper's `β`. Factor of the ratios.
        momentum: Float in [0, 1). Weight of the past in moving averages of
            the losses, whose ratios are taken; 0 takes the losses themselves,
            as published.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task, positive.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, non-negative, summing to K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Heydari et al., 2019](https://arxiv.org/abs/1912.12355)
    """

    def __init__(self, sharpness: float = 1.0, momentum: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.sharpness = above("sharpness", sharpness, 0.0)
        self.momentum = between("momentum", momentum, 0.0, 1.0)

    def build(self, losses_shape):
        """Creates the averages of the losses."""
        self.average = self.add_state("average", losses_shape)
        self.started = self.add_state("started", losses_shape)

    def call(self, losses, present=None):
        """Updates the averages and returns the weights."""
        seen = seen_tasks(losses, present)
        before = tf.where(self.started > 0.0, self.average, losses)
        average = self.momentum * before + (1.0 - self.momentum) * losses
        self.average.assign(tf.where(seen, average, self.average))
        self.started.assign(tf.where(seen, 1.0, self.started))
        return softmax_weights(
            self.sharpness * ratios(average, before), seen, self.task_weights
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"sharpness": self.sharpness, "momentum": self.momentum}
        return {**super().get_config(), **own}


def ratios(losses, others):
    """Returns `losses / others` in float64; 1 where the other is 0."""
    losses, others = (tf.cast(v, tf.float64) for v in (losses, others))
    ones = tf.ones_like(losses)
    return tf.where(
        others != 0.0, losses / tf.where(others != 0.0, others, ones), ones
    )
