"""How a weighter says that the tasks' gradients are to be put together."""

from typing import NamedTuple

import tensorflow as tf


class Combination(NamedTuple):
    """The weights of one step.

    Args:
        shared: `(K,)` float32, of the tasks' gradients of what they share.
        heads: `(K,)` float32, of each head's gradient; `None` where a head's
            is scaled as its task's shared gradient is.
        coordinates: `(K, D)` float32, of the tasks' gradients at the
            representation, instead of `shared`; of each of its coordinates.
        rows: `(K, P)` float32, whose sum is the gradient of the scope's
            variables, instead of today's gradients by `shared`. Like all
            weights, `loss_weights` multiply them.
        layers: `(layers, K)` float32, of the tasks' gradients of the scope's
            shared variables, instead of `shared`; of each layer.
    """

    shared: tf.Tensor
    heads: tf.Tensor | None = None
    coordinates: tf.Tensor | None = None
    rows: tf.Tensor | None = None
    layers: tf.Tensor | None = None

    def stopped(self):
        """Returns the same, through which no gradient passes."""
        return Combination(
            *(None if v is None else tf.stop_gradient(v) for v in self)
        )

    def plain_where(self, apart):
        """Returns weights of 1 for the tasks that share nothing.

        Args:
            apart: `(K,)` booleans, or `None` for no such task.
        """
        if apart is None:
            return self
        vectors = (
            None if v is None else tf.where(apart, 1.0, v) for v in self[:2]
        )
        return Combination(*vectors, *self[2:])


def combination(result, scales_heads) -> Combination:
    """Returns what `Weighter.call` returned, completed.

    Args:
        result: `(K,)` tensor, or a tuple of it and another for the heads.
        scales_heads: Boolean, whether one vector is meant for the heads too.
    """
    if isinstance(result, Combination):
        return result
    if isinstance(result, tuple) and len(result) == 2:
        return Combination(*map(tf.convert_to_tensor, result))
    shared = tf.convert_to_tensor(result)
    return Combination(shared, None if scales_heads else tf.ones_like(shared))


@tf.custom_gradient
def as_if(weights, changed):
    """Returns `changed`, with the gradient of `weights`."""

    def gradient(upstream):
        return upstream, tf.zeros_like(upstream)

    return tf.identity(changed), gradient
