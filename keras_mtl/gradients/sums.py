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


def weighted_sum(gradients, coefficients):
    """Returns the weighted sum of gradients of one variable, or `None`.

    Args:
        gradients: List of tensors, `tf.IndexedSlices` or `None`.
        coefficients: List of as many scalars.
    """
    given = [
        (gradient, tf.cast(coefficient, gradient.dtype))
        for gradient, coefficient in zip(gradients, coefficients, strict=True)
        if gradient is not None
    ]
    if not given:
        return None
    if all(isinstance(gradient, tf.IndexedSlices) for gradient, _ in given):
        return tf.IndexedSlices(
            tf.concat([c * gradient.values for gradient, c in given], axis=0),
            tf.concat([gradient.indices for gradient, _ in given], axis=0),
            given[0][0].dense_shape,
        )
    return tf.add_n([c * tf.convert_to_tensor(g) for g, c in given])


def _stack(gradients, zeros):
    flat = [tf.reshape(zeros if g is None else g, [-1]) for g in gradients]
    return tf.cast(tf.stack(flat), tf.float32)
