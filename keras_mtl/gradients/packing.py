"""Many tasks' gradients in one sum over replicas."""

from typing import Any

import tensorflow as tf

from keras_mtl import distribution


def sum_of_columns(columns) -> list[list]:
    """Returns gradients summed over the replicas, all at once.

    Dense ones are sent as one vector, those of a table as one longer table: a
    replica waits as long for many tasks as for one.

    Args:
        columns: List of lists, the tasks' gradients of each variable: tensors,
            `tf.IndexedSlices` or `None`.

    Returns:
        The same, summed.
    """
    if distribution.num_replicas() == 1:
        return columns
    columns = [_alike(column) for column in columns]
    packs = [Pack(column) for column in columns]
    found = {}
    # Of one type, but for a model whose parts are of several.
    names = sorted({pack.joined.dtype.name for pack in packs})
    for dtype in names:
        found |= _summed([p for p in packs if p.joined.dtype.name == dtype])
    return [found[id(pack)] for pack in packs]


def _summed(packs):
    """Returns `{id(pack): summed gradients}` of packs of one type."""
    dense = [pack for pack in packs if not pack.is_sparse]
    tables = [pack for pack in packs if pack.is_sparse]
    vector = _joined([pack.joined for pack in dense])
    vector, *sums = distribution.all_sum(
        [vector, *(pack.joined for pack in tables)]
    )
    sizes = [int(pack.joined.shape[0]) for pack in dense]
    parts = [*tf.split(vector, sizes), *sums] if dense else sums
    return {
        id(pack): pack.parted(part)
        for pack, part in zip([*dense, *tables], parts, strict=True)
    }


class Pack:
    """The tasks' gradients of one variable, as one tensor.

    Args:
        column: List of tensors, of `tf.IndexedSlices`, or of `None` among
            either.
    """

    def __init__(self, column):
        self._column = column
        self._given = [g for g in column if g is not None]
        self.is_sparse = bool(self._given) and isinstance(
            self._given[0], tf.IndexedSlices
        )
        if self.is_sparse:
            self._table: Any = self._given[0].dense_shape
            self._rows = tf.cast(self._table[0], tf.int64)
            self.joined = self._joined_slices()
        else:
            self.joined = _joined(self._given)

    def parted(self, summed) -> list:
        """Returns the tasks' gradients that a sum of `joined` holds."""
        number = len(self._given)
        if self.is_sparse:
            owner = tf.cast(summed.indices // self._rows, tf.int32)
            values, indices = (
                tf.dynamic_partition(tensor, owner, number)
                for tensor in (summed.values, summed.indices % self._rows)
            )
            dtype = self._given[0].indices.dtype
            pieces = [
                tf.IndexedSlices(v, tf.cast(i, dtype), self._table)
                for v, i in zip(values, indices, strict=True)
            ]
        elif number:
            shapes = [g.shape for g in self._given]
            sizes = [shape.num_elements() for shape in shapes]
            split = tf.split(summed, sizes)
            pieces = [
                tf.reshape(piece, shape)
                for piece, shape in zip(split, shapes, strict=True)
            ]
        else:
            pieces = []
        remaining = iter(pieces)
        return [None if g is None else next(remaining) for g in self._column]

    def _joined_slices(self):
        """Returns one table that has every task's rows after the others'."""
        offset = [
            tf.cast(g.indices, tf.int64) + number * self._rows
            for number, g in enumerate(self._given)
        ]
        rows = tf.cast(self._table[:1], tf.int64) * len(self._given)
        rest = tf.cast(self._table[1:], tf.int64)
        return tf.IndexedSlices(
            tf.concat([g.values for g in self._given], axis=0),
            tf.concat(offset, axis=0),
            tf.concat([rows, rest], axis=0),
        )


def _alike(column):
    """Returns dense gradients where some are dense and some are not."""
    if not any(isinstance(g, tf.Tensor) for g in column):
        return column
    return [None if g is None else tf.convert_to_tensor(g) for g in column]


def _joined(tensors):
    flat = [tf.reshape(tensor, [-1]) for tensor in tensors]
    return tf.concat(flat, axis=0) if flat else tf.zeros([0])
