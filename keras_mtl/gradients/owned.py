"""Gradients at a representation whose parts one task alone reads."""

import tensorflow as tf


class OwnedGradients:
    """Each task's gradient at the representation, all from one pass.

    Rows that belong to one task each, or a representation `(B, K, D)`: the
    gradient of the tasks' sum is that of the task which reads the part.

    Args:
        leaves: List of tensors, the representation.
        deltas: List of their gradients of the sum of all tasks.
        losses: `LocalLosses`, for its owners.
        heads: `HeadGradients`.
    """

    def __init__(self, leaves, deltas, losses, heads):
        self.leaves, self.heads = leaves, heads
        self._owners, self._num_tasks = losses.owners, losses.num_tasks
        self._deltas = [
            tf.zeros_like(leaf) if delta is None else delta
            for leaf, delta in zip(leaves, deltas, strict=True)
        ]

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        tasks, axis = self._owners
        squares = tf.add_n(
            [
                tf.reduce_sum(
                    tf.cast(delta, tf.float32) ** 2,
                    [a for a in range(delta.shape.rank) if a != axis],
                )
                for delta in self._deltas
            ]
        )
        return tf.math.unsorted_segment_sum(squares, tasks, self._num_tasks)

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica: diagonal."""
        return tf.linalg.diag(self.squared_norms())

    def combined(self, coefficients):
        """Returns the sum of the tasks' gradients with these coefficients."""
        tasks, axis = self._owners
        of_part = tf.gather(coefficients, tasks)
        return [
            tf.cast(
                tf.cast(delta, tf.float32) * _along(of_part, axis, delta),
                delta.dtype,
            )
            for delta in self._deltas
        ]

    @property
    def stacked(self):
        """List of `(K, ...)` tensors, each task's gradient of each leaf."""
        tasks, axis = self._owners
        mine = tf.range(self._num_tasks)[:, None] == tasks
        return [
            tf.where(
                tf.reshape(mine, _shape_along(axis, delta, self._num_tasks)),
                delta,
                tf.zeros_like(delta),
            )
            for delta in self._deltas
        ]


def _along(values, axis, tensor):
    """Returns `(n,)` values with axes of 1, to broadcast along one axis."""
    return tf.reshape(values, _shape_along(axis, tensor))


def _shape_along(axis, tensor, *first):
    after = tensor.shape.rank - axis - 1
    return [*first, *[1] * axis, -1, *[1] * after]
