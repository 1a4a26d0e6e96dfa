"""Weighters whose own variable an optimizer trains."""

import numpy as np
import tensorflow as tf


def weights_while_trained(weighter, losses, rate=0.1, present=None):
    """Returns the weights before each step of SGD on the weighter's variable.

    Args:
        weighter: `Weighter` with one trainable variable.
        losses: `(steps, K)` array.
        rate: Float, the learning rate.
        present: `(K,)` array or `None`.
    """
    weighter.bind(losses.shape[1])
    (variable,) = weighter.trainable_variables

    @tf.function
    def step(row):
        with tf.GradientTape() as tape:
            weights = weighter(losses=row, present=present)
            total = tf.reduce_sum(weights * row) + sum(weighter.losses)
        variable.assign_sub(rate * tape.gradient(total, variable.value))
        return weights

    rows = tf.constant(losses, tf.float32)
    return np.array([step(row) for row in rows])
