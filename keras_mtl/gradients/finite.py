"""Which gradient is not finite, told without reading large ones twice."""

import math

import tensorflow as tf

from keras_mtl.gradients.uses import USUAL_BATCH


def first_not_finite(gradients, compiled=False) -> tf.Tensor:
    """Returns the position of the first gradient that is not finite, or -1.

    Args:
        gradients: List of tensors, `tf.IndexedSlices` or `None`.
        compiled: Boolean, whether XLA compiles what is traced.

    Returns:
        Integer scalar.
    """
    values = {
        position: getattr(gradient, "values", gradient)
        for position, gradient in enumerate(gradients)
        if gradient is not None
    }
    if not values:
        return tf.constant(-1)

    def search():
        flags = [
            tf.reduce_all(tf.math.is_finite(value)) for value in values.values()
        ]
        spoilt = tf.logical_not(tf.stack(flags))
        first = tf.gather(tf.constant(list(values)), tf.argmax(spoilt))
        return tf.where(tf.reduce_any(spoilt), first, -1)

    signs = [_sign(value, compiled) for value in values.values()]
    all_are = tf.math.is_finite(tf.add_n(signs))
    return tf.cond(all_are, lambda: tf.constant(-1), search)


def _sign(value, compiled):
    """Returns a float32 scalar that is finite only if all of `value` is.

    It may overflow where `value` does not. A sum is finite only if its terms
    are. So is a product of matrices if the product of their norms is, which
    bounds its entries: for that of a large kernel, a few rows are read.
    """
    factors = [] if compiled else _factors(value)
    if factors and 2 * sum(map(_size, factors)) < _size(value):
        left, right = map(tf.nn.l2_loss, factors)
        return left * right
    if value.dtype == tf.float16:  # Whose sums would leave its range.
        value = tf.cast(value, tf.float32)
    return tf.cast(tf.reduce_sum(value), tf.float32)


def _factors(value):
    """Returns the two matrices that a float32 tensor is the product of."""
    if tf.executing_eagerly() or value.dtype != tf.float32:
        return []
    return list(value.op.inputs) if value.op.type == "MatMul" else []


def _size(value):
    return math.prod(n or USUAL_BATCH for n in value.shape)
