"""Impartial learning of the losses' scales."""

import keras
import tensorflow as tf

from keras_mtl.weighters.base import Weighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class IMTLL(Weighter):
    """Learned weights that bring every weighted loss to 1.

    The model's optimizer trains `s`, the log weight of each task, together with
    the model, to minimise `sum(exp(s) * losses - s)`. At its optimum
    `exp(s) * losses` is 1 for every task. The weights `exp(s)` start at 1 and
    have no fixed sum. Because of the second term the total may be negative.

    Example:

    >>> IMTLL()(losses=[0.3, 0.4])  # before training -> [1.0, 1.0]

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. The
            log weight of an absent task gets no gradient.

    Returns:
        `(K,)` float32 weights, positive, differentiable with respect to the
        log weights. The term `-sum(s)` is in `losses`, as `add_loss` puts it
        there.

    Reference:
        - [Liu et al., 2021](https://openreview.net/forum?id=IMPnRXEWpvr)
    """

    def build(self, losses_shape):
        """Creates the log weights."""
        self.log_weights = self.add_weight(
            name="log_weights",
            shape=losses_shape,
            initializer="zeros",
            trainable=True,
            autocast=False,
        )

    def call(self, losses, present=None):
        """Adds the penalty and returns the weights."""
        log_weights = tf.convert_to_tensor(self.log_weights)
        seen = tf.ones_like(losses) if present is None else present
        self.add_loss(-tf.reduce_sum(seen * log_weights))
        return tf.exp(log_weights)
