"""Rows of a small table, with a gradient that is one product."""

import tensorflow as tf


def rows_of(table, numbers):
    """Returns rows `(B, ...)` of a table `(K, ...)`.

    Compiled, the gradient of `tf.gather`, which adds row after row, takes
    longer than a product with a matrix of zeros and ones while K is small.

    Args:
        table: `(K, N)` tensor.
        numbers: `(B,)` integers.
    """

    @tf.custom_gradient
    def lookup(table):
        def gradient(upstream):
            mine = tf.one_hot(numbers, table.shape[0], dtype=upstream.dtype)
            return tf.matmul(mine, upstream, transpose_a=True)

        return tf.gather(table, numbers), gradient

    return lookup(tf.convert_to_tensor(table))
