"""Impartial multi-task learning, of losses and gradients together."""

import keras
import tensorflow as tf

from keras_mtl.combination import as_if
from keras_mtl.weighters.imtl_g import IMTLG


@keras.saving.register_keras_serializable(package="keras_mtl")
class IMTL(IMTLG):
    """Learned scales of the losses, and an update of equal angles to them.

    The two halves of the paper together: `IMTLL` learns a scale of each loss,
    which brings the scaled losses to one size, and `IMTLG` combines the shared
    gradients of the scaled losses. Each head is trained on its task's scaled
    loss. The optimizer trains the scales as in `IMTLL`: to minimise
    `sum(exp(s) * losses - s)`.

    Example:

    >>> gramian = keras.ops.diag([1.0, 4.0])
    >>> IMTL()(losses=[0.3, 0.4], gramian=gramian)  # as IMTLG at first
    [0.6667, 0.3333]

    Args:
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, of the
            losses without scales.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and its scale gets no gradient.

    Returns:
        `(K,)` float32 weights of the shared gradients, without a fixed sum:
        those of `IMTLG` times the scales. Heads have the scales.

    Reference:
        - [Liu et al., 2021](https://openreview.net/forum?id=IMPnRXEWpvr)
    """

    weighs_heads = True

    def build(self, losses_shape):
        """Creates the log scales."""
        self.log_scales = self.add_weight(
            name="log_scales",
            shape=losses_shape,
            initializer="zeros",
            trainable=True,
            autocast=False,
        )

    def call(self, losses, gramian, present=None):
        """Adds the penalty and returns the weights."""
        log_scales = tf.convert_to_tensor(self.log_scales)
        seen = tf.ones_like(losses) if present is None else present
        self.add_loss(-tf.reduce_sum(seen * log_scales))
        scales = tf.exp(log_scales)
        fixed = tf.stop_gradient(scales)
        weights = super().call(gramian * fixed[:, None] * fixed, present)
        # The scales learn from the losses, not from the gradients' angles.
        return as_if(scales, weights * fixed), scales
