"""Embedding gradients, kept sparse."""

import tensorflow as tf


def compact_rows(slices) -> list[tf.Tensor | None]:
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
    numbering = Numbering(indices, None if table is None else table[0])
    sizes = [tf.size(s.indices) for s in given]
    parts = iter(tf.split(numbering.numbers, sizes))
    return [
        None
        if s is None
        else tf.math.unsorted_segment_sum(s.values, next(parts), numbering.size)
        for s in slices
    ]


class Numbering:
    """Numbers for the rows of a table that a batch reads.

    Args:
        indices: `(N,)` int32, the rows that are read.
        table_size: Integer, the rows of the table, or `None`.

    Attributes:
        numbers: `(N,)` int32, equal for equal indices: ranks among the
            distinct ones, or the indices where the table has no more than N
            rows.
        size: Integer or int32 scalar above all numbers.
        is_direct: Boolean, whether the numbers are the indices.
    """

    def __init__(self, indices, table_size):
        total = indices.shape[0]
        self.is_direct = None not in (table_size, total) and table_size <= total
        if self.is_direct:
            self.numbers, self.size = indices, int(table_size)
            return
        self.numbers = _ranks(indices)
        self.size = tf.size(indices) if total is None else total
        self._indices = indices

    def of(self, indices):
        """Returns the numbers of other indices; -1 for rows not read here."""
        if self.is_direct:
            return indices
        distinct = self._distinct(self._indices.dtype.max)
        places = tf.minimum(tf.searchsorted(distinct, indices), self.size - 1)
        found = tf.gather(distinct, places) == indices
        return tf.where(found, places, -1)

    def rows(self):
        """Returns `(size,)` int32, the index of each number; 0 of no row."""
        return tf.range(self.size) if self.is_direct else self._distinct(0)

    def _distinct(self, other):
        return tf.tensor_scatter_nd_update(
            tf.fill([self.size], tf.cast(other, self._indices.dtype)),
            self.numbers[:, None],
            self._indices,
        )


def _ranks(indices):
    """Returns for each index its rank among the distinct ones."""
    order = tf.argsort(indices, stable=True)
    ordered = tf.gather(indices, order)
    new = tf.concat([[0], tf.cast(ordered[1:] != ordered[:-1], tf.int32)], 0)
    return tf.scatter_nd(order[:, None], tf.cumsum(new), [tf.size(indices)])
