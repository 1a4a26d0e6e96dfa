"""Sums and inner products of gradients that may be sparse or missing."""

import tensorflow as tf

from keras_mtl.gradients.sparse import compact_rows


def inner_products(rows, columns):
    """Returns the inner products of two lists of one variable's gradients.

    Args:
        rows: List of tensors, `tf.IndexedSlices` or `None`.
        columns: The same.

    Returns:
        Float32 matrix, or 0 if there is no gradient at all.
    """
    both = [g for g in (*rows, *columns) if g is not None]
    if not both:
        return 0.0
    if all(isinstance(g, tf.IndexedSlices) for g in both):
        compact = compact_rows([*rows, *columns])
        rows, columns = compact[: len(rows)], compact[len(rows) :]
        both = [g for g in compact if g is not None]
    zeros = tf.zeros_like(both[0])
    return tf.matmul(
        _stack(rows, zeros), _stack(columns, zeros), transpose_b=True
    )


def square(gradient):
    """Returns the squared norm of a gradient, 0 for `None`."""
    if gradient is None:
        return 0.0
    if isinstance(gradient, tf.IndexedSlices):
        (gradient,) = compact_rows([gradient])
    return tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)))


def weighted_sum(gradients, coefficients=None):
    """Returns the weighted sum of gradients of one variable, or `None`.

    Args:
        gradients: List of tensors, `tf.IndexedSlices` or `None`.
        coefficients: List of as many scalars, or `None` for a plain sum.
    """
    if coefficients is not None:
        pairs = zip(gradients, coefficients, strict=True)
        gradients = [None if g is None else _times(g, c) for g, c in pairs]
    given = [gradient for gradient in gradients if gradient is not None]
    if len(given) < 2:
        return given[0] if given else None
    if all(isinstance(gradient, tf.IndexedSlices) for gradient in given):
        return tf.IndexedSlices(
            tf.concat([gradient.values for gradient in given], axis=0),
            tf.concat([gradient.indices for gradient in given], axis=0),
            given[0].dense_shape,
        )
    return tf.add_n([tf.convert_to_tensor(gradient) for gradient in given])


def _times(gradient, factor):
    factor = tf.cast(factor, gradient.dtype)
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(
            gradient.values * factor, gradient.indices, gradient.dense_shape
        )
    return gradient * factor


def _stack(gradients, zeros):
    flat = [tf.reshape(zeros if g is None else g, [-1]) for g in gradients]
    return tf.cast(tf.stack(flat), tf.float32)
