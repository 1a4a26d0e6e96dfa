"""Embedding gradients, kept sparse."""

import tensorflow as tf


def compact_rows(slices) -> list[tf.Tensor]:
    """Returns gradients of one table as dense rows in a common numbering.

    Rows are numbered by rank of their index among the N indices at hand, so
    the result has N rows, not the table's, unless those are fewer. Its size is
    static, as XLA needs.

    Args:
        slices: List of `tf.IndexedSlices` or `None` with N rows in all.

    Returns:
        List of tensors of at most N rows; inner products of two of them are
        those of the gradients. `None` stays `None`.
    """
    given = [s for s in slices if s is not None]
    indices = tf.concat([s.indices for s in given], axis=0)
    table = tf.get_static_value(given[0].dense_shape)
    numbers, size = number_rows(indices, None if table is None else table[0])
    parts = iter(tf.split(numbers, [tf.size(s.indices) for s in given]))
    return [
        None
        if s is None
        else tf.math.unsorted_segment_sum(s.values, next(parts), size)
        for s in slices
    ]


def number_rows(indices, table_size):
    """Returns a number for each index, and how many numbers there may be.

    Args:
        indices: `(N,)` integers.
        table_size: Integer, the rows of the table, or `None`.

    Returns:
        `(N,)` integers, equal for equal indices: ranks among the distinct
        ones, or the indices where the table has no more than N rows. And an
        integer or int32 scalar above them all.
    """
    total = indices.shape[0]
    if None not in (table_size, total) and table_size <= total:
        return indices, int(table_size)
    return _ranks(indices), tf.size(indices) if total is None else total


def _ranks(indices):
    """Returns for each index its rank among the distinct ones."""
    order = tf.argsort(indices, stable=True)
    ordered = tf.gather(indices, order)
    new = tf.concat([[0], tf.cast(ordered[1:] != ordered[:-1], tf.int32)], 0)
    return tf.scatter_nd(order[:, None], tf.cumsum(new), [tf.size(indices)])
