"""Dual balancing: of losses by logarithms, of gradients by their norms."""

import keras
import tensorflow as tf

from keras_mtl.weighters.base import GradientWeighter
from keras_mtl.weighters.presence import seen_tasks

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class DBMTL(GradientWeighter):
    """Weights that bring the gradients of the losses' logarithms to one norm.

    It is the largest of their norms, so that a noisy task amplifies all
    others. Each head gets its own task's gradient of the logarithm.

    Example:

    >>> DBMTL()(losses=[1.0, 2.0], gradient_norms=[1.0, 4.0])  # -> [2.0, 0.5]

    Args:
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task. One below 0 counts as 0.
        gradient_norms: `(K,)` float32, norm of each task's gradient.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights of shared gradients, without a fixed sum: 0 for
        a task without a gradient. `weigh` returns those of the heads with
        them, `1 / (losses + 1e-8)`.

    Reference:
        - [Lin et al., 2023](https://arxiv.org/abs/2308.12029)
    """

    weighs_heads = True
    default_scope = "shared"

    def call(self, losses, gradient_norms, present=None):
        """Returns the weights of shared gradients and of the heads."""
        seen = seen_tasks(losses, present)
        heads = 1.0 / (tf.maximum(losses, 0.0) + EPSILON)
        norms = tf.where(seen, heads * gradient_norms, 0.0)
        balance = tf.math.divide_no_nan(tf.reduce_max(norms), norms)
        return tf.minimum(balance * heads, 1e30), tf.where(seen, heads, 0.0)
